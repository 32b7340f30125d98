import {
  elements,
  type JsonDocument,
  kindAt,
  members,
  type Span,
  skipSpace,
  skipValue,
  textAt,
  valueAt,
} from '../../../json/bytes.js'
import { compiledPath, type JsonPath } from '../../../json/path.js'
import { BodyFormatError } from '../../body/bodyError.js'
import type { Selection } from './selector.js'

/** How what the selector found becomes records, where it is not a list of objects. */
export interface RowShape {
  /** The names of values in lists: the list itself, or its path in the body. */
  readonly columnsFrom?: string | readonly string[] | undefined
  /** The records are the members of an object, or elements of lists. The name of the member, or of the list, becomes this field. */
  readonly keyColumn?: string | undefined
  /** Texts that stand for null. */
  readonly nullValues?: readonly string[] | undefined
}

/** What the pages of a list share. */
export interface ShapeState {
  /** The names of the last page that had some. APIs may send them with the first page alone. */
  columns?: readonly string[]
}

/** The same selection as a list of objects. Throws a SyntaxError if the body does not have that shape. */
export function shaped(
  document: JsonDocument,
  selection: Selection,
  path: JsonPath,
  shape: RowShape,
  state: ShapeState,
): Selection {
  const { keyColumn, columnsFrom, nullValues } = shape
  const keyed = keyColumn === undefined ? selection : keyedBy(keyColumn, document, selection, path)
  const named = columnsFrom === undefined ? keyed : withNames(document, keyed, columnsFrom, state)
  return nullValues === undefined || nullValues.length === 0 ? named : withNulls(named, nullValues)
}

/** The path of the lists whose elements a path leads to, if it says so. */
export function listsBefore(path: JsonPath | undefined): string | undefined {
  return /^(.+?)\.?\[\*\]$/.exec(path?.text ?? '')?.[1]
}

function keyedBy(column: string, document: JsonDocument, selection: Selection, path: JsonPath): Selection {
  const lists = listsBefore(path)
  return lists === undefined
    ? withKeys(document, selection, column)
    : withListNames(document, selection, compiledPath(lists), column)
}

/** Elements of lists as records, each with the name of its list. */
function withListNames(document: JsonDocument, selection: Selection, lists: JsonPath, column: string): Selection {
  if (selection.count === 0) return selection
  const names = lists.find(document.value(document.root)).flatMap(({ value, key, up }) => {
    const name = typeof key === 'string' ? key : up?.key
    return Array.isArray(value) ? value.map(() => String(name ?? '')) : []
  })
  const { records } = selection
  const spans = elements(records, skipSpace(records, 0))
  if (names.length !== spans.length)
    throw new BodyFormatError('lists with names', `"${lists.text}" leads to something that is not a list`)
  const rows = spans.map((span, index) => keyedRow(records, span, names[index] ?? '', column))
  return { ...selection, records: joined(rows), separators: undefined }
}

function joined(rows: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([OPEN, ...rows.flatMap((row, index) => (index === 0 ? [row] : [COMMA, row])), CLOSE])
}

/** The members of an object as records. An empty list is what some languages make of an empty map. */
function withKeys(document: JsonDocument, selection: Selection, column: string): Selection {
  const { within, met, count } = selection
  if (met === 'nothing' || met === 'null' || (met === 'list' && count === 0)) return selection
  if (met !== 'record' || within === undefined || document.kind(within) !== 'object') {
    throw new BodyFormatError('a map of records', 'the data selector leads to something that is not an object')
  }
  const rows = [...document.members(within)].map(([key, span]) => keyedRow(document.bytes, span, key, column))
  return { records: joined(rows), count: rows.length, met: 'list', within }
}

function keyedRow(bytes: Uint8Array, span: Span, key: string, column: string): Uint8Array {
  const head = `{${JSON.stringify(column)}:${JSON.stringify(key)}`
  if (kindAt(bytes, span.start) !== 'object') {
    return Buffer.concat([Buffer.from(`${head},"value":`), bytes.subarray(span.start, span.end), Buffer.from('}')])
  }
  const own = members(bytes, span.start)
  const same = own.get(column)
  if (same !== undefined) {
    const value = valueAt(bytes, same)
    if (typeof value !== 'object' && String(value) === key) return bytes.subarray(span.start, span.end)
    const problem = `the record ${JSON.stringify(key)} has a field ${JSON.stringify(column)} of its own; choose another \`key_column\``
    throw new BodyFormatError('a map of records', problem)
  }
  const rest = bytes.subarray(skipSpace(bytes, span.start + 1), span.end)
  return Buffer.concat([Buffer.from(own.size === 0 ? head : `${head},`), rest])
}

const OPEN = Buffer.from('[')
const COMMA = Buffer.from(',')
const CLOSE = Buffer.from(']')

