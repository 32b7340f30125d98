import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { destinationFromUrl } from '../../src/config/places/destinations.js'
import { ConfigError, loadPipelineFile, type PipelineFileOptions, type RunEvent, SluiceError } from '../../src/index.js'
import { type PostgresServer, startPostgres } from '../destinations/postgresServer.js'

const PASSWORD = 'p@ss/w#rd:%41?&"ü'
const DOCUMENT = `
client: {base_url: "https://api.example.com"}
resources: [{name: shops, records: [{id: 1}]}]
`

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-address-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function open(destination: string, options: PipelineFileOptions = {}) {
  await writeFile(join(folder, 'shops.yaml'), `destination: ${JSON.stringify(destination)}\n${DOCUMENT}`)
  const { pipelines } = await loadPipelineFile('shops.yaml', { cwd: folder, env: {}, ...options })
  const [one] = pipelines
  if (one === undefined) throw new Error('unreachable: the file holds one')
  return one
}

async function refusal(promise: Promise<unknown>): Promise<ConfigError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof ConfigError) return error
  throw new Error('no ConfigError')
}

/** Every spelling of the password that an output could hold. */
const SPELLINGS = [PASSWORD, encodeURIComponent(PASSWORD), JSON.stringify(PASSWORD).slice(1, -1), 'w#rd', 'ss/w']

function expectSilence(text: string): void {
  for (const spelling of SPELLINGS) expect(text).not.toContain(spelling)
}

describe('a Postgres server', () => {
  let server: PostgresServer
  let database: string
  beforeAll(async () => {
    server = await startPostgres()
    database = await server.createDatabase()
    await server.sql(database, `CREATE ROLE "lo/ader" SUPERUSER LOGIN PASSWORD '${PASSWORD}'`)
  }, 120_000)
  afterAll(() => server.stop())

  const place = (): string => `127.0.0.1:${server.port}/${database}`

  it.each([
    ['the password', () => `postgres://lo%2Fader:\${secrets.db}@${place()}`, PASSWORD],
    ['user and password', () => `postgres://\${env.WHO}:\${secrets.db}@${place()}`, PASSWORD],
    ['a parameter', () => `postgres://\${env.WHO}@${place()}?password=\${secrets.db}`, PASSWORD],
    [
      'the whole address',
      () => '${secrets.db}',
      () => `postgres://lo%2Fader:${encodeURIComponent(PASSWORD)}@${place()}`,
    ],
    ['PGPASSWORD of the .env', () => `postgres://\${env.WHO}@${place()}`, undefined],
  ])('takes %s from a secret, and tells nobody', async (what, destination, value) => {
    const env: Record<string, string> = { WHO: 'lo/ader' }
    if (value === undefined) await writeFile(join(folder, '.env'), `PGPASSWORD='${PASSWORD}'`, { mode: 0o600 })
    else env.DB = typeof value === 'string' ? value : value()
    const pipeline = await open(destination(), { env, dataset: what })
    const events: RunEvent[] = []
    const result = await pipeline.run({ onEvent: event => void events.push(event), keepJournal: true })
    expect(result.rows).toEqual({ shops: 1 })
    const plan = await pipeline.plan()
    const history = await pipeline.dataset().history()
    const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter(
      entry => entry.isFile() && entry.name !== '.env',
    )
    const files = await Promise.all(names.map(({ parentPath, name }) => readFile(join(parentPath, name), 'latin1')))
    expectSilence(JSON.stringify([events, result, plan, history, pipeline.datasetName, pipeline.destination.name]))
    expectSilence(files.join('\n').replace(DOCUMENT, ''))
    await rm(join(folder, '.env'), { force: true })
  })

  it('says nothing of a wrong one', async () => {
    const env = { DB: `${PASSWORD}!`, WHO: 'lo/ader' }
    const pipeline = await open(`postgres://\${env.WHO}:\${secrets.db}@${place()}`, { env })
    const error = await pipeline.run().then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(SluiceError)
    expect(String(error)).toContain('check user and password')
    expectSilence(String(error))
  })

  it('takes them on the command line too', async () => {
    const written = `postgres://\${env.WHO}:\${secrets.db}@${place()}`
    const env = { DB: PASSWORD, WHO: 'lo/ader' }
    const pipeline = await open('duckdb:shops.duckdb', { env, destination: written, dataset: 'elsewhere' })
    expect((await pipeline.run()).rows).toEqual({ shops: 1 })
  })
})

