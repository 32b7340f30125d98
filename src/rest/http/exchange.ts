import { RequestError, SluiceError } from '../../model/errors.js'
import type { BodyPlace } from '../../model/responses.js'
import type { Scrubber } from '../../model/secrets/scrubber.js'
import { reveal, Secret } from '../../model/secrets/secret.js'
import type {
  ApiRequest,
  ApiResponse,
  KindAuthenticator,
  SignContext,
  Transport,
  TransportRequest,
  TransportResponse,
  UnsignedRequest,
} from '../api.js'
import type { RowCutter } from '../body/rowCutter.js'
import { type BodyPart, type BodyRest, readParts } from './bodyParts.js'
import { type Gate, isThrottled } from './rateLimit.js'
import { decoded, redactUrl } from './redact.js'
import { destinationOf, redirected, staysPublic } from './redirects.js'
import { type BodyBuffers, BodyError, readBody } from './responseBody.js'
import { TimeUpError } from './retry.js'
import { LocalAddressError, ProxyError } from './transport.js'
import { headerOf, requestUrl, wireBody, wireHeaders, withBodyMember, withHeader, withParam } from './wire.js'

/** Headers and query parameters whose values are secrets, by name. */
export interface Credentials {
  readonly headers?: Readonly<Record<string, Secret>> | undefined
  readonly params?: Readonly<Record<string, Secret>> | undefined
  /** Members of a JSON body, by the keys that lead to them, or fields of a form. */
  readonly body?: readonly { readonly keys: readonly string[]; readonly secret: Secret }[] | undefined
}

/** What every attempt at a request needs. All attempts share it. */
export interface ExchangeContext {
  readonly resource: string
  readonly transport: Transport
  readonly scrubber: Scrubber
  readonly auth: KindAuthenticator | undefined
  readonly learn?: KindAuthenticator['learn']
  readonly credentials: Credentials | undefined
  readonly bound: readonly string[]
  readonly sign: SignContext
  /** The request that all attempts are for. */
  readonly asked: ApiRequest
  /** A signer asks. */
  readonly bySigner: boolean
  /** A recording answers. */
  readonly isReplay: boolean
  /** Ends what is under way. */
  readonly signal: AbortSignal
  readonly timeoutMs: number
  readonly maxBodyBytes: number
  readonly bodyBuffers: BodyBuffers
  readonly maxRedirects: number
  readonly userAgent: string
  /** Undefined: bodies are read whole. */
  readonly rows?: BodyOfRows | undefined
  /** An earlier answer was read up to this place. Only what comes after it is wanted. */
  readonly from?: BodyPlace | undefined
  /** Whether an answer says, as a 401 does, that the credentials are no longer good. */
  readonly shouldRenew: ((response: ApiResponse) => boolean) | undefined
  /** Until when a body asks to wait, besides the headers. */
  readonly pauseUntil: ((response: ApiResponse, now: number) => number | undefined) | undefined
  /** Waits until a request to this origin may start. */
  readonly enter: (origin: string, credential: KindAuthenticator | undefined) => ReturnType<Gate['enter']>
  /** Reports every request that was sent. Status 0 means that no answer came. */
  readonly sent: (about: { method: string; url: string; status: number; durationMs: number }) => void
}

/** How bodies of rows are told from others and cut, so that they may have any length. */
export interface BodyOfRows {
  /** Whether the body of an answer may be rows. */
  isLikely(headers: Readonly<Record<string, string>>): boolean
  /** Undefined: it is none. */
  cutter(beginning: Uint8Array, headers: Readonly<Record<string, string>>): RowCutter | undefined
}

/** An answer with an owner. The owner releases its memory when nobody reads the body any more. */
export interface OwnedResponse extends ApiResponse {
  /**
   * Lets a later body reuse the memory of this one. Ends the connection, if the body goes on and nobody asked for the
   * rest. A second call does nothing.
   */
  release(): void
  /** The next part of a body of rows, as another answer. Absent: the body ends here. */
  readonly following?: (() => Promise<OwnedResponse>) | undefined
  /** Bytes of the decoded body before this part of it. Absent: this is its beginning. */
  readonly offset?: number | undefined
  /** One of a recording, where values are masked already. */
  readonly isRecorded?: boolean | undefined
}

