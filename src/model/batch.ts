import type { DataType } from '../schema/schemaTypes.js'

/**
 * The values of one column of a batch. Values are dense: a null row takes no space. All numbers are little-endian.
 * The layout is that of Parquet's PLAIN encoding, so that a batch can be written without being walked again.
 *
 * | data type | layout of `values` |
 * |---|---|
 * | text, json, decimal, wei, binary | per value: u32 byte length, bytes (UTF-8; decimals as `-?digits[.digits]`) |
 * | bigint | i64 |
 * | timestamp, time | i64 microseconds since 1970-01-01T00:00:00Z, or since midnight |
 * | date | i32 days since 1970-01-01 |
 * | double | IEEE 754 double |
 * | bool | one bit a value, least significant first |
 */
export interface Column {
  readonly name: string
  readonly dataType: DataType
  /** Rows that have a value; the number of values in `values`. */
  readonly count: number
  /** One bit a row, least significant first, set where the row has a value; absent when every row has one. */
  readonly validity?: Uint8Array | undefined
  readonly values: Uint8Array
}

/**
 * Rows of one table, column by column. Columns with no value in any row may be left out. Copy what you keep: the buffers
 * are reused once the promise of `stage` has settled. `new Uint8Array(values)` copies; `values.slice()` does not where it is a Buffer.
 */
export interface ColumnBatch {
  readonly table: string
  readonly rows: number
  readonly columns: readonly Column[]
  /**
   * For nested rows whose ids follow from the key of their root row: the root row that each came with. Records with one
   * key give their nested rows equal ids, so ids do not tell. Consecutive rows with one root row are a run, in order:
   * `first_row` is the first of them, and `root_row` is their root row. Both are bigint and count the rows of their
   * table in the load from 0.
   */
  readonly rootRuns?: ColumnBatch | undefined
}

/** The u32 at a place of a column's values, least significant byte first, such as the length of a text. */
export function readUint32(values: Uint8Array, at: number): number {
  // Four elements, which the layout of a batch has.
  return (values[at]! | (values[at + 1]! << 8) | (values[at + 2]! << 16) | (values[at + 3]! << 24)) >>> 0
}
