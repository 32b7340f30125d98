import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { destinationFromUrl, duckdb, pipeline, restApi } from '../../src/index.js'
import { testApi } from '../pipeline/api.js'
import { extensions } from './lakeExtensions.js'

// The one that fits the extensions.
const { DuckDBInstance } = createRequire(import.meta.url)('@duckdb/node-api') as typeof import('@duckdb/node-api')

/** Where DuckDB's blocks begin, and how long they are. */
const FIRST_BLOCK = 12_288
const BLOCK_BYTES = 262_144
const PAGE_BYTES = 4096

/** A file whose log was being written into it, before and after its blocks were, and before its header was. */
interface Interrupted {
  readonly before: Buffer
  readonly after: Buffer
  readonly log: string
}

/** Rows that are in the log alone. */
const IN_LOG = ["INSERT INTO shop.a SELECT range + 1000, 'y' FROM range(1000)", 'CREATE TABLE shop.b AS SELECT 1 AS id']

let folder: string
let interrupted: Interrupted

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-torn-'))
  const path = join(folder, 'made.duckdb')
  await inDuckdb(path, 'CREATE SCHEMA shop')
  await inDuckdb(path, "CREATE TABLE shop.a AS SELECT range AS id, 'x' || range AS name FROM range(1000)")
  interrupted = await interruptedCheckpoint(path, IN_LOG)
})
afterAll(() => rm(folder, { recursive: true }))

describe('a process that was killed while DuckDB wrote a block over what it was', () => {
  test.each([1, 2, 3, 5])('after %i pages of it: the next run has all that was committed', async pages => {
    const path = await tornFile(`pages${pages}`, pages)
    await expect(DuckDBInstance.create(path)).rejects.toThrow('Corrupt database file')
    const shop = await shopAt(path)
    const { receipts } = await shop.run()
    expect(receipts).toMatchObject([{ resource: 'items', records: 1 }])
    expect(await inDuckdb(path, 'SELECT count(*), sum(id) FROM shop.a')).toEqual([[2000n, 1_999_000n]])
    expect(await inDuckdb(path, 'SELECT count(*) FROM shop.b')).toEqual([[1n]])
    expect(await inDuckdb(path, 'SELECT count(*) FROM shop.items')).toEqual([[1n]])
  })

  test('without the log, nobody knows that a write was interrupted: the file is refused and stays as it is', async () => {
    const path = await tornFile('alone', 1)
    await rm(`${path}.wal`)
    await refused(path)
  })

  test('with a log that was not being written into the file, the file is refused and stays as it is', async () => {
    const path = await tornFile('unmarked', 1)
    const log = await readFile(`${path}.wal`)
    await writeFile(`${path}.wal`, log.subarray(0, log.length - 39))
    await refused(path)
  })

  test('where more is damaged, the file is refused and stays as it is', async () => {
    const path = await tornFile('worse', 1)
    const bytes = await readFile(path)
    await writeFile(path, bytes.fill(255, FIRST_BLOCK + 64, FIRST_BLOCK + BLOCK_BYTES))
    await refused(path)
  })
})

test.skipIf(extensions === undefined)('the catalog of a lake, a file of DuckDB, is opened as well', async () => {
  const path = join(folder, 'lake.ducklake')
  const shop = await shopAt(path, await destinationFromUrl(`ducklake:${path}`))
  await shop.run()
  await shop.run()
  const wide = Array.from({ length: 20 }, (_, table) => `CREATE TABLE t${table} AS SELECT range AS id FROM range(1000)`)
  for (const statement of wide) await inDuckdb(path, statement)
  await tear(path, await interruptedCheckpoint(path, ['CREATE TABLE b AS SELECT 1 AS id']), 1)
  await expect(DuckDBInstance.create(path)).rejects.toThrow('Corrupt database file')
  await shop.run()
  expect(await inDuckdb(path, 'SELECT count(*) FROM b')).toEqual([[1n]])
  expect(await shop.dataset().table('items').count()).toBe(3)
})

async function refused(path: string): Promise<void> {
  const before = await readFile(path)
  await expect((await shopAt(path)).run()).rejects.toMatchObject({
    code: 'destination',
    message: expect.stringContaining(`${path} is damaged`),
  })
  expect((await readFile(path)).equals(before)).toBe(true)
}

async function shopAt(path: string, destination = duckdb(path)) {
  const api = await testApi(() => ({ json: [{ id: 1 }] }))
  const source = restApi({ client: { base_url: api.url, paginator: 'single_page' }, resources: ['items'] }, { env: {} })
  return pipeline({ name: 'shop', source, destination, dataset: 'shop', home: `${path}.home` })
}

async function interruptedCheckpoint(path: string, inLog: readonly string[]): Promise<Interrupted> {
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  for (const statement of inLog) await connection.run(statement)
  const before = await readFile(path)
  await connection.run("SET debug_checkpoint_abort = 'after_free_list_write'")
  await expect(connection.run('CHECKPOINT')).rejects.toThrow('aborted')
  const log = `${path}.kept`
  await copyFile(`${path}.wal`, log)
  const after = await readFile(path)
  connection.closeSync()
  instance.closeSync()
  expect(after.subarray(0, FIRST_BLOCK).equals(before.subarray(0, FIRST_BLOCK)), 'the old header counts').toBe(true)
  return { before, after, log }
}

/** The first block has so many new pages, and is old behind them, as a write that a signal ends leaves it. */
async function tear(path: string, { before, after, log }: Interrupted, pages: number): Promise<void> {
  const torn = Buffer.from(after)
  const from = FIRST_BLOCK + pages * PAGE_BYTES
  before.copy(torn, from, from, FIRST_BLOCK + BLOCK_BYTES)
  await writeFile(path, torn)
  await copyFile(log, `${path}.wal`)
}

async function tornFile(name: string, pages: number): Promise<string> {
  const path = join(folder, `${name}.duckdb`)
  await tear(path, interrupted, pages)
  return path
}

async function inDuckdb(path: string, text: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  try {
    return (await connection.runAndReadAll(text)).getRows()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}
