import type { JsonObject, JsonValue } from '../json/value.js'
import type {
  ColumnSchema,
  ContractMode,
  MergeStrategy,
  SchemaContract,
  WriteDisposition,
} from '../schema/schemaTypes.js'
import type { SluiceError } from './errors.js'
import type { RunEvent } from './events.js'
import type { ResponseJournal } from './responses.js'
import type { Scrubber } from './secrets/scrubber.js'

/** Time and chance, handed in so that results can be repeated. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number
  /** Resolves after `ms`, rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** In [0, 1). */
  random(): number
}

/** A timer of Node that is set for longer goes off at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1

/**
 * Where records come from. A source is a value: it may be run many times, one run at a time. `Name` and `Table` are the
 * names of its resources and those that they give their tables, where TypeScript knows them.
 */
export interface Source<Name extends string = string, Table extends string = string> {
  readonly name: string
  /** Digest of everything that decides which requests are made and what they mean; without secrets. */
  readonly fingerprint: string
  /** Parents before children, otherwise in the order of the document. */
  readonly resources: readonly Resource<Name, Table>[]
  /** Hints for the whole source. */
  readonly maxTableNesting?: number | undefined
  readonly rootKey?: boolean | undefined
  readonly schemaContract?: ContractMode | Partial<SchemaContract> | undefined
  /** Knows every secret of the source, to clean what is printed or stored. */
  readonly scrubber?: Scrubber | undefined
  /** Loads what the first request will need; sends nothing, never fails. A run calls it while its destination connects. */
  prepare?(): void
  /** Closes what a run left open, such as pooled connections. A later run opens them again. */
  close(): Promise<void>
}

/** One list of records. A root resource is the child of one empty parent. */
export interface Resource<Name extends string = string, Table extends string = string> {
  readonly name: Name
  /** Name of the resource whose records this one is asked for. */
  readonly parent?: string | undefined
  /** Most records of the parent that one list is asked for; absent: one. */
  readonly batchSize?: number | undefined
  /** An unselected resource is read only for its selected children. */
  readonly selected: boolean
  readonly hints: TableHints<Table>
  readonly incremental?: IncrementalHint | undefined
  readonly steps: readonly ProcessingStep[]
  /** What becomes of rows that a complete listing no longer has; undefined: they stay. */
  readonly deletes?: DeletePolicy | undefined
  /**
   * The greatest share of a table's rows that one load may take away, in [0, 1]: by `deletes`, or by a `replace` whose
   * listing is not complete. Above it the run stops.
   */
  readonly maxDeleteShare?: number | undefined
  /** Key path in the document, as in `resources[1]`, for messages. */
  readonly path: string
  /**
   * Reads the whole list, or the list belonging to `context.parent` or `context.parents`, page by page in order.
   * The return value tells how the list ended; it is lost when the consumer stops early.
   */
  pages(context: ExtractContext): AsyncGenerator<Page, ListEnd>
  /** How the list will be asked for, without asking. Absent where nothing is asked: generators, lists of values. */
  describe?(window: IncrementalWindow | undefined): ResourceDescription
}

/** Bytes of pages that the lists of a run hold at once. Nobody waits for room: what must be held is held. */
export interface PageMemory {
  /** Whether more may be held than what must be. */
  hasRoom(): boolean
  /** Counts bytes that are held from now on; as a negative number those that no longer are. */
  add(bytes: number): void
}

/**
 * What the lists of one resource know of each other within a run, which makes it, one for each resource.
 */
export class ResourceNotes {
  /** How often a parent's record was met, by digest. */
  readonly parents = new Map<string, number>()
  /** Guesses and warnings that were told already. */
  readonly told = new Set<string>()
  /** What lists saw in their answers, such as next links. */
  readonly seen = new Set<string>()
  /** Records of the longest page; no page that is shorter was capped. */
  longestPage = 0
  /** What the last page of the resource took while it was read. */
  usualBytes: number | undefined
}

