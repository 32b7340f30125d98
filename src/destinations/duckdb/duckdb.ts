import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import type { Destination } from '../../model/destination.js'
import { checkOptions, needed, optionsOf, path as pathKind, wholeFromZero } from '../../model/optionKinds.js'
import type { Database } from './database.js'
import { duckdbCapabilities } from './duckdbDialect.js'

export interface DuckdbOptions {
  /**
   * The database file, relative to the working directory. Created if missing. `:memory:` lives as long as the
   * destination.
   */
  readonly path: string
  /**
   * Folder for staged rows, which need about the size of their JSON. Default: beside the file, its name plus
   * `.staging`. For memory: a temporary folder.
   */
  readonly stagingDir?: string | undefined
  /** How long a run or a read waits while another process has the file open, in milliseconds. Default: 5,000. */
  readonly lockTimeoutMs?: number | undefined
}

const forDuckdb = optionsOf<DuckdbOptions>('the path of a DuckDB file, or options with it', {
  path: needed(pathKind),
  stagingDir: pathKind,
  lockTimeoutMs: wholeFromZero,
})

const MEMORY = ':memory:'

/**
 * Loads into a DuckDB file. The file does not change before the commit, which is one transaction. If a run creates the
 * file and commits nothing, it removes the file. Only one process can have a file open: a run or a read
 * waits for another one for `lockTimeoutMs`, then fails with `destination_locked`. Throws a ConfigError if the path cannot be one.
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
  const options = typeof target === 'string' ? { path: target } : target
  checkOptions(needed(forDuckdb), options)
  const { path, stagingDir, lockTimeoutMs = 5_000 }: DuckdbOptions = options
  const name = path === MEMORY ? 'duckdb::memory:' : `duckdb:${basename(path)}`
  const place = path === MEMORY ? `${MEMORY}${memories++}` : resolve(path)
  let memory: Promise<Database> | undefined
  return {
    name,
    localPath: path === MEMORY ? undefined : resolve(path),
    capabilities: duckdbCapabilities,
    place,
    async exists() {
      if (path === MEMORY) return memory !== undefined
      const { isThere } = await import('./database.js')
      return await isThere(path)
    },
    async connect(dataset, signal) {
      signal?.throwIfAborted()
      const { openDatabase, openMemory } = await import('./database.js')
      const { duckdbConnection } = await import('./duckdbConnection.js')
      if (path !== MEMORY) {
        const staging = resolve(stagingDir ?? `${path}.staging`)
        return duckdbConnection(await openDatabase(path, { lockTimeoutMs, signal }), dataset, () => staging, signal)
      }
      memory ??= openMemory(place).catch(error => {
        memory = undefined
        throw error
      })
      // A database in memory ends with the destination. Closing it here would lose the rows.
      const staging = (): string | Promise<string> => stagingDir ?? mkdtemp(join(tmpdir(), 'sluice-staging-'))
      return duckdbConnection({ ...(await memory), close: async () => {} }, dataset, staging, signal)
    },
  }
}

/** Gives each database in memory its own place. */
let memories = 0
