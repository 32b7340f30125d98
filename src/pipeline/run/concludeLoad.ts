import type { CommitPlan, Connection, Load } from '../../model/destination.js'
import { DataError } from '../../model/errors.js'
import type { RunEvent } from '../../model/events.js'
import type { PipelineState } from '../../model/pipelineState.js'
import { bumpState, cursorState, stateHash, withCursorState } from '../../model/pipelineState.js'
import type { Extent, Receipt } from '../../model/receipt.js'
import type { Scrubber } from '../../model/secrets/scrubber.js'
import { scrubbed } from '../../model/secrets/scrubber.js'
import type { IncrementalHint, Resource, Source, Unread } from '../../model/source.js'
import {
  count,
  type JudgedParent,
  type Judgement,
  judgeChild,
  judgeExpected,
  judgeKeys,
  judgeLeftOut,
  judgeMoved,
} from '../../model/verdict.js'
import type { Naming } from '../../schema/naming.js'
import { propagateRootKeys } from '../../schema/rootKey.js'
import type { Schema } from '../../schema/schemaTypes.js'
import { bumpVersionFrom, ensureStateTable } from '../../schema/stored/document.js'
import type { PipelineSetup, RunOptions } from '../setup.js'
import { lackingReason, withCursorTables } from './gone/goneTables.js'
import { isBeyond } from './incremental/cursorValue.js'
import type { FrozenWindows } from './incremental/frozenWindows.js'
import { type Holding, heldCursors, heldToken, type ReadResource } from './incremental/heldCursors.js'
import { movedBeside } from './incremental/listParts.js'
import { withParentsRead } from './incremental/parentChanges.js'
import { ParentCursorTracker, parentCursors, withParentCursors } from './incremental/parentCursors.js'
import type { Ledger } from './incremental/windowLedger.js'
import { committedWindow, refuseCapped, type WindowToLoad } from './incremental/windowToLoad.js'
import { appendsAny, isMergedByKey, keyNamesParent, type PlannedResource, parentOf } from './plan/planResources.js'
import {
  type Fillers,
  fillersOf,
  isOfTwoRuns,
  isWhole,
  type Judged,
  losesParents,
  type OpenResource,
  tablePlans,
} from './plan/tablePlans.js'
import { type Prepared, rootResource } from './prepare.js'

/** What a load is opened with. */
export interface OpenLoadInput {
  readonly setup: PipelineSetup
  readonly options: RunOptions
  readonly emit: (event: RunEvent) => void
  readonly connection: Connection
  readonly roots: readonly PlannedResource[]
  readonly prepared: Prepared
  readonly windows: FrozenWindows
  /** The run loads this part of a cursor's range. */
  readonly window?: WindowToLoad | undefined
  readonly load: Load
  readonly loadId: string
  /** The pages are from an earlier time: cursors do not move back, and absent rows are not deleted. */
  readonly isReplay?: boolean | undefined
  /** Number of interrupted runs whose pages the journal has. */
  readonly earlierRuns: number
}

/** The state after a load, if that state and those windows are committed before it. */
export type StateOn = (state: PipelineState, there?: Ledger) => PipelineState

/** What the normaliser counted. */
interface Normalized {
  readonly byTable: ReadonlyMap<string, number>
  readonly discarded: number
  readonly variants: ReadonlyMap<string, readonly string[]>
  readonly changedKeys: ReadonlyMap<string, readonly string[]>
}

/**
 * Judges the receipts, moves the cursors and lists the tables to commit. Rows that contracts reject also make a load,
 * as with dlt.
 */
