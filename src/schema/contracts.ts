import type { JsonValue } from '../json/value.js'
import { isJsonObject } from '../json/value.js'
import { lineage } from './lineage.js'
import type { ContractMode, ReadonlySchema, ReadonlyTable, Schema, SchemaContract, TableSchema } from './schemaTypes.js'

/** A contract as it may be written: one word for all three entities, or some of them. */
export type ContractHint = ContractMode | Partial<SchemaContract>

const EVOLVE: SchemaContract = { tables: 'evolve', columns: 'evolve', data_type: 'evolve' }

/** A contract with one word spread over all three entities. */
export function expandContract(hint: ContractHint): Partial<SchemaContract> {
  return typeof hint === 'string' ? { tables: hint, columns: hint, data_type: hint } : hint
}

/**
 * The contract a table is under: `given` in hints not applied yet, else its own, else that of the nearest parent that
 * has one, else that in the settings of the schema. It is taken whole: what it leaves open evolves.
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

/**
 * Writes the contract of a source or of a run into the settings of the schema, where it stays for later runs as with
 * dlt.
 */
export function setSchemaContract(schema: Schema, contract: ContractHint): void {
  schema.settings = { ...schema.settings, schema_contract: contract as JsonValue }
}

/** Whether a table is new to contracts: unknown, or without a column whose type is known. */
export function isNewTable(table: ReadonlyTable | undefined): boolean {
  if (table === undefined) return true
  for (const column of table.columns.values()) if (column.data_type !== undefined) return false
  return true
}

/** Whether the columns of a table may evolve in this load whatever its contract says, as it is a new table's first. */
export function evolvesColumnsOnce(table: ReadonlyTable): boolean {
  const marks = table['x-normalizer']
  return isJsonObject(marks) && marks['evolve-columns-once'] === true
}

/** Lets the columns of a new table evolve until it has seen data. */
export function allowColumnsOnce(table: TableSchema): void {
  const marks = table['x-normalizer']
  table['x-normalizer'] = { ...(isJsonObject(marks) ? marks : {}), 'evolve-columns-once': true }
}
