import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { duckdb, pipeline, type RestApiConfig, type RunEvent, type RunOptions, restApi } from '../../src/index.js'
import { type Answer, testApi, testFolder } from './api.js'

/** A cursor does not move past records that were, or may be, not read; where it has to, a warning says so. */

type Answers = Record<string, Answer>

async function loads(resources: (url: string) => RestApiConfig['resources']) {
  const folder = await testFolder()
  const answers: Answers = {}
  const { url } = await testApi(
    ({ pathname, search }) => answers[pathname + search] ?? answers[pathname] ?? { status: 404, json: {} },
  )
  const made = pipeline({
    name: 'test',
    source: restApi({ client: { base_url: url }, resources: resources(url) }, { env: {} }),
    destination: duckdb({ path: join(folder, 'test.duckdb') }),
    home: join(folder, 'home'),
  })
  return {
    answers,
    /** The codes of the warnings about cursors. */
    async run(options: RunOptions = {}): Promise<string[]> {
      const warnings: string[] = []
      const onEvent = (event: RunEvent) => {
        if (event.type === 'warning' && /^cursor_(held|ahead)$/.test(event.code)) {
          warnings.push(`${event.resource} ${event.code}`)
        }
      }
      await made.run({ ...options, onEvent })
      return warnings.sort()
    },
    async ids(table: string): Promise<number[]> {
      const rows = await made.dataset().table(table).rows()
      return rows.map(({ id }) => Number(id)).sort((a, b) => a - b)
    },
    async cursor(resource: string): Promise<unknown> {
      const state = await made.dataset().state()
      return state?.sources?.rest_api?.resources?.[resource]?.incremental?.at?.last_value
    },
  }
}

const merged = { primary_key: 'id', write_disposition: 'merge' } as const
const numbered = { type: 'page_number', base_page: 1, total_path: null } as const
const listed = (path: string, incremental: object = {}) =>
  ({ path, data_selector: 'data', paginator: numbered, incremental: { cursor_path: 'at', ...incremental } }) as const

const newestFirst = (answers: Answers): void => {
  answers['/items?page=1'] = { json: { data: [{ id: 3, at: 30 }] } }
  answers['/items?page=2'] = {
    json: {
      data: [
        { id: 2, at: 20 },
        { id: 1, at: 10 },
      ],
    },
  }
  answers['/items?page=3'] = { json: { data: [] } }
}

test.each([
  ['merged', merged, [1, 2, 3]],
  ['appended', {}, [1, 2, 3, 3]],
] as const)('a trial run leaves the cursor where it was: %s', async (_, kind, ids) => {
  const made = await loads(() => [{ name: 'items', ...kind, endpoint: listed('items') }])
  newestFirst(made.answers)
  expect(await made.run({ maxPages: 1 })).toEqual(['items cursor_held'])
  expect(await made.cursor('items')).toBeUndefined()
  expect(await made.run()).toEqual([])
  expect(await made.ids('items')).toEqual(ids)
  expect(await made.cursor('items')).toBe(30)
})

test('a trial run over a list in the order of the cursor goes on from where it ended', async () => {
  const made = await loads(() => [{ name: 'items', endpoint: listed('items', { row_order: 'asc' }) }])
  made.answers['/items?page=1'] = { json: { data: [{ id: 1, at: 10 }] } }
  made.answers['/items?page=2'] = { json: { data: [{ id: 2, at: 20 }] } }
  made.answers['/items?page=3'] = { json: { data: [] } }
  expect(await made.run({ maxPages: 1 })).toEqual([])
  expect(await made.cursor('items')).toBe(10)
  await made.run()
  expect(await made.ids('items')).toEqual([1, 2])
})

const falling = (answers: Answers): void => {
  answers['/items?page=1'] = {
    json: {
      data: [
        { id: 3, at: 30 },
        { id: 2, at: 20 },
      ],
    },
  }
  answers['/items?page=2'] = { json: { data: [{ id: 1, at: 10 }] } }
  answers['/items?page=3'] = { json: { data: [] } }
}

test('a trial run over a list that falls although it is said to rise leaves the cursor where it was', async () => {
  const made = await loads(() => [{ name: 'items', ...merged, endpoint: listed('items', { row_order: 'asc' }) }])
  falling(made.answers)
  expect(await made.run({ maxPages: 1 })).toEqual(['items cursor_held'])
  expect(await made.cursor('items')).toBeUndefined()
  expect(await made.run()).toEqual([])
  expect(await made.ids('items')).toEqual([1, 2, 3])
})

