import { lockPipeline } from '../../journal/journal.js'
import type { Committed, Connection } from '../../model/destination.js'
import { ConfigError, DestinationError } from '../../model/errors.js'
import { nextLoadId } from '../../model/loadId.js'
import type { PipelineState } from '../../model/pipelineState.js'
import { bumpState, withoutCursors, withoutResource } from '../../model/pipelineState.js'
import { storedConvention } from '../../schema/adoptConvention.js'
import { type NamingName, naming as namingConvention } from '../../schema/naming.js'
import type { ReadonlySchema, Schema } from '../../schema/schemaTypes.js'
import { bumpVersion, cloneSchema, ensureStateTable } from '../../schema/stored/document.js'
import { closingConnection } from '../run/closing.js'
import { rootResource } from '../run/prepare.js'
import { type PipelineSetup, pipelineFolder } from '../setup.js'
import { isThere, storedSchema } from './dataset.js'

export interface ChangeOptions {
  readonly signal?: AbortSignal | undefined
  /** Report what would change, and change nothing. Default false. */
  readonly dryRun?: boolean | undefined
}

/** What was dropped, or would be. */
export interface Dropped {
  readonly resources: readonly string[]
  /** Nested tables included. */
  readonly tables: readonly string[]
  /** Cursors that were reset, as `resource.cursor_path`. */
  readonly cursors: readonly string[]
  /** The load that records the change. Undefined after a dry run, and if there was nothing to change. */
  readonly loadId: string | undefined
}

/**
 * Drops the tables of resources, nested ones included, and all their state, in one transaction with a load row. The
 * source may no longer have the resources. Rejects with a ConfigError if a name is in neither schema nor state.
 */
export async function dropResources(
  setup: PipelineSetup,
  names: readonly string[],
  options: ChangeOptions,
): Promise<Dropped> {
  return await changeCommitted(setup, options, async ({ connection, committed, schema, state }) => {
    const known = new Set([...loadedResources(schema), ...Object.keys(resourceStates(state, setup))])
    checkKnown(names, known, `${setup.name} has loaded`)
    const tables = [...schema.tables.keys()].filter(name => names.includes(rootResource(schema, name) ?? ''))
    const cursors = cursorsOf(state, setup, names)
    const next = cloneSchema(schema)
    for (const table of tables) next.tables.delete(table)
    const nextState = bumpState(
      names.reduce((current, name) => withoutResource(current, setup.source.name, name), state),
    )
    return {
      dropped: { resources: names, tables, cursors },
      commit: async () => {
        const loadId = nextLoadId(setup.clock.now(), committed.loadId, setup.clock.random())
        addStateTable(next, setup)
        bumpVersion(next)
        await connection.drop(tables, { schema: next, state: nextState, loadId })
        return loadId
      },
    }
  })
}

/**
 * Resets the cursors of resources, in one transaction with a load row. Rows and other state stay. Rejects with a
 * ConfigError if a name has no state and is no resource of the source.
 */
export async function resetState(
  setup: PipelineSetup,
  names: readonly string[],
  options: ChangeOptions,
): Promise<Dropped> {
  return await changeCommitted(setup, options, async ({ connection, committed, schema, state }) => {
    const known = new Set([
      ...Object.keys(resourceStates(state, setup)),
      ...setup.source.resources.map(({ name }) => name),
    ])
    checkKnown(names, known, `${setup.name} has`)
    const cursors = cursorsOf(state, setup, names)
    const next = bumpState(names.reduce((current, name) => withoutCursors(current, setup.source.name, name), state))
    const dropped = { resources: names, tables: [], cursors }
    if (next._version_hash === state._version_hash) return { dropped, commit: async () => undefined }
    return {
      dropped,
      commit: async () => {
        const loadId = nextLoadId(setup.clock.now(), committed.loadId, setup.clock.random())
        const load = await connection.begin({ loadId, pipeline: setup.name })
        try {
          const committedAt = BigInt(setup.clock.now()) * 1000n
          const nothing = { receipts: [], tables: [], drop: [], truncate: [] }
          const evolved = cloneSchema(schema)
          addStateTable(evolved, setup)
          bumpVersion(evolved)
          await load.commit({ ...nothing, schema: evolved, state: next, committedAt })
        } catch (error) {
          await load.abort()
          throw error
        }
        return loadId
      },
    }
  })
}

interface Stored {
  readonly connection: Connection
  readonly committed: Committed
  readonly schema: Schema
  readonly state: PipelineState
}

/** Changes committed data while no run of the pipeline is active. */
async function changeCommitted(
  setup: PipelineSetup,
  options: ChangeOptions,
  decide: (stored: Stored) => Promise<{
    readonly dropped: Omit<Dropped, 'loadId'>
    readonly commit: () => Promise<string | undefined>
  }>,
): Promise<Dropped> {
  if (!(await isThere(setup))) throw nothingLoaded(setup)
  const lock =
    options.dryRun === true
      ? undefined
      : await lockPipeline(setup.files, pipelineFolder(setup), { ...setup.clock, signal: options.signal })
  try {
    const opened = await setup.destination.connect(setup.datasetName, options.signal)
    // The change is committed, even if closing the connection fails.
    const quiet = (): void => {}
    return await closingConnection(opened, quiet, async connection => {
      const committed = await connection.committed(setup.name, setup.source.name)
      const schema = storedSchema(committed)
      if (committed?.state === undefined || schema === undefined) throw nothingLoaded(setup)
      const { dropped, commit } = await decide({ connection, committed, schema, state: committed.state })
      return { ...dropped, loadId: options.dryRun === true ? undefined : await commit() }
    })
  } finally {
    // The change is committed. If the lock stays, the next run sees that its process is gone.
    await lock?.release().catch(() => {})
  }
}

function nothingLoaded({ name, destination, datasetName }: PipelineSetup): DestinationError {
  return new DestinationError(
    'destination',
    `${destination.name}: pipeline ${name} has loaded nothing into ${datasetName} yet`,
    { destination: destination.name },
  )
}

function checkKnown(names: readonly string[], known: ReadonlySet<string>, had: string): void {
  const unknown = names.filter(name => !known.has(name))
  if (unknown.length === 0) return
  const listed = known.size === 0 ? 'none' : [...known].join(', ')
  const path = 'resources'
  throw new ConfigError([
    {
      place: { path },
      message: `there is no resource ${unknown.map(name => `"${name}"`).join(', ')}; ${had} ${listed}`,
    },
  ])
}

function loadedResources(schema: ReadonlySchema): string[] {
  return [...schema.tables.values()]
    .filter(table => table.parent === undefined && !table.name.startsWith('_dlt'))
    .flatMap(table => table.resource ?? [])
}

function resourceStates(state: PipelineState, { source }: PipelineSetup) {
  return state.sources?.[source.name]?.resources ?? {}
}

function cursorsOf(state: PipelineState, setup: PipelineSetup, names: readonly string[]): string[] {
  const states = resourceStates(state, setup)
  return names.flatMap(name => Object.keys(states[name]?.incremental ?? {}).map(path => `${name}.${path}`))
}

function addStateTable(schema: Schema, setup: PipelineSetup): void {
  const convention = storedConvention(schema) ?? setup.naming ?? 'snake_case'
  const { maxIdentifierLength } = setup.destination.capabilities
  ensureStateTable(schema, namingConvention(convention as NamingName, maxIdentifierLength))
}
