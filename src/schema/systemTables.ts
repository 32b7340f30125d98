import type { Naming } from './naming.js'
import type { ColumnSchema, DataType, TableSchema } from './schemaTypes.js'

/** The column that names the load of a row. */
export const LOAD_ID = '_dlt_load_id'

/** Names of dlt's own tables and columns under one naming convention. */
export interface SystemNames {
  /** Prefix of all names that belong to dlt. Contracts do not apply to its tables and columns. */
  readonly prefix: string
  readonly versionTable: string
  readonly loadsTable: string
  readonly stateTable: string
  readonly id: string
  readonly loadId: string
  readonly parentId: string
  readonly listIndex: string
  readonly rootId: string
  /** Column for list elements that are not objects. */
  readonly value: string
}

/** The system names as `naming` spells them. */
export function systemNames(naming: Naming): SystemNames {
  return {
    prefix: naming.identifier('_dlt'),
    versionTable: naming.tableIdentifier('_dlt_version'),
    loadsTable: naming.tableIdentifier('_dlt_loads'),
    stateTable: naming.tableIdentifier('_dlt_pipeline_state'),
    id: naming.identifier('_dlt_id'),
    loadId: naming.identifier(LOAD_ID),
    parentId: naming.identifier('_dlt_parent_id'),
    listIndex: naming.identifier('_dlt_list_idx'),
    rootId: naming.identifier('_dlt_root_id'),
    value: naming.identifier('value'),
  }
}

type ColumnDefinition = readonly [name: string, dataType: DataType, nullable: boolean, hints?: Partial<ColumnSchema>]

const VERSION_COLUMNS: readonly ColumnDefinition[] = [
  ['version', 'bigint', false],
  ['engine_version', 'bigint', false],
  ['inserted_at', 'timestamp', false],
  ['schema_name', 'text', false],
  ['version_hash', 'text', false],
  ['schema', 'text', false],
]

const LOADS_COLUMNS: readonly ColumnDefinition[] = [
  ['load_id', 'text', false, { precision: 64 }],
  ['schema_name', 'text', true],
  ['status', 'bigint', false],
  ['inserted_at', 'timestamp', false],
  ['schema_version_hash', 'text', true],
]

const STATE_COLUMNS: readonly ColumnDefinition[] = [
  ['version', 'bigint', false],
  ['engine_version', 'bigint', false],
  ['pipeline_name', 'text', false],
  ['state', 'text', false],
  ['created_at', 'timestamp', false],
  ['version_hash', 'text', true],
  [LOAD_ID, 'text', false, { precision: 64 }],
  ['_dlt_id', 'text', false, { unique: true, row_key: true }],
]

/** The table that keeps every version of the schema document. */
export function versionTable(naming: Naming): TableSchema {
  return {
    name: naming.tableIdentifier('_dlt_version'),
    columns: columnsOf(VERSION_COLUMNS, naming),
    write_disposition: 'skip',
    resource: '_dlt_version',
    description: 'Created by DLT. Tracks schema updates',
  }
}

/** The table with one row for each completed load. */
export function loadsTable(naming: Naming): TableSchema {
  return {
    name: naming.tableIdentifier('_dlt_loads'),
    columns: columnsOf(LOADS_COLUMNS, naming),
    write_disposition: 'skip',
    resource: '_dlt_loads',
    description: 'Created by DLT. Tracks completed loads',
  }
}

/** The table of pipeline states. dlt treats it as an ordinary table with appended rows. */
export function stateTable(naming: Naming): TableSchema {
  return {
    columns: columnsOf(STATE_COLUMNS, naming),
    write_disposition: 'append',
    file_format: 'preferred',
    name: naming.tableIdentifier('_dlt_pipeline_state'),
    resource: '_dlt_pipeline_state',
    'x-normalizer': { 'seen-data': true },
  }
}

function columnsOf(definitions: readonly ColumnDefinition[], naming: Naming): Map<string, ColumnSchema> {
  const columns = new Map<string, ColumnSchema>()
  for (const [raw, dataType, nullable, hints] of definitions) {
    const name = naming.identifier(raw)
    columns.set(name, { name, data_type: dataType, nullable, ...hints })
  }
  return columns
}
