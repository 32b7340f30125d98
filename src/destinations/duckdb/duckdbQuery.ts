import type {
  DuckDBConnection,
  DuckDBMapType,
  DuckDBResult,
  DuckDBStructType,
  DuckDBType,
  DuckDBUnionType,
  DuckDBValue,
} from '@duckdb/node-api'
import { parseJson } from '../../json/parse.js'
import { type JsonValue, setMember } from '../../json/value.js'
import type { DatasetValue, QueryBatch, RowValue, SqlQuery } from '../../model/destination.js'
import { QueryError, SluiceError } from '../../model/errors.js'
import { distinctNames } from '../sql/ddl.js'
import { exactTime } from '../sql/rows.js'
import { copyToParquet } from './copyToParquet.js'
import { driver } from './database.js'
import { DEFAULT_BATCH_ROWS, isInteger, isTimestamp } from './duckdbRead.js'
import { refuseCut, schemaName } from './duckdbSession.js'
import { readingStatement } from './readingStatement.js'

/**
 * Runs one statement that only reads, see {@link SqlQuery}. The database cannot change: the transaction only reads.
 * What writes or reads elsewhere, such as COPY, ATTACH, SET and `read_csv`, is refused.
 */
export async function* queryRows(
  connection: DuckDBConnection,
  dataset: string,
  { sql, values = [], batchRows = DEFAULT_BATCH_ROWS, exactTimes = false }: SqlQuery,
  signal: AbortSignal | undefined,
): AsyncGenerator<QueryBatch> {
  const interrupt = (): void => connection.interrupt()
  await beginReading(connection, dataset)
  signal?.addEventListener('abort', interrupt)
  let unread: DuckDBResult | undefined
  try {
    const statement = await readingStatement(connection, sql)
    statement.bind(values.map(boundValue))
    // Before the statement runs there is nothing to interrupt.
    signal?.throwIfAborted()
    const result = await statement.stream()
    unread = result
    const types = result.columnTypes()
    const columns = distinctNames(result.columnNames()).map((name, index) => ({ name, type: typeName(types[index]!) })) // as many
    const nameless = columns.find((_, index) => losesMembers(types[index]!)) // as many
    if (nameless !== undefined) {
      throw new QueryError(`members of column ${nameless.name} have no names; write {'a': …, 'b': …}`)
    }
    const converters = types.map(type => converterOf(type, exactTimes))
    let rows: RowValue[][] = []
    let isFirst = true
    for await (const chunk of result.yieldRows()) {
      for (const row of chunk) {
        rows.push(row.map((value, index) => (value === null ? null : converters[index]!(value)))) // one a column
        if (rows.length < batchRows) continue
        yield { columns, rows }
        rows = []
        isFirst = false
      }
    }
    // An interrupted result ends as if it were whole.
    signal?.throwIfAborted()
    await refuseCut(connection, sql, values.map(boundValue))
    unread = undefined
    if (rows.length > 0 || isFirst) yield { columns, rows }
  } catch (error) {
    signal?.throwIfAborted()
    throw queryError(error)
  } finally {
    signal?.removeEventListener('abort', interrupt)
    if (unread !== undefined) await giveUp(unread, connection)
    await connection.run('ROLLBACK').catch(() => {})
  }
}

/** Writes the rows of a statement that {@link queryRows} would run into a Parquet file, see {@link copyToParquet}. */
export async function queryToParquet(
  connection: DuckDBConnection,
  dataset: string,
  { sql, values = [] }: SqlQuery,
  path: string,
  signal: AbortSignal | undefined,
): Promise<number> {
  const interrupt = (): void => connection.interrupt()
  await beginReading(connection, dataset)
  signal?.addEventListener('abort', interrupt)
  try {
    // The statement by itself only reads, and is whole: nothing in it can end the brackets.
    const { statementType } = await readingStatement(connection, sql)
    if (statementType === driver().StatementType.EXPLAIN)
      throw new QueryError('EXPLAIN gives a text, not a table, so there is no Parquet file of it')
    signal?.throwIfAborted()
    const written = await copyToParquet(connection, sql.replace(/[;\s]+$/, ''), values.map(boundValue), path)
    signal?.throwIfAborted()
    return written
  } catch (error) {
    signal?.throwIfAborted()
    throw queryError(error)
  } finally {
    signal?.removeEventListener('abort', interrupt)
    await connection.run('ROLLBACK').catch(() => {})
  }
}

/** Begins a transaction that only reads, in which tables of the dataset need no schema in front. */
async function beginReading(connection: DuckDBConnection, dataset: string): Promise<void> {
  await connection.run(`USE ${await schemaName(connection, dataset)}`).catch((error: unknown) => {
    throw new QueryError(`there is no dataset ${dataset} yet`, { cause: error })
  })
  await connection.run('BEGIN TRANSACTION READ ONLY')
}

