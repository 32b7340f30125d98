import { eachElement, kindAt, memberReader, type Span, skipValue, valueAt } from '../../../json/bytes.js'
import { compilePath, type JsonPath, type PathMatch } from '../../../json/path.js'
import { joinLists, joinRecords } from '../../../json/records.js'
import { type JsonObject, type JsonValue, numberLiteral, setNumberLiteral } from '../../../json/value.js'
import { BoundaryHashes, dedupHash } from '../../../model/cursors/boundaryHashes.js'
import { type CursorRank, compareRanks, cursorRank, isDoubtfulOrder } from '../../../model/cursors/cursorOrder.js'
import { DataError, shortened } from '../../../model/errors.js'
import type { CursorState } from '../../../model/pipelineState.js'
import type { IncrementalHint, IncrementalWindow, ListEnd } from '../../../model/source.js'
import { lagUnit, shiftCursor } from './lag.js'

/** What a page kept of its records. */
interface Filtered {
  readonly records: Uint8Array
  readonly dropped: number
  /** A record lies beyond the end of an ordered list. No page after this one is needed. */
  readonly beyond: boolean
}

/**
 * Follows one cursor through a run. Drops records outside the window, and records at its start that an earlier run has
 * loaded. Remembers the last value. The window is frozen when the run starts: it is the same for every page and every
 * parent.
 */
export interface CursorTracker {
  readonly window: IncrementalWindow
  filter(records: Uint8Array, options: { readonly ordered: boolean }): Filtered
  /** Called when a list has ended, for cursors that answers give. */
  ended?(end: ListEnd): void
  /**
   * State to commit. The stored one if no record was kept, so that a run without new records commits nothing. Undefined
   * if the window has an end: such a run is stateless.
   */
  state(): CursorState | undefined
  /** State to commit if the last value is not to count. Undefined if no record with a value before it was kept. */
  stateBeforeLast?(): CursorState | undefined
  /**
   * The records that were held back, once the list has ended. None if it was cut: the next run asks for them, and for
   * others with their value.
   */
  rest?(isCut: boolean): Uint8Array | undefined
  /** Whether the list was cut and records were held back, which are not loaded. Of a sync token: whether no list gave a new one. */
  isHeldBack?(): boolean
  /** What to say if the API seems to send records whatever start it is asked for. */
  startIgnored?(): string | undefined
  /** Whether the list was seen not to come in the order that the document says. */
  isOutOfOrder?(): boolean
  /** What to say if the list was read on behind a record out of range, because it is not in order. */
  readOn?(): string | undefined
  /** For one window of a backfill: the cursor after its newest record. Undefined if none was kept. */
  seen?(): CursorState | undefined
}

/** A cursor value with its digits as the API wrote them. */
interface Cursor {
  readonly value: JsonValue
  readonly literal: string | undefined
  readonly rank: CursorRank
}

/** The value under `key`, parsed for comparison. Undefined if there is none. */
function cursorAt<Key extends string>(
  holder: { readonly [key in Key]?: JsonValue | undefined },
  key: Key,
): Cursor | undefined {
  const value = holder[key]
  return value === undefined || value === null ? undefined : cursorFrom(value, numberLiteral(holder, key))
}

