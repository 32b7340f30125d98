import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type DemoApi, startDemoApi } from '../../demo/server.js'
import { sluice as sluiceInProcess } from '../../src/cli/program.js'
import { type Ended, sluiceProcess } from './process.js'

// Some tests start many processes one after the other.
vi.setConfig({ testTimeout: 90_000 })

const API_KEY = 's3cr3t/+key?&"ü%41'

let folder: string
let api: DemoApi

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-cli-'))
  api = await startDemoApi({ apiKey: API_KEY, records: { featureFlags: 130, feedback: 210 } })
  await writeFile(join(folder, 'feedback.yaml'), DOCUMENT)
})
afterEach(async () => {
  await api.close()
  await rm(folder, { recursive: true, force: true })
})

const DOCUMENT = `client:
  base_url: \${env.DEMO_API_URL}
  auth: {type: api_key, name: api_key, api_key: "\${secrets.api_key}", location: query}
  paginator: {type: offset, limit: 100}
resources:
  - name: feedback_data
    primary_key: id
    write_disposition: merge
    endpoint:
      path: /v1/feedback
      data_selector: data
      incremental: {cursor_path: timestamp, initial_value: "2024-01-01T00:00:00Z"}
  - name: flags
    endpoint: {path: /v1/feature_flags, data_selector: items}
`

function environment(): Record<string, string> {
  return { API_KEY, DEMO_API_URL: api.url, SLUICE_HOME: join(folder, 'home') }
}

function sluice(...args: readonly string[]): Promise<Ended> {
  return sluiceProcess(args, { cwd: folder, env: environment() })
}

/** Runs the command in this process, with somebody who gives these answers, in order. */
async function onTerminal(args: readonly string[], answers: readonly string[]) {
  const printed: string[] = []
  const asked: { question: string; hidden: boolean }[] = []
  const left = [...answers]
  const output = {
    isTerminal: true,
    columns: () => 80,
    rows: () => 24,
    write: (written: string) => void printed.push(written),
    line: (line = '') => void printed.push(line),
    styled: (_style: string, plain: string) => plain,
  }
  const exitCode = await sluiceInProcess(args, {
    terminal: { out: output, err: output },
    prompt: {
      ask: async (question, { hidden = false } = {}) => {
        asked.push({ question, hidden })
        const answer = left.shift()
        if (answer === undefined) throw new Error(`nobody answers: ${question}`)
        return answer
      },
    },
    version: 'test',
    signal: new AbortController().signal,
    now: () => 0,
  })
  return { exitCode, asked, printed: printed.join('\n') }
}

async function run(): Promise<void> {
  expect(await sluice('run', 'feedback.yaml')).toMatchObject({ exitCode: 0 })
}

it('a run says on a terminal, and nowhere else, who keeps the schedule of the file', async () => {
  const file = join(folder, 'hourly.yaml')
  const auth = { type: 'api_key', name: 'api_key', api_key: API_KEY, location: 'query' }
  const endpoint = { path: '/v1/feature_flags', data_selector: 'items', paginator: { type: 'offset', limit: 100 } }
  const source = { client: { base_url: api.url, auth }, resources: [{ name: 'flags', endpoint }] }
  const destination = `duckdb:${join(folder, 'x.duckdb')}`
  await writeFile(file, JSON.stringify({ schedule: '0 * * * *', destination, source }))
  const { printed } = await onTerminal(['run', file], [])
  expect(printed.replace(/\s+/g, ' ')).toContain('`sluice worker` runs it by its schedule, 0 * * * *')
  const piped = await sluice('run', file)
  expect(piped).toMatchObject({ exitCode: 0 })
  expect(piped.stdout + piped.stderr).not.toContain('schedule')
})

