import type { InspectedColumn } from '../../model/destination.js'
import { hasSeenData, isComplete } from '../columns.js'
import type { ReadonlySchema } from '../schemaTypes.js'

/** Something in the schema that is missing or different at the destination. */
export type SchemaDifference =
  | { readonly kind: 'missing_table'; readonly table: string }
  | { readonly kind: 'missing_column'; readonly table: string; readonly column: string }
  /** The destination refuses nulls that the schema allows, so the next null fails the load. */
  | { readonly kind: 'not_null'; readonly table: string; readonly column: string }
  /** A column that no load created refuses nulls, so every load fails. */
  | { readonly kind: 'foreign_column'; readonly table: string; readonly column: string }

/** How the destination spells names, and what it can report about them. */
export interface InspectionOptions {
  /** Whether names that differ only by case are one name. */
  readonly caseSensitive: boolean
}

/**
 * Manual changes at the destination since the stored schema was written, of the kinds that would fail the next load or
 * lose data. `schema` is the stored one, not yet evolved. `inspected` is what really exists. Tables that have never
 * held rows need not exist. Other columns and tables belong to the user and are not reported.
 */
export function inspectDifferences(
  schema: ReadonlySchema,
  inspected: ReadonlyMap<string, ReadonlyMap<string, InspectedColumn>>,
  options: InspectionOptions = { caseSensitive: true },
): SchemaDifference[] {
  const spelled = (name: string): string => (options.caseSensitive ? name : name.toLowerCase())
  const tables = new Map([...inspected].map(([name, columns]) => [spelled(name), columns]))
  const differences: SchemaDifference[] = []
  for (const table of schema.tables.values()) {
    if (!hasSeenData(table)) continue
    const found = tables.get(spelled(table.name))
    if (found === undefined) {
      differences.push({ kind: 'missing_table', table: table.name })
      continue
    }
    const columns = new Map([...found].map(([name, column]) => [spelled(name), column]))
    for (const column of table.columns.values()) {
      const real = columns.get(spelled(column.name))
      columns.delete(spelled(column.name))
      if (!isComplete(column)) continue
      const place = { table: table.name, column: column.name }
      if (real === undefined) differences.push({ kind: 'missing_column', ...place })
      else if (!real.nullable && column.nullable !== false) differences.push({ kind: 'not_null', ...place })
    }
    for (const [column, real] of columns) {
      if (!real.nullable) differences.push({ kind: 'foreign_column', table: table.name, column })
    }
  }
  return differences
}

/** One sentence for the person who has to fix it. */
export function describeDifference(difference: SchemaDifference): string {
  if (difference.kind === 'missing_table') return `Table ${difference.table} is gone from the destination`
  const column = `Column ${difference.table}.${difference.column}`
  if (difference.kind === 'missing_column') return `${column} is gone from the destination`
  if (difference.kind === 'not_null') return `${column} was made NOT NULL at the destination`
  return `${column} was added at the destination and is NOT NULL`
}
