import type { Transport, TransportResponse } from '../rest/api.js'
import { type Exchange, exchangeKey, nearest, type RecordedRequest, timelessKey } from './recordedExchange.js'

/** A request of a pipeline, with its result. */
export interface Served {
  readonly resource: string
  readonly request: string
  /** Undefined: the recording has no answer. */
  readonly status: number | undefined
}

/** Faults that are made on purpose, at the first attempt of every request. */
export const FAULTS = ['429', '500', 'cut body', 'expired token', 'repeated page'] as const
export type Fault = (typeof FAULTS)[number]

export interface RecordingReplayOptions {
  readonly fault?: Fault | undefined
  readonly clean: (text: string) => string
}

export interface Replay {
  readonly transport: Transport
  readonly served: readonly Served[]
  /** How often the fault occurred. */
  readonly faults: () => number
  /** Whether a request that met the fault was not asked again. */
  readonly isGivenUp: () => boolean
}

/** Answers from a recording, not the network. A repeated request gets the recorded answers in order, then the last. */
export function replayTransport(exchanges: readonly Exchange[], { fault, clean }: RecordingReplayOptions): Replay {
  const queues = new AnswerQueues(exchanges, clean)
  const served: Served[] = []
  const spoilt = new Set<string>()
  const again = new Set<string>()
  const previous = new Map<string, Exchange>()
  let faults = 0
  const transport: Transport = async ({ method, url, body, unsigned, signal }) => {
    signal.throwIfAborted()
    const asked: RecordedRequest = { method, url: unsigned?.url ?? url, body: unsigned?.body ?? body }
    const resource = unsigned?.resource ?? ''
    const bySigner = unsigned?.bySigner === true
    const found = queues.peek(asked, bySigner)
    const request = bySigner ? signerKey(asked) : exchangeKey(asked, clean)
    if (found === undefined) {
      served.push({ resource, request, status: undefined })
      throw new TypeError(notRecorded(request, queues.known(bySigner)))
    }
    if (fault !== undefined && !spoilt.has(request) && (fault !== 'expired token' || !bySigner)) {
      const wrong = spoiledBy(fault, found, previous.get(resource))
      if (wrong !== undefined && !(bySigner && fault === 'repeated page')) {
        spoilt.add(request)
        faults++
        return wrong
      }
    }
    if (spoilt.has(request)) again.add(request)
    queues.take(asked, bySigner)
    if (!bySigner) previous.set(resource, found)
    served.push({ resource, request, status: found.answer.status })
    return answerOf(found)
  }
  return { transport, served, faults: () => faults, isGivenUp: () => again.size < spoilt.size }
}

export function notRecorded(request: string, known: Iterable<string>): string {
  const like = nearest(request, known)
  return `the recording has no answer to ${request}${like === undefined ? '' : `; the nearest is to ${like}`}. If the document is right, record it anew`
}

/** An authenticator's requests differ only in secrets. */
function signerKey({ method, url }: RecordedRequest): string {
  const { origin, pathname } = new URL(url)
  return `${method} ${origin}${pathname}`
}

/** Recorded answers by request. */
export class AnswerQueues {
  readonly #lists = new Map<string, Exchange[]>()
  readonly #timeless = new Map<string, Set<string>>()
  readonly #signers = new Map<string, Exchange[]>()
  readonly #clean: (text: string) => string

  constructor(exchanges: readonly Exchange[], clean: (text: string) => string) {
    this.#clean = clean
    for (const exchange of exchanges) {
      if (exchange.bySigner) {
        added(this.#signers, signerKey(exchange), exchange)
        continue
      }
      const key = exchangeKey(exchange, clean)
      added(this.#lists, key, exchange)
      const timeless = timelessKey(key)
      this.#timeless.set(timeless, (this.#timeless.get(timeless) ?? new Set()).add(key))
    }
  }

  known(bySigner: boolean): Iterable<string> {
    return (bySigner ? this.#signers : this.#lists).keys()
  }

  /** The next answer, without taking it. */
  peek(asked: RecordedRequest, bySigner: boolean): Exchange | undefined {
    return this.#queue(asked, bySigner)?.[0]
  }

  take(asked: RecordedRequest, bySigner: boolean): void {
    const queue = this.#queue(asked, bySigner)
    if (queue !== undefined && queue.length > 1) queue.shift()
  }

  #queue(asked: RecordedRequest, bySigner: boolean): Exchange[] | undefined {
    if (bySigner) return this.#signers.get(signerKey(asked))
    const key = exchangeKey(asked, this.#clean)
    const exact = this.#lists.get(key)
    if (exact !== undefined) return exact
    const alike = [...(this.#timeless.get(timelessKey(key)) ?? [])]
    const [only, second] = alike
    return only === undefined || second !== undefined ? undefined : this.#lists.get(only)
  }
}

function added(queues: Map<string, Exchange[]>, key: string, exchange: Exchange): void {
  const queue = queues.get(key)
  if (queue === undefined) queues.set(key, [exchange])
  else queue.push(exchange)
}

function answerOf({ answer: { status, headers, body, doubt } }: Exchange): TransportResponse {
  return { status, headers, body: parts(body), recorded: doubt === undefined ? {} : { doubt } }
}

async function* parts(...bodies: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const body of bodies) if (body.length > 0) yield body
}

/** The answer with the fault. Undefined if the fault does not apply to this request. */
function spoiledBy(fault: Fault, exchange: Exchange, previous: Exchange | undefined): TransportResponse | undefined {
  const failed = (status: number, headers: Record<string, string> = {}): TransportResponse => ({
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: parts(Buffer.from('{"error":"a fault of the test"}')),
  })
  switch (fault) {
    case '429':
      return failed(429, { 'retry-after': '1' })
    case '500':
      return failed(500)
    case 'expired token':
      return failed(401)
    case 'cut body': {
      const { status, headers, body } = exchange.answer
      return { status, headers, body: cut(body) }
    }
    case 'repeated page':
      return previous === undefined ? undefined : answerOf(previous)
  }
}

async function* cut(body: Uint8Array): AsyncGenerator<Uint8Array> {
  yield body.subarray(0, body.length >> 1)
  throw Object.assign(new Error('the connection ended in the middle of the body'), { code: 'UND_ERR_SOCKET' })
}
