import { expect, test } from 'vitest'
import { duckdb, pipeline, prove, restApi } from '../../src/index.js'
import { fakeClock, type Seen } from '../rest/clientServer.js'
import type { Answer } from '../rest/listServer.js'
import { testApi } from '../rest/loading.js'

interface Thing {
  readonly id: unknown
  readonly [field: string]: unknown
}

/** Thirty records, newest last. */
const all: readonly Thing[] = Array.from({ length: 30 }, (_, at) => ({
  id: 100 + at,
  name: `thing ${(at * 13) % 31}`,
  changed: new Date(Date.UTC(2026, 0, 1, at)).toISOString(),
}))

interface Request {
  readonly query: (name: string) => string | undefined
  /** The JSON body. */
  // biome-ignore lint/suspicious/noExplicitAny: bodies of any form
  readonly body: any
  /** 1 for the first request. */
  readonly number: number
}

interface Hostile {
  readonly what: string
  readonly endpoint: object
  readonly resource?: object
  readonly answer: (request: Request) => Answer
  /** Ends of the keys that would be a lie if they were proven. */
  readonly lies: readonly string[]
}

const from = (start: number, size = 5): readonly Thing[] => all.slice(Math.max(0, start), Math.max(0, start) + size)
const items = (list: readonly unknown[], more: object = {}): Answer => ({ json: { ...more, items: list } })
const page = (more: object = {}) => ({ type: 'page_number', base_page: 1, total_path: null, ...more })
const offset = (more: object = {}) => ({ type: 'offset', limit: 5, total_path: null, ...more })
const pageOf = ({ query }: Request): number => Number(query('page') ?? 1)
const startOf = ({ query }: Request): number => Number(query('offset') ?? 0)
const limitOf = ({ query }: Request): number => Number(query('limit') ?? 5)
const since = { cursor_path: 'changed', initial_value: '2026-01-01T00:00:00.000Z', start_param: 'since' }
const post = (paginator: unknown, json: object) => ({ method: 'POST', json, paginator })
const graphql = (more: object = {}) => ({
  ...post(
    {
      type: 'cursor',
      cursor_path: 'data.things.pageInfo.endCursor',
      cursor_body_path: 'variables.after',
      has_more_path: 'data.things.pageInfo.hasNextPage',
    },
    { query: 'query($after: String) {{ things(after: $after) {{ nodes {{ id name }} }} }}', variables: {} },
  ),
  data_selector: 'data.things.nodes',
  ...more,
})
const graph = (nodes: readonly unknown[], endCursor: string | null, hasNextPage: boolean): Answer => ({
  json: { data: { things: { nodes, pageInfo: { endCursor, hasNextPage } } } },
})

