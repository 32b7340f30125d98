import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadPipelineFile, type Pipeline, type PipelineFileOptions, type RunEvent } from '../../src/index.js'
import { type Ended, sluiceProcess } from './process.js'

const DOCUMENT = `
client: {base_url: "https://api.example.com"}
resources: [{name: shops, primary_key: id, records: [{id: 1}, {id: 2}]}]
`
const MODULE = `
import { duckdb, pipeline, restApi, secret } from 'sluice'
const client = { base_url: 'https://api.example.com', auth: { type: 'bearer', token: secret('token') } } as const
export default pipeline({
  name: 'shops',
  source: restApi({ client, resources: [{ name: 'shops', records: [{ id: 1 }] }] }),
  destination: duckdb('shops.duckdb'),
})
`

let folder: string
let beside: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-places-'))
  beside = join(folder, 'pipelines')
  await mkdir(beside)
})
afterEach(() => rm(folder, { recursive: true, force: true }))

function sluice(args: readonly string[], cwd = folder, env: Record<string, string> = {}): Promise<Ended> {
  return sluiceProcess(args, { cwd, env })
}

async function open(file: string, options: PipelineFileOptions): Promise<readonly Pipeline[]> {
  return (await loadPipelineFile(file, { env: {}, ...options })).pipelines
}

async function run(file: string, options: PipelineFileOptions): Promise<void> {
  for (const pipeline of await open(file, options)) await pipeline.run()
}

async function contents(path: string): Promise<string[]> {
  return (await readdir(path)).sort()
}

describe('paths are relative to the pipeline file', () => {
  it.each([
    ['a DuckDB file', 'duckdb:shops.duckdb', 'shops.duckdb'],
    ['the default', undefined, 'shops.duckdb'],
    ['a folder of files', 'files:lake', 'lake'],
  ])('%s', async (_, destination, made) => {
    const keys = destination === undefined ? '' : `destination: ${destination}\n`
    await writeFile(join(beside, 'shops.yaml'), keys + DOCUMENT)
    const elsewhere = join(folder, 'elsewhere')
    await mkdir(elsewhere)
    await run('pipelines/shops.yaml', { cwd: folder })
    const [again] = await open('../pipelines/shops.yaml', { cwd: elsewhere })
    expect(await again?.dataset().table('shops').count()).toBe(2)
    expect(await contents(beside)).toEqual(['.sluice', made, 'shops.yaml'].sort())
    expect(await contents(folder)).toEqual(['elsewhere', 'pipelines'])
    expect(await contents(elsewhere)).toEqual([])
  })

  it('of a module too: its database, its journals and its secrets', async () => {
    await writeFile(join(beside, 'shops.ts'), MODULE)
    await writeFile(join(beside, '.env'), 'TOKEN=from-the-file\n', { mode: 0o600 })
    expect(await sluice(['run', 'pipelines/shops.ts'])).toMatchObject({ exitCode: 0 })
    expect(await contents(beside)).toEqual(['.env', '.sluice', 'shops.duckdb', 'shops.ts'])
    expect(await contents(folder)).toEqual(['pipelines'])
  })

  it('what the command line names is relative to the current folder', async () => {
    await writeFile(join(beside, 'shops.yaml'), DOCUMENT)
    await run('pipelines/shops.yaml', { cwd: folder, destination: 'duckdb:here.duckdb' })
    expect(await contents(folder)).toEqual(['here.duckdb', 'pipelines'])
  })

  it('a database in the current folder, where it used to be looked for, is told of', async () => {
    await writeFile(join(beside, 'shops.yaml'), DOCUMENT)
    await writeFile(join(folder, 'shops.duckdb'), '')
    const { stderr, exitCode } = await sluice(['run', 'pipelines/shops.yaml'])
    expect(exitCode).toBe(0)
    expect(stderr).toContain('warning: paths are relative to the pipeline file: `duckdb:shops.duckdb` is ')
    expect(stderr).toContain(`${join('/', 'pipelines', 'shops.duckdb')}, which does not exist yet. `)
    expect(stderr).toContain('move it there, or name it with --destination duckdb:shops.duckdb')
    const { warnings } = await loadPipelineFile('pipelines/shops.yaml', { cwd: folder, env: {} })
    expect(warnings).toEqual([])
  })

  it('also where a module names the database', async () => {
    await writeFile(join(beside, 'shops.ts'), MODULE)
    await writeFile(join(folder, 'shops.duckdb'), '')
    const { stderr } = await sluice(['types', 'pipelines/shops.ts'], folder, { TOKEN: 'set' })
    expect(stderr).toContain('warning: paths are relative to the pipeline file: `duckdb:shops.duckdb` is ')
    expect(stderr).toContain('has loaded nothing into duckdb:shops.duckdb (')
    expect(stderr.replaceAll(/\n\s*/g, ' ')).toContain(
      `${join('pipelines', 'shops.duckdb')}), dataset shops_dataset yet`,
    )
  })
})

