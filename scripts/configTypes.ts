import type { z } from 'zod'
import { flatPipeline, wrappedPipeline } from '../src/config/pipelineDocument.js'
import { restDocument } from '../src/rest/document/declaration/declaration.js'
import { defaultOf, definitionOf, literalOf } from './schemaDefinition.js'

/** Interfaces and unions of the declaration, by name, in the order in which they are written. */
type Declared = Map<string, string>

/** Where TypeScript learns the names of resources and tables: by interface and key, the type with them. */
const KNOWN_NAMES: Readonly<Record<string, Readonly<Record<string, (type: string) => string>>>> = {
  NamedResource: { name: () => 'Name | (string & {})' },
  ResourceKeys: { table_name: withTable },
  ResourceDefaultsConfig: { table_name: withTable },
  RestApiConfig: { resources: withNames },
  SourceConfig: { resources: withNames },
  DocumentPipelineConfig: { resources: withNames },
}

function withTable(type: string): string {
  return type.replace(/^string/, 'Table')
}

function withNames(type: string): string {
  return type.replace('string', 'Name').replace('RecordsFunction', '(RecordsFunction & NamedResource<Name>)')
}

/** The type parameters of an interface, as it declares them and as others pass them on. */
const PARAMETERS: Readonly<Record<string, readonly [declared: string, passed: string]>> = {
  ResourceConfig: both(),
  ResourceKeys: ['<Table extends string = string>', '<Table>'],
  ResourceDefaultsConfig: ['<Table extends string = string>', '<Table>'],
  RestApiConfig: both(),
  SourceConfig: both(),
  DocumentPipelineConfig: both(),
  SourcePipelineConfig: both(),
}

function both(): readonly [string, string] {
  return ['<Name extends string = string, Table extends string = string>', '<Name, Table>']
}

/** What the members of a discriminated union are called, beside their `type`. */
const KINDS: Readonly<Record<string, string>> = {
  paginator: 'Paginator',
  auth: 'Auth',
  format: 'Format',
  param_value: 'Param',
}

const IMPORTS = `import type { JsonObject, JsonValue } from '../../../json/value.js'
import type { Secret, SecretReference } from '../../../model/secrets/secret.js'
import type { MadeRecord, RecordFunction } from '../../../model/userFunction.js'
import type { OwnAuthenticator, OwnPaginator, Transport } from '../../api.js'
import type { ConvertFunction, RecordsFunction, ResponseFunction } from '../model.js'
`

const SHORTHANDS = `/** Paginators that a text names alone. */
export type PaginatorShorthand = Extract<PaginatorConfig, string>

/** Kinds of authentication. */
export type AuthType = NonNullable<Extract<AuthConfig, { type?: string | undefined }>['type']>
`

/** The text of the module with the types of a document, each key with what \`docs/config.md\` says of it. */
export function configTypes(): string {
  const declared: Declared = new Map()
  reference(restDocument, 'RestApiConfig', declared)
  reference(flatPipeline, 'DocumentPipelineConfig', declared)
  reference(wrappedPipeline, 'SourcePipelineConfig', declared)
  return [
    '/** Generated from the declaration by `npx tsx scripts/generate-docs.ts`: edits here are lost. */\n',
    IMPORTS,
    ...declared.values(),
    SHORTHANDS,
  ].join('\n')
}

/** The type of a value as it is written. `name` is what an interface or a union that is met here will be called. */
function reference(schema: z.ZodType, name: string, declared: Declared): string {
  return [...new Set(alternatives(schema, name, declared))].join(' | ')
}

/** The same, as the members of a union. */
function alternatives(schema: z.ZodType, name: string, declared: Declared): string[] {
  const def = definitionOf(schema)
  switch (def.type) {
    case 'unknown':
      return ['JsonValue']
    case 'custom':
      return String(def.params?.type)
        .split(/ \| /)
        .map(type => (type.includes('=>') ? `(${type})` : type))
    case 'enum':
      return Object.values(def.entries ?? {}).map(literal)
    case 'literal':
      return (def.values ?? []).map(literal)
    case 'tuple':
      return [`readonly [${(def.items ?? []).map(item => reference(item, name, declared)).join(', ')}]`]
    case 'array':
      return [listOf(reference(needed(def.element), oneOf(name), declared))]
    case 'record':
      return [recordOf(needed(def.valueType), oneOf(name), declared)]
    case 'object':
      return [declareInterface(schema, name, declared)]
    case 'union':
      return union(schema, name, declared)
    case 'nullable':
      return [...alternatives(needed(def.innerType), name, declared), 'null']
    default: {
      const inner = def.innerType ?? def.in
      return inner === undefined ? [def.type] : alternatives(inner, name, declared)
    }
  }
}

