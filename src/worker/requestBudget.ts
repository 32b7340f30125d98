import type { ObjectContext } from '@restatedev/restate-sdk'
import { z } from 'zod'
import { RequestError } from '../model/errors.js'
import type { Clock } from '../model/source.js'
import {
  type EnterOptions,
  type Gate,
  type HostBudget,
  hostBudget,
  pauseUntil,
  type RateLimits,
} from '../rest/http/rateLimit.js'
import type { RestateSdk } from './restateSdk.js'
import { SERVICES } from './restateServer.js'

/**
 * A rate limit that all workers share. One object of the engine for each origin hands out the times at which requests may
 * start, several at once, so that workers do not wait for the engine between two requests.
 */

/**
 * Times at which requests may start: `delayMs` from now on, and each `spacingMs` after the one before. Delays, because the
 * clocks of two machines differ.
 */
export interface Lease {
  readonly delayMs: number
  readonly spacingMs: number
  readonly count: number
}

/** The calls of an origin's budget. */
export interface BudgetCalls {
  lease(origin: string, asked: LeaseRequest): Promise<Lease>
  /** The API asked for a pause. */
  pause(origin: string, delayMs: number): Promise<void>
}

const leaseRequest = z.strictObject({
  wanted: z.int().min(1),
  requests: z.number().positive(),
  perMs: z.number().positive(),
})
export type LeaseRequest = z.output<typeof leaseRequest>
const pauseRequest = z.strictObject({ delayMs: z.number().positive() })
export const leaseAnswer = z.object({
  delayMs: z.number().min(0),
  spacingMs: z.number().positive(),
  count: z.int().min(1),
})

/** Requests use this share of the rate, because a late request comes close to the next one. */
const SHARE = 0.94
/** A worker holds at most a quarter of the starts of one period. */
const LARGEST_PART = 4
/** A start time that passed longer ago is given up. */
const STALE_MS = 40
/** One request gives up at most so many start times. Then it starts late. */
const MOST_MISSED = 5
/** A budget makes no longer pauses. The run that was asked to wait longer decides itself. */
const LONGEST_PAUSE_MS = 24 * 3_600_000

/** The next times of a budget that is free from `free` on. Both times are milliseconds since the epoch. */
export function nextLease(asked: LeaseRequest, free: number, now: number): Lease {
  const spacingMs = asked.perMs / (asked.requests * SHARE)
  const most = Math.max(1, Math.floor(asked.requests / LARGEST_PART))
  return { delayMs: Math.max(0, free - now), spacingMs, count: Math.min(asked.wanted, most) }
}

/** The budget as an object of the engine. */
export function budgetObject(sdk: RestateSdk) {
  const fail = (error: z.ZodError): never => {
    throw new sdk.TerminalError(z.prettifyError(error))
  }
  return sdk.object({
    name: SERVICES.budget,
    handlers: {
      lease: async (ctx: ObjectContext, input: unknown): Promise<Lease> => {
        const { data, error } = leaseRequest.safeParse(input)
        if (data === undefined) return fail(error)
        const now = await ctx.date.now()
        const free = Math.max((await ctx.get<number>('free')) ?? 0, (await ctx.get<number>('pausedUntil')) ?? 0)
        const lease = nextLease(data, free, now)
        ctx.set('free', now + lease.delayMs + lease.count * lease.spacingMs)
        return lease
      },
      pause: async (ctx: ObjectContext, input: unknown): Promise<void> => {
        const { data, error } = pauseRequest.safeParse(input)
        if (data === undefined) return fail(error)
        const until = (await ctx.date.now()) + Math.min(data.delayMs, LONGEST_PAUSE_MS)
        ctx.set('pausedUntil', Math.max((await ctx.get<number>('pausedUntil')) ?? 0, until))
      },
    },
  })
}

/**
 * Limits of hosts that all workers share. If a pipeline declares a rate, its requests start at times that the budget has
 * leased. A pause that the API asks of one worker holds for all. Without a declared rate, each worker finds its own.
 */
