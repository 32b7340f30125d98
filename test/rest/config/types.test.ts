import { expect, test } from 'vitest'
import { secret } from '../../../src/core/secretReference.js'
import type { RestApiConfig } from '../../../src/rest/config/declaration.js'

/** Checked by the compiler: keys of paginators and auth belong to their type. */
const documents: readonly RestApiConfig[] = [
  {
    client: { base_url: '', auth: { type: 'api_key', api_key: secret('x'), location: 'query' } },
    resources: [{ name: 'x', endpoint: { paginator: { type: 'offset', limit: 5 }, params: { k: secret('y') } } }],
  },
  { client: { base_url: '', auth: { token: 'x' } }, resources: ['x'] },
  // @ts-expect-error a key of another paginator
  { client: { base_url: '', paginator: { type: 'json_link', limit: 5 } }, resources: [] },
  // @ts-expect-error a key of another kind of auth
  { client: { base_url: '', auth: { type: 'bearer', api_key: 'x' } }, resources: [] },
]

test('a reference to a secret does not show a value', () => {
  expect(`${JSON.stringify(documents[0])} ${secret('y')}`).toMatch(/\$\{secrets\.x\}.* \*\*\*$/)
})
