import { skipSpace } from '../../json/bytes.js'

/** What became of a body. */
export interface JsonText {
  /** UTF-8 text of one JSON document. */
  readonly text: Uint8Array
  /** The body, or a file in it, has nothing that shows a list: no record, no empty list, no names of columns. */
  readonly isBlank: boolean
}

/** What becomes of a body without content. */
export const BLANK_LIST: JsonText = { text: Buffer.from('[]'), isBlank: true }

/** Whether a text has nothing but white space and record separators. */
export function isBlankText(text: Uint8Array): boolean {
  return skipSeparators(text, 0) >= text.length
}

/** The first byte at or after `at` that is neither white space nor a record separator. */
export function skipSeparators(bytes: Uint8Array, at: number): number {
  let next = skipSpace(bytes, at)
  while (bytes[next] === RECORD_SEPARATOR) next = skipSpace(bytes, next + 1)
  return next
}

const RECORD_SEPARATOR = 0x1e
