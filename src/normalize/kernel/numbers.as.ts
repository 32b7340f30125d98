// @ts-nocheck: AssemblyScript, part of walk.as.ts.

import { isDigit, MINUS } from './characters.as'
import { giveUp, nearestDouble } from './host.as'

export const INTEGER: i32 = 0
export const FRACTION: i32 = 1
/** An integer of more than 64 bits. */
const WIDE_INTEGER: i32 = 2

/** What the last number was: its kind, its value if it is an INTEGER, the nearest double if it is a FRACTION. */
export let numberKind: i32 = INTEGER
export let integer: i64 = 0
export let float: f64 = 0

const powersOfTen: usize = memory.data<f64>([
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
  1e21, 1e22,
])
/** Doubles below hold every integer; at 2^53 itself a rounded neighbour may hide. */
const EXACT_BELOW: u64 = 9007199254740992
/** Digits of which a u64 holds every number. */
const MOST_DIGITS: usize = 19

/** Reads the number at `start` and returns its end. */
export function number(start: usize): usize {
  let at = start
  let byte: u32 = load<u8>(at)
  const negative = byte == MINUS
  if (negative) byte = load<u8>(++at)
  const first = at
  if (!isDigit(byte)) giveUp()
  let digits: u64 = byte - 0x30
  byte = load<u8>(++at)
  if (digits != 0) {
    while (isDigit(byte)) {
      digits = digits * 10 + (byte - 0x30)
      byte = load<u8>(++at)
    }
  } else if (isDigit(byte)) giveUp()
  if (byte == 0x2e || (byte | 0x20) == 0x65) return fraction(start, first, at, digits, negative)
  const least = <u64>i64.MAX_VALUE + <u64>negative
  if (at - first > MOST_DIGITS || digits > least) {
    numberKind = WIDE_INTEGER
    return at
  }
  numberKind = INTEGER
  integer = negative ? -(<i64>digits) : <i64>digits
  return at
}

function fraction(start: usize, first: usize, point: usize, whole: u64, negative: bool): usize {
  let at = point
  let byte: u32 = load<u8>(at)
  let mantissa = whole
  let digits = point - first
  let exponent: i32 = 0
  if (byte == 0x2e) {
    byte = load<u8>(++at)
    const from = at
    while (isDigit(byte)) {
      mantissa = mantissa * 10 + (byte - 0x30)
      byte = load<u8>(++at)
    }
    if (at == from) giveUp()
    digits += at - from
    exponent = -(<i32>(at - from))
  }
  if ((byte | 0x20) == 0x65) {
    byte = load<u8>(++at)
    const down = byte == MINUS
    if (down || byte == 0x2b) byte = load<u8>(++at)
    const from = at
    let power: i32 = 0
    while (isDigit(byte)) {
      if (power < 100000) power = power * 10 + (byte - 0x30)
      byte = load<u8>(++at)
    }
    if (at == from) giveUp()
    exponent += down ? -power : power
  }
  numberKind = FRACTION
  if (digits <= MOST_DIGITS && mantissa < EXACT_BELOW && exponent >= -22 && exponent <= 22) {
    const exact = <f64>mantissa
    const value =
      exponent < 0
        ? exact / load<f64>(powersOfTen + (<usize>-exponent << 3))
        : exact * load<f64>(powersOfTen + (<usize>exponent << 3))
    float = negative ? -value : value
  } else float = nearestDouble(start, at)
  return at
}
