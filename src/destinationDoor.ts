/** `sluice/destination`, the door for authors of destinations: re-exports only. */

export { isJsonObject, type JsonObject, type JsonValue } from './json/value.js'
export { type Column, type ColumnBatch, readUint32 } from './model/batch.js'
export type {
  Capabilities,
  CommitNotes,
  CommitPlan,
  Committed,
  Condition,
  Connection,
  DatasetRow,
  DatasetValue,
  Destination,
  InspectedColumn,
  Load,
  LoadPlan,
  OnStatement,
  OrphanDeletes,
  QueryBatch,
  ReadQuery,
  RowValue,
  SqlQuery,
  TableChanges,
  TablePlan,
} from './model/destination.js'
export { DestinationError } from './model/errors.js'
export type { PipelineState } from './model/pipelineState.js'
export type { Receipt } from './model/receipt.js'
export { reveal, Secret } from './model/secrets/secret.js'
export type {
  ColumnSchema,
  DataType,
  MergeStrategy,
  ReadonlyColumn,
  ReadonlySchema,
  ReadonlyTable,
  WriteDisposition,
} from './schema/schemaTypes.js'
