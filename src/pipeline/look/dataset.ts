import { parseJson } from '../../json/parse.js'
import { type JsonObject, setMember } from '../../json/value.js'
import type {
  Committed,
  Condition,
  Connection,
  DatasetRow,
  DatasetValue,
  QueryBatch,
  ReadQuery,
  RowValue,
  SqlQuery,
} from '../../model/destination.js'
import { ConfigError, DestinationError, QueryError, stoppedBy } from '../../model/errors.js'
import {
  abortSignal,
  checkOptions,
  names,
  needed,
  optionKind,
  optionsOf,
  path as pathKind,
  text as textKind,
  wholeFromOne,
  wholeFromZero,
  wordOf,
} from '../../model/optionKinds.js'
import type { PipelineState } from '../../model/pipelineState.js'
import { scrubbedFailure, withoutSecrets } from '../../model/secrets/scrubber.js'
import { didYouMean } from '../../model/texts/nearMiss.js'
import { shownResult } from '../../model/userFunction.js'
import { isSystemTable } from '../../schema/export/exportedTables.js'
import type { DataType, ReadonlySchema, ReadonlyTable, Schema } from '../../schema/schemaTypes.js'
import { readSchema } from '../../schema/stored/document.js'
import type { IsSpeltAlike } from '../knownTables.js'
import type { PipelineSetup } from '../setup.js'
import { type HistoryOptions, historyOf, type PastLoad } from './pastLoads.js'

/** Row types by table name. The types that `sluice types` writes are one example, {@link AnyTables} is another. */
export type TablesOf<Tables> = { readonly [table in keyof Tables]: object }

/** Rows of tables whose columns TypeScript does not know. */
export interface AnyTables {
  readonly [table: string]: Readonly<Record<string, RowValue>>
}

/**
 * Table names that TypeScript knows: those of the source's resources, their nested tables and the system tables. Any
 * name, if the destination spells one of them differently.
 */
export type KnownTables<Table extends string> = Readonly<
  Record<IsSpeltAlike<Table> extends true ? Table | `${Table}__${string}` | `_${string}` : string, AnyTables[string]>
>

/** Reads loaded data. Each call opens and closes its own connection. */
export interface Dataset<Tables extends TablesOf<Tables> = AnyTables> {
  /** Names of the tables that hold data, without system tables, in the order of the schema. */
  tables(): Promise<readonly string[]>
  /** The rows of one table. Nothing is read until you ask for rows. */
  table<Name extends keyof Tables & string>(name: Name): Relation<Tables[Name]>
  /**
   * The rows of one statement that only reads, in the destination's SQL (DuckDB's for files). `values` stand for `$1`,
   * `$2` and so on. Tables of the dataset need no schema in front. `Row` is what you expect; nothing checks it. The
   * values are those of a {@link QueryBatch}.
   *
   * Nothing runs until the rows are awaited or iterated, and each time runs the statement again. Rejects with a
   * QueryError if the statement is wrong, or would write.
   *
   * @example
   * ```ts
   * import { duckdb, pipeline, restApi } from 'sluice'
   *
   * const source = restApi({ client: { base_url: 'https://api.example.com' }, resources: ['shops'] })
   * const dataset = pipeline({ name: 'shops', source, destination: duckdb('shops.duckdb') }).dataset()
   * const cities = await dataset.query<{ city: string; n: bigint }>(
   *   'SELECT city, count(*) AS n FROM shops WHERE opened > $1 GROUP BY city ORDER BY n DESC',
   *   [new Date('2024-01-01')],
   * )
   * for (const { city, n } of cities) console.log(city, n)
   * ```
   */
  query<Row extends object = Readonly<Record<string, RowValue>>>(
    sql: string,
    values?: readonly DatasetValue[],
    options?: ReadOptions,
  ): QueriedRows<Row>
  /** The committed loads with their receipts, newest first. */
  history(options?: HistoryOptions): Promise<readonly PastLoad[]>
  /** The committed schema; undefined before the first load. */
  schema(): Promise<ReadonlySchema | undefined>
  /** The committed state; undefined before the first load. */
  state(): Promise<PipelineState | undefined>
}