/** Ends a result that its reader left. DuckDB would keep the file open for it, and opening it again would never end. */
async function giveUp(result: DuckDBResult, connection: DuckDBConnection): Promise<void> {
  connection.interrupt()
  try {
    for (let chunk = await result.fetchChunk(); chunk !== null && chunk.rowCount > 0; )
      chunk = await result.fetchChunk()
  } catch {
    // It was interrupted.
  }
}

function boundValue(value: DatasetValue): DuckDBValue {
  if (value instanceof Date) return value.toISOString()
  if (!(value instanceof Uint8Array)) return value
  const { DuckDBBlobValue } = driver()
  return new DuckDBBlobValue(value)
}

/** Names of the tables in a statement, without their schemas. Empty if DuckDB cannot tell, or there are none. */
export function tablesIn(connection: DuckDBConnection, sql: string): readonly string[] {
  // With parameters it cannot tell.
  return connection.getTableNames(sql.replace(/\$\w+|\?/g, 'NULL'), false)
}

/** Failures of the statement itself, with DuckDB's words and the place in the statement. Others stay as they are. */
function queryError(error: unknown): unknown {
  if (error instanceof SluiceError || !(error instanceof Error)) return error
  const isOfStatement =
    /\b(Parser|Binder|Catalog|Conversion|Invalid Input|Out of Range|Mismatch Type|Not implemented|Permission|Syntax) Error|read-only mode|values for parameters/i
  if (!isOfStatement.test(error.message)) return error
  return new QueryError(error.message.replace(/^Failed to extract statements: /, '').trimEnd(), { cause: error })
}

function typeName(type: DuckDBType): string {
  return type.alias ?? String(type)
}

/** The driver keeps members of structs by name. */
function losesMembers(type: DuckDBType): boolean {
  const {
    entryNames = [],
    entryTypes = [],
    memberTypes = [],
    keyType,
    valueType,
  } = type as Partial<
    Pick<DuckDBStructType, 'entryNames' | 'entryTypes'> & Pick<DuckDBUnionType, 'memberTypes'> & DuckDBMapType
  >
  const inner = [...entryTypes, ...memberTypes, keyType, valueType].filter(one => one !== undefined)
  const isDistinct = new Set(entryNames).size === entryNames.length
  return !isDistinct || entryNames.includes('__proto__') || inner.some(losesMembers)
}

function converterOf(type: DuckDBType, exactTimes: boolean): (value: DuckDBValue) => RowValue {
  const name = typeName(type)
  if (name === 'JSON') return value => parseJson(String(value))
  if (isInteger(name)) return value => BigInt(value as bigint | number)
  if (isTimestamp(name)) return exactTimes ? exactInstantOf : instantOf
  if (name === 'DATE') return dateOf
  if (name === 'BLOB') return value => (value as { readonly bytes: Uint8Array }).bytes
  if (name === 'DOUBLE' || name === 'FLOAT' || name === 'BOOLEAN') return value => value as number | boolean
  return nested
}

/** A Date in whole milliseconds. Text where JavaScript has no such date, as for `infinity`. */
function instantOf(value: DuckDBValue): RowValue {
  const { nanos, micros, millis, seconds } = value as Readonly<
    Partial<Record<'nanos' | 'micros' | 'millis' | 'seconds', bigint>>
  >
  const ms = nanos !== undefined ? Number(nanos) / 1e6 : micros !== undefined ? Number(micros) / 1e3 : undefined
  const date = new Date(Math.floor(ms ?? Number(millis ?? (seconds ?? 0n) * 1000n)))
  return Number.isNaN(date.getTime()) ? String(value) : date
}

function exactInstantOf(value: DuckDBValue): RowValue {
  const instant = instantOf(value)
  return instant instanceof Date ? exactTime(instant, String(value)) : instant
}

/** The driver does not know that the last day, and the first, stand for infinity. */
function dateOf(value: DuckDBValue): RowValue {
  const { days } = value as { readonly days: number }
  if (Math.abs(days) === 2 ** 31 - 1) {
    return days < 0 ? '-infinity' : 'infinity'
  }
  return String(value)
}

/** Lists, structs and maps as JSON values. All else without a plain form is DuckDB's text. */
function nested(value: DuckDBValue): JsonValue {
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (typeof value !== 'object' || value === null) return value
  if ('items' in value) return value.items.map(nested)
  if ('tag' in value) return nested(value.value)
  if (!('entries' in value)) return String(value)
  const object: Record<string, JsonValue> = {}
  const entries = Array.isArray(value.entries)
    ? value.entries.map(({ key, value: member }) => [String(key), member] as const)
    : Object.entries(value.entries as Readonly<Record<string, DuckDBValue>>)
  for (const [key, member] of entries) setMember(object, key, nested(member))
  return object
}
