import type { JsonValue } from '../json/value.js'
import type { Backoff } from '../model/runtime/backoff.js'
import type { Secret } from '../model/secrets/secret.js'
import type { ListEnd } from '../model/source.js'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export type RequestBody =
  | { readonly kind: 'json'; readonly value: JsonValue }
  | { readonly kind: 'form'; readonly pairs: readonly (readonly [string, string])[] }
  | { readonly kind: 'text'; readonly text: string }

/** A request before it is signed. It never holds a credential. */
export interface ApiRequest {
  readonly method: Method
  /** Absolute. It may have its own query; `params` are appended. */
  readonly url: string
  /** Query parameters in order; a name may repeat. */
  readonly params: readonly (readonly [name: string, value: string])[]
  /** Names as configured, matched without case. `null` removes a default header. */
  readonly headers: Readonly<Record<string, string | null>>
  /** Names of the headers that a paginator set, in lower case. Requests that differ in them ask for different pages. */
  readonly paging?: readonly string[] | undefined
  readonly body?: RequestBody | undefined
  /** Shown by the connection. A signer sets it. */
  readonly certificate?: ClientCertificate | undefined
}

/** With what a connection proves who it is. Texts are PEM. One object is one identity, with connections of its own. */
export interface ClientCertificate {
  readonly cert: string
  readonly key: Secret
  readonly passphrase?: Secret | undefined
  /** Authorities that the server's certificate is checked by, in place of those of Node. */
  readonly ca?: string | undefined
}

/** Changes for the next request. Absent keys stay as they were. */
export interface RequestPatch {
  /** New URL, relative to the previous one. All params are dropped. */
  readonly url?: string | undefined
  /** Sets query parameters, replacing every occurrence. `null` removes one, `undefined` leaves it as it is. */
  readonly params?: Readonly<Record<string, ParamValue>> | undefined
  /**
   * Sets headers, whatever the case of their names. `null` removes one, `undefined` leaves it as it is. They go only to the
   * origins of the API, as all headers do. Credentials belong to an authenticator.
   */
  readonly headers?: Readonly<Record<string, ParamValue>> | undefined
  /** Sets values in the JSON body (dot path, created if needed) or fields of a form body. */
  readonly body?: readonly { readonly path: string; readonly value: JsonValue }[] | undefined
}

/** A query parameter or header of a paginator. Numbers and booleans are sent as text. */
export type ParamValue = string | number | bigint | boolean | null | undefined

/**
 * An answer as paginators see it. A paginator may read the body until it has received the page after it. The first
 * page's body stays readable for the whole list.
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
  /** First match of a JSONPath as text, with a number's digits as sent. Undefined unless it is a scalar. */
  text(path: string): string | undefined
  /** The first match of a JSONPath in each selected record, in order. Undefined where a record has none. */
  fields?(path: string): readonly (RecordField | undefined)[]
  /** Names of the members of a selected record. */
  names?(index: number): readonly string[]
  /** The place in the body, outside its lists, whose name is most like the last of this JSONPath. For error messages. */
  near?(path: string): string | undefined
  /** The body as text, shortened for error messages. */
  excerpt(): string
}

/** A value of a record. */
export interface RecordField {
  readonly value: JsonValue
  /** As text, with a number's digits as sent. */
  readonly text: string
}

/**
 * A way through a list. A page carries its own request, so a paginator keeps no counter. One paginator can serve any
 * number of lists at once.
 */
