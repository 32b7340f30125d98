import type { TableChanges } from '../../../model/destination.js'
import type { Resource, Source } from '../../../model/source.js'
import { rootTable } from '../../../schema/rootKey.js'
import type { ReadonlySchema } from '../../../schema/schemaTypes.js'
import { parentOf } from '../plan/planResources.js'

/** Fewer records, or fewer rows of a table, may lack a field or a nested list by chance. */
export const FEWEST = 10

/** A cursor brings what has changed, which may well be what its list lost. */
export const FEWEST_OF_PART = 100

interface Committed {
  readonly source: Source
  readonly schema: ReadonlySchema
  /** Rows that the load brought, by table. */
  readonly rows: Readonly<Record<string, number>>
  readonly changes: ReadonlyMap<string, TableChanges>
}

/** What to say of a resource whose load took many rows away and brought none. */
export interface RowsGone {
  readonly resource: string
  readonly message: string
}

/** A list that an API stops sending, or calls otherwise, looks like a list that is empty in each record. */
export function nestedRowsGone({ source, schema, rows, changes }: Committed): readonly RowsGone[] {
  const byRoot = new Map<string, { readonly table: string; readonly gone: number }[]>()
  for (const [table, { replaced = 0, inserted }] of changes) {
    const root = rootTable(schema, table)?.name
    if (root === undefined || root === table || inserted !== 0 || (rows[table] ?? 0) > 0) continue
    if (replaced >= FEWEST) byRoot.set(root, [...(byRoot.get(root) ?? []), { table, gone: replaced }])
  }
  return [...byRoot].flatMap(([root, tables]) => {
    const resource = schema.tables.get(root)?.resource ?? root
    const arrived = rows[root] ?? 0
    if (arrived < (isPart(source, resource) ? FEWEST_OF_PART : FEWEST)) return []
    const gone = tables.map(({ table, gone }) => `${table} (${gone} rows)`).join(', ')
    const message = `${resource}: ${arrived} rows of ${root} arrived and brought none of these nested tables, and what they had there is gone: ${gone}. The API may no longer send that list, or call it otherwise: look at its answers. \`sluice replay\` of an earlier journal that was kept, or a copy, brings the rows back`
    return [{ resource, message }]
  })
}

/** An answer without records is an empty list, and empties a table that is replaced. It may be a fault of the API. */
export function emptiedTables({ schema, rows, changes }: Omit<Committed, 'source'>): readonly RowsGone[] {
  return [...changes].flatMap(([table, { replaced = 0, inserted }]) => {
    if (rootTable(schema, table)?.name !== table || inserted !== 0 || (rows[table] ?? 0) > 0) return []
    if (replaced < FEWEST) return []
    const resource = schema.tables.get(table)?.resource ?? table
    const message = `${resource}: no record arrived, so all ${replaced} rows of ${table} are gone, as \`replace\` says. If the list is not empty, look at its answers; \`expect: { min_records: 1 }\` refuses such a load before it is committed`
    return [{ resource, message }]
  })
}

/** Whether a load may bring a part of its records, by a cursor of its own or of those above it. */
export function isPart(source: Source, name: string): boolean {
  let resource: Resource | undefined = source.resources.find(one => one.name === name)
  while (resource !== undefined) {
    if (resource.incremental !== undefined || resource.parentChanged !== undefined) return true
    resource = parentOf(source, resource)
  }
  return false
}
