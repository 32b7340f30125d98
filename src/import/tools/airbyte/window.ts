import { formatProblem } from '../../../rest/request/timeFormat.js'
import { Unsayable, type Value } from './jinja.js'
import { type Part, parametersOf, partOf, textOf, typeOf } from './manifestParts.js'
import { type RequestPlace, requestPlace } from './paging.js'
import { formatOf, jsonPath, type Scene } from './rendering.js'

/** How a stream requests only new records. */
export interface Window {
  readonly incremental: Record<string, unknown>
  /** The places of the start and the end in the request. */
  readonly start: RequestPlace | undefined
  readonly end: RequestPlace | undefined
  /** The unit of a cursor that is a number. The names of the variables for its bounds end with it. */
  readonly unit: string
}

/** Units of numeric cursors. A variable's name ends with its unit, so it serves cursors of one unit only. */
const UNITS: Readonly<Record<string, string>> = {
  '%s': '_SECONDS',
  '%s_as_float': '_SECONDS',
  '%ms': '_MS',
  '%epoch_microseconds': '_MICROSECONDS',
}

/** The window of a manifest's cursor. Undefined (with a note) if a document cannot express it. */
export function windowOf(given: unknown, scene: Scene): Window | undefined {
  const part = partOf(given)
  if (part === undefined) return undefined
  scene.of(part)
  const type = typeOf(part)
  if (type !== 'DatetimeBasedCursor' && type !== 'IncrementingCountCursor') {
    scene.stop(
      `the cursor is a class of its own (${textOf(part.class_name) ?? type}); write what it does into \`incremental\``,
    )
    return undefined
  }
  const field = scene.value(part.cursor_field, 'the field of the cursor')
  if (field?.kind !== 'known' || textOf(field.value) === undefined) {
    if (field !== undefined) scene.stop('the field of the cursor is an option of the connector')
    return undefined
  }
  const name = String(field.value)
  const cursor = /^[A-Za-z_][\w.-]*$/.test(name) ? name : jsonPath([name])
  if (type === 'IncrementingCountCursor') {
    const start = scene.value(part.start_value ?? 0, 'the start', false)
    const initial = start?.kind === 'known' && Number.isFinite(Number(start.value)) ? Number(start.value) : undefined
    return {
      incremental: {
        cursor_path: cursor,
        ...(initial !== undefined && { initial_value: initial }),
        on_cursor_value_missing: 'include',
      },
      start: requestPlace(partOf(part.start_value_option), scene),
      end: undefined,
      unit: '',
    }
  }
  scene.hasWindow = true
  const sent = textOf(part.datetime_format)
  const kept = (Array.isArray(part.cursor_datetime_formats) ? part.cursor_datetime_formats : []).flatMap(
    form => textOf(form) ?? [],
  )
  const initial = startOf(part, kept[0] ?? sent, scene)
  const lag = lagOf(part.lookback_window, kept[0] ?? sent, scene)
  if (part.step !== undefined) {
    scene.open(
      `Airbyte asks in steps of ${String(part.step)}; the document asks once, from the start to today. Where the API refuses so much, ` +
        'DLT_INTERVAL_START and DLT_INTERVAL_END give the range of a run',
      'endpoint.incremental',
    )
  }
  return {
    incremental: {
      cursor_path: cursor,
      ...(initial !== undefined && { initial_value: initial }),
      ...(lag !== undefined && { lag }),
      on_cursor_value_missing: 'include',
    },
    start: requestPlace(partOf(part.start_time_option), scene),
    end: requestPlace(partOf(part.end_time_option), scene),
    unit: UNITS[kept[0] ?? sent ?? ''] ?? '',
  }
}