export function conclude(
  input: OpenLoadInput,
  resources: readonly OpenResource[],
  broken: ReadonlyMap<string, readonly string[]>,
  normalized: Normalized,
  emit: (event: RunEvent) => void,
): {
  receipts: readonly Receipt[]
  rows: Readonly<Record<string, number>>
  plan: CommitPlan | undefined
  fillers: Fillers
  stateOn: StateOn
} {
  const { prepared, setup, options } = input
  const { schema, refreshed } = prepared
  const { byTable: rowsByTable, discarded } = normalized
  const judgements = judgementsOf(input, resources, broken, normalized)
  const receipts = receiptsOf(input, resources, judgements, normalized, emit)
  refuseIncomplete(receipts, options)
  const window = input.window === undefined ? undefined : windowOf(input.window, resources, receipts)
  const stateOn = stateChange(input, resources, judgements, window)
  const state = stateOn(prepared.state)
  // As with dlt, dropping tables stores the state again.
  const storesState = state._version_hash !== prepared.state._version_hash || refreshed.drop.length > 0
  const committedAt = BigInt(setup.clock.now()) * 1000n
  const fillers = fillersOf(setup.source, resources, judgements, prepared.naming, input.earlierRuns)
  const judged: Judged = {
    source: setup.source,
    naming: prepared.naming,
    committedAt,
    fillers,
    emit,
    defaultStrategy: setup.destination.capabilities.mergeStrategies[0] ?? 'delete-insert',
    isReplay: input.isReplay === true,
    allowIncomplete: options.allowIncomplete === true,
  }
  const tables = tablePlans(schema, resources, rowsByTable, judged)
  const rows = Object.fromEntries(rowsByTable)
  const isNothing =
    window === undefined && tables.length + discarded + refreshed.drop.length + refreshed.truncate.length === 0
  if (isNothing && !storesState) return { receipts, rows, plan: undefined, fillers, stateOn }
  if (storesState) ensureStateTable(schema, prepared.naming)
  // New nested tables may carry root ids that their root table did not have before.
  propagateRootKeys(schema, schema.tables.values())
  bumpVersionFrom(prepared.declared, schema)
  return {
    receipts,
    rows,
    fillers,
    stateOn,
    plan: {
      schema,
      state: storesState ? state : undefined,
      receipts,
      window: window?.loaded,
      tables,
      ...refreshed,
      committedAt,
    },
  }
}

function judgementsOf(
  { prepared, setup, window }: OpenLoadInput,
  resources: readonly OpenResource[],
  broken: ReadonlyMap<string, readonly string[]>,
  { changedKeys }: Normalized,
): ReadonlyMap<string, Judgement> {
  const moved = movedFrom(window, resources)
  const lacking = new Map(
    resources.flatMap(({ planned: { resource } }) => {
      const reason = lackingReason(prepared.state, setup.source.name, resource.name)
      return reason === undefined ? [] : [[resource.name, reason] as const]
    }),
  )
  return judgeTree(resources, { broken, moved, lacking }, changedKeysOf(prepared.schema, prepared.naming, changedKeys))
}

/** The receipts, parents first. Each is told as it is made. */
function receiptsOf(
  { prepared, setup, window }: OpenLoadInput,
  resources: readonly OpenResource[],
  judgements: ReadonlyMap<string, Judgement>,
  { byTable, variants }: Normalized,
  emit: (event: RunEvent) => void,
): readonly Receipt[] {
  const extents = extentsOf(resources, window !== undefined)
  const allRows = rowsByResource(prepared.schema, byTable, resources)
  return resources.map(({ planned, meter: resourceMeter }) => {
    const { name } = planned.resource
    const rows = allRows.get(name) ?? {}
    const counted = resourceMeter.receipt(rows, judgements.get(name) as Judgement, extents.get(name) as Extent)
    const receipt = {
      ...counted,
      ...variantsOf(prepared.schema, variants, name),
      // Receipts are stored and printed, and their reasons may quote the API.
      reasons: scrubbed(counted.reasons, setup.scrubber),
    }
    const { discardedRows } = receipt
    if (discardedRows > 0) {
      const message = `${name}: ${count(discardedRows, 'row')} discarded: the schema contract does not admit them. ${count(sumOf(rows), 'row')} arrived, those of nested tables included`
      emit({ type: 'warning', code: 'rows_discarded', resource: name, namesResource: true, message })
    }
    emit({ type: 'resource_finished', resource: receipt.resource, receipt })
    return receipt
  })
}

/** What the load makes of a state: the cursors of what was read move, but for those that are held. */
function stateChange(
  input: OpenLoadInput,
  resources: readonly OpenResource[],
  judgements: ReadonlyMap<string, Judgement>,
  window: ReturnType<typeof windowOf> | undefined,
): StateOn {
  const { prepared, setup, options } = input
  const { name } = setup.source
  const holdings = heldCursors(
    resources.map(one => readResource(one, judgements, options)),
    setup.source.resources,
  )
  return (base, there) => {
    const cursors = moveCursors(base, resources, { ...input, holdings })
    const moved = input.isReplay === true ? cursors : rememberParents(cursors, resources, judgements, input)
    const after = window === undefined ? moved : window.stateAfter(moved, name, there)
    if (stateHash(after) === stateHash(base)) return bumpState(after)
    const loaded = resources.flatMap(({ planned }) => (planned.loaded ? [planned.resource] : []))
    return bumpState(withCursorTables(after, name, loaded, prepared.naming))
  }
}

