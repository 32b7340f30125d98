import { type Column, readUint32 } from '../core/batch.js'
import type { ColumnSchema, DataType } from '../core/schema.js'
import type { BufferPool } from './buffers.js'
import type { Coerced } from './coerce.js'

/** Data types as small numbers, for the switches of the walk. */
export const TEXT = 0
export const BIGINT = 1
export const DOUBLE = 2
export const BOOL = 3
export const TIMESTAMP = 4
export const JSON_TEXT = 5
export const DECIMAL = 6
export const WEI = 7
export const BINARY = 8
export const DATE = 9
export const TIME = 10

const KINDS: Readonly<Record<DataType, number>> = {
  text: TEXT,
  bigint: BIGINT,
  double: DOUBLE,
  bool: BOOL,
  timestamp: TIMESTAMP,
  json: JSON_TEXT,
  decimal: DECIMAL,
  wei: WEI,
  binary: BINARY,
  date: DATE,
  time: TIME,
}

/** Bytes of one value: 0 for values with a length, 1 for bits. */
const WIDTHS = [0, 8, 8, 1, 8, 0, 0, 0, 0, 4, 8]

const TWO_32 = 4294967296

/**
 * Thrown by the walk, and caught by its caller, when a record holds something it does not know. It is thrown often
 * enough to be made only once.
 */
export const GIVE_UP = new Error('the record needs the exact way')

/** The growing values of one column of the current batch; layout as in core/batch. */
export class ColumnWriter {
  // What the walk uses for every value comes first, close together in memory.
  /** One of the numbers above. */
  readonly kind: number
  /** Values so far. */
  count = 0
  /** Values that fit in without growing; 0 for values with a length. */
  capacity = 0
  /** Bytes of values with a length so far. */
  position = 0
  /** One bit a row; its owner keeps it as large as the table's row capacity. */
  validity: Uint8Array
  values: Uint8Array
  /** Views of `values`. */
  view: DataView
  words: Int32Array
  doubles: Float64Array
  readonly name: string
  readonly hints: ColumnSchema
  readonly dataType: DataType
  readonly #width: number
  readonly #pool: BufferPool
  #markedCount = 0
  #markedPosition = 0

  constructor(hints: ColumnSchema & { readonly data_type: DataType }, rowCapacity: number, pool: BufferPool) {
    this.kind = KINDS[hints.data_type]
    this.name = hints.name
    this.hints = hints
    this.dataType = hints.data_type
    this.#width = WIDTHS[this.kind]!
    this.#pool = pool
    this.validity = pool.acquireZeroed((rowCapacity + 7) >> 3)
    this.values = pool.acquire(0)
    this.view = new DataView(this.values.buffer)
    this.words = new Int32Array(0)
    this.doubles = new Float64Array(0)
    this.#adopt(this.kind === BOOL ? pool.acquireZeroed(0) : this.values)
  }

