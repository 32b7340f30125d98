import { STATUS_CODES } from 'node:http'
import type { JsonPath } from '../../json/path.js'
import { RequestError } from '../../model/errors.js'
import type { Scrubber } from '../../model/secrets/scrubber.js'
import type { ExtractContext, ResourceNotes } from '../../model/source.js'
import type { ApiRequest, ApiResponse, KindAuthenticator, Paginator } from '../api.js'
import type { EndpointResource } from '../document/model.js'
import { withoutValues, withValues } from '../http/answerCondition.js'
import type { Client } from '../http/client.js'
import { redactUrl } from '../http/redact.js'
import { requestUrl } from '../http/wire.js'
import type { RecordMask } from '../mask/recordMask.js'
import { excerpt } from './answer/selector.js'
import { tellOnce } from './tellOnce.js'

/** A resource with everything needed to read its lists. All its lists share it. */
export interface ListReader extends ListOutline {
  readonly client: Client
  readonly changes?: ListReader | undefined
}

/** What is known of it before anything is sent. */
export interface ListOutline {
  readonly resource: EndpointResource
  readonly baseUrl: string
  readonly scrubber: Scrubber
  readonly auth?: KindAuthenticator | undefined
  /** Where the credentials of its requests were found, in words. */
  readonly credentialPlaces: readonly string[]
  /** Origins that may receive credentials. */
  readonly authOrigins: readonly string[]
  /** Undefined: detected anew for each list. */
  readonly paginator?: Paginator | undefined
  /** Undefined: detected anew for each list. */
  readonly selector?: JsonPath | undefined
  /** Query parameters that are credentials. They are not part of a request's identity. */
  readonly secretParams: ReadonlySet<string>
  /** Undefined: answers stay as they are. */
  readonly mask?: RecordMask | undefined
  /** Separates requests for lists inside the records from those for the records. */
  readonly part?: string | undefined
  /** Reads what changed since a sync token. Undefined: the list itself tells it. */
  readonly changes?: ListOutline | undefined
}

/** What one list is read for, and with what. */
export interface ListContext extends ExtractContext {
  readonly notes: ResourceNotes
  /** The sync token was given a moment ago, so that no answer means that it expired. */
  readonly isTokenNew?: boolean | undefined
}

/** Announces a guess once in a run. */
export function tellGuess(
  { resource }: ListReader,
  context: ListContext,
  about: { readonly what: 'paginator' | 'data_selector'; readonly guess: string; readonly why: string },
): void {
  tellOnce(context, `${about.what} ${about.guess}`, { type: 'detected', resource: resource.name, ...about })
}

/** A RequestError that names resource, method and redacted URL. `earlier` adds those of the request before. */
export function listError(
  reader: ListReader,
  code: 'http_status' | 'response_format' | 'pagination_loop',
  problem: string,
  {
    request,
    earlier,
    status,
    cause,
  }: {
    readonly request: ApiRequest
    readonly earlier?: ApiRequest
    readonly status?: number
    readonly cause?: unknown
  },
): RequestError {
  const resource = reader.resource.name
  const { method } = request
  const url = redactUrl(requestUrl(request), reader.scrubber)
  const text = reader.scrubber.text(problem)
  const before =
    earlier === undefined ? '' : ` after ${earlier.method} ${redactUrl(requestUrl(earlier), reader.scrubber)}`
  return new RequestError(code, `${resource}: ${text} (${method} ${url}${before})`, {
    resource,
    method,
    url,
    status,
    cause,
  })
}

/**
 * The error for an answer with an error status, or one that a response action rejects. `attempts`: the answer was given
 * up after these, and is in no journal.
 */
export function statusError(
  reader: ListReader,
  request: ApiRequest,
  response: ApiResponse,
  refusal?: string,
  attempts?: number,
): RequestError {
  const { status, url } = response
  const resource = reader.resource.name
  const { method } = request
  const name = STATUS_CODES[status]
  const body = response.body.length === 0 ? nothingOf(reader) : bodyExcerpt(reader, response)
  const advice = refusal ?? statusAdvice(status, reader)
  const message = `${resource}: ${method} ${url} was answered ${status}${name === undefined ? '' : ` ${name}`}, ${body}; ${advice}`
  return new RequestError('http_status', message, { resource, method, url, status, attempts })
}

/** The error for an answer that the document rejects in its own words. */
export function declaredError(
  reader: ListReader,
  request: ApiRequest,
  response: ApiResponse,
  words: string,
  path: string,
  attempts: number | undefined,
): RequestError {
  const { status, url } = response
  const { method } = request
  const resource = reader.resource.name
  // A value of the answer may be somebody's.
  const text = reader.scrubber.text(
    reader.mask === undefined ? withValues(words, response) : withoutValues(words, '(not shown because of `mask`)'),
  )
  const message = `${resource}: ${text} (${path}; ${method} ${url} was answered ${status})`
  return new RequestError('http_status', message, { resource, method, url, status, attempts })
}

/** What is there of an answer that has no bytes: a mask leaves none of a text that is not JSON. */
function nothingOf({ mask }: ListReader): string {
  return mask === undefined ? 'without a body' : 'without a body, or with one that is not shown because of `mask`'
}

/** The beginning of a body, quoted, with secrets removed. */
export function bodyExcerpt(reader: ListReader, { body }: ApiResponse): string {
  // A message about somebody may name them anywhere.
  if (reader.mask !== undefined) return 'with a text that is not shown because of `mask`'
  return reader.scrubber.text(excerpt(body))
}

/** The one thing to do. Names the secrets that were sent, and where they were found. */
export function statusAdvice(
  status: number,
  { auth, credentialPlaces }: Pick<ListOutline, 'auth' | 'credentialPlaces'>,
): string {
  const isSigned = auth !== undefined || credentialPlaces.length > 0
  const places = credentialPlaces.join(', and ')
  switch (status) {
    case 400:
    case 422:
      return 'check the parameters and the body of the request'
    case 401:
      return isSigned
        ? `the API does not accept the credentials: check ${places === '' ? 'the secret' : `the secret (${places})`} and the \`auth\` block`
        : 'the API wants credentials: add `auth`'
    case 403:
      return isSigned
        ? `the API knows the credentials${places === '' ? '' : ` (${places})`}, but they lack the right for this: check their scopes`
        : 'the API wants credentials: add `auth`'
    case 404:
    case 410:
      return 'check `base_url` and `path`; where an answer may be missing, add a response action `ignore` for this status'
    case 405:
      return 'check `method`'
    case 429:
      return 'the API limits requests: lower `concurrency`, set `rate_limit`, or try later'
    default:
      return status >= 500 ? 'the API has a problem: try later' : 'see the documentation of the API'
  }
}
