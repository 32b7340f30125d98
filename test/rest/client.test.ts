import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { AbortError, RequestError } from '../../src/model/errors.js'
import { Secret } from '../../src/model/secrets/secret.js'
import { type Client, type ClientOptions, createClient } from '../../src/rest/http/client.js'
import {
  fakeClock,
  get,
  memoryJournal,
  quickPolicy,
  sending,
  serve,
  serveRaw,
  type TestServer,
} from './clientServer.js'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close()
})

function client(options: Partial<ClientOptions> = {}): Client {
  const made = createClient({ retry: quickPolicy, ...options })
  open.push(made)
  return made
}

async function server(...args: Parameters<typeof serve>): Promise<TestServer> {
  const made = await serve(...args)
  open.push(made)
  return made
}

async function rawServer(...args: Parameters<typeof serveRaw>): Promise<TestServer> {
  const made = await serveRaw(...args)
  open.push(made)
  return made
}

const textOf = (body: Uint8Array): string => Buffer.from(body).toString()

async function failureOf(promise: Promise<unknown>): Promise<RequestError | AbortError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof RequestError || error instanceof AbortError) return error
  throw new Error(`expected a RequestError, got ${String(error)}`)
}

describe('a request on the wire', () => {
  test('has its params after the query of its URL, and its headers over the defaults', async () => {
    const api = await server((_, response) => response.end('[]'))
    const request = get(`${api.origin}/a?x=1#part`, {
      params: [
        ['q', 'a b&c'],
        ['q', 'ü'],
      ],
      headers: { 'X-One': '1', accept: null, 'USER-AGENT': 'mine' },
    })
    await client().send(request, sending(api.origin))
    expect(api.seen[0]).toMatchObject({ method: 'GET', url: '/a?x=1&q=a%20b%26c&q=%C3%BC' })
    expect(api.seen[0]?.headers).toMatchObject({ 'x-one': '1', 'user-agent': 'mine' })
    expect(api.seen[0]?.headers.accept).toBeUndefined()
  })

  test.each([
    [{ kind: 'json', value: { a: [1, 2n ** 60n] } }, 'application/json', '{"a":[1,1152921504606846976]}'],
    [
      {
        kind: 'form',
        pairs: [
          ['a', 'x y'],
          ['b', '&'],
        ],
      },
      'application/x-www-form-urlencoded',
      'a=x+y&b=%26',
    ],
    [{ kind: 'text', text: 'plain' }, undefined, 'plain'],
  ] as const)('sends a body %#', async (body, contentType, text) => {
    const api = await server((_, response) => response.end('[]'))
    await client().send(get(api.origin, { method: 'POST', body }), sending(api.origin))
    expect(api.seen[0]?.body).toBe(text)
    expect(api.seen[0]?.headers['content-type']).toBe(contentType)
  })

  test('user information of the URL becomes basic credentials', async () => {
    const api = await server((_, response) => response.end('[]'))
    const url = api.origin.replace('http://', 'http://ann:p%40ss@')
    const options = sending(api.origin)
    await client().send(get(url), options)
    expect(api.seen[0]?.headers.authorization).toBe(`Basic ${Buffer.from('ann:p@ss').toString('base64')}`)
    expect(JSON.stringify(options.events)).not.toContain('p%40ss')
  })
})

