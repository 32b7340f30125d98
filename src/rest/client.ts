import type { RunEvent } from '../core/events.js'
import type { ResponseIdentity, ResponseJournal } from '../core/responses.js'
import type { Scrubber } from '../core/secret.js'
import type { Clock } from '../core/source.js'
import type { ApiRequest, ApiResponse, Authenticator, RetryPolicy, Transport } from './types.js'

/** Limits that the user declares; the adaptive ones work below them. */
export interface RateLimits {
  /** At most `requests` started within any `perMs` milliseconds, for one origin and credential. */
  readonly requests?: number | undefined
  readonly perMs?: number | undefined
  /** At most this many in flight, for one origin and credential. */
  readonly maxConcurrency?: number | undefined
}

export interface ClientOptions {
  /** Default: pooled keep-alive connections of Node (`httpTransport()`), opened with the first request. */
  readonly transport?: Transport | undefined
  readonly retry: RetryPolicy
  /** For the headers of an answer, and between two parts of its body. Default 60,000. */
  readonly timeoutMs?: number | undefined
  /** Longest body, decoded. Default 1 GiB. */
  readonly maxBodyBytes?: number | undefined
  readonly limits?: RateLimits | undefined
  /** Default: one that knows only what signers conceal. */
  readonly scrubber?: Scrubber | undefined
  /** Default `sluice`. */
  readonly userAgent?: string | undefined
  /** Default 10. */
  readonly maxRedirects?: number | undefined
}

export interface SendOptions {
  /** Name of the resource, for events, errors and statistics. */
  readonly resource: string
  readonly identity: ResponseIdentity
  readonly journal: ResponseJournal
  readonly auth?: Authenticator | undefined
  /**
   * Origins, as in `https://api.example.com`, that the configuration names; the base URL's first. Credentials,
   * configured headers and bodies go only there.
   */
  readonly authOrigins: readonly string[]
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly emit: (event: RunEvent) => void
  /** Requests in flight for one origin and credential. Default 1. */
  readonly concurrency?: number | undefined
  /** Instead of the client's. */
  readonly retry?: RetryPolicy | undefined
  /** Instead of the client's. */
  readonly timeoutMs?: number | undefined
  /** Whether to ask again although the policy would not. Attempts and delays are the policy's. */
  readonly shouldRetry?: ((response: ApiResponse) => boolean) | undefined
  /** Whether an answer with status 400 or above is journaled too. Default: no. */
  readonly recordable?: ((response: ApiResponse) => boolean) | undefined
}

/** What one resource has cost since the client was made or last closed. */
export interface RequestStatistics {
  /** Sent, retries, redirects and token requests included. */
  readonly requests: number
  readonly retries: number
  /** Spent waiting for retries and rate limits. */
  readonly waitedMs: number
  /** Of decoded bodies. */
  readonly bytes: number
}

export interface Client {
  /**
   * The final answer to a request, whatever its status: from the journal if it was recorded, else signed, sent,
   * retried, and recorded before it is returned. Rejects with a RequestError when no answer came.
   */
  send(request: ApiRequest, options: SendOptions): Promise<ApiResponse>
  statistics(resource: string): RequestStatistics
  /** Closes idle connections and forgets statistics and limits learnt. The client can be used again. */
  close(): Promise<void>
}

export function createClient(_options: ClientOptions): Client {
  throw new Error('in the making')
}
