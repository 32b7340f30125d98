import {
  abortSignal,
  anything,
  callback,
  flag,
  isObject,
  names,
  needed,
  type OptionKind,
  optionKind,
  optionsOf,
  text,
  wholeFromOne,
  wordOf,
} from '../model/optionKinds.js'
import { type DispositionHint, WINDOW_ORDERS } from '../model/source.js'
import { CONTRACT_ENTITIES, CONTRACT_MODES, MERGE_STRATEGIES, WRITE_DISPOSITIONS } from '../schema/schemaTypes.js'
import type { WindowOptions } from './backfill/askedRange.js'
import type { Partition } from './backfill/loadWindows.js'
import type { BackfillOptions } from './backfill/runBackfill.js'
import type { CheckOptions } from './look/checkSource.js'
import type { PlanOptions } from './look/describePipeline.js'
import type { ChangeOptions } from './look/dropResources.js'
import type { TraceOptions } from './look/traceRow.js'
import type { ReplayOptions } from './run/replayPipeline.js'
import { REFRESHES, type RunOptions } from './setup.js'

/**
 * What a pipeline may be asked for. A misspelt word must not drop a table or let a schema change, an invalid number must
 * not limit a run, and a text such as `false` must not commit what is incomplete.
 */

const signalAndNames = { signal: abortSignal, select: names }

const disposition = wordOf(WRITE_DISPOSITIONS)
const dispositionHint = optionsOf<DispositionHint>('a disposition', {
  disposition: (value, path) => disposition(value ?? null, path),
  strategy: wordOf(MERGE_STRATEGIES),
  deduplicated: flag,
  validityColumnNames: names,
  activeRecordTimestamp: anything,
  boundaryTimestamp: anything,
  rowVersionColumnName: text,
  sourceFilter: text,
  destinationScope: text,
  skipUnchangedRows: flag,
})
const writeDisposition: OptionKind = (value, path) => (isObject(value) ? dispositionHint : disposition)(value, path)

const contractMode = wordOf(CONTRACT_MODES)
const schemaContract: OptionKind = (value, path) =>
  isObject(value)
    ? Object.entries(value).flatMap(([key, mode]) =>
        (CONTRACT_ENTITIES as readonly string[]).includes(key)
          ? contractMode(mode, `${path}.${key}`)
          : [{ place: { path: `${path}.${key}` }, message: `expected ${CONTRACT_ENTITIES.join(', ')}` }],
      )
    : contractMode(value, path)

const loading = {
  ...signalAndNames,
  writeDisposition,
  schemaContract,
  refresh: wordOf(REFRESHES),
  allowIncomplete: flag,
  onEvent: callback,
}

export const forRun = optionsOf<RunOptions>('options of run()', {
  ...loading,
  maxPages: wholeFromOne,
  concurrency: wholeFromOne,
  resume: flag,
  keepJournal: flag,
})
const cursorBound = optionKind('a value of the cursor: text or a number', value =>
  ['string', 'number', 'bigint'].includes(typeof value),
)
const windows = {
  from: cursorBound,
  to: cursorBound,
  step: optionKind('an ISO 8601 duration, as in P7D, or a number', value =>
    ['string', 'number'].includes(typeof value),
  ),
  order: wordOf(WINDOW_ORDERS),
}
export const forBackfillStatus = optionsOf<WindowOptions>('options of backfillStatus()', windows)
export const forBackfill = optionsOf<BackfillOptions>('options of backfill()', {
  ...windows,
  signal: abortSignal,
  concurrency: wholeFromOne,
  parallel: wholeFromOne,
  shared: flag,
  partition: optionsOf<Partition>('options of a partition', {
    index: needed(wholeFromOne),
    of: needed(wholeFromOne),
    code: text,
    claimTimeoutMs: wholeFromOne,
  }),
  retryFailed: flag,
  onEvent: callback,
  onPlan: callback,
  onWindow: callback,
})
export const forReplay = optionsOf<ReplayOptions>('options of replay()', loading)
export const forCheck = optionsOf<CheckOptions>('options of check()', { ...signalAndNames, onEvent: callback })
export const forPlan = optionsOf<PlanOptions>('options of plan()', signalAndNames)
export const forTrace = optionsOf<TraceOptions>('options of trace()', { signal: abortSignal })
export const rowKey = optionKind(
  'a text, or texts by column',
  value =>
    typeof value === 'string' || (isObject(value) && Object.values(value).every(text => typeof text === 'string')),
)
export const forChange = optionsOf<ChangeOptions>('options of a change', { signal: abortSignal, dryRun: flag })
