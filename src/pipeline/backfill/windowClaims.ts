import { randomUUID } from 'node:crypto'
import { stringifyJson } from '../../json/write.js'
import type { CursorRange, WindowAttempt, WindowsOf } from '../../model/cursorRange.js'
import type { WindowAttempts } from '../../model/destination.js'
import type { Clock } from '../../model/source.js'
import type { Cut } from '../run/incremental/partitions.js'
import { doOverlap } from './ranges.js'

const USUAL_TIMEOUT_MS = 60_000
/** Heartbeats within the time after which a process counts as dead. */
const BEATS = 4
const LOOK_EVERY_MS = 2_000

export interface ClaimsOptions {
  readonly attempts: WindowAttempts
  readonly of: WindowsOf
  readonly cut: Cut
  readonly clock: Clock
  readonly timeoutMs?: number | undefined
}

/** A window that this process loads. */
export interface Claim {
  /** Ends the heartbeat. The claim itself goes with the next one, or with `close`: one transaction less. */
  release(): Promise<void>
}

/**
 * What processes that load one range tell each other at the destination: who loads which window, with a heartbeat. Clocks
 * of machines are not compared: a process counts as dead when its heartbeat has not changed for the timeout, by the clock
 * of the one that watches.
 */
export class WindowClaims {
  readonly #options: ClaimsOptions
  readonly #owner = randomUUID()
  readonly #timeoutMs: number
  /** Claims of this process that are not released. */
  readonly #held = new Set<string>()
  /** Heartbeats of other processes, and when this one heard them first. */
  readonly #heard = new Map<string, { readonly atMs: number; readonly sinceMs: number }>()

  constructor(options: ClaimsOptions) {
    this.#options = options
    this.#timeoutMs = options.timeoutMs ?? USUAL_TIMEOUT_MS
  }

  /** How long to wait before another look, where others load everything that is left. */
  get lookEveryMs(): number {
    return Math.min(LOOK_EVERY_MS, this.#timeoutMs / BEATS)
  }

  /** Those of the windows that no other process loads. */
  async free<Window extends CursorRange>(windows: readonly Window[]): Promise<readonly Window[]> {
    const { attempts, of } = this.#options
    const taken = this.#taken(await attempts.read(of))
    return windows.filter(window => !this.#isIn(window, taken))
  }

  /** Undefined if another process loads the window, or a part of it. */
  async take(window: CursorRange): Promise<Claim | undefined> {
    const { attempts, of, cut, clock } = this.#options
    const key = keyOf({ start: window.start, end: window.end, state: 'claimed', reason: this.#owner })
    const claim = { start: window.start, end: window.end, state: 'claimed', tries: 0, reason: this.#owner } as const
    let isFree = false
    await attempts.change(of, all => {
      isFree = !this.#isIn(window, this.#taken(all))
      if (!isFree) return all
      const rest = all.filter(
        // What is left of a process that is dead goes too.
        one => one.state !== 'claimed' || (!this.#isReleased(one) && !doOverlap(one, window, cut)),
      )
      return [...rest, { ...claim, atMs: clock.now() }]
    })
    if (!isFree) return undefined
    this.#held.add(key)
    const ending = new AbortController()
    const beating = this.#beat(ending.signal, () =>
      attempts.change(of, all => all.map(one => (keyOf(one) === key ? { ...one, atMs: clock.now() } : one))),
    )
    return {
      release: async () => {
        ending.abort()
        await beating
        this.#held.delete(key)
      },
    }
  }

  /** Takes back what this process has claimed. */
  async close(): Promise<void> {
    const { attempts, of } = this.#options
    await attempts.change(of, all => all.filter(one => !this.#isReleased(one)))
  }

  #isReleased(one: WindowAttempt): boolean {
    return one.state === 'claimed' && one.reason === this.#owner && !this.#held.has(keyOf(one))
  }

  async #beat(signal: AbortSignal, beat: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      const isOver = await this.#options.clock.sleep(this.#timeoutMs / BEATS, signal).then(
        () => false,
        () => true,
      )
      // A heartbeat that fails is missing, no more: the ledger still lets nobody load the window twice.
      if (!isOver) await beat().catch(() => {})
    }
  }

  #isIn(window: CursorRange, taken: readonly WindowAttempt[]): boolean {
    return taken.some(one => doOverlap(one, window, this.#options.cut))
  }

  /** Windows of other processes that are not known to be dead. */
  #taken(all: readonly WindowAttempt[]): readonly WindowAttempt[] {
    const now = this.#options.clock.now()
    return all.filter(one => {
      if (one.state !== 'claimed' || one.reason === this.#owner) return false
      const key = keyOf(one)
      const before = this.#heard.get(key)
      if (before?.atMs === one.atMs) return now - before.sinceMs < this.#timeoutMs
      this.#heard.set(key, { atMs: one.atMs, sinceMs: now })
      return true
    })
  }
}

function keyOf({ state, start, end, reason = '' }: Omit<WindowAttempt, 'tries' | 'atMs'>): string {
  return `${state} ${reason} ${stringifyJson([start, end])}`
}
