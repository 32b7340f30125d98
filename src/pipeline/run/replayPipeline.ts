import { join } from 'node:path'
import { recordedLoads, replayJournal } from '../../journal/journal.js'
import { isJsonObject } from '../../json/value.js'
import { DataError } from '../../model/errors.js'
import { nextLoadId } from '../../model/loadId.js'
import { dispositionOf, type LoadResult, type PipelineSetup, pipelineFolder, type RunOptions } from '../setup.js'
import { closingConnection, closingSource, failingAloud, underLock } from './closing.js'
import { settleGone } from './gone/goneTables.js'
import { type FrozenWindows, freezeWindows } from './incremental/frozenWindows.js'
import type { ParentsRead } from './incremental/parentChanges.js'
import type { PartitionRange } from './incremental/partitions.js'
import { planResources, withTableDispositions } from './plan/planResources.js'
import { prepareSchema } from './prepare.js'
import { type Running, readAndCommit } from './runPipeline.js'

export interface ReplayOptions<Name extends string = string>
  extends Pick<
    RunOptions<Name>,
    'signal' | 'select' | 'writeDisposition' | 'schemaContract' | 'refresh' | 'allowIncomplete' | 'onEvent'
  > {}

/**
 * Loads the journal of an earlier load: kept, set aside or unfinished. It uses today's schema rules and sends no
 * request to the API. Default: the newest journal. It commits like any other load, so appended rows are there twice
 * unless a refresh drops them first. Cursors never move back, rows absent from the journal are never deleted, and the
 * journal stays.
 */
export async function replayPipeline(
  setup: PipelineSetup,
  wanted: string | undefined,
  options: ReplayOptions,
): Promise<LoadResult> {
  const emit = options.onEvent ?? (() => {})
  const roots = planResources(setup.source, setup.destination, {
    select: options.select,
    disposition: dispositionOf(options),
  })
  return await underLock(setup, options, lock =>
    failingAloud(options, () =>
      closingSource(setup, emit, async () => {
        const connection = await setup.destination.connect(setup.datasetName, options.signal)
        return await closingConnection(connection, emit, () =>
          replayConnected({ setup, options, emit, roots, connection, lock }, wanted),
        )
      }),
    ),
  )
}

async function replayConnected(
  replaying: Pick<Running, 'setup' | 'emit' | 'roots' | 'connection' | 'lock'> & { readonly options: ReplayOptions },
  wanted: string | undefined,
): Promise<LoadResult> {
  const { setup, options, emit, connection, lock } = replaying
  const folder = pipelineFolder(setup)
  const recorded = await replayJournal(setup.files, await recordedLoad(setup, folder, wanted), setup.scrubber)
  try {
    const stored = await connection.committed(setup.name, setup.source.name)
    const { committed } = await settleGone(setup, connection, stored, { emit })
    const prepared = await prepareSchema(setup, connection, committed, replaying.roots, options)
    const roots = withTableDispositions(replaying.roots, prepared.naming)
    const windows = windowsOf(recorded.meta, freezeWindows(roots, prepared.state, setup.source))
    const newest = [committed?.loadId ?? '0', recorded.loadId].sort((a, b) => Number(a) - Number(b)).at(-1)
    const journal = {
      lookup: recorded.lookup,
      record: recorded.record,
      loadId: nextLoadId(setup.clock.now(), newest, setup.clock.random()),
      // No run was interrupted: every page comes from the journal.
      resumedPages: 0,
      resumedRuns: 0,
      sync: async () => {},
    }
    const running = { setup, options, emit, connection, roots, prepared, windows, journal, lock }
    return await readAndCommit({ ...running, isReplay: true })
  } finally {
    // It was only read, so nothing is lost.
    await recorded.close().catch(() => {})
  }
}

/** Folder of the given load, or of the newest. If one load has several journals, the latest attempt. */
async function recordedLoad({ files }: PipelineSetup, folder: string, wanted: string | undefined): Promise<string> {
  const recorded = await recordedLoads(files, folder)
  const found = recorded.findLast(({ loadId }) => wanted === undefined || loadId === wanted)
  if (found !== undefined) return found.path
  const loads = join(folder, 'loads')
  const known = [...new Set(recorded.map(({ loadId }) => loadId))].join(', ')
  const what = wanted === undefined ? 'a load' : `load ${wanted}`
  throw new DataError(
    'journal',
    `There is no journal of ${what} in ${loads}${known === '' ? '' : `; there are ${known}`}. A journal is kept by a run with keepJournal (--keep-journal), and set aside after a failure that its pages caused.`,
    { path: loads },
  )
}

/** The windows of the recorded requests. The cursors may have moved since. */
function windowsOf(meta: Readonly<Record<string, unknown>>, now: FrozenWindows): FrozenWindows {
  const recorded = meta.windows
  if (!isJsonObject(recorded)) return now
  const read = isJsonObject(meta.parents_read) ? Object.entries(meta.parents_read) : []
  const byResource = new Map(now.byResource)
  for (const name of byResource.keys()) {
    const frozen = recorded[name]
    if (isJsonObject(frozen)) byResource.set(name, frozen as unknown as NonNullable<ReturnType<typeof byResource.get>>)
  }
  const parentsRead = new Map(read as unknown as [string, ParentsRead][])
  const parts = isJsonObject(meta.partitions) ? Object.entries(meta.partitions) : []
  const partitions = new Map(parts as unknown as [string, PartitionRange][])
  return { byResource, parentsRead, partitions, fingerprint: now.fingerprint }
}
