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
import type { Expectations } from './expectations.js'
import type { ResponseJournal } from './responses.js'
import type { Scrubber } from './secrets/scrubber.js'
import type { MadeRecord, RecordFunction } from './userFunction.js'

/** Time and randomness, passed in so that results can be repeated. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number
  /** Resolves after `ms`, rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** In [0, 1). */
  random(): number
}

/** Node fires a timer at once when it is set for longer than this. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1

/**
 * Where records come from. A source can be run many times, one run at a time. `Name` and `Table` are the names of its
 * resources and of their tables, as far as TypeScript knows them.
 */
export interface Source<Name extends string = string, Table extends string = string> {
  readonly name: string
  /** Digest of everything that decides which requests are made and what they mean. Holds no secrets. */
  readonly fingerprint: string
  /** Parents before children, otherwise in the order of the document. */
  readonly resources: readonly Resource<Name, Table>[]
  /** Hints for the whole source. */
  readonly maxTableNesting?: number | undefined
  readonly rootKey?: boolean | undefined
  readonly schemaContract?: ContractMode | Partial<SchemaContract> | undefined
  /** Knows every secret of the source and removes it from text that is printed or stored. */
  readonly scrubber?: Scrubber | undefined
  /** Throws a ConfigError if a secret is missing that a request may need. Called before a run or a check begins. */
  requireSecrets?(): void
  /** Loads what the first request needs. Sends nothing and never fails. Called while the destination connects. */
  prepare?(): void
  /** Closes what a run left open, such as pooled connections. A later run opens them again. */
  close(): Promise<void>
}

/** One list of records. A root resource is the child of one empty parent. */
export interface Resource<Name extends string = string, Table extends string = string> {
  readonly name: Name
  /** Digest of everything that decides which records its lists have and how they are loaded. Absent: the source's counts. */
  readonly fingerprint?: string | undefined
  /** Name of the parent resource: each list belongs to one of its records, or to a batch of them. */
  readonly parent?: string | undefined
  /** The most parent records for one list. Absent: one. */
  readonly batchSize?: number | undefined
  /** Its lists are read only where the parent's record changed since they were read last. Absent: always. */
  readonly parentChanged?: ParentChangedHint | undefined
  /** An unselected resource is read only for its selected children. */
  readonly selected: boolean
  readonly hints: TableHints<Table>
  readonly incremental?: IncrementalHint | undefined
  /** How a backfill cuts its lists, where no cursor does. */
  readonly partition?: PartitionHint | undefined
  /** How its list is counted. Absent: it cannot be read in parts. */
  readonly counted?: CountedList | undefined
  /** All its records as JSON text, before its steps, where they are known without a request. */
  readonly written?: (() => Uint8Array) | undefined
  /** Whether its requests carry the start of the window. Absent: nobody knows. */
  readonly sendsWindowStart?: boolean | undefined
  /** Whether its requests carry the end of the window. Absent: nobody knows. */
  readonly sendsWindowEnd?: boolean | undefined
  readonly steps: readonly ProcessingStep[]
  /** What happens to rows that a complete listing no longer has. Undefined: they stay. */
  readonly deletes?: DeletePolicy | undefined
  /**
   * The largest share of a table's rows that one load may delete, in [0, 1]. It limits `deletes`, and a `replace` whose
   * listing is not complete. The run stops above it.
   */
  readonly maxDeleteShare?: number | undefined
  /** What a run must bring. Undefined: anything. */
  readonly expect?: Expectations | undefined
  /** Key path in the document, as in `resources[1]`, for messages. */
  readonly path: string
  /**
   * Reads the whole list, or the list of `context.parent` or `context.parents`, page by page in order.
   * The return value says how the list ended. It is lost when the consumer stops early.
   */
  pages(context: ExtractContext): AsyncGenerator<Page, ListEnd>
  /** Describes the requests without sending any. Absent for resources without requests: generators, lists of values. */
  describe?(window: IncrementalWindow | undefined): ResourceDescription
}

/** A list whose answers tell how long it is, and that can be asked for from any place on. */
export interface CountedList {
  readonly counts: 'records' | 'pages'
  /** So many of them are one page. */
  readonly page: number
  /** What may decide how long its pages are, where pages are counted. With another one, a place holds other records. */
  readonly size?: string | undefined
}

/** Bytes of pages that the lists of a run hold at once. It never blocks: necessary pages are held even without room. */
export interface PageMemory {
  /** Whether there is room for more than the necessary pages. */
  hasRoom(): boolean
  /** Adds bytes that are now held. A negative number gives bytes back. */
  add(bytes: number): void
}

