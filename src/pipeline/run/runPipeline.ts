import { dispositionOf, type PipelineSetup, pipelineFolder, type RunOptions, type RunResult } from '../setup.js'
import { closingConnection, closingSource, underLock, warningOf } from './closing.js'
import { freezeWindows } from './incremental/windows.js'
import { planResources } from './planResources.js'
import { prepareSchema } from './prepare.js'
import { type Running, readAndCommit } from './readAndCommit.js'
import { keepPages, settleCommitted, takeUpJournal } from './resume.js'

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
