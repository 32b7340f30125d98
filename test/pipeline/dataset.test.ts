import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import ts from 'typescript'
import { describe, expect, expectTypeOf, test } from 'vitest'
import {
  duckdb,
  exportSchema,
  type JsonObject,
  type JsonValue,
  type Pipeline,
  type PipelineOptions,
  pipeline,
  type RunEvent,
  restApi,
} from '../../src/index.js'
import { testApi, testFolder } from './api.js'

type Records = () => readonly JsonObject[]

interface Made {
  readonly folder: string
  readonly file: string
  make(options?: Partial<PipelineOptions>): Pipeline
}

/** A pipeline whose one resource, `things`, is made by a function, unless it has an endpoint. */
async function things(records: Records | undefined, resource: object = {}): Promise<Made> {
  const folder = await testFolder()
  const file = join(folder, 'test.duckdb')
  const document = {
    client: { base_url: '' },
    resources: [{ name: 'things', ...(records && { records }), ...resource }],
  } as Parameters<typeof restApi>[0]
  return {
    folder,
    file,
    make: options =>
      pipeline({
        name: 'test',
        dataset: 'ds',
        source: restApi(document, { env: {} }),
        destination: duckdb(file),
        home: join(folder, 'home'),
        ...options,
      }),
  }
}

async function sql(file: string, ...statements: readonly string[]): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  let rows: unknown[][] = []
  try {
    for (const statement of statements) rows = (await connection.runAndReadAll(statement)).getRows()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
  return rows
}

interface Tables {
  readonly things: {
    readonly id: bigint
    readonly name: string | null
    readonly price: string | null
    readonly ratio: number | null
    readonly at: Date | null
    readonly day: string | null
    readonly clock: string | null
    readonly live: boolean | null
    readonly extra: JsonValue
  }
}

const VALUES: readonly JsonObject[] = [
  {
    id: 9007199254740993n,
    name: 'a',
    price: '12345678901234567890.50',
    ratio: 0.25,
    at: '2024-02-03T04:05:06.789Z',
    day: '2024-02-03',
    clock: '01:02:03',
    live: true,
    extra: { list: [1, 9007199254740993n], nothing: null },
  },
  { id: 2, name: null, price: '0.1', ratio: 2, at: null, day: null, clock: null, live: false, extra: [1] },
]

const COLUMNS = {
  id: { data_type: 'bigint' },
  price: { data_type: 'decimal' },
  ratio: { data_type: 'double' },
  day: { data_type: 'date' },
  clock: { data_type: 'time' },
  extra: { data_type: 'json' },
}

