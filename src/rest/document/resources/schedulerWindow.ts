import { type JsonValue, numberLiteral, setNumberLiteral } from '../../../json/value.js'
import { compareRanks, cursorRank } from '../../../model/cursors/cursorOrder.js'
import { type Instant, parseInstant } from '../../../model/cursors/instant.js'
import type { IncrementalHint } from '../../../model/source.js'
import { timeFormat } from '../../request/timeFormat.js'
import type { Problems, PropertyPath } from '../problems.js'

/** What whoever starts the runs says of their windows. */
export interface Scheduler {
  /** Whether cursors take the window that do not say so themselves. */
  readonly isJoined: boolean
  /** Undefined: the run was given none. Throws a ConfigError if it makes no sense. */
  window(): { readonly start: Instant; readonly end: Instant; readonly timeZone: string } | undefined
}

/**
 * The cursor with the scheduler's window in place of its own ends, which still bound it. It keeps no state, as with any
 * `end_value`. Reports a cursor that cannot take the window.
 */
export function scheduled(
  hint: IncrementalHint,
  allowed: boolean | null | undefined,
  scheduler: Scheduler | undefined,
  at: PropertyPath,
  problems: Problems,
): IncrementalHint {
  if (!(allowed ?? scheduler?.isJoined ?? false)) return hint
  const key = [...at, 'allow_external_schedulers']
  const window = scheduler?.window()
  if (window === undefined) {
    problems.add(
      key,
      'needs the window of a scheduler; set DLT_INTERVAL_START and DLT_INTERVAL_END, or leave it out and give `end_value`',
    )
    return hint
  }
  const { start, end, timeZone } = window
  const spelled = spelling(hint, timeZone)
  if (spelled === undefined) {
    problems.add(
      key,
      'needs an `initial_value` that is a number of seconds or a time, as the values of the cursor are; give one, or leave it out',
    )
    return hint
  }
  if (isMilliseconds(hint.initialValue, end)) {
    problems.add(
      key,
      'takes numbers as seconds, and `initial_value` counts milliseconds; leave it out and give `end_value`',
    )
    return hint
  }
  const joined: IncrementalHint = {
    ...hint,
    initialValue: bounded(hint, 'initialValue', spelled(start), hint.lastValueFunc === 'max'),
    endValue: bounded(hint, 'endValue', spelled(end), hint.lastValueFunc !== 'max'),
  }
  for (const bound of ['initialValue', 'endValue'] as const) {
    if (joined[bound] === hint[bound]) setNumberLiteral(joined, bound, numberLiteral(hint, bound))
  }
  return joined
}

/** How the cursor writes moments. Undefined if its first value is none. */
function spelling(
  { initialValue, path }: IncrementalHint,
  timeZone: string,
): ((moment: Instant) => JsonValue) | undefined {
  if (typeof initialValue === 'bigint') return ({ seconds }) => seconds
  if (typeof initialValue === 'number') {
    return Number.isInteger(initialValue)
      ? ({ seconds }) => seconds
      : ({ seconds, fraction }) => Number(`${seconds}.${fraction || '0'}`)
  }
  if (typeof initialValue !== 'string' || parseInstant(initialValue) === undefined) return undefined
  const isDate = /^\d{4}-\d\d-\d\d$/.test(initialValue)
  const write = timeFormat(isDate ? '%F' : timeZone === 'UTC' ? 'iso8601' : '%FT%T.%f%z', { timeZone, path })
  return ({ seconds, fraction }) => {
    const text = String(write(`${new Date(seconds * 1000).toISOString().slice(0, 19)}.${fraction || '0'}Z`, 'lower'))
    return text.replace('.000000', '').replace(/([+-]\d\d)(\d\d)$/, isDate ? '$&' : '$1:$2')
  }
}

/** Seconds of this size lie thousands of years ahead. */
const FIRST_MS = 1e11

function isMilliseconds(initial: JsonValue | undefined, end: Instant): boolean {
  const isNumber = typeof initial === 'number' || typeof initial === 'bigint'
  return isNumber && Math.abs(Number(initial)) >= FIRST_MS && end.seconds < FIRST_MS
}

/** The scheduler's bound, or the document's own where that is nearer. `isLower`: the greater one is nearer. */
function bounded(
  hint: IncrementalHint,
  key: 'initialValue' | 'endValue',
  given: JsonValue,
  isLower: boolean,
): JsonValue {
  const own = hint[key]
  if (own === undefined || own === null) return given
  const order = compareRanks(cursorRank(own, numberLiteral(hint, key)), cursorRank(given, undefined))
  if (order === undefined) return given
  return (isLower ? order >= 0 : order <= 0) ? own : given
}
