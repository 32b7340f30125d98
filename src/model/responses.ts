import { DataError } from './errors.js'

/**
 * The journal as the page reader sees it. Answers that this load already recorded come from it, without a new request.
 * New answers are recorded before they are read.
 */

/** A journal used instead of the API has no answer to a request. */
export class NotRecordedError extends DataError {}

/** Identifies one answer of a load. The same request in the same place has the same identity. */
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
  /** Why the answer may not be whole. Absent if it is. */
  readonly doubt?: string | undefined
  /** The body is a part of a longer one, which goes on at this place. Absent: it is the end of the body, or all of it. */
  readonly rest?: BodyPlace | undefined
}

/** A place in a decoded body up to which it was read, and what was read, to find it again in another answer. */
export interface BodyPlace {
  /** Bytes before it. */
  readonly bytes: number
  /** SHA-256 of those, in hex. */
  readonly digest: string
  /** Bytes at the beginning of the body that each of its parts begins with, such as the names of a table. */
  readonly head: number
}

export interface ResponseJournal {
  /** The answer recorded under this identity, read from disk. */
  lookup(identity: ResponseIdentity): Promise<RecordedResponse | undefined>
  /**
   * Resolves once the answer would survive the end of this process. `url` is redacted. The bytes of the body may be
   * overwritten after that.
   */
  record(
    identity: ResponseIdentity,
    response: RecordedResponse,
    about: { readonly method: string; readonly url: string },
  ): Promise<void>
}
