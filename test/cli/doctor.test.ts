import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { extensions } from '../destinations/lakeExtensions.js'
import { startPostgres } from '../destinations/postgresServer.js'
import { testApi as receiverApi } from '../pipeline/api.js'
import { testApi } from '../rest/loading.js'
import { sluiceProcess } from './process.js'

vi.setConfig({ testTimeout: 60_000 })

interface Report {
  readonly ok: boolean
  readonly findings: readonly {
    readonly check: string
    readonly status: string
    readonly says: string
    cure?: string
  }[]
}

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-doctor-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

async function doctor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const ended = await sluiceProcess(['doctor', ...args, '--json'], { cwd: folder, env })
  const report = JSON.parse(ended.stdout) as Report
  const failed = report.findings.filter(({ status }) => status === 'failed')
  const isOfFile = failed.some(({ check }) => check === 'file' || check === 'references')
  const expected = isOfFile ? 2 : 1
  expect(ended.exitCode).toBe(report.ok ? 0 : expected)
  for (const { cure } of failed) expect(cure).toMatch(/\.$/)
  return { ...ended, ...report, failed, of: (check: string) => report.findings.filter(found => found.check === check) }
}

const shops = (base: string) =>
  `client: {base_url: "${base}", auth: {type: bearer, token: "\${secrets.api_key}"}}\nresources: [shops, stores]\n`

it('finds a machine well, with a mark a line, and writes nothing', async () => {
  const { exitCode, stdout, stderr } = await sluiceProcess(['doctor'], { cwd: folder })
  expect({ exitCode, stderr }, stdout).toEqual({ exitCode: 0, stderr: '' })
  expect(stdout).toContain(`✓ node         Node ${process.versions.node}\n`)
  expect(stdout).toMatch(/✓ platform {5}\w+ \w+/)
  expect(stdout).toMatch(/✓ duckdb {7}DuckDB v\d/)
  expect(stdout).toMatch(/✓ pg {11}pg \d/)
  expect(stdout).toMatch(/✓ folder .* can be written, [\d.]+ GiB are free/)
  expect(await readdir(folder)).toEqual([])
})

