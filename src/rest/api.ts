import type { JsonValue } from '../json/value.js'
import type { Backoff } from '../model/backoff.js'
import type { Secret } from '../model/secrets/secret.js'
import type { ListEnd } from '../model/source.js'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH'

export type RequestBody =
  | { readonly kind: 'json'; readonly value: JsonValue }
  | { readonly kind: 'form'; readonly pairs: readonly (readonly [string, string])[] }
  | { readonly kind: 'text'; readonly text: string }

/** A request before it is signed: it never holds a credential. */
export interface ApiRequest {
  readonly method: Method
  /** Absolute; may carry a query of its own, `params` are appended to it. */
  readonly url: string
  /** Query parameters in order; a name may repeat. */
  readonly params: readonly (readonly [name: string, value: string])[]
  /** Names as configured; looked up without case. `null` removes a default header. */
  readonly headers: Readonly<Record<string, string | null>>
  readonly body?: RequestBody | undefined
}

/** What changes in the next request. Absent keys stay as they were. */
export interface RequestPatch {
  /** Replaces the URL, relative to the previous one; all params are dropped. */
  readonly url?: string
  /** Sets (replacing every occurrence) or, with `null`, removes query parameters. */
  readonly params?: Readonly<Record<string, string | null>>
  /** Sets values in the JSON body (dot path, created as needed) or, for a form body, fields. */
  readonly body?: readonly { readonly path: string; readonly value: JsonValue }[]
}

/**
 * An answer as paginators see it. Into its body they can look until the page after it was given
 * to them; into the first one always.
 */
export interface ApiPage {
  /** The request that was answered, patches included. */
  readonly request: ApiRequest
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Records selected from the body. */
  readonly records: number
  /** First match of a JSONPath in the body, parsed losslessly; undefined when nothing matches. */
  first(path: string): JsonValue | undefined
  /** First match of a JSONPath as text, a number with its digits as sent; undefined unless it is a scalar. */
  text(path: string): string | undefined
  /** The body as text, shortened for error messages. */
  excerpt(): string
}

/**
 * A way through a list, as a value: the page carries its own request, so there is no counter to keep, copy or reset,
 * and one paginator serves any number of lists at once.
 */
export interface Paginator {
  /** Changes the first request. */
  readonly first?: RequestPatch | undefined
  /** What changes in the next request; or how the list ended, where `undefined` is short for "by its own rule". */
  next(page: ApiPage): RequestPatch | ListEnd | undefined
  /** Records in the whole list as announced by this page. */
  announced?(page: ApiPage): number | undefined
  /**
   * Every request after this first page, in order, where the page tells how many there are. Requests for pages that
   * do not exist are never among them. Absent or undefined: only `next` knows.
   */
  rest?(first: ApiPage): readonly RequestPatch[] | undefined
  /** The request that would follow this one if its page is full; lets a list without a total be read ahead. */
  ahead?(request: ApiRequest): RequestPatch | undefined
  /** How the list ends at best, where two consecutive pages contradict its completeness: `limited` or `suspect`. */
  doubt?(page: ApiPage, previous: ApiPage): ListEnd | undefined
  /** What it counts; absent: it goes where the answers lead. */
  readonly counts?: 'pages' | 'records' | undefined
  /** It begins behind the beginning of the list, so totals are not those of what it reads. */
  readonly isPart?: boolean | undefined
  /** JSONPaths of the answer that it goes by. What stands there is no news to whoever judges the list. */
  readonly goesBy?: readonly string[] | undefined
  /** How to find out what a page with fewer records than were asked for means; for paginators that count records. */
  readonly shortPages?: ShortPages | undefined
}

/** A short page means one of three things: the list ends, the API caps its pages, or it leaves records out of them. */
export interface ShortPages {
  isShort(page: ApiPage): boolean
  /** The request for what follows the records of this page, as an API that caps pages wants it. */
  behind(page: ApiPage): RequestPatch
  /** The same way, once it is known that pages are capped: on by the records that arrived. */
  readonly capped: Paginator
  /** Once it is known that records are left out of pages: on by whole pages. */
  readonly filtered: Paginator
}

/** Adds credentials to requests for the origins it is bound to. */
export interface Authenticator {
  /** A copy of the request with credentials. Called for every attempt, only for the origins it was configured for. */
  sign(request: ApiRequest, context: SignContext): ApiRequest | Promise<ApiRequest>
  /** After a 401: obtains new credentials. True when a replay is worth it. Concurrent calls share one renewal. */
  renew?(context: SignContext): Promise<boolean>
}

/** What a signer may use. One object serves all attempts at one request, so it tells them apart from others. */
export interface SignContext {
  readonly signal: AbortSignal
  /** Milliseconds since the epoch. */
  now(): number
  /** Sends a request of the signer's own, as for a token: retried like any other, unsigned, never journaled. */
  send(request: ApiRequest): Promise<ApiResponse>
  /** Makes a credential known, so that it is removed from whatever is printed or stored. */
  conceal(secret: Secret): void
}

/** Sends one signed request; replaceable by users and by the simulation. Rejects with the network's error. */
export type Transport = (request: TransportRequest) => Promise<TransportResponse>

export interface TransportRequest {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  readonly signal: AbortSignal
  readonly timeoutMs: { readonly headers: number; readonly body: number }
  /**
   * An API on the public network led here, to an origin that the configuration does not name: an address inside this
   * network is to be refused, whatever its name. The built-in transport sees to that.
   */
  readonly publicOnly?: boolean | undefined
}

export interface TransportResponse {
  readonly status: number
  /** Lower-case names; repeated headers joined by `, `. */
  readonly headers: Readonly<Record<string, string>>
  /** Raw, as transferred: still content-encoded. */
  readonly body: AsyncIterable<Uint8Array>
  /** The body has neither a length nor a last chunk: it ends where the connection does, whole or not. */
  readonly endsWithConnection?: boolean | undefined
}

/** A final answer, body decoded from its content encoding. */
export interface ApiResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** Redacted, for messages. */
  readonly url: string
  readonly fromJournal: boolean
  /** Why the answer may be a part of what the API has, in one sentence for a receipt; absent where it is whole. */
  readonly doubt?: string | undefined
}

/** When and how often a request is sent again. */
export interface RetryPolicy extends Backoff {
  /** Total attempts, the first included. */
  readonly attempts: number
  readonly statuses: readonly number[]
  /** Whether dropped connections and timeouts are retried. */
  readonly onConnectionError: boolean
  /** Longest wait that the API may ask for, by `Retry-After` or the end of a rate window; a longer one is an error. */
  readonly maxWaitMs: number
  /** A successful answer whose body contains this text is retried too. */
  readonly bodyContains?: readonly string[] | undefined
}
