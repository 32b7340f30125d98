import { rangeText } from '../../model/cursors/cursorRange.js'
import {
  ConfigError,
  DataError,
  DestinationError,
  EnvironmentError,
  RequestError,
  SluiceError,
  shortened,
} from '../../model/errors.js'
import { count } from '../../model/verdict.js'
import type { FailedWindow } from './planBackfill.js'

const TOO_MUCH = [408, 413, 504]

/** Whether half of the window may succeed where the whole one failed. */
export function isTooMuch(error: unknown, resource: string): boolean {
  if (error instanceof RequestError)
    return error.code === 'timeout' || error.code === 'response_too_large' || TOO_MUCH.includes(error.status ?? 0)
  if (!(error instanceof DataError) || error.code !== 'incomplete') return false
  const receipt = error.receipts?.find(one => one.resource === resource)
  return receipt !== undefined && (receipt.verdict !== 'incomplete' || (receipt.announced ?? 0) > receipt.records)
}

/** The API cannot be reached, does not know us or asks us to wait: the other windows would fail too. */
const OF_ALL = ['aborted', 'connection', 'auth', 'rate_limit', 'forbidden_url', 'journal']

/** Whether a failure says nothing about the window, so that no other one would fare better. */
export function isOfAll(error: unknown): boolean {
  if (!(error instanceof SluiceError)) return true
  if (error instanceof RequestError && error.status === 401) return true
  return (
    error instanceof ConfigError ||
    error instanceof DestinationError ||
    error instanceof EnvironmentError ||
    OF_ALL.includes(error.code)
  )
}

/** So many windows that fail in a row are no fault of theirs. */
export const MOST_IN_A_ROW = 3

/** Failures that the message of an error tells. */
const MOST_TOLD = 5

/** The end of a backfill that could not load every window. `untried`: windows that were left. */
export function windowsFailed(
  resource: string,
  failures: readonly FailedWindow[],
  { loaded, untried, cause }: { readonly loaded: number; readonly untried: number; readonly cause: unknown },
): DataError {
  const told = failures.slice(0, MOST_TOLD).map(window => `${rangeText(window)}: ${shortened(window.reason, 300)}`)
  if (failures.length > MOST_TOLD) told.push(`and ${failures.length - MOST_TOLD} more`)
  const rest =
    untried === 0
      ? ''
      : ` ${count(untried, 'window')} ${untried === 1 ? 'was' : 'were'} not tried, because ${MOST_IN_A_ROW} failed one after another.`
  return new DataError(
    'windows_failed',
    `${resource}: ${count(failures.length, 'window')} failed, ${loaded} committed.${rest}\n${told.join('\n')}\nThe next backfill tries them again, after the missing ones; \`--retry-failed\` (retryFailed) tries nothing else.`,
    { resource, cause },
  )
}