/** What the lists of one resource share within a run. The run makes one for each resource. */
export class ResourceNotes {
  /** How often each parent record occurred, by digest. */
  readonly parents = new Map<string, number>()
  /** Guesses and warnings that were already announced. */
  readonly told = new Set<string>()
  /** What lists saw in their answers, such as next links. */
  readonly seen = new Set<string>()
  /** Paths of the document into records, by key path, and whether each led to anything. */
  readonly paths = new Map<string, boolean>()
  /** Records of the longest page. A page that is shorter was not capped. */
  longestPage = 0
  /** Bytes that the last page of the resource took while it was read. */
  usualBytes: number | undefined
}

export interface ExtractContext {
  readonly signal: AbortSignal
  readonly clock: Clock
  /** The parent's record, after its processing steps. Absent for root resources and for batches. */
  readonly parent?: JsonObject | undefined
  /** The parent's records: 1 to `batchSize`. Used instead of `parent` by resources with a batch size. */
  readonly parents?: readonly JsonObject[] | undefined
  /** Frozen for the run; absent without incremental loading. */
  readonly window?: IncrementalWindow | undefined
  /**
   * The part of a {@link CountedList} to read, from a place to before another one. It is read from the page on that holds
   * what is just before it, so that two parts that meet have a record in common. Absent: the whole list.
   */
  readonly part?: { readonly start: number; readonly end: number } | undefined
  readonly journal: ResponseJournal
  readonly emit: (event: RunEvent) => void
  /** Stop after this many pages of each list (a trial run). */
  readonly maxPages?: number | undefined
  /** Requests in flight for one origin and credential; 1 is strictly serial. */
  readonly concurrency: number
  /** Shared by all lists of the resource in this run. Absent: this list is the only one. */
  readonly notes?: ResourceNotes | undefined
  /** Counts pages that are requested ahead, and allows them only while there is room. Absent: no limit. */
  readonly memory?: PageMemory | undefined
}

/** The records of one answer. Its bytes may be overwritten once the next page is requested. */
export interface Page {
  /** UTF-8 text of one JSON array: the records, in order, bytes as the API sent them. */
  readonly records: Uint8Array
  /** Number of records. */
  readonly count: number
  /** Bytes of the decoded body. */
  readonly bytes: number
  /** Total number of records that the API announced with this page, if any. */
  readonly announced?: number | undefined
  /** How lists inside the records ended that could not be shown whole. The list is no more complete than they are. */
  readonly lacks?: ListEnd | undefined
  /** Where it begins in the whole list, and how long that is, as {@link CountedList} counts. Absent where nothing is counted. */
  readonly place?: { readonly at: number; readonly length: number | undefined } | undefined
  /** The request that this page answers, redacted, for messages. */
  readonly from?: { readonly method: string; readonly url: string } | undefined
  /** Takes the records that are left of the page after all steps and become rows, before the next page is asked for. */
  readonly written?: ((records: Uint8Array) => void) | undefined
}

/** How a list ended, for the receipt. */
export interface ListEnd {
  /**
   * `proven`: the list ended by its own rule.
   * `limited`: nothing proves that it was read to its end. Examples: a configured cap, or a list that changed
   * meanwhile.
   * `suspect`: it looks cut off.
   */
  readonly end: 'proven' | 'limited' | 'suspect'
  /** One sentence. */
  readonly reason: string
  /** Nothing confirms or contradicts this end, so other evidence decides. */
  readonly isOpen?: boolean | undefined
  /** `flag`: a flag said that there is no more. `blind`: the paginator looked at nothing in the answer to find the end. `part`: no more was wanted of the list. */
  readonly basis?: 'flag' | 'blind' | 'part' | undefined
  /** Place of the number that ended the list. It does not contradict its own end. */
  readonly by?: string | undefined
  /** The sync token for the next run. Only a list with a proven end has one. */
  readonly token?: JsonValue | undefined
  /** Why records of the list are, or may be, unread. Absent: this end says nothing about it. */
  readonly unread?: Unread | undefined
  /**
   * Number of different keys, for a list that was read twice. If some records came
   * twice, the list is whole only if rows are merged by their keys.
   */
  readonly distinct?: number | undefined
  /** What this list saw in its answers, such as a next link. It is evidence for other lists of the resource. */
  readonly saw?: readonly string[] | undefined
  /** Records of its longest page. */
  readonly longestPage?: number | undefined
  /**
   * `end` replaces this end if another list of the resource saw `what`, or a page with more records than `longerThan`: then
   * its absence here ends the list. If no list saw it, `failure` is thrown, if there is one.
   */
  readonly unlessSeen?:
    | {
        readonly what: string
        readonly longerThan?: number | undefined
        readonly end: ListEnd
        readonly failure?: SluiceError | undefined
      }
    | undefined
}

