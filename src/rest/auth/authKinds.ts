import { createHash } from 'node:crypto'
import { reveal, Secret } from '../../model/secrets/secret.js'
import type { Authenticator } from '../api.js'
import { apiKey } from './apiKey.js'
import type { AuthContext, AuthKind, Carried } from './authenticator.js'
import { bearer } from './bearer.js'
import { httpBasic } from './httpBasic.js'
import { login } from './login.js'
import { oauth2ClientCredentials } from './oauth2ClientCredentials.js'
import { oauth2Jwt } from './oauth2Jwt.js'

export type { AuthContext, AuthKind } from './authenticator.js'

/** Every `auth.type`. A missing type means `bearer`. To add a kind, add a file and its name here. */
export const authKinds = [bearer, apiKey, httpBasic, oauth2ClientCredentials, oauth2Jwt, login] as const

/**
 * Makes authenticators from `auth` objects that the kind's schema has checked. Equal objects share one authenticator,
 * and so one token, across a source's resources.
 */
export function authenticators(): (
  config: { readonly type: string; readonly config: unknown },
  context: AuthContext,
) => Authenticator {
  const made = new Map<string, Authenticator>()
  return ({ type, config }, context) => {
    const key = digest(type, config)
    const known = made.get(key)
    if (known !== undefined) return known
    const created = kindOf(type).create(config, context)
    made.set(key, created)
    return created
  }
}

/** Headers and query parameters that signing adds. */
export function carriedBy({ type, config }: { readonly type: string; readonly config: unknown }): Carried {
  return kindOf(type).carries?.(config) ?? { headers: ['Authorization'] }
}

function kindOf(type: string): AuthKind {
  const kind = (authKinds as unknown as readonly AuthKind[]).find(candidate => candidate.type === type)
  if (kind === undefined) throw new TypeError(`no kind of authentication is called "${type}"`)
  return kind
}

/** Equal for equal objects. The texts of secrets count too, but the digest does not reveal them. */
function digest(type: string, config: unknown): string {
  const text = JSON.stringify([type, config], function replace(this: Record<string, unknown>, name, shown) {
    const value = this[name]
    return value instanceof Secret ? { secret: reveal(value) } : shown
  })
  return createHash('sha256').update(text).digest('hex')
}
