import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type AuthConfig, duckdb, pipeline, type RequestError, restApi } from '../../src/index.js'
import type { Answer } from './listServer.js'
import { quickRetry, testApi } from './loading.js'
import { clientKey, OIDC_SECRET, type OidcServer, oidcServer } from './oidcServer.js'

const pem = clientKey.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string

/** An API whose list opens with tokens of the server alone, and only with those that it still accepts. */
async function guarded(server: OidcServer, more: (path: string) => Answer | undefined = () => undefined) {
  const refused = new Set<string>()
  const used: string[] = []
  const api = await testApi(async (url, { headers }) => {
    const token = headers.authorization?.replace(/^Bearer /, '') ?? ''
    if (refused.has(token) || !(await server.isValid(token))) return { status: 401, json: {} }
    used.push(token)
    return more(url.pathname) ?? { json: [{ id: used.length }] }
  })
  return { origin: api.origin, asked: api.asked, used, refuse: (token: string | undefined) => refused.add(token ?? '') }
}

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'sluice-oauth2-'))
  onTestFinished(() => rm(made, { recursive: true, force: true }))
  return made
}

interface Stop {
  readonly signal?: AbortSignal
}

async function run(home: string, base: string, auth: object, options: Stop = {}) {
  const client = { base_url: base, auth: auth as AuthConfig, retry: quickRetry }
  const source = restApi({ client, resources: ['things'] }, { env: {}, cwd: home })
  return pipeline({ name: 'p', source, destination: duckdb(join(home, 'p.duckdb')), home: join(home, 'work') }).run(
    options,
  )
}

async function kept(home: string): Promise<{ path: string; refresh_token: string; access_token: string }> {
  const tokens = join(home, '.sluice', 'tokens')
  const [name = ''] = await readdir(tokens)
  const path = join(tokens, name, 'tokens.json')
  return { path, ...(JSON.parse(await readFile(path, 'utf8')) as { refresh_token: string; access_token: string }) }
}

describe('client credentials', () => {
  test.each<[string, object]>([
    ['body', { client_id: 'body', client_secret: OIDC_SECRET }],
    ['basic', { client_id: 'basic', client_secret: OIDC_SECRET, client_auth: 'basic' }],
    ['private_key_jwt', { client_id: 'key', client_auth: 'private_key_jwt', private_key: pem, private_key_id: 'k1' }],
  ])('the client proves who it is: %s', async (_, client) => {
    const server = await oidcServer()
    const api = await guarded(server)
    const auth = {
      type: 'oauth2_client_credentials',
      access_token_url: `${server.issuer}/token`,
      assertion_audience: undefined as string | undefined,
      scope: ['read'],
      ...client,
    }
    await run(
      await folder(),
      api.origin,
      'private_key' in client ? { ...auth, assertion_audience: server.issuer } : auth,
    )
    expect(api.used).toHaveLength(1)
    expect((await server.provider.ClientCredentials.find(api.used[0] ?? ''))?.scope).toBe('read')
  })

  test.each<[object, string]>([
    [{ client_auth: 'private_key_jwt', private_key: 'x', private_key_id: '' }, 'client.auth.private_key_id'],
    [
      { client_secret: 's', private_key: pem },
      'client.auth.private_key: has no effect; add `client_auth: private_key_jwt`',
    ],
    [{ client_auth: 'private_key_jwt' }, 'client.auth.private_key: the secret `private_key` is missing'],
    [{ client_auth: 'basic' }, 'client.auth.client_secret: the secret `client_secret` is missing'],
    [{ client_secret: 's', base_url_path: 'url' }, 'client.auth.base_url_hosts: is missing'],
    [{ client_secret: 's', base_url_hosts: ['a.example'] }, 'client.auth.base_url_hosts: has no effect'],
    [
      { client_secret: 's', base_url_path: 'url', base_url_hosts: ['*.com'] },
      'client.auth.base_url_hosts[0]: expected a host',
    ],
    [
      { client_secret: 's', base_url_path: 'url', base_url_hosts: ['*'] },
      'client.auth.base_url_hosts[0]: expected a host',
    ],
    [
      { type: 'oauth2_jwt', private_key: pem, auth_endpoint: 'https://a.example/t', base_url_path: 'url' },
      'client.auth.base_url_hosts: is missing',
    ],
  ])('are checked before the first request: %j', async (more, message) => {
    const address = 'auth_endpoint' in more ? {} : { access_token_url: 'https://a.example/t' }
    const auth = { type: 'oauth2_client_credentials', ...address, client_id: 'c', ...more }
    await expect(run(await folder(), 'https://a.example', auth)).rejects.toThrow(message)
  })
})

