import { randomUUID } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'

/**
 * Lets `write` make a file beside `path`, then renames it: nobody reads half a file, and an existing one is replaced. Of
 * several that write one file at once, the last one stays. If `write` fails, nothing is left of what it made.
 */
export async function replaceBy<T>(path: string, write: (partial: string) => Promise<T>): Promise<T> {
  const partial = `${path}.${randomUUID().slice(0, 8)}.partial`
  try {
    const result = await write(partial)
    await rename(partial, path)
    return result
  } catch (error) {
    await rm(partial, { force: true }).catch(() => undefined)
    throw error
  }
}

/** Writes a whole file or nothing, as {@link replaceBy} does. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await replaceBy(path, partial => writeFile(partial, text, { flag: 'wx' }))
}
