import { expect, test } from 'vitest'
import type { RestApiConfig } from '../../src/index.js'
import { parseJson } from '../../src/json/parse.js'
import { load, prepared, testApi } from './loading.js'

/** GraphQL: the query as it is, values in its variables, Relay connections. */

const query =
  'query A($first: Int, $after: String) { orders(first: $first, after: $after) { nodes { id } pageInfo { endCursor hasNextPage } } }'

function orders(origin: string, graphql: object, more: object = {}): RestApiConfig {
  return {
    client: { base_url: origin },
    resources: [{ name: 'orders', endpoint: { path: 'graphql', graphql: { query, ...graphql }, ...more } }],
  } as RestApiConfig
}

interface Asked {
  readonly query: string
  readonly operationName?: string
  readonly variables?: { readonly after?: string | null; readonly skip?: number; readonly first?: number }
}

const asked = (body: string): Asked => parseJson(Buffer.from(body)) as unknown as Asked

/** Five orders in pages of two. */
async function connection(wrong?: (after: number) => object | undefined) {
  return testApi((_url, { body }) => {
    const after = Number(asked(body).variables?.after ?? 0)
    const ids = [1, 2, 3, 4, 5].filter(id => id > after).slice(0, 2)
    const last = ids.at(-1) ?? after
    const list = { nodes: ids.map(id => ({ id })), pageInfo: { endCursor: String(last), hasNextPage: last < 5 } }
    return { json: { data: { orders: list }, ...wrong?.(after) } }
  })
}

test('a connection is read page by page, and its query is sent as it is', async () => {
  const api = await connection()
  const { result } = await load(
    orders(api.origin, { variables: { first: 2 }, connection: 'data.orders', operation_name: 'A' }),
  )
  expect(result.rows).toEqual({ orders: 5 })
  expect(result.receipts[0]?.verdict).toBe('complete')
  expect(api.seen.map(({ method }) => method)).toEqual(['POST', 'POST', 'POST'])
  expect(api.seen.map(({ body }) => asked(body))).toEqual([
    { query, operationName: 'A', variables: { first: 2 } },
    { query, operationName: 'A', variables: { first: 2, after: '2' } },
    { query, operationName: 'A', variables: { first: 2, after: '4' } },
  ])
})

test('a null node is a record that failed, and no row', async () => {
  const nodes = [{ id: 1 }, null, { id: 3 }]
  const api = await testApi(() => ({
    json: { data: { orders: { nodes, pageInfo: { endCursor: '3', hasNextPage: false } } } },
  }))
  const { result } = await load(orders(api.origin, { connection: 'data.orders' }))
  expect(result.rows).toEqual({ orders: 2 })
  expect(result.receipts[0]).toMatchObject({ verdict: 'unproven', records: 2 })
  expect(String(result.receipts[0]?.reasons)).toContain('null for 1 node of the connection')
})

test('a connection inside records that has more pages is told once', async () => {
  const lines = (hasNextPage: boolean) => ({ nodes: [{ sku: 'a' }], pageInfo: { hasNextPage } })
  const nodes = [false, true, true].map((more, index) => ({
    id: index + 1,
    note: '"hasNextPage": true',
    lines: lines(more),
  }))
  const api = await testApi(() => ({
    json: { data: { orders: { nodes, pageInfo: { endCursor: '3', hasNextPage: false } } } },
  }))
  const { result } = await load(orders(api.origin, { connection: 'data.orders' }))
  expect(result.receipts[0]?.verdict).toBe('complete')
  expect(result.warnings.filter(({ message }) => message.includes('a connection of its own'))).toHaveLength(1)
})

test('a connection of the resource counts for more than the paginator and selector of the defaults', async () => {
  const api = await connection()
  const document = orders(api.origin, { variables: { first: 2 }, connection: 'data.orders' })
  const endpoint = { paginator: 'single_page', data_selector: 'items' } as const
  const { result } = await load({ ...document, resource_defaults: { endpoint } })
  expect(result.rows).toEqual({ orders: 5 })
  expect(result.receipts[0]?.verdict).toBe('complete')
})

test('a paginator and selector beside a connection count for more than it', async () => {
  const api = await connection()
  const more = { paginator: 'single_page', data_selector: 'data.orders.nodes' }
  const { result } = await load(orders(api.origin, { variables: { first: 2 }, connection: 'data.orders' }, more))
  expect(result.rows).toEqual({ orders: 2 })
})

test('lists by offset', async () => {
  const api = await testApi((_url, { body }) => {
    const { skip = 0, first = 0 } = asked(body).variables ?? {}
    return { json: { data: { orders: [1, 2, 3].slice(skip, skip + first).map(id => ({ id })) } } }
  })
  const paginator = {
    type: 'offset',
    limit: 2,
    offset_body_path: 'variables.skip',
    limit_body_path: 'variables.first',
    total_path: null,
  }
  const { result } = await load(orders(api.origin, {}, { paginator, data_selector: 'data.orders' }))
  expect(result.rows).toEqual({ orders: 3 })
})

test('errors beside records are never complete', async () => {
  const api = await connection(after => (after === 2 ? { errors: [{ message: 'a field failed' }] } : undefined))
  const { result } = await load(orders(api.origin, { connection: 'data.orders' }))
  expect(result.receipts[0]?.verdict).toBe('unproven')
})

test.each([
  ['no data', { data: null, errors: [{ message: 'throttled' }] }],
  ['no member data', { errors: [{ message: 'throttled' }] }],
])('errors and %s fail the run', async (_name, json) => {
  const api = await testApi(() => ({ json }))
  await expect(load(orders(api.origin, { connection: 'data.orders' }))).rejects.toThrow(
    /reports a failure in "errors", and has nothing at "data\.orders\.nodes"; it begins .*throttled.*`response_actions`/,
  )
})

test('placeholders stand in the variables', async () => {
  const api = await connection()
  const document = orders(
    api.origin,
    { variables: { since: '{incremental.start_value}' }, connection: 'data.orders' },
    {
      incremental: { cursor_path: 'id', initial_value: 0 },
    },
  )
  await load(document)
  expect(api.seen[0]?.body).toContain('"since":0')
})

test.each<[string, object, object, RegExp]>([
  ['a second body', {}, { json: {} }, /endpoint\.json: cannot be combined with `graphql`/],
  ['GET', {}, { method: 'GET' }, /endpoint\.method: must be POST/],
  ['no JSONPath', { connection: 'data[' }, {}, /graphql\.connection: is not a JSONPath/],
  ['a placeholder without its parent', { variables: { a: '{nothing}' } }, {}, /graphql\.variables\.a: /],
  ['a near miss', { variable: {} }, {}, /variable.*variables/s],
])('%s is refused', async (_name, graphql, more, message) => {
  await expect(prepared(orders('http://127.0.0.1:9', graphql, more))).rejects.toThrow(message)
})
