import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { duckdb, pipeline, type RestApiConfig, type RunOptions, restApi } from '../../src/index.js'
import { testFolder } from './api.js'

/** What `deletes` and `replace` take from a table, and what the receipts say of it. */

async function listApi(answers: Readonly<Record<string, unknown>>): Promise<string> {
  const server = createServer((request, response) => {
    const answer = answers[request.url ?? ''] ?? answers[new URL(request.url ?? '/', 'http://127.0.0.1').pathname]
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer ?? {}))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function loads(resources: () => RestApiConfig['resources']) {
  const folder = await testFolder()
  const answers: Record<string, unknown> = {}
  const url = await listApi(answers)
  const under = pipeline({
    name: 'test',
    source: restApi({ client: { base_url: url }, resources: resources() }, { env: {} }),
    destination: duckdb({ path: join(folder, 'test.duckdb') }),
    home: join(folder, 'home'),
  })
  return {
    answers,
    url,
    run: (options: RunOptions = {}) => under.run(options),
    drop: (resources: readonly string[]) => under.drop(resources),
    rows: async (table: string) => await under.dataset().table(table).rows(),
    ids: async (table: string) => {
      const rows = await under.dataset().table(table).rows()
      return rows.map(({ id }) => Number(id)).sort((a, b) => a - b)
    },
  }
}

const ids = (...all: number[]): { readonly id: number }[] => all.map(id => ({ id }))

const items = {
  name: 'items',
  primary_key: 'id',
  write_disposition: 'merge',
  max_delete_share: 1,
  endpoint: { path: 'items', paginator: 'single_page' },
} as const

test.each(['hard', 'soft'] as const)('a receipt counts the rows that `deletes: %s` takes', async deletes => {
  const { answers, run } = await loads(() => [{ ...items, deletes }])
  answers['/items'] = ids(1, 2, 3, 4)
  const first = await run()
  expect(first.receipts[0]?.deleted).toBeUndefined()
  answers['/items'] = ids(1, 5)
  const second = await run()
  expect(second.receipts).toMatchObject([{ resource: 'items', verdict: 'complete', deleted: 3 }])
})

test('a limited load of a replaced table takes no rows away unseen', async () => {
  const made = await loads(() => [
    {
      name: 'items',
      write_disposition: 'replace',
      endpoint: { path: 'items', data_selector: 'data', paginator: { type: 'json_link', next_url_path: 'next' } },
    },
  ])
  made.answers['/items'] = { data: ids(1), next: `${made.url}/more` }
  made.answers['/more'] = { data: ids(2, 3, 4, 5), next: null }
  await made.run()
  await expect(made.run({ maxPages: 1 })).rejects.toMatchObject({ code: 'too_many_deletes' })
  expect(await made.ids('items')).toEqual([1, 2, 3, 4, 5])
  await made.run({ maxPages: 1, allowIncomplete: true })
  expect(await made.ids('items')).toEqual([1])
})

/** Two shops with three orders each, of which the second run loses some in one way or another. */
const shops = { name: 'shops', primary_key: 'id', write_disposition: 'merge', endpoint: { path: 'shops' } } as const
const orders = {
  name: 'orders',
  primary_key: 'id',
  write_disposition: 'merge',
  deletes: 'hard',
  max_delete_share: 1,
  endpoint: { path: 'shops/{resources.shops.id}/orders', data_selector: '$', paginator: 'single_page' },
} as const
const all = [10, 11, 12, 20, 21, 22]

interface Tree {
  readonly shops: object
  readonly orders?: object
  /** What the second run changes in the answers. */
  readonly change: (answers: Record<string, unknown>, url: string) => void
  readonly options?: RunOptions
  readonly verdict: string
  readonly why: RegExp
}

test.each<[string, Tree]>([
  [
    'below a cursor',
    {
      shops: {
        endpoint: {
          path: 'shops',
          data_selector: 'data',
          paginator: 'single_page',
          incremental: { cursor_path: 'at' },
        },
      },
      change: answers => {
        answers['/shops'] = {
          data: [
            { id: 1, at: 5 },
            { id: 2, at: 3 },
          ],
        }
      },
      verdict: 'unproven',
      why: /window of its cursor/,
    },
  ],
  [
    'below a trial run',
    {
      shops: {
        endpoint: { path: 'shops', data_selector: 'data', paginator: { type: 'json_link', next_url_path: 'next' } },
      },
      change: (answers, url) => {
        answers['/shops'] = { data: [{ id: 1, at: 1 }], next: `${url}/more` }
      },
      options: { maxPages: 1 },
      verdict: 'unproven',
      why: /asked for 1 page/,
    },
  ],
  [
    'below a cap',
    {
      shops: { endpoint: { path: 'shops', data_selector: 'data', paginator: 'single_page', max_records: 1 } },
      change: () => {},
      verdict: 'unproven',
      why: /max_records/,
    },
  ],
  [
    'below a doubt that is allowed',
    {
      shops: { endpoint: { path: 'shops', data_selector: 'data', paginator: { type: 'offset', limit: 9 } } },
      change: answers => {
        answers['/shops'] = { data: [{ id: 1, at: 1 }], total: 2 }
        answers['/shops?offset=1&limit=9'] = { data: [], total: 2 }
      },
      options: { allowIncomplete: true },
      verdict: 'incomplete',
      why: /announced 2 records/,
    },
  ],
  [
    'below an empty list',
    {
      shops: { endpoint: { path: 'shops', data_selector: 'data', paginator: 'single_page' } },
      change: answers => {
        answers['/shops'] = { data: [] }
      },
      verdict: 'complete',
      why: /no parent record/,
    },
  ],
  [
    'below a parent that is not loaded',
    {
      shops: { selected: false, endpoint: { path: 'shops', data_selector: 'data', paginator: 'single_page' } },
      change: answers => {
        answers['/shops'] = { data: [{ id: 1, at: 1 }], total: 500 }
      },
      verdict: 'unproven',
      why: /"total" says 500/,
    },
  ],
  [
    'where an answer was ignored',
    {
      shops: { endpoint: { path: 'shops', data_selector: 'data', paginator: 'single_page' } },
      orders: { endpoint: { ...orders.endpoint, response_actions: [{ status_code: 404, action: 'ignore' }] } },
      change: answers => {
        delete answers['/shops/2/orders']
      },
      verdict: 'unproven',
      why: /was ignored/,
    },
  ],
  [
    'where the contract discards rows',
    {
      shops: { endpoint: { path: 'shops', data_selector: 'data', paginator: 'single_page' } },
      orders: { schema_contract: { columns: 'discard_row' } },
      change: answers => {
        answers['/shops/2/orders'] = [{ id: 20, new: 1 }, { id: 21 }, { id: 22 }]
      },
      verdict: 'complete',
      why: /contract does not admit/,
    },
  ],
])('nothing is deleted %s, and a warning says why', async (_what, tree) => {
  const {
    answers,
    url,
    run,
    ids: idsOf,
  } = await loads(() => [
    { ...shops, ...tree.shops },
    { ...orders, ...tree.orders },
  ])
  answers['/shops'] = {
    data: [
      { id: 1, at: 1 },
      { id: 2, at: 2 },
    ],
    next: null,
    total: 2,
  }
  answers['/shops/1/orders'] = ids(10, 11, 12)
  answers['/shops/2/orders'] = ids(20, 21, 22)
  await run({ allowIncomplete: true })
  for (let more = 0; (await idsOf('orders')).length < all.length && more < 2; more++) await run()
  const before = await idsOf('orders')
  tree.change(answers, url)
  const warnings: string[] = []
  const { receipts } = await run({
    ...tree.options,
    onEvent: event => {
      if (event.type === 'warning' && event.code === 'deletes_skipped') warnings.push(event.message)
    },
  })
  expect(await idsOf('orders')).toEqual(before)
  expect(receipts.map(({ resource }) => resource)).toEqual(['shops', 'orders'])
  expect(receipts[1]?.verdict).toBe(tree.verdict)
  expect(warnings).toEqual([expect.stringMatching(tree.why)])
})

test('an incomplete parent that is not loaded refuses the run', async () => {
  const paginator = { type: 'offset', limit: 9 } as const
  const {
    answers,
    run,
    ids: idsOf,
  } = await loads(() => [
    { ...shops, selected: false, endpoint: { path: 'shops', data_selector: 'data', paginator } },
    orders,
  ])
  answers['/shops'] = { data: ids(1), total: 1 }
  answers['/shops/1/orders'] = ids(10, 11)
  await run()
  answers['/shops'] = { data: ids(1), total: 500 }
  answers['/shops?offset=1&limit=9'] = { data: [], total: 500 }
  await expect(run()).rejects.toMatchObject({ code: 'incomplete', message: expect.stringContaining('shops') })
  expect(await idsOf('orders')).toEqual([10, 11])
})

test('a table that several resources fill loses rows only where all of them were read whole', async () => {
  const {
    answers,
    run,
    ids: idsOf,
  } = await loads(() => [
    { ...items, name: 'a', deletes: 'hard', table_name: 'both', endpoint: { path: 'a', paginator: 'single_page' } },
    { ...items, name: 'b', deletes: 'hard', table_name: 'both', endpoint: { path: 'b', paginator: 'single_page' } },
  ])
  answers['/a'] = ids(1, 2)
  answers['/b'] = ids(3, 4)
  await run()
  answers['/b'] = ids(3)
  await run({ select: ['b'] })
  expect(await idsOf('both')).toEqual([1, 2, 3, 4])
  await run()
  expect(await idsOf('both')).toEqual([1, 2, 3])
})

test.each<[string, object, object, string]>([
  ['one says nothing', { deletes: 'hard' }, {}, 'a and b fill one table, both, but b has no `deletes`'],
  ['one marks', { deletes: 'hard' }, { deletes: 'soft' }, 'but b has `deletes: soft`'],
  ['under two spellings', { deletes: 'hard' }, { table_name: 'Both' }, 'one table, both, but b has no `deletes`'],
])('resources of one table must agree on `deletes`: %s', async (_what, a, b, why) => {
  const both = { ...items, table_name: 'both' }
  const { run } = await loads(() => [
    { ...both, name: 'a', ...a },
    { ...both, name: 'b', ...b },
  ])
  await expect(run()).rejects.toMatchObject({ name: 'ConfigError', message: expect.stringContaining(why) })
})

test.each<[string, object, object, string | undefined]>([
  [
    'one says nothing, which is 0.1',
    { deletes: 'hard', max_delete_share: 0.5 },
    { deletes: 'hard' },
    'lets a share of 0.5 of it go and the second 0.1',
  ],
  [
    'both say another',
    { deletes: 'soft', max_delete_share: 0 },
    { deletes: 'soft', max_delete_share: 1 },
    'share of 0 of it go and the second 1',
  ],
  [
    'they replace',
    { write_disposition: 'replace', max_delete_share: 1 },
    { write_disposition: 'replace' },
    'share of 1 of it go and the second 0.1',
  ],
  ['both say the same', { deletes: 'hard', max_delete_share: 0.1 }, { deletes: 'hard' }, undefined],
  ['nothing is taken away', { max_delete_share: 0.5 }, {}, undefined],
])('resources of one table must agree on `max_delete_share`: %s', async (_what, a, b, why) => {
  const both = { ...items, table_name: 'both', max_delete_share: undefined }
  const { answers, run } = await loads(() => [
    { ...both, name: 'a', endpoint: { path: 'a' }, ...a },
    { ...both, name: 'b', endpoint: { path: 'b' }, ...b },
  ])
  answers['/a'] = ids(1)
  answers['/b'] = ids(2)
  if (why === undefined) await run()
  else {
    await expect(run()).rejects.toMatchObject({
      name: 'ConfigError',
      path: 'resources[1].max_delete_share',
      message: expect.stringContaining(why),
    })
  }
})

test('a share of 1 lets a replace by an unproven listing through', async () => {
  const resource = {
    name: 'items',
    write_disposition: 'replace',
    max_delete_share: 1,
    endpoint: { path: 'items' },
  } as const
  const { answers, run, ids: idsOf } = await loads(() => [resource])
  answers['/items'] = ids(1, 2, 3)
  await run()
  answers['/items'] = ids(9)
  await run()
  expect(await idsOf('items')).toEqual([9])
})

test('a child list whose key is left out is an empty one without proof, unless no list has it', async () => {
  const {
    answers,
    run,
    ids: idsOf,
  } = await loads(() => [
    { ...shops, endpoint: { path: 'shops', paginator: 'single_page' } },
    {
      ...orders,
      endpoint: { path: 'shops/{resources.shops.id}/orders', data_selector: 'items', paginator: 'single_page' },
    },
  ])
  answers['/shops'] = ids(1, 2)
  answers['/shops/1/orders'] = { kind: 'list', items: ids(10) }
  answers['/shops/2/orders'] = { kind: 'list' }
  const { receipts } = await run()
  expect(receipts[1]).toMatchObject({ verdict: 'unproven', records: 1 })
  answers['/shops/1/orders'] = { kind: 'list' }
  await expect(run()).rejects.toMatchObject({ code: 'selector', message: expect.stringContaining('items') })
  expect(await idsOf('orders')).toEqual([10])
})

/** Orders go with their shops, and their lines with the orders. */
const branch = (
  deletes: 'hard' | 'soft' | undefined,
  more: object = {},
  parent: object = {},
): RestApiConfig['resources'] => [
  { ...shops, max_delete_share: 1, ...(deletes !== undefined && { deletes }), ...parent },
  { ...orders, deletes: 'with_parent', include_from_parent: ['id'], ...more },
  {
    name: 'lines',
    primary_key: 'id',
    write_disposition: 'merge',
    deletes: 'with_parent',
    max_delete_share: 1,
    include_from_parent: ['id'],
    endpoint: { path: 'orders/{resources.orders.id}/lines', data_selector: '$', paginator: 'single_page' },
  },
]

async function grown(resources: RestApiConfig['resources']) {
  const made = await loads(() => resources)
  made.answers['/shops'] = {
    data: [
      { id: 1, name: 'a' },
      { id: 2, name: 'b' },
    ],
    next: null,
  }
  made.answers['/shops/1/orders'] = [{ id: 10, tags: ['x', 'y'] }, { id: 11 }]
  made.answers['/shops/2/orders'] = [{ id: 20, tags: ['z'] }]
  for (const id of [10, 11, 20]) made.answers[`/orders/${id}/lines`] = ids(id * 10, id * 10 + 1)
  await made.run()
  return made
}

test.each<[string, RestApiConfig['resources']]>([
  ['deletes: hard', branch('hard')],
  ['write_disposition: replace', branch(undefined, {}, { write_disposition: 'replace' })],
])('with_parent takes the rows below those that %s takes, at every depth', async (_what, resources) => {
  const { answers, run, ids: idsOf } = await grown(resources)
  answers['/shops'] = { data: [{ id: 2, name: 'renamed' }], next: null }
  // The rows that the child's own listing lacks stay.
  answers['/shops/2/orders'] = []
  const { receipts } = await run()
  expect(await idsOf('orders')).toEqual([20])
  expect(await idsOf('lines')).toEqual([200, 201])
  expect(receipts.find(({ resource }) => resource === 'orders')?.deleted).toBe(2)
  expect(receipts.find(({ resource }) => resource === 'lines')?.deleted).toBe(4)
})

test('with_parent marks rows below marked ones, and takes the mark away when the parent is back', async () => {
  const { answers, run, rows } = await grown(branch('soft'))
  const marked = async (table: string) =>
    (await rows(table))
      .filter(row => row._sluice_deleted_at !== null)
      .map(({ id }) => Number(id))
      .sort()
  const both = answers['/shops']
  answers['/shops'] = { data: [{ id: 2, name: 'b' }], next: null }
  await run()
  expect([await marked('shops'), await marked('orders'), await marked('lines')]).toEqual([
    [1],
    [10, 11],
    [100, 101, 110, 111],
  ])
  answers['/shops'] = both
  answers['/shops/1/orders'] = []
  await run()
  expect([await marked('shops'), await marked('orders'), await marked('lines')]).toEqual([[], [], []])
})

test('with_parent takes nothing where the parents are not known whole, and a warning says why', async () => {
  const {
    answers,
    run,
    ids: idsOf,
    url,
  } = await grown(
    branch(
      'hard',
      {},
      { endpoint: { path: 'shops', data_selector: 'data', paginator: { type: 'json_link', next_url_path: 'next' } } },
    ),
  )
  answers['/shops'] = { data: [{ id: 2 }], next: `${url}/more` }
  const warnings: string[] = []
  await run({
    maxPages: 1,
    onEvent: event => {
      if (event.type === 'warning' && event.code === 'deletes_skipped') warnings.push(event.message)
    },
  })
  expect(await idsOf('orders')).toEqual([10, 11, 20])
  expect(warnings.join('\n')).toMatch(/orders: nothing was deleted from table orders: shops is unproven/)
})

/** What is below a list that proves nothing goes only with the rows that go. */
const unsure = {
  endpoint: { path: 'shops/{resources.shops.id}/orders', data_selector: '$' },
} as const

test.each(['hard', 'soft'] as const)('with_parent (%s) reaches below a list that proves nothing', async deletes => {
  const { answers, run, rows } = await grown(branch(deletes, { ...unsure, max_delete_share: 1 }))
  const live = async (table: string) =>
    (await rows(table))
      .filter(row => (row._sluice_deleted_at ?? null) === null)
      .map(({ id }) => Number(id))
      .sort((a, b) => a - b)
  answers['/shops'] = { data: [{ id: 2, name: 'b' }], next: null }
  const { receipts } = await run()
  expect(receipts.map(({ resource, verdict, deleted }) => [resource, verdict, deleted])).toEqual([
    ['shops', 'complete', 1],
    ['orders', 'unproven', 2],
    ['lines', 'unproven', 4],
  ])
  expect([await live('orders'), await live('lines')]).toEqual([[20], [200, 201]])
})

test.each(['hard', 'soft'] as const)(
  'with_parent (%s) reaches below a list that nobody is left to ask for',
  async deletes => {
    const { answers, run } = await grown(branch(deletes, { max_delete_share: 1 }))
    answers['/shops'] = { data: [], next: null }
    const { receipts } = await run()
    expect(receipts.map(({ resource, deleted }) => [resource, deleted])).toEqual([
      ['shops', 2],
      ['orders', 3],
      ['lines', 6],
    ])
  },
)

test('with_parent takes no row whose parent may be there unseen', async () => {
  const { answers, run, drop, ids: idsOf } = await grown(branch('hard', { ...unsure, max_delete_share: 1 }))
  await drop(['orders'])
  answers['/shops'] = { data: [{ id: 2, name: 'b' }], next: null }
  await run()
  expect(await idsOf('orders')).toEqual([20])
  expect(await idsOf('lines')).toEqual([100, 101, 110, 111, 200, 201])
})

test('with_parent is bounded by max_delete_share', async () => {
  const { answers, run, ids: idsOf } = await grown(branch('hard', { max_delete_share: 0.5 }))
  answers['/shops'] = { data: [{ id: 2 }], next: null }
  await expect(run()).rejects.toMatchObject({
    code: 'too_many_deletes',
    message: expect.stringMatching(/lost their parent.*raise `max_delete_share`/),
  })
  expect(await idsOf('shops')).toEqual([1, 2])
  expect(await idsOf('orders')).toEqual([10, 11, 20])
})

test.each<[string, () => RestApiConfig['resources'], string]>([
  ['the parent never loses rows', () => branch(undefined), 'shops takes no row away that its listing lacks'],
  ['nothing names the parent', () => branch('hard', { include_from_parent: [] }), 'add id to `include_from_parent`'],
  [
    'the parent has no key',
    () => branch('hard', {}, { primary_key: undefined, deletes: undefined }),
    'has no `primary_key`',
  ],
  ['rows are only added', () => branch('hard', { write_disposition: 'append' }), 'only adds rows'],
  ['there is no parent', () => [{ ...items, deletes: 'with_parent' }], 'needs a parent'],
])('with_parent is refused where %s', async (_what, resources, why) => {
  await expect(loads(resources).then(({ run }) => run())).rejects.toMatchObject({
    name: 'ConfigError',
    message: expect.stringContaining(why),
  })
})

test('with_parent takes nothing where the column of the child rounds its values in another way', async () => {
  const number = (scale: number) => ({ data_type: 'decimal', precision: 10, scale }) as const
  const {
    answers,
    run,
    ids: idsOf,
  } = await grown(branch('hard', { columns: { _shops_id: number(3) } }, { columns: { id: number(2) } }).slice(0, 2))
  answers['/shops'] = { data: [{ id: 2, name: 'b' }], next: null }
  const { receipts } = await run()
  expect(receipts.find(({ resource }) => resource === 'orders')?.deleted).toBeUndefined()
  expect(await idsOf('orders')).toEqual([10, 11, 20])
})

/** `cdc`, and a scope of `delete-insert`, delete by themselves. */
const cdc = { ...items, max_delete_share: 0.1, write_disposition: { disposition: 'merge', strategy: 'cdc' } } as const
const paged = {
  ...cdc,
  endpoint: { path: 'items', data_selector: 'data', paginator: { type: 'json_link', next_url_path: 'next' } },
} as const

test('cdc deletes what a complete list no longer has, and the receipt counts it', async () => {
  const { answers, ids: there, run } = await loads(() => [cdc])
  answers['/items'] = ids(1, 2, 3, 4)
  await run()
  answers['/items'] = ids(4, 5)
  expect((await run()).receipts).toMatchObject([{ verdict: 'complete', deleted: 3 }])
  expect(await there('items')).toEqual([4, 5])
})

async function cutOff(more: object) {
  const made = await loads(() => [{ ...paged, ...more }])
  made.answers['/items'] = { data: ids(1), next: `${made.url}/more` }
  made.answers['/more'] = { data: ids(2, 3, 4, 5), next: null }
  await made.run()
  return made
}

test('cdc deletes nothing after a list that was cut off, and says why', async () => {
  const made = await cutOff({ max_delete_share: 0.9 })
  const warnings: string[] = []
  await made.run({ maxPages: 1, onEvent: event => void (event.type === 'warning' && warnings.push(event.message)) })
  expect(warnings.join()).toMatch(/nothing was deleted from table items: items is unproven/)
  expect(await made.ids('items')).toEqual([1, 2, 3, 4, 5])
  await made.run({ maxPages: 1, allowIncomplete: true })
  expect(await made.ids('items')).toEqual([1])
})

test('a scope of delete-insert takes no rows away unseen after a list that was cut off', async () => {
  const scope = { disposition: 'merge', strategy: 'delete-insert', destination_scope: 'id > 1' }
  const made = await cutOff({ write_disposition: scope })
  await expect(made.run({ maxPages: 1 })).rejects.toMatchObject({ code: 'too_many_deletes' })
  expect(await made.ids('items')).toEqual([1, 2, 3, 4, 5])
  await made.run({ maxPages: 1, allowIncomplete: true })
  expect([...new Set(await made.ids('items'))]).toEqual([1])
})

test('cdc inside the window of a cursor deletes nothing, but where a scope or a merge key names the part', async () => {
  const within = (more: object) => ({
    ...cdc,
    ...more,
    endpoint: { ...cdc.endpoint, incremental: { cursor_path: 'at', initial_value: 0 } },
  })
  const rows = [1, 2, 3].map(id => ({ id, at: id, day: id }))
  const blind = await loads(() => [within({})])
  blind.answers['/items'] = rows
  await blind.run()
  blind.answers['/items'] = [{ id: 4, at: 4, day: 3 }]
  const warnings: string[] = []
  await blind.run({ onEvent: event => void (event.type === 'warning' && warnings.push(event.code)) })
  expect(warnings).toContain('deletes_skipped')
  expect(await blind.ids('items')).toEqual([1, 2, 3, 4])
  const named = await loads(() => [within({ merge_key: 'day' })])
  named.answers['/items'] = rows
  await named.run()
  named.answers['/items'] = [{ id: 4, at: 4, day: 3 }]
  await named.run()
  expect(await named.ids('items')).toEqual([1, 2, 4])
})

test.each<[string, object, string]>([
  ['a strategy that has none', { strategy: 'insert-only', sourceFilter: 'id < 3' }, 'source_filter'],
  ['no strategy', { skipUnchangedRows: true }, 'skip_unchanged_rows'],
  ['a placeholder that nobody knows', { strategy: 'cdc', destinationScope: '{day}' }, 'destination_scope'],
])('an option of a merge for a run is refused with %s', async (_, options, key) => {
  const { answers, run } = await loads(() => [items])
  answers['/items'] = ids(1)
  await expect(run({ writeDisposition: { disposition: 'merge', ...options } })).rejects.toMatchObject({
    code: 'config',
    message: expect.stringContaining(`resources[0].write_disposition.${key}`),
  })
})

test('a version of rows that is not compared is a warning', async () => {
  const { answers, run } = await loads(() => [
    { ...items, write_disposition: { disposition: 'merge', strategy: 'upsert', row_version_column_name: 'rev' } },
  ])
  answers['/items'] = ids(1)
  const said: string[] = []
  await run({ onEvent: event => void (event.type === 'warning' && said.push(event.message)) })
  expect(said.join()).toContain('row_version_column_name has no effect without skip_unchanged_rows')
})

test('a replay deletes no rows that came later, under cdc too', async () => {
  const folder = await testFolder()
  const answers: Record<string, unknown> = { '/items': ids(1, 2) }
  const under = pipeline({
    name: 'test',
    source: restApi({ client: { base_url: await listApi(answers) }, resources: [cdc] }, { env: {} }),
    destination: duckdb({ path: join(folder, 'test.duckdb') }),
    home: join(folder, 'home'),
  })
  const { loadId } = await under.run({ keepJournal: true })
  answers['/items'] = ids(2, 3)
  await under.run()
  await under.replay(loadId ?? '')
  const rows = await under.dataset().table('items').rows()
  expect(rows.map(({ id }) => Number(id)).sort()).toEqual([1, 2, 3])
})
