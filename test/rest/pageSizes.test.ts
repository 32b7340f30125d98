import { describe, expect, it } from 'vitest'
import fc from '../properties.js'
import { type Answer, read, source, things } from './listServer.js'
import { load, testApi } from './loading.js'

/** Pages that are too large for an API are asked for with fewer records. */

interface Ask {
  readonly start: number
  readonly size: number
}

/** A way through a list: what the document says, and how an API of that kind reads a request and leads on. */
interface Way {
  readonly endpoint: (size: number) => object
  readonly asked: (url: URL, body: string) => Ask
  readonly more?: (at: Ask, total: number, url: URL) => Partial<Answer> & { readonly json?: object }
}

const number = (url: URL, name: string, standard = 0): number => Number(url.searchParams.get(name) ?? standard)
const token = (start: number): string => Buffer.from(`after record ${start}`).toString('base64url')
const startOf = (text: string | null): number =>
  text === null ? 0 : Number(Buffer.from(text, 'base64url').toString().slice(13))

const WAYS: Readonly<Record<string, Way>> = {
  offset: {
    endpoint: size => ({ paginator: { type: 'offset', limit: size, total_path: null }, adapt_page_size: {} }),
    asked: url => ({ start: number(url, 'offset'), size: number(url, 'limit') }),
  },
  'offset with a total': {
    endpoint: size => ({ paginator: { type: 'offset', limit: size }, adapt_page_size: {} }),
    asked: url => ({ start: number(url, 'offset'), size: number(url, 'limit') }),
    more: (_, total) => ({ json: { total } }),
  },
  'offset in a body': {
    endpoint: size => ({
      method: 'POST',
      json: {},
      paginator: {
        type: 'offset',
        limit: size,
        total_path: null,
        offset_body_path: 'page.from',
        limit_body_path: 'page.size',
      },
      adapt_page_size: {},
    }),
    asked: (_, body) => {
      const { page } = JSON.parse(body) as { page: { from: number; size: number } }
      return { start: page.from, size: page.size }
    },
  },
  'pages from 0': {
    endpoint: size => ({
      params: { per_page: size },
      paginator: { type: 'page_number', total_path: null },
      adapt_page_size: { param: 'per_page' },
    }),
    asked: url => ({ start: number(url, 'page') * number(url, 'per_page'), size: number(url, 'per_page') }),
  },
  'pages from 1 with their number': {
    endpoint: size => ({
      params: { per_page: size },
      paginator: { type: 'page_number', base_page: 1, total_path: 'pages' },
      adapt_page_size: { param: 'per_page' },
    }),
    asked: url => ({ start: (number(url, 'page') - 1) * number(url, 'per_page'), size: number(url, 'per_page') }),
    more: ({ size }, total) => ({ json: { pages: Math.ceil(total / size) } }),
  },
  keyset: {
    endpoint: size => ({
      paginator: { type: 'keyset', field: 'id', param: 'since', limit: size },
      adapt_page_size: {},
    }),
    asked: url => ({ start: number(url, 'since', -1) + 1, size: number(url, 'limit') }),
  },
  cursor: {
    endpoint: size => ({
      params: { per_page: size },
      paginator: { type: 'cursor', cursor_path: 'next', stop_when_missing: true },
      adapt_page_size: { param: 'per_page' },
    }),
    asked: url => ({ start: startOf(url.searchParams.get('cursor')), size: number(url, 'per_page') }),
    more: ({ start, size }, total) => ({ json: start + size < total ? { next: token(start + size) } : {} }),
  },
  'links with page numbers': {
    endpoint: size => ({
      params: { per_page: size },
      paginator: { type: 'header_link', stop_when_missing: true },
      adapt_page_size: { param: 'per_page' },
    }),
    asked: url => ({ start: (number(url, 'page', 1) - 1) * number(url, 'per_page'), size: number(url, 'per_page') }),
    more: ({ start, size }, total, url) =>
      start + size < total
        ? { headers: { link: `<${url.origin}/things?page=${start / size + 2}&per_page=${size}>; rel="next"` } }
        : {},
  },
}

/** Whether request `number` fails, and how. */
type Fails = (asked: Ask, number: number) => 413 | 504 | 'long' | undefined

async function listApi(way: Way, total: number, fails: Fails) {
  let number = 0
  return testApi((url, { body }) => {
    const asked = way.asked(url, body)
    const failure = fails(asked, number++)
    if (failure === 'long') return { text: '[', headers: { 'content-length': String(2 ** 30) } }
    if (failure !== undefined) return { status: failure, json: { error: 'too much' } }
    const data = Array.from({ length: Math.max(0, Math.min(asked.size, total - asked.start)) }, (_, index) => ({
      id: asked.start + index,
    }))
    const { json, headers } = way.more?.(asked, total, url) ?? {}
    return { json: { data, ...json }, ...(headers && { headers }) }
  })
}

