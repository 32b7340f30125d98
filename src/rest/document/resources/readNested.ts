import { compilePath } from '../../../json/path.js'
import { type MaskModel, maskBelow } from '../../mask/maskHash.js'
import { hides, meets } from '../../mask/maskRules.js'
import type { CompleteNestedConfig, ResourceDefaultsConfig } from '../declaration/configTypes.js'
import type { EndpointResource, NestedListModel } from '../model.js'
import { formatPath, type Problems, type PropertyPath } from '../problems.js'
import { type MergedResource, mergeResource } from './mergeResource.js'
import { type EndpointContext, endpointOf } from './readEndpoint.js'
import { checkPath } from './readIncremental.js'
import { checkMaskedEndpoint, maskedField } from './readMask.js'
import { decisionAt } from './readShape.js'
import { TemplateReader } from './templates.js'

/** The lists inside a resource's records that are read to their end, checked. */
export function completeNestedOf(
  merged: MergedResource,
  mask: MaskModel | undefined,
  defaults: ResourceDefaultsConfig | null | undefined,
  context: EndpointContext,
): readonly NestedListModel[] {
  const { problems } = context
  return Object.entries(merged.keys.complete_nested ?? {}).flatMap(([text, written]): NestedListModel[] => {
    const at = merged.where('complete_nested', text)
    const names = namesOf(text)
    if (names === undefined) {
      problems.add(at, 'is not a path of names to a list in the record, as `labels` or `fields.comment.comments`')
      return []
    }
    const { when, has_more_path: more, total_path: total, append } = written
    if (when == null && more == null && total == null)
      problems.add(at, 'does not say which records have more: give `when`, `has_more_path` or `total_path`')
    for (const [key, path] of [
      ['has_more_path', more],
      ['total_path', total],
    ] as const)
      if (path != null) checkTold(path, mask, [...at, key], problems)
    const expression = when == null ? undefined : decisionAt(when, [...at, 'when'], problems)
    const whole = mask?.rules.find(rule => hides(rule, names))
    if (whole !== undefined) problems.add(at, `is masked by ${whole.path}; leave one of them out`)
    const masks = { record: mask, element: maskBelow(mask, names) }
    const resource = listResource(merged, written.endpoint, at, masks, defaults, context)
    return [
      {
        path: formatPath(at),
        names,
        when: when ?? undefined,
        decides: expression && (record => expression.decides(record)),
        hasMorePath: more ?? undefined,
        totalPath: total ?? undefined,
        append: append ?? false,
        resource,
      },
    ]
  })
}

type Written = CompleteNestedConfig

/** The list of one record, as if it were a child of the resource. It keeps the name of the resource. */
function listResource(
  { name }: MergedResource,
  endpoint: Written['endpoint'],
  at: PropertyPath,
  masks: { readonly record: MaskModel | undefined; readonly element: MaskModel | undefined },
  defaults: ResourceDefaultsConfig | null | undefined,
  context: EndpointContext,
): EndpointResource {
  const { problems } = context
  checkKeys(endpoint, at, problems)
  const merged = mergeResource({ name, endpoint }, at, { endpoint: shared(defaults?.endpoint) })
  const reader = new TemplateReader(problems, false)
  const model = endpointOf(merged, reader, context)
  checkMaskedEndpoint(masks.element, model, merged, problems)
  const where = merged.where('endpoint', 'path')
  if (reader.mentions.length === 0)
    problems.add(where, `must name a field of the record, as in \`{resources.${name}.id}\`: it is asked for one record`)
  for (const { parent, field, at: place } of reader.mentions) {
    const masked = maskedField(masks.record, undefined, field)
    if (parent !== name)
      problems.add(place, `is asked for a record of \`${name}\`: write \`{resources.${name}.<field>}\``)
    else if (masked !== undefined) problems.add(place, masked)
  }
  return {
    kind: 'endpoint',
    name,
    path: formatPath(at),
    selected: true,
    hints: {},
    mask: masks.element,
    steps: [],
    parent: name,
    includeFromParent: [],
    sendsWindowStart: false,
    sendsWindowEnd: false,
    endpoint: model,
    completeNested: [],
  }
}

/** Keys of an endpoint that have no meaning for the list of one record. */
const OF_RESOURCES = [
  'incremental',
  'job',
  'batch_size',
  'batch_separator',
  'read_when',
  'changed_by',
  'partition',
] as const

/** The defaults of endpoints that hold for the list of one record, too. */
function shared(defaults: ResourceDefaultsConfig['endpoint']): ResourceDefaultsConfig['endpoint'] {
  return { ...defaults, ...Object.fromEntries(OF_RESOURCES.map(key => [key, undefined])) }
}

function checkKeys(endpoint: Written['endpoint'], at: PropertyPath, problems: Problems): void {
  if (typeof endpoint === 'string') return
  if (endpoint.path == null) problems.add([...at, 'endpoint'], 'needs a `path`')
  for (const key of OF_RESOURCES)
    if (endpoint[key] != null) problems.add([...at, 'endpoint', key], 'has no meaning for the list of one record')
}

function checkTold(path: string, mask: MaskModel | undefined, at: PropertyPath, problems: Problems): void {
  checkPath(path, at, problems)
  const rule = mask?.rules.find(one => meets(one, path))
  if (rule !== undefined) problems.add(at, `\`${path}\` is masked by ${rule.path}`)
}

function namesOf(text: string): readonly string[] | undefined {
  try {
    const steps = compilePath(text).steps
    const names = steps?.filter(step => typeof step === 'string')
    return names === undefined || names.length === 0 || names.length < (steps?.length ?? 0) ? undefined : names
  } catch {
    return undefined
  }
}
