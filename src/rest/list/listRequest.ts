import type { JsonObject } from '../../json/value.js'
import type { ResponseJournal } from '../../model/responses.js'
import type { ApiRequest, ApiResponse } from '../api.js'
import { mayHaveRows, rowCutter } from '../body/rowCutter.js'
import type { EndpointResource } from '../document/model.js'
import type { BodyOfRows, OwnedResponse } from '../http/exchange.js'
import { costPauseUntil, isCostRefusal } from '../http/queryCost.js'
import type { Scope } from '../request/placeholders.js'
import { conversionOf, firstRequest } from '../request/request.js'
import { maskAnswer, neededHeaders } from './answer/maskAnswer.js'
import { declaredEntry, isRecordable } from './answer/responseActions.js'
import type { ListContext, ListReader } from './listReader.js'

/** For whom a list is asked: one record of the parent, a batch of them, or nobody. */
export type AskedFor = Pick<Scope, 'parent' | 'batch'>

/** The first request of a list, before its paginator changes it. */
export function openingRequest(reader: ListReader, { window }: ListContext, of: AskedFor): ApiRequest {
  const { resource, baseUrl } = reader
  const { endpoint, incremental, name } = resource
  return firstRequest(baseUrl, endpoint, incremental, {
    resource: name,
    window,
    convert: conversionOf(incremental, name),
    onNull: endpoint.onNull,
    ...of,
  })
}

/** For a batch: the records that its request is for. */
export function batchOf({ resource }: ListReader, parents: readonly JsonObject[]): AskedFor {
  return { batch: { parents, separator: resource.endpoint.batch?.separator ?? ',' } }
}

export interface Sending {
  readonly identity: string
  readonly signal: AbortSignal
  readonly journal: ResponseJournal
  readonly deadline?: number | undefined
  /** The answer tells of an export job, and has no records. */
  readonly isAboutJob?: boolean | undefined
  /** What is journaled and read of an answer, in place of the masked one. */
  readonly kept?: ((response: OwnedResponse) => Promise<OwnedResponse>) | undefined
  /** A long body of rows may come in parts. */
  readonly mayBeCut?: boolean | undefined
  /** Whether an answer may be read although its status says no. */
  readonly isExpected?: ((response: ApiResponse) => boolean) | undefined
  /** Whether an answer, or none, is no reason to ask again, but to ask for less. */
  readonly asksSmaller?: ((response: ApiResponse | undefined) => boolean) | undefined
  /** At most so many attempts. Default: as the document says. */
  readonly attempts?: number | undefined
  /** Longest wait that the API may ask for. Default: as the document says. */
  readonly maxWaitMs?: number | undefined
}

/** Sends a request of a list as its document says: signed, retried, limited, masked. */
export function sendRequest(
  reader: ListReader,
  context: ListContext,
  request: ApiRequest,
  sending: Sending,
): Promise<OwnedResponse> {
  const { client, resource, auth, authOrigins, mask } = reader
  const { clock, emit, concurrency } = context
  const { responseActions, credentials, retry, timeoutMs, isGraphql = false } = resource.endpoint
  const isThrottled = (response: ApiResponse): boolean =>
    isGraphql && declaredEntry(responseActions, response) === undefined && isCostRefusal(response)
  const {
    identity,
    journal,
    signal,
    deadline,
    isAboutJob = false,
    kept,
    mayBeCut = false,
    isExpected,
    asksSmaller,
    attempts,
    maxWaitMs,
  } = sending
  return client.send(request, {
    resource: resource.name,
    identity: { resource: resource.name, request: identity },
    journal,
    signal,
    clock,
    emit,
    concurrency,
    auth,
    credentials,
    authOrigins,
    retry: {
      ...retry,
      attempts: Math.min(retry.attempts, attempts ?? retry.attempts),
      maxWaitMs: Math.min(retry.maxWaitMs, maxWaitMs ?? retry.maxWaitMs),
    },
    timeoutMs,
    deadline,
    shouldRetry: response => declaredEntry(responseActions, response)?.action === 'retry',
    pauseUntil: isGraphql ? costPauseUntil : undefined,
    isThrottled,
    waitFrom: response => declaredEntry(responseActions, response)?.waitFrom,
    shouldRenew: response => declaredEntry(responseActions, response)?.action === 'refresh_auth',
    asksSmaller,
    rows: mayBeCut && !isAboutJob ? rowsOf(resource, request) : undefined,
    recordable: response =>
      !isThrottled(response) && (isRecordable(responseActions, retry, response) || isExpected?.(response) === true),
    masked: kept ?? (mask && (response => maskAnswer(mask, reader, context, request, response, isAboutJob))),
    witnessed: { headers: answer => neededHeaders(reader, answer.headers), signed: reader.secretParams },
  })
}

function rowsOf({ endpoint: { reading } }: EndpointResource, { url }: ApiRequest): BodyOfRows {
  return {
    isLikely: headers => mayHaveRows(headers, url, reading),
    cutter: (beginning, headers) => rowCutter(beginning, headers, url, reading),
  }
}
