import type { CommitNotes, CommitPlan, Connection, LoadPlan, TablePlan } from '../../model/destination.js'
import { DestinationError } from '../../model/errors.js'
import { withDeleted } from '../../model/receipt.js'
import type { ReadonlyTable } from '../../schema/schemaTypes.js'
import { LOADS, loadRow, STATES, stateRow, statesOf, VERSIONS } from '../systemRows.js'
import { type Chain, type ChainTable, openChain } from './chain.js'
import { CommitTally } from './commitTally.js'
import { committedView } from './committedView.js'
import { CountedRows } from './countedRows.js'
import { DatasetTables } from './ddl.js'
import { deleteAbsent, deleteOrphans, type PlannedChain } from './merge/deleteRows.js'
import { mergeByKey } from './merge/mergeByKey.js'
import { rowsOfOthers } from './merge/rowsOfOthers.js'
import { mergeVersions } from './merge/scd2.js'
import { insertStaged } from './rows.js'
import type { SqlSession, StagedTable } from './sqlSession.js'
import {
  type CommittedLoad,
  committedOf,
  ensureSystemTables,
  forgetNewerStates,
  forgetSchemaVersions,
  insertRows,
  isCommitted,
  TURNS,
  takeTurn,
  writeSchemaVersion,
  writeSystemRows,
} from './systemStatements.js'

/** A load to commit, and its staged rows by table. */
export interface LoadToApply<Staged extends StagedTable = StagedTable> {
  readonly load: LoadPlan
  readonly plan: CommitPlan
  readonly staged: ReadonlyMap<string, Staged>
  /** Called before the relations of its rows are read one by one. Absent: they can be. */
  readonly write?: (() => Promise<void>) | undefined
}

/** Staged rows of one table, from several loads, as fewer relations to select from. */
export type JoinStaged<Staged extends StagedTable> = (
  staged: readonly Staged[],
  table: ReadonlyTable,
) => Promise<readonly StagedTable[]>

type Done = Pick<CommitNotes, 'deleted' | 'changes'>

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
): Promise<Done | undefined> {
  const [done] = await applyCommits(session, [{ load, plan, staged }], async each => each, tally)
  return done
}

/**
 * The commits of several loads in one open transaction, in order. Resolves to what each did, undefined for a load that was
 * already committed. Only a load that is alone may drop or empty tables. Rows that are only appended go in together, and
 * then nobody knows which load inserted which.
 */
export async function applyCommits<Staged extends StagedTable>(
  session: SqlSession,
  all: readonly LoadToApply<Staged>[],
  join: JoinStaged<Staged>,
  tally = new CommitTally(),
): Promise<readonly (Done | undefined)[]> {
  await session.createDataset()
  const tables = await DatasetTables.inspect(session, tally)
  const loadIds = all.map(({ load }) => load.loadId)
  const before = await committedOf(session, tables, loadIds)
  const fresh = all.filter(({ load }) => !before.has(load.loadId))
  const newest = fresh.at(-1)
  if (newest === undefined) return all.map(() => undefined)
  await takeTurn(session, tables, TURNS, newest.load.loadId)
  const opened: Opened<Staged>[] = []
  // All tables before any row: an engine may refuse to alter a table whose rows the transaction has changed.
  for (const one of fresh) opened.push(await openTables(session, tables, one))
  const areAppended = opened.length > 1 && opened.every(isAppended)
  if (areAppended) await appendTogether(session, opened, join)
  const done = new Map<string, Done>()
  const written: CommittedLoad[] = []
  for (const one of opened) {
    const { load, plan, write } = one.toApply
    if (!areAppended) await write?.()
    const wrote = areAppended ? {} : await writeRows(session, one, tally)
    done.set(load.loadId, wrote)
    const { deleted } = wrote
    const receipts = deleted === undefined ? plan.receipts : withDeleted(plan.receipts, deleted, plan.schema)
    written.push({ load, plan: { ...plan, receipts } })
  }
  await writeSystemRows(session, written)
  return all.map(({ load }) => done.get(load.loadId))
}

/** A load whose tables are there. */
interface Opened<Staged extends StagedTable> {
  readonly toApply: LoadToApply<Staged>
  readonly chains: ReadonlyMap<string, PlannedChain>
}

