import { unlessStopped } from '../../model/runtime/backoff.js'
import { reveal, Secret } from '../../model/secrets/secret.js'
import type { ApiRequest, KindAuthenticator, SignContext } from '../api.js'
import { TimeUpError } from '../http/retry.js'
import { withHeader } from '../http/wire.js'
import { credential } from './authenticator.js'

/** A token that signs requests, and its end in milliseconds since the epoch. */
export interface Token {
  readonly secret: Secret
  readonly endsAt: number
  /** Where the API is, if the token's answer says so. */
  readonly baseUrl?: string | undefined
}

export interface TokenSource {
  /** Gets a token. `refused` is the one that the API takes no more, if that is why. */
  get(context: SignContext, refused: Token | undefined): Promise<Token>
  /** A copy of the request with the token. Default: a bearer token. */
  place?(request: ApiRequest, token: Secret, context: SignContext): ApiRequest
  /** Used until an API rejects it. */
  readonly initial?: Secret | undefined
  /** Whoever asked for a token waits for it even if its list is stopped, because it could not be had again. */
  readonly isFinished?: boolean | undefined
  /** Whether its tokens say where the API is. */
  readonly isLocating?: boolean | undefined
}

/** A token is renewed this long before it ends, or after nine tenths of its life if that is later. */
const LEEWAY_MS = 30_000

/** When a token that was asked for at this time is to be renewed. */
export function renewalAt(askedAt: number, lifeMs: number): number {
  return askedAt + lifeMs - Math.min(LEEWAY_MS, lifeMs / 10)
}

/**
 * Signs with a token. It gets one at first use, shortly before the old one ends, and after a 401. Other requests
 * meanwhile wait for the same token.
 */
export function tokenAuthenticator(source: TokenSource): KindAuthenticator {
  let token: Token | undefined = source.initial && { secret: source.initial, endsAt: Number.POSITIVE_INFINITY }
  let asked: { readonly token: Promise<Token>; readonly by: SignContext } | undefined
  const signedWith = new WeakMap<SignContext, Token>()
  /** Tokens whose address was asked for, and that sign the same request next. */
  const locatedBy = new WeakMap<SignContext, Token>()
  const place = source.place ?? bearerToken

  const renewed = async (context: SignContext, refused: Token | undefined): Promise<Token> => {
    for (;;) {
      asked ??= {
        by: context,
        token: source.get(context, refused).finally(() => {
          asked = undefined
        }),
      }
      const mine = asked
      try {
        token = await (mine.by === context && source.isFinished === true
          ? mine.token
          : unlessStopped(mine.token, context.signal))
        return token
      } catch (error) {
        // The list that asked may be stopped or out of time. This list must not fail for that reason.
        const othersStop = mine.by !== context && (mine.by.signal.aborted || error instanceof TimeUpError)
        if (!othersStop || context.signal.aborted) throw error
      }
    }
  }

  const current = async (context: SignContext): Promise<Token> =>
    token !== undefined && token.endsAt > context.now() ? token : await renewed(context, undefined)

  return {
    async sign(request, context) {
      const used = locatedBy.get(context) ?? (await current(context))
      locatedBy.delete(context)
      signedWith.set(context, used)
      context.conceal(used.secret)
      return place(request, used.secret, context)
    },
    async renew(context) {
      const refused = signedWith.get(context)
      if (refused === token) await renewed(context, refused)
      return true
    },
    ...(source.isLocating === true && {
      async baseUrl(context) {
        const located = await current(context)
        locatedBy.set(context, located)
        return located.baseUrl
      },
    }),
  }
}

function bearerToken(request: ApiRequest, token: Secret, context: SignContext): ApiRequest {
  return withHeader(request, 'Authorization', `Bearer ${credential(token, 'the token', context)}`)
}

/** What is kept of a sign-in between runs. */
export interface KeptTokens {
  readonly refreshToken: Secret
  /** The newest access token, for processes that come after. */
  readonly access?: Token | undefined
}

/** As text, for a {@link TokenStore}. */
export function written({ refreshToken, access }: KeptTokens): string {
  const text = {
    refresh_token: reveal(refreshToken),
    ...(access !== undefined && {
      access_token: reveal(access.secret),
      ends_at: Number.isFinite(access.endsAt) ? access.endsAt : null,
      base_url: access.baseUrl,
    }),
  }
  return `${JSON.stringify(text, null, 2)}\n`
}

/** Undefined if the text is something else, as after an accident. */
export function readTokens(text: string, path: string): KeptTokens | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { refresh_token, access_token, ends_at, base_url } = value as Readonly<Record<string, unknown>>
  if (typeof refresh_token !== 'string' || refresh_token === '') return undefined
  return {
    refreshToken: new Secret(refresh_token, `refresh token of ${path}`),
    ...(typeof access_token === 'string' &&
      access_token !== '' && {
        access: {
          secret: new Secret(access_token, `access token of ${path}`),
          endsAt: typeof ends_at === 'number' ? ends_at : Number.POSITIVE_INFINITY,
          ...(typeof base_url === 'string' && { baseUrl: base_url }),
        },
      }),
  }
}
