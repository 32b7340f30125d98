import { createHash } from 'node:crypto'
import { SharedJournals } from '../../journal/sharedJournals.js'
import { stringifyJson } from '../../json/write.js'
import { type CursorRange, rangeText, type WindowAttempt } from '../../model/cursors/cursorRange.js'
import { AbortError } from '../../model/errors.js'
import type { RunEvent } from '../../model/events.js'
import { nextLoadId } from '../../model/loadId.js'
import type { Verdict } from '../../model/receipt.js'
import { count } from '../../model/verdict.js'
import { warningOf } from '../run/closing.js'
import { LoadedMeanwhile } from '../run/commitAnew.js'
import type { WindowToLoad } from '../run/incremental/windowToLoad.js'
import { runWindow, type WindowSession } from '../run/runPipeline.js'
import { type LoadResult, type PipelineSetup, windowsFolder } from '../setup.js'
import { CommitGroup } from './commitGroup.js'
import type { ReadRange } from './coveredRanges.js'
import { cursorReached } from './cursorReached.js'
import { type BackfillPlan, type FailedWindow, listOf, windowCut } from './planBackfill.js'
import { doOverlap, missingRanges } from './ranges.js'
import type { WindowClaim, WindowClaims } from './windowClaims.js'
import { isOfAll, isTooMuch, MOST_IN_A_ROW } from './windowFailures.js'
import { WindowQueue } from './windowQueue.js'

export interface LoadingOptions {
  /** Stops the backfill. The windows that are committed stay, and the next one continues after them. */
  readonly signal?: AbortSignal | undefined
  /** Windows that are read at the same time. Their commits take turns. Default 1. */
  readonly parallel?: number | undefined
  /**
   * Other processes load other windows of the resource at the same time. This one keeps out nobody who loads others, and
   * loads nothing that they have committed. For engines that hand out windows; the destination must take it.
   */
  readonly shared?: boolean | undefined
  /**
   * This process is one of several that load the range together, on one machine or on many. They claim windows at the
   * destination, with a heartbeat, and the window of a process that died goes to another one. Each of them ends when nothing
   * is missing. Implies `shared`.
   */
  readonly partition?: Partition | undefined
  /** Most requests in flight for one origin and credential. Default 16. */
  readonly concurrency?: number | undefined
  /** Called with each event of each load, in order. */
  readonly onEvent?: ((event: RunEvent) => void) | undefined
  /** Called when a window is loaded, too large, or failed. */
  readonly onWindow?: ((outcome: WindowOutcome) => void) | undefined
}

/** One of several processes that load a range together. */
export interface Partition {
  /** From 1 to `of`. The process begins with every `of`-th window, and goes on with those that no other one loads. */
  readonly index: number
  readonly of: number
  /**
   * Names what all processes must have in common besides `of`, such as the version of their code. One that joins others
   * which name something else is refused.
   */
  readonly code?: string | undefined
  /** A process that is not heard of for so long is taken to be dead, and others load its window. Default 60,000. */
  readonly claimTimeoutMs?: number | undefined
}

/** A window that a backfill has committed. */
export interface WindowLoad extends CursorRange {
  readonly loadId: string
  readonly verdict: Verdict
  readonly requests: number
  /** Records within the window. */
  readonly records: number
  /** Rows staged by table, nested tables included. */
  readonly rows: Readonly<Record<string, number>>
}

/** What became of a window. `left`: windows that are not loaded yet, with those that are being read, as far as is known. */
export type WindowOutcome = CursorRange & { readonly left: number } & (
    | {
        readonly outcome: 'loaded'
        readonly load: WindowLoad
        readonly durationMs: number
        /** What is left, if it is like the windows of this call. */
        readonly estimate: { readonly requests: number; readonly durationMs: number }
      }
    | { readonly outcome: 'halved' | 'failed'; readonly error: Error }
    /** Another process has loaded it. */
    | { readonly outcome: 'elsewhere' }
  )

