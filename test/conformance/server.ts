import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Exchange, SeenRequest } from './case.js'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type Pair = readonly [string, string]

/** Two origins that answer from a list of exchanges and write down what they were asked. */
export interface CaseServer {
  /** Puts real origins in place of `{{BASE}}`, `{{OTHER}}` and `{{OTHER_HOST}}`. */
  substitute(text: string): string
  /** The reverse, for messages and values that are compared. */
  restore(text: string): string
  reset(exchanges: readonly Exchange[], maxRequests: number): void
  readonly requests: readonly SeenRequest[]
  close(): Promise<void>
}

export async function startCaseServer(): Promise<CaseServer> {
  let left: { exchange: Exchange; uses: number }[] = []
  let requests: SeenRequest[] = []
  let maxRequests = 60
  const servers = await Promise.all(
    (['base', 'other'] as const).map(label => listen((req, res) => answer(label, req, res))),
  )
  const [base, other] = servers.map(server => `127.0.0.1:${(server.address() as AddressInfo).port}`) as [string, string]
  const substitute = (text: string): string =>
    text
      .replaceAll('{{BASE}}', `http://${base}`)
      .replaceAll('{{OTHER}}', `http://${other}`)
      .replaceAll('{{OTHER_HOST}}', other)
  const restore = (text: string): string =>
    text
      .replaceAll(`http://${base}`, '{{BASE}}')
      .replaceAll(`http://${other}`, '{{OTHER}}')
      .replaceAll(other, '{{OTHER_HOST}}')

  async function answer(label: 'base' | 'other', req: IncomingMessage, res: ServerResponse): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of req) parts.push(part as Buffer)
    const seen = describe(label, req, Buffer.concat(parts), restore)
    if (requests.length >= maxRequests)
      return respond(res, { status: 410, json: { error: 'max_requests of the case reached' } })
    const entry = left.find(
      candidate => candidate.uses > 0 && matches(candidate.exchange, label, seen, req, substitute),
    )
    if (entry !== undefined) entry.uses -= 1
    const response = entry?.exchange.response ?? { status: 404, json: { error: 'no exchange matches' } }
    requests.push({
      ...seen,
      ...(entry === undefined ? { unmatched: true } : {}),
      status: response.drop ? 'drop' : (response.status ?? 200),
    })
    if (response.delay_ms !== undefined) await sleep(response.delay_ms)
    respond(res, response)
  }

  function respond(res: ServerResponse, response: Exchange['response']): void {
    if (response.drop) {
      res.socket?.destroy()
      return
    }
    const text = response.json !== undefined ? JSON.stringify(response.json) : (response.text ?? '')
    const body = Buffer.from(substitute(text))
    const names = new Set(Object.keys(response.headers ?? {}).map(name => name.toLowerCase()))
    const headers: Record<string, string> = {}
    if (!names.has('content-type') && (body.length > 0 || response.json !== undefined))
      headers['Content-Type'] = 'application/json'
    for (const [name, value] of Object.entries(response.headers ?? {})) headers[name] = substitute(value)
    res.writeHead(response.status ?? 200, headers)
    res.end(response.status === 204 ? undefined : body)
  }

  return {
    substitute,
    restore,
    reset(exchanges, max) {
      left = exchanges.map(exchange => ({
        exchange,
        uses: exchange.times === 'any' ? Number.POSITIVE_INFINITY : (exchange.times ?? 1),
      }))
      requests = []
      maxRequests = max
    },
    get requests() {
      return requests
    },
    async close() {
      for (const server of servers) {
        server.closeAllConnections()
        server.close()
      }
    },
  }
}

async function listen(handler: (req: IncomingMessage, res: ServerResponse) => Promise<void>): Promise<Server> {
  const server = createServer((req, res) => {
    handler(req, res).catch(error => res.destroy(error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function describe(
  label: string,
  req: IncomingMessage,
  raw: Buffer,
  restore: (text: string) => string,
): Omit<SeenRequest, 'status'> {
  const target = req.url ?? '/'
  const cut = target.indexOf('?')
  const seen: Partial<Mutable<SeenRequest>> = {
    method: req.method ?? 'GET',
    path: cut < 0 ? target : target.slice(0, cut),
  }
  if (label !== 'base') seen.origin = label
  const query = cut < 0 ? [] : pairs(target.slice(cut + 1))
  if (query.length > 0) seen.query = query.map(([name, value]) => [name, restore(value)])
  seen.headers = Object.fromEntries(Object.entries(req.headers).map(([name, value]) => [name, String(value)]))
  if (raw.length > 0) {
    const type = req.headers['content-type'] ?? ''
    if (type.startsWith('application/json')) seen.json = JSON.parse(raw.toString())
    else if (type.startsWith('application/x-www-form-urlencoded')) seen.form = pairs(raw.toString())
    else seen.text = raw.toString()
  }
  return seen as Omit<SeenRequest, 'status'>
}

function pairs(query: string): Pair[] {
  return [...new URLSearchParams(query)] as Pair[]
}

function matches(
  { request: want }: Exchange,
  label: string,
  seen: Omit<SeenRequest, 'status'>,
  req: IncomingMessage,
  substitute: (text: string) => string,
): boolean {
  if ((want.origin ?? 'base') !== label || (want.method ?? 'GET') !== seen.method) return false
  if (!isDeepStrictEqual(segments(want.path), segments(seen.path))) return false
  if (
    want.query !== 'any' &&
    !samePairs(wantedPairs(want.query ?? {}), pairs((req.url ?? '').split('?').slice(1).join('?')))
  )
    return false
  for (const [name, value] of Object.entries(want.headers ?? {}))
    if ((req.headers[name] ?? null) !== (value === null ? null : substitute(value))) return false
  if (want.json !== undefined && !isDeepStrictEqual(seen.json, want.json)) return false
  if (want.form !== undefined && (seen.form === undefined || !samePairs(wantedPairs(want.form), seen.form)))
    return false
  return want.text === undefined || seen.text === want.text
}

function segments(path: string): string[] {
  return path.split('/').map(segment => {
    try {
      return decodeURIComponent(segment)
    } catch {
      return segment
    }
  })
}

function wantedPairs(wanted: Readonly<Record<string, unknown>> | readonly (readonly [string, string])[]): Pair[] {
  const entries = Array.isArray(wanted) ? (wanted as readonly (readonly [string, unknown])[]) : Object.entries(wanted)
  return entries.flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map(one => [name, String(one)] as Pair),
  )
}

export function samePairs(
  a: readonly (readonly [string, string])[],
  b: readonly (readonly [string, string])[],
): boolean {
  const sorted = (list: readonly (readonly [string, string])[]): string[] =>
    list.map(pair => JSON.stringify(pair)).sort()
  return isDeepStrictEqual(sorted(a), sorted(b))
}
