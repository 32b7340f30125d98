import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { reasonCodes } from '../../src/rest/evidence/evidence.js'
import { seeded } from '../reliability/chance.js'
import { type Answer, read, things } from './listServer.js'
import { load, testApi } from './loading.js'

const page = (...ids: number[]) => ids.map(id => ({ id }))

/** Reads the list of an API that gives these answers in their order; more than there are is a failure. */
async function reading(answers: readonly Answer[], endpoint: object, more: object = {}) {
  const api = await testApi(() => answers[api.asked.length - 1] ?? { status: 410, json: {} })
  return read(things(api.origin, endpoint, more))
}

const json = (body: object): Answer => ({ json: body })
const link = { type: 'json_link', next_url_path: 'next' }
const cursor = { type: 'cursor', cursor_path: 'next' }
const pages = { type: 'page_number', base_page: 1, total_path: null }
const offset = { type: 'offset', limit: 2, total_path: null }

type Ending = [string, string | object, readonly Answer[], 'proven' | 'limited' | 'suspect']

describe('how a list ends', () => {
  it.each<Ending>([
    // What is seen.
    ['a link that is null', link, [json({ data: page(1), next: null })], 'proven'],
    ['a link that was there before', link, [json({ data: page(1), next: '?p=2' }), json({ data: page(2) })], 'proven'],
    ['an empty list', link, [json({ data: [] })], 'proven'],
    ['a cursor that is empty', cursor, [json({ data: page(1), next: '' })], 'proven'],
    ['null where the list was', pages, [json({ data: page(1) }), json({ data: null })], 'proven'],
    [
      'null in place of a list before others',
      { type: 'offset', limit: 1, total_path: null, has_more_path: 'more', stop_after_empty_page: false },
      [json({ data: null, more: true }), json({ data: page(2), more: false })],
      'limited',
    ],
    [
      'an empty list before others',
      { type: 'offset', limit: 1, total_path: null, has_more_path: 'more', stop_after_empty_page: false },
      [json({ data: [], more: true }), json({ data: page(2), more: false })],
      'proven',
    ],
    ['a last page that is empty', pages, [json({ data: page(1) }), json({ data: [] })], 'proven'],
    ['a total that is reached', 'header_link', [json({ data: page(1, 2), total: 2 })], 'proven'],
    [
      'a count in the header',
      'header_link',
      [{ json: { data: page(1) }, headers: { 'x-total-count': '1' } }],
      'proven',
    ],
    ['has_more that is false', link, [json({ data: page(1), has_more: false })], 'proven'],
    [
      'one short page, and has_more that is false',
      offset,
      [json({ data: page(1), has_more: false }), json({ data: [], has_more: false })],
      'proven',
    ],
    [
      'one short page, and a next link that is null',
      offset,
      [json({ data: page(1), next: null }), json({ data: [], next: null })],
      'proven',
    ],
    ['one short page alone', offset, [json({ data: page(1) }), json({ data: [] })], 'limited'],
    [
      'one short page, and a total beside it',
      offset,
      [json({ data: page(1), total: 1 }), json({ data: [], total: 1 })],
      'proven',
    ],
    ...[{ next_cursor: 'abc' }, { count: 150 }, { status: 'error', message: 'export aborted' }, { message: 'x' }].map(
      (last): Ending => [
        `a last record ${JSON.stringify(last)} that is none`,
        'single_page',
        [json({ data: [...page(1, 2), last] })],
        'limited',
      ],
    ),
    ...[
      { error: 'shard 3 failed' },
      { status: 'error', message: 'export aborted' },
      { next_cursor: 'abc' },
      { message: 'rate limit', code: 429 },
    ].flatMap((other): Ending[] => [
      [
        `${JSON.stringify(other)} between records`,
        'single_page',
        [json({ data: [...page(1, 2), other, ...page(3, 4)] })],
        'limited',
      ],
      [`${JSON.stringify(other)} before records`, 'single_page', [json({ data: [other, ...page(1, 2)] })], 'limited'],
    ]),
    ...[
      { error: 'disk full', id: 3 },
      { error: null, thing: 'x' },
      { kind: 'b', count: 3 },
    ].map(
      (other): Ending => [
        `${JSON.stringify(other)}, which is a record, between others`,
        'single_page',
        [json({ data: [...page(1, 2), other, ...page(4)] })],
        'proven',
      ],
    ),
    [
      'a last record of its own kind',
      'single_page',
      [json({ data: [...page(1, 2), { count: 3, thing: 'x' }] })],
      'proven',
    ],
    [
      'a first page that links to a page before it',
      { type: 'page_number', base_page: 1, total_path: null },
      [json({ data: page(1), previous: '/things?page=0' }), json({ data: [] })],
      'limited',
    ],
    [
      'a first page that is not the first',
      { type: 'page_number', base_page: 1, total_path: null },
      [json({ data: page(1), first: false }), json({ data: [] })],
      'limited',
    ],
    [
      'a later page that links to the page before it',
      { type: 'page_number', base_page: 1, total_path: null },
      [
        json({ data: page(1), first: true, previous: null }),
        json({ data: page(2), first: false, previous: '/things?page=1' }),
        json({ data: [] }),
      ],
      'proven',
    ],
    [
      'an error as the last record',
      'single_page',
      [json({ data: [...page(1, 2), { error: 'the scan was aborted' }] })],
      'limited',
    ],
    ['an error as the only record', 'single_page', [json({ data: [{ error: { code: 7 } }] })], 'limited'],
    [
      'a last record that has an error as others have none',
      'single_page',
      [json({ data: [...page(1), { id: 2, error: 'bounced' }] })],
      'proven',
    ],
    [
      'records that are errors',
      'single_page',
      [
        json({
          data: [
            { error: 'E1', at: '2024-01-01' },
            { error: 'E2', at: '2024-01-02' },
          ],
        }),
      ],
      'proven',
    ],
    [
      'a last record that says that nothing failed',
      'single_page',
      [json({ data: [...page(1), { error: null }] })],
      'proven',
    ],
    ['one page, and one page announced', cursor, [json({ data: page(1), meta: { total_pages: 1 } })], 'proven'],
    [
      'other relations',
      'header_link',
      [{ json: { data: page(1) }, headers: { link: '<?p=1>; rel="last"' } }],
      'proven',
    ],
    ['no content', pages, [json({ data: page(1) }), { status: 204 }], 'proven'],
    // A number that is smaller than what came.
    ...[link, cursor, 'header_link' as const].map((paginator): Ending => {
      const leads = (at: number) => (paginator === 'header_link' ? { headers: { link: `<?p=${at}>; rel="next"` } } : {})
      const next = paginator === cursor ? 'c' : '?p=2'
      return [
        `a total that is smaller than what came: ${JSON.stringify(paginator)}`,
        paginator,
        [
          { ...json({ data: page(1, 2), total: 3, next }), ...leads(2) },
          json({ data: page(3, 4), total: 3, next: null }),
        ],
        'limited',
      ]
    }),
    [
      'pages, and a total that is smaller than what came',
      pages,
      [json({ data: page(1, 2), total: 3 }), json({ data: page(3, 4), total: 3 }), json({ data: [], total: 3 })],
      'limited',
    ],
    [
      'pages, and a total that counts them',
      pages,
      [json({ data: page(1, 2), total: 2 }), json({ data: page(3, 4), total: 2 }), json({ data: [], total: 2 })],
      'proven',
    ],
    [
      'offsets, and a total that is smaller than what came',
      offset,
      [json({ data: page(1, 2), total: 3 }), json({ data: page(3, 4), total: 3 }), json({ data: [], total: 3 })],
      'limited',
    ],
    [
      'a value that leads on, and a total that is smaller than what came',
      { type: 'keyset', field: 'id', param: 'after', limit: 2 },
      [json({ data: page(1, 2), total: 3 }), json({ data: page(3, 4), total: 3 }), json({ data: [], total: 3 })],
      'limited',
    ],
    [
      'a total that counts each page',
      link,
      [json({ data: page(1, 2), total: 2, next: '?p=2' }), json({ data: page(3, 4), total: 2, next: null })],
      'proven',
    ],
    [
      'a total up to which the API counted',
      link,
      [
        json({ data: page(1, 2), hits: { total: { value: 3, relation: 'gte' } }, next: '?p=2' }),
        json({ data: page(3, 4), hits: { total: { value: 3, relation: 'gte' } }, next: null }),
      ],
      'proven',
    ],
    [
      'one short page, and a count beside it that is that of the list',
      offset,
      [json({ data: page(1), count: 1 }), json({ data: [], count: 1 })],
      'proven',
    ],
    // What is not seen.
    ['a link that was never there', link, [json({ data: page(1) })], 'limited'],
    ['a cursor that was never there', cursor, [json({ data: page(1) })], 'limited'],
    ['a Link header that never came', 'header_link', [json({ data: page(1) })], 'limited'],
    ['a header that never came', { type: 'header_cursor', cursor_key: 'x-next' }, [json({ data: page(1) })], 'limited'],
    ['a list that is left out at the end', pages, [json({ data: page(1) }), json({ kind: 'x' })], 'limited'],
    // What speaks against it.
    ['single_page and a total', 'single_page', [json({ data: page(1), total: 9 })], 'limited'],
    [
      'single_page and a count elsewhere',
      'single_page',
      [json({ data: page(1), meta: { filter_count: 9 } })],
      'limited',
    ],
    ['single_page and @odata.count', 'single_page', [json({ data: page(1), '@odata.count': 9 })], 'limited'],
    ['single_page and hits', 'single_page', [json({ data: page(1), hits: { total: { value: 9 } } })], 'limited'],
    ...[
      'iTotalRecords',
      'opensearch:totalResults',
      'x:total',
      'full_count',
      'filteredCount',
      'found',
      'total_data',
    ].map(
      (name): Ending => [`single_page and ${name}`, 'single_page', [json({ data: page(1), [name]: 9 })], 'limited'],
    ),
    ['single_page and a flag that is a number', 'single_page', [json({ data: page(1), has_more: 1 })], 'limited'],
    [
      'single_page and a header of JSON',
      'single_page',
      [{ json: { data: page(1) }, headers: { 'x-pagination': '{"TotalCount":9,"PageSize":1}' } }],
      'limited',
    ],
    ...[
      { end: false },
      { final: false },
      { finished: false },
      { is_last: false },
      { lastPage: false },
      { remaining: 7 },
      { meta: { remaining_count: 7 } },
      { metadata: { remainingItemCount: 7 } },
      { nextPage: true },
      { LastEvaluatedKey: { id: { S: 'x' } } },
      { LastEvaluatedKey: 'x' },
      { stats: { total: 9 } },
      { result_info: { total_count: 9 } },
      { IsTruncated: true },
      { NextContinuationToken: 'c' },
      { NextToken: 'c' },
      { NextMarker: 'c' },
      { metadata: { continue: 'c' } },
      { scroll_id: 'c' },
      { search_after: [1, 'c'] },
      { 'hydra:view': { 'hydra:next': '/things?page=2' } },
      { links: { self: '/things?page=1', last: '/things?page=5' } },
    ].flatMap((said): Ending[] => [
      [`single_page and ${JSON.stringify(said)}`, 'single_page', [json({ data: page(1), ...said })], 'limited'],
    ]),
    ...[{ end: false }, { finished: false }, { remaining: 7 }, { nextPage: true }, { LastEvaluatedKey: 'x' }].map(
      (said): Ending => [
        `an empty page that says ${JSON.stringify(said)}`,
        pages,
        [json({ data: page(1) }), json({ data: [], ...said })],
        'limited',
      ],
    ),
    ...[
      { link: '<https://api.example/things?page=5>; rel="last"' },
      { 'x-next-page': '2' },
      { 'x-total-pages': '5' },
      { 'content-range': 'items 0-0/100' },
      { 'content-range': '0-0/100' },
    ].map(
      (headers): Ending => [
        `single_page and ${JSON.stringify(headers)}`,
        'single_page',
        [{ json: { data: page(1) }, headers }],
        'limited',
      ],
    ),
    // What speaks of something else, or of this page.
    ...[
      { end: true, remaining: 0 },
      { rate_limit: { remaining: 4999 } },
      { meta: { remaining: 4999, reset: 1700000000 } },
      { nextPage: false },
      { LastEvaluatedKey: null },
      { search_after: [] },
      { _scroll_id: 'c', hits: { total: { value: 1 } } },
      { links: { self: '/things?page=1', last: '/things?page=1' } },
    ].map(
      (said): Ending => [
        `single_page and ${JSON.stringify(said)}`,
        'single_page',
        [json({ data: page(1), ...said })],
        'proven',
      ],
    ),
    ...[
      'link',
      'x-next-page',
      'x-next-cursor',
      'x-total-pages',
      'x-has-more',
      'x-done',
      'content-range',
      'Content-Range',
    ].map((name): Ending => {
      const headers = {
        link: '<https://api.example/things?page=1>; rel="last"',
        'x-next-page': '',
        'x-next-cursor': 'null',
        'x-total-pages': '1',
        'x-has-more': 'false',
        'x-done': 'true',
        'content-range': 'items 0-0/1',
        'Content-Range': 'bytes 0-99/5000',
      }
      const value = headers[name as keyof typeof headers]
      return [
        `single_page and ${name}: ${value}`,
        'single_page',
        [{ json: { data: page(1) }, headers: { [name]: value } }],
        'proven',
      ]
    }),
    // A flag that alone decides is believed before a next page that is always there; a total may be too small.
    [
      'has_more that is false beside a cursor',
      { ...cursor, has_more_path: 'meta.has_more' },
      [
        json({ data: page(1), next: 'c', links: { next: '/things?p=2' }, meta: { has_more: true } }),
        json({ data: page(2), next: 'd', links: { next: '/things?p=3' }, meta: { has_more: false } }),
      ],
      'proven',
    ],
    [
      'a total that is reached beside an offset',
      { type: 'offset', limit: 3 },
      [json({ data: page(1, 2), total: 2, next_offset: 2 })],
      'limited',
    ],
    [
      'a number of pages that is reached beside a link',
      { type: 'page_number', base_page: 1, total_path: 'pages' },
      [json({ data: page(1), pages: 1, next: '/things?page=2' })],
      'limited',
    ],
    [
      'a total that is reached and has_more that is true, by offset',
      { type: 'offset', limit: 1, has_more_path: 'more' },
      [json({ data: page(1), total: 2, more: true }), json({ data: page(2), total: 2, more: true })],
      'limited',
    ],
    [
      'a total that is reached and has_more that is true, by page number',
      { type: 'page_number', has_more_path: 'more' },
      [json({ data: page(1), total: 2, more: 'yes' }), json({ data: page(2), total: 2, more: 'yes' })],
      'limited',
    ],
    [
      'an empty page before a total that may count records',
      { type: 'page_number' },
      [json({ data: page(1), total: 9 }), json({ data: page(2), total: 9 }), json({ data: [], total: 9 })],
      'limited',
    ],
    [
      'has_more that is false before a total of records',
      { type: 'offset', limit: 1, has_more_path: 'more' },
      [json({ data: page(1), total: 9, more: true }), json({ data: page(2), total: 9, more: false })],
      'limited',
    ],
    [
      'has_more that is false before a configured total of records',
      { type: 'offset', limit: 1, total_path: 'all', has_more_path: 'more' },
      [json({ data: page(1), all: 9, more: true }), json({ data: page(2), all: 9, more: false })],
      'limited',
    ],
    [
      'has_more that is false before a configured total of pages',
      { type: 'page_number', total_path: 'all', has_more_path: 'more' },
      [json({ data: page(1), all: 9, more: true }), json({ data: page(2), all: 9, more: false })],
      'limited',
    ],
    [
      'has_more that is false before a total that may count pages',
      { type: 'page_number', has_more_path: 'more' },
      [json({ data: page(1), total: 3, more: true }), json({ data: page(2), total: 3, more: false })],
      'limited',
    ],
    ['single_page and has_more', 'single_page', [json({ data: page(1), has_more: true })], 'limited'],
    ['single_page and done', 'single_page', [json({ data: page(1), done: false })], 'limited'],
    ['single_page and a next link', 'single_page', [json({ data: page(1), links: { next: '/x?p=2' } })], 'limited'],
    ['single_page and a token', 'single_page', [json({ data: page(1), nextPageToken: 'c' })], 'limited'],
    ['single_page and pages', 'single_page', [json({ data: page(1), meta: { pageCount: 3 } })], 'limited'],
    [
      'single_page and a header',
      'single_page',
      [{ json: { data: page(1) }, headers: { 'x-total-count': '9' } }],
      'limited',
    ],
    [
      'single_page and a Link header',
      'single_page',
      [{ json: { data: page(1) }, headers: { link: '<?p=2>; rel=next' } }],
      'limited',
    ],
    [
      'an empty page before the total',
      pages,
      [json({ data: page(1), total: 3 }), json({ data: [], total: 3 })],
      'limited',
    ],
    [
      'a total that changes',
      pages,
      [
        json({ data: page(1), total: 2 }),
        json({ data: page(2), total: 3 }),
        json({ data: page(3), total: 3 }),
        json({ data: [], total: 3 }),
      ],
      'limited',
    ],
    ['a last link and more announced', link, [json({ data: page(1), next: null, total: 2 })], 'limited'],
    ['an answer in part', link, [{ status: 206, json: { data: page(1), next: null } }], 'limited'],
    ['an answer for several parts', link, [{ status: 207, json: { data: page(1), next: null } }], 'limited'],
    ['errors beside records', link, [json({ data: page(1), errors: [{ message: 'slow' }], next: null })], 'limited'],
    // Whatever an envelope says of more, by the names of many.
    ...[
      { nextPage: true },
      { end: false },
      { final: false },
      { finished: 'false' },
      { isLast: false },
      { last_page: 5 },
      { remaining: 7 },
      { remaining_count: 1 },
      { meta: { items_left: 3 } },
      { stats: { total: 9 } },
      { listMeta: { total: 9 } },
      { LastEvaluatedKey: { id: { S: '1' } } },
      { NextToken: 't' },
      { ContinuationToken: 't' },
      { NextMarker: 'm' },
      { IsTruncated: true },
      { _scroll_id: 's' },
      { cursor: 'c' },
      { pageable: { last: false } },
      { timed_out: true },
      { partial: true },
      { _shards: { total: 5, failed: 1 } },
      { exceededTransferLimit: true },
      { size_limit_exceeded: true },
      { limit_reached: true },
      { endOfRecords: false },
      { UnprocessedKeys: { things: { Keys: [1] } } },
      { failed: [7] },
      { failures: [{ id: 7 }] },
      { exceptions: ['x'] },
      { fault: { code: 'S1' } },
      { message: 'Result limited to 10 rows' },
      { warnings: ['Only the first 10 rows are returned'] },
      { more_items_in_collection: true },
      { resultsTruncated: true },
      { areMoreRecordsAvailable: 'true' },
      { warnings: ['Results truncated: narrow your query'] },
      { meta: { message: 'the list was cut off' } },
    ].map(
      (said): Ending => [
        `single_page and ${JSON.stringify(said)}`,
        'single_page',
        [json({ data: page(1), ...said })],
        'limited',
      ],
    ),
    ...[
      { link: '</things?page=5>; rel="last"' },
      { link: '</things?per_page=1&page=2>; rel=last, </things?page=1>; rel=first' },
      { 'x-next-page': '2' },
      { 'x-total-pages': '4' },
      { 'content-range': 'items 0-0/100' },
      { 'x-has-more': 'true' },
      { 'x-is-last': 'false' },
      { 'x-ms-continuationtoken': 'c' },
      { 'pagination-count': '9' },
      { 'x-paging-total-items': '9' },
    ].map(
      (headers): Ending => [
        `single_page and the header ${JSON.stringify(headers)}`,
        'single_page',
        [{ json: { data: page(1) }, headers }],
        'limited',
      ],
    ),
    ...[
      { end: true },
      { end: 10, start: 0 },
      { nextPage: false },
      { remaining: 0 },
      { LastEvaluatedKey: {} },
      { LastEvaluatedKey: null },
      { _scroll_id: 's', hits: { total: { value: 1 } } },
      { cursor: 'c', has_more: false },
      { pageInfo: { hasNextPage: false, endCursor: 'x' } },
      { last_page: 1 },
      { timed_out: false, _shards: { total: 5, failed: 0 } },
      { message: 'Things of all kinds' },
      { exceededTransferLimit: false },
      { failed: 3, failures: [], UnprocessedKeys: {}, fault: null },
      { endOfRecords: true },
      { message: 'limited to 100 rows per page' },
      { warnings: ['Descriptions are truncated values'] },
    ].map(
      (said): Ending => [
        `single_page and ${JSON.stringify(said)}`,
        'single_page',
        [json({ data: page(1), ...said })],
        'proven',
      ],
    ),
    [
      'a link that stays where has_more alone decides',
      { type: 'cursor', cursor_path: 'meta.after', has_more_path: 'meta.has_more' },
      [json({ data: page(1), meta: { after: 'a', has_more: false }, links: { next: '/things?after=a' } })],
      'proven',
    ],
    [
      'a link that stays, and a flag that nobody named',
      cursor,
      [json({ data: page(1), next: null, has_more: false, links: { next: '/things?after=a' } })],
      'limited',
    ],
    // What an empty page says to its reader.
    ...[
      'please retry',
      'Rate limit exceeded',
      'The service is unavailable',
      'partial result, no data from one shard',
      'Account under review',
    ].map(
      (message): Ending => [
        `null, and "${message}"`,
        pages,
        [json({ data: page(1) }), json({ data: null, message })],
        'limited',
      ],
    ),
    ['an empty list, and a timeout', pages, [json({ data: page(1) }), json({ data: [], msg: 'timed out' })], 'limited'],
    ...['No records found', 'no more data', 'OK', 'Success', 'The result set is empty', 'no errors, end of list'].map(
      (message): Ending => [
        `null, and "${message}"`,
        pages,
        [json({ data: page(1) }), json({ data: null, message })],
        'proven',
      ],
    ),
    [
      'an empty list, and any message',
      pages,
      [json({ data: page(1) }), json({ data: [], message: 'Things' })],
      'proven',
    ],
    [
      'null, and the message of every page',
      pages,
      [
        json({ data: page(1), message: 'Error codes: see docs' }),
        json({ data: null, message: 'Error codes: see docs' }),
      ],
      'proven',
    ],
    // What is known to be wrong.
    [
      'an error in place of a page',
      link,
      [json({ data: page(1), next: '?p=2' }), json({ error: { code: 500 } })],
      'suspect',
    ],
    [
      'errors and null',
      cursor,
      [json({ data: page(1), next: 'c' }), json({ data: null, errors: ['timeout'] })],
      'suspect',
    ],
    ['an error for an empty page', pages, [json({ data: page(1) }), json({ error: 'backend timeout' })], 'suspect'],
    [
      'an error for an empty offset',
      offset,
      [json({ data: page(1, 2) }), json({ data: [], error: 'timeout' })],
      'suspect',
    ],
    [
      'a page between others without its list',
      link,
      [json({ data: page(1), next: '?p=2' }), json({ next: '?p=3' }), json({ data: page(3), next: null })],
      'suspect',
    ],
    [
      'a Link header that is cut',
      'header_link',
      [{ json: { data: page(1) }, headers: { link: '<http://x/?p=2; rel="next"' } }],
      'suspect',
    ],
    ...['<http://x/?p=', '<http://x/?p=1>; rel="first", <http://x/?p=', 'http://x/?p=3'].map(
      (cut): Ending => [
        `a Link header of which ${cut} is left`,
        'header_link',
        [
          { json: { data: page(1) }, headers: { link: '<?p=2>; rel="next"' } },
          { json: { data: page(2) }, headers: { link: cut } },
        ],
        'limited',
      ],
    ),
    [
      'a Link header whose parameters cannot be read',
      'header_link',
      [{ json: { data: page(1) }, headers: { link: '<http://x/?p=2> rel="next"' } }],
      'suspect',
    ],
    [
      'a Link header with a quote that is never closed',
      'header_link',
      [{ json: { data: page(1) }, headers: { link: '<?p=1>; rel="first"; title="oops, <?p=2>; rel="next"' } }],
      'suspect',
    ],
    ...[
      { success: false },
      { ok: false, note: 'late' },
      { status: 'error' },
      { error_code: 17 },
      { errmsg: 'busy' },
    ].map(
      (said): Ending => [
        `an empty page that says ${JSON.stringify(said)}`,
        pages,
        [json({ data: page(1) }), json({ data: [], ...said })],
        'suspect',
      ],
    ),
    ...[{}, 'busy', false].map(
      (data): Ending => [
        `${JSON.stringify(data)} where lists were`,
        pages,
        [json({ data: page(1) }), json({ data })],
        'limited',
      ],
    ),
    [
      'an object where lists were',
      cursor,
      [json({ data: page(1), next: 'c' }), json({ data: { message: 'busy' }, next: null })],
      'limited',
    ],
    // What counts the page, and not the list.
    ...['result_count', 'num_results', 'item_count', 'record_count', 'rowsCount'].map(
      (name): Ending => [`${name} of the page`, cursor, [json({ data: page(1), meta: { [name]: 1 } })], 'limited'],
    ),
    [
      'counts of each page',
      link,
      [
        json({ data: page(1, 2), next: '?p=2', meta: { result_count: 2 } }),
        json({ data: page(3), next: null, meta: { result_count: 1 } }),
      ],
      'proven',
    ],
    ['a search that was not cut short', cursor, [json({ data: page(1), incomplete_results: false })], 'limited'],
    [
      'searches that were not cut short',
      link,
      [
        json({ data: page(1), next: '?p=2', incomplete_results: false }),
        json({ data: page(2), next: null, incomplete_results: false }),
      ],
      'proven',
    ],
    // Words and flags that tell of trouble.
    ...[
      { data: null, message: 'please retry' },
      { data: null, detail: 'backend is slow' },
      { data: null, warnings: ['shard 3 did not answer'] },
      { data: null, meta: { message: 'try again later' } },
      { data: [], message: 'please retry' },
      { data: [], message: 'Insufficient permissions' },
      { data: [], message: 'Invalid API key' },
      { data: [], message: 'Account suspended' },
      { data: [], message: 'Quota reached' },
      { data: [], message: 'Database connection lost' },
      { data: null, partial: true },
      { data: null, timed_out: true },
      { data: [], meta: { throttled: true } },
      { data: [], rate_limited: 'true' },
      { data: [{ id: 2 }], timed_out: true },
      { data: [{ id: 2 }], incomplete_results: true },
      { data: [], _shards: { total: 5, failed: 1 } },
    ].flatMap((said): Ending[] => [
      [
        `the last page says ${JSON.stringify(said)}`,
        pages,
        [json({ data: page(1) }), json(said), json({ data: [] })],
        'limited',
      ],
      [`the only page says ${JSON.stringify(said)}`, 'single_page', [json(said)], 'limited'],
    ]),
    ...[{ status: 'timeout' }, { status: 503 }, { code: 429 }, { status: 'throttled' }].map(
      (said): Ending => [
        `null and ${JSON.stringify(said)}`,
        pages,
        [json({ data: page(1) }), json({ data: null, ...said })],
        'suspect',
      ],
    ),
    ...[
      { message: 'No data found' },
      { message: 'There are no more records.' },
      { message: 'No users found for this page' },
      { message: 'OK' },
      { message: '', warnings: [] },
      { msg: 'success', code: 200 },
      { timed_out: false, partial: false, _shards: { total: 5, failed: 0 } },
      { detail: 'Not found.' },
    ].map(
      (said): Ending => [
        `null and ${JSON.stringify(said)}`,
        pages,
        [json({ data: page(1) }), json({ data: null, ...said })],
        'proven',
      ],
    ),
    ...[{ code: 'E_TIMEOUT', message: 'x' }, { status_code: 'INTERNAL_ERROR' }, { errorCode: 'shard-unavailable' }].map(
      (said): Ending => [
        `an empty list and ${JSON.stringify(said)}`,
        pages,
        [json({ data: page(1) }), json({ data: [], ...said })],
        'suspect',
      ],
    ),
    [
      'an empty list, a number that is no success, and words',
      pages,
      [json({ data: page(1) }), json({ data: [], code: 50001, message: 'system busy2' })],
      'limited',
    ],
    ...[
      { code: 'NO_ERROR', message: 'Fetched users' },
      { code: '00000', message: 'all is well' },
      { code: 1, msg: 'Fetched users' },
    ].map(
      (said): Ending => [
        `an empty list and ${JSON.stringify(said)}`,
        pages,
        [json({ data: page(1) }), json({ data: [], ...said })],
        'proven',
      ],
    ),
    [
      'words that every page has',
      pages,
      [json({ data: page(1), message: 'please cite us' }), json({ data: null, message: 'please cite us' })],
      'proven',
    ],
    [
      'words beside an empty list',
      pages,
      [json({ data: page(1) }), json({ data: [], message: 'Fetched users' })],
      'proven',
    ],
    // What is no total, no error, no envelope.
    ...[
      { code: 'ok', message: '', log_id: '2022' },
      { code: 0, message: 'success' },
      { errorCode: 0, errorMessage: '' },
      { hasError: false, message: null },
      { count: 0, items: [] },
      'none',
      '0',
      'OK',
    ].map(
      (error): Ending => [
        `an error that is none: ${JSON.stringify(error)}`,
        pages,
        [json({ data: page(1), error }), json({ data: [], error })],
        'proven',
      ],
    ),
    ...[{ code: 0, message: 'timeout' }, { code: 500 }, { message: 'no success' }, 'not ok', 7, [{ code: 1 }]].map(
      (error): Ending => [
        `an error that is one: ${JSON.stringify(error)}`,
        pages,
        [json({ data: page(1) }), json({ data: [], error })],
        'suspect',
      ],
    ),
    ['a total of -1', link, [json({ data: page(1), next: null, total: -1 })], 'proven'],
    ['a total of 0 beside records', link, [json({ data: page(1), next: null, total: 0 })], 'proven'],
    [
      'the count of the page',
      link,
      [json({ data: page(1, 2), next: '?p=2', count: 2 }), json({ data: page(3), next: null, count: 1 })],
      'proven',
    ],
    ['errors that are none', link, [json({ data: page(1), next: null, errors: [], error: null })], 'proven'],
    [
      'numbers in the records',
      'single_page',
      [json({ data: [{ id: 1, total: 900, has_more: true, next: '/x' }] })],
      'proven',
    ],
    [
      'totals of other things',
      'single_page',
      [json({ data: page(1), sums: { total: 900 }, total_price: 20 })],
      'proven',
    ],
  ])('%s', async (_what, paginator, answers, expected) => {
    const { end } = await reading(answers, { data_selector: 'data', paginator })
    expect(end, end.reason).toMatchObject({ end: expected })
  })

  it('every reason proves one thing', () => {
    expect(new Set(reasonCodes.values())).toEqual(new Set(['proven', 'limited', 'suspect']))
  })
})

