import type { Column, ColumnBatch } from '../../model/batch.js'
import type { DataType } from '../../schema/schemaTypes.js'
import { ThriftWriter } from './thrift.js'

/** A column of a file. Every column is optional in Parquet's sense. */
export interface ParquetColumn {
  /** Name in the file. */
  readonly name: string
  /** Name in the batches, if it is different. */
  readonly source?: string | undefined
  readonly dataType: DataType
  /** Timestamps: instants (default) or local times without zone. */
  readonly timezone?: boolean | undefined
}

/**
 * Writes batches into an uncompressed Parquet file, one row group for each batch. A batch already has Parquet's PLAIN
 * layout, so values stay untouched and a row group costs one small header for each column. Decimals stay text.
 *
 * Returns pieces to write one after the other: `begin` once, `rowGroup` for each batch, `end` once. The pieces of a row
 * group refer to the batch's buffers.
 */
export interface ParquetEncoder {
  readonly columns: readonly ParquetColumn[]
  /** The row groups so far. */
  readonly groups: readonly RowGroup[]
  begin(): readonly Uint8Array[]
  /** Columns missing in the batch are null. Columns missing in the file are ignored. */
  rowGroup(batch: ColumnBatch): readonly Uint8Array[]
  end(): readonly Uint8Array[]
}

/** Row groups that an encoder has made, and their pieces without what `begin` and `end` add. */
export interface EncodedRows {
  readonly groups: readonly RowGroup[]
  readonly pieces: readonly Uint8Array[]
}

interface ChunkPlace {
  readonly offset: number
  readonly size: number
}

/** What the metadata of a file says about one of its row groups. */
interface RowGroup {
  readonly rows: number
  readonly size: number
  readonly chunks: readonly ChunkPlace[]
}

const MAGIC = Buffer.from('PAR1')
const EMPTY = new Uint8Array(0)
const ENCODING = { plain: 0, rle: 3 } as const

export function parquetEncoder(columns: readonly ParquetColumn[]): ParquetEncoder {
  const groups: RowGroup[] = []
  const metadata = columns.map(columnMetadata)
  let offset = MAGIC.length
  let rows = 0
  return {
    columns,
    groups,
    begin: () => [MAGIC],
    rowGroup(batch) {
      const byName = new Map(batch.columns.map(column => [column.name, column]))
      const pieces: Uint8Array[] = []
      const chunks: ChunkPlace[] = []
      const start = offset
      for (const { name, source } of columns) {
        const size = columnChunk(byName.get(source ?? name), batch.rows, pieces)
        chunks.push({ offset, size })
        offset += size
      }
      groups.push({ rows: batch.rows, size: offset - start, chunks })
      rows += batch.rows
      return pieces
    },
    end: () => fileEnd(metadata, groups, rows),
  }
}

/** One file of what encoders with the same columns have made. Returns its pieces. */
export function joinedFile(columns: readonly ParquetColumn[], parts: readonly EncodedRows[]): readonly Uint8Array[] {
  const groups: RowGroup[] = []
  let shift = 0
  let rows = 0
  for (const part of parts) {
    for (const group of part.groups) {
      groups.push({ ...group, chunks: group.chunks.map(chunk => ({ ...chunk, offset: chunk.offset + shift })) })
      rows += group.rows
    }
    shift += part.groups.reduce((sum, { size }) => sum + size, 0)
  }
  return [MAGIC, ...parts.flatMap(({ pieces }) => pieces), ...fileEnd(columns.map(columnMetadata), groups, rows)]
}

function fileEnd(
  metadata: readonly ColumnMetadata[],
  groups: readonly RowGroup[],
  rows: number,
): readonly Uint8Array[] {
  const footer = fileMetadata(metadata, groups, rows)
  const tail = Buffer.alloc(8)
  tail.writeUInt32LE(footer.length, 0)
  MAGIC.copy(tail, 4)
  return [footer, tail]
}

/** One data page: header, levels that mark the rows with a value, values. Returns its size. */
function columnChunk(column: Column | undefined, rows: number, pieces: Uint8Array[]): number {
  const values = column?.values ?? EMPTY
  const validity = column === undefined || column.count === rows ? undefined : column.validity
  // Parquet's hybrid encoding of 0 (null) and 1: one repeated run, or the validity bits unchanged.
  const bits = validity === undefined ? EMPTY : validity.subarray(0, (rows + 7) >> 3)
  const levels =
    validity === undefined ? [...varint(rows * 2), column === undefined ? 0 : 1] : varint(bits.length * 2 + 1)
  const size = 4 + levels.length + bits.length + values.length
  const head = new ThriftWriter(MOST_HEAD_BYTES)
  pageHeader(head, rows, size)
  const headerSize = head.length
  head.append(littleEndian(levels.length + bits.length))
  head.append(levels)
  pieces.push(head.written, bits, values)
  return headerSize + size
}

/** Most bytes of the header and of what follows it. */
const MOST_HEAD_BYTES = 64

