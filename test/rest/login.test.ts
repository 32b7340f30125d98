import { describe, expect, test } from 'vitest'
import type { AuthConfig, RequestError } from '../../src/index.js'
import type { Seen } from './clientServer.js'
import type { Answer, Api } from './listServer.js'
import { load, quickRetry, testApi } from './loading.js'

/** An API with a login that gives the tokens `session-1`, `session-2`, … Only the newest one opens its list. */
async function guarded(
  login: (number: number, request: Seen) => Answer,
  shown: (request: Seen) => string | undefined,
): Promise<Api & { readonly logins: Seen[]; revoke(): void }> {
  const logins: Seen[] = []
  let valid = 0
  const server = await testApi((url, request) => {
    if (url.pathname === '/auth/login') {
      logins.push(request)
      valid = logins.length
      return login(valid, request)
    }
    return shown(request)?.includes(`session-${valid}`) ? { json: [{ id: 1 }] } : { status: 401, json: {} }
  })
  return Object.assign(server, {
    logins,
    revoke() {
      valid = -1
    },
  })
}

const bearer = ({ headers }: Seen): string | undefined => headers.authorization
const inBody = (number: number): Answer => ({ json: { data: { token: `session-${number}` } } })

function document(origin: string, auth: Record<string, unknown>, more: object = {}) {
  return {
    client: {
      base_url: `${origin}/`,
      auth: { type: 'login', path: 'auth/login', ...auth } as AuthConfig,
      retry: quickRetry,
    },
    resources: [{ name: 'things', endpoint: { path: 'things', paginator: 'single_page' as const, ...more } }],
  }
}

