import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { RestApiConfig } from '../../src/index.js'
import { parseRestConfig } from '../../src/rest/document/parseDocument.js'
import { zipOf } from './archives.js'
import { fakeClock, memoryJournal, serve, type TestServer } from './clientServer.js'
import { type Read, read, things } from './listServer.js'
import { load, preparedVersions, run } from './loading.js'

/** An export that is ordered, waited for and downloaded. */

interface JobApi extends TestServer {
  /** Method and URL of each request, in order. */
  asked(): string[]
}

type Reply = { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: unknown }

/** An API whose jobs have these statuses, one after the other. The last one stays. */
async function jobApi(
  statuses: readonly unknown[],
  others: Readonly<Record<string, () => Reply>> = {},
): Promise<JobApi> {
  let orders = 0
  let looks = 0
  const answers: Readonly<Record<string, () => Reply>> = {
    'POST /exports': () => ({ status: 202, body: { job: { id: `j/${++orders}` } } }),
    'GET /exports/j%2F1': () => {
      const body = statuses[Math.min(looks++, statuses.length - 1)]
      return typeof body === 'number' ? { status: body, body: { error: 'no such job' } } : { body }
    },
    'GET /exports/j%2F2': () => ({ body: { state: 'done', url: '/files/1' } }),
    'GET /files/1': () => ({ body: 'id,name\n1,a\n2,b\n', headers: { 'content-type': 'text/csv' } }),
    'GET /files/2': () => ({ body: 'id,name\n3,c\n', headers: { 'content-type': 'text/csv' } }),
    'DELETE /exports/j%2F1': () => ({ status: 204 }),
    ...others,
  }
  const server = await serve(({ method, url }, response) => {
    const { status = 200, headers, body } = answers[`${method} ${url.split('?')[0]}`]?.() ?? { status: 404, body: {} }
    const isRaw = typeof body === 'string' || Buffer.isBuffer(body)
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(body === undefined ? undefined : isRaw ? body : JSON.stringify(body))
  })
  onTestFinished(() => server.close())
  return { ...server, asked: () => server.seen.map(({ method, url }) => `${method} ${url}`) }
}

const poll = { path: 'exports/{handle}', status_path: 'state', done: ['done'], every: 5, timeout: 60 }
const job = { handle_path: 'job.id', poll, download: { url_path: 'url' } }

function exports(api: { readonly origin: string }, more: object = {}, endpoint: object = {}) {
  const retry = { attempts: 1 }
  return things(api.origin, {
    path: 'exports',
    method: 'POST',
    json: { kind: 'all' },
    retry,
    ...endpoint,
    job: { ...job, ...more },
  })
}

const done = { state: 'done', url: '/files/1', rows: 2 }
const two = [
  { id: '1', name: 'a' },
  { id: '2', name: 'b' },
]

