import type { AnswerCondition, RetryPolicy, WaitFrom } from '../../api.js'
import { pathsIn } from '../../http/answerCondition.js'
import { target } from '../../paginators/range.js'
import type {
  AdaptPageSizeConfig,
  AnswerConditionConfig,
  EndpointConfig,
  ResponseActionKeys,
  RetryConfig,
  WaitFromConfig,
} from '../declaration/configTypes.js'
import type { AdaptModel, PaginatorModel, ResponseActionModel } from '../model.js'
import { formatPath, type Problems, type PropertyPath } from '../problems.js'
import type { MergedResource } from './mergeResource.js'
import { checkPath } from './readIncremental.js'

/** Default: at most 3 retries, after up to 1, 2 and 4 seconds. */
export const defaultRetry: RetryPolicy = {
  attempts: 4,
  statuses: [429, 500, 502, 503, 504],
  onConnectionError: true,
  baseMs: 1_000,
  factor: 2,
  maxDelayMs: 300_000,
  maxWaitMs: 900_000,
  jitter: 'full',
}

/** A `retry` block, merged key by key over the policy it refines. */
export function retryPolicy(
  config: RetryConfig | null | undefined,
  base: RetryPolicy,
  at: PropertyPath,
  problems: Problems,
): RetryPolicy {
  if (config == null) return base
  const contains = config.body_contains ?? undefined
  return {
    attempts: config.attempts ?? base.attempts,
    statuses: config.statuses?.flatMap(pattern => statusesBetween(statusRange(pattern))) ?? base.statuses,
    onConnectionError: config.on_connection_error ?? base.onConnectionError,
    baseMs: milliseconds(config.base) ?? base.baseMs,
    factor: config.factor ?? base.factor,
    maxDelayMs: milliseconds(config.max_delay) ?? base.maxDelayMs,
    maxWaitMs: milliseconds(config.max_wait) ?? base.maxWaitMs,
    jitter: config.jitter ?? base.jitter,
    bodyContains: contains === undefined ? base.bodyContains : [contains].flat(),
    when:
      config.when?.map((condition, position) => conditionOf(condition, [...at, 'when', position], problems)) ??
      base.when,
    waitFrom: waitFromOf(config.wait_from, [...at, 'wait_from'], problems) ?? base.waitFrom,
  }
}

function statusesBetween([from, to]: readonly [number, number]): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)
}

export function milliseconds(seconds: number | null | undefined): number | undefined {
  return seconds == null ? undefined : Math.round(seconds * 1_000)
}

export function responseActionsOf(merged: MergedResource, problems: Problems): ResponseActionModel[] {
  const written: NonNullable<EndpointConfig['response_actions']> = merged.endpoint.response_actions ?? []
  return written.map((entry, position) => {
    const at = merged.where('endpoint', 'response_actions', position)
    if (typeof entry === 'function') return { action: [entry], path: formatPath(at) }
    const { action } = entry
    const condition = conditionOf(entry, at, problems)
    const names = typeof action === 'string'
    if (names && isEmpty(condition))
      problems.add(at, 'needs `status_code`, `content` or `json_path`, else it would always apply')
    checkKeysOfAction(entry, at, problems)
    if (action === 'reset_pagination' && merged.keys.primary_key == null) {
      problems.add([...at, 'action'], 'needs `primary_key` on the resource, so that no record comes twice')
    }
    for (const path of pathsIn(entry.message ?? '')) checkPath(path, [...at, 'message'], problems)
    return {
      ...condition,
      action: names ? action : typeof action === 'function' ? [action] : action,
      waitFrom: waitFromOf(entry.wait_from, [...at, 'wait_from'], problems),
      message: entry.message ?? undefined,
      provesEnd: entry.proves_end ?? undefined,
      path: formatPath(at),
    }
  })
}

/** The actions that a key belongs to. */
const ACTIONS_OF = { wait_from: ['retry'], message: ['fail'], proves_end: ['empty', 'stop'] } as const

function checkKeysOfAction(entry: ResponseActionKeys, at: PropertyPath, problems: Problems): void {
  for (const [key, actions] of Object.entries(ACTIONS_OF)) {
    if (entry[key as keyof typeof ACTIONS_OF] == null) continue
    if (typeof entry.action === 'string' && (actions as readonly string[]).includes(entry.action)) continue
    problems.add([...at, key], `needs ${actions.map(action => `\`action: ${action}\``).join(' or ')}`)
  }
}

/** Reads a condition on an answer. Reports keys that contradict each other. */
function conditionOf(
  { status_code: status, content, json_path: path, equals, in: listed, exists }: AnswerConditionConfig,
  at: PropertyPath,
  problems: Problems,
): AnswerCondition {
  const range = status == null ? undefined : statusRange(status)
  if (range !== undefined && range[0] > range[1])
    problems.add([...at, 'status_code'], 'the range ends before it begins')
  const tests = Object.entries({ equals, in: listed, exists }).filter(([, value]) => value != null)
  if (path == null && tests[0] !== undefined) problems.add([...at, tests[0][0]], 'needs `json_path`')
  if (tests.length > 1 && tests[1] !== undefined)
    problems.add(
      [...at, tests[1][0]],
      `cannot be combined with \`${tests[0]?.[0]}\`; give one of \`equals\`, \`in\`, \`exists\``,
    )
  if (path != null) checkPath(path, [...at, 'json_path'], problems)
  const wanted = listed ?? (equals == null ? undefined : [equals])
  const value =
    path == null ? undefined : wanted === undefined ? { path, exists: exists ?? true } : { path, in: wanted }
  return { statuses: range === undefined ? undefined : [range], content: content ?? undefined, value }
}

