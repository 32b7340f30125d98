import type { JsonObject, JsonValue } from '../json/value.js'
import { isJsonObject } from '../json/value.js'
import { SchemaError } from '../model/errors.js'
import type { WarningCode } from '../model/events.js'
import type { DispositionHint, TableHints } from '../model/source.js'
import { isComplete } from './columns.js'
import { allowColumnsOnce, evolvesColumnsOnce, frozen, isNewTable, resolveContract } from './contracts.js'
import type { Naming } from './naming.js'
import { propagateRootKeys } from './rootKey.js'
import { type ColumnSchema, needsPrimaryKey, type Schema, type TableSchema } from './schemaTypes.js'

/** The hints of one resource, to be applied to the schema. */
export interface HintsOfResource {
  /** Name of the resource as configured. */
  readonly resource: string
  /** Normalised name of its root table. */
  readonly table: string
  readonly hints: TableHints
  readonly naming: Naming
  /** Replaces the hints' write disposition for this run. */
  readonly runDisposition?: DispositionHint | undefined
  /** Cursor path of incremental loading. If it names a column, the column is marked. */
  readonly cursorPath?: string | undefined
  readonly warn?: ((code: WarningCode, message: string, resource?: string) => void) | undefined
}

/**
 * Creates or updates a resource's root table and the nested tables that its hints name, as dlt does at the first record
 * of a run. Given hints replace those in the schema. Missing hints stay, except the write disposition, which becomes
 * `append`. Returns the root table.
 *
 * The order of columns is: declared columns, primary key, merge key, validity columns of scd2, cursor. A declared
 * column without a type keeps its place until data completes it. Fails with a {@link SchemaError} in three cases: a
 * declared type contradicts the column's type; a root table is nested or the reverse; a merge strategy lacks its key.
 */
export function applyTableHints(schema: Schema, given: HintsOfResource): TableSchema {
  const disposition = given.runDisposition ?? given.hints.writeDisposition ?? { disposition: 'append' }
  const table = updateTable(schema, given.table, given, {
    hints: given.hints,
    disposition,
    resource: given.resource,
    cursorPath: given.cursorPath,
  })
  for (const [path, hints] of Object.entries(given.hints.nestedHints ?? {})) {
    applyNestedHints(schema, given, path, hints)
  }
  return table
}

/**
 * Hints of a nested table. With its own keys it is a root table without parent. It is then loaded by its own
 * disposition, or appended, whatever the resource's is. Without keys it is always loaded with its parent.
 */
function applyNestedHints(schema: Schema, given: HintsOfResource, path: string, hints: TableHints): void {
  const { naming } = given
  const fragments = path.split('__').filter(fragment => fragment !== '')
  let parent = given.table
  let name = given.table
  for (const [index, fragment] of fragments.entries()) {
    parent = name
    name = naming.shortenFragments(parent, naming.tableIdentifier(fragment))
    const last = index === fragments.length - 1
    const ownKeys = last && ((hints.primaryKey?.length ?? 0) > 0 || (hints.mergeKey?.length ?? 0) > 0)
    updateTable(schema, name, given, {
      hints: last ? hints : {},
      ...(ownKeys
        ? { resource: given.resource, disposition: hints.writeDisposition }
        : { parent, disposition: last ? hints.writeDisposition : undefined }),
    })
  }
}

/** The changes for one table. */
interface TableUpdate {
  readonly hints: TableHints
  readonly disposition: DispositionHint | undefined
  readonly resource?: string
  readonly parent?: string
  readonly cursorPath?: string | undefined
}

function updateTable(schema: Schema, name: string, given: HintsOfResource, update: TableUpdate): TableSchema {
  const existing = schema.tables.get(name)
  if (existing !== undefined && existing.parent !== update.parent) {
    throw new SchemaError('schema', parentConflict(existing, update.parent), { table: name })
  }
  const wasNew = isNewTable(existing)
  const table: TableSchema = existing ?? { name, columns: new Map() }
  Object.assign(table, tableKeys(update, table))
  schema.tables.set(name, table)
  mergeColumns(table, allowedColumns(schema, table, wasNew, columnsOf(schema, given, update)))
  if (wasNew && resolveContract(schema, name).columns !== 'evolve') allowColumnsOnce(table)
  if (update.parent === undefined) {
    checkKeys(table, given)
    propagateRootKeys(schema, [table])
  }
  return table
}

