import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseDocumentText } from '../../src/config/file/documentFile.js'
import { loadPipelineFile } from '../../src/config/pipelineFile.js'
import { destinationFromUrl } from '../../src/config/places/destinations.js'
import { ConfigError } from '../../src/model/errors.js'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-config-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function load(
  name: string,
  text: string,
  options: { env?: Record<string, string>; destination?: string; dataset?: string } = {},
) {
  await writeFile(join(folder, name), text)
  return loadPipelineFile(name, { cwd: folder, env: {}, ...options })
}

async function failure(promise: Promise<unknown>): Promise<ConfigError> {
  const error = await promise.then(
    () => new Error('was accepted'),
    (reason: unknown) => reason,
  )
  if (error instanceof ConfigError) return error
  throw error
}

const document = 'client:\n  base_url: https://api.example.com\nresources:\n  - users\n'

describe('forms', () => {
  test('a bare document takes its names from the file', async () => {
    const { pipelines, path } = await load('crm.yaml', document)
    const [one] = pipelines
    expect(path).toBe(join(folder, 'crm.yaml'))
    expect(one).toMatchObject({
      name: 'crm',
      datasetName: 'crm_dataset',
      source: { name: 'rest_api' },
      destination: { name: 'duckdb:crm.duckdb' },
    })
    expect(one?.source.resources.map(resource => resource.name)).toEqual(['users'])
  })

  const keys = 'name: x\ndestination: duckdb:y.duckdb\ndataset: z\n'
  test.each([
    ['beside the document', keys + document],
    ['around it', `${keys}source:\n${document.replace(/^/gm, '  ')}\n`],
  ])('pipeline keys %s', async (_, text) => {
    const { pipelines } = await load('a.yml', text)
    expect(pipelines[0]).toMatchObject({ name: 'x', datasetName: 'z', destination: { name: 'duckdb:y.duckdb' } })
  })

  test('what the command line says comes first', async () => {
    const { pipelines } = await load('a.yml', keys + document, { destination: 'duckdb:other.duckdb', dataset: 'd' })
    expect(pipelines[0]).toMatchObject({ datasetName: 'd', destination: { name: 'duckdb:other.duckdb' } })
  })

  test('keys of the source', async () => {
    const { pipelines } = await load(
      'a.yml',
      `source:\n  name: s\n  max_table_nesting: 2\n  root_key: true\n${document.replace(/^/gm, '  ')}`,
    )
    expect(pipelines[0]?.source).toMatchObject({ name: 's', maxTableNesting: 2, rootKey: true })
  })

  test('JSON', async () => {
    const { pipelines } = await load('a.json', '{"client":{"base_url":"https://a.org"},\n\t"resources":["x"]}')
    expect(pipelines[0]?.source.resources).toHaveLength(1)
  })

  test('TypeScript: a document, a pipeline, several, a function', async () => {
    const make = `import { duckdb, pipeline, restApi } from 'sluice'
      const make = (name: string) => pipeline({ name, destination: duckdb(name + '.duckdb'), source: restApi({ client: { base_url: 'https://a.org' }, resources: ['x'] }) })\n`
    const names = async (file: string, text: string) => (await load(file, text)).pipelines.map(one => one.name)
    expect(
      await names('doc.ts', `export default { client: { base_url: 'https://a.org' as string }, resources: ['x'] }`),
    ).toEqual(['doc'])
    expect(await names('one.ts', `${make}export default make('p')`)).toEqual(['p'])
    expect(await names('two.ts', `${make}export default async () => [make('p'), make('q')]`)).toEqual(['p', 'q'])
    const { pipelines } = await load('over.ts', `${make}export default make('p')`, { dataset: 'd' })
    expect(pipelines[0]).toMatchObject({ name: 'p', datasetName: 'd' })
  })

  test('TypeScript: another destination or dataset changes nothing else', async () => {
    const text = `import { duckdb, pipeline } from 'sluice'
      const source = { name: 's', fingerprint: 'f', resources: [{ name: 'Items', selected: true, hints: {}, steps: [], path: 'r', async *pages() {
        const records = Buffer.from('[{"someKey":1}]')
        yield { records, count: 1, bytes: records.length }
        return { end: 'proven', reason: 'it is over' }
      } }], async close() {} }
      const clock = { now: () => 1_000_000_000_000, random: () => 0.5, sleep: async () => {} }
      export default pipeline({ name: 'p', dataset: 'MyData', source, destination: duckdb('p.duckdb'), naming: 'direct', home: ${JSON.stringify(join(folder, 'house'))}, clock })`
    const destination = `duckdb:${join(folder, 'other.duckdb')}`
    const { pipelines } = await load('over.ts', text, { destination })
    const [one] = pipelines
    expect(one).toMatchObject({ name: 'p', datasetName: 'MyData', destination: { name: 'duckdb:other.duckdb' } })
    const { loadId } = (await one?.run({ keepJournal: true })) ?? {}
    expect(await one?.dataset().tables()).toEqual(['Items'])
    expect(await one?.dataset().table('Items').rows()).toMatchObject([{ someKey: 1n }])
    expect(loadId).toMatch(/^1000000000\./)
    expect(await readdir(folder)).toContain('house')
    expect((await load('over.ts', text, { dataset: 'Other' })).pipelines[0]).toMatchObject({
      datasetName: 'Other',
      destination: { name: 'duckdb:p.duckdb' },
    })
  })

  test('secrets come from the environment and from beside the file', async () => {
    const text = document.replace('resources', '  auth:\n    type: bearer\n    token: ${secrets.my_token}\nresources')
    const error = await failure(load('a.yaml', text))
    expect(error).toMatchObject({ code: 'secret_missing', place: { path: 'client.auth.token', line: 5 } })
    expect(error.message).toContain('set the variable MY_TOKEN')
    await expect(load('a.yaml', text, { env: { MY_TOKEN: 't' } })).resolves.toBeDefined()
    await expect(load('a.yaml', text, { env: { A__SOURCES__MY_TOKEN: 't' } })).resolves.toBeDefined()
  })
})

