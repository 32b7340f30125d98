import type { TablePlan } from '../../../model/destination.js'
import { SchemaError } from '../../../model/errors.js'
import type { MergeStrategy } from '../../../schema/schemaTypes.js'
import { type Chain, type ChainTable, hangsOn, requiredRowKey } from '../chain.js'
import type { CountedRows } from '../countedRows.js'
import { deleteByKey, hasDuplicates, insertStaged, keepTest, sameKey, stagedKeys } from '../rows.js'
import type { SqlSession, StagedTable } from '../sqlSession.js'
import { deleteNested, keptNested } from './deleteRows.js'
import { deleteOutdated, deleteScope, filteredChain, withScope } from './mergeScope.js'
import { isUpdatable, replaceInPlace, rowsBefore, updateRoot } from './updateRows.js'

/** Names of the temporary tables of a merge. The merge drops them before it ends. */
const MATCHED = '_sluice_matched'
const KEPT = '_sluice_kept'
const INSERTED = '_sluice_inserted'

/**
 * Merges the staged rows of a chain by key.
 *
 * - `delete-insert`: replaces rows whose primary key or merge key arrived, with everything nested under them.
 * - `upsert`: updates rows whose primary key arrived, and inserts the others. Replaces what is nested under them.
 * - `cdc`: an upsert that first deletes the rows whose primary key did not arrive.
 * - `insert-only`: inserts only rows with a new primary key, with what is nested under them. What is nested under
 *   existing rows stays as it is.
 *
 * Of several staged rows with one primary key, one stays: the first by `dedup_sort`, or the last to arrive if equal.
 * Deletions (`hard_delete`) are handled after that, so a deletion wins over older rows with its key. Nulls in keys are
 * equal. Without any key, rows are appended. Rows that the source filter of the plan leaves out are as if they had not
 * arrived. Resolves to the number of root rows that `cdc` deleted.
 */
export async function mergeByKey(
  session: SqlSession,
  arrived: Chain,
  plan: TablePlan,
  strategy: Exclude<MergeStrategy, 'scd2'>,
  counted: CountedRows,
): Promise<number> {
  const chain = await filteredChain(session, arrived, plan)
  const { root } = chain
  if (root.staged === undefined || arrived.root.staged === undefined) return 0
  if (strategy !== 'delete-insert' && chain.primaryKey.length === 0) {
    throw new SchemaError('schema', `Table ${root.name} is merged by ${strategy}, which needs a primary key`, {
      table: root.name,
    })
  }
  const kept = await keptRows(session, chain, root.staged, arrived.root.staged)
  const before = await rowsBefore(session, root, counted)
  const hadRows = before > 0
  const isInPlace =
    strategy === 'delete-insert' && hadRows && kept.rows === undefined && isUpdatable(session, chain, plan, before)
  const gone = hadRows ? await makeRoom(session, chain, arrived, plan, strategy, { ...kept, isInPlace }) : 0
  if (strategy === 'insert-only') {
    await insertNew(session, chain, root.staged, kept)
  } else {
    if (isInPlace) await replaceInPlace(session, chain, root.staged, before, counted)
    else if (hadRows && strategy !== 'delete-insert') {
      await updateRoot(session, chain, root.staged, kept, plan.skipUnchanged === true)
    } else await insertStaged(session, root, kept.rows)
    for (const table of chain.nested) await insertNested(session, table, kept)
  }
  if (kept.table !== undefined) await dropTemporary(session, KEPT)
  return gone
}

/** Deletes what the staged rows replace, and what cdc says is gone. Resolves to the number of root rows that are gone. */
async function makeRoom(
  session: SqlSession,
  chain: Chain,
  arrived: Chain,
  plan: TablePlan,
  strategy: Exclude<MergeStrategy, 'scd2'>,
  kept: KeptInPlace,
): Promise<number> {
  const { staged } = chain.root
  if (strategy === 'insert-only' || staged === undefined) return 0
  return await withScope(session, chain.root, arrived.root.staged, plan, async scope => {
    if (strategy === 'delete-insert' && scope !== undefined) {
      await deleteScope(session, chain, plan, scope)
      return 0
    }
    const gone = strategy === 'cdc' ? await deleteOutdated(session, chain, plan, scope) : 0
    await deleteMatched(session, chain, staged, strategy, kept)
    return gone
  })
}

