import type { JsonValue } from '../../json/value.js'
import { canonicalJson } from '../../json/write.js'
import { nodeCrypto } from '../runtime/nodeCrypto.js'

/** Length of the hashes that dlt writes since 1.29. They are the first characters of the earlier ones. */
const SHORT_HASH_LENGTH = 12

/**
 * Identities of the records at the boundary of an incremental cursor, as in the state's `unique_hashes`. dlt writes two
 * lengths, but reads a set as if all hashes had one length. So hashes are compared by their common prefix, and a stored
 * set keeps its own length. A new set uses the long one, which every version of dlt reads.
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

  /** An independent set with the same hashes. */
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
  return nodeCrypto().createHash('shake128', { outputLength: length }).update(data).digest('base64').replace(/=+$/, '')
}

/** SHA3-256 of UTF-8 text in padded base64: the form of dlt's version hashes. */
export function sha3Base64(text: string): string {
  return nodeCrypto().createHash('sha3-256').update(text).digest('base64')
}

/** Characters of a {@link dedupHash}. */
const DEDUP_HASH_LENGTH = 20

/**
 * Identity of a record at the boundary of an incremental cursor, as dlt stores it in `unique_hashes`: 20 characters.
 * Since 1.29 dlt keeps the first 12 of them (see {@link BoundaryHashes}). `key`: the value of a single key, an array of
 * the values of several keys, or the whole record if there is no key.
 */
export function dedupHash(key: JsonValue): string {
  return shake128Base64(canonicalJson(key), (DEDUP_HASH_LENGTH / 4) * 3)
}
