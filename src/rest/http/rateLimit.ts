import { retryAfterMs, toldTime } from '../../model/runtime/backoff.js'
import type { Clock } from '../../model/source.js'

/** What an answer says of one limit of the API. */
interface RateWindow {
  /** Requests that are left. */
  readonly left: number
  /** When there are more, as the header gives it. */
  readonly reset: string | undefined
}

/**
 * Every limit that an answer tells, in any form: `RateLimit` as a list of items (`"default";r=50;t=30, "burst";r=0;t=5`)
 * or of members (`limit=10, remaining=0, reset=5`), `RateLimit-Remaining`, `X-RateLimit-Remaining` and
 * `X-Rate-Limit-Remaining`. All of them hold.
 */
function rateWindows(headers: Readonly<Record<string, string>>): RateWindow[] {
  const windows = headers.ratelimit === undefined ? [] : combined(headers.ratelimit)
  for (const [remaining, reset] of SEPARATE) {
    const left = headers[remaining]
    if (left !== undefined) windows.push(...pairs(left, headers[reset]))
  }
  return windows
}

const SEPARATE = [
  ['ratelimit-remaining', 'ratelimit-reset'],
  ['x-ratelimit-remaining', 'x-ratelimit-reset'],
  ['x-rate-limit-remaining', 'x-rate-limit-reset'],
] as const

