import type { Agent } from 'undici'
import { DestinationError } from '../../../model/errors.js'
import { type Backoff, backoffMs, retryAfterMs } from '../../../model/runtime/backoff.js'
import { nodeCrypto } from '../../../model/runtime/nodeCrypto.js'
import type { Clock } from '../../../model/source.js'
import { pathText, queryText, type S3Credentials, type S3Identity, signed } from './s3Identity.js'

/** The texts of all elements with a name, in order. Enough for S3's answers, which have no attributes or comments. */
export function elements(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([\\s\\S]*?)</${name}>`, 'g'))].map(([, content = '']) => content)
}

/** The text of the first element with a name, unescaped. */
export function element(xml: string, name: string): string | undefined {
  const content = elements(xml, name)[0]
  return content === undefined ? undefined : unescaped(content)
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescaped(text: string): string {
  return text.replace(/&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
    return decimal === undefined ? (ENTITIES[name] ?? whole) : String.fromCodePoint(Number(decimal))
  })
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>]/g, character => {
    if (character === '&') return '&amp;'
    return character === '<' ? '&lt;' : '&gt;'
  })
}

interface S3Request {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** In the bucket; empty for the bucket itself. */
  readonly key: string
  readonly query?: Readonly<Record<string, string>> | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: Uint8Array | undefined
  /** Statuses besides 2xx that are not failures. */
  readonly expected?: readonly number[] | undefined
  /** Length of the object, if known. */
  readonly bytes?: number | undefined
}

interface S3Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Uint8Array
}

/** Reads a body and returns its number of bytes. */
type Consume = (body: AsyncIterable<Uint8Array>) => Promise<number>

export interface S3Client {
  /**
   * Sends a request, retries if that may help, and reads the answer. Fails with a DestinationError. Once its signal is
   * aborted, it no longer waits: each request is sent once, so that cleaning up still works.
   */
  send(request: S3Request): Promise<S3Answer>
  /** Like `send`, with a consumer for the body of a 200 answer. The consumer starts again with each attempt. */
  receive(request: S3Request, consume: Consume): Promise<S3Answer>
  close(): Promise<void>
}

export interface S3Place {
  /** `s3://bucket/prefix`, for messages. */
  readonly place: string
  /** Scheme and host, with the bucket if it is part of the host. */
  readonly origin: string
  /** `/bucket` if the bucket is part of the path, else empty. */
  readonly basePath: string
  readonly region: string
  readonly identity: S3Identity
}

const ATTEMPTS = 6
const BACKOFF: Backoff = { baseMs: 200, factor: 2, maxDelayMs: 10_000, jitter: 'full' }
const TIMEOUT_MS = 60_000
const SLOWEST_BYTES_A_MS = 1
/** Of answers that are read into memory: lists, records of loads and checkpoints. */
const MOST_BODY_BYTES = 256 * 2 ** 20
/** Codes of temporary failures: S3's form of 429, and two writers on one key. */
const PASSING = new Set([
  'SlowDown',
  'RequestTimeout',
  'InternalError',
  'ConditionalRequestConflict',
  'OperationAborted',
])

/** Codes for credentials that are no longer valid. */
const OUT_OF_USE = new Set(['ExpiredToken', 'InvalidToken', 'TokenRefreshRequired', 'InvalidAccessKeyId'])

export function s3Client(at: S3Place, clock: Clock, signal?: AbortSignal): S3Client {
  let agent: Promise<Agent> | undefined
  /** How far the server's clock is ahead of this machine's, once it has complained. */
  let skewMs = 0

  const attempt = async (request: S3Request, credentials: S3Credentials, consume?: Consume): Promise<S3Answer> => {
    const { method, key, query = {}, headers = {}, body } = request
    const path = `${at.basePath}/${pathText(key)}`
    const search = queryText(query)
    const bodySha256 = nodeCrypto()
      .createHash('sha256')
      .update(body ?? '')
      .digest('hex')
    const unsigned = { method, host: new URL(at.origin).host, path, query, headers, bodySha256 }
    agent ??= openAgent()
    const answer = await (await agent).request({
      origin: at.origin,
      path: search === '' ? path : `${path}?${search}`,
      method,
      headers: signed(unsigned, credentials, at.region, clock.now() + skewMs),
      body: body ?? null,
      // An aborted write may still have happened, and cleaning up happens after the signal.
      signal: method === 'GET' && signal?.aborted === false ? signal : null,
    })
    const { statusCode: status, headers: told } = answer
    if (consume !== undefined && status === 200) {
      checkLength(request, told, await consume(paced(answer.body, clock)))
      return { status, headers: told, body: new Uint8Array(0) }
    }
    const content = await collected(paced(answer.body, clock))
    if (method === 'GET' && status === 200) checkLength(request, told, content.length)
    return { status, headers: told, body: content }
  }

  const repeated = async (request: S3Request, consume?: Consume): Promise<S3Answer> => {
    let isRenewed = false
    for (let number = 1; ; number++) {
      let answer: S3Answer
      let waitMs = backoffMs(BACKOFF, number, clock.random())
      const credentials = await at.identity.current(signal)
      try {
        answer = await attempt(request, credentials, consume)
      } catch (error) {
        if (isOfThisMachine(error)) throw error
        signal?.throwIfAborted()
        if (number >= ATTEMPTS) throw error instanceof ShortBody ? short(at, request, error) : unreachable(at, error)
        await clock.sleep(waitMs, signal)
        continue
      }
      const { status, headers } = answer
      const text = status < 300 ? '' : Buffer.from(answer.body).toString()
      const code = element(text, 'Code') ?? ''
      // Completing an upload may fail after the status was sent.
      const failed = status === 200 && request.method === 'POST' && Buffer.from(answer.body).includes('<Error>')
      if (!failed && (status < 300 || (request.expected?.includes(status) === true && !PASSING.has(code))))
        return answer
      const passes = failed || status >= 500 || status === 429 || status === 408 || PASSING.has(code)
      const skewed = code === 'RequestTimeTooSkewed' && skewMs === 0 && typeof headers.date === 'string'
      if (skewed) {
        skewMs = Date.parse(String(headers.date)) - clock.now()
        waitMs = 0
      }
      if (OUT_OF_USE.has(code) && !isRenewed && at.identity.refused(credentials)) {
        isRenewed = true
        continue
      }
      if (number >= ATTEMPTS || !(passes || skewed)) throw refused(at, request, answer, code, passes)
      const toldMs = retryAfterMs(headers, clock.now()) ?? waitMs
      await clock.sleep(Math.min(toldMs, BACKOFF.maxDelayMs), signal)
    }
  }

  return {
    send: request => repeated(request),
    receive: repeated,
    close: async () => await (await agent)?.destroy(),
  }
}

