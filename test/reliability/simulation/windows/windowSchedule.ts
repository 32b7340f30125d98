import assert from 'node:assert/strict'
import { SluiceError } from '../../../../src/model/errors.js'
import type { RunEvent } from '../../../../src/model/events.js'
import type { BackfillOptions } from '../../../../src/pipeline/backfill/runBackfill.js'
import { seeded } from '../../chance.js'
import { destinationFaults, stops } from '../schedule.js'
import { paginators } from '../world.js'
import { checkCursorOfWindows, checkRows, checkTables, checkWindows, coversAll } from './windowLaws.js'
import {
  startWindowProcess,
  type WindowPlan,
  type WindowProcess,
  type WindowWorld,
  windowWorld,
} from './windowWorld.js'

/** After so many attempts the weather clears up. */
const STORMY_ATTEMPTS = 4
/** What a storm has left, such as a page that is no JSON, may fail one more attempt. */
const CLEAR_ATTEMPTS = 3

/** What a schedule went through. */
export interface WindowsPassed {
  /** How attempts ended that did not end well: the code of their error, or what was done to them. */
  readonly endings: readonly string[]
  readonly windows: number
  readonly halved: number
  readonly elsewhere: number
  readonly resumedPages: number
}

type Cut =
  | { readonly kind: 'none' }
  | { readonly kind: 'stop'; readonly event: RunEvent['type']; readonly number: number }
  | { readonly kind: 'kill' | 'power'; readonly step: number }

interface Attempt {
  readonly options: BackfillOptions
  readonly cut: Cut
}

interface Counts {
  halved: number
  elsewhere: number
  resumedPages: number
}

/**
 * A range that is loaded in windows, in the weather that follows from the seed: by one process or several at once, which fail,
 * are stopped and killed, and go on. Fails where a promise is not kept.
 */
export async function runWindowSchedule(seed: number): Promise<WindowsPassed> {
  const random = seeded(seed)
  const one = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item
  const plan = planOf(random, one)
  const all = windowWorld(plan, random)
  const { api, destination, clock, disk } = all
  const endings: string[] = []
  const counts: Counts = { halved: 0, elsewhere: 0, resumedPages: 0 }
  const processes = Array.from({ length: plan.processes }, (_, number) => startWindowProcess(plan, all, number))

  const check = (): void => {
    checkWindows(destination.stored)
    checkRows(destination.stored, api, plan.hasNotes)
    checkCursorOfWindows(destination.stored)
  }

  for (let attempt = 1; ; attempt++) {
    const isClear = attempt > STORMY_ATTEMPTS
    const faults = isClear ? 0 : one([0, 0.02, 0.2])
    api.setWeather({ seed: random() * 2 ** 32, faults, isPoisoned: !isClear && random() < 0.4 })
    destination.setFault(isClear || random() < 0.7 ? 'none' : one(destinationFaults))
    const order = one(['oldest_first', 'newest_first'] as const)
    const bounds = isClear ? { from: 0, to: plan.span } : boundsOf(plan, random)
    const retryFailed = !isClear && random() < 0.1
    const attempts = processes.map(
      (_, index): Attempt => ({
        options: { ...bounds, step: plan.step, order, parallel: plan.parallel, retryFailed, ...sharing(plan, index) },
        cut: isClear || random() < 0.5 ? { kind: 'none' } : cutOff(random, one),
      }),
    )
    const outcomes = await clock.until(
      Promise.all(processes.map((process, index) => loaded(process, attempts[index] as Attempt, counts))),
    )
    const ended = outcomes.filter(outcome => outcome !== undefined)
    check()
    endings.push(...ended)
    if (outcomes.includes('dead')) await bury(processes, plan, all, attempts, random)
    if (isClear) {
      if (ended.length === 0) break
      assert.ok(
        attempt < STORMY_ATTEMPTS + CLEAR_ATTEMPTS,
        `an attempt failed although nothing was wrong: ${ended.join()}`,
      )
    }
  }
  assert.ok(coversAll(destination.stored, plan.span), 'windows are missing')
  const [first] = processes
  const status = await first?.pipeline.backfillStatus('visits', { from: 0, to: plan.span, step: plan.step })
  assert.deepEqual([status?.missing, status?.failed], [[], []])
  checkTables(destination.stored, api, plan.hasNotes, ({ at }) => at < plan.span)
  // Runs go on where the windows end.
  await clock.until(Promise.resolve(first?.pipeline.run()))
  checkTables(destination.stored, api, plan.hasNotes, () => true)
  assert.deepEqual(left(disk, plan), [], 'journals')
  return { endings, windows: destination.stored.windows.length, ...counts }
}

