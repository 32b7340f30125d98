import { basename, join } from 'node:path'
import type { BucketJournals, Journal, PipelineLock } from '../../journal/journal.js'
import type { CommitAnew, CommitNotes, CommitPlan, Connection, Load } from '../../model/destination.js'
import type { RunEvent } from '../../model/events.js'
import type { LoadIds } from '../../model/loadId.js'
import type { PipelineState } from '../../model/pipelineState.js'
import { withDeleted } from '../../model/receipt.js'
import type { ResponseJournal } from '../../model/responses.js'
import type { Resource } from '../../model/source.js'
import { lockChanges, lockedTables } from '../../schema/export/schemaLock.js'
import { rootTable } from '../../schema/rootKey.js'
import type { ReadonlySchema } from '../../schema/schemaTypes.js'
import { schemaText } from '../../schema/stored/document.js'
import { storedSchema } from '../look/dataset.js'
import { writeSchemaFiles } from '../look/schemaFiles.js'
import { failedRun, noteRun, unchangedRun } from '../look/uncommittedRuns.js'
import {
  dispositionOf,
  type LoadResult,
  type PipelineSetup,
  pipelineFolder,
  type RunOptions,
  windowsFolder,
} from '../setup.js'
import { closingConnection, closingSource, failingAloud, underLock, warningOf } from './closing.js'
import { commitAnew, LoadedMeanwhile, type MadePlan, type Making, OutdatedSchema, TakenLoadId } from './commitAnew.js'
import type { OpenLoadInput, StateOn } from './concludeLoad.js'
import { extract } from './extract.js'
import { settleGone } from './gone/goneTables.js'
import { emptiedTables, nestedRowsGone } from './gone/rowsGone.js'
import { freezeWindows } from './incremental/frozenWindows.js'
import { refuseGaps, type WindowLedger } from './incremental/windowLedger.js'
import { type ReadWindow, type WindowToLoad, withinWindow } from './incremental/windowToLoad.js'
import { type OpenLoad, openLoad } from './load.js'
import { flattenPlan, planResources, withTableDispositions } from './plan/planResources.js'
import { keptText, type LosingPipeline, lossText } from './plan/sharedTables.js'
import { namingOf, type Prepared, prepareSchema, type StartingPoint, tablesOfResources } from './prepare.js'
import { bucketJournals, isFresh, keepPages, settleCommitted, takeUpJournal } from './resume.js'

const DEFAULT_CONCURRENCY = 16

/**
 * One run: connect and read what is committed, freeze the incremental windows, resume or start a journal, read every
 * page into rows and staged batches, judge the receipts, commit once, close everything, put the journal away. A run
 * that has committed does not reject: later failures are warnings.
 */
export async function runPipeline(setup: PipelineSetup, options: RunOptions): Promise<LoadResult> {
  const emit = options.onEvent ?? (() => {})
  const roots = plannedRoots(setup, options)
  const connected = async (run: Run): Promise<Finished> => {
    const connecting = setup.destination.connect(setup.datasetName, options.signal)
    setup.source.prepare?.()
    return await closingConnection(await connecting, emit, connection =>
      untilCommitted(run, options => runConnected({ ...run, options, connection })),
    )
  }
  return await underLock(setup, options, lock =>
    failingAloud(options, async () => {
      const run = { setup, folder: pipelineFolder(setup), roots, options, emit, lock }
      const result = await notingFailure(run, async () =>
        forgotten(run, await closingSource(setup, emit, () => connected(run))),
      )
      if (result.loadId === undefined) await notingUnchanged(run, result)
      return result
    }),
  )
}

/** What the windows of one backfill share. */
export interface WindowSession {
  /** Of the pipeline. Undefined: each window takes the lock of its own folder. */
  readonly lock: PipelineLock | undefined
  readonly connection: Connection
  readonly ids: LoadIds
  readonly written: WrittenSchema
  readonly ledger: WindowLedger
  /** What windows that wait for their commit will have left. Undefined: what is committed has to be read. */
  ahead?: StartingPoint | undefined
}

/** How often the rows of a load are made again because others have changed its tables. */
const MOST_ATTEMPTS = 20

