import type { CommitPlan, TablePlan } from '../../model/destination.js'
import { tableChain } from '../../schema/rootKey.js'
import type { ReadonlySchema, ReadonlyTable } from '../../schema/schema.js'
import { columnsWith } from '../sql/chain.js'
import type { DatasetTables } from '../sql/ddl.js'
import { hasDuplicates } from '../sql/rows.js'
import type { SqlSession, StagedTable } from '../sql/sqlSession.js'
import type { Staging } from './postgresStaging.js'

/** Where tables are moved from and to. */
export interface Adoption {
  readonly session: SqlSession
  readonly dataset: string
  /** The dataset as it is in the transaction. */
  readonly tables: DatasetTables
  readonly staging: Staging
}

/**
 * Moves new tables from the load's own schema into the dataset where their rows are what a copy of them would be, and
 * takes them out of `staged`. Resolves to the plan of what is left to do.
 */
export async function adoptNewTables(
  adoption: Adoption,
  plan: CommitPlan,
  staged: Map<string, StagedTable>,
): Promise<CommitPlan> {
  const rest: TablePlan[] = []
  for (const table of plan.tables) {
    const chain = tableChain(plan.schema, table.table).filter(({ name }) => staged.has(name))
    if (!(await canBeMoved(adoption, plan, table, chain, staged))) {
      rest.push(table)
      continue
    }
    for (const one of chain) {
      await move(adoption, one)
      staged.delete(one.name)
    }
    // What columns the schema has beside those that arrived is still to be added.
    rest.push({ table: table.table, disposition: 'append' })
  }
  return { ...plan, tables: rest }
}

async function canBeMoved(
  { session, tables, staging }: Adoption,
  plan: CommitPlan,
  table: TablePlan,
  chain: readonly ReadonlyTable[],
  staged: ReadonlyMap<string, StagedTable>,
): Promise<boolean> {
  const root = staged.get(table.table)
  const all = tableChain(plan.schema, table.table).map(({ name }) => name)
  if (root === undefined || !chain.every(({ name }) => staging.newTables.has(name))) return false
  // Made by others meanwhile, or about to be dropped: the ordinary way knows what to do.
  if (all.some(name => tables.get(name) !== undefined || plan.drop.includes(name) || plan.truncate.includes(name))) {
    return false
  }
  if (table.disposition !== 'merge') return true
  return await mergesToItself(session, plan.schema, table, root)
}

/** Whether a merge into an empty table would leave the rows as they arrived. */
async function mergesToItself(
  session: SqlSession,
  schema: ReadonlySchema,
  { table, strategy, deletes }: TablePlan,
  root: StagedTable,
): Promise<boolean> {
  const definition = schema.tables.get(table)
  if (definition === undefined || strategy === 'scd2' || deletes !== undefined) return false
  const key = columnsWith(definition, 'primary_key')
  if (key.length === 0 || columnsWith(definition, 'hard_delete').length > 0) return false
  return definition['x-stage-data-deduplicated'] === true || !(await hasDuplicates(session, root, key))
}

async function move({ session, dataset, staging }: Adoption, table: ReadonlyTable): Promise<void> {
  const { identifier } = session.dialect
  const relation = `${staging.newSchema}.${identifier(table.name)}`
  const strict = staging.newTables.get(table.name)
  const constraints = [...table.columns.values()]
    .filter(column => column.data_type !== undefined && (column.nullable === false) !== strict?.has(column.name))
    .map(column => `ALTER COLUMN ${identifier(column.name)} ${column.nullable === false ? 'SET' : 'DROP'} NOT NULL`)
  if (constraints.length > 0) await session.run(`ALTER TABLE ${relation} ${constraints.join(', ')}`)
  await session.run(`ALTER TABLE ${relation} SET SCHEMA ${identifier(dataset)}`)
}

/** A type as the server spells it, without what stands in parentheses: `numeric(38,9)` is `numeric`. */
export function baseType(type: string): string {
  return type.replace(/\([^)]*\)/, '')
}

/**
 * Whether values of type `from` can be inserted into a column of type `to` without being changed: each arrives as it
 * is or is refused by the server. Both as the server spells them.
 */
export function takes(to: string, from: string): boolean {
  const [target, source] = [baseType(to), baseType(from)]
  const [digits, scale] = modifiers(to)
  const [fromDigits, fromScale] = modifiers(from)
  if (target !== source) return WIDER[source]?.includes(target) === true
  // Fewer decimals, or fewer digits of a second, would be rounded off silently.
  if (source === 'numeric')
    return digits === undefined || (fromDigits !== undefined && (scale ?? 0) >= (fromScale ?? 0))
  if (/^time/.test(source)) return (digits ?? 6) >= (fromDigits ?? 6)
  return true
}

function modifiers(type: string): readonly (number | undefined)[] {
  return (/\(([^)]*)\)/.exec(type)?.[1] ?? '').split(',').map(text => (text === '' ? undefined : Number(text)))
}

/** Integers and texts refuse what does not fit, so that a narrower column is no silent loss either. */
const INTEGERS = ['smallint', 'integer', 'bigint', 'numeric']
const WIDER: Readonly<Record<string, readonly string[]>> = {
  smallint: INTEGERS,
  integer: INTEGERS,
  bigint: INTEGERS,
  'character varying': ['text'],
  jsonb: ['json'],
}
