import type { JsonValue } from '../../json/value.js'
import { type Instant, parseInstant } from '../../model/cursors/instant.js'
import { DataError, shortened } from '../../model/errors.js'

/** Formats with a name. Any other format is a pattern with directives such as `%Y-%m-%d`. */
const NAMED_FORMATS: readonly string[] = ['epoch_seconds', 'epoch_ms', 'epoch_us', 'iso8601', 'rfc1123']

/** Which end of a window a value is. One that a format shortens moves outwards, so that no record falls out. */
type Bound = 'lower' | 'upper'

/** Makes of a cursor value the text or number that an API wants. Throws a DataError if the value is not a time. */
type TimeFormat = (value: JsonValue, bound: Bound) => JsonValue

interface TimeFormatOptions {
  /** IANA name of the zone in which a pattern is written. Default: UTC. */
  readonly timeZone?: string | undefined
  /** Key path of the format, for messages. */
  readonly path: string
}

/** What is wrong with a format. Undefined if nothing is. */
export function formatProblem(format: string): string | undefined {
  if (NAMED_FORMATS.includes(format)) return undefined
  const unknown = format.match(/%./gs)?.find(directive => !(directive in directives))
  if (unknown !== undefined)
    return `does not know "${unknown}"; there are ${Object.keys(directives).join(' ')}, or one of ${NAMED_FORMATS.join(', ')}`
  if (/%$/.test(format)) return 'ends with half a directive; write `%%` for a percent sign'
  if (/%[^%]/.test(format)) return undefined
  return `expected one of ${NAMED_FORMATS.join(', ')}, or a pattern such as \`%Y-%m-%d %H:%M\``
}

/** Whether this is the name of a time zone. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** The function for a format without a problem. */
export function timeFormat(format: string, { timeZone = 'UTC', path }: TimeFormatOptions): TimeFormat {
  return (value, bound) => {
    const micros = microsOf(value, bound)
    if (micros === undefined || micros < FIRST_MICROS || micros > LAST_MICROS) {
      const shown = typeof value === 'string' ? JSON.stringify(shortened(value)) : shortened(String(value))
      throw new DataError(
        'incremental_cursor',
        `${path}: the cursor value ${shown} is not a time that can be written as \`${format}\`. Remove the format, or choose another cursor.`,
        { path },
      )
    }
    switch (format) {
      case 'epoch_seconds':
        return rounded(micros, 1_000_000n, bound)
      case 'epoch_ms':
        return rounded(micros, 1000n, bound)
      case 'epoch_us':
        return Number(micros)
      case 'iso8601':
        return isoText(micros)
      case 'rfc1123':
        return new Date(rounded(micros, 1_000_000n, bound) * 1000).toUTCString()
      default:
        return written(format, micros, bound, timeZone)
    }
  }
}

/** 0001-01-01 and 9999-12-31: the years that all formats can write. */
const FIRST_MICROS = -62_135_596_800_000_000n
const LAST_MICROS = 253_402_300_799_999_999n
/** Smaller numbers count seconds, smaller ones than a thousand times that milliseconds, others microseconds. */
const FIRST_MS = 1e11

/** Microseconds since the epoch of a text, or of a number of seconds, milliseconds or microseconds. */
function microsOf(value: JsonValue, bound: Bound): bigint | undefined {
  if (typeof value === 'string') {
    const instant = /^-?\d{9,}$/.test(value) ? undefined : parseInstant(value)
    if (instant !== undefined) return microsOfInstant(instant, bound)
    return /^-?\d+(?:\.\d+)?$/.test(value) ? microsOfNumber(Number(value)) : undefined
  }
  return typeof value === 'number' || typeof value === 'bigint' ? microsOfNumber(Number(value)) : undefined
}

function microsOfInstant({ seconds, fraction }: Instant, bound: Bound): bigint {
  const isShortened = bound === 'upper' && fraction.length > 6
  return BigInt(seconds) * 1_000_000n + BigInt(fraction.slice(0, 6).padEnd(6, '0')) + (isShortened ? 1n : 0n)
}

function microsOfNumber(value: number): bigint | undefined {
  const size = Math.abs(value)
  if (!(size < FIRST_MS * 1e7)) return undefined
  const factor = size < FIRST_MS ? 1_000_000 : size < FIRST_MS * 1000 ? 1000 : 1
  return BigInt(Math.round(value * factor))
}

function rounded(micros: bigint, unit: bigint, bound: Bound): number {
  const rest = ((micros % unit) + unit) % unit
  return Number((micros - rest) / unit) + (bound === 'upper' && rest !== 0n ? 1 : 0)
}

function isoText(micros: bigint): string {
  const rest = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n
  const text = new Date(Number((micros - rest) / 1000n)).toISOString().slice(0, 19)
  return rest === 0n ? `${text}Z` : `${text}.${String(rest).padStart(6, '0')}Z`
}

/** A moment as a clock on a wall shows it, and what that clock is ahead of UTC. */
interface WallClock {
  /** The shown time, as if it were UTC. */
  readonly date: Date
  readonly micros: number
  readonly aheadMinutes: number
  readonly epochSeconds: number
}

type Unit = 'microsecond' | 'second' | 'minute' | 'hour' | 'day' | 'month' | 'year'
const units: readonly Unit[] = ['microsecond', 'second', 'minute', 'hour', 'day', 'month', 'year']

