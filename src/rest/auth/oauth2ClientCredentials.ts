import { z } from 'zod'
import { reveal, Secret } from '../../model/secrets/secret.js'
import type { SignContext } from '../api.js'
import { concealed, defineAuth, secretText } from './authenticator.js'
import { tokenAuthenticator } from './token.js'
import { requestToken } from './tokenAnswer.js'

const extraValue = z.union([z.string(), z.number(), z.boolean(), z.null(), secretText])

/** OAuth 2.0 client credentials: gets a token for a client's id and secret, both sent in the body. */
export const oauth2ClientCredentials = defineAuth({
  type: 'oauth2_client_credentials',
  schema: z.strictObject({
    type: z
      .literal('oauth2_client_credentials')
      .meta({ description: 'OAuth 2.0 client credentials: a bearer token, asked for and renewed as needed.' }),
    access_token_url: z
      .url({ protocol: /^https?$/ })
      .meta({ description: 'Address that gives tokens.', examples: ['https://auth.example.com/oauth/token'] }),
    client_id: secretText.meta({ description: 'Id of the client.' }),
    client_secret: secretText.meta({ description: 'Secret of the client. A secret.' }),
    access_token_request_data: z
      .record(z.string(), extraValue)
      .nullable()
      .default({})
      .meta({
        description: 'More fields of the token request. They replace fields of the same name; null removes one.',
        examples: [{ scope: 'read' }],
      }),
    default_token_expiration: z
      .number()
      .int()
      .min(0)
      .default(3600)
      .meta({ description: 'Lifetime of a token in seconds, if the answer does not tell it.' }),
    access_token: secretText.optional().meta({ description: 'First token, used until the API refuses it. A secret.' }),
  }),
  secretFields: ['client_id', 'client_secret', 'access_token'],
  lookedUp: ['client_id', 'client_secret'],
  create(config, { path }) {
    return tokenAuthenticator({
      initial: config.access_token,
      get: context =>
        requestToken(
          {
            path,
            defaultExpirySeconds: config.default_token_expiration,
            request: {
              method: 'POST',
              url: config.access_token_url,
              params: [],
              headers: {},
              body: { kind: 'form', pairs: tokenForm(config, context) },
            },
          },
          context,
        ),
    })
  },
})

interface TokenForm {
  readonly client_id: Secret
  readonly client_secret: Secret
  readonly access_token_request_data: Readonly<Record<string, string | number | boolean | null | Secret>> | null
}

function tokenForm(config: TokenForm, context: SignContext): (readonly [string, string])[] {
  const fields = new Map<string, string | number | boolean | null | Secret>([
    ['client_id', config.client_id],
    ['client_secret', config.client_secret],
    ['grant_type', 'client_credentials'],
    ...Object.entries(config.access_token_request_data ?? {}),
  ])
  // A client id is not removed from data, because it may be a common word.
  const text = (name: string, value: string | number | boolean | Secret): string => {
    if (!(value instanceof Secret)) return String(value)
    return name === 'client_id' ? reveal(value) : concealed(value, context)
  }
  return [...fields].flatMap(([name, value]) => (value === null ? [] : [[name, text(name, value)] as const]))
}
