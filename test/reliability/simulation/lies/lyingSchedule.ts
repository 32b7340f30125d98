import { restApi } from '../../../../src/config/restApi.js'
import { SluiceError } from '../../../../src/model/errors.js'
import { pipeline } from '../../../../src/pipeline/pipeline.js'
import { seeded } from '../../chance.js'
import { type Disk, disk } from '../disk.js'
import { life } from '../life.js'
import { type MemoryDestination, memoryDestination } from '../memoryDestination.js'
import { virtualClock } from '../world.js'
import { documentOf } from './document.js'
import { type Breach, breachOf, type Outcome, type Tally } from './laws.js'
import { type LyingApi, lyingApi } from './lyingApi.js'
import type { Plan, Run } from './plan.js'
import { listsText, storyOf } from './story.js'
import { names, truth } from './truth.js'

/** What became of a world of lies. */
export interface Lived {
  readonly tally: Tally
  readonly breach: Breach | undefined
  /** What happened, to be read. */
  readonly story: readonly string[]
}

export const noTally: Readonly<Tally> = {
  complete: 0,
  believed: 0,
  unproven: 0,
  incomplete: 0,
  failed: 0,
  unknowable: 0,
}

export function addTallies(one: Readonly<Tally>, other: Readonly<Tally>): Tally {
  const sum = { ...one }
  for (const key of Object.keys(sum) as (keyof Tally)[]) sum[key] += other[key]
  return sum
}

/** Lives through a world until a law is broken. */
export async function live(plan: Plan): Promise<Lived> {
  const real = truth(plan.sizes, plan.isShared)
  const api = lyingApi(plan, real)
  const destination = memoryDestination()
  const kept = disk()
  const tally = { ...noTally }
  for (const [number, run] of plan.runs.entries()) {
    if (number > 0) real.change(plan.seed + number)
    const was = listsText(real)
    const before = destination.stored
    const { receipts, error, isResumed } = await attempt(plan, run, api, destination, kept)
    const { log } = api
    const outcome = { plan, run, truth: real, log, isResumed, before, after: destination.stored, receipts, error }
    const breach = breachOf(outcome, tally)
    if (breach !== undefined) return { tally, breach, story: storyOf(number + 1, outcome, breach, was) }
  }
  return { tally, breach: undefined, story: [] }
}

async function attempt(
  plan: Plan,
  run: Run,
  api: LyingApi,
  destination: MemoryDestination,
  kept: Disk,
): Promise<Pick<Outcome, 'receipts' | 'error' | 'isResumed'>> {
  const own = life()
  const abort = new AbortController()
  let isResumed = false
  api.begin(run, () => abort.abort(new Error('stopped')))
  kept.remove('/home/lies/lock.json')
  try {
    const made = pipeline({
      name: 'lies',
      source: restApi(documentOf(plan, api.transport), { env: {}, cwd: '/home' }),
      destination: destination.of(own),
      dataset: 'lies',
      home: '/home',
      clock: virtualClock(seeded(plan.seed)),
      files: kept.files(own),
    })
    const { receipts } = await made.run({
      concurrency: plan.concurrency,
      allowIncomplete: run.allowIncomplete,
      signal: abort.signal,
      maxPages: run.maxPages,
      select: run.isSelective ? [names[0]] : undefined,
      onEvent(event) {
        if (event.type !== 'run_started') return
        isResumed = event.resumedPages > 0
        if (!isResumed) api.startAnew()
      },
    })
    return { receipts, error: undefined, isResumed }
  } catch (error) {
    if (!(error instanceof SluiceError) && error !== abort.signal.reason) throw error
    const text = error instanceof SluiceError ? `${error.code}: ${error.message}` : String(error)
    return { receipts: undefined, error: text, isResumed }
  }
}
