import { decoded } from '../../../rest/http/redact.js'
import { listOf, type Members, membersOf, textOf } from '../../sourceData.js'

/** What a schema says of its values: references followed, `allOf` merged, the alternatives of `oneOf` and `anyOf` united. */
export interface SchemaShape {
  readonly kind: 'object' | 'array' | 'scalar' | 'unknown'
  /** JSON's name of a scalar: `string`, `integer`, `number`, `boolean`. */
  readonly type: string | undefined
  readonly format: string | undefined
  readonly properties: ReadonlyMap<string, unknown>
  readonly required: ReadonlySet<string>
  /** Schema of the elements of a list. */
  readonly items: unknown
  /** Schema of the members of a map, if it has one. */
  readonly members: unknown
  readonly description: string | undefined
  /** The value that the schema gives for one that is left out. */
  readonly default: unknown
  readonly example: unknown
  readonly enum: readonly unknown[]
  readonly minimum: number | undefined
  readonly maximum: number | undefined
  /** A reference that is not followed: to another file or host, or to nothing. */
  readonly missing: string | undefined
}

const NOTHING: SchemaShape = {
  kind: 'unknown',
  type: undefined,
  format: undefined,
  properties: new Map(),
  required: new Set(),
  items: undefined,
  members: undefined,
  description: undefined,
  default: undefined,
  example: undefined,
  enum: [],
  minimum: undefined,
  maximum: undefined,
  missing: undefined,
}

/** References in a row. */
const LONGEST_CHAIN = 64
/** Parts of one schema that are merged, and properties of it. Real ones have fewer; hostile ones end here. */
const MOST_PARTS = 100
const MOST_PROPERTIES = 2_000

/** Reads the schemas of one document. Every schema is read once, however often it is referred to. */
export class Schemas {
  readonly #root: unknown
  readonly #known = new Map<unknown, SchemaShape>()

  constructor(root: unknown) {
    this.#root = root
  }

  /** What a reference stands for, or the value itself. References to other files or hosts are never followed. */
  follow(value: unknown): { readonly value: unknown; readonly missing?: string | undefined } {
    let current = value
    for (let hops = 0; hops < LONGEST_CHAIN; hops++) {
      const reference = membersOf(current).$ref
      if (typeof reference !== 'string') return { value: current }
      const found = reference.startsWith('#') ? this.#at(reference) : undefined
      if (found === undefined) return { value: undefined, missing: reference }
      current = found
    }
    return { value: undefined, missing: String(membersOf(value).$ref) }
  }

  object(value: unknown): Members {
    return membersOf(this.follow(value).value)
  }

  shape(schema: unknown): SchemaShape {
    const { value, missing } = this.follow(schema)
    if (missing !== undefined) return { ...NOTHING, missing }
    const known = this.#known.get(value)
    if (known !== undefined) return known
    if (typeof value !== 'object' || value === null) return NOTHING
    // A schema that contains itself in `allOf` adds nothing to itself.
    this.#known.set(value, NOTHING)
    const shape = this.#read(membersOf(value))
    this.#known.set(value, shape)
    return shape
  }

  #at(reference: string): unknown {
    let current = this.#root
    for (const step of reference.slice(1).split('/').slice(1)) {
      const key = decoded(step).replaceAll('~1', '/').replaceAll('~0', '~')
      if (typeof current !== 'object' || current === null || !Object.hasOwn(current, key)) return undefined
      current = (current as Members)[key]
    }
    return current
  }

  #read(schema: Members): SchemaShape {
    const own = ownShape(schema)
    const parts = listOf(schema.allOf).slice(0, MOST_PARTS)
    const choices = [...listOf(schema.oneOf), ...listOf(schema.anyOf)].slice(0, MOST_PARTS)
    const all = [...parts.map(part => this.shape(part)), this.#united(choices), own]
    return all.reduce(merged, NOTHING)
  }

  /** A list wins over an object, and an object over a scalar: each may be what arrives. */
  #united(choices: readonly unknown[]): SchemaShape {
    const shapes = choices.map(choice => this.shape(choice))
    const chosen = ['array', 'object', 'scalar'].find(kind => shapes.some(shape => shape.kind === kind))
    const alike = shapes.filter(({ kind }) => kind === chosen)
    const [first] = alike
    if (first === undefined) return shapes.find(({ missing }) => missing !== undefined) ?? NOTHING
    if (alike.length === 1) return first
    const types = new Set(alike.map(({ type }) => type))
    const formats = new Set(alike.map(({ format }) => format))
    const required = [...first.required].filter(name => alike.every(shape => shape.required.has(name)))
    return {
      ...alike.reduce(merged, NOTHING),
      required: new Set(required),
      type: types.size === 1 ? first.type : undefined,
      format: formats.size === 1 ? first.format : undefined,
    }
  }
}

