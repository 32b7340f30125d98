import { spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { parse } from 'yaml'
import { type Ended, main, sluiceProcess } from '../cli/process.js'
import { startPostgres } from '../destinations/postgresServer.js'
import { between, hourlyVisits, jsonApi } from '../pipeline/hourlyVisits.js'

vi.setConfig({ testTimeout: 600_000 })

const ORDERS = hourlyVisits(48)
const WINDOWS = 8

interface Workflow {
  readonly jobs: {
    readonly backfill: {
      readonly strategy: { readonly matrix: { readonly part: readonly number[] } }
      readonly steps: readonly { readonly run?: string }[]
    }
  }
}

interface IndexedJob {
  readonly spec: {
    readonly completions: number
    readonly parallelism: number
    readonly template: { readonly spec: { readonly containers: readonly { readonly command: readonly string[] }[] } }
  }
}

interface Line {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

async function example<T>(mark: string): Promise<T> {
  const page = await readFile(new URL('../../docs/scale.md', import.meta.url), 'utf8')
  const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text = '']) => text)
  const found = blocks.find(text => text.includes(mark))
  if (found === undefined) throw new Error(`docs/scale.md has no example with ${mark}`)
  return parse(found) as T
}

/** What a matrix of GitHub starts: its shell is bash. */
async function linesOfMatrix(): Promise<readonly Line[]> {
  const { strategy, steps } = (await example<Workflow>('matrix:')).jobs.backfill
  const command = steps.find(({ run }) => run?.includes('sluice'))?.run ?? ''
  return strategy.matrix.part.map(part => ({
    argv: ['sh', '-c', command.replaceAll(/\$\{\{ *matrix\.part *\}\}/g, String(part))],
    env: {},
  }))
}

/** What an indexed Job of Kubernetes starts. */
async function linesOfJob(): Promise<readonly Line[]> {
  const { completions, parallelism, template } = (await example<IndexedJob>('completionMode: Indexed')).spec
  expect(parallelism).toBe(completions)
  const argv = template.spec.containers[0]?.command ?? []
  return Array.from({ length: completions }, (_, index) => ({ argv, env: { JOB_COMPLETION_INDEX: String(index) } }))
}

/** Runs a command line with `sluice` and `npx sluice` as the built command. */
function runLine({ argv: [program = '', ...args], env }: Line, cwd: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const PATH = [join(cwd, 'bin'), process.env.PATH].join(delimiter)
    const child = spawn(program, args, { cwd, env: { PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.once('error', reject)
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal, stdout, stderr }))
  })
}

it.each([
  ['a matrix of GitHub', linesOfMatrix],
  ['an indexed Job of Kubernetes', linesOfJob],
])('the processes of %s load a range together, each window once', async (_, linesOf) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-scale-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const postgres = await startPostgres()
  onTestFinished(() => postgres.stop())
  const url = await jsonApi(query => between(ORDERS, query))
  await mkdir(join(folder, 'pipelines'))
  await mkdir(join(folder, 'bin'))
  const runs = `exec '${process.execPath}' '${main}' "$@"\n`
  for (const [name, text] of [
    ['sluice', `#!/bin/sh\n${runs}`],
    ['npx', `#!/bin/sh\nshift\n${runs}`],
  ] as const) {
    await writeFile(join(folder, 'bin', name), text)
    await chmod(join(folder, 'bin', name), 0o755)
  }
  const file = 'pipelines/orders.yaml'
  await writeFile(
    join(folder, file),
    `name: orders
destination: "${postgres.url(await postgres.createDatabase())}"
source:
  client: { base_url: "${url}", paginator: single_page }
  resources:
    - name: orders
      primary_key: id
      write_disposition: append
      endpoint:
        incremental:
          cursor_path: at
          initial_value: "2024-01-01T00:00:00.000Z"
          end_value: "2024-01-03T00:00:00.000Z"
          start_param: since
          end_param: until
          window: { step: PT6H }
`,
  )
  const lines = await linesOf()
  expect(lines).toHaveLength(4)
  const ended = await Promise.all(lines.map(line => runLine(line, folder)))
  for (const { exitCode, stderr } of ended) expect([exitCode, stderr.match(/error/i)]).toEqual([0, null])
  const sql = 'SELECT count(*) AS rows, count(DISTINCT id) AS ids FROM orders'
  const { stdout } = await sluiceProcess(['query', file, sql, '--json'], { cwd: folder })
  expect(JSON.parse(stdout)).toEqual({ rows: ORDERS.length, ids: ORDERS.length })
  const status = await sluiceProcess(['backfill', file, '--resource', 'orders', '--status', '--json'], { cwd: folder })
  const { done, missing } = JSON.parse(status.stdout) as { done: readonly unknown[]; missing: readonly unknown[] }
  expect([done.length, missing]).toEqual([WINDOWS, []])
})
