import { z } from 'zod'
import { defineAuth, secretText } from './authenticator.js'
import { checkClient, clientKeys, clientRequest, clientSecrets } from './oauth2Client.js'
import { tokenAuthenticator } from './token.js'
import { requestToken } from './tokenAnswer.js'

/** OAuth 2.0 client credentials: gets a token for a client's id and secret. */
export const oauth2ClientCredentials = defineAuth({
  type: 'oauth2_client_credentials',
  schema: z
    .strictObject({
      type: z
        .literal('oauth2_client_credentials')
        .meta({ description: 'OAuth 2.0 client credentials: a bearer token, asked for and renewed as needed.' }),
      access_token_url: z
        .url({ protocol: /^https?$/ })
        .meta({ description: 'Address that gives tokens.', examples: ['https://auth.example.com/oauth/token'] }),
      client_id: secretText.meta({ description: 'Id of the client.' }),
      client_secret: secretText.optional().meta({ description: 'Secret of the client. A secret.' }),
      ...clientKeys,
      access_token: secretText
        .optional()
        .meta({ description: 'First token, used until the API refuses it. A secret.' }),
    })
    .superRefine(checkClient),
  secretFields: ['client_id', 'client_secret', 'access_token', 'private_key', 'private_key_passphrase'],
  lookedUp: clientSecrets,
  create(config, { path }) {
    return tokenAuthenticator({
      isLocating: config.base_url_path !== undefined,
      initial: config.access_token,
      async get(context) {
        const grant = [['grant_type', 'client_credentials']] as const
        const request = await clientRequest(config, { url: config.access_token_url, grant, path }, context)
        const asked = { path, request, defaultExpirySeconds: config.default_token_expiration, baseUrl: config }
        return (await requestToken(asked, context)).token
      },
    })
  },
})