/**
 * The declared columns that the contract allows. In a table that is not new, unknown columns are left out, or refused
 * if columns are frozen.
 */
function allowedColumns(
  schema: Schema,
  table: TableSchema,
  isNew: boolean,
  columns: ReadonlyMap<string, ColumnSchema>,
): ReadonlyMap<string, ColumnSchema> {
  const mode = isNew || evolvesColumnsOnce(table) ? 'evolve' : resolveContract(schema, table.name).columns
  if (mode === 'evolve') return columns
  const allowed = new Map<string, ColumnSchema>()
  for (const [name, column] of columns) {
    if (table.columns.has(name) || name.startsWith('_dlt')) allowed.set(name, column)
    else if (mode === 'freeze') {
      throw frozen(`column ${table.name}.${name} is declared and new`, 'columns', { table: table.name, column: name })
    }
  }
  return allowed
}

function parentConflict(table: TableSchema, parent: string | undefined): string {
  const was = table.parent === undefined ? 'a root table' : `nested under ${table.parent}`
  const becomes = parent === undefined ? 'a root table' : `nested under ${parent}`
  return `Table ${table.name} is ${was} in the stored schema and cannot become ${becomes}; rename one of them with table_name`
}

/** The columns that the hints declare, merged by normalised name, in dlt's order. */
function columnsOf(schema: Schema, given: HintsOfResource, update: TableUpdate): Map<string, ColumnSchema> {
  const { hints, disposition } = update
  const columns = new Map<string, ColumnSchema>()
  const rawNames = new Map<string, string>()
  const normalised = (raw: string): string => columnName(schema, given.naming, raw)
  for (const column of hints.columns ?? []) {
    const name = normalised(column.name)
    const earlier = rawNames.get(name)
    if (earlier !== undefined && earlier !== column.name) {
      const message = `The hints of columns ${earlier} and ${column.name} both belong to column ${name}: they are merged`
      given.warn?.('column_collision', message, given.resource)
    }
    rawNames.set(name, column.name)
    columns.set(name, { ...columns.get(name), ...column, name })
  }
  // Keys given for the table replace those that columns declare, even if the given list is empty.
  if (hints.primaryKey !== undefined) for (const column of columns.values()) delete column.primary_key
  if (hints.mergeKey !== undefined) for (const column of columns.values()) delete column.merge_key
  const addKey = (raw: string, key: 'primary_key' | 'merge_key'): void => {
    const name = normalised(raw)
    const column = columns.get(name) ?? { name }
    columns.set(name, { ...column, nullable: column.nullable ?? false, [key]: true })
  }
  for (const raw of hints.primaryKey ?? []) addKey(raw, 'primary_key')
  for (const raw of hints.mergeKey ?? []) addKey(raw, 'merge_key')
  if (disposition?.strategy === 'scd2') {
    for (const column of versionColumns(disposition)) {
      const name = normalised(column.name)
      columns.set(name, { ...column, name })
    }
  } else if (disposition?.skipUnchangedRows === true && disposition.rowVersionColumnName !== undefined) {
    const name = normalised(disposition.rowVersionColumnName)
    columns.set(name, { ...columns.get(name), name, nullable: false, 'x-row-version': true })
  }
  const cursor = update.cursorPath === undefined ? undefined : simpleField(update.cursorPath)
  if (cursor !== undefined) {
    const name = normalised(cursor)
    columns.set(name, { ...(columns.get(name) ?? { name }), incremental: true })
  }
  return columns
}

/** Name of a column declared by hints, normalised like names in data. */
export function columnName(schema: Pick<Schema, 'normalizers'>, naming: Naming, raw: string): string {
  const isWhole = schema.normalizers.use_break_path_on_normalize === false
  return naming.column(isWhole ? naming.identifier(raw) : naming.path(raw))
}

/** The columns in which scd2 keeps versions. */
function versionColumns(disposition: DispositionHint): ColumnSchema[] {
  const [from, to] = disposition.validityColumnNames ?? ['_dlt_valid_from', '_dlt_valid_to']
  return [
    { name: from, data_type: 'timestamp', nullable: true, 'x-valid-from': true },
    {
      name: to,
      data_type: 'timestamp',
      nullable: true,
      'x-valid-to': true,
      'x-active-record-timestamp': disposition.activeRecordTimestamp ?? null,
    },
    {
      name: disposition.rowVersionColumnName ?? '_dlt_id',
      nullable: false,
      'x-row-version': true,
      // A row that comes back has the same id as its older version.
      unique: false,
      row_key: false,
    },
  ]
}