describe('sluice plan', () => {
  it('says what would be asked, asks nothing and makes nothing; --probe asks one page a root', async () => {
    const planned = await sluice('plan', 'feedback.yaml')
    expect(planned).toMatchObject({ exitCode: 0, stderr: '' })
    expect(planned.stdout).toContain('it starts from the beginning')
    expect(planned.stdout).toMatch(
      /request +GET http:\/\/127\.0\.0\.1:\d+\/v1\/feedback\?offset=0&limit=100&api_key=\*\*\*$/m,
    )
    expect(planned.stdout).toMatch(/pages +offset, limit: 100.* \(from client\.paginator\)/)
    expect(planned.stdout).toMatch(/cursor +timestamp, from "2024-01-01T00:00:00Z" \(initial_value\)/)
    expect(planned.stdout).toMatch(/loads +merge, by id/)
    expect(planned.stdout).toMatch(/retry +up to 3 times/)
    expect(api.requests).toHaveLength(0)
    expect(await readdir(folder)).toEqual(['feedback.yaml'])

    const probed = await sluice('plan', 'feedback.yaml', '--probe', '--select', 'flags', '--json')
    const plan = JSON.parse(probed.stdout) as { resources: object[]; probe: object[] }
    expect(plan.resources).toMatchObject([{ resource: 'flags' }])
    expect(plan.probe).toMatchObject([{ resource: 'flags', records: 100, announced: 130 }])
    expect(api.requests).toHaveLength(1)
  })

  it('needs no secret, and says what a run would miss', async () => {
    const planned = await sluiceProcess(['plan', 'feedback.yaml'], { cwd: folder, env: {} })
    expect(planned.exitCode).toBe(0)
    expect(planned.stdout).toMatch(/a run would end at once: .*the environment variable `DEMO_API_URL` is not set/)
    expect(planned.stdout).toMatch(/the secret `api_key` is missing/)
    const probed = await sluiceProcess(['plan', 'feedback.yaml', '--probe'], { cwd: folder, env: {} })
    expect(probed).toMatchObject({ exitCode: 2, stdout: '' })
  })

  it('begins where the last load ended', async () => {
    await run()
    const { stdout } = await sluice('plan', 'feedback.yaml')
    expect(stdout).toMatch(/it starts from the state of load \d+\.\d+/)
    expect(stdout).toMatch(/cursor +timestamp, from "2024-.*" \(the state\)/)
  })
})

describe('sluice show', () => {
  it.each([[], ['--csv']])('of a table that is not there yet fails: %j', async (...flags) => {
    const ended = await sluice('show', 'feedback.yaml', 'flags', ...flags)
    expect(ended.exitCode).toBe(1)
    expect(ended.stderr).toContain('error: there is no table flags: no tables yet')
    expect(await sluice('show', 'feedback.yaml', ...flags)).toMatchObject({ exitCode: 0 })
  })

  it.each([[], ['--csv']])(
    'of a table that is not among those of the dataset is a mistake of the user: %j',
    async (...flags) => {
      await run()
      const ended = await sluice('show', 'feedback.yaml', 'feedback_dat', ...flags)
      expect(ended.exitCode).toBe(2)
      expect(ended.stderr).toContain('there is no table feedback_dat (did you mean feedback_data?)')
    },
  )
})

