/** Dates and times as ISO 8601 texts, in the grammar that dlt detects and converts: pendulum 3.2's, with its fallback. */
import {
  calendarDays,
  civilFromDays,
  firstDay,
  lastDay,
  microsPerDay,
  microsPerSecond,
  ordinalDays,
  weekDays,
} from './calendar.js'

/**
 * `2024-01-02T03:04:05.000006+00:00` of microseconds since 1970-01-01T00:00:00Z: dlt's form. The fraction has six digits
 * or is left out when 0; `timezone: false` leaves out the offset.
 */
export function formatTimestamp(micros: bigint, options: { readonly timezone?: boolean | undefined } = {}): string {
  const perDay = BigInt(microsPerDay)
  const ofDay = ((micros % perDay) + perDay) % perDay
  const days = Number((micros - ofDay) / perDay)
  return `${formatDate(days)}T${formatTime(ofDay)}${options.timezone === false ? '' : '+00:00'}`
}

/** `2024-01-02` from days since 1970-01-01. */
export function formatDate(days: number): string {
  const { year, month, day } = civilFromDays(days)
  return `${String(year).padStart(4, '0')}-${pad(month)}-${pad(day)}`
}

/** `03:04:05.000006` from microseconds since midnight. Omits the fraction if it is 0. */
export function formatTime(micros: number | bigint): string {
  const total = Number(micros)
  const seconds = Math.floor(total / microsPerSecond)
  const fraction = total % microsPerSecond
  const clock = `${pad(Math.floor(seconds / 3600))}:${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`
  return fraction === 0 ? clock : `${clock}.${String(fraction).padStart(6, '0')}`
}

function pad(number: number): string {
  return String(number).padStart(2, '0')
}

/**
 * Converts epoch seconds to microseconds, rounded like Python's `fromtimestamp`: to the nearest, halves to even.
 * Undefined outside of the years 1 to 9999.
 */
export function epochMicros(seconds: number): bigint | undefined {
  if (!(seconds >= firstDay * 86_400 && seconds < (lastDay + 1) * 86_400)) return undefined
  const whole = Math.trunc(seconds)
  const fraction = (seconds - whole) * microsPerSecond
  const floor = Math.floor(fraction)
  const rest = fraction - floor
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0)
  const micros = BigInt(whole) * 1_000_000n + BigInt(up ? floor + 1 : floor)
  return micros < BigInt(lastDay + 1) * BigInt(microsPerDay) ? micros : undefined
}

/**
 * The content of an ISO text, as written: `days` since 1970-01-01, `micros` since midnight. Offset undefined: none is
 * given. An offset of a day or more is valid grammar but has no instant.
 */
export type IsoValue =
  | {
      readonly kind: 'timestamp'
      readonly days: number
      readonly micros: number
      readonly offsetSeconds: number | undefined
    }
  | { readonly kind: 'date'; readonly days: number }
  | { readonly kind: 'time'; readonly micros: number; readonly offsetSeconds: number | undefined }

const isoDate =
  /^(\d{4})(?:-(\d\d)-(\d\d)|-W(\d\d)(?:-(\d))?|-(\d{3})|-(\d\d)|(\d\d)(\d\d)|W(\d\d)(\d)?|(\d{3}))(?=[T ]|$)/
const isoClock =
  /^(\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d+))?)?|(\d\d)(?:(\d\d)(?:[.,](\d+))?)?)?(Z|[+-]\d\d(?::?(?:\d\d)?)?)?$/