/** What a run that loads one window commits besides rows. */
function windowOf(window: WindowToLoad, resources: readonly OpenResource[], receipts: readonly Receipt[]) {
  const {
    cursor,
    meter: read,
    part,
  } = resources.find(({ planned }) => planned.resource.name === window.resource) as OpenResource
  const receiptOf = (name: string) => receipts.find(({ resource }) => resource === name) as Receipt
  const receipt = receiptOf(window.resource)
  if (window.cut.by !== undefined) {
    // Parents that were not listed would belong to no partition.
    for (const above of aboveOf(resources, window.resource)) refuseCapped(window, receiptOf(above.name), above.unread)
  }
  refuseCapped(window, receipt, read.unread)
  const { start, end } = window
  return committedWindow(window, receipt, part?.read ?? { start, end, cursor: cursor?.seen?.() })
}

/** The ancestors of a resource, with what is unread of them. */
function aboveOf(resources: readonly OpenResource[], name: string) {
  const named = (wanted: string | undefined) => resources.find(({ planned }) => planned.resource.name === wanted)
  const above: { readonly name: string; readonly unread: ReadonlySet<Unread> }[] = []
  for (let at = named(named(name)?.planned.resource.parent); at !== undefined; ) {
    above.push({ name: at.planned.resource.name, unread: at.meter.unread })
    at = named(at.planned.resource.parent)
  }
  return above
}

/** How much of each resource the run was asked for, parents first. Pages that a parent lacks are lists its children lack. */
function extentsOf(resources: readonly OpenResource[], isWindow: boolean): ReadonlyMap<string, Extent> {
  const extents = new Map<string, Extent>()
  for (const { planned, meter: resourceMeter } of resources) {
    const { name, parent } = planned.resource
    const above = parent === undefined ? undefined : extents.get(parent)
    const own = isWindow ? 'window' : resourceMeter.unread.has('run') ? 'pages' : 'whole'
    extents.set(name, own === 'whole' ? (above ?? own) : own)
  }
  return extents
}

/** For each resource: the tables where its records, or those of resources beside it, may have become one row. */
function changedKeysOf(schema: Schema, naming: Naming, changed: ReadonlyMap<string, readonly string[]>) {
  const merged = [...changed].filter(([table]) => schema.tables.get(table)?.write_disposition === 'merge')
  return ({ name, hints: { tableName = name } }: Resource) =>
    merged.filter(
      ([table]) =>
        rootResource(schema, table) === name ||
        (typeof tableName === 'string' && naming.tablesPath(tableName) === table),
    )
}

/** By resource, what its lists themselves do not show. */
interface Doubts {
  /** What records break of the user's expectations. */
  readonly broken: ReadonlyMap<string, readonly string[]>
  /** Why a part of a list does not fit to those beside it. */
  readonly moved: ReadonlyMap<string, string>
  /** Why rows are missing that came in earlier loads. */
  readonly lacking: ReadonlyMap<string, string>
}

/** As far as this process knows the parts that are committed. The commit looks again where there may be others. */
function movedFrom(window: WindowToLoad | undefined, resources: readonly OpenResource[]): ReadonlyMap<string, string> {
  return new Map(
    resources.flatMap(({ planned: { resource }, part }) => {
      const reason =
        window === undefined || part === undefined
          ? undefined
          : (movedBeside(part.read, window.ledger.known.covered.all) ?? part.shortened)
      return reason === undefined ? [] : [[resource.name, reason] as const]
    }),
  )
}

/** The verdicts of all resources, parents first. A doubt about a parent is a doubt about its children. */
function judgeTree(
  resources: readonly OpenResource[],
  { broken, moved, lacking }: Doubts,
  changedKeys: ReturnType<typeof changedKeysOf>,
): ReadonlyMap<string, Judgement> {
  const judged = new Map<string, JudgedParent>()
  for (const { planned, meter: resourceMeter, cursor, changes } of resources) {
    const { name, parent } = planned.resource
    const stored = changedKeys(planned.resource).reduce(
      (judgement, [table, columns]) => judgeKeys(judgement, table, columns),
      resourceMeter.judgement(),
    )
    const read = judgeLeftOut(stored, changes?.judgement())
    const list = judgeMoved(judgeExpected(read, broken.get(name) ?? []), moved.get(name))
    const own = judgeMoved(list, lacking.get(name))
    const judgement = judgeChild(own, parent === undefined ? undefined : judged.get(parent))
    judged.set(name, { ...judgement, name, isIncremental: cursor !== undefined })
  }
  return judged
}

