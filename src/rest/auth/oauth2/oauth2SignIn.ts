import { RequestError } from '../../../model/errors.js'
import { nodeCrypto } from '../../../model/runtime/nodeCrypto.js'
import { reveal, Secret } from '../../../model/secrets/secret.js'
import type { SignContext } from '../../api.js'
import type { BrowserSignIn, DeviceSignIn, SignIn, SignInContext, TokenStore } from '../authenticator.js'
import { written } from '../token.js'
import { answered, type Grant, secondsOf, TokenRefusal } from '../tokenAnswer.js'
import { clientRequest, type Fields, type OAuthClient, requestGrant, scopeText } from './oauth2Client.js'

/** The keys of a document that tell how to sign in. */
export interface SignInConfig extends OAuthClient {
  readonly authorization_url?: string | undefined
  readonly authorization_params?: Readonly<Record<string, string>> | undefined
  readonly device_authorization_url?: string | undefined
  readonly redirect_port?: number | undefined
  readonly default_token_expiration: number
  readonly base_url_path?: string | undefined
  readonly base_url_hosts?: readonly string[] | undefined
}

/** `signer` makes what requests to the token server need. */
export function signInOf(
  config: SignInConfig,
  about: { readonly path: string; readonly name: string; readonly store: TokenStore },
  signer: (context: SignInContext) => Promise<SignContext>,
): SignIn {
  const { path, name, store } = about
  const { authorization_url: page, device_authorization_url: device } = config
  const keep = async ({ token, refreshToken }: Grant, signal: AbortSignal): Promise<void> => {
    if (refreshToken === undefined) throw new RequestError('auth', `${path}: ${NO_REFRESH_TOKEN}`, { path })
    const text = written({ refreshToken, access: token })
    await store.alone(name, signal, (_kept, keepText) => keepText(text))
  }
  const exchanged = (grant: Fields, context: SignContext): Promise<Grant> =>
    requestGrant(config, { grant, path }, context)
  return {
    path,
    place: store.place,
    redirectPort: config.redirect_port,
    byBrowser: page === undefined ? undefined : (uri, context) => browserSignIn(page, uri, context),
    byDevice: device === undefined ? undefined : context => deviceSignIn(device, context),
  }

  function browserSignIn(authorizationUrl: string, redirectUri: string, context: SignInContext): BrowserSignIn {
    const verifier = nodeCrypto().randomBytes(32).toString('base64url')
    const state = nodeCrypto().randomBytes(16).toString('base64url')
    const url = new URL(authorizationUrl)
    const scope = scopeText(config.scope)
    const params = {
      response_type: 'code',
      client_id: reveal(config.client_id),
      redirect_uri: redirectUri,
      ...(scope !== undefined && { scope }),
      ...(config.audience !== undefined && { audience: config.audience }),
      state,
      code_challenge: nodeCrypto().createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...config.authorization_params,
    }
    for (const [key, value] of Object.entries(params)) url.searchParams.set(key, value)
    return {
      url: url.href,
      isAnswer: answer => answer.get('state') === state && (answer.has('code') || answer.has('error')),
      async finish(answer) {
        const code = answer.get('code')
        if (code === null) throw refusal(path, answer.get('error'), answer.get('error_description'))
        const granted = await exchanged(
          [
            ['grant_type', 'authorization_code'],
            ['code', new Secret(code, 'the authorization code')],
            ['redirect_uri', redirectUri],
            ['code_verifier', new Secret(verifier, 'the code verifier')],
          ],
          await signer(context),
        )
        await keep(granted, context.signal)
      },
    }
  }

  async function deviceSignIn(deviceUrl: string, context: SignInContext): Promise<DeviceSignIn> {
    const { clock, signal } = context
    const signing = await signer(context)
    const response = await signing.send(await clientRequest(config, { url: deviceUrl, grant: [], path }, signing))
    const begun = clock.now()
    const answer = fieldsOf(answered(response))
    const { device_code: code, user_code: userCode, verification_uri: uri, verification_uri_complete: whole } = answer
    if (typeof code !== 'string' || typeof userCode !== 'string' || typeof uri !== 'string') {
      if (typeof answer.error === 'string') throw refusal(path, answer.error, answer.error_description)
      const message = `${path}: ${response.url} gave no code for a device, it answered ${response.status}`
      throw new RequestError('auth', message, { path, url: response.url, status: response.status })
    }
    const endsAt = begun + (secondsOf(answer.expires_in) ?? DEVICE_SECONDS) * 1000
    return {
      url: typeof whole === 'string' ? whole : uri,
      code: userCode,
      async finish() {
        let interval = Math.max(1, secondsOf(answer.interval) ?? POLL_SECONDS)
        while (clock.now() < endsAt) {
          await clock.sleep(interval * 1000, signal)
          const grant = [
            ['grant_type', 'urn:ietf:params:oauth:grant-type:device_code'],
            ['device_code', new Secret(code, 'the device code')],
          ] as const
          const granted = await exchanged(grant, signing).catch((error: unknown) => {
            const reason = error instanceof TokenRefusal ? error.reason : undefined
            if (reason !== 'authorization_pending' && reason !== 'slow_down') throw error
            if (reason === 'slow_down') interval += POLL_SECONDS
            return undefined
          })
          if (granted !== undefined) return keep(granted, signal)
        }
        throw new RequestError('auth', `${path}: nobody entered the code in time; begin again`, { path })
      },
    }
  }
}

/** The default of RFC 8628, for servers that do not say. */
const POLL_SECONDS = 5
/** For servers that do not say when the code ends, which RFC 8628 asks of them. */
const DEVICE_SECONDS = 600

const NO_REFRESH_TOKEN =
  'the server gave a token, but no refresh token; ask for it as the server wants it: often by `scope: offline_access`, or by `authorization_params: { access_type: offline, prompt: consent }`'

function fieldsOf(answer: unknown): Readonly<Record<string, unknown>> {
  return typeof answer === 'object' && answer !== null ? (answer as Readonly<Record<string, unknown>>) : {}
}

function refusal(path: string, error: unknown, description: unknown): RequestError {
  const reasons = [error, description].filter(text => typeof text === 'string').join(': ')
  return new RequestError('auth', `${path}: the server refused to sign in: ${reasons.slice(0, 300)}`, { path })
}
