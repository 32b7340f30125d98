/**
 * Dates and times. Microseconds since 1970 of the years 1 to 9999 do not fit a double exactly: they are bigint, the two
 * halves of an i64, or days and microseconds of the day.
 */
export { microsPerDay } from './calendar.js'
export {
  detectIso,
  type IsoValue,
  instantMicros,
  isoDateDays,
  isoTimeMicros,
  isoTimestampMicros,
  parseIso,
  parseTimestamp,
} from './isoText.js'
export { epochMicros, formatDate, formatTime, formatTimestamp } from './timeFormat.js'
