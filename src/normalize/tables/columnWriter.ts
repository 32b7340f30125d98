import type { Address } from '../../json/kernel/instantiate.js'
import type { Column } from '../../model/batch.js'
import type { ColumnSchema, DataType } from '../../schema/schemaTypes.js'
import { type Coerced, MOST_PRECISION } from '../exact/coerce.js'
import type { Kernel } from '../kernel/kernel.js'
import { BIGINT, BITS, BOOL, DOUBLE, LENGTH_AND_BYTES, OTHER, TEXT, TIMESTAMP } from '../kernel/walk.wasm.js'
import type { BufferPool } from './buffers.js'

/** Data types as the kernel knows them. */
const KINDS: Readonly<Record<DataType, number>> = {
  text: TEXT,
  bigint: BIGINT,
  double: DOUBLE,
  bool: BOOL,
  timestamp: TIMESTAMP,
  json: OTHER,
  decimal: OTHER,
  wei: OTHER,
  binary: OTHER,
  date: OTHER,
  time: OTHER,
}

/** Bytes of one value, or how the kernel stores values of other sizes. */
const WIDTHS: Readonly<Record<DataType, number>> = {
  text: LENGTH_AND_BYTES,
  bigint: 8,
  double: 8,
  bool: BITS,
  timestamp: 8,
  json: LENGTH_AND_BYTES,
  decimal: LENGTH_AND_BYTES,
  wei: LENGTH_AND_BYTES,
  binary: LENGTH_AND_BYTES,
  date: 4,
  time: 8,
}

/** Whether a column of a key may cut digits that the kernel does not look at. */
function isForHost({
  primary_key: primaryKey,
  merge_key: mergeKey,
  data_type: type,
  precision,
}: ColumnSchema): boolean {
  if (primaryKey !== true && mergeKey !== true) return false
  return type === 'double' || (type === 'timestamp' && precision !== undefined && precision < MOST_PRECISION)
}

/** The growing values of one column of the current batch, in the kernel's memory. Layout as in core/batch. */
export class ColumnWriter {
  readonly address: Address
  readonly kind: number
  readonly table: string
  readonly name: string
  readonly hints: ColumnSchema
  readonly dataType: DataType
  readonly #kernel: Kernel

  constructor(
    kernel: Kernel,
    table: { readonly name: string; readonly address: Address },
    hints: ColumnSchema & { readonly data_type: DataType },
  ) {
    this.table = table.name
    this.name = hints.name
    this.hints = hints
    this.dataType = hints.data_type
    this.kind = isForHost(hints) ? OTHER : KINDS[hints.data_type]
    this.#kernel = kernel
    this.address = kernel.exports.newColumn(table.address, WIDTHS[hints.data_type], kernel.columns.length)
    kernel.columns.push(this)
  }

  /** Values so far. */
  get count(): number {
    return this.#kernel.exports.countOf(this.address)
  }

  /** Stores a coerced value. */
  put(row: number, value: Coerced): void {
    const { exports } = this.#kernel
    if (typeof value === 'string') this.#putBytes(row, Buffer.from(value, 'utf8'))
    else if (typeof value === 'boolean') exports.putBool(this.address, row, value)
    else if (typeof value === 'bigint') exports.putInt64(this.address, row, value)
    else if (typeof value !== 'number') this.#putBytes(row, value)
    else if (this.dataType === 'date') exports.putInt32(this.address, row, value)
    else exports.putDouble(this.address, row, value)
  }

  #putBytes(row: number, bytes: Uint8Array): void {
    const to = this.#kernel.exports.beginText(this.address, bytes.length)
    this.#kernel.bytes.set(bytes, to)
    this.#kernel.exports.endText(this.address, row, to + bytes.length)
  }

  /** First of `rows` rows without a value, or -1. */
  firstGap(rows: number): number {
    return this.#kernel.exports.firstGap(this.address, rows)
  }

  /**
   * Hands over the values of `rows` rows and starts again. Adds the buffers of the result to `lent`, for release after
   * the batch.
   */
  cut(rows: number, pool: BufferPool, lent: Uint8Array[]): Column {
    const { exports, bytes } = this.#kernel
    const copied = (from: Address, length: number): Uint8Array => {
      const buffer = pool.acquire(length)
      buffer.set(bytes.subarray(from, from + length))
      lent.push(buffer)
      return buffer.subarray(0, length)
    }
    const { count } = this
    const column: Column = {
      name: this.name,
      dataType: this.dataType,
      count,
      validity: count === rows ? undefined : copied(exports.validityOf(this.address), (rows + 7) >> 3),
      values: copied(exports.valuesOf(this.address), exports.usedBytes(this.address)),
    }
    exports.clearColumn(this.address, rows)
    return column
  }
}
