import type { Column, ColumnBatch } from '../../model/batch.js'
import type { ReadonlyTable } from '../../schema/schemaTypes.js'

/**
 * Columns of a primary key whose values are certainly all different, because they only rise or only fall, as ids of
 * records that come in order do. To find out the same, DuckDB would have to read all keys again and put them into a
 * hash table.
 */
export interface DistinctValues {
  readonly names: ReadonlySet<string>
  /** Reads the next rows of the table. */
  add(batch: ColumnBatch): void
}

/** For a table from its first row on. Integers only: what texts are equal is up to the collation of the database. */
export function distinctValues(table: ReadonlyTable | undefined): DistinctValues {
  const sequences = new Map<string, Sequence>()
  for (const { name, primary_key, data_type } of table?.columns.values() ?? []) {
    if (primary_key === true && data_type === 'bigint')
      sequences.set(name, { step: 0, hasBegun: false, high: 0, low: 0 })
  }
  const names = new Set(sequences.keys())
  return {
    names,
    add({ rows, columns }) {
      for (const name of names) {
        const column = columns.find(one => one.name === name)
        const sequence = sequences.get(name)
        const hasAll = column?.dataType === 'bigint' && column.count === rows
        if (!hasAll || sequence === undefined || !continues(sequence, column)) names.delete(name)
      }
    },
  }
}

/**
 * Where a rising or falling column is. The last value is two halves of 64 bits: numbers, because a million of `bigint` would
 * cost more than what this saves.
 */
interface Sequence {
  /** 0 before the second value. */
  step: number
  /** Whether there was a first value. */
  hasBegun: boolean
  high: number
  low: number
}

const INTEGER_BYTES = 8

function continues(sequence: Sequence, { values, count }: Column): boolean {
  const view = new DataView(values.buffer, values.byteOffset, count * INTEGER_BYTES)
  for (let at = 0; at < view.byteLength; at += INTEGER_BYTES) {
    const low = view.getUint32(at, true)
    const high = view.getInt32(at + 4, true)
    const step = Math.sign(high - sequence.high) || Math.sign(low - sequence.low)
    if (sequence.hasBegun && (step === 0 || step === -sequence.step)) return false
    if (sequence.hasBegun) sequence.step = step
    sequence.hasBegun = true
    sequence.high = high
    sequence.low = low
  }
  return true
}
