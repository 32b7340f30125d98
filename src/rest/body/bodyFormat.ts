import type { BodyFormat } from '../document/declaration/formatKeys.js'
import { isZip } from './zipFiles.js'

/**
 * The format of a body, and the charset that its content type names. `beginning`: its first bytes, or all of them. Without
 * a declared format, the content type decides. If that only says that it is a file, the name in the URL does, as in
 * `export.csv.gz`.
 */
export function bodyFormat(
  beginning: Uint8Array,
  headers: Readonly<Record<string, string>>,
  url: string,
  declared: BodyFormat | undefined,
): { readonly format: BodyFormat; readonly charset: string | undefined } {
  const [type = '', ...parameters] = (headers['content-type'] ?? '').toLowerCase().split(';')
  const charset = parameters.map(text => /^\s*charset\s*=\s*["']?([^"'\s]+)/.exec(text)?.[1]).find(name => name)
  return { format: declared ?? formatOf(type.trim(), url, beginning), charset }
}

/** Content types that do not say what the file holds. */
const FILES = new Set([
  '',
  'application/gzip',
  'application/x-gzip',
  'application/zip',
  'application/x-zip-compressed',
  'application/octet-stream',
  'binary/octet-stream',
  'text/plain',
])

const TYPES: readonly (readonly [RegExp, BodyFormat['type']])[] = [
  [/(?:^application\/(?:x-)?(?:nd-?json|jsonl|json-?lines|json-seq|stream\+json)|\+json-seq)$/, 'jsonl'],
  [/^(?:text|application)\/(?:x-)?csv$/, 'csv'],
  [/^text\/tab-separated-values$/, 'tsv'],
  [/^(?:application|text)\/xml$|^application\/(?!xhtml)[^;]*\+xml$/, 'xml'],
  [/^application\/vnd\.(?:openxmlformats-officedocument\.spreadsheetml\.sheet|ms-excel)$/, 'excel'],
]

function formatOf(mediaType: string, url: string, body: Uint8Array): BodyFormat {
  const type = FILES.has(mediaType)
    ? formatByName(pathOf(url)).type
    : TYPES.find(([pattern]) => pattern.test(mediaType))?.[1]
  // Some APIs call all they send XML, and some call CSV Excel.
  if (type === 'xml' && !/^[^{[]*</.test(beginning(body))) return { type: 'json' }
  if (type === 'excel' && !isZip(body) && body[0] !== 0xd0) return { type: 'csv' }
  return { type: type ?? 'json' }
}

function pathOf(url: string): string {
  return URL.canParse(url) ? new URL(url).pathname : ''
}

function beginning(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, 64)).toString('latin1')
}

const ENDINGS: Readonly<Record<string, BodyFormat['type']>> = {
  csv: 'csv',
  tsv: 'tsv',
  ndjson: 'jsonl',
  jsonl: 'jsonl',
  xml: 'xml',
  xlsx: 'excel',
}

/** The format that the ending of a name says. */
export function formatByName(path: string): BodyFormat {
  const ending = /\.(\w+?)(?:\.gz)?$/.exec(path)?.[1]?.toLowerCase() ?? ''
  return { type: ENDINGS[ending] ?? 'json' }
}
