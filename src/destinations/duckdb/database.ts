import { existsSync } from 'node:fs'
import { access, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { DestinationError } from '../../model/errors.js'
import { textLiteral } from '../sql/sqlSession.js'
import { duckdbError } from './duckdbErrors.js'
import { identityOf, isSameFile, openings } from './openFiles.js'

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
  /** Whether anybody else in this process reads or writes here: settings of the instance are theirs too. */
  isShared(): Promise<boolean>
  /** Calls `end`, and waits for it, before another connection of ours is opened; until the result is called. */
  onSharing(end: () => Promise<void>): () => void
  /** Fails where the file is no longer the one that was opened, or is open a second time: what is written would be lost. */
  check(): Promise<void>
  /** Lets go of the file once all connections are closed. A file that it made and that is still empty is gone. */
  close(): Promise<void>
}

/** Rolls a begun transaction back, and resolves when that is done. */
type MakeWay = () => Promise<void>

/** The transaction begun ahead of its writer's turn, by file of this process. */
const ahead = new Map<string, MakeWay>()

/** End of the last writer of each file of this process. */
const writers = new Map<string, Promise<unknown>>()

/** How often each file is open in this process. */
const opened = new Map<string, number>()

/** Told when another connection of this process to a file is about to be opened. */
const sharing = new Map<string, () => Promise<void>>()

/**
 * Opens a file, creating it when it is missing. Fails with `destination_locked` where another process has it, or this one
 * through an instance of its own.
 */
export async function openDatabase(path: string): Promise<Database> {
  const place = resolve(path)
  // Without waiting: DuckDB opens the file in a thread of its own while the caller loads other things.
  const isNew = !existsSync(place)
  const isOurs = opened.has(place)
  // Before anything waits: whoever opens the same file meanwhile must find it.
  opened.set(place, (opened.get(place) ?? 0) + 1)
  const close = (): boolean => {
    const others = (opened.get(place) ?? 1) - 1
    if (others > 0) opened.set(place, others)
    else opened.delete(place)
    return others === 0
  }
  try {
    const isHosts = !isOurs && !isNew && (await isHeldByHost(place))
    await sharing.get(place)?.()
    // One instance a file and process: a second one would not see what the first one writes.
    const database = await open(place, async () => driver().DuckDBInstance.fromCache(place))
    const file = await identityOf(place)
    const before = file === undefined ? 0 : openings(file)
    return {
      ...database,
      isShared: async () => isHosts || opened.get(place) !== 1 || (await connectionsOf(database)) > 1,
      onSharing(end) {
        sharing.set(place, end)
        return () => {
          if (sharing.get(place) === end) sharing.delete(place)
        }
      },
      async check() {
        if (!isSameFile(file, await identityOf(place))) throw gone(place)
        if (file !== undefined && openings(file) > before) throw heldTwice(place)
      },
      async close() {
        if (close() && isNew && isSameFile(file, await identityOf(place))) await removeEmpty(database)
        await database.close()
      },
    }
  } catch (error) {
    close()
    throw error
  }
}

/**
 * Whether the program around has this file open already, in the instance that is shared. Fails where it has it in another
 * one: two instances of one process are not kept apart by the locks of the system, and each writes over the other.
 */
async function isHeldByHost(place: string): Promise<boolean> {
  const file = await identityOf(place)
  if (file === undefined || openings(file) === 0) return false
  if (await isInCache(place)) return true
  throw heldTwice(place)
}

/**
 * Whether the shared cache has an instance with this file. DuckDB looks for that before it looks at the key, and at the
 * key before it opens the file: so neither answer touches the file.
 */
async function isInCache(place: string): Promise<boolean> {
  const instance = await driver().DuckDBInstance.fromCache(':memory:sluice')
  try {
    const connection = await instance.connect()
    try {
      await connection.run(`ATTACH ${textLiteral(place)} AS sluice_probe (TYPE duckdb, ENCRYPTION_KEY '')`)
      return false
    } catch (error) {
      return /already attached/i.test(String(error))
    } finally {
      connection.closeSync()
    }
  } finally {
    instance.closeSync()
  }
}

/** Connections to an instance, whoever opened them. */
async function connectionsOf({ connect }: Pick<Database, 'connect'>): Promise<number> {
  const connection = await connect()
  try {
    const reader = await connection.runAndReadAll('SELECT count FROM duckdb_connection_count()')
    return Number(reader.getRows()[0]?.[0]) - 1
  } finally {
    connection.closeSync()
  }
}

function heldTwice(place: string): DestinationError {
  return new DestinationError(
    'destination_locked',
    `${place} is open in this process through another instance of DuckDB: each of the two would write over what the other one wrote. Open it with DuckDBInstance.fromCache(${JSON.stringify(place)}) instead of DuckDBInstance.create, or close it before`,
    { destination: place },
  )
}

function gone(place: string): DestinationError {
  return new DestinationError(
    'destination',
    `${place} was removed or replaced while it was being loaded: what is written goes nowhere. Run again`,
    { destination: place, transient: true },
  )
}

/** Whether there is a file, or anything else, at this path. */
export async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}

/**
 * Takes away the file of a database without a table, while it is still locked: nobody else can have begun to write into
 * it. Where an open file cannot be removed, it stays.
 */
async function removeEmpty({ place, connect }: Database): Promise<void> {
  try {
    const connection = await connect()
    try {
      const reader = await connection.runAndReadAll(
        'SELECT (SELECT count(*) FROM duckdb_tables()) + (SELECT count(*) FROM duckdb_views() WHERE NOT internal)',
      )
      if (Number(reader.getRows()[0]?.[0]) > 0) return
    } finally {
      connection.closeSync()
    }
    await rm(place, { force: true })
  } catch {
    // An empty file is no harm.
  }
}

/** A new database in memory; it is gone when it is closed. */
export async function openMemory(name: string): Promise<Database> {
  return await open(name, async () => driver().DuckDBInstance.create(':memory:'))
}

/**
 * Loaded with the first database. Its sixty CommonJS files take `import` 135 ms and 200 ms of CPU time, `require` 75 and 95;
 * it is the same module for both, and so is its cache of instances.
 */
function driver(): typeof import('@duckdb/node-api') {
  return createRequire(import.meta.url)('@duckdb/node-api')
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
    isShared: async () => false,
    onSharing: () => () => {},
    check: async () => {},
    async close() {
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
