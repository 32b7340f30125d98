import type { JsonValue } from '../../json/value.js'
import { compareInstants, type Instant, parseInstant } from './instant.js'

/**
 * A cursor value, ready to be compared. Text is parsed once into what it means.
 *
 * - `number`: by value, with every digit. Text of plain digits is a number too.
 * - `instant`: a time, in any spelling.
 * - `text`: anything else, by code points.
 */
export type CursorRank =
  | { readonly kind: 'number'; readonly value: JsonValue; readonly double: number; readonly digits: string | undefined }
  | { readonly kind: 'instant'; readonly value: JsonValue; readonly instant: Instant }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'other'; readonly value: JsonValue }

/** `literal`: the text of a number whose double may have lost digits. */
export function cursorRank(value: JsonValue, literal?: string): CursorRank {
  switch (typeof value) {
    case 'number':
      return { kind: 'number', value, double: value, digits: literal }
    case 'bigint':
      return { kind: 'number', value, double: Number(value), digits: literal ?? String(value) }
    case 'boolean':
      return { kind: 'boolean', value }
    case 'string': {
      if (PLAIN_NUMBER.test(value)) return { kind: 'number', value, double: Number(value), digits: value }
      const instant = parseInstant(value)
      return instant === undefined ? { kind: 'text', value } : { kind: 'instant', value, instant }
    }
    default:
      return { kind: 'other', value }
  }
}

/** No exponent: `12e4` may just as well be an id. */
const PLAIN_NUMBER = /^[+-]?\d+(?:\.\d+)?$/

/** Negative, zero or positive. Undefined if the two cannot be compared. */
export function compareRanks(a: CursorRank, b: CursorRank): number | undefined {
  if (a.kind === 'number' && b.kind === 'number') return compareNumbers(a, b)
  if (a.kind === 'instant' && b.kind === 'instant') return compareInstants(a.instant, b.instant)
  if (a.kind === 'boolean' && b.kind === 'boolean') return Number(a.value) - Number(b.value)
  if (typeof a.value !== 'string' || typeof b.value !== 'string') return undefined
  const [one, other] = [compactDate(a), compactDate(b)]
  if (one !== undefined && other !== undefined) return compareInstants(one, other)
  return compareCodePoints(a.value, b.value)
}

function compareNumbers(
  a: Extract<CursorRank, { kind: 'number' }>,
  b: Extract<CursorRank, { kind: 'number' }>,
): number {
  if (a.double !== b.double) return a.double < b.double ? -1 : 1
  if (a.digits === undefined && b.digits === undefined) return 0
  return compareDecimals(a.digits ?? String(a.double), b.digits ?? String(b.double))
}

/** `20240131` is a number next to other numbers, and a date next to times. */
function compactDate(rank: CursorRank): Instant | undefined {
  if (rank.kind === 'instant') return rank.instant
  return rank.kind === 'number' && typeof rank.value === 'string' ? parseInstant(rank.value) : undefined
}

/**
 * Whether two texts may sort differently from what they mean. Doubtful are ambiguous dates or dates in words, a time
 * next to something else, and numbers inside texts of different lengths (`v9`, `v10`). Two numbers are doubtful if one
 * looks like seconds since 1970 and the other like milliseconds or microseconds.
 */
export function isDoubtfulOrder(a: CursorRank, b: CursorRank): boolean {
  if (a.kind === 'number' && b.kind === 'number') {
    const [one, other] = [epochUnit(a.double), epochUnit(b.double)]
    return one !== undefined && other !== undefined && one !== other
  }
  if (typeof a.value !== 'string' || typeof b.value !== 'string' || a.value === b.value) return false
  if (a.kind === b.kind && a.kind !== 'text') return false
  if (a.kind === 'instant' || b.kind === 'instant') return compactDate(a) === undefined || compactDate(b) === undefined
  if (looksLikeTime(a.value) || looksLikeTime(b.value)) return true
  if (a.value.length === b.value.length) return false
  return Math.sign(compareNaturally(a.value, b.value)) !== Math.sign(compareCodePoints(a.value, b.value))
}

/** Units per second of a number that may be a time between 2001 and 2096. Undefined if it is not. */
function epochUnit(value: number): number | undefined {
  return [1, 1e3, 1e6].find(unit => value >= 1e9 * unit && value < 4e9 * unit)
}

const dayFirst = /(?:^|\D)\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d\d)(?:\D|$)/
const yearAmongWords = /(?:^|\D)(?:19|20)\d\d(?:\D|$)/
const clockAmongWords = /\d{1,2}:\d\d/

function looksLikeTime(text: string): boolean {
  if (dayFirst.test(text)) return true
  if (!/\p{L}/u.test(text)) return /\p{Nd}/u.test(text.replace(/\d+/g, ''))
  return (/\s/.test(text) && yearAmongWords.test(text)) || clockAmongWords.test(text)
}

/** Compares runs of digits by value, and everything else by code points. */
function compareNaturally(a: string, b: string): number {
  const [left, right] = [a.match(/\d+|\D+/g) ?? [], b.match(/\d+|\D+/g) ?? []]
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const [one, other] = [left[at] as string, right[at] as string]
    const areDigits = /^\d/.test(one) && /^\d/.test(other)
    const order = areDigits ? compareDecimals(one, other) : compareCodePoints(one, other)
    if (order !== 0) return order
  }
  return left.length - right.length
}

function compareCodePoints(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  let index = 0
  while (index < length && a.charCodeAt(index) === b.charCodeAt(index)) index += 1
  if (index === length) return a.length - b.length
  return rank(a.charCodeAt(index)) - rank(b.charCodeAt(index))
}

/** UTF-16 order differs from code point order only because surrogates stand for code points above U+FFFF. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

/**
 * Compares two numbers by value, with every digit of their text. The text is JSON or a plain decimal (`+`, leading
 * zeros).
 */
function compareDecimals(a: string, b: string): number {
  const [left, right] = [Number(a), Number(b)]
  // Rounding keeps the order, so different doubles decide.
  if (left !== right) return left < right ? -1 : 1
  if (a === b) return 0
  const [one, other] = [decimal(a), decimal(b)]
  if (one.sign !== other.sign) return one.sign - other.sign
  return one.sign < 0 ? compareMagnitudes(other, one) : compareMagnitudes(one, other)
}

interface Decimal {
  /** 0 for zero, with any sign. */
  readonly sign: -1 | 0 | 1
  /** Without leading and trailing zeros. */
  readonly digits: string
  /** Position of the point: the number of digits before it, negative for zeros after it. */
  readonly point: number
}

function decimal(text: string): Decimal {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text)
  const [, sign, whole = '', fraction = '', exponent = '0'] = match ?? []
  const all = whole + fraction
  const zeros = /^0*/.exec(all)?.[0].length ?? 0
  const digits = all.slice(zeros).replace(/0+$/, '')
  if (digits === '') return { sign: 0, digits, point: 0 }
  return { sign: sign === '-' ? -1 : 1, digits, point: whole.length - zeros + Number(exponent) }
}

function compareMagnitudes(a: Decimal, b: Decimal): number {
  if (a.point !== b.point) return a.point < b.point ? -1 : 1
  if (a.digits === b.digits) return 0
  return a.digits < b.digits ? -1 : 1
}
