import type { ProcessingStep } from '../../model/source.js'
import { deletesRefusal } from '../../model/verdict.js'
import type { ContractMode, SchemaContract } from '../../schema/schemaTypes.js'
import type { RetryPolicy } from '../api.js'
import { includedName } from '../list/answer/includeParent.js'
import type { MaskModel } from '../mask/maskHash.js'
import { type ShapeFinding, shapeFindings } from './checkShape.js'
import type { ResourceConfig, RestApiConfig, SchemaContractConfig } from './declaration/configTypes.js'
import { restDocument } from './declaration/declaration.js'
import { withoutEmptyValues } from './emptyValues.js'
import type { FunctionResource, RecordsFunction, ResourceModel, RestModel, ShapeModel } from './model.js'
import { formatPath, type PlaceOf, Problems, type PropertyPath } from './problems.js'
import { AuthReader, clientOf } from './readClient.js'
import { emptyLookup, isPlain, type Lookup, resolveReferences } from './references.js'
import { inTopologicalOrder, parentsOf } from './resources/graph.js'
import { type MergedResource, mergeResource } from './resources/mergeResource.js'
import { withTokenSources } from './resources/readChanges.js'
import { type EndpointContext, endpointOf, paginatorOf } from './resources/readEndpoint.js'
import { expectationsOf } from './resources/readExpectations.js'
import { contractOf, hintsOf } from './resources/readHints.js'
import type { Scheduler } from './resources/readIncremental.js'
import { incrementalOf } from './resources/readIncremental.js'
import { checkMask, checkMaskedEndpoint, maskedChange, maskedField, maskOf } from './resources/readMask.js'
import { completeNestedOf } from './resources/readNested.js'
import { defaultRetry, retryPolicy } from './resources/readResponses.js'
import { checkShapedKeys, missingField, shapeOf } from './resources/readShape.js'
import { notJson, type ParentMention, TemplateReader } from './resources/templates.js'
import { isOwnProblem, wellFormedPart } from './wellFormedPart.js'

export interface ParseOptions {
  /** Where keys were written, for messages. */
  readonly place?: PlaceOf | undefined
  /** Default: finds nothing, so that references in the document are errors. */
  readonly lookup?: Lookup | undefined
  /** Name of the source. Default `rest_api`. */
  readonly name?: string | undefined
  readonly maxTableNesting?: number | undefined
  readonly rootKey?: boolean | undefined
  readonly schemaContract?: ContractMode | Partial<SchemaContract> | undefined
  /** The policy that `retry` blocks refine. Default: `defaultRetry`. */
  readonly retry?: RetryPolicy | undefined
  /** Default 60,000. */
  readonly timeoutMs?: number | undefined
  /** Default: none, and no cursor takes a window from one. */
  readonly scheduler?: Scheduler | undefined
}

/**
 * Checks and normalises a whole document. The document is not changed. The result shares only functions and objects
 * with methods with it. Throws one ConfigError with every problem found. What follows from a part of the wrong shape is not
 * told beside it.
 */
export function parseRestConfig(document: unknown, options: ParseOptions = {}): RestModel {
  const problems = new Problems(options.place)
  const lookup = options.lookup ?? emptyLookup
  const resolved = withoutEmptyValues(resolveReferences(document, lookup, problems))
  const findings = shapeFindings(restDocument, resolved)
  if (findings.length > 0) {
    for (const { path, message } of findings) problems.add(path, message)
    checkRest(resolved, findings, options, lookup, problems)
    problems.throwIfAny()
  }
  const model = normalise(resolved as RestApiConfig, options, lookup, problems)
  problems.throwIfAny()
  return deepFreeze(model)
}

/** Reports the problems of a document beside those of its shape. */
function checkRest(
  document: unknown,
  findings: readonly ShapeFinding[],
  options: ParseOptions,
  lookup: Lookup,
  problems: Problems,
): void {
  const part = wellFormedPart(document, findings)
  if (part === undefined || shapeFindings(restDocument, part).length > 0) return
  const others = new Problems(options.place)
  normalise(part as RestApiConfig, options, lookup, others)
  problems.addOthers(others, path => isOwnProblem(document, findings, path))
}