export interface Paginator {
  /** Changes the first request. */
  readonly first?: RequestPatch | undefined
  /** Changes for the next request, or how the list ended. `undefined` means: it ended by its own rule. */
  next(page: ApiPage): RequestPatch | ListEnd | undefined
  /** Number of records in the whole list, as this page announces it. */
  announced?(page: ApiPage): number | undefined
  /**
   * Every request after this first page, in order, if the page says how many there are. It never includes pages that do
   * not exist. Absent or undefined: only `next` knows.
   */
  rest?(first: ApiPage): readonly RequestPatch[] | undefined
  /**
   * The request after this one if its page is full. It allows reading ahead in a list without a total. `read`: the last
   * page that was read. If it says how long the list is, no request goes beyond that.
   */
  ahead?(request: ApiRequest, read?: ApiPage): RequestPatch | undefined
  /** Called with the first page. Throws if the page lacks what every answer must have. */
  check?(first: ApiPage): void
  /**
   * Called with two consecutive pages. For each record of the page, whether it may be a record of the page before that
   * was asked for again. It is left out if it is.
   */
  repeats?(page: ApiPage, previous: ApiPage): readonly boolean[] | undefined
  /** Whether the page itself says that another one follows. An answer without content then proves no end. */
  saysMore?(page: ApiPage): boolean | undefined
  /** Where the page should say whether another one follows, and says neither. */
  unsaid?(page: ApiPage): string | undefined
  /** Called with two consecutive pages. The best possible end, `limited` or `suspect`, if they show that the list is not whole. */
  doubt?(page: ApiPage, previous: ApiPage): ListEnd | undefined
  /**
   * As `doubt`, for what pages may show by chance. `first`: the first page of the list. `denied`: these pages show that it
   * is not so, in the whole list. It counts unless it is denied, or a total says that the list is whole.
   */
  suspicion?(page: ApiPage, previous: ApiPage, first: ApiPage): ListEnd | 'denied' | undefined
  /** What else may be wrong if the second page has the records of the first, for the message. */
  readonly circleRemedy?: string | undefined
  /** What it counts. Absent: it follows the answers. */
  readonly counts?: 'pages' | 'records' | undefined
  /** It starts after the beginning of the list, so totals do not match what it reads. */
  readonly isPart?: boolean | undefined
  /** How a list is read in parts. Absent: it cannot begin within a list, or does not know how long that is. */
  readonly parts?: ListParts | undefined
  /** Field of the records by which it goes. Its value is in one record only, unless several records of a page share one. */
  readonly field?: string | undefined
  /** It goes by the headers of an answer alone, so that a long body of rows may come in several pages, one after the other. */
  readonly goesByHeaders?: boolean | undefined
  /**
   * What the paginator uses of an answer: JSONPaths of the body, and names of headers in lower case. The check of the list
   * ignores them as evidence.
   */
  readonly goesBy?: readonly string[] | undefined
  /** How to find out what a page with fewer records than requested means. For paginators that count records. */
  readonly shortPages?: ShortPages | undefined
  /** Number of pages in the whole list, as this page announces it. */
  pages?(page: ApiPage): number | undefined
  /**
   * What else changes in a request if pages have `to` records instead of `from`, so that it begins at the same record.
   * Undefined: no page of that size begins there. Absent: nothing else changes.
   */
  resized?(request: ApiRequest, from: number, to: number): RequestPatch | undefined
}

/** Places in a list are counted from 0, in records or pages, as the paginator's `counts` says. */
export interface ListParts {
  /** So many of them are one page. */
  readonly page: number
  /** Where the page begins, and how long the whole list is by it. */
  place(page: ApiPage): { readonly at: number; readonly length: number | undefined }
  /**
   * The same way through a part of the list, from `start` to before `end`. It begins with the page that holds what is just
   * before `start`.
   */
  of(start: number, end: number): Paginator
}

/** A paginator in a document. Without `type`, which tells it from the paginators that the document describes. */
export type OwnPaginator = Paginator & { readonly type?: undefined }

/** A short page has one of three causes: the list ends, the API caps its pages, or it leaves records out of them. */
export interface ShortPages {
  /** Records that the page may have. A page with fewer, but not without any, is short. */
  limit(page: ApiPage): number
  /** The request that starts right after the records of this page. It is the right one for an API that caps its pages. */
  behind(page: ApiPage): RequestPatch
  /** The same paginator for capped pages: it advances by the records that arrived. */
  readonly capped: Paginator
  /** The same paginator for pages with records left out: it advances by whole pages. */
  readonly filtered: Paginator
}

/** Adds credentials to requests for the origins that it is configured for. */
export interface Authenticator {
  /** Returns a copy of the request with credentials. Called for every attempt, only for those origins. */
  sign(request: ApiRequest, context: SignContext): ApiRequest | Promise<ApiRequest>
  /** Gets new credentials after a 401. True if the request is worth repeating. Concurrent calls share one renewal. */
  renew?(context: SignContext): Promise<boolean>
}

/** An authenticator in a document. Without `type`, which tells it from those that the document describes. */
export type OwnAuthenticator = Authenticator & { readonly type?: undefined }
/** An authenticator that a document names, which knows more than a user's. */
export interface KindAuthenticator extends Authenticator {
  /** Requests to the origin of `client.base_url` go there instead, and are signed there. Undefined: they stay. */
  baseUrl?(context: SignContext): Promise<string | undefined>
  /** The one of several credentials that a request should go with now. */
  choose?(context: SignContext): KindAuthenticator
  /** Learns from an answer to a request with that credential. */
  learn?(chosen: KindAuthenticator, status: number, headers: Readonly<Record<string, string>>, now: number): void
}

