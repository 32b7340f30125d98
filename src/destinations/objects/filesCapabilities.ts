import type { Capabilities } from '../../model/destination.js'

/** Why a merge is not possible, for people. */
export const MERGE_REFUSAL =
  'files are written once and never changed, so rows cannot be merged into them; use append or replace, or load into a database such as DuckDB'

/** Files hold what DuckDB can write: decimals have at most 38 digits. */
export const filesCapabilities: Capabilities = {
  maxIdentifierLength: 65_536,
  caseSensitive: false,
  dispositions: ['skip', 'append', 'replace'],
  mergeStrategies: [],
  mergeRefusal: MERGE_REFUSAL,
  // Files of a Delta or an Iceberg table count only if its log lists them.
  tableFormats: ['native', 'hive'],
  transactionalDdl: true,
  nulInText: false,
  decimal: [38, 9],
  wei: [38, 0],
  timestampPrecision: [6, 6],
  dltType: 'dlt.destinations.filesystem',
}
