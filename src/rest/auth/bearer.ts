import { z } from 'zod'
import { withHeader } from '../http/wire.js'
import { credential, defineAuth, secretText } from './authenticator.js'

/** A token in the header `Authorization`. */
export const bearer = defineAuth({
  type: 'bearer',
  schema: z.strictObject({
    type: z.literal('bearer').default('bearer').meta({ description: 'A token in the header Authorization.' }),
    token: secretText.meta({ description: 'The token. A secret.' }),
  }),
  secretFields: ['token'],
  lookedUp: ['token'],
  create({ token }, { path }) {
    return {
      sign: (request, context) =>
        withHeader(request, 'Authorization', `Bearer ${credential(token, `${path}.token`, context)}`),
    }
  },
})