/** Lists of values as objects. Other records stay as they are. The list with the names is no record. */
function withNames(
  document: JsonDocument,
  selection: Selection,
  columnsFrom: string | readonly string[],
  state: ShapeState,
): Selection {
  if (selection.count === 0) return selection
  const { records, within } = selection
  const source = typeof columnsFrom === 'string' ? namesIn(document, columnsFrom) : { names: columnsFrom }
  const names = source?.names ?? state.columns
  if (names === undefined) {
    throw new BodyFormatError('a table', `the names of its columns are not at ${JSON.stringify(columnsFrom)}`)
  }
  state.columns = names
  const start = records.buffer === document.bytes.buffer ? records.byteOffset - document.bytes.byteOffset : undefined
  const head = source?.at === undefined || start === undefined || within === undefined ? -1 : source.at - start
  const rows = elements(records, skipSpace(records, 0)).filter(row => row.start !== head)
  const keys = names.map(name => Buffer.from(`${JSON.stringify(name)}:`))
  const perRow = keys.reduce((sum, key) => sum + key.length, 2)
  const out = Buffer.allocUnsafe(records.length + rows.length * perRow + 2)
  let at = out.write('[')
  for (const [index, row] of rows.entries()) {
    if (index > 0) at += out.write(',', at)
    at = kindAt(records, row.start) === 'array' ? namedRow(out, at, records, row, keys) : copied(out, at, records, row)
  }
  at += out.write(']', at)
  return { ...selection, records: out.subarray(0, at), count: rows.length, separators: undefined }
}

function namedRow(out: Buffer, from: number, records: Uint8Array, row: Span, keys: readonly Uint8Array[]): number {
  const values = elements(records, row.start)
  if (values.length > keys.length) {
    const problem = `a row has ${values.length} values, and there are ${keys.length} names; it begins ${excerptOf(records, row)}`
    throw new BodyFormatError('a table', problem)
  }
  let at = from
  for (const [index, value] of values.entries()) {
    out[at++] = index === 0 ? 0x7b : 0x2c
    const key = keys[index] as Uint8Array
    out.set(key, at)
    at = copied(out, at + key.length, records, value)
  }
  if (values.length === 0) out[at++] = 0x7b
  out[at++] = 0x7d
  return at
}

function copied(out: Buffer, at: number, bytes: Uint8Array, { start, end }: Span): number {
  out.set(bytes.subarray(start, end), at)
  return at + end - start
}

function excerptOf(bytes: Uint8Array, { start, end }: Span): string {
  return textAt(bytes, { start, end: Math.min(end, start + 100) })
}

/** The names at a path: one list, or several texts. `at`: where that list begins. */
function namesIn(
  document: JsonDocument,
  text: string,
): { readonly names: readonly string[]; readonly at?: number } | undefined {
  const path = compiledPath(text)
  const spans = document.locate(path)
  const found = spans?.map(span => document.value(span)) ?? path.matches(document.value(document.root))
  const [only] = found
  if (only === undefined) return undefined
  const list = found.length === 1 && Array.isArray(only) ? only : found
  const names = list.map((name, index) => {
    if (typeof name === 'string') return name.trim() === '' ? `column_${index + 1}` : name
    if (typeof name === 'number' || typeof name === 'bigint') return String(name)
    throw new BodyFormatError('a table', `at ${JSON.stringify(text)} are values that are not names`)
  })
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new BodyFormatError('a table', `two columns are called ${JSON.stringify(twice)}`)
  const at = list === only ? spans?.[0]?.start : undefined
  return { names, ...(at !== undefined && { at }) }
}

/** Replaces texts that stand for null, at any depth. Names of members stay. */
function withNulls(selection: Selection, values: readonly string[]): Selection {
  const { records } = selection
  const encoded = new Set(values.map(value => Buffer.from(JSON.stringify(value)).toString('latin1')))
  const meant = new Set(values)
  // An escape takes up to six bytes for one.
  const longest = 2 + 6 * Math.max(...values.map(value => Buffer.byteLength(value)))
  const bytes = Buffer.from(records.buffer, records.byteOffset, records.length)
  const parts: Uint8Array[] = []
  let kept = 0
  for (let at = bytes.indexOf(QUOTE); at >= 0; ) {
    const end = skipValue(bytes, at)
    if (end - at <= longest && isNull(bytes, at, end, encoded, meant)) {
      parts.push(bytes.subarray(kept, at), NULL)
      kept = end
    }
    at = bytes.indexOf(QUOTE, end)
  }
  if (parts.length === 0) return selection
  return { ...selection, records: Buffer.concat([...parts, bytes.subarray(kept)]), separators: undefined }
}

const QUOTE = 0x22
const COLON = 0x3a
const NULL = Buffer.from('null')

function isNull(
  bytes: Buffer,
  start: number,
  end: number,
  encoded: ReadonlySet<string>,
  meant: ReadonlySet<string>,
): boolean {
  const text = bytes.toString('latin1', start, end)
  const isMeant = encoded.has(text) || (text.includes('\\') && meant.has(String(valueAt(bytes, { start, end }))))
  return isMeant && bytes[skipSpace(bytes, end)] !== COLON
}
