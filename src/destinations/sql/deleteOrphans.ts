import type { OrphanDeletes, TablePlan } from '../../model/destination.js'
import { SchemaError } from '../../model/errors.js'
import type { Chain } from './chain.js'
import { markerOf, takeAway } from './deleteAbsent.js'
import type { SqlSession } from './sqlSession.js'

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