describe('a total that is a lower bound, as of Elasticsearch,', () => {
  const hits = (ids: readonly number[], relation: string) =>
    json({ data: page(...ids), hits: { total: { value: 4, relation } } })

  it.each([
    ['gte', 6],
    ['eq', 4],
  ])('ends a list only where it is exact: %s', async (relation, count) => {
    const answers = [hits([1, 2], relation), hits([3, 4], relation), hits([5, 6], relation), hits([], relation)]
    const paginator = { type: 'offset', limit: 2, total_path: 'hits.total.value' }
    const { records, end } = await reading(answers, { data_selector: 'data', paginator })
    expect(records).toHaveLength(count)
    expect(end.end).toBe('proven')
  })
})

describe('a total that equals a full first page', () => {
  const of = (total: number, ...ids: number[]) => json({ data: page(...ids), total })
  const paginator = { type: 'offset', limit: 2 }

  it.each<[string, readonly Answer[], number, string]>([
    ['may be that of the page', [of(2, 1, 2), of(2, 3, 4), of(2, 5, 6), of(0)], 6, 'proven'],
    ['that changes with a short page proves nothing', [of(2, 1, 2), of(2, 3, 4), of(1, 5), of(0)], 5, 'limited'],
    ['may be that of the list', [of(2, 1, 2), of(2)], 2, 'proven'],
  ])('%s: the next page tells', async (_what, answers, count, expected) => {
    for (const total_path of [undefined, 'total']) {
      const { records, end } = await reading(answers, {
        data_selector: 'data',
        paginator: { ...paginator, total_path },
      })
      expect(records).toHaveLength(count)
      expect(end, end.reason).toMatchObject({ end: expected })
    }
  })
})

