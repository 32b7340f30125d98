import { afterEach, describe, expect, it } from 'vitest'
import type { JsonObject } from '../../src/json/value.js'
import { ResourceNotes } from '../../src/model/source.js'
import { memoryJournal } from './clientServer.js'
import { type Answer, type Api, api, context, read, recordsOf, source, things } from './listServer.js'

let server: Api
afterEach(() => server.close())

const ids = (records: readonly unknown[]): unknown[] => records.map(record => (record as JsonObject).id)

/** `count` records with ids from 0, cut into pages. */
function listing(count: number, url: URL, { cap = 100, total = true } = {}): Answer {
  const offset = Number(url.searchParams.get('offset'))
  const size = Math.min(Number(url.searchParams.get('limit')), cap)
  const data = Array.from({ length: count }, (_, id) => ({ id })).slice(offset, offset + size)
  return { json: total ? { data, total: count } : { data } }
}

describe('offset', () => {
  const endpoint = { data_selector: 'data', paginator: { type: 'offset', limit: 3 } }

  it('reads up to the total', async () => {
    server = await api(url => listing(7, url))
    const { records, end, pages } = await read(things(server.origin, endpoint))
    expect(ids(records)).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(end.end).toBe('proven')
    expect(pages.map(page => page.announced)).toEqual([7, 7, 7])
    expect(server.asked).toEqual([0, 3, 6].map(at => `GET /things?offset=${at}&limit=3`))
  })

  it('advances by what arrived where the API caps pages', async () => {
    server = await api(url => listing(5, url, { cap: 2 }))
    expect(ids((await read(things(server.origin, endpoint))).records)).toEqual([0, 1, 2, 3, 4])
  })

  it('ends at an empty page without a total', async () => {
    server = await api(url => listing(5, url, { total: false }))
    const { records, end } = await read(things(server.origin, endpoint))
    expect(records).toHaveLength(5)
    expect(end.end).toBe('proven')
    expect(server.asked.at(-1)).toBe('GET /things?offset=6&limit=3')
  })

  it('finds out that the API caps pages, and goes on by what arrives', async () => {
    server = await api(url => listing(9, url, { cap: 2, total: false }))
    const { records, end } = await read(things(server.origin, endpoint))
    expect(ids(records)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(end.end).toBe('proven')
  })

  it('asks behind a short first page where nothing follows at the limit', async () => {
    server = await api(url => listing(195, url, { cap: 100, total: false }))
    const paginator = { type: 'offset', limit: 2000 }
    const { records, end } = await read(things(server.origin, { ...endpoint, paginator }))
    expect(records).toHaveLength(195)
    expect(end.end).toBe('proven')
  })

  it.each([
    [1, 3],
    [2, 3],
    [3, 3],
    [4, 3],
    [5, 6],
    [7, 100],
  ])('finds out that pages are capped at one record: a list of %i, limit %i', async (count, limit) => {
    server = await api(url => listing(count, url, { cap: 1, total: false }))
    const { records, end } = await read(things(server.origin, { ...endpoint, paginator: { type: 'offset', limit } }))
    expect(ids(records)).toEqual(Array.from({ length: count }, (_, id) => id))
    expect(end.end).toBe('proven')
  })

  it.each([
    ['behind the one record', 3, [0, 3, 1], 'proven'],
    ['nothing behind it with a limit of two, and doubts it', 2, [0, 2], 'limited'],
    ['nothing behind it with a limit of one', 1, [0, 1], 'proven'],
  ])('asks a list of one record %s', async (_, limit, asked, proof) => {
    server = await api(url => listing(1, url, { total: false }))
    const { records, end } = await read(things(server.origin, { ...endpoint, paginator: { type: 'offset', limit } }))
    expect(records).toHaveLength(1)
    expect(end.end).toBe(proof)
    expect(server.asked).toEqual(asked.map(at => `GET /things?offset=${at}&limit=${limit}`))
  })

  it('asks behind one record, and doubts the list where the API does not answer', async () => {
    server = await api(url => (url.searchParams.get('offset') === '1' ? undefined : listing(1, url, { total: false })))
    const { records, end } = await read(things(server.origin, endpoint))
    expect(records).toHaveLength(1)
    expect(end).toMatchObject({ end: 'limited', reason: expect.stringContaining('caps pages') })
  })

  it('comes back to the page that was jumped to where the API caps pages', async () => {
    server = await api(url => listing(6, url, { cap: 3, total: false }))
    const paginator = { type: 'offset', limit: 6 }
    const { records, end } = await read(things(server.origin, { ...endpoint, paginator }))
    expect(records).toHaveLength(6)
    expect(end.end).toBe('proven')
  })

  it('does not take a failure behind a short page for an end', async () => {
    server = await api(url => (url.searchParams.get('offset') === '2' ? undefined : listing(2, url, { total: false })))
    const { records, end } = await read(things(server.origin, endpoint))
    expect(records).toHaveLength(2)
    expect(end).toMatchObject({ end: 'limited', reason: expect.stringContaining('caps pages') })
  })

  /** Leaves out every third record after it has cut the page. */
  const filtered = (count: number, url: URL, total: boolean): Answer => {
    const { json } = listing(count, url, { total })
    const { data, ...more } = json as { data: { id: number }[] }
    return { json: { data: data.filter(({ id }) => id % 3 !== 1), ...more } }
  }

  it.each([true, false])('neither loses nor repeats where records are left out of pages (total %s)', async total => {
    server = await api(url => filtered(20, url, total))
    const paginator = { type: 'offset', limit: 6 }
    const { records, end } = await read(things(server.origin, { ...endpoint, paginator }))
    expect(ids(records)).toEqual(Array.from({ length: 20 }, (_, id) => id).filter(id => id % 3 !== 1))
    expect(end.end).toBe('limited')
  })

  it.each([-1, 0, 2])('takes %d for no total where a page has more', async total => {
    server = await api(url => {
      const { json } = listing(7, url, { total: false })
      return { json: { ...(json as object), total } }
    })
    const { records, end } = await read(things(server.origin, endpoint))
    expect(records).toHaveLength(7)
    expect(end.end).toBe('proven')
  })

  it('doubts a list that ends before its total', async () => {
    server = await api(url => ({ json: { data: url.searchParams.get('offset') === '0' ? [1, 2, 3] : [], total: 9 } }))
    const { end } = await read(things(server.origin, endpoint))
    expect(end).toMatchObject({ end: 'suspect', reason: expect.stringContaining('announced 9') })
  })

  it('demands a total that was asked for', async () => {
    server = await api(() => ({ json: { data: [1] } }))
    const paginator = { ...endpoint.paginator, total_path: 'meta.count' }
    await expect(read(things(server.origin, { ...endpoint, paginator }))).rejects.toMatchObject({
      code: 'response_format',
      message: expect.stringMatching(/^things: total_path "meta.count".*GET http/),
    })
  })

  it('reports the page at which an API may have stopped', async () => {
    server = await api(url => listing(1000, url))
    const paginator = { type: 'offset', limit: 100 }
    const { events, end } = await read(things(server.origin, { ...endpoint, paginator }))
    expect(end.end).toBe('proven')
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'warning', message: expect.stringContaining('1000') }),
    )
  })

  it('counts in a form body', async () => {
    server = await api((_url, { body }) => listing(5, new URL(`http://x/?${body}`)))
    const paginator = { type: 'offset', limit: 3, offset_body_path: 'offset', limit_body_path: 'limit' }
    const form = { ...endpoint, paginator, method: 'POST', data: { q: 'a b' } }
    expect(ids((await read(things(server.origin, form))).records)).toEqual([0, 1, 2, 3, 4])
    expect(server.asked.at(-1)).toBe('POST /things q=a+b&limit=3&offset=3')
  })
})