test('so it does behind a cap of the document', async () => {
  const made = await loads(() => [
    { name: 'items', ...merged, endpoint: { ...listed('items', { row_order: 'asc' }), max_pages: 1 } },
  ])
  falling(made.answers)
  expect(await made.run()).toEqual(['items cursor_held'])
  expect(await made.cursor('items')).toBeUndefined()
})

test.each([
  ['merged', merged, [1, 2, 3, 4]],
  ['appended', {}, [1, 2, 3, 4]],
] as const)('a cut of an open range between equal values leaves none of them out: %s', async (_, kind, ids) => {
  const incremental = { row_order: 'asc', range_start: 'open', initial_value: 0 }
  const made = await loads(() => [{ name: 'items', ...kind, endpoint: listed('items', incremental) }])
  const rows = [10, 20, 20, 30].map((at, index) => ({ id: index + 1, at }))
  made.answers['/items?page=1'] = { json: { data: rows.slice(0, 2) } }
  made.answers['/items?page=2'] = { json: { data: rows.slice(2) } }
  made.answers['/items?page=3'] = { json: { data: [] } }
  expect(await made.run({ maxPages: 1 })).toEqual(['items cursor_held'])
  expect(await made.cursor('items')).toBe(10)
  expect(await made.run()).toEqual([])
  expect(await made.ids('items')).toEqual(ids)
  expect(await made.cursor('items')).toBe(30)
})

test('what is appended below merged records of a list that is cut comes once', async () => {
  const incremental = { row_order: 'asc', range_start: 'open', initial_value: 0 }
  const made = await loads(() => [
    { name: 'items', ...merged, endpoint: listed('items', incremental) },
    {
      name: 'parts',
      write_disposition: 'append',
      endpoint: { path: 'items/{resources.items.id}/parts', data_selector: 'data', paginator: 'single_page' },
    },
  ])
  const rows = [10, 20, 30, 40].map((at, index) => ({ id: index + 1, at }))
  made.answers['/items?page=1'] = { json: { data: rows.slice(0, 2) } }
  made.answers['/items?page=2'] = { json: { data: rows.slice(2) } }
  made.answers['/items?page=3'] = { json: { data: [] } }
  for (const { id } of rows) made.answers[`/items/${id}/parts`] = { json: { data: [{ id }] } }
  expect(await made.run({ maxPages: 1 })).toContain('items cursor_held')
  expect(await made.cursor('items')).toBe(10)
  await made.run()
  expect(await made.ids('items')).toEqual([1, 2, 3, 4])
  expect(await made.ids('parts')).toEqual([1, 2, 3, 4])
})

test('a cut of an open range within one value leaves the cursor where it was', async () => {
  const incremental = { row_order: 'asc', range_start: 'open', initial_value: 0 }
  const made = await loads(() => [{ name: 'items', ...merged, endpoint: listed('items', incremental) }])
  made.answers['/items?page=1'] = { json: { data: [{ id: 1, at: 10 }] } }
  made.answers['/items?page=2'] = { json: { data: [{ id: 2, at: 10 }] } }
  made.answers['/items?page=3'] = { json: { data: [] } }
  expect(await made.run({ maxPages: 1 })).toEqual(['items cursor_held'])
  expect(await made.cursor('items')).toBeUndefined()
  await made.run()
  expect(await made.ids('items')).toEqual([1, 2])
})

test.each([
  ['waits where rows are merged', merged, 'items cursor_held', undefined],
  ['moves, and says so, where rows would come again', {}, 'items cursor_ahead', 30],
] as const)('behind a cap of the document a cursor %s', async (_, kind, warning, cursor) => {
  const made = await loads(() => [{ name: 'items', ...kind, endpoint: { ...listed('items'), max_pages: 1 } }])
  newestFirst(made.answers)
  expect(await made.run()).toEqual([warning])
  expect(await made.cursor('items')).toBe(cursor)
})

const tree = (orders: object = {}) =>
  [
    { name: 'shops', ...merged, endpoint: listed('shops') },
    {
      name: 'orders',
      ...merged,
      endpoint: { path: 'shops/{resources.shops.id}/orders', data_selector: 'data', paginator: numbered, ...orders },
    },
  ] as const satisfies RestApiConfig['resources']