function ownShape(schema: Members): SchemaShape {
  const types = [schema.type].flat().filter(type => typeof type === 'string' && type !== 'null')
  const type = types.length === 1 ? String(types[0]).toLowerCase() : undefined
  const items = Array.isArray(schema.items) ? schema.items[0] : schema.items
  const properties = Object.entries(membersOf(schema.properties)).slice(0, MOST_PROPERTIES)
  const additional = membersOf(schema.additionalProperties)
  const isObject =
    type === 'object' || (type === undefined && (properties.length > 0 || Object.keys(additional).length > 0))
  const isArray = type === 'array' || (type === undefined && items !== undefined)
  const isScalar = type !== undefined && ['string', 'integer', 'number', 'boolean'].includes(type)
  return {
    kind: isArray ? 'array' : isObject ? 'object' : isScalar ? 'scalar' : 'unknown',
    type: isScalar ? type : undefined,
    format: textOf(schema.format),
    properties: new Map(properties),
    required: new Set(listOf(schema.required).filter(name => typeof name === 'string')),
    items,
    members: Object.keys(additional).length > 0 ? additional : undefined,
    description: textOf(schema.description),
    default: schema.default,
    example: schema.example ?? listOf(schema.examples)[0],
    enum: schema.const === undefined ? listOf(schema.enum) : [schema.const],
    minimum: typeof schema.minimum === 'number' ? schema.minimum : undefined,
    maximum: typeof schema.maximum === 'number' ? schema.maximum : undefined,
    missing: undefined,
  }
}

function merged(earlier: SchemaShape, later: SchemaShape): SchemaShape {
  if (later === NOTHING) return earlier
  if (earlier === NOTHING) return later
  const properties = new Map(earlier.properties)
  for (const [name, schema] of later.properties) if (properties.size < MOST_PROPERTIES) properties.set(name, schema)
  return {
    kind: later.kind === 'unknown' ? earlier.kind : later.kind,
    type: later.type ?? earlier.type,
    format: later.format ?? earlier.format,
    properties,
    required: new Set([...earlier.required, ...later.required]),
    items: later.items ?? earlier.items,
    members: later.members ?? earlier.members,
    description: later.description ?? earlier.description,
    default: later.default ?? earlier.default,
    example: later.example ?? earlier.example,
    enum: later.enum.length > 0 ? later.enum : earlier.enum,
    minimum: later.minimum ?? earlier.minimum,
    maximum: later.maximum ?? earlier.maximum,
    missing: later.missing ?? earlier.missing,
  }
}

/** A schema of a value that stands as an example. Lists are judged by their first element. */
export function schemaOfExample(value: unknown, depth = 0): Members {
  if (Array.isArray(value))
    return { type: 'array', ...(value.length > 0 && { items: schemaOfExample(value[0], depth + 1) }) }
  if (typeof value === 'object' && value !== null) {
    if (depth >= DEEPEST_EXAMPLE) return { type: 'object' }
    const entries = Object.entries(value).slice(0, MOST_PROPERTIES)
    return {
      type: 'object',
      properties: Object.fromEntries(entries.map(([name, member]) => [name, schemaOfExample(member, depth + 1)])),
    }
  }
  if (typeof value === 'string') return { type: 'string', example: value }
  if (typeof value === 'number') return { type: Number.isInteger(value) ? 'integer' : 'number' }
  return typeof value === 'boolean' ? { type: 'boolean' } : {}
}

const DEEPEST_EXAMPLE = 6
