import type { OrphanDeletes, TablePlan } from '../../../model/destination.js'
import { DataError, SchemaError } from '../../../model/errors.js'
import type { ReadonlyColumn } from '../../../schema/schemaTypes.js'
import { type Chain, type ChainTable, hangsOn, requiredRowKey } from '../chain.js'
import { lastOfItsKey, sameKey } from '../rows.js'
import { numberFrom, type SqlSession } from '../sqlSession.js'

/**
 * Deletes every nested row under the roots whose keys the query returns. Deepest tables first: they need their parents.
 */
export async function deleteNested(
  session: SqlSession,
  chain: Chain,
  keys: string,
  as: 'replaced' | 'deleted',
): Promise<void> {
  for (const table of [...chain.nested].reverse()) {
    table.tally[as] += await session.run(
      `DELETE FROM ${table.target} AS d WHERE ${hangsOn(session, table, 'd', keys, 'target')}`,
    )
  }
}

/**
 * Conditions on the staged rows `s` of a nested table, for a load in which records with one key arrived more than once:
 * each row came with a root row that stays. `kept` is a table with the `number` in the load of the root rows that stay.
 * Without `rootRuns`, rows of different records have different ids, and of rows with one id the last stays.
 */
export function keptNested(session: SqlSession, table: ChainTable, kept: string): string[] {
  const { staged, rowKey } = table
  if (staged?.rootRuns === undefined) return rowKey === undefined ? [] : [lastOfItsKey(session, table, [rowKey], 's')]
  const ordinal = session.dialect.identifier(staged.ordinal)
  const runs = staged.rootRuns.relation
  // A row belongs to the last run that began at or before it.
  return [
    `s.${ordinal} IN (
      SELECT n.ordinal
      FROM (
        SELECT r.ordinal, count(b.first_row) OVER (ORDER BY r.ordinal ROWS UNBOUNDED PRECEDING) AS run
        FROM (SELECT t.${ordinal} AS ordinal, row_number() OVER (ORDER BY t.${ordinal}) - 1 AS number FROM ${staged.relation} AS t) AS r
        LEFT JOIN ${runs} AS b ON b.first_row = r.number
      ) AS n
      JOIN (SELECT u.root_row, row_number() OVER (ORDER BY u.first_row) AS run FROM ${runs} AS u) AS o ON o.run = n.run
      JOIN ${kept} AS k ON k.number = o.root_row
    )`,
  ]
}

const GONE = '_sluice_gone'

/**
 * Deletes the root rows whose primary key did not arrive, or marks them with the time `at`. Runs before the merge, so
 * that `maxDeleteShare` is a share of the rows that were live before this load. Above that share it deletes nothing and
 * throws a `too_many_deletes` error. Resolves to the number of rows deleted or marked.
 */
export async function deleteAbsent(session: SqlSession, chain: Chain, plan: TablePlan, at: bigint): Promise<number> {
  const { root, primaryKey } = chain
  const { deletes } = plan
  if (deletes === undefined || deletes.mode === 'with_parent') return 0
  if (primaryKey.length === 0) {
    throw new SchemaError('schema', `Deleting rows that are gone from ${root.name} needs a primary key`, {
      table: root.name,
    })
  }
  const same = sameKey(session, root, primaryKey, 'd', 's')
  const arrived =
    root.staged === undefined ? '1 = 0' : `EXISTS (SELECT 1 FROM ${root.staged.relation} AS s WHERE ${same})`
  const marker = deletes.mode === 'soft' ? markerOf(chain, deletes.column) : undefined
  return takeAway(session, chain, plan, { gone: `NOT ${arrived}`, stays: arrived, marker, at })
}

function markerOf({ root }: Chain, name: string): ReadonlyColumn {
  const marker = root.schema.columns.get(name)
  if (marker !== undefined) return marker
  throw new SchemaError('schema', `Table ${root.name} has no column ${name} to mark deleted rows with`, {
    table: root.name,
    column: name,
  })
}

/** Conditions on the rows `d` of the root. */
export interface Leaving {
  readonly gone: string
  /** For marked rows: their mark is cleared. */
  readonly stays: string
  /** Absent: rows are removed. */
  readonly marker: ReadonlyColumn | undefined
  readonly at: bigint
  /** A temporary table to create, with these columns of the removed rows. The caller drops it. */
  readonly keep?: { readonly name: string; readonly columns: readonly string[] } | undefined
}

