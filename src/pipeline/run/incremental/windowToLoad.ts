import type { SharedJournals } from '../../../journal/sharedJournals.js'
import { type CursorRange, type LoadedWindow, rangeText } from '../../../model/cursors/cursorRange.js'
import type { StagedLoad } from '../../../model/destination.js'
import { DataError } from '../../../model/errors.js'
import {
  BACKFILL_KEY,
  type CursorState,
  cursorState,
  type PipelineState,
  withCursorState,
  withStateValue,
} from '../../../model/pipelineState.js'
import type { Receipt } from '../../../model/receipt.js'
import type { Unread } from '../../../model/source.js'
import type { ReadRange } from '../../backfill/coveredRanges.js'
import type { PlannedResource } from '../plan/planResources.js'
import type { Cut } from './partitions.js'
import type { Ledger, WindowLedger } from './windowLedger.js'

/** A window that is read and staged. */
export interface ReadWindow extends StagedLoad {
  readonly loadId: string
  readonly rows: number
}

/** What windows that are committed together share. */
interface LoadedTogether {
  readonly journals: SharedJournals
  /** Resolves when the window is committed. */
  commit(read: ReadWindow): Promise<void>
}

/** One window of a backfill, for a run. */
export interface WindowToLoad extends CursorRange {
  readonly resource: string
  /** The cursor with the ends of the window, or the partition. */
  readonly cut: Cut
  /** The id of the backfill that it belongs to. */
  readonly backfill: string
  /** Names the window among others that are loaded at the same time. Absent: there are none. */
  readonly part?: string | undefined
  /** The window may be committed with others. Absent: it is committed by itself. Needs a `part`. */
  readonly together?: LoadedTogether | undefined
  /** What is committed, as of now. */
  readonly ledger: WindowLedger
  /**
   * The cursor to store with the window, given what was read of it and the stored one. Undefined: that stays. `ledger`:
   * the windows that are committed.
   */
  cursorAfter(read: ReadRange, stored: CursorState | undefined, ledger: Ledger): CursorState | undefined
}

/** The trees of a run with the ends of the window in the cursor of its resource, or with its partition. */
export function withinWindow(roots: readonly PlannedResource[], window: WindowToLoad): readonly PlannedResource[] {
  return roots.map(planned => ({
    ...planned,
    ...(planned.resource.name === window.resource && cutBy(planned, window)),
    children: withinWindow(planned.children, window),
  }))
}

function cutBy(
  { resource }: PlannedResource,
  { cut, start, end }: WindowToLoad,
): Pick<PlannedResource, 'resource' | 'partition'> {
  if (cut.by === undefined) return { resource: { ...resource, incremental: cut } }
  return { resource, partition: { by: cut.by, start, end } }
}

/** A window counts as loaded for ever, so that a list which was not read to its end is an error. */
export function refuseCapped(window: WindowToLoad, receipt: Receipt, unread: ReadonlySet<Unread>): void {
  if ([...unread].every(why => why === 'moved')) return
  throw new DataError(
    'incomplete',
    `${window.resource}: the window ${rangeText(window)} was not read to its end: ${receipt.reasons.join('; ')}. Nothing was committed. Make the step smaller, or take the limit out of the document.`,
    { resource: window.resource, receipts: [receipt] },
  )
}

/** What is committed besides the rows of the window. */
export function committedWindow(window: WindowToLoad, receipt: Receipt, read: ReadRange) {
  const { resource, backfill, cut } = window
  const loaded: LoadedWindow = {
    resource,
    cursorPath: cut.cursorPath,
    backfill,
    start: read.start,
    end: read.end,
    cursor: read.cursor,
    verdict: receipt.verdict,
    requests: receipt.requests,
    records: receipt.records - receipt.filtered,
    number: window.ledger.known.nextNumber,
    ...(cut.by === 'pages' && read.end !== window.end && { askedEnd: window.end }),
  }
  return {
    loaded,
    stateAfter(state: PipelineState, source: string, there: Ledger = window.ledger.known): PipelineState {
      const cursor = window.cursorAfter(read, cursorState(state, source, resource, cut.cursorPath), there)
      const moved = cursor === undefined ? state : withCursorState(state, source, resource, cut.cursorPath, cursor)
      return withStateValue(moved, BACKFILL_KEY, there.backfill ?? backfill, { source, resource })
    },
  }
}
