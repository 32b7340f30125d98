import type { LoadPlan } from '../../../model/destination.js'
import { LOAD_ID } from '../../../schema/systemTables.js'
import { LOADS, RECEIPTS } from '../../systemRows.js'
import type { RowCondition } from '../chain.js'
import { hasRow, type SqlSession, textLiteral } from '../sqlSession.js'

/**
 * The rows that other pipelines have loaded. Receipts name the pipeline of a load. A load without receipts, as of another
 * tool, is of another pipeline if its schema has another name. Undefined if there is no such load. The tables of loads
 * and receipts must be there.
 */
export async function rowsOfOthers(
  session: SqlSession,
  { pipeline }: LoadPlan,
  schemaName: string,
): Promise<RowCondition | undefined> {
  const receipts = session.table(RECEIPTS.name)
  const own = textLiteral(pipeline)
  const withReceipts = `SELECT r.load_id FROM ${receipts} AS r WHERE r.pipeline_name <> ${own}`
  const withoutReceipts = `SELECT l.load_id FROM ${session.table(LOADS.name)} AS l
    WHERE l.schema_name <> ${textLiteral(schemaName)}
    AND NOT EXISTS (SELECT 1 FROM ${receipts} AS o WHERE o.load_id = l.load_id AND o.pipeline_name = ${own})`
  if (!(await hasRow(session, withReceipts)) && !(await hasRow(session, withoutReceipts))) return undefined
  return alias => {
    const loadId = `${alias}.${session.dialect.identifier(LOAD_ID)}`
    return `((${loadId} IN (${withReceipts}) OR ${loadId} IN (${withoutReceipts})) IS TRUE)`
  }
}
