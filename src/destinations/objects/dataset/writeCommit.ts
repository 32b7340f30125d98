import { createHash } from 'node:crypto'
import { parseJson } from '../../../json/parse.js'
import type { JsonObject } from '../../../json/value.js'
import { isJsonObject } from '../../../json/value.js'
import { stringifyJson } from '../../../json/write.js'
import type { CommitPlan, LoadPlan } from '../../../model/destination.js'
import { DestinationError } from '../../../model/errors.js'
import { statesOf } from '../../systemRows.js'
import type { EncodedFile } from '../format/encodeTable.js'
import type { Layout } from '../format/layout.js'
import { keysUnder, mapLimited, type Storage } from '../storage/storage.js'
import type { Changes } from './changes.js'
import type { DatasetReader, Snapshot } from './committedDataset.js'
import { compactWhenDue } from './compaction.js'
import { type DataFile, GIVEN_UP, type LoadRecord, loadRecordObject, type Manifest } from './manifest.js'
import {
  folders,
  INIT,
  initText,
  intentKey,
  intentPrefix,
  isoTime,
  loadRecordKey,
  readRow,
  receiptsObject,
  stateObject,
  versionObject,
  windowObject,
} from './systemObjects.js'

/** Objects to send at once. */
const WRITES_AT_ONCE = 4

/** What to write: the changes, and the files with the rows. */
export interface Commit {
  readonly load: LoadPlan
  readonly plan: Pick<CommitPlan, 'schema' | 'state' | 'otherStates' | 'receipts' | 'window' | 'committedAt'>
  readonly changes: Changes
  readonly files: readonly EncodedFile[]
  readonly signal?: AbortSignal | undefined
}

/**
 * Writes a commit: first a note of what will be written, then the files, dlt's objects, and the record of the load.
 * Nothing counts before the record. Then it removes what no longer counts. If the process dies midway, the note stays,
 * and {@link clearUp} finds the rest by it.
 */
export async function writeCommit(
  storage: Storage,
  reader: DatasetReader,
  layout: Layout,
  snapshot: Snapshot,
  commit: Commit,
): Promise<void> {
  const { load, plan, changes } = commit
  const { schema, committedAt: at } = plan
  const data = commit.files.map((file, index) => ({ file, described: describe(layout, commit, file, index) }))
  const objects = [
    ...(changes.storesSchema ? [versionObject(schema, at)] : []),
    ...statesOf(plan).map(state => stateObject(state, load, schema.version_hash, at)),
    ...(plan.receipts.length === 0 ? [] : [receiptsObject(plan.receipts, schema.name, load)]),
    ...(plan.window === undefined ? [] : [windowObject(plan.window, schema.name, load, at)]),
  ]
  const keys = [...data.map(({ described }) => described.key), ...objects.map(({ key }) => key)]
  const manifest: Manifest = {
    sequence: snapshot.ledger.sequence + 1,
    pipeline: load.pipeline,
    files: data.map(({ described }) => described),
    removed: changes.removed,
    dropped: changes.dropped,
    tables: changes.tables,
  }
  const record: LoadRecord = {
    key: loadRecordKey(schema.name, load.loadId),
    loadId: load.loadId,
    schemaName: schema.name,
    status: 0,
    insertedAt: isoTime(at),
    schemaVersionHash: schema.version_hash,
    manifest,
  }
  await ensureInit(storage)
  await storage.put(intentKey(load), intentText({ ...load, schemaName: schema.name, keys }))
  let committing = false
  try {
    await mapLimited(data, WRITES_AT_ONCE, ({ file, described }) => {
      commit.signal?.throwIfAborted()
      return storage.put(described.key, file)
    })
    await mapLimited(objects, WRITES_AT_ONCE, ({ key, content }) => storage.put(key, content))
    commit.signal?.throwIfAborted()
    committing = true
    if (!(await storage.put(record.key, recordText(record), { onlyIfAbsent: true }))) {
      committing = false
      await settleConflict(storage, reader, load, schema.name, keys)
    }
  } catch (error) {
    if (!committing) {
      await forget(storage, load, keys).catch(() => {})
      throw error
    }
    // Once the record has been sent, it may have arrived, or still arrive. The next load checks again.
    const arrived = await reader.record(load.loadId, schema.name).catch(() => undefined)
    if (arrived?.status !== 0) throw isRefusal(error) ? error : unanswered(storage, load, error)
  }
  // The load is committed, whatever happens now. The next load removes leftovers.
  await forgetCommitted(storage, reader, load, record.key, changes.removed).catch(() => {})
  await compactWhenDue(storage, reader, snapshot).catch(() => {})
}

/** Whether the record was certainly not written: the store refused it, or this machine's disk did. */
function isRefusal(error: unknown): boolean {
  return error instanceof DestinationError ? !error.transient : error instanceof Error && 'syscall' in error
}

function unanswered({ place }: Storage, { loadId }: LoadPlan, cause: unknown): DestinationError {
  return new DestinationError(
    'commit_unknown',
    `${place}: the record of load ${loadId} was sent and no answer came, so the load may be there or not. Run again: a load that is there is not loaded twice`,
    { destination: place, transient: true, cause },
  )
}

