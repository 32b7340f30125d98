import { isJsonObject, type JsonValue, withMember } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import { percentEncoded } from '../../model/texts/percentEncoding.js'
import type { ApiRequest, RequestBody } from '../api.js'
import { decoded } from './redact.js'

/** Whether text is a complete URL rather than a path. */
export function isAbsoluteUrl(text: string): boolean {
  return /^https?:\/\//i.test(text)
}

/** Joins a path to the base URL with one slash. An absolute path, or one without a base URL, is used alone. */
export function joinUrl(baseUrl: string, path: string): string {
  if (isAbsoluteUrl(path) || baseUrl === '') return path
  return path === '' ? baseUrl : `${baseUrl.replace(/\/+$/, '')}/${path.replace(/^\/+/, '')}`
}

/**
 * Absolute URL with all query parameters. `params` come last, in order, encoded by RFC 3986: every server reads `%20` as a
 * space, but not every server reads `+` as one.
 */
export function requestUrl(request: ApiRequest): string {
  if (request.params.length === 0) return request.url
  const hash = request.url.indexOf('#')
  const url = hash < 0 ? request.url : request.url.slice(0, hash)
  const query = pairsText(request.params, percentEncoded)
  if (!url.includes('?')) return `${url}?${query}`
  return url.endsWith('?') || url.endsWith('&') ? url + query : `${url}&${query}`
}

function pairsText(pairs: readonly (readonly [string, string])[], encode: (text: string) => string): string {
  return pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')
}

/** Encoded as in forms (`application/x-www-form-urlencoded`): a space is `+`. */
function formEncoded(text: string): string {
  return percentEncoded(text).replaceAll('%20', '+')
}

/** Text of the body, and its content type unless the request sets one. */
export function wireBody(body: RequestBody): { readonly text: string; readonly contentType: string | undefined } {
  switch (body.kind) {
    case 'json':
      return { text: stringifyJson(body.value), contentType: 'application/json' }
    case 'form':
      return {
        text: pairsText(body.pairs, formEncoded),
        contentType: 'application/x-www-form-urlencoded',
      }
    case 'text':
      return { text: body.text, contentType: undefined }
  }
}

/** Codings that `readBody` of `responseBody.ts` can decode, as sent in `accept-encoding`. */
const ACCEPTED_ENCODINGS = 'gzip, deflate, br'

/** Headers by lower-case name: the client's, then the body's type, then the request's. Later ones win. */
export function wireHeaders(
  request: ApiRequest,
  contentType: string | undefined,
  userAgent: string,
): Record<string, string> {
  const headers: Record<string, string> = {
    accept: '*/*',
    'accept-encoding': ACCEPTED_ENCODINGS,
    'user-agent': userAgent,
  }
  if (contentType !== undefined) headers['content-type'] = contentType
  for (const [name, value] of Object.entries(request.headers)) {
    if (value === null) delete headers[name.toLowerCase()]
    else headers[name.toLowerCase()] = value
  }
  return headers
}

/** A copy of the request with this header. It replaces headers with the same name in another case. */
export function withHeader(request: ApiRequest, name: string, value: string): ApiRequest {
  const others = Object.entries(request.headers).filter(([other]) => other.toLowerCase() !== name.toLowerCase())
  return { ...request, headers: { ...Object.fromEntries(others), [name]: value } }
}

/** The value of a header, whatever the case of its name. */
export function headerOf(request: ApiRequest, name: string): string | undefined {
  for (const [other, value] of Object.entries(request.headers)) {
    if (other.toLowerCase() === name.toLowerCase()) return value ?? undefined
  }
  return undefined
}

/** A copy of the request with this query parameter once, at the end, even if its URL already had it. */
export function withParam(request: ApiRequest, name: string, value: string): ApiRequest {
  return {
    ...request,
    url: withoutParam(request.url, name),
    params: [...request.params.filter(([other]) => other !== name), [name, value]],
  }
}

/** A copy of the request with this text in its body: under these keys of JSON, or as a field of a form. Without a body, the same request. */
export function withBodyMember(request: ApiRequest, keys: readonly string[], text: string): ApiRequest {
  const { body } = request
  if (body?.kind === 'json') return { ...request, body: { kind: 'json', value: withText(body.value, keys, text) } }
  if (body?.kind !== 'form') return request
  return { ...request, body: { kind: 'form', pairs: [...body.pairs, [keys.join('.'), text]] } }
}

function withText(value: JsonValue, [key, ...rest]: readonly string[], text: string): JsonValue {
  if (key === undefined) return text
  const object = isJsonObject(value) ? value : {}
  const inner = Object.hasOwn(object, key) ? (object[key] ?? null) : null
  return withMember(object, key, withText(inner, rest, text))
}

function withoutParam(url: string, name: string): string {
  const start = url.indexOf('?')
  if (start < 0) return url
  const end = url.indexOf('#', start)
  const pairs = url.slice(start + 1, end < 0 ? undefined : end).split('&')
  const kept = pairs.filter(pair => decodedName(pair) !== name)
  if (kept.length === pairs.length) return url
  const query = kept.length === 0 ? '' : `?${kept.join('&')}`
  return url.slice(0, start) + query + (end < 0 ? '' : url.slice(end))
}

function decodedName(pair: string): string {
  return decoded((pair.split('=', 1)[0] ?? '').replaceAll('+', ' '))
}

/** Whether the headers say where the body ends, so that the connection's end is not needed. */
export function tellsEnd(headers: Readonly<Record<string, string>>): boolean {
  return headers['content-length'] !== undefined || /(?:^|,)\s*chunked\s*$/i.test(headers['transfer-encoding'] ?? '')
}
