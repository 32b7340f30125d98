import { elements, JsonDocument, type Span } from '../../json/bytes.js'
import { isJsonObject } from '../../json/value.js'
import { canonicalJson } from '../../json/write.js'
import type { RowValue } from '../../model/destination.js'
import { columnFragment, type KeyNames, tableFragment } from '../../normalize/tables/shapes.js'
import type { DataType, ReadonlyTable } from '../../schema/schemaTypes.js'

/** Bytes with a place in a file, `end` exclusive, and the JSONPath that leads to them. */
export interface Place {
  readonly path: string
  readonly start: number
  readonly end: number
}

/** Where the value of a column stands in an answer. */
export interface PlacedValue extends Place {
  readonly column: string
  /** As the API wrote it, cut after some hundred characters. */
  readonly text: string
  /** Whether the row has this value. Undefined where the types cannot be compared. */
  readonly isEqual: boolean | undefined
}

export interface PlacedRecord {
  /** Of the record: the row, or the element of a list that became the nested row. */
  readonly record: Place
  readonly values: readonly PlacedValue[]
}

/** A row, and the rows above it, of which the first is one of a root table. */
export interface RowLine {
  readonly table: ReadonlyTable
  readonly row: Readonly<Record<string, RowValue>>
  /** Place in the list of the row above. */
  readonly listIndex?: number | undefined
}

/** Longer texts of values are cut. */
const MOST_CHARACTERS = 300

/** Objects that are looked into in one answer. */
const MOST_OBJECTS = 2_000_000

interface TracedRecord {
  readonly span: Span
  readonly path: string
  readonly values: ReadonlyMap<string, Located>
  readonly lists: ReadonlyMap<string, readonly NestedList[]>
}

interface Located {
  readonly span: Span
  readonly path: string
}

interface NestedList extends Located {
  /** The path of its table, before it is shortened. */
  readonly tablePath: string
}

/**
 * The places in a body that hold the record of a row. `keys`: columns of the root row that tell it from others; without them,
 * every value that can be compared must be equal. Several places if records with the same key are equally like the row. Empty
 * if there is none, undefined if the body is not JSON.
 */
export function placedRecords(
  body: Uint8Array,
  bodyStart: number,
  line: readonly [RowLine, ...RowLine[]],
  keys: readonly string[],
  names: KeyNames,
): readonly PlacedRecord[] | undefined {
  const [root, ...nested] = line
  if (!mayHold(body, root, keys)) return []
  const documents = documentsOf(body)
  if (documents === undefined) return undefined
  const alike = documents.flatMap(({ document, path, offset }) => {
    const records = recordsOf(document, path, root, keys, names)
    return records.map(record => ({ ...record, document, offset }))
  })
  const best = Math.max(...alike.map(({ score }) => score))
  return alike
    .filter(({ score }) => score === best)
    .flatMap(({ document, found, offset }) => {
      const own = descended(document, found, nested, names)
      return own === undefined ? [] : [placed(document, own, line.at(-1) ?? root, bodyStart + offset, names)]
    })
}

/** A body without the text of a key cannot hold its record. */
function mayHold(body: Uint8Array, { row }: RowLine, keys: readonly string[]): boolean {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return keys.every(key => {
    const value = row[key]
    const text = typeof value === 'string' || typeof value === 'bigint' ? String(value) : ''
    // Other characters may be written in several ways.
    return !/^[\w.:@ -]+$/.test(text) || bytes.includes(text)
  })
}

interface PlacedDocument {
  readonly document: JsonDocument
  /** How it is reached from the body. */
  readonly path: string
  /** Of its first byte in the body. */
  readonly offset: number
}

/** A body of JSON, or one of JSON in lines. */
function documentsOf(body: Uint8Array): readonly PlacedDocument[] | undefined {
  try {
    return [{ document: new JsonDocument(body), path: '$', offset: 0 }]
  } catch {
    return lineDocuments(body)
  }
}

function lineDocuments(body: Uint8Array): readonly PlacedDocument[] | undefined {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const documents: PlacedDocument[] = []
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, start)
    const end = newline === -1 ? bytes.length : newline
    if (bytes.toString('latin1', start, end).trim() !== '') {
      try {
        const document = new JsonDocument(bytes.subarray(start, end))
        documents.push({ document, path: `$[${documents.length}]`, offset: start })
      } catch {
        return undefined
      }
    }
    start = end + 1
  }
  return documents.length === 0 ? undefined : documents
}

