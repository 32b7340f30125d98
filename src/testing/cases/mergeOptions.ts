import { deepEqual, rejects } from 'node:assert/strict'
import type { Connection, Destination, TablePlan } from '../../model/destination.js'
import type { MergeStrategy, Schema } from '../../schema/schemaTypes.js'
import type { CaseTable } from '../testDataset.js'
import { rowsOf, runLoad, type TestColumns, type TestRecord, testSchema, withConnection } from '../testDataset.js'

const KEY: TestColumns = { id: { data_type: 'bigint', primary_key: true, nullable: false } }
const VALIDITY: TestColumns = {
  _dlt_valid_from: { data_type: 'timestamp', 'x-valid-from': true },
  _dlt_valid_to: { data_type: 'timestamp', 'x-valid-to': true, 'x-active-record-timestamp': null },
}

const lines = (...skus: string[]): TestRecord[] => skus.map(sku => ({ sku }))

function orders(columns: TestColumns): Schema {
  return testSchema({
    orders: { columns, disposition: 'merge' },
    orders__lines: { columns: { sku: 'text' }, parent: 'orders' },
  })
}

/** Loads records into one table by one plan. The ids of rows follow from the key, as the strategy wants it. */
class Merge {
  readonly #connection: Connection
  readonly #schema: Schema
  readonly #plan: Omit<TablePlan, 'table' | 'disposition'>
  #loads = 0

  constructor(connection: Connection, columns: TestColumns, plan: Omit<TablePlan, 'table' | 'disposition'>) {
    this.#connection = connection
    this.#schema = orders(columns)
    this.#plan = plan
  }