export function leasedBudget(calls: BudgetCalls): HostBudget {
  const own = hostBudget()
  const leases = new Map<string, LeasedTimes>()
  return {
    gate(origin, limits) {
      const inner = own.gate(origin, { maxConcurrency: limits.maxConcurrency })
      if (limits.requests === undefined) return inner
      let times = leases.get(origin)
      if (times === undefined) {
        times = new LeasedTimes(origin, limits, calls)
        leases.set(origin, times)
      }
      times.restrict(limits)
      return leasedGate(inner, times, delayMs => calls.pause(origin, delayMs))
    },
  }
}

function leasedGate(inner: Gate, times: LeasedTimes, pause: (delayMs: number) => Promise<void>): Gate {
  return {
    async enter(options) {
      const leave = await inner.enter(options)
      try {
        await times.next(options)
      } catch (error) {
        leave(0, {})
        throw error
      }
      return (status, headers) => {
        const now = options.clock.now()
        const until = pauseUntil(status, headers, now) ?? now
        // If the others cannot be told, at least this worker's own gate waits.
        if (until > now) pause(until - now).catch(() => {})
        leave(status, headers)
      }
    },
  }
}

/** The times that this worker holds for one origin. */
class LeasedTimes {
  readonly #origin: string
  readonly #calls: BudgetCalls
  #limits: { readonly requests: number; readonly perMs: number }
  #held: number[] = []
  #waiting = 0
  #asked: Promise<void> | undefined

  constructor(origin: string, limits: RateLimits, calls: BudgetCalls) {
    this.#origin = origin
    this.#calls = calls
    this.#limits = rateOf(limits)
  }

  /** The strictest rate counts. */
  restrict(limits: RateLimits): void {
    const rate = rateOf(limits)
    if (rate.requests / rate.perMs < this.#limits.requests / this.#limits.perMs) this.#limits = rate
  }

  /** Resolves when the next request may start. */
  async next({ clock, signal, onWait }: EnterOptions): Promise<void> {
    this.#waiting += 1
    try {
      for (let missed = 0; ; ) {
        signal.throwIfAborted()
        const at = this.#take(clock)
        if (at === undefined) {
          await this.#ask(clock)
          continue
        }
        const delayMs = at - clock.now()
        if (delayMs <= 0) return
        const isPause = delayMs > this.#limits.perMs
        const reason = isPause ? 'the API asked another worker to wait' : 'the rate limit that workers share'
        onWait(delayMs, { until: at, reason, isAsked: isPause })
        await clock.sleep(delayMs, signal)
        // A busy machine wakes late, and then several requests at once.
        if (clock.now() - at <= STALE_MS || ++missed > MOST_MISSED) return
      }
    } finally {
      this.#waiting -= 1
    }
  }

  #take(clock: Clock): number | undefined {
    for (let at = this.#held.shift(); at !== undefined; at = this.#held.shift()) {
      if (at >= clock.now() - STALE_MS) return at
    }
    return undefined
  }

  /** One call for all waiting requests. */
  async #ask(clock: Clock): Promise<void> {
    this.#asked ??= this.#lease(clock).finally(() => {
      this.#asked = undefined
    })
    await this.#asked
  }

  async #lease(clock: Clock): Promise<void> {
    const asked = { wanted: this.#waiting, ...this.#limits }
    const { delayMs, spacingMs, count } = await this.#calls.lease(this.#origin, asked).catch((cause: Error) => {
      // Like an API that does not answer: another attempt may reach the server again.
      const message = `no request to ${this.#origin} may start, because its rate limit cannot be asked for: ${cause.message}`
      throw new RequestError('connection', message, { cause })
    })
    const at = clock.now() + delayMs
    this.#held.push(...Array.from({ length: count }, (_, index) => at + index * spacingMs))
  }
}

function rateOf({ requests = Number.POSITIVE_INFINITY, perMs = 1_000 }: RateLimits) {
  return { requests, perMs }
}
