import type { TablePlan } from '../../model/destination.js'
import { DataError, SchemaError } from '../../model/errors.js'
import type { ReadonlyColumn } from '../../schema/schemaTypes.js'
import type { Chain } from './chain.js'
import { requiredRowKey } from './chain.js'
import { deleteNested } from './deleteNested.js'
import { sameKey } from './rows.js'
import { numberFrom, type SqlSession } from './sqlSession.js'

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

export function markerOf({ root }: Chain, name: string): ReadonlyColumn {
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
  const leaves = `${live} AND ${gone}`
  const leaving = await numberFrom(session, `SELECT count(*) FROM ${root.target} AS d WHERE ${leaves}`)
  await checkShare(session, chain, plan, live, leaving)
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
    `${leaving} of ${before} rows (${percent} %) of table ${name} ${why}, more than the ${Math.round(maxDeleteShare * 100)} % that may be deleted at once; nothing was changed. Check the API, or raise the limit for one run`,
    { path: name },
  )
}