describe('content encodings', () => {
  const text = '{"data":[1,2,3]}'
  test.each([
    ['gzip', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    ['br', brotliCompressSync(text)],
    ['gzip, br', brotliCompressSync(gzipSync(text))],
    ['identity', Buffer.from(text)],
  ])('%s is decoded', async (coding, body) => {
    const api = await server((_, response) => response.setHeader('content-encoding', coding).end(body))
    const answer = await client().send(get(api.origin), sending(api.origin))
    expect(textOf(answer.body)).toBe(text)
    expect(answer.headers['content-encoding']).toBeUndefined()
  })

  test('a small body that unpacks to too much is refused without a retry', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000))
    const api = await server((_, response) => response.setHeader('content-encoding', 'gzip').end(bomb))
    const error = await failureOf(client({ maxBodyBytes: 1_000_000 }).send(get(api.origin), sending(api.origin)))
    expect(error.code).toBe('response_too_large')
    expect(error.message).toContain('1000000 bytes')
    expect(api.seen).toHaveLength(1)
  })

  test('a body that is too long is not read to its end', async () => {
    const api = await server((_, response) => response.end(Buffer.alloc(5_000_000)))
    const error = await failureOf(client({ maxBodyBytes: 100_000 }).send(get(api.origin), sending(api.origin)))
    expect(error.code).toBe('response_too_large')
  })

  test('gzip that ends early or is garbage is asked for again', async () => {
    const whole = gzipSync(text)
    const bodies = [whole.subarray(0, whole.length - 12), Buffer.from('no gzip at all'), whole]
    const api = await server((_, response, number) => {
      response.setHeader('content-encoding', 'gzip').end(bodies[number - 1])
    })
    const answer = await client().send(get(api.origin), sending(api.origin))
    expect(textOf(answer.body)).toBe(text)
    expect(api.seen).toHaveLength(3)
  })

  test('garbage to the end is an error that says so', async () => {
    const api = await server((_, response) => response.setHeader('content-encoding', 'gzip').end('garbage'))
    const error = await failureOf(client().send(get(api.origin), sending(api.origin)))
    expect(error).toMatchObject({ code: 'response_format', attempts: 4 })
    expect(error.message).toContain('not gzip')
  })
})

describe('retries', () => {
  test('wait 1, 2, 4 s by the policy and give back the last answer', async () => {
    const api = await server((_, response) => response.writeHead(503).end('busy'))
    const options = sending(api.origin, { clock: fakeClock() })
    const answer = await client().send(get(api.origin), options)
    expect(answer.status).toBe(503)
    expect(textOf(answer.body)).toBe('busy')
    expect(api.seen).toHaveLength(4)
    const delays = options.events.flatMap(event => (event.type === 'retry' ? [event.delayMs] : []))
    expect(delays).toEqual([1000, 2000, 4000])
  })

  test('full jitter takes a share of the delay', async () => {
    const api = await server((_, response, number) => response.writeHead(number < 3 ? 500 : 200).end('[]'))
    const clock = fakeClock(0, 0.25)
    await client({ retry: { ...quickPolicy, jitter: 'full' } }).send(get(api.origin), sending(api.origin, { clock }))
    expect(clock.slept).toEqual([250, 500])
  })

  test.each([
    ['seconds', { 'retry-after': '7' }, 7000],
    ['more seconds than any limit', { 'retry-after': '3600' }, 3_600_000],
    [
      'a date, by the clock of the server',
      { 'retry-after': 'Wed, 21 Oct 2015 07:28:30 GMT', date: 'Wed, 21 Oct 2015 07:28:00 GMT' },
      30_000,
    ],
    ['a past date', { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }, 1000],
    ['zero', { 'retry-after': '0' }, 1000],
    ['something unreadable', { 'retry-after': '-5' }, 1000],
  ])('Retry-After: %s', async (_, headers, delayMs) => {
    const api = await server((_, response, number) => {
      if (number === 1) response.writeHead(429, headers)
      response.end('[]')
    })
    const options = sending(api.origin, { clock: fakeClock() })
    expect((await client().send(get(api.origin), options)).status).toBe(200)
    expect(options.events.find(event => event.type === 'retry')).toMatchObject({ delayMs })
  })

  test('a longer wait than the configuration allows is an error that says until when', async () => {
    const api = await server((_, response) => response.writeHead(429, { 'retry-after': '61' }).end())
    const retry = { ...quickPolicy, maxWaitMs: 60_000 }
    const error = await failureOf(client({ retry }).send(get(api.origin), sending(api.origin, { clock: fakeClock() })))
    expect(error).toMatchObject({ code: 'rate_limit', status: 429, attempts: 1 })
    expect(error.message).toContain('until 2026-01-01T00:01:01Z')
    expect(api.seen).toHaveLength(1)
  })

  test('404 is final at once, 403 with a rate limit is not', async () => {
    const api = await server((request, response, number) => {
      if (request.url === '/404') response.writeHead(404).end()
      else response.writeHead(number < 3 ? 403 : 200, { 'x-ratelimit-remaining': '0' }).end()
    })
    const shared = client()
    expect((await shared.send(get(`${api.origin}/404`), sending(api.origin))).status).toBe(404)
    expect((await shared.send(get(`${api.origin}/403`), sending(api.origin))).status).toBe(200)
    expect(api.seen.map(request => request.url)).toEqual(['/404', '/403', '/403'])
  })

  test('by the body, and by what the caller says', async () => {
    const api = await server((_, response, number) => response.end(['try later', 'again', 'done'][number - 1]))
    const retry = { ...quickPolicy, bodyContains: ['later'] }
    const shouldRetry = (response: { body: Uint8Array }): boolean => textOf(response.body) === 'again'
    const answer = await client({ retry }).send(get(api.origin), sending(api.origin, { shouldRetry }))
    expect(textOf(answer.body)).toBe('done')
  })

  test('POST is retried with its body', async () => {
    const api = await server((_, response, number) => response.writeHead(number === 1 ? 500 : 200).end())
    const request = get(api.origin, { method: 'POST', body: { kind: 'json', value: { a: 1 } } })
    await client().send(request, sending(api.origin))
    expect(api.seen.map(seen => seen.body)).toEqual(['{"a":1}', '{"a":1}'])
  })
})

