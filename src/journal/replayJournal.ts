import { join } from 'node:path'
import { DataError } from '../model/errors.js'
import { NotRecordedError, type ResponseJournal } from '../model/responses.js'
import type { Scrubber } from '../model/secrets/scrubber.js'
import type { Files, OpenFile } from './fileSystem.js'
import { decodeInfo, type LoadInfo, openExisting, RESPONSES_FILE } from './loads.js'
import { type Located, locate, readRecord, scan } from './scan.js'
import { decodeResponse, fieldsKey, identityKey, type ResponseRecord } from './warc.js'

export type { ResponseRecord as JournaledResponse } from './warc.js'

/**
 * Answers in the journal of a load's folder, in recorded order. A torn end stops the iteration. `scrubber` puts back
 * the removed secrets that it knows. Rejects with a DataError `journal` if there is no journal.
 */
export async function* readJournal(files: Files, loadDir: string, scrubber?: Scrubber): AsyncGenerator<ResponseRecord> {
  const { file } = await openRecorded(files, loadDir)
  try {
    for await (const located of answersOf(file)) yield decodeResponse(await readRecord(file, located), scrubber).answer
  } finally {
    await file.close()
  }
}

/** An answer with its place in the journal. */
interface PlacedAnswer extends ResponseRecord {
  /** 1 for the first one that was recorded. */
  readonly number: number
  /** Offset of the body in the file. Removed secrets stay removed, so that each byte of the body is one of the file. */
  readonly bodyStart: number
}

/** The answers of one resource in the journal of a load's folder, in recorded order, and how many there are of all resources. */
export async function* placedAnswers(
  files: Files,
  loadDir: string,
  resource: string,
): AsyncGenerator<PlacedAnswer, { readonly answers: number; readonly path: string }> {
  const { file, path } = await openRecorded(files, loadDir)
  let answers = 0
  try {
    for await (const located of answersOf(file)) {
      answers++
      if (located.fields.get('sluice-resource') !== encodeURIComponent(resource)) continue
      const record = await readRecord(file, located)
      const { answer } = decodeResponse(record, undefined)
      const bodyStart = located.block + record.block.byteLength - answer.response.body.byteLength
      yield { ...answer, number: answers, bodyStart }
    }
  } finally {
    await file.close()
  }
  return { answers, path }
}

async function* answersOf(file: OpenFile): AsyncGenerator<Located> {
  for await (const located of scan(file)) if (located.fields.get('warc-type') === 'response') yield located
}

/** A finished journal, read-only. */
export interface ReplayJournal extends ResponseJournal, LoadInfo {
  /** Number of answers. */
  readonly pages: number
  close(): Promise<void>
}

/**
 * Opens a load's folder as a journal that answers every request from its records, each answer once. If nothing was
 * recorded, `lookup` rejects with a DataError `journal`, so nothing is ever requested from the API.
 */
export async function replayJournal(files: Files, loadDir: string, scrubber?: Scrubber): Promise<ReplayJournal> {
  const { file, path } = await openRecorded(files, loadDir)
  const { info, index, pages, size } = await indexOf(file, path).catch(async (error: unknown) => {
    await file.close()
    throw error
  })
  return {
    ...info,
    pages,
    async lookup(identity) {
      const offset = index.get(identityKey(identity))?.shift()
      const located = offset === undefined ? undefined : await locate(file, offset, size)
      if (located !== undefined) return decodeResponse(await readRecord(file, located), scrubber).answer.response
      const message = `${identity.resource}: a page is not in the journal ${path}; load it again without replay`
      throw new NotRecordedError('journal', message, { resource: identity.resource, path })
    },
    record: async () => {},
    close: () => file.close(),
  }
}

async function indexOf(file: OpenFile, path: string) {
  const size = await file.size()
  const index = new Map<string, number[]>()
  let info: LoadInfo | undefined
  let pages = 0
  for await (const located of scan(file)) {
    if (located.start === 0) info = decodeInfo(await readRecord(file, located))
    else if (located.fields.get('warc-type') === 'response') {
      const key = fieldsKey(located.fields)
      const offsets = index.get(key)
      if (offsets === undefined) index.set(key, [located.start])
      else offsets.push(located.start)
      pages++
    }
  }
  if (info === undefined) throw new DataError('journal', `${path} is not the journal of a load`, { path })
  return { info, index, pages, size }
}

async function openRecorded(files: Files, loadDir: string) {
  const path = join(loadDir, RESPONSES_FILE)
  const file = await openExisting(files, path, 'r')
  if (file === undefined) throw new DataError('journal', `there is no journal at ${path}`, { path })
  return { file, path }
}
