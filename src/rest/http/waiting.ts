import { RequestError } from '../../model/errors.js'
import { type Clock, LONGEST_TIMER_MS } from '../../model/source.js'
import type { RetryPolicy } from '../api.js'

/** The time that may be spent on a list has passed, or would pass before the next answer. */
export class TimeUpError extends Error {
  constructor() {
    super('the time of this list is up')
  }
}

/**
 * Runs `work` with a signal that is aborted at the deadline too; then rejects with a {@link TimeUpError}, whatever became
 * of the work.
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

/** Throws a {@link TimeUpError} where a wait would end behind the deadline: nothing could come of it. */
export function checkDeadline(delayMs: number, deadline: number | undefined, clock: Clock): void {
  if (deadline !== undefined && clock.now() + delayMs >= deadline) throw new TimeUpError()
}

/** Throws a RequestError `rate_limit` where an API asks to wait for longer than it may. */
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