/** What a signer may use. All attempts at one request share one object, so a signer can recognise them. */
export interface SignContext {
  readonly signal: AbortSignal
  /** Milliseconds since the epoch. */
  now(): number
  /** Sends a request of the signer, such as for a token. It is retried like any other, not signed, and never journaled. */
  send(request: ApiRequest): Promise<ApiResponse>
  /** The same, but the answer to a request that is under way is waited for although the list is stopped. */
  finish(request: ApiRequest): Promise<ApiResponse>
  /** Registers a credential, so that it is removed from everything that is printed or stored. */
  conceal(secret: Secret): void
}

/** Sends one signed request. Users and the simulation can replace it. Rejects with the network's error. */
export type Transport = (request: TransportRequest) => Promise<TransportResponse>

export interface TransportRequest {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  readonly signal: AbortSignal
  readonly timeoutMs: { readonly headers: number; readonly body: number }
  /**
   * An API on the public network led to this origin, and the configuration does not name it. Addresses inside this
   * network must be refused, whatever the name. The built-in transport does that.
   */
  readonly publicOnly?: boolean | undefined
  /** The connection must show it. A transport that cannot rejects. */
  readonly certificate?: ClientCertificate | undefined
  /**
   * The request before it was signed and redirected, by which a recording knows it again.
   *
   * @internal
   */
  readonly unsigned?: UnsignedRequest | undefined
}

export interface UnsignedRequest {
  readonly resource: string
  readonly url: string
  readonly body?: string | undefined
  /** A signer asks, as for a token. */
  readonly bySigner: boolean
}

/** Hears the answers of an API, for a recording of it. Bodies may be overwritten after the call. */
export interface Witness {
  /** The final answer to a request of a list, masked, with the headers that reading the list needs. */
  answered(asked: WitnessedRequest, answer: WitnessedAnswer): void
  /** The answer to a request of a signer. It may hold credentials. */
  granted(asked: WitnessedRequest, answer: WitnessedAnswer): void
}

/** A request without credentials. */
export interface WitnessedRequest extends Omit<UnsignedRequest, 'bySigner'> {
  readonly method: string
  /** Names of the query parameters that signing adds. */
  readonly signed: readonly string[]
}

export interface WitnessedAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly doubt?: string | undefined
}

export interface TransportResponse {
  readonly status: number
  /** Lower-case names; repeated headers joined by `, `. */
  readonly headers: Readonly<Record<string, string>>
  /** Raw, as transferred: still with its content encoding. */
  readonly body: AsyncIterable<Uint8Array>
  /** The body has no length and no last chunk. It ends when the connection ends, whole or not. */
  readonly endsWithConnection?: boolean | undefined
  /**
   * The answer is one of a recording, where values are masked already.
   *
   * @internal
   */
  readonly recorded?: RecordedAnswer | undefined
}

interface RecordedAnswer {
  readonly doubt?: string | undefined
}

/** A final answer. The body is decoded from its content encoding. */
export interface ApiResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** Redacted, for messages. */
  readonly url: string
  readonly fromJournal: boolean
  /** Why the answer may not be whole, in one sentence for a receipt. Absent if it is. */
  readonly doubt?: string | undefined
}

/** When and how often a request is sent again. */
export interface RetryPolicy extends Backoff {
  /** Total attempts, the first included. */
  readonly attempts: number
  readonly statuses: readonly number[]
  /** Whether dropped connections and timeouts are retried. */
  readonly onConnectionError: boolean
  /** Longest wait that the API may ask for, by `Retry-After` or the end of a rate window. A longer one is an error. */
  readonly maxWaitMs: number
  /** A successful answer is also retried if its body contains one of these texts. */
  readonly bodyContains?: readonly string[] | undefined
  /** An answer is also retried if it meets one of these conditions. */
  readonly when?: readonly AnswerCondition[] | undefined
  /** Where an answer says how long to wait. It comes before `Retry-After`. */
  readonly waitFrom?: WaitFrom | undefined
}

/** Holds if all given parts hold. */
export interface AnswerCondition {
  /** Inclusive ranges: 404 is [404, 404], `5xx` is [500, 599]. */
  readonly statuses?: readonly (readonly [from: number, to: number])[] | undefined
  /** The body contains this text. */
  readonly content?: string | undefined
  /** What is at a JSONPath of the body. Null is nothing. A body that is not JSON never meets it. */
  readonly value?:
    | { readonly path: string; readonly exists: boolean }
    | { readonly path: string; readonly in: readonly JsonValue[] }
    | undefined
}

/** The place in an answer that says how long to wait. */
export interface WaitFrom {
  readonly in: 'header' | 'body'
  /** Lower-case name of the header, or JSONPath in the body. */
  readonly at: string
  readonly unit: 'seconds' | 'milliseconds' | 'date'
}
