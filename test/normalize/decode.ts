import type { Column, ColumnBatch } from '../../src/model/batch.js'
import { formatDate, formatTime } from '../../src/normalize/exact/isoText.js'

export type Cell = string | number | bigint | boolean | Uint8Array | { readonly json: unknown }
export type DecodedRow = Record<string, Cell>

/** Rows of batches by table, in order; absent keys are null. Timestamps are `YYYY-MM-DDTHH:MM:SS.ffffffZ`. */
export function decodeBatches(
  batches: readonly ColumnBatch[],
  tables = new Map<string, DecodedRow[]>(),
): Map<string, DecodedRow[]> {
  for (const batch of batches) {
    const rows = Array.from({ length: batch.rows }, (): DecodedRow => ({}))
    for (const column of batch.columns) {
      const values = decodeColumn(column)
      let next = 0
      for (let row = 0; row < batch.rows; row++) {
        if (!isValid(column, row)) continue
        defineCell(rows[row] as DecodedRow, column.name, values[next++] as Cell)
      }
      if (next !== column.count || values.length !== column.count) {
        throw new Error(
          `${batch.table}.${column.name}: ${next} valid rows, ${values.length} values, count ${column.count}`,
        )
      }
    }
    tables.set(batch.table, [...(tables.get(batch.table) ?? []), ...rows])
  }
  return tables
}

function defineCell(row: DecodedRow, name: string, value: Cell): void {
  Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true })
}

function isValid({ validity }: Column, row: number): boolean {
  return validity === undefined || ((validity[row >> 3] ?? 0) & (1 << (row & 7))) !== 0
}

function decodeColumn({ dataType, values, count }: Column): Cell[] {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.length)
  const each = (read: (index: number) => Cell): Cell[] => Array.from({ length: count }, (_, index) => read(index))
  switch (dataType) {
    case 'bigint':
      return each(index => narrowed(bytes.readBigInt64LE(index * 8)))
    case 'timestamp':
      return each(index => instant(bytes.readBigInt64LE(index * 8)))
    case 'time':
      return each(index => formatTime(bytes.readBigInt64LE(index * 8)))
    case 'date':
      return each(index => formatDate(bytes.readInt32LE(index * 4)))
    case 'double':
      return each(index => bytes.readDoubleLE(index * 8))
    case 'bool':
      return each(index => ((bytes[index >> 3] ?? 0) & (1 << (index & 7))) !== 0)
    default:
      return texts(bytes).map(text => (dataType === 'binary' ? text : decodeText(text, dataType)))
  }
}

function decodeText(text: Buffer, dataType: string): Cell {
  const decoded = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text)
  return dataType === 'json' ? { json: JSON.parse(decoded) } : decoded
}

function texts(bytes: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at)
    found.push(Buffer.from(bytes.subarray(at + 4, at + 4 + length)))
    at += 4 + length
  }
  return found
}

function narrowed(value: bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}

function instant(micros: bigint): string {
  const millis = Number(micros >= 0n ? micros / 1000n : (micros - 999n) / 1000n)
  const rest = micros - BigInt(millis) * 1000n
  return `${new Date(millis).toISOString().slice(0, -1)}${String(rest).padStart(3, '0')}Z`
}
