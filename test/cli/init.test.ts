import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { parse } from 'yaml'
import { sluice } from '../../src/cli/program.js'
import { NoAnswer, type Prompt } from '../../src/cli/terminal/prompt.js'
import type { Answer } from '../rest/listServer.js'
import { testApi } from '../rest/loading.js'

vi.setConfig({ testTimeout: 60_000 })

/** Runs a program on a terminal of its own. */
const SCRIPT = '/usr/bin/script'

interface Thing {
  readonly id: string
  readonly title: string
}

/** A list without order in its ids, so that no page can be told by chance. */
const things: readonly Thing[] = Array.from({ length: 25 }, (_, place) => ({
  id: `t${(place * 7919) % 1009}`,
  title: `Thing number ${place}`,
}))

/** A part of the list, as wide as a server allows. */
function part(start: number, limit = 10, most = 10): readonly Thing[] {
  return things.slice(start, start + Math.min(limit, most))
}

const number = (url: URL, name: string, standard: number): number => Number(url.searchParams.get(name) ?? standard)

interface Drafted {
  readonly text: string
  readonly document: { source: { client: { paginator?: unknown }; resources: { endpoint: Record<string, unknown> }[] } }
  readonly printed: string
  readonly asked: readonly string[]
  /** Runs the draft. */
  run(): Promise<{ readonly rows: number; readonly printed: string; readonly exitCode: number }>
}