const shops = (answers: Answers): void => {
  answers['/shops?page=1'] = { json: { data: [{ id: 1, at: 10 }] } }
  answers['/shops?page=2'] = { json: { data: [] } }
  answers['/shops/1/orders?page=1'] = { json: { data: [{ id: 12, at: 9 }] } }
  answers['/shops/1/orders?page=2'] = { json: { data: [{ id: 11, at: 3 }] } }
  answers['/shops/1/orders?page=3'] = { json: { data: [] } }
}

test('the cursor of a parent waits for children that were not read', async () => {
  const made = await loads(() => tree())
  shops(made.answers)
  expect(await made.run({ maxPages: 1 })).toEqual(['shops cursor_held'])
  made.answers['/shops?page=1'] = { json: { data: [{ id: 1, at: 10 }] } }
  await made.run()
  expect(await made.ids('orders')).toEqual([11, 12])
})

test('cursors wait for what a selection leaves out, above and below', async () => {
  const made = await loads(() => tree({ incremental: { cursor_path: 'at' } }))
  shops(made.answers)
  expect(await made.run({ select: ['orders'] })).toEqual(['shops cursor_held'])
  expect(await made.cursor('orders')).toBe(9)
  expect(await made.run({ select: ['shops'] })).toEqual(['shops cursor_held'])
  expect(await made.run()).toEqual([])
  expect(await made.ids('shops')).toEqual([1])
  expect(await made.ids('orders')).toEqual([11, 12])
})

test('a parent that the document does not load moves its cursor, for its children follow it', async () => {
  const made = await loads(() => {
    const [parent, child] = tree()
    return [{ ...parent, selected: false }, child]
  })
  shops(made.answers)
  expect(await made.run()).toEqual([])
  expect(await made.cursor('shops')).toBe(10)
})

test('an incomplete list that is allowed leaves its cursor where it was', async () => {
  const made = await loads(() => [
    {
      name: 'items',
      ...merged,
      endpoint: { ...listed('items'), paginator: { type: 'offset', limit: 1, total_path: 'total' } },
    },
  ])
  made.answers['/items?offset=0&limit=1'] = { json: { data: [{ id: 3, at: 30 }], total: 3 } }
  made.answers['/items?offset=1&limit=1'] = { json: { data: [], total: 3 } }
  expect(await made.run({ allowIncomplete: true })).toEqual(['items cursor_held'])
  made.answers['/items?offset=1&limit=1'] = { json: { data: [{ id: 2, at: 20 }], total: 3 } }
  made.answers['/items?offset=2&limit=1'] = { json: { data: [{ id: 1, at: 10 }], total: 3 } }
  await made.run()
  expect(await made.ids('items')).toEqual([1, 2, 3])
})

test('a cursor that moves past an answer that the document lets pass says so', async () => {
  const made = await loads(() => [
    {
      name: 'items',
      ...merged,
      endpoint: {
        ...listed('items'),
        response_actions: [{ status_code: 404, action: 'skip_page' }],
      },
    },
  ])
  newestFirst(made.answers)
  made.answers['/items?page=2'] = { status: 404, json: {} }
  expect(await made.run()).toEqual(['items cursor_ahead'])
})

test.each([
  ['a cursor', listed('items'), 3],
  [
    'a sync token',
    {
      path: 'items',
      data_selector: 'data',
      paginator: 'single_page',
      incremental: { token_path: 'at', token_param: 'at' },
    },
    'a',
  ],
] as const)('%s that moves past rows that the contract discards says so', async (_, endpoint, expected) => {
  const made = await loads(
    () =>
      [
        { name: 'items', ...merged, schema_contract: { columns: 'discard_row' }, endpoint },
      ] as unknown as RestApiConfig['resources'],
  )
  made.answers['/items'] = { json: { data: [{ id: 1, at: 1 }], at: 'a' } }
  made.answers['/items?page=2'] = { json: { data: [] } }
  expect(await made.run()).toEqual([])
  const next = {
    json: {
      data: [
        { id: 2, at: 2, more: true },
        { id: 3, at: 3 },
      ],
      at: 'b',
    },
  }
  made.answers['/items'] = next
  made.answers['/items?at=a'] = next
  expect(await made.run()).toEqual(['items cursor_ahead'])
  expect(await made.cursor('items')).toBe(expected === 'a' ? 'b' : 3)
  expect(await made.ids('items')).toEqual([1, 3])
})

