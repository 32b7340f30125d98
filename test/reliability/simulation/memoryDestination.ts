import { duckdbCapabilities } from '../../../src/destinations/duckdb/duckdbDialect.js'
import { systemRows, systemTables } from '../../../src/destinations/systemRows.js'
import type { Column, ColumnBatch } from '../../../src/model/batch.js'
import type { WindowAttempt } from '../../../src/model/cursors/cursorRange.js'
import type {
  Capabilities,
  CommitAnew,
  CommitPlan,
  Committed,
  CommittedView,
  Condition,
  Connection,
  DatasetRow,
  Destination,
  Load,
  LoadPlan,
  StagedLoad,
  TablePlan,
} from '../../../src/model/destination.js'
import { DestinationError } from '../../../src/model/errors.js'
import type { PipelineState } from '../../../src/model/pipelineState.js'
import type { Receipt } from '../../../src/model/receipt.js'
import { schemaText } from '../../../src/schema/stored/document.js'
import type { Life } from './life.js'

/** When the destination is lost: never, at one of its calls, or just before or after everything is committed. */
export type DestinationFault = 'none' | 'connect' | 'look' | 'begin' | 'stage' | 'before' | 'after'

export interface Stored {
  readonly tables: ReadonlyMap<string, readonly DatasetRow[]>
  readonly loads: readonly string[]
  /** Of the greatest id that one was stored with. */
  readonly state: PipelineState | undefined
  readonly stateOf: string | undefined
  readonly schema: string | undefined
  readonly schemaOf: string | undefined
  readonly receipts: readonly (Receipt & { readonly loadId: string })[]
  /** Rows of the ledger of windows. */
  readonly windows: readonly DatasetRow[]
}

/** A load that is opened, with what it has staged. */
interface MemoryLoad extends Load {
  readonly plan: LoadPlan
  readonly staged: ReadonlyMap<string, readonly DatasetRow[]>
}

export interface MemoryDestination {
  /** The destination as one process sees it. */
  of(life: Life): Destination
  setFault(fault: DestinationFault): void
  /** Default: those of DuckDB. */
  setCapabilities(capabilities: Capabilities): void
  /** A value: a commit makes another one. */
  readonly stored: Stored
}

