import type { RunEvent } from '../core/events.js'
import type { JsonObject, JsonValue } from '../core/json.js'
import { isJsonObject } from '../core/jsonObject.js'
import { pathOfKeys } from '../rest/selector.js'

/** A guess that reading the first page made. */
export type Detected = Extract<RunEvent, { readonly type: 'detected' }>

/** A paginator as it would be configured. */
export interface Paging {
  readonly config: { readonly type: string; readonly [key: string]: string | number | boolean | null }
  readonly why: string
  /** Query parameters that the paginator sends, which therefore are no params of the endpoint. */
  readonly sends: readonly string[]
}

/** A field that grows, with the least and the greatest value seen. */
export interface CursorCandidate {
  readonly path: string
  readonly least: string | number
}

/**
 * What was detected, or where nothing was, what the counters in the body and the query of the address suggest: an
 * offset, or the number of a page.
 */
export function guessPaging(
  detected: Detected | undefined,
  body: JsonValue | undefined,
  params: readonly (readonly [string, string])[],
  records: number,
): Paging {
  if (detected !== undefined && detected.guess !== 'single_page') return detectedPaging(detected)
  const counters = body === undefined ? [] : countersIn(body)
  const sent = new Map(params)
  const param = (names: readonly string[]): string | undefined => names.find(name => sent.has(name))
  const counter = (names: readonly string[]): Counter | undefined =>
    counters.find(({ key }) => names.includes(key.toLowerCase()))
  const total = counter(TOTALS)
  const limit = counter(LIMITS)
  const limitParam = param(LIMITS) ?? 'limit'
  const size = Number(sent.get(limitParam) ?? limit?.value ?? records) || 100
  const offset = counter(OFFSETS)
  const offsetParam = param(OFFSETS)
  if (offset !== undefined || offsetParam !== undefined) {
    const name = offsetParam ?? offset?.key ?? 'offset'
    return {
      config: {
        type: 'offset',
        limit: size,
        ...(name === 'offset' ? {} : { offset_param: name }),
        ...(limitParam === 'limit' ? {} : { limit_param: limitParam }),
        ...totalPath(total),
      },
      why: offset === undefined ? `the address has ${name}` : `the body has ${offset.path}: ${offset.value}`,
      sends: [name, limitParam],
    }
  }
  const page = counter(PAGES)
  const pageParam = param(PAGES)
  if (page !== undefined || pageParam !== undefined) {
    const name = pageParam ?? 'page'
    const first = page?.value ?? Number(sent.get(name))
    return {
      config: {
        type: 'page_number',
        base_page: first === 0 ? 0 : 1,
        ...(name === 'page' ? {} : { page_param: name }),
        total_path: null,
      },
      why: page === undefined ? `the address has ${name}` : `the body has ${page.path}: ${page.value}`,
      sends: [name],
    }
  }
  return {
    config: { type: 'single_page' },
    why: detected?.why ?? 'the answer tells of no other page',
    sends: [],
  }
}

const TOTALS = ['total', 'total_count', 'totalcount', 'count', 'total_results', 'totalresults', 'total_records']
const LIMITS = ['limit', 'per_page', 'page_size', 'pagesize', 'perpage', 'max_results', 'maxresults']
const OFFSETS = ['offset', 'skip', 'start', 'start_at', 'startat', 'start_index', 'startindex']
const PAGES = ['page', 'page_number', 'pagenumber', 'current_page', 'currentpage', 'p']

/** The default path of the total may be missing from answers; another one must be said. */
function totalPath(total: Counter | undefined): { total_path?: string | null } {
  if (total === undefined) return { total_path: null }
  return total.path === 'total' ? {} : { total_path: total.path }
}

function detectedPaging({ guess, why }: Detected): Paging {
  const [type = 'single_page', ...rest] = guess.split(', ')
  const config: Record<string, string | number> = {}
  for (const pair of rest) {
    const at = pair.indexOf(': ')
    const value = pair.slice(at + 2)
    config[pair.slice(0, at)] = /^\d+$/.test(value) ? Number(value) : value
  }
  return { config: { type, ...config }, why, sends: type === 'page_number' ? ['page'] : [] }
}

interface Counter {
  readonly key: string
  readonly path: string
  readonly value: number
}

/** Whole numbers in the body, and in the objects of its first level. */
function countersIn(body: JsonValue, above: readonly string[] = []): Counter[] {
  if (!isJsonObject(body)) return []
  return Object.entries(body).flatMap(([key, value]): Counter[] => {
    const keys = [...above, key]
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) {
      return [{ key, path: pathOfKeys(keys), value }]
    }
    return above.length === 0 && isJsonObject(value) ? countersIn(value, keys) : []
  })
}

/** Keys whose values are different, short and never missing, the likeliest first. */
export function candidateKeys(records: readonly JsonObject[], name: string): string[] {
  const [first] = records
  if (first === undefined) return []
  const singular = name.replace(/s$/, '')
  const likely = ['id', '_id', 'uuid', 'guid', `${singular}_id`, `${name}_id`, `${singular}Id`, 'key', 'code', 'slug']
  const rank = (key: string): number => {
    const place = likely.indexOf(key)
    if (place >= 0) return place
    return /(?:_id|Id|ID|_key|uuid)$/.test(key) ? likely.length : Number.POSITIVE_INFINITY
  }
  return Object.keys(first)
    .filter(key => Number.isFinite(rank(key)) && isKey(records, key))
    .sort((a, b) => rank(a) - rank(b))
}

function isKey(records: readonly JsonObject[], key: string): boolean {
  const seen = new Set<JsonValue>()
  for (const record of records) {
    const value = record[key]
    const usable = typeof value === 'bigint' || typeof value === 'number' || (typeof value === 'string' && value !== '')
    if (!usable || seen.has(value)) return false
    seen.add(value)
  }
  return true
}

/** Fields that hold a moment in every record, those of the last change first. */
export function candidateCursors(records: readonly JsonObject[]): CursorCandidate[] {
  const [first] = records
  if (first === undefined) return []
  return Object.keys(first)
    .flatMap(key => {
      const rank = CURSOR_NAMES.findIndex(pattern => pattern.test(key))
      const values = records.map(record => record[key])
      const [least] = values.filter(isMoment).sort((a, b) => (a < b ? -1 : 1))
      const alike = values.every(value => isMoment(value) && typeof value === typeof least)
      if (rank < 0 || least === undefined || !alike) return []
      return [{ path: pathOfKeys([key]), least, rank }]
    })
    .sort((a, b) => a.rank - b.rank)
    .map(({ path, least }) => ({ path, least }))
}

const CURSOR_NAMES = [
  /updat|modif|chang/i,
  /timestamp|last_?seen/i,
  /creat|insert|publish|submit|_at$|[a-z]At$|date|time/i,
]

/** ISO text, or seconds or milliseconds of this century. */
function isMoment(value: JsonValue | undefined): value is string | number {
  if (typeof value === 'string') return /^\d{4}-\d{2}-\d{2}([T ]|$)/.test(value)
  return typeof value === 'number' && ((value > 9e8 && value < 5e9) || (value > 9e11 && value < 5e12))
}
