import { z } from 'zod'
import { RequestError } from '../../../model/errors.js'
import { nodeCrypto } from '../../../model/runtime/nodeCrypto.js'
import { reveal, type Secret } from '../../../model/secrets/secret.js'
import type { SignContext } from '../../api.js'
import { strictObject } from '../../document/declaration/strictObject.js'
import type { SignIn, SignInContext, TokenStore } from '../authenticator.js'
import { type AuthContext, defineAuth, fits, secretText } from '../authenticator.js'
import { type KeptTokens, readTokens, type Token, tokenAuthenticator, written } from '../token.js'
import { tokenBaseUrl } from '../tokenAnswer.js'
import { checkClient, clientKeys, clientSecrets, requestGrant, scopeText } from './oauth2Client.js'
import { signInOf } from './oauth2SignIn.js'

const address = z.url({ protocol: /^https?$/ })

const schema = strictObject(() => ({
  type: z.literal('oauth2_refresh_token').meta({
    description:
      'OAuth 2.0 refresh token: gets bearer tokens for it. If the server gives a new refresh token each time, the new one is kept in a file.',
  }),
  access_token_url: address.meta({
    description: 'Address that gives tokens.',
    examples: ['https://auth.example.com/oauth/token'],
  }),
  client_id: secretText.meta({ description: 'Id of the client.' }),
  client_secret: secretText
    .optional()
    .meta({ description: 'Secret of the client. A secret. A client without one has `client_auth: none`.' }),
  refresh_token: secretText.optional().meta({
    description: 'The first refresh token. A secret. Without it, `sluice auth FILE` gets one.',
  }),
  ...clientKeys(),
  authorization_url: address.optional().meta({
    description: 'Page where people sign in, for `sluice auth FILE`.',
    examples: ['https://auth.example.com/authorize'],
  }),
  authorization_params: z
    .record(z.string(), z.string())
    .optional()
    .meta({
      description: 'More parameters of that page.',
      examples: [{ access_type: 'offline', prompt: 'consent' }],
    }),
  redirect_port: z.int().min(1).max(65_535).optional().meta({
    description: 'Port of `http://127.0.0.1:PORT/callback`, if the server wants to know it before. Default: any.',
  }),
  device_authorization_url: address.optional().meta({
    description: 'Address that gives codes to enter on another device, for `sluice auth FILE --device`.',
  }),
  token_store: z
    .string()
    .min(1)
    .optional()
    .meta({
      description:
        'Folder in which refresh tokens are kept, for you alone. Default: `tokens` in the working folder, `.sluice`.',
      examples: ['/var/lib/sluice/tokens'],
    }),
})).superRefine(checkClient)

type RefreshToken = z.output<typeof schema>

/** OAuth 2.0 refresh token. The tokens are kept in a store, which all processes and resources share. */
export const oauth2RefreshToken = defineAuth({
  type: 'oauth2_refresh_token',
  schema,
  secretFields: ['client_id', 'client_secret', 'refresh_token', 'private_key', 'private_key_passphrase'],
  lookedUp: clientSecrets,
  signIn,
  create(config, context) {
    const { path } = context
    const store = storeOf(config, context)
    const name = keptName(config)
    const current = (text: string | undefined): KeptTokens | undefined =>
      text === undefined ? undefined : readTokens(text, path)
    return tokenAuthenticator({
      isLocating: config.base_url_path !== undefined,
      isFinished: true,
      async get(signing, refused) {
        const usable = (kept: KeptTokens | undefined): Token | undefined => {
          if (kept?.access === undefined || !isUsable(kept.access, refused, signing)) return undefined
          const { secret, endsAt, baseUrl } = kept.access
          if (config.base_url_path === undefined) return { secret, endsAt }
          return baseUrl === undefined ? undefined : { secret, endsAt, baseUrl: tokenBaseUrl(baseUrl, config, path) }
        }
        const known = usable(current(await store.read(name)))
        if (known !== undefined) return known
        return await store.alone(name, signing.signal, async (text, keep) => {
          const kept = current(text)
          // Another process may have been faster.
          const theirs = usable(kept)
          if (theirs !== undefined) return theirs
          const refreshToken = kept?.refreshToken ?? config.refresh_token
          if (refreshToken === undefined) throw unknown(path, store)
          const grant = [
            ['grant_type', 'refresh_token'],
            ['refresh_token', refreshToken],
          ] as const
          const rescue = (next: Secret): Promise<void> => keep(written({ refreshToken: next }))
          const granted = await requestGrant(config, { grant, path, rescue, cure: SIGN_IN, isFinished: true }, signing)
          // The old one stays until the new one is there.
          await keep(written({ refreshToken: granted.refreshToken ?? refreshToken, access: granted.token }))
          return granted.token
        })
      },
    })
  },
})

/** How a person gets the first refresh token. */
function signIn(
  config: RefreshToken,
  context: AuthContext,
  signer: (context: SignInContext) => Promise<SignContext>,
): SignIn {
  const about = { path: context.path, name: keptName(config), store: storeOf(config, context) }
  return signInOf(config, about, signer)
}

const SIGN_IN = 'run `sluice auth` with the pipeline file, or put a new refresh token among the secrets'

/**
 * The name of a sign-in in the store: the same for all documents that mean the same. A new refresh token in the document
 * has a new name, so that what was kept for another one stays apart.
 */
function keptName({
  access_token_url: url,
  client_id: id,
  scope,
  audience,
  refresh_token: first,
}: RefreshToken): string {
  const seed = first === undefined ? null : reveal(first)
  const text = JSON.stringify([url, reveal(id), scopeText(scope) ?? null, audience ?? null, seed])
  return `${new URL(url).hostname}-${nodeCrypto().createHash('sha256').update(text).digest('hex').slice(0, 16)}`
}

function storeOf({ token_store: folder }: RefreshToken, { path, tokenStore }: AuthContext): TokenStore {
  if (tokenStore === undefined) throw new TypeError(`${path}: there is no place for tokens`)
  return tokenStore(folder)
}

function isUsable({ secret, endsAt }: Token, refused: Token | undefined, context: SignContext): boolean {
  return (
    endsAt > context.now() &&
    fits(reveal(secret), 'header') &&
    (refused === undefined || reveal(secret) !== reveal(refused.secret))
  )
}

function unknown(path: string, { place }: TokenStore): RequestError {
  const message = `${path}: there is no refresh token, neither among the secrets nor in ${place}; ${SIGN_IN}`
  return new RequestError('auth', message, { path: `${path}.refresh_token` })
}