const endpointOf = (way: Way, size: number): object => ({ data_selector: 'data', ...way.endpoint(size) })
const ids = (records: readonly unknown[]): number[] => records.map(record => (record as { id: number }).id)
const upTo = (total: number): number[] => Array.from({ length: total }, (_, index) => index)

describe('pages that are too large', () => {
  it.each(Object.keys(WAYS))('lose and repeat no record under any schedule of failures: %s', async name => {
    const way = WAYS[name] as Way
    const schedule = fc.array(fc.constantFrom<ReturnType<Fails>>(413, 504, undefined, undefined), { minLength: 1 })
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 60 }),
        fc.integer({ min: 1, max: 24 }),
        schedule,
        async (total, size, plan) => {
          const links = name === 'links with page numbers'
          const { origin, asked, close } = await listApi(way, total, (at, number) =>
            at.size > 1 && at.start < total && !(links && at.start > 0) ? plan[number % plan.length] : undefined,
          )
          const { records, end } = await read(things(origin, endpointOf(way, size)), 'things', { concurrency: 3 })
          await close()
          expect(ids(records)).toEqual(upTo(total))
          expect(end.end === 'proven' || name.startsWith('pages'), `${end.reason} ${asked.join(' ')}`).toBe(true)
        },
      ),
      { numRuns: 12 },
    )
  })

  it('halves the page that failed, goes on at its record, and grows again after good pages', async () => {
    const { origin, asked } = await listApi(WAYS.offset as Way, 64, ({ size }, index) =>
      size > 4 && index < 3 ? 413 : undefined,
    )
    const { records, events } = await read(things(origin, endpointOf(WAYS.offset as Way, 16)))
    expect(ids(records)).toEqual(upTo(64))
    expect(asked.map(line => line.replace(/.*\?/, ''))).toEqual([
      'offset=0&limit=16',
      'offset=0&limit=8',
      ...Array.from({ length: 8 }, (_, page) => `offset=${page * 4}&limit=4`),
      'offset=32&limit=8',
      'offset=40&limit=8',
      'offset=48&limit=8',
      'offset=56&limit=8',
      'offset=64&limit=8',
    ])
    expect(events.filter(({ type }) => type === 'retry')).toMatchObject([
      { reason: 'status 413; the page is asked for with fewer records', delayMs: 0 },
      { reason: 'status 413; the page is asked for with fewer records', delayMs: 0 },
    ])
  })

  it('takes a body over the bound, and an answer that the document names', async () => {
    const way = WAYS.offset as Way
    const long = await listApi(way, 10, ({ size }) => (size > 3 ? 'long' : undefined))
    expect(ids((await read(things(long.origin, endpointOf(way, 8)))).records)).toEqual(upTo(10))
    const named = await testApi(url => {
      const { start, size } = way.asked(url, '')
      if (size > 4) return { json: { errors: [{ type: 'MAX_NODE_LIMIT_EXCEEDED' }] } }
      return {
        json: {
          data: upTo(10)
            .slice(start, start + size)
            .map(id => ({ id })),
        },
      }
    })
    const when = [{ json_path: 'errors[*].type', equals: 'MAX_NODE_LIMIT_EXCEEDED' }]
    const endpoint = { ...endpointOf(way, 8), adapt_page_size: { when } }
    const { records, end } = await read(things(named.origin, endpoint))
    expect([ids(records), end.end]).toEqual([upTo(10), 'proven'])
  })

  it('takes an answer that does not come in time', async () => {
    const way = WAYS.offset as Way
    const { origin } = await testApi(url => {
      const { start, size } = way.asked(url, '')
      if (size > 4) return new Promise(() => undefined)
      return {
        json: {
          data: upTo(10)
            .slice(start, start + size)
            .map(id => ({ id })),
        },
      }
    })
    const { records } = await read(things(origin, { ...endpointOf(way, 8), timeout: 1 }))
    expect(ids(records)).toEqual(upTo(10))
  })

  it('waits as long as the answer asks', async () => {
    let first = true
    const { origin } = await testApi(() => {
      if (!first) return { json: { data: [] } }
      first = false
      return { status: 413, headers: { 'retry-after': '7' } }
    })
    const { events } = await read(things(origin, endpointOf(WAYS.offset as Way, 8)))
    expect(events.find(({ type }) => type === 'retry')).toMatchObject({ delayMs: 7000 })
  })

  it('fails as any answer does where the smallest page is too large, after the usual repetitions', async () => {
    const way = WAYS.offset as Way
    const { origin, asked } = await listApi(way, 10, () => 504)
    const endpoint = { ...endpointOf(way, 8), adapt_page_size: { min: 3 } }
    await expect(read(things(origin, endpoint))).rejects.toThrow('was answered 504')
    expect(asked.filter(line => line.endsWith('limit=8')).length).toBe(1)
    expect(asked.filter(line => line.endsWith('limit=4')).length).toBe(4)
    expect(asked.length).toBe(5)
  })

  it.each<[string, string, number, number]>([
    ['an empty page', 'pages from 0', 15, 10],
    ['a short page', 'pages from 0', 24, 10],
    ['a last page that is as long as was asked for', 'pages from 0', 25, 10],
  ])('is not sure of the end where nothing shows that the API goes by the size: %s', async (_, name, total, size) => {
    // The API has pages of ten, whatever it is asked for.
    let failures = 0
    const { origin } = await testApi(url => {
      const page = number(url, 'page')
      if (page === 1 && failures++ === 0) return { status: 504 }
      return {
        json: {
          data: upTo(total)
            .slice(page * 10, page * 10 + 10)
            .map(id => ({ id })),
        },
      }
    })
    const { end } = await read(things(origin, endpointOf(WAYS[name] as Way, size)))
    expect([end.end, end.reason]).toEqual(['limited', expect.stringContaining('nothing shows that the API counts')])
  })

  it('says that records are missing where the API does not go by the size', async () => {
    let failures = 0
    const { origin } = await testApi(url => {
      const page = number(url, 'page')
      if (page === 1 && failures++ === 0) return { status: 504 }
      return {
        json: {
          data: upTo(90)
            .slice(page * 10, page * 10 + 10)
            .map(id => ({ id })),
        },
      }
    })
    const { end } = await read(things(origin, endpointOf(WAYS['pages from 0'] as Way, 10)))
    expect([end.end, end.reason]).toEqual(['suspect', expect.stringContaining('does not go by the size')])
  })

  it('keeps the size of links and cursors that have the number of their page', async () => {
    const way = WAYS['links with page numbers'] as Way
    const { origin, asked } = await listApi(way, 40, ({ start, size }) => (start > 0 && size > 5 ? 413 : undefined))
    await expect(read(things(origin, endpointOf(way, 10)))).rejects.toThrow('was answered 413')
    expect(asked).toEqual(['GET /things?per_page=10', 'GET /things?page=2&per_page=10'])
  })

  it('says where the first request has no size', async () => {
    const { origin } = await listApi(WAYS.cursor as Way, 5, () => undefined)
    const endpoint = { ...endpointOf(WAYS.cursor as Way, 5), params: { per_page: 'all' } }
    await expect(read(things(origin, endpoint))).rejects.toThrow('has no number where the size of a page should be')
  })

  it('keeps the size of a list that begins in the middle until a page has come full', async () => {
    const way = WAYS['pages from 0'] as Way
    const { origin, asked } = await listApi(way, 40, () => 413)
    const endpoint = { ...endpointOf(way, 10), paginator: { type: 'page_number', page: 2, total_path: null } }
    await expect(read(things(origin, endpoint))).rejects.toThrow('was answered 413')
    expect(asked.length).toBe(1)
  })

  it('is replayed as it was read', async () => {
    const way = WAYS.offset as Way
    const { origin, asked } = await listApi(way, 50, ({ start, size }) =>
      start >= 20 && size > 3 ? (start > 30 ? 'long' : 413) : undefined,
    )
    const resources = [{ name: 'things', primary_key: 'id', endpoint: endpointOf(way, 12) }]
    const { result, made, rows } = await load({ client: { base_url: origin }, resources }, { keepJournal: true })
    expect(result.receipts.map(({ verdict }) => verdict)).toEqual(['complete'])
    const before = asked.length
    const again = await made.replay()
    expect(again.receipts.map(({ verdict, records }) => [verdict, records])).toEqual([['complete', 50]])
    expect((await rows('things', 'id')).map(({ id }) => id)).toEqual([...upTo(50), ...upTo(50)].sort((a, b) => a - b))
    expect(asked.length).toBe(before)
  })

  it.each<[object, string]>([
    [{ paginator: 'single_page', adapt_page_size: { param: 'n' } }, 'does not work with `single_page`'],
    [{ adapt_page_size: { param: 'n' } }, 'does not work with `auto`'],
    [{ paginator: 'cursor', adapt_page_size: {} }, 'needs one of `param` and `body_path`'],
    [{ paginator: 'cursor', adapt_page_size: { param: 'n' } }, 'is not in `params`'],
    [{ paginator: { type: 'offset', limit: 9 }, adapt_page_size: { param: 'n' } }, 'is not needed'],
    [{ paginator: { type: 'offset', limit: 0 }, adapt_page_size: {} }, 'needs a `limit`'],
    [
      { params: { n: 5 }, paginator: { type: 'page_number', maximum_page: 3 }, adapt_page_size: { param: 'n' } },
      'does not work with `maximum_page`',
    ],
    [{ paginator: 'cursor', adapt_page_size: { parm: 'n' } }, 'param'],
  ])('is refused where there is no size: %j', (endpoint, problem) => {
    const resources = [{ name: 'things', endpoint: { path: 'things', ...endpoint } }]
    expect(() => source({ client: { base_url: 'https://api.example.com' }, resources })).toThrow(problem)
  })
})
