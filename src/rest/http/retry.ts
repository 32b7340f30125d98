import { RequestError } from '../../model/errors.js'
import type { RunEvent } from '../../model/events.js'
import { backoffMs, retryAfterMs } from '../../model/runtime/backoff.js'
import { type Clock, LONGEST_TIMER_MS } from '../../model/source.js'
import type { RetryPolicy } from '../api.js'

/** The reason for a retry. */
export interface Again {
  readonly reason: string
  readonly method: string
  /** Redacted. */
  readonly url: string
  readonly status?: number | undefined
  /** Headers of the answer, which may say when to retry. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Milliseconds that the answer asks to wait, in place of its headers. */
  readonly waitMs?: number | undefined
}

/** What is needed to repeat a request. */
export interface RepeatedRequest {
  readonly resource: string
  readonly policy: RetryPolicy
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly emit: (event: RunEvent) => void
  readonly deadline?: number | undefined
}

/**
 * Repeats until the result is final or the attempts are used up. All retries happen here, whatever the cause. The wait
 * is what the answer asks for, otherwise what the policy says. Each wait is announced.
 */
export async function repeated<Result>(
  ask: (attempt: number) => Promise<Result>,
  again: (result: Result) => Again | undefined,
  { resource, policy, clock, signal, emit, deadline }: RepeatedRequest,
): Promise<{ readonly result: Result; readonly attempts: number }> {
  for (let attempt = 1; ; attempt++) {
    const result = await ask(attempt)
    const why = again(result)
    if (why === undefined || attempt >= policy.attempts) return { result, attempts: attempt }
    const { reason, method, url, status, headers = {}, waitMs } = why
    const asked = waitMs ?? retryAfterMs(headers, clock.now())
    if (asked !== undefined)
      checkAskedWait(asked, policy, clock, () => ({ resource, method, url, status, attempts: attempt }))
    const delayMs = asked ?? backoffMs(policy, attempt, clock.random())
    checkDeadline(delayMs, deadline, clock)
    emit({ type: 'retry', resource, url, reason, attempt, delayMs })
    await clock.sleep(delayMs, signal)
  }
}

/** The time for a list has run out, or would run out before the next answer. */
export class TimeUpError extends Error {
  constructor() {
    super('the time of this list is up')
  }
}

/**
 * Runs `work` with a signal that is also aborted at the deadline. Then it rejects with a {@link TimeUpError}, whatever
 * the result of the work.
 */
export async function withinDeadline<Result>(
  {
    signal,
    clock,
    deadline,
  }: { readonly signal: AbortSignal; readonly clock: Clock; readonly deadline?: number | undefined },
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  if (deadline === undefined) return work(signal)
  checkDeadline(0, deadline, clock)
  const controller = new AbortController()
  const stop = (): void => controller.abort(signal.reason)
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  const left = Math.min(deadline - clock.now(), LONGEST_TIMER_MS)
  const timer = setTimeout(() => controller.abort(new TimeUpError()), left)
  try {
    return await work(controller.signal)
  } catch (error) {
    throw controller.signal.reason instanceof TimeUpError ? controller.signal.reason : error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}

/** Throws a {@link TimeUpError} if a wait would end after the deadline, because it would be useless. */
export function checkDeadline(delayMs: number, deadline: number | undefined, clock: Clock): void {
  if (deadline !== undefined && clock.now() + delayMs >= deadline) throw new TimeUpError()
}

/** Throws a RequestError `rate_limit` if an API asks for a longer wait than is allowed. */
export function checkAskedWait(
  delayMs: number,
  { maxWaitMs }: RetryPolicy,
  clock: Clock,
  about: () => {
    readonly resource: string
    readonly method: string
    readonly url: string
    readonly status?: number | undefined
    readonly attempts?: number | undefined
  },
): void {
  if (delayMs <= maxWaitMs) return
  const details = about()
  const { resource, method, url } = details
  const until = momentText(clock.now() + delayMs)
  throw new RequestError(
    'rate_limit',
    `${resource}: ${method} ${url}: the API asks to wait until ${until}, longer than \`retry.max_wait\` (${maxWaitMs / 1000} seconds); run again after that, or raise it; the pages received so far are kept`,
    details,
  )
}

function momentText(at: number): string {
  const LAST = Date.parse('9999-12-31T23:59:59Z')
  return at > LAST ? 'after the year 9999' : new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')
}
