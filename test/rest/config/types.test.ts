import { expect, expectTypeOf, test } from 'vitest'
import type {
  AuthConfig,
  EndpointConfig,
  GivenRecord,
  PaginatorConfig,
  RecordsFunction,
  ResourceConfig,
  RestApiConfig,
} from '../../../src/index.js'
import { secret } from '../../../src/index.js'

/**
 * What an editor completes and the compiler refuses. Types are checked by `npm run typecheck`; a line below that should
 * be refused and is not is an error there.
 */
const documents: readonly RestApiConfig[] = [
  {
    client: { base_url: '', auth: { type: 'api_key', api_key: secret('x'), location: 'query' } },
    resources: [{ name: 'x', endpoint: { paginator: { type: 'offset', limit: 5 }, params: { k: secret('y') } } }],
  },
  { client: { base_url: '', auth: { token: 'x' } }, resources: ['x'] },
  { client: { base_url: '', auth: 'bearer', paginator: 'json_link' }, resources: ['x'] },
  { client: { base_url: '' }, resources: [{ name: 'x', records: [{ id: 1 }] }] },
  {
    client: { base_url: '' },
    resources: [
      { name: 'x', records: async function* () {} },
      { name: 'y', endpoint: { params: { ids: ['{resources.x.id}'] }, batch_size: 50 } },
    ],
  },
  // @ts-expect-error a key of another paginator
  { client: { base_url: '', paginator: { type: 'json_link', limit: 5 } }, resources: [] },
  // @ts-expect-error a key of another kind of auth
  { client: { base_url: '', auth: { type: 'bearer', api_key: 'x' } }, resources: [] },
  { resources: [{ name: 'x', endpoint: { path: 'https://api.example.com/x' } }] },
  // @ts-expect-error a misspelt key
  { client: { base_url: '' }, resource: [] },
]

const paginators: readonly PaginatorConfig[] = [
  'auto',
  'single_page',
  'json_response',
  { type: 'cursor', cursor_path: 'next' },
  { next: page => (page.records === 0 ? undefined : { params: { page: '2' } }) },
  // @ts-expect-error a paginator that needs more than its type
  'offset',
  // @ts-expect-error a misspelt type
  'json_lnik',
  // @ts-expect-error an offset without a limit
  { type: 'offset' },
  // @ts-expect-error a key of another type
  { type: 'page_number', limit: 5 },
  // @ts-expect-error text where a number belongs
  { type: 'offset', limit: '5' },
  // @ts-expect-error what a paginator gives is a change of the request
  { next: () => 'next' },
]

const auths: readonly AuthConfig[] = [
  'oauth2_client_credentials',
  { type: 'http_basic', username: 'u', password: secret('p') },
  { sign: request => ({ ...request, headers: { ...request.headers, 'X-Key': 'k' } }) },
  // @ts-expect-error a misspelt type
  'barer',
  // @ts-expect-error a key of another type
  { type: 'http_basic', token: 'x' },
  // @ts-expect-error a place that is none
  { type: 'api_key', location: 'body' },
]

const resources: readonly ResourceConfig[] = [
  { name: 'x', processing_steps: [{ filter: record => record.id !== 1 }], table_name: record => String(record.kind) },
  { name: 'x', write_disposition: { disposition: 'merge', strategy: 'scd2' } },
  { name: 'x', columns: { id: { data_type: 'bigint' } } },
  // @ts-expect-error an unknown disposition
  { name: 'x', write_disposition: 'update' },
  // @ts-expect-error an unknown type of data
  { name: 'x', columns: { id: { data_type: 'integer' } } },
  // @ts-expect-error a key of the endpoint
  { name: 'x', path: 'x' },
  // @ts-expect-error records are objects
  { name: 'x', records: [1] },
]

const endpoints: readonly EndpointConfig[] = [
  { path: 'x', response_actions: [{ status_code: '5xx', action: 'skip_page' }], retry: { statuses: [429, '5xx'] } },
  { incremental: { cursor_path: 'at', convert: value => value } },
  // @ts-expect-error an unknown action
  { response_actions: [{ status_code: 404, action: 'skip' }] },
  // @ts-expect-error an unknown method
  { method: 'DELETE' },
]

test('functions of a document know what they are given', () => {
  type Step = NonNullable<NonNullable<ResourceConfig['processing_steps']>[number]['filter']>
  expectTypeOf<Parameters<Step>>().toEqualTypeOf<[record: GivenRecord]>()
  expectTypeOf<Parameters<RecordsFunction>[0]['signal']>().toEqualTypeOf<AbortSignal>()
})

test('a reference to a secret does not show a value', () => {
  expect(`${JSON.stringify([documents[0], auths[1]])} ${secret('y')}`).toMatch(
    /\$\{secrets\.x\}.*\$\{secrets\.p\}.* \$\{secrets\.y\}$/,
  )
  expect([documents, paginators, auths, resources, endpoints].every(list => list.length > 0)).toBe(true)
})
