import { type Instant, parseInstant } from '../model/cursors/instant.js'
import { ConfigError } from '../model/errors.js'
import type { Scheduler } from '../rest/document/resources/readIncremental.js'
import { isTimeZone } from '../rest/request/timeFormat.js'
import { type Environment, isSet } from './lookup/environment.js'

const ALLOW = 'DLT_ALLOW_EXTERNAL_SCHEDULERS'
const START = 'DLT_INTERVAL_START'
const END = 'DLT_INTERVAL_END'
const ZONE = 'DLT_INTERVAL_TIMEZONE'

/** What the environment says of the window of this run, in dlt's variables. Errors name the variable. */
export function schedulerSettings(env: Environment): Scheduler {
  return { isJoined: isAllowed(env), window: () => windowOf(env) }
}

function isAllowed(env: Environment): boolean {
  if (!isSet(env, ALLOW)) return false
  const word = (env[ALLOW] ?? '').toLowerCase()
  if (['true', 't', 'yes', 'y', '1'].includes(word)) return true
  if (['false', 'f', 'no', 'n', '0'].includes(word)) return false
  throw wrong(ALLOW, 'expected true or false')
}

/** A window with one end is none, as in dlt. */
function windowOf(env: Environment): ReturnType<Scheduler['window']> {
  if (!isSet(env, START) || !isSet(env, END)) return undefined
  const timeZone = isSet(env, ZONE) ? (env[ZONE] ?? '') : 'UTC'
  if (!isTimeZone(timeZone)) throw wrong(ZONE, 'is not a time zone; expected a name such as Europe/Berlin')
  const [start, end] = [moment(env, START), moment(env, END)]
  if (start.seconds > end.seconds) throw wrong(END, `is before ${START}`)
  return { start, end, timeZone }
}

function moment(env: Environment, variable: string): Instant {
  const instant = parseInstant(env[variable] ?? '')
  if (instant === undefined) throw wrong(variable, 'is not a time; expected one such as 2024-01-31T12:00:00Z')
  return instant
}

function wrong(variable: string, message: string): ConfigError {
  return new ConfigError([{ place: { path: variable }, message }])
}
