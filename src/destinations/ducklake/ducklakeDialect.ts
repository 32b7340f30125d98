import type { Capabilities } from '../../model/destination.js'
import { reveal } from '../../model/secrets/secret.js'
import { duckdbCapabilities, duckdbDialect } from '../duckdb/duckdbDialect.js'
import type { S3Access } from '../objects/storage/s3Bucket.js'
import type { S3Credentials } from '../objects/storage/s3Identity.js'
import { type Dialect, textLiteral } from '../sql/sqlSession.js'

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
  cheapUpdate: undefined,
  letsCommitsOverlap: true,
}

/** The statement that lets DuckDB reach a bucket. Run it again when the credentials have changed. */
export function s3SecretStatement(
  { accessKeyId, secretAccessKey, sessionToken }: S3Credentials,
  { base, pathStyle, region }: S3Access,
): string {
  const textOf = (secret: S3Credentials['secretAccessKey']): string =>
    textLiteral(typeof secret === 'string' ? secret : reveal(secret))
  const parts = [
    'TYPE s3',
    `KEY_ID ${textLiteral(accessKeyId)}`,
    `SECRET ${textOf(secretAccessKey)}`,
    ...(sessionToken === undefined ? [] : [`SESSION_TOKEN ${textOf(sessionToken)}`]),
    `REGION ${textLiteral(region)}`,
    `ENDPOINT ${textLiteral(base.host)}`,
    `URL_STYLE '${pathStyle ? 'path' : 'vhost'}'`,
    `USE_SSL ${base.protocol === 'https:'}`,
  ]
  return `CREATE OR REPLACE SECRET sluice_data (${parts.join(', ')})`
}
