import { expect, test } from 'vitest'
import { duckdb, type Finding, type Proof, type ProofStatus, pipeline, prove, restApi } from '../../src/index.js'
import type { JsonValue } from '../../src/json/value.js'
import { fakeClock } from '../rest/clientServer.js'
import { testApi } from '../rest/loading.js'
import { provenApi, type Traits } from './provenApis.js'

interface Case {
  readonly kind: string
  readonly api: Traits
  readonly endpoint?: object
  readonly resource?: object
  /** Status by the end of the key: the paginator itself is ''. */
  readonly expects: Readonly<Record<string, ProofStatus>>
  /** What to write instead, by the end of the key. */
  readonly writes?: Readonly<Record<string, unknown>>
}

const page = (more: object = {}) => ({ type: 'page_number', base_page: 1, total_path: null, ...more })
const offset = (more: object = {}) => ({ type: 'offset', limit: 5, total_path: null, ...more })
const cursor = (more: object = {}) => ({ type: 'cursor', cursor_path: 'next', ...more })
const keyset = (more: object = {}) => ({ type: 'keyset', field: 'id', param: 'after', limit: 5, ...more })
const since = (more: object = {}) => ({
  cursor_path: 'updated',
  initial_value: '2026-01-01T00:00:00.000Z',
  start_param: 'since',
  ...more,
})

const PAGING = 'paginator'

