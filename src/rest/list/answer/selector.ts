import {
  countElements,
  elements,
  type JsonDocument,
  kindAt,
  type Span,
  skipSpace,
  textAt,
  valueAt,
} from '../../../json/bytes.js'
import { compiledPath, compilePath, type JsonPath } from '../../../json/path.js'
import { joinRecords } from '../../../json/records.js'
import { isJsonObject, numberLiteral } from '../../../json/value.js'
import { stringifyJson } from '../../../json/write.js'
import { shortened } from '../../../model/errors.js'
import { nearMiss } from '../../../model/texts/nearMiss.js'
import type { RecordField } from '../../api.js'

/** The first match of a path in each record of a page, in order. A number's text has the digits as sent. */
export function fieldsOf({ records, count }: Selection, path: string): readonly (RecordField | undefined)[] {
  if (count === 0) return []
  const compiled = compiledPath(path)
  return elements(records, skipSpace(records, 0)).map(span => {
    const record = valueAt(records, span)
    if (isJsonObject(record) && Object.hasOwn(record, path)) return fieldAt(record, path)
    const [match] = compiled.find(record)
    if (match === undefined) return undefined
    const { container, key, value } = match
    if (container !== undefined && key !== undefined) return fieldAt(container, key)
    return { value, text: String(value) }
  })
}

/** The names of the members of a record of a page. */
export function namesOf({ records, count }: Selection, index: number): readonly string[] {
  const span = count === 0 ? undefined : elements(records, skipSpace(records, 0))[index]
  const record = span === undefined ? undefined : valueAt(records, span)
  return isJsonObject(record) ? Object.keys(record) : []
}

function fieldAt(container: object, key: string | number): RecordField {
  const value = (container as Readonly<Record<string | number, RecordField['value']>>)[key] ?? null
  return { value, text: numberLiteral(container, key) ?? String(value) }
}

/** The nodes that are not null. The others are counted. */
export function withoutNulls(selection: Selection): Selection {
  const { records, count } = selection
  if (!bufferOf(records).includes('null')) return selection
  const spans = elements(records, skipSpace(records, 0)).filter(({ start }) => kindAt(records, start) !== 'null')
  if (spans.length === count) return selection
  const nulls = count - spans.length
  return { ...selection, records: joinRecords(records, spans), count: spans.length, separators: undefined, nulls }
}

/** Whether a record holds a connection with more pages. */
export function hasMoreInside({ records }: Selection): boolean {
  const bytes = bufferOf(records)
  for (let at = bytes.indexOf(KEY); at >= 0; at = bytes.indexOf(KEY, at + KEY.length)) {
    const colon = skipSpace(bytes, at + KEY.length)
    const value = skipSpace(bytes, colon + 1)
    if (bytes[colon] === COLON && bytes.toString('latin1', value, value + 4) === 'true') return true
  }
  return false
}

const KEY = '"hasNextPage"'
const COLON = 0x3a

function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length)
}

/** Records selected from a body. */
export interface Selection {
  /** UTF-8 text of one JSON array. It is part of the body if the records are one list there. */
  readonly records: Uint8Array
  readonly count: number
  /** Positions of the commas between the records, if they were recorded. */
  readonly separators?: readonly number[] | undefined
  /**
   * What the selector found: one list, null in its place, one value that is the record, several of them, or nothing.
   * Null counts as an empty list. If nothing was found, the list may be somewhere else.
   */
  readonly met: 'list' | 'null' | 'record' | 'records' | 'nothing'
  /** From the first to the last match, if the matches are parts of the body. */
  readonly within?: Span | undefined
  /** Null nodes of a Relay connection that were left out. */
  readonly nulls?: number | undefined
  /** The whole body is the record only by a guess. */
  readonly isGuess?: boolean | undefined
}

const empty: Uint8Array = Buffer.from('[]')

/** A selection that found nothing. */
export const nothing: Selection = { records: empty, count: 0, met: 'nothing' }

/**
 * Records of a body. A single match that is a list gives its elements. Any other single match is one record, except
 * null, which is none. Several matches are the records themselves. `undefined`: no match.
 */
