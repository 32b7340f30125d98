/** A JSON value that keeps its digits: integers beyond ±(2^53−1) are bigint. */
export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | JsonObject

/**
 * Members are own properties, whatever their names (even `__proto__`), in document order. JavaScript moves names that
 * look like array indexes to the front.
 */
export interface JsonObject {
  readonly [key: string]: JsonValue
}

/** Deepest nesting that is read and written. Deeper values are refused, so that no walk can overflow. */
export const MAX_JSON_DEPTH = 1024

/** Most digits of a whole number that is read as one: Python's own limit, so that hostile digits cost no time. */
export const MAX_INTEGER_DIGITS = 4300

const literals = new WeakMap<object, Map<string, string>>()

/**
 * The text of a member's number as it was read, if JavaScript would print it differently (`1.0`, `1e5`, 20 digits).
 * Undefined if the member is no longer that number.
 */
export function numberLiteral(container: object, key: string | number): string | undefined {
  const literal = literals.get(container)?.get(String(key))
  if (literal === undefined) return undefined
  const value = (container as Readonly<Record<string, unknown>>)[key]
  const isThatNumber = typeof value === 'bigint' ? isSpelling(literal, value) : Number(literal) === value
  return isThatNumber ? literal : undefined
}

/** Only a document can spell a whole number differently from its digits, with leading zeros. */
function isSpelling(literal: string, value: bigint): boolean {
  return /^[+-]?\d+$/.test(literal) && BigInt(literal.replace(/^\+/, '')) === value
}

/** Stores the text of a member's number. `undefined` removes the text of an earlier member with that name. */
export function setNumberLiteral(container: object, key: string | number, literal: string | undefined): void {
  const known = literals.get(container)
  if (literal === undefined) known?.delete(String(key))
  else if (known === undefined) literals.set(container, new Map([[String(key), literal]]))
  else known.set(String(key), literal)
}

/** Whether any member of the container may have a stored text. Usually none has, which saves the look-ups. */
export function hasNumberLiterals(container: object): boolean {
  return literals.has(container)
}

/**
 * Lets numbers of `copy` keep their texts if they equal those at the same place in `original`, because `{ ...record }`
 * loses the texts. Containers that both share need nothing.
 */
export function keepNumberLiterals(original: JsonValue, copy: unknown): void {
  if (original === copy || !isContainer(original) || !isContainer(copy)) return
  if (Array.isArray(original) !== Array.isArray(copy)) return
  const before = original as Readonly<Record<string, JsonValue>>
  const after = copy as Readonly<Record<string, unknown>>
  for (const key of Object.keys(after)) {
    if (!Object.hasOwn(before, key)) continue
    const literal = numberLiteral(before, key)
    if (literal === undefined) keepNumberLiterals(before[key] as JsonValue, after[key])
    else if (before[key] === after[key]) setNumberLiteral(after, key, literal)
  }
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** Whether a value is a JSON object: not a list, null or a map. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map)
}

/** The member of an object, by a key from data. `__proto__` and `constructor` are ordinary keys. */
export function member(object: JsonObject | undefined, key: string): JsonValue | undefined {
  return object !== undefined && Object.hasOwn(object, key) ? object[key] : undefined
}

/** Sets a member by a key from data. A plain assignment of `__proto__` would set the prototype. */
export function setMember<Value>(object: Record<string, Value>, key: string, value: Value): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
}

/** The same as {@link member}, if it is an object. */
export function objectMember(object: JsonObject | undefined, key: string): JsonObject | undefined {
  const value = member(object, key)
  return isJsonObject(value) ? value : undefined
}

/** A copy of the object without one key. Its numbers keep their digits. */
export function withoutMember(object: JsonObject, key: string): JsonObject {
  const copy = Object.fromEntries(Object.entries(object).filter(([name]) => name !== key))
  keepNumberLiterals(object, copy)
  return copy
}

/** A copy of the object with one member set, in its old place or last. Its other numbers keep their digits. */
export function withMember(object: JsonObject, key: string, value: JsonValue): JsonObject {
  const copy = { ...object, [key]: value }
  keepNumberLiterals(withoutMember(object, key), copy)
  return copy
}
