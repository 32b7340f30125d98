// @ts-nocheck: AssemblyScript, part of walk.as.ts.
//
// The usual form of a timestamp, `YYYY-MM-DD[T ]HH:MM:SS[.f](Z|±HH[:]MM)?`; others are the host's.

import { isDigit, QUOTE } from './characters.as'

/** Microseconds since 1970 of the last timestamp. */
export let micros: i64 = 0

/** Whether the last timestamp has digits after the sixth that are not 0. */
export let hasMoreDigits: bool = false

/** 0001-01-01 and 9999-12-31 in days since 1970. */
const FIRST_DAY: i32 = -719_162
const LAST_DAY: i32 = 2_932_896
const DAY_SECONDS: i64 = 86_400
const SECOND: i64 = 1_000_000

/** Days before each month of a common year, u16 each. */
const daysBefore: usize = memory.data<u16>([0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365])

/** What is taken from the first 16 bytes, and how large the rest may be: digits, the same separators, any one for the T. */
const pattern: usize = memory.data<u8>([
  0x30, 0x30, 0x30, 0x30, 0x2d, 0x30, 0x30, 0x2d, 0x30, 0x30, 0, 0x30, 0x30, 0x3a, 0x30, 0x30,
])
const most: usize = memory.data<u8>([9, 9, 9, 9, 0, 9, 9, 0, 9, 9, 255, 9, 9, 0, 9, 9])

/** Whether the first 16 bytes of a text may be those of a timestamp. */
@inline export function beginsLikeTimestamp(start: usize): bool {
  const digits = i8x16.sub(v128.load(start), v128.load(pattern))
  return i8x16.all_true(i8x16.le_u(digits, v128.load(most)))
}

/** Behind the closing quote of the text at `start` that {@link beginsLikeTimestamp}; 0 if it is no timestamp. */
export function timestampEnd(start: usize): usize {
  const digits = i8x16.sub(v128.load(start), v128.load(pattern))
  const separator = load<u8>(start, 10)
  const colon = load<u8>(start, 16)
  if ((separator != 0x54 && separator != 0x20) || colon != 0x3a) return 0
  const second = twoDigits(start + 17)

  // Tens and ones are multiplied side by side: century, year, month, day, hour, minute.
  const tens = i8x16.swizzle(digits, i8x16(0, 2, 5, 8, 11, 14, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16))
  const ones = i8x16.swizzle(digits, i8x16(1, 3, 6, 9, 12, 15, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16))
  const pairs = i8x16.add(i8x16.add(i8x16.shl(tens, 3), i8x16.shl(tens, 1)), ones)
  const year: i32 = <i32>i8x16.extract_lane_u(pairs, 0) * 100 + <i32>i8x16.extract_lane_u(pairs, 1)
  const month: i32 = i8x16.extract_lane_u(pairs, 2)
  const day: i32 = i8x16.extract_lane_u(pairs, 3)
  const hour: i32 = i8x16.extract_lane_u(pairs, 4)
  const minute: i32 = i8x16.extract_lane_u(pairs, 5)
  if (second < 0 || second > 59 || minute > 59 || hour > 23 || year == 0 || month - 1 > 11 || month == 0) return 0
  if (day == 0 || day > daysOf(year, month)) return 0

  let at = start + 19
  let fraction: i64 = 0
  hasMoreDigits = false
  let byte: u32 = load<u8>(at)
  if (byte == 0x2e || byte == 0x2c) {
    // Digits after the sixth are cut off.
    let unit: i64 = 100_000
    byte = load<u8>(++at)
    if (!isDigit(byte)) return 0
    for (; isDigit(byte); byte = load<u8>(++at)) {
      if (unit == 0 && byte != 0x30) hasMoreDigits = true
      fraction += <i64>(byte - 0x30) * unit
      unit /= 10
    }
  }
  let days = dayNumber(year, month, day)
  let seconds: i64 = hour * 3600 + minute * 60 + second
  if (byte == 0x5a) at++
  else if (byte != QUOTE) {
    const offset = zoneSeconds(at)
    if (offset == NO_OFFSET) return 0
    seconds -= offset
    if (seconds < 0 ? days == FIRST_DAY : days == LAST_DAY && seconds >= DAY_SECONDS) return 0
    at = zoneEnd
  }
  if (load<u8>(at) != QUOTE) return 0
  micros = (<i64>days * DAY_SECONDS + seconds) * SECOND + fraction
  return at + 1
}

/** -1 where there are no two digits. */
@inline function twoDigits(at: usize): i32 {
  const tens = <u32>load<u8>(at) - 0x30
  const ones = <u32>load<u8>(at, 1) - 0x30
  return tens > 9 || ones > 9 ? -1 : tens * 10 + ones
}

@inline function isLeap(year: i32): bool {
  return (year & 3) == 0 && (year % 100 != 0 || year % 400 == 0)
}

@inline function daysOf(year: i32, month: i32): i32 {
  if (month == 2) return isLeap(year) ? 29 : 28
  const months = daysBefore + (<usize>month << 1)
  return <i32>load<u16>(months, 2) - <i32>load<u16>(months)
}

@inline function dayNumber(year: i32, month: i32, day: i32): i32 {
  const before = year - 1
  const leapDays = (before >> 2) - before / 100 + before / 400 + (month > 2 && isLeap(year) ? 1 : 0)
  return before * 365 + leapDays + load<u16>(daysBefore + (<usize>month << 1)) + day - 1 + FIRST_DAY
}

const NO_OFFSET: i32 = i32.MAX_VALUE
let zoneEnd: usize = 0

/** Offset of less than a day at `at`; NO_OFFSET where there is none. */
function zoneSeconds(at: usize): i32 {
  const sign = load<u8>(at)
  if (sign != 0x2b && sign != 0x2d) return NO_OFFSET
  const hours = twoDigits(at + 1)
  let end = at + 3
  let minutes: i32 = 0
  if (load<u8>(end) != QUOTE) {
    if (load<u8>(end) == 0x3a) end++
    minutes = twoDigits(end)
    end += 2
  }
  const seconds = hours * 3600 + minutes * 60
  if (hours < 0 || minutes < 0 || seconds >= 86_400) return NO_OFFSET
  zoneEnd = end
  return sign == 0x2d ? -seconds : seconds
}
