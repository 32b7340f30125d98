import type { LoadPlan } from '../model/destination.js'
import { DestinationError } from '../model/errors.js'

/** Pipelines that this process is loading. One load of each at a time, or several of different parts. */
export class HeldPipelines {
  /** By place and pipeline: the parts, or the empty text for the whole. */
  readonly #held = new Map<string, Set<string>>()

  /** Returns how to let go. Throws `destination_locked` if the pipeline, or the part, is being loaded already. */
  take(place: string, dataset: string, { pipeline, part = '' }: LoadPlan): () => void {
    const key = `${place}\0${dataset}\0${pipeline}`
    const parts = this.#held.get(key) ?? new Set()
    const isHeld = part === '' ? parts.size > 0 : parts.has('') || parts.has(part)
    if (isHeld) {
      throw new DestinationError(
        'destination_locked',
        `Pipeline ${pipeline} is being loaded into ${place} already; wait for that run to end`,
        { destination: place, transient: true },
      )
    }
    this.#held.set(key, parts.add(part))
    return () => {
      parts.delete(part)
      if (parts.size === 0 && this.#held.get(key) === parts) this.#held.delete(key)
    }
  }
}
