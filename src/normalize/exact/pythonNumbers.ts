/** Numbers as Python reads and prints them: what dlt's coercions are made of. */

import { MAX_INTEGER_DIGITS } from '../../json/value.js'
import { strip } from '../../schema/naming.js'

/** Python's `int(text)`. With `0x` in front also `int(text[2:], 16)`. Skips white space around it. */
export function parseInteger(text: string): bigint | undefined {
  const trimmed = strip(text)
  if (trimmed.startsWith('0x')) return parseHex(trimmed)
  const digits = asciiDigits(trimmed)
  if (digits.length > MAX_INTEGER_DIGITS || !integerText.test(digits)) return undefined
  const magnitude = BigInt(digits.replace(/[+_-]/g, ''))
  return digits.startsWith('-') ? -magnitude : magnitude
}

const integerText = /^[+-]?[0-9]+(?:_[0-9]+)*$/
const hexText = /^0x([+-]?)(?:0[xX]_?)?([0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)$/

function parseHex(trimmed: string): bigint | undefined {
  const match = trimmed.length > MAX_INTEGER_DIGITS ? null : hexText.exec(asciiDigits(trimmed))
  if (match === null) return undefined
  const magnitude = BigInt(`0x${match[2]!.replaceAll('_', '')}`)
  return match[1] === '-' ? -magnitude : magnitude
}

const part = '[0-9]+(?:_[0-9]+)*'
const doubleText = new RegExp(`^[+-]?(?:${part}\\.?(?:${part})?|\\.${part})(?:[eE][+-]?${part})?$`)

/** Python's `float(text)`, `0x` integers included. */
export function parseDouble(text: string): number | undefined {
  const trimmed = strip(text)
  if (trimmed.startsWith('0x')) {
    const integer = parseHex(trimmed)
    return integer === undefined ? undefined : finite(Number(integer))
  }
  const digits = asciiDigits(trimmed)
  const special = /^([+-]?)(?:(inf(?:inity)?)|nan)$/i.exec(digits)
  if (special !== null) {
    if (special[2] === undefined) return Number.NaN
    return special[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  }
  if (!doubleText.test(digits)) return undefined
  return Number(digits.replaceAll('_', ''))
}

/** Integers that no double comes near: Python's OverflowError. */
export function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined
}

/**
 * Python's `Decimal(text)` in plain digits (`1e3` is `1000`), `NaN`, `Infinity` or `-Infinity`, including `0x`
 * integers. Also undefined for more than {@link maxDecimalDigits}, which no engine holds.
 */
export function parseDecimal(text: string): string | undefined {
  const trimmed = strip(text)
  if (trimmed.startsWith('0x')) return parseHex(trimmed)?.toString()
  const digits = asciiDigits(trimmed).replaceAll('_', '')
  const special = /^([+-]?)(?:inf(inity)?|s?nan[0-9]*)$/i.exec(digits)
  if (special !== null) {
    if (/nan/i.test(digits)) return 'NaN'
    return special[1] === '-' ? '-Infinity' : 'Infinity'
  }
  return plainDecimal(digits)
}

/** Digits before and after the point. Far more than the decimals of any engine. */
const maxDecimalDigits = 1100

/** A decimal literal without its exponent: `-?digits[.digits]`, all digits kept. */
export function plainDecimal(literal: string): string | undefined {
  const match = /^([+-]?)(?:([0-9]+)\.?([0-9]*)|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?$/.exec(literal)
  if (match === null) return undefined
  const [, sign, before = '', after, afterPoint = '', exponent = '0'] = match
  const fraction = after ?? afterPoint
  const digits = before + fraction
  const point = before.length + Number(exponent)
  if (digits.length > maxDecimalDigits || Math.abs(point) > maxDecimalDigits) return undefined
  const padded = point <= 0 ? '0'.repeat(1 - point) + digits : digits.padEnd(point, '0')
  const split = Math.max(point, 1)
  const whole = padded.slice(0, split).replace(/^0+(?=[0-9])/, '')
  const rest = padded.slice(split)
  return `${sign === '-' ? '-' : ''}${whole}${rest === '' ? '' : `.${rest}`}`
}

/** The shortest decimal that reads back as this finite double: 0.1 is 0.1, without further binary digits. */
export function shortestDecimal(value: number): string | undefined {
  return plainDecimal(Object.is(value, -0) ? '-0' : String(value))
}

/** Python's `str(float)`: `1.0`, `1e+20`, `1e-07`, `nan`. */
export function printFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  const magnitude = Math.abs(value)
  if (magnitude !== 0 && (magnitude >= 1e16 || magnitude < 1e-4)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
  }
  if (Object.is(value, -0)) return '-0.0'
  return Number.isInteger(value) ? `${value}.0` : String(value)
}

/** Decimal digits of other scripts, which Python reads too, as ASCII digits. */
function asciiDigits(text: string): string {
  return text.replace(/(?![0-9])\p{Nd}/gu, digit => String(digitValue(digit.codePointAt(0)!)))
}

/** Digits of a script stand in a row from zero to nine; rows that touch are multiples of ten long. */
function digitValue(codePoint: number): number {
  let start = codePoint
  while (/\p{Nd}/u.test(String.fromCodePoint(start - 1))) start--
  return (codePoint - start) % 10
}
