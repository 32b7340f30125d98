import { pairsOf } from '../../requests/sourceRequest.js'
import { listOf, type Members, membersOf, textOf } from '../../sourceData.js'
import { type SchemaShape, type Schemas, schemaOfExample } from './openapiSchemas.js'

/** A parameter of an operation, alike in every version of the format. */
export interface Parameter {
  readonly name: string
  readonly in: 'query' | 'path' | 'header' | 'cookie'
  readonly isRequired: boolean
  readonly shape: SchemaShape
  readonly description: string
}

/** What an operation answers when it succeeds. */
export interface Answer {
  /** Undefined where the document gives neither schema nor example. */
  readonly schema: unknown
  /** An answer that the document shows, as JSON. */
  readonly example?: unknown
  /** Names of headers, in small letters. */
  readonly headers: readonly string[]
  readonly mediaType: string | undefined
  /** Why the answer cannot be used. */
  readonly problem?: string
}

/** One operation, alike in every version of the format. */
export interface Operation {
  /** As `GET /v1/users`. */
  readonly title: string
  readonly method: 'GET' | 'POST'
  /** The path of the address, without suffixes that only tell operations apart. */
  readonly path: string
  /** The query parameters in the document's path, with their values. */
  readonly fixed: Readonly<Record<string, string>>
  readonly place: string
  readonly id: string | undefined
  readonly summary: string | undefined
  readonly tags: readonly string[]
  readonly isDeprecated: boolean
  readonly parameters: readonly Parameter[]
  /** Schema of the JSON body of a POST. */
  readonly body: unknown
  readonly answer: Answer
  /** Alternative requirements, each with its schemes. One is enough. Empty: none is needed. */
  readonly security: readonly Members[] | undefined
  /** The operation's own servers. */
  readonly servers: unknown
}

interface Operations {
  readonly read: readonly Operation[]
  /** How many operations of each method change data. */
  readonly writing: ReadonlyMap<string, number>
  /** Paths that stand in another file, or nowhere. */
  readonly outside: readonly { readonly path: string; readonly reference: string }[]
}

const WRITING = ['post', 'put', 'patch', 'delete']

/** The operations that may read, in the order of the document, and the number of the others. */
export function operationsOf(
  root: Members,
  schemas: Schemas,
  isWanted: (path: string, tags: readonly string[]) => boolean,
) {
  const read: Operation[] = []
  const writing = new Map<string, number>()
  const outside: Operations['outside'][number][] = []
  const paths = { ...membersOf(root.paths), ...membersOf(root['x-ms-paths']) }
  for (const [path, raw] of Object.entries(paths)) {
    if (!path.startsWith('/')) continue
    const { value, missing } = schemas.follow(raw)
    if (missing !== undefined && isWanted(path, [])) outside.push({ path, reference: missing })
    const item = membersOf(value)
    for (const method of ['get', ...WRITING]) {
      const operation = membersOf(item[method])
      if (item[method] === undefined || !isWanted(path, tagsOf(operation))) continue
      if (method === 'get' || (method === 'post' && mayList(path, operation))) {
        read.push(operationOf(root, schemas, item, operation, path, method === 'get' ? 'GET' : 'POST'))
      } else {
        const name = method.toUpperCase()
        writing.set(name, (writing.get(name) ?? 0) + 1)
      }
    }
  }
  return { read, writing, outside } satisfies Operations
}

/** A POST that says by its name that it reads. */
function mayList(path: string, { operationId }: Members): boolean {
  const last = path.split('/').filter(Boolean).at(-1) ?? ''
  return (
    READS.test(last.replace(/[^A-Za-z]+/g, '_')) ||
    READS.test(
      String(operationId ?? '')
        .split(/[./]/)
        .at(-1) ?? '',
    )
  )
}

const READS = /^(?:list|search|query|find|filter|scan)(?:_|[A-Z]|$)|(?:_|^)(?:list|search|query)$/

function tagsOf(operation: Members): readonly string[] {
  return listOf(operation.tags).filter(tag => typeof tag === 'string')
}

