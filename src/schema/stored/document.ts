import { deflateSync, inflateSync } from 'node:zlib'
import { parseJson } from '../../json/parse.js'
import type { JsonObject, JsonValue } from '../../json/value.js'
import { isJsonObject, withoutMember } from '../../json/value.js'
import { canonicalJson, stringifyJson } from '../../json/write.js'
import { sha3Base64 } from '../../model/cursors/boundaryHashes.js'
import { SchemaError } from '../../model/errors.js'
import { setSchemaContract } from '../contracts.js'
import type { Naming } from '../naming.js'
import { propagateRootKeys, refuseCircles, setNormalizerConfig } from '../rootKey.js'
import type {
  ColumnSchema,
  ContractMode,
  ReadonlySchema,
  ReadonlyTable,
  Schema,
  SchemaContract,
  TableSchema,
} from '../schemaTypes.js'
import { loadsTable, stateTable, versionTable } from '../systemTables.js'
import { migrateSchema } from './migrations.js'

export { normalizerConfig } from '../rootKey.js'

/** Version of the schema document that Sluice writes: dlt's engine 11. */
const SCHEMA_ENGINE_VERSION = 11

/** Most hashes in `previous_hashes`, newest first. */
const PREVIOUS_HASHES = 10

/** Settings of the source for a new schema. */
export interface NewSchemaOptions {
  readonly naming: Naming
  /** Levels of nested tables below a root table. */
  readonly maxNesting?: number | undefined
  /** Whether every nested row carries the id of its root row. Undefined: the write disposition decides. */
  readonly rootKey?: boolean | undefined
  readonly schemaContract?: ContractMode | Partial<SchemaContract> | undefined
}

/** A new schema, as dlt makes it: two system tables, default hints and detections, version 1, no hash yet. */
export function newSchema(name: string, options: NewSchemaOptions): Schema {
  const { naming } = options
  const version = versionTable(naming)
  const loads = loadsTable(naming)
  const schema: Schema = {
    version: 1,
    version_hash: '',
    engine_version: SCHEMA_ENGINE_VERSION,
    name,
    tables: new Map([
      [version.name, version],
      [loads.name, loads],
    ]),
    settings: { detections: ['iso_timestamp'], default_hints: defaultHints(naming) },
    normalizers: { names: naming.name, json: { module: 'dlt.common.normalizers.json.relational' } },
    previous_hashes: [],
  }
  setSourceHints(schema, options)
  return schema
}

/**
 * Applies the source's hints to the schema at the start of a run: `max_nesting` and `root_key_propagation` of the
 * normaliser, and the contract in the settings. As in dlt, they replace those of earlier runs and sources. What nested
 * rows carry from their root is decided again for every table.
 */
export function setSourceHints(
  schema: Schema,
  hints: Pick<NewSchemaOptions, 'maxNesting' | 'rootKey' | 'schemaContract'>,
): void {
  setNormalizerConfig(schema, {
    ...(hints.maxNesting !== undefined && { max_nesting: hints.maxNesting }),
    ...(hints.rootKey !== undefined && { root_key_propagation: hints.rootKey }),
  })
  schema.settings = withoutMember(schema.settings, 'schema_contract')
  if (hints.schemaContract !== undefined) setSchemaContract(schema, hints.schemaContract)
  propagateRootKeys(schema, schema.tables.values())
}

function defaultHints(naming: Naming): JsonObject {
  const names = (...raw: string[]): string[] => raw.map(name => naming.identifier(name))
  return {
    not_null: names('_dlt_id', '_dlt_root_id', '_dlt_parent_id', '_dlt_list_idx', '_dlt_load_id'),
    parent_key: names('_dlt_parent_id'),
    root_key: names('_dlt_root_id'),
    unique: names('_dlt_id'),
    row_key: names('_dlt_id'),
  }
}

/** Adds the table of pipeline states, once. Call it before a state is stored. */
export function ensureStateTable(schema: Schema, naming: Naming): TableSchema {
  const table = stateTable(naming)
  const existing = schema.tables.get(table.name)
  if (existing !== undefined) return existing
  schema.tables.set(table.name, table)
  return table
}

/**
 * Reads a stored schema document: JSON, or base64 of zlib of JSON. Documents of older engines are converted to engine
 * 11. Fails with a {@link SchemaError} if the text is not a schema or comes from a newer engine.
 */
export function readSchema(text: string): Schema {
  let document: JsonValue
  try {
    document = parseJson(markIntegerKeys(inflatedText(text)))
  } catch (cause) {
    throw new SchemaError('schema', `The stored schema cannot be read: ${(cause as Error).message}`)
  }
  return schemaFromDocument(document)
}

/**
 * The schema of a parsed document. Keys that look like integers may have a leading U+0000, which keeps them in place.
 * Fails like {@link readSchema}.
 */
