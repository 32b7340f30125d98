import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  ConfigError,
  draftPipeline,
  duckdb,
  files,
  loadPipelineFile,
  type Pipeline,
  pipeline,
  postgres,
  restApi,
  secret,
} from '../../src/index.js'
import { testApi, testFolder } from './api.js'

/** What a caller without types may pass. Each is a ConfigError that names the option, and nothing was requested. */

/** As JavaScript calls it. */
// biome-ignore lint/suspicious/noExplicitAny: the point of these tests
type Untyped = any

async function shop() {
  const api = await testApi(() => ({ json: [{ id: 1 }] }))
  const folder = await testFolder()
  const source = restApi({ client: { base_url: api.url, paginator: 'single_page' }, resources: ['items'] }, { env: {} })
  const options = { name: 'shop', source, destination: duckdb(join(folder, 'shop.duckdb')), home: join(folder, 'home') }
  return { api, options, made: pipeline(options) as Pipeline<Untyped> }
}

async function refusal(work: () => unknown): Promise<ConfigError> {
  try {
    await work()
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return error as ConfigError
  }
  throw new Error('it was not refused')
}

describe('a method of a pipeline', () => {
  const text = ['select', 'items', 'a list of names, not "items"'] as const
  const signal = ['signal', {}, 'an AbortSignal, not an object'] as const
  const event = ['onEvent', 'log', 'a function, not "log"'] as const
  const dryRun = ['dryRun', 1, 'true or false, not 1'] as const
  const run = [
    signal,
    ['signal', 5, 'an AbortSignal, not 5'],
    text,
    ['select', [5], 'text, not 5'],
    event,
    ['onEvent', null, 'a function, not null'],
    ['allowIncomplete', 'false', 'true or false, not "false"'],
    ['writeDisposition', [], 'append, replace, merge or skip, not a list'],
    ['schemaContract', 7, 'evolve, freeze, discard_row or discard_value, not 7'],
  ] as const
  const both = [
    ['resume', 0, 'true or false, not 0'],
    ['keepJournal', () => {}, 'true or false, not a function'],
    ['maxPages', {}, 'a whole number from 1, not an object'],
    ['concurrency', '4', 'a whole number from 1, not "4"'],
  ] as const
  const methods: Readonly<Record<string, readonly (readonly [string, unknown, string])[]>> = {
    run: [...run, ...both],
    replay: run,
    check: [signal, text, event],
    plan: [signal, text],
    drop: [signal, dryRun],
    resetState: [signal, dryRun],
  }
  const first: Readonly<Record<string, readonly unknown[]>> = {
    replay: [undefined],
    drop: [['items']],
    resetState: [['items']],
  }
  const cases = Object.entries(methods).flatMap(([method, options]) => options.map(one => [method, ...one] as const))

  test.each(cases)('%s refuses %s: %j', async (method, option, value, message) => {
    const { api, made } = await shop()
    const call = (made as Untyped)[method] as (...args: unknown[]) => unknown
    const error = await refusal(() => call(...(first[method] ?? []), { [option]: value }))
    expect(error.path).toMatch(new RegExp(`^${option}(\\[0\\])?$`))
    expect(error.message).toContain(`expected ${message}`)
    expect(api.asked).toEqual([])
  })

  test.each(Object.keys(methods))('%s refuses what are no options, and rejects instead of throwing', async method => {
    const { made } = await shop()
    const call = (made as Untyped)[method] as (...args: unknown[]) => Promise<unknown>
    for (const options of [null, 5, 'now', [], () => {}]) {
      const promise = call(...(first[method] ?? []), options)
      await expect(promise).rejects.toMatchObject({
        code: 'config',
        message: expect.stringMatching(/^expected options/),
      })
    }
  })

  test.each([
    [null, 'resources: expected a list of names, not null'],
    [undefined, 'resources: expected a list of names, not nothing'],
    ['items', 'resources: expected a list of names, not "items"'],
    [[null], 'resources[0]: expected text, not null'],
  ])('drop and resetState refuse %j instead of names', async (names, message) => {
    const { made } = await shop()
    for (const method of ['drop', 'resetState'] as const)
      expect((await refusal(() => made[method](names as Untyped))).message).toBe(message)
  })

  test('replay refuses options in the place of a load id', async () => {
    const { made } = await shop()
    expect((await refusal(() => made.replay({} as Untyped))).message).toBe('loadId: expected text, not an object')
  })
})