export interface ReadOptions {
  /** Stops reading. The read then rejects with an AbortError, whose `cause` is the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** Rows of a statement. `await` gives all of them, `for await` one after the other with one batch in memory at a time. */
export interface QueriedRows<Row extends object> extends PromiseLike<readonly Row[]>, AsyncIterable<Row> {
  /** All rows, or what comes in their place, as with a promise. */
  catch<Other = never>(onFailure: (reason: unknown) => Other | PromiseLike<Other>): Promise<readonly Row[] | Other>
  /** All rows, as with a promise. */
  finally(onEnd: () => void): Promise<readonly Row[]>
  /** The first row. Reads no more than one batch. */
  first(): Promise<Row | undefined>
  /** Holds one batch in memory at a time. */
  batches(rows?: number): AsyncGenerator<readonly Row[]>
}

/**
 * What a column may be compared with. Whole numbers may be written as numbers, and times as ISO texts. Lists and objects
 * cannot be compared.
 */
export type Compared<Value> =
  | Exclude<Value, null | undefined | readonly unknown[] | JsonObject>
  | (bigint extends Value ? number : never)
  | (Date extends Value ? string : never)

/** What follows an operator of `where`: nothing, a list, or one value. Only `=` and `!=` take null. */
export type Operand<Operator extends Condition['operator'], Value> = Operator extends 'is null' | 'is not null'
  ? []
  : Operator extends 'in'
    ? [values: readonly Compared<Value>[]]
    : Operator extends '=' | '!='
      ? [value: Compared<Value> | Extract<Value, null>]
      : [value: Compared<Value>]

/** Rows of one table. Each call returns a new, narrower relation. Sluice reads nothing until you ask for rows. */
export interface Relation<Row extends object, Whole extends object = Row> {
  /** Reads only these columns. `where` and `orderBy` still take every column of the table. */
  select<Column extends keyof Row & string>(...columns: readonly Column[]): Relation<Pick<Row, Column>, Whole>
  /** All conditions must hold. `in` takes a list, `is null` and `is not null` take nothing, the others one value. */
  where<Column extends keyof Whole & string, Operator extends Condition['operator']>(
    column: Column,
    operator: Operator,
    ...value: Operand<Operator, Whole[Column]>
  ): Relation<Row, Whole>
  orderBy(column: keyof Whole & string, direction?: 'ascending' | 'descending' | 'asc' | 'desc'): Relation<Row, Whole>
  limit(rows: number): Relation<Row, Whole>
  /** Leaves out the first rows. Pages of a table need `orderBy` too: a table has no order of its own. */
  offset(rows: number): Relation<Row, Whole>
  /** All rows, in memory. */
  rows(options?: ReadOptions): Promise<readonly Row[]>
  first(options?: ReadOptions): Promise<Row | undefined>
  /** Number of rows that match the conditions, the offset and the limit. The selected columns do not matter. */
  count(options?: ReadOptions): Promise<number>
  /** Batches of rows, in the order of the table or of `orderBy`. Holds one batch in memory at a time. */
  batches(rows?: number, options?: ReadOptions): AsyncGenerator<readonly Row[]>
  [Symbol.asyncIterator](): AsyncGenerator<Row>
  /**
   * Writes the rows into a Parquet file and resolves to their number. Replaces an existing file. Rejects with a
   * DestinationError if the destination cannot do it. DuckDB can.
   */
  toParquet(path: string): Promise<number>
}

/**
 * The dataset of a pipeline. Values have the types that `sluice types` writes, see {@link rowReader}. Reading creates
 * nothing: without a database there are no tables.
 */
export function datasetOf<Tables extends TablesOf<Tables> = AnyTables>(setup: PipelineSetup): Dataset<Tables> {
  const place: Place = { setup, connect: signal => setup.destination.connect(setup.datasetName, signal) }
  const outward = <Result>(work: () => Promise<Result>): Promise<Result> => withoutSecrets(work, setup.scrubber)
  const committed = async (): Promise<Committed | undefined> => {
    if (!(await isThere(setup))) return undefined
    await using connection = await place.connect()
    return await connection.committed(setup.name, setup.source.name)
  }
  const tables = async (): Promise<readonly string[]> => {
    if (!(await isThere(setup))) return []
    await using connection = await place.connect()
    const schema = storedSchema(await connection.committed(setup.name, setup.source.name))
    const present = await connection.inspect()
    return [...(schema?.tables.keys() ?? present.keys())].filter(name => !isSystemTable(name) && present.has(name))
  }
  const history = async (options: HistoryOptions): Promise<readonly PastLoad[]> => {
    checkOptions(forHistory, options)
    if (!(await isThere(setup))) return []
    await using connection = await place.connect()
    return await historyOf(connection, setup.source.name, options)
  }
  return {
    history: (options = {}) => outward(() => history(options)),
    schema: () => outward(async () => storedSchema(await committed())),
    state: () => outward(async () => (await committed())?.state),
    tables: () => outward(tables),
    table(name) {
      checkOptions(needed(textKind), name, 'table')
      return relation<Tables[typeof name]>(place, { table: name })
    },
    query<Row extends object>(sql: string, values?: readonly DatasetValue[], options: ReadOptions = {}) {
      checkOptions(needed(textKind), sql, 'sql')
      checkOptions(valuesKind, values, 'values')
      checkOptions(forRead, options)
      return queried<Row>(place, { sql, values }, options)
    },
  }
}

function queried<Row extends object>(place: Place, statement: SqlQuery, { signal }: ReadOptions): QueriedRows<Row> {
  async function* batches(batchRows?: number): AsyncGenerator<readonly Row[]> {
    checkOptions(wholeFromOne, batchRows, 'rows')
    for await (const { columns, rows } of queryBatches(place.setup, { ...statement, batchRows }, signal)) {
      yield rows.map(row => {
        const object: Record<string, RowValue> = {}
        for (const [index, { name }] of columns.entries()) setMember(object, name, row[index] ?? null)
        return object as Row
      })
    }
  }
  const all = async (): Promise<readonly Row[]> => {
    const rows: Row[] = []
    for await (const batch of batches()) rows.push(...batch)
    return rows
  }
  return {
    batches,
    async first() {
      for await (const [row] of batches(1)) return row
      return undefined
    },
    async *[Symbol.asyncIterator]() {
      for await (const batch of batches()) yield* batch
    },
    // biome-ignore lint/suspicious/noThenProperty: rows can be awaited, and nothing runs before that
    then: (onRows, onFailure) => all().then(onRows, onFailure),
    catch: onFailure => all().catch(onFailure),
    finally: onEnd => all().finally(onEnd),
  }
}

const forHistory = optionsOf<HistoryOptions>('options of history()', {
  limit: wholeFromOne,
  loadId: textKind,
  pipeline: textKind,
})

const forRead = optionsOf<ReadOptions>('options of a read', { signal: abortSignal })

const VALUES = 'null, text, numbers, bigint, true or false, Date, bytes'

function isValue(value: unknown): value is DatasetValue {
  if (value instanceof Date) return !Number.isNaN(value.getTime())
  return (
    value === null || value instanceof Uint8Array || ['string', 'number', 'bigint', 'boolean'].includes(typeof value)
  )
}

const valuesKind = optionKind(
  `a list of values: ${VALUES}`,
  value => Array.isArray(value) && value.every(isValue),
  value => (Array.isArray(value) ? `one with ${shownResult(value.find(one => !isValue(one)))}` : shownResult(value)),
)

const valueKind = optionKind(`one value: ${VALUES}`, isValue, shownResult)

/** What stands behind an operator. `undefined` is not null: it is a value that the caller thought to have. */
function checkOperand(column: string, operator: Condition['operator'], given: readonly unknown[]): void {
  const at = `where('${column}', '${operator}')`
  const [value] = given
  if (operator === 'is null' || operator === 'is not null') {
    if (value !== undefined) throw new ConfigError([{ place: { path: at }, message: 'takes no value' }])
  } else if (operator === 'in') checkOptions(needed(valuesKind), value, at)
  else checkOptions(needed(valueKind), value, at)
}

/** The batches of a statement, of one connection. Errors hold no secret. */
export async function* queryBatches(
  place: QueryPlace,
  statement: SqlQuery,
  signal?: AbortSignal,
): AsyncGenerator<QueryBatch> {
  try {
    await using connection = await connectToAsk(place, statement, signal)
    if (connection.query === undefined)
      throw cannot(place, 'does not support SQL; `table(…).rows()` and `sluice show` read it')
    yield* connection.query(statement)
  } catch (error) {
    throw scrubbedFailure(stoppedBy(signal, error), place.scrubber)
  }
}

/** Writes the rows of a statement that only reads into a Parquet file, and resolves to their number. */
export async function queryToParquet(
  place: QueryPlace,
  statement: SqlQuery,
  path: string,
  signal?: AbortSignal,
): Promise<number> {
  try {
    await using connection = await connectToAsk(place, statement, signal)
    if (connection.queryToParquet === undefined) throw cannot(place, 'cannot write Parquet files; take CSV')
    return await connection.queryToParquet(statement, path)
  } catch (error) {
    throw scrubbedFailure(stoppedBy(signal, error), place.scrubber)
  }
}

type QueryPlace = Pick<PipelineSetup, 'destination' | 'datasetName' | 'scrubber'>

async function connectToAsk({ destination, datasetName }: QueryPlace, { sql }: SqlQuery, signal?: AbortSignal) {
  // The engines take it for the end of the statement.
  if (sql.includes('\0')) throw new QueryError('it holds a NUL character')
  if (!(await isThere({ destination }))) throw new QueryError(notYetThere(destination))
  return await destination.connect(datasetName, signal)
}

function cannot({ destination: { name } }: QueryPlace, what: string): DestinationError {
  return new DestinationError('destination', `${name} ${what}`, { destination: name })
}

/** Whether there is something to connect to. Connecting to an embedded database would create it. */
export async function isThere({ destination }: Pick<PipelineSetup, 'destination'>): Promise<boolean> {
  return destination.exists === undefined || (await destination.exists())
}

/** The schema of the last committed load, parsed. */
export function storedSchema(committed: Committed | undefined): Schema | undefined {
  return committed?.schema === undefined ? undefined : readSchema(committed.schema)
}

/** The engine counts a whole table. With conditions, this reads one column, a batch at a time. */
async function countRows(
  connection: Connection,
  { table, where = [], limit, offset }: ReadQuery,
  signal: AbortSignal | undefined,
): Promise<number> {
  const [first] = where
  if (first === undefined) {
    const rows = Math.max(0, (await connection.count(table)) - (offset ?? 0))
    return limit === undefined ? rows : Math.min(rows, limit)
  }
  let rows = 0
  for await (const batch of connection.read({
    table,
    columns: [first.column],
    where,
    limit,
    offset,
    batchRows: 10_000,
  })) {
    rows += batch.length
    signal?.throwIfAborted()
  }
  return rows
}

interface Place {
  readonly setup: PipelineSetup
  readonly connect: (signal?: AbortSignal) => Promise<Connection>
}

/** Connects to a dataset that has the table. */
async function connectTo({ setup, connect }: Place, table: string, signal?: AbortSignal): Promise<Connection> {
  signal?.throwIfAborted()
  const { destination } = setup
  const missing = (message: string) => new DestinationError('destination', message, { destination: destination.name })
  if (!(await isThere({ destination }))) throw missing(notYetThere(destination))
  const connection = await connect(signal)
  let isFound = false
  try {
    const present = await connection.inspect()
    isFound = present.has(table)
    if (isFound) return connection
    const names = [...present.keys()].filter(name => !isSystemTable(name))
    const others = names.length === 0 ? 'no table yet' : names.join(', ')
    const near = didYouMean(table, names)
    throw missing(
      `${destination.name}: there is no table "${table}" in ${connection.dataset}${near}; there are: ${others}`,
    )
  } finally {
    if (!isFound) await connection[Symbol.asyncDispose]()
  }
}

function notYetThere({ name, localPath }: Pick<PipelineSetup['destination'], 'name' | 'localPath'>): string {
  const path = localPath === undefined ? '' : ` (${localPath})`
  return `there is no ${name} yet${path}; a run creates it`
}

/** They stand in the statement as they are, so no other text may. */
const operatorKind = wordOf([
  '=',
  '!=',
  '<',
  '<=',
  '>',
  '>=',
  'in',
  'is null',
  'is not null',
] satisfies Condition['operator'][])

function relation<Row extends object, Whole extends object = Row>(
  place: Place,
  query: ReadQuery,
): Relation<Row, Whole> {
  const { setup } = place
  const outward = <Result>(work: () => Promise<Result>): Promise<Result> => withoutSecrets(work, setup.scrubber)
  const narrowed = <Narrowed extends object = Row>(change: Partial<ReadQuery>): Relation<Narrowed, Whole> =>
    relation<Narrowed, Whole>(place, { ...query, ...change })
  async function* batches(rows?: number, options: ReadOptions = {}): AsyncGenerator<readonly Row[]> {
    checkOptions(wholeFromOne, rows, 'rows')
    checkOptions(forRead, options)
    const { signal } = options
    try {
      await using connection = await connectTo(place, query.table, signal)
      const schema = storedSchema(await connection.committed(setup.name, setup.source.name))
      const read = rowReader(schema?.tables.get(query.table))
      for await (const batch of connection.read({ ...query, batchRows: rows })) {
        yield batch.map(read) as unknown as Row[]
        signal?.throwIfAborted()
      }
    } catch (error) {
      throw scrubbedFailure(stoppedBy(signal, error), setup.scrubber)
    }
  }
  async function* each(): AsyncGenerator<Row> {
    for await (const batch of batches()) yield* batch
  }
  return {
    select(...columns) {
      checkOptions(names, columns, 'columns')
      return narrowed({ columns })
    },
    where(column, operator, ...given: readonly unknown[]) {
      checkOptions(needed(textKind), column, 'column')
      checkOptions(needed(operatorKind), operator, 'operator')
      checkOperand(column, operator, given)
      const condition = { column, operator, value: given[0] as DatasetValue | readonly DatasetValue[] | undefined }
      return narrowed({ where: [...(query.where ?? []), condition] })
    },
    orderBy(column, direction = 'ascending') {
      checkOptions(needed(textKind), column, 'column')
      checkOptions(wordOf(['ascending', 'descending', 'asc', 'desc']), direction, 'direction')
      return narrowed({ orderBy: [...(query.orderBy ?? []), { column, descending: direction.startsWith('desc') }] })
    },
    limit(limit) {
      checkOptions(needed(wholeFromZero), limit, 'limit')
      return narrowed({ limit })
    },
    offset(offset) {
      checkOptions(needed(wholeFromZero), offset, 'offset')
      return narrowed({ offset })
    },
    async rows(options) {
      const all: Row[] = []
      for await (const batch of batches(undefined, options)) all.push(...batch)
      return all
    },
    async first(options) {
      const [row] = await narrowed({ limit: Math.min(1, query.limit ?? 1) }).rows(options)
      return row
    },
    async count(options = {}) {
      checkOptions(forRead, options)
      const { signal } = options
      try {
        await using connection = await connectTo(place, query.table, signal)
        return await countRows(connection, query, signal)
      } catch (error) {
        throw scrubbedFailure(stoppedBy(signal, error), setup.scrubber)
      }
    },
    batches,
    [Symbol.asyncIterator]: each,
    toParquet: path =>
      outward(async () => {
        checkOptions(needed(pathKind), path, 'path')
        await using connection = await connectTo(place, query.table)
        if (connection.writeParquet !== undefined) return await connection.writeParquet(query, path)
        const { name } = setup.destination
        throw new DestinationError(
          'destination',
          `${name} cannot write Parquet files; load into duckdb:PATH for that`,
          {
            destination: name,
          },
        )
      }),
  }
}

/**
 * Converts rows to the types that `sluice types` writes, whatever the engine's driver returns: `bigint` for integers,
 * `Date` for timestamps, `number`, `boolean`, parsed JSON, and text for all other types. A column that the schema does
 * not know keeps the engine's value.
 */
function rowReader(table: ReadonlyTable | undefined): (row: DatasetRow) => Readonly<Record<string, RowValue>> {
  const readers = new Map<string, (value: Present) => RowValue>()
  for (const column of table?.columns.values() ?? []) {
    if (column.data_type !== undefined) readers.set(column.name, READERS[column.data_type])
  }
  if (readers.size === 0) return row => row
  return row => {
    const read: Record<string, RowValue> = {}
    for (const [name, value] of Object.entries(row)) {
      const reader = readers.get(name)
      setMember(read, name, value === null || reader === undefined ? value : reader(value))
    }
    return read
  }
}

type Present = Exclude<DatasetValue, null>

const text = (value: Present): RowValue => (value instanceof Date ? value.toISOString() : String(value))

const READERS: Readonly<Record<DataType, (value: Present) => RowValue>> = {
  text,
  decimal: text,
  wei: text,
  date: value => (value instanceof Date ? value.toISOString().slice(0, 10) : String(value)),
  time: text,
  bigint: value => (typeof value === 'number' || typeof value === 'string' ? BigInt(value) : value),
  double: value => (typeof value === 'bigint' || typeof value === 'string' ? Number(value) : value),
  bool: value => {
    if (typeof value === 'string') return value === 'true'
    return typeof value === 'boolean' ? value : Boolean(value)
  },
  timestamp: value => (typeof value === 'string' ? new Date(value) : value),
  json: value => (typeof value === 'string' ? parseJson(value) : (value as RowValue)),
  binary: value => value,
}