export function select(document: JsonDocument, path: JsonPath): Selection | undefined {
  const located = document.locate(path)
  if (located === undefined) return computed(document, path)
  const exact = isKeyOf(document, path) ? document.locate(compilePath(pathOfKeys([path.text]))) : undefined
  const spans = exact ?? located
  const [only, second] = spans
  if (only === undefined) return undefined
  if (second !== undefined) {
    const within = { start: only.start, end: (spans.at(-1) as Span).end }
    return { records: joinRecords(document.bytes, spans), count: spans.length, met: 'records', within }
  }
  switch (document.kind(only)) {
    case 'null':
      return { ...nothing, met: 'null' }
    case 'array':
      return {
        records: document.bytes.subarray(only.start, only.end),
        count: only.count ?? countElements(document.bytes, only.start),
        separators: only.separators,
        met: 'list',
        within: only,
      }
    default:
      return { records: joinRecords(document.bytes, [only]), count: 1, met: 'record', within: only }
  }
}

/** Whether a path of several steps has no match, but the body has its whole text as one key, as in `@odata.nextLink`. */
export function isKeyOf(document: JsonDocument, path: JsonPath): boolean {
  const { text, steps, locates } = path
  if (!locates || steps === undefined || steps.length < 2 || document.kind(document.root) !== 'object') return false
  return document.members(document.root).has(text) && document.locate(path)?.length === 0
}

/** For paths that sort or count: their matches are written again, and numbers keep their digits. */
function computed(document: JsonDocument, path: JsonPath): Selection | undefined {
  const matches = path.matches(valueAt(document.bytes, document.root))
  const [only] = matches
  if (only === undefined) return undefined
  if (matches.length === 1 && only === null) return { ...nothing, met: 'null' }
  const isList = matches.length === 1 && Array.isArray(only)
  const list = isList ? only : matches
  return { records: Buffer.from(stringifyJson(list)), count: list.length, met: isList ? 'list' : 'records' }
}

/** The first `limit` records of a selection. */
export function truncate(selection: Selection, limit: number): Selection {
  if (selection.count <= limit) return selection
  if (limit <= 0) return { ...selection, records: empty, count: 0 }
  const last = elements(selection.records, 0)[limit - 1] as Span
  const records = Buffer.concat([selection.records.subarray(0, last.end), Buffer.from(']')])
  return { ...selection, records, count: limit, separators: undefined }
}

/** The records of a selection for which `keeps` is true, by their place and index. */
export function recordsWhere(selection: Selection, keeps: (span: Span, index: number) => boolean): Selection {
  const { records } = selection
  const spans = elements(records, skipSpace(records, 0)).filter(keeps)
  return { ...selection, records: joinRecords(records, spans), count: spans.length, separators: undefined }
}

/** Keys that usually hold the list of records. The first list with such a key wins. */
const usualKeys = new Set([
  'data',
  'items',
  'results',
  'entries',
  'records',
  'rows',
  'entities',
  'payload',
  'content',
  'objects',
  'values',
])

/** Keys of lists that are not the records. */
const besideKeys = new Set(['link', 'links', '_links', 'errors', 'warnings'])

const DEEPEST_LIST = 3

export interface DetectedSelector {
  /** Undefined: the body seems to have null instead of its list. */
  readonly path: JsonPath | undefined
  readonly why: string
  /** Whether later pages use the same path. No, if the body has no list: this page may just be empty. */
  readonly sticks: boolean
}

/**
 * Guesses where the records are. If the body is not an object, it is the body. Else it is the first list with a usual
 * key, else the first list without an excluded key, depth first, up to three keys deep. Else the whole object is one
 * record.
 */
export function detectSelector(document: JsonDocument): DetectedSelector {
  if (document.kind(document.root) !== 'object') {
    return { path: compilePath('$'), why: 'the body is not an object', sticks: true }
  }
  const lists = listsOf(document)
  const usual = lists.find(keys => usualKeys.has(keys.at(-1) ?? ''))
  const chosen = usual ?? lists.find(keys => !besideKeys.has(keys.at(-1) ?? '')) ?? lists[0]
  if (chosen === undefined || isFault(chosen)) {
    const isEnvelope = hasOnlyEnvelope(document)
    return { path: isEnvelope ? undefined : compilePath('$'), why: 'the body has no list', sticks: false }
  }
  let why = 'it is the first list with a usual name'
  if (usual === undefined && lists.length === 1) why = 'it is the only list in the body'
  else if (usual === undefined)
    why = `it is the first${chosen === lists[0] ? '' : ' with records'} of ${lists.length} lists in the body`
  return { path: compilePath(pathOfKeys(chosen)), why, sticks: true }
}

