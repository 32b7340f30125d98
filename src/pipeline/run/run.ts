import { join } from 'node:path'
import { type Journal, lockPipeline, type PipelineLock } from '../../journal/journal.js'
import type { CommitNotes, Connection } from '../../model/destination.js'
import { RequestError, SluiceError } from '../../model/errors.js'
import type { RunEvent } from '../../model/events.js'
import { type Receipt, withDeleted } from '../../model/receipt.js'
import type { ResponseJournal } from '../../model/responses.js'
import type { DispositionHint } from '../../model/source.js'
import type { ContractMode, ReadonlySchema, SchemaContract, WriteDisposition } from '../../schema/schema.js'
import { writeSchemaFiles } from '../look/schemaFiles.js'
import type { PipelineSetup } from '../pipeline.js'
import { extract } from './extract.js'
import { type FrozenWindows, freezeWindows } from './incremental/windows.js'
import { openLoad } from './load.js'
import { type PlannedResource, planResources } from './plan.js'
import { type Prepared, prepareSchema, type Refresh } from './prepare.js'
import { keepPages, settleCommitted, takeUpJournal } from './resume.js'

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

const DEFAULT_CONCURRENCY = 16

/**
 * One run: connect and see what is committed, freeze the incremental windows, take up or begin a journal, read every
 * page into rows and staged batches, judge the receipts, commit once, close everything, forget the journal. A run that
 * has committed does not reject: what goes wrong afterwards is a warning.
 */
export async function runPipeline(setup: PipelineSetup, options: RunOptions): Promise<RunResult> {
  const emit = options.onEvent ?? (() => {})
  const disposition = dispositionOf(options)
  const roots = planResources(setup.source, setup.destination, { select: options.select, disposition })
  const folder = pipelineFolder(setup)
  return await underLock(setup, options, async lock => {
    const run = { setup, folder, roots, options, emit, lock }
    const { result, forget } = await closingSource(setup, emit, () => runConnected(run))
    // Last: a run that is killed before this is known by its journal, and the next one loads nothing twice.
    await warningOf(emit, 'its journal could not be removed', forget)
    return result
  })
}

interface Run extends Pick<Running, 'setup' | 'roots' | 'options' | 'emit' | 'lock'> {
  readonly folder: string
}

interface Finished {
  readonly result: RunResult
  /** Takes away what would let the next run continue this one. */
  readonly forget: () => Promise<void>
}

async function runConnected(run: Run): Promise<Finished> {
  const { setup, roots, options, emit } = run
  const connecting = setup.destination.connect(setup.datasetName, options.signal)
  setup.source.prepare?.()
  return await closingConnection(await connecting, emit, async connection => {
    const committed = await connection.committed(setup.name, setup.source.name)
    const now = { ...run, connection }
    const settled = await settleCommitted(now)
    if (settled !== undefined) return settled
    const prepared = await prepareSchema(setup, connection, committed, roots, options)
    const windows = freezeWindows(roots, prepared.state, setup.source.name)
    const journal = await takeUpJournal(now, windows, committed?.loadId)
    try {
      const result = await readAndCommit({ ...now, prepared, windows, journal })
      const keep = { keep: options.keepJournal ?? false }
      // Its pages go while the connection is closed, which takes as long.
      const emptied = journal.letGo(keep).catch(() => {})
      return { result, forget: () => emptied.then(() => journal.remove(keep)) }
    } catch (error) {
      await keepPages(now, journal, error)
      throw error
    }
  })
}

/** Runs `work` under the lock of the pipeline, which is released whatever happens. */
export async function underLock<T>(
  setup: PipelineSetup,
  options: Pick<RunOptions, 'onEvent' | 'signal'>,
  work: (lock: PipelineLock) => Promise<T>,
): Promise<T> {
  const emit = options.onEvent ?? (() => {})
  const lock = await lockPipeline(setup.files, pipelineFolder(setup), {
    ...setup.clock,
    signal: options.signal,
    warn: (code, message) => emit({ type: 'warning', code, message }),
  }).catch((error: unknown) => {
    throw stopped(error, options.signal)
  })
  try {
    options.signal?.throwIfAborted()
    return await work(lock)
  } catch (error) {
    throw failing(stopped(error, options.signal), safely(emit))
  } finally {
    await warningOf(emit, 'its lock could not be released', () => lock.release())
  }
}

/** Runs `work` and closes the source, whatever comes of it. */
export async function closingSource<T>(
  { source }: Pick<PipelineSetup, 'source'>,
  emit: (event: RunEvent) => void,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } finally {
    await warningOf(emit, 'its source could not be closed', () => source.close())
  }
}

