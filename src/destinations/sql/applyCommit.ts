import type { CommitNotes, CommitPlan, Connection, LoadPlan, TablePlan } from '../../model/destination.js'
import { DestinationError } from '../../model/errors.js'
import { withDeleted } from '../../model/receipt.js'
import { type Chain, openChain } from './chain.js'
import { CommitTally } from './commitTally.js'
import { committedView } from './committedView.js'
import { DatasetTables } from './ddl.js'
import { deleteAbsent, deleteOrphans, type PlannedChain } from './deleteRows.js'
import { mergeByKey } from './mergeByKey.js'
import { insertStaged } from './rows.js'
import { mergeVersions } from './scd2.js'
import type { SqlSession, StagedTable } from './sqlSession.js'
import {
  ensureSystemTables,
  forgetSchemaVersions,
  isCommitted,
  LOADS,
  STATES,
  TURNS,
  takeTurn,
  VERSIONS,
  writeLoad,
  writeSchemaVersion,
  writeState,
  writeSystemRows,
} from './systemRows.js'

/**
 * Everything a commit does in one open transaction of any SQL engine: refresh, tables, rows, system rows. Resolves to
 * what it did. If the load was already committed, it does nothing and resolves to undefined. `tally` has what was done
 * before in the same transaction.
 */
export async function applyCommit(
  session: SqlSession,
  load: LoadPlan,
  plan: CommitPlan,
  staged: ReadonlyMap<string, StagedTable>,
  tally = new CommitTally(),
): Promise<Pick<CommitNotes, 'deleted' | 'changes'> | undefined> {
  await session.createDataset()
  const tables = await DatasetTables.inspect(session, tally)
  if (await isCommitted(session, tables, load.loadId)) return undefined
  await takeTurn(session, tables, TURNS, load.loadId)
  for (const table of plan.drop) await tables.drop(table)
  // All tables before any row: an engine may refuse to alter a table whose rows the transaction has changed.
  await ensureSystemTables(tables, plan)
  const chains = new Map<string, PlannedChain>()
  for (const table of plan.tables) {
    const chain = await openChain(session, tables, plan.schema, table.table, staged)
    if (chain !== undefined) chains.set(table.table, { chain, table })
  }
  for (const table of plan.truncate) await tables.empty(table)
  const written = new Set<string>()
  const deleted = new Map<string, number>()
  for (const { chain, table } of chains.values()) {
    const gone = await writeChain(session, chain, table, plan.committedAt)
    if (gone > 0) deleted.set(table.table, gone)
    for (const { name } of [chain.root, ...chain.nested]) written.add(name)
  }
  for (const [table, gone] of await deleteOrphans(session, chains, plan.committedAt)) deleted.set(table, gone)
  const forgotten = [...staged.keys()].filter(table => !written.has(table))
  if (forgotten.length > 0) {
    throw new DestinationError(
      'destination',
      `Rows were staged for ${forgotten.join(', ')}, which the commit leaves out`,
      {
        destination: load.pipeline,
      },
    )
  }
  await writeSystemRows(session, { ...plan, receipts: withDeleted(plan.receipts, deleted, plan.schema) }, load)
  return { deleted, changes: tally.changes(written) }
}

/** Resolves to the number of root rows that `deletes` removed. */
async function writeChain(session: SqlSession, chain: Chain, plan: TablePlan, committedAt: bigint): Promise<number> {
  switch (plan.disposition) {
    case 'append':
      await appendAll(session, chain)
      return 0
    case 'replace':
      for (const table of [...[chain.root, ...chain.nested]].reverse())
        table.tally.replaced += await session.run(`DELETE FROM ${table.target}`)
      await appendAll(session, chain)
      return 0
    case 'merge': {
      const strategy = plan.strategy ?? 'delete-insert'
      if (strategy === 'scd2') {
        await mergeVersions(session, chain, plan, plan.boundary ?? committedAt)
        return 0
      }
      const gone = await deleteAbsent(session, chain, plan, committedAt)
      return gone + (await mergeByKey(session, chain, plan, strategy))
    }
  }
}

async function appendAll(session: SqlSession, chain: Chain): Promise<void> {
  for (const table of [chain.root, ...chain.nested]) await insertStaged(session, table)
}

/** Drops tables in one open transaction. Does nothing if the load id was already committed. */
export async function applyDrop(session: SqlSession, planned: Parameters<Connection['drop']>[0]): Promise<void> {
  const next = await planned(committedView(session))
  await session.createDataset()
  const tables = await DatasetTables.inspect(session)
  if (await isCommitted(session, tables, next.loadId)) return
  await takeTurn(session, tables, TURNS, next.loadId)
  for (const name of next.tables) await tables.drop(name)
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
