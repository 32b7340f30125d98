import type { Socket } from 'node:net'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import type { RestApiConfig } from '../../src/index.js'
import { retryAfterMs } from '../../src/model/runtime/backoff.js'
import { systemClock } from '../../src/pipeline/clock.js'
import type { Transport } from '../../src/rest/api.js'
import { type Client, type ClientOptions, createClient } from '../../src/rest/http/client.js'
import { fakeClock, get, quickPolicy, sending, serveRaw, type TestServer } from './clientServer.js'
import type { Answer } from './listServer.js'
import { load, prepared, quickRetry, run, testApi } from './loading.js'

const opened: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})

async function server(talk: (socket: Socket, number: number) => void): Promise<TestServer> {
  const made = await serveRaw(talk)
  opened.push(made)
  return made
}

function client(options: Partial<ClientOptions> = {}): Client {
  const made = createClient({ retry: quickPolicy, ...options })
  opened.push(made)
  return made
}

/** Writes again and again until the other side has had enough. */
function keepWriting(socket: Socket, text: string): void {
  const timer = setInterval(() => socket.write(text), 5)
  socket.on('close', () => clearInterval(timer))
}

/** What Node says when a timer is set for too long. */
function warnings(): string[] {
  const seen: string[] = []
  const listen = (warning: Error): void => void seen.push(warning.name)
  process.on('warning', listen)
  onTestFinished(() => void process.off('warning', listen))
  return seen
}

const now = Date.parse('2026-11-28T00:00:00Z')

describe('what Retry-After means', () => {
  it.each([
    ['0', undefined],
    ['0, 0', undefined],
    ['7', 7000],
    ['1.5', 1500],
    ['-5', undefined],
    ['soon', undefined],
    ['', undefined],
    ['1e400', Number.POSITIVE_INFINITY],
    ['1000000000', 1e12],
    [String(now / 1000 + 30), 30_000],
    [String(now + 30_000), 30_000],
    ['1234567890', undefined],
    ['2026-11-28T00:00:10Z', 10_000],
    ['Sat, 28 Nov 2026 00:00:10 GMT', 10_000],
    ['Sat, 28 Nov 2020 00:00:10 GMT', undefined],
    ['Fri, 31 Dec 9999 23:59:59 GMT', Date.parse('9999-12-31T23:59:59Z') - now],
    ['9'.repeat(20), 1e20 - now],
  ])('%s', (header, expected) => expect(retryAfterMs({ 'retry-after': header }, now)).toBe(expected))
})

describe('a wait that is longer than max_wait', () => {
  const later = new Date(Date.now() + 86_400_000).toISOString()
  it.each([
    ['a thousand million seconds', 429, { 'retry-after': '1000000000' }, 'until 20'],
    ['twenty digits', 429, { 'retry-after': '9'.repeat(20) }, 'until after the year 9999'],
    ['seconds since the epoch', 503, { 'retry-after': '4102444800' }, 'until 2100-01-01T00:00:00Z'],
    ['milliseconds since the epoch', 429, { 'retry-after': '4102444800000' }, 'until 2100-01-01T00:00:00Z'],
    [
      'the year 9999',
      429,
      { 'retry-after': 'Fri, 31 Dec 9999 23:59:59 GMT' },
      'until (9999-12-31|after the year 9999)',
    ],
    [
      'a window that ends in a day',
      200,
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': later },
      later.slice(0, 13),
    ],
    ['a window that never ends', 200, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1e400' }, 'year 9999'],
    ['a window of 1e10', 200, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '10000000000' }, 'until 2286-'],
  ])('ends the run, which keeps its pages: %s', async (_, status, headers, text) => {
    const overflows = warnings()
    let isLimited = true
    const api = await testApi(url => {
      const page = Number(url.searchParams.get('page'))
      const json = { data: page <= 3 ? [{ id: page }] : [] }
      if (!isLimited || page < 2 || (status === 200 && page > 2)) return { json }
      return { status, headers, json }
    })
    const paginator = { type: 'page_number', base_page: 1, total_path: null } as const
    const made = await prepared({
      client: { base_url: api.origin, paginator, retry: quickRetry },
      resources: [{ name: 'things', endpoint: { data_selector: 'data' } }],
    })
    await expect(run(made)).rejects.toMatchObject({
      code: 'rate_limit',
      message: expect.stringMatching(new RegExp(`${text}.*retry\\.max_wait. \\(900 seconds\\)`)),
    })
    const before = api.asked.length
    expect(before).toBe(2)
    isLimited = false
    const { result } = await run(made)
    expect(result.rows).toEqual({ things: 3 })
    expect(api.asked.slice(before)).toEqual(
      (status === 200 ? [3, 4] : [2, 3, 4]).map(page => `GET /things?page=${page}`),
    )
    expect(overflows).toEqual([])
  })

  it('is waited for where max_wait is longer, and max_delay is not in its way', async () => {
    const clock = fakeClock()
    const api = await server((socket, number) =>
      socket.end(
        number === 1
          ? 'HTTP/1.1 429 Too Many\r\nretry-after: 899\r\ncontent-length: 0\r\n\r\n'
          : 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]',
      ),
    )
    const retry = { ...quickPolicy, maxDelayMs: 1000, maxWaitMs: 900_000 }
    expect((await client({ retry }).send(get(api.origin), sending(api.origin, { clock }))).status).toBe(200)
    expect(clock.slept).toEqual([899_000])
  })

  it('is refused before the run where it makes no sense', () => {
    const document = { client: { base_url: 'https://a.example', retry: { max_wait: -1 } }, resources: ['x'] }
    return expect(prepared(document)).rejects.toMatchObject({ code: 'config', path: 'client.retry.max_wait' })
  })
})

