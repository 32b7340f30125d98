import { type FileHandle, link, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import type { Files, OpenFile } from './fileSystem.js'

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
