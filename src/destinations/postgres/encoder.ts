import type { Column, ColumnBatch } from '../../core/batch.js'
import { DataError } from '../../core/errors.js'

/**
 * Rows in the binary format of COPY. Values are taken from columns and written as rows: first the sizes of a block of
 * rows are summed up, which gives each row its place, then each column is written in a loop of its own. A block is
 * small enough to stay in the processor's cache.
 */
export class RowEncoder {
  readonly #rows: number
  readonly #columns: readonly Cells[]
  readonly #firstOrdinal: number | undefined
  /** Where the next value of each row of the block goes. */
  readonly #places = new Int32Array(BLOCK_ROWS)
  #row = 0
  #blockRows = 0

  /**
   * With `firstOrdinal` a first column numbers the rows, beginning with it. `types` are those of Postgres by column, as
   * the dialect spells them.
   */
  constructor(batch: ColumnBatch, types: ReadonlyMap<string, string>, firstOrdinal?: number | undefined) {
    this.#rows = batch.rows
    this.#firstOrdinal = firstOrdinal
    this.#columns = batch.columns.map(column => cellsOf(batch.table, column, types.get(column.name) ?? ''))
  }

  get done(): boolean {
    return this.#row >= this.#rows
  }

  /** Bytes of the next block of rows. */
  measure(): number {
    const rows = Math.min(BLOCK_ROWS, this.#rows - this.#row)
    const sizes = this.#places
    this.#blockRows = rows
    // Number of fields, the ordinal with its length, and the lengths of the others.
    sizes.fill(2 + (this.#firstOrdinal === undefined ? 0 : 12) + 4 * this.#columns.length, 0, rows)
    for (const column of this.#columns) column.addSizes(sizes, this.#row, rows)
    let total = 0
    for (let row = 0; row < rows; row++) {
      const size = sizes[row]! // within the block
      sizes[row] = total
      total += size
    }
    return total
  }

  /** Writes the block that was measured, from `start` on. */
  write(out: Buffer, start: number): void {
    const places = this.#places
    const rows = this.#blockRows
    const first = this.#firstOrdinal
    const fields = this.#columns.length + (first === undefined ? 0 : 1)
    for (let row = 0; row < rows; row++) {
      let at = out.writeInt16BE(fields, places[row]! + start) // within the block
      if (first !== undefined) {
        const ordinal = first + this.#row + row
        at = out.writeInt32BE(8, at)
        at = out.writeInt32BE(Math.floor(ordinal / TWO_32), at)
        at = out.writeUInt32BE(ordinal % TWO_32, at)
      }
      places[row] = at
    }
    for (const column of this.#columns) column.write(out, places, this.#row, rows)
    this.#row += rows
  }
}

/** What every stream begins with: signature, no flags, no extension. */
export const COPY_HEADER: Uint8Array = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
/** What every stream ends with. */
export const COPY_TRAILER: Uint8Array = Uint8Array.of(0xff, 0xff)

const BLOCK_ROWS = 512
const TWO_32 = 2 ** 32
/** From 1970-01-01 to 2000-01-01, where Postgres begins to count. */
const EPOCH_DAYS = 10_957
const EPOCH_MICROSECONDS = 946_684_800_000_000

/** The values of one column on their way into rows, read once from the first to the last. */
interface Cells {
  /** Adds to each size the bytes that the column's value takes beside its length. */
  addSizes(sizes: Int32Array, firstRow: number, rows: number): void
  /** Writes length and value of each row to its place and moves the places behind them. */
  write(out: Buffer, places: Int32Array, firstRow: number, rows: number): void
}

/** `type` is the Postgres type of the column the values are for, as the dialect spells it. */
function cellsOf(table: string, column: Column, type: string): Cells {
  switch (column.dataType) {
    case 'text':
    case 'binary':
      return new BytesCells(column, 0)
    case 'json':
      return new BytesCells(column, 1)
    case 'decimal':
    case 'wei':
      return new NumericCells(table, column)
    case 'bigint': {
      const bytes = type === 'smallint' ? 2 : type === 'integer' ? 4 : 8
      return bytes === 8 ? new Int64Cells(column, 0) : new SmallIntegerCells(table, column, bytes)
    }
    case 'timestamp':
      return new Int64Cells(column, EPOCH_MICROSECONDS)
    case 'time':
      return new Int64Cells(column, 0)
    case 'date':
      return new DateCells(column)
    case 'double':
      return new DoubleCells(column)
    case 'bool':
      return new BoolCells(column)
  }
}

function isPresent(validity: Uint8Array | undefined, row: number): boolean {
  return validity === undefined || (validity[row >> 3]! & (1 << (row & 7))) !== 0
}

function writeNull(out: Uint8Array, at: number): number {
  out[at] = 0xff
  out[at + 1] = 0xff
  out[at + 2] = 0xff
  out[at + 3] = 0xff
  return at + 4
}

function writeInt32(out: Uint8Array, at: number, value: number): number {
  out[at] = value >> 24
  out[at + 1] = value >> 16
  out[at + 2] = value >> 8
  out[at + 3] = value
  return at + 4
}

// Below, elements of typed arrays are read with `!`: the layout of a batch has them.

/** Sizes of columns whose values all take the same number of bytes. */
function addFixedSizes(
  validity: Uint8Array | undefined,
  bytes: number,
  sizes: Int32Array,
  firstRow: number,
  rows: number,
): void {
  for (let row = 0; row < rows; row++) {
    if (isPresent(validity, firstRow + row)) sizes[row]! += bytes
  }
}

class Int64Cells implements Cells {
  readonly #column: Column
  readonly #offsetLow: number
  readonly #offsetHigh: number
  #position = 0

  /** `offset` is subtracted from every value. */
  constructor(column: Column, offset: number) {
    this.#column = column
    this.#offsetLow = offset % TWO_32
    this.#offsetHigh = Math.floor(offset / TWO_32)
  }

  addSizes(sizes: Int32Array, firstRow: number, rows: number): void {
    addFixedSizes(this.#column.validity, 8, sizes, firstRow, rows)
  }

  write(out: Buffer, places: Int32Array, firstRow: number, rows: number): void {
    const { validity, values } = this.#column
    const offsetLow = this.#offsetLow
    const offsetHigh = this.#offsetHigh
    let from = this.#position
    for (let row = 0; row < rows; row++) {
      const at = places[row]!
      if (!isPresent(validity, firstRow + row)) {
        places[row] = writeNull(out, at)
        continue
      }
      const low = readUint32(values, from) - offsetLow
      const high = (readUint32(values, from + 4) | 0) - offsetHigh - (low < 0 ? 1 : 0)
      from += 8
      out[at] = 0
      out[at + 1] = 0
      out[at + 2] = 0
      out[at + 3] = 8
      writeInt32(out, at + 4, high)
      places[row] = writeInt32(out, at + 8, low)
    }
    this.#position = from
  }
}

function readUint32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}

class SmallIntegerCells implements Cells {
  readonly #table: string
  readonly #column: Column
  readonly #bytes: 2 | 4
  #position = 0

  constructor(table: string, column: Column, bytes: 2 | 4) {
    this.#table = table
    this.#column = column
    this.#bytes = bytes
  }

  addSizes(sizes: Int32Array, firstRow: number, rows: number): void {
    addFixedSizes(this.#column.validity, this.#bytes, sizes, firstRow, rows)
  }

  write(out: Buffer, places: Int32Array, firstRow: number, rows: number): void {
    const { validity, values } = this.#column
    const bytes = this.#bytes
    const spare = 32 - bytes * 8
    for (let row = 0; row < rows; row++) {
      const at = places[row]!
      if (!isPresent(validity, firstRow + row)) {
        places[row] = writeNull(out, at)
        continue
      }
      const low = readUint32(values, this.#position) | 0
      const high = readUint32(values, this.#position + 4) | 0
      if ((low << spare) >> spare !== low || high !== low >> 31) {
        const value = (BigInt(high) << 32n) | BigInt(low >>> 0)
        throw new DataError(
          'integer_range',
          `Column ${this.#table}.${this.#column.name}: ${value} does not fit into ${bytes * 8} bits; declare the column with a larger precision or none`,
          { path: `${this.#table}.${this.#column.name}` },
        )
      }
      this.#position += 8
      writeInt32(out, at, bytes)
      places[row] = bytes === 2 ? out.writeInt16BE(low, at + 4) : writeInt32(out, at + 4, low)
    }
  }
}

class DateCells implements Cells {
  readonly #column: Column
  #position = 0

  constructor(column: Column) {
    this.#column = column
  }

  addSizes(sizes: Int32Array, firstRow: number, rows: number): void {
    addFixedSizes(this.#column.validity, 4, sizes, firstRow, rows)
  }

  write(out: Buffer, places: Int32Array, firstRow: number, rows: number): void {
    const { validity, values } = this.#column
    for (let row = 0; row < rows; row++) {
      const at = places[row]!
      if (!isPresent(validity, firstRow + row)) {
        places[row] = writeNull(out, at)
        continue
      }
      const days = readUint32(values, this.#position) | 0
      this.#position += 4
      writeInt32(out, at, 4)
      places[row] = writeInt32(out, at + 4, days - EPOCH_DAYS)
    }
  }
}

class DoubleCells implements Cells {
  readonly #column: Column
  #position = 0

  constructor(column: Column) {
    this.#column = column
  }

  addSizes(sizes: Int32Array, firstRow: number, rows: number): void {
    addFixedSizes(this.#column.validity, 8, sizes, firstRow, rows)
  }

  write(out: Buffer, places: Int32Array, firstRow: number, rows: number): void {
    const { validity, values } = this.#column
    let from = this.#position
    for (let row = 0; row < rows; row++) {
      const at = places[row]!
      if (!isPresent(validity, firstRow + row)) {
        places[row] = writeNull(out, at)
        continue
      }
      writeInt32(out, at, 8)
      for (let byte = 0; byte < 8; byte++) out[at + 4 + byte] = values[from + 7 - byte]!
      from += 8
      places[row] = at + 12
    }
    this.#position = from
  }
}

class BoolCells implements Cells {
  readonly #column: Column
  #value = 0

  constructor(column: Column) {
    this.#column = column
  }

  addSizes(sizes: Int32Array, firstRow: number, rows: number): void {
    addFixedSizes(this.#column.validity, 1, sizes, firstRow, rows)
  }

  write(out: Buffer, places: Int32Array, firstRow: number, rows: number): void {
    const { validity, values } = this.#column
    for (let row = 0; row < rows; row++) {
      const at = places[row]!
      if (!isPresent(validity, firstRow + row)) {
        places[row] = writeNull(out, at)
        continue
      }
      const value = this.#value++
      writeInt32(out, at, 1)
      out[at + 4] = (values[value >> 3]! >> (value & 7)) & 1
      places[row] = at + 5
    }
  }
}

/** Shorter values are copied byte by byte, which is faster than a call. */
const SHORT = 24

class BytesCells implements Cells {
  readonly #column: Column
  /** Sent before the value, where it is not 0: the version that jsonb begins with. */
  readonly #version: number
  readonly #source: Buffer
  #measured = 0
  #position = 0

  constructor(column: Column, version: number) {
    this.#column = column
    this.#version = version
    const { buffer, byteOffset, byteLength } = column.values
    this.#source = Buffer.from(buffer, byteOffset, byteLength)
  }

  addSizes(sizes: Int32Array, firstRow: number, rows: number): void {
    const { validity, values } = this.#column
    const extra = this.#version === 0 ? 0 : 1
    let from = this.#measured
    for (let row = 0; row < rows; row++) {
      if (!isPresent(validity, firstRow + row)) continue
      const length = readUint32(values, from)
      sizes[row]! += length + extra
      from += 4 + length
    }
    this.#measured = from
  }

  write(out: Buffer, places: Int32Array, firstRow: number, rows: number): void {
    const { validity, values } = this.#column
    const version = this.#version
    let from = this.#position
    for (let row = 0; row < rows; row++) {
      let at = places[row]!
      if (!isPresent(validity, firstRow + row)) {
        places[row] = writeNull(out, at)
        continue
      }
      const length = readUint32(values, from)
      from += 4
      at = writeInt32(out, at, version === 0 ? length : length + 1)
      if (version !== 0) out[at++] = version
      if (length <= SHORT) {
        for (let byte = 0; byte < length; byte++) out[at + byte] = values[from + byte]!
      } else {
        this.#source.copy(out, at, from, from + length)
      }
      from += length
      places[row] = at + length
    }
    this.#position = from
  }
}

const MINUS = 45
const DOT = 46
const ZERO = 48

/**
 * Decimal texts as `numeric`: digits to the base 10,000, in groups of four that meet at the decimal point. Leading and
 * trailing groups of zeros may be sent, the server takes them off.
 */
class NumericCells implements Cells {
  readonly #table: string
  readonly #column: Column
  #measured = 0
  #position = 0

  constructor(table: string, column: Column) {
    this.#table = table
    this.#column = column
  }

  addSizes(sizes: Int32Array, firstRow: number, rows: number): void {
    const { validity, values } = this.#column
    let from = this.#measured
    for (let row = 0; row < rows; row++) {
      if (!isPresent(validity, firstRow + row)) continue
      const end = from + 4 + readUint32(values, from)
      const start = firstDigit(values, from + 4)
      const point = pointOf(values, start, end)
      sizes[row]! += 8 + 2 * (groupsOf(point - start) + groupsOf(end - point - 1))
      from = end
    }
    this.#measured = from
  }

  write(out: Buffer, places: Int32Array, firstRow: number, rows: number): void {
    const { validity, values } = this.#column
    let from = this.#position
    for (let row = 0; row < rows; row++) {
      const at = places[row]!
      if (!isPresent(validity, firstRow + row)) {
        places[row] = writeNull(out, at)
        continue
      }
      const end = from + 4 + readUint32(values, from)
      places[row] = this.#writeOne(out, at, from + 4, end)
      from = end
    }
    this.#position = from
  }

  #writeOne(out: Buffer, place: number, textStart: number, end: number): number {
    const { values } = this.#column
    const start = firstDigit(values, textStart)
    const point = pointOf(values, start, end)
    const whole = groupsOf(point - start)
    const fractionDigits = Math.max(0, end - point - 1)
    const groups = whole + groupsOf(fractionDigits)
    let at = writeInt32(out, place, 8 + 2 * groups)
    at = out.writeInt16BE(groups, at)
    at = out.writeInt16BE(whole - 1, at)
    at = out.writeInt16BE(start > textStart ? 0x4000 : 0, at)
    at = out.writeInt16BE(fractionDigits, at)
    let digits = 0
    let group = 0
    for (let byte = start; byte < point; byte++) {
      group = group * 10 + this.#digit(values[byte]!, textStart, end)
      // A group is full when what is left before the point is a multiple of four.
      if (((point - byte - 1) & 3) !== 0) continue
      at = out.writeInt16BE(group, at)
      group = 0
    }
    for (let byte = point + 1; byte < end; byte++) {
      group = group * 10 + this.#digit(values[byte]!, textStart, end)
      if ((++digits & 3) !== 0) continue
      at = out.writeInt16BE(group, at)
      group = 0
    }
    if ((digits & 3) !== 0) {
      for (; (digits & 3) !== 0; digits++) group *= 10
      at = out.writeInt16BE(group, at)
    }
    return at
  }

  #digit(code: number, start: number, end: number): number {
    const digit = code - ZERO
    if (digit >= 0 && digit <= 9) return digit
    const text = Buffer.from(this.#column.values.subarray(start, Math.min(end, start + 60))).toString()
    throw new DataError('coercion', `Column ${this.#table}.${this.#column.name}: ${text} is not a decimal number`, {
      path: `${this.#table}.${this.#column.name}`,
    })
  }
}

function firstDigit(values: Uint8Array, start: number): number {
  return values[start] === MINUS ? start + 1 : start
}

function pointOf(values: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) if (values[at] === DOT) return at
  return end
}

function groupsOf(digits: number): number {
  return digits <= 0 ? 0 : (digits + 3) >> 2
}
