import { parseJson } from '../../../json/parse.js'
import type { LoadedWindow } from '../../../model/cursorRange.js'
import type { Connection } from '../../../model/destination.js'
import {
  BACKFILL_KEY,
  type CursorState,
  cursorState,
  type PipelineState,
  stateValue,
} from '../../../model/pipelineState.js'
import type { Verdict } from '../../../model/receipt.js'
import type { IncrementalHint } from '../../../model/source.js'
import type { PipelineSetup } from '../../setup.js'
import { flattenPlan, type PlannedResource, refused } from '../planResources.js'
import { isBeyond } from './incremental.js'

/** A window that is committed. */
export interface DoneWindow extends LoadedWindow {
  readonly loadId: string
}

/** What is committed of a resource. */
export interface Ledger {
  /** The id of the backfill. Undefined before its first window. */
  readonly backfill: string | undefined
  readonly done: readonly DoneWindow[]
}

/** The windows that loads have committed since the resource began, or began anew. In no order. */
export async function committedWindows(
  connection: Pick<Connection, 'inspect' | 'read'>,
  setup: PipelineSetup,
  state: PipelineState,
  of: { readonly name: string; readonly hint: IncrementalHint },
): Promise<Ledger> {
  const backfill = stateValue(state, BACKFILL_KEY, { source: setup.source.name, resource: of.name })
  if (typeof backfill !== 'string') return { backfill: undefined, done: [] }
  return { backfill, done: await readWindows(connection, setup, { resource: of.name, hint: of.hint, backfill }) }
}

/** Whether the cursor has passed every record of the window. */
function isBehind(window: Pick<DoneWindow, 'cursor'>, cursor: CursorState | undefined, hint: IncrementalHint): boolean {
  return window.cursor === undefined || (cursor !== undefined && !isBeyond(hint, window.cursor, cursor))
}

/** Fails with a ConfigError if a run would append what windows beyond its cursor have loaded. */
export async function refuseGaps(
  connection: Connection,
  setup: PipelineSetup,
  state: PipelineState,
  roots: readonly PlannedResource[],
): Promise<void> {
  for (const planned of flattenPlan(roots)) {
    const { resource, loaded } = planned
    const { incremental: hint, name } = resource
    if (!loaded || hint === undefined || !appends(planned)) continue
    const { done } = await committedWindows(connection, setup, state, { name, hint })
    const cursor = cursorState(state, setup.source.name, name, hint.cursorPath)
    if (done.every(window => isBehind(window, cursor, hint))) continue
    const message =
      'a backfill has loaded windows beyond a gap. A run would begin before the gap and append their rows again: load the missing windows with `sluice backfill`, which `--status` lists, or merge by a key'
    throw refused(resource, 'endpoint.incremental', message)
  }
}

/** Whether rows of a window would come twice: its own, or those of a child that is loaded with it. */
function appends({ disposition, loaded, children }: PlannedResource): boolean {
  if (loaded && disposition.disposition === 'append') return true
  return children.some(child => child.resource.incremental === undefined && appends(child))
}

const TABLE = '_sluice_windows'

async function readWindows(
  connection: Pick<Connection, 'inspect' | 'read'>,
  setup: PipelineSetup,
  of: { readonly resource: string; readonly hint: IncrementalHint; readonly backfill: string },
): Promise<readonly DoneWindow[]> {
  if (!(await connection.inspect()).has(TABLE)) return []
  const where = Object.entries({
    pipeline_name: setup.name,
    schema_name: setup.source.name,
    resource: of.resource,
    cursor_path: of.hint.cursorPath,
    backfill_id: of.backfill,
  }).map(([column, value]) => ({ column, operator: '=', value }) as const)
  const windows: DoneWindow[] = []
  for await (const rows of connection.read({ table: TABLE, where })) {
    for (const row of rows) {
      windows.push({
        loadId: String(row.load_id),
        resource: of.resource,
        cursorPath: of.hint.cursorPath,
        backfill: of.backfill,
        start: parseJson(String(row.window_start)),
        end: parseJson(String(row.window_end)),
        cursor: row.cursor == null ? undefined : (parseJson(String(row.cursor)) as unknown as CursorState),
        verdict: String(row.verdict) as Verdict,
        requests: Number(row.requests),
        records: Number(row.records),
      })
    }
  }
  return windows
}
