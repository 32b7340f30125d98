import { JsonDocument, textAt } from '../../json/bytes.js'
import type { JsonValue } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import { RequestError } from '../../model/errors.js'
import type { ApiPage, ApiRequest, ApiResponse } from '../api.js'
import { jsonBody } from '../body/jsonBody.js'
import type { IncrementalModel } from '../document/model.js'
import type { OwnedResponse } from '../http/exchange.js'
import { describe, lacking, pageError } from '../paginators/paginator.js'
import { applyPatch, requestKey } from '../request/request.js'
import { answerPage, notJson, type Reading } from './answer/readAnswer.js'
import { nothing } from './answer/selector.js'
import { bodyExcerpt, type ListContext, type ListReader, listError, statusError } from './listReader.js'
import { openingRequest, sendRequest } from './listRequest.js'

/** The API no longer knows the sync token with which the list begins. */
export class TokenExpiredError extends Error {
  /** Records that came before the API said so. */
  readonly records: number

  constructor(status: number, records: number) {
    super(`the API no longer knows the sync token (${status})`)
    this.records = records
  }
}

/**
 * Asks for the first sync token. Only the token is journaled, so that a run that was interrupted goes on with one that is
 * older than the pages it has. `suffix` separates readings of the same list. `isNew`: the API gave the token to this run.
 */
export async function firstToken(
  reader: ListReader,
  context: ListContext,
  suffix: string,
): Promise<{ readonly token: JsonValue; readonly isNew: boolean }> {
  const { initial, isUrl } = reader.resource.incremental?.token ?? {}
  if (initial === undefined) throw new TypeError('the document does not say where the first token comes from')
  const tokenReader: ListReader = { ...reader, resource: { ...reader.resource, endpoint: initial.endpoint } }
  const { parent, signal, journal } = context
  const request = openingRequest(tokenReader, { ...context, window: undefined }, { parent })
  const answer = await sendRequest(tokenReader, context, request, {
    identity: `${requestKey(request, reader.secretParams)}~token${suffix}`,
    signal,
    journal,
    kept: response => tokenAlone(tokenReader, initial.tokenPath, request, response),
  })
  try {
    if (answer.status >= 300) throw statusError(tokenReader, request, answer)
    const document = new JsonDocument(answer.body)
    const page = answerPage(request, answer, nothing, document, () => bodyExcerpt(tokenReader, answer))
    const token = tokenIn(tokenReader, page, KEPT, {
      key: `${initial.endpoint.path}.token_path`,
      isUrl: isUrl === true,
    })
    return { token, isNew: !answer.fromJournal }
  } finally {
    answer.release()
  }
}

/** The place of the token in what is kept of an answer. */
const KEPT = 'token'

async function tokenAlone(
  reader: ListReader,
  path: string,
  request: ApiRequest,
  response: OwnedResponse,
): Promise<OwnedResponse> {
  if (response.status >= 300 || response.fromJournal || response.isRecorded === true) return response
  const { endpoint, incremental } = reader.resource
  const isUrl = incremental?.token?.isUrl === true
  try {
    const { text } = await jsonBody(response.body, response.headers, request.url)
    const document = new JsonDocument(text)
    const page = answerPage(request, response, nothing, document, () => bodyExcerpt(reader, response))
    const token = tokenIn(reader, page, path, { key: `${endpoint.path}.token_path`, isUrl })
    const body = Buffer.from(stringifyJson({ [KEPT]: token }))
    return { ...response, headers: { 'content-type': 'application/json' }, body }
  } catch (error) {
    throw notJson(reader, request, response, error)
  }
}

/** Whether an answer of a list that began with a token says that it is no longer known. */
export function isExpired(incremental: IncrementalModel | undefined, { status, body }: ApiResponse): boolean {
  const expired = incremental?.token?.expired
  if (expired === undefined) return false
  if (expired.status !== undefined && expired.status !== status) return false
  return expired.body === undefined || textAt(body, { start: 0, end: body.length }).includes(expired.body)
}

/** The first request of a run that goes on from a link. */
export function fromLink(reader: ListReader, { window }: ListContext, request: ApiRequest): ApiRequest | undefined {
  const link = window?.lastValue
  if (reader.resource.incremental?.token?.isUrl !== true || typeof link !== 'string') return undefined
  return inside(reader, applyPatch(request, { url: link }))
}

/** The token of the last answer of a list. An answer without a body has none. */
export function tokenOf(reader: ListReader, { page, document }: Reading): JsonValue | undefined {
  const { incremental } = reader.resource
  if (incremental?.token === undefined || document === undefined) return undefined
  const { isUrl } = incremental.token
  return tokenIn(reader, page, incremental.hint.cursorPath, { key: isUrl ? 'next_url_path' : 'token_path', isUrl })
}

/** The token at a path of an answer. A link is whole. */
function tokenIn(
  reader: ListReader,
  page: ApiPage,
  path: string,
  { key, isUrl }: { readonly key: string; readonly isUrl: boolean },
): JsonValue {
  const expected = isUrl ? 'a link for the next run' : 'a token for the next run'
  const value = page.first(path)
  if (value === undefined) throw located(reader, page.request, lacking(page, key, path, expected))
  const isToken = (typeof value === 'string' && value !== '') || (!isUrl && ['number', 'bigint'].includes(typeof value))
  if (!isToken) {
    const problem = `${key} "${path}" must give ${expected}, but is ${describe(value)}`
    throw located(reader, page.request, pageError(page, problem))
  }
  if (!isUrl) return value
  return inside(reader, applyPatch(page.request, { url: value as string })).url
}

/** A link holds the token, which goes to the configured origins only. */
function inside(reader: ListReader, request: ApiRequest): ApiRequest {
  if (URL.canParse(request.url) && reader.authOrigins.includes(new URL(request.url).origin)) return request
  const { name } = reader.resource
  const host = URL.canParse(request.url) ? new URL(request.url).host : 'no host'
  const message = `${name}: the link of \`next_url_path\` leads to ${host}, and its token goes only to the origin of base_url; if that is intended, add "${host}" to client.allowed_hosts`
  throw new RequestError('forbidden_url', message, { resource: name })
}

function located(reader: ListReader, request: ApiRequest, { message, status }: RequestError): RequestError {
  return listError(reader, 'response_format', message, { request, ...(status === undefined ? {} : { status }) })
}
