import { type LookupAddress, lookup as systemLookup } from 'node:dns'
import { createRequire } from 'node:module'
import type { LookupFunction, Socket } from 'node:net'
import type { buildConnector, Dispatcher, Pool } from 'undici'
import { ownPlace } from '../../model/runtime/ownPlace.js'
import { reveal } from '../../model/secrets/secret.js'
import { LONGEST_TIMER_MS } from '../../model/source.js'
import type { ClientCertificate, Transport } from '../api.js'
import { type HttpProxy, type Proxies, proxyFor } from './proxies.js'
import { isLocalAddress } from './redirects.js'
import { untraced } from './untraced.js'
import { tellsEnd } from './wire.js'

export interface HttpTransportOptions {
  /** Default: none. */
  readonly proxies?: Proxies | undefined
  /** Time to open a connection, including TLS. Default 10,000. */
  readonly connectTimeoutMs?: number | undefined
  /** Resolves host names; tests replace it. Default: the system's resolver. */
  readonly lookup?: LookupFunction | undefined
}

/** A name on the public network has an address inside this one. */
export class LocalAddressError extends Error {
  constructor(name: string, address: string) {
    super(`${name} stands for ${address}, an address inside this network`)
  }
}

/** A request failed on its way through a proxy. */
export class ProxyError extends Error {
  /** As in `proxy.example.com:3128`. */
  readonly proxy: string
  /** The proxy's answer, if it did not open a tunnel. */
  readonly refusal: number | undefined

  constructor(proxy: string, cause: unknown) {
    const text = cause instanceof Error ? cause.message : String(cause)
    super(text, { cause })
    this.proxy = proxy
    const [, tunnel, status = tunnel] =
      /Proxy response \((\d+)\)|Proxy Authentication Required \((407)\)/.exec(text) ?? []
    this.refusal = status === undefined ? undefined : Number(status)
  }
}

export interface HttpTransport {
  readonly send: Transport
  /** Loads what the first request needs. Otherwise the first request does it. */
  prepare(): void
  /** Closes all connections, also those in use. A later request opens new ones. */
  close(): Promise<void>
}

/**
 * Sends requests over keep-alive connections, pooled by origin. There are as many as requests in flight, which the
 * client limits. Redirects are returned like other answers, and bodies stay content-encoded. A body that ends early or
 * contradicts its length is an error.
 */
export function httpTransport(options: HttpTransportOptions = {}): HttpTransport {
  const pools = new Map<ClientCertificate | undefined, Map<HttpProxy | undefined, Promise<Connections>>>()
  const opened = (proxy?: HttpProxy, certificate?: ClientCertificate): Promise<Connections> => {
    const byProxy = pools.get(certificate) ?? new Map<HttpProxy | undefined, Promise<Connections>>()
    pools.set(certificate, byProxy)
    const pool = byProxy.get(proxy) ?? openPool(options, proxy, certificate)
    byProxy.set(proxy, pool)
    return pool
  }
  return {
    async send(request) {
      const { origin, pathname, search, hostname } = new URL(request.url)
      const proxy = options.proxies === undefined ? undefined : proxyFor(request.url, options.proxies)
      const { dispatcher, outward, ask } = await opened(proxy, request.certificate)
      if (proxy !== undefined && request.publicOnly === true) await checkPublic(hostname, options.lookup)
      const headersTimeout = Math.min(request.timeoutMs.headers, LONGEST_TIMER_MS)
      const patience = new Patience(headersTimeout)
      const asking = untraced(() =>
        ask.call(request.publicOnly === true ? outward : dispatcher, {
          origin,
          path: `${pathname}${search}`,
          method: request.method as Dispatcher.HttpMethod,
          headers: request.headers,
          body: request.body ?? null,
          signal: request.signal,
          headersTimeout,
          bodyTimeout: Math.min(request.timeoutMs.body, LONGEST_TIMER_MS),
          onInfo: patience.check,
        }),
      )
      const answer = await asking
        .catch((error: unknown) => {
          throw proxy === undefined || request.signal.aborted ? error : new ProxyError(new URL(proxy.url).host, error)
        })
        .finally(() => patience.end())
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
      // The first request reports the failure.
      opened().catch(() => {})
    },
    async close() {
      const open = [...pools.values()].flatMap(byProxy => [...byProxy.values()])
      pools.clear()
      // If opening failed, a request reports it.
      const closing = await Promise.all(open.map(pool => pool.catch(() => undefined)))
      await Promise.all(closing.flatMap(pool => [pool?.dispatcher.destroy(), pool?.outward.destroy()]))
    },
  }
}

interface Connections {
  readonly dispatcher: Dispatcher
  /** For requests that must not reach this network. Its connections are never shared with `dispatcher`. */
  readonly outward: Dispatcher
  readonly ask: Ask
}

type Ask = (this: Dispatcher, options: Dispatcher.RequestOptions) => Promise<Dispatcher.ResponseData>

