import { type Column, type ColumnBatch, readUint32 } from '../../model/batch.js'
import type { DataType } from '../../schema/schemaTypes.js'

/** DuckDB compresses so many rows at a time, whatever they hold, one column after the other. */
const VECTOR_ROWS = 2048
const LONG_VECTOR_BYTES = 16 << 20

/** Foresees how much memory DuckDB takes to compress the longest column of so many consecutive rows of a table. */
export interface VectorMemory {
  /** Counts the rows of the table's next batch. Returns the most so far for any vector. */
  add(batch: ColumnBatch, bytes: number): number
}

/** Whether the rows of a table are so long that threads should not compress them at once. */
export function hasLongVectors({ vectorBytes }: { readonly vectorBytes: number }): boolean {
  return vectorBytes >= LONG_VECTOR_BYTES
}

interface Counted {
  readonly rows: number
  /** Of at most the rows of a vector. */
  readonly held: number
}

export function vectorMemory(): VectorMemory {
  /** The last batches, together at least a vector. */
  const recent: Counted[] = []
  let mostRowBytes = 0
  let most = 0
  return {
    add(batch, bytes) {
      const { rows } = batch
      const held = heldBytes(batch, bytes)
      mostRowBytes = Math.max(mostRowBytes, held / rows)
      recent.push({ rows, held: held * Math.min(1, VECTOR_ROWS / rows) })
      const between = () => recent.slice(1, -1).reduce((sum, counted) => sum + counted.rows, 0)
      while (recent.length > 1 && between() >= VECTOR_ROWS) recent.shift()
      const window = recent.reduce((sum, counted) => sum + counted.held, 0)
      most = Math.max(most, Math.min(window, mostRowBytes * VECTOR_ROWS))
      return most
    },
  }
}

const WITH_LENGTHS: ReadonlySet<DataType> = new Set(['text', 'json', 'binary', 'decimal', 'wei'])
const LENGTH_BYTES = 4

/** DuckDB keeps texts of this length outside of their column, in blocks. */
const LONG_TEXT_BYTES = 4096
/** A block without its checksum. A text that does not fit into the rest of one begins the next, as long as needed. */
const BLOCK_BYTES = (256 << 10) - 8
/** In shorter rows long texts are so rare that it does not matter how they lie in blocks. */
const SHORT_ROW_BYTES = 1024

/** Bytes that the values of a batch's longest column take in DuckDB's memory. */
function heldBytes({ rows, columns }: ColumnBatch, bytes: number): number {
  // A block is filled to more than half, on average.
  if (bytes < rows * SHORT_ROW_BYTES) return 2 * bytes
  return Math.max(
    ...columns.map(column => (WITH_LENGTHS.has(column.dataType) ? heldTexts(column) : column.values.length)),
  )
}

function heldTexts({ count, values }: Column): number {
  let held = 0
  let left = 0
  for (let index = 0, at = 0; index < count; index++) {
    const taken = LENGTH_BYTES + readUint32(values, at)
    at += taken
    if (taken < LONG_TEXT_BYTES) held += taken
    else if (taken < left) left -= taken
    else {
      const block = Math.max(taken, BLOCK_BYTES)
      held += block
      left = block - taken
    }
  }
  return held
}
