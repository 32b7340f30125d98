import { rm } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import type { DuckDBConnection } from '@duckdb/node-api'
import { reveal } from '../../model/secrets/secret.js'
import { type Database, gone, heldTwice, inTurn, isThere, openMemory, whenFree } from '../duckdb/database.js'
import { foreign } from '../duckdb/duckdbErrors.js'
import { identityOf, isForeign, isSameFile, openings } from '../duckdb/file/openFiles.js'
import { openMended } from '../duckdb/file/tornBlock.js'
import { doubleQuoted, textLiteral } from '../sql/sqlSession.js'
import { ducklakeDialect, s3SecretStatement } from './ducklakeDialect.js'
import { ducklakeError, isConflict } from './ducklakeErrors.js'
import { type ExtensionName, loadExtensions } from './extensions.js'
import type { Catalog, Lake } from './lake.js'

/** The name under which a lake is attached. */
const LAKE = doubleQuoted('lake')
/** The name of the secret with the password of a catalog. */
const CATALOG_SECRET = 'sluice_catalog'

/** A database in memory to which a lake is attached. */
interface OpenLake {
  readonly memory: Database
  /** The catalog is a new file of ours. */
  readonly isNew: boolean
}

/** Lakes of this process whose catalog is a file: a second instance would not see the writes of the first. */
const opened = new Map<string, { users: number; readonly lake: Promise<OpenLake> }>()

/**
 * Attaches a lake, and creates it if it is missing. Fails with `destination_locked` if another process keeps its
 * catalog open for longer than `lockTimeoutMs`.
 */
export async function openLake(lake: Lake, signal: AbortSignal | undefined): Promise<Database> {
  const { catalog, place, lockTimeoutMs } = lake
  const path = catalog.kind === 'postgres' ? undefined : catalog.path
  const { memory, isNew } = await whenFree(() => shared(lake), { lockTimeoutMs, signal })
  const file = path === undefined ? undefined : await identityOf(path)
  const explain = (error: unknown, doing: string, at?: string): Error => ducklakeError(error, lake, doing, at)

  /** SQLite would make a new file, which has no lake in it. */
  const check = async (): Promise<void> => {
    if (path !== undefined && !isSameFile(file, await identityOf(path))) throw gone(path)
  }

  const connect = async (): Promise<DuckDBConnection> => {
    await check()
    const connection = await memory.connect()
    try {
      await connection.run(`USE ${LAKE}`)
      if (lake.s3 !== undefined)
        await connection.run(s3SecretStatement(await lake.s3.identity.current(signal), lake.s3))
      return connection
    } catch (error) {
      connection.closeSync()
      throw explain(error, 'connecting')
    }
  }
  return {
    place,
    dialect: ducklakeDialect,
    takesHeadStarts: false,
    explain,
    connect,
    beginAhead: () => Promise.reject(new Error('a lake takes no rows ahead of a commit')),
    async exclusively(work) {
      return await inTurn(place, () => untilFree(work, signal))
    },
    isShared: async () => false,
    onSharing: () => () => {},
    writeOutLater() {},
    check,
    async close() {
      if (isLast(place)) {
        const isUnused =
          isNew && path !== undefined && isSameFile(file, await identityOf(path)) && (await isEmpty(connect))
        await detach(memory)
        if (isUnused) for (const end of ['', '.wal', '-wal', '-shm']) await rm(`${path}${end}`, { force: true })
      }
    },
  }
}

/** Whether the lake exists. Creates nothing, but for Postgres a connection. */
export async function lakeExists(lake: Lake): Promise<boolean> {
  const { catalog } = lake
  if (catalog.kind !== 'postgres') return await isThere(catalog.path)
  try {
    await detach((await attach(lake, false)).memory)
    return true
  } catch (error) {
    if (error instanceof Error && isMissing(error.cause)) return false
    throw error
  }
}

/** Loads the extensions that the lake needs, as opening it does, and names them. Opens and creates no lake. */
export async function tryExtensions(lake: Lake): Promise<string> {
  const names = extensionsOf(lake)
  const memory = await openMemory(lake.place)
  try {
    const connection = await memory.connect()
    try {
      await loadExtensions(connection, { names, folder: lake.extensions, place: lake.place })
    } finally {
      connection.closeSync()
    }
  } finally {
    await memory.close()
  }
  return `DuckDB loads ${names.join(', ')}`
}

async function shared(lake: Lake): Promise<OpenLake> {
  const { place, catalog } = lake
  if (catalog.kind === 'postgres') return await attach(lake, true)
  const before = opened.get(place)
  if (before !== undefined) {
    before.users++
    return await before.lake
  }
  const entry = { users: 1, lake: openFile(lake, catalog.path) }
  opened.set(place, entry)
  try {
    return await entry.lake
  } catch (error) {
    opened.delete(place)
    throw error
  }
}

function isLast(place: string): boolean {
  const entry = opened.get(place)
  if (entry === undefined) return true
  if (--entry.users > 0) return false
  opened.delete(place)
  return true
}

async function openFile(lake: Lake, path: string): Promise<OpenLake> {
  const file = await identityOf(path)
  if (lake.catalog.kind === 'duckdb' && file !== undefined) {
    if (isForeign(path)) throw foreign(path)
    if (openings(file) > 0) throw heldTwice(path)
  }
  return await attach(lake, file === undefined)
}

