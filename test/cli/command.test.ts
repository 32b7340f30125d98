import { access, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DemoApi, type DemoOptions, startDemoApi } from '../../demo/server.js'
import { type CommandOptions, type Ended, main, sluiceProcess } from './process.js'

// Characters that look different percent-encoded, in JSON and in base64.
const API_KEY = 's3cr3t/+key?&"ü%41'
const examples = fileURLToPath(new URL('../../examples', import.meta.url))
const flags = join(examples, 'feature_flags.yaml')

let folder: string
let api: DemoApi | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-cli-'))
})
afterEach(async () => {
  await api?.close()
  api = undefined
  await rm(folder, { recursive: true, force: true })
})

async function startApi(options: Partial<DemoOptions> = {}): Promise<DemoApi> {
  api = await startDemoApi({ apiKey: API_KEY, records: { featureFlags: 230, feedback: 310 }, ...options })
  return api
}

function environment(): Record<string, string> {
  return { API_KEY, DEMO_API_URL: api?.url ?? 'http://127.0.0.1:9', SLUICE_HOME: join(folder, 'home') }
}

function sluice(args: readonly string[], options: Partial<CommandOptions> = {}): Promise<Ended> {
  return sluiceProcess(args, { cwd: folder, env: environment(), ...options })
}

describe('sluice run', () => {
  it('loads an integration, says what it can prove, and merges what changed on the second run', async () => {
    const { advance, requests } = await startApi()
    const first = await sluice(['run', flags, '--destination', 'duckdb:flags.duckdb'])
    expect(first).toMatchObject({ exitCode: 0, signal: null })
    expect(first.stderr).toMatch(/feature_flags\s+3 pages\s+230 records/)
    expect(first.stdout).toMatch(/feature_flags\s+complete\s+3\s+0\s+3\s+230\s+230/)
    expect(first.stdout).toMatch(
      /Load \d+\.\d+ committed: [\d,]+ rows into duckdb:flags\.duckdb, dataset feature_management/,
    )
    expect(requests.map(({ offset }) => offset).sort((a, b) => a - b)).toEqual([0, 100, 200])
    advance()
    expect((await sluice(['run', flags, '--destination', 'duckdb:flags.duckdb'])).exitCode).toBe(0)
    const shown = await sluice(['show', flags, '--destination', 'duckdb:flags.duckdb'])
    expect(shown.exitCode).toBe(0)
    expect(shown.stdout).toMatch(/^feature_flags\s+270$/m)
    expect(shown.stdout).toMatch(/^feature_flags__environments\s+810$/m)
    expect(shown.stdout).toMatch(/^_dlt_loads\s+2$/m)
  })

  it('names the next command as a project types it', async () => {
    await startApi()
    const bin = join(folder, 'node_modules/.bin')
    await mkdir(bin, { recursive: true })
    const script = join(bin, 'sluice')
    await symlink(main, script)
    const loaded = await sluice(['run', flags, '--destination', 'duckdb:flags.duckdb'], { script })
    expect(loaded.stdout).toContain('Ask it: npx sluice query ')
    const gone = await sluice(['run', flags, '--destination', 'duckdb::memory:'], { script })
    expect(gone.stdout).toContain('rows into duckdb::memory:')
    expect(gone.stdout).not.toContain('Ask it')
    expect((await sluice(['run', 'missing.yaml'], { script })).stderr).toContain('(npx sluice explain config)')
    expect((await sluice(['run', 'missing.yaml'])).stderr).toContain('(sluice explain config)')
  })

  it('loads the TypeScript twin of the feedback document', async () => {
    await startApi()
    const file = join(examples, 'feedback.ts')
    const ended = await sluice(['run', file, '--destination', 'duckdb:feedback.duckdb'])
    expect(ended).toMatchObject({ exitCode: 0 })
    const shown = await sluice([
      'show',
      file,
      'feedback_data',
      '--limit',
      '2',
      '--destination',
      'duckdb:feedback.duckdb',
    ])
    expect(shown.stdout).toContain('2 of 310 rows')
    expect(shown.stdout).toContain('7190000000000000001')
  })

  it('prints one event a line with --json, and nothing else', async () => {
    await startApi()
    const { stdout, exitCode } = await sluice(['run', flags, '--json', '--destination', 'duckdb:flags.duckdb'])
    expect(exitCode).toBe(0)
    const events = stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as { type: string; time: string })
    for (const { time } of events) expect(time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
    const types = events.map(event => event.type)
    expect(types[0]).toBe('run_started')
    expect(types[1]).toBe('resource_started')
    expect(types.at(-1)).toBe('committed')
    expect(types.filter(type => type === 'page')).toHaveLength(3)
    expect(types).toContain('resource_finished')
  })

  it('stops after --limit pages and does not call that complete', async () => {
    const { requests } = await startApi()
    const { stdout } = await sluice([
      'run',
      flags,
      '--limit',
      '1',
      '--concurrency',
      '1',
      '--destination',
      'duckdb:flags.duckdb',
    ])
    expect(requests).toHaveLength(1)
    expect(stdout).toMatch(/feature_flags\s+unproven/)
  })

  it('repeats what is worth repeating', async () => {
    const { requests } = await startApi({
      faults: ({ offset, attempt }) => {
        if (attempt > 1) return undefined
        return offset === 100
          ? { kind: 'rate_limited', retryAfterSeconds: 0 }
          : offset === 200
            ? { kind: 'cut' }
            : undefined
      },
    })
    const { exitCode, stdout } = await sluice(['run', flags, '--destination', 'duckdb:flags.duckdb'])
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/feature_flags\s+complete\s+5\s+2\s+3\s+230/)
    expect(requests.map(({ status }) => status).sort()).toEqual([0, 200, 200, 200, 429])
  })
})

