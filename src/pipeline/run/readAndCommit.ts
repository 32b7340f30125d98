import type { Journal, PipelineLock } from '../../journal/journal.js'
import type { CommitNotes } from '../../model/destination.js'
import type { RunEvent } from '../../model/events.js'
import { withDeleted } from '../../model/receipt.js'
import type { ResponseJournal } from '../../model/responses.js'
import type { ReadonlySchema } from '../../schema/schemaTypes.js'
import { writeSchemaFiles } from '../look/schemaFiles.js'
import type { PipelineSetup, RunResult } from '../setup.js'
import { safely, warningOf } from './closing.js'
import { extract } from './extract.js'
import { type OpenLoadInput, openLoad } from './load.js'
import type { Prepared } from './prepare.js'

const DEFAULT_CONCURRENCY = 16

/** Everything that reading and committing needs. */
export interface Running extends Omit<OpenLoadInput, 'load' | 'loadId'> {
  readonly journal: ResponseJournal & Pick<Journal, 'loadId' | 'resumedPages' | 'sync'>
  readonly lock: Pick<PipelineLock, 'check'>
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