function planOf(random: () => number, one: <Item>(items: readonly Item[]) => Item): WindowPlan {
  const processes = one([1, 1, 2, 3])
  const span = one([40, 100])
  const together = one(['partition', 'shared'] as const)
  return {
    paginator: one(paginators),
    disposition: one(['append', 'merge'] as const),
    hasNotes: random() < 0.3,
    records: one([5, 40, 90]),
    span,
    step: one([3, 10, 25, span]),
    most: one([6, 9, 1000]),
    isInclusive: random() < 0.5,
    order: one(['rising', 'falling', 'none'] as const),
    poison: Math.floor(random() * span),
    processes,
    together,
    // Who is handed windows by an engine is handed others than its neighbour: in one folder they would keep each other out.
    isOneFolder: processes === 1 || (together === 'partition' && random() < 0.5),
    parallel: one([1, 1, 2, 4]),
    destination: processes > 1 ? 'many_processes' : one(['one_process', 'many_processes'] as const),
  }
}

function sharing({ processes, together }: WindowPlan, index: number): BackfillOptions {
  if (processes === 1) return {}
  return together === 'shared' ? { shared: true } : { partition: { index: index + 1, of: processes } }
}

/** A part of the range in some attempts, so that windows have other ends. */
function boundsOf({ span }: WindowPlan, random: () => number): { readonly from: number; readonly to: number } {
  if (random() < 0.6) return { from: 0, to: span }
  const from = Math.floor(random() * (span - 1))
  return { from, to: from + 1 + Math.floor(random() * (span - from)) }
}

function cutOff(random: () => number, one: <Item>(items: readonly Item[]) => Item): Cut {
  const kind = one(['stop', 'kill', 'kill', 'power'] as const)
  return kind === 'stop'
    ? { kind, event: one(stops), number: 1 + Math.floor(random() * 30) }
    : { kind, step: 1 + Math.floor(random() ** 2 * 2000) }
}

/** How the attempt ended; undefined where it ended well. */
async function loaded(
  { pipeline, life }: WindowProcess,
  { options, cut }: Attempt,
  counts: Counts,
): Promise<string | undefined> {
  const abort = new AbortController()
  let seen = 0
  const load = async (): Promise<string | undefined> => {
    try {
      await pipeline.backfill('visits', {
        ...options,
        signal: abort.signal,
        onEvent(event) {
          if (event.type === 'run_started') counts.resumedPages += event.resumedPages
          if (cut.kind === 'stop' && event.type === cut.event && ++seen === cut.number) abort.abort(new Error('stop'))
        },
        onWindow({ outcome }) {
          if (outcome === 'halved' || outcome === 'elsewhere') counts[outcome] += 1
        },
      })
      return undefined
    } catch (error) {
      if (abort.signal.aborted) return 'stop'
      if (!(error instanceof SluiceError)) throw error
      return error.code
    }
  }
  life.killBefore(cut.kind === 'kill' || cut.kind === 'power' ? cut.step : undefined)
  const outcome = await Promise.race([load(), life.death.then(() => 'dead')])
  life.killBefore(undefined)
  return outcome
}

/** Starts processes in the place of those that are dead. A power cut hits the folder of the only one. */
async function bury(
  processes: WindowProcess[],
  plan: WindowPlan,
  all: WindowWorld,
  attempts: readonly Attempt[],
  random: () => number,
): Promise<void> {
  for (const [number, process] of processes.entries()) {
    if (!process.life.isDead) continue
    if (processes.length === 1 && attempts[number]?.cut.kind === 'power') {
      all.disk.cutPower(random)
      forgetLocks(all.disk)
    } else await process.bury()
    processes[number] = startWindowProcess(plan, all, number)
  }
}

/** Locks of before the system was started count no more. */
function forgetLocks(disk: WindowWorld['disk']): void {
  const folder = '/home/simulated'
  const windows = disk.names(`${folder}/windows`).map(part => `${folder}/windows/${part}`)
  for (const one of [folder, ...windows]) disk.remove(`${one}/lock.json`)
}

/** Journals that a later run would take up. */
function left({ names }: WindowWorld['disk'], { isOneFolder, processes }: WindowPlan): readonly string[] {
  const homes = isOneFolder ? ['/home'] : Array.from({ length: processes }, (_, number) => `/home-${number}`)
  return homes.flatMap(home => names(`${home}/simulated/loads`).filter(name => !/\.(aside|gone)\d*$/.test(name)))
}
