import type { JsonValue } from '../json/value.js'
import type { DataType, MergeStrategy, ReadonlySchema, WriteDisposition } from '../schema/schemaTypes.js'
import type { ColumnBatch } from './batch.js'
import type { LoadedWindow, WindowAttempt, WindowsOf } from './cursors/cursorRange.js'
import type { PipelineState } from './pipelineState.js'
import type { Receipt } from './receipt.js'
import type { Secret } from './secrets/secret.js'

/** What an engine can do, as data. Nothing else in Sluice asks which engine it is. */
export interface Capabilities {
  /** Longest table or column name, in code points (dlt's `max_identifier_length`). */
  readonly maxIdentifierLength: number
  /** Column names that the engine reserves. A key that would become one gets `_` appended. */
  readonly reservedColumns?: readonly string[] | undefined
  /** The most columns of a table. Absent: the normaliser's own limit. */
  readonly maxColumns?: number | undefined
  /** Names that differ only by case are one name. */
  readonly caseSensitive: boolean
  readonly dispositions: readonly WriteDisposition[]
  /** The first is the default. Empty: merge is refused, and `mergeRefusal` gives the reason. */
  readonly mergeStrategies: readonly MergeStrategy[]
  readonly mergeRefusal?: string | undefined
  /** The `table_format` values that have an effect here. Absent: the key is stored and has no effect. */
  readonly tableFormats?: readonly string[] | undefined
  /** Schema, rows and system tables become visible together. */
  readonly transactionalDdl: boolean
  readonly maxNesting?: number | undefined
  /** Whether text may hold U+0000. If not, it is removed and a warning says so. */
  readonly nulInText: boolean
  /** Best number of rows for a full batch. Absent: the normaliser's default. */
  readonly batchRows?: number | undefined
  /** Decimals of `decimal` and of `wei`: digits, scale. */
  readonly decimal: readonly [precision: number, scale: number]
  readonly wei: readonly [precision: number, scale: number]
  /** Default and greatest number of fractional digits of a second. */
  readonly timestampPrecision: readonly [standard: number, greatest: number]
  /**
   * Several loads of one pipeline may be under way at once, each of a `part` of its own: in one process, or in many, on
   * many machines. Their commits take turns. Absent: one load at a time.
   */
  readonly parallelLoads?: 'one_process' | 'many_processes' | undefined
  /** dlt's class name of the destination, written into the state: `dlt.destinations.duckdb`. */
  readonly dltType: string
}

/** A place to load into, configured but not connected. */
export interface Destination {
  /** Short and without secrets, for messages: `duckdb:demo.duckdb`. */
  readonly name: string
  /** The file or folder that it writes, absolute, if that is on this machine. */
  readonly localPath?: string | undefined
  readonly capabilities: Capabilities
  /** Tells this place from others of the same name. Absent: the name does. Never printed. */
  readonly place?: string | undefined
  /** Secrets to remove from everything that is printed or stored. */
  readonly secrets?: readonly Secret[] | undefined
  /** Calls the listener with each secret that the destination gets later, such as renewed credentials, before its first use. */
  onSecret?(listener: (secret: Secret) => void): void
  connect(dataset: string, signal?: AbortSignal): Promise<Connection>
  /**
   * Whether there is something to connect to. False if connecting would create a place, as with an embedded database. A
   * caller that only reads then does not connect. Absent: connecting creates nothing.
   */
  exists?(): Promise<boolean>
  /**
   * Tries what a load needs of the engine before it connects, such as its extensions, and says what that is. Creates no place.
   * Rejects with a DestinationError that says what to do. Absent: connecting needs nothing more.
   */
  tryEngine?(): Promise<string>
}

