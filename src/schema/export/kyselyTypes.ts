import type { ReadonlyColumn, ReadonlySchema } from '../schemaTypes.js'
import { columnComment, comment, type ExportedTable, exportedTables, hasType, property } from './exportedTables.js'

const JSON_VALUE = `/** A value of a JSON column, as \`JSON.parse\` gives it. */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue }
`

/**
 * A module with the type of the database for Kysely on Postgres: values as the driver \`pg\` gives them where nobody
 * set type parsers. Numbers of 64 bits and decimals are texts.
 */
export function kyselyTypes(schema: ReadonlySchema, dataset: string | undefined): string {
  const tables = exportedTables(schema, ['JsonValue', 'Database'])
  const entries = tables.map(({ table, typeName }) => `  ${property(table.name)}: ${typeName}`)
  const where = dataset === undefined ? 'its schema' : `the schema \`${dataset}\``
  const about = comment(`Tables of ${where}: \`new Kysely<Database>({ dialect }).withSchema(…)\`.`)
  const map = `${about}\nexport interface Database {\n${entries.join('\n')}\n}\n`
  const head = hasType(tables, 'json') ? [JSON_VALUE] : []
  return [...head, ...tables.map(rowInterface), map].join('\n')
}

function rowInterface({ typeName, columns, about }: ExportedTable): string {
  const lines = columns.map(
    column => `${columnComment(column, undefined)}  ${property(column.name)}: ${typeOf(column)}`,
  )
  return `${comment(about)}\nexport interface ${typeName} {\n${lines.join('\n')}\n}\n`
}

function typeOf(column: ReadonlyColumn): string {
  return column.nullable === false ? valueType(column) : `${valueType(column)} | null`
}

function valueType({ data_type: type, precision = 64 }: ReadonlyColumn): string {
  switch (type) {
    case 'bigint':
      return precision <= 32 ? 'number' : 'string'
    case 'double':
      return 'number'
    case 'bool':
      return 'boolean'
    case 'timestamp':
    case 'date':
      return 'Date'
    case 'json':
      return 'JsonValue'
    case 'binary':
      return 'Uint8Array'
    case undefined:
      return 'unknown'
    default:
      return 'string'
  }
}
