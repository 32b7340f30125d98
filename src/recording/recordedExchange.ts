import { parseJson } from '../json/parse.js'
import { canonicalJson } from '../json/write.js'

/** A request without credentials and its answer, as they are in a recording. */
export interface Exchange {
  readonly resource: string
  /** An authenticator sent the request, for example for a token. */
  readonly bySigner: boolean
  readonly method: string
  readonly url: string
  readonly body?: string | undefined
  /** The query parameters that signing adds. */
  readonly signed: readonly string[]
  readonly answer: RecordedExchangeAnswer
}

interface RecordedExchangeAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly doubt?: string | undefined
}

export type RecordedRequest = Pick<Exchange, 'method' | 'url' | 'body'>

/** Signatures in addresses that an API returns, such as those of files in a bucket. */
const SIGNATURES =
  /((?:[?&;]|\\u0026)(?:X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token)|AWSAccessKeyId|GoogleAccessId|Signature|sig|Key-Pair-Id|Policy)=)[^&"'\s\\<>#]+/gi

/** The text without the signatures of addresses in it. The same text if there are none. */
export function withoutSignatures(text: string): string {
  return text.replace(SIGNATURES, '$1***')
}

/**
 * Equal for equal requests: method, address with sorted parameters, and body as canonical JSON or form. `clean` removes
 * secrets.
 */
export function exchangeKey({ method, url, body }: RecordedRequest, clean: (text: string) => string): string {
  const address = URL.canParse(url) ? sorted(new URL(url)) : url
  const text = body === undefined ? '' : ` ${canonicalBody(body)}`
  return clean(withoutSignatures(`${method} ${address}${text}`))
}

function sorted(url: URL): string {
  url.searchParams.sort()
  url.hash = ''
  url.username = ''
  url.password = ''
  return url.href
}

function canonicalBody(body: string): string {
  try {
    return canonicalJson(parseJson(body))
  } catch {
    return body
  }
}

/** The key without dates and times, for requests that differ only in these. */
export function timelessKey(key: string): string {
  return key.replace(MOMENT, '<moment>')
}

const MOMENT =
  /(?<![\d.])(?:\d{4}-\d\d-\d\d(?:(?:T|%20|\+| )\d\d(?::|%3A)?\d\d(?:(?::|%3A)?\d\d(?:\.\d+)?)?(?:Z|(?:[+-]|%2B)\d\d(?::|%3A)?\d\d)?)?|1\d{9}(?:\d{3})?)(?![\d.])/g

/** The recorded request that is most similar to another: the one with the longest common beginning. */
export function nearest(key: string, known: Iterable<string>): string | undefined {
  let best: string | undefined
  let most = -1
  for (const candidate of known) {
    let same = 0
    while (same < key.length && key[same] === candidate[same]) same++
    if (same > most) {
      most = same
      best = candidate
    }
  }
  return best
}
