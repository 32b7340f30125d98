import type { PageMemory, ResourceNotes } from '../../model/source.js'

/** Expected bytes of a list before its resource has had a page: four such lists fill the budget. */
const SHARE_UNKNOWN = 4

/** What a list holds in memory until it ends. */
export interface ListMemory {
  /** The list now holds a page of this size instead of the previous one. */
  page(bytes: number): void
  /** Call it once. */
  end(): void
}

export interface RunMemory extends PageMemory {
  /** For a list of the resource with these notes. */
  list(notes: Pick<ResourceNotes, 'usualBytes'>): ListMemory
}

/**
 * One budget for all lists of a run, at every depth. A new list counts with the size of its resource's last page. Pages
 * that must be held may exceed the budget. Calls `changed` when there is room again.
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

/** Limits what a run does at once, at every depth. */
export interface Slots {
  /**
   * Runs `work` on every item, started in order, and starts none after a failure. Rejects when all have ended, with the
   * first failure by time. One item always runs without a slot, so a parent that holds a slot never blocks its
   * children. Each further item takes a slot.
   */
  run<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void>
  /** Call it when `hasRoom` may have become true. */
  changed(): void
}

/** `count` slots, handed out only while `hasRoom`. */
export function createSlots(count: number, hasRoom: () => boolean = () => true): Slots {
  let free = count
  /** Each entry starts more work if it can. The last ones are the deepest, and finishing them makes room. */
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