/** What a backfill loads, and how. */
export interface Backfilling {
  readonly setup: PipelineSetup
  readonly plan: BackfillPlan
  readonly options: LoadingOptions
  readonly windows: readonly CursorRange[]
  /** Names of the resources to load. */
  readonly select: readonly string[]
  readonly session: WindowSession
  /** Of processes that load the range together: each window is claimed before it is read. */
  readonly claims?: WindowClaims | undefined
}

/** `signal`: ends all windows. `failing`: ends them for a reason that holds for all. `group`: where commits are shared. */
type LoadingWindows = Backfilling & {
  readonly signal: AbortSignal
  readonly failing: AbortController
  readonly group: { readonly commits: CommitGroup; readonly journals: SharedJournals } | undefined
}

export interface LoadedWindows {
  readonly loads: readonly WindowLoad[]
  readonly failures: readonly FailedWindow[]
  /** Windows that were left, because too many failed one after another. */
  readonly untried: number
  /** The first failure. */
  readonly cause: unknown
}

/**
 * Loads windows, each in a run of its own. Windows that fail are remembered at the destination. Rejects if one fails for
 * a reason that holds for all.
 */
export async function loadWindows(backfilling: Backfilling): Promise<LoadedWindows> {
  const { setup, plan, options, windows } = backfilling
  const queue = new WindowQueue(plan, windows)
  const progress: Progress = {
    queue,
    id: plan.backfill ?? nextLoadId(setup.clock.now(), undefined, setup.clock.random()),
    startedMs: setup.clock.now(),
    loads: [],
    failures: [],
    inARow: [],
    isHalved: false,
    uncommitted: new Set(),
    lastRead: undefined,
    ends: new Set(),
    areSmall: false,
    areGrouped: false,
  }
  // What fails for all ends the windows beside it too.
  const failing = new AbortController()
  const signal = options.signal === undefined ? failing.signal : AbortSignal.any([options.signal, failing.signal])
  const reading: LoadingWindows = { ...backfilling, signal, failing, group: await groupOf(backfilling) }
  try {
    await Promise.all(
      Array.from({ length: options.parallel ?? 1 }, () =>
        readWindows(reading, progress).catch((error: unknown) => failing.abort(error)),
      ),
    )
    await committed(reading, progress)
    await Promise.all(progress.ends)
  } finally {
    await reading.group?.journals.close().catch(() => {})
  }
  if (failing.signal.aborted) throw failing.signal.reason
  const { loads, failures } = progress
  return { loads, failures: failures.map(({ failure }) => failure), untried: queue.length, cause: failures[0]?.error }
}

/**
 * Windows that other processes load beside these are committed one by one: each has a claim or a job of its own. Removes
 * journals of windows that were loaded, or are no longer cut like this. A killed backfill leaves them behind.
 */
async function groupOf({ setup, plan, windows, options, session }: Backfilling): Promise<LoadingWindows['group']> {
  // Others may be at work in this folder.
  if (isShared(options)) return undefined
  const wanted = new Set(windows.map(window => partOf(plan.resource.name, window)))
  const place = { files: setup.files, folder: windowsFolder(setup), now: setup.clock.now }
  const journals = await SharedJournals.open(place, part => wanted.has(part))
  const commits = CommitGroup.of(session.connection, setup.clock, async () => session.lock?.check())
  return commits === undefined ? undefined : { commits, journals }
}

/**
 * Loads one window after the other, until none is left or one fails for a reason that holds for all. Reads the next one
 * while others wait for their commit.
 */
