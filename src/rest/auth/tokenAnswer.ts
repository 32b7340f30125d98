import { parseJson } from '../../json/parse.js'
import { compiledPath } from '../../json/path.js'
import type { JsonObject, JsonValue } from '../../json/value.js'
import { RequestError } from '../../model/errors.js'
import { Secret, secretPlaces } from '../../model/secrets/secret.js'
import type { ApiRequest, ApiResponse, SignContext } from '../api.js'
import { isLocal } from '../http/redirects.js'
import { renewalAt, type Token } from './token.js'

/** Where the answer of a token server may say that the API is. */
export interface BaseUrlRule {
  readonly base_url_path?: string | undefined
  readonly base_url_hosts?: readonly string[] | undefined
  readonly access_token_url: string
}

/**
 * The address that the answer names, without a slash at its end. Throws a RequestError `auth` if it is not https, or at a
 * host that the document does not allow: credentials go where the document says, not where an API says.
 */
export function tokenBaseUrl(found: unknown, rule: BaseUrlRule, path: string): string {
  const fail = (why: string): RequestError => new RequestError('auth', `${path}: ${why}`, { path })
  if (typeof found !== 'string' || !URL.canParse(found)) {
    throw fail(`the token’s answer has no address at ${rule.base_url_path ?? ''}, which base_url_path names`)
  }
  const url = new URL(found)
  const shown = `${url.protocol}//${url.host}`
  const isTrial = isLocal(url.hostname) && isLocal(new URL(rule.access_token_url).hostname)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isTrial)) {
    throw fail(`the token’s answer names ${shown} as address of the API, which is not https`)
  }
  if (!(rule.base_url_hosts ?? []).some(pattern => covers(pattern, url))) {
    throw fail(
      `the token’s answer names ${shown} as address of the API, which is not among base_url_hosts; if that is intended, add "${url.host}"`,
    )
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

function covers(pattern: string, { host, hostname }: URL): boolean {
  const wanted = pattern.toLowerCase()
  if (!wanted.startsWith('*.')) return host === wanted
  return host === hostname && hostname.endsWith(wanted.slice(1)) && hostname.length >= wanted.length
}

export interface TokenRequest {
  /** Key path of the `auth` object, for messages. */
  readonly path: string
  readonly request: ApiRequest
  /** For answers that do not give the token's end. */
  readonly defaultExpirySeconds: number
  /** What the answer may say about the address of the API. */
  readonly baseUrl?: BaseUrlRule | undefined
  /** What to do if the server refuses, for the message. */
  readonly cure?: string | undefined
  /** The object with the secrets of the client, to say where they were found. */
  readonly client?: object | undefined
  /** The answer to a request that is under way is waited for, even when the list is stopped. */
  readonly isFinished?: boolean | undefined
  /** Gets the new refresh token of an answer that is of no use otherwise: the old one may be used up. */
  readonly rescue?: ((refreshToken: Secret) => Promise<void>) | undefined
}

/** The tokens of an answer. */
export interface Grant {
  readonly token: Token
  /** Replaces the refresh token that was used. */
  readonly refreshToken?: Secret | undefined
}

/** A token server that refused. */
export class TokenRefusal extends RequestError {
  /** The code of OAuth, as in `slow_down`. Undefined: the server gave none. */
  readonly reason: string | undefined

  constructor(
    message: string,
    reason: string | undefined,
    details: { readonly path: string; readonly url: string; readonly status: number },
  ) {
    super('auth', message, details)
    this.reason = reason
  }
}

/** Asks a token server of OAuth 2.0. Throws a RequestError `auth` if it gives no token, a {@link TokenRefusal} if it refuses. */
export async function requestToken(asked: TokenRequest, context: SignContext): Promise<Grant> {
  const { path, request, defaultExpirySeconds, baseUrl: rule } = asked
  const askedAt = context.now()
  const response = await (asked.isFinished === true ? context.finish(request) : context.send(request))
  const answer = tokenAnswer(response)
  const { access_token: text, refresh_token: next, expires_in: expires } = answer
  if (response.status >= 400) throw refused(asked, response, answer)
  const refreshToken =
    typeof next === 'string' && next !== '' ? new Secret(next, `refresh token of ${path}`) : undefined
  if (refreshToken !== undefined) context.conceal(refreshToken)
  try {
    return { token: accessToken(), refreshToken }
  } catch (error) {
    if (refreshToken !== undefined) await asked.rescue?.(refreshToken)
    throw error
  }

  function accessToken(): Token {
    if (typeof text !== 'string' || text === '') {
      // Some servers refuse with status 200.
      if (typeof answer.error === 'string') throw refused(asked, response, answer)
      const message = `${path}: the answer of ${response.url} has no access_token${keysOf(answer)}`
      throw new RequestError('auth', message, { path, url: response.url, status: response.status })
    }
    const secret = new Secret(text, `access token of ${path}`)
    context.conceal(secret)
    const endsAt = renewalAt(askedAt, (secondsOf(expires) ?? defaultExpirySeconds) * 1000)
    if (rule?.base_url_path === undefined) return { secret, endsAt }
    const found = compiledPath(rule.base_url_path).matches(answer as JsonObject)[0]
    return { secret, endsAt, baseUrl: tokenBaseUrl(found, rule, path) }
  }
}

/** Names that an answer has, for a message. Values may be credentials, and so may names that are not like names. */
export function keysOf(answer: object): string {
  const keys = Object.keys(answer).filter(key => /^[a-z][a-z_]{0,39}$/i.test(key))
  return keys.length === 0 ? '' : `; it has ${keys.slice(0, MOST_KEYS).join(', ')}`
}

const MOST_KEYS = 20

/** A number, or text that is a number. */
export function secondsOf(value: unknown): number | undefined {
  if (typeof value !== 'number' && typeof value !== 'string') return undefined
  const seconds = Number(value)
  return String(value).trim() !== '' && Number.isFinite(seconds) ? Math.trunc(seconds) : undefined
}

/** A moment in milliseconds since 1970: a date with or without a zone, or a count of seconds or milliseconds. */
export function momentOf(value: unknown): number | undefined {
  const isNumber = typeof value === 'number' || (typeof value === 'string' && /^\d+(\.\d+)?$/.test(value))
  if (isNumber) return Number(value) > FIRST_MS ? Number(value) : Number(value) * 1000
  if (typeof value !== 'string') return undefined
  const isZoned = /[a-z]$|[+-]\d\d:?\d\d$/i.test(value)
  const moment = Date.parse(isZoned ? value : `${value}Z`)
  return Number.isNaN(moment) ? undefined : moment
}

/** Counts from here on are milliseconds: as seconds they would be after the year 5000. */
const FIRST_MS = 1e11

/** The body as JSON. Undefined if it is something else. */
export function answered(response: ApiResponse): JsonValue | undefined {
  try {
    return parseJson(response.body)
  } catch {
    return undefined
  }
}

function tokenAnswer(response: ApiResponse): Readonly<Record<string, unknown>> {
  const value = answered(response)
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}

/** Adds the reason from OAuth's own field. The rest of the answer might hold credentials. */
function refused(
  { path, client, cure }: Pick<TokenRequest, 'path' | 'client' | 'cure'>,
  response: ApiResponse,
  answer: Readonly<Record<string, unknown>>,
): TokenRefusal {
  const reasons = [answer.error, answer.error_description].filter(text => typeof text === 'string')
  const why = reasons.length === 0 ? '' : `: ${reasons.join(': ').slice(0, 300)}`
  const places = secretPlaces(client)
  const checked = places.length === 0 ? undefined : `check what was sent: ${places.join(', and ')}`
  const advice = [checked, cure].map(text => (text === undefined ? '' : `; ${text}`)).join('')
  const message = `${path}: ${response.url} gave no access_token, it answered ${response.status}${why}${advice}`
  const reason = typeof answer.error === 'string' ? answer.error : undefined
  return new TokenRefusal(message, reason, { path, url: response.url, status: response.status })
}
