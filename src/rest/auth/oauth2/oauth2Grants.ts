import type { KeyObject } from 'node:crypto'
import { z } from 'zod'
import { reveal, Secret } from '../../../model/secrets/secret.js'
import type { SignContext } from '../../api.js'
import { strictObject } from '../../document/declaration/strictObject.js'
import { defineAuth, secretText } from '../authenticator.js'
import { privateKey } from '../privateKey.js'
import { tokenAuthenticator } from '../token.js'
import { requestToken } from '../tokenAnswer.js'
import {
  checkAddress,
  checkClient,
  clientKeys,
  clientRequest,
  clientSecrets,
  requestGrant,
  scopeText,
  tokenLifetime,
} from './oauth2Client.js'

/** OAuth 2.0 client credentials: gets a token for a client's id and secret. */
export const oauth2ClientCredentials = defineAuth({
  type: 'oauth2_client_credentials',
  schema: strictObject(() => ({
    type: z
      .literal('oauth2_client_credentials')
      .meta({ description: 'OAuth 2.0 client credentials: a bearer token, asked for and renewed as needed.' }),
    access_token_url: z
      .url({ protocol: /^https?$/ })
      .meta({ description: 'Address that gives tokens.', examples: ['https://auth.example.com/oauth/token'] }),
    client_id: secretText.meta({ description: 'Id of the client.' }),
    client_secret: secretText.optional().meta({ description: 'Secret of the client. A secret.' }),
    ...clientKeys(),
    access_token: secretText.optional().meta({ description: 'First token, used until the API refuses it. A secret.' }),
  })).superRefine(checkClient),
  secretFields: ['client_id', 'client_secret', 'access_token', 'private_key', 'private_key_passphrase'],
  lookedUp: clientSecrets,
  create(config, { path }) {
    return tokenAuthenticator({
      isLocating: config.base_url_path !== undefined,
      initial: config.access_token,
      async get(context) {
        const grant = [['grant_type', 'client_credentials']] as const
        return (await requestGrant(config, { grant, path }, context)).token
      },
    })
  },
})

const ASSERTION_SECONDS = 3600

/** OAuth 2.0 JWT bearer (RFC 7523), as used by service accounts: gets a token for an assertion signed with RS256. */
export const oauth2Jwt = defineAuth({
  type: 'oauth2_jwt',
  schema: strictObject(() => ({
    type: z
      .literal('oauth2_jwt')
      .meta({ description: 'OAuth 2.0 JWT bearer: a token for an assertion signed with a private key (RS256).' }),
    client_id: secretText.meta({ description: 'Issuer of the assertion, and its subject if there is no other.' }),
    private_key: secretText.meta({ description: 'RSA key as PEM text (PKCS#8 or PKCS#1). A secret.' }),
    auth_endpoint: z.url({ protocol: /^https?$/ }).meta({ description: 'Address that gives tokens.' }),
    scopes: z
      .union([z.string(), z.array(z.string())])
      .optional()
      .meta({ description: 'Scopes: a list, or a text with spaces between them.' }),
    subject: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'Subject of the token, if it is not the client.', examples: ['ann@example.com'] }),
    assertion_audience: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'Audience of the assertion. Default: `auth_endpoint`.' }),
    private_key_id: clientKeys().private_key_id,
    client_auth: z.enum(['body', 'basic', 'private_key_jwt', 'none']).optional().meta({
      description:
        'How the client also proves who it is: its secret in the `body`, or in a header (`basic`); an assertion of its own (`private_key_jwt`); or by its id alone (`none`). Default: the assertion is enough.',
    }),
    client_secret: secretText.optional().meta({ description: 'Secret of the client. A secret.' }),
    headers: z
      .record(z.string(), z.string())
      .nullable()
      .default({})
      .meta({ description: 'More headers of the token request.' }),
    private_key_passphrase: secretText.optional().meta({ description: 'Passphrase of the key. A secret.' }),
    default_token_expiration: tokenLifetime,
    base_url_path: clientKeys().base_url_path,
    base_url_hosts: clientKeys().base_url_hosts,
  })).superRefine((config, context) => {
    const { client_auth: how, client_secret: secret } = config
    checkAddress(config, context)
    const issue = (message: string): void => context.addIssue({ code: 'custom', path: ['client_secret'], message })
    const isSent = how === 'body' || how === 'basic'
    if (isSent && secret === undefined) issue(`is missing; \`client_auth: ${how}\` sends it`)
    if (!isSent && secret !== undefined) issue('has no effect; add `client_auth: body` or `client_auth: basic`')
  }),
  secretFields: ['client_id', 'private_key', 'private_key_passphrase', 'client_secret'],
  lookedUp: ({ client_auth: how }) =>
    how === 'body' || how === 'basic' ? ['client_id', 'private_key', 'client_secret'] : ['client_id', 'private_key'],
  create(config, { path }) {
    const { client_auth: how, auth_endpoint: url } = config
    const scope = scopeText(config.scopes)
    const assertionOf = async (context: SignContext): Promise<Secret> => {
      const key = privateKey(config.private_key, config.private_key_passphrase, path, context)
      const issuer = reveal(config.client_id)
      const { subject = issuer, assertion_audience: audience = url, private_key_id: kid } = config
      const assertion = await signAssertion(key, { issuer, subject, audience, scope, kid }, context.now())
      return new Secret(assertion, `assertion of ${path}`)
    }
    return tokenAuthenticator({
      isLocating: config.base_url_path !== undefined,
      async get(context) {
        const grant = [
          ['grant_type', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
          ['assertion', await assertionOf(context)],
        ] as const
        const client = {
          ...config,
          access_token_url: url,
          client_auth: how ?? 'none',
          // The assertion names the client.
          access_token_request_data: how === undefined ? { client_id: null } : null,
        }
        const made = await clientRequest(client, { url, grant, path }, context)
        const request = { ...made, headers: { ...made.headers, ...config.headers } }
        const asked = {
          path,
          request,
          defaultExpirySeconds: config.default_token_expiration,
          baseUrl: client,
          client: config,
        }
        return (await requestToken(asked, context)).token
      },
    })
  },
})

interface Claims {
  readonly issuer: string
  readonly subject: string
  readonly audience: string
  readonly scope: string | undefined
  /** Id of the key. */
  readonly kid: string | undefined
}

async function signAssertion(
  key: KeyObject,
  { issuer, subject, audience, scope, kid }: Claims,
  now: number,
): Promise<string> {
  const { SignJWT } = await import('jose')
  const issuedAt = Math.floor(now / 1000)
  return new SignJWT(scope === undefined ? {} : { scope })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...(kid !== undefined && { kid }) })
    .setIssuer(issuer)
    .setSubject(subject)
    .setAudience(audience)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + ASSERTION_SECONDS)
    .sign(key)
}
