import { lockPipeline } from '../../journal/journal.js'
import type { CommitPlan, Committed, CommittedView, Connection } from '../../model/destination.js'
import { ConfigError, DestinationError } from '../../model/errors.js'
import { nextLoadId } from '../../model/loadId.js'
import type { PipelineState } from '../../model/pipelineState.js'
import { bumpState, withoutCursors, withoutResource } from '../../model/pipelineState.js'
import { storedConvention } from '../../schema/adoptConvention.js'
import { type Naming, type NamingName, naming as namingConvention } from '../../schema/naming.js'
import type { ReadonlySchema, Schema } from '../../schema/schemaTypes.js'
import { bumpVersion, cloneSchema, ensureStateTable } from '../../schema/stored/document.js'
import { closingConnection } from '../run/closing.js'
import { type LosingPipeline, lossesOf } from '../run/plan/sharedTables.js'
import { tablesOfResources } from '../run/prepare.js'
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
  /** Other pipelines, or other resources, that have rows in the tables. Their cursors are reset too. */
  readonly losing: readonly LosingPipeline[]
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
  const decide = ({ schema, state }: Stored): Decided => {
    const naming = namingOf(schema, setup)
    const filled = (one: readonly string[]) => tablesOfResources(schema, one, setup.source, naming)
    const ownNames = setup.source.resources.map(({ name }) => name).filter(name => filled([name]).length > 0)
    const known = new Set([...loadedResources(schema), ...ownNames, ...Object.keys(resourceStates(state, setup))])
    checkKnown(names, known, `${setup.name} has loaded`)
    const tables = filled(names)
    const next = cloneSchema(schema)
    for (const table of tables) next.tables.delete(table)
    return {
      dropped: { resources: names, tables, cursors: cursorsOf(state, setup, names), losing: [] },
      schema: next,
      state: bumpState(names.reduce((current, name) => withoutResource(current, setup.source.name, name), state)),
    }
  }
  return await changeCommitted(setup, options, decide, async (connection, begun) => {
    let done = { ...begun, loadId: '' }
    await connection.drop(async now => {
      const stored = await storedIn(setup, now)
      const { dropped, schema, state } = decide(stored)
      const { losing, otherStates, withoutOwn } = await lossesOf(now, lossFrom(setup, dropped))
      done = { ...dropped, losing, loadId: loadIdAfter(setup, stored) }
      return {
        tables: dropped.tables,
        schema: bumped(schema, setup),
        state: withoutOwn(state),
        otherStates,
        loadId: done.loadId,
      }
    })
    return done
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
  const decide = ({ schema, state }: Stored): Decided => {
    const known = new Set([
      ...Object.keys(resourceStates(state, setup)),
      ...setup.source.resources.map(({ name }) => name),
    ])
    checkKnown(names, known, `${setup.name} has`)
    const next = bumpState(names.reduce((current, name) => withoutCursors(current, setup.source.name, name), state))
    return {
      dropped: { resources: names, tables: [], cursors: cursorsOf(state, setup, names), losing: [] },
      schema: cloneSchema(schema),
      state: next,
    }
  }
  return await changeCommitted(setup, options, decide, async (connection, begun, stored) => {
    if (decide(stored).state._version_hash === stored.state._version_hash) return { ...begun, loadId: undefined }
    const loadId = loadIdAfter(setup, stored)
    const load = await connection.begin({ loadId, pipeline: setup.name })
    let done = begun
    const plan = (current: Stored): CommitPlan => {
      const { dropped, schema, state } = decide(current)
      done = dropped
      const isOlder = Number(current.committed.loadId ?? 0) > Number(loadId)
      return {
        ...{ receipts: [], tables: [], drop: [], truncate: [] },
        schema: bumped(schema, setup),
        state,
        committedAt: BigInt(setup.clock.now()) * 1000n,
        ...(isOlder && { laterLoadId: loadIdAfter(setup, current) }),
      }
    }
    try {
      await load.commit(plan(stored), async now => plan(await storedIn(setup, now)))
    } catch (error) {
      await load.abort()
      throw error
    }
    return { ...done, loadId }
  })
}

interface Stored {
  readonly committed: Committed
  readonly schema: Schema
  readonly state: PipelineState
}

type WithoutLoad = Omit<Dropped, 'loadId'>

/** What a change makes of what is committed. */
interface Decided {
  readonly dropped: WithoutLoad
  readonly schema: Schema
  readonly state: PipelineState
}

/** Changes committed data while no run of the pipeline is active. */
async function changeCommitted(
  setup: PipelineSetup,
  options: ChangeOptions,
  decide: (stored: Stored) => Decided,
  commit: (connection: Connection, begun: WithoutLoad, stored: Stored) => Promise<Dropped>,
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
      const stored = await storedIn(setup, connection)
      const { dropped } = decide(stored)
      if (options.dryRun !== true) return await commit(connection, dropped, stored)
      const { losing } = await lossesOf(connection, lossFrom(setup, dropped))
      return { ...dropped, losing, loadId: undefined }
    })
  } finally {
    // The change is committed. If the lock stays, the next run sees that its process is gone.
    await lock?.release().catch(() => {})
  }
}

async function storedIn(setup: PipelineSetup, now: Pick<CommittedView, 'committed'>): Promise<Stored> {
  const committed = await now.committed(setup.name, setup.source.name)
  const schema = storedSchema(committed)
  if (committed?.state === undefined || schema === undefined) throw nothingLoaded(setup)
  return { committed, schema, state: committed.state }
}

function lossFrom(setup: PipelineSetup, { tables, resources }: WithoutLoad) {
  return { setup, known: new Set(resources), cleared: new Set(tables) }
}

function loadIdAfter({ clock }: PipelineSetup, { committed }: Stored): string {
  return nextLoadId(clock.now(), committed.loadId, clock.random())
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

/** The schema as it is stored: with the table of states, and counted as a new version if it changed. */
function bumped(schema: Schema, setup: PipelineSetup): Schema {
  ensureStateTable(schema, namingOf(schema, setup))
  bumpVersion(schema)
  return schema
}

function namingOf(schema: ReadonlySchema, { naming, destination }: PipelineSetup): Naming {
  const convention = storedConvention(schema) ?? naming ?? 'snake_case'
  return namingConvention(convention as NamingName, destination.capabilities.maxIdentifierLength)
}
