import type { JsonValue } from '../json/value.js'

/** dlt's data types. Their meaning at a destination is the destination's type map. */
export type DataType =
  | 'text'
  | 'double'
  | 'bool'
  | 'timestamp'
  | 'bigint'
  | 'binary'
  | 'json'
  | 'decimal'
  | 'wei'
  | 'date'
  | 'time'

export type WriteDisposition = 'skip' | 'append' | 'replace' | 'merge'
export type MergeStrategy = 'delete-insert' | 'upsert' | 'insert-only' | 'scd2'
export type ContractMode = 'evolve' | 'freeze' | 'discard_row' | 'discard_value'

/** A contract with every entity decided. */
export interface SchemaContract {
  readonly tables: ContractMode
  readonly columns: ContractMode
  readonly data_type: ContractMode
}

/**
 * A column as in dlt's stored schema: the keys are dlt's, verbatim and in stored order. A column without `data_type`
 * is incomplete: hints are known, data has not shown its type yet.
 */
export interface ColumnSchema {
  name: string
  data_type?: DataType
  nullable?: boolean
  precision?: number
  scale?: number
  timezone?: boolean
  variant?: boolean
  description?: string
  primary_key?: boolean
  merge_key?: boolean
  unique?: boolean
  sort?: boolean
  partition?: boolean
  cluster?: boolean
  row_key?: boolean
  parent_key?: boolean
  root_key?: boolean
  hard_delete?: boolean
  dedup_sort?: 'asc' | 'desc'
  incremental?: boolean
  [hint: string]: JsonValue | undefined
}

/** A table as in dlt's stored schema. `columns` keeps stored order, which the version hash depends on. */
export interface TableSchema {
  name: string
  columns: Map<string, ColumnSchema>
  write_disposition?: WriteDisposition
  /** Root tables: the resource, not normalised. */
  resource?: string
  /** Nested tables: the table they hang on. */
  parent?: string
  schema_contract?: ContractMode | Partial<SchemaContract>
  description?: string
  table_format?: string
  file_format?: string
  /** Other keys of the stored document: `x-normalizer`, `x-merge-strategy`, `references`, … */
  [hint: string]: JsonValue | Map<string, ColumnSchema> | undefined
}

/**
 * dlt's schema document (engine 11). Mutable while a load normalises into it; {@link ReadonlySchema} elsewhere.
 */
export interface Schema {
  name: string
  version: number
  version_hash: string
  engine_version: number
  /** In stored order. */
  tables: Map<string, TableSchema>
  settings: { [key: string]: JsonValue }
  normalizers: { [key: string]: JsonValue }
  previous_hashes: string[]
  /** Hash of the document this schema was imported from. */
  imported_version_hash?: string
  description?: string
}

export type ReadonlyColumn = Readonly<ColumnSchema>
export interface ReadonlyTable {
  readonly name: string
  readonly columns: ReadonlyMap<string, ReadonlyColumn>
  readonly write_disposition?: WriteDisposition
  readonly resource?: string
  readonly parent?: string
  readonly schema_contract?: ContractMode | Partial<SchemaContract>
  readonly [hint: string]: JsonValue | ReadonlyMap<string, ReadonlyColumn> | undefined
}
export interface ReadonlySchema extends Readonly<Omit<Schema, 'tables' | 'previous_hashes'>> {
  readonly tables: ReadonlyMap<string, ReadonlyTable>
  readonly previous_hashes: readonly string[]
}
