import type { JsonValue } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import { compareRanks, cursorRank } from '../../model/cursors/cursorOrder.js'
import { type CursorRange, cursorText } from '../../model/cursors/cursorRange.js'
import { parseInstant } from '../../model/cursors/instant.js'
import { ConfigError } from '../../model/errors.js'
import { durationMs } from '../../model/expectations.js'
import type { WindowOrder } from '../../model/source.js'
import { type LagUnit, lagUnit, shiftCursor } from '../run/incremental/lag.js'
import { ALL_SHARES, type Cut } from '../run/incremental/partitions.js'

/** More windows are a mistake in the step. */
const MOST_WINDOWS = 100_000

/** A width of windows in the cursor's own unit: days of a date, seconds of a time, or an amount of a number. */
export interface Step {
  readonly amount: number
  readonly unit: LagUnit | undefined
}

/**
 * The step for a cursor with such values. Fails with a ConfigError if the cursor cannot take it. `where`: the option or
 * key that holds the step, for messages.
 */
export function stepOf(width: string | number, value: JsonValue, where: string): Step {
  const fail = (message: string): ConfigError => new ConfigError([{ place: { path: where }, message }])
  const unit = lagUnit(value)
  if (unit === undefined) {
    const amount = typeof width === 'number' ? width : Number(width)
    if (!isNumeric(value)) {
      throw fail(
        `the cursor value ${JSON.stringify(value)} is neither a number nor an ISO time, so nothing can cut its range`,
      )
    }
    if (!(amount > 0))
      throw fail(`is ${width}, and the cursor counts in numbers; expected an amount above 0, as in 10000`)
    if (!Number.isInteger(amount)) throw fail(`is ${width}; expected a whole number`)
    return { amount, unit }
  }
  const ms = typeof width === 'string' ? durationMs(width) : undefined
  if (ms === undefined || ms <= 0)
    throw fail(
      `is ${width}, and the cursor is a time; expected a duration such as P7D or PT6H, without months and years`,
    )
  const amount = ms / (unit === 'days' ? 86_400_000 : 1000)
  if (!Number.isInteger(amount))
    throw fail(`is ${width}; the cursor counts whole ${unit}, so that a step has at least one`)
  return { amount, unit }
}

function isNumeric(value: JsonValue): boolean {
  return cursorRank(value).kind === 'number'
}

/** Values of partitions have an order too, although none that means anything. */
export function compareValues(a: JsonValue, b: JsonValue, cut: Cut): number {
  if (cut.by === 'values') return compareTexts(stringifyJson(a), stringifyJson(b))
  const order = compareRanks(cursorRank(a), cursorRank(b))
  if (order !== undefined) return order
  const message = `${JSON.stringify(a)} and ${JSON.stringify(b)} cannot be compared; give both ends the form of the cursor's values`
  throw new ConfigError([{ place: { path: cut.path }, message }])
}

/** The value moved by so many steps. It keeps its layout, its time zone and the digits of a second. */
export function moved(value: JsonValue, steps: number, { amount, unit }: Step, where: string): JsonValue {
  const shifted = shiftCursor(value, Math.abs(steps) * amount, steps < 0 ? 'back' : 'forward', where, unit)
  if (unit !== 'seconds' || typeof value !== 'string' || typeof shifted !== 'string') return shifted
  const [fraction] = FRACTION.exec(value) ?? []
  return fraction === undefined ? shifted : shifted.replace(FRACTION, fraction)
}

const FRACTION = /(?<=:\d\d)[.,]\d+/

/** The present in the layout of `from`, rounded down. Undefined if `from` is no time. */
export function presentLike(from: JsonValue, nowMs: number, where: string): JsonValue | undefined {
  const unit = lagUnit(from)
  const instant = typeof from === 'string' && unit !== undefined ? parseInstant(from) : undefined
  if (instant === undefined || unit === undefined) return undefined
  const seconds = Math.floor(nowMs / 1000) - instant.seconds
  const amount = unit === 'days' ? Math.floor(seconds / 86_400) : seconds
  return shiftCursor(from, Math.abs(amount), amount < 0 ? 'back' : 'forward', where, unit)
}