export interface ExtractContext {
  readonly signal: AbortSignal
  readonly clock: Clock
  /** The parent's record, after its processing steps; absent for root resources and for batches. */
  readonly parent?: JsonObject | undefined
  /** The parent's records, at least one and at most `batchSize`; for resources that have one, in place of `parent`. */
  readonly parents?: readonly JsonObject[] | undefined
  /** Frozen for the run; absent without incremental loading. */
  readonly window?: IncrementalWindow | undefined
  readonly journal: ResponseJournal
  readonly emit: (event: RunEvent) => void
  /** Stop after this many pages of each list (a trial run). */
  readonly maxPages?: number | undefined
  /** Requests in flight for one origin and credential; 1 is strictly serial. */
  readonly concurrency: number
  /** The same for all lists of the resource in this run. Absent: this list is the only one. */
  readonly notes?: ResourceNotes | undefined
  /** What is asked for ahead of its turn is counted here, and only while there is room. Absent: without bound. */
  readonly memory?: PageMemory | undefined
}

/** The records of one answer. A page is lent: its bytes may be written over once the next page is asked for. */
export interface Page {
  /** UTF-8 text of one JSON array: the records, in order, bytes as the API sent them. */
  readonly records: Uint8Array
  /** Number of records. */
  readonly count: number
  /** Bytes of the decoded body. */
  readonly bytes: number
  /** Total of records that the API announced with this page, if it did. */
  readonly announced?: number | undefined
  /** The request that it answers, redacted, for messages. */
  readonly from?: { readonly method: string; readonly url: string } | undefined
}

/** How a list ended, for the receipt. */
export interface ListEnd {
  /**
   * `proven`: ended by the list's own rule; `limited`: nothing proves that it was read to its end, as with a cap of the
   * configuration or a list that changed meanwhile; `suspect`: looks cut off.
   */
  readonly end: 'proven' | 'limited' | 'suspect'
  /** One sentence. */
  readonly reason: string
  /** Nothing speaks for this end or against it, so that other evidence decides. */
  readonly isOpen?: boolean | undefined
  /** `flag`: one that says there is no more; `blind`: nothing was looked at to find it. */
  readonly basis?: 'flag' | 'blind' | undefined
  /** Records of the list are known to be left unread, or may be; absent where the end speaks of no such thing. */
  readonly unread?: Unread | undefined
  /**
   * Records of the list by key, where it was read twice: some may have come twice. It is whole only where rows are merged by
   * their keys, or none did.
   */
  readonly distinct?: number | undefined
  /** What this list saw in its answers, such as a next link: it vouches for other lists of the resource. */
  readonly saw?: readonly string[] | undefined
  /**
   * How the list ended where another list of the resource saw this: then it is known where to look, and not being there
   * is an end. Where no list saw it, `failure` is thrown, if there is one.
   */
  readonly unlessSeen?:
    | { readonly what: string; readonly end: ListEnd; readonly failure?: SluiceError | undefined }
    | undefined
}

/**
 * What left records of a list unread: `run`, only this run, which was asked for so many pages; `document`, every run,
 * as with a cap; `answer`, an answer that the document lets pass.
 */
export type Unread = 'run' | 'document' | 'answer'

/**
 * Which rows go, and how. `hard` and `soft`: those that a complete listing no longer has are removed, or marked with the
 * time in the column `_sluice_deleted_at`. `with_parent`: those whose parent's row goes, in the same way, whatever
 * their own listing shows; `keys` are the members of the parent's record that name it, and where the child repeats them.
 */
export type DeletePolicy =
  | { readonly mode: 'soft' | 'hard' }
  | { readonly mode: 'with_parent'; readonly keys: readonly { readonly parent: string; readonly child: string }[] }

/** A step run on each record, in order; user code. */
export type ProcessingStep = (
  | { readonly filter: (record: JsonObject) => boolean }
  | { readonly map: (record: JsonObject) => JsonObject }
  | { readonly yield_map: (record: JsonObject) => Iterable<JsonObject> }
) & {
  /** Key path of the function in the document, for messages. */
  readonly path?: string | undefined
}

/** Hints of a resource that shape its tables. Column hints keep dlt's keys. */
export interface TableHints<Table extends string = string> {
  /** Default: the resource's name. A function names the table of each record. */
  readonly tableName?: Table | ((record: JsonObject) => string) | undefined
  readonly writeDisposition?: DispositionHint | undefined
  readonly primaryKey?: readonly string[] | undefined
  readonly mergeKey?: readonly string[] | undefined
  /** Names not normalised yet, in the order given. */
  readonly columns?: readonly ColumnSchema[] | undefined
  readonly schemaContract?: ContractMode | Partial<SchemaContract> | undefined
  readonly maxTableNesting?: number | undefined
  readonly tableFormat?: string | undefined
  readonly fileFormat?: string | undefined
  readonly references?: JsonValue | undefined
  /** By path of the nested table under the resource, as in `replies` or `replies__author`. */
  readonly nestedHints?: Readonly<Record<string, TableHints>> | undefined
}

