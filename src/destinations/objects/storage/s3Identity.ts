import { DestinationError } from '../../../model/errors.js'
import { reveal, Secret } from '../../../model/secrets/secret.js'
import type { Clock } from '../../../model/source.js'
import { unlessStopped } from '../../../model/unlessStopped.js'
import type { S3CredentialProvider, S3Credentials } from './s3Options.js'

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
      throw new Error(`what the provider gave as \`${name}\` is none`)
  }
  if (expiration === undefined) return found
  const endsAt = expiration instanceof Date ? expiration.getTime() : Number.NaN
  if (Number.isNaN(endsAt)) throw new Error('what the provider gave as `expiration` is no date')
  if (endsAt <= now) throw new Error(`the credentials that the provider gave ended at ${expiration.toISOString()}`)
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
  const told = error instanceof SyntaxError ? 'what the provider answered is no JSON' : String(error)
  const reason = (told.replace(/^\w*Error: /, '').split('\n', 1)[0] ?? '').slice(0, LONGEST_REASON).replace(/\.$/, '')
  return new DestinationError(
    'destination',
    `${place}: there are no credentials: ${reason}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or look at the profile or role of this machine`,
    { destination: place },
  )
}
