import type { PipelineLock } from '../../journal/journal.js'
import type { CursorRange } from '../../model/cursors/cursorRange.js'
import { ConfigError } from '../../model/errors.js'
import type { RunEvent } from '../../model/events.js'
import { LoadIds } from '../../model/loadId.js'
import type { PartitionHint, Resource, Source } from '../../model/source.js'
import { isThere } from '../look/dataset.js'
import { closingConnection, closingSource, underLock } from '../run/closing.js'
import { settleGone } from '../run/gone/goneTables.js'
import { type DoneWindow, WindowLedger } from '../run/incremental/windowLedger.js'
import type { WindowSession } from '../run/runPipeline.js'
import type { PipelineSetup } from '../setup.js'
import { type AskedRange, askedRange, type WindowOptions } from './askedRange.js'
import { loadedTogether } from './loadedTogether.js'
import { admittedClaims, loadShare } from './loadShare.js'
import { isShared, type LoadingOptions, loadWindows, type WindowLoad } from './loadWindows.js'
import { type BackfillPlan, type FailedWindow, planBackfill, type RunningWindow } from './planBackfill.js'
import type { WindowClaims } from './windowClaims.js'
import { windowsFailed } from './windowFailures.js'

export interface BackfillOptions extends WindowOptions, LoadingOptions {
  /** Load only windows that failed before. */
  readonly retryFailed?: boolean | undefined
  /** Called once, before the first window. */
  readonly onPlan?: ((status: BackfillStatus) => void) | undefined
}

export interface BackfillResult {
  readonly pipeline: string
  readonly dataset: string
  readonly resource: string
  /** The range, with every default taken. Both ends are null where values cut the list. */
  readonly from: CursorRange['start']
  readonly to: CursorRange['end']
  /** Windows that were committed before. */
  readonly before: number
  /** Windows of this call, in the order in which they were loaded. */
  readonly loads: readonly WindowLoad[]
}

/** What is done and what is missing. Both in the order of the cursor. */
export interface BackfillStatus {
  readonly resource: string
  readonly cursorPath: string
  /** What cuts the list, if not a cursor. */
  readonly partition?: PartitionHint['by'] | undefined
  /** Null where values cut it. */
  readonly from: CursorRange['start']
  readonly to: CursorRange['end']
  /** Committed windows, also those outside the range. */
  readonly done: readonly DoneWindow[]
  /** Windows that failed and were not loaded since. */
  readonly failed: readonly FailedWindow[]
  /** The other windows that a backfill would load now, in order. */
  readonly missing: readonly CursorRange[]
  /** Those of the failed and missing windows that processes with a `partition` say they are loading. */
  readonly running: readonly RunningWindow[]
}

export async function backfillStatus(
  setup: PipelineSetup,
  resource: string,
  options: WindowOptions,
): Promise<BackfillStatus> {
  const asked = await askedAlone(setup, resource, options)
  if (!(await isThere(setup))) return statusOf(await planBackfill(setup, asked, undefined))
  await using connection = await setup.destination.connect(setup.datasetName)
  return statusOf(await planBackfill(setup, asked, connection))
}

/** Where the API was asked, nothing is left open. */
async function askedAlone(setup: PipelineSetup, resource: string, options: WindowOptions): Promise<AskedRange> {
  try {
    return await askedRange(setup, resource, options)
  } finally {
    await setup.source.close()
  }
}

function statusOf({ resource, cut, range, done, failed, windows, running }: BackfillPlan): BackfillStatus {
  const { cursorPath, by: partition } = cut
  const [from, to] = [range.start, range.end]
  return {
    resource: resource.name,
    cursorPath,
    partition,
    from,
    to,
    done,
    failed,
    missing: windows,
    running: running.map(heard),
  }
}

function heard({ start, end, atMs }: RunningWindow): RunningWindow {
  return { start, end, atMs }
}

/**
 * Loads what is missing of a range, window by window. Each window is a run of its own with its own journal and commit.
 * A window that is too much for the API is halved, and so are the ones after it. One that fails otherwise is remembered,
 * and the others are loaded; then this rejects with a DataError `windows_failed`. A failure that is no fault of a window
 * ends the backfill at once.
 */
