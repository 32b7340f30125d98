import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterEach, describe, expect, test } from 'vitest'
import { AbortError, RequestError } from '../../src/model/errors.js'
import { scrubber } from '../../src/model/secrets/scrubber.js'
import { Secret } from '../../src/model/secrets/secret.js'
import type { Authenticator } from '../../src/rest/api.js'
import { authenticators, authKinds } from '../../src/rest/auth/authKinds.js'
import { type Client, createClient } from '../../src/rest/http/client.js'
import { fakeClock, get, quickPolicy, type Seen, sending, serve, type TestServer } from './clientServer.js'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close()
})

function client(): Client {
  const made = createClient({ retry: quickPolicy })
  open.push(made)
  return made
}

async function server(...args: Parameters<typeof serve>): Promise<TestServer> {
  const made = await serve(...args)
  open.push(made)
  return made
}

function authOf(document: Record<string, unknown>, make = authenticators()): Authenticator {
  const type = String(document.type ?? 'bearer')
  const kind = authKinds.find(candidate => candidate.type === type)
  if (kind === undefined) throw new Error(`no kind ${type}`)
  return make({ type, config: kind.schema.parse(document) }, { path: 'client.auth' })
}

async function failureOf(promise: Promise<unknown>): Promise<RequestError | AbortError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof RequestError || error instanceof AbortError) return error
  throw new Error(`expected a RequestError, got ${String(error)}`)
}

describe('the schemas', () => {
  test('give Secrets for secret fields and defaults for the rest', () => {
    const parsed = authKinds[1].schema.parse({ type: 'api_key', api_key: 'abcdef' })
    expect(parsed).toMatchObject({ name: 'Authorization', location: 'header' })
    expect(parsed.api_key).toBeInstanceOf(Secret)
    expect(JSON.stringify(parsed)).not.toContain('abcdef')
    const known = new Secret('x', 'KEY')
    expect(authKinds[0].schema.parse({ token: known })).toEqual({ type: 'bearer', token: known })
  })

  test.each([
    [{ type: 'bearer', token: '' }],
    [{ type: 'bearer', token: 1 }],
    [{ type: 'bearer', token: 'x', other: 1 }],
    [{ type: 'api_key', api_key: 'x', location: 'body' }],
    [{ type: 'http_basic', username: 'x' }],
    [{ type: 'oauth2_client_credentials', client_id: 'a', client_secret: 'b', access_token_url: 'ftp://x' }],
  ])('refuse %j', document => {
    const kind = authKinds.find(candidate => candidate.type === document.type)
    expect(kind?.schema.safeParse(document).success).toBe(false)
  })
})

