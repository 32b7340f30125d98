import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Committed, Connection } from '../core/destination.js'
import { DataError, SchemaError, SluiceError } from '../core/errors.js'
import type { RunEvent } from '../core/events.js'
import { nextLoadId } from '../core/loadId.js'
import type { Receipt } from '../core/receipt.js'
import type { ContractMode, SchemaContract, WriteDisposition } from '../core/schema.js'
import type { DispositionHint } from '../core/source.js'
import { type Journal, lockPipeline, openJournal, unfinishedLoads } from '../journal/journal.js'
import { extract } from './extract.js'
import { openLoad } from './load.js'
import type { PipelineSetup } from './pipeline.js'
import { type PlannedResource, planResources } from './plan.js'
import { type Prepared, prepareSchema, type Refresh } from './prepare.js'
import { type FrozenWindows, freezeWindows } from './windows.js'

export interface RunOptions {
  /** Ends the run; nothing is committed, what was read is kept for the next run. */
  readonly signal?: AbortSignal | undefined
  /** Names of the resources to load; default those the source selects. */
  readonly select?: readonly string[] | undefined
  /** Stop every list after this many pages. */
  readonly maxPages?: number | undefined
  /** Requests in flight for one origin and credential, at most; 1 is strictly serial. Default 16. */
  readonly concurrency?: number | undefined
  /** Instead of what the resources say. */
  readonly writeDisposition?: WriteDisposition | DispositionHint | undefined
  /** Stays in the schema for later runs, as with dlt. */
  readonly schemaContract?: ContractMode | Partial<SchemaContract> | undefined
  /** Forget before loading: everything of the source, tables and state of the resources, or their rows and cursors. */
  readonly refresh?: Refresh | undefined
  /** Commit although a receipt says that something is missing. */
  readonly allowIncomplete?: boolean | undefined
  /** Take up an interrupted run that asked for the same. Default true. */
  readonly resume?: boolean | undefined
  /** Keep the journal after the commit, for `replay`. Default false. */
  readonly keepJournal?: boolean | undefined
  readonly onEvent?: ((event: RunEvent) => void) | undefined
}

export interface RunResult {
  readonly pipeline: string
  /** Name of the dataset at the destination. */
  readonly dataset: string
  /** Undefined when there was nothing to commit: no rows, no change of state or schema. */
  readonly loadId: string | undefined
  /** One a resource that was loaded, in the order of the source. */
  readonly receipts: readonly Receipt[]
  /** Rows staged by table, nested tables included. */
  readonly rows: Readonly<Record<string, number>>
}

/** Journals older than this are not taken up: their pages tell of another time. */
const RESUME_WITHIN_MS = 24 * 60 * 60 * 1000

const DEFAULT_CONCURRENCY = 16

/**
 * One run: connect and see what is committed, freeze the incremental windows, take up or begin a journal, read every
 * page into rows and staged batches, judge the receipts, commit once, forget the journal.
 */
export async function runPipeline(setup: PipelineSetup, options: RunOptions): Promise<RunResult> {
  const emit = options.onEvent ?? (() => {})
  const disposition =
    typeof options.writeDisposition === 'string' ? { disposition: options.writeDisposition } : options.writeDisposition
  const roots = planResources(setup.source, setup.destination, { select: options.select, disposition })
  const folder = join(setup.home, encodeURIComponent(setup.name))
  const lock = await lockPipeline(folder, setup.clock.now())
  try {
    await using connection = await setup.destination.connect(setup.datasetName, options.signal)
    const committed = await connection.committed(setup.name, setup.source.name)
    const prepared = prepareSchema(setup, connection, committed, roots, options)
    const windows = freezeWindows(roots, prepared.state, setup.source.name)
    const journal = await takeUpJournal(setup, connection, committed, windows, folder, options, emit)
    return await readAndCommit({ setup, folder, options, emit, connection, roots, prepared, windows, journal })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    emit({ type: 'run_failed', code: error instanceof SluiceError ? error.code : 'unexpected', message })
    throw error
  } finally {
    await setup.source.close()
    await lock.release()
  }
}

interface Running {
  /** Of this pipeline, in the working folder. */
  readonly folder: string
  readonly setup: PipelineSetup
  readonly options: RunOptions
  readonly emit: (event: RunEvent) => void
  readonly connection: Connection
  readonly roots: readonly PlannedResource[]
  readonly prepared: Prepared
  readonly windows: FrozenWindows
  readonly journal: Journal
}

