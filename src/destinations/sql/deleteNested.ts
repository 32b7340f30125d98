import { type Chain, hangsOn } from './chain.js'
import type { SqlSession } from './sqlSession.js'

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
