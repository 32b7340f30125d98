import type { TablePlan } from '../../../model/destination.js'
import { DestinationError, SchemaError } from '../../../model/errors.js'
import { filledCondition } from '../../../schema/mergeConditions.js'
import type { Chain, ChainTable } from '../chain.js'
import { requiredRowKey } from '../chain.js'
import { sameKey, stagedKeys } from '../rows.js'
import { numberFrom, type SqlSession } from '../sqlSession.js'
import { checkShare, deleteNested, takeAway } from './deleteRows.js'

/** Temporary table that stands for `{staging_table}`. */
const ARRIVED = '_sluice_arrived'

/** The chain without the staged root rows that the plan's source filter leaves out. Nested rows are still all there. */
export async function filteredChain(session: SqlSession, chain: Chain, { sourceFilter }: TablePlan): Promise<Chain> {
  const { root } = chain
  if (sourceFilter === undefined || root.staged === undefined) return chain
  const { relation } = root.staged
  await tryCondition(session, root, 'source_filter', `${relation} AS f`, sourceFilter)
  const filtered = `(SELECT f.* FROM ${relation} AS f WHERE (${sourceFilter}\n))`
  return { ...chain, root: { ...root, staged: { ...root.staged, relation: filtered, size: undefined } } }
}

/**
 * Calls `work` with the SQL condition of the plan's scope, in which bare columns are those of the table. Undefined: the
 * plan has none. `arrived` are the staged root rows, with those that a filter leaves out.
 */
export async function withScope<T>(
  session: SqlSession,
  root: ChainTable,
  arrived: ChainTable['staged'],
  { destinationScope }: TablePlan,
  work: (scope: string | undefined) => Promise<T>,
): Promise<T> {
  if (destinationScope === undefined) return await work(undefined)
  const { identifier, temporary } = session.dialect
  const staging = temporary(ARRIVED)
  const names = arrived === undefined || !destinationScope.includes('{staging_table}')
  if (!names) {
    const columns = [...root.schema.columns.keys()].filter(name => root.columns.has(name))
    const listed = columns.map(name => `s.${identifier(name)}`).join(', ')
    await session.run(`CREATE TEMPORARY TABLE ${identifier(ARRIVED)} AS SELECT ${listed} FROM ${arrived.relation} AS s`)
  }
  const scope = filledCondition(destinationScope, { table: root.target, staging_table: staging })
  await tryCondition(session, root, 'destination_scope', root.target, scope)
  const result = await work(`(${scope}\n)`)
  if (!names) await session.run(`DROP TABLE ${staging}`)
  return result
}

/** Fails with a SchemaError if the engine does not take a condition that a user wrote. */
async function tryCondition(
  session: SqlSession,
  root: ChainTable,
  key: string,
  from: string,
  condition: string,
): Promise<void> {
  try {
    await session.rows(`SELECT 1 FROM ${from} WHERE (${condition}\n) LIMIT 0`)
  } catch (error) {
    if (error instanceof DestinationError && error.transient) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new SchemaError(
      'schema',
      `Table ${root.name}: write_disposition.${key} is not a condition that the destination takes: ${why}. Correct it: ${condition}`,
      { table: root.name },
    )
  }
}

/** `delete-insert`: deletes all rows in the scope, with what is nested under them. */
export async function deleteScope(session: SqlSession, chain: Chain, plan: TablePlan, scope: string): Promise<void> {
  const { root } = chain
  const inScope = await numberFrom(session, `SELECT count(*) FROM ${root.target} WHERE ${scope}`)
  const arrived = await numberFrom(session, `SELECT count(*) FROM ${root.staged?.relation} AS s`)
  await checkShare(session, chain, plan, '1 = 1', inScope - arrived)
  if (chain.nested.length > 0) {
    const key = session.dialect.identifier(requiredRowKey(root))
    await deleteNested(session, chain, `SELECT ${key} FROM ${root.target} WHERE ${scope}`, 'replaced')
  }
  root.tally.replaced += await session.run(`DELETE FROM ${root.target} WHERE ${scope}`)
}

/**
 * `cdc`: deletes the root rows whose primary key did not arrive, with what is nested under them. With a scope only rows
 * in it, else with a merge key only rows of groups that arrived. Resolves to the number of root rows.
 */
export async function deleteOutdated(
  session: SqlSession,
  chain: Chain,
  plan: TablePlan,
  scope: string | undefined,
): Promise<number> {
  const { root, primaryKey, mergeKey } = chain
  if (root.staged === undefined) return 0
  const gone = [
    `NOT EXISTS (SELECT 1 FROM ${root.staged.relation} AS s WHERE ${sameKey(session, root, primaryKey, 'd', 's')})`,
  ]
  if (scope !== undefined) {
    const key = session.dialect.identifier(requiredRowKey(root))
    gone.push(`d.${key} IN (SELECT ${key} FROM ${root.target} WHERE ${scope})`)
  } else if (mergeKey.length > 0) {
    const same = sameKey(session, root, mergeKey, 'd', 'k')
    gone.push(`EXISTS (SELECT 1 FROM ${stagedKeys(session, root.staged, mergeKey)} AS k WHERE ${same})`)
  }
  const leaving = { gone: gone.join(' AND '), stays: '1 = 0', marker: undefined, at: 0n }
  return await takeAway(session, chain, plan, leaving)
}