/** `mayCreate`: a database that is no lake becomes one. */
async function attach(lake: Lake, mayCreate: boolean): Promise<OpenLake> {
  const memory = await openMemory(lake.place)
  try {
    const connection = await memory.connect()
    try {
      await loadExtensions(connection, { names: extensionsOf(lake), folder: lake.extensions, place: lake.place })
      if (lake.s3 !== undefined) await connection.run(s3SecretStatement(await lake.s3.identity.current(), lake.s3))
      const password = lake.catalog.kind === 'postgres' ? lake.catalog.address.password : undefined
      if (password !== undefined) {
        await connection.run(
          `CREATE SECRET ${CATALOG_SECRET} (TYPE postgres, PASSWORD ${textLiteral(reveal(password))})`,
        )
      }
      const { catalog } = lake
      const attached = async () => void (await connection.run(attachStatement(lake, mayCreate)))
      await (catalog.kind === 'duckdb' ? openMended(catalog.path, attached) : attached())
    } finally {
      connection.closeSync()
    }
    return { memory, isNew: mayCreate }
  } catch (error) {
    await memory.close()
    throw ducklakeError(error, lake, 'opening it')
  }
}

function extensionsOf({ catalog, s3 }: Lake): readonly ExtensionName[] {
  const ofCatalog = { duckdb: [], sqlite: ['sqlite_scanner'], postgres: ['postgres_scanner'] } as const
  return ['ducklake', ...ofCatalog[catalog.kind], ...(s3 === undefined ? [] : (['httpfs'] as const))]
}

function attachStatement(lake: Lake, mayCreate: boolean): string {
  const { catalog, overrideDataPath, metadataSchema } = lake
  // DuckLake has such a default too, but not for every kind of file.
  const dataPath = lake.dataPath ?? (mayCreate && catalog.kind !== 'postgres' ? `${catalog.path}.files` : undefined)
  const options = [
    `CREATE_IF_NOT_EXISTS ${mayCreate}`,
    ...(dataPath === undefined ? [] : [`DATA_PATH ${textLiteral(dataPath)}`]),
    ...(overrideDataPath ? ['OVERRIDE_DATA_PATH true'] : []),
    ...(metadataSchema === undefined ? [] : [`METADATA_SCHEMA ${textLiteral(metadataSchema)}`]),
    // As dlt opens it. Several processes may write.
    ...(catalog.kind === 'sqlite' ? [`META_JOURNAL_MODE 'WAL'`, 'META_BUSY_TIMEOUT 1000'] : []),
    ...(catalog.kind === 'postgres' && catalog.address.password !== undefined
      ? [`META_SECRET ${textLiteral(CATALOG_SECRET)}`]
      : []),
  ]
  return `ATTACH ${textLiteral(`ducklake:${catalogText(catalog)}`)} AS ${LAKE} (${options.join(', ')})`
}

function catalogText(catalog: Catalog): string {
  if (catalog.kind !== 'postgres') return `${catalog.kind === 'sqlite' ? 'sqlite:' : ''}${catalog.path}`
  const { host, port, user, database, tls, connectTimeoutMs } = catalog.address
  const pathOf = (pem: typeof tls.ca): string | undefined => (pem !== undefined && 'path' in pem ? pem.path : undefined)
  const words = {
    host,
    port: String(port),
    user,
    dbname: database,
    sslmode: tls.mode,
    sslrootcert: pathOf(tls.ca),
    sslcert: pathOf(tls.cert),
    sslkey: pathOf(tls.key),
    connect_timeout: String(Math.ceil(connectTimeoutMs / 1000)),
  }
  const given = Object.entries(words).filter((word): word is [string, string] => word[1] !== undefined)
  return `postgres:${given.map(([name, value]) => `${name}='${value.replace(/[\\']/g, '\\$&')}'`).join(' ')}`
}

/** The catalog may only be closed with the instance when it is detached: DuckLake keeps what it knows of it. */
async function detach(memory: Database): Promise<void> {
  try {
    const connection = await memory.connect()
    try {
      await connection.run(`DETACH ${LAKE}`)
    } finally {
      connection.closeSync()
    }
  } catch {
    // Closing the instance closes the catalog too.
  } finally {
    await memory.close()
  }
}

async function isEmpty(connect: () => Promise<DuckDBConnection>): Promise<boolean> {
  const connection = await connect()
  try {
    const reader = await connection.runAndReadAll(
      `SELECT count(*) FROM duckdb_schemas() WHERE database_name = 'lake' AND schema_name NOT IN ('main', 'information_schema', 'pg_catalog')`,
    )
    return Number(reader.getRows()[0]?.[0]) === 0
  } finally {
    connection.closeSync()
  }
}

function isMissing(error: unknown): boolean {
  return /does not exist - and creating a new DuckLake is explicitly disabled/.test(String(error))
}

/** Some process wins each time, so a writer waits for as many turns as there are others. */
const MOST_TRIES = 100

/** Runs the work again, in a new transaction, as long as another process commits first. */
async function untilFree<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (!isConflict(error) || tries >= MOST_TRIES) throw error
      await setTimeout(Math.min(25 * tries, 500), undefined, { signal }).catch(() => {})
      signal?.throwIfAborted()
    }
  }
}
