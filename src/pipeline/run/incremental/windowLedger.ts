import { parseJson } from '../../../json/parse.js'
import type { LoadedWindow } from '../../../model/cursors/cursorRange.js'
import type { Condition, Connection } from '../../../model/destination.js'
import { ConfigError } from '../../../model/errors.js'
import {
  BACKFILL_KEY,
  type CursorState,
  cursorState,
  type PipelineState,
  stateValue,
} from '../../../model/pipelineState.js'
import type { Verdict } from '../../../model/receipt.js'
import type { IncrementalHint } from '../../../model/source.js'
import { CoveredRanges, isEmpty, type ReadRange } from '../../backfill/coveredRanges.js'
import type { PipelineSetup } from '../../setup.js'
import { flattenPlan, type PlannedResource, refused } from '../plan/planResources.js'
import { isBeyond } from './cursorValue.js'
import { type Cut, isPartitionCut } from './partitions.js'

/** A window that is committed. */
export interface DoneWindow extends LoadedWindow {
  readonly loadId: string
}

/** What is committed of a resource, every window by itself. */
export interface WholeLedger {
  /** The id of the backfill. Undefined before its first window. */
  readonly backfill: string | undefined
  readonly done: readonly DoneWindow[]
  /** Those that were asked for beyond the end of the list, also where nothing was at all. */
  readonly openEnded: readonly DoneWindow[]
}

/** The windows that loads have committed since the resource began, or began anew. In no order. */
export async function committedWindows(
  connection: Pick<Connection, 'inspect' | 'read'>,
  setup: PipelineSetup,
  state: PipelineState,
  of: ListWithWindows,
): Promise<WholeLedger> {
  const backfill = backfillOf(setup, state, of)
  if (backfill === undefined) return { backfill, done: [], openEnded: [] }
  const windows = await readWindows(connection, setup, { ...of, backfill }, [])
  return {
    backfill,
    done: windows.filter(window => !isEmpty(window, of.cut)),
    openEnded: windows.filter(({ askedEnd }) => askedEnd !== undefined),
  }
}

/**
 * Fails with a ConfigError if windows of the backfill that count were cut in another way, by partitions or into them:
 * what belonged to them may be in none of the new ones, or in one that is not loaded yet.
 */
export async function refuseOtherCut(
  connection: Pick<Connection, 'inspect' | 'read'>,
  setup: PipelineSetup,
  { name, cut }: ListWithWindows,
  backfill: string | undefined,
): Promise<void> {
  if (backfill === undefined || !(await connection.inspect()).has(TABLE)) return
  const where = Object.entries({ pipeline_name: setup.name, resource: name, backfill_id: backfill }).map(
    ([column, value]) => ({ column, operator: '=', value }) as const,
  )
  const query = { table: TABLE, columns: ['cursor_path'], distinct: true, where }
  for await (const rows of connection.read(query)) {
    for (const { cursor_path: path } of rows) {
      const before = String(path)
      if (before === cut.cursorPath || (cut.by === undefined && !isPartitionCut(before))) continue
      const [was, is] = [before, cut.cursorPath].map(one => (isPartitionCut(one) ? one.slice(1, -1) : one))
      const message = `its windows were cut by ${was} before, and would be cut by ${is} now: records would be left out, or loaded twice. Cut it as before, or drop ${name} (\`sluice drop\`) and load it anew`
      throw new ConfigError([{ place: { path: cut.path }, message: `${name}: ${message}` }])
    }
  }
}

/** A resource, and what cuts it. */
export interface ListWithWindows {
  readonly name: string
  readonly cut: Cut
}

function backfillOf(setup: PipelineSetup, state: PipelineState, { name }: ListWithWindows): string | undefined {
  const backfill = stateValue(state, BACKFILL_KEY, { source: setup.source.name, resource: name })
  return typeof backfill === 'string' ? backfill : undefined
}

/** What is committed of a resource, as ranges. */
export interface Ledger {
  /** The id of the backfill. Undefined before its first window. */
  readonly backfill: string | undefined
  readonly covered: CoveredRanges
  /** The number of the next window that is committed. */
  readonly nextNumber: number
}

/**
 * The windows of one list that are committed, as far as this process knows them. It reads only those that were committed
 * since it looked last, so that a look costs the same after ten windows and after ten thousand.
 */
export class WindowLedger {
  readonly #setup: PipelineSetup
  readonly #of: ListWithWindows
  #known: Known

