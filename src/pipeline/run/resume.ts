import { createHash } from 'node:crypto'
import { join } from 'node:path'
import {
  BucketJournals,
  type Journal,
  openJournal,
  putAway,
  removeAside,
  removeStubs,
  setAside,
  type UnfinishedLoad,
  unfinishedLoads,
} from '../../journal/journal.js'
import { stringifyJson } from '../../json/write.js'
import type { Connection } from '../../model/destination.js'
import { DataError, RequestError, SchemaError } from '../../model/errors.js'
import type { RunEvent } from '../../model/events.js'
import { type LoadIds, nextLoadId } from '../../model/loadId.js'
import { bucketFolder, type LoadResult, type PipelineSetup, type RunOptions } from '../setup.js'
import { storedReceipts } from '../storedReceipts.js'
import {
  type FrozenWindows,
  parentsDocument,
  partitionsDocument,
  windowsDocument,
} from './incremental/frozenWindows.js'
import type { WindowToLoad } from './incremental/windowToLoad.js'
import { flattenPlan, type PlannedResource } from './plan/planResources.js'

/** Older journals are not resumed: their pages are out of date. */
const RESUME_WITHIN_MS = 24 * 60 * 60 * 1000

/** What a run needs to decide whether to resume an interrupted one. */
export interface Continuation {
  readonly setup: PipelineSetup
  /** Folder of this pipeline in the working folder. */
  readonly folder: string
  readonly connection: Connection
  readonly roots: readonly PlannedResource[]
  readonly options: RunOptions
  readonly window?: WindowToLoad | undefined
  /** Where several loads are under way at once. */
  readonly ids?: LoadIds | undefined
  readonly emit: (event: RunEvent) => void
  /** The same journals where other machines reach them. */
  readonly bucket?: BucketJournals | undefined
}

/** A load that an earlier run committed, and what remains to do about it. */
export interface SettledLoad {
  readonly result: LoadResult
  /** Puts its journal away. */
  readonly forget: () => Promise<void>
}

/**
 * Takes up the journals of this pipeline in its bucket. What lies on this machine alone is then of a load that another
 * machine has finished, or of a time before there was a bucket: it is put away, or set aside. Windows that one process reads
 * beside each other have none.
 */
export async function bucketJournals(now: Continuation): Promise<BucketJournals | undefined> {
  const { setup, folder, connection, options, window, emit } = now
  if (setup.journal === undefined || window?.together !== undefined) return undefined
  const bucket = await BucketJournals.open({
    ...setup.clock,
    files: setup.files,
    dir: folder,
    store: await setup.journal.open(bucketFolder(setup, folder), options.signal),
    signal: options.signal,
    warn: (code, message) => emit({ type: 'warning', code, message }),
  })
  for (const { loadId, path, isEmpty } of await unfinishedLoads(setup.files, folder)) {
    if (bucket.has(loadId)) continue
    if (isEmpty || (await connection.hasLoad(loadId))) await putAway(setup.files, path)
    else {
      const moved = await setAside(setup.files, path, 'aside')
      emit({
        type: 'warning',
        code: 'journal_set_aside',
        message: `The interrupted load ${loadId} is not resumed: its journal is not in ${setup.journal.place}. Its pages were set aside in ${moved}`,
      })
    }
  }
  return bucket
}

/**
 * Puts away journals whose loads were committed, but whose runs did not record it: the process ended, or the answer to
 * the commit was lost. Returns the result of the load with the same plan as this run. This run is then the second
 * attempt at a load that is already committed.
 */
