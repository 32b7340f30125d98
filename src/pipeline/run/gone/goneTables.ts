import type { CommitPlan, Committed, CommittedView, Connection } from '../../../model/destination.js'
import { DestinationError } from '../../../model/errors.js'
import type { RunEvent } from '../../../model/events.js'
import { nextLoadId } from '../../../model/loadId.js'
import {
  bumpState,
  cursorTable,
  hasPosition,
  missingRows,
  newState,
  type PipelineState,
  withCursorTable,
  withMissingRows,
  withoutCursors,
} from '../../../model/pipelineState.js'
import type { DispositionHint, Resource } from '../../../model/source.js'
import { hasSeenData, unmarkSeenData } from '../../../schema/columns.js'
import { inspectDifferences } from '../../../schema/export/differences.js'
import type { Naming } from '../../../schema/naming.js'
import { rootTable, tableChain } from '../../../schema/rootKey.js'
import type { ReadonlySchema, Schema } from '../../../schema/schemaTypes.js'
import { bumpVersion, cloneSchema, ensureStateTable } from '../../../schema/stored/document.js'
import { storedSchema } from '../../look/dataset.js'
import type { PipelineSetup } from '../../setup.js'
import { parentOf } from '../plan/planResources.js'
import { namesKey } from '../plan/refusals.js'
import { type Filler, fillersOnRecord, withoutCursorsOf } from '../plan/sharedTables.js'
import { namingOf } from '../prepare.js'

/** What is committed, and whether tables were found gone. */
export interface Standing {
  readonly committed: Committed | undefined
  readonly isChanged: boolean
}

interface SettlingOptions {
  readonly emit: (event: RunEvent) => void
  /** Whether the run drops the table anyway: then there is nothing to tell. */
  readonly isDropped?: ((schema: ReadonlySchema, table: string) => boolean) | undefined
  /** How the run writes the rows of a resource. Default: as the document says. */
  readonly dispositionOf?: DispositionOf | undefined
}

type DispositionOf = (resource: Resource) => DispositionHint | undefined

const asDeclared: DispositionOf = ({ hints }) => hints.writeDisposition

/**
 * What a run begins with, after tables that are gone were settled: somebody has dropped them, so that cursors are ahead of
 * rows that are gone too. One transaction takes back what all that have filled them remember of their reading, in every
 * pipeline of the dataset, and drops what is nested below a root table that is gone. Whoever runs next reads from the
 * beginning. A resource that would then have rows twice keeps its cursor, and lacks rows until it is loaded anew.
 */
export async function settleGone(
  setup: PipelineSetup,
  connection: Connection,
  committed: Committed | undefined,
  { emit, isDropped = () => false, dispositionOf = asDeclared }: SettlingOptions,
): Promise<Standing> {
  const tables = committed === undefined ? undefined : (committed.tables ?? (await connection.inspect()))
  const begun = committed === undefined ? undefined : { ...committed, tables }
  if ((await settlingOf(setup, connection, begun, dispositionOf)) === undefined)
    return { committed: begun, isChanged: false }
  let messages: Settling['messages'] = []
  await connection.drop(async now => {
    const there = await now.committed(setup.name, setup.source.name)
    const settling = await settlingOf(setup, now, there, dispositionOf)
    const schema = settling?.schema ?? cloneSchema(storedSchema(there) as Schema)
    messages = (settling?.messages ?? []).filter(({ table }) => table === undefined || !isDropped(schema, table))
    ensureStateTable(schema, namingOf(setup, schema))
    bumpVersion(schema)
    return {
      tables: settling?.taken ?? [],
      schema,
      state: bumpState(settling?.state ?? stateOf(setup, there)),
      otherStates: settling?.otherStates ?? [],
      loadId: nextLoadId(setup.clock.now(), there?.loadId, setup.clock.random()),
    }
  })
  for (const { text: message } of messages) emit({ type: 'warning', code: 'schema_changed_at_destination', message })
  return { committed: await connection.committed(setup.name, setup.source.name), isChanged: true }
}