const cases: readonly Case[] = [
  // Page numbers.
  {
    kind: 'pages from 1',
    api: { way: 'page1' },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'proven', stop_after_empty_page: 'proven', primary_key: 'proven', data_selector: 'proven' },
  },
  {
    kind: 'pages from 0',
    api: { way: 'page0' },
    endpoint: { paginator: page({ base_page: 0 }) },
    expects: { [PAGING]: 'proven', stop_after_empty_page: 'proven' },
  },
  {
    kind: 'pages from 0, written as from 1',
    api: { way: 'page0' },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'wrong' },
    writes: { base_page: 0 },
  },
  {
    kind: 'pages from 1, written as from 0',
    api: { way: 'page1' },
    endpoint: { paginator: page({ base_page: 0 }) },
    expects: { [PAGING]: 'wrong' },
    writes: { base_page: 1 },
  },
  {
    kind: 'another name of the page',
    api: { way: 'page1', names: { position: 'p' } },
    endpoint: { paginator: page({ page_param: 'p' }) },
    expects: { [PAGING]: 'proven' },
  },
  {
    kind: 'a page that is not asked for by this name',
    api: { way: 'page1', names: { position: 'pageNumber' }, total: 'records' },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'wrong' },
  },
  {
    kind: 'pages that are an offset',
    api: { way: 'offset', total: 'records' },
    endpoint: { paginator: page(), params: { limit: 5 } },
    expects: { [PAGING]: 'wrong' },
    writes: { paginator: expect.objectContaining({ type: 'offset', limit: 5 }) },
  },
  {
    kind: 'number of pages',
    api: { way: 'page1', total: 'pages' },
    endpoint: { paginator: page({ total_path: 'total' }) },
    expects: { [PAGING]: 'proven', total_path: 'proven' },
  },
  {
    kind: 'number of records as that of pages',
    api: { way: 'page1', total: 'records' },
    endpoint: { paginator: page({ total_path: 'total' }) },
    expects: { [PAGING]: 'proven', total_path: 'wrong' },
    writes: { total_path: null },
  },
  {
    kind: '404 behind the end',
    api: { way: 'page1', beyond: '404' },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'proven', stop_after_empty_page: 'wrong' },
    writes: { response_actions: [{ status_code: 404, action: 'stop', proves_end: true }] },
  },
  {
    kind: '400 behind the end',
    api: { way: 'page1', beyond: '400' },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'proven', stop_after_empty_page: 'wrong' },
  },
  {
    kind: '404 behind the end, which a total keeps away',
    api: { way: 'page1', beyond: '404', total: 'pages' },
    endpoint: { paginator: page({ total_path: 'total' }) },
    expects: { [PAGING]: 'proven', total_path: 'proven' },
  },
  {
    kind: 'the last page again behind the end',
    api: { way: 'page1', beyond: 'last_again', total: 'pages', records: 10 },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'proven', stop_after_empty_page: 'wrong' },
  },
  {
    kind: 'the first page again behind the end',
    api: { way: 'page1', beyond: 'first_again' },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'proven', stop_after_empty_page: 'wrong' },
  },
  {
    kind: 'the first page again behind the end, with a total',
    api: { way: 'page1', beyond: 'first_again', total: 'pages' },
    endpoint: { paginator: page({ total_path: 'total' }) },
    expects: { [PAGING]: 'proven', total_path: 'proven' },
  },
  {
    kind: 'pages that wrap around',
    api: { way: 'page1', wraps: true, records: 10 },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'proven', stop_after_empty_page: 'wrong' },
  },
  {
    kind: 'a page parameter that is ignored',
    api: { way: 'page1', ignores: 'position', total: 'records' },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'wrong' },
  },
  {
    kind: 'a list of one page',
    api: { way: 'page1', records: 3 },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'assumed', primary_key: 'assumed' },
  },
  {
    kind: 'an empty list',
    api: { way: 'page1', records: 0 },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'assumed' },
  },
  {
    kind: 'a full last page',
    api: { way: 'page1', records: 20, total: 'pages' },
    endpoint: { paginator: page({ total_path: 'total' }) },
    expects: { [PAGING]: 'proven', total_path: 'proven' },
  },
  {
    kind: 'a flag of pages',
    api: { way: 'page1', flag: 'has_more' },
    endpoint: { paginator: page({ has_more_path: 'has_more' }) },
    expects: { [PAGING]: 'proven', has_more_path: 'proven' },
  },
  {
    kind: 'a flag of pages that means the opposite',
    api: { way: 'page1', flag: 'last' },
    endpoint: { paginator: page({ has_more_path: 'last' }) },
    expects: { has_more_path: 'wrong' },
    writes: { done_path: 'last', has_more_path: null },
  },
  {
    kind: 'the flag of the last page',
    api: { way: 'page1', flag: 'last' },
    endpoint: { paginator: page({ done_path: 'last' }) },
    expects: { done_path: 'proven' },
  },
  {
    kind: 'a flag that never ends',
    api: { way: 'page1', flag: 'always' },
    endpoint: { paginator: page({ has_more_path: 'has_more' }) },
    expects: { has_more_path: 'wrong' },
  },
  {
    kind: 'a flag that is not there',
    api: { way: 'page1' },
    endpoint: { paginator: page({ has_more_path: 'more' }) },
    expects: { has_more_path: 'wrong' },
  },
  {
    kind: 'the size of pages',
    api: { way: 'page1' },
    endpoint: { paginator: page(), params: { per_page: 5 } },
    expects: { 'params.per_page': 'proven' },
  },
  {
    kind: 'a size that is capped',
    api: { way: 'page1' },
    endpoint: { paginator: page(), params: { per_page: 50 } },
    expects: { 'params.per_page': 'wrong' },
    writes: { per_page: 5 },
  },
  {
    kind: 'a size that is ignored',
    api: { way: 'page1', sizes: 'ignored' },
    endpoint: { paginator: page(), params: { per_page: 2 } },
    expects: { 'params.per_page': 'wrong' },
  },
  {
    kind: 'page 2 is refused for its credentials',
    api: { way: 'page1', fails: (_n, hasPosition) => (hasPosition && _n > 1 ? 401 : undefined) },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'assumed' },
  },
  {
    kind: 'page 2 fails',
    api: { way: 'page1', fails: n => (n > 1 ? 500 : undefined) },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'assumed' },
  },
  {
    kind: 'an API that limits requests now and then',
    api: { way: 'page1', fails: n => (n === 2 ? 429 : undefined) },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'proven' },
  },
  {
    kind: 'an API that tells its limits',
    api: { way: 'page1', rateLimit: true },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'proven' },
  },
  // Offsets.
  {
    kind: 'offsets',
    api: { way: 'offset' },
    endpoint: { paginator: offset() },
    expects: { [PAGING]: 'proven', limit: 'proven', stop_after_empty_page: 'proven', primary_key: 'proven' },
  },
  {
    kind: 'offsets with a total',
    api: { way: 'offset', total: 'records' },
    endpoint: { paginator: offset({ total_path: 'total' }) },
    expects: { [PAGING]: 'proven', total_path: 'proven' },
  },
  {
    kind: 'offsets with the total that is looked for',
    api: { way: 'offset', total: 'records' },
    endpoint: { paginator: { type: 'offset', limit: 5 } },
    expects: { [PAGING]: 'proven', total_path: 'proven' },
  },
  {
    kind: 'a total that is too small',
    api: { way: 'offset', total: 'too_small' },
    endpoint: { paginator: offset({ total_path: 'total' }) },
    expects: { total_path: 'wrong' },
    writes: { total_path: null },
  },
  {
    kind: 'a total that is too large',
    api: { way: 'offset', total: 'too_large' },
    endpoint: { paginator: offset({ total_path: 'total' }) },
    expects: { total_path: 'wrong' },
    writes: { total_path: null },
  },
  {
    kind: 'a total that is not there',
    api: { way: 'offset' },
    endpoint: { paginator: offset({ total_path: 'count' }) },
    expects: { total_path: 'wrong' },
    writes: { total_path: null },
  },
  {
    kind: 'a limit that is capped',
    api: { way: 'offset' },
    endpoint: { paginator: offset({ limit: 100 }) },
    expects: { [PAGING]: 'proven', limit: 'wrong' },
    writes: { limit: 5 },
  },
  {
    kind: 'a limit that is ignored',
    api: { way: 'offset', sizes: 'ignored' },
    endpoint: { paginator: offset({ limit: 2 }) },
    expects: { limit: 'wrong' },
    writes: { limit: 5 },
  },
  {
    kind: 'a limit whatever its size',
    api: { way: 'offset', sizes: 'always' },
    endpoint: { paginator: offset({ limit: 8 }) },
    expects: { [PAGING]: 'proven', limit: 'proven' },
  },
  {
    kind: 'an offset from 1',
    api: { way: 'offset1' },
    endpoint: { paginator: offset({ offset: 1 }) },
    expects: { [PAGING]: 'proven' },
  },
  {
    kind: 'an offset from 1, written as from 0',
    api: { way: 'offset1' },
    endpoint: { paginator: offset() },
    expects: { [PAGING]: 'wrong' },
    writes: { offset: 1 },
  },
  {
    kind: 'an offset from 0, written as from 1',
    api: { way: 'offset' },
    endpoint: { paginator: offset({ offset: 1 }) },
    expects: { [PAGING]: 'wrong' },
    writes: { offset: 0 },
  },
  {
    kind: 'an offset that counts pages',
    api: { way: 'offset_of_pages', records: 200 },
    endpoint: { paginator: offset() },
    expects: { [PAGING]: 'wrong' },
    writes: { paginator: expect.objectContaining({ type: 'page_number' }) },
  },
  {
    kind: 'an offset that is ignored',
    api: { way: 'offset', ignores: 'position', total: 'records' },
    endpoint: { paginator: offset() },
    expects: { [PAGING]: 'wrong' },
  },
  {
    kind: 'an offset of another name',
    api: { way: 'offset', names: { position: 'skip' }, total: 'records' },
    endpoint: { paginator: offset() },
    expects: { [PAGING]: 'wrong' },
    writes: { paginator: expect.objectContaining({ offset_param: 'skip' }) },
  },
  {
    kind: '404 behind the last offset',
    api: { way: 'offset', beyond: '404' },
    endpoint: { paginator: offset() },
    expects: { stop_after_empty_page: 'wrong' },
  },
  {
    kind: 'offsets that wrap around',
    api: { way: 'offset', wraps: true, records: 10 },
    endpoint: { paginator: offset() },
    expects: { stop_after_empty_page: 'wrong' },
  },
  {
    kind: 'an offset with a flag',
    api: { way: 'offset', flag: 'has_more' },
    endpoint: { paginator: offset({ has_more_path: 'has_more' }) },
    expects: { [PAGING]: 'proven', has_more_path: 'proven' },
  },
  {
    kind: 'an offset with a flag that means the opposite',
    api: { way: 'offset', flag: 'has_more' },
    endpoint: { paginator: offset({ done_path: 'has_more' }) },
    expects: { done_path: 'wrong' },
    writes: { has_more_path: 'has_more', done_path: null },
  },
  {
    kind: 'an offset where the API has cursors',
    api: { way: 'cursor' },
    endpoint: { paginator: offset() },
    expects: { [PAGING]: 'wrong' },
    writes: { paginator: expect.objectContaining({ type: 'cursor', cursor_path: 'next' }) },
  },
  // Cursors.
  {
    kind: 'cursors',
    api: { way: 'cursor' },
    endpoint: { paginator: cursor() },
    expects: { [PAGING]: 'proven', primary_key: 'proven' },
  },
  {
    kind: 'cursors, to the end',
    api: { way: 'cursor', records: 12, total: 'records' },
    endpoint: { paginator: cursor({ total_path: 'total' }) },
    expects: { [PAGING]: 'proven', total_path: 'proven' },
  },
  {
    kind: 'cursors with a total that is too large',
    api: { way: 'cursor', records: 12, total: 'too_large' },
    endpoint: { paginator: cursor({ total_path: 'total' }) },
    expects: { total_path: 'wrong' },
  },
  {
    kind: 'cursors with a total that is too small',
    api: { way: 'cursor', records: 12, total: 'too_small' },
    endpoint: { paginator: cursor({ total_path: 'total' }) },
    expects: { total_path: 'wrong' },
  },
  {
    kind: 'cursors, and a total of a list that goes on',
    api: { way: 'cursor', records: 200, total: 'records' },
    endpoint: { paginator: cursor({ total_path: 'total' }) },
    expects: { total_path: 'assumed' },
  },
  {
    kind: 'a cursor by another parameter',
    api: { way: 'cursor' },
    endpoint: { paginator: cursor({ cursor_param: 'page_token' }) },
    expects: { [PAGING]: 'wrong' },
    writes: { paginator: expect.objectContaining({ type: 'cursor' }) },
  },
  {
    kind: 'a cursor at another place',
    api: { way: 'cursor' },
    endpoint: { paginator: cursor({ cursor_path: 'paging.next' }) },
    expects: { [PAGING]: 'wrong' },
    writes: { paginator: expect.objectContaining({ cursor_path: 'next' }) },
  },
  {
    kind: 'a cursor that is ignored',
    api: { way: 'cursor', ignores: 'position' },
    endpoint: { paginator: cursor() },
    expects: { [PAGING]: 'wrong' },
  },
  {
    kind: 'a cursor that includes its record',
    api: { way: 'cursor', includes: true },
    endpoint: { paginator: cursor() },
    expects: { [PAGING]: 'assumed' },
  },
  {
    kind: 'a cursor with a flag',
    api: { way: 'cursor', flag: 'has_more', records: 12 },
    endpoint: { paginator: cursor({ has_more_path: 'has_more' }) },
    expects: { has_more_path: 'proven' },
  },
  {
    kind: 'a cursor with a flag that means the opposite',
    api: { way: 'cursor', flag: 'last', records: 12 },
    endpoint: { paginator: cursor({ has_more_path: 'last' }) },
    expects: { has_more_path: 'wrong' },
    writes: { done_path: 'last' },
  },
  {
    kind: 'a cursor of one page',
    api: { way: 'cursor', records: 3 },
    endpoint: { paginator: cursor() },
    expects: { [PAGING]: 'assumed' },
  },
  {
    kind: 'a cursor whose page 2 is refused',
    api: { way: 'cursor', fails: n => (n > 1 ? 403 : undefined) },
    endpoint: { paginator: cursor() },
    expects: { [PAGING]: 'wrong' },
  },
  {
    kind: 'a cursor in a header',
    api: { way: 'cursor_in_header' },
    endpoint: { paginator: { type: 'header_cursor', cursor_key: 'X-Next-Cursor' } },
    expects: { [PAGING]: 'proven' },
  },
  {
    kind: 'a cursor in another header',
    api: { way: 'cursor_in_header' },
    endpoint: { paginator: { type: 'header_cursor', cursor_key: 'X-Cursor' } },
    expects: { [PAGING]: 'wrong' },
    writes: { paginator: expect.objectContaining({ cursor_key: 'x-next-cursor' }) },
  },
  // Links.
  {
    kind: 'links in the body',
    api: { way: 'next_url' },
    endpoint: { paginator: { type: 'json_link', next_url_path: 'next' } },
    expects: { [PAGING]: 'proven', primary_key: 'proven' },
  },
  {
    kind: 'links in the body at another place',
    api: { way: 'next_url' },
    endpoint: { paginator: { type: 'json_link', next_url_path: 'paging.next' } },
    expects: { [PAGING]: 'wrong' },
    writes: { paginator: expect.objectContaining({ next_url_path: 'next' }) },
  },
  {
    kind: 'links in the body that lead nowhere',
    api: { way: 'next_url', ignores: 'position' },
    endpoint: { paginator: { type: 'json_link', next_url_path: 'next' } },
    expects: { [PAGING]: 'wrong' },
  },
  {
    kind: 'links in headers',
    api: { way: 'link' },
    endpoint: { paginator: 'header_link' },
    expects: { [PAGING]: 'proven' },
  },
  {
    kind: 'links in headers, to the end',
    api: { way: 'link', records: 12 },
    endpoint: { paginator: 'header_link' },
    expects: { [PAGING]: 'proven', primary_key: 'proven' },
  },
  {
    kind: 'links in headers, written as in the body',
    api: { way: 'link' },
    endpoint: { paginator: { type: 'json_link', next_url_path: 'next' } },
    expects: { [PAGING]: 'wrong' },
    writes: { paginator: expect.objectContaining({ type: 'header_link' }) },
  },
  {
    kind: 'links of a list of one page',
    api: { way: 'link', records: 4 },
    endpoint: { paginator: 'header_link' },
    expects: { [PAGING]: 'assumed' },
  },
  // Keysets.
  {
    kind: 'a keyset',
    api: { way: 'keyset' },
    endpoint: { paginator: keyset() },
    expects: { [PAGING]: 'proven', inclusive: 'proven', field: 'proven', limit: 'proven' },
  },
  {
    kind: 'a keyset to the end',
    api: { way: 'keyset', records: 12 },
    endpoint: { paginator: keyset() },
    expects: { [PAGING]: 'proven', inclusive: 'proven' },
  },
  {
    kind: 'a keyset that includes its record',
    api: { way: 'keyset', includes: true },
    endpoint: { paginator: keyset({ inclusive: true }) },
    expects: { [PAGING]: 'proven', inclusive: 'proven' },
  },
  {
    kind: 'a keyset that includes its record, written as one that does not',
    api: { way: 'keyset', includes: true },
    endpoint: { paginator: keyset() },
    expects: { inclusive: 'wrong' },
    writes: { inclusive: true },
  },
  {
    kind: 'a keyset that excludes its record, written as one that does not',
    api: { way: 'keyset' },
    endpoint: { paginator: keyset({ inclusive: true }) },
    expects: { inclusive: 'wrong' },
    writes: { inclusive: false },
  },
  {
    kind: 'a keyset that is ignored',
    api: { way: 'keyset', ignores: 'position' },
    endpoint: { paginator: keyset() },
    expects: { [PAGING]: 'wrong' },
  },
  {
    kind: 'a keyset with a limit that is capped',
    api: { way: 'keyset' },
    endpoint: { paginator: keyset({ limit: 50 }) },
    expects: { limit: 'wrong' },
    writes: { limit: 5 },
  },
  // One page, and none written.
  {
    kind: 'one page that is not the only one',
    api: { way: 'page1', total: 'records' },
    endpoint: { paginator: 'single_page' },
    expects: { [PAGING]: 'wrong' },
    writes: { paginator: expect.objectContaining({ type: 'page_number', base_page: 1 }) },
  },
  {
    kind: 'one page with links to others',
    api: { way: 'link' },
    endpoint: { paginator: 'single_page' },
    expects: { [PAGING]: 'wrong' },
    writes: { paginator: expect.objectContaining({ type: 'header_link' }) },
  },
  {
    kind: 'one page',
    api: { way: 'whole', total: 'records' },
    endpoint: { paginator: 'single_page' },
    expects: { [PAGING]: 'proven' },
  },
  {
    kind: 'one page of which nothing is said',
    api: { way: 'whole' },
    endpoint: { paginator: 'single_page' },
    expects: { [PAGING]: 'assumed' },
  },
  {
    kind: 'no paginator where there is a cursor',
    api: { way: 'cursor' },
    expects: { [PAGING]: 'assumed' },
    writes: { paginator: expect.objectContaining({ type: 'cursor' }) },
  },
  {
    kind: 'no paginator where pages are counted',
    api: { way: 'page1', total: 'records' },
    expects: { [PAGING]: 'assumed' },
    writes: { paginator: expect.objectContaining({ type: 'page_number' }) },
  },
  // Records.
  {
    kind: 'records at another place',
    api: { way: 'page1' },
    endpoint: { paginator: page(), data_selector: 'data' },
    expects: { data_selector: 'wrong' },
    writes: { data_selector: 'items' },
  },
  {
    kind: 'an object around the records',
    api: { way: 'page1', place: 'data.items' },
    endpoint: { paginator: page(), data_selector: 'data' },
    expects: { data_selector: 'wrong' },
    writes: { data_selector: 'data.items' },
  },
  {
    kind: 'the whole body as records',
    api: { way: 'page1', place: '$' },
    endpoint: { paginator: page(), data_selector: '$' },
    expects: { data_selector: 'proven', [PAGING]: 'proven' },
  },
  // Keys.
  {
    kind: 'a key that is not unique',
    api: { way: 'page1', ids: 'repeat' },
    endpoint: { paginator: page() },
    expects: { primary_key: 'wrong' },
  },
  {
    kind: 'a key that begins anew on each page',
    api: { way: 'page1', ids: 'by_page' },
    endpoint: { paginator: page() },
    expects: { primary_key: 'wrong' },
  },
  {
    kind: 'a key that some records lack',
    api: { way: 'page1', ids: 'missing' },
    endpoint: { paginator: page() },
    expects: { primary_key: 'wrong' },
  },
  {
    kind: 'a key that is a number or text',
    api: { way: 'page1', ids: 'mixed' },
    endpoint: { paginator: page() },
    expects: { primary_key: 'assumed' },
  },
  {
    kind: 'a key inside an object',
    api: { way: 'page1', ids: 'nested' },
    endpoint: { paginator: page() },
    resource: { primary_key: 'meta__id' },
    expects: { primary_key: 'proven' },
  },
  {
    kind: 'a key that is no key',
    api: { way: 'page1' },
    endpoint: { paginator: page() },
    resource: { primary_key: 'group' },
    expects: { primary_key: 'wrong' },
    writes: { primary_key: 'id' },
  },
  {
    kind: 'a key of two columns',
    api: { way: 'page1' },
    endpoint: { paginator: page() },
    resource: { primary_key: ['group', 'size'] },
    expects: { primary_key: 'proven' },
  },
  {
    kind: 'a key that no record has',
    api: { way: 'page1' },
    endpoint: { paginator: page() },
    resource: { primary_key: 'uuid' },
    expects: { primary_key: 'wrong' },
    writes: { primary_key: 'id' },
  },
  // Lists that move.
  {
    kind: 'a list that grows while it is read',
    api: { way: 'page1', moves: 'grows' },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'assumed', primary_key: 'assumed' },
  },
  {
    kind: 'a list that grows, by offsets',
    api: { way: 'offset', moves: 'grows' },
    endpoint: { paginator: offset() },
    expects: { [PAGING]: 'assumed' },
  },
  {
    kind: 'a list in another order each time',
    api: { way: 'page1', moves: 'shuffles' },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'assumed' },
  },
  {
    kind: 'a list in another order each time, by offsets',
    api: { way: 'offset', moves: 'shuffles' },
    endpoint: { paginator: offset() },
    expects: { [PAGING]: 'assumed' },
  },
  {
    kind: 'records that come and go',
    api: { way: 'page1', moves: 'random' },
    endpoint: { paginator: page() },
    expects: { [PAGING]: 'assumed' },
  },
  {
    kind: 'a total that moves',
    api: { way: 'offset', total: 'moving' },
    endpoint: { paginator: offset({ total_path: 'total' }) },
    expects: { total_path: 'wrong' },
  },
  {
    kind: 'cursors of a list that grows',
    api: { way: 'cursor', moves: 'grows' },
    endpoint: { paginator: cursor() },
    expects: { [PAGING]: 'assumed' },
  },
  // Incremental loading.
  {
    kind: 'a parameter that filters',
    api: { way: 'page1' },
    endpoint: { paginator: page(), incremental: since() },
    expects: { start_param: 'proven', cursor_path: 'proven', range_start: 'proven' },
  },
  {
    kind: 'a parameter that filters, without its bound',
    api: { way: 'page1', sinceIncludes: false },
    endpoint: { paginator: page(), incremental: since() },
    expects: { start_param: 'proven', range_start: 'assumed' },
  },
  {
    kind: 'a parameter that is ignored',
    api: { way: 'page1', ignores: 'since' },
    endpoint: { paginator: page(), incremental: since() },
    expects: { start_param: 'wrong' },
    writes: { start_param: null },
  },
  {
    kind: 'a parameter of another name',
    api: { way: 'cursor' },
    endpoint: { paginator: cursor(), incremental: since({ start_param: 'updated_since' }) },
    expects: { start_param: 'wrong' },
  },
  {
    kind: 'a cursor that is not there',
    api: { way: 'page1' },
    endpoint: { paginator: page(), incremental: since({ cursor_path: 'changed' }) },
    expects: { cursor_path: 'wrong' },
  },
  {
    kind: 'a value in a format that the API does not know',
    api: { way: 'page1' },
    endpoint: {
      paginator: page(),
      incremental: since({ initial_value: '2026-01-01T00:00:00Z', param_format: 'epoch_ms' }),
    },
    expects: { start_param: 'wrong' },
  },
  {
    kind: 'an order that holds',
    api: { way: 'page1' },
    endpoint: { paginator: page(), incremental: since({ row_order: 'asc' }) },
    expects: { row_order: 'proven' },
  },
  {
    kind: 'an order that does not hold',
    api: { way: 'page1' },
    endpoint: { paginator: page(), incremental: since({ row_order: 'desc' }) },
    expects: { row_order: 'wrong' },
    writes: { row_order: 'asc' },
  },
]

