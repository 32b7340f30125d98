import type { RetryPolicy } from '../../api.js'
import type { RetryConfig } from '../declaration/configTypes.js'
import type { Problems, PropertyPath } from '../problems.js'
import { conditionOf, statusRange, waitFromOf } from './readResponses.js'

/** Default: at most 3 retries, after up to 1, 2 and 4 seconds. */
export const defaultRetry: RetryPolicy = {
  attempts: 4,
  statuses: [429, 500, 502, 503, 504],
  onConnectionError: true,
  baseMs: 1_000,
  factor: 2,
  maxDelayMs: 300_000,
  maxWaitMs: 900_000,
  jitter: 'full',
}

/** A `retry` block, merged key by key over the policy it refines. */
export function retryPolicy(
  config: RetryConfig | null | undefined,
  base: RetryPolicy,
  at: PropertyPath,
  problems: Problems,
): RetryPolicy {
  if (config == null) return base
  const contains = config.body_contains ?? undefined
  return {
    attempts: config.attempts ?? base.attempts,
    statuses: config.statuses?.flatMap(pattern => statusesBetween(statusRange(pattern))) ?? base.statuses,
    onConnectionError: config.on_connection_error ?? base.onConnectionError,
    baseMs: milliseconds(config.base) ?? base.baseMs,
    factor: config.factor ?? base.factor,
    maxDelayMs: milliseconds(config.max_delay) ?? base.maxDelayMs,
    maxWaitMs: milliseconds(config.max_wait) ?? base.maxWaitMs,
    jitter: config.jitter ?? base.jitter,
    bodyContains: contains === undefined ? base.bodyContains : [contains].flat(),
    when:
      config.when?.map((condition, position) => conditionOf(condition, [...at, 'when', position], problems)) ??
      base.when,
    waitFrom: waitFromOf(config.wait_from, [...at, 'wait_from'], problems) ?? base.waitFrom,
  }
}

function statusesBetween([from, to]: readonly [number, number]): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)
}

export function milliseconds(seconds: number | null | undefined): number | undefined {
  return seconds == null ? undefined : Math.round(seconds * 1_000)
}