describe('a login', () => {
  test.each<[string, Record<string, unknown>, (number: number) => Answer, (seen: Seen) => string | undefined]>([
    ['a bearer token', { token_path: 'data.token' }, inBody, bearer],
    [
      'a header by a template',
      { token_path: 'data.token', location: 'header', name: 'Authorization', template: 'Token {token}' },
      inBody,
      ({ headers }) => (headers.authorization?.startsWith('Token ') ? headers.authorization : undefined),
    ],
    [
      'the query',
      { token_path: 'data.token', location: 'query', name: 'sid' },
      inBody,
      ({ url }) => new URL(url, 'http://x').searchParams.get('sid') ?? undefined,
    ],
    [
      'a header of the answer, which requests have too',
      { token_header: 'X-Auth-Token', location: 'header' },
      number => ({ json: {}, headers: { 'x-auth-token': `session-${number}` } }),
      ({ headers }) => String(headers['x-auth-token']),
    ],
    [
      'a cookie of the answer, which requests have too',
      { token_cookie: 'sid', location: 'cookie' },
      number => ({
        json: {},
        headers: { 'set-cookie': `a=1; Expires=Wed, 21 Oct 2099 07:28:00 GMT, sid=session-${number}; HttpOnly` },
      }),
      ({ headers }) => (headers.cookie?.startsWith('sid=') ? headers.cookie : undefined),
    ],
    ['an answer that is the token', { token_path: '$' }, number => ({ text: `session-${number}\n` }), bearer],
  ])('gives a token: %s', async (_, auth, answer, shown) => {
    const server = await guarded(answer, shown)
    const { rows } = await load(document(server.origin, { json: { user: 'ann' }, ...auth }))
    expect(await rows('things')).toEqual([{ id: 1 }])
    expect(server.logins).toHaveLength(1)
  })

  test('sends what the document says', async () => {
    const server = await guarded(inBody, bearer)
    await load(
      document(server.origin, {
        token_path: 'data.token',
        method: 'PUT',
        params: { tenant: 'a b' },
        headers: { 'X-App': 'sluice' },
        json: { user: 'ann', password: 'open-sesame', more: { pin: 4711 } },
      }),
    )
    expect(server.logins[0]).toMatchObject({
      method: 'PUT',
      url: '/auth/login?tenant=a%20b',
      headers: { 'x-app': 'sluice', 'content-type': 'application/json' },
      body: '{"user":"ann","password":"open-sesame","more":{"pin":4711}}',
    })
    await load(document(server.origin, { token_path: 'data.token', data: { user: 'ann', password: 'a&b' } }))
    expect(server.logins[1]).toMatchObject({ method: 'POST', body: 'user=ann&password=a%26b' })
  })

  test('is shared by all lists, and repeated once after a 401', async () => {
    let things = 0
    const server = await guarded(inBody, request => {
      // The session ends after the second list has begun.
      if (++things === 3) server.revoke()
      return bearer(request)
    })
    const { client } = document(server.origin, { token_path: 'data.token' })
    const names = ['a', 'b', 'c', 'd', 'e', 'f']
    const { rows } = await load({ client, resources: names }, { concurrency: 6 })
    for (const name of names) expect(await rows(name)).toEqual([{ id: 1 }])
    expect(server.logins).toHaveLength(2)
  })

  test('that helps nothing is not repeated for ever', async () => {
    const server = await guarded(inBody, () => undefined)
    const loading = load(document(server.origin, { token_path: 'data.token' }))
    await expect(loading).rejects.toMatchObject({ code: 'http_status', status: 401 })
    expect(server.logins).toHaveLength(2)
  })

  const soon = (seconds: number): number => Math.round(Date.now() / 1000) + seconds
  test.each<[string, Record<string, unknown>, object, number]>([
    ['a moment that is over', { expires_path: 'ends' }, { ends: '2020-01-01T00:00:00Z' }, 2],
    ['a moment without a zone', { expires_path: 'ends' }, { ends: '2999-01-01 00:00:00' }, 1],
    ['seconds since 1970', { expires_path: 'ends' }, { ends: soon(3600) }, 1],
    ['milliseconds since 1970', { expires_path: 'ends' }, { ends: soon(3600) * 1000 }, 1],
    ['a lifetime of nothing', { expires_in_path: 'ends' }, { ends: 0 }, 2],
    ['a lifetime', { expires_in_path: 'ends' }, { ends: '3600' }, 1],
    ['a lifetime of the document', { ttl: 3600 }, {}, 1],
    ['none', { expires_path: 'ends' }, { ends: null }, 1],
  ])('is repeated when the token ends: %s', async (_, auth, answer, logins) => {
    const server = await guarded(number => ({ json: { data: { token: `session-${number}` }, ...answer } }), bearer)
    const { client } = document(server.origin, { token_path: 'data.token', ...auth })
    await load({ client, resources: ['a', 'b'] })
    expect(server.logins).toHaveLength(logins)
  })

  test.each<[string, Answer, RegExp]>([
    ['a refusal', { status: 403, json: { message: 'wrong: open-sesame' } }, /client\.auth: the login .*answered 403/],
    ['no token', { json: { token: 'xyzxyzxyz', user: { id: 1 } } }, /gave no token at data\.token.*token, user$/],
    ['no JSON', { text: '<html>xyzxyzxyz' }, /gave no token at data\.token.*not JSON/],
    ['a token that no header can hold', { json: { data: { token: 'xyzxyzxyz\n' } } }, /contains a line break/],
  ])('with %s is an error that shows no secret', async (_, answer, text) => {
    const server = await guarded(() => answer, bearer)
    const auth = { token_path: 'data.token', json: { user: 'ann', password: 'open-sesame' } }
    const error = await load(document(server.origin, auth)).catch((reason: RequestError) => reason)
    expect(error).toMatchObject({ code: 'auth', path: 'client.auth' })
    expect(String((error as Error).message)).toMatch(text)
    expect(String((error as Error).message)).not.toMatch(/open-sesame|xyzxyzxyz/)
  })

  test('is not followed to another host with what it sends', async () => {
    const elsewhere = await testApi(() => ({ json: { data: { token: 'session-1' } } }))
    const server = await guarded(() => ({ status: 307, headers: { location: `${elsewhere.origin}/x` } }), bearer)
    const loading = load(document(server.origin, { token_path: 'data.token', json: { password: 'open-sesame' } }))
    await expect(loading).rejects.toMatchObject({ code: 'forbidden_url' })
    expect(elsewhere.asked).toEqual([])
  })

  test.each<[Record<string, unknown>, string]>([
    [{}, 'client.auth.token_path: say where the token is'],
    [{ token_path: 'a', token_header: 'b' }, 'client.auth.token_path: say where the token is'],
    [{ token_path: 'a', json: {}, data: {} }, 'client.auth.data: a login has either'],
    [{ token_path: 'a', location: 'query' }, 'client.auth.name: is missing: the name of the query parameter'],
    [{ token_path: 'a', name: 'X' }, 'client.auth.name: has no effect'],
    [{ token_path: 'a', template: 'Token' }, 'client.auth.template: expected a text with `{token}`'],
    [{ token_path: 'a[', json: {} }, 'client.auth.token_path'],
    [{ token_path: 'a', method: 'GET', json: {} }, 'client.auth.method: a GET has no body'],
    [{ token_pth: 'a' }, 'client.auth.token_pth: unknown key; did you mean `token_path`?'],
  ])('is checked before the first request: %j', async (auth, message) => {
    await expect(load(document('http://127.0.0.1:1', auth))).rejects.toThrow(message)
  })
})
