import { parseJson } from '../../../json/parse.js'
import { isJsonObject, member } from '../../../json/value.js'
import type { CommitPlan, CommittedView } from '../../../model/destination.js'
import { bumpState, type PipelineState, withoutCursors } from '../../../model/pipelineState.js'
import { rootTable, tableChain } from '../../../schema/rootKey.js'
import { LOAD_ID } from '../../../schema/systemTables.js'
import { storedSchema } from '../../look/dataset.js'
import type { PipelineSetup } from '../../setup.js'
import { RECEIPTS } from '../../storedReceipts.js'
import { refused } from './planResources.js'

/** A pipeline whose rows go with tables that are dropped, emptied or replaced. */
export interface LosingPipeline {
  readonly pipeline: string
  /** Those of its resources that have rows in these tables. */
  readonly resources: readonly string[]
  /** Those whose cursors are reset. The others have none. */
  readonly resets: readonly string[]
  readonly tables: readonly string[]
}

/** What a commit takes from resources that it does not load. */
export interface Losses {
  readonly losing: readonly LosingPipeline[]
  /** States of other pipelines, where they change: a cursor does not stay ahead of rows that are gone. */
  readonly otherStates: readonly PipelineState[]
  /** The pipeline's own state, changed likewise. */
  readonly withoutOwn: (state: PipelineState) => PipelineState
}

interface Clearing {
  /** The pipeline that commits. */
  readonly setup: PipelineSetup
  /** Those of its resources that are loaded again, or dropped on purpose. */
  readonly known: ReadonlySet<string>
  /** Those of them that were read from a cursor on: what they have loaded before does not come again. */
  readonly readOn?: ReadonlySet<string> | undefined
  /** The resource whose disposition a table has. */
  readonly ownerOf?: ((table: string) => string | undefined) | undefined
  readonly cleared: ReadonlySet<string>
}

/** What goes with a commit, no matter who has loaded it. */
export function clearedBy(
  setup: PipelineSetup,
  { schema, drop, truncate, tables, receipts }: CommitPlan,
  readOn: ReadonlySet<string>,
): Clearing {
  const replaced = tables
    .filter(({ disposition }) => disposition === 'replace')
    .flatMap(({ table }) => tableChain(schema, table).map(({ name }) => name))
  const known = new Set(receipts.map(({ resource }) => resource))
  const ownerOf = (table: string): string | undefined => rootTable(schema, table)?.resource
  return { setup, known, readOn, ownerOf, cleared: new Set([...drop, ...truncate, ...replaced]) }
}

/**
 * Who has rows in tables that are cleared: other pipelines, and other resources of this one. The receipts of the loads that
 * these rows name tell. Loads of other tools have none: there the schema tells. Rejects with a ConfigError if a resource has
 * that was read from a cursor on in the same load.
 */
export async function lossesOf(
  now: CommittedView,
  { setup, known, readOn = new Set(), ownerOf, cleared }: Clearing,
): Promise<Losses> {
  const isOwn = new Set(setup.source.resources.map(({ name }) => name).filter(name => !known.has(name)))
  const pipelines = cleared.size === 0 ? [] : ((await now.pipelines?.()) ?? [])
  const isAlone = pipelines.every(name => name === setup.name) && isOwn.size === 0 && readOn.size === 0
  const fillers = isAlone ? [] : await fillersOf(now, cleared, pipelines)
  for (const { pipeline, resource, table } of fillers)
    if (pipeline === setup.name && readOn.has(resource) && ownerOf?.(table) !== resource)
      throw readPast(setup, resource, table)
  const losing: LosingPipeline[] = []
  const otherStates: PipelineState[] = []
  let ownLosing: readonly string[] = []
  for (const pipeline of new Set(fillers.map(one => one.pipeline))) {
    const hits = fillers.filter(
      one => one.pipeline === pipeline && (pipeline !== setup.name || isOwn.has(one.resource)),
    )
    if (hits.length === 0) continue
    const resources = [...new Set(hits.map(({ resource }) => resource))]
    const state = (await now.committed(pipeline, ''))?.state
    const resets = resources.filter(name => state !== undefined && withoutCursorsOf(state, [name]) !== state)
    losing.push({ pipeline, resources, resets, tables: [...new Set(hits.map(({ table }) => table))] })
    if (pipeline === setup.name) ownLosing = resources
    else if (state !== undefined && resets.length > 0) otherStates.push(bumpState(withoutCursorsOf(state, resets)))
  }
  return { losing, otherStates, withoutOwn: state => bumpState(withoutCursorsOf(state, ownLosing)) }
}

