import { dirname, join, resolve } from 'node:path'
import type { JsonObject } from '../json/value.js'
import { SluiceError } from '../model/errors.js'
import type { ResponseJournal } from '../model/responses.js'
import { scrubber as createScrubber, type Scrubber } from '../model/secrets/scrubber.js'
import { type Appender, createAppender, failure, writeAll } from './append.js'
import type { JournalCopy } from './bucketJournals.js'
import type { Files, OpenFile } from './fileSystem.js'
import {
  decodeInfo,
  encodeInfo,
  type LoadInfo,
  loadDigest,
  setAside as moveAside,
  openExisting,
  putAway,
  RESPONSES_FILE,
  SHORTEST_WORTH_KEEPING,
} from './loads.js'
import { locate, readRecord, scan } from './scan.js'
import { decodeResponse, encodeResponse, fieldsKey, identityKey, recordId } from './warc.js'

export { BucketJournals } from './bucketJournals.js'
export { systemFiles } from './fileSystem.js'
export {
  putAway,
  recordedLoads,
  removeAside,
  removeStubs,
  setAside,
  type UnfinishedLoad,
  unfinishedLoads,
} from './loads.js'
export { lockPipeline, type PipelineLock } from './lock.js'
export {
  type JournaledResponse,
  placedAnswers,
  readJournal,
  replayJournal,
} from './replayJournal.js'

/** Where a journal is opened, and for which load. */
export interface JournalOptions {
  readonly files: Files
  /** The pipeline's folder: `<home>/<pipeline>`. The load's folder in it is `loads/<loadId>`. */
  readonly dir: string
  readonly loadId: string
  /** Digest of everything whose change makes recorded answers useless. */
  readonly fingerprint: string
  /** Facts fixed when the load began (incremental windows, start time), without secrets. Ignored when resuming. */
  readonly meta: JsonObject
  /** Removes secrets from what is written, and puts the ones it knows back into what is read. */
  readonly scrubber?: Scrubber | undefined
  /**
   * `process` (default): recorded answers survive the end of the process. Those recorded before the last `sync()` also
   * survive a power cut. `power`: every recorded answer survives both. `kill`: recorded answers survive the end of the
   * process, and what a power cut takes is asked for again.
   */
  readonly durability?: 'kill' | 'process' | 'power' | undefined
  /** Where its records are stored too. */
  readonly copy?: JournalCopy | undefined
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/**
 * A journal open for writing. `lookup` returns the answers that existed when it was opened, each once. Answers with the
 * same identity come in the order of their recording. A request that a list repeats is therefore sent again, as before
 * the interruption.
 */
export interface Journal extends ResponseJournal {
  readonly loadId: string
  /** As given when the load began, maybe in an earlier process. */
  readonly meta: JsonObject
  /** Number of answers in the journal. */
  readonly pages: number
  /** Number of answers that existed when it was opened. */
  readonly resumedPages: number
  /** Number of processes that recorded those answers, one after the other. */
  readonly resumedRuns: number
  /** The folder to which an unusable earlier journal of this load was moved. */
  readonly setAside: string | undefined
  /** Resolves once everything recorded would survive a power cut. Called before a commit. */
  sync(): Promise<void>
  /** Syncs and closes the file; the load stays unfinished. Idempotent. */
  close(): Promise<void>
  /** After the commit: closes and, without `keep`, deletes the answers. The record that this load began stays. */
  letGo(options?: { readonly keep?: boolean }): Promise<void>
  /** After the commit: closes, then deletes the journal or, with `keep`, moves it to `loads/<loadId>.done`, in one step. */
  remove(options?: { readonly keep?: boolean }): Promise<void>
}

/**
 * Opens the journal of a load: a new one, or that of an interrupted process without its torn end. A journal with
 * another fingerprint or an unreadable beginning is moved aside. Rejects with a DataError `journal` if the folder
 * cannot be written.
 */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const folder = join(options.dir, 'loads', options.loadId)
  const path = join(folder, RESPONSES_FILE)
  try {
    const found = await resumable(options.files, path, options.fingerprint)
    if (found !== undefined && found !== 'unusable') return journalOf(options, folder, found, undefined)
    const setAside = found === 'unusable' ? await moveAside(options.files, folder, 'aside') : undefined
    return journalOf(options, folder, await begin(path, folder, options), setAside)
  } catch (error) {
    throw error instanceof SluiceError ? error : failure(path, error)
  }
}

/** A journal file that was read up to its last complete record. */
interface Opened {
  readonly file: OpenFile
  /** The ends of the first and of the last record. */
  readonly begin: number
  readonly end: number
  readonly meta: JsonObject
  /** Offsets of answers by identity, in order. */
  readonly index: Map<string, number[]>
  readonly pages: number
  readonly runs: number
}

async function resumable(files: Files, path: string, fingerprint: string): Promise<Opened | 'unusable' | undefined> {
  const file = await openExisting(files, path, 'r+')
  if (file === undefined) return undefined
  return await closingUnless(
    file,
    () => readThrough(file, fingerprint),
    found => typeof found === 'object',
  )
}

