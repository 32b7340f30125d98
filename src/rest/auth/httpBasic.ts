import { z } from 'zod'
import { Secret } from '../../model/secrets/secret.js'
import { withHeader } from '../http/wire.js'
import { concealed, defineAuth, secretText } from './authenticator.js'

/** A user name and a password, as UTF-8, in the header `Authorization`. */
export const httpBasic = defineAuth({
  type: 'http_basic',
  schema: z.strictObject({
    type: z.literal('http_basic').meta({ description: 'A user name and a password in the header Authorization.' }),
    username: z
      .union([z.string(), secretText])
      .meta({ description: 'The user name. Some APIs expect a key here.', examples: ['ann'] }),
    password: z
      .union([z.literal('').transform(() => new Secret('', 'the document')), secretText])
      .meta({ description: 'The password. A secret. Empty if the API takes only a user name.', examples: [''] }),
  }),
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
