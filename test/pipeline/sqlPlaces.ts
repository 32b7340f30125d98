import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import {
  type Destination,
  duckdb,
  type JsonObject,
  pipeline,
  postgres,
  type RunResult,
  restApi,
  type WarningCode,
} from '../../src/index.js'
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

/** Loads records of one resource into a new place, one load after the other; resolves to what the last one warned of. */
export async function lastWarnings(
  server: PostgresServer,
  place: string,
  code: WarningCode,
  resource: { readonly name: string },
  loads: readonly JsonObject[][],
): Promise<readonly string[]> {
  const open = sqlPlaces(server)[place]
  if (open === undefined) throw new TypeError(`no place ${place}`)
  const { destination } = await open()
  const home = join(await testFolder(), 'home')
  let result: RunResult | undefined
  for (const records of loads) {
    const resources = [{ records, primary_key: 'id', ...resource }]
    const source = restApi({ client: { base_url: 'http://127.0.0.1:9' }, resources }, { env: {} })
    result = await pipeline({ name: 'shop', source, destination, home }).run()
  }
  return (result?.warnings ?? []).flatMap(warning => (warning.code === code ? [warning.message] : []))
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
