import { deepEqual, rejects } from 'node:assert/strict'
import type { TablePlan } from '../../model/destination.js'
import type { CaseTable } from '../testDataset.js'
import { rowsOf, runLoad, type TestColumns, type TestRecord, testSchema, withConnection } from '../testDataset.js'

const MERGE: readonly TablePlan[] = [{ table: 'orders', disposition: 'merge', strategy: 'delete-insert' }]
const KEY: TestColumns = { id: { data_type: 'bigint', primary_key: true, nullable: false } }

/** Orders with lines, and taxes of lines. */
function orders(columns: TestColumns, options: { rootKey?: boolean; hints?: Record<string, boolean> } = {}) {
  const { rootKey = true, hints = {} } = options
  return testSchema({
    orders: { columns, disposition: 'merge', hints },
    orders__lines: { columns: { sku: 'text' }, parent: 'orders', rootKey },
    orders__lines__taxes: { columns: { rate: 'double' }, parent: 'orders__lines', rootKey },
  })
}

const line = (sku: string, ...rates: number[]): TestRecord => ({ sku, taxes: rates.map(rate => ({ rate })) })

export const mergeCases: CaseTable = {
  async 'merge replaces rows by key with everything nested under them'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders(KEY)
      const load = async (loadId: string, records: TestRecord[]) =>
        await runLoad(connection, schema, { loadId, records: { orders: records }, tables: MERGE })
      await load('1.1', [
        { id: 1, lines: [line('a', 1, 2), line('b', 3)] },
        { id: 2, lines: [line('c', 4)] },
      ])
      await load('1.2', [{ id: 1, lines: [line('b', 5), line('d'), line('e')] }])
      deepEqual(await rowsOf(connection, 'orders', ['id', '_dlt_load_id']), [
        { id: '1n', _dlt_load_id: '1.2' },
        { id: '2n', _dlt_load_id: '1.1' },
      ])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [
        { sku: 'b' },
        { sku: 'c' },
        { sku: 'd' },
        { sku: 'e' },
      ])
      deepEqual(await rowsOf(connection, 'orders__lines__taxes', ['rate']), [{ rate: 4 }, { rate: 5 }])
      await load('1.3', [
        { id: 2, lines: [] },
        { id: 1, lines: [line('z')] },
      ])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [{ sku: 'z' }])
      deepEqual(await rowsOf(connection, 'orders__lines__taxes', ['rate']), [])
    })
  },

  async 'merge finds nested rows from parent to parent where they have no root key'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders(KEY, { rootKey: false })
      const records = [
        { id: 1, lines: [line('a', 1)] },
        { id: 2, lines: [line('b', 2)] },
      ]
      await runLoad(connection, schema, { loadId: '1.1', records: { orders: records }, tables: MERGE })
      const next = [
        { id: 1, lines: [line('c', 3)] },
        { id: 1, lines: [line('d', 4)] },
      ]
      await runLoad(connection, schema, { loadId: '1.2', records: { orders: next }, tables: MERGE })
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [{ sku: 'b' }, { sku: 'd' }])
      deepEqual(await rowsOf(connection, 'orders__lines__taxes', ['rate']), [{ rate: 2 }, { rate: 4 }])
    })
  },

  async 'rows appended before there was a root key are replaced with what is nested under them'(destination) {
    await withConnection(destination, async connection => {
      const before = orders(KEY, { rootKey: false })
      const records = [
        { id: 1, lines: [line('a', 1)] },
        { id: 2, lines: [line('b', 2)] },
      ]
      await runLoad(connection, before, {
        loadId: '1.1',
        records: { orders: records },
        tables: [{ table: 'orders', disposition: 'append' }],
      })
      await runLoad(connection, orders(KEY), {
        loadId: '1.2',
        records: { orders: [{ id: 1, lines: [line('c', 3)] }] },
        tables: MERGE,
      })
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku', '_dlt_root_id']), [
        { sku: 'b', _dlt_root_id: null },
        { sku: 'c', _dlt_root_id: '1.2/orders/0' },
      ])
      deepEqual(await rowsOf(connection, 'orders__lines__taxes', ['rate']), [{ rate: 2 }, { rate: 3 }])
    })
  },

  async 'of rows with one key in a load the last stays, over batches too'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders({ ...KEY, v: 'text', more: 'text' })
      const records = [
        { id: 1, v: 'old', lines: [line('old')] },
        { id: 2, v: 'x' },
        { id: 1, v: 'mid', more: 'm' },
        { id: 1, v: 'new', lines: [line('new', 7)] },
        { id: 3, v: 'y' },
      ]
      await runLoad(connection, schema, { loadId: '1.1', records: { orders: records }, tables: MERGE, batchRows: 2 })
      deepEqual(await rowsOf(connection, 'orders', ['id', 'v', 'more']), [
        { id: '1n', v: 'new', more: null },
        { id: '2n', v: 'x', more: null },
        { id: '3n', v: 'y', more: null },
      ])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [{ sku: 'new' }])
      deepEqual(await rowsOf(connection, 'orders__lines__taxes', ['rate']), [{ rate: 7 }])
    })
  },

  async 'dedup_sort decides which of several rows stays; null comes last'(destination) {
    await withConnection(destination, async connection => {
      for (const [direction, stays] of [
        ['desc', 'c'],
        ['asc', 'b'],
      ] as const) {
        const schema = orders({ ...KEY, rev: { data_type: 'bigint', dedup_sort: direction }, v: 'text' })
        const records = [
          { id: 1, rev: 2, v: 'a' },
          { id: 1, rev: 1, v: 'b' },
          { id: 1, rev: 3, v: 'c' },
          { id: 1, v: 'd' },
        ]
        await runLoad(connection, schema, {
          loadId: `1.${direction}`,
          records: { orders: records },
          tables: MERGE,
          committedAt: 1n,
        })
        deepEqual(await rowsOf(connection, 'orders', ['v']), [{ v: stays }])
      }
    })
  },

  async 'data that is called de-duplicated is taken as it is'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders(KEY, { hints: { 'x-stage-data-deduplicated': true } })
      await runLoad(connection, schema, { loadId: '1.1', records: { orders: [{ id: 1 }, { id: 1 }] }, tables: MERGE })
      deepEqual((await rowsOf(connection, 'orders', ['id'])).length, 2)
    })
  },

  async 'a row marked as deleted removes its key and is not inserted'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders({ ...KEY, gone: { data_type: 'bool', hard_delete: true } })
      const load = async (loadId: string, records: TestRecord[]) =>
        await runLoad(connection, schema, { loadId, records: { orders: records }, tables: MERGE })
      await load('1.1', [
        { id: 1, gone: false, lines: [line('a', 1)] },
        { id: 2, lines: [line('b', 2)] },
        { id: 3, gone: true, lines: [line('c', 3)] },
      ])
      deepEqual(await rowsOf(connection, 'orders', ['id']), [{ id: '1n' }, { id: '2n' }])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [{ sku: 'a' }, { sku: 'b' }])
      await load('1.2', [
        { id: 1, gone: true, lines: [line('x', 9)] },
        { id: 2, gone: false, lines: [line('y', 5)] },
        { id: 9, gone: true },
        { id: 4, gone: false, lines: [line('no')] },
        { id: 4, gone: true },
      ])
      deepEqual(await rowsOf(connection, 'orders', ['id', 'gone']), [{ id: '2n', gone: false }])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [{ sku: 'y' }])
      deepEqual(await rowsOf(connection, 'orders__lines__taxes', ['rate']), [{ rate: 5 }])
    })
  },

  async 'a mark of another type deletes with any value'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders({ ...KEY, 'de"leted at': { data_type: 'timestamp', hard_delete: true }, v: 'bigint' })
      const load = async (loadId: string, records: TestRecord[]) =>
        await runLoad(connection, schema, { loadId, records: { orders: records }, tables: MERGE })
      await load('1.1', [
        { id: 1, v: 1 },
        { id: 2, v: 2 },
      ])
      await load('1.2', [
        { id: 1, 'de"leted at': '2024-01-01T00:00:00Z' },
        { id: 2, v: 22 },
        { id: 3, v: 3 },
      ])
      deepEqual(await rowsOf(connection, 'orders', ['id', 'v']), [
        { id: '2n', v: '22n' },
        { id: '3n', v: '3n' },
      ])
    })
  },

  async 'a merge key alone replaces all rows of its value'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders({
        a: { data_type: 'text', merge_key: true },
        b: { data_type: 'text', merge_key: true },
        v: 'bigint',
      })
      const load = async (loadId: string, records: TestRecord[]) =>
        await runLoad(connection, schema, { loadId, records: { orders: records }, tables: MERGE })
      await load('1.1', [
        { a: 'a', b: 'bc', v: 1, lines: [line('1')] },
        { a: 'ab', b: 'c', v: 2, lines: [line('2')] },
        { a: 'a', b: 'bc', v: 3 },
      ])
      await load('1.2', [
        { a: 'a', b: 'bc', v: 9 },
        { a: 'a', b: 'bc', v: 9, lines: [line('9')] },
      ])
      deepEqual(await rowsOf(connection, 'orders', ['v']), [{ v: '2n' }, { v: '9n' }, { v: '9n' }])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [{ sku: '2' }, { sku: '9' }])
    })
  },

  async 'with both keys rows that match either are replaced'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders({ ...KEY, day: { data_type: 'text', merge_key: true, nullable: false } })
      const load = async (loadId: string, records: TestRecord[]) =>
        await runLoad(connection, schema, { loadId, records: { orders: records }, tables: MERGE })
      await load(
        '1.1',
        [1, 2, 3, 4].map(id => ({ id, day: ['', 'd1', 'd1', 'd2', 'd3'][id]!, lines: [line(`${id}`)] })),
      ) // id is 1 to 4
      await load('1.2', [
        { id: 3, day: 'd1', lines: [line('new')] },
        { id: 5, day: 'd4' },
      ])
      deepEqual(await rowsOf(connection, 'orders', ['id', 'day']), [
        { id: '3n', day: 'd1' },
        { id: '4n', day: 'd3' },
        { id: '5n', day: 'd4' },
      ])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [{ sku: '4' }, { sku: 'new' }])
    })
  },

  async 'a compound key matches as a whole, and a null in it equals a null'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders({
        shop: { data_type: 'text', primary_key: true },
        day: { data_type: 'text', primary_key: true },
        n: 'bigint',
      })
      const load = async (loadId: string, records: TestRecord[]) =>
        await runLoad(connection, schema, { loadId, records: { orders: records }, tables: MERGE })
      await load('1.1', [
        { shop: 'x', day: 'd1', n: 1 },
        { shop: 'x', n: 2, lines: [line('old')] },
        { shop: 'y', day: 'd1', n: 3 },
      ])
      await load('1.2', [
        { shop: 'x', n: 20 },
        { shop: 'x', n: 21, lines: [line('new')] },
        { shop: 'y', day: 'd2', n: 4 },
      ])
      deepEqual(await rowsOf(connection, 'orders', ['n']), [{ n: '1n' }, { n: '21n' }, { n: '3n' }, { n: '4n' }])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [{ sku: 'new' }])
    })
  },

  async 'without any key merge appends, deletions left out'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders({ id: 'bigint', gone: { data_type: 'bool', hard_delete: true } })
      const load = async (loadId: string, records: TestRecord[]) =>
        await runLoad(connection, schema, { loadId, records: { orders: records }, tables: MERGE })
      await load('1.1', [{ id: 1, lines: [line('a')] }])
      await load('1.2', [
        { id: 1, lines: [line('b')] },
        { id: 2, gone: true, lines: [line('c', 1)] },
      ])
      deepEqual(await rowsOf(connection, 'orders', ['id']), [{ id: '1n' }, { id: '1n' }])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [{ sku: 'a' }, { sku: 'b' }])
    })
  },

  async 'rows that did not arrive are deleted, or marked'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders({ ...KEY, gone_at: 'timestamp' })
      const load = async (
        loadId: string,
        ids: number[],
        deletes: TablePlan['deletes'],
        strategy: TablePlan['strategy'] = 'delete-insert',
      ) =>
        await runLoad(connection, schema, {
          loadId,
          records: { orders: ids.map(id => ({ id, lines: [line(`${id}`, id)] })) },
          tables: [{ table: 'orders', disposition: 'merge', strategy, deletes }],
          committedAt: 1_704_067_200_000_000n + BigInt(Math.round((Number(loadId) - 1) * 10)) * 1_000_000n,
        })
      await load('1.1', [1, 2, 3], undefined)
      await load('1.2', [2, 3, 4], { mode: 'hard' })
      deepEqual(await rowsOf(connection, 'orders', ['id']), [{ id: '2n' }, { id: '3n' }, { id: '4n' }])
      deepEqual(await rowsOf(connection, 'orders__lines__taxes', ['rate']), [{ rate: 2 }, { rate: 3 }, { rate: 4 }])
      const soft = { mode: 'soft', column: 'gone_at' } as const
      await load('1.3', [3], soft)
      await load('1.4', [3, 2], soft)
      deepEqual(await rowsOf(connection, 'orders', ['id', 'gone_at']), [
        { id: '2n', gone_at: null },
        { id: '3n', gone_at: null },
        { id: '4n', gone_at: '2024-01-01T00:00:03.000Z' },
      ])
      await load('1.5', [4], soft, 'insert-only')
      deepEqual(await rowsOf(connection, 'orders', ['id', 'gone_at']), [
        { id: '2n', gone_at: '2024-01-01T00:00:05.000Z' },
        { id: '3n', gone_at: '2024-01-01T00:00:05.000Z' },
        { id: '4n', gone_at: null },
      ])
      await load('1.6', [], { mode: 'hard' })
      deepEqual(await rowsOf(connection, 'orders__lines'), [])
    })
  },

  async 'rows go only with parents that go in the same commit, where others may not be in the table'(destination) {
    await withConnection(destination, async connection => {
      const above = testSchema({
        shops: { columns: KEY, disposition: 'merge' },
        orders: { columns: { ...KEY, _shops_id: 'bigint' }, disposition: 'merge' },
        lines: { columns: { ...KEY, _orders_id: 'bigint' }, disposition: 'merge' },
      })
      const load = async (loadId: string, records: Record<string, TestRecord[]>) => {
        const merge = { disposition: 'merge', strategy: 'delete-insert' } as const
        const orphans = { mode: 'with_parent', column: undefined } as const
        const ofShops = { ...orphans, parent: 'shops', onlyTaken: false, keys: [{ parent: 'id', child: '_shops_id' }] }
        const ofOrders = {
          ...orphans,
          parent: 'orders',
          onlyTaken: true,
          keys: [{ parent: 'id', child: '_orders_id' }],
        }
        await runLoad(connection, above, {
          loadId,
          records,
          tables: [
            { table: 'lines', ...merge, deletes: ofOrders },
            { table: 'orders', ...merge, deletes: ofShops },
            { table: 'shops', ...merge, deletes: { mode: 'hard' } },
          ],
        })
      }
      const lines = [10, 20, 30].map((order, id) => ({ id, _orders_id: order }))
      await load('1.1', {
        shops: [{ id: 1 }, { id: 2 }],
        orders: [
          { id: 10, _shops_id: 1 },
          { id: 20, _shops_id: 2 },
        ],
        lines,
      })
      await load('1.2', { shops: [{ id: 2 }], orders: [], lines: [] })
      deepEqual(await rowsOf(connection, 'orders', ['id']), [{ id: '20n' }])
      deepEqual(await rowsOf(connection, 'lines', ['id']), [{ id: '1n' }, { id: '2n' }])
    })
  },

  async 'rows go with those of their parents, or are marked with them'(destination) {
    await withConnection(destination, async connection => {
      const above = testSchema({
        shops: { columns: { ...KEY, gone_at: 'timestamp' }, disposition: 'merge' },
        orders: { columns: { ...KEY, _shops_id: 'bigint', gone_at: 'timestamp' }, disposition: 'merge' },
      })
      const load = async (loadId: string, shops: number[], orders: TestRecord[], column?: string) => {
        const deletes = column === undefined ? ({ mode: 'hard' } as const) : ({ mode: 'soft', column } as const)
        const orphans = {
          mode: 'with_parent',
          onlyTaken: false,
          parent: 'shops',
          keys: [{ parent: 'id', child: '_shops_id' }],
          column,
        } as const
        await runLoad(connection, above, {
          loadId,
          records: { shops: shops.map(id => ({ id })), orders },
          tables: [
            { table: 'orders', disposition: 'merge', strategy: 'delete-insert', deletes: orphans },
            { table: 'shops', disposition: 'merge', strategy: 'delete-insert', deletes },
          ],
          committedAt: 1_704_067_200_000_000n,
        })
      }
      await load(
        '1.1',
        [1, 2, 3],
        [{ id: 10, _shops_id: 1 }, { id: 20, _shops_id: 2 }, { id: 30, _shops_id: 3 }, { id: 40 }],
      )
      await load('1.2', [2, 3], [])
      deepEqual(await rowsOf(connection, 'orders', ['id']), [{ id: '20n' }, { id: '30n' }, { id: '40n' }])
      await load('1.3', [3], [], 'gone_at')
      const marked = '2024-01-01T00:00:00.000Z'
      deepEqual(await rowsOf(connection, 'orders', ['id', 'gone_at']), [
        { id: '20n', gone_at: marked },
        { id: '30n', gone_at: null },
        { id: '40n', gone_at: null },
      ])
      await load('1.4', [2, 3], [], 'gone_at')
      deepEqual(await rowsOf(connection, 'orders', ['gone_at']), [
        { gone_at: null },
        { gone_at: null },
        { gone_at: null },
      ])
    })
  },

  async 'a merge may add the column that marks deleted rows, and others'(destination) {
    await withConnection(destination, async connection => {
      const load = async (
        loadId: string,
        schema: ReturnType<typeof orders>,
        record: TestRecord,
        plan: Partial<TablePlan>,
      ) =>
        await runLoad(connection, schema, {
          loadId,
          records: { orders: [record] },
          tables: [{ table: 'orders', disposition: 'merge', strategy: 'upsert', ...plan }],
          committedAt: 0n,
        })
      await load('1.1', orders(KEY), { id: 1, lines: [line('a')] }, {})
      const marked = orders({ ...KEY, gone_at: 'timestamp', v: 'text' })
      await load('1.2', marked, { id: 2, v: 'x' }, { deletes: { mode: 'soft', column: 'gone_at' } })
      deepEqual(await rowsOf(connection, 'orders', ['id', 'gone_at', 'v']), [
        { id: '1n', gone_at: '1970-01-01T00:00:00.000Z', v: null },
        { id: '2n', gone_at: null, v: 'x' },
      ])
    })
  },

  async 'too many deletions stop the commit'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders(KEY)
      const load = async (loadId: string, ids: number[], maxDeleteShare: number) =>
        await runLoad(connection, schema, {
          loadId,
          records: { orders: ids.map(id => ({ id })) },
          tables: [
            {
              table: 'orders',
              disposition: 'merge',
              strategy: 'delete-insert',
              deletes: { mode: 'hard' },
              maxDeleteShare,
            },
          ],
        })
      await load('1.1', [1, 2, 3, 4], 0)
      await rejects(load('1.2', [1, 5], 0.5), { code: 'too_many_deletes' })
      deepEqual((await rowsOf(connection, 'orders')).length, 4)
      deepEqual(await connection.hasLoad('1.2'), false)
      await load('1.3', [1, 2, 5], 0.5)
      deepEqual(await rowsOf(connection, 'orders', ['id']), [{ id: '1n' }, { id: '2n' }, { id: '5n' }])
    })
  },
}
