import { z } from 'zod'
import type { JsonObject, JsonValue } from '../../../json/value.js'
import type { SecretReference } from '../../../model/secrets/secret.js'
import { Secret } from '../../../model/secrets/secret.js'

/** The description of a key, for editors, `docs/config.md` and the JSON Schema. */
export interface KeyMeaning {
  readonly description: string
  /** As written in a document. */
  readonly default?: JsonValue
  readonly examples?: readonly unknown[]
}

/** An optional key. `null` means the same as a missing key, and also cancels a default. */
export function key<Schema extends z.ZodType>(schema: Schema, meaning: KeyMeaning | string) {
  return schema.nullish().meta(describe(meaning))
}

/** A required key. */
export function required<Schema extends z.ZodType>(schema: Schema, meaning: KeyMeaning | string): Schema {
  return schema.meta(describe(meaning))
}

function describe(meaning: KeyMeaning | string): { description: string } {
  return typeof meaning === 'string' ? { description: meaning } : { ...meaning }
}

/** A value that only a TypeScript document can hold. The JSON Schema leaves it out. `type` is `T` as text, for `configTypes.ts`. */
export function typescriptOnly<T>(expected: string, type: string, test: (value: unknown) => boolean) {
  return z.custom<T>(test, { message: `expected ${expected}`, params: { expected, type } })
}

export function functionOf<T extends (...args: never[]) => unknown>(expected: string, type: string) {
  return typescriptOnly<T>(expected, type, value => typeof value === 'function')
}

/** Text from a reference to a secret. A document writes it as `${secrets.name}` or `secret('name')`. */
export const secretValue = typescriptOnly<Secret | SecretReference>(
  'a secret',
  'Secret | SecretReference',
  value => value instanceof Secret,
)

export const scalar = z.union([z.string(), z.number(), z.boolean(), z.bigint(), z.null()])

/** Any JSON value. It is checked where it is read. */
export const jsonValue = z.unknown() as unknown as z.ZodType<JsonValue, JsonValue>

export const jsonObject = z.record(z.string(), z.unknown()) as unknown as z.ZodType<JsonObject, JsonObject>

export const name = z.string().min(1)
export const names = z.union([z.string(), z.array(z.string())])
export const seconds = z.number().min(0)
export const count = z.int().min(1)
