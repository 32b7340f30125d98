import type { CursorRange } from '../../model/cursors/cursorRange.js'
import type { CursorState } from '../../model/pipelineState.js'
import { isBeyond } from '../run/incremental/cursorValue.js'
import { joinedEnds } from '../run/incremental/listParts.js'
import type { Cut } from '../run/incremental/partitions.js'
import { compareValues, doOverlap } from './ranges.js'

/** What the cursor needs to know of windows that are committed. */
export interface ReadRange extends CursorRange {
  /** The cursor after the newest record. Undefined if there were no records. */
  readonly cursor: CursorState | undefined
}

/**
 * Committed windows as ranges without gaps: those that meet or overlap are one. So they cost the same after ten windows
 * and after ten thousand, and only gaps make them more.
 */
export class CoveredRanges {
  readonly #cut: Cut
  /** In order. No two meet. */
  readonly #ranges: ReadRange[] = []

  constructor(cut: Cut) {
    this.#cut = cut
  }

  /** In the order of the cursor. */
  get all(): readonly ReadRange[] {
    return this.#ranges
  }

  /** Adding a window a second time changes nothing. */
  add(window: ReadRange): void {
    if (isEmpty(window, this.#cut)) return
    const first = this.#firstThat(range => compareValues(range.end, window.start, this.#cut) >= 0)
    const after = this.#firstThat(range => compareValues(range.start, window.end, this.#cut) > 0)
    const met = this.#ranges.slice(first, Math.max(first, after))
    this.#ranges.splice(first, met.length, this.#joined(window, met))
  }

  /** Those that hold a part of the range. */
  within(range: CursorRange): readonly ReadRange[] {
    if (this.#cut.by === 'values') return this.#ranges.filter(one => doOverlap(one, range, this.#cut))
    const first = this.#firstThat(one => compareValues(one.end, range.start, this.#cut) > 0)
    const after = this.#firstThat(one => compareValues(one.start, range.end, this.#cut) >= 0)
    return this.#ranges.slice(first, Math.max(first, after))
  }

  #joined(window: ReadRange, met: readonly ReadRange[]): ReadRange {
    const compare = (a: CursorRange, b: CursorRange): number => compareValues(a.start, b.start, this.#cut)
    return [...met, window].sort(compare).reduce((joined, next) => ({
      start: joined.start,
      end: compareValues(next.end, joined.end, this.#cut) > 0 ? next.end : joined.end,
      cursor: this.#cut.by === 'pages' ? this.#endsOf(joined, next) : newestOf(joined.cursor, next.cursor, this.#cut),
    }))
  }

  /** Of two ranges that meet or overlap. */
  #endsOf(earlier: ReadRange, later: ReadRange): CursorState {
    const last = compareValues(later.end, earlier.end, this.#cut) > 0 ? later : earlier
    return joinedEnds(earlier.cursor, last.cursor)
  }

  /** Where in the list the condition begins to hold. It holds for all ranges after that. */
  #firstThat(holds: (range: ReadRange) => boolean): number {
    let [low, high] = [0, this.#ranges.length]
    while (low < high) {
      const middle = (low + high) >> 1
      // `middle` is within the list.
      if (holds(this.#ranges[middle] as ReadRange)) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** Whether it covers nothing: a part of a list where no record was. */
export function isEmpty(range: CursorRange, cut: Cut): boolean {
  return cut.by === 'pages' && compareValues(range.start, range.end, cut) === 0
}

/** Of two equal ones the first. Partitions have none. */
export function newestOf(
  one: CursorState | undefined,
  other: CursorState | undefined,
  cut: Cut,
): CursorState | undefined {
  if (one === undefined || other === undefined || cut.by !== undefined) return one ?? other
  return isBeyond(cut, other, one) ? other : one
}
