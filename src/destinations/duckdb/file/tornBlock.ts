import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { DestinationError } from '../../../model/errors.js'
import { duckdbError } from '../duckdbErrors.js'

/**
 * DuckDB writes blocks with facts about tables over what they were, also while its last header still needs them. A
 * process that is killed in such a write, or a power cut, leaves a block that is partly new. What the header needs is the
 * same in both versions; only the checksum at the beginning of the block fits neither. DuckDB 1.5 then refuses the file.
 */
const WRONG_CHECKSUM = /computed checksum (\d+) does not match stored checksum (\d+) in block at location (\d+)/
/** A power cut may tear several blocks. */
const MOST_BLOCKS = 64

const CHECKSUM_BYTES = 8
/** Ends the log while its contents are written into the file: the field 100 with the value 99, and then another field. */
const CHECKPOINT_MARK = Buffer.from([100, 0, 99, 101, 0])
const MARK_WITHIN_BYTES = 64

interface TornBlock {
  readonly at: number
  readonly torn: Buffer
  readonly whole: Buffer
}

/**
 * Opens a file of DuckDB. Where a block was torn while the log was written into the file, the block gets the checksum of
 * what it holds, and DuckDB does the work of the log again. A damaged file without such a log stays as it is, and so does one
 * that cannot be opened afterwards. Call it only while this process does not have the file open: closing a file gives up its locks.
 */
export async function openMended<T>(path: string, open: () => Promise<T>): Promise<T> {
  const mended: TornBlock[] = []
  let first: unknown
  for (let tries = 0; ; tries++) {
    try {
      return await open()
    } catch (error) {
      first ??= error
      const block = tries < MOST_BLOCKS && endsWithMark(`${path}.wal`) ? tornBlock(error) : undefined
      if (block !== undefined && exchange(path, block.at, block.torn, block.whole)) mended.unshift(block)
      else {
        // Whoever has the lock has opened the mended file.
        if (isLocked(error, path)) throw error
        for (const { at, torn, whole } of mended) exchange(path, at, whole, torn)
        throw first
      }
    }
  }
}

function isLocked(error: unknown, path: string): boolean {
  const explained = duckdbError(error, path, 'opening it')
  return explained instanceof DestinationError && explained.code === 'destination_locked'
}

function tornBlock(error: unknown): TornBlock | undefined {
  const [, computed, stored, at] = WRONG_CHECKSUM.exec(error instanceof Error ? error.message : '') ?? []
  if (computed === undefined || stored === undefined || at === undefined) return undefined
  return { at: Number(at), torn: checksum(stored), whole: checksum(computed) }
}

function checksum(text: string): Buffer {
  const bytes = Buffer.alloc(CHECKSUM_BYTES)
  bytes.writeBigUInt64LE(BigInt(text))
  return bytes
}

/** Whether the work of this log was under way. */
function endsWithMark(log: string): boolean {
  const end = withFile(log, 'r', file => {
    const bytes = Buffer.alloc(MARK_WITHIN_BYTES)
    const count = readSync(file, bytes, 0, bytes.length, Math.max(0, fstatSync(file).size - bytes.length))
    return bytes.subarray(0, count)
  })
  return end?.includes(CHECKPOINT_MARK) === true
}

/**
 * Writes these bytes where the others are. Whether it did, or another process did the same before. Reads and writes in
 * one go: whoever mended the file first may soon have it open.
 */
function exchange(path: string, at: number, from: Buffer, to: Buffer): boolean {
  const isDone = withFile(path, 'r+', file => {
    const now = Buffer.alloc(CHECKSUM_BYTES)
    readSync(file, now, 0, now.length, at)
    if (!now.equals(from)) return now.equals(to)
    writeSync(file, to, 0, to.length, at)
    fsyncSync(file)
    return true
  })
  return isDone === true
}

/** Undefined for a file that is not there, or that may not be used so. */
function withFile<T>(path: string, flags: 'r' | 'r+', work: (file: number) => T): T | undefined {
  let file: number | undefined
  try {
    file = openSync(path, flags)
    return work(file)
  } catch {
    // The failure of DuckDB says more.
    return undefined
  } finally {
    if (file !== undefined) closeSync(file)
  }
}