async function proofOf(
  { api, endpoint = {}, resource = {} }: Case,
  budget?: number,
): Promise<{ proof: Proof; asked: number }> {
  const server = await testApi(provenApi(api))
  const source = restApi(
    {
      client: { base_url: server.origin },
      resources: [
        {
          name: 'things',
          primary_key: 'id',
          endpoint: { data_selector: api.place ?? 'items', ...endpoint },
          ...resource,
        } as never,
      ],
    },
    { env: {} },
  )
  const made = pipeline({ name: 'test', source, destination: duckdb(':memory:') })
  const proof = await prove(made, { clock: fakeClock(), ...(budget !== undefined && { budget }) })
  return { proof, asked: server.asked.length }
}

function found({ resources: [things] }: Proof, end: string): Finding | undefined {
  return things?.findings.find(({ key }) => key === end || key.endsWith(`.${end}`) || key.endsWith(`["${end}"]`))
}

function written(finding: Finding | undefined): Record<string, JsonValue> {
  return Object.fromEntries(
    Object.entries(finding?.write ?? {}).map(([key, value]) => [key.split('.').at(-1) ?? '', value]),
  )
}

test.each(cases)('$kind', async one => {
  const { proof, asked } = await proofOf(one)
  const seen = JSON.stringify(proof.resources, undefined, 1)
  expect(asked).toBeLessThanOrEqual(12)
  for (const [key, status] of Object.entries(one.expects))
    expect(found(proof, key)?.status, `${key}: ${seen}`).toBe(status)
  const writes = Object.assign({}, ...Object.keys(one.expects).map(key => written(found(proof, key))))
  if (one.writes !== undefined) expect(writes, seen).toMatchObject(one.writes)
})

