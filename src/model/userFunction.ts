import type { JsonObject, JsonValue } from '../json/value.js'
import { DataError, SluiceError, shortened } from './errors.js'

/**
 * A record as a user's function gets it. As with `JSON.parse`, TypeScript does not check its members: they are what the
 * API sent.
 */
export interface GivenRecord {
  readonly [member: string]: ReturnType<typeof JSON.parse>
}

/**
 * A function of a record. It may declare what it expects: `(order: Order) => …`. Nothing checks that the records have that
 * type.
 */
export type RecordFunction<Result> = { call(record: GivenRecord): Result }['call']

/**
 * A record as a user's function may return it: an object, also of an interface or a class, but no list and no promise.
 * Its members are JSON values, dates, bytes, objects with `toJSON`, or undefined. Anything else in it, such as a Map, is
 * an error of the run.
 */
export type MadeRecord = object & {
  readonly [Symbol.iterator]?: never
  readonly [Symbol.asyncIterator]?: never
  readonly then?: JsonValue | undefined
}

/** Whether a user's function returned a promise. Such promises are not awaited, unless documented. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** Ignores the failure of a rejected promise. Nobody awaits it, so its failure would end the process. */
export function unheard(value: unknown): void {
  if (isPromise(value)) void value.then(undefined, () => {})
}

/** What a user's function returned, as an error names it. */
export function shownResult(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (isPromise(value)) return 'a promise'
  if (Array.isArray(value)) return 'a list'
  switch (typeof value) {
    case 'string':
      return `the text ${JSON.stringify(shortened(value, 40))}`
    case 'number':
    case 'bigint':
      return `the number ${value}`
    case 'boolean':
      return String(value)
    case 'object':
      return describeObject(value)
    default:
      return `a ${typeof value}`
  }
}

function describeObject(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || prototype === Object.prototype) return 'an object'
  const { name } = value.constructor
  return typeof name === 'string' && name !== '' ? `an instance of ${name}` : 'an object'
}

/** Whether a value can be a record: a plain object, not a list, promise, date or collection. */
export function isRecord(value: unknown): value is JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || isPromise(value)) return false
  if (value instanceof Date || value instanceof Uint8Array) return false
  return !(Symbol.iterator in value) && !(Symbol.asyncIterator in value)
}

/**
 * The error for a user's function that failed or returned something invalid. `place` says where the function is: its
 * key path, or words with it.
 */
export function functionError(
  resource: string,
  place: string,
  error: unknown,
  { record, path = place }: { readonly record?: unknown; readonly path?: string } = {},
): SluiceError {
  if (error instanceof SluiceError) return error
  const keys =
    typeof record === 'object' && record !== null
      ? shortened(Object.keys(record).slice(0, 20).join(', '), 500)
      : undefined
  const on = keys === undefined ? '' : ` on a record with the keys ${keys}`
  const reason = error instanceof Error ? error.message : String(error)
  return new DataError('user_function', `${resource}: ${place} failed${on}: ${reason}`, {
    resource,
    path,
    cause: error,
  })
}
