import { setMaxListeners } from 'node:events'
import type { ApiRequest, ApiResponse } from './types.js'

/** A request of a list and its name within it. */
export interface Asked {
  readonly request: ApiRequest
  readonly key: string
}

/** Sends one request of a list. */
export type Fetch = (asked: Asked, signal: AbortSignal) => Promise<ApiResponse>

/**
 * Requests of one list that were started before their turn. A wrong prediction is aborted; it changes nothing but the
 * number of requests.
 */
export class FetchAhead {
  readonly #fetch: Fetch
  readonly #signal: AbortSignal
  readonly #underway = new Map<string, Promise<ApiResponse>>()
  /** Aborted and not ended yet. */
  readonly #ending = new Set<Promise<unknown>>()
  #abort = quietController()

  constructor(fetch: Fetch, signal: AbortSignal) {
    this.#fetch = fetch
    this.#signal = signal
    signal.addEventListener('abort', this.#stop)
  }

  readonly #stop = (): void => this.#abort.abort(this.#signal.reason)

  /** Has exactly these under way: starts what is missing and aborts what is not wanted any more. */
  expect(wanted: readonly Asked[]): void {
    const keys = new Set(wanted.map(({ key }) => key))
    for (const key of this.#underway.keys()) {
      if (keys.has(key)) continue
      this.#forget()
      break
    }
    for (const asked of wanted) {
      if (this.#underway.has(asked.key)) continue
      const answer = this.#fetch(asked, this.#abort.signal)
      // Its turn may never come, and then nobody else handles its failure.
      answer.catch(() => undefined)
      this.#underway.set(asked.key, answer)
    }
  }

  /** The answer to a request, started now unless it was before. */
  take(asked: Asked): Promise<ApiResponse> {
    const underway = this.#underway.get(asked.key)
    this.#underway.delete(asked.key)
    return underway ?? this.#fetch(asked, this.#signal)
  }

  /** Aborts everything under way and resolves when it has ended. */
  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#stop)
    this.#forget()
    await Promise.all(this.#ending)
  }

  #forget(): void {
    if (this.#underway.size === 0) return
    for (const answer of this.#underway.values()) {
      const ending: Promise<unknown> = answer.then(
        () => this.#ending.delete(ending),
        () => this.#ending.delete(ending),
      )
      this.#ending.add(ending)
    }
    this.#underway.clear()
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
