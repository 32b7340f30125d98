import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { type FilesOptions, files, pipeline, type RestApiConfig, type RunResult, restApi } from '../../src/index.js'
import { cursorState, decodeState } from '../../src/model/pipelineState.js'
import { testApi, testFolder } from '../pipeline/api.js'

/**
 * Written by dlt 1.31 into its `filesystem` destination: pipeline `turns`, dataset `lake`, by {@link source}, from an API
 * with the rows of {@link FIRST}.
 */
const DATASET = fileURLToPath(new URL('../golden/dlt-1.31/lake', import.meta.url))

interface Rows {
  readonly log: readonly object[]
  readonly people: readonly object[]
}

const FIRST: Rows = {
  log: [
    { id: 1, at: 1 },
    { id: 2, at: 5 },
    { id: 3, at: 5 },
  ],
  people: [
    { id: 1, name: 'Ada', tags: ['a', 'b'] },
    { id: 2, name: 'Bob', tags: [] },
  ],
}

const source = (url: string, hints: object = {}): RestApiConfig => ({
  client: { base_url: url, paginator: 'single_page' },
  resources: [
    {
      name: 'log',
      write_disposition: 'append',
      endpoint: { incremental: { cursor_path: 'at', initial_value: 0 } },
      ...hints,
    },
    { name: 'people', write_disposition: 'append' },
  ],
})

/** A copy of the dataset of dlt, and a function that loads rows into it. */
async function takenOver(options: Partial<FilesOptions> = {}, hints: object = {}) {
  const folder = await testFolder()
  const lake = join(folder, 'lake')
  await cp(DATASET, lake, { recursive: true })
  const load = async (rows: Rows): Promise<RunResult> => {
    const api = await testApi(url => ({ json: rows[url.pathname.slice(1) as keyof Rows] }))
    return await made(api.url).run()
  }
  const made = (url = 'http://127.0.0.1:9') =>
    pipeline({
      name: 'turns',
      dataset: 'lake',
      source: restApi(source(url, hints), { env: {} }),
      destination: files({ path: folder, ...options }),
      home: join(folder, 'home'),
    })
  const ids = async (table: string) =>
    (await made().dataset().table(table).rows()).map(row => Number(row.id)).sort((a, b) => a - b)
  return { lake, load, ids, dataset: made().dataset() }
}

async function newestJson(folder: string): Promise<Record<string, unknown>> {
  const names = (await readdir(folder)).sort()
  return JSON.parse(await readFile(join(folder, names.at(-1) ?? ''), 'utf8'))
}

/** The hashes that the newest state has for the cursor of `log`. */
async function boundary(lake: string): Promise<readonly string[]> {
  const { state } = await newestJson(join(lake, '_dlt_pipeline_state'))
  return cursorState(decodeState(String(state)), 'rest_api', 'log', 'at')?.unique_hashes ?? []
}

const lengths = (hashes: readonly string[]): readonly number[] => hashes.map(hash => hash.length)

test('rows at the boundary of a cursor that dlt 1.31 has seen are not loaded again', async () => {
  const { lake, load, ids } = await takenOver()
  expect(lengths(await boundary(lake))).toEqual([12, 12])
  const { rows } = await load({ ...FIRST, people: [] })
  expect(new Set(Object.values(rows))).toEqual(new Set([0]))
  await load({ log: [...FIRST.log, { id: 4, at: 5 }], people: [] })
  expect(await ids('log')).toEqual([1, 2, 3, 4])
  expect(lengths(await boundary(lake)), 'a set of dlt stays in its length').toEqual([12, 12, 12])
  await load({ log: [...FIRST.log, { id: 4, at: 5 }, { id: 5, at: 6 }], people: [] })
  expect(await ids('log')).toEqual([1, 2, 3, 4, 5])
  expect(lengths(await boundary(lake)), 'a set of its own is one that every dlt reads').toEqual([20])
})

test('a stored set of both lengths is read whole, and written in the one that both have', async () => {
  const { lake, load, ids } = await takenOver()
  await load({ log: [{ id: 6, at: 6 }], people: [] })
  const [long = ''] = await boundary(lake)
  const states = join(lake, '_dlt_pipeline_state')
  const name = (await readdir(states)).sort().at(-1) ?? ''
  const row = JSON.parse(await readFile(join(states, name), 'utf8'))
  const state = JSON.stringify(decodeState(row.state)).replace(`["${long}"]`, `["${long}","669czW83KR00"]`)
  await writeFile(join(states, name), JSON.stringify({ ...row, state }))
  await load({
    log: [
      { id: 6, at: 6 },
      { id: 7, at: 6 },
    ],
    people: [],
  })
  expect(await ids('log')).toEqual([1, 2, 3, 6, 7])
  expect(lengths(await boundary(lake))).toEqual([12, 12, 12])
})

