import { AbortError, RequestError, SluiceError } from '../../model/errors.js'
import type { RunEvent } from '../../model/events.js'
import {
  type BodyPlace,
  NotRecordedError,
  type RecordedResponse,
  type ResponseIdentity,
  type ResponseJournal,
} from '../../model/responses.js'
import { scrubber as createScrubber, type Scrubber } from '../../model/secrets/scrubber.js'
import type { Clock } from '../../model/source.js'
import type {
  ApiRequest,
  ApiResponse,
  KindAuthenticator,
  RetryPolicy,
  SignContext,
  Transport,
  WaitFrom,
  Witness,
  WitnessedRequest,
} from '../api.js'
import { retriedFor, waitAskedMs } from './answerCondition.js'
import type { BodyRest } from './bodyParts.js'
import {
  type Attempt,
  attempt,
  type BodyOfRows,
  type Credentials,
  continued,
  type ExchangeContext,
  OtherCredentialError,
  type OwnedResponse,
  type SentResponse,
} from './exchange.js'
import type { Proxies } from './proxies.js'
import type { HostBudget } from './rateLimit.js'
import { createGate, type EnterOptions, type Gate, isThrottled, type RateLimits } from './rateLimit.js'
import { redactUrl } from './redact.js'
import { BodyBuffers } from './responseBody.js'
import { type Again, checkAskedWait, checkDeadline, repeated, withinDeadline } from './retry.js'
import { httpTransport } from './transport.js'
import { untraced } from './untraced.js'
import { requestUrl, wireBody } from './wire.js'

export interface ClientOptions {
  /** Default: pooled keep-alive connections of Node (`httpTransport()`), opened with the first request. */
  readonly transport?: Transport | undefined
  readonly retry: RetryPolicy
  /** Time for the headers of an answer, and between two parts of its body. Default 60,000. */
  readonly timeoutMs?: number | undefined
  /** Longest decoded body, and longest row of one that is read in parts. Default 256 MiB. */
  readonly maxBodyBytes?: number | undefined
  readonly limits?: RateLimits | undefined
  /** Default: one that knows only the secrets that signers register. */
  readonly scrubber?: Scrubber | undefined
  /** Default `sluice`. */
  readonly userAgent?: string | undefined
  /** Default 10. */
  readonly maxRedirects?: number | undefined
  /** Shared with other clients, beside the gates of this one. */
  readonly budget?: HostBudget | undefined
  /** For the default transport. */
  readonly proxies?: Proxies | undefined
  readonly witness?: Witness | undefined
  /** The transport is a recording. */
  readonly isReplay?: boolean | undefined
}

export interface SendOptions {
  /** Name of the resource, for events and errors. */
  readonly resource: string
  readonly identity: ResponseIdentity
  readonly journal: ResponseJournal
  readonly auth?: KindAuthenticator | undefined
  /** Added before `auth` signs, for the same origins. */
  readonly credentials?: Credentials | undefined
  /**
   * Origins that the configuration names, as in `https://api.example.com`, with that of the base URL first.
   * Credentials, configured headers and bodies go only there.
   */
  readonly authOrigins: readonly string[]
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly emit: (event: RunEvent) => void
  /** Requests in flight for one origin and credential. Default 1. */
  readonly concurrency?: number | undefined
  /** Replaces the client's policy. */
  readonly retry?: RetryPolicy | undefined
  /** Replaces the client's timeout. */
  readonly timeoutMs?: number | undefined
  /** Milliseconds since the epoch. Nothing waits longer: `send` then rejects with a {@link TimeUpError}. */
  readonly deadline?: number | undefined
  /** Whether to retry although the policy would not. The policy still sets attempts and delays. */
  readonly shouldRetry?: ((response: ApiResponse) => boolean) | undefined
  /** Where an answer that is retried by `shouldRetry` says how long to wait. */
  readonly waitFrom?: ((response: ApiResponse) => WaitFrom | undefined) | undefined
  /** Until when a body asks to wait before anything else is asked. */
  readonly pauseUntil?: ((response: ApiResponse, now: number) => number | undefined) | undefined
  /** Whether a body refuses because the budget of the API is spent. The request is sent again. */
  readonly isThrottled?: ((response: ApiResponse) => boolean) | undefined
  /** Whether an answer says, as a 401 does, that the credentials are no longer good. */
  readonly shouldRenew?: ((response: ApiResponse) => boolean) | undefined
  /** Whether a smaller page is asked for after this answer, or after none came because it took too long or was too long. */
  readonly asksSmaller?: ((response: ApiResponse | undefined) => boolean) | undefined
  /** Bodies of rows may come in parts. Default: every body is read whole. */
  readonly rows?: BodyOfRows | undefined
  /** Whether an answer is journaled. Default: if its status is below 300. */
  readonly recordable?: ((response: ApiResponse) => boolean) | undefined
  /** Removes from an answer what nobody may see, before it is journaled. Also called for answers of the journal. */
  readonly masked?: ((response: OwnedResponse) => Promise<OwnedResponse>) | undefined
  /** For a witness: what reading the answer needs of its headers, and what signing adds to the query. */
  readonly witnessed?:
    | {
        readonly headers: (response: OwnedResponse) => Readonly<Record<string, string>>
        readonly signed: ReadonlySet<string>
      }
    | undefined
}

