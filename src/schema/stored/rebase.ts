import { isDeepStrictEqual } from 'node:util'
import { isJsonObject, type JsonObject, type JsonValue, member, setMember } from '../../json/value.js'
import { resolveContract } from '../contracts.js'
import { lineage, propagateRootKeys } from '../rootKey.js'
import type {
  ColumnSchema,
  ReadonlyColumn,
  ReadonlySchema,
  ReadonlyTable,
  Schema,
  TableSchema,
} from '../schemaTypes.js'
import { bumpVersion, cloneSchema, cloneTable } from './document.js'

/** What a load makes of a schema. */
export interface SchemaChange {
  /** The committed schema that the load began from, if there was one. */
  readonly before: ReadonlySchema | undefined
  /** That schema after the load. */
  readonly after: ReadonlySchema
  /** Tables whose rows the load writes. They have the types of `after`. */
  readonly written: ReadonlySet<string>
}

/** The schema, or the table or column (`table.column`) that the rows of the load do not fit any more. */
export type Rebased = { readonly schema: ReadonlySchema } | { readonly conflict: string }

/**
 * The same change of the schema that is committed now, as if the load had begun from that one: other loads have
 * committed meanwhile. What both changed is as this load has it. What only others changed stays, and so does what they
 * dropped, unless this load writes rows of it. A column to which both gave a type must have the same one. The version
 * counts on from the committed schema.
 */
export function rebaseSchema(change: SchemaChange, committed: ReadonlySchema): Rebased {
  const { before, after, written } = change
  const merged = cloneSchema(committed)
  merged.settings = (changed(before?.settings, after.settings, committed.settings) ?? {}) as Schema['settings']
  merged.normalizers = (changed(before?.normalizers, after.normalizers, committed.normalizers) ??
    {}) as Schema['normalizers']
  for (const name of before?.tables.keys() ?? []) if (!after.tables.has(name)) merged.tables.delete(name)
  for (const [name, table] of after.tables) {
    const known = before?.tables.get(name)
    const there = merged.tables.get(name)
    if (there === undefined) {
      if (known === undefined || written.has(name)) addWithParents(merged, after, name)
      continue
    }
    const isWritten = written.has(name)
    const isChangedThere = known === undefined || !isDeepStrictEqual(known, committed.tables.get(name))
    // The contract has judged the rows by what the table was.
    if (isWritten && isChangedThere && !evolves(after, name)) return { conflict: name }
    changeHints(known, table, there)
    const column = changeColumns({ before: known?.columns, after: table.columns, isWritten }, there.columns)
    if (column !== undefined) return { conflict: `${name}.${column}` }
  }
  propagateRootKeys(merged, merged.tables.values())
  bumpVersion(merged)
  return { schema: merged }
}

function evolves(schema: ReadonlySchema, table: string): boolean {
  return Object.values(resolveContract(schema, table)).every(mode => mode === 'evolve')
}

function addWithParents(merged: Schema, from: ReadonlySchema, name: string): void {
  for (const { name: one } of [...lineage(from, name)].reverse()) {
    const table = from.tables.get(one)
    if (table !== undefined && !merged.tables.has(one)) merged.tables.set(one, cloneTable(table))
  }
}

/** What the load changed of a table's own members. */
function changeHints(before: ReadonlyTable | undefined, after: ReadonlyTable, there: TableSchema): void {
  for (const key of new Set([...Object.keys(before ?? {}), ...Object.keys(after)])) {
    if (key === 'columns') continue
    const value = changed(hint(before, key), hint(after, key), hint(there, key))
    if (value === undefined) delete there[key]
    else there[key] = value
  }
  const marks = there['x-normalizer']
  // Only a table without rows has the second mark.
  if (isJsonObject(marks) && marks['seen-data'] === true && marks['evolve-columns-once'] !== undefined) {
    const { 'evolve-columns-once': _, ...others } = marks
    there['x-normalizer'] = others
  }
}

function hint(table: ReadonlyTable | undefined, key: string): JsonValue | undefined {
  return table?.[key] as JsonValue | undefined
}

interface ColumnsChange {
  readonly before: ReadonlyMap<string, ReadonlyColumn> | undefined
  readonly after: ReadonlyMap<string, ReadonlyColumn>
  readonly isWritten: boolean
}

/** What the load changed of a table's columns. Returns the first whose types contradict each other. */
function changeColumns(
  { before, after, isWritten }: ColumnsChange,
  there: Map<string, ColumnSchema>,
): string | undefined {
  for (const name of before?.keys() ?? []) if (!after.has(name)) there.delete(name)
  for (const [name, column] of after) {
    const known = before?.get(name)
    const other = there.get(name)
    if (other === undefined) {
      if (known === undefined || isWritten) there.set(name, { ...column })
      continue
    }
    const isTyped = column.data_type !== undefined && other.data_type !== undefined
    if (isTyped && !isAlike(column, other) && !isAlike(known, other)) {
      const isTheirs = !isWritten && isAlike(known, column)
      if (!isTheirs) return name
      continue
    }
    there.set(name, changed(known as JsonObject | undefined, column as JsonObject, other as JsonObject) as ColumnSchema)
  }
  return undefined
}

const TYPE = ['data_type', 'precision', 'scale', 'timezone', 'nullable'] as const

function isAlike(one: ReadonlyColumn | undefined, other: ReadonlyColumn): boolean {
  return one !== undefined && TYPE.every(key => one[key] === other[key])
}

/** A value to which a change is applied that was made from `before` to `after`. Undefined stands for no value. */
function changed(
  before: JsonValue | undefined,
  after: JsonValue | undefined,
  there: JsonValue | undefined,
): JsonValue | undefined {
  if (isDeepStrictEqual(before, after)) return there
  if (!isJsonObject(after) || !isJsonObject(there)) return after
  const earlier = isJsonObject(before) ? before : {}
  const result: Record<string, JsonValue> = {}
  for (const key of new Set([...Object.keys(there), ...Object.keys(after)])) {
    const value = changed(member(earlier, key), member(after, key), member(there, key))
    if (value !== undefined) setMember(result, key, value)
  }
  return result
}
