import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseJson } from '../../src/json/parse.js'
import type { JsonObject, JsonValue } from '../../src/json/value.js'
import { isJsonObject } from '../../src/json/value.js'
import type { DispositionHint, TableHints } from '../../src/model/source.js'
import { addColumn, markSeenData, newColumn } from '../../src/schema/columns.js'
import { naming } from '../../src/schema/naming.js'
import type { ColumnSchema, DataType, MergeStrategy, Schema, WriteDisposition } from '../../src/schema/schemaTypes.js'
import {
  bumpVersionFrom,
  cloneSchema,
  ensureStateTable,
  newSchema,
  readSchema,
  schemaText,
  versionHash,
} from '../../src/schema/stored/document.js'
import { applyTableHints } from '../../src/schema/tableHints.js'

/**
 * The cases say which schema dlt has after each run and the hash it stored. Here hints of the case's configuration and
 * columns in the order of the database go through the public functions; version and hash must be dlt's.
 */
const folder = new URL('../conformance/cases/', import.meta.url)
const convention = naming('snake_case')

describe('version and hash of stored schemas', () => {
  const files = readdirSync(folder).filter(file => file.endsWith('.json'))
  for (const file of files) {
    const document = parseJson(readFileSync(new URL(file, folder))) as JsonObject
    const runs = document.runs as readonly JsonObject[]
    if (!runs.some(run => isJsonObject(run.expect) && run.expect.stored_schema !== undefined)) continue
    test(file.replace('.json', ''), () => replay(document, runs))
  }
})

function replay(document: JsonObject, runs: readonly JsonObject[]): void {
  let schema = newSchema('rest_api', { naming: convention })
  let newest: { version: number; version_hash: string } | undefined
  const stored = new Set<string>()
  for (const run of runs) {
    const expected = run.expect as JsonObject
    if (expected.stored_schema === undefined || expected.error !== undefined) continue
    const args = (run.args ?? {}) as JsonObject
    if (args.refresh === 'drop_sources') {
      schema = newSchema('rest_api', { naming: convention })
      stored.clear()
    }
    load(schema, (run.config ?? document.config) as JsonObject, run)
    if (!stored.has(schema.version_hash)) newest = { version: schema.version, version_hash: schema.version_hash }
    stored.add(schema.version_hash)
    expect(newest).toEqual(expected.stored_schema)
    schema = readSchema(schemaText(schema))
    expect(versionHash(cloneSchema(schema))).toBe(schema.version_hash)
  }
}

/** One load as the pipeline does it: hints, columns that data brings, version. */
function load(schema: Schema, config: JsonObject, run: JsonObject): void {
  const expected = run.expect as JsonObject
  const args = (run.args ?? {}) as JsonObject
  const tables = expected.tables as Record<string, JsonObject>
  for (const resource of resources(config)) {
    const name = resource.name as string
    const table = convention.tablesPath((resource.table_name as string | undefined) ?? name)
    if (resource.selected === false || (tables[table] === undefined && !gavePage(resource, run))) continue
    const endpoint = isJsonObject(resource.endpoint) ? resource.endpoint : {}
    applyTableHints(schema, {
      resource: name,
      table,
      hints: hintsOf(resource),
      naming: convention,
      cursorPath: cursorOf(endpoint),
      runDisposition: disposition(args.write_disposition),
    })
  }
  const declared = cloneSchema(schema)
  ensureStateTable(schema, convention)
  for (const [name, table] of Object.entries(tables)) addColumns(schema, name, table, expected)
  bumpVersionFrom(declared, schema)
}

/** A resource without a single page, not even an empty one, makes no table: its only answer was an ignored status. */
function gavePage(resource: JsonObject, run: JsonObject): boolean {
  return (run.exchanges as JsonObject[]).some(({ request, response }) => {
    const path = (request as JsonObject).path as string
    const status = ((response as JsonObject).status ?? 200) as number
    return path.endsWith(`/${resource.name}`) && status < 400
  })
}

function addColumns(schema: Schema, name: string, table: JsonObject, expected: JsonObject): void {
  const described = (expected.schema as Record<string, JsonObject>)[name] as JsonObject
  const columns = described.columns as Record<string, JsonObject>
  const target = schema.tables.get(name) ?? { name, columns: new Map(), parent: described.parent as string }
  schema.tables.set(name, target)
  for (const { name: column } of table.columns as { name: string }[]) {
    if (target.columns.get(column)?.data_type !== undefined) continue
    const type =
      column === '_dlt_list_idx' ? 'bigint' : ((columns[column]?.data_type as DataType | undefined) ?? 'text')
    addColumn(target, newColumn(schema, column, type, { variant: columns[column]?.variant === true }))
  }
  markSeenData(target)
}

function resources(config: JsonObject): JsonObject[] {
  const defaults = (config.resource_defaults ?? {}) as JsonObject
  return (config.resources as JsonValue[]).map(entry => {
    if (!isJsonObject(entry)) return { ...defaults, name: entry }
    const columns =
      isJsonObject(defaults.columns) && isJsonObject(entry.columns)
        ? { columns: { ...defaults.columns, ...entry.columns } }
        : {}
    return { ...defaults, ...entry, ...columns }
  })
}

function hintsOf(resource: JsonObject): TableHints {
  return {
    writeDisposition: disposition(resource.write_disposition),
    primaryKey: list(resource.primary_key),
    mergeKey: list(resource.merge_key),
    columns: columnsOf(resource.columns),
    schemaContract: (resource.schema_contract ?? undefined) as TableHints['schemaContract'],
    maxTableNesting: resource.max_table_nesting as number | undefined,
  }
}

function columnsOf(columns: JsonValue | undefined): ColumnSchema[] {
  if (Array.isArray(columns)) return columns
  if (!isJsonObject(columns)) return []
  return Object.entries(columns).map(([name, column]) => ({ ...(column as JsonObject), name }))
}

function list(value: JsonValue | undefined): string[] | undefined {
  if (value === undefined || value === null) return undefined
  return typeof value === 'string' ? [value] : (value as string[])
}

function disposition(value: JsonValue | undefined): DispositionHint | undefined {
  if (typeof value === 'string') return { disposition: value as WriteDisposition }
  if (!isJsonObject(value)) return undefined
  return {
    disposition: value.disposition as WriteDisposition,
    strategy: value.strategy as MergeStrategy | undefined,
    validityColumnNames: value.validity_column_names as [string, string] | undefined,
    activeRecordTimestamp: value.active_record_timestamp as string | undefined,
    boundaryTimestamp: value.boundary_timestamp as string | null | undefined,
  }
}

function cursorOf(endpoint: JsonObject): string | undefined {
  const params = isJsonObject(endpoint.params) ? Object.values(endpoint.params) : []
  for (const candidate of [endpoint.incremental, ...params]) {
    if (!isJsonObject(candidate)) continue
    if (candidate === endpoint.incremental || candidate.type === 'incremental') return candidate.cursor_path as string
  }
  return undefined
}
