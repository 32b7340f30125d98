import { civilFromDays, firstDay, lastDay, microsPerDay, microsPerSecond } from './calendar.js'

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
