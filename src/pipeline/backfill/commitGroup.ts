import type { Connection, StagedLoad } from '../../model/destination.js'
import { DestinationError } from '../../model/errors.js'
import type { Clock } from '../../model/source.js'
import { isOfWindow } from '../run/commitAnew.js'
import type { ReadWindow } from '../run/incremental/windowToLoad.js'

/** A group of so many windows is committed at once. */
const MOST_WINDOWS = 64
/** More rows in one transaction save nothing. */
const MOST_ROWS = 100_000
/** Most time that a window waits for others. */
const LONGEST_WAIT_MS = 500

interface Waiting extends ReadWindow {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Windows that are read, and committed together in one transaction. If that fails, they are committed one by one, so that
 * a fault of a window is its own.
 */
export class CommitGroup {
  readonly #commitTogether: (loads: readonly StagedLoad[]) => Promise<void>
  readonly #clock: Clock
  readonly #check: () => Promise<void>
  #waiting: Waiting[] = []
  #rows = 0
  /** Settles after the last group that was begun. */
  #committing: Promise<void> = Promise.resolve()
  /** Ends the wait for further windows. */
  #wait = new AbortController()

  private constructor(
    commitTogether: NonNullable<Connection['commitTogether']>,
    clock: Clock,
    check: () => Promise<void>,
  ) {
    this.#commitTogether = commitTogether
    this.#clock = clock
    this.#check = check
  }

  /** Undefined if the destination commits one load at a time. `check`: called before each commit, which it may refuse. */
  static of(connection: Connection, clock: Clock, check: () => Promise<void>): CommitGroup | undefined {
    if (connection.commitTogether === undefined) return undefined
    return new CommitGroup(loads => connection.commitTogether?.(loads) ?? Promise.resolve(), clock, check)
  }

  /** Resolves when the window is committed. Rejects if it could not be. */
  commit(window: ReadWindow): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...window, resolve, reject })
      this.#rows += window.rows
      if (this.#waiting.length >= MOST_WINDOWS || this.#rows >= MOST_ROWS) void this.flush()
      else if (this.#waiting.length === 1) void this.#flushInTime(this.#wait.signal)
    })
  }

  /** Commits what waits. Resolves when everything before is committed or has failed. */
  async flush(): Promise<void> {
    this.#wait.abort()
    this.#wait = new AbortController()
    // In the order in which they were begun, as their ids are.
    const group = this.#waiting.sort((a, b) => Number(a.loadId) - Number(b.loadId))
    this.#waiting = []
    this.#rows = 0
    this.#committing = this.#committing.then(() => this.#commitAll(group))
    await this.#committing
  }

  async #flushInTime(signal: AbortSignal): Promise<void> {
    await this.#clock.sleep(LONGEST_WAIT_MS, signal).catch(() => {})
    if (!signal.aborted) await this.flush()
  }

  async #commitAll(group: readonly Waiting[]): Promise<void> {
    if (group.length > 1) {
      try {
        await this.#check()
        await this.#commitTogether(group)
        for (const { resolve } of group) resolve()
        return
      } catch {
        // It appears again where it belongs.
      }
    }
    let failure: DestinationError | undefined
    for (const { load, final, anew, resolve, reject } of group) {
      if (failure !== undefined) {
        reject(failure)
        continue
      }
      try {
        await this.#check()
        await load.commit(final, anew)
        resolve()
      } catch (error) {
        reject(error)
        // The destination would refuse the others too.
        if (error instanceof DestinationError && !isOfWindow(error)) failure = error
      }
    }
  }
}
