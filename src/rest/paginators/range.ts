import { z } from 'zod'
import { isJsonObject, type JsonValue } from '../../json/value.js'
import type { RequestError } from '../../model/errors.js'
import type { ListEnd } from '../../model/source.js'
import type { ApiPage, ApiRequest, RequestPatch } from '../api.js'
import { withoutSaying } from '../evidence/evidence.js'
import { flagPath, headerName, saysMore } from './listEnds.js'
import { describe, jsonPath, lacking, lackingHeader, pageError, wholeNumber } from './paginator.js'
import { declaresTotal, isLowerBound, totalOf, totalPath, totalValue } from './totals.js'

/** Keys that say how a list of counted records or pages ends. */
export const rangeEnds = (counted: 'records' | 'pages') => ({
  stop_after_empty_page: z.boolean().default(true).meta({ description: 'A page without records ends the list.' }),
  has_more_path: jsonPath.nullish().meta({
    description:
      'JSONPath of a flag: false ends the list, as a total that is reached does. Where it is missing or null, the other ends decide.',
  }),
  done_path: jsonPath.nullish().meta({ description: 'JSONPath of a boolean: true ends the list.' }),
  total_header: headerName()
    .nullish()
    .meta({ description: `Response header with the number of ${counted}, instead of \`total_path\`.` }),
})

/** Where a number goes in a request. */
export type NumberPlace =
  | {
      readonly param: string
      /** Texts before and after the number. */
      readonly around?: readonly [before: string, after: string] | undefined
    }
  | { readonly bodyPath: string }

export function target(
  param: string | null | undefined,
  bodyPath: string | null | undefined,
  standard: string,
): NumberPlace {
  return bodyPath == null ? { param: param ?? standard } : { bodyPath }
}

/** The patch that writes these numbers. */
export function write(...values: readonly (readonly [NumberPlace, number])[]): RequestPatch {
  const params: Record<string, string> = {}
  const body: { path: string; value: JsonValue }[] = []
  for (const [place, value] of values) {
    if ('param' in place) params[place.param] = place.around?.join(String(value)) ?? String(value)
    else body.push({ path: place.bodyPath, value })
  }
  return { ...(Object.keys(params).length > 0 && { params }), ...(body.length > 0 && { body }) }
}

/** The number in a request. Undefined if there is none. */
export function read(request: ApiRequest, place: NumberPlace): number | undefined {
  const value = valueIn(request, place)
  if (!('param' in place) || place.around === undefined) return wholeNumber(value)
  const [before, after] = place.around
  const text = typeof value === 'string' && value.startsWith(before) && value.endsWith(after) ? value : undefined
  return wholeNumber(text?.slice(before.length, text.length - after.length))
}

/** What a request has at this place. */
export function valueIn(request: ApiRequest, place: NumberPlace): JsonValue | undefined {
  if ('param' in place) return request.params.findLast(([name]) => name === place.param)?.[1]
  const { body } = request
  if (body?.kind === 'form') return body.pairs.findLast(([name]) => name === place.bodyPath)?.[1]
  if (body?.kind !== 'json') return undefined
  let value: JsonValue | undefined = body.value
  for (const key of place.bodyPath.split('.')) {
    value = isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
  }
  return value
}

/** What the page says about the end of a range. */
export interface RangeFacts {
  readonly total: number | undefined
  /** From `has_more_path` or `done_path`; undefined without them. */
  readonly more: boolean | undefined
}

export interface RangeConfig {
  readonly total_path?: string | null | undefined
  readonly total_header?: string | null | undefined
  readonly has_more_path?: string | null | undefined
  readonly done_path?: string | null | undefined
  readonly stop_after_empty_page: boolean
}

/** Whether nothing could ever end the list. */
export function isEndless(config: RangeConfig, maximum: number | null | undefined): boolean {
  const hasTotal = declaresTotal(config) || config.total_path === undefined
  return !hasTotal && maximum == null && flagPath(config) === undefined && !config.stop_after_empty_page
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
  const more = saysMore(page, config)
  const path = totalPath(config)
  if (path === undefined) return { total: undefined, more }
  const value = totalValue(page, config)
  const total = totalOf(value, least)
  const needed = flagPath(config) === undefined && maximum == null && !config.stop_after_empty_page
  if (total === undefined && (declaresTotal(config) || needed)) {
    const isLow = config.total_header == null && isLowerBound(page, path)
    if (needed || (wholeNumber(value) === undefined && !isLow)) throw withoutTotal(page, config, path)
  }
  return { total, more }
}

/** The end of a list at a page without a flag, where nothing else could end it. */
export function withoutFlag(
  config: RangeConfig,
  maximum: number | null | undefined,
  { total, more }: RangeFacts,
): ListEnd | undefined {
  const path = flagPath(config)
  if (path === undefined || more !== undefined || total !== undefined) return undefined
  return maximum != null || config.stop_after_empty_page ? undefined : withoutSaying(path)
}

function withoutTotal(page: ApiPage, { total_header: header }: RangeConfig, path: string): RequestError {
  if (header != null) return lackingHeader(page, 'total_header', header, 'a number')
  const value = page.first(path)
  const remedy = 'set it to null if there is no total'
  if (value === undefined) return lacking(page, 'total_path', path, 'a number', remedy)
  return pageError(page, `total_path "${path}" must give a number, but is ${describe(value)}; ${remedy}`)
}
