import { type JsonObject, type JsonValue, setMember, setNumberLiteral, withMember } from '../../json/value.js'
import { canonicalJson, stringifyJson } from '../../json/write.js'
import { DataError, RequestError, shortened } from '../../model/errors.js'
import { nodeCrypto } from '../../model/runtime/nodeCrypto.js'
import { functionError, isPromise, unheard } from '../../model/userFunction.js'
import type { ApiRequest, RequestBody, RequestPatch } from '../api.js'
import type { EndpointModel, FieldTemplate, IncrementalModel, ValueTemplate } from '../document/model.js'
import { headerOf, isAbsoluteUrl, joinUrl, requestUrl, withParam } from '../http/wire.js'
import {
  type Conversion,
  elementScopes,
  evaluateJson,
  evaluatePath,
  evaluateText,
  type Resolved,
  type Scope,
  scalarText,
  templateExpressions,
  windowValue,
} from './placeholders.js'

/** The first request of a list, before its paginator changes it. Placeholders take their values from `scope`. */
export function firstRequest(
  baseUrl: string,
  endpoint: EndpointModel,
  incremental: IncrementalModel | undefined,
  scope: Scope,
): ApiRequest {
  const request: ApiRequest = {
    method: endpoint.method,
    url: joinUrl(baseUrl, evaluatePath(endpoint.url, scope, `${endpoint.path}.path`)),
    params: evaluateFields(endpoint.params, scope),
    headers: headers(endpoint, scope),
    body: body(endpoint, scope),
  }
  if (!isAbsoluteUrl(request.url) || !URL.canParse(request.url)) {
    throw new RequestError(
      'forbidden_url',
      `${scope.resource}: ${JSON.stringify(shortened(request.url, 200))} is not an http or https URL`,
      {
        resource: scope.resource,
      },
    )
  }
  return windowParams(request, incremental, scope)
}

/** `start_param` and `end_param`. They are left out while there is no value. */
function windowParams(request: ApiRequest, incremental: IncrementalModel | undefined, scope: Scope): ApiRequest {
  const { window } = scope
  if (incremental === undefined || window === undefined) return request
  const params: Record<string, string> = {}
  const values = [
    [incremental.startParam, 'lastValue'],
    [incremental.endParam, 'endValue'],
  ] as const
  for (const [name, key] of values) {
    if (name === undefined) continue
    const { value, literal } = windowValue(window, key, scope)
    if (value !== undefined && value !== null) params[name] = literal ?? scalarText(value)
  }
  return applyPatch(request, { params })
}

/** Names and values of a query or form. Null is left out. A list repeats the name. */
function evaluateFields(fields: readonly FieldTemplate[], scope: Scope): (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = []
  for (const { name, value, path } of fields) {
    const key = evaluateText(name, scope, path)
    if (key === undefined) continue
    for (const [item, itemScope] of value.kind === 'list' ? elements(value.items, scope) : [[value, scope] as const]) {
      const text = fieldText(item, itemScope, path)
      if (text !== undefined) pairs.push([key, text])
    }
  }
  return pairs
}

/**
 * The elements of a list, each with the scope of its placeholders. In a batch one element may produce several: a
 * placeholder produces the values, and an object with placeholders produces one object per record.
 */
function elements(items: readonly ValueTemplate[], scope: Scope): (readonly [ValueTemplate, Scope])[] {
  return items.flatMap(item => elementScopes(item, scope).map(one => [item, one] as const))
}

function fieldText(value: ValueTemplate, scope: Scope, path: string): string | undefined {
  if (value.kind === 'literal') return value.value === null ? undefined : (value.literal ?? String(value.value))
  if (value.kind === 'text') return evaluateText(value.template, scope, path)
  const composite = evaluateValue(value, scope, path)
  return composite === undefined || composite === null ? undefined : scalarText(composite)
}

/** A JSON value with its placeholders filled. Parts that need a missing incremental value are left out. */
function evaluateValue(value: ValueTemplate, scope: Scope, path: string): JsonValue | undefined {
  return evaluated(value, scope, path).value
}

