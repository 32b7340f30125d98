import { textAt } from '../../json/bytes.js'
import type { JsonValue } from '../../json/value.js'
import { RequestError } from '../../model/errors.js'
import type { ApiRequest, ApiResponse } from '../api.js'
import type { IncrementalModel } from '../document/model.js'
import { describe, lacking, pageError } from '../paginators/paginator.js'
import { applyPatch } from '../request/request.js'
import type { Reading } from './answer/readAnswer.js'
import { type ListContext, type ListReader, listError } from './listReader.js'

/** The API no longer knows the sync token with which the list begins. */
export class TokenExpiredError extends Error {
  /** Records that came before the API said so. */
  readonly records: number

  constructor(status: number, records: number) {
    super(`the API no longer knows the sync token (${status})`)
    this.records = records
  }
}

/** Whether this run goes on from a sync token. */
export function hasToken({ resource }: ListReader, { window }: ListContext): boolean {
  return resource.incremental?.token !== undefined && window?.lastValue != null
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
  const path = incremental.hint.cursorPath
  const { isUrl } = incremental.token
  const key = isUrl ? 'next_url_path' : 'token_path'
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
