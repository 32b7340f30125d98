import type { JsonValue } from '../../../json/value.js'
import type { CursorState } from '../../../model/pipelineState.js'
import type { IncrementalWindow } from '../../../model/source.js'
import type { CursorTracker } from './incremental.js'

/** Follows a sync token. It drops no records, and moves only when a list that was read to its end gives a new token. */
export function trackToken(window: IncrementalWindow, stored: CursorState | undefined): CursorTracker {
  let token: JsonValue | undefined
  return {
    window,
    filter: records => ({ records, dropped: 0, beyond: false }),
    ended: end => {
      token = end.token ?? token
    },
    state() {
      if (token === undefined) return stored
      return { initial_value: null, last_value: token, unique_hashes: [], start_value: stored?.last_value ?? null }
    },
  }
}
