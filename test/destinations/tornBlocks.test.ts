import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { duckdb, pipeline, restApi } from '../../src/index.js'
import { testApi } from '../pipeline/api.js'
import { inDuckdb } from '../pipeline/sqlPlaces.js'

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

let folder: string
let interrupted: Interrupted

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-torn-'))
  interrupted = await interruptedCheckpoint(join(folder, 'made.duckdb'))
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

async function refused(path: string): Promise<void> {
  const before = await readFile(path)
  await expect((await shopAt(path)).run()).rejects.toMatchObject({
    code: 'destination',
    message: expect.stringContaining(`${path} is damaged`),
  })
  expect((await readFile(path)).equals(before)).toBe(true)
}

async function shopAt(path: string) {
  const api = await testApi(() => ({ json: [{ id: 1 }] }))
  const source = restApi({ client: { base_url: api.url, paginator: 'single_page' }, resources: ['items'] }, { env: {} })
  return pipeline({ name: 'shop', source, destination: duckdb(path), dataset: 'shop', home: `${path}.home` })
}

async function interruptedCheckpoint(path: string): Promise<Interrupted> {
  await inDuckdb(path, 'CREATE SCHEMA shop')
  await inDuckdb(path, "CREATE TABLE shop.a AS SELECT range AS id, 'x' || range AS name FROM range(1000)")
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  await connection.run("INSERT INTO shop.a SELECT range + 1000, 'y' FROM range(1000)")
  await connection.run('CREATE TABLE shop.b AS SELECT 1 AS id')
  const before = await readFile(path)
  await connection.run("SET debug_checkpoint_abort = 'after_free_list_write'")
  await expect(connection.run('CHECKPOINT')).rejects.toThrow('aborted')
  const log = join(folder, 'kept.wal')
  await copyFile(`${path}.wal`, log)
  const after = await readFile(path)
  connection.closeSync()
  instance.closeSync()
  expect(after.subarray(0, FIRST_BLOCK).equals(before.subarray(0, FIRST_BLOCK)), 'the old header counts').toBe(true)
  return { before, after, log }
}

/** The first block has so many new pages, and is old behind them, as a write that a signal ends leaves it. */
async function tornFile(name: string, pages: number): Promise<string> {
  const path = join(folder, `${name}.duckdb`)
  const torn = Buffer.from(interrupted.after)
  const from = FIRST_BLOCK + pages * PAGE_BYTES
  interrupted.before.copy(torn, from, from, FIRST_BLOCK + BLOCK_BYTES)
  await writeFile(path, torn)
  await copyFile(interrupted.log, `${path}.wal`)
  return path
}
