import { DataError } from '../core/errors.js'
import type { JsonValue } from '../core/json.js'

const DATE = /^(\d{4})(-?)(\d{2})\2(\d{2})$/
const DATETIME =
  /^(?<year>\d{4})-(?<month>\d{2})-(?<day>\d{2})(?<gap>[T ])(?<hour>\d{2}):(?<minute>\d{2})(?::(?<second>\d{2})(?<fraction>\.\d+)?)?(?<zone>Z|[+-]\d{2}(?::?\d{2})?)?$/

const DAY_MS = 86_400_000
const MICROS = 1_000_000

/**
 * A cursor value moved back by `lag` (forward for `min`): numbers by the amount, ISO datetimes by seconds, dates by
 * days. Text keeps its layout and zone, a fraction of a second gets six digits; an integer stays an integer.
 */
export function shiftCursor(value: JsonValue, lag: number, direction: 'back' | 'forward', where: string): JsonValue {
  const amount = direction === 'back' ? -lag : lag
  if (typeof value === 'bigint') return narrow(value + BigInt(Math.trunc(amount)))
  if (typeof value === 'number') return Number.isInteger(value) ? Math.trunc(value + amount) : value + amount
  if (typeof value === 'string') {
    const shifted = shiftDate(value, amount) ?? shiftDatetime(value, amount)
    if (shifted !== undefined) return shifted
  }
  throw new DataError(
    'incremental_cursor',
    `${where}.lag: the cursor value ${JSON.stringify(String(value))} is neither a number nor an ISO date or datetime, so it cannot be moved by a lag of ${lag}. Remove \`lag\`, or choose another cursor.`,
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
  const micros =
    BigInt(date) * 1000n + BigInt(fraction.slice(1, 7).padEnd(6, '0')) + BigInt(Math.round(seconds * MICROS))
  const rest = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n
  const moved = new Date(Number((micros - rest) / 1000n)).toISOString()
  const clock = second === undefined ? moved.slice(11, 16) : moved.slice(11, 19)
  return `${moved.slice(0, 10)}${gap}${clock}${fraction === '' ? '' : `.${String(rest).padStart(6, '0')}`}${zone}`
}