describe('a refresh token', () => {
  async function setUp(clientId = 'body') {
    const server = await oidcServer()
    const home = await folder()
    const api = await guarded(server)
    const auth = {
      type: 'oauth2_refresh_token',
      access_token_url: `${server.issuer}/token`,
      client_id: clientId,
      client_secret: OIDC_SECRET,
      refresh_token: await server.refreshToken(clientId),
    }
    return {
      server,
      home,
      api,
      auth,
      run: (more: object = {}, options?: Stop) => run(home, api.origin, { ...auth, ...more }, options),
    }
  }

  test('that rotates is kept for the next run, and so is the access token', async () => {
    const { server, home, api, auth, run } = await setUp()
    await run()
    const first = await kept(home)
    expect(first.refresh_token).not.toBe(auth.refresh_token)
    await run()
    expect(server.counts.rotated).toBe(1)
    // The API takes the token no more: the next run gets another one, by the refresh token that was kept.
    api.refuse(api.used[0])
    await run()
    await run()
    expect(server.counts).toEqual({ rotated: 2, revoked: 0 })
    expect(new Set(api.used).size).toBe(2)
    expect((await kept(home)).refresh_token).not.toBe(first.refresh_token)
  })

  test.each<[string, string, object]>([
    ['basic', 'basic', { client_auth: 'basic' }],
    ['none', 'public', { client_auth: 'none', client_secret: undefined }],
  ])('goes with the proof of the client: %s', async (_, clientId, more) => {
    const { server, run } = await setUp(clientId)
    await run(more)
    expect(server.counts).toEqual({ rotated: 1, revoked: 0 })
  })

  test('that is new among the secrets is used at once, and another one of the same client stays as it is', async () => {
    const { server, api, run } = await setUp()
    await run()
    const other = await server.refreshToken()
    await run({ refresh_token: other })
    expect(new Set(api.used).size).toBe(2)
    for (const token of api.used) api.refuse(token)
    await run()
    await run({ refresh_token: other })
    expect(server.counts).toEqual({ rotated: 4, revoked: 0 })
  })

  test('that the server takes no more is an error that says what to do, and shows nothing', async () => {
    const { run } = await setUp()
    await expect(run({ refresh_token: undefined })).rejects.toThrow(/client\.auth: there is no refresh token/)
    const error = (await run({ refresh_token: 'not-a-refresh-token' }).catch(reason => reason)) as RequestError
    expect(error).toMatchObject({ code: 'auth', path: 'client.auth', status: 400 })
    expect(error.message).toMatch(/invalid_grant.*run `sluice auth` with the pipeline file/)
    expect(error.message).not.toContain('not-a-refresh-token')
  })

  test('is looked for in a file of an accident as if there were none', async () => {
    const { home, run } = await setUp()
    await run()
    await writeFile((await kept(home)).path, '{"refresh_')
    await expect(run()).rejects.toThrow(/invalid_grant/)
  })

  test('is kept when the run is stopped while the server answers', async () => {
    const { server, home, run } = await setUp()
    const controller = new AbortController()
    server.provider.on('grant.success', () => controller.abort())
    const stopped = run({}, { signal: controller.signal })
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' })
    await kept(home)
    await run()
    expect(server.counts).toEqual({ rotated: 1, revoked: 0 })
  })

  test('is kept when the rest of its answer is of no use', { timeout: 180_000 }, async () => {
    const { server, run } = await setUp()
    const wrong = { base_url_path: 'instance_url', base_url_hosts: ['api.example.com'] }
    await expect(run(wrong)).rejects.toThrow(/the token’s answer has no address at instance_url/)
    await run()
    expect(server.counts).toEqual({ rotated: 2, revoked: 0 })
  })

  test('is not asked for where a new one could not be kept', { timeout: 180_000 }, async () => {
    const { server, home, api, run } = await setUp()
    await run()
    api.refuse(api.used[0])
    const draft = `${(await kept(home)).path}.new`
    await mkdir(draft)
    await expect(run()).rejects.toThrow(/tokens cannot be kept in .*tokens: .*name another folder in `token_store`/)
    expect(server.counts.rotated).toBe(1)
    await run()
    expect(server.counts).toEqual({ rotated: 2, revoked: 0 })
  })

  test('is in a folder that the document names', async () => {
    const { home, run } = await setUp()
    await run({ token_store: 'shared' })
    expect(await readdir(join(home, 'shared'))).toHaveLength(1)
    expect(await readdir(home)).not.toContain('.sluice')
    await writeFile(join(home, 'taken'), '')
    await expect(run({ token_store: 'taken' })).rejects.toThrow(
      /tokens cannot be kept in .*taken: .*name another folder/,
    )
  })
})

