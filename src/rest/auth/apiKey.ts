import { z } from 'zod'
import { headerOf, withHeader, withParam } from '../http/wire.js'
import { credential, defineAuth, secretText } from './authenticator.js'

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
  create({ api_key, name, location }, { path }) {
    return {
      sign(request, context) {
        const carrier = location === 'query' || location === 'param' ? 'query' : 'header'
        const key = credential(api_key, `${path}.api_key`, context, carrier)
        switch (location) {
          case 'header':
            return withHeader(request, name, key)
          case 'query':
          case 'param':
            return withParam(request, name, key)
          case 'cookie': {
            const others = headerOf(request, 'cookie')
            return withHeader(request, 'Cookie', others === undefined ? `${name}=${key}` : `${others}; ${name}=${key}`)
          }
        }
      },
    }
  },
})
