import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** What a piece of work cost the process that did it. */
export interface Cost {
  readonly wallMs: number
  readonly userMs: number
  readonly systemMs: number
  /** Greatest resident set of the process. */
  readonly peakMb: number
  readonly [more: string]: unknown
}

/** Where a benchmark runs and how often. */
export interface Bench {
  /** For files that are kept from one run to the next: the records. */
  readonly data: string
  /** For databases; emptied before each load. */
  readonly work: string
  /** Times that each side runs, in turns. */
  readonly runs: number
  /** Share of the full number of records. */
  readonly scale: number
  print(line: string): void
  /** Prints a measured ratio beside its goal, at most or at least, and notes it for `--guard`. */
  ratio(what: string, ratio: number, goal: number, isLess?: boolean): void
}

/** Runs a script of this folder in a process of its own and resolves to the cost that it reports. */
export async function cost(script: string, ...parameters: readonly (string | number)[]): Promise<Cost> {
  const child = start(script, parameters)
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdout! })) lines.push(line) // piped
  if (child.exitCode === null) await once(child, 'exit')
  const last = lines.at(-1)
  if (child.exitCode !== 0 || last === undefined) throw new Error(`${script} ${parameters.join(' ')} failed`)
  return JSON.parse(last) as Cost
}

/** Runs `work` with the address of an API over the records of a file. */
export async function withServer<T>(
  path: string,
  options: { readonly pageSize?: number; readonly delayMs?: number },
  work: (url: string) => Promise<T>,
): Promise<T> {
  return await withApi('server.ts', [path, options.pageSize ?? 1000, options.delayMs ?? 0], work)
}

/** Runs `work` with the address that a server of this folder prints. */
export async function withApi<T>(
  script: string,
  parameters: readonly (string | number)[],
  work: (url: string) => Promise<T>,
): Promise<T> {
  const child = start(script, parameters)
  try {
    const [url] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string] // piped
    return await work(url)
  } finally {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
}

function start(script: string, parameters: readonly (string | number)[]) {
  const path = fileURLToPath(new URL(script, import.meta.url))
  // What is measured is plain JavaScript: a loader that compiles would be measured with it.
  const loader = script.endsWith('.ts') ? ['--import', 'tsx'] : []
  return spawn(process.execPath, [...loader, path, ...parameters.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** A document with one list of the pages of `server.ts`. */
export function listDocument(
  url: string,
  table = 'feedback',
  disposition = 'merge',
  paginator: unknown = PAGES,
): unknown {
  const endpoint = { path: '/', data_selector: 'data' }
  return {
    client: { base_url: url, paginator },
    resources: [{ name: table, primary_key: 'id', write_disposition: disposition, endpoint }],
  }
}

const PAGES = { type: 'page_number', base_page: 1, total_path: 'total_pages' }

/** One load by Sluice of such a list, into a new database unless `fresh` is false. */
export async function loadBySluice(
  bench: Bench,
  url: string,
  options: { readonly table?: string; readonly concurrency?: number; readonly fresh?: boolean } = {},
): Promise<Cost> {
  const { table, concurrency, fresh } = options
  return await loadDocument(bench, listDocument(url, table), { concurrency }, fresh)
}

/** One load of a document by Sluice, into a new database unless `fresh` is false. */
export async function loadDocument(
  bench: Bench,
  document: unknown,
  options: { readonly concurrency?: number | undefined } = {},
  fresh = true,
): Promise<Cost> {
  if (fresh) await emptied(bench)
  const texts = [JSON.stringify(document), databaseOf(bench), homeOf(bench), JSON.stringify(options)] as const
  return await cost('load.mjs', ...texts)
}

/** Records appended in windows of so many, or in one load. */
export async function loadInWindows(bench: Bench, url: string, records: number, step: number | ''): Promise<Cost> {
  await emptied(bench)
  return await cost('windows.mjs', url, databaseOf(bench), homeOf(bench), records, step)
}

/** The same by DuckDB alone. `shape`: how records of kind `shape` are read. */
export async function loadByReadJson(bench: Bench, kind: string, path: string, shape?: unknown): Promise<Cost> {
  if (kind !== 'merge') await emptied(bench)
  return await cost('readJson.mjs', kind, path, databaseOf(bench), shape === undefined ? '' : JSON.stringify(shape))
}

export function databaseOf(bench: Bench): string {
  return join(bench.work, 'database.duckdb')
}

export function homeOf(bench: Bench): string {
  return join(bench.work, 'home')
}

export async function emptied({ work }: Bench): Promise<void> {
  await rm(work, { recursive: true, force: true })
  await mkdir(work, { recursive: true })
}

/** Runs two sides in turns, so that what else the machine does meets both; the costs of each, in order. */
export async function inTurns(
  runs: number,
  one: () => Promise<Cost>,
  other: () => Promise<Cost>,
): Promise<readonly [readonly Cost[], readonly Cost[]]> {
  const costs: [Cost[], Cost[]] = [[], []]
  for (let run = 0; run < runs; run++) {
    costs[0].push(await one())
    costs[1].push(await other())
  }
  return costs
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2 // both exist
}

/** Median milliseconds of processes from their start to their end, run in turns. */
export function timedInTurns(runs: number, sides: readonly (readonly string[])[]): readonly number[] {
  const times: number[][] = sides.map(() => [])
  for (let run = 0; run < runs; run++) {
    for (const [index, parameters] of sides.entries()) {
      const begun = performance.now()
      execFileSync(process.execPath, parameters, { stdio: 'ignore' })
      times[index]?.push(performance.now() - begun)
    }
  }
  return times.map(median)
}

export function medianOf(costs: readonly Cost[], key: 'wallMs' | 'userMs' | 'systemMs' | 'peakMb'): number {
  return median(costs.map(cost => cost[key]))
}

/** `name: wall 1.23 s, CPU 2.34 s, peak 345 MB`, medians. */
export function described(name: string, costs: readonly Cost[]): string {
  const cpu = medianOf(costs, 'userMs') + medianOf(costs, 'systemMs')
  const all = costs.map(cost => (cost.wallMs / 1000).toFixed(1)).join(' ')
  return `  ${name}: wall ${seconds(medianOf(costs, 'wallMs'))} (${all}), CPU ${seconds(cpu)}, peak ${medianOf(costs, 'peakMb').toFixed(0)} MB`
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}

/** A measured ratio beside its goal. */
export function besideGoal(what: string, ratio: number, goal: number, isLess = true): string {
  const met = isLess ? ratio <= goal : ratio >= goal
  return `  ${what}: ${ratio.toFixed(2)} (goal ${isLess ? 'at most' : 'at least'} ${goal}) ${met ? 'met' : 'MISSED'}`
}

/** What ran where, so that figures can be judged. */
export function machine(): string {
  const [load] = loadavg()
  return `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, load average ${load?.toFixed(1)}, Node ${process.version}`
}
