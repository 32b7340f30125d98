import type { JsonValue } from '../../../json/value.js'
import { parseInstant } from '../../../model/cursors/instant.js'
import { DataError, shortened } from '../../../model/errors.js'

const DATE = /^(\d{4})(-?)(\d{2})\2(\d{2})$/
const DATETIME =
  /^(?<year>\d{4})-(?<month>\d{2})-(?<day>\d{2})(?<gap>[Tt ])(?<hour>\d{2}):(?<minute>\d{2})(?::(?<second>\d{2})(?<fraction>[.,]\d+)?)?(?<zone> ?(?:[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?$/
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (?<zone>GMT|[+-]0000)$/
const WHOLE_NUMBER = /^(?<sign>-?)(?<digits>\d+)$/

const DAY_MS = 86_400_000
const MICROS = 1_000_000

/**
 * A cursor value moved back by `lag` (forward for `min`): numbers by the amount, ISO datetimes and dates of HTTP by seconds,
 * dates by days. Text keeps its layout and zone; an integer stays an integer, also one that is text. A fraction of a second
 * gets six digits, rounded so that nothing leaves the window.
 */
export function shiftCursor(value: JsonValue, lag: number, direction: 'back' | 'forward', where: string): JsonValue {
  const amount = direction === 'back' ? -lag : lag
  if (typeof value === 'bigint') return narrow(value + BigInt(Math.trunc(amount)))
  if (typeof value === 'number') return Number.isInteger(value) ? Math.trunc(value + amount) : value + amount
  if (typeof value === 'string') {
    const shifted =
      shiftDate(value, amount) ??
      shiftDatetime(value, amount) ??
      shiftHttpDate(value, amount) ??
      shiftWholeNumber(value, amount)
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

function shiftDate(text: string, days: number): string | undefined {
  const match = DATE.exec(text)
  if (match === null) return undefined
  const [, year, dash, month, day] = match
  const moved = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)) + days * DAY_MS)
  return moved
    .toISOString()
    .slice(0, 10)
    .replaceAll('-', dash ?? '')
}

function shiftDatetime(text: string, seconds: number): string | undefined {
  const parts = DATETIME.exec(text)?.groups
  if (parts === undefined) return undefined
  const { year, month, day, gap, hour, minute, second, fraction = '', zone = '' } = parts
  const date = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second ?? 0))
  const roundsUp = seconds > 0 && /[1-9]/.test(fraction.slice(7)) ? 1n : 0n
  const ofSecond = BigInt(fraction.slice(1, 7).padEnd(6, '0')) + roundsUp
  const micros = BigInt(date) * 1000n + ofSecond + BigInt(Math.round(seconds * MICROS))
  const rest = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n
  const moved = new Date(Number((micros - rest) / 1000n)).toISOString()
  const clock = second === undefined ? moved.slice(11, 16) : moved.slice(11, 19)
  return `${moved.slice(0, 10)}${gap}${clock}${fraction === '' ? '' : `${fraction.charAt(0)}${String(rest).padStart(6, '0')}`}${zone}`
}

function shiftHttpDate(text: string, seconds: number): string | undefined {
  const zone = HTTP_DATE.exec(text)?.groups?.zone
  const instant = zone === undefined ? undefined : parseInstant(text)
  if (zone === undefined || instant === undefined) return undefined
  // The format has whole seconds only. Round the shift up, so that no record leaves the window.
  const moved = new Date((instant.seconds + (seconds < 0 ? Math.floor(seconds) : Math.ceil(seconds))) * 1000)
  return moved.toUTCString().replace('GMT', zone)
}

function shiftWholeNumber(text: string, amount: number): string | undefined {
  const parts = WHOLE_NUMBER.exec(text)?.groups
  if (parts === undefined) return undefined
  const moved = BigInt(text) + BigInt(Math.trunc(amount))
  // With leading zeros, all values of the cursor have the same length.
  const width = parts.digits?.startsWith('0') ? parts.digits.length : 0
  return `${moved < 0n ? '-' : ''}${String(moved < 0n ? -moved : moved).padStart(width, '0')}`
}