interface ChangedField {
  readonly field: string
  /** Its order counts, and not only whether it is another value. */
  readonly isOrdered: boolean
  readonly at: PropertyPath
}

interface Draft {
  readonly name: string
  readonly at: PropertyPath
  readonly mentions: readonly ParentMention[]
  /** Fields that are copied from the parent's record. */
  readonly copied: readonly (readonly [field: string, at: PropertyPath])[]
  /** Fields of the parent's record that tell a change. */
  readonly changedBy: readonly ChangedField[]
  readonly mask: MaskModel | undefined
  readonly shape: ShapeModel | undefined
  /** Whether the document holds its records. */
  readonly isWritten: boolean
  /** Where it says that each record of its parent is a partition. */
  readonly values: PropertyPath | undefined
  /** Keys that have no meaning without a parent. */
  readonly parentKeys: readonly PropertyPath[]
  build(parent: string | undefined): ResourceModel
}

function normalise(document: RestApiConfig, options: ParseOptions, lookup: Lookup, problems: Problems): RestModel {
  const client = document.client ?? {}
  const context: EndpointContext = {
    client,
    baseUrlAt: document.client == null ? ['client'] : ['client', 'base_url'],
    clientPaginator: paginatorOf(client.paginator, ['client', 'paginator'], problems),
    retry: retryPolicy(client.retry, options.retry ?? defaultRetry, ['client', 'retry'], problems),
    timeoutMs: options.timeoutMs ?? 60_000,
    auths: new AuthReader(lookup, problems),
    scheduler: options.scheduler,
    problems,
  }
  const clientModel = clientOf(client, problems)
  context.auths.auth(client.auth, ['client', 'auth'])
  const drafts = document.resources.map((entry, position) => draft(entry, position, document, context))
  checkNames(drafts, document, problems)
  const parents = parentsOf(drafts, problems)
  checkParentFields(drafts, parents, problems)
  for (const { name, parentKeys } of drafts) {
    if (parents.has(name)) continue
    for (const at of parentKeys) {
      problems.add(at, NO_PARENT)
    }
  }
  return {
    name: options.name ?? 'rest_api',
    client: clientModel,
    resources: inTopologicalOrder(drafts, parents).map(({ name, build }) => build(parents.get(name))),
    maxTableNesting: options.maxTableNesting,
    rootKey: options.rootKey,
    schemaContract: contractOf(options.schemaContract as SchemaContractConfig | undefined),
  }
}

/** Makes each function a separate step, with the place where it was written. */
function stepsOf({ keys, where }: MergedResource): ProcessingStep[] {
  return (keys.processing_steps ?? []).flatMap((step, index) => {
    const path = (key: string): string => formatPath(where('processing_steps', index, key))
    return [
      ...(step.filter ? [{ filter: step.filter, path: path('filter') }] : []),
      ...(step.map ? [{ map: step.map, path: path('map') }] : []),
      ...(step.yield_map ? [{ yield_map: step.yield_map, path: path('yield_map') }] : []),
    ]
  })
}