describe('a dataset', () => {
  const cases: readonly (readonly [string, (dataset: Untyped) => unknown, string])[] = [
    ['table', dataset => dataset.table(5), 'table: expected text, not 5'],
    ['select', dataset => dataset.table('items').select('id', null), 'columns[1]: expected text, not null'],
    ['where, column', dataset => dataset.table('items').where({ id: 1 }), 'column: expected text, not an object'],
    [
      'where, operator',
      dataset => dataset.table('items').where('id', '= 1 OR 1 =', 1),
      'operator: expected =, !=, <, <=, >, >=, in, is null or is not null, not "= 1 OR 1 ="',
    ],
    ['orderBy', dataset => dataset.table('items').orderBy([]), 'column: expected text, not a list'],
    [
      'orderBy, direction',
      dataset => dataset.table('items').orderBy('id', 'down'),
      'direction: expected ascending, descending, asc or desc, not "down"',
    ],
    ['limit', dataset => dataset.table('items').limit('5'), 'limit: expected a whole number from 0, not "5"'],
    ['limit below 0', dataset => dataset.table('items').limit(-1), 'limit: expected a whole number from 0, not -1'],
    ['batches', dataset => dataset.table('items').batches(0).next(), 'rows: expected a whole number from 1, not 0'],
    ['query', dataset => dataset.query(5), 'sql: expected text, not 5'],
    [
      'query, values',
      dataset => dataset.query('SELECT $1', [{}]),
      'values: expected a list of values: null, text, numbers, bigint, true or false, Date, bytes, not one with an object',
    ],
    [
      'query, batches',
      dataset => dataset.query('SELECT 1').batches(0).next(),
      'rows: expected a whole number from 1, not 0',
    ],
    ['toParquet', dataset => dataset.table('items').toParquet('a\0b'), 'path: expected a path, not "a\\u0000b"'],
  ]
  test.each(cases)('refuses for %s what is none', async (_, work, message) => {
    const { made } = await shop()
    expect((await refusal(() => work(made.dataset()))).message).toBe(message)
  })

  test('that cannot write a Parquet file names that file', async () => {
    const { made } = await shop()
    await made.run()
    const path = join(await testFolder(), 'none', 'items.parquet')
    await expect(made.dataset().table('items').toParquet(path)).rejects.toThrow(`Cannot create ${path}`)
  })
})

