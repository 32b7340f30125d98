import { kindAt, memberReader, type Span, skipValue, valueAt } from '../../../json/bytes.js'
import { compilePath, type JsonPath, type PathMatch } from '../../../json/path.js'
import { type JsonObject, type JsonValue, numberLiteral } from '../../../json/value.js'
import { dedupHash } from '../../../model/cursors/boundaryHashes.js'
import { DataError, shortened } from '../../../model/errors.js'
import type { IncrementalHint } from '../../../model/source.js'
import { type Cursor, cursorFrom, isAfter } from './cursorValue.js'

/** A record of a page, of which only what the cursor and its key need has been read. */
export interface Sighting {
  readonly needed: JsonValue
  readonly bytes: Uint8Array
  readonly span: Span
}

/** Reads the cursors and the keys of records. */
export interface SightedRecords {
  sight(bytes: Uint8Array, start: number): Sighting
  /** The furthest of the values. Undefined if there is none; throws a DataError where that is a fault by the document. */
  cursorOf(record: Sighting): Cursor | undefined
  /** As dlt makes it, of the key or of the whole record. Throws a DataError if the record has no key. */
  hashOf(record: Sighting): string
  /** The record as it is. Throws a DataError if it has no key. */
  identified(record: Sighting): Sighting
}

/** `order` compares two values of one record, where the path finds several. */
export function sightedRecords(
  hint: IncrementalHint,
  key: string | readonly string[] | undefined,
  order: (a: Cursor, b: Cursor) => number,
): SightedRecords {
  const path = compilePath(hint.cursorPath)

  const cursorOf = (record: Sighting): Cursor | undefined => {
    const found = matchesOf(record.needed)
    const furthest = found.reduce<Cursor | undefined>((known, match) => {
      if (match.value === null) return known
      const cursor = cursorFrom(match.value, literalOf(match))
      return known === undefined || isAfter(hint, order(cursor, known)) ? cursor : known
    }, undefined)
    if (furthest !== undefined) return furthest
    if (hint.onCursorValueMissing !== 'raise') return undefined
    const why = found.length > 0 ? 'is null' : 'is missing'
    throw new DataError(
      'incremental_cursor',
      `${hint.path}.cursor_path: "${hint.cursorPath}" ${why} in a record with the keys ${keysOf(wholeOf(record))}. Fix the path, or set on_cursor_value_missing to "include" or "exclude".`,
      { path: `${hint.path}.cursor_path` },
    )
  }

  const matchesOf = (record: JsonValue): readonly PathMatch[] => {
    const value = plainKey(record, hint.cursorPath)
    return value === undefined ? path.find(record) : [{ value, container: record as JsonObject, key: hint.cursorPath }]
  }

  const keyOf = (record: Sighting, names: string | readonly string[]): JsonValue => {
    if (typeof names !== 'string') return names.map(name => keyOf(record, name))
    const value = plainKey(record.needed, names)
    if (value !== undefined) return value
    throw new DataError(
      'primary_key',
      `${hint.path}: the primary key "${names}" is missing in a record with the keys ${keysOf(wholeOf(record))}. It tells apart records with equal cursor values; fix it, or set primary_key of the incremental to [].`,
      { path: hint.path },
    )
  }

  return {
    sight: sightings(path, hint.cursorPath, key),
    cursorOf,
    hashOf: record => dedupHash(key === undefined ? wholeOf(record) : keyOf(record, key)),
    identified(record) {
      if (key !== undefined) keyOf(record, key)
      return record
    },
  }
}

/** The text of a record, apart from its page. */
export function textOf({ bytes, span }: Sighting): Uint8Array {
  return new Uint8Array(bytes.subarray(span.start, span.end))
}

/** Reads of the record at a place what the cursor and its key need: these members, where both are members by name. */
function sightings(
  path: JsonPath,
  cursorPath: string,
  key: string | readonly string[] | undefined,
): (bytes: Uint8Array, start: number) => Sighting {
  const whole = (bytes: Uint8Array, start: number): Sighting => {
    const span = { start, end: skipValue(bytes, start) }
    return { needed: valueAt(bytes, span), bytes, span }
  }
  const first = path.steps?.[0]
  if (typeof first !== 'string') return whole
  const readMembers = memberReader([cursorPath, first, ...(key === undefined ? [] : [key].flat())])
  return (bytes, start) => {
    if (kindAt(bytes, start) !== 'object') return whole(bytes, start)
    const { value, end } = readMembers(bytes, start)
    return { needed: value, bytes, span: { start, end } }
  }
}

function wholeOf({ bytes, span }: Sighting): JsonValue {
  return valueAt(bytes, span)
}

function literalOf({ container, key }: PathMatch): string | undefined {
  return container === undefined || key === undefined ? undefined : numberLiteral(container, key)
}

function plainKey(record: JsonValue, key: string): JsonValue | undefined {
  if (record === null || typeof record !== 'object' || Array.isArray(record)) return undefined
  return Object.hasOwn(record, key) ? (record as JsonObject)[key] : undefined
}

function keysOf(record: JsonValue): string {
  return record !== null && typeof record === 'object'
    ? shortened(Object.keys(record).slice(0, 20).join(', '), 500)
    : typeof record
}
