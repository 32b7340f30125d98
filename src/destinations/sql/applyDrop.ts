import type { Connection } from '../../model/destination.js'
import { isCommitted } from './applyCommit.js'
import { DatasetTables } from './ddl.js'
import type { SqlSession } from './sqlSession.js'
import {
  forgetSchemaVersions,
  LOADS,
  STATES,
  VERSIONS,
  writeLoad,
  writeSchemaVersion,
  writeState,
} from './systemRows.js'

/** Drops tables in one open transaction. Does nothing if the load id was already committed. */
export async function applyDrop(
  session: SqlSession,
  names: readonly string[],
  next: Parameters<Connection['drop']>[1],
): Promise<void> {
  await session.createDataset()
  const tables = await DatasetTables.inspect(session)
  if (await isCommitted(session, tables, next.loadId)) return
  for (const name of names) await tables.drop(name)
  for (const table of [VERSIONS, LOADS, STATES]) await tables.ensure(table)
  const at = microsecondsOf(next.loadId)
  await forgetSchemaVersions(session, next.schema.name)
  await writeSchemaVersion(session, next.schema, at)
  await writeState(session, next.state, { loadId: next.loadId, pipeline: next.state.pipeline_name }, at)
  await writeLoad(session, next.loadId, next.schema, at)
}

/** A load id is the time in seconds since the epoch, with up to seven decimals. */
function microsecondsOf(loadId: string): bigint {
  const [seconds = '0', fraction = ''] = loadId.split('.')
  return BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0').slice(0, 6))
}