describe('a slip of the document', () => {
  it.each<[string, object, object, string]>([
    ['another place', { type: 'json_link', next_url_path: 'links.next' }, { next: '/things?p=2' }, 'next'],
    [
      'another spelling',
      { type: 'cursor', cursor_path: 'meta.nextCursor' },
      { meta: { next_cursor: 'c' } },
      'meta.next_cursor',
    ],
    [
      'a name with dots',
      { type: 'json_link', next_url_path: 'odata.next' },
      { '@odata.nextLink': '/x' },
      '@odata.nextLink',
    ],
    [
      'a cursor of its own name',
      { type: 'cursor', cursor_path: 'cursor' },
      { paging: { cursor: 'c' } },
      'paging.cursor',
    ],
    ['a link and no header', { type: 'header_link' }, { next: '/things?p=2' }, 'next'],
    [
      'the nearest of several places',
      { type: 'cursor', cursor_path: 'meta.nextCursor' },
      { meta: { next_cursor: 'c' }, debug: { next_cursor: 'd' } },
      'meta.next_cursor',
    ],
    [
      'the place that lies least deep',
      { type: 'cursor', cursor_path: 'nextCursor' },
      { next_cursor: 'c', facets: { brand: { next_cursor: 'd' } } },
      'next_cursor',
    ],
  ])('is told with the place: %s', async (_what, paginator, body, place) => {
    const list = reading([json({ data: page(1), ...body })], { data_selector: 'data', paginator })
    await expect(list).rejects.toMatchObject({
      code: 'response_format',
      message: expect.stringContaining(place),
    })
  })
})

