import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'vitest'
import { duckdb } from '../../src/destinations/duckdb/duckdb.js'
import { testDestination } from '../../src/testing/testDestination.js'

for (const { name, run } of await testDestination({
  name: 'file',
  async create() {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-duckdb-'))
    return {
      destination: duckdb(join(folder, 'api_data.duckdb')),
      dispose: async () => await rm(folder, { recursive: true }),
    }
  },
})) {
  test(name, run)
}
