import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { setMember } from '../../json/value.js'
import type { DatasetRow, DatasetValue, ReadQuery } from '../../model/destination.js'
import { SchemaError } from '../../model/errors.js'
import { type SelectStatement, selectStatement } from '../sql/selectStatement.js'
import { copyToParquet } from './copyToParquet.js'
import { duckdbDialect } from './duckdbDialect.js'
import { duckdbSession, refuseCut } from './duckdbSession.js'

export const DEFAULT_BATCH_ROWS = 2048

/**
 * Streams the rows of a table. Integers of any width are bigint, DOUBLE is number, timestamps are Date (whole
 * milliseconds), BLOB is bytes. Everything else is DuckDB's text.
 */
export async function* readRows(
  connection: DuckDBConnection,
  dataset: string,
  query: ReadQuery,
): AsyncGenerator<readonly DatasetRow[]> {
  const statement = await statementOf(connection, dataset, query, selected)
  const converters = statement.columns.map(({ type }) => converterOf(type))
  const batchRows = query.batchRows ?? DEFAULT_BATCH_ROWS
  let batch: DatasetRow[] = []
  await connection.run('BEGIN TRANSACTION READ ONLY')
  const result = await connection.stream(statement.sql, [...statement.values])
  for await (const rows of result.yieldRows()) {
    for (const row of rows) {
      batch.push(rowOf(statement.columns, converters, row))
      if (batch.length < batchRows) continue
      yield batch
      batch = []
    }
  }
  await refuseCut(connection, statement.sql, statement.values)
  if (batch.length > 0) yield batch
}

/** Writes the rows of a query into a Parquet file, see {@link copyToParquet}. */
export async function writeParquet(
  connection: DuckDBConnection,
  dataset: string,
  query: ReadQuery,
  path: string,
): Promise<number> {
  const { sql, values } = await statementOf(connection, dataset, query, column => column)
  return await copyToParquet(connection, sql, values, path)
}

async function statementOf(
  connection: DuckDBConnection,
  dataset: string,
  query: ReadQuery,
  expression: (column: string, type: string) => string,
): Promise<SelectStatement<DuckDBValue>> {
  const session = await duckdbSession(connection, dataset)
  const tables = await session.inspect()
  const name = [...tables.keys()].find(table => table.toLowerCase() === query.table.toLowerCase())
  const existing = name === undefined ? undefined : tables.get(name)
  if (name === undefined || existing === undefined) {
    throw new SchemaError('schema', `Dataset ${dataset} has no table ${query.table}`, { table: query.table })
  }
  return selectStatement<DuckDBValue>(duckdbDialect, session.table(name), existing, query, expression, value => {
    if (value instanceof Date) return value.toISOString()
    return value instanceof Uint8Array ? blobText(value) : value
  })
}

function rowOf(
  columns: readonly { readonly name: string }[],
  converters: readonly ((value: DuckDBValue) => DatasetValue)[],
  values: readonly DuckDBValue[],
): DatasetRow {
  const row: Record<string, DatasetValue> = {}
  for (let index = 0; index < columns.length; index++) {
    const value = values[index] ?? null
    setMember(row, columns[index]!.name, value === null ? null : converters[index]!(value)) // one converter a column
  }
  return row
}

export const isInteger = (type: string): boolean => /^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/.test(type)
export const isTimestamp = (type: string): boolean => /^TIMESTAMP(_\w+| WITH TIME ZONE)?$/.test(type)

/** DuckDB turns values without a plain JavaScript form into text, and timestamps into milliseconds. */
function selected(column: string, type: string): string {
  if (isTimestamp(type)) return `epoch_ms(${column})`
  const plain = isInteger(type) || type === 'DOUBLE' || type === 'FLOAT' || type === 'BOOLEAN' || type === 'BLOB'
  return plain || type === 'VARCHAR' ? column : `CAST(${column} AS VARCHAR)`
}

function converterOf(type: string): (value: DuckDBValue) => DatasetValue {
  if (isInteger(type)) return value => BigInt(value as bigint | number)
  if (isTimestamp(type)) return value => new Date(Number(value))
  if (type === 'BLOB') return value => (value as { readonly bytes: Uint8Array }).bytes
  if (type === 'DOUBLE' || type === 'FLOAT' || type === 'BOOLEAN') return value => value as number | boolean
  return value => String(value)
}

/** Bytes in the form that DuckDB can cast to BLOB. */
function blobText(bytes: Uint8Array): string {
  return [...bytes].map(byte => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
}
