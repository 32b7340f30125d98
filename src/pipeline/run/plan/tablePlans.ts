import type { OrphanDeletes, TablePlan } from '../../../model/destination.js'
import { SchemaError } from '../../../model/errors.js'
import type { RunEvent } from '../../../model/events.js'
import type { Resource, Source } from '../../../model/source.js'
import type { Judgement } from '../../../model/verdict.js'
import { isoTimestampMicros } from '../../../normalize/exact/isoText.js'
import { hasSeenData } from '../../../schema/columns.js'
import { filledCondition, OPTION_STRATEGIES } from '../../../schema/mergeConditions.js'
import type { Naming } from '../../../schema/naming.js'
import { rootTable } from '../../../schema/rootKey.js'
import type { MergeStrategy, ReadonlySchema, ReadonlyTable, Schema } from '../../../schema/schemaTypes.js'
import { columnName } from '../../../schema/tableHints.js'
import type { ExpectationCheck } from '../expectationCheck.js'
import type { CursorTracker } from '../incremental/incremental.js'
import type { PartEnds } from '../incremental/listParts.js'
import type { ParentChanges } from '../incremental/parentChanges.js'
import type { Meter } from '../meter.js'
import { deletionOf, keyNamesParent, type PlannedResource, parentOf } from './planResources.js'

export interface OpenResource {
  readonly planned: PlannedResource
  readonly meter: Meter
  readonly cursor: CursorTracker | undefined
  readonly expectations: ExpectationCheck | undefined
  readonly changes: ParentChanges | undefined
  /** The run reads one partition. */
  readonly isPart: boolean
  /** The part of its list that the run reads. Undefined: all of it. */
  readonly part: PartEnds | undefined
}

/** Time when a complete listing no longer had the row. Null while the row is there. */
export const DELETION_MARK = '_sluice_deleted_at'

/** Input for the plans of all tables. */
export interface Judged {
  readonly source: Source
  readonly naming: Naming
  readonly fillers: Fillers
  readonly emit: (event: RunEvent) => void
  readonly committedAt: bigint
  readonly defaultStrategy: MergeStrategy
  readonly isReplay: boolean
  readonly allowIncomplete: boolean
}

export function tablePlans(
  schema: Schema,
  resources: readonly OpenResource[],
  rowsByTable: ReadonlyMap<string, number>,
  judged: Judged,
): readonly TablePlan[] {
  const loaded = new Map(resources.filter(({ planned }) => planned.loaded).map(one => [one.planned.resource.name, one]))
  const filled = new Set([...rowsByTable].filter(([, rows]) => rows > 0).map(([name]) => rootTable(schema, name)))
  const plans: TablePlan[] = []
  for (const table of schema.tables.values()) {
    if (table.parent !== undefined || table.resource === undefined || table.name.startsWith('_dlt')) continue
    const opened = loaded.get(table.resource)
    const replaces = opened?.planned.disposition.disposition === 'replace' && hasSeenData(table)
    const deletes = !judged.isReplay && opened?.planned.resource.deletes !== undefined && hasSeenData(table)
    if (!filled.has(table) && !replaces && !deletes) continue
    plans.push(tablePlan(schema, table, opened, judged))
  }
  return plans
}

/** For each resource of the source: the table it fills, unless a function names it, and why it may be incomplete. */
export type Fillers = ReadonlyMap<string, Filler>

interface Filler {
  readonly table: string | undefined
  readonly doubt: string | undefined
  /** Why something that should have been read was not. */
  readonly gap: string | undefined
  /** The same where something tells of records that were not read. A list whose end nothing proves may still be whole. */
  readonly lack: string | undefined
  /** Why only a part was to be read. */
  readonly part: string | undefined
  /** Why a row whose parent is gone may be in lists of other parents, which were not read. */
  readonly unreadOthers: string | undefined
  /** Why keys arrived that have no row. Not even the part that was read is whole then. */
  readonly discarded: string | undefined
}

/** Includes resources that take no part in the run: a table is complete only if all its resources are. */
export function fillersOf(
  source: Source,
  resources: readonly OpenResource[],
  judgements: ReadonlyMap<string, Judgement>,
  naming: Naming,
  earlierRuns: number,
): Fillers {
  const opened = new Map(resources.map(one => [one.planned.resource.name, one]))
  return new Map(
    source.resources.map(({ name, hints: { tableName = name } }) => {
      const table = typeof tableName === 'function' ? undefined : naming.tablesPath(tableName)
      const one = opened.get(name)
      const judgement = judgements.get(name)
      const ofTwo = isOfTwoRuns(one, opened, earlierRuns) ? ofTwoRuns(name) : undefined
      const gap = gapOf(name, one, judgement) ?? ofTwo
      const lack = judgement?.verdict === 'unproven' && !hasUnread(one, opened) ? ofTwo : gap
      const discarded = one === undefined ? undefined : discardedOf(name, one)
      const part = one === undefined ? undefined : doubtOf(name, one)
      const unreadOthers = unreadOthersOf(one, { opened, judgements, gap: lack ?? discarded })
      return [name, { table, doubt: gap ?? part ?? discarded, gap, lack, part, unreadOthers, discarded }]
    }),
  )
}

