import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { ducklake } from '../../src/config/places/ducklakeOptions.js'
import { testDestination } from '../../src/testing/testDestination.js'
import { extensions } from './lakeExtensions.js'
import { type PostgresServer, startPostgres } from './postgresServer.js'

let server: PostgresServer
beforeAll(async () => {
  if (extensions !== undefined) server = await startPostgres()
})
afterAll(async () => await server?.stop())

/** The address of a new catalog. A name may have any letter. */
const catalogs = {
  DuckDB: async (folder: string) => join(folder, "a 'lake'.catalog"),
  SQLite: async (folder: string) => `sqlite:${join(folder, "a 'lake'.catalog")}`,
  Postgres: async () => server.url(await server.createDatabase()),
} as const

describe.skipIf(extensions === undefined).each(Object.entries(catalogs))('with a catalog in %s', async (_, make) => {
  const cases = await testDestination({
    name: 'ducklake',
    async create() {
      const folder = await mkdtemp(join(tmpdir(), 'sluice-ducklake-'))
      return {
        destination: ducklake({
          catalog: server === undefined ? folder : await make(folder),
          dataPath: join(folder, 'data'),
        }),
        dispose: async () => await rm(folder, { recursive: true }),
      }
    },
  })
  for (const { name, run } of cases) test(name, { timeout: 60_000 }, run)
})
