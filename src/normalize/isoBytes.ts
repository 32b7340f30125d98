import { calendarDays, firstDay, lastDay, microsPerDay, microsPerSecond } from './calendar.js'
import { parseIso } from './isoText.js'

/** Result of the last {@link isoMicrosAt} that returned true: low and high half of the i64. */
export const isoMicros = new Int32Array(2)

/**
 * Reads the bytes `[at, end)` as `isoTimestampMicros` reads a text, and leaves the microseconds in
 * {@link isoMicros}. The usual form `YYYY-MM-DD[T ]HH:MM:SS[.f](Z|±HH[:]MM)?` is read in place and allocates nothing.
 */
export function isoMicrosAt(bytes: Uint8Array, at: number, end: number): boolean {
  // The shortest timestamp is 20241:2; all of them start with the year.
  if (end - at < 7 || (bytes[at]! - 0x30) >>> 0 > 9 || (bytes[at + 3]! - 0x30) >>> 0 > 9) return false
  return plainMicros(bytes, at, end) || otherMicros(bytes, at, end)
}

/** Any form but the usual one. */
function otherMicros(bytes: Uint8Array, at: number, end: number): boolean {
  let text = ''
  for (let index = at; index < end; index++) {
    const byte = bytes[index]!
    // Letters beyond Z and bytes of other scripts are in no timestamp.
    if (byte > 0x5a && byte !== 0x7c) return false
    text += String.fromCharCode(byte)
  }
  const value = parseIso(text)
  if (value?.kind !== 'timestamp') return false
  const offset = value.offsetSeconds ?? 0
  if (Math.abs(offset) >= 86_400) return false
  return setMicros(value.days, value.micros - offset * microsPerSecond)
}

function plainMicros(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at < 19 || bytes[at + 4] !== 0x2d || bytes[at + 7] !== 0x2d) return false
  if (bytes[at + 13] !== 0x3a || bytes[at + 16] !== 0x3a) return false
  const separator = bytes[at + 10]
  if (separator !== 0x54 && separator !== 0x20) return false
  const century = twoDigits(bytes, at)
  const yearOfCentury = twoDigits(bytes, at + 2)
  const month = twoDigits(bytes, at + 5)
  const day = twoDigits(bytes, at + 8)
  const hour = twoDigits(bytes, at + 11)
  const minute = twoDigits(bytes, at + 14)
  const second = twoDigits(bytes, at + 17)
  if ((century | yearOfCentury | month | day | hour | minute | second) < 0) return false
  if (hour > 23 || minute > 59 || second > 59) return false
  const year = century * 100 + yearOfCentury
  // Days 29 to 31 are rare enough for the exact check.
  if (year === 0 || month === 0 || month > 12 || day === 0) return false
  if (day > 28 && calendarDays(year, month, day) === undefined) return false

  let position = at + 19
  let fraction = 0
  if (position < end && (bytes[position] === 0x2e || bytes[position] === 0x2c)) {
    const first = ++position
    for (; position < end; position++) {
      const digit = bytes[position]! - 0x30
      if (digit >>> 0 > 9) break
      // Digits after the sixth are cut off.
      if (position - first < 6) fraction = fraction * 10 + digit
    }
    if (position === first) return false
    if (position - first < 6) fraction *= powersOfTen[first + 6 - position]!
  }
  const offset = zoneSecondsAt(bytes, position, end)
  if (offset === noOffset) return false
  const days = dayNumber(year, month, day)
  const micros = (hour * 3600 + minute * 60 + second) * microsPerSecond + fraction
  if (offset !== 0) return setMicros(days, micros - offset * microsPerSecond)
  setHalves(days, micros)
  return true
}

const powersOfTen = new Int32Array([1, 10, 100, 1000, 10_000, 100_000])

/** Days before each month of a common year. */
const daysBefore = new Int32Array([0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334])

/** `daysFromCivil` of the years from 1, in 32-bit integers: half of the time of a timestamp. */
function dayNumber(year: number, month: number, day: number): number {
  const before = (year - 1) | 0
  const leap = (before >> 2) - ((before / 100) | 0) + ((before / 400) | 0)
  const leapDay = month > 2 && (year & 3) === 0 && (year % 100 !== 0 || year % 400 === 0) ? 1 : 0
  return (Math.imul(before, 365) + leap + daysBefore[month]! + leapDay + day + (firstDay - 1)) | 0
}

const noOffset = 0x7fffffff

/** `noOffset` where the bytes are no offset of less than a day. */
function zoneSecondsAt(bytes: Uint8Array, at: number, end: number): number {
  if (at === end) return 0
  const sign = bytes[at]
  if (sign === 0x5a) return at + 1 === end ? 0 : noOffset
  if (sign !== 0x2b && sign !== 0x2d) return noOffset
  const hours = at + 3 <= end ? twoDigits(bytes, at + 1) : -1
  let minutes = 0
  const rest = at + 3 < end && bytes[at + 3] === 0x3a ? at + 4 : at + 3
  if (rest < end) minutes = rest + 2 === end ? twoDigits(bytes, rest) : -1
  const seconds = hours * 3600 + minutes * 60
  if (hours < 0 || minutes < 0 || seconds >= 86_400) return noOffset
  return sign === 0x2d ? -seconds : seconds
}

/** Negative where there are no two digits. */
function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = bytes[at]! - 0x30
  const ones = bytes[at + 1]! - 0x30
  return tens >>> 0 > 9 || ones >>> 0 > 9 ? -1 : tens * 10 + ones
}

const twoTo32 = 4_294_967_296
const twoToMinus32 = 1 / twoTo32
// microsPerDay = 20 · 2^32 + 500,654,080: products with days stay exact in a double.
const dayHigh = 20
const dayLow = 500_654_080

/** `micros` may be negative or more than a day. False outside of the years 1 to 9999. */
function setMicros(days: number, micros: number): boolean {
  const day = days + Math.floor(micros / microsPerDay)
  if (day < firstDay || day > lastDay) return false
  setHalves(days, micros)
  return true
}

function setHalves(days: number, micros: number): void {
  const low = days * dayLow + micros
  const carry = Math.floor(low * twoToMinus32)
  isoMicros[0] = low - carry * twoTo32
  isoMicros[1] = days * dayHigh + carry
}
