import { expect, test } from 'vitest'
import { duckdb, type Finding, pipeline, prove, restApi } from '../../src/index.js'
import { fakeClock } from '../rest/clientServer.js'
import type { Answer } from '../rest/listServer.js'
import { testApi } from '../rest/loading.js'

/** A hundred records: the older ones first. */
const all = Array.from({ length: 100 }, (_, at) => ({
  id: at + 1,
  name: `thing ${at}`,
  made: new Date(Date.UTC(2026, 0, 1, at)).toISOString(),
  // An old record may have changed lately.
  changed: new Date(Date.UTC(2026, 2, 1, (at * 37) % 100)).toISOString(),
}))

const number = (url: URL, name: string, standard: number): number => Number(url.searchParams.get(name) ?? standard)
const slice = (start: number, size = 5) => all.slice(Math.max(0, start), Math.max(0, start) + size)

async function findingsOf(
  answer: (url: URL, request: number) => Answer,
  endpoint: object,
  resources: readonly object[] = [],
  budget?: number,
): Promise<(end: string) => Finding | undefined> {
  let requests = 0
  const server = await testApi(url => answer(url, ++requests))
  const things = { name: 'things', primary_key: 'id', endpoint: { data_selector: 'items', ...endpoint } }
  const source = restApi(
    { client: { base_url: server.origin }, resources: [things, ...resources] as never },
    { env: {} },
  )
  const made = pipeline({ name: 'test', source, destination: duckdb(':memory:') })
  const proof = await prove(made, { clock: fakeClock(), ...(budget !== undefined && { budget }) })
  const findings = proof.resources.flatMap(resource => resource.findings)
  return end => findings.findLast(({ key }) => key.endsWith(`.${end}`) || key.endsWith(`["${end}"]`))
}

const page = (more: object = {}) => ({ type: 'page_number', base_page: 1, total_path: null, ...more })
const offset = (more: object = {}) => ({ type: 'offset', limit: 5, total_path: null, ...more })

test('pages are not said to begin with 0 where page 0 is the last one', async () => {
  const finding = await findingsOf(
    url => {
      const wanted = number(url, 'page', 1)
      return { json: { items: wanted < 1 ? all.slice(-5) : slice((wanted - 1) * 5) } }
    },
    { paginator: page({ base_page: 0 }) },
  )
  expect(finding('paginator')).toMatchObject({ status: 'wrong', write: expect.anything() })
})

test.each<[string, object, (position: number, size: number) => object, object]>([
  ['pages that is always one', { path: 'p' }, () => ({ pages: 1 }), page({ total_path: 'pages' })],
  [
    'records that is the size of a page',
    { path: 'o' },
    (_, size) => ({ total: size }),
    offset({ total_path: 'total' }),
  ],
  ['records so far', { path: 'o' }, (at, size) => ({ total: at + size }), offset({ total_path: 'total' })],
])('a number of %s is not proven by a second page that it denies', async (_what, endpoint, told, paginator) => {
  const finding = await findingsOf(
    url => {
      const size = number(url, 'limit', 5)
      const at = url.searchParams.has('page') ? (number(url, 'page', 1) - 1) * size : number(url, 'offset', 0)
      const items = slice(at, size)
      return { json: { ...told(at, items.length), items } }
    },
    { ...endpoint, paginator },
  )
  expect(finding('total_path')).toMatchObject({ status: 'wrong', write: expect.anything() })
  expect(finding('paginator')).toMatchObject({ status: 'proven' })
})

test.each([
  ['a count of the records of a page', { count: 5 }],
  ['a total of the page', { total: 5 }],
  ['a flag that is always down', { has_more: false }],
  ['a number of pages that is always one', { total_pages: 1 }],
])('one page is not said to be all for %s', async (_what, told) => {
  const finding = await findingsOf(url => ({ json: { ...told, items: slice((number(url, 'page', 1) - 1) * 5) } }), {
    paginator: 'single_page',
  })
  expect(finding('paginator')?.status).toBe('wrong')
})

test('a total that is a limit is not said to be the number of records', async () => {
  const finding = await findingsOf(
    url => {
      const start = number(url, 'offset', 0)
      if (start >= 10_000) return { status: 400, json: { error: 'too deep' } }
      const size = number(url, 'limit', 5)
      const items = Array.from({ length: Math.min(size, 10_000 - start) }, (_, at) => ({ id: start + at, a: `b${at}` }))
      return { json: { total: 10_000, items } }
    },
    { paginator: offset({ total_path: 'total' }) },
  )
  expect(finding('total_path')).toMatchObject({ status: 'assumed', seen: expect.stringContaining('round') })
})

test('a key is not said to be one that other parents have, too', async () => {
  const finding = await findingsOf(
    url => {
      const [, parent] = /things\/(\d+)/.exec(url.pathname) ?? []
      if (parent === undefined) return { json: { items: all.slice(0, 5), has_more: false } }
      return { json: [1, 2, 3].map(line => ({ line, text: `line ${line} of ${parent}` })) }
    },
    { paginator: 'single_page' },
    [
      {
        name: 'lines',
        primary_key: 'line',
        endpoint: { path: 'things/{resources.things.id}/lines', paginator: page(), data_selector: '$' },
      },
    ],
  )
  expect(finding('primary_key')).toMatchObject({ key: 'resources[1].primary_key', status: 'wrong' })
})