export interface Client {
  /**
   * The final answer to a request, whatever its status. A recorded answer comes from the journal. Otherwise the request
   * is signed, sent and retried, and the answer is recorded before it is returned. Rejects with a RequestError if no
   * answer came.
   */
  send(request: ApiRequest, options: SendOptions): Promise<OwnedResponse>
  /** What a signer may use, for requests that belong to no list. */
  signer(options: Pick<SendOptions, 'resource' | 'signal' | 'clock' | 'emit' | 'retry'>): SignContext
  /** Loads what the first request needs. */
  prepare(): void
  /** Closes idle connections and forgets learnt limits. The client can be used again. */
  close(): Promise<void>
}

/** No answer came, and a page with fewer records may bring one. The cause says what failed. */
export class TooLargeError extends Error {
  constructor(cause: RequestError) {
    super(cause.message, { cause })
  }
}

interface Asking extends Omit<SendOptions, 'identity' | 'journal' | 'recordable' | 'masked' | 'witnessed'> {
  /** A signer asks. */
  readonly bySigner?: boolean | undefined
  /** Part of the answer was read before. */
  readonly resumed?: Resumed | undefined
  /** What is under way is waited for although the signal is aborted. */
  readonly isFinished?: boolean | undefined
}

/** Where an answer is gone on with: by the connection that is still open, or by the same request anew. */
interface Resumed {
  readonly place: BodyPlace
  readonly open?: { readonly before: SentResponse; readonly rest: BodyRest } | undefined
}

/** An answer began in another way than the one that was read up to some place. */
class OtherAnswerError extends Error {
  constructor(cause: RequestError) {
    super(cause.message, { cause })
  }
}

/** While a page is read it is in memory several times: as received, in rows, in columns. */
const MOST_BODY_BYTES = 2 ** 28

/** Tokens are short. Such an answer becomes objects as a whole, which take ten times its size. */
const MOST_SIGNER_BYTES = 4 << 20

/** Shorter waits cause no event. */
const SHORTEST_EVENT_MS = 10

/** Removed from answers: credentials, and headers about the transfer rather than the decoded body. */
const droppedHeaders = new Set([
  'authentication-info',
  'connection',
  'content-encoding',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'set-cookie',
  'set-cookie2',
  'transfer-encoding',
  'www-authenticate',
])

