import { existsSync, rmSync } from 'node:fs'
import { access, mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { DestinationError } from '../../model/errors.js'
import { inTurns } from '../../model/runtime/inTurn.js'
import { ownPlace } from '../../model/runtime/ownPlace.js'
import { type Dialect, textLiteral } from '../sql/sqlSession.js'
import { duckdbDialect } from './duckdbDialect.js'
import { duckdbError, foreign } from './duckdbErrors.js'
import { identityOf, isForeign, isSameFile, openings } from './file/openFiles.js'
import { openMended } from './file/tornBlock.js'
import { writeOut } from './freedMemory.js'

/** An open database, in a file or in memory, or a lake. Several connections of one process share it. */
export interface Database {
  readonly place: string
  readonly dialect: Dialect
  /** Whether rows may go into their tables before the load is judged, in a transaction that may be rolled back. */
  readonly takesHeadStarts: boolean
  /** Explains a failure, and what to do about it. `at`: the file that it is about, if not the database. */
  explain(error: unknown, doing: string, at?: string): Error
  /** A connection set to UTC. The caller closes it. */
  connect(): Promise<DuckDBConnection>
  /**
   * Runs one writer after the other, because two that create the same table would conflict. First rolls back a
   * transaction that another writer began ahead of its turn. The writer's own, `own`, stays. Where other processes
   * write too, the work runs again after a conflict with them.
   */
  exclusively<T>(work: () => Promise<T>, own?: MakeWay): Promise<T>
  /**
   * Begins a transaction ahead of its writer's turn, between two turns. Rejects if there already is one. Call the
   * result when the transaction has ended.
   */
  beginAhead(begin: () => Promise<void>, makeWay: MakeWay): Promise<() => void>
  /** Whether other code in this process reads or writes here. It shares the settings of the instance. */
  isShared(): Promise<boolean>
  /** Calls and awaits `end` before Sluice opens another connection. Call the result to stop this. */
  onSharing(end: () => Promise<void>): () => void
  /** Before it closes, writes into the file what is in the log, with little memory. `columns` are those of the widest table there. */
  writeOutLater(columns: number): void
  /**
   * Fails if the file is no longer the one that was opened, or is open a second time. Rows written to it would be lost.
   */
  check(): Promise<void>
  /** Releases the file once all connections are closed. Removes a file that it created and that is still empty. */
  close(): Promise<void>
}

/** Rolls back an open transaction, and resolves when that is done. */
type MakeWay = () => Promise<void>

/** By file of this process: the transaction begun ahead of its writer's turn. */
const ahead = new Map<string, MakeWay>()

/** Runs what writes to one file of this process one after the other. */
export const inTurn = inTurns()
/** Opens one file after the other calls that open it. */
const opening = inTurns()

/** How often each file is open in this process. */
const opened = new Map<string, number>()

/** By file of this process: the look whether the host program has it open. */
const looking = new Map<string, Promise<boolean>>()

/** Called before this process opens another connection to a file. */
const sharing = new Map<string, () => Promise<void>>()

/** By file: the columns of the widest table of which the log has rows that wait for the end. */
const inLog = new Map<string, number>()

export interface OpenDatabaseOptions {
  /** How long to wait while another process has the file open. */
  readonly lockTimeoutMs: number
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Opens a file, and creates it if it is missing. Fails with `destination_locked` if another process keeps it open for
 * longer than `lockTimeoutMs`, or if this process has it open in another instance.
 */
export async function openDatabase(path: string, options: OpenDatabaseOptions): Promise<Database> {
  return await whenFree(() => openAtOnce(path), options)
}

/** Tries to open until no other process is in the way, or `lockTimeoutMs` are over. */
export async function whenFree<T>(open: () => Promise<T>, options: OpenDatabaseOptions): Promise<T> {
  for (let waitedMs = 0, waitMs = 20; ; waitedMs += waitMs, waitMs = Math.min(2 * waitMs, 250)) {
    try {
      return await open()
    } catch (error) {
      if (!isHeldByProcess(error) || waitedMs >= options.lockTimeoutMs) throw error
      await setTimeout(waitMs, undefined, { signal: options.signal }).catch(() => {})
      options.signal?.throwIfAborted()
    }
  }
}

/** Another process ends sooner or later; code of this process may wait for this very call. */
function isHeldByProcess(error: unknown): boolean {
  return error instanceof DestinationError && error.code === 'destination_locked' && error.transient
}

async function openAtOnce(path: string): Promise<Database> {
  const place = resolve(path)
  // Does not wait: DuckDB opens the file in its own thread while the caller loads other things.
  const isNew = !existsSync(place)
  const isOurs = opened.has(place)
  if (!isOurs && !isNew && isForeign(place)) throw foreign(place)
  // Before the first await: another caller that opens the same file meanwhile must see this.
  opened.set(place, (opened.get(place) ?? 0) + 1)
  const close = (): boolean => {
    const others = (opened.get(place) ?? 1) - 1
    if (others > 0) opened.set(place, others)
    else opened.delete(place)
    return others === 0
  }
  try {
    if (!isOurs && !isNew)
      looking.set(
        place,
        isHeldByHost(place).finally(() => looking.delete(place)),
      )
    // Whoever opens the file meanwhile waits too: it may turn out to be open in another instance.
    const isHosts = (await looking.get(place)) === true
    await sharing.get(place)?.()
    // One instance for each file and process: a second one would not see the writes of the first.
    const create = () => openMended(place, async () => driver().DuckDBInstance.fromCache(place))
    // In turn: no other call has the file open while it is mended.
    const database = await opening(place, () => open(place, create))
    const file = await identityOf(place)
    const before = file === undefined ? 0 : openings(file)
    const isShared = async () => isHosts || opened.get(place) !== 1 || (await connectionsOf(database)) > 1
    const onSharing = (end: () => Promise<void>) => {
      sharing.set(place, end)
      return () => {
        if (sharing.get(place) === end) sharing.delete(place)
      }
    }
    const writeLog = async (columns: number): Promise<void> => {
      if (await isShared()) return
      const connection = await database.connect()
      await writeOut(connection, columns).finally(() => connection.closeSync())
    }
    return {
      ...database,
      isShared,
      onSharing,
      writeOutLater(columns) {
        inLog.set(place, Math.max(columns, inLog.get(place) ?? 0))
      },
      async check() {
        if (!isSameFile(file, await identityOf(place))) throw gone(place)
        if (file !== undefined && openings(file) > before) throw heldTwice(place)
      },
      async close() {
        const columns = inLog.get(place)
        if (columns !== undefined && opened.get(place) === 1) {
          inLog.delete(place)
          // What fails stays in the log.
          const writing = writeLog(columns).catch(() => {})
          await writing.finally(onSharing(() => writing))
        }
        if (close() && isNew && isSameFile(file, await identityOf(place))) await removeEmpty(database)
        await database.close()
      },
    }
  } catch (error) {
    close()
    throw error
  }
}

/** An instance that nobody uses any more is closed within this time, in a thread of DuckDB or with a collection of garbage. */
const LONGEST_CLOSING_MS = 500
const CLOSING_STEP_MS = 20

/**
 * Whether the host program has this file open already, in the shared instance. Fails if it uses another instance.
 * System locks do not separate two instances of one process, and each would overwrite the other.
 */
async function isHeldByHost(place: string): Promise<boolean> {
  const file = await identityOf(place)
  if (file === undefined) return false
  for (let waitedMs = 0; openings(file) > 0; waitedMs += CLOSING_STEP_MS) {
    if (await isInCache(place)) return true
    if (waitedMs >= LONGEST_CLOSING_MS) throw heldTwice(place)
    await setTimeout(CLOSING_STEP_MS)
  }
  return false
}

/**
 * Whether the shared cache has an instance with this file. DuckDB checks that first, then the key, and only then opens
 * the file. So neither answer touches the file.
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

/** Connections to an instance, including those of others. */
async function connectionsOf({ connect }: Pick<Database, 'connect'>): Promise<number> {
  const connection = await connect()
  try {
    const reader = await connection.runAndReadAll('SELECT count FROM duckdb_connection_count()')
    return Number(reader.getRows()[0]?.[0]) - 1
  } finally {
    connection.closeSync()
  }
}

export function heldTwice(place: string): DestinationError {
  return new DestinationError(
    'destination_locked',
    `${place} is open in this process through another instance of DuckDB: each of the two would write over what the other one wrote. Open it with DuckDBInstance.fromCache(${JSON.stringify(place)}) instead of DuckDBInstance.create, or close it before`,
    { destination: place },
  )
}

export function gone(place: string): DestinationError {
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
 * Removes the file of a database without tables while it is still locked, so that nobody else can have begun to write.
 * If an open file cannot be removed, it stays.
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
    // An empty file does no harm.
  }
}

/** Of databases in memory that are open. A program may end without closing one. */
const spillFolders = new Set<string>()

function removeSpillFolders(): void {
  for (const folder of spillFolders) rmSync(folder, { recursive: true, force: true })
}

/**
 * A new database in memory. Closing it deletes it. What does not fit goes into a folder of its own, which only this user
 * can read; DuckDB would take `.tmp` where the program runs.
 */
export async function openMemory(name: string): Promise<Database> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-memory-'))
  if (spillFolders.size === 0) process.once('exit', removeSpillFolders)
  spillFolders.add(folder)
  const removeFolder = async (): Promise<void> => {
    await rm(folder, { recursive: true, force: true })
    spillFolders.delete(folder)
    if (spillFolders.size === 0) process.off('exit', removeSpillFolders)
  }
  try {
    const options = { temp_directory: join(folder, 'spilled') }
    const database = await open(name, async () => driver().DuckDBInstance.create(':memory:', options))
    return {
      ...database,
      async close() {
        await database.close()
        await removeFolder()
      },
    }
  } catch (error) {
    await removeFolder()
    throw error
  }
}

/**
 * Loaded with the first database. Its sixty CommonJS files take 135 ms (200 ms of CPU time) with `import`, and 75 (95)
 * with `require`. Both give the same module, with the same cache of instances.
 */
export function driver(): typeof import('@duckdb/node-api') {
  if ((import.meta.url as string | undefined) === undefined) return createRequire(ownPlace())('@duckdb/node-api')
  // Tools that copy what a server needs, as the standalone output of Next.js, find the package in these words only.
  const require = createRequire(import.meta.url)
  return require('@duckdb/node-api')
}

async function open(place: string, create: () => Promise<DuckDBInstance>): Promise<Database> {
  const instance = await create().catch(error => {
    throw duckdbError(error, place, 'opening it')
  })
  return {
    place,
    dialect: duckdbDialect,
    takesHeadStarts: true,
    explain: (error, doing, at = place) => duckdbError(error, at, doing),
    async connect() {
      const connection = await instance.connect()
      // Texts without a zone mean UTC, whatever this machine's zone is.
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
    writeOutLater() {},
    check: async () => {},
    async close() {
      instance.closeSync()
    },
  }
}
