import { isUtf8 } from 'node:buffer'
import { type Span, skipSpace, skipValue } from '../../json/bytes.js'
import { stringifyJson } from '../../json/write.js'

/**
 * A decoded body as UTF-8 text of one JSON document. JSON stays as it is, with the same bytes if they are UTF-8. Lines
 * of JSON, and CSV with a header line, become an array of records. If the content type only says that it is a file, the
 * name in the URL decides, as in `export.csv.gz`. `changed` is called if bytes are invalid in their encoding and became
 * U+FFFD. Throws a SyntaxError if the body does not match its type.
 */
export async function jsonBody(
  body: Uint8Array,
  headers: Readonly<Record<string, string>>,
  url = '',
  changed: (why: string) => void = () => {},
): Promise<Uint8Array> {
  const [type = '', ...parameters] = (headers['content-type'] ?? '').toLowerCase().split(';')
  const bytes = utf8(body, parameters, changed)
  const mediaType = FILES.has(type.trim()) ? typeByName(url) : type.trim()
  if (/(?:^application\/(?:x-)?(?:nd-?json|jsonl|json-?lines|json-seq|stream\+json)|\+json-seq)$/.test(mediaType)) {
    return jsonLines(bytes)
  }
  if (/^(?:text|application)\/(?:x-)?csv$/.test(mediaType)) return csv(bytes, ',')
  if (mediaType === 'text/tab-separated-values') return csv(bytes, '\t')
  return bytes
}

/** Content types that do not say what the file holds. */
const FILES = new Set([
  '',
  'application/gzip',
  'application/x-gzip',
  'application/octet-stream',
  'binary/octet-stream',
  'text/plain',
])

function typeByName(url: string): string {
  const path = URL.canParse(url) ? new URL(url).pathname : ''
  const extension = /\.(csv|tsv|ndjson|jsonl)(?:\.gz)?$/i.exec(path)?.[1]?.toLowerCase()
  if (extension === undefined) return 'application/json'
  return extension === 'csv' ? 'text/csv' : extension === 'tsv' ? 'text/tab-separated-values' : 'application/x-ndjson'
}

/** A byte order mark shows UTF-16 and UTF-32, and `charset` other encodings. Invalid bytes become U+FFFD. */
function utf8(body: Uint8Array, parameters: readonly string[], changed: (why: string) => void): Uint8Array {
  const [first, second, third, fourth] = body
  if (first === 0xff && second === 0xfe) {
    return third === 0 && fourth === 0 ? utf32(body.subarray(4), true) : transcode(body, 'utf-16le')
  }
  if (first === 0xfe && second === 0xff) return transcode(body, 'utf-16be')
  if (first === 0 && second === 0 && third === 0xfe && fourth === 0xff) return utf32(body.subarray(4), false)
  if (isUtf8(body)) return body
  const charset = parameters.map(text => /^\s*charset\s*=\s*"?([^"\s]+)/.exec(text)?.[1]).find(name => name)
  const text = transcode(body, charset ?? 'utf-8')
  if (charset !== undefined && !isKnown(charset)) changed(`its charset ${charset.slice(0, 40)} is not known`)
  else if (text.includes('\uFFFD')) changed(`some of its bytes are no text in ${charset ?? 'UTF-8'}`)
  return text
}

function isKnown(charset: string): boolean {
  try {
    return new TextDecoder(charset).encoding !== ''
  } catch {
    return false
  }
}

function transcode(body: Uint8Array, charset: string): Buffer {
  let decoder: InstanceType<typeof TextDecoder>
  try {
    decoder = new TextDecoder(charset)
  } catch {
    decoder = new TextDecoder('utf-8')
  }
  return Buffer.from(decoder.decode(body))
}

function utf32(body: Uint8Array, littleEndian: boolean): Uint8Array {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const parts: string[] = []
  for (let at = 0; at + 4 <= body.length; at += 4) {
    const point = view.getUint32(at, littleEndian)
    parts.push(point > 0x10ffff ? '\uFFFD' : String.fromCodePoint(point))
  }
  return Buffer.from(parts.join(''))
}

/** Values separated by white space or record separators, as one array. */
function jsonLines(bytes: Uint8Array): Uint8Array {
  const spans: Span[] = []
  let size = 2
  for (let at = skipSeparators(bytes, 0); at < bytes.length; ) {
    const end = skipValue(bytes, at)
    spans.push({ start: at, end })
    size += end - at + 1
    at = skipSeparators(bytes, end)
  }
  const array = Buffer.allocUnsafe(size)
  let at = array.write('[')
  for (const [index, { start, end }] of spans.entries()) {
    if (index > 0) at += array.write(',', at)
    array.set(bytes.subarray(start, end), at)
    at += end - start
  }
  at += array.write(']', at)
  return array.subarray(0, at)
}

function skipSeparators(bytes: Uint8Array, at: number): number {
  const mark = at === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : at
  let next = skipSpace(bytes, mark)
  while (bytes[next] === 0x1e) next = skipSpace(bytes, next + 1)
  return next
}

async function csv(bytes: Uint8Array, delimiter: string): Promise<Uint8Array> {
  const { parse } = await import('csv-parse/sync')
  try {
    const records: unknown = parse(Buffer.from(bytes), {
      columns: true,
      bom: true,
      skip_empty_lines: true,
      relax_quotes: true,
      delimiter,
    })
    return Buffer.from(stringifyJson(records))
  } catch (error) {
    throw new SyntaxError(error instanceof Error ? error.message : String(error))
  }
}
