import { parseJson } from './parse.js'
import type { JsonPath, JsonTree } from './path.js'
import { skipList, skipLong } from './skip.js'
import type { JsonObject, JsonValue } from './value.js'

/*
 * Finding values in UTF-8 JSON without building objects. What is skipped is checked only as far as skipping needs:
 * brackets and quotes must be balanced, scalars well-formed. Nothing recurses, so depth costs nothing.
 */

/** Bytes of one value, without surrounding white space. */
export interface Span {
  readonly start: number
  /** Exclusive. */
  readonly end: number
  /** Number of elements of an array, if it was counted on the way. */
  readonly count?: number | undefined
  /** Positions of the commas between the elements of a long array, from `start`, if they were recorded on the way. */
  readonly separators?: readonly number[] | undefined
}

export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null'

/** Not JSON, or cut off. `offset` is the byte where this was noticed. */
export class JsonBytesError extends SyntaxError {
  readonly offset: number

  constructor(problem: string, offset: number) {
    super(`${problem} at byte ${offset}`)
    this.name = 'JsonBytesError'
    this.offset = offset
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d

/** The first byte at or after `at` that is not white space. May be the length. */
export function skipSpace(bytes: Uint8Array, at: number): number {
  let next = at
  for (; next < bytes.length; next++) {
    const byte = bytes[next]
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break
  }
  return next
}

/** The end (exclusive) of the value that starts at `at`. */
export function skipValue(bytes: Uint8Array, at: number): number {
  const byte = bytes[at]
  if (byte === QUOTE) return skipString(bytes, at)
  if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) return skipContainer(bytes, at)
  return skipScalar(bytes, at)
}

/** The kind of the value that starts at `at`. */
export function kindAt(bytes: Uint8Array, at: number): JsonKind {
  switch (bytes[at]) {
    case OPEN_OBJECT:
      return 'object'
    case OPEN_ARRAY:
      return 'array'
    case QUOTE:
      return 'string'
    case 0x74:
    case 0x66:
      return 'boolean'
    case 0x6e:
      return 'null'
    default:
      return 'number'
  }
}

/** The whole document: one value, surrounded only by white space and a byte order mark. */
export function documentSpan(bytes: Uint8Array): Span {
  const start = documentStart(bytes)
  return ended(bytes, valueSpan(bytes, start))
}

function documentStart(bytes: Uint8Array): number {
  const mark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
  const start = skipSpace(bytes, mark)
  if (start === bytes.length) throw new JsonBytesError('nothing but white space', start)
  return start
}

function ended(bytes: Uint8Array, root: Span): Span {
  const after = skipSpace(bytes, root.end)
  if (after < bytes.length) throw new JsonBytesError('more after the end of the document', after)
  return root
}

function valueSpan(bytes: Uint8Array, start: number): Span {
  const end = skipValue(bytes, start)
  if (bytes[start] !== OPEN_ARRAY) return { start, end }
  return { start, end, count: elementsSkipped(bytes, start), separators: places }
}

/** Spans of the elements of the array that starts at `at`. */
export function elements(bytes: Uint8Array, at: number): Span[] {
  const spans: Span[] = []
  eachElement(bytes, at, start => {
    const end = skipValue(bytes, start)
    spans.push({ start, end })
    return end
  })
  return spans
}

/** Calls `visit` for each element of the array that starts at `at`. It gets the start of the element and returns its end. */
export function eachElement(bytes: Uint8Array, at: number, visit: (start: number) => number): void {
  let next = skipSpace(bytes, at + 1)
  if (bytes[next] === CLOSE_ARRAY) return
  for (;;) {
    const after = skipSpace(bytes, visit(next))
    if (bytes[after] === CLOSE_ARRAY) return
    if (bytes[after] !== COMMA) throw new JsonBytesError('expected `,` or `]`', after)
    next = skipSpace(bytes, after + 1)
  }
}

/** Number of elements of the array that starts at `at`. Only its commas are counted, so the elements are not checked. */
export function countElements(bytes: Uint8Array, at: number): number {
  skipContainer(bytes, at)
  return elementsSkipped(bytes, at)
}

/** Spans of the members of the object that starts at `at`, by name. A repeated name has its last value and first place. */
export function members(bytes: Uint8Array, at: number): Map<string, Span> {
  return objectAt(bytes, at).members
}

interface ObjectSpan extends Span {
  readonly members: Map<string, Span>
  /** The first name that comes again with another value, which hides the one before. */
  readonly repeated: string | undefined
}

function objectAt(bytes: Uint8Array, at: number): ObjectSpan {
  const members = new Map<string, Span>()
  let repeated: string | undefined
  const end = eachMember(bytes, at, (nameStart, nameEnd, valueStart) => {
    const value = valueSpan(bytes, valueStart)
    const name = stringAt(bytes, { start: nameStart, end: nameEnd })
    const before = members.get(name)
    if (before !== undefined && !hasSameBytes(bytes, before, value)) repeated ??= name
    members.set(name, value)
    return value.end
  })
  return { start: at, end, members, repeated }
}

/** Calls `visit` for each member of the object that starts at `at`; it returns the end of the value. Returns the object's end. */
function eachMember(
  bytes: Uint8Array,
  at: number,
  visit: (nameStart: number, nameEnd: number, valueStart: number) => number,
): number {
  let next = skipSpace(bytes, at + 1)
  if (bytes[next] === CLOSE_OBJECT) return next + 1
  for (;;) {
    if (bytes[next] !== QUOTE) throw new JsonBytesError('expected the name of a member', next)
    const nameEnd = skipString(bytes, next)
    const colon = skipSpace(bytes, nameEnd)
    if (bytes[colon] !== COLON) throw new JsonBytesError('expected `:`', colon)
    const after = skipSpace(bytes, visit(next, nameEnd, skipSpace(bytes, colon + 1)))
    if (bytes[after] === CLOSE_OBJECT) return after + 1
    if (bytes[after] !== COMMA) throw new JsonBytesError('expected `,` or `}`', after)
    next = skipSpace(bytes, after + 1)
  }
}

function hasSameBytes(bytes: Uint8Array, one: Span, other: Span): boolean {
  return Buffer.compare(bytes.subarray(one.start, one.end), bytes.subarray(other.start, other.end)) === 0
}

/** Span of one member of the object that starts at `at`. Of a repeated name, the last one. */
export function member(bytes: Uint8Array, at: number, key: string): Span | undefined {
  return members(bytes, at).get(key)
}

/** Some members of an object that starts at a place in bytes, and where it ends. */
export interface ObjectPart {
  readonly value: JsonObject
  readonly end: number
}

/**
 * Makes a reader of these members of objects, which skips all others. What it reads is as lossless as the whole object: of a
 * repeated name the last value, numbers with their texts.
 */
export function memberReader(names: readonly string[]): (bytes: Uint8Array, at: number) => ObjectPart {
  const wanted = [...new Set(names)].map(name => ({ name, bytes: Buffer.from(name) }))
  return (bytes, at) => {
    let members = ''
    const end = eachMember(bytes, at, (nameStart, nameEnd, valueStart) => {
      const valueEnd = skipValue(bytes, valueStart)
      if (wanted.some(one => isName(bytes, nameStart, nameEnd, one))) {
        members += `${members === '' ? '' : ','}${textAt(bytes, { start: nameStart, end: valueEnd })}`
      }
      return valueEnd
    })
    return { value: parseJson(`{${members}}`) as JsonObject, end }
  }
}

function isName(
  bytes: Uint8Array,
  start: number,
  end: number,
  wanted: { readonly name: string; readonly bytes: Uint8Array },
): boolean {
  const { length } = wanted.bytes
  let hasEscape = false
  let isSame = end - start - 2 === length
  for (let at = start + 1; at < end - 1; at++) {
    isSame &&= bytes[at] === wanted.bytes[at - start - 1]
    hasEscape ||= bytes[at] === BACKSLASH
  }
  return hasEscape ? stringAt(bytes, { start, end }) === wanted.name : isSame
}

/** The value of a span, lossless. Throws if it is not JSON. */
export function valueAt(bytes: Uint8Array, span: Span): JsonValue {
  return parseJson(bytes.subarray(span.start, span.end))
}

/** Bytes as text; invalid UTF-8 becomes U+FFFD. */
export function textAt(bytes: Uint8Array, span: Span): string {
  return view(bytes).toString('utf8', span.start, span.end)
}

/** The text of a string, without its quotes and escapes. */
export function stringAt(bytes: Uint8Array, span: Span): string {
  for (let at = span.start; at < span.end; at++) {
    if (bytes[at] === BACKSLASH) {
      const value = valueAt(bytes, span)
      if (typeof value === 'string') return value
    }
  }
  return textAt(bytes, { start: span.start + 1, end: span.end - 1 })
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function skipString(bytes: Uint8Array, at: number): number {
  const length = bytes.length
  for (let next = at + 1; next < length; next++) {
    const byte = bytes[next]
    if (byte === QUOTE) return next + 1
    if (byte === BACKSLASH) next++
  }
  throw new JsonBytesError('the document ends inside a text', length)
}

const ORDINARY = 0
const STARTS_TEXT = 1
const OPENS = 2
const CLOSES = 3
const SEPARATES = 4

/** The role of a byte outside of texts while skipping: one look-up per byte. */
const roles = new Uint8Array(256)
roles[QUOTE] = STARTS_TEXT
roles[OPEN_OBJECT] = OPENS
roles[OPEN_ARRAY] = OPENS
roles[CLOSE_OBJECT] = CLOSES
roles[CLOSE_ARRAY] = CLOSES
roles[COMMA] = SEPARATES

/** Commas between the elements of the last skipped container. Counting them while skipping costs nothing. */
let commas = 0
/** Their positions, if the container is a long list. */
let places: readonly number[] | undefined

function elementsSkipped(bytes: Uint8Array, at: number): number {
  return commas === 0 && bytes[skipSpace(bytes, at + 1)] === CLOSE_ARRAY ? 0 : commas + 1
}

/** Longer containers are skipped by the kernel, which is ten times as fast on them. */
const SHORT = 2048

function skipContainer(bytes: Uint8Array, at: number): number {
  const length = bytes.length
  let depth = 0
  let separators = 0
  for (let next = at; next < length; next++) {
    if (next - at > SHORT) {
      const list = bytes[at] === OPEN_ARRAY ? skipList(bytes, at) : undefined
      const skipped = list ?? skipLong(bytes, next, depth, separators)
      if (skipped === undefined) break
      commas = skipped.separators
      places = list?.places
      return closed(bytes, at, skipped.end)
    }
    const role = roles[bytes[next]!]
    if (role === ORDINARY) continue
    if (role === STARTS_TEXT) {
      // The loop of `skipString`, inlined: a call for each text would take half of the time.
      for (next++; next < length && bytes[next] !== QUOTE; next++) if (bytes[next] === BACKSLASH) next++
      if (next >= length) break
    } else if (role === SEPARATES) {
      if (depth === 1) separators++
    } else if (role === OPENS) depth++
    else if (--depth === 0) {
      commas = separators
      places = undefined
      return closed(bytes, at, next)
    }
  }
  const kind = bytes[at] === OPEN_OBJECT ? 'an object' : 'an array'
  throw new JsonBytesError(`the document ends inside ${kind}`, length)
}

/** The end of the container that starts at `at` with its last bracket at `last`. */
function closed(bytes: Uint8Array, at: number, last: number): number {
  const closing = bytes[at] === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY
  if (bytes[last] !== closing) throw new JsonBytesError('the brackets do not match', last)
  return last + 1
}

const WORDS: ReadonlyMap<number, Uint8Array> = new Map(
  ['true', 'false', 'null'].map(word => [word.charCodeAt(0), Buffer.from(word)]),
)

function skipScalar(bytes: Uint8Array, at: number): number {
  const word = WORDS.get(bytes[at]!)
  const end = word === undefined ? endOfNumber(bytes, at) : endOfWord(bytes, at, word)
  if (end < 0 || isPartOfScalar(bytes[end])) {
    throw new JsonBytesError(at >= bytes.length ? 'the document ends before a value' : 'expected a value', at)
  }
  return end
}

/** −1 where the word is another one. */
function endOfWord(bytes: Uint8Array, at: number, word: Uint8Array): number {
  for (let next = 0; next < word.length; next++) if (bytes[at + next] !== word[next]) return -1
  return at + word.length
}

/** −1 where no number starts at `at`. */
function endOfNumber(bytes: Uint8Array, at: number): number {
  const first = bytes[at] === MINUS ? at + 1 : at
  let end = bytes[first] === ZERO ? first + 1 : endOfDigits(bytes, first)
  if (bytes[end] === POINT) end = endOfDigits(bytes, end + 1)
  if (end < 0 || (bytes[end]! | 0x20) !== 0x65) return end
  const sign = bytes[end + 1]
  return endOfDigits(bytes, sign === MINUS || sign === PLUS ? end + 2 : end + 1)
}

/** −1 where no digit is. */
function endOfDigits(bytes: Uint8Array, at: number): number {
  let end = at
  while (isDigit(bytes[end])) end++
  return end === at ? -1 : end
}

const MINUS = 0x2d
const PLUS = 0x2b
const POINT = 0x2e
const ZERO = 0x30

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

/** Digits, letters, `+`, `-` and `.` can be part of a scalar; anything else ends it. */
function isPartOfScalar(byte: number | undefined): boolean {
  if (byte === undefined) return false
  const isLetter = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a
  return isLetter || isDigit(byte) || byte === PLUS || byte === MINUS || byte === POINT
}

/** A document held as bytes. The members of an object are searched only once. */
export class JsonDocument {
  readonly bytes: Uint8Array
  readonly root: Span
  readonly #members = new Map<number, Map<string, Span>>()
  readonly #repeated = new Map<number, string>()
  #closed = false
  readonly #tree: JsonTree<Span>

  /** Throws JsonBytesError or JsonSyntaxError if the bytes are not one JSON value, as far as that is noticed. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    const start = documentStart(bytes)
    if (bytes[start] === OPEN_OBJECT) {
      const { end, members, repeated } = objectAt(bytes, start)
      this.root = ended(bytes, { start, end })
      this.#members.set(start, members)
      if (repeated !== undefined) this.#repeated.set(start, repeated)
    } else this.root = ended(bytes, valueSpan(bytes, start))
    this.#tree = {
      kind: span => {
        const kind = kindAt(bytes, span.start)
        return kind === 'object' || kind === 'array' || kind === 'null' ? kind : 'scalar'
      },
      member: (span, key) => this.members(span).get(key),
      members: span => this.members(span).values(),
      elements: span => elements(bytes, span.start),
      value: span => valueAt(bytes, span),
    }
  }

  kind(span: Span): JsonKind {
    return kindAt(this.bytes, span.start)
  }

  /**
   * A name that comes twice with different values in one of the objects that were looked into. Only its last value
   * counts. `except`: the start of an object that does not matter.
   */
  repeatedName(except?: number): string | undefined {
    for (const [start, name] of this.#repeated) if (start !== except) return name
    return undefined
  }

  members(span: Span): ReadonlyMap<string, Span> {
    let found = this.#members.get(span.start)
    if (found === undefined) {
      const { members, repeated } = objectAt(this.bytes, span.start)
      found = members
      if (repeated !== undefined && this.#repeated.size < 64) this.#repeated.set(span.start, repeated)
      // A wildcard may visit every record, but only the first objects, the envelope, are needed again.
      if (this.#members.size < 64) this.#members.set(span.start, found)
    }
    return found
  }

  /** The value of a span, lossless. */
  value(span: Span): JsonValue {
    return valueAt(this.bytes, span)
  }

  /** The bytes will be reused. From now on a search for a path fails instead of reading wrong data. */
  close(): void {
    this.#closed = true
  }

  /** The places that the path matches. Undefined if its matches are not parts of the document (sorted or counted). */
  locate(path: JsonPath): Span[] | undefined {
    if (this.#closed) throw new TypeError('an answer can be looked into only until the one after the next is there')
    return path.locates ? path.locate(this.#tree, this.root) : undefined
  }

  /** The first match, lossless; undefined when there is none. */
  first(path: JsonPath): JsonValue | undefined {
    const spans = this.locate(path)
    if (spans === undefined) return path.matches(valueAt(this.bytes, this.root))[0]
    return spans[0] === undefined ? undefined : valueAt(this.bytes, spans[0])
  }
}
