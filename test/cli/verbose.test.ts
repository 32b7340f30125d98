import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type DemoApi, startDemoApi } from '../../demo/server.js'
import { type Ended, sluiceProcess } from './process.js'

const file = fileURLToPath(new URL('../../examples/feature_flags.yaml', import.meta.url))
const KEY = 'k3y+with/odd=chars&0123456789'

let folder: string
let api: DemoApi

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-verbose-'))
  let refusals = 1
  const faults = () => (refusals-- > 0 ? ({ kind: 'rate_limited', retryAfterSeconds: 0 } as const) : undefined)
  api = await startDemoApi({ apiKey: KEY, records: { featureFlags: 150 }, faults })
})
afterEach(async () => {
  await api.close()
  await rm(folder, { recursive: true, force: true })
})

function run(options: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const env = { API_KEY: KEY, DEMO_API_URL: api.url, SLUICE_HOME: join(folder, 'home'), ...more }
  return sluiceProcess(['run', file, '--destination', 'duckdb:flags.duckdb', ...options], { cwd: folder, env })
}

const REQUEST = /^ +\d+ ms {2}request +resource="\w+" method="GET" url="http.+" status=200 attempt=\d durationMs=/m

it.each([
  ['--verbose', ['--verbose'], {}],
  ['SLUICE_DEBUG', [], { SLUICE_DEBUG: '1' }],
] as const)('%s logs every request on the standard error, without the key', async (_, options, env) => {
  const { exitCode, stdout, stderr } = await run(options, env)
  expect(exitCode, stderr).toBe(0)
  expect(stderr).toMatch(REQUEST)
  expect(stderr).toMatch(/^ +\d+ ms {2}gate +resource="\w+" origin="http.+" allowed=2$/m)
  expect(stderr).toMatch(/^ +\d+ ms {2}statement +sql="INSERT INTO .+feature_flags/m)
  expect(stderr).toMatch(/^ +\d+ ms {2}committed /m)
  const printed = stdout + stderr
  for (const spelling of [KEY, encodeURIComponent(KEY), Buffer.from(KEY).toString('base64')]) {
    expect(printed).not.toContain(spelling)
  }
})

it('SLUICE_DEBUG=0 logs nothing more', async () => {
  const { exitCode, stderr } = await run([], { SLUICE_DEBUG: '0' })
  expect(exitCode, stderr).toBe(0)
  expect(stderr).not.toMatch(REQUEST)
})
