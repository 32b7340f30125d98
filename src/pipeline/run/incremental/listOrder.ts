import type { IncrementalHint } from '../../../model/source.js'
import { type Cursor, compareCursors, isAfter } from './cursorValue.js'

/** Holds the order in which records come against the one that the document says. */
export class ListOrder {
  readonly #hint: IncrementalHint
  #isOrdered = false
  /** Whether a record came behind another one as the document says. */
  #isProved = false
  #isDisproved = false
  #wasReadOn = false
  /** Of this page. */
  #sawOutside = false
  #previous: Cursor | undefined
  #isFirstOfPage = true

  constructor(hint: IncrementalHint) {
    this.#hint = hint
  }

  /** Whether the list of this page has an order that counts. */
  get isOrdered(): boolean {
    return this.#isOrdered
  }

  get isDisproved(): boolean {
    return this.#isDisproved
  }

  /** Whether the list was read on behind a record out of range, because it is not in order. */
  get wasReadOn(): boolean {
    return this.#wasReadOn
  }

  /** Whether no page after this one is needed. Until it is seen how the list is ordered, a record out of range proves nothing. */
  get isBeyond(): boolean {
    return this.#sawOutside && this.#isProved && !this.#isDisproved
  }

  beginPage(isOrdered: boolean): void {
    this.#isOrdered = isOrdered
    this.#sawOutside = false
    this.#isFirstOfPage = true
  }

  endPage(): void {
    this.#wasReadOn ||= this.#sawOutside && this.#isDisproved
  }

  /** Compares a record with the one before it. */
  take(cursor: Cursor): void {
    const { rowOrder } = this.#hint
    if (!this.#isOrdered || rowOrder === undefined) return
    const step = this.#previous === undefined ? 0 : compareCursors(cursor, this.#previous, this.#hint)
    const isStraight = step !== 0 && isAfter(this.#hint, step) === (rowOrder === 'asc')
    this.#isProved ||= isStraight
    // Where the newest come first, those that come in between move others to the next page, where they come again.
    this.#isDisproved ||= step !== 0 && !isStraight && (rowOrder === 'asc' || !this.#isFirstOfPage)
    this.#previous = cursor
    this.#isFirstOfPage = false
  }

  /** A record lies inside the range. One outside of it may not come before. */
  sawInside(): void {
    this.#isDisproved ||= this.#sawOutside
  }

  /** A record lies behind the end of the range. */
  sawBeyond(): void {
    this.#sawOutside = this.#isOrdered
  }
}
