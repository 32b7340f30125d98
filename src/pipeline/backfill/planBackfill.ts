import { type JsonValue, numberLiteral, setNumberLiteral } from '../../json/value.js'
import { compareRanks, cursorRank } from '../../model/cursors/cursorOrder.js'
import type { CursorRange, WindowAttempt, WindowsOf } from '../../model/cursors/cursorRange.js'
import type { Connection } from '../../model/destination.js'
import { type CursorState, cursorState } from '../../model/pipelineState.js'
import type { IncrementalHint, Resource, Source } from '../../model/source.js'
import { stateAfterSettling } from '../run/gone/goneTables.js'
import { isBeyond } from '../run/incremental/cursorValue.js'
import type { Cut } from '../run/incremental/partitions.js'
import { committedWindows, type DoneWindow, refuseOtherCut } from '../run/incremental/windowLedger.js'
import type { PipelineSetup } from '../setup.js'
import type { AskedRange } from './askedRange.js'
import { dispositionIn, loadedTogether } from './loadedTogether.js'
import { compareValues, missingRanges, moved, type Step, slicesOf, windowsOf } from './ranges.js'

/** What a backfill would do. */
export interface BackfillPlan extends Omit<AskedRange, 'where'> {
  /** Undefined before the first window. */
  readonly backfill: string | undefined
  /** Every committed window of the resource, also those outside the range. */
  readonly done: readonly DoneWindow[]
  /** Parts of a list that were asked for beyond its end. */
  readonly openEnded: readonly DoneWindow[]
  /** Windows of the range that failed and are not committed. In the order to load them. */
  readonly failed: readonly FailedWindow[]
  /** The other windows to load, in order. */
  readonly windows: readonly CursorRange[]
  /** Windows that processes say they are loading, if nobody has loaded them. A process that died says it for ever. */
  readonly running: readonly RunningWindow[]
  /** Half of a window that was too much for the API. */
  readonly halved: CursorRange | undefined
}

/** A window that one of several processes is loading. */
export interface RunningWindow extends CursorRange {
  /** When the process was heard of the last time, by its own clock: milliseconds since the epoch. */
  readonly atMs: number
}

/** A window that a backfill could not load. */
export interface FailedWindow extends CursorRange {
  /** How often it was tried. */
  readonly tries: number
  /** When it failed the last time: milliseconds since the epoch. */
  readonly atMs: number
  /** Why, without secrets. */
  readonly reason: string
}

/**
 * Reads what is done, and cuts the rest of the range. Rejects with a ConfigError if there are too many windows. Without a
 * connection, nothing is done.
 */
export async function planBackfill(
  setup: PipelineSetup,
  { where, ...asked }: AskedRange,
  connection: Connection | undefined,
): Promise<BackfillPlan> {
  const { resource, cut, order } = asked
  const stored = connection === undefined ? NOTHING : await readStored(setup, connection, resource.name, cut)
  const { backfill, done, openEnded, attempts } = stored
  const range =
    cut.by === undefined && isAppended(setup.source, resource) ? beforeRuns(asked.range, stored, cut) : asked.range
  const part = { ...asked, range }
  const failed = failedWindows(part, stored)
  const windows = remaining(part, [...done, ...failed], where)
  const again = order === 'newest_first' ? failed.toReversed() : failed
  const halved = attempts.findLast(attempt => attempt.state === 'halved' && isOf(part, attempt))
  const running = attempts.filter(attempt => isRunning(attempt, part, done))
  return { ...part, backfill, done, openEnded, failed: again, windows, running, halved }
}

type PlannedRange = Omit<AskedRange, 'where'>

/** What is neither done nor has failed, cut into windows, in the order to load them. */
function remaining(
  { cut, range, step, order, values }: PlannedRange,
  known: readonly CursorRange[],
  where: string,
): readonly CursorRange[] {
  switch (cut.by) {
    case 'values':
      return values.flatMap(value => missingRanges({ start: value, end: value }, known, cut))
    case 'parents':
      return slicesOf(missingRanges(range, known, cut), cut.slices)
    default:
      return windowsOf(range, missingRanges(range, known, cut), { step, order, cut, where })
  }
}

/** Whether a window that is loaded again would add rows again: of the resource, or of a child. */
function isAppended(source: Source, resource: Resource): boolean {
  return loadedTogether(source, resource).resources.some(one => dispositionIn(one).disposition === 'append')
}

/** What failed and was not loaded since. */
function failedWindows(asked: PlannedRange, { attempts, done }: Stored): readonly FailedWindow[] {
  const { cut, range } = asked
  const compare = (a: CursorRange, b: CursorRange): number => compareValues(a.start, b.start, cut)
  const failed: FailedWindow[] = []
  const ours = attempts.filter(attempt => attempt.state === 'failed' && isOf(asked, attempt))
  for (const { start, end, tries, atMs, reason = '' } of ours.toSorted(compare)) {
    const within = { start, end }
    if (cut.by !== 'values') {
      if (compareValues(range.start, within.start, cut) > 0) within.start = range.start
      if (compareValues(range.end, within.end, cut) < 0) within.end = range.end
    }
    for (const part of missingRanges(within, [...done, ...failed], cut)) failed.push({ ...part, tries, atMs, reason })
  }
  return failed
}

