import { z } from 'zod'
import { Secret } from '../../model/secrets/secret.js'
import type { ApiRequest } from '../api.js'
import { strictObject } from '../document/declaration/strictObject.js'
import { headerOf, withHeader, withParam } from '../http/wire.js'
import { type Carried, concealed, credential, defineAuth, secretText } from './authenticator.js'

/** Where a credential goes: which header, query parameter or cookie. */
export interface Carrier {
  readonly location: 'header' | 'query' | 'cookie'
  readonly name: string
}

/** What the carrier's value must be fit for. */
export function mediumOf({ location }: Carrier): 'header' | 'query' {
  return location === 'query' ? 'query' : 'header'
}

/** A copy of the request with the credential. In the query it appears once, even if a next link repeats it. */
export function carrying(request: ApiRequest, { location, name }: Carrier, text: string): ApiRequest {
  if (location === 'header') return withHeader(request, name, text)
  if (location === 'query') return withParam(request, name, text)
  const others = headerOf(request, 'cookie')
  return withHeader(request, 'Cookie', others === undefined ? `${name}=${text}` : `${others}; ${name}=${text}`)
}

export function carriedIn({ location, name }: Carrier): Carried {
  if (location === 'query') return { params: [name] }
  return { headers: [location === 'cookie' ? 'Cookie' : name] }
}

/** A key in a header, in the query or in a cookie. In the query it appears once, even if a next link repeats it. */
export const apiKey = defineAuth({
  type: 'api_key',
  schema: strictObject(() => ({
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
  })),
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

/** A token in the header `Authorization`. */
export const bearer = defineAuth({
  type: 'bearer',
  schema: strictObject(() => ({
    type: z.literal('bearer').default('bearer').meta({ description: 'A token in the header Authorization.' }),
    token: secretText.meta({ description: 'The token. A secret.' }),
  })),
  secretFields: ['token'],
  lookedUp: ['token'],
  create({ token }, { path }) {
    return {
      sign: (request, context) =>
        withHeader(request, 'Authorization', `Bearer ${credential(token, `${path}.token`, context)}`),
    }
  },
})

/** A user name and a password, as UTF-8, in the header `Authorization`. */
export const httpBasic = defineAuth({
  type: 'http_basic',
  schema: strictObject(() => ({
    type: z.literal('http_basic').meta({ description: 'A user name and a password in the header Authorization.' }),
    username: z
      .union([z.string(), secretText])
      .meta({ description: 'The user name. Some APIs expect a key here.', examples: ['ann'] }),
    password: z
      .union([z.literal('').transform(() => new Secret('', 'the document')), secretText])
      .meta({ description: 'The password. A secret. Empty if the API takes only a user name.', examples: [''] }),
  })),
  secretFields: ['password'],
  lookedUp: ['username', 'password'],
  without: {
    password: 'an API that takes no password has `password: ""` in the document; an empty variable counts as none',
  },
  create({ username, password }) {
    return {
      sign(request, context) {
        const name = typeof username === 'string' ? username : concealed(username, context)
        const pair = Buffer.from(`${name}:${concealed(password, context)}`).toString('base64')
        context.conceal(new Secret(pair, 'basic credentials'))
        return withHeader(request, 'Authorization', `Basic ${pair}`)
      },
    }
  },
})