export function schemaFromDocument(document: unknown): Schema {
  if (!isJsonObject(document)) throw new SchemaError('schema', 'The stored schema is not an object')
  const stored = migrateSchema(document, SCHEMA_ENGINE_VERSION)
  if (typeof stored.name !== 'string') throw new SchemaError('schema', 'The stored schema has no name')
  const tables = new Map<string, TableSchema>()
  for (const [name, table] of unmarkedEntries(stored.tables)) tables.set(name, readTable(name, table))
  refuseCircles({ tables })
  refuseCyclicParents(tables)
  return {
    version: typeof stored.version === 'number' ? stored.version : 1,
    version_hash: typeof stored.version_hash === 'string' ? stored.version_hash : '',
    engine_version: SCHEMA_ENGINE_VERSION,
    name: stored.name,
    tables,
    settings: readObject(stored.settings),
    normalizers: readObject(stored.normalizers),
    previous_hashes: Array.isArray(stored.previous_hashes) ? stored.previous_hashes.map(String) : [],
    ...(typeof stored.imported_version_hash === 'string' && { imported_version_hash: stored.imported_version_hash }),
    ...(typeof stored.description === 'string' && { description: stored.description }),
  }
}

/** Checks that the parents of every table lead to a root. */
function refuseCyclicParents(tables: ReadonlyMap<string, TableSchema>): void {
  const ends = new Set<string>()
  for (const start of tables.keys()) {
    const path = new Set<string>()
    let name: string | undefined = start
    while (name !== undefined && !ends.has(name)) {
      if (path.has(name)) {
        const cycle = [...path, name].slice([...path].indexOf(name)).join(' under ')
        throw new SchemaError('schema', `The stored schema nests tables in a circle: ${cycle}`, { table: name })
      }
      path.add(name)
      name = tables.get(name)?.parent
    }
    for (const seen of path) ends.add(seen)
  }
}

function readTable(name: string, document: JsonValue): TableSchema {
  if (!isJsonObject(document)) throw new SchemaError('schema', `Table ${name} of the stored schema is not an object`)
  const columns = new Map<string, ColumnSchema>()
  for (const [columnName, column] of unmarkedEntries(document.columns)) {
    if (!isJsonObject(column)) {
      throw new SchemaError('schema', `Column ${name}.${columnName} of the stored schema is not an object`)
    }
    columns.set(columnName, { ...readObject(column), name: columnName })
  }
  // `columns` stays at its place among the document's keys.
  return { ...readObject({ ...document, columns: null }), name, columns }
}

function readObject(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? (unmarked(value) as JsonObject) : {}
}

/**
 * The schema document as compact JSON: keys in dlt's order, tables and columns in stored order. Bump the version first,
 * because the text contains the current `version_hash`.
 */
export function schemaText(schema: ReadonlySchema): string {
  const members: string[] = []
  for (const [key, value] of documentMembers(schema)) members.push(`${JSON.stringify(key)}:${orderedJson(value)}`)
  return `{${members.join(',')}}`
}

/** base64 of zlib of {@link schemaText}, for engines whose text columns are too short for the document. */
export function compressedSchemaText(schema: ReadonlySchema): string {
  return deflateSync(schemaText(schema), { level: 9 }).toString('base64')
}

/**
 * The schema document with maps for `tables` and `columns`, keys in dlt's order. For writers that keep the order of
 * names that look like integers.
 */
export function documentMembers(schema: ReadonlySchema): readonly (readonly [string, OrderedValue])[] {
  const members: [string, OrderedValue][] = [
    ['version', schema.version],
    ['version_hash', schema.version_hash],
    ['engine_version', schema.engine_version],
    ['name', schema.name],
    ['tables', schema.tables],
    ['settings', schema.settings],
    ['normalizers', schema.normalizers],
    ['previous_hashes', schema.previous_hashes],
  ]
  if (schema.imported_version_hash !== undefined) members.push(['imported_version_hash', schema.imported_version_hash])
  if (schema.description !== undefined) members.push(['description', schema.description])
  return members
}

/** A part of the schema document: JSON, a table, or a map of them. */
export type OrderedValue = JsonValue | ReadonlyTable | ReadonlyMap<string, OrderedValue | ReadonlyTable>

function orderedJson(value: OrderedValue | undefined): string {
  if (value instanceof Map) return membersJson(value)
  if (isJsonObject(value) && value.columns instanceof Map) return membersJson(Object.entries(value))
  return stringifyJson(value as JsonValue)
}

function membersJson(members: Iterable<[string, unknown]>): string {
  const texts: string[] = []
  for (const [key, value] of members) {
    if (value !== undefined) texts.push(`${JSON.stringify(key)}:${orderedJson(value as OrderedValue)}`)
  }
  return `{${texts.join(',')}}`
}

