import { LONGEST_TIMER_MS } from '../../model/source.js'
import type { Transport, TransportRequest } from '../api.js'
import { tellsEnd } from './wire.js'

/** The part of `fetch` that is used: any function that takes a URL and an init and returns a `Response`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/**
 * Sends requests with a `fetch` function: a wrapped one, one from a library, or one for a test. `fetch` decodes
 * bodies, so headers about the encoded body are removed. `fetch` is told not to follow redirects. Sluice does
 * so itself, without credentials on other origins. A cancelled request ends with the signal's reason. A late one ends
 * with an error that is retried as a timeout.
 *
 * @example
 * ```ts
 * import { duckdb, fetchTransport, pipeline, restApi } from 'sluice'
 *
 * const transport = fetchTransport((url, init) => {
 *   console.log(init.method, url)
 *   return fetch(url, init)
 * })
 * const source = restApi({ client: { base_url: 'https://api.example.com', transport }, resources: ['shops'] })
 * await pipeline({ name: 'shops', source, destination: duckdb('shops.duckdb') }).run()
 * ```
 */
export function fetchTransport(fetch: Fetch): Transport {
  return async request => {
    const { method, url, headers, body, certificate } = request
    if (certificate !== undefined)
      throw new TypeError('a transport by `fetch` shows no certificate; leave out `transport`')
    const deadline = new Deadline(request)
    try {
      deadline.start(request.timeoutMs.headers, 'UND_ERR_HEADERS_TIMEOUT')
      const signal = deadline.signal
      const init = { method, headers, redirect: 'manual', signal, ...(body === undefined ? {} : { body }) } as const
      const answer = await deadline.watch(fetch(url, init))
      return {
        status: answer.status,
        headers: headersOf(answer),
        body: bodyOf(answer, request, deadline),
        endsWithConnection: answer.url !== '' && !tellsEnd(Object.fromEntries(answer.headers)),
      }
    } finally {
      deadline.stop()
    }
  }
}

/** Headers about the encoded body, which `fetch` has decoded. */
const ENCODED = new Set(['content-encoding', 'content-length', 'transfer-encoding'])

function headersOf({ headers }: Response): Record<string, string> {
  const flat: Record<string, string> = {}
  headers.forEach((value, name) => {
    if (!ENCODED.has(name)) flat[name] = flat[name] === undefined ? value : `${flat[name]}, ${value}`
  })
  return flat
}

async function* bodyOf({ body }: Response, { timeoutMs }: TransportRequest, deadline: Deadline) {
  if (body === null) return
  const reader = body.getReader()
  try {
    for (;;) {
      deadline.start(timeoutMs.body, 'UND_ERR_BODY_TIMEOUT')
      const part = await deadline.watch(reader.read())
      if (part.done) return
      yield part.value
    }
  } finally {
    deadline.stop()
    await reader.cancel().catch(() => {})
  }
}

/** Cancels one request when it times out or when the run is cancelled. */
class Deadline {
  readonly #late = new AbortController()
  readonly #ended: Promise<never>
  #timer: NodeJS.Timeout | undefined
  readonly signal: AbortSignal

  constructor({ signal }: TransportRequest) {
    this.signal = AbortSignal.any([signal, this.#late.signal])
    this.#ended = new Promise((_resolve, reject) => {
      const end = (): void => reject(this.signal.reason)
      if (this.signal.aborted) end()
      else this.signal.addEventListener('abort', end, { once: true })
    })
    this.#ended.catch(() => {})
  }

  /** Restarts the timer. `code` names what was late. */
  start(timeoutMs: number, code: string): void {
    this.stop()
    const late = (): void => this.#late.abort(Object.assign(new Error('the answer is late'), { code }))
    this.#timer = setTimeout(late, Math.min(timeoutMs, LONGEST_TIMER_MS))
  }

  /** Ends an aborted request at once with the signal's reason, even if `fetch` ignores the signal. */
  watch<Result>(work: Promise<Result>): Promise<Result> {
    return Promise.race([this.#ended, work])
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
