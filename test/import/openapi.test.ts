import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { stringify } from 'yaml'
import { importPipeline } from '../../src/index.js'
import { command, type Data, emptyFolder, importAndRun, imported } from './importing.js'

const ORDER = {
  type: 'object',
  required: ['id', 'created_at'],
  properties: {
    id: { type: 'integer', format: 'int64' },
    created_at: { type: 'string', format: 'date-time' },
    parent: { $ref: '#/components/schemas/Order' },
  },
}

const answer = (schema: object) => ({ responses: { 200: { content: { 'application/json': { schema } } } } })
const query = (name: string, schema: object = { type: 'integer' }) => ({ name, in: 'query', schema })
const listOf = (items: object) => ({ type: 'array', items })
const ORDERS = listOf({ $ref: '#/components/schemas/Order' })

const envelope = (key: string, beside: object = {}) => ({
  type: 'object',
  properties: { [key]: ORDERS, ...beside },
})

/** An OpenAPI document with these paths. */
function api(paths: object, more: object = {}): string {
  return stringify({
    openapi: '3.0.3',
    info: { title: 'Shop API', version: '1' },
    servers: [{ url: 'https://api.example.com/v1' }],
    components: { schemas: { Order: ORDER } },
    paths,
    ...more,
  })
}

describe('a list of OpenAPI', () => {
  const paginators: readonly (readonly [string, object, object])[] = [
    [
      'pages',
      {
        parameters: [query('page'), query('per_page', { type: 'integer', maximum: 100 })],
        ...answer(envelope('data')),
      },
      {
        params: { per_page: 100 },
        data_selector: 'data',
        paginator: { type: 'page_number', base_page: 1, total_path: null },
      },
    ],
    [
      'an offset',
      { parameters: [query('offset'), query('limit', { type: 'integer', maximum: 50 })], ...answer(envelope('items')) },
      { data_selector: 'items', paginator: expect.objectContaining({ type: 'offset', limit: 50 }) },
    ],
    [
      'a cursor',
      {
        parameters: [query('cursor', { type: 'string' })],
        ...answer(envelope('items', { next_cursor: { type: 'string' } })),
      },
      {
        data_selector: 'items',
        paginator: { type: 'cursor', cursor_path: 'next_cursor', cursor_param: 'cursor' },
      },
    ],
    ['a bare list', answer(ORDERS), { data_selector: '$' }],
  ]
  it.each(paginators)('with %s', async (_, operation, endpoint) => {
    const { data } = await imported({ kind: 'openapi', text: api({ '/orders': { get: operation } }) })
    expect(data.source.client.base_url).toBe('https://api.example.com/v1')
    expect(data.source.resources).toEqual([
      {
        name: 'orders',
        primary_key: 'id',
        columns: { created_at: { data_type: 'timestamp' } },
        endpoint: { path: 'orders', ...endpoint },
      },
    ])
  })

  const schemes: readonly (readonly [object, object])[] = [
    [{ type: 'http', scheme: 'bearer' }, { type: 'bearer' }],
    [{ type: 'http', scheme: 'basic' }, { type: 'http_basic' }],
    [
      { type: 'apiKey', in: 'query', name: 'key' },
      { type: 'api_key', name: 'key', location: 'query' },
    ],
  ]
  it.each(schemes)('is signed as %j says, by references', async (scheme, auth) => {
    const more = {
      security: [{ own: [] }],
      components: { schemas: { Order: ORDER }, securitySchemes: { own: scheme } },
    }
    const { file, data } = await imported({ kind: 'openapi', text: api({ '/orders': { get: answer(ORDERS) } }, more) })
    expect(data.source.client.auth).toMatchObject(auth)
    expect(file.text).toMatch(/\$\{secrets\.\w+\}/)
  })

  it('below a record is a child of the list of such records', async () => {
    const child = {
      parameters: [{ name: 'order_id', in: 'path', required: true, schema: { type: 'integer' } }],
      ...answer(listOf({ type: 'object', properties: { sku: { type: 'string' } } })),
    }
    const text = api({ '/orders': { get: answer(ORDERS) }, '/orders/{order_id}/lines': { get: child } })
    const { data } = await imported({ kind: 'openapi', text })
    expect(data.source.resources.map(({ endpoint }: { endpoint: { path: string } }) => endpoint.path)).toEqual([
      'orders',
      'orders/{resources.orders.id}/lines',
    ])
  })

  it('is chosen by tag and by path', async () => {
    const text = api({
      '/orders': { get: { tags: ['sales'], ...answer(ORDERS) } },
      '/returns': { get: { tags: ['stock'], ...answer(ORDERS) } },
    })
    const names = async (options: object): Promise<readonly string[]> =>
      (await imported({ kind: 'openapi', text, ...options })).data.source.resources.map(
        ({ name }: { name: string }) => name,
      )
    expect(await names({})).toEqual(['orders', 'returns'])
    expect(await names({ tags: ['stock'] })).toEqual(['returns'])
    expect(await names({ paths: ['/ord'] })).toEqual(['orders'])
  })

  const servers: readonly (readonly [string, string, boolean])[] = [
    ['https://your-domain.atlassian.net/v1', '${env.SHOP_BASE_URL}/v1', true],
    ['https://mycompany.example.com', '${env.SHOP_BASE_URL}', true],
    ['http://api.example.com/v3', 'https://api.example.com/v3', false],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080', false],
    ['https://api.example.com/your-domain', 'https://api.example.com/your-domain', false],
  ]
  it.each(servers)('at %s is asked for at %s', async (url, expected, stopsRun) => {
    const text = api({ '/orders': { get: answer(ORDERS) } }, { servers: [{ url }] })
    const { file, data } = await imported({ kind: 'openapi', text })
    expect(data.source.client.base_url).toBe(expected)
    expect(file.notes.some(note => note.stopsRun === true)).toBe(stopsRun)
  })

  it('with an offset that answers give is not counted', async () => {
    const offset = {
      ...query('offset', { type: 'string' }),
      description:
        'An offset to the next page returned by the API. If an offset is not passed in, the first page is given.',
    }
    const text = api({ '/orders': { get: { parameters: [offset, query('limit')], ...answer(envelope('data')) } } })
    const { data } = await imported({ kind: 'openapi', text })
    expect(data.source.resources[0].endpoint.paginator?.type).not.toBe('offset')
  })

  it('of Swagger 2.0 is read too', async () => {
    const text = JSON.stringify({
      swagger: '2.0',
      info: { title: 'Shop', version: '1' },
      host: 'api.example.com',
      basePath: '/v2',
      schemes: ['https'],
      paths: {
        '/orders': {
          get: { responses: { 200: { schema: { type: 'array', items: { $ref: '#/definitions/Order' } } } } },
        },
      },
      definitions: { Order: { type: 'object', properties: { id: { type: 'integer' } } } },
    })
    const { data } = await imported({ kind: 'openapi', text })
    expect(data.source.client.base_url).toBe('https://api.example.com/v2')
    expect(data.source.resources[0]).toMatchObject({ name: 'orders', primary_key: 'id' })
  })
})