describe('rows', () => {
  test('have the values that their types promise', async () => {
    const { make } = await things(() => VALUES, { columns: COLUMNS, primary_key: 'id', write_disposition: 'merge' })
    await make().run()
    const rows = await make()
      .dataset<Tables>()
      .table('things')
      .select('id', 'name', 'price', 'ratio', 'at', 'day', 'clock', 'live', 'extra')
      .orderBy('id', 'descending')
      .rows()
    expect(rows).toEqual([
      {
        id: 9007199254740993n,
        name: 'a',
        price: '12345678901234567890.500000000',
        ratio: 0.25,
        at: new Date('2024-02-03T04:05:06.789Z'),
        day: '2024-02-03',
        clock: '01:02:03',
        live: true,
        extra: { list: [1, 9007199254740993n], nothing: null },
      },
      {
        id: 2n,
        name: null,
        price: '0.100000000',
        ratio: 2,
        at: null,
        day: null,
        clock: null,
        live: false,
        extra: [1],
      },
    ])
  })

  test('are narrowed by conditions of the same types, and come in batches', async () => {
    const { make } = await things(() => Array.from({ length: 25 }, (_, id) => ({ id, name: `n${id}` })))
    await make().run()
    const table = make().dataset<Tables>().table('things')
    expect(await table.where('id', '>=', 20n).where('name', '!=', 'n21').count()).toBe(4)
    expect(await table.where('id', 'in', [10n, 11n]).select('name').orderBy('name').count()).toBe(2)
    expect(await table.where('id', '>', 99n).count()).toBe(0)
    expect([await table.count(), await table.limit(7).count(), await table.limit(99).count()]).toEqual([25, 7, 25])
    expect(await table.where('id', '<', 9n).limit(3).count()).toBe(3)
    expect(await table.select('name').where('id', 'in', [10n, 11n]).orderBy('id').rows()).toHaveLength(2)
    expect((await table.where('id', 'in', [3n, 4n, 99n]).select('name').rows()).map(({ name }) => name)).toEqual([
      'n3',
      'n4',
    ])
    const sizes: number[] = []
    for await (const batch of table.orderBy('id').batches(10)) sizes.push(batch.length)
    expect(sizes).toEqual([10, 10, 5])
    expect((await table.orderBy('id', 'descending').first())?.id).toBe(24n)
  })

  test('are typed by the tables, and by nothing without them', async () => {
    const { make } = await things(() => VALUES)
    const typed = make().dataset<Tables>().table('things')
    expectTypeOf(typed.rows).returns.resolves.toEqualTypeOf<readonly Tables['things'][]>()
    expectTypeOf(typed.select('id', 'at').rows).returns.resolves.toEqualTypeOf<
      readonly Pick<Tables['things'], 'id' | 'at'>[]
    >()
    // @ts-expect-error there is no such column
    typed.select('idd')
    expectTypeOf(typed.select('at').where('id', '=', 1n).orderBy('id').rows).returns.resolves.toEqualTypeOf<
      readonly Pick<Tables['things'], 'at'>[]
    >()
    // @ts-expect-error an id is no text
    typed.where('id', '=', 'x')
    // @ts-expect-error there is no such table
    make().dataset<Tables>().table('thing')
    make().dataset().table('anything').select('whatever')
  })

  test('of a table that is not there: an error that names it, and no database is made', async () => {
    const { make, folder } = await things(() => VALUES)
    await expect(make().dataset().table('nowhere').rows()).rejects.toMatchObject({
      code: 'destination',
      message: expect.stringMatching(/^there is no duckdb:\S+ yet \(.*\); a run creates it$/),
    })
    expect(await make().dataset().schema()).toBeUndefined()
    expect(await make().dataset().state()).toBeUndefined()
    expect(await make().dataset().tables()).toEqual([])
    expect(await readdir(folder)).toEqual([])
  })

  test('go into a Parquet file that other readers read', async () => {
    const { make, folder } = await things(() => VALUES, { columns: COLUMNS })
    await make().run()
    const path = join(folder, "it's.parquet")
    const written = await make()
      .dataset<Tables>()
      .table('things')
      .where('live', '=', true)
      .select('id', 'at', 'name')
      .toParquet(path)
    expect(written).toBe(1)
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(path) })
    expect(rows).toEqual([{ id: 9007199254740993n, at: new Date('2024-02-03T04:05:06.789Z'), name: 'a' }])
  })

  test('go into no Parquet file where the destination cannot', async () => {
    const { make, file } = await things(() => VALUES)
    await make().run()
    const real = duckdb(file)
    const destination = {
      ...real,
      connect: async (dataset: string) => {
        const { writeParquet: _left, ...connection } = await real.connect(dataset)
        return connection
      },
    }
    await expect(make({ destination }).dataset().table('things').toParquet('x.parquet')).rejects.toMatchObject({
      code: 'destination',
      message: expect.stringContaining('cannot write Parquet'),
    })
  })
})

