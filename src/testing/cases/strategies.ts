import { deepEqual, rejects } from 'node:assert/strict'
import type { Connection, Destination, TablePlan } from '../../model/destination.js'
import type { MergeStrategy, Schema } from '../../schema/schemaTypes.js'
import type { CaseTable } from '../testDataset.js'
import { rowsOf, runLoad, type TestColumns, type TestRecord, testSchema, withConnection } from '../testDataset.js'

const KEY: TestColumns = { id: { data_type: 'bigint', primary_key: true, nullable: false } }
const plan = (strategy: TablePlan['strategy']): readonly TablePlan[] => [
  { table: 'orders', disposition: 'merge', strategy },
]
const lines = (...skus: string[]): TestRecord[] => skus.map(sku => ({ sku }))

function orders(columns: TestColumns, rootKey = true): Schema {
  return testSchema({
    orders: { columns, disposition: 'merge' },
    orders__lines: { columns: { sku: 'text' }, parent: 'orders', rootKey },
  })
}

/** Row ids that follow from the key, as in upsert and insert-only. */
const byKey = (record: TestRecord): string => `key-${String(record.id)}`

const upsert = async (connection: Connection, schema: Schema, loadId: string, records: TestRecord[]): Promise<void> =>
  await runLoad(connection, schema, { loadId, records: { orders: records }, tables: plan('upsert'), rowId: byKey })

/** Keys arrive more than once. `rev` says which record stays, else the last does. */
async function keepsNestedRows(destination: Destination, strategy: MergeStrategy, batchRows?: number): Promise<void> {
  await withConnection(destination, async connection => {
    const schema = testSchema({
      orders: {
        columns: {
          ...KEY,
          rev: { data_type: 'bigint', dedup_sort: 'desc' },
          gone: { data_type: 'bool', hard_delete: true },
        },
        disposition: 'merge',
      },
      orders__lines: { columns: { sku: 'text' }, parent: 'orders' },
      orders__lines__taxes: { columns: { rate: 'double' }, parent: 'orders__lines' },
    })
    const taxed = (...skus: string[]): TestRecord[] =>
      skus.map((sku, at) => ({ sku, taxes: [{ rate: at }, { rate: 9 }] }))
    const load = async (loadId: string, records: TestRecord[]) =>
      await runLoad(connection, schema, {
        loadId,
        records: { orders: records },
        tables: plan(strategy),
        ...(strategy !== 'delete-insert' && { rowId: byKey }),
        ...(batchRows !== undefined && { batchRows }),
      })
    const skus = async () => (await rowsOf(connection, 'orders__lines', ['sku'])).map(({ sku }) => sku)
    const taxes = async () => (await rowsOf(connection, 'orders__lines__taxes')).length
    await load('1.1', [
      { id: 1, rev: 1, lines: taxed('a', 'b', 'c') },
      { id: 2, rev: 2, lines: taxed('kept') },
      { id: 1, rev: 2, lines: taxed('d') },
      { id: 2, rev: 1, lines: taxed('x', 'y') },
    ])
    deepEqual(await skus(), ['d', 'kept'])
    deepEqual(await taxes(), 4)
    await load('1.2', [
      { id: 3, rev: 1, lines: taxed('no') },
      { id: 4, lines: taxed('only') },
      { id: 3, rev: 2 },
      { id: 5, gone: true, lines: taxed('no', 'no') },
      { id: 5 },
      { id: 6, gone: true, lines: taxed('no') },
      { id: 6, lines: [{ sku: 'bare' }, ...taxed('e')] },
      { id: 7, lines: taxed('no') },
      { id: 7, gone: true, lines: taxed('no') },
      { id: 8, rev: 2 },
      { id: 8, rev: 1, lines: taxed('no') },
      { id: 9, lines: [{ sku: 'no' }] },
      { id: 9, lines: taxed('f', 'g') },
      { id: 9, lines: taxed('last') },
    ])
    deepEqual(await skus(), ['bare', 'd', 'e', 'kept', 'last', 'only'])
    deepEqual(await taxes(), 10)
  })
}