function recordOf(value: z.ZodType, name: string, declared: Declared): string {
  if (definitionOf(value).type === 'unknown') return 'JsonObject'
  return `{ [name: string]: ${reference(value, name, declared)} }`
}

/**
 * A union with a name of its own in the declaration is declared. One that takes words is also written where it stands,
 * because then the compiler lists the words when it refuses another one.
 */
function union(schema: z.ZodType, name: string, declared: Declared): string[] {
  const id = idOf(schema)
  const options = definitionOf(schema).options ?? []
  if (id === undefined) return options.flatMap(option => alternatives(option, name, declared))
  const alias = configName(id)
  const members = options.flatMap(option => {
    const kinds = kindsOf(option, id)
    if (kinds === undefined) return alternatives(option, memberName(option, id), declared)
    const types = kinds.flatMap(([kind, value]) => alternatives(value, kind, declared))
    return takesWords(schema) ? [declareUnion(memberName(option, id), types, declared)] : types
  })
  declareUnion(alias, members, declared)
  return takesWords(schema) ? members : [alias]
}

function declareUnion(alias: string, members: readonly string[], declared: Declared): string {
  declared.set(alias, `export type ${alias} =\n${[...new Set(members)].map(type => `  | ${type}\n`).join('')}`)
  return alias
}

function takesWords(schema: z.ZodType): boolean {
  return (definitionOf(schema).options ?? []).some(option => definitionOf(option).type === 'enum')
}

/** The keys of a value that may also be written as a word. */
function memberName(schema: z.ZodType, id: string): string {
  return ['object', 'union'].includes(definitionOf(schema).type) ? `${pascal(id)}Keys` : configName(id)
}

/** The members of a union that `type` tells apart, each with its name: `OffsetPaginatorConfig`. */
function kindsOf(schema: z.ZodType, id: string): (readonly [string, z.ZodType])[] | undefined {
  const { type, discriminator, options = [] } = definitionOf(schema)
  if (type !== 'union' || discriminator === undefined) return undefined
  return options.map(option => {
    const kind = literalOf(definitionOf(option).shape?.type)
    return [`${pascal(kind ?? '')}${KINDS[id] ?? ''}Config`, option] as const
  })
}

function declareInterface(schema: z.ZodType, asked: string, declared: Declared): string {
  const id = idOf(schema)
  const name = id === undefined ? asked : configName(id)
  if (name === 'ResourceConfig') return declareResource(schema, name, declared)
  const [, passed] = PARAMETERS[name] ?? ['', '']
  const { shape = {}, catchall } = definitionOf(schema)
  const about = schema.meta()?.description
  const keys = Object.entries(shape).map(([key, value]) => member(key, value, name, about, declared))
  const free = catchall === undefined || definitionOf(catchall).type === 'never' ? '' : FREE_KEYS
  const head = `${comment(about === undefined ? [] : [about], '')}export interface ${name}${parametersOf(name)}`
  declare(name, `${head} {\n${keys.join('')}${free}}\n`, declared)
  return `${name}${passed}`
}

const FREE_KEYS = '  [key: `x-${string}`]: JsonValue | undefined\n'

/**
 * A function has a `name` too, so the compiler would take `name` for what tells resources from functions: it would
 * report every slip at the whole resource, and editors would show nothing over `name`. Here both have one `name`.
 */
