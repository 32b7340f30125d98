import {
  type BatchValue,
  batchRows,
  type Capabilities,
  type CommitPlan,
  type Committed,
  type Condition,
  type Connection,
  type DatasetRow,
  type DatasetValue,
  type DataType,
  type Destination,
  DestinationError,
  decodeState,
  type InspectedColumn,
  isComplete,
  type Load,
  type LoadPlan,
  type ReadonlyTable,
  type ReadQuery,
  rootTable,
  type SystemRow,
  systemRows,
  systemTables,
} from 'sluice/destination'

/** A table: what is known of its columns, and its rows. */
interface Table {
  readonly columns: Map<string, Column>
  rows: Row[]
}
interface Column {
  readonly type: DataType
  readonly nullable: boolean
  readonly scale: number
}
type Row = Readonly<Record<string, BatchValue>>
type Dataset = Map<string, Table>

/** What this destination can do. It does not merge: append and replace are all that it knows. */
const capabilities: Capabilities = {
  maxIdentifierLength: 1_000,
  caseSensitive: true,
  dispositions: ['append', 'replace', 'skip'],
  mergeStrategies: [],
  mergeRefusal: 'the memory of a process has no merge',
  transactionalDdl: true,
  nulInText: true,
  decimal: [38, 9],
  wei: [38, 0],
  timestampPrecision: [6, 6],
  dltType: 'example.destinations.memory',
}

/**
 * A whole destination, as small as it can be: tables in the memory of this process. Each commit builds the tables anew and
 * puts them in the place of the old ones in one step, so that it is all or nothing.
 */
export function memory(): Destination {
  const datasets = new Map<string, Dataset>()
  const loading = new Set<string>()
  return {
    name: 'memory',
    capabilities,
    connect: async name => connection(name, datasets, loading),
  }
}

function connection(dataset: string, datasets: Map<string, Dataset>, loading: Set<string>): Connection {
  const now = (): Dataset => datasets.get(dataset) ?? new Map()
  const keep = (tables: Dataset): void => void datasets.set(dataset, tables)
  const opened: Connection = {
    dataset,
    committed: async (pipeline, schemaName) => committed(now(), pipeline, schemaName),
    hasLoad: async loadId => rowsOf(now(), 'loads').some(row => row.load_id === loadId),
    pipelines: async () => [...new Set(rowsOf(now(), 'states').map(row => String(row.pipeline_name)))],
    inspect: async () => inspect(now()),
    async *read(query) {
      const rows = selected(now(), query)
      const size = query.batchRows ?? 2_048
      for (let from = 0; from < rows.length; from += size) yield rows.slice(from, from + size)
    },
    count: async table => existing(now(), table).rows.length,
    async begin(load) {
      const lock = JSON.stringify([dataset, load.pipeline, load.part])
      if (loading.has(lock))
        throw new DestinationError('destination_locked', `${load.pipeline} is being loaded. Wait for its end.`, {
          destination: 'memory',
        })
      loading.add(lock)
      return openLoad(load, opened, keep, now, () => loading.delete(lock))
    },
    async drop(plan) {
      const { tables, loadId, schema, state, otherStates } = await plan(opened)
      if (await opened.hasLoad(loadId)) return
      const next = copyOf(now())
      for (const table of tables) next.delete(table)
      const committedAt = BigInt(Math.round(Number(loadId) * 1e6))
      const record = { schema, state, otherStates, receipts: [], tables: [], drop: tables, truncate: [], committedAt }
      writeSystemRows(next, { loadId, pipeline: state.pipeline_name }, record)
      keep(next)
    },
    async [Symbol.asyncDispose]() {},
  }
  return opened
}

function openLoad(
  load: LoadPlan,
  view: Connection,
  keep: (tables: Dataset) => void,
  now: () => Dataset,
  release: () => void,
): Load {
  const staged = new Map<string, Record<string, BatchValue>[]>()
  let hasEnded = false
  // Once: the pipeline may be loaded again after that.
  const end = (): void => {
    if (!hasEnded) release()
    hasEnded = true
    staged.clear()
  }
  return {
    async stage(batch) {
      const rows = staged.get(batch.table) ?? []
      rows.push(...batchRows(batch))
      staged.set(batch.table, rows)
    },
    async commit(final, anew) {
      try {
        const plan = (await anew?.(view)) ?? final
        if (await view.hasLoad(load.loadId)) return
        const next = copyOf(now())
        apply(next, load, plan, staged)
        keep(next)
      } finally {
        end()
      }
    },
    async abort() {
      end()
    },
  }
}

