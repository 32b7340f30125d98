import { z } from 'zod'
import { credential, defineAuth, secretText } from './authenticator.js'
import { type Carrier, carriedIn, carrying, mediumOf } from './carrier.js'

/** A key in a header, in the query or in a cookie. In the query it appears once, even if a next link repeats it. */
export const apiKey = defineAuth({
  type: 'api_key',
  schema: z.strictObject({
    type: z.literal('api_key').meta({ description: 'A key in a header, in the query or in a cookie.' }),
    api_key: secretText.meta({ description: 'The key. A secret.' }),
    name: z
      .string()
      .min(1)
      .default('Authorization')
      .meta({ description: 'Name of the header, the query parameter or the cookie.', examples: ['X-API-Key'] }),
    location: z
      .enum(['header', 'query', 'param', 'cookie'])
      .default('header')
      .meta({ description: 'Where the key goes. `param` is another word for `query`.' }),
  }),
  secretFields: ['api_key'],
  lookedUp: ['api_key'],
  carries: config => carriedIn(carrierOf(config)),
  create({ api_key, ...config }, { path }) {
    const carrier = carrierOf(config)
    return {
      sign: (request, context) =>
        carrying(request, carrier, credential(api_key, `${path}.api_key`, context, mediumOf(carrier))),
    }
  },
})

function carrierOf({ name, location }: { name: string; location: Carrier['location'] | 'param' }): Carrier {
  return { name, location: location === 'param' ? 'query' : location }
}