describe('credentials on the wire', () => {
  const header =
    (name: string) =>
    (seen: Seen): unknown =>
      seen.headers[name]
  test.each([
    [{ token: 'abc' }, header('authorization'), 'Bearer abc'],
    [{ type: 'api_key', api_key: 'abc' }, header('authorization'), 'abc'],
    [{ type: 'api_key', api_key: 'abc', name: 'X-Key' }, header('x-key'), 'abc'],
    [{ type: 'api_key', api_key: 'abc', name: 'sid', location: 'cookie' }, header('cookie'), 'a=b; sid=abc'],
    [
      { type: 'api_key', api_key: 'k&1 x', name: 'key', location: 'query' },
      (seen: Seen) => seen.url,
      '/?page=1&color=green&key=k%261%20x',
    ],
    [
      { type: 'api_key', api_key: 'k', name: 'key', location: 'param' },
      (seen: Seen) => seen.url,
      '/?page=1&color=green&key=k',
    ],
    [
      { type: 'http_basic', username: 'ann', password: 'pässs:word' },
      header('authorization'),
      `Basic ${Buffer.from('ann:pässs:word').toString('base64')}`,
    ],
  ])('%j', async (document, look, expected) => {
    const api = await server((_, response) => response.end())
    const old = 'name' in document && document.name === 'key' ? '&key=of-a-next-link' : ''
    const request = get(`${api.origin}/?page=1${old}`, { params: [['color', 'green']], headers: { Cookie: 'a=b' } })
    await client().send(request, sending(api.origin, { auth: authOf(document) }))
    expect(look(api.seen[0] as Seen)).toBe(expected)
  })

  test('a token with a line break is an error that does not show it', async () => {
    const api = await server((_, response) => response.end())
    const error = await failureOf(
      client().send(get(api.origin), sending(api.origin, { auth: authOf({ token: 'sesame\n' }) })),
    )
    expect(error).toMatchObject({ code: 'auth', path: 'client.auth.token' })
    expect(error.message).toContain('line break')
    expect(error.message).not.toContain('sesame')
  })

  test('never appear in events, errors or answers of a failing API', async () => {
    const api = await server((_, response) => response.writeHead(302, { location: '/?key=topsecret&again' }).end())
    const document = { type: 'api_key', api_key: 'topsecret', name: 'unusual', location: 'query' }
    const options = sending(api.origin, { auth: authOf(document) })
    const error = await failureOf(client().send(get(`${api.origin}/x/topsecret`), options))
    expect(JSON.stringify([options.events, error.message, error])).not.toContain('topsecret')
  })

  test('what an authenticator of the user throws is told without them', async () => {
    const api = await server((_, response) => response.end())
    const known = scrubber([new Secret('topsecret')])
    const made = createClient({ retry: quickPolicy, scrubber: known })
    open.push(made)
    const auth = { sign: () => Promise.reject(new Error('cannot sign with topsecret')) }
    const error = await failureOf(made.send(get(api.origin), sending(api.origin, { auth })))
    expect(error).toMatchObject({ code: 'auth' })
    expect(error.message).toBe('plants: the authenticator failed: cannot sign with ***')
  })
})

