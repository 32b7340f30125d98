import type { DatasetRow, DatasetValue } from '../core/destination.js'
import { type JsonValue, parseJson } from '../core/json.js'
import type { DataType, ReadonlyTable } from '../core/schema.js'

/** A value of a row: that of the engine, or a parsed JSON value for columns of type `json`. */
export type RowValue = DatasetValue | JsonValue

/**
 * Rows as the types written by `sluice types` promise them, whatever the engine's driver gives: `bigint` for integers,
 * `Date` for timestamps, `number`, `boolean`, parsed JSON, and text for everything that JavaScript has no type for. A
 * column that the schema does not know keeps the engine's value.
 */
export function rowReader(table: ReadonlyTable | undefined): (row: DatasetRow) => Readonly<Record<string, RowValue>> {
  const readers = new Map<string, (value: Present) => RowValue>()
  for (const column of table?.columns.values() ?? []) {
    if (column.data_type !== undefined) readers.set(column.name, READERS[column.data_type])
  }
  if (readers.size === 0) return row => row
  return row => {
    const read: Record<string, RowValue> = {}
    for (const [name, value] of Object.entries(row)) {
      const reader = readers.get(name)
      // defineProperty and not assignment: a column may be called `__proto__`.
      Object.defineProperty(read, name, {
        value: value === null || reader === undefined ? value : reader(value),
        enumerable: true,
        writable: true,
        configurable: true,
      })
    }
    return read
  }
}

type Present = Exclude<DatasetValue, null>

const text = (value: Present): RowValue => (value instanceof Date ? value.toISOString() : String(value))

const READERS: Readonly<Record<DataType, (value: Present) => RowValue>> = {
  text,
  decimal: text,
  wei: text,
  date: value => (value instanceof Date ? value.toISOString().slice(0, 10) : String(value)),
  time: text,
  bigint: value => (typeof value === 'number' || typeof value === 'string' ? BigInt(value) : value),
  double: value => (typeof value === 'bigint' || typeof value === 'string' ? Number(value) : value),
  bool: value => (typeof value === 'string' ? value === 'true' : typeof value === 'boolean' ? value : Boolean(value)),
  timestamp: value => (typeof value === 'string' ? new Date(value) : value),
  json: value => (typeof value === 'string' ? parseJson(value) : (value as RowValue)),
  binary: value => value,
}