async function readWindows(reading: LoadingWindows, progress: Progress): Promise<void> {
  const { queue } = progress
  const { failing } = reading
  while (!failing.signal.aborted && progress.inARow.length < MOST_IN_A_ROW) {
    const range = queue.next()
    if (range === undefined) {
      if (progress.uncommitted.size === 0) return
      // A window whose commit fails may come back in parts.
      await committed(reading, progress)
      await Promise.all(progress.ends)
      continue
    }
    const claim = await claimed(reading, queue, range)
    if (claim === 'refused') {
      queue.ended(range)
      continue
    }
    await new Promise<void>(resolve => {
      const ended = readWindow(reading, progress, range, claim, resolve)
        .catch((error: unknown) => failing.abort(error))
        .finally(() => {
          progress.ends.delete(ended)
          resolve()
        })
      progress.ends.add(ended)
    })
    if (progress.uncommitted.size >= MOST_UNCOMMITTED) await committed(reading, progress)
  }
}

/** Windows that are read and not committed, before the next one is read. */
const MOST_UNCOMMITTED = 128

/** Commits what is read. Resolves when it is committed or has failed. */
async function committed({ group }: LoadingWindows, { uncommitted }: Progress): Promise<void> {
  await group?.commits.flush()
  await Promise.allSettled(uncommitted)
}

/** Loads one window. Rejects if it fails for a reason that holds for all. `onRead`: it waits for its commit. */
async function readWindow(
  reading: LoadingWindows,
  progress: Progress,
  range: CursorRange,
  claim: WindowClaim | undefined,
  onRead: () => void,
): Promise<void> {
  const { plan, options, failing } = reading
  const { queue } = progress
  const tell = options.onWindow ?? (() => {})
  const setAside: RunEvent[] = []
  try {
    tell(await loaded(reading, progress, range, setAside, onRead))
  } catch (thrown) {
    if (failing.signal.aborted) throw thrown
    // What was read before comes first.
    await committed(reading, progress)
    if (thrown instanceof LoadedMeanwhile) {
      queue.ended(range)
      queue.putBack(missingRanges(range, thrown.done, plan.cut))
      tell({ ...range, outcome: 'elsewhere', left: queue.left })
      return
    }
    const error = thrown as Error
    if (isTooMuch(error, plan.resource.name) && queue.halve(range)) {
      progress.isHalved = true
      queue.ended(range)
      tell({ ...range, outcome: 'halved', error, left: queue.left })
      return
    }
    for (const event of setAside) options.onEvent?.(event)
    if (error instanceof AbortError) throw stopped(error, progress.loads.length)
    if (isOfAll(error)) {
      tell({ ...range, outcome: 'failed', error, left: queue.left })
      throw error
    }
    queue.ended(range)
    await failed(reading, progress, range, error)
    tell({ ...range, outcome: 'failed', error, left: queue.left })
  } finally {
    await warningOf(options.onEvent ?? (() => {}), 'its claim could not be released', async () => claim?.release())
  }
}

/** The end of a backfill that was stopped within a window. */
function stopped({ resource, cause }: AbortError, loaded: number): AbortError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const message = `the backfill was stopped (${why}); ${count(loaded, 'window')} committed before, and the next one goes on after that`
  return new AbortError(message, { resource, cause })
}

/** Claims the window, where claims are made. `refused`: another process loads it, or has loaded it. */
async function claimed(
  { setup, plan, claims, session }: Backfilling,
  queue: WindowQueue,
  range: CursorRange,
): Promise<WindowClaim | undefined | 'refused'> {
  if (claims === undefined) return undefined
  const claim = await claims.take(range)
  if (claim === undefined) return 'refused'
  let isKept = false
  try {
    const { state } = (await session.connection.committed(setup.name, setup.source.name)) ?? {}
    const loaded =
      state === undefined ? [] : (await session.ledger.look(session.connection, state)).covered.within(range)
    isKept = loaded.length === 0
    if (isKept) return claim
    queue.putBack(missingRanges(range, loaded, plan.cut))
    return 'refused'
  } finally {
    if (!isKept) await claim.release()
  }
}