/** Which staged rows stay. `rows` is a condition on `s`, `keys` a query of root row keys. Absent: all. */
interface Kept {
  readonly rows: string | undefined
  readonly keys: string | undefined
  /**
   * If a key arrived more than once: a table with the `ordinal`, the `row_key` and the `number` in the load of each root
   * row that stays. Nested rows may be duplicates too, if their ids follow from the key.
   */
  readonly table: string | undefined
}

interface KeptInPlace extends Kept {
  /** The rows of the root are updated, not deleted. */
  readonly isInPlace: boolean
}

/** `all`: the staged rows with those that a filter leaves out. */
async function keptRows(session: SqlSession, chain: Chain, staged: StagedTable, all: StagedTable): Promise<Kept> {
  const { identifier, temporary } = session.dialect
  const keep = keepTest(session, chain, 's')
  const unique = chain.deduplicated || chain.primaryKey.length === 0 || all.size?.rows === 1
  // Rows that a filter leaves out may have the ids of others, where ids follow from the key.
  const duplicates = !unique && (await hasDuplicates(session, all, chain.primaryKey))
  const key = chain.root.rowKey
  if (!duplicates) {
    const areAll = keep === undefined && staged === all
    const keys =
      areAll || key === undefined
        ? undefined
        : `SELECT s.${identifier(key)} FROM ${staged.relation} AS s WHERE ${keep ?? '1 = 1'}`
    return { rows: keep, keys, table: undefined }
  }
  const ordinal = identifier(staged.ordinal)
  const sort = chain.dedupSort
  const order = [
    ...(sort === undefined || !staged.columns.has(sort.column)
      ? []
      : [`n.${identifier(sort.column)} ${sort.direction.toUpperCase()} NULLS LAST`]),
    `n.${ordinal} DESC`,
  ].join(', ')
  const partition = chain.primaryKey.map(name => `n.${identifier(name)}`).join(', ')
  const rank = identifier(`${staged.ordinal}_rank`)
  const number = identifier(`${staged.ordinal}_number`)
  const passing = staged === all ? '' : ` WHERE n.${ordinal} IN (SELECT f.${ordinal} FROM ${staged.relation} AS f)`
  await session.run(
    `CREATE TEMPORARY TABLE ${identifier(KEPT)} AS SELECT s.${ordinal} AS ordinal, ${key === undefined ? 'NULL' : `s.${identifier(key)}`} AS row_key, s.${number} AS number FROM (SELECT n.*, row_number() OVER (PARTITION BY ${partition} ORDER BY ${order}) AS ${rank} FROM (SELECT a.*, row_number() OVER (ORDER BY a.${ordinal}) - 1 AS ${number} FROM ${all.relation} AS a) AS n${passing}) AS s WHERE s.${rank} = 1${keep === undefined ? '' : ` AND ${keep}`}`,
  )
  const table = temporary(KEPT)
  return {
    rows: `s.${ordinal} IN (SELECT ordinal FROM ${table})`,
    keys: `SELECT row_key FROM ${table}`,
    table,
  }
}

/** The keys to match rows by. A match on any one group is enough. */
function keyGroups(chain: Chain, strategy: MergeStrategy): (readonly string[])[] {
  const groups = strategy === 'delete-insert' ? [chain.primaryKey, chain.mergeKey] : [chain.primaryKey]
  return groups.filter(group => group.length > 0)
}

/**
 * Deletes what the staged rows replace. An upsert updates the matched rows of the root, so it deletes only those whose
 * deletion arrived.
 */
