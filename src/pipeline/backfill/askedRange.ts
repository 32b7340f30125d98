import { parseJson } from '../../json/parse.js'
import { type JsonValue, numberLiteral, setNumberLiteral } from '../../json/value.js'
import { cursorRank } from '../../model/cursors/cursorOrder.js'
import { type CursorRange, cursorText } from '../../model/cursors/cursorRange.js'
import { parseInstant } from '../../model/cursors/instant.js'
import { ConfigError } from '../../model/errors.js'
import type { IncrementalHint, Resource, Source, WindowOrder } from '../../model/source.js'
import { didYouMean } from '../../model/texts/nearMiss.js'
import type { CheckOptions } from '../look/checkSource.js'
import type { Cut } from '../run/incremental/partitions.js'
import { parentOf } from '../run/plan/planResources.js'
import { namingOf } from '../run/prepare.js'
import type { PipelineSetup } from '../setup.js'
import { askedPartitions } from './askedPartitions.js'
import { dispositionIn, loadedTogether } from './loadedTogether.js'
import { compareValues, presentLike, type Step, stepOf } from './ranges.js'

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

/** A range of a resource, and how to cut it. */
export interface AskedRange {
  readonly resource: Resource
  readonly cut: Cut
  /** Both ends are null where values cut the list. */
  readonly range: CursorRange
  /** The values that are asked for, each once, in the order of the document. Empty where none cut the list. */
  readonly values: readonly JsonValue[]
  readonly step: Step
  readonly lookback: Step | undefined
  readonly order: WindowOrder
  /** The option or key that holds the step. */
  readonly where: string
}

/**
 * What to load, as options and document say. Rejects with a ConfigError if the resource cannot be cut. Only pages are
 * counted by asking the API.
 */
export async function askedRange(
  setup: PipelineSetup,
  name: string,
  options: WindowOptions & Pick<CheckOptions, 'signal' | 'onEvent'>,
): Promise<AskedRange> {
  const resource = resourceNamed(setup.source, name)
  refuseReplacedTable(setup, resource)
  if (resource.partition !== undefined) {
    refuseTogether(setup.source, resource)
    return { resource, ...(await askedPartitions(setup, resource, resource.partition, options)) }
  }
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
  return { resource, cut: hint, range, values: [], step, lookback, order, where }
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
      'has no cursor with an order, so that nothing cuts its list into windows; give it an `incremental` with a `cursor_path`, or a `partition`',
    )
  const at = `${hint.path}.`.slice(resource.path.length + 1)
  if (hint.isPerParent === true)
    throw refuse(
      at.slice(0, -1),
      'has a cursor for each record of its parent, and a backfill cuts one range for all; load it by runs',
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
  refuseTogether(source, resource)
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
  return hint
}

/** Fails if windows of the resource would take away rows of others, or read only new records of its parents. */
function refuseTogether(source: Source, resource: Resource): void {
  if (dispositionIn(resource).disposition === 'skip')
    throw wrong(
      `${resource.path}.write_disposition`,
      `is skip: no window would load anything (resource ${resource.name})`,
    )
  for (const one of loadedTogether(source, resource).resources) refuseDisposition(one)
  for (let above = parentOf(source, resource); above !== undefined; above = parentOf(source, above)) {
    if (above.incremental !== undefined)
      throw wrong(
        `${resource.path}.endpoint`,
        `its parent ${above.name} has a cursor of its own, so that older parents would not be read; backfill ${above.name} (resource ${resource.name})`,
      )
  }
}

/** Fails if a resource that is not loaded with the windows replaces a table of theirs, with each of its runs. */
function refuseReplacedTable(setup: PipelineSetup, resource: Resource): void {
  const { source } = setup
  const naming = namingOf(setup, undefined)
  const tableOf = ({ name, hints: { tableName = name } }: Resource): string | undefined =>
    typeof tableName === 'function' ? undefined : naming.tablesPath(tableName)
  const together = loadedTogether(source, resource).resources
  const tables = new Set(together.map(tableOf))
  for (const other of source.resources) {
    const table = tableOf(other)
    if (table === undefined || together.includes(other) || !tables.has(table)) continue
    if (dispositionIn(other).disposition !== 'replace') continue
    throw wrong(
      `${other.path}.write_disposition`,
      `is replace: each run of ${other.name} would take away the windows of ${resource.name}, as both fill table ${table}; give one of them another table_name`,
    )
  }
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
