import { elements, kindAt, skipSpace, skipValue } from '../../json/bytes.js'
import { separatorsOf } from '../../json/skip.js'
import { naming } from '../../schema/naming.js'

/** The keys of a page's records. */
export interface RecordKeys {
  /** A number for the key of each record, in order: equal for equal keys, never 0. */
  readonly hashes: Float64Array
  /** `declared`: the primary key. `likely`: a field that is usually a key. */
  readonly by: 'declared' | 'likely'
}

/** Fields that usually identify records, used if the document names no key. */
export const LIKELY_KEYS: readonly string[] = ['id', '_id', 'uuid', 'guid', 'uid', 'ID', 'Id', 'key', 'sha', 'slug']

/**
 * The keys of a page's records. `records` is the text of a JSON array. The first record decides between the declared
 * fields and likely ones. Undefined if it has neither, or if a later record lacks them. Only the keys are read.
 * `separators`: positions of the commas between the records, searched if not given.
 */
export function recordKeys(
  records: Uint8Array,
  declared: readonly string[] | undefined,
  separators?: readonly number[],
): RecordKeys | undefined {
  const first = skipSpace(records, 1)
  if (records[first] !== OPEN_OBJECT) return undefined
  const has = (names: readonly string[]): boolean => hashAt(records, first, names.map(nameBytes)) !== undefined
  if (declared !== undefined && declared.length > 0) {
    const names = has(declared) ? declared : spelledIn(records, first, declared)
    if (names === declared || has(names)) return hashed(records, first, names, 'declared', separators)
  }
  const likely = LIKELY_KEYS.find(name => has([name]))
  return likely === undefined ? undefined : hashed(records, first, [likely], 'likely', separators)
}

/** The names as the record spells them: `note_id` may be the column of `noteId`. */
function spelledIn(records: Uint8Array, first: number, names: readonly string[]): readonly string[] {
  const members = memberNames(records, first)
  return names.map(name =>
    members.includes(name) ? name : (members.find(member => columnOf(member) === columnOf(name)) ?? name),
  )
}

function memberNames(bytes: Uint8Array, object: number): readonly string[] {
  const names: string[] = []
  let next = skipSpace(bytes, object + 1)
  while (bytes[next] === QUOTE) {
    const end = skipValue(bytes, next)
    names.push(JSON.parse(Buffer.from(bytes.subarray(next, end)).toString('utf8')))
    const after = skipSpace(bytes, valueEnd(bytes, skipSpace(bytes, skipSpace(bytes, end) + 1)))
    if (bytes[after] !== COMMA) break
    next = skipSpace(bytes, after + 1)
  }
  return names
}

const snakeCase = naming('snake_case')

function columnOf(name: string): string {
  return name.trim() === '' ? name : snakeCase.identifier(name)
}

function hashed(
  records: Uint8Array,
  first: number,
  fields: readonly string[],
  by: RecordKeys['by'],
  commas: readonly number[] = separatorsOf(records),
): RecordKeys | undefined {
  const names = fields.map(nameBytes)
  const hashes = new Float64Array(commas.length + 1)
  for (let index = 0; index < hashes.length; index++) {
    const at = index === 0 ? first : skipSpace(records, (commas[index - 1] as number) + 1)
    const hash = hashAt(records, at, names)
    if (hash === undefined) return undefined
    hashes[index] = hash
  }
  return { hashes, by }
}

/** One number for all keys of a page, and for what came before them. */
export function keysDigest({ hashes }: Pick<RecordKeys, 'hashes'>, before = hashes.length): number {
  let digest = before
  for (let index = 0; index < hashes.length; index++) digest = mixed(digest, hashes[index] as number)
  return digest
}

/** Most members of a record that are compared with another record. */
const MOST_MEMBERS = 32

/** Data about a page's first record, to compare it with other pages. */
export interface FirstRecord {
  /** A number for each of its first members, from name and value. Empty if it is not an object. */
  readonly members: readonly number[]
  /** One number for the days, months, years and full minutes in it. */
  readonly periods: number
}

