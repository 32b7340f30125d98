/** A JSON value that keeps its digits: integers beyond ±(2^53−1) are bigint. */
export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | JsonObject
export interface JsonObject {
  readonly [key: string]: JsonValue
}

/** Containers within containers that are read and written; deeper documents are refused. */
export const MAX_JSON_DEPTH = 1024

/** A text that is not JSON. `offset` counts UTF-16 code units of the text. */
export class JsonSyntaxError extends SyntaxError {
  readonly offset: number

  constructor(message: string, offset: number) {
    super(`${message} at offset ${offset}`)
    this.name = 'JsonSyntaxError'
    this.offset = offset
  }
}

/** Reads a JSON text without losing digits. Throws {@link JsonSyntaxError}. */
export declare function parseJson(text: string | Uint8Array): JsonValue
/** The text of a number as it was read, where JavaScript would print it otherwise (`1.0`, `1e5`, 20 digits). */
export declare function numberLiteral(container: object, key: string | number): string | undefined
/** Lets equal numbers of `copy` keep the texts they have in `original`, e.g. after `{ ...record }`. */
export declare function keepNumberLiterals(original: JsonValue, copy: unknown): void
/** Compact JSON. */
export declare function stringifyJson(value: unknown): string
/** JSON as orjson's `OPT_SORT_KEYS` prints it, the input of every hash. */
export declare function canonicalJson(value: JsonValue): string
