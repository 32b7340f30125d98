import { type JsonValue, stringifyJson } from '../core/json.js'

const OPEN = 0x5b
const COMMA = 0x2c
const CLOSE = 0x5d

/** One JSON array of the records at `spans`, bytes unchanged. */
export function joinRecords(
  bytes: Uint8Array,
  spans: readonly { readonly start: number; readonly end: number }[],
): Uint8Array {
  let length = 1
  for (const span of spans) length += span.end - span.start + 1
  const joined = Buffer.allocUnsafe(Math.max(length, 2))
  joined[0] = OPEN
  let at = 1
  for (const span of spans) {
    if (at > 1) joined[at++] = COMMA
    joined.set(bytes.subarray(span.start, span.end), at)
    at += span.end - span.start
  }
  joined[at++] = CLOSE
  return joined.subarray(0, at)
}

/** One JSON array of parsed records. */
export function encodeRecords(records: readonly JsonValue[]): Uint8Array {
  return Buffer.from(stringifyJson(records))
}
