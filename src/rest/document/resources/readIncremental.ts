import { compilePath } from '../../../json/path.js'
import { type JsonValue, numberLiteral, setNumberLiteral } from '../../../json/value.js'
import { type CursorRank, compareRanks, cursorRank } from '../../../model/cursors/cursorOrder.js'
import { type Instant, parseInstant } from '../../../model/cursors/instant.js'
import { durationMs } from '../../../model/expectations.js'
import type { IncrementalHint } from '../../../model/source.js'
import { formatProblem, isTimeZone, timeFormat } from '../../request/timeFormat.js'
import type { IncrementalConfig, IncrementalParamConfig } from '../declaration/configTypes.js'
import type { IncrementalModel } from '../model.js'
import { formatPath, type Problems, type PropertyPath } from '../problems.js'
import type { MergedResource } from './mergeResource.js'

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
function scheduled(
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

export function isIncrementalParam(value: unknown): value is IncrementalParamConfig {
  return typeof value === 'object' && value !== null && (value as { type?: unknown }).type === 'incremental'
}

/** Incremental loading of an endpoint. If the form inside `params` is used, only that one counts. */
export function incrementalOf(
  merged: MergedResource,
  scheduler: Scheduler | undefined,
  problems: Problems,
): IncrementalModel | undefined {
  const { endpoint } = merged
  const inParams = Object.entries(endpoint.params ?? {}).filter(([, value]) => isIncrementalParam(value))
  const [used, second] = inParams
  if (second !== undefined) {
    problems.add(
      merged.where('endpoint', 'params', second[0]),
      `an endpoint has one incremental cursor; \`${used?.[0]}\` has one already`,
    )
  }
  if (used !== undefined) {
    const [param, value] = used
    const at = merged.where('endpoint', 'params', param)
    const config = value as IncrementalParamConfig
    const hint = hintOf(config, merged, at, problems, sentAs(param, config))
    return {
      hint: scheduled(hint, config.allow_external_schedulers, scheduler, at, problems),
      startParam: param,
      ...conversion(config, at, problems),
    }
  }
  const config = endpoint.incremental
  if (config == null) return undefined
  const at = merged.where('endpoint', 'incremental')
  const token = tokenOf(config, at, problems)
  if (token !== undefined) return token
  checkEnd(config, at, problems)
  if (config.per_parent === true) checkPerParent(config, at, problems)
  const startParam = config.start_param ?? undefined
  const hint = hintOf(config, merged, at, problems, sentAs(startParam, config))
  return {
    hint: scheduled(hint, config.allow_external_schedulers, scheduler, at, problems),
    startParam,
    endParam: config.end_param ?? undefined,
    ...conversion(config, at, problems),
  }
}

/** Undefined where what is sent may mean an earlier start: patterns leave out parts of a time, and functions anything. */
function sentAs(
  param: string | undefined,
  { convert, transform, param_format: format }: Converting,
): string | undefined {
  return convert != null || transform != null || format?.includes('%') === true ? undefined : param
}

type Converting = Pick<IncrementalConfig, 'convert' | 'param_format' | 'param_time_zone'> &
  Pick<IncrementalParamConfig, 'transform'>

/** What cursor values become before they are sent: by a function or by a format. */
function conversion(
  config: Converting,
  at: PropertyPath,
  problems: Problems,
): Pick<IncrementalModel, 'convert' | 'convertPath'> {
  const { convert, transform, param_format: format, param_time_zone: timeZone } = config
  if (timeZone != null && !isTimeZone(timeZone))
    problems.add([...at, 'param_time_zone'], 'is not a time zone; expected a name such as `Europe/Berlin`')
  if (timeZone != null && format?.includes('%') !== true)
    problems.add([...at, 'param_time_zone'], 'needs a pattern in `param_format`; the other formats name a moment')
  const key = convert != null ? 'convert' : transform != null ? 'transform' : 'param_format'
  const convertPath = formatPath([...at, key])
  if (format == null) return { convert: convert ?? transform ?? undefined, convertPath }
  if (key !== 'param_format') problems.add([...at, 'param_format'], `cannot be combined with \`${key}\`; leave one out`)
  const problem = formatProblem(format)
  if (problem !== undefined) problems.add([...at, 'param_format'], problem)
  return { convert: timeFormat(format, { timeZone: timeZone ?? undefined, path: convertPath }), convertPath }
}

/** A token of the answers. Its state is kept under the path, as that of a cursor. */
function tokenOf(
  {
    token_path: path,
    next_url_path: url,
    token_param: param,
    token_expired: expired,
    per_parent: perParent,
  }: IncrementalConfig,
  at: PropertyPath,
  problems: Problems,
): IncrementalModel | undefined {
  const key = path ?? url
  if (key == null) return undefined
  checkPath(key, [...at, path == null ? 'next_url_path' : 'token_path'], problems)
  if (expired != null && expired.status == null && expired.body == null)
    problems.add([...at, 'token_expired'], 'needs `status` or `body`, else every answer would mean it')
  const hint: IncrementalHint = {
    cursorPath: key,
    isToken: true,
    lastValueFunc: 'max',
    rangeStart: 'closed',
    rangeEnd: 'open',
    onCursorValueMissing: 'include',
    isPerParent: perParent === true ? true : undefined,
    path: formatPath(at),
  }
  const answer = expired ?? { status: 410 }
  return {
    hint,
    startParam: param ?? undefined,
    token: { isUrl: path == null, expired: { status: answer.status ?? undefined, body: answer.body ?? undefined } },
  }
}

function hintOf(
  config: Omit<IncrementalConfig, keyof Converting | 'start_param' | 'end_param'>,
  { keys }: MergedResource,
  at: PropertyPath,
  problems: Problems,
  sent?: string,
): IncrementalHint {
  const cursorPath = config.cursor_path ?? ''
  if (cursorPath !== '') checkPath(cursorPath, [...at, 'cursor_path'], problems)
  const hint: IncrementalHint = {
    cursorPath,
    initialValue: config.initial_value ?? undefined,
    endValue: config.end_value ?? undefined,
    lastValueFunc: config.last_value_func ?? 'max',
    rowOrder: config.row_order ?? undefined,
    rangeStart: config.range_start ?? 'closed',
    rangeEnd: config.range_end ?? 'open',
    onCursorValueMissing: config.on_cursor_value_missing ?? 'raise',
    lag: config.lag ?? undefined,
    primaryKey: dedupKey(config.primary_key ?? keys.primary_key ?? undefined),
    sentAs: sent,
    isPerParent: config.per_parent === true ? true : undefined,
    window: windowOf(config.window, at, problems),
    path: formatPath(at),
  }
  setNumberLiteral(hint, 'initialValue', numberLiteral(config, 'initial_value'))
  setNumberLiteral(hint, 'endValue', numberLiteral(config, 'end_value'))
  return hint
}

/** How a backfill cuts the range. Whether the cursor can take such steps is known when its values are. */
function windowOf(
  config: IncrementalConfig['window'],
  at: PropertyPath,
  problems: Problems,
): IncrementalHint['window'] {
  if (config == null) return undefined
  for (const key of ['step', 'lookback'] as const) {
    const width = config[key]
    if (typeof width !== 'string' || (durationMs(width) ?? 0) > 0) continue
    problems.add(
      [...at, 'window', key],
      'expected an ISO 8601 duration of weeks, days, hours, minutes and seconds, as in `P7D` or `PT6H`, or a number',
    )
  }
  return { step: config.step, order: config.order ?? 'oldest_first', lookback: config.lookback ?? undefined }
}

function dedupKey(written: string | readonly string[] | undefined): string | readonly string[] | undefined {
  if (written === undefined || (typeof written === 'string' && written !== '')) return written
  return [written].flat().filter(name => name !== '')
}

/** Reports an invalid JSONPath. */
export function checkPath(text: string, at: PropertyPath, problems: Problems): void {
  try {
    compilePath(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    problems.add(at, `is not a JSONPath: ${error.message}`)
  }
}

/** A cursor of each parent is kept in the state, which a window that somebody gives does not touch. */
function checkPerParent(config: IncrementalConfig, at: PropertyPath, problems: Problems): void {
  for (const other of ['end_value', 'window', 'allow_external_schedulers'] as const) {
    if (config[other] != null && config[other] !== false)
      problems.add(
        [...at, 'per_parent'],
        `cannot be combined with \`${other}\`, which is one range for all; leave one out`,
      )
  }
}

function checkEnd(config: IncrementalConfig, at: PropertyPath, problems: Problems): void {
  const { initial_value: initial, end_value: end } = config
  if (end == null) return
  if (initial == null) {
    problems.add([...at, 'end_value'], 'needs `initial_value`: a backfill has a beginning and an end')
    return
  }
  const descending = config.last_value_func === 'min'
  const areOfOneKind = (isNumber(initial) && isNumber(end)) || (typeof initial === 'string' && typeof end === 'string')
  const order = areOfOneKind
    ? compareRanks(rankAt(config, 'initial_value', initial), rankAt(config, 'end_value', end))
    : undefined
  if (order === undefined) {
    problems.add([...at, 'end_value'], 'must be of the same kind as `initial_value`')
  } else if (descending ? order < 0 : order > 0) {
    problems.add([...at, 'end_value'], `must not be ${descending ? 'above' : 'below'} \`initial_value\``)
  }
}

function rankAt(config: IncrementalConfig, key: 'initial_value' | 'end_value', value: JsonValue): CursorRank {
  return cursorRank(value, numberLiteral(config, key))
}

function isNumber(value: JsonValue): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}