/** Whether a body has any list, up to three keys deep. */
export function hasList(document: JsonDocument): boolean {
  return document.kind(document.root) !== 'object' || listsOf(document).length > 0
}

/** The keys that lead to each list of the body, depth first, up to three keys deep. */
function listsOf(document: JsonDocument): readonly (readonly string[])[] {
  const lists: string[][] = []
  collectLists(document, document.root, [], lists)
  return lists
}

/** Names of members next to a list, without case, `_`, `-`, `$` and `@`. */
const ENVELOPE_NAME =
  /^(?:(?:.*total.*|.*count|.*pages?|page.*|next.*|prev(?:ious)?.*|has.*|is.*|links?|meta(?:data)?|paging|pagination|cursors?|limit|offset|size|per_?page|start|first|last|took|status|success|ok|errors?|message|code|kind|etag|self|version|timestamp|requestid)|odata.*)$/

/** Whether this is a list of errors, which are not records. */
function isFault(keys: readonly string[]): boolean {
  return keys.length === 1 && /^(?:errors|warnings)$/i.test(keys[0] ?? '')
}

/** Whether an object without a list looks like an envelope: null instead of the list, errors, and no members of a record. */
function hasOnlyEnvelope(document: JsonDocument): boolean {
  let isEnvelope = false
  for (const [key, span] of document.members(document.root)) {
    const name = key.toLowerCase().replace(/[-_@$. ]/g, '')
    if (/^(?:errors|warnings)$/.test(name)) isEnvelope = true
    else if (document.kind(span) === 'null' && !ENVELOPE_NAME.test(name)) isEnvelope = true
    else if (!ENVELOPE_NAME.test(name)) return false
  }
  return isEnvelope
}

function collectLists(document: JsonDocument, span: Span, keys: readonly string[], found: string[][]): void {
  if (keys.length >= DEEPEST_LIST) return
  for (const [key, value] of document.members(span)) {
    const kind = document.kind(value)
    if (kind === 'array') found.push([...keys, key])
    else if (kind === 'object') collectLists(document, value, [...keys, key], found)
  }
}

/** A JSONPath for a chain of keys, with quotes where needed. */
export function pathOfKeys(keys: readonly string[]): string {
  return keys
    .map((key, index) => {
      if (/^@?[A-Za-z_][A-Za-z0-9_@-]*$/.test(key)) return index === 0 ? key : `.${key}`
      return `['${key.replace(/[\\']/g, '\\$&')}']`
    })
    .join('')
}

/** Describes a body, for the message about a selector without a match. `shown`: its beginning. */
export function describeBody(document: JsonDocument, selector: string, shown: string): string {
  const begins = `it begins ${shown}`
  if (document.kind(document.root) !== 'object') return `the body is not an object; ${begins}`
  const keys = [...document.members(document.root).keys()]
  const lists = listsOf(document)
  const near = nearMiss(selector, [...lists.map(pathOfKeys), ...keys])
  const hint = near === undefined ? '' : ` (did you mean ${JSON.stringify(shortened(near))}?)`
  const found = lists.length === 0 ? 'no lists' : `lists at ${lists.slice(0, 10).map(pathOfKeys).join(', ')}`
  const names = keys.length === 0 ? 'no keys' : `the keys ${shortened(keys.slice(0, 20).join(', '), 500)}`
  return `the body has ${names} and ${found}${hint}; ${begins}`
}

const EXCERPT_BYTES = 200
/** As many show what kind of file it is. */
const BINARY_BYTES = 8

/** The beginning of a body, on one line and quoted. */
export function excerpt(bytes: Uint8Array): string {
  const most = bytes.subarray(0, BINARY_BYTES).includes(0) ? BINARY_BYTES : EXCERPT_BYTES
  const text = textAt(bytes, { start: 0, end: Math.min(bytes.length, most) })
    .replace(/\uFFFD$/, '')
    .replace(/\s+/g, ' ')
    .trim()
  // JSON is readable as it is: in quotes, each quotation mark of its own would be escaped.
  const shown = /^[[{]\P{Cc}*$/u.test(text) ? text : JSON.stringify(text)
  return bytes.length > most ? `${shown}…` : shown
}