describe('what documents of OpenAPI say', () => {
  const item = (name: string) => ({ name, in: 'path', required: true, schema: { type: 'string' } })
  const object = (properties: object) => ({ type: 'object', properties })
  const text = { type: 'string' }
  const whole = { type: 'integer' }
  const endpoints = async (paths: object, more: object = {}): Promise<Data> =>
    Object.fromEntries(
      (await imported({ kind: 'openapi', text: api(paths, more) })).data.source.resources.map((one: Data) => [
        one.name,
        one,
      ]),
    )

  it('of scopes is asked for once, for all lists', async () => {
    const flow = { tokenUrl: 'https://api.example.com/token', scopes: {} }
    const more = {
      components: {
        schemas: { Order: ORDER },
        securitySchemes: { own: { type: 'oauth2', flows: { clientCredentials: flow } } },
      },
    }
    const list = (scope: string) => ({ get: { security: [{ own: [scope] }], ...answer(ORDERS) } })
    const paths = { '/orders': list('orders:read'), '/returns': list('returns:read') }
    const { data } = await imported({ kind: 'openapi', text: api(paths, more) })
    expect(data.source.client.auth.scope).toEqual(['orders:read', 'returns:read'])
    expect(data.source.resources.map((one: Data) => one.endpoint.auth)).toEqual([undefined, undefined])
  })

  it('behind # or ? of a path is no part of the path', async () => {
    const { orders, jobs } = await endpoints({
      '/orders#recent': { get: { parameters: [query('recent')], ...answer(ORDERS) } },
      '/jobs?op=LIST': { get: answer(ORDERS) },
    })
    expect(orders.endpoint.path).toBe('orders')
    expect(jobs.endpoint).toMatchObject({ path: 'jobs', params: { op: 'LIST' } })
  })

  const cut: readonly (readonly [string, object, string | undefined])[] = [
    ['truncated', { type: 'boolean' }, undefined],
    ['is_truncated', { type: 'boolean', description: 'Whether there are more orders.' }, 'is_truncated'],
    ['has_more', { type: 'boolean' }, 'has_more'],
  ]
  it.each(cut)('in %s %j ends a list by %s', async (name, schema, flag) => {
    const get = { parameters: [query('page')], ...answer(envelope('data', { [name]: schema })) }
    const { orders } = await endpoints({ '/orders': { get } })
    expect(orders.endpoint.paginator.has_more_path).toBe(flag)
  })

  const entities: readonly (readonly [string, object])[] = [
    ['/files/{file}', object({ id: text, links: envelope('data', { has_more: { type: 'boolean' }, url: text }) })],
    [
      '/account',
      object({ id: text, accounts: envelope('data', { has_more: { type: 'boolean' }, total_count: whole }) }),
    ],
    ['/tasks/{id}', object({ id: text, assignments: object({ total_count: whole, entries: ORDERS }) })],
    ['/users.lookup', object({ ok: { type: 'boolean' }, user: object({ id: text, teams: ORDERS }) })],
  ]
  it.each(entities)('at %s is an entity with a list inside, and no list', async (path, schema) => {
    const parameters = path.includes('{') ? [item(path.replace(/^.*\{|\}/g, ''))] : []
    const { pipelines, leftOut } = await importPipeline({
      kind: 'openapi',
      text: api({ [path]: { get: { parameters, ...answer(schema) } } }),
    })
    expect(pipelines).toEqual([])
    expect(leftOut[0]?.why).toMatch(/^its answer is one object/)
  })

  it('that an example shows as an object is none, whatever the schema says', async () => {
    const loose = { items: { anyOf: [object({ id: text, teams: ORDERS })] } }
    const shown = (schema: object, example: object) => ({
      get: { responses: { 200: { content: { 'application/json': { schema, example } } } } },
    })
    const { leftOut } = await importPipeline({
      kind: 'openapi',
      text: api({
        '/users.find': shown(object({ user: loose }), { user: { id: 'u' } }),
        '/users.me': shown(loose, { user: { id: 'u' } }),
      }),
    })
    expect(leftOut.map(({ what }) => what)).toEqual(['GET /users.find', 'GET /users.me'])
  })

  it('of messages that people wrote are records', async () => {
    const messages = listOf(object({ ts: text, text }))
    const { history } = await endpoints({ '/history': { get: answer(object({ ok: { type: 'boolean' }, messages })) } })
    expect(history.endpoint.data_selector).toBe('messages')
  })

  it('with an id and pages is a list all the same', async () => {
    const schema = object({ id: text, page: whole, total_pages: whole, results: ORDERS })
    const { reviews } = await endpoints({
      '/films/7/reviews': { get: { parameters: [query('page')], ...answer(schema) } },
    })
    expect(reviews.endpoint.data_selector).toBe('results')
  })

  it('of a total counts more than a link', async () => {
    const beside = { nextPage: { type: 'string', format: 'uri' }, startAt: whole, total: whole }
    const parameters = [query('startAt'), query('maxResults', { type: 'integer', default: 50 })]
    const { orders } = await endpoints({ '/orders': { get: { parameters, ...answer(envelope('values', beside)) } } })
    expect(orders.endpoint.paginator).toEqual({
      type: 'offset',
      limit: 50,
      limit_param: 'maxResults',
      offset_param: 'startAt',
      total_path: 'total',
    })
  })

  const sizes: readonly (readonly [object, number])[] = [
    [{ description: 'How many. Defaults to 20.' }, 20],
    [{ schema: { type: 'integer', example: 25 } }, 25],
    [{}, 0],
  ]
  it.each(sizes)('of the size of a page in %j is %i', async (size, limit) => {
    const get = { parameters: [query('offset'), { ...query('limit'), ...size }], ...answer(envelope('data')) }
    const { file, data } = await imported({ kind: 'openapi', text: api({ '/orders': { get } }) })
    expect(data.source.resources[0].endpoint.paginator.limit).toBe(limit)
    expect(/no size is sent/.test(file.text)).toBe(limit === 0)
  })

  it('of a key within each record is a key of the table', async () => {
    const pod = object({ kind: text, metadata: object({ name: text, uid: text }) })
    const { pods } = await endpoints({ '/pods': { get: answer(object({ items: listOf(pod) })) } })
    expect(pods.primary_key).toBe('metadata__uid')
  })

  it('of a version in a header is no secret', async () => {
    const key = (name: string) => ({ type: 'apiKey', in: 'header', name })
    const more = {
      security: [{ version: [], id: [], secret: [] }],
      components: {
        schemas: { Order: ORDER },
        securitySchemes: { version: key('Shop-Version'), id: key('SHOP-CLIENT-ID'), secret: key('SHOP-SECRET') },
      },
    }
    const { file, data } = await imported({ kind: 'openapi', text: api({ '/orders': { get: answer(ORDERS) } }, more) })
    expect(data.source.client).toMatchObject({
      auth: { type: 'api_key', name: 'SHOP-CLIENT-ID', api_key: '${secrets.shop_client_id}' },
      headers: { 'SHOP-SECRET': '${secrets.shop_secret}', 'Shop-Version': '${env.SHOP_SHOP_VERSION}' },
    })
    expect(file.secrets.map(({ name }) => name).sort()).toEqual(['shop_client_id', 'shop_secret'])
    expect(file.notes).toContainEqual(expect.objectContaining({ kind: 'open', stopsRun: true }))
  })

  it('of a token in a header of its own is a secret', async () => {
    const token = { name: 'X-Shop-Auth-Token', in: 'header', required: true, schema: text }
    const { orders } = await endpoints({ '/orders': { get: { parameters: [token], ...answer(ORDERS) } } })
    expect(orders.endpoint.headers).toEqual({ 'X-Shop-Auth-Token': '${secrets.shop_auth_token}' })
  })

  const parents: readonly (readonly [string, string, string])[] = [
    ['/order/{id}/lines', 'id', 'order/{resources.orders.id}/lines'],
    ['/reports/{order_id}', 'order_id', 'reports/{resources.orders.id}'],
    [
      '/orders/{order-id}/copies/{order-id1}/lines',
      'order-id',
      'orders/{resources.copies._orders_id}/copies/{resources.copies.id}/lines',
    ],
    ['/reports/{customer_id}', 'customer_id', 'reports/${env.SHOP_CUSTOMER_ID}'],
  ]
  it.each(parents)('of %s is found in the list that the path or the name of {%s} names', async (path, _, expected) => {
    const found = await endpoints({
      '/orders': { get: answer(ORDERS) },
      '/orders/{order-id}/copies': { get: { parameters: [item('order-id')], ...answer(ORDERS) } },
      [path]: {
        get: { parameters: [...path.matchAll(/\{(.*?)\}/g)].map(match => item(match[1] ?? '')), ...answer(ORDERS) },
      },
    })
    expect(Object.values<Data>(found).map(one => one.endpoint.path)).toContain(expected)
  })

  it('of an account by its login is not looked for in the name of a person', async () => {
    const users = listOf(object({ id: whole, login: text, name: text }))
    const get = { parameters: [item('username')], ...answer(ORDERS) }
    const { orders } = await endpoints({ '/users': { get: answer(users) }, '/users/{username}/orders': { get } })
    expect(orders.endpoint.path).toBe('users/{resources.users.login}/orders')
  })

  it('of a format behind a name is no part of the name', async () => {
    const format = { ...item('format'), schema: { type: 'string', enum: ['json', 'xml'] } }
    const get = { parameters: [item('order_id'), format], ...answer(ORDERS) }
    const { posts } = await endpoints({
      '/orders': { get: answer(ORDERS) },
      '/orders/{order_id}/posts.{format}': { get },
    })
    expect(posts.endpoint.path).toBe('orders/{resources.orders.id}/posts.json')
  })

  const copies: readonly (readonly [string, string])[] = [
    ['https://api.shop.example/docs/openapi.json', 'https://api.shop.example/v1'],
    ['https://raw.example.org/shop/openapi.json', '${env.SHOP_BASE_URL}/v1'],
  ]
  it.each(copies)('that it comes from %s puts the API at %s', async (url, expected) => {
    const info = { title: 'Shop API', version: '1', 'x-origin': [{ url }] }
    const text = api({ '/orders': { get: answer(ORDERS) } }, { info, servers: [{ url: '/v1' }] })
    const file = 'https://copies.example.net/shop.json'
    const { data } = await imported({ kind: 'openapi', text, file })
    expect(data.source.client.base_url).toBe(expected)
  })
})