/** Resolves to the number of rows deleted or marked. Above `maxDeleteShare` it fails and changes nothing. */
export async function takeAway(
  session: SqlSession,
  chain: Chain,
  plan: TablePlan,
  { gone, stays, marker, at, keep }: Leaving,
): Promise<number> {
  const { root } = chain
  const { identifier } = session.dialect
  const live = marker === undefined ? '1 = 1' : `d.${identifier(marker.name)} IS NULL`
  const { isOfOthers } = chain
  const absent = `${live} AND ${gone}`
  const leaves = isOfOthers === undefined ? absent : `${absent} AND NOT ${isOfOthers('d')}`
  await countKept(session, chain, absent, 'd')
  const leaving = await numberFrom(session, `SELECT count(*) FROM ${root.target} AS d WHERE ${leaves}`)
  const own = isOfOthers === undefined ? live : `${live} AND NOT ${isOfOthers('d')}`
  await checkShare(session, chain, plan, own, leaving)
  if (marker !== undefined) {
    const column = identifier(marker.name)
    const now = session.dialect.timestamp(at, marker.timezone !== false)
    await session.run(`UPDATE ${root.target} AS d SET ${column} = ${now} WHERE ${leaves}`)
    // A merge that replaces rows also clears their marks. Other merges do not, so clear them here.
    await session.run(`UPDATE ${root.target} AS d SET ${column} = NULL WHERE d.${column} IS NOT NULL AND ${stays}`)
    root.tally.deleted += leaving
    return leaving
  }
  if (keep !== undefined) {
    const columns = keep.columns.map(column => `d.${identifier(column)}`).join(', ')
    await session.run(
      `CREATE TEMPORARY TABLE ${identifier(keep.name)} AS SELECT ${columns} FROM ${root.target} AS d WHERE ${leaves}`,
    )
  }
  if (chain.nested.length > 0) {
    const key = identifier(requiredRowKey(root))
    await session.run(
      `CREATE TEMPORARY TABLE ${identifier(GONE)} AS SELECT d.${key} AS row_key FROM ${root.target} AS d WHERE ${leaves}`,
    )
    await deleteNested(session, chain, `SELECT row_key FROM ${session.dialect.temporary(GONE)}`, 'deleted')
    await session.run(`DROP TABLE ${session.dialect.temporary(GONE)}`)
  }
  root.tally.deleted += await session.run(`DELETE FROM ${root.target} AS d WHERE ${leaves}`)
  return leaving
}

/** Counts the rows of the root that meet the condition and stay, because other pipelines have loaded them. */
export async function countKept(
  session: SqlSession,
  { root, isOfOthers }: Chain,
  condition: string,
  alias: string,
): Promise<void> {
  if (isOfOthers === undefined) return
  const from = alias === root.target ? root.target : `${root.target} AS ${alias}`
  const kept = await numberFrom(session, `SELECT count(*) FROM ${from} WHERE ${condition} AND ${isOfOthers(alias)}`)
  if (kept > 0) root.tally.keptForOthers = (root.tally.keptForOthers ?? 0) + kept
}

/** Fails if `leaving` of the live rows are a greater share than the plan allows. */
export async function checkShare(
  session: SqlSession,
  chain: Chain,
  plan: TablePlan,
  live: string,
  leaving: number,
): Promise<void> {
  const { maxDeleteShare } = plan
  if (maxDeleteShare === undefined) return
  const { target, name } = chain.root
  const before = await numberFrom(session, `SELECT count(*) FROM ${target} AS d WHERE ${live}`)
  if (leaving <= before * maxDeleteShare) return
  const percent = Math.round((leaving / before) * 100)
  const why = plan.deletes?.mode === 'with_parent' ? 'lost their parent' : 'did not arrive in this load'
  throw new DataError(
    'too_many_deletes',
    `${leaving} of ${before} rows (${percent} %) of table ${name} ${why}, more than the ${Math.round(maxDeleteShare * 100)} % that may be deleted at once; nothing was changed. Check the API, or raise \`max_delete_share\` of the resource for one run`,
    { path: name },
  )
}

export interface PlannedChain {
  readonly chain: Chain
  readonly table: TablePlan
}

