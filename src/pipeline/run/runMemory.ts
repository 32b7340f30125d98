import type { PageMemory, ResourceNotes } from '../../model/source.js'

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
  /** For a list of the resource that these notes are of. */
  list(notes: Pick<ResourceNotes, 'usualBytes'>): ListMemory
}

/**
 * One budget for all lists of a run, at every depth. A list that begins is counted with what the lists of its resource held
 * before it. What must be held is held even beyond the budget; `changed` is called when there is room again.
 */
export function createRunMemory(budget: number, changed: () => void): RunMemory {
  let held = 0
  const add = (bytes: number): void => {
    held += bytes
    if (bytes < 0) changed()
  }
  return {
    add,
    hasRoom: () => held < budget,
    list(notes) {
      let mine = notes.usualBytes ?? budget / SHARE_UNKNOWN
      held += mine
      const become = (bytes: number): void => {
        const difference = bytes - mine
        mine = bytes
        add(difference)
      }
      return {
        page(bytes) {
          notes.usualBytes = bytes
          become(bytes)
        },
        end: () => become(0),
      }
    },
  }
}

/** What may be done at once in a run, whatever the depth at which there is something to do. */
export interface Slots {
  /**
   * Runs `work` on every item, started in order; none after a failure. Rejects when all have ended, with the first
   * failure by time. One item is always under way, so whoever holds a slot while its children work never keeps them from it; each
   * item beside it takes a slot.
   */
  run<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void>
  /** To be called where `hasRoom` may have become true. */
  changed(): void
}

/** `count` slots, which are given only while `hasRoom`. */
export function createSlots(count: number, hasRoom: () => boolean = () => true): Slots {
  let free = count
  /** Starts more, if it can; those asked last are the deepest, and what they finish makes room. */
  const wanting: (() => void)[] = []
  const changed = (): void => {
    for (let last = wanting.length - 1; last >= 0 && free > 0 && hasRoom(); last--) wanting[last]?.()
  }

  const run = async <Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> => {
    let next = 0
    const failures: unknown[] = []
    const workUntil = async (enough: () => boolean): Promise<void> => {
      while (next < items.length && failures.length === 0 && !enough()) {
        const item = items[next++] as Item
        try {
          await work(item)
        } catch (error) {
          failures.push(error)
        }
      }
    }
    const beside: Promise<void>[] = []
    const workBeside = async (): Promise<void> => {
      await workUntil(() => !hasRoom())
      free++
      changed()
    }
    const widen = (): void => {
      while (next < items.length && failures.length === 0 && free > 0 && hasRoom()) {
        free--
        beside.push(workBeside())
      }
    }
    wanting.push(widen)
    const always = workUntil(() => false)
    widen()
    await always
    wanting.splice(wanting.indexOf(widen), 1)
    await Promise.all(beside)
    if (failures.length > 0) throw failures[0]
  }

  return { run, changed }
}
