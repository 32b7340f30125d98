import { isJsonObject, type JsonValue } from '../../json/value.js'
import type { ApiResponse } from '../api.js'
import { valuesAt } from './answerCondition.js'

/**
 * Until when the next query must wait, by what an answer of GraphQL says of its costs. Shopify's bucket
 * (`extensions.cost.throttleStatus`) needs time until it holds a query like this one again. GitHub's budget
 * (`data.rateLimit`) is given anew at `resetAt`. Undefined: the answer asks for no wait.
 */
export function costPauseUntil(response: ApiResponse, now: number): number | undefined {
  const ends = [bucketUntil(response, now), budgetUntil(response)].filter(end => end !== undefined && end > now)
  return ends.length === 0 ? undefined : Math.max(...(ends as number[]))
}

/** Whether an answer of GraphQL refuses a query because it costs more than what is left. */
export function isCostRefusal(response: ApiResponse): boolean {
  if (!holds(response, 'THROTTLED') && !holds(response, 'RATE_LIMITED')) return false
  const codes = ['errors[*].extensions.code', 'errors[*].type'].flatMap(path => valuesAt(response, path) ?? [])
  return codes.some(code => code === 'THROTTLED' || code === 'RATE_LIMITED')
}

function bucketUntil(response: ApiResponse, now: number): number | undefined {
  if (!holds(response, 'throttleStatus')) return undefined
  const [cost] = valuesAt(response, 'extensions.cost') ?? []
  if (!isJsonObject(cost) || !isJsonObject(cost.throttleStatus)) return undefined
  const { currentlyAvailable, restoreRate, maximumAvailable } = cost.throttleStatus
  const [left, aSecond, most] = [currentlyAvailable, restoreRate, maximumAvailable].map(amountOf)
  // A query that costs more than the bucket holds would wait for ever; the API says so in an error.
  const needed = Math.min(amountOf(cost.requestedQueryCost) ?? 0, most ?? Number.POSITIVE_INFINITY)
  if (left === undefined || aSecond === undefined || aSecond === 0 || left >= needed) return undefined
  return now + Math.ceil(((needed - left) / aSecond) * 1000)
}

function budgetUntil(response: ApiResponse): number | undefined {
  if (!holds(response, 'rateLimit')) return undefined
  const [limit] = valuesAt(response, 'data.rateLimit') ?? []
  if (!isJsonObject(limit) || typeof limit.resetAt !== 'string') return undefined
  const left = amountOf(limit.remaining)
  const reset = Date.parse(limit.resetAt)
  const isSpent = left !== undefined && left < Math.max(1, amountOf(limit.cost) ?? 1)
  return isSpent && Number.isFinite(reset) ? reset : undefined
}

function amountOf(value: JsonValue | undefined): number | undefined {
  const number = typeof value === 'number' || typeof value === 'bigint' ? Number(value) : Number.NaN
  return Number.isFinite(number) && number >= 0 ? number : undefined
}

/** Looks for a word before the body is parsed. */
function holds({ body }: ApiResponse, word: string): boolean {
  return Buffer.from(body.buffer, body.byteOffset, body.length).includes(word)
}
