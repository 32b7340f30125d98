import type { JsonValue } from '../../../json/value.js'
import { parseInstant } from '../../../model/cursors/instant.js'
import { DataError, shortened } from '../../../model/errors.js'

const DATE = /^(\d{4})(-?)(\d{2})\2(\d{2})$/
const DATETIME =
  /^(?<year>\d{4})-(?<month>\d{2})-(?<day>\d{2})(?<gap>[Tt ])(?<hour>\d{2}):(?<minute>\d{2})(?::(?<second>\d{2})(?<fraction>[.,]\d+)?)?(?<zone> ?(?:[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?$/
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (?<zone>GMT|[+-]0000)$/
const NUMBER = /^(?<sign>-?)(?<digits>\d+)(?:\.(?<fraction>\d{1,15}))?$/

const DAY_MS = 86_400_000
const MICROS = 1_000_000
const DAY_MICROS = BigInt(DAY_MS) * 1000n

/** What a lag counts, where the values are times. */
export type LagUnit = 'days' | 'seconds'

/** The unit that an initial value declares: days for a date, seconds for a datetime. Undefined if it is no time. */
export function lagUnit(initial: JsonValue | undefined): LagUnit | undefined {
  if (typeof initial !== 'string') return undefined
  if (DATE.test(initial)) return 'days'
  return DATETIME.test(initial) || HTTP_DATE.test(initial) ? 'seconds' : undefined
}

/**
 * A cursor value moved back by `lag` (forward for `min`): numbers by the amount, times by `unit`. Without a unit, dates
 * move by days, ISO datetimes and dates of HTTP by seconds. Days move a datetime to the start of a day in UTC (for `min`
 * to its end), as dlt 1.31 does. Text keeps its layout and zone; an integer stays an integer, also one that is text. A
 * fraction of a second gets six digits, rounded so that nothing leaves the window.
 */
export function shiftCursor(
  value: JsonValue,
  lag: number,
  direction: 'back' | 'forward',
  where: string,
  unit?: LagUnit,
): JsonValue {
  const amount = direction === 'back' ? -lag : lag
  if (typeof value === 'bigint') return narrow(value + BigInt(Math.trunc(amount)))
  if (typeof value === 'number') return Number.isInteger(value) ? Math.trunc(value + amount) : value + amount
  if (typeof value === 'string') {
    const shifted =
      shiftDate(value, amount, unit) ??
      shiftDatetime(value, amount, unit) ??
      shiftHttpDate(value, amount, unit) ??
      shiftNumber(value, amount)
    if (shifted !== undefined) return shifted
  }
  throw new DataError(
    'incremental_cursor',
    `${where}.lag: the cursor value ${JSON.stringify(shortened(String(value)))} is neither a number nor an ISO date or datetime, so it cannot be moved by a lag of ${lag}. Remove \`lag\`, or choose another cursor.`,
    { path: `${where}.lag` },
  )
}

function narrow(value: bigint): JsonValue {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function shiftDate(text: string, amount: number, unit: LagUnit | undefined): string | undefined {
  const match = DATE.exec(text)
  if (match === null) return undefined
  const [, year, dash, month, day] = match
  const moved = new Date(
    Date.UTC(Number(year), Number(month) - 1, Number(day)) + amount * (unit === 'seconds' ? 1000 : DAY_MS),
  )
  return moved
    .toISOString()
    .slice(0, 10)
    .replaceAll('-', dash ?? '')
}

function shiftDatetime(text: string, amount: number, unit: LagUnit | undefined): string | undefined {
  const parts = DATETIME.exec(text)?.groups
  if (parts === undefined) return undefined
  const { year, month, day, gap, hour, minute, second, fraction = '', zone = '' } = parts
  const date = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second ?? 0))
  const roundsUp = amount > 0 && /[1-9]/.test(fraction.slice(7)) ? 1n : 0n
  const ofSecond = BigInt(fraction.slice(1, 7).padEnd(6, '0')) + roundsUp
  const from = BigInt(date) * 1000n + ofSecond
  // What the clock on the wall is ahead of UTC.
  const ahead = BigInt(date - (parseInstant(text)?.seconds ?? date / 1000) * 1000) * 1000n
  const micros = unit === 'days' ? edgeOfDay(from - ahead, amount) + ahead : from + BigInt(Math.round(amount * MICROS))
  const rest = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n
  const moved = new Date(Number((micros - rest) / 1000n)).toISOString()
  const clock = second === undefined ? moved.slice(11, 16) : moved.slice(11, 19)
  return `${moved.slice(0, 10)}${gap}${clock}${fraction === '' ? '' : `${fraction.charAt(0)}${String(rest).padStart(6, '0')}`}${zone}`
}

/** In microseconds since the epoch: the start of the day that lies so many days before, or the end of one after. */
function edgeOfDay(micros: bigint, days: number): bigint {
  const start = micros - (((micros % DAY_MICROS) + DAY_MICROS) % DAY_MICROS)
  const moved = start + BigInt(Math.trunc(days)) * DAY_MICROS
  return days < 0 ? moved : moved + DAY_MICROS - 1n
}

function shiftHttpDate(text: string, amount: number, unit: LagUnit | undefined): string | undefined {
  const zone = HTTP_DATE.exec(text)?.groups?.zone
  const instant = zone === undefined ? undefined : parseInstant(text)
  if (zone === undefined || instant === undefined) return undefined
  // The format has whole seconds only. Round the shift up, so that no record leaves the window.
  const moved =
    unit === 'days'
      ? Number(edgeOfDay(BigInt(instant.seconds) * 1_000_000n, amount) / 1_000_000n)
      : instant.seconds + (amount < 0 ? Math.floor(amount) : Math.ceil(amount))
  return new Date(moved * 1000).toUTCString().replace('GMT', zone)
}

function shiftNumber(text: string, amount: number): string | undefined {
  const parts = NUMBER.exec(text)?.groups
  if (parts === undefined) return undefined
  const { sign = '', digits = '', fraction = '' } = parts
  // Round the shift up, so that no record leaves the window.
  const scaled = amount * 10 ** fraction.length
  const shift = fraction === '' ? Math.trunc(scaled) : scaled < 0 ? Math.floor(scaled) : Math.ceil(scaled)
  const moved = BigInt(`${sign}${digits}${fraction}`) + BigInt(shift)
  // With leading zeros, all values of the cursor have the same length.
  const width = digits.startsWith('0') ? digits.length : 1
  const size = String(moved < 0n ? -moved : moved).padStart(width + fraction.length, '0')
  const point = size.length - fraction.length
  return `${moved < 0n ? '-' : ''}${size.slice(0, point)}${fraction === '' ? '' : `.${size.slice(point)}`}`
}
