import { functionError, shownResult } from '../../../model/userFunction.js'
import type { ApiRequest, ApiResponse, RetryPolicy } from '../../api.js'
import { functionActions } from '../../document/declaration/responseKeys.js'
import type { FunctionAction, ResponseActionModel, ResponseActionName, ResponseFunction } from '../../document/model.js'
import { bodyText, meets, retriedFor } from '../../http/answerCondition.js'
import type { OwnedResponse } from '../../http/exchange.js'
import { repeated } from '../../http/retry.js'
import type { ListContext, ListReader } from '../listReader.js'

/** What the response actions decide about an answer. */
export interface AnswerJudgement {
  /** The first action that an entry gives. Undefined: the answer is read as usual. */
  readonly action: ResponseActionName | undefined
  /** The entry that decided. */
  readonly entry?: ResponseActionModel | undefined
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
): Promise<AnswerJudgement> {
  const { responseActions, retry } = endpoint
  const ask = async (attempt: number): Promise<AnswerJudgement> =>
    judge(responseActions, attempt === 1 ? answer : await again(attempt - 1), name)
  const { result } = await repeated(
    ask,
    ({ action, response }) => {
      if (action !== 'retry' || declaredEntry(responseActions, response)?.action === 'retry') return undefined
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
): Promise<AnswerJudgement> {
  let current = response
  for (const entry of actions) {
    if (!meets(entry, current)) continue
    const { action, path } = entry
    if (typeof action === 'string') return { action, entry, response: current }
    for (const step of action) {
      const result = await call(step, current, resource, path)
      if (typeof result === 'string') return { action: result, entry, response: current }
      if (result !== undefined) current = { ...current, body: Buffer.from(result.body) }
    }
  }
  return { action: undefined, response: current }
}

/** The entry by which the document declares an action for an answer, without functions: all that is known before reading it. */
export function declaredEntry(
  actions: readonly ResponseActionModel[],
  response: ApiResponse,
): ResponseActionModel | undefined {
  return actions.find(entry => typeof entry.action === 'string' && meets(entry, response))
}

/**
 * Whether an answer may be used, so that it must be in the journal. An answer that fails the run is not: the next run
 * asks again.
 */
export function isRecordable(
  actions: readonly ResponseActionModel[],
  retry: RetryPolicy,
  response: ApiResponse,
): boolean {
  const entry = actions.find(one => meets(one, response))
  if (entry === undefined) return response.status < 300 && retriedFor(response, retry) === undefined
  return typeof entry.action !== 'string' || !REFUSING.has(entry.action)
}

/** Actions after which an answer that is still the same fails the run. */
const REFUSING: ReadonlySet<ResponseActionName> = new Set(['retry', 'fail', 'refresh_auth'])

async function call(step: ResponseFunction, response: ApiResponse, resource: string, path: string) {
  try {
    const { status, headers, url } = response
    return answerOf(await step({ status, headers, url, text: bodyText(response) }))
  } catch (error) {
    throw functionError(resource, path, error)
  }
}

function answerOf(result: unknown): FunctionAction | { readonly body: string } | undefined {
  if (result === undefined || result === null) return undefined
  const action = functionActions.find(name => name === result)
  if (action !== undefined) return action
  if (typeof result === 'object' && typeof (result as { body?: unknown }).body === 'string') {
    return result as { readonly body: string }
  }
  const known = functionActions.map(name => `'${name}'`).join(', ')
  throw new TypeError(
    `it returned ${shownResult(result)}, expected one of ${known}, an object with a text as \`body\`, or nothing`,
  )
}