/** A destination for tests: flat tables in memory, one commit, failures at will. Merges by the column `id`. */
export function memoryDestination(): MemoryDestination {
  let stored: Stored = {
    tables: new Map(),
    loads: [],
    state: undefined,
    stateOf: undefined,
    schema: undefined,
    schemaOf: undefined,
    receipts: [],
    windows: [],
  }
  let attempts: readonly WindowAttempt[] = []
  let fault: DestinationFault = 'none'
  let capabilities: Capabilities = duckdbCapabilities
  const inTurn = turns()
  const opened = new WeakMap<Load, MemoryLoad>()
  const fail = (when: DestinationFault): void => {
    if (fault !== when) return
    fault = 'none'
    throw new DestinationError('destination', `memory: failed (${when})`, { destination: 'memory', transient: true })
  }

  /** All of them, or none. */
  const commitAll = (
    life: Life,
    loads: readonly (MemoryLoad & { final: CommitPlan; anew: CommitAnew | undefined })[],
  ) =>
    inTurn(life, async () => {
      await life.step()
      fail('before')
      const now = stored
      const view = viewOf(now, life)
      const plans: CommitPlan[] = []
      for (const { final, anew } of loads) plans.push((await anew?.(view, plans)) ?? final)
      await life.step()
      stored = loads.reduce((before, { plan, staged }, place) => {
        const next = plans[place]
        if (next === undefined || before.loads.includes(plan.loadId)) return before
        return committed(before, plan, next, staged)
      }, now)
      await life.step()
      fail('after')
    })

  const load = (plan: LoadPlan, life: Life): MemoryLoad => {
    const staged = new Map<string, DatasetRow[]>()
    const made: MemoryLoad = {
      plan,
      staged,
      async stage(batch) {
        await life.step()
        fail('stage')
        const rows = staged.get(batch.table) ?? []
        rows.push(...rowsIn(batch))
        staged.set(batch.table, rows)
      },
      commit: (final, anew) => commitAll(life, [{ ...made, final, anew }]),
      async abort() {
        staged.clear()
      },
    }
    opened.set(made, made)
    return made
  }

  const viewOf = (now: Stored, life: Life): CommittedView => ({
    async committed(): Promise<Committed | undefined> {
      await life.step()
      const { state, schema, schemaOf } = now
      return schema === undefined ? undefined : { loadId: schemaOf, state, schema }
    },
    async hasLoad(loadId) {
      await life.step()
      return now.loads.includes(loadId)
    },
    async inspect() {
      const names = [...now.tables.keys(), ...(now.windows.length > 0 ? [systemTables.windows.name] : [])]
      return new Map(names.map(name => [name, new Map()]))
    },
    async *read({ table, where = [] }) {
      await life.step()
      const rows = table === systemTables.windows.name ? now.windows : []
      yield rows.filter(row => where.every(condition => holds(condition, row)))
    },
  })

  const connection = (dataset: string, life: Life): Connection => ({
    dataset,
    async committed(pipeline, schemaName) {
      await life.step()
      fail('look')
      return await viewOf(stored, life).committed(pipeline, schemaName)
    },
    hasLoad: loadId => viewOf(stored, life).hasLoad(loadId),
    async begin(plan) {
      await life.step()
      fail('begin')
      return load(plan, life)
    },
    commitTogether: (loads: readonly StagedLoad[]) =>
      commitAll(
        life,
        loads.map(({ load: one, final, anew }) => {
          const own = opened.get(one)
          if (own === undefined) throw new Error('a load of another connection')
          return { ...own, final, anew }
        }),
      ),
    inspect: () => viewOf(stored, life).inspect(),
    read: query => viewOf(stored, life).read(query),
    count: async table => stored.tables.get(table)?.length ?? 0,
    attempts: {
      async read() {
        await life.step()
        return attempts
      },
      change: (_, change) =>
        inTurn(life, async () => {
          await life.step()
          const next = change(attempts)
          await life.step()
          attempts = next
        }),
    },
    drop: async () => {
      throw new Error('not simulated')
    },
    [Symbol.asyncDispose]: async () => {},
  })

  return {
    of: life => ({
      name: 'memory',
      capabilities,
      async connect(dataset) {
        await life.step()
        fail('connect')
        return connection(dataset, life)
      },
    }),
    setFault(next) {
      fault = next
    },
    setCapabilities(next) {
      capabilities = next
    },
    get stored() {
      return stored
    },
  }
}

/** Work that one process does at a time. A process that dies meanwhile has undone nothing, and makes way. */
function turns(): <T>(life: Life, work: () => Promise<T>) => Promise<T> {
  let holder: { readonly life: Life; readonly over: Promise<void> } | undefined
  return async (life, work) => {
    for (let before = holder; before !== undefined; before = holder) {
      await Promise.race([before.over, before.life.death])
      if (holder === before) holder = undefined
    }
    let end = (): void => {}
    const own = {
      life,
      over: new Promise<void>(resolve => {
        end = resolve
      }),
    }
    holder = own
    try {
      return await work()
    } finally {
      if (holder === own) holder = undefined
      end()
    }
  }
}

function holds({ column, operator, value }: Condition, row: DatasetRow): boolean {
  const own = row[column] ?? null
  if (operator === 'is null') return own === null
  if (operator === '=') return own === value
  if (operator === '>') return Number(own) > Number(value)
  throw new TypeError(`the simulation has no ${operator}`)
}

function committed(
  before: Stored,
  opened: LoadPlan,
  plan: CommitPlan,
  staged: ReadonlyMap<string, readonly DatasetRow[]>,
): Stored {
  const tables = new Map(before.tables)
  const orphaned: TablePlan[] = []
  for (const one of plan.tables) {
    const { table, disposition, deletes } = one
    if (deletes?.mode === 'with_parent') orphaned.push(one)
    const rows = staged.get(table) ?? []
    const there = withDeletes(before.tables.get(table) ?? [], rows, deletes, plan.committedAt)
    if (disposition === 'append') tables.set(table, [...there, ...rows])
    else if (disposition === 'replace') tables.set(table, rows)
    else {
      const news = new Map(rows.map(row => [row.id, row]))
      tables.set(table, [...there.filter(row => !news.has(row.id)), ...news.values()])
    }
  }
  const taken = new Map<string, readonly DatasetRow[]>()
  // Three levels at most: as often as rows may lose their parents.
  for (const _ of orphaned)
    for (const { table, deletes } of orphaned) withoutOrphans(tables, taken, table, deletes, plan.committedAt)
  const { loadId } = opened
  const { laterLoadId = loadId } = plan
  const isNewest = (than: string | undefined): boolean => Number(laterLoadId) >= Number(than ?? 0)
  return {
    tables,
    loads: [...before.loads, ...new Set([loadId, laterLoadId])],
    ...(plan.state !== undefined && isNewest(before.stateOf)
      ? { state: plan.state, stateOf: laterLoadId }
      : { state: before.state, stateOf: before.stateOf }),
    ...(isNewest(before.schemaOf)
      ? { schema: schemaText(plan.schema), schemaOf: laterLoadId }
      : { schema: before.schema, schemaOf: before.schemaOf }),
    receipts: [...before.receipts, ...plan.receipts.map(receipt => ({ ...receipt, loadId }))],
    windows: [...before.windows, ...systemRows(opened, plan).windows],
  }
}