describe('says what to mend, and no secret', () => {
  it.skipIf(process.platform === 'win32' || process.getuid?.() === undefined)(
    'a file of secrets that others may read',
    async () => {
      await mkdir(join(folder, '.sluice'))
      const file = join(folder, '.sluice', 'secrets.toml')
      await writeFile(file, 'api_key = "s3cr3t"\n')
      await chmod(file, 0o644)
      const { failed, stdout } = await doctor([])
      expect(failed).toMatchObject([{ check: 'secrets', cure: expect.stringContaining(`chmod 600 ${file}`) as string }])
      expect(stdout).not.toContain('s3cr3t')
      await chmod(file, 0o600)
      expect(await doctor([])).toMatchObject({ ok: true })
      const variables = join(folder, '.env')
      await writeFile(variables, 'API_KEY=s3cr3t\n')
      await chmod(variables, 0o644)
      expect((await doctor([])).failed).toMatchObject([
        { check: 'secrets', cure: expect.stringContaining(`chmod 600 ${variables}`) as string },
      ])
      await rm(variables)
      await writeFile(file, 'api_key = s3cr3t\n')
      const broken = await doctor([])
      expect(broken.failed).toMatchObject([{ check: 'secrets' }])
      expect(broken.stdout).not.toContain('s3cr3t')
    },
  )

  it('proxies and certificates', async () => {
    const { of, failed, stdout } = await doctor([], {
      https_proxy: 'http://me:s3cr3t@proxy.example:3128',
      NO_PROXY: 'localhost',
      NODE_EXTRA_CA_CERTS: join(folder, 'missing.pem'),
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
    })
    expect(of('proxy').map(({ says }) => says)).toEqual([
      'https_proxy is http://proxy.example:3128',
      'NO_PROXY is localhost',
    ])
    expect(failed.map(({ check }) => check)).toEqual(['certificates', 'certificates'])
    expect(stdout).not.toContain('s3cr3t')
  })

  it('a file with a mistake, and looks no further', async () => {
    await writeFile(join(folder, 'm.yaml'), 'client: {base_ulr: x}\nresources: []\n')
    const { failed, of } = await doctor(['m.yaml'])
    expect(failed).toMatchObject([{ check: 'file', says: expect.stringContaining('m.yaml:1:') as string }])
    expect(of('dataset')).toEqual([])
  })

  it('where every secret was found', async () => {
    await writeFile(join(folder, 'm.yaml'), shops('http://127.0.0.1:9'))
    await writeFile(join(folder, '.env'), 'API_KEY=s3cr3t\n', { mode: 0o600 })
    const { of, stdout } = await doctor(['m.yaml'])
    expect(of('references')[0]?.says).toContain(`\`\${secrets.api_key}\`, from the variable API_KEY in ${folder}/.env`)
    expect(stdout).not.toContain('s3cr3t')
  })

  it('a secret that is missing, and still looks at the destination', async () => {
    await writeFile(join(folder, 'm.yaml'), shops('http://127.0.0.1:9'))
    const { failed, of } = await doctor(['m.yaml'])
    expect(failed).toMatchObject([
      { check: 'references', says: expect.stringContaining('`api_key` is missing') as string },
    ])
    expect(of('dataset')).toMatchObject([
      { status: 'ok', says: expect.stringContaining('nothing is loaded') as string },
    ])
    expect(await readdir(folder)).toEqual(['m.yaml'])
  })

  it('a destination that somebody holds', async () => {
    await writeFile(join(folder, 'm.yaml'), shops('http://127.0.0.1:9'))
    const instance = await DuckDBInstance.create(join(folder, 'm.duckdb'))
    try {
      const { failed } = await doctor(['m.yaml'], { API_KEY: 's3cr3t' })
      expect(failed).toMatchObject([{ check: 'dataset', says: expect.stringContaining(`${process.pid}`) as string }])
    } finally {
      instance.closeSync()
    }
  })

  it.skipIf(process.getuid?.() === 0)('a folder that cannot be written', async () => {
    await mkdir(join(folder, 'shut'), { mode: 0o500 })
    await writeFile(join(folder, 'm.yaml'), shops('http://127.0.0.1:9'))
    const { failed } = await doctor(['m.yaml', '--destination', 'duckdb:shut/a.duckdb'], { API_KEY: 's3cr3t' })
    expect(failed).toMatchObject([{ check: 'destination' }])
  })
})

it('asks Postgres whether a load may make its tables', async () => {
  const server = await startPostgres()
  onTestFinished(() => server.stop())
  const database = await server.createDatabase()
  await server.sql(database, `CREATE ROLE guest LOGIN PASSWORD 's3cr3t'`)
  await writeFile(join(folder, 'm.yaml'), shops('http://127.0.0.1:9'))
  const at = (url: string) => doctor(['m.yaml', '--destination', url, '--dataset', 'crm'], { API_KEY: 'key' })
  const guest = await at(server.url(database, 'guest', 's3cr3t'))
  expect(guest.failed).toMatchObject([
    { check: 'destination', says: expect.stringContaining('guest may not') as string },
  ])
  expect(guest.stdout).not.toContain('s3cr3t')
  await server.sql(database, 'CREATE SCHEMA crm AUTHORIZATION guest')
  expect(await at(server.url(database, 'guest', 's3cr3t'))).toMatchObject({ ok: true })
  const wrong = await at(server.url(database, 'guest', 'wr0ng'))
  expect(wrong.failed).toMatchObject([{ check: 'dataset' }])
  expect(wrong.stdout).not.toContain('wr0ng')
})

it('asks the API for one page, and only when told to', async () => {
  const api = await testApi((_url, { headers }) =>
    headers.authorization === 'Bearer right' ? { json: [{ id: 1 }, { id: 2 }] } : { status: 401, json: {} },
  )
  await writeFile(join(folder, 'm.yaml'), shops(api.origin))
  const quiet = await doctor(['m.yaml'], { API_KEY: 'right' })
  expect(quiet).toMatchObject({ ok: true })
  expect(api.asked).toEqual([])
  const asked = await doctor(['m.yaml', '--request'], { API_KEY: 'right' })
  expect(asked.of('api')).toMatchObject([{ status: 'ok', says: 'shops: 2 records on the first page' }])
  expect(api.asked).toEqual(['GET /shops'])
  const refused = await doctor(['m.yaml', '--request'], { API_KEY: 's3cr3t' })
  expect(refused.failed).toMatchObject([{ check: 'api', says: expect.stringContaining('401') as string }])
  expect(refused.stdout).not.toContain('s3cr3t')
})