export function createClient(options: ClientOptions): Client {
  const http = options.transport === undefined ? httpTransport({ proxies: options.proxies }) : undefined
  const given = options.transport
  const transport: Transport | undefined =
    given === undefined ? http?.send : request => untraced(async () => await given(request))
  if (transport === undefined) throw new TypeError('unreachable: one of both is there')
  const scrubber = options.scrubber ?? createScrubber()
  const gates = credentialGates(options.limits ?? {})
  const bodyBuffers = new BodyBuffers()

  const ask = (request: ApiRequest, asking: Asking): Promise<SentResponse> =>
    withinDeadline(asking, signal => askAgain(request, { ...asking, signal }))

  const askAgain = async (request: ApiRequest, asking: Asking): Promise<SentResponse> => {
    const { resource, signal, clock, emit, resumed } = asking
    const { method } = request
    const shown = (): string => redactUrl(requestUrl(request), scrubber)
    const policy = asking.retry ?? options.retry
    let number = 1
    const sign = signContext(asking)
    const context: ExchangeContext = {
      resource,
      transport,
      scrubber,
      auth: asking.auth,
      credentials: asking.credentials,
      bound: asking.authOrigins,
      sign,
      asked: request,
      bySigner: asking.bySigner === true,
      isReplay: options.isReplay === true,
      signal: asking.isFinished === true ? new AbortController().signal : asking.signal,
      timeoutMs: asking.timeoutMs ?? options.timeoutMs ?? 60_000,
      maxBodyBytes: Math.min(
        options.maxBodyBytes ?? MOST_BODY_BYTES,
        asking.bySigner === true ? MOST_SIGNER_BYTES : Number.POSITIVE_INFINITY,
      ),
      bodyBuffers,
      maxRedirects: options.maxRedirects ?? 10,
      userAgent: options.userAgent ?? 'sluice',
      rows: asking.rows,
      from: resumed?.place,
      shouldRenew: asking.shouldRenew,
      pauseUntil: asking.pauseUntil,
      async enter(origin, credential) {
        const entering: EnterOptions = {
          clock,
          signal,
          concurrency: asking.concurrency ?? 1,
          isOfSigner: asking.bySigner,
          onWait(delayMs, { reason, isAsked }) {
            const { auth } = asking
            if (isAsked && credential !== undefined && auth?.choose !== undefined && auth.choose(sign) !== credential)
              throw new OtherCredentialError()
            if (isAsked) checkAskedWait(delayMs, policy, clock, () => ({ resource, method, url: shown() }))
            checkDeadline(delayMs, asking.deadline, clock)
            if (delayMs >= SHORTEST_EVENT_MS) emit({ type: 'waiting', resource, reason, delayMs })
          },
          onAllowed: allowed => emit({ type: 'gate', resource, origin, allowed }),
        }
        const leave = await gates.of(origin, credential).enter(entering)
        const shared = options.budget?.gate(origin, options.limits ?? {})
        if (shared === undefined) return leave
        try {
          const leaveHost = await shared.enter(entering)
          return (...outcome) => {
            leave(...outcome)
            leaveHost(...outcome)
          }
        } catch (error) {
          leave(0, {})
          throw error
        }
      },
      sent({ method, url, status, durationMs }) {
        emit({ type: 'request', resource, method, url, status, attempt: number, durationMs })
      },
    }
    const { result, attempts } = await repeated(
      attempted => {
        number = attempted
        const open = attempted === 1 ? resumed?.open : undefined
        return open === undefined ? attempt(request, context) : continued(open.before, open.rest, context)
      },
      failed => {
        const again = againAfter(failed, method, policy, asking)
        if (again !== undefined && failed.kind === 'answer' && number < policy.attempts) failed.response.release()
        return again
      },
      { ...asking, policy },
    )
    if (result.kind === 'answer') return result.response
    const error = unanswered(request, result, asking, attempts)
    if (result.failure.isOther === true) throw new OtherAnswerError(error)
    if (result.failure.isOfSize === true && asking.asksSmaller?.(undefined) === true) throw new TooLargeError(error)
    throw error
  }

  const { witness } = options
  const granted = async (
    asked: Promise<SentResponse>,
    request: ApiRequest,
    { resource }: Asking,
  ): Promise<SentResponse> => {
    const answer = await asked
    witness?.granted(witnessedRequest(request, resource, []), answer)
    return answer
  }

  const signContext = (asking: Asking): SignContext => ({
    signal: asking.signal,
    now: () => asking.clock.now(),
    conceal: secret => scrubber.add(secret),
    send: request => granted(ask(request, ofSigner(request, asking)), request, asking),
    // Without the deadline of the list, which would give up what is under way.
    finish: request =>
      granted(
        askAgain(request, { ...ofSigner(request, asking), deadline: undefined, isFinished: true }),
        request,
        asking,
      ),
  })

  /** A part of an answer that the journal has. */
  const journaledPart = async (
    request: ApiRequest,
    sending: SendOptions,
    identity: ResponseIdentity,
    number: number,
    offset?: number,
  ): Promise<{ readonly response: OwnedResponse; readonly rest: BodyPlace | undefined } | undefined> => {
    const recorded = await sending.journal.lookup(partOf(identity, number))
    if (recorded === undefined) return undefined
    const { rest, ...answer } = recorded
    const url = redactUrl(requestUrl(request), scrubber)
    const following = rest && (() => partAfter(request, sending, identity, number, { place: rest }))
    const { masked = unmasked } = sending
    return {
      response: await masked({ ...answer, url, fromJournal: true, release: nothingLent, following, offset }),
      rest,
    }
  }

  const partAfter = async (
    request: ApiRequest,
    sending: SendOptions,
    identity: ResponseIdentity,
    number: number,
    resumed: Resumed,
  ): Promise<OwnedResponse> =>
    (resumed.open === undefined
      ? (await journaledPart(request, sending, identity, number + 1, resumed.place.bytes))?.response
      : undefined) ?? (await partAsked(request, sending, identity, number + 1, resumed))

  /** A part of an answer that is asked for, and recorded. */
  const partAsked = async (
    request: ApiRequest,
    sending: SendOptions,
    identity: ResponseIdentity,
    number: number,
    resumed?: Resumed,
  ): Promise<OwnedResponse> => {
    const { journal, signal, resource, masked = unmasked } = sending
    const about = { method: request.method, url: redactUrl(requestUrl(request), scrubber) }
    const sent = await ask(request, { ...sending, resumed }).catch(async (error: unknown) => {
      if (signal.aborted) throw stopped(signal, resource)
      if (!(error instanceof OtherAnswerError)) throw error
      await journal.record(spentName(identity), { status: 200, headers: {}, body: new Uint8Array() }, about)
      throw error.cause
    })
    const { rest, ...answer } = sent
    const following =
      rest && (() => partAfter(request, sending, identity, number, { place: rest.place, open: { before: sent, rest } }))
    const response = await masked({
      ...answer,
      headers: keptHeaders(answer.headers),
      following,
      offset: resumed?.place.bytes,
    })
    if (witness !== undefined && sending.witnessed !== undefined && number === 1) {
      const { headers, signed } = sending.witnessed
      const { status, body, doubt } = response
      witness.answered(witnessedRequest(request, resource, [...signed]), {
        status,
        headers: headers(response),
        body,
        doubt,
      })
    }
    if (sending.recordable?.(response) ?? response.status < 300) {
      const { status, headers, body, doubt } = response
      const kept = { status, headers, body, doubt, rest: rest?.place } satisfies RecordedResponse
      await journal.record(partOf(identity, number), kept, about)
    }
    return response
  }

  return {
    async send(request, sending) {
      const first = await journaledPart(request, sending, sending.identity, 1)
      if (first?.rest === undefined) return first?.response ?? (await partAsked(request, sending, sending.identity, 1))
      // What began in another way is read from its start again, under another name.
      const identity = await unspent(sending)
      if (identity === sending.identity) return first.response
      const anew = await journaledPart(request, sending, identity, 1)
      return anew?.response ?? (await partAsked(request, sending, identity, 1))
    },
    signer: about => signContext({ ...about, authOrigins: [] }),
    prepare: () => http?.prepare(),
    async close() {
      gates.forget()
      bodyBuffers.clear()
      await http?.close()
    },
  }
}

