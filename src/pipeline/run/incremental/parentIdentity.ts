import { createHash } from 'node:crypto'
import { compiledPath } from '../../../json/path.js'
import type { JsonObject, JsonValue } from '../../../json/value.js'
import { canonicalJson } from '../../../json/write.js'

/** Digest of the values of a record at these places. Undefined if one is missing or null. */
export function identityOf(record: JsonObject, key: readonly string[]): string | undefined {
  const values = valuesOf(record, key)
  return key.length === 0 || values.some(value => value == null) ? undefined : digestOf(values as JsonValue[], 16)
}

/** The value of a record at this place, or the list of its values at these. Undefined if one is missing or null. */
export function identityValue(record: JsonObject, key: readonly string[]): JsonValue | undefined {
  const values = valuesOf(record, key)
  if (key.length === 0 || values.some(value => value == null)) return undefined
  return key.length === 1 ? values[0] : (values as JsonValue[])
}

/** Whether the record has one of these places. */
export function hasAny(record: JsonObject, paths: readonly string[]): boolean {
  return valuesOf(record, paths).some(value => value !== undefined)
}

/** Digest of what tells that a record changed: the values at these places, or all of it. */
export function versionOf(record: JsonObject, by: readonly string[] | undefined): string {
  return digestOf(by === undefined ? record : [[...by], valuesOf(record, by).map(value => value ?? null)], 12)
}

function valuesOf(record: JsonObject, paths: readonly string[]): (JsonValue | undefined)[] {
  return paths.map(path => (Object.hasOwn(record, path) ? record[path] : compiledPath(path).matches(record)[0]))
}

function digestOf(value: JsonValue, length: number): string {
  return createHash('sha256').update(canonicalJson(value)).digest('base64url').slice(0, length)
}
