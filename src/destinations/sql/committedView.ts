import { setMember } from '../../json/value.js'
import type { CommittedView, DatasetRow, DatasetValue } from '../../model/destination.js'
import { DatasetTables } from './ddl.js'
import { selectStatement } from './selectStatement.js'
import type { SqlSession, SqlValue } from './sqlSession.js'
import { committedOf, readCommitted, readPipelines } from './systemStatements.js'

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
 * What is committed, as the open transaction of a session sees it, before it changes anything: nothing is read twice but
 * rows, which have the values that the engine gives. `loadIds`: those of the loads that the transaction commits.
 */
export function committedView(open: SqlSession, loadIds: readonly string[] = []): CommittedView {
  const session = inspectedOnce(open)
  let present: Promise<ReadonlySet<string>> | undefined
  const stored = new Map<string, ReturnType<typeof readCommitted>>()
  return {
    committed(pipeline, schemaName) {
      const key = JSON.stringify([pipeline, schemaName])
      const reading = stored.get(key) ?? readCommitted(session, pipeline, schemaName)
      stored.set(key, reading)
      return reading
    },
    async hasLoad(loadId) {
      const read = async (ids: readonly string[]): Promise<ReadonlySet<string>> =>
        await committedOf(session, await DatasetTables.inspect(session), ids)
      if (!loadIds.includes(loadId)) return (await read([loadId])).has(loadId)
      present ??= read(loadIds)
      return (await present).has(loadId)
    },
    pipelines: () => readPipelines(session),
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
