import type { SqlSession } from '../sql/sqlSession.js'
import type { Database } from './database.js'
import type { StagedFiles } from './duckdbStaging.js'
import { freeReadBlocks } from './freedMemory.js'
import { changedSettings, settingsOf } from './instanceSettings.js'

/**
 * A commit of few rows into many columns. However few rows there are, DuckDB holds a block of 256 kB of each table that it reads, and
 * one of each column that it writes.
 */
export interface LeanCommit {
  /** Its statements let go of what they have read. */
  readonly session: SqlSession
  /** Restores the settings. */
  end(): Promise<void>
}

/**
 * One thread: with more, each keeps memory of its own, and one waits for the other most of the time. The log takes all
 * of the commit, so that the file is written when the database closes, and what DuckDB remembers of the rows is gone by then.
 */
const MANY_TABLES = { threads: '1', checkpoint_threshold: '1GiB' }

/** From so many columns on: 64 MB of blocks. */
const WORTH_COLUMNS = 256
/** What the log takes at most. */
const MOST_BYTES = 32 << 20
/** A table of few rows is a block of 256 kB: so often 16 MB are freed. */
const STATEMENTS_A_LOOK = 64

/** Prepares a commit of these rows. Undefined if it needs nothing of this, or if others use the database. */
export async function leanCommit(
  database: Database,
  session: SqlSession,
  staged: ReadonlyMap<string, StagedFiles>,
): Promise<LeanCommit | undefined> {
  if (!isOfManyColumns([...staged.values()]) || !database.takesHeadStarts || (await database.isShared()))
    return undefined
  const settings = changedSettings(session, await settingsOf(session, Object.keys(MANY_TABLES)))
  let freeing = Promise.resolve()
  let statements = 0
  const restore = async (): Promise<void> => {
    await freeing
    await settings.restore()
  }
  const stop = database.onSharing(restore)
  await settings.change(MANY_TABLES)
  database.writeOutLater(Math.max(...[...staged.values()].map(({ columns }) => columns.size)))
  return {
    session: {
      ...session,
      async run(sql, values) {
        const changed = await session.run(sql, values)
        statements++
        if (statements % STATEMENTS_A_LOOK === 0) {
          // Less memory is a wish, not a need.
          freeing = free(database).catch(() => {})
          await freeing
        }
        return changed
      },
    },
    async end() {
      await restore()
      stop()
    },
  }
}

async function free(database: Database): Promise<void> {
  if (await database.isShared()) return
  const connection = await database.connect()
  try {
    await freeReadBlocks(connection)
  } finally {
    connection.closeSync()
  }
}

function isOfManyColumns(staged: readonly StagedFiles[]): boolean {
  const columns = staged.reduce((sum, table) => sum + table.columns.size, 0)
  const bytes = staged.reduce((sum, table) => sum + table.amount.bytes, 0)
  return columns >= WORTH_COLUMNS && bytes <= MOST_BYTES
}
