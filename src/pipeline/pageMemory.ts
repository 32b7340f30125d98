import type { PageMemory } from '../core/source.js'

/** Bytes that a list is expected to hold whose resource has had no page yet: four such lists fill the budget. */
const SHARE_UNKNOWN = 4

/** What a list holds until it has ended. */
export interface ListMemory {
  /** The list now holds a page of this size, instead of the one before. */
  page(bytes: number): void
  /** To be called once. */
  end(): void
}

export interface RunMemory extends PageMemory {
  /** For a list of the resource that `key` stands for. */
  list(key: object): ListMemory
}

/**
 * One budget for all lists of a run, at every depth. A list that begins is counted with what the lists of its resource held
 * before it. What must be held is held even beyond the budget; `changed` is called when there is room again.
 */
export function createRunMemory(budget: number, changed: () => void): RunMemory {
  let held = 0
  const usual = new WeakMap<object, number>()
  const add = (bytes: number): void => {
    held += bytes
    if (bytes < 0) changed()
  }
  return {
    add,
    hasRoom: () => held < budget,
    list(key) {
      let mine = usual.get(key) ?? budget / SHARE_UNKNOWN
      held += mine
      const become = (bytes: number): void => {
        const difference = bytes - mine
        mine = bytes
        add(difference)
      }
      return {
        page(bytes) {
          usual.set(key, bytes)
          become(bytes)
        },
        end: () => become(0),
      }
    },
  }
}
