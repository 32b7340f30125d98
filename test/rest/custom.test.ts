import { createHmac } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import {
  type ApiPage,
  type Authenticator,
  fetchTransport,
  type JsonObject,
  type Paginator,
  type RequestPatch,
  type RestApiConfig,
  Secret,
  type Transport,
} from '../../src/index.js'
import { bytesApi, load, prepared, quickRetry, run, testApi } from './loading.js'

const numbers = [1, 2, 3, 4, 5]

/** Pages of two records after the id `after`. */
const keysetApi = () =>
  testApi(url => {
    const after = Number(url.searchParams.get('after') ?? 0)
    return {
      json: {
        data: numbers
          .filter(id => id > after)
          .map(id => ({ id }))
          .slice(0, 2),
      },
    }
  })

const keyset: Paginator = {
  next: page => (page.records < 2 ? undefined : { params: { after: page.text('data[-1:].id') ?? null } }),
}

function things(origin: string, endpoint: object, more: object = {}, client: object = {}): RestApiConfig {
  return {
    client: { base_url: origin, ...client },
    resources: [{ name: 'things', endpoint, ...more }],
  } as RestApiConfig
}

function keepingPages(): Paginator {
  const pages: ApiPage[] = []
  return {
    next(page) {
      pages.push(page)
      // The first page may be looked into always, the second no more when the fourth is there.
      if (pages.length === 4) for (const old of pages) old.text('[0].id')
      return { params: { page: String(pages.length) } }
    },
  }
}

