import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import type { Destination } from '../../model/destination.js'
import { ConfigError } from '../../model/errors.js'
import {
  checkOptions,
  flag,
  needed,
  optionsOf,
  path,
  secretText,
  text,
  wholeFromZero,
} from '../../model/optionKinds.js'
import { reveal, type Secret } from '../../model/secrets/secret.js'
import type { Clock } from '../../model/source.js'
import { forS3, secretsOf } from '../objects/objects.js'
import { s3Access } from '../objects/storage/s3Bucket.js'
import { addressOf } from '../postgres/postgresAddress.js'
import { ducklakeCapabilities } from './ducklakeDialect.js'
import type { Catalog, DucklakeOptions, Lake } from './lake.js'

/** What `ducklake()` takes. */
export const forDucklake = optionsOf<DucklakeOptions>('a catalog, or options with it', {
  catalog: needed(secretText),
  dataPath: path,
  overrideDataPath: flag,
  metadataSchema: text,
  password: secretText,
  extensions: path,
  s3: forS3,
  stagingDir: path,
  lockTimeoutMs: wholeFromZero,
})

/**
 * Loads into a DuckLake: Parquet files in a folder or a bucket, and a database as their catalog. A load is one snapshot.
 * Fails with a ConfigError if the options do not fit together.
 */
export function ducklakeDestination(options: DucklakeOptions, clock: Pick<Clock, 'now'>): Destination {
  const catalog = catalogOf(options)
  const listeners = new Set<(secret: Secret) => void>()
  const { dataPath, metadataSchema, stagingDir } = options
  const bucket = /^s3:\/\/([^/]*)/.exec(dataPath ?? '')?.[1]
  if (bucket === undefined && /^[a-z][a-z\d+-]+:\/\//i.test(dataPath ?? '')) {
    throw problem('dataPath', `expected a folder or \`s3://bucket/prefix\`, not ${JSON.stringify(dataPath)}`)
  }
  if (metadataSchema !== undefined && catalog.kind !== 'postgres') {
    throw problem('metadataSchema', 'only a catalog in Postgres has schemas; leave it out')
  }
  const isFile = catalog.kind !== 'postgres'
  const lake: Lake = {
    place: isFile ? catalog.path : `${catalog.address.name}${metadataSchema === undefined ? '' : `#${metadataSchema}`}`,
    catalog,
    dataPath: bucket === undefined && dataPath !== undefined ? resolve(dataPath) : dataPath,
    overrideDataPath: options.overrideDataPath === true,
    metadataSchema,
    extensions: options.extensions,
    lockTimeoutMs: options.lockTimeoutMs ?? 5_000,
    s3:
      bucket === undefined
        ? undefined
        : s3Access(bucket, options.s3 ?? {}, clock, secret => {
            for (const listener of listeners) listener(secret)
          }),
  }
  const password = isFile ? undefined : catalog.address.password
  return {
    name: `ducklake:${isFile ? basename(catalog.path) : lake.place}`,
    localPath: isFile ? catalog.path : undefined,
    // A catalog in a DuckDB file is open in one process.
    capabilities:
      catalog.kind === 'duckdb' ? { ...ducklakeCapabilities, parallelLoads: 'one_process' } : ducklakeCapabilities,
    place: lake.place,
    secrets: [...(password === undefined ? [] : [password]), ...secretsOf(options.s3?.credentials)],
    onSecret: listener => void listeners.add(listener),
    async exists() {
      const { lakeExists } = await import('./ducklakeDatabase.js')
      return await lakeExists(lake)
    },
    async tryEngine() {
      const { tryExtensions } = await import('./ducklakeDatabase.js')
      return await tryExtensions(lake)
    },
    async connect(dataset, signal) {
      signal?.throwIfAborted()
      const { openLake } = await import('./ducklakeDatabase.js')
      const { duckdbConnection } = await import('../duckdb/duckdbConnection.js')
      const database = await openLake(lake, signal)
      return duckdbConnection(database, dataset, () => stagingFolder(catalog, stagingDir), signal)
    },
  }
}

/** Only a DuckDB file is open in one process. Elsewhere others stage at the same time, so each load has its own folder. */
async function stagingFolder(catalog: Catalog, stagingDir: string | undefined): Promise<string> {
  if (catalog.kind === 'duckdb') return resolve(stagingDir ?? `${catalog.path}.staging`)
  const parent = stagingDir === undefined ? tmpdir() : resolve(stagingDir)
  await mkdir(parent, { recursive: true, mode: 0o700 })
  return await mkdtemp(join(parent, 'sluice-staging-'))
}

function catalogOf({ catalog, password }: DucklakeOptions): Catalog {
  const written = typeof catalog === 'string' ? catalog : reveal(catalog)
  if (/^postgres(ql)?:\/\//i.test(written)) {
    return { kind: 'postgres', address: addressOf({ connectionString: written, password }) }
  }
  const [, scheme = 'duckdb', file = ''] = /^(?:(duckdb|sqlite):)?(.*)$/is.exec(written) ?? []
  if (/^[a-z][a-z\d+-]+:/i.test(file)) {
    throw problem('catalog', 'expected a DuckDB file, `sqlite:FILE` or `postgres://USER@HOST/DATABASE`')
  }
  checkOptions(needed(path), file === '' ? undefined : file, 'catalog')
  return { kind: scheme.toLowerCase() === 'sqlite' ? 'sqlite' : 'duckdb', path: resolve(file) }
}

function problem(at: string, message: string): ConfigError {
  return new ConfigError([{ place: { path: at }, message }])
}