it('a clock sleeps for longer than a timer can be set', async () => {
  const overflows = warnings()
  const stop = new AbortController()
  const sleeping = systemClock.sleep(2 ** 40, stop.signal)
  await systemClock.sleep(5)
  stop.abort(new Error('enough'))
  await expect(sleeping).rejects.toThrow('enough')
  expect(overflows).toEqual([])
})

describe('max_seconds', () => {
  const paginator = { type: 'page_number', base_page: 1, total_path: null } as const
  const first = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n[{"id": 1}]'

  it.each<[string, (socket: Socket) => void]>([
    [
      'a wait that the API asks for',
      socket => socket.end('HTTP/1.1 429 x\r\nretry-after: 600\r\ncontent-length: 0\r\n\r\n'),
    ],
    ['backoff', socket => socket.end('HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n')],
    ['an answer that never comes', () => {}],
    ['answers 102 for ever', socket => keepWriting(socket, 'HTTP/1.1 102 Processing\r\n\r\n')],
    ['100 Continue for ever', socket => keepWriting(socket, 'HTTP/1.1 100 Continue\r\n\r\n')],
    [
      'a body of single bytes',
      socket => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[')
        keepWriting(socket, ' ')
      },
    ],
  ])('ends %s', async (_, second) => {
    const api = await server((socket, number) => (number === 1 ? socket.write(first) : second(socket)))
    const { result } = await load({
      client: { base_url: api.origin, paginator, retry: { base: 60, jitter: 'none' } },
      resources: [{ name: 'things', endpoint: { max_seconds: 1 } }],
    })
    expect(result.rows).toEqual({ things: 1 })
    expect(result.receipts[0]).toMatchObject({
      verdict: 'unproven',
      reasons: [expect.stringContaining('max_seconds is 1')],
    })
  })
})

describe('max_seconds and a token', () => {
  const things = { data_selector: 'data', paginator: 'single_page' } as const
  const hasty = { name: 'hasty', endpoint: { ...things, max_seconds: 1 } } as const
  const patient = { name: 'patient', endpoint: things } as const
  const withToken = (origin: string, resources: RestApiConfig['resources']) =>
    prepared({
      client: {
        base_url: origin,
        retry: { base: 60, jitter: 'none' },
        auth: {
          type: 'oauth2_client_credentials',
          access_token_url: `${origin}/token`,
          client_id: 'sluice',
          client_secret: 'opensesame',
        },
      },
      resources,
    })
  const end = { resource: 'hasty', verdict: 'unproven', reasons: [expect.stringContaining('max_seconds is 1')] }

  it.each<[string, Answer]>([
    ['a wait that its endpoint asks for', { status: 429, headers: { 'retry-after': '600' } }],
    ['backoff', { status: 500 }],
    ['a window in which nothing is left', { status: 500, headers: { ratelimit: 'r=0, t=600' } }],
  ])('ends the list for %s', async (_, answer) => {
    const api = await testApi(() => answer)
    const { result } = await run(await withToken(api.origin, [hasty]))
    expect(result.receipts).toMatchObject([end])
    expect(api.asked).toEqual([expect.stringContaining('POST /token')])
  })

  it('of one list is nothing to another that waits for the same token', async () => {
    let tokens = 0
    const api = await testApi(({ pathname }) => {
      if (pathname !== '/token') return { json: { data: [{ id: 1 }] } }
      return ++tokens === 1 ? { status: 429, headers: { 'retry-after': '2' } } : { json: { access_token: 'tttt' } }
    })
    const { result } = await run(await withToken(api.origin, [hasty, patient]), { concurrency: 2 })
    expect(result.rows).toEqual({ hasty: 0, patient: 1 })
    expect(result.receipts).toMatchObject([end, { resource: 'patient' }])
  })
})

