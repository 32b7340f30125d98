import type { ResourceNotes } from '../../model/source.js'
import type { EndpointResource } from '../document/model.js'
import { keyNames } from './declaredKeys.js'
import { recordKeys, textNumbers } from './recordKeys.js'
import { KeyTable } from './repetition.js'

/** Counts records of one list, as they become rows, whose key a record of another list had, with other values. */
export interface OtherLists {
  shared(records: Uint8Array, separators?: readonly number[]): number
}

/**
 * The records of all lists of a resource in this run, by their primary key. A key that is only unique below one parent
 * makes one row of many records. The same record may come in many lists. Memory is bounded. Undefined: the records are
 * no rows of one key each.
 */
export function otherLists({ hints }: EndpointResource, notes: ResourceNotes): OtherLists | undefined {
  const { writeDisposition, columns = [] } = hints
  const isMerged = writeDisposition?.disposition === 'merge' && writeDisposition.strategy !== 'scd2'
  const primaryKey = keyNames(hints)
  if (!isMerged || primaryKey.length === 0) return undefined
  // The document says which of several records with one key stays.
  if (columns.some(column => column.dedup_sort !== undefined)) return undefined
  const table = known.get(notes) ?? new KeyTable()
  known.set(notes, table)
  const own = new OwnKeys()
  return {
    shared(records, separators) {
      const keys = recordKeys(records, primaryKey, separators)
      if (keys?.by !== 'declared') return 0
      const texts = textNumbers(records)
      const { hashes } = keys
      const others = [...hashes.keys()].filter(index => {
        const hash = hashes[index] as number
        // The table keeps 32 bits beside each key.
        const text = (texts[index] ?? 0) >>> 0
        const before = table.add(hash, text)
        return before !== undefined && before !== text
      })
      return own.add(hashes, others)
    },
  }
}

/** The keys of one list, of which a set is made once one of them is asked for. Of a very long list only the first ones. */
class OwnKeys {
  readonly #pages: Float64Array[] = []
  #count = 0
  #known: Set<number> | undefined

  /**
   * Adds a page. Returns how many of the records at these rising places have a key that no earlier record of the list
   * has: what comes twice in one list says something else of it.
   */
  add(page: Float64Array, asked: readonly number[]): number {
    if (this.#known === undefined && asked.length === 0) {
      if (this.#hasRoom(page)) this.#pages.push(page)
      return 0
    }
    this.#known ??= new Set(this.#pages.flatMap(one => [...one]))
    const keys = this.#known
    const hasRoom = this.#hasRoom(page)
    let fresh = 0
    let next = 0
    for (const [index, hash] of page.entries()) {
      if (asked[next] === index) {
        next += 1
        if (!keys.has(hash)) fresh += 1
      }
      if (hasRoom) keys.add(hash)
    }
    return fresh
  }

  #hasRoom(page: Float64Array): boolean {
    if (this.#count + page.length > MOST_OWN_KEYS) return false
    this.#count += page.length
    return true
  }
}

const MOST_OWN_KEYS = 1 << 18

const known = new WeakMap<ResourceNotes, KeyTable>()
