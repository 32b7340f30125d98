import { awsSigned } from '../../../model/awsSignature.js'
import { DestinationError } from '../../../model/errors.js'
import { unlessStopped } from '../../../model/runtime/backoff.js'
import { reveal, Secret } from '../../../model/secrets/secret.js'
import type { Clock } from '../../../model/source.js'
import { percentEncoded, sortedQuery } from '../../../model/texts/percentEncoding.js'

/** The credentials that sign requests. */
export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: Secret | string
  /** Only for temporary credentials. */
  readonly sessionToken?: Secret | string | undefined
}

/**
 * Returns credentials, new ones if `forceRefresh` is set. Every provider of `@aws-sdk/credential-providers` fits.
 * Sluice calls it before the first request, again five minutes before `expiration`, and when the store refuses the
 * credentials.
 */
export type S3CredentialProvider = (options?: {
  readonly forceRefresh?: boolean
}) => Promise<S3Credentials & { readonly expiration?: Date | undefined }>

export interface S3Options {
  readonly credentials?: S3Credentials | S3CredentialProvider | undefined
  /** Default `us-east-1`. */
  readonly region?: string | undefined
  /** Address of a service other than Amazon's, as in `https://minio.example.com:9000`. */
  readonly endpoint?: string | undefined
  /** Put the bucket in the path instead of the host's name. Default: true with `endpoint`, else false. */
  readonly pathStyle?: boolean | undefined
  /**
   * Send SHA-256 checksums for the store to keep with each object. Default true. A few stores refuse them. The
   * signature covers the content either way.
   */
  readonly checksums?: boolean | undefined
}

export interface UnsignedS3Request {
  readonly method: string
  /** As sent in the `host` header. */
  readonly host: string
  /** Percent-encoded, as sent. */
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** SHA-256 of the body in hex. */
  readonly bodySha256: string
}

/** All headers of a request, signed for S3. `nowMs` is milliseconds since the epoch. */
export function signed(
  { method, host, path, query, headers, bodySha256 }: UnsignedS3Request,
  { accessKeyId, secretAccessKey, sessionToken }: S3Credentials,
  region: string,
  nowMs: number,
): Readonly<Record<string, string>> {
  const request = {
    method,
    path,
    query: queryText(query),
    headers: { ...headers, host, 'x-amz-content-sha256': bodySha256 },
    bodySha256,
  }
  const key = {
    accessKeyId,
    secretAccessKey: textOf(secretAccessKey),
    sessionToken: sessionToken === undefined ? undefined : textOf(sessionToken),
    region,
    service: 's3',
  }
  return awsSigned(request, key, nowMs)
}

/** A query with sorted, encoded parameters, as signed and sent. Without `?`. */
export function queryText(query: Readonly<Record<string, string>>): string {
  return sortedQuery(Object.entries(query))
}

/** A key as a path: percent-encodes everything but unreserved characters and `/`. */
export function pathText(key: string): string {
  return key.split('/').map(percentEncoded).join('/')
}

function textOf(secret: Secret | string): string {
  return secret instanceof Secret ? reveal(secret) : secret
}

/** Signs the requests to a bucket. The credentials may change meanwhile. */
export interface S3Identity {
  /**
   * Credentials that are still valid, requested before each request. Concurrent callers share one answer. Fails with a
   * DestinationError, which never holds a secret.
   */
  current(signal?: AbortSignal): Promise<S3Credentials>
  /** The store no longer accepts these credentials. Returns whether requesting new ones can help. */
  refused(credentials: S3Credentials): boolean
}

/** New credentials are requested this long before the old ones expire: AWS has them ready by then. */
const AHEAD_MS = 5 * 60_000
/** If that fails, the old ones stay in use and new ones are requested again after this time. */
const AGAIN_MS = 30_000
/** How long a provider may take: an instance without a role never answers. */
const ANSWER_MS = 30_000
/** Longer texts are not credentials: AWS session tokens have about 1,000 characters. */
const LONGEST = 16_384

interface Held {
  readonly credentials: S3Credentials
  /** Milliseconds since the epoch. */
  readonly endsAt: number
  readonly renewAt: number
}

