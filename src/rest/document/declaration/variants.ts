import { z } from 'zod'
import type { OwnAuthenticator, OwnPaginator } from '../../api.js'
import { authKinds } from '../../auth/authKinds.js'
import { paginatorKinds } from '../../paginators/kinds.js'
import { typescriptOnly } from './pieces.js'
import { strictObject } from './strictObject.js'

type PaginatorSchema = (typeof paginatorKinds)[number]['schema']
type AuthSchema = (typeof authKinds)[number]['schema']

/** Names that `paginator` may be instead of an object. `auto` reads the first page. */
const paginatorShorthands: readonly string[] = [
  'auto',
  ...paginatorKinds.filter(kind => kind.shorthand).flatMap(kind => [kind.type, ...kind.aliases]),
]

const authTypes: readonly string[] = authKinds.map(kind => kind.type)

/** Types whose other keys are all optional. */
type Shorthand = 'auto' | TypeAlone<z.input<PaginatorSchema>>

type TypeAlone<Config> = Config extends { type: infer Type extends string }
  ? { type: Type } extends Config
    ? Type
    : never
  : never

type WrittenAuthType = NonNullable<z.input<AuthSchema>['type']>

/** A user's own paginator object. See `Paginator`. */
const customPaginator = typescriptOnly<OwnPaginator>(
  'a paginator',
  'OwnPaginator',
  value => typeof (value as Partial<OwnPaginator> | null | undefined)?.next === 'function',
)

const customAuthenticator = typescriptOnly<OwnAuthenticator>(
  'an authenticator',
  'OwnAuthenticator',
  value => typeof (value as Partial<OwnAuthenticator> | null | undefined)?.sign === 'function',
)

const autoPaginator = strictObject(() => ({ type: z.literal('auto') })).meta({
  description: 'Looks at the first page: links, totals, cursors.',
})

export const paginator = z
  .union([
    z.enum(paginatorShorthands) as unknown as z.ZodType<Shorthand, Shorthand>,
    discriminated<PaginatorSchema | typeof autoPaginator>([autoPaginator, ...paginatorKinds.map(kind => kind.schema)]),
    customPaginator,
  ])
  .meta({ id: 'paginator' })

/**
 * No field is required here, because missing fields are looked up among the secrets. Each block is checked again once
 * it is complete.
 */
export const auth = z
  .union([
    z.enum(authTypes) as unknown as z.ZodType<WrittenAuthType, WrittenAuthType>,
    discriminated<AuthSchema>(authKinds.map(kind => withoutRequired(kind.type, kind.schema))) as z.ZodType<
      unknown,
      PartialButType<z.input<AuthSchema>>
    >,
    customAuthenticator,
  ])
  .meta({ id: 'auth' })

/** Every field is optional, except the type. The type of bearer is optional too. */
export type PartialButType<Config> = Config extends { type?: infer Type }
  ? 'bearer' extends Type
    ? Partial<Config>
    : { type: Type } & Partial<Omit<Config, 'type'>>
  : Partial<Config>

function discriminated<Schema extends z.ZodType>(
  schemas: readonly z.ZodType[],
): z.ZodType<z.output<Schema>, z.input<Schema>> {
  const options = schemas as unknown as [z.ZodObject, ...z.ZodObject[]]
  return z.discriminatedUnion('type', options) as unknown as z.ZodType<z.output<Schema>, z.input<Schema>>
}

function withoutRequired(type: string, schema: z.ZodType): z.ZodObject {
  return strictObject(() => {
    const shape: Record<string, z.ZodType> = {}
    for (const [field, value] of Object.entries(shapeOf(schema))) {
      shape[field] = field === 'type' ? value : value.nullish().meta(value.meta() ?? {})
    }
    const literal = z.literal(type)
    shape.type = type === 'bearer' ? literal.optional().meta(describeType(schema)) : literal.meta(describeType(schema))
    return shape
  })
}

function describeType(schema: z.ZodType): { description: string } {
  return { description: schema.meta()?.description ?? shapeOf(schema).type?.meta()?.description ?? '' }
}

/** The keys of a strict object, also inside refinements. */
export function shapeOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> {
  return (schema as z.ZodObject).shape as Readonly<Record<string, z.ZodType>>
}
