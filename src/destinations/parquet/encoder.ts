import type { Column, ColumnBatch } from '../../core/batch.js'
import type { DataType } from '../../core/schema.js'
import { type ThriftWriter, thriftWriter } from './thrift.js'

/** A column of a file. Every column is optional in Parquet's sense. */
export interface ParquetColumn {
  /** Name in the file. */
  readonly name: string
  /** Name in the batches, where it is another one. */
  readonly source?: string | undefined
  readonly dataType: DataType
  /** Timestamps: instants (default) or local times without zone. */
  readonly timezone?: boolean | undefined
}

/**
 * Turns batches into an uncompressed Parquet file, one row group a batch. Values are not touched: a batch has Parquet's
 * PLAIN layout already, so that a row group costs one small header a column. Decimals stay text.
 *
 * Returns pieces to be written one after the other: `begin` once, `rowGroup` for each batch, `end` once.
 * The pieces of a row group refer to the batch's buffers.
 */
export interface ParquetEncoder {
  readonly columns: readonly ParquetColumn[]
  begin(): readonly Uint8Array[]
  /** Columns that the batch lacks are null; columns that the file lacks are ignored. */
  rowGroup(batch: ColumnBatch): readonly Uint8Array[]
  end(): readonly Uint8Array[]
}

interface ChunkPlace {
  readonly offset: number
  readonly size: number
}

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
  let offset = 0
  let rows = 0
  return {
    columns,
    begin() {
      offset = MAGIC.length
      return [MAGIC]
    },
    rowGroup(batch) {
      const byName = new Map(batch.columns.map(column => [column.name, column]))
      const pieces: Uint8Array[] = []
      const chunks: ChunkPlace[] = []
      const start = offset
      for (const { name, source } of columns) {
        const chunk = columnChunk(byName.get(source ?? name), batch.rows)
        const size = chunk.reduce((sum, piece) => sum + piece.length, 0)
        chunks.push({ offset, size })
        pieces.push(...chunk)
        offset += size
      }
      groups.push({ rows: batch.rows, size: offset - start, chunks })
      rows += batch.rows
      return pieces
    },
    end() {
      const footer = fileMetadata(columns, groups, rows)
      const tail = Buffer.alloc(8)
      tail.writeUInt32LE(footer.length, 0)
      MAGIC.copy(tail, 4)
      return [footer, tail]
    },
  }
}

/** One data page: header, levels that say which rows have a value, values. */
function columnChunk(column: Column | undefined, rows: number): Uint8Array[] {
  const levels = definitionLevels(column, rows)
  const values = column?.values ?? EMPTY
  const size = levels.reduce((sum, piece) => sum + piece.length, 0) + values.length
  return [pageHeader(rows, size), ...levels, values]
}

function pageHeader(rows: number, size: number): Uint8Array {
  const writer = thriftWriter()
  writer.i32(1, 0)
  writer.i32(2, size)
  writer.i32(3, size)
  writer.struct(5, () => {
    writer.i32(1, rows)
    writer.i32(2, ENCODING.plain)
    writer.i32(3, ENCODING.rle)
    writer.i32(4, ENCODING.rle)
  })
  return writer.finish()
}

/** Levels of 0 (null) or 1 in Parquet's hybrid encoding: one repeated run, or the validity bits as they are. */
function definitionLevels(column: Column | undefined, rows: number): Uint8Array[] {
  const validity = column?.validity
  if (column === undefined || validity === undefined || column.count === rows) {
    const run = [...varint(rows * 2), column === undefined ? 0 : 1]
    return [Buffer.from([...littleEndian(run.length), ...run])]
  }
  const groups = Math.ceil(rows / 8)
  const header = varint(groups * 2 + 1)
  return [Buffer.from([...littleEndian(header.length + groups), ...header]), validity.subarray(0, groups)]
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

function fileMetadata(columns: readonly ParquetColumn[], groups: readonly RowGroup[], rows: number): Uint8Array {
  const writer = thriftWriter()
  writer.i32(1, 1)
  writer.structs(2, columns.length + 1, index => {
    const column = columns[index - 1]
    if (column === undefined) {
      writer.text(4, 'schema')
      writer.i32(5, columns.length)
    } else {
      schemaElement(writer, column)
    }
  })
  writer.i64(3, rows)
  writer.structs(4, groups.length, index => rowGroupMetadata(writer, columns, groups[index]!)) // index < length
  writer.text(6, 'sluice')
  return writer.finish()
}

function rowGroupMetadata(writer: ThriftWriter, columns: readonly ParquetColumn[], group: RowGroup): void {
  writer.structs(1, columns.length, index => {
    const column = columns[index]! // index < length, and a chunk for each column
    const chunk = group.chunks[index]!
    writer.i64(2, chunk.offset)
    writer.struct(3, () => {
      writer.i32(1, physicalTypes[column.dataType])
      writer.i32s(2, [ENCODING.plain, ENCODING.rle])
      writer.texts(3, [column.name])
      writer.i32(4, 0)
      writer.i64(5, group.rows)
      writer.i64(6, chunk.size)
      writer.i64(7, chunk.size)
      writer.i64(9, chunk.offset)
    })
  })
  writer.i64(2, group.size)
  writer.i64(3, group.rows)
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

/** The older (`converted`) and the newer (`logical`) way to say what the bytes mean; readers know one or both. */
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
      writer.struct(10, () => writer.struct(LOGICAL.string, () => {}))
      return
    case 'json':
      writer.i32(6, CONVERTED.json)
      writer.struct(10, () => writer.struct(LOGICAL.json, () => {}))
      return
    case 'date':
      writer.i32(6, CONVERTED.date)
      writer.struct(10, () => writer.struct(LOGICAL.date, () => {}))
      return
    case 'time':
      writer.i32(6, CONVERTED.timeMicros)
      writer.struct(10, () => microseconds(writer, LOGICAL.time, false))
      return
    case 'timestamp':
      // The converted type means an instant; local times have only the logical one.
      if (column.timezone !== false) writer.i32(6, CONVERTED.timestampMicros)
      writer.struct(10, () => microseconds(writer, LOGICAL.timestamp, column.timezone !== false))
      return
    default:
      return
  }
}

function microseconds(writer: ThriftWriter, type: number, instant: boolean): void {
  writer.struct(type, () => {
    writer.bool(1, instant)
    writer.struct(2, () => writer.struct(2, () => {}))
  })
}
