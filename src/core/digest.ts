import { createHash } from 'node:crypto'
import type { BoundaryHashes } from './boundaryHashes.js'
import { canonicalJson, type JsonValue } from './json.js'

/** SHAKE-128 of bytes or UTF-8 text, `length` bytes of it, in standard base64 without padding. */
export function shake128Base64(data: string | Uint8Array, length: number): string {
  return createHash('shake128', { outputLength: length }).update(data).digest('base64').replace(/=+$/, '')
}

/** SHA3-256 of UTF-8 text in padded base64: the form of dlt's version hashes. */
export function sha3Base64(text: string): string {
  return createHash('sha3-256').update(text).digest('base64')
}

/** Characters of a {@link dedupHash}. */
export const DEDUP_HASH_LENGTH = 20

/**
 * Identity of a record at the boundary of an incremental cursor, as dlt stores it in `unique_hashes`: 20 characters, of
 * which dlt keeps the first 12 since 1.29 (see {@link BoundaryHashes}).
 * `key`: the value of a single key, an array of the values of several, or the whole record where there is no key.
 */
export function dedupHash(key: JsonValue): string {
  return shake128Base64(canonicalJson(key), (DEDUP_HASH_LENGTH / 4) * 3)
}