interface OrphanChain {
  readonly chain: Chain
  readonly table: TablePlan
  readonly deletes: OrphanDeletes
}

/**
 * Deletes or marks the rows whose parent's row is gone, at every depth. Runs when all tables are written. Resolves to
 * the number of rows deleted or marked, by table.
 */
export async function deleteOrphans(
  session: SqlSession,
  chains: ReadonlyMap<string, PlannedChain>,
  at: bigint,
): Promise<ReadonlyMap<string, number>> {
  const entries = parentsFirst(chains)
  /** By table: the temporary table with its removed rows, kept while tables below need it. */
  const taken = new Map<string, string>()
  const gone = new Map<string, number>()
  for (const [index, { chain, table, deletes }] of entries.entries()) {
    const parent = chains.get(deletes.parent)?.chain
    if (parent === undefined) continue
    const keys = new Set(
      entries.filter(below => below.deletes.parent === table.table).flatMap(below => takenKeys(below.deletes)),
    )
    const keep = keys.size === 0 ? undefined : { name: `_sluice_taken_${index}`, columns: [...keys] }
    if (keep !== undefined) taken.set(table.table, keep.name)
    const leaving = leavingWith(session, chain.root, parent.root, deletes, taken.get(deletes.parent))
    const marker = deletes.column === undefined ? undefined : markerOf(chain, deletes.column)
    const count = await takeAway(session, chain, table, { ...leaving, marker, at, keep })
    if (count > 0) gone.set(table.table, count)
  }
  for (const name of taken.values()) await session.run(`DROP TABLE ${session.dialect.temporary(name)}`)
  return gone
}

/** Columns of the parent that identify its removed rows. Marked rows are still in the table. */
function takenKeys({ onlyTaken, column, keys }: OrphanDeletes): readonly string[] {
  return onlyTaken && column === undefined ? keys.map(key => key.parent) : []
}

/** Conditions on the rows `d` of `root`. `taken` holds the rows removed from the parent's table. */
function leavingWith(
  session: SqlSession,
  root: Chain['root'],
  parent: Chain['root'],
  { keys, column, onlyTaken }: OrphanDeletes,
  taken: string | undefined,
): { readonly gone: string; readonly stays: string } {
  const { identifier, temporary } = session.dialect
  const pairs = keys.map(({ child, parent: key }) => [columnOf(root, child), columnOf(parent, key)] as const)
  // Rows from before the keys were repeated have none.
  const named = pairs.map(([child]) => `d.${identifier(child)} IS NOT NULL`).join(' AND ')
  const same = pairs.map(([child, key]) => `p.${identifier(key)} = d.${identifier(child)}`).join(' AND ')
  const mark = column !== undefined && parent.columns.has(column) ? `p.${identifier(column)}` : undefined
  const above = (condition: string): string => `EXISTS (SELECT 1 FROM ${parent.target} AS p WHERE ${same}${condition})`
  const stays = above(mark === undefined ? '' : ` AND ${mark} IS NULL`)
  if (!onlyTaken) return { gone: `${named} AND NOT ${stays}`, stays }
  if (column === undefined) {
    const wasTaken = `EXISTS (SELECT 1 FROM ${temporary(taken ?? '')} AS p WHERE ${same})`
    return { gone: taken === undefined ? '1 = 0' : wasTaken, stays }
  }
  return { gone: mark === undefined ? '1 = 0' : above(` AND ${mark} IS NOT NULL`), stays }
}

function columnOf({ name, columns }: Chain['root'], column: string): string {
  if (columns.has(column)) return column
  const message = `Table ${name} has no column ${column}, by which rows and their parents are matched`
  throw new SchemaError('schema', message, { table: name, column })
}

/** Tables whose rows are deleted with their parents. Each comes after its parent. */
function parentsFirst(chains: ReadonlyMap<string, PlannedChain>): readonly OrphanChain[] {
  const ordered = new Map<string, OrphanChain>()
  const add = (name: string, below: number): void => {
    const entry = chains.get(name)
    const deletes = entry?.table.deletes
    if (entry === undefined || deletes?.mode !== 'with_parent' || ordered.has(name) || below > chains.size) return
    add(deletes.parent, below + 1)
    ordered.set(name, { ...entry, deletes })
  }
  for (const name of chains.keys()) add(name, 0)
  return [...ordered.values()]
}
