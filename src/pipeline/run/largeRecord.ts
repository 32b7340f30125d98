import { RequestError } from '../../model/errors.js'

/** Values of one record. Each may be a row, and all rows of a record are in memory at once. */
const MOST_VALUES = 1 << 23

/** Bytes of one text, as in XML and CSV. It is in memory several times while it becomes a value of a column. */
const MOST_OF_TEXT = 64 << 20

/** Shorter texts hold neither: a value and its comma are two bytes. */
const LARGE = 2 * MOST_VALUES

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c]

/** Refuses records, an array as UTF-8 text, of which one alone would take the memory of many pages. */
export function refuseLargeRecord(records: Uint8Array): void {
  if (records.length < LARGE) return
  let values = 0
  for (let at = 0; at < records.length; at++) {
    const byte = records[at]
    if (byte === COMMA && ++values > MOST_VALUES) throw tooLarge(`has more than ${MOST_VALUES} values`)
    if (byte !== QUOTE) continue
    const start = at
    for (at++; at < records.length && records[at] !== QUOTE; at++) if (records[at] === BACKSLASH) at++
    if (at - start > MOST_OF_TEXT) throw tooLarge(`has a text of more than ${MOST_OF_TEXT} bytes (64 MiB)`)
  }
}

function tooLarge(what: string): RequestError {
  const cure = 'ask for less of it, or let `data_selector` lead to its long list, so that the elements are the records'
  return new RequestError('response_too_large', `a record ${what}, the most that is taken into memory at once; ${cure}`)
}
