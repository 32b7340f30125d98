import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { restApiFrom } from '../../src/config/restApi.js'
import { duckdb } from '../../src/destinations/duckdb/duckdb.js'
import { pipeline } from '../../src/pipeline/pipeline.js'
import { authKinds } from '../../src/rest/auth/authKinds.js'

/**
 * Runs with each kind of credential against an API that tells them to everyone: in headers, links, bodies and error
 * messages. Afterwards they are looked for in everything that a run prints, throws or leaves behind.
 */
const SECRET = 'k3y/with+odd=&chars ünd%41-0123456789'
const PASSWORD = 'p4ss:word/9876543210?'
const TOKEN = 'tok_ZXhhbXBsZS10b2tlbi1mb3ItdGVzdHM_42'
/** In the place that tokens are kept in, which is outside of what is looked through. */
const NEXT_TOKEN = 'next_ZXhhbXBsZS1yZWZyZXNoLXRva2Vu_43'
const HEADER_SAFE = 'k3y+with/odd=chars~0123456789'

const PRIVATE_KEY = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
}).privateKey

interface Credential {
  readonly name: string
  readonly auth: object
  readonly secrets: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

const credentials: readonly Credential[] = [
  { name: 'bearer', auth: { type: 'bearer', token: HEADER_SAFE }, secrets: [HEADER_SAFE] },
  {
    name: 'api_key in a header',
    auth: { type: 'api_key', name: 'X-Key', api_key: HEADER_SAFE },
    secrets: [HEADER_SAFE],
  },
  {
    name: 'api_key in the query',
    auth: { type: 'api_key', name: 'key', api_key: SECRET, location: 'query' },
    secrets: [SECRET],
  },
  {
    name: 'api_key in a cookie',
    auth: { type: 'api_key', name: 'k', api_key: HEADER_SAFE, location: 'cookie' },
    secrets: [HEADER_SAFE],
  },
  {
    name: 'http_basic',
    auth: { type: 'http_basic', username: 'someone', password: PASSWORD },
    secrets: [PASSWORD, `someone:${PASSWORD}`],
  },
  {
    name: 'oauth2_client_credentials',
    auth: {
      type: 'oauth2_client_credentials',
      access_token_url: '{{origin}}/token',
      client_id: 'client',
      client_secret: SECRET,
    },
    secrets: [SECRET, TOKEN],
  },
  {
    name: 'oauth2_jwt',
    auth: { type: 'oauth2_jwt', auth_endpoint: '{{origin}}/token', client_id: 'client', private_key: PRIVATE_KEY },
    secrets: [TOKEN, PRIVATE_KEY.split('\n')[2] ?? PRIVATE_KEY],
  },
  {
    name: 'login',
    auth: {
      type: 'login',
      path: 'token',
      json: { user: 'someone', credentials: { password: PASSWORD } },
      headers: { 'X-Key': HEADER_SAFE, Authorization: `Basic ${HEADER_SAFE}` },
      token_path: 'access_token',
      location: 'cookie',
      name: 'sid',
    },
    secrets: [PASSWORD, TOKEN],
  },
  {
    name: 'aws_sigv4',
    auth: {
      type: 'aws_sigv4',
      access_key_id: 'AKIDEXAMPLE',
      secret_access_key: SECRET,
      session_token: HEADER_SAFE,
      region: 'eu-central-1',
    },
    secrets: [SECRET, HEADER_SAFE],
  },
  {
    name: 'hmac',
    auth: {
      type: 'hmac',
      key: SECRET,
      message: '{timestamp}{path}',
      headers: { 'X-Auth': '${secrets.key_id}:{signature}' },
    },
    secrets: [SECRET, HEADER_SAFE],
    env: { KEY_ID: HEADER_SAFE },
  },
  {
    name: 'oauth1',
    auth: { type: 'oauth1', consumer_key: 'consumer', consumer_secret: SECRET, token: TOKEN, token_secret: PASSWORD },
    secrets: [SECRET, TOKEN, PASSWORD],
  },
  {
    name: 'rotate',
    auth: {
      type: 'rotate',
      auths: [
        { type: 'api_key', name: 'X-Key', api_key: HEADER_SAFE },
        { type: 'bearer', token: TOKEN },
      ],
    },
    secrets: [HEADER_SAFE, TOKEN],
  },
  {
    name: 'oauth2_refresh_token',
    auth: {
      type: 'oauth2_refresh_token',
      access_token_url: '{{origin}}/token',
      client_id: 'client',
      client_secret: SECRET,
      client_auth: 'basic',
      refresh_token: PASSWORD,
      token_store: '{{outside}}',
    },
    secrets: [SECRET, TOKEN, PASSWORD, NEXT_TOKEN],
  },
  {
    name: 'bearer from the environment',
    auth: { type: 'bearer', token: '${env.API_TOKEN}' },
    secrets: [HEADER_SAFE],
    env: { API_TOKEN: HEADER_SAFE },
  },
]

let home: string
let outside: string
let origin: string
let failing = false
let close: () => Promise<void>

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'sluice-secrets-'))
  outside = await mkdtemp(join(tmpdir(), 'sluice-tokens-'))
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', part => parts.push(part))
    request.on('end', () => {
      const echo = said(request, Buffer.concat(parts).toString())
      response.setHeader('content-type', 'application/json')
      response.setHeader('x-debug', encodeURIComponent(echo))
      response.setHeader('set-cookie', `session=${TOKEN}`)
      if (request.url === '/token') {
        response.end(JSON.stringify({ access_token: TOKEN, refresh_token: NEXT_TOKEN, expires_in: 3600, debug: echo }))
        return
      }
      if (failing && request.url?.includes('page=2')) {
        response.statusCode = 400
        response.end(JSON.stringify({ message: `you sent ${echo}`, again: Buffer.from(echo).toString('base64') }))
        return
      }
      const again = Buffer.from(echo).toString('base64')
      const next = request.url?.includes('page=2') ? null : `${origin}${request.url}${sign(request)}page=2`
      response.end(
        JSON.stringify({ records: [{ id: 1 }], links: { self: `${origin}${request.url}`, next }, echo, again }),
      )
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  close = () =>
    new Promise(resolve => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
})

afterEach(async () => {
  await close()
  await rm(home, { recursive: true, force: true })
  await rm(outside, { recursive: true, force: true })
})

function sign(request: IncomingMessage): string {
  return request.url?.includes('?') ? '&' : '?'
}

/** Everything the API was sent, decoded where it was encoded. */
function said(request: IncomingMessage, body: string): string {
  const { authorization = '', ...headers } = request.headers
  const basic = /^Basic (.*)$/.exec(authorization)?.[1]
  const decoded = basic === undefined ? '' : Buffer.from(basic, 'base64').toString()
  const query = [...new URL(request.url ?? '', 'http://x').searchParams].flat().join(' ')
  return `${authorization} ${decoded} ${JSON.stringify(headers)} ${query} ${request.url} ${body}`
}

async function everything(auth: object, env: Readonly<Record<string, string>>, keepJournal: boolean): Promise<Buffer> {
  const document = {
    client: {
      base_url: origin,
      auth: JSON.parse(JSON.stringify(auth).replaceAll('{{origin}}', origin).replaceAll('{{outside}}', outside)),
    },
    resources: [
      {
        name: 'things',
        endpoint: {
          path: 'things',
          data_selector: 'records',
          paginator: { type: 'json_link', next_url_path: 'links.next' },
        },
      },
    ],
  }
  const source = restApiFrom(document, { env, cwd: home, warn: () => {} })
  const shop = pipeline({ name: 'p', source, destination: duckdb(join(home, 'p.duckdb')), home: join(home, 'work') })
  const parts: (string | Buffer)[] = [inspect(source, { depth: 20, showHidden: true }), JSON.stringify(source)]
  const end = await shop
    .run({ keepJournal, onEvent: event => parts.push(JSON.stringify(event)) })
    .catch((error: Error) => error)
  parts.push(inspect(end, { depth: 20, showHidden: true }), JSON.stringify(end))
  if (end instanceof Error) parts.push(end.message, end.stack ?? '', String(end.cause))
  expect(end instanceof Error).toBe(failing)
  for (const entry of await readdir(home, { recursive: true, withFileTypes: true })) {
    parts.push(join(entry.parentPath, entry.name))
    if (entry.isFile()) parts.push(await readFile(join(entry.parentPath, entry.name)))
  }
  return Buffer.concat(
    parts.map(part => Buffer.concat([typeof part === 'string' ? Buffer.from(part) : part, Buffer.from('\n')])),
  )
}

function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret)
  const percent = encodeURIComponent(secret)
  return [
    secret,
    percent,
    percent.toLowerCase(),
    new URLSearchParams({ s: secret }).toString().slice(2),
    new URL(`http://x/?${secret.replaceAll('#', '%23')}`).search.slice(1),
    JSON.stringify(secret).slice(1, -1),
    bytes.toString('hex'),
    // Base64 of a text that holds it has the middle of one of these, wherever it begins.
    ...[0, 1, 2].map(shift =>
      Buffer.concat([Buffer.alloc(shift, 'x'), bytes])
        .toString('base64')
        .slice(shift === 0 ? 0 : 4)
        .replace(/=+$/, '')
        .slice(0, -2),
    ),
  ].map(form => Buffer.from(form).toString('latin1'))
}