  #adopt(values: Uint8Array): void {
    this.values = values
    this.view = new DataView(values.buffer)
    this.words = new Int32Array(values.buffer, 0, values.length >> 2)
    this.doubles = new Float64Array(values.buffer, 0, values.length >> 3)
    this.capacity =
      this.#width === 0 ? 0 : this.#width === 1 ? values.length * 8 : Math.floor(values.length / this.#width)
  }

  /** Makes room for `bytes` more bytes of values with a length. */
  reserve(bytes: number): void {
    const needed = this.position + bytes
    if (needed > this.values.length) this.#adopt(this.#pool.grow(this.values, needed, this.values.length, false))
  }

  /** Makes room for one more value of a fixed width. */
  growValues(): void {
    const size = this.values.length
    this.#adopt(this.#pool.grow(this.values, size * 2, size, this.kind === BOOL))
  }

  growRows(rowCapacity: number): void {
    const needed = (rowCapacity + 7) >> 3
    if (needed > this.validity.length) {
      this.validity = this.#pool.grow(this.validity, needed, this.validity.length, true)
    }
  }

  has(row: number): boolean {
    return (this.validity[row >> 3]! & (1 << (row & 7))) !== 0
  }

  /** Before a value is added: a second one in the same row makes the walk give up the record. */
  #setValid(row: number): void {
    const bit = 1 << (row & 7)
    const bits = this.validity[row >> 3]!
    if ((bits & bit) !== 0) throw GIVE_UP
    this.validity[row >> 3] = bits | bit
  }

  /** Two halves of an i64. */
  putInt64(row: number, low: number, high: number): void {
    if (this.count === this.capacity) this.growValues()
    this.#setValid(row)
    const at = this.count++ << 1
    this.words[at] = low
    this.words[at + 1] = high
  }

  putDouble(row: number, value: number): void {
    if (this.count === this.capacity) this.growValues()
    this.#setValid(row)
    this.doubles[this.count++] = value
  }

  putBool(row: number, value: boolean): void {
    if (this.count === this.capacity) this.growValues()
    this.#setValid(row)
    if (value) this.values[this.count >> 3]! |= 1 << (this.count & 7)
    this.count++
  }

  putInt32(row: number, value: number): void {
    if (this.count === this.capacity) this.growValues()
    this.#setValid(row)
    this.words[this.count++] = value
  }

  putBytes(row: number, bytes: Uint8Array): void {
    this.reserve(bytes.length + 4)
    this.values.set(bytes, this.position + 4)
    this.endText(row, bytes.length)
  }

  /** Completes a value whose `length` bytes stand in `values` from `position + 4`. */
  endText(row: number, length: number): void {
    this.#setValid(row)
    const at = this.position
    this.view.setInt32(at, length, true)
    this.position = at + 4 + length
    this.count++
  }

  /** A value as coercion made it. */
  put(row: number, value: Coerced): void {
    if (typeof value === 'string') this.putBytes(row, Buffer.from(value, 'utf8'))
    else if (typeof value === 'boolean') this.putBool(row, value)
    else if (typeof value === 'bigint') {
      this.putInt64(row, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)))
    } else if (typeof value === 'number') {
      if (this.kind === DOUBLE) this.putDouble(row, value)
      else if (this.kind === DATE) this.putInt32(row, value)
      else this.putInt64(row, value | 0, Math.floor(value / TWO_32))
    } else this.putBytes(row, value)
  }

  /** Remembers this place: {@link truncate} can go back as far as here. */
  mark(): void {
    this.#markedCount = this.count
    this.#markedPosition = this.position
  }

  /** Forgets the values of the rows from `row` to before `rows`. */
  truncate(row: number, rows: number): void {
    let removed = 0
    for (let at = row; at < rows; at++) {
      if (!this.has(at)) continue
      this.validity[at >> 3]! &= ~(1 << (at & 7))
      removed++
    }
    if (removed === 0) return
    const count = this.count - removed
    if (this.kind === BOOL) {
      for (let at = count; at < this.count; at++) this.values[at >> 3]! &= ~(1 << (at & 7))
    }
    this.count = count
    if (this.#width === 0) this.position = this.#positionOf(count)
  }

  #positionOf(index: number): number {
    let position = this.#markedPosition
    for (let at = this.#markedCount; at < index; at++) position += 4 + readUint32(this.values, position)
    return position
  }

  /** First of `rows` rows without a value, or -1. */
  firstGap(rows: number): number {
    if (this.count === rows) return -1
    for (let row = 0; row < rows; row++) if (!this.has(row)) return row
    return -1
  }

  /**
   * Hands over the values of `rows` rows and starts anew with empty buffers. The buffers of the result are added to
   * `lent`, to be released when the batch is done with.
   */
  cut(rows: number, rowCapacity: number, lent: Uint8Array[]): Column {
    const { count, validity, values } = this
    const used = this.#width === 0 ? this.position : this.#width === 1 ? (count + 7) >> 3 : count * this.#width
    const column: Column = {
      name: this.name,
      dataType: this.dataType,
      count,
      validity: count === rows ? undefined : validity.subarray(0, (rows + 7) >> 3),
      values: values.subarray(0, used),
    }
    lent.push(validity, values)
    this.validity = this.#pool.acquireZeroed((rowCapacity + 7) >> 3)
    this.#adopt(this.kind === BOOL ? this.#pool.acquireZeroed(values.length) : this.#pool.acquire(values.length))
    this.count = 0
    this.position = 0
    this.mark()
    return column
  }
}
