import { JsonDocument, textAt } from '../../json/bytes.js'
import { compiledPath } from '../../json/path.js'
import type { JsonValue } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import { toldTime } from '../../model/runtime/backoff.js'
import type { AnswerCondition, ApiResponse, RetryPolicy, WaitFrom } from '../api.js'

/** Whether an answer meets a condition. */
export function meets({ statuses, content, value }: AnswerCondition, response: ApiResponse): boolean {
  const { status } = response
  if (statuses !== undefined && !statuses.some(([from, to]) => status >= from && status <= to)) return false
  if (content !== undefined && !bodyText(response).includes(content)) return false
  if (value === undefined) return true
  const found = valuesAt(response, value.path)
  if (found === undefined) return false
  if ('exists' in value) return found.some(one => one !== null) === value.exists
  return found.some(one => value.in.some(wanted => isSame(one, wanted)))
}

/** A condition in words, as in `status 404` or `error.code is "busy" or 7`. */
export function conditionText({ statuses, content, value }: AnswerCondition): string {
  const status = statuses?.map(([from, to]) => (from === to ? String(from) : `${from} to ${to}`)).join(' or ')
  return [
    ...(status === undefined ? [] : [`status ${status}`]),
    ...(content === undefined ? [] : [`${JSON.stringify(content)} in the body`]),
    ...(value === undefined ? [] : [`${value.path} ${wantedText(value)}`]),
  ].join(' and ')
}

function wantedText(value: NonNullable<AnswerCondition['value']>): string {
  if ('exists' in value) return value.exists ? 'is there' : 'is not there'
  return `is ${value.in.map(stringifyJson).join(' or ')}`
}

/** Where an answer says how long to wait, in words. */
export function waitText({ in: place, at, unit }: WaitFrom): string {
  return `${place === 'header' ? 'the header' : 'the body at'} ${at} (${unit})`
}

/** Numbers and texts are the same if they are spelled alike: APIs write codes either way. */
function isSame(found: JsonValue, wanted: JsonValue): boolean {
  if (found === null || wanted === null || typeof found === 'object') return found === wanted
  return String(found) === String(wanted)
}

/** The key of a policy that retries an answer for what its body says. Undefined: none does. */
export function retriedFor(response: ApiResponse, { bodyContains, when }: RetryPolicy): string | undefined {
  const { body, status } = response
  if (bodyContains !== undefined && status < 400) {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
    if (bodyContains.some(text => bytes.includes(text))) return 'retry.body_contains'
  }
  return when?.some(condition => meets(condition, response)) === true ? 'retry.when' : undefined
}

/** Milliseconds that an answer asks to wait. Undefined if it asks for no wait, or the value cannot be read. */
export function waitAskedMs(from: WaitFrom | undefined, response: ApiResponse, now: number): number | undefined {
  if (from === undefined) return undefined
  const value = from.in === 'header' ? response.headers[from.at] : valuesAt(response, from.at)?.[0]
  if (value === undefined || value === null || typeof value === 'object') return undefined
  const text = String(value).trim()
  const ms =
    from.unit === 'date' ? (toldTime(text, response.headers, now) ?? Number.NaN) - now : amount(text, from.unit)
  return ms > 0 ? Math.ceil(ms) : undefined
}

function amount(text: string, unit: 'seconds' | 'milliseconds'): number {
  return /^\d+(?:\.\d+)?(?:e\+?\d+)?$/i.test(text) ? Number(text) * (unit === 'seconds' ? 1000 : 1) : Number.NaN
}

/** The paths that a text holds as `{path}`. */
export function pathsIn(text: string): string[] {
  return [...text.matchAll(PLACE)].map(match => match[1] ?? '')
}

const PLACE = /\{([^{}]+)\}/g

const MOST_TEXT = 300

/** A text with values of the body in place of `{path}`, each on one line and shortened. */
export function withValues(text: string, response: ApiResponse): string {
  return text.replace(PLACE, (_whole, path: string) => {
    const [value] = valuesAt(response, path) ?? []
    if (value === undefined || value === null) return `(nothing at ${path})`
    const shown = (typeof value === 'string' ? value : stringifyJson(value)).replace(/[\s\p{Cc}]+/gu, ' ').trim()
    return shown.length > MOST_TEXT ? `${shown.slice(0, MOST_TEXT)}…` : shown
  })
}

/** The text with something else in every such place. */
export function withoutValues(text: string, instead: string): string {
  return text.replace(PLACE, () => instead)
}

/** What a path matches in a body. Undefined if the body is not JSON. */
export function valuesAt(response: ApiResponse, path: string): readonly JsonValue[] | undefined {
  const document = documentOf(response)
  if (document === undefined) return undefined
  try {
    const compiled = compiledPath(path)
    const spans = document.locate(compiled)
    if (spans !== undefined) return spans.map(span => document.value(span))
    return compiled.matches(document.value(document.root))
  } catch (error) {
    // Damage that shows only here. Whoever reads the answer says so.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

const documents = new WeakMap<Uint8Array, JsonDocument | 'not JSON'>()

function documentOf({ body }: ApiResponse): JsonDocument | undefined {
  let document = documents.get(body)
  if (document === undefined) {
    document = parsed(body) ?? 'not JSON'
    documents.set(body, document)
  }
  return document === 'not JSON' ? undefined : document
}

function parsed(body: Uint8Array): JsonDocument | undefined {
  if (body.length === 0) return undefined
  try {
    return new JsonDocument(body)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

const texts = new WeakMap<Uint8Array, string>()

/** A body as text. */
export function bodyText({ body }: ApiResponse): string {
  let text = texts.get(body)
  if (text === undefined) {
    text = textAt(body, { start: 0, end: body.length })
    texts.set(body, text)
  }
  return text
}