export async function settleCommitted(now: Continuation): Promise<SettledLoad | undefined> {
  const { setup, connection, options } = now
  const keep = { keep: options.keepJournal ?? false }
  await removeStubs(setup.files, now.folder)
  await forgetOldPages(now)
  let settled: UnfinishedLoad | undefined
  for (const load of await unfinishedLoads(setup.files, now.folder)) {
    if (!(await connection.hasLoad(load.loadId))) continue
    // Of a window among others, the ledger tells who has loaded it: another load may have taken the id.
    const mayBeSame = now.window?.part === undefined && options.resume !== false
    const isSame = mayBeSame && load.meta.plan === planDigest(now) && !isOld(load, setup.clock.now())
    const superseded = isSame ? settled : load
    if (isSame) settled = load
    if (superseded !== undefined) {
      await now.bucket?.remove(superseded.loadId)
      await putAway(setup.files, superseded.path, keep)
    }
  }
  if (settled === undefined) return undefined
  const { loadId, path } = settled
  now.emit({
    type: 'warning',
    code: 'other',
    message: `The run before this one was interrupted after its load ${loadId} was committed: nothing is loaded a second time. The next run asks for what is new`,
  })
  // Removes its leftovers, staged rows or files that no longer count, as at the start of any load.
  await (await connection.begin({ loadId, pipeline: setup.name })).abort()
  const receipts = (await storedReceipts(connection, [loadId])).get(loadId) ?? []
  const rows = Object.assign({}, ...receipts.map(receipt => receipt.rows)) as Record<string, number>
  return {
    result: { pipeline: setup.name, dataset: connection.dataset, loadId, receipts, rows },
    forget: async () => {
      await now.bucket?.remove(loadId)
      await putAway(setup.files, path, keep)
    },
  }
}

/** Whether no earlier attempt at the window can have left anything. */
export function isFresh(window: WindowToLoad | undefined): boolean {
  return window?.part !== undefined && window.together?.journals.has(window.part) === false
}

/** The journal of the interrupted load with the same plan, or a new one. Other journals are set aside. */
export async function takeUpJournal(now: Continuation, windows: FrozenWindows, last: string | undefined) {
  const { setup, folder, emit, window } = now
  const fingerprint = JSON.stringify([
    setup.source.fingerprint,
    setup.datasetName,
    setup.destination.name,
    windows.fingerprint,
    now.options.refresh ?? null,
  ])
  const unfinishedOnes = isFresh(window) ? [] : await unfinishedLoads(setup.files, folder)
  let newest = last
  let resumable: string | undefined
  for (const unfinished of unfinishedOnes) {
    if (newest === undefined || Number(unfinished.loadId) > Number(newest)) newest = unfinished.loadId
    const refusal = refusalToResume(unfinished, fingerprint, now, last)
    if (refusal === undefined) {
      resumable = unfinished.loadId
      continue
    }
    await now.bucket?.remove(unfinished.loadId)
    if (unfinished.isEmpty) await putAway(setup.files, unfinished.path)
    else {
      const moved = await setAside(setup.files, unfinished.path, 'aside')
      emit({
        type: 'warning',
        code: 'journal_set_aside',
        message: `The interrupted load ${unfinished.loadId} is not resumed: ${refusal}. Its pages were set aside in ${moved}`,
      })
    }
  }
  const begun = {
    loadId: resumable ?? now.ids?.next(newest) ?? nextLoadId(setup.clock.now(), newest, setup.clock.random()),
    fingerprint,
    meta: {
      started_at: setup.clock.now(),
      pipeline: setup.name,
      source: setup.source.name,
      plan: planDigest(now),
      windows: windowsDocument(windows),
      ...parentsDocument(windows),
      ...partitionsDocument(windows),
    },
    scrubber: setup.scrubber,
  }
  const { part, together } = window ?? {}
  if (part !== undefined && together !== undefined && isFresh(window))
    return await together.journals.begin({ ...begun, part })
  return await openJournal({
    ...begun,
    files: setup.files,
    dir: folder,
    now: setup.clock.now,
    copy: now.bucket?.copyOf(begun.loadId),
    // A window that waits for others is quickly read.
    durability: together === undefined ? 'process' : 'kill',
  })
}

function refusalToResume(
  unfinished: UnfinishedLoad,
  fingerprint: string,
  now: Continuation,
  last: string | undefined,
): string | undefined {
  if (now.options.resume === false) return 'this run was told not to resume'
  // The state of the greatest id counts. The commit of a window beside others sees to that itself.
  const isAlone = now.window !== undefined && now.window.part === undefined
  if (isAlone && Number(unfinished.loadId) < Number(last ?? 0)) return 'other windows were committed since'
  if (unfinished.fingerprint !== fingerprint) return whatChanged(unfinished.fingerprint, fingerprint)
  return isOld(unfinished, now.setup.clock.now()) ? 'it is more than 24 hours old' : undefined
}

