import type { JsonValue } from '../json/value.js'
import { isJsonObject } from '../json/value.js'
import { SchemaError } from '../model/errors.js'
import { lineage } from './rootKey.js'
import type { ContractMode, ReadonlySchema, ReadonlyTable, Schema, SchemaContract, TableSchema } from './schemaTypes.js'

/** A contract as written: one word for all three entities, or some of them. */
export type ContractHint = ContractMode | Partial<SchemaContract>

const EVOLVE: SchemaContract = { tables: 'evolve', columns: 'evolve', data_type: 'evolve' }

/** A contract with one word expanded to all three entities. */
export function expandContract(hint: ContractHint): Partial<SchemaContract> {
  return typeof hint === 'string' ? { tables: hint, columns: hint, data_type: hint } : hint
}

/**
 * The contract of a table. The first that exists counts: `given` in hints not applied yet, the table's own, the nearest
 * parent's, the schema's. Entities that it leaves open evolve.
 */
export function resolveContract(schema: ReadonlySchema, table: string, given?: ContractHint): SchemaContract {
  const contract =
    given === undefined
      ? (nearestContract(schema, table) ?? readContract(schema.settings.schema_contract))
      : expandContract(given)
  return { ...EVOLVE, ...contract }
}

function nearestContract(schema: ReadonlySchema, name: string): Partial<SchemaContract> | undefined {
  const contract = lineage(schema, name).find(table => table.schema_contract != null)?.schema_contract
  return contract === undefined ? undefined : readContract(contract)
}

function readContract(value: unknown): Partial<SchemaContract> {
  if (typeof value === 'string') return expandContract(value as ContractMode)
  return isJsonObject(value) ? (value as Partial<SchemaContract>) : {}
}

/** Stores the contract of a source or run in the schema's settings. As in dlt, it stays there for later runs. */
export function setSchemaContract(schema: Schema, contract: ContractHint): void {
  schema.settings = { ...schema.settings, schema_contract: contract as JsonValue }
}

/** The error for a change that a contract freezes. `what`: the change, as in `table orders is new`. */
export function frozen(
  what: string,
  entity: keyof SchemaContract,
  details: { readonly table: string; readonly column?: string },
): SchemaError {
  const message = `${what}, and schema_contract freezes ${entity}; write \`${entity}: evolve\` there to accept it`
  return new SchemaError('contract', message, details)
}

/** The same error, with the resource that brought the change and the key that freezes it. Others are returned as they are. */
export function frozenFor(error: unknown, resource: string, path: string | undefined): unknown {
  if (!(error instanceof SchemaError) || error.code !== 'contract' || error.resource !== undefined) return error
  const { table, column } = error
  const message = path === undefined ? error.message : error.message.replace('schema_contract', () => path)
  return new SchemaError('contract', `${resource}: ${message}`, { table, column, resource, path })
}

/** Whether contracts treat a table as new: it is unknown, or has no column of a known type. */
export function isNewTable(table: ReadonlyTable | undefined): boolean {
  if (table === undefined) return true
  for (const column of table.columns.values()) if (column.data_type !== undefined) return false
  return true
}

/** Whether a table's columns may evolve in this load despite its contract, because the table is new. */
export function evolvesColumnsOnce(table: ReadonlyTable): boolean {
  const marks = table['x-normalizer']
  return isJsonObject(marks) && marks['evolve-columns-once'] === true
}

/** Lets a new table's columns evolve until it has received data. */
export function allowColumnsOnce(table: TableSchema): void {
  const marks = table['x-normalizer']
  table['x-normalizer'] = { ...(isJsonObject(marks) ? marks : {}), 'evolve-columns-once': true }
}
