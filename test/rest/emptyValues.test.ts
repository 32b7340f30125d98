import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { duckdb, pipeline, type RestApiConfig, restApi } from '../../src/index.js'
import { parseRestConfig } from '../../src/rest/document/parseDocument.js'
import { type Answer, testApi, testFolder } from '../pipeline/api.js'

const client = { base_url: 'https://api.example.com' }
const resource = (keys: object, defaults?: object): object => ({
  client,
  resource_defaults: defaults,
  resources: [{ name: 'items', ...keys }],
})
const endpoint = (keys: object, defaults?: object): object =>
  resource({ endpoint: { path: 'items', ...keys } }, defaults && { endpoint: defaults })
const paginator = (keys: object): object => endpoint({ paginator: keys })
const clientPaginator = (keys: object): object => ({ client: { ...client, paginator: keys }, resources: ['items'] })
const cursor = { cursor_path: 'at', initial_value: 0 }

/** Documents that say what dlt's generators write for nothing, and the same with nothing. dlt 1.31 takes each of them. */
const EMPTY: Readonly<Record<string, readonly [empty: object, absent: object]>> = {
  total_path: [
    paginator({ type: 'page_number', page_param: 'page', total_path: '', maximum_page: 20 }),
    paginator({ type: 'page_number', page_param: 'page', total_path: null, maximum_page: 20 }),
  ],
  'total_path of offset': [
    paginator({ type: 'offset', limit: 10, total_path: '' }),
    paginator({ type: 'offset', limit: 10, total_path: null }),
  ],
  'total_path of the client': [
    clientPaginator({ type: 'page_number', total_path: '' }),
    clientPaginator({ type: 'page_number', total_path: null }),
  ],
  'total_path of the defaults': [
    endpoint({}, { paginator: { type: 'page_number', total_path: '' } }),
    endpoint({}, { paginator: { type: 'page_number', total_path: null } }),
  ],
  has_more_path: [
    paginator({ type: 'page_number', has_more_path: '' }),
    paginator({ type: 'page_number', has_more_path: null }),
  ],
  'has_more_path of cursor': [
    paginator({ type: 'cursor', has_more_path: '' }),
    paginator({ type: 'cursor', has_more_path: null }),
  ],
  'page_param beside page_body_path': [
    paginator({ type: 'page_number', page_param: '', page_body_path: 'p' }),
    paginator({ type: 'page_number', page_param: null, page_body_path: 'p' }),
  ],
  'page_body_path beside page_param': [
    paginator({ type: 'page_number', page_param: 'p', page_body_path: '' }),
    paginator({ type: 'page_number', page_param: 'p', page_body_path: null }),
  ],
  'both places of offset': [
    paginator({
      type: 'offset',
      limit: 1,
      offset_param: 'o',
      offset_body_path: '',
      limit_param: '',
      limit_body_path: 'l',
    }),
    paginator({
      type: 'offset',
      limit: 1,
      offset_param: 'o',
      offset_body_path: null,
      limit_param: null,
      limit_body_path: 'l',
    }),
  ],
  'cursor_body_path beside cursor_param': [
    paginator({ type: 'cursor', cursor_param: 'c', cursor_body_path: '' }),
    paginator({ type: 'cursor', cursor_param: 'c', cursor_body_path: null }),
  ],
  data_selector: [endpoint({ data_selector: '' }), endpoint({ data_selector: null })],
  'data_selector over the defaults': [
    endpoint({ data_selector: '' }, { data_selector: 'a' }),
    endpoint({ data_selector: null }, { data_selector: 'a' }),
  ],
  table_name: [resource({ table_name: '' }), resource({ table_name: null })],
  'table_name over the defaults': [
    resource({ table_name: '' }, { table_name: 'a' }),
    resource({ table_name: null }, { table_name: 'a' }),
  ],
  'primary_key and merge_key': [
    resource({ primary_key: '', merge_key: '' }),
    resource({ primary_key: null, merge_key: null }),
  ],
  name: [
    { client, resources: [{ name: '', endpoint: { path: 'items' } }] },
    { client, resources: [{ name: 'paginate_resource', endpoint: { path: 'items' } }] },
  ],
  'name, and no path': [
    { client, resources: [''] },
    { client, resources: [{ name: 'paginate_resource', endpoint: { path: '' } }] },
  ],
  incremental: [endpoint({ incremental: {} }), endpoint({ incremental: null })],
  'start_param and end_param': [
    endpoint({ incremental: { ...cursor, start_param: '', end_param: '' } }),
    endpoint({ incremental: cursor }),
  ],
  'the end of a cursor that is a parameter': [
    endpoint({ params: { since: { type: 'incremental', ...cursor, end_value: null, end_param: '' } } }),
    endpoint({ params: { since: { type: 'incremental', ...cursor } } }),
  ],
}

