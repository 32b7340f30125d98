import type { DuckDBConnection } from '@duckdb/node-api'
import { asShown, mebibytes } from './instanceSettings.js'

/** Blocks that DuckDB has read. It keeps them while there is memory, and can read them again. */
const READ_AGAIN = ['BASE_TABLE', 'EXTERNAL_FILE_CACHE']
/** So little is not worth the statements that free it. */
const WORTH_FREEING_BYTES = 8 << 20
/** DuckDB needs some of what it has read. */
const ROOM_BYTES = 8 << 20
/** To compress tables of few columns. */
const ROOM_TO_WRITE_BYTES = 64 << 20

interface Usage {
  readonly all: number
  readonly readAgain: number
  /** Rows that are in no file yet. They cannot go. */
  readonly unwritten: number
}

async function usageOf(connection: DuckDBConnection): Promise<Usage> {
  const sum = (tags: readonly string[]): string =>
    `coalesce(sum(memory_usage_bytes) FILTER (tag IN (${tags.map(tag => `'${tag}'`).join(', ')})), 0)`
  const reader = await connection.runAndReadAll(
    `SELECT coalesce(sum(memory_usage_bytes), 0), ${sum(READ_AGAIN)}, ${sum(['IN_MEMORY_TABLE'])} FROM duckdb_memory()`,
  )
  const [all = 0, readAgain = 0, unwritten = 0] = (reader.getRows()[0] ?? []).map(Number)
  return { all, readAgain, unwritten }
}

/**
 * Frees the blocks that DuckDB has read and does not use now. The memory limit is lower for a moment, so nobody else may use the
 * instance. Takes a connection without a transaction: a failure would end it.
 */
export async function freeReadBlocks(connection: DuckDBConnection): Promise<void> {
  const { all, readAgain } = await usageOf(connection)
  if (readAgain < WORTH_FREEING_BYTES) return
  await withMemoryLimit(connection, all - readAgain + ROOM_BYTES, async () => {})
}

/**
 * Writes into the file what commits left in the log, with little memory: what DuckDB keeps of these commits goes to disk
 * meanwhile. `mostColumns` are those of the widest table. If it rejects, all of it is still in the log, and the instance may be
 * unusable.
 */
export async function writeOut(connection: DuckDBConnection, mostColumns: number): Promise<void> {
  const { unwritten } = await usageOf(connection)
  // Two blocks for each column, and as much again for others.
  const columns = mostColumns * (1 << 20)
  await withMemoryLimit(connection, unwritten + Math.max(ROOM_TO_WRITE_BYTES, columns), async () => {
    await connection.run('CHECKPOINT')
  })
}

/** Runs the work with at most so much memory. Rejects if DuckDB needs more. */
async function withMemoryLimit(connection: DuckDBConnection, bytes: number, work: () => Promise<void>): Promise<void> {
  const reader = await connection.runAndReadAll("SELECT current_setting('memory_limit')::VARCHAR")
  const before = asShown(String(reader.getRows()[0]?.[0]))
  const mib = Math.ceil(bytes / 2 ** 20)
  if (mib >= mebibytes(before)) return await work()
  try {
    await connection.run(`SET memory_limit = '${mib}MiB'`)
    await work()
  } finally {
    await connection.run(`SET memory_limit = '${before}'`)
  }
}
