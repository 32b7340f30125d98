import type { JsonValue } from '../../json/value.js'
import type { ApiPage, ApiRequest, RequestPatch } from '../api.js'
import { describe, hasMore, pageError, wholeNumber } from './paginator.js'

/** Where a number goes in a request. */
export type Target = { readonly param: string } | { readonly bodyPath: string }

export function target(
  param: string | null | undefined,
  bodyPath: string | null | undefined,
  standard: string,
): Target {
  return bodyPath == null ? { param: param ?? standard } : { bodyPath }
}

/** The patch that writes these numbers. */
export function write(...values: readonly (readonly [Target, number])[]): RequestPatch {
  const params: Record<string, string> = {}
  const body: { path: string; value: JsonValue }[] = []
  for (const [place, value] of values) {
    if ('param' in place) params[place.param] = String(value)
    else body.push({ path: place.bodyPath, value })
  }
  return { ...(Object.keys(params).length > 0 && { params }), ...(body.length > 0 && { body }) }
}

/** The number in a request. Undefined if there is none. */
export function read(request: ApiRequest, place: Target): number | undefined {
  if ('param' in place) {
    const text = request.params.findLast(([name]) => name === place.param)?.[1]
    return wholeNumber(text)
  }
  const { body } = request
  if (body?.kind === 'form') return wholeNumber(body.pairs.findLast(([name]) => name === place.bodyPath)?.[1])
  if (body?.kind !== 'json') return undefined
  let value: JsonValue | undefined = body.value
  for (const key of place.bodyPath.split('.')) {
    value = isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined
  }
  return wholeNumber(value)
}

function isRecord(value: JsonValue | undefined): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What the page says about the end of a range. */
export interface RangeFacts {
  readonly total: number | undefined
  /** From `has_more_path`; undefined without it. */
  readonly more: boolean | undefined
}

export interface RangeConfig {
  readonly total_path?: string | null | undefined
  readonly has_more_path?: string | null | undefined
  readonly stop_after_empty_page: boolean
}

/** Absent means `total`. Null means that there is no total. */
export function totalPath(config: RangeConfig): string | undefined {
  return config.total_path === undefined ? 'total' : (config.total_path ?? undefined)
}

/**
 * Reads total and has_more. A total below `least` is ignored. It may be absent under the default path. Under a
 * configured path, or if nothing else ends the list, it is required.
 */
export function facts(
  page: ApiPage,
  config: RangeConfig,
  maximum: number | null | undefined,
  least: number,
): RangeFacts {
  const more = config.has_more_path == null ? undefined : hasMore(page, config.has_more_path)
  const path = totalPath(config)
  if (path === undefined) return { total: undefined, more }
  const value = page.first(path)
  const total = isLowerBound(page, path) ? undefined : totalOf(value, least)
  const needed = more === undefined && maximum == null && !config.stop_after_empty_page
  if (total === undefined && (config.total_path != null || needed)) {
    if (needed || wholeNumber(value) === undefined) {
      const found = value === undefined ? 'is not in the answer' : `is ${describe(value)}`
      throw pageError(
        page,
        `total_path "${path}" must give a number, but ${found}; set it to null if there is no total`,
      )
    }
  }
  return { total, more }
}

/** Elasticsearch counts only so far. Then `relation` beside the `value` says `gte`, and the total ends nothing. */
export function isLowerBound(page: ApiPage, path: string): boolean {
  return /\bvalue$/.test(path) && page.first(path.replace(/value$/, 'relation')) === 'gte'
}

/**
 * A total, at least as large as the records so far. APIs that did not count send -1 or 0. A number below `least` counts
 * something else.
 */
export function totalOf(value: JsonValue | undefined, least: number): number | undefined {
  const total = wholeNumber(value)
  return total === undefined || total < least || total < 0 ? undefined : total
}