describe('page_number', () => {
  it('takes over a page parameter in the path', async () => {
    server = await api(url => ({ json: { data: [url.searchParams.getAll('page').join()], total: 2 } }))
    const { records } = await read(
      things(server.origin, { path: 'x?page=9&a=1', data_selector: 'data', paginator: 'page_number' }),
    )
    expect(records).toEqual(['0', '1'])
  })

  it('ends at maximum_page although there is more', async () => {
    server = await api(() => ({ json: { data: [1], more: true } }))
    const paginator = { type: 'page_number', maximum_page: 2, has_more_path: 'more', total_path: null }
    const { end, pages } = await read(things(server.origin, { data_selector: 'data', paginator }))
    expect(end.end).toBe('limited')
    expect(pages).toHaveLength(2)
  })

  it('notices an API that ignores the page', async () => {
    server = await api(() => ({ json: [1, 2] }))
    const paginator = { type: 'page_number', total_path: null }
    await expect(read(things(server.origin, { paginator }))).rejects.toMatchObject({ code: 'pagination_loop' })
    expect(server.asked).toHaveLength(3)
  })
})

describe('links and cursors', () => {
  it('follows relative links and drops the parameters', async () => {
    server = await api(url => ({
      json: { data: [url.search], next: url.searchParams.has('p') ? '' : '?p=2&x=%20' },
    }))
    const { records } = await read(
      things(server.origin, { data_selector: 'data', paginator: 'json_link', params: { a: 1 } }),
    )
    expect(records).toEqual(['?a=1', '?p=2&x=%20'])
  })

  it('sends big cursors with all digits', async () => {
    server = await api(url => {
      const cursor = url.searchParams.get('cursor')
      return {
        text: `{"data":["${cursor}"],"next":${cursor === null ? '12345678901234567890' : cursor === '1.50' ? 'null' : '1.50'}}`,
      }
    })
    const paginator = { type: 'cursor', cursor_path: 'next' }
    const { records } = await read(things(server.origin, { data_selector: 'data', paginator }))
    expect(records).toEqual(['null', '12345678901234567890', '1.50'])
  })

  it('refuses to send a request twice', async () => {
    server = await api(() => ({ json: { data: [1], next: 'x' } }))
    const paginator = { type: 'cursor', cursor_path: 'next' }
    await expect(read(things(server.origin, { data_selector: 'data', paginator }))).rejects.toMatchObject({
      code: 'pagination_loop',
      message: expect.stringContaining('page 3 would be asked for by the same request as page 2'),
    })
    expect(server.asked).toHaveLength(2)
  })

  it('writes cursors into a JSON body', async () => {
    server = await api((_url, { body }) => {
      const { paging } = JSON.parse(body)
      return { json: { data: [paging ?? null], next: paging === undefined ? { k: 1 } : null } }
    })
    const endpoint = {
      data_selector: 'data',
      method: 'POST',
      json: { q: 1 },
      paginator: { type: 'cursor', cursor_path: 'next', cursor_body_path: 'paging.after' },
    }
    expect((await read(things(server.origin, endpoint))).records).toEqual([null, { after: { k: 1 } }])
  })

  it('stops after a thousand empty pages', async () => {
    let page = 0
    server = await api(() => ({ json: { data: [], next: ++page } }))
    const paginator = { type: 'cursor', cursor_path: 'next' }
    await expect(read(things(server.origin, { data_selector: 'data', paginator }))).rejects.toMatchObject({
      code: 'pagination_loop',
    })
    expect(page).toBe(1000)
  })
})

