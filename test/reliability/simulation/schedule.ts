import assert from 'node:assert/strict'
import { SluiceError } from '../../../src/model/errors.js'
import type { RunEvent } from '../../../src/model/events.js'
import type { RunResult } from '../../../src/pipeline/setup.js'
import { seeded } from '../chance.js'
import type { DestinationFault, Stored } from './memoryDestination.js'
import { checkCursor, checkReceipts, checkTables, type Day } from './promises.js'
import { dispositions, type Plan, type Process, paginators, startProcess, unfinished, world } from './world.js'

export const destinationFaults: readonly DestinationFault[] = ['connect', 'look', 'begin', 'stage', 'before', 'after']
export const stops = ['run_started', 'request', 'page', 'resource_finished', 'committing', 'committed'] as const

const DAYS = 3
/** After so many attempts at a day the weather clears up. */
const STORMY_ATTEMPTS = 6
/** Most runs take fewer steps than this. */
const MOST_STEPS = 250

/** What a schedule went through, so that a test can tell that it went through something. */
export interface Passed {
  /** How runs ended that did not end well: the code of their error, or what was done to them. */
  readonly endings: readonly string[]
  readonly resumedPages: number
  /** Everything that was told, as one text: the same for the same seed. */
  readonly story: string
}

/** How a run is cut off: at an event, by its signal; or at any await point, with or without the power. */
type Cut =
  | { readonly kind: 'stop'; readonly event: RunEvent['type']; readonly number: number }
  | { readonly kind: 'kill' | 'power'; readonly step: number }

type Outcome = { readonly resumedPages: number } & (
  | { readonly kind: 'done'; readonly result: RunResult; readonly asked: ReadonlyMap<string, number> }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'dead' }
)

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
  const liesADay = random() < 0.2 ? 0.03 : 0
  const all = world(random)
  const { api, destination, disk } = all
  const endings: string[] = []
  const history: Day[] = []
  const story: string[] = []
  let process = startProcess(plan, all)
  let resumedPages = 0

  for (let day = 1; day <= DAYS; day++) {
    api.setDay(day)
    history.push({ things: api.things(), members: api.members() })
    for (let attempt = 1; ; attempt++) {
      const isClear = attempt > STORMY_ATTEMPTS
      const faults = isClear ? 0 : one([0, 0.05, 0.3, 0.8])
      api.setWeather({ seed: random() * 2 ** 32, faults, lies: isClear ? 0 : liesADay })
      destination.setFault(isClear || random() < 0.6 ? 'none' : one(destinationFaults))
      const cut = isClear || random() < 0.5 ? undefined : cutOff(random, one)
      const before = destination.stored
      const outcome = await attemptRun(process, plan, cut, story)
      resumedPages += outcome.resumedPages
      checkCursor(plan, all)
      const isCommitted = destination.stored.loads.length > before.loads.length
      if (outcome.kind === 'done') {
        const { loads } = destination.stored
        if (loads.length < day) {
          // The power cut brought back the journal of an earlier load: the run says so, the next one loads.
          assert.equal(outcome.result.loadId, loads.at(-1))
          continue
        }
        if (isTold(destination.stored)) break
        checkReceipts(plan, outcome.result, all, history.at(-1) as Day, outcome.asked)
        break
      }
      if (!isCommitted) assert.equal(destination.stored, before, 'a failed run changed the destination')
      if (outcome.kind === 'failed') {
        // A page that an earlier, interrupted run got may still be to blame, but not twice.
        const isExcused = !isClear || (attempt === STORMY_ATTEMPTS + 1 && outcome.resumedPages > 0)
        assert.ok(isExcused, `a run failed although nothing was wrong: ${outcome.reason}`)
        endings.push(outcome.reason)
        continue
      }
      endings.push(cut?.kind ?? '')
      const isForgotten = unfinished(all).length === 0
      if (cut?.kind === 'power') disk.cutPower(random)
      process = startProcess(plan, all)
      // Killed when there was nothing left to do: nobody can tell such a run from one that was never started.
      if (destination.stored.loads.length === day && isForgotten) {
        if (unfinished(all).length > 0) continue
        break
      }
    }
    if (isTold(destination.stored)) {
      assert.ok(api.lied, 'a listing is not complete although the API told no lie')
      endings.push('told')
      break
    }
    checkTables(plan, history, destination.stored)
    assert.equal(destination.stored.loads.length, day, 'loads')
    assert.deepEqual(unfinished(all), [], 'journals')
  }
  return { endings, resumedPages, story: story.join('\n') }
}

/** Whether the last load's receipts say that it may not be all there is. */
function isTold({ receipts, loads }: Stored): boolean {
  return receipts.some(({ loadId, verdict }) => loadId === loads.at(-1) && verdict !== 'complete')
}

function cutOff(random: () => number, one: <Item>(items: readonly Item[]) => Item): Cut {
  const kind = one(['stop', 'kill', 'power'] as const)
  return kind === 'stop'
    ? { kind, event: one(stops), number: 1 + Math.floor(random() * 6) }
    : { kind, step: 1 + Math.floor(random() * MOST_STEPS) }
}

async function attemptRun(
  { pipeline, life }: Process,
  plan: Plan,
  cut: Cut | undefined,
  story: string[],
): Promise<Outcome> {
  const abort = new AbortController()
  const asked = new Map<string, number>()
  let seen = 0
  let resumedPages = 0
  const run = async (): Promise<Outcome> => {
    try {
      const result = await pipeline.run({
        concurrency: plan.concurrency,
        signal: abort.signal,
        onEvent(event) {
          story.push(JSON.stringify(event))
          if (event.type === 'run_started') resumedPages = event.resumedPages
          if (event.type === 'request') asked.set(event.resource, (asked.get(event.resource) ?? 0) + 1)
          if (cut?.kind === 'stop' && event.type === cut.event && ++seen === cut.number) abort.abort(new Error('stop'))
        },
      })
      return { kind: 'done', result, asked, resumedPages }
    } catch (error) {
      if (abort.signal.aborted) return { kind: 'failed', reason: 'stop', resumedPages }
      if (!(error instanceof SluiceError)) throw error
      return { kind: 'failed', reason: error.code, resumedPages }
    }
  }
  life.killBefore(cut === undefined || cut.kind === 'stop' ? undefined : cut.step)
  const outcome = await Promise.race([run(), life.death])
  life.killBefore(undefined)
  return outcome ?? { kind: 'dead', resumedPages }
}