export const strategyCases: CaseTable = {
  async 'upsert updates rows and replaces what is nested under them'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders({ ...KEY, v: 'text', w: 'text' })
      await upsert(connection, schema, '1.1', [
        { id: 1, v: 'a', w: 'w', lines: lines('a', 'b') },
        { id: 2, lines: lines('c') },
      ])
      await upsert(connection, schema, '1.2', [
        { id: 1, v: 'b', lines: lines('a2') },
        { id: 3, lines: lines('d') },
      ])
      deepEqual(await rowsOf(connection, 'orders', ['id', 'v', 'w', '_dlt_load_id', '_dlt_id']), [
        { id: '1n', v: 'b', w: null, _dlt_load_id: '1.2', _dlt_id: 'key-1' },
        { id: '2n', v: null, w: null, _dlt_load_id: '1.1', _dlt_id: 'key-2' },
        { id: '3n', v: null, w: null, _dlt_load_id: '1.2', _dlt_id: 'key-3' },
      ])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku', '_dlt_id']), [
        { sku: 'a2', _dlt_id: 'key-1_orders__lines_0' },
        { sku: 'c', _dlt_id: 'key-2_orders__lines_0' },
        { sku: 'd', _dlt_id: 'key-3_orders__lines_0' },
      ])
    })
  },

  async 'upsert keeps one row of a key that arrives twice, also in the first load'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders({ ...KEY, rev: { data_type: 'bigint', dedup_sort: 'desc' }, v: 'text' })
      for (const loadId of ['1.1', '1.2']) {
        await upsert(connection, schema, loadId, [
          { id: 1, rev: 2, v: `new ${loadId}`, lines: lines('a') },
          { id: 1, rev: 1, v: 'old', lines: lines('a') },
        ])
        deepEqual(await rowsOf(connection, 'orders', ['v']), [{ v: `new ${loadId}` }])
        deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [{ sku: 'a' }])
      }
    })
  },

  async 'upsert: nested rows come with the record of their key that stays'(destination) {
    await keepsNestedRows(destination, 'upsert')
  },

  async 'upsert: nested rows come with the record of their key that stays, over batches too'(destination) {
    await keepsNestedRows(destination, 'upsert', 3)
  },

  async 'insert-only: nested rows come with the record of their key that stays'(destination) {
    await keepsNestedRows(destination, 'insert-only')
  },

  async 'delete-insert: nested rows come with the record of their key that stays'(destination) {
    await keepsNestedRows(destination, 'delete-insert')
  },

  async 'upsert deletes what is marked as deleted and does not insert it'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders({ ...KEY, gone: { data_type: 'bool', hard_delete: true } })
      await upsert(connection, schema, '1.1', [
        { id: 1, lines: lines('a') },
        { id: 2, lines: lines('b') },
        { id: 7, gone: true, lines: lines('no') },
      ])
      await upsert(connection, schema, '1.2', [
        { id: 1, gone: true, lines: lines('x') },
        { id: 9, gone: true },
        { id: 2, gone: true },
        { id: 2, gone: false, lines: lines('b2') },
      ])
      deepEqual(await rowsOf(connection, 'orders', ['id', '_dlt_load_id']), [{ id: '2n', _dlt_load_id: '1.2' }])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [{ sku: 'b2' }])
    })
  },

  async 'upsert after another strategy leaves no orphans'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders(KEY)
      await runLoad(connection, schema, {
        loadId: '1.1',
        records: { orders: [{ id: 1, lines: lines('a', 'b') }] },
        tables: plan('delete-insert'),
      })
      await upsert(connection, schema, '1.2', [{ id: 1, lines: lines('c') }])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [{ sku: 'c' }])
    })
  },

  async 'upsert matches a null in a key with a null'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders({ id: { data_type: 'bigint', primary_key: true }, v: 'text' })
      await upsert(connection, schema, '1.1', [{ v: 'a' }])
      await upsert(connection, schema, '1.2', [{ v: 'b' }])
      deepEqual(await rowsOf(connection, 'orders', ['id', 'v']), [{ id: null, v: 'b' }])
    })
  },

  async 'insert-only leaves existing keys alone'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders({ ...KEY, v: 'text', gone: { data_type: 'bool', hard_delete: true } })
      const load = async (loadId: string, records: TestRecord[]) =>
        await runLoad(connection, schema, {
          loadId,
          records: { orders: records },
          tables: plan('insert-only'),
          rowId: byKey,
        })
      await load('1.1', [{ id: 1, v: 'first', lines: lines('a') }])
      await load('1.2', [
        { id: 1, v: 'second', lines: lines('z') },
        { id: 2, v: 'new', lines: lines('c') },
        { id: 2, v: 'newer', lines: lines('c') },
        { id: 3, gone: true, lines: lines('no') },
      ])
      deepEqual(await rowsOf(connection, 'orders', ['id', 'v']), [
        { id: '1n', v: 'first' },
        { id: '2n', v: 'newer' },
      ])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [{ sku: 'a' }, { sku: 'c' }])
    })
  },

  async 'insert-only leaves what is nested under an existing key alone'(destination) {
    await withConnection(destination, async connection => {
      const schema = orders({ ...KEY, v: 'text' })
      const load = async (loadId: string, records: TestRecord[]) =>
        await runLoad(connection, schema, {
          loadId,
          records: { orders: records },
          tables: plan('insert-only'),
          rowId: byKey,
        })
      await load('1.1', [{ id: 1, v: 'first', lines: lines('a') }, { id: 2 }])
      await load('1.2', [
        { id: 1, v: 'second', lines: lines('x', 'y', 'z') },
        { id: 2, lines: lines('x') },
        { id: 3, lines: lines('b', 'c') },
      ])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku', '_dlt_parent_id']), [
        { sku: 'a', _dlt_parent_id: 'key-1' },
        { sku: 'b', _dlt_parent_id: 'key-3' },
        { sku: 'c', _dlt_parent_id: 'key-3' },
      ])
    })
  },

  async 'strategies that need a primary key say so'(destination) {
    await withConnection(destination, async connection => {
      await rejects(upsert(connection, orders({ id: 'bigint' }), '1.1', [{ id: 1 }]), {
        code: 'schema',
        message: /primary key/,
      })
      deepEqual((await connection.inspect()).has('orders'), false)
    })
  },

  async 'scd2 keeps every version'(destination) {
    await withConnection(destination, async connection => {
      const load = versions(connection, versioned({ id: 'bigint', city: 'text' }))
      const first = [
        { id: 1, city: 'Rome' },
        { id: 2, city: 'Oslo' },
      ]
      await load('1.1', '2024-01-01', first)
      await load('1.2', '2024-02-01', [
        { id: 1, city: 'Riga' },
        { id: 2, city: 'Oslo' },
      ])
      await load('1.3', '2024-03-01', [{ id: 1, city: 'Riga' }])
      await load('1.4', '2024-04-01', [...first, ...first])
      deepEqual(await history(connection), [
        'Oslo 2024-01-01 2024-03-01 1.1',
        'Oslo 2024-04-01 - 1.4',
        'Riga 2024-02-01 2024-04-01 1.2',
        'Rome 2024-01-01 2024-02-01 1.1',
        'Rome 2024-04-01 - 1.4',
      ])
    })
  },

  async 'scd2 with a merge key retires only keys that arrived; a live row may carry a time'(destination) {
    await withConnection(destination, async connection => {
      const load = versions(
        connection,
        versioned(
          { a: { data_type: 'text', merge_key: true }, b: { data_type: 'text', merge_key: true }, city: 'text' },
          '9999-12-31',
        ),
      )
      await load('1.1', '2024-01-01', [
        { a: 'a', b: 'bc', city: 'Rome' },
        { a: 'ab', b: 'c', city: 'Oslo' },
      ])
      await load('1.2', '2024-02-01', [{ a: 'ab', b: 'c', city: 'Riga' }])
      deepEqual(await history(connection), [
        'Oslo 2024-01-01 2024-02-01 1.1',
        'Riga 2024-02-01 9999-12-31 1.2',
        'Rome 2024-01-01 9999-12-31 1.1',
      ])
    })
  },

  async 'scd2 that keeps what is absent retires only versions whose primary key arrived'(destination) {
    const ended = ['Oslo 2024-01-01 - 1.1', 'Riga 2024-02-01 - 1.2', 'Rome 2024-01-01 2024-02-01 1.1']
    deepEqual(await keepingAbsent(destination, { primary_key: true }), ended)
  },

  async 'scd2 that keeps what is absent goes by a merge key that no two live rows share'(destination) {
    const ended = ['Oslo 2024-01-01 - 1.1', 'Riga 2024-02-01 - 1.2', 'Rome 2024-01-01 2024-02-01 1.1']
    deepEqual(await keepingAbsent(destination, { merge_key: true }), ended)
  },

  async 'scd2 that keeps what is absent retires nothing without a key'(destination) {
    const kept = ['Oslo 2024-01-01 - 1.1', 'Riga 2024-02-01 - 1.2', 'Rome 2024-01-01 - 1.1']
    deepEqual(await keepingAbsent(destination, {}), kept)
  },

  async 'scd2 stores nested rows once for each version, never without their root'(destination) {
    await withConnection(destination, async connection => {
      const load = versions(connection, versioned({ id: 'bigint', city: 'text' }))
      const rome = { id: 1, city: 'Rome', lines: lines('a', 'b') }
      await load('1.1', '2024-01-01', [rome, rome])
      await load('1.2', '2024-02-01', [{ id: 1, city: 'Riga', lines: lines('c') }])
      await load('1.3', '2024-03-01', [rome])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku', '_dlt_parent_id']), [
        { sku: 'a', _dlt_parent_id: 'hash-Rome' },
        { sku: 'b', _dlt_parent_id: 'hash-Rome' },
        { sku: 'c', _dlt_parent_id: 'hash-Riga' },
      ])
    })
  },

  async 'scd2 keeps all rows that the user gave one version, and a row that arrives twice once'(destination) {
    await withConnection(destination, async connection => {
      const schema = testSchema({
        orders: {
          columns: {
            _dlt_valid_from: { data_type: 'timestamp', 'x-valid-from': true },
            _dlt_valid_to: { data_type: 'timestamp', 'x-valid-to': true, 'x-active-record-timestamp': null },
            id: 'bigint',
            city: 'text',
            version: { data_type: 'bigint', 'x-row-version': true },
          },
          disposition: 'merge',
        },
      })
      const records = [
        { id: 1, city: 'Rome', version: 1 },
        { id: 2, city: null, version: 1 },
        { id: 2, city: null, version: 1 },
        { id: 1, city: 'Rome', version: 1 },
      ]
      for (const loadId of ['1.1', '1.2']) {
        await runLoad(connection, schema, {
          loadId,
          records: { orders: records },
          tables: [{ table: 'orders', disposition: 'merge', strategy: 'scd2' }],
        })
        deepEqual(await rowsOf(connection, 'orders', ['id', 'city', '_dlt_load_id', '_dlt_valid_to']), [
          { id: '1n', city: 'Rome', _dlt_load_id: '1.1', _dlt_valid_to: null },
          { id: '2n', city: null, _dlt_load_id: '1.1', _dlt_valid_to: null },
        ])
      }
    })
  },

  async 'scd2 with a version of the user does not orphan nested rows of unchanged rows'(destination) {
    await withConnection(destination, async connection => {
      const schema = testSchema({
        orders: {
          columns: {
            _dlt_valid_from: { data_type: 'timestamp', 'x-valid-from': true },
            _dlt_valid_to: { data_type: 'timestamp', 'x-valid-to': true, 'x-active-record-timestamp': null },
            city: 'text',
            version: { data_type: 'text', 'x-row-version': true },
          },
          disposition: 'merge',
        },
        orders__lines: { columns: { sku: 'text' }, parent: 'orders', rootKey: false },
      })
      for (const loadId of ['1.1', '1.2']) {
        const records = { orders: [{ city: 'Rome', version: 'v1', lines: lines('a') }] }
        await runLoad(connection, schema, {
          loadId,
          records,
          tables: [{ table: 'orders', disposition: 'merge', strategy: 'scd2', boundary: 1n }],
        })
      }
      deepEqual((await rowsOf(connection, 'orders')).length, 1)
      deepEqual(await rowsOf(connection, 'orders__lines', ['_dlt_parent_id']), [{ _dlt_parent_id: '1.1/orders/0' }])
    })
  },
}