function gapOf(name: string, opened: OpenResource | undefined, judgement: Judgement | undefined): string | undefined {
  if (opened?.planned.loaded !== true || judgement === undefined) return `${name} took no part in the run`
  if (judgement.verdict !== 'complete') return `${name} is ${judgement.verdict}: ${judgement.reasons.join('; ')}`
  return undefined
}

/** Of lists that are read only where the parent changed, and of those below them. */
function unreadOthersOf(
  one: OpenResource | undefined,
  run: {
    readonly opened: ReadonlyMap<string, OpenResource>
    readonly judgements: ReadonlyMap<string, Judgement>
    readonly gap: string | undefined
  },
): string | undefined {
  for (let at = one; at !== undefined; at = run.opened.get(at.planned.resource.parent ?? '')) {
    if (at.changes === undefined) continue
    const { name, parent } = at.planned.resource
    if (losesParents(at, run.opened.get(parent ?? ''), run.judgements))
      return `records of ${parent} are gone, and lists of ${name} that were not read again may have its rows too; the next run reads every list`
    if (run.gap !== undefined) return run.gap
  }
  return undefined
}

/** Whether the run left out lists of the resource, and knows that records of its parent are gone. */
export function losesParents(
  { changes }: OpenResource,
  parent: OpenResource | undefined,
  judgements: ReadonlyMap<string, Judgement>,
): boolean {
  return changes?.hasLostParents() === true && isWhole(parent, judgements)
}

/** Whether the run has met every record of the resource. */
export function isWhole(opened: OpenResource | undefined, judgements: ReadonlyMap<string, Judgement>): boolean {
  if (opened === undefined) return false
  const { name, incremental } = opened.planned.resource
  return incremental === undefined && judgements.get(name)?.verdict === 'complete'
}

/** Whether records of the resource or its ancestors are, or may be, unread for a reason. */
function hasUnread(one: OpenResource | undefined, opened: ReadonlyMap<string, OpenResource>): boolean {
  for (let at = one; at !== undefined; at = opened.get(at.planned.resource.parent ?? '')) {
    if (at.meter.unread.size > 0) return true
  }
  return false
}

/** Whether the pages of the resource and its ancestors are those of several runs, all but the last of which were interrupted. */
export function isOfTwoRuns(
  one: OpenResource | undefined,
  opened: ReadonlyMap<string, OpenResource>,
  earlierRuns: number,
): boolean {
  let [earlier, now] = [0, 0]
  for (let at = one; at !== undefined; at = opened.get(at.planned.resource.parent ?? '')) {
    earlier += at.meter.pagesOf.earlier
    now += at.meter.pagesOf.now
  }
  return earlier > 0 && (now > 0 || earlierRuns > 1)
}

function ofTwoRuns(name: string): string {
  return `${name} was read in part by an earlier run, which was interrupted, and records that moved since then may be missing; the next run reads all of it`
}

/** Why rows may still exist that did not arrive, although everything planned was read. */
function doubtOf(name: string, { cursor, isPart, meter: { lists } }: OpenResource): string | undefined {
  if (isPart) return `${name} was read for one partition only`
  if (cursor !== undefined) return `${name} was read inside the window of its cursor only`
  if (lists === 0) return `${name} requested nothing, because there was no parent record`
  return undefined
}

function discardedOf(name: string, { meter: { discardedRows } }: OpenResource): string | undefined {
  return discardedRows > 0 ? `rows of ${name} arrived that the schema contract does not admit` : undefined
}

function tablePlan(
  schema: ReadonlySchema,
  table: ReadonlyTable,
  opened: OpenResource | undefined,
  judged: Judged,
): TablePlan {
  const { committedAt, defaultStrategy, isReplay } = judged
  const disposition =
    table.write_disposition === undefined || table.write_disposition === 'skip' ? 'append' : table.write_disposition
  const given =
    disposition === 'merge' ? ((table['x-merge-strategy'] as MergeStrategy | undefined) ?? defaultStrategy) : undefined
  const keepsAbsent = (given === 'cdc' || given === 'scd2') && mayLack(table, given, opened, judged)
  const strategy = given === 'cdc' && keepsAbsent ? 'upsert' : given
  return {
    table: table.name,
    disposition,
    strategy,
    ...mergeOptions(table, strategy),
    ...guard(table, strategy, opened, judged),
    boundary: strategy === 'scd2' ? boundaryOf(table, committedAt) : undefined,
    ...(strategy === 'scd2' && keepsAbsent && { keepsAbsent }),
    ...(isReplay || opened === undefined ? {} : deletesOf(schema, table, opened.planned.resource, judged)),
  }
}

