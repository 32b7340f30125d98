import { ok } from 'node:assert/strict'
import type { ColumnBatch } from '../model/batch.js'
import type { LoadedWindow } from '../model/cursors/cursorRange.js'
import type {
  CommitPlan,
  Connection,
  DatasetRow,
  DatasetValue,
  Destination,
  ReadQuery,
  TablePlan,
} from '../model/destination.js'
import type { PipelineState } from '../model/pipelineState.js'
import type { Receipt } from '../model/receipt.js'
import { naming } from '../schema/naming.js'
import type { ColumnSchema, DataType, Schema, TableSchema, WriteDisposition } from '../schema/schemaTypes.js'
import { bumpVersion, newSchema } from '../schema/stored/document.js'
import { columnBatch, type TestRow, type TestValue } from './testBatch.js'

/** A case without its destination. */
type CaseBody = (destination: Destination) => Promise<void>
export type CaseTable = Readonly<Record<string, CaseBody>>

/** Columns of a table as a test writes them: a type, or a column with hints. */
export type TestColumns = Readonly<
  Record<string, DataType | (Partial<ColumnSchema> & { readonly data_type: DataType })>
>

export interface TestTable {
  readonly columns: TestColumns
  readonly parent?: string
  readonly disposition?: WriteDisposition
  /** For nested tables: add the column that names the root row. Default true. */
  readonly rootKey?: boolean
  /** Further keys of the stored table. */
  readonly hints?: Readonly<Record<string, string | boolean>>
}

/** A schema with these tables and dlt's system columns in dlt's order. */
export function testSchema(tables: Readonly<Record<string, TestTable>>, name = 'api'): Schema {
  const schema = newSchema(name, { naming: naming('snake_case') })
  for (const [table, definition] of Object.entries(tables)) schema.tables.set(table, testTable(table, definition))
  bumpVersion(schema)
  return schema
}

function testTable(name: string, definition: TestTable): TableSchema {
  const columns = new Map<string, ColumnSchema>()
  const add = (column: ColumnSchema): void => void columns.set(column.name, column)
  for (const [column, given] of Object.entries(definition.columns)) {
    add({ name: column, nullable: true, ...(typeof given === 'string' ? { data_type: given } : given) })
  }
  const strict = { data_type: 'text', nullable: false } as const
  if (definition.parent === undefined) {
    add({ name: '_dlt_load_id', ...strict })
  } else {
    if (definition.rootKey !== false) add({ name: '_dlt_root_id', ...strict, root_key: true })
    add({ name: '_dlt_parent_id', ...strict, parent_key: true })
    add({ name: '_dlt_list_idx', data_type: 'bigint', nullable: false })
  }
  if (!columns.has('_dlt_id')) add({ name: '_dlt_id', ...strict, unique: true, row_key: true })
  return {
    name,
    columns,
    ...(definition.parent === undefined
      ? { write_disposition: definition.disposition ?? 'append', resource: name }
      : { parent: definition.parent }),
    ...definition.hints,
  }
}

/** A record of a test: scalars are columns, arrays of records become rows of the nested table `<table>__<key>`. */
export interface TestRecord {
  readonly [key: string]: TestValue | readonly TestRecord[]
}

export interface TestLoad {
  readonly loadId: string
  readonly pipeline?: string
  /** Records by root table. */
  readonly records?: Readonly<Record<string, readonly TestRecord[]>>
  /** Names root rows. Several may have one name, as with ids from keys. Default: a name that no other load uses. */
  readonly rowId?: (record: TestRecord, index: number) => string
  /** Rows of a batch; default all. */
  readonly batchRows?: number
  readonly tables: readonly TablePlan[]
  readonly state?: PipelineState
  readonly receipts?: readonly Receipt[]
  readonly window?: LoadedWindow
  readonly drop?: readonly string[]
  readonly truncate?: readonly string[]
  readonly forgetSchema?: boolean
  /** ISO time with `Z`; default derived from the load id. */
  readonly committedAt?: bigint
}

/** Stages the records of a load, batch by batch, and commits it. */
export async function runLoad(connection: Connection, schema: Schema, load: TestLoad): Promise<void> {
  const opened = await connection.begin({ loadId: load.loadId, pipeline: load.pipeline ?? 'p' })
  try {
    await stageRecords(opened.stage.bind(opened), schema, load)
    await opened.commit(commitPlan(schema, load))
  } finally {
    await opened.abort()
  }
}

