import { createHash, type Hash } from 'node:crypto'
import { pipeline, Readable, type Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib'
import type { BodyPlace } from '../../model/responses.js'
import type { TransportResponse } from '../api.js'
import type { RowCutter } from '../body/rowCutter.js'
import {
  announcedLength,
  type BodyBounds,
  type BodyBuffers,
  BodyError,
  checkLength,
  decodingError,
  isGzip,
  isZlib,
  layersOf,
  type OwnedBody,
  paceOf,
  unknownCoding,
} from './responseBody.js'

/** How a body of rows is read. */
export interface PartsOptions extends BodyBounds {
  /** Undefined: the body can only be read whole. `beginning`: its first bytes. */
  readonly cutter: (beginning: Uint8Array) => RowCutter | undefined
  /** Where an earlier answer was read up to. What comes before it is compared with that, and left out. */
  readonly from?: BodyPlace | undefined
}

/** A body, or whole rows of a longer one. Without its rest being asked for, `release` ends the connection. */
export interface BodyPart extends OwnedBody {
  /** Undefined: nothing comes after it. */
  readonly rest?: BodyRest | undefined
}

export interface BodyRest {
  readonly place: BodyPlace
  /** The next part. Called once. */
  next(): Promise<BodyPart>
  /** Ends the connection. */
  close(): void
}

/** A longer body is cut into parts of about this size. While a part is read it is in memory several times. */
const PART_BYTES = 1 << 20

/** The first buffer of a body whose length is not known. */
const FIRST_BUFFER = 256 << 10

/** Bytes that show how a body is encoded and written. */
const BEGINNING = 64

/**
 * A body of rows without its content encoding, in parts that are bounded, whatever its length. Nothing is read while nobody
 * waits for a part. Rejects with a {@link BodyError}, or with the transport's error.
 */
export async function readParts(
  response: TransportResponse,
  options: PartsOptions,
  buffers: BodyBuffers,
): Promise<BodyPart> {
  return await new PartReader(response, options, buffers).next()
}

class PartReader {
  readonly #options: PartsOptions
  readonly #buffers: BodyBuffers
  readonly #source: AsyncIterator<Uint8Array>
  readonly #partBytes: number
  readonly #read: Hash = createHash('sha256')
  #readBytes = 0
  #buffer: Buffer<ArrayBuffer>
  #length = 0
  /** What was received and is not in the buffer. */
  #received: Uint8Array = new Uint8Array()
  #cutter: RowCutter | undefined
  /** What each part begins with. Undefined before the second part. */
  #head: Uint8Array | undefined
  #from: BodyPlace | undefined

  constructor(response: TransportResponse, options: PartsOptions, buffers: BodyBuffers) {
    this.#options = options
    this.#buffers = buffers
    this.#from = options.from
    this.#partBytes = Math.min(PART_BYTES, options.maxBytes >> 2)
    this.#source = decoded(response, options)[Symbol.asyncIterator]()
    const expected = announcedLength(response.headers) ?? FIRST_BUFFER
    this.#buffer = buffers.acquire(Math.min(expected + 1, this.#partBytes + FIRST_BUFFER))
  }

  async next(): Promise<BodyPart> {
    try {
      if (this.#from !== undefined) await this.#goTo(this.#from)
      this.#from = undefined
      for (let wanted = this.#partBytes; ; wanted = this.#length * 2) {
        if (await this.#endsBefore(wanted)) return this.#part(this.#length)
        this.#cutter ??= this.#options.cutter(this.#text())
        const { head, last } = this.#cutter?.(this.#text()) ?? {}
        if (head === undefined || last === undefined || last <= (this.#head?.length ?? 0)) continue
        this.#head ??= Uint8Array.from(this.#text().subarray(0, head))
        if (await this.#endsWith(last)) return this.#part(last)
        return this.#part(last, this.#head)
      }
    } catch (error) {
      this.close()
      this.#buffers.release(this.#buffer)
      throw error
    }
  }

  close(): void {
    // Its error, if any, is about something that nobody wants.
    this.#source.return?.().catch(() => undefined)
  }

  /** The first `length` bytes as a part. `head`: what the next part begins with. */
  #part(length: number, head?: Uint8Array): BodyPart {
    const buffer = this.#buffer
    const bytes = buffer.subarray(0, length)
    let isLent = true
    const release = (): void => {
      if (isLent) this.#buffers.release(buffer)
      isLent = false
    }
    if (head === undefined) return { bytes, release }
    const own = bytes.subarray(this.#readBytes === 0 ? 0 : head.length)
    this.#read.update(own)
    this.#readBytes += own.length
    const left = buffer.subarray(length, this.#length)
    this.#buffer = this.#buffers.acquire(Math.max(this.#partBytes + FIRST_BUFFER, head.length + left.length))
    this.#length = 0
    this.#add(head)
    this.#add(left)
    let isAsked = false
    const place = { bytes: this.#readBytes, digest: this.#digest(), head: head.length }
    const close = (): void => this.close()
    return {
      bytes,
      rest: {
        place,
        next: () => {
          isAsked = true
          return this.next()
        },
        close,
      },
      release: () => {
        release()
        if (!isAsked) close()
      },
    }
  }

  #digest(): string {
    return this.#read.copy().digest('hex')
  }

  #text(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Reads until there is more than `wanted`. Whether the body ends before that. */
  async #endsBefore(wanted: number): Promise<boolean> {
    while (this.#length <= wanted) if (!(await this.#readMore())) return true
    return false
  }

  /** Whether nothing but ends of lines comes after the first `length` bytes. */
  async #endsWith(length: number): Promise<boolean> {
    for (let at = length; ; ) {
      for (; at < this.#length; at++) if (this.#buffer[at] !== 0x0a && this.#buffer[at] !== 0x0d) return false
      if (!(await this.#readMore())) return true
    }
  }

  async #readMore(): Promise<boolean> {
    const bytes = await this.#take(this.#partBytes)
    if (bytes !== undefined) this.#add(bytes)
    return bytes !== undefined
  }

  /** At most so many bytes: a transport may give everything at once. Undefined at the end. */
  async #take(most: number): Promise<Uint8Array | undefined> {
    if (this.#received.length === 0) {
      const { done, value } = await this.#source.next()
      if (done === true) return undefined
      this.#received = value
    }
    const taken = this.#received.subarray(0, most)
    this.#received = this.#received.subarray(taken.length)
    return taken
  }

  #add(bytes: Uint8Array): void {
    const { maxBytes } = this.#options
    const length = this.#length + bytes.length
    if (length > maxBytes) throw tooLongRow(maxBytes, this.#cutter !== undefined)
    if (length > this.#buffer.length) {
      const larger = this.#buffers.acquire(Math.min(Math.max(length, this.#buffer.length * 2), maxBytes))
      larger.set(this.#text())
      this.#buffers.release(this.#buffer)
      this.#buffer = larger
    }
    this.#buffer.set(bytes, this.#length)
    this.#length = length
  }

  /** Goes to a place in the body. What comes before it must be what was read before. */
  async #goTo(place: BodyPlace): Promise<void> {
    const beginning = Buffer.alloc(Math.min(place.bytes, Math.max(place.head, BEGINNING)))
    while (this.#readBytes < place.bytes) {
      const known = await this.#take(place.bytes - this.#readBytes)
      if (known === undefined) throw otherBody(place, `has only ${this.#readBytes} bytes`)
      const missing = beginning.length - this.#readBytes
      if (missing > 0) beginning.set(known.subarray(0, missing), this.#readBytes)
      this.#read.update(known)
      this.#readBytes += known.length
    }
    if (this.#digest() !== place.digest) throw otherBody(place, 'begins with others')
    this.#cutter = this.#options.cutter(beginning)
    this.#head = beginning.subarray(0, place.head)
    this.#add(this.#head)
  }
}

function otherBody({ bytes }: BodyPlace, but: string): BodyError {
  const problem = `the answer was cut off after ${bytes} bytes had been read, and the answer to the same request ${but}`
  return new BodyError('changed', problem)
}

function tooLongRow(maxBytes: number, hasRows: boolean): BodyError {
  const most = `${maxBytes} bytes (${Math.floor(maxBytes / 2 ** 20)} MiB), the most that is taken into memory at once`
  return new BodyError(
    'too_large',
    hasRows ? `a row, or a line, is longer than ${most}` : `the body is longer than ${most}`,
  )
}

/** The body without its content encodings, and without that of a gzip file. */
async function* decoded(response: TransportResponse, bounds: BodyBounds): AsyncGenerator<Uint8Array> {
  const { headers } = response
  let parts: AsyncIterable<Uint8Array> = counted(response, bounds)
  for (const coding of layersOf(headers)) parts = unpacked(coding, parts)
  yield* gunzipped(parts)
}

/** Counts the bytes as transferred, and the time that is spent waiting for them. */
async function* counted(
  { body, headers }: TransportResponse,
  { timeoutMs, now }: BodyBounds,
): AsyncGenerator<Uint8Array> {
  const parts = body[Symbol.asyncIterator]()
  let spent = 0
  let bytes = 0
  const keepsPace = paceOf(timeoutMs, () => spent)
  let isOver = false
  try {
    for (;;) {
      const begun = now()
      const { done, value } = await parts.next()
      spent += now() - begun
      isOver = done === true
      if (done === true) break
      bytes += value.length
      keepsPace(bytes)
      yield value
    }
  } catch (error) {
    isOver = true
    throw (error as NodeJS.ErrnoException).code === 'ERR_STREAM_PREMATURE_CLOSE'
      ? new BodyError('truncated', 'the connection was closed before the body ended')
      : error
  } finally {
    if (!isOver) await parts.return?.()
  }
  checkLength(bytes, announcedLength(headers))
}

/** A body that is a gzip file is unpacked, others stay. */
async function* gunzipped(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { beginning, all } = await begun(parts)
  yield* isGzip(beginning) ? unpacked('gzip', all) : all
}

async function* unpacked(coding: string, parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { beginning, all } = await begun(parts)
  // An empty body is empty in every encoding.
  if (beginning.length === 0) return
  const decoder = decoderOf(coding, beginning)
  if (decoder === undefined) throw unknownCoding(coding)
  let cause: unknown
  const source = Readable.from(failing(all, error => (cause = error)))
  // Errors come out of the decoder.
  pipeline(source, decoder, () => undefined)
  try {
    yield* decoder
  } catch (error) {
    throw cause ?? decodingError(coding, error)
  }
}

/** Tells of an error before it is thrown. */
async function* failing(
  parts: AsyncIterable<Uint8Array>,
  failed: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* parts
  } catch (error) {
    failed(error)
    throw error
  }
}

/** Output of a decoder at a time. */
const DECODED_BYTES = 256 << 10

function decoderOf(coding: string, beginning: Uint8Array): Transform | undefined {
  const options = { chunkSize: DECODED_BYTES }
  if (coding === 'gzip' || coding === 'x-gzip') return createGunzip(options)
  if (coding === 'br') return createBrotliDecompress(options)
  if (coding === 'deflate') return isZlib(beginning) ? createInflate(options) : createInflateRaw(options)
  return undefined
}

/** The first bytes, and all of them. */
async function begun(
  parts: AsyncIterable<Uint8Array>,
): Promise<{ readonly beginning: Uint8Array; readonly all: AsyncIterable<Uint8Array> }> {
  const iterator = parts[Symbol.asyncIterator]()
  const first: Uint8Array[] = []
  let length = 0
  while (length < BEGINNING) {
    const { done, value } = await iterator.next()
    if (done === true) break
    first.push(value)
    length += value.length
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* first.splice(0)
    yield* { [Symbol.asyncIterator]: () => iterator }
  }
  return { beginning: Buffer.concat(first), all: all() }
}