describe('reading ahead', () => {
  const endpoint = { data_selector: 'data', paginator: { type: 'offset', limit: 10 } }

  it('asks for pages at once and yields them in order', async () => {
    const waiting: (() => void)[] = []
    server = await api(async url => {
      const offset = Number(url.searchParams.get('offset'))
      // Four pages are answered only once all of them were asked for, the last one first.
      if (offset >= 10 && offset <= 40) {
        await new Promise<void>(answer => {
          waiting.push(answer)
          if (waiting.length === 4) for (const other of waiting.reverse()) other()
        })
      }
      return listing(195, url)
    })
    const { records, end } = await read(things(server.origin, endpoint), 'things', { concurrency: 4 })
    expect(ids(records)).toEqual(Array.from({ length: 195 }, (_, id) => id))
    expect(end.end).toBe('proven')
    expect(server.asked).toHaveLength(20)
  })

  it('goes on one by one where a page is not what was foreseen', async () => {
    server = await api(url => listing(100, url, { cap: Number(url.searchParams.get('offset')) === 30 ? 4 : 10 }))
    const { records } = await read(things(server.origin, endpoint), 'things', { concurrency: 4 })
    expect(ids(records)).toEqual(Array.from({ length: 100 }, (_, id) => id))
  })

  it('reads long pages into the memory of those that are done with', async () => {
    const wide = (id: number) => ({
      id,
      text: String.fromCharCode(97 + (id % 26)).repeat(20_000 + ((id * 7919) % 9000)),
    })
    server = await api(url => {
      const offset = Number(url.searchParams.get('offset'))
      return { json: { data: [wide(offset), wide(offset + 1)], total: 120 } }
    })
    const paginator = { type: 'offset', limit: 2 }
    const { pages, records } = await read(things(server.origin, { ...endpoint, paginator }), 'things', {
      concurrency: 4,
    })
    expect(records).toEqual(Array.from({ length: 120 }, (_, id) => wide(id)))
    // Read ahead are four, one is read, one compared with it; lengths that do not fit make it a few more.
    expect(new Set(pages.map(page => page.records.buffer)).size).toBeLessThan(16)
  })

  it('asks for nothing beyond the end', async () => {
    server = await api(url => listing(20, url))
    await read(things(server.origin, endpoint), 'things', { concurrency: 8 })
    expect(server.asked).toHaveLength(2)
  })

  it('reads an order that may end early one page after the other', async () => {
    server = await api(url => listing(50, url))
    const incremental = { cursor_path: 'id', initial_value: 0, row_order: 'desc' }
    const [resource] = things(server.origin, { ...endpoint, incremental }).resources
    const list = resource!.pages(context({ concurrency: 8 }))
    await list.next()
    await list.next()
    await list.return({ end: 'limited', reason: 'enough' })
    expect(server.asked).toHaveLength(2)
  })

  it('aborts what is under way when its consumer stops', async () => {
    server = await api(url => (url.searchParams.get('offset') === '0' ? listing(100, url) : new Promise(() => {})))
    const from = things(server.origin, endpoint)
    const list = from.resources[0]!.pages(context({ concurrency: 4 }))
    expect(recordsOf((await list.next()).value as never)).toHaveLength(10)
    const end = { end: 'limited', reason: 'enough' } as const
    expect(await list.return(end)).toEqual({ done: true, value: end })
    await from.close()
  })

  it('stops with the run', async () => {
    const run = new AbortController()
    server = await api(() => {
      run.abort(new Error('enough'))
      return new Promise(() => {})
    })
    const reading = read(things(server.origin, endpoint), 'things', { signal: run.signal, concurrency: 4 })
    await expect(reading).rejects.toMatchObject({ code: 'aborted' })
  })

  it('asks beyond the end only where the user says so', async () => {
    server = await api(url => listing(35, url, { total: false }))
    const { records } = await read(things(server.origin, { ...endpoint, read_ahead: 3 }), 'things', { concurrency: 8 })
    expect(ids(records)).toEqual(Array.from({ length: 35 }, (_, id) => id))
  })
})