/** `write_disposition` with everything that its object form may carry. */
export interface DispositionHint {
  readonly disposition: WriteDisposition
  readonly strategy?: MergeStrategy | undefined
  /** The staged data holds each key once already: no de-duplication. */
  readonly deduplicated?: boolean | undefined
  readonly validityColumnNames?: readonly [string, string] | undefined
  /** ISO timestamp that marks a live row of scd2; null (default) is NULL. */
  readonly activeRecordTimestamp?: string | null | undefined
  /** ISO timestamp; null takes back one that an earlier run left in the schema, undefined leaves it. */
  readonly boundaryTimestamp?: string | null | undefined
  readonly rowVersionColumnName?: string | undefined
}

/** Incremental loading as declared, values not yet resolved against state. */
export interface IncrementalHint {
  /** JSONPath on the record, or a plain key. */
  readonly cursorPath: string
  readonly initialValue?: JsonValue | undefined
  readonly endValue?: JsonValue | undefined
  readonly lastValueFunc: 'max' | 'min'
  readonly rowOrder?: 'asc' | 'desc' | undefined
  readonly rangeStart: 'closed' | 'open'
  readonly rangeEnd: 'open' | 'closed'
  readonly onCursorValueMissing: 'raise' | 'include' | 'exclude'
  /** Seconds for datetimes, days for dates, plain amount for numbers. */
  readonly lag?: number | undefined
  /**
   * Key for boundary de-duplication; default the resource's primary key, empty for none. As it was written: one name
   * and a list of one name are remembered under different hashes, as dlt does it.
   */
  readonly primaryKey?: string | readonly string[] | undefined
  /** Key path in the document, for messages. */
  readonly path: string
}

/** The window of one run, frozen at its start: the same for every page, parent and attempt of the load. */
export interface IncrementalWindow {
  readonly cursorPath: string
  readonly initialValue?: JsonValue | undefined
  /** Stored last value less the lag, or the initial value. */
  readonly startValue?: JsonValue | undefined
  readonly lastValue?: JsonValue | undefined
  readonly endValue?: JsonValue | undefined
  readonly lag?: number | undefined
}

/** How a resource will be asked for, said before any request: for `plan`. Nothing in it is a secret. */
export interface ResourceDescription {
  readonly request: RequestDescription
  readonly paginator: Decision
  readonly selector: Decision
  readonly auth: Decision
  readonly retry: RetryDescription
  readonly timeoutMs: number
  /** Caps of each list; undefined: none. */
  readonly maxPages?: number | undefined
  readonly maxRecords?: number | undefined
  readonly maxMs?: number | undefined
  /** Most records of the parent in one request; undefined: one. */
  readonly batchSize?: number | undefined
  /** Requests in flight; undefined: it adapts. */
  readonly concurrency?: number | undefined
  readonly rateLimit?: { readonly requests?: number | undefined; readonly perMs: number } | undefined
}

/** The first request of a list. What comes from the parent's record stands as `{resources.parent.field}`. */
export interface RequestDescription {
  readonly method: string
  /** With the query; values that are credentials are `***`. */
  readonly url: string
  /** As configured, and with `***` those that carry credentials. */
  readonly headers: Readonly<Record<string, string>>
  /** As text. */
  readonly body?: string | undefined
}

/** Something that was decided, and why. */
export interface Decision {
  /** As it would be configured, in one line: `offset, limit: 100`. */
  readonly value: string
  readonly because: 'configured' | 'inherited' | 'single_entity' | 'detected' | 'default'
  /** Key path of what decided it, as in `client.paginator`, where there is one. */
  readonly path?: string | undefined
}

export interface RetryDescription {
  /** Total attempts, the first included. */
  readonly attempts: number
  readonly statuses: readonly number[]
  readonly onConnectionError: boolean
  readonly baseMs: number
  readonly factor: number
  readonly maxDelayMs: number
}
