import type { DataType, ReadonlyColumn, ReadonlySchema } from '../schemaTypes.js'
import { columnComment, comment, type ExportedTable, exportedTables, hasType, property } from './exportedTables.js'

/**
 * TypeScript type of a column's values. `bigint` keeps 64 bits and `decimal` every digit, which `number` would not.
 * `date` and `time` have no JavaScript type and stay ISO text.
 */
const TYPES: Readonly<Record<DataType, string>> = {
  text: 'string',
  bigint: 'bigint',
  double: 'number',
  bool: 'boolean',
  timestamp: 'Date',
  date: 'string',
  time: 'string',
  decimal: 'string',
  wei: 'string',
  json: 'JsonValue',
  binary: 'Uint8Array',
}

const NOTES: Readonly<Partial<Record<DataType, string>>> = {
  date: '`YYYY-MM-DD`.',
  time: '`HH:MM:SS`, with up to six digits of a fraction.',
  decimal: 'Decimal digits.',
  wei: 'Decimal digits.',
}

/** The type `JsonValue`, for modules that need it. */
export const JSON_VALUE = `/** A value of a JSON column; integers beyond 2^53 are bigint. */
export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | { readonly [key: string]: JsonValue }
`

/**
 * A TypeScript module with an interface for the rows of each table that has columns, and `Tables`, which maps table
 * names to them. Valid for any name: names that are not identifiers are quoted. Columns that may be null are `| null`.
 */
export function typescript(schema: ReadonlySchema): string {
  const tables = exportedTables(schema, ['JsonValue', 'Tables'])
  const entries = tables.map(({ table, typeName }) => `  readonly ${property(table.name)}: ${typeName}`)
  const map = `/** Row types by table name. */\nexport interface Tables {\n${entries.join('\n')}\n}\n`
  const head = hasType(tables, 'json') ? [JSON_VALUE] : []
  return [...head, ...tables.map(rowInterface), map].join('\n')
}

function rowInterface({ typeName, columns, about }: ExportedTable): string {
  const lines = columns.map(column => {
    const note = column.data_type === undefined ? undefined : NOTES[column.data_type]
    return `${columnComment(column, note)}  readonly ${property(column.name)}: ${typeOf(column)}`
  })
  return `${comment(about)}\nexport interface ${typeName} {\n${lines.join('\n')}\n}\n`
}

function typeOf(column: ReadonlyColumn): string {
  const type = column.data_type === undefined ? 'unknown' : TYPES[column.data_type]
  return column.nullable === false ? type : `${type} | null`
}