function cursorFrom(value: JsonValue, literal: string | undefined): Cursor {
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

/** A record of a page, of which only what the cursor and its key need has been read. */
interface Sighting {
  readonly needed: JsonValue
  readonly bytes: Uint8Array
  readonly span: Span
}

/** A record that counts once another value of the cursor came, or its list ended. */
interface Waiting {
  readonly cursor: Cursor
  readonly text: Uint8Array
}

/** Never added to. */
const NO_HASHES = new BoundaryHashes()

/** Called with two cursor values whose order may differ from the order of what they mean. */
type DoubtfulOrder = (value: JsonValue, other: JsonValue) => void

export interface TrackOptions {
  readonly primaryKey?: readonly string[] | undefined
  readonly doubtful?: DoubtfulOrder
  /**
   * Of a list in the order of the cursor, the records with the last value wait until another value comes. Where the list
   * is cut, more of them may follow, and a cursor at their value could leave those out.
   */
  readonly holdsBack?: boolean
}

export function trackCursor(
  hint: IncrementalHint,
  window: IncrementalWindow,
  stored: CursorState | undefined,
  { primaryKey, doubtful = () => {}, holdsBack = false }: TrackOptions = {},
): CursorTracker {
  const path = compilePath(hint.cursorPath)
  const key = hint.primaryKey ?? primaryKey
  const sight = sightings(path, hint.cursorPath, key)
  const isRemembered =
    hint.rangeStart === 'closed' &&
    (hint.endValue === undefined || hint.isWindow === true) &&
    (hint.lag === undefined || hint.lag === 0) &&
    !(key !== undefined && key.length === 0)
  const deduplicates = isRemembered && hint.endValue === undefined
  const startHashes = new BoundaryHashes(stored?.unique_hashes)
  const initial = cursorAt(hint, 'initialValue')
  const start = cursorAt(window, 'startValue')
  const end = cursorAt(window, 'endValue')
  let last =
    (hint.endValue === undefined && stored !== undefined ? cursorAt(stored, 'last_value') : undefined) ?? initial
  const began = last
  /** The furthest kept value but one. */
  let beforeLast: Cursor | undefined
  let hasAdvanced = false
  let keptAny = false
  let hashes = startHashes.copy()
  /** The first record at the newest value. Most are passed at once, and need no hash. */
  let unhashed: Sighting | undefined
  let doubted = false
  let compared = 0
  let early = 0
  let isOrdered = false
  let isDisproved = false
  let wasReadOn = false
  /** Whether a record came behind another one as the document says. */
  let isProved = false
  /** Of this page. */
  let sawOutside = false
  let previous: Cursor | undefined
  let isFirstOfPage = true
  /** Kept records of this page that do not count yet. */
  let arrived: { readonly record: Sighting; readonly cursor: Cursor }[] = []
  /** Kept records with one value, the last one so far. */
  let waiting: Waiting[] = []
  let isHeldBack = false

  const order = (a: Cursor, b: Cursor): number => {
    if (!doubted && isDoubtfulOrder(a.rank, b.rank)) {
      doubted = true
      doubtful(a.value, b.value)
    }
    return compareCursors(a, b, hint)
  }

  /** Compares the order of the list with that of the document. */
  const takeOrder = (cursor: Cursor): void => {
    const step = previous === undefined ? 0 : compareCursors(cursor, previous, hint)
    const isStraight = step !== 0 && isAfter(hint, step) === (hint.rowOrder === 'asc')
    isProved ||= isStraight
    // Where the newest come first, those that come in between move others to the next page, where they come again.
    isDisproved ||= step !== 0 && !isStraight && (hint.rowOrder === 'asc' || !isFirstOfPage)
    previous = cursor
    isFirstOfPage = false
  }

  const keep = (record: Sighting): 'keep' | 'drop' | 'beyond' => {
    if (record.needed === null) return 'drop'
    const cursor = cursorOf(record)
    if (cursor === undefined) return hint.onCursorValueMissing === 'exclude' ? 'drop' : 'keep'
    if (isOrdered && hint.rowOrder !== undefined) takeOrder(cursor)
    if (end !== undefined) {
      const toEnd = order(cursor, end)
      if (isAfter(hint, toEnd) || (toEnd === 0 && hint.rangeEnd === 'open'))
        return hint.rowOrder === 'asc' ? 'beyond' : 'drop'
    }
    if (start !== undefined) {
      const toStart = order(cursor, start)
      compared += 1
      if (toStart !== 0 && !isAfter(hint, toStart) && isFar(cursor, start)) early += 1
      const isOutside = toStart === 0 ? hint.rangeStart === 'open' : !isAfter(hint, toStart)
      if (isOutside) return hint.rowOrder === 'desc' ? 'beyond' : 'drop'
      isDisproved ||= sawOutside
      // Already loaded, but within the range: new records with the same value may follow.
      if (toStart === 0 && deduplicates && startHashes.has(hashOf(record))) return 'drop'
    }
    isDisproved ||= sawOutside
    if (holdsBack && isOrdered) arrived.push({ record, cursor })
    else advance(cursor, record)
    return 'keep'
  }

  const advance = (cursor: Cursor, record: Sighting): void => {
    const toLast = last === undefined ? undefined : order(cursor, last)
    if (toLast === undefined || isAfter(hint, toLast)) {
      if (hasAdvanced) beforeLast = last
      hasAdvanced = true
      last = cursor
      hashes = NO_HASHES
      unhashed = isRemembered ? identified(record) : undefined
    } else if (toLast === 0 && isRemembered) {
      hashes = hashed()
      hashes.add(hashOf(record))
    }
  }

  /** Counts records, and returns their texts. */
  const count = (records: readonly Waiting[]): readonly Uint8Array[] =>
    records.map(({ cursor, text }) => {
      advance(cursor, sight(text, 0))
      return text
    })

  /**
   * Counts what arrived on this page and before, but for the records with the last value. Returns records of earlier
   * pages that waited until now, and those of this page that wait.
   */
  const settle = (): { readonly released: readonly Uint8Array[]; readonly later: ReadonlySet<Span> } => {
    const last = arrived.at(-1)?.cursor
    if (last === undefined && !isDisproved) return { released: [], later: new Set() }
    const isLast = ({ cursor }: { readonly cursor: Cursor }): boolean =>
      !isDisproved && last !== undefined && compareCursors(cursor, last, hint) === 0
    const released = count(waiting.filter(one => !isLast(one)))
    waiting = waiting.filter(isLast)
    const later = arrived.filter(isLast)
    for (const { record, cursor } of arrived.filter(one => !isLast(one))) advance(cursor, record)
    for (const { record, cursor } of later) waiting.push({ cursor, text: textOf(record) })
    return { released, later: new Set(later.map(({ record }) => record.span)) }
  }

  /** The hashes of all records at the newest value. */
  const hashed = (): BoundaryHashes => {
    if (unhashed === undefined) return hashes === NO_HASHES ? new BoundaryHashes() : hashes
    const first = new BoundaryHashes()
    first.add(hashOf(unhashed))
    unhashed = undefined
    return first
  }

  const cursorOf = (record: Sighting): Cursor | undefined => {
    const found = matchesOf(record.needed)
    const furthest = found.reduce<Cursor | undefined>((known, match) => {
      if (match.value === null) return known
      const cursor = cursorFrom(match.value, literalOf(match))
      return known === undefined || isAfter(hint, order(cursor, known)) ? cursor : known
    }, undefined)
    if (furthest !== undefined) return furthest
    if (hint.onCursorValueMissing !== 'raise') return undefined
    const why = found.length > 0 ? 'is null' : 'is missing'
    throw new DataError(
      'incremental_cursor',
      `${hint.path}.cursor_path: "${hint.cursorPath}" ${why} in a record with the keys ${keysOf(wholeOf(record))}. Fix the path, or set on_cursor_value_missing to "include" or "exclude".`,
      { path: `${hint.path}.cursor_path` },
    )
  }

  const matchesOf = (record: JsonValue): readonly PathMatch[] => {
    const value = plainKey(record, hint.cursorPath)
    return value === undefined ? path.find(record) : [{ value, container: record as JsonObject, key: hint.cursorPath }]
  }

  const identityOf = (record: Sighting): JsonValue => (key === undefined ? wholeOf(record) : keyOf(record, key))

  const hashOf = (record: Sighting): string => dedupHash(identityOf(record))

  /** Throws if the record has no key. */
  const identified = (record: Sighting): Sighting => {
    if (key !== undefined) keyOf(record, key)
    return record
  }

  const keyOf = (record: Sighting, names: string | readonly string[]): JsonValue => {
    if (typeof names !== 'string') return names.map(name => keyOf(record, name))
    const value = plainKey(record.needed, names)
    if (value !== undefined) return value
    throw new DataError(
      'primary_key',
      `${hint.path}: the primary key "${names}" is missing in a record with the keys ${keysOf(wholeOf(record))}. It tells apart records with equal cursor values; fix it, or set primary_key of the incremental to [].`,
      { path: hint.path },
    )
  }

  return {
    window,
    filter(records, { ordered }) {
      const kept: Span[] = []
      isOrdered = ordered
      sawOutside = false
      isFirstOfPage = true
      arrived = []
      let total = 0
      eachElement(records, 0, start => {
        const record = sight(records, start)
        total += 1
        const verdict = keep(record)
        if (verdict === 'keep') kept.push(record.span)
        else if (verdict === 'beyond') sawOutside = ordered
        return record.span.end
      })
      wasReadOn ||= sawOutside && isDisproved
      const { released, later } = settle()
      // The bytes of the page will be reused.
      if (unhashed?.bytes === records) unhashed = sight(textOf(unhashed), 0)
      const passed = later.size === 0 ? kept : kept.filter(span => !later.has(span))
      keptAny ||= passed.length + released.length > 0
      const dropped = total - passed.length
      const ofPage = dropped === 0 ? records : joinRecords(records, passed)
      return {
        records: released.length === 0 ? ofPage : joinLists(released, ofPage),
        dropped: dropped - released.length,
        // Until it is seen how the list is ordered, a first record out of range proves nothing.
        beyond: sawOutside && isProved && !isDisproved,
      }
    },
    startIgnored() {
      // Where the newest come first, the list is read on into older ones until it is seen how it is ordered.
      if (hint.sentAs === undefined || hint.rowOrder === 'desc' || early < MOST_EARLY || early * 2 < compared)
        return undefined
      const from = shortened(String(start?.value), 60)
      const far = start?.rank.kind === 'instant' ? 'more than a day ' : ''
      const side = hint.lastValueFunc === 'max' ? 'before' : 'after'
      return `${early} of ${compared} records lie ${far}${side} ${from}, which was sent as \`${hint.sentAs}\` (${hint.path}): the API seems to ignore the parameter, so every run reads the whole list. Look for its name in the API's documents`
    },
    isOutOfOrder: () => isDisproved,
    rest(isCut) {
      isHeldBack = isCut && waiting.length > 0
      const rest = isCut ? [] : count(waiting)
      waiting = []
      keptAny ||= rest.length > 0
      return rest.length === 0 ? undefined : joinLists(rest)
    },
    isHeldBack: () => isHeldBack,
    readOn: () =>
      wasReadOn
        ? `${hint.path}.row_order: the list does not come in the order \`${hint.rowOrder}\`, so it was read on behind the first record out of range. Leave row_order out, or ask the API for that order`
        : undefined,
    seen: () => (keptAny ? reached() : undefined),
    stateBeforeLast() {
      // The last value of all is among those that were held back.
      if (holdsBack) return keptAny ? reached() : undefined
      return beforeLast === undefined ? undefined : { ...reached(beforeLast), unique_hashes: [] }
    },
    state() {
      if (hint.endValue !== undefined) return undefined
      return stored !== undefined && !keptAny ? stored : reached()
    },
  }

  function reached(reachedValue = last): CursorState {
    hashes = hashed()
    const state: CursorState = {
      initial_value: (stored === undefined ? hint.initialValue : stored.initial_value) ?? null,
      last_value: reachedValue?.value ?? null,
      unique_hashes: hashes.toJson(),
      start_value: began?.value ?? null,
    }
    const first = stored === undefined ? initial?.literal : numberLiteral(stored, 'initial_value')
    setNumberLiteral(state, 'initial_value', first)
    setNumberLiteral(state, 'last_value', reachedValue?.literal)
    setNumberLiteral(state, 'start_value', began?.literal)
    return state
  }
}

/** Reads of the record at a place what the cursor and its key need: these members, where both are members by name. */
function sightings(
  path: JsonPath,
  cursorPath: string,
  key: string | readonly string[] | undefined,
): (bytes: Uint8Array, start: number) => Sighting {
  const whole = (bytes: Uint8Array, start: number): Sighting => {
    const span = { start, end: skipValue(bytes, start) }
    return { needed: valueAt(bytes, span), bytes, span }
  }
  const first = path.steps?.[0]
  if (typeof first !== 'string') return whole
  const readMembers = memberReader([cursorPath, first, ...(key === undefined ? [] : [key].flat())])
  return (bytes, start) => {
    if (kindAt(bytes, start) !== 'object') return whole(bytes, start)
    const { value, end } = readMembers(bytes, start)
    return { needed: value, bytes, span: { start, end } }
  }
}

function wholeOf({ bytes, span }: Sighting): JsonValue {
  return valueAt(bytes, span)
}

function textOf({ bytes, span }: Sighting): Uint8Array {
  return new Uint8Array(bytes.subarray(span.start, span.end))
}

function literalOf({ container, key }: PathMatch): string | undefined {
  return container === undefined || key === undefined ? undefined : numberLiteral(container, key)
}

function plainKey(record: JsonValue, key: string): JsonValue | undefined {
  if (record === null || typeof record !== 'object' || Array.isArray(record)) return undefined
  return Object.hasOwn(record, key) ? (record as JsonObject)[key] : undefined
}

function keysOf(record: JsonValue): string {
  return record !== null && typeof record === 'object'
    ? shortened(Object.keys(record).slice(0, 20).join(', '), 500)
    : typeof record
}

/** A few records may lie before the start wherever an API rounds it. */
const MOST_EARLY = 5

/** APIs round times to days. */
const FAR_SECONDS = 86_400

function isFar({ rank }: Cursor, { rank: start }: Cursor): boolean {
  if (rank.kind !== 'instant' || start.kind !== 'instant') return true
  return Math.abs(rank.instant.seconds - start.instant.seconds) > FAR_SECONDS
}

/** Whether a comparison result is further along the cursor: greater for `max`, smaller for `min`. */
function isAfter(hint: IncrementalHint, order: number): boolean {
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

function compareCursors(a: Cursor, b: Cursor, hint: IncrementalHint): number {
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
