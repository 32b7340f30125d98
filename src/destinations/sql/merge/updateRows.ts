import type { TablePlan } from '../../../model/destination.js'
import type { ReadonlyColumn } from '../../../schema/schemaTypes.js'
import { LOAD_ID } from '../../../schema/systemTables.js'
import { type Chain, type ChainTable, columnsWith } from '../chain.js'
import type { CountedRows } from '../countedRows.js'
import { deleteByKey, insertable, insertStaged, sameKey } from '../rows.js'
import { hasRow, numberFrom, type SqlSession, type StagedTable } from '../sqlSession.js'

/** The rows of the root; infinitely many where they are not counted without reading them. */
export async function rowsBefore(session: SqlSession, table: ChainTable, counted: CountedRows): Promise<number> {
  if (table.tally.isEmpty) return 0
  if (session.dialect.cheapUpdate !== undefined) return await counted.of(table)
  return (await hasRow(session, `SELECT 1 FROM ${table.target}`)) ? Number.POSITIVE_INFINITY : 0
}

/**
 * Whether {@link replaceInPlace} may stand for deleting and inserting, if no key arrived twice: the table has few rows,
 * and rows are replaced by one key alone. Columns that only the table has would keep their values.
 */
export function isUpdatable(
  { dialect: { cheapUpdate: most } }: SqlSession,
  { root, primaryKey, mergeKey }: Chain,
  plan: TablePlan,
  rows: number,
): boolean {
  const hasOneKey = primaryKey.length > 0 && mergeKey.length === 0 && plan.destinationScope === undefined
  const size = root.staged?.size
  const isCheap = most !== undefined && size !== undefined && rows <= most.rows && size.bytes <= most.bytes
  return isCheap && hasOneKey && typedNames(root).length === root.columns.size
}

/** The same rows as if those with the keys that arrived were deleted, and the staged ones inserted. */
export async function replaceInPlace(
  session: SqlSession,
  chain: Chain,
  staged: StagedTable,
  before: number,
  counted: CountedRows,
): Promise<void> {
  const { root, primaryKey } = chain
  const { identifier } = session.dialect
  const updates = typedNames(root)
    .filter(name => !primaryKey.includes(name))
    .map(name => `${identifier(name)} = ${staged.columns.has(name) ? `s.${identifier(name)}` : 'DEFAULT'}`)
  const written = await session.run(mergeStatement(session, chain, staged.relation, updates))
  if (written === staged.size?.rows) {
    root.tally.insertedRows(written)
    counted.later(root, after => {
      root.tally.replaced += written - (after - before)
    })
    return
  }
  // Earlier loads have left several rows with one key.
  const added = (await numberFrom(session, session.dialect.changeCounts(root.target))) - before
  root.tally.replaced += (await deleteByKey(session, root, staged, primaryKey)) - added
  await insertStaged(session, root)
}

/** Columns of the schema that did not arrive become null. Columns that only the table has stay. */
export async function updateRoot(
  session: SqlSession,
  chain: Chain,
  staged: StagedTable,
  kept: { readonly rows: string | undefined },
  skipUnchanged: boolean,
): Promise<void> {
  const { root } = chain
  const { identifier } = session.dialect
  const updates = typedNames(root).map(name => `${identifier(name)} = s.${identifier(name)}`)
  const where = kept.rows === undefined ? '' : ` WHERE ${kept.rows}`
  const compared = skipUnchanged ? comparedColumns(root) : []
  const differ = compared.map(name => `d.${identifier(name)} IS DISTINCT FROM s.${identifier(name)}`)
  const ifChanged = differ.length === 0 ? '' : ` AND (${differ.join(' OR ')})`
  const before = await changeCounts(session, root)
  const relation = `(SELECT s.* FROM ${staged.relation} AS s${where})`
  const rows = await session.run(mergeStatement(session, chain, relation, updates, ifChanged))
  const after = await changeCounts(session, root)
  const [added, changed] = [after.inserted - before.inserted, after.updated - before.updated]
  // Where rows live elsewhere, as in partitions, the engine counts them elsewhere too.
  const isKnown = added >= 0 && added <= rows && (Number.isNaN(changed) || added + changed === rows)
  root.tally.merged(rows, isKnown ? added : undefined)
}

/** As in dlt: the version of a row, if it has one, else all columns but keys, the deletion mark and the load. */
function comparedColumns({ schema, columns }: ChainTable): readonly string[] {
  const version = columnsWith(schema, 'x-row-version')[0]
  if (version !== undefined) return [version]
  const apart = ['primary_key', 'row_key', 'parent_key', 'root_key', 'hard_delete']
  return typedColumns({ schema, columns })
    .filter(column => column.name.toLowerCase() !== LOAD_ID && !apart.some(hint => column[hint] === true))
    .map(column => column.name)
}

/** Not a number: the engine does not count. */
async function changeCounts(session: SqlSession, { target }: ChainTable) {
  const [counts] = await session.rows(session.dialect.changeCounts(target))
  const [inserted = Number.NaN, updated = Number.NaN] = (counts ?? []).map(count =>
    count === null ? Number.NaN : Number(count),
  )
  return { inserted, updated }
}

/**
 * A statement that updates rows whose primary key is in `relation`, which it reads as `s`, and inserts its other rows.
 * `condition`: more that a row to update must meet, with AND before it.
 */
function mergeStatement(
  session: SqlSession,
  { root, primaryKey }: Chain,
  relation: string,
  updates: readonly string[],
  condition = '',
): string {
  const { identifier } = session.dialect
  const inserted = insertable(root)
  const values = inserted.map(name => `s.${identifier(name)}`).join(', ')
  return `MERGE INTO ${root.target} AS d
    USING ${relation} AS s ON ${sameKey(session, root, primaryKey, 'd', 's')}
    WHEN MATCHED${condition} THEN UPDATE SET ${updates.join(', ')}
    WHEN NOT MATCHED THEN INSERT (${inserted.map(identifier).join(', ')}) VALUES (${values})`
}

type TableColumns = Pick<ChainTable, 'schema' | 'columns'>

function typedColumns({ schema, columns }: TableColumns): readonly ReadonlyColumn[] {
  return [...schema.columns.values()].filter(column => column.data_type !== undefined && columns.has(column.name))
}

function typedNames(table: TableColumns): readonly string[] {
  return typedColumns(table).map(column => column.name)
}