export interface Connection extends AsyncDisposable {
  /** The dataset's name in the engine. */
  readonly dataset: string
  /** State and schema of this pipeline's last committed load. Undefined before the first. */
  committed(pipeline: string, schemaName: string): Promise<Committed | undefined>
  /** Whether a load with this id has been committed. */
  hasLoad(loadId: string): Promise<boolean>
  /** Names of the pipelines whose state is stored here. Absent: the destination cannot tell which pipelines share it. */
  pipelines?(): Promise<readonly string[]>
  /**
   * Opens load `id`. First drops everything that earlier, uncommitted loads of this pipeline staged.
   * Fails with `destination_locked` if another process holds this pipeline. `onStatement` is for the log, if the
   * destination has statements.
   */
  begin(load: LoadPlan, onStatement?: OnStatement): Promise<Load>
  /**
   * Commits loads that `begin` of this connection has opened in one transaction, in this order: each with its own id, rows,
   * state, receipts and window, as `commit` does, and all of them or none. After a failure each may still be committed by
   * itself. Absent: the destination commits one load at a time.
   */
  commitTogether?(loads: readonly StagedLoad[]): Promise<void>
  /** Columns that really exist, by table, to notice manual changes. Empty if the dataset is new. */
  inspect(): Promise<ReadonlyMap<string, ReadonlyMap<string, InspectedColumn>>>
  /** Reads rows of a table, in batches, for `show` and for `dataset()`. */
  read(query: ReadQuery): AsyncGenerator<readonly DatasetRow[]>
  /** Number of rows of a table. */
  count(table: string): Promise<number>
  /**
   * Runs one statement that only reads, in the engine's SQL. Tables of the dataset need no schema in front. Yields at
   * least one batch, so that the columns are known. Fails with a QueryError if the statement is wrong, or would write.
   * Absent if the engine has no SQL.
   */
  query?(statement: SqlQuery): AsyncGenerator<QueryBatch>
  /**
   * Writes the rows of a query into a Parquet file and resolves to their number. Replaces an existing file. Types are
   * the engine's own; `batchRows` is ignored. Absent if the engine cannot do this.
   */
  writeParquet?(query: ReadQuery, path: string): Promise<number>
  /**
   * Writes the rows of one statement, as `query` runs it, into a Parquet file, and resolves to their number. Replaces an
   * existing file. `batchRows` is ignored. Absent if the engine cannot do this.
   */
  queryToParquet?(statement: SqlQuery, path: string): Promise<number>
  /** What backfills have tried in vain. Absent: the destination does not remember it. */
  readonly attempts?: WindowAttempts | undefined
  /**
   * Drops tables and stores a schema and a state, in one transaction. `plan` is called when no load of the dataset can
   * commit any more. It may be called again, if the transaction has to begin again. If it rejects, nothing is changed.
   */
  drop(plan: (now: CommittedView) => Promise<DropPlan>): Promise<void>
}

export interface DropPlan {
  /** Those that do not exist are passed over. */
  readonly tables: readonly string[]
  readonly schema: ReadonlySchema
  readonly state: PipelineState
  /** As in a {@link CommitPlan}. */
  readonly otherStates?: readonly PipelineState[] | undefined
  /** Of the load row that records the drop. If it is already committed, nothing is done. */
  readonly loadId: string
}

export interface WindowAttempts {
  read(of: WindowsOf): Promise<readonly WindowAttempt[]>
  /** Replaces the attempts at windows of a list by what `change` makes of them, one caller after the other. */
  change(of: WindowsOf, change: (attempts: readonly WindowAttempt[]) => readonly WindowAttempt[]): Promise<void>
}

export interface InspectedColumn {
  /** The engine's name of the type. */
  readonly type: string
  readonly nullable: boolean
}

export type DatasetValue = null | boolean | number | bigint | string | Date | Uint8Array
export type DatasetRow = Readonly<Record<string, DatasetValue>>

export interface ReadQuery {
  readonly table: string
  /** Default: all columns, in table order. */
  readonly columns?: readonly string[] | undefined
  /** Rows that are alike in these columns come once. Default false. */
  readonly distinct?: boolean | undefined
  /** All conditions must hold. */
  readonly where?: readonly Condition[] | undefined
  readonly orderBy?: readonly { readonly column: string; readonly descending?: boolean }[] | undefined
  readonly limit?: number | undefined
  /** Rows to leave out before the first. */
  readonly offset?: number | undefined
  /** Rows per batch, default 2,048. */
  readonly batchRows?: number | undefined
}

/** A value of a row: the engine's value, or a parsed JSON value. */
export type RowValue = DatasetValue | JsonValue

