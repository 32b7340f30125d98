import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { duckdb } from '../../src/destinations/duckdb/duckdb.js'
import type { ColumnBatch } from '../../src/model/batch.js'
import type { Connection, Load, TablePlan } from '../../src/model/destination.js'
import { commitPlan, runLoad, testSchema, withConnection } from '../../src/testing/testDataset.js'

let folder: string
let files = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-head-start-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})
const freshPath = (): string => join(folder, `${files++}.duckdb`)

const ROWS_A_BATCH = 250_000
/** Enough for two statements while rows arrive, and rows that are left for the commit. */
const BATCHES = 5

/** Rows `id` 0, 1, … of batch `number`, with row ids of their own. */
function batch(number: number, firstId = number * ROWS_A_BATCH): ColumnBatch {
  const ids = new BigInt64Array(ROWS_A_BATCH)
  const texts = Buffer.alloc(ROWS_A_BATCH * 14)
  const loads = Buffer.alloc(ROWS_A_BATCH * 7)
  for (let row = 0; row < ROWS_A_BATCH; row++) {
    ids[row] = BigInt(firstId + row)
    texts.writeUInt32LE(10, row * 14)
    texts.write(`${number}x${String(row).padStart(8, '0')}`, row * 14 + 4)
    loads.writeUInt32LE(3, row * 7)
    loads.write('2.1', row * 7 + 4)
  }
  const whole = { count: ROWS_A_BATCH, validity: undefined }
  const columns = [
    { name: 'id', dataType: 'bigint', values: new Uint8Array(ids.buffer), ...whole },
    { name: '_dlt_load_id', dataType: 'text', values: loads, ...whole },
    { name: '_dlt_id', dataType: 'text', values: texts, ...whole },
  ] as const
  return { table: 'orders', rows: ROWS_A_BATCH, columns }
}

const WIDE_ROWS = 100
const WIDE_TEXT = 100_000

/** Rows of one long text each. */
function wideBatch(): ColumnBatch {
  const texts = Buffer.alloc(WIDE_ROWS * (4 + WIDE_TEXT), 'text')
  const ids = Buffer.alloc(WIDE_ROWS * 18)
  for (let row = 0; row < WIDE_ROWS; row++) {
    texts.writeUInt32LE(WIDE_TEXT, row * (4 + WIDE_TEXT))
    ids.writeUInt32LE(14, row * 18)
    ids.write(String(wideRows++).padStart(14, '0'), row * 18 + 4)
  }
  const whole = { count: WIDE_ROWS, validity: undefined, dataType: 'text' } as const
  return {
    table: 'texts',
    rows: WIDE_ROWS,
    columns: [
      { name: 'text', values: texts, ...whole },
      { name: '_dlt_load_id', values: ids, ...whole },
      { name: '_dlt_id', values: ids, ...whole },
    ],
  }
}
let wideRows = 0

const schema = testSchema({
  orders: { columns: { id: { data_type: 'bigint', primary_key: true } }, disposition: 'merge' },
})
const MERGE = [{ table: 'orders', disposition: 'merge', strategy: 'delete-insert' }] as const

async function stageAll(load: Load, batches = BATCHES): Promise<void> {
  for (let number = 0; number < batches; number++) await load.stage(batch(number), schema)
}

async function commit(load: Load, tables: readonly TablePlan[] = MERGE): Promise<void> {
  await load.commit(commitPlan(schema, { loadId: '2.1', tables }))
}

const begin = (connection: Connection): Promise<Load> => connection.begin({ loadId: '2.1', pipeline: 'p' })

