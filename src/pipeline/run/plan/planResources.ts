import type { Destination } from '../../../model/destination.js'
import { ConfigError } from '../../../model/errors.js'
import type { DispositionHint, Resource, Source } from '../../../model/source.js'
import { deletesRefusal } from '../../../model/verdict.js'
import { conditionProblem, OPTION_STRATEGIES, SCOPE_PLACEHOLDERS } from '../../../schema/mergeConditions.js'
import type { Naming } from '../../../schema/naming.js'
import type { PartitionRange } from '../incremental/partitions.js'

/** A resource that takes part in a run, with the run's decisions about it. */
export interface PlannedResource {
  readonly resource: Resource
  /** Whether its own records are loaded, or only its children's. */
  readonly loaded: boolean
  readonly disposition: DispositionHint
  /** Only lists of these records of the parent are read. Absent: those of all. */
  readonly partition?: PartitionRange | undefined
  readonly children: readonly PlannedResource[]
}

/**
 * The trees of resources to read: those selected, and the parents that they need, which are not loaded. Other resources
 * take no part. Fails if a selection names no resource, or if the destination does not support what a resource needs.
 */
export function planResources(
  source: Source,
  destination: Destination,
  options: { readonly select?: readonly string[] | undefined; readonly disposition?: DispositionHint | undefined },
): readonly PlannedResource[] {
  const { select } = options
  for (const name of select ?? []) checkSelected(source, name)
  const isLoaded = (resource: Resource): boolean =>
    select === undefined ? resource.selected : select.includes(resource.name)
  const below = new Map<string, Resource[]>()
  for (const resource of source.resources) {
    if (resource.parent === undefined) continue
    const siblings = below.get(resource.parent)
    if (siblings === undefined) below.set(resource.parent, [resource])
    else siblings.push(resource)
  }
  const plan = (resource: Resource): PlannedResource | undefined => {
    const loaded = isLoaded(resource)
    const disposition = options.disposition ?? resource.hints.writeDisposition ?? { disposition: 'append' }
    const children = (below.get(resource.name) ?? []).flatMap(child => plan(child) ?? [])
    if (!loaded && children.length === 0) return undefined
    if (loaded) {
      refuseDeletes(source, destination, resource, disposition, options.disposition !== undefined)
      checkCapabilities(destination, resource, disposition)
      refuseMergeOptions(resource, disposition)
      if (options.disposition === undefined) refuseUnreadLists(source, resource, disposition)
      refuseUnknownLists(source, resource)
    }
    if (resource.parentChanged !== undefined) refuseWithoutIdentity(source, resource, 'endpoint.read_when')
    if (resource.partition !== undefined) refuseWithoutIdentity(source, resource, 'endpoint.partition')
    if (resource.incremental?.isPerParent === true)
      refuseWithoutIdentity(source, resource, 'endpoint.incremental.per_parent')
    return { resource, loaded: loaded && disposition.disposition !== 'skip', disposition, children }
  }
  return source.resources.filter(resource => resource.parent === undefined).flatMap(resource => plan(resource) ?? [])
}

/** Every resource of the trees, parents first. */
export function flattenPlan(roots: readonly PlannedResource[]): readonly PlannedResource[] {
  return roots.flatMap(root => [root, ...flattenPlan(root.children)])
}

/**
 * The loaded resources, by the table that their document names. The first one owns the table and gives its hints. dlt takes
 * the first whose records arrive, which here could differ from run to run.
 */
export function resourcesByTable(
  roots: readonly PlannedResource[],
  naming: Naming,
): ReadonlyMap<string, readonly PlannedResource[]> {
  const tables = new Map<string, PlannedResource[]>()
  for (const planned of flattenPlan(roots)) {
    const { tableName = planned.resource.name } = planned.resource.hints
    if (!planned.loaded || typeof tableName === 'function') continue
    const table = naming.tablesPath(tableName)
    const sharing = tables.get(table)
    if (sharing === undefined) tables.set(table, [planned])
    else sharing.push(planned)
  }
  return tables
}

/**
 * The trees with the dispositions that take effect. Of resources that fill one table, that of the first one holds: where
 * it replaces the rows, the others are read from the beginning too, and their cursors do not leave out rows that are gone.
 */
export function withTableDispositions(roots: readonly PlannedResource[], naming: Naming): readonly PlannedResource[] {
  const effective = new Map<Resource, DispositionHint>()
  for (const [owner, ...others] of resourcesByTable(roots, naming).values()) {
    if (owner === undefined) continue
    for (const { resource } of others) effective.set(resource, owner.disposition)
  }
  const changed = (planned: PlannedResource): PlannedResource => ({
    ...planned,
    disposition: effective.get(planned.resource) ?? planned.disposition,
    children: planned.children.map(changed),
  })
  return effective.size === 0 ? roots : roots.map(changed)
}

