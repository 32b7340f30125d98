import { describe, expect, test } from 'vitest'
import { ConfigError, type RestApiConfig, restApi } from '../../src/index.js'
import { load, prepared, run, testApi } from './loading.js'

const singlePage = { paginator: 'single_page' } as const

describe('a list of values', () => {
  const regions = [{ id: 'eu', size: 3 }, { id: 'us/west', size: 9007199254740993n }, { id: 'ap' }]

  test('is a resource without requests, whose records children are asked for', async () => {
    const api = await testApi(url => ({ json: [{ id: url.pathname, q: url.searchParams.get('size') }] }))
    const { rows, result } = await load({
      client: { base_url: api.origin, ...singlePage },
      resources: [
        { name: 'regions', records: regions.slice(0, 2) },
        {
          name: 'shops',
          include_from_parent: ['size'],
          endpoint: { path: 'regions/{resources.regions.id}/shops', params: { size: '{resources.regions.size}' } },
        },
      ],
    })
    expect(api.asked).toEqual(['GET /regions/eu/shops?size=3', 'GET /regions/us/west/shops?size=9007199254740993'])
    expect(result.rows).toEqual({ regions: 2, shops: 2 })
    expect(await rows('shops', '_regions_size')).toMatchObject([
      { id: '/regions/eu/shops', _regions_size: 3 },
      { id: '/regions/us/west/shops' },
    ])
    expect(result.receipts[0]).toMatchObject({
      resource: 'regions',
      verdict: 'complete',
      requests: 0,
      pages: 1,
      announced: 2,
    })
  })

  test('may be read for its children only, and passes its processing steps', async () => {
    const api = await testApi(url => ({ json: [{ id: url.search }] }))
    const { result } = await load({
      client: { base_url: api.origin, ...singlePage },
      resource_defaults: { endpoint: { incremental: { cursor_path: 'at', initial_value: 0 } } },
      resources: [
        { name: 'regions', selected: false, records: regions, processing_steps: [{ filter: ({ id }) => id !== 'ap' }] },
        { name: 'shops', endpoint: { params: { in: '{resources.regions.id}' }, incremental: null } },
      ],
    })
    expect(api.asked).toEqual(['GET /shops?in=eu', 'GET /shops?in=us%2Fwest'])
    expect(result.rows).toEqual({ regions: 0, shops: 2 })
  })

  test('may be empty', async () => {
    const { result } = await load({ client: { base_url: '' }, resources: [{ name: 'none', records: [] }] })
    expect(result.receipts).toMatchObject([{ verdict: 'complete', records: 0 }])
  })
})

