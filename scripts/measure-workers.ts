/**
 * Measures workers, in about two minutes on a quiet machine: `nice -n 15 npx tsx scripts/measure-workers.ts [WINDOWS
 * [LATENCY_MS]]`. Needs `dist`, and SLUICE_DUCKDB_EXTENSIONS. The API takes 100 ms for each page, or so many; windows go into a
 * DuckLake with its catalog in Postgres. With 0 windows, only the rate is measured.
 *
 * - One worker that loads one window at a time, beside four that load four. The goal is 3.2 times its speed. The processors
 *   that are busy meanwhile show whether this machine is the limit.
 * - One credential with 50 requests a second and four workers, with windows enough in flight to ask for several times as many.
 *   The goal is never more than 50 in any second at the API, and 45 on average. Exits with 1 if there are more than 50.
 */
import '../test/destinations/lakeExtensions.js'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { RestateServer, SERVICES } from '../src/worker/restateServer.js'
import { startPostgres } from '../test/destinations/postgresServer.js'
import { startRestate, startWorkerProcess, type WorkerProcess } from '../test/worker/restate.js'
import { startBalancer } from './workerBalancer.js'

const WINDOWS = Number(process.argv[2] ?? 32)
const STEP = 100
const LATENCY_MS = Number(process.argv[3] ?? 100)
const PAGE = 10
const RATE = 50
const MOST_WORKERS = 4
/** Of the list with a rate: many small pages, and few commits. */
const RATED = { windows: 24, step: 400, latencyMs: 5, parallel: 16 }

/** When each request of the list with a rate came. Milliseconds. */
const came: number[] = []
const api = await startApi()
const postgres = await startPostgres()
const restate = await startRestate()
const server = new RestateServer(restate.admin)

try {
  console.log(
    `load average ${loadavg()[0]?.toFixed(1)}; ${WINDOWS} windows of ${STEP / PAGE} pages, ${LATENCY_MS} ms each`,
  )
  const windows = { windows: WINDOWS, step: STEP }
  if (WINDOWS > 0) {
    const one = await measured('one', { ...windows, workers: 1, parallel: 1 })
    const four = await measured('four', { ...windows, workers: MOST_WORKERS, parallel: MOST_WORKERS })
    console.log(`ratio ${(one / four).toFixed(2)} (goal 3.2)`)
  }
  await measured('rated', { ...RATED, workers: MOST_WORKERS })
  report()
  console.log(`load average ${loadavg()[0]?.toFixed(1)}`)
} finally {
  await restate.close()
  await postgres.stop()
  api.close()
}
process.exit()

/** What is loaded, and how. */
interface Measuring {
  readonly workers: number
  readonly windows: number
  readonly step: number
  /** Windows at a time. */
  readonly parallel: number
}

/** Milliseconds that a backfill takes with so many workers, which are warm. */
async function measured(name: string, { workers, windows, step, parallel }: Measuring): Promise<number> {
  const database = await postgres.createDatabase()
  const catalog = postgres.url(database)
  await writeFile(
    join(restate.folder, `${name}.yaml`),
    `name: ${name}
destination: "ducklake:${catalog}?data_path=${join(restate.folder, `${name}-data`)}"
source:
  client:
    base_url: "${api.url}"
    paginator: { type: cursor, cursor_path: next, cursor_param: after }
    ${name === 'rated' ? `rate_limit: { requests: ${RATE}, per: 1 }` : ''}
  resources:
    - name: ${name}
      primary_key: id
      write_disposition: append
      endpoint:
        path: ${name}
        data_selector: data
        incremental: { cursor_path: id, initial_value: 0, start_param: from, end_param: to }
`,
  )
  const balancer = await startBalancer(workers)
  const started: WorkerProcess[] = []
  try {
    for (const port of balancer.ports) {
      const folder = join(restate.folder, `${name}-${port}`)
      await mkdir(folder)
      const worker = startWorkerProcess(restate, `${name}.yaml`, '--port', String(port), '--url', balancer.url)
      started.push(worker)
      await worker.says('Ctrl-C ends it')
    }
    await backfill(name, { from: 0, to: workers * step, step, parallel })
    came.length = 0
    const from = performance.now()
    const busyFrom = busyMs()
    const loaded = await backfill(name, { from: workers * step, to: (workers + windows) * step, step, parallel })
    const tookMs = performance.now() - from
    const busy = (busyMs() - busyFrom) / tookMs
    const shares = started.map(worker => worker.output().match(/ … .* started/g)?.length ?? 0)
    console.log(
      `${name}: ${workers} workers, ${parallel} windows at a time, ${loaded} windows in ${(tookMs / 1_000).toFixed(1)} s; ${busy.toFixed(2)} of ${cpus().length} processors busy; windows of each worker, the first ones too: ${shares.join(', ')}`,
    )
    return tookMs
  } finally {
    for (const worker of started) await worker.kill('SIGTERM')
    balancer.close()
  }
}

async function backfill(name: string, asked: object): Promise<number> {
  const input = { resource: name, ...asked }
  const id = await server.send(SERVICES.pipeline, name, 'backfill', input, `${name} ${JSON.stringify(input)}`)
  for (;;) {
    const result = await server.result(id)
    if (result?.ended === 'done') return (result.result as { readonly windows: number }).windows
    if (result?.ended === 'failed') throw new Error(result.message)
    await sleep(50)
  }
}

/** Milliseconds that all processors of this machine have worked. */
function busyMs(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys, 0)
}

/** Requests of the rated list in each second, and the most in any second, whenever it begins. */
function report(): void {
  const times = [...came].sort((left, right) => left - right)
  const [first = 0, last = 0] = [times[0], times.at(-1)]
  const most = Math.max(...times.map(from => times.filter(at => at >= from && at < from + 1_000).length))
  const seconds = Array.from(
    { length: Math.ceil((last - first) / 1_000) },
    (_, index) => times.filter(at => Math.floor((at - first) / 1_000) === index).length,
  )
  const average = ((times.length - 1) / (last - first)) * 1_000
  console.log(`requests in each second: ${seconds.join(', ')}`)
  console.log(`most in any second ${most} (goal at most ${RATE}), average ${average.toFixed(1)} (goal 45)`)
  if (most > RATE) process.exitCode = 1
}

async function startApi(): Promise<{ readonly url: string; close(): void }> {
  const http = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://api')
    const isRated = pathname === '/rated'
    if (isRated) came.push(performance.now())
    const latencyMs = isRated ? RATED.latencyMs : LATENCY_MS
    const [start, end] = [Number(searchParams.get('after') ?? searchParams.get('from')), Number(searchParams.get('to'))]
    const to = Math.min(start + PAGE, end)
    const data = Array.from({ length: to - start }, (_, index) => ({ id: start + index, name: `row ${start + index}` }))
    setTimeout(() => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ data, next: to < end ? to : null }))
    }, latencyMs)
  })
  await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, close: () => void http.close() }
}
