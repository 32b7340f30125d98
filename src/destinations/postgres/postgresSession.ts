import type { InspectedColumn } from '../../model/destination.js'
import type { SqlSession } from '../sql/sqlSession.js'
import type { PostgresClient } from './postgresClient.js'
import { postgresDialect } from './postgresDialect.js'
import { isConnectionLoss, UnansweredCommit } from './postgresErrors.js'

/** The shared SQL on one session of Postgres. */
export function postgresSession(client: PostgresClient, dataset: string): SqlSession {
  const { identifier } = postgresDialect
  return {
    dialect: postgresDialect,
    table: name => `${identifier(dataset)}.${identifier(name)}`,
    async createDataset() {
      // IF NOT EXISTS would need the right to create schemas even if there is nothing to create.
      const found = await client.query('SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1', [dataset])
      if (found.rows.length === 0) await client.query(`CREATE SCHEMA ${identifier(dataset)}`)
    },
    async run(sql, values) {
      return (await client.query(sql, values)).changed
    },
    async rows(sql, values) {
      return (await client.query(sql, values)).rows
    },
    async inspect() {
      const { rows } = await client.query(INSPECT, [dataset])
      const tables = new Map<string, Map<string, InspectedColumn>>()
      for (const [table, column, type, nullable] of rows) {
        const columns = tables.get(String(table)) ?? new Map<string, InspectedColumn>()
        if (column !== null) columns.set(String(column), { type: String(type), nullable: nullable === 't' })
        tables.set(String(table), columns)
      }
      return tables
    },
  }
}

/** Tables, partitioned and foreign ones, views. A table may have no columns. */
const INSPECT = `SELECT c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), NOT a.attnotnull
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
ORDER BY c.oid, a.attnum`

/** Runs `work` in one transaction, which is already open if `begin` is undefined. Rolls back if it fails. */
export async function inTransaction<T>(
  client: PostgresClient,
  begin: string | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (begin !== undefined) await client.query(begin)
  let result: T
  try {
    result = await work()
  } catch (error) {
    await client.rollBack()
    throw error
  }
  await client.query('COMMIT').catch((error: unknown) => {
    throw client.lost === undefined && !isConnectionLoss(error) ? error : new UnansweredCommit('', { cause: error })
  })
  return result
}

/** Runs `work`, which changes no row, in a transaction that is rolled back afterwards. */
export async function inPassing<T>(client: PostgresClient, begin: string, work: () => Promise<T>): Promise<T> {
  await client.query(begin)
  try {
    return await work()
  } finally {
    await client.rollBack()
  }
}
