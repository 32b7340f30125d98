import { type Column, type ColumnBatch, readUint32 } from '../../../model/batch.js'
import { DataError } from '../../../model/errors.js'
import { numericValues } from './numeric.js'
import {
  BIT,
  BYTES,
  DESCRIPTION_BYTES,
  type Exports,
  INT32,
  INT64,
  INT64_AS_16,
  INT64_AS_32,
  JSON_BYTES,
  newInstance,
  VECTOR_BYTES,
} from './rows.wasm.js'

/** Start of every stream: signature, no flags, no extension. */
export const COPY_HEADER: Uint8Array = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
/** End of every stream. */
export const COPY_TRAILER: Uint8Array = Uint8Array.of(0xff, 0xff)

/** Approximate bytes of a block of encoded rows: small enough for the processor's cache. */
const BLOCK_BYTES = 1 << 19
/** From 1970-01-01 to 2000-01-01, where Postgres starts to count. */
const EPOCH_DAYS = 10_957n
const EPOCH_MICROSECONDS = 946_684_800_000_000n

/**
 * Encodes rows in the binary format of COPY. A kernel (`rows.as.ts`) turns column values into rows, one block at a
 * time.
 */
export class RowEncoder {
  readonly #rows: number
  readonly #columns: readonly Cells[]
  readonly #firstOrdinal: number | undefined
  readonly #blockRows: number
  #row = 0