/** Fails if a resource appends or merges its rows into a table that the other one replaces, or the reverse. */
export function refuseOtherReplace(table: string, owner: PlannedResource, other: PlannedResource): void {
  const [first, second] = [owner.disposition.disposition, other.disposition.disposition]
  if ((first === 'replace') === (second === 'replace')) return
  const message = `${owner.resource.name} and ${other.resource.name} fill one table, ${table}, which goes by the first: \`${first}\`, not \`${second}\`; give both the same \`write_disposition\`, or give one another table_name`
  throw refused(other.resource, 'write_disposition', message)
}

function checkSelected(source: Source, name: string): void {
  if (source.resources.some(resource => resource.name === name)) return
  const known = source.resources.map(resource => resource.name).join(', ')
  throw new ConfigError([
    { place: { path: 'select' }, message: `there is no resource "${name}"; the source has ${known || 'none'}` },
  ])
}

function checkCapabilities(
  destination: Destination,
  resource: Resource,
  { disposition, strategy }: DispositionHint,
): void {
  const { dispositions, mergeStrategies, mergeRefusal, tableFormats } = destination.capabilities
  const { tableFormat } = resource.hints
  let refused: readonly [key: string, why: string]
  if (!dispositions.includes(disposition)) {
    const because = disposition === 'merge' && mergeRefusal ? `: ${mergeRefusal}` : ''
    refused = ['write_disposition', `write_disposition "${disposition}" is not possible here${because}`]
  } else if (strategy !== undefined && !mergeStrategies.includes(strategy)) {
    const possible = mergeStrategies.join(' or ')
    refused = ['write_disposition', `merge strategy "${strategy}" is not possible here; use ${possible}`]
  } else if (tableFormat !== undefined && tableFormats?.includes(tableFormat) === false) {
    refused = ['table_format', `table_format "${tableFormat}" cannot be written here; leave it out, or load with dlt`]
  } else return
  const [key, why] = refused
  const message = `${destination.name}: ${resource.name}: ${why}`
  throw new ConfigError([{ place: { path: `${resource.path}.${key}` }, message }])
}

/** Fails if an option of a merge cannot work. A document was checked before; other sources and options of a run were not. */
function refuseMergeOptions(resource: Resource, { disposition, strategy, ...given }: DispositionHint): void {
  const options = [
    ['source_filter', given.sourceFilter, {}],
    ['destination_scope', given.destinationScope, SCOPE_PLACEHOLDERS],
    ['skip_unchanged_rows', given.skipUnchangedRows, {}],
  ] as const
  for (const [option, value, placeholders] of options) {
    if (!value) continue
    const takers: readonly string[] = OPTION_STRATEGIES[option]
    const key = `write_disposition.${option}`
    if (disposition !== 'merge' || strategy === undefined || !takers.includes(strategy))
      throw refused(resource, key, `needs a merge by ${takers.join(', ')}; name one as the strategy, or leave it out`)
    const problem = typeof value === 'string' ? conditionProblem(value, placeholders) : undefined
    if (problem !== undefined) throw refused(resource, key, problem)
  }
}

/** Fails if a resource needs to know its parent's records again, and they have no key. */
function refuseWithoutIdentity(source: Source, resource: Resource, key: string): void {
  const parent = parentOf(source, resource)
  if (parent === undefined || (parent.hints.primaryKey ?? []).length > 0) return
  throw refused(
    resource,
    key,
    `needs to know the records of ${parent.name} again; give ${parent.name} a \`primary_key\``,
  )
}

/** Fails if the disposition would take rows away whose lists are not read. */
function refuseUnreadLists(
  source: Source,
  resource: Resource,
  { disposition, strategy, destinationScope }: DispositionHint,
): void {
  let gate: Resource | undefined = resource
  while (gate !== undefined && gate.parentChanged === undefined) gate = parentOf(source, gate)
  if (gate === undefined || disposition === 'append' || disposition === 'skip') return
  const isRetired = strategy === 'scd2' && (resource.hints.mergeKey ?? []).length === 0
  let problem: string
  if (disposition === 'replace') problem = 'cannot be `replace`'
  else if (isRetired) problem = 'cannot be scd2 without a `merge_key` that names the parent'
  else if (destinationScope != null) problem = 'cannot have a `destination_scope`'
  else return
  const whose = gate === resource ? 'its lists are' : `the lists of ${gate.name} above it are`
  const why = `${whose} read only where the parent changed (\`read_when\`), and rows of the others would go; use \`merge\`, or leave \`read_when\` out`
  throw refused(resource, 'write_disposition', `${problem}: ${why}`)
}

/**
 * Fails if rows may be in lists of several parents, go with one of them, and nobody remembers which parents there were.
 */
