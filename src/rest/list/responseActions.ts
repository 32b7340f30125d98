import { textAt } from '../../json/bytes.js'
import { functionError, shownResult } from '../../model/userFunction.js'
import type { ApiResponse } from '../api.js'
import { responseActions } from '../document/declaration/endpointKeys.js'
import type { ResponseActionModel, ResponseActionName, ResponseFunction } from '../document/model.js'

/** What the actions make of an answer. */
export interface Judgement {
  /** The first that an entry asks for; undefined: the answer is read as usual. */
  readonly action: ResponseActionName | undefined
  /** Key path of the entry that decided. */
  readonly path?: string | undefined
  /** The answer, with another body where a function gave one. */
  readonly response: ApiResponse
}

/** Asks the entries in order; the first action wins. Functions see each answer once. */
export async function judge(
  actions: readonly ResponseActionModel[],
  response: ApiResponse,
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

/** The action that the document declares for an answer, functions left out: what can be known before reading it. */
export function declaredAction(
  actions: readonly ResponseActionModel[],
  response: ApiResponse,
): ResponseActionName | undefined {
  for (const entry of actions) {
    if (typeof entry.action === 'string' && matches(entry, response)) return entry.action
  }
  return undefined
}

/** Whether an answer with an error status may be of use, so that it belongs into the journal. */
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
