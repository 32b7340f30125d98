import { createHash } from 'node:crypto'
import { elements, skipSpace } from '../../json/bytes.js'
import type { ListEnd } from '../../model/source.js'
import { count } from '../../model/verdict.js'
import { declaredKeys } from '../evidence/declaredKeys.js'
import { because } from '../evidence/evidence.js'
import { recordKeys } from '../evidence/recordKeys.js'
import { recordsWhere, type Selection } from './answer/selector.js'
import type { ListReader } from './listReader.js'
import type { Ended } from './listWalk.js'

/** Most records that a list may have to be read from its start again. Each takes some 60 bytes of memory. */
const MOST_RECORDS = 1_000_000

/**
 * Reads a list from its start again, as the response action `reset_pagination` asks, and delivers no record twice. A
 * record is known by its primary key. With a cursor, a version of it that changed in between is new: otherwise the
 * cursor would move past that change.
 */
export class Restart {
  readonly #primaryKey: readonly string[]
  readonly #takesChanges: boolean
  readonly #known = new Map<number, Set<string>>()
  readonly #cameAgain = new Set<number>()
  #records = 0
  /** Why records cannot be told apart. */
  #problem: string | undefined

  private constructor(primaryKey: readonly string[], takesChanges: boolean) {
    this.#primaryKey = primaryKey
    this.#takesChanges = takesChanges
  }

  /** Undefined if no response action can ask for it. */
  static of({ resource }: ListReader): Restart | undefined {
    const { endpoint, incremental } = resource
    if (!endpoint.responseActions.some(({ action }) => action === 'reset_pagination')) return undefined
    return new Restart(declaredKeys(resource) ?? [], incremental !== undefined)
  }

  /** Why the list cannot be read again. Undefined: it can. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Remembers the records of a page of the first reading. */
  readonly note = (selection: Selection): Selection => {
    if (this.#problem !== undefined || selection.count === 0) return selection
    this.#records += selection.count
    if (this.#records > MOST_RECORDS) {
      this.#problem = `it has more than ${MOST_RECORDS} records, too many to recognise again`
      this.#known.clear()
      return selection
    }
    const spans = elements(selection.records, skipSpace(selection.records, 0))
    for (const [index, key] of this.#keys(selection).entries()) {
      const versions = this.#known.get(key) ?? new Set()
      this.#known.set(key, versions)
      const span = spans[index]
      if (this.#takesChanges && span !== undefined) versions.add(digest(selection.records, span.start, span.end))
    }
    return selection
  }

  /** The records of a page of the second reading that the first had not. */
  readonly fresh = (selection: Selection): Selection => {
    if (selection.count === 0) return selection
    const keys = this.#keys(selection)
    const { records } = selection
    return recordsWhere(selection, ({ start, end }, index) => {
      const key = keys[index]
      const versions = key === undefined ? undefined : this.#known.get(key)
      if (key === undefined || versions === undefined) return true
      this.#cameAgain.add(key)
      return this.#takesChanges && !versions.has(digest(records, start, end))
    })
  }

  #keys({ records, separators }: Selection): readonly number[] {
    const keys = recordKeys(records, this.#primaryKey, separators)
    if (keys?.by === 'declared') return [...keys.hashes]
    this.#problem ??= 'its records lack fields of `primary_key`, so they cannot be told apart'
    return []
  }

  /** How the list ended, by its second reading. */
  judge(first: Ended, { end, evidence }: Ended): ListEnd {
    const gone = this.#known.size - this.#cameAgain.size
    const reason = `${first.end.reason}; ${end.reason}`
    if (end.end !== 'proven') return { ...end, reason }
    if (this.#problem !== undefined)
      return { ...because('reset', first.reset ?? ''), reason: `${first.end.reason}; ${this.#problem}` }
    if (gone > 0)
      return {
        ...first.end,
        reason: `${first.end.reason}; ${count(gone, 'record')} of the first reading did not come again`,
      }
    return { ...end, reason, distinct: evidence.records }
  }
}

function digest(bytes: Uint8Array, start: number, end: number): string {
  return createHash('sha256').update(bytes.subarray(start, end)).digest('base64url').slice(0, 16)
}
