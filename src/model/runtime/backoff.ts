/** The result of the work, or the signal's reason if that comes first. The work continues for others. */
export async function unlessStopped<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  let stop = (): void => {}
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
  })
  try {
    return await Promise.race([work, stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** How the waits between attempts grow. */
export interface Backoff {
  /** Wait before retry n (1-based): `baseMs · factor^(n−1)`, with jitter, at most `maxDelayMs`. */
  readonly baseMs: number
  readonly factor: number
  readonly maxDelayMs: number
  readonly jitter: 'full' | 'none'
}

/** Wait before retry `n` (1-based), in milliseconds. `random` is in [0, 1). */
export function backoffMs(backoff: Backoff, n: number, random: number): number {
  const grown = backoff.baseMs === 0 ? 0 : backoff.baseMs * backoff.factor ** (n - 1)
  const longest = Math.min(backoff.maxDelayMs, grown)
  return Math.round(backoff.jitter === 'full' ? longest * random : longest)
}

/**
 * Milliseconds that `Retry-After` asks to wait: seconds, or a moment that {@link toldTime} can read. Undefined if the header
 * is absent or invalid, or asks for no wait: attempts without a wait would be used up at once. Infinite if the number is too
 * large.
 */
export function retryAfterMs(headers: Headers, now: number): number | undefined {
  const header = textOf(headers['retry-after'])?.trim()
  if (header === undefined) return undefined
  // A header that came twice: the longer wait holds. A date has a comma too.
  const numbers = header.split(',').map(text => text.trim())
  const areNumbers = numbers.every(text => NUMBER.test(text))
  const told = areNumbers ? numbers : [header]
  const until = Math.max(...told.map(text => toldTime(text, headers, now) ?? Number.NaN))
  return until > now ? Math.ceil(until - now) : undefined
}

/** By lower-case name. A list holds the values of a repeated header. */
type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

function textOf(header: Headers[string]): string | undefined {
  return typeof header === 'string' ? header : header?.[0]
}

const NUMBER = /^\d+(?:\.\d+)?(?:e\+?\d+)?$/i
/** Larger numbers are moments. As a wait, this would be 31 years. */
const FIRST_EPOCH_SECONDS = 1e9
/** Larger numbers are milliseconds since the epoch. As seconds, this would be the year 5138. */
const FIRST_EPOCH_MS = 1e11

/**
 * The end of a wait that a header gives, by this machine's clock. The header gives seconds from now, a moment in
 * seconds or milliseconds since the epoch, or a date. Moments are corrected by the server's clock if it sends `Date`.
 * Undefined if the text is none of these. Infinite if the number is too large.
 */
export function toldTime(text: string, headers: Headers, now: number): number | undefined {
  const skew = now - (httpDate(textOf(headers.date)) ?? now)
  if (NUMBER.test(text)) {
    const value = Number(text)
    if (value > FIRST_EPOCH_MS) return value + skew
    return value > FIRST_EPOCH_SECONDS ? value * 1000 + skew : now + value * 1000
  }
  const date = httpDate(text) ?? (/^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN)
  return Number.isNaN(date) ? undefined : date + skew
}

/** Milliseconds since the epoch. Only text with letters is a date: `Date.parse` would read `-5` as a year. */
function httpDate(text: string | undefined): number | undefined {
  if (text === undefined || !/^[A-Za-z]{3,9},? /.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : at
}
