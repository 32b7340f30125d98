import type { DataType, ReadonlyColumn, ReadonlySchema } from '../schemaTypes.js'
import { columnComment, comment, type ExportedTable, exportedTables, hasType, objectKey } from './exportedTables.js'
import { JSON_VALUE } from './types.js'

/** Rows as `dataset().table()` gives them. */
const SCHEMAS: Readonly<Record<DataType, string>> = {
  text: 'z.string()',
  bigint: 'z.bigint()',
  double: 'double',
  bool: 'z.boolean()',
  timestamp: 'z.date()',
  date: 'z.string()',
  time: 'z.string()',
  decimal: 'z.string()',
  wei: 'z.string()',
  json: 'json',
  binary: 'z.instanceof(Uint8Array)',
}

const IMPORT = "import { z } from 'zod'\n"

const JSON_HEAD = `${JSON_VALUE}
const json = z.custom<JsonValue>(value => value !== undefined, 'expected a JSON value')
`

const DOUBLE_HEAD = `/** NaN and infinities are doubles too. */
const double = z.custom<number>(value => typeof value === 'number', 'expected a number')
`

/** A module of zod schemas, one for the rows of each table, with their types under the same names. */
export function zodRows(schema: ReadonlySchema): string {
  const tables = exportedTables(schema, ['JsonValue', 'Tables'])
  const entries = tables.map(({ table, typeName }) => `  ${objectKey(table.name)}: ${typeName},`)
  const map = `/** Schemas of rows by table name. */\nexport const tables = {\n${entries.join('\n')}\n}\n`
  const head = [
    IMPORT,
    ...(hasType(tables, 'json') ? [JSON_HEAD] : []),
    ...(hasType(tables, 'double') ? [DOUBLE_HEAD] : []),
  ]
  return [...head, ...tables.map(rowSchema), map].join('\n')
}

function rowSchema({ typeName, columns, about }: ExportedTable): string {
  const lines = columns.map(
    column => `${columnComment(column, undefined)}  ${objectKey(column.name)}: ${schemaOf(column)},`,
  )
  return [
    comment(about),
    `export const ${typeName} = z.object({\n${lines.join('\n')}\n})`,
    `export type ${typeName} = z.infer<typeof ${typeName}>\n`,
  ].join('\n')
}

function schemaOf({ data_type: type, nullable }: ReadonlyColumn): string {
  const schema = type === undefined ? 'z.unknown()' : SCHEMAS[type]
  return nullable === false ? schema : `${schema}.nullable()`
}
