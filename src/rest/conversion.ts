import { type JsonValue, stringifyJson } from '../core/json.js'
import { functionError, isPromise, unheard } from '../core/userFunction.js'
import type { IncrementalModel } from './config/model.js'

/**
 * The user's `convert` of a cursor value, undefined where there is none. What it returns is sent: JSON, a Date as its ISO text;
 * null leaves a parameter out. Anything else, and what it throws, is a DataError `user_function` that names its place.
 */
export function conversionOf(
  incremental: IncrementalModel | undefined,
  resource: string,
): ((value: JsonValue) => JsonValue) | undefined {
  const { convert, convertPath = 'convert' } = incremental ?? {}
  if (convert === undefined) return undefined
  return value => {
    try {
      return sendable(convert(value))
    } catch (error) {
      throw functionError(resource, convertPath, error)
    }
  }
}

function sendable(result: unknown): JsonValue {
  unheard(result)
  if (isPromise(result)) throw new TypeError('it must not be async')
  if (result === undefined) throw new TypeError('it returned nothing; return what is to be sent, null to leave it out')
  if (result instanceof Date) return result.toISOString()
  // Throws for what is no data.
  if (typeof result === 'object' || typeof result === 'function') stringifyJson(result)
  return result as JsonValue
}
