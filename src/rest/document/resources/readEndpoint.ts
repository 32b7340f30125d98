import type { Paginator, RetryPolicy } from '../../api.js'
import { paginatorKinds } from '../../paginators/kinds.js'
import { templateParents } from '../../request/placeholders.js'
import { checkShape } from '../checkShape.js'
import type { ClientConfig, PaginatorConfig } from '../declaration/configTypes.js'
import type { BatchModel, EndpointModel, PaginatorModel, Template } from '../model.js'
import { formatPath, type Problems, type PropertyPath } from '../problems.js'
import type { AuthReader } from '../readClient.js'
import type { MergedResource } from './mergeResource.js'
import type { Scheduler } from './readIncremental.js'
import { checkPath } from './readIncremental.js'
import { jobOf } from './readJob.js'
import { readingOf, relayPaginator, relaySelector, requestOf } from './readRequest.js'
import { adaptOf, milliseconds, responseActionsOf, retryPolicy } from './readResponses.js'
import type { TemplateReader } from './templates.js'

/** Default values for endpoints. */
export interface EndpointContext {
  readonly client: ClientConfig
  /** The key to write where a base URL is missing. */
  readonly baseUrlAt: PropertyPath
  readonly clientPaginator: PaginatorModel | undefined
  readonly retry: RetryPolicy
  readonly timeoutMs: number
  readonly auths: AuthReader
  readonly scheduler: Scheduler | undefined
  readonly problems: Problems
}

export function endpointOf(merged: MergedResource, reader: TemplateReader, context: EndpointContext): EndpointModel {
  const { endpoint } = merged
  const { client, baseUrlAt, problems } = context
  const request = requestOf(merged, client, reader, problems)
  checkReachable(merged, request.url[0], client.base_url, baseUrlAt, problems)
  const singleEntity = isSingleEntity(endpoint.path)
  // Empty text means no selector: as in dlt, the records are then detected, even for a single entity.
  const relay = isBehindConnection(merged, 'data_selector') ? relaySelector(endpoint) : undefined
  const selector = relay ?? endpoint.data_selector ?? (singleEntity ? '$' : '')
  if (selector !== '') checkPath(selector, merged.where('endpoint', 'data_selector'), problems)
  const paginator = choosePaginator(merged, singleEntity, context)
  return {
    path: formatPath([...merged.at, 'endpoint']),
    method: endpoint.method ?? (endpoint.graphql == null ? 'GET' : 'POST'),
    ...request,
    paginator,
    dataSelector: selector === '' ? undefined : selector,
    isGraphql: endpoint.graphql != null,
    isConnection: endpoint.graphql?.connection != null,
    dataSelectorRequired: endpoint.data_selector_required ?? true,
    singleEntity,
    reading: readingOf(merged, problems),
    job: jobOf(merged, problems),
    responseActions: responseActionsOf(merged, problems),
    auth:
      endpoint.auth === undefined
        ? context.auths.auth(client.auth, ['client', 'auth'])
        : context.auths.auth(endpoint.auth, merged.where('endpoint', 'auth')),
    retry: retryPolicy(endpoint.retry, context.retry, merged.where('endpoint', 'retry'), problems),
    timeoutMs: milliseconds(endpoint.timeout) ?? context.timeoutMs,
    maxPages: endpoint.max_pages ?? undefined,
    maxRecords: endpoint.max_records ?? undefined,
    maxMs: milliseconds(endpoint.max_seconds),
    batch: batchOf(merged, request.url, problems),
    parentChanged: parentChangedOf(merged, problems),
    partition: partitionOf(merged, problems),
    onNull: endpoint.on_null ?? undefined,
    readAhead: endpoint.read_ahead ?? undefined,
    adapt: adaptOf(merged, paginator, problems),
  }
}

/**
 * The order is: endpoint, defaults (already merged), one page for a single entity, client, detection. As in dlt, `auto`
 * in an endpoint means: not a single entity, otherwise the client's choice.
 */
