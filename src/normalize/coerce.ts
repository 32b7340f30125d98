import type { DataType } from '../core/schema.js'

/** A value of a JSON document. Literals and JSON texts are as written, texts are unescaped. */
export type JsonScalar =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'bigint'; readonly literal: string }
  | { readonly kind: 'double'; readonly literal: string }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'json'; readonly text: string }

/**
 * A value of a column: text, json, decimal, wei: string · binary: Uint8Array · bigint: bigint (any size) ·
 * double: number · bool: boolean · timestamp, time: bigint µs · date: number of days.
 */
export type Coerced = string | bigint | number | boolean | Uint8Array

/** The value as a value of type `to`; undefined where it does not fit and a variant column takes it. */
export declare function coerce(
  value: JsonScalar,
  to: DataType,
  column?: {
    readonly timezone?: boolean | undefined
    readonly precision?: number | undefined
    readonly scale?: number | undefined
  },
): Coerced | undefined