/** The state that a run would begin with. Changes nothing. */
export async function stateAfterSettling(
  setup: PipelineSetup,
  connection: CommittedView,
  committed: Committed | undefined,
): Promise<PipelineState | undefined> {
  return (await settlingOf(setup, connection, committed))?.state ?? committed?.state
}

/** What to store about tables that are gone. */
interface Settling {
  readonly schema: Schema
  readonly state: PipelineState
  readonly otherStates: readonly PipelineState[]
  /** The tables that are gone, and those nested below them that are not. */
  readonly taken: readonly string[]
  readonly messages: readonly { readonly table: string | undefined; readonly text: string }[]
}

/** Undefined if there is nothing to settle. */
async function settlingOf(
  setup: PipelineSetup,
  now: CommittedView,
  committed: Committed | undefined,
  dispositionOf: DispositionOf = asDeclared,
): Promise<Settling | undefined> {
  const stored = storedSchema(committed)
  if (committed === undefined || stored === undefined) return undefined
  const tables = committed.tables ?? (await now.inspect())
  const isPresent = presence(setup, tables)
  const gone = goneTables(setup, stored, tables)
  const leftover = [...stored.tables.values()]
    .filter(({ name, parent }) => parent !== undefined && isPresent(name))
    .map(({ name }) => name)
    .filter(name => gone.has(rootTable(stored, name)?.name ?? ''))
  const before = stateOf(setup, committed)
  const taken = new Set([...gone, ...leftover])
  const isThere = (name: string): boolean => isPresent(name) && !taken.has(name)
  const own = new OwnResources({ setup, schema: stored, state: before, isThere, dispositionOf })
  if (taken.size === 0 && !own.mayLack()) return undefined
  const fillers = await fillersOnRecord(now, taken, setup.name)
  const { state, told } = own.settled(taken, fillers.recorded)
  const others = await markedOthers(setup, now, fillers.fillers, state)
  const isSame = taken.size === 0 && state === before && others.otherStates.length === 0
  if (isSame) return undefined
  const schema = cloneSchema(stored)
  for (const name of taken) {
    const table = schema.tables.get(name)
    if (table !== undefined) unmarkSeenData(table)
  }
  const messages = [...gone].map(table => {
    const below = leftover.filter(name => rootTable(stored, name)?.name === table)
    const what = consequence(table, { told, below, others: others.told })
    return {
      table: others.told.has(table) ? undefined : table,
      text: `Table ${table} is gone from the destination${what}`,
    }
  })
  return {
    schema,
    state: others.own,
    otherStates: others.otherStates,
    taken: [...taken],
    messages: [...messages, ...own.renamed(told).map(text => ({ table: undefined, text }))],
  }
}

type Inspected = Awaited<ReturnType<CommittedView['inspect']>>

/** Whether a table is there, as the destination tells names apart. */
function presence({ destination }: PipelineSetup, tables: Inspected): (name: string) => boolean {
  const { caseSensitive } = destination.capabilities
  const spelled = (name: string): string => (caseSensitive ? name : name.toLowerCase())
  const present = new Set([...tables.keys()].map(spelled))
  return name => present.has(spelled(name))
}

function goneTables({ destination }: PipelineSetup, schema: ReadonlySchema, tables: Inspected): ReadonlySet<string> {
  const missing = inspectDifferences(schema, tables, destination.capabilities).filter(
    ({ kind }) => kind === 'missing_table',
  )
  return new Set(missing.map(({ table }) => table).filter(name => !name.startsWith('_dlt')))
}

/** What becomes of resources, by table in which rows of them are missing. */
interface Told {
  readonly anew: ReadonlyMap<string, ReadonlySet<string>>
  readonly whole: ReadonlyMap<string, ReadonlySet<string>>
  readonly lacking: ReadonlyMap<string, ReadonlySet<string>>
}