/** Equal content gets an equal name, so a repeated attempt overwrites only itself. */
function describe(layout: Layout, { load, plan }: Commit, file: EncodedFile, index: number): DataFile {
  const fileId = createHash('sha256').update(`${index} ${file.sha256}`).digest('hex').slice(0, 10)
  const key = layout.key({
    tableName: file.table,
    schemaName: plan.schema.name,
    loadId: load.loadId,
    fileId,
    ext: file.extension,
    at: plan.committedAt,
  })
  const { table, format, rows, bytes, sha256 } = file
  return { table, key, format, rows, bytes, sha256 }
}

const recordText = (record: LoadRecord): Uint8Array => Buffer.from(`${stringifyJson(loadRecordObject(record))}\n`)

/** Another process wrote the record of this load: it either committed the load as well, or gave it up. */
async function settleConflict(
  storage: Storage,
  reader: DatasetReader,
  load: LoadPlan,
  schemaName: string,
  keys: readonly string[],
): Promise<void> {
  const existing = await reader.record(load.loadId, schemaName)
  if (existing?.status === 0) {
    const theirs = new Set(existing.manifest?.files.map(file => file.key))
    await storage.remove(keys.filter(key => key.includes(load.loadId) && !key.startsWith('_') && !theirs.has(key)))
    return
  }
  throw new DestinationError(
    'destination_locked',
    `Another process took over pipeline ${load.pipeline} in ${storage.place} while load ${load.loadId} was under way; let one process run it at a time, and run again`,
    { destination: storage.place, transient: true },
  )
}

interface Intent extends LoadPlan {
  readonly schemaName: string
  readonly keys: readonly string[]
}

function intentText(intent: Intent): Uint8Array {
  return Buffer.from(stringifyJson(intent as unknown as JsonObject))
}

async function intentsOf(storage: Storage, pipeline: string): Promise<Intent[]> {
  const keys = await keysUnder(storage, intentPrefix(pipeline))
  const intents = await mapLimited(keys, WRITES_AT_ONCE, async key => {
    const content = await storage.get(key)
    const row = content === undefined ? undefined : readRow(content)
    if (row === undefined || !isJsonObject(row) || row.pipeline !== pipeline) return undefined
    return {
      pipeline,
      loadId: String(row.loadId),
      schemaName: String(row.schemaName),
      keys: Array.isArray(row.keys) ? row.keys.map(String) : [],
    }
  })
  return intents.filter(intent => intent !== undefined)
}

/** Removes objects of a load, then its note. */
async function forget(storage: Storage, load: LoadPlan, keys: readonly string[]): Promise<void> {
  await storage.remove(keys)
  await storage.remove([intentKey(load)])
}

/** Removes what an uncommitted load left. */
async function abandon(storage: Storage, intent: Intent): Promise<void> {
  await storage.abandon(intent.keys)
  await storage.remove([intentKey(intent)])
}

/** Removes what a committed load replaced, then its note, unless readers need the note to find its record. */
async function forgetCommitted(
  storage: Storage,
  reader: DatasetReader,
  load: LoadPlan,
  recordKey: string,
  removed: readonly string[],
): Promise<void> {
  await storage.remove(removed)
  if (!(await reader.checkpoints.overtakes(recordKey))) await storage.remove([intentKey(load)])
}

/**
 * Removes what earlier, uncommitted loads of the pipeline wrote, and what committed ones replaced. If a load may still
 * be in progress elsewhere, gives it up first: taking its record stops it from committing.
 */
export async function clearUp(storage: Storage, reader: DatasetReader, plan: LoadPlan): Promise<void> {
  for (const intent of await intentsOf(storage, plan.pipeline)) {
    let record = await reader.record(intent.loadId, intent.schemaName)
    if (record === undefined && intent.loadId !== plan.loadId) record = await giveUp(storage, reader, intent)
    if (record?.status === 0) await forgetCommitted(storage, reader, intent, record.key, record.manifest?.removed ?? [])
    else await abandon(storage, intent)
  }
  const own = await reader.record(plan.loadId)
  if (own?.status === GIVEN_UP) await storage.remove([own.key])
}

async function giveUp(storage: Storage, reader: DatasetReader, intent: Intent): Promise<LoadRecord | undefined> {
  const record: LoadRecord = {
    key: loadRecordKey(intent.schemaName, intent.loadId),
    loadId: intent.loadId,
    schemaName: intent.schemaName,
    status: GIVEN_UP,
    insertedAt: isoTime(0n),
    schemaVersionHash: undefined,
    manifest: undefined,
  }
  if (await storage.put(record.key, recordText(record), { onlyIfAbsent: true })) return record
  return await reader.record(intent.loadId, intent.schemaName)
}

/** Marks a new dataset as dlt does. Fails if a newer dlt wrote its objects. */
async function ensureInit(storage: Storage): Promise<void> {
  const content = await storage.get(INIT.key)
  if (content === undefined) {
    await storage.put(INIT.key, initText())
    return
  }
  if (content.length === 0) return
  let version: unknown
  try {
    version = (parseJson(content) as JsonObject).current_version
  } catch {}
  if (typeof version !== 'number' || version <= INIT.version) return
  throw new DestinationError(
    'destination',
    `${storage.place} was laid out by a newer tool (version ${version} of ${folders.loads}'s layout, ${INIT.version} is known here); update first`,
    { destination: storage.place },
  )
}