test.each<{
  readonly kind: string
  readonly body: JsonValue
  readonly endpoint: object
  readonly status: ProofStatus | undefined
  readonly writes: object
}>([
  {
    kind: 'each under its name, at the place that the document names',
    body: { total: 2, stations: { ber: { code: 'ber', tracks: [1] }, ham: { code: 'ham', tracks: [] } } },
    endpoint: { data_selector: 'stations' },
    status: 'wrong',
    writes: { key_column: 'code' },
  },
  {
    kind: 'each under its name, at a place that the document does not name',
    body: { data: { stations: { 1: { id: 1, tracks: [1] }, 2: { id: 2, tracks: [] } } } },
    endpoint: {},
    status: 'wrong',
    writes: { key_column: 'id', data_selector: 'data.stations' },
  },
  {
    kind: 'each under a day',
    body: { rates: { '2026-01-01': { EUR: 1 }, '2026-01-02': { EUR: 2 }, '2026-01-03': { EUR: 3 } } },
    endpoint: { data_selector: 'rates' },
    status: 'assumed',
    writes: { key_column: 'id' },
  },
  {
    kind: 'beside a list, as what its records refer to',
    body: { items: [{ id: 1 }, { id: 2 }], included: { u1: { id: 'u1' }, u2: { id: 'u2' } } },
    endpoint: {},
    status: undefined,
    writes: {},
  },
  {
    kind: 'that are fields of one record',
    body: { order: { billing: { city: 'a' }, shipping: { city: 'b' }, owner: { city: 'c' } } },
    endpoint: { data_selector: 'order' },
    status: undefined,
    writes: {},
  },
])('a map of objects $kind', async ({ body, endpoint, status, writes }) => {
  const server = await testApi(() => ({ json: body }))
  const source = restApi(
    {
      client: { base_url: server.origin },
      resources: [{ name: 'things', endpoint: { path: 'things', paginator: 'single_page', ...endpoint } as never }],
    },
    { env: {} },
  )
  const proof = await prove(pipeline({ name: 'test', source, destination: duckdb(':memory:') }), { clock: fakeClock() })
  const finding = found(proof, 'key_column')
  expect(finding?.status, JSON.stringify(proof.resources)).toBe(status)
  expect(written(finding)).toEqual(writes)
})

