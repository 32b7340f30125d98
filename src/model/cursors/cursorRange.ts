import type { JsonValue } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import type { CursorState } from '../pipelineState.js'
import type { Verdict } from '../receipt.js'

/**
 * A part of a cursor's range, from `start` to `end`, both in the form of the cursor's values. A partition by values has
 * the value as both.
 */
export interface CursorRange {
  readonly start: JsonValue
  readonly end: JsonValue
}

/** A value of a cursor for people: a text without quotes, everything else as JSON. */
export function cursorText(value: JsonValue): string {
  return typeof value === 'string' ? value : stringifyJson(value)
}

/** A range for people, or the one value of a partition. */
export function rangeText({ start, end }: CursorRange): string {
  if (stringifyJson(start) === stringifyJson(end)) return cursorText(start)
  return `${cursorText(start)} … ${cursorText(end)}`
}

/** Which list a window is a part of. */
export interface WindowsOf {
  readonly pipeline: string
  readonly schemaName: string
  readonly resource: string
  /** JSONPath of the cursor. Of partitions, what they are cut by, in parentheses. */
  readonly cursorPath: string
}

/** What was tried of a window that is not committed, as the destination keeps it. */
export interface WindowAttempt extends CursorRange {
  /**
   * `failed`: for `reason`. `halved`: half of a window that was too much for the API; wider ones need not be tried.
   * `claimed`: one of several processes loads it, and writes the time again and again.
   */
  readonly state: 'failed' | 'halved' | 'claimed'
  /** How often it failed. */
  readonly tries: number
  /** Milliseconds since the epoch. */
  readonly atMs: number
  /** The message of the failure, without secrets; of a claim, the name of the process. */
  readonly reason: string | undefined
}

/** A window that a load has committed, as the destination keeps it beside the rows. */
export interface LoadedWindow extends CursorRange {
  readonly resource: string
  /** JSONPath of the cursor. */
  readonly cursorPath: string
  /** Windows count together as long as the resource keeps its state: a refresh or a drop begins a new backfill. */
  readonly backfill: string
  /** The cursor after the newest record of the window. Undefined if it had no records. */
  readonly cursor: CursorState | undefined
  readonly verdict: Verdict
  readonly requests: number
  readonly records: number
  /** Counts the windows of the list in the order of their commits, so that what is new can be read alone. */
  readonly number?: number | undefined
  /** Up to where a part of a list was asked for, if it has ended before: the rest is missing still. */
  readonly askedEnd?: JsonValue | undefined
}
