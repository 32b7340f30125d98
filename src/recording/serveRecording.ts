import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { portError } from '../model/errors.js'
import type { Recording } from './recordingFile.js'
import { AnswerQueues, notRecorded } from './replayTransport.js'

export interface ServeOptions {
  /** Default 0: a free one. */
  readonly port?: number | undefined
  /** Requests without any credential are answered 401. */
  readonly needsAuth?: boolean | undefined
  /** Each request fails once, with 429 and 500 in turn. */
  readonly faults?: boolean | undefined
}

/** An API on this machine that serves a recording. */
export interface ServedRecording {
  /** As in `http://127.0.0.1:8080`. Paths are those of the recorded API. */
  readonly origin: string
  close(): Promise<void>
}

/** A request with a larger body is refused. */
const MOST_BODY_BYTES = 2 ** 24

/**
 * Serves recorded answers on 127.0.0.1. Addresses of the recorded API in answers lead to this server. A request that was
 * not recorded gets a 404 that names the nearest one. Throws a ConfigError if the port is taken.
 */
export async function serveRecording(recording: Recording, options: ServeOptions = {}): Promise<ServedRecording> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => reject(portError(error, { port: options.port ?? 0 })))
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const api = new RecordedApi(recording, host, options)
  server.on('request', (request, response) => void api.answer(request, response).catch(() => response.destroy()))
  return {
    origin: `http://${host}`,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

class RecordedApi {
  readonly #host: string
  readonly #options: ServeOptions
  readonly #queues: AnswerQueues
  readonly #origins: readonly string[]
  readonly #signed: ReadonlySet<string>
  readonly #failed = new Set<string>()

  constructor({ exchanges }: Recording, host: string, options: ServeOptions) {
    this.#host = host
    this.#options = options
    this.#origins = [...new Set(exchanges.map(({ url }) => new URL(url).origin))]
    this.#signed = new Set(exchanges.flatMap(({ signed }) => signed))
    this.#queues = new AnswerQueues(
      exchanges.map(exchange => ({ ...exchange, url: this.#here(exchange.url) })),
      text => text,
    )
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const port = this.#host.split(':')[1]
    // A name that stands for this machine belongs to a page of somebody else.
    if (request.headers.host !== this.#host && request.headers.host !== `localhost:${port}`)
      return told(response, 403, `this server answers ${this.#host} alone`)
    const body = await bodyOf(request)
    if (body === undefined) return told(response, 413, 'the body is too large')
    const url = this.#asked(request.url ?? '/')
    if (url === undefined) return told(response, 400, 'the request line names no address that can be read')
    const isSigned =
      request.headers.authorization !== undefined ||
      request.headers.cookie !== undefined ||
      [...this.#signed].some(name => url.searchParams.has(name)) ||
      Object.keys(request.headers).some(name => /api-?key|token/.test(name))
    for (const name of this.#signed) url.searchParams.delete(name)
    const asked = { method: request.method ?? 'GET', url: url.href, ...(body !== '' && { body }) }
    const bySigner = this.#queues.peek(asked, false) === undefined && this.#queues.peek(asked, true) !== undefined
    const found = this.#queues.peek(asked, bySigner)
    const key = `${asked.method} ${url.pathname}${url.search}`
    if (found === undefined) return told(response, 404, notRecorded(key, this.#queues.known(false)))
    if (this.#options.needsAuth === true && !isSigned && !bySigner)
      return told(response, 401, 'this request has no credential')
    if (this.#options.faults === true && !this.#failed.has(key)) {
      this.#failed.add(key)
      return told(response, this.#failed.size % 2 === 1 ? 429 : 500, 'a fault; ask again', { 'retry-after': '0' })
    }
    this.#queues.take(asked, bySigner)
    const { status, headers, body: content } = found.answer
    const kept = Object.entries(headers).filter(([name]) => name !== 'x-sluice-mask')
    response.writeHead(status, Object.fromEntries(kept.map(([name, value]) => [name, this.#here(value)])))
    response.end(Buffer.from(this.#here(Buffer.from(content).toString('latin1')), 'latin1'))
  }

  /** The address of a request line: a path, which may begin with two slashes, or a whole address. */
  #asked(target: string): URL | undefined {
    const address = target.startsWith('/') ? `http://${this.#host}${target}` : target
    return URL.canParse(address) ? new URL(address) : undefined
  }

  /** The text with addresses of the recorded API that lead here. */
  #here(text: string): string {
    return this.#origins.reduce((all, origin) => all.replaceAll(origin, `http://${this.#host}`), text)
  }
}

function told(
  response: ServerResponse,
  status: number,
  error: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers })
  response.end(`${JSON.stringify({ error })}\n`)
}

/** Undefined if it is too large. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > MOST_BODY_BYTES) return undefined
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}