test.each<[string, (shop: number) => JsonValue, ProofStatus, RegExp]>([
  [
    'a key of its own below each parent',
    shop => [1, 2].map(id => ({ id: shop * 10 + id })),
    'assumed',
    /in 2 records of/,
  ],
  [
    'a key that each parent counts anew',
    shop => [1, 2].map(id => ({ id, of: shop })),
    'wrong',
    /with a key of the first one/,
  ],
  [
    'the same record below another parent',
    () => [1, 2].map(id => ({ id, a: 1, b: 2 })),
    'assumed',
    /2 records came below another/,
  ],
])('%s', async (_, notes, status, seen) => {
  const server = await testApi(({ pathname }) => {
    const shop = /shops\/(\d)/.exec(pathname)?.[1]
    return { json: shop === undefined ? [{ id: 1 }, { id: 2 }] : notes(Number(shop)) }
  })
  const endpoint = { data_selector: '$', paginator: 'single_page' } as const
  const source = restApi(
    {
      client: { base_url: server.origin },
      resources: [
        { name: 'shops', primary_key: 'id', endpoint: { path: 'shops', ...endpoint } },
        { name: 'notes', primary_key: 'id', endpoint: { path: 'shops/{resources.shops.id}/notes', ...endpoint } },
      ],
    },
    { env: {} },
  )
  const made = pipeline({ name: 'test', source, destination: duckdb(':memory:') })
  const { resources } = await prove(made, { select: ['notes'], clock: fakeClock() })
  const finding = resources[0]?.findings.find(({ key }) => key.endsWith('primary_key'))
  expect(finding).toMatchObject({ status, seen: expect.stringMatching(seen) })
})

test('there are a hundred simulated APIs', () => {
  expect(cases.length).toBeGreaterThanOrEqual(100)
})
