/** The public door: re-exports only. */

export * from './config/index.js'
export type { Column, ColumnBatch } from './core/batch.js'
export type { Decision, RequestDescription, ResourceDescription, RetryDescription } from './core/description.js'
export type {
  Capabilities,
  CommitPlan,
  Committed,
  Condition,
  Connection,
  DatasetRow,
  DatasetValue,
  Destination,
  Load,
  LoadPlan,
  ReadQuery,
  TablePlan,
} from './core/destination.js'
export {
  ConfigError,
  type ConfigPlace,
  type ConfigProblem,
  DataError,
  DestinationError,
  EnvironmentError,
  type ErrorCode,
  RequestError,
  SchemaError,
  SluiceError,
} from './core/errors.js'
export type { RunEvent, WarningCode } from './core/events.js'
export type { Files, OpenFile } from './core/files.js'
export type { JsonObject, JsonValue } from './core/json.js'
export type { Receipt, Verdict } from './core/receipt.js'
export type {
  ColumnSchema,
  ContractMode,
  DataType,
  MergeStrategy,
  ReadonlySchema,
  ReadonlyTable,
  SchemaContract,
  WriteDisposition,
} from './core/schema.js'
export { exportSchema, SCHEMA_FORMATS, type SchemaFormat } from './core/schemaExport.js'
export { Secret } from './core/secret.js'
export { secret } from './core/secretReference.js'
export type {
  Clock,
  ExtractContext,
  IncrementalWindow,
  ListEnd,
  Page,
  ProcessingStep,
  Resource,
  Source,
} from './core/source.js'
export type { PipelineState } from './core/state.js'
export { duckdb } from './destinations/duckdb/duckdb.js'
export { type PostgresOptions, postgres, type TlsMode } from './destinations/postgres/postgres.js'
export type { CheckedResource, CheckOptions, CheckResult } from './pipeline/check.js'
export type { AnyTables, Dataset, Relation, TablesOf } from './pipeline/dataset.js'
export type { PipelinePlan, PlannedCursor, PlannedList, PlanOptions } from './pipeline/describe.js'
export type { ChangeOptions, Dropped } from './pipeline/drop.js'
export { type Pipeline, type PipelineOptions, pipeline } from './pipeline/pipeline.js'
export type { Refresh } from './pipeline/prepare.js'
export type { ReplayOptions } from './pipeline/replay.js'
export type { RowValue } from './pipeline/rowValues.js'
export type { RunOptions, RunResult } from './pipeline/run.js'
export type { SchemaFiles } from './pipeline/schemaFiles.js'
export { type Fetch, fetchTransport } from './rest/fetchTransport.js'
export type {
  ApiPage,
  ApiRequest,
  Authenticator,
  Method,
  Paginator,
  RequestBody,
  RequestPatch,
  RetryPolicy,
  SignContext,
  Transport,
  TransportRequest,
  TransportResponse,
} from './rest/types.js'
