import { isJsonObject, type JsonObject, type JsonValue } from '../../json/value.js'
import { pathOfKeys } from '../../rest/list/answer/selector.js'

/** An object of an answer whose members are the records. */
export interface RecordMap {
  readonly path: string
  /** The field for the name of each member. */
  readonly keyColumn: string
  /** The members hold their own names. Otherwise only the names look like keys. */
  readonly isProven: boolean
  readonly seen: string
}

const DEEPEST_MAP = 3
/** In fewer, names look like keys by chance. */
const FEWEST_BY_NAME = 3

/** Names that no field of a record has: numbers, UUIDs, days. */
const NO_FIELD = /^(?:\d+|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}|\d{4}-\d\d(?:-\d\d)?)$/i

/** The first map of records in a value, depth first, up to three keys deep. Undefined: there is none to be seen. */
export function recordMapIn(value: JsonValue, keys: readonly string[] = []): RecordMap | undefined {
  if (!isJsonObject(value)) return undefined
  const own = recordMap(value, keys.length === 0 ? '$' : pathOfKeys(keys))
  if (own !== undefined || keys.length >= DEEPEST_MAP) return own
  for (const [name, member] of Object.entries(value)) {
    const found = recordMapIn(member, [...keys, name])
    if (found !== undefined) return found
  }
  return undefined
}

function recordMap(map: JsonObject, path: string): RecordMap | undefined {
  const names = Object.keys(map)
  const records = Object.values(map).filter(isJsonObject)
  const [first] = records
  if (first === undefined || records.length < names.length) return undefined
  const shared = Object.keys(first).filter(field => records.every(record => Object.hasOwn(record, field)))
  const what = `${names.length} records are in a map`
  const named = shared.find(field => names.every((name, index) => isName(records[index]?.[field], name)))
  if (named !== undefined && names.length > 1)
    return { path, keyColumn: named, isProven: true, seen: `${what}, each under its ${named}` }
  if (shared.length === 0 || names.length < FEWEST_BY_NAME || !names.every(name => NO_FIELD.test(name)))
    return undefined
  const keyColumn = ['id', 'key', 'map_key'].find(field => !records.some(record => Object.hasOwn(record, field)))
  if (keyColumn === undefined) return undefined
  return { path, keyColumn, isProven: false, seen: `${what}, under names that are no fields` }
}

function isName(value: JsonValue | undefined, name: string): boolean {
  return (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') && String(value) === name
}