/**
 * dlt's hash of a schema's content, 44 characters of base64. It is the SHA3-256 of the document without its versions,
 * with sorted keys, then every table name in sorted order with its column names in stored order. It has the same bytes
 * as dlt's, so either tool finds the other's `_dlt_version` row.
 */
export function versionHash(schema: ReadonlySchema): string {
  const tables: Record<string, JsonValue> = Object.create(null)
  for (const [name, table] of schema.tables) tables[name] = plainTable(table)
  const content: Record<string, JsonValue> = {
    engine_version: schema.engine_version,
    name: schema.name,
    tables,
    settings: schema.settings,
    normalizers: schema.normalizers,
  }
  if (schema.description !== undefined) content.description = schema.description
  let text = canonicalJson(content)
  for (const name of [...schema.tables.keys()].sort(byCodePoint)) {
    text += name
    for (const column of schema.tables.get(name)?.columns.keys() ?? []) text += column
  }
  return sha3Base64(text)
}

function plainTable(table: ReadonlyTable): JsonValue {
  const columns: Record<string, JsonValue> = Object.create(null)
  for (const [name, column] of table.columns) columns[name] = column as JsonValue
  return { ...table, columns } as JsonValue
}

/** Python's order of strings. JavaScript's differs between surrogates and U+E000–U+FFFF. */
function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/**
 * Updates `version_hash` and returns whether it changed. The first hash leaves the version as it is. Every other adds
 * one and puts the old hash first in `previous_hashes`. dlt does this after it reads a run's hints, and again when rows
 * are normalised. Call it at both points to get the same version numbers.
 */
export function bumpVersion(schema: Schema): boolean {
  const hash = versionHash(schema)
  const previous = schema.version_hash
  if (hash === previous) return false
  schema.version_hash = hash
  if (previous === '') return true
  schema.version += 1
  if (!schema.previous_hashes.includes(previous)) {
    schema.previous_hashes = [previous, ...schema.previous_hashes].slice(0, PREVIOUS_HASHES)
  }
  return true
}

/**
 * {@link bumpVersion} for a run that alternates between applying hints and normalising rows. `declared` is a copy of
 * the schema from the start of the run, with the same hints and no rows. The result is as if all hints came first, at
 * both of dlt's points. Returns whether the hash changed since the start of the run.
 */
export function bumpVersionFrom(declared: Schema, schema: Schema): boolean {
  const began = schema.version_hash
  bumpVersion(declared)
  // dlt does this when it reads back its own document, and counts it as a separate change.
  if (settleDispositions(declared)) bumpVersion(declared)
  settleDispositions(schema)
  schema.version = declared.version
  schema.version_hash = declared.version_hash
  schema.previous_hashes = [...declared.previous_hashes]
  bumpVersion(schema)
  return schema.version_hash !== began
}

/** Sets root tables without a write disposition to `append`. Returns whether there were any. */
function settleDispositions(schema: Schema): boolean {
  let settled = false
  for (const table of schema.tables.values()) {
    if (table.parent !== undefined || table.write_disposition !== undefined) continue
    table.write_disposition = 'append'
    settled = true
  }
  return settled
}

/** A copy that shares no table or column with `schema`. Their values are immutable and shared. */
export function cloneSchema(schema: ReadonlySchema): Schema {
  const tables = new Map([...schema.tables].map(([name, table]) => [name, cloneTable(table)]))
  return {
    ...schema,
    tables,
    settings: { ...schema.settings },
    normalizers: { ...schema.normalizers },
    previous_hashes: [...schema.previous_hashes],
  }
}

/** A copy that shares no column with `table`. */
export function cloneTable(table: ReadonlyTable): TableSchema {
  const columns = new Map<string, ColumnSchema>()
  for (const [name, column] of table.columns) columns.set(name, { ...column })
  return { ...table, columns } as TableSchema
}

/** Inflates text that is base64 of zlib. Other text is returned unchanged. */
export function inflatedText(text: string): string {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return text
  return inflateSync(Buffer.from(text, 'base64')).toString()
}

/**
 * Marks keys that look like integers with a leading U+0000. JavaScript would move them to the front of an object, but
 * the hash depends on the order of columns. The pattern cannot match inside a string, where the quote would be escaped.
 */
function markIntegerKeys(text: string): string {
  return text.replace(/([{,]\s*")(\d+"\s*:)/g, '$1\\u0000$2')
}

const MARK = '\0'

function unmarkedEntries(value: JsonValue | undefined): [string, JsonValue][] {
  if (!isJsonObject(value)) return []
  return Object.entries(value).map(([key, entry]) => [key.startsWith(MARK) ? key.slice(1) : key, entry])
}

function unmarked(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(unmarked)
  if (!isJsonObject(value)) return value
  return Object.fromEntries(unmarkedEntries(value).map(([key, entry]) => [key, unmarked(entry)]))
}
