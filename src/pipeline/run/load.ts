import type { JsonValue } from '../../json/value.js'
import type { CommitPlan, Connection, Load } from '../../model/destination.js'
import { DataError, shortened } from '../../model/errors.js'
import type { RunEvent } from '../../model/events.js'
import type { PipelineState } from '../../model/pipelineState.js'
import { bumpState, type CursorState, cursorState, stateHash, withCursorState } from '../../model/pipelineState.js'
import type { Extent, Receipt } from '../../model/receipt.js'
import type { Scrubber } from '../../model/secrets/scrubber.js'
import { scrubbed } from '../../model/secrets/scrubber.js'
import {
  type IncrementalHint,
  type IncrementalWindow,
  type Resource,
  ResourceNotes,
  type Source,
  type Unread,
} from '../../model/source.js'
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
import { createNormalizer } from '../../normalize/normalizer.js'
import { resolveContract } from '../../schema/contracts.js'
import type { Naming } from '../../schema/naming.js'
import { propagateRootKeys } from '../../schema/rootKey.js'
import type { Schema } from '../../schema/schemaTypes.js'
import { bumpVersionFrom, ensureStateTable } from '../../schema/stored/document.js'
import { storedSchema } from '../look/dataset.js'
import { lastWholeReceipts } from '../look/pastLoads.js'
import type { PipelineSetup, RunOptions } from '../setup.js'
import { ExpectationCheck } from './expectationCheck.js'
import type { ResourceRun } from './extract.js'
import { FilledColumns, fieldsGone } from './fieldsGone.js'
import { lackingReason, withCursorTables } from './goneTables.js'
import type { FrozenWindows } from './incremental/frozenWindows.js'
import {
  type Holding,
  heldCursors,
  heldToken,
  losesEqual,
  type ReadResource,
  trackToken,
} from './incremental/heldCursors.js'
import type { CursorTracker } from './incremental/incremental.js'
import { isBeyond, trackCursor } from './incremental/incremental.js'
import { movedBeside, PartEnds } from './incremental/listParts.js'
import { ParentChanges, withParentsRead } from './incremental/parentChanges.js'
import { ParentCursorTracker, parentCursors, withParentCursors } from './incremental/parentCursors.js'
import { PartitionParents, type PartitionRange } from './incremental/partitions.js'
import type { Ledger } from './incremental/windowLedger.js'
import { committedWindow, refuseCapped, type WindowToLoad } from './incremental/windowToLoad.js'
import { meter } from './meter.js'
import { isPart } from './nestedRowsGone.js'
import { flattenPlan, keyNamesParent, type PlannedResource, parentOf, resourcesByTable } from './planResources.js'
import { type Prepared, rootResource } from './prepare.js'
import {
  DEFAULT_MAX_DELETE_SHARE,
  type Fillers,
  fillersOf,
  isOfTwoRuns,
  isWhole,
  type Judged,
  losesParents,
  type OpenResource,
  tablePlans,
} from './tablePlans.js'
import { recordWriter, type TableFate, writer } from './writer.js'

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

/** A load that is receiving pages. */
export interface OpenLoad {
  readonly resources: readonly ResourceRun[]
  /** Passes the run's events on, and counts them for the receipts. */
  readonly emit: (event: RunEvent) => void
  /**
   * Ends the load: stages the remaining rows, judges, and returns what to commit. No plan if there is nothing to
   * commit.
   */
  finish(): Promise<{
    readonly receipts: readonly Receipt[]
    readonly rows: Readonly<Record<string, number>>
    readonly plan: CommitPlan | undefined
    /** The state after this load, if that state and those windows are committed before it. */
    readonly stateOn: StateOn
  }>
}

export type StateOn = (state: PipelineState, there?: Ledger) => PipelineState

