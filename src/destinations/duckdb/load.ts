import type { CommitPlan, Load, LoadPlan } from '../../core/destination.js'
import { applyCommit } from '../sql/commit.js'
import type { Database } from './database.js'
import { duckdbError } from './errors.js'
import { duckdbSession, inTransaction } from './session.js'
import type { StagingFolder } from './staging.js'

/** A load into DuckDB: files until the commit, then one transaction. `release` is called once, at its end. */
export function duckdbLoad(
  database: Database,
  dataset: string,
  plan: LoadPlan,
  folder: StagingFolder,
  release: () => void,
  signal: AbortSignal | undefined,
): Load {
  let ended = false
  const end = async (): Promise<void> => {
    if (ended) return
    ended = true
    await folder.remove()
    release()
  }
  return {
    async stage(batch, schema) {
      signal?.throwIfAborted()
      if (ended) throw new Error('stage after the end of the load')
      await folder.add(batch, schema).catch(error => {
        throw duckdbError(error, database.place, `staging rows of ${batch.table}`)
      })
    },
    async commit(final) {
      if (ended) return
      await database
        .exclusively(() => commit(database, dataset, plan, folder, final, signal))
        .catch(error => {
          throw duckdbError(error, database.place, `committing load ${plan.loadId}`)
        })
      await end()
    },
    abort: end,
  }
}

async function commit(
  database: Database,
  dataset: string,
  load: LoadPlan,
  folder: StagingFolder,
  final: CommitPlan,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted()
  const staged = await folder.finish(final.schema)
  const connection = await database.connect()
  const interrupt = (): void => connection.interrupt()
  signal?.addEventListener('abort', interrupt)
  try {
    // The order of rows in a table is not promised; keeping it would cost threads and memory.
    await connection.run('SET SESSION preserve_insertion_order = false')
    const session = await duckdbSession(connection, dataset)
    await inTransaction(connection, async () => {
      await applyCommit(session, load, final, staged)
      signal?.throwIfAborted()
    })
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', interrupt)
    connection.closeSync()
  }
}