function draft(
  entry: string | ResourceConfig | RecordsFunction,
  position: number,
  document: RestApiConfig,
  context: EndpointContext,
): Draft {
  const { problems } = context
  const at = ['resources', position]
  const written: string | ResourceConfig = typeof entry === 'function' ? { name: entry.name, records: entry } : entry
  const merged = mergeResource(written, at, document.resource_defaults)
  const { keys } = merged
  const reader = new TemplateReader(problems, merged.endpoint.incremental != null)
  const cursor = incrementalOf(merged, context.scheduler, problems)
  const incremental = withTokenSources(cursor, merged, reader, context)
  const shape = shapeOf(merged, problems)
  const common = {
    name: merged.name,
    path: `resources[${position}]`,
    selected: keys.selected ?? true,
    hints: hintsOf(merged, problems),
    mask: maskOf(merged, problems),
    shape: shape?.model,
    steps: [...(shape?.steps([]) ?? []), ...stepsOf(merged)],
    incremental,
    deletes: deletesOf(merged, problems),
    maxDeleteShare: keys.max_delete_share ?? undefined,
    expect: expectationsOf(merged, problems),
  }
  checkMask(common, merged, problems)
  checkShapedKeys(common, merged, problems)
  const { records } = keys
  if (records != null) {
    if (typeof written !== 'string') checkNoEndpoint(written, at, problems)
    if (keys.deletes === 'with_parent') problems.add(merged.where('deletes'), NO_PARENT)
    if (keys.complete_nested != null) problems.add(merged.where('complete_nested'), 'needs an `endpoint`')
    const build = ownRecords(records, common, merged.where('records'), problems)
    return {
      name: merged.name,
      at,
      mentions: [],
      copied: [],
      changedBy: [],
      mask: common.mask,
      shape: common.shape,
      isWritten: typeof records !== 'function',
      values: undefined,
      parentKeys: [],
      build: () => build,
    }
  }
  const endpoint = endpointOf(merged, reader, context)
  for (const one of [endpoint, incremental?.token?.changes])
    if (one !== undefined) checkMaskedEndpoint(common.mask, one, merged, problems)
  const completeNested = completeNestedOf(merged, common.mask, document.resource_defaults, context)
  const isPerParent = incremental?.hint.isPerParent === true
  if (incremental?.token !== undefined && reader.mentions.length > 0 && !isPerParent) {
    const problem =
      'a sync token belongs to one list, and a resource with a parent has one for each of its records; add `per_parent: true`'
    problems.add(merged.where('endpoint', 'incremental'), problem)
  }
  const included = keys.include_from_parent ?? []
  const parentKeys = included.length === 0 ? [] : [merged.where('include_from_parent')]
  if (keys.deletes === 'with_parent') parentKeys.push(merged.where('deletes'))
  if (endpoint.parentChanged !== undefined) parentKeys.push(merged.where('endpoint', 'read_when'))
  if (endpoint.partition !== undefined && endpoint.partition.by !== 'pages')
    parentKeys.push(merged.where('endpoint', 'partition'))
  if (isPerParent) parentKeys.push(merged.where('endpoint', 'incremental', 'per_parent'))
  if (isPerParent && endpoint.batch !== undefined)
    problems.add(
      merged.where('endpoint', 'incremental', 'per_parent'),
      'cannot be combined with `batch_size`: one request for several records has one cursor',
    )
  if (endpoint.batch !== undefined) {
    parentKeys.push(merged.where('endpoint', 'batch_size'))
    if (included.length > 0) {
      problems.add(
        merged.where('include_from_parent'),
        'cannot be combined with `batch_size`: an answer belongs to several records of the parent',
      )
    }
  }
  return {
    name: merged.name,
    at,
    mentions: reader.mentions,
    copied: included.map((field, index) => [field, merged.where('include_from_parent', index)]),
    changedBy: (endpoint.parentChanged?.by ?? []).map(field => ({
      field,
      isOrdered: endpoint.parentChanged?.isOrdered === true,
      at: merged.where('endpoint', 'changed_by'),
    })),
    mask: common.mask,
    shape: common.shape,
    isWritten: false,
    values: endpoint.partition?.by === 'values' ? merged.where('endpoint', 'partition', 'by') : undefined,
    parentKeys,
    build: parent => ({
      ...common,
      steps: [...(shape?.steps(included.map(key => includedName(parent ?? '', key))) ?? []), ...stepsOf(merged)],
      kind: 'endpoint',
      parent,
      includeFromParent: included,
      sendsWindowStart: reader.hasStart || incremental?.startParam !== undefined,
      sendsWindowEnd: reader.hasEnd || incremental?.endParam !== undefined,
      endpoint,
      completeNested,
    }),
  }
}

const NO_PARENT = 'needs a parent: a placeholder `{resources.<resource>.<field>}` in the endpoint'