async function openTables<Staged extends StagedTable>(
  session: SqlSession,
  tables: DatasetTables,
  toApply: LoadToApply<Staged>,
): Promise<Opened<Staged>> {
  const { plan, staged, load } = toApply
  for (const table of plan.drop) await tables.drop(table)
  await ensureSystemTables(tables, plan)
  const chains = new Map<string, PlannedChain>()
  const isOfOthers = plan.tables.some(takesAbsent) ? await rowsOfOthers(session, load, plan.schema.name) : undefined
  for (const table of plan.tables) {
    const chain = await openChain(session, tables, plan.schema, table.table, staged, isOfOthers)
    if (chain !== undefined) chains.set(table.table, { chain, table })
  }
  for (const table of plan.truncate) await tables.empty(table)
  const taking = new Set([...chains.values()].flatMap(({ chain }) => tablesOf(chain).map(({ name }) => name)))
  const forgotten = [...staged.keys()].filter(table => !taking.has(table))
  if (forgotten.length === 0) return { toApply, chains }
  throw new DestinationError(
    'destination',
    `Rows were staged for ${forgotten.join(', ')}, which the commit leaves out`,
    { destination: load.pipeline },
  )
}

/** Whether rows may go because they did not arrive. */
function takesAbsent({ disposition, strategy, deletes, keepsAbsent }: TablePlan): boolean {
  if (deletes !== undefined) return true
  return disposition === 'merge' && (strategy === 'cdc' || (strategy === 'scd2' && keepsAbsent !== true))
}

function tablesOf({ root, nested }: Chain): readonly ChainTable[] {
  return [root, ...nested]
}

function isAppended<Staged extends StagedTable>({ chains }: Opened<Staged>): boolean {
  return [...chains.values()].every(({ table }) => table.disposition === 'append')
}

/** Inserts the rows of loads that only append. */
async function appendTogether<Staged extends StagedTable>(
  session: SqlSession,
  opened: readonly Opened<Staged>[],
  join: JoinStaged<Staged>,
): Promise<void> {
  const byTable = new Map<string, { table: ChainTable; readonly staged: Staged[] }>()
  for (const { toApply, chains } of opened) {
    for (const table of [...chains.values()].flatMap(({ chain }) => tablesOf(chain))) {
      const staged = toApply.staged.get(table.name)
      if (staged === undefined) continue
      const before = byTable.get(table.name)
      // The last schema has the columns of all.
      byTable.set(table.name, { table, staged: [...(before?.staged ?? []), staged] })
    }
  }
  for (const { table, staged } of byTable.values()) {
    for (const joined of await join(staged, table.schema)) await insertStaged(session, { ...table, staged: joined })
  }
}

/** Writes the rows of one load. Resolves to what that did. */
async function writeRows<Staged extends StagedTable>(
  session: SqlSession,
  { toApply: { plan }, chains }: Opened<Staged>,
  tally: CommitTally,
): Promise<Done> {
  const written = new Set<string>()
  const deleted = new Map<string, number>()
  const counted = await CountedRows.before(session, chains.values())
  for (const { chain, table } of chains.values()) {
    const gone = await writeChain(session, chain, table, plan.committedAt, counted)
    if (gone > 0) deleted.set(table.table, gone)
    for (const { name } of tablesOf(chain)) written.add(name)
  }
  await counted.settle()
  for (const [table, gone] of await deleteOrphans(session, chains, plan.committedAt)) deleted.set(table, gone)
  return { deleted, changes: tally.changes(written) }
}

/** Resolves to the number of root rows that `deletes` removed. */
async function writeChain(
  session: SqlSession,
  chain: Chain,
  plan: TablePlan,
  committedAt: bigint,
  counted: CountedRows,
): Promise<number> {
  switch (plan.disposition) {
    case 'append':
      await appendAll(session, chain)
      return 0
    case 'replace':
      for (const table of tablesOf(chain).toReversed())
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
      return gone + (await mergeByKey(session, chain, plan, strategy, counted))
    }
  }
}

async function appendAll(session: SqlSession, chain: Chain): Promise<void> {
  for (const table of tablesOf(chain)) await insertStaged(session, table)
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
  await forgetNewerStates(session, next.otherStates ?? [], next.loadId)
  await insertRows(
    session,
    STATES,
    statesOf(next).map(state => stateRow(state, next.loadId, at)),
  )
  await insertRows(session, LOADS, [loadRow(next.loadId, next.schema, at)])
}

/** A load id is the time in seconds since the epoch, with up to seven decimals. */
function microsecondsOf(loadId: string): bigint {
  const [seconds = '0', fraction = ''] = loadId.split('.')
  return BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0').slice(0, 6))
}
