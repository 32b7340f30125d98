import { parseJson } from '../../json/parse.js'
import { type JsonValue, numberLiteral, setNumberLiteral } from '../../json/value.js'
import { type CursorRange, cursorText, type WindowAttempt, type WindowsOf } from '../../model/cursorRange.js'
import { compareRanks, cursorRank } from '../../model/cursors/cursorOrder.js'
import { parseInstant } from '../../model/cursors/instant.js'
import type { Connection } from '../../model/destination.js'
import { ConfigError } from '../../model/errors.js'
import { didYouMean } from '../../model/nearMiss.js'
import { type CursorState, cursorState } from '../../model/pipelineState.js'
import type { DispositionHint, IncrementalHint, Resource, Source, WindowOrder } from '../../model/source.js'
import { isBeyond } from '../run/incremental/incremental.js'
import { committedWindows, type DoneWindow } from '../run/incremental/windowLedger.js'
import { parentOf } from '../run/planResources.js'
import type { PipelineSetup } from '../setup.js'
import { loadedTogether } from './loadedTogether.js'
import { compareValues, missingRanges, moved, presentLike, type Step, stepOf, windowsOf } from './ranges.js'

/** A value of a cursor, as options give it. */
export type CursorBound = string | number | bigint

/** What to load, and in which windows. Defaults come from the cursor in the document. */
export interface WindowOptions {
  /** Start of the range. Default: `initial_value` of the cursor. */
  readonly from?: CursorBound | undefined
  /** End of the range, itself left out. Default: `end_value` of the cursor, or the present if the cursor is a time. */
  readonly to?: CursorBound | undefined
  /** Width of a window: an ISO 8601 duration for times, an amount for numbers. Default: `window.step` of the document. */
  readonly step?: string | number | undefined
  /** Default: `window.order` of the document, or oldest first. */
  readonly order?: WindowOrder | undefined
}

