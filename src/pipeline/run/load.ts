import type { CommitPlan } from '../../model/destination.js'
import { DataError } from '../../model/errors.js'
import type { RunEvent } from '../../model/events.js'
import type { Receipt } from '../../model/receipt.js'
import { ResourceNotes } from '../../model/source.js'
import { createNormalizer, type Normalizer } from '../../normalize/normalizer.js'
import { resolveContract } from '../../schema/contracts.js'
import { storedSchema } from '../look/dataset.js'
import { lastWholeReceipts } from '../look/pastLoads.js'
import { conclude, type OpenLoadInput, type StateOn } from './concludeLoad.js'
import type { ResourceRun } from './extract.js'
import { FilledColumns, fieldsGone } from './gone/fieldsGone.js'
import { isPart } from './gone/rowsGone.js'
import { PartitionParents } from './incremental/partitions.js'
import { openResource } from './openResource.js'
import { flattenPlan, type PlannedResource, parentOf, resourcesByTable } from './plan/planResources.js'
import { DEFAULT_MAX_DELETE_SHARE, type Fillers, type OpenResource } from './plan/tablePlans.js'
import { recordWriter, type TableFate, writer } from './writer.js'

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

export function openLoad(input: OpenLoadInput): OpenLoad {
  const { prepared, setup, options, roots } = input
  const { schema, naming } = prepared
  const opened = new Map<string, OpenResource>()
  const emit = (event: RunEvent): void => {
    if ('resource' in event && event.resource !== undefined) opened.get(event.resource)?.meter.observe(event)
    input.emit(event)
  }
  const normalizer = normalizerOf(input, emit)
  const filled = new FilledColumns()
  const rows = writer(normalizer, input.load, schema, filled)
  for (const planned of flattenPlan(roots)) opened.set(planned.resource.name, openResource(planned, input, emit))
  const writing = {
    ...prepared,
    source: setup.source,
    options,
    emit,
    rows,
    byTable: resourcesByTable(roots, naming),
    fates: new Map<string, TableFate>(),
    owners: new Map<string, PlannedResource>(),
  }
  const toRun = ({ resource, loaded, children }: PlannedResource): ResourceRun => {
    const one = opened.get(resource.name) as OpenResource
    const partition = input.windows.partitions.get(resource.name)
    const parent = parentOf(setup.source, resource)
    return {
      ...one,
      resource,
      partition: partition && parent && new PartitionParents(partition, parent),
      notes: new ResourceNotes(),
      children: children.map(toRun),
      write: loaded ? recordWriter(one.planned, { ...writing, meter: one.meter }) : undefined,
    }
  }
  const resources = roots.map(toRun)
  return {
    resources,
    emit,
    finish: async () => {
      await rows.finish()
      tellUnused(resources, opened.values(), emit)
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

function normalizerOf({ prepared, setup, loadId }: OpenLoadInput, emit: (event: RunEvent) => void): Normalizer {
  const { schema, naming } = prepared
  const { nulInText, maxColumns, decimal, wei, batchRows } = setup.destination.capabilities
  return createNormalizer({
    schema,
    naming,
    loadId,
    warn: (code, message, resource) =>
      emit({ type: 'warning', code, message, ...(resource === undefined ? {} : { resource }) }),
    contract: table => resolveContract(schema, table),
    nulInText,
    maxColumns,
    decimals: { decimal, wei },
    batchRows,
  })
}

/** Warns of paths of the document that led to nothing, and of cursors that did not do what the document says. */
function tellUnused(
  runs: readonly ResourceRun[],
  opened: Iterable<OpenResource>,
  emit: (event: RunEvent) => void,
): void {
  for (const message of unmatchedPaths(runs)) emit({ type: 'warning', code: 'path_unmatched', message })
  for (const { planned, cursor } of opened) {
    const resource = planned.resource.name
    const ignored = cursor?.startIgnored?.()
    if (ignored !== undefined) emit({ type: 'warning', code: 'start_ignored', resource, message: ignored })
    const order = cursor?.readOn?.()
    if (order !== undefined) emit({ type: 'warning', code: 'cursor_order', resource, message: order })
  }
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