const second = { data: [{ id: 2, at: 20 }] }
const first = { data: [{ id: 3, at: 30 }] }

/** What a second page of a list with the newest first may be, so that what comes after it is not known. */
interface Doubt {
  readonly what: string
  readonly answer: Answer
  readonly paginator?: 'header_link'
}

const doubts: readonly Doubt[] = [
  { what: 'a part of what was asked for', answer: { status: 206, json: second } },
  { what: 'an answer that says that it is in part', answer: { json: { ...second, partial: true } } },
  { what: 'errors beside records', answer: { json: { ...second, errors: [{ message: 'a shard did not answer' }] } } },
  { what: 'another message and no records', answer: { json: { data: null, message: 'try again later' } } },
  { what: 'no list, although there was one before', answer: { json: { status: 'ok' } } },
  { what: 'the records of the page before', answer: { json: first } },
  {
    what: 'a link that is cut',
    answer: { json: second, headers: { link: '</items?page=3' } },
    paginator: 'header_link',
  },
]

const doubtful = (answers: Answers, { answer }: Doubt): void => {
  answers['/items'] = { json: first, headers: { link: '</items?page=2>; rel="next"' } }
  answers['/items?page=1'] = { json: first }
  answers['/items?page=2'] = answer
  answers['/items?page=3'] = { json: { data: [] } }
}

test.each(doubts)('where rows are merged, a cursor waits behind $what', async doubt => {
  const made = await loads(() => [
    { name: 'items', ...merged, endpoint: { ...listed('items'), paginator: doubt.paginator ?? numbered } },
  ])
  doubtful(made.answers, doubt)
  expect(await made.run()).toEqual(['items cursor_held'])
  expect(await made.cursor('items')).toBeUndefined()
  const isLink = doubt.paginator !== undefined
  made.answers['/items?page=2'] = { json: second, headers: isLink ? { link: '</items?page=3>; rel="next"' } : {} }
  made.answers['/items?page=3'] = { json: { data: [{ id: 1, at: 10 }] } }
  made.answers['/items?page=4'] = { json: { data: [] } }
  expect(await made.run()).toEqual([])
  expect(await made.ids('items')).toEqual([1, 2, 3])
  expect(await made.cursor('items')).toBe(30)
})

test.each(doubts)('where rows are appended, a cursor moves behind $what, and says so', async doubt => {
  const made = await loads(() => [
    { name: 'items', endpoint: { ...listed('items'), paginator: doubt.paginator ?? numbered } },
  ])
  doubtful(made.answers, doubt)
  expect(await made.run()).toEqual(['items cursor_ahead'])
  expect(await made.cursor('items')).toBe(30)
})

test('a cursor that moves with a list that changed while it was read says so', async () => {
  const made = await loads(() => [{ name: 'items', ...merged, endpoint: listed('items') }])
  made.answers['/items?page=1'] = { json: first }
  made.answers['/items?page=2'] = { json: { data: [...first.data, { id: 1, at: 10 }] } }
  made.answers['/items?page=3'] = { json: { data: [] } }
  expect(await made.run()).toEqual(['items cursor_ahead'])
  expect(await made.cursor('items')).toBe(30)
})

test('the cursor of a child waits for parents that were not seen', async () => {
  const made = await loads(() => {
    const [{ endpoint, ...shop }, orders] = tree({ incremental: { cursor_path: 'at' } })
    const { incremental: _, ...whole } = endpoint
    return [{ ...shop, endpoint: whole }, orders]
  })
  shops(made.answers)
  const [page, end] = [made.answers['/shops?page=1'], made.answers['/shops?page=2']]
  made.answers['/shops?page=1'] = { ...page, status: 206 }
  expect(await made.run()).toEqual(['orders cursor_held'])
  made.answers['/shops?page=1'] = { json: { data: [{ id: 1 }, { id: 2 }] } }
  if (end !== undefined) made.answers['/shops?page=2'] = end
  made.answers['/shops/2/orders?page=1'] = { json: { data: [{ id: 21, at: 2 }] } }
  made.answers['/shops/2/orders?page=2'] = { json: { data: [] } }
  expect(await made.run()).toEqual([])
  expect(await made.ids('orders')).toEqual([11, 12, 21])
})

interface Sorted {
  readonly at: readonly number[]
  readonly compare: (at: number, since: number) => boolean
  readonly size?: number
  readonly order?: 'asc' | 'desc'
}

