import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { restApi } from '../../../src/config/restApi.js'
import { SluiceError } from '../../../src/core/errors.js'
import type { RunEvent } from '../../../src/core/events.js'
import type { Clock } from '../../../src/core/source.js'
import { cursorState } from '../../../src/core/stateDocument.js'
import { type Pipeline, pipeline } from '../../../src/pipeline/pipeline.js'
import type { RunResult } from '../../../src/pipeline/run.js'
import { seeded } from '../chance.js'
import { type DestinationFault, type MemoryDestination, memoryDestination, type Stored } from './memoryDestination.js'
import { type SimulatedApi, simulatedApi, type Thing } from './network.js'

const paginators = [
  { type: 'page_number', base_page: 1, total_path: 'pages' },
  { type: 'offset', limit: 4, total_path: 'total' },
  { type: 'cursor', cursor_path: 'next', cursor_param: 'after' },
  { type: 'json_link', next_url_path: 'next_url' },
] as const
const dispositions = ['append', 'replace', 'merge'] as const
const destinationFaults: readonly DestinationFault[] = ['none', 'none', 'none', 'none', 'stage', 'before', 'after']
const crashes = ['run_started', 'request', 'page', 'resource_finished', 'committing', 'committed'] as const

/** Memory where there is a file system for it: syncing to disks would take most of the time. */
const folder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

const DAYS = 3
/** After so many attempts at a day the weather clears up. */
const STORMY_ATTEMPTS = 6

interface Plan {
  readonly paginator: (typeof paginators)[number]
  readonly disposition: (typeof dispositions)[number]
  readonly incremental: boolean
  readonly concurrency: number
}

/** What a schedule went through, so that a test can tell that it went through something. */
export interface Passed {
  readonly failures: readonly string[]
  readonly resumedPages: number
}

