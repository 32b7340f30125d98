import type { Tags } from 'yaml'
import { isJsonObject } from '../../json/value.js'
import { SchemaError } from '../../model/errors.js'
import type { ReadonlySchema, ReadonlyTable, Schema } from '../schemaTypes.js'
import { documentMembers, type OrderedValue, schemaFromDocument } from '../stored/document.js'
import { dbtSources } from './dbtSources.js'
import { dbml, mermaid } from './diagram.js'
import { drizzleTables } from './drizzleTables.js'
import { kyselyTypes } from './kyselyTypes.js'
import { rowsJsonSchema } from './rowsJsonSchema.js'
import { typescript } from './types.js'
import { zodRows } from './zodRows.js'

/** Formats of rows, for what reads a dataset. */
export type RowFormat = 'typescript' | 'zod' | 'drizzle' | 'kysely' | 'json-schema' | 'dbt-sources'

/** Formats for a schema. `yaml` and `json` can be read again. The others are for people and tools. */
export type SchemaFormat = 'yaml' | 'json' | 'dbml' | 'mermaid' | RowFormat

/** Every format, in the order in which users see them. */
export const SCHEMA_FORMATS: readonly SchemaFormat[] = [
  'yaml',
  'json',
  'dbml',
  'mermaid',
  'typescript',
  'zod',
  'drizzle',
  'kysely',
  'json-schema',
  'dbt-sources',
]

/** What a schema does not know of its dataset. */
export interface ExportOptions {
  /** Name of the dataset, for formats that name it: `drizzle`, `kysely`, `dbt-sources`. */
  readonly dataset?: string | undefined
}

/**
 * The schema as text ending in a line feed.
 *
 * - `yaml`: dlt's `<name>.schema.yaml`, where tables and columns are named by their keys alone. Reading it back gives
 *   the same hash.
 * - `json`: the stored document, indented.
 * - `dbml`, `mermaid`: tables, columns and the links between nested tables and their parents.
 * - `typescript`: an interface for the rows of each table.
 * - `zod`: a schema for the rows of each table, as `dataset().table()` gives them.
 * - `drizzle`: tables of Drizzle for Postgres. `kysely`: the type of the database for Kysely on Postgres.
 * - `json-schema`: rows as `sluice show --json` prints them, by table under `$defs`.
 * - `dbt-sources`: `sources.yml` of a dbt project.
 *
 * @example
 * ```ts
 * import { duckdb, exportSchema, pipeline, restApi } from 'sluice'
 *
 * const source = restApi({ client: { base_url: 'https://api.example.com' }, resources: ['shops'] })
 * const shops = pipeline({ name: 'shops', source, destination: duckdb('shops.duckdb') })
 * await shops.run()
 * const schema = await shops.dataset().schema()
 * if (schema !== undefined) console.log(await exportSchema(schema, 'typescript'))
 * ```
 */
export async function exportSchema(
  schema: ReadonlySchema,
  format: SchemaFormat,
  { dataset }: ExportOptions = {},
): Promise<string> {
  return await writers[format](schema, dataset)
}

const writers: Readonly<
  Record<SchemaFormat, (schema: ReadonlySchema, dataset: string | undefined) => string | Promise<string>>
> = {
  yaml,
  json: schema => `${prettyJson(new Map(documentMembers(schema)), '')}\n`,
  dbml,
  mermaid,
  typescript,
  zod: zodRows,
  drizzle: drizzleTables,
  kysely: kyselyTypes,
  'json-schema': rowsJsonSchema,
  'dbt-sources': dbtSources,
}