/** Closes the file if `work` fails or does not keep it. */
async function closingUnless<T>(file: OpenFile, work: () => Promise<T>, isKept: (result: T) => boolean): Promise<T> {
  let kept = false
  try {
    const result = await work()
    kept = isKept(result)
    return result
  } finally {
    if (!kept) await file.close()
  }
}

async function readThrough(file: OpenFile, fingerprint: string): Promise<Opened | 'unusable' | undefined> {
  const size = await file.size()
  const index = new Map<string, number[]>()
  let info: LoadInfo | undefined
  const runs = new Set<string | undefined>()
  let pages = 0
  let begin = 0
  let end = 0
  for await (const record of scan(file)) {
    if (record.start === 0) {
      info = decodeInfo(await readRecord(file, record))
      if (info?.fingerprint !== fingerprint) break
      begin = record.end
    } else if (record.fields.get('warc-type') === 'response') {
      const key = fieldsKey(record.fields)
      const offsets = index.get(key)
      if (offsets === undefined) index.set(key, [record.start])
      else offsets.push(record.start)
      runs.add(record.fields.get('sluice-resumed'))
      pages++
    }
    end = record.end
  }
  if (info !== undefined && info.fingerprint === fingerprint) {
    if (end < size) await file.truncate(end)
    return { file, begin, end, meta: info.meta, index, pages, runs: runs.size }
  }
  // Nothing is lost with a file that was cut off inside its first record.
  return end === 0 && info === undefined && size < SHORTEST_WORTH_KEEPING ? undefined : 'unusable'
}

async function begin(path: string, folder: string, options: JournalOptions): Promise<Opened> {
  const { files } = options
  await files.makeFolder(folder)
  const file = await files.open(path, 'w+')
  const bytes = Buffer.concat(encodeInfo(options, options.now()))
  const write = async (): Promise<Opened> => {
    await writeAll(file, [bytes], 0)
    await options.copy?.begin(bytes)
    if (options.durability !== 'kill') {
      await file.sync()
      await syncNames(files, options, folder)
    }
    return { file, begin: bytes.length, end: bytes.length, meta: options.meta, index: new Map(), pages: 0, runs: 0 }
  }
  return await closingUnless(file, write, () => true)
}

/**
 * Makes the new file survive a power cut: syncs its name, its folders, and the working folder. A process that created
 * them may have been killed before it could do so.
 */
async function syncNames(files: Files, { dir }: JournalOptions, folder: string): Promise<void> {
  const folders = [folder, dirname(folder), dir, dirname(dir), dirname(dirname(resolve(dir)))]
  await Promise.all(folders.map(path => files.syncFolder(path)))
}

function journalOf(options: JournalOptions, folder: string, opened: Opened, setAside: string | undefined): Journal {
  const { file, index, meta } = opened
  const { files, now, copy } = options
  const scrubber = options.scrubber ?? createScrubber()
  const digest = loadDigest(options.loadId)
  const path = join(folder, RESPONSES_FILE)
  const sync = options.durability === 'power' ? 'always' : 'often'
  const appender: Appender = createAppender(file, path, opened.end, { sync, now })
  const resumedPages = opened.pages
  let pages = resumedPages
  let sequence = resumedPages
  let closing: Promise<void> | undefined

  const endsWithPower = options.durability === 'kill'
  const close = (): Promise<void> => {
    closing ??= appender
      .sync()
      .finally(() => file.close())
      .finally(() => copy?.release())
    return closing
  }

  return {
    loadId: options.loadId,
    meta,
    resumedPages,
    resumedRuns: opened.runs,
    setAside,
    get pages() {
      return pages
    },
    async lookup(identity) {
      const offsets = index.get(identityKey(identity))
      for (let offset = offsets?.shift(); offset !== undefined; offset = offsets?.shift()) {
        const { answer, whole } = await answerAt(file, offset, opened.end, scrubber)
        // An answer that lacks a secret, such as an earlier run's token, is not what the API sent.
        if (whole) return answer.response
      }
      return undefined
    },
    async record(identity, response, { method, url }) {
      sequence++
      const about = { id: recordId(digest, sequence), sequence }
      const answer = { identity, response, method, url, recordedAt: now(), after: resumedPages }
      const record = encodeResponse(answer, about, scrubber)
      await appender.append(record)
      // The memory of a body serves the next one.
      await copy?.append(Buffer.concat(record))
      pages++
    },
    async sync() {
      if (!endsWithPower) await appender.sync()
      await copy?.check()
    },
    close,
    async letGo({ keep = false } = {}) {
      // Removing a large file takes time.
      if (!keep) await file.truncate(opened.begin)
      // There is nothing left to sync.
      if (!keep && endsWithPower) closing ??= file.close()
      await close()
    },
    async remove({ keep = false } = {}) {
      await close().catch(() => {})
      // First: what stays on this machine alone is known to be committed.
      await copy?.remove()
      await putAway(files, folder, { keep })
    },
  }
}

async function answerAt(file: OpenFile, offset: number, size: number, scrubber: Scrubber) {
  const located = await locate(file, offset, size)
  if (located === undefined) throw new TypeError('unreachable: the index holds whole records only')
  return decodeResponse(await readRecord(file, located), scrubber)
}