/** The key `adapt_page_size`. Reports where pages have no size that could change. */
export function adaptOf(merged: MergedResource, paginator: PaginatorModel, problems: Problems): AdaptModel | undefined {
  const { adapt_page_size: written, job, params, path: url } = merged.endpoint
  if (written == null) return undefined
  const at = merged.where('endpoint', 'adapt_page_size')
  const place = placeOf(written, paginator, at, problems)
  if (job != null) problems.add(at, 'does not work with `job`, whose result is a file')
  const isInUrl = place !== undefined && 'param' in place && (url ?? '').includes(`${place.param}=`)
  if (written.param != null && params?.[written.param] == null && !isInUrl)
    problems.add(
      [...at, 'param'],
      `is not in \`params\`; write the size there, as in \`params: { ${written.param}: 100 }\``,
    )
  if (place === undefined) return undefined
  const { inclusive, ties } = paginator.kind === 'declared' ? paginator.config : {}
  return {
    place,
    // One record would be the one by which the page before ended.
    min: Math.max(written.min ?? 1, inclusive === true || ties === true ? 2 : 1),
    statuses: (written.statuses ?? [413, 504]).flatMap(pattern => statusesBetween(statusRange(pattern))),
    when: (written.when ?? []).map((condition, index) => conditionOf(condition, [...at, 'when', index], problems)),
  }
}

/** Where the size of a page stands in a request. */
function placeOf(
  { param, body_path: bodyPath }: AdaptPageSizeConfig,
  paginator: PaginatorModel,
  at: PropertyPath,
  problems: Problems,
): AdaptModel['place'] | undefined {
  const type = paginator.kind === 'declared' ? paginator.type : paginator.kind
  if (paginator.kind !== 'declared' || type === 'single_page') {
    const found = type === 'custom' ? 'a paginator of your own' : `\`${type}\``
    problems.add(at, `does not work with ${found}; declare a paginator that has pages of a size`)
    return undefined
  }
  const { limit, limit_param: limitParam, limit_body_path: limitPath, maximum_page: maximum } = paginator.config
  if (type === 'page_number' && maximum != null)
    problems.add(at, 'does not work with `maximum_page`, which would be another page; use `max_records`')
  if (type === 'offset' || type === 'keyset') {
    if (param != null || bodyPath != null)
      problems.add(
        [...at, param == null ? 'body_path' : 'param'],
        `is not needed: \`${type}\` knows where its limit goes`,
      )
    if (limit === 0) problems.add(at, 'needs a `limit` of the paginator that is greater than 0')
    return target(limitParam as string | undefined, limitPath as string | undefined, 'limit')
  }
  if ((param == null) === (bodyPath == null)) {
    problems.add(at, 'needs one of `param` and `body_path`: where does the size of a page go?')
    return undefined
  }
  return target(param, bodyPath, '')
}

function isEmpty({ statuses, content, value }: AnswerCondition): boolean {
  return statuses === undefined && content === undefined && value === undefined
}

function waitFromOf(
  written: WaitFromConfig | null | undefined,
  at: PropertyPath,
  problems: Problems,
): WaitFrom | undefined {
  if (written == null) return undefined
  const { header, json_path: path, unit } = written
  if ((header == null) === (path == null)) problems.add(at, 'needs one of `header` and `json_path`')
  if (path != null) checkPath(path, [...at, 'json_path'], problems)
  return header == null
    ? { in: 'body', at: path ?? '', unit: unit ?? 'seconds' }
    : { in: 'header', at: header.toLowerCase(), unit: unit ?? 'seconds' }
}

/** Both ends are included: 404 is [404, 404], `5xx` is [500, 599], `500-503` is [500, 503]. */
function statusRange(pattern: number | string): readonly [from: number, to: number] {
  const text = String(pattern).toLowerCase()
  if (text.endsWith('xx')) return [Number(`${text[0]}00`), Number(`${text[0]}99`)]
  const [from = '', to = from] = text.split('-')
  return [Number(from), Number(to)]
}