/** An answer from the network. Its body may go on. */
export interface SentResponse extends Omit<OwnedResponse, 'following'> {
  readonly rest?: BodyRest | undefined
}

export type Attempt =
  | { readonly kind: 'answer'; readonly response: SentResponse }
  | { readonly kind: 'failure'; readonly failure: Failure; readonly url: string }

/**
 * One attempt. It follows redirects, and repeats the request once if the authenticator got new credentials after a 401,
 * or after another answer that means the same.
 * Rejects only if no further attempt can help: a forbidden URL, endless redirects, a failing signer, an aborted signal.
 */
export async function attempt(request: ApiRequest, context: ExchangeContext): Promise<Attempt> {
  let hop = request
  /** The status of the redirect that led there. */
  let ledBy: number | undefined
  let renewed = false
  const tried = new Set<ExchangeContext['auth']>()
  const visited = new Set<string>()
  for (;;) {
    const using = withCredential(context)
    const home = await homeOf(using)
    if (home !== undefined) hop = moved(hop, home, context)
    const destination = destined(hop, home, context, ledBy)
    const result = await exchange(hop, destination, using)
    if (result === 'another') continue
    if (result.kind === 'failure') return result
    const { status, headers, url } = result.response
    const { auth } = using
    tried.add(auth)
    if (destination.kind === 'bound' && isThrottled(status, headers) && !tried.has(withCredential(context).auth)) {
      result.response.release()
      continue
    }
    const isRefused = status === 401 || context.shouldRenew?.(result.response) === true
    if (isRefused && destination.kind === 'bound' && !renewed && auth?.renew !== undefined) {
      renewed = true
      if (await told(() => auth.renew?.(using.sign) ?? false, context)) {
        result.response.release()
        continue
      }
    }
    const next = redirected(hop, status, headers)
    if (next === undefined) return result
    visited.add(`${hop.method} ${requestUrl(hop)}`)
    checkRedirect(next, visited, url, status, context)
    result.response.release()
    hop = next
    ledBy = status
  }
}

/** With the one of several credentials that is to be used now. */
function withCredential(context: ExchangeContext): ExchangeContext {
  const { auth, sign } = context
  return auth?.choose === undefined ? context : { ...context, auth: auth.choose(sign), learn: auth.learn }
}

/** Another credential has something left, while the requests with this one wait. */
export class OtherCredentialError extends Error {}

/** Where the credentials say that the API is. It belongs to the origins that get them. */
async function homeOf(context: ExchangeContext): Promise<string | undefined> {
  const { auth, sign } = context
  if (auth?.baseUrl === undefined) return undefined
  return await told(() => auth.baseUrl?.(sign), context)
}

/** A request to the base URL of the document goes to the same path there. */
function moved(request: ApiRequest, home: string, { bound: [base] }: ExchangeContext): ApiRequest {
  if (base === undefined || !URL.canParse(request.url)) return request
  const { origin, pathname, search } = new URL(request.url)
  return origin === base && !home.startsWith(`${base}/`) && home !== base
    ? { ...request, url: `${home}${pathname}${search}` }
    : request
}

/** Where a request goes, and what may go with it. */
interface Destination {
  readonly kind: 'bound' | 'foreign'
  readonly url: URL
}

function destined(
  request: ApiRequest,
  home: string | undefined,
  { resource, scrubber, bound: configured }: ExchangeContext,
  ledBy: number | undefined,
): Destination {
  const shown = (): string => redactUrl(requestUrl(request), scrubber)
  const url = parsedUrl(request.url)
  if (url === undefined) {
    const message = `${resource}: "${shown()}" is not an absolute URL; set client.base_url or begin the path with https://`
    throw new RequestError('forbidden_url', message, { resource, method: request.method, url: shown(), status: ledBy })
  }
  const bound = home === undefined ? configured : [...configured, new URL(home).origin]
  const kind = destinationOf(request, url, bound, { resource, shown, status: ledBy })
  if (kind === 'foreign') refuseCredential(request, url.host, shown, scrubber, { resource, status: ledBy })
  return { kind, url }
}

