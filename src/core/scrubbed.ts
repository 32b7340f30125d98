import type { Scrubber } from './scrubber.js'

/** The same value with every text in it scrubbed, keys too; what is no plain object, list or text stays. */
export function scrubbed<Value>(value: Value, scrubber: Scrubber): Value {
  return scrubbedValue(value, scrubber) as Value
}

function scrubbedValue(value: unknown, scrubber: Scrubber): unknown {
  if (typeof value === 'string') return scrubber.text(value)
  if (Array.isArray(value)) return value.map(element => scrubbedValue(element, scrubber))
  if (!isPlain(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [scrubber.text(key), scrubbedValue(member, scrubber)]),
  )
}

/** Deeper causes and details than this are not looked into. */
const DEEPEST = 8

/**
 * What was thrown, with message, stack, causes and details scrubbed. An error stays the same object, so that nothing
 * that callers know it by is lost.
 */
export function scrubbedFailure(failure: unknown, scrubber: Scrubber): unknown {
  return cleanDetail(failure, scrubber, DEEPEST, new Set())
}

function cleanDetail(detail: unknown, scrubber: Scrubber, depth: number, seen: Set<object>): unknown {
  if (typeof detail === 'string') return scrubber.text(detail)
  if (typeof detail !== 'object' || detail === null || depth === 0 || seen.has(detail)) return detail
  seen.add(detail)
  const inner = (value: unknown): unknown => cleanDetail(value, scrubber, depth - 1, seen)
  if (detail instanceof Error) {
    // Those of the prototype too: an abort has its message there.
    for (const key of new Set(['message', 'stack', ...Reflect.ownKeys(detail)])) replace(detail, key, inner)
  } else if (Array.isArray(detail) || isPlain(detail)) {
    for (const key of Reflect.ownKeys(detail)) replace(detail, key, inner)
  }
  return detail
}

function replace(holder: object, key: string | symbol, clean: (value: unknown) => unknown): void {
  const before: unknown = Reflect.get(holder, key)
  const after = clean(before)
  if (after === before) return
  const enumerable = Object.getOwnPropertyDescriptor(holder, key)?.enumerable ?? false
  Reflect.defineProperty(holder, key, { value: after, enumerable, configurable: true, writable: true })
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