function versioned(columns: TestColumns, active: string | null = null): Schema {
  return orders(
    {
      _dlt_valid_from: { data_type: 'timestamp', 'x-valid-from': true },
      _dlt_valid_to: { data_type: 'timestamp', 'x-valid-to': true, 'x-active-record-timestamp': active },
      ...columns,
      _dlt_id: { data_type: 'text', nullable: false, unique: true, row_key: true, 'x-row-version': true },
    },
    false,
  )
}

/** Loads with the content as the row's id, as in scd2. */
function versions(connection: Connection, schema: Schema, more: Partial<TablePlan> = {}) {
  return async (loadId: string, boundary: string, records: TestRecord[]): Promise<void> =>
    await runLoad(connection, schema, {
      loadId,
      records: { orders: records },
      rowId: record => `hash-${String(record.city)}`,
      tables: [
        {
          table: 'orders',
          disposition: 'merge',
          strategy: 'scd2',
          boundary: BigInt(Date.parse(boundary)) * 1000n,
          ...more,
        },
      ],
    })
}

/** The history after a second list, which may lack rows, brought one of two records with another content. */
async function keepingAbsent(
  destination: Destination,
  hint: { readonly primary_key?: true; readonly merge_key?: true },
): Promise<string[]> {
  return await withConnection(destination, async connection => {
    const schema = versioned({ id: { data_type: 'bigint', ...hint }, city: 'text' })
    const load = versions(connection, schema, { keepsAbsent: true })
    await load('1.1', '2024-01-01', [
      { id: 1, city: 'Rome' },
      { id: 2, city: 'Oslo' },
    ])
    await load('1.2', '2024-02-01', [{ id: 1, city: 'Riga' }])
    return await history(connection)
  })
}

async function history(connection: Connection): Promise<string[]> {
  const rows = await rowsOf(connection, 'orders', ['city', '_dlt_valid_from', '_dlt_valid_to', '_dlt_load_id'])
  const day = (value: unknown): string => (value === null ? '-' : String(value).slice(0, 10))
  return rows.map(row => `${row.city} ${day(row._dlt_valid_from)} ${day(row._dlt_valid_to)} ${row._dlt_load_id}`)
}