function compareTexts(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

export function doOverlap(a: CursorRange, b: CursorRange, cut: Cut): boolean {
  if (cut.by === 'values') return compareValues(a.start, b.start, cut) === 0
  return compareValues(a.start, b.end, cut) < 0 && compareValues(b.start, a.end, cut) < 0
}

/** The parts of a range that `done` does not cover, in order. */
export function missingRanges(range: CursorRange, done: readonly CursorRange[], cut: Cut): CursorRange[] {
  const compare = (a: JsonValue, b: JsonValue): number => compareValues(a, b, cut)
  if (cut.by === 'values') return done.some(one => doOverlap(one, range, cut)) ? [] : [range]
  const missing: CursorRange[] = []
  let { start } = range
  for (const one of [...done].sort((a, b) => compare(a.start, b.start))) {
    if (compare(start, range.end) >= 0) return missing
    if (compare(one.start, start) > 0)
      missing.push({ start, end: compare(one.start, range.end) < 0 ? one.start : range.end })
    if (compare(one.end, start) > 0) start = one.end
  }
  if (compare(start, range.end) < 0) missing.push({ start, end: range.end })
  return missing
}

/**
 * Cuts the parts of a range that are missing into windows, in the order to load them. Windows begin at whole steps from
 * the start of the range, so that they are the same whenever the backfill goes on. Fails with a ConfigError if there
 * would be too many.
 */
export function windowsOf(
  range: CursorRange,
  missing: readonly CursorRange[],
  {
    step,
    order,
    cut,
    where,
  }: { readonly step: Step; readonly order: WindowOrder; readonly cut: Cut; readonly where: string },
): readonly CursorRange[] {
  if (spanOf(range, step.unit) / step.amount > MOST_WINDOWS) {
    const message = `cuts the range from ${cursorText(range.start)} to ${cursorText(range.end)} into more than ${MOST_WINDOWS} windows; make it larger`
    throw new ConfigError([{ place: { path: where }, message }])
  }
  const compare = (a: JsonValue, b: JsonValue): number => compareValues(a, b, cut)
  const windows: CursorRange[] = []
  let { start: next } = range
  let grid = 0
  for (const part of missing) {
    let { start } = part
    while (compare(start, part.end) < 0) {
      while (compare(next, start) <= 0) {
        grid += 1
        next = moved(range.start, grid, step, where)
      }
      const end = compare(next, part.end) < 0 ? next : part.end
      windows.push({ start, end })
      start = end
    }
  }
  return order === 'newest_first' ? windows.reverse() : windows
}

/** Cuts the parts that are missing of all shares of the parents into slices. */
export function slicesOf(missing: readonly CursorRange[], slices: number): readonly CursorRange[] {
  const edges = Array.from({ length: slices }, (_, slice) => Math.round((slice * ALL_SHARES) / slices))
  return missing.flatMap(part => {
    const [start, end] = [Number(part.start), Number(part.end)]
    const starts = [start, ...edges.filter(edge => edge > start && edge < end)]
    return starts.map((from, place) => ({ start: from, end: starts[place + 1] ?? end }))
  })
}

/** The two halves of a range. Undefined if it has but one step of the smallest unit. */
export function halves(
  { start, end }: CursorRange,
  unit: LagUnit | undefined,
  where: string,
): readonly [CursorRange, CursorRange] | undefined {
  const span = spanOf({ start, end }, unit)
  if (span < 2) return undefined
  const middle = moved(start, 1, { amount: Math.floor(span / 2), unit }, where)
  return [
    { start, end: middle },
    { start: middle, end },
  ]
}

/** The width of a range in days, seconds or an amount. */
export function spanOf({ start, end }: CursorRange, unit: LagUnit | undefined): number {
  if (unit === undefined) return Number(end) - Number(start)
  const [from = 0, to = 0] = [start, end].map(value => parseInstant(String(value))?.seconds)
  return Math.floor((to - from) / (unit === 'days' ? 86_400 : 1))
}

/**
 * How far the ranges reach without a gap from a value on, and which of them lie before that point. The value itself if
 * none of them begins there.
 */
export function reachFrom<Range extends CursorRange>(
  start: JsonValue,
  ranges: readonly Range[],
  cut: Cut,
): { readonly end: JsonValue; readonly covered: readonly Range[] } {
  const covered: Range[] = []
  let end = start
  for (const range of [...ranges].sort((a, b) => compareValues(a.start, b.start, cut))) {
    if (compareValues(range.start, end, cut) > 0) break
    covered.push(range)
    if (compareValues(range.end, end, cut) > 0) end = range.end
  }
  return { end, covered }
}