describe('what is no list', () => {
  const left: readonly (readonly [string, object, RegExp])[] = [
    [
      'one object',
      { '/me': { get: answer({ type: 'object', properties: { id: { type: 'integer' } } }) } },
      /one object/,
    ],
    [
      'another document',
      { '/x': { get: { responses: { 200: { $ref: 'https://a.example.com/x.yaml#/a' } } } } },
      /outside the document, which is not fetched/,
    ],
    ['a file for the whole path', { '/x': { $ref: 'file:///etc/passwd' } }, /file:\/\/\/etc\/passwd.*is not fetched/],
    ['a file', { '/x': { get: answer({ $ref: '../secret.yaml#/a' }) } }, /outside the document, which is not fetched/],
    ['a change', { '/x': { post: answer(ORDERS) } }, /change data/],
  ]
  it.each(left)('is left out with its reason: %s', async (_, paths, why) => {
    const { pipelines, leftOut } = await importPipeline({ kind: 'openapi', text: api(paths) })
    expect(pipelines).toEqual([])
    expect(leftOut.map(one => one.why).join('\n')).toMatch(why)
  })

  it('ends the command with 3', async () => {
    const folder = await emptyFolder()
    const file = join(folder, 'shop.yaml')
    await writeFile(file, api({ '/x': { post: answer(ORDERS) } }))
    const { exitCode } = await command(['import', 'openapi', file, '--out', join(folder, 'made.yaml')])
    expect(exitCode).toBe(3)
  })
})