/** Loaded on first use, so that importing the library stays fast. */
async function openPool(
  { connectTimeoutMs = 10_000, lookup }: HttpTransportOptions,
  proxy: HttpProxy | undefined,
  certificate: ClientCertificate | undefined,
): Promise<Connections> {
  const { Agent, connector, ask } = await loadUndici()
  const connecting = { timeout: connectTimeoutMs, ...(lookup && { lookup }) }
  const identity = identityOf(certificate)
  if (proxy !== undefined) {
    // The proxy resolves the names.
    const dispatcher = await proxyAgent(proxy, connecting, identity)
    return { dispatcher, outward: dispatcher, ask }
  }
  const agent = (options: buildConnector.BuildOptions): Dispatcher =>
    new Agent({ connect: strictConnector(connector(options)) })
  return {
    dispatcher: agent({ ...connecting, ...identity }),
    outward: agent({ ...connecting, ...identity, lookup: publicLookup(lookup ?? systemLookup) }),
    ask,
  }
}

/** As TLS takes it. */
function identityOf(certificate: ClientCertificate | undefined): buildConnector.BuildOptions {
  if (certificate === undefined) return {}
  const { cert, key, passphrase, ca } = certificate
  return {
    cert,
    key: reveal(key),
    ...(passphrase !== undefined && { passphrase: reveal(passphrase) }),
    ...(ca !== undefined && { ca }),
  }
}

async function proxyAgent(
  { url, authorization }: HttpProxy,
  connecting: buildConnector.BuildOptions,
  identity: buildConnector.BuildOptions,
): Promise<Dispatcher> {
  const { Pool, ProxyAgent } = await import('undici')
  return new ProxyAgent({
    uri: url,
    ...(authorization !== undefined && { token: reveal(authorization) }),
    // Many proxies open tunnels for https alone.
    proxyTunnel: false,
    requestTls: { ...connecting, ...identity },
    // The certificate is for the API alone.
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

/** Paths of files inside undici. They are not guaranteed to stay; a test fails when they move. */
export const undiciPaths = {
  Agent: 'undici/lib/dispatcher/agent.js',
  connector: 'undici/lib/core/connect.js',
  ask: 'undici/lib/api/api-request.js',
} as const

/** These parts of undici load in 25 ms, all of undici in 80. All of it is loaded only if the paths are gone. */
async function loadUndici(): Promise<UndiciParts> {
  const require = createRequire(ownPlace())
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

/** Checks the address at the moment of connecting, so that no later lookup can differ. */
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

/**
 * A proxy looks the name up itself. Where this machine can do so too, an address inside the network is refused here.
 */
function checkPublic(name: string, lookup: LookupFunction = systemLookup): Promise<void> {
  return new Promise((resolve, reject) => {
    publicLookup(lookup)(name, { all: true }, error => {
      if (error instanceof LocalAddressError) reject(error)
      else resolve()
    })
  })
}

/** Each 1xx answer restarts undici's timeout, so the whole wait for an answer is measured here. */
class Patience {
  #isOver = false
  readonly #timer: NodeJS.Timeout

  constructor(timeoutMs: number) {
    this.#timer = setTimeout(() => {
      this.#isOver = true
    }, timeoutMs)
  }

  /** Call it with each 1xx answer. */
  readonly check = (): void => {
    if (this.#isOver) throw Object.assign(new Error('the answer is late'), { code: 'UND_ERR_HEADERS_TIMEOUT' })
  }

  end(): void {
    clearTimeout(this.#timer)
  }
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
 * Opens connections that follow HTTP in two points where undici does not. A reset is always an error (undici takes it
 * for the end of a body without a length). `100 Continue` before an answer is ignored (undici takes it for a broken
 * connection).
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

/** With this code undici reports the error even after a complete head. */
const RESET = 'UND_ERR_SOCKET'

function watchResets(socket: Socket): void {
  // Registered before undici's own listener.
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNRESET') error.code = RESET
  })
  const emit: (event: string | symbol, ...args: unknown[]) => boolean = socket.emit.bind(socket)
  socket.emit = (event: string | symbol, ...args: unknown[]) =>
    event === 'end' && wasReset(socket) ? false : emit(event, ...args)
}

/**
 * If data and a reset arrive together, Node reports the end of the data but not the reset. An empty write then fails,
 * and the socket is destroyed with that error.
 */
function wasReset(socket: Socket): boolean {
  if (socket.destroyed || socket.writableEnded) return false
  socket.write('')
  return socket.errored !== null
}

const HEAD_END = Buffer.from('\r\n\r\n')
/** The longest head that undici accepts. */
const LONGEST_HEAD = 16 << 10

/** Removes `100 Continue` from what is read from a socket. */
function skipContinue(socket: Socket): void {
  // Elsewhere, text that looks like it is part of a body.
  let isHeadNext = true
  let begun: Buffer = Buffer.alloc(0)
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  const read: (size?: number) => Buffer | null = socket.read.bind(socket)
  // A request's head is written as text, its body as bytes.
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

/** The bytes after any `100 Continue` heads at the start. Undefined if such a head may not be complete yet. */
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