describe('bounds', () => {
  it.each([
    [{ max_pages: 2 }, {}, 6],
    [{ max_records: 4 }, {}, 4],
    [{}, { maxPages: 1 }, 3],
  ])('%j and %j', async (bound, run, count) => {
    server = await api(url => listing(9, url))
    const endpoint = { data_selector: 'data', paginator: { type: 'offset', limit: 3 }, ...bound }
    const { records, end } = await read(things(server.origin, endpoint), 'things', { concurrency: 4, ...run })
    expect(records).toHaveLength(count)
    expect(end.end).toBe('limited')
    expect(server.asked.length).toBe(Math.ceil(count / 3))
  })
})

describe('response actions', () => {
  const pages = { data_selector: 'data', paginator: { type: 'page_number', total_path: null } }
  /** Pages 0 to 3 with a record each, 4 is empty; one page is answered otherwise. */
  const paged =
    (odd: number, answer: Answer) =>
    (url: URL): Answer => {
      const page = Number(url.searchParams.get('page'))
      return page === odd ? answer : { json: { data: page < 4 ? [{ id: page }] : [] } }
    }

  it.each([
    ['ignore', [0, 1], 'limited'],
    ['skip_page', [0, 1, 3], 'limited'],
    ['stop', [0, 1], 'limited'],
    ['empty', [0, 1], 'limited'],
  ])('%s', async (action, expected, end) => {
    server = await api(paged(2, { status: 555, json: { oops: 1 } }))
    const endpoint = { ...pages, response_actions: [{ status_code: '550-559', action }] }
    const found = await read(things(server.origin, endpoint))
    expect(ids(found.records)).toEqual(expected)
    expect(found.end.end).toBe(end)
    expect(found.events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'ignored_response' }))
  })

  it.each([
    ['page_number', { type: 'page_number', total_path: null }],
    ['offset', { type: 'offset', limit: 1, total_path: null }],
  ])('%s does not skip pages without end', async (_type, paginator) => {
    server = await api(() => ({ status: 404 }))
    const endpoint = { ...pages, paginator, response_actions: [{ status_code: 404, action: 'skip_page' }] }
    await expect(read(things(server.origin, endpoint))).rejects.toMatchObject({
      code: 'pagination_loop',
      message: expect.stringContaining('100 pages in a row were skipped'),
    })
    expect(server.asked).toHaveLength(100)
  })

  it.each([
    ['pages', { type: 'page_number', total_path: 'pages' }],
    ['records', { type: 'offset', limit: 1 }],
  ])('skips no more pages than the announced %s', async (_what, paginator) => {
    server = await api(() =>
      server.asked.length === 1 ? { json: { data: [{ id: 0 }], pages: 4, total: 4 } } : undefined,
    )
    const endpoint = { ...pages, paginator, response_actions: [{ status_code: 404, action: 'skip_page' }] }
    const found = await read(things(server.origin, endpoint))
    expect(found.end).toMatchObject({ end: 'limited', reason: expect.stringContaining('was skipped') })
    expect(server.asked).toHaveLength(4)
  })

  it('stop keeps the page', async () => {
    server = await api(paged(2, { json: { data: [{ id: 2 }], note: 'last one' } }))
    const found = await read(
      things(server.origin, { ...pages, response_actions: [{ content: 'last one', action: 'stop' }] }),
    )
    expect(ids(found.records)).toEqual([0, 1, 2])
    expect(found.end.end).toBe('limited')
  })

  it('fail refuses a good status', async () => {
    server = await api(paged(1, { json: { data: [], error: 'quota' } }))
    const endpoint = { ...pages, response_actions: [{ content: 'quota', action: 'fail' }] }
    await expect(read(things(server.origin, endpoint))).rejects.toMatchObject({ code: 'http_status', status: 200 })
  })

  it('retry asks again', async () => {
    let times = 0
    server = await api(url => (++times < 3 ? { json: { busy: true } } : paged(9, {})(url)))
    const endpoint = { ...pages, response_actions: [{ content: 'busy', action: 'retry' }] }
    expect(ids((await read(things(server.origin, endpoint))).records)).toEqual([0, 1, 2, 3])
  })

  it('functions may replace the body, choose an action or fail', async () => {
    server = await api(paged(2, { status: 418, text: 'teapot' }))
    const act = (response: { status: number; text: string }) =>
      response.status === 418 ? { body: '{"data":[{"id":"tea"}]}' } : undefined
    const endpoint = {
      ...pages,
      response_actions: [
        { status_code: 418, action: act },
        { status_code: 418, action: 'fail' },
      ],
    }
    const ended = read(things(server.origin, endpoint))
    await expect(ended).rejects.toMatchObject({ code: 'http_status', status: 418 })
    const failing = {
      ...pages,
      response_actions: [
        () => {
          throw new Error('bad code')
        },
      ],
    }
    await expect(read(things(server.origin, failing))).rejects.toMatchObject({
      code: 'user_function',
      message: expect.stringContaining('bad code'),
    })
  })
})

