import { DataError } from '../core/errors.js'
import { JsonDocument, valueAt } from '../core/jsonBytes.js'
import type { JsonPath } from '../core/path.js'
import type { ExtractContext } from '../core/source.js'
import { answerPage } from './answerPage.js'
import { jsonBody } from './body.js'
import { bodyExcerpt, type ListReader, listError, statusError } from './listReader.js'
import { declaredAction, judge } from './responseActions.js'
import { describeBody, detectSelector, nothing, type Selection, select } from './selector.js'
import type { ApiPage, ApiRequest, ApiResponse } from './types.js'

/** An answer that was read. */
export interface Reading {
  readonly response: ApiResponse
  /** The answer as paginators see it. */
  readonly page: ApiPage
  readonly selection: Selection
  /** Undefined where there was no body, or it was not looked into. */
  readonly document: JsonDocument | undefined
  readonly flow: Flow
}

/** How the list goes on after an answer. */
export type Flow =
  /** As the paginator says. */
  | { readonly kind: 'continue' }
  /** With the request that would follow a full page. */
  | { readonly kind: 'skip' }
  /** Not at all; the page is kept, or left out. `reason` is absent where the answer had no content. */
  | { readonly kind: 'end'; readonly keep: boolean; readonly reason?: string }

/** How one list is read: what changes from page to page. */
export interface ReadingState {
  selector: JsonPath | undefined
  /** Reports a guess, once a run. */
  readonly report: (what: 'paginator' | 'data_selector', guess: string, why: string) => void
  /** Asks again; `attempt` counts from 1. */
  readonly again: (request: ApiRequest, attempt: number) => Promise<ApiResponse>
}

/** Applies response actions, checks the status, decodes the body and selects the records. `number` is 1-based. */
export async function readAnswer(
  reader: ListReader,
  context: ExtractContext,
  state: ReadingState,
  request: ApiRequest,
  answer: ApiResponse,
  number: number,
): Promise<Reading> {
  const { response, action, path = '' } = await judged(reader, context, state, request, answer)
  const ignored = `an answer ${response.status} was ignored (${path})`
  switch (action) {
    case 'ignore':
      return dropped(reader, context, request, response, { kind: 'end', keep: false, reason: ignored })
    case 'skip_page':
      return dropped(reader, context, request, response, { kind: 'skip' })
    case 'empty':
      return dropped(reader, context, request, response, { kind: 'continue' })
    case 'fail':
      throw statusError(reader, request, response, `${path} makes it an error`)
    case 'retry':
      throw statusError(reader, request, response, `asking again, as ${path} says, did not help`)
    default:
  }
  // What is left of 3xx has no page: nothing was asked conditionally, and redirects were followed.
  if (response.status >= 300) throw statusError(reader, request, response)
  // An empty body under any other status may be a list that was lost on the way.
  if (response.status === 204 || response.status === 205) {
    const page = answerPage(request, response, 0, undefined, () => 'nothing')
    return { response, page, selection: nothing, document: undefined, flow: { kind: 'end', keep: true } }
  }
  const document = await parsed(reader, request, response)
  const selection = guarded(reader, request, response, () => selected(reader, state, document, response, number))
  const page = answerPage(request, response, selection.count, document, () => bodyExcerpt(reader, response))
  const flow: Flow =
    action === 'stop' ? { kind: 'end', keep: true, reason: `${path} ended the list` } : { kind: 'continue' }
  return { response, page, selection, document, flow }
}

/** Declared retries are the client's business; functions see an answer only now. */
async function judged(
  reader: ListReader,
  { clock, emit, signal }: ExtractContext,
  state: ReadingState,
  request: ApiRequest,
  answer: ApiResponse,
) {
  const { endpoint, name } = reader.resource
  const { responseActions, retry } = endpoint
  let judgement = await judge(responseActions, answer, name)
  for (let attempt = 1; judgement.action === 'retry' && attempt < retry.attempts; attempt++) {
    if (declaredAction(responseActions, judgement.response) === 'retry') break
    const delayMs = Math.min(retry.baseMs * retry.factor ** (attempt - 1), retry.maxDelayMs)
    emit({ type: 'retry', resource: name, url: answer.url, reason: 'a response action', attempt, delayMs })
    await clock.sleep(delayMs, signal)
    judgement = await judge(responseActions, await state.again(request, attempt), name)
  }
  return judgement
}

function dropped(
  reader: ListReader,
  { emit }: ExtractContext,
  request: ApiRequest,
  response: ApiResponse,
  flow: Flow,
): Reading {
  const resource = reader.resource.name
  const message = `${resource}: the answer ${response.status} of ${response.url} was ignored, as a response action says`
  emit({ type: 'warning', code: 'ignored_response', resource, message })
  const page = answerPage(request, response, 0, undefined, () => bodyExcerpt(reader, response))
  return { response, page, selection: nothing, document: undefined, flow }
}

async function parsed(reader: ListReader, request: ApiRequest, response: ApiResponse): Promise<JsonDocument> {
  try {
    return new JsonDocument(await jsonBody(response.body, response.headers, request.url))
  } catch (error) {
    throw notJson(reader, request, response, error)
  }
}

/** Damage in a body may be noticed only when it is looked into. */
function guarded<Result>(reader: ListReader, request: ApiRequest, response: ApiResponse, look: () => Result): Result {
  try {
    return look()
  } catch (error) {
    throw notJson(reader, request, response, error)
  }
}

/** The error for a body that is not what it should be; errors of other kinds come back as they are. */
export function notJson(reader: ListReader, request: ApiRequest, response: ApiResponse, error: unknown): unknown {
  if (!(error instanceof SyntaxError)) return error
  const type = response.headers['content-type']?.split(';')[0]
  const named = type === undefined ? '' : ` although its type is ${type}`
  const problem = /json/i.test(type ?? 'json')
    ? `the answer is not JSON${named}: ${error.message}`
    : `the answer is not JSON but ${type}: ${error.message}`
  const begins = bodyExcerpt(reader, response)
  return listError(reader, 'response_format', `${problem}; it begins ${begins}`, { request, status: response.status })
}

function selected(
  reader: ListReader,
  state: ReadingState,
  document: JsonDocument,
  response: ApiResponse,
  number: number,
): Selection {
  if (state.selector === undefined) {
    const { path, why, sticks } = detectSelector(document)
    state.report('data_selector', path.text, why)
    if (sticks) state.selector = path
    return select(document, path) ?? nothing
  }
  const selection = select(document, state.selector)
  if (selection !== undefined) return selection
  const { endpoint, name } = reader.resource
  if (number > 1 || !endpoint.dataSelectorRequired || endpoint.dataSelector === undefined) return nothing
  if (state.selector.choosesFrom(valueAt(document.bytes, document.root))) return nothing
  const path = `${endpoint.path}.data_selector`
  const body = reader.scrubber.text(describeBody(document, endpoint.dataSelector))
  const text = JSON.stringify(endpoint.dataSelector)
  const message = `${path}: ${text} matches nothing in the first answer of ${response.url}: ${body}`
  throw new DataError('selector', message, { resource: name, path })
}