describe('what goes wrong', () => {
  it('a refused key: the redacted URL, the status, the body and what to do; nothing committed', async () => {
    await startApi()
    const env = { ...environment(), API_KEY: 'not-the-right-key' }
    const ended = await sluice(['run', flags, '--destination', 'duckdb:flags.duckdb'], { env })
    expect(ended.exitCode).toBe(1)
    expect(ended.stderr).toContain('401')
    expect(ended.stderr).toContain('/v1/feature_flags')
    expect(ended.stderr).toContain('api_key is missing or not valid')
    expect(ended.stderr).toContain(
      'check the secret (`${secrets.api_key}`, from the variable API_KEY of the environment) and the `auth` block',
    )
    expect(ended.stderr).not.toContain('hint:')
    expect(ended.stderr).not.toContain('not-the-right-key')
    expect(ended.stderr).not.toMatch(/^\s+at /m)
    const shown = await sluice(['show', flags, '--destination', 'duckdb:flags.duckdb'])
    expect(shown.stdout).toContain('no tables yet')
    expect((await readdir(folder)).filter(name => name.endsWith('.duckdb'))).toEqual([])
  })

  it('a missing secret: exit code 2, where to write it, no request', async () => {
    const { requests } = await startApi()
    const env = { DEMO_API_URL: api?.url ?? '' }
    const ended = await sluice(['run', flags], { env })
    expect(ended.exitCode).toBe(2)
    expect(ended.stderr).toMatch(
      /set the variable API_KEY, .*, or write api_key = "…" into \S+\.sluice\/secrets\.toml$/m,
    )
    expect(ended.stderr).not.toContain('SOURCES__')
    const explained = await sluice(['explain', 'secret_missing'])
    for (const place of ['SOURCES__REST_API__API_KEY', '.dlt/secrets.toml']) expect(explained.stdout).toContain(place)
    expect(requests).toHaveLength(0)
  })

  it.each([
    [
      'a misspelt key',
      'client:\n  base_url: http://127.0.0.1:9\nresources:\n  - name: a\n    primray_key: id\n',
      /bad\.yaml:5.*primary_key/,
    ],
    ['no base_url', 'client: {}\nresources:\n  - a\n', /base_url/],
    ['a duplicate resource', 'client:\n  base_url: http://127.0.0.1:9\nresources:\n  - a\n  - a\n', /bad\.yaml:5/],
    ['bad YAML', 'client:\n  base_url: "http://\nresources: [', /bad\.yaml:\d/],
    ['an empty file', '', /empty/],
  ])('%s: exit code 2, the place, no file made', async (_what, text, expected) => {
    await writeFile(join(folder, 'bad.yaml'), text)
    const ended = await sluice(['run', 'bad.yaml'])
    expect(ended.exitCode).toBe(2)
    expect(ended.stderr).toMatch(expected)
    expect(ended.stderr).not.toMatch(/^\s+at /m)
    expect(ended.stdout).toBe('')
    expect(await readdir(folder)).toEqual(['bad.yaml'])
  })

  it('a file that is not there: exit code 2 and its name', async () => {
    const ended = await sluice(['check', 'nowhere.yaml'])
    expect(ended.exitCode).toBe(2)
    expect(ended.stderr).toContain('nowhere.yaml')
  })

  it('a selector that finds nothing: what the body looked like', async () => {
    await startApi()
    const text = (await readFile(flags, 'utf8')).replace('data_selector: items', 'data_selector: itens')
    await writeFile(join(folder, 'flags.yaml'), text)
    const ended = await sluice(['run', 'flags.yaml'])
    expect(ended.exitCode).toBe(1)
    expect(ended.stderr).toContain('itens')
    expect(ended.stderr).toContain('items')
  })

  it.each([
    [['rn'], /Did you mean run/],
    [['run'], /missing required argument/],
    [['run', 'a.yaml', '--limit', '0'], /whole number/],
    [['run', 'a.yaml', '--selct', 'x'], /--select/],
  ])('sluice %j: exit code 2 and a near miss', async (args, expected) => {
    const ended = await sluice(args)
    expect(ended.exitCode).toBe(2)
    expect(ended.stderr).toMatch(expected)
  })

  it.each(['SIGINT', 'SIGTERM'] as const)(
    '%s: stops cleanly, commits nothing, and the next run continues',
    async signal => {
      let kill: (() => void) | undefined
      const { requests } = await startApi({
        faults: ({ offset, attempt }) => {
          if (offset < 200 || attempt > 1) return undefined
          kill?.()
          return { kind: 'slow', delayMs: 20_000 }
        },
      })
      const args = ['run', flags, '--concurrency', '1', '--destination', 'duckdb:flags.duckdb']
      const stopped = await sluice(args, { started: running => (kill = () => running.kill(signal)) })
      expect(stopped).toMatchObject({ exitCode: 1, signal: null })
      expect(stopped.stderr).toContain('nothing was committed')
      kill = undefined
      const asked = requests.length
      const resumed = await sluice(args)
      expect(resumed.exitCode).toBe(0)
      expect(resumed.stdout).toMatch(/feature_flags\s+complete\s+1\s+0\s+3\s+230/)
      expect(requests.slice(asked).map(({ offset }) => offset)).toEqual([200])
    },
  )
})