/** A run that loads one window, through the connection of its backfill. */
export async function runWindow(
  setup: PipelineSetup,
  options: RunOptions,
  window: WindowToLoad,
  session: WindowSession,
): Promise<LoadResult> {
  const emit = options.onEvent ?? (() => {})
  return await failingAloud(options, async () => {
    const roots = withinWindow(plannedRoots(setup, options), window)
    const whole = pipelineFolder(setup)
    const folder = window.part === undefined ? whole : join(windowsFolder(setup), window.part)
    const load = async (lock: PipelineLock): Promise<LoadResult> => {
      const run = { ...session, session, setup, folder, roots, options, emit, window, lock }
      return await untilCommitted(
        run,
        async again => await forgotten(run, await runConnected({ ...run, options: again })),
      )
    }
    const { lock } = session
    const result = lock === undefined ? await underLock(setup, options, load, folder) : await load(lock)
    if (window.part !== undefined)
      await (window.together?.journals.forget(window.part) ?? setup.files.remove(folder)).catch(() => {})
    return result
  })
}

/** Loads again, from the journal, as long as others change the same tables meanwhile. */
async function untilCommitted<T>(
  { setup, folder, options }: Pick<Run, 'setup' | 'folder' | 'options'>,
  load: (options: RunOptions) => Promise<T>,
): Promise<T> {
  for (let attempts = 1; ; attempts++) {
    try {
      // The journal that a later attempt resumes is its own.
      return await load(attempts === 1 ? options : { ...options, resume: true })
    } catch (error) {
      const isAgain = error instanceof OutdatedSchema || error instanceof TakenLoadId
      if (!isAgain || attempts === MOST_ATTEMPTS) throw error
      if (error instanceof TakenLoadId) await setup.files.remove(join(folder, 'loads'))
    }
  }
}

function plannedRoots(setup: PipelineSetup, options: RunOptions) {
  const disposition = dispositionOf(options)
  return planResources(setup.source, setup.destination, { select: options.select, disposition })
}

async function forgotten({ emit }: Pick<Run, 'emit'>, { result, forget }: Finished): Promise<LoadResult> {
  // Last: if a run is killed before this, the next one recognises its journal and loads nothing twice.
  await warningOf(emit, 'its journal could not be removed', forget)
  return result
}

/** Without a load, only the working folder can tell that there was a run. */
async function notingUnchanged({ setup, emit }: Run, { receipts }: LoadResult): Promise<void> {
  const note = unchangedRun(receipts, new Date(setup.clock.now()))
  await warningOf(emit, 'that it found nothing new could not be noted', () => noteRun(setup, note))
}

/** The failure is what matters: a working folder that cannot be written to is told of by the run itself. */
async function notingFailure<T>({ setup, options }: Run, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const isStopped = options.signal?.aborted === true
    await noteRun(setup, failedRun(error, isStopped, new Date(setup.clock.now()))).catch(() => {})
    throw error
  }
}

interface Run
  extends Pick<Running, 'setup' | 'roots' | 'options' | 'emit' | 'lock' | 'window' | 'ids' | 'written' | 'session'> {
  readonly folder: string
}

interface Finished {
  readonly result: LoadResult
  /** Puts the journal away, so that the next run cannot resume this one. */
  readonly forget: () => Promise<void>
}

async function runConnected(run: Run & { readonly connection: Connection }): Promise<Finished> {
  const bucket = await bucketJournals(run)
  if (bucket === undefined) return await runJournaled(run)
  try {
    const { result, forget } = await runJournaled({ ...run, bucket })
    return { result, forget: () => forget().finally(() => bucket.close()) }
  } catch (error) {
    // Its pages were made for an id that another load has.
    if (error instanceof TakenLoadId) await bucket.removeAll().catch(() => {})
    await bucket.close().catch(() => {})
    throw error
  }
}

async function runJournaled(
  begun: Run & { readonly connection: Connection; readonly bucket?: BucketJournals },
): Promise<Finished> {
  const { setup, options, connection } = begun
  const { committed, isChanged } = await standingOf(begun)
  const settled = isFresh(begun.window) ? undefined : await settleCommitted(begun)
  if (settled !== undefined && !isChanged) return settled
  // Rows of that load are gone.
  await settled?.forget()
  if (begun.window !== undefined) await refuseLoaded(begun, begun.window, committed?.state)
  const prepared = await prepareSchema(setup, connection, committed, begun.roots, options)
  const roots = withTableDispositions(begun.roots, prepared.naming)
  const now = { ...begun, roots }
  if (now.window === undefined) await refuseGaps(connection, setup, prepared.state, roots)
  const windows = freezeWindows(roots, prepared.state, setup.source)
  const journal = await takeUpJournal(now, windows, committed?.loadId)
  try {
    const result = await readAndCommit({ ...now, prepared, windows, journal })
    const keep = { keep: options.keepJournal ?? false }
    // The journal lets go of its pages while the connection closes: both take equally long.
    const emptied = journal.letGo(keep).catch(() => {})
    return { result, forget: () => emptied.then(() => journal.remove(keep)) }
  } catch (error) {
    await keepPages(now, journal, error)
    throw error
  }
}

