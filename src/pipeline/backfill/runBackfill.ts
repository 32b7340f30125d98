import { keepNumberLiterals } from '../../json/value.js'
import type { CursorRange } from '../../model/cursorRange.js'
import { DataError, RequestError } from '../../model/errors.js'
import type { RunEvent } from '../../model/events.js'
import { nextLoadId } from '../../model/loadId.js'
import type { CursorState } from '../../model/pipelineState.js'
import type { Verdict } from '../../model/receipt.js'
import type { IncrementalHint, Resource, Source } from '../../model/source.js'
import { isBeyond } from '../run/incremental/incremental.js'
import type { DoneWindow } from '../run/incremental/windowLedger.js'
import type { WindowToLoad } from '../run/incremental/windowToLoad.js'
import { runPipeline } from '../run/runPipeline.js'
import type { LoadResult, PipelineSetup } from '../setup.js'
import { type BackfillPlan, planBackfill, type WindowOptions, windowHint } from './planBackfill.js'
import { compareValues, halves, reachFrom, spanOf } from './ranges.js'

export interface BackfillOptions extends WindowOptions {
  /** Stops the backfill. The windows that are committed stay, and the next one continues after them. */
  readonly signal?: AbortSignal | undefined
  /** Most requests in flight for one origin and credential. Default 16. */
  readonly concurrency?: number | undefined
  /** Called with each event of each load, in order. */
  readonly onEvent?: ((event: RunEvent) => void) | undefined
  /** Called once, before the first window. */
  readonly onPlan?: ((status: BackfillStatus) => void) | undefined
  /** Called when a window is loaded, too large, or failed. */
  readonly onWindow?: ((outcome: WindowOutcome) => void) | undefined
}

/** A window that a backfill has committed. */
export interface WindowLoad extends CursorRange {
  readonly loadId: string
  readonly verdict: Verdict
  readonly requests: number
  /** Records within the window. */
  readonly records: number
  /** Rows staged by table, nested tables included. */
  readonly rows: Readonly<Record<string, number>>
}

/** What became of a window. `left`: windows still to load, as far as is known. */
export type WindowOutcome = CursorRange & { readonly left: number } & (
    | { readonly outcome: 'loaded'; readonly load: WindowLoad; readonly durationMs: number }
    | { readonly outcome: 'halved' | 'failed'; readonly error: Error }
  )

export interface BackfillResult {
  readonly pipeline: string
  readonly dataset: string
  readonly resource: string
  /** The range, with every default taken. */
  readonly from: CursorRange['start']
  readonly to: CursorRange['end']
  /** Windows that were committed before. */
  readonly before: number
  /** Windows of this call, in the order in which they were loaded. */
  readonly loads: readonly WindowLoad[]
}

/** What is done and what is missing. Both in the order of the cursor. */
export interface BackfillStatus {
  readonly resource: string
  readonly cursorPath: string
  readonly from: CursorRange['start']
  readonly to: CursorRange['end']
  /** Committed windows, also those outside the range. */
  readonly done: readonly DoneWindow[]
  /** Windows that a backfill would load now, in order. */
  readonly missing: readonly CursorRange[]
}

export async function backfillStatus(
  setup: PipelineSetup,
  resource: string,
  options: WindowOptions,
): Promise<BackfillStatus> {
  return statusOf(await planBackfill(setup, resource, options))
}

function statusOf({ resource, hint, range, done, windows }: BackfillPlan): BackfillStatus {
  const { cursorPath } = hint
  return { resource: resource.name, cursorPath, from: range.start, to: range.end, done, missing: windows }
}

/**
 * Loads what is missing of a range, window by window. Each window is a run of its own with its own journal and commit.
 * A window that is too much for the API is halved, and so are the ones after it. Rejects with the error of the first
 * window that fails otherwise; the windows before it are committed.
 */