export function openLoad(input: OpenLoadInput): OpenLoad {
  const { prepared, setup, options } = input
  const { schema, naming } = prepared
  const opened = new Map<string, OpenResource>()
  const emit = (event: RunEvent): void => {
    if ('resource' in event && event.resource !== undefined) opened.get(event.resource)?.meter.observe(event)
    input.emit(event)
  }
  const { capabilities } = setup.destination
  const normalizer = createNormalizer({
    schema,
    naming,
    loadId: input.loadId,
    warn: (code, message, resource) =>
      emit({ type: 'warning', code, message, ...(resource === undefined ? {} : { resource }) }),
    contract: table => resolveContract(schema, table),
    nulInText: capabilities.nulInText,
    maxColumns: capabilities.maxColumns,
    decimals: { decimal: capabilities.decimal, wei: capabilities.wei },
    batchRows: capabilities.batchRows,
  })
  const filled = new FilledColumns()
  const rows = writer(normalizer, input.load, schema, filled)
  for (const planned of flattenPlan(input.roots)) {
    const { incremental, name, hints } = planned.resource
    const frozen = input.windows.byResource.get(name)
    const parent = parentOf(setup.source, planned.resource)
    let isTold = false
    const track = (hint: IncrementalHint, window: IncrementalWindow, stored: CursorState | undefined): CursorTracker =>
      hint.isToken === true
        ? trackToken(window, stored)
        : trackCursor(hint, window, stored, {
            primaryKey: hints.primaryKey,
            holdsBack: appendsAny(planned) && losesEqual(planned.resource),
            doubtful(value, other) {
              if (isTold) return
              isTold = true
              const message = doubtMessage(hint, name, value, other)
              emit({ type: 'warning', code: 'cursor_order', resource: name, namesResource: true, message })
            },
          })
    const cursor =
      incremental === undefined || frozen === undefined
        ? undefined
        : frozen.byParent !== undefined && parent !== undefined
          ? new ParentCursorTracker(incremental, parent, frozen.byParent, (window, stored) =>
              track(incremental, window, stored),
            )
          : track(incremental, frozen.window, frozen.stored)
    const { parentChanged } = planned.resource
    const changes =
      parentChanged === undefined || parent === undefined
        ? undefined
        : new ParentChanges(parentChanged, {
            resource: planned.resource,
            parent,
            source: setup.source,
            known: input.windows.parentsRead.get(name),
            isWindow: input.window !== undefined,
          })
    const { expect } = planned.resource
    const expectations = expect === undefined ? undefined : new ExpectationCheck(expect)
    opened.set(name, {
      planned,
      meter: meter(name, mergesTwice(planned, schema, naming)),
      cursor,
      expectations,
      changes,
      isPart: input.windows.partitions.size > 0,
      part: partOf(planned.resource, input.windows.partitions.get(name)),
    })
  }
  const byTable = resourcesByTable(input.roots, naming)
  const fates = new Map<string, TableFate>()
  const owners = new Map<string, PlannedResource>()
  const toRun = ({ resource, loaded, children }: PlannedResource): ResourceRun => {
    const {
      meter: resourceMeter,
      cursor,
      planned,
      expectations,
      changes,
      part,
    } = opened.get(resource.name) as OpenResource
    const partition = input.windows.partitions.get(resource.name)
    const parent = parentOf(setup.source, resource)
    return {
      resource,
      cursor,
      changes,
      partition: partition && parent && new PartitionParents(partition, parent),
      part,
      meter: resourceMeter,
      expectations,
      notes: new ResourceNotes(),
      children: children.map(toRun),
      write: loaded
        ? recordWriter(planned, {
            ...prepared,
            source: setup.source,
            options,
            emit,
            rows,
            byTable,
            fates,
            owners,
            meter: resourceMeter,
          })
        : undefined,
    }
  }
  const resources = input.roots.map(toRun)
  return {
    resources,
    emit,
    finish: async () => {
      await rows.finish()
      for (const message of unmatchedPaths(resources)) emit({ type: 'warning', code: 'path_unmatched', message })
      for (const { planned, cursor } of opened.values()) {
        const message = cursor?.startIgnored?.()
        const resource = planned.resource.name
        if (message !== undefined) emit({ type: 'warning', code: 'start_ignored', resource, message })
        const order = cursor?.readOn?.()
        if (order !== undefined) emit({ type: 'warning', code: 'cursor_order', resource, message: order })
      }
      const concluded = conclude(
        input,
        [...opened.values()],
        await brokenExpectations(input, [...opened.values()]),
        {
          byTable: normalizer.rows(),
          discarded: rows.discardedRows,
          variants: normalizer.variants(),
          changedKeys: normalizer.changedKeys(),
        },
        emit,
      )
      if (concluded.plan !== undefined) {
        await guardReplaced(input, concluded.fillers, concluded.rows, concluded.plan)
        await tellFieldsGone(input, filled, concluded.plan, emit)
      }
      return concluded
    },
  }
}

function partOf(resource: Resource, range: PartitionRange | undefined): PartEnds | undefined {
  if (range?.by !== 'pages' || resource.counted === undefined) return undefined
  return new PartEnds(range, resource, resource.counted)
}

/** What to say about paths of the document that led to nothing in any record. */
function unmatchedPaths(roots: readonly ResourceRun[]): readonly string[] {
  const runs = roots.flatMap(function all(run): readonly ResourceRun[] {
    return [run, ...run.children.flatMap(all)]
  })
  const read = new Map<string, string[]>()
  for (const { resource, notes } of runs) {
    for (const path of notes.paths.keys()) read.set(path, [...(read.get(path) ?? []), resource.name])
  }
  return [...read]
    .filter(([path]) => !runs.some(({ notes }) => notes.paths.get(path)))
    .map(
      ([path, names]) =>
        `${path}: no record of ${names.join(', ')} has anything there; is it written as in the answers?`,
    )
}

