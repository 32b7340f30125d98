import { afterAll, test } from 'vitest'
import { postgres } from '../../src/destinations/postgres/postgres.js'
import { testDestination } from '../../src/testing/testDestination.js'
import { startPostgres } from './postgresServer.js'

const server = await startPostgres()
afterAll(() => server.stop())

for (const { name, run } of await testDestination({
  name: 'postgres',
  async create() {
    const database = await server.createDatabase()
    return {
      // One case waits for a lock that does not come.
      destination: postgres({ connectionString: server.url(database), lockTimeoutMs: 1000 }),
      dispose: async () => void (await server.sql('postgres', `DROP DATABASE ${database} WITH (FORCE)`)),
    }
  },
})) {
  test(name, run)
}