/**
 * Why records of a list were not read. `run`: only this run stopped early, after the pages it was asked for.
 * `document`: every run does, as with a cap. `doubt`: an answer was in part, or not what it should be. `answer`: the
 * document accepts an answer without them. `moved`: the list changed while it was read.
 */
export type Unread = 'run' | 'document' | 'doubt' | 'answer' | 'moved'

/**
 * Which rows are deleted, and how. `hard` removes rows that a complete listing no longer has. `soft` marks them with
 * the time in the column `_sluice_deleted_at`. `with_parent` deletes rows whose parent row is deleted, in the same way,
 * whatever their own listing shows. `keys` pairs the members that identify the parent: in its record and in the
 * child's.
 */
export type DeletePolicy =
  | { readonly mode: 'soft' | 'hard' }
  | { readonly mode: 'with_parent'; readonly keys: readonly { readonly parent: string; readonly child: string }[] }

/** A step that runs on each record, in order. Functions are user code. `reshape` gets the records of a page as JSON text. */
export type ProcessingStep = (
  | { readonly reshape: (records: Uint8Array) => Uint8Array }
  | { readonly filter: RecordFunction<boolean> }
  | { readonly map: RecordFunction<MadeRecord> }
  | { readonly yield_map: RecordFunction<Iterable<MadeRecord>> }
) & {
  /** Key path of the function in the document, for messages. */
  readonly path?: string | undefined
}