/** What a backfill would do. */
export interface BackfillPlan {
  readonly resource: Resource
  readonly hint: IncrementalHint
  readonly range: CursorRange
  readonly step: Step
  readonly lookback: Step | undefined
  readonly order: WindowOrder
  /** Undefined before the first window. */
  readonly backfill: string | undefined
  /** Every committed window of the resource, also those outside the range. */
  readonly done: readonly DoneWindow[]
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

/** A range of a resource, and how to cut it. */
interface AskedRange extends Pick<BackfillPlan, 'resource' | 'hint' | 'range' | 'step' | 'lookback' | 'order'> {
  /** The option or key that holds the step. */
  readonly where: string
}

/** What to load, as options and document say. Throws a ConfigError if the resource cannot be cut. */
export function askedRange(setup: PipelineSetup, name: string, options: WindowOptions): AskedRange {
  const resource = resourceNamed(setup.source, name)
  const hint = cuttable(setup.source, resource)
  const at = `${hint.path}.window`
  const width = options.step ?? hint.window?.step
  const range = rangeOf(hint, options, setup.clock.now())
  if (width === undefined)
    throw wrong('step', 'is missing: how wide a window is, as in P7D; or write `window: {step: P7D}` beside the cursor')
  const where = options.step === undefined ? `${at}.step` : 'step'
  const step = stepOf(width, range.start, where)
  const lookback =
    hint.window?.lookback === undefined ? undefined : stepOf(hint.window.lookback, range.start, `${at}.lookback`)
  const order = options.order ?? hint.window?.order ?? 'oldest_first'
  return { resource, hint, range, step, lookback, order, where }
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
  const { resource, hint, range: whole, step, order } = asked
  const stored = connection === undefined ? NOTHING : await readStored(setup, connection, resource.name, hint)
  const { backfill, done, attempts } = stored
  const range = isAppended(setup.source, resource) ? beforeRuns(whole, stored, hint) : whole
  const failed = failedWindows(range, stored, hint)
  const windows = windowsOf(range, missingRanges(range, [...done, ...failed], hint), { step, order, hint, where })
  const again = order === 'newest_first' ? failed.toReversed() : failed
  const halved = attempts.findLast(attempt => attempt.state === 'halved' && isOf(range, attempt))
  const running = attempts.filter(attempt => isRunning(attempt, range, done, hint))
  return { ...asked, range, backfill, done, failed: again, windows, running, halved }
}

/** Whether a window that is loaded again would add rows again: of the resource, or of a child. */
function isAppended(source: Source, resource: Resource): boolean {
  return loadedTogether(source, resource).resources.some(one => dispositionIn(one).disposition === 'append')
}

function dispositionIn({ hints }: Resource): DispositionHint {
  return hints.writeDisposition ?? { disposition: 'append' }
}

/** What failed and was not loaded since. */
function failedWindows(range: CursorRange, { attempts, done }: Stored, hint: IncrementalHint): readonly FailedWindow[] {
  const compare = (a: CursorRange, b: CursorRange): number => compareValues(a.start, b.start, hint)
  const failed: FailedWindow[] = []
  const ours = attempts.filter(attempt => attempt.state === 'failed' && isOf(range, attempt))
  for (const { start, end, tries, atMs, reason = '' } of ours.toSorted(compare)) {
    const within = { start, end }
    if (compareValues(range.start, within.start, hint) > 0) within.start = range.start
    if (compareValues(range.end, within.end, hint) < 0) within.end = range.end
    for (const part of missingRanges(within, [...done, ...failed], hint)) failed.push({ ...part, tries, atMs, reason })
  }
  return failed
}

function isRunning(attempt: WindowAttempt, range: CursorRange, done: Stored['done'], hint: IncrementalHint): boolean {
  return attempt.state === 'claimed' && isOf(range, attempt) && missingRanges(attempt, done, hint).length > 0
}

/** Whether the values have the form of the range. They may be from a time when the cursor had another one. */
function isOf(range: CursorRange, { start, end }: CursorRange): boolean {
  return [start, end].every(value => compareRanks(cursorRank(value), cursorRank(range.start)) !== undefined)
}

/** The list whose windows are loaded. */
export function listOf(setup: PipelineSetup, resource: string, { cursorPath }: IncrementalHint): WindowsOf {
  return { pipeline: setup.name, schemaName: setup.source.name, resource, cursorPath }
}

function wrong(path: string, message: string): ConfigError {
  return new ConfigError([{ place: { path }, message }])
}

function resourceNamed({ resources }: Source, name: string): Resource {
  const found = resources.find(resource => resource.name === name)
  if (found !== undefined) return found
  const names = resources.map(resource => resource.name)
  throw wrong(
    'resource',
    `there is no resource "${name}"${didYouMean(name, names)}; the source has ${names.join(', ')}`,
  )
}

/** The cursor of a resource that windows can cut. Says why not otherwise. */
function cuttable(source: Source, resource: Resource): IncrementalHint {
  const { incremental: hint, name } = resource
  const refuse = (key: string, message: string): ConfigError =>
    wrong(`${resource.path}.${key}`, `${message} (resource ${name})`)
  if (hint === undefined || hint.isToken === true)
    throw refuse(
      'endpoint.incremental',
      'has no cursor with an order, so that nothing cuts its list into windows; give it an `incremental` with a `cursor_path`',
    )
  const at = `${hint.path}.`.slice(resource.path.length + 1)
  if (hint.isPerParent === true)
    throw refuse(
      at.slice(0, -1),
      'has a cursor for each record of its parent, and windows know but one; load it by runs',
    )
  if (hint.lastValueFunc === 'min') throw refuse(`${at}last_value_func`, 'is min: windows need a cursor that grows')
  if (resource.sendsWindowEnd === false)
    throw refuse(
      `${at}end_param`,
      'is missing: no request says where a window ends, so that each would read the whole list. Name the parameter of the API, or use `{incremental.end_value}`',
    )
  const isOpen = hint.rangeStart === 'open'
  if (isOpen && hint.rangeEnd === 'open')
    throw refuse(
      `${at}range_end`,
      'is open, as is range_start: records at the border of two windows would be in neither; close one of them',
    )
  const { resources } = loadedTogether(source, resource)
  if (dispositionIn(resource).disposition === 'skip')
    throw refuse('write_disposition', 'is skip: no window would load anything')
  for (const one of resources) refuseDisposition(one)
  const appended = resources.find(one => dispositionIn(one).disposition === 'append')
  if (appended !== undefined) {
    const rows = appended === resource ? 'rows' : `rows of ${appended.name}, which is appended,`
    const what = appended === resource ? 'records' : `records, and with them rows of ${appended.name},`
    if (!isOpen && hint.rangeEnd === 'closed')
      throw refuse(
        `${at}range_end`,
        `is closed, as is range_start: ${what} at the border of two windows would be loaded twice; leave one of them open, or merge`,
      )
    if (hint.window?.lookback !== undefined)
      throw refuse(`${at}window.lookback`, `would load ${rows} twice; use it with \`write_disposition: merge\` only`)
    if (hint.onCursorValueMissing === 'include')
      throw refuse(
        `${at}on_cursor_value_missing`,
        `is include: ${what} without a value would be loaded with every window; exclude them, or merge`,
      )
  }
  for (let above = parentOf(source, resource); above !== undefined; above = parentOf(source, above)) {
    if (above.incremental !== undefined)
      throw refuse(
        'endpoint',
        `its parent ${above.name} has a cursor of its own, so that older parents would not be read; backfill ${above.name}`,
      )
  }
  return hint
}

function refuseDisposition(resource: Resource): void {
  const { disposition, strategy } = dispositionIn(resource)
  if (disposition === 'append' || disposition === 'skip') return
  if (disposition === 'merge' && strategy !== 'scd2' && strategy !== 'cdc') return
  const what = disposition === 'merge' ? `merge by ${strategy}` : disposition
  throw wrong(
    `${resource.path}.write_disposition`,
    `is ${what}: each window would take away the rows of the others; backfill with append, or with a merge by delete-insert or upsert (resource ${resource.name})`,
  )
}

function rangeOf(hint: IncrementalHint, options: WindowOptions, nowMs: number): CursorRange {
  const { initialValue, endValue } = hint
  const start = bound(options.from, initialValue) ?? initialValue
  if (start === undefined || start === null)
    throw wrong('from', 'is missing: where the range begins; or give the cursor an `initial_value`')
  refuseForm('from', start, hint.initialValue)
  const present = presentLike(start, nowMs, 'from')
  const given = bound(options.to, start) ?? endValue ?? present
  if (given === undefined || given === null)
    throw wrong('to', 'is missing: where the range ends. The cursor is no time, so that there is no present to end at')
  refuseForm('to', given, start)
  // What is still to come cannot have been read.
  const end = present !== undefined && compareValues(given, present, hint) > 0 ? present : given
  if (compareValues(start, end, hint) > 0)
    throw wrong('to', `${cursorText(end)} is before the start of the range, ${cursorText(start)}`)
  const range = { start, end }
  setNumberLiteral(
    range,
    'start',
    options.from === undefined ? numberLiteral(hint, 'initialValue') : String(options.from),
  )
  setNumberLiteral(range, 'end', options.to === undefined ? numberLiteral(hint, 'endValue') : String(options.to))
  return range
}

/** An end that is no value of the cursor would be compared as text, and make another range than the one that was meant. */
function refuseForm(option: 'from' | 'to', given: JsonValue, like: JsonValue | undefined): void {
  const kind = kindOf(given)
  const wanted = like === undefined || like === null ? undefined : kindOf(like)
  if (kind !== 'text' && (wanted === undefined || wanted === kind || areTimes(given, like))) return
  const text = JSON.stringify(cursorText(given))
  const message =
    wanted === undefined || wanted === 'text'
      ? `${text} is neither a time nor a number; give \`--${option}\` a value of the cursor, such as 2024-01-01T00:00:00Z or 10000`
      : `${text} is no ${wanted}; give \`--${option}\` a ${wanted} as the cursor has them, such as ${cursorText(like as JsonValue)}`
  throw wrong(option, message)
}

function kindOf(value: JsonValue): 'number' | 'time' | 'text' {
  const { kind } = cursorRank(value)
  if (kind === 'instant') return 'time'
  return kind === 'number' ? kind : 'text'
}

/** A text such as `20240131` is a number and a date. */
function areTimes(...values: readonly (JsonValue | undefined)[]): boolean {
  return values.every(value => typeof value === 'string' && parseInstant(value) !== undefined)
}

/** The option in the form of the cursor's values: a number if they are numbers. */
function bound(given: CursorBound | undefined, like: JsonValue | undefined): JsonValue | undefined {
  if (typeof given !== 'string' || (typeof like !== 'number' && typeof like !== 'bigint')) return given
  const isNumber = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(given)
  return isNumber ? parseJson(given.replace(/^(-?)0+(?=\d)/, '$1')) : given
}

/** What is stored about a resource. */
interface Stored {
  readonly backfill: string | undefined
  readonly done: readonly DoneWindow[]
  readonly cursor: CursorState | undefined
  readonly attempts: readonly WindowAttempt[]
}

const NOTHING: Stored = { backfill: undefined, done: [], cursor: undefined, attempts: [] }

async function readStored(
  setup: PipelineSetup,
  connection: Connection,
  resource: string,
  hint: IncrementalHint,
): Promise<Stored> {
  const attempts = (await connection.attempts?.read(listOf(setup, resource, hint))) ?? []
  const { state } = (await connection.committed(setup.name, setup.source.name)) ?? {}
  if (state === undefined) return { ...NOTHING, attempts }
  const { backfill, done } = await committedWindows(connection, setup, state, { name: resource, hint })
  return {
    backfill,
    done: done.toSorted((a, b) => compareValues(a.start, b.start, hint)),
    cursor: cursorState(state, setup.source.name, resource, hint.cursorPath),
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

/** The hint of the cursor for one window. */
export function windowHint({ hint, range, lookback }: BackfillPlan, { start, end }: CursorRange): IncrementalHint {
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
