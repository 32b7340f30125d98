import { isComplete } from '../columns.js'
import type { DataType, ReadonlyColumn, ReadonlySchema, ReadonlyTable } from '../schemaTypes.js'

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

const HEADER = `/** A value of a JSON column; integers beyond 2^53 are bigint. */
export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | { readonly [key: string]: JsonValue }
`

/**
 * A TypeScript module with an interface for the rows of each table that has columns, and `Tables`, which maps table
 * names to them. Valid for any name: names that are not identifiers are quoted. Columns that may be null are `| null`.
 */
export function typescript(schema: ReadonlySchema): string {
  const taken = new Set(['JsonValue', 'Tables'])
  const interfaces: string[] = []
  const entries: string[] = []
  for (const table of schema.tables.values()) {
    const columns = [...table.columns.values()].filter(isComplete)
    if (columns.length === 0) continue
    const name = uniqueTypeName(table.name, taken)
    interfaces.push(rowInterface(name, table, columns))
    entries.push(`  readonly ${property(table.name)}: ${name}`)
  }
  const tables = `/** Row types by table name. */\nexport interface Tables {\n${entries.join('\n')}\n}\n`
  return [HEADER, ...interfaces, tables].join('\n')
}

function rowInterface(name: string, table: ReadonlyTable, columns: readonly ReadonlyColumn[]): string {
  const nested = table.parent === undefined ? '' : `, nested under \`${table.parent}\``
  const described = typeof table.description === 'string' ? `: ${table.description}` : ''
  const lines = columns.map(column => `${columnComment(column)}  readonly ${property(column.name)}: ${typeOf(column)}`)
  return `${comment(`A row of \`${table.name}\`${nested}${described}`)}\nexport interface ${name} {\n${lines.join('\n')}\n}\n`
}

function typeOf(column: ReadonlyColumn): string {
  const type = column.data_type === undefined ? 'unknown' : TYPES[column.data_type]
  return column.nullable === false ? type : `${type} | null`
}

function columnComment(column: ReadonlyColumn): string {
  const notes: string[] = []
  if (column.primary_key === true) notes.push('Primary key.')
  if (column.data_type === 'date') notes.push('`YYYY-MM-DD`.')
  if (column.data_type === 'time') notes.push('`HH:MM:SS`, with up to six digits of a fraction.')
  if (column.data_type === 'decimal' || column.data_type === 'wei') notes.push('Decimal digits.')
  if (typeof column.description === 'string') notes.unshift(column.description)
  return notes.length === 0 ? '' : `  ${comment(notes.join(' '))}\n`
}

function comment(text: string): string {
  return `/** ${text.replace(/\s+/g, ' ').replaceAll('*/', '*\\/')} */`
}

function property(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)
}

/** Type names that an interface cannot have, although they are identifiers. */
const RESERVED = new Set(['Date', 'Uint8Array'])

function uniqueTypeName(table: string, taken: Set<string>): string {
  const words = table.split(/[^A-Za-z0-9]+/).filter(word => word !== '')
  const joined = words.map(word => word.charAt(0).toUpperCase() + word.slice(1)).join('')
  const base = /^[A-Za-z]/.test(joined) ? joined : `Table${joined}`
  let name = RESERVED.has(base) ? `${base}Row` : base
  for (let number = 2; taken.has(name); number++) name = `${base}${number}`
  taken.add(name)
  return name
}