/** Reports `deletes` that cannot work. The key may be known only to the stored schema. */
function deletesOf({ name, keys, where }: MergedResource, problems: Problems): ResourceModel['deletes'] {
  if (keys.deletes == null) return undefined
  const written = keys.write_disposition ?? 'append'
  const { disposition, strategy } = typeof written === 'string' ? { disposition: written } : written
  const refusal = disposition === 'skip' ? undefined : deletesRefusal({ disposition, strategy: strategy ?? undefined })
  if (refusal !== undefined) problems.add(where('deletes'), `resource ${name}: ${refusal}`)
  return keys.deletes
}

/** With `records`, an endpoint may only hold the cursor, and only if the records come from a function. */
function checkNoEndpoint({ endpoint, records }: ResourceConfig, at: PropertyPath, problems: Problems): void {
  if (endpoint == null) return
  const isCursor = typeof endpoint === 'object' && Object.keys(endpoint).every(key => key === 'incremental')
  if (isCursor && typeof records === 'function') return
  const exception = typeof records === 'function' ? '; only `endpoint.incremental` may stand beside a function' : ''
  problems.add([...at, 'records'], `a resource has either \`endpoint\` or \`records\`${exception}`)
}

type OwnResource = Omit<FunctionResource, 'kind' | 'records'>

function ownRecords(
  records: NonNullable<ResourceConfig['records']>,
  common: OwnResource,
  at: PropertyPath,
  problems: Problems,
): ResourceModel {
  if (typeof records === 'function') return { ...common, kind: 'function', records }
  for (const [position, record] of records.entries()) checkJson(record, [...at, position], problems)
  return { ...common, incremental: undefined, kind: 'list', records }
}

/** Reports values that are not JSON. The shape above them is already checked. */
function checkJson(value: unknown, at: PropertyPath, problems: Problems): void {
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint') return
  if (typeof value === 'number' && Number.isFinite(value)) return
  if (Array.isArray(value)) {
    for (const [position, item] of value.entries()) checkJson(item, [...at, position], problems)
  } else if (isPlain(value)) {
    for (const [key, item] of Object.entries(value)) if (item !== undefined) checkJson(item, [...at, key], problems)
  } else problems.add(at, notJson(value))
}

/** Reports fields of parents that are not there, or not as the API knows them. */
function checkParentFields(drafts: readonly Draft[], parents: ReadonlyMap<string, string>, problems: Problems): void {
  const known = new Map(drafts.map(draft => [draft.name, draft]))
  const report = (problem: string | undefined, at: PropertyPath): void => {
    if (problem !== undefined) problems.add(at, problem)
  }
  for (const { name, mentions, copied, changedBy, values } of drafts) {
    const above = known.get(parents.get(name) ?? '')
    if (values !== undefined && above !== undefined && !above.isWritten)
      problems.add(
        values,
        `is values, and the records of ${above.name} are not written in the file; use \`{ by: parents, slices: 16 }\``,
      )
    for (const { parent, field, at } of mentions) {
      const from = known.get(parent)
      report(maskedField(from?.mask, from?.shape, field) ?? missingField(from?.shape, field), at)
    }
    const from = known.get(parents.get(name) ?? '')
    for (const [field, at] of copied)
      report(maskedField(from?.mask, from?.shape, field, true) ?? missingField(from?.shape, field), at)
    for (const { field, isOrdered, at } of changedBy)
      report(maskedChange(from?.mask, from?.shape, field, isOrdered) ?? missingField(from?.shape, field), at)
  }
}

function checkNames(drafts: readonly Draft[], document: RestApiConfig, problems: Problems): void {
  const first = new Map<string, number>()
  for (const [position, { name, at }] of drafts.entries()) {
    const entry = document.resources[position]
    const nameAt = typeof entry === 'object' ? [...at, 'name'] : at
    const earlier = first.get(name)
    if (earlier !== undefined) problems.add(nameAt, `there is a resource \`${name}\` already, resources[${earlier}]`)
    else if (name === '') problems.add(nameAt, 'a generator needs a name')
    else first.set(name, position)
  }
}

/** Freezes plain objects and lists. The user's own objects stay as they are. */
function deepFreeze<T>(value: T): T {
  if (Array.isArray(value)) for (const item of value) deepFreeze(item)
  else if (isPlain(value)) for (const item of Object.values(value)) deepFreeze(item)
  else return value
  return Object.freeze(value)
}