describe('an answer that never ends by itself', () => {
  it.each<[string, (socket: Socket) => void]>([
    ['answers 102', socket => keepWriting(socket, 'HTTP/1.1 102 Processing\r\n\r\n')],
    ['100 Continue', socket => keepWriting(socket, 'HTTP/1.1 100 Continue\r\n\r\n')],
    [
      'single bytes of a body',
      socket => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n')
        keepWriting(socket, ' ')
      },
    ],
  ])('is late: %s', async (_, talk) => {
    const api = await server(talk)
    const retry = { ...quickPolicy, attempts: 1 }
    const options = sending(api.origin, { clock: systemClock })
    await expect(client({ retry, timeoutMs: 50 }).send(get(api.origin), options)).rejects.toMatchObject({
      code: 'timeout',
    })
  })

  it('says how long a body may take', async () => {
    const clock = fakeClock()
    const transport: Transport = async () => ({
      status: 200,
      headers: {},
      body: (async function* () {
        for (;;) {
          await clock.sleep(30_000)
          yield Buffer.from(' ')
        }
      })(),
    })
    const slow = client({ transport, retry: { ...quickPolicy, attempts: 1 } })
    const answer = slow.send(get('http://127.0.0.1'), sending('http://127.0.0.1', { clock }))
    await expect(answer).rejects.toThrow(
      'the body came too slowly: 21 bytes in 630 seconds, where 600 are allowed (10 times the timeout of 60 seconds, and one more for each 16 KiB)',
    )
  })

  it('is not a slow body of 100 MB', async () => {
    const part = new Uint8Array(2 ** 20)
    const clock = fakeClock()
    const transport: Transport = async () => ({
      status: 200,
      headers: {},
      body: (async function* () {
        for (let number = 0; number < 100; number++) {
          await clock.sleep(20_000)
          yield part
        }
      })(),
    })
    const answer = await client({ transport }).send(get('http://127.0.0.1'), sending('http://127.0.0.1', { clock }))
    expect(answer.body).toHaveLength(100 * 2 ** 20)
  })
})

describe('100 Continue', () => {
  const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 33\r\n\r\n["HTTP/1.1 100 Continue\\r\\n\\r\\n"]'
  it.each([
    ['before an answer', ['HTTP/1.1 100 Continue\r\n\r\n', answer]],
    ['with it', [`HTTP/1.1 100 Continue\r\n\r\n${answer}`]],
    [
      'with headers of its own, twice',
      ['HTTP/1.1 100 Continue\r\nx-a: 1\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n', answer],
    ],
    ['byte by byte', [...`HTTP/1.1 100 Continue\r\n\r\n${answer}`]],
    ['and 103', ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n', answer]],
  ])('%s is nothing', async (_, parts) => {
    const api = await server(async socket => {
      for (const part of parts) await new Promise<void>(resolve => void socket.write(part, () => resolve()))
    })
    const shared = client()
    const request = get(api.origin, { method: 'POST', body: { kind: 'text', text: 'a' } })
    for (let number = 0; number < 2; number++) {
      const options = sending(api.origin)
      expect(Buffer.from((await shared.send(request, options)).body).toString()).toBe(answer.slice(-33))
      expect(options.events).toHaveLength(1)
    }
  })
})

it('a length that is longer than any body may be is refused before the body comes', async () => {
  const api = await server(socket => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 600000000\r\n\r\n['))
  await expect(client().send(get(api.origin), sending(api.origin))).rejects.toMatchObject({
    code: 'response_too_large',
    message: expect.stringContaining('256 MiB'),
  })
})
