import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { featureFlag, feedback, toJson } from './records.js'

/** The most records a page ever has, whatever `limit` asks for. */
const LARGEST_PAGE = 100

export interface DemoOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number
  /** What `api_key` in the query must be. */
  readonly apiKey: string
  /** Records in the first revision. Default: 1,250 feature flags, 3,000 feedback records. */
  readonly records?: { readonly featureFlags?: number; readonly feedback?: number }
  /** Asked before each answer to an authorised request; nothing means a good answer. */
  readonly faults?: (request: DemoRequest) => Fault | undefined
}

/** A request as the server saw it, without the key. */
export interface DemoRequest {
  readonly method: string
  readonly path: string
  readonly offset: number
  readonly limit: number
  /** How often this page of this revision was asked for, this time included. */
  readonly attempt: number
}

interface AnsweredRequest extends DemoRequest {
  /** 0 where the connection was cut. */
  readonly status: number
}

export type Fault =
  | { readonly kind: 'rate_limited'; readonly retryAfterSeconds: number }
  | { readonly kind: 'status'; readonly status: number }
  /** The right answer, late. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** The connection breaks in the middle of the body. */
  | { readonly kind: 'cut' }

export interface DemoApi {
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly url: string
  /** Every answered request, in order of the answers. */
  readonly requests: readonly AnsweredRequest[]
  /** Moves on to the next revision: one record of twenty has changed, some are new, and new fields have appeared. */
  advance(): void
  /** Closes the server and every connection to it. */
  close(): Promise<void>
}

/** Records added by each further revision. */
const NEW_RECORDS = { featureFlags: 40, feedback: 250 }

/** Serves `GET /v1/feature_flags` and `GET /v1/feedback` on 127.0.0.1, with offset pagination and a key in the query. */
export async function startDemoApi(options: DemoOptions): Promise<DemoApi> {
  const { records = {}, faults = () => undefined } = options
  const first = { featureFlags: records.featureFlags ?? 1_250, feedback: records.feedback ?? 3_000 }
  const requests: AnsweredRequest[] = []
  const attempts = new Map<string, number>()
  let revision = 1

  const lists: Readonly<Record<string, { readonly key: string; total(): number; record(index: number): unknown }>> = {
    '/v1/feature_flags': {
      key: 'items',
      total: () => first.featureFlags + (revision - 1) * NEW_RECORDS.featureFlags,
      record: index => featureFlag(index, revision),
    },
    '/v1/feedback': {
      key: 'data',
      total: () => first.feedback + (revision - 1) * NEW_RECORDS.feedback,
      record: index => feedback(index, revision),
    },
  }

  const answer = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(incoming.url ?? '/', 'http://demo')
    const offset = wholeNumber(url.searchParams.get('offset'), 0)
    const limit = Math.min(wholeNumber(url.searchParams.get('limit'), LARGEST_PAGE), LARGEST_PAGE)
    const page = `${url.pathname} ${offset} ${limit} ${revision}`
    const attempt = (attempts.get(page) ?? 0) + 1
    const request: DemoRequest = { method: incoming.method ?? 'GET', path: url.pathname, offset, limit, attempt }
    const finish = (status: number, body: string, headers: Readonly<Record<string, string>> = {}): void => {
      requests.push({ ...request, status })
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
    }
    const list = lists[url.pathname]
    if (list === undefined) return finish(404, JSON.stringify({ error: 'not_found', path: url.pathname }))
    if (request.method !== 'GET') return finish(405, JSON.stringify({ error: 'method_not_allowed' }), { allow: 'GET' })
    if (url.searchParams.get('api_key') !== options.apiKey) {
      return finish(401, JSON.stringify({ error: 'unauthorized', message: 'api_key is missing or not valid' }))
    }
    attempts.set(page, attempt)
    const fault = faults(request)
    if (fault?.kind === 'rate_limited') {
      const headers = { 'retry-after': String(fault.retryAfterSeconds) }
      return finish(429, JSON.stringify({ error: 'rate_limited', message: 'too many requests' }), headers)
    }
    if (fault?.kind === 'status') return finish(fault.status, JSON.stringify({ error: 'unavailable' }))

    const total = list.total()
    const rows = Array.from({ length: Math.max(0, Math.min(limit, total - offset)) }, (_, row) =>
      list.record(offset + row),
    )
    const body = toJson({ [list.key]: rows, total, offset, limit })
    if (fault?.kind === 'slow') await new Promise(resolve => setTimeout(resolve, fault.delayMs))
    if (fault?.kind !== 'cut') return finish(200, body)
    requests.push({ ...request, status: 0 })
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) })
    response.write(body.slice(0, body.length / 2), () => response.destroy())
  }

  const sockets = new Set<Socket>()
  const server = createServer((incoming, response) => {
    answer(incoming, response).catch(error => response.destroy(error instanceof Error ? error : undefined))
  })
  server.on('connection', socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    advance: () => {
      revision += 1
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/**
 * What goes wrong with a real API on an ordinary day: one page in each revision is rate limited, one answered by 503,
 * one cut in the middle, one slow. Every page is right when asked again.
 */
export function ordinaryFaults({ offset, path, attempt }: DemoRequest): Fault | undefined {
  if (attempt > 1) return undefined
  if (path === '/v1/feature_flags') {
    if (offset === 300) return { kind: 'status', status: 503 }
    if (offset === 700) return { kind: 'slow', delayMs: 150 }
    return undefined
  }
  if (offset === 500) return { kind: 'rate_limited', retryAfterSeconds: 1 }
  if (offset === 1_200) return { kind: 'cut' }
  return undefined
}

function wholeNumber(text: string | null, standard: number): number {
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : standard
}