describe('a bucket', () => {
  it('takes its keys from secrets', async () => {
    const pipeline = await open(
      's3://lake/raw?access_key_id=${secrets.key_id}&secret_access_key=${secrets.key}&region=eu-west-1',
      { env: { KEY_ID: 'AKIA&4711', KEY: 'k+y/4711=' } },
    )
    expect(pipeline.destination.name).toBe('s3://lake/raw')
    expect(JSON.stringify(pipeline.destination)).not.toContain('4711')
    expect(pipeline.destination.secrets).toHaveLength(3)
  })

  it('wants both keys, and no credentials in front of its name', async () => {
    const one = await refusal(open('s3://lake?access_key_id=${secrets.key_id}', { env: { KEY_ID: 'AKIA4711' } }))
    expect(one.message).toMatch(/^shops\.yaml:1:1 destination: `access_key_id` and `secret_access_key` belong together/)
    const named = await refusal(open('s3://AKIA4711:k3y@lake/raw'))
    expect(named.message).toContain('credentials stand in the environment or in parameters')
    expect(named.message).not.toMatch(/4711|k3y/)
  })
})

describe('refusals', () => {
  it.each([
    ['the host', 'postgres://u@${secrets.x}/db'],
    ['the database', 'postgres://u@host/${secrets.x}'],
    ['a file', 'duckdb:${secrets.x}.duckdb'],
    ['what follows a question mark in the name of a file', 'duckdb:a?b=${secrets.x}'],
    ['a folder', 'files:${secrets.x}'],
    ['a bucket', 's3://${secrets.x}/raw'],
  ])('a secret cannot be %s', async (_, destination) => {
    const error = await refusal(open(destination, { env: { X: 'hidden-4711' } }))
    expect(error.message).toMatch(
      /^shops\.yaml:1:1 destination: a secret may stand here for the user, for the password/,
    )
    expect(error.message).not.toContain('hidden-4711')
  })

  it('what is missing in the document is told with it', async () => {
    const path = join(folder, 'both.yaml')
    await writeFile(
      path,
      'destination: "postgres://u:${secrets.db}@127.0.0.1/x"\nclient: {base_url: "https://a.example", auth: {type: bearer, token: "${secrets.token}"}}\nresources: [shops]\n',
    )
    const error = await refusal(loadPipelineFile(path, { cwd: folder, env: {} }))
    expect(error.code).toBe('secret_missing')
    expect(error.problems.map(({ place }) => place.path)).toEqual(['client.auth.token', 'destination'])
  })

  it('a secret that is missing is told with the variable and the file to write it into', async () => {
    const error = await refusal(open('postgres://u:${secrets.db}@host/db', { withoutSecrets: true }))
    expect(error.code).toBe('secret_missing')
    expect(error.message).toMatch(
      /destination: the secret `db` is missing: set the variable DB, in the shell or in \S+\.env, or write db = "…" into \S+\.sluice\/secrets\.toml$/m,
    )
  })

  it('an address in a secret that is wrong is not repeated', async () => {
    const error = await refusal(open('${secrets.db}', { env: { DB: 's3://lake/../hidden-4711?region=x' } }))
    expect(error.message).not.toContain('hidden-4711')
    const dataset = DOCUMENT.replace('client', 'dataset: "${secrets.x}"\nclient')
    await writeFile(join(folder, 'named.yaml'), dataset)
    const named = await refusal(loadPipelineFile('named.yaml', { cwd: folder, env: { X: 'hidden-4711' } }))
    expect(named.message).not.toContain('hidden-4711')
  })

  it.each([
    'postgres://u:s3c/ret@host/db',
    'postgres://u:12/s3cret@host/db',
    'postgres://u:p@s3cret/boss@host/db',
    'postgres://u:p#s3cret@host/db',
    'postgres://u:12#s3cret@host/db',
    'postgres://u:p?s3cret@host/db',
    'postgres://u:12?s3cret@host/db',
    'postgres://u:12?s3cret=x@host/db',
    'postgres://u:12?host=s3cret@host/db',
    'postgres://u:12?sslmode=s3cret@host/db',
  ])('%s: asks for percent-encoding and shows no piece of the password', async text => {
    const error = await refusal(destinationFromUrl(text))
    expect(error.message).toMatch(/percent-encode/)
    expect(error.message).not.toMatch(/s3c|cret|boss|12/)
  })

  it.each([
    ['postgres://u:p@ss@host/db', 'postgres:host/db'],
    ['postgres://u:a:b@host/db', 'postgres:host/db'],
    ['postgres://host/db?user=me@corp&password=p@ss', 'postgres:host/db'],
  ])('%s is plain enough', async (text, name) => {
    expect((await destinationFromUrl(text)).name).toBe(name)
  })
})