/** What a backfill has done so far. */
interface Progress {
  readonly queue: WindowQueue
  /** The id of the backfill. */
  readonly id: string
  readonly startedMs: number
  readonly loads: WindowLoad[]
  readonly failures: { readonly failure: FailedWindow; readonly error: unknown }[]
  /** Failures since the last window that was loaded. */
  inARow: readonly unknown[]
  /** A window was too much. */
  isHalved: boolean
  /** Windows that are read and wait for their commit. */
  readonly uncommitted: Set<Promise<unknown>>
  /** Settles when the window that was read last is committed or has failed. */
  lastRead: Promise<void> | undefined
  /** The ends of windows that are under way. */
  readonly ends: Set<Promise<void>>
  /** The window before was not loaded alone: the ledger may not know it yet. */
  areGrouped: boolean
  /** The window before was so quick, and had so few rows, that a commit for each costs more than reading. */
  areSmall: boolean
}

const SMALL = { rows: 20_000, durationMs: 1_000 }

/** Loads one window. Adds to `setAside` what is only said if the window counts as failed. `onRead`: it waits for its commit. */
async function loaded(
  reading: LoadingWindows,
  progress: Progress,
  range: CursorRange,
  setAside: RunEvent[],
  onRead: () => void,
): Promise<WindowOutcome> {
  const { setup, plan, options, select, session, signal, group } = reading
  const { clock } = setup
  const { queue } = progress
  const { name } = plan.resource
  const { concurrency, parallel = 1, onEvent: emit = () => {} } = options
  // DuckDB compresses rows of a large window while it is read, if it is alone.
  const part = partOf(name, range)
  const isGrouped = group !== undefined && (progress.areSmall || group.journals.has(part))
  const isAlone = parallel === 1 && !isShared(options) && !isGrouped
  if (isAlone) {
    await committed(reading, progress)
    session.ahead = undefined
    if (progress.areGrouped) await lookAnew(reading)
  }
  progress.areGrouped = !isAlone
  const beganMs = clock.now()
  let read: ReadRange | undefined
  let isRead = (): void => {}
  let previous: Promise<void> | undefined
  const window: WindowToLoad = {
    resource: name,
    cut: windowCut(plan, range),
    backfill: progress.id,
    part: isAlone ? undefined : part,
    ledger: session.ledger,
    ...range,
    cursorAfter(now, stored, { covered }) {
      read = now
      if (plan.cut.by !== undefined) return undefined
      return cursorReached(plan.cut, [...covered.all, now], stored)
    },
    ...(!isAlone &&
      group !== undefined && {
        together: {
          journals: group.journals,
          async commit(staged) {
            const committing = group.commits.commit(staged)
            progress.areSmall = isSmall(staged.rows, clock.now() - beganMs)
            isRead()
            await committing
          },
        },
      }),
  }
  const onEvent = (happening: RunEvent): void => {
    const event = { ...happening, window: rangeText(range) }
    // Whoever halves a window knows that the pages of the whole one are of no use.
    if (event.type === 'warning' && event.code === 'journal_set_aside') setAside.push(event)
    else emit(event)
  }
  const finish = async (): Promise<WindowLoad> => {
    const result = await runWindow(setup, { select, signal, concurrency, onEvent }, window, session)
    if (!progress.isHalved) for (const event of setAside) emit(event)
    if (isAlone) {
      if (read !== undefined) session.ledger.add(read)
      progress.areSmall = isSmall(sumOf(Object.values(result.rows)), clock.now() - beganMs)
    }
    const load = loadOf(result, name, range)
    // Windows of one commit end in the order in which they were read.
    await previous
    progress.loads.push(load)
    progress.inARow = []
    return load
  }
  const finishing = finish()
  isRead = () => {
    if (progress.uncommitted.has(finishing)) return
    previous = progress.lastRead
    progress.lastRead = finishing.then(
      () => {},
      () => {},
    )
    progress.uncommitted.add(finishing)
    onRead()
  }
  const load = await finishing.finally(() => progress.uncommitted.delete(finishing))
  const isNewWidth = queue.loaded(range)
  queue.ended(range)
  if (isNewWidth || plan.failed.some(one => doOverlap(one, range, plan.cut)))
    await remember(reading, attempts => afterLoad(plan, attempts, range, isNewWidth, clock.now()))
  const nowMs = clock.now()
  return {
    ...range,
    outcome: 'loaded',
    load,
    durationMs: nowMs - beganMs,
    left: queue.left,
    estimate: {
      requests: Math.ceil(sumOf(progress.loads.map(({ requests }) => requests)) * queue.share),
      durationMs: Math.ceil((nowMs - progress.startedMs) * queue.share),
    },
  }
}

