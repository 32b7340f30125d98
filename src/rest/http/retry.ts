import type { RetryPolicy } from '../api.js'
import { BodyError } from './responseBody.js'

/** Wait before retry `n` (1-based), in milliseconds. `random` is in [0, 1). */
export function backoffMs(policy: RetryPolicy, n: number, random: number): number {
  const grown = policy.baseMs === 0 ? 0 : policy.baseMs * policy.factor ** (n - 1)
  const longest = Math.min(policy.maxDelayMs, grown)
  return Math.round(policy.jitter === 'full' ? longest * random : longest)
}

/**
 * Milliseconds that `Retry-After` asks to wait: seconds, or a moment as {@link toldTime} knows it. A date in the past is 0.
 * Undefined where the header is absent or makes no sense; infinite where no number is large enough.
 */
export function retryAfterMs(headers: Readonly<Record<string, string>>, now: number): number | undefined {
  const header = headers['retry-after']?.trim()
  if (header === undefined) return undefined
  const until = toldTime(header, headers, now)
  if (until === undefined) return undefined
  // Who counts in seconds since the epoch did not mean those of years ago.
  if (until < now && NUMBER.test(header)) return undefined
  return Math.max(0, Math.ceil(until - now))
}

const NUMBER = /^\d+(?:\.\d+)?(?:e\+?\d+)?$/i
/** Numbers above are moments: as a wait it would be 31 years. */
const FIRST_EPOCH_SECONDS = 1e9
/** Numbers above are milliseconds since the epoch: in seconds it would be the year 5138. */
const FIRST_EPOCH_MS = 1e11

/**
 * When a wait that a header tells is over, by this machine's clock: told in seconds from now, or as a moment, in seconds or
 * milliseconds since the epoch or as a date. The server's moments are compared with the server's clock, where it tells its
 * `Date`. Undefined where the text is nothing of that; infinite where no number is large enough.
 */
export function toldTime(text: string, headers: Readonly<Record<string, string>>, now: number): number | undefined {
  const skew = now - (httpDate(headers.date) ?? now)
  if (NUMBER.test(text)) {
    const value = Number(text)
    if (value > FIRST_EPOCH_MS) return value + skew
    return value > FIRST_EPOCH_SECONDS ? value * 1000 + skew : now + value * 1000
  }
  const date = httpDate(text) ?? (/^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN)
  return Number.isNaN(date) ? undefined : date + skew
}

/** Milliseconds since the epoch. Only texts with letters are dates: `Date.parse` would take `-5` for a year. */
function httpDate(text: string | undefined): number | undefined {
  if (text === undefined || !/^[A-Za-z]{3,9},? /.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : at
}

/** Why an attempt gave no usable answer. */
export interface Failure {
  readonly code: 'connection' | 'timeout' | 'response_format' | 'response_too_large'
  /** Plain text for people; says no URL. */
  readonly text: string
  /** Whether asking again may help. */
  readonly transient: boolean
}

/** What a network error means. `host` is that of the request, as in `127.0.0.1:8080`. */
export function failureOf(error: unknown, host: string): Failure {
  if (error instanceof BodyError) return bodyFailure(error)
  const codes = errorCodes(error)
  for (const code of codes) {
    const known = knownFailures[code]
    if (known !== undefined) return { ...known, text: `${known.text.replace('{host}', host)} (${code})` }
  }
  const handshake = codes.find(code => /^(ERR_SSL_|EPROTO$)/.test(code))
  if (handshake !== undefined) {
    return {
      code: 'connection',
      transient: false,
      text: `${host} does not answer with TLS (${handshake}); is it http?`,
    }
  }
  const certificate = codes.find(code => /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_/.test(code))
  if (certificate !== undefined) {
    return { code: 'connection', transient: false, text: `the certificate of ${host} is not trusted (${certificate})` }
  }
  const text = error instanceof Error ? error.message : String(error)
  return { code: 'connection', transient: !(error instanceof TypeError && codes.length === 0), text }
}

const knownFailures: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: { code: 'connection', transient: true, text: 'nothing listens at {host}' },
  ECONNRESET: { code: 'connection', transient: true, text: '{host} closed the connection' },
  EPIPE: { code: 'connection', transient: true, text: '{host} closed the connection' },
  UND_ERR_SOCKET: { code: 'connection', transient: true, text: '{host} closed the connection before the answer ended' },
  UND_ERR_CLOSED: { code: 'connection', transient: false, text: 'the client was closed' },
  UND_ERR_DESTROYED: { code: 'connection', transient: false, text: 'the client was closed' },
  ENOTFOUND: { code: 'connection', transient: true, text: 'the name of {host} is not known' },
  EAI_AGAIN: { code: 'connection', transient: true, text: 'the name of {host} could not be looked up' },
  EHOSTUNREACH: { code: 'connection', transient: true, text: '{host} cannot be reached' },
  ENETUNREACH: { code: 'connection', transient: true, text: '{host} cannot be reached' },
  ETIMEDOUT: { code: 'timeout', transient: true, text: '{host} did not accept the connection in time' },
  UND_ERR_CONNECT_TIMEOUT: { code: 'timeout', transient: true, text: '{host} did not accept the connection in time' },
  UND_ERR_HEADERS_TIMEOUT: { code: 'timeout', transient: true, text: '{host} did not answer in time' },
  UND_ERR_BODY_TIMEOUT: { code: 'timeout', transient: true, text: '{host} stopped sending in the middle of an answer' },
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: {
    code: 'connection',
    transient: true,
    text: 'the body is not as long as content-length says',
  },
  UND_ERR_INVALID_ARG: {
    code: 'connection',
    transient: false,
    text: 'the request cannot be sent: a header or the URL is not valid',
  },
  ERR_INVALID_URL: { code: 'connection', transient: false, text: 'the request cannot be sent: the URL is not valid' },
}

function bodyFailure(error: BodyError): Failure {
  if (error.kind === 'too_large') return { code: 'response_too_large', transient: false, text: error.message }
  if (error.kind === 'late') return { code: 'timeout', transient: true, text: error.message }
  if (error.kind === 'malformed') return { code: 'response_format', transient: true, text: error.message }
  return { code: 'connection', transient: true, text: error.message }
}

/** Codes of an error, of its causes, and of the parts of an AggregateError (all addresses of a host refused). */
function errorCodes(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error) || depth > 4) return []
  const code = (error as NodeJS.ErrnoException).code
  const parts = error instanceof AggregateError ? error.errors.flatMap(part => errorCodes(part, depth + 1)) : []
  return [...(typeof code === 'string' ? [code] : []), ...errorCodes(error.cause, depth + 1), ...parts]
}
