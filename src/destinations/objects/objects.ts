import { basename, resolve } from 'node:path'
import type { Destination } from '../../model/destination.js'
import { ConfigError } from '../../model/errors.js'
import { checkOptions, flag, needed, optionsOf, path, recordOf, secretText, text } from '../../model/optionKinds.js'
import { Secret } from '../../model/secrets/secret.js'
import type { Clock } from '../../model/source.js'
import { filesCapabilities } from './filesCapabilities.js'
import {
  COMPRESSIONS,
  type Compression,
  DEFAULT_FORMAT,
  type EncodingOptions,
  type FileFormatName,
} from './format/fileEncoding.js'
import { DEFAULT_LAYOUT, layout, segment } from './format/layout.js'
import { s3Bucket } from './storage/s3Bucket.js'
import type { S3Credentials, S3Options } from './storage/s3Identity.js'
import type { Storage } from './storage/storage.js'

export interface FilesOptions {
  /** A folder, or `s3://bucket/prefix`. Each dataset is a folder in it. */
  readonly path: string
  /** Default: the table's `file_format`, else the format of existing files, else `parquet`. */
  readonly format?: FileFormatName | undefined
  /** Default: `zstd` for Parquet, `gzip` for the others. Parquet also supports `snappy`. */
  readonly compression?: Compression | undefined
  /** Names of data files, with dlt's placeholders. Default `{table_name}/{load_id}.{file_id}.{ext}`. */
  readonly layout?: string | undefined
  /** Values of your own placeholders in the layout. */
  readonly extraPlaceholders?: Readonly<Record<string, string>> | undefined
  /**
   * A local folder for staged rows, which need about the size of their JSON. Default: in the folder itself, or a
   * temporary folder for S3.
   */
  readonly stagingDir?: string | undefined
  /** How to reach an S3 bucket, and with which credentials. */
  readonly s3?: S3Options | undefined
}

/** What a provider of AWS returns has more members. */
const credentialsKind = optionsOf<S3Credentials>(
  'credentials, or a function that returns them',
  { accessKeyId: needed(text), secretAccessKey: needed(secretText), sessionToken: secretText },
  'allowed',
)

/** Options of S3. */
export const forS3 = optionsOf<S3Options>('settings of S3', {
  credentials: (value, at) => (typeof value === 'function' ? [] : credentialsKind(value, at)),
  region: text,
  endpoint: text,
  pathStyle: flag,
  checksums: flag,
})

/** What `files()` takes. The words of format and compression are checked together. */
export const forFiles = optionsOf<FilesOptions>('a folder, `s3://bucket/prefix`, or options with a path', {
  path: needed(text),
  format: text,
  compression: text,
  layout: text,
  extraPlaceholders: recordOf('texts by name', text),
  stagingDir: path,
  s3: forS3,
})

/** The secrets among credentials that are given. */
export function secretsOf(credentials: S3Options['credentials']): readonly Secret[] {
  if (typeof credentials === 'function') return []
  const given = [credentials?.secretAccessKey, credentials?.sessionToken].filter(one => one !== undefined)
  return given.map(one => (typeof one === 'string' ? new Secret(one) : one))
}

/**
 * Loads into files of a folder or of an S3 bucket, in dlt's layout. The record that is written last commits a load: it
 * lists the files that count. Fails with a ConfigError if the options do not fit together.
 */
export function filesDestination(options: FilesOptions, clock: Clock): Destination {
  const encoding = checkedEncoding(options)
  const names = layout(options.layout ?? DEFAULT_LAYOUT, options.extraPlaceholders)
  const bucket = /^s3:\/\/([^/]*)\/?(.*)$/.exec(options.path)
  if (bucket === null && /^[a-z][a-z\d+-]+:\/\//i.test(options.path)) {
    throw problem('path', `expected a folder or \`s3://bucket/prefix\`, not ${JSON.stringify(options.path)}`)
  }
  if (options.path === '') throw problem('path', 'expected a folder or `s3://bucket/prefix`, not nothing')
  checkOptions(path, options.path, 'path')
  const listeners = new Set<(secret: Secret) => void>()
  const place =
    bucket === null
      ? undefined
      : s3Bucket(
          { bucket: bucket[1] ?? '', prefix: bucket[2] ?? '', stagingDir: options.stagingDir },
          options.s3 ?? {},
          clock,
          secret => {
            for (const listener of listeners) listener(secret)
          },
        )
  const openStorage = async (folder: string, signal: AbortSignal | undefined): Promise<Storage> => {
    if (place !== undefined) return (await import('./storage/s3.js')).s3Storage(place)(folder, signal)
    const { localStorage } = await import('./storage/folder.js')
    return localStorage(resolve(options.path, folder), options.stagingDir)
  }
  return {
    name: bucket === null ? `files:${basename(resolve(options.path))}` : options.path.replace(/\/$/, ''),
    localPath: bucket === null ? resolve(options.path) : undefined,
    capabilities: filesCapabilities,
    place: bucket === null ? resolve(options.path) : options.path,
    secrets: secretsOf(options.s3?.credentials),
    onSecret: listener => void listeners.add(listener),
    async connect(dataset, signal) {
      signal?.throwIfAborted()
      const { filesConnection } = await import('./objectsConnection.js')
      const storage = await openStorage(segment(dataset), signal)
      return await filesConnection(storage, dataset, { layout: names, encoding }, signal)
    },
  }
}

function checkedEncoding({ format, compression }: FilesOptions): EncodingOptions {
  const named = format ?? DEFAULT_FORMAT
  const known = Object.hasOwn(COMPRESSIONS, named) ? COMPRESSIONS[named] : undefined
  if (known === undefined) {
    throw problem('format', `expected ${Object.keys(COMPRESSIONS).join(', ')}, not ${JSON.stringify(format)}`)
  }
  if (compression === undefined || known.includes(compression)) return { format, compression }
  throw problem('compression', `expected ${known.join(', ')} for ${named}, not ${JSON.stringify(compression)}`)
}

function problem(path: string, message: string): ConfigError {
  return new ConfigError([{ place: { path }, message }])
}
