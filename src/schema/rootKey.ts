import { isJsonObject, type JsonObject, member, objectMember, withoutMember } from '../json/value.js'
import { SchemaError } from '../model/errors.js'
import type { ReadonlySchema, ReadonlyTable, Schema, TableSchema } from './schemaTypes.js'

type Tables<Table extends ReadonlyTable> = { readonly tables: ReadonlyMap<string, Table> }

/**
 * The table and its parents, up to its root or to the last one in the schema. Fails with a SchemaError if parents form
 * a cycle. Empty if the table does not exist.
 */
export function lineage<Table extends ReadonlyTable>(schema: Tables<Table>, name: string): readonly Table[] {
  const passed = new Set<Table>()
  let table = schema.tables.get(name)
  while (table !== undefined) {
    if (passed.has(table)) throw circle(table.name)
    passed.add(table)
    table = table.parent === undefined ? undefined : schema.tables.get(table.parent)
  }
  return [...passed]
}

/** The root table of a table, or the table itself if it is one. Undefined if a table on the way is missing. */
export function rootTable<Table extends ReadonlyTable>(schema: Tables<Table>, name: string): Table | undefined {
  const top = lineage(schema, name).at(-1)
  return top?.parent === undefined ? top : undefined
}

/** Fails with a SchemaError if a table is nested under itself, directly or indirectly. */
export function refuseCircles(schema: Pick<ReadonlySchema, 'tables'>): void {
  for (const name of schema.tables.keys()) lineage(schema, name)
}

function circle(table: string): SchemaError {
  return new SchemaError(
    'schema',
    `Table ${table} is nested under itself in the stored or imported schema: the \`parent\` of its tables goes in a circle; remove \`parent\` from the table that is a root`,
    { table },
  )
}

/**
 * Configures the normaliser to copy the ids of root rows into their nested rows, in the cases where dlt does. The source
 * asks for it; or it leaves this open and the merge strategy needs it; or a nested table already has the column. Nested
 * and system tables are skipped.
 */
export function propagateRootKeys(schema: Schema, tables: Iterable<TableSchema>): void {
  const config = normalizerConfig(schema)
  const propagation = objectMember(config, 'propagation') ?? {}
  const known = objectMember(propagation, 'tables') ?? {}
  const carriedAs = hintedName(schema, 'root_key')
  const changed: [table: string, columns: JsonObject][] = []
  for (const table of tables) {
    if (table.parent !== undefined || table.name.startsWith(SYSTEM_PREFIX) || !wantsRootKey(schema, table)) continue
    const rowKey = [...table.columns.values()].find(column => column.row_key === true)?.name
    const carrying = rowKey ?? hintedName(schema, 'row_key')
    const before = objectMember(known, table.name)
    if (before !== undefined && member(before, carrying) === carriedAs) continue
    changed.push([table.name, { ...before, [carrying]: carriedAs }])
  }
  // Copying what is there takes as long as there are tables.
  if (changed.length === 0) return
  setNormalizerConfig(schema, {
    ...config,
    propagation: { ...propagation, tables: { ...known, ...Object.fromEntries(changed) } },
  })
}

/** Prefix of system table names, the same under every convention. */
const SYSTEM_PREFIX = '_dlt'

/** The system column with this default hint, spelled by the schema's convention. */
function hintedName(schema: ReadonlySchema, hint: 'row_key' | 'root_key'): string {
  const names = objectMember(schema.settings, 'default_hints')?.[hint]
  const first = Array.isArray(names) ? names[0] : undefined
  if (typeof first === 'string') return first
  return hint === 'row_key' ? '_dlt_id' : '_dlt_root_id'
}

/** The columns of a root table that nested rows carry: from the name in the root row to the name in the nested row. */
export function propagatedColumns(schema: ReadonlySchema, rootTable: string): Readonly<Record<string, string>> {
  const propagation = objectMember(normalizerConfig(schema), 'propagation')
  const tables = objectMember(propagation, 'tables')
  const columns = objectMember(tables, rootTable)
  const everywhere = objectMember(propagation, 'root')
  return { ...everywhere, ...columns } as Record<string, string>
}

function wantsRootKey(schema: ReadonlySchema, table: ReadonlyTable): boolean {
  const configured = normalizerConfig(schema).root_key_propagation
  if (configured === true) return true
  if (configured !== false && table.write_disposition === 'merge' && table['x-merge-strategy'] !== 'scd2') return true
  return [...schema.tables.values()].some(
    nested => nested.parent !== undefined && hasRootKey(nested) && rootOf(schema, nested) === table.name,
  )
}

function hasRootKey(table: ReadonlyTable): boolean {
  return [...table.columns.values()].some(column => column.root_key === true)
}

/** Name of a table's root table, even if the schema does not have it. A root table returns its own name. */
export function rootOf(schema: ReadonlySchema, table: ReadonlyTable): string {
  const top = lineage(schema, table.name).at(-1) ?? table
  return top.parent ?? top.name
}

/** A root table and every table nested under it, parents before children, in stored order. */
export function tableChain(schema: ReadonlySchema, rootTable: string): ReadonlyTable[] {
  const chain: ReadonlyTable[] = []
  const visit = (name: string): void => {
    const table = schema.tables.get(name)
    if (table === undefined || chain.includes(table)) return
    chain.push(table)
    for (const candidate of schema.tables.values()) if (candidate.parent === name) visit(candidate.name)
  }
  visit(rootTable)
  return chain
}

/** `normalizers.json.config` of the schema. Empty if there is none. */
export function normalizerConfig(schema: Pick<ReadonlySchema, 'normalizers'>): JsonObject {
  return objectMember(objectMember(schema.normalizers, 'json'), 'config') ?? {}
}

/** Replaces `normalizers.json.config`. An empty one is left out of the document. */
export function setNormalizerConfig(schema: Schema, config: JsonObject): void {
  const json = isJsonObject(schema.normalizers.json) ? schema.normalizers.json : {}
  const next = Object.keys(config).length === 0 ? withoutMember(json, 'config') : { ...json, config }
  schema.normalizers = { ...schema.normalizers, json: next }
}