export async function backfill(
  setup: PipelineSetup,
  resource: string,
  options: BackfillOptions,
): Promise<BackfillResult> {
  refuseParallel(setup, options)
  const emit = options.onEvent ?? (() => {})
  const work = (lock: PipelineLock | undefined): Promise<BackfillResult> =>
    closingSource(setup, emit, async () => {
      const asked = await askedRange(setup, resource, options)
      const connection = await setup.destination.connect(setup.datasetName, options.signal)
      return await closingConnection(connection, emit, async () => {
        const { partition } = options
        const claims =
          partition === undefined
            ? undefined
            : await admittedClaims(setup, asked, connection, { ...options, partition })
        await settleGone(setup, connection, await connection.committed(setup.name, setup.source.name), { emit })
        const plan = await planBackfill(setup, asked, connection)
        const planAgain = (): Promise<BackfillPlan> => planBackfill(setup, asked, connection)
        return await loadPlanned(
          setup,
          plan,
          planAgain,
          { ...options, claims },
          {
            lock,
            connection,
            ids: new LoadIds(setup.clock),
            written: { version: 0 },
            ledger: new WindowLedger(setup, { name: plan.resource.name, cut: plan.cut }, plan),
          },
        )
      })
    })
  // From the plan to the last window: another backfill would load the same ones.
  return await (isShared(options) ? work(undefined) : underLock(setup, options, work))
}

/** Windows that are loaded at the same time. More would wait for each other's commits. */
const MOST_PARALLEL = 64

function refuseParallel({ destination }: PipelineSetup, options: BackfillOptions): void {
  const { parallel = 1, partition } = options
  const refuse = (message: string, path = 'parallel'): ConfigError => new ConfigError([{ place: { path }, message }])
  if (parallel > MOST_PARALLEL)
    throw refuse(`is ${parallel}; at most ${MOST_PARALLEL} windows are loaded at the same time`)
  if (isShared(options) && destination.capabilities.parallelLoads !== 'many_processes')
    throw refuse(
      `${destination.name} takes loads of one process at a time; load into Postgres, or into a DuckLake with its catalog in Postgres`,
      partition === undefined ? 'shared' : 'partition',
    )
  if (partition !== undefined && partition.index > partition.of)
    throw refuse(`is ${partition.index} of ${partition.of}; count from 1 to ${partition.of}`, 'partition')
  if (parallel > 1 && destination.capabilities.parallelLoads === undefined)
    throw refuse(`${destination.name} takes one load of a pipeline at a time; leave it out`)
}

async function loadPlanned(
  setup: PipelineSetup,
  plan: BackfillPlan,
  planAgain: () => Promise<BackfillPlan>,
  options: BackfillOptions & { readonly claims: WindowClaims | undefined },
  session: WindowSession,
): Promise<BackfillResult> {
  const resource = plan.resource.name
  options.onPlan?.(statusOf(plan))
  const select = selected(setup.source, plan.resource, options.onEvent ?? (() => {}))
  const backfilling = { setup, plan, options, select, session }
  const windows = options.retryFailed === true ? plan.failed : [...plan.windows, ...plan.failed]
  const { partition, claims } = options
  const { loads, failures, untried, cause } =
    partition === undefined || claims === undefined
      ? await loadWindows({ ...backfilling, windows })
      : await loadShare({ ...backfilling, partition, claims, retryFailed: options.retryFailed === true }, planAgain)
  if (failures.length > 0) throw windowsFailed(resource, failures, { loaded: loads.length, untried, cause })
  return {
    pipeline: setup.name,
    dataset: setup.datasetName,
    resource,
    from: plan.range.start,
    to: plan.range.end,
    before: plan.done.length,
    loads,
  }
}

/** Names of the resources to load. Says which children are left out. */
function selected(source: Source, resource: Resource, emit: (event: RunEvent) => void): readonly string[] {
  const { resources, leftOut } = loadedTogether(source, resource)
  for (const { name } of leftOut) {
    const message = `${name} is no part of the backfill, because it has a cursor of its own; load it by a run`
    emit({ type: 'warning', code: 'other', resource: name, namesResource: true, message })
  }
  return resources.map(({ name }) => name)
}
