import { BoundaryHashes } from '../core/boundaryHashes.js'
import { dedupHash } from '../core/digest.js'
import { DataError } from '../core/errors.js'
import type { JsonObject, JsonValue } from '../core/json.js'
import { elements, valueAt } from '../core/jsonBytes.js'
import { compilePath } from '../core/path.js'
import type { IncrementalHint, IncrementalWindow } from '../core/source.js'
import type { CursorState } from '../core/state.js'
import { shiftCursor } from './lag.js'
import { joinRecords } from './records.js'

/** What a page kept of its records. */
export interface Filtered {
  readonly records: Uint8Array
  readonly dropped: number
  /** A record lies beyond the end of an ordered list: nothing after this page is wanted. */
  readonly beyond: boolean
}

/**
 * Follows one cursor through a run: drops records outside the window, drops those at its start that an earlier run
 * has loaded, and remembers how far it came. The window is frozen when the run starts: the same for every page and
 * every parent.
 */
export interface CursorTracker {
  readonly window: IncrementalWindow
  filter(records: Uint8Array, options: { readonly ordered: boolean }): Filtered
  /**
   * State to commit: the stored one as long as no record was kept, so that a run without news commits nothing;
   * undefined where the window has an end, which makes a run stateless.
   */
  state(): CursorState | undefined
}

/** Freezes the window from the committed state, after dlt's rules (lag never crosses the initial value). */
export function openWindow(hint: IncrementalHint, stored: CursorState | undefined): IncrementalWindow {
  const initialValue = hint.initialValue ?? undefined
  const last = hint.endValue === undefined ? (stored?.last_value ?? initialValue) : initialValue
  const startValue = lagged(hint, last ?? undefined, initialValue)
  return {
    cursorPath: hint.cursorPath,
    initialValue,
    startValue,
    lastValue: startValue,
    endValue: hint.endValue,
    lag: hint.lag,
  }
}

function lagged(
  hint: IncrementalHint,
  last: JsonValue | undefined,
  initial: JsonValue | undefined,
): JsonValue | undefined {
  if (hint.lag === undefined || hint.lag === 0 || last === undefined || last === null || hint.endValue !== undefined)
    return last
  const moved = shiftCursor(last, hint.lag, hint.lastValueFunc === 'max' ? 'back' : 'forward', hint.path)
  return initial !== undefined && isBefore(hint, moved, initial) ? initial : moved
}

