import type { JsonValue } from '../json/value.js'

/** dlt's data types. A destination's type map gives their meaning there. */
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
export type MergeStrategy = 'delete-insert' | 'upsert' | 'insert-only' | 'scd2' | 'cdc'
export type ContractMode = 'evolve' | 'freeze' | 'discard_row' | 'discard_value'

/** The words of these types, in the order of the documents. */
export const DATA_TYPES = [
  'text',
  'double',
  'bool',
  'timestamp',
  'bigint',
  'binary',
  'json',
  'decimal',
  'wei',
  'date',
  'time',
] as const satisfies readonly DataType[]
export const WRITE_DISPOSITIONS = ['append', 'replace', 'merge', 'skip'] as const satisfies readonly WriteDisposition[]
export const MERGE_STRATEGIES = [
  'delete-insert',
  'upsert',
  'insert-only',
  'scd2',
  'cdc',
] as const satisfies readonly MergeStrategy[]

/** Whether rows are known by their primary key alone, from which the ids of root rows then follow. */
export function needsPrimaryKey(strategy: unknown): strategy is 'upsert' | 'insert-only' | 'cdc' {
  return strategy === 'upsert' || strategy === 'insert-only' || strategy === 'cdc'
}

export const CONTRACT_MODES = [
  'evolve',
  'freeze',
  'discard_row',
  'discard_value',
] as const satisfies readonly ContractMode[]
export const CONTRACT_ENTITIES = ['tables', 'columns', 'data_type'] as const satisfies readonly (keyof SchemaContract)[]

/** A contract with every entity decided. */
export interface SchemaContract {
  readonly tables: ContractMode
  readonly columns: ContractMode
  readonly data_type: ContractMode
}

/**
 * A column in dlt's stored schema. Keys are dlt's, unchanged and in stored order. A column without `data_type` is
 * incomplete: only its hints are known so far.
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

/** A table in dlt's stored schema. `columns` keeps the stored order, on which the version hash depends. */
export interface TableSchema {
  name: string
  columns: Map<string, ColumnSchema>
  write_disposition?: WriteDisposition
  /** Root tables: the resource's name, not normalised. */
  resource?: string
  /** Nested tables: the parent table. */
  parent?: string
  schema_contract?: ContractMode | Partial<SchemaContract>
  description?: string
  table_format?: string
  file_format?: string
  /** Other keys of the stored document: `x-normalizer`, `x-merge-strategy`, `references`, … */
  [hint: string]: JsonValue | Map<string, ColumnSchema> | undefined
}

/** dlt's schema document (engine 11). Mutable while a load adds to it. Elsewhere use {@link ReadonlySchema}. */
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
  /** Hash of the document from which this schema was imported. */
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
