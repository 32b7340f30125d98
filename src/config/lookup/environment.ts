import { ConfigError } from '../../model/errors.js'
import { Secret } from '../../model/secrets/secret.js'
import type { RetryPolicy } from '../../rest/api.js'
import { defaultRetry } from '../../rest/document/resources/readResponses.js'
import type { HttpProxy, Proxies } from '../../rest/http/proxies.js'
import { decoded } from '../../rest/http/redact.js'

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The environment of this process. Nothing else in Sluice reads it. */
export function processEnvironment(): Environment {
  return process.env
}

/** What dlt's runtime settings say about requests. */
export interface RequestSettings {
  readonly retry: RetryPolicy
  readonly timeoutMs: number
}

/** dlt's own policy: 5 attempts for 429 and every 5xx, with waits of 1, 2, 4 and 8 seconds. */
const dltRetry: RetryPolicy = {
  ...defaultRetry,
  attempts: 5,
  statuses: [429, ...Array.from({ length: 100 }, (_, index) => 500 + index)],
  jitter: 'none',
}

const retrySettings = [
  'RUNTIME__REQUEST_MAX_ATTEMPTS',
  'RUNTIME__REQUEST_BACKOFF_FACTOR',
  'RUNTIME__REQUEST_MAX_RETRY_DELAY',
]

/**
 * Reads `RUNTIME__REQUEST_*`. If any of the retry settings is set, uses dlt's policy with these values, else Sluice's.
 * `retry` blocks in the document override both. As in dlt, 0 attempts mean 1.
 */
export function requestSettings(env: Environment): RequestSettings {
  const timeout = setting(env, 'RUNTIME__REQUEST_TIMEOUT')
  const timeoutMs = timeout === undefined ? 60_000 : Math.round(timeout * 1_000)
  if (!retrySettings.some(name => isSet(env, name))) return { retry: defaultRetry, timeoutMs }
  const attempts = setting(env, 'RUNTIME__REQUEST_MAX_ATTEMPTS')
  const factor = setting(env, 'RUNTIME__REQUEST_BACKOFF_FACTOR')
  const maxDelay = setting(env, 'RUNTIME__REQUEST_MAX_RETRY_DELAY')
  return {
    retry: {
      ...dltRetry,
      attempts: attempts === undefined ? dltRetry.attempts : Math.max(1, Math.floor(attempts)),
      baseMs: factor === undefined ? dltRetry.baseMs : factor * 1_000,
      maxDelayMs: maxDelay === undefined ? dltRetry.maxDelayMs : maxDelay * 1_000,
    },
    timeoutMs,
  }
}

/**
 * The proxies of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`. A name in small letters comes first, as with
 * curl. Throws a ConfigError that repeats no password.
 */
export function proxySettings(env: Environment): Proxies | undefined {
  const secrets: Secret[] = []
  const proxy = (...names: readonly string[]): HttpProxy | undefined => {
    const variable = names.flatMap(name => [name.toLowerCase(), name]).find(name => isSet(env, name))
    return variable === undefined ? undefined : proxyOf(env[variable] ?? '', variable, secrets)
  }
  const https = proxy('HTTPS_PROXY', 'ALL_PROXY')
  const http = proxy('HTTP_PROXY', 'ALL_PROXY')
  if (https === undefined && http === undefined) return undefined
  return { https, http, except: env.no_proxy ?? env.NO_PROXY, secrets }
}

function proxyOf(text: string, variable: string, secrets: Secret[]): HttpProxy {
  const written = /^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(written) ? new URL(written) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    const expected = 'expected the address of an HTTP proxy, as in http://proxy.example.com:3128'
    throw new ConfigError([{ place: { path: variable }, message: `${expected}; percent-encode its password` }])
  }
  if (url.username === '') return { url: url.origin }
  const pair = `${decoded(url.username)}:${decoded(url.password)}`
  const authorization = new Secret(`Basic ${Buffer.from(pair).toString('base64')}`, variable)
  const parts = [decoded(url.password), pair, Buffer.from(pair).toString('base64')].filter(part => part !== '')
  secrets.push(authorization, ...parts.map(part => new Secret(part, variable)))
  return { url: url.origin, authorization }
}

/** Whether `SLUICE_DEBUG` asks for every event of a run; `0` and `false` do not. */
export function isDebugging(env: Environment): boolean {
  return isSet(env, 'SLUICE_DEBUG') && !['0', 'false'].includes(env.SLUICE_DEBUG ?? '')
}

/** An empty variable counts as not set. */
export function isSet(env: Environment, name: string): boolean {
  // A name may be one that every object has, as `constructor`.
  return typeof env[name] === 'string' && env[name] !== ''
}

function setting(env: Environment, name: string): number | undefined {
  if (!isSet(env, name)) return undefined
  const value = Number(env[name])
  if (Number.isFinite(value) && value >= 0) return value
  throw new ConfigError([{ place: { path: name }, message: 'expected a number, 0 or more' }])
}