/** Everything that a commit does, in its order: drop, empty, create, write. */
function apply(tables: Dataset, load: LoadPlan, plan: CommitPlan, staged: ReadonlyMap<string, readonly Row[]>): void {
  for (const table of plan.drop) tables.delete(table)
  for (const table of plan.truncate) tables.get(table)?.rows.splice(0)
  const taking = new Set(plan.tables.map(({ table }) => table))
  const replaced = new Set(plan.tables.filter(({ disposition }) => disposition === 'replace').map(({ table }) => table))
  for (const { name } of plan.schema.tables.values()) {
    const root = rootTable(plan.schema, name)?.name ?? name
    if (replaced.has(root)) tables.get(name)?.rows.splice(0)
  }
  for (const [name, rows] of staged) {
    const schema = plan.schema.tables.get(name)
    if (schema === undefined || !taking.has(rootTable(plan.schema, name)?.name ?? name))
      throw failed(`Rows were staged for ${name}, which the commit leaves out`)
    write(tables, schema, rows)
  }
  writeSystemRows(tables, load, plan)
}

/** Creates the table, adds the columns that it lacks, and appends the rows. */
function write(tables: Dataset, schema: ReadonlyTable, rows: readonly Row[]): void {
  const table: Table = tables.get(schema.name) ?? { columns: new Map(), rows: [] }
  tables.set(schema.name, table)
  const hasRows = table.rows.length > 0
  for (const column of schema.columns.values()) {
    if (!isComplete(column) || column.data_type === undefined || table.columns.has(column.name)) continue
    const scale = column.scale ?? (column.data_type === 'decimal' ? capabilities.decimal[1] : 0)
    // Rows that are there have no value in a new column.
    table.columns.set(column.name, { type: column.data_type, nullable: hasRows || column.nullable !== false, scale })
  }
  for (const [name, { nullable }] of table.columns)
    if (!nullable && rows.some(row => (row[name] ?? null) === null))
      throw failed(`A row of ${schema.name} has no value in ${name}, which needs one`)
  table.rows.push(...rows)
}

function writeSystemRows(tables: Dataset, load: LoadPlan, plan: CommitPlan): void {
  const { name: schemaName, version_hash: hash } = plan.schema
  const versions = tables.get(systemTables.versions.name)
  if (versions !== undefined && (plan.drop.length > 0 || plan.forgetSchema === true))
    versions.rows = versions.rows.filter(row => row.schema_name !== schemaName)
  const others = new Set(plan.otherStates?.map(({ pipeline_name }) => pipeline_name))
  const states = tables.get(systemTables.states.name)
  if (states !== undefined)
    states.rows = states.rows.filter(
      row => !(others.has(String(row.pipeline_name)) && String(row._dlt_load_id) > load.loadId),
    )
  const isKnown = rowsOf(tables, 'versions').some(row => row.schema_name === schemaName && row.version_hash === hash)
  const rows = systemRows(load, plan)
  const names = Object.keys(systemTables) as (keyof typeof systemTables)[]
  for (const name of names) {
    const wanted: readonly SystemRow[] = name === 'versions' && isKnown ? [] : rows[name]
    if (wanted.length > 0) write(tables, systemTables[name], wanted.map(batchRow))
  }
}

/** Whole numbers of a table are bigint. */
function batchRow(row: SystemRow): Record<string, BatchValue> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, typeof value === 'number' ? BigInt(value) : value]),
  )
}

/** The newest state, and the schema of the newest load of that name. The greatest load id is the newest. */
function committed(tables: Dataset, pipeline: string, schemaName: string): Committed | undefined {
  const newest = (rows: readonly Row[], key: string) =>
    rows.toSorted((a, b) => (String(a[key]) < String(b[key]) ? 1 : -1))[0]
  const load = newest(
    rowsOf(tables, 'loads').filter(row => row.schema_name === schemaName),
    'load_id',
  )
  const state = newest(
    rowsOf(tables, 'states').filter(row => row.pipeline_name === pipeline),
    '_dlt_load_id',
  )
  const schema = rowsOf(tables, 'versions').find(row => row.version_hash === load?.schema_version_hash)
  if (schema === undefined && state === undefined) return undefined
  return {
    loadId: String(load?.load_id ?? state?._dlt_load_id),
    state: state === undefined ? undefined : decodeState(String(state.state)),
    schema: schema === undefined ? undefined : String(schema.schema),
  }
}

function inspect(tables: Dataset): Map<string, Map<string, InspectedColumn>> {
  return new Map([...tables].map(([name, { columns }]) => [name, new Map(columns)]))
}