describe('answers', () => {
  it('an answer without content has no records', async () => {
    server = await api(() => ({ status: 204 }))
    const { records, end } = await read(things(server.origin, { data_selector: 'data', paginator: 'single_page' }))
    expect(records).toEqual([])
    expect(end.end).toBe('proven')
  })

  it.each([
    ['<html>login</html>', 'text/html', /not JSON but text\/html.*login/],
    ['{"data":[1', 'application/json', /ends inside/],
    ['', 'application/json', /nothing but white space/],
    [' \n', 'application/json', /nothing but white space/],
    ['{"data":[1]} extra', 'application/json', /more after the end/],
  ])('%s is an error', async (text, type, message) => {
    server = await api(() => ({ text, type }))
    await expect(
      read(things(server.origin, { data_selector: 'data', paginator: 'single_page' })),
    ).rejects.toMatchObject({
      code: 'response_format',
      message: expect.stringMatching(message),
    })
  })

  it.each([
    ['application/x-ndjson', '{"id":1}\n\n{"id":2.0}\r\n'],
    ['application/jsonl', '\ufeff{"id":1}\n{"id":2}'],
    ['text/csv; charset=utf-8', 'id,name\n1,"a,b"\n2,\n'],
    ['application/json; charset=utf-16', '[{"id":1},{"id":2}]'],
  ])('reads %s', async (type, text) => {
    server = await api(() => ({ text, type }))
    const { records } = await read(things(server.origin, { paginator: 'single_page' }))
    expect(ids(records).map(Number)).toEqual([1, 2])
  })

  it('tells status, URL, body and what to do', async () => {
    server = await api(() => ({ status: 403, json: { error: 'no' } }))
    await expect(read(things(server.origin, { params: { token: 'abcdef' } }))).rejects.toMatchObject({
      code: 'http_status',
      status: 403,
      message: expect.stringMatching(
        /^things: GET \S+\/things\?token=\*\*\* was answered 403 Forbidden, \{"error":"no"\}; .*add `auth`$/,
      ),
    })
  })

  it('names the near miss of a selector', async () => {
    server = await api(() => ({ json: { items: [1], page: 1 } }))
    const wrong = { data_selector: 'itmes', paginator: 'single_page' }
    await expect(read(things(server.origin, wrong))).rejects.toMatchObject({
      code: 'selector',
      path: 'resources[0].endpoint.data_selector',
      message: expect.stringMatching(/"itmes".*keys items, page.*did you mean "items"/),
    })
    const lenient = { ...wrong, data_selector_required: false }
    expect((await read(things(server.origin, lenient))).records).toEqual([])
  })
})

