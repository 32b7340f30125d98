import type { z } from 'zod'

/** What zod keeps of a schema, as far as the generated files need it. */
export interface Definition {
  readonly type: string
  readonly shape?: Readonly<Record<string, z.ZodType>>
  readonly options?: readonly z.ZodType[]
  readonly innerType?: z.ZodType
  readonly in?: z.ZodType
  readonly element?: z.ZodType
  readonly items?: readonly z.ZodType[]
  readonly valueType?: z.ZodType
  readonly discriminator?: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly catchall?: z.ZodType
  readonly values?: readonly unknown[]
  readonly entries?: Readonly<Record<string, string>>
  readonly defaultValue?: unknown
}

export function definitionOf(schema: z.ZodType): Definition {
  return (schema._zod as unknown as { def: Definition }).def
}

export function defaultOf(schema: z.ZodType): unknown {
  const def = definitionOf(schema)
  if (def.type === 'default') return def.defaultValue
  return def.innerType === undefined ? undefined : defaultOf(def.innerType)
}

export function literalOf(schema: z.ZodType | undefined): string | undefined {
  if (schema === undefined) return undefined
  const def = definitionOf(schema)
  if (def.type === 'literal') return String(def.values?.[0])
  if (def.type === 'enum') return Object.values(def.entries ?? {})[0]
  return def.innerType === undefined ? undefined : literalOf(def.innerType)
}
