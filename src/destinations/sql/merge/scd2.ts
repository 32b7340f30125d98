import type { TablePlan } from '../../../model/destination.js'
import { SchemaError } from '../../../model/errors.js'
import type { ReadonlyColumn } from '../../../schema/schemaTypes.js'
import { type Chain, type ChainTable, columnsWith, hangsOn, requiredRowKey } from '../chain.js'
import { columnType } from '../ddl.js'
import { hasDuplicates, insertable, insertStaged, lastOfItsKey, sameKey, stagedKeys } from '../rows.js'
import { hasRow, type SqlSession, textLiteral } from '../sqlSession.js'
import { countKept } from './deleteRows.js'
import { filteredChain, withScope } from './mergeScope.js'

const INSERTED = '_sluice_inserted'

/**
 * Keeps every version of a row. A live version whose content did not arrive is retired at `boundary`. Content without a
 * live version is inserted, valid from `boundary`. With a scope only versions in it are retired, else with a merge key
 * only those of keys that arrived. If the plan keeps what is absent, only versions whose record arrived are retired,
 * and none if nothing identifies a record. Rows that the source filter leaves out did not arrive. A row that arrives twice is inserted once. Different rows with one user-given version are all inserted. Nested rows
 * belong to their version and are never removed.
 *
 * `boundary` is in microseconds since the epoch.
 */
export async function mergeVersions(
  session: SqlSession,
  arrived: Chain,
  plan: TablePlan,
  boundary: bigint,
): Promise<void> {
  const chain = await filteredChain(session, arrived, plan)
  const { root } = chain
  const { staged } = root
  if (staged === undefined) return
  const { identifier, temporary } = session.dialect
  const from = hinted(chain, 'x-valid-from')
  const until = hinted(chain, 'x-valid-to')
  const version = columnsWith(root.schema, 'x-row-version')[0] ?? requiredRowKey(root)
  const active = activeUntil(session, until)
  const isActive = (alias: string): string =>
    active === 'NULL' ? `${alias}.${identifier(until.name)} IS NULL` : `${alias}.${identifier(until.name)} = ${active}`

  const sameVersion = sameKey(session, root, [version], 'd', 's')
  // Without an alias, so that a scope may name the table.
  const table = root.target
  const arrivedAgain = sameKey(session, root, [version], table, 's')
  const retired = [isActive(table), `NOT EXISTS (SELECT 1 FROM ${staged.relation} AS s WHERE ${arrivedAgain})`]
  const recordKey = plan.keepsAbsent === true ? await keyOfRecords(session, chain, isActive(table)) : undefined
  const keyArrived = (key: readonly string[]): string =>
    key.length === 0
      ? '1 = 0'
      : `EXISTS (SELECT 1 FROM ${stagedKeys(session, staged, key)} AS k WHERE ${sameKey(session, root, key, table, 'k')})`
  const ended = await withScope(session, root, arrived.root.staged, plan, async scope => {
    if (recordKey !== undefined) retired.push(keyArrived(recordKey))
    if (scope !== undefined) retired.push(scope)
    else if (chain.mergeKey.length > 0) {
      retired.push(keyArrived(chain.mergeKey))
    }
    if (plan.keepsAbsent !== true && chain.isOfOthers !== undefined) {
      await countKept(session, chain, retired.join(' AND '), table)
      retired.push(`NOT ${chain.isOfOthers(table)}`)
    }
    return await session.run(
      `UPDATE ${table} SET ${identifier(until.name)} = ${instant(session, until, boundary)} WHERE ${retired.join(' AND ')}`,
    )
  })
  root.tally.updatedRows(ended)

  const fresh = [
    lastOfItsKey(session, root, sameContent(root, version), 's'),
    `NOT EXISTS (SELECT 1 FROM ${root.target} AS d WHERE ${isActive('d')} AND ${sameVersion})`,
  ].join(' AND ')
  if (chain.nested.length > 0) {
    const key = identifier(requiredRowKey(root))
    await session.run(
      `CREATE TEMPORARY TABLE ${identifier(INSERTED)} AS SELECT s.${key} AS row_key FROM ${staged.relation} AS s WHERE ${fresh}`,
    )
  }
  await insertStaged(session, root, fresh, [
    [from.name, instant(session, from, boundary)],
    [until.name, active],
  ])
  if (chain.nested.length === 0) return
  for (const nested of chain.nested) {
    if (nested.staged === undefined) continue
    const key = requiredRowKey(nested)
    // Content that comes back has the ids of its older version. Its nested rows already exist.
    const conditions = [
      hangsOn(session, nested, 's', `SELECT row_key FROM ${temporary(INSERTED)}`, 'staged'),
      `NOT EXISTS (SELECT 1 FROM ${nested.target} AS d WHERE ${sameKey(session, nested, [key], 'd', 's')})`,
      lastOfItsKey(session, nested, [key], 's'),
    ]
    await insertStaged(session, nested, conditions.join(' AND '))
  }
  await session.run(`DROP TABLE ${temporary(INSERTED)}`)
}

/**
 * The columns that say which record a version is of: the primary key, or a merge key that no two live versions share.
 * Empty if there are none.
 */
async function keyOfRecords(session: SqlSession, chain: Chain, isActive: string): Promise<readonly string[]> {
  const { root, primaryKey, mergeKey } = chain
  if (primaryKey.length > 0 || mergeKey.length === 0) return primaryKey
  if (root.staged === undefined || (await hasDuplicates(session, root.staged, mergeKey))) return []
  const key = mergeKey.map(session.dialect.identifier).join(', ')
  const shared = `SELECT 1 FROM ${root.target} WHERE ${isActive} GROUP BY ${key} HAVING count(*) > 1`
  return (await hasRow(session, shared)) ? [] : mergeKey
}

/** The columns that identify equal staged rows. An id made from the content stands for all of it. */
function sameContent(root: ChainTable, version: string): readonly string[] {
  if (version === root.rowKey) return [version]
  return [version, ...insertable(root).filter(name => name !== version && name !== root.rowKey)]
}

function hinted(chain: Chain, hint: 'x-valid-from' | 'x-valid-to'): ReadonlyColumn {
  const name = columnsWith(chain.root.schema, hint)[0]
  const column = name === undefined ? undefined : chain.root.schema.columns.get(name)
  if (column !== undefined) return column
  throw new SchemaError(
    'schema',
    `Table ${chain.root.name} is merged by scd2 but has no column with the hint ${hint}`,
    {
      table: chain.root.name,
    },
  )
}

/** The value that live versions have in their valid-until column. */
function activeUntil(session: SqlSession, until: ReadonlyColumn): string {
  const literal = until['x-active-record-timestamp']
  if (typeof literal !== 'string') return 'NULL'
  return `CAST(${textLiteral(literal)} AS ${columnType(session.dialect, until)})`
}

function instant(session: SqlSession, column: ReadonlyColumn, microseconds: bigint): string {
  return session.dialect.timestamp(microseconds, column.timezone !== false)
}
