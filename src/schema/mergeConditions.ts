import type { MergeStrategy } from './schemaTypes.js'

/** The strategies that take each option of a merge, by dlt's key. */
export const OPTION_STRATEGIES = {
  source_filter: ['delete-insert', 'upsert', 'scd2', 'cdc'],
  destination_scope: ['delete-insert', 'scd2', 'cdc'],
  skip_unchanged_rows: ['upsert', 'cdc'],
  row_version_column_name: ['scd2', 'upsert', 'cdc'],
} as const satisfies Record<string, readonly MergeStrategy[]>

/** Placeholders of a condition, each with the SQL that takes its place. */
export type Placeholders = Readonly<Record<string, string>>

/** What `destination_scope` may name: the table, and the rows that arrived. */
export const SCOPE_PLACEHOLDERS: Placeholders = { table: 'table', staging_table: 'staging_table' }

/** Why an SQL condition of a merge cannot be used. Undefined if it can. */
export function conditionProblem(condition: string, placeholders: Placeholders = {}): string | undefined {
  const known = Object.keys(placeholders).map(name => `{${name}}`)
  for (const [piece] of condition.matchAll(PIECES)) {
    if (piece === '{{' || piece === '}}' || known.includes(piece)) continue
    const takes = known.length === 0 ? 'takes no placeholders' : `takes the placeholders ${known.join(' and ')} only`
    return `${takes}, but has ${piece}; write a literal brace twice, as in {{`
  }
  return undefined
}

/** The condition as SQL: placeholders filled in, doubled braces made single. It must have no problem. */
export function filledCondition(condition: string, placeholders: Placeholders = {}): string {
  return condition.replace(PIECES, piece => {
    if (piece === '{{' || piece === '}}') return piece.slice(1)
    return placeholders[piece.slice(1, -1)] ?? piece
  })
}

/** Doubled braces, placeholders, and braces that are neither. */
const PIECES = /\{\{|\}\}|\{[^{}]*\}|[{}]/g
