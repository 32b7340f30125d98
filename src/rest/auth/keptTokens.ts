import { reveal, Secret } from '../../model/secrets/secret.js'
import type { Token } from './token.js'

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
