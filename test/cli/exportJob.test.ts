import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { serve } from '../rest/clientServer.js'
import { type Ended, sluiceProcess } from './process.js'

/** What a killed `sluice run` does with the export that it ordered. */

/** An API with one job, and a pipeline that orders it. `at` may take a request over. */
async function jobPipeline(at: (url: string, response: ServerResponse) => boolean) {
  const { seen, origin, close } = await serve(({ method, url }, response) => {
    if (at(url, response)) return
    response.setHeader('content-type', 'application/json')
    if (method === 'POST') response.end('{"id":7}')
    else if (method === 'DELETE') response.writeHead(204).end()
    else if (url === '/exports/7') response.end('{"status":"done","url":"/files/7","rows":2}')
    else response.end('{"id":1}\n{"id":2}\n')
  })
  onTestFinished(() => close())
  const folder = await mkdtemp(join(tmpdir(), 'sluice-job-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'things.yaml')
  await writeFile(file, document(origin))
  const run = (
    command: readonly string[],
    started: (running: { kill(signal: NodeJS.Signals): void }) => void = () => {},
  ): Promise<Ended> =>
    sluiceProcess([...command, '--destination', 'duckdb:things.duckdb'], {
      cwd: folder,
      env: { SLUICE_HOME: join(folder, 'home') },
      started,
    })
  return { folder, file, seen, run }
}

function document(origin: string): string {
  return `client: { base_url: "${origin}" }
resources:
  - name: things
    endpoint:
      path: exports
      method: POST
      format: jsonl
      job:
        handle_path: id
        poll: { path: "exports/{handle}", status_path: status, done: [done] }
        download: { url_path: url }
        cleanup: { path: "exports/{handle}" }
        total_path: rows
`
}

/** Runs the pipeline twice. The first run is killed by `at`, which gets each request. */
async function killedThenRun(
  at: (url: string, response: ServerResponse) => boolean,
): Promise<{ readonly ended: Ended; readonly asked: readonly string[] }> {
  let kill: (() => void) | undefined
  const { file, seen, run } = await jobPipeline((url, response) => {
    if (kill === undefined || !at(url, response)) return false
    kill()
    return true
  })
  const killed = await run(['run', file], running => {
    kill = () => running.kill('SIGKILL')
  })
  expect(killed.signal).toBe('SIGKILL')
  kill = undefined
  const before = seen.length
  const ended = await run(['run', file])
  return { ended, asked: seen.slice(before).map(({ method, url }) => `${method} ${url}`) }
}

const rest = ['GET /exports/7', 'GET /files/7', 'DELETE /exports/7']

test.each<[string, (url: string, response: ServerResponse) => boolean, readonly string[]]>([
  ['before the first look', url => url === '/exports/7', rest],
  [
    'during the download',
    (url, response) => {
      if (url === '/files/7') response.writeHead(200, { 'content-length': '20' }).write('{"id":1}\n')
      return url === '/files/7'
    },
    rest,
  ],
])('a run killed %s orders nothing again', async (_when, at, expected) => {
  const { ended, asked } = await killedThenRun(at)
  expect(ended.stdout + ended.stderr).toMatch(/things\s+complete/)
  expect(ended.exitCode).toBe(0)
  expect(asked).toEqual(expected)
})

test('a job is replayed from its journal without the API', async () => {
  const { folder, file, seen, run } = await jobPipeline(() => false)
  expect((await run(['run', file, '--keep-journal'])).exitCode).toBe(0)
  const before = seen.length
  await rm(join(folder, 'things.duckdb'))
  const replayed = await run(['replay', file])
  expect(replayed.stdout).toMatch(/things\s+complete/)
  expect(seen.length).toBe(before)
})
