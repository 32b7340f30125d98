import { join } from 'node:path'
import type { CommitAnew, CommitPlan, CommittedView, Load, LoadPlan } from '../../model/destination.js'
import { DestinationError, SluiceError } from '../../model/errors.js'
import type { Database } from '../duckdb/database.js'
import type { StagingFolder } from '../duckdb/duckdbStaging.js'
import { hasLongVectors } from '../duckdb/vectorMemory.js'
import { changesOf } from './dataset/changes.js'
import type { DatasetReader, Snapshot } from './dataset/committedDataset.js'
import { writeCommit } from './dataset/writeCommit.js'
import { type EncodedFile, encodeTable } from './format/encodeTable.js'
import { encodingOf } from './format/encoding.js'
import type { EncodingOptions } from './format/fileEncoding.js'
import { type Layout, segment } from './format/layout.js'
import type { Storage } from './storage/storage.js'

/** Explains a failure of the disk, DuckDB or the object store, and what to do about it. */
export function filesError(error: unknown, place: string, doing: string): unknown {
  if (error instanceof SluiceError || (error as { name?: unknown } | null)?.name === 'AbortError') return error
  const text = (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? ''
  const code = (error as { code?: unknown } | null)?.code
  const fail = (message: string, transient = false): DestinationError =>
    new DestinationError('destination', message, { destination: place, transient, cause: error })

  if (code === 'ENOSPC' || code === 'EDQUOT' || /No space left/i.test(text))
    return fail(`No space left for ${place} (while ${doing})`, true)
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || /Permission denied|read-only/i.test(text))
    return fail(`No right to write into ${place} (while ${doing}); change the rights or name another folder`)
  if (code === 'ENOTDIR' || code === 'EEXIST')
    return fail(`${place} cannot be used: there is a file where a folder is needed (while ${doing})`)
  if (/Conversion Error|Invalid Input Error/i.test(text))
    return fail(`A value does not fit its column (while ${doing}): ${text}`)
  return fail(`${place}: failed while ${doing}: ${text}`)
}

/** Everything that a load needs. */
export interface LoadContext {
  readonly storage: Storage
  readonly reader: DatasetReader
  readonly layout: Layout
  readonly encoding: EncodingOptions
  /** DuckDB in memory, which turns staged rows into files. Its turns separate commits of one dataset. */
  readonly database: Database
  readonly staging: StagingFolder
  /** Folder for files before they go to the storage, inside the staging folder. */
  readonly folder: string
  /** The newest commit of the pipeline when the load began. */
  readonly begunAfter: number
  /** What is committed at a moment. */
  readonly viewOf: (snapshot: Snapshot) => CommittedView
  readonly signal: AbortSignal | undefined
  /** Removes staged objects. */
  readonly clear: () => Promise<void>
  /** Called once, at the end of the load. */
  readonly release: () => void
}

/** A load into files: stages rows on this machine, and the commit writes them to their place. */
export function filesLoad(load: LoadPlan, context: LoadContext): Load {
  const { storage, staging, signal } = context
  let ended = false
  const end = async (): Promise<void> => {
    if (ended) return
    ended = true
    try {
      await staging.remove()
      await context.clear()
    } finally {
      context.release()
    }
  }
  return {
    async stage(batch, schema) {
      signal?.throwIfAborted()
      if (ended) throw new Error('stage after the end of the load')
      await staging.add(batch, schema).catch(error => {
        throw filesError(error, storage.place, `staging rows of ${batch.table}`)
      })
    },
    async commit(final, anew) {
      if (ended) return
      await context.database
        .exclusively(() => commit(load, context, final, anew))
        .catch(error => {
          signal?.throwIfAborted()
          throw filesError(error, storage.place, `committing load ${load.loadId}`)
        })
      // The load is committed. The next load removes leftovers.
      await end().catch(() => {})
    },
    abort: end,
  }
}

async function commit(
  load: LoadPlan,
  context: LoadContext,
  final: CommitPlan,
  anew: CommitAnew | undefined,
): Promise<void> {
  const { storage, reader, layout, encoding, signal } = context
  signal?.throwIfAborted()
  const { all: staged } = await context.staging.finish(final.schema)
  const snapshot = await reader.snapshot()
  if (snapshot.complete.has(segment(load.loadId))) return
  if (newestCommit(snapshot, load.pipeline) > context.begunAfter) {
    throw new DestinationError(
      'destination_locked',
      `Another process committed a load of pipeline ${load.pipeline} into ${storage.place} while load ${load.loadId} was under way; let one process run it at a time, and run again`,
      { destination: storage.place, transient: true },
    )
  }
  const plan = anew === undefined ? final : await anew(context.viewOf(snapshot))
  const changes = changesOf(snapshot, plan, new Set(staged.keys()), load)
  const files: EncodedFile[] = []
  const connection = await context.database.connect()
  const interrupt = (): void => connection.interrupt()
  signal?.addEventListener('abort', interrupt)
  try {
    // Row order in a table is not promised, and keeping it would cost threads and memory.
    await connection.run('SET SESSION preserve_insertion_order = false')
    const [threads] = (await connection.runAndReadAll("SELECT current_setting('threads')")).getRows()[0] ?? []
    for (const [name, rows] of staged) {
      // Each thread would have its own long texts in memory.
      const most = hasLongVectors(rows.amount) ? 1 : threads
      await connection.run(`SET threads = ${most}`)
      const known = new Set(plan.schema.tables.get(name)?.columns.keys())
      const columns = changes.tables.get(name) ?? []
      const target = { folder: context.folder, number: files.length }
      const chosen = encodingOf(name, plan.schema, snapshot, encoding)
      files.push(await encodeTable(connection, { name, rows, known }, columns, chosen, target))
    }
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', interrupt)
    connection.closeSync()
  }
  signal?.throwIfAborted()
  await writeCommit(storage, reader, layout, snapshot, { load, plan, changes, files, signal })
}

/** Sequence of the newest commit of a pipeline, or 0 without one. */
export function newestCommit({ ledger }: Snapshot, pipeline: string): number {
  return ledger.sequences.get(pipeline) ?? 0
}

/** Folder for the files of a load, inside a storage's staging folder. */
export function loadFolder(stagingDir: string, digest: string): string {
  return join(stagingDir, digest, 'rows')
}
