import { resolve } from 'node:path'
import { ducklakeDestination, forDucklake } from '../../destinations/ducklake/ducklake.js'
import type { DucklakeOptions } from '../../destinations/ducklake/lake.js'
import type { Destination } from '../../model/destination.js'
import { checkOptions, isObject, needed } from '../../model/optionKinds.js'
import { Secret } from '../../model/secrets/secret.js'
import { systemClock } from '../../pipeline/clock.js'
import { type Environment, isSet, processEnvironment } from '../lookup/environment.js'
import { addressSettings, bucketOptions, bucketSettings, s3Settings } from './filesOptions.js'

/**
 * Loads into a DuckLake: Parquet files in a folder or in `s3://bucket/prefix`, with a DuckDB file, a file of SQLite or a
 * Postgres database as their catalog. Each load is one snapshot. With a catalog in Postgres, several machines may load
 * into one dataset at once.
 *
 * Needs extensions of DuckDB. It fetches them itself, or they are files in the folder `SLUICE_DUCKDB_EXTENSIONS`. S3
 * settings that are missing in the options come from the environment, as with `files`.
 *
 * @example
 * ```ts
 * import { ducklake, pipeline, restApi } from 'sluice'
 *
 * const source = restApi({ client: { base_url: 'https://api.example.com' }, resources: ['shops'] })
 * const destination = ducklake({ catalog: 'shops.ducklake', dataPath: 'lake' })
 * await pipeline({ name: 'shops', source, destination }).run() // Parquet files under lake/
 * ```
 */
export function ducklake(
  target: string | Secret | DucklakeOptions,
  env: Environment = processEnvironment(),
): Destination {
  const options = optionsFrom(target)
  checkOptions(needed(forDucklake), options)
  const isInBucket = options.dataPath?.startsWith('s3://') === true
  return ducklakeDestination(
    {
      ...options,
      extensions:
        options.extensions ?? (isSet(env, 'SLUICE_DUCKDB_EXTENSIONS') ? env.SLUICE_DUCKDB_EXTENSIONS : undefined),
      s3: isInBucket ? { ...s3Settings(env), ...options.s3 } : options.s3,
    },
    systemClock,
  )
}

function optionsFrom(target: string | Secret | DucklakeOptions): DucklakeOptions {
  return typeof target === 'string' || target instanceof Secret ? { catalog: target } : target
}

/** What may follow `?` in an address, besides parameters of Postgres. */
const ownSettings = [
  'data_path',
  'override_data_path',
  'metadata_schema',
  'extensions',
  'staging_dir',
  ...bucketSettings,
]

/**
 * The destination of a catalog, with settings behind a `?`, as in `lake.ducklake?data_path=s3://bucket/lake`. Relative
 * paths begin in the folder, or in the current one. Throws a ConfigError.
 */
export function ducklakeFromUrl(
  text: string,
  env: Environment,
  folder: string | undefined,
  lockTimeoutMs: number | undefined,
): Destination {
  const [, written = text, query = ''] = /^([^?]*)\?(\w+=.*)$/s.exec(text) ?? []
  const isPostgres = /^postgres(ql)?:/i.test(written)
  const [own, others] = split(query, isPostgres)
  const settings = addressSettings(own, ownSettings)
  const namesPassword = /^[^/]*\/\/[^/?#]*:[^/?#]*@/.test(written) || /(?:^|&)password=/.test(others)
  const override = settings.get('override_data_path')
  const options: DucklakeOptions = {
    catalog: isPostgres ? new Secret(others === '' ? written : `${written}?${others}`) : written,
    password: !isPostgres || namesPassword || !isSet(env, 'PGPASSWORD') ? undefined : new Secret(env.PGPASSWORD ?? ''),
    dataPath: settings.get('data_path'),
    overrideDataPath: override === undefined ? undefined : override !== 'false',
    metadataSchema: settings.get('metadata_schema'),
    extensions: settings.get('extensions'),
    stagingDir: settings.get('staging_dir'),
    s3: bucketOptions(settings),
    lockTimeoutMs,
  }
  return ducklake(folder === undefined ? options : inFolder(options, folder), env)
}

/** The same options, with relative paths that begin in the folder. */
export function inFolder(target: string | Secret | DucklakeOptions, folder: string): DucklakeOptions {
  const options = optionsFrom(target)
  // Another value is named when the options are checked.
  if (!isObject(options)) return options
  const { catalog, dataPath, extensions, stagingDir } = options
  const absolute = (given: string | undefined): string | undefined =>
    typeof given !== 'string' || given === '' || given.includes('://') ? given : resolve(folder, given)
  const [, kind = '', file = ''] =
    (typeof catalog === 'string' ? /^((?:duckdb|sqlite):)?(.*)$/is.exec(catalog) : null) ?? []
  return {
    ...options,
    catalog: typeof catalog === 'string' ? `${kind}${absolute(file)}` : catalog,
    dataPath: absolute(dataPath),
    extensions: absolute(extensions),
    stagingDir: absolute(stagingDir),
  }
}

/** Our own settings, and the parameters of Postgres, which are checked with its address. */
function split(query: string, isPostgres: boolean): readonly [own: string, others: string] {
  if (!isPostgres) return [query, '']
  const parts = query.split('&').filter(part => part !== '')
  const isOwn = (part: string): boolean => ownSettings.includes(part.split('=', 1)[0] ?? '')
  return [parts.filter(isOwn).join('&'), parts.filter(part => !isOwn(part)).join('&')]
}
