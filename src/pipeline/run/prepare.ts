import type { CommitPlan, Committed, Connection } from '../../model/destination.js'
import type { RunEvent } from '../../model/events.js'
import type { PipelineState } from '../../model/pipelineState.js'
import { newState, withoutCursors, withoutResource, withoutSource } from '../../model/pipelineState.js'
import type { Source } from '../../model/source.js'
import { adoptConvention, storedConvention } from '../../schema/adoptConvention.js'
import { setSchemaContract } from '../../schema/contracts.js'
import { describeDifference, inspectDifferences, type SchemaDifference } from '../../schema/export/differences.js'
import type { LockedTables } from '../../schema/export/schemaLock.js'
import { type Naming, type NamingName, naming as namingConvention } from '../../schema/naming.js'
import { refuseCircles, rootTable } from '../../schema/rootKey.js'
import type { ReadonlySchema, ReadonlyTable, Schema } from '../../schema/schemaTypes.js'
import { cloneSchema, newSchema, setSourceHints } from '../../schema/stored/document.js'
import { refuseUnknown, type TableUse } from '../../schema/stored/unknown.js'
import { storedSchema } from '../look/dataset.js'
import { importedAnew, importedOver, readImport, readLock } from '../look/schemaFiles.js'
import type { PipelineSetup, Refresh, RunOptions } from '../setup.js'
import { flattenPlan, type PlannedResource } from './plan/planResources.js'
import { refuseWithoutKeys, reportSharedTables } from './plan/refusals.js'

/** Schema and state at the start of a run: the committed ones, or new ones after a refresh. */
export interface Prepared {
  readonly naming: Naming
  /** The run's own copy, which evolves. */
  readonly schema: Schema
  /** Gets the run's hints too, but no rows: dlt counts a version for each. */
  readonly declared: Schema
  readonly state: PipelineState
  /** What is committed, or will be by windows that wait for it. */
  readonly committed: StartingPoint | undefined
  /** Hash of the committed schema. */
  readonly storedHash: string | undefined
  readonly refreshed: Pick<CommitPlan, 'drop' | 'truncate' | 'forgetSchema'>
  /** The schema file. Its hints override those of the source. */
  readonly imported: Schema | undefined
  /** The tables that are agreed on, if there is a lock. */
  readonly locked: LockedTables | undefined
}

/** What a run begins with. */
export interface StartingPoint extends Committed {
  /** Some of it is still to be committed, so that the dataset does not show it. */
  readonly isAhead?: boolean | undefined
}

/**
 * Schema and state at the start of a run. Warns of manual changes at the destination. A missing column is
 * created again with the rows that need it; tables that are gone were settled before. Fails if the resources need something that this schema does not allow.
 */
export async function prepareSchema(
  setup: PipelineSetup,
  connection: Connection,
  committed: StartingPoint | undefined,
  roots: readonly PlannedResource[],
  options: Pick<RunOptions, 'refresh' | 'schemaContract' | 'onEvent'>,
): Promise<Prepared> {
  const { source, destination } = setup
  const committedSchema = storedSchema(committed)
  const storedHash = committedSchema?.version_hash
  const imported = await readImport(setup.schemaFiles, source.name)
  const locked = await readLock(setup.schemaFiles)
  const stored =
    committedSchema === undefined || imported === undefined ? committedSchema : importedOver(imported, committedSchema)
  if (stored !== undefined) refuseCircles(stored)
  const naming = namingOf(setup, stored)
  const hints = { maxNesting: source.maxTableNesting, rootKey: source.rootKey, schemaContract: source.schemaContract }
  const fresh = (): Schema => {
    const schema = newSchema(source.name, { naming, ...hints })
    return imported === undefined ? schema : importedAnew(imported, schema)
  }
  const state =
    committed?.state ??
    newState(setup.name, {
      datasetName: connection.dataset,
      schemaName: source.name,
      destinationType: destination.capabilities.dltType,
    })
  const begun = refresh(options.refresh, { stored, fresh, state, roots, source, naming })
  if (options.refresh === 'drop_sources') warnOfStrangers(stored, roots, options.onEvent)
  refuseUnknown(begun.schema, tableUses(begun.schema, naming, roots), destination.capabilities.tableFormats)
  adoptConvention(begun.schema, naming)
  setSourceHints(begun.schema, hints)
  if (options.schemaContract !== undefined) setSchemaContract(begun.schema, options.schemaContract)
  if (committed !== undefined && committed.isAhead !== true && committedSchema !== undefined) {
    const forgotten = new Set([...begun.refreshed.drop, ...begun.refreshed.truncate])
    const tables = committed.tables ?? (await connection.inspect())
    const { caseSensitive } = destination.capabilities
    const differences = inspectDifferences(committedSchema, tables, { caseSensitive }).filter(
      ({ table }) => !forgotten.has(table),
    )
    warnOfChanges(differences, options.onEvent ?? (() => {}))
  }
  refuseWithoutKeys(roots, begun.schema, naming)
  reportSharedTables(roots, begun.schema, naming, destination, options.onEvent ?? (() => {}))
  const declared = cloneSchema(begun.schema)
  return {
    naming,
    ...begun,
    declared,
    state: withSchemaName(begun.state, source.name),
    imported,
    locked,
    committed,
    storedHash,
  }
}

/** How names become names of tables and columns: as the pipeline says, or as the dataset was loaded before. */
export function namingOf({ naming, destination }: PipelineSetup, stored: ReadonlySchema | undefined): Naming {
  const convention = naming ?? (stored === undefined ? undefined : storedConvention(stored)) ?? 'snake_case'
  const { maxIdentifierLength, reservedColumns } = destination.capabilities
  return namingConvention(convention as NamingName, maxIdentifierLength, reservedColumns)
}

