import { fstatSync, readdirSync, readFileSync } from 'node:fs'
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
 * How often this process has a file open for writing, including others' code. This opens no file, because closing it
 * again would drop the locks that the process holds on it. 0 if the system does not tell. Windows itself prevents a
 * second opening.
 */
export function openings(file: FileIdentity): number {
  let count = 0
  for (const name of descriptors()) {
    try {
      const found = fstatSync(Number(name), { bigint: true })
      if (isSameFile(found, file) && isWritable(name)) count++
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