function consequence(
  table: string,
  { told, below, others }: { told: Told; below: readonly string[]; others: ReadonlyMap<string, readonly string[]> },
): string {
  const listed = (names: ReadonlySet<string> | undefined): string => [...(names ?? [])].join(', ')
  const is = (names: ReadonlySet<string> | undefined): string => ((names?.size ?? 0) > 1 ? 'are' : 'is')
  const [anew, whole, lacking] = [told.anew.get(table), told.whole.get(table), told.lacking.get(table)]
  const parts = [
    ...(below.length === 0 ? [] : [`${below.join(', ')}, nested below it, ${below.length > 1 ? 'are' : 'is'} dropped`]),
    ...(anew === undefined ? [] : [`${listed(anew)} ${is(anew)} read from the beginning`]),
    ...(whole === undefined ? [] : [`each run reads all of ${listed(whole)}`]),
    ...(lacking === undefined ? [] : [`${listed(lacking)} ${is(lacking)} not complete until a full refresh`]),
    ...(others.get(table) ?? []).map(what => `the next run of pipeline ${what} reads from the beginning`),
  ]
  return parts.map(part => `; ${part}`).join('')
}

/** Why a table lacks rows of a resource. Undefined if nothing speaks for it. */
export function lackingReason(state: PipelineState, source: string, resource: string): string | undefined {
  const { lacking } = missingRows(state, source, resource)
  if (lacking.length === 0) return undefined
  return `rows that it has loaded before are missing in ${lacking.join(', ')}, and to read them again would bring others twice: load it anew, with its parents and children, by a full refresh`
}

/** The state that says which table the cursors were made for, where they have moved. */
export function withCursorTables(
  state: PipelineState,
  source: string,
  resources: readonly Resource[],
  naming: Naming,
): PipelineState {
  return resources.reduce((current, resource) => {
    const { name } = resource
    const table = tableOf(resource, naming)
    const known = cursorTable(current, source, name)
    const isPlain = known === undefined && table === naming.tablesPath(name)
    if (isPlain || known === table || !hasPosition(current, source, name)) return current
    return withCursorTable(current, source, name, table)
  }, state)
}

/** No table has this name. */
const BY_FUNCTION = '*'

function tableOf({ name, hints: { tableName = name } }: Resource, naming: Naming): string {
  return typeof tableName === 'function' ? BY_FUNCTION : naming.tablesPath(tableName)
}

/** The resources of the source, and what becomes of them where their tables are gone. */
class OwnResources {
  readonly #setup: PipelineSetup
  readonly #schema: ReadonlySchema
  readonly #naming: Naming
  readonly #isThere: (table: string) => boolean
  readonly #state: PipelineState
  readonly #dispositionOf: DispositionOf

  constructor(before: {
    readonly setup: PipelineSetup
    readonly schema: ReadonlySchema
    readonly state: PipelineState
    readonly isThere: (table: string) => boolean
    readonly dispositionOf: DispositionOf
  }) {
    this.#setup = before.setup
    this.#schema = before.schema
    this.#naming = namingOf(before.setup, before.schema)
    this.#isThere = before.isThere
    this.#state = before.state
    this.#dispositionOf = before.dispositionOf
  }

