import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { deflateSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { duckdb } from '../../src/destinations/duckdb/duckdb.js'
import type { ColumnSchema } from '../../src/schema/schemaTypes.js'
import {
  commitPlan,
  rowsOf,
  runLoad,
  stageRecords,
  testSchema,
  testState,
  withConnection,
} from '../../src/testing/testDataset.js'
import { newerFile } from './newerFile.js'

let folder: string
let files = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-duckdb-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})
const freshPath = (): string => join(folder, `${files++}.duckdb`)
const schema = testSchema({ orders: { columns: { id: 'bigint' } } })
const APPEND = [{ table: 'orders', disposition: 'append' }] as const

function startLoad(path: string, loadId: string, rows: number, moment: string): ChildProcess {
  const script = fileURLToPath(new URL('./processes/load.ts', import.meta.url))
  const root = fileURLToPath(new URL('../..', import.meta.url))
  return spawn(process.execPath, ['--import', 'tsx', script, path, loadId, String(rows), moment], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

async function line(child: ChildProcess, wanted: string): Promise<void> {
  const lines = createInterface({ input: child.stdout! }) // piped above
  for await (const text of lines) if (text === wanted) return
  throw new Error(`the process ended before it said ${wanted}`)
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

describe('a file that was made for a run', () => {
  const there = (path: string): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false,
    )
  const orders = { records: { orders: [{ id: 1 }] }, tables: APPEND }

  test('is gone when nothing was committed', async () => {
    const path = freshPath()
    await withConnection(duckdb(path), async connection => {
      const load = await connection.begin({ loadId: '1.1', pipeline: 'p' })
      await stageRecords(batch => load.stage(batch, schema), schema, { loadId: '1.1', ...orders })
      expect(await there(path)).toBe(true)
      await load.abort()
    })
    expect(await there(path)).toBe(false)
  })

  test('stays when something was, or when it was there before', async () => {
    const path = freshPath()
    await withConnection(duckdb(path), connection => runLoad(connection, schema, { loadId: '1.1', ...orders }))
    expect(await there(path)).toBe(true)
    const before = freshPath()
    ;(await DuckDBInstance.create(before)).closeSync()
    await withConnection(duckdb(before), connection => connection.inspect())
    expect(await there(before)).toBe(true)
  })

  test('stays while another connection of the process may still commit into it', async () => {
    const path = freshPath()
    await withConnection(duckdb(path), async other => {
      await withConnection(duckdb(path), connection => connection.inspect())
      await runLoad(other, schema, { loadId: '1.1', ...orders })
    })
    await withConnection(duckdb(path), async connection => {
      expect(await rowsOf(connection, 'orders', ['id'])).toEqual([{ id: '1n' }])
    })
  })
})

describe('a killed process', () => {
  test('while staging leaves the destination as it was, and its files are gone with the next load', async () => {
    const path = freshPath()
    await withConnection(duckdb(path), async connection => {
      await runLoad(connection, schema, { loadId: '1.1', records: { orders: [{ id: 1 }] }, tables: APPEND })
    })
    const child = startLoad(path, '1.2', 10, 'stage')
    await line(child, 'staged')
    child.kill('SIGKILL')
    await ended(child)
    expect(await readdir(`${path}.staging`)).toHaveLength(1)
    await withConnection(duckdb(path), async connection => {
      expect(await rowsOf(connection, 'orders', ['id'])).toEqual([{ id: '1n' }])
      expect(await connection.hasLoad('1.2')).toBe(false)
      await runLoad(connection, schema, { loadId: '1.2', records: { orders: [{ id: 2 }] }, tables: APPEND })
      expect(await connection.count('orders')).toBe(2)
    })
    await expect(stat(`${path}.staging`)).rejects.toThrow(/ENOENT/)
  })

  test('at any moment of a commit leaves all of it or nothing', async () => {
    const path = freshPath()
    const first = startLoad(path, '1.1', 1000, 'never')
    await line(first, 'committed')
    await ended(first)
    const outcomes = new Set<boolean>()
    let last = '1.1'
    for (const [index, moment] of ['0', '15', '40', '80', '160', 'never'].entries()) {
      const loadId = `1.${index + 2}`
      const child = startLoad(path, loadId, 30_000, moment)
      await ended(child)
      await withConnection(duckdb(path), async connection => {
        const done = await connection.hasLoad(loadId)
        if (moment === 'never') expect(done).toBe(true)
        outcomes.add(done)
        if (done) last = loadId
        expect(await connection.count('orders')).toBe(last === '1.1' ? 1000 : 30_000)
        const loads = new Set<unknown>()
        for await (const batch of connection.read({ table: 'orders', columns: ['_dlt_load_id'], batchRows: 30_000 })) {
          for (const row of batch) loads.add(row._dlt_load_id)
        }
        expect([...loads]).toEqual([last])
        expect((await connection.inspect()).get('orders')?.has(`c${loadId.replace('.', '_')}`)).toBe(done)
        expect((await connection.committed('p', 'api'))?.state).toEqual(testState(1, last))
      })
    }
    expect(outcomes).toEqual(new Set([false, true]))
  }, 240_000)
})

describe('a file that cannot be used', () => {
  test('is named with the process that holds it', async () => {
    const path = freshPath()
    const child = startLoad(path, '1.1', 1, 'stage')
    await line(child, 'holding')
    for (const lockTimeoutMs of [0, 100]) {
      await expect(duckdb({ path, lockTimeoutMs }).connect('api_data')).rejects.toMatchObject({
        code: 'destination_locked',
        transient: true,
        message: expect.stringContaining(String(child.pid)),
      })
    }
    child.kill('SIGKILL')
    await ended(child)
    await withConnection(duckdb(path), async connection => expect(await connection.hasLoad('1.1')).toBe(false))
  })

  test('is waited for while another process holds it', async () => {
    const path = freshPath()
    const child = startLoad(path, '1.1', 1, 'stage')
    await line(child, 'holding')
    const connecting = duckdb({ path, lockTimeoutMs: 60_000 }).connect('api_data')
    expect(await Promise.race([connecting.then(() => 'open'), setImmediate('waiting')])).toBe('waiting')
    child.kill('SIGKILL')
    await (await connecting)[Symbol.asyncDispose]()
  }, 60_000)

  test('is waited for until the caller stops', async () => {
    const path = freshPath()
    const child = startLoad(path, '1.1', 1, 'stage')
    await line(child, 'holding')
    const connecting = duckdb({ path, lockTimeoutMs: 60_000 }).connect('api_data', AbortSignal.timeout(50))
    await expect(connecting).rejects.toMatchObject({ name: 'TimeoutError' })
    child.kill('SIGKILL')
    await ended(child)
  }, 60_000)

  test.each([
    ['is no database', async (path: string) => await writeFile(path, 'x'.repeat(10_000)), /not a DuckDB database/],
    [
      'was written by DuckDB 2',
      newerFile,
      /version number 69, that of DuckDB 2, and this one reads 64 to 68\. Let .*STORAGE_VERSION 'v1\.5\.0'\); COPY FROM DATABASE/,
    ],
    ['is a folder', async (path: string) => void (await mkdir(path)), /is a folder/],
  ])('%s', async (_, prepare, message) => {
    const path = freshPath()
    await prepare(path)
    await expect(duckdb(path).connect('d')).rejects.toMatchObject({
      code: 'destination',
      message: expect.stringMatching(message),
    })
  })

  test('has no folder', async () => {
    await expect(duckdb(join(folder, 'no', 'x.duckdb')).connect('d')).rejects.toThrow(/create the folder first/)
  })

  test('has a staging folder that cannot be made', async () => {
    const path = freshPath()
    await writeFile(`${path}.staging`, '')
    await withConnection(duckdb(path), async connection => {
      await expect(connection.begin({ loadId: '1.1', pipeline: 'p' })).rejects.toMatchObject({ code: 'destination' })
      await rm(`${path}.staging`)
      await runLoad(connection, schema, { loadId: '1.1', records: { orders: [{ id: 1 }] }, tables: APPEND })
    })
  })
})

describe('types', () => {
  const columns: Record<string, Partial<ColumnSchema> & { data_type: ColumnSchema['data_type'] & string }> = {
    text: { data_type: 'text', precision: 10 },
    i8: { data_type: 'bigint', precision: 8 },
    i16: { data_type: 'bigint', precision: 16 },
    i32: { data_type: 'bigint', precision: 32 },
    i64: { data_type: 'bigint' },
    i128: { data_type: 'bigint', precision: 128 },
    double: { data_type: 'double' },
    bool: { data_type: 'bool' },
    at: { data_type: 'timestamp', precision: 3 },
    naive: { data_type: 'timestamp', timezone: false },
    naive_s: { data_type: 'timestamp', timezone: false, precision: 0 },
    naive_ms: { data_type: 'timestamp', timezone: false, precision: 3 },
    naive_ns: { data_type: 'timestamp', timezone: false, precision: 9 },
    date: { data_type: 'date' },
    time: { data_type: 'time' },
    binary: { data_type: 'binary' },
    json: { data_type: 'json' },
    decimal: { data_type: 'decimal' },
    small: { data_type: 'decimal', precision: 10, scale: 3 },
    wei: { data_type: 'wei' },
  }

  test('are those that dlt gives', async () => {
    const typed = testSchema({ orders: { columns } })
    await withConnection(duckdb(':memory:'), async connection => {
      await runLoad(connection, typed, { loadId: '1.1', records: { orders: [{ text: 'x' }] }, tables: APPEND })
      const types = [...((await connection.inspect()).get('orders') ?? [])].map(([name, { type }]) => [name, type])
      expect(Object.fromEntries(types)).toEqual({
        text: 'VARCHAR',
        i8: 'TINYINT',
        i16: 'SMALLINT',
        i32: 'INTEGER',
        i64: 'BIGINT',
        i128: 'HUGEINT',
        double: 'DOUBLE',
        bool: 'BOOLEAN',
        at: 'TIMESTAMP WITH TIME ZONE',
        naive: 'TIMESTAMP',
        naive_s: 'TIMESTAMP_S',
        naive_ms: 'TIMESTAMP_MS',
        naive_ns: 'TIMESTAMP_NS',
        date: 'DATE',
        time: 'TIME',
        binary: 'BLOB',
        json: 'JSON',
        decimal: 'DECIMAL(38,9)',
        small: 'DECIMAL(10,3)',
        wei: 'DECIMAL(38,0)',
        _dlt_load_id: 'VARCHAR',
        _dlt_id: 'VARCHAR',
      })
    })
  })

  test.each([
    ['i8', { i8: 200 }],
    ['small', { small: '12345678.5' }],
    ['wei', { wei: '9'.repeat(39) }],
  ])('a value too large for %s fails the commit and changes nothing', async (_, record) => {
    const typed = testSchema({ orders: { columns } })
    await withConnection(duckdb(':memory:'), async connection => {
      const load = runLoad(connection, typed, { loadId: '1.1', records: { orders: [record] }, tables: APPEND })
      await expect(load).rejects.toMatchObject({ code: 'destination' })
      expect((await connection.inspect()).size).toBe(0)
    })
  })
})

describe('a dataset', () => {
  test('may have the name of the file, and of DuckDB’s own schemas’ kind', async () => {
    const path = join(folder, 'demo.duckdb')
    for (const dataset of ['demo', 'main', 'Demo Two']) {
      await withConnection(
        duckdb(path),
        async connection => {
          await runLoad(connection, schema, { loadId: '1.1', records: { orders: [{ id: 1 }] }, tables: APPEND })
          expect(await connection.count('orders')).toBe(1)
        },
        dataset,
      )
    }
  })

  test('written by dlt is read and continued: status, newest rows, compressed documents', async () => {
    const path = freshPath()
    const instance = await DuckDBInstance.create(path)
    const connection = await instance.connect()
    const packed = (document: unknown): string => deflateSync(JSON.stringify(document), { level: 9 }).toString('base64')
    await connection.run(`CREATE SCHEMA api_data;
      CREATE TABLE api_data._dlt_loads (load_id VARCHAR NOT NULL, schema_name VARCHAR, status BIGINT NOT NULL, inserted_at TIMESTAMP WITH TIME ZONE NOT NULL, schema_version_hash VARCHAR);
      CREATE TABLE api_data._dlt_version (version BIGINT NOT NULL, engine_version BIGINT NOT NULL, inserted_at TIMESTAMP WITH TIME ZONE NOT NULL, schema_name VARCHAR NOT NULL, version_hash VARCHAR NOT NULL, schema VARCHAR NOT NULL);
      CREATE TABLE api_data._dlt_pipeline_state (version BIGINT NOT NULL, engine_version BIGINT NOT NULL, pipeline_name VARCHAR NOT NULL, state VARCHAR NOT NULL, created_at TIMESTAMP WITH TIME ZONE NOT NULL, version_hash VARCHAR, _dlt_load_id VARCHAR NOT NULL, _dlt_id VARCHAR NOT NULL);
      INSERT INTO api_data._dlt_loads VALUES ('1.5', 'api', 0, '2024-01-02', 'h'), ('1.4', 'api', 0, '2024-01-01', 'h'), ('1.9', 'api', 1, '2024-01-09', 'h');
      INSERT INTO api_data._dlt_version VALUES (2, 11, '2024-01-02 00:00:00+00', 'api', 'h', '${packed({ name: 'api', version: 2 })}'), (1, 11, '2024-01-01', 'api', 'g', '{}'), (9, 11, '2024-03-01', 'else', 'x', '{}');
      INSERT INTO api_data._dlt_pipeline_state VALUES
        (4, 4, 'p', '${packed(testState(4, 'old'))}', '2024-01-05', 'x', '1.4', 'a'), (5, 4, 'p', '${packed(testState(5, 'new'))}', '2024-01-02', 'x', '1.5', 'b'),
        (9, 4, 'p', '${packed(testState(9, 'partial'))}', '2024-01-09', 'x', '1.9', 'c'), (7, 4, 'q', '${packed(testState(7, 'other', 'q'))}', '2024-01-09', 'x', '1.5', 'd');`)
    connection.closeSync()
    instance.closeSync()
    await withConnection(duckdb(path), async opened => {
      expect(await opened.committed('p', 'api')).toMatchObject({
        loadId: '1.5',
        state: testState(5, 'new'),
        schema: '{"name":"api","version":2}',
      })
      expect(await opened.hasLoad('1.9')).toBe(false)
      await runLoad(opened, schema, {
        loadId: '1.95',
        records: { orders: [{ id: 1 }] },
        tables: APPEND,
        state: testState(6, 'ours'),
      })
      expect((await opened.committed('p', 'api'))?.state).toEqual(testState(6, 'ours'))
      expect([...((await opened.inspect()).get('_dlt_loads')?.keys() ?? [])]).toHaveLength(5)
    })
  })

  test('keeps ids of rows as they are and repeated ones in dictionaries', async () => {
    const path = freshPath()
    const nested = testSchema({
      orders: { columns: { id: 'bigint' }, disposition: 'append' },
      orders__items: { columns: { sku: 'text' }, parent: 'orders' },
    })
    await withConnection(duckdb(path), async connection => {
      const orders = Array.from({ length: 3000 }, (_, id) => ({ id, items: [{ sku: 'a' }, { sku: 'b' }] }))
      await runLoad(connection, nested, { loadId: '1.1', records: { orders }, tables: APPEND })
    })
    const instance = await DuckDBInstance.create(path, { access_mode: 'READ_ONLY' })
    const reading = await instance.connect()
    const kept = async (table: string): Promise<unknown> =>
      (
        await reading.runAndReadAll(`SELECT DISTINCT column_name, compression FROM pragma_storage_info('api_data.${table}')
          WHERE column_name LIKE '%id' AND segment_type = 'VARCHAR' ORDER BY ALL`)
      ).getRows()
    expect(await kept('orders')).toEqual([
      ['_dlt_id', 'Uncompressed'],
      ['_dlt_load_id', 'Dictionary'],
    ])
    expect(await kept('orders__items')).toEqual([
      ['_dlt_id', 'Uncompressed'],
      ['_dlt_parent_id', 'Dictionary'],
      ['_dlt_root_id', 'Dictionary'],
    ])
    reading.closeSync()
    instance.closeSync()
  })

  test('is read by other connections of the process while a load stages', async () => {
    const path = freshPath()
    await withConnection(duckdb(path), async writer => {
      await runLoad(writer, schema, { loadId: '1.1', records: { orders: [{ id: 1 }] }, tables: APPEND })
      await withConnection(duckdb(path), async reader => {
        expect(await reader.count('orders')).toBe(1)
        await runLoad(writer, schema, { loadId: '1.2', records: { orders: [{ id: 2 }] }, tables: APPEND })
        expect(await reader.count('orders')).toBe(2)
      })
      expect(await writer.count('orders')).toBe(2)
    })
  })

  test('keeps its tables when a connection in the middle of a load is closed', async () => {
    const path = freshPath()
    const connection = await duckdb(path).connect('api_data')
    const load = await connection.begin({ loadId: '1.1', pipeline: 'p' })
    await stageRecords(load.stage.bind(load), schema, {
      loadId: '1.1',
      records: { orders: [{ id: 1 }] },
      tables: APPEND,
    })
    await connection[Symbol.asyncDispose]()
    await expect(stat(`${path}.staging`)).rejects.toThrow(/ENOENT/)
    await withConnection(duckdb(path), async again => expect((await again.inspect()).size).toBe(0))
  })
})

test('a merge updates the rows of a small table, but not where the table has a column of its own', async () => {
  const path = freshPath()
  const merged = testSchema({
    orders: { columns: { id: { data_type: 'bigint', primary_key: true }, state: 'text' }, disposition: 'merge' },
  })
  const merge = async (loadId: string, state: string): Promise<readonly string[]> => {
    const statements: string[] = []
    await withConnection(duckdb(path), async connection => {
      const plan = {
        loadId,
        records: { orders: [{ id: 1, state }] },
        tables: [{ table: 'orders', disposition: 'merge' }],
      } as const
      const load = await connection.begin({ loadId, pipeline: 'p' }, sql => statements.push(sql))
      await stageRecords(load.stage.bind(load), merged, plan)
      await load.commit(commitPlan(merged, plan))
    })
    return statements.flatMap(sql => /^(MERGE INTO|DELETE FROM|INSERT INTO) \S*"orders"/.exec(sql)?.[1] ?? [])
  }
  expect(await merge('1.1', 'new')).toEqual(['INSERT INTO'])
  expect(await merge('1.2', 'paid')).toEqual(['MERGE INTO'])
  const instance = await DuckDBInstance.create(path)
  const own = await instance.connect()
  await own.run('ALTER TABLE api_data.orders ADD COLUMN remark VARCHAR')
  await own.run("UPDATE api_data.orders SET remark = 'mine'")
  own.closeSync()
  instance.closeSync()
  expect(await merge('1.3', 'sent')).toEqual(['DELETE FROM', 'INSERT INTO'])
  await withConnection(duckdb(path), async connection => {
    expect(await rowsOf(connection, 'orders', ['id', 'state', 'remark'])).toEqual([
      { id: '1n', state: 'sent', remark: null },
    ])
  })
})

test('a commit that is stopped at any moment is done, or is not done and says that it was stopped', async () => {
  const records = { loadId: '1.1', records: { orders: [{ id: 1 }] }, tables: APPEND }
  const stopped = async (at: number, turns: number): Promise<number> => {
    const stop = new AbortController()
    const connection = await duckdb(freshPath()).connect('api_data', stop.signal)
    let statements = 0
    const abort = (left: number): void =>
      void (left === 0 ? stop.abort(new Error('enough')) : setImmediate().then(() => abort(left - 1)))
    const load = await connection.begin({ loadId: '1.1', pipeline: 'p' }, () => {
      if (statements++ === at) abort(turns)
    })
    await stageRecords(load.stage.bind(load), schema, records)
    const outcome = await load.commit(commitPlan(schema, records)).then(
      () => 'done',
      (error: unknown) => error,
    )
    await load.abort()
    if (outcome !== 'done') expect(outcome).toBe(stop.signal.reason)
    expect(await connection.hasLoad('1.1')).toBe(outcome === 'done')
    await connection[Symbol.asyncDispose]()
    return statements
  }
  const statements = await stopped(Number.POSITIVE_INFINITY, 0)
  expect(statements).toBeGreaterThan(5)
  for (let at = 0; at < statements; at++) await stopped(at, 0)
  for (let turns = 1; turns < 12; turns++) await stopped(statements - 1, turns)
})

test('an aborted signal ends a load', async () => {
  const controller = new AbortController()
  const connection = await duckdb(freshPath()).connect('api_data', controller.signal)
  const load = await connection.begin({ loadId: '1.1', pipeline: 'p' })
  const records = { loadId: '1.1', records: { orders: [{ id: 1 }] }, tables: APPEND }
  await stageRecords(load.stage.bind(load), schema, records)
  controller.abort(new Error('stopped by the test'))
  await expect(stageRecords(load.stage.bind(load), schema, records)).rejects.toThrow('stopped by the test')
  await expect(runLoad(connection, schema, { ...records, loadId: '1.2', pipeline: 'q' })).rejects.toThrow(
    'stopped by the test',
  )
  await connection[Symbol.asyncDispose]()
})
