import { type LookupAddress, lookup as systemLookup } from 'node:dns'
import { createRequire } from 'node:module'
import type { LookupFunction, Socket } from 'node:net'
import type { buildConnector, Dispatcher, Pool } from 'undici'
import { LONGEST_TIMER_MS } from '../../model/source.js'
import type { Transport } from '../api.js'
import { isLocalAddress } from './redirects.js'

export interface HttpTransportOptions {
  /** URL of an HTTP proxy for all requests. */
  readonly proxy?: string | undefined
  /** For opening a connection, TLS included. Default 10,000. */
  readonly connectTimeoutMs?: number | undefined
  /** How names become addresses; given in tests. Default: the system's way. */
  readonly lookup?: LookupFunction | undefined
}

/** A name on the public network stands for an address inside this one. */
export class LocalAddressError extends Error {
  constructor(name: string, address: string) {
    super(`${name} stands for ${address}, an address inside this network`)
  }
}

export interface HttpTransport {
  readonly send: Transport
  /** Loads what the first request needs. Without it that is done by the first request. */
  prepare(): void
  /** Closes connections; those in use are cut. A later request opens new ones. */
  close(): Promise<void>
}

/**
 * Sends requests over connections that are kept alive and pooled by origin. Their number is whatever is in flight: the
 * client's limits decide. Redirects are answers like any other, bodies stay content-encoded, and a body that ends early
 * or contradicts its length is an error.
 */
export function httpTransport(options: HttpTransportOptions = {}): HttpTransport {
  let pool: Promise<Connections> | undefined
  const opened = (): Promise<Connections> => {
    pool ??= openPool(options)
    return pool
  }
  return {
    async send(request) {
      const { dispatcher, outward, ask } = await opened()
      const { origin, pathname, search } = new URL(request.url)
      const headersTimeout = Math.min(request.timeoutMs.headers, LONGEST_TIMER_MS)
      const patience = new Patience(headersTimeout)
      const asking = ask.call(request.publicOnly === true ? outward : dispatcher, {
        origin,
        path: `${pathname}${search}`,
        method: request.method as Dispatcher.HttpMethod,
        headers: request.headers,
        body: request.body ?? null,
        signal: request.signal,
        headersTimeout,
        bodyTimeout: Math.min(request.timeoutMs.body, LONGEST_TIMER_MS),
        onInfo: patience.check,
      })
      const answer = await asking.finally(() => patience.end())
      const headers = joined(answer.headers)
      const endsWithConnection = !tellsEnd(headers)
      return {
        status: answer.statusCode,
        headers,
        body: answer.body,
        ...(endsWithConnection && { endsWithConnection }),
      }
    },
    prepare() {
      // A failure is that of the first request.
      opened().catch(() => {})
    },
    async close() {
      const open = pool
      pool = undefined
      // Where it could not be opened, a request says so.
      const closing = await open?.catch(() => undefined)
      await Promise.all([closing?.dispatcher.destroy(), closing?.outward.destroy()])
    },
  }
}

interface Connections {
  readonly dispatcher: Dispatcher
  /** For requests that must not end inside this network; connections are never shared with the other. */
  readonly outward: Dispatcher
  readonly ask: Ask
}

type Ask = (this: Dispatcher, options: Dispatcher.RequestOptions) => Promise<Dispatcher.ResponseData>

/** Loaded when it is asked for: `import` of the library does not pay for it. */
async function openPool({ proxy, connectTimeoutMs = 10_000, lookup }: HttpTransportOptions): Promise<Connections> {
  const { Agent, connector, ask } = await loadUndici()
  const connecting = { timeout: connectTimeoutMs, ...(lookup && { lookup }) }
  if (proxy !== undefined) {
    // It is the proxy that looks names up.
    const dispatcher = await proxyAgent(proxy, connecting)
    return { dispatcher, outward: dispatcher, ask }
  }
  const agent = (options: buildConnector.BuildOptions): Dispatcher =>
    new Agent({ connect: strictConnector(connector(options)) })
  return {
    dispatcher: agent(connecting),
    outward: agent({ ...connecting, lookup: publicLookup(lookup ?? systemLookup) }),
    ask,
  }
}

async function proxyAgent(uri: string, connecting: buildConnector.BuildOptions): Promise<Dispatcher> {
  const { Pool, ProxyAgent } = await import('undici')
  return new ProxyAgent({
    uri,
    requestTls: connecting,
    proxyTls: connecting,
    factory(origin, options: Pool.Options) {
      const { connect } = options
      return new Pool(
        origin,
        typeof connect === 'function' ? { ...options, connect: strictConnector(connect) } : options,
      )
    },
  })
}

/** Parts of undici by the paths of its files, which are not promised to stay; a test says when they move. */
export const undiciPaths = {
  Agent: 'undici/lib/dispatcher/agent.js',
  connector: 'undici/lib/core/connect.js',
  ask: 'undici/lib/api/api-request.js',
} as const

/** What requests need of undici takes 25 ms to load, all of it 80: that is done where nothing is behind the paths. */
async function loadUndici(): Promise<UndiciParts> {
  const require = createRequire(import.meta.url)
  try {
    return {
      Agent: require(undiciPaths.Agent),
      connector: require(undiciPaths.connector),
      ask: require(undiciPaths.ask),
    }
  } catch (error) {
    if (!hasMoved(error)) throw error
    const { Agent, buildConnector, Dispatcher } = await import('undici')
    return { Agent, connector: buildConnector, ask: Dispatcher.prototype.request }
  }
}

