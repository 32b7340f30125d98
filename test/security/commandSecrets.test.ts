import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest'
import { systemClock } from '../../src/pipeline/clock.js'
import type { PipelineFacts, PipelineList, RunFacts } from '../../src/studio/pageContract.js'
import { startStudio } from '../../src/studio/startStudio.js'
import { sluiceProcess } from '../cli/process.js'
import { type Api, api } from '../rest/listServer.js'
import { ENCODERS, traces } from './spellings.js'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

/**
 * One key with every rare character, and an API that repeats it in every spelling wherever it answers. Each command is
 * run; then the key is looked for in all that it printed, and in every file that it left behind.
 */
const KEY = `k!'()*~"\\%41&<>+/=?#:;ü日本😀-0815e`
const ECHOES = ENCODERS.map(spell => spell(KEY))
const TRACES = traces(KEY, ...ECHOES)

let folder: string
let shops: Api
/** What locks and journals held while the API was asked. */
const during: string[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-command-secrets-'))
  shops = await api(async ({ pathname, searchParams }) => {
    if (pathname === '/items') for (const text of await filesOf('.sluice')) during.push(text)
    const headers = { 'x-you': Buffer.from(ECHOES.join(' ').replace(/[\r\n]/g, ' ')).toString('latin1') }
    if (searchParams.get('key') !== KEY || pathname === '/broken' || searchParams.get('from') === '20')
      return { status: 400, json: { message: `refused: ${ECHOES[0]}`, again: ECHOES }, headers }
    const from = Number(searchParams.get('from') ?? 0)
    return { json: { items: [{ id: from + 1, name: 'one' }], you: ECHOES }, headers }
  })
  const client = `client: { base_url: "${shops.origin}", retry: { attempts: 1 }, auth: { type: api_key, name: key, location: query, api_key: "\${secrets.api_key}" } }`
  const endpoint = 'endpoint: { data_selector: items, paginator: single_page }'
  const windows =
    'incremental: { cursor_path: id, initial_value: 0, start_param: from, end_param: to, window: { step: 10 } }'
  const write = (name: string, text: string) => writeFile(join(folder, name), text)
  await write('shops.yaml', `${client}\nresources: [{ name: items, ${endpoint} }]\n`)
  await write('broken.yaml', `${client}\nresources: [{ name: broken, ${endpoint} }]\n`)
  await write(
    'range.yaml',
    `${client}\nresources: [{ name: items, primary_key: id, write_disposition: merge, endpoint: { data_selector: items, paginator: single_page, ${windows} } }]\n`,
  )
  const local = 'client: { base_url: "http://127.0.0.1:1" }\nresources: [{ name: items, records: [{ id: 1 }] }]\n'
  const place = (name: string, address: string) => write(name, `destination: "${address}"\n${local}`)
  await place('postgres.yaml', 'postgres://loader:${secrets.api_key}@127.0.0.1:1/shops?connect_timeout=1')
  await place('parameter.yaml', 'postgres://loader@127.0.0.1:1/shops?password=${secrets.api_key}&connect_timeout=1')
  await place('bucket.yaml', `s3://bucket/folder?endpoint=${shops.origin}&region=eu-central-1`)
  await write(
    'key.curl',
    `curl -H 'X-Api-Key: abc' -H "Authorization: Bearer ${KEY.replace(/["\\]/g, '\\$&')}" https://api.example.com/items`,
  )
})
afterAll(async () => {
  await shops.close()
  await rm(folder, { recursive: true, force: true })
})

async function filesOf(under: string): Promise<readonly string[]> {
  const entries = await readdir(join(folder, under), { recursive: true, withFileTypes: true }).catch(() => [])
  const files = entries.filter(entry => entry.isFile() && entry.name !== 'key.curl')
  const texts = files.map(async ({ parentPath, name }) => {
    const content = await readFile(join(parentPath, name)).catch(() => Buffer.alloc(0))
    return `${join(parentPath, name)}\n${content.toString('latin1')}`
  })
  return Promise.all(texts)
}

function expectNoTrace(text: string): void {
  for (const trace of TRACES) {
    const at = text.indexOf(trace)
    expect(at < 0 ? '' : text.slice(Math.max(0, at - 200), at + trace.length + 20), `as ${trace}`).toBe('')
  }
}

const ENV = { API_KEY: KEY, AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: KEY }