function operationOf(
  root: Members,
  schemas: Schemas,
  item: Members,
  operation: Members,
  path: string,
  method: 'GET' | 'POST',
): Operation {
  const parameters = new Map<string, Members>()
  for (const raw of [...listOf(item.parameters), ...listOf(operation.parameters)]) {
    const parameter = schemas.object(raw)
    parameters.set(`${parameter.in} ${parameter.name}`, parameter)
  }
  const all = [...parameters.values()]
  const address = addressOf(path, new Set(all.map(({ name }) => String(name))))
  return {
    title: `${method} ${path}`,
    method,
    path: address.path,
    fixed: address.fixed,
    place: `paths.${path}.${method.toLowerCase()}`,
    id: textOf(operation.operationId),
    summary: textOf(operation.summary) ?? textOf(operation.description),
    tags: tagsOf(operation),
    isDeprecated: operation.deprecated === true || operation['x-deprecated'] === true,
    parameters: all.flatMap(parameter => parameterOf(schemas, queried(parameter, address.queried))),
    body: bodyOf(schemas, operation, all),
    answer: answerOf(root, schemas, operation),
    security: securityOf(operation.security ?? root.security),
    servers: operation.servers ?? item.servers,
  }
}

interface ServerAddress {
  readonly path: string
  readonly fixed: Readonly<Record<string, string>>
  /** The parameters in the query of the path, with the names that are sent. */
  readonly queried: ReadonlyMap<string, string>
}

/**
 * Turns a key of `paths` into an address. `/files#shared` requests `/files`, and `/jobs?op=LIST` sends `op`. `{+parent}`,
 * `{name=projects/*}` and `{?page,size}` are templates of RFC 6570 and of Google.
 */
