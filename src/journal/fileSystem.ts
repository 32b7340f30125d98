import { type FileHandle, link, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'

/**
 * The part of a file system that a working folder needs. Everything rejects with errors that carry the codes of the
 * system, such as `ENOENT`. Paths are absolute or relative to the process, with the system's separator.
 */
export interface Files {
  /** `r` and `r+` need an existing file. `w+` creates an empty one. */
  open(path: string, flags: 'r' | 'r+' | 'w+'): Promise<OpenFile>
  readText(path: string): Promise<string>
  writeText(path: string, text: string): Promise<void>
  /** Names in a folder, unordered. */
  list(folder: string): Promise<readonly string[]>
  /** Creates a folder and its missing parents. */
  makeFolder(path: string): Promise<void>
  /** Renames atomically. A file at `to` is replaced. A non-empty folder is not. */
  rename(from: string, to: string): Promise<void>
  /** Gives a file a second name, atomically. Rejects with `EEXIST` if the name is taken. */
  link(from: string, to: string): Promise<void>
  /** Removes a file, or a folder with its contents. No error if there is none. */
  remove(path: string): Promise<void>
  /** Resolves when the names in a folder would survive a power cut, as far as the system can guarantee it. */
  syncFolder(path: string): Promise<void>
}

/** An open file. Offsets and sizes are bytes. */
export interface OpenFile {
  size(): Promise<number>
  /** Fills `buffer` from `position`. Reads less only at the end of the file. */
  read(buffer: Uint8Array, position: number): Promise<number>
  /** Writes the buffers in order and returns the number of bytes written, which may be less than given. */
  write(buffers: readonly Uint8Array[], position: number): Promise<number>
  truncate(size: number): Promise<void>
  /** Resolves when the content would survive a power cut. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** The files of this machine. New files are readable by their user only, because answers may hold anything. */
export const systemFiles: Files = {
  open: async (path, flags) => openFile(await open(path, flags, 0o600)),
  readText: path => readFile(path, 'utf8'),
  writeText: (path, text) => writeFile(path, text, { mode: 0o600 }),
  list: folder => readdir(folder),
  async makeFolder(path) {
    await mkdir(path, { recursive: true, mode: 0o700 })
  },
  rename,
  link,
  remove: path => rm(path, { recursive: true, force: true }),
  syncFolder,
}

function openFile(file: FileHandle): OpenFile {
  return {
    size: async () => (await file.stat()).size,
    async read(buffer, position) {
      let filled = 0
      while (filled < buffer.length) {
        const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, position + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return filled
    },
    write: async (buffers, position) => (await file.writev([...buffers], position)).bytesWritten,
    truncate: size => file.truncate(size),
    sync: () => file.datasync(),
    close: () => file.close(),
  }
}

/** Some systems cannot sync folders. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r').catch(() => undefined)
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}
