import type { Destination } from '../../../model/destination.js'
import { SchemaError } from '../../../model/errors.js'
import type { RunEvent } from '../../../model/events.js'
import type { Resource, TableHints } from '../../../model/source.js'
import { deletesRefusal } from '../../../model/verdict.js'
import type { Naming } from '../../../schema/naming.js'
import { needsPrimaryKey, type ReadonlySchema, type ReadonlyTable } from '../../../schema/schemaTypes.js'
import { flattenPlan, type PlannedResource, refused, refuseOtherReplace, resourcesByTable } from './planResources.js'
import { DEFAULT_MAX_DELETE_SHARE } from './tablePlans.js'

/** Fails with a ConfigError if rows are to be merged or deleted by a primary key that is not declared. */
export function refuseWithoutKeys(roots: readonly PlannedResource[], schema: ReadonlySchema, naming: Naming): void {
  for (const [name, [owner]] of resourcesByTable(roots, naming)) {
    if (owner !== undefined) refuseWithoutKey(owner, schema.tables.get(name))
  }
  for (const planned of flattenPlan(roots)) {
    const { resource, loaded } = planned
    if (!loaded) continue
    if (typeof resource.hints.tableName === 'function') refuseWithoutKey(planned, undefined)
    for (const [path, hints] of Object.entries(resource.hints.nestedHints ?? {})) {
      if ((hints.primaryKey ?? hints.mergeKey ?? []).length === 0 || namesKey(hints)) continue
      const key = `nested_hints.${path}.primary_key`
      refuseStrategy(resource, key, hints.writeDisposition?.strategy)
      if (resource.deletes !== undefined && hints.writeDisposition?.disposition === 'merge') {
        throw refused(resource, key, 'is missing, and the resource deletes rows that are gone by their primary key')
      }
    }
  }
}

function refuseWithoutKey({ resource, disposition }: PlannedResource, stored: ReadonlyTable | undefined): void {
  if (disposition.disposition !== 'merge') return
  const strategy = disposition.strategy ?? stored?.['x-merge-strategy']
  if (resource.deletes !== undefined && (strategy === 'scd2' || strategy === 'cdc')) {
    const refusal = deletesRefusal({ ...disposition, strategy })
    if (refusal !== undefined) throw refused(resource, 'deletes', refusal)
  }
  const isKeyed =
    namesKey(resource.hints) || [...(stored?.columns.values() ?? [])].some(column => column.primary_key === true)
  if (isKeyed) return
  refuseStrategy(resource, 'primary_key', strategy)
  if (resource.deletes !== undefined) {
    throw refused(
      resource,
      'deletes',
      'needs a `primary_key`: nothing else tells which row is gone; add it, or leave `deletes` out',
    )
  }
}

function refuseStrategy(resource: Resource, key: string, strategy: unknown): void {
  if (!needsPrimaryKey(strategy)) return
  throw refused(
    resource,
    key,
    `is missing, and merge strategy ${strategy} needs a primary_key; name the fields that tell one record from another`,
  )
}

/** Whether hints name fields that tell one record from another. */
export function namesKey({ primaryKey = [], columns = [] }: TableHints): boolean {
  return primaryKey.length > 0 || columns.some(column => column.primary_key === true)
}

/**
 * Warns of resources that fill one table. Fails with a ConfigError if they delete in different ways or up to different
 * shares of it: nobody can tell whose row is gone. So it does if one replaces what the first appends or merges. Fails with a SchemaError if two tables differ only by case and the destination treats them as one.
 */
