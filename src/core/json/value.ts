/** A JSON value that keeps its digits: integers beyond ±(2^53−1) are bigint. */
export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | JsonObject

/**
 * Members are own properties, whatever their names (`__proto__` too), in document order, except that JavaScript moves
 * names that look like array indexes to the front.
 */
export interface JsonObject {
  readonly [key: string]: JsonValue
}

/** Containers within containers that are read and written; deeper values are refused, so that no walk can overflow. */
export const MAX_JSON_DEPTH = 1024
