import { type Span, skipSpace, skipValue } from '../../json/bytes.js'
import { joinRecords } from '../../json/records.js'
import type { BodyFormat } from '../document/declaration/formatKeys.js'
import { csvRows } from './csvRows.js'
import { utf8Text } from './textEncoding.js'

/** How a body is to be read. What is left out follows from the answer. */
export interface BodyReading {
  readonly format?: BodyFormat | undefined
  readonly encoding?: string | undefined
  /** Called if bytes are invalid in an encoding that nobody declared, and became U+FFFD. */
  readonly changed?: (why: string) => void
}

/**
 * A decoded body as UTF-8 text of one JSON document. JSON stays as it is, with the same bytes if they are UTF-8. Other
 * formats become an array of records. Without a declared format, the content type decides. If that only says that it is a file,
 * the name in the URL does, as in `export.csv.gz`. Throws a SyntaxError if the body does not match its format.
 */
export async function jsonBody(
  body: Uint8Array,
  headers: Readonly<Record<string, string>>,
  url = '',
  { format, encoding, changed = () => {} }: BodyReading = {},
): Promise<Uint8Array> {
  const [type = '', ...parameters] = (headers['content-type'] ?? '').toLowerCase().split(';')
  const charset = parameters.map(text => /^\s*charset\s*=\s*["']?([^"'\s]+)/.exec(text)?.[1]).find(name => name)
  const text = utf8Text(body, { declared: encoding, charset }, changed)
  const read = format ?? formatOf(type.trim(), url)
  switch (read.type) {
    case 'json':
      return text
    case 'jsonl':
      return jsonLines(text)
    case 'csv':
    case 'tsv':
      return csvRows(text, read)
  }
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

const TYPES: readonly (readonly [RegExp, BodyFormat['type']])[] = [
  [/(?:^application\/(?:x-)?(?:nd-?json|jsonl|json-?lines|json-seq|stream\+json)|\+json-seq)$/, 'jsonl'],
  [/^(?:text|application)\/(?:x-)?csv$/, 'csv'],
  [/^text\/tab-separated-values$/, 'tsv'],
]

function formatOf(mediaType: string, url: string): BodyFormat {
  if (FILES.has(mediaType)) return formatByName(URL.canParse(url) ? new URL(url).pathname : '')
  return { type: TYPES.find(([pattern]) => pattern.test(mediaType))?.[1] ?? 'json' }
}

const ENDINGS: Readonly<Record<string, BodyFormat['type']>> = {
  csv: 'csv',
  tsv: 'tsv',
  ndjson: 'jsonl',
  jsonl: 'jsonl',
}

function formatByName(path: string): BodyFormat {
  const ending = /\.(\w+?)(?:\.gz)?$/.exec(path)?.[1]?.toLowerCase() ?? ''
  return { type: ENDINGS[ending] ?? 'json' }
}

/** Values separated by white space or record separators, as one array. */
function jsonLines(bytes: Uint8Array): Uint8Array {
  const spans: Span[] = []
  for (let at = skipSeparators(bytes, 0); at < bytes.length; ) {
    const end = skipValue(bytes, at)
    spans.push({ start: at, end })
    at = skipSeparators(bytes, end)
  }
  return joinRecords(bytes, spans)
}

function skipSeparators(bytes: Uint8Array, at: number): number {
  let next = skipSpace(bytes, at)
  while (bytes[next] === 0x1e) next = skipSpace(bytes, next + 1)
  return next
}