function isRunning(attempt: WindowAttempt, asked: PlannedRange, done: Stored['done']): boolean {
  return attempt.state === 'claimed' && isOf(asked, attempt) && missingRanges(attempt, done, asked.cut).length > 0
}

/** Whether it is one of the values, or has the form of the range. It may be from a time when the cursor had another one. */
function isOf({ cut, range, values }: PlannedRange, { start, end }: CursorRange): boolean {
  if (cut.by === 'values') return values.some(value => compareValues(value, start, cut) === 0)
  return [start, end].every(value => compareRanks(cursorRank(value), cursorRank(range.start)) !== undefined)
}

/** The list whose windows are loaded. */
export function listOf(setup: PipelineSetup, resource: string, { cursorPath }: Pick<Cut, 'cursorPath'>): WindowsOf {
  return { pipeline: setup.name, schemaName: setup.source.name, resource, cursorPath }
}

/** What is stored about a resource. */
interface Stored {
  readonly backfill: string | undefined
  readonly done: readonly DoneWindow[]
  readonly openEnded: readonly DoneWindow[]
  readonly cursor: CursorState | undefined
  readonly attempts: readonly WindowAttempt[]
}

const NOTHING: Stored = { backfill: undefined, done: [], openEnded: [], cursor: undefined, attempts: [] }

async function readStored(setup: PipelineSetup, connection: Connection, resource: string, cut: Cut): Promise<Stored> {
  const attempts = (await connection.attempts?.read(listOf(setup, resource, cut))) ?? []
  const committed = await connection.committed(setup.name, setup.source.name)
  const state = await stateAfterSettling(setup, connection, committed)
  if (state === undefined) return { ...NOTHING, attempts }
  const { backfill, done, openEnded } = await committedWindows(connection, setup, state, { name: resource, cut })
  await refuseOtherCut(connection, setup, { name: resource, cut }, backfill)
  return {
    backfill,
    done: done.toSorted((a, b) => compareValues(a.start, b.start, cut)),
    openEnded,
    cursor: cursorState(state, setup.source.name, resource, cut.cursorPath),
    attempts,
  }
}

/**
 * The range without what runs have read, if rows are appended: they would be loaded twice. From its first value on, the
 * cursor is theirs as soon as a run has moved it beyond all windows.
 */
function beforeRuns(range: CursorRange, { done, cursor }: Stored, hint: IncrementalHint): CursorRange {
  if (cursor?.last_value == null) return range
  const isOfWindows = done.some(window => window.cursor !== undefined && !isBeyond(hint, cursor, window.cursor))
  if (isOfWindows) return range
  const first = cursor.initial_value ?? range.start
  if (compareValues(first, range.end, hint) >= 0) return range
  const rest = { ...range, end: compareValues(first, range.start, hint) > 0 ? first : range.start }
  setNumberLiteral(rest, 'start', numberLiteral(range, 'start'))
  return rest
}

/** What cuts the list, for one window: the cursor has its ends. */
export function windowCut({ cut, range, lookback }: BackfillPlan, window: CursorRange): Cut {
  return cut.by === undefined ? windowHint({ hint: cut, range, lookback }, window) : cut
}

function windowHint(
  {
    hint,
    range,
    lookback,
  }: { readonly hint: IncrementalHint; readonly range: CursorRange; readonly lookback: Step | undefined },
  { start, end }: CursorRange,
): IncrementalHint {
  const initialValue = lookback === undefined ? start : moved(start, -1, lookback, `${hint.path}.window.lookback`)
  const window: IncrementalHint = { ...hint, initialValue, endValue: end, isWindow: true }
  const first = numberLiteral(range, 'start')
  setNumberLiteral(window, 'initialValue', initialValue === range.start ? first : spelledLike(initialValue, first))
  setNumberLiteral(window, 'endValue', end === range.end ? numberLiteral(range, 'end') : spelledLike(end, first))
  return window
}

/** A number with as many digits behind the point as the range's first one, or as many in all where zeros lead. */
function spelledLike(value: JsonValue, first: string | undefined): string | undefined {
  if (first === undefined || (typeof value !== 'number' && typeof value !== 'bigint')) return undefined
  const fraction = /^-?\d+\.(\d+)$/.exec(first)?.[1]
  if (fraction !== undefined)
    return typeof value === 'number' ? value.toFixed(Math.min(fraction.length, 100)) : undefined
  return /^0\d+$/.test(first) ? String(value).padStart(first.length, '0') : undefined
}
