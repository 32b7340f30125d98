import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { type Destination, duckdb, postgres } from '../../src/index.js'
import type { PostgresServer } from '../destinations/postgresServer.js'
import { testFolder } from './api.js'

/** A new empty database as a destination, and a way around Sluice into it. */
export interface SqlPlace {
  readonly destination: Destination
  /** Runs a statement while no pipeline has the database. */
  sql(text: string): Promise<unknown>
}

/** Each call of a member opens another place. */
export function sqlPlaces(server: PostgresServer): Readonly<Record<string, () => Promise<SqlPlace>>> {
  return {
    async duckdb() {
      const path = join(await testFolder(), 'test.duckdb')
      return { destination: duckdb(path), sql: text => inDuckdb(path, text) }
    },
    async postgres() {
      const database = await server.createDatabase()
      return { destination: postgres(server.url(database)), sql: text => server.sql(database, text) }
    },
  }
}

/** Runs a statement in a DuckDB file that nobody has open; the rows as arrays. */
export async function inDuckdb(path: string, text: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  try {
    return (await connection.runAndReadAll(text)).getRows()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}
