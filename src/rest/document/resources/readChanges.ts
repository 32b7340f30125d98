import type { EndpointConfig, IncrementalConfig } from '../declaration/configTypes.js'
import type { EndpointModel, IncrementalModel, InitialTokenModel } from '../model.js'
import { formatPath, type Problems, type PropertyPath } from '../problems.js'
import { type MergedResource, withEndpoint } from './mergeResource.js'
import { type EndpointContext, endpointOf } from './readEndpoint.js'
import { checkPath, isIncrementalParam } from './readIncremental.js'
import { TemplateReader } from './templates.js'

/** The cursor with what else is asked because of its sync token: the first token, and what changed since a token. */
export function withTokenSources(
  incremental: IncrementalModel | undefined,
  merged: MergedResource,
  reader: TemplateReader,
  context: EndpointContext,
): IncrementalModel | undefined {
  const { incremental: config } = merged.endpoint
  if (incremental?.token === undefined || config == null) return incremental
  const initial = initialTokenOf(config, merged, reader, context)
  const changes = changesOf(config, merged, reader, context)
  return { ...incremental, token: { ...incremental.token, initial, changes } }
}

/** Keys of an endpoint that hold for its list alone. */
const OF_THE_LIST = ['incremental', 'job', 'read_when', 'changed_by', 'partition'] as const

function changesOf(
  { changes }: IncrementalConfig,
  merged: MergedResource,
  reader: TemplateReader,
  context: EndpointContext,
): EndpointModel | undefined {
  if (changes == null) return undefined
  const at = merged.where('endpoint', 'incremental', 'changes')
  refuseCursors(changes, at, context.problems)
  const own = withEndpoint(without(merged, OF_THE_LIST), changes, at)
  return { ...endpointOf(own, reader, context), path: formatPath(at) }
}

function initialTokenOf(
  config: IncrementalConfig,
  merged: MergedResource,
  reader: TemplateReader,
  context: EndpointContext,
): InitialTokenModel | undefined {
  if (config.initial_token == null) return undefined
  const at = merged.where('endpoint', 'incremental', 'initial_token')
  const { token_path: path, ...request } = config.initial_token
  const tokenPath = path ?? config.token_path ?? config.next_url_path ?? ''
  if (path != null) checkPath(path, [...at, 'token_path'], context.problems)
  const { auth, headers, retry, timeout, on_null } = merged.endpoint
  const bare: MergedResource = { ...merged, endpoint: { auth, headers, retry, timeout, on_null, path: request.path } }
  // Nothing of the cursor is known yet.
  const templates = new TemplateReader(context.problems, false)
  const endpoint = endpointOf(withEndpoint(bare, { ...request, paginator: 'single_page' }, at), templates, context)
  for (const { parent, field, at: place } of templates.mentions) reader.mention(parent, field, place)
  return { endpoint: { ...endpoint, path: formatPath(at) }, tokenPath }
}

function without(merged: MergedResource, keys: readonly (keyof EndpointConfig)[]): MergedResource {
  return { ...merged, endpoint: { ...merged.endpoint, ...Object.fromEntries(keys.map(key => [key, undefined])) } }
}

function refuseCursors({ params }: EndpointConfig, at: PropertyPath, problems: Problems): void {
  for (const [name, value] of Object.entries(params ?? {}))
    if (isIncrementalParam(value))
      problems.add([...at, 'params', name], 'an endpoint has one incremental cursor, here a sync token')
}
