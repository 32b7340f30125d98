import type { CommitPlan, LoadPlan } from '../../../model/destination.js'
import { DestinationError, SchemaError } from '../../../model/errors.js'
import { tableChain } from '../../../schema/rootKey.js'
import type { ReadonlyColumn, ReadonlyTable } from '../../../schema/schemaTypes.js'
import { VERSIONS } from '../../systemRows.js'
import { MERGE_REFUSAL } from '../filesCapabilities.js'
import { segment } from '../format/layout.js'
import type { CommittedTable, Snapshot } from './committedDataset.js'

/** What a commit changes in a dataset. Decided before anything is written. */
export interface Changes {
  /** Columns of the tables that take part. */
  readonly tables: ReadonlyMap<string, readonly ReadonlyColumn[]>
  readonly dropped: readonly string[]
  /** Keys of objects that no longer count. */
  readonly removed: readonly string[]
  /** The schema has to be stored. */
  readonly storesSchema: boolean
}

/** As with dlt, this many states of a pipeline are kept. */
const KEPT_STATES = 100

/** `staged`: tables that received rows. Fails if the plan misses one of them, or merges. */
export function changesOf(snapshot: Snapshot, plan: CommitPlan, staged: ReadonlySet<string>, load: LoadPlan): Changes {
  const current = new Map<string, CommittedTable>(snapshot.tables)
  const removed = new Set<string>()
  const empty = (table: CommittedTable): void => {
    for (const file of table.files) removed.add(file.key)
    current.set(table.name, { ...table, files: [] })
  }
  const dropped = plan.drop.filter(name => current.has(name))
  for (const name of dropped) {
    empty(current.get(name) as CommittedTable)
    current.delete(name)
  }
  for (const name of plan.truncate) {
    const table = current.get(name)
    if (table !== undefined) empty(table)
  }
  const tables = new Map<string, readonly ReadonlyColumn[]>()
  for (const { table: root, disposition } of plan.tables) {
    if (disposition === 'merge') {
      throw new DestinationError('destination', `Table ${root} cannot be merged: ${MERGE_REFUSAL}`, {
        destination: load.pipeline,
      })
    }
    for (const table of tableChain(plan.schema, root)) {
      const existing = current.get(table.name)
      if (existing === undefined && !staged.has(table.name)) continue
      if (existing !== undefined && disposition === 'replace') empty(existing)
      tables.set(table.name, definitionAfter(existing, table))
    }
  }
  const forgotten = [...staged].filter(name => !tables.has(name))
  if (forgotten.length > 0) {
    throw new DestinationError(
      'destination',
      `Rows were staged for ${forgotten.join(', ')}, which the commit leaves out`,
      { destination: load.pipeline },
    )
  }
  return {
    tables,
    dropped,
    ...systemChanges(snapshot, plan, removed),
  }
}

/**
 * The columns of a table after a load. Existing columns stay as they are. Missing columns of the schema come last. A
 * table with rows cannot guarantee a value in a new column.
 */
function definitionAfter(existing: CommittedTable | undefined, table: ReadonlyTable): readonly ReadonlyColumn[] {
  const columns = [...(existing?.columns ?? [])]
  const names = new Map(columns.map(column => [column.name.toLowerCase(), column.name]))
  const known = new Set(columns.map(column => column.name))
  const hasRows = existing?.files.some(file => file.rows !== 0) === true
  for (const column of table.columns.values()) {
    if (column.data_type === undefined || known.has(column.name)) continue
    if (names.has(column.name.toLowerCase())) {
      throw new SchemaError(
        'schema',
        `Table ${table.name} has two columns that differ from ${column.name} only by case, which are one name to this destination; rename one`,
        { table: table.name, column: column.name },
      )
    }
    names.set(column.name.toLowerCase(), column.name)
    columns.push(hasRows ? { ...column, nullable: true } : column)
  }
  if (columns.length === 0)
    throw new SchemaError('schema', `Table ${table.name} has no column with a type`, { table: table.name })
  return columns
}

function systemChanges(
  snapshot: Snapshot,
  plan: Pick<CommitPlan, 'schema' | 'drop' | 'forgetSchema' | 'state' | 'otherStates'>,
  removed: Set<string>,
): Pick<Changes, 'removed' | 'storesSchema'> {
  const versions = snapshot.versions.get(segment(plan.schema.name)) ?? []
  // For dlt, a known hash means that all tables exist. So a drop must remove all versions.
  const forgets = plan.drop.length > 0 || plan.forgetSchema === true
  if (forgets) for (const key of versions) removed.add(key)
  const newest = snapshot.ledger.newest.get(plan.schema.name)
  const states = plan.state === undefined ? [] : (snapshot.states.get(segment(plan.state.pipeline_name)) ?? [])
  for (const key of states.slice(KEPT_STATES - 1)) removed.add(key)
  // The newest load id counts, and theirs may be newer than this one.
  for (const { pipeline_name: other } of plan.otherStates ?? [])
    for (const key of snapshot.states.get(segment(other)) ?? []) removed.add(key)
  return {
    removed: [...removed],
    storesSchema: forgets || versions.length === 0 || newest?.schemaVersionHash !== plan.schema.version_hash,
  }
}

/** What changes when tables are dropped outside of a load. */
export function dropChanges(
  snapshot: Snapshot,
  names: readonly string[],
  plan: Pick<CommitPlan, 'schema' | 'state' | 'otherStates'>,
) {
  const removed = new Set(names.flatMap(name => snapshot.tables.get(name)?.files.map(file => file.key) ?? []))
  return {
    tables: new Map<string, readonly ReadonlyColumn[]>(),
    dropped: names.filter(name => snapshot.tables.has(name)),
    ...systemChanges(snapshot, { ...plan, drop: [VERSIONS.name] }, removed),
  } satisfies Changes
}