function evaluated(value: ValueTemplate, scope: Scope, path: string): Resolved {
  switch (value.kind) {
    case 'literal':
      return value
    case 'text': {
      const found = evaluateJson(value.template, scope, path)
      const [only, more] = value.template
      const isCursor = more === undefined && typeof only === 'object' && only.expression.startsWith('incremental.')
      return found.value === undefined && isCursor ? { value: null } : found
    }
    case 'list': {
      const items: JsonValue[] = []
      for (const [item, itemScope] of elements(value.items, scope)) {
        const element = evaluated(item, itemScope, path)
        if (element.value === undefined) continue
        spell(items, items.length, element.literal)
        items.push(element.value)
      }
      return { value: items }
    }
    case 'object': {
      const object: Record<string, JsonValue> = {}
      for (const entry of value.entries) {
        const key = evaluateText(entry.key, scope, path)
        const member = evaluated(entry.value, scope, path)
        if (key === undefined || member.value === undefined) continue
        setMember(object, key, member.value)
        spell(object, key, member.literal)
      }
      return { value: object }
    }
  }
}

const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/** YAML allows numbers that JSON does not, such as `00123`. They are sent as the number they mean. */
function spell(container: object, key: string | number, literal: string | undefined): void {
  setNumberLiteral(container, key, literal !== undefined && jsonNumber.test(literal) ? literal : undefined)
}

/** What a name of a header is made of (RFC 9110). */
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/
/** Tabs and characters of Latin-1, but no others that control. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

function headerError(what: 'name' | 'value', text: string, { resource }: Scope, path: string): DataError {
  const has = what === 'name' ? 'ASCII letters, digits and hyphens' : 'characters of Latin-1, and no line breaks'
  return new DataError(
    'placeholder',
    `${path}: the ${what} ${JSON.stringify(shortened(text))} cannot stand in a header, which has ${has}; send it in \`params\`, or take another field`,
    { resource, path },
  )
}

function headers({ headers }: EndpointModel, scope: Scope): Record<string, string | null> {
  const evaluated: Record<string, string | null> = {}
  for (const { name, value, path } of headers) {
    const key = evaluateText(name, scope, path)
    const text = value === null ? null : evaluateText(value, scope, path)
    if (key === undefined || text === undefined) continue
    if (!HEADER_NAME.test(key)) throw headerError('name', key, scope, path)
    if (text !== null && !HEADER_VALUE.test(text)) throw headerError('value', text, scope, path)
    evaluated[key] = text
  }
  return evaluated
}

function body({ body }: EndpointModel, scope: Scope): RequestBody | undefined {
  switch (body?.kind) {
    case undefined:
      return undefined
    case 'json':
      return { kind: 'json', value: evaluateValue(body.value, scope, body.path) ?? null }
    case 'form':
      return { kind: 'form', pairs: evaluateFields(body.fields, scope) }
    case 'text': {
      const text = evaluateText(body.text, scope, body.path)
      if (text !== undefined) return { kind: 'text', text }
      const expression = templateExpressions(body.text).find(name => name.startsWith('incremental.')) ?? ''
      throw new DataError('placeholder', `${body.path}: there is no value for \`{${expression}}\` yet`, {
        resource: scope.resource,
        path: body.path,
      })
    }
  }
}

/** The request after a patch. The original is not changed. */
export function applyPatch(request: ApiRequest, patch: RequestPatch): ApiRequest {
  let next = request
  if (patch.url !== undefined) next = { ...next, url: resolveUrl(request, patch.url), params: [] }
  for (const [name, value] of Object.entries(patch.params ?? {})) {
    if (value !== undefined) next = setParam(next, name, value === null ? null : String(value))
  }
  for (const { path, value } of patch.body ?? []) next = { ...next, body: setInBody(next.body, path, value) }
  for (const [name, value] of Object.entries(patch.headers ?? {})) {
    if (value !== undefined) next = setHeader(next, name, value === null ? null : String(value))
  }
  return next
}

function setHeader(request: ApiRequest, name: string, value: string | null): ApiRequest {
  const key = name.toLowerCase()
  const others = Object.entries(request.headers).filter(([other]) => other.toLowerCase() !== key)
  const paging = [...new Set([...(request.paging ?? []), key])]
  return { ...request, headers: { ...Object.fromEntries(others), [name]: value }, paging }
}

