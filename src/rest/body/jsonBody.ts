import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { skipSpace, skipValue } from '../../json/bytes.js'
import type { BodyFormat } from '../document/declaration/formatKeys.js'
import { isGzip } from '../http/responseBody.js'
import { BodyFormatError } from './bodyError.js'
import { bodyFormat, formatByName } from './bodyFormat.js'
import { csvRows, refuseBlank, refuseMessage } from './csvRows.js'
import { BLANK_LIST, isBlankText, type JsonText, skipSeparators } from './jsonText.js'
import { utf8Text } from './textEncoding.js'
import { type Allowance, isZip, MOST_JSON, MOST_UNPACKED, tooMuch, type ZippedFile, zipFiles } from './zipFiles.js'

/** How a body is to be read. What is left out follows from the answer. */
export interface BodyReading {
  readonly format?: BodyFormat | undefined
  readonly encoding?: string | undefined
  /** Called if bytes are invalid in an encoding that nobody declared, and became U+FFFD. */
  readonly changed?: (why: string) => void
  /** Whether it is known where the records are. XML does not show lists of one. Default: yes. */
  readonly hasSelector?: boolean
  /** The body is a later part of a long one. Default: no. */
  readonly isPart?: boolean
  /** The answer says elsewhere that there are no records, so a body without content is an empty list. Default: no. */
  readonly isNone?: boolean
}

const NO_ROWS = '[]'

/**
 * A decoded body as UTF-8 text of one JSON document. JSON stays as it is, with the same bytes if they are UTF-8. Other
 * formats become an array of records. Without a declared format, the content type decides. If that only says that it is a file,
 * the name in the URL does, as in `export.csv.gz`. Throws a SyntaxError if the body does not match its format.
 */
export async function jsonBody(
  body: Uint8Array,
  headers: Readonly<Record<string, string>>,
  url = '',
  reading: BodyReading = {},
): Promise<JsonText> {
  const { format, charset } = bodyFormat(body, headers, url, reading.format)
  const allowance: Allowance = { left: MOST_UNPACKED }
  if (!isZip(body) || format.type === 'excel') {
    return readAs(format, body, charset, reading, { allowance, most: MOST_JSON })
  }
  const files = await wantedFiles(body, format.entries ?? '*', allowance)
  const declared = reading.format
  const texts: Uint8Array[] = []
  let isBlank = false
  let most = MOST_JSON
  for (const { name, bytes } of files) {
    const unpacked = isGzip(bytes) ? await gunzipped(name, bytes, allowance) : bytes
    const read = await readAs(declared ?? formatByName(name), unpacked, undefined, reading, { allowance, most })
    most -= read.text.length
    texts.push(read.text)
    isBlank ||= read.isBlank
  }
  return { text: joined(texts, files), isBlank }
}

/** What one file of an archive may take: bytes to unpack, and bytes of JSON. */
interface Bounds {
  readonly allowance: Allowance
  readonly most: number
}

async function readAs(
  format: BodyFormat,
  body: Uint8Array,
  charset: string | undefined,
  { encoding, changed = () => {}, hasSelector = true, isPart = false, isNone = false }: BodyReading,
  { allowance, most }: Bounds,
): Promise<JsonText> {
  if (isNone && isBlankText(body)) return BLANK_LIST
  if (format.type === 'excel')
    return (await import('./workbookRows.js')).workbookRows(body, format, allowance, Math.min(most, MOST_UNPACKED))
  if (isZip(body)) throw new BodyFormatError('one archive', 'there is an archive in the archive, which is not read')
  const { xmlEncoding } = await import('./xmlBody.js')
  const named = charset ?? (format.type === 'xml' ? xmlEncoding(body) : undefined)
  const text = utf8Text(body, { declared: encoding, charset: named }, changed)
  if (isNone && isBlankText(text)) return BLANK_LIST
  switch (format.type) {
    case 'json':
      return { text, isBlank: false }
    case 'jsonl':
      return isBlankText(text) ? BLANK_LIST : { text: jsonLines(text), isBlank: false }
    case 'csv':
    case 'tsv': {
      const rows = await csvRows(text, format, most)
      const isBlank = isBlankText(text) || rows.isBlank
      if (!isPart && isBlank) refuseBlank(format)
      if (!isPart && rows.text.length <= NO_ROWS.length) refuseMessage(text, format)
      return isBlank && !isPart ? BLANK_LIST : rows
    }
    case 'xml':
      if (hasSelector) return { text: await (await import('./xmlBody.js')).xmlBody(text, format), isBlank: false }
      throw new BodyFormatError(
        'JSON but XML',
        'set `endpoint.data_selector` to the path of its records from the outermost element, as in `rss.channel.item`',
      )
  }
}

