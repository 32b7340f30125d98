import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib'
import type { BodyBuffers } from './bodyBuffers.js'
import type { TransportResponse } from './types.js'

/** Codings that {@link readBody} understands, as `accept-encoding` asks for them. */
export const acceptedEncodings = 'gzip, deflate, br'

/** A body that arrived but is no use. `truncated`: more of it was announced, so asking again may help. */
export class BodyError extends Error {
  readonly kind: 'truncated' | 'malformed' | 'too_large'

  constructor(kind: BodyError['kind'], message: string) {
    super(message)
    this.kind = kind
  }
}

/**
 * The whole body, without its content encoding, and unpacked where it is a gzip file. Rejects with a {@link BodyError}, or with the transport's error.
 * Neither what is transferred nor what it unpacks to may be longer than `maxBytes`; reading stops there. A body
 * that came without a content encoding is in memory of `buffers`, which may have it back.
 */
export async function readBody(
  response: TransportResponse,
  maxBytes: number,
  buffers: BodyBuffers,
): Promise<Uint8Array> {
  const length = response.headers['content-length']
  const announced = length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined
  const encoded = await collect(response.body, new CollectedBody(announced, maxBytes, buffers))
  let body: Buffer = encoded
  for (const coding of codings(response.headers['content-encoding']).reverse()) {
    if (body.length > 0) body = await decode(coding, body, maxBytes)
  }
  if (announced !== undefined && announced > encoded.length && encoded.length > 0) {
    throw new BodyError('truncated', `the body has ${encoded.length} bytes where content-length announced ${length}`)
  }
  if (isGzip(body)) body = await decode('gzip', body, maxBytes)
  if (body !== encoded) buffers.release(encoded)
  return body
}

/** A compressed file that is served as what it is, such as `export.json.gz`: no text begins with these bytes. */
function isGzip(body: Uint8Array): boolean {
  return body[0] === 0x1f && body[1] === 0x8b && body[2] === 8
}

function codings(header: string | undefined): string[] {
  if (header === undefined) return []
  return header
    .split(',')
    .map(coding => coding.trim().toLowerCase())
    .filter(coding => coding !== '' && coding !== 'identity')
}

interface Emitter {
  on(event: 'data', listener: (part: Uint8Array) => void): unknown
  on(event: 'end' | 'close', listener: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  destroy(): unknown
}

/** A Node stream is read by its events, which is twice as fast as iterating over it. */
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

/** The parts of a body in one buffer, which has the announced size from the start: no part waits beside the whole. */
class CollectedBody {
  readonly #maxBytes: number
  readonly #announced: number
  readonly #buffers: BodyBuffers
  #buffer = Buffer.alloc(0)
  #length = 0

  constructor(announced: number | undefined, maxBytes: number, buffers: BodyBuffers) {
    this.#buffers = buffers
    this.#announced = Math.min(announced ?? 0, maxBytes)
    this.#maxBytes = maxBytes
  }

  add(part: Uint8Array): void {
    const length = this.#length + part.length
    if (length > this.#maxBytes) throw tooLarge(this.#maxBytes)
    if (length > this.#buffer.length) this.#grow(length)
    this.#buffer.set(part, this.#length)
    this.#length = length
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  #grow(needed: number): void {
    const size = Math.max(needed, this.#buffer.length === 0 ? this.#announced : this.#buffer.length * 2)
    const larger = this.#buffers.acquire(Math.min(size, this.#maxBytes))
    larger.set(this.bytes())
    this.#buffers.release(this.#buffer)
    this.#buffer = larger
  }
}

const decoders = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  br: promisify(brotliDecompress),
  zlib: promisify(inflate),
  raw: promisify(inflateRaw),
}

async function decode(coding: string, body: Buffer, maxBytes: number): Promise<Buffer> {
  const decoder = decoderOf(coding, body)
  if (decoder === undefined) throw new BodyError('malformed', `the content encoding "${coding}" is not known`)
  try {
    return await decoder(body, { maxOutputLength: maxBytes })
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxBytes)
    if (code === 'Z_BUF_ERROR') throw new BodyError('truncated', `the ${coding} body ends early`)
    throw new BodyError('malformed', `the body is not ${coding}, which its content encoding says it is`)
  }
}

function decoderOf(coding: string, body: Buffer): (typeof decoders)['gzip'] | undefined {
  if (coding === 'gzip' || coding === 'x-gzip' || coding === 'br') return decoders[coding]
  // Servers mean either form by `deflate`; the zlib form begins with a byte whose low half is 8.
  if (coding === 'deflate') return (body[0]! & 0x0f) === 8 ? decoders.zlib : decoders.raw
  return undefined
}

function tooLarge(maxBytes: number): BodyError {
  return new BodyError('too_large', `the body is longer than ${maxBytes} bytes`)
}