/** `sluice init` for a list of an API that answers so. */
async function init(
  query: string,
  answer: (url: URL) => Answer | undefined,
  ...more: readonly string[]
): Promise<Drafted> {
  const api = await testApi(url => answer(url))
  const folder = await mkdtemp(join(tmpdir(), 'sluice-init-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'things.yaml')
  const drafted = await command([
    'init',
    '--url',
    api.origin + query,
    '--auth',
    'none',
    '--out',
    file,
    '--name',
    'things',
    ...more,
  ])
  expect(drafted, drafted.printed).toMatchObject({ exitCode: 0 })
  const asked = [...api.asked]
  const text = await readFile(file, 'utf8')
  const document = parse(text) as Drafted['document']
  const run = async () => {
    const database = `duckdb:${join(folder, 'things.duckdb')}`
    const ended = await command(['run', file, '--destination', database])
    const loaded = /^things +(\d+) {2}table$/m.exec(ended.printed)
    return { ...ended, rows: Number(loaded?.[1] ?? Number.NaN) }
  }
  return { text, document, printed: drafted.printed, asked, run }
}

/** The command. What a proof adds to a draft is told by the tests of `prove`. */
async function command(args: readonly string[], prompt?: Prompt) {
  const words = args[0] === 'init' ? [...args, '--no-prove'] : args
  const printed: string[] = []
  const output = {
    isTerminal: false,
    columns: () => 200,
    rows: () => 24,
    write: (text: string) => void printed.push(text),
    line: (line = '') => void printed.push(line),
    styled: (_style: string, plain: string) => plain,
  }
  const exitCode = await sluice(words, {
    terminal: { out: output, err: output },
    prompt,
    version: 'test',
    signal: new AbortController().signal,
    now: () => 0,
  })
  return { exitCode, printed: printed.join('\n') }
}

interface Style {
  readonly style: string
  readonly query: string
  readonly answer: (url: URL) => Answer | undefined
  readonly paginator: object
}

const STYLES: readonly Style[] = [
  {
    style: 'limit and a total (Unleash)',
    query: '/things?limit=10',
    answer: url => ({ json: { features: part(number(url, 'offset', 0), number(url, 'limit', 10)), total: 25 } }),
    paginator: { type: 'offset', limit: 10, total_path: 'total' },
  },
  {
    style: 'limit and a total in meta (Directus)',
    query: '/things?limit=10&meta=filter_count',
    answer: url => ({
      json: { meta: { filter_count: 25 }, data: part(number(url, 'offset', 0), number(url, 'limit', 10)) },
    }),
    paginator: { type: 'offset', limit: 10, total_path: 'meta.filter_count' },
  },
  {
    style: 'a limit above what the server gives',
    query: '/things?limit=500',
    answer: url => ({ json: { items: part(number(url, 'offset', 0), number(url, 'limit', 10)), total: 25 } }),
    paginator: { type: 'offset', limit: 10, total_path: 'total' },
  },
  {
    style: 'OData with a relative link',
    query: '/things?$top=20',
    answer: url => {
      const skip = number(url, '$skip', 0)
      const next = skip + 10 < 25 ? { '@odata.nextLink': `things?$skip=${skip + 10}` } : {}
      return { json: { '@odata.context': '$metadata#Things', value: part(skip), ...next } }
    },
    paginator: { type: 'json_link', next_url_path: "['@odata.nextLink']" },
  },
  {
    style: 'OData with an absolute link',
    query: '/things',
    answer: url => {
      const skip = number(url, '$skip', 0)
      const next = skip + 10 < 25 ? { '@odata.nextLink': `${url.origin}/things?$skip=${skip + 10}` } : {}
      return { json: { value: part(skip), ...next } }
    },
    paginator: { type: 'json_link', next_url_path: "['@odata.nextLink']" },
  },
  {
    style: 'OData with $top and $skip',
    query: '/things?$top=10&$count=true',
    answer: url => ({ json: { '@odata.count': 25, value: part(number(url, '$skip', 0), number(url, '$top', 10)) } }),
    paginator: {
      type: 'offset',
      limit: 10,
      offset_param: '$skip',
      limit_param: '$top',
      total_path: "['@odata.count']",
    },
  },
  {
    style: 'a header with the total (json-server)',
    query: '/things?_start=0&_limit=10',
    answer: url => ({
      json: part(number(url, '_start', 0), number(url, '_limit', 25), 25),
      headers: { 'X-Total-Count': '25' },
    }),
    paginator: { type: 'offset', limit: 10, offset_param: '_start', limit_param: '_limit', total_path: null },
  },
  {
    style: 'a limit alone (json-server)',
    query: '/things?_limit=10',
    answer: url => ({
      json: part(number(url, '_start', 0), number(url, '_limit', 25), 25),
      headers: { 'X-Total-Count': '25' },
    }),
    paginator: { type: 'offset', limit: 10, offset_param: '_start', limit_param: '_limit', total_path: null },
  },
  {
    style: 'first and max (Keycloak)',
    query: '/things?first=0&max=10',
    answer: url => ({ json: part(number(url, 'first', 0), number(url, 'max', 100), 100) }),
    paginator: { type: 'offset', limit: 10, offset_param: 'first', limit_param: 'max', total_path: null },
  },
  {
    style: 'max alone (Keycloak)',
    query: '/things?max=10',
    answer: url => ({ json: part(number(url, 'first', 0), number(url, 'max', 100), 100) }),
    paginator: { type: 'offset', limit: 10, offset_param: 'first', limit_param: 'max', total_path: null },
  },
  {
    style: 'hits with a total (OpenSearch)',
    query: '/things?size=10',
    answer: url => ({
      json: {
        took: number(url, 'from', 0),
        hits: { total: { value: 25, relation: 'eq' }, hits: part(number(url, 'from', 0), number(url, 'size', 10)) },
      },
    }),
    paginator: { type: 'offset', limit: 10, offset_param: 'from', limit_param: 'size', total_path: 'hits.total.value' },
  },
  {
    style: 'startAt and maxResults (Jira)',
    query: '/things?maxResults=10',
    answer: url => ({
      json: {
        startAt: number(url, 'startAt', 0),
        maxResults: 10,
        total: 25,
        issues: part(number(url, 'startAt', 0), number(url, 'maxResults', 10)),
      },
    }),
    paginator: { type: 'offset', limit: 10, offset_param: 'startAt', limit_param: 'maxResults', total_path: 'total' },
  },
  {
    style: 'an index that begins at 1 (SCIM)',
    query: '/things',
    answer: url => ({
      json: {
        totalResults: 25,
        startIndex: number(url, 'startIndex', 1),
        itemsPerPage: 10,
        Resources: part(number(url, 'startIndex', 1) - 1, number(url, 'count', 10)),
      },
    }),
    paginator: {
      type: 'offset',
      limit: 10,
      offset: 1,
      offset_param: 'startIndex',
      limit_param: 'count',
      total_path: null,
    },
  },
  {
    style: 'start and rows (Solr)',
    query: '/things?rows=10',
    answer: url => ({
      json: {
        response: {
          numFound: 25,
          start: number(url, 'start', 0),
          docs: part(number(url, 'start', 0), number(url, 'rows', 10)),
        },
      },
    }),
    paginator: {
      type: 'offset',
      limit: 10,
      offset_param: 'start',
      limit_param: 'rows',
      total_path: 'response.numFound',
    },
  },
  {
    style: 'skip and limit (CouchDB)',
    query: '/things?limit=10',
    answer: url => ({
      json: {
        total_rows: 25,
        offset: number(url, 'skip', 0),
        rows: part(number(url, 'skip', 0), number(url, 'limit', 25)),
      },
    }),
    paginator: { type: 'offset', limit: 10, offset_param: 'skip', total_path: 'total_rows' },
  },
  {
    style: 'pages with their number (Strapi)',
    query: '/things',
    answer: url => {
      const page = number(url, 'pagination[page]', 1)
      return {
        json: { data: part(page * 10 - 10), meta: { pagination: { page, pageSize: 10, pageCount: 3, total: 25 } } },
      }
    },
    paginator: {
      type: 'page_number',
      base_page: 1,
      page_param: 'pagination[page]',
      total_path: 'meta.pagination.pageCount',
    },
  },
  {
    style: 'pages from 0 (Spring)',
    query: '/things?size=10',
    answer: url => {
      const page = number(url, 'page', 0)
      return {
        json: { content: part(page * 10), number: page, size: 10, totalPages: 3, totalElements: 25, last: page === 2 },
      }
    },
    paginator: { type: 'page_number', base_page: 0, total_path: 'totalPages' },
  },
  {
    style: 'pages from 1 of which nothing is said',
    query: '/things?per_page=10',
    answer: url => ({ json: part(Math.max(number(url, 'page', 1), 1) * 10 - 10, number(url, 'per_page', 5)) }),
    paginator: { type: 'page_number', base_page: 1, total_path: null },
  },
  {
    style: 'pages from 0 of which nothing is said',
    query: '/things?per_page=10',
    answer: url => ({ json: part(number(url, 'page', 0) * 10, number(url, 'per_page', 5)) }),
    paginator: { type: 'page_number', base_page: 0, total_path: null },
  },
  {
    style: 'page 1 in the address, although pages are counted from 0',
    query: '/things?page=1&per_page=10',
    answer: url => ({ json: part(number(url, 'page', 0) * 10, number(url, 'per_page', 5)) }),
    paginator: { type: 'page_number', base_page: 0, total_path: null },
  },
  {
    style: 'a plain list with pages',
    query: '/things',
    answer: url => ({ json: part(number(url, 'page', 1) * 10 - 10) }),
    paginator: { type: 'page_number', base_page: 1, total_path: null },
  },
  {
    style: 'a number of pages in a header',
    query: '/things',
    answer: url => ({
      json: part(number(url, 'page', 1) * 10 - 10),
      headers: { 'X-WP-Total': '25', 'X-WP-TotalPages': '3' },
    }),
    paginator: { type: 'page_number', base_page: 1, total_path: null },
  },
  {
    style: 'page[number] (JSON:API)',
    query: '/things?page[size]=10',
    answer: url => ({
      json: { data: part(number(url, 'page[number]', 1) * 10 - 10, number(url, 'page[size]', 5)), meta: { total: 25 } },
    }),
    paginator: { type: 'page_number', base_page: 1, page_param: 'page[number]', total_path: null },
  },
  {
    style: 'page[offset] (JSON:API)',
    query: '/things?page[limit]=10',
    answer: url => ({
      json: { data: part(number(url, 'page[offset]', 0), number(url, 'page[limit]', 5)), meta: { total: 25 } },
    }),
    paginator: {
      type: 'offset',
      limit: 10,
      offset_param: 'page[offset]',
      limit_param: 'page[limit]',
      total_path: 'meta.total',
    },
  },
  {
    style: 'has_more with pages',
    query: '/things',
    answer: url => {
      const page = number(url, 'page', 1)
      return { json: { items: part(page * 10 - 10), page, has_more: page < 3 } }
    },
    paginator: { type: 'page_number', base_page: 1, total_path: null, has_more_path: 'has_more' },
  },
  {
    style: 'the last id and has_more (Stripe)',
    query: '/things?limit=10',
    answer: url => {
      const after = url.searchParams.get('starting_after')
      const start = after === null ? 0 : things.findIndex(({ id }) => id === after) + 1
      return { json: { object: 'list', data: part(start), has_more: start + 10 < 25 } }
    },
    paginator: {
      type: 'cursor',
      cursor_path: 'data[-1].id',
      cursor_param: 'starting_after',
      has_more_path: 'has_more',
    },
  },
  {
    style: 'last_id in the body (Anthropic)',
    query: '/things',
    answer: url => {
      const start = things.findIndex(({ id }) => id === url.searchParams.get('after_id')) + 1
      const data = part(start)
      return { json: { data, has_more: start + 10 < 25, last_id: data.at(-1)?.id } }
    },
    paginator: { type: 'cursor', cursor_path: 'last_id', cursor_param: 'after_id', has_more_path: 'has_more' },
  },
  ...(
    [
      ['next_page_token', 'page_token'],
      ['nextPageToken', 'pageToken'],
      ['NextToken', 'NextToken'],
      ['next_cursor', 'start_cursor'],
      ['next_marker', 'marker'],
      ['next_token', 'next_token'],
      ['nextToken', 'nextToken'],
      ['next_offset', 'offset'],
      ['continuation_token', 'continuation_token'],
    ] as const
  ).map(
    ([key, param]): Style => ({
      style: `${key} as ${param}`,
      query: '/things',
      answer: url => {
        const start = number(url, param, 0)
        return { json: { things: part(start), ...(start + 10 < 25 ? { [key]: String(start + 10) } : {}) } }
      },
      paginator: { type: 'cursor', cursor_path: key, cursor_param: param },
    }),
  ),
  {
    style: 'metadata.continue (Kubernetes)',
    query: '/things?limit=10',
    answer: url => {
      const start = number(url, 'continue', 0)
      return {
        json: { kind: 'List', items: part(start), metadata: start + 10 < 25 ? { continue: `${start + 10}` } : {} },
      }
    },
    paginator: { type: 'cursor', cursor_path: 'metadata.continue', cursor_param: 'continue' },
  },
  {
    style: 'paging.next.after (HubSpot)',
    query: '/things?limit=10',
    answer: url => {
      const start = number(url, 'after', 0)
      return {
        json: { results: part(start), ...(start + 10 < 25 ? { paging: { next: { after: `${start + 10}` } } } : {}) },
      }
    },
    paginator: { type: 'cursor', cursor_path: 'paging.next.after', cursor_param: 'after' },
  },
  {
    style: 'a cursor after page 1 of which nothing leads on, in the address of a later page',
    query: '/things?cursor=10',
    answer: url => {
      const start = number(url, 'cursor', 0)
      return { json: { things: part(start), next_cursor: start + 10 < 25 ? `${start + 10}` : null } }
    },
    paginator: { type: 'cursor', cursor_path: 'next_cursor' },
  },
  {
    style: 'next (Django REST framework)',
    query: '/things/',
    answer: url => {
      if (url.pathname !== '/things/') return undefined
      const page = number(url, 'page', 1)
      return {
        json: {
          count: 25,
          next: page < 3 ? `${url.origin}/things/?page=${page + 1}` : null,
          results: part(page * 10 - 10),
        },
      }
    },
    paginator: { type: 'json_link', next_url_path: 'next' },
  },
  {
    style: 'a list of links (FHIR)',
    query: '/things',
    answer: url => {
      const start = number(url, '_offset', 0)
      const next = start + 10 < 25 ? [{ relation: 'next', url: `${url.origin}/things?_offset=${start + 10}` }] : []
      return {
        json: {
          resourceType: 'Bundle',
          total: 25,
          link: [{ relation: 'self', url: url.href }, ...next],
          entry: part(start),
        },
      }
    },
    paginator: { type: 'json_link', next_url_path: "link[?(@.relation=='next')].url" },
  },
  ...['/things', '/things?page=2', '/things?page=3&per_page=10'].map(
    (query): Style => ({
      style: `a Link header, from ${query}`,
      query,
      answer: url => {
        const page = number(url, 'page', 1)
        const next = page < 3 ? { link: `</things?page=${page + 1}>; rel="next", </things?page=1>; rel="first"` } : {}
        return { json: part(page * 10 - 10), headers: next }
      },
      paginator: { type: 'header_link' },
    }),
  ),
  {
    style: 'a Link header, from an offset',
    query: '/things?offset=20',
    answer: url => {
      const start = number(url, 'offset', 0)
      return {
        json: part(start),
        headers: start + 10 < 25 ? { link: `</things?offset=${start + 10}>; rel="next"` } : {},
      }
    },
    paginator: { type: 'header_link' },
  },
  {
    style: 'page 2 in the address, without a link',
    query: '/things?page=2',
    answer: url => ({ json: { items: part(number(url, 'page', 1) * 10 - 10), total: 25 } }),
    paginator: { type: 'page_number', base_page: 1, total_path: null },
  },
  {
    style: 'a number that must be there, of page 2',
    query: '/things?page=2',
    answer: url =>
      url.searchParams.has('page')
        ? { json: { items: part(number(url, 'page', 1) * 10 - 10), total: 25 } }
        : { status: 400, json: { error: 'page is missing' } },
    paginator: { type: 'page_number', base_page: 1, total_path: null },
  },
  {
    style: 'the next page in a header (GitLab)',
    query: '/things',
    answer: url => {
      const page = number(url, 'page', 1)
      return { json: part(page * 10 - 10), headers: { 'X-Next-Page': page < 3 ? `${page + 1}` : '', 'X-Total': '25' } }
    },
    paginator: { type: 'header_cursor', cursor_key: 'x-next-page', cursor_param: 'page' },
  },
  {
    style: 'has_more with an offset',
    query: '/things',
    answer: url => {
      const start = number(url, 'offset', 0)
      return { json: { items: part(start), has_more: start + 10 < 25 } }
    },
    paginator: { type: 'offset', limit: 10, total_path: null, has_more_path: 'has_more' },
  },
  {
    style: 'a cursor under offset (Airtable)',
    query: '/things',
    answer: url => {
      const start = Number((url.searchParams.get('offset') ?? 'rec0').slice(3))
      return { json: { records: part(start), ...(start + 10 < 25 ? { offset: `rec${start + 10}` } : {}) } }
    },
    paginator: { type: 'cursor', cursor_path: 'offset', cursor_param: 'offset' },
  },
  {
    style: 'a cursor that stays, and has_more (Dropbox)',
    query: '/things',
    answer: url => {
      const start = number(url, 'cursor', 0)
      return { json: { entries: part(start), cursor: `${start + 10}`, has_more: start + 10 < 25 } }
    },
    paginator: { type: 'cursor', cursor_path: 'cursor', has_more_path: 'has_more' },
  },
  {
    style: 'after, of which nothing else is said (Reddit)',
    query: '/things?limit=10',
    answer: url => {
      const start = number(url, 'after', 0)
      return { json: { data: { children: part(start), after: start + 10 < 25 ? `${start + 10}` : null } } }
    },
    paginator: { type: 'cursor', cursor_path: 'data.after', cursor_param: 'after' },
  },
  {
    style: 'starting_after beside a number (Intercom)',
    query: '/things',
    answer: url => {
      const start = number(url, 'starting_after', 0)
      const next = start + 10 < 25 ? { next: { page: start / 10 + 2, starting_after: `${start + 10}` } } : {}
      return { json: { data: part(start), pages: { type: 'pages', ...next, per_page: 10 } } }
    },
    paginator: { type: 'cursor', cursor_path: 'pages.next.starting_after', cursor_param: 'starting_after' },
  },
  {
    style: 'the number of the next page',
    query: '/things?_page=1&_per_page=10',
    answer: url => {
      const page = number(url, '_page', 1)
      return { json: { prev: null, next: page < 3 ? page + 1 : null, items: 25, data: part(page * 10 - 10) } }
    },
    paginator: { type: 'cursor', cursor_path: 'next', cursor_param: '_page' },
  },
  {
    style: 'an index that begins at 0',
    query: '/things?startIndex=0&count=10',
    answer: url => ({ json: { list: part(number(url, 'startIndex', 0), number(url, 'count', 5)), total: 25 } }),
    paginator: { type: 'offset', limit: 10, offset_param: 'startIndex', limit_param: 'count', total_path: 'total' },
  },
  {
    style: 'a header in JSON (.NET)',
    query: '/things?pageSize=10',
    answer: url => ({
      json: part(number(url, 'pageNumber', 1) * 10 - 10),
      headers: { 'X-Pagination': '{"TotalCount":25,"TotalPages":3}' },
    }),
    paginator: { type: 'page_number', base_page: 1, page_param: 'pageNumber', total_path: null },
  },
  {
    style: 'HAL',
    query: '/things',
    answer: url => {
      const page = number(url, 'page', 0)
      const next = page < 2 ? { next: { href: `${url.origin}/things?page=${page + 1}` } } : {}
      const links = { self: { href: url.href }, ...next }
      return {
        json: {
          _embedded: { things: part(page * 10) },
          _links: links,
          page: { size: 10, totalElements: 25, totalPages: 3, number: page },
        },
      }
    },
    paginator: { type: 'json_link', next_url_path: '_links.next.href' },
  },
  {
    style: 'OData 2',
    query: '/things',
    answer: url => {
      const skip = number(url, '$skiptoken', 0)
      const next = skip + 10 < 25 ? { __next: `${url.origin}/things?$skiptoken=${skip + 10}` } : {}
      return { json: { d: { results: part(skip), ...next } } }
    },
    paginator: { type: 'json_link', next_url_path: 'd.__next' },
  },
  {
    style: 'a link that is refused, beside an offset (Confluence)',
    query: '/wiki/things',
    answer: url =>
      url.pathname === '/wiki/things'
        ? {
            json: {
              results: part(number(url, 'start', 0)),
              start: number(url, 'start', 0),
              limit: 10,
              ...(number(url, 'start', 0) < 15 ? { _links: { next: '/things?start=10' } } : {}),
            },
          }
        : undefined,
    paginator: { type: 'offset', limit: 10, offset_param: 'start', total_path: null },
  },
  {
    style: 'a sequence that stays at the end (CouchDB)',
    query: '/things?limit=10',
    answer: url => {
      const start = number(url, 'since', 0)
      return { json: { results: part(start), last_seq: Math.min(start + 10, 25), pending: Math.max(0, 15 - start) } }
    },
    paginator: { type: 'cursor', cursor_path: 'last_seq', cursor_param: 'since', stop_after_empty_page: true },
  },
  {
    style: 'records that tell when they were asked for',
    query: '/things?limit=10',
    answer: url => {
      const items = part(number(url, 'skip', 0)).map(thing => ({ ...thing, asked: Math.random() }))
      return { json: { items, total: 25 } }
    },
    paginator: { type: 'offset', limit: 10, offset_param: 'skip', total_path: 'total' },
  },
]

describe('finds page 2, and the draft loads the whole list', () => {
  it.each(STYLES)('$style', async ({ query, answer, paginator }) => {
    const drafted = await init(query, answer)
    expect(drafted.document.source.client.paginator, drafted.printed).toEqual(paginator)
    expect(drafted.printed).toMatch(/paginator \w+: proven; page 2 was asked for and has other records/)
    expect(drafted.text).toContain('# Proven: page 2')
    expect(drafted.asked.length).toBeLessThanOrEqual(6)
    const ran = await drafted.run()
    expect(ran, ran.printed).toMatchObject({ exitCode: 0, rows: 25 })
  })
})

interface Question {
  readonly what: string
  readonly query: string
  readonly answer: (url: URL) => Answer | undefined
  readonly said: RegExp
}

const QUESTIONS: readonly Question[] = [
  {
    what: 'a total, and no parameter that helps',
    query: '/things?limit=10',
    answer: () => ({ json: { items: part(0), total: 25 } }),
    said: /there is more than this page \("total" is 25.*tried: offset=10 \(the same records\), page=2 /,
  },
  {
    what: 'has_more, and no id',
    query: '/things',
    answer: () => ({ json: { items: part(0).map(({ title }) => ({ title })), has_more: true } }),
    said: /"has_more" says there is more/,
  },
  {
    what: 'a plain list, and no parameter that helps',
    query: '/things',
    answer: () => ({ json: part(0) }),
    said: /nothing in the answer tells .* tried: page=2 \(the same records\), offset=10 \(the same records\), skip=10/,
  },
  {
    what: 'as many records as were asked for',
    query: '/things?limit=10',
    answer: () => ({ json: part(0) }),
    said: /there may be more than this page \(as many records came as limit asks for\)/,
  },
  {
    what: 'the address of the next page in a header (Kinto)',
    query: '/things',
    answer: url => ({ json: { data: part(0) }, headers: { 'Next-Page': `${url.origin}/things?_token=abc` } }),
    said: /the header next-page has the address of the next page.*docs\/custom\.md/,
  },
  {
    what: 'a cursor of which the parameter is not to be found',
    query: '/things',
    answer: () => ({ json: { items: part(0), next_cursor: 'abc' } }),
    said: /the body has a cursor at next_cursor.*tried: cursor from next_cursor \(the same records\)/,
  },
  {
    what: 'parameters that are refused',
    query: '/things',
    answer: url => (url.search === '' ? { json: { items: part(0), count: 25 } } : { status: 400, json: {} }),
    said: /"count" is 25.*status 400/,
  },
  {
    what: 'parameters that are taken for filters',
    query: '/things',
    answer: url => ({ json: url.search === '' ? part(0) : [] }),
    said: /nothing in the answer tells/,
  },
  {
    what: 'a server that wants no more questions',
    query: '/things',
    answer: url =>
      url.search === '' ? { json: part(0) } : { status: 429, headers: { 'retry-after': '3600' }, json: {} },
    said: /tried: page=2 \(status 429\)\n/,
  },
  {
    what: 'a limit of requests that is used up',
    query: '/things',
    answer: url =>
      url.search === '' ? { json: part(0), headers: { 'X-RateLimit-Remaining': '0' } } : { json: part(10) },
    said: /the API allows no more requests now/,
  },
  {
    what: 'page 2 in parts of page 1',
    query: '/things?limit=10',
    answer: url => ({ json: { items: things.slice(number(url, 'offset', 0) / 2, 10), total: 25 } }),
    said: /offset=10 \(the same records\)/,
  },
]

describe('leaves a question where it cannot know, and never a false single_page', () => {
  it.each(QUESTIONS)('$what', async ({ query, answer, said }) => {
    const drafted = await init(query, answer)
    expect(drafted.document.source.client, drafted.printed).not.toHaveProperty('paginator')
    expect(drafted.printed).toMatch(said)
    expect(drafted.printed).toMatch(/^paginator: unknown; /m)
    expect(drafted.printed).toMatch(/^question: /m)
    expect(drafted.text).toContain('# Unknown: ')
    expect(drafted.text).toContain('# Question: ')
    expect(drafted.printed).toMatch(/Next:\n {2}write a `paginator` into .*things\.yaml/)
    expect(drafted.asked.length).toBeLessThanOrEqual(5)
    const ran = await drafted.run()
    expect(ran.printed).not.toMatch(/^things +complete/m)
  })
})

it('does not take an offset that counts pages for one that counts records', async () => {
  const drafted = await init('/things?limit=2', url => ({ json: part(number(url, 'offset', 0) * 2, 2) }))
  expect(drafted.document.source.client).not.toHaveProperty('paginator')
  expect(drafted.printed).toContain('offset=2 (other records), offset=1 (other records)')
})

describe('assumes what it cannot see but the answer suggests', () => {
  it.each<[string, string, (url: URL) => Answer | undefined, object]>([
    [
      'a link that is null',
      '/things',
      () => ({ json: { count: 4, next: null, results: things.slice(0, 4) } }),
      { type: 'json_link', next_url_path: 'next' },
    ],
    [
      'a cursor that is empty',
      '/things',
      () => ({ json: { things: things.slice(0, 4), next_page_token: '' } }),
      { type: 'cursor', cursor_path: 'next_page_token', cursor_param: 'page_token' },
    ],
    [
      'an offset behind the end',
      '/things?limit=10',
      url => ({ json: { items: things.slice(0, 4).slice(number(url, 'offset', 0)), total: 4 } }),
      { type: 'offset', limit: 10, total_path: 'total' },
    ],
    [
      'a link that fails',
      '/things',
      url => (url.search === '' ? { json: { next: '/things?page=2', results: part(0) } } : { status: 503, json: {} }),
      { type: 'json_link', next_url_path: 'next' },
    ],
    [
      'a total that is reached',
      '/things',
      () => ({ json: { items: things.slice(0, 4), total: 4 } }),
      { type: 'single_page' },
    ],
    [
      'one object that is not done',
      '/things/7',
      () => ({ json: { id: 7, done: false, total: 12 } }),
      { type: 'single_page' },
    ],
    ['one object', '/things/7', () => ({ json: { id: 7, next_billing_date: '2026-01-01' } }), { type: 'single_page' }],
  ])('%s', async (_what, query, answer, paginator) => {
    const drafted = await init(query, answer)
    expect(drafted.document.source.client.paginator, drafted.printed).toEqual(paginator)
    expect(drafted.printed).toMatch(/^paginator \w+: assumed; /m)
    expect(drafted.text).toContain('# Assumed: ')
    expect(drafted.text).toContain('# Question: ')
    expect(drafted.asked.length).toBeLessThanOrEqual(5)
  })
})

it.each(['/things/', '/api/v1/things/'])('keeps the slash at the end of %s', async path => {
  const drafted = await init(path, url =>
    url.pathname === path ? { json: { items: part(0), next: null } } : undefined,
  )
  expect(drafted.asked[0]).toBe(`GET ${path}`)
  expect(await drafted.run()).toMatchObject({ exitCode: 0, rows: 10 })
})

it.each<[string, string, string]>([
  ['NDJSON', 'application/x-ndjson', things.map(thing => JSON.stringify(thing)).join('\n')],
  ['CSV', 'text/csv', ['id,title', ...things.map(({ id, title }) => `${id},${title}`)].join('\n')],
])('drafts a list of %s', async (_what, type, text) => {
  const drafted = await init('/things', () => ({ text, type }))
  expect(drafted.printed).toContain('25 records on the first page')
  expect(drafted.printed).toMatch(/^paginator: unknown; /m)
  expect(await drafted.run()).toMatchObject({ exitCode: 0, rows: 25 })
})

describe('primary key', () => {
  const records = (make: (place: number) => object) => Array.from({ length: 10 }, (_, place) => make(place))
  it.each<[string, object[], string | undefined]>([
    ['an id before a name', records(place => ({ name: `n${place}`, id: place })), 'id'],
    ['a name that is different in every record', records(place => ({ type: 'a', name: `Flag ${place}` })), 'name'],
    ['texts without spaces', records(place => ({ level: 1, fingerprint: `f-${place}-x` })), 'fingerprint'],
    ['no titles', records(place => ({ title: `A long title ${place}` })), undefined],
    ['no moments', records(place => ({ seen: `2026-01-0${place}T00:00:00Z` })), undefined],
    ['no numbers', records(place => ({ amount: place * 3, price: `${place}.5` })), undefined],
    ['nothing that few records have by chance', records(place => ({ word: `w${place}` })).slice(0, 2), undefined],
  ])('%s', async (_what, items, key) => {
    const drafted = await init('/things', () => ({ json: { items, total: items.length } }))
    expect(drafted.document.source.resources[0]).toMatchObject(key === undefined ? {} : { primary_key: key })
    expect(drafted.text.includes('primary_key: ')).toBe(key !== undefined)
  })

  it('is compared on page 2 too', async () => {
    const drafted = await init('/things', url => {
      const start = number(url, 'offset', 0)
      return {
        json: {
          items: part(start).map((thing, place) => ({ place_id: place, name: thing.title })),
          offset: start,
          total: 25,
        },
      }
    })
    expect(drafted.printed).toContain('primary_key name')
  })
})

it('sends the secret with every question, and prints it nowhere', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-init-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const api = await testApi((url, { headers }) =>
    headers.authorization === 'Bearer s3cr3t'
      ? { json: { items: part(number(url, 'offset', 0)), total: 25, next_token: 's3cr3t' } }
      : { status: 401, json: {} },
  )
  vi.stubEnv('TOKEN', 's3cr3t')
  onTestFinished(() => void vi.unstubAllEnvs())
  const file = join(folder, 'things.yaml')
  const { exitCode, printed } = await command([
    'init',
    '--url',
    `${api.origin}/things`,
    '--auth',
    'bearer',
    '--out',
    file,
  ])
  expect({ exitCode, printed }).toMatchObject({ exitCode: 0 })
  expect(api.seen.length).toBeGreaterThan(1)
  expect(api.seen.every(({ headers }) => headers.authorization === 'Bearer s3cr3t')).toBe(true)
  expect(printed + (await readFile(file, 'utf8'))).not.toContain('s3cr3t')
})

it('asks again where an API that counts refuses the question for page 2 once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-init-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  let refused = 0
  const api = await testApi(url => {
    const offset = number(url, 'offset', 0)
    if (offset > 0 && refused++ === 0) return { status: 429, headers: { 'retry-after': '0' }, json: {} }
    return { json: { items: part(offset), total: 25 } }
  })
  const file = join(folder, 'things.yaml')
  const { exitCode, printed } = await command([
    'init',
    '--url',
    `${api.origin}/things`,
    '--auth',
    'none',
    '--out',
    file,
  ])
  expect({ exitCode, printed }).toMatchObject({ exitCode: 0 })
  expect(refused).toBeGreaterThan(1)
  expect(await readFile(file, 'utf8')).toMatch(/Proven[\s\S]*type: offset/)
})

describe('asks a person', () => {
  /** Gives these answers, then leaves. */
  function person(...answers: string[]): Prompt & { readonly asked: string[] } {
    const asked: string[] = []
    return {
      asked,
      ask: async question => {
        asked.push(question)
        const answer = answers.shift()
        if (answer === undefined) throw new NoAnswer('stopped; nothing was done')
        return answer
      },
    }
  }

  const subjects = (asked: readonly string[]) =>
    asked.map(question => /address|Address|Authentication|secret again|secret|file/.exec(question)?.[0])

  /** An API that wants a token at `/things`, is open at `/open`, and has no list elsewhere. */
  const shop = () =>
    testApi((url, { headers }) => {
      if (url.pathname === '/open') return { json: { items: part(0), next: null } }
      if (url.pathname !== '/things') return undefined
      const isKnown = headers.authorization === 'Bearer right'
      return isKnown ? { json: { items: part(0), next: null } } : { status: 401, json: {} }
    })

  async function place() {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-init-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    return { folder, args: ['init', '--out', join(folder, 'a.yaml'), '--secret-name', 'found_nowhere'] }
  }

  it('after it said what will happen, and before everything else whether the address leads to a list', async () => {
    const { folder, args } = await place()
    const api = await shop()
    const prompt = person(
      'api.example',
      '127.0.0.1:80/orders',
      `${api.origin}/wrong`,
      `${api.origin}/open`,
      'apikey',
      'none',
    )
    const { exitCode, printed } = await command(args, prompt)
    expect({ exitCode, asked: subjects(prompt.asked) }, printed).toEqual({
      exitCode: 0,
      asked: ['Address', 'Address', 'Address', 'address', 'Authentication', 'Authentication'],
    })
    expect(printed.split('\n')[0]).toMatch(/^This writes a pipeline file/)
    expect(printed).toContain('expected the address of a list')
    expect(printed.replace(/\s+/g, ' ')).toContain('write the http:// or https:// in front of 127.0.0.1:80')
    expect(printed).toContain(`404`)
    expect(prompt.asked[3]).toContain(`Enter to keep ${api.origin}/wrong`)
    expect(prompt.asked.at(-1)).toContain('It must be one of none, bearer, api_key, http_basic.\nAuthentication')
    expect(printed).not.toMatch(/hint|journal|pages already/)
    expect(parse(await readFile(join(folder, 'a.yaml'), 'utf8'))).toMatchObject({
      source: { client: { base_url: api.origin } },
    })
  })

  it('for another address where nobody answers, without a word about pages', async () => {
    const { args } = await place()
    const api = await shop()
    await api.close()
    const prompt = person(`${api.origin}/open`, '')
    const { exitCode, printed } = await command(args, prompt)
    expect(exitCode).toBe(130)
    expect(subjects(prompt.asked)).toEqual(['Address', 'address', 'Authentication'])
    expect(printed).toContain('nothing listens at')
    expect(printed).not.toMatch(/pages already|error:/)
  })

  it('again for a secret that is refused, and for the authentication where there is none', async () => {
    const { folder, args } = await place()
    const api = await shop()
    const left = await command(args, person(`${api.origin}/things`, 'bearer', 'wrong'))
    expect(left.exitCode).toBe(130)
    expect(left.printed).toContain('The API wants credentials.')
    expect(left.printed).toContain('401')
    expect(left.printed).toContain(
      `sluice init --url '${api.origin}/things' --auth 'bearer' --secret-name 'found_nowhere' --out '`,
    )
    expect(left.printed).not.toContain('wrong')
    const prompt = person(`${api.origin}/things`, 'http_basic', 'me', '', 'bearer', 'wrong', 'right', 'no')
    const { exitCode, printed } = await command(args, prompt)
    expect(exitCode, printed).toBe(0)
    expect(subjects(prompt.asked)).toEqual([
      'Address',
      'Authentication',
      undefined,
      'secret',
      'Authentication',
      'secret',
      'secret again',
      'secret',
    ])
    expect(printed).toContain('write found_nowhere = "…" into ')
    expect(await readFile(join(folder, '.sluice', 'secrets.toml'), 'utf8')).not.toContain('right')
  })

  it('again for the authentication where none was not enough, and proposes a token then', async () => {
    const { args } = await place()
    const api = await shop()
    const prompt = person(`${api.origin}/things`, 'none', '', 'right', '')
    const { exitCode, printed } = await command(args, prompt)
    expect(exitCode, printed).toBe(0)
    expect(subjects(prompt.asked)).toEqual(['Address', 'Authentication', 'Authentication', 'secret', 'secret'])
    expect(prompt.asked[1]).toContain('[bearer]')
  })

  it('whether to keep the secret, which a run finds then', async () => {
    const { folder, args } = await place()
    const api = await shop()
    const secrets = join(folder, '.sluice', 'secrets.toml')
    await mkdir(join(folder, '.sluice'))
    await writeFile(secrets, '# mine\n[other]\nname = "x"\n', { mode: 0o600 })
    const prompt = person(`${api.origin}/things`, 'bearer', 'right', '')
    const { exitCode, printed } = await command(args, prompt)
    expect(exitCode, printed).toBe(0)
    expect(prompt.asked.at(-1)).toMatch(/^Keep the secret in .*secrets\.toml, which only you may read\?/)
    expect(printed).not.toContain('= "right"')
    expect(printed).not.toContain('write found_nowhere')
    expect(await readFile(secrets, 'utf8')).toBe('found_nowhere = "right"\n# mine\n[other]\nname = "x"\n')
    expect(await command(['check', join(folder, 'a.yaml')])).toMatchObject({ exitCode: 0 })
  })

  it('for the name of a query parameter', async () => {
    const { args } = await place()
    const api = await shop()
    const prompt = person(`${api.origin}/open`, 'api_key', 'query')
    await command(args, prompt)
    expect(prompt.asked.at(-1)).toBe('Name of the query parameter [api_key]: ')
  })

  it('for another file where one is there', async () => {
    const { folder } = await place()
    const api = await shop()
    const there = join(folder, 'open.yaml')
    await writeFile(there, 'mine')
    const before = process.cwd()
    process.chdir(folder)
    onTestFinished(() => process.chdir(before))
    const prompt = person(`${api.origin}/open`, 'open.yaml', 'other.yaml', '')
    expect(await command(['init'], prompt)).toMatchObject({ exitCode: 0 })
    expect(subjects(prompt.asked)).toEqual(['Address', 'file', 'file', 'Authentication'])
    expect(await readFile(there, 'utf8')).toBe('mine')
    expect(await readFile(join(folder, 'other.yaml'), 'utf8')).toContain('source:')
  })

  it('nobody, and the API nothing, where the file is there', async () => {
    const { folder } = await place()
    const api = await shop()
    await writeFile(join(folder, 'open.yaml'), 'mine')
    const before = process.cwd()
    process.chdir(folder)
    onTestFinished(() => process.chdir(before))
    await api.close()
    const { exitCode, printed } = await command(['init', '--url', `${api.origin}/open`, '--auth', 'none'])
    expect(exitCode).toBe(2)
    expect(printed).toContain('open.yaml exists already and is not overwritten; name another file with --out')
  })

  it.runIf(existsSync(SCRIPT))('on a terminal, where Ctrl-C and Ctrl-D end with a line and 130', async () => {
    const { folder } = await place()
    const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
    for (const key of ['\u0003', '\u0004']) {
      const child = spawn(SCRIPT, ['-qec', `'${process.execPath}' '${main}' init`, '/dev/null'], { cwd: folder })
      let shown = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        shown += text
        if (shown.includes('orders: ') && !child.stdin.writableEnded) child.stdin.end(key)
      })
      const exitCode = await new Promise(resolve => child.once('close', resolve))
      expect(exitCode, shown).toBe(130)
      expect(shown).toMatch(/orders: [^\n]*\r\nstopped; nothing was done\r\n$/)
      expect(await readdir(folder)).toEqual([])
    }
  })
})