/** What is committed. A backfill has settled tables that are gone before it planned its windows. */
async function standingOf({
  setup,
  connection,
  session,
  roots,
  options: { refresh },
  emit,
}: Run & { readonly connection: Connection }): Promise<{
  readonly committed: StartingPoint | undefined
  readonly isChanged: boolean
}> {
  if (session?.ahead !== undefined) return { committed: session.ahead, isChanged: false }
  const committed = await connection.committed(setup.name, setup.source.name)
  if (session !== undefined) return { committed, isChanged: false }
  const loading = flattenPlan(roots).filter(planned => planned.loaded)
  const loaded = loading.map(({ resource }) => resource.name)
  const dispositions = new Map(loading.map(({ resource, disposition }) => [resource, disposition]))
  const dispositionOf = (resource: Resource) => dispositions.get(resource) ?? resource.hints.writeDisposition
  const isDropped = (schema: ReadonlySchema, table: string): boolean =>
    refresh === 'drop_sources' ||
    (refresh !== undefined && tablesOfResources(schema, loaded, setup.source, namingOf(setup, schema)).includes(table))
  return await settleGone(setup, connection, committed, { emit, isDropped, dispositionOf })
}

/** Fails with {@link LoadedMeanwhile} if another process has loaded a part of the window. The commit of a part looks itself. */
async function refuseLoaded(
  { setup, connection }: Pick<Run, 'setup'> & { readonly connection: Connection },
  window: WindowToLoad,
  state: PipelineState | undefined,
): Promise<void> {
  const { name, capabilities } = setup.destination
  if (window.part !== undefined || state === undefined || capabilities.parallelLoads !== 'many_processes') return
  const others = (await window.ledger.look(connection, state)).covered.within(window)
  if (others.length > 0) throw new LoadedMeanwhile(others, window, name)
}

/** Everything that reading and committing need. */
export interface Running extends Omit<OpenLoadInput, 'load' | 'loadId' | 'earlierRuns'> {
  readonly journal: ResponseJournal & Pick<Journal, 'loadId' | 'resumedPages' | 'resumedRuns' | 'sync'>
  readonly lock: Pick<PipelineLock, 'check'>
  /** Of the loads of a backfill. */
  readonly ids?: LoadIds | undefined
  readonly written?: WrittenSchema | undefined
  readonly session?: WindowSession | undefined
}

/** Of the loads of one backfill, the newest one writes the file of the schema. */
interface WrittenSchema {
  version: number
}

/** Most characters of a statement in an event. */
const LONGEST_SHOWN_SQL = 1000

/** Reads every page, from the journal or the API, and commits once. On a failure the destination is as it was. */
export async function readAndCommit(running: Running): Promise<LoadResult> {
  const { setup, connection, journal } = running
  const { loadId } = journal
  const onStatement = (sql: string): void => running.emit({ type: 'statement', sql: shownStatement(sql) })
  const load = await connection.begin({ loadId, pipeline: setup.name, part: running.window?.part }, onStatement)
  try {
    const opened = openLoad({ ...running, load, loadId, earlierRuns: journal.resumedRuns })
    await readPages(running, opened)
    const { plan, ...read } = await opened.finish()
    if (plan === undefined) {
      await warningOf(opened.emit, 'what it staged could not be removed', () => load.abort())
      return { ...resultOf(running, read.rows), loadId: undefined, receipts: read.receipts }
    }
    const committed = await commitRead(running, { ...read, plan, load, emit: opened.emit })
    await tellCommitted(running, committed, opened.emit)
    const { deleted, changes } = committed.notes
    const { receipts } = committed.final
    return {
      ...resultOf(running, read.rows),
      loadId,
      receipts: deleted === undefined ? receipts : withDeleted(receipts, deleted, plan.schema),
      ...(changes === undefined ? {} : { changes: Object.fromEntries(changes) }),
    }
  } catch (error) {
    // The first failure is the one that matters.
    await load.abort().catch(() => undefined)
    throw error
  }
}

