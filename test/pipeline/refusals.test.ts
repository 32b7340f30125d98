import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, test } from 'vitest'
import {
  type Destination,
  duckdb,
  files,
  type NamingName,
  type Pipeline,
  pipeline,
  type RestApiConfig,
  type RunEvent,
  type RunOptions,
  restApi,
  type SchemaFiles,
} from '../../src/index.js'
import { type TestApi, testApi, testFolder } from './api.js'

interface Made {
  readonly api: TestApi
  readonly folder: string
  /** A pipeline of the same name and dataset with these resources. */
  make(
    resources: readonly object[],
    more?: { naming?: NamingName; into?: 'duckdb' | 'files'; schema?: SchemaFiles },
  ): Pipeline
}

async function made(answers: Readonly<Record<string, unknown>> = { t: [{ id: 1, lines: [{ a: 1 }] }] }): Promise<Made> {
  const api = await testApi(url => ({ json: answers[url.pathname.slice(1)] }))
  const folder = await testFolder()
  return {
    api,
    folder,
    make: (resources, { naming, into, schema } = {}) =>
      pipeline({
        name: 'test',
        source: restApi({ client: { base_url: api.url, paginator: 'single_page' }, resources } as RestApiConfig, {
          env: {},
        }),
        destination: into === 'files' ? files(join(folder, 'files')) : duckdb(join(folder, 'test.duckdb')),
        naming,
        schema,
        home: join(folder, 'home'),
      }),
  }
}

const merge = (strategy: string) => ({ disposition: 'merge', strategy }) as NonNullable<RunOptions['writeDisposition']>
const KEYED = { name: 't', primary_key: 'id', write_disposition: 'merge' }

describe('before the first request a run refuses', () => {
  test.each<[string, object, RunOptions, string]>([
    ['upsert without a key', { write_disposition: merge('upsert') }, {}, 'resources[0].primary_key'],
    ['insert-only without a key', { write_disposition: merge('insert-only') }, {}, 'resources[0].primary_key'],
    [
      'upsert with a merge key alone',
      { write_disposition: merge('upsert'), merge_key: 'id' },
      {},
      'resources[0].primary_key',
    ],
    ['upsert that the run asks for', {}, { writeDisposition: merge('upsert') }, 'resources[0].primary_key'],
    [
      'upsert of a nested table without a key',
      { nested_hints: { lines: { merge_key: 'a', write_disposition: merge('upsert') } } },
      {},
      'resources[0].nested_hints.lines.primary_key',
    ],
    ['deletes of rows that are appended', { deletes: 'hard' }, {}, 'resources[0].deletes'],
    [
      'deletes of rows that are replaced',
      { deletes: 'hard', write_disposition: 'replace' },
      {},
      'resources[0].deletes',
    ],
    [
      'deletes of cdc',
      { deletes: 'hard', primary_key: 'id', write_disposition: merge('cdc') },
      {},
      'resources[0].deletes',
    ],
    ['deletes of versions', { deletes: 'soft', write_disposition: merge('scd2') }, {}, 'resources[0].deletes'],
    ['deletes without a key', { deletes: 'soft', write_disposition: 'merge' }, {}, 'resources[0].deletes'],
    [
      'deletes with a merge key alone',
      { deletes: 'hard', write_disposition: 'merge', merge_key: 'id' },
      {},
      'resources[0].deletes',
    ],
    [
      'deletes of a nested table that has a merge key alone',
      { ...KEYED, deletes: 'hard', nested_hints: { lines: { merge_key: 'a', write_disposition: 'merge' } } },
      {},
      'resources[0].nested_hints.lines.primary_key',
    ],
    [
      'deletes where the run appends',
      { ...KEYED, deletes: 'hard' },
      { writeDisposition: 'append' },
      'resources[0].deletes',
    ],
  ])('%s', async (_, resource, options, path) => {
    const { api, make } = await made()
    const running = async (): Promise<unknown> => await make([{ name: 't', ...resource }]).run(options)
    await expect(running()).rejects.toMatchObject({ code: 'config', problems: [{ place: { path } }] })
    expect(api.asked).toEqual([])
  })

  test('deletes in files', async () => {
    const { api, make } = await made()
    const running = make([{ ...KEYED, deletes: 'hard' }], { into: 'files' }).run()
    await expect(running).rejects.toMatchObject({
      code: 'config',
      problems: [{ place: { path: 'resources[0].deletes' } }],
    })
    expect(api.asked).toEqual([])
  })

  test('deletes of a table that the stored schema keeps versions of', async () => {
    const { api, make } = await made()
    await make([{ name: 't', write_disposition: merge('scd2') }]).run()
    await expect(make([{ ...KEYED, deletes: 'hard' }]).run()).rejects.toMatchObject({ code: 'config' })
    expect(api.asked).toHaveLength(1)
  })

  test('resources whose tables differ only by case, where the destination takes them for one', async () => {
    const { api, make } = await made()
    const running = make([{ name: 'Items' }, { name: 'items' }], { naming: 'direct' }).run()
    await expect(running).rejects.toMatchObject({
      code: 'schema',
      message: expect.stringMatching(/Items.*items.*case/),
    })
    expect(api.asked).toEqual([])
  })
})