export function reportSharedTables(
  roots: readonly PlannedResource[],
  schema: ReadonlySchema,
  naming: Naming,
  destination: Destination,
  emit: (event: RunEvent) => void,
): void {
  const tables = resourcesByTable(roots, naming)
  if (!destination.capabilities.caseSensitive) refuseEqualButForCase([...tables.keys()], schema, destination)
  for (const [table, sharing] of tables) {
    const [owner, ...rest] = sharing
    if (owner === undefined || rest.length === 0) continue
    const [first, others] = [owner.resource.name, rest.map(({ resource }) => resource.name)]
    refuseOtherDeletes(
      table,
      sharing.map(({ resource }) => resource),
    )
    refuseOtherShares(table, sharing)
    // Where the first one replaces, the others do so too. Appended, the rows of one that replaces would come again and again.
    for (const other of rest) if (other.disposition.disposition === 'replace') refuseOtherReplace(table, owner, other)
    if (owner.disposition.disposition === 'replace') for (const other of rest) refuseRepeated(table, owner, other)
    emit({
      type: 'warning',
      code: 'table_collision',
      message: `Resources ${[first, ...others].join(', ')} all load into table ${table}, by the hints of ${first}; if that is not intended, give the others a table_name`,
      resource: first,
      namesResource: true,
    })
  }
}

/** A resource with a cursor is read from the beginning in each run where another one replaces its table. */
function refuseRepeated(table: string, owner: PlannedResource, other: PlannedResource): void {
  if (other.resource.incremental === undefined || other.disposition.disposition === 'replace') return
  for (const child of flattenPlan(other.children)) {
    const { resource, loaded, disposition } = child
    const hasOwnReading = resource.incremental !== undefined || resource.parentChanged !== undefined
    const isKeyed = namesKey(resource.hints) || (resource.hints.mergeKey ?? []).length > 0
    const isRepeated = disposition.disposition === 'append' || (disposition.disposition === 'merge' && !isKeyed)
    if (!loaded || hasOwnReading || !isRepeated) continue
    const message = `${owner.resource.name} replaces table ${table}, so ${other.resource.name} is read from the beginning in each run, and the rows of ${resource.name} would be appended again each time; merge them by a primary_key, or give ${other.resource.name} another table_name`
    throw refused(resource, 'write_disposition', message)
  }
}

function refuseOtherDeletes(table: string, resources: readonly Resource[]): void {
  const policy = ({ deletes }: Resource): string => JSON.stringify(deletes ?? null)
  const one = resources.find(({ deletes }) => deletes !== undefined)
  const other = one === undefined ? undefined : resources.find(resource => policy(resource) !== policy(one))
  if (one === undefined || other === undefined) return
  const said = other.deletes === undefined ? 'has no `deletes`' : `has \`deletes: ${other.deletes.mode}\``
  const message = `${one.name} and ${other.name} fill one table, ${table}, but ${other.name} ${said}; let both delete in the same way, or give one another table_name`
  throw refused(one, 'deletes', message)
}

function refuseOtherShares(table: string, sharing: readonly PlannedResource[]): void {
  const share = ({ resource }: PlannedResource): number => resource.maxDeleteShare ?? DEFAULT_MAX_DELETE_SHARE
  const takesAway = ({ resource, disposition }: PlannedResource): boolean =>
    resource.deletes !== undefined || disposition.disposition === 'replace'
  const [one] = sharing
  const other = sharing.find(planned => one !== undefined && share(planned) !== share(one))
  if (one === undefined || other === undefined || !sharing.some(takesAway)) return
  const message = `${one.resource.name} and ${other.resource.name} fill one table, ${table}, but the first lets a share of ${share(one)} of it go and the second ${share(other)}; give both the same \`max_delete_share\`, or give one another table_name`
  throw refused(other.resource, 'max_delete_share', message)
}

function refuseEqualButForCase(names: readonly string[], schema: ReadonlySchema, destination: Destination): void {
  const known = new Map<string, string>()
  for (const name of new Set([...names, ...schema.tables.keys()])) {
    const other = known.get(name.toLowerCase())
    known.set(name.toLowerCase(), name)
    if (other === undefined) continue
    throw new SchemaError(
      'schema',
      `Tables ${other} and ${name} differ only by case and are one table to ${destination.name}; give one of them another table_name`,
      { table: name },
    )
  }
}