function shownStatement(sql: string): string {
  return sql.length > LONGEST_SHOWN_SQL ? `${sql.slice(0, LONGEST_SHOWN_SQL)}…` : sql
}

async function readPages({ setup, options, connection, journal }: Running, opened: OpenLoad): Promise<void> {
  opened.emit({
    type: 'run_started',
    pipeline: setup.name,
    dataset: connection.dataset,
    destination: setup.destination.name,
    loadId: journal.loadId,
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
}

function resultOf(running: Running, rows: Readonly<Record<string, number>>) {
  const { setup, connection } = running
  return { pipeline: setup.name, dataset: connection.dataset, rows: { ...noNestedRows(running), ...rows } }
}

/** What a load read, and how it is committed. */
interface ReadLoad {
  readonly plan: CommitPlan
  readonly rows: Readonly<Record<string, number>>
  readonly stateOn: StateOn
  readonly load: Load
  readonly emit: (event: RunEvent) => void
}

interface CommittedLoad {
  readonly planned: CommitPlan
  /** What was committed: the plan, or another one where others committed meanwhile. */
  readonly final: CommitPlan
  readonly rows: Readonly<Record<string, number>>
  readonly notes: CommitNotes
  /** Pipelines whose rows went with tables of this load. */
  readonly losing: readonly LosingPipeline[]
}

async function commitRead(running: Running, { plan, rows, stateOn, load, emit }: ReadLoad): Promise<CommittedLoad> {
  const { setup, journal, lock, window } = running
  const { loadId } = journal
  await journal.sync()
  // Windows that are committed together have one lock, and look at it in their commit.
  if (window?.together === undefined) await lock.check()
  emit({ type: 'committing', loadId, rows: sumOf(rows) })
  const startedMs = setup.clock.now()
  let losing: readonly LosingPipeline[] = []
  const onLosses = (found: typeof losing): void => {
    losing = found
  }
  let final = plan
  const made = anewFor({ ...running, onLosses }, { loadId, plan, stateOn })
  const anew: CommitAnew = async (now, before) => (final = await made(now, before))
  if (window?.together === undefined) await load.commit(plan, anew)
  else await commitWithOthers(running, window.together, { loadId, load, final: plan, anew, rows: sumOf(rows) })
  const notes = load.notes?.() ?? {}
  const { headStartLost } = notes
  emit({
    type: 'committed',
    loadId,
    durationMs: setup.clock.now() - startedMs,
    ...(headStartLost === undefined ? {} : { headStartLost }),
  })
  return { planned: plan, final, rows, notes, losing }
}

/** Says what the commit changed besides its rows, and writes the files of the schema. */
async function tellCommitted(
  running: Running,
  { planned, final, rows, notes, losing }: CommittedLoad,
  emit: (event: RunEvent) => void,
): Promise<void> {
  const { setup, journal } = running
  const { schema } = final
  const { resource, reasons = [] } = final.receipts.find((one, place) => one !== planned.receipts[place]) ?? {}
  if (resource !== undefined) {
    const message = `${resource}: ${reasons.at(-1)}`
    emit({ type: 'warning', code: 'list_changed', resource, namesResource: true, message })
  }
  for (const one of losing) emit({ type: 'warning', code: 'shared_table', message: lossText(one) })
  for (const [table, { keptForOthers }] of notes.changes ?? [])
    if (keptForOthers !== undefined)
      emit({ type: 'warning', code: 'shared_table', message: keptText(table, keptForOthers) })
  // Windows that are committed together share one count.
  if (running.window === undefined && notes.changes !== undefined) {
    const committed = { source: setup.source, schema, rows, changes: notes.changes }
    for (const one of nestedRowsGone(committed))
      emit({ type: 'warning', code: 'nested_rows_gone', namesResource: true, ...one })
    for (const one of emptiedTables(committed))
      emit({ type: 'warning', code: 'table_emptied', namesResource: true, ...one })
  }
  tellChanges(running, schema, journal.loadId, emit)
  await keepSchema(running, schema, emit)
  warnOfUnlocked(setup, running.prepared, schema, emit)
}

/** The next window begins with what this one will have left. */
async function commitWithOthers(
  { session, prepared }: Running,
  { commit }: NonNullable<WindowToLoad['together']>,
  read: ReadWindow,
): Promise<void> {
  const { final, loadId } = read
  const isNew = final.schema.version_hash !== prepared.storedHash
  if (session !== undefined)
    session.ahead = {
      isAhead: true,
      loadId,
      state: final.state ?? prepared.state,
      schema: isNew ? schemaText(final.schema) : prepared.committed?.schema,
    }
  let hash: string | undefined
  const anew: CommitAnew = async (now, before) => {
    const plan = await read.anew(now, before)
    hash = plan.schema.version_hash
    return plan
  }
  let isAsPlanned = false
  try {
    await commit({ ...read, anew })
    isAsPlanned = hash === final.schema.version_hash
  } finally {
    if (session !== undefined && !isAsPlanned) session.ahead = undefined
  }
}

function sumOf(rows: Readonly<Record<string, number>>): number {
  return Object.values(rows).reduce((sum, count) => sum + count, 0)
}

/** No row for each table that the loaded resources have filled so far. */
function noNestedRows({ roots, prepared: { schema } }: Running): Readonly<Record<string, number>> {
  const loaded = new Set(flattenPlan(roots).flatMap(planned => (planned.loaded ? planned.resource.name : [])))
  const tables = [...schema.tables.keys()].filter(name => loaded.has(rootTable(schema, name)?.resource ?? ''))
  return Object.fromEntries(tables.map(name => [name, 0]))
}

/** How to make the plan again, from what others have committed meanwhile. */
function anewFor(
  { setup, prepared, windows, window, ids, onLosses }: Running & Pick<Making, 'onLosses'>,
  made: MadePlan,
): CommitAnew {
  const beside = window?.part === undefined ? undefined : window
  return (now, before) => commitAnew({ setup, prepared, windows, window: beside, ids, onLosses }, made, now, before)
}

/** The load is committed: a file that cannot be written is only a warning. */
async function keepSchema(
  { setup: { schemaFiles }, prepared: { declared }, written }: Running,
  schema: ReadonlySchema,
  emit: (event: RunEvent) => void,
): Promise<void> {
  if (written !== undefined && written.version > schema.version) return
  if (written !== undefined) written.version = schema.version
  try {
    await writeSchemaFiles(schemaFiles, declared, schema)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    emit({ type: 'warning', code: 'other', message: `The schema could not be written into its file: ${reason}` })
  }
}

/**
 * Says how the tables of this load are otherwise than before. Those of a resource that is loaded for the first time changed
 * nothing.
 */
function tellChanges(
  { roots, prepared: { storedHash, committed } }: Running,
  schema: ReadonlySchema,
  loadId: string,
  emit: (event: RunEvent) => void,
): void {
  if (storedHash === undefined || storedHash === schema.version_hash) return
  const before = storedSchema(committed)
  if (before === undefined) return
  const loaded = new Set(flattenPlan(roots).flatMap(planned => (planned.loaded ? [planned.resource.name] : [])))
  const was = lockedTables(before)
  const isOfThis = (table: string): boolean => {
    const root = rootTable(schema, table)
    return root !== undefined && loaded.has(root.resource ?? root.name) && was.has(root.name)
  }
  const changes = lockChanges(was, lockedTables(schema)).filter(({ place }) => isOfThis(place.split('.', 1)[0] ?? ''))
  if (changes.length > 0) emit({ type: 'schema_changed', loadId, changes })
}

/** Most changes that a warning names. */
const SHOWN_CHANGES = 5

/** Says what is otherwise than in the lock. A table that is not there may just not be loaded yet. */
function warnOfUnlocked(
  { schemaFiles: { lock = '' } }: PipelineSetup,
  { locked }: Prepared,
  schema: ReadonlySchema,
  emit: (event: RunEvent) => void,
): void {
  if (locked === undefined) return
  const changes = lockChanges(locked, lockedTables(schema)).filter(({ what }) => what !== 'gone')
  if (changes.length === 0) return
  const named = changes.slice(0, SHOWN_CHANGES).map(({ what, place }) => `${what} ${place}`)
  const more = changes.length > named.length ? `, and ${changes.length - named.length} more` : ''
  emit({
    type: 'warning',
    code: 'schema_unlocked',
    message: `the tables no longer match ${basename(lock)}: ${named.join(', ')}${more}; \`sluice schema diff\` shows the changes, \`sluice schema accept\` accepts them`,
  })
}
