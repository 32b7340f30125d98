import { isJsonObject } from '../../json/value.js'
import { isComplete } from '../columns.js'
import { rootTable } from '../rootKey.js'
import type { ReadonlyColumn, ReadonlySchema, ReadonlyTable } from '../schemaTypes.js'

/** A link from a column of one table to a column of another. */
interface Link {
  readonly from: readonly [table: string, column: string]
  readonly to: readonly [table: string, column: string]
}

/** The schema in DBML, the language of dbdiagram.io: tables with their columns and the links between them. */
export function dbml(schema: ReadonlySchema): string {
  const tables = drawnTables(schema).map(dbmlTable)
  const refs = links(schema).map(
    ({ from, to }) => `Ref: ${from.map(dbmlName).join('.')} > ${to.map(dbmlName).join('.')}\n`,
  )
  return [...tables, refs.join('')].filter(part => part !== '').join('\n')
}

function dbmlTable(table: ReadonlyTable): string {
  const lines = drawnColumns(table).map(column => {
    const settings = dbmlSettings(column)
    const suffix = settings.length === 0 ? '' : ` [${settings.join(', ')}]`
    return `  ${dbmlName(column.name)} ${column.data_type}${suffix}`
  })
  if (typeof table.description === 'string') lines.push('', `  Note: ${dbmlText(table.description)}`)
  return `Table ${dbmlName(table.name)} {\n${lines.join('\n')}\n}\n`
}

function dbmlSettings(column: ReadonlyColumn): string[] {
  const settings: string[] = []
  if (column.primary_key === true) settings.push('pk')
  if (column.unique === true) settings.push('unique')
  if (column.nullable === false) settings.push('not null')
  if (typeof column.description === 'string') settings.push(`note: ${dbmlText(column.description)}`)
  return settings
}

/** DBML has no escape for a quote in a quoted name. */
function dbmlName(name: string): string {
  return `"${name.replaceAll('"', "'")}"`
}

function dbmlText(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replace(/\s+/g, ' ')}'`
}

/** The schema as a Mermaid entity relationship diagram. */
export function mermaid(schema: ReadonlySchema): string {
  const lines = ['erDiagram']
  for (const table of drawnTables(schema)) {
    lines.push(`    ${mermaidEntity(table.name)} {`)
    for (const column of drawnColumns(table)) lines.push(`        ${mermaidColumn(column)}`)
    lines.push('    }')
  }
  for (const { from, to } of links(schema)) {
    lines.push(`    ${mermaidEntity(to[0])} ||--o{ ${mermaidEntity(from[0])} : ${mermaidText(from[1])}`)
  }
  return `${lines.join('\n')}\n`
}

function mermaidColumn(column: ReadonlyColumn): string {
  const keys: string[] = []
  if (column.primary_key === true) keys.push('PK')
  if (column.parent_key === true || column.root_key === true) keys.push('FK')
  if (column.unique === true) keys.push('UK')
  const key = keys.length === 0 ? '' : ` ${keys.join(', ')}`
  const note = typeof column.description === 'string' ? ` ${mermaidText(column.description)}` : ''
  return `${column.data_type} ${mermaidAttribute(column.name)}${key}${note}`
}

function mermaidEntity(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? name : mermaidText(name)
}

/** Attributes cannot be quoted, so characters that Mermaid does not read are replaced. */
function mermaidAttribute(name: string): string {
  const safe = name.replace(/[^\w-]/g, '_')
  return /^[A-Za-z_]/.test(safe) ? safe : `_${safe}`
}

function mermaidText(text: string): string {
  return `"${text.replaceAll('"', "'").replace(/[\r\n]+/g, ' ')}"`
}

function drawnTables(schema: ReadonlySchema): ReadonlyTable[] {
  return [...schema.tables.values()].filter(table => drawnColumns(table).length > 0)
}

function drawnColumns(table: ReadonlyTable): ReadonlyColumn[] {
  return [...table.columns.values()].filter(isComplete)
}

/** Links from nested rows to their parent and root, from rows to their load, and the references of hints. */
function links(schema: ReadonlySchema): Link[] {
  const drawn = new Set(drawnTables(schema).map(table => table.name))
  const found: Link[] = []
  for (const table of drawnTables(schema)) {
    const parent = table.parent === undefined ? undefined : schema.tables.get(table.parent)
    for (const column of drawnColumns(table)) {
      const target =
        column.parent_key === true ? parent : column.root_key === true ? rootTable(schema, table.name) : undefined
      const key = target === undefined ? undefined : rowKey(target)
      if (target !== undefined && key !== undefined)
        found.push({ from: [table.name, column.name], to: [target.name, key] })
    }
    found.push(...declaredLinks(table))
  }
  return found.filter(({ from, to }) => drawn.has(from[0]) && drawn.has(to[0]))
}

function rowKey(table: ReadonlyTable): string | undefined {
  return drawnColumns(table).find(column => column.row_key === true)?.name
}

function declaredLinks(table: ReadonlyTable): Link[] {
  const found: Link[] = []
  for (const reference of Array.isArray(table.references) ? table.references : []) {
    if (!isJsonObject(reference)) continue
    const { referenced_table: target, columns, referenced_columns: targets } = reference
    if (typeof target !== 'string' || !Array.isArray(columns) || !Array.isArray(targets)) continue
    for (const [index, column] of columns.entries()) {
      found.push({ from: [table.name, String(column)], to: [target, String(targets[index])] })
    }
  }
  return found
}
