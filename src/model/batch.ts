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

/** A value of a batch as JavaScript has it. */
export type BatchValue = null | boolean | number | bigint | string | Uint8Array

/**
 * The rows of a batch, in order, as objects without a prototype and with a member for each of its columns. Slow and simple: a
 * destination for large loads reads columns. All is copied, so that the rows may be kept.
 *
 * Text, JSON, decimals and wei are text; bigint is bigint; timestamps and times are microseconds as bigint; dates are days
 * since 1970 as number; binary values are bytes.
 *
 * ```ts
 * async stage(batch: ColumnBatch) {
 *   for (const row of batchRows(batch)) console.log(row['id'])
 * }
 * ```
 */
export function* batchRows(batch: ColumnBatch): Generator<Record<string, BatchValue>> {
  const columns = batch.columns.map(column => [column.name, columnValues(column)] as const)
  for (let row = 0; row < batch.rows; row++) {
    const values: Record<string, BatchValue> = Object.create(null)
    for (const [name, next] of columns) values[name] = next(row)
    yield values
  }
}

/** Reads a column from its first row to its last. */
function columnValues({ dataType, validity, values }: Column): (row: number) => BatchValue {
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength)
  let at = 0
  let index = 0
  const next = (): BatchValue => {
    switch (dataType) {
      case 'bool':
        return bitAt(values, index++)
      case 'bigint':
      case 'timestamp':
      case 'time':
        return view.getBigInt64(8 * index++, true)
      case 'date':
        return view.getInt32(4 * index++, true)
      case 'double':
        return view.getFloat64(8 * index++, true)
      default: {
        const start = at + 4
        at = start + readUint32(values, at)
        return dataType === 'binary' ? new Uint8Array(values.subarray(start, at)) : text(values.subarray(start, at))
      }
    }
  }
  return row => (validity === undefined || bitAt(validity, row) ? next() : null)
}

function bitAt(bits: Uint8Array, index: number): boolean {
  // A bit a row, or a value.
  return ((bits[index >> 3]! >> (index & 7)) & 1) === 1
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const text = (bytes: Uint8Array): string => decoder.decode(bytes)
