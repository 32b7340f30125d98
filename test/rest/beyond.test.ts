import { deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { RestApiConfig } from '../../src/index.js'
import type { Answer } from './listServer.js'
import { bytesApi, load, quickRetry, testApi } from './loading.js'

/** What dlt does not have, through the public door and into tables. */

function things(origin: string, endpoint: object, more: object = {}): RestApiConfig {
  return {
    client: { base_url: origin, retry: quickRetry },
    resources: [{ name: 'things', endpoint, ...more }],
  } as RestApiConfig
}

describe('bodies', () => {
  const lines = '{"id":1,"name":"a"}\n{"id":2,"name":"b"}\n'
  const table = 'id,name\n1,a\n2,b\n'

  test.each<[string, string | undefined, string, Uint8Array | string]>([
    ['CSV', 'text/csv', '/things', table],
    ['CSV with a byte order mark, quotes and CRLF', 'text/csv', '/things', '\ufeffid,name\r\n1,"a"\r\n2,b\r\n'],
    ['CSV by its name', 'text/plain; charset=utf-8', '/things.csv', table],
    ['tab-separated values', 'text/tab-separated-values', '/things', table.replaceAll(',', '\t')],
    ['lines of JSON', 'application/x-ndjson', '/things', lines],
    ['lines of JSON by their name', 'application/octet-stream', '/things.jsonl?v=1', lines],
    [
      'a gzip file of JSON',
      'application/gzip',
      '/things.json.gz',
      gzipSync('[{"id":1,"name":"a"},{"id":2,"name":"b"}]'),
    ],
    ['a gzip file of lines', 'application/x-gzip', '/things.ndjson.gz', gzipSync(lines)],
    ['a gzip file of CSV', 'binary/octet-stream', '/things.csv.gz', gzipSync(table)],
    ['a gzip file that says only what is in it', 'text/csv', '/things', gzipSync(table)],
    ['a gzip file without a type', undefined, '/things.tsv.gz', gzipSync(table.replaceAll(',', '\t'))],
  ])('%s', async (_name, type, path, body) => {
    const origin = await bytesApi(() => ({ ...(type === undefined ? {} : { type }), body }))
    const { rows } = await load(things(origin, { path, paginator: 'single_page' }))
    expect((await rows('things')).map(({ id, name }) => [Number(id), name])).toEqual([
      [1, 'a'],
      [2, 'b'],
    ])
  })

  test('a gzip file that is compressed on its way, too', async () => {
    const body = deflateSync(gzipSync('[{"id":1}]'))
    const origin = await bytesApi(() => ({
      type: 'application/gzip',
      headers: { 'content-encoding': 'deflate' },
      body,
    }))
    expect((await load(things(origin, { path: '/x.json.gz', paginator: 'single_page' }))).result.rows).toEqual({
      things: 1,
    })
  })

  test('a gzip file that ends early is asked for again, then an error', async () => {
    const whole = gzipSync(JSON.stringify([{ id: 1, text: 'x'.repeat(100) }]))
    let isBroken = true
    const origin = await bytesApi((_request, number) => ({
      body: isBroken || number === 1 ? whole.subarray(0, 20) : whole,
    }))
    await expect(load(things(origin, { path: '/x.json.gz', paginator: 'single_page' }))).rejects.toMatchObject({
      code: 'connection',
      attempts: 4,
    })
    isBroken = false
    expect((await load(things(origin, { path: '/x.json.gz', paginator: 'single_page' }))).result.rows).toEqual({
      things: 1,
    })
  })

  test('CSV is paged like any other body', async () => {
    const api = await testApi(url => {
      const page = Number(url.searchParams.get('page'))
      return { type: 'text/csv', text: page > 3 ? 'id\n' : `id\n${page}\n` }
    })
    const paginator = { type: 'page_number', base_page: 1, total_path: null }
    const { rows } = await load(things(api.origin, { paginator }, { columns: { id: { data_type: 'bigint' } } }))
    expect((await rows('things')).map(({ id }) => id)).toEqual([1, 2, 3])
  })
})

describe('methods', () => {
  test.each(['PUT', 'PATCH'])('%s', async method => {
    const api = await testApi(() => ({ json: [{ id: 1 }] }))
    await load(things(api.origin, { method, json: { a: 1 }, paginator: 'single_page' }))
    expect(api.asked).toEqual([`${method} /things {"a":1}`])
  })
})

describe('caps', () => {
  const list = (url: URL): Answer => {
    const offset = Number(url.searchParams.get('offset'))
    return { json: { data: [1, 2].map(more => ({ id: offset + more })), total: 100 } }
  }
  const paginator = { type: 'offset', limit: 2 }

  test.each<[string, object, number, number, string]>([
    ['max_pages', { max_pages: 2 }, 2, 4, 'max_pages is 2'],
    ['max_records on a border', { max_records: 4 }, 2, 4, 'max_records is 4'],
    ['max_records within a page', { max_records: 3 }, 2, 3, 'max_records is 3'],
    ['the smaller one', { max_records: 3, max_pages: 1 }, 1, 2, 'max_pages is 1'],
  ])('%s', async (_name, caps, requests, records, reason) => {
    const api = await testApi(list)
    const { result } = await load(things(api.origin, { data_selector: 'data', paginator, ...caps }))
    expect(api.asked).toHaveLength(requests)
    expect(result.rows).toEqual({ things: records })
    expect(result.receipts[0]?.verdict).toBe('unproven')
    expect(result.receipts[0]?.reasons.join()).toContain(reason)
  })

  test('hold for each list of a child', async () => {
    const api = await testApi(list)
    const { result } = await load({
      client: { base_url: api.origin, paginator: { type: 'offset', limit: 2 } },
      resources: [
        { name: 'groups', records: [{ id: 'a' }, { id: 'b' }] },
        { name: 'things', endpoint: { path: '{resources.groups.id}/things', data_selector: 'data', max_records: 3 } },
      ],
    })
    expect(result.rows).toEqual({ groups: 2, things: 6 })
  })
})

describe('timeout', () => {
  test('ends a request whose answer does not come, and it is asked again', async () => {
    let number = 0
    const api = await testApi(() => (++number === 1 ? new Promise<undefined>(() => {}) : { json: [{ id: 1 }] }))
    const { result } = await load(things(api.origin, { timeout: 0.2, paginator: 'single_page' }))
    expect(result.receipts[0]).toMatchObject({ requests: 2, retries: 1 })
  })

  test('is an error in the end', async () => {
    const api = await testApi(() => new Promise<undefined>(() => {}))
    const endpoint = { timeout: 0.1, retry: { attempts: 1 } }
    await expect(load(things(api.origin, endpoint))).rejects.toMatchObject({ code: 'timeout', attempts: 1 })
  })
})

describe('retry', () => {
  /** Bad answers first, then a good one. */
  const flaky = async (...bad: Answer[]) => {
    let number = 0
    return testApi(() => bad[number++] ?? { json: [{ id: 1 }] })
  }
  const paginator = 'single_page'

  test('statuses and ranges that are listed, and no others', async () => {
    const retry = { statuses: [404, '5xx'] }
    const api = await flaky({ status: 404 }, { status: 599 })
    expect((await load(things(api.origin, { paginator, retry }))).result.receipts[0]).toMatchObject({ retries: 2 })
    const other = await flaky({ status: 429 })
    await expect(load(things(other.origin, { paginator, retry }))).rejects.toMatchObject({
      status: 429,
      code: 'http_status',
    })
    expect(other.asked).toHaveLength(1)
  })

  test('as often as attempts say', async () => {
    const api = await flaky({ status: 500 }, { status: 500 })
    await expect(load(things(api.origin, { paginator, retry: { attempts: 2 } }))).rejects.toMatchObject({ status: 500 })
    expect(api.asked).toHaveLength(2)
  })

  test('waits as base, factor and max_delay say', async () => {
    const api = await flaky({ status: 500 }, { status: 500 }, { status: 500 })
    const retry = { base: 0.01, factor: 3, max_delay: 0.05, jitter: 'none' }
    const { events } = await load(things(api.origin, { paginator, retry }))
    expect(events.flatMap(event => (event.type === 'retry' ? [event.delayMs] : []))).toEqual([10, 30, 50])
  })

  test.each([
    ['a text', 'try again'],
    ['one of several', ['nothing', 'try again']],
  ])('a successful answer that contains %s', async (_name, contains) => {
    const api = await flaky({ json: { error: 'busy, try again' } })
    const { result } = await load(
      things(api.origin, { paginator, data_selector: '$', retry: { body_contains: contains } }),
    )
    expect(api.asked).toHaveLength(2)
    expect(result.rows).toEqual({ things: 1 })
  })

  test('not a broken connection where it says so', async () => {
    const retry = { on_connection_error: false }
    const failing = load(things('http://127.0.0.1:9', { paginator, retry }))
    await expect(failing).rejects.toMatchObject({ code: 'connection', attempts: 1 })
  })
})

describe('response actions', () => {
  const paginator = { type: 'page_number', base_page: 1, total_path: null, maximum_page: 4 }

  /** Pages 1, 2, 3 with a record each; page 2 is what the test says. */
  const pagesWith = (second: Answer) =>
    testApi(url => {
      const page = Number(url.searchParams.get('page'))
      return page === 2 ? second : { json: [{ id: page }] }
    })

  test.each<[string, object, Answer, number[], string]>([
    [
      'ignore ends the list before the page',
      { status_code: '5xx', action: 'ignore' },
      { status: 503 },
      [1],
      'unproven',
    ],
    [
      'skip_page goes on after it',
      { status_code: '500-504', action: 'skip_page' },
      { status: 503 },
      [1, 3],
      'unproven',
    ],
    [
      'skip_page by content',
      { content: 'broken', action: 'skip_page' },
      { json: { broken: true } },
      [1, 3],
      'unproven',
    ],
    [
      'stop keeps the page and ends the list',
      { content: 'last', action: 'stop' },
      { json: [{ id: 2, last: true }] },
      [1, 2],
      'unproven',
    ],
    [
      'empty is a page without records',
      { status_code: 404, action: 'empty' },
      { status: 404, text: 'nothing' },
      [1],
      'unproven',
    ],
    [
      'empty is the end where the document says so',
      { status_code: 404, action: 'empty', proves_end: true },
      { status: 404, text: 'nothing' },
      [1],
      'complete',
    ],
    [
      'a condition that does not hold changes nothing',
      { status_code: '4xx', content: 'x', action: 'fail' },
      { json: [{ id: 2 }] },
      [1, 2, 3],
      'unproven',
    ],
  ])('%s', async (_name, action, second, expected, verdict) => {
    const api = await pagesWith(second)
    const { rows, result, events } = await load(
      things(api.origin, { paginator, retry: { attempts: 1 }, response_actions: [action] }),
    )
    expect((await rows('things')).map(({ id }) => id)).toEqual(expected)
    expect(result.receipts[0]?.verdict).toBe(verdict)
    const dropped = events.filter(event => event.type === 'warning' && event.code === 'ignored_response')
    expect(dropped).toHaveLength(
      second.status === undefined && !('content' in action && action.content === 'broken') ? 0 : 1,
    )
  })

  test('retry asks again, fail refuses, and the first that matches counts', async () => {
    let number = 0
    const api = await testApi(() => (++number < 3 ? { json: { state: 'pending' } } : { json: [{ id: 1 }] }))
    const endpoint = {
      paginator: 'single_page',
      response_actions: [
        { content: 'pending', action: 'retry' },
        { status_code: 200, content: '"id":2', action: 'fail' },
      ],
    }
    expect((await load(things(api.origin, endpoint))).result.rows).toEqual({ things: 1 })
    expect(api.asked).toHaveLength(3)
    const refused = await testApi(() => ({ json: [{ id: 2 }] }))
    await expect(load(things(refused.origin, endpoint))).rejects.toMatchObject({
      code: 'http_status',
      message: expect.stringContaining('response_actions[1]'),
    })
  })

  test('a function may replace the body or choose the action', async () => {
    const api = await pagesWith({ status: 418, text: 'teapot' })
    const response_actions = [
      ({ status }: { status: number }) => (status === 418 ? 'skip_page' : undefined),
      ({ text }: { text: string }) => ({ body: text.replace('"id"', '"key"') }),
    ]
    const { rows } = await load(things(api.origin, { paginator, response_actions }))
    expect((await rows('things', 'key')).map(({ key }) => key)).toEqual([1, 3])
  })
})

describe('pagination in a form', () => {
  test('by cursor', async () => {
    const api = await testApi((_url, { body }) => {
      const cursor = Number(new URLSearchParams(body).get('cursor') ?? 0)
      return { json: { data: [{ id: cursor }], cursors: { next: cursor < 2 ? cursor + 1 : null } } }
    })
    const paginator = { type: 'cursor', cursor_path: 'cursors.next', cursor_body_path: 'cursor' }
    await load(things(api.origin, { method: 'POST', data: { q: 'a' }, data_selector: 'data', paginator }))
    expect(api.asked).toEqual(['POST /things q=a', 'POST /things q=a&cursor=1', 'POST /things q=a&cursor=2'])
  })
})