function hasMoved(error: unknown): boolean {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  return code === 'MODULE_NOT_FOUND' || code === 'ERR_PACKAGE_PATH_NOT_EXPORTED'
}

interface UndiciParts {
  readonly Agent: typeof import('undici').Agent
  readonly connector: typeof import('undici').buildConnector
  readonly ask: Ask
}

/** Judges what a name stands for at the moment of connecting, so that no later answer can differ. */
function publicLookup(lookup: LookupFunction): LookupFunction {
  return (name, options, done) => {
    lookup(name, options, (error, found, family) => {
      const addresses: readonly Pick<LookupAddress, 'address'>[] = Array.isArray(found) ? found : [{ address: found }]
      const local = error ? undefined : addresses.find(({ address }) => isLocalAddress(address))
      if (local === undefined) done(error, found, family)
      else done(new LocalAddressError(name, local.address), '')
    })
  }
}

/** Each answer 1xx lets undici begin to wait anew, so the whole wait for an answer is measured here. */
class Patience {
  #isOver = false
  readonly #timer: NodeJS.Timeout

  constructor(timeoutMs: number) {
    this.#timer = setTimeout(() => {
      this.#isOver = true
    }, timeoutMs)
  }

  /** To be called with each answer 1xx. */
  readonly check = (): void => {
    if (this.#isOver) throw Object.assign(new Error('the answer is late'), { code: 'UND_ERR_HEADERS_TIMEOUT' })
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

/** Whether the end of a body is told by something other than the end of its connection. */
export function tellsEnd(headers: Readonly<Record<string, string>>): boolean {
  return headers['content-length'] !== undefined || /(?:^|,)\s*chunked\s*$/i.test(headers['transfer-encoding'] ?? '')
}

function joined(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const flat: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined) flat[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return flat
}

/**
 * Opens connections on which two things are as HTTP has them, and not as undici does: a reset is an error wherever it
 * comes (undici takes it for the end of a body that has no length), and `100 Continue` before an answer is nothing
 * (undici takes it for a broken connection).
 */
function strictConnector(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) => {
    connect(options, (...[error, socket]: Parameters<buildConnector.Callback>) => {
      if (error !== null || socket === null) {
        callback(error ?? new Error('no connection was opened'), null)
        return
      }
      watchResets(socket)
      skipContinue(socket)
      callback(null, socket)
    })
  }
}

/** Under this code undici lets an error be one, even behind a whole head. */
const RESET = 'UND_ERR_SOCKET'

function watchResets(socket: Socket): void {
  // Before undici listens itself.
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNRESET') error.code = RESET
  })
  const emit: (event: string | symbol, ...args: unknown[]) => boolean = socket.emit.bind(socket)
  socket.emit = (event: string | symbol, ...args: unknown[]) =>
    event === 'end' && wasReset(socket) ? false : emit(event, ...args)
}

/**
 * Where data and a reset come together, Node tells the end of the data and not the reset. Writing nothing fails then, and
 * the socket is destroyed with that error.
 */
function wasReset(socket: Socket): boolean {
  if (socket.destroyed || socket.writableEnded) return false
  socket.write('')
  return socket.errored !== null
}

const HEAD_END = Buffer.from('\r\n\r\n')
/** As long as heads are that undici takes. */
const LONGEST_HEAD = 16 << 10

/** Leaves `100 Continue` out of what is read from a socket. */
function skipContinue(socket: Socket): void {
  // Anything else that looks like one is part of a body.
  let isHeadNext = true
  let begun: Buffer = Buffer.alloc(0)
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  const read: (size?: number) => Buffer | null = socket.read.bind(socket)
  // The head of a request is written as text, its body as bytes.
  socket.write = (...args: unknown[]) => {
    if (typeof args[0] === 'string' && args[0] !== '') isHeadNext = true
    return write(...args)
  }
  socket.read = size => {
    for (;;) {
      const part = read(size)
      if (!isHeadNext || part === null) return part
      const bytes = begun.length === 0 ? part : Buffer.concat([begun, part])
      const rest = afterContinue(bytes)
      isHeadNext = rest === undefined || rest.length === 0
      begun = rest === undefined ? bytes : Buffer.alloc(0)
      if (rest !== undefined && rest.length > 0) return rest
    }
  }
}

/** What follows heads of `100 Continue` at the start of `bytes`; undefined where one may go on behind them. */
function afterContinue(bytes: Buffer): Buffer | undefined {
  let rest = bytes
  while (mayContinue(rest)) {
    const end = rest.indexOf(HEAD_END)
    if (end < 0) return rest.length > LONGEST_HEAD ? rest : undefined
    rest = rest.subarray(end + HEAD_END.length)
  }
  return rest
}

function mayContinue(bytes: Buffer): boolean {
  return /^(?:HTTP\/1\.\d 100|H|HT|HTT|HTTP|HTTP\/|HTTP\/1|HTTP\/1\.|HTTP\/1\.\d ?1?0?)$/.test(
    bytes.toString('latin1', 0, 12),
  )
}
