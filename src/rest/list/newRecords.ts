import { recordKeys, textNumbers } from '../evidence/recordKeys.js'
import { KeyTable } from '../evidence/repetition.js'
import { recordsWhere, type Selection } from './answer/selector.js'

/**
 * Of a second reading of a list, the records with a text that the first had not: new ones, and later versions. What comes
 * behind one with its key is delivered too, so that the last version of a record is delivered last.
 */
export class NewRecords {
  readonly #known: KeyTable
  readonly #primaryKey: readonly string[] | undefined
  readonly #keys = new KeyTable()

  constructor(known: KeyTable, primaryKey: readonly string[] | undefined) {
    this.#known = known
    this.#primaryKey = primaryKey
  }

  of(selection: Selection): Selection {
    const { records, separators } = selection
    if (selection.count === 0) return selection
    const keys = recordKeys(records, this.#primaryKey, separators)
    const texts = textNumbers(records)
    return recordsWhere(selection, (_, index) => {
      const key = keys?.by === 'declared' ? keys.hashes[index] : undefined
      const isNew = !this.#known.has(texts[index] as number) || (key !== undefined && this.#keys.has(key))
      if (isNew && key !== undefined) this.#keys.add(key, 1)
      return isNew
    })
  }
}
