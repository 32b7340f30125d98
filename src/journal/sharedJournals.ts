import { join } from 'node:path'
import type { Scrubber } from '../model/secrets/scrubber.js'
import { createAppender, failure, writeAll } from './append.js'
import type { Files, OpenFile } from './fileSystem.js'
import type { Journal, JournalOptions } from './journal.js'
import { decodeInfo, encodeInfo, type LoadInfo, loadDigest, openExisting, RESPONSES_FILE } from './loads.js'
import { type Located, readRecord, scan } from './scan.js'
import { encodeResponse, recordId } from './warc.js'

/** A file with the answers of several loads. */
const SHARED = /^\d+\.warc$/

/** A new file is begun after so many loads, or bytes. */
const MOST_LOADS = 64
const MOST_BYTES = 32 * 2 ** 20

export interface SharedJournalsOptions {
  readonly files: Files
  /** Each load has its part, `<folder>/<part>`, where a journal of its own would be. */
  readonly folder: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** What a journal in a shared file is opened with. The file survives the end of the process, not a power cut. */
export interface SharedJournalOptions extends Pick<JournalOptions, 'loadId' | 'fingerprint' | 'meta'> {
  readonly part: string
  readonly scrubber: Scrubber
}

/**
 * Journals of many small loads, one after the other in few files: a file and its folders for each would take longer than
 * such a load itself. A load that ends without a commit gets a journal of its own, which its next attempt resumes; so
 * does every load of a process that was killed, when the next one opens the folder.
 */
export class SharedJournals {
  readonly #options: SharedJournalsOptions
  readonly #parts: Set<string>
  #current: Promise<SharedFile> | undefined
  readonly #all = new Set<SharedFile>()
  #number = 0

  private constructor(options: SharedJournalsOptions, parts: Iterable<string>) {
    this.#options = options
    this.#parts = new Set(parts)
  }

  /**
   * Opens a folder that no other process uses. Parts that are not wanted are removed, with what a killed process has left of
   * them. What stays does no harm.
   */
  static async open(options: SharedJournalsOptions, isWanted: (part: string) => boolean): Promise<SharedJournals> {
    const { files, folder } = options
    const names = await files.list(folder).catch(() => [])
    const parts = new Set(names.filter(name => !SHARED.test(name)))
    for (const name of names.filter(name => SHARED.test(name))) {
      const file = await openExisting(files, join(folder, name), 'r').catch(() => undefined)
      if (file === undefined) continue
      try {
        for (const part of await separate(options, file, ({ part }) => isWanted(part))) parts.add(part)
      } finally {
        await file.close()
      }
      await files.remove(join(folder, name)).catch(() => {})
    }
    for (const part of parts) {
      if (isWanted(part)) continue
      const isGone = files.remove(join(folder, part)).then(
        () => true,
        () => false,
      )
      if (await isGone) parts.delete(part)
    }
    return new SharedJournals(options, parts)
  }

  /** Whether the part has a folder, maybe with a journal of its own. */
  has(part: string): boolean {
    return this.#parts.has(part)
  }

  /** Removes the folder of a part, if there is one. */
  async forget(part: string): Promise<void> {
    if (!this.#parts.has(part)) return
    await this.#options.files.remove(join(this.#options.folder, part))
    this.#parts.delete(part)
  }

  /** A new journal. Rejects with a DataError `journal` if its file cannot be written. */
  async begin(options: SharedJournalOptions): Promise<Journal> {
    const file = await this.#fileWithRoom()
    return journalIn(file, options, this.#options.now, async isCommitted => {
      if (!isCommitted && (await file.separate(options.loadId))) this.#parts.add(options.part)
      await this.#ended(file)
    })
  }

  /** Removes the files, once all journals have ended. */
  async close(): Promise<void> {
    const current = await this.#current?.catch(() => undefined)
    this.#current = undefined
    if (current !== undefined && current.open === 0) await this.#remove(current)
  }

