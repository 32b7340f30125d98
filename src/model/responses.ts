import { DataError } from './errors.js'

/**
 * The journal as the reader of pages sees it: answers already recorded by this load are taken from it instead of
 * being asked again, new ones are recorded before they are read.
 */

/** A journal that answers for the API has no answer to a request. */
export class NotRecordedError extends DataError {}

/** Names one answer of a load: the same request asked again in the same place has the same identity. */
export interface ResponseIdentity {
  readonly resource: string
  /** Digest of method, URL and body without credentials, and of the parent record for children. */
  readonly request: string
}

/** A final answer (after retries), body decoded from transfer and content encoding. It holds no secret. */
export interface RecordedResponse {
  readonly status: number
  /** Lower-case names; credentials and cookies left out. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** Why the answer may be a part of what the API has; absent where it is whole. */
  readonly doubt?: string | undefined
}

export interface ResponseJournal {
  /** The answer recorded under this identity, read from disk. */
  lookup(identity: ResponseIdentity): Promise<RecordedResponse | undefined>
  /**
   * Resolves once the answer would survive the end of this process. `url` is redacted. The body is lent: its bytes may be
   * written over some time after that.
   */
  record(
    identity: ResponseIdentity,
    response: RecordedResponse,
    about: { readonly method: string; readonly url: string },
  ): Promise<void>
}