function doubtMessage(
  { cursorPath, path }: IncrementalHint,
  resource: string,
  one: JsonValue,
  other: JsonValue,
): string {
  const [value, beside] = [one, other].map(text => JSON.stringify(shortened(String(text), 60)))
  const areNumbers = [one, other].every(number => Number.isFinite(Number(number)))
  const how = areNumbers ? 'as numbers, though they read as times in two units' : 'as texts'
  return (
    `${resource}: \`${cursorPath}\` has the value ${value} beside ${beside} (${path}.cursor_path), which are compared ${how}: ` +
    'newer records may be taken for old ones. Choose a cursor of numbers of one unit or ISO times, or bring its values into such a form with a `map` step.'
  )
}

/** Whether records that arrive twice become one row, as do those of the child lists requested for each of them. */
function mergesTwice(
  { resource, loaded, disposition, children }: PlannedResource,
  schema: Schema,
  naming: Naming,
): boolean {
  const { tableName = resource.name, primaryKey = [] } = resource.hints
  const table = typeof tableName === 'function' ? undefined : schema.tables.get(naming.tablesPath(tableName))
  const strategy = disposition.strategy ?? table?.['x-merge-strategy']
  const isMerged = disposition.disposition === 'merge' && disposition.deduplicated !== true && strategy !== 'scd2'
  const areMerged = !loaded || (isMerged && primaryKey.length > 0 && typeof tableName === 'string')
  return areMerged && children.every(child => mergesTwice(child, schema, naming))
}

/**
 * Judges the receipts, moves the cursors and lists the tables to commit. Rows that contracts reject also make a load,
 * as with dlt.
 */