describe('sluice check', () => {
  it('asks for one page, says what it found and writes nothing', async () => {
    const { requests } = await startApi()
    const { exitCode, stdout } = await sluice(['check', flags])
    expect(exitCode).toBe(0)
    expect(requests).toHaveLength(1)
    expect(stdout).toContain('100 records')
    expect(stdout).toContain('230 announced')
    expect(stdout).toMatch(/^id +"ff_00001"$/m)
    expect(await readdir(folder)).toEqual([])
  })
})

describe('the key', () => {
  it('is nowhere: not in outputs, journal, state or tables, in no encoding', async () => {
    let broken = true
    await startApi({
      faults: ({ offset }) => (broken && offset === 200 ? { kind: 'status', status: 400 } : undefined),
    })
    const args = ['run', flags, '--debug', '--destination', 'duckdb:flags.duckdb']
    const failed = await sluice(args)
    expect(failed.exitCode).toBe(1)
    const home = join(folder, 'home')
    await access(home)
    const afterFailure = await everything(folder)
    broken = false
    const json = await sluice([...args, '--json'])
    expect(json.exitCode).toBe(0)
    const shown = await sluice(['show', flags, '--destination', 'duckdb:flags.duckdb'])
    const texts = [failed, json, shown].flatMap(({ stdout, stderr }) => [stdout, stderr])
    const haystacks = [...texts.map(text => Buffer.from(text)), ...afterFailure, ...(await everything(folder))]
    for (const needle of needles(API_KEY)) {
      for (const haystack of haystacks) expect(haystack.includes(needle), needle).toBe(false)
    }
  })

  it('would be found if it were there', async () => {
    await mkdir(join(folder, 'home'))
    await writeFile(join(folder, 'home', 'leak'), Buffer.from(API_KEY).toString('base64'))
    const files = await everything(folder)
    expect(needles(API_KEY).some(needle => files.some(file => file.includes(needle)))).toBe(true)
  })
})

function needles(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const query = new URLSearchParams({ a: secret }).toString().slice(2)
  return [
    secret,
    encodeURIComponent(secret),
    query,
    JSON.stringify(secret).slice(1, -1),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    // The part that looks the same in all of them.
    's3cr3t',
  ]
}

async function everything(under: string): Promise<Buffer[]> {
  const entries = await readdir(under, { recursive: true, withFileTypes: true })
  return Promise.all(entries.filter(entry => entry.isFile()).map(entry => readFile(join(entry.parentPath, entry.name))))
}