const fallback = /^(?:(\d{4})(?:[/:]?(\d\d)[/:]?(\d\d))?)?(?: ?(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?(?:[.|,](\d{1,9}))?)?$/

/** Reads an ISO timestamp, date or time. Undefined for any other text. */
export function parseIso(text: string): IsoValue | undefined {
  // The fallback would match nothing at all.
  if (text === '') return undefined
  return parseCompliant(text) ?? parseFallback(text)
}

/** Kind of an ISO text, by grammar alone: an offset of a day or more makes a timestamp that has no instant. */
export function detectIso(text: string): IsoValue['kind'] | undefined {
  return parseIso(text)?.kind
}

/**
 * Microseconds since 1970-01-01T00:00:00Z of an ISO timestamp. Undefined for anything else, including a date. Without
 * an offset it is UTC. Digits beyond microseconds are cut off.
 */
export function isoTimestampMicros(text: string): bigint | undefined {
  const value = parseIso(text)
  return value?.kind === 'timestamp' ? instantMicros(value) : undefined
}

/**
 * The instant of an ISO timestamp, or of midnight of an ISO date. `aware` says whether an offset was given; without one
 * it is UTC. Undefined for anything else.
 */
export function parseTimestamp(text: string): { readonly micros: bigint; readonly aware: boolean } | undefined {
  const value = parseIso(text)
  if (value?.kind === 'date') return { micros: BigInt(value.days) * BigInt(microsPerDay), aware: false }
  const micros = value?.kind === 'timestamp' ? instantMicros(value) : undefined
  if (value?.kind !== 'timestamp' || micros === undefined) return undefined
  return { micros, aware: value.offsetSeconds !== undefined }
}

/** The instant of a timestamp. Undefined outside of the years 1 to 9999 in UTC, and for an offset of a day or more. */
export function instantMicros(value: Extract<IsoValue, { kind: 'timestamp' }>): bigint | undefined {
  const offset = value.offsetSeconds ?? 0
  if (Math.abs(offset) >= 86_400) return undefined
  const micros = value.micros - offset * microsPerSecond
  const days = value.days + Math.floor(micros / microsPerDay)
  if (days < firstDay || days > lastDay) return undefined
  return BigInt(value.days) * BigInt(microsPerDay) + BigInt(micros)
}

/** Days since 1970-01-01 of an ISO date. Undefined for anything else, including a timestamp. */
export function isoDateDays(text: string): number | undefined {
  const value = parseIso(text)
  return value?.kind === 'date' ? value.days : undefined
}

/** Microseconds since midnight in UTC of an ISO time. Undefined for anything else. */
export function isoTimeMicros(text: string): number | undefined {
  const value = parseIso(text)
  if (value?.kind !== 'time') return undefined
  const offset = value.offsetSeconds ?? 0
  if (Math.abs(offset) >= 86_400) return undefined
  const micros = value.micros - offset * microsPerSecond
  return micros - Math.floor(micros / microsPerDay) * microsPerDay
}

function parseCompliant(text: string): IsoValue | undefined {
  if (text.charCodeAt(2) === 0x3a) {
    const time = clock(text)
    return time === undefined ? undefined : { kind: 'time', micros: time.micros, offsetSeconds: time.offsetSeconds }
  }
  const date = isoDate.exec(text)
  if (date === null) return undefined
  const days = isoDays(date)
  if (days === undefined) return undefined
  const end = date[0].length
  if (end === text.length) return { kind: 'date', days }
  const time = clock(text.slice(end + 1))
  if (time === undefined) return undefined
  // Basic and extended format may be mixed only like this: 20240101T10:30.
  const dashed = text.charCodeAt(4) === 0x2d
  if (dashed ? time.compact : time.extendedSeconds) return undefined
  return { kind: 'timestamp', days, micros: time.micros, offsetSeconds: time.offsetSeconds }
}

function isoDays(match: RegExpExecArray): number | undefined {
  const year = Number(match[1])
  const week = match[4] ?? match[10]
  if (week !== undefined) return weekDays(year, Number(week), Number(match[5] ?? match[11] ?? 1))
  const ordinal = match[6] ?? match[12]
  if (ordinal !== undefined) return ordinalDays(year, Number(ordinal))
  return calendarDays(year, Number(match[2] ?? match[7] ?? match[8]), Number(match[3] ?? match[9] ?? 1))
}

interface Clock {
  readonly micros: number
  readonly offsetSeconds: number | undefined
  /** Minutes without a colon. */
  readonly compact: boolean
  /** Seconds after a colon. */
  readonly extendedSeconds: boolean
}

function clock(text: string): Clock | undefined {
  const match = isoClock.exec(text)
  if (match === null) return undefined
  const [, hour, minute, second, fraction, compactMinute, compactSecond, compactFraction, zone] = match
  const micros = clockMicros(hour, minute ?? compactMinute, second ?? compactSecond, fraction ?? compactFraction)
  if (micros === undefined) return undefined
  const offsetSeconds = zone === undefined ? undefined : zoneSeconds(zone)
  // Pendulum's compiled parser refuses eastern offsets of more than a day, and only these.
  if (offsetSeconds !== undefined && offsetSeconds > 86_400) return undefined
  return { micros, offsetSeconds, compact: compactMinute !== undefined, extendedSeconds: second !== undefined }
}

function clockMicros(hour = '0', minute = '0', second = '0', fraction = ''): number | undefined {
  const [hours, minutes, seconds] = [Number(hour), Number(minute), Number(second)]
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined
  const micros = Number(fraction.slice(0, 6).padEnd(6, '0'))
  return (hours * 3600 + minutes * 60 + seconds) * microsPerSecond + micros
}

function zoneSeconds(zone: string): number {
  if (zone === 'Z') return 0
  const digits = zone.replace(':', '')
  const seconds = Number(digits.slice(1, 3)) * 3600 + Number(digits.slice(3)) * 60
  return digits.charCodeAt(0) === 0x2d ? -seconds : seconds
}

function parseFallback(text: string): IsoValue | undefined {
  const match = fallback.exec(text)
  if (match === null) return undefined
  const [, year, month, day, hour, minute, second, fraction] = match
  const days = year === undefined ? undefined : calendarDays(Number(year), Number(month ?? 1), Number(day ?? 1))
  if (year !== undefined && days === undefined) return undefined
  if (hour === undefined) return days === undefined ? undefined : { kind: 'date', days }
  const micros = clockMicros(hour, minute, second, fraction)
  if (micros === undefined) return undefined
  if (days === undefined) return { kind: 'time', micros, offsetSeconds: undefined }
  return { kind: 'timestamp', days, micros, offsetSeconds: undefined }
}
