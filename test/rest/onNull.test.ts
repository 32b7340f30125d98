import { describe, expect, test } from 'vitest'
import type { RestApiConfig } from '../../src/index.js'
import { load, testApi } from './loading.js'

/** Orders, of which only some have an invoice, and the lines of each invoice. */
async function invoices(orders: readonly object[], endpoint: object) {
  const api = await testApi(url => ({ json: url.pathname === '/orders' ? orders : [{ id: 1 }] }))
  const document: unknown = {
    client: { base_url: api.origin, paginator: 'single_page' },
    resources: [{ name: 'orders' }, { name: 'lines', endpoint }],
  }
  return { api, loaded: load(document as RestApiConfig) }
}

const inPath = { path: 'invoices/{resources.orders.invoice}/lines' }
const some = [{ id: 1, invoice: 'a' }, { id: 2, invoice: null }, { id: 3 }]

test('a null in a placeholder fails the run, and the message names both ways out', async () => {
  const { loaded } = await invoices(some, inPath)
  await expect(loaded).rejects.toThrow(/`\{resources\.orders\.invoice\}` is null; set `on_null: skip`.* or `omit`/)
})

test('skip leaves out the lists of records without a value', async () => {
  const { api, loaded } = await invoices(some, { ...inPath, on_null: 'skip' })
  const { result } = await loaded
  expect(api.asked).toEqual(['GET /orders', 'GET /invoices/a/lines'])
  expect(result.receipts.find(one => one.resource === 'lines')?.verdict).toBe('complete')
})

test('a field that is null in every record means that there are no lists', async () => {
  const { loaded } = await invoices([{ id: 1, invoice: null }], { ...inPath, on_null: 'skip' })
  const receipt = (await loaded).result.receipts.find(one => one.resource === 'lines')
  expect(receipt).toMatchObject({ verdict: 'complete' })
  expect(receipt?.reasons.join()).toContain('has null for `{resources.orders.invoice}`')
})

test('a field that no record has is no proof: its name may be wrong', async () => {
  const { api, loaded } = await invoices([{ id: 1, bill: 'a' }, { id: 2 }], { ...inPath, on_null: 'skip' })
  const receipt = (await loaded).result.receipts.find(one => one.resource === 'lines')
  expect(api.asked).toEqual(['GET /orders'])
  expect(receipt).toMatchObject({ verdict: 'unproven' })
  expect(receipt?.reasons.join()).toContain('its name may be wrong')
})

test('skip leaves records without a value out of a batch', async () => {
  const orders = [...some, { id: 4, invoice: 'b' }]
  const endpoint = { path: 'lines', params: { of: '{resources.orders.invoice}' }, batch_size: 10, on_null: 'skip' }
  const { api, loaded } = await invoices(orders, endpoint)
  await loaded
  expect(api.asked).toEqual(['GET /orders', 'GET /lines?of=a%2Cb'])
})

test('omit asks without the value', async () => {
  const endpoint = {
    path: 'lines',
    method: 'POST',
    params: { of: '{resources.orders.invoice}', id: '{resources.orders.id}' },
    headers: { 'X-Invoice': '{resources.orders.invoice}' },
    json: {
      of: '{resources.orders.invoice}',
      all: ['{resources.orders.invoice}'],
      text: 'no. {resources.orders.invoice}',
    },
    on_null: 'omit',
  }
  const { api, loaded } = await invoices([{ id: 7, invoice: null }], endpoint)
  await loaded
  expect(api.asked).toEqual(['GET /orders', 'POST /lines?id=7 {"all":[]}'])
  expect(api.seen[1]?.headers['x-invoice']).toBeUndefined()
})

test('omit leaves the place of a batch out if no record of it has a value', async () => {
  const orders = [...some.slice(0, 2), { id: 4, invoice: null }, { id: 5, invoice: null }]
  const of = '{resources.orders.invoice}'
  const endpoint = {
    path: 'lines',
    method: 'POST',
    params: { of },
    headers: { 'X-Invoice': of },
    json: { of, all: [of], text: `no. ${of}` },
    batch_size: 2,
    on_null: 'omit',
  }
  const { api, loaded } = await invoices(orders, endpoint)
  await loaded
  expect(api.asked).toEqual([
    'GET /orders',
    'POST /lines?of=a {"of":"a","all":["a"],"text":"no. a"}',
    'POST /lines {"all":[]}',
  ])
  expect(api.seen.map(({ headers }) => headers['x-invoice'])).toEqual([undefined, 'a', undefined])
})

describe('a null that is a whole member of a JSON body', () => {
  const inBody = { path: 'lines', method: 'POST', json: { of: '{resources.orders.invoice}' } }
  const inVariables = { path: 'lines', graphql: { query: 'q', variables: { of: '{resources.orders.invoice}' } } }

  test.each<[string, object, string]>([
    ['JSON', inBody, '{"of":null}'],
    ['variables of GraphQL', inVariables, '{"query":"q","variables":{"of":null}}'],
  ])('is sent where the document says nothing: %s', async (_, endpoint, body) => {
    const { api, loaded } = await invoices([{ id: 2, invoice: null }], endpoint)
    await loaded
    expect(api.asked).toEqual(['GET /orders', `POST /lines ${body}`])
  })

  test.each<[string, object]>([
    ['JSON', inBody],
    ['variables of GraphQL', inVariables],
  ])('is no list with skip, and fails with fail: %s', async (_, endpoint) => {
    const { api, loaded } = await invoices(some, { ...endpoint, on_null: 'skip' })
    await loaded
    expect(api.asked.map(asked => asked.split(' ')[1])).toEqual(['/orders', '/lines'])
    const failing = await invoices([{ id: 2, invoice: null }], { ...endpoint, on_null: 'fail' })
    await expect(failing.loaded).rejects.toThrow(/is null; set `on_null: skip`/)
  })
})

test('an empty text in a path is an error that says how it becomes null', async () => {
  const { loaded } = await invoices([{ id: 1, invoice: '' }], { ...inPath, on_null: 'skip' })
  await expect(loaded).rejects.toThrow(
    /endpoint\.path: the value of `\{resources\.orders\.invoice\}` is an empty text, .*`null_values: \[""\]`/,
  )
})

test.each([
  [
    'in a path',
    [{ id: 1, invoice: null }],
    inPath,
    /invoice\}` is null; a path cannot do without it; set `on_null: skip`/,
  ],
  [
    'of a field that is missing',
    [{ id: 1 }],
    { path: 'lines', params: { of: '{resources.orders.invoice}' } },
    /has no field "invoice"/,
  ],
])('omit %s is an error', async (_, orders, endpoint, message) => {
  const { loaded } = await invoices(orders, { ...endpoint, on_null: 'omit' })
  await expect(loaded).rejects.toThrow(message)
})