describe('prepares the folder', () => {
  const drafted = async (folder: string, ...more: readonly string[]) => {
    const api = await testApi((_url, { headers }) =>
      headers.authorization === 'Bearer right' ? { json: { items: part(0), next: null } } : { status: 401, json: {} },
    )
    vi.stubEnv('TOKEN', 'right')
    onTestFinished(() => void vi.unstubAllEnvs())
    return await command(['init', '--url', `${api.origin}/things`, '--auth', 'bearer', '--out', folder, ...more])
  }

  async function place() {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-init-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    return folder
  }

  it('with what Git leaves out, and a file of secrets that only its owner may read', async () => {
    const folder = await place()
    const { exitCode, printed } = await drafted(join(folder, 'things.yaml'))
    expect(exitCode, printed).toBe(0)
    expect(await readFile(join(folder, '.gitignore'), 'utf8')).toBe('.sluice/\n*.duckdb\n.env\n')
    const secrets = join(folder, '.sluice', 'secrets.toml')
    expect(await readFile(secrets, 'utf8')).toMatch(/^# token = ""$/m)
    if (process.platform !== 'win32') expect((await stat(secrets)).mode & 0o777).toBe(0o600)
    expect(printed).toContain(`sluice run ${join(folder, 'things.yaml')}`)
    expect(printed).not.toContain('write token =')
  })

  it('and keeps what is there', async () => {
    const folder = await place()
    await mkdir(join(folder, '.sluice'))
    await writeFile(join(folder, '.sluice', 'secrets.toml'), 'token = "right"\n')
    await writeFile(join(folder, '.gitignore'), 'node_modules\n/.sluice\n.env')
    expect(await drafted(join(folder, 'things.yaml'))).toMatchObject({ exitCode: 0 })
    expect(await readFile(join(folder, '.sluice', 'secrets.toml'), 'utf8')).toBe('token = "right"\n')
    const ignored = 'node_modules\n/.sluice\n.env\n*.duckdb\n'
    expect(await readFile(join(folder, '.gitignore'), 'utf8')).toBe(ignored)
    expect(await drafted(join(folder, 'more.yaml'))).toMatchObject({ exitCode: 0 })
    expect(await readFile(join(folder, '.gitignore'), 'utf8')).toBe(ignored)
  })

  it.each([
    ['nowhere', '.', '.', /^https:\/\/.+\/sluice@\d+\.\d+\.\d+[^/]*\/schema\/pipeline\.schema\.json$/],
    ['beside the file', '.', '.', /^\.\/node_modules\/sluice\/schema\/pipeline\.schema\.json$/],
    ['in a folder above', '.', 'a/b', /^\.\.\/\.\.\/node_modules\/sluice\/schema\/pipeline\.schema\.json$/],
  ])('and tells the editor where the schema is: the package is %s', async (where, above, below, address) => {
    const folder = await place()
    await mkdir(join(folder, below), { recursive: true })
    const schema = join(folder, above, 'node_modules', 'sluice', 'schema')
    if (where !== 'nowhere') {
      await mkdir(schema, { recursive: true })
      await writeFile(join(schema, 'pipeline.schema.json'), '{}')
    }
    const file = join(folder, below, 'things.yaml')
    const { printed } = await drafted(file)
    const [first = ''] = (await readFile(file, 'utf8')).split('\n')
    const written = first.replace('# yaml-language-server: $schema=', '')
    expect(written).toMatch(address)
    if (where !== 'nowhere') expect(existsSync(join(folder, below, written))).toBe(true)
    expect(printed.includes('npx sluice run')).toBe(where !== 'nowhere')
  })
})

describe('an answer whose records are no JSON', () => {
  const BROKEN = [
    '[{"id":1},{"id":nope}]',
    '[{"id":01}]',
    '[{"id":"\\x"}]',
    '[{"id":NaN}]',
    "[{'id':1}]",
    '[{"id":1},]',
    `[{"id":${'['.repeat(2000)}${']'.repeat(2000)}}]`,
  ]

  it.each(BROKEN.map(body => [body.slice(0, 30), body] as const))(
    'is told with its address, and nothing is written: %s',
    async (_, body) => {
      const api = await testApi(() => ({ text: body, headers: { 'content-type': 'application/json' } }))
      const folder = await mkdtemp(join(tmpdir(), 'sluice-init-'))
      onTestFinished(() => rm(folder, { recursive: true, force: true }))
      const file = join(folder, 'a.yaml')
      const { exitCode, printed } = await command([
        'init',
        '--url',
        `${api.origin}/things`,
        '--auth',
        'none',
        '--out',
        file,
      ])
      expect(exitCode).toBe(1)
      expect(printed).toContain('error: things: A record cannot be read as JSON')
      expect(printed).toContain(`(GET ${api.origin}/things)`)
      expect(printed).toContain('code: response_format')
      await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' })
    },
  )

  it('is no page 2', async () => {
    const { document, printed } = await init('/things?page=1', url =>
      number(url, 'page', 1) === 1
        ? { json: { items: part(0) } }
        : { text: '{"items":[{"id":nope}]}', headers: { 'content-type': 'application/json' } },
    )
    expect(document.source.client.paginator).toBeUndefined()
    expect(printed).toContain('its answer could not be read')
  })
})