export function firstRecord(records: Uint8Array): FirstRecord {
  const first = skipSpace(records, 1)
  if (records[first] !== OPEN_OBJECT) return { members: [], periods: 0 }
  const members: number[] = []
  let next = skipSpace(records, first + 1)
  let end = next
  while (records[next] === QUOTE && members.length < MOST_MEMBERS) {
    end = valueEnd(records, skipSpace(records, skipSpace(records, skipValue(records, next)) + 1))
    members.push(hashOf(records, next, end))
    const after = skipSpace(records, end)
    if (records[after] !== COMMA) break
    next = skipSpace(records, after + 1)
  }
  return { members, periods: periodsIn(records.subarray(first, Math.min(end, first + MOST_TEXT))) }
}

/** A value of a record that may be a time, or a version number, by its name or form. */
export interface Moment {
  readonly name: string
  /** Milliseconds since 1970, if it is a time. */
  readonly value: number
  readonly isTime: boolean
}

/** Names of times and counters. The second pattern matches times of answers, not of records. */
const OF_MOMENTS =
  /(?:^|_)(?:[aA]t|[dD]ate|[tT]ime|[tT]s|[wW]hen|[mM]oment|[eE]poch|[tT]imestamp|[pP]eriod|[vV]ersion|[rR]evision|[sS]eq|[sS]equence|[sS]tep|[rR]ound|[iI]teration)$|[a-z](?:At|Date|Time|Ts|Epoch|Timestamp|Version|Revision)$/
const OF_ANSWERS =
  /^_*(?:(?:fetched|retrieved|served|generated|requested|queried|cached|accessed|viewed|rendered|polled|read|loaded|exported|responded|last_?(?:seen|viewed|accessed|fetched|read))_?(?:at|on|time|date|ts)?|now|(?:server|response|request|query|current|system)_?(?:time|date|ts|timestamp)(?:_?ms)?)$/i

/** Moments in a page's first record, at its top or in nested objects. */
export function momentsOf(records: Uint8Array): readonly Moment[] {
  const first = skipSpace(records, 1)
  if (records[first] !== OPEN_OBJECT) return []
  const end = skipValue(records, first)
  if (end - first > MOST_TEXT) return []
  const text = Buffer.from(records.buffer, records.byteOffset + first, end - first).toString('utf8')
  return [...text.matchAll(MEMBER)].flatMap(([, name = '', quoted, number]): Moment[] => {
    if (OF_ANSWERS.test(name)) return []
    const value = quoted === undefined ? Number(number) : Date.parse(quoted)
    if (Number.isNaN(value)) return []
    const isEpoch = quoted === undefined && ((value > 9e8 && value < 3e9) || (value > 9e11 && value < 3e12))
    if (quoted === undefined && !isEpoch && !OF_MOMENTS.test(name)) return []
    if (quoted !== undefined && !/^\d{4}-\d\d/.test(quoted)) return []
    return [{ name, value: isEpoch && value < 3e9 ? value * 1000 : value, isTime: quoted !== undefined || isEpoch }]
  })
}

const MEMBER = /"([^"\\]{1,64})"\s*:\s*(?:"([^"\\]{4,40})"|(-?\d+(?:\.\d+)?))(?=\s*[,}])/g

/** Bytes of a record that are searched for times. */
const MOST_TEXT = 4096