async function readAndCommit(running: Running): Promise<RunResult> {
  const { setup, options, connection, journal } = running
  const { loadId } = journal
  const load = await connection.begin({ loadId, pipeline: setup.name })
  try {
    const opened = openLoad({ ...running, load, loadId })
    opened.emit({
      type: 'run_started',
      pipeline: setup.name,
      dataset: connection.dataset,
      destination: setup.destination.name,
      loadId,
      resumedPages: journal.resumedPages,
    })
    await extract(opened.resources, {
      signal: options.signal ?? new AbortController().signal,
      clock: setup.clock,
      journal,
      emit: opened.emit,
      maxPages: options.maxPages,
      concurrency: options.concurrency ?? DEFAULT_CONCURRENCY,
    })
    const { receipts, rows, plan } = await opened.finish()
    if (plan === undefined) {
      await load.abort()
    } else {
      await journal.sync()
      opened.emit({ type: 'committing', loadId, rows: Object.values(rows).reduce((sum, count) => sum + count, 0) })
      const startedMs = setup.clock.now()
      await load.commit(plan)
      opened.emit({ type: 'committed', loadId, durationMs: setup.clock.now() - startedMs })
    }
    await journal.remove({ keep: options.keepJournal ?? false })
    return {
      pipeline: setup.name,
      dataset: connection.dataset,
      loadId: plan === undefined ? undefined : loadId,
      receipts,
      rows,
    }
  } catch (error) {
    await load.abort()
    await journal.close()
    // The pages themselves are at fault: asking again is better than failing on them for ever.
    if (error instanceof DataError || error instanceof SchemaError) await setAside(loadFolder(running.folder, loadId))
    throw error
  }
}

async function takeUpJournal(
  setup: PipelineSetup,
  connection: Connection,
  committed: Committed | undefined,
  windows: FrozenWindows,
  folder: string,
  options: RunOptions,
  emit: (event: RunEvent) => void,
): Promise<Journal> {
  const fingerprint = JSON.stringify([
    setup.source.fingerprint,
    setup.datasetName,
    setup.destination.name,
    windows.fingerprint,
    options.refresh ?? null,
  ])
  const begin = (loadId: string): Promise<Journal> =>
    openJournal({
      dir: folder,
      loadId,
      fingerprint,
      meta: { started_at: setup.clock.now(), pipeline: setup.name, source: setup.source.name },
      scrubber: setup.source.scrubber,
      now: setup.clock.now,
    })
  let last = committed?.loadId
  let resumable: string | undefined
  for (const unfinished of await unfinishedLoads(folder)) {
    if (last === undefined || unfinished.loadId > last) last = unfinished.loadId
    const refusal = await refusalToResume(unfinished, { fingerprint, connection, options, now: setup.clock.now() })
    if (refusal === undefined) resumable = unfinished.loadId
    else if (refusal === 'committed') await rm(unfinished.path, { recursive: true, force: true })
    else {
      await setAside(unfinished.path)
      emit({
        type: 'warning',
        code: 'journal_set_aside',
        message: `The interrupted load ${unfinished.loadId} is not taken up: ${refusal}. Its pages were set aside in ${unfinished.path}.aside`,
      })
    }
  }
  return begin(resumable ?? nextLoadId(setup.clock.now(), last, setup.clock.random()))
}

async function refusalToResume(
  unfinished: {
    readonly loadId: string
    readonly fingerprint: string
    readonly meta: { readonly [key: string]: unknown }
  },
  now: {
    readonly fingerprint: string
    readonly connection: Connection
    readonly options: RunOptions
    readonly now: number
  },
): Promise<string | undefined> {
  if (await now.connection.hasLoad(unfinished.loadId)) return 'committed'
  if (now.options.resume === false) return 'this run was told to start anew'
  if (unfinished.fingerprint !== now.fingerprint) return 'the document, its window or its destination changed'
  const started = unfinished.meta.started_at
  if (typeof started === 'number' && now.now - started > RESUME_WITHIN_MS) return 'it is more than 24 hours old'
  return undefined
}

/** Where the journal of a load lies. */
function loadFolder(folder: string, loadId: string): string {
  return join(folder, 'loads', loadId)
}

async function setAside(path: string): Promise<void> {
  await rename(path, `${path}.aside`)
}
