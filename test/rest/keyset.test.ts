import { describe, expect, it } from 'vitest'
import fc from '../properties.js'
import { type Answer, read, things } from './listServer.js'
import { load, preparedVersions, run, testApi } from './loading.js'

/** Lists whose next page begins after a value of the last record. */

type Item = { readonly id: unknown; readonly at?: unknown }

/** An API that gives records after a value of `at`, or from it on, in the order of `at`. */
async function keysetApi(items: readonly Item[], { inclusive = false, more = false } = {}) {
  return testApi(url => {
    const after = url.searchParams.get('after')
    const limit = Number(url.searchParams.get('limit') ?? 2)
    const rest = items.filter(
      ({ at }) => after === null || (inclusive ? Number(at) >= Number(after) : Number(at) > Number(after)),
    )
    return { json: { data: rest.slice(0, limit), ...(more && { has_more: rest.length > limit }) } }
  })
}

const at = (...values: readonly number[]): Item[] => values.map((value, index) => ({ id: `r${index}`, at: value }))
const keyset = { type: 'keyset', field: 'at', param: 'after', limit: 2 }
const keyed = { primary_key: 'id' }

async function reading(origin: string, paginator: object, resource: object = keyed) {
  return read(things(origin, { data_selector: 'data', paginator: { ...keyset, ...paginator } }, resource))
}

const ids = (records: readonly unknown[]): unknown[] => records.map(record => (record as Item).id)

describe('an error about a later page names the resource and the request', () => {
  it.each([
    ['NaN', /^things: the answer is not JSON.*expected a value/],
    ['tru', /^things: the answer is not JSON.*unexpected word/],
    ['"\\q"', /^things: the answer is not JSON.*invalid escape/],
    ['"b"', /^things: the values .* cannot be compared/],
  ])('%s', async (value, message) => {
    const api = await testApi(({ searchParams }) => {
      if (!searchParams.has('after')) return { json: { data: at(1, 2) } }
      return { text: `{"data":[{"id":"c","at":3},{"id":"d","at":${value}}]}` }
    })
    const failure = await reading(api.origin, { pick: 'greatest' }).catch((error: unknown) => error)
    expect(failure).toMatchObject({
      code: 'response_format',
      resource: 'things',
      url: `${api.origin}/things?limit=2&after=2`,
      message: expect.stringMatching(message),
    })
  })
})

it.each<[string, readonly Item[][], string]>([
  [
    'falls after it rose',
    [
      at(1, 2),
      [
        { id: 'c', at: 10 },
        { id: 'd', at: 6 },
      ],
      [],
    ],
    'limited',
  ],
  [
    'does neither on its one page',
    [
      [
        { id: 'a', at: 1 },
        { id: 'b', at: 10 },
        { id: 'c', at: 7 },
      ],
      [],
    ],
    'limited',
  ],
  [
    'rises on each page',
    [
      at(1, 2),
      [
        { id: 'c', at: 6 },
        { id: 'd', at: 10 },
      ],
      [],
    ],
    'proven',
  ],
  [
    'falls on each page',
    [
      [
        { id: 'a', at: 2 },
        { id: 'b', at: 1 },
      ],
      [
        { id: 'c', at: 4 },
        { id: 'd', at: 3 },
      ],
      [],
    ],
    'proven',
  ],
  [
    'falls on the only page with records, so that more may come before it',
    [
      [
        { id: 'a', at: 9 },
        { id: 'b', at: 8 },
      ],
      [],
    ],
    'limited',
  ],
  ['rises on the only page with records, as the newest ones may', [at(8, 9), []], 'limited'],
  ['has one record on its only page, which is not full', [at(8), []], 'proven'],
])('a keyset whose order %s', async (_what, pages, end) => {
  const api = await testApi(() => ({ json: { data: pages[api.asked.length - 1] } }))
  const { end: found } = await reading(api.origin, { pick: 'greatest' })
  expect(found).toMatchObject({ end })
})