const hostile: readonly (readonly [string, string])[] = [
  ['no OpenAPI', 'a: 1'],
  ['no YAML', '{a: ['],
  ['a list', '- 1'],
  [
    'aliases that multiply',
    `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefghij'].map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghij'[index]}`).join(',')}]`).join('\n')}\nopenapi: 3.0.0\npaths: *j\n`,
  ],
]
it.each(hostile)('%s is refused with one message', async (_, text) => {
  await expect(importPipeline({ kind: 'openapi', text })).rejects.toMatchObject({ name: 'ConfigError' })
})

it.each([`a: ${'['.repeat(50_000)}`, `{"a": ${'['.repeat(200_000)}${']'.repeat(200_000)}}`])(
  'what is nested without end is said to be',
  async text => {
    await expect(importPipeline({ kind: 'openapi', text })).rejects.toThrow(/nested too deeply|is no OpenAPI|has no/)
  },
)

it('what is no JSON is not repeated by its message', async () => {
  const text = '{"openapi": s3cr3t-of-shop'
  await expect(importPipeline({ kind: 'openapi', text })).rejects.toThrow(/^(?!.*s3cr3t).*is not valid JSON/)
})

const circles: readonly (readonly [string, object])[] = [
  ['a reference to itself', { $ref: '#/components/schemas/Loop' }],
  [
    'two that refer to each other',
    { allOf: [{ $ref: '#/components/schemas/Loop' }, { $ref: '#/components/schemas/Order' }] },
  ],
]
it.each(circles)('ends for %s', async (_, loop) => {
  const components = { schemas: { Order: ORDER, Loop: loop } }
  const text = api({ '/loops': { get: answer(listOf({ $ref: '#/components/schemas/Loop' })) } }, { components })
  const { pipelines, leftOut } = await importPipeline({ kind: 'openapi', text })
  expect(pipelines.length + leftOut.length).toBeGreaterThan(0)
})

