import type { Column, ColumnBatch } from '../model/batch.js'
import type { DataType } from '../schema/schemaTypes.js'

/** A value as a test writes it: timestamps, dates and times as ISO text, decimals as text, binary as bytes. */
export type TestValue = null | undefined | boolean | number | bigint | string | Uint8Array
export type TestRow = Readonly<Record<string, TestValue>>

/** Builds a batch from rows. Omits columns without any value. Slow and simple: for tests. */
export function columnBatch(
  table: string,
  types: Readonly<Record<string, DataType>> | ReadonlyMap<string, DataType>,
  rows: readonly TestRow[],
): ColumnBatch {
  const columns: Column[] = []
  for (const [name, dataType] of types instanceof Map ? types : Object.entries(types as Record<string, DataType>)) {
    const column = columnOf(
      name,
      dataType,
      rows.map(row => (Object.hasOwn(row, name) ? (row[name] ?? null) : null)),
    )
    if (column.count > 0) columns.push(column)
  }
  return { table, rows: rows.length, columns }
}

function columnOf(name: string, dataType: DataType, values: readonly Exclude<TestValue, undefined>[]): Column {
  const validity = new Uint8Array(Math.ceil(values.length / 8))
  const present: Exclude<TestValue, null | undefined>[] = []
  values.forEach((value, row) => {
    if (value === null) return
    validity[row >> 3]! |= 1 << (row & 7) // within: one bit a row
    present.push(value)
  })
  return {
    name,
    dataType,
    count: present.length,
    validity: present.length === values.length ? undefined : validity,
    values:
      dataType === 'bool' ? packedBits(present) : Buffer.concat(present.map(value => plainBytes(dataType, value))),
  }
}

function packedBits(values: readonly unknown[]): Uint8Array {
  const bits = new Uint8Array(Math.ceil(values.length / 8))
  values.forEach((value, index) => {
    if (value === true) bits[index >> 3]! |= 1 << (index & 7) // within: one bit a value
  })
  return bits
}

function plainBytes(dataType: DataType, value: Exclude<TestValue, null | undefined>): Buffer {
  switch (dataType) {
    case 'bigint':
      return int64(BigInt(value as bigint | number))
    case 'timestamp':
      return int64(typeof value === 'bigint' ? value : microsecondsOf(String(value)))
    case 'time':
      return int64(microsecondsOf(`1970-01-01T${String(value)}Z`))
    case 'date': {
      const bytes = Buffer.alloc(4)
      bytes.writeInt32LE(Math.round(Date.parse(`${String(value)}T00:00:00Z`) / 86_400_000))
      return bytes
    }
    case 'double': {
      const bytes = Buffer.alloc(8)
      bytes.writeDoubleLE(Number(value))
      return bytes
    }
    default: {
      const content = value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(String(value))
      const length = Buffer.alloc(4)
      length.writeUInt32LE(content.length)
      return Buffer.concat([length, content])
    }
  }
}

/** From an ISO text with `Z`, with up to six digits of a second. */
export function microsecondsOf(iso: string): bigint {
  const match = /^(.*?:\d\d)(?:\.(\d{1,6}))?Z$/.exec(iso)
  if (match === null) throw new RangeError(`not an ISO time: ${iso}`)
  return BigInt(Date.parse(`${match[1]}Z`)) * 1000n + BigInt((match[2] ?? '').padEnd(6, '0'))
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(value)
  return bytes
}