it.each<[string, readonly number[], object, string | undefined]>([
  ['does not sort by the field, so that records come again', [5, 3, 6, 4, 7], {}, 'values_repeat'],
  ['does not sort, beside a key', [5, 3, 6, 4, 7], keyed, 'keys_repeat'],
  ['sorts by the field', [3, 4, 5, 6, 7], {}, undefined],
  ['sorts by the field, with values that several records share', [1, 2, 2, 3, 3, 4], {}, undefined],
])('a keyset without a key whose API %s', async (_what, values, resource, code) => {
  const api = await keysetApi(at(...values))
  const { end } = await reading(api.origin, { limit: values.includes(2) ? 3 : 2 }, resource)
  expect(end).toMatchObject(code === undefined ? { end: 'proven' } : { end: 'limited', code })
})

describe('a keyset', () => {
  it.each<[string, number[], object, { inclusive?: boolean; more?: boolean }, string, number]>([
    ['ends by an empty page', [1, 2, 3, 4], {}, {}, 'the last page is empty', 3],
    [
      'ends by a flag',
      [1, 2, 3, 4],
      { has_more_path: 'has_more' },
      { more: true },
      '"has_more" says there is no more',
      2,
    ],
    ['ends by a short page where declared', [1, 2, 3], { stop_after_short_page: true }, {}, 'stop_after_short_page', 2],
    [
      'ends by known records where the boundary comes again',
      [1, 2, 3],
      { inclusive: true },
      { inclusive: true },
      'only records of the page before',
      3,
    ],
    [
      'ends by known records of a list of one, where the API says that there is no more',
      [1],
      { inclusive: true },
      { inclusive: true, more: true },
      '"has_more" says there is no more',
      2,
    ],
    [
      'takes records with one value once, from the boundary on',
      [1, 2, 2, 3, 4, 4],
      { inclusive: true, limit: 3 },
      { inclusive: true },
      'only records of the page before',
      4,
    ],
    [
      'goes back before records with one value',
      [1, 2, 2, 2, 3, 4],
      { ties: true, limit: 4 },
      {},
      'the last page is empty',
      5,
    ],
    ['has one record', [1], {}, {}, 'the last page is empty', 2],
    ['has none', [], {}, {}, 'the last page is empty', 1],
  ])('%s', async (_what, values, paginator, options, reason, requests) => {
    const api = await keysetApi(at(...values), options)
    const { records, end } = await reading(api.origin, paginator)
    expect(ids(records)).toEqual(ids(at(...values)))
    expect(end).toMatchObject({ end: 'proven', reason: expect.stringContaining(reason) })
    expect(api.asked).toHaveLength(requests)
  })

  it.each([
    ['one record', [1]],
    ['two records with one value', [1, 1]],
  ])('of %s that come again is proven only by your word', async (_what, values) => {
    const api = await keysetApi(at(...values), { inclusive: true })
    const { records, end } = await reading(api.origin, { inclusive: true, limit: 3 })
    expect(ids(records)).toEqual(ids(at(...values)))
    expect(end).toMatchObject({ end: 'limited', reason: expect.stringContaining('caps pages') })
    const short = await reading(api.origin, { inclusive: true, limit: 3, stop_after_short_page: true })
    expect(short.end.end).toBe('proven')
  })

  it('sends the value in the body, begins where it is told, and keeps the digits of large numbers', async () => {
    const answers = ['{"data":[{"id":9007199254740993}]}', '{"data":[]}']
    const api = await testApi(() => ({ text: answers[api.asked.length - 1] ?? '' }))
    const paginator = {
      type: 'keyset',
      field: 'id',
      body_path: 'page.after',
      start: 5,
      limit: 1,
      limit_body_path: 'page.size',
    }
    await read(things(api.origin, { method: 'POST', json: { q: 'x' }, data_selector: 'data', paginator }))
    expect(api.asked.map(text => text.slice(text.indexOf('{')))).toEqual([
      '{"q":"x","page":{"after":5,"size":1}}',
      '{"q":"x","page":{"after":9007199254740993,"size":1}}',
    ])
  })

  it.each([
    ['greatest', [3, 1, 2], '3'],
    ['least', [7, 9, 8], '7'],
    ['last', [3, 1, 2], '2'],
  ])('picks the %s value', async (pick, values, sent) => {
    const api = await testApi(url => ({ json: { data: url.searchParams.has('after') ? [] : at(...values) } }))
    const { records } = await reading(api.origin, { pick, limit: 3 })
    expect(records).toHaveLength(3)
    expect(api.asked[1]).toContain(`after=${sent}`)
  })

  it('takes a record again whose value is another meanwhile', async () => {
    const answers: readonly Item[][] = [
      [
        { id: 'a', at: 1 },
        { id: 'b', at: 2 },
      ],
      [
        { id: 'b', at: 3 },
        { id: 'c', at: 3 },
      ],
      [{ id: 'c', at: 3 }],
    ]
    const api = await testApi(() => ({ json: { data: answers[api.asked.length - 1] } }))
    const { records } = await reading(api.origin, { inclusive: true, limit: 3 })
    expect(ids(records)).toEqual(['a', 'b', 'b', 'c'])
  })

  it.each<[string, Item[][], object, string]>([
    ['is full of one value', [at(5, 5)], {}, 'raise `limit`'],
    ['has room for the boundary only', [at(5)], { limit: 1, inclusive: true }, 'raise `limit`'],
    [
      'is full of one value, from it on',
      [
        at(1, 5),
        [
          { id: 'r1', at: 5 },
          { id: 'x', at: 5 },
        ],
      ],
      { inclusive: true },
      'raise `limit`',
    ],
    ['lacks the field', [[{ id: 1, at: 1 }, { id: 2 }]], {}, 'field "at" is missing in record 2'],
    ['has another name for it', [[{ id: 1, at: 1 }]], { field: 'idd' }, 'did you mean "id"?'],
    ['has null', [[{ id: 1, at: null }]], {}, 'is null in record 1'],
    ['has an object', [[{ id: 1, at: {} }]], {}, 'is an object'],
    ['does not lead on', [at(1, 2), at(0, 2)], {}, 'does not lead on'],
    ['goes back', [at(5, 6), at(3, 4)], { pick: 'greatest' }, 'does not lead on'],
    ['gives the boundary again', [at(1, 2), [{ id: 'r1', at: 2 }]], {}, '`inclusive: true`'],
    [
      'cannot be compared',
      [
        [
          { id: 1, at: true },
          { id: 2, at: 7 },
        ],
      ],
      { pick: 'greatest' },
      'cannot be compared',
    ],
  ])('is an error where a page %s', async (_what, pages, paginator, problem) => {
    const api = await testApi((): Answer => ({ json: { data: pages[api.asked.length - 1] ?? [] } }))
    await expect(reading(api.origin, paginator)).rejects.toThrow(problem)
  })

  it('is in doubt where records with one value show that others may be missing', async () => {
    const api = await keysetApi(at(1, 2, 2, 3, 3, 4))
    const { end } = await reading(api.origin, { limit: 2 }).catch(error => ({ end: error }))
    expect(end).toMatchObject({ code: expect.any(String) })
    const wide = await keysetApi(at(1, 2, 3, 3, 4, 4, 5, 6, 6))
    const read = await reading(wide.origin, { limit: 3 })
    expect(read.end).toMatchObject({ end: 'limited', reason: expect.stringContaining('`ties: true`') })
  })

  it.each([
    ['ties', { ties: true }],
    ['inclusive', { inclusive: true }],
    ['by what a page shows', {}],
  ])('is in doubt where an empty page lacks what was there before: %s', async (_what, paginator) => {
    const pages = [at(1, 2, 2, 3), []]
    const api = await testApi((): Answer => ({ json: { data: pages[api.asked.length - 1] ?? [] } }))
    const { end } = await reading(api.origin, { limit: 4, ...paginator })
    expect(end).toMatchObject({ end: 'limited', code: 'known_not_again' })
  })

  it('is in doubt where only an earlier page showed records with one value', async () => {
    const api = await keysetApi(at(1, 1, 2, 3, 4, 4, 5, 6))
    const { records, end } = await reading(api.origin, { limit: 3 })
    expect(records.length).toBe(7)
    expect(end).toMatchObject({ end: 'limited', reason: expect.stringContaining('`ties: true`') })
  })

  it('is complete without `ties` only if all came, or no record showed that values are shared', async () => {
    const values = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 14 })
    await fc.assert(
      fc.asyncProperty(values, fc.integer({ min: 2, max: 5 }), async (numbers, limit) => {
        const items = at(...numbers.toSorted((a, b) => a - b))
        const api = await keysetApi(items)
        try {
          const { records, end } = await reading(api.origin, { limit })
          const areShared = new Set(records.map(record => (record as { at: number }).at)).size < records.length
          if (end.end === 'proven' && areShared) expect(ids(records)).toEqual(ids(items))
        } catch (error) {
          expect(error).toMatchObject({ code: 'pagination_loop', message: expect.stringContaining('raise `limit`') })
        } finally {
          await api.close()
        }
      }),
      { numRuns: 60 },
    )
  })

  it('goes on after a short page that says there is more', async () => {
    const items = at(1, 2, 3, 4)
    const answers = [
      { data: items.slice(0, 2), weiter: true },
      { data: items.slice(2, 3), weiter: true },
      { data: items.slice(3), weiter: false },
    ]
    const api = await testApi(() => ({ json: answers[api.asked.length - 1] }))
    const { records, end } = await reading(api.origin, { stop_after_short_page: true, has_more_path: 'weiter' }, {})
    expect(records).toHaveLength(4)
    expect(end).toMatchObject({ end: 'proven', reason: '"weiter" says there is no more' })
  })

  it('is in doubt where the last page comes before the value that was sent', async () => {
    const answers = [
      { data: [{ id: 'a', at: 7 }], done: false },
      { data: [{ id: 'b', at: 5 }], done: true },
    ]
    const api = await testApi(() => ({ json: answers[api.asked.length - 1] }))
    const { end } = await reading(api.origin, { limit: 1, pick: 'greatest', done_path: 'done' }, {})
    expect(end).toMatchObject({ end: 'limited', code: 'keyset_order' })
  })

  it.each<[{ readonly total_path?: string }, string]>([
    [{}, 'limited'],
    [{ total_path: 'total' }, 'proven'],
  ])('believes pages whose records come in any order by their total: %o', async (total, expected) => {
    const items = at(1, 2, 3, 4, 5, 6)
    const api = await testApi(url => {
      const found = items.filter(item => Number(item.at) > Number(url.searchParams.get('after') ?? 0)).slice(0, 3)
      return {
        json: { data: [found[1], found[2], found[0]].filter(one => one !== undefined), total: total.total_path && 6 },
      }
    })
    const { records, end } = await reading(api.origin, { limit: 3, pick: 'greatest', ...total })
    expect(records).toHaveLength(6)
    expect(end).toMatchObject({ end: expected })
  })

  it.each([
    ['greatest', [1, 2, 3, 4]],
    ['least', [4, 3, 2, 1]],
  ])('begins at a word, whichever record gives the next value: %s', async (pick, values) => {
    const items = at(...values)
    const api = await testApi(url => {
      const from = items.findIndex(item => String(item.at) === url.searchParams.get('after'))
      return { json: { data: items.slice(from + 1, from + 3) } }
    })
    const { records, end } = await reading(api.origin, { pick, start: 'latest' })
    expect(records).toHaveLength(4)
    expect(end).toMatchObject({ end: 'proven' })
  })

  const unsorted = [3, 1, 8, 5, 9, 2, 7, 30, 4, 31, 6, 10, 12, 11, 33, 13, 34, 14, 32, 35]
  it.each([
    ['from some place on', [3, 1, 8, 5, 9, 2, 6, 10, 11, 12, 4], (now: number, sent: number) => now > sent],
    ['at once', [3, 1, 8, 5, 40, 2, 7, 30, 4, 31], (now: number, sent: number) => now > sent],
    ['downwards', [9, 11, 4, 7, 3, 10, 6, 2, 1, 0, 8], (now: number, sent: number) => now < sent],
  ])('is in doubt where the API filters by the field and does not sort by it, %s', async (_what, values, passes) => {
    const items = at(...values)
    const api = await testApi(url => {
      const after = url.searchParams.get('after')
      return {
        json: { data: items.filter(item => after === null || passes(Number(item.at), Number(after))).slice(0, 5) },
      }
    })
    const { records, end } = await reading(api.origin, { limit: 5 })
    expect(new Set(ids(records)).size).toBeLessThan(items.length)
    expect(end).toMatchObject({ end: 'limited', code: 'keyset_order' })
  })

  it('believes a place in a list that is sorted by something else', async () => {
    const items = at(...unsorted)
    const api = await testApi(url => {
      const after = url.searchParams.get('after')
      const from = after === null ? 0 : items.findIndex(item => item.at === Number(after)) + 1
      return { json: { data: items.slice(from, from + 5) } }
    })
    const { records, end } = await reading(api.origin, { limit: 5 })
    expect(records).toEqual(items)
    expect(end.end).toBe('proven')
  })

  const above = (now: number, sent: number): boolean => now > sent
  const turned = [
    { what: 'greatest', paginator: { pick: 'greatest' }, passes: above },
    {
      what: 'greatest, with the value once more',
      paginator: { pick: 'greatest', inclusive: true },
      passes: (now: number, sent: number) => now >= sent,
    },
    {
      what: 'least, with the value once more',
      paginator: { pick: 'least', inclusive: true },
      passes: (now: number, sent: number) => now <= sent,
    },
    { what: 'greatest, with ties', paginator: { pick: 'greatest', ties: true }, passes: above },
    {
      what: 'greatest, where a short page ends it',
      paginator: { pick: 'greatest', stop_after_short_page: true },
      passes: above,
    },
    { what: 'greatest, of pages that are capped', paginator: { pick: 'greatest', limit: 100 }, passes: above },
    { what: 'one record a page', paginator: { limit: 1 }, passes: above },
  ]
  it.each(turned.flatMap(one => [1, 2].map(shared => ({ ...one, shared }))))(
    'is in doubt where the API sorts the other way: $what, $shared with one value',
    async ({ paginator, passes, shared }) => {
      const values = Array.from({ length: 10 }, (_, index) => Math.floor(index / shared))
      const items = at(...(paginator.pick === 'least' ? values : values.toReversed()))
      const api = await testApi(url => {
        const after = url.searchParams.get('after')
        const most = Math.min(3, Number(url.searchParams.get('limit')))
        const found = items.filter(item => after === null || passes(Number(item.at), Number(after)))
        return { json: { data: found.slice(0, most) } }
      })
      const { records, end } = await reading(api.origin, { limit: 3, ...paginator })
      expect(records.length).toBeLessThan(items.length)
      expect(end.end).toBe('limited')
    },
  )

  it.each([
    ['greatest', [7, 8, 9]],
    ['last', [7, 8, 9]],
  ])('is in doubt where the API begins with its newest records, the oldest of them first: %s', async (pick, newest) => {
    const api = await testApi(url => ({ json: { data: url.searchParams.has('after') ? [] : at(...newest) } }))
    const { end } = await reading(api.origin, { pick, limit: 3 })
    expect(end).toMatchObject({ end: 'limited', code: 'keyset_turned' })
  })

  it('of one full page is proven by a flag of that page, and not by one of the empty page after it', async () => {
    for (const [first, end] of [
      [false, 'proven'],
      [true, 'limited'],
    ] as const) {
      const api = await testApi(url =>
        url.searchParams.has('after')
          ? { json: { data: [], has_more: false } }
          : { json: { data: at(1, 2), has_more: first } },
      )
      expect((await reading(api.origin, {})).end).toMatchObject({ end })
    }
  })

  it.each<[number[][], string]>([
    [[[1], [2, 3], [4, 5, 6]], 'complete'],
    [[[4, 5, 6], [2, 3], [1]], 'complete'],
    [
      [
        [1, 1],
        [2, 3, 4],
      ],
      'complete',
    ],
    [[[1], [2]], 'unproven'],
    [
      [
        [1, 1],
        [2, 3],
      ],
      'unproven',
    ],
  ])(
    'that gives its last records again is not capped where another list has longer pages: %j',
    async (lists, verdict) => {
      const api = await testApi(url => {
        if (url.pathname === '/parents') return { json: { data: lists.map((_, id) => ({ id })) } }
        const parent = Number(url.pathname.split('/')[2])
        const items = (lists[parent] ?? []).map((value, index) => ({ id: `${parent}.${index}`, at: value }))
        return { json: { data: items.filter(item => item.at >= Number(url.searchParams.get('after') ?? 0)) } }
      })
      const { result } = await load({
        client: { base_url: api.origin },
        resources: [
          { name: 'parents', endpoint: { path: 'parents', data_selector: 'data', paginator: 'single_page' } },
          {
            name: 'things',
            primary_key: 'id',
            endpoint: {
              path: 'parents/{resources.parents.id}/things',
              data_selector: 'data',
              paginator: { ...keyset, limit: 5, inclusive: true } as never,
            },
          },
        ],
      })
      expect(result.receipts[1]).toMatchObject({ verdict })
    },
  )

  it('that gives its only record again is not proven by a total that may be the length of the page', async () => {
    const api = await testApi(() => ({ json: { data: at(1), total: 1 } }))
    expect((await reading(api.origin, { limit: 4, inclusive: true })).end).toMatchObject({ end: 'limited' })
  })

  it('of one full page is proven by a total, or by another list of the resource that went on', async () => {
    const api = await testApi(url => {
      if (url.pathname === '/parents') return { json: { data: [{ id: 1 }, { id: 2 }] } }
      const values = url.pathname === '/parents/1/things' ? [1, 2] : [1, 2, 3]
      const found = at(...values).filter(item => Number(item.at) > Number(url.searchParams.get('after') ?? 0))
      return { json: { data: found.slice(0, 2), ...(url.searchParams.has('counted') && { total: 2 }) } }
    })
    const version = await preparedVersions()
    const child = (params: object) => ({
      client: { base_url: api.origin },
      resources: [
        {
          name: 'parents',
          primary_key: 'id',
          endpoint: { path: 'parents', data_selector: 'data', paginator: 'single_page' as const },
        },
        {
          name: 'things',
          primary_key: 'id',
          endpoint: {
            path: 'parents/{resources.parents.id}/things',
            data_selector: 'data',
            params: params as never,
            paginator: keyset as never,
          },
        },
      ],
    })
    const { result } = await run(version(child({})))
    expect(result.receipts).toMatchObject([{ verdict: 'complete' }, { verdict: 'complete', records: 5 }])
    const only = await read(
      things(
        api.origin,
        { path: 'parents/1/things', data_selector: 'data', params: { counted: 1 }, paginator: keyset },
        keyed,
      ),
    )
    expect(only.end.end).toBe('proven')
  })

  it('without a record after its start is proven only by another list, or a total of 0', async () => {
    const api = await testApi(url => ({ json: { data: [], ...(url.searchParams.has('counted') && { total: 0 }) } }))
    const paginator = { ...keyset, start: 0 }
    const one = await read(things(api.origin, { data_selector: 'data', paginator }, keyed))
    expect(one.end).toMatchObject({ end: 'limited', code: 'start_empty' })
    const other = await read(things(api.origin, { data_selector: 'data', params: { counted: 1 }, paginator }, keyed))
    expect(other.end.end).toBe('proven')
  })

  it.each([
    ['falls, and what follows is above it', { field: 'at.day' }, [9, 8, 7], (now: number, sent: number) => now > sent],
    ['rises, and what follows is below it', { field: 'at.day' }, [7, 8, 9], (now: number, sent: number) => now < sent],
  ])('without a key is in doubt where a page %s', async (_what, paginator, values, passes) => {
    const items = values.map(day => ({ at: { day } }))
    const api = await testApi(url => {
      const after = url.searchParams.get('after')
      if (api.asked.length > 3) return { json: { data: [] } }
      return { json: { data: items.filter(item => after === null || passes(item.at.day, Number(after))).slice(0, 3) } }
    })
    const { end } = await reading(api.origin, { limit: 3, ...paginator }, {})
    expect(end.end).toBe('limited')
  })

  it('without a key is in doubt where other values than the last one come again', async () => {
    const pages = [[1, 2, 3], [2, 3, 4], [4], []]
    const api = await testApi(() => ({
      json: { data: pages[api.asked.length - 1]?.map(day => ({ at: { day } })) },
    }))
    const { end } = await reading(api.origin, { limit: 3, ties: true, field: 'at.day' }, {})
    expect(end).toMatchObject({ end: 'limited', code: 'values_repeat' })
  })

  it.each([
    ['by ties', { ties: true }],
    ['by what a page shows', {}],
  ])('keeps records that are the same in everything, %s', async (_what, paginator) => {
    const values = [1, 1, 2, 2, 2, 3]
    const api = await keysetApi(values.map(value => ({ id: undefined, at: value })))
    const { records, end } = await reading(api.origin, { ...paginator, limit: 4 }, {})
    expect(records).toEqual(values.map(value => ({ at: value })))
    expect(end.end).toBe('proven')
  })

  it.each<[string, number, number[]]>([
    ['three records', 3, [8, 9, 10, 10, 10, 10, 11]],
    ['two records', 2, [8, 9, 10, 10, 10, 11, 12]],
    ['two records at the end', 2, [9, 10, 10, 10]],
    ['two records at the start', 2, [1, 1, 1, 2, 3]],
    ['one record', 1, [1, 2, 2, 3]],
  ])('is in doubt with ties where the API caps pages at %s', async (_what, cap, values) => {
    const items = at(...values)
    const api = await testApi(url => {
      const after = url.searchParams.get('after')
      const rest = items.filter(item => after === null || Number(item.at) > Number(after))
      return { json: { data: rest.slice(0, cap) } }
    })
    const { end } = await reading(api.origin, { ties: true, limit: 100 })
    expect(end).toMatchObject({ end: 'limited', code: 'keyset_ties' })
  })

  it('never loses or repeats a record, and says complete only if all came', async () => {
    const values = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 14 })
    await fc.assert(
      fc.asyncProperty(values, fc.integer({ min: 1, max: 6 }), fc.boolean(), async (numbers, limit, inclusive) => {
        const items = at(...numbers.toSorted((a, b) => a - b))
        const api = await keysetApi(items, { inclusive })
        try {
          const mode = inclusive ? { inclusive } : { ties: true }
          const { records, end } = await reading(api.origin, { limit, ...mode })
          expect(new Set(ids(records)).size).toBe(records.length)
          if (end.end === 'proven') expect(ids(records)).toEqual(ids(items))
        } catch (error) {
          expect(error).toMatchObject({ code: 'pagination_loop', message: expect.stringContaining('raise `limit`') })
        } finally {
          await api.close()
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('the document', () => {
  it.each([
    [{ type: 'keyset', field: 'id', limit: 1 }, 'param'],
    [{ type: 'keyset', param: 'a', limit: 1 }, 'field'],
    [{ ...keyset, fieldd: 'x' }, '`field`'],
    [{ ...keyset, body_path: 'x' }, 'not into both'],
    [{ ...keyset, pick: 'greates' }, 'greatest'],
    [{ ...keyset, limit: 0, stop_after_short_page: true }, 'needs a `limit`'],
    [{ ...keyset, ties: true, inclusive: true }, 'leave one of them out'],
    ['keyset', 'field'],
  ])('is refused with what is wrong: %j', (paginator, problem) => {
    expect(() => things('https://api.example', { paginator })).toThrow(problem)
  })
})
