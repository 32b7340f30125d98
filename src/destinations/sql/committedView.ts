import { setMember } from '../../json/value.js'
import type { CommittedView, DatasetRow, DatasetValue } from '../../model/destination.js'
import { DatasetTables } from './ddl.js'
import { selectStatement } from './selectStatement.js'
import type { SqlSession, SqlValue } from './sqlSession.js'
import { isCommitted, readCommitted } from './systemRows.js'

/** The session, for an open transaction that changes no table as long as it asks for them: they are inspected once. */
export function inspectedOnce(session: SqlSession): SqlSession {
  let inspected: ReturnType<SqlSession['inspect']> | undefined
  return {
    ...session,
    inspect() {
      inspected ??= session.inspect()
      return inspected
    },
  }
}

/**
 * What is committed, as the open transaction of a session sees it, before it changes anything. Rows have the values that
 * the engine gives.
 */
export function committedView(open: SqlSession): CommittedView {
  const session = inspectedOnce(open)
  return {
    committed: (pipeline, schemaName) => readCommitted(session, pipeline, schemaName),
    hasLoad: async loadId => isCommitted(session, await DatasetTables.inspect(session), loadId),
    inspect: () => session.inspect(),
    async *read(query) {
      const existing = (await session.inspect()).get(query.table)
      if (existing === undefined) return
      const { sql, values, columns } = selectStatement<SqlValue>(
        session.dialect,
        session.table(query.table),
        existing,
        query,
        column => column,
        value => (typeof value === 'object' ? String(value) : value),
      )
      const rows = await session.rows(sql, values)
      yield rows.map(row => {
        const named: DatasetRow = {}
        for (const [index, { name }] of columns.entries()) setMember(named, name, row[index] as DatasetValue)
        return named
      })
    },
  }
}
