import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import type { RunEvent } from '../../src/model/events.js'
import type { RecordedResponse, ResponseIdentity, ResponseJournal } from '../../src/model/responses.js'
import type { Clock } from '../../src/model/source.js'
import type { ApiRequest, RetryPolicy } from '../../src/rest/api.js'
import type { SendOptions } from '../../src/rest/http/client.js'

export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface TestServer {
  readonly origin: string
  readonly seen: Seen[]
  close(): Promise<void>
}

/** An HTTP server that remembers what it was asked. */
export async function serve(
  answer: (request: Seen, response: ServerResponse, number: number) => void,
  host = '127.0.0.1',
): Promise<TestServer> {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', part => parts.push(part))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      const entry = { method, url, headers, body: Buffer.concat(parts).toString() }
      seen.push(entry)
      answer(entry, response, seen.length)
    })
  })
  const port = await listen(server, host)
  const close = (): Promise<void> =>
    new Promise(resolve => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { origin: `http://${host}:${port}`, seen, close }
}

/** A server that speaks whatever it likes once a request has come. */
export async function serveRaw(talk: (socket: Socket, number: number) => void): Promise<TestServer> {
  const open = new Set<Socket>()
  let number = 0
  const server = createTcpServer(socket => {
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
    socket.on('data', () => talk(socket, ++number))
  })
  const port = await listen(server, '127.0.0.1')
  return {
    origin: `http://127.0.0.1:${port}`,
    seen: [],
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        for (const socket of open) socket.destroy()
      }),
  }
}

function listen(server: Server, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, () => resolve((server.address() as AddressInfo).port))
  })
}

/** Time that passes only by sleeping. */
export function fakeClock(
  now = Date.parse('2026-01-01T00:00:00Z'),
  random = 0.5,
): Clock & { readonly slept: number[] } {
  const slept: number[] = []
  let at = now
  return {
    slept,
    now: () => at,
    random: () => random,
    async sleep(ms, signal) {
      signal?.throwIfAborted()
      slept.push(ms)
      at += ms
    },
  }
}

export function memoryJournal(): ResponseJournal & {
  readonly records: Map<string, RecordedResponse>
  readonly urls: string[]
} {
  const records = new Map<string, RecordedResponse>()
  const urls: string[] = []
  const key = (identity: ResponseIdentity): string => `${identity.resource} ${identity.request}`
  return {
    records,
    urls,
    lookup: async identity => records.get(key(identity)),
    async record(identity, response, { url }) {
      // A body is lent.
      records.set(key(identity), { ...response, body: Buffer.from(response.body) })
      urls.push(url)
    },
  }
}

export const quickPolicy: RetryPolicy = {
  attempts: 4,
  statuses: [429, 500, 502, 503, 504],
  onConnectionError: true,
  baseMs: 1000,
  factor: 2,
  maxDelayMs: 300_000,
  maxWaitMs: Number.POSITIVE_INFINITY,
  jitter: 'none',
}

export function get(url: string, more: Partial<ApiRequest> = {}): ApiRequest {
  return { method: 'GET', url, params: [], headers: {}, ...more }
}

let identities = 0

export function sending(
  origin: string,
  more: Partial<SendOptions> = {},
): SendOptions & { readonly events: RunEvent[]; readonly clock: Clock } {
  const events: RunEvent[] = []
  return {
    resource: 'plants',
    identity: { resource: 'plants', request: `request-${identities++}` },
    journal: memoryJournal(),
    authOrigins: [origin],
    signal: new AbortController().signal,
    clock: fakeClock(),
    emit: event => events.push(event),
    events,
    ...more,
  }
}
