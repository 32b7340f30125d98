import { randomUUID } from 'node:crypto'
import { stringifyJson } from '../../json/write.js'
import type { CursorRange, WindowAttempt, WindowsOf } from '../../model/cursors/cursorRange.js'
import type { WindowAttempts } from '../../model/destination.js'
import { ConfigError } from '../../model/errors.js'
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
  /** How many load the range together, as this process was told. */
  readonly processes: number
  /** What all of them must have in common. */
  readonly code: string
}

/** Who claims a window, as it says. A version before had only the name. */
interface Claimant {
  readonly owner: string
  readonly processes: number
  readonly code: string
}

/** A window that this process loads. */
export interface WindowClaim {
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
  readonly #owner: string
  readonly #timeoutMs: number
  /** Claims of this process that are not released. */
  readonly #held = new Set<string>()
  /** Whether this process has claimed a window, so that those that claim others had to look at it first. */
  #hasJoined = false
  /** By process: the first heartbeat that was heard of it. A later one shows that it is alive. */
  readonly #owners = new Map<string, number>()
  /** Heartbeats of other processes, and when this one heard them first. */
  readonly #heard = new Map<string, { readonly atMs: number; readonly sinceMs: number }>()

  constructor(options: ClaimsOptions) {
    this.#options = options
    this.#timeoutMs = options.timeoutMs ?? USUAL_TIMEOUT_MS
    this.#owner = [randomUUID(), options.processes, options.code].join(' ').trim()
  }

  /** How long to wait before another look, where others load everything that is left. */
  get lookEveryMs(): number {
    return Math.min(LOOK_EVERY_MS, this.#timeoutMs / BEATS)
  }

  /**
   * Resolves when nobody of another kind may be at work, before anything is planned. Rejects with a ConfigError if somebody
   * is. `onWait` is called once if it takes another look to know.
   */
  async admitted(onWait: () => void, signal: AbortSignal | undefined): Promise<void> {
    const { attempts, of, clock } = this.#options
    let isWaiting = false
    while (this.#hasStrangers(this.#taken(await attempts.read(of)))) {
      if (!isWaiting) onWait()
      isWaiting = true
      await clock.sleep(this.lookEveryMs, signal)
    }
  }

  /**
   * Those of the windows that no other process loads. None while others that are not of this kind may be alive. Rejects
   * with a ConfigError if they are.
   */
  async free<Window extends CursorRange>(windows: readonly Window[]): Promise<readonly Window[]> {
    const { attempts, of } = this.#options
    const taken = this.#taken(await attempts.read(of))
    if (this.#hasStrangers(taken)) return []
    return windows.filter(window => !this.#isIn(window, taken))
  }

  /** Undefined if another process loads the window, or a part of it. Rejects as `free` does. */
  async take(window: CursorRange): Promise<WindowClaim | undefined> {
    const { attempts, of, cut, clock } = this.#options
    const key = keyOf({ start: window.start, end: window.end, state: 'claimed', reason: this.#owner })
    const claim = { start: window.start, end: window.end, state: 'claimed', tries: 0, reason: this.#owner } as const
    let isFree = false
    let taken: readonly WindowAttempt[] = []
    await attempts.change(of, all => {
      taken = this.#taken(all)
      isFree = !this.#isIn(window, taken) && !this.#areStrangers(taken)
      if (!isFree) return all
      const rest = all.filter(
        // What is left of a process that is dead goes too.
        one => one.state !== 'claimed' || (!this.#isReleased(one) && !doOverlap(one, window, cut)),
      )
      return [...rest, { ...claim, atMs: clock.now() }]
    })
    if (!isFree) {
      this.#hasStrangers(taken)
      return undefined
    }
    this.#hasJoined = true
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

  /** Whether a process of another kind may be at work. Those that came first stay: only who joins them looks. */
  #areStrangers(taken: readonly WindowAttempt[]): boolean {
    return !this.#hasJoined && taken.some(one => this.#isStrange(claimantOf(one)))
  }

  /** The same. Throws a ConfigError if it is known to be. */
  #hasStrangers(taken: readonly WindowAttempt[]): boolean {
    if (!this.#areStrangers(taken)) return false
    for (const one of taken) {
      const claimant = claimantOf(one)
      if (this.#isStrange(claimant) && one.atMs > (this.#owners.get(claimant.owner) ?? one.atMs))
        throw this.#refusal(claimant)
    }
    return true
  }

  #isStrange({ processes, code }: Claimant): boolean {
    return processes !== this.#options.processes || code !== this.#options.code
  }

  #refusal({ processes, code }: Claimant): ConfigError {
    const own = this.#options
    const message =
      code === own.code
        ? `counts ${own.processes} processes, and another one that loads this range counts ${processes}; give all of them the same number`
        : 'another process that loads this range has another text of the pipeline file, or of one that it imports, or another version of Sluice; give all of them the same files and one version'
    return new ConfigError([{ place: { path: 'partition' }, message: `${message}. Nothing was loaded` }])
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
      const { owner } = claimantOf(one)
      if (!this.#owners.has(owner)) this.#owners.set(owner, one.atMs)
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

function claimantOf({ reason = '' }: WindowAttempt): Claimant {
  const [owner = '', processes = '', ...code] = reason.split(' ')
  return { owner, processes: Number(processes), code: code.join(' ') }
}
