import type { JsonObject, JsonValue } from '../../json/value.js'
import { pathOfKeys } from '../../rest/list/answer/selector.js'

/** A field that grows, with the smallest and the largest value seen. */
export interface CursorCandidate {
  readonly path: string
  readonly least: string | number
}

/**
 * Fields whose values are distinct, short and never missing, the likeliest first. Ids by name come first, then names
 * that are often unique. With enough records to tell, texts without spaces follow.
 */
export function candidateKeys(records: readonly JsonObject[], name: string): string[] {
  const [first] = records
  if (first === undefined) return []
  const singular = name.replace(/s$/, '')
  const likely = ['id', '_id', 'uuid', 'guid', `${singular}_id`, `${name}_id`, `${singular}Id`, 'key', 'code', 'slug']
  const rank = (key: string): number => {
    const place = likely.indexOf(key)
    if (place >= 0) return place
    if (/(?:_id|Id|ID|_key|uuid)$/.test(key)) return likely.length
    if (records.length >= FEWEST_TO_COMPARE && NATURAL_KEY.test(key)) return likely.length + 1
    const isTold = records.length >= FEWEST_FOR_ANY_NAME && records.every(record => isToken(record[key]))
    return isTold ? likely.length + 2 : Number.POSITIVE_INFINITY
  }
  return Object.keys(first)
    .map(key => ({ key, rank: rank(key) }))
    .filter(({ key, rank }) => Number.isFinite(rank) && isKey(records, key))
    .sort((a, b) => a.rank - b.rank)
    .map(({ key }) => key)
}

/** In few records, any field is distinct by chance. */
const FEWEST_TO_COMPARE = 3
const FEWEST_FOR_ANY_NAME = 10

const NATURAL_KEY =
  /^(?:(?:full|user|login|run|display)?_?name|login|email|path|ref|href|ur[il]|number|sku|isbn|iban|arn|domain|hostname|symbol|iso\w*|\w+_(?:code|number|name))$/i

/** Texts without spaces. Times are distinct by chance. */
function isToken(value: JsonValue | undefined): boolean {
  return typeof value === 'string' && /^\S{1,100}$/.test(value) && !isMoment(value) && !/^-?[\d.]+$/.test(value)
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

/** Fields with a time in every record, those of the last change first. */
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