function resolveUrl(request: ApiRequest, link: string): string {
  const base = requestUrl(request)
  if (!URL.canParse(link, base)) {
    throw new RequestError(
      'response_format',
      `the link to the next page, ${JSON.stringify(shortened(link, 200))}, is no URL`,
    )
  }
  return new URL(link, base).href
}

function setParam(request: ApiRequest, name: string, value: string | null): ApiRequest {
  const changed = withParam(request, name, value ?? '')
  const place = request.params.findIndex(([other]) => other === name)
  const params = request.params.filter(([other], index) => other !== name || (index === place && value !== null))
  if (value === null) return { ...changed, params }
  if (place < 0) return changed
  return { ...changed, params: params.map(pair => (pair[0] === name ? ([name, value] as const) : pair)) }
}

function setInBody(body: RequestBody | undefined, path: string, value: JsonValue): RequestBody {
  switch (body?.kind) {
    case 'form':
      return { kind: 'form', pairs: [...body.pairs.filter(([name]) => name !== path), [path, scalarText(value)]] }
    case 'text':
      throw new RequestError('response_format', `the body is text, so the paginator cannot write to "${path}" in it`)
    default:
      return { kind: 'json', value: setAt(body?.value ?? {}, path.split('.'), value, path) }
  }
}

function setAt(container: JsonValue, keys: readonly string[], value: JsonValue, path: string): JsonValue {
  const [key, ...rest] = keys
  if (key === undefined) return value
  if (typeof container !== 'object' || container === null || Array.isArray(container)) {
    throw new RequestError(
      'response_format',
      `the paginator cannot write to "${path}": there is no object to hold "${key}"`,
    )
  }
  const object = container as JsonObject
  const inner = Object.hasOwn(object, key) && object[key] !== null ? (object[key] as JsonValue) : {}
  return withMember(object, key, rest.length === 0 ? value : setAt(inner, rest, value, path))
}

/**
 * The key of a request within its list. Requests that ask for the same have equal keys. `without` lists query
 * parameters that are credentials and do not count.
 */
export function requestKey(request: ApiRequest, without: ReadonlySet<string> = new Set()): string {
  const url = new URL(requestUrl(request))
  url.hash = ''
  for (const name of without) url.searchParams.delete(name)
  const hash = nodeCrypto().createHash('sha256').update(`${request.method} ${url.href}`)
  const { body } = request
  if (body?.kind === 'json') hash.update(`\njson ${canonicalJson(body.value)}`)
  if (body?.kind === 'form') hash.update(`\nform ${JSON.stringify(body.pairs)}`)
  if (body?.kind === 'text') hash.update(`\ntext ${body.text}`)
  for (const name of [...(request.paging ?? [])].sort()) hash.update(`\n${name}: ${headerOf(request, name) ?? ''}`)
  return hash.digest('base64url').slice(0, 22)
}

/**
 * The document's `convert` or `param_format` for a cursor value. Undefined if there is none. Its result is sent: JSON, or a Date as ISO text.
 * Null leaves a parameter out. Any other result, and an exception, is a DataError `user_function` that names its place.
 */
export function conversionOf(incremental: IncrementalModel | undefined, resource: string): Conversion | undefined {
  const { convert, convertPath = 'convert', hint } = incremental ?? {}
  if (convert === undefined) return undefined
  return (value, isEnd) => {
    try {
      // Under `min` the window ends below where it starts.
      return sendable(convert(value, isEnd === (hint?.lastValueFunc !== 'min') ? 'upper' : 'lower'))
    } catch (error) {
      throw functionError(resource, convertPath, error)
    }
  }
}

function sendable(result: unknown): JsonValue {
  unheard(result)
  if (isPromise(result)) throw new TypeError('it must not be async')
  if (result === undefined) throw new TypeError('it returned nothing; return what is to be sent, null to leave it out')
  if (result instanceof Date) return result.toISOString()
  // Throws for values that are not data.
  if (typeof result === 'object' || typeof result === 'function') stringifyJson(result)
  return result as JsonValue
}
