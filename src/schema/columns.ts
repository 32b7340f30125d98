import type { JsonObject, JsonValue } from '../json/value.js'
import { isJsonObject, withoutMember } from '../json/value.js'
import { SchemaError } from '../model/errors.js'
import { literalPattern } from '../model/texts/literalPattern.js'
import type { ColumnSchema, DataType, ReadonlyColumn, ReadonlyTable, Schema, TableSchema } from './schemaTypes.js'

/**
 * A new column of a type found in data. It is nullable, unless a `not_null` pattern of the schema's default hints
 * matches its name. Every other matching default hint is set to true. It is not yet part of a table, see
 * {@link addColumn}.
 */
export function newColumn(
  schema: Pick<Schema, 'settings'>,
  name: string,
  dataType: DataType,
  options: { readonly variant?: boolean } = {},
): ColumnSchema {
  const patterns = patternsOf(schema.settings)
  const column: ColumnSchema = { name, data_type: dataType, nullable: true }
  for (const [hint, pattern] of patterns.hints) {
    if (!pattern.test(name)) continue
    if (hint === 'not_null') column.nullable = false
    else column[hint] = true
  }
  if (options.variant === true) column.variant = true
  return column
}

/** The type that the schema's `preferred_types` give to columns with this name, whatever the value. */
export function preferredType(schema: Pick<Schema, 'settings'>, name: string): DataType | undefined {
  for (const [pattern, type] of patternsOf(schema.settings).types) if (pattern.test(name)) return type
  return undefined
}

/**
 * Adds a typed column and returns the resulting column. A new one comes last. A column that was only declared is
 * completed, keeps its hints, and moves to the end. Fails with a {@link SchemaError} if the column already has another
 * type.
 */
export function addColumn(table: TableSchema, column: ColumnSchema): ColumnSchema {
  const existing = table.columns.get(column.name)
  if (existing === undefined) {
    table.columns.set(column.name, column)
    return column
  }
  if (isComplete(existing)) {
    if (existing.data_type === column.data_type) return existing
    throw new SchemaError(
      'schema',
      `Column ${table.name}.${column.name} is ${existing.data_type} and cannot become ${column.data_type}`,
      { table: table.name, column: column.name },
    )
  }
  const completed: ColumnSchema = { ...column, ...existing }
  table.columns.delete(column.name)
  table.columns.set(column.name, completed)
  return completed
}

/** Whether the type of a column is known. */
export function isComplete(column: ReadonlyColumn): boolean {
  return column.data_type !== undefined
}

/** Whether a table has ever held rows. */
export function hasSeenData(table: ReadonlyTable): boolean {
  const marks = table['x-normalizer']
  return isJsonObject(marks) && marks['seen-data'] === true
}

/** Marks a table as holding rows. This ends what its contract allowed only once. */
export function markSeenData(table: TableSchema): void {
  const marks = isJsonObject(table['x-normalizer']) ? table['x-normalizer'] : {}
  table['x-normalizer'] = { ...withoutMember(marks, 'evolve-columns-once'), 'seen-data': true }
}

/** Marks a table as holding no rows: it is gone. */
export function unmarkSeenData(table: TableSchema): void {
  const marks = table['x-normalizer']
  if (isJsonObject(marks)) table['x-normalizer'] = withoutMember(marks, 'seen-data')
}

interface Patterns {
  readonly hints: readonly (readonly [hint: string, pattern: RegExp])[]
  readonly types: readonly (readonly [pattern: RegExp, type: DataType])[]
}

/** By settings object. Settings are replaced, never changed in place. */
const compiledPatterns = new WeakMap<object, Patterns>()

function patternsOf(settings: JsonObject): Patterns {
  const known = compiledPatterns.get(settings)
  if (known !== undefined) return known
  const hints = entriesOf(settings.default_hints).map(
    ([hint, patterns]) => [hint, compile(Array.isArray(patterns) ? patterns.map(String) : [])] as const,
  )
  const types = entriesOf(settings.preferred_types).map(
    ([pattern, type]) => [compile([pattern]), String(type) as DataType] as const,
  )
  const compiled = { hints, types }
  compiledPatterns.set(settings, compiled)
  return compiled
}

function entriesOf(value: JsonValue | undefined): [string, JsonValue][] {
  return isJsonObject(value) ? Object.entries(value) : []
}

/** One expression for a list of patterns. Each is an exact name, or `re:` and a Python expression to search for. */
function compile(patterns: readonly string[]): RegExp {
  if (patterns.length === 0) return /(?!)/
  const sources = patterns.map(pattern =>
    pattern.startsWith('re:') ? fromPython(pattern.slice(3)) : `^${literalPattern(pattern)}$`,
  )
  try {
    return new RegExp(sources.map(source => `(?:${source})`).join('|'))
  } catch {
    throw new SchemaError(
      'schema',
      `The settings of the schema hold a pattern that cannot be read: ${patterns.join(', ')}`,
    )
  }
}

function fromPython(source: string): string {
  return source.replaceAll('(?P<', '(?<').replaceAll('\\A', '^').replaceAll('\\Z', '$')
}

/** The column whose values did not fit, if the name is that of a column for such values: `total` of `total__v_text`. */
export function variantOf(name: string, has: (column: string) => boolean): string | undefined {
  const base = name.slice(0, Math.max(0, name.lastIndexOf('__v_')))
  return base !== '' && has(base) ? base : undefined
}