describe('a paginator', () => {
  test('says what changes in the next request', async () => {
    const api = await keysetApi()
    const { rows, result } = await load(things(api.origin, { data_selector: 'data' }, {}, { paginator: keyset }))
    expect(api.asked).toEqual(['GET /things', 'GET /things?after=2', 'GET /things?after=4'])
    expect((await rows('things')).map(({ id }) => id)).toEqual(numbers)
    expect(result.receipts[0]).toMatchObject({ verdict: 'complete' })
  })

  test('may page by headers, which are part of what a request asks for', async () => {
    const api = await testApi((_url, { headers }) => {
      const from = Number(/^items=(\d+)-/.exec(String(headers.range))?.[1])
      const items = numbers.slice(from, from + 2).map(id => ({ id }))
      return { json: items, headers: { 'content-range': `items ${from}-${from + items.length - 1}/5` } }
    })
    const range = (from: number): RequestPatch => ({ headers: { RANGE: `items=${from}-${from + 1}`, 'X-Old': null } })
    const paginator: Paginator = {
      first: range(0),
      next: ({ headers }) => {
        const [, last] = /-(\d+)\//.exec(headers['content-range'] ?? '') ?? []
        return Number(last) === 4 ? undefined : range(Number(last) + 1)
      },
    }
    const document = things(api.origin, { headers: { range: 'items=0-99', 'x-old': 'yes' }, paginator })
    const { rows, result, made } = await load(document)
    expect((await rows('things')).map(({ id }) => id)).toEqual(numbers)
    expect(result.receipts[0]).toMatchObject({ verdict: 'complete' })
    expect(api.seen.map(({ headers }) => [headers.range, headers['x-old']])).toEqual([
      ['items=0-1', undefined],
      ['items=2-3', undefined],
      ['items=4-5', undefined],
    ])
    const [planned] = (await made.plan()).resources
    expect(planned?.request?.request.headers).toEqual({ RANGE: 'items=0-1' })
  })

  test('by headers goes on in the journal of a run that was interrupted', async () => {
    let fails = true
    const api = await testApi((_url, { headers }) => {
      const page = Number(headers['x-page'])
      if (page === 3 && fails) return { status: 500 }
      return { json: [{ id: page }] }
    })
    const paginator: Paginator = {
      first: { headers: { 'X-Page': 1 } },
      next: ({ request }) => {
        const page = Number(request.headers['X-Page'])
        return page === 4 ? undefined : { headers: { 'X-Page': page + 1 } }
      },
    }
    const made = await prepared(things(api.origin, { paginator, retry: { attempts: 1 } }))
    await expect(run(made)).rejects.toMatchObject({ code: 'http_status' })
    fails = false
    const { rows } = await run(made)
    expect((await rows('things')).map(({ id }) => id)).toEqual([1, 2, 3, 4])
    expect(api.seen.map(({ headers }) => headers['x-page'])).toEqual(['1', '2', '3', '3', '4'])
  })

  test('sends its headers to the configured origin only, whatever page leads elsewhere', async () => {
    const other = await testApi(() => ({ json: [{ id: 2 }] }))
    const api = await testApi(() => ({ json: [{ id: 1 }] }))
    const paginator: Paginator = {
      first: { headers: { 'X-Place': 'first' } },
      next: ({ request }) =>
        request.url.startsWith(other.origin)
          ? undefined
          : { url: `${other.origin}/more`, headers: { 'X-Place': 'second', 'X-Other': 'third' } },
    }
    await load(things(api.origin, { paginator }))
    expect(api.seen.map(({ headers }) => headers['x-place'])).toEqual(['first'])
    const sent = other.seen.map(({ headers }) => [headers['x-place'], headers['x-other']])
    expect(sent).toEqual([[undefined, undefined]])
  })

  test.each<[string, Record<string, unknown>, RegExp]>([
    [
      'a credential',
      { Authorization: 'Bearer x' },
      /`Authorization` is not the paginator's: credentials belong to `auth`/,
    ],
    ['a cookie', { cookie: 'a=b' }, /belong to `auth`/],
    ['a header of the connection', { Host: 'evil.example' }, /`Host` is not the paginator's/],
    ['a line break', { 'X-A': 'b\r\nX-C: d' }, /`X-A` has a value with characters/],
    ['a name that is none', { 'X A': 'b' }, /"X A" is not the name of a header/],
    ['a secret as text', { 'X-Key': String(new Secret('4711')) }, /a secret belongs to `auth`/],
    ['an object', { 'X-A': {} }, /the header `X-A` is/],
  ])('cannot set %s as a header', async (_what, headers, message) => {
    const api = await testApi(() => ({ json: [{ id: 1 }] }))
    const paginator = { next: () => ({ headers }) } as unknown as Paginator
    await expect(load(things(api.origin, { paginator }))).rejects.toMatchObject({
      code: 'user_function',
      message: expect.stringMatching(message),
    })
    expect(api.seen).toHaveLength(1)
  })

  test('may be an object of a class, shared by the lists of many parents, and tell the total', async () => {
    class Windows implements Paginator {
      readonly #size: number
      readonly first: RequestPatch
      constructor(size: number) {
        this.#size = size
        this.first = { params: { from: '0' } }
      }
      next({ request, records }: ApiPage) {
        const from = Number(new Map(request.params).get('from')) + records
        return records < this.#size ? undefined : { params: { from: String(from) } }
      }
      announced(page: ApiPage) {
        return Number(page.headers['x-total'])
      }
    }
    const api = await testApi(url => {
      const from = Number(url.searchParams.get('from'))
      return { json: numbers.slice(from, from + 3).map(id => ({ id })), headers: { 'X-Total': '5' } }
    })
    const { result } = await load({
      client: { base_url: api.origin },
      resources: [
        { name: 'groups', records: [{ id: 'a' }, { id: 'b' }] },
        { name: 'things', endpoint: { path: '{resources.groups.id}/things', paginator: new Windows(3) } },
      ],
    })
    expect(api.asked).toEqual(['/a', '/a', '/b', '/b'].map((at, index) => `GET ${at}/things?from=${(index % 2) * 3}`))
    expect(result.receipts[1]).toMatchObject({ verdict: 'complete', announced: 10, records: 10 })
  })

  test.each<[string, Paginator, object]>([
    ['fails', { next: () => JSON.parse('{') }, { code: 'user_function', path: 'client.paginator' }],
    ['has a path that is none', { next: page => ({ url: page.text('[') ?? '' }) }, { code: 'user_function' }],
    ['is async', { next: async () => ({}) } as unknown as Paginator, { code: 'user_function' }],
    ['never ends', { next: () => ({ params: { a: '1' } }) }, { code: 'pagination_loop' }],
    ['looks into an old page', keepingPages(), { code: 'user_function', message: /until the one after the next/ }],
    ['doubts the list', { next: () => ({ end: 'suspect', reason: 'cut off' }) }, { code: 'incomplete' }],
  ])('that %s fails the run', async (_name, paginator, error) => {
    let id = 0
    const api = await testApi(() => ({ json: [{ id: id++ }] }))
    const failure = await load(things(api.origin, {}, {}, { paginator })).catch((thrown: unknown) => thrown)
    const { message = /./, ...rest } = error as { readonly message?: RegExp }
    expect(failure).toMatchObject({ ...rest, message: expect.stringMatching(message) })
  })
})

describe('an authenticator', () => {
  const key = 'key-4711-secret'

  test('signs each request, for the configured origin only', async () => {
    const signature = (text: string) => createHmac('sha256', key).update(text).digest('hex')
    const signing: Authenticator = {
      sign: request => ({
        ...request,
        headers: { ...request.headers, 'X-Signature': signature(`${request.method} ${request.url}`) },
      }),
    }
    const other = await testApi(() => ({ json: { data: [{ id: 2 }] } }))
    const api = await testApi((url, { headers }) =>
      headers['x-signature'] === signature(`GET ${url.origin}${url.pathname}`)
        ? { json: { data: [{ id: 1 }], next: `${other.origin}/more` } }
        : { status: 401 },
    )
    const document = things(api.origin, { data_selector: 'data' }, {}, { auth: signing, paginator: 'json_link' })
    expect((await load(document)).result.rows).toEqual({ things: 2 })
    expect(other.seen[0]?.headers['x-signature']).toBeUndefined()
  })

  test('fetches a token, renews it after a 401, and what it conceals is printed nowhere', async () => {
    let issued = 0
    const api = await testApi((url, { headers }) => {
      if (url.pathname === '/login') return { json: { token: `token-${++issued}-${key}` } }
      return headers.authorization === `Token token-2-${key}`
        ? { json: [{ id: 1 }] }
        : { status: 401, json: { sent: headers.authorization } }
    })
    let token: string | undefined
    const login: Authenticator = {
      async sign(request, context) {
        if (token === undefined) {
          const url = `${api.origin}/login`
          const answer = await context.send({ method: 'POST', url, params: [], headers: {} })
          token = String(JSON.parse(Buffer.from(answer.body).toString()).token)
          context.conceal(new Secret(token))
        }
        return { ...request, headers: { ...request.headers, Authorization: `Token ${token}` } }
      },
      async renew() {
        token = undefined
        return true
      },
    }
    const document = things(api.origin, { paginator: 'single_page' }, {}, { auth: login })
    const { result, events } = await load(document)
    expect(result.rows).toEqual({ things: 1 })
    expect(api.asked).toEqual(['POST /login', 'GET /things', 'POST /login', 'GET /things'])
    expect(JSON.stringify(events)).not.toContain(key)
    issued = 5
    token = undefined
    const error = await load(document).catch((failure: Error) => failure.message)
    expect(error).toContain('401 Unauthorized')
    expect(error).not.toContain(key)
  })

  test('that fails is named without its secrets', async () => {
    const broken: Authenticator = {
      sign(_request, context) {
        context.conceal(new Secret(key))
        throw new Error(`bad ${key}`)
      },
    }
    const api = await testApi(() => ({ json: [] }))
    await expect(load(things(api.origin, {}, {}, { auth: broken }))).rejects.toMatchObject({
      code: 'auth',
      message: 'things: the authenticator failed: `sign` at client.auth: bad ***',
    })
    expect(api.asked).toEqual([])
  })
})

describe('a transport', () => {
  test('answers in place of the network', async () => {
    const asked: string[] = []
    const transport: Transport = async ({ method, url }) => {
      asked.push(`${method} ${url}`)
      const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
      return {
        status: 200,
        headers,
        body: (async function* () {
          yield gzipSync('[{"id":1}]')
        })(),
      }
    }
    const document = things('https://api.invalid', { paginator: 'single_page' }, {}, { transport })
    expect((await load(document)).result.rows).toEqual({ things: 1 })
    expect(asked).toEqual(['GET https://api.invalid/things'])
  })

  test('may be made of fetch: bodies, headers, redirects and retries are as without', async () => {
    const origin = await bytesApi(({ url, method, body, headers }, number) => {
      if (number === 1) return { status: 503, body: '' }
      if (url === '/things') return { status: 307, headers: { location: '/moved' }, body: '' }
      const record = { id: 1, method, body, type: headers['content-type'], agent: headers['user-agent'] }
      return {
        type: 'application/json',
        headers: { 'content-encoding': 'gzip' },
        body: gzipSync(JSON.stringify([record])),
      }
    })
    const seen: string[] = []
    const transport = fetchTransport((url, init) => {
      seen.push(url)
      return fetch(url, init)
    })
    const endpoint = { method: 'POST', json: { a: 1 }, paginator: 'single_page', retry: quickRetry }
    const { rows, result } = await load(things(origin, endpoint, {}, { transport }))
    expect(await rows('things')).toEqual([
      { id: 1, method: 'POST', body: '{"a":1}', type: 'application/json', agent: 'sluice' },
    ])
    expect(result.receipts[0]).toMatchObject({ requests: 3, retries: 1 })
    expect(seen).toEqual(['/things', '/things', '/moved'].map(path => origin + path))
  })

  test.each<[string, Response | 'hang' | Error, object]>([
    ['does not answer', 'hang', { code: 'timeout', message: expect.stringContaining('did not answer in time') }],
    [
      'stops in the middle',
      new Response(new ReadableStream({})),
      { code: 'timeout', message: expect.stringContaining('stopped sending') },
    ],
    [
      'is not there',
      new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }) }),
      { code: 'connection' },
    ],
    ['has an empty body', new Response(null, { status: 500 }), { code: 'http_status', status: 500 }],
  ])('of fetch whose server %s', async (_name, answer, error) => {
    const transport = fetchTransport(async (_url, { signal }) => {
      if (answer instanceof Error) throw answer
      if (answer !== 'hang') return answer
      return new Promise((_resolve, reject) =>
        signal?.addEventListener('abort', () => reject(new Error('a library said no'))),
      )
    })
    const endpoint = { timeout: 0.05, retry: { attempts: 1 } }
    await expect(load(things('https://api.invalid', endpoint, {}, { transport }))).rejects.toMatchObject(error)
  })

  test('of fetch ends with the run', async () => {
    const stop = new AbortController()
    const transport = fetchTransport(async (_url, { signal }) => {
      setImmediate(() => stop.abort())
      return new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(new Error('no'))))
    })
    const made = await prepared(things('https://api.invalid', {}, {}, { transport }))
    await expect(run(made, { signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' })
  })
})