/** Three days of loading in the weather that follows from the seed. Fails where a promise is not kept. */
export async function runSchedule(seed: number): Promise<Passed> {
  const random = seeded(seed)
  const one = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item
  const plan: Plan = {
    paginator: one(paginators),
    disposition: one(dispositions),
    incremental: random() < 0.5,
    concurrency: one([1, 4]),
  }
  const clock = virtualClock(random)
  const api = simulatedApi(clock.now, (random() - 0.5) * 7_200_000)
  const destination = memoryDestination()
  const home = await mkdtemp(join(folder, 'sluice-simulation-'))
  const shop = simulatedPipeline(plan, api, destination, clock, home)
  const failures: string[] = []
  const history: Day[] = []
  let resumedPages = 0
  try {
    for (let day = 1; day <= DAYS; day++) {
      api.setDay(day)
      history.push({ things: api.things(), members: api.members() })
      for (let attempt = 1; ; attempt++) {
        const clear = attempt > STORMY_ATTEMPTS
        api.setWeather({ seed: random() * 2 ** 32, faults: clear ? 0 : one([0, 0.05, 0.3, 0.8]) })
        destination.setFault(clear ? 'none' : one(destinationFaults))
        const crash =
          clear || random() < 0.6 ? undefined : { event: one(crashes), number: 1 + Math.floor(random() * 6) }
        const before = destination.stored
        const outcome = await attemptRun(shop, plan, crash)
        resumedPages += outcome.resumedPages
        checkCursor(plan, destination.stored)
        const committed = destination.stored.loads.length > before.loads.length
        if (outcome.kind === 'failed') {
          // A page that an earlier, interrupted run got may still be to blame, but not twice.
          const isExcused = attempt <= STORMY_ATTEMPTS || (attempt === STORMY_ATTEMPTS + 1 && outcome.resumedPages > 0)
          expect(isExcused, `a run failed although nothing was wrong: ${outcome.reason}`).toBe(true)
          if (!committed) expect(destination.stored).toBe(before)
          failures.push(outcome.reason)
          if (random() < 0.3) await tearJournals(home, random)
          continue
        }
        checkReceipts(plan, outcome.result, api, history.at(-1) as Day, outcome.asked)
        break
      }
      checkTables(plan, history, destination.stored)
      expect(destination.stored.loads, 'loads').toHaveLength(day)
      expect(await unfinished(home), 'journals').toEqual([])
    }
    return { failures, resumedPages }
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

interface Day {
  readonly things: readonly Thing[]
  readonly members: ReturnType<SimulatedApi['members']>
}

function simulatedPipeline(
  plan: Plan,
  api: SimulatedApi,
  destination: MemoryDestination,
  clock: Clock,
  home: string,
): Pipeline {
  const source = restApi(
    {
      client: { base_url: 'http://api.test/', transport: api.transport },
      resource_defaults: { primary_key: 'id', write_disposition: plan.disposition },
      resources: [
        {
          name: 'things',
          endpoint: {
            path: 'things',
            data_selector: 'records',
            paginator: { ...plan.paginator },
            ...(plan.incremental && {
              incremental: { cursor_path: 'changed', start_param: 'since', initial_value: 0 },
            }),
          },
        },
        { name: 'groups', endpoint: { path: 'groups', data_selector: 'records', paginator: 'single_page' } },
        {
          name: 'members',
          endpoint: {
            path: 'groups/{resources.groups.id}/members',
            data_selector: 'records',
            paginator: { ...plan.paginator },
          },
        },
      ],
    },
    { env: {}, cwd: home },
  )
  return pipeline({ name: 'simulated', source, destination, dataset: 'simulated', home, clock })
}

/** Time passes by sleeping only, and a little with every look at the clock. */
function virtualClock(random: () => number): Clock {
  let at = Date.parse('2026-01-01T00:00:00Z')
  return {
    now: () => ++at,
    random,
    async sleep(ms, signal) {
      signal?.throwIfAborted()
      at += ms
    },
  }
}

type Outcome = { readonly resumedPages: number } & (
  | { readonly kind: 'done'; readonly result: RunResult; readonly asked: ReadonlyMap<string, number> }
  | { readonly kind: 'failed'; readonly reason: string }
)

/** A crash is a run that is stopped at its n-th event of a type. */
async function attemptRun(
  shop: Pipeline,
  plan: Plan,
  crash: { readonly event: RunEvent['type']; readonly number: number } | undefined,
): Promise<Outcome> {
  const abort = new AbortController()
  const asked = new Map<string, number>()
  let seen = 0
  let resumedPages = 0
  try {
    const result = await shop.run({
      concurrency: plan.concurrency,
      signal: abort.signal,
      onEvent(event) {
        if (event.type === 'run_started') resumedPages = event.resumedPages
        if (event.type === 'request') asked.set(event.resource, (asked.get(event.resource) ?? 0) + 1)
        if (event.type === crash?.event && ++seen === crash.number) abort.abort(new Error('crash'))
      },
    })
    return { kind: 'done', result, asked, resumedPages }
  } catch (error) {
    const isStop = abort.signal.aborted
    if (!isStop) expect(error, `not a clear error: ${String(error)}`).toBeInstanceOf(SluiceError)
    const reason = error instanceof SluiceError ? error.code : 'crash'
    return { kind: 'failed', reason, resumedPages }
  }
}

/** As a power cut would: what was written last is gone, or half there. */
async function tearJournals(home: string, random: () => number): Promise<void> {
  for (const load of await unfinished(home)) {
    const path = join(home, 'simulated', 'loads', load, 'responses.warc')
    const content = await readFile(path)
    // The first record was synced before anything else was done.
    const first = content.indexOf('WARC/1.1', 8)
    if (first > 0) await truncate(path, first + Math.floor((content.length - first) * random()))
  }
}

async function unfinished(home: string): Promise<readonly string[]> {
  const loads = await readdir(join(home, 'simulated', 'loads')).catch(() => [])
  return loads.filter(name => !/\.aside\d*$/.test(name))
}

function checkCursor(plan: Plan, { state, tables }: Stored): void {
  if (!plan.incremental || state === undefined) return
  const last = cursorState(state, 'rest_api', 'things', 'changed')?.last_value ?? 0
  const loaded = (tables.get('things') ?? []).map(row => Number(row.changed))
  expect(Number(last), 'the cursor is ahead of the rows').toBeLessThanOrEqual(Math.max(0, ...loaded))
}

function checkReceipts(
  plan: Plan,
  { receipts, loadId }: RunResult,
  api: SimulatedApi,
  today: Day,
  asked: ReadonlyMap<string, number>,
): void {
  expect(loadId).toBeDefined()
  for (const receipt of receipts) {
    const { resource, verdict, requests, pages, pagesFromJournal, records } = receipt
    expect({ resource, verdict }).toEqual({ resource, verdict: 'complete' })
    expect(requests, `requests of ${resource}`).toBe(asked.get(resource) ?? 0)
    expect(pagesFromJournal).toBeLessThanOrEqual(pages)
    expect(requests - receipt.retries).toBeGreaterThanOrEqual(pages - pagesFromJournal)
    if (resource === 'members') expect(records).toBe(today.members.length)
    if (resource === 'things' && !plan.incremental) expect(records).toBe(today.things.length)
  }
  expect([...asked.values()].reduce((sum, count) => sum + count, 0)).toBe(api.requests)
}

/** Nothing is lost, nothing is there twice. */
function checkTables(plan: Plan, history: readonly Day[], { tables }: Stored): void {
  const things = (tables.get('things') ?? []).map(row => `${row.id} ${row.changed} ${row.name}`)
  const members = (tables.get('members') ?? []).map(row => `${row.id} ${row.group}`)
  expect(members.sort()).toEqual(
    expected(
      plan.disposition,
      false,
      history.map(day => day.members),
    ),
  )
  expect(things.sort()).toEqual(
    expected(
      plan.disposition,
      plan.incremental,
      history.map(day => day.things),
    ),
  )
}

function expected(
  disposition: Plan['disposition'],
  incremental: boolean,
  days: readonly (readonly (Thing | { readonly id: number; readonly group: number })[])[],
): readonly string[] {
  const text = (record: Thing | { readonly id: number; readonly group: number }): string =>
    'changed' in record ? `${record.id} ${record.changed} ${record.name}` : `${record.id} ${record.group}`
  if (disposition === 'replace') return (days.at(-1) ?? []).map(text).sort()
  if (disposition === 'merge') {
    return [...new Map(days.flat().map(record => [record.id, text(record)])).values()].sort()
  }
  const all = days.flat().map(text)
  return (incremental ? [...new Set(all)] : all).sort()
}