function witnessedRequest(request: ApiRequest, resource: string, signed: readonly string[]): WitnessedRequest {
  const body = request.body === undefined ? undefined : wireBody(request.body).text
  return { resource, method: request.method, url: requestUrl(request), body, signed }
}

/** A request of a signer goes as the request that it signs would, without credentials. */
function ofSigner({ url }: ApiRequest, asking: Asking): Asking {
  const { resource, signal, clock, emit, retry, timeoutMs, deadline } = asking
  return {
    resource,
    signal,
    clock,
    emit,
    retry,
    timeoutMs,
    deadline,
    authOrigins: [new URL(url).origin],
    bySigner: true,
  }
}

/** One gate for each origin and credential. Requests without a credential share one. */
function credentialGates(limits: RateLimits) {
  const anyone = {}
  let byCredential = new WeakMap<object, Map<string, Gate>>()
  return {
    of(origin: string, credential: object = anyone): Gate {
      const byOrigin = byCredential.get(credential) ?? new Map<string, Gate>()
      byCredential.set(credential, byOrigin)
      const gate = byOrigin.get(origin) ?? createGate(limits)
      byOrigin.set(origin, gate)
      return gate
    },
    forget() {
      byCredential = new WeakMap()
    },
  }
}

/** The identity of one part of an answer. The first one has that of the answer. */
function partOf({ resource, request }: ResponseIdentity, number: number): ResponseIdentity {
  return { resource, request: number === 1 ? request : `${request}~part${number}` }
}

