import { parseJson } from '../../json/parse.js'
import { RequestError } from '../../model/errors.js'
import { reveal, Secret } from '../../model/secrets/secret.js'
import { unlessStopped } from '../../model/unlessStopped.js'
import type { ApiRequest, ApiResponse, Authenticator, SignContext } from '../api.js'
import { TimeUpError } from '../http/retry.js'
import { withHeader } from '../http/wire.js'

/** An access token and its end, in milliseconds since the epoch. */
interface Token {
  readonly secret: Secret
  readonly endsAt: number
}

export interface TokenSource {
  /** Key path of the `auth` object, for messages. */
  readonly path: string
  /** The request for a token. Called for each token. */
  request(context: SignContext): ApiRequest | Promise<ApiRequest>
  /** For answers that do not give the token's end. */
  readonly defaultExpirySeconds: number
  /** Used until an API rejects it. */
  readonly initial?: Secret | undefined
}

/** A token is renewed this long before it ends, or after nine tenths of its life if that is later. */
const LEEWAY_MS = 30_000

/**
 * Signs with a bearer token. It requests one at first use, shortly before the old one ends, and after a 401. Other
 * requests meanwhile wait for the same token.
 */
export function tokenAuthenticator(source: TokenSource): Authenticator {
  let token: Token | undefined = source.initial && { secret: source.initial, endsAt: Number.POSITIVE_INFINITY }
  let asked: { readonly token: Promise<Token>; readonly by: SignContext } | undefined
  const signedWith = new WeakMap<SignContext, Token>()

  const renewed = async (context: SignContext): Promise<Token> => {
    for (;;) {
      asked ??= {
        by: context,
        token: requestToken(source, context).finally(() => {
          asked = undefined
        }),
      }
      const mine = asked
      try {
        token = await unlessStopped(mine.token, context.signal)
        return token
      } catch (error) {
        // The list that asked may be stopped or out of time. This list must not fail for that reason.
        const othersStop = mine.by !== context && (mine.by.signal.aborted || error instanceof TimeUpError)
        if (!othersStop || context.signal.aborted) throw error
      }
    }
  }

  return {
    async sign(request, context) {
      const current = token !== undefined && token.endsAt > context.now() ? token : await renewed(context)
      signedWith.set(context, current)
      context.conceal(current.secret)
      return withHeader(request, 'Authorization', `Bearer ${reveal(current.secret)}`)
    },
    async renew(context) {
      if (signedWith.get(context) === token) await renewed(context)
      return true
    },
  }
}

async function requestToken(source: TokenSource, context: SignContext): Promise<Token> {
  const request = await source.request(context)
  const askedAt = context.now()
  const response = await context.send(request)
  const answer = tokenAnswer(response)
  const { access_token: text, expires_in: expires } = answer
  if (response.status >= 400) throw refused(source.path, response, answer)
  if (typeof text !== 'string' || text === '') {
    const keys = Object.keys(answer).join(', ')
    const message = `${source.path}: the answer of ${response.url} has no access_token${keys === '' ? '' : `; it has ${keys}`}`
    throw new RequestError('auth', message, { path: source.path, url: response.url, status: response.status })
  }
  const secret = new Secret(text, `access token of ${source.path}`)
  context.conceal(secret)
  const seconds = expirySeconds(expires) ?? source.defaultExpirySeconds
  const lifeMs = seconds * 1000
  return { secret, endsAt: askedAt + lifeMs - Math.min(LEEWAY_MS, lifeMs / 10) }
}

/** A number, or text that is a number. */
function expirySeconds(value: unknown): number | undefined {
  if (typeof value !== 'number' && typeof value !== 'string') return undefined
  const seconds = Number(value)
  return value !== '' && Number.isFinite(seconds) ? Math.trunc(seconds) : undefined
}

function tokenAnswer(response: ApiResponse): Readonly<Record<string, unknown>> {
  try {
    const value = parseJson(response.body)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
  } catch {
    return {}
  }
}

/** Adds the reason from OAuth's own field. The rest of the answer might hold credentials. */
function refused(path: string, response: ApiResponse, answer: Readonly<Record<string, unknown>>): RequestError {
  const reasons = [answer.error, answer.error_description].filter(text => typeof text === 'string')
  const why = reasons.length === 0 ? '' : `: ${reasons.join(': ').slice(0, 300)}`
  const message = `${path}: ${response.url} gave no access_token, it answered ${response.status}${why}`
  return new RequestError('auth', message, { path, url: response.url, status: response.status })
}
