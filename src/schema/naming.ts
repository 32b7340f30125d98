import { shake128Base64 } from '../model/cursors/boundaryHashes.js'
import { ConfigError } from '../model/errors.js'

/** How keys of the data become names of tables and columns: dlt's naming conventions. */
export type NamingName = 'snake_case' | 'direct' | 'duck_case' | 'sql_cs_v1' | 'sql_ci_v1'

/**
 * A naming convention with the length limit of a destination. Results are memoised, and every function is pure. An
 * empty or blank name throws a RangeError, so callers must first replace it (by `_empty`).
 */
export interface Naming {
  readonly name: NamingName
  /** Joins the fragments of a path: `__`, or `▶` for `direct`. */
  readonly separator: string
  /** Whether names that differ only by case are different names. */
  readonly caseSensitive: boolean
  /** Longest result in code points. Longer names are shortened around a tag. */
  readonly maxLength: number | undefined
  /** One key as one name. Separators in it are not kept. */
  identifier(raw: string): string
  /** One key as the name of a table. */
  tableIdentifier(raw: string): string
  /** Fragments between separators, each an identifier. Empty if every fragment is blank. */
  path(raw: string): string
  /** Like `path`, with fragments as table identifiers. */
  tablesPath(raw: string): string
  /** The name as a column name. A name that the destination reserves gets `_` appended. */
  column(normalised: string): string
  /** Joins normalised parts without the blank ones. Nothing is normalised or shortened. */
  joinPath(...normalised: readonly string[]): string
  /** Joins normalised parts and shortens the whole. */
  shortenFragments(...normalised: readonly string[]): string
}

interface Convention {
  readonly separator: string
  readonly caseSensitive: boolean
  /** The rule for one name without outer white space. It does not limit the length. */
  readonly rule: (stripped: string) => string
}

