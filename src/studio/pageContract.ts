/**
 * What the page and the server say to each other, as JSON below `/api/`. Numbers that JavaScript cannot hold, decimals and
 * times are texts, as the engine writes them. No text holds a secret.
 */

import type { RunEvent } from '../model/events.js'
import type { Receipt, Verdict } from '../model/receipt.js'
import type { RowTrace } from '../pipeline/look/traceRow.js'
import type { SchemaContract } from '../schema/schemaTypes.js'

/** `GET pipelines?search=&offset=&limit=` */
export interface PipelineList {
  /** Files that match, before `offset` and `limit`. */
  readonly files: number
  readonly pipelines: readonly PipelineEntry[]
}

/** A pipeline, or the file that cannot be read as one. */
type PipelineEntry = PipelineFacts | BrokenFile

export interface PipelineFacts {
  readonly id: string
  readonly file: string
  readonly name: string
  readonly destination: string
  readonly dataset: string
  readonly resources: readonly string[]
  /** When a worker runs it. */
  readonly schedule?: string | undefined
  /** ISO: when that is due next. */
  readonly dueAt?: string | undefined
  /** The run that goes on now. */
  readonly running?: string | undefined
}

export interface BrokenFile {
  readonly id: string
  readonly file: string
  readonly problem: string
}

/** `GET pipelines/ID/loads?limit=&load=`, newest first. */
export interface LoadList {
  readonly loads: readonly LoadFacts[]
}

export interface LoadFacts {
  readonly loadId: string
  /** ISO. */
  readonly committedAt: string
  /** From the start of the run to its commit. Absent if another tool made the load. */
  readonly durationMs?: number | undefined
  /** The worst one of the receipts. Absent without receipts. */
  readonly verdict?: Verdict | undefined
  readonly rows: number
  readonly receipts: readonly Receipt[]
}

/** `GET pipelines/ID/tables`: the stored schema. Empty before the first load. */
export interface TableList {
  readonly tables: readonly TableFacts[]
}

export interface TableFacts {
  readonly name: string
  readonly resource?: string | undefined
  readonly parent?: string | undefined
  readonly writeDisposition?: string | undefined
  /** One of the tables that Sluice and dlt keep for themselves. */
  readonly isSystem: boolean
  /** What happens to new tables, new columns and values of another type. */
  readonly contract: SchemaContract
  readonly columns: readonly ListedColumn[]
}

export interface ListedColumn {
  readonly name: string
  readonly type: string
  readonly nullable: boolean
  readonly isKey: boolean
  /** `_dlt_id`, `_dlt_parent_id` and the like. */
  readonly isOwn: boolean
  readonly description?: string | undefined
}

/** `GET pipelines/ID/count?table=`. Undefined if the engine needs too long to count. */
export interface TableCount {
  readonly rows?: number | undefined
}

/** How a column is compared with a text that a person wrote. */
export type FilterOperator = '=' | '!=' | '<' | '<=' | '>' | '>=' | 'contains' | 'is null' | 'is not null'
export const FILTER_OPERATORS = [
  '=',
  '!=',
  '<',
  '<=',
  '>',
  '>=',
  'contains',
  'is null',
  'is not null',
] as const satisfies readonly FilterOperator[]

/** Rows before the last page of a sorted table: to sort more of them, an engine sorts the whole table for each page. */
export const FARTHEST_SORTED_ROW = 10_000

/** `POST pipelines/ID/rows` */
export interface RowsAsked {
  readonly table: string
  readonly filters?: readonly RowFilter[] | undefined
  readonly orderBy?: string | undefined
  readonly descending?: boolean | undefined
  /** With `orderBy` at most {@link FARTHEST_SORTED_ROW}. */
  readonly offset?: number | undefined
  readonly limit?: number | undefined
}

export interface RowFilter {
  readonly column: string
  readonly operator: FilterOperator
  readonly value?: string | undefined
}

/** `POST pipelines/ID/query` */
export interface QueryAsked {
  readonly sql: string
}

export interface RowsGiven {
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly (readonly Cell[])[]
  /** There are more rows than these. */
  readonly isCut: boolean
}

/** Texts are cut after some thousand characters. Lists and objects are JSON texts, bytes are base64. */
export type Cell = string | number | boolean | null

/** `GET pipelines/ID/distribution?table=&column=` */
export interface Distribution {
  /** Rows that were looked at. */
  readonly rows: number
  /** Whether they are the first ones of a larger table. */
  readonly isSample: boolean
  readonly nulls: number
  /** About so many. */
  readonly distinct: number
  readonly least: Cell
  readonly greatest: Cell
  readonly top: readonly { readonly value: Cell; readonly rows: number }[]
  /** Of numbers and times: rows between bounds of equal distance. */
  readonly histogram: readonly { readonly from: Cell; readonly to: Cell; readonly rows: number }[]
}

