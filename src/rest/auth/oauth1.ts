import { z } from 'zod'
import { nodeCrypto } from '../../model/runtime/nodeCrypto.js'
import { reveal } from '../../model/secrets/secret.js'
import { percentEncoded, sortedQuery } from '../../model/texts/percentEncoding.js'
import type { ApiRequest } from '../api.js'
import { strictObject } from '../document/declaration/strictObject.js'
import { requestUrl, withHeader } from '../http/wire.js'
import { concealed, defineAuth, secretText } from './authenticator.js'

/** OAuth 1.0a (RFC 5849): each request is signed with the secrets of a consumer and a token. */
export const oauth1 = defineAuth({
  type: 'oauth1',
  schema: strictObject(() => ({
    type: z.literal('oauth1').meta({ description: 'OAuth 1.0a: each request is signed by HMAC.' }),
    consumer_key: secretText.meta({ description: 'Key of the consumer.' }),
    consumer_secret: secretText.meta({ description: 'Secret of the consumer. A secret.' }),
    token: secretText.optional().meta({ description: 'Access token.' }),
    token_secret: secretText.optional().meta({ description: 'Secret of the token. A secret.' }),
    signature_method: z
      .enum(['HMAC-SHA1', 'HMAC-SHA256'])
      .default('HMAC-SHA1')
      .meta({ description: 'How requests are signed.' }),
    realm: z
      .string()
      .optional()
      .meta({ description: 'Realm of the header. Some APIs want the account here.', examples: ['1234567'] }),
  })),
  secretFields: ['consumer_key', 'consumer_secret', 'token', 'token_secret'],
  lookedUp: ['consumer_key', 'consumer_secret'],
  create({ consumer_key, consumer_secret, token, token_secret, signature_method: method, realm }) {
    return {
      sign(request, context) {
        const parameters: readonly (readonly [string, string])[] = [
          ['oauth_consumer_key', reveal(consumer_key)],
          ['oauth_nonce', nodeCrypto().randomBytes(16).toString('hex')],
          ['oauth_signature_method', method],
          ['oauth_timestamp', `${Math.floor(context.now() / 1000)}`],
          ...(token === undefined ? [] : [['oauth_token', concealed(token, context)] as const]),
          ['oauth_version', '1.0'],
        ]
        const secrets = [consumer_secret, token_secret].map(secret =>
          secret === undefined ? '' : percentEncoded(concealed(secret, context)),
        )
        const signature = nodeCrypto()
          .createHmac(method === 'HMAC-SHA1' ? 'sha1' : 'sha256', secrets.join('&'))
          .update(baseString(request, parameters))
          .digest('base64')
        const header = [...parameters, ['oauth_signature', signature] as const].map(
          ([name, value]) => `${name}="${percentEncoded(value)}"`,
        )
        const first = realm === undefined ? [] : [`realm="${realm.replace(/["\\]/g, '\\$&')}"`]
        return withHeader(request, 'Authorization', `OAuth ${[...first, ...header].join(', ')}`)
      },
    }
  },
})

/** What is signed: the method, the address, and every parameter in order, those of a form included. */
function baseString(request: ApiRequest, parameters: readonly (readonly [string, string])[]): string {
  const url = new URL(requestUrl(request))
  const form = request.body?.kind === 'form' ? request.body.pairs : []
  const all = sortedQuery([...url.searchParams, ...form, ...parameters])
  return [request.method, percentEncoded(`${url.origin}${url.pathname}`), percentEncoded(all)].join('&')
}
