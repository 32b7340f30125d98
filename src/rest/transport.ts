import type { Dispatcher } from 'undici'
import type { Transport } from './types.js'

export interface HttpTransportOptions {
  /** URL of an HTTP proxy for all requests. */
  readonly proxy?: string | undefined
  /** For opening a connection, TLS included. Default 10,000. */
  readonly connectTimeoutMs?: number | undefined
}

export interface HttpTransport {
  readonly send: Transport
  /** Closes connections; those in use are cut. A later request opens new ones. */
  close(): Promise<void>
}

/**
 * Sends requests over connections that are kept alive and pooled by origin. Their number is whatever is in flight: the
 * client's limits decide. Redirects are answers like any other, bodies stay content-encoded, and a body that ends early
 * or contradicts its length is an error.
 */
export function httpTransport(options: HttpTransportOptions = {}): HttpTransport {
  let pool: Promise<Pool> | undefined
  return {
    async send(request) {
      pool ??= openPool(options)
      const { dispatcher, undici } = await pool
      const answer = await undici.request(request.url, {
        dispatcher,
        method: request.method as Dispatcher.HttpMethod,
        headers: request.headers,
        body: request.body ?? null,
        signal: request.signal,
        headersTimeout: request.timeoutMs.headers,
        bodyTimeout: request.timeoutMs.body,
      })
      return { status: answer.statusCode, headers: joined(answer.headers), body: answer.body }
    },
    async close() {
      const open = pool
      pool = undefined
      await (await open)?.dispatcher.destroy()
    },
  }
}

interface Pool {
  readonly dispatcher: Dispatcher
  readonly undici: typeof import('undici')
}

/** Loaded with the first request: a run that asks nothing does not pay for it. */
async function openPool({ proxy, connectTimeoutMs = 10_000 }: HttpTransportOptions): Promise<Pool> {
  const undici = await import('undici')
  const connect = { timeout: connectTimeoutMs }
  const dispatcher =
    proxy === undefined
      ? new undici.Agent({ connect })
      : new undici.ProxyAgent({ uri: proxy, requestTls: connect, proxyTls: connect })
  return { dispatcher, undici }
}

function joined(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const flat: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined) flat[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return flat
}