  async #fileWithRoom(): Promise<SharedFile> {
    const before = this.#current
    let current = before === undefined ? undefined : await before
    // Another load may have begun a new file meanwhile.
    if (this.#current !== before) return await this.#fileWithRoom()
    if (current === undefined || current.begun >= MOST_LOADS || current.bytes >= MOST_BYTES) {
      const old = current
      const next = this.#newFile()
      this.#current = next
      next.catch(() => {
        if (this.#current === next) this.#current = undefined
      })
      if (old !== undefined && old.open === 0) await this.#remove(old)
      current = await next
    }
    current.begun += 1
    current.open += 1
    return current
  }

  async #newFile(): Promise<SharedFile> {
    const { files, folder, now } = this.#options
    this.#number += 1
    const path = join(folder, `${this.#number}.warc`)
    try {
      await files.makeFolder(folder)
      const file = await files.open(path, 'w+')
      const appender = createAppender(file, path, 0, { sync: 'never', now })
      const made: SharedFile = {
        path,
        file,
        begun: 0,
        open: 0,
        bytes: 0,
        async append(buffers) {
          for (const { length } of buffers) made.bytes += length
          await appender.append(buffers)
        },
        separate: async loadId => (await separate(this.#options, file, info => info.loadId === loadId)).length > 0,
      }
      this.#all.add(made)
      return made
    } catch (error) {
      throw failure(path, error)
    }
  }

  async #ended(file: SharedFile): Promise<void> {
    file.open -= 1
    if (file.open > 0 || (await this.#current?.catch(() => undefined)) === file) return
    await this.#remove(file)
  }

  async #remove(file: SharedFile): Promise<void> {
    if (!this.#all.delete(file)) return
    await file.file.close()
    await this.#options.files.remove(file.path)
  }
}

interface SharedFile {
  readonly path: string
  readonly file: OpenFile
  /** Loads that were begun in it, and those that have not ended. */
  begun: number
  open: number
  bytes: number
  append(buffers: readonly Uint8Array[]): Promise<void>
  /** Gives a load a journal of its own. Returns false if it has no answer. */
  separate(loadId: string): Promise<boolean>
}

function journalIn(
  file: SharedFile,
  { loadId, fingerprint, meta, scrubber, part }: SharedJournalOptions,
  now: () => number,
  end: (isCommitted: boolean) => Promise<void>,
): Journal {
  const digest = loadDigest(loadId)
  let head: readonly Uint8Array[] = encodeInfo({ loadId, fingerprint, meta: { ...meta, part } }, now())
  let pages = 0
  let ending: Promise<void> | undefined
  return {
    loadId,
    meta,
    resumedPages: 0,
    resumedRuns: 0,
    setAside: undefined,
    get pages() {
      return pages
    },
    lookup: async () => undefined,
    async record(identity, response, { method, url }) {
      pages += 1
      const about = { id: recordId(digest, pages), sequence: pages }
      const record = encodeResponse({ identity, response, method, url, recordedAt: now() }, about, scrubber)
      const buffers = [...head, ...record]
      head = []
      await file.append(buffers)
    },
    sync: async () => {},
    close() {
      ending ??= end(false)
      return ending
    },
    letGo: async () => {},
    remove() {
      ending ??= end(true)
      return ending
    },
  }
}

/** A load in a shared file. */
interface SharedLoad extends LoadInfo {
  readonly part: string
}

/** Gives loads of a shared file journals of their own. Returns the parts of those that have answers. */
async function separate(
  { files, folder }: SharedJournalsOptions,
  file: OpenFile,
  isWanted: (load: SharedLoad) => boolean,
): Promise<readonly string[]> {
  const loads = new Map<string, { readonly load: SharedLoad; readonly records: Located[] }>()
  for await (const record of scan(file)) {
    const key = loadKey(record)
    if (record.fields.get('warc-type') !== 'warcinfo') {
      loads.get(key)?.records.push(record)
      continue
    }
    const info = decodeInfo(await readRecord(file, record))
    const part = info?.meta.part
    if (info === undefined || typeof part !== 'string') continue
    const load = { ...info, part }
    if (isWanted(load)) loads.set(key, { load, records: [record] })
  }
  const parts: string[] = []
  for (const { load, records } of loads.values()) {
    if (records.length === 1) continue
    const own = join(folder, load.part, 'loads', load.loadId)
    const path = join(own, RESPONSES_FILE)
    try {
      await files.makeFolder(own)
      await copyRecords(file, records, await files.open(path, 'w+'))
    } catch (error) {
      throw failure(path, error)
    }
    parts.push(load.part)
  }
  return parts
}

async function copyRecords(from: OpenFile, records: readonly Located[], to: OpenFile): Promise<void> {
  try {
    let position = 0
    for (const { start, end } of records) {
      const bytes = Buffer.allocUnsafe(end - start)
      await from.read(bytes, start)
      position += await writeAll(to, [bytes], position)
    }
  } finally {
    await to.close()
  }
}

/** What the identities of all records of one load begin with. */
function loadKey({ fields }: Located): string {
  const id = fields.get('warc-record-id') ?? ''
  return id.slice(0, id.lastIndexOf('-'))
}