/** What makes pages of an earlier run unfit for this one, by the entries of its fingerprint. */
const CHANGES = [
  'the document changed',
  'the dataset is another one',
  'the destination is another one',
  'its cursors, or the range that it loads, changed',
  'one of the two runs is a refresh (--full-refresh), and the other is not',
] as const

function whatChanged(before: string, now: string): string {
  const [earlier, asked] = [fingerprintEntries(before), fingerprintEntries(now)]
  return CHANGES.find((_, at) => JSON.stringify(earlier[at]) !== JSON.stringify(asked[at])) ?? CHANGES[0]
}

/** None, of an earlier version. */
function fingerprintEntries(text: string): readonly unknown[] {
  try {
    const entries: unknown = JSON.parse(text)
    return Array.isArray(entries) ? entries : []
  } catch {
    return []
  }
}

function isOld({ meta }: UnfinishedLoad, nowMs: number): boolean {
  return typeof meta.started_at === 'number' && nowMs - meta.started_at > RESUME_WITHIN_MS
}

/** What a run was asked for, regardless of the state it starts with. */
function planDigest({ setup, roots, options, window }: Continuation): string {
  const asked = flattenPlan(roots).map(({ resource, loaded, disposition }) => [resource.name, loaded, disposition])
  const { refresh = null, maxPages = null } = options
  const plan = [setup.source.fingerprint, setup.datasetName, setup.destination.name, refresh, maxPages, asked]
  const range = window === undefined ? [] : [window.resource, stringifyJson([window.start, window.end])]
  return createHash('sha256')
    .update(JSON.stringify([...plan, ...range]))
    .digest('base64')
}

/**
 * After a failure: keeps the pages for the next run. If the pages may be the cause, sets them aside, because resuming
 * would fail again forever. So does a run that went on with pages of an earlier one, read no other, and failed by what is
 * in them: a link that may not be followed is refused at first, and its pages stay for a document that allows it.
 */
export async function keepPages(
  { setup, folder, emit, bucket }: Continuation,
  journal: Journal,
  error: unknown,
): Promise<void> {
  await journal.close().catch(() => undefined)
  const isStuck = journal.resumedRuns > 0 && journal.pages === journal.resumedPages && failsByText(error)
  if (!isStuck && !blamesPages(error)) return
  // If it stays, the next run sets it aside for the same reason.
  await bucket?.remove(journal.loadId).catch(() => undefined)
  const moved = await setAside(setup.files, join(folder, 'loads', journal.loadId), 'aside').catch(() => undefined)
  if (moved === undefined) return
  emit({
    type: 'warning',
    code: 'journal_set_aside',
    message: `The pages of load ${journal.loadId} are not used by the next run, because they may be to blame; they were set aside in ${moved}`,
  })
}

function blamesPages(error: unknown): boolean {
  if (error instanceof SchemaError) return true
  if (error instanceof DataError) return error.code !== 'journal'
  if (!(error instanceof RequestError)) return false
  // With `attempts`, the answer was given up and never recorded.
  if (error.attempts !== undefined) return false
  const isPage = error.code === 'http_status' && (error.status ?? 500) < 300
  return error.code === 'response_format' || error.code === 'pagination_loop' || isPage
}

/** Whether a run failed before it asked, by a text of a page: a link to a place that is refused, or one that nobody expected. */
function failsByText(error: unknown): boolean {
  if (error instanceof RequestError) return error.code === 'forbidden_url' && error.status === undefined
  return error instanceof TypeError || error instanceof RangeError || error instanceof URIError
}

/** Number of journals that are kept after being set aside, newest first. */
const MOST_ASIDE = 5

async function forgetOldPages({ setup, folder, emit }: Continuation): Promise<void> {
  const removed = await removeAside(setup.files, folder, MOST_ASIDE)
  if (removed.length === 0) return
  emit({
    type: 'warning',
    code: 'journal_set_aside',
    message: `Of the journals that were set aside the newest ${MOST_ASIDE} are kept; removed ${removed.join(', ')}`,
  })
}