describe('generated types', () => {
  test('compile, complete columns and refuse a wrong one', async () => {
    const { make, folder } = await things(() => VALUES, { columns: COLUMNS })
    await make().run()
    const schema = await make().dataset().schema()
    if (schema === undefined) throw new Error('nothing was loaded')
    await writeFile(join(folder, 'tables.d.ts'), await exportSchema(schema, 'typescript'))
    const source = `import type { Pipeline } from 'sluice'
import type { Tables } from './tables.js'
export async function use(made: Pipeline): Promise<void> {
  const table = made.dataset<Tables>().table('things')
  const [row] = await table.select('id', 'at', 'extra').rows()
  const id: bigint | null | undefined = row?.id
  const at: Date | null | undefined = row?.at
  // @ts-expect-error not selected
  row?.name
  // @ts-expect-error a wrong column
  table.orderBy('nam')
  table.orderBy('')
  void [id, at]
}
`
    const program = languageService(folder, source)
    const messages = [
      ...program.service.getSyntacticDiagnostics(program.file),
      ...program.service.getSemanticDiagnostics(program.file),
    ]
    expect(messages.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([
      expect.stringContaining(`'""' is not assignable`),
    ])
    const at = source.indexOf("orderBy('')") + "orderBy('".length
    const offered = program.service.getCompletionsAtPosition(program.file, at, {})?.entries.map(({ name }) => name)
    expect(offered).toEqual(expect.arrayContaining(['id', 'name', 'price', 'extra', '_dlt_id']))
  })
})

/** TypeScript as an editor runs it, over one file in a folder; `sluice` is the built package. */
function languageService(folder: string, source: string) {
  const file = join(folder, 'use.ts')
  const built = fileURLToPath(new URL('../../dist/index.d.ts', import.meta.url))
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts', 'lib.dom.d.ts'],
    types: [],
    paths: { sluice: [built] },
  }
  const service = ts.createLanguageService({
    getCompilationSettings: () => options,
    getScriptFileNames: () => [file],
    getScriptVersion: () => '1',
    getScriptSnapshot: path => {
      const text = path === file ? source : ts.sys.readFile(path)
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text)
    },
    getCurrentDirectory: () => folder,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: path => path === file || ts.sys.fileExists(path),
    readFile: path => (path === file ? source : ts.sys.readFile(path)),
    readDirectory: ts.sys.readDirectory,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
  })
  return { service, file }
}

const NESTED = (): JsonObject[] => [1, 2, 3].map(id => ({ id, name: `n${id}`, tags: [{ tag: 'a' }, { tag: 'b' }] }))
const MERGED = { primary_key: 'id', write_disposition: 'merge' }

async function warnings(made: Pipeline): Promise<string[]> {
  const found: RunEvent[] = []
  await made.run({ onEvent: event => found.push(event) })
  return found.flatMap(event =>
    event.type === 'warning' && event.code === 'schema_changed_at_destination' ? [event.message] : [],
  )
}

describe('a change made by hand at the destination', () => {
  test.each([
    ['a dropped column', 'ALTER TABLE ds.things DROP COLUMN name', /things\.name is gone/, 'things'],
    ['a dropped nested table', 'DROP TABLE ds.things__tags', /things__tags is gone/, 'things__tags'],
    ['a dropped root table', 'DROP TABLE ds.things', /Table things is gone/, 'things'],
  ])('%s is noticed, made again and loaded', async (_what, change, expected, table) => {
    const { make, file } = await things(NESTED, MERGED)
    expect(await warnings(make())).toEqual([])
    await sql(file, change)
    const found = await warnings(make())
    expect(found.join('\n')).toMatch(expected)
    expect(await make().dataset().table(table).count()).toBe(table === 'things' ? 3 : 6)
    const rows = await make().dataset().table('things').select('id', 'name').orderBy('id').rows()
    expect(rows.map(({ name }) => name)).toEqual(['n1', 'n2', 'n3'])
    expect(await warnings(make())).toEqual([])
  })

  test('a table that is gone is loaded from the beginning, although the cursor was past its rows', async () => {
    const { url } = await testApi(({ searchParams }) => ({
      json: NESTED().filter(({ id }) => Number(id) > Number(searchParams.get('since'))),
    }))
    const incremental = { cursor_path: 'id', initial_value: 0, start_param: 'since', range_start: 'open' }
    const endpoint = { path: url, incremental, paginator: 'single_page' }
    const { make, file } = await things(undefined, { primary_key: 'id', write_disposition: 'append', endpoint })
    await make().run()
    expect((await make().run()).rows).toEqual({ things: 0, things__tags: 0 })
    await sql(file, 'DROP TABLE ds.things', 'DROP TABLE ds.things__tags')
    const found = await warnings(make())
    expect(found[0]).toMatch(/Table things is gone .* things is read from the beginning/)
    expect(await make().dataset().table('things').count()).toBe(3)
    expect(await make().dataset().table('things__tags').count()).toBe(6)
    expect(await warnings(make())).toEqual([])
    expect(await make().dataset().table('things').count()).toBe(3)
  })

  test('a column that refuses nulls is noticed before the load fails on it', async () => {
    const { make, file } = await things(NESTED, MERGED)
    await make().run()
    await sql(
      file,
      'CREATE TABLE ds.copy AS FROM ds.things',
      'DROP TABLE ds.things',
      "CREATE TABLE ds.things (id BIGINT NOT NULL, name VARCHAR, _dlt_load_id VARCHAR NOT NULL, _dlt_id VARCHAR NOT NULL, mine VARCHAR NOT NULL DEFAULT 'x')",
    )
    expect(await warnings(make())).toEqual([expect.stringMatching(/things\.mine was added .* NOT NULL/)])
  })

  test('what a full refresh drops anyway is not mentioned', async () => {
    const { make, file } = await things(NESTED, MERGED)
    await make().run()
    await sql(file, 'DROP TABLE ds.things__tags')
    const found: RunEvent[] = []
    await make().run({ refresh: 'drop_resources', onEvent: event => found.push(event) })
    expect(found.filter(({ type }) => type === 'warning')).toEqual([])
    expect(await make().dataset().table('things__tags').count()).toBe(6)
  })
})