describe('an export job', () => {
  test('is ordered once, waited for, downloaded, compared and removed', async () => {
    const api = await jobApi([{ state: 'queued' }, { state: 'running' }, done])
    const clock = fakeClock()
    const cleanup = { path: 'exports/{handle}' }
    const { records, end, events } = await read(exports(api, { total_path: 'rows', cleanup }), 'things', { clock })
    expect(records).toEqual(two)
    expect(end).toMatchObject({ end: 'proven', reason: expect.stringContaining('the export job ended as "done"') })
    expect(clock.slept).toEqual([5_000, 5_000])
    expect(events.filter(({ type }) => type === 'waiting')).toHaveLength(2)
    const look = 'GET /exports/j%2F1'
    expect(api.asked()).toEqual(['POST /exports', look, look, look, 'GET /files/1', 'DELETE /exports/j%2F1'])
    expect(api.seen[0]?.body).toBe('{"kind":"all"}')
  })

  test.each<[string, object, object, Readonly<Record<string, () => Reply>>, unknown[]]>([
    [
      'several files',
      { state: 'done', files: [{ u: '/files/1' }, { u: '/files/2' }], rows: 3 },
      { download: { url_path: 'files[*].u' }, total_path: 'rows' },
      {},
      [...two, { id: '3', name: 'c' }],
    ],
    ['no file', { state: 'done', files: [], rows: 0 }, { download: { url_path: 'files' }, total_path: 'rows' }, {}, []],
    [
      'no file, as the API counts nothing',
      { state: 'done', files: [], total: 0 },
      { download: { url_path: 'files' } },
      {},
      [],
    ],
    [
      'null for the file of an export that found nothing',
      { state: 'done', url: null, objectCount: '0' },
      { total_path: 'objectCount' },
      {},
      [],
    ],
    ['null for the file, as the API counts nothing', { state: 'done', url: null, objectCount: '0' }, {}, {}, []],
    [
      'a file without content between others',
      { state: 'done', files: ['/files/1', '/none', '/files/2'], rows: 3 },
      { download: { url_path: 'files' }, total_path: 'rows' },
      { 'GET /none': () => ({ status: 204 }) },
      [...two, { id: '3', name: 'c' }],
    ],
    [
      'a path with the handle',
      { state: 'done' },
      { download: { path: 'results', params: { of: '{handle}' } } },
      { 'GET /results': () => ({ body: two }) },
      two,
    ],
    [
      'a status by HTTP',
      {},
      { poll: { path: poll.path, done: [200] }, download: { path: 'results' } },
      { 'GET /results': () => ({ body: two }) },
      two,
    ],
    [
      'a handle that is a URL',
      done,
      { handle_header: 'Location', handle_path: null, poll: { ...poll, path: '{handle}' } },
      { 'POST /exports': () => ({ status: 201, headers: { location: '/exports/j%2F1' }, body: {} }) },
      two,
    ],
    [
      'a gzip file',
      done,
      {},
      {
        'GET /files/1': () => ({
          body: gzipSync(JSON.stringify(two)),
          headers: { 'content-type': 'application/gzip' },
        }),
      },
      two,
    ],
  ])('may have %s', async (_what, status, more, others, expected) => {
    const api = await jobApi([status], others)
    const { records, end } = await read(exports(api, more))
    expect(records).toEqual(expected)
    expect(end.end).toBe('proven')
  })

  test.each<[string, object, object, string, string]>([
    ['records were announced', { rows: 5 }, { total_path: 'rows' }, 'suspect', 'announced 5 records, but has no file'],
    ['nothing was announced', {}, {}, 'limited', 'set `job.total_path`'],
  ])('without a file is not called whole where %s', async (_what, status, more, end, reason) => {
    const api = await jobApi([{ state: 'done', files: [], ...status }])
    const result = await read(exports(api, { download: { url_path: 'files' }, ...more }))
    expect(result.end).toMatchObject({ end, reason: expect.stringContaining(reason) })
  })

  test.each<[string, object, string]>([
    ['an error', { error: 'two shards failed' }, 'the last status of the export job has "error"'],
    ['that it is a part', { partial: true }, 'an answer says "partial"'],
    ['that there is more', { has_more: true }, '"has_more" says there is more'],
    ['that something remains', { remaining_items: 5 }, '"remaining_items" says there is more'],
    ['a next page', { next_token: 'n' }, 'has a next page at "next_token"'],
  ])('is not called whole where its last status says %s', async (_what, status, reason) => {
    const api = await jobApi([{ ...done, ...status }])
    const { records, end } = await read(exports(api, { total_path: 'rows' }))
    expect(records).toEqual(two)
    expect(end).toMatchObject({ end: 'limited', reason: expect.stringContaining(reason) })
  })

  test.each<[string, object, object, string]>([
    ['a larger total', { record_count: 30 }, {}, '"record_count" says 30, but 2 records arrived'],
    ['a larger count', { count: 3 }, {}, '"count" says 3, but 2 records arrived'],
    [
      'a larger total beside a nested status',
      { job: { state: 'done', num_records: 3, has_more: false } },
      { poll: { ...poll, status_path: 'job.state' } },
      'says 3, but 2 records arrived',
    ],
    [
      'fewer records',
      { files: ['/files/1', '/files/2'], total: 1 },
      { download: { url_path: 'files' } },
      'says 1, but 3',
    ],
  ])('is not called whole where its last status tells of %s', async (_what, status, more, reason) => {
    const api = await jobApi([{ state: 'done', url: '/files/1', ...status }])
    const { end } = await read(exports(api, more))
    expect(end).toMatchObject({ end: 'limited', reason: expect.stringContaining(reason) })
  })

  test.each<[string, object, object]>([
    ['its number of records', { record_count: 3, has_more: false }, {}],
    ['its number of files', { total: 2 }, {}],
    ['the bytes of its files', { total_size: 52_311 }, {}],
    ['another total than the one that is declared', { record_count: 30, rows: 3 }, { total_path: 'rows' }],
    ['an empty link to another page', { next_token: null }, {}],
  ])('is whole where its last status tells %s', async (_what, status, more) => {
    const api = await jobApi([{ state: 'done', files: ['/files/1', '/files/2'], ...status }])
    const { records, end } = await read(exports(api, { download: { url_path: 'files' }, ...more }))
    expect(records).toHaveLength(3)
    expect(end.end).toBe('proven')
  })

  test.each<[string, string, unknown]>([
    ['has another member', 'files[*].u', [{ u: '/files/1' }, { error: 'failed' }, { u: '/files/2' }]],
    ['is null', 'files[*].u', [{ u: '/files/1' }, null]],
    ['lacks a list of links', 'files[*].links[*].u', [{ links: [{ u: '/files/1' }] }, {}]],
  ])('is refused where one of its files has no URL, but %s', async (_what, path, files) => {
    const api = await jobApi([{ state: 'done', files }])
    const reading = read(exports(api, { download: { url_path: path } }))
    await expect(reading).rejects.toThrow(/gives \d URLs? in the last status, and one of its files has none/)
    expect(api.asked()).not.toContain('GET /files/1')
  })

  test.each<[string, unknown, Readonly<Record<string, () => Reply>>]>([
    ['order', done, { 'POST /exports': () => ({ body: { job: { id: 'j/1' }, error: 'quota' } }) }],
    ['status', { ...done, error: 'quota' }, {}],
  ])('fails by a response action for its %s', async (_what, status, others) => {
    const api = await jobApi([status], others)
    const responseActions = [{ json_path: 'error', action: 'fail', message: 'no export' }]
    await expect(read(exports(api, {}, { response_actions: responseActions }))).rejects.toThrow('no export')
    expect(api.asked()).not.toContain('GET /files/1')
  })

  test('may have a zip archive of CSV that says nothing about itself', async () => {
    const body = await zipOf({ 'a.bin': 'id;name\n1;a\n2;b\n' })
    const api = await jobApi([done], { 'GET /files/1': () => ({ body, headers: { 'content-type': 'text/plain' } }) })
    const { records } = await read(exports(api, {}, { format: { type: 'csv', delimiter: ';' } }))
    expect(records).toEqual(two)
  })

  test('may have pages', async () => {
    const api = await jobApi([{ state: 'done' }], {
      'GET /results': () => ({ body: { items: two, next: null } }),
    })
    const endpoint = { data_selector: 'items', paginator: { type: 'json_link', next_url_path: 'next' } }
    const { records, end } = await read(exports(api, { download: { path: 'results' } }, endpoint))
    expect(records).toEqual(two)
    expect(end.end).toBe('proven')
  })

  test('is refused where it has several files and a paginator that knows one', async () => {
    const file = { body: { items: two, next: null } }
    const api = await jobApi([{ state: 'done', files: ['/files/1', '/files/2'] }], {
      'GET /files/1': () => file,
      'GET /files/2': () => file,
    })
    const endpoint = { data_selector: 'items', paginator: { type: 'json_link', next_url_path: 'next' } }
    const reading = read(exports(api, { download: { url_path: 'files' } }, endpoint))
    await expect(reading).rejects.toThrow(/has 2 files, and .*paginator walks through the pages of one/)
  })

  test('is not called whole where another number of records was announced', async () => {
    const api = await jobApi([{ ...done, rows: 3 }])
    const endpoint = { path: 'exports', method: 'POST', job: { ...job, total_path: 'rows' } }
    const document = { client: { base_url: api.origin }, resources: [{ name: 'things', endpoint }] }
    await expect(load(document as RestApiConfig)).rejects.toThrow(/3/)
  })

  test('gets its file from another host without credentials', async () => {
    const store = await jobApi([])
    const api = await jobApi([{ state: 'done', url: `${store.origin}/files/1?X-Amz-Signature=abc` }])
    const auth = { type: 'bearer', token: 'secret-4711' }
    const { records } = await read(exports(api, {}, { auth, headers: { 'X-Own': '1' } }))
    expect(records).toEqual(two)
    expect(api.seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer secret-4711', 'Bearer secret-4711'])
    expect(store.seen.map(({ headers }) => [headers.authorization, headers['x-own']])).toEqual([[undefined, undefined]])
  })

  test('warns where it cannot be removed', async () => {
    const api = await jobApi([done])
    const { records, events } = await read(exports(api, { cleanup: { path: 'nowhere' } }))
    expect(records).toEqual(two)
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'warning', message: expect.stringContaining('could not be removed') }),
    )
  })

  test('is not removed at another host', async () => {
    const other = await jobApi([done])
    const location = `${other.origin}/exports/j%2F1`
    const api = await jobApi([], { 'POST /exports': () => ({ headers: { location }, body: {} }) })
    const cleanup = { path: '{handle}' }
    const whole = { handle_path: null, handle_header: 'Location', poll: { ...poll, path: '{handle}' }, cleanup }
    const { records, events } = await read(exports(api, whole))
    expect(records).toEqual(two)
    expect(other.asked()).toEqual(['GET /exports/j%2F1', 'GET /files/1'])
    expect(events).toContainEqual(expect.objectContaining({ message: expect.stringContaining('is not the API') }))
  })

  test('waits as long as the API asks', async () => {
    let looks = 0
    const api = await jobApi([], {
      'GET /exports/j%2F1': () =>
        ++looks === 1 ? { body: { state: 'queued' }, headers: { 'retry-after': '20' } } : { body: done },
    })
    const clock = fakeClock()
    await read(exports(api), 'things', { clock })
    expect(clock.slept).toEqual([20_000])
  })

  test('stops waiting when the run is stopped', async () => {
    const controller = new AbortController()
    const api = await jobApi([{ state: 'queued' }])
    const clock = fakeClock()
    const sleep = async (): Promise<void> => {
      controller.abort()
      controller.signal.throwIfAborted()
    }
    const reading = read(exports(api), 'things', { clock: { ...clock, sleep }, signal: controller.signal })
    await expect(reading).rejects.toThrow()
    expect(api.asked()).toHaveLength(2)
  })

  test.each<[string, unknown, object, Readonly<Record<string, () => Reply>>, string]>([
    ['fails', { state: 'FAILED', message: 'too large' }, {}, {}, 'the export job ended as "FAILED": {"state":"FAILED"'],
    [
      'says why',
      { state: 'failed', message: 'too large' },
      { poll: { ...poll, message_path: 'message' } },
      {},
      'ended as "failed": "too large"; the next run orders it again',
    ],
    ['never ends', { state: 'running' }, {}, {}, 'still "running" after 60 seconds'],
    ['is gone', 410, {}, {}, 'was answered 410'],
    ['has no status', { other: 1 }, {}, {}, 'job.poll.status_path "state" leads to no text'],
    ['has no URL', { state: 'done' }, {}, {}, 'job.download.url_path "url" leads to no URL'],
    [
      'has one URL twice',
      { state: 'done', files: ['/files/1', '/files/2', '/files/1'] },
      { download: { url_path: 'files' } },
      {},
      'job.download.url_path "files" gives one URL twice, as 1 and 3 of 3',
    ],
    ['has no total', done, { total_path: 'total' }, {}, 'job.total_path "total" is not a number'],
    [
      'has no handle',
      done,
      {},
      { 'POST /exports': () => ({ body: { error: 'busy' } }) },
      'job.handle_path "job.id" leads to no text',
    ],
    [
      'leads elsewhere',
      done,
      {},
      { 'POST /exports': () => ({ body: { job: { id: '..' } } }) },
      'would lead to another place',
    ],
    [
      'is refused',
      done,
      {},
      { 'POST /exports': () => ({ status: 400, body: { error: 'no' } }) },
      'was answered 400 Bad Request, {"error":"no"}; ',
    ],
    ['has no file', { state: 'done', url: '/files/9' }, {}, {}, 'was answered 404'],
  ])('is an error where it %s', async (_what, status, more, others, expected) => {
    const api = await jobApi([status], others)
    await expect(read(exports(api, more))).rejects.toThrow(expected)
  })
})