/** Rows by table. Of resources with one table each has its own root rows, and the first has what is nested under all. */
function rowsByResource(
  schema: Schema,
  rowsByTable: ReadonlyMap<string, number>,
  resources: readonly OpenResource[],
): ReadonlyMap<string, Readonly<Record<string, number>>> {
  const found = new Map<string, Map<string, number>>()
  const add = (resource: string, table: string, rows: number): void => {
    found.set(resource, (found.get(resource) ?? new Map()).set(table, rows))
  }
  const left = new Map(rowsByTable)
  for (const { planned, meter: resourceMeter } of resources) {
    const { name } = planned.resource
    for (const [table, rows] of resourceMeter.written) {
      if (rows === 0 || rootResource(schema, table) === name) continue
      add(name, table, rows)
      left.set(table, Math.max(0, (left.get(table) ?? 0) - rows))
    }
  }
  for (const [table, rows] of left) {
    const first = rootResource(schema, table)
    if (first !== undefined) add(first, table, rows)
  }
  return new Map([...found].map(([resource, rows]) => [resource, Object.fromEntries(rows)]))
}

function sumOf(rows: Readonly<Record<string, number>>): number {
  return Object.values(rows).reduce((sum, one) => sum + one, 0)
}

function variantsOf(
  schema: Schema,
  byTable: ReadonlyMap<string, readonly string[]>,
  resource: string,
): Pick<Receipt, 'variants'> {
  const own = [...byTable].filter(([table]) => rootResource(schema, table) === resource)
  const variants = own.flatMap(([table, columns]) => columns.map(column => `${table}.${column}`))
  return variants.length === 0 ? {} : { variants }
}

function refuseIncomplete(receipts: readonly Receipt[], options: RunOptions): void {
  const missing = receipts.filter(receipt => receipt.verdict === 'incomplete')
  if (missing.length === 0 || options.allowIncomplete === true) return
  const [first] = missing
  throw new DataError(
    'incomplete',
    `${missing.map(({ resource, reasons }) => `${resource} is incomplete: ${reasons.join('; ')}`).join('\n')}\nNothing was committed; \`allowIncomplete\` (--allow-incomplete) commits what arrived`,
    { resource: first?.resource, receipts },
  )
}

/** What a run knows about a resource when it decides how far its cursor may move. */
function readResource(
  { planned, cursor, meter: { unread, discardedRows } }: OpenResource,
  judgements: ReadonlyMap<string, Judgement>,
  { select }: RunOptions,
): ReadResource {
  const { resource, loaded } = planned
  return {
    resource,
    unread,
    discards: discardedRows > 0,
    isIncomplete: judgements.get(resource.name)?.verdict === 'incomplete',
    isOutOfOrder: cursor?.isOutOfOrder?.() === true,
    isLeftOut: !loaded && select?.includes(resource.name) === false && resource.selected,
    isMerged: isMergedByKey(planned),
    holdsBack: appendsAny(planned),
  }
}

/** The state with every cursor that moved, except those that must wait. */
function moveCursors(
  state: PipelineState,
  resources: readonly OpenResource[],
  {
    setup: { source, scrubber },
    isReplay,
    emit,
    holdings,
  }: Pick<OpenLoadInput, 'setup' | 'isReplay' | 'emit'> & { readonly holdings: ReadonlyMap<string, Holding> },
): PipelineState {
  return resources.reduce((current, { planned, cursor }) => {
    const { incremental, name } = planned.resource
    if (incremental !== undefined && cursor instanceof ParentCursorTracker)
      return movedByParent(current, planned.resource, cursor, {
        source,
        scrubber,
        isReplay,
        emit,
        holding: holdings.get(name),
      })
    const isTokenHeld = incremental?.isToken === true && isReplay !== true && cursor?.isHeldBack?.() === true
    if (isTokenHeld) {
      const message = heldToken(planned.resource, isMergedByKey(planned))
      emit({ type: 'warning', code: 'cursor_held', resource: name, namesResource: true, message })
    }
    const moved = cursor?.state()
    if (moved === undefined || incremental === undefined) return current
    refuseSecretCursor(planned.resource, incremental, moved.last_value, scrubber)
    const there = cursorState(current, source.name, name, incremental.cursorPath)
    // Older pages have older tokens, whose order nobody knows.
    const isOld = incremental.isToken === true || (there !== undefined && !isBeyond(incremental, moved, there))
    if (isReplay === true && there !== undefined && isOld) return current
    const holding = holdings.get(name)
    const isMoved = there === undefined || isBeyond(incremental, moved, there)
    const before = holding?.isBeforeLast
    const kept = before === undefined ? moved : cursor?.stateBeforeLast?.()
    if (holding !== undefined && !isTokenHeld && (isMoved || cursor?.isHeldBack?.() === true)) {
      const message = `${holding.message}${kept === undefined ? (before?.ifStuck ?? '') : ''}`
      emit({ type: 'warning', code: holding.code, resource: name, namesResource: true, message })
    }
    if (kept === undefined || (holding?.code === 'cursor_held' && before === undefined)) return current
    return withCursorState(current, source.name, name, incremental.cursorPath, kept)
  }, state)
}