function addressOf(written: string, names: ReadonlySet<string>): ServerAddress {
  const [, before = '', query = ''] = /^([^?#]*(?:\{\?[^{}]*\}[^?#]*)*)(?:\?([^#]*))?/s.exec(written) ?? []
  const path = before.replace(/\{[?&][^{}]*\}/g, '').replace(/\{([^{}]*)\}/g, (whole, inner: string) => {
    const bare = inner.replace(/^\+|[=:*].*$/gs, '')
    return !names.has(inner) && names.has(bare) ? `{${bare}}` : whole
  })
  const pairs = pairsOf(query)
  const queried = new Map(
    pairs.flatMap(([name, value]) => {
      const [, parameter] = /^\{([^{}]*)\}$/.exec(value) ?? []
      return parameter !== undefined && names.has(parameter) ? [[parameter, name] as const] : []
    }),
  )
  const fixed = pairs.filter(([name, value]) => name !== '' && value !== '' && !/[{}]/.test(name + value))
  return { path, fixed: Object.fromEntries(fixed), queried }
}

/** A parameter in the query of the path is a query parameter, whatever the document calls it. */
function queried(parameter: Members, names: ReadonlyMap<string, string>): Members {
  const name = names.get(String(parameter.name))
  return name === undefined || parameter.in !== 'path' ? parameter : { ...parameter, in: 'query', name }
}

function securityOf(raw: unknown): readonly Members[] | undefined {
  return Array.isArray(raw) ? raw.map(membersOf) : undefined
}

function parameterOf(schemas: Schemas, parameter: Members): Parameter[] {
  const { name, in: place } = parameter
  if (typeof name !== 'string' || name === '') return []
  if (place !== 'query' && place !== 'path' && place !== 'header' && place !== 'cookie') return []
  // In Swagger 2.0 the parameter is its own schema.
  const [content] = Object.values(membersOf(parameter.content))
  const shape = schemas.shape(parameter.schema ?? membersOf(content).schema ?? parameter)
  const description = textOf(parameter.description) ?? shape.description ?? ''
  const example = parameter.example ?? membersOf(Object.values(membersOf(parameter.examples))[0]).value ?? shape.example
  const one: Parameter = {
    name,
    in: place,
    isRequired: parameter.required === true || place === 'path',
    shape: { ...shape, example },
    description,
  }
  // `page` with the members `number` and `size` is sent as `page[number]` and `page[size]`.
  if (place === 'query' && shape.kind === 'object' && shape.properties.size > 0 && /^page$/i.test(name)) {
    return [...shape.properties].map(([member, schema]) => {
      const inner = schemas.shape(schema)
      return {
        ...one,
        name: `${name}[${member}]`,
        isRequired: false,
        shape: inner,
        description: inner.description ?? '',
      }
    })
  }
  return [one]
}

function bodyOf(schemas: Schemas, operation: Members, parameters: readonly Members[]): unknown {
  const body = parameters.find(({ in: place }) => place === 'body')
  if (body !== undefined) return body.schema
  const content = membersOf(schemas.object(operation.requestBody).content)
  const [, json] = Object.entries(content).find(([type]) => isJson(type)) ?? []
  return membersOf(json).schema
}

function isJson(type: string): boolean {
  return /^(?:[^;]*[/+.-]json|\*\/\*)\s*(?:;|$)/i.test(type)
}

/** Answers that are tables without JSON, by the name of their format. */
const TABULAR = /^(?:text\/csv|application\/(?:x-ndjson|jsonl|x-jsonlines|ndjson))\b/i

function answerOf(root: Members, schemas: Schemas, operation: Members): Answer {
  const responses = schemas.object(operation.responses)
  const code = ['200', '2XX', '2xx', '206', '203', '201', '202', 'default'].find(name => responses[name] !== undefined)
  const none = { schema: undefined, headers: [], mediaType: undefined }
  if (code === undefined) return { ...none, problem: 'it names no answer with records' }
  const { value, missing } = schemas.follow(responses[code])
  if (missing !== undefined) return { ...none, problem: elsewhere(missing) }
  const response = membersOf(value)
  const headers = Object.keys(membersOf(response.headers)).map(name => name.toLowerCase())
  if (response.schema !== undefined || response.content === undefined) {
    const types = listOf(operation.produces ?? root.produces).filter(type => typeof type === 'string')
    const examples = membersOf(response.examples)
    const shown = Object.entries(examples).find(([type]) => isJson(type))?.[1]
    const example = valueOfExample(shown ?? membersOf(response.schema).example)
    const schema = schemaOf(response.schema, example, schemas)
    const isOther = types.length > 0 && !types.some(isJson)
    if (isOther) return { schema, headers, mediaType: types[0], problem: `it answers ${types[0]}, not JSON` }
    return { schema, example, headers, mediaType: undefined }
  }
  const content = Object.entries(membersOf(response.content))
  const json = content.find(([type]) => isJson(type))
  if (json !== undefined) {
    const media = schemas.object(json[1])
    const shown = media.example ?? schemas.object(Object.values(membersOf(media.examples))[0]).value
    const example = valueOfExample(shown ?? schemas.shape(media.schema).example)
    return { schema: schemaOf(media.schema, example, schemas), example, headers, mediaType: json[0] }
  }
  const table = content.find(([type]) => TABULAR.test(type))
  if (table !== undefined) return { schema: undefined, headers, mediaType: table[0] }
  const [other] = content
  if (other === undefined) return { ...none, headers, problem: 'its answer has no body' }
  return { ...none, headers, mediaType: other[0], problem: `it answers ${other[0]}, not JSON` }
}

/** The schema of an answer. The example counts where the schema says nothing, or says that an object is a list. */
function schemaOf(schema: unknown, example: unknown, schemas: Schemas): unknown {
  if (example == null) return schema
  const shape = schemas.shape(schema)
  const says = schema !== undefined && !(shape.kind === 'unknown' && shape.missing === undefined) && !isBare(shape)
  const isOther = shape.kind === 'array' && typeof example === 'object' && !Array.isArray(example)
  return says && !isOther ? schema : schemaOfExample(example)
}

function isBare(shape: SchemaShape): boolean {
  return shape.kind === 'object' && shape.properties.size === 0 && shape.members === undefined
}

function valueOfExample(example: unknown): unknown {
  if (typeof example !== 'string') return example
  try {
    return JSON.parse(example)
  } catch {
    return undefined
  }
}

/** Why a reference is not followed. */
export function elsewhere(reference: string): string {
  const shown = reference.length > 80 ? `${reference.slice(0, 77)}…` : reference
  return reference.startsWith('#')
    ? `its answer refers to ${shown}, which leads to nothing in the document`
    : `its answer refers to ${shown}, outside the document, which is not fetched; bundle the document into one file`
}

export function isTabular({ mediaType }: Answer): boolean {
  return mediaType !== undefined && TABULAR.test(mediaType)
}
