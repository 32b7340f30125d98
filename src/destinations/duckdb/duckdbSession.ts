import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import type { InspectedColumn } from '../../model/destination.js'
import { QueryError } from '../../model/errors.js'
import { type Dialect, doubleQuoted, type SqlSession } from '../sql/sqlSession.js'
import { duckdbDialect } from './duckdbDialect.js'

/** The quoted name of a dataset's schema. Names the database: a dataset may have the name of the file, which is ambiguous. */
export async function schemaName(connection: DuckDBConnection, dataset: string): Promise<string> {
  const [database] = (await connection.runAndReadAll('SELECT current_database()')).getRows()[0] ?? []
  return `${doubleQuoted(String(database))}.${doubleQuoted(dataset)}`
}

/** The shared SQL on one connection of DuckDB. */
export async function duckdbSession(
  connection: DuckDBConnection,
  dataset: string,
  dialect: Dialect = duckdbDialect,
): Promise<SqlSession> {
  const schema = await schemaName(connection, dataset)
  return {
    dialect,
    table: name => `${schema}.${doubleQuoted(name)}`,
    async createDataset() {
      await connection.run(`CREATE SCHEMA IF NOT EXISTS ${schema}`)
    },
    async run(sql, values) {
      const result = await connection.run(sql, values === undefined ? undefined : [...values])
      return result.rowsChanged
    },
    async rows(sql, values) {
      const reader = await connection.runAndReadAll(sql, values === undefined ? undefined : [...values])
      return reader.getRows()
    },
    async inspect() {
      const reader = await connection.runAndReadAll(
        'SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = $1 AND NOT internal ORDER BY table_oid, column_index',
        [dataset],
      )
      const tables = new Map<string, Map<string, InspectedColumn>>()
      for (const [table, column, type, nullable] of reader.getRows()) {
        const columns = tables.get(String(table)) ?? new Map<string, InspectedColumn>()
        columns.set(String(column), { type: String(type), nullable: nullable === true })
        tables.set(String(table), columns)
      }
      return tables
    },
  }
}

/** Runs `work` between BEGIN and COMMIT. Rolls back if it fails. */
export async function inTransaction<T>(connection: DuckDBConnection, work: () => Promise<T>): Promise<T> {
  await connection.run('BEGIN TRANSACTION')
  try {
    const result = await work()
    await connection.run('COMMIT')
    return result
  } catch (error) {
    // A failed COMMIT has already ended the transaction.
    await connection.run('ROLLBACK').catch(() => {})
    throw error
  }
}

/** Runs `work`. When the signal aborts, interrupts its statements on the connection and throws the signal's reason. */
export async function interruptible<T>(
  connection: DuckDBConnection,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const interrupt = (): void => connection.interrupt()
  signal?.addEventListener('abort', interrupt)
  try {
    return await work()
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', interrupt)
  }
}

/**
 * Fails if the rows that were read in a transaction ended by an error. The driver ends them as if they were whole, but
 * the transaction is lost. To learn the reason, the statement runs once more without its rows.
 */
export async function refuseCut(
  connection: DuckDBConnection,
  sql: string,
  values: readonly DuckDBValue[],
): Promise<void> {
  const isLost = await connection.run('SELECT 1').then(
    () => false,
    () => true,
  )
  if (!isLost) return
  await connection.run('ROLLBACK').catch(() => {})
  await connection.run('BEGIN TRANSACTION READ ONLY')
  const failure: unknown = await connection.run(`EXPLAIN ANALYZE ${sql}`, [...values]).catch((error: unknown) => error)
  if (failure instanceof Error && !/^Parser Error/.test(failure.message)) {
    failure.message = failure.message.replace(/\n+LINE \d[\s\S]*$/, '')
    throw failure
  }
  throw new QueryError('the statement failed in the middle of its rows, and DuckDB does not say why')
}