function choosePaginator(merged: MergedResource, singleEntity: boolean, context: EndpointContext): PaginatorModel {
  const written = merged.endpoint.paginator
  // A connection of the resource itself counts for more than the paginator of the defaults.
  const relay = isBehindConnection(merged, 'paginator') ? relayPaginator(merged.endpoint) : undefined
  const place = merged.where('endpoint', relay === undefined ? 'paginator' : 'graphql')
  const own = paginatorOf(relay ?? written, place, context.problems)
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

/** Whether a key of the endpoint is not written, or only in the defaults while the resource has `graphql` of its own. */
function isBehindConnection({ endpoint, where }: MergedResource, key: 'paginator' | 'data_selector'): boolean {
  const isDefault = (name: string): boolean => where('endpoint', name)[0] === 'resource_defaults'
  return endpoint[key] == null || (isDefault(key) && !isDefault('graphql'))
}

/** Whether the last path segment holds a placeholder, so that the answer is one object and not a list. */
function isSingleEntity(path: string): boolean {
  const last = path.replace(/\/+$/, '').split('/').at(-1) ?? ''
  return /(?<!\{)\{[\w.-]+\}(?!\})/.test(last)
}

/** A request for several parents has one path, so the path cannot hold values of the parents. */
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

function parentChangedOf({ endpoint, where }: MergedResource, problems: Problems): EndpointModel['parentChanged'] {
  const { read_when: when, changed_by: by } = endpoint
  if (when == null || when === 'always') {
    if (by != null)
      problems.add(where('endpoint', 'changed_by'), 'needs `read_when: parent_changed`, or `parent_newer`')
    return undefined
  }
  const paths = by == null ? undefined : [by].flat()
  for (const path of paths ?? []) checkPath(path, where('endpoint', 'changed_by'), problems)
  if (when === 'parent_changed') return { by: paths }
  if (paths?.length !== 1)
    problems.add(
      where('endpoint', 'read_when'),
      'is `parent_newer`, which needs one field in `changed_by`, such as `updated_at`',
    )
  return { by: paths, isOrdered: true }
}

function partitionOf({ endpoint, where }: MergedResource, problems: Problems): EndpointModel['partition'] {
  const { partition } = endpoint
  if (partition == null) return undefined
  const at = where('endpoint', 'partition')
  if (endpoint.incremental != null)
    problems.add(at, 'cannot be combined with `incremental`, whose windows cut the list; leave one out')
  const when = endpoint.read_when ?? 'always'
  if (when !== 'always')
    problems.add(at, `cannot be combined with \`read_when: ${when}\`: a partition is read as a whole; leave one out`)
  const path = formatPath(at)
  // The shape is checked: slices are there with parents, and pages with pages.
  switch (partition.by) {
    case 'values':
      return { by: partition.by, path }
    case 'parents':
      return { by: partition.by, slices: partition.slices ?? 1, path }
    case 'pages':
      return { by: partition.by, pages: partition.pages ?? 1, path }
  }
}

function checkReachable(
  merged: MergedResource,
  start: EndpointModel['url'][number] | undefined,
  baseUrl: string | null | undefined,
  baseUrlAt: PropertyPath,
  problems: Problems,
): void {
  const isAbsolute = typeof start === 'object' || /^https?:\/\//i.test(start ?? '')
  if (isAbsolute || problems.has(['client', 'base_url'])) return
  if (baseUrl === '')
    problems.add(merged.where('endpoint', 'path'), 'must be an absolute URL, as `client.base_url` is empty')
  else if (baseUrl == null)
    problems.add(baseUrlAt, `is missing: the path of resource ${merged.name} is relative to \`client.base_url\``)
}

/** Undefined if none is configured. `auto` and null leave the choice to the next in line. */
export function paginatorOf(
  written: PaginatorConfig | null | undefined,
  at: PropertyPath,
  problems: Problems,
): PaginatorModel | undefined {
  if (written == null || written === 'auto') return undefined
  const path = formatPath(at)
  if (typeof (written as Paginator).next === 'function') {
    return { kind: 'custom', paginator: written as Paginator, path }
  }
  const config = typeof written === 'string' ? { type: written } : (written as Exclude<typeof written, Paginator>)
  if (config.type === 'auto') return undefined
  const kind = paginatorKinds.find(({ type, aliases }) => type === config.type || aliases.includes(String(config.type)))
  if (kind === undefined || problems.has(at)) return undefined
  const checked = kind.schema.safeParse(config)
  if (!checked.success) {
    checkShape(kind.schema, config, at, problems)
    return undefined
  }
  return { kind: 'declared', type: kind.type, config: checked.data, path }
}