function rsaKey(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
}

describe('the address in a token’s answer', () => {
  const bySecret = { type: 'oauth2_client_credentials', client_secret: 'client-secret' }
  async function salesforce(base: (api: string) => string, grant: object = bySecret) {
    const api = await testApi((url, { headers }) => {
      const isSigned = headers.authorization === 'Bearer tttt-4711'
      if (!isSigned) return { status: 401, json: {} }
      if (url.pathname === '/elsewhere/things') return { json: { data: [{ id: 1 }], next: '/v1/things?page=2' } }
      if (url.pathname !== '/v1/things') return undefined
      const isLast = url.searchParams.has('page')
      return { json: { data: [{ id: isLast ? 2 : 1 }], next: isLast ? null : `${api.origin}/v1/things?page=2` } }
    })
    const login = await testApi(url =>
      url.pathname === '/token' ? { json: { access_token: 'tttt-4711', instance_url: base(api.origin) } } : undefined,
    )
    const isJwt = 'private_key' in grant
    const auth = {
      [isJwt ? 'auth_endpoint' : 'access_token_url']: `${login.origin}/token`,
      client_id: 'c',
      base_url_path: 'instance_url',
      base_url_hosts: [new URL(api.origin).host],
      ...grant,
    }
    const home = await folder()
    const source = restApi(
      {
        client: { base_url: `${login.origin}/v1`, auth: auth as AuthConfig, retry: quickRetry },
        resources: [
          { name: 'things', endpoint: { path: 'things', paginator: { type: 'json_link', next_url_path: 'next' } } },
        ],
      },
      { env: {}, cwd: home },
    )
    const made = pipeline({ name: 'p', source, destination: duckdb(join(home, 'p.duckdb')), home: join(home, 'work') })
    return { api, login, made }
  }

  test.each([
    ['client credentials', bySecret],
    ['a signed assertion', { type: 'oauth2_jwt', private_key: rsaKey() }],
  ])('is where requests go, with credentials, next links included: %s', async (_what, grant) => {
    const { api, login, made } = await salesforce(origin => `${origin}/`, grant)
    const { rows } = await made.run()
    expect(rows).toEqual({ things: 2 })
    expect(api.asked).toEqual(['GET /v1/things', 'GET /v1/things?page=2'])
    expect(login.asked.map(line => line.split(' ')[1])).toEqual(['/token'])
  })

  test.each<[string, (origin: string) => string, RegExp]>([
    [
      'another host',
      () => 'https://evil.example',
      /names https:\/\/evil\.example as address of the API, which is not among/,
    ],
    ['plain http', () => 'http://a.example', /which is not https/],
    ['user information', origin => origin.replace('//', '//a.example@evil.example#'), /not among|not https/],
    ['no address', () => '', /has no address at instance_url/],
    ['a file', () => 'file:///etc/passwd', /which is not https/],
    ['another port', () => 'http://127.0.0.1:1', /not among/],
  ])('is refused: %s', async (_, base, text) => {
    const { api, made } = await salesforce(base)
    await expect(made.run()).rejects.toMatchObject({ code: 'auth', message: expect.stringMatching(text) })
    expect(api.asked).toEqual([])
  })
})

test('a token that no header can hold is an error that does not show it, and is not used again', async () => {
  const home = await folder()
  let tokens = 0
  const server = await testApi(url => {
    if (url.pathname !== '/token') return { json: [{ id: 1 }] }
    return { json: { access_token: ++tokens === 1 ? 'broken-4711\n' : 'whole-4711', refresh_token: `next-${tokens}` } }
  })
  const auth = {
    type: 'oauth2_refresh_token',
    access_token_url: `${server.origin}/token`,
    client_id: 'c',
    client_auth: 'none',
    refresh_token: 'first-4711',
  }
  const error = (await run(home, server.origin, auth).catch(reason => reason)) as RequestError
  expect(error).toMatchObject({ code: 'auth', message: expect.stringContaining('a line break') })
  expect(error.message).not.toContain('4711')
  await run(home, server.origin, auth)
  expect(
    server.seen.map(({ body }) => new URLSearchParams(body).get('refresh_token')).filter(text => text !== null),
  ).toEqual(['first-4711', 'next-1'])
})