/** `POST pipelines/ID/trace` */
export interface TraceAsked {
  readonly table: string
  /** The `_dlt_id` of a row. */
  readonly id: string
}

/** What it answers. Times are ISO texts. */
export type TraceGiven = AsJson<Omit<RowTrace, 'row'>>

/** What arrives of a value that was sent as JSON. */
type AsJson<Value> = Value extends Date
  ? string
  : Value extends object
    ? { [Key in keyof Value]: AsJson<Value[Key]> }
    : Value

/** `GET pipelines/ID/versions`: versions of the schema, newest first, each with what it changed. */
export interface VersionList {
  readonly versions: readonly SchemaVersion[]
}

export interface SchemaVersion {
  readonly version: number
  /** ISO. */
  readonly storedAt: string
  readonly changes: readonly string[]
}

/** `GET pipelines/ID/drift`: how the tables differ from what was agreed, and what the last loads refused. */
export interface SchemaDrift {
  /** Against the lock of the schema. Undefined if there is none. */
  readonly sinceLock?: readonly string[] | undefined
  readonly refused: readonly RefusedData[]
}

/** What the contract kept out of a load. */
interface RefusedData {
  readonly loadId: string
  /** ISO. */
  readonly committedAt: string
  readonly resource: string
  readonly rows: number
  readonly values: number
}

/** `POST pipelines/ID/runs` */
export interface RunAsked {
  /** Pages of each list. */
  readonly limit?: number | undefined
  readonly select?: readonly string[] | undefined
  readonly fullRefresh?: boolean | undefined
  readonly allowIncomplete?: boolean | undefined
  /** So that its rows can be traced to what the API sent. */
  readonly keepJournal?: boolean | undefined
}

/** `GET runs` and `POST pipelines/ID/runs` */
export interface RunFacts {
  readonly run: string
  readonly pipelineId: string
  readonly pipeline: string
  /** ISO. */
  readonly startedAt: string
  readonly state: 'running' | 'committed' | 'nothing_new' | 'failed' | 'stopped'
  readonly problem?: string | undefined
}

/** A line of `GET runs/RUN/events?from=`. Each has its number, so that a page can go on where it was. */
export interface RunNews {
  readonly number: number
  /** Milliseconds since the run began. */
  readonly atMs: number
  readonly event: RunEvent | { readonly type: 'memory'; readonly bytes: number } | RunEnded
}

interface RunEnded {
  readonly type: 'ended'
  readonly facts: RunFacts
}

/** `GET pipelines/ID/document` */
export interface DocumentText {
  readonly file: string
  readonly text: string
  /** Changes with the text. */
  readonly version: string
}

/** `PUT pipelines/ID/document`. Refused if the file is no longer of this version, or if the text has problems. */
export interface DocumentSaved {
  readonly text: string
  readonly version: string
}

/** `POST pipelines/ID/document/check` with `{ text }` */
export interface DocumentProblems {
  readonly problems: readonly DocumentProblem[]
}

export interface DocumentProblem {
  readonly path: string
  readonly message: string
  readonly line?: number | undefined
  readonly column?: number | undefined
}

/** `POST pipelines/ID/document/asked`: asks the API about the file as it is on disk. */
export type ApiAsked =
  | { readonly what: 'check' }
  /** `budget`: the most requests for each list, which whoever asks has agreed to. */
  | { readonly what: 'prove'; readonly budget: number }

export interface ApiFindings {
  /** That were sent. */
  readonly requests: number
  readonly findings: readonly DocumentFinding[]
  /** The file in which the proof is kept. */
  readonly kept?: string | undefined
}

/** What the API showed about a key of the file. */
export interface DocumentFinding {
  readonly key: string
  readonly status: 'proven' | 'assumed' | 'wrong' | 'noted'
  readonly message: string
  /** Keys with the values to write instead. */
  readonly write?: readonly string[] | undefined
  readonly line?: number | undefined
  readonly column?: number | undefined
}

/** In which the rows of a statement can be saved. */
export type DownloadFormat = 'csv' | 'parquet'
export const DOWNLOAD_FORMATS = ['csv', 'parquet'] as const satisfies readonly DownloadFormat[]

/** `POST pipelines/ID/downloads` */
export interface DownloadAsked extends QueryAsked {
  /** Default: CSV. */
  readonly format?: DownloadFormat | undefined
}

/** What it answers: a path that gives the rows, once. */
export interface Download {
  readonly path: string
}

/** Every answer that is no success. */
export interface ApiFailure {
  readonly code: string
  readonly message: string
}
