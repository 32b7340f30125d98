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
 * A slice of the time of the budget's clock: it begins `delayMs` after `nowMs` and lasts `lengthMs`. No two overlap. Requests
 * start `spacingMs` apart, the last one at least that long before the end.
 */
export interface Lease {
  readonly nowMs: number
  readonly delayMs: number
  readonly spacingMs: number
  readonly lengthMs: number
}

/** The calls of an origin's budget. */
export interface BudgetCalls {
  lease(origin: string, asked: LeaseRequest): Promise<Lease>
  /** The API asked for a pause. */
  pause(origin: string, delayMs: number): Promise<void>
}

const leaseRequest = z.strictObject({
  wanted: z.int().min(1),
  /** So much of a slice may be over before its worker has it. */
  lostMs: z.number().min(0),
  requests: z.number().positive(),
  perMs: z.number().positive(),
})
export type LeaseRequest = z.output<typeof leaseRequest>
const pauseRequest = z.strictObject({ delayMs: z.number().positive() })
export const leaseAnswer = z.object({
  nowMs: z.number(),
  delayMs: z.number().min(0),
  spacingMs: z.number().positive(),
  lengthMs: z.number().positive(),
})

/**
 * Requests use this share of the rate. In a period and the time that remains of the next one, there are as many starts as the
 * API allows: so much later may a request come to the API than its start.
 */
const SHARE = 0.94
/** Of that time, the part that a worker may be late. The rest is for the way to the API. */
const LATE_PART = 0.5
/** A worker asks for at most a quarter of the starts of one period. */
const LARGEST_PART = 4
/** Of the sums of fractions. */
const ROUNDING = 1e-6
/** For so long a measurement of the budget's clock is good. */
const MEASURED_FOR_MS = 60_000
/** A budget makes no longer pauses. The run that was asked to wait longer decides itself. */
const LONGEST_PAUSE_MS = 24 * 3_600_000

/** The next slice of a budget that is free from `free` on. Both times are milliseconds since the epoch. */
export function nextLease(asked: LeaseRequest, free: number, now: number): Lease {
  const spacingMs = spacingOf(asked)
  const most = Math.max(1, Math.floor(asked.requests / LARGEST_PART))
  const lengthMs = Math.min(asked.wanted, most) * spacingMs + asked.lostMs
  return { nowMs: now, delayMs: Math.max(0, free - now), spacingMs, lengthMs }
}

function spacingOf({ requests, perMs }: Rate): number {
  return perMs / (requests * SHARE)
}

/** How much later than its time a request may start. */
export function mostLateMs({ perMs }: Pick<Rate, 'perMs'>): number {
  return (perMs / SHARE - perMs) * LATE_PART
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
        ctx.set('free', now + lease.delayMs + lease.lengthMs)
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

export interface Rate {
  readonly requests: number
  readonly perMs: number
}

/** How far the clock of the budget is ahead of the own one: at least and at most. */
interface Ahead {
  readonly least: number
  readonly most: number
  readonly measuredAt: number
}

/** The times that this worker holds for one origin. */
class LeasedTimes {
  readonly #origin: string
  readonly #calls: BudgetCalls
  #limits: Rate
  #held: number[] = []
  #waiting = 0
  /** Times that passed while nobody was awake. */
  #missed = 0
  #ahead: Ahead | undefined
  /** How long the last answer took, if its slice was over by then. */
  #answerMs = 0
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
      for (;;) {
        signal.throwIfAborted()
        const at = this.#take(clock)
        if (at === undefined) {
          await this.#ask(clock)
          continue
        }
        const delayMs = at - clock.now()
        if (delayMs > 0) {
          const isPause = delayMs > this.#limits.perMs
          const reason = isPause ? 'the API asked another worker to wait' : 'the rate limit that workers share'
          onWait(delayMs, { until: at, reason, isAsked: isPause })
          await clock.sleep(delayMs, signal)
        }
        if (clock.now() - at <= mostLateMs(this.#limits)) {
          this.#missed = 0
          return
        }
        // A busy machine wakes late. The time is given up: a later one may be another worker's.
        this.#missed += 1
      }
    } finally {
      this.#waiting -= 1
    }
  }

  #take(clock: Clock): number | undefined {
    for (let at = this.#held.shift(); at !== undefined; at = this.#held.shift()) {
      if (at >= clock.now() - mostLateMs(this.#limits)) return at
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
    const { least = 0, most = 0 } = this.#ahead ?? {}
    const lostMs = Math.max(most - least, this.#answerMs)
    const askedAt = clock.now()
    const asked = { wanted: this.#waiting + this.#missed, lostMs, ...this.#limits }
    const { nowMs, delayMs, spacingMs, lengthMs } = await this.#calls
      .lease(this.#origin, asked)
      .catch((cause: Error) => {
        // Like an API that does not answer: another attempt may reach the server again.
        const message = `no request to ${this.#origin} may start, because its rate limit cannot be asked for: ${cause.message}`
        throw new RequestError('connection', message, { cause })
      })
    const answeredAt = clock.now()
    const ahead = narrowed(this.#ahead, { least: nowMs - answeredAt, most: nowMs - askedAt, measuredAt: answeredAt })
    this.#ahead = ahead
    // Only what is surely within the slice.
    const from = nowMs + delayMs - ahead.least
    const count = Math.floor((nowMs + delayMs + lengthMs - ahead.most - from) / spacingMs + ROUNDING)
    const times = Array.from({ length: Math.max(0, count) }, (_, index) => from + index * spacingMs)
    this.#held.push(...times)
    this.#answerMs = (times.at(-1) ?? 0) < answeredAt ? Math.max(0, answeredAt - askedAt) : 0
  }
}

/** What both measurements agree on. A newer one counts alone if they contradict each other, or the other one is old. */
function narrowed(before: Ahead | undefined, now: Ahead): Ahead {
  if (before === undefined || now.measuredAt - before.measuredAt > MEASURED_FOR_MS) return now
  const least = Math.max(before.least, now.least)
  const most = Math.min(before.most, now.most)
  return least > most ? now : { least, most, measuredAt: before.measuredAt }
}

function rateOf({ requests = Number.POSITIVE_INFINITY, perMs = 1_000 }: RateLimits): Rate {
  return { requests, perMs }
}