  async load(records: readonly TestRecord[], plan: Partial<TablePlan> = {}): Promise<void> {
    this.#loads += 1
    const { strategy } = this.#plan
    await runLoad(this.#connection, this.#schema, {
      loadId: `1.${this.#loads}`,
      records: { orders: records },
      tables: [{ table: 'orders', disposition: 'merge', ...this.#plan, ...plan }],
      ...((strategy === 'upsert' || strategy === 'cdc') && { rowId: record => `key-${String(record.id)}` }),
      ...(strategy === 'scd2' && { rowId: record => `hash-${String(record.id)}-${String(record.v)}` }),
      committedAt: BigInt(this.#loads) * 1_000_000n,
    })
  }

  /** Id, value and load of each row. */
  async rows(): Promise<readonly string[]> {
    const rows = await rowsOf(this.#connection, 'orders', ['id', 'v', '_dlt_load_id'])
    return rows.map(({ id, v, _dlt_load_id }) => `${String(id).slice(0, -1)} ${v} ${_dlt_load_id}`)
  }

  /** Id and value of the rows that scd2 has ended. */
  async ended(): Promise<readonly string[]> {
    const rows = await rowsOf(this.#connection, 'orders', ['id', 'v', '_dlt_valid_to'])
    return rows.filter(row => row._dlt_valid_to !== null).map(({ id, v }) => `${String(id).slice(0, -1)} ${v}`)
  }

  async lines(): Promise<readonly unknown[]> {
    return (await rowsOf(this.#connection, 'orders__lines', ['sku'])).map(({ sku }) => sku)
  }
}

async function merging(
  destination: Destination,
  columns: TestColumns,
  plan: Omit<TablePlan, 'table' | 'disposition'>,
  work: (merge: Merge) => Promise<void>,
): Promise<void> {
  await withConnection(destination, async connection => await work(new Merge(connection, columns, plan)))
}

const FILTERED: TestColumns = { ...KEY, v: 'text', status: 'text' }

/** Ids follow from the key, or not. */
async function filters(destination: Destination, strategy: MergeStrategy): Promise<void> {
  await merging(destination, FILTERED, { strategy, sourceFilter: "status <> 'draft' -- a comment" }, async merge => {
    await merge.load([
      { id: 1, v: 'a', status: 'open', lines: lines('a') },
      { id: 2, v: 'b', status: 'draft', lines: lines('no') },
      { id: 3, v: 'c', lines: lines('no') },
      { id: 4, v: 'd', status: 'open', lines: lines('d') },
      { id: 4, v: 'no', status: 'draft', lines: lines('no', 'no') },
    ])
    deepEqual(await merge.rows(), ['1 a 1.1', '4 d 1.1'])
    deepEqual(await merge.lines(), ['a', 'd'])
    await merge.load([
      { id: 1, v: 'no', status: 'draft', lines: lines('no', 'no') },
      { id: 2, v: 'B', status: 'open', lines: lines('b') },
      { id: 4, v: 'no', status: 'draft', lines: lines('no') },
      { id: 4, v: 'D', status: 'open', lines: lines('D') },
    ])
    deepEqual(await merge.rows(), [...(strategy === 'cdc' ? [] : ['1 a 1.1']), '2 B 1.2', '4 D 1.2'])
    deepEqual(await merge.lines(), strategy === 'cdc' ? ['D', 'b'] : ['D', 'a', 'b'])
    await merge.load([{ id: 1, v: 'no', status: 'draft' }])
    deepEqual(await merge.rows(), strategy === 'cdc' ? [] : ['1 a 1.1', '2 B 1.2', '4 D 1.2'])
  })
}

/** Strategies and their options. A strategy that the destination does not have takes no part. */
export const mergeOptionCases: Readonly<Partial<Record<MergeStrategy, CaseTable>>> = {
  'delete-insert': {
    async 'delete-insert: a source filter leaves rows out, with what is nested in them'(destination) {
      await filters(destination, 'delete-insert')
    },

    async 'delete-insert: a scope says which rows go, and everything that arrived comes'(destination) {
      const scope = '{table}.day IN (SELECT day FROM {staging_table})'
      const columns = { ...KEY, v: 'text', day: 'bigint' } as const
      await merging(destination, columns, { strategy: 'delete-insert', destinationScope: scope }, async merge => {
        await merge.load([
          { id: 1, v: 'a', day: 1, lines: lines('a') },
          { id: 2, v: 'b', day: 2, lines: lines('b') },
          { id: 3, v: 'c', day: 2, lines: lines('c') },
        ])
        await merge.load([{ id: 4, v: 'd', day: 2, lines: lines('d') }])
        deepEqual(await merge.rows(), ['1 a 1.1', '4 d 1.2'])
        deepEqual(await merge.lines(), ['a', 'd'])
        await rejects(merge.load([{ id: 1, v: 'A', day: 7 }], { destinationScope: 'day < 9', maxDeleteShare: 0.4 }), {
          code: 'too_many_deletes',
        })
        deepEqual(await merge.rows(), ['1 a 1.1', '4 d 1.2'])
      })
    },

    async 'a condition that the engine does not take is an error with its words'(destination) {
      await merging(destination, FILTERED, { strategy: 'delete-insert' }, async merge => {
        await merge.load([{ id: 1 }])
        await rejects(merge.load([{ id: 1 }], { sourceFilter: 'colour = 3' }), {
          code: 'schema',
          message: /write_disposition\.source_filter .*colour/s,
        })
        await rejects(merge.load([{ id: 1 }], { destinationScope: 'id <' }), {
          code: 'schema',
          message: /write_disposition\.destination_scope/,
        })
      })
    },
  },

  upsert: {
    async 'upsert: a source filter leaves rows out, with what is nested in them'(destination) {
      await filters(destination, 'upsert')
    },

    async 'upsert leaves rows alone that did not change'(destination) {
      const columns = {
        ...KEY,
        v: 'text',
        tags: 'json',
        gone: { data_type: 'bool', hard_delete: true },
      } as const
      await merging(destination, columns, { strategy: 'upsert', skipUnchanged: true }, async merge => {
        await merge.load([
          { id: 1, v: 'a', tags: '["x"]', lines: lines('a') },
          { id: 2, v: 'b', gone: false },
          { id: 3, lines: lines('c') },
        ])
        await merge.load([
          { id: 1, v: 'a', tags: '["x"]', lines: lines('A') },
          { id: 2, v: 'B', gone: null },
          { id: 3, lines: lines('c') },
          { id: 4, v: 'd' },
        ])
        deepEqual(await merge.rows(), ['1 a 1.1', '2 B 1.2', '3 null 1.1', '4 d 1.2'])
        deepEqual(await merge.lines(), ['A', 'c'])
        await merge.load([{ id: 3, v: 'c' }, { id: 1 }, { id: 2, v: 'B', gone: true }])
        deepEqual(await merge.rows(), ['1 null 1.3', '3 c 1.3', '4 d 1.2'])
      })
    },

    async 'upsert compares only the version of a row, where it has one'(destination) {
      const columns = { ...KEY, v: 'text', rev: { data_type: 'bigint', 'x-row-version': true } } as const
      await merging(destination, columns, { strategy: 'upsert', skipUnchanged: true }, async merge => {
        await merge.load([
          { id: 1, v: 'a', rev: 1 },
          { id: 2, v: 'b', rev: 1 },
        ])
        await merge.load([
          { id: 1, v: 'A', rev: 1 },
          { id: 2, v: 'b', rev: 2 },
        ])
        deepEqual(await merge.rows(), ['1 a 1.1', '2 b 1.2'])
      })
    },
  },

  cdc: {
    async 'cdc deletes rows whose key did not arrive, with what is nested under them'(destination) {
      const columns = { ...KEY, v: 'text', gone: { data_type: 'bool', hard_delete: true } } as const
      await merging(destination, columns, { strategy: 'cdc' }, async merge => {
        await merge.load([
          { id: 1, v: 'a', lines: lines('a') },
          { id: 2, v: 'b', lines: lines('b') },
          { id: 3, v: 'c', lines: lines('c') },
        ])
        await merge.load([
          { id: 2, v: 'B', lines: lines('B', 'BB') },
          { id: 3, gone: true },
          { id: 4, v: 'd' },
          { id: 5, gone: true },
        ])
        deepEqual(await merge.rows(), ['2 B 1.2', '4 d 1.2'])
        deepEqual(await merge.lines(), ['B', 'BB'])
        await rejects(merge.load([{ id: 4, v: 'D' }], { maxDeleteShare: 0.4 }), { code: 'too_many_deletes' })
        deepEqual(await merge.rows(), ['2 B 1.2', '4 d 1.2'])
        await merge.load([{ id: 4, v: 'd' }], { skipUnchanged: true })
        deepEqual(await merge.rows(), ['4 d 1.2'])
      })
    },

    async 'cdc: a source filter leaves rows out, which then count as gone'(destination) {
      await filters(destination, 'cdc')
    },

    async 'cdc with a merge key deletes only in the groups that arrived, with a scope only in it'(destination) {
      const columns = { ...KEY, v: 'text', day: { data_type: 'bigint', merge_key: true } } as const
      await merging(destination, columns, { strategy: 'cdc' }, async merge => {
        await merge.load([1, 2, 3, 4].map(id => ({ id, v: 'a', day: Math.ceil(id / 2), lines: lines(`${id}`) })))
        await merge.load([{ id: 1, v: 'b', day: 1 }])
        deepEqual(await merge.rows(), ['1 b 1.2', '3 a 1.1', '4 a 1.1'])
        await merge.load([{ id: 1, v: 'c', day: 1 }], { destinationScope: 'id > 3' })
        deepEqual(await merge.rows(), ['1 c 1.3', '3 a 1.1'])
        deepEqual(await merge.lines(), ['3'])
      })
    },
  },

  scd2: {
    async 'scd2: a source filter leaves rows out, a scope says which versions may end'(destination) {
      const columns = {
        ...VALIDITY,
        ...FILTERED,
        _dlt_id: { data_type: 'text', nullable: false, 'x-row-version': true },
      } as const
      const plan = { strategy: 'scd2', sourceFilter: "status <> 'draft'", destinationScope: 'id <> 3' } as const
      await merging(destination, columns, plan, async merge => {
        const first = [1, 2, 3, 4].map(id => ({ id, v: 'a', status: 'open', lines: lines(`${id}`) }))
        await merge.load([...first, { id: 5, v: 'a', status: 'draft', lines: lines('no') }])
        await merge.load([
          { id: 1, v: 'a', status: 'open', lines: lines('1') },
          { id: 2, v: 'b', status: 'open' },
          { id: 4, v: 'b', status: 'draft', lines: lines('no') },
        ])
        deepEqual(await merge.rows(), ['1 a 1.1', '2 a 1.1', '2 b 1.2', '3 a 1.1', '4 a 1.1'])
        deepEqual(await merge.lines(), ['1', '2', '3', '4'])
        deepEqual(await merge.ended(), ['2 a', '4 a'])
      })
    },
  },
}
