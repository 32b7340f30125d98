import { textAt } from '../../json/bytes.js'
import { functionError, shownResult } from '../../model/userFunction.js'
import type { ApiRequest, ApiResponse } from '../api.js'
import { responseActions } from '../document/declaration/endpointKeys.js'
import type { ResponseActionModel, ResponseActionName, ResponseFunction } from '../document/model.js'
import type { OwnedResponse } from '../http/exchange.js'
import { repeated } from '../http/retry.js'
import type { ListContext, ListReader } from './listReader.js'

/** What the response actions decide about an answer. */
export interface Judgement {
  /** The first action that an entry gives. Undefined: the answer is read as usual. */
  readonly action: ResponseActionName | undefined
  /** Key path of the entry that decided. */
  readonly path?: string | undefined
  /** The answer, with a new body if a function returned one. */
  readonly response: OwnedResponse
}

/**
 * Applies the response actions to an answer. If a function asks for a retry, also to the answers after it. The client
 * has already done the declared retries. Functions see an answer only when its turn comes.
 */
export async function judged(
  { resource: { endpoint, name } }: ListReader,
  context: ListContext,
  { method }: ApiRequest,
  answer: OwnedResponse,
  {
    again,
    deadline,
  }: {
    /** Sends the request again. `attempt` counts from 1. */
    readonly again: (attempt: number) => Promise<OwnedResponse>
    readonly deadline: number | undefined
  },
): Promise<Judgement> {
  const { responseActions, retry } = endpoint
  const ask = async (attempt: number): Promise<Judgement> =>
    judge(responseActions, attempt === 1 ? answer : await again(attempt - 1), name)
  const { result } = await repeated(
    ask,
    ({ action, response }) => {
      if (action !== 'retry' || declaredAction(responseActions, response) === 'retry') return undefined
      const { url, status, headers } = response
      return { reason: 'a response action', method, url, status, headers }
    },
    { ...context, resource: name, policy: retry, deadline },
  )
  return result
}

/** Tries the entries in order. The first action wins. Functions see each answer once. */
async function judge(
  actions: readonly ResponseActionModel[],
  response: OwnedResponse,
  resource: string,
): Promise<Judgement> {
  let current = response
  for (const entry of actions) {
    if (!matches(entry, current)) continue
    const { action, path } = entry
    if (typeof action === 'string') return { action, path, response: current }
    for (const step of action) {
      const result = await call(step, current, resource, path)
      if (typeof result === 'string') return { action: result, path, response: current }
      if (result !== undefined) current = { ...current, body: Buffer.from(result.body) }
    }
  }
  return { action: undefined, response: current }
}

/** The action that the document declares for an answer, without functions: all that is known before reading it. */
export function declaredAction(
  actions: readonly ResponseActionModel[],
  response: ApiResponse,
): ResponseActionName | undefined {
  for (const entry of actions) {
    if (typeof entry.action === 'string' && matches(entry, response)) return entry.action
  }
  return undefined
}

/** Whether an answer with an error status may be used, so that it must be in the journal. */
export function mayUse(actions: readonly ResponseActionModel[], response: ApiResponse): boolean {
  return actions.some(
    ({ action, ...entry }) => matches({ ...entry, action }, response) && action !== 'retry' && action !== 'fail',
  )
}

function matches(entry: ResponseActionModel, response: ApiResponse): boolean {
  const { statuses, content } = entry
  if (statuses !== undefined && !statuses.some(([from, to]) => response.status >= from && response.status <= to)) {
    return false
  }
  return content === undefined || bodyText(response).includes(content)
}

async function call(step: ResponseFunction, response: ApiResponse, resource: string, path: string) {
  try {
    const { status, headers, url } = response
    return answerOf(await step({ status, headers, url, text: bodyText(response) }))
  } catch (error) {
    throw functionError(resource, path, error)
  }
}

function answerOf(result: unknown): ResponseActionName | { readonly body: string } | undefined {
  if (result === undefined || result === null) return undefined
  const action = responseActions.find(name => name === result)
  if (action !== undefined) return action
  if (typeof result === 'object' && typeof (result as { body?: unknown }).body === 'string') {
    return result as { readonly body: string }
  }
  const known = responseActions.map(name => `'${name}'`).join(', ')
  throw new TypeError(
    `it returned ${shownResult(result)}, expected one of ${known}, an object with a text as \`body\`, or nothing`,
  )
}

const texts = new WeakMap<Uint8Array, string>()

function bodyText({ body }: ApiResponse): string {
  let text = texts.get(body)
  if (text === undefined) {
    text = textAt(body, { start: 0, end: body.length })
    texts.set(body, text)
  }
  return text
}