describe('dropping', () => {
  const incremental = async (): Promise<Made> => {
    const { url } = await testApi(() => ({ json: NESTED() }))
    const endpoint = { path: url, incremental: { cursor_path: 'id', initial_value: 0 }, paginator: 'single_page' }
    return await things(undefined, { ...MERGED, endpoint })
  }

  test('takes tables, nested tables and cursors, counts a schema version, and the next run begins anew', async () => {
    const { make, file } = await incremental()
    await make().run()
    const before = await make().dataset().schema()
    const planned = await make().drop(['things'], { dryRun: true })
    expect(planned).toEqual({
      resources: ['things'],
      tables: ['things', 'things__tags'],
      cursors: ['things.id'],
      losing: [],
      loadId: undefined,
    })
    expect(await make().dataset().tables()).toEqual(['things', 'things__tags'])
    const dropped = await make().drop(['things'])
    expect(dropped).toMatchObject({ tables: planned.tables, loadId: expect.any(String) })
    const after = await make().dataset().schema()
    expect(after?.version).toBe((before?.version ?? 0) + 1)
    expect(after?.tables.has('things')).toBe(false)
    expect((await make().dataset().state())?.sources?.rest_api?.resources).toBeUndefined()
    expect(await sql(file, 'SELECT count(*) FROM ds._dlt_loads WHERE status = 0')).toEqual([[2n]])
    const again = await make().run()
    expect(again.rows).toEqual({ things: 3, things__tags: 6 })
  })

  test('refuses a name that was never loaded, and a dataset that is not there', async () => {
    const { make, folder } = await things(NESTED, MERGED)
    await expect(make().drop(['things'])).rejects.toMatchObject({ code: 'destination' })
    expect(await readdir(folder)).toEqual([])
    await make().run()
    await expect(make().drop(['thing'])).rejects.toThrow(/no resource "thing"; test has loaded things/)
  })

  test('a reset lets the cursor begin anew and keeps the rows; the load id is new', async () => {
    const { make } = await incremental()
    const { loadId } = await make().run()
    expect((await make().run()).rows).toEqual({ things: 0, things__tags: 0 })
    expect((await make().plan()).resources).toMatchObject([
      { resource: 'things', cursor: { cursorPath: 'id', startValue: 3, because: 'state' } },
    ])
    const reset = await make().resetState(['things'])
    expect(reset).toMatchObject({ cursors: ['things.id'], tables: [] })
    expect(reset.loadId && loadId && reset.loadId > loadId).toBe(true)
    expect((await make().resetState(['things'])).loadId).toBeUndefined()
    expect((await make().plan()).resources).toMatchObject([{ cursor: { startValue: 0, because: 'initial_value' } }])
    expect(await make().dataset().table('things').count()).toBe(3)
    expect((await make().run()).rows).toEqual({ things: 3, things__tags: 6 })
    expect(await make().dataset().table('things').count()).toBe(3)
  })
})