/** A body that is incomplete, does not show that it is complete, or passes a bound. */
class ShortBody extends Error {}

function checkLength({ bytes }: S3Request, headers: S3Answer['headers'], received: number): void {
  const told = headers['content-length']
  const expected = bytes ?? (told === undefined ? undefined : Number(told))
  if (expected === undefined && headers['transfer-encoding'] === undefined)
    throw new ShortBody('without a length, so it may not be whole')
  if (expected !== undefined && expected !== received) throw new ShortBody(`with ${received} bytes, not ${expected}`)
}

/** Passes the parts of a body on. Fails when the body comes too slowly: undici's own timeout begins anew with each part. */
async function* paced(body: AsyncIterable<Uint8Array>, clock: Clock): AsyncGenerator<Uint8Array> {
  const startedAt = clock.now()
  let bytes = 0
  for await (const part of body) {
    bytes += part.length
    const allowedMs = TIMEOUT_MS + bytes / SLOWEST_BYTES_A_MS
    if (clock.now() - startedAt > allowedMs) throw new ShortBody(`too slowly, ${bytes} bytes in ${allowedMs / 1000} s`)
    yield part
  }
}

/** The whole body. Fails above {@link MOST_BODY_BYTES}. */
async function collected(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of body) {
    bytes += part.length
    if (bytes > MOST_BODY_BYTES) throw new ShortBody(`with more than ${MOST_BODY_BYTES / 2 ** 20} MiB`)
    parts.push(part)
  }
  return Buffer.concat(parts, bytes)
}

/** A full or read-only disk on this machine: asking the store again does not help. */
function isOfThisMachine(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException
  return ['ENOSPC', 'EDQUOT', 'EACCES', 'EROFS', 'EIO', 'EMFILE'].includes(code ?? '') && syscall !== 'connect'
}

/** Loaded with the first request, so that only users of S3 pay for it. */
async function openAgent(): Promise<Agent> {
  const { Agent } = await import('undici')
  return new Agent({ connections: 8, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS })
}

function short({ place }: S3Place, { key }: S3Request, { message }: ShortBody): DestinationError {
  return new DestinationError(
    'destination',
    `${place}: ${key === '' ? 'the list of objects' : key} came ${message}, ${ATTEMPTS} times; check that it is whole in the store, and check the network`,
    { destination: place, transient: true },
  )
}

function unreachable({ place, origin }: S3Place, error: unknown): DestinationError {
  const reason = (error as { code?: unknown }).code ?? (error as Error).message
  return new DestinationError(
    'destination',
    `${place}: ${origin} cannot be reached (${String(reason)}) after ${ATTEMPTS} attempts; check the endpoint and the network`,
    { destination: place, transient: true, cause: error },
  )
}

function refused(at: S3Place, request: S3Request, answer: S3Answer, code: string, passes: boolean): DestinationError {
  const { place } = at
  const region = answer.headers['x-amz-bucket-region']
  const message = element(Buffer.from(answer.body).toString(), 'Message') ?? ''
  const doing = `${request.method} ${request.key === '' ? 'of the bucket' : request.key}`
  const advice = ((): string => {
    if (typeof region === 'string' && region !== at.region)
      return `the bucket is in region ${region}, not ${at.region}; set the region`
    if (code === 'NoSuchBucket') return 'the bucket does not exist; create it, or check its name and the endpoint'
    if (code === 'SignatureDoesNotMatch') return 'the secret access key is wrong'
    if (code === 'InvalidAccessKeyId') return 'the access key id is not known there'
    if (code === 'ExpiredToken') return 'the session token has expired; get a new one'
    if (code === 'RequestTimeTooSkewed') return 'the clock of this machine is wrong'
    if (answer.status === 403)
      return 'no right; the key needs s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload'
    return 'look at the store'
  })()
  return new DestinationError(
    'destination',
    `${place}: ${doing} was answered with ${[answer.status, code].join(' ').trim()}: ${advice}${message === '' ? '' : ` (${message})`}`,
    { destination: place, transient: passes },
  )
}