/** The identity of the note that the parts of an answer cannot be gone on with. */
function spentName({ resource, request }: ResponseIdentity): ResponseIdentity {
  return { resource, request: `${request}~other` }
}

/** The first identity of an answer under which it was not given up. */
async function unspent({ identity, journal }: SendOptions): Promise<ResponseIdentity> {
  for (let number = 1; ; number++) {
    const { resource, request } = identity
    const name = number === 1 ? identity : { resource, request: `${request}~anew${number}` }
    if (!(await isRecorded(journal, spentName(name)))) return name
  }
}

/** In a journal that is replayed, what is not there is an error. */
async function isRecorded(journal: ResponseJournal, identity: ResponseIdentity): Promise<boolean> {
  try {
    return (await journal.lookup(identity)) !== undefined
  } catch (error) {
    if (error instanceof NotRecordedError) return false
    throw error
  }
}

/** Nothing to release: the body has its own memory. */
function nothingLent(): void {}

async function unmasked(response: OwnedResponse): Promise<OwnedResponse> {
  return response
}

/** The reason to retry after this result. Undefined if it is final. */
function againAfter(
  result: Attempt,
  method: string,
  policy: RetryPolicy,
  { shouldRetry, waitFrom, asksSmaller, isThrottled: isRefused, clock }: Asking,
): Again | undefined {
  if (result.kind === 'failure') {
    const { failure, url } = result
    if (failure.isOfSize === true && asksSmaller?.(undefined) === true) return undefined
    return policy.onConnectionError && failure.transient ? { reason: failure.text, method, url } : undefined
  }
  const { response } = result
  const { status, headers, url } = response
  if (asksSmaller?.(response) === true) return undefined
  const isWanted = shouldRetry?.(response) === true
  const reason = ((): string | undefined => {
    if (policy.statuses.includes(status)) return `status ${status}`
    if (policy.statuses.includes(429) && status === 403 && isThrottled(status, headers)) return 'status 403, rate limit'
    const by = retriedFor(response, policy)
    if (by !== undefined) return `the body, by ${by}`
    if (isWanted) return `status ${status}, by a response action`
    return isRefused?.(response) === true ? 'the query costs more than is left' : undefined
  })()
  if (reason === undefined) return undefined
  const from = (isWanted ? waitFrom?.(response) : undefined) ?? policy.waitFrom
  return { reason, method, url, status, headers, waitMs: waitAskedMs(from, response, clock.now()) }
}

const advice = {
  connection: 'check the address, the network and that the server runs',
  timeout: 'the API may be slow: raise `timeout`, or ask for smaller pages',
  response_format: 'the server or something on the way damages the answer',
  response_too_large: 'ask for smaller pages; only NDJSON and CSV are read in parts, between their rows',
} as const

/** Of an answer to a signer. */
const ADDRESS_OF_TOKEN = 'check the address that gives the token: no answer with a token is so long'

function unanswered(
  request: ApiRequest,
  { failure, url }: Extract<Attempt, { kind: 'failure' }>,
  { resource, bySigner }: Pick<Asking, 'resource' | 'bySigner'>,
  attempts: number,
): RequestError {
  const tries = attempts === 1 ? '' : ` after ${attempts} attempts`
  const isLongToken = bySigner === true && failure.code === 'response_too_large'
  const cure = isLongToken ? ADDRESS_OF_TOKEN : (failure.advice ?? advice[failure.code])
  const message = `${resource}: ${request.method} ${url} failed${tries}: ${failure.text}; ${cure}`
  return new RequestError(failure.code, message, { resource, method: request.method, url, attempts })
}

function stopped(signal: AbortSignal, resource: string): Error {
  if (signal.reason instanceof SluiceError) return signal.reason
  return new AbortError(`${resource}: stopped before the answer came`, { resource, cause: signal.reason })
}

function keptHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const kept: Record<string, string> = {}
  for (const name in headers) if (!droppedHeaders.has(name)) kept[name] = headers[name] ?? ''
  return kept
}