test('a key with a column of the parent is judged by its other columns', async () => {
  const finding = await findingsOf(
    url => {
      const [, parent] = /things\/(\d+)/.exec(url.pathname) ?? []
      if (parent === undefined) return { json: { items: all.slice(0, 5), has_more: false } }
      return {
        json: number(url, 'page', 1) > 1 ? [] : [1, 2, 3].map(line => ({ line, text: `line ${line} of ${parent}` })),
      }
    },
    { paginator: 'single_page' },
    [
      {
        name: 'lines',
        primary_key: ['_things_id', 'line'],
        include_from_parent: ['id'],
        endpoint: { path: 'things/{resources.things.id}/lines', paginator: page(), data_selector: '$' },
      },
    ],
  )
  expect(finding('primary_key')).toMatchObject({ key: expect.stringContaining('[1]'), status: 'assumed' })
})

test('a filter of another field is not said to be one of the cursor', async () => {
  const since = { cursor_path: 'changed', initial_value: '2026-01-01T00:00:00.000Z', start_param: 'since' }
  const finding = await findingsOf(
    url => {
      const from = url.searchParams.get('since') ?? ''
      const few = all.slice(0, 20).filter(({ changed, made }) => made.slice(5) >= '01-01T12' || changed >= from)
      const list =
        from === '' || from.startsWith('2026-01-01T00')
          ? all.slice(0, 20)
          : few.filter(one => one.changed >= from && one.id % 2 === 0)
      return { json: { items: list, has_more: false } }
    },
    { paginator: 'single_page', incremental: since },
  )
  expect(finding('start_param')?.status).not.toBe('proven')
})

test.each([
  ['pages', page()],
  ['offsets', offset()],
  ['a cursor', { type: 'cursor', cursor_path: 'next' }],
])('%s are not proven where each answer is another handful', async (_what, paginator) => {
  const finding = await findingsOf(
    (_url, request) => ({
      json: { next: `c${request}`, items: all.filter((_, at) => (at * 31 + request * 17) % 20 === 0) },
    }),
    { paginator },
  )
  for (const key of ['paginator', 'primary_key', 'stop_after_empty_page', 'limit'])
    expect(finding(key)?.status ?? 'assumed', key).not.toBe('proven')
})

test('a list that gets a record now and then proves nothing that compares pages', async () => {
  let grown = 0
  const finding = await findingsOf(
    (url, request) => {
      if (request % 3 === 2) grown += 1
      const list = [...Array.from({ length: grown }, (_, at) => ({ id: 1000 + grown - at })), ...all]
      const start = (number(url, 'page', 1) - 1) * 5
      return { json: { items: list.slice(start, start + 5) } }
    },
    { paginator: page() },
  )
  expect(finding('paginator')?.status).not.toBe('proven')
})

test.each([
  ['401', { status: 401, json: {} }],
  ['429 for a year', { status: 429, json: {}, headers: { 'retry-after': '31536000' } }],
  ['429 for longer than there are numbers', { status: 429, json: {}, headers: { 'retry-after': '9'.repeat(400) } }],
  [
    '429 since a moment of the past',
    { status: 429, json: {}, headers: { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' } },
  ],
])('%s from the fourth request on ends the questions, and changes no file', async (_what, refusal) => {
  const finding = await findingsOf(
    (url, request) => (request > 3 ? refusal : { json: { items: slice((number(url, 'page', 1) - 1) * 5) } }),
    { paginator: page() },
  )
  expect(finding('paginator')).toMatchObject({ status: 'assumed' })
  expect(finding('stop_after_empty_page')?.write).toBeUndefined()
})

/** Five records a day, one page, and a filter by whole days. */
function byDays(perDay: number): (url: URL) => Answer {
  const list = Array.from({ length: 10 }, (_, at) => ({
    id: at,
    name: `n${at}`,
    changed: new Date(Date.UTC(2026, 4, 1 + Math.floor(at / perDay), at % perDay)).toISOString(),
  }))
  return url => {
    const day = (url.searchParams.get('since') ?? '').slice(0, 10)
    return { json: { items: list.filter(({ changed }) => changed.slice(0, 10) >= day), has_more: false } }
  }
}

test.each([
  ['days are sent', 5, { param_format: '%Y-%m-%d' }, 'proven'],
  ['days are sent, and all records are of one', 10, { param_format: '%Y-%m-%d' }, 'assumed'],
  ['times are sent, and all records are of one day', 10, {}, 'assumed'],
] as const)('a filter by days is not said to be ignored where %s', async (_what, perDay, more, status) => {
  const since = { cursor_path: 'changed', initial_value: '2026-01-01T00:00:00.000Z', start_param: 'since', ...more }
  const finding = await findingsOf(byDays(perDay), { paginator: 'single_page', incremental: since })
  expect(finding('start_param')).toMatchObject({ status })
  expect(finding('start_param')?.write).toBeUndefined()
})
