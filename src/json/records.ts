import { JsonBytesError, type Span, skipSpace, skipValue } from './bytes.js'

const OPEN = 0x5b
const COMMA = 0x2c
const CLOSE = 0x5d

/** One JSON array of the records at `spans`, with unchanged bytes. */
export function joinRecords(bytes: Uint8Array, spans: readonly Span[]): Uint8Array {
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

/**
 * A JSON array in pieces. Each is an array of the next records and exceeds `pieceBytes` by at most one record. A
 * shorter array is returned as it is. Errors in the text are not checked here. They remain in one of the pieces.
 */
export function* pieces(records: Uint8Array, pieceBytes: number): Iterable<Uint8Array> {
  if (records.length <= pieceBytes) return yield records
  let start = 1
  try {
    let end = start
    for (let at = skipSpace(records, start); records[at] !== CLOSE; ) {
      if (end - start >= pieceBytes) {
        yield joinRecords(records, [{ start, end }])
        start = at
      }
      end = skipValue(records, at)
      const comma = skipSpace(records, end)
      if (records[comma] !== COMMA) break
      at = skipSpace(records, comma + 1)
    }
  } catch (error) {
    if (!(error instanceof JsonBytesError)) throw error
  }
  yield start === 1 ? records : Buffer.concat([Buffer.of(OPEN), records.subarray(start)])
}

/** One JSON array of single records and, behind them, of the records of an array. */
export function joinLists(records: readonly Uint8Array[], list: Uint8Array = Buffer.of(OPEN, CLOSE)): Uint8Array {
  const isEmpty = list[skipSpace(list, 1)] === CLOSE
  const parts = records.flatMap((record, index) => (index === 0 ? [record] : [Buffer.of(COMMA), record]))
  const between = isEmpty || parts.length === 0 ? [] : [Buffer.of(COMMA)]
  return Buffer.concat([Buffer.of(OPEN), ...parts, ...between, list.subarray(1)])
}