/** Runs `work` with a connection that is closed afterwards, whatever comes of it. */
export async function closingConnection<T>(
  connection: Connection,
  emit: (event: RunEvent) => void,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  try {
    return await work(connection)
  } finally {
    await warningOf(emit, 'its destination could not be closed', async () => await connection[Symbol.asyncDispose]())
  }
}

/** What fails at the end of a run neither hides an earlier failure nor makes one of a run that has committed. */
async function warningOf(emit: (event: RunEvent) => void, what: string, step: () => Promise<void>): Promise<void> {
  try {
    await step()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    safely(emit)({ type: 'warning', code: 'other', message: `The run is over, but ${what}: ${reason}` })
  }
}

/** For events behind the commit: the failure of a listener is not one of the run. */
function safely(emit: (event: RunEvent) => void): (event: RunEvent) => void {
  return event => {
    try {
      emit(event)
    } catch {}
  }
}

/** Where journals and locks of a pipeline are. */
export function pipelineFolder(setup: PipelineSetup): string {
  return join(setup.home, folderName(setup.name))
}

/** A name that any text may be made into, and that never leads out of the working folder. */
function folderName(name: string): string {
  return encodeURIComponent(name).replace(/^\.+$/, dots => dots.replaceAll('.', '%2E'))
}

export function dispositionOf({ writeDisposition }: Pick<RunOptions, 'writeDisposition'>): DispositionHint | undefined {
  return typeof writeDisposition === 'string' ? { disposition: writeDisposition } : writeDisposition
}

/** A run that was stopped says so in one way, whatever it was doing; a failure of its own is told as it is. */
function stopped(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted !== true || signal.reason instanceof SluiceError) return error
  const isStop =
    error === signal.reason ||
    (error instanceof SluiceError ? error.code === 'aborted' : error instanceof Error && error.name === 'AbortError')
  if (!isStop) return error
  const why = signal.reason instanceof Error ? signal.reason.message : String(signal.reason)
  return new RequestError('aborted', `the run was stopped (${why}); nothing was committed`, { cause: signal.reason })
}

/** Tells of the failure, and gives the error back. */
function failing(error: unknown, emit: (event: RunEvent) => void): unknown {
  const message = error instanceof Error ? error.message : String(error)
  emit({ type: 'run_failed', code: error instanceof SluiceError ? error.code : 'unexpected', message })
  return error
}

/** Everything that reading and committing needs. */
export interface Running {
  readonly setup: PipelineSetup
  readonly options: RunOptions
  readonly emit: (event: RunEvent) => void
  readonly connection: Connection
  readonly roots: readonly PlannedResource[]
  readonly prepared: Prepared
  readonly windows: FrozenWindows
  readonly journal: ResponseJournal & Pick<Journal, 'loadId' | 'resumedPages' | 'sync'>
  readonly lock: Pick<PipelineLock, 'check'>
  /** The pages are of an earlier time: cursors do not move back, nothing is deleted for not being among them. */
  readonly isReplay?: boolean | undefined
}

/** Reads every page, from the journal or the API, and commits once. On a failure the destination is as it was. */
export async function readAndCommit(running: Running): Promise<RunResult> {
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
    let deleted: CommitNotes['deleted']
    if (plan === undefined) {
      await warningOf(opened.emit, 'what it staged could not be removed', () => load.abort())
    } else {
      await journal.sync()
      await running.lock.check()
      opened.emit({ type: 'committing', loadId, rows: Object.values(rows).reduce((sum, count) => sum + count, 0) })
      const startedMs = setup.clock.now()
      await load.commit(plan)
      const emit = safely(opened.emit)
      const { headStartLost, ...notes } = load.notes?.() ?? {}
      deleted = notes.deleted
      emit({
        type: 'committed',
        loadId,
        durationMs: setup.clock.now() - startedMs,
        ...(headStartLost === undefined ? {} : { headStartLost }),
      })
      await keepSchema(setup, running.prepared, plan.schema, emit)
    }
    return {
      pipeline: setup.name,
      dataset: connection.dataset,
      loadId: plan === undefined ? undefined : loadId,
      receipts: deleted === undefined || plan === undefined ? receipts : withDeleted(receipts, deleted, plan.schema),
      rows,
    }
  } catch (error) {
    // What went wrong first is what matters.
    await load.abort().catch(() => undefined)
    throw error
  }
}

/** The load is committed: files that cannot be written are worth a warning, no more. */
async function keepSchema(
  { schemaFiles }: PipelineSetup,
  { declared }: Prepared,
  schema: ReadonlySchema,
  emit: (event: RunEvent) => void,
): Promise<void> {
  try {
    await writeSchemaFiles(schemaFiles, declared, schema)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    emit({ type: 'warning', code: 'other', message: `The schema could not be written into its file: ${reason}` })
  }
}
