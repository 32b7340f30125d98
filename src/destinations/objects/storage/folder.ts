import {
  copyFile,
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  writeFile,
} from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { DestinationError } from '../../../model/errors.js'
import { nodeCrypto } from '../../../model/runtime/nodeCrypto.js'
import { makeOwnFolder } from '../../duckdb/duckdbStaging.js'
import type { LocalFile, Storage } from './storage.js'

/** Staging folder under the root. Its name starts with a dot, which no table's name does. */
const STAGING = '.sluice-staging'

/**
 * A folder on this machine. An object is written beside, flushed to the disk and moved into place. Its folder is
 * flushed too. A `stagingDir` elsewhere costs a copy. Objects and their folders follow the umask. What is staged lies in
 * folders of its user alone.
 */
export function localStorage(root: string, stagingDir?: string): Storage {
  const place = resolve(root)
  const staging = resolve(stagingDir ?? join(place, STAGING))
  /** Folders that certainly exist and whose entries in their parents are durable. */
  const made = new Set<string>()

  const pathOf = (key: string): string => {
    const path = resolve(place, key)
    if (path.startsWith(place.endsWith(sep) ? place : place + sep) && !key.includes('\0')) return path
    throw new DestinationError('destination', `The name ${JSON.stringify(key)} leads out of ${place}`, {
      destination: place,
    })
  }
  const ensureFolder = async (folder: string): Promise<void> => {
    if (made.has(folder)) return
    const first = await mkdir(folder, { recursive: true })
    if (first !== undefined) {
      for (let path = folder; path.length >= dirname(first).length; path = dirname(path)) {
        await flushFolder(path)
        if (path === dirname(path)) break
      }
    }
    made.add(folder)
  }
  const draftsOf = (name: string): string => join(place, STAGING, name, 'drafts')
  /** A flushed file with this content in the staging folder, on the same file system as its target. */
  const prepared = async (key: string, content: Uint8Array | LocalFile, drafts: string): Promise<string> => {
    if (!(content instanceof Uint8Array) && stagingDir === undefined) {
      await flushFile(content.path)
      return content.path
    }
    const name = `${nodeCrypto().createHash('sha256').update(key).digest('hex').slice(0, 24)}.${process.pid}`
    const folder = draftsOf(drafts)
    const path = join(folder, name)
    const write = async (): Promise<void> => {
      await makeOwnFolder(folder)
      await (content instanceof Uint8Array ? writeFile(path, content) : copyFile(content.path, path))
    }
    // Another caller that finishes removes the empty folder, maybe just now.
    await write().catch(error => (isMissing(error) ? write() : Promise.reject(error)))
    await flushFile(path)
    return path
  }

  const keys = async function* (prefix: string): AsyncGenerator<string> {
    const cut = prefix.lastIndexOf('/') + 1
    for await (const key of walk(cut === 0 ? place : pathOf(prefix.slice(0, cut)), prefix.slice(0, cut))) {
      if (key.startsWith(prefix)) yield key
    }
  }

  const remove = async (keys: readonly string[]): Promise<void> => {
    for (const key of keys) await rm(pathOf(key), { force: true })
    for (const folder of new Set(keys.map(key => dirname(pathOf(key))))) await flushFolder(folder)
  }

  return {
    place,
    async stagingDir() {
      // Who may enter the dataset is decided by the umask alone, and nobody may enter what is staged.
      if (stagingDir === undefined) await ensureFolder(place)
      await makeOwnFolder(staging)
      return staging
    },
    async put(key, content, { onlyIfAbsent = false, drafts = 'any' } = {}) {
      const target = pathOf(key)
      await ensureFolder(dirname(target))
      const path = await prepared(key, content, drafts)
      if (!onlyIfAbsent) {
        await rename(path, target)
      } else {
        try {
          // Unlike a rename, a link fails if the target exists.
          await link(path, target)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
          return false
        } finally {
          await rm(path, { force: true })
        }
      }
      await flushFolder(dirname(target))
      return true
    },
    async clearDrafts(name) {
      const folder = draftsOf(name)
      await rm(folder, { recursive: true, force: true })
      // Shared with staged rows.
      await rmdir(dirname(folder)).catch(() => {})
    },
    async get(key) {
      try {
        return await readFile(pathOf(key))
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    },
    async borrow(objects) {
      const paths = objects.map(({ key }) => pathOf(key))
      const folder = await mkdtemp(join(await this.stagingDir(), 'read-')).catch(() => undefined)
      const dispose = async (): Promise<void> => {
        if (folder !== undefined) await rm(folder, { recursive: true, force: true })
      }
      try {
        const borrowed: string[] = []
        for (const [index, path] of paths.entries()) {
          // A second name for the same bytes, so they survive the removal of the first one.
          const own = folder === undefined ? path : join(folder, `${index}${extensions(path)}`)
          const linked = own !== path && (await link(path, own).then(() => true, orNoLinks))
          if (!linked) await stat(path)
          borrowed.push(linked ? own : path)
        }
        return { paths: borrowed, [Symbol.asyncDispose]: dispose }
      } catch (error) {
        await dispose()
        if (isMissing(error)) return undefined
        throw error
      }
    },
    async *list(prefix) {
      for await (const key of keys(prefix)) {
        const found = await stat(pathOf(key)).catch(() => undefined)
        if (found !== undefined) yield { key, bytes: found.size }
      }
    },
    keys,
    remove,
    // Unfinished objects are among the drafts.
    abandon: remove,
    async close() {
      // Not empty while others use it.
      for (const folder of [draftsOf('any'), dirname(draftsOf('any')), staging, join(place, STAGING)])
        await rmdir(folder).catch(() => {})
    },
  }
}

async function* walk(folder: string, prefix: string): AsyncGenerator<string> {
  let entries: Awaited<ReturnType<typeof readEntries>>
  try {
    entries = await readEntries(folder)
  } catch (error) {
    if (isMissing(error)) return
    throw error
  }
  for (const entry of entries) {
    if (entry.isDirectory()) {
      if (entry.name !== STAGING) yield* walk(join(folder, entry.name), `${prefix}${entry.name}/`)
    } else {
      yield `${prefix}${entry.name}`
    }
  }
}

function readEntries(folder: string) {
  return readdir(folder, { withFileTypes: true })
}

/** DuckDB detects the compression by the end of the name. */
function extensions(path: string): string {
  return /(\.[a-z]+){1,2}$/.exec(path)?.[0] ?? ''
}

/** The file system has no links, or the target is on another one. */
function orNoLinks(error: NodeJS.ErrnoException): boolean {
  if (['EXDEV', 'EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK', 'EACCES'].includes(error.code ?? '')) return false
  throw error
}

function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'ENOENT' || code === 'ENOTDIR'
}

async function flushFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes names in a folder durable, if the system can. */
async function flushFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  } catch (error) {
    if (
      !['EISDIR', 'EPERM', 'EINVAL', 'EACCES', 'ENOENT', 'EBADF'].includes((error as NodeJS.ErrnoException).code ?? '')
    )
      throw error
  }
}
