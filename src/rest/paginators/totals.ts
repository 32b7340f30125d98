import type { JsonValue } from '../../json/value.js'
import type { ApiPage } from '../api.js'
import { wholeNumber } from './paginator.js'

/** Keys of a paginator that say where an answer tells the length of the list. */
export interface TotalKeys {
  readonly total_path?: string | null | undefined
  readonly total_header?: string | null | undefined
}

/** Where the total is: a header, or a path, which is `total` if both keys are absent. Null means that there is no total. */
export function totalPath(config: TotalKeys): string | undefined {
  if (config.total_header != null) return config.total_header.toLowerCase()
  return config.total_path === undefined ? 'total' : (config.total_path ?? undefined)
}

/** What to do about a total that says too much. */
export function untrueTotal({ total_header: header }: TotalKeys, counts: 'total' | 'number'): string {
  return `if the ${counts} is never true, ${header == null ? 'set total_path: null' : `leave total_header: ${header} out`}`
}

/** Whether the document says where the total is. */
export function declaresTotal({ total_path: path, total_header: header }: TotalKeys): boolean {
  return path != null || header != null
}

/** What the page has in place of the total. Undefined also if the API counted only so far. */
export function totalValue(page: ApiPage, config: TotalKeys): JsonValue | undefined {
  if (config.total_header != null) return page.headers[config.total_header.toLowerCase()]
  const path = totalPath(config)
  return path === undefined || isLowerBound(page, path) ? undefined : page.first(path)
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