/** An API that filters by `since` and sorts by the same field. Its records have the ids 1, 2 and so on. */
async function sortedApi({ at, compare, size = 2, order = 'asc' }: Sorted, resource: object, incremental: object) {
  const all = at.map((value, index) => ({ id: index + 1, at: value }))
  const api = await testApi(({ searchParams }) => {
    const since = searchParams.get('since')
    const found = all.filter(one => since === null || compare(one.at, Number(since)))
    if (order === 'desc') found.reverse()
    const page = Number(searchParams.get('page'))
    return { json: { data: found.slice((page - 1) * size, page * size) } }
  })
  const folder = await testFolder()
  const { max_pages: maxPages, ...hint } = incremental as { readonly max_pages?: number }
  const endpoint = { ...listed('items', hint), ...(maxPages === undefined ? {} : { max_pages: maxPages }) }
  const made = pipeline({
    name: 'test',
    source: restApi({ client: { base_url: api.url }, resources: [{ name: 'items', endpoint, ...resource }] } as never, {
      env: {},
    }),
    destination: duckdb({ path: join(folder, 'test.duckdb') }),
    home: join(folder, 'home'),
  })
  return {
    asked: api.asked,
    add: (...more: readonly number[]) =>
      all.push(...more.map((value, index) => ({ id: all.length + index + 1, at: value }))),
    async run(options: RunOptions = {}) {
      const { receipts, warnings } = await made.run(options)
      return { verdict: receipts[0]?.verdict, codes: warnings.map(({ code }) => code) }
    },
    async warnings(options: RunOptions = {}) {
      return (await made.run(options)).warnings.map(({ message }) => message)
    },
    async ids(): Promise<number[]> {
      const rows = await made.dataset().table('items').rows()
      return rows.map(({ id }) => Number(id)).sort((a, b) => a - b)
    },
  }
}

const comparisons = [
  ['more than the start', (at: number, since: number) => at > since],
  ['at least the start', (at: number, since: number) => at >= since],
] as const