describe('a generator', () => {
  const client = { base_url: '' }

  test('yields records, one by one or in lists, and other resources may depend on it', async () => {
    const api = await testApi(url => ({ json: { id: url.pathname } }))
    async function* people() {
      yield { id: 1, tags: ['a', 'b'] }
      yield [{ id: 2n ** 62n }, { id: 3 }]
    }
    const { result, rows } = await load({
      client: { base_url: api.origin },
      resources: [
        people,
        { name: 'letters', primary_key: 'id', records: () => [{ id: 'x' }] },
        { name: 'details', endpoint: 'people/{resources.people.id}' },
      ],
    })
    expect(result.rows).toEqual({ people: 3, people__tags: 2, letters: 1, details: 3 })
    expect((await rows('details')).map(({ id }) => id)).toEqual([
      '/people/1',
      '/people/3',
      '/people/4611686018427387904',
    ])
    expect(result.receipts.map(({ resource, verdict, requests }) => [resource, verdict, requests])).toEqual([
      ['people', 'complete', 0],
      ['details', 'complete', 3],
      ['letters', 'complete', 0],
    ])
  })

  test('is given the window of its cursor', async () => {
    const starts: unknown[] = []
    let newest = 3
    const made = await prepared({
      client,
      resources: [
        {
          name: 'events',
          primary_key: 'id',
          endpoint: { incremental: { cursor_path: 'id', initial_value: 1 } },
          records: async function* ({ window }) {
            starts.push(window?.startValue)
            for (let id = Number(window?.startValue); id <= newest; id++) yield { id }
          },
        },
      ],
    })
    await run(made)
    newest = 5
    const { result, rows } = await run(made)
    expect(starts).toEqual([1, 3])
    expect(result.rows).toEqual({ events: 2 })
    expect((await rows('events')).map(({ id }) => id)).toEqual(numbers)
  })

  test('that fails is named, and nothing is committed', async () => {
    const document: RestApiConfig = {
      client,
      resources: [
        {
          name: 'broken',
          records: async function* () {
            yield { id: 1 }
            throw new Error('the file is gone')
          },
        },
      ],
    }
    await expect(load(document)).rejects.toMatchObject({
      code: 'user_function',
      path: 'resources[0]',
      message: expect.stringContaining('the file is gone'),
    })
  })

  test('has no endpoint beside it', async () => {
    const document = { client, resources: [{ name: 'x', endpoint: 'x', records: () => [] }] }
    await expect(load(document)).rejects.toMatchObject({ code: 'config', path: 'resources[0].records' })
  })
})

