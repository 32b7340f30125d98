/**
 * A moment with all digits of its text: whole seconds since 1970-01-01T00:00:00Z, and the fraction without trailing
 * zeros.
 */
export interface Instant {
  readonly seconds: number
  readonly fraction: string
}

/**
 * The instant that a text names. Undefined if it is not a time, or an ambiguous one (`02/01/2024`). These are read: ISO
 * 8601 (also with a blank for `T`, without seconds, or a date alone, meaning midnight), dates of mail and HTTP (RFC
 * 2822, 1123, 850, asctime), dates that JavaScript prints, and `/Date(1700000000000)/`. A text without an offset is
 * UTC.
 */
export function parseInstant(text: string): Instant | undefined {
  // The shortest form is a month. Every form has a digit, and no form is longer.
  if (text.length < 7 || text.length > 100) return undefined
  return isoInstant(text) ?? mailInstant(text) ?? printedInstant(text) ?? tickInstant(text)
}

const iso =
  /^(\d{4})(?:([-/])(\d\d)(?:\2(\d\d))?|(\d\d)(\d\d))(?:[Tt ] *(\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?)?(?: *([Zz]|UTC|GMT|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)(?: [A-Z]{3,5}|\[[\w/+-]+\])?)?)?$/

function isoInstant(text: string): Instant | undefined {
  const match = iso.exec(text)
  if (match === null) return undefined
  const [, year, , month, day = '1', compactMonth, compactDay, hour, minute, second, fraction, zone] = match
  return instant(
    { year: Number(year), month: Number(month ?? compactMonth), day: Number(compactDay ?? day) },
    { hour, minute, second, fraction, zone },
  )
}

const mail =
  /^(?:[a-z]{3,9},? +)?(\d{1,2})[ -]([a-z]{3,9})[ -](\d{4}|\d{2})(?:,? +(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d+))?)? *([a-z]{1,3}|[+-]\d\d:?\d\d)?(?: *\([^()]*\))?)?$/i

function mailInstant(text: string): Instant | undefined {
  const match = mail.exec(text)
  if (match === null) return undefined
  const [, day, name = '', year = '', hour, minute, second, fraction, zone] = match
  const month = monthNumber(name)
  if (month === undefined) return undefined
  return instant(
    { year: fullYear(year), month, day: Number(day) },
    { hour: hour?.padStart(2, '0'), minute, second, fraction, zone },
  )
}

/** `Mon Jan  1 00:00:00 2024`, with an offset before the year, or as JavaScript prints it, the year before the clock. */
const printed =
  /^[a-z]{3,9},? +([a-z]{3,9}) +(\d{1,2})(?: +(\d{4}))? +(\d\d):(\d\d):(\d\d)(?: +((?:GMT|UTC)?[+-]\d\d:?\d\d|[a-z]{1,3}))?(?: +(\d{4}))?(?: *\([^()]*\))?$/i

function printedInstant(text: string): Instant | undefined {
  const match = printed.exec(text)
  if (match === null) return undefined
  const [, name = '', day, early, hour, minute, second, zone, late] = match
  const month = monthNumber(name)
  if (month === undefined || (early === undefined) === (late === undefined)) return undefined
  return instant(
    { year: Number(early ?? late), month, day: Number(day) },
    { hour, minute, second, fraction: undefined, zone: zone?.replace(/^(?:GMT|UTC)(?=[+-])/i, '') },
  )
}

/** Milliseconds as in ASP.NET. The offset says where they were written and changes nothing. */
function tickInstant(text: string): Instant | undefined {
  const match = /^\/Date\((-?\d{1,15})(?:[+-]\d{4})?\)\/$/.exec(text)
  if (match === null) return undefined
  const ms = Number(match[1])
  const seconds = Math.floor(ms / 1000)
  return { seconds, fraction: trimmed(String(ms - seconds * 1000).padStart(3, '0')) }
}

interface Clock {
  readonly hour: string | undefined
  readonly minute: string | undefined
  readonly second: string | undefined
  readonly fraction: string | undefined
  readonly zone: string | undefined
}

function instant(
  { year, month, day }: { readonly year: number; readonly month: number; readonly day: number },
  { hour = '0', minute = '0', second = '0', fraction = '', zone }: Clock,
): Instant | undefined {
  const [hours, minutes, wholeSeconds] = [Number(hour), Number(minute), Number(second)]
  const ofDay = hours * 3600 + minutes * 60 + wholeSeconds
  // A leap second counts as the next second, and 24:00 as midnight.
  if (minutes > 59 || wholeSeconds > 60 || ofDay > DAY_SECONDS) return undefined
  const midnight = midnightSeconds(year, month, day)
  const offset = zone === undefined ? 0 : offsetSeconds(zone)
  if (midnight === undefined || offset === undefined) return undefined
  return { seconds: midnight + ofDay - offset, fraction: trimmed(fraction) }
}

const DAY_SECONDS = 86_400

function midnightSeconds(year: number, month: number, day: number): number | undefined {
  if (month < 1 || month > 12 || day < 1 || day > 31) return undefined
  const date = new Date(0)
  // Date.UTC would read the years 0 to 99 as those of the last century.
  date.setUTCFullYear(year, month - 1, day)
  return date.getUTCDate() === day ? date.getTime() / 1000 : undefined
}

/** Zone names with an offset in RFC 2822. Others, such as CST of China and of Chicago, are ambiguous. */
const zoneHours: ReadonlyMap<string, number> = new Map([
  ['Z', 0],
  ['UT', 0],
  ['UTC', 0],
  ['GMT', 0],
  ['EST', -5],
  ['EDT', -4],
  ['CST', -6],
  ['CDT', -5],
  ['MST', -7],
  ['MDT', -6],
  ['PST', -8],
  ['PDT', -7],
])

function offsetSeconds(zone: string): number | undefined {
  const named = zoneHours.get(zone.toUpperCase())
  if (named !== undefined) return named * 3600
  const match = /^([+-])(\d\d):?(\d\d)?:?(\d\d)?$/.exec(zone)
  if (match === null) return undefined
  const [, sign, hours = '0', minutes = '0', seconds = '0'] = match
  const offset = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
  return sign === '-' ? -offset : offset
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const monthNames =
  /^(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)$/i

function monthNumber(name: string): number | undefined {
  return monthNames.test(name) ? months.indexOf(name.slice(0, 3).toLowerCase()) + 1 : undefined
}

/** Two digits stand for the years 1950 to 2049, as in RFC 2822. */
function fullYear(digits: string): number {
  const year = Number(digits)
  if (digits.length > 2) return year
  return year < 50 ? 2000 + year : 1900 + year
}

function trimmed(fraction: string): string {
  return fraction.endsWith('0') ? fraction.replace(/0+$/, '') : fraction
}

export function compareInstants(a: Instant, b: Instant): number {
  if (a.seconds !== b.seconds) return a.seconds - b.seconds
  if (a.fraction === b.fraction) return 0
  return a.fraction < b.fraction ? -1 : 1
}