describe('sluice schema and sluice types', () => {
  it('say that nothing was loaded, and make nothing', async () => {
    for (const command of ['schema', 'types', 'state']) {
      const ended = await sluice(command, 'feedback.yaml')
      expect(ended).toMatchObject({ exitCode: 1, stdout: '' })
      expect(ended.stderr).toContain('has loaded nothing')
    }
    expect(await readdir(folder)).toEqual(['feedback.yaml'])
  })

  it('print every form of the schema, and write types', async () => {
    await run()
    const forms: Record<string, RegExp> = {
      json: /^ {4}"feedback_data__replies": \{$/m,
      mermaid: /^ {4}feedback_data__replies \{$/m,
    }
    expect((await sluice('schema', 'feedback.yaml')).stdout).toMatch(/^ {2}feedback_data__replies:$/m)
    for (const [form, expected] of Object.entries(forms)) {
      const { exitCode, stdout } = await sluice('schema', 'feedback.yaml', '--format', form)
      expect(exitCode).toBe(0)
      expect(stdout).toMatch(expected)
    }
    expect((await sluice('schema', 'feedback.yaml', '--format', 'xml')).exitCode).toBe(2)
    const dataset = await sluice('types', 'feedback.yaml', '--format', 'drizzle')
    expect(dataset.stdout).toMatch(/pgSchema\("feedback_dataset"\)\n.*dataset\.table\("feedback_data", \{$/ms)
    const written = await sluice('types', 'feedback.yaml', '--out', 'tables.d.ts')
    expect(written).toMatchObject({ exitCode: 0 })
    const text = await readFile(join(folder, 'tables.d.ts'), 'utf8')
    expect(text).toBe((await sluice('types', 'feedback.yaml')).stdout)
    expect(text).toMatch(/readonly feedback_data: FeedbackData$/m)
    expect(await readdir(folder)).not.toContain('tables.d.ts.partial')
  })
})

describe('schema files of a pipeline file', () => {
  it('are written beside it, and the edited one wins', async () => {
    await writeFile(
      join(folder, 'feedback.yaml'),
      `import_schema_path: schemas/import\nexport_schema_path: schemas/export\n${DOCUMENT}`,
    )
    await run()
    const imported = join(folder, 'schemas', 'import', 'rest_api.schema.yaml')
    expect(await readFile(join(folder, 'schemas', 'export', 'rest_api.schema.yaml'), 'utf8')).toBe(
      (await sluice('schema', 'feedback.yaml')).stdout,
    )
    const hinted = (await readFile(imported, 'utf8')).replace(
      /^( {6})timestamp:$/m,
      '$1note:\n$1  data_type: text\n$1  description: for people\n$1timestamp:',
    )
    expect(hinted).toContain('for people')
    await writeFile(imported, hinted)
    api.advance()
    await run()
    expect((await sluice('types', 'feedback.yaml')).stdout).toMatch(/for people.*\n {2}readonly note: string \| null/)
    expect(await readFile(imported, 'utf8')).toBe(hinted)
  })
})

describe('sluice state', () => {
  it('shows cursors and resets them', async () => {
    await run()
    const shown = await sluice('state', 'feedback.yaml')
    expect(shown.stdout).toMatch(/^feedback_data +timestamp +"2024-.*" +"2024-01-01T00:00:00Z"$/m)
    const document = JSON.parse((await sluice('state', 'feedback.yaml', '--json')).stdout) as object
    expect(document).toMatchObject({ pipeline_name: 'feedback', _state_version: 1 })
    const reset = await sluice('state', 'feedback.yaml', '--reset', 'feedback_data')
    expect(reset).toMatchObject({ exitCode: 0 })
    expect(reset.stdout).toMatch(/Load \d+\.\d+ committed: feedback_data\.timestamp will start again/)
    expect((await sluice('state', 'feedback.yaml')).stdout).toContain('no cursors')
    expect((await sluice('state', 'feedback.yaml', '--reset', 'feedback_dat')).exitCode).toBe(2)
    expect((await sluice('state', 'feedback.yaml', '--reset', 'flags')).stdout).toContain('Nothing to reset')
    const { stdout } = await sluice('show', 'feedback.yaml')
    expect(stdout).toMatch(/^feedback_data +210$/m)
    expect(stdout).toMatch(/^_dlt_loads +2$/m)
  })
})

describe('sluice drop', () => {
  it('does nothing where nobody can be asked, and what it says with --yes', async () => {
    await run()
    const refused = await sluice('drop', 'feedback.yaml', 'feedback_data')
    expect(refused.exitCode).toBe(2)
    expect(refused.stderr).toContain('feedback_data__replies')
    expect(refused.stderr).toContain('--yes')
    expect((await sluice('show', 'feedback.yaml')).stdout).toMatch(/^feedback_data +210$/m)
    const dropped = await sluice('drop', 'feedback.yaml', 'feedback_data', '--yes')
    expect(dropped).toMatchObject({ exitCode: 0 })
    const { stdout } = await sluice('show', 'feedback.yaml')
    expect(stdout).not.toMatch(/^feedback_data/m)
    expect(stdout).toMatch(/^flags +130$/m)
    const unknown = await sluice('drop', 'feedback.yaml', 'feedback_data', '--yes')
    expect(unknown.exitCode).toBe(2)
    expect(unknown.stderr).toContain('flags')
  })

  it.each([
    ['y', 0, /committed, dropped/],
    ['', 1, /Nothing was dropped/],
  ])('asks on a terminal: %j', async (answer, expected, said) => {
    const file = join(folder, 'asked.yaml')
    const database = `duckdb:${join(folder, 'asked.duckdb')}`
    const document = DOCUMENT.replace(/\$\{env\.DEMO_API_URL\}/, api.url).replace(
      /"\$\{secrets\.api_key\}"/,
      JSON.stringify(API_KEY),
    )
    await writeFile(file, `destination: ${JSON.stringify(database)}\n${document}`)
    expect(await onTerminal(['run', file, '--select', 'flags'], [])).toMatchObject({ exitCode: 0 })
    const { exitCode, asked, printed } = await onTerminal(['drop', file, 'flags'], [answer])
    expect(asked).toEqual([{ question: expect.stringContaining('[y/N]'), hidden: false }])
    expect(printed).toMatch(said)
    expect(exitCode).toBe(expected)
    expect((await onTerminal(['show', file], [])).printed.includes('flags__tags')).toBe(expected !== 0)
  })
})

describe('sluice init', () => {
  const address = (query = '') => `${api.url}/v1/feature_flags${query}`
  const auth = ['--auth', 'api_key', '--auth-location', 'query', '--auth-name', 'api_key']

  it('writes a file that checks, loads everything and holds no secret', async () => {
    const drafted = await sluice('init', '--url', address(), ...auth, '--out', 'flags.yaml', '--name', 'flags')
    expect(drafted).toMatchObject({ exitCode: 0 })
    expect(drafted.stderr).toContain('data_selector items')
    expect(drafted.stderr).toContain('paginator offset')
    expect(drafted.stderr).toContain('primary_key id')
    expect(drafted.stderr).toContain('updated_at')
    // The third makes sure that the offset counts records; those behind it prove the draft.
    expect(api.requests.map(({ offset }) => offset).slice(0, 3)).toEqual([0, 100, 99])
    const text = await readFile(join(folder, 'flags.yaml'), 'utf8')
    expect(text).toContain('$' + '{secrets.api_key}')
    expect(text).not.toContain('s3cr3t')
    expect(await sluice('check', 'flags.yaml')).toMatchObject({ exitCode: 0 })
    const loaded = await sluice('run', 'flags.yaml')
    expect(loaded.stdout).toMatch(/^flags +complete +2 +0 +2 +130 +130/m)
  })

  it('takes a key out of the address, and keeps other parameters', async () => {
    const query = `?limit=50&status=a%7Bb&api_key=${encodeURIComponent(API_KEY)}`
    const drafted = await sluice('init', '--url', address(query))
    expect(drafted).toMatchObject({ exitCode: 0 })
    expect(drafted.stdout + drafted.stderr).not.toContain('s3cr3t')
    const text = await readFile(join(folder, 'feature_flags.yaml'), 'utf8')
    expect(text).toMatch(/^ {6}limit: 50$/m)
    expect(text).toMatch(/^ {10}status: "?a\{\{b"?$/m)
    expect(text).not.toContain('s3cr3t')
    expect(await sluice('check', 'feature_flags.yaml')).toMatchObject({ exitCode: 0 })
  })

  it('takes the comments off into a document that is valid', async () => {
    await sluice('init', '--url', address(), ...auth, '--out', 'flags.yaml')
    const text = await readFile(join(folder, 'flags.yaml'), 'utf8')
    const uncommented = text.replace(/^( +)# (?=incremental:| {2}(cursor_path|initial_value|start_param):)/gm, '$1')
    expect(uncommented).toMatch(/^ {8}incremental:$/m)
    await writeFile(join(folder, 'flags.yaml'), uncommented)
    const planned = await sluice('plan', 'flags.yaml')
    expect(planned).toMatchObject({ exitCode: 0 })
    expect(planned.stdout).toMatch(/cursor +updated_at, from "2024-/)
  })

  it('asks on a terminal for what no flag says, and for a secret that is found nowhere, unseen', async () => {
    const out = join(folder, 'asked.yaml')
    const answers = [address(), 'apikey', 'api_key', 'query', '', API_KEY, 'no', 'no']
    const { exitCode, asked, printed } = await onTerminal(
      ['init', '--out', out, '--secret-name', 'demo_only.key'],
      answers,
    )
    expect(printed).toContain('are written')
    expect(exitCode).toBe(0)
    expect(asked.map(({ question }) => question)).toEqual([
      expect.stringContaining('Address'),
      expect.stringContaining('Authentication'),
      expect.stringContaining('Authentication'),
      expect.stringContaining('header, query or cookie'),
      expect.stringContaining('[api_key]'),
      expect.stringContaining('secret'),
      expect.stringContaining('Prove it now?'),
      expect.stringContaining('Keep the secret'),
    ])
    expect(asked.map(({ hidden }) => hidden)).toEqual([false, false, false, false, false, true, false, false])
    const text = await readFile(out, 'utf8')
    expect(text + printed).not.toContain('s3cr3t')
    expect(text).toContain('DEMO_ONLY__KEY')
    expect(text).toContain('$' + '{secrets.demo_only.key}')
  })

  it('never overwrites, and asks the API nothing then', async () => {
    const ended = await sluice('init', '--url', address(), ...auth, '--out', 'feedback.yaml')
    expect(ended.exitCode).toBe(2)
    expect(ended.stderr).toContain('not overwritten')
    expect(api.requests).toHaveLength(0)
    expect(await readFile(join(folder, 'feedback.yaml'), 'utf8')).toBe(DOCUMENT)
  })

  it.each([
    [[], /--url: is missing, and there is no terminal to ask for it; as in `sluice init --url/],
    [['--url', 'nonsense'], /--url: expected the address/],
    [['--url', 'https://me:pw@example.com/a'], /http_basic/],
    [['--url', 'https://example.com/a', '--auth', 'magic'], /bearer/],
    [['--url', 'https://example.com/a', '--auth', 'http_basic'], /--username: is missing, and there is no terminal/],
  ])('refuses %j with exit code 2', async (args, expected) => {
    const ended = await sluice('init', ...args)
    expect(ended.exitCode).toBe(2)
    expect(ended.stderr).toMatch(expected)
    expect(await readdir(folder)).toEqual(['feedback.yaml'])
  })

  it('a missing secret: where it was looked for, nothing written', async () => {
    const { API_KEY: _left, ...env } = environment()
    const ended = await sluiceProcess(['init', '--url', address(), ...auth], { cwd: folder, env })
    expect(ended.exitCode).toBe(2)
    expect(ended.stderr).toContain('API_KEY')
    expect(await readdir(folder)).toEqual(['feedback.yaml'])
  })
})
