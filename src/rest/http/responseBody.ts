import { promisify } from 'node:util'
import {
  brotliDecompress,
  gunzip,
  gunzipSync,
  inflate,
  inflateRaw,
  inflateRawSync,
  inflateSync,
  type ZlibOptions,
} from 'node:zlib'
import type { TransportResponse } from '../api.js'

/**
 * A useless body. `truncated`: more was announced. `late`: it came too slowly. A retry may help with both. `changed`: it
 * is not the one whose beginning was read before.
 */
export class BodyError extends Error {
  readonly kind: 'truncated' | 'malformed' | 'too_large' | 'late' | 'changed'

  constructor(kind: BodyError['kind'], message: string) {
    super(message)
    this.kind = kind
  }
}

/**
 * The whole body, without its content encoding. A gzip file is unpacked too. Rejects with a {@link BodyError}, or with
 * the transport's error. Reading stops if the transferred or unpacked body is longer than `maxBytes`. A body without a
 * content encoding stays in memory of `buffers` until it is released.
 */
export async function readBody(
  response: TransportResponse,
  { maxBytes, timeoutMs, now }: BodyBounds,
  buffers: BodyBuffers,
): Promise<OwnedBody> {
  const announced = announcedLength(response.headers)
  const pace = paceOf(timeoutMs, now)
  const collected = new CollectedBody(announced, { maxBytes, pace }, buffers)
  const encoded = await collect(response.body, collected)
  let body: Buffer = encoded
  for (const coding of layersOf(response.headers)) {
    if (body.length > 0) body = await decode(coding, body, maxBytes)
  }
  checkLength(encoded.length, announced)
  if (isGzip(body)) body = await decode('gzip', body, maxBytes)
  if (body !== encoded) collected.release()
  return { bytes: body, release: () => collected.release() }
}

/** The length that the headers announce. */
export function announcedLength({ 'content-length': length }: Readonly<Record<string, string>>): number | undefined {
  return length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined
}

/** Throws if a body has fewer bytes than were announced. */
export function checkLength(bytes: number, announced: number | undefined): void {
  if (announced === undefined || announced <= bytes || bytes === 0) return
  throw new BodyError('truncated', `the body has ${bytes} bytes where content-length announced ${announced}`)
}

/** A body with an owner. The owner releases its memory when nobody reads it any more. */
export interface OwnedBody {
  readonly bytes: Uint8Array
  /** A second call does nothing. */
  release(): void
}

/** Limits for the size and time of a body. */
export interface BodyBounds {
  /** Both as transferred and decoded. */
  readonly maxBytes: number
  /** Most time between two parts of the body. The transport enforces it. */
  readonly timeoutMs: number
  /** Milliseconds of any clock. */
  readonly now: () => number
}

/** Each coding unpacks the whole body once more. Two are rare, more are an attack. */
const MOST_CODINGS = 4

/** The time for a whole body is this many timeouts, plus a second for each {@link SLOWEST_BYTES}. */
const PARTS_TIME = 10
const SLOWEST_BYTES = 16 << 10

/**
 * Throws if a body drips: each part is in time, but the whole would never be. 16 KiB a second is fast enough for a body
 * of any length.
 */
export function paceOf(timeoutMs: number, now: () => number): (bytes: number) => void {
  const begun = now()
  return bytes => {
    const spent = now() - begun
    const mostMs = timeoutMs * PARTS_TIME + (bytes / SLOWEST_BYTES) * 1000
    if (spent <= mostMs) return
    const [seconds, most] = [spent, mostMs].map(ms => Math.round(ms / 1000))
    throw new BodyError(
      'late',
      `the body came too slowly: ${bytes} bytes in ${seconds} seconds, where ${most} are allowed (${PARTS_TIME} times the timeout of ${timeoutMs / 1000} seconds, and one more for each ${SLOWEST_BYTES >> 10} KiB)`,
    )
  }
}

/** A compressed file that is served without a content encoding, such as `export.json.gz`. No text begins with these bytes. */
export function isGzip(body: Uint8Array): boolean {
  return body[0] === 0x1f && body[1] === 0x8b && body[2] === 8
}

