import type { ReadonlyColumn, ReadonlySchema } from '../schemaTypes.js'
import { columnComment, comment, type ExportedTable, exportedTables, objectKey } from './exportedTables.js'

const BYTES = `/** Bytes, for which Drizzle has no type of its own. */
const bytea = customType<{ data: Uint8Array }>({ dataType: () => 'bytea' })
`

/** A module of tables for Drizzle, in its dialect for Postgres. They say nothing of constraints, as there are none. */
export function drizzleTables(schema: ReadonlySchema, dataset: string | undefined): string {
  const tables = exportedTables(schema, [])
  const made = tables.map(table => [variable(table.typeName), table] as const)
  const definitions = made.map(([name, table]) => definition(name, table, dataset))
  const used = FUNCTIONS.filter(name => definitions.some(text => new RegExp(`[ (]${name}\\(`).test(text)))
  const withBytes = definitions.some(text => text.includes(' bytea('))
  const functions = [dataset === undefined ? 'pgTable' : 'pgSchema', ...(withBytes ? ['customType'] : []), ...used]
  return [
    `import { ${functions.toSorted().join(', ')} } from 'drizzle-orm/pg-core'\n`,
    ...(dataset === undefined ? [] : [`export const dataset = pgSchema(${JSON.stringify(dataset)})\n`]),
    ...(withBytes ? [BYTES] : []),
    ...definitions,
  ].join('\n')
}

function definition(name: string, { table, columns, about }: ExportedTable, dataset: string | undefined): string {
  const make = dataset === undefined ? 'pgTable' : 'dataset.table'
  const lines = columns.map(
    column => `${columnComment(column, undefined)}  ${objectKey(column.name)}: ${typed(column)},`,
  )
  return `${comment(about)}\nexport const ${name} = ${make}(${JSON.stringify(table.name)}, {\n${lines.join('\n')}\n})\n`
}

function typed(column: ReadonlyColumn): string {
  return `${typeOf(column)}${column.nullable === false ? '.notNull()' : ''}`
}

/** The functions of Drizzle that {@link typeOf} writes. */
const FUNCTIONS = ['bigint', 'boolean', 'date', 'doublePrecision', 'jsonb', 'numeric', 'text', 'time', 'timestamp']

function typeOf({ data_type: type, name: plain, timezone, precision, scale }: ReadonlyColumn): string {
  const name = JSON.stringify(plain)
  switch (type) {
    case 'bigint':
      return `bigint(${name}, { mode: 'bigint' })`
    case 'double':
      return `doublePrecision(${name})`
    case 'bool':
      return `boolean(${name})`
    case 'timestamp':
      return `timestamp(${name}, { withTimezone: ${timezone !== false} })`
    case 'date':
    case 'time':
      return `${type}(${name})`
    case 'decimal':
    case 'wei':
      return precision === undefined
        ? `numeric(${name})`
        : `numeric(${name}, { precision: ${precision}, scale: ${scale ?? 0} })`
    case 'json':
      return `jsonb(${name})`
    case 'binary':
      return `bytea(${name})`
    default:
      return `text(${name})`
  }
}

/** A variable that is neither a word of the language nor a function that is imported. */
function variable(typeName: string): string {
  const name = typeName.charAt(0).toLowerCase() + typeName.slice(1)
  return TAKEN.has(name) ? `${name}Table` : name
}

const TAKEN = new Set(
  (
    'break case catch class const continue debugger default delete do else enum export extends false finally for function ' +
    'if implements import in instanceof interface let new null package private protected public return static super switch ' +
    'this throw true try typeof var void while with yield await async arguments eval undefined ' +
    `dataset bytea customType pgSchema pgTable ${FUNCTIONS.join(' ')}`
  ).split(' '),
)
