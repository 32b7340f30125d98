import { type JsonValue, numberLiteral, setNumberLiteral } from '../../../json/value.js'
import { BoundaryHashes } from '../../../model/cursors/boundaryHashes.js'
import type { CursorState } from '../../../model/pipelineState.js'
import type { IncrementalHint } from '../../../model/source.js'
import { type Cursor, cursorAt, isAfter } from './cursorValue.js'
import { type SightedRecords, type Sighting, textOf } from './sightedRecords.js'

/** Never added to. */
const NO_HASHES = new BoundaryHashes()

export interface ReachedCursorOptions {
  readonly records: SightedRecords
  readonly order: (a: Cursor, b: Cursor) => number
  /** Whether the records at the newest value are remembered, so that the next run leaves them out. */
  readonly isRemembered: boolean
  /** The hashes of the records at the value where the run starts. */
  readonly hashes: BoundaryHashes
}

/** How far a cursor has come: its newest value, and the records that have it. */
export class ReachedCursor {
  readonly #hint: IncrementalHint
  readonly #stored: CursorState | undefined
  readonly #options: ReachedCursorOptions
  readonly #initial: Cursor | undefined
  readonly #began: Cursor | undefined
  #last: Cursor | undefined
  /** The furthest kept value but one. */
  #beforeLast: Cursor | undefined
  #hasAdvanced = false
  #hashes: BoundaryHashes
  /** The first record at the newest value. Most are passed at once, and need no hash. */
  #unhashed: Sighting | undefined

  constructor(hint: IncrementalHint, stored: CursorState | undefined, options: ReachedCursorOptions) {
    this.#hint = hint
    this.#stored = stored
    this.#options = options
    this.#initial = cursorAt(hint, 'initialValue')
    const last = hint.endValue === undefined && stored !== undefined ? cursorAt(stored, 'last_value') : undefined
    this.#last = last ?? this.#initial
    this.#began = this.#last
    this.#hashes = options.hashes.copy()
  }

  /** Counts a kept record. */
  advance(cursor: Cursor, record: Sighting): void {
    const { records, order, isRemembered } = this.#options
    const toLast = this.#last === undefined ? undefined : order(cursor, this.#last)
    if (toLast === undefined || isAfter(this.#hint, toLast)) {
      if (this.#hasAdvanced) this.#beforeLast = this.#last
      this.#hasAdvanced = true
      this.#last = cursor
      this.#hashes = NO_HASHES
      this.#unhashed = isRemembered ? records.identified(record) : undefined
    } else if (toLast === 0 && isRemembered) {
      this.#hashes = this.#hashed()
      this.#hashes.add(records.hashOf(record))
    }
  }

  /** Keeps what it needs of a page whose bytes will be reused. */
  release(page: Uint8Array): void {
    if (this.#unhashed?.bytes === page) this.#unhashed = this.#options.records.sight(textOf(this.#unhashed), 0)
  }

  /** The state with the newest value. */
  state(): CursorState {
    return this.#stateAt(this.#last, this.#allHashes())
  }

  /** The state with the value before the newest. Undefined if no record with such a value was kept. */
  stateBeforeLast(): CursorState | undefined {
    return this.#beforeLast === undefined ? undefined : this.#stateAt(this.#beforeLast, [])
  }

  #allHashes(): readonly string[] {
    this.#hashes = this.#hashed()
    return this.#hashes.toJson()
  }

  /** The hashes of all records at the newest value. */
  #hashed(): BoundaryHashes {
    if (this.#unhashed === undefined) return this.#hashes === NO_HASHES ? new BoundaryHashes() : this.#hashes
    const first = new BoundaryHashes()
    first.add(this.#options.records.hashOf(this.#unhashed))
    this.#unhashed = undefined
    return first
  }

  #stateAt(reached: Cursor | undefined, hashes: readonly string[]): CursorState {
    const stored = this.#stored
    const initial: JsonValue | undefined = stored === undefined ? this.#hint.initialValue : stored.initial_value
    const state: CursorState = {
      initial_value: initial ?? null,
      last_value: reached?.value ?? null,
      unique_hashes: hashes,
      start_value: this.#began?.value ?? null,
    }
    const first = stored === undefined ? this.#initial?.literal : numberLiteral(stored, 'initial_value')
    setNumberLiteral(state, 'initial_value', first)
    setNumberLiteral(state, 'last_value', reached?.literal)
    setNumberLiteral(state, 'start_value', this.#began?.literal)
    return state
  }
}
