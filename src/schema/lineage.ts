import { SchemaError } from '../model/errors.js'
import type { ReadonlySchema, ReadonlyTable } from './schemaTypes.js'

type Tables<Table extends ReadonlyTable> = { readonly tables: ReadonlyMap<string, Table> }

/**
 * The table and its parents, up to its root or to the last one in the schema. Fails with a SchemaError if parents form
 * a cycle. Empty if the table does not exist.
 */
export function lineage<Table extends ReadonlyTable>(schema: Tables<Table>, name: string): readonly Table[] {
  const passed = new Set<Table>()
  let table = schema.tables.get(name)
  while (table !== undefined) {
    if (passed.has(table)) throw circle(table.name)
    passed.add(table)
    table = table.parent === undefined ? undefined : schema.tables.get(table.parent)
  }
  return [...passed]
}

/** The root table of a table, or the table itself if it is one. Undefined if a table on the way is missing. */
export function rootTable<Table extends ReadonlyTable>(schema: Tables<Table>, name: string): Table | undefined {
  const top = lineage(schema, name).at(-1)
  return top?.parent === undefined ? top : undefined
}

/** Fails with a SchemaError if a table is nested under itself, directly or indirectly. */
export function refuseCircles(schema: Pick<ReadonlySchema, 'tables'>): void {
  for (const name of schema.tables.keys()) lineage(schema, name)
}

function circle(table: string): SchemaError {
  return new SchemaError(
    'schema',
    `Table ${table} is nested under itself in the stored or imported schema: the \`parent\` of its tables goes in a circle; take \`parent\` off the table that is a root`,
    { table },
  )
}
