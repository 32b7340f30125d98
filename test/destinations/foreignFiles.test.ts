import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, onTestFinished, test } from 'vitest'
import { duckdb, pipeline, restApi } from '../../src/index.js'
import { testApi, testFolder } from '../pipeline/api.js'

async function shop(name: string) {
  const api = await testApi(() => ({ json: [{ id: 1 }] }))
  const folder = await testFolder()
  const path = join(folder, name)
  const source = restApi({ client: { base_url: api.url, paginator: 'single_page' }, resources: ['items'] }, { env: {} })
  const made = pipeline({ name: 'shop', source, destination: duckdb(path), home: join(folder, 'home') })
  return { path, made }
}

async function inDuckdb(path: string, sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  try {
    await connection.run(sql)
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

describe('a file that DuckDB did not write is refused and left alone', () => {
  const text = (content: string) => (path: string) => writeFile(path, content)
  test.each([
    // DuckDB opens these three as a view of a database in memory, where every row would be lost.
    ['a CSV file', 'a.csv', text('id,name\n1,a\n')],
    ['a JSON file', 'a.json', text('[{"id":1}]')],
    ['a Parquet file', 'a.parquet', (path: string) => inDuckdb(':memory:', `COPY (SELECT 1 AS id) TO '${path}'`)],
    // For this one it would fetch an extension.
    ['a file of SQLite', 'a.db', text(`SQLite format 3\0${'\0'.repeat(4080)}`)],
    ['an empty file', 'a.duckdb', text('')],
    ['a short text', 'a.duckdb', text('hello\n')],
  ])('%s', async (_, name, prepare) => {
    const { path, made } = await shop(name)
    await prepare(path)
    const before = await readFile(path)
    const refusal = {
      code: 'destination',
      message: `${path} exists but is not a DuckDB database; name another file, or move this one away`,
    }
    await expect(made.run()).rejects.toMatchObject(refusal)
    await expect(made.dataset().table('items').count()).rejects.toMatchObject(refusal)
    expect(await readFile(path)).toEqual(before)
  })
})

test.each([
  [
    'cut off',
    async (path: string) => {
      await inDuckdb(path, 'CREATE TABLE a AS FROM range(100_000)')
      await truncate(path, 100_000)
    },
    /is damaged: .*Put a copy in its place/,
  ],
  [
    'changed',
    async (path: string) => {
      await inDuckdb(path, 'CREATE TABLE a AS FROM range(100_000)')
      await writeFile(path, (await readFile(path)).fill(7, 4096, 12_288))
    },
    /is damaged: .*Put a copy in its place/,
  ],
  ['under a file', (path: string) => writeFile(dirname(path), ''), /there is a file where a folder is needed/],
  ['beside a staging folder that is a file', (path: string) => stagingFile(path), /a file where a folder is needed/],
])('a database that is %s is refused with the reason', async (how, prepare, message) => {
  const { path, made } = await shop(how === 'under a file' ? 'file/a.duckdb' : 'a.duckdb')
  await prepare(path)
  await expect(made.run()).rejects.toMatchObject({ code: 'destination', message: expect.stringMatching(message) })
})

async function stagingFile(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(`${path}.staging`, '')
}

test.each([{ threads: '1' }, { access_mode: 'READ_ONLY' }])(
  'a file that the program has open with settings of its own is refused with the cure: %j',
  async settings => {
    const { path, made } = await shop('a.duckdb')
    await inDuckdb(path, 'SELECT 1')
    const instance = await DuckDBInstance.fromCache(path, settings)
    let isOpen = true
    const close = (): void => {
      if (isOpen) instance.closeSync()
      isOpen = false
    }
    onTestFinished(close)
    await expect(made.run()).rejects.toMatchObject({
      code: 'destination_locked',
      message: expect.stringContaining(
        `${path} is open in this process with settings of its own, and DuckDB shares a file only among equal settings. Open it with DuckDBInstance.fromCache(${JSON.stringify(path)}) without settings`,
      ),
    })
    close()
    expect((await made.run()).rows).toEqual({ items: 1 })
  },
)