/** Longer headers hold no limits that anybody would read. */
const LONGEST = 4096
/** A member, maybe with a quoted value, a quoted name, or a bare one. */
const parts = /[^\s;,"=]+=(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*)|"(?:[^"\\]|\\.)*"|[^\s;,"]+/g
const names: Readonly<Record<string, 'left' | 'reset'>> = { r: 'left', remaining: 'left', t: 'reset', reset: 'reset' }

/** A name, or a member that was there already, begins the next window. */
function combined(header: string): RateWindow[] {
  const windows: Partial<Record<'left' | 'reset', string>>[] = [{}]
  for (const part of header.slice(0, LONGEST).match(parts) ?? []) {
    const [, key = '', value = ''] = /^([^"=]+)=(.*)$/s.exec(part) ?? []
    const name = names[key.toLowerCase()]
    const current = windows.at(-1)
    if (key === '' || current === undefined || (name !== undefined && current[name] !== undefined)) windows.push({})
    const window = windows.at(-1)
    if (name !== undefined && window !== undefined) window[name] = value
  }
  return windows.flatMap(({ left, reset }) => windowOf(left, reset))
}

/** A header that came twice holds two numbers, and its reset either as many or one for both. A date has a comma too. */
function pairs(lefts: string, reset: string | undefined): RateWindow[] {
  const all = lefts.slice(0, LONGEST).split(',')
  const resets = reset?.split(',') ?? []
  return all.flatMap((left, index) => windowOf(left, resets.length === all.length ? resets[index] : reset))
}

/** None if the number is none: some APIs write -1 for a limit that there is not. */
function windowOf(left: string | undefined, reset: string | undefined): RateWindow[] {
  const digits = /^\s*(\d+)/.exec(left ?? '')?.[1]
  return digits === undefined ? [] : [{ left: Number(digits), reset: reset?.trim() }]
}

/** Limits that the user declares. Adaptive limits stay below them. */
export interface RateLimits {
  /** At most `requests` may start within any `perMs` milliseconds, for one origin and credential. */
  readonly requests?: number | undefined
  /** Default 1,000. */
  readonly perMs?: number | undefined
  /** At most this many requests in flight, for one origin and credential. */
  readonly maxConcurrency?: number | undefined
}

/** The state of a gate. Times are milliseconds since the epoch. */
export interface GateState {
  /** Requests that may be in flight, as learnt from answers. */
  readonly allowed: number
  readonly inFlight: number
  /** Successful answers since `allowed` last changed. */
  readonly successes: number
  /** When `allowed` was last cut. Requests that started earlier do not cut it again. */
  readonly cutAt: number
  /** No request starts before this time. */
  readonly pausedUntil: number
  /** Start times of the last requests, oldest first. As many as the declared rate needs. */
  readonly started: readonly number[]
}

/** Requests that may be in flight while nothing is known about the API. */
const FIRST_ALLOWED = 4

export const newGate: GateState = {
  allowed: FIRST_ALLOWED,
  inFlight: 0,
  successes: 0,
  cutAt: Number.NEGATIVE_INFINITY,
  pausedUntil: Number.NEGATIVE_INFINITY,
  started: [],
}

/** A wait before a request. */
interface Wait {
  /** Milliseconds since the epoch. */
  readonly until: number
  readonly reason: string
  /** Whether the API asked for the wait. Otherwise the configuration did. */
  readonly isAsked: boolean
}

export type GateDecision =
  | { readonly kind: 'go' }
  | (Wait & { readonly kind: 'wait' })
  /** Until another request is answered. */
  | { readonly kind: 'full' }

/** Whether a request may start now. `concurrency`: most requests that the run wants in flight. */
export function decide(state: GateState, limits: RateLimits, concurrency: number, now: number): GateDecision {
  const most = Math.max(1, Math.min(state.allowed, concurrency, limits.maxConcurrency ?? concurrency))
  if (state.inFlight >= most) return { kind: 'full' }
  if (state.pausedUntil > now) {
    return { kind: 'wait', until: state.pausedUntil, reason: 'the API asks to wait', isAsked: true }
  }
  const oldest = state.started[state.started.length - (limits.requests ?? Number.POSITIVE_INFINITY)]
  const free = oldest === undefined ? now : oldest + (limits.perMs ?? 1000)
  if (free > now) return { kind: 'wait', until: free, reason: 'the configured rate limit', isAsked: false }
  return { kind: 'go' }
}

export function started(state: GateState, limits: RateLimits, now: number): GateState {
  const kept = limits.requests === undefined ? [] : [...state.started, now].slice(-limits.requests)
  return { ...state, inFlight: state.inFlight + 1, started: kept }
}

/** An answer to a request, or its failure. */
export interface Outcome {
  /** 0 if no answer came. */
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly startedAt: number
  /** Until when the body asks to wait. */
  readonly pausedUntil?: number | undefined
}

/**
 * Before the API's first refusal, every good answer allows one more request in flight, so the number doubles each
 * round. After it, a whole round of good answers allows one more. A 429 or 503 halves the number, once for all requests
 * in flight together. This is TCP's slow start, additive increase and multiplicative decrease (RFC 5681). A pause that
 * an answer asks for holds for all requests.
 */
export function answered(state: GateState, outcome: Outcome, now: number): GateState {
  const inFlight = state.inFlight - 1
  const asked = [pauseUntil(outcome.status, outcome.headers, now), outcome.pausedUntil]
  const pausedUntil = Math.max(state.pausedUntil, ...asked.map(until => until ?? state.pausedUntil))
  if (isThrottled(outcome.status, outcome.headers)) {
    if (outcome.startedAt <= state.cutAt) return { ...state, inFlight, pausedUntil }
    return { ...state, inFlight, pausedUntil, allowed: Math.max(1, state.allowed >> 1), successes: 0, cutAt: now }
  }
  if (outcome.status === 0 || outcome.status >= 500) return { ...state, inFlight, pausedUntil }
  const successes = state.successes + 1
  const wasRefused = state.cutAt !== Number.NEGATIVE_INFINITY
  if (wasRefused && successes < state.allowed) return { ...state, inFlight, pausedUntil, successes }
  return { ...state, inFlight, pausedUntil, allowed: state.allowed + 1, successes: 0 }
}

/** 429 and 503. Also 403, if the headers show that it is a rate limit. */
export function isThrottled(status: number, headers: Readonly<Record<string, string>>): boolean {
  if (status === 429 || status === 503) return true
  return status === 403 && (headers['retry-after'] !== undefined || usedUp(headers).length > 0)
}

/**
 * Until when the API asks for a pause: `Retry-After` of a refusal, or the last end of a rate window with nothing left.
 * Undefined: it does not ask.
 */
export function pauseUntil(status: number, headers: Readonly<Record<string, string>>, now: number): number | undefined {
  if (isThrottled(status, headers)) {
    const delay = retryAfterMs(headers, now)
    if (delay !== undefined) return now + delay
  }
  const ends = usedUp(headers).flatMap(({ reset }) =>
    reset === undefined ? [] : (toldTime(reset, headers, now) ?? []),
  )
  return ends.length === 0 ? undefined : Math.max(...ends)
}

function usedUp(headers: Readonly<Record<string, string>>) {
  return rateWindows(headers).filter(({ left }) => left === 0)
}

/** Starts requests to one origin with one credential, in the order in which they came. */
export interface Gate {
  /** Resolves when a request may start. Call the returned function once, with the outcome. */
  enter(
    options: EnterOptions,
  ): Promise<(status: number, headers: Readonly<Record<string, string>>, pausedUntil?: number) => void>
}

export interface EnterOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly concurrency: number
  /**
   * A signer asks, for a token or a login. The requests that wait for it are in flight already, so it needs no place
   * among them and no turn: it waits for pauses and rates only.
   */
  readonly isOfSigner?: boolean | undefined
  /** Called before each wait. If it throws, the request fails with that error. */
  readonly onWait: (delayMs: number, wait: Wait) => void
  /** Called when the number of allowed requests changes after the API's first refusal. */
  readonly onAllowed: (allowed: number) => void
}

export function createGate(limits: RateLimits): Gate {
  let state = newGate
  const line: (() => void)[] = []

  return {
    async enter({ clock, signal, concurrency, isOfSigner, onWait, onAllowed }) {
      let wake = (): void => {}
      const place = (): void => wake()
      const woken = (): Promise<void> =>
        new Promise((resolve, reject) => {
          const abort = (): void => reject(signal.reason)
          signal.addEventListener('abort', abort, { once: true })
          wake = () => {
            signal.removeEventListener('abort', abort)
            resolve()
          }
        })
      const decided = (now: number): GateDecision => {
        if (isOfSigner === true) return decide({ ...state, inFlight: 0 }, limits, concurrency, now)
        return line[0] === place ? decide(state, limits, concurrency, now) : full
      }
      if (isOfSigner !== true) line.push(place)
      try {
        let served = Number.NEGATIVE_INFINITY
        for (;;) {
          signal.throwIfAborted()
          const decision = decided(Math.max(clock.now(), served))
          if (decision.kind === 'go') break
          if (decision.kind === 'full') await woken()
          else {
            const delayMs = decision.until - clock.now()
            onWait(delayMs, decision)
            await clock.sleep(delayMs, signal)
            // A timer may fire a little early. The wait still counts as over.
            served = decision.until
          }
        }
        const startedAt = clock.now()
        state = started(state, limits, Math.max(startedAt, served))
        return (status, headers, pausedUntil) => {
          const { allowed } = state
          state = answered(state, { status, headers, startedAt, pausedUntil }, clock.now())
          if (state.allowed !== allowed && state.cutAt !== newGate.cutAt) onAllowed(state.allowed)
          line[0]?.()
        }
      } finally {
        if (isOfSigner !== true) line.splice(line.indexOf(place), 1)
        line[0]?.()
      }
    },
  }
}

const full: GateDecision = { kind: 'full' }

/** Limits of hosts that several sources share, as the pipelines of one command do. */
export interface HostBudget {
  /** The gate of an origin, for all sources together. The strictest declared rate counts. */
  gate(origin: string, limits: RateLimits): Gate
}

/**
 * One budget for each origin: what an API refuses to one source holds for all, and requests in flight are counted
 * together.
 *
 * @example
 * ```ts
 * import { duckdb, hostBudget, pipeline, restApi } from 'sluice'
 *
 * const budget = hostBudget()
 * const load = (name: string) => {
 *   const source = restApi({ client: { base_url: 'https://api.example.com' }, resources: [name] }, { budget })
 *   return pipeline({ name, source, destination: duckdb(`${name}.duckdb`) }).run()
 * }
 * await Promise.all([load('shops'), load('orders')])
 * ```
 */
export function hostBudget(): HostBudget {
  const hosts = new Map<string, { readonly gate: Gate; readonly limits: Mutable }>()
  return {
    gate(origin, limits) {
      let host = hosts.get(origin)
      if (host === undefined) {
        const shared: Mutable = {}
        host = { gate: createGate(shared), limits: shared }
        hosts.set(origin, host)
      }
      if (rateOf(limits) < rateOf(host.limits)) {
        host.limits.requests = limits.requests
        host.limits.perMs = limits.perMs
      }
      host.limits.maxConcurrency = least(host.limits.maxConcurrency, limits.maxConcurrency)
      return host.gate
    },
  }
}

type Mutable = { -readonly [Key in keyof RateLimits]: RateLimits[Key] }

function rateOf({ requests = Number.POSITIVE_INFINITY, perMs = 1_000 }: RateLimits): number {
  return requests / perMs
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b
  return b === undefined ? a : Math.min(a, b)
}
