import { join } from 'node:path'
import { parseJson } from '../json/parse.js'
import type { JsonObject } from '../json/value.js'
import { stringifyJson } from '../json/write.js'
import { nodeCrypto } from '../model/runtime/nodeCrypto.js'
import { uriComponent } from '../model/texts/percentEncoding.js'
import { failure } from './append.js'
import type { Files, OpenFile } from './fileSystem.js'
import { readRecord, scan } from './scan.js'
import { encodeRecord, recordId, type WarcRecord } from './warc.js'

/** The file in a load's folder that holds the answers. */
export const RESPONSES_FILE = 'responses.warc'

/** Facts in the first record of a journal. */
export interface LoadInfo {
  readonly loadId: string
  readonly fingerprint: string
  readonly meta: JsonObject
}

/** A load that began but was not committed. */
export interface UnfinishedLoad extends LoadInfo {
  /** Folder of the load. */
  readonly path: string
  /** Whether it holds no answer. */
  readonly isEmpty: boolean
}

/** Suffix of a load's folder that no run resumes: kept after its commit, or set aside. */
const PUT_AWAY = /\.(done|aside|gone)(\d*)$/

/** A folder that is being removed. It is ignored. */
const GONE = /\.gone\d*$/

/** Uncommitted loads of the pipeline in `dir`, oldest first. Unreadable journals are skipped. */
export async function unfinishedLoads(files: Files, dir: string): Promise<readonly UnfinishedLoad[]> {
  const loads = join(dir, 'loads')
  const names = await files.list(loads).catch(() => [])
  const found: UnfinishedLoad[] = []
  for (const name of names.filter(name => !PUT_AWAY.test(name))) {
    const opened = await openedOf(files, join(loads, name, RESPONSES_FILE))
    if (opened !== undefined) found.push({ ...opened, path: join(loads, name) })
  }
  return found.sort((a, b) => Number(a.loadId) - Number(b.loadId) || (a.loadId < b.loadId ? -1 : 1))
}

/** Renames a load's folder to a free name: `<folder>.<suffix>`, then `<folder>.<suffix>2` and so on. */
export async function setAside(files: Files, path: string, suffix: 'aside' | 'done' | 'gone'): Promise<string> {
  for (let number = 1; ; number++) {
    const target = `${path}.${suffix}${number === 1 ? '' : number}`
    try {
      await files.rename(path, target)
      return target
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
    }
  }
}

/**
 * Puts away a committed load. Its folder stops counting in one step. It is then removed or, with `keep`, renamed to
 * `<folder>.done`. Rejects with a DataError `journal`.
 */
export async function putAway(
  files: Files,
  path: string,
  { keep = false }: { readonly keep?: boolean } = {},
): Promise<void> {
  try {
    if (!keep) return await files.remove(await setAside(files, path, 'gone'))
    const kept = `${path}.done`
    await files.remove(kept)
    await files.rename(path, kept)
  } catch (error) {
    throw failure(path, error)
  }
}

/** A load's folder, in any state. */
export interface RecordedLoad {
  readonly loadId: string
  readonly path: string
  readonly fate: 'unfinished' | 'done' | 'aside'
}

/** Every journal of the pipeline in `dir`, oldest load first. If a load has several, its latest attempt comes last. */
export async function recordedLoads(files: Files, dir: string): Promise<readonly RecordedLoad[]> {
  const loads = join(dir, 'loads')
  const names = await files.list(loads).catch(() => [])
  return names
    .filter(name => !GONE.test(name))
    .map(name => {
      const [suffix = '', fate = 'unfinished', attempt = ''] = PUT_AWAY.exec(name) ?? []
      const loadId = name.slice(0, name.length - suffix.length)
      return { loadId, path: join(loads, name), fate: fate as RecordedLoad['fate'], attempt: Number(attempt || 1) }
    })
    .sort((a, b) => Number(a.loadId) - Number(b.loadId) || a.attempt - b.attempt)
}

