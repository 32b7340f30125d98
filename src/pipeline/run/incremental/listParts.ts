import { elements, valueAt } from '../../../json/bytes.js'
import type { JsonObject, JsonValue } from '../../../json/value.js'
import { type CursorRange, rangeText } from '../../../model/cursors/cursorRange.js'
import { DataError } from '../../../model/errors.js'
import type { CursorState } from '../../../model/pipelineState.js'
import type { CountedList, Page, Resource } from '../../../model/source.js'
import { identityOf } from './parentIdentity.js'

/**
 * The records at both ends of a part of a list: the one just before its first place, and the one at its last place. So
 * two parts that meet have one in common. Every record stays on its side of that one as long as the order of the list
 * stays, and as many are before it. If it is the same record in both parts, nothing is lost or read twice between them.
 */
export class PartEnds {
  readonly #resource: Resource
  readonly #counted: CountedList
  readonly #range: { readonly start: number; readonly end: number }
  #first: string | undefined
  #last: string | undefined
  #end: number
  /** The record at the last place before `#end`. */
  #atEnd: string | undefined
  #fullestPage = 0

  constructor({ start, end }: CursorRange, resource: Resource, counted: CountedList) {
    this.#range = { start: Number(start), end: Number(end) }
    this.#end = this.#range.start
    this.#resource = resource
    this.#counted = counted
  }

  get range(): { readonly start: number; readonly end: number } {
    return this.#range
  }

  /** Pages in their order, each once. */
  take({ records, place, count }: Page): void {
    if (place === undefined || count === 0) return
    const { start, end } = this.#range
    const index = (at: number): number | undefined => {
      const from = at - place.at
      if (this.#counted.counts === 'pages') return from === 0 ? 0 : undefined
      return from >= 0 && from < count ? from : undefined
    }
    const [first, last] = [index(start - 1), index(end - 1)]
    if (first !== undefined) this.#first = this.#identity(records, first)
    if (last !== undefined) this.#last = this.#identity(records, last)
    const reached = Math.min(this.#settledAfter(place, count), end)
    if (reached > this.#end) {
      this.#end = reached
      const settled = index(reached - 1)
      this.#atEnd = settled === undefined ? undefined : this.#identity(records, settled)
    }
    this.#fullestPage = Math.max(this.#fullestPage, count)
  }

  /**
   * Up to where records can no longer come into the part. What had no records when it was read is behind it, and so is a
   * last page with room for more.
   */
  get read(): ReadPart {
    const { start } = this.#range
    const atEnd = this.#end > start ? this.#atEnd : this.#first
    return {
      start,
      end: this.#end,
      cursor: {
        ...(this.#first !== undefined && { initial_value: this.#first }),
        ...(atEnd !== undefined && { last_value: atEnd }),
        unique_hashes: [],
      },
    }
  }

  /** The place behind the last one that is filled for good once this page is read. */
  #settledAfter({ at, length }: Place, count: number): number {
    if (this.#counted.counts === 'records') return at + count
    const isFollowed = length !== undefined && at + 1 < length
    return isFollowed || (this.#fullestPage > 0 && count >= this.#fullestPage) ? at + 1 : at
  }

  /** Why records at the end of the part may be missing. Undefined: it had a record at its last place. */
  get shortened(): string | undefined {
    if (this.#last !== undefined) return undefined
    return `nothing is at place ${this.#range.end - 1} any more: the list has become shorter since it was counted, so that records may be in no part; \`sluice run\` reads the whole list`
  }

  #identity(records: Uint8Array, index: number): string {
    const { name, path, hints } = this.#resource
    const span = elements(records, 0)[index]
    const record = span === undefined ? undefined : (valueAt(records, span) as JsonObject)
    const identity = record === undefined ? undefined : identityOf(record, hints.primaryKey ?? [])
    if (identity !== undefined) return identity
    const message = `a record of ${name} has no value of its primary key ${(hints.primaryKey ?? []).join(', ')}, by which parts of the list are compared as the API gives them: name a key that is in its answers, and that no processing step makes`
    throw new DataError('placeholder', message, { resource: name, path })
  }
}

/** A part of a list as the ledger keeps it. Its ends are in the columns of a cursor. */
export interface ReadPart extends CursorRange {
  readonly cursor: CursorState
}

type Place = NonNullable<Page['place']>

/** What is known of two ranges of a list that meet, as one. */
export function joinedEnds(earlier: CursorState | undefined, later: CursorState | undefined): CursorState {
  const { initial_value: first } = earlier ?? {}
  const { last_value: last } = later ?? {}
  return {
    ...(first !== undefined && { initial_value: first }),
    ...(last !== undefined && { last_value: last }),
    unique_hashes: [],
  }
}

/** Parts that are committed and meet, as one. */
interface CommittedParts extends CursorRange {
  readonly cursor: CursorState | undefined
}

/** Why records at an end of a part may be missing: the list moved between this part and one beside it. Undefined: it did not. */
export function movedBeside(part: CommittedParts, committed: readonly CommittedParts[]): string | undefined {
  const isAt = (one: JsonValue, other: JsonValue): boolean => Number(one) === Number(other)
  const moved = committed.find(
    ({ start, end, cursor }) =>
      (isAt(end, part.start) && isOther(cursor?.last_value, part.cursor?.initial_value)) ||
      (isAt(start, part.end) && isOther(cursor?.initial_value, part.cursor?.last_value)),
  )
  if (moved === undefined) return undefined
  return `the list has moved since ${rangeText(moved)} was loaded: where the two parts meet is another record now, so that records may be in neither; \`sluice run\` reads the whole list`
}

function isOther(one: unknown, other: unknown): boolean {
  return one === undefined || one !== other
}