/** Dates and times without seconds, numbers under names such as `year`, and seconds or milliseconds since 1970. */
const PERIOD =
  /"(?:year|quarter|month|week|day|hour|period|season)"\s*:\s*(?:"[^"]{1,32}"|-?\d+)|"\d{4}-(?:\d\d|Q\d|W\d\d)(?:-\d\d)?(?:[T ]\d\d:\d\d(?::00(?:\.0+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"|:\s*(?:1\d{9}|1\d{12})(?=[\s,}])/gi

/** An API stamps repeated records with seconds. A time without seconds therefore belongs to the record. */
function periodsIn(record: Uint8Array): number {
  let all = 0
  for (const [text] of Buffer.from(record.buffer, record.byteOffset, record.length)
    .toString('latin1')
    .matchAll(PERIOD)) {
    const epoch = text.startsWith(':') ? Number(text.slice(1)) : 0
    if (epoch % (epoch > 1e12 ? 60_000 : 60) !== 0) continue
    const bytes = Buffer.from(text, 'latin1')
    all = mixed(all, hashOf(bytes, 0, bytes.length))
  }
  return all
}

/** A number for each record of a page, from its key or, without a key, from its text. */
export function recordNumbers(records: Uint8Array, declared: readonly string[] | undefined): readonly number[] {
  const keys = recordKeys(records, declared)
  return keys === undefined ? textNumbers(records) : [...keys.hashes]
}

/** A number for the text of each record of a page. */
export function textNumbers(records: Uint8Array): readonly number[] {
  return elements(records, skipSpace(records, 0)).map(({ start, end }) => hashOf(records, start, end))
}

/** A number for the values of these names in the object at `at`. Undefined if one is missing or null. */
function hashAt(bytes: Uint8Array, at: number, names: readonly Uint8Array[]): number | undefined {
  if (bytes[at] !== OPEN_OBJECT) return undefined
  if (names.length === 1) return valueHash(bytes, at, names[0] as Uint8Array)
  let all = 0
  for (const name of names) {
    const hash = valueHash(bytes, at, name)
    if (hash === undefined) return undefined
    all = mixed(all, hash)
  }
  return all
}

function valueHash(bytes: Uint8Array, object: number, name: Uint8Array): number | undefined {
  let next = skipSpace(bytes, object + 1)
  while (bytes[next] === QUOTE) {
    const nameStart = next + 1
    const nameEnd = skipValue(bytes, next)
    const value = skipSpace(bytes, skipSpace(bytes, nameEnd) + 1)
    const end = valueEnd(bytes, value)
    if (nameEnd - 1 - nameStart === name.length && equals(bytes, nameStart, name)) {
      return kindAt(bytes, value) === 'null' ? undefined : hashOfKey(bytes, value, end)
    }
    const after = skipSpace(bytes, end)
    if (bytes[after] !== COMMA) return undefined
    next = skipSpace(bytes, after + 1)
  }
  return undefined
}

/** Of a key, however it is spelled: `1`, `1.0` and `"1"` become one value of a column, as `"a"` and `"\u0061"` do. */
function hashOfKey(bytes: Uint8Array, start: number, end: number): number {
  const isText = bytes[start] === QUOTE
  for (let at = start; at < end; at++) {
    const byte = bytes[at]
    if (byte !== BACKSLASH && (isText || byte !== POINT)) continue
    const spelled = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8')
    const plain = Buffer.from(isText ? textOf(spelled) : spelled.replace(/^(-?\d+)\.0+$/, '$1'))
    return hashOf(plain, 0, plain.length)
  }
  return isText ? hashOf(bytes, start + 1, end - 1) : hashOf(bytes, start, end)
}

/** Texts are checked when the body is read. */
function textOf(spelled: string): string {
  try {
    return String(JSON.parse(spelled))
  } catch {
    return spelled
  }
}

/** Scalars are checked elsewhere: when the body is read, or when rows are made. Here only their end is found. */
function valueEnd(bytes: Uint8Array, at: number): number {
  const byte = bytes[at]
  if (byte === QUOTE || byte === OPEN_OBJECT || byte === OPEN_ARRAY) return skipValue(bytes, at)
  let end = at
  while (end < bytes.length && bytes[end] !== COMMA && bytes[end] !== CLOSE_OBJECT && (bytes[end] as number) > 0x20)
    end++
  return end
}

function equals(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let index = 0; index < name.length; index++) if (bytes[at + index] !== name[index]) return false
  return true
}

/** 52 bits from two FNV-1a hashes with different start values. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let low = 0x811c9dc5
  let high = 0x01234567
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    low = Math.imul(low ^ byte, 0x01000193)
    high = Math.imul(high ^ byte, 0x5bd1e995) ^ (high >>> 13)
  }
  return (low >>> 0) * 0x100000 + (high & 0xfffff) + 1
}

/** One number for two, in which their order counts. */
function mixed(a: number, b: number): number {
  const low = Math.imul((a >>> 0) ^ 0x9e3779b1, 0x85ebca6b) ^ (b >>> 0)
  const high = Math.imul(Math.floor(a / 0x100000000) ^ low, 0xc2b2ae35) ^ Math.floor(b / 0x100000000)
  return (Math.imul(low, 0x27d4eb2f) >>> 0) * 0x100000 + (high & 0xfffff) + 1
}

const QUOTE = 0x22
const COMMA = 0x2c
const POINT = 0x2e
const BACKSLASH = 0x5c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b

function nameBytes(name: string): Uint8Array {
  return Buffer.from(JSON.stringify(name).slice(1, -1))
}