describe('mistakes', () => {
  test.each([
    [
      'unknown key',
      'a.yaml',
      document.replace('base_url', 'base_ulr'),
      /a\.yaml:2:3 client\.base_ulr: unknown key; did you mean `base_url`/,
    ],
    [
      'unknown key of the pipeline',
      'a.yaml',
      `source:\n${document.replace(/^/gm, '  ')}\ndatset: x\n`,
      /a\.yaml:\d+:1 datset: unknown key; did you mean `dataset`/,
    ],
    [
      'path under source',
      'a.yaml',
      `source:\n  client:\n    base_url: 5\n  resources: []\n`,
      /a\.yaml:3:5 source\.client\.base_url: expected text, not a whole number/,
    ],
    [
      'missing key, line of the map',
      'a.yaml',
      'client:\n  headers: {}\nresources: [shops, stores]\n',
      /a\.yaml:1:1 client\.base_url: is missing: the path of resource shops is relative to `client\.base_url`$/,
    ],
    ['no client', 'a.yaml', 'resources: [shops]\n', /a\.yaml client: is missing: the path of resource shops/],
    ['item of a list', 'a.yaml', `${document}  - name: 5\n`, /a\.yaml:5:5 resources\[1\]\.name/],
    ['bad YAML', 'a.yaml', 'client:\n  a: [1\nb: 2\n', /a\.yaml:\d+:\d+ is not valid YAML/],
    ['nested without end', 'a.yaml', `a: ${'['.repeat(50_000)}`, /a\.yaml:1:\d+ is nested too deeply to be read/],
    [
      'duplicate key',
      'a.yaml',
      `${document}client: {}\n`,
      /a\.yaml:5:1 is not valid YAML: the key `client` stands twice in this map, first in line 1/,
    ],
    [
      'duplicate key far down a wide map',
      'a.yaml',
      `${Array.from({ length: 2_000 }, (_, at) => `key${at}: ${at}`).join('\n')}\nkey1998: 1\n`,
      /a\.yaml:2001:1 is not valid YAML: the key `key1998` stands twice in this map, first in line 1999/,
    ],
    ['two documents', 'a.yaml', `${document}---\n${document}`, /is not valid YAML/],
    ['empty', 'a.yaml', '# nothing\n', /a\.yaml is empty/],
    ['a list', 'a.yaml', '- a\n', /expected a map with `client` and `resources`/],
    ['bad JSON', 'a.json', '{"client": ', /a\.json:1:1 is not valid JSON: the `\{` that opens here is not closed/],
    ['source a text', 'a.yaml', 'source: x\n', /a\.yaml:1:1 source: expected a map/],
    ['other kind of file', 'a.toml', '', /is not a pipeline file/],
    ['a HAR file', 'a.har', '{}', /is not a pipeline file: .*`sluice import har a\.har` writes one of it/],
    [
      'an OpenAPI document',
      'a.yaml',
      'openapi: 3.1.0\npaths: {}\n',
      /a\.yaml is an OpenAPI document, .*`sluice import openapi a\.yaml`/,
    ],
    ['a Postman collection', 'a.json', '{"info": {}, "item": []}', /`sluice import postman a\.json`/],
    ['a manifest', 'a.yaml', 'type: DeclarativeSource\ncheck: {}\nstreams: []\n', /`sluice import airbyte a\.yaml`/],
    [
      'destination',
      'a.yaml',
      `${document}destination: duckbd:x\n`,
      /a\.yaml:5:1 destination: expected .*did you mean `duckdb:`/,
    ],
    ['module without default', 'a.ts', 'export const a = 1', /default export must be/],
    ['broken module', 'a.ts', `throw new Error('no such luck')`, /cannot be loaded: no such luck/],
    [
      'mistake in a module',
      'a.mjs',
      `export default { client: { base_url: 5 }, resources: [] }`,
      /a\.mjs client\.base_url: expected text/,
    ],
  ])('%s', async (_, name, text, message) => {
    expect((await failure(load(name, text))).message).toMatch(message)
  })

  test('no file', async () => {
    expect((await failure(loadPipelineFile('nope.yaml', { cwd: folder, env: {} }))).message).toMatch(
      /nope\.yaml does not exist/,
    )
    expect((await failure(loadPipelineFile('nope.ts', { cwd: folder, env: {} }))).message).toMatch(
      /nope\.ts does not exist/,
    )
  })
})

describe('documents', () => {
  test('whole numbers keep their digits', async () => {
    expect((await parseDocumentText('[1, 9007199254740993, 1.5, -0x10]', 'f')).value).toEqual([
      1,
      9007199254740993n,
      1.5,
      expect.anything(),
    ])
  })

  test('places go through anchors', async () => {
    const file = await parseDocumentText('a: &x\n  b: 1\nc: *x\n', 'f')
    expect(file.place(['c', 'b'])).toEqual({ path: 'c.b', file: 'f', line: 2, column: 3 })
  })

  test('a key called __proto__ is a key', async () => {
    const value = (await parseDocumentText('__proto__: {x: 1}\n', 'f')).value as object
    expect(Object.hasOwn(value, '__proto__') && !('x' in value)).toBe(true)
  })
})

describe('destinations', () => {
  test('by scheme', async () => {
    expect((await destinationFromUrl('duckdb:a/b.duckdb')).name).toMatch(/^duckdb:.*b\.duckdb$/)
  })

  test.each(['mysql://x', 'x.duckdb', '', 'duckdb:'])('%j is refused', async text => {
    expect((await failure(destinationFromUrl(text))).path).toBe('destination')
  })
})