// dlt makes its records of these with `StateInfo(**json)` and `StorageSchemaInfo(**json)`: one more key, and it fails.
test.each([['_dlt_pipeline_state'], ['_dlt_version']])(
  '%s has the keys that dlt writes, in its order',
  async folder => {
    const { lake, load } = await takenOver()
    const byDlt = Object.keys(await newestJson(join(lake, folder)))
    const before = (await readdir(join(lake, folder))).length
    await load({ log: [{ id: 9, at: 9, more: true }], people: [] })
    expect(await readdir(join(lake, folder))).toHaveLength(before + 1)
    expect(Object.keys(await newestJson(join(lake, folder)))).toEqual(byDlt)
  },
)

test('a record of a load has dlt’s keys, and one of Sluice’s behind them', async () => {
  const { lake, load } = await takenOver()
  const byDlt = Object.keys(await newestJson(join(lake, '_dlt_loads')))
  await load({ log: [{ id: 9, at: 9 }], people: [] })
  expect(Object.keys(await newestJson(join(lake, '_dlt_loads')))).toEqual([...byDlt, '_sluice'])
})

const extensions = async (folder: string): Promise<readonly string[]> =>
  [...new Set((await readdir(folder)).map(name => name.split('.').slice(3).join('.')))].sort()

// dlt reads all files of a table in the format of the first.
test.each<[string, Partial<FilesOptions>, object, readonly string[]]>([
  ['files go on in the format and compression of those of dlt', {}, {}, ['jsonl.gz']],
  ['the option counts more than the files that are there', { format: 'parquet' }, {}, ['jsonl.gz', 'parquet']],
  ['a table’s file_format counts more than its files', {}, { file_format: 'csv' }, ['csv.gz', 'jsonl.gz']],
  ['the option counts more than a table’s file_format', { format: 'jsonl' }, { file_format: 'csv' }, ['jsonl.gz']],
  ['a format that files cannot have asks for nothing', {}, { file_format: 'insert_values' }, ['jsonl.gz']],
  ['a compression may be given alone', { compression: 'none' }, {}, ['jsonl', 'jsonl.gz']],
])('%s', async (_, options, hints, expected) => {
  const { lake, load, ids } = await takenOver(options, hints)
  await load({ log: [{ id: 9, at: 9 }], people: [{ id: 3, name: 'Cy', tags: ['c'] }] })
  expect(await extensions(join(lake, 'log'))).toEqual(expected)
  expect(await ids('log')).toEqual([1, 2, 3, 9])
})

test('new tables and nested ones follow the files of the dataset', async () => {
  const { lake, load, dataset } = await takenOver()
  await load({ log: [], people: [{ id: 3, tags: ['c'], pets: [{ name: 'Rex' }] }] })
  for (const table of ['people', 'people__tags', 'people__pets'])
    expect(await extensions(join(lake, table)), table).toEqual(['jsonl.gz'])
  expect(await dataset.table('people__tags').count()).toBe(3)
  const [file = ''] = await readdir(join(lake, 'people__pets'))
  expect(gunzipSync(await readFile(join(lake, 'people__pets', file))).toString()).toContain('"name":"Rex"')
})

test('nested tables have the file_format of their root', async () => {
  const folder = await testFolder()
  const api = await testApi(() => ({ json: [{ id: 1, tags: ['a'] }] }))
  const config: RestApiConfig = {
    client: { base_url: api.url, paginator: 'single_page' },
    resources: [
      { name: 'items', file_format: 'jsonl' },
      { name: 'others', endpoint: 'items' },
    ],
  }
  await pipeline({
    name: 'p',
    dataset: 'lake',
    source: restApi(config, { env: {} }),
    destination: files(folder),
    home: join(folder, 'home'),
  }).run()
  expect(await extensions(join(folder, 'lake/items'))).toEqual(['jsonl.gz'])
  expect(await extensions(join(folder, 'lake/items__tags'))).toEqual(['jsonl.gz'])
  expect(await extensions(join(folder, 'lake/others'))).toEqual(['parquet'])
})

test('a compression that the format of the files does not know is refused', async () => {
  const { load } = await takenOver({ compression: 'snappy' })
  await expect(load({ log: [{ id: 9, at: 9 }], people: [] })).rejects.toThrow(
    'table log is kept as jsonl, which knows no snappy: name one of gzip, zstd, none',
  )
})

test.each(['delta', 'iceberg'])(
  'a table that the document wants as %s is refused before the first request',
  async format => {
    const { load, ids } = await takenOver({}, { table_format: format })
    await expect(load({ log: [{ id: 9, at: 9 }], people: [] })).rejects.toThrow(
      `table_format "${format}" cannot be written`,
    )
    expect(await ids('log')).toEqual([1, 2, 3])
  },
)

test('a table that dlt keeps as delta is refused', async () => {
  const { lake, load } = await takenOver()
  const versions = join(lake, '_dlt_version')
  const [name = ''] = await readdir(versions)
  const row = JSON.parse(await readFile(join(versions, name), 'utf8'))
  const schema = JSON.parse(row.schema)
  schema.tables.log.table_format = 'delta'
  await writeFile(join(versions, name), JSON.stringify({ ...row, schema: JSON.stringify(schema) }))
  await expect(load({ log: [{ id: 9, at: 9 }], people: [] })).rejects.toThrow('table log: table_format: "delta"')
})
