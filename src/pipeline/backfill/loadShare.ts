import type { CursorRange } from '../../model/cursors/cursorRange.js'
import type { Connection } from '../../model/destination.js'
import { ConfigError } from '../../model/errors.js'
import { warningOf } from '../run/closing.js'
import type { PipelineSetup } from '../setup.js'
import {
  type Backfilling,
  type LoadedWindows,
  type LoadingOptions,
  loadWindows,
  type Partition,
} from './loadWindows.js'
import { type BackfillPlan, type FailedWindow, listOf } from './planBackfill.js'
import { missingRanges } from './ranges.js'
import { WindowClaims } from './windowClaims.js'

/** What one of several processes loads, and how. */
type Share = Omit<Backfilling, 'windows' | 'claims'> & {
  readonly partition: Partition
  readonly claims: WindowClaims
  readonly retryFailed: boolean
}

/** The claims of this process, as soon as it may load together with those that are at work. Rejects if it may not. */
export async function admittedClaims(
  setup: PipelineSetup,
  { resource, cut }: Pick<BackfillPlan, 'resource' | 'cut'>,
  { attempts }: Connection,
  { partition, onEvent, signal }: LoadingOptions & { readonly partition: Partition },
): Promise<WindowClaims> {
  if (attempts === undefined) {
    const message = `${setup.destination.name} does not remember who loads which window; leave it out`
    throw new ConfigError([{ place: { path: 'partition' }, message }])
  }
  const claims = new WindowClaims({
    attempts,
    of: listOf(setup, resource.name, cut),
    cut,
    clock: setup.clock,
    timeoutMs: partition.claimTimeoutMs,
    processes: partition.of,
    code: partition.code ?? '',
  })
  const message = `${resource.name}: another process claimed a part of this range, and counts other processes or has another file; waiting to see whether it is at work`
  await claims.admitted(() => onEvent?.({ type: 'warning', code: 'lock_waited_for', message }), signal)
  return claims
}

/**
 * Loads what is missing of a range together with other processes, until nothing is: first the windows of this share, then
 * those that nobody else loads, also those of a process that died. Waits for windows that others load. A window that
 * failed in this call, here or elsewhere, is not tried again.
 */
export async function loadShare(share: Share, planAgain: () => Promise<BackfillPlan>): Promise<LoadedWindows> {
  const { options, claims } = share
  try {
    return await untilNothingIsMissing(share, planAgain)
  } finally {
    await warningOf(options.onEvent ?? (() => {}), 'its claims could not be taken back', () => claims.close())
  }
}

async function untilNothingIsMissing(share: Share, planAgain: () => Promise<BackfillPlan>): Promise<LoadedWindows> {
  const { setup, options, plan: first, partition, claims } = share
  const before = new Set(first.failed.map(tryOf))
  const all: LoadedWindows = { loads: [], failures: [], untried: 0, cause: undefined }
  let [done, isWaiting] = [all, false]
  for (let plan = first; ; plan = await planAgain()) {
    const retries = plan.failed.filter(window => before.has(tryOf(window)))
    const missing = plan.windows.flatMap(window => missingRanges(window, askedSince(first, plan), plan.cut))
    const wanted = share.retryFailed ? retries : [...missing, ...retries]
    if (wanted.length === 0) return done
    const free = await claims.free(wanted)
    if (free.length === 0) {
      if (!isWaiting) tellWaiting(share, wanted)
      isWaiting = true
      await setup.clock.sleep(claims.lookEveryMs, options.signal)
      continue
    }
    isWaiting = false
    const round = await loadWindows({ ...share, plan, windows: ownFirst(free, partition) })
    done = {
      loads: [...done.loads, ...round.loads],
      failures: [...done.failures, ...round.failures],
      untried: round.untried,
      cause: done.cause ?? round.cause,
    }
    // So many failed one after another that it is no fault of theirs.
    if (round.untried > 0) return done
  }
}

/** What any of the processes has asked for meanwhile beyond the end of the list: it stays missing. */
function askedSince({ openEnded: before }: BackfillPlan, { openEnded: now }: BackfillPlan): readonly CursorRange[] {
  const known = new Set(before.map(({ loadId }) => loadId))
  return now
    .filter(({ loadId }) => !known.has(loadId))
    .map(({ start, end, askedEnd = end }) => ({ start, end: askedEnd }))
}

function ownFirst(windows: readonly CursorRange[], { index, of }: Partition): readonly CursorRange[] {
  const own = windows.filter((_, place) => place % of === index - 1)
  return [...own, ...windows.filter(window => !own.includes(window))]
}

/** Changes with every failure of the window. */
function tryOf({ start, end, tries, atMs }: FailedWindow): string {
  return JSON.stringify([String(start), String(end), tries, atMs])
}

function tellWaiting(
  { options, plan: { resource } }: Pick<Backfilling, 'options' | 'plan'>,
  windows: readonly CursorRange[],
): void {
  const message = `${resource.name}: other processes load what is left (${windows.length}); waiting for them, or for what they leave`
  options.onEvent?.({ type: 'warning', code: 'lock_waited_for', message })
}