describe('schema files', () => {
  test('the export is the committed schema; the import file begins with what the source declares', async () => {
    const { make, folder } = await things(NESTED, MERGED)
    const schema = { import: join(folder, 'in'), export: join(folder, 'out') }
    await make({ schema }).run()
    const committed = await make().dataset().schema()
    if (committed === undefined) throw new Error('nothing was loaded')
    expect(await readFile(join(folder, 'out', 'rest_api.schema.yaml'), 'utf8')).toBe(
      await exportSchema(committed, 'yaml'),
    )
    const initial = await readFile(join(folder, 'in', 'rest_api.schema.yaml'), 'utf8')
    expect(initial).toContain('primary_key: true')
    expect(initial).not.toContain('things__tags')
    expect(await readdir(join(folder, 'in'))).toEqual(['rest_api.schema.yaml'])
  })

  test('hints of the import win over the data and over the source', async () => {
    const { make, folder } = await things(() => [{ id: 1, code: 7, size: 5 }], {
      columns: { size: { data_type: 'bigint' } },
    })
    const file = join(folder, 'hints.yaml')
    await writeFile(
      file,
      'name: rest_api\nengine_version: 11\nversion: 1\ntables:\n  things:\n    columns:\n      code:\n        data_type: text\n      size:\n        data_type: double\n',
    )
    await make({ schema: { import: file } }).run()
    const columns = (await make().dataset().schema())?.tables.get('things')?.columns
    expect(columns?.get('code')?.data_type).toBe('text')
    expect(columns?.get('size')?.data_type).toBe('double')
    expect(await make().dataset().table('things').select('code', 'size').rows()).toEqual([{ code: '7', size: 5 }])
    const stored = await make().dataset().schema()
    expect(stored?.imported_version_hash).toEqual(expect.any(String))
    expect(stored?.tables.has('_dlt_loads')).toBe(true)
    // The same file again changes nothing: what data has added since stays.
    await make({ schema: { import: file } }).run()
    expect((await make().dataset().schema())?.version_hash).toBe(stored?.version_hash)
  })

  test('an edited import adds to what is there, but cannot change the type of values', async () => {
    const { make, folder } = await things(NESTED, MERGED)
    await make().run()
    const file = join(folder, 'hints.yaml')
    const hints = (column: string): Promise<void> =>
      writeFile(file, `name: rest_api\nengine_version: 11\nversion: 1\ntables:\n  things:\n    columns:\n${column}`)
    await hints('      note:\n        data_type: text\n        description: for people\n')
    await make({ schema: { import: file } }).run()
    const things_ = (await make().dataset().schema())?.tables.get('things')
    expect(things_?.columns.get('note')).toMatchObject({ data_type: 'text', description: 'for people' })
    expect(things_?.columns.get('name')?.data_type).toBe('text')
    expect(await make().dataset().table('things').count()).toBe(3)
    await hints('      id:\n        data_type: text\n')
    await expect(make({ schema: { import: file } }).run()).rejects.toMatchObject({
      code: 'schema',
      message: expect.stringContaining('things.id to be text'),
    })
  })

  test('a file that is no schema is refused by its name', async () => {
    const { make, folder } = await things(NESTED)
    const file = join(folder, 'bad.yaml')
    await writeFile(file, 'tables: [')
    await expect(make({ schema: { import: file } }).run()).rejects.toThrow(/bad\.yaml/)
  })

  test('an export that cannot be written is a warning: the load is committed', async () => {
    const { make, folder } = await things(NESTED)
    await writeFile(join(folder, 'taken'), '')
    const found: RunEvent[] = []
    const { loadId } = await make({ schema: { export: join(folder, 'taken') } }).run({
      onEvent: event => found.push(event),
    })
    expect(loadId).toEqual(expect.any(String))
    expect(found).toContainEqual(expect.objectContaining({ type: 'warning', code: 'other' }))
  })
})

