import { z } from 'zod'
import { Secret } from '../../core/secret.js'
import type { Authenticator } from '../types.js'

/** One way to authenticate, as `auth.type` names it. */
export interface AuthKind<Schema extends z.ZodType = z.ZodType> {
  readonly type: string
  /** Strict object with the kind's fields, `type` included; secret fields take text or a Secret and give a Secret. */
  readonly schema: Schema
  /** Fields whose value is a Secret. */
  readonly secretFields: readonly string[]
  /** Required fields that are looked for among the secrets when the document leaves them out. */
  readonly lookedUp: readonly string[]
  create(config: z.output<Schema>, context: AuthContext): Authenticator
}

export interface AuthContext {
  /** Key path of the `auth` object, as in `client.auth`, for messages. */
  readonly path: string
}

/** Keeps the schema's type while it goes into the table. */
export function defineAuth<Schema extends z.ZodType>(kind: AuthKind<Schema>): AuthKind<Schema> {
  return kind
}

/** Text, or a Secret resolved before; the output is always a Secret. */
export const secretText = z
  .union([z.string().min(1), z.custom<Secret>(value => value instanceof Secret, 'expected text or a secret')])
  .transform(value => (typeof value === 'string' ? new Secret(value) : value))
