import { crc32 } from 'node:zlib'
import type { Entry, ZipFile } from 'yauzl'
import { BodyFormatError } from './bodyError.js'

/** One file of an archive. */
export interface ZippedFile {
  readonly name: string
  readonly bytes: Uint8Array
}

/** More files are an attack, or need a choice by `entries`. */
const MOST_FILES = 10_000
/** More than any path that a disk takes. */
const MOST_OF_NAME = 4096
/** The same as of a body that comes alone. */
export const MOST_UNPACKED = 2 ** 28

/** Most bytes of JSON that become of a table. Each record repeats the names of its columns. */
export const MOST_JSON = 2 ** 30

/** What may still be unpacked. All that is in one body shares it. */
export interface Allowance {
  left: number
}

/** Whether these are the first bytes of a zip archive. No text begins with them. */
export function isZip(body: Uint8Array): boolean {
  return body[0] === 0x50 && body[1] === 0x4b && ((body[2] === 3 && body[3] === 4) || (body[2] === 5 && body[3] === 6))
}

/**
 * The files of an archive with wanted names, in its order. Nothing is written to disk. What is unpacked is bounded,
 * whatever the archive says about its size, and each file must have its checksum.
 */
export async function zipFiles(
  body: Uint8Array,
  isWanted: (name: string) => boolean,
  allowance: Allowance,
): Promise<ZippedFile[]> {
  const archive = await opened(body)
  const found: ZippedFile[] = []
  for (let read = 0; ; read++) {
    const entry = await nextEntry(archive)
    if (entry === undefined) return found
    if (read >= MOST_FILES) throw refusal(`it has more than ${MOST_FILES} files`)
    if (entry.fileName.length > MOST_OF_NAME) {
      throw refusal(`the name of a file has more than ${MOST_OF_NAME} characters: ${entry.fileName.slice(0, 100)}…`)
    }
    if (entry.fileName.endsWith('/') || !isWanted(entry.fileName)) continue
    const bytes = await unpacked(archive, entry, allowance.left)
    allowance.left -= bytes.length
    found.push({ name: entry.fileName, bytes })
  }
}

async function opened(body: Uint8Array): Promise<ZipFile> {
  const { fromBuffer } = await import('yauzl')
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
  return new Promise((resolve, reject) => {
    fromBuffer(bytes, { lazyEntries: true, validateEntrySizes: true, strictFileNames: false }, (error, archive) => {
      if (error === null) resolve(archive)
      else reject(refusal(error.message))
    })
  })
}

function nextEntry(archive: ZipFile): Promise<Entry | undefined> {
  return new Promise((resolve, reject) => {
    archive.removeAllListeners()
    archive.on('entry', resolve)
    archive.on('end', () => resolve(undefined))
    archive.on('error', (error: Error) => reject(refusal(error.message)))
    archive.readEntry()
  })
}

function unpacked(archive: ZipFile, entry: Entry, left: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    archive.openReadStream(entry, (error, stream) => {
      if (error !== null) return reject(refusal(`${entry.fileName}: ${error.message}`))
      const parts: Buffer[] = []
      let size = 0
      stream.on('data', (part: Buffer) => {
        size += part.length
        parts.push(part)
        if (size > left) stream.destroy(tooMuch())
      })
      stream.on('error', cause => reject(cause instanceof BodyFormatError ? cause : refusal(cause.message)))
      stream.on('end', () => {
        const bytes = Buffer.concat(parts)
        if (crc32(bytes) === entry.crc32) resolve(bytes)
        else reject(refusal(`${entry.fileName} is damaged: its checksum is another`))
      })
    })
  })
}

export function tooMuch(): BodyFormatError {
  return refusal(`its files have more than ${MOST_UNPACKED} bytes (${MOST_UNPACKED >> 20} MiB)`)
}

function refusal(problem: string): BodyFormatError {
  return new BodyFormatError('a zip archive that can be read', problem)
}