describe('functions of a record', () => {
  test('filter, map and multiply records, in order', async () => {
    const api = await testApi(() => ({ json: numbers.map(id => ({ id, parts: ['a', 'b'] })) }))
    const { rows, result } = await load(
      things(
        api.origin,
        {},
        {
          processing_steps: [
            { filter: (record: JsonObject) => Number(record.id) > 3 },
            { map: ({ id, parts }: JsonObject) => ({ id, parts, at: new Date(0) }) },
            {
              *yield_map({ id, parts, at }: JsonObject) {
                for (const part of parts as string[]) yield { id: `${id}${part}`, at }
              },
            },
          ],
        },
      ),
    )
    expect((await rows('things')).map(({ id }) => id)).toEqual(['4a', '4b', '5a', '5b'])
    expect(result.receipts[0]).toMatchObject({ records: 5, filtered: 3, rows: { things: 4 } })
    const schema = await (await load(things(api.origin, {}))).made.dataset().schema()
    expect(schema?.tables.has('things')).toBe(true)
  })

  test('name the table of each record', async () => {
    const api = await testApi(() => ({
      json: [
        { id: 1, type: 'push' },
        { id: 2, type: 'Pull Request', who: [{ n: 1 }] },
        { id: 3, type: 'push' },
      ],
    }))
    const document = things(
      api.origin,
      {},
      { primary_key: 'id', write_disposition: 'merge', table_name: ({ type }: JsonObject) => `event_${type}` },
    )
    const made = await prepared(document)
    await run(made)
    const { rows, result } = await run(made)
    expect(result.rows).toEqual({ event_push: 2, event_pull_request: 1, event_pull_request__who: 1 })
    expect((await rows('event_push')).map(({ id }) => id)).toEqual([1, 3])
  })

  test('convert what a cursor sends', async () => {
    const api = await testApi(() => ({ json: [{ id: 1, at: 60 }] }))
    const incremental = {
      cursor_path: 'at',
      initial_value: 0,
      start_param: 'since',
      convert: (seconds: unknown) => new Date(Number(seconds) * 1000).toISOString(),
    }
    const made = await prepared(
      things(api.origin, { paginator: 'single_page', incremental, params: { again: '{incremental.start_value}' } }),
    )
    await run(made)
    await run(made)
    const since = (at: string) => `GET /things?again=${encodeURIComponent(at)}&since=${encodeURIComponent(at)}`
    expect(api.asked).toEqual([since('1970-01-01T00:00:00.000Z'), since('1970-01-01T00:01:00.000Z')])
  })

  test('that fail are named with the keys of the record', async () => {
    const api = await testApi(() => ({ json: [{ id: 1 }] }))
    const failing = { processing_steps: [{ map: (record: JsonObject) => (record.name as string).trim() as never }] }
    await expect(load(things(api.origin, {}, failing))).rejects.toMatchObject({
      code: 'user_function',
      message: expect.stringMatching(/processing_steps\[0\]\.map.*id/),
    })
  })
})