it('is tried with every kind of authentication', () => {
  const tried = credentials.map(({ auth }) => ('type' in auth ? auth.type : undefined))
  const kinds = authKinds.map(({ type }) => type)
  // Its key never leaves the machine, and needs a server with TLS: test/rest/mtls.test.ts.
  expect(kinds.filter(kind => kind !== 'mtls' && !tried.includes(kind))).toEqual([])
})

describe.each(credentials)('the secret of $name', ({ auth, secrets, env = {} }) => {
  it.each([
    ['a run that is committed', false],
    ['a run that fails', true],
  ])('is nowhere after %s', async (_run, fails) => {
    failing = fails
    const found = (await everything(auth, env, true)).toString('latin1')
    expect(found).toContain('***')
    for (const secret of secrets) {
      for (const form of formsOf(secret)) {
        const at = found.indexOf(form)
        expect(at === -1 ? '' : found.slice(Math.max(0, at - 200), at + 50), `as ${form}`).toBe('')
      }
    }
  })
})

it('would be found if it were there', () => {
  const forms = formsOf(SECRET)
  for (const text of [SECRET, Buffer.from(`a:${SECRET}`).toString('base64'), encodeURIComponent(SECRET)]) {
    expect(
      forms.some(form => Buffer.from(text).toString('latin1').includes(form)),
      text,
    ).toBe(true)
  }
})
