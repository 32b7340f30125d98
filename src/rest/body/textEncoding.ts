import { isUtf8 } from 'node:buffer'
import { BodyFormatError } from './bodyError.js'

/** What is known about the encoding of a text before it is read. */
export interface EncodingHints {
  /** Given by the document. */
  readonly declared?: string | undefined
  /** Given by the content type, or by the text itself. Servers often send one that is wrong. */
  readonly charset?: string | undefined
}

/**
 * The text as UTF-8, without a byte order mark. It is the same memory if it is UTF-8 already. A byte order mark counts
 * more than what is declared, and that more than the charset. Bytes that are no text in the encoding are an error that
 * says where the first one is. `changed` is called where no encoding is known and bytes had to become U+FFFD.
 */
export function utf8Text(
  body: Uint8Array,
  { declared, charset }: EncodingHints,
  changed: (why: string) => void,
): Uint8Array {
  const marked = byMark(body)
  if (marked !== undefined) return marked
  if (declared !== undefined) return decoded(body, encodingOf(declared) ?? 'utf-8', 0)
  const encoding = charset === undefined ? 'utf-8' : encodingOf(charset)
  // Many servers say latin-1 by default and send UTF-8. Text of other encodings may look like UTF-8 by chance.
  const mayBeWrong =
    encoding === undefined || encoding === 'utf-8' || encoding === 'windows-1252' || isNot16(encoding, body)
  if (mayBeWrong && isUtf8(body)) return body
  if (encoding !== undefined && encoding !== 'utf-8') return decoded(body, encoding, 0)
  const at = firstWrong(body, 'utf-8')
  if (encoding === undefined) changed(`its charset ${charset?.slice(0, 40)} is not known`)
  else changed(`byte ${at} is no text in UTF-8`)
  return Buffer.from(new TextDecoder('utf-8').decode(body))
}

/** Records in UTF-16 have zeros: in every brace and every comma. */
function isNot16(encoding: string, body: Uint8Array): boolean {
  return encoding.startsWith('utf-16') && !body.includes(0)
}

/** The text after a byte order mark. Undefined without one. */
function byMark(body: Uint8Array): Uint8Array | undefined {
  const [first, second, third, fourth] = body
  if (first === 0xef && second === 0xbb && third === 0xbf) {
    const text = body.subarray(3)
    return isUtf8(text) ? text : decoded(text, 'utf-8', 3)
  }
  if (first === 0xff && second === 0xfe) {
    return third === 0 && fourth === 0 ? utf32(body, true) : decoded(body.subarray(2), 'utf-16le', 2)
  }
  if (first === 0xfe && second === 0xff) return decoded(body.subarray(2), 'utf-16be', 2)
  return first === 0 && second === 0 && third === 0xfe && fourth === 0xff ? utf32(body, false) : undefined
}

/** The standard name of an encoding. Undefined if it is not known. */
function encodingOf(label: string): string | undefined {
  try {
    return new TextDecoder(label).encoding
  } catch {
    return undefined
  }
}

/** `offset`: bytes before the text, for errors. */
function decoded(text: Uint8Array, encoding: string, offset: number): Uint8Array {
  if (encoding === 'windows-1252') return windows1252(text)
  try {
    return Buffer.from(strict(encoding).decode(text))
  } catch {
    const at = offset + firstWrong(text, encoding)
    throw new BodyFormatError(
      `text in ${encoding}`,
      `byte ${at} is not part of such a text; set \`endpoint.encoding\` to the encoding that the API uses`,
    )
  }
}

function strict(encoding: string): InstanceType<typeof TextDecoder> {
  return new TextDecoder(encoding, { fatal: true, ignoreBOM: true })
}

/** Where the first character begins that is none. */
function firstWrong(text: Uint8Array, encoding: string): number {
  let right = 0
  let wrong = text.length
  while (right + 1 < wrong) {
    const middle = (right + wrong) >>> 1
    if (isText(text.subarray(0, middle), encoding, true)) right = middle
    else wrong = middle
  }
  // The beginning of a character may be all that is right.
  while (right > 0 && !isText(text.subarray(0, right), encoding, false)) right--
  return right
}

/** `stream`: whether the last character may be cut off. */
function isText(bytes: Uint8Array, encoding: string, stream: boolean): boolean {
  try {
    strict(encoding).decode(bytes, { stream })
    return true
  } catch {
    return false
  }
}

/** The characters of 0x80 to 0x9F, as browsers read them. `TextDecoder` of Node 20 takes them for latin-1. */
const C1 = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ'

function windows1252(text: Uint8Array): Uint8Array {
  const latin1 = Buffer.from(text.buffer, text.byteOffset, text.length).toString('latin1')
  return Buffer.from(latin1.replace(/[\x80-\x9f]/g, character => C1[character.charCodeAt(0) - 0x80] ?? character))
}

function utf32(body: Uint8Array, littleEndian: boolean): Uint8Array {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const parts: string[] = []
  for (let at = 4; at < body.length; at += 4) {
    const point = at + 4 <= body.length ? view.getUint32(at, littleEndian) : Number.NaN
    if (!(point <= 0x10ffff) || (point >= 0xd800 && point < 0xe000)) {
      throw new BodyFormatError('text in utf-32', `byte ${at} is none`)
    }
    parts.push(String.fromCodePoint(point))
  }
  return Buffer.from(parts.join(''))
}
