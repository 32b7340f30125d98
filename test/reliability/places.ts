import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
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
  close(): Promise<void>
}

const everything = ['append', 'replace', 'merge', 'append with a cursor', 'merge with a cursor'] as const

/** The destinations of the matrix. */
export const places = {
  duckdb: {
    dispositions: everything,
    turn: 0,
    lingers: false,
    open: inFolders(at => `duckdb:${join(at, 'shop.duckdb')}`),
  },
  files: {
    // Files are never merged.
    dispositions: ['append', 'replace', 'append with a cursor'],
    turn: 1,
    lingers: false,
    open: inFolders(at => `files:${join(at, 'files')}`),
  },
  postgres: {
    dispositions: everything,
    turn: 2,
    lingers: true,
    open: async () => databases(await startPostgres()),
  },
} as const satisfies Readonly<Record<string, Place>>

function inFolders(address: (folder: string) => string): (folder: string) => Promise<Room> {
  return async folder => ({
    async make(account, from) {
      const at = join(folder, account)
      if (from === undefined) await mkdir(at)
      else await cp(join(folder, from), at, { recursive: true })
      return address(at)
    },
    remove: account => rm(join(folder, account), { recursive: true }),
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
    close: () => server.stop(),
  }
}
