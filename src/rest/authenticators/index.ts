import type { Authenticator } from '../types.js'
import type { AuthContext, AuthKind } from './kinds.js'

export type { AuthContext, AuthKind } from './kinds.js'

/** Every `auth.type`; a missing type means `bearer`. */
export const authKinds: readonly AuthKind[] = []

/**
 * Makes authenticators from checked `auth` objects. Equal objects share one authenticator, and so one token, across
 * the resources of a source.
 */
export function authenticators(): (config: { readonly type: string }, context: AuthContext) => Authenticator {
  throw new Error('in the making')
}