function conclude(
  input: OpenLoadInput,
  resources: readonly OpenResource[],
  broken: ReadonlyMap<string, readonly string[]>,
  normalized: {
    readonly byTable: ReadonlyMap<string, number>
    readonly discarded: number
    readonly variants: ReadonlyMap<string, readonly string[]>
    readonly changedKeys: ReadonlyMap<string, readonly string[]>
  },
  emit: (event: RunEvent) => void,
): {
  receipts: readonly Receipt[]
  rows: Readonly<Record<string, number>>
  plan: CommitPlan | undefined
  fillers: Fillers
  stateOn: StateOn
} {
  const { prepared, setup, options } = input
  const { schema } = prepared
  const { byTable: rowsByTable, discarded } = normalized
  const moved = movedFrom(input.window, resources)
  const lacking = new Map(
    resources.flatMap(({ planned: { resource } }) => {
      const reason = lackingReason(prepared.state, setup.source.name, resource.name)
      return reason === undefined ? [] : [[resource.name, reason] as const]
    }),
  )
  const judgements = judgeTree(
    resources,
    { broken, moved, lacking },
    changedKeysOf(schema, prepared.naming, normalized.changedKeys),
  )
  const extents = extentsOf(resources, input.window !== undefined)
  const allRows = rowsByResource(schema, rowsByTable, resources)
  const receipts = resources.map(({ planned, meter: resourceMeter }) => {
    const { name } = planned.resource
    const rows = allRows.get(name) ?? {}
    const variants = variantsOf(schema, normalized.variants, name)
    const counted = resourceMeter.receipt(rows, judgements.get(name) as Judgement, extents.get(name) as Extent)
    // Receipts are stored and printed, and their reasons may quote the API.
    const receipt = { ...counted, ...variants, reasons: scrubbed(counted.reasons, setup.scrubber) }
    const { discardedRows } = receipt
    if (discardedRows > 0) {
      const message = `${name}: ${count(discardedRows, 'row')} discarded: the schema contract does not admit them. Only ${count(sumOf(rows), 'row')} of it arrived`
      emit({ type: 'warning', code: 'rows_discarded', resource: name, namesResource: true, message })
    }
    emit({ type: 'resource_finished', resource: receipt.resource, receipt })
    return receipt
  })
  refuseIncomplete(receipts, options)
  const window = input.window === undefined ? undefined : windowOf(input.window, resources, receipts)
  const holdings = heldCursors(
    resources.map(one => readResource(one, judgements, options)),
    setup.source.resources,
  )
  const stateOn: StateOn = (base, there) => {
    const cursors = moveCursors(base, resources, { ...input, holdings })
    const moved = input.isReplay === true ? cursors : rememberParents(cursors, resources, judgements, input)
    const after = window === undefined ? moved : window.stateAfter(moved, setup.source.name, there)
    if (stateHash(after) === stateHash(base)) return bumpState(after)
    const loaded = resources.flatMap(({ planned }) => (planned.loaded ? [planned.resource] : []))
    return bumpState(withCursorTables(after, setup.source.name, loaded, prepared.naming))
  }
  const state = stateOn(prepared.state)
  const { refreshed } = prepared
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

/** By resource: what its records break of the user's expectations. */
async function brokenExpectations(
  { connection, setup, options, isReplay, window }: OpenLoadInput,
  resources: readonly OpenResource[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  // A window of the past has its own number of records and its own age.
  const isPart = window !== undefined
  const checked = resources.filter(({ expectations }) => expectations !== undefined)
  const needsLast = checked.some(({ expectations }) => expectations?.needsLastLoad === true)
  const names = needsLast ? checked.map(({ planned }) => planned.resource.name) : []
  const last = await lastWholeReceipts(connection, setup.name, names)
  return new Map(
    checked.map(({ planned: { resource }, expectations, changes, meter: resourceMeter }) => {
      const broken = expectations?.broken({
        records: resourceMeter.records,
        before: last.get(resource.name)?.records,
        now: isReplay === true || isPart ? undefined : setup.clock.now(),
        isTrial: options.maxPages !== undefined || isPart || changes?.isPart === true,
      })
      return [resource.name, broken ?? []]
    }),
  )
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
    `${missing.map(({ resource, reasons }) => `${resource} is incomplete: ${reasons.join('; ')}`).join('\n')}\nNothing was committed. Look at the API, or allow incomplete loads to commit all the same.`,
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

/** Whether rows that arrive again replace existing ones. */
function isMergedByKey({ resource: { hints }, disposition }: PlannedResource): boolean {
  const keys = [...(hints.primaryKey ?? []), ...(hints.mergeKey ?? [])]
  return disposition.disposition === 'merge' && keys.length > 0
}

/** Whether rows of the resource, or of one below it, come twice if its records do. */
function appendsAny(planned: PlannedResource): boolean {
  return (planned.loaded && !isMergedByKey(planned)) || planned.children.some(appendsAny)
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

/**
 * A `replace` by a listing that may be incomplete removes no more rows than `deletes` may. Otherwise an empty page from
 * the API, or a trial run, would empty the table.
 */
async function guardReplaced(
  { setup, connection, prepared, options, isReplay }: OpenLoadInput,
  fillers: Fillers,
  rows: Readonly<Record<string, number>>,
  plan: CommitPlan,
): Promise<void> {
  if (options.allowIncomplete === true || isReplay === true) return
  const anew = new Set([...plan.drop, ...plan.truncate])
  for (const { table, disposition } of plan.tables) {
    if (disposition !== 'replace' || anew.has(table)) continue
    const owner = prepared.schema.tables.get(table)?.resource ?? ''
    const gap = [...fillers].find(
      ([name, filler]) => (name === owner || filler.table === table) && filler.gap !== undefined,
    )?.[1].gap
    if (gap === undefined) continue
    const there = (await connection.inspect()).has(table) ? await connection.count(table) : 0
    const arrived = rows[table] ?? 0
    const maxDeleteShare =
      setup.source.resources.find(({ name }) => name === owner)?.maxDeleteShare ?? DEFAULT_MAX_DELETE_SHARE
    if (there - arrived <= there * maxDeleteShare) continue
    throw new DataError(
      'too_many_deletes',
      `${gap}; this load would replace the ${there} rows of table ${table} by ${arrived}: more than ${Math.round(maxDeleteShare * 100)} % of them would be gone. Nothing was changed. If that is right, raise \`max_delete_share\` of the resource, or allow incomplete loads, for one run`,
      { resource: owner, path: table },
    )
  }
}

/** Trials, windows and replays bring other records than the load before. */
async function tellFieldsGone(
  { setup, connection, prepared, options, window, isReplay }: OpenLoadInput,
  filled: FilledColumns,
  { tables, drop, truncate }: CommitPlan,
  emit: (event: RunEvent) => void,
): Promise<void> {
  const { committed } = prepared
  const before = storedSchema(committed)
  const isOther = window !== undefined || isReplay === true || options.maxPages !== undefined
  if (isOther || before === undefined || committed?.loadId === undefined || drop.length + truncate.length > 0) return
  const rewritten = new Set(
    tables
      .filter(({ table, disposition }) => {
        const resource = before.tables.get(table)?.resource ?? table
        return disposition !== 'append' && !isPart(setup.source, resource)
      })
      .map(({ table }) => table),
  )
  const { source } = setup
  const { loadId } = committed
  for (const one of await fieldsGone({ source, before, filled, rewritten, loadId, connection }))
    emit({ type: 'warning', code: 'fields_gone', namesResource: true, ...one })
}