describe('the plan', () => {
  test('asks nothing and makes nothing', async () => {
    let called = 0
    const { make, folder } = await things(() => {
      called += 1
      return []
    })
    const plan = await make().plan()
    expect(plan).toMatchObject({ pipeline: 'test', dataset: 'ds', startsFrom: undefined })
    expect(plan.resources).toMatchObject([{ resource: 'things', loaded: true, request: undefined }])
    expect(called).toBe(0)
    expect(await readdir(folder)).toEqual([])
  })

  test('says what decided what, with the place, and shows no secret', async () => {
    const folder = await testFolder()
    const made = pipeline({
      name: 'test',
      home: join(folder, 'home'),
      destination: duckdb(join(folder, 'x.duckdb')),
      source: restApi(
        {
          client: {
            base_url: 'https://api.example.com/v1',
            auth: { type: 'bearer', token: 's3cr3t-token' },
            headers: { 'X-Api-Key': 'plain-key', Accept: 'application/json' },
            paginator: { type: 'page_number', base_page: 1, total_path: null },
            retry: { attempts: 2, statuses: ['5xx'] },
          },
          resources: [
            {
              name: 'orders',
              primary_key: 'id',
              write_disposition: 'merge',
              endpoint: {
                params: { status: 'a b', since: '{incremental.start_value}' },
                incremental: { cursor_path: 'updated_at', initial_value: '2024-01-01' },
                data_selector: 'data',
                max_pages: 3,
              },
            },
            { name: 'order', endpoint: { path: 'orders/{resources.orders.id}' } },
            {
              name: 'lines',
              endpoint: {
                path: 'lines',
                method: 'POST',
                params: { order: '{resources.orders.id}' },
                json: { order: '{resources.orders.id}' },
                paginator: 'single_page',
                auth: { type: 'api_key', api_key: 'other-s3cr3t', name: 'key', location: 'query' },
              },
            },
          ],
        },
        { env: {} },
      ),
    })
    const plan = await made.plan()
    const [orders, order, lines] = ['orders', 'order', 'lines'].map(name =>
      plan.resources.find(({ resource }) => resource === name),
    )
    expect(orders?.cursor).toEqual({
      cursorPath: 'updated_at',
      startValue: '2024-01-01',
      endValue: undefined,
      because: 'initial_value',
    })
    expect(orders?.request).toMatchObject({
      request: {
        method: 'GET',
        url: 'https://api.example.com/v1/orders?status=a%20b&since=2024-01-01&page=1',
        headers: { Authorization: '***', 'X-Api-Key': '***', Accept: 'application/json' },
      },
      paginator: { because: 'inherited', path: 'client.paginator' },
      selector: { value: 'data', because: 'configured' },
      auth: { value: 'bearer', because: 'inherited', path: 'client.auth' },
      retry: { attempts: 2 },
      maxPages: 3,
    })
    expect(order).toMatchObject({
      parent: 'orders',
      request: {
        request: { url: 'https://api.example.com/v1/orders/{resources.orders.id}' },
        paginator: { value: 'single_page', because: 'single_entity' },
        selector: { value: '$', because: 'single_entity' },
      },
    })
    expect(lines?.request).toMatchObject({
      request: {
        method: 'POST',
        url: 'https://api.example.com/v1/lines?order={resources.orders.id}&key=***',
        body: '{"order":"{resources.orders.id}"}',
      },
      paginator: { value: 'single_page', because: 'configured', path: 'resources[2].endpoint.paginator' },
      selector: { because: 'detected' },
      auth: { value: 'api_key, key in query', because: 'configured' },
    })
    expect(JSON.stringify(plan)).not.toMatch(/s3cr3t|plain-key/)
  })
})
