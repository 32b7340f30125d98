import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'

/** Identifies a file, whatever its name. */
export interface FileIdentity {
  readonly dev: bigint
  readonly ino: bigint
}

/** Undefined if there is no file. */
export async function identityOf(path: string): Promise<FileIdentity | undefined> {
  try {
    const { dev, ino } = await stat(path, { bigint: true })
    return { dev, ino }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export function isSameFile(a: FileIdentity | undefined, b: FileIdentity | undefined): boolean {
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino
}

/**
 * Whether a path leads to something that DuckDB did not write. DuckDB opens a CSV, JSON or Parquet file as a view of a
 * database in memory, where all rows would be lost, and fetches an extension for a file of SQLite. Looks and ends before
 * anybody else can open the file here. Leaves a file alone that this process has open: see {@link openings}.
 */
export function isForeign(path: string): boolean {
  try {
    const found = statSync(path, { bigint: true })
    // DuckDB itself refuses folders. Reading a pipe would wait.
    if (found.isDirectory()) return false
    if (!found.isFile()) return true
    if (openings(found, 'any') > 0) return false
    const file = openSync(path, 'r')
    try {
      const head = Buffer.alloc(MARK_AT + MARK.length)
      readSync(file, head, 0, head.length, 0)
      return head.toString('latin1', MARK_AT) !== MARK
    } finally {
      closeSync(file)
    }
  } catch {
    // DuckDB says why the file cannot be read.
    return false
  }
}

/** Every DuckDB file has it behind a checksum, encrypted ones too. */
const MARK = 'DUCK'
const MARK_AT = 8

/**
 * How often this process has a file open for writing, or `any` way, including others' code. This opens no file, because closing it
 * again would drop the locks that the process holds on it. 0 if the system does not tell. Windows itself prevents a
 * second opening.
 */
export function openings(file: FileIdentity, how: 'writing' | 'any' = 'writing'): number {
  let count = 0
  for (const name of descriptors()) {
    try {
      const found = fstatSync(Number(name), { bigint: true })
      if (isSameFile(found, file) && (how === 'any' || isWritable(name))) count++
    } catch {
      // Closed after it was listed.
    }
  }
  return count
}

function descriptors(): readonly string[] {
  try {
    return readdirSync('/dev/fd')
  } catch {
    return []
  }
}

/** Readers overwrite nobody's rows. Counts as writable if the system does not tell. */
function isWritable(descriptor: string): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1]
    return flags === undefined || (Number.parseInt(flags, 8) & 0b11) !== 0
  } catch {
    return true
  }
}