  /**
   * With `firstOrdinal`, a first column numbers the rows from that number. `types` are the Postgres types by column, as
   * the dialect spells them. Fails with a DataError if a number does not fit its type.
   */
  constructor(batch: ColumnBatch, types: ReadonlyMap<string, string>, firstOrdinal?: number | undefined) {
    this.#rows = batch.rows
    this.#firstOrdinal = firstOrdinal
    this.#columns = batch.columns.map(column => new Cells(batch.table, column, types.get(column.name) ?? ''))
    const blocks = Math.ceil(mostBytes(this.#columns, batch.rows) / BLOCK_BYTES)
    // Whole bytes of the bits that mark the rows with a value.
    this.#blockRows = Math.ceil(batch.rows / blocks / 8) * 8
  }

  get done(): boolean {
    return this.#row >= this.#rows
  }

  /** The next encoded rows, at least one. Use them before calling any encoder again. */
  next(): Uint8Array {
    const rows = Math.min(this.#blockRows, this.#rows - this.#row)
    const parts = this.#columns.map(column => column.take(this.#row, rows))
    const ordinal = this.#firstOrdinal === undefined ? -1 : this.#firstOrdinal + this.#row
    this.#row += rows
    return encode(parts, rows, mostBytes(parts, rows), ordinal)
  }
}

/** As numbered by the kernel. */
const KINDS = {
  bytes: BYTES,
  json: JSON_BYTES,
  int64: INT64,
  int32: INT32,
  bit: BIT,
  int64As32: INT64_AS_32,
  int64As16: INT64_AS_16,
} as const
type Kind = keyof typeof KINDS

const WASM_PAGE_BYTES = 1 << 16

/** Values of some rows of a column. */
interface Part {
  readonly kind: Kind
  readonly values: Uint8Array
  /** For bits: the first bit of the values that counts. */
  readonly firstBit: number
  readonly validity: Uint8Array | undefined
  /** Subtracted from each number. */
  readonly epoch: bigint
}

let kernel: Exports | undefined

function encode(parts: readonly Part[], rows: number, most: number, ordinal: number): Uint8Array {
  kernel ??= newInstance()
  const columns = kernel.heap.value
  let end = columns + parts.length * DESCRIPTION_BYTES
  const place = ({ length }: Uint8Array): number => {
    const at = aligned(end)
    end = at + length
    return at
  }
  const places = parts.map(({ values, validity }) => ({
    values: place(values),
    validity: validity === undefined ? 0 : place(validity),
  }))
  const out = aligned(end)
  const missing = out + most + VECTOR_BYTES - kernel.memory.buffer.byteLength
  if (missing > 0) kernel.memory.grow(Math.ceil(missing / WASM_PAGE_BYTES))
  const memory = new Uint8Array(kernel.memory.buffer)
  for (const [index, { kind, values, firstBit, validity, epoch }] of parts.entries()) {
    const at = places[index]! // one for each part
    memory.set(values, at.values)
    if (validity !== undefined) memory.set(validity, at.validity)
    kernel.describe(columns, index, KINDS[kind], at.validity, at.values, firstBit, epoch)
  }
  return memory.subarray(out, kernel.encode(columns, parts.length, rows, out, ordinal))
}

/** With room for a whole vector after what ends before it. */
function aligned(end: number): number {
  return (end + 2 * VECTOR_BYTES - 1) & -VECTOR_BYTES
}

/** The most bytes that rows can take. */
function mostBytes(columns: readonly { readonly kind: Kind; readonly values: Uint8Array }[], rows: number): number {
  let bytes = rows * (2 + 12)
  for (const { kind, values } of columns) {
    // Its own length, or the version of jsonb beside the existing length.
    bytes += kind === 'bytes' || kind === 'json' ? values.length + rows * 5 : rows * 12
  }
  return bytes
}

/** The values of one column, taken once from first to last for the rows. */
class Cells {
  readonly kind: Kind
  readonly values: Uint8Array
  readonly #validity: Uint8Array | undefined
  readonly #epoch: bigint
  readonly #count: number
  /** Bytes of the values taken. For bits: number of bits. */
  #position = 0

  /** `type` is the Postgres type of the target column, as the dialect spells it. */
  constructor(table: string, column: Column, type: string) {
    const { dataType, values, validity } = column
    this.kind = kindOf(column, type)
    if (this.kind === 'int64As32' || this.kind === 'int64As16') refuseLarge(table, column, this.kind)
    this.values = dataType === 'decimal' || dataType === 'wei' ? numericValues(table, column) : values
    this.#validity = validity
    this.#epoch = dataType === 'timestamp' ? EPOCH_MICROSECONDS : dataType === 'date' ? EPOCH_DAYS : 0n
    this.#count = column.count
  }

  take(row: number, rows: number): Part {
    const { kind, values } = this
    const count = this.#validity === undefined ? rows : present(this.#validity, row, row + rows)
    const validity = this.#validity?.subarray(row >> 3, (row + rows + 7) >> 3)
    const start = this.#position
    const part = { kind, validity, epoch: this.#epoch }
    if (kind === 'bit') {
      this.#position += count
      return { ...part, values: values.subarray(start >> 3, (start + count + 7) >> 3), firstBit: start & 7 }
    }
    this.#position = kind === 'bytes' || kind === 'json' ? this.#behind(count) : start + count * WIDTHS[kind]
    return { ...part, values: values.subarray(start, this.#position), firstBit: 0 }
  }

  /** Where the next `count` values with a length end. */
  #behind(count: number): number {
    if (count === this.#count) return this.values.length
    let position = this.#position
    for (let value = 0; value < count; value++) position += 4 + readUint32(this.values, position)
    return position
  }
}

const WIDTHS = { int64: 8, int32: 4, int64As32: 8, int64As16: 8 } as const

function kindOf({ dataType }: Column, type: string): Kind {
  switch (dataType) {
    case 'text':
    case 'binary':
    case 'decimal':
    case 'wei':
      return 'bytes'
    case 'json':
      return 'json'
    case 'bigint':
      if (type === 'smallint') return 'int64As16'
      return type === 'integer' ? 'int64As32' : 'int64'

    case 'timestamp':
    case 'time':
    case 'double':
      return 'int64'
    case 'date':
      return 'int32'
    case 'bool':
      return 'bit'
  }
}

// Below, elements of typed arrays are read with `!`: the layout of a batch has them.

/** Rows from `start` to before `end` that have a value. */
function present(validity: Uint8Array, start: number, end: number): number {
  let count = 0
  for (let row = start; row < end; row++) count += (validity[row >> 3]! >> (row & 7)) & 1
  return count
}

/** Fails with a DataError if a value does not fit the smaller type of the server's column. */
function refuseLarge(table: string, { name, count, values }: Column, kind: 'int64As32' | 'int64As16'): void {
  const bits = kind === 'int64As16' ? 16 : 32
  const spare = 32 - bits
  for (let at = 0; at < count * 8; at += 8) {
    const low = readUint32(values, at) | 0
    const high = readUint32(values, at + 4) | 0
    if ((low << spare) >> spare === low && high === low >> 31) continue
    const value = (BigInt(high) << 32n) | BigInt(low >>> 0)
    throw new DataError(
      'integer_range',
      `Column ${table}.${name}: ${value} does not fit into ${bits} bits; declare the column with a larger precision or none`,
      { path: `${table}.${name}` },
    )
  }
}