describe('a part of a pipeline', () => {
  const s3 = (options: Untyped) => files({ path: 's3://bucket/shop', s3: options }, {})
  const tls = (ssl: Untyped) => postgres({ connectionString: 'postgres://127.0.0.1/x', ssl })
  const document: Untyped = { client: { base_url: 'https://api.example.com' }, resources: ['items'] }
  const cases: readonly (readonly [string, () => unknown, string])[] = [
    [
      'duckdb()',
      () => duckdb(undefined as Untyped),
      'expected the path of a DuckDB file, or options with it, not nothing',
    ],
    ['duckdb(5)', () => duckdb(5 as Untyped), 'expected the path of a DuckDB file, or options with it, not 5'],
    ['duckdb({})', () => duckdb({} as Untyped), 'path: expected a path, not nothing'],
    ['duckdb("")', () => duckdb(''), 'path: expected a path, not ""'],
    ['duckdb with a NUL', () => duckdb('a\0b'), 'path: expected a path, not "a\\u0000b"'],
    [
      'duckdb, stagingDir',
      () => duckdb({ path: 'x', stagingDir: [] as Untyped }),
      'stagingDir: expected a path, not a list',
    ],
    ['postgres()', () => postgres(undefined as Untyped), 'connectionString: expected text or a Secret, not nothing'],
    ['postgres({})', () => postgres({} as Untyped), 'connectionString: expected text or a Secret, not an object'],
    [
      'postgres, password',
      () => postgres({ connectionString: 'postgres://127.0.0.1/x', password: 4711 as Untyped }),
      'password: expected text or a Secret, not a number',
    ],
    ['postgres, ssl', () => tls(null), 'ssl: expected settings of TLS, not null'],
    ['postgres, ssl.key', () => tls({ key: 4711 }), 'ssl.key: expected text or a Secret, not a number'],
    ['postgres, ssl.ca', () => tls({ ca: {} }), 'ssl.ca: expected text, not an object'],
    [
      'files(null)',
      () => files(null as Untyped),
      'expected a folder, `s3://bucket/prefix`, or options with a path, not null',
    ],
    ['files, path', () => files({ path: 5 as Untyped }), 'path: expected text, not 5'],
    ['files with a NUL', () => files('a\0b'), 'path: expected a path, not "a\\u0000b"'],
    ['files, layout', () => files({ path: 'x', layout: 5 as Untyped }), 'layout: expected text, not 5'],
    [
      'files, extraPlaceholders',
      () => files({ path: 'x', extraPlaceholders: { region: 5 as Untyped } }),
      'extraPlaceholders.region: expected text, not 5',
    ],
    [
      'S3, credentials',
      () => s3({ credentials: 5 }),
      's3.credentials: expected credentials, or a function that returns them, not 5',
    ],
    [
      'S3, secretAccessKey',
      () => s3({ credentials: { accessKeyId: 'a', secretAccessKey: 4711 } }),
      's3.credentials.secretAccessKey: expected text or a Secret, not a number',
    ],
    ['S3, pathStyle', () => s3({ pathStyle: 'no' }), 's3.pathStyle: expected true or false, not "no"'],
    ['restApi, options', () => restApi(document, null as Untyped), 'expected options of restApi(), not null'],
    ['restApi, cwd', () => restApi(document, { cwd: 5 as Untyped }), 'cwd: expected a path, not 5'],
    ['restApi, warn', () => restApi(document, { warn: {} as Untyped }), 'warn: expected a function, not an object'],
    ['secret()', () => secret(undefined as Untyped), "secret(): expected the name of a secret, as in 'api_key'"],
    ['secret("")', () => secret(''), "secret(): expected the name of a secret, as in 'api_key'"],
    ['loadPipelineFile()', () => loadPipelineFile(undefined as Untyped), 'file: expected a path, not nothing'],
    ['loadPipelineFile with a NUL', () => loadPipelineFile('a\0.yaml'), 'file: expected a path, not "a\\u0000.yaml"'],
    [
      'loadPipelineFile, options',
      () => loadPipelineFile('a.yaml', null as Untyped),
      'expected options of loadPipelineFile(), not null',
    ],
    ['draftPipeline()', () => draftPipeline(undefined as Untyped), 'expected options of draftPipeline(), not nothing'],
    [
      'draftPipeline, signal',
      () => draftPipeline({ url: 'https://a.example', signal: {} as Untyped }),
      'signal: expected an AbortSignal, not an object',
    ],
    [
      'draftPipeline, secret',
      () => draftPipeline({ url: 'https://a.example', secret: 4711 as Untyped }),
      'secret: expected text or a Secret, not a number',
    ],
    [
      'draftPipeline, cwd',
      () => draftPipeline({ url: 'https://a.example', cwd: [] as Untyped }),
      'cwd: expected a path, not a list',
    ],
  ]
  test.each(cases)('%s is refused', async (_, work, message) => {
    expect((await refusal(work)).message).toBe(message)
  })

  test.each([
    ['name', 5, 'name: expected text, not 5'],
    ['source', {}, 'source: expected a source, as restApi() makes it, not an object'],
    ['destination', 'duckdb:x', 'destination: expected a destination, as duckdb() makes it, not "duckdb:x"'],
    ['dataset', [], 'dataset: expected text, not a list'],
    ['home', '', 'home: expected a path, not ""'],
    ['home', 'a\0b', 'home: expected a path, not "a\\u0000b"'],
    ['schema', 'schemas', 'schema: expected `import`, `export` and `lock`, not "schemas"'],
    ['schema', { export: 5 }, 'schema.export: expected a path, not 5'],
    ['naming', {}, 'naming: expected text, not an object'],
    ['clock', Date, 'clock: expected a clock, not a function'],
  ])('pipeline() refuses %s: %j', async (option, value, message) => {
    const { options, made } = await shop()
    expect((await refusal(() => pipeline({ ...options, [option]: value } as Untyped))).message).toBe(message)
    if (option === 'destination' || option === 'dataset')
      expect((await refusal(() => made.with({ [option]: value } as Untyped))).message).toBe(message)
  })

  test('names everything that is wrong at once', async () => {
    const { made } = await shop()
    const error = await refusal(() => made.run({ signal: {}, select: 5, onEvent: true } as Untyped))
    expect(error.problems.map(({ place }) => place.path)).toEqual(['signal', 'select', 'onEvent'])
  })
})

test.each([
  [{ selct: ['a'] }, 'selct: unknown option; did you mean `select`?'],
  [{ max_pages: 1 }, 'max_pages: unknown option; did you mean `maxPages`?'],
  [{ fullRefresh: true }, 'fullRefresh: unknown option; did you mean `refresh`?'],
])('an option of another name is refused: %j', async (options, message) => {
  const source = restApi({ client: { base_url: 'https://api.example.com' }, resources: [{ name: 'a', records: [] }] })
  const made = pipeline({ name: 'a', source, destination: duckdb(':memory:') })
  await expect(made.run(options as Parameters<typeof made.run>[0])).rejects.toThrow(message)
})