const unzip = promisify(gunzip)

async function gunzipped(name: string, body: Uint8Array, allowance: Allowance): Promise<Uint8Array> {
  try {
    // Zero is no length that can be asked for.
    const bytes = await unzip(body, { maxOutputLength: Math.max(1, allowance.left) })
    allowance.left -= bytes.length
    return bytes
  } catch (error) {
    if (error instanceof RangeError) throw tooMuch()
    const problem = error instanceof Error ? error.message : String(error)
    throw new BodyFormatError('a zip archive that can be read', `${name}: ${problem}`)
  }
}

/** Files that programs put into archives for themselves. */
const BESIDE = /(?:^|\/)(?:__MACOSX\/|\.|Thumbs\.db$|desktop\.ini$)/

async function wantedFiles(
  body: Uint8Array,
  entries: string | readonly string[],
  allowance: Allowance,
): Promise<readonly ZippedFile[]> {
  const patterns = [entries].flat().map(entryPattern)
  const others: string[] = []
  const isWanted = (name: string): boolean => {
    if (BESIDE.test(name)) return false
    const isMatch = patterns.some(matches => matches(name))
    if (!isMatch) others.push(name)
    return isMatch
  }
  const files = await zipFiles(body, isWanted, allowance)
  if (files.length > 0) return files
  const there = others.length === 0 ? 'it is empty' : `it has ${others.slice(0, 10).map(shortName).join(', ')}`
  throw new BodyFormatError(
    'a zip archive with what is wanted',
    `no file is called ${[entries].flat().join(' or ')}: ${there}`,
  )
}

/** `*` stands for any text, also across folders. Each part is taken where it comes first, so no name takes long. */
function entryPattern(text: string): (name: string) => boolean {
  const [first = '', ...parts] = text.split('*')
  const last = parts.pop()
  if (last === undefined) return name => name === first
  return name => {
    const end = name.length - last.length
    if (end < first.length || !name.startsWith(first) || !name.endsWith(last)) return false
    let at = first.length
    for (const part of parts) {
      const found = name.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return at <= end
  }
}

function shortName(name: string): string {
  return name.length <= 200 ? name : `${name.slice(0, 200)}…`
}

/** The records of several files as one list. */
function joined(texts: readonly Uint8Array[], files: readonly ZippedFile[]): Uint8Array {
  const [only] = texts
  if (only !== undefined && texts.length === 1) return only
  const parts: Uint8Array[] = []
  for (const [index, text] of texts.entries()) {
    const start = skipSpace(text, 0)
    if (text[start] !== OPEN_LIST) {
      const problem = `${files[index]?.name} is no list of records; choose one file by \`format.entries\``
      throw new BodyFormatError('a zip archive of lists', problem)
    }
    const end = skipValue(text, start)
    const isEmpty = text[skipSpace(text, start + 1)] === CLOSE_LIST
    if (!isEmpty) parts.push(Buffer.from(parts.length === 0 ? '[' : ','), text.subarray(start + 1, end - 1))
  }
  return parts.length === 0 ? Buffer.from('[]') : Buffer.concat([...parts, Buffer.from(']')])
}

const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const COMMA = 0x2c

/** Values separated by white space or record separators, as one array. */
function jsonLines(bytes: Uint8Array): Uint8Array {
  // Each value has a byte or more, and may need a comma. Memory that is not written to is not taken.
  const joined = Buffer.allocUnsafe(2 * bytes.length + 2)
  joined[0] = OPEN_LIST
  let length = 1
  for (let at = skipSeparators(bytes, 0); at < bytes.length; ) {
    const end = skipValue(bytes, at)
    if (length > 1) joined[length++] = COMMA
    joined.set(bytes.subarray(at, end), length)
    length += end - at
    at = skipSeparators(bytes, end)
  }
  joined[length++] = CLOSE_LIST
  return joined.subarray(0, length)
}