/** The one format in which all times are sent. */
export function sentFormat(part: Part, scene: Scene, isSentPlain: boolean): string | undefined {
  const formats = new Set(scene.formats)
  const own = textOf(part.datetime_format)
  if (isSentPlain && own !== undefined) formats.add(formatOf(own))
  const [first, ...others] = formats
  if (others.length > 0)
    scene.stop(`moments are sent in several forms: ${[...formats].join(' and ')}`, 'endpoint.incremental')
  if (first === undefined) return undefined
  const problem = formatProblem(first)
  if (problem === undefined) return first
  scene.stop(`moments are sent as ${first}, which Sluice cannot write`, 'endpoint.incremental')
  return undefined
}

function startOf(part: Part, form: string | undefined, scene: Scene): string | number | undefined {
  const given = partOf(part.start_datetime) ?? { datetime: part.start_datetime, $parameters: parametersOf(part) }
  if (typeOf(given) !== undefined && typeOf(given) !== 'MinMaxDatetime') {
    scene.open(
      `the start is computed by a class of its own (${textOf(given.class_name) ?? '?'}); without it everything is read`,
    )
    return undefined
  }
  const value = scene.of(given).value(given.datetime, 'the start', false)
  scene.of(part)
  const unit = UNITS[form ?? ''] ?? ''
  const isNumber = unit !== ''
  const fallback = (why: string): string => {
    const reference = `\${env.START_DATE${unit}}`
    scene.assume(`${why}; ${reference} says where the first run begins`, 'endpoint.incremental')
    return reference
  }
  if (value === undefined) return fallback('the start is computed')
  const of = unwrapped(value)
  if (of.kind === 'known') {
    if (of.value == null || of.value === '') return fallback('the start is an option that need not be set')
    const text = String(of.value)
    if (!isNumber) return text
    const time = Date.parse(text)
    if (/^\d+$/.test(text) || Number.isNaN(time)) return /^\d+$/.test(text) ? Number(text) : text
    if (form === '%ms') return time
    return form === '%epoch_microseconds' ? time * 1000 : time / 1000
  }
  if (of.kind === 'path') return fallback('Airbyte begins at a moment before now')
  try {
    const text = scene.text(of)
    if (text === undefined) return fallback('the start is not known')
    if (!isNumber) return text
    const reference = text.replace(/\}$/, `${unit}}`)
    scene.assume(`${reference} is a number as the cursor, counted since 1970`, 'endpoint.incremental')
    return reference
  } catch (error) {
    if (!(error instanceof Unsayable)) throw error
    return fallback('the start is computed')
  }
}

function unwrapped(value: Value): Value {
  return value.kind === 'time' ? unwrapped(value.of) : value
}

const SECONDS: Readonly<Record<string, number>> = { W: 604_800, D: 86_400, H: 3600, M: 60, S: 1 }

function lagOf(given: unknown, form: string | undefined, scene: Scene): number | undefined {
  if (given === undefined || given === null) return undefined
  const value = scene.value(given, 'how far to look back', false)
  if (value?.kind !== 'known') {
    if (value !== undefined)
      scene.open('how far to look back is an option of the connector; write it into `lag`', 'endpoint.incremental')
    return undefined
  }
  const seconds = secondsOf(String(value.value))
  if (seconds === undefined) {
    scene.open(`how far to look back is ${String(value.value)}; write it into \`lag\``, 'endpoint.incremental')
    return undefined
  }
  if (seconds === 0) return undefined
  return form !== undefined && !/%[HsMIT]|ms/.test(form) ? Math.ceil(seconds / 86_400) : seconds
}

/** Seconds of an ISO 8601 duration. A month has 31 days, a year 366. */
export function secondsOf(duration: string): number | undefined {
  const match = /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(
    duration,
  )
  if (match === null || duration === 'P') return undefined
  const [years, months, weeks, days, hours, minutes, seconds] = match.slice(1).map(part => Number(part ?? 0))
  const { W = 0, D = 0, H = 0, M = 0 } = SECONDS
  return (
    (years ?? 0) * 366 * D +
    (months ?? 0) * 31 * D +
    (weeks ?? 0) * W +
    (days ?? 0) * D +
    (hours ?? 0) * H +
    (minutes ?? 0) * M +
    (seconds ?? 0)
  )
}