it('tells everybody in `notify` that this is a test, only when it is asked, and says who could not be told', async () => {
  const told: { readonly path: string; readonly body: string }[] = []
  const hook = await receiverApi(async ({ pathname }, request) => {
    told.push({ path: pathname, body: await text(request) })
    return { status: pathname === '/gone' ? 404 : 204, json: {} }
  })
  const notify = `notify:
  - { on: failure, webhook: "\${secrets.chat}" }
  - { on: late, late_after: PT1H, webhook: "${hook.url}/gone" }
`
  await writeFile(join(folder, 'n.yaml'), `${shops('http://127.0.0.1:1')}${notify}`)
  const env = { API_KEY: 'right', CHAT: `${hook.url}/chat/s3cr3t` }
  expect((await doctor(['n.yaml'], env)).of('notify')).toEqual([])
  expect(told).toEqual([])
  const { failed, stdout, of } = await doctor(['n.yaml', '--notify'], env)
  expect(of('notify')).toMatchObject([
    { status: 'ok', says: 'notify[0] of n was told that this is a test' },
    { status: 'failed', says: `notify[1] of n: the webhook at ${hook.url} answered 404` },
  ])
  expect(failed).toHaveLength(1)
  expect(stdout).not.toContain('s3cr3t')
  const chat = told.find(({ path }) => path === '/chat/s3cr3t')
  expect(JSON.parse(chat?.body ?? '{}')).toMatchObject({
    occasions: ['test'],
    message: 'n: a test: nothing ran',
    error: null,
  })
  await writeFile(join(folder, 'n.yaml'), shops('http://127.0.0.1:1'))
  expect((await doctor(['n.yaml', '--notify'], env)).of('notify')).toMatchObject([
    { status: 'note', says: 'n tells nobody' },
  ])
})

describe('of a lake', () => {
  const lake =
    'name: o\ndestination: ducklake:o.ducklake\nclient: {base_url: "http://127.0.0.1:9"}\nresources: [orders]\n'

  it('misses the extension that a run would miss, says which version, and makes no lake', async () => {
    await writeFile(join(folder, 'o.yaml'), lake)
    await mkdir(join(folder, 'empty'))
    const env = { SLUICE_DUCKDB_EXTENSIONS: join(folder, 'empty') }
    const { failed } = await doctor(['o.yaml'], env)
    expect(failed).toMatchObject([{ check: 'destination' }])
    expect(failed[0]?.says).toMatch(
      /There is no ducklake\.duckdb_extension in .*empty; put the one for DuckDB v(\d[\d.]*) there\. It is in version \1 of the Python package duckdb-extension-ducklake\. .*"overrides"/,
    )
    const run = await sluiceProcess(['run', 'o.yaml'], { cwd: folder, env })
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain('There is no ducklake.duckdb_extension')
    expect(await readdir(folder)).not.toContain('o.ducklake')
  })

  it.skipIf(extensions === undefined)('names the extensions that DuckDB loads', async () => {
    await writeFile(join(folder, 'o.yaml'), lake.replace('ducklake:o.ducklake', 'ducklake:sqlite:o.sqlite'))
    const { ok, of } = await doctor(['o.yaml'], {
      SLUICE_DUCKDB_EXTENSIONS: extensions ?? '',
      NODE_OPTIONS: process.env.NODE_OPTIONS ?? '',
    })
    expect(of('destination').map(({ says }) => says)).toContainEqual(
      expect.stringMatching(/^ducklake:o\.sqlite: DuckDB loads ducklake, sqlite_scanner$/),
    )
    expect(ok).toBe(true)
    expect(await readdir(folder)).not.toContain('o.sqlite')
  })
})