it('the file that is written loads every page, with the secret from the environment', async () => {
  const orders = Array.from({ length: 250 }, (_, id) => ({ id, created_at: '2024-01-01T00:00:00Z' }))
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://api')
    if (request.headers['x-api-key'] !== 'k3y-of-orders') response.writeHead(401).end()
    else {
      const [page, size] = [Number(url.searchParams.get('page')), Number(url.searchParams.get('per_page'))]
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ data: orders.slice((page - 1) * size, page * size) }))
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => new Promise(resolve => server.close(() => resolve())))
  const file = join(await emptyFolder(), 'shop.yaml')
  const operation = {
    parameters: [query('page'), query('per_page', { type: 'integer', maximum: 100 })],
    ...answer(envelope('data')),
  }
  await writeFile(
    file,
    api(
      { '/orders': { get: operation } },
      {
        servers: [{ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }],
        security: [{ key: [] }],
        components: {
          schemas: { Order: ORDER },
          securitySchemes: { key: { type: 'apiKey', in: 'header', name: 'X-Api-Key' } },
        },
      },
    ),
  )
  const { rows } = await importAndRun(['openapi', file], 'orders', { API_KEY: 'k3y-of-orders' })
  expect(rows).toHaveLength(250)
})

it('more lists than anybody loads at once are refused, with a way to choose', async () => {
  const list = {
    get: { responses: { 200: { content: { 'application/json': { schema: { type: 'array', items: {} } } } } } },
  }
  const paths = Object.fromEntries(Array.from({ length: 5_001 }, (_, index) => [`/list${index}`, list]))
  const text = JSON.stringify({ openapi: '3.0.0', info: { title: 'Large', version: '1' }, paths })
  await expect(importPipeline({ kind: 'openapi', text })).rejects.toThrow(
    'has 5001 lists, more than 5000; name some by --tag or --path',
  )
  const { pipelines } = await importPipeline({ kind: 'openapi', text, paths: ['/list500'] })
  expect(pipelines).toHaveLength(1)
})