export async function stageRecords(
  stage: (batch: ReturnType<typeof columnBatch>, schema: Schema) => Promise<void>,
  schema: Schema,
  load: TestLoad,
): Promise<void> {
  const rows = new Map<string, Shredded[]>()
  for (const [table, records] of Object.entries(load.records ?? {})) {
    records.forEach((record, index) => {
      const id = load.rowId?.(record, index) ?? `${load.loadId}/${table}/${index}`
      shred(rows, table, record, id, { _dlt_load_id: load.loadId }, { id, number: index })
    })
  }
  for (const [table, all] of rows) {
    const columns = schema.tables.get(table)?.columns
    ok(columns, `the schema of the test has no table ${table}`)
    const types = new Map([...columns.values()].map(column => [column.name, column.data_type ?? 'text'] as const))
    const size = load.batchRows ?? all.length
    for (let start = 0; start < all.length; start += size) {
      const some = all.slice(start, start + size)
      const batch = columnBatch(
        table,
        types,
        some.map(({ row }) => row),
      )
      const areNested = load.rowId !== undefined && schema.tables.get(table)?.parent !== undefined
      await stage(areNested ? { ...batch, rootRuns: rootRuns(table, some, start) } : batch, schema)
      overwrite(batch)
    }
  }
}

/** As a run does: the buffers of a batch are reused once it is staged. */
function overwrite({ columns }: ColumnBatch): void {
  for (const { values, validity } of columns) {
    values.fill(0xff)
    validity?.fill(0)
  }
}

export function commitPlan(schema: Schema, load: TestLoad): CommitPlan {
  return {
    schema,
    state: load.state,
    receipts: load.receipts ?? [],
    window: load.window,
    tables: load.tables,
    drop: load.drop ?? [],
    truncate: load.truncate ?? [],
    forgetSchema: load.forgetSchema,
    committedAt: load.committedAt ?? BigInt(Math.round(Number(load.loadId) * 1e6)),
  }
}

/** A row, and its root row among those of its table. */
interface Shredded {
  readonly row: TestRow
  readonly root: { readonly id: string; readonly number: number }
}

function rootRuns(table: string, rows: readonly Shredded[], before: number): ColumnBatch {
  const runs = rows
    .map(({ root }, index) => ({ first_row: before + index, root_row: root.number }))
    .filter(({ root_row }, index) => root_row !== rows[index - 1]?.root.number)
  return columnBatch(table, { first_row: 'bigint', root_row: 'bigint' }, runs)
}

function shred(
  rows: Map<string, Shredded[]>,
  table: string,
  record: TestRecord,
  id: string,
  system: TestRow,
  root: Shredded['root'],
): void {
  // Without a prototype: a column may be called `__proto__`.
  const row: Record<string, TestValue> = Object.create(null)
  for (const [key, value] of Object.entries(record)) {
    if (!Array.isArray(value)) row[key] = value as TestValue
  }
  const all = rows.get(table) ?? []
  rows.set(table, all)
  all.push({ row: { ...row, ...system, _dlt_id: row._dlt_id ?? id }, root })
  for (const [key, value] of Object.entries(record)) {
    if (!Array.isArray(value)) continue
    const nested = `${table}__${key}`
    ;(value as readonly TestRecord[]).forEach((child, index) => {
      const parent = String(row._dlt_id ?? id)
      const link = { _dlt_root_id: root.id, _dlt_parent_id: parent, _dlt_list_idx: index }
      shred(rows, nested, child, `${parent}_${nested}_${index}`, link, root)
    })
  }
}

/** Rows of a table, with all or some columns, as plain values sorted by their text. bigint and Date become text. */
export async function rowsOf(
  connection: Connection,
  table: string,
  columns?: readonly string[],
): Promise<Record<string, string | number | boolean | null>[]> {
  const rows: DatasetRow[] = []
  const query: ReadQuery = { table, ...(columns === undefined ? {} : { columns }) }
  for await (const batch of connection.read(query)) rows.push(...batch)
  return rows
    .map(row => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plainValue(value)])))
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

function plainValue(value: DatasetValue): string | number | boolean | null {
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  return typeof value === 'bigint' ? `${value}n` : value
}

/** Runs `work` on a connection and closes it. */
export async function withConnection<T>(
  destination: Destination,
  work: (connection: Connection) => Promise<T>,
  dataset = 'api_data',
): Promise<T> {
  const connection = await destination.connect(dataset)
  try {
    return await work(connection)
  } finally {
    await connection[Symbol.asyncDispose]()
  }
}

/** A state document of a pipeline. */
export function testState(version: number, value: string, pipeline = 'p'): PipelineState {
  return {
    _state_version: version,
    _state_engine_version: 4,
    pipeline_name: pipeline,
    _version_hash: `hash-${version}`,
    sources: { api: { resources: { orders: { incremental: { at: { last_value: value, unique_hashes: [] } } } } } },
  }
}