/** Nothing would bring back the rows that a resource has in a table which another one replaces. */
function readPast({ source }: PipelineSetup, name: string, table: string): Error {
  const resource = source.resources.find(one => one.name === name)
  const message = `${name} has rows in table ${table}, which another resource replaces in this load, and its cursor is past them; give both the same \`write_disposition\`, or give one another table_name`
  return resource === undefined ? new TypeError(message) : refused(resource, 'write_disposition', message)
}

export function withoutCursorsOf(state: PipelineState, resources: readonly string[]): PipelineState {
  const sources = Object.keys(state.sources ?? {})
  return sources.reduce(
    (current, source) => resources.reduce((next, resource) => withoutCursors(next, source, resource), current),
    state,
  )
}

/** A resource that has rows in a table. */
export interface Filler {
  readonly pipeline: string
  readonly resource: string
  readonly table: string
  /** Only a stored schema tells. */
  readonly isBySchema?: true | undefined
}

/** Values in a condition. */
const IDS_AT_ONCE = 500

async function fillersOf(
  now: CommittedView,
  cleared: ReadonlySet<string>,
  pipelines: readonly string[],
): Promise<readonly Filler[]> {
  const fillers: Filler[] = []
  const unknown = new Set<string>()
  const inspected = await now.inspect()
  const hasReceipts = inspected.get(RECEIPTS)?.has('pipeline_name') === true
  for (const table of cleared) {
    // Rows of a nested table name no load: those of its root tell.
    if (inspected.get(table)?.has(LOAD_ID) !== true) continue
    const loadIds = new Set<string>()
    for await (const rows of now.read({ table, columns: [LOAD_ID], distinct: true }))
      for (const row of rows) loadIds.add(String(row[LOAD_ID]))
    const untold = new Set(loadIds)
    for (const { loadId, ...told } of hasReceipts ? await receiptsOf(now, [...loadIds], table) : []) {
      untold.delete(loadId)
      if (told.rows > 0) fillers.push({ ...told, table })
    }
    if (untold.size > 0) unknown.add(table)
  }
  return unknown.size === 0 ? fillers : [...fillers, ...(await fillersBySchema(now, unknown, pipelines))]
}

/**
 * Who has filled tables that are gone: no row tells any more, but the receipts of all loads do, and for pipelines without
 * receipts the stored schemas. `recorded`: by resource of the pipeline `own`, every table that its receipts name.
 */
