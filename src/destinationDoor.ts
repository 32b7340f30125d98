/** `sluice/destination`, the door for authors of destinations: re-exports only. */

export { type SystemRow, type SystemRows, systemRows, systemTables } from './destinations/systemRows.js'
export { parseJson } from './json/parse.js'
export { isJsonObject, type JsonObject, type JsonValue } from './json/value.js'
export { stringifyJson } from './json/write.js'
export { type BatchValue, batchRows, type Column, type ColumnBatch, readUint32 } from './model/batch.js'
export type { CursorRange, LoadedWindow, WindowAttempt, WindowsOf } from './model/cursors/cursorRange.js'
export type {
  Capabilities,
  CommitAnew,
  CommitNotes,
  CommitPlan,
  Committed,
  CommittedView,
  Condition,
  Connection,
  DatasetRow,
  DatasetValue,
  Destination,
  DropPlan,
  InspectedColumn,
  Load,
  LoadPlan,
  OnStatement,
  OrphanDeletes,
  QueryBatch,
  ReadQuery,
  RowValue,
  SqlQuery,
  StagedLoad,
  TableChanges,
  TablePlan,
  WindowAttempts,
} from './model/destination.js'
export { DataError, DestinationError, QueryError, SchemaError, SluiceError } from './model/errors.js'
export { decodeState, encodeState, type PipelineState } from './model/pipelineState.js'
export type { Receipt } from './model/receipt.js'
export { reveal, Secret } from './model/secrets/secret.js'
export { isComplete } from './schema/columns.js'
export { type Naming, naming } from './schema/naming.js'
export { rootTable } from './schema/rootKey.js'
export type {
  ColumnSchema,
  DataType,
  MergeStrategy,
  ReadonlyColumn,
  ReadonlySchema,
  ReadonlyTable,
  Schema,
  TableSchema,
  WriteDisposition,
} from './schema/schemaTypes.js'
export { readSchema, schemaText } from './schema/stored/document.js'