/** The rows that a query asks for, all at once: they are in memory anyway. */
function selected(tables: Dataset, query: ReadQuery): DatasetRow[] {
  const table = existing(tables, query.table)
  const columnOf = (name: string): Column => {
    const column = table.columns.get(name)
    if (column !== undefined) return column
    throw failed(`${query.table} has no column ${name}. It has ${[...table.columns.keys()].join(', ')}.`)
  }
  const kept = table.rows.filter(row => (query.where ?? []).every(condition => holds(row, condition, columnOf)))
  const sorted = kept.toSorted((a, b) => {
    for (const { column: name, descending = false } of query.orderBy ?? []) {
      const column = columnOf(name)
      const by = order(shown(a[name], column), shown(b[name], column), column)
      if (by !== 0) return descending ? -by : by
    }
    return 0
  })
  const columns = (query.columns ?? [...table.columns.keys()]).map(name => [name, columnOf(name)] as const)
  const rows = sorted.map(row => {
    const values: Record<string, DatasetValue> = Object.create(null)
    for (const [name, column] of columns) values[name] = shown(row[name], column)
    return values
  })
  const alike = new Map(rows.map(row => [columns.map(([name]) => `${typeof row[name]} ${row[name]}`).join('\n'), row]))
  const unique = query.distinct === true ? [...alike.values()] : rows
  const start = query.offset ?? 0
  return unique.slice(start, query.limit === undefined ? undefined : start + query.limit)
}

function holds(row: Row, condition: Condition, columnOf: (name: string) => Column): boolean {
  const { operator, value: given = null } = condition
  const column = columnOf(condition.column)
  const own = shown(row[condition.column], column)
  if (operator === 'is null' || (operator === '=' && given === null)) return own === null
  if (operator === 'is not null' || (operator === '!=' && given === null)) return own !== null
  if (own === null) return false
  const others = Array.isArray(given) ? (given as readonly DatasetValue[]) : [given as DatasetValue]
  const orders = others.map(other => order(own, other, column))
  if (operator === 'in' || operator === '=') return orders.includes(0)
  const [by = 0] = orders
  return { '!=': by !== 0, '<': by < 0, '<=': by <= 0, '>': by > 0, '>=': by >= 0 }[operator]
}

/** Nulls first. Numbers of both kinds by their size, decimals too. */
function order(a: DatasetValue, b: DatasetValue, column: Column): number {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null)
  const [left, right] = isDecimal(column) ? [scaled(a, column), scaled(b, column)] : [a, b]
  return left < right ? -1 : Number(left > right)
}

/** A decimal as a whole number of its smallest digits. */
function scaled(value: DatasetValue, column: Column): bigint {
  return BigInt(withDecimals(String(value), column.scale).replace('.', ''))
}

const isDecimal = ({ type }: Column): boolean => type === 'decimal' || type === 'wei'

/** A value as readers get it: a Date, dates and times as ISO text, decimals with all of their digits. */
function shown(value: BatchValue | undefined, column: Column): DatasetValue {
  if (value === undefined || value === null) return null
  if (isDecimal(column)) return withDecimals(String(value), column.scale)
  if (typeof value === 'bigint' && column.type === 'timestamp') return new Date(Number(wholeMilliseconds(value)))
  if (typeof value === 'number' && column.type === 'date')
    return new Date(value * 86_400_000).toISOString().slice(0, 10)
  if (typeof value !== 'bigint' || column.type !== 'time') return value
  const seconds = new Date(Number(value / 1_000n)).toISOString().slice(11, 19)
  const micros = value % 1_000_000n
  return micros === 0n ? seconds : `${seconds}.${String(micros).padStart(6, '0')}`
}

function withDecimals(number: string, scale: number): string {
  const [whole = '', decimals = ''] = number.split('.')
  return scale === 0 ? whole : `${whole}.${decimals.padEnd(scale, '0')}`
}

/** Rounded down, also before 1970. */
function wholeMilliseconds(micros: bigint): bigint {
  return (micros - (((micros % 1_000n) + 1_000n) % 1_000n)) / 1_000n
}

function rowsOf(tables: Dataset, name: keyof typeof systemTables): Table['rows'] {
  return tables.get(systemTables[name].name)?.rows ?? []
}

function existing(tables: Dataset, name: string): Table {
  const table = tables.get(name)
  if (table === undefined) throw failed(`There is no table ${name}. There are ${[...tables.keys()].join(', ')}.`)
  return table
}

/** The tables with rows of their own, so that a commit that fails changes none. */
function copyOf(tables: Dataset): Dataset {
  return new Map([...tables].map(([name, { columns, rows }]) => [name, { columns: new Map(columns), rows: [...rows] }]))
}

function failed(message: string): DestinationError {
  return new DestinationError('destination', message, { destination: 'memory' })
}
