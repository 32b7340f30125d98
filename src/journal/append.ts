import { DataError } from '../model/errors.js'
import type { OpenFile } from './fileSystem.js'

/** Appends records to a file. Records that come together are written with one call. */
export interface Appender {
  /** Resolves when all buffers are in the file. If it fails, the file ends where it did before. */
  append(buffers: readonly Uint8Array[]): Promise<void>
  /** Resolves when everything appended before is on the disk. */
  sync(): Promise<void>
}

export interface AppenderOptions {
  /** `always`: before each append resolves. `often`: after some bytes or time. `never`: only {@link Appender.sync} does. */
  readonly sync: 'always' | 'often' | 'never'
  /** Milliseconds of any clock. */
  readonly now: () => number
}

/** Otherwise the file is synced after this many bytes or this much time. */
const SYNC_BYTES = 32 * 2 ** 20
const SYNC_MS = 1000
/** Systems take up to 1,024 buffers in one call. */
const BUFFERS_A_WRITE = 1000

interface Waiting {
  readonly buffers: readonly Uint8Array[]
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export function createAppender(file: OpenFile, path: string, end: number, options: AppenderOptions): Appender {
  let position = end
  let unsynced = 0
  let syncedAt = options.now()
  let broken: Error | undefined
  let writing: Promise<void> | undefined
  let syncing: Promise<void> | undefined
  const queue: Waiting[] = []

  const syncNow = async (): Promise<void> => {
    unsynced = 0
    syncedAt = options.now()
    try {
      await file.sync()
    } catch (error) {
      // After a failed sync it is unknown what is on the disk.
      broken = failure(path, error)
      throw broken
    }
  }

  const writeBatch = async (batch: readonly Waiting[]): Promise<void> => {
    try {
      if (broken !== undefined) throw broken
      const written = await writeAll(
        file,
        batch.flatMap(waiting => waiting.buffers),
        position,
      )
      position += written
      unsynced += written
      if (options.sync === 'always') await syncNow()
    } catch (error) {
      const reason = error instanceof DataError ? error : failure(path, error)
      if (error !== broken)
        await file.truncate(position).catch((worse: unknown) => {
          broken = failure(path, worse)
        })
      for (const waiting of batch) waiting.reject(reason)
      return
    }
    for (const waiting of batch) waiting.resolve()
    if (options.sync === 'never') return
    if (unsynced >= SYNC_BYTES || (unsynced > 0 && options.now() - syncedAt >= SYNC_MS)) {
      // Not awaited: if it fails, the next append and the sync before the commit fail too.
      syncing ??= syncNow()
        .catch(() => undefined)
        .finally(() => {
          syncing = undefined
        })
    }
  }

  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      let buffers = 0
      const fits = queue.findIndex(waiting => {
        buffers += waiting.buffers.length
        return buffers > BUFFERS_A_WRITE
      })
      await writeBatch(queue.splice(0, fits === -1 ? queue.length : Math.max(1, fits)))
    }
    writing = undefined
  }

  return {
    append(buffers) {
      return new Promise((resolve, reject) => {
        queue.push({ buffers, resolve, reject })
        writing ??= Promise.resolve().then(drain)
      })
    },
    async sync() {
      await writing
      await syncing
      if (broken !== undefined) throw broken
      if (unsynced > 0) await syncNow()
    },
  }
}

/** Writes everything, with several calls if needed. Fails if a call writes nothing. */
export async function writeAll(file: OpenFile, buffers: readonly Uint8Array[], position: number): Promise<number> {
  let rest = after(buffers, 0)
  let written = 0
  while (rest.length > 0) {
    const bytesWritten = await file.write(rest, position + written)
    if (bytesWritten === 0) throw new Error('the file takes no more bytes')
    written += bytesWritten
    rest = after(rest, bytesWritten)
  }
  return written
}

/** The buffers after the first `count` bytes. The result begins with a byte. */
function after(buffers: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let skip = count
  for (const [index, buffer] of buffers.entries()) {
    if (skip < buffer.length) return [buffer.subarray(skip), ...buffers.slice(index + 1)]
    skip -= buffer.length
  }
  return []
}

/** The error that explains a failed write to the user. */
export function failure(path: string, error: unknown): DataError {
  const code = (error as NodeJS.ErrnoException).code
  const reasons: Readonly<Record<string, string>> = {
    ENOSPC: 'the disk is full; free some space and run again, what was recorded so far is kept',
    EDQUOT: 'the disk quota is used up; free some space and run again, what was recorded so far is kept',
    EACCES: 'there is no right to write there; SLUICE_HOME names another folder',
    EROFS: 'the file system is read-only; SLUICE_HOME names another folder',
    EIO: 'the disk reports an error',
    ENOTDIR: 'there is a file where a folder is needed; name another working folder, or move the file away',
    EEXIST: 'there is a file where a folder is needed; name another working folder, or move the file away',
    EISDIR: 'there is a folder where a file is needed; move it away',
    ENAMETOOLONG: 'the name is too long for this file system; give the pipeline a shorter one',
  }
  const text = error instanceof Error ? error.message : String(error)
  const reason = (code === undefined ? undefined : reasons[code]) ?? text
  return new DataError('journal', `the journal ${path} cannot be written: ${reason}`, { path, cause: error })
}
