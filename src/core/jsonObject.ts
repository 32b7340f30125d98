import { type JsonObject, type JsonValue, keepNumberLiterals } from './json.js'

/** Whether a value is a JSON object: no list, no null, no map. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map)
}

/** The member of an object by a key that comes from data: `__proto__` and `constructor` are keys like others. */
export function member(object: JsonObject | undefined, key: string): JsonValue | undefined {
  return object !== undefined && Object.hasOwn(object, key) ? object[key] : undefined
}

/** {@link member} where it is an object. */
export function objectMember(object: JsonObject | undefined, key: string): JsonObject | undefined {
  const value = member(object, key)
  return isJsonObject(value) ? value : undefined
}

/** A copy of the object without one key; its numbers keep their digits. */
export function withoutMember(object: JsonObject, key: string): JsonObject {
  const copy = Object.fromEntries(Object.entries(object).filter(([name]) => name !== key))
  keepNumberLiterals(object, copy)
  return copy
}

/** A copy of the object with one member set, in its old place or last; its other numbers keep their digits. */
export function withMember(object: JsonObject, key: string, value: JsonValue): JsonObject {
  const copy = { ...object, [key]: value }
  keepNumberLiterals(withoutMember(object, key), copy)
  return copy
}