  constructor(setup: PipelineSetup, of: ListWithWindows, { backfill, done }: Omit<WholeLedger, 'openEnded'>) {
    this.#setup = setup
    this.#of = of
    this.#known = newKnown(of, backfill)
    for (const window of done) note(this.#known, window)
  }

  /** As of the last look. */
  get known(): Ledger {
    return ledgerOf(this.#known)
  }

  /**
   * Adds what others have committed. `state` is the one that is committed. `before`: windows that the same transaction
   * commits ahead. They are in the answer, but not known afterwards: the transaction may fail.
   */
  async look(
    connection: Pick<Connection, 'inspect' | 'read'>,
    state: PipelineState,
    before: readonly LoadedWindow[] = [],
  ): Promise<Ledger> {
    const backfill = backfillOf(this.#setup, state, this.#of)
    if (backfill !== this.#known.backfill) this.#known = newKnown(this.#of, backfill)
    const known = this.#known
    if (backfill === undefined) return this.known
    // What is before was planned by a look at the same dataset.
    if (before.length === 0) {
      const of = { ...this.#of, backfill }
      for (const condition of unknownTo(known)) {
        for (const window of await readWindows(connection, this.#setup, of, condition)) note(known, window)
      }
      return this.known
    }
    const ahead = copied(this.#of, known)
    for (const window of before) note(ahead, window)
    return ledgerOf(ahead)
  }

  /** Notes a window that this process has committed while nobody else could. */
  add(window: ReadRange): void {
    note(this.#known, { ...window, number: this.#known.newest + 1 })
  }

  /** Whether a window of the backfill is committed, whether or not the state still names it. */
  async hasCommitted(connection: Pick<Connection, 'inspect' | 'read'>, backfill: string): Promise<boolean> {
    return (await readWindows(connection, this.#setup, { ...this.#of, backfill }, [])).length > 0
  }

  /** Whether the load with this id has committed a window of the list. */
  async hasLoad(connection: Pick<Connection, 'inspect' | 'read'>, loadId: string): Promise<boolean> {
    const { backfill } = this.#known
    if (backfill === undefined) return false
    const isOfLoad = { column: 'load_id', operator: '=', value: loadId } as const
    return (await readWindows(connection, this.#setup, { ...this.#of, backfill }, [isOfLoad])).length > 0
  }
}

/** What is known of one backfill. */
interface Known {
  readonly backfill: string | undefined
  readonly covered: CoveredRanges
  /** The greatest number of a window. */
  newest: number
  /** Older versions gave windows no numbers. */
  hasUnnumbered: boolean
}

/** Conditions on windows that may be news. Each list of them is asked for by itself. */
function unknownTo({ newest, hasUnnumbered }: Known): readonly (readonly Condition[])[] {
  if (newest === 0) return [[]]
  const isNewer: Condition = { column: NUMBER, operator: '>', value: newest }
  return hasUnnumbered ? [[isNewer], [{ column: NUMBER, operator: 'is null' }]] : [[isNewer]]
}

function ledgerOf({ backfill, covered, newest }: Known): Ledger {
  return { backfill, covered, nextNumber: newest + 1 }
}

function copied(of: ListWithWindows, { backfill, covered, newest, hasUnnumbered }: Known): Known {
  const copy = { ...newKnown(of, backfill), newest, hasUnnumbered }
  for (const range of covered.all) copy.covered.add(range)
  return copy
}

function newKnown({ cut }: ListWithWindows, backfill: string | undefined): Known {
  return { backfill, covered: new CoveredRanges(cut), newest: 0, hasUnnumbered: false }
}

function note(known: Known, { number, ...window }: ReadRange & Pick<LoadedWindow, 'number'>): void {
  known.covered.add(window)
  if (number === undefined) known.hasUnnumbered = true
  else known.newest = Math.max(known.newest, number)
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
    const { done } = await committedWindows(connection, setup, state, { name, cut: hint })
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
const NUMBER = 'commit_number'

/** Windows of one backfill that meet the conditions. */
async function readWindows(
  connection: Pick<Connection, 'inspect' | 'read'>,
  setup: PipelineSetup,
  of: ListWithWindows & { readonly backfill: string },
  conditions: readonly Condition[],
): Promise<readonly DoneWindow[]> {
  const columns = (await connection.inspect()).get(TABLE)
  if (columns === undefined) return []
  const own = Object.entries({
    pipeline_name: setup.name,
    schema_name: setup.source.name,
    resource: of.name,
    cursor_path: of.cut.cursorPath,
    backfill_id: of.backfill,
  }).map(([column, value]) => ({ column, operator: '=', value }) as const)
  const windows: DoneWindow[] = []
  for await (const rows of connection.read({ table: TABLE, where: [...own, ...conditions] })) {
    for (const row of rows) {
      windows.push({
        loadId: String(row.load_id),
        resource: of.name,
        cursorPath: of.cut.cursorPath,
        backfill: of.backfill,
        start: parseJson(String(row.window_start)),
        end: parseJson(String(row.window_end)),
        cursor: row.cursor == null ? undefined : (parseJson(String(row.cursor)) as unknown as CursorState),
        verdict: String(row.verdict) as Verdict,
        requests: Number(row.requests),
        records: Number(row.records),
        number: row[NUMBER] == null ? undefined : Number(row[NUMBER]),
        ...(row.asked_end != null && { askedEnd: parseJson(String(row.asked_end)) }),
      })
    }
  }
  return windows
}
