import { crc32 } from 'node:zlib'
import type { OpenFile } from './fileSystem.js'
import { blockDigest, parseHead, RECORD_END, type WarcRecord } from './warc.js'

/** A complete, undamaged record in a file. Its block is not read yet. */
export interface Located {
  readonly fields: ReadonlyMap<string, string>
  /** Offsets in the file: start of the record, of its block, and of what follows the record. */
  readonly start: number
  readonly block: number
  readonly end: number
}

const FIRST_READ = 4096
/** Longest head that is searched. Ours exceed a kilobyte only if a body holds a secret very often. */
const LONGEST_HEAD = 2 ** 26
const PIECE = 2 ** 20

/**
 * The records of a journal, in order. Bodies are checked but not kept. It ends at the first damaged or incomplete
 * record, because everything after it was written later and is useless.
 */
export async function* scan(file: OpenFile): AsyncGenerator<Located> {
  const size = await file.size()
  let start = 0
  for (;;) {
    const located = await locate(file, start, size)
    if (located === undefined || !(await isWhole(file, located))) return
    yield located
    start = located.end
  }
}

/** Head of the record at `start`. Undefined if there is none, or if it ends after the end of the file. */
export async function locate(file: OpenFile, start: number, size: number): Promise<Located | undefined> {
  for (let window = FIRST_READ; ; window *= 8) {
    const bytes = await read(file, start, Math.min(window, size - start))
    const head = parseHead(bytes)
    if (head !== undefined) {
      const length = Number(head.fields.get('content-length'))
      const block = start + head.headBytes
      const end = block + length + RECORD_END.length
      return Number.isSafeInteger(length) && length >= 0 && end <= size
        ? { fields: head.fields, start, block, end }
        : undefined
    }
    if (bytes.length < window || window > LONGEST_HEAD) return undefined
  }
}

/** A record with its block. */
export async function readRecord(file: OpenFile, { fields, block, end }: Located): Promise<WarcRecord> {
  return { fields, block: await read(file, block, end - RECORD_END.length - block) }
}

async function isWhole(file: OpenFile, { fields, block, end }: Located): Promise<boolean> {
  let checksum = 0
  const blockEnd = end - RECORD_END.length
  for (let at = block; at < blockEnd; at += PIECE) {
    checksum = crc32(await read(file, at, Math.min(PIECE, blockEnd - at)), checksum)
  }
  const tail = await read(file, blockEnd, RECORD_END.length)
  return tail.equals(RECORD_END) && fields.get('warc-block-digest') === blockDigest(checksum)
}

/** Reads less only at the end of the file. */
async function read(file: OpenFile, at: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.max(0, length))
  return buffer.subarray(0, await file.read(buffer, at))
}