describe('the same page again', () => {
  const same = (count: number, more: (index: number) => object): Answer[] =>
    Array.from({ length: count }, (_, index) => json({ data: page(1, 2), ...more(index) }))

  it.each<[string, object, (index: number) => object, object]>([
    ['with a total', { type: 'offset', limit: 2 }, () => ({ total: 9 }), {}],
    ['with a member that changes', offset, took => ({ took }), {}],
    ['with cursors that change', cursor, index => ({ next: `c${index}` }), {}],
    ['with links that change', link, index => ({ next: `?p=${index}` }), {}],
    ['with a key', pages, () => ({}), { primary_key: 'id' }],
  ])('ends the list: %s', async (_what, paginator, more, resource) => {
    const list = reading(same(30, more), { data_selector: 'data', paginator }, resource)
    await expect(list).rejects.toMatchObject({
      code: 'pagination_loop',
      message: expect.stringContaining('max_pages'),
    })
  })

  it.each<[string, object]>([
    ['where records change too', {}],
    ['where the key is declared', { primary_key: 'id' }],
  ])('%s', async (_what, resource) => {
    const answers = Array.from({ length: 30 }, (_, took) =>
      json({
        data: [1, 2].map(id => ({ id, name: `n${id}`, kind: 'x', took })),
        total: 60,
      }),
    )
    const list = reading(answers, { data_selector: 'data', paginator: pages }, resource)
    await expect(list).rejects.toMatchObject({ code: 'pagination_loop' })
  })

  it.each<[string, object, object]>([
    ['without a total', pages, {}],
    ['with a total', { ...offset, limit: 1, total_path: 'total' }, { total: 30 }],
  ])('ends a list of one record a page that changes, %s', async (_what, paginator, more) => {
    const answers = Array.from({ length: 30 }, (_, took) => json({ data: [{ id: 1, name: 'n', took }], ...more }))
    const list = reading(answers, { data_selector: 'data', paginator })
    await expect(list).rejects.toMatchObject({ code: 'pagination_loop' })
  })

  const now = (index: number): string => new Date(Date.now() + index * 13).toISOString()
  it.each<[string, (index: number) => object]>([
    ['the time of the answer and a counter', views => ({ fetched_at: now(views), views })],
    ['such a time that goes evenly', i => ({ fetched_at: new Date(1.7e12 + i * 1000).toISOString(), views: i })],
    ['the time of the answer by another name', views => ({ updated_at: now(views), views })],
    ['milliseconds of the answer', views => ({ ts: Date.now() + views, views })],
    ['an object with them', hits => ({ stats: { servedAt: now(hits) }, hits })],
    ['numbers without a time', index => ({ score: index * 7919, rank: index * 31 })],
    ['times that go to and fro', index => ({ at: 1_700_000_001 + (index % 2 === 0 ? 60 : -60) * index, views: index })],
  ])('ends the list where each record comes again with %s', async (_what, other) => {
    for (const [paginator, more] of [
      [pages, {}],
      [{ ...pages, total_path: 'pages' }, { pages: 50 }],
      [{ ...offset, total_path: 'total' }, { total: 100 }],
      [link, { next: '?p=' }],
    ] as const) {
      const answers = Array.from({ length: 50 }, (_, index) => {
        const next = 'next' in more ? { next: `?p=${index}` } : {}
        return json({ data: [1, 2].map(id => ({ id, name: `n${id}`, kind: 'x', ...other(index) })), ...more, ...next })
      })
      const list = reading(answers, { data_selector: 'data', paginator })
      await expect(list).rejects.toMatchObject({ code: 'pagination_loop' })
    }
  })

  it('ends the list where the declared key comes again, whatever else changes', async () => {
    const answers = Array.from({ length: 50 }, (_, index) =>
      json({ data: [1, 2].map(id => ({ id, at: 1_600_000_001 + index * 77, value: index, site: 's' })), pages: 50 }),
    )
    const list = reading(
      answers,
      { data_selector: 'data', paginator: { ...pages, total_path: 'pages' } },
      { primary_key: 'id' },
    )
    await expect(list).rejects.toMatchObject({
      code: 'pagination_loop',
      message: expect.stringContaining('declare a primary_key with the time'),
    })
  })

  it.each<[string, (index: number) => object]>([
    ['at seconds of chance', index => ({ at: new Date(1.6e12 + index * 77_123).toISOString(), value: index })],
    ['backwards', index => ({ seen: { time: 1_600_000_001 - index * 61 }, value: index / 7 })],
    ['as versions', version => ({ version, text: `t${version}` })],
    ['by a measuredAt', index => ({ measuredAt: 1.6e12 + index * 1001, value: index })],
  ])('is no circle where the same things come later %s', async (_what, other) => {
    const answers = Array.from({ length: 30 }, (_, index) =>
      json({ data: [1, 2].map(id => ({ id, name: `n${id}`, unit: 'C', ...other(index) })) }),
    )
    const { records } = await reading([...answers, json({ data: [] })], { data_selector: 'data', paginator: pages })
    expect(records).toHaveLength(60)
  })

  const days = Array.from({ length: 30 }, (_, day) => `2024-01-${String(day + 1).padStart(2, '0')}`)
  it.each<[string, (day: string, index: number) => object]>([
    ['of days', day => ({ day, value: 1 })],
    ['of dates in an object', date => ({ reading: { date, value: 1 } })],
    ['of hours', (_day, hour) => ({ at: new Date(hour * 3_600_000).toISOString(), value: hour })],
    ['of years', (_day, index) => ({ year: 1990 + index, value: 0 })],
    ['of seconds since 1970', (_day, index) => ({ ts: 1_700_000_040 + index * 60, value: index })],
  ])('is no circle where the same things come with other times: %s', async (_what, at) => {
    const answers = days.map((day, index) =>
      json({ data: [1, 2].map(id => ({ id, name: `n${id}`, unit: 'C', site: 'x', place: 'y', ...at(day, index) })) }),
    )
    const { records, end } = await reading([...answers, json({ data: [] })], {
      data_selector: 'data',
      paginator: pages,
    })
    expect(records).toHaveLength(60)
    expect(end, end.reason).toMatchObject({ end: 'proven' })
  })

  it.each<[string, object, object]>([
    ['a declared key', { primary_key: 'key' }, {}],
    ['a likely key', {}, { name: 'n', kind: 'x' }],
  ])('ends the list where its last records come again in another order each time, by %s', async (_, resource, more) => {
    const random = seeded(1)
    const answers = Array.from({ length: 400 }, () => {
      const keys = Array.from({ length: 12 }, (_, key) => [random(), key] as const).sort(
        ([one], [other]) => one - other,
      )
      return json({ data: keys.map(([, key]) => ({ key, ...more })) })
    })
    const list = reading(answers, { data_selector: 'data', paginator: pages }, resource)
    await expect(list).rejects.toMatchObject({ code: 'pagination_loop', message: expect.stringContaining('max_pages') })
  })

  it('is no circle where records are all equal, on a few pages', async () => {
    const answers = Array.from({ length: 6 }, () => json({ data: [{ up: true }, { up: true }], total: 12 }))
    const paginator = { type: 'offset', limit: 2 }
    const { records, end } = await reading(answers, { data_selector: 'data', paginator })
    expect(records).toHaveLength(12)
    expect(end).toMatchObject({ end: 'limited' })
  })

  it('is no circle where the same things have other values', async () => {
    const days = Array.from({ length: 40 }, (_, at) => at)
    const answers = days.map(at =>
      json({ data: [1, 2].map(id => ({ id, name: `n${id}`, unit: 'C', site: 's', at, value: id + at / 7 })) }),
    )
    const { records } = await reading([...answers, json({ data: [] })], { data_selector: 'data', paginator: pages })
    expect(records).toHaveLength(80)
  })

  it('records that come again make a list unproven', async () => {
    const answers = [json({ data: page(1, 2) }), json({ data: page(2, 3) }), json({ data: [] })]
    const endpoint = { data_selector: 'data', paginator: pages }
    const { end } = await reading(answers, endpoint, { primary_key: 'id' })
    expect(end).toMatchObject({ end: 'limited', reason: expect.stringContaining('came again') })
  })
})