/** The state with the cursors that records of the parent have, unless they must wait. */
function movedByParent(
  state: PipelineState,
  resource: Resource,
  cursor: ParentCursorTracker,
  {
    source,
    scrubber,
    isReplay,
    emit,
    holding,
  }: {
    readonly source: { readonly name: string }
    readonly scrubber: Scrubber
    readonly isReplay: boolean | undefined
    readonly emit: (event: RunEvent) => void
    readonly holding: Holding | undefined
  },
): PipelineState {
  const moved = cursor.moved(parentCursors(state, source.name, resource), isReplay === true)
  const { incremental, name } = resource
  if (incremental === undefined || moved.size === 0) return state
  for (const { last_value: value } of moved.values()) refuseSecretCursor(resource, incremental, value, scrubber)
  if (holding !== undefined)
    emit({ type: 'warning', code: holding.code, resource: name, namesResource: true, message: holding.message })
  return holding?.code === 'cursor_held' ? state : withParentCursors(state, source.name, resource, moved)
}

/**
 * The state with what was read of lists that go by changes of the parent. It stays as it was where something that
 * belongs to these lists takes no part in the run, or has rows that were discarded: the next run reads them again. So it
 * does where parents are gone whose rows may be in lists that were not read.
 */
function rememberParents(
  state: PipelineState,
  resources: readonly OpenResource[],
  judgements: ReadonlyMap<string, Judgement>,
  {
    setup: { source, scrubber },
    loadId,
    window,
    earlierRuns,
  }: Pick<OpenLoadInput, 'setup' | 'loadId' | 'window' | 'earlierRuns'>,
): PipelineState {
  const opened = new Map(resources.map(one => [one.planned.resource.name, one]))
  return resources.reduce((current, one) => {
    const { planned, changes } = one
    if (changes === undefined) return current
    const { resource } = planned
    const group = source.resources.filter(other => other === resource || isUnder(source, other, resource))
    const isPart = group.some(({ name, selected }) => {
      const member = opened.get(name)
      return (selected && member?.planned.loaded !== true) || (member?.meter.discardedRows ?? 0) > 0
    })
    if (isPart) return current
    const parent = opened.get(resource.parent ?? '')
    const waits = group.some(one => one.deletes?.mode === 'with_parent' && !keyNamesParent(source, one))
    const hasAllChanged =
      window === undefined &&
      judgements.get(resource.parent ?? '')?.verdict === 'complete' &&
      !isOfTwoRuns(parent, opened, earlierRuns)
    const read =
      waits && losesParents(one, parent, judgements)
        ? changes.forgotten(loadId)
        : changes.remembered(loadId, { isWhole: isWhole(parent, judgements), hasAllChanged })
    if (read.newest !== undefined) {
      const [cursorPath = ''] = resource.parentChanged?.by ?? []
      refuseSecretCursor(resource, { cursorPath, path: `${resource.path}.endpoint.changed_by` }, read.newest, scrubber)
    }
    return withParentsRead(current, source, planned, read)
  }, state)
}

function isUnder(source: Source, resource: Resource, above: Resource): boolean {
  const parent = parentOf(source, resource)
  return parent !== undefined && (parent === above || isUnder(source, parent, above))
}

/** Shorter secrets occur in values by chance, as a year does in a date. */
const SHORTEST_HELD = 8

/** A cursor is stored for the next run, and a secret must not be stored. */
function refuseSecretCursor(
  { name }: Resource,
  { cursorPath, path }: Pick<IncrementalHint, 'cursorPath' | 'path'>,
  value: unknown,
  scrubber: Scrubber,
): void {
  if (typeof value !== 'string') return
  const clean = scrubber.text(value)
  if (value.length - clean.replaceAll('***', '').length < Math.min(SHORTEST_HELD, value.length)) return
  throw new DataError(
    'incremental_cursor',
    `${name}: the value of the cursor ${cursorPath} holds a secret of this pipeline, and a cursor is stored. Choose another field, such as the time of the last change.`,
    { resource: name, path },
  )
}
