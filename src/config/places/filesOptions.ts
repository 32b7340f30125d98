import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { type FilesOptions, filesDestination, forFiles } from '../../destinations/objects/objects.js'
import { awsChain, hasAwsChain } from '../../destinations/objects/storage/awsChain.js'
import type { S3Options } from '../../destinations/objects/storage/s3Identity.js'
import type { Destination } from '../../model/destination.js'
import { alternatives, ConfigError } from '../../model/errors.js'
import { checkOptions, needed } from '../../model/optionKinds.js'
import { Secret } from '../../model/secrets/secret.js'
import { nearMiss } from '../../model/texts/nearMiss.js'
import { systemClock } from '../../pipeline/clock.js'
import { type Environment, isSet, processEnvironment } from '../lookup/environment.js'

/** The region of an AWS profile, `default` by default. Reads the same file as AWS's own tools: `~/.aws/config`. */
export function regionOfProfile(profile = 'default', env: Environment): string | undefined {
  let section = ''
  for (const line of awsConfig(env).split(/\r?\n/)) {
    const [, head] = /^\s*\[(?:\s*profile\s)?([^\]]*)\]/.exec(line) ?? []
    if (head !== undefined) section = head.trim().replace(/^(["'])(.*)\1$/, '$2')
    const [, region] = /^region\s*=\s*(\S+)/.exec(line) ?? []
    if (region !== undefined && section === profile) return region
  }
  return undefined
}

function awsConfig(env: Environment): string {
  const named = isSet(env, 'AWS_CONFIG_FILE') ? env.AWS_CONFIG_FILE : undefined
  try {
    return readFileSync(named ?? join(homedir(), '.aws', 'config'), 'utf8')
  } catch {
    // Most machines have none.
    return ''
  }
}

/**
 * Loads into Parquet, NDJSON or CSV files of a folder or of `s3://bucket/prefix`, in dlt's layout. Merging is not
 * possible. S3 settings missing in the options come from the environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
 * `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`, or dlt's names of them.
 *
 * @example
 * ```ts
 * import { files, pipeline, restApi } from 'sluice'
 *
 * const source = restApi({ client: { base_url: 'https://api.example.com' }, resources: ['shops'] })
 * await pipeline({ name: 'shops', source, destination: files('lake') }).run() // Parquet files under lake/
 * ```
 */
export function files(target: string | FilesOptions, env: Environment = processEnvironment()): Destination {
  const options = typeof target === 'string' ? { path: target } : target
  checkOptions(needed(forFiles), options)
  const s3 = options.path.startsWith('s3://') ? { ...s3Settings(env), ...options.s3 } : options.s3
  return filesDestination({ ...options, s3 }, systemClock)
}

const DLT = 'DESTINATION__FILESYSTEM__CREDENTIALS__'

/** Names of each setting. The first that is set counts. */
const settingNames = {
  accessKeyId: [`${DLT}AWS_ACCESS_KEY_ID`, 'AWS_ACCESS_KEY_ID'],
  secretAccessKey: [`${DLT}AWS_SECRET_ACCESS_KEY`, 'AWS_SECRET_ACCESS_KEY'],
  sessionToken: [`${DLT}AWS_SESSION_TOKEN`, 'AWS_SESSION_TOKEN'],
  profile: [`${DLT}PROFILE_NAME`, 'AWS_PROFILE', 'AWS_DEFAULT_PROFILE'],
  region: [`${DLT}REGION_NAME`, 'AWS_REGION', 'AWS_DEFAULT_REGION'],
  endpoint: [`${DLT}ENDPOINT_URL`, 'AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'],
} as const

/** What the environment says about S3. */
export function s3Settings(env: Environment): S3Options {
  const find = (name: keyof typeof settingNames): readonly [value: string, origin: string] | undefined => {
    const origin = settingNames[name].find(candidate => isSet(env, candidate))
    return origin === undefined ? undefined : [env[origin] ?? '', origin]
  }
  const secret = (name: keyof typeof settingNames): Secret | undefined => {
    const found = find(name)
    return found === undefined ? undefined : new Secret(...found)
  }
  const accessKeyId = find('accessKeyId')?.[0]
  const secretAccessKey = secret('secretAccessKey')
  const region = find('region')?.[0]
  const endpoint = find('endpoint')?.[0]
  if (accessKeyId !== undefined && secretAccessKey !== undefined) {
    const credentials = { accessKeyId, secretAccessKey, sessionToken: secret('sessionToken') }
    return withoutUndefined({ credentials, region, endpoint })
  }
  if (!hasAwsChain()) return withoutUndefined({ region, endpoint })
  const profile = find('profile')?.[0]
  return withoutUndefined({ credentials: awsChain(profile), region: region ?? regionOfProfile(profile, env), endpoint })
}

/** Settings of S3 that may follow `?` in an address. */
export const bucketSettings = [
  'region',
  'endpoint',
  'path_style',
  'access_key_id',
  'secret_access_key',
  'session_token',
] as const

/** What may follow `?` in a URL. */
const urlSettings = ['format', 'compression', 'layout', 'staging_dir', ...bucketSettings]

/**
 * The destination of `DIR` or `s3://BUCKET/PREFIX`. Settings follow a `?`, as in
 * `files:lake?format=jsonl&compression=none`. Relative paths begin in the folder, or in the current one. Throws a
 * ConfigError.
 */
export function filesFromUrl(text: string, env: Environment, folder?: string): Destination {
  // A folder's name may contain a question mark.
  const [, path = text, query = ''] = /^([^?]*)\?(\w+=.*)$/s.exec(text) ?? []
  const settings = addressSettings(query, urlSettings)
  const absolute = <Path extends string | undefined>(given: Path) =>
    folder === undefined || given === undefined || given === '' ? given : resolve(folder, given)
  return files(
    {
      path: path.startsWith('s3://') ? path : (absolute(path) ?? path),
      format: settings.get('format') as FilesOptions['format'],
      compression: settings.get('compression') as FilesOptions['compression'],
      layout: settings.get('layout'),
      stagingDir: absolute(settings.get('staging_dir')),
      s3: bucketOptions(settings),
    },
    env,
  )
}

/** The settings behind the `?` of an address. Throws a ConfigError if there is another one than the known. */
export function addressSettings(query: string, known: readonly string[]): ReadonlyMap<string, string> {
  const settings = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(query)) {
    if (!known.includes(name)) {
      const meant = nearMiss(name, known)
      throw new ConfigError([
        {
          place: { path: 'destination' },
          message: `there is no setting \`${name}\`${meant === undefined ? `; expected ${alternatives(known)}` : `; did you mean \`${meant}\`?`}`,
        },
      ])
    }
    settings.set(name, value)
  }
  return settings
}

/** What the settings of an address say about S3. */
export function bucketOptions(settings: ReadonlyMap<string, string>): S3Options {
  const pathStyle = settings.get('path_style')
  return withoutUndefined({
    credentials: credentialsOf(settings),
    region: settings.get('region'),
    endpoint: settings.get('endpoint'),
    pathStyle: pathStyle === undefined ? undefined : pathStyle !== 'false',
  })
}

function credentialsOf(settings: ReadonlyMap<string, string>): S3Options['credentials'] {
  const accessKeyId = settings.get('access_key_id')
  const secretAccessKey = settings.get('secret_access_key')
  const sessionToken = settings.get('session_token')
  if (accessKeyId !== undefined && secretAccessKey !== undefined) {
    return {
      accessKeyId,
      secretAccessKey: new Secret(secretAccessKey),
      sessionToken: sessionToken === undefined ? undefined : new Secret(sessionToken),
    }
  }
  if (accessKeyId === undefined && secretAccessKey === undefined && sessionToken === undefined) return undefined
  throw new ConfigError([
    {
      place: { path: 'destination' },
      message: '`access_key_id` and `secret_access_key` belong together: give both, or neither',
    },
  ])
}

/** A setting that is not given must not override the environment. */
function withoutUndefined<T extends object>(settings: T): Partial<T> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as Partial<T>
}