it.each<[string, readonly string[], number]>([
  ['check', ['check', 'shops.yaml'], 0],
  ['a refused check', ['check', 'broken.yaml'], 1],
  ['plan', ['plan', 'shops.yaml'], 0],
  ['doctor', ['doctor', 'shops.yaml', '--json'], 0],
  ['the log of a run', ['run', 'shops.yaml', '--verbose', '--keep-journal'], 0],
  ['the events of a run', ['run', 'shops.yaml', '--json', '--keep-journal'], 0],
  ['the log of a run that fails', ['run', 'broken.yaml', '--verbose'], 1],
  ['the events of a run that fails', ['run', 'broken.yaml', '--json'], 1],
  ['replay', ['replay', 'shops.yaml', '--verbose'], 0],
  ['trace', ['trace', 'shops.yaml', 'items', 'id=1', '--json'], 0],
  ['history', ['history', 'shops.yaml', '--json'], 0],
  ['state', ['state', 'shops.yaml'], 0],
  ['schema', ['schema', 'shops.yaml'], 0],
  ['receipts', ['query', 'shops.yaml', 'SELECT * FROM _sluice_receipts', '--json'], 0],
  ['a backfill', ['backfill', 'range.yaml', '--resource', 'items', '--from', '0', '--to', '40', '--json'], 1],
  [
    'its windows',
    ['backfill', 'range.yaml', '--resource', 'items', '--from', '0', '--to', '40', '--status', '--json'],
    0,
  ],
  ['the ledger of windows', ['query', 'range.yaml', 'SELECT * FROM _sluice_windows', '--json'], 0],
  ['prove', ['prove', 'shops.yaml'], 0],
  ['a recording', ['record', 'shops.yaml'], 0],
  ['a refused recording', ['record', 'broken.yaml'], 1],
  ['test', ['test', 'shops.yaml', '--update'], 0],
  ['drift', ['drift', 'shops.yaml'], 0],
  ['an unreachable Postgres', ['run', 'postgres.yaml', '--verbose'], 1],
  ['a Postgres with its password as a parameter', ['run', 'parameter.yaml', '--verbose'], 1],
  ['doctor of a Postgres', ['doctor', 'postgres.yaml'], 1],
  ['a bucket that refuses', ['run', 'bucket.yaml', '--verbose'], 1],
  ['doctor of a bucket', ['doctor', 'bucket.yaml'], 1],
  ['an imported line of curl', ['import', 'curl', 'key.curl', '--out', 'curl.yaml', '--json'], 0],
])('%s: the key is nowhere', async (_what, args, exitCode) => {
  const ended = await sluiceProcess(args, { cwd: folder, env: ENV })
  expect(ended, ended.stdout + ended.stderr).toMatchObject({ exitCode })
  expectNoTrace(`${ended.stdout}\n${ended.stderr}\n${(await filesOf('.')).join('\n')}`)
})

it('nor in locks and journals while the API is asked', () => {
  expect(during.some(text => text.includes('lock'))).toBe(true)
  expectNoTrace(during.join('\n'))
})

it('nor in what the studio answers', async () => {
  const studio = await startStudio({ paths: ['.'], from: { cwd: folder, env: ENV }, clock: systemClock })
  onTestFinished(() => studio.close())
  const { origin, hash } = new URL(studio.address)
  const answers: string[] = []
  const ask = async (path: string, options: RequestInit = {}): Promise<string> => {
    const headers = { authorization: `Bearer ${hash.slice(1)}` }
    const text = await (await fetch(new URL(path, origin), { ...options, headers })).text()
    answers.push(text)
    return text
  }
  const { pipelines } = JSON.parse(await ask('/api/pipelines')) as PipelineList
  const readable = pipelines.filter((entry): entry is PipelineFacts => 'name' in entry)
  expect(readable.length).toBeGreaterThan(4)
  for (const { id, name } of readable) {
    const { run } = JSON.parse(await ask(`/api/pipelines/${id}/runs`, { method: 'POST', body: '{}' })) as RunFacts
    await ask(`/api/runs/${run}/events`)
    for (const part of ['', '/loads', '/tables', '/versions', '/plan', '/windows/items', '/document'])
      await ask(`/api/pipelines/${id}${part}`)
    const sql = name === 'range' ? 'SELECT * FROM _sluice_windows' : 'SELECT * FROM _sluice_receipts'
    await ask(`/api/pipelines/${id}/query`, { method: 'POST', body: JSON.stringify({ sql }) })
  }
  await ask('/api/runs')
  expectNoTrace(answers.join('\n'))
  expect(answers.join('\n')).toContain('***')
})