/** Hints of a resource that shape its tables. Column hints keep dlt's keys. */
export interface TableHints<Table extends string = string> {
  /** Default: the resource's name. A function names the table of each record. */
  readonly tableName?: Table | RecordFunction<string> | undefined
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

/** `write_disposition` with all keys that its object form may have. */
export interface DispositionHint {
  readonly disposition: WriteDisposition
  readonly strategy?: MergeStrategy | undefined
  /** The staged data already holds each key only once, so de-duplication is skipped. */
  readonly deduplicated?: boolean | undefined
  readonly validityColumnNames?: readonly [string, string] | undefined
  /** ISO timestamp that marks a live row of scd2. Null (default) stands for NULL. */
  readonly activeRecordTimestamp?: string | null | undefined
  /** ISO timestamp. Null removes one that an earlier run left in the schema. Undefined keeps it. */
  readonly boundaryTimestamp?: string | null | undefined
  /** scd2: names the version of a row. With `skipUnchangedRows`: the only column that is compared. */
  readonly rowVersionColumnName?: string | undefined
  /** SQL condition on the rows that arrived. The others are not merged. */
  readonly sourceFilter?: string | undefined
  /** SQL condition on the rows of the table: only these may be deleted or retired. Takes the place of the merge key. */
  readonly destinationScope?: string | undefined
  /** Rows that are equal to the ones that arrived are not written again. */
  readonly skipUnchangedRows?: boolean | undefined
}

/** What tells that a parent's record changed. */
export interface ParentChangedHint {
  /** Fields, as names or JSONPaths. Absent: the whole record. */
  readonly by?: readonly string[] | undefined
  /** `by` is one field that grows with each change: a record below the greatest value that was read has not changed. */
  readonly isOrdered?: true | undefined
}

/** Incremental loading as declared. Values are not yet resolved against the state. */
export interface IncrementalHint {
  /** JSONPath on the record, or a plain key. */
  readonly cursorPath: string
  /** The path is of a sync token in the answers, which has no order. A list that was read to its end gives the next one. */
  readonly isToken?: true | undefined
  readonly initialValue?: JsonValue | undefined
  readonly endValue?: JsonValue | undefined
  readonly lastValueFunc: 'max' | 'min'
  readonly rowOrder?: 'asc' | 'desc' | undefined
  readonly rangeStart: 'closed' | 'open'
  readonly rangeEnd: 'open' | 'closed'
  readonly onCursorValueMissing: 'raise' | 'include' | 'exclude'
  /** The query parameter that sends the start as it is: an API that knows it sends nothing older. */
  readonly sentAs?: string | undefined
  /** Seconds for datetimes, days for dates, plain amount for numbers. */
  readonly lag?: number | undefined
  /**
   * Key for boundary de-duplication, as written. Default: the resource's primary key. Empty: none. As in dlt, a name
   * and a list of that one name have different hashes.
   */
  readonly primaryKey?: string | readonly string[] | undefined
  /** Each record of the parent has a cursor of its own. */
  readonly isPerParent?: true | undefined
  /** How a backfill cuts the range of the cursor. */
  readonly window?: WindowHint | undefined
  /** The run loads one window of a backfill. The cursor is followed, although the window has an end. */
  readonly isWindow?: true | undefined
  /** Key path in the document, for messages. */
  readonly path: string
}

/** Partitions of a backfill. Each is a load of its own, for some records of the parent, or for some pages of the list. */
export type PartitionHint = {
  /** Key path in the document, for messages. */
  readonly path: string
} & (
  | { /** Each record of the parent, which is a list in the document, is a partition. */ readonly by: 'values' }
  | {
      /** The records of the parent are dealt out to so many slices, by their keys. */ readonly by: 'parents'
      readonly slices: number
    }
  | {
      /** So many pages of the list itself are a partition. */ readonly by: 'pages'
      readonly pages: number
    }
)

/** Windows of a backfill. `step` and `lookback`: an ISO 8601 duration for times, an amount for numbers. */
export interface WindowHint {
  readonly step: string | number
  readonly order: WindowOrder
  /** How far each window also looks back over the one before it. */
  readonly lookback?: string | number | undefined
}

export const PARTITIONINGS = ['values', 'parents', 'pages'] as const satisfies readonly PartitionHint['by'][]
export const MOST_SLICES = 10_000

export type WindowOrder = 'oldest_first' | 'newest_first'
export const WINDOW_ORDERS = ['oldest_first', 'newest_first'] as const satisfies readonly WindowOrder[]

/** The window of one run, fixed at its start. Every page, parent and attempt of the load uses the same one. */
export interface IncrementalWindow {
  readonly cursorPath: string
  readonly initialValue?: JsonValue | undefined
  /** Stored last value less the lag, or the initial value. */
  readonly startValue?: JsonValue | undefined
  readonly lastValue?: JsonValue | undefined
  readonly endValue?: JsonValue | undefined
  readonly lag?: number | undefined
}

/** How a resource will be requested, described before any request, for `plan`. Holds no secret. */
export interface ResourceDescription {
  readonly request: RequestDescription
  /** Where the first sync token comes from, in one line. Undefined: from the list. */
  readonly initialToken?: string | undefined
  /** How later runs ask for what changed, in one line. Undefined: as `request` shows. */
  readonly changes?: string | undefined
  readonly paginator: Decision
  readonly selector: Decision
  /** How the body becomes records, as configured. Undefined: as its content type says. */
  readonly format?: string | undefined
  /** What nobody sees of the records, in one line: `email: hash`. */
  readonly mask?: string | undefined
  /** What the document makes of the records, in one line: `filter: …, drop: note`. */
  readonly shape?: string | undefined
  /** The export job that the request orders, in one line. */
  readonly job?: string | undefined
  /** Lists inside the records that are read to their end, each in one line: where, for which records, by which request. */
  readonly completes: readonly string[]
  /** What the document says of certain answers, each in one line: `ignore for status 404`. */
  readonly answers?: readonly string[] | undefined
  /** What happens where a placeholder finds null in the parent's record. Undefined: nothing is said. */
  readonly onNull?: 'fail' | 'skip' | 'omit' | undefined
  readonly auth: Decision
  readonly retry: RetryDescription
  readonly timeoutMs: number
  /** Caps of each list; undefined: none. */
  readonly maxPages?: number | undefined
  readonly maxRecords?: number | undefined
  readonly maxMs?: number | undefined
  /** Most records of the parent in one request; undefined: one. */
  readonly batchSize?: number | undefined
  /** How a backfill cuts the lists, in one line; undefined: by a cursor, or not at all. */
  readonly partition?: string | undefined
  /** What of the parent's record must have changed for its list to be read; undefined: nothing. */
  readonly parentChanged?: string | undefined
  /** The field of the parent's record that must be newer than in earlier loads for its list to be read. */
  readonly parentNewer?: string | undefined
  /** Fewest records of a page, where pages that are too large are halved. Undefined: pages keep their size. */
  readonly smallestPage?: number | undefined
  /** Requests in flight. Undefined: the number adapts. */
  readonly concurrency?: number | undefined
  readonly rateLimit?: { readonly requests?: number | undefined; readonly perMs: number } | undefined
}

/** The first request of a list. Values from the parent's record appear as `{resources.parent.field}`. */
export interface RequestDescription {
  readonly method: string
  /** With the query. Values that are credentials are shown as `***`. */
  readonly url: string
  /** As configured. Values that carry credentials are shown as `***`. */
  readonly headers: Readonly<Record<string, string>>
  /** As text. */
  readonly body?: string | undefined
}

/** A decision, and the reason for it. */
export interface Decision {
  /** As it would be configured, in one line: `offset, limit: 100`. */
  readonly value: string
  readonly because: 'configured' | 'inherited' | 'single_entity' | 'detected' | 'default'
  /** Key path that made the decision, as in `client.paginator`, if there is one. */
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