describe('broken connections', () => {
  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]'
  test.each([
    ['closed without an answer', ''],
    ['cut in the head', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['cut in a body of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,2'],
    ['cut in a chunked body', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[1,2\r\n'],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n'],
  ])('%s: asked again', async (_, first) => {
    const api = await rawServer((socket, number) => socket.end(number === 1 ? first : ok))
    const options = sending(api.origin)
    const answer = await client().send(get(api.origin), options)
    expect(textOf(answer.body)).toBe('[]')
    expect(options.events.map(event => event.type)).toEqual(['request', 'retry', 'request'])
    expect(options.events[0]).toMatchObject({ status: 0 })
  })

  test('a lasting one is an error with attempts and a plain reason', async () => {
    const api = await rawServer(socket => socket.destroy())
    const error = await failureOf(client().send(get(`${api.origin}/x?api_key=abc`), sending(api.origin)))
    expect(error).toMatchObject({ code: 'connection', attempts: 4, url: `${api.origin}/x?api_key=***`, method: 'GET' })
    expect(error.message).toContain('after 4 attempts')
    expect(error.message).toContain('closed the connection')
  })

  test('nothing listening is said so', async () => {
    const api = await serve((_, response) => response.end())
    await api.close()
    const error = await failureOf(client().send(get(api.origin), sending(api.origin)))
    expect(error.message).toContain(`nothing listens at ${api.origin.slice(7)}`)
  })

  test.each([
    ['before the head', ''],
    ['inside the body', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,2'],
  ])('a server that stalls %s times out', async (_, first) => {
    const api = await rawServer(socket => socket.write(first))
    const retry = { ...quickPolicy, attempts: 2 }
    const error = await failureOf(client({ retry, timeoutMs: 100 }).send(get(api.origin), sending(api.origin)))
    expect(error).toMatchObject({ code: 'timeout', attempts: 2 })
  })

  test('without onConnectionError the first failure is final', async () => {
    const api = await rawServer(socket => socket.destroy())
    const retry = { ...quickPolicy, onConnectionError: false }
    const error = await failureOf(client({ retry }).send(get(api.origin), sending(api.origin)))
    expect(error).toMatchObject({ attempts: 1 })
  })

  test('an abort ends a request that waits for its answer', async () => {
    const controller = new AbortController()
    const api = await server(() => controller.abort())
    const error = await failureOf(client().send(get(api.origin), sending(api.origin, { signal: controller.signal })))
    expect(error.code).toBe('aborted')
  })

  test('an abort ends the wait for a slot', async () => {
    const controller = new AbortController()
    const shared = client()
    let finish = (): void => {}
    const api = await server((_, response) => {
      finish = () => response.end('[]')
      controller.abort()
    })
    const first = shared.send(get(api.origin), sending(api.origin))
    const second = failureOf(shared.send(get(api.origin), sending(api.origin, { signal: controller.signal })))
    expect((await second).code).toBe('aborted')
    finish()
    expect((await first).status).toBe(200)
  })
})

describe('redirects', () => {
  test('on the same origin keep credentials; methods change as browsers do it', async () => {
    const api = await server((request, response) => {
      const status = Number(request.url.slice(1))
      if (status > 0) response.writeHead(status, { location: '/end' })
      response.end()
    })
    const shared = client()
    const auth = { sign: (request: Parameters<Client['send']>[0]) => ({ ...request, headers: { 'x-key': 'k' } }) }
    for (const status of [301, 302, 303, 307, 308]) {
      const request = get(`${api.origin}/${status}`, { method: 'POST', body: { kind: 'text', text: 'b' } })
      await shared.send(request, sending(api.origin, { auth }))
    }
    const ends = api.seen.filter(request => request.url === '/end')
    expect(ends.map(request => request.method)).toEqual(['GET', 'GET', 'GET', 'POST', 'POST'])
    expect(ends.map(request => request.body)).toEqual(['', '', '', 'b', 'b'])
    expect(ends.every(request => request.headers['x-key'] === 'k')).toBe(true)
  })

  test('to another origin carry neither credentials nor configured headers', async () => {
    const other = await server((_, response) => response.end('[]'))
    const api = await server((_, response) => response.writeHead(302, { location: `${other.origin}/login` }).end())
    const auth = {
      sign: (request: Parameters<Client['send']>[0]) => ({ ...request, headers: { ...request.headers, 'x-key': 'k' } }),
    }
    const credentials = { headers: { 'X-Secret': new Secret('sssss') }, params: { sig: new Secret('ttttt') } }
    const request = get(api.origin, { headers: { 'X-Mine': '1' } })
    await client().send(request, sending(api.origin, { auth, credentials }))
    expect(api.seen[0]?.headers).toMatchObject({ 'x-key': 'k', 'x-mine': '1', 'x-secret': 'sssss' })
    expect(api.seen[0]?.url).toBe('/?sig=ttttt')
    expect(other.seen[0]?.url).toBe('/login')
    expect(Object.keys(other.seen[0]?.headers ?? {})).not.toEqual(expect.arrayContaining(['x-key']))
    expect(other.seen[0]?.headers['x-mine']).toBeUndefined()
    expect(other.seen[0]?.headers['x-secret']).toBeUndefined()
  })

  test('a body does not go to another origin', async () => {
    const other = await server((_, response) => response.end('[]'))
    const api = await server((_, response) => response.writeHead(307, { location: other.origin }).end())
    const request = get(api.origin, { method: 'POST', body: { kind: 'text', text: 'b' } })
    const error = await failureOf(client().send(request, sending(api.origin)))
    expect(error.code).toBe('forbidden_url')
    expect(error.message).toContain('client.allowed_hosts')
    expect(other.seen).toHaveLength(0)
  })

  test('in a loop end with an error', async () => {
    const api = await server((request, response) => {
      response.writeHead(302, { location: request.url === '/a' ? '/b' : '/a' }).end()
    })
    const error = await failureOf(client().send(get(`${api.origin}/a`), sending(api.origin)))
    expect(error.message).toContain('form a loop')
    expect(api.seen).toHaveLength(2)
  })

  test('without end stop after ten', async () => {
    const api = await server((request, response) => {
      response.writeHead(302, { location: `/${Number(request.url.slice(1)) + 1}` }).end()
    })
    const error = await failureOf(client().send(get(`${api.origin}/0`), sending(api.origin)))
    expect(error.message).toContain('more than 10 redirects')
    expect(api.seen).toHaveLength(11)
  })

  test('a target that fails is retried as often as any request, from the start', async () => {
    const api = await server((request, response) => {
      if (request.url === '/from') response.writeHead(302, { location: '/to' }).end()
      else response.writeHead(503).end()
    })
    expect((await client().send(get(`${api.origin}/from`), sending(api.origin))).status).toBe(503)
    expect(api.seen).toHaveLength(8)
  })
})

describe('the journal', () => {
  test('answers without a request what was recorded', async () => {
    const api = await server((_, response) => response.setHeader('set-cookie', 'sid=1').end('[1]'))
    const options = sending(api.origin)
    const shared = client()
    const first = await shared.send(get(api.origin), options)
    const second = await shared.send(get(api.origin), options)
    expect(api.seen).toHaveLength(1)
    expect([first.fromJournal, second.fromJournal]).toEqual([false, true])
    expect(second).toEqual({ ...first, fromJournal: true, release: second.release })
    expect(second.headers['set-cookie']).toBeUndefined()
  })

  test.each([
    [200, undefined, 1],
    [404, undefined, 0],
    [404, () => true, 1],
  ])('status %d is recorded %#', async (status, recordable, count) => {
    const api = await server((_, response) => response.writeHead(status).end('[]'))
    const journal = memoryJournal()
    await client().send(get(api.origin), sending(api.origin, { journal, recordable }))
    expect(journal.records.size).toBe(count)
  })
})

describe('events', () => {
  test('tell of every request and retry of a resource', async () => {
    const api = await server((_, response, number) => response.writeHead(number === 1 ? 500 : 200).end('12345'))
    const shared = client()
    const options = sending(api.origin)
    await shared.send(get(api.origin), options)
    expect(options.events).toMatchObject([
      { type: 'request', resource: 'plants', status: 500, attempt: 1 },
      { type: 'retry', reason: 'status 500', attempt: 1, delayMs: 1000 },
      { type: 'request', status: 200, attempt: 2 },
    ])
    await shared.close()
    await shared.send(get(api.origin), sending(api.origin))
  })
})

describe('limits', () => {
  test('no more are in flight than asked for, across resources', async () => {
    let now = 0
    let most = 0
    const api = await server((_, response) => {
      most = Math.max(most, ++now)
      setImmediate(() => {
        now--
        response.end('[]')
      })
    })
    const shared = client()
    const many = Array.from({ length: 20 }, (_, index) =>
      shared.send(
        get(`${api.origin}/${index}`),
        sending(api.origin, { concurrency: 3, resource: index % 2 ? 'a' : 'b' }),
      ),
    )
    await Promise.all(many)
    expect(most).toBeLessThanOrEqual(3)
    expect(api.seen).toHaveLength(20)
  })

  test('one at a time comes in the order of asking', async () => {
    const api = await server((_, response) => response.end('[]'))
    const shared = client()
    await Promise.all([0, 1, 2, 3, 4].map(index => shared.send(get(`${api.origin}/${index}`), sending(api.origin))))
    expect(api.seen.map(request => request.url)).toEqual(['/0', '/1', '/2', '/3', '/4'])
  })

  test('a declared rate spreads requests over time', async () => {
    const api = await server((_, response) => response.end('[]'))
    const shared = client({ limits: { requests: 2, perMs: 1000 } })
    const clock = fakeClock(0)
    for (let index = 0; index < 6; index++) await shared.send(get(api.origin), sending(api.origin, { clock }))
    expect(clock.now()).toBe(2000)
  })

  test('a pause asked for by one answer holds for all, an exhausted window too', async () => {
    const api = await server((_, response, number) => {
      response.writeHead(200, number === 1 ? { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '30' } : {}).end('[]')
    })
    const shared = client()
    const clock = fakeClock(0)
    await shared.send(get(api.origin), sending(api.origin, { clock }))
    const options = sending(api.origin, { clock, resource: 'rocks' })
    await shared.send(get(api.origin), options)
    expect(clock.slept).toEqual([30_000])
    expect(options.events[0]).toMatchObject({ type: 'waiting', resource: 'rocks', delayMs: 30_000 })
  })
})
