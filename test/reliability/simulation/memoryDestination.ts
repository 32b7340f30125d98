import { duckdbCapabilities } from '../../../src/destinations/duckdb/duckdbDialect.js'
import type { Column, ColumnBatch } from '../../../src/model/batch.js'
import type {
  CommitPlan,
  Committed,
  Connection,
  DatasetRow,
  Destination,
  Load,
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
  readonly state: PipelineState | undefined
  readonly schema: string | undefined
  readonly receipts: readonly (Receipt & { readonly loadId: string })[]
}

export interface MemoryDestination {
  /** The destination as one process sees it. */
  of(life: Life): Destination
  setFault(fault: DestinationFault): void
  /** A value: a commit makes another one. */
  readonly stored: Stored
}

/** A destination for tests: flat tables in memory, one commit, failures at will. Merges by the column `id`. */
export function memoryDestination(): MemoryDestination {
  let stored: Stored = { tables: new Map(), loads: [], state: undefined, schema: undefined, receipts: [] }
  let fault: DestinationFault = 'none'
  const fail = (when: DestinationFault): void => {
    if (fault !== when) return
    fault = 'none'
    throw new DestinationError('destination', `memory: failed (${when})`, { destination: 'memory', transient: true })
  }

  const load = (loadId: string, life: Life): Load => {
    const staged = new Map<string, DatasetRow[]>()
    return {
      async stage(batch) {
        await life.step()
        fail('stage')
        const rows = staged.get(batch.table) ?? []
        rows.push(...rowsIn(batch))
        staged.set(batch.table, rows)
      },
      async commit(plan) {
        await life.step()
        fail('before')
        if (!stored.loads.includes(loadId)) stored = committed(stored, loadId, plan, staged)
        await life.step()
        fail('after')
      },
      async abort() {
        staged.clear()
      },
    }
  }

  const connection = (dataset: string, life: Life): Connection => ({
    dataset,
    async committed(): Promise<Committed | undefined> {
      await life.step()
      fail('look')
      const { state, schema, loads } = stored
      return schema === undefined ? undefined : { loadId: loads.at(-1), state, schema }
    },
    async hasLoad(loadId) {
      await life.step()
      return stored.loads.includes(loadId)
    },
    async begin({ loadId }) {
      await life.step()
      fail('begin')
      return load(loadId, life)
    },
    inspect: async () => new Map([...stored.tables.keys()].map(name => [name, new Map()])),
    async *read() {},
    count: async table => stored.tables.get(table)?.length ?? 0,
    drop: async () => {
      throw new Error('not simulated')
    },
    [Symbol.asyncDispose]: async () => {},
  })

  return {
    of: life => ({
      name: 'memory',
      capabilities: duckdbCapabilities,
      async connect(dataset) {
        await life.step()
        fail('connect')
        return connection(dataset, life)
      },
    }),
    setFault(next) {
      fault = next
    },
    get stored() {
      return stored
    },
  }
}

function committed(
  before: Stored,
  loadId: string,
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
  return {
    tables,
    loads: [...before.loads, loadId],
    state: plan.state ?? before.state,
    schema: schemaText(plan.schema),
    receipts: [...before.receipts, ...plan.receipts.map(receipt => ({ ...receipt, loadId }))],
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