describe('children', () => {
  const document = (origin: string) => ({
    client: { base_url: origin },
    resources: [
      { name: 'zoos', endpoint: { paginator: 'single_page' } },
      {
        name: 'cages',
        include_from_parent: ['id', 'f'],
        endpoint: { path: 'zoos/{resources.zoos.id}/cages', data_selector: 'data', paginator: 'single_page' },
      },
    ],
  })

  it('get values of their parent', async () => {
    server = await api(() => ({ text: '{"data":[{},{"a":1},{"_zoos_id":"mine"}]}' }))
    const parent = { id: 'a/b', f: null }
    const { records } = await read(source(document(server.origin)), 'cages', { parent })
    expect(server.asked).toEqual(['GET /zoos/a/b/cages'])
    expect(records).toEqual([
      { _zoos_id: 'a/b', _zoos_f: null },
      { a: 1, _zoos_id: 'a/b', _zoos_f: null },
      { _zoos_id: 'a/b', _zoos_f: null },
    ])
  })

  it('fail where the parent lacks a key', async () => {
    server = await api(() => ({ json: { data: [] } }))
    await expect(read(source(document(server.origin)), 'cages', { parent: { id: 1 } })).rejects.toMatchObject({
      code: 'placeholder',
      path: 'resources[1].include_from_parent[1]',
      message: expect.stringContaining('its keys are id'),
    })
    expect(server.asked).toEqual([])
  })

  it('are asked for once for each parent, equal ones too, and from the journal afterwards', async () => {
    server = await api(() => ({ json: { data: [{}] } }))
    const [journal, notes] = [memoryJournal(), new ResourceNotes()]
    const parent = { id: 1, f: 2 }
    const first = source(document(server.origin))
    for (let time = 0; time < 2; time++) {
      const [cages] = first.resources.filter(({ name }) => name === 'cages')
      for await (const page of cages!.pages(context({ journal, parent, notes }))) expect(page.count).toBe(1)
    }
    expect(server.asked).toHaveLength(2)
    const resumed = await read(source(document(server.origin)), 'cages', { journal, parent })
    expect(resumed.events).toContainEqual(expect.objectContaining({ type: 'page', fromJournal: true }))
    expect(server.asked).toHaveLength(2)
    await first.close()
  })
})