const hostile: readonly Hostile[] = [
  {
    what: 'a key repeats on page 3 only',
    endpoint: { paginator: page() },
    answer: request => {
      const at = (pageOf(request) - 1) * 5
      return items(at === 10 ? from(at).map((one, index) => ({ ...one, id: 100 + index })) : from(at))
    },
    lies: ['primary_key'],
  },
  {
    what: 'a key repeats on page 3 of a list that is followed',
    endpoint: { paginator: { type: 'cursor', cursor_path: 'next' } },
    answer: ({ query }) => {
      const at = Number(query('cursor') ?? 0)
      const list = at === 10 ? from(at).map((one, index) => ({ ...one, id: 100 + index })) : from(at)
      return items(list, { next: at + 5 < 30 ? String(at + 5) : null })
    },
    lies: ['primary_key'],
  },
  {
    what: 'the page in the body of a POST is ignored',
    endpoint: post(page({ page_body_path: 'page' }), { size: 5 }),
    answer: () => items(from(0)),
    lies: ['paginator', 'primary_key'],
  },
  {
    what: 'a POST knows its page only in the query',
    endpoint: post(page({ page_body_path: 'page' }), { size: 5 }),
    answer: request => items(from((pageOf(request) - 1) * 5)),
    lies: ['paginator', 'primary_key'],
  },
  {
    what: 'one page of a POST is not all, and its body counts pages',
    endpoint: post('single_page', { page: 1, size: 5 }),
    answer: ({ body }) => items(from((Number(body?.page ?? 1) - 1) * 5), { total: 5 }),
    lies: ['paginator', 'primary_key'],
  },
  {
    what: 'a variable of GraphQL is ignored, and each answer has another cursor',
    endpoint: graphql(),
    answer: ({ number }) => graph(from(0), `c${number}`, true),
    lies: ['paginator', 'primary_key', 'has_more_path'],
  },
  {
    what: 'GraphQL answers with errors behind page 1',
    endpoint: graphql(),
    answer: ({ body }) =>
      body?.variables?.after == null
        ? graph(from(0), 'c1', true)
        : { json: { data: null, errors: [{ message: 'too complex' }] } },
    lies: ['paginator', 'primary_key', 'has_more_path'],
  },
  {
    what: 'GraphQL says that there is no more on page 2, and there is',
    endpoint: graphql(),
    answer: ({ body }) => {
      const at = Number(body?.variables?.after ?? 0)
      return graph(from(at), at + 5 < 30 ? String(at + 5) : null, at === 0)
    },
    lies: ['has_more_path'],
  },
  {
    what: 'pages become shorter, so that offsets leave records out',
    endpoint: { paginator: offset() },
    answer: request => items(from(startOf(request), startOf(request) === 0 ? 5 : 3)),
    lies: ['limit'],
  },
  {
    what: 'short pages are filled up with their last record',
    endpoint: { paginator: offset() },
    answer: request => {
      const list = from(startOf(request), Math.min(limitOf(request), 3))
      return items(Array.from({ length: limitOf(request) }, (_, at) => list[Math.min(at, list.length - 1)]))
    },
    lies: ['primary_key'],
  },
  {
    what: 'a total is that of two pages',
    endpoint: { paginator: offset({ total_path: 'total' }) },
    answer: request => items(from(startOf(request), limitOf(request)), { total: 10 }),
    lies: ['total_path'],
  },
  {
    what: 'a total runs ahead',
    endpoint: { paginator: offset({ total_path: 'total' }) },
    answer: request =>
      items(from(startOf(request), limitOf(request)), { total: startOf(request) + limitOf(request) + 1 }),
    lies: ['total_path'],
  },
  {
    what: 'a total in a header is that of the page',
    endpoint: { paginator: page({ total_path: undefined, total_header: 'X-Total' }) },
    answer: request => ({ ...items(from((pageOf(request) - 1) * 5)), headers: { 'X-Total': '5' } }),
    lies: ['total_header'],
  },
  {
    what: 'a cursor leads back to page 1 by new names',
    endpoint: { paginator: { type: 'cursor', cursor_path: 'next' } },
    answer: ({ query, number }) => {
      const at = (query('cursor') ?? '').startsWith('two') ? 5 : 0
      return items(from(at), { next: `${at === 0 ? 'two' : 'one'}${number}` })
    },
    lies: ['paginator'],
  },
  {
    what: 'a cursor is ignored',
    endpoint: { paginator: { type: 'cursor', cursor_path: 'next' } },
    answer: ({ number }) => items(from(0), { next: `c${number}` }),
    lies: ['paginator', 'primary_key'],
  },
  {
    what: 'a filter gives nothing, whatever is asked for',
    endpoint: { paginator: 'single_page', incremental: { ...since, initial_value: null } },
    answer: ({ query }) => items(query('since') === undefined ? all : [], { has_more: false }),
    lies: ['start_param'],
  },
  {
    what: 'a filter gives the two newest, whatever is asked for',
    endpoint: { paginator: 'single_page', incremental: since },
    answer: ({ query }) => items((query('since') ?? '') > '2026-01-01T00:00:00.000Z' ? all.slice(-2) : all),
    lies: ['start_param'],
  },
  {
    what: 'a filter only leaves the first record out',
    endpoint: { paginator: 'single_page', incremental: since },
    answer: ({ query }) => items((query('since') ?? '') > '2026-01-01T00:00:00.000Z' ? all.slice(1) : all),
    lies: ['start_param'],
  },
  {
    what: 'a record goes between two pages',
    endpoint: { paginator: page() },
    answer: request =>
      items(all.slice(request.number > 1 ? 1 : 0).slice((pageOf(request) - 1) * 5, pageOf(request) * 5)),
    lies: ['paginator', 'limit'],
  },
  {
    what: 'pages 0 and 1 are the same',
    endpoint: { paginator: page({ base_page: 0 }) },
    answer: request => items(from((Math.max(1, pageOf(request)) - 1) * 5)),
    lies: ['paginator'],
  },
  {
    what: 'a flag says that there is more on odd pages only',
    endpoint: { paginator: page({ has_more_path: 'has_more' }) },
    answer: request => items(from((pageOf(request) - 1) * 5), { has_more: pageOf(request) % 2 === 1 }),
    lies: ['has_more_path'],
  },
  {
    what: 'the link of page 3 leads to page 1',
    endpoint: { paginator: { type: 'json_link', next_url_path: 'next' } },
    answer: request => {
      const now = pageOf(request)
      return items(from((now - 1) * 5), { next: `/things?page=${now === 3 ? 1 : now + 1}` })
    },
    lies: ['paginator'],
  },
]

test.each(hostile)('nothing false is proven where $what', async ({ endpoint, resource, answer, lies }) => {
  let number = 0
  const server = await testApi((url, seen: Seen) => {
    number += 1
    const body: unknown = seen.body === '' ? undefined : JSON.parse(seen.body)
    return answer({ query: name => url.searchParams.get(name) ?? undefined, body, number })
  })
  const things = {
    name: 'things',
    primary_key: 'id',
    endpoint: { data_selector: 'items', ...endpoint },
    ...resource,
  }
  const source = restApi({ client: { base_url: server.origin }, resources: [things] as never }, { env: {} })
  const made = pipeline({ name: 'test', source, destination: duckdb(':memory:') })
  const proof = await prove(made, { clock: fakeClock() })
  const findings = proof.resources.flatMap(one => one.findings)
  expect(findings.length).toBeGreaterThan(0)
  const proven = findings.filter(({ status }) => status === 'proven').map(({ key }) => key)
  expect(proven.filter(key => lies.some(end => key.endsWith(`.${end}`)))).toEqual([])
  expect(number).toBeLessThanOrEqual(12)
})