export interface SqlQuery {
  readonly sql: string
  /** For `$1`, `$2` and so on. */
  readonly values?: readonly DatasetValue[] | undefined
  /** Rows per batch, default 2,048. */
  readonly batchRows?: number | undefined
  /** Timestamps are ISO texts with all of their digits, not Dates. */
  readonly exactTimes?: boolean | undefined
}

/**
 * Integers of any width are bigint, floating point numbers are number, timestamps are Date (whole milliseconds, text
 * where JavaScript has no such date), binary values are bytes, JSON is parsed. DuckDB's lists and structs are JSON
 * values. Everything else, decimals and dates included, is the engine's text.
 */
export interface QueryBatch {
  /** In order. No two have the same name. */
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  /** Values in the order of the columns. */
  readonly rows: readonly (readonly RowValue[])[]
}

export interface Condition {
  readonly column: string
  readonly operator: '=' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'is null' | 'is not null'
  readonly value?: DatasetValue | readonly DatasetValue[] | undefined
}

/** What is committed, as one transaction sees it. */
export type CommittedView = Pick<Connection, 'committed' | 'hasLoad' | 'pipelines' | 'inspect' | 'read'>

/**
 * Makes the plan of a load again, from what is committed now. Rejects if the staged rows do not fit that. `before`: what
 * the same transaction commits ahead of this load, in order, and `now` does not show.
 */
export type CommitAnew = (now: CommittedView, before?: readonly CommitPlan[]) => Promise<CommitPlan>

/** A load that is staged, and how to plan its commit. */
export interface StagedLoad {
  readonly load: Load
  /** Drops and empties nothing. */
  readonly final: CommitPlan
  readonly anew: CommitAnew
}

/** State and schema of the last committed load. */
export interface Committed {
  readonly loadId: string | undefined
  readonly state: PipelineState | undefined
  /** The stored schema document, as JSON text. `undefined` if the pipeline has none here. */
  readonly schema: string | undefined
  /** What `inspect` would tell, if the destination has looked at its tables to find the rest. */
  readonly tables?: ReadonlyMap<string, ReadonlyMap<string, InspectedColumn>> | undefined
}

export interface LoadPlan {
  readonly loadId: string
  readonly pipeline: string
  /** Of several loads of the pipeline that are under way at once, each has another part. Absent: there is but one. */
  readonly part?: string | undefined
}

/** Called with each statement before it runs. Never throws. */
export type OnStatement = (sql: string) => void

export interface Load {
  /**
   * Takes a batch. It resolves late to apply back-pressure. New columns may appear from batch to batch; `schema` has
   * every table and column of the batch, with its type.
   */
  stage(batch: ColumnBatch, schema: ReadonlySchema): Promise<void>
  /**
   * Commits schema, rows, state and receipts together, or nothing. An id that is already committed is skipped. `anew` is
   * called when no other load of the dataset can commit any more, and what it makes of the dataset as it is then takes
   * the place of `final`: another pipeline may have changed a schema that they share. It may be called again, if the
   * commit has to begin again. If it rejects, nothing is committed.
   */
  commit(final: CommitPlan, anew?: CommitAnew): Promise<void>
  /** Drops what was staged and leaves the destination as it was. Idempotent. */
  abort(): Promise<void>
  /** Notes about the commit. Called after it. */
  notes?(): CommitNotes
}

export interface CommitNotes {
  /** Why rows that were written early had to be written again. The load took longer because of it. */
  readonly headStartLost?: string | undefined
  /** Number of root rows that `deletes` removed or marked, by table. Absent if the destination does not count them. */
  readonly deleted?: ReadonlyMap<string, number> | undefined
  /** What the commit did to each table that took part, nested tables included. Absent if the destination does not know. */
  readonly changes?: ReadonlyMap<string, TableChanges> | undefined
}

/** What a commit did to one table, as the engine counted it. A number that it does not know is absent. */
export interface TableChanges {
  /** The commit created the table. */
  readonly isNew: boolean
  /** Columns that the commit added to a table that was there before. */
  readonly newColumns: readonly string[]
  /** Rows that were inserted, those in the place of replaced rows included. */
  readonly inserted?: number | undefined
  /** Rows that were changed where they were: by upsert, or versions of scd2 that ended. */
  readonly updated?: number | undefined
  /** Earlier rows that made way: by replace, by delete-insert, and what was nested under a row whose key arrived. */
  readonly replaced?: number | undefined
  /** Rows that went and nothing took their place, or that were marked as deleted. */
  readonly deleted?: number | undefined
  /** Rows that would have gone, had this pipeline loaded them: another one has. Absent if there are none. */
  readonly keptForOthers?: number | undefined
}