/** Whether this run does not say which rows are gone, so that `cdc` deletes none and `scd2` ends no version of them. */
function mayLack(
  table: ReadonlyTable,
  strategy: 'cdc' | 'scd2',
  opened: OpenResource | undefined,
  { fillers, isReplay, allowIncomplete, emit }: Judged,
): boolean {
  // Pages of an earlier time do not say what is gone now.
  if (isReplay) return true
  if (opened === undefined) return false
  const { name, incremental } = opened.planned.resource
  // After a sync token an API lists what changed.
  if (incremental?.isToken === true) return true
  if (allowIncomplete) return false
  const [whole, part] = strategy === 'cdc' ? [WHOLE_DOUBTS, PART_DOUBTS] : [WHOLE_LACKS, PART_LACKS]
  const doubt = tableDoubt(fillers, name, table.name, namesPart(table) ? part : whole)
  if (doubt === undefined) return false
  tellSkipped(emit, name, strategy === 'cdc' ? undeleted(table.name) : unended(table), doubt)
  return true
}

function undeleted(table: string): string {
  return `nothing was deleted from table ${table}`
}

function unended(table: ReadonlyTable): string {
  const hasKey = [...table.columns.values()].some(column => column.primary_key === true || column.merge_key === true)
  return hasKey
    ? `versions of records that did not arrive stay valid in table ${table.name}`
    : `no version was ended in table ${table.name}, because only a primary_key tells which one a record replaces`
}

/** The stored options that the strategy takes. */
function mergeOptions(
  table: ReadonlyTable,
  strategy: MergeStrategy | undefined,
): Pick<TablePlan, 'sourceFilter' | 'destinationScope' | 'skipUnchanged'> {
  const stored = (option: keyof typeof OPTION_STRATEGIES, hint: string): unknown =>
    strategy !== undefined && (OPTION_STRATEGIES[option] as readonly string[]).includes(strategy)
      ? table[hint]
      : undefined
  const filter = stored('source_filter', 'x-merge-source-filter')
  const scope = stored('destination_scope', 'x-merge-destination-scope')
  return {
    sourceFilter: typeof filter === 'string' && filter !== '' ? filledCondition(filter) : undefined,
    destinationScope: typeof scope === 'string' && scope !== '' ? scope : undefined,
    skipUnchanged: stored('skip_unchanged_rows', 'x-merge-skip-unchanged-rows') === true,
  }
}

/** How much of a table the scope of a merge may take away after a listing that may lack rows. */
function guard(
  table: ReadonlyTable,
  strategy: MergeStrategy | undefined,
  opened: OpenResource | undefined,
  { fillers, isReplay, allowIncomplete }: Judged,
): Pick<TablePlan, 'maxDeleteShare'> {
  if (opened === undefined || isReplay || allowIncomplete) return {}
  if (strategy !== 'delete-insert' || !hasScope(table)) return {}
  const { name, maxDeleteShare = DEFAULT_MAX_DELETE_SHARE } = opened.planned.resource
  return tableDoubt(fillers, name, table.name, PART_DOUBTS) === undefined ? {} : { maxDeleteShare }
}

/** Whether a scope or a merge key says which part of the table a list replaces. Then a cursor may read a part of it. */
function namesPart(table: ReadonlyTable): boolean {
  return hasScope(table) || [...table.columns.values()].some(column => column.merge_key === true)
}

function hasScope(table: ReadonlyTable): boolean {
  const scope = table['x-merge-destination-scope']
  return typeof scope === 'string' && scope !== ''
}

/** What to delete from a table. Nothing, with a warning, if it may not have been read completely. */
function deletesOf(
  schema: ReadonlySchema,
  table: ReadonlyTable,
  resource: Resource,
  judged: Judged,
): Pick<TablePlan, 'deletes' | 'maxDeleteShare'> {
  const { name, deletes, maxDeleteShare = DEFAULT_MAX_DELETE_SHARE } = resource
  if (deletes === undefined) return {}
  const orphans = deletes.mode === 'with_parent' ? orphansOf(schema, table, resource, deletes.keys, judged) : undefined
  const doubt = orphans === undefined ? tableDoubt(judged.fillers, name, table.name) : orphans.doubt
  if (doubt !== undefined) {
    tellSkipped(judged.emit, name, undeleted(table.name), doubt)
    return {}
  }
  const own = deletes.mode === 'soft' ? ({ mode: 'soft', column: DELETION_MARK } as const) : ({ mode: 'hard' } as const)
  return { deletes: orphans?.deletes ?? own, maxDeleteShare }
}

