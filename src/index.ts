/** The public door: re-exports only. */

export type { Environment } from './config/lookup/environment.js'
export type { Notice, NoticedResource, NotifiedWork } from './config/notify/notice.js'
export type { Notification, NotifyOptions } from './config/notify/notification.js'
export { notifying } from './config/notify/notifying.js'
export type { Occasion } from './config/notify/occasions.js'
export { loadPipelineFile, type PipelineFile, type PipelineFileOptions } from './config/pipelineFile.js'
export { destinationFromUrl } from './config/places/destinations.js'
export { ducklake } from './config/places/ducklakeOptions.js'
export { files } from './config/places/filesOptions.js'
export { type JournalBucketOptions, journalBucket } from './config/places/journalBucket.js'
export {
  defineConfig,
  type RestApiDocument,
  type RestApiOptions,
  restApi,
} from './config/restApi.js'
export { type DuckdbOptions, duckdb } from './destinations/duckdb/duckdb.js'
export type { DucklakeOptions } from './destinations/ducklake/lake.js'
export type { Compression, FileFormatName } from './destinations/objects/format/fileEncoding.js'
export type { FilesOptions } from './destinations/objects/objects.js'
export type { S3CredentialProvider, S3Credentials, S3Options } from './destinations/objects/storage/s3Identity.js'
export { type PostgresOptions, postgres, type TlsMode } from './destinations/postgres/postgres.js'
export type { DraftOptions, PipelineDraft } from './import/draft/draftOptions.js'
export { draftPipeline } from './import/draft/draftPipeline.js'
export type { DraftAuth } from './import/draft/draftYaml.js'
export type {
  ImportedPipeline,
  ImportedSecret,
  ImportInput,
  ImportNote,
  ImportText,
  LeftOut,
  SourcePlace,
} from './import/imported.js'
export type { ImportKind } from './import/importers.js'
export { type ImportedFile, type ImportOptions, type ImportResult, importPipeline } from './import/importPipeline.js'
export type { Finding, Proof, ProofRequest, ProofStatus, ProveOptions, ResourceProof } from './import/prove/proof.js'
export { prove } from './import/prove/proveDocument.js'
export type { JournalBucket, JournalStore } from './journal/bucketJournals.js'
export type { Files, OpenFile } from './journal/fileSystem.js'
export type { JsonObject, JsonValue } from './json/value.js'
export { stringifyJson } from './json/write.js'
export type { Column, ColumnBatch } from './model/batch.js'
export type { CursorRange, LoadedWindow, WindowAttempt, WindowsOf } from './model/cursors/cursorRange.js'
export type {
  Capabilities,
  CommitAnew,
  CommitPlan,
  Committed,
  CommittedView,
  Condition,
  Connection,
  DatasetRow,
  DatasetValue,
  Destination,
  DropPlan,
  Load,
  LoadPlan,
  OnStatement,
  QueryBatch,
  ReadQuery,
  RowValue,
  SqlQuery,
  StagedLoad,
  TableChanges,
  TablePlan,
  WindowAttempts,
} from './model/destination.js'
export {
  AbortError,
  ConfigError,
  type ConfigPlace,
  type ConfigProblem,
  DataError,
  DestinationError,
  EnvironmentError,
  type ErrorCode,
  QueryError,
  RequestError,
  SchemaError,
  SluiceError,
} from './model/errors.js'
export type { EventListener, RunEvent, WarningCode } from './model/events.js'
export type { Expectations } from './model/expectations.js'
export type { CursorState, PipelineState, ResourceState, SourceState } from './model/pipelineState.js'
export type { Extent, Receipt, Verdict } from './model/receipt.js'
export type { Scrubber, Sealed, Unsealed } from './model/secrets/scrubber.js'
export { Secret, type SecretReference, secret } from './model/secrets/secret.js'
export type {
  Clock,
  Decision,
  ExtractContext,
  IncrementalWindow,
  ListEnd,
  Page,
  ProcessingStep,
  RequestDescription,
  Resource,
  ResourceDescription,
  RetryDescription,
  Source,
  WindowOrder,
} from './model/source.js'
export type { GivenRecord, MadeRecord, RecordFunction } from './model/userFunction.js'
export type { CursorBound, WindowOptions } from './pipeline/backfill/askedRange.js'
export type { LoadingOptions, Partition, WindowLoad, WindowOutcome } from './pipeline/backfill/loadWindows.js'
export type { FailedWindow, RunningWindow } from './pipeline/backfill/planBackfill.js'
export type { BackfillOptions, BackfillResult, BackfillStatus } from './pipeline/backfill/runBackfill.js'
export type { EventMessage, EventSubject, WorkFailure, WorkKind, WorkMessage } from './pipeline/eventChannel.js'
export type { RowCounts } from './pipeline/knownTables.js'
export type { CheckedResource, CheckOptions, CheckResult } from './pipeline/look/checkSource.js'
export type {
  AnyTables,
  Compared,
  Dataset,
  KnownTables,
  Operand,
  QueriedRows,
  ReadOptions,
  Relation,
  TablesOf,
} from './pipeline/look/dataset.js'
export type { PipelinePlan, PlannedCursor, PlannedList, PlanOptions } from './pipeline/look/describePipeline.js'
export type { ChangeOptions, Dropped } from './pipeline/look/dropResources.js'
export type { HistoryOptions, PastLoad } from './pipeline/look/pastLoads.js'
export type { Place, PlacedValue } from './pipeline/look/placedRecords.js'
export type { SchemaFiles } from './pipeline/look/schemaFiles.js'
export type { RowKey, RowTrace, TracedJournal, TracedSource, TraceOptions } from './pipeline/look/traceRow.js'
export type { UncommittedRun } from './pipeline/look/uncommittedRuns.js'
export { type Pipeline, type PipelineOptions, pipeline } from './pipeline/pipeline.js'
export type { DoneWindow } from './pipeline/run/incremental/windowLedger.js'
export type { LosingPipeline } from './pipeline/run/plan/sharedTables.js'
export type { ReplayOptions } from './pipeline/run/replayPipeline.js'
export type { Refresh, RunOptions, RunResult, RunWarning } from './pipeline/setup.js'
export type {
  AnswerCondition,
  ApiPage,
  ApiRequest,
  ApiResponse,
  Authenticator,
  ClientCertificate,
  ListParts,
  Method,
  OwnAuthenticator,
  OwnPaginator,
  Paginator,
  ParamValue,
  RecordField,
  RequestBody,
  RequestPatch,
  RetryPolicy,
  ShortPages,
  SignContext,
  Transport,
  TransportRequest,
  TransportResponse,
  WaitFrom,
} from './rest/api.js'
export type {
  AdaptPageSizeConfig,
  AnswerConditionConfig,
  ApiKeyAuthConfig,
  AuthConfig,
  AuthKeys,
  AuthType,
  AutoPaginatorConfig,
  AwsSigv4AuthConfig,
  BearerAuthConfig,
  ChangesConfig,
  CleanupConfig,
  ClientConfig,
  ColumnConfig,
  ColumnsConfig,
  CompleteNestedConfig,
  CsvFormatConfig,
  CursorPaginatorConfig,
  DocumentPipelineConfig,
  DownloadConfig,
  EndpointConfig,
  ExcelFormatConfig,
  ExpectationsConfig,
  FormatConfig,
  FormatKeys,
  GraphqlConfig,
  HeaderCursorPaginatorConfig,
  HeaderLinkPaginatorConfig,
  HmacAuthConfig,
  HttpBasicAuthConfig,
  IncrementalConfig,
  IncrementalParamConfig,
  InitialTokenConfig,
  JobConfig,
  JsonFormatConfig,
  JsonLinkPaginatorConfig,
  JsonlFormatConfig,
  KeysetPaginatorConfig,
  LoginAuthConfig,
  MaxAgeConfig,
  MtlsAuthConfig,
  NamedResource,
  NestedHintConfig,
  NotifyConfig,
  Oauth1AuthConfig,
  Oauth2ClientCredentialsAuthConfig,
  Oauth2JwtAuthConfig,
  Oauth2RefreshTokenAuthConfig,
  OffsetPaginatorConfig,
  PageNumberPaginatorConfig,
  PaginatorConfig,
  PaginatorKeys,
  PaginatorShorthand,
  ParamValueConfig,
  PartitionConfig,
  PollConfig,
  ProcessingStepConfig,
  ProfileConfig,
  RateLimitConfig,
  ResolveParamConfig,
  ResourceConfig,
  ResourceDefaultsConfig,
  ResourceKeys,
  ResponseActionConfig,
  ResponseActionKeys,
  RestApiConfig,
  RetryConfig,
  RotateAuthConfig,
  SchemaContractConfig,
  SchemaContractKeys,
  SinglePagePaginatorConfig,
  SourceConfig,
  SourcePipelineConfig,
  TokenExpiredConfig,
  TsvFormatConfig,
  WaitFromConfig,
  WindowConfig,
  WriteDispositionConfig,
  WriteDispositionKeys,
  XmlFormatConfig,
} from './rest/document/declaration/configTypes.js'
export type {
  ConvertFunction,
  FunctionAction,
  RecordsFunction,
  ResponseActionName,
  ResponseFunction,
  ResponseView,
} from './rest/document/model.js'
export type { PlaceOf, PropertyPath } from './rest/document/problems.js'
export { type Fetch, fetchTransport } from './rest/http/fetchTransport.js'
export { type HostBudget, hostBudget } from './rest/http/rateLimit.js'
export {
  type ExportOptions,
  exportSchema,
  type RowFormat,
  SCHEMA_FORMATS,
  type SchemaFormat,
} from './schema/export/export.js'
export type { LockChange } from './schema/export/schemaLock.js'
export type { MixedColumn } from './schema/mixedNumbers.js'
export type { NamingName } from './schema/naming.js'
export type {
  ColumnSchema,
  ContractMode,
  DataType,
  MergeStrategy,
  ReadonlySchema,
  ReadonlyTable,
  SchemaContract,
  WriteDisposition,
} from './schema/schemaTypes.js'
