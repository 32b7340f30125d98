import { parseJson } from '../../json/parse.js'
import { isJsonObject } from '../../json/value.js'
import type { CommitPlan, CommittedView } from '../../model/destination.js'
import { bumpState, type PipelineState, withoutCursors } from '../../model/pipelineState.js'
import { rootTable, tableChain } from '../../schema/rootKey.js'
import { storedSchema } from '../look/dataset.js'
import type { PipelineSetup } from '../setup.js'
import { RECEIPTS } from '../storedReceipts.js'

/** A pipeline whose rows go with tables that are dropped, emptied or replaced. */
export interface LosingPipeline {
  readonly pipeline: string
  /** Those of its resources that have filled these tables. Their cursors are reset. */
  readonly resources: readonly string[]
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
  readonly dropped: ReadonlySet<string>
  readonly replaced: ReadonlySet<string>
}

/** What goes with a commit, no matter who has loaded it. */
export function clearedBy(setup: PipelineSetup, { schema, drop, truncate, tables, receipts }: CommitPlan): Clearing {
  const replaced = tables
    .filter(({ disposition }) => disposition === 'replace')
    .flatMap(({ table }) => tableChain(schema, table).map(({ name }) => name))
  const known = new Set(receipts.map(({ resource }) => resource))
  return { setup, known, dropped: new Set([...drop, ...truncate]), replaced: new Set(replaced) }
}

/**
 * Who has rows in tables that are cleared: other pipelines, and other resources of this one. Receipts tell. Loads of
 * other tools have none: there the schema tells, when tables are dropped.
 */
export async function lossesOf(now: CommittedView, { setup, known, dropped, replaced }: Clearing): Promise<Losses> {
  const cleared = new Set([...dropped, ...replaced])
  const losing: LosingPipeline[] = []
  const otherStates: PipelineState[] = []
  const isOwn = new Set(setup.source.resources.map(({ name }) => name).filter(name => !known.has(name)))
  let ownLosing: readonly string[] = []
  const pipelines = cleared.size === 0 ? [] : ((await now.pipelines?.()) ?? [])
  const isAlone = pipelines.every(name => name === setup.name) && isOwn.size === 0
  const loaded = isAlone ? new Map<string, Filled[]>() : await filledTables(now)
  for (const pipeline of isAlone ? [] : pipelines) {
    const state = (await now.committed(pipeline, ''))?.state
    if (state === undefined) continue
    const filled = loaded.get(pipeline) ?? (dropped.size === 0 ? [] : await filledBySchema(now, pipeline, state))
    const hits: Filled[] = []
    for (const one of filled) {
      if (!cleared.has(one.table) || (pipeline === setup.name && !isOwn.has(one.resource))) continue
      if (await hasRows(now, one)) hits.push(one)
    }
    if (hits.length === 0) continue
    const resources = [...new Set(hits.map(({ resource }) => resource))]
    losing.push({ pipeline, resources, tables: [...new Set(hits.map(({ table }) => table))] })
    if (pipeline === setup.name) ownLosing = resources
    else {
      const reset = bumpState(withoutCursorsOf(state, resources))
      if (reset !== state) otherStates.push(reset)
    }
  }
  return { losing, otherStates, withoutOwn: state => bumpState(withoutCursorsOf(state, ownLosing)) }
}

function withoutCursorsOf(state: PipelineState, resources: readonly string[]): PipelineState {
  const sources = Object.keys(state.sources ?? {})
  return sources.reduce(
    (current, source) => resources.reduce((next, resource) => withoutCursors(next, source, resource), current),
    state,
  )
}

/** A table that a resource has filled. */
interface Filled {
  readonly resource: string
  readonly table: string
  /** The newest loads that did. Undefined: not known. */
  readonly loadIds: readonly string[] | undefined
}

/** Receipts to look at: those of the newest loads. */
const NEWEST_RECEIPTS = 2000
/** Loads of one resource to look for in a table. */
const NEWEST_LOADS = 100

/** By pipeline: what its receipts say. */
async function filledTables(now: CommittedView): Promise<Map<string, Filled[]>> {
  const found = new Map<string, { pipeline: string; resource: string; table: string; loadIds: string[] }>()
  if ((await now.inspect()).get(RECEIPTS)?.has('pipeline_name') !== true) return new Map()
  const newest = {
    table: RECEIPTS,
    columns: ['load_id', 'pipeline_name', 'resource', 'rows'],
    where: [{ column: 'pipeline_name', operator: 'is not null' }],
    orderBy: [{ column: 'load_id', descending: true }],
    limit: NEWEST_RECEIPTS,
  } as const
  for await (const rows of now.read(newest)) {
    for (const row of rows) {
      const counts = parseJson(String(row.rows))
      if (!isJsonObject(counts)) continue
      const [pipeline, resource] = [String(row.pipeline_name), String(row.resource)]
      for (const [table, count] of Object.entries(counts)) {
        if (!(Number(count) > 0)) continue
        const key = JSON.stringify([pipeline, resource, table])
        const one = found.get(key) ?? { pipeline, resource, table, loadIds: [] }
        if (one.loadIds.length < NEWEST_LOADS) one.loadIds.push(String(row.load_id))
        found.set(key, one)
      }
    }
  }
  const byPipeline = new Map<string, Filled[]>()
  for (const { pipeline, ...one } of found.values())
    byPipeline.set(pipeline, [...(byPipeline.get(pipeline) ?? []), one])
  return byPipeline
}

/** What the stored schemas of a pipeline say. */
async function filledBySchema(now: CommittedView, pipeline: string, state: PipelineState): Promise<Filled[]> {
  const filled: Filled[] = []
  for (const [source, { resources }] of Object.entries(state.sources ?? {})) {
    const schema = storedSchema(await now.committed(pipeline, source))
    for (const { name: table } of schema?.tables.values() ?? []) {
      const resource = schema === undefined ? undefined : rootTable(schema, table)?.resource
      if (resource !== undefined && Object.hasOwn(resources ?? {}, resource))
        filled.push({ resource, table, loadIds: undefined })
    }
  }
  return filled
}

const LOAD_ID = '_dlt_load_id'

/** Whether the table has rows of these loads. Rows of a nested table name no load: those of its root tell. */
async function hasRows(now: CommittedView, { table, loadIds }: Filled): Promise<boolean> {
  const columns = (await now.inspect()).get(table)
  if (columns === undefined) return false
  if (loadIds === undefined) return true
  if (!columns.has(LOAD_ID)) return false
  const where = [{ column: LOAD_ID, operator: 'in', value: loadIds }] as const
  for await (const rows of now.read({ table, columns: [LOAD_ID], where, limit: 1 })) if (rows.length > 0) return true
  return false
}

/** What to tell of a pipeline that loses rows. */
export function lossText({ pipeline, resources, tables }: LosingPipeline): string {
  return `Rows that pipeline ${pipeline} has loaded into ${tables.join(', ')} are gone too. Its cursors for ${resources.join(', ')} are reset: its next run loads them from the beginning. To keep rows apart, give each resource a table of its own, with \`table_name\``
}

/** What to tell of rows that did not arrive and stay. */
export function keptText(table: string, rows: number): string {
  const were = rows === 1 ? '1 row did' : `${rows} rows did`
  return `${table}: ${were} not arrive and stayed, because other pipelines have loaded them. If this pipeline had another name then, a full refresh loads all its rows again`
}
