import { secretsOf } from '../../destinations/objects/objects.js'
import { s3Bucket } from '../../destinations/objects/storage/s3Bucket.js'
import type { S3Options } from '../../destinations/objects/storage/s3Identity.js'
import type { JournalBucket } from '../../journal/bucketJournals.js'
import { ConfigError } from '../../model/errors.js'
import type { Secret } from '../../model/secrets/secret.js'
import { systemClock } from '../../pipeline/clock.js'
import { type Environment, processEnvironment } from '../lookup/environment.js'
import { addressSettings, bucketOptions, bucketSettings, s3Settings } from './filesOptions.js'

/** What `journalBucket()` takes beside the address. */
export interface JournalBucketOptions {
  /** How to reach the bucket, and with which credentials. Default: as the environment and the address say. */
  readonly s3?: S3Options | undefined
  /** A folder behind the prefix. Default: none. */
  readonly folder?: string | undefined
  /** Default: the environment of this process. */
  readonly env?: Environment | undefined
}

/**
 * A bucket that keeps the journals of pipelines, so that another machine goes on with a run whose machine is gone:
 * `s3://bucket/prefix`, with settings behind a `?` as in the address of a destination. Opens nothing yet. Throws a ConfigError.
 *
 * @example
 * ```ts
 * import { duckdb, journalBucket, pipeline, restApi } from 'sluice'
 *
 * const source = restApi({ client: { base_url: 'https://api.example.com' }, resources: ['shops'] })
 * const credentials = { accessKeyId: 'loader', secretAccessKey: 'from a secret store' }
 * const journal = journalBucket('s3://loads/journals', { s3: { credentials } })
 * pipeline({ name: 'shops', source, destination: duckdb('shops.duckdb'), journal })
 * ```
 */
export function journalBucket(address: string, options: JournalBucketOptions = {}): JournalBucket {
  const [, bucket, written = '', query = ''] = /^s3:\/\/([^/?]*)\/?([^?]*)(?:\?(.*))?$/s.exec(address) ?? []
  if (bucket === undefined) throw problem(`expected \`s3://bucket/prefix\`; ${otherPlace(address)}`)
  const listeners = new Set<(secret: Secret) => void>()
  const conceal = (secret: Secret): void => {
    for (const listener of listeners) listener(secret)
  }
  const prefix = [written.replace(/\/+$/, ''), options.folder ?? ''].filter(part => part !== '').join('/')
  return asJournal(() => {
    const given = bucketOptions(addressSettings(query, bucketSettings))
    const s3 = { ...s3Settings(options.env ?? processEnvironment()), ...given, ...options.s3 }
    const place = s3Bucket({ bucket, prefix, stagingDir: undefined }, s3, systemClock, conceal)
    return {
      place: prefix === '' ? `s3://${bucket}` : `s3://${bucket}/${prefix}`,
      secrets: secretsOf(s3.credentials),
      onSecret: listener => void listeners.add(listener),
      async open(folder, signal) {
        return (await import('../../destinations/objects/storage/s3.js')).s3Storage(place)(folder, signal)
      },
    }
  })
}

function otherPlace(address: string): string {
  const scheme = /^([a-z][a-z\d+.-]*):\/\//i.exec(address)?.[1]
  return scheme === undefined
    ? 'SLUICE_HOME names a folder that several machines share'
    : `there are no journals at \`${scheme}://\``
}

/** Whatever is wrong with the bucket is wrong with the key `journal`. */
function asJournal<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof ConfigError) throw problem(error.problems.map(({ message }) => message).join('; '))
    throw error
  }
}

function problem(message: string): ConfigError {
  return new ConfigError([{ place: { path: 'journal' }, message }])
}