export async function fillersOnRecord(
  now: CommittedView,
  tables: ReadonlySet<string>,
  own: string,
): Promise<{
  readonly fillers: readonly Filler[]
  readonly recorded: ReadonlyMap<string, ReadonlySet<string>>
}> {
  const recorded = new Map<string, Set<string>>()
  const fillers = new Map<string, Filler>()
  const withReceipts = new Set<string>()
  if ((await now.inspect()).get(RECEIPTS)?.has('pipeline_name') === true) {
    const where = [{ column: 'pipeline_name', operator: 'is not null' }] as const
    const columns = ['pipeline_name', 'resource', 'rows'] as const
    for await (const rows of now.read({ table: RECEIPTS, columns, distinct: true, where })) {
      for (const row of rows) {
        const [pipeline, resource] = [String(row.pipeline_name), String(row.resource)]
        withReceipts.add(pipeline)
        const counts = parseJson(String(row.rows))
        for (const [table, count] of isJsonObject(counts) ? Object.entries(counts) : []) {
          if (Number(count) <= 0) continue
          if (pipeline === own) recorded.set(resource, (recorded.get(resource) ?? new Set()).add(table))
          if (tables.has(table)) fillers.set(JSON.stringify([pipeline, resource, table]), { pipeline, resource, table })
        }
      }
    }
  }
  const others = tables.size === 0 ? [] : ((await now.pipelines?.()) ?? [])
  const untold = others.filter(pipeline => pipeline !== own && !withReceipts.has(pipeline))
  const bySchema = untold.length === 0 ? [] : await fillersBySchema(now, tables, untold)
  return { fillers: [...fillers.values(), ...bySchema.map(one => ({ ...one, isBySchema: true as const }))], recorded }
}

/** For each receipt of the loads that names its pipeline: the rows that it counts in the table. */
async function receiptsOf(now: CommittedView, loadIds: readonly string[], table: string) {
  const told: { loadId: string; pipeline: string; resource: string; rows: number }[] = []
  for (let from = 0; from < loadIds.length; from += IDS_AT_ONCE) {
    const query = {
      table: RECEIPTS,
      columns: ['load_id', 'pipeline_name', 'resource', 'rows'],
      where: [
        { column: 'load_id', operator: 'in', value: loadIds.slice(from, from + IDS_AT_ONCE) },
        { column: 'pipeline_name', operator: 'is not null' },
      ],
    } as const
    for await (const rows of now.read(query)) {
      for (const row of rows) {
        const counts = parseJson(String(row.rows))
        told.push({
          loadId: String(row.load_id),
          pipeline: String(row.pipeline_name),
          resource: String(row.resource),
          rows: isJsonObject(counts) ? Number(member(counts, table) ?? 0) : 0,
        })
      }
    }
  }
  return told
}

/** Resources with a state to which a stored schema assigns one of the tables. */
async function fillersBySchema(
  now: CommittedView,
  tables: ReadonlySet<string>,
  pipelines: readonly string[],
): Promise<readonly Filler[]> {
  const fillers: Filler[] = []
  for (const pipeline of pipelines) {
    const { sources = {} } = (await now.committed(pipeline, ''))?.state ?? {}
    for (const [source, { resources = {} }] of Object.entries(sources)) {
      const schema = storedSchema(await now.committed(pipeline, source))
      if (schema === undefined) continue
      for (const table of tables) {
        const resource = rootTable(schema, table)?.resource
        if (resource !== undefined && Object.hasOwn(resources, resource)) fillers.push({ pipeline, resource, table })
      }
    }
  }
  return fillers
}

/** What to tell of a pipeline that loses rows. */
export function lossText({ pipeline, resources, resets, tables }: LosingPipeline): string {
  const rest = resources.filter(name => !resets.includes(name))
  return [
    `Rows that pipeline ${pipeline} has loaded into ${tables.join(', ')} are gone too.`,
    ...(resets.length === 0
      ? []
      : [`Its cursors for ${resets.join(', ')} are reset: its next run loads them from the beginning.`]),
    ...(rest.length === 0
      ? []
      : [
          `For ${rest.join(', ')} it has no cursor: a run that reads all of it loads the rows again. If it is read for records of a resource with a cursor, only a full refresh of that pipeline does.`,
        ]),
    'To keep rows apart, give each resource a table of its own, with `table_name`',
  ].join(' ')
}

/** What to tell of rows that did not arrive and stay. */
export function keptText(table: string, rows: number): string {
  const were = rows === 1 ? '1 row did' : `${rows} rows did`
  return `${table}: ${were} not arrive and stayed, because other pipelines have loaded them. If this pipeline had another name then, a full refresh loads all its rows again`
}