/** Parsed once for all who need a part of it. */
function parsedUrl(text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

/** An API may repeat the key of a query in a link to another origin. */
function refuseCredential(
  request: ApiRequest,
  host: string,
  shown: () => string,
  scrubber: Scrubber,
  { resource, status }: { readonly resource: string; readonly status: number | undefined },
): void {
  const sent = withoutUser(requestUrl(request)).url
  if (scrubber.text(sent) === sent) return
  const url = shown()
  const why = `the link holds a credential, and the configuration does not name ${host}; if that is intended, add "${host}" to client.allowed_hosts`
  const message = `${resource}: ${request.method} ${url} was not sent: ${why}`
  throw new RequestError('forbidden_url', message, { resource, method: request.method, url, status })
}

function checkRedirect(
  next: ApiRequest,
  visited: ReadonlySet<string>,
  from: string,
  status: number,
  { resource, maxRedirects, scrubber }: ExchangeContext,
): void {
  const loops = visited.has(`${next.method} ${requestUrl(next)}`)
  if (!loops && visited.size <= maxRedirects) return
  const to = redactUrl(requestUrl(next), scrubber)
  const what = loops ? 'the redirects form a loop' : `more than ${maxRedirects} redirects`
  throw new RequestError('http_status', `${resource}: ${what}: ${from} answers ${status} and leads to ${to}`, {
    resource,
    method: next.method,
    url: from,
    status,
  })
}

async function exchange(
  request: ApiRequest,
  destination: Destination,
  context: ExchangeContext,
): Promise<Attempt | 'another'> {
  const { origin, host } = destination.url
  const credential = destination.kind === 'bound' ? context.auth : undefined
  let leave: Awaited<ReturnType<typeof context.enter>>
  try {
    leave = await context.enter(origin, credential)
  } catch (error) {
    if (error instanceof OtherCredentialError) return 'another'
    throw error
  }
  let status = 0
  let headers: Readonly<Record<string, string>> = {}
  let pausedUntil: number | undefined
  try {
    const prepared = await prepare(request, destination, context)
    // Not earlier: the scrubber now knows what the signer used.
    const url = redactUrl(requestUrl(request), context.scrubber)
    context.signal.throwIfAborted()
    const begun = context.sign.now()
    const sent = (answered: number): void =>
      context.sent({ method: request.method, url, status: answered, durationMs: context.sign.now() - begun })
    try {
      const answer = await context.transport(prepared)
      const body = await bodyOf(answer, context)
      status = answer.status
      headers = answer.headers
      sent(status)
      if (credential !== undefined) context.learn?.(credential, status, headers, context.sign.now())
      const { recorded } = answer
      const doubt = recorded === undefined ? doubtOf(answer) : recorded.doubt
      const { bytes, release, rest } = body
      const response = { status, headers, body: bytes, url, fromJournal: false, release, ...(doubt && { doubt }), rest }
      pausedUntil = context.pauseUntil?.(response, context.sign.now())
      return { kind: 'answer', response: recorded === undefined ? response : { ...response, isRecorded: true } }
    } catch (error) {
      // The request was sent, whether or not it was given up.
      sent(0)
      if (context.signal.aborted) throw error
      if (error instanceof LocalAddressError) throw ledInside(request, url, error, context)
      const failure = failureOf(error, host)
      return { kind: 'failure', failure: { ...failure, text: context.scrubber.text(failure.text) }, url }
    }
  } finally {
    leave(status, headers, pausedUntil)
  }
}

function bodyOf(answer: TransportResponse, context: ExchangeContext): Promise<BodyPart> {
  const { bodyBuffers, maxBodyBytes, timeoutMs, rows, from } = context
  const { status, headers } = answer
  const bounds = { maxBytes: maxBodyBytes, timeoutMs, now: context.sign.now }
  if (status < 300 && rows !== undefined && (from !== undefined || rows.isLikely(headers)))
    return readParts(answer, { ...bounds, from, cutter: beginning => rows.cutter(beginning, headers) }, bodyBuffers)
  return readBody(answer, bounds, bodyBuffers)
}

/** The next part of an answer, as an attempt that may fail. */
export async function continued(before: SentResponse, rest: BodyRest, context: ExchangeContext): Promise<Attempt> {
  const { signal, scrubber } = context
  signal.throwIfAborted()
  signal.addEventListener('abort', rest.close)
  try {
    const part = await rest.next()
    return { kind: 'answer', response: { ...before, body: part.bytes, release: part.release, rest: part.rest } }
  } catch (error) {
    if (signal.aborted) throw error
    const failure = failureOf(error, new URL(context.asked.url).host)
    return { kind: 'failure', failure: { ...failure, text: scrubber.text(failure.text) }, url: before.url }
  } finally {
    signal.removeEventListener('abort', rest.close)
  }
}

/** The reason to doubt that the answer is whole. */
function doubtOf({ status, endsWithConnection }: TransportResponse): string | undefined {
  if (status === 206) return 'the API answered with a part of what was asked for (206 Partial Content)'
  if (status === 207) return 'the API answered for several parts, and some may have failed (207 Multi-Status)'
  if (endsWithConnection !== true || status >= 300 || status === 204 || status === 205) return undefined
  return 'an answer ended with its connection, without a length: it may be cut off'
}

function ledInside(
  { method, url: wanted }: ApiRequest,
  url: string,
  { message }: LocalAddressError,
  { resource }: ExchangeContext,
): RequestError {
  const allow = `if that is intended, add "${new URL(wanted).host}" to client.allowed_hosts`
  return new RequestError('forbidden_url', `${resource}: ${method} ${url} was not sent: ${message}; ${allow}`, {
    resource,
    method,
    url,
  })
}

/** The request as sent: signed for configured origins, without credentials for others. */
async function prepare(
  request: ApiRequest,
  { kind, url }: Destination,
  context: ExchangeContext,
): Promise<TransportRequest> {
  const ready =
    kind === 'foreign'
      ? { ...request, headers: {}, url: withoutUser(request.url).url, certificate: undefined }
      : await signed(request, context)
  const body = ready.body === undefined ? undefined : wireBody(ready.body)
  return {
    method: ready.method,
    url: requestUrl(ready),
    headers: wireHeaders(ready, body?.contentType, context.userAgent),
    body: body?.text,
    certificate: ready.certificate,
    signal: context.signal,
    timeoutMs: { headers: context.timeoutMs, body: context.timeoutMs },
    unsigned: unsigned(context),
    ...(!context.bound.includes(url.origin) && staysPublic(context.bound) && { publicOnly: true }),
  }
}

function unsigned({ asked, resource, bySigner }: ExchangeContext): UnsignedRequest {
  const body = asked.body === undefined ? undefined : wireBody(asked.body).text
  return { resource, url: requestUrl(asked), body, bySigner }
}

async function signed(request: ApiRequest, context: ExchangeContext): Promise<ApiRequest> {
  const { auth, credentials, sign } = context
  const { url, user } = withoutUser(request.url)
  let ready: ApiRequest = { ...request, url }
  if (user !== undefined && headerOf(ready, 'authorization') === undefined) {
    const pair = Buffer.from(user).toString('base64')
    // A name without a password is often a token.
    const [name = '', ...password] = user.split(':')
    for (const text of [pair, password.join(':') || name]) sign.conceal(new Secret(text, 'the address'))
    ready = withHeader(ready, 'Authorization', `Basic ${pair}`)
  }
  for (const [name, secret] of Object.entries(credentials?.headers ?? {})) {
    sign.conceal(secret)
    ready = withHeader(ready, name, reveal(secret))
  }
  for (const [name, secret] of Object.entries(credentials?.params ?? {})) {
    sign.conceal(secret)
    ready = withParam(ready, name, reveal(secret))
  }
  for (const { keys, secret } of credentials?.body ?? []) {
    sign.conceal(secret)
    ready = withBodyMember(ready, keys, reveal(secret))
  }
  if (auth === undefined) return ready
  const signing = told(() => auth.sign(ready, sign), context)
  if (!context.isReplay) return await signing
  // Nobody has to have a key for a recording. A token is asked for, if there is an answer.
  return await signing.catch((error: unknown) => {
    if (sign.signal.aborted || !(error instanceof RequestError) || error.code !== 'auth') throw error
    return ready
  })
}

/** Runs a part of an authenticator. Secrets are removed from its errors. */
async function told<Value>(run: () => Value | Promise<Value>, context: ExchangeContext): Promise<Value> {
  const { resource, scrubber, sign } = context
  try {
    return await run()
  } catch (error) {
    if (sign.signal.aborted || error instanceof TimeUpError) throw error
    const text = scrubber.text(error instanceof Error ? error.message : String(error))
    if (!(error instanceof SluiceError))
      throw new RequestError('auth', `${resource}: the authenticator failed: ${text}`, { resource })
    error.message = text
    throw error
  }
}

/** A URL without `user:password@`, and that part decoded. */
function withoutUser(text: string): { readonly url: string; readonly user: string | undefined } {
  if (!text.includes('@')) return { url: text, user: undefined }
  const url = new URL(text)
  if (url.username === '' && url.password === '') return { url: text, user: undefined }
  const user = `${decoded(url.username)}:${decoded(url.password)}`
  url.username = ''
  url.password = ''
  return { url: url.href, user }
}

/** Why an attempt failed. */
interface Failure {
  readonly code: 'connection' | 'timeout' | 'response_format' | 'response_too_large'
  /** Plain text for people, without a URL. */
  readonly text: string
  /** The one thing to do, if it is known better than from the code. */
  readonly advice?: string | undefined
  /** Whether a retry may help. */
  readonly transient: boolean
  /** The answer took too long, or was too long. Fewer records may help. */
  readonly isOfSize?: true | undefined
  /** The answer is not the one that was read up to some place. */
  readonly isOther?: true | undefined
}

/** The meaning of a network error. `host` is the request's, as in `127.0.0.1:8080`. */
function failureOf(error: unknown, host: string): Failure {
  if (error instanceof BodyError) return bodyFailure(error)
  const codes = errorCodes(error)
  if (error instanceof ProxyError && error.refusal !== undefined) return refusedByProxy(error, error.refusal, host)
  const place = error instanceof ProxyError ? `${host}, or the proxy ${error.proxy} on the way to it,` : host
  for (const code of codes) {
    const known = knownFailures[code]
    if (known === undefined) continue
    const text = known.text.replace('{host}', place).replace(/,$/, '')
    return { ...known, text: `${text} (${code})` }
  }
  const alert = codes.find(code => /_ALERT_.*(?:CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE|ACCESS_DENIED)/.test(code))
  if (alert !== undefined) {
    return {
      code: 'connection',
      transient: false,
      text: `${host} refused the connection: it wants a certificate of the client, or another one (${alert})`,
      advice: 'see `auth` with `type: mtls`',
    }
  }
  const handshake = codes.find(code => /^(ERR_SSL_|EPROTO$)/.test(code))
  if (handshake !== undefined) {
    return {
      code: 'connection',
      transient: false,
      text: `${host} does not answer with TLS (${handshake})`,
      advice: 'is it http?',
    }
  }
  const certificate = codes.find(code => /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_/.test(code))
  if (certificate !== undefined) {
    const text = `the certificate of ${host} is not trusted (${certificate})`
    return { code: 'connection', transient: false, text, advice: certificateAdvice(certificate) }
  }
  const text = error instanceof Error ? error.message : String(error)
  return { code: 'connection', transient: !(error instanceof TypeError && codes.length === 0), text }
}

function refusedByProxy({ proxy }: ProxyError, status: number, host: string): Failure {
  const text = `the proxy ${proxy} does not lead to ${host}: it answers ${status}`
  const advice =
    status === 407
      ? 'it wants a user and a password; write them into HTTPS_PROXY or HTTP_PROXY'
      : 'if no proxy is needed there, name the host in NO_PROXY'
  return { code: 'connection', transient: status >= 500, text, advice }
}

function certificateAdvice(code: string): string {
  if (/SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)/.test(code))
    return 'if it is signed by an authority of your own, name the file with it in NODE_EXTRA_CA_CERTS'
  if (/HAS_EXPIRED|NOT_YET_VALID/.test(code)) return 'it must be renewed there, or the clock of this machine is wrong'
  if (code.includes('ALTNAME')) return 'it is for another host: check the address'
  return 'check the address'
}

