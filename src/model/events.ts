import type { LockChange } from '../schema/export/schemaLock.js'
import type { Receipt } from './receipt.js'

/**
 * Everything that happens in a run, in order. Progress bars, logs, tests and the JSON output of the command read the
 * same events. URLs are redacted; no event holds a secret. `Name` is a resource, if TypeScript knows the names.
 */
export type RunEvent<Name extends string = string> = (
  | {
      readonly type: 'run_started'
      readonly pipeline: string
      readonly dataset: string
      readonly destination: string
      /** The profile of the pipeline file that was chosen. */
      readonly profile?: string | undefined
      readonly loadId: string
      /** Pages of an interrupted run that are not requested again. */
      readonly resumedPages: number
    }
  /** Its first list is begun. `parent`: it has a list for each record of that resource, or for a batch of them. */
  | { readonly type: 'resource_started'; readonly resource: Name; readonly parent?: Name | undefined }
  | {
      readonly type: 'request'
      readonly resource: Name
      readonly method: string
      readonly url: string
      /** 0 if no answer came. */
      readonly status: number
      readonly attempt: number
      readonly durationMs: number
    }
  | {
      readonly type: 'retry'
      readonly resource: Name
      readonly url: string
      /** Status or error that caused it. */
      readonly reason: string
      readonly attempt: number
      readonly delayMs: number
    }
  /** Number of requests that may now be in flight, for one origin and credential. It falls after a refusal, then rises again. */
  | { readonly type: 'gate'; readonly resource: Name; readonly origin: string; readonly allowed: number }
  | { readonly type: 'waiting'; readonly resource: Name; readonly reason: string; readonly delayMs: number }
  | {
      readonly type: 'detected'
      readonly resource: Name
      /** What was guessed: a paginator or a selector. */
      readonly what: 'paginator' | 'data_selector'
      readonly guess: string
      readonly why: string
    }
  | {
      readonly type: 'page'
      readonly resource: Name
      readonly records: number
      readonly bytes: number
      readonly fromJournal: boolean
      /**
       * Number of records that the API announced for the list of this page. Its own number: it may be wrong. Absent if
       * there is none, or if the run may stop before it, as with a cap or with rows in order.
       */
      readonly announced?: number | undefined
    }
  /** A list was read to its end, with the lists that depend on its records. */
  | {
      readonly type: 'list_finished'
      readonly resource: Name
      /** Parent records whose lists were read so far. Absent for a root resource, which has one list. */
      readonly parentsRead?: number | undefined
      /** Parent records that are known so far. Absent for a root resource. */
      readonly parentsKnown?: number | undefined
    }
  | {
      readonly type: 'warning'
      readonly code: WarningCode
      readonly message: string
      readonly resource?: Name
      /** Whether the message names the resource itself. Absent: whoever shows it names the resource. */
      readonly namesResource?: true
    }
  | { readonly type: 'resource_finished'; readonly resource: Name; readonly receipt: Receipt<Name> }
  /** A statement that the destination runs. Long ones are shortened. */
  | { readonly type: 'statement'; readonly sql: string }
  | { readonly type: 'committing'; readonly loadId: string; readonly rows: number }
  | {
      readonly type: 'committed'
      readonly loadId: string
      readonly durationMs: number
      /** Why rows that were written early had to be written again. Absent if they were not. */
      readonly headStartLost?: string | undefined
    }
  /** The load changed tables of its resources. The first load of a resource changes nothing. */
  | { readonly type: 'schema_changed'; readonly loadId: string; readonly changes: readonly LockChange[] }
  | { readonly type: 'run_failed'; readonly code: string; readonly message: string }
) & {
  /** The window of a backfill that it is about, as `start … end`: windows are loaded beside each other. */
  readonly window?: string
}

export type WarningCode =
  | 'column_collision'
  | 'table_collision'
  | 'null_only_column'
  | 'variant_column'
  | 'text_changed'
  | 'number_out_of_range'
  | 'guess'
  | 'secrets_file_readable'
  | 'journal_set_aside'
  | 'schema_changed_at_destination'
  | 'schema_unlocked'
  | 'nested_rows_gone'
  | 'table_emptied'
  | 'fields_gone'
  | 'no_keys'
  | 'list_changed'
  | 'cursor_order'
  | 'start_ignored'
  | 'token_expired'
  | 'cursor_held'
  | 'cursor_ahead'
  | 'ignored_response'
  | 'lock_waited_for'
  | 'lock_taken_over'
  | 'deletes_skipped'
  | 'rows_discarded'
  | 'notify_failed'
  | 'path_unmatched'
  | 'shared_table'
  | 'other'

/** Called with events. Whoever takes every event also takes those of known names, and the other way round. */
export type EventListener<Event> = { told(event: Event): void }['told']