/** The objects of a document that have the key of a row, each with the number of values that agree, less those that do not. */
function recordsOf(
  document: JsonDocument,
  path: string,
  { table, row }: RowLine,
  keys: readonly string[],
  names: KeyNames,
): readonly { readonly found: TracedRecord; readonly score: number }[] {
  const records: { found: TracedRecord; score: number }[] = []
  const open: Located[] = [{ span: document.root, path }]
  let looked = 0
  for (let next = open.pop(); next !== undefined && looked < MOST_OBJECTS; next = open.pop()) {
    const { span, path } = next
    const kind = document.kind(span)
    // A list may have more elements than a call may have arguments.
    if (kind === 'array') for (const element of elementsOf(document, span, path)) open.push(element)
    if (kind !== 'object') continue
    looked++
    for (const [, member] of membersOf(document, span, path)) open.push(member)
    const found = flattened(document, next, table, row, names, table.name)
    const score = agreement(document, found, table, row, keys)
    if (score !== undefined) records.push({ found, score })
  }
  return records
}

function agreement(
  document: JsonDocument,
  { values }: TracedRecord,
  table: ReadonlyTable,
  row: RowLine['row'],
  keys: readonly string[],
): number | undefined {
  const equal = (column: string): boolean | undefined => {
    const located = table.columns.has(column) ? values.get(column) : undefined
    return located === undefined
      ? undefined
      : isSame(document, located.span, row[column] ?? null, table.columns.get(column)?.data_type)
  }
  if (!keys.every(key => equal(key) === true)) return undefined
  const told = [...values.keys()].map(equal)
  const agreed = told.filter(one => one === true).length
  const differing = told.filter(one => one === false).length
  if (keys.length === 0 && (agreed === 0 || differing > 0)) return undefined
  return agreed - differing
}

/** The columns that an object gives values to, and its lists by the name of their table. */
function flattened(
  document: JsonDocument,
  record: Located,
  table: ReadonlyTable,
  row: RowLine['row'],
  names: KeyNames,
  tablePath: string,
): TracedRecord {
  const { naming } = names
  const values = new Map<string, Located>()
  const lists = new Map<string, NestedList[]>()
  const open: { readonly located: Located; readonly above: string }[] = [{ located: record, above: '' }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { located, above } = next
    for (const [key, member] of membersOf(document, located.span, located.path)) {
      const fragment = columnFragment(key, names)
      const name = naming.column(above === '' ? fragment : naming.shortenFragments(above, fragment))
      const kind = document.kind(member.span)
      const isWhole = table.columns.get(name)?.data_type === 'json'
      if (kind === 'object' && !isWhole)
        open.push({ located: member, above: above === '' ? fragment : naming.joinPath(above, fragment) })
      else if (kind === 'array' && !isWhole) {
        const fragments = [tablePath, above, tableFragment(key, names)]
        const child = naming.shortenFragments(...fragments)
        const list = { ...member, tablePath: naming.joinPath(...fragments) }
        lists.set(child, [...(lists.get(child) ?? []), list])
      } else values.set(filledColumn(name, row, names), member)
    }
  }
  return { span: record.span, path: record.path, values, lists }
}

/** A value that did not fit its column is in another one: `<name>__v_<type>`. */
function filledColumn(name: string, row: RowLine['row'], { naming }: KeyNames): string {
  if (row[name] !== null && row[name] !== undefined) return name
  const variant = `${name}${naming.separator}v_`
  return Object.keys(row).find(column => column.startsWith(variant) && row[column] !== null) ?? name
}

/** From the record of a root row to the element that became the nested row. */
function descended(
  document: JsonDocument,
  root: TracedRecord,
  nested: readonly RowLine[],
  names: KeyNames,
): TracedRecord | undefined {
  let found = root
  for (const line of nested) {
    const lists = found.lists.get(line.table.name) ?? []
    const [list] = lists
    // Two lists of one table count on, so that their places say nothing.
    if (list === undefined || lists.length > 1 || line.listIndex === undefined) return undefined
    const element = elementsOf(document, list.span, list.path)[line.listIndex]
    if (element === undefined) return undefined
    found = elementRow(document, element, line, names, list.tablePath)
  }
  return found
}