describe('without a selector', () => {
  it('null in the place of a list is no record, and the list is looked for again', async () => {
    const answers = [json({ items: null, next: '?p=2', total: 1 }), json({ items: page(1), next: null, total: 1 })]
    expect((await reading(answers, { paginator: link })).records).toEqual(page(1))
  })

  it.each<[string, object, 'limited' | 'suspect']>([
    ['a record with an error of its own', { id: 1, state: 'failed', attempts: 3, error: 'disk full' }, 'limited'],
    ['an error with the number of its request', { id: 1, jsonrpc: '2.0', error: { code: -32000 } }, 'suspect'],
    ['an error with details', { error: 'too many', status: 500, path: '/things' }, 'suspect'],
  ])('%s', async (_what, body, expected) => {
    const { end } = await reading([json(body)], { paginator: 'single_page' })
    expect(end, end.reason).toMatchObject({ end: expected })
  })

  it('an error is no record', async () => {
    const { end } = await reading([json({ error: 'too many things' })], { paginator: 'single_page' })
    expect(end.end).toBe('suspect')
  })
})

it.each<[string, Buffer, string, unknown, boolean]>([
  ['latin-1 without a charset', Buffer.from('[{"n":"Jos\xe9"}]', 'latin1'), 'application/json', 'Jos\uFFFD', true],
  [
    'latin-1 that says so',
    Buffer.from('[{"n":"Jos\xe9"}]', 'latin1'),
    'application/json; charset=latin1',
    'José',
    false,
  ],
  ['UTF-8', Buffer.from('[{"n":"José"}]'), 'application/json', 'José', false],
  [
    'a charset that is not known',
    Buffer.from('[{"n":"Jos\xe9"}]', 'latin1'),
    'text/json; charset=x-9',
    'Jos\uFFFD',
    true,
  ],
])('bytes that are no text are a warning: %s', async (_what, body, type, expected, warns) => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': type }).end(body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const { port } = server.address() as AddressInfo
    const { records, events } = await read(things(`http://127.0.0.1:${port}`, { paginator: 'single_page' }))
    expect(records).toEqual([{ n: expected }])
    expect(events.some(event => event.type === 'warning' && event.code === 'text_changed')).toBe(warns)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

describe('a name that comes twice', () => {
  const text = (body: string): Answer => ({ text: body })
  it.each<Ending>([
    ['the list', pages, [text('{"data":[{"id":1}],"data":[{"id":2}]}'), json({ data: [] })], 'limited'],
    ['the list, the last time empty', pages, [text('{"data":[{"id":1}],"data":[]}')], 'limited'],
    ['the list, the last time null', pages, [text('{"data":[{"id":1}],"data":null}')], 'limited'],
    ['the list on a later page', pages, [json({ data: page(1) }), text('{"data":[{"id":2}],"data":[]}')], 'limited'],
    [
      'the list with an escape in its name',
      'single_page',
      [text('{"data":[{"id":1}],"d\\u0061ta":[{"id":2}]}')],
      'limited',
    ],
    [
      'an object around the list',
      { type: 'json_link', next_url_path: 'next' },
      [text('{"d":{"data":[{"id":1}]},"next":null,"d":{"data":[{"id":2}]}}')],
      'limited',
    ],
    [
      'the list inside another object',
      link,
      [text('{"d":{"data":[{"id":1}],"data":[{"id":2}]},"next":null}')],
      'limited',
    ],
    ['the link', link, [text('{"data":[{"id":1}],"next":"?p=2","next":null}')], 'limited'],
    ['a flag', 'single_page', [text('{"data":[{"id":1}],"has_more":true,"has_more":false}')], 'limited'],
    [
      'a cursor below a name that comes twice',
      { type: 'cursor', cursor_path: 'deep.down.next' },
      [text('{"data":[{"id":1}],"deep":{"down":{"next":"x","next":null}}}')],
      'limited',
    ],
    ['a total', link, [text('{"data":[{"id":1}],"total":2,"total":1,"next":null}')], 'limited'],
    // What hides nothing.
    ['equal values', link, [text('{"data":[{"id":1}],"next":null,"data":[{"id":1}],"next":null}')], 'proven'],
    ['a member of a record', link, [text('{"data":[{"id":1,"a":1,"a":2}],"next":null}')], 'proven'],
  ])('%s', async (_, paginator, answers, end) => {
    const selector = answers.some(({ text: body }) => body?.includes('"d":') === true) ? 'd.data' : 'data'
    const { end: ended } = await reading(answers, { path: 'things', paginator, data_selector: selector })
    expect(ended).toMatchObject({ end })
    if (end === 'limited') expect(ended.reason).toMatch(/has ".+" twice/)
  })

  it('counts for a path that goes through every object, and for one record', async () => {
    const body = (text: string) =>
      reading([{ text }], { path: 'things', paginator: 'single_page', data_selector: 'g[*].data' })
    expect((await body('{"g":[{"data":[{"id":1}]},{"data":[{"id":2}],"data":[]}]}')).end.end).toBe('limited')
    const one = await reading([{ text: '{"id":1,"name":"a","name":"b"}' }], {
      path: 'things',
      paginator: 'single_page',
      data_selector: '$',
    })
    expect(one.end.end).toBe('proven')
    expect(one.records).toMatchObject([{ name: 'b' }])
  })
})

it.each([
  ['a flag', { done_path: 'done', stop_after_empty_page: false }],
  ['a flag that leads on', { has_more_path: 'more' }],
  ['an empty page', {}],
])('a named total that is less than what arrived is told where %s ends the list', async (_what, end) => {
  const { origin } = await testApi(url => {
    const isFirst = url.searchParams.get('offset') === '0'
    const data = isFirst ? page(1, 2, 3, 4) : url.searchParams.get('offset') === '4' ? page(6, 7) : []
    return json({ data, count: isFirst ? 5 : -1, done: !isFirst, more: isFirst })
  })
  const { result } = await load({
    client: { base_url: origin },
    resources: [
      {
        name: 'things',
        primary_key: 'id',
        endpoint: { data_selector: 'data', paginator: { type: 'offset', limit: 4, total_path: 'count', ...end } },
      },
    ],
  })
  expect(result.receipts[0]).toMatchObject({ verdict: 'unproven', records: 6 })
  expect(result.receipts[0]?.reasons.join()).toContain('announced 5 records, 6 arrived')
})

it('a named number of pages that changes is a doubt where a flag ends the list', async () => {
  const answer = (sheets: number, done: boolean, ...ids: number[]) => json({ data: page(...ids), sheets, done })
  const paginator = { type: 'page_number', base_page: 1, total_path: 'sheets', done_path: 'done' }
  const { end } = await reading([answer(3, false, 1), answer(2, true, 2)], { data_selector: 'data', paginator })
  expect(end).toMatchObject({ end: 'limited', reason: expect.stringContaining('announced 3 pages and then 2') })
})

it('a last page without keys that comes again and again, each time shuffled, ends', { timeout: 60_000 }, async () => {
  const random = seeded(7)
  const names = Array.from({ length: 30 }, (_, index) => `n${10 + index}`)
  const shuffled = () => names.map(name => ({ name, at: random() })).toSorted((one, other) => one.at - other.at)
  const api = await testApi(url => {
    if (Number(url.searchParams.get('page')) > 1_000) return { status: 410, json: {} }
    return json({ data: shuffled().map(({ name }) => ({ name })) })
  })
  const list = read(things(api.origin, { data_selector: 'data', paginator: pages }, {}))
  await expect(list).rejects.toMatchObject({
    code: 'pagination_loop',
    message: expect.stringContaining('in another order'),
  })
})