async function deleteMatched(
  session: SqlSession,
  chain: Chain,
  staged: StagedTable,
  strategy: MergeStrategy,
  kept: KeptInPlace,
): Promise<void> {
  const { root } = chain
  const groups = keyGroups(chain, strategy)
  if (groups.length === 0) return
  if (chain.nested.length > 0) {
    const { identifier, temporary } = session.dialect
    const key = identifier(requiredRowKey(root))
    const matches = groups.map(
      group =>
        `SELECT d.${key} AS row_key FROM ${root.target} AS d JOIN ${stagedKeys(session, staged, group)} AS s ON ${sameKey(session, root, group, 'd', 's')}`,
    )
    // Earlier loads may have left nested rows under an id derived from the key.
    if (strategy !== 'delete-insert') matches.push(`SELECT s.${key} FROM ${staged.relation} AS s`)
    await session.run(`CREATE TEMPORARY TABLE ${identifier(MATCHED)} AS ${matches.join(' UNION ')}`)
    await deleteNested(session, chain, `SELECT row_key FROM ${temporary(MATCHED)}`, 'replaced')
    await dropTemporary(session, MATCHED)
  }
  if (keepTest(session, chain, 's') !== undefined) {
    for (const group of groups) {
      const same = sameKey(session, root, group, 'd', 's')
      root.tally.deleted += await session.run(
        `DELETE FROM ${root.target} AS d WHERE EXISTS (SELECT 1 FROM ${staged.relation} AS s WHERE ${same}) AND NOT EXISTS (SELECT 1 FROM ${staged.relation} AS s WHERE ${same} AND ${kept.rows ?? '1 = 1'})`,
      )
    }
  }
  if (strategy !== 'delete-insert' || kept.isInPlace) return
  for (const group of groups) root.tally.replaced += await deleteByKey(session, root, staged, group)
}

async function insertNested(session: SqlSession, table: ChainTable, kept: Kept): Promise<void> {
  const conditions: string[] = []
  if (kept.keys !== undefined) conditions.push(hangsOn(session, table, 's', kept.keys, 'staged'))
  if (kept.table !== undefined) conditions.push(...keptNested(session, table, kept.table))
  await insertStaged(session, table, conditions.length === 0 ? undefined : conditions.join(' AND '))
}

/**
 * Inserts nested rows only together with their own root. Otherwise rows of another record with the same key would mix
 * in.
 */
async function insertNew(session: SqlSession, chain: Chain, staged: StagedTable, kept: Kept): Promise<void> {
  const { root } = chain
  const { identifier, temporary } = session.dialect
  const isFresh = isNew(session, root, chain.primaryKey)
  const fresh = kept.rows === undefined ? isFresh : `${kept.rows} AND ${isFresh}`
  if (chain.nested.length === 0) return await insertStaged(session, root, fresh)
  const rootKey = identifier(requiredRowKey(root))
  await session.run(
    `CREATE TEMPORARY TABLE ${identifier(INSERTED)} AS SELECT s.${rootKey} AS row_key FROM ${staged.relation} AS s WHERE ${fresh}`,
  )
  await insertStaged(session, root, fresh)
  for (const table of chain.nested) {
    if (table.staged === undefined) continue
    const key = requiredRowKey(table)
    const conditions = [
      isNew(session, table, [key]),
      hangsOn(session, table, 's', `SELECT row_key FROM ${temporary(INSERTED)}`, 'staged'),
    ]
    if (kept.table !== undefined) conditions.push(...keptNested(session, table, kept.table))
    await insertStaged(session, table, conditions.join(' AND '))
  }
  await dropTemporary(session, INSERTED)
}

/** Condition on a staged row: no existing row has its key. */
function isNew(session: SqlSession, table: ChainTable, key: readonly string[]): string {
  return `NOT EXISTS (SELECT 1 FROM ${table.target} AS d WHERE ${sameKey(session, table, key, 'd', 's')})`
}

async function dropTemporary(session: SqlSession, name: string): Promise<void> {
  await session.run(`DROP TABLE IF EXISTS ${session.dialect.temporary(name)}`)
}
