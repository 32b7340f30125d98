import { basename, resolve } from 'node:path'
import type { Destination } from '../../model/destination.js'
import { type Database, isThere, openDatabase, openMemory } from './database.js'
import { duckdbConnection } from './duckdbConnection.js'
import { duckdbCapabilities } from './duckdbDialect.js'

export interface DuckdbOptions {
  /** The database file, relative to the working directory; created when missing. `:memory:` lives as long as the destination. */
  readonly path: string
  /**
   * Folder for rows on their way, which need about the size of the JSON they come from. Default: beside the file, its
   * name plus `.staging`; for memory a temporary folder.
   */
  readonly stagingDir?: string | undefined
}

const MEMORY = ':memory:'

/**
 * Loads into a DuckDB file. Nothing of the file changes before a commit, which is one transaction; a file that was made
 * for a run and that nothing was committed into is removed. A file has one writing process: connecting fails with
 * `destination_locked` while another has it.
 *
 * @example
 * ```ts
 * import { duckdb, pipeline, restApi } from 'sluice'
 *
 * const source = restApi({ client: { base_url: 'https://api.example.com' }, resources: ['shops'] })
 * await pipeline({ name: 'shops', source, destination: duckdb('shops.duckdb') }).run()
 * ```
 */
export function duckdb(target: string | DuckdbOptions): Destination {
  const { path, stagingDir } = typeof target === 'string' ? { path: target } : target
  const name = path === MEMORY ? 'duckdb::memory:' : `duckdb:${basename(path)}`
  let memory: Promise<Database> | undefined
  return {
    name,
    capabilities: duckdbCapabilities,
    async exists() {
      if (path === MEMORY) return memory !== undefined
      return await isThere(path)
    },
    async connect(dataset, signal) {
      signal?.throwIfAborted()
      if (path !== MEMORY) {
        const staging = resolve(stagingDir ?? `${path}.staging`)
        return duckdbConnection(await openDatabase(path), dataset, staging, signal)
      }
      memory ??= openMemory(`${MEMORY}${memories++}`)
      // Closing would lose the rows: a database in memory ends with the destination.
      return duckdbConnection({ ...(await memory), close: async () => {} }, dataset, stagingDir, signal)
    },
  }
}

/** Makes databases in memory different places. */
let memories = 0
