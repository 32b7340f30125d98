import { nodeCrypto } from '../../model/runtime/nodeCrypto.js'
import { reveal, Secret } from '../../model/secrets/secret.js'
import type { KindAuthenticator, SignContext } from '../api.js'
import type { AuthContext, AuthKind, Carried, SignIn, SignInContext } from './authenticator.js'
import { awsSigv4 } from './awsSigv4.js'
import { hmac } from './hmac.js'
import { login } from './login.js'
import { mtls } from './mtls.js'
import { oauth1 } from './oauth1.js'
import { oauth2ClientCredentials, oauth2Jwt } from './oauth2/oauth2Grants.js'
import { oauth2RefreshToken } from './oauth2/oauth2RefreshToken.js'
import { rotate } from './rotate.js'
import { apiKey, bearer, httpBasic } from './staticCredentials.js'

export type { AuthContext, AuthKind } from './authenticator.js'

/** Every `auth.type`. A missing type means `bearer`. To add a kind, add a file and its name here. */
export const authKinds = [
  bearer,
  apiKey,
  httpBasic,
  oauth2ClientCredentials,
  oauth2Jwt,
  login,
  oauth2RefreshToken,
  awsSigv4,
  hmac,
  oauth1,
  mtls,
  rotate,
] as const

/**
 * Makes authenticators from `auth` objects that the kind's schema has checked. Equal objects share one authenticator,
 * and so one token, across a source's resources.
 */
export function authenticators(): (
  config: { readonly type: string; readonly config: unknown },
  context: AuthContext,
) => KindAuthenticator {
  const made = new Map<string, KindAuthenticator>()
  return ({ type, config }, context) => {
    const key = digest(type, config)
    const known = made.get(key)
    if (known !== undefined) return known
    const created = kindOf(type).create(config, context)
    made.set(key, created)
    return created
  }
}

interface DeclaredAuth {
  readonly type?: string | undefined
  readonly config?: unknown
}

/** The blocks inside a block, as models. */
export function blocksIn({ type, config }: { readonly type: string; readonly config: unknown }): readonly unknown[] {
  const { nested } = kindOf(type)
  const value = nested === undefined ? undefined : (config as Readonly<Record<string, unknown>>)[nested]
  return value === undefined ? [] : [value].flat()
}

/** Headers and query parameters that signing adds. */
export function carriedBy({ type, config }: DeclaredAuth): Carried {
  // A user's own authenticator may add anything.
  if (type === undefined) return {}
  return kindOf(type).carries?.(config, block => carriedBy(block as DeclaredAuth)) ?? { headers: ['Authorization'] }
}

/** How a person signs in. Undefined for kinds that need nobody. */
export function signInBy(
  { type, config }: { readonly type: string; readonly config: unknown },
  context: AuthContext,
  signer: (context: SignInContext) => Promise<SignContext>,
): SignIn | undefined {
  return kindOf(type).signIn?.(config, context, signer)
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
  return nodeCrypto().createHash('sha256').update(text).digest('hex')
}