describe('what Python takes for absent is absent', () => {
  test.each(Object.entries(EMPTY))('%s', (_, [empty, absent]) => {
    expect(parseRestConfig(empty)).toEqual(parseRestConfig(absent))
  })

  test('an empty data_selector lets the page decide for a single entity too', () => {
    const selectorOf = (keys: object): unknown => {
      const [only] = parseRestConfig(endpoint({ path: 'items/{id}', params: { id: 1 }, ...keys })).resources
      return only?.kind === 'endpoint' ? only.endpoint.dataSelector : 'no endpoint'
    }
    expect(selectorOf({})).toBe('$')
    expect(selectorOf({ data_selector: '' })).toBeUndefined()
  })

  test.each<[string, object, string]>([
    ['page_param alone', paginator({ type: 'page_number', page_param: '' }), 'page_param'],
    ['limit_param alone', paginator({ type: 'offset', limit: 1, limit_param: '' }), 'limit_param'],
    ['next_url_path', paginator({ type: 'json_link', next_url_path: '' }), 'next_url_path'],
    ['cursor_path', paginator({ type: 'cursor', cursor_path: '' }), 'cursor_path'],
    ['method', endpoint({ method: '' }), 'method'],
    ['write_disposition', resource({ write_disposition: '' }), 'write_disposition'],
    ['type of a column', resource({ columns: { a: { data_type: '' } } }), 'data_type'],
    ['token', { client: { ...client, auth: { type: 'bearer', token: '' } }, resources: ['a'] }, 'client.auth.token'],
  ])('but not where dlt asks otherwise: %s', (_, document, path) => {
    expect(() => parseRestConfig(document)).toThrow(path)
  })
})

/** Loads a document from an API of five records, and says what was asked and which tables there are. */
async function loaded(document: (url: string) => object, answer: (url: URL) => Answer) {
  const folder = await testFolder()
  const headers: (string | undefined)[] = []
  const api = await testApi((url, request) => {
    headers.push(request.headers.authorization)
    return answer(url)
  })
  const made = pipeline({
    name: 'p',
    source: restApi(document(api.url) as RestApiConfig, { env: {} }),
    destination: duckdb(join(folder, 'p.duckdb')),
    home: join(folder, 'home'),
  })
  const result = await made.run()
  return { rows: result.rows, asked: api.asked, headers }
}

const five = (url: URL): Answer => {
  const from = Number(url.searchParams.get('offset') ?? 0)
  return { json: { items: [1, 2, 3, 4, 5].map(id => ({ id })).slice(from, from + 2) } }
}

test('with a limit of 0 none is sent, and the offset follows what the API gives', async () => {
  const { rows, asked } = await loaded(
    base_url => ({
      client: { base_url, paginator: { type: 'offset', limit: 0, total_path: '' } },
      resources: ['items'],
    }),
    five,
  )
  expect(rows).toEqual({ items: 5 })
  expect(asked).toEqual(['/items?offset=0', '/items?offset=2', '/items?offset=4', '/items?offset=5'])
})

test('a resource without a name is called as in dlt', async () => {
  const { rows } = await loaded(
    base_url => ({
      client: { base_url, paginator: 'single_page' },
      resources: [{ name: '', table_name: '', endpoint: { path: 'items', data_selector: '' } }],
    }),
    five,
  )
  expect(rows).toEqual({ paginate_resource: 2 })
})

describe('http_basic', () => {
  test.each([
    ['sk_live', '', 'sk_live:'],
    ['', 'p', ':p'],
    ['', '', ':'],
  ])('sends the user name %j and the password %j', async (username, password, pair) => {
    const { headers } = await loaded(
      base_url => ({
        client: { base_url, paginator: 'single_page', auth: { type: 'http_basic', username, password } },
        resources: ['items'],
      }),
      five,
    )
    expect(headers).toEqual([`Basic ${Buffer.from(pair).toString('base64')}`])
  })

  test.each([
    [{ type: 'http_basic', username: 'u' }, {}],
    [{ type: 'http_basic', username: 'u', password: null }, {}],
    [{ type: 'http_basic', username: 'u' }, { SOURCES__REST_API__CREDENTIALS__PASSWORD: '' }],
  ])('says how to write an empty password where none is found: %j, %j', (auth, env) => {
    const document = { client: { ...client, auth }, resources: ['items'] } as RestApiConfig
    expect(() => restApi(document, { env }).requireSecrets?.()).toThrow(/`password: ""`/)
  })

  test('takes an empty variable for one that is not set', () => {
    const document: RestApiConfig = {
      client: { ...client, auth: { type: 'http_basic', username: 'u', password: '${secrets.pw}' } },
      resources: ['items'],
    }
    expect(() => restApi(document, { env: { PW: '' } }).requireSecrets?.()).toThrow(/the secret `pw` is missing/)
  })
})
