import { eachElement, type Span } from '../../../json/bytes.js'
import { joinLists, joinRecords } from '../../../json/records.js'
import type { JsonValue } from '../../../json/value.js'
import { BoundaryHashes } from '../../../model/cursors/boundaryHashes.js'
import { isDoubtfulOrder } from '../../../model/cursors/cursorOrder.js'
import { shortened } from '../../../model/errors.js'
import type { CursorState } from '../../../model/pipelineState.js'
import type { IncrementalHint, IncrementalWindow, ListEnd } from '../../../model/source.js'
import { type Cursor, compareCursors, cursorAt, isAfter } from './cursorValue.js'
import { ListOrder } from './listOrder.js'
import { ReachedCursor } from './reachedCursor.js'
import { type Sighting, sightedRecords, textOf } from './sightedRecords.js'

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

/** A record that counts once another value of the cursor came, or its list ended. */
interface Waiting {
  readonly cursor: Cursor
  readonly text: Uint8Array
}

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
  const key = hint.primaryKey ?? primaryKey
  const isRemembered =
    hint.rangeStart === 'closed' &&
    (hint.endValue === undefined || hint.isWindow === true) &&
    (hint.lag === undefined || hint.lag === 0) &&
    !(key !== undefined && key.length === 0)
  const deduplicates = isRemembered && hint.endValue === undefined
  const startHashes = new BoundaryHashes(stored?.unique_hashes)
  const start = cursorAt(window, 'startValue')
  const end = cursorAt(window, 'endValue')
  let doubted = false

  const order = (a: Cursor, b: Cursor): number => {
    if (!doubted && isDoubtfulOrder(a.rank, b.rank)) {
      doubted = true
      doubtful(a.value, b.value)
    }
    return compareCursors(a, b, hint)
  }

  const records = sightedRecords(hint, key, order)
  const reached = new ReachedCursor(hint, stored, { records, order, isRemembered, hashes: startHashes })
  const listOrder = new ListOrder(hint)
  let keptAny = false
  let compared = 0
  let early = 0
  /** Kept records of this page that do not count yet. */
  let arrived: { readonly record: Sighting; readonly cursor: Cursor }[] = []
  /** Kept records with one value, the last one so far. */
  let waiting: Waiting[] = []
  let isHeldBack = false

  const keep = (record: Sighting): 'keep' | 'drop' | 'beyond' => {
    if (record.needed === null) return 'drop'
    const cursor = records.cursorOf(record)
    if (cursor === undefined) return hint.onCursorValueMissing === 'exclude' ? 'drop' : 'keep'
    listOrder.take(cursor)
    if (end !== undefined) {
      const toEnd = order(cursor, end)
      if (isAfter(hint, toEnd) || (toEnd === 0 && hint.rangeEnd === 'open'))
        return hint.rowOrder === 'asc' ? 'beyond' : 'drop'
    }
    const toStart = start === undefined ? undefined : order(cursor, start)
    if (start !== undefined && toStart !== undefined) {
      compared += 1
      if (toStart !== 0 && !isAfter(hint, toStart) && isFar(cursor, start)) early += 1
      const isOutside = toStart === 0 ? hint.rangeStart === 'open' : !isAfter(hint, toStart)
      if (isOutside) return hint.rowOrder === 'desc' ? 'beyond' : 'drop'
    }
    listOrder.sawInside()
    // Already loaded, but within the range: new records with the same value may follow.
    if (toStart === 0 && deduplicates && startHashes.has(records.hashOf(record))) return 'drop'
    if (holdsBack && listOrder.isOrdered) arrived.push({ record, cursor })
    else reached.advance(cursor, record)
    return 'keep'
  }

  /** Counts records, and returns their texts. */
  const count = (counted: readonly Waiting[]): readonly Uint8Array[] =>
    counted.map(({ cursor, text }) => {
      reached.advance(cursor, records.sight(text, 0))
      return text
    })

  /**
   * Counts what arrived on this page and before, but for the records with the last value. Returns records of earlier
   * pages that waited until now, and those of this page that wait.
   */
  const settle = (): { readonly released: readonly Uint8Array[]; readonly later: ReadonlySet<Span> } => {
    const last = arrived.at(-1)?.cursor
    if (last === undefined && !listOrder.isDisproved) return { released: [], later: new Set() }
    const isLast = ({ cursor }: { readonly cursor: Cursor }): boolean =>
      !listOrder.isDisproved && last !== undefined && compareCursors(cursor, last, hint) === 0
    const released = count(waiting.filter(one => !isLast(one)))
    waiting = waiting.filter(isLast)
    const later = arrived.filter(isLast)
    for (const { record, cursor } of arrived.filter(one => !isLast(one))) reached.advance(cursor, record)
    for (const { record, cursor } of later) waiting.push({ cursor, text: textOf(record) })
    return { released, later: new Set(later.map(({ record }) => record.span)) }
  }

  return {
    window,
    filter(page, { ordered }) {
      const kept: Span[] = []
      listOrder.beginPage(ordered)
      arrived = []
      let total = 0
      eachElement(page, 0, from => {
        const record = records.sight(page, from)
        total += 1
        const verdict = keep(record)
        if (verdict === 'keep') kept.push(record.span)
        else if (verdict === 'beyond') listOrder.sawBeyond()
        return record.span.end
      })
      listOrder.endPage()
      const { released, later } = settle()
      reached.release(page)
      const passed = later.size === 0 ? kept : kept.filter(span => !later.has(span))
      keptAny ||= passed.length + released.length > 0
      const dropped = total - passed.length
      const ofPage = dropped === 0 ? page : joinRecords(page, passed)
      return {
        records: released.length === 0 ? ofPage : joinLists(released, ofPage),
        dropped: dropped - released.length,
        beyond: listOrder.isBeyond,
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
    isOutOfOrder: () => listOrder.isDisproved,
    rest(isCut) {
      isHeldBack = isCut && waiting.length > 0
      const rest = isCut ? [] : count(waiting)
      waiting = []
      keptAny ||= rest.length > 0
      return rest.length === 0 ? undefined : joinLists(rest)
    },
    isHeldBack: () => isHeldBack,
    readOn: () =>
      listOrder.wasReadOn
        ? `${hint.path}.row_order: the list does not come in the order \`${hint.rowOrder}\`, so it was read on behind the first record out of range. Leave row_order out, or ask the API for that order`
        : undefined,
    seen: () => (keptAny ? reached.state() : undefined),
    stateBeforeLast() {
      // The last value of all is among those that were held back.
      if (holdsBack) return keptAny ? reached.state() : undefined
      return reached.stateBeforeLast()
    },
    state() {
      if (hint.endValue !== undefined) return undefined
      return stored !== undefined && !keptAny ? stored : reached.state()
    },
  }
}

/** A few records may lie before the start wherever an API rounds it. */
const MOST_EARLY = 5

/** APIs round times to days. */
const FAR_SECONDS = 86_400

function isFar({ rank }: Cursor, { rank: start }: Cursor): boolean {
  if (rank.kind !== 'instant' || start.kind !== 'instant') return true
  return Math.abs(rank.instant.seconds - start.instant.seconds) > FAR_SECONDS
}