describe('OAuth 2.0 client credentials', () => {
  /** Gives tokens t1, t2, …; everything else answers 200 to the last of them and 401 to others. */
  async function api(
    token: (number: number) => { status?: number; body: string },
  ): Promise<TestServer & { tokens(): Seen[] }> {
    let tokens = 0
    const made = await server((request, response) => {
      if (request.url === '/token') {
        const { status = 200, body } = token(++tokens)
        response.writeHead(status).end(body)
      } else response.writeHead(request.headers.authorization === `Bearer t${tokens}` ? 200 : 401).end()
    })
    return Object.assign(made, { tokens: () => made.seen.filter(seen => seen.url === '/token') })
  }
  const document = (origin: string, more: object = {}) => ({
    type: 'oauth2_client_credentials',
    access_token_url: `${origin}/token`,
    client_id: 'cid',
    client_secret: 'cs&=x',
    ...more,
  })
  const good = (number: number, more: object = {}) => ({
    body: JSON.stringify({ access_token: `t${number}`, ...more }),
  })

  test('one token serves all, whoever asks first', async () => {
    const origin = await api(good)
    const make = authenticators()
    const shared = client()
    const sent = Array.from({ length: 8 }, (_, index) => {
      const auth = authOf(document(origin.origin), make)
      return shared.send(get(`${origin.origin}/${index}`), sending(origin.origin, { auth, concurrency: 8 }))
    })
    expect((await Promise.all(sent)).every(answer => answer.status === 200)).toBe(true)
    expect(origin.tokens()).toHaveLength(1)
    expect(origin.tokens()[0]).toMatchObject({
      method: 'POST',
      body: 'client_id=cid&client_secret=cs%26%3Dx&grant_type=client_credentials',
    })
    expect(origin.tokens()[0]?.headers['content-type']).toBe('application/x-www-form-urlencoded')
  })

  test.each([
    ['no type', 200, {}],
    ['status 201', 201, { token_type: 'bearer' }],
    ['null for a refresh token', 200, { token_type: 'bearer', refresh_token: null }],
    ['something else as id token', 200, { token_type: 'bearer', id_token: 'abc' }],
  ])('an answer with %s gives a token', async (_, status, more) => {
    const origin = await api(number => ({ ...good(number, more), status }))
    const auth = authOf(document(origin.origin))
    expect((await client().send(get(origin.origin), sending(origin.origin, { auth }))).status).toBe(200)
  })

  test('extra fields come last, replace others and remove with null', async () => {
    const origin = await api(good)
    const extra = { scope: 'a b', client_secret: null, client_id: 'other' }
    const auth = authOf(document(origin.origin, { access_token_request_data: extra }))
    await client().send(get(origin.origin), sending(origin.origin, { auth }))
    expect(origin.tokens()[0]?.body).toBe('client_id=other&grant_type=client_credentials&scope=a+b')
  })

  test.each([
    ['a number', { expires_in: 100 }, 89_000, 1],
    ['a number, just before its end', { expires_in: 100 }, 91_000, 2],
    ['text', { expires_in: '1000' }, 969_000, 1],
    ['text, just before its end', { expires_in: '1000' }, 971_000, 2],
    ['zero', { expires_in: 0 }, 0, 2],
    ['absent: an hour', {}, 3_500_000, 1],
    ['absent: an hour, just before its end', {}, 3_580_000, 2],
  ])('expires_in %s', async (_, answer, laterMs, count) => {
    const origin = await api(number => good(number, answer))
    const auth = authOf(document(origin.origin))
    const clock = fakeClock(0)
    const shared = client()
    await shared.send(get(origin.origin), sending(origin.origin, { auth, clock }))
    await clock.sleep(laterMs)
    await shared.send(get(origin.origin), sending(origin.origin, { auth, clock }))
    expect(origin.tokens()).toHaveLength(count)
  })

  test('401 renews the token once for all requests that were refused, and replays them', async () => {
    let revoked = false
    const made = await server((request, response) => {
      if (request.url === '/token') response.end(JSON.stringify({ access_token: revoked ? 'new' : 'old' }))
      else response.writeHead(!revoked || request.headers.authorization === 'Bearer new' ? 200 : 401).end()
    })
    const auth = authOf(document(made.origin))
    const shared = client()
    const ask = (path: string) =>
      shared.send(get(`${made.origin}/${path}`), sending(made.origin, { auth, concurrency: 4 }))
    await ask('first')
    revoked = true
    const answers = await Promise.all([ask('a'), ask('b'), ask('c')])
    expect(answers.map(answer => answer.status)).toEqual([200, 200, 200])
    expect(made.seen.filter(seen => seen.url === '/token')).toHaveLength(2)
  })

  test('a lasting 401 is given back after one renewal', async () => {
    const made = await server((request, response) => {
      if (request.url === '/token') response.end(JSON.stringify({ access_token: 'tttt' }))
      else response.writeHead(401).end()
    })
    const answer = await client().send(get(made.origin), sending(made.origin, { auth: authOf(document(made.origin)) }))
    expect(answer.status).toBe(401)
    expect(made.seen.map(seen => seen.url)).toEqual(['/token', '/', '/token', '/'])
  })

  test('a given token is used until it is refused', async () => {
    const made = await server((request, response) => {
      if (request.url === '/token') response.end(JSON.stringify({ access_token: 'new' }))
      else response.writeHead(request.headers.authorization === 'Bearer new' || request.url === '/ok' ? 200 : 401).end()
    })
    const auth = authOf(document(made.origin, { access_token: 'given' }))
    const shared = client()
    await shared.send(get(`${made.origin}/ok`), sending(made.origin, { auth }))
    await shared.send(get(`${made.origin}/no`), sending(made.origin, { auth }))
    expect(made.seen.map(seen => seen.headers.authorization)).toEqual([
      'Bearer given',
      'Bearer given',
      undefined,
      'Bearer new',
    ])
  })

  test('the token endpoint is retried by the policy of the request that needs the token', async () => {
    const origin = await api(number => (number < 3 ? { status: 503, body: '' } : good(number)))
    const options = sending(origin.origin, { auth: authOf(document(origin.origin)), retry: quickPolicy })
    const impatient = createClient({ retry: { ...quickPolicy, attempts: 1 } })
    open.push(impatient)
    expect((await impatient.send(get(origin.origin), options)).status).toBe(200)
    expect(options.events.filter(event => event.type === 'retry')).toHaveLength(2)
  })

  test.each([
    ['without a token', 200, '{"token":"abcdef"}', 'has no access_token; it has token'],
    ['that is not JSON', 200, '<html>', 'has no access_token'],
    ['with a token for a name', 200, '{"accessToken":{"tok-abcdef12345":1},"tok-abcdef12345":1}', 'it has accessToken'],
    ['with a name without end', 200, JSON.stringify({ [`a${'b'.repeat(1e6)}`]: 1 }), 'has no access_token'],
    [
      'that refuses',
      400,
      '{"error":"invalid_client","error_description":"bad cs&=x"}',
      'answered 400: invalid_client: bad ***',
    ],
  ])('an answer %s is an error', async (_, status, body, text) => {
    const origin = await api(() => ({ status, body }))
    const options = sending(origin.origin, { auth: authOf(document(origin.origin)) })
    const error = await failureOf(client().send(get(origin.origin), options))
    expect(error).toMatchObject({ code: 'auth', path: 'client.auth' })
    expect(error.message).toContain('client.auth')
    expect(error.message).toContain(text)
    expect(error.message).toContain('access_token')
    expect(error.message).not.toContain('abcdef')
    expect(error.message.length).toBeLessThan(1_000)
    expect(origin.seen).toHaveLength(1)
  })

  test('whoever is stopped does not stop those who wait for the same token', async () => {
    const controller = new AbortController()
    const finish: (() => void)[] = []
    const made = await server((request, response, number) => {
      if (request.url !== '/token') response.end()
      else if (number === 1) controller.abort()
      else {
        finish.push(() => response.end(JSON.stringify({ access_token: 'tttt' })))
        finish[0]?.()
      }
    })
    const auth = authOf(document(made.origin))
    const shared = client()
    const first = failureOf(
      shared.send(get(made.origin), sending(made.origin, { auth, signal: controller.signal, concurrency: 2 })),
    )
    const second = shared.send(get(made.origin), sending(made.origin, { auth, concurrency: 2 }))
    expect((await first).code).toBe('aborted')
    expect((await second).status).toBe(200)
  })

  test('whoever is stopped waits no longer for a token that another one asked for', async () => {
    const controller = new AbortController()
    let give = (): void => {}
    const made = await server((request, response) => {
      if (request.url !== '/token') response.end()
      else {
        give = () => response.end(JSON.stringify({ access_token: 'tttt' }))
        controller.abort()
      }
    })
    const auth = authOf(document(made.origin))
    const shared = client()
    const first = shared.send(get(made.origin), sending(made.origin, { auth, concurrency: 2 }))
    const second = shared.send(
      get(made.origin),
      sending(made.origin, { auth, signal: controller.signal, concurrency: 2 }),
    )
    expect((await failureOf(second)).code).toBe('aborted')
    give()
    expect((await first).status).toBe(200)
  })
})

