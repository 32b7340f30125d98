import { SchemaError } from '../../model/errors.js'
import { isComplete } from '../../schema/columns.js'
import { tableChain } from '../../schema/rootKey.js'
import type { ReadonlyColumn, ReadonlySchema, ReadonlyTable } from '../../schema/schemaTypes.js'
import { LOAD_ID } from '../../schema/systemTables.js'
import type { TableTally } from './commitTally.js'
import type { DatasetTables, TargetColumns } from './ddl.js'
import type { SqlSession, StagedTable } from './sqlSession.js'

/** A table that takes part in a commit: its existing rows and the rows that arrived. */
export interface ChainTable {
  readonly name: string
  /** Full, quoted name. */
  readonly target: string
  readonly columns: TargetColumns
  readonly schema: ReadonlyTable
  readonly tally: TableTally
  /** Absent when no row arrived. */
  readonly staged: StagedTable | undefined
  /** Absent for the root. */
  readonly parent: ChainTable | undefined
  /** Names of the columns with these roles. */
  readonly rowKey: string | undefined
  readonly parentKey: string | undefined
  readonly rootKey: string | undefined
}

/** A root table and what is nested under it, parents first. */
export interface Chain {
  readonly root: ChainTable
  readonly nested: readonly ChainTable[]
  readonly primaryKey: readonly string[]
  readonly mergeKey: readonly string[]
  /** Column that marks deleted rows. */
  readonly hardDelete: ReadonlyColumn | undefined
  /** Of several rows with one key, the first in this order stays. */
  readonly dedupSort: { readonly column: string; readonly direction: 'asc' | 'desc' } | undefined
  /** The staged rows have each key only once. */
  readonly deduplicated: boolean
  /** Absent: only this pipeline loads into the dataset. */
  readonly isOfOthers: RowCondition | undefined
}

/** An SQL condition on the rows of a root table with this alias. It is never null. */
export type RowCondition = (alias: string) => string

/**
 * Creates or extends the tables of a chain and describes them. Only tables that exist or received rows take part.
 * Undefined if the root does not.
 */
export async function openChain(
  session: SqlSession,
  tables: DatasetTables,
  schema: ReadonlySchema,
  rootName: string,
  staged: ReadonlyMap<string, StagedTable>,
  isOfOthers?: RowCondition,
): Promise<Chain | undefined> {
  const opened = new Map<string, ChainTable>()
  for (const table of tableChain(schema, rootName)) {
    if (!staged.has(table.name) && tables.get(table.name) === undefined) continue
    opened.set(table.name, {
      name: table.name,
      target: session.table(table.name),
      columns: await tables.ensure(table),
      schema: table,
      tally: tables.tally.of(table.name),
      staged: staged.get(table.name),
      parent: table.parent === undefined ? undefined : opened.get(table.parent),
      rowKey: rowKeyOf(table),
      parentKey: columnsWith(table, 'parent_key')[0],
      rootKey: columnsWith(table, 'root_key')[0],
    })
  }
  const root = opened.get(rootName)
  if (root === undefined) return undefined
  const dedupSort = [...root.schema.columns.values()].find(column => column.dedup_sort !== undefined)
  return {
    root,
    nested: [...opened.values()].filter(table => table !== root),
    primaryKey: columnsWith(root.schema, 'primary_key'),
    mergeKey: columnsWith(root.schema, 'merge_key'),
    hardDelete: [...root.schema.columns.values()].find(column => column.hard_delete === true && isComplete(column)),
    dedupSort:
      dedupSort === undefined ? undefined : { column: dedupSort.name, direction: dedupSort.dedup_sort ?? 'asc' },
    deduplicated: root.schema['x-stage-data-deduplicated'] === true,
    isOfOthers: root.columns.has(LOAD_ID) ? isOfOthers : undefined,
  }
}

/** Typed columns with this hint set to true. */
export function columnsWith(table: ReadonlyTable, hint: string): string[] {
  return [...table.columns.values()]
    .filter(column => column[hint] === true && isComplete(column))
    .map(column => column.name)
}

/**
 * Chosen as in dlt: the row key, else a unique column, else the row version of scd2, else a primary key of one column.
 */
function rowKeyOf(table: ReadonlyTable): string | undefined {
  const primary = columnsWith(table, 'primary_key')
  return (
    columnsWith(table, 'row_key')[0] ??
    columnsWith(table, 'unique')[0] ??
    columnsWith(table, 'x-row-version')[0] ??
    (primary.length === 1 ? primary[0] : undefined)
  )
}

/** The row key of a table that must have one. */
export function requiredRowKey(table: ChainTable): string {
  if (table.rowKey !== undefined) return table.rowKey
  throw new SchemaError('schema', `Table ${table.name} has nested tables but no column that names its rows`, {
    table: table.name,
  })
}

/**
 * Condition on rows `alias` of a nested table: their root row has a key in `keys`, a query of one column. Uses the root
 * key if the rows have one, else follows the parents.
 */
export function hangsOn(
  session: SqlSession,
  table: ChainTable,
  alias: string,
  keys: string,
  side: 'target' | 'staged',
): string {
  const { identifier } = session.dialect
  const rootKey = table.rootKey
  if (rootKey === undefined || (side === 'staged' && table.staged?.columns.has(rootKey) !== true)) {
    return throughParent(session, table, alias, keys, side)
  }
  const column = `${alias}.${identifier(rootKey)}`
  const direct = `${column} IN (${keys})`
  // Rows older than the column have no root key. Their root is found through the parents.
  const long = side === 'target' && table.columns.get(rootKey)?.nullable === true
  return long ? `(${direct} OR (${column} IS NULL AND ${throughParent(session, table, alias, keys, side)}))` : direct
}

function throughParent(
  session: SqlSession,
  table: ChainTable,
  alias: string,
  keys: string,
  side: 'target' | 'staged',
): string {
  const { identifier } = session.dialect
  const { parent, parentKey } = table
  if (parentKey === undefined) {
    throw new SchemaError('schema', `Nested table ${table.name} has no column that names its parent`, {
      table: table.name,
    })
  }
  const column = `${alias}.${identifier(parentKey)}`
  if (parent?.parent === undefined) return `${column} IN (${keys})`
  const relation = side === 'target' ? parent.target : parent.staged?.relation
  if (relation === undefined) return '1 = 0'
  const parentAlias = `${alias}p`
  const rowKey = identifier(requiredRowKey(parent))
  return `${column} IN (SELECT ${parentAlias}.${rowKey} FROM ${relation} AS ${parentAlias} WHERE ${hangsOn(session, parent, parentAlias, keys, side)})`
}
