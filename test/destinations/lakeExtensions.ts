import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const engine = fileURLToPath(new URL('lakeEngine.cjs', import.meta.url))

/**
 * The folder with DuckDB's extensions, which `scripts/fetch-extensions.mjs` fetches. Undefined where there is none: tests
 * of lakes are skipped. Import this before anything that loads DuckDB.
 */
export const extensions = process.env.SLUICE_DUCKDB_EXTENSIONS || undefined

if (extensions === undefined) {
  console.warn('There are no extensions of DuckDB (SLUICE_DUCKDB_EXTENSIONS): the tests of lakes are skipped')
} else {
  createRequire(import.meta.url)(engine)
  process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --require ${engine}`.trim()
}
