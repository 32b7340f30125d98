import { isJsonObject, type JsonObject, keepNumberLiterals } from '../../../json/value.js'
import { DataError, shortened } from '../../../model/errors.js'
import {
  type CursorState,
  PARENT_CURSORS_KEY,
  type PipelineState,
  stateValue,
  withStateValue,
} from '../../../model/pipelineState.js'
import type { IncrementalHint, IncrementalWindow, Resource } from '../../../model/source.js'
import { isBeyond, openWindow } from './cursorValue.js'
import type { CursorTracker } from './incremental.js'
import { identityOf } from './parentIdentity.js'

/** By digest of the key of the parent's record. */
export type ParentCursors = Readonly<Record<string, CursorState>>

/** The stored cursors of the parents' records. */
export function parentCursors(state: PipelineState, source: string, { name, incremental }: Resource): ParentCursors {
  const stored = stateValue(state, PARENT_CURSORS_KEY, { source, resource: name })
  const cursors = isJsonObject(stored) ? stored[incremental?.cursorPath ?? ''] : undefined
  if (!isJsonObject(cursors)) return {}
  const entries = Object.entries(cursors).flatMap(([key, one]): [string, CursorState][] => {
    if (!isJsonObject(one)) return []
    const hashes = Array.isArray(one.unique_hashes) ? one.unique_hashes.map(String) : []
    const cursor = { ...one, unique_hashes: hashes }
    keepNumberLiterals(one, cursor)
    return [[key, cursor]]
  })
  return Object.fromEntries(entries)
}

/** The state with these cursors in place of those of the same records. The others stay. */
export function withParentCursors(
  state: PipelineState,
  source: string,
  resource: Resource,
  moved: ReadonlyMap<string, CursorState>,
): PipelineState {
  if (moved.size === 0) return state
  const place = { source, resource: resource.name }
  const stored = stateValue(state, PARENT_CURSORS_KEY, place)
  const path = resource.incremental?.cursorPath ?? ''
  const cursors = { ...parentCursors(state, source, resource), ...Object.fromEntries(moved) }
  const sorted = Object.fromEntries(Object.entries(cursors).sort(([one], [other]) => (one < other ? -1 : 1)))
  const all = { ...(isJsonObject(stored) ? stored : {}), [path]: sorted }
  return withStateValue(state, PARENT_CURSORS_KEY, all as unknown as JsonObject, place)
}

/** Follows a cursor for each record of the parent. A record that no run has met begins at the initial value. */
export class ParentCursorTracker implements CursorTracker {
  /** That of a record that no run has met. */
  readonly window: IncrementalWindow
  readonly #hint: IncrementalHint
  readonly #parent: Resource
  readonly #stored: ParentCursors
  readonly #track: (window: IncrementalWindow, stored: CursorState | undefined) => CursorTracker
  readonly #trackers = new Map<string, CursorTracker>()
  readonly #unread = new Set<string>()

  constructor(
    hint: IncrementalHint,
    parent: Resource,
    stored: ParentCursors,
    track: (window: IncrementalWindow, stored: CursorState | undefined) => CursorTracker,
  ) {
    this.#hint = hint
    this.#parent = parent
    this.#stored = stored
    this.#track = track
    this.window = openWindow(hint, undefined)
  }

  filter(): never {
    throw new TypeError('each list has a cursor of its own')
  }

  state(): undefined {
    return undefined
  }

  /** The cursor of a record of the parent. Fails if its key is missing. */
  of(parent: JsonObject): CursorTracker {
    const digest = this.#digest(parent)
    const known = this.#trackers.get(digest)
    if (known !== undefined) return known
    const stored = Object.hasOwn(this.#stored, digest) ? this.#stored[digest] : undefined
    const tracker = this.#track(openWindow(this.#hint, stored), stored)
    this.#trackers.set(digest, tracker)
    return tracker
  }

  readOn(): string | undefined {
    for (const tracker of this.#trackers.values()) {
      const message = tracker.readOn?.()
      if (message !== undefined) return message
    }
    return undefined
  }

  /** Takes note that records of the list of this record were not read. Its cursor waits. */
  wasCut(parent: JsonObject): void {
    this.#unread.add(this.#digest(parent))
  }

  /** The cursors that moved, by digest. `there`: those that are stored now; with `forward`, none moves back. */
  moved(there: ParentCursors, forward: boolean): ReadonlyMap<string, CursorState> {
    const states = new Map<string, CursorState>()
    for (const [digest, tracker] of this.#trackers) {
      const state = this.#unread.has(digest) ? undefined : tracker.state()
      const stored = Object.hasOwn(there, digest) ? there[digest] : undefined
      if (state === undefined || state === this.#stored[digest]) continue
      if (forward && stored !== undefined && (this.#hint.isToken === true || !isBeyond(this.#hint, state, stored)))
        continue
      states.set(digest, state)
    }
    return states
  }

  #digest(parent: JsonObject): string {
    const { name, hints } = this.#parent
    const digest = identityOf(parent, hints.primaryKey ?? [])
    if (digest !== undefined) return digest
    const keys = shortened(Object.keys(parent).slice(0, 20).join(', '), 500)
    throw new DataError(
      'primary_key',
      `${this.#hint.path}.per_parent: a record of ${name} has no value of its primary key ${(hints.primaryKey ?? []).join(', ')}; it has the keys ${keys}. Each record has a cursor by its key; fix the primary_key of ${name}, or leave per_parent out.`,
      { path: `${this.#hint.path}.per_parent` },
    )
  }
}
