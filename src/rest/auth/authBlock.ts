import { z } from 'zod'
import type { AuthKeys } from '../document/declaration/configTypes.js'

/** An `auth` block inside another one. It is checked like any other; the kind gets it as a model. */
export const authBlock = z.custom<AuthKeys>(value => typeof value === 'object' && value !== null, {
  message: 'expected a map',
  params: { expected: 'a map', type: 'AuthKeys', definition: 'auth' },
})