describe('a key that the stored schema has', () => {
  test.each([merge('upsert'), merge('insert-only'), 'merge'])('is enough for %j', async disposition => {
    const { make } = await made()
    await make([KEYED]).run()
    const events: RunEvent[] = []
    await make([{ name: 't', write_disposition: disposition }]).run({ onEvent: event => events.push(event) })
    expect(await make([KEYED]).dataset().table('t').count()).toBe(1)
    expect(events.filter(({ type }) => type === 'warning')).toEqual([])
  })
})

test.each(['soft', 'hard'])('%s deletes reach nested tables with keys of their own', async deletes => {
  const answers = { t: [{ id: 1, lines: [{ a: 1 }, { a: 2 }] }] }
  const { make } = await made(answers)
  const nested_hints = { lines: { primary_key: 'a', write_disposition: 'merge' } }
  const loading = make([{ ...KEYED, deletes, max_delete_share: 1, nested_hints }])
  await loading.run()
  answers.t = [{ id: 1, lines: [{ a: 1 }] }]
  await loading.run()
  const rows = await loading.dataset().table('t__lines').orderBy('a').rows()
  expect(rows.map(row => [row.a, row._sluice_deleted_at instanceof Date])).toEqual(
    deletes === 'hard'
      ? [[1n, false]]
      : [
          [1n, false],
          [2n, true],
        ],
  )
})

test('a run that replaces all rows by its own choice has nothing to delete', async () => {
  const { make } = await made()
  const { rows } = await make([{ ...KEYED, deletes: 'hard' }]).run({ writeDisposition: 'replace' })
  expect(rows).toEqual({ t: 1, t__lines: 1 })
})

describe('a table that two resources load into is told of', () => {
  test.each<[string, readonly object[], RegExp]>([
    [
      'names that differ by case',
      [{ name: 'Items' }, { name: 'items' }],
      /Resources Items, items all load into table items/,
    ],
    ['names that differ by a dash', [{ name: 'i-tems' }, { name: 'i_tems' }], /i-tems, i_tems.*i_tems/],
    ['a table_name', [{ name: 'a', table_name: 't' }, { name: 'T' }], /a, T.*table t/],
  ])('%s', async (_, resources, message) => {
    const { make } = await made(new Proxy({}, { get: () => [{ id: 1 }] }))
    const events: RunEvent[] = []
    await make(resources).run({ onEvent: event => events.push(event) })
    expect(events.filter(({ type }) => type === 'warning')).toEqual([
      expect.objectContaining({ code: 'table_collision', message: expect.stringMatching(message) }),
    ])
  })

  test.each([
    ['append', 'replace'],
    ['replace', 'append'],
  ])('a table that one resource fills by %s and a function of another names, which says %s', async (one, other) => {
    const { make } = await made({ a: [{ id: 1 }], b: [{ id: 2 }] })
    const resources = [
      { name: 'a', write_disposition: one },
      { name: 'b', table_name: () => 'a', write_disposition: other },
    ]
    await expect(make(resources).run()).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining(`fill one table, a, which goes by the first: \`${one}\`, not \`${other}\``),
    })
  })

  test('a list in the records of another resource', async () => {
    const { make } = await made({ a__tags: [{ id: 1 }], a: [{ tags: [2] }] })
    const events: RunEvent[] = []
    await make([{ name: 'a__tags' }, { name: 'a' }]).run({ onEvent: event => events.push(event) })
    expect(events).toContainEqual(
      expect.objectContaining({ code: 'table_collision', message: expect.stringMatching(/a__tags.*of a;/) }),
    )
  })

  test('lists whose tables differ only by case are refused where the destination takes them for one', async () => {
    const { make } = await made({ t: [{ Lines: [1], lines: [2] }] })
    await expect(make([{ name: 't' }], { naming: 'direct' }).run()).rejects.toMatchObject({
      code: 'schema',
      message: expect.stringContaining('differ only by case'),
    })
  })
})

