import type { CursorRange } from '../../model/cursors/cursorRange.js'
import { rangeText } from '../../model/cursors/cursorRange.js'
import type { CommitPlan, Committed, CommittedView } from '../../model/destination.js'
import { DestinationError } from '../../model/errors.js'
import { LoadIds } from '../../model/loadId.js'
import type { PipelineState } from '../../model/pipelineState.js'
import { judgeMoved } from '../../model/verdict.js'
import { tableChain } from '../../schema/rootKey.js'
import type { ReadonlySchema } from '../../schema/schemaTypes.js'
import { rebaseSchema } from '../../schema/stored/rebase.js'
import { storedSchema } from '../look/dataset.js'
import type { PipelineSetup } from '../setup.js'
import type { OpenLoadInput, StateOn } from './concludeLoad.js'
import { lossesByMaking } from './gone/goneTables.js'
import { movedBeside } from './incremental/listParts.js'
import type { Ledger } from './incremental/windowLedger.js'
import type { WindowToLoad } from './incremental/windowToLoad.js'
import { clearedBy, type LosingPipeline, type Losses, lossesOf } from './plan/sharedTables.js'
import { withSchemaName } from './prepare.js'

/** The load does not fit what others have committed. It has to be made again, from the pages in the journal. */
export class OutdatedSchema extends DestinationError {}

/** Another process took the id of this load. The window has to be read again, for a load with another id. */
export class TakenLoadId extends DestinationError {}

/** Others have committed the window, or parts of it. */
export class LoadedMeanwhile extends DestinationError {
  readonly done: readonly CursorRange[]

  constructor(done: readonly CursorRange[], window: WindowToLoad, destination: string) {
    const message = `${window.resource}: another process has loaded the window ${rangeText(window)} meanwhile; nothing was committed a second time`
    super('destination_locked', message, { destination, transient: true })
    this.done = done
  }
}

/** Whether the commit failed for what others have committed. The window is then read or planned again. */
export function isOfWindow(error: DestinationError): boolean {
  return [OutdatedSchema, TakenLoadId, LoadedMeanwhile].some(kind => error instanceof kind)
}

export interface MadePlan {
  readonly loadId: string
  /** What to commit, made from what was committed when the load began. */
  readonly plan: CommitPlan
  readonly stateOn: StateOn
}

export interface Making extends Pick<OpenLoadInput, 'setup' | 'prepared' | 'windows'> {
  /** The load is one of several of its pipeline, each with a window of its own. */
  readonly window: WindowToLoad | undefined
  readonly ids: LoadIds | undefined
  /** Called with the pipelines that lose rows by the plan that is made. */
  readonly onLosses: (losing: readonly LosingPipeline[]) => void
}

/**
 * What to commit, made from what is committed now. Other pipelines may have committed since the load began, and windows
 * of this one: they share a schema if their sources have one name. Rejects with {@link OutdatedSchema} if the rows do
 * not fit what they have left, or counted on a window that is not committed, and with {@link LoadedMeanwhile} if the
 * window is one of theirs. `before`: what the same transaction commits ahead.
 */
export async function commitAnew(
  making: Making,
  made: MadePlan,
  now: CommittedView,
  before: readonly CommitPlan[] = [],
): Promise<CommitPlan> {
  const { setup, prepared, window, onLosses } = making
  const { loadId } = made
  const committed = afterPlans(await now.committed(setup.name, setup.source.name), before)
  const { losing, otherStates, withoutOwn } = await lossesOf(now, clearedBy(setup, made.plan, readOn(making.windows)))
  onLosses(losing)
  // The window that it counted on comes after it, or never.
  if (window !== undefined && committed?.state === undefined && prepared.committed?.isAhead === true)
    throw outdated('the state of the pipeline', setup)
  const changed = await lossesByMaking(setup, now, committed, made.plan, otherStates)
  const plan =
    losing.length + changed.length === 0
      ? made.plan
      : afterLosses(made.plan, committed?.state, { otherStates: changed, withoutOwn })
  if (committed === undefined) return plan
  if (window === undefined && isOtherState(committed.state, prepared.committed?.state)) {
    // The commit recognises its own repetition by the id.
    if (await now.hasLoad(loadId)) return plan
    throw stateChanged(setup)
  }
  const beside =
    window === undefined ? plan : await besideWindows({ ...making, window }, made, now, committed.state, before)
  // The commit recognises its own repetition by the id.
  if (beside === undefined) return plan
  const isUnchanged = before.length === 0 && committed.schema === prepared.committed?.schema
  const stored = isUnchanged ? undefined : (before.at(-1)?.schema ?? storedSchema(committed))
  const schema = stored === undefined ? plan.schema : schemaOn(making, plan, stored)
  const storedHash = isUnchanged ? prepared.storedHash : stored?.version_hash
  const isOlder = committed.loadId !== undefined && Number(committed.loadId) > Number(loadId)
  const isNewest = !isOlder || (window === undefined && storedHash === schema.version_hash)
  if (schema === plan.schema && isNewest) return beside
  // Whoever reads the dataset takes the schema that was stored last.
  const committedAt = BigInt(setup.clock.now()) * 1000n
  const { ids = new LoadIds(setup.clock) } = making
  return {
    ...beside,
    schema,
    committedAt: committedAt > plan.committedAt ? committedAt : plan.committedAt,
    ...(!isNewest && { laterLoadId: ids.next(committed.loadId) }),
  }
}