/** Pipelines of one dataset share a schema if their sources have one name. */
function warnOfStrangers(
  stored: Schema | undefined,
  roots: readonly PlannedResource[],
  onEvent: RunOptions['onEvent'],
): void {
  if (stored === undefined) return
  const own = new Set(flattenPlan(roots).map(({ resource }) => resource.name))
  const strangers = new Set([...stored.tables.keys()].map(table => rootResource(stored, table) ?? table))
  const named = [...strangers].filter(name => !own.has(name) && !name.startsWith('_dlt'))
  if (named.length === 0) return
  onEvent?.({
    type: 'warning',
    code: 'other',
    message: `drop_sources also drops the tables of ${named.join(', ')}, which this source does not have. If another pipeline loads them into this dataset, give each source a \`name\` of its own`,
  })
}

/** The root tables that the resources may write: those with their names, and those that the schema assigns to them. */
function tableUses(
  schema: ReadonlySchema,
  naming: Naming,
  roots: readonly PlannedResource[],
): ReadonlyMap<string, TableUse> {
  const rootsOf = new Map<string, ReadonlyTable[]>()
  for (const table of schema.tables.values()) {
    if (table.resource === undefined || table.parent !== undefined) continue
    const known = rootsOf.get(table.resource)
    if (known === undefined) rootsOf.set(table.resource, [table])
    else known.push(table)
  }
  const uses = new Map<string, TableUse>()
  for (const { resource, loaded, disposition } of flattenPlan(roots)) {
    if (!loaded) continue
    const { tableName = resource.name } = resource.hints
    const own = { merges: disposition.disposition === 'merge', givesStrategy: disposition.strategy !== undefined }
    for (const table of rootsOf.get(resource.name) ?? []) {
      if (uses.has(table.name)) continue
      // A nested table with its own keys is a root table of the resource, with its own disposition.
      const other = { merges: table.write_disposition === 'merge', givesStrategy: false }
      uses.set(table.name, typeof tableName === 'function' ? own : other)
    }
    if (typeof tableName !== 'function') uses.set(naming.tablesPath(tableName), own)
  }
  return uses
}

function warnOfChanges(differences: readonly SchemaDifference[], emit: (event: RunEvent) => void): void {
  for (const difference of differences) {
    emit({
      type: 'warning',
      code: 'schema_changed_at_destination',
      message: `${describeDifference(difference)}${consequence(difference)}`,
    })
  }
}

function consequence({ kind }: SchemaDifference): string {
  switch (kind) {
    case 'missing_table':
      return '; it is made again'
    case 'missing_column':
      return '; it is made again when a load has rows for its table, earlier values are not loaded again without a full refresh'
    case 'not_null':
      return '; a null in it would fail the load'
    case 'foreign_column':
      return '; rows of a load have no value for it and will fail: make it nullable'
  }
}

interface RefreshInput {
  readonly stored: Schema | undefined
  readonly fresh: () => Schema
  readonly state: PipelineState
  readonly roots: readonly PlannedResource[]
  readonly source: Source
  readonly naming: Naming
}

function refresh(mode: Refresh | undefined, input: RefreshInput): Pick<Prepared, 'schema' | 'state' | 'refreshed'> {
  const { stored, fresh, source } = input
  if (stored === undefined || mode === undefined)
    return { schema: stored ?? fresh(), state: input.state, refreshed: { drop: [], truncate: [] } }
  // As with dlt, a refresh leaves an empty object if nothing was stored. This changes the hash of the state.
  const known: PipelineState = { ...input.state, sources: input.state.sources ?? {} }
  if (mode === 'drop_sources') {
    const drop = [...stored.tables.keys()].filter(name => !name.startsWith('_dlt'))
    return {
      schema: fresh(),
      state: withoutSource(known, source.name),
      refreshed: { drop, truncate: [], forgetSchema: true },
    }
  }
  const resources = flattenPlan(input.roots).filter(planned => planned.loaded)
  const names = resources.map(planned => planned.resource.name)
  const tables = tablesOfResources(stored, names, input.source, input.naming)
  const forget = mode === 'drop_resources' ? withoutResource : withoutCursors
  const state = names.reduce((current, name) => forget(current, source.name, name), known)
  if (mode === 'drop_data') return { schema: stored, state, refreshed: { drop: [], truncate: tables } }
  for (const name of tables) stored.tables.delete(name)
  return { schema: stored, state, refreshed: { drop: tables, truncate: [] } }
}

/**
 * The tables that records of the named resources fill, nested ones included: those that the schema assigns to them, and
 * those with the names that the source gives. Of resources with one table, the schema names the last one.
 */
export function tablesOfResources(
  schema: ReadonlySchema,
  names: readonly string[],
  { resources }: Pick<Source, 'resources'>,
  naming: Naming,
): readonly string[] {
  const given = new Set(
    resources.flatMap(({ name, hints: { tableName = name } }) =>
      names.includes(name) && typeof tableName === 'string' ? [naming.tablesPath(tableName)] : [],
    ),
  )
  return [...schema.tables.keys()].filter(table => {
    const root = rootTable(schema, table)
    return root !== undefined && (given.has(root.name) || names.includes(root.resource ?? ''))
  })
}

/** The resource whose records fill a table, nested or not. */
export function rootResource(schema: Pick<Schema, 'tables'>, name: string): string | undefined {
  return rootTable(schema, name)?.resource
}

/** The state of a pipeline that has this schema. */
export function withSchemaName(state: PipelineState, schemaName: string): PipelineState {
  const names = new Set(state.schema_names ?? [])
  if (names.has(schemaName)) return state
  return { ...state, schema_names: [...names, schemaName].sort() }
}
