import { readdir } from 'node:fs/promises'
import { basename, join, sep } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { DestinationError } from '../../model/errors.js'
import { firstLine } from '../duckdb/duckdbErrors.js'
import { textLiteral } from '../sql/sqlSession.js'

/** Names of the extensions that a lake may need. */
export type ExtensionName = 'ducklake' | 'sqlite_scanner' | 'postgres_scanner' | 'httpfs'

/** Loaded by {@link loadExtensions} for this lake. */
export interface Extensions {
  readonly names: readonly ExtensionName[]
  /** The folder with their files. Absent: DuckDB's own folder. */
  readonly folder: string | undefined
  /** The lake, for messages. */
  readonly place: string
}

/**
 * Loads extensions of DuckDB: from files in the folder, or, without one, those that are installed. Those that are not,
 * DuckDB fetches from its own server. Fails with a DestinationError that says what to do.
 */
export async function loadExtensions(connection: DuckDBConnection, extensions: Extensions): Promise<void> {
  const version = String((await connection.runAndReadAll('SELECT version()')).getRows()[0]?.[0])
  const { folder } = extensions
  const files = folder === undefined ? [] : await filesIn(folder, extensions)
  for (const name of extensions.names) {
    try {
      if (folder === undefined) await installAndLoad(connection, name)
      else await connection.run(`LOAD ${textLiteral(fileOf(files, name, version, extensions))}`)
    } catch (error) {
      throw error instanceof DestinationError ? error : unavailable(name, version, error, extensions)
    }
  }
}

async function installAndLoad(connection: DuckDBConnection, name: ExtensionName): Promise<void> {
  try {
    await connection.run(`LOAD ${name}`)
  } catch {
    await connection.run(`INSTALL ${name}`)
    await connection.run(`LOAD ${name}`)
  }
}

async function filesIn(folder: string, { place }: Extensions): Promise<readonly string[]> {
  try {
    const found = await readdir(folder, { recursive: true })
    return found.filter(name => name.endsWith('.duckdb_extension')).map(name => join(folder, name))
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read'
    throw failure(`The folder of DuckDB extensions ${folder} ${why}; name another one`, place, error)
  }
}

/** Several versions may lie in one folder, each below a folder of its name. */
function fileOf(files: readonly string[], name: ExtensionName, version: string, { folder, place }: Extensions): string {
  const named = files.filter(file => basename(file) === `${name}.duckdb_extension`)
  const file = named.find(one => one.split(sep).includes(version)) ?? named[0]
  if (file !== undefined) return file
  throw failure(
    `There is no ${name}.duckdb_extension in ${folder}; put the one for DuckDB ${version} there. ${sourceOf(name, version)}`,
    place,
  )
}

/** Where a file comes from, and what to do where it is not there in this version. */
function sourceOf(name: ExtensionName, version: string): string {
  const wheel = `duckdb-extension-${name.replace('_', '-')}`
  return `It is in version ${version.replace(/^v/, '')} of the Python package ${wheel}. Where pip has only an older version, take the DuckDB of that version in package.json, as in \`"overrides": { "@duckdb/node-api": "1.5.5-r.5" }\``
}

function unavailable(
  name: ExtensionName,
  version: string,
  error: unknown,
  { folder, place }: Extensions,
): DestinationError {
  const text = error instanceof Error ? error.message : String(error)
  const where = folder === undefined ? '' : ` in ${folder}`
  const built = /built specifically for DuckDB version '([^']+)'/.exec(text)?.[1]
  if (built !== undefined) {
    const message = `The DuckDB extension ${name}${where} is for DuckDB ${built}, and this is ${version}; get the one for ${version}. ${sourceOf(name, version)}`
    return failure(message, place, error)
  }
  const why = firstLine(text)
  const message =
    folder === undefined
      ? `The DuckDB extension ${name} is not installed, and DuckDB could not fetch it: ${why}. Run once with access to the internet, or put ${name}.duckdb_extension for DuckDB ${version} into a folder and name that in SLUICE_DUCKDB_EXTENSIONS`
      : `The DuckDB extension ${name}${where} cannot be loaded: ${why}. Get the one for DuckDB ${version} and this machine. ${sourceOf(name, version)}`
  return failure(message, place, error)
}

function failure(message: string, place: string, cause?: unknown): DestinationError {
  return new DestinationError('destination', message, { destination: place, cause })
}