/** The field that a cursor path names, if it is a plain name. Paths into objects mark no column. */
function simpleField(cursorPath: string): string | undefined {
  const quoted = /^\[?(?:'([^']*)'|"([^"]*)")\]?$/.exec(cursorPath)
  if (quoted !== null) return quoted[1] ?? quoted[2]
  return /^[^.[\]*$,'"|&\s]+$/.test(cursorPath) ? cursorPath : undefined
}

/** A new set of one of these hints replaces the whole old set. */
const COMPOUND_HINTS = ['primary_key', 'merge_key', 'partition', 'cluster', 'incremental'] as const

function mergeColumns(table: TableSchema, columns: ReadonlyMap<string, ColumnSchema>): void {
  for (const hint of COMPOUND_HINTS) {
    if (![...columns.values()].some(column => column[hint] === true)) continue
    for (const column of table.columns.values()) delete column[hint]
  }
  for (const [name, column] of columns) {
    const existing = table.columns.get(name)
    if (existing !== undefined) checkType(table, existing, column)
    if (existing !== undefined && !isComplete(existing) && isComplete(column)) table.columns.delete(name)
    table.columns.set(name, { ...existing, ...column })
  }
}

function checkType(table: TableSchema, existing: ColumnSchema, declared: ColumnSchema): void {
  if (!isComplete(existing) || !isComplete(declared) || existing.data_type === declared.data_type) return
  throw new SchemaError(
    'schema',
    `Column ${table.name}.${existing.name} is ${existing.data_type} in the stored schema and cannot become ` +
      `${declared.data_type}; a full refresh loads the table anew (--full-refresh), or remove the data_type hint`,
    { table: table.name, column: existing.name },
  )
}

/** The table's own keys that the hints set. */
function tableKeys(update: TableUpdate, table: TableSchema): Partial<TableSchema> {
  const { hints, disposition } = update
  const keys: { [key: string]: JsonValue } = {}
  if (disposition !== undefined) Object.assign(keys, dispositionKeys(disposition))
  if (update.resource !== undefined) keys.resource = update.resource
  if (update.parent !== undefined) keys.parent = update.parent
  if (hints.schemaContract !== undefined) keys.schema_contract = hints.schemaContract as JsonValue
  if (hints.tableFormat !== undefined) keys.table_format = hints.tableFormat
  if (hints.fileFormat !== undefined) keys.file_format = hints.fileFormat
  if (hints.references !== undefined) keys.references = hints.references
  if (hints.maxTableNesting !== undefined) {
    const marks: JsonObject = isJsonObject(table['x-normalizer']) ? table['x-normalizer'] : {}
    keys['x-normalizer'] = { ...marks, max_nesting: hints.maxTableNesting }
  }
  return keys as Partial<TableSchema>
}

/** `write_disposition`, with the keys of its object form only if they were written. */
function dispositionKeys(hint: DispositionHint): JsonObject {
  const keys: { [key: string]: JsonValue } = { write_disposition: hint.disposition }
  if (hint.disposition !== 'merge') return keys
  if (hint.strategy !== undefined) keys['x-merge-strategy'] = hint.strategy
  if (hint.strategy === 'scd2' && hint.boundaryTimestamp !== undefined) {
    keys['x-boundary-timestamp'] = hint.boundaryTimestamp
  }
  if (hint.deduplicated === true) keys['x-stage-data-deduplicated'] = true
  if (hint.sourceFilter) keys['x-merge-source-filter'] = hint.sourceFilter
  if (hint.destinationScope) keys['x-merge-destination-scope'] = hint.destinationScope
  if (hint.skipUnchangedRows === true) keys['x-merge-skip-unchanged-rows'] = true
  return keys
}

function checkKeys(table: TableSchema, given: HintsOfResource): void {
  const strategy = table['x-merge-strategy']
  if (table.write_disposition !== 'merge' || !needsPrimaryKey(strategy)) return
  if ([...table.columns.values()].some(column => column.primary_key === true)) return
  const message = `Resource ${given.resource}: merge strategy ${String(strategy)} needs a primary_key`
  throw new SchemaError('schema', message, { table: table.name })
}
