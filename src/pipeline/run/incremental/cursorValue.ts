import { type JsonValue, numberLiteral, setNumberLiteral } from '../../../json/value.js'
import { type CursorRank, compareRanks, cursorRank } from '../../../model/cursors/cursorOrder.js'
import { DataError, shortened } from '../../../model/errors.js'
import type { CursorState } from '../../../model/pipelineState.js'
import type { IncrementalHint, IncrementalWindow } from '../../../model/source.js'
import { lagUnit, shiftCursor } from './lag.js'

/** A cursor value with its digits as the API wrote them. */
export interface Cursor {
  readonly value: JsonValue
  readonly literal: string | undefined
  readonly rank: CursorRank
}

/** The value under `key`, parsed for comparison. Undefined if there is none. */
export function cursorAt<Key extends string>(
  holder: { readonly [key in Key]?: JsonValue | undefined },
  key: Key,
): Cursor | undefined {
  const value = holder[key]
  return value === undefined || value === null ? undefined : cursorFrom(value, numberLiteral(holder, key))
}

/** `literal`: the digits of a number as the API wrote them. */
export function cursorFrom(value: JsonValue, literal: string | undefined): Cursor {
  return { value, literal, rank: cursorRank(value, literal) }
}

/** Freezes the window from the committed state, after dlt's rules (lag never crosses the initial value). */
export function openWindow(hint: IncrementalHint, stored: CursorState | undefined): IncrementalWindow {
  const initial = cursorAt(hint, 'initialValue')
  const last = hint.endValue === undefined && stored !== undefined ? cursorAt(stored, 'last_value') : undefined
  const start = lagged(hint, last ?? initial, initial)
  const window: IncrementalWindow = {
    cursorPath: hint.cursorPath,
    initialValue: initial?.value,
    startValue: start?.value,
    lastValue: start?.value,
    endValue: hint.endValue,
    lag: hint.lag,
  }
  setNumberLiteral(window, 'initialValue', initial?.literal)
  setNumberLiteral(window, 'startValue', start?.literal)
  setNumberLiteral(window, 'lastValue', start?.literal)
  setNumberLiteral(window, 'endValue', numberLiteral(hint, 'endValue'))
  return window
}

function lagged(hint: IncrementalHint, last: Cursor | undefined, initial: Cursor | undefined): Cursor | undefined {
  if (hint.lag === undefined || hint.lag === 0 || last === undefined || hint.endValue !== undefined) return last
  const direction = hint.lastValueFunc === 'max' ? 'back' : 'forward'
  const moved = cursorFrom(
    shiftCursor(last.value, hint.lag, direction, hint.path, lagUnit(hint.initialValue)),
    undefined,
  )
  return initial !== undefined && isBefore(hint, moved, initial) ? initial : moved
}

/** Whether a comparison result is further along the cursor: greater for `max`, smaller for `min`. */
export function isAfter(hint: IncrementalHint, order: number): boolean {
  return hint.lastValueFunc === 'max' ? order > 0 : order < 0
}

/** Whether the last value of a cursor is further along than that of another state of it. */
export function isBeyond(hint: IncrementalHint, moved: CursorState, there: CursorState): boolean {
  const [value, other] = [cursorAt(moved, 'last_value'), cursorAt(there, 'last_value')]
  if (value === undefined) return false
  if (hint.isToken === true) return value.value !== other?.value
  return other === undefined || isAfter(hint, compareCursors(value, other, hint))
}

function isBefore(hint: IncrementalHint, a: Cursor, b: Cursor): boolean {
  const order = compareCursors(a, b, hint)
  return order !== 0 && !isAfter(hint, order)
}

/** Negative, 0 or positive, as of `sort`. Throws a DataError where the two cannot be compared. */
export function compareCursors(a: Cursor, b: Cursor, hint: IncrementalHint): number {
  const order = compareRanks(a.rank, b.rank)
  if (order !== undefined) return order
  throw new DataError(
    'incremental_cursor',
    `${hint.path}.cursor_path: "${hint.cursorPath}" has the value ${shown(a.value)}, which cannot be compared with ${shown(b.value)}. Give initial_value and end_value the type that the API sends.`,
    { path: `${hint.path}.cursor_path` },
  )
}

function shown(value: JsonValue): string {
  return typeof value === 'string' ? JSON.stringify(shortened(value)) : `${shortened(String(value))} (${typeof value})`
}