/** YAML in the 1.1 dialect that dlt reads and writes. Maps keep the order of names that look like integers. */
async function yaml(schema: ReadonlySchema): Promise<string> {
  const { Scalar, stringify } = await import('yaml')
  const document = new Map<string, unknown>(documentMembers(schema))
  document.set('tables', new Map([...schema.tables].map(([name, table]) => [name, unnamedTable(table)])))
  // The dialect would write a map as a list of pairs, which dlt does not read, and `<<` without quotes.
  const customTags = (tags: Tags): Tags =>
    tags.filter(tag => typeof tag === 'string' || !/:(omap|merge)$/.test(tag.tag))
  const quoted = (text: string): unknown => {
    const scalar = new Scalar(text)
    scalar.type = Scalar.QUOTE_DOUBLE
    return scalar
  }
  const text = stringify(quoteUnusual(document, quoted), {
    version: '1.1',
    customTags,
    lineWidth: 0,
    aliasDuplicateObjects: false,
  })
  return text.replace(UNPRINTABLE, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Text that every YAML reader takes for a string without quotes, unless it is a word such as `on` or `null`. */
const USUAL = /^[\p{L}_][\p{L}\p{N}_ ./@+-]*$/u

/** Characters that YAML 1.1 reads as line breaks or refuses. They occur only in quoted text. */
const UNPRINTABLE = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g

/** The value as maps and lists. Every key and text that is not {@link USUAL} is passed through `quoted`. */
function quoteUnusual(value: unknown, quoted: (text: string) => unknown): unknown {
  const text = (raw: string): unknown => (USUAL.test(raw) ? raw : quoted(raw))
  if (typeof value === 'string') return text(value)
  if (Array.isArray(value)) return value.map(entry => quoteUnusual(entry, quoted))
  const members = value instanceof Map ? [...value] : isJsonObject(value) ? Object.entries(value) : undefined
  if (members === undefined) return value
  return new Map(members.map(([key, member]) => [text(key), quoteUnusual(member, quoted)]))
}

function unnamedTable(table: ReadonlyTable): ReadonlyMap<string, unknown> {
  const members = new Map<string, unknown>()
  for (const [key, value] of Object.entries(table)) {
    if (key === 'name' || value === undefined) continue
    members.set(
      key,
      key === 'columns' ? new Map([...table.columns].map(([id, column]) => [id, unnamedColumn(column)])) : value,
    )
  }
  return members
}

function unnamedColumn(column: object): object {
  return Object.fromEntries(Object.entries(column).filter(([key, value]) => key !== 'name' && value !== undefined))
}

/**
 * Reads a schema that Sluice or dlt exported as YAML, with later edits. It keeps its exported hash until it is bumped.
 * Fails with a {@link SchemaError} if it is not such a schema.
 */
export async function importSchemaYaml(text: string): Promise<Schema> {
  const { parse } = await import('yaml')
  let document: unknown
  try {
    document = plain(parse(text, { version: '1.1', mapAsMap: true, uniqueKeys: true }))
  } catch (cause) {
    throw new SchemaError('schema', `The schema file cannot be read: ${(cause as Error).message}`)
  }
  const schema = schemaFromDocument(document)
  for (const [name, table] of schema.tables) {
    if (table.parent !== undefined) continue
    table.write_disposition ??= 'append'
    table.resource ??= name
  }
  return schema
}

/** Maps as objects. Keys that look like integers are marked as {@link schemaFromDocument} expects. */
function plain(value: unknown): unknown {
  if (value instanceof Map) {
    return Object.fromEntries(
      [...value].map(([key, member]) => [/^\d+$/.test(String(key)) ? `\0${key}` : String(key), plain(member)]),
    )
  }
  if (Array.isArray(value)) return value.map(plain)
  return value instanceof Date ? value.toISOString() : value
}

function prettyJson(value: OrderedValue | undefined, indent: string): string {
  const inner = `${indent}  `
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]'
    return `[\n${value.map(entry => `${inner}${prettyJson(entry, inner)}`).join(',\n')}\n${indent}]`
  }
  if (typeof value === 'bigint') return String(value)
  const members = value instanceof Map ? [...value] : isJsonObject(value) ? Object.entries(value) : undefined
  if (members === undefined) return JSON.stringify(value)
  const lines = members
    .filter(([, member]) => member !== undefined)
    .map(([key, member]) => `${inner}${JSON.stringify(key)}: ${prettyJson(member as OrderedValue, inner)}`)
  return lines.length === 0 ? '{}' : `{\n${lines.join(',\n')}\n${indent}}`
}