describe('a batch of parents', () => {
  const users = { name: 'users', records: [1, 2, 3, 4, 5].map(id => ({ id, name: `n${id}` })) }

  test('is one request, values joined', async () => {
    const api = await testApi(url => ({ json: (url.searchParams.get('ids') ?? '').split(',').map(id => ({ id })) }))
    const { result, rows } = await load({
      client: { base_url: api.origin, ...singlePage },
      resources: [users, { name: 'orders', endpoint: { params: { ids: '{resources.users.id}' }, batch_size: 2 } }],
    })
    expect(api.asked).toEqual(['GET /orders?ids=1%2C2', 'GET /orders?ids=3%2C4', 'GET /orders?ids=5'])
    expect((await rows('orders')).map(({ id }) => id)).toEqual(['1', '2', '3', '4', '5'])
    expect(result.receipts[1]).toMatchObject({ requests: 3, pages: 3, records: 5 })
  })

  test.each<[string, object, string]>([
    [
      'a separator of its own',
      { params: { ids: 'in:{resources.users.id}' }, batch_separator: '|' },
      '/x?ids=in%3A1%7C2',
    ],
    ['a list in the query', { params: { id: ['{resources.users.id}', 'x'] } }, '/x?id=1&id=2&id=x'],
    [
      'two fields side by side',
      { params: { a: '{resources.users.id}', b: '{resources.users.name}' } },
      '/x?a=1%2C2&b=n1%2Cn2',
    ],
    ['text in JSON', { json: { ids: '{resources.users.id}' } }, '/x {"ids":"1,2"}'],
    ['a list in JSON', { json: { ids: ['{resources.users.id}'], all: true } }, '/x {"ids":[1,2],"all":true}'],
    [
      'objects in a list',
      { json: { inputs: [{ id: '{resources.users.id}', of: { name: 'n:{resources.users.name}' }, all: true }] } },
      '/x {"inputs":[{"id":1,"of":{"name":"n:n1"},"all":true},{"id":2,"of":{"name":"n:n2"},"all":true}]}',
    ],
    [
      'a list within objects of a list',
      {
        json: {
          groups: [
            { filters: [{ in: ['{resources.users.id}'] }] },
            { id: '{resources.users.id}', l: ['{resources.users.id}'] },
          ],
        },
      },
      '/x {"groups":[{"filters":[{"in":[1,2]}]},{"id":1,"l":[1]},{"id":2,"l":[2]}]}',
    ],
    [
      'lists of lists, and names of members',
      { json: { pairs: [['{resources.users.id}', 'x'], { '{resources.users.name}': 1 }] } },
      '/x {"pairs":[[1,2,"x"],{"n1":1},{"n2":1}]}',
    ],
    [
      'an object beside a list',
      { json: { one: { id: '{resources.users.id}' }, none: [{ a: 1 }] } },
      '/x {"one":{"id":"1,2"},"none":[{"a":1}]}',
    ],
    ['a form', { data: { ids: '{resources.users.id}', id: ['{resources.users.id}'] } }, '/x ids=1%2C2&id=1&id=2'],
    ['a raw body', { data: 'ids={resources.users.id}' }, '/x ids=1,2'],
  ])('%s', async (_name, endpoint, asked) => {
    const api = await testApi(() => ({ json: [] }))
    const method = 'params' in endpoint ? 'GET' : 'POST'
    await load({
      client: { base_url: api.origin, ...singlePage },
      resources: [
        { ...users, records: users.records.slice(0, 2) },
        { name: 'x', endpoint: { method, batch_size: 10, ...endpoint } },
      ],
    })
    expect(api.asked).toEqual([`${method} ${asked}`])
  })

  test('fills up over the pages of the parent, and again for the records of each parent', async () => {
    const lists: Readonly<Record<string, readonly unknown[]>> = {
      '/a': [{ id: 1 }, { id: 2 }, { id: 3 }],
      '/b': [{ id: 10 }, { id: 20 }],
    }
    const api = await testApi(url => {
      const offset = Number(url.searchParams.get('offset'))
      const list = lists[url.pathname]
      return {
        json: list === undefined ? [{ at: url.search }] : { data: list.slice(offset, offset + 1), total: list.length },
      }
    })
    const { result, rows } = await load({
      client: { base_url: api.origin, paginator: { type: 'offset', limit: 1 } },
      resources: [
        { name: 'groups', records: [{ name: 'a' }, { name: 'b' }], selected: false },
        {
          name: 'members',
          endpoint: { path: '{resources.groups.name}', data_selector: 'data', paginator: { type: 'offset', limit: 1 } },
        },
        {
          name: 'scores',
          endpoint: { params: { of: '{resources.members.id}' }, batch_size: 2, ...singlePage, data_selector: '$' },
        },
      ],
    })
    expect((await rows('scores', 'at')).map(({ at }) => at)).toEqual(['?of=1%2C2', '?of=10%2C20', '?of=3'])
    expect(result.rows).toEqual({ groups: 0, members: 5, scores: 3 })
  })

  test('is paged like any other list, and taken up from the journal', async () => {
    let isDown = true
    const api = await testApi(url => {
      if (isDown && url.searchParams.get('ids') === '3,4') return { status: 400, json: {} }
      const offset = Number(url.searchParams.get('offset'))
      return { json: { data: [{ id: `${url.searchParams.get('ids')}#${offset}` }], total: 2 } }
    })
    const document: RestApiConfig = {
      client: { base_url: api.origin, paginator: { type: 'offset', limit: 1 } },
      resources: [
        users,
        { name: 'orders', endpoint: { params: { ids: '{resources.users.id}' }, batch_size: 2, data_selector: 'data' } },
      ],
    }
    const made = await prepared(document)
    await expect(run(made)).rejects.toMatchObject({ code: 'http_status' })
    isDown = false
    const asked = api.asked.length
    const { rows } = await run(made)
    expect(api.asked[asked]).toBe('GET /orders?ids=3%2C4&offset=0&limit=1')
    expect((await rows('orders')).map(({ id }) => id)).toEqual(['1,2#0', '1,2#1', '3,4#0', '3,4#1', '5#0', '5#1'])
    expect((await made.plan()).resources[1]?.request).toMatchObject({
      batchSize: 2,
      request: { url: `${api.origin}/orders?ids={resources.users.id}&offset=0&limit=1` },
    })
  })

  test('does not join a value that holds the separator', async () => {
    const api = await testApi(() => ({ json: [] }))
    const document = (ids: string | readonly string[]): RestApiConfig => ({
      client: { base_url: api.origin, ...singlePage },
      resources: [
        { name: 'tags', records: [{ id: 'a,b' }, { id: 'c' }] },
        { name: 'x', endpoint: { params: { ids: ids as string }, batch_size: 2 } },
      ],
    })
    await expect(load(document('{resources.tags.id}'))).rejects.toMatchObject({
      code: 'placeholder',
      path: 'resources[1].endpoint.params.ids',
      message: expect.stringContaining('batch_separator'),
    })
    await load(document(['{resources.tags.id}']))
    expect(api.asked).toEqual(['GET /x?ids=a%2Cb&ids=c'])
  })

  test.each<[string, object[], string]>([
    [
      'a path with a field',
      [users, { name: 'x', endpoint: { path: 'x/{resources.users.id}', batch_size: 2 } }],
      'resources[1].endpoint.path',
    ],
    [
      'a path parameter',
      [
        users,
        {
          name: 'x',
          endpoint: {
            path: 'x/{u}',
            params: { u: { type: 'resolve', resource: 'users', field: 'id' } },
            batch_size: 2,
          },
        },
      ],
      'resources[1].endpoint.path',
    ],
    ['no parent', [{ name: 'x', endpoint: { batch_size: 2 } }], 'resources[0].endpoint.batch_size'],
    [
      'fields of the parent in the child',
      [
        users,
        { name: 'x', include_from_parent: ['id'], endpoint: { params: { u: '{resources.users.id}' }, batch_size: 2 } },
      ],
      'resources[1].include_from_parent',
    ],
    [
      'an empty separator',
      [users, { name: 'x', endpoint: { params: { u: '{resources.users.id}' }, batch_size: 2, batch_separator: '' } }],
      'resources[1].endpoint.batch_separator',
    ],
    ['records beside an endpoint', [{ ...users, endpoint: 'users' }], 'resources[0].records'],
    ['records that are no objects', [{ name: 'x', records: [1] }], 'resources[0].records[0]'],
    ['records that are no JSON', [{ name: 'x', records: [{ at: [new Date(0)] }] }], 'resources[0].records[0].at[0]'],
    ['records that are text', [{ name: 'x', records: 'abc' }], 'resources[0].records'],
  ])('refuses %s', (_name, resources, path) => {
    const document = { client: { base_url: 'http://127.0.0.1:9' }, resources } as unknown as RestApiConfig
    const problem = thrown(() => restApi(document, { env: {} }))
    expect(problem).toBeInstanceOf(ConfigError)
    expect((problem as ConfigError).path).toBe(path)
  })

  test('of one is no batch', async () => {
    const api = await testApi(() => ({ json: [] }))
    await load({
      client: { base_url: api.origin, ...singlePage },
      resources: [users, { name: 'x', endpoint: { path: 'x/{resources.users.id}', batch_size: 1 } }],
    })
    expect(api.asked).toHaveLength(5)
  })
})

function thrown(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}