const knownFailures: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: { code: 'connection', transient: true, text: 'nothing listens at {host}' },
  ECONNRESET: { code: 'connection', transient: true, text: '{host} closed the connection' },
  EPIPE: { code: 'connection', transient: true, text: '{host} closed the connection' },
  UND_ERR_SOCKET: { code: 'connection', transient: true, text: '{host} closed the connection before the answer ended' },
  UND_ERR_CLOSED: { code: 'connection', transient: false, text: 'the client was closed' },
  UND_ERR_DESTROYED: { code: 'connection', transient: false, text: 'the client was closed' },
  ENOTFOUND: { code: 'connection', transient: true, text: 'the name of {host} is not known' },
  EAI_AGAIN: { code: 'connection', transient: true, text: 'the name of {host} could not be looked up' },
  EHOSTUNREACH: { code: 'connection', transient: true, text: '{host} cannot be reached' },
  ENETUNREACH: { code: 'connection', transient: true, text: '{host} cannot be reached' },
  ETIMEDOUT: { code: 'timeout', transient: true, text: '{host} did not accept the connection in time' },
  UND_ERR_CONNECT_TIMEOUT: { code: 'timeout', transient: true, text: '{host} did not accept the connection in time' },
  UND_ERR_HEADERS_TIMEOUT: { code: 'timeout', transient: true, isOfSize: true, text: '{host} did not answer in time' },
  UND_ERR_BODY_TIMEOUT: {
    code: 'timeout',
    transient: true,
    isOfSize: true,
    text: '{host} stopped sending in the middle of an answer',
  },
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: {
    code: 'connection',
    transient: true,
    text: 'the body is not as long as content-length says',
  },
  UND_ERR_INVALID_ARG: {
    code: 'connection',
    transient: false,
    text: 'the request cannot be sent: a header or the URL is not valid',
  },
  ERR_INVALID_URL: { code: 'connection', transient: false, text: 'the request cannot be sent: the URL is not valid' },
}

function bodyFailure(error: BodyError): Failure {
  if (error.kind === 'too_large')
    return { code: 'response_too_large', transient: false, isOfSize: true, text: error.message }
  if (error.kind === 'late') return { code: 'timeout', transient: true, isOfSize: true, text: error.message }
  if (error.kind === 'changed') return { code: 'response_format', transient: false, isOther: true, text: error.message }
  if (error.kind === 'malformed') return { code: 'response_format', transient: true, text: error.message }
  return { code: 'connection', transient: true, text: error.message }
}

/** Codes of an error, of its causes, and of the parts of an AggregateError (all addresses of a host refused). */
function errorCodes(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error) || depth > 4) return []
  const code = (error as NodeJS.ErrnoException).code
  const parts = error instanceof AggregateError ? error.errors.flatMap(part => errorCodes(part, depth + 1)) : []
  return [...(typeof code === 'string' ? [code] : []), ...errorCodes(error.cause, depth + 1), ...parts]
}
