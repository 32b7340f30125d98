import { templateParents } from '../placeholders.js'
import type { RetryPolicy } from '../types.js'
import type { AuthReader } from './auth.js'
import type { ClientConfig, EndpointConfig } from './declaration.js'
import { checkPath } from './incremental.js'
import type { MergedResource } from './merge.js'
import type { BatchModel, EndpointModel, PaginatorModel, ResponseActionModel, Template } from './model.js'
import { paginatorOf } from './paginator.js'
import type { Problems } from './problems.js'
import { formatPath } from './propertyPath.js'
import { requestOf } from './request.js'
import { milliseconds, retryPolicy, statusRange } from './retry.js'
import type { TemplateReader } from './templates.js'

/** What endpoints fall back on. */
export interface EndpointContext {
  readonly client: ClientConfig
  readonly clientPaginator: PaginatorModel | undefined
  readonly retry: RetryPolicy
  readonly timeoutMs: number
  readonly auths: AuthReader
  readonly problems: Problems
}

export function endpointOf(merged: MergedResource, reader: TemplateReader, context: EndpointContext): EndpointModel {
  const { endpoint } = merged
  const { client, problems } = context
  const request = requestOf(merged, client, reader, problems)
  checkReachable(merged, request.url[0], client, problems)
  const singleEntity = isSingleEntity(endpoint.path)
  // Empty text: none, and as with dlt the records of a single entity are looked for as well.
  const selector = endpoint.data_selector ?? (singleEntity ? '$' : '')
  if (selector !== '') checkPath(selector, merged.where('endpoint', 'data_selector'), problems)
  return {
    path: formatPath([...merged.at, 'endpoint']),
    method: endpoint.method ?? 'GET',
    ...request,
    paginator: choosePaginator(merged, singleEntity, context),
    dataSelector: selector === '' ? undefined : selector,
    dataSelectorRequired: endpoint.data_selector_required ?? true,
    singleEntity,
    responseActions: responseActionsOf(merged, problems),
    auth:
      endpoint.auth === undefined
        ? context.auths.auth(client.auth, ['client', 'auth'])
        : context.auths.auth(endpoint.auth, merged.where('endpoint', 'auth')),
    retry: retryPolicy(endpoint.retry, context.retry),
    timeoutMs: milliseconds(endpoint.timeout) ?? context.timeoutMs,
    maxPages: endpoint.max_pages ?? undefined,
    maxRecords: endpoint.max_records ?? undefined,
    maxMs: milliseconds(endpoint.max_seconds),
    batch: batchOf(merged, request.url, problems),
    readAhead: endpoint.read_ahead ?? undefined,
  }
}

/**
 * Endpoint, then defaults (merged already), then one page for a single entity, then client, then detection. `auto` in
 * an endpoint means, as in dlt: not a single entity, otherwise as the client says.
 */
function choosePaginator(merged: MergedResource, singleEntity: boolean, context: EndpointContext): PaginatorModel {
  const written = merged.endpoint.paginator
  const own = paginatorOf(written, merged.where('endpoint', 'paginator'), context.problems)
  if (own !== undefined) return own
  if (singleEntity && written == null) {
    return {
      kind: 'declared',
      type: 'single_page',
      config: { type: 'single_page' },
      path: formatPath(merged.where('endpoint', 'path')),
    }
  }
  return context.clientPaginator ?? { kind: 'auto' }
}

/** Whether the last segment of a path holds a placeholder, so that the answer is one object rather than a list. */
export function isSingleEntity(path: string): boolean {
  const last = path.replace(/\/+$/, '').split('/').at(-1) ?? ''
  return /(?<!\{)\{[\w.-]+\}(?!\})/.test(last)
}

/** A request for several parents has one path, so the path can hold no value of theirs. */
function batchOf(merged: MergedResource, url: Template, problems: Problems): BatchModel | undefined {
  const { batch_size: size, batch_separator: separator } = merged.endpoint
  if (size == null || size === 1) return undefined
  if (templateParents(url).length > 0) {
    problems.add(
      merged.where('endpoint', 'path'),
      'must not hold a field of the parent with `batch_size`; put it into `params`, `json` or `data`',
    )
  }
  return { size, separator: separator ?? ',' }
}

function checkReachable(
  merged: MergedResource,
  start: EndpointModel['url'][number] | undefined,
  client: ClientConfig,
  problems: Problems,
): void {
  if (client.base_url !== '' || typeof start === 'object') return
  if (!/^https?:\/\//i.test(start ?? '')) {
    problems.add(merged.where('endpoint', 'path'), 'must be an absolute URL, as `client.base_url` is empty')
  }
}

function responseActionsOf(merged: MergedResource, problems: Problems): ResponseActionModel[] {
  const written: NonNullable<EndpointConfig['response_actions']> = merged.endpoint.response_actions ?? []
  return written.map((entry, position) => {
    const at = merged.where('endpoint', 'response_actions', position)
    if (typeof entry === 'function') return { action: [entry], path: formatPath(at) }
    const { status_code: status, content, action } = entry
    const names = typeof action === 'string'
    if (names && status == null && content == null)
      problems.add(at, 'needs `status_code` or `content`, else it would always apply')
    const range = status == null ? undefined : statusRange(status)
    if (range !== undefined && range[0] > range[1])
      problems.add([...at, 'status_code'], 'the range ends before it begins')
    return {
      statuses: range === undefined ? undefined : [range],
      content: content ?? undefined,
      action: names ? action : typeof action === 'function' ? [action] : action,
      path: formatPath(at),
    }
  })
}
