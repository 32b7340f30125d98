import { keepNumberLiterals } from '../../json/value.js'
import type { CursorState } from '../../model/pipelineState.js'
import type { IncrementalHint } from '../../model/source.js'
import { isBeyond } from '../run/incremental/cursorValue.js'
import { newestOf, type ReadRange } from './coveredRanges.js'
import { compareValues, reachFrom } from './ranges.js'

/**
 * The cursor to store: after the newest record up to the first gap. dlt's rule: it moves only over what was loaded from
 * its start on. Undefined if that is not beyond the stored one.
 */
export function cursorReached(
  hint: IncrementalHint,
  windows: readonly ReadRange[],
  stored: CursorState | undefined,
): CursorState | undefined {
  const last = stored?.last_value ?? undefined
  const least = windows.map(({ start }) => start).reduce((a, b) => (compareValues(b, a, hint) < 0 ? b : a))
  const first = stored?.initial_value ?? last ?? hint.initialValue ?? least
  const run = last === undefined ? [] : [{ start: first, end: last, cursor: undefined }]
  const { covered } = reachFrom(first, [...run, ...windows], hint)
  const newest = covered.reduce<CursorState | undefined>((best, { cursor }) => newestOf(best, cursor, hint), undefined)
  if (newest === undefined || (stored !== undefined && !isBeyond(hint, newest, stored))) return undefined
  const cursor: CursorState = { ...newest, initial_value: first, start_value: last ?? first }
  keepNumberLiterals(newest as never, cursor)
  return cursor
}