function elementRow(
  document: JsonDocument,
  element: Located,
  { table, row }: RowLine,
  names: KeyNames,
  tablePath: string,
): TracedRecord {
  const kind = document.kind(element.span)
  if (kind === 'object') return flattened(document, element, table, row, names, tablePath)
  const { naming } = names
  if (kind === 'array') {
    const fragments = [tablePath, naming.identifier('list')]
    const list = { ...element, tablePath: naming.joinPath(...fragments) }
    return { ...element, values: new Map(), lists: new Map([[naming.shortenFragments(...fragments), [list]]]) }
  }
  const column = filledColumn(naming.identifier('value'), row, names)
  return { ...element, values: new Map([[column, element]]), lists: new Map() }
}

function placed(
  document: JsonDocument,
  found: TracedRecord,
  { table, row }: RowLine,
  offset: number,
  { naming: { separator } }: KeyNames,
): PlacedRecord {
  const place = ({ span, path }: Located): Place => ({ path, start: offset + span.start, end: offset + span.end })
  const isNull = ({ span }: Located): boolean => document.kind(span) === 'null'
  // An object that is null has no member: it is why the columns of its members are null.
  const nullObjects = [...found.values].filter(([name, located]) => !table.columns.has(name) && isNull(located))
  const located = (column: string): Located | undefined => {
    const own = found.values.get(column)
    if (own !== undefined || row[column] !== null) return own
    return nullObjects.find(([name]) => column.startsWith(`${name}${separator}`))?.[1]
  }
  return {
    record: place(found),
    values: [...table.columns].flatMap(([column, { data_type }]) => {
      const from = located(column)
      if (from === undefined) return []
      const isEqual = isSame(document, from.span, row[column] ?? null, data_type)
      return [{ column, ...place(from), text: textOf(document, from.span), isEqual }]
    }),
  }
}

function textOf({ bytes }: JsonDocument, { start, end }: Span): string {
  const text = Buffer.from(
    bytes.buffer,
    bytes.byteOffset + start,
    Math.min(end - start, MOST_CHARACTERS * 4),
  ).toString()
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text
}

function membersOf(document: JsonDocument, span: Span, path: string): readonly (readonly [string, Located])[] {
  return [...document.members(span)].map(([key, member]) => [key, { span: member, path: `${path}${step(key)}` }])
}

function elementsOf(document: JsonDocument, span: Span, path: string): readonly Located[] {
  return elements(document.bytes, span.start).map((element, index) => ({ span: element, path: `${path}[${index}]` }))
}

function step(key: string): string {
  return /^[A-Za-z_]\w*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}

/** Whether a value in JSON is the one of a row. Undefined where that cannot be said. */
function isSame(document: JsonDocument, span: Span, value: RowValue, type: DataType | undefined): boolean | undefined {
  const kind = document.kind(span)
  if (value === null || kind === 'null') return value === null && kind === 'null'
  const given = document.value(span)
  const text = kind === 'string' ? String(given) : textOf(document, span)
  switch (type) {
    case 'text':
      return text === value
    case 'bigint':
      return /^-?\d+$/.test(text) ? BigInt(text) === value : undefined
    case 'double':
      return Number(text) === value
    case 'decimal':
    case 'wei':
      return Number(text) === Number(value)
    case 'bool':
      return kind === 'boolean' ? text === String(value) : undefined
    case 'timestamp':
      return isSameTime(text, kind, value)
    case 'date':
      return text.startsWith(String(value)) || undefined
    case 'json':
      return isJson(value) ? canonicalJson(given) === canonicalJson(value) : undefined
    default:
      return undefined
  }
}

function isJson(value: RowValue): value is Exclude<RowValue, Date | Uint8Array> {
  return isJsonObject(value) || Array.isArray(value) || ['string', 'number', 'bigint', 'boolean'].includes(typeof value)
}

function isSameTime(text: string, kind: string, value: RowValue): boolean | undefined {
  if (!(value instanceof Date) || kind !== 'string') return undefined
  const hasZone = /(?:z|[+-]\d\d:?\d\d)$/i.test(text)
  const time = Date.parse(hasZone || !text.includes(':') ? text : `${text}Z`)
  return Number.isNaN(time) ? undefined : time === value.getTime()
}