export async function backfill(
  setup: PipelineSetup,
  resource: string,
  options: BackfillOptions,
): Promise<BackfillResult> {
  const plan = await planBackfill(setup, resource, options)
  options.onPlan?.(statusOf(plan))
  const emit = options.onEvent ?? (() => {})
  const select = selected(setup.source, plan.resource, emit)
  const id = plan.backfill ?? nextLoadId(setup.clock.now(), undefined, setup.clock.random())
  const done: Pick<DoneWindow, 'start' | 'end' | 'cursor'>[] = [...plan.done]
  const queue = [...plan.windows]
  const loads: WindowLoad[] = []
  let widest: CursorRange | undefined
  for (let range = queue.shift(); range !== undefined; range = queue.shift()) {
    const parts = widest !== undefined && isWider(plan, range, widest) ? halvesOf(plan, range) : undefined
    if (parts !== undefined) {
      queue.unshift(...inOrder(parts, plan, options))
      continue
    }
    const startedMs = setup.clock.now()
    const hint = windowHint(plan, range)
    let seen: CursorState | undefined
    const window: WindowToLoad = {
      resource,
      hint,
      backfill: id,
      ...range,
      cursorAfter(newest, stored) {
        seen = newest
        return cursorReached(plan.hint, [...done, { ...range, cursor: newest }], stored)
      },
    }
    // Whoever halves a window knows that the pages of the whole one are of no use.
    const pagesSetAside: RunEvent[] = []
    const isPart = widest !== undefined
    try {
      const result = await runPipeline(
        setup,
        {
          select,
          signal: options.signal,
          concurrency: options.concurrency,
          onEvent: event => {
            if (event.type === 'warning' && event.code === 'journal_set_aside') pagesSetAside.push(event)
            else emit(event)
          },
        },
        window,
      )
      if (!isPart) for (const event of pagesSetAside) emit(event)
      const load = loadOf(result, resource, range)
      done.push({ ...range, cursor: seen })
      loads.push(load)
      const durationMs = setup.clock.now() - startedMs
      options.onWindow?.({ ...range, outcome: 'loaded', load, durationMs, left: queue.length })
    } catch (error) {
      const smaller = isTooMuch(error, resource) ? halvesOf(plan, range) : undefined
      const outcome = smaller === undefined ? 'failed' : 'halved'
      options.onWindow?.({ ...range, outcome, error: error as Error, left: queue.length + (smaller?.length ?? 1) })
      if (smaller === undefined) {
        for (const event of pagesSetAside) emit(event)
        throw error
      }
      widest = smaller[1]
      queue.unshift(...inOrder(smaller, plan, options))
    }
  }
  return {
    pipeline: setup.name,
    dataset: setup.datasetName,
    resource,
    from: plan.range.start,
    to: plan.range.end,
    before: plan.done.length,
    loads,
  }
}

/**
 * The resource and its selected children. A child with a cursor of its own is left out: the window's parents are older
 * than what its cursor has reached.
 */
function selected(source: Source, resource: Resource, emit: (event: RunEvent) => void): readonly string[] {
  const children = source.resources.filter(({ parent, selected }) => parent === resource.name && selected)
  return [
    resource.name,
    ...children.flatMap(child => {
      if (child.incremental === undefined) return selected(source, child, emit)
      const message = `${child.name} is no part of the backfill, because it has a cursor of its own; load it by a run`
      emit({ type: 'warning', code: 'other', resource: child.name, namesResource: true, message })
      return []
    }),
  ]
}

function loadOf({ loadId = '', receipts, rows }: LoadResult, resource: string, range: CursorRange): WindowLoad {
  const receipt = receipts.find(one => one.resource === resource)
  return {
    ...range,
    loadId,
    verdict: receipt?.verdict ?? 'unproven',
    requests: receipt?.requests ?? 0,
    records: (receipt?.records ?? 0) - (receipt?.filtered ?? 0),
    rows,
  }
}

function halvesOf({ step, hint }: BackfillPlan, range: CursorRange): readonly [CursorRange, CursorRange] | undefined {
  return halves(range, step.unit, hint.path)
}

function isWider({ step }: BackfillPlan, range: CursorRange, other: CursorRange): boolean {
  return spanOf(range, step.unit) > spanOf(other, step.unit)
}

function inOrder(
  parts: readonly [CursorRange, CursorRange],
  { hint }: BackfillPlan,
  { order = hint.window?.order }: BackfillOptions,
): readonly CursorRange[] {
  return order === 'newest_first' ? [parts[1], parts[0]] : parts
}

const TOO_MUCH = [408, 413, 504]

/** Whether half of the window may succeed where the whole one failed. */
function isTooMuch(error: unknown, resource: string): boolean {
  if (error instanceof RequestError)
    return error.code === 'timeout' || error.code === 'response_too_large' || TOO_MUCH.includes(error.status ?? 0)
  if (!(error instanceof DataError) || error.code !== 'incomplete') return false
  const receipt = error.receipts?.find(one => one.resource === resource)
  return receipt !== undefined && (receipt.verdict !== 'incomplete' || (receipt.announced ?? 0) > receipt.records)
}

/**
 * The cursor to store: after the newest record up to the first gap. dlt's rule: it moves only over what was loaded from
 * its start on. Undefined if that is not beyond the stored one.
 */
function cursorReached(
  hint: IncrementalHint,
  windows: readonly Pick<DoneWindow, 'start' | 'end' | 'cursor'>[],
  stored: CursorState | undefined,
): CursorState | undefined {
  const last = stored?.last_value ?? undefined
  const least = windows.map(({ start }) => start).reduce((a, b) => (compareValues(b, a, hint) < 0 ? b : a))
  const first = stored?.initial_value ?? last ?? hint.initialValue ?? least
  const run = last === undefined ? [] : [{ start: first, end: last, cursor: undefined }]
  const { covered } = reachFrom(first, [...run, ...windows], hint)
  const newest = covered.reduce<CursorState | undefined>(
    (best, { cursor }) =>
      cursor !== undefined && (best === undefined || isBeyond(hint, cursor, best)) ? cursor : best,
    undefined,
  )
  if (newest === undefined || (stored !== undefined && !isBeyond(hint, newest, stored))) return undefined
  const cursor: CursorState = { ...newest, initial_value: first, start_value: last ?? first }
  keepNumberLiterals(newest as never, cursor)
  return cursor
}
