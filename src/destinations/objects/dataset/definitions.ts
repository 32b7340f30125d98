import { SchemaError } from '../../../model/errors.js'
import type { ReadonlyColumn, ReadonlyTable } from '../../../schema/schemaTypes.js'
import type { CommittedTable } from './committedDataset.js'

/**
 * The columns of a table after a load. Existing columns stay as they are. Missing columns of the schema come last. A
 * table with rows cannot guarantee a value in a new column.
 */
export function definitionAfter(existing: CommittedTable | undefined, table: ReadonlyTable): readonly ReadonlyColumn[] {
  const columns = [...(existing?.columns ?? [])]
  const names = new Map(columns.map(column => [column.name.toLowerCase(), column.name]))
  const known = new Set(columns.map(column => column.name))
  const hasRows = existing?.files.some(file => file.rows !== 0) === true
  for (const column of table.columns.values()) {
    if (column.data_type === undefined || known.has(column.name)) continue
    if (names.has(column.name.toLowerCase())) {
      throw new SchemaError(
        'schema',
        `Table ${table.name} has two columns that differ from ${column.name} only by case, which are one name to this destination; rename one`,
        { table: table.name, column: column.name },
      )
    }
    names.set(column.name.toLowerCase(), column.name)
    columns.push(hasRows ? { ...column, nullable: true } : column)
  }
  if (columns.length === 0)
    throw new SchemaError('schema', `Table ${table.name} has no column with a type`, { table: table.name })
  return columns
}