  /** Whether there is something to look after, although no table is gone. */
  mayLack(): boolean {
    return this.#resources.some(resource => {
      const { lost, lacking } = missingRows(this.#state, this.#source, resource.name)
      return lost.length > 0 || lacking.length > 0 || this.#isRenamed(resource)
    })
  }

  /** The state after the tables are gone. `recorded`: by resource, the tables that receipts name. */
  settled(
    gone: ReadonlySet<string>,
    recorded: ReadonlyMap<string, ReadonlySet<string>>,
  ): { readonly state: PipelineState; readonly told: Told } {
    const losses = new Map<Resource, Loss>()
    for (const resource of this.#resources) {
      const loss = this.#loss(resource, gone, recorded)
      if (loss !== undefined) losses.set(resource, loss)
    }
    const told = { anew: new Map(), whole: new Map(), lacking: new Map() } satisfies Told
    const note = (to: Map<string, Set<string>>, tables: readonly string[], names: readonly string[]): void => {
      for (const table of tables) to.set(table, new Set([...(to.get(table) ?? []), ...names]))
    }
    const reset = new Set<string>()
    const lacking = new Map<string, readonly string[]>()
    for (const [resource, { tables, isWhole }] of losses) {
      const positioned = this.#lineage(resource).filter(({ name }) => hasPosition(this.#state, this.#source, name))
      const names = positioned.map(({ name }) => name)
      const isDoubled = this.#readAgain(positioned).some(
        one => one !== resource && this.#keeps(one, losses, recorded) && !this.#isMerged(one),
      )
      if (isDoubled || !(isWhole || this.#rewrites(resource))) {
        lacking.set(resource.name, tables)
        note(told.lacking, tables, [resource.name])
        continue
      }
      for (const name of names) reset.add(name)
      if (names.length === 0) note(told.whole, tables, [resource.name])
      else note(told.anew, tables, [...new Set([resource.name, ...names])])
    }
    const without = [...reset].reduce((state, name) => withoutCursors(state, this.#source, name), this.#state)
    const renamed = this.#resources.filter(resource => this.#isRenamed(resource))
    const moved = renamed.reduce(
      (state, resource) => withCursorTable(state, this.#source, resource.name, tableOf(resource, this.#naming)),
      without,
    )
    const state = this.#resources.reduce(
      (current, { name }) =>
        withMissingRows(current, this.#source, name, { lost: [], lacking: lacking.get(name) ?? [] }),
      moved,
    )
    return { state, told }
  }

  /** What to say of resources that fill another table than before. */
  renamed({ anew, lacking }: Told): readonly string[] {
    return this.#resources
      .filter(resource => this.#isRenamed(resource))
      .map(resource => {
        const { name } = resource
        const table = tableOf(resource, this.#naming)
        const isAnew = anew.get(table)?.has(name) === true
        const what = isAnew ? 'it is read from the beginning' : 'it is not complete until a full refresh'
        const where = table === BY_FUNCTION ? 'tables that a function names' : `table ${table}`
        return `${name} fills ${where} now, and its cursor was made for ${this.#madeFor(resource)}${isAnew || lacking.get(table)?.has(name) === true ? `; ${what}` : ''}`
      })
  }

  get #source(): string {
    return this.#setup.source.name
  }

  get #resources(): readonly Resource[] {
    return this.#setup.source.resources
  }

  #loss(
    resource: Resource,
    gone: ReadonlySet<string>,
    recorded: ReadonlyMap<string, ReadonlySet<string>>,
  ): Loss | undefined {
    const { name } = resource
    const table = tableOf(resource, this.#naming)
    const marked = missingRows(this.#state, this.#source, name)
    const lost = [...new Set([...gone, ...marked.lost])].filter(one => this.#fills(resource, one, recorded))
    if (this.#isRenamed(resource)) {
      const hasRows = table === BY_FUNCTION || (this.#isThere(table) && recorded.get(name)?.has(table) !== false)
      return { tables: [...new Set([...lost, table])], isWhole: !hasRows }
    }
    const lacking = marked.lacking.filter(one => this.#fills(resource, one, recorded))
    if (lost.length + lacking.length === 0) return undefined
    const roots = table === BY_FUNCTION ? this.#rootsByFunction(name, recorded) : [table]
    const isWhole = lost.length > 0 && roots.every(root => lost.includes(root) || !this.#isThere(root))
    return { tables: [...new Set([...lost, ...lacking])], isWhole }
  }

  #fills(resource: Resource, table: string, recorded: ReadonlyMap<string, ReadonlySet<string>>): boolean {
    const { name } = resource
    const own = tableOf(resource, this.#naming)
    const root = rootTable(this.#schema, table) ?? { name: table, resource: undefined }
    if (own === BY_FUNCTION) return root.resource === name || recorded.get(name)?.has(root.name) === true
    // Nested tables with keys of their own are roots.
    return root.name === own || (root.resource === name && root.name.startsWith(own))
  }

  #rootsByFunction(name: string, recorded: ReadonlyMap<string, ReadonlySet<string>>): readonly string[] {
    return [...this.#schema.tables.values()]
      .filter(({ parent }) => parent === undefined)
      .filter(table => table.resource === name || recorded.get(name)?.has(table.name) === true)
      .map(table => table.name)
  }

  /** The table that the cursor of a resource was made for. */
  #madeFor(resource: Resource): string | undefined {
    const { name } = resource
    const known = cursorTable(this.#state, this.#source, name)
    if (known !== undefined || !hasPosition(this.#state, this.#source, name)) return known
    const table = tableOf(resource, this.#naming)
    const now = this.#schema.tables.get(table)
    if (table === BY_FUNCTION || (now !== undefined && hasSeenData(now))) return undefined
    // The state does not say. The schema may.
    const filled = [...this.#schema.tables.values()].filter(
      one => one.parent === undefined && one.resource === name && hasSeenData(one),
    )
    return filled.length === 1 ? filled[0]?.name : undefined
  }

  #isRenamed(resource: Resource): boolean {
    const before = this.#madeFor(resource)
    return before !== undefined && before !== tableOf(resource, this.#naming)
  }

  /** The resource and those above it. */
  #lineage(resource: Resource): readonly Resource[] {
    const above = parentOf(this.#setup.source, resource)
    return above === undefined ? [resource] : [resource, ...this.#lineage(above)]
  }

  /** Resources whose records come again if these are read from the beginning. */
  #readAgain(anew: readonly Resource[]): readonly Resource[] {
    const again = new Set(anew)
    for (const resource of again) {
      for (const below of this.#resources) {
        if (below.parent === resource.name && !hasPosition(this.#state, this.#source, below.name)) again.add(below)
      }
    }
    return [...again]
  }

  /** Whether rows of the resource are there that it has loaded before. */
  #keeps(
    resource: Resource,
    losses: ReadonlyMap<Resource, Loss>,
    recorded: ReadonlyMap<string, ReadonlySet<string>>,
  ): boolean {
    if (losses.get(resource)?.isWhole === true) return false
    const table = tableOf(resource, this.#naming)
    const roots = table === BY_FUNCTION ? this.#rootsByFunction(resource.name, recorded) : [table]
    return roots.some(root => this.#isThere(root))
  }

  /** Whether records that come again do not become rows a second time. */
  #isMerged(resource: Resource): boolean {
    const owner = this.#owner(resource)
    const { hints } = owner
    const disposition = this.#dispositionOf(owner)?.disposition ?? 'append'
    const isKeyed =
      namesKey(hints) ||
      (hints.mergeKey ?? []).length > 0 ||
      hints.columns?.some(column => column.merge_key === true) === true
    return disposition === 'replace' || (disposition === 'merge' && isKeyed)
  }

  /** Whether records that come again write what is nested in them, although their row is there. */
  #rewrites(resource: Resource): boolean {
    const strategy = this.#dispositionOf(this.#owner(resource))?.strategy
    return this.#isMerged(resource) && strategy !== 'insert-only' && strategy !== 'scd2'
  }

  /** The resource by whose hints the table of another one goes. */
  #owner(resource: Resource): Resource {
    const table = tableOf(resource, this.#naming)
    if (table === BY_FUNCTION) return resource
    return this.#resources.find(one => tableOf(one, this.#naming) === table) ?? resource
  }
}

/** What a resource has lost. `isWhole`: none of its rows are left. */
interface Loss {
  readonly tables: readonly string[]
  readonly isWhole: boolean
}

/** States of all pipelines, with a mark at what other resources than those of this source have lost. */
async function markedOthers(
  setup: PipelineSetup,
  now: CommittedView,
  fillers: readonly Filler[],
  own: PipelineState,
  changed: readonly PipelineState[] = [],
): Promise<{
  readonly own: PipelineState
  readonly otherStates: readonly PipelineState[]
  /** By table: pipelines and their resources. */
  readonly told: ReadonlyMap<string, readonly string[]>
}> {
  const isOwn = new Set(setup.source.resources.map(({ name }) => name))
  const told = new Map<string, string[]>()
  const otherStates = new Map(changed.map(state => [state.pipeline_name, state]))
  let ownState = own
  for (const pipeline of new Set(fillers.map(one => one.pipeline))) {
    const hits = fillers.filter(
      one => one.pipeline === pipeline && (pipeline !== setup.name || !isOwn.has(one.resource)),
    )
    const before =
      pipeline === setup.name ? own : (otherStates.get(pipeline) ?? (await now.committed(pipeline, ''))?.state)
    if (before === undefined || hits.length === 0) continue
    const after = hits.reduce(marked, before)
    for (const table of new Set(hits.map(hit => hit.table))) {
      const names = hits.filter(hit => hit.table === table).map(({ resource }) => resource)
      if (pipeline !== setup.name)
        told.set(table, [
          ...(told.get(table) ?? []),
          `${pipeline}, which fills it by ${[...new Set(names)].join(', ')},`,
        ])
    }
    if (after === before) continue
    if (pipeline === setup.name) ownState = after
    else otherStates.set(pipeline, bumpState(after))
  }
  return { own: ownState, otherStates: [...otherStates.values()], told }
}

/** The next run of the pipeline makes up for the loss. Other tools know no mark: their cursors go. */
function marked(state: PipelineState, { resource, table, isBySchema }: Filler): PipelineState {
  if (isBySchema === true) return withoutCursorsOf(state, [resource])
  const { sources = {}, schema_names: names = [] } = state
  const withIt = Object.keys(sources).filter(source => Object.hasOwn(sources[source]?.resources ?? {}, resource))
  return (withIt.length > 0 ? withIt : names).reduce((current, source) => {
    const { lost, lacking } = missingRows(current, source, resource)
    return withMissingRows(current, source, resource, { lost: [...new Set([...lost, table])].sort(), lacking })
  }, state)
}

/**
 * States of other pipelines that have filled tables which this commit makes, although only their schemas know of them.
 * `changed`: those that change anyway, which the answer includes. Rejects if a table was dropped while the load was read: it has read past rows that are gone.
 */
export async function lossesByMaking(
  setup: PipelineSetup,
  now: CommittedView,
  committed: Committed | undefined,
  { schema, drop, tables }: CommitPlan,
  changed: readonly PipelineState[],
): Promise<readonly PipelineState[]> {
  const inspected = await now.inspect()
  const stored = storedSchema(committed)
  if (stored !== undefined) {
    const gone = [...goneTables(setup, stored, inspected)].filter(name => !drop.includes(name))
    if (gone.length > 0) throw droppedMeanwhile(setup, gone)
  }
  const isPresent = presence(setup, inspected)
  const made = tables
    .flatMap(({ table }) => tableChain(schema, table).map(({ name }) => name))
    .filter(name => !isPresent(name))
  const pipelines = made.length === 0 ? [] : ((await now.pipelines?.()) ?? [])
  const known = new Set<string>()
  const schemas = new Set<string>()
  for (const pipeline of pipelines) {
    for (const source of (await now.committed(pipeline, ''))?.state?.schema_names ?? []) schemas.add(source)
  }
  schemas.delete(setup.source.name)
  for (const name of schemas) {
    const [pipeline = setup.name] = pipelines
    const other = storedSchema(await now.committed(pipeline, name))
    for (const table of made) {
      const there = other?.tables.get(table)
      if (there !== undefined && hasSeenData(there)) known.add(table)
    }
  }
  if (known.size === 0) return changed
  const { fillers } = await fillersOnRecord(now, known, setup.name)
  const others = fillers.filter(({ pipeline }) => pipeline !== setup.name)
  return (await markedOthers(setup, now, others, stateOf(setup, committed), changed)).otherStates
}

function droppedMeanwhile({ destination }: PipelineSetup, gone: readonly string[]): DestinationError {
  const message = `${gone.join(', ')} was dropped at the destination while this load was read. Nothing was committed; run again`
  return new DestinationError('destination_locked', message, { destination: destination.name, transient: true })
}

/** The state that is committed, or the one that a pipeline begins with. */
export function stateOf(
  { name, datasetName, source, destination }: PipelineSetup,
  committed: Committed | undefined,
): PipelineState {
  const fresh = { datasetName, schemaName: source.name, destinationType: destination.capabilities.dltType }
  return committed?.state ?? newState(name, fresh)
}