/** Removes the oldest journals that were set aside, so that `keep` remain. Returns the removed folders. */
export async function removeAside(files: Files, dir: string, keep: number): Promise<readonly string[]> {
  const aside = (await recordedLoads(files, dir)).filter(({ fate }) => fate === 'aside').map(({ path }) => path)
  const removed = aside.slice(0, Math.max(0, aside.length - keep))
  for (const path of removed) await files.remove(path)
  return removed
}

/** A shorter file was cut off before it held an answer, so nothing is lost with it. */
export const SHORTEST_WORTH_KEEPING = 4096

/** Removes leftovers of journals whose process ended while it created or deleted them. Call only while holding the pipeline's lock. */
export async function removeStubs(files: Files, dir: string): Promise<void> {
  const loads = join(dir, 'loads')
  for (const name of await files.list(loads).catch(() => [])) {
    const path = join(loads, name)
    if (GONE.test(name)) {
      // It does no harm if it stays.
      await files.remove(path).catch(() => {})
      continue
    }
    if (!/^[\d.]+$/.test(name) || (await openedOf(files, join(path, RESPONSES_FILE))) !== undefined) continue
    if ((await sizeOf(files, join(path, RESPONSES_FILE))) < SHORTEST_WORTH_KEEPING) await files.remove(path)
  }
}

/** 0 if there is no file. */
async function sizeOf(files: Files, path: string): Promise<number> {
  const file = await openExisting(files, path, 'r').catch(() => undefined)
  if (file === undefined) return 0
  try {
    return await file.size()
  } finally {
    await file.close()
  }
}

async function openedOf(files: Files, path: string): Promise<Omit<UnfinishedLoad, 'path'> | undefined> {
  const file = await openExisting(files, path, 'r').catch(() => undefined)
  if (file === undefined) return undefined
  try {
    let info: LoadInfo | undefined
    for await (const record of scan(file)) {
      if (info !== undefined) return { ...info, isEmpty: false }
      info = decodeInfo(await readRecord(file, record))
      if (info === undefined) return undefined
    }
    return info === undefined ? undefined : { ...info, isEmpty: true }
  } finally {
    await file.close()
  }
}

/** The first record of a journal. */
export function encodeInfo({ loadId, fingerprint, meta }: LoadInfo, now: number): readonly Uint8Array[] {
  const lines = [
    'software: sluice',
    'format: WARC File Format 1.1',
    `load-id: ${uriComponent(loadId)}`,
    `fingerprint: ${uriComponent(fingerprint)}`,
    `meta: ${stringifyJson(meta)}`,
  ]
  return encodeRecord(
    {
      'WARC-Type': 'warcinfo',
      'WARC-Record-ID': recordId(loadDigest(loadId), 0),
      'WARC-Date': new Date(now).toISOString(),
      'Content-Type': 'application/warc-fields',
    },
    [Buffer.from(`${lines.join('\r\n')}\r\n`)],
  )
}

/** Undefined for any other record. */
export function decodeInfo({ fields, block }: WarcRecord): LoadInfo | undefined {
  if (fields.get('warc-type') !== 'warcinfo') return undefined
  const lines = Buffer.from(block).toString().split('\r\n')
  const facts = new Map(lines.map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]))
  try {
    const meta = parseJson(facts.get('meta') ?? '')
    if (typeof meta !== 'object' || meta === null || Array.isArray(meta)) return undefined
    return {
      loadId: decodeURIComponent(facts.get('load-id') ?? ''),
      fingerprint: decodeURIComponent(facts.get('fingerprint') ?? ''),
      meta: meta as JsonObject,
    }
  } catch {
    return undefined
  }
}

/** The start of the ids of a load's records. */
export function loadDigest(loadId: string): string {
  return nodeCrypto().createHash('sha256').update(loadId).digest('hex')
}

/** Undefined if there is no such file. */
export async function openExisting(files: Files, path: string, flags: 'r' | 'r+'): Promise<OpenFile | undefined> {
  try {
    return await files.open(path, flags)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
