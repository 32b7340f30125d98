import type { JsonObject, JsonValue } from '../../json/value.js'
import { isJsonObject, withoutMember } from '../../json/value.js'
import { SchemaError } from '../../model/errors.js'

type Document = { [key: string]: JsonValue }

/**
 * Converts a stored schema document of an older engine to engine `target`, like dlt when it reads one. The document is
 * not changed. System tables of engines before 6 stay as they are; the next load that needs their columns adds them.
 * Fails with a {@link SchemaError} if the document is newer than `target` or has no engine.
 */
export function migrateSchema(document: JsonObject, target: number): JsonObject {
  const engine = document.engine_version
  if (typeof engine !== 'number') throw new SchemaError('schema', 'The stored schema names no engine_version')
  if (engine > target) {
    throw new SchemaError(
      'schema',
      `The stored schema was written by a newer tool (engine ${engine}, known up to ${target}); update before loading into it`,
    )
  }
  let migrated: Document = { ...document }
  if (engine < 3) migrated = repackNormalizers(migrated)
  if (engine < 4) migrated = { ...migrated, version_hash: '' }
  if (engine < 7) migrated = mapTables(migrated, table => withoutMember(table, 'table_sealed'))
  if (engine < 8) migrated = { ...migrated, previous_hashes: migrated.previous_hashes ?? [] }
  if (engine < 9) migrated = mapTables(migrated, markTablesWithRows)
  if (engine < 10) migrated = renameKeysOfEngine10(migrated)
  if (engine < 11) migrated = keepIdentifierRule(migrated)
  return { ...migrated, engine_version: target }
}

/** Engine 3 moved keys of the document into `normalizers` and `settings`, and the tables into `tables`. */
function repackNormalizers(document: Document): Document {
  const { preferred_types, hints, ...rest } = document
  const settings: Document = { ...objectOf(document.settings) }
  settings.detections ??= ['timestamp', 'iso_timestamp']
  if (hints !== undefined) settings.default_hints = hints
  if (preferred_types !== undefined) settings.preferred_types = preferred_types
  return {
    ...rest,
    settings,
    normalizers: document.normalizers ?? {
      names: 'snake_case',
      json: { module: 'dlt.common.normalizers.json.relational' },
    },
  }
}

/** Engine 9 distinguishes tables that hold rows from tables that are only declared. */
function markTablesWithRows(table: JsonObject): JsonObject {
  const columns = objectOf(table.columns)
  if (!Object.hasOwn(columns, '_dlt_id')) return table
  return { ...table, 'x-normalizer': { ...objectOf(table['x-normalizer']), 'seen-data': true } }
}

function renameKeysOfEngine10(document: Document): Document {
  const migrated = mapTables(document, table => ({ ...table, columns: mapMembers(table.columns, renamedColumn) }))
  const settings: Document = { ...objectOf(migrated.settings) }
  const hints = objectOf(settings.default_hints)
  if (Object.hasOwn(hints, 'foreign_key')) {
    const { foreign_key, ...others } = hints
    settings.default_hints = { ...others, parent_key: ['_dlt_parent_id'], row_key: ['_dlt_id'] }
  }
  if (isJsonObject(settings.preferred_types)) {
    settings.preferred_types = mapMembers(settings.preferred_types, type => (type === 'complex' ? 'json' : type))
  }
  const json = objectOf(objectOf(migrated.normalizers).json)
  const config = withoutMember(objectOf(json.config), 'generate_dlt_id')
  const normalizers = {
    ...objectOf(migrated.normalizers),
    json: { ...json, ...(json.config !== undefined && { config }) },
  }
  return { ...migrated, settings, normalizers }
}

function renamedColumn(column: JsonValue, name: string): JsonValue {
  if (!isJsonObject(column)) return column
  const renamed: Document = {}
  for (const [key, value] of Object.entries(column)) {
    if (key === 'data_type' && value === 'complex') renamed.data_type = 'json'
    else if (key === 'foreign_key') renamed.parent_key = value
    else renamed[key] = value
  }
  if (name === '_dlt_id' && renamed.unique === true) renamed.row_key ??= true
  return renamed
}

/** Schemas from before engine 11 still normalise names as identifiers: `a__b` in data is `a_b`. */
function keepIdentifierRule(document: Document): Document {
  const normalizers = objectOf(document.normalizers)
  return {
    ...document,
    normalizers: { ...normalizers, use_break_path_on_normalize: normalizers.use_break_path_on_normalize ?? false },
  }
}

function mapTables(document: Document, change: (table: JsonObject) => JsonObject): Document {
  return { ...document, tables: mapMembers(document.tables, table => (isJsonObject(table) ? change(table) : table)) }
}

function mapMembers(value: JsonValue | undefined, change: (value: JsonValue, key: string) => JsonValue): JsonObject {
  return Object.fromEntries(Object.entries(objectOf(value)).map(([key, entry]) => [key, change(entry, key)]))
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {}
}
