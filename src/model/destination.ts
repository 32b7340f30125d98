import type { DataType, MergeStrategy, ReadonlySchema, WriteDisposition } from '../schema/schemaTypes.js'
import type { ColumnBatch } from './batch.js'
import type { PipelineState } from './pipelineState.js'
import type { Receipt } from './receipt.js'
import type { Secret } from './secrets/secret.js'

/** What an engine can do, as data: nothing else in Sluice asks which engine it is. */
export interface Capabilities {
  /** Longest table or column name, in code points (dlt's `max_identifier_length`). */
  readonly maxIdentifierLength: number
  /** Names of columns that the engine keeps for itself; a key that would become one gets `_` behind it. */
  readonly reservedColumns?: readonly string[] | undefined
  /** Most columns of a table; absent: the normaliser's own bound. */
  readonly maxColumns?: number | undefined
  /** Names that differ only by case are one name. */
  readonly caseSensitive: boolean
  readonly dispositions: readonly WriteDisposition[]
  /** First is the default. Empty: merge is refused, with `mergeRefusal` as the reason. */
  readonly mergeStrategies: readonly MergeStrategy[]
  readonly mergeRefusal?: string | undefined
  /** The `table_format` that a table may name here; absent: it is stored and has no effect. */
  readonly tableFormats?: readonly string[] | undefined
  /** Schema, rows and system tables become visible together. */
  readonly transactionalDdl: boolean
  readonly maxNesting?: number | undefined
  /** Text may hold U+0000. Where not, it is removed and a warning says so. */
  readonly nulInText: boolean
  /** Rows of a full batch that suit the engine best; absent: the normaliser's default. */
  readonly batchRows?: number | undefined
  /** Decimals of `decimal` and of `wei`: digits, scale. */
  readonly decimal: readonly [precision: number, scale: number]
  readonly wei: readonly [precision: number, scale: number]
  /** Default and greatest number of fractional digits of a second. */
  readonly timestampPrecision: readonly [standard: number, greatest: number]
  /** dlt's class name of the destination, written into the state: `dlt.destinations.duckdb`. */
  readonly dltType: string
}

/** A kind of place to load into, configured but not connected. */
export interface Destination {
  /** Short and without secrets, for messages: `duckdb:demo.duckdb`. */
  readonly name: string
  readonly capabilities: Capabilities
  /** What is removed from whatever is printed or stored. */
  readonly secrets?: readonly Secret[] | undefined
  /** The listener is told each secret that the destination gets later, as renewed credentials, before it is used. */
  onSecret?(listener: (secret: Secret) => void): void
  connect(dataset: string, signal?: AbortSignal): Promise<Connection>
  /**
   * Whether there is something to connect to. False where connecting would create a place, as an embedded database
   * does; whoever only looks then leaves it alone. Absent: connecting creates nothing.
   */
  exists?(): Promise<boolean>
}

export interface Connection extends AsyncDisposable {
  /** The dataset's name as the engine knows it. */
  readonly dataset: string
  /** What the last committed load of this pipeline left behind; undefined before the first. */
  committed(pipeline: string, schemaName: string): Promise<Committed | undefined>
  /** Whether a load with this id has been committed. */
  hasLoad(loadId: string): Promise<boolean>
  /**
   * Opens load `id`. What an earlier, uncommitted attempt at any load of this pipeline staged is gone.
   * Fails with `destination_locked` where another process holds this pipeline.
   */
  begin(load: LoadPlan): Promise<Load>
  /** Columns that really exist, by table, to notice changes made by hand; empty map when the dataset is new. */
  inspect(): Promise<ReadonlyMap<string, ReadonlyMap<string, InspectedColumn>>>
  /** Reads rows of a table, in batches, for `show` and for `dataset()`. */
  read(query: ReadQuery): AsyncGenerator<readonly DatasetRow[]>
  /** Number of rows of a table. */
  count(table: string): Promise<number>
  /**
   * Writes the rows of a query into a Parquet file, which is replaced when it is there, and resolves to their number.
   * Types are the engine's own; `batchRows` is ignored. Absent where the engine cannot.
   */
  writeParquet?(query: ReadQuery, path: string): Promise<number>
  /** Drops the tables and, in the same transaction, stores this schema and state. */
  drop(
    tables: readonly string[],
    next: { readonly schema: ReadonlySchema; readonly state: PipelineState; readonly loadId: string },
  ): Promise<void>
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
  /** Default: all, in table order. */
  readonly columns?: readonly string[] | undefined
  /** All must hold. */
  readonly where?: readonly Condition[] | undefined
  readonly orderBy?: readonly { readonly column: string; readonly descending?: boolean }[] | undefined
  readonly limit?: number | undefined
  /** Rows a batch, default 2,048. */
  readonly batchRows?: number | undefined
}

