import type { JsonValue } from './json.js'

/** SHAKE-128 of bytes or UTF-8 text, `length` bytes of it, in base64 without padding. */
export function shake128Base64(_data: string | Uint8Array, _length: number): string {
  throw new Error('not written yet')
}

/** SHA3-256 of UTF-8 text in padded base64: dlt's version hashes. */
export function sha3Base64(_text: string): string {
  throw new Error('not written yet')
}

/**
 * Identity of a record at the boundary of an incremental cursor, as dlt stores it in `unique_hashes`: 20 characters.
 * `key`: the value of a single key, an array of the values of several, or the whole record where there is no key.
 */
export function dedupHash(_key: JsonValue): string {
  throw new Error('not written yet')
}
