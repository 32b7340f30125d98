import { setSchemaContract } from '../core/contracts.js'
import { adoptConvention, storedConvention } from '../core/convention.js'
import type { CommitPlan, Committed, Connection } from '../core/destination.js'
import { type Naming, type NamingName, naming as namingConvention } from '../core/identifiers.js'
import type { Schema } from '../core/schema.js'
import { cloneSchema, newSchema, readSchema, setSourceHints } from '../core/schemaDocument.js'
import type { PipelineState } from '../core/state.js'
import { newState, withoutCursors, withoutResource, withoutSource } from '../core/stateDocument.js'
import type { PipelineSetup } from './pipeline.js'
import { flattenPlan, type PlannedResource } from './plan.js'
import type { RunOptions } from './run.js'

/** What to forget before loading. */
export type Refresh = 'drop_sources' | 'drop_resources' | 'drop_data'

/** Schema and state as a run begins with them: committed ones, or new ones, after a refresh. */
export interface Prepared {
  readonly naming: Naming
  /** The run's own copy, which evolves. */
  readonly schema: Schema
  /** Gets the hints of the run as well, but no rows: dlt counts a version for either. */
  readonly declared: Schema
  readonly state: PipelineState
  readonly refreshed: Pick<CommitPlan, 'drop' | 'truncate' | 'forgetSchema'>
}

export function prepareSchema(
  setup: PipelineSetup,
  connection: Connection,
  committed: Committed | undefined,
  roots: readonly PlannedResource[],
  options: Pick<RunOptions, 'refresh' | 'schemaContract'>,
): Prepared {
  const { source, destination } = setup
  const stored = committed?.schema === undefined ? undefined : readSchema(committed.schema)
  const convention = setup.naming ?? (stored === undefined ? undefined : storedConvention(stored)) ?? 'snake_case'
  const naming = namingConvention(convention as NamingName, destination.capabilities.maxIdentifierLength)
  const hints = { maxNesting: source.maxTableNesting, rootKey: source.rootKey, schemaContract: source.schemaContract }
  const fresh = (): Schema => newSchema(source.name, { naming, ...hints })
  const state =
    committed?.state ??
    newState(setup.name, {
      datasetName: connection.dataset,
      schemaName: source.name,
      destinationType: destination.capabilities.dltType,
    })
  const begun = refresh(options.refresh, { stored, fresh, state, roots, source: source.name })
  adoptConvention(begun.schema, naming)
  setSourceHints(begun.schema, hints)
  if (options.schemaContract !== undefined) setSchemaContract(begun.schema, options.schemaContract)
  return { naming, ...begun, declared: cloneSchema(begun.schema), state: withSchemaName(begun.state, source.name) }
}

interface RefreshInput {
  readonly stored: Schema | undefined
  readonly fresh: () => Schema
  readonly state: PipelineState
  readonly roots: readonly PlannedResource[]
  readonly source: string
}

function refresh(mode: Refresh | undefined, input: RefreshInput): Omit<Prepared, 'naming' | 'declared'> {
  const { stored, fresh, source } = input
  if (stored === undefined || mode === undefined)
    return { schema: stored ?? fresh(), state: input.state, refreshed: { drop: [], truncate: [] } }
  if (mode === 'drop_sources') {
    const drop = [...stored.tables.keys()].filter(name => !name.startsWith('_dlt'))
    return {
      schema: fresh(),
      state: withoutSource(input.state, source),
      refreshed: { drop, truncate: [], forgetSchema: true },
    }
  }
  const resources = flattenPlan(input.roots).filter(planned => planned.loaded)
  const names = resources.map(planned => planned.resource.name)
  const tables = [...stored.tables.keys()].filter(name => names.includes(rootResource(stored, name) ?? ''))
  const forget = mode === 'drop_resources' ? withoutResource : withoutCursors
  const state = names.reduce((current, name) => forget(current, source, name), input.state)
  if (mode === 'drop_data') return { schema: stored, state, refreshed: { drop: [], truncate: tables } }
  for (const name of tables) stored.tables.delete(name)
  return { schema: stored, state, refreshed: { drop: tables, truncate: [] } }
}

/** The resource whose records a table, nested or not, is made of. */
export function rootResource(schema: Pick<Schema, 'tables'>, name: string): string | undefined {
  let table = schema.tables.get(name)
  while (table?.parent !== undefined) table = schema.tables.get(table.parent)
  return table?.resource
}

function withSchemaName(state: PipelineState, schemaName: string): PipelineState {
  const names = new Set(state.schema_names ?? [])
  if (names.has(schemaName)) return state
  return { ...state, schema_names: [...names, schemaName].sort() }
}