export interface Condition {
  readonly column: string
  readonly operator: '=' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'is null' | 'is not null'
  readonly value?: DatasetValue | readonly DatasetValue[] | undefined
}

/** State and schema of the last committed load. */
export interface Committed {
  readonly loadId: string | undefined
  readonly state: PipelineState | undefined
  /** The stored schema document, parsed JSON text; `undefined` when the pipeline has none here. */
  readonly schema: string | undefined
}

export interface LoadPlan {
  readonly loadId: string
  readonly pipeline: string
  /** Told of each statement before it runs, by destinations that have statements. Never throws. */
  readonly onStatement?: ((sql: string) => void) | undefined
}

export interface Load {
  /**
   * Takes a batch. Applies back-pressure by not resolving. New columns may appear from batch to batch; `schema`
   * has every table and column of the batch, with its type.
   */
  stage(batch: ColumnBatch, schema: ReadonlySchema): Promise<void>
  /**
   * Schema, rows, state and receipts together, or nothing. Committing an id that was committed before does nothing.
   */
  commit(final: CommitPlan): Promise<void>
  /** Forgets what was staged and leaves the destination as it was. Idempotent. */
  abort(): Promise<void>
  /** After the commit: what is worth knowing about it. */
  notes?(): CommitNotes
}

export interface CommitNotes {
  /** Why rows that were written while others arrived had to be written once more: the load took longer for it. */
  readonly headStartLost?: string | undefined
  /** Root rows that `deletes` removed or marked, by table; absent where the destination does not count them. */
  readonly deleted?: ReadonlyMap<string, number> | undefined
}

export interface CommitPlan {
  /** Evolved, version and hash already bumped; holds the system tables. */
  readonly schema: ReadonlySchema
  /** Present when it changed, to be written into `_dlt_pipeline_state`. */
  readonly state: PipelineState | undefined
  readonly receipts: readonly Receipt[]
  /** Root tables taking part, in order. Their nested tables follow from the schema. */
  readonly tables: readonly TablePlan[]
  /** Tables dropped before anything else (refresh). */
  readonly drop: readonly string[]
  /** Tables emptied before anything else (refresh `drop_data`). */
  readonly truncate: readonly string[]
  /**
   * Delete the stored versions of this schema first, as a refresh of the whole source does. They also go where tables are
   * dropped: who knows a version believes that its tables exist.
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
  /** scd2: the moment rows become valid, or stop to be; microseconds since the epoch. Default: when it is committed. */
  readonly boundary?: bigint | undefined
  /**
   * Delete rows whose key did not arrive in this load (`deletes`): `hard` removes them, `soft` sets the named
   * timestamp column. Only ever given for a listing whose receipt is complete.
   */
  readonly deletes?:
    | { readonly mode: 'hard' }
    | { readonly mode: 'soft'; readonly column: string }
    | OrphanDeletes
    | undefined
  /** Above this share of the table's live rows the commit fails with `too_many_deletes`. */
  readonly maxDeleteShare?: number | undefined
}

/**
 * Rows go whose parent's row is gone from the table `parent`, or marked there, once that table is written. With
 * `onlyTaken` those alone whose parent's row goes in this commit too, or is marked: of the table `parent` it is not known
 * that it holds every row that there is; rows of it go with their own parents' in the same commit. `keys`: columns
 * that name the parent's row, in both tables; a row in which one of them is null stays. `column`: rows are marked in it,
 * and the mark is taken away where the parent is back; absent: they are removed.
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