test.each<[string, Reply]>([
  ['no content', { status: 204 }],
  ['an empty body', { headers: { 'content-type': 'application/x-ndjson' }, body: '' }],
  ['an empty line', { headers: { 'content-type': 'application/x-ndjson' }, body: '\n' }],
])(
  'a file with %s is in doubt, and no row is deleted, unless a total says that nothing is missing',
  async (_what, none) => {
    let isLost = false
    const status = (): object => ({ state: 'done', files: ['/files/1', '/files/2'], rows: isLost ? 2 : 3 })
    const api = await jobApi([], {
      'GET /exports/j%2F1': () => ({ body: status() }),
      'POST /exports': () => ({ status: 202, body: { job: { id: 'j/1' } } }),
      'GET /files/2': () => (isLost ? none : { body: 'id,name\n3,c\n', headers: { 'content-type': 'text/csv' } }),
    })
    const document = (more: object): RestApiConfig =>
      ({
        client: { base_url: api.origin },
        resources: [
          {
            name: 'things',
            primary_key: 'id',
            write_disposition: 'merge',
            deletes: 'hard',
            max_delete_share: 1,
            endpoint: { path: 'exports', method: 'POST', job: { ...job, download: { url_path: 'files' }, ...more } },
          },
        ],
      }) as unknown as RestApiConfig
    const version = await preparedVersions()
    const uncounted = version(document({}))
    expect((await run(uncounted)).result.receipts[0]).toMatchObject({ verdict: 'complete', records: 3 })
    isLost = true
    const { result, rows } = await run(uncounted)
    expect(result.receipts[0]).toMatchObject({
      verdict: 'unproven',
      reasons: [expect.stringContaining('has no content')],
    })
    expect(await rows('things')).toHaveLength(3)
    const counted = await run(version(document({ total_path: 'rows' })))
    expect(counted.result.receipts[0]).toMatchObject({ verdict: 'complete', deleted: 1 })
  },
)

