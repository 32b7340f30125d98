import { expect, onTestFinished, test } from 'vitest'
import { fakeClock } from './clientServer.js'
import { type Answer, read, things } from './listServer.js'
import { testApi } from './loading.js'
import { yogaServer } from './yogaServer.mjs'

/** Waits by the cost of queries, against GraphQL Yoga and answers as the APIs document them. No test waits: the clock is its own. */

const query =
  'query A($first: Int, $after: String) { orders(first: $first, after: $after) { nodes { id } pageInfo { endCursor hasNextPage } totalCount } rateLimit { cost remaining resetAt } }'

const orders = (origin: string, endpoint: object = {}) =>
  things(origin, {
    path: 'graphql',
    graphql: { query, variables: { first: 2 }, connection: 'data.orders' },
    retry: { base: 0, jitter: 'none' },
    ...endpoint,
  })

const ids = (records: readonly unknown[]) => records.map(record => (record as { id: number }).id)

/** A bucket that holds 100, gets back 50 a second, and gives 60 for a query. */
function shopify(clock: ReturnType<typeof fakeClock>, refusals: { count: number }) {
  let left = 100
  let at = clock.now()
  const refill = () => {
    left = Math.min(100, left + ((clock.now() - at) / 1000) * 50)
    at = clock.now()
  }
  return {
    take() {
      refill()
      if (left < 60) {
        refusals.count += 1
        return false
      }
      left -= 60
      return true
    },
    told: () => ({
      requestedQueryCost: 60,
      actualQueryCost: 60,
      throttleStatus: { maximumAvailable: 100, currentlyAvailable: left, restoreRate: 50 },
    }),
  }
}

test('a query waits until the bucket holds what it costs, so that none is refused', async () => {
  const clock = fakeClock()
  const refusals = { count: 0 }
  const server = await yogaServer({ orders: [1, 2, 3, 4, 5, 6, 7], bucket: shopify(clock, refusals) })
  onTestFinished(() => server.close())
  const { records, end, events } = await read(orders(server.origin), 'things', { clock })
  expect(ids(records)).toEqual([1, 2, 3, 4, 5, 6, 7])
  expect(end.end).toBe('proven')
  expect(refusals.count).toBe(0)
  // 40 are left after the first query: 20 more take 400 ms. Later ones begin with an empty bucket.
  expect(clock.slept).toEqual([400, 1200, 1200])
  expect(events.filter(({ type }) => type === 'waiting')).toHaveLength(3)
})

test('a refused query is asked again after its wait', async () => {
  const clock = fakeClock()
  const refusals = { count: 0 }
  const bucket = shopify(clock, refusals)
  // Somebody else has emptied it.
  bucket.take()
  const server = await yogaServer({ orders: [1, 2, 3], bucket })
  onTestFinished(() => server.close())
  const { records, events } = await read(orders(server.origin), 'things', { clock })
  expect(ids(records)).toEqual([1, 2, 3])
  expect(refusals.count).toBe(1)
  expect(events).toContainEqual(expect.objectContaining({ type: 'retry', reason: 'the query costs more than is left' }))
})

test('a spent budget waits for the time when there is a new one', async () => {
  const clock = fakeClock()
  const begun = clock.now()
  let remaining = 2
  const budget = () => {
    if (clock.now() >= begun + 60_000) remaining = 5000
    remaining -= 1
    return { cost: 1, remaining, resetAt: new Date(begun + 60_000).toISOString() }
  }
  const server = await yogaServer({ orders: [1, 2, 3, 4, 5, 6], budget })
  onTestFinished(() => server.close())
  const { records } = await read(orders(server.origin), 'things', { clock })
  expect(ids(records)).toEqual([1, 2, 3, 4, 5, 6])
  expect(clock.slept).toEqual([60_000])
})

test('a budget that comes back too late is an error that says when', async () => {
  const budget = () => ({ cost: 1, remaining: 0, resetAt: '2026-01-02T00:00:00Z' })
  const server = await yogaServer({ orders: [1, 2, 3], budget })
  onTestFinished(() => server.close())
  await expect(
    read(orders(server.origin, { retry: { max_wait: 60 } }), 'things', { clock: fakeClock() }),
  ).rejects.toThrow(/asks to wait until 2026-01-02T00:00:00.*max_wait/)
})

const page = (more: object, last = true): Answer => ({
  json: {
    data: { orders: { nodes: [{ id: last ? 2 : 1 }], pageInfo: { endCursor: 'x', hasNextPage: !last } } },
    ...more,
  },
})
const cost = (throttleStatus: unknown, requestedQueryCost: unknown = 60) => ({
  extensions: { cost: { requestedQueryCost, throttleStatus } },
})

test.each([
  ['no number', cost({ currentlyAvailable: 'none', restoreRate: 50 })],
  ['a negative number', cost({ currentlyAvailable: -1, restoreRate: 50 })],
  ['nothing that comes back', cost({ currentlyAvailable: 0, restoreRate: 0 })],
  ['a list', cost([])],
  ['no cost', cost({ currentlyAvailable: 0, restoreRate: 50 }, null)],
  ['a time that is none', { data: { rateLimit: { remaining: 0, resetAt: 'soon' } } }],
])('%s in the place of a cost is no wait', async (_name, more) => {
  const clock = fakeClock()
  const api = await testApi((_url, { body }) => page(more, body.includes('"after"')))
  await read(orders(api.origin), 'things', { clock }).catch(() => undefined)
  expect(clock.slept).toEqual([])
})

test('a cost above the bucket waits for a full bucket, and no longer', async () => {
  const clock = fakeClock()
  const told = cost({ maximumAvailable: 100, currentlyAvailable: 50, restoreRate: 50 }, 1e9)
  const api = await testApi((_url, { body }) => page(told, body.includes('"after"')))
  await read(orders(api.origin), 'things', { clock })
  expect(clock.slept).toEqual([1000])
})

test('what the document says of a refusal counts more, and a body that is no query asks for no wait', async () => {
  const refused = { errors: [{ message: 'no', extensions: { code: 'THROTTLED' } }] }
  const api = await testApi(() => ({ json: refused }))
  const actions = [{ json_path: 'errors[*].extensions.code', equals: 'THROTTLED', action: 'fail', message: 'spent' }]
  await expect(read(orders(api.origin, { response_actions: actions }))).rejects.toThrow(/spent/)
  expect(api.asked).toHaveLength(1)
  const clock = fakeClock()
  const told = cost({ currentlyAvailable: 0, restoreRate: 1 })
  const plain = await testApi(() => ({ json: { items: [{ id: 1 }], ...told } }))
  await read(things(plain.origin, { data_selector: 'items', paginator: 'single_page' }), 'things', { clock })
  expect(clock.slept).toEqual([])
})