/** Resources of the run that left out what earlier runs have read. */
function readOn({ byResource }: OpenLoadInput['windows']): ReadonlySet<string> {
  const isReadOn = ([, { stored, byParent = {} }]: [string, ReturnType<typeof byResource.get> & object]): boolean =>
    stored !== undefined || Object.keys(byParent).length > 0
  return new Set([...byResource].filter(isReadOn).map(([name]) => name))
}

function afterLosses(
  plan: CommitPlan,
  stored: PipelineState | undefined,
  { otherStates, withoutOwn }: Pick<Losses, 'otherStates' | 'withoutOwn'>,
): CommitPlan {
  const before = plan.state ?? stored
  const after = before === undefined ? undefined : withoutOwn(before)
  return { ...plan, otherStates, state: after === before ? plan.state : after }
}

function isOtherState(one: PipelineState | undefined, other: PipelineState | undefined): boolean {
  return one?._state_version !== other?._state_version || one?._version_hash !== other?._version_hash
}

function stateChanged({ name, destination }: PipelineSetup): DestinationError {
  const message = `The cursors of pipeline ${name} in ${destination.name} were changed while this load was read: by another run, or because another pipeline dropped rows of a table that both fill. Nothing was committed; run again`
  return new DestinationError('destination_locked', message, { destination: destination.name, transient: true })
}

/** The plan of a window after the windows that are committed now. Undefined if this window is one of them. */
async function besideWindows(
  { setup, prepared, window }: Making & { readonly window: WindowToLoad },
  { loadId, plan, stateOn }: MadePlan,
  now: CommittedView,
  stored: PipelineState | undefined,
  before: readonly CommitPlan[],
): Promise<CommitPlan | undefined> {
  const state = stored === undefined ? prepared.state : withSchemaName(stored, setup.source.name)
  const there = await window.ledger.look(
    now,
    state,
    before.flatMap(one => one.window ?? []),
  )
  if (await now.hasLoad(loadId)) {
    if (await window.ledger.hasLoad(now, loadId)) return undefined
    throw new TakenLoadId('destination_locked', `The load id ${loadId} is taken, again and again; run again`, {
      destination: setup.destination.name,
      transient: true,
    })
  }
  // Without it, all windows that it has committed would count again.
  if (there.backfill === undefined && (await window.ledger.hasCommitted(now, window.backfill)))
    throw stateChanged(setup)
  const others = there.covered.within(window)
  if (others.length > 0) throw new LoadedMeanwhile(others, window, setup.destination.name)
  const judged = afterMove(plan, window, there)
  return {
    ...judged,
    state: stateOn(state, there),
    ...(judged.window !== undefined && {
      window: { ...judged.window, backfill: there.backfill ?? judged.window.backfill, number: there.nextNumber },
    }),
  }
}

/** The plan of a part of a list with what parts that others have committed say about it. */
function afterMove(plan: CommitPlan, window: WindowToLoad, { covered }: Ledger): CommitPlan {
  if (window.cut.by !== 'pages' || plan.window === undefined) return plan
  const reason = movedBeside(plan.window, covered.all)
  if (reason === undefined || plan.receipts.some(({ reasons }) => reasons.includes(reason))) return plan
  const receipts = plan.receipts.map(receipt => {
    const isOwn = receipt.resource === window.resource
    const why = isOwn ? reason : `its parent ${window.resource} is unproven: ${reason}`
    return { ...receipt, ...judgeMoved(receipt, why) }
  })
  const verdict = receipts.find(({ resource }) => resource === window.resource)?.verdict ?? plan.window.verdict
  return { ...plan, receipts, window: { ...plan.window, verdict } }
}

/** What is committed once the plans are, but for the schema, which is that of the last one. */
function afterPlans(committed: Committed | undefined, before: readonly CommitPlan[]): Committed | undefined {
  if (before.length === 0) return committed
  return {
    // Loads are committed in the order of their ids, but for those that are stored with a later one.
    loadId: before.reduce((newest, plan) => plan.laterLoadId ?? newest, committed?.loadId),
    state: before.reduce((newest, plan) => plan.state ?? newest, committed?.state),
    schema: committed?.schema,
  }
}

/** The stored schema with what this load changes. */
function schemaOn({ setup, prepared }: Making, { schema, tables }: CommitPlan, stored: ReadonlySchema): ReadonlySchema {
  if (stored.version_hash === prepared.storedHash) return schema
  const written = tables.flatMap(({ table }) => tableChain(schema, table).map(({ name }) => name))
  const change = { before: storedSchema(prepared.committed), after: schema, written: new Set(written) }
  const rebased = rebaseSchema(change, stored)
  if ('schema' in rebased) return rebased.schema
  throw outdated(rebased.conflict, setup)
}

function outdated(what: string, { destination: { name } }: PipelineSetup): OutdatedSchema {
  const message = `Other loads have changed ${what} while this one was read, again and again; run again, with fewer loads at the same time`
  return new OutdatedSchema('destination_locked', message, { destination: name, transient: true })
}