/** The content encodings of a body, in the order in which they are taken off. */
export function layersOf({ 'content-encoding': header = '' }: Readonly<Record<string, string>>): readonly string[] {
  const layers = header
    .split(',')
    .map(coding => coding.trim().toLowerCase())
    .filter(coding => coding !== '' && coding !== 'identity')
    .reverse()
  if (layers.length <= MOST_CODINGS) return layers
  throw new BodyError('malformed', `the body is encoded ${layers.length} times, more than ${MOST_CODINGS}`)
}

interface Emitter {
  on(event: 'data', listener: (part: Uint8Array) => void): unknown
  on(event: 'end' | 'close', listener: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  destroy(): unknown
}

/** A Node stream is read through its events. That is twice as fast as iterating over it. */
function collect(body: AsyncIterable<Uint8Array>, collected: CollectedBody): Promise<Buffer> {
  return 'on' in body && 'destroy' in body
    ? fromEvents(body as unknown as Emitter, collected)
    : fromIterable(body, collected)
}

function fromEvents(body: Emitter, collected: CollectedBody): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let ended = false
    body.on('data', part => {
      try {
        collected.add(part)
      } catch (error) {
        reject(error)
        body.destroy()
      }
    })
    body.on('end', () => {
      ended = true
      resolve(collected.bytes())
    })
    body.on('error', reject)
    body.on('close', () => {
      if (!ended) reject(new BodyError('truncated', 'the connection was closed before the body ended'))
    })
  })
}

async function fromIterable(body: AsyncIterable<Uint8Array>, collected: CollectedBody): Promise<Buffer> {
  for await (const part of body) collected.add(part)
  return collected.bytes()
}

/** An announced size up to this is trusted at once. A larger one is trusted after a sixteenth of it has come. */
const FIRST_BELIEVED = 4 << 20

/** Collects a body in one buffer. If the announced size is trusted, the buffer has that size, so no part is held twice. */
class CollectedBody {
  readonly #maxBytes: number
  readonly #announced: number
  readonly #buffers: BodyBuffers
  #buffer: Buffer<ArrayBuffer> = Buffer.alloc(0)
  #length = 0

  readonly #pace: (bytes: number) => void

  constructor(
    announced: number | undefined,
    { maxBytes, pace }: { readonly maxBytes: number; readonly pace: (bytes: number) => void },
    buffers: BodyBuffers,
  ) {
    this.#buffers = buffers
    this.#announced = announced ?? 0
    this.#maxBytes = maxBytes
    this.#pace = pace
  }