/** Rows that did not arrive are gone, or marked; those that are gone already stay as they are. */
function withDeletes(
  there: readonly DatasetRow[],
  arrived: readonly DatasetRow[],
  deletes: TablePlan['deletes'],
  at: bigint,
): readonly DatasetRow[] {
  if (deletes === undefined || deletes.mode === 'with_parent') return there
  const ids = new Set(arrived.map(row => row.id))
  if (deletes.mode === 'hard') return there.filter(row => ids.has(row.id))
  const { column } = deletes
  return there.map(row => (ids.has(row.id) || row[column] != null ? row : { ...row, [column]: at }))
}

/** Rows whose parents are gone go too, into `taken`, or are marked; those whose parents are back are no longer marked. */
function withoutOrphans(
  tables: Map<string, readonly DatasetRow[]>,
  taken: Map<string, readonly DatasetRow[]>,
  table: string,
  deletes: TablePlan['deletes'],
  at: bigint,
): void {
  if (deletes?.mode !== 'with_parent') return
  const { keys, column, onlyTaken } = deletes
  const parents = tables.get(deletes.parent) ?? []
  const isOf = (row: DatasetRow) => (above: DatasetRow) =>
    keys.every(({ parent, child }) => above[parent] === row[child])
  const isLive = (row: DatasetRow): boolean => column === undefined || row[column] == null
  const isThere = (row: DatasetRow): boolean => parents.filter(isLive).some(isOf(row))
  const goes = (row: DatasetRow): boolean => {
    if (!onlyTaken) return keys.every(({ child }) => row[child] != null) && !isThere(row)
    const gone = column === undefined ? (taken.get(deletes.parent) ?? []) : parents.filter(above => !isLive(above))
    return gone.some(isOf(row))
  }
  const rows = tables.get(table) ?? []
  if (column === undefined) {
    const going = new Set(rows.filter(goes))
    taken.set(table, [...(taken.get(table) ?? []), ...going])
    tables.set(
      table,
      rows.filter(row => !going.has(row)),
    )
  } else {
    const marked = (row: DatasetRow): DatasetRow => {
      if (row[column] == null) return goes(row) ? { ...row, [column]: at } : row
      return isThere(row) ? { ...row, [column]: null } : row
    }
    tables.set(table, rows.map(marked))
  }
}

function rowsIn({ rows, columns }: ColumnBatch): DatasetRow[] {
  const decoded = columns.map(column => [column.name, valuesIn(column, rows)] as const)
  return Array.from({ length: rows }, (_, row) =>
    Object.fromEntries(decoded.map(([name, values]) => [name, values[row] ?? null])),
  )
}

function valuesIn({ dataType, values, validity }: Column, rows: number): (string | bigint | null)[] {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
  const decoded: (string | bigint | null)[] = []
  let at = 0
  for (let row = 0; row < rows; row++) {
    if (validity !== undefined && ((validity[row >> 3] ?? 0) & (1 << (row & 7))) === 0) decoded.push(null)
    else if (dataType === 'bigint' || dataType === 'timestamp') {
      decoded.push(bytes.readBigInt64LE(at))
      at += 8
    } else if (dataType === 'text') {
      const end = at + 4 + bytes.readUInt32LE(at)
      decoded.push(bytes.toString('utf8', at + 4, end))
      at = end
    } else throw new TypeError(`the simulation has no ${dataType}`)
  }
  return decoded
}
