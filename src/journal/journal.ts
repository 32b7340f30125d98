import type { JsonObject } from '../core/json.js'
import type { RecordedResponse, ResponseIdentity, ResponseJournal } from '../core/responses.js'
import type { Scrubber } from '../core/secret.js'

/** Where and for what a journal is opened. */
export interface JournalOptions {
  /** Folder of the pipeline under the working folder: `<home>/<pipeline>`; the load's is `loads/<loadId>` in it. */
  readonly dir: string
  readonly loadId: string
  /** Digest of whatever makes recorded answers useless when it changes. */
  readonly fingerprint: string
  /** Facts frozen when the load began (incremental windows, start time); no secrets. Ignored when resuming. */
  readonly meta: JsonObject
  readonly scrubber?: Scrubber | undefined
  /**
   * `process` (default): a recorded answer survives the end of the process, and what was recorded up to the last
   * `sync()` a power cut. `power`: every recorded answer survives both.
   */
  readonly durability?: 'process' | 'power' | undefined
}

/** A journal open for writing. */
export interface Journal extends ResponseJournal {
  readonly loadId: string
  /** As given when the load began, which may have been in an earlier process. */
  readonly meta: JsonObject
  /** Answers in the journal. */
  readonly pages: number
  /** Answers that were there when it was opened. */
  readonly resumedPages: number
  /** Folder that an unusable earlier journal of this load was moved to. */
  readonly setAside: string | undefined
  /** Resolves once everything recorded would survive a power cut. Called before a commit. */
  sync(): Promise<void>
  /** Syncs and closes the file; the load stays unfinished. Idempotent. */
  close(): Promise<void>
  /** After the commit: closes, and deletes the journal or, with `keep`, moves it to `loads/<loadId>.done`. */
  remove(options?: { readonly keep?: boolean }): Promise<void>
}

export async function openJournal(_options: JournalOptions): Promise<Journal> {
  throw new Error('in the making')
}

/** A load that began and was not committed. */
export interface UnfinishedLoad {
  readonly loadId: string
  readonly fingerprint: string
  readonly meta: JsonObject
  /** Folder of the load. */
  readonly path: string
}

/** Loads of the pipeline in `dir` that were not committed, oldest first. Unreadable journals are left out. */
export async function unfinishedLoads(_dir: string): Promise<readonly UnfinishedLoad[]> {
  throw new Error('in the making')
}

/** One recorded answer, as replay reads it. */
export interface JournaledResponse {
  readonly identity: ResponseIdentity
  readonly response: RecordedResponse
  readonly method: string
  /** Redacted. */
  readonly url: string
  /** Milliseconds since the epoch. */
  readonly recordedAt: number
}

/** Answers of a load's folder in the order they were recorded. A torn tail ends the iteration. */
export async function* readJournal(_loadDir: string): AsyncGenerator<JournaledResponse> {
  throw new Error('in the making')
}

/** Keeps other runs of the same pipeline out; released by `release()` or the end of the process. */
export interface PipelineLock {
  release(): Promise<void>
}

/** Rejects with a DestinationError `destination_locked` naming pid and start time of the run that holds it. */
export async function lockPipeline(_dir: string, _now: number): Promise<PipelineLock> {
  throw new Error('in the making')
}