/** Takes note of all windows that are committed. One that is loaded alone does not look while it is committed. */
async function lookAnew({ setup, session: { connection, ledger } }: Backfilling): Promise<void> {
  const { state } = (await connection.committed(setup.name, setup.source.name)) ?? {}
  if (state !== undefined) await ledger.look(connection, state)
}

function isSmall(rows: number, durationMs: number): boolean {
  return rows < SMALL.rows && durationMs < SMALL.durationMs
}

/** Remembers a window that failed. */
async function failed(backfilling: Backfilling, progress: Progress, range: CursorRange, error: Error): Promise<void> {
  const { setup, plan } = backfilling
  const before = plan.failed.find(one => doOverlap(one, range, plan.cut))?.tries ?? 0
  const reason = setup.scrubber.text(error.message)
  const failure = { ...range, tries: before + 1, atMs: setup.clock.now(), reason }
  progress.failures.push({ failure, error })
  progress.inARow = [...progress.inARow, error]
  await remember(backfilling, attempts => [
    ...attempts.filter(one => one.state !== 'failed' || !doOverlap(one, range, plan.cut)),
    { ...failure, state: 'failed' },
  ])
}

/** Changes what the destination remembers. If that fails, the windows are as they are. */
async function remember(
  { setup, plan, options, session }: Backfilling,
  change: (attempts: readonly WindowAttempt[]) => readonly WindowAttempt[],
): Promise<void> {
  await warningOf(options.onEvent ?? (() => {}), 'what it tried could not be stored', async () => {
    await session.connection.attempts?.change(listOf(setup, plan.resource.name, plan.cut), change)
  })
}

/** The attempts without what the window covers. `isNewWidth`: no attempt was as narrow, and it is loaded. */
function afterLoad(
  { cut }: BackfillPlan,
  attempts: readonly WindowAttempt[],
  range: CursorRange,
  isNewWidth: boolean,
  atMs: number,
): readonly WindowAttempt[] {
  const rest = attempts.flatMap(attempt => {
    if (attempt.state === 'halved') return isNewWidth ? [] : [attempt]
    if (attempt.state === 'claimed' || !doOverlap(attempt, range, cut)) return [attempt]
    return missingRanges(attempt, [range], cut).map(part => ({ ...attempt, ...part }))
  })
  return isNewWidth ? [...rest, { ...range, state: 'halved', tries: 0, atMs, reason: undefined }] : rest
}

function loadOf({ loadId = '', receipts, rows }: LoadResult, resource: string, range: CursorRange): WindowLoad {
  const receipt = receipts.find(one => one.resource === resource)
  return {
    ...range,
    loadId,
    verdict: receipt?.verdict ?? 'unproven',
    requests: receipt?.requests ?? 0,
    records: (receipt?.records ?? 0) - (receipt?.filtered ?? 0),
    rows,
  }
}

/** Whether other processes load windows of the resource. */
export function isShared({ shared, partition }: Pick<LoadingOptions, 'shared' | 'partition'>): boolean {
  return shared === true || partition !== undefined
}

/** Names a window in folders and locks. */
function partOf(resource: string, { start, end }: CursorRange): string {
  return createHash('sha256')
    .update(stringifyJson([resource, start, end]))
    .digest('hex')
    .slice(0, 16)
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0)
}