function refuseUnknownLists(source: Source, resource: Resource): void {
  if (resource.deletes?.mode !== 'with_parent' || keyNamesParent(source, resource)) return
  let gate: Resource | undefined = resource
  while (gate !== undefined && gate.parentChanged?.isOrdered !== true) gate = parentOf(source, gate)
  if (gate === undefined) return
  const columns = resource.deletes.keys.map(key => `\`${key.child}\``).join(', ')
  const why = `with \`read_when: parent_newer\` of ${gate.name} nothing tells whether lists that were not read have the row too`
  throw refused(
    resource,
    'deletes',
    `cannot be with_parent: ${why}; add ${columns} to the \`primary_key\`, or use \`parent_changed\``,
  )
}

/** Fails if `deletes` cannot work. `isForRun`: a run that chooses to replace all rows leaves none to delete. */
function refuseDeletes(
  source: Source,
  destination: Destination,
  resource: Resource,
  disposition: DispositionHint,
  isForRun: boolean,
): void {
  if (resource.deletes === undefined || disposition.disposition === 'skip') return
  if (isForRun && disposition.disposition === 'replace') return
  const refusal =
    destination.capabilities.mergeStrategies.length === 0
      ? `cannot work with ${destination.name}, whose rows are never changed; leave it out, or load into a database`
      : deletesRefusal(disposition)
  if (refusal !== undefined) throw refused(resource, 'deletes', refusal)
  refuseOrphans(source, resource)
}

/** Fails if rows cannot be deleted with their parents': no column names the parent's row, or it is never deleted. */
function refuseOrphans(source: Source, resource: Resource): void {
  if (resource.deletes?.mode !== 'with_parent') return
  const parent = parentOf(source, resource)
  if (parent === undefined) throw refused(resource, 'deletes', 'is with_parent, but the resource has no parent')
  const { primaryKey = [], tableName } = parent.hints
  const named = new Set(resource.deletes.keys.map(key => key.parent))
  const missing = primaryKey.filter(key => !named.has(key))
  if (primaryKey.length === 0)
    throw refused(resource, 'deletes', `is with_parent, but its parent ${parent.name} has no \`primary_key\`; add one`)
  if (missing.length > 0)
    throw refused(
      resource,
      'deletes',
      `is with_parent, which needs the primary key of ${parent.name} in its rows: add ${missing.join(', ')} to \`include_from_parent\``,
    )
  if (typeof tableName === 'function')
    throw refused(resource, 'deletes', `is with_parent, but a function names the tables of its parent ${parent.name}`)
  // If the parent is deleted with its own parent, that parent's error gives the reason.
  if (parent.deletes?.mode !== 'with_parent' && deletionOf(source, resource) === undefined)
    throw refused(
      resource,
      'deletes',
      `is with_parent, but ${parent.name} takes no row away that its listing lacks; give ${parent.name} \`deletes\` too, or \`write_disposition: replace\``,
    )
}

/** How a resource deletes rows: `soft` or `hard`. With `with_parent` it deletes as its parent does. */
export function deletionOf(source: Source, resource: Resource): 'soft' | 'hard' | undefined {
  const { deletes } = resource
  if (deletes?.mode !== 'with_parent') return deletes?.mode
  const above = parentOf(source, resource)
  if (above === undefined) return undefined
  return above.hints.writeDisposition?.disposition === 'replace' ? 'hard' : deletionOf(source, above)
}

/**
 * Whether the primary key of a resource that goes `with_parent` names the record of the parent. If it does not, a row may
 * be in the lists of several parents, although it names the last of them only.
 */
export function keyNamesParent(source: Source, resource: Resource): boolean {
  const { deletes, hints } = resource
  const identity = parentOf(source, resource)?.hints.primaryKey ?? []
  const keys = deletes?.mode === 'with_parent' ? deletes.keys : []
  return keys.filter(key => identity.includes(key.parent)).every(key => hints.primaryKey?.includes(key.child) === true)
}

export function parentOf({ resources }: Source, { parent }: Resource): Resource | undefined {
  return parent === undefined ? undefined : resources.find(({ name }) => name === parent)
}

/** The error for a setting that a resource cannot have. `key` is the key of the document to change. */
export function refused(resource: Resource, key: string, message: string): ConfigError {
  const path = `${resource.path}.${key}`
  return new ConfigError([{ place: { path }, message: `resource ${resource.name}: ${message}` }])
}

/** Whether rows that arrive again replace existing ones. */
export function isMergedByKey({ resource: { hints }, disposition }: PlannedResource): boolean {
  const keys = [...(hints.primaryKey ?? []), ...(hints.mergeKey ?? [])]
  return disposition.disposition === 'merge' && keys.length > 0
}

/** Whether rows of the resource, or of one below it, come twice if its records do. */
export function appendsAny(planned: PlannedResource): boolean {
  return (planned.loaded && !isMergedByKey(planned)) || planned.children.some(appendsAny)
}