describe('.env beside the pipeline file', () => {
  const USES = `
client: {base_url: "\${env.API}", auth: {type: bearer, token: "\${secrets.token}"}}
resources: [{name: shops, records: [{id: 1}]}]
`
  const VALUES = "export API=https://from-the-file.example\nTOKEN='t0ken #4711' # the token\n"

  it('is read, whatever the current folder is; the environment itself wins', async () => {
    await writeFile(join(beside, 'shops.yaml'), USES)
    await writeFile(join(beside, '.env'), VALUES, { mode: 0o600 })
    const listed = USES.replace(', records: [{id: 1}]', '')
    await writeFile(join(beside, 'asked.yaml'), listed)
    const asked = async (env: Record<string, string>): Promise<string | undefined> => {
      const [one] = await open('pipelines/asked.yaml', { cwd: folder, env })
      return (await one?.plan())?.resources[0]?.request?.request?.url
    }
    expect(await asked({ API: 'https://real.example' })).toBe('https://real.example/shops')
    expect(await asked({ API: '' })).toBe('https://from-the-file.example/shops')
    const plan = await sluice(['plan', 'pipelines/asked.yaml'])
    expect(plan).toMatchObject({ exitCode: 0, stderr: '' })
    expect(plan.stdout).toContain('https://from-the-file.example/shops')
    expect(plan.stdout).not.toContain('4711')
    await run('pipelines/shops.yaml', { cwd: folder })
  })

  it('is a place where a missing secret is looked for', async () => {
    await writeFile(join(beside, 'shops.yaml'), USES)
    const options = { cwd: folder, env: { API: 'https://a.example' } }
    await expect(open('pipelines/shops.yaml', options)).rejects.toThrow(/in the shell or in .*pipelines\/\.env, or/)
  })

  it('is told of by every command if others can read it', async () => {
    await writeFile(join(beside, 'shops.yaml'), USES)
    await writeFile(join(beside, '.env'), VALUES)
    await chmod(join(beside, '.env'), 0o644)
    for (const command of ['run', 'show']) {
      const { stderr } = await sluice([command, 'pipelines/shops.yaml'])
      expect(stderr.match(/warning: .*\.env can be read by other users; `chmod 600 /g)).toHaveLength(1)
    }
  })

  it('a folder of that name is none', async () => {
    await writeFile(join(beside, 'shops.yaml'), DOCUMENT)
    await mkdir(join(beside, '.env'))
    await run('pipelines/shops.yaml', { cwd: folder })
  })
})

describe('--profile', () => {
  const PROFILES = `
destination: duckdb:dev.duckdb
profiles:
  prod: {destination: "duckdb:\${env.PLACE}.duckdb", dataset: warehouse}
  trial: {dataset: trial, limit: 1}
${DOCUMENT}`

  it('chooses where to load, keeps state and journals apart, and is said by the run', async () => {
    await writeFile(join(beside, 'shops.yaml'), PROFILES)
    const file = 'pipelines/shops.yaml'
    const env = { PLACE: 'prod' }
    await run(file, { cwd: folder })
    await run(file, { cwd: folder, env, profile: 'prod' })
    const trial = await sluice(['run', file], folder, { SLUICE_PROFILE: 'trial' })
    expect(trial).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('shops (profile trial) → duckdb:dev.duckdb, dataset trial'),
      stdout: expect.stringContaining(`Ask it: sluice query ${file} 'SELECT * FROM shops LIMIT 10' --profile trial\n`),
    })
    expect(await contents(beside)).toEqual(['.sluice', 'dev.duckdb', 'prod.duckdb', 'shops.yaml'])
    expect(await contents(join(beside, '.sluice'))).toEqual(['profiles', 'shops'])
    expect(await contents(join(beside, '.sluice', 'profiles'))).toEqual(['prod', 'trial'])
    for (const profile of [undefined, 'prod', 'trial']) {
      const [one] = await open(file, { cwd: folder, env, profile })
      expect(await one?.dataset().history()).toHaveLength(1)
    }
    const asked = await sluice(['query', file, 'SELECT count(*) AS n FROM shops', '--csv', '--profile', 'trial'])
    expect(asked).toMatchObject({ exitCode: 0, stdout: 'n\n2\n', stderr: 'profile trial\n' })
  })

  it('limits a run, unless the run says otherwise', async () => {
    const text = `export default {
      client: { base_url: 'https://api.example.com' },
      resources: [async function* pages() { yield [{ id: 1 }]; yield [{ id: 2 }] }],
      profiles: { trial: { dataset: 'trial', limit: 1 } },
    }`
    await writeFile(join(beside, 'shops.ts'), text)
    const [one] = await open('pipelines/shops.ts', { cwd: folder, profile: 'trial' })
    const profiles: unknown[] = []
    const onEvent = (event: RunEvent): void => void (event.type === 'run_started' && profiles.push(event.profile))
    expect(await one?.run({ onEvent })).toMatchObject({ rows: { pages: 1 } })
    expect(await one?.run({ onEvent, maxPages: 5 })).toMatchObject({ rows: { pages: 2 } })
    expect(profiles).toEqual(['trial', 'trial'])
  })

  it.each([
    ['a misspelt name', PROFILES, 'prd', 'profiles: there is no profile `prd`; did you mean `prod`?'],
    ['another name', PROFILES, 'x', 'there is no profile `x`; there are prod, trial'],
    ['no profiles', DOCUMENT, 'prod', 'profiles: the file has none, so there is no profile `prod`'],
    [
      'two of one place',
      `profiles: {a: {limit: 1}}\n${DOCUMENT}`,
      'a',
      'profiles.a: loads into the same dataset as the document without a profile',
    ],
    ['an unknown key', `profiles: {a: {dataste: x}}\n${DOCUMENT}`, 'a', 'did you mean `dataset`?'],
    ['a name that leads elsewhere', `profiles: {../a: {dataset: x}}\n${DOCUMENT}`, '../a', 'profiles'],
  ])('refuses %s', async (_, text, name, message) => {
    await writeFile(join(beside, 'shops.yaml'), text)
    await expect(open('pipelines/shops.yaml', { cwd: folder, profile: name })).rejects.toThrow(message)
    expect(await contents(beside)).toEqual(['shops.yaml'])
  })

  it('is refused for a pipeline that a module makes', async () => {
    await writeFile(join(beside, 'shops.ts'), MODULE)
    const options = { cwd: folder, env: { TOKEN: 't' }, profile: 'prod' }
    await expect(open('pipelines/shops.ts', options)).rejects.toThrow('exports a pipeline, which has no profile "prod"')
  })
})
