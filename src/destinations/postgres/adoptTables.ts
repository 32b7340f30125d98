import type { CommitPlan, TablePlan } from '../../model/destination.js'
import { tableChain } from '../../schema/rootKey.js'
import type { ReadonlySchema, ReadonlyTable } from '../../schema/schemaTypes.js'
import { columnsWith } from '../sql/chain.js'
import type { DatasetTables } from '../sql/ddl.js'
import { hasDuplicates } from '../sql/rows.js'
import type { SqlSession, StagedTable } from '../sql/sqlSession.js'
import type { Staging } from './postgresStaging.js'

/** Source and target of moved tables. */
export interface Adoption {
  readonly session: SqlSession
  readonly dataset: string
  /** The dataset as the transaction sees it. */
  readonly tables: DatasetTables
  readonly staging: Staging
}

/**
 * Moves new tables from the load's own schema into the dataset, if copying would give the same rows. Removes them from
 * `staged`. Resolves to the plan of what is left to do.
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
    // Columns of the schema that did not arrive must still be added.
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
  // Others created it meanwhile, or it is about to be dropped: the normal commit handles both.
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
  { table, strategy, deletes, sourceFilter }: TablePlan,
  root: StagedTable,
): Promise<boolean> {
  const definition = schema.tables.get(table)
  if (definition === undefined || strategy === 'scd2' || deletes !== undefined || sourceFilter !== undefined) {
    return false
  }
  const key = columnsWith(definition, 'primary_key')
  if (key.length === 0 || columnsWith(definition, 'hard_delete').length > 0) return false
  return definition['x-stage-data-deduplicated'] === true || !(await hasDuplicates(session, root, key))
}

async function move({ session, dataset, tables, staging }: Adoption, table: ReadonlyTable): Promise<void> {
  const { identifier } = session.dialect
  const relation = `${staging.newSchema}.${identifier(table.name)}`
  const strict = staging.newTables.get(table.name)
  const constraints = [...table.columns.values()]
    .filter(column => column.data_type !== undefined && (column.nullable === false) !== strict?.has(column.name))
    .map(column => `ALTER COLUMN ${identifier(column.name)} ${column.nullable === false ? 'SET' : 'DROP'} NOT NULL`)
  if (constraints.length > 0) await session.run(`ALTER TABLE ${relation} ${constraints.join(', ')}`)
  await session.run(`ALTER TABLE ${relation} SET SCHEMA ${identifier(dataset)}`)
  const tally = tables.tally.of(table.name)
  tally.isNew = true
  tally.insertedRows(staging.rows(table.name))
}
