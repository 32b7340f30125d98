import { DEDUP_HASH_LENGTH } from './digest.js'

/** Length of the hashes that dlt writes since 1.29: the first characters of those it wrote before. */
const SHORT_HASH_LENGTH = 12

/**
 * Identities of the records at the boundary of an incremental cursor, as `unique_hashes` of the state holds them. dlt
 * writes two lengths and reads a set as if all were of one: hashes are compared by what both have in common, and a stored
 * set grows in its own length. A fresh set has the long one, which every version of dlt reads.
 */
export class BoundaryHashes {
  readonly #length: number
  readonly #hashes: Set<string>

  constructor(stored: readonly string[] = []) {
    this.#length = stored.some(hash => hash.length === SHORT_HASH_LENGTH) ? SHORT_HASH_LENGTH : DEDUP_HASH_LENGTH
    this.#hashes = new Set(stored.map(hash => this.#inLength(hash)))
  }

  /** Whether the set holds the record with this {@link dedupHash}. */
  has(hash: string): boolean {
    return this.#hashes.has(this.#inLength(hash))
  }

  add(hash: string): void {
    this.#hashes.add(this.#inLength(hash))
  }

  /** A set of its own with the same hashes. */
  copy(): BoundaryHashes {
    return new BoundaryHashes(this.toJson())
  }

  toJson(): readonly string[] {
    return [...this.#hashes]
  }

  #inLength(hash: string): string {
    return hash.slice(0, this.#length)
  }
}
