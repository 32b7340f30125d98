import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider, { type AdapterPayload, type Configuration } from 'oidc-provider'
import { onTestFinished } from 'vitest'

/** Keys of the client that signs assertions. */
export const clientKey = generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** A real server of OAuth 2.0. Refresh tokens rotate: whoever uses an old one loses the whole grant. */
export interface OidcServer {
  readonly issuer: string
  readonly provider: Provider
  /** A refresh token that somebody has been given by signing in. */
  refreshToken(clientId?: string): Promise<string>
  /** How often a refresh token was exchanged, and how often one was used twice. */
  readonly counts: { rotated: number; revoked: number }
  /** Whether an access token is one of this server and has not ended. */
  isValid(token: string | undefined): Promise<boolean>
}

export const OIDC_SECRET = 'oidc-secret+&4711'

export async function oidcServer(more: Configuration = {}): Promise<OidcServer> {
  const http = createServer()
  await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const common = {
    client_secret: OIDC_SECRET,
    grant_types: [
      'client_credentials',
      'authorization_code',
      'refresh_token',
      'urn:ietf:params:oauth:grant-type:device_code',
    ],
    redirect_uris: ['http://127.0.0.1/callback'],
    application_type: 'native' as const,
  }
  const provider = new Provider(issuer, {
    clients: [
      { ...common, client_id: 'body', token_endpoint_auth_method: 'client_secret_post' },
      { ...common, client_id: 'basic', token_endpoint_auth_method: 'client_secret_basic' },
      {
        ...common,
        client_id: 'key',
        client_secret: undefined,
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [{ ...clientKey.publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256', use: 'sig' }] },
      },
      {
        ...common,
        client_id: 'public',
        client_secret: undefined,
        grant_types: common.grant_types.slice(1),
        token_endpoint_auth_method: 'none',
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      devInteractions: { enabled: true },
      resourceIndicators: { enabled: false },
    },
    rotateRefreshToken: true,
    scopes: ['openid', 'offline_access', 'read'],
    pkce: { required: () => true },
    issueRefreshToken: async () => true,
    findAccount: (_context, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
    ttl: {
      AccessToken: 3600,
      ClientCredentials: 3600,
      RefreshToken: 86_400,
      Grant: 86_400,
      DeviceCode: 600,
      Session: 600,
      Interaction: 600,
      AuthorizationCode: 60,
    },
    adapter: memory(),
    cookies: { keys: ['test'] },
    ...more,
  } as Configuration)
  const counts = { rotated: 0, revoked: 0 }
  provider.on('refresh_token.consumed', () => counts.rotated++)
  provider.on('grant.revoked', () => counts.revoked++)
  http.on('request', provider.callback())
  onTestFinished(
    () =>
      new Promise(resolve => {
        http.close(() => resolve())
        http.closeAllConnections()
      }),
  )
  return {
    issuer,
    provider,
    counts,
    async refreshToken(clientId = 'body') {
      const client = await provider.Client.find(clientId)
      if (client === undefined) throw new Error(`no client ${clientId}`)
      const grant = new provider.Grant({ accountId: 'ann', clientId })
      grant.addOIDCScope('openid offline_access read')
      const grantId = await grant.save()
      const token = new provider.RefreshToken({
        accountId: 'ann',
        client,
        grantId,
        gty: 'authorization_code',
        scope: 'openid offline_access read',
        authTime: Math.floor(Date.now() / 1000),
        claims: {},
        rotations: 0,
      } as never)
      return token.save()
    },
    async isValid(token) {
      if (token === undefined) return false
      const found = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token))
      return found?.isValid === true
    },
  }
}

/** Everything in memory, for one server: the library's own store is shared by all servers and forgets. */
function memory() {
  const stored = new Map<string, AdapterPayload>()
  const byGrant = new Map<string, Set<string>>()
  return class {
    readonly #model: string

    constructor(model: string) {
      this.#model = model
    }

    #key(id: string): string {
      return `${this.#model}:${id}`
    }

    async upsert(id: string, payload: AdapterPayload): Promise<void> {
      const key = this.#key(id)
      stored.set(key, payload)
      if (payload.grantId !== undefined && this.#model !== 'Grant') {
        const keys = byGrant.get(payload.grantId) ?? new Set()
        keys.add(key)
        byGrant.set(payload.grantId, keys)
      }
    }

    async find(id: string): Promise<AdapterPayload | undefined> {
      return stored.get(this.#key(id))
    }

    async #first(test: (payload: AdapterPayload) => boolean): Promise<AdapterPayload | undefined> {
      return [...stored].find(([key, payload]) => key.startsWith(`${this.#model}:`) && test(payload))?.[1]
    }

    findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
      return this.#first(payload => payload.userCode === userCode)
    }

    findByUid(uid: string): Promise<AdapterPayload | undefined> {
      return this.#first(payload => payload.uid === uid)
    }

    async consume(id: string): Promise<void> {
      const payload = stored.get(this.#key(id))
      if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000)
    }

    async destroy(id: string): Promise<void> {
      stored.delete(this.#key(id))
    }

    async revokeByGrantId(grantId: string): Promise<void> {
      for (const key of byGrant.get(grantId) ?? []) stored.delete(key)
    }
  }
}