export interface CommitPlan {
  /** Evolved, version and hash already bumped; holds the system tables. */
  readonly schema: ReadonlySchema
  /**
   * A load with a greater id was committed meanwhile: the id of a load without rows that state and schema are stored
   * with, because the greatest id counts.
   */
  readonly laterLoadId?: string | undefined
  /** Present if it changed. It is then written into `_dlt_pipeline_state`. */
  readonly state: PipelineState | undefined
  /**
   * States of other pipelines to store with it, under the same load id. They take the place of newer ones. The load takes
   * rows away that these pipelines have loaded.
   */
  readonly otherStates?: readonly PipelineState[] | undefined
  readonly receipts: readonly Receipt[]
  /** The window of a backfill that this load is. It is kept with the receipts. */
  readonly window?: LoadedWindow | undefined
  /** Root tables that take part, in order. Their nested tables follow from the schema. */
  readonly tables: readonly TablePlan[]
  /** Tables dropped before anything else (refresh). */
  readonly drop: readonly string[]
  /** Tables emptied before anything else (refresh `drop_data`). */
  readonly truncate: readonly string[]
  /**
   * First delete the stored versions of this schema, as a refresh of the whole source does. They are also deleted when
   * tables are dropped: a reader that finds a version assumes that its tables exist.
   */
  readonly forgetSchema?: boolean | undefined
  /** Microseconds since the epoch, for `inserted_at` and `created_at`. */
  readonly committedAt: bigint
}

export interface TablePlan {
  readonly table: string
  readonly disposition: Exclude<WriteDisposition, 'skip'>
  /** For merge. */
  readonly strategy?: MergeStrategy | undefined
  /** scd2: when rows start or stop being valid, in microseconds since the epoch. Default: the time of the commit. */
  readonly boundary?: bigint | undefined
  /** scd2: rows may exist that did not arrive. Only versions whose record arrived with another content end. */
  readonly keepsAbsent?: boolean | undefined
  /** SQL condition on the staged root rows. The others, and what is nested under them, are left out of the merge. */
  readonly sourceFilter?: string | undefined
  /**
   * SQL condition on the rows of the table, with `{table}` and `{staging_table}` still to be filled in by
   * `filledCondition`. `delete-insert` deletes these rows, instead of those whose key arrived. `scd2` and `cdc` retire or
   * delete no others. It takes the place of the merge key.
   */
  readonly destinationScope?: string | undefined
  /** `upsert` and `cdc`: leave rows alone that are equal to the ones that arrived. */
  readonly skipUnchanged?: boolean | undefined
  /**
   * Delete rows whose key did not arrive in this load (`deletes`). `hard` removes them, `soft` sets the named timestamp
   * column. Given only for a listing whose receipt is complete.
   */
  readonly deletes?:
    | { readonly mode: 'hard' }
    | { readonly mode: 'soft'; readonly column: string }
    | OrphanDeletes
    | undefined
  /** The commit fails with `too_many_deletes` if more than this share of the table's live rows would go. */
  readonly maxDeleteShare?: number | undefined
}

/**
 * Deletes rows whose parent row is missing from the table `parent`, or marked there. This happens after that table is
 * written. `onlyTaken`: the table `parent` may lack rows that exist. Then only rows go whose parent row goes in this
 * commit, or is marked. Rows of `parent` go with their own parents in the same commit. `keys`: columns that identify
 * the parent row, in both tables. A row with a null in one of them stays. `column`: rows are marked in it, and the mark
 * is removed when the parent is back. Absent: rows are removed.
 */
export interface OrphanDeletes {
  readonly mode: 'with_parent'
  readonly parent: string
  readonly onlyTaken: boolean
  readonly keys: readonly { readonly parent: string; readonly child: string }[]
  /** Column in both tables. */
  readonly column?: string | undefined
}

/** Types as the destination declares them; `precision` and `scale` from the column's hints. */
export type TypeName = (type: DataType, precision?: number, scale?: number, timezone?: boolean) => string
