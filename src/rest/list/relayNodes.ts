import { elements, kindAt, skipSpace } from '../../json/bytes.js'
import { joinRecords } from '../../json/records.js'
import type { Selection } from './selector.js'

/** The nodes that are not null. The others are counted. */
export function withoutNulls(selection: Selection): Selection {
  const { records, count } = selection
  if (!bufferOf(records).includes('null')) return selection
  const spans = elements(records, skipSpace(records, 0)).filter(({ start }) => kindAt(records, start) !== 'null')
  if (spans.length === count) return selection
  const nulls = count - spans.length
  return { ...selection, records: joinRecords(records, spans), count: spans.length, separators: undefined, nulls }
}

/** Whether a record holds a connection with more pages. */
export function hasMoreInside({ records }: Selection): boolean {
  const bytes = bufferOf(records)
  for (let at = bytes.indexOf(KEY); at >= 0; at = bytes.indexOf(KEY, at + KEY.length)) {
    const colon = skipSpace(bytes, at + KEY.length)
    const value = skipSpace(bytes, colon + 1)
    if (bytes[colon] === COLON && bytes.toString('latin1', value, value + 4) === 'true') return true
  }
  return false
}

const KEY = '"hasNextPage"'
const COLON = 0x3a

function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length)
}
