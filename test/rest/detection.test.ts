import { describe, expect, it } from 'vitest'
import { type Answer, read, things } from './listServer.js'
import { testApi } from './loading.js'

const page = (...ids: number[]) => ids.map(id => ({ id }))

/** Answers in their order; then none any more. */
async function answering(answers: readonly Answer[], endpoint: object = {}) {
  const api = await testApi(() => answers[api.asked.length - 1])
  const list = read(things(api.origin, endpoint))
  return { api, list }
}

describe('a style that an answer shows is followed', () => {
  it.each<[string, object, string, object?]>([
    ['OData 4', { value: page(1), '@odata.nextLink': '/things?$skip=1' }, 'GET /things?$skip=1'],
    ['OData 3', { value: page(1), 'odata.nextLink': '/things?$skip=1' }, 'GET /things?$skip=1'],
    ['Salesforce', { records: page(1), done: false, nextRecordsUrl: '/query/2' }, 'GET /query/2'],
    ['HAL', { _embedded: { a: page(1) }, _links: { next: { href: '/things?p=2' } } }, 'GET /things?p=2'],
    [
      'FHIR',
      {
        link: [
          { relation: 'self', url: '/a' },
          { relation: 'next', url: '/a?p=2' },
        ],
        entry: page(1),
      },
      'GET /a?p=2',
    ],
    ['MLflow', { runs: page(1), next_page_token: 'c' }, 'GET /things?page_token=c'],
    ['Google', { items: page(1), nextPageToken: 'c' }, 'GET /things?pageToken=c'],
    ['AWS', { Things: page(1), NextToken: 'c' }, 'GET /things?NextToken=c'],
    ['Kubernetes', { items: page(1), metadata: { continue: 'c' } }, 'GET /things?continue=c'],
    ['HubSpot', { results: page(1), paging: { next: { after: 'c' } } }, 'GET /things?after=c'],
    ['Airtable', { records: page(1), offset: 'itr/rec' }, 'GET /things?offset=itr%2Frec'],
    ['Dropbox', { entries: page(1), cursor: 'c', has_more: true }, 'GET /things?cursor=c'],
    [
      'Asana',
      { data: page(1), next_page: { offset: 'c', path: '/x', uri: '/things?offset=c' } },
      'GET /things?offset=c',
    ],
    ['a number of the next page', { items: page(1), next_page: 2 }, 'GET /things?cursor=2'],
    [
      'the number of the page in the body',
      { items: page(1), page: 1, pages: 2 },
      'POST /things {"limit":1,"page":2}',
      { method: 'POST', json: { limit: 1, page: 1 } },
    ],
    [
      'the number deep in the body',
      { items: page(1), page: 1, pages: 2 },
      'POST /things {"paging":{"pageNumber":2}}',
      { method: 'POST', json: { paging: { pageNumber: 1 } } },
    ],
    [
      'a body without the number',
      { items: page(1), page: 1, pages: 2 },
      'POST /things {"filter":{},"page":2}',
      { method: 'POST', json: { filter: {} } },
    ],
    [
      'the number in a form',
      { items: page(1), page: 1, pages: 2 },
      'POST /things q=a&page=2',
      { method: 'POST', data: { page: 1, q: 'a' } },
    ],
    [
      'the number in the query of a POST',
      { items: page(1), page: 1, pages: 2 },
      'POST /things?page=2 {"q":"a"}',
      { method: 'POST', params: { page: 1 }, json: { q: 'a' } },
    ],
    [
      'the number under a name of its own',
      { items: page(1), page: 1, pages: 2 },
      'GET /things?pageNumber=2',
      { params: { pageNumber: 1 } },
    ],
    [
      'the number in the query of the path',
      { items: page(1), page: 1, pages: 2 },
      'GET /things?a=1&pageNumber=2',
      { path: 'things?a=1&pageNumber=1' },
    ],
    [
      'a cursor in the body',
      { items: page(1), next_cursor: 'c' },
      'POST /things {"cursor":"c"}',
      { method: 'POST', json: { cursor: null } },
    ],
    [
      'GraphQL',
      { data: { things: { nodes: page(1), pageInfo: { endCursor: 'c', hasNextPage: true } } } },
      'POST /things {"query":"q","variables":{"after":"c"}}',
      { method: 'POST', json: { query: 'q', variables: { after: null } } },
    ],
  ])('%s', async (_style, body, second, endpoint = {}) => {
    const { api, list } = await answering([{ json: body }, { json: [] }], endpoint)
    await list.catch(() => undefined)
    expect(api.asked[1]).toBe(second)
  })
})

describe('what only looks like a way on', () => {
  it.each([
    'next_billing_date',
    'next_run',
    'nextPaymentAttempt',
    'next_event',
    'next_review_at',
    'nextOwner',
    'next_action',
  ])('%s of one object is no cursor', async key => {
    const { api, list } = await answering([{ json: { id: 7, [key]: '2026-01-01' } }])
    expect(await list).toMatchObject({ records: [{ id: 7 }], end: { end: 'limited' } })
    expect(api.asked).toHaveLength(1)
  })

  it('says what to do where a guess goes in circles', async () => {
    const { list } = await answering([{ json: { id: 1, next_id: 8 } }, { json: { id: 1, next_id: 8 } }])
    await expect(list).rejects.toMatchObject({
      code: 'pagination_loop',
      message: expect.stringContaining('single_page'),
    })
  })

  it.each([0, -1])('%d is no number of pages', async pages => {
    const { list } = await answering([{ json: { items: page(1), page: 1, pages } }])
    expect(await list).toMatchObject({ end: { end: 'limited' } })
  })
})

