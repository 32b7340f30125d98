import type { ReadonlySchema } from '../schemaTypes.js'
import { exportedTables } from './exportedTables.js'

/** Names that dbt may write without quotes on every database. */
const PLAIN = /^[a-z_][a-z0-9_]*$/

/** The `sources.yml` of a dbt project: the tables of the dataset with their columns and types. */
export function dbtSources(schema: ReadonlySchema, dataset: string | undefined): string {
  const name = dataset ?? schema.name
  const lines = [
    'version: 2',
    '',
    'sources:',
    `  - name: ${quoted(name)}`,
    ...(dataset === undefined ? [] : [`    schema: ${quoted(dataset)}`]),
    `    description: ${quoted(`Loaded by Sluice from the source ${schema.name}`)}`,
    '    tables:',
  ]
  // A project asks `_dlt_loads` how fresh the tables are.
  for (const { table, columns, about } of exportedTables(schema, [], { system: true })) {
    lines.push(`      - name: ${quoted(table.name)}`, `        description: ${quoted(about)}`)
    if (!PLAIN.test(table.name)) lines.push('        quoting:', '          identifier: true')
    lines.push('        columns:')
    for (const column of columns) {
      lines.push(`          - name: ${quoted(column.name)}`, `            data_type: ${column.data_type}`)
      if (!PLAIN.test(column.name)) lines.push('            quote: true')
      if (typeof column.description === 'string') lines.push(`            description: ${quoted(column.description)}`)
    }
  }
  return `${lines.join('\n')}\n`
}

/** JSON is YAML. What has a space inside and no sign needs no quotes, and neither has a plain name that is no word of YAML. */
function quoted(text: string): string {
  return PLAIN.test(text) && !/^(?:y|n|yes|no|on|off|true|false|null)$/.test(text) ? text : JSON.stringify(text)
}
