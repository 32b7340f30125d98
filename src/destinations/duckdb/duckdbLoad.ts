import type {
  CommitAnew,
  CommitNotes,
  CommitPlan,
  Load,
  LoadPlan,
  OnStatement,
  StagedLoad,
} from '../../model/destination.js'
import { applyCommit, applyCommits } from '../sql/applyCommit.js'
import { committedView, inspectedOnce } from '../sql/committedView.js'
import { type SqlSession, toldSession } from '../sql/sqlSession.js'
import type { Database } from './database.js'
import { duckdbSession, inTransaction, interruptible } from './duckdbSession.js'
import { joinStaged, type Staged, type StagingFolder } from './duckdbStaging.js'
import { type HeadStart, headStart } from './headStart.js'
import { type LeanCommit, leanCommit } from './leanCommit.js'

/** A load into DuckDB. */
export interface DuckdbLoad extends Load {
  readonly plan: LoadPlan
  readonly folder: StagingFolder
  readonly onStatement: OnStatement | undefined
}

/** A load into DuckDB: files until the commit, then one transaction. Calls `release` once, at its end. */
export function duckdbLoad(
  database: Database,
  dataset: string,
  plan: LoadPlan,
  expectUnchanged: (session: SqlSession) => Promise<void>,
  folder: StagingFolder,
  release: () => void,
  signal: AbortSignal | undefined,
  onStatement: OnStatement | undefined,
): DuckdbLoad {
  const start = headStart(database, dataset, folder, onStatement)
  let ended = false
  let done: Done
  const end = async (): Promise<void> => {
    if (ended) return
    ended = true
    try {
      await start.end()
      await folder.remove()
    } finally {
      release()
    }
  }
  return {
    plan,
    folder,
    onStatement,
    async stage(batch, schema) {
      signal?.throwIfAborted()
      if (ended) throw new Error('stage after the end of the load')
      await folder.add(batch, schema).catch(error => {
        throw database.explain(error, `staging rows of ${batch.table}`)
      })
      // What several loads commit is planned in the commit.
      if (plan.part === undefined) start.staged(batch.table, schema)
    },
    async commit(final, anew) {
      if (ended) return
      await start.stop()
      done = await database
        .exclusively(
          () =>
            commit({ database, dataset, load: plan, expectUnchanged, folder, start, final, anew, signal, onStatement }),
          start.end,
        )
        .catch(error => {
          if (signal?.aborted === true && error === signal.reason) throw error
          throw database.explain(error, `committing load ${plan.loadId}`)
        })
      // The load is committed. The next load removes leftovers.
      await end().catch(() => {})
    },
    abort: end,
    notes: () => ({ ...done, ...(start.lost() === undefined ? {} : { headStartLost: start.lost() }) }),
  }
}

/** A load of several that one transaction commits. */
export interface LoadTogether extends Omit<StagedLoad, 'load'> {
  readonly load: DuckdbLoad
}

/** Commits loads in one transaction, and ends them. If that fails, they stay as they are. */
export async function commitTogether(
  database: Database,
  dataset: string,
  loads: readonly LoadTogether[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const loadIds = loads.map(({ load }) => load.plan.loadId)
  const commit = async (): Promise<void> => {
    signal?.throwIfAborted()
    const connection = await database.connect()
    try {
      await connection.run('SET SESSION preserve_insertion_order = false')
      const onStatement = loads[0]?.load.onStatement
      const open = toldSession(await duckdbSession(connection, dataset, database.dialect), onStatement)
      await inTransaction(connection, () =>
        interruptible(connection, signal, async () => {
          const session = inspectedOnce(open)
          const now = committedView(session, loadIds)
          const before: CommitPlan[] = []
          const toApply = []
          for (const { load, anew } of loads) {
            const plan = await anew(now, before)
            before.push(plan)
            const staged = await load.folder.finishHeld(plan.schema)
            toApply.push({ load: load.plan, plan, staged, write: () => load.folder.write() })
          }
          await applyCommits(session, toApply, joinStaged)
          signal?.throwIfAborted()
          await database.check()
        }),
      )
      await database.check()
    } finally {
      connection.closeSync()
    }
  }
  await database.exclusively(commit).catch(error => {
    if (signal?.aborted === true && error === signal.reason) throw error
    throw database.explain(error, `committing the loads ${loadIds.join(', ')}`)
  })
  // They are committed. The next load removes leftovers.
  for (const { load } of loads) await load.abort().catch(() => {})
}

/** What a commit did. Undefined if the load was committed before. */
type Done = Pick<CommitNotes, 'deleted' | 'changes'> | undefined

interface Committing {
  readonly database: Database
  readonly dataset: string
  readonly load: LoadPlan
  /** Fails if another run has moved the cursors of the pipeline. Not where the file has one process. */
  readonly expectUnchanged: (session: SqlSession) => Promise<void>
  readonly folder: StagingFolder
  readonly start: HeadStart
  readonly final: CommitPlan
  /** Plans the load again, when no other one can commit. */
  readonly anew: CommitAnew | undefined
  readonly signal: AbortSignal | undefined
  readonly onStatement: OnStatement | undefined
}

async function commit(committing: Committing): Promise<Done> {
  const { database, dataset, load, expectUnchanged, folder, start, final, anew, signal, onStatement } = committing
  signal?.throwIfAborted()
  const staged = await folder.finish(final.schema)
  const begun = load.part === undefined ? await commitBegun(committing, staged) : undefined
  if (begun !== undefined) return begun
  await start.end()
  const connection = await database.connect()
  let lean: LeanCommit | undefined
  try {
    // Row order in a table is not promised, and keeping it would cost threads and memory.
    await connection.run('SET SESSION preserve_insertion_order = false')
    const open = toldSession(await duckdbSession(connection, dataset, database.dialect), onStatement)
    lean = await leanCommit(database, open, staged.all)
    const own = lean?.session ?? open
    let done: Done
    // Not the COMMIT itself: nobody would know whether it is done.
    await inTransaction(connection, () =>
      interruptible(connection, signal, async () => {
        const session = inspectedOnce(own)
        if (session.dialect.letsCommitsOverlap) await expectUnchanged(session)
        const current = anew === undefined ? final : await anew(committedView(session, [load.loadId]))
        done = await applyCommit(session, load, current, staged.all)
        signal?.throwIfAborted()
        await database.check()
      }),
    )
    await database.check()
    return done
  } finally {
    await lean?.end()
    connection.closeSync()
  }
}

/** Commits the transaction that was begun while rows arrived. If there is none, does nothing and returns undefined. */
async function commitBegun({ database, load, start, final, anew, signal }: Committing, staged: Staged): Promise<Done> {
  try {
    const plan = async (session: SqlSession) =>
      anew === undefined ? final : await anew(committedView(session, [load.loadId]))
    const begun = await start.finish(plan, staged, signal)
    if (begun === undefined) return undefined
    const { connection, session } = begun
    const done = await interruptible(connection, signal, async () => {
      const applied = await applyCommit(session, load, begun.plan, begun.staged, begun.tally)
      if (applied === undefined) return undefined
      signal?.throwIfAborted()
      await database.check()
      return applied
    })
    if (done === undefined) return undefined
    await connection.run('COMMIT')
    await database.check()
    return done
  } catch (error) {
    // An error in the rows appears again when the commit starts from the files.
    signal?.throwIfAborted()
    start.failed(error)
    return undefined
  }
}