describe('a guess is no proof', () => {
  it.each<[string, Answer, string]>([
    ['nothing is said', { json: { items: page(1) } }, 'limited'],
    ['more is said', { json: { items: page(1), has_more: true } }, 'suspect'],
    ['a count may be that of the page', { json: { items: page(1), count: 1 } }, 'limited'],
    ['a total is greater', { json: { items: page(1), total: 2 } }, 'suspect'],
    ['the link is null below a greater total', { json: { items: page(1), next: null, count: 2 } }, 'limited'],
    ['has_more is false below a greater total', { json: { items: page(1), has_more: false, total: 2 } }, 'suspect'],
    ['a total of something else', { json: { items: page(1), basket: { total: 1 } } }, 'limited'],
    ['a size that is the number of records by chance', { json: { items: page(1), total_size: 1 } }, 'limited'],
    ['a total in meta is reached', { json: { items: page(1), meta: { total_count: 1 } } }, 'proven'],
    ['a total is reached', { json: { items: page(1), total: 1 } }, 'proven'],
    ['a total of Elasticsearch is reached', { json: { hits: { total: { value: 1 }, hits: page(1) } } }, 'proven'],
    ['has_more is false', { json: { items: page(1), has_more: false } }, 'proven'],
    ['last is true', { json: { content: page(1), last: true } }, 'proven'],
    ['the link is null', { json: { items: page(1), next: null } }, 'proven'],
    ['the cursor is empty', { json: { items: page(1), response_metadata: { next_cursor: '' } } }, 'proven'],
  ])('%s', async (_what, answer, end) => {
    const { list } = await answering([answer])
    expect((await list).end.end).toBe(end)
  })

  it.each<[string, Answer, Answer, string]>([
    [
      'a link in the body after a Link header',
      { headers: { link: '</things?p=2>; rel="next"' }, json: { items: page(1) } },
      { json: { items: page(2), next: '/things?p=3' } },
      'suspect',
    ],
    [
      'a Link header after a link in the body',
      { json: { items: page(1), next: '/things?p=2' } },
      { headers: { link: '</things?p=3>; rel="next"' }, json: { items: page(2) } },
      'suspect',
    ],
    [
      'a link elsewhere',
      { json: { items: page(1), next: '/things?p=2' } },
      { json: { items: page(2), links: { next: '/things?p=3' } } },
      'suspect',
    ],
    [
      'a cursor after a link',
      { json: { items: page(1), next: '/things?p=2' } },
      { json: { items: page(2), next_cursor: 'c' } },
      'limited',
    ],
    [
      'more is said without a link',
      { json: { items: page(1), next: '/things?p=2' } },
      { json: { items: page(2), has_more: true } },
      'suspect',
    ],
    [
      'a number of pages after a link',
      { json: { items: page(1), next: '/things?p=2' } },
      { json: { items: page(2), page: 2, pages: 3 } },
      'limited',
    ],
    [
      'a link after a number of pages',
      { json: { items: page(1), page: 1, pages: 2 } },
      { json: { items: page(2), page: 2, pages: 2, next: '/things?p=3' } },
      'suspect',
    ],
    [
      'another page than the one asked for',
      { json: { items: page(1), page: 1, pages: 2 } },
      { json: { items: page(2), page: 1, pages: 2 } },
      'suspect',
    ],
  ])('another style on page 2: %s', async (_what, first, second, end) => {
    const { api, list } = await answering([first, second])
    const { records, end: ended } = await list
    expect(records).toEqual(page(1, 2))
    expect(ended.end).toBe(end)
    expect(api.asked).toHaveLength(2)
  })

  it('the same style to the end is proof enough', async () => {
    const { list } = await answering([
      { json: { items: page(1), number: 0, totalPages: 2, last: false } },
      { json: { items: page(2), number: 1, totalPages: 2, last: true } },
    ])
    expect(await list).toMatchObject({ records: page(1, 2), end: { end: 'proven' } })
  })
})

describe('a key with dots that is there exactly', () => {
  it.each<[string, object, object]>([
    ['next_url_path', { type: 'json_link', next_url_path: '@odata.nextLink' }, { '@odata.nextLink': '/things?p=2' }],
    ['next_url_path with dots', { type: 'json_link', next_url_path: 'page.next' }, { 'page.next': '/things?p=2' }],
    ['cursor_path', { type: 'cursor', cursor_path: 'page.cursor', cursor_param: 'p' }, { 'page.cursor': '2' }],
    ['total_path', { type: 'offset', limit: 1, offset_param: 'p', total_path: '@odata.count' }, { '@odata.count': 2 }],
  ])('%s', async (_what, paginator, more) => {
    const api = await testApi(url => ({
      json: ['2', '1'].includes(url.searchParams.get('p') ?? '')
        ? { value: page(2), '@odata.count': 2 }
        : { value: page(1), ...more },
    }))
    const { records } = await read(things(api.origin, { data_selector: 'value', paginator }))
    expect(records).toEqual(page(1, 2))
  })

  it('data_selector', async () => {
    const api = await testApi(() => ({ json: { 'odata.value': page(1, 2) } }))
    const { records } = await read(things(api.origin, { data_selector: 'odata.value', paginator: 'single_page' }))
    expect(records).toEqual(page(1, 2))
  })

  it('the path that is meant wins where both are there', async () => {
    const api = await testApi(() => ({ json: { a: { b: page(1) }, 'a.b': page(2) } }))
    const { records } = await read(things(api.origin, { data_selector: 'a.b', paginator: 'single_page' }))
    expect(records).toEqual(page(1))
  })
})

it('takes the records and not the links beside them', async () => {
  const api = await testApi(() => ({ json: { link: [{ relation: 'self', url: '/a' }], entry: page(1, 2), total: 2 } }))
  expect((await read(things(api.origin))).records).toEqual(page(1, 2))
})