const conventions: Readonly<Record<NamingName, Convention>> = {
  snake_case: { separator: '__', caseSensitive: false, rule: snakeCase },
  direct: { separator: '▶', caseSensitive: true, rule: name => name.replace(/[\n\r'"\u25b6]/g, '_') },
  duck_case: {
    separator: '__',
    caseSensitive: true,
    rule: name => name.replace(/[\n\r"]/g, '_').replace(/_{2,}/g, '_'),
  },
  sql_cs_v1: { separator: '__', caseSensitive: true, rule: sqlCase },
  sql_ci_v1: { separator: '__', caseSensitive: false, rule: name => sqlCase(name).toLowerCase() },
}

/**
 * The convention `name` (a full dlt module path works too), for names of at most `maxLength` code points, at least 6.
 * `reserved` are names that no column may have. An unknown convention is a ConfigError that lists the known ones.
 */
export function naming(name: NamingName, maxLength?: number, reserved: readonly string[] = []): Naming {
  const known = knownName(name)
  const { separator, caseSensitive, rule } = conventions[known]
  if (maxLength !== undefined && maxLength < tagLength) {
    throw new RangeError(`names of at most ${maxLength} characters cannot be told apart; allow at least ${tagLength}`)
  }
  const identifier = memoised(raw => {
    const stripped = strip(raw)
    if (stripped === '') throw new RangeError('a table or column name is empty')
    return shorten(rule(stripped), stripped, maxLength)
  })
  const path = memoised(raw => shorten(fragments(raw, separator).map(identifier).join(separator), raw, maxLength))
  const joinPath = (...parts: readonly string[]) => parts.filter(part => strip(part) !== '').join(separator)
  return {
    name: known,
    separator,
    caseSensitive,
    maxLength,
    identifier,
    tableIdentifier: identifier,
    path,
    tablesPath: path,
    column: normalised => (reserved.includes(normalised) ? `${normalised}_` : normalised),
    joinPath,
    shortenFragments: (...parts) => {
      const joined = joinPath(...parts)
      return shorten(joined, joined, maxLength)
    },
  }
}

/** The dataset's name at the destination: a table identifier. */
export function datasetName(raw: string, convention: Naming): string {
  return convention.tableIdentifier(raw)
}

const dltModule = 'dlt.common.normalizers.naming.'

function knownName(name: string): NamingName {
  const short = name.startsWith(dltModule) ? name.slice(dltModule.length) : name
  if (Object.hasOwn(conventions, short)) return short as NamingName
  const letters = (text: string) => text.toLowerCase().replace(/[^a-z]/g, '')
  const near = Object.keys(conventions).find(known => letters(known) === letters(short))
  const known = Object.keys(conventions).join(', ')
  const message = `unknown naming convention '${name}', ${near === undefined ? `expected one of ${known}` : `did you mean '${near}'?`}`
  throw new ConfigError([{ place: { path: 'schema.naming' }, message }])
}

function snakeCase(name: string): string {
  const words = name
    .replace(/[+*]/g, 'x')
    .replace(/-/g, '_')
    .replace(/@/g, 'a')
    .replace(/\|/g, 'l')
    .replace(/[^a-zA-Z\p{Nd}_]+/gu, '_')
    .replace(/([^_])([A-Z][a-z]+)/gu, '$1_$2')
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/^(?=\p{Nd})/u, '_')
  // A trailing underscore becomes a letter, so that it is not taken for a separator.
  const end = words.length - trailingUnderscores(words)
  return (words.slice(0, end) + 'x'.repeat(words.length - end)).replace(/_{2,}/g, '_')
}

function sqlCase(name: string): string {
  const words = name.replace(/[^a-zA-Z\p{Nd}_]+/gu, '_').replace(/^(?=\p{Nd})/u, '_')
  const kept = words === '_' ? words : words.slice(0, words.length - trailingUnderscores(words))
  return kept.replace(/_{2,}/g, '_')
}

/** Counted from the end, because a pattern anchored there would be tried at every underscore. */
function trailingUnderscores(text: string): number {
  let count = 0
  while (count < text.length && text.charCodeAt(text.length - 1 - count) === 0x5f) count++
  return count
}

const tagLength = 6

/** Keeps the first and last characters around a tag made from the original text (dlt-compatible). */
function shorten(normalised: string, raw: string, maxLength: number | undefined): string {
  if (maxLength === undefined || normalised.length <= maxLength) return normalised
  const characters = Array.from(normalised)
  if (characters.length <= maxLength) return normalised
  const room = maxLength - tagLength
  const head = characters.slice(0, Math.ceil(room / 2)).join('')
  const tail = characters.slice(characters.length - Math.floor(room / 2)).join('')
  return head + shorteningTag(raw) + tail
}

/** Six characters that replace the rest of a shortened name. */
export function shorteningTag(raw: string): string {
  return shake128Base64(raw, 4).replaceAll('/', 'a').replaceAll('+', 'b').toLowerCase()
}

function fragments(path: string, separator: string): string[] {
  return path.split(separator).filter(fragment => strip(fragment) !== '')
}

// Python's white space: unlike that of JavaScript it has U+001C–U+001F and U+0085 and lacks U+FEFF.
const space = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]'
const firstInk = new RegExp(`(?!${space})[^]`)
const isSpace = new RegExp(space)

/** Removes white space at both ends, like Python's `str.strip`. */
export function strip(text: string): string {
  const start = text.search(firstInk)
  if (start < 0) return ''
  let end = text.length
  while (isSpace.test(text.charAt(end - 1))) end--
  return text.slice(start, end)
}

// Keys of hostile data must not fill the memory.
const memoLimit = 20_000
const memoKeyLength = 500

function memoised(make: (raw: string) => string): (raw: string) => string {
  const memo = new Map<string, string>()
  return raw => {
    const known = memo.get(raw)
    if (known !== undefined) return known
    const made = make(raw)
    if (raw.length > memoKeyLength) return made
    if (memo.size >= memoLimit) memo.clear()
    memo.set(raw, made)
    return made
  }
}
