import { createHash } from 'node:crypto'
import { type FileHandle, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type JsonObject, parseJson, stringifyJson } from '../core/json.js'
import { readRecord, scan } from './scan.js'
import { encodeRecord, recordId, type WarcRecord } from './warc.js'

/** File in a load's folder that holds the answers. */
export const RESPONSES_FILE = 'responses.warc'

/** Facts in the first record of a journal. */
export interface LoadInfo {
  readonly loadId: string
  readonly fingerprint: string
  readonly meta: JsonObject
}

/** A load that began and was not committed. */
export interface UnfinishedLoad extends LoadInfo {
  /** Folder of the load. */
  readonly path: string
}

/** Loads of the pipeline in `dir` that were not committed, oldest first. Unreadable journals are left out. */
export async function unfinishedLoads(dir: string): Promise<readonly UnfinishedLoad[]> {
  const loads = join(dir, 'loads')
  const names = await readdir(loads).catch(() => [])
  const found: UnfinishedLoad[] = []
  for (const name of names.filter(name => !/\.(done|aside\d*)$/.test(name))) {
    const info = await infoOf(join(loads, name, RESPONSES_FILE))
    if (info !== undefined) found.push({ ...info, path: join(loads, name) })
  }
  return found.sort((a, b) => Number(a.loadId) - Number(b.loadId) || (a.loadId < b.loadId ? -1 : 1))
}

/** A file that ends sooner was cut off before it held an answer: nothing is lost with it. */
export const SHORTEST_WORTH_KEEPING = 4096

/** Removes what is left of journals whose process ended while it made or deleted them. Only under the pipeline's lock. */
export async function removeStubs(dir: string): Promise<void> {
  const loads = join(dir, 'loads')
  for (const name of await readdir(loads).catch(() => [])) {
    const path = join(loads, name)
    if (!/^[\d.]+$/.test(name) || (await infoOf(join(path, RESPONSES_FILE))) !== undefined) continue
    const file = await stat(join(path, RESPONSES_FILE)).catch(() => undefined)
    if (file === undefined || file.size < SHORTEST_WORTH_KEEPING) await rm(path, { recursive: true, force: true })
  }
}

async function infoOf(path: string): Promise<LoadInfo | undefined> {
  const file = await openExisting(path, 'r').catch(() => undefined)
  if (file === undefined) return undefined
  try {
    for await (const record of scan(file)) return decodeInfo(await readRecord(file, record))
    return undefined
  } finally {
    await file.close()
  }
}

/** The first record of a journal. */
export function encodeInfo({ loadId, fingerprint, meta }: LoadInfo, now: number): readonly Uint8Array[] {
  const lines = [
    'software: sluice',
    'format: WARC File Format 1.1',
    `load-id: ${encodeURIComponent(loadId)}`,
    `fingerprint: ${encodeURIComponent(fingerprint)}`,
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

/** What the ids of a load's records begin with. */
export function loadDigest(loadId: string): string {
  return createHash('sha256').update(loadId).digest('hex')
}

/** Undefined where there is no such file. */
export async function openExisting(path: string, flags: 'r' | 'r+'): Promise<FileHandle | undefined> {
  try {
    return await open(path, flags)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
