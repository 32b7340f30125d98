import type { DataType, ReadonlyColumn, ReadonlySchema } from '../schemaTypes.js'
import { exportedTables } from './exportedTables.js'

type Json = { readonly [key: string]: unknown }

const SCHEMAS: Readonly<Record<DataType, Json>> = {
  text: { type: 'string' },
  bigint: { type: 'integer' },
  double: { anyOf: [{ type: 'number' }, { enum: ['NaN', 'Infinity', '-Infinity'] }] },
  bool: { type: 'boolean' },
  timestamp: { type: 'string', format: 'date-time' },
  date: { type: 'string', pattern: '^[+-]?\\d{4,}-\\d{2}-\\d{2}$' },
  time: { type: 'string', pattern: '^\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,6})?$' },
  decimal: { type: 'string', pattern: '^-?\\d+(\\.\\d+)?$' },
  wei: { type: 'string', pattern: '^-?\\d+(\\.\\d+)?$' },
  json: {},
  binary: { type: 'string', contentEncoding: 'base64' },
}

/** A JSON Schema (2020-12) with the rows of each table under `$defs`, as `sluice show --json` prints them. */
export function rowsJsonSchema(schema: ReadonlySchema): string {
  const definitions = exportedTables(schema, []).map(({ table, columns, about }) => [
    table.name,
    {
      description: about,
      type: 'object',
      properties: fromPairs(columns.map(column => [column.name, columnSchema(column)])),
      required: columns.map(({ name }) => name),
    },
  ])
  const document = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: schema.name,
    $defs: fromPairs(definitions as [string, unknown][]),
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

function columnSchema(column: ReadonlyColumn): Json {
  const { data_type: type, nullable } = column
  const values = type === undefined ? {} : SCHEMAS[type]
  const about = typeof column.description === 'string' ? { description: column.description } : {}
  if (nullable === false || type === 'json') return { ...about, ...values }
  return { ...about, anyOf: [...(Array.isArray(values.anyOf) ? values.anyOf : [values]), { type: 'null' }] }
}

/** Any name is a key, `__proto__` too. */
function fromPairs(pairs: readonly (readonly [string, unknown])[]): Json {
  return Object.fromEntries(pairs)
}