const two = (value: number): string => String(value).padStart(2, '0')
const four = (value: number): string => String(value).padStart(4, '0')
const hour12 = (date: Date): number => date.getUTCHours() % 12 || 12
const ofYear = (date: Date): number =>
  Math.floor((Date.UTC(2000, date.getUTCMonth(), date.getUTCDate()) - Date.UTC(2000, 0, 1)) / 86_400_000)
const isLeap = (year: number): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
const dayOfYear = (date: Date): number =>
  ofYear(date) + (date.getUTCMonth() > 1 && !isLeap(date.getUTCFullYear()) ? 0 : 1)
const isoDay = (date: Date): string =>
  `${four(date.getUTCFullYear())}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`
const clock = (date: Date): string =>
  `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`
const named = (date: Date, options: Intl.DateTimeFormatOptions): string =>
  new Intl.DateTimeFormat('en', { ...options, timeZone: 'UTC' }).format(date)

/** The directives of strftime, each with the smallest unit that it shows. */
const directives: Readonly<Record<string, readonly [Unit | undefined, (wall: WallClock) => string]>> = {
  '%Y': ['year', ({ date }) => four(date.getUTCFullYear())],
  '%y': ['year', ({ date }) => two(date.getUTCFullYear() % 100)],
  '%m': ['month', ({ date }) => two(date.getUTCMonth() + 1)],
  '%b': ['month', ({ date }) => named(date, { month: 'short' })],
  '%B': ['month', ({ date }) => named(date, { month: 'long' })],
  '%d': ['day', ({ date }) => two(date.getUTCDate())],
  '%e': ['day', ({ date }) => String(date.getUTCDate()).padStart(2)],
  '%j': ['day', ({ date }) => String(dayOfYear(date)).padStart(3, '0')],
  '%a': [undefined, ({ date }) => named(date, { weekday: 'short' })],
  '%A': [undefined, ({ date }) => named(date, { weekday: 'long' })],
  '%F': ['day', ({ date }) => isoDay(date)],
  '%H': ['hour', ({ date }) => two(date.getUTCHours())],
  '%I': ['hour', ({ date }) => two(hour12(date))],
  '%p': [undefined, ({ date }) => (date.getUTCHours() < 12 ? 'AM' : 'PM')],
  '%M': ['minute', ({ date }) => two(date.getUTCMinutes())],
  '%S': ['second', ({ date }) => two(date.getUTCSeconds())],
  '%T': ['second', ({ date }) => clock(date)],
  '%f': ['microsecond', ({ micros }) => String(micros).padStart(6, '0')],
  '%s': ['second', ({ epochSeconds }) => String(epochSeconds)],
  '%z': [undefined, ({ aheadMinutes }) => offsetText(aheadMinutes)],
  '%%': [undefined, () => '%'],
}

function offsetText(minutes: number): string {
  const size = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${two(size % 60)}`
}

function written(format: string, micros: bigint, bound: Bound, timeZone: string): string {
  const used = format.match(/%./gs) ?? []
  const smallest = units.find(unit => used.some(directive => directives[directive]?.[0] === unit)) ?? 'microsecond'
  const wall = moved(wallClock(micros, timeZone), smallest, bound)
  return format.replace(/%./gs, directive => directives[directive]?.[1](wall) ?? directive)
}

function wallClock(micros: bigint, timeZone: string): WallClock {
  const ofSecond = Number(((micros % 1_000_000n) + 1_000_000n) % 1_000_000n)
  const epochSeconds = Number((micros - BigInt(ofSecond)) / 1_000_000n)
  const parts = new Intl.DateTimeFormat('en', {
    timeZone,
    hourCycle: 'h23',
    era: 'short',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(new Date(epochSeconds * 1000))
  const part = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.find(one => one.type === type)?.value ?? 0)
  const date = new Date(0)
  date.setUTCFullYear(part('year'), part('month') - 1, part('day'))
  date.setUTCHours(part('hour'), part('minute'), part('second'))
  return {
    date,
    micros: ofSecond,
    aheadMinutes: Math.round((date.getTime() / 1000 - epochSeconds) / 60),
    epochSeconds,
  }
}

/** The clock at the start of the unit that it is in; for an upper bound, of the next one unless it is there already. */
function moved(wall: WallClock, unit: Unit, bound: Bound): WallClock {
  if (unit === 'microsecond') return wall
  const { date } = wall
  const fields: [number, number, number, number, number, number] = [
    date.getUTCFullYear(),
    date.getUTCMonth(),
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ]
  const kept = 6 - units.indexOf(unit) + 1
  const start = fields.map((field, at) => {
    if (at < kept) return field
    return at === 2 ? 1 : 0
  }) as typeof fields
  const isShortened = wall.micros !== 0 || start.some((field, at) => field !== fields[at])
  if (bound === 'upper' && isShortened) start[kept - 1] = (start[kept - 1] ?? 0) + 1
  const edge = new Date(0)
  edge.setUTCFullYear(start[0], start[1], start[2])
  edge.setUTCHours(start[3], start[4], start[5])
  return {
    date: edge,
    micros: 0,
    aheadMinutes: wall.aheadMinutes,
    epochSeconds: wall.epochSeconds + (bound === 'upper' && wall.micros !== 0 ? 1 : 0),
  }
}