describe('OAuth 2.0 JWT bearer', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  test.each([
    ['PKCS#8', pkcs8, undefined],
    ['PKCS#1', privateKey.export({ type: 'pkcs1', format: 'pem' }) as string, undefined],
    ['line breaks as two characters', pkcs8.replaceAll('\n', '\\n'), undefined],
    [
      'a passphrase',
      privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open' }) as string,
      'open',
    ],
  ])('signs an assertion with a key: %s', async (_, key, passphrase) => {
    const made = await server((request, response) =>
      response.end(request.url === '/token' ? '{"access_token":"jjjj"}' : ''),
    )
    const auth = authOf({
      type: 'oauth2_jwt',
      client_id: 'me',
      private_key: key,
      auth_endpoint: `${made.origin}/token`,
      scopes: ['a', 'b'],
      headers: { 'X-More': '1' },
      ...(passphrase && { private_key_passphrase: passphrase }),
    })
    const clock = fakeClock()
    await client().send(get(made.origin), sending(made.origin, { auth, clock }))
    const [token, page] = made.seen
    expect(page?.headers.authorization).toBe('Bearer jjjj')
    expect(token?.headers['x-more']).toBe('1')
    const form = new URLSearchParams(token?.body)
    expect(form.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer')
    const verified = await jwtVerify(
      form.get('assertion') ?? '',
      createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })),
      {
        currentDate: new Date(clock.now()),
      },
    )
    const iat = clock.now() / 1000
    expect(verified.payload).toEqual({
      iss: 'me',
      sub: 'me',
      aud: `${made.origin}/token`,
      iat,
      exp: iat + 3600,
      scope: 'a b',
    })
    expect(verified.protectedHeader.alg).toBe('RS256')
  })

  test.each([
    ['body', { form: { client_id: 'me', client_secret: 'the+secret' } }],
    ['basic', { form: {}, header: `Basic ${Buffer.from('me:the%2Bsecret').toString('base64')}` }],
    ['none', { form: { client_id: 'me' } }],
    ['private_key_jwt', { form: { client_id: 'me' } }],
    [undefined, { form: {} }],
  ])('proves the client besides the assertion by %s, and asks for another subject', async (how, expected) => {
    const made = await server((request, response) =>
      response.end(request.url === '/token' ? '{"access_token":"jjjj"}' : ''),
    )
    const auth = authOf({
      type: 'oauth2_jwt',
      client_id: 'me',
      private_key: pkcs8,
      auth_endpoint: `${made.origin}/token`,
      subject: 'ann@example.com',
      assertion_audience: 'https://login.example.com',
      private_key_id: 'k1',
      ...(how !== undefined && { client_auth: how }),
      ...((how === 'body' || how === 'basic') && { client_secret: 'the+secret' }),
    })
    await client().send(get(made.origin), sending(made.origin, { auth }))
    const [token] = made.seen
    expect(token?.headers.authorization).toBe('header' in expected ? expected.header : undefined)
    const {
      grant_type,
      assertion = '',
      client_assertion,
      ...form
    } = Object.fromEntries(new URLSearchParams(token?.body))
    expect(grant_type).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer')
    expect(decodeProtectedHeader(assertion)).toEqual({ alg: 'RS256', typ: 'JWT', kid: 'k1' })
    expect(decodeJwt(assertion)).toMatchObject({
      iss: 'me',
      sub: 'ann@example.com',
      aud: 'https://login.example.com',
    })
    const { client_assertion_type, ...rest } = form
    expect(rest).toEqual(expected.form)
    expect(client_assertion !== undefined && client_assertion_type !== undefined).toBe(how === 'private_key_jwt')
  })

  test('a secret that nobody sends is refused, and one that is missing too', () => {
    const written = { type: 'oauth2_jwt', client_id: 'me', private_key: pkcs8, auth_endpoint: 'https://a.example/t' }
    expect(() => authOf({ ...written, client_secret: 'x' })).toThrow(/has no effect/)
    expect(() => authOf({ ...written, client_auth: 'basic' })).toThrow(/is missing/)
  })

  test('a key that cannot be read is an error that does not show it', async () => {
    const auth = authOf({
      type: 'oauth2_jwt',
      client_id: 'me',
      private_key: 'nonsense',
      auth_endpoint: 'https://a.example/t',
    })
    const made = await server((_, response) => response.end())
    const error = await failureOf(client().send(get(made.origin), sending(made.origin, { auth })))
    expect(error).toMatchObject({ code: 'auth', path: 'client.auth.private_key' })
    expect(error.message).not.toContain('nonsense')
  })
})