describe('detection', () => {
  it.each([
    [
      'a Link header',
      [{ headers: { link: '</things?p=2>; rel="prev next"' }, json: [1] }, { json: [2] }],
      ['/things', '/things?p=2'],
    ],
    [
      'a link',
      [{ json: { data: [1], 'next.link': '/things?p=2' } }, { json: { data: [2] } }],
      ['/things', '/things?p=2'],
    ],
    [
      'a nested cursor',
      [{ json: { data: [1], meta: { 'next-cursor': 'c' } } }, { json: { data: [2] } }],
      ['/things', '/things?cursor=c'],
    ],
    [
      'pages counted from one',
      [
        { json: { data: [1], meta: { current_page: 1, total_pages: 2 } } },
        { json: { data: [2], meta: { current_page: 2, total_pages: 2 } } },
      ],
      ['/things', '/things?page=2'],
    ],
    [
      'pages counted from zero',
      [{ json: { data: [1], number: 0, totalPages: 2 } }, { json: { data: [2], number: 1, totalPages: 2 } }],
      ['/things', '/things?page=1'],
    ],
  ] satisfies [string, Answer[], string[]][])('%s', async (_name, answers, urls) => {
    server = await api(() => answers[server.asked.length - 1])
    const { records, events } = await read(things(server.origin))
    expect(records).toEqual([1, 2])
    expect(server.asked).toEqual(urls.map(url => `GET ${url}`))
    expect(events.filter(event => event.type === 'detected')).toHaveLength(2)
  })

  it('does not take a guess for proof', async () => {
    server = await api(() => ({ json: { data: [1], next: false } }))
    expect((await read(things(server.origin))).end.end).toBe('proven')
    await server.close()
    server = await api(() => ({ json: { data: [1] } }))
    expect((await read(things(server.origin))).end.end).toBe('limited')
  })

  it('fails at the first repetition when the guess was wrong', async () => {
    server = await api(() => ({ json: { data: [1], next_id: 'tomorrow' } }))
    await expect(read(things(server.origin))).rejects.toMatchObject({ code: 'pagination_loop' })
    expect(server.asked).toHaveLength(2)
  })

  it('looks again for records where the first page had no list', async () => {
    server = await api(url => ({
      json: url.search === '' ? { items: null, next: '/things?p=2' } : { items: [{ id: 1 }] },
    }))
    expect((await read(things(server.origin))).records.at(-1)).toEqual({ id: 1 })
  })
})