describe('the next run', () => {
  /** Two runs with one journal. The first one fails. */
  async function twice(api: JobApi, more: object = {}): Promise<{ readonly second: Read; readonly asked: string[] }> {
    const journal = memoryJournal()
    await expect(read(exports(api, more), 'things', { journal })).rejects.toThrow()
    const before = api.asked().length
    const second = await read(exports(api, more), 'things', { journal })
    return { second, asked: api.asked().slice(before) }
  }

  test('waits for the same job', async () => {
    const running = Array<object>(13).fill({ state: 'running' })
    const { second, asked } = await twice(await jobApi([...running, done]))
    expect(second.records).toEqual(two)
    expect(asked).toEqual(['GET /exports/j%2F1', 'GET /files/1'])
  })

  test('asks for a new address, as the old one may have expired', async () => {
    const api = await jobApi([{ state: 'done', url: '/expired' }, done], { 'GET /expired': () => ({ status: 403 }) })
    const { second, asked } = await twice(api)
    expect(second.records).toEqual(two)
    expect(asked).toEqual(['GET /exports/j%2F1', 'GET /files/1'])
  })

  test.each<[string, unknown]>([
    ['failed', { state: 'failed' }],
    ['is gone', 404],
    ['has lost its file', { state: 'done', url: '/files/9' }],
  ])('orders again after a job that %s', async (_what, status) => {
    const { second, asked } = await twice(await jobApi([status]))
    expect(second.records).toEqual(two)
    expect(asked).toEqual(['POST /exports', 'GET /exports/j%2F2', 'GET /files/1'])
  })

  test('asks nothing where everything was read', async () => {
    const api = await jobApi([done])
    const journal = memoryJournal()
    await read(exports(api, { cleanup: { path: 'exports/{handle}' } }), 'things', { journal })
    const before = api.asked().length
    const again = await read(exports(api, { cleanup: { path: 'exports/{handle}' } }), 'things', { journal })
    expect(again.records).toEqual(two)
    expect(api.asked().length).toBe(before)
  })
})

test.each<[string, object, string]>([
  ['no handle', { handle_path: null }, 'needs one of `handle_path` and `handle_header`'],
  ['two handles', { handle_header: 'Location' }, 'needs one of'],
  ['no download', { download: {} }, 'needs one of `url_path` and `path`'],
  ['no statuses', { poll: { path: 'x' } }, 'done'],
  ['another placeholder', { poll: { ...poll, path: 'x/{id}' } }, '`{id}` is not known here'],
  ['a path that is none', { total_path: 'a[' }, 'total_path'],
  ['a misspelt key', { total: 'a' }, 'unknown key'],
])('the document reports %s', (_what, more, expected) => {
  const endpoint = { path: 'exports', method: 'POST', job: { ...job, ...more } }
  const document = { client: { base_url: 'https://a.example' }, resources: [{ name: 'things', endpoint }] }
  expect(() => parseRestConfig(document)).toThrow(expected)
})