/** Calls `conceal` with each secret before it is used. */
export function s3Identity(
  given: S3Credentials | S3CredentialProvider,
  place: string,
  clock: Pick<Clock, 'now'>,
  conceal: (secret: Secret) => void,
): S3Identity {
  if (typeof given !== 'function') return { current: async () => given, refused: () => false }
  let held: Held | undefined
  let asking: Promise<void> | undefined

  const ask = async (): Promise<void> => {
    const now = clock.now()
    try {
      const found = checked(await given({ forceRefresh: true }), now)
      const credentials = {
        accessKeyId: found.accessKeyId,
        secretAccessKey: concealed(found.secretAccessKey, conceal),
        sessionToken: found.sessionToken === undefined ? undefined : concealed(found.sessionToken, conceal),
      }
      const endsAt = found.expiration?.getTime() ?? Number.POSITIVE_INFINITY
      held = { credentials, endsAt, renewAt: Math.max(now + AGAIN_MS, endsAt - AHEAD_MS) }
    } catch (error) {
      if (held === undefined || held.endsAt <= now) throw missing(place, error)
      held = { ...held, renewAt: now + AGAIN_MS }
    }
  }

  return {
    async current(signal) {
      const now = clock.now()
      if (held === undefined || now >= Math.min(held.renewAt, held.endsAt)) {
        asking ??= ask().finally(() => {
          asking = undefined
        })
        await inTime(asking, place, signal)
      }
      if (held === undefined) throw missing(place, new Error('the provider gave none'))
      return held.credentials
    },
    refused(credentials) {
      if (held?.credentials === credentials) held = undefined
      return true
    },
  }
}

/** The credentials of a provider, if they are valid. */
function checked(
  found: Awaited<ReturnType<S3CredentialProvider>>,
  now: number,
): Awaited<ReturnType<S3CredentialProvider>> {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = found ?? {}
  for (const [name, value] of Object.entries({ accessKeyId, secretAccessKey, sessionToken })) {
    if (name === 'sessionToken' && value === undefined) continue
    const text: unknown = value instanceof Secret ? reveal(value) : value
    if (typeof text !== 'string' || text.length > LONGEST || !/^[!-~]+$/.test(text))
      throw new Error(`the \`${name}\` of the provider cannot be used: expected a text without blanks`)
  }
  if (expiration === undefined) return found
  const endsAt = expiration instanceof Date ? expiration.getTime() : Number.NaN
  if (Number.isNaN(endsAt)) throw new Error('the `expiration` of the provider is not a date')
  if (endsAt <= now) throw new Error(`the credentials of the provider ended at ${expiration.toISOString()}`)
  return found
}

function concealed(value: Secret | string, conceal: (secret: Secret) => void): Secret {
  const secret = typeof value === 'string' ? new Secret(value, 'the provider of credentials') : value
  conceal(secret)
  return secret
}

/** Rejects if the work takes too long or the signal is aborted. It cannot stop the provider's work. */
async function inTime(work: Promise<void>, place: string, signal: AbortSignal | undefined): Promise<void> {
  const late = AbortSignal.timeout(ANSWER_MS)
  // Cleaning up happens after the signal.
  const stop = signal === undefined || signal.aborted ? late : AbortSignal.any([late, signal])
  try {
    await unlessStopped(work, stop)
  } catch (error) {
    throw error === late.reason ? missing(place, new Error(`no answer within ${ANSWER_MS / 1000} s`)) : error
  }
}

const LONGEST_REASON = 300

function missing(place: string, error: unknown): DestinationError {
  // The parser quotes invalid JSON, which may be a secret.
  const told = error instanceof SyntaxError ? 'what the provider answered is not JSON' : String(error)
  const reason = (told.replace(/^\w*Error: /, '').split('\n', 1)[0] ?? '').slice(0, LONGEST_REASON).replace(/\.$/, '')
  return new DestinationError(
    'destination',
    `${place}: there are no credentials: ${reason}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or look at the profile or role of this machine`,
    { destination: place },
  )
}
