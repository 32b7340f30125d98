import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { testApi, testFolder } from '../pipeline/api.js'
import { sluiceProcess } from './process.js'

function preloaded(script: string): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--import ${new URL(`processes/${script}`, import.meta.url).href}` }
}

async function projectWith(status = 200): Promise<string> {
  const folder = await testFolder()
  const { url } = await testApi(() => ({ status, json: [{ id: 1 }, { id: 2 }] }))
  await writeFile(
    join(folder, 'shops.yaml'),
    `client: { base_url: "${url}", paginator: single_page, retry: { attempts: 1 }, auth: { type: bearer, token: "\${secrets.token}" } }
resources: [shops]
destination: duckdb:shops.duckdb
`,
  )
  return folder
}

it.each([
  { status: 200, exitCode: 0, names: ['GET', 'commit', 'read shops', 'run shops'] },
  { status: 403, exitCode: 1, names: ['GET', 'read shops', 'run shops'] },
])(
  'the command tells an SDK that is loaded before it, to the last span: status $status',
  async ({ status, exitCode, names }) => {
    const cwd = await projectWith(status)
    const file = join(cwd, 'spans.ndjson')
    const env = { ...preloaded('telemetryToFile.mjs'), SPANS_FILE: file, TOKEN: 'tok-4711-secret' }
    const ended = await sluiceProcess(['run', 'shops.yaml'], { cwd, env })
    expect(ended, ended.stderr).toMatchObject({ exitCode })
    const text = await readFile(file, 'utf8')
    const spans = text
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as { readonly name: string })
    expect(spans.map(({ name }) => name).sort()).toEqual(names)
    expect(text).not.toContain('4711')
  },
  60_000,
)

it('says that the API of OpenTelemetry is missing, and runs', async () => {
  const cwd = await projectWith()
  const env = { ...preloaded('telemetryWithoutApi.mjs'), TOKEN: 'tok-4711-secret' }
  const ended = await sluiceProcess(['run', 'shops.yaml'], { cwd, env })
  expect(ended.exitCode, ended.stderr).toBe(0)
  expect(ended.stderr).toContain('npm install @opentelemetry/api')
}, 60_000)