  add(part: Uint8Array): void {
    const length = this.#length + part.length
    // A body that is announced as too large fails at once.
    if (Math.max(length, this.#announced) > this.#maxBytes) throw tooLarge(this.#maxBytes)
    this.#pace(length)
    if (length > this.#buffer.length) this.#grow(length)
    this.#buffer.set(part, this.#length)
    this.#length = length
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  release(): void {
    this.#buffers.release(this.#buffer)
    this.#buffer = Buffer.alloc(0)
    this.#length = 0
  }

  #grow(needed: number): void {
    const believed = Math.min(this.#announced, Math.max(needed * 16, FIRST_BELIEVED))
    const size = needed > this.#announced ? Math.max(needed, this.#buffer.length * 2) : believed
    const larger = this.#buffers.acquire(Math.min(size, this.#maxBytes))
    larger.set(this.bytes())
    this.#buffers.release(this.#buffer)
    this.#buffer = larger
  }
}

const gzipDecoder: Decoder = { inPool: promisify(gunzip), atOnce: gunzipSync }
const decoders = {
  gzip: gzipDecoder,
  'x-gzip': gzipDecoder,
  // A few bytes of Brotli can unpack to any size, so that it has no decoder of the second kind.
  br: { inPool: promisify(brotliDecompress) },
  zlib: { inPool: promisify(inflate), atOnce: inflateSync },
  raw: { inPool: promisify(inflateRaw), atOnce: inflateRawSync },
} satisfies Readonly<Record<string, Decoder>>

interface Decoder {
  /** In the thread pool. */
  inPool(body: Buffer, options: ZlibOptions): Promise<Buffer>
  /** Before it returns. */
  atOnce?(body: Buffer, options: ZlibOptions): Buffer
}

/** Up to so many packed bytes, the way to the thread pool and back takes longer than the work. */
const MOST_AT_ONCE = 8192

async function decode(coding: string, body: Buffer, maxBytes: number): Promise<Buffer> {
  const decoder = decoderOf(coding, body)
  if (decoder === undefined) throw unknownCoding(coding)
  try {
    const options = { maxOutputLength: maxBytes }
    if (decoder.atOnce !== undefined && body.length <= MOST_AT_ONCE) return decoder.atOnce(body, options)
    return await decoder.inPool(body, options)
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
      ? tooLarge(maxBytes)
      : decodingError(coding, error)
  }
}

/** What an error of a decoder means. */
export function decodingError(coding: string, error: unknown): BodyError {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'Z_BUF_ERROR') return new BodyError('truncated', `the ${coding} body ends early`)
  return new BodyError('malformed', `the body is not ${coding}, which its content encoding says it is`)
}

/** The error for a content encoding that nobody knows. */
export function unknownCoding(coding: string): BodyError {
  return new BodyError('malformed', `the content encoding "${coding}" is not known`)
}

function decoderOf(coding: string, body: Buffer): Decoder | undefined {
  if (coding === 'gzip' || coding === 'x-gzip' || coding === 'br') return decoders[coding]
  if (coding === 'deflate') return isZlib(body) ? decoders.zlib : decoders.raw
  return undefined
}

/** Servers use `deflate` for two forms. In the zlib form the low half of the first byte is 8. */
export function isZlib([first = 0]: Uint8Array): boolean {
  return (first & 0x0f) === 8
}

function tooLarge(maxBytes: number): BodyError {
  return new BodyError(
    'too_large',
    `the body is longer than ${maxBytes} bytes (${Math.floor(maxBytes / 2 ** 20)} MiB), the most that is taken into memory at once`,
  )
}

/** Shorter bodies get their own memory, which is cheap. */
const SHORTEST = 16 << 10
/** Most free memory that is kept. The garbage collector gets the rest. */
const MOST_FREE = 32 << 20
/** Lengths are rounded up to a multiple of this, so a slightly longer body also fits. */
const UNIT = 64 << 10

/**
 * Reuses the memory of bodies that are no longer needed. V8 marks its whole heap each time 64 MB are allocated outside
 * of it. Without reuse, memory for bodies cost a third of a wide load's collections, and 5 % of its time.
 */
export class BodyBuffers {
  /** Sorted from shortest to longest. */
  readonly #free: Buffer<ArrayBuffer>[] = []
  #freeBytes = 0

  /** A buffer of at least `size` bytes with undefined content. */
  acquire(size: number): Buffer<ArrayBuffer> {
    if (size < SHORTEST) return Buffer.allocUnsafeSlow(size)
    return this.#fitting(size) ?? Buffer.allocUnsafeSlow(Math.ceil((size * 1.125) / UNIT) * UNIT)
  }

  #fitting(size: number): Buffer<ArrayBuffer> | undefined {
    const place = this.#free.findIndex(buffer => buffer.length >= size)
    // A short body in a long buffer would block memory for a long body.
    if (place < 0 || this.#free[place]!.length > size * 2 + UNIT) return undefined // place is one of them
    const [buffer] = this.#free.splice(place, 1)
    this.#freeBytes -= buffer?.length ?? 0
    return buffer
  }

  /** Takes back one of its buffers, which nobody may read any more. */
  release(buffer: Buffer<ArrayBuffer>): void {
    if (buffer.length < SHORTEST || this.#freeBytes + buffer.length > MOST_FREE) return
    const longer = this.#free.findIndex(({ length }) => length > buffer.length)
    this.#free.splice(longer < 0 ? this.#free.length : longer, 0, buffer)
    this.#freeBytes += buffer.length
  }

  /** Frees all unused memory. */
  clear(): void {
    this.#free.length = 0
    this.#freeBytes = 0
  }
}
