/** Days of the proleptic Gregorian calendar, counted from 1970-01-01. */

/** 0001-01-01 and 9999-12-31: the years that dlt and most engines know. */
export const firstDay = -719_162
export const lastDay = 2_932_896

export const microsPerSecond = 1_000_000
export const microsPerDay = 86_400 * microsPerSecond

const monthLengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

/** A day by year, month and day. Undefined if the calendar has no such day, and in the year 0. */
export function calendarDays(year: number, month: number, day: number): number | undefined {
  if (year < 1 || month < 1 || month > 12 || day < 1) return undefined
  if (day > monthLengths[month - 1]! + (month === 2 && isLeap(year) ? 1 : 0)) return undefined
  return daysFromCivil(year, month, day)
}

/** A day by year and day of the year, from 1. */
export function ordinalDays(year: number, ordinal: number): number | undefined {
  if (year < 1 || ordinal < 1 || ordinal > (isLeap(year) ? 366 : 365)) return undefined
  return daysFromCivil(year, 1, 1) + ordinal - 1
}

/** A day by ISO week; weekdays are 1 (Monday) to 7. */
export function weekDays(year: number, week: number, weekday: number): number | undefined {
  if (year < 1 || week < 1 || weekday < 1 || weekday > 7) return undefined
  const start = weekOne(year)
  const days = start + (week - 1) * 7 + weekday - 1
  if (start + (week - 1) * 7 >= weekOne(year + 1) || days < firstDay || days > lastDay) return undefined
  return days
}

/** The Monday of the week with January 4th. */
function weekOne(year: number): number {
  const fourth = daysFromCivil(year, 1, 4)
  // 1970-01-01 was a Thursday.
  return fourth - ((((fourth + 3) % 7) + 7) % 7)
}

/** Any year, month and day, unchecked. Years start in March here, so that leap days come last. */
function daysFromCivil(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
}

/** The inverse of {@link daysFromCivil}. */
export function civilFromDays(days: number): { readonly year: number; readonly month: number; readonly day: number } {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = ((shiftedMonth + 2) % 12) + 1
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day }
}
