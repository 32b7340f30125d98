import { JsonBytesError, skipValue } from '../../json/bytes.js'
import { bodyFormat } from './bodyFormat.js'
import { csvRowEnds, type RowEnds } from './csvRowEnds.js'
import type { BodyReading } from './jsonBody.js'
import { skipSeparators } from './jsonText.js'
import { isZip } from './zipFiles.js'

/** Where a body of rows may be cut. It is given the beginning of the body, or of what is left of it after its head. */
export type RowCutter = (text: Uint8Array) => RowEnds

/** Whether an answer may turn out to be rows, before any of its body is there. */
export function mayHaveRows(
  headers: Readonly<Record<string, string>>,
  url: string,
  { format }: Pick<BodyReading, 'format'>,
): boolean {
  const { type } = bodyFormat(new Uint8Array(), headers, url, format).format
  return type === 'jsonl' || type === 'csv' || type === 'tsv'
}

/** Undefined if the body can only be read whole. `beginning`: its first bytes. */
export function rowCutter(
  beginning: Uint8Array,
  headers: Readonly<Record<string, string>>,
  url: string,
  reading: Pick<BodyReading, 'format' | 'encoding'>,
): RowCutter | undefined {
  const { format, charset } = bodyFormat(beginning, headers, url, reading.format)
  if (isZip(beginning) || !hasPlainBytes(beginning, reading.encoding ?? charset)) return undefined
  switch (format.type) {
    case 'jsonl':
      return jsonLineEnds
    case 'csv':
    case 'tsv':
      return text => csvRowEnds(text, format)
    default:
      return undefined
  }
}

/** Encodings in which a byte of ASCII never is a part of another character. */
const PLAIN = /^(?:utf-8|windows-125\d|windows-874|iso-8859-\d+|koi8-[ru]|macintosh|x-mac-cyrillic|ibm866)$/

function hasPlainBytes([first, second, third]: Uint8Array, label = 'utf-8'): boolean {
  const isMarkedWide =
    (first === 0xff && second === 0xfe) ||
    (first === 0xfe && second === 0xff) ||
    (first === 0 && second === 0 && third === 0xfe)
  if (isMarkedWide) return false
  try {
    return PLAIN.test(new TextDecoder(label).encoding)
  } catch {
    // What is not known is read as UTF-8.
    return true
  }
}

const LINE_FEED = 0x0a

function jsonLineEnds(text: Uint8Array): RowEnds {
  let last: number | undefined
  let at = text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf ? 3 : 0
  try {
    for (;;) {
      at = skipSeparators(text, at)
      if (at >= text.length) break
      at = skipValue(text, at)
      // What comes next may belong to a number.
      if (at >= text.length) break
      last = at
    }
  } catch (error) {
    if (!(error instanceof JsonBytesError)) throw error
    // A value that is damaged, and does not only end early, is left to the reader, who says so.
    const isDamaged = error.offset < text.length && text.indexOf(LINE_FEED, error.offset) >= 0
    if (isDamaged) last = text.length
  }
  return { head: 0, last }
}
