import { setMaxListeners } from 'node:events'
import type { ExtractContext, PageMemory } from '../../model/source.js'
import type { ApiRequest, Paginator, RequestPatch } from '../api.js'
import type { EndpointResource } from '../document/model.js'
import type { OwnedResponse } from '../http/exchange.js'
import { applyPatch, requestKey } from '../request/request.js'

/** A request of a list and its key within the list. */
export interface KeyedRequest {
  readonly request: ApiRequest
  readonly key: string
}

export function keyed(request: ApiRequest): KeyedRequest {
  return { request, key: requestKey(request) }
}

/** Sends one request of a list. */
export type FetchAnswer = (asked: KeyedRequest, signal: AbortSignal) => Promise<OwnedResponse>

interface Underway {
  readonly answer: Promise<OwnedResponse>
  /** Bytes counted for it. */
  held: number
}

/**
 * Starts requests of one list early, as far as memory allows. A wrong prediction is aborted. It changes only the number
 * of requests.
 */
export class ReadAhead {
  readonly #fetch: FetchAnswer
  readonly #signal: AbortSignal
  readonly #memory: PageMemory | undefined
  /** Most requests that may be in flight early. */
  readonly #most: number
  /** Whether the user allows requests beyond the end of the list. */
  readonly #mayGuess: boolean
  /** Requests for the pages after the first, if the first page makes them known. */
  #foreseen: ForeseenRequests | undefined
  readonly #underway = new Map<string, Underway>()
  /** Aborted requests that have not ended yet. */
  readonly #ending = new Set<Promise<unknown>>()
  /** Ends what is in flight early. Undefined: nothing was. */
  #abort: AbortController | undefined
  /** Size of the last answer that was taken. The next one is expected to be as large. */
  #usualBytes = 0

  constructor(fetch: FetchAnswer, { endpoint, incremental }: EndpointResource, context: ExtractContext) {
    const { signal, memory, concurrency } = context
    this.#fetch = fetch
    this.#signal = signal
    this.#memory = memory
    // With a row order, the consumer is likely to stop early.
    const isSerial = incremental?.hint.rowOrder !== undefined || concurrency <= 1
    this.#most = isSerial ? 0 : Math.min(endpoint.readAhead ?? concurrency, concurrency)
    this.#mayGuess = endpoint.readAhead !== undefined
  }

  readonly #stop = (): void => this.#abort?.abort(this.#signal.reason)

  /** Learns from the first page which requests the other pages need. */
  foresee({
    request,
    patches,
  }: {
    readonly request: ApiRequest
    readonly patches: () => readonly RequestPatch[] | undefined
  }): void {
    const known = this.#most === 0 ? undefined : patches()
    this.#foreseen = known === undefined ? undefined : new ForeseenRequests(request, known)
  }

  /**
   * Starts `next`, the request after page `number`, and the known requests after it, while the consumer works on the
   * page. `left`: pages that the list may still have.
   */
  start(next: KeyedRequest, number: number, left: number, paginator: Paginator | undefined): void {
    const most = Math.min(this.#most, left)
    if (most <= 0) return
    const wanted = [next]
    if (this.#foreseen?.after(number)?.key === next.key) {
      this.#foreseen.pass(number)
      for (let later = number + 1; wanted.length < most; later++) {
        const request = this.#foreseen.after(later)
        if (request === undefined) break
        wanted.push(request)
      }
    } else {
      this.#foreseen = undefined
      // A guess may request pages beyond the end of the list, so only the user can allow it.
      if (this.#mayGuess) guess(wanted, most, paginator)
    }
    this.#expect(wanted)
  }

  /** Keeps only these in flight: aborts unwanted requests, and starts missing ones while there is room. */
  #expect(wanted: readonly KeyedRequest[]): void {
    const keys = new Set(wanted.map(({ key }) => key))
    for (const key of this.#underway.keys()) {
      if (keys.has(key)) continue
      this.#forget()
      break
    }
    for (const asked of wanted) {
      if (this.#underway.has(asked.key)) continue
      if (this.#memory?.hasRoom() === false) break
      this.#underway.set(asked.key, this.#start(asked))
    }
  }

  #start(asked: KeyedRequest): Underway {
    this.#abort ??= this.#controller()
    const underway = { answer: this.#fetch(asked, this.#abort.signal), held: 0 }
    this.#count(underway, this.#usualBytes)
    underway.answer.then(
      ({ body }) => {
        if (this.#underway.get(asked.key) === underway) this.#count(underway, body.length)
      },
      // It may never be taken, and then nothing else handles its failure.
      () => undefined,
    )
    return underway
  }

  /** All requests in flight listen to it. The concurrency limits their number, so Node's limit of ten is lifted. */
  #controller(): AbortController {
    const controller = new AbortController()
    setMaxListeners(0, controller.signal)
    if (this.#signal.aborted) controller.abort(this.#signal.reason)
    // A listener that is there already is not added again.
    else this.#signal.addEventListener('abort', this.#stop)
    return controller
  }

  #count(underway: Underway, bytes: number): void {
    this.#memory?.add(bytes - underway.held)
    underway.held = bytes
  }

  /** The answer to a request, which is started now if it was not started early. */
  async take(asked: KeyedRequest): Promise<OwnedResponse> {
    const underway = this.#underway.get(asked.key)
    const answer = await (underway?.answer ?? this.#fetch(asked, this.#signal))
    if (underway !== undefined) this.#letGo(asked.key, underway)
    this.#usualBytes = answer.body.length
    return answer
  }

  #letGo(key: string, underway: Underway): void {
    this.#underway.delete(key)
    this.#count(underway, 0)
  }

  /** Aborts everything in flight: other requests come in its place. */
  drop(): void {
    this.#foreseen = undefined
    this.#forget()
  }

  /** Aborts everything in flight and resolves when it has ended. */
  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#stop)
    this.#forget()
    await Promise.allSettled(this.#ending)
  }

  #forget(): void {
    if (this.#underway.size === 0) return
    for (const [key, underway] of this.#underway) {
      this.#letGo(key, underway)
      const ended = underway.answer
        .then(answer => answer.release())
        .catch(() => undefined)
        .finally(() => this.#ending.delete(ended))
      this.#ending.add(ended)
    }
    this.#abort?.abort(new DOMException('this page is not needed', 'AbortError'))
    this.#abort = undefined
  }
}

function guess(wanted: KeyedRequest[], most: number, paginator: Paginator | undefined): void {
  for (let last = wanted.at(-1); last !== undefined && wanted.length < most; last = wanted.at(-1)) {
    const patch = paginator?.ahead?.(last.request)
    if (patch === undefined) return
    wanted.push(keyed(applyPatch(last.request, patch)))
  }
}

/** Requests for the pages after the first. Each is built once, when it is first needed, and kept until it is passed. */
class ForeseenRequests {
  readonly #first: ApiRequest
  readonly #patches: readonly RequestPatch[]
  readonly #made = new Map<number, KeyedRequest>()

  constructor(first: ApiRequest, patches: readonly RequestPatch[]) {
    this.#first = first
    this.#patches = patches
  }

  /** The request after page `number`. The first page is 1. */
  after(number: number): KeyedRequest | undefined {
    const made = this.#made.get(number)
    if (made !== undefined) return made
    const patch = this.#patches[number - 1]
    if (patch === undefined) return undefined
    const request = keyed(applyPatch(this.#first, patch))
    this.#made.set(number, request)
    return request
  }

  /** Drops the request after page `number`, which is not needed again. */
  pass(number: number): void {
    this.#made.delete(number)
  }
}