export function trackCursor(
  hint: IncrementalHint,
  window: IncrementalWindow,
  stored: CursorState | undefined,
  primaryKey: readonly string[] | undefined,
): CursorTracker {
  const path = compilePath(hint.cursorPath)
  const key = hint.primaryKey ?? primaryKey
  const deduplicates =
    hint.rangeStart === 'closed' &&
    hint.endValue === undefined &&
    (hint.lag === undefined || hint.lag === 0) &&
    !(key !== undefined && key.length === 0)
  const startHashes = new BoundaryHashes(stored?.unique_hashes)
  let last: JsonValue | undefined =
    hint.endValue === undefined ? (stored?.last_value ?? hint.initialValue) : hint.initialValue
  if (last === null) last = undefined
  const began = last
  let keptAny = false
  let hashes = startHashes.copy()

  const keep = (record: JsonValue): 'keep' | 'drop' | 'beyond' => {
    if (record === null) return 'drop'
    const value = cursorOf(record)
    if (value === undefined) return hint.onCursorValueMissing === 'exclude' ? 'drop' : 'keep'
    const { startValue: start, endValue: end } = window
    if (end !== undefined && end !== null) {
      const order = compareCursors(value, end, hint)
      if (isAfter(hint, order) || (order === 0 && hint.rangeEnd === 'open'))
        return hint.rowOrder === 'asc' ? 'beyond' : 'drop'
    }
    if (start !== undefined && start !== null) {
      const order = compareCursors(value, start, hint)
      if (order !== 0 && !isAfter(hint, order)) return hint.rowOrder === 'desc' ? 'beyond' : 'drop'
      if (order === 0) {
        const seen = hint.rangeStart === 'open' || (deduplicates && startHashes.has(hashOf(record)))
        if (seen) return hint.rowOrder === 'desc' ? 'beyond' : 'drop'
      }
    }
    advance(value, record)
    return 'keep'
  }

  const advance = (value: JsonValue, record: JsonValue): void => {
    const order = last === undefined ? undefined : compareCursors(value, last, hint)
    if (order === undefined || isAfter(hint, order)) {
      last = value
      hashes = new BoundaryHashes()
    } else if (order !== 0) return
    if (deduplicates) hashes.add(hashOf(record))
  }

  const cursorOf = (record: JsonValue): JsonValue | undefined => {
    const value = plainKey(record, hint.cursorPath) ?? path.matches(record)[0]
    if (value !== undefined && value !== null) return value
    if (hint.onCursorValueMissing !== 'raise') return undefined
    const why = value === null ? 'is null' : 'is missing'
    throw new DataError(
      'incremental_cursor',
      `${hint.path}.cursor_path: "${hint.cursorPath}" ${why} in a record with the keys ${keysOf(record)}. Mend the path, or set on_cursor_value_missing to "include" or "exclude".`,
      { path: `${hint.path}.cursor_path` },
    )
  }

  const hashOf = (record: JsonValue): string => dedupHash(key === undefined ? record : keyOf(record, key))

  const keyOf = (record: JsonValue, names: string | readonly string[]): JsonValue => {
    if (typeof names !== 'string') return names.map(name => keyOf(record, name))
    const value = plainKey(record, names)
    if (value !== undefined) return value
    throw new DataError(
      'primary_key',
      `${hint.path}: the primary key "${names}" is missing in a record with the keys ${keysOf(record)}. It tells apart records with equal cursor values; mend it, or set primary_key of the incremental to [].`,
      { path: hint.path },
    )
  }

  return {
    window,
    filter(records, { ordered }) {
      const kept: { start: number; end: number }[] = []
      let beyond = false
      let total = 0
      for (const span of elements(records, 0)) {
        total += 1
        const verdict = keep(valueAt(records, span))
        if (verdict === 'keep') kept.push(span)
        else if (verdict === 'beyond') beyond = ordered
      }
      keptAny ||= kept.length > 0
      const dropped = total - kept.length
      return { records: dropped === 0 ? records : joinRecords(records, kept), dropped, beyond }
    },
    state() {
      if (hint.endValue !== undefined) return undefined
      if (stored !== undefined && !keptAny) return stored
      return {
        initial_value: (stored === undefined ? hint.initialValue : stored.initial_value) ?? null,
        last_value: last ?? null,
        unique_hashes: hashes.toJson(),
        start_value: began ?? null,
      }
    },
  }
}

function plainKey(record: JsonValue, key: string): JsonValue | undefined {
  if (record === null || typeof record !== 'object' || Array.isArray(record)) return undefined
  return Object.hasOwn(record, key) ? (record as JsonObject)[key] : undefined
}

function keysOf(record: JsonValue): string {
  return record !== null && typeof record === 'object' ? Object.keys(record).slice(0, 20).join(', ') : typeof record
}

/** Whether a comparison result lies further along the cursor: greater for `max`, smaller for `min`. */
function isAfter(hint: IncrementalHint, order: number): boolean {
  return hint.lastValueFunc === 'max' ? order > 0 : order < 0
}

/** Whether a cursor value lies further along than another. */
export function isBeyond(hint: IncrementalHint, value: JsonValue | undefined, other: JsonValue): boolean {
  return value !== undefined && value !== null && isAfter(hint, compareCursors(value, other, hint))
}

function isBefore(hint: IncrementalHint, a: JsonValue, b: JsonValue): boolean {
  const order = compareCursors(a, b, hint)
  return order !== 0 && !isAfter(hint, order)
}

/** Numbers by value, text by code points, false before true, as Python does it. Other pairs cannot be compared. */
export function compareCursors(a: JsonValue, b: JsonValue, hint: Pick<IncrementalHint, 'path' | 'cursorPath'>): number {
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : a > b ? 1 : 0
  if (typeof a === 'string' && typeof b === 'string') return compareCodePoints(a, b)
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b)
  throw new DataError(
    'incremental_cursor',
    `${hint.path}.cursor_path: "${hint.cursorPath}" has the value ${shown(a)}, which cannot be compared with ${shown(b)}. Give initial_value and end_value the type that the API sends.`,
    { path: `${hint.path}.cursor_path` },
  )
}

function isNumber(value: JsonValue): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

function shown(value: JsonValue): string {
  return typeof value === 'string' ? JSON.stringify(value) : `${String(value)} (${typeof value})`
}

function compareCodePoints(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  let index = 0
  while (index < length && a.charCodeAt(index) === b.charCodeAt(index)) index += 1
  if (index === length) return a.length - b.length
  return rank(a.charCodeAt(index)) - rank(b.charCodeAt(index))
}

/** UTF-16 order differs from code point order only in that surrogates stand for code points above U+FFFF. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}
