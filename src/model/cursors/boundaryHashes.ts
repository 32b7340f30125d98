import { createHash } from 'node:crypto'
import type { JsonValue } from '../../json/value.js'
import { canonicalJson } from '../../json/write.js'

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

/** SHAKE-128 of bytes or UTF-8 text, `length` bytes of it, in standard base64 without padding. */
export function shake128Base64(data: string | Uint8Array, length: number): string {
  return createHash('shake128', { outputLength: length }).update(data).digest('base64').replace(/=+$/, '')
}

/** SHA3-256 of UTF-8 text in padded base64: the form of dlt's version hashes. */
export function sha3Base64(text: string): string {
  return createHash('sha3-256').update(text).digest('base64')
}

/** Characters of a {@link dedupHash}. */
const DEDUP_HASH_LENGTH = 20

/**
 * Identity of a record at the boundary of an incremental cursor, as dlt stores it in `unique_hashes`: 20 characters, of
 * which dlt keeps the first 12 since 1.29 (see {@link BoundaryHashes}).
 * `key`: the value of a single key, an array of the values of several, or the whole record where there is no key.
 */
export function dedupHash(key: JsonValue): string {
  return shake128Base64(canonicalJson(key), (DEDUP_HASH_LENGTH / 4) * 3)
}
