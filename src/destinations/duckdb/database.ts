import { resolve } from 'node:path'
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { duckdbError } from './errors.js'

/** An opened database file or memory; several connections of one process share it. */
export interface Database {
  readonly place: string
  /** A connection set to UTC. The caller closes it. */
  connect(): Promise<DuckDBConnection>
  /**
   * Runs one writer after the other: two that create the same table would fail each other. A transaction that another
   * writer has begun ahead of its turn makes way first; the writer's own, `own`, stays.
   */
  exclusively<T>(work: () => Promise<T>, own?: MakeWay): Promise<T>
  /**
   * Begins a transaction ahead of its writer's turn, between two turns. Rejects where another one is begun; the result
   * is called when it has ended.
   */
  beginAhead(begin: () => Promise<void>, makeWay: MakeWay): Promise<() => void>
  /** Lets go of the file once all connections are closed. */
  close(): void
}

/** Rolls a begun transaction back, and resolves when that is done. */
export type MakeWay = () => Promise<void>

/** The transaction begun ahead of its writer's turn, by file of this process. */
const ahead = new Map<string, MakeWay>()

/** End of the last writer of each file of this process. */
const writers = new Map<string, Promise<unknown>>()

/** Opens a file, creating it when it is missing. Fails with `destination_locked` where another process has it. */
export async function openDatabase(path: string): Promise<Database> {
  const place = resolve(path)
  // One instance a file and process: a second one would not see what the first one writes.
  return await open(place, async () => (await import('@duckdb/node-api')).DuckDBInstance.fromCache(place))
}

/** A new database in memory; it is gone when it is closed. */
export async function openMemory(name: string): Promise<Database> {
  return await open(name, async () => (await import('@duckdb/node-api')).DuckDBInstance.create(':memory:'))
}

async function open(place: string, create: () => Promise<DuckDBInstance>): Promise<Database> {
  const instance = await create().catch(error => {
    throw duckdbError(error, place, 'opening it')
  })
  return {
    place,
    async connect() {
      const connection = await instance.connect()
      // Texts without a zone mean UTC, whatever the machine's zone is.
      await connection.run("SET SESSION TimeZone = 'UTC'")
      return connection
    },
    async beginAhead(begin, makeWay) {
      return await inTurn(place, async () => {
        if (ahead.has(place)) throw new Error(`${place} has a transaction that was begun ahead`)
        await begin()
        ahead.set(place, makeWay)
        return () => {
          if (ahead.get(place) === makeWay) ahead.delete(place)
        }
      })
    },
    async exclusively(work, own) {
      return await inTurn(place, async () => {
        const makeWay = ahead.get(place)
        if (makeWay !== own) await makeWay?.()
        return await work()
      })
    },
    close() {
      instance.closeSync()
    },
  }
}

async function inTurn<T>(place: string, work: () => Promise<T>): Promise<T> {
  const turn = (writers.get(place) ?? Promise.resolve()).then(work)
  const settled = turn.catch(() => {})
  writers.set(place, settled)
  try {
    return await turn
  } finally {
    if (writers.get(place) === settled) writers.delete(place)
  }
}