function tellSkipped(emit: Judged['emit'], resource: string, what: string, why: string): void {
  const message = `${resource}: ${what}: ${why}`
  emit({ type: 'warning', code: 'deletes_skipped', resource, namesResource: true, message })
}

type Doubting = 'doubt' | 'gap' | 'lack' | 'part' | 'discarded'
const WHOLE_DOUBTS: readonly Doubting[] = ['doubt']
const PART_DOUBTS: readonly Doubting[] = ['gap', 'discarded']
// Two versions of one record would be valid if a list that nothing proves ended none.
const WHOLE_LACKS: readonly Doubting[] = ['lack', 'part', 'discarded']
const PART_LACKS: readonly Doubting[] = ['lack', 'discarded']

/** Why a table may have rows that did not arrive: the first reason among all resources that fill it. */
function tableDoubt(
  fillers: Fillers,
  owner: string,
  table: string,
  kinds: readonly Doubting[] = WHOLE_DOUBTS,
): string | undefined {
  const own = fillers.get(owner)
  const others = [...fillers].filter(([other, filler]) => other !== owner && filler.table === table)
  return [own, ...others.map(([, filler]) => filler)]
    .flatMap(filler => kinds.map(kind => filler?.[kind]))
    .find(why => why !== undefined)
}

/**
 * Deletes rows whose parent's row is gone, or says why it deletes none. The nearest ancestor without `with_parent` must
 * be complete. If an ancestor in between is not complete, its table may lack rows that exist. Then rows are deleted
 * only if their parent's row is deleted in this load.
 */
function orphansOf(
  schema: ReadonlySchema,
  table: ReadonlyTable,
  resource: Resource,
  keys: readonly { readonly parent: string; readonly child: string }[],
  { source, fillers, naming }: Judged,
):
  | { readonly deletes: OrphanDeletes; readonly doubt?: undefined }
  | { readonly doubt: string; readonly deletes?: undefined } {
  let onlyTaken = false
  for (let above = parentOf(source, resource); above !== undefined; above = parentOf(source, above)) {
    const doubt = tableDoubt(fillers, above.name, fillers.get(above.name)?.table ?? above.name)
    const goesByItself = above.deletes?.mode !== 'with_parent'
    if (doubt !== undefined && goesByItself) return { doubt }
    if (doubt !== undefined) onlyTaken = true
    if (goesByItself) break
  }
  const parent = fillers.get(resource.parent ?? '')?.table
  const parentTable = parent === undefined ? undefined : schema.tables.get(parent)
  if (parentTable === undefined) return { doubt: `${resource.parent ?? 'its parent'} has no table yet` }
  const others = fillers.get(resource.name)?.unreadOthers
  if (others !== undefined && !keyNamesParent(source, resource)) {
    const columns = keys.map(key => `\`${key.child}\``).join(', ')
    return { doubt: `${others}. With ${columns} in the \`primary_key\`, each parent has rows of its own` }
  }
  const primaryKey = parentOf(source, resource)?.hints.primaryKey ?? []
  // Other repeated columns may change in the parent's row.
  const identity = keys.filter(key => primaryKey.includes(key.parent))
  const pairs = identity.map(key => ({
    parent: columnName(schema, naming, key.parent),
    child: columnName(schema, naming, key.child),
  }))
  for (const pair of pairs) {
    const [above, own] = [parentTable.columns.get(pair.parent), table.columns.get(pair.child)]
    if (above?.data_type === undefined || own?.data_type === undefined)
      return { doubt: `no row names its parent's ${pair.parent} yet` }
    if (TYPE_HINTS.some(hint => (above[hint] ?? null) !== (own[hint] ?? null)))
      return {
        doubt: `${pair.child} is not of the type of ${parentTable.name}.${pair.parent}; give both columns the same hints`,
      }
  }
  const column = deletionOf(source, resource) === 'soft' ? DELETION_MARK : undefined
  return { deletes: { mode: 'with_parent', parent: parentTable.name, onlyTaken, keys: pairs, column } }
}

/** If columns differ in one of these, one value may be stored in two ways, for example rounded. */
const TYPE_HINTS = ['data_type', 'precision', 'scale', 'timezone'] as const

/** If more than a tenth of a table disappears at once, the API is more likely to be wrong. */
export const DEFAULT_MAX_DELETE_SHARE = 0.1

function boundaryOf(table: ReadonlyTable, committedAt: bigint): bigint {
  const hint = table['x-boundary-timestamp']
  if (typeof hint !== 'string') return committedAt
  const micros = isoTimestampMicros(hint)
  if (micros === undefined)
    throw new SchemaError(
      'schema',
      `${table.name}: boundary_timestamp ${JSON.stringify(hint)} is not an ISO timestamp`,
      { table: table.name },
    )
  return micros
}
