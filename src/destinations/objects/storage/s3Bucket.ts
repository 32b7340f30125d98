import { ConfigError } from '../../../model/errors.js'
import type { Secret } from '../../../model/secrets/secret.js'
import type { Clock } from '../../../model/source.js'
import { type S3Identity, type S3Options, s3Identity } from './s3Identity.js'

export interface S3Target {
  readonly bucket: string
  /** Without a slash at its ends; may be empty. */
  readonly prefix: string
  readonly stagingDir: string | undefined
}

/** A bucket whose options are checked. What stores in it is loaded when something is stored. */
export interface S3Bucket {
  readonly target: S3Target
  readonly access: S3Access
  readonly checksums: boolean
  readonly clock: Clock
}

/** Checks the options and throws a ConfigError. Calls `conceal` with secrets that come later. */
export function s3Bucket(
  { bucket, prefix: given, stagingDir }: S3Target,
  options: S3Options,
  clock: Clock,
  conceal: (secret: Secret) => void = () => {},
): S3Bucket {
  const prefix = given.replace(/^\/+|\/+$/g, '')
  if (prefix.split('/').some(part => part === '.' || part === '..' || (part === '' && prefix !== '')))
    throw problem(
      'path',
      `expected a plain prefix, without empty parts, \`.\` and \`..\`, not ${JSON.stringify(prefix)}`,
    )
  const access = s3Access(bucket, options, clock, conceal)
  return { target: { bucket, prefix, stagingDir }, access, checksums: options.checksums !== false, clock }
}

/** How to reach a bucket: an address, the form of its names, and who asks. */
export interface S3Access {
  readonly base: URL
  /** The bucket stands in the path instead of the host's name. */
  readonly pathStyle: boolean
  readonly region: string
  readonly identity: S3Identity
}

/** Fails with a ConfigError if the bucket or the endpoint is none, or there are no credentials. */
export function s3Access(
  bucket: string,
  options: S3Options,
  clock: Pick<Clock, 'now'>,
  conceal: (secret: Secret) => void,
): S3Access {
  if (!/^[a-z0-9][a-z0-9._-]{1,253}[a-z0-9]$/i.test(bucket))
    throw problem(
      'path',
      `expected \`s3://bucket/prefix\`; ${bucket.includes('@') ? 'credentials stand in the environment or in parameters' : `${JSON.stringify(bucket)} is not the name of a bucket`}`,
    )
  const { credentials, region = 'us-east-1', endpoint } = options
  if (credentials === undefined)
    throw problem(
      's3.credentials',
      'credentials are missing; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or install @aws-sdk/credential-providers, which finds profiles, SSO and the roles of containers and instances',
    )
  if (endpoint !== undefined && !/^https?:\/\/[^/]+\/?$/.test(endpoint))
    throw problem('s3.endpoint', `expected an origin such as https://minio.example.com:9000, not ${endpoint}`)
  const base = new URL(endpoint ?? `https://s3.${region}.amazonaws.com`)
  // Certificates for a bucket's host do not cover bucket names with dots.
  const pathStyle = options.pathStyle ?? (endpoint !== undefined || bucket.includes('.'))
  return { base, pathStyle, region, identity: s3Identity(credentials, `s3://${bucket}`, clock, conceal) }
}

function problem(path: string, message: string): ConfigError {
  return new ConfigError([{ place: { path }, message }])
}