function declareResource(schema: z.ZodType, name: string, declared: Declared): string {
  const { shape: { name: ofResource, ...shape } = {} } = definitionOf(schema)
  const parameters = parametersOf(name)
  const keys = Object.entries(shape).map(([key, value]) => member(key, value, 'ResourceKeys', undefined, declared))
  declare(
    'ResourceKeys',
    `export interface ResourceKeys${parametersOf('ResourceKeys')} {\n${keys.join('')}}\n`,
    declared,
  )
  const named = member('name', needed(ofResource), 'NamedResource', undefined, declared)
  declare('NamedResource', `export type NamedResource<Name extends string = string> = {\n${named}}\n`, declared)
  const type = `export type ${name}${parameters} =\n  NamedResource<Name> & ResourceKeys<Table>\n`
  declare(name, type, declared)
  return `${name}<Name, Table>`
}

function declare(name: string, text: string, declared: Declared): void {
  if ((declared.get(name) ?? text) !== text) throw new Error(`two types would be called ${name}`)
  declared.set(name, text)
}

function parametersOf(name: string): string {
  return PARAMETERS[name]?.[0] ?? ''
}

/** One key, with its text. */
function member(key: string, schema: z.ZodType, of: string, about: string | undefined, declared: Declared): string {
  const plain = reference(schema, configName(key), declared)
  const type = KNOWN_NAMES[of]?.[key]?.(plain) ?? plain
  const isOptional = schema.safeParse(undefined).success
  const text = comment(meaningOf(key, schema, about), '  ')
  return `${text}  ${key}${isOptional ? '?' : ''}: ${type}${isOptional ? ' | undefined' : ''}\n`
}

/** The lines that an editor shows over a key. */
function meaningOf(key: string, schema: z.ZodType, about: string | undefined): string[] {
  const meta = schema.meta() as
    | { readonly description?: string; readonly default?: unknown; readonly examples?: readonly unknown[] }
    | undefined
  const text = meta?.description ?? (key === 'type' ? about : undefined)
  if (text === undefined) throw new Error(`the key \`${key}\` has no description`)
  const standard = meta?.default ?? defaultOf(schema)
  const values = allowed(schema)
  const notes = [
    ...(values.length > 1 ? [`Allowed: ${values.map(code).join(', ')}.`] : []),
    ...(standard === undefined ? [] : [`Default: ${code(standard)}.`]),
    ...(meta?.examples ?? []).map(example => `Example: ${code(example)}.`),
  ]
  return notes.length === 0 ? [text] : [text, '', ...notes.flatMap((note, at) => (at === 0 ? [note] : ['', note]))]
}

/** The texts that a key may hold, where these are few, and the kinds of objects that no text stands for. */
function allowed(schema: z.ZodType): unknown[] {
  const { type, entries, values, options, innerType, shape } = definitionOf(schema)
  if (type === 'object') return literalOf(shape?.type) === undefined ? [] : [`{ type: '${literalOf(shape?.type)}' }`]
  if (type === 'enum') return Object.values(entries ?? {})
  if (type === 'literal') return [...(values ?? [])]
  if (options !== undefined) {
    const all = options.flatMap(allowed)
    return [...new Set(all)].filter(value => !all.some(text => value === `{ type: '${text}' }`))
  }
  return innerType === undefined ? [] : allowed(innerType)
}

function code(value: unknown): string {
  return `\`${typeof value === 'string' && value !== '' ? value : JSON.stringify(value)}\``
}

function comment(lines: readonly string[], indent: string): string {
  const safe = lines.map(line => line.replaceAll('*/', '*\\/'))
  if (safe.length === 0) return ''
  if (safe.length === 1) return `${indent}/** ${safe[0]} */\n`
  return `${indent}/**\n${safe.map(line => `${indent} * ${line}`.trimEnd()).join('\n')}\n${indent} */\n`
}

function listOf(type: string): string {
  return /[|=]/.test(type) ? `readonly (${type})[]` : `readonly ${type}[]`
}

/** What one of several is called. */
function oneOf(name: string): string {
  return name.replace(/sConfig$/, 'Config')
}

function literal(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : JSON.stringify(value)
}

function idOf(schema: z.ZodType): string | undefined {
  return (schema.meta() as { readonly id?: string } | undefined)?.id
}

function configName(id: string): string {
  return `${pascal(id)}Config`
}

function pascal(words: string): string {
  return words
    .split(/[^a-zA-Z0-9]+/)
    .map(word => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
}

function needed(schema: z.ZodType | undefined): z.ZodType {
  if (schema === undefined) throw new Error('a schema without what it holds')
  return schema
}