describe.each(comparisons)('a cut within a group of equal values, where the API gives what is %s', (_what, compare) => {
  const at = [10, 20, 20, 20, 30]

  test.each([
    ['merged', merged],
    ['appended', {}],
  ] as const)('leaves nothing out and repeats nothing: %s', async (_kind, kind) => {
    const made = await sortedApi({ at, compare }, kind, { start_param: 'since', row_order: 'asc' })
    expect(await made.run({ maxPages: 1 })).toEqual({ verdict: 'unproven', codes: ['cursor_held'] })
    expect(await made.run()).toEqual({ verdict: 'complete', codes: [] })
    expect(await made.ids()).toEqual([1, 2, 3, 4, 5])
    made.add(40)
    await made.run()
    expect(await made.ids()).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('takes the records that waited with those of the next pages', async () => {
    const values = [10, 20, 20, 20, 20, 30, 40, 40]
    const made = await sortedApi({ at: values, compare }, {}, { start_param: 'since', row_order: 'asc' })
    expect(await made.run({ maxPages: 3 })).toEqual({ verdict: 'unproven', codes: ['cursor_held'] })
    expect(await made.ids()).toEqual([1, 2, 3, 4, 5])
    expect((await made.run()).verdict).toBe('complete')
    expect(await made.ids()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })
})

test('a cut whose records all have one value loads none of them, and says so', async () => {
  const compare = comparisons[0][1]
  const made = await sortedApi({ at: [10, 10, 10], compare }, {}, { start_param: 'since', row_order: 'asc' })
  expect(await made.run({ maxPages: 1 })).toEqual({ verdict: 'unproven', codes: ['cursor_held'] })
  expect(await made.run()).toEqual({ verdict: 'complete', codes: [] })
  expect(await made.ids()).toEqual([1, 2, 3])
})

test.each<[string, object, RunOptions, RegExp]>([
  ['of the run', {}, { maxPages: 1 }, /have that value.*A run without a limit loads them/],
  ['of the document', { max_pages: 1 }, {}, /have that value.*Raise the cap.*`max_pages`/],
])(
  'a limit below the number of records with one value: the warning names the cure: %s',
  async (_whose, cap, run, said) => {
    for (const kind of [merged, {}]) {
      const made = await sortedApi({ at: [10, 20, 20, 20], compare: comparisons[0][1] }, kind, {
        start_param: 'since',
        row_order: 'asc',
        ...cap,
      })
      expect(await made.warnings(run)).toEqual([expect.not.stringMatching(said)])
      expect(await made.warnings(run)).toEqual([expect.stringMatching(said)])
    }
  },
)

describe('a list that comes the other way than row_order says', () => {
  const compare = comparisons[1][1]

  test.each([2, 1])('is read on where it rises, and a warning says so: pages of %i', async size => {
    const made = await sortedApi({ at: [10, 20, 30], compare, size }, merged, { row_order: 'desc' })
    await made.run()
    made.add(40, 50)
    const { codes } = await made.run()
    expect(await made.ids()).toEqual([1, 2, 3, 4, 5])
    expect(codes).toEqual(size === 1 ? [] : ['cursor_order'])
  })

  test.each([2, 1])('is read on where it falls, up to an end: pages of %i', async size => {
    const incremental = { row_order: 'asc', initial_value: 0, end_value: 25 }
    const made = await sortedApi({ at: [10, 20, 30, 40], compare, size, order: 'desc' }, merged, incremental)
    await made.run()
    expect(await made.ids()).toEqual([1, 2])
  })

  test('is no doubt where new records move others to the next page', async () => {
    const made = await sortedApi({ at: [10, 20, 30, 40], compare, order: 'desc' }, merged, { row_order: 'desc' })
    await made.run()
    made.add(50, 60)
    made.asked.length = 0
    expect(await made.run()).toEqual({ verdict: 'complete', codes: [] })
    expect(made.asked).toEqual(['/items?page=1', '/items?page=2'])
  })
})

const auto = { path: 'items', data_selector: 'data', incremental: { cursor_path: 'at' } }
const item = (id: number) => ({ id, at: id })

test.each<[string, object, readonly unknown[]]>([
  ['whose count says that there is more, and no way leads on', auto, [{ data: [item(2)], count: 4 }]],
  [
    'whose guessed paginator ends before another value',
    auto,
    [
      { data: [item(1)], next: '/items?2' },
      { data: [item(2)], next: null, next_cursor: 'x' },
    ],
  ],
  [
    'with one object in the place of a list',
    { ...auto, paginator: { type: 'json_link', next_url_path: 'next' } },
    [
      { data: [item(2)], next: '/items?2' },
      { data: { id: 3, at: 3 }, next: null },
    ],
  ],
])('a list %s keeps the cursor where it was', async (_, endpoint, pages) => {
  const made = await loads(() => [{ name: 'items', ...merged, endpoint: endpoint as never }])
  pages.forEach((json, index) => {
    made.answers[index === 0 ? '/items' : `/items?${index + 1}`] = { json }
  })
  expect(await made.run({ allowIncomplete: true })).toEqual(['items cursor_held'])
  expect(await made.ids('items')).toContain(2)
  expect(await made.cursor('items')).toBeUndefined()
})

test('a list whose pages lack records that its total counts keeps the cursor where it was', async () => {
  const made = await loads(() => [
    { name: 'items', ...merged, endpoint: { ...auto, paginator: { type: 'offset', limit: 3 } } as never },
  ])
  const page = (...ids: number[]) => ({ json: { data: ids.map(item), total: 4 } })
  made.answers['/items?offset=0&limit=3'] = page(4, 3)
  made.answers['/items?offset=2&limit=3'] = page(3, 2)
  made.answers['/items?offset=3&limit=3'] = page(2)
  expect(await made.run({ allowIncomplete: true })).toEqual(['items cursor_held'])
  expect(await made.cursor('items')).toBeUndefined()
})

test('the cursor of children waits where the first answer for one parent has no list, and the last an empty one', async () => {
  const paginator = { type: 'json_link', next_url_path: 'next' } as const
  const made = await loads(() => [
    { name: 'shops', endpoint: { path: 'shops', paginator: 'single_page' } },
    { name: 'items', ...merged, endpoint: { ...auto, path: 'shops/{resources.shops.id}/items', paginator } },
  ])
  made.answers['/shops'] = { json: [{ id: 1 }, { id: 2 }] }
  made.answers['/shops/1/items'] = { json: { data: [item(5)], next: null } }
  made.answers['/shops/2/items'] = { json: { next: '/shops/2/items?2' } }
  made.answers['/shops/2/items?2'] = { json: { data: [], next: null } }
  expect(await made.run()).toEqual(['items cursor_held'])
  expect(await made.cursor('items')).toBeUndefined()
})
