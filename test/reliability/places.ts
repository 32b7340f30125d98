import { cp, mkdir, readdir, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { type PostgresServer, startPostgres } from '../destinations/postgresServer.js'
import type { Job } from './process.js'

/** How a load writes, by its name in the matrix. */
export const dispositions = {
  append: { disposition: 'append' },
  replace: { disposition: 'replace' },
  merge: { disposition: 'merge' },
  'append with a cursor': { disposition: 'append', cursor: true },
  'merge with a cursor': { disposition: 'merge', cursor: true },
} as const satisfies Readonly<Record<string, Pick<Job, 'disposition' | 'cursor'>>>
export type Disposition = keyof typeof dispositions

/** A kind of destination that is loaded by processes that are killed. */
export interface Place {
  readonly dispositions: readonly Disposition[]
  /** Its part of every `of` random kills. */
  readonly turn: number
  /** What a process was doing there may end a moment after it. */
  readonly lingers: boolean
  /** Makes room for datasets: files in this folder, or elsewhere. */
  open(folder: string): Promise<Room>
}

/** Where the datasets of one run of the matrix are, one for each account. */
export interface Room {
  /** Address of a place of the account's own, with nothing in it or with what another account has. */
  make(account: string, from?: string): Promise<string>
  remove(account: string): Promise<void>
  /**
   * What a load that is over leaves to nobody: logs of an engine, staged rows, notes, rows in files that count no more.
   * Read without a connection, for one would tidy up.
   */
  remains(account: string, tables: Readonly<Record<string, readonly string[]>>): Promise<readonly string[]>
  close(): Promise<void>
}

const everything = ['append', 'replace', 'merge', 'append with a cursor', 'merge with a cursor'] as const

/** The destinations of the matrix. */
export const places = {
  duckdb: {
    dispositions: everything,
    turn: 0,
    lingers: false,
    open: inFolders(
      at => `duckdb:${join(at, 'shop.duckdb')}`,
      async at => (await readdir(at)).filter(name => name !== 'shop.duckdb'),
    ),
  },
  files: {
    // Files are never merged.
    dispositions: ['append', 'replace', 'append with a cursor'],
    turn: 1,
    lingers: false,
    open: inFolders(at => `files:${join(at, 'files')}`, uncounted),
  },
  postgres: {
    dispositions: everything,
    turn: 2,
    lingers: true,
    open: async () => databases(await startPostgres()),
  },
  ducklake: {
    dispositions: everything,
    turn: 3,
    lingers: false,
    open: inFolders(
      // A lake keeps the full path of its data. Copies of it are elsewhere.
      at => `ducklake:${join(at, 'shop.ducklake')}?data_path=${join(at, 'data')}&override_data_path=true`,
      async at => (await readdir(at)).filter(name => !['shop.ducklake', 'data'].includes(name)),
    ),
  },
} as const satisfies Readonly<Record<string, Place>>

/** Staged files and notes, and tables whose files hold other rows than the loads list. */
async function uncounted(at: string, tables: Readonly<Record<string, readonly string[]>>): Promise<readonly string[]> {
  const dataset = join(at, 'files/shop_data')
  const entries = await readdir(dataset, { recursive: true, withFileTypes: true })
  const names = entries
    .filter(entry => entry.isFile())
    .map(entry => relative(dataset, join(entry.parentPath, entry.name)))
    .filter(name => /^(\.sluice-staging|_sluice_intents)\b/.test(name))
  // A lake may have another version of DuckDB, and a process has one.
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const instance = await DuckDBInstance.create()
  const connection = await instance.connect()
  try {
    for (const [table, rows] of Object.entries(tables)) {
      const files = join(dataset, table, '*.parquet')
      const reader = await connection.runAndReadAll(
        `SELECT count(*) FROM read_parquet('${files}', union_by_name = true)`,
      )
      const count = Number(reader.getRows()[0]?.[0])
      if (count !== rows.length) names.push(`${table}: ${count} rows instead of ${rows.length}`)
    }
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
  return names
}

function inFolders(
  address: (folder: string) => string,
  remains: (folder: string, tables: Readonly<Record<string, readonly string[]>>) => Promise<readonly string[]>,
): (folder: string) => Promise<Room> {
  return async folder => ({
    async make(account, from) {
      const at = join(folder, account)
      if (from === undefined) await mkdir(at)
      else await cp(join(folder, from), at, { recursive: true })
      return address(at)
    },
    remove: account => rm(join(folder, account), { recursive: true }),
    remains: (account, tables) => remains(join(folder, account), tables),
    close: async () => {},
  })
}

function databases(server: PostgresServer): Room {
  return {
    async make(account, from) {
      await server.sql('postgres', `CREATE DATABASE ${account}${from === undefined ? '' : ` TEMPLATE ${from}`}`)
      return server.url(account)
    },
    remove: async account => void (await server.sql('postgres', `DROP DATABASE ${account} WITH (FORCE)`)),
    remains: async () => [],
    close: () => server.stop(),
  }
}
