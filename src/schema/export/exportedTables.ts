import { isComplete } from '../columns.js'
import type { DataType, ReadonlyColumn, ReadonlySchema, ReadonlyTable } from '../schemaTypes.js'

/** A table as a module of code names it. */
export interface ExportedTable {
  readonly table: ReadonlyTable
  /** Name of its type, unlike that of every other: `FeedbackDataReplies`. */
  readonly typeName: string
  /** Those with a type. There is at least one. */
  readonly columns: readonly ReadonlyColumn[]
  /** What it is, in a sentence. */
  readonly about: string
}

/**
 * The tables of records that have columns, in the order of the schema. No type is named like one of `taken`. `system`: also
 * those that dlt and Sluice keep for themselves.
 */
export function exportedTables(
  schema: ReadonlySchema,
  taken: readonly string[],
  { system = false }: { readonly system?: boolean } = {},
): ExportedTable[] {
  const names = new Set(taken)
  return [...schema.tables.values()].flatMap(table => {
    const columns = [...table.columns.values()].filter(isComplete)
    if (columns.length === 0 || (!system && isSystemTable(table.name))) return []
    const nested = table.parent === undefined ? '' : `, nested under \`${table.parent}\``
    const described = typeof table.description === 'string' ? `: ${table.description}` : ''
    const about = `A row of \`${table.name}\`${nested}${described}`
    return [{ table, columns, about, typeName: uniqueTypeName(table.name, names) }]
  })
}

/** Whether dlt or Sluice keeps the table for itself, as `_dlt_loads`. */
export function isSystemTable(name: string): boolean {
  return name.startsWith('_dlt') || name.startsWith('_sluice')
}

/** Whether a column has one of the types: what only they need is not written without them. */
export function hasType(tables: readonly ExportedTable[], type: DataType): boolean {
  return tables.some(({ columns }) => columns.some(({ data_type }) => data_type === type))
}

/** `note` says what is to know of the values of a column. */
export function columnComment(column: ReadonlyColumn, note: string | undefined): string {
  const described = typeof column.description === 'string' ? column.description : undefined
  const notes = [described, column.primary_key === true ? 'Primary key.' : undefined, note]
  const text = notes.filter(part => part !== undefined).join(' ')
  return text === '' ? '' : `  ${comment(text)}\n`
}

/** On one line. */
export function comment(text: string): string {
  return `/** ${text.replace(/\s+/g, ' ').replaceAll('*/', '*\\/')} */`
}

/** A name as a key of an interface. */
export function property(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)
}

/** A name as a key of an object, where `__proto__` would be no key. */
export function objectKey(name: string): string {
  return name === '__proto__' ? '["__proto__"]' : property(name)
}

/** Type names that an interface cannot have, although they are identifiers. */
const RESERVED = new Set(['Date', 'Uint8Array', 'Buffer'])

function uniqueTypeName(table: string, taken: Set<string>): string {
  const words = table.split(/[^A-Za-z0-9]+/).filter(word => word !== '')
  const joined = words.map(word => word.charAt(0).toUpperCase() + word.slice(1)).join('')
  const base = /^[A-Za-z]/.test(joined) ? joined : `Table${joined}`
  let name = RESERVED.has(base) ? `${base}Row` : base
  for (let number = 2; taken.has(name); number++) name = `${base}${number}`
  taken.add(name)
  return name
}