function pageHeader(writer: ThriftWriter, rows: number, size: number): void {
  writer.i32(1, 0)
  writer.i32(2, size)
  writer.i32(3, size)
  writer.struct(5)
  writer.i32(1, rows)
  writer.i32(2, ENCODING.plain)
  writer.i32(3, ENCODING.rle)
  writer.i32(4, ENCODING.rle)
  writer.end()
  writer.end()
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest > 127) {
    bytes.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return bytes
}

function littleEndian(value: number): number[] {
  return [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255]
}

function fileMetadata(columns: readonly ColumnMetadata[], groups: readonly RowGroup[], rows: number): Uint8Array {
  const writer = new ThriftWriter((1 + groups.length) * columns.length * MOST_HEAD_BYTES)
  writer.i32(1, 1)
  writer.structs(2, columns.length + 1)
  writer.element()
  writer.text(4, 'schema')
  writer.i32(5, columns.length)
  writer.end()
  for (const { schemaElement } of columns) writer.append(schemaElement)
  writer.i64(3, rows)
  writer.structs(4, groups.length)
  for (const group of groups) rowGroupMetadata(writer, columns, group)
  writer.text(6, 'sluice')
  writer.end()
  return writer.written
}

function rowGroupMetadata(writer: ThriftWriter, columns: readonly ColumnMetadata[], group: RowGroup): void {
  writer.element()
  writer.structs(1, columns.length)
  for (const [index, { head }] of columns.entries()) {
    const { offset, size } = group.chunks[index]! // a chunk for each column
    writer.element()
    writer.i64(2, offset)
    writer.struct(3)
    writer.fields(head, 4)
    writer.i64(5, group.rows)
    writer.i64(6, size)
    writer.i64(7, size)
    writer.i64(9, offset)
    writer.end()
    writer.end()
  }
  writer.i64(2, group.size)
  writer.i64(3, group.rows)
  writer.end()
}

/** What the metadata of every file says about a column. */
interface ColumnMetadata {
  /** The structure. */
  readonly schemaElement: Uint8Array
  /** The first four fields of the metadata of its chunks. */
  readonly head: Uint8Array
}

const knownMetadata = new WeakMap<ParquetColumn, ColumnMetadata>()

function columnMetadata(column: ParquetColumn): ColumnMetadata {
  const known = knownMetadata.get(column)
  if (known !== undefined) return known
  const element = new ThriftWriter(MOST_HEAD_BYTES)
  schemaElement(element, column)
  const head = new ThriftWriter(MOST_HEAD_BYTES)
  head.i32(1, physicalTypes[column.dataType])
  head.i32s(2, [ENCODING.plain, ENCODING.rle])
  head.texts(3, [column.name])
  head.i32(4, 0)
  const made = { schemaElement: element.written, head: head.written }
  knownMetadata.set(column, made)
  return made
}

const PHYSICAL = { boolean: 0, int32: 1, int64: 2, double: 5, byteArray: 6 } as const

const physicalTypes: Readonly<Record<DataType, number>> = {
  text: PHYSICAL.byteArray,
  json: PHYSICAL.byteArray,
  decimal: PHYSICAL.byteArray,
  wei: PHYSICAL.byteArray,
  binary: PHYSICAL.byteArray,
  bigint: PHYSICAL.int64,
  timestamp: PHYSICAL.int64,
  time: PHYSICAL.int64,
  date: PHYSICAL.int32,
  double: PHYSICAL.double,
  bool: PHYSICAL.boolean,
}

/** The older (`converted`) and the newer (`logical`) way to give the meaning of the bytes. Readers know one or both. */
const CONVERTED = { utf8: 0, date: 6, timeMicros: 8, timestampMicros: 10, json: 19 } as const
const LOGICAL = { string: 1, date: 6, time: 7, timestamp: 8, json: 12 } as const

function schemaElement(writer: ThriftWriter, column: ParquetColumn): void {
  writer.i32(1, physicalTypes[column.dataType])
  writer.i32(3, 1)
  writer.text(4, column.name)
  switch (column.dataType) {
    case 'text':
    case 'decimal':
    case 'wei':
      writer.i32(6, CONVERTED.utf8)
      plainType(writer, LOGICAL.string)
      break
    case 'json':
      writer.i32(6, CONVERTED.json)
      plainType(writer, LOGICAL.json)
      break
    case 'date':
      writer.i32(6, CONVERTED.date)
      plainType(writer, LOGICAL.date)
      break
    case 'time':
      writer.i32(6, CONVERTED.timeMicros)
      microseconds(writer, LOGICAL.time, false)
      break
    case 'timestamp':
      // The converted type means an instant. Local times have only the logical one.
      if (column.timezone !== false) writer.i32(6, CONVERTED.timestampMicros)
      microseconds(writer, LOGICAL.timestamp, column.timezone !== false)
      break
    default:
      break
  }
  writer.end()
}

function plainType(writer: ThriftWriter, type: number): void {
  writer.struct(10)
  writer.struct(type)
  writer.end()
  writer.end()
}

function microseconds(writer: ThriftWriter, type: number, instant: boolean): void {
  writer.struct(10)
  writer.struct(type)
  writer.bool(1, instant)
  writer.struct(2)
  writer.struct(2)
  writer.end()
  writer.end()
  writer.end()
  writer.end()
}
