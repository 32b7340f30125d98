import type { DuckDBConnection, DuckDBPreparedStatement, DuckDBType, DuckDBValue } from '@duckdb/node-api'
import { parseJson } from '../../json/parse.js'
import { type JsonValue, setMember } from '../../json/value.js'
import type { DatasetValue, QueryBatch, RowValue, SqlQuery } from '../../model/destination.js'
import { QueryError, SluiceError } from '../../model/errors.js'
import { distinctNames } from '../sql/ddl.js'
import { driver } from './database.js'
import { DEFAULT_BATCH_ROWS, isInteger, isTimestamp } from './duckdbRead.js'
import { schemaName } from './duckdbSession.js'

/**
 * Runs one statement that only reads, see {@link SqlQuery}. The database cannot change: the transaction only reads.
 * Statements that write elsewhere, such as COPY, ATTACH and SET, are refused.
 */
export async function* queryRows(
  connection: DuckDBConnection,
  dataset: string,
  { sql, values = [], batchRows = DEFAULT_BATCH_ROWS }: SqlQuery,
  signal: AbortSignal | undefined,
): AsyncGenerator<QueryBatch> {
  const interrupt = (): void => connection.interrupt()
  await connection.run(`USE ${await schemaName(connection, dataset)}`).catch((error: unknown) => {
    throw new QueryError(`there is no dataset ${dataset} yet`, { cause: error })
  })
  await connection.run('BEGIN TRANSACTION READ ONLY')
  signal?.addEventListener('abort', interrupt)
  try {
    const statement = await readingStatement(connection, sql)
    statement.bind(values.map(boundValue))
    const result = await statement.stream()
    const types = result.columnTypes()
    const columns = distinctNames(result.columnNames()).map((name, index) => ({ name, type: typeName(types[index]!) })) // as many
    const converters = types.map(converterOf)
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
    if (rows.length > 0 || isFirst) yield { columns, rows }
  } catch (error) {
    signal?.throwIfAborted()
    throw queryError(error)
  } finally {
    signal?.removeEventListener('abort', interrupt)
    await connection.run('ROLLBACK').catch(() => {})
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

async function readingStatement(connection: DuckDBConnection, sql: string): Promise<DuckDBPreparedStatement> {
  const { StatementType } = driver()
  const statements = sql.trim() === '' ? undefined : await connection.extractStatements(sql)
  if (statements === undefined || statements.count !== 1) {
    throw new QueryError(`expected one statement that reads, not ${statements?.count ?? 0}`)
  }
  const statement = await statements.prepare(0)
  const type = statement.statementType
  if (type === StatementType.SELECT || type === StatementType.EXPLAIN) return statement
  throw new QueryError(
    `a query only reads, and this statement is ${StatementType[type]}; SELECT, FROM, WITH, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN are possible`,
  )
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

function converterOf(type: DuckDBType): (value: DuckDBValue) => RowValue {
  const name = typeName(type)
  if (name === 'JSON') return value => parseJson(String(value))
  if (isInteger(name)) return value => BigInt(value as bigint | number)
  if (isTimestamp(name)) return instantOf
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

/** Lists, structs and maps as JSON values. All else without a plain form is DuckDB's text. */
function nested(value: DuckDBValue): JsonValue {
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
