import type { ChainTable } from './chain.js'
import { lastOfItsKey } from './rows.js'
import type { SqlSession } from './sqlSession.js'

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
