import { setMaxListeners } from 'node:events'
import type { PageMemory } from '../../model/source.js'
import type { ApiRequest, ApiResponse } from '../api.js'

/** A request of a list and its name within it. */
export interface Asked {
  readonly request: ApiRequest
  readonly key: string
}

/** Sends one request of a list. */
export type Fetch = (asked: Asked, signal: AbortSignal) => Promise<ApiResponse>

interface Underway {
  readonly answer: Promise<ApiResponse>
  /** Bytes that are counted for it. */
  held: number
}

/**
 * Requests of one list that were started before their turn, as many as there is memory for. A wrong prediction is
 * aborted; it changes nothing but the number of requests.
 */
export class FetchAhead {
  readonly #fetch: Fetch
  readonly #signal: AbortSignal
  readonly #memory: PageMemory | undefined
  readonly #underway = new Map<string, Underway>()
  /** Aborted requests that have not ended yet. */
  readonly #ending = new Set<Promise<unknown>>()
  #abort = quietController()
  /** Of the last answer that was taken: another is expected to be as long. */
  #usualBytes = 0

  constructor(fetch: Fetch, signal: AbortSignal, memory?: PageMemory) {
    this.#fetch = fetch
    this.#signal = signal
    this.#memory = memory
    signal.addEventListener('abort', this.#stop)
  }

  readonly #stop = (): void => this.#abort.abort(this.#signal.reason)

  /** Has these under way and no others: aborts what is not wanted any more, and starts what is missing while there is room. */
  expect(wanted: readonly Asked[]): void {
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

  #start(asked: Asked): Underway {
    const underway = { answer: this.#fetch(asked, this.#abort.signal), held: 0 }
    this.#count(underway, this.#usualBytes)
    underway.answer.then(
      ({ body }) => {
        if (this.#underway.get(asked.key) === underway) this.#count(underway, body.length)
      },
      // Its turn may never come, and then nobody else handles its failure.
      () => undefined,
    )
    return underway
  }

  #count(underway: Underway, bytes: number): void {
    this.#memory?.add(bytes - underway.held)
    underway.held = bytes
  }

  /** The answer to a request, started now unless it was before. */
  async take(asked: Asked): Promise<ApiResponse> {
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

  /** Aborts everything under way and resolves when it has ended. */
  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#stop)
    this.#forget()
    await Promise.allSettled(this.#ending)
  }

  #forget(): void {
    if (this.#underway.size === 0) return
    for (const [key, underway] of this.#underway) {
      this.#letGo(key, underway)
      const ended = underway.answer.catch(() => undefined).finally(() => this.#ending.delete(ended))
      this.#ending.add(ended)
    }
    this.#abort.abort(new DOMException('this page is not needed', 'AbortError'))
    this.#abort = quietController()
  }
}

/** Each request under way listens to it; their number is bounded by the concurrency, not by ten. */
function quietController(): AbortController {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return controller
}
