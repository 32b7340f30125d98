import type { CursorRange } from '../../model/cursors/cursorRange.js'
import type { BackfillPlan } from './planBackfill.js'
import { halves, spanOf } from './ranges.js'

/** The windows that are still to load. Those that are wider than what the API takes are halved before they are tried. */
export class WindowQueue {
  readonly #plan: BackfillPlan
  readonly #waiting: CursorRange[]
  readonly #underway = new Set<CursorRange>()
  /** The width that windows have at most. Undefined: that of the plan. */
  #widest: number | undefined
  /** Of the last window that was loaded. */
  #loaded: number | undefined
  /** Width that the destination remembers. */
  #remembered: number | undefined
  /** Width of all windows that were loaded. */
  #width = 0
  /** Width of all windows that are waiting. */
  #waitingWidth: number

  constructor(plan: BackfillPlan, windows: readonly CursorRange[]) {
    this.#plan = plan
    this.#waiting = [...windows]
    this.#waitingWidth = this.#sumOf(windows)
    this.#remembered = plan.halved === undefined ? undefined : this.#widthOf(plan.halved)
    this.#widest = this.#remembered
  }

  /** Windows that are waiting, as far as is known. */
  get length(): number {
    return this.#waiting.length
  }

  /** Windows that are not loaded yet: waiting, or being read. */
  get left(): number {
    return this.#waiting.length + this.#underway.size
  }

  /** What is left, as a multiple of what was loaded. */
  get share(): number {
    return (this.#waitingWidth + this.#sumOf([...this.#underway])) / Math.max(this.#width, 1)
  }

  next(): CursorRange | undefined {
    for (;;) {
      const window = this.#waiting.shift()
      if (window === undefined) return undefined
      this.#waitingWidth -= this.#widthOf(window)
      const parts =
        this.#widest !== undefined && this.#widthOf(window) > this.#widest ? this.#halvesOf(window) : undefined
      if (parts !== undefined) {
        this.#wait(parts)
        continue
      }
      this.#underway.add(window)
      return window
    }
  }

  /** Nobody reads the window any longer. */
  ended(window: CursorRange): void {
    this.#underway.delete(window)
  }

  /** Puts the halves of a window into its place. Returns false if it is too small for that. */
  halve(window: CursorRange): boolean {
    const parts = this.#halvesOf(window)
    if (parts === undefined) {
      // This place is dense, and the others need not be as small.
      this.#widest = this.#loaded
      return false
    }
    this.#widest = Math.max(...parts.map(part => this.#widthOf(part)))
    this.ended(window)
    this.#wait(parts)
    return true
  }

  /** Takes parts of a window that others have loaded. */
  putBack(parts: readonly CursorRange[]): void {
    this.#wait(this.#plan.order === 'newest_first' ? parts.toReversed() : parts)
  }

  /** Returns whether the window is the first one that shows how wide windows may be. */
  loaded(window: CursorRange): boolean {
    const width = this.#widthOf(window)
    this.ended(window)
    this.#loaded = width
    this.#width += width
    const isNews =
      this.#plan.cut.by !== 'values' &&
      this.#widest === width &&
      (this.#remembered === undefined || width < this.#remembered)
    if (isNews) this.#remembered = width
    return isNews
  }

  #wait(windows: readonly CursorRange[]): void {
    this.#waiting.unshift(...windows)
    this.#waitingWidth += this.#sumOf(windows)
  }

  #sumOf(windows: readonly CursorRange[]): number {
    return windows.reduce((sum, window) => sum + this.#widthOf(window), 0)
  }

  /** In the unit of the cursor, in shares of the parents, or in values. */
  #widthOf(window: CursorRange): number {
    if (this.#plan.cut.by === 'values') return 1
    return spanOf(window, this.#plan.step.unit)
  }

  #halvesOf(window: CursorRange): readonly CursorRange[] | undefined {
    if (this.#plan.cut.by === 'values') return undefined
    const parts = halves(window, this.#plan.step.unit, this.#plan.cut.path)
    return this.#plan.order === 'newest_first' ? parts?.toReversed() : parts
  }
}