describe('rows that are put in while others arrive', () => {
  test('are there where one vector of their texts is larger than what DuckDB gets for narrow rows', async () => {
    const wide = testSchema({ texts: { columns: { text: { data_type: 'text' } }, disposition: 'append' } })
    await withConnection(duckdb(freshPath()), async connection => {
      const load = await begin(connection)
      for (let number = 0; number < 30; number++) await load.stage(wideBatch(), wide)
      await load.commit(commitPlan(wide, { loadId: '2.1', tables: [{ table: 'texts', disposition: 'append' }] }))
      expect(load.notes?.()).not.toHaveProperty('headStartLost')
      expect(await connection.count('texts')).toBe(30 * WIDE_ROWS)
    })
  })

  test('go into the file at once where their texts are long, and not through the log', async () => {
    const path = freshPath()
    const wide = testSchema({ texts: { columns: { text: { data_type: 'text' } }, disposition: 'append' } })
    const batches = 4
    await withConnection(duckdb(path), async connection => {
      const load = await begin(connection)
      for (let number = 0; number < batches; number++) await load.stage(wideBatch(), wide)
      await load.commit(commitPlan(wide, { loadId: '2.1', tables: [{ table: 'texts', disposition: 'append' }] }))
      expect((await stat(path)).size).toBeGreaterThan(batches * WIDE_ROWS * WIDE_TEXT)
      expect((await stat(`${path}.wal`).catch(() => ({ size: 0 }))).size).toBe(0)
    })
  })

  test('are there after the commit, each once', async () => {
    await withConnection(duckdb(freshPath()), async connection => {
      const load = await begin(connection)
      await stageAll(load)
      await commit(load)
      expect(await connection.count('orders')).toBe(BATCHES * ROWS_A_BATCH)
      expect(await connection.hasLoad('2.1')).toBe(true)
    })
  })

  test('are in the file before the commit, in whole row groups', async () => {
    const path = freshPath()
    await withConnection(duckdb(path), async connection => {
      const load = await begin(connection)
      await stageAll(load)
      await expect.poll(async () => (await stat(path)).size, { timeout: 20_000 }).toBeGreaterThan(2 ** 20)
      await commit(load)
      const other = await (await DuckDBInstance.fromCache(path)).connect()
      try {
        const groups = `SELECT max(rows), count(*)::INTEGER FROM (SELECT sum("count")::INTEGER AS rows FROM
          pragma_storage_info('${connection.dataset}.orders') WHERE column_name = 'id' AND segment_type <> 'VALIDITY' GROUP BY row_group_id)`
        const whole = 122_880
        expect((await other.runAndReadAll(groups)).getRows()[0]).toEqual([
          whole,
          Math.ceil((BATCHES * ROWS_A_BATCH) / whole),
        ])
      } finally {
        other.closeSync()
      }
    })
  })

  test('may be wide where the program around has little memory for DuckDB: its limit stays', {
    timeout: 180_000,
  }, async () => {
    const path = freshPath()
    const instance = await DuckDBInstance.fromCache(path)
    const other = await instance.connect()
    await other.run("SET memory_limit = '1GiB'")
    const limit = async (): Promise<unknown> =>
      (await other.runAndReadAll("SELECT current_setting('memory_limit')")).getRows()[0]?.[0]
    const names = Array.from({ length: 250 }, (_, index) => `c${index}`)
    const wide = testSchema({
      wide: { columns: Object.fromEntries(names.map(name => [name, 'bigint'])), disposition: 'append' },
    })
    const rows = 10_240
    const { columns } = batch(0)
    const system = columns.slice(1).map(column => ({
      ...column,
      count: rows,
      values: column.values.subarray(0, (column.values.length / ROWS_A_BATCH) * rows),
    }))
    const values = new Uint8Array(BigInt64Array.from({ length: rows }, (_, row) => BigInt(row * row)).buffer)
    const data = names.map(name => ({ name, dataType: 'bigint', values, count: rows, validity: undefined }) as const)
    await withConnection(duckdb(path), async connection => {
      const load = await begin(connection)
      for (let number = 0; number < 14; number++) {
        await load.stage({ table: 'wide', rows, columns: [...data, ...system] }, wide)
      }
      expect(await limit()).toBe('1.0 GiB')
      await load.commit(commitPlan(wide, { loadId: '2.1', tables: [{ table: 'wide', disposition: 'append' }] }))
      expect(await connection.count('wide')).toBe(14 * rows)
      expect(await limit()).toBe('1.0 GiB')
    })
    other.closeSync()
    instance.closeSync()
  })

  test('are gone without one', async () => {
    await withConnection(duckdb(freshPath()), async connection => {
      const load = await begin(connection)
      await stageAll(load)
      await load.abort()
      expect(await connection.inspect()).toEqual(new Map())
    })
  })

  test('give way to the merge when a key arrives twice', async () => {
    await withConnection(duckdb(freshPath()), async connection => {
      const load = await begin(connection)
      await stageAll(load)
      await load.stage(batch(8, 0), schema)
      await commit(load)
      expect(await connection.count('orders')).toBe(BATCHES * ROWS_A_BATCH)
      const query = { table: 'orders', where: [{ column: 'id', operator: '=', value: 7n }] } as const
      for await (const rows of connection.read(query)) expect(rows[0]?._dlt_id).toBe('8x00000007')
    })
  })

  test('replace nothing by themselves where there are rows', async () => {
    await withConnection(duckdb(freshPath()), async connection => {
      await runLoad(connection, schema, { loadId: '1.1', records: { orders: [{ id: 3 }, { id: -1 }] }, tables: MERGE })
      const load = await begin(connection)
      await stageAll(load)
      await commit(load)
      expect(await connection.count('orders')).toBe(BATCHES * ROWS_A_BATCH + 1)
    })
  })

  test('give way to another pipeline of the process, and come with their own commit', async () => {
    await withConnection(duckdb(freshPath()), async connection => {
      const load = await begin(connection)
      await stageAll(load, 3)
      await runLoad(connection, schema, {
        loadId: '1.5',
        pipeline: 'other',
        records: { orders: [{ id: 3 }, { id: -1 }] },
        tables: MERGE,
      })
      await stageAll(load, 1)
      await commit(load)
      expect(await connection.count('orders')).toBe(3 * ROWS_A_BATCH + 1)
    })
  })
})
