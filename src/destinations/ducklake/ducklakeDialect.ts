import type { Capabilities } from '../../model/destination.js'
import { duckdbCapabilities, duckdbDialect } from '../duckdb/duckdbDialect.js'
import type { Dialect } from '../sql/sqlSession.js'

export const ducklakeCapabilities: Capabilities = {
  ...duckdbCapabilities,
  parallelLoads: 'many_processes',
  dltType: 'dlt.destinations.ducklake',
}

/** DuckDB's SQL, as far as a lake of Parquet files takes it. */
export const ducklakeDialect: Dialect = {
  ...duckdbDialect,
  // DuckLake would keep a HUGEINT as DOUBLE and lose digits.
  typeName(type, precision, scale, timezone) {
    const name = duckdbDialect.typeName(type, precision, scale, timezone)
    return name === 'HUGEINT' ? 'DECIMAL(38,0)' : name
  },
  storage: () => '',
  setsNotNull: false,
  letsCommitsOverlap: true,
}