describe('tables that are nested under themselves', () => {
  const circle = (...tables: readonly (readonly [name: string, parent: string])[]): string =>
    [
      'engine_version: 11',
      'name: rest_api',
      'tables:',
      ...tables.flatMap(([name, parent]) => [`  ${name}:`, `    parent: ${parent}`, '    columns: {}']),
      'settings: {}',
      'normalizers: {}',
      '',
    ].join('\n')

  test.each<[string, string, 'duckdb' | 'files']>([
    ['at once', circle(['t', 't']), 'duckdb'],
    ['in a circle', circle(['t', 'b'], ['b', 'c'], ['c', 't']), 'duckdb'],
    ['in a circle, in files', circle(['t', 'b'], ['b', 't']), 'files'],
    ['in a circle that no resource loads', circle(['one', 'two'], ['two', 'one']), 'duckdb'],
  ])('by an imported schema are refused: %s', async (_, schema, into) => {
    const { api, folder, make } = await made()
    const file = join(folder, 'own.schema.yaml')
    await writeFile(file, schema)
    await expect(make([{ name: 't' }], { into, schema: { import: file } }).run()).rejects.toMatchObject({
      code: 'schema',
      message: expect.stringContaining('nested under itself'),
    })
    expect(api.asked).toEqual([])
  })

  test('by an imported schema over the stored one are refused', async () => {
    const { folder, make } = await made()
    await make([{ name: 't' }]).run()
    const file = join(folder, 'own.schema.yaml')
    await writeFile(file, circle(['t', 't__lines']))
    await expect(make([{ name: 't' }], { schema: { import: file } }).run()).rejects.toMatchObject({
      code: 'schema',
      message: expect.stringContaining('nested under itself'),
    })
  })

  test('by the stored schema are refused by a run and by those who only look', async () => {
    const { api, folder, make } = await made()
    await make([{ name: 't' }]).run()
    const instance = await DuckDBInstance.create(join(folder, 'test.duckdb'))
    const connection = await instance.connect()
    await connection.run(
      `UPDATE test_dataset._dlt_version SET schema = replace(schema, '"resource":"t"', '"resource":"t","parent":"t__lines"')`,
    )
    connection.closeSync()
    instance.closeSync()
    const circular = { code: 'schema', message: expect.stringContaining('nested under itself') }
    await expect(make([{ name: 't' }]).run()).rejects.toMatchObject(circular)
    await expect(make([{ name: 't' }]).run({ refresh: 'drop_resources' })).rejects.toMatchObject(circular)
    await expect(make([{ name: 't' }]).drop(['t'])).rejects.toMatchObject(circular)
    await expect(
      make([{ name: 't' }])
        .dataset()
        .schema(),
    ).rejects.toMatchObject(circular)
    expect(api.asked).toHaveLength(1)
  })
})

test('a connection to a dataset that cannot be looked into is closed', async () => {
  const { folder, make } = await made()
  const destination = duckdb(join(folder, 'test.duckdb'))
  let open = 0
  const failing: Destination = {
    ...destination,
    async connect(dataset, signal) {
      const connection = await destination.connect(dataset, signal)
      open++
      return {
        ...connection,
        inspect: async () => {
          throw new Error('cannot look')
        },
        async [Symbol.asyncDispose]() {
          open--
          await connection[Symbol.asyncDispose]()
        },
      }
    },
  }
  await make([{ name: 't' }]).run()
  const { source } = make([{ name: 't' }])
  const table = pipeline({ name: 'test', source, destination: failing, home: folder }).dataset().table('t')
  await expect(table.rows()).rejects.toThrow('cannot look')
  await expect(table.count()).rejects.toThrow('cannot look')
  expect(open).toBe(0)
})

test.each<[object, string, RegExp]>([
  [{ refresh: 'drop_source' }, 'refresh', /expected drop_sources, drop_resources or drop_data, not "drop_source"/],
  [{ refresh: 'full' }, 'refresh', /"full"/],
  [{ refresh: '' }, 'refresh', /""/],
  [{ schemaContract: 'frozen' }, 'schemaContract', /expected evolve, freeze/],
  [{ schemaContract: { columns: 'x' } }, 'schemaContract.columns', /"x"/],
  [{ schemaContract: { column: 'freeze' } }, 'schemaContract.column', /expected tables, columns, data_type/],
  [{ writeDisposition: 'upsert' }, 'writeDisposition', /"upsert"/],
  [{ writeDisposition: { disposition: 'merge', strategy: 'scd3' } }, 'writeDisposition.strategy', /"scd3"/],
  [{ writeDisposition: { strategy: 'scd2' } }, 'writeDisposition.disposition', /null/],
  [{ maxPages: 0 }, 'maxPages', /a whole number from 1, not 0/],
  [{ maxPages: Number.NaN }, 'maxPages', /NaN/],
  [{ concurrency: -3 }, 'concurrency', /-3/],
  [{ concurrency: 1.5 }, 'concurrency', /1\.5/],
])('a run with %j is refused, and no row goes', async (options, path, message) => {
  const { api, make } = await made()
  const under = make([{ name: 't' }])
  await under.run()
  const asked = api.asked.length
  await expect(under.run(options)).rejects.toMatchObject({
    code: 'config',
    path,
    message: expect.stringMatching(message),
  })
  expect(api.asked).toHaveLength(asked)
  expect(await under.dataset().table('t').count()).toBe(1)
})
