import { createHash } from 'node:crypto'
import { elements, kindAt, member, skipSpace, valueAt } from '../../json/bytes.js'
import { compiledPath } from '../../json/path.js'
import type { JsonValue } from '../../json/value.js'
import { canonicalJson } from '../../json/write.js'
import { parseInstant } from '../../model/cursors/instant.js'
import type { Expectations } from '../../model/expectations.js'
import { count } from '../../model/verdict.js'

/** Most values that `unique` remembers, over all its groups. Each takes some 60 bytes. */
const MOST_VALUES = 1_000_000

/** What is known when the run has read everything. */
export interface ReadNumbers {
  readonly records: number
  /** Records of the last committed load of the resource. Undefined: there was none. */
  readonly before: number | undefined
  /** Milliseconds since the epoch. Undefined: the pages are from an earlier time. */
  readonly now: number | undefined
  /** Only a part of each list was read, as the run was asked to. */
  readonly isTrial: boolean
}

/** Holds the records of one resource against what the user expects. Memory is bounded. */
export class ExpectationCheck {
  readonly #expected: Expectations
  readonly #looks: boolean
  readonly #missing = new Map<string, number>()
  readonly #seen: readonly Set<string>[]
  readonly #repeated: number[]
  /** Whether a record had all fields of the group; undefined before the first record. */
  readonly #found: (boolean | undefined)[]
  #remembered = 0
  #newest: number | undefined

  constructor(expected: Expectations) {
    this.#expected = expected
    const { notNull, unique, maxAge } = expected
    this.#looks = notNull.length > 0 || unique.length > 0 || maxAge !== undefined
    this.#seen = unique.map(() => new Set<string>())
    this.#repeated = unique.map(() => 0)
    this.#found = unique.map(() => undefined)
  }

  get needsLastLoad(): boolean {
    return this.#expected.maxChange !== undefined
  }

  /** Takes records that the run loads, as the text of a JSON array. */
  take(records: Uint8Array): void {
    if (!this.#looks) return
    const { notNull, unique, maxAge } = this.#expected
    for (const { start, end } of elements(records, skipSpace(records, 0))) {
      const record = recordAt(records, start, end)
      for (const path of notNull) {
        if (record(path) == null) this.#missing.set(path, (this.#missing.get(path) ?? 0) + 1)
      }
      for (const [group, paths] of unique.entries()) this.#takeValues(group, paths.map(record))
      const at = maxAge === undefined ? undefined : momentMs(record(maxAge.path))
      if (at !== undefined && at > (this.#newest ?? Number.NEGATIVE_INFINITY)) this.#newest = at
    }
  }

  #takeValues(group: number, values: readonly (JsonValue | undefined)[]): void {
    this.#found[group] = this.#found[group] === true || values.every(value => value !== undefined)
    if (values.some(value => value == null)) return
    const digest = createHash('sha256')
      .update(canonicalJson(values as JsonValue[]))
      .digest('base64url')
      .slice(0, 16)
    const seen = this.#seen[group]
    if (seen?.has(digest) === true) this.#repeated[group] = (this.#repeated[group] ?? 0) + 1
    else if (this.#remembered < MOST_VALUES) {
      seen?.add(digest)
      this.#remembered += 1
    }
  }

  /** What the run breaks, one sentence each. */
  broken({ records, before, now, isTrial }: ReadNumbers): readonly string[] {
    const { minRecords, maxChange, unique } = this.#expected
    const found: string[] = []
    if (!isTrial && minRecords !== undefined && records < minRecords)
      found.push(`${count(records, 'record')} arrived, fewer than the ${minRecords} of \`expect.min_records\``)
    if (!isTrial && now !== undefined && maxChange !== undefined && before !== undefined) {
      if (Math.abs(records - before) > before * maxChange)
        found.push(
          `${count(records, 'record')} arrived after ${before} in the last load: more than the ${Math.round(maxChange * 100)} % of \`expect.max_change\``,
        )
    }
    for (const [path, times] of this.#missing)
      found.push(`${count(times, 'record')} without a value at "${path}" (\`expect.not_null\`)`)
    for (const [group, paths] of unique.entries()) {
      if (this.#found[group] === false) found.push(`no record has "${paths.join(', ')}" (\`expect.unique\`)`)
      const times = this.#repeated[group] ?? 0
      if (times > 0)
        found.push(`${count(times, 'record')} with the "${paths.join(', ')}" of an earlier one (\`expect.unique\`)`)
    }
    return [...found, ...this.#tooOld(now)]
  }

  #tooOld(now: number | undefined): string[] {
    const { maxAge } = this.#expected
    if (maxAge === undefined || now === undefined) return []
    if (this.#newest === undefined) return [`no record has a time at "${maxAge.path}" (\`expect.max_age\`)`]
    if (now - this.#newest <= maxAge.ms) return []
    const newest = new Date(this.#newest).toISOString()
    return [`the newest "${maxAge.path}" is ${newest}, older than the ${maxAge.text} of \`expect.max_age\``]
  }
}

/** Reads values of the record at a place. Fields at its top are found without parsing the record. */
function recordAt(bytes: Uint8Array, start: number, end: number): (path: string) => JsonValue | undefined {
  let whole: JsonValue | undefined
  return path => {
    const compiled = compiledPath(path)
    const [name, ...rest] = compiled.steps ?? []
    if (typeof name === 'string' && rest.length === 0) {
      if (kindAt(bytes, start) !== 'object') return undefined
      const span = member(bytes, start, name)
      return span === undefined ? undefined : valueAt(bytes, span)
    }
    whole ??= valueAt(bytes, { start, end })
    return compiled.matches(whole).find(value => value !== null)
  }
}

/** Larger numbers are milliseconds since the epoch. As seconds, this would be the year 5138. */
const FIRST_EPOCH_MS = 1e11
/** The last moment that a Date can hold. */
const LAST_MS = 8.64e15

function momentMs(value: JsonValue | undefined): number | undefined {
  const isNumber = typeof value === 'number' || typeof value === 'bigint'
  if (!isNumber && typeof value !== 'string') return undefined
  const number = isNumber ? Number(value) : undefined
  const instant = isNumber ? undefined : parseInstant(String(value))
  const ms =
    number === undefined ? (instant?.seconds ?? Number.NaN) * 1000 : number > FIRST_EPOCH_MS ? number : number * 1000
  return Math.abs(ms) <= LAST_MS ? ms : undefined
}
