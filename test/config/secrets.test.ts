import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { requestSettings } from '../../src/config/lookup/environment.js'
import { secretResolver } from '../../src/config/lookup/secrets.js'
import { restApi } from '../../src/config/restApi.js'
import { duckdb } from '../../src/destinations/duckdb/duckdb.js'
import { ConfigError } from '../../src/model/errors.js'
import { reveal, Secret } from '../../src/model/secrets/secret.js'
import { pipeline } from '../../src/pipeline/pipeline.js'
import type { AuthConfig } from '../../src/rest/document/declaration/configTypes.js'
import { parseRestConfig } from '../../src/rest/document/parseDocument.js'
import type { LookupResult } from '../../src/rest/document/references.js'
import { context } from '../rest/listServer.js'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-secrets-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function write(path: string, text: string, mode = 0o600): Promise<void> {
  await mkdir(join(folder, path, '..'), { recursive: true })
  await writeFile(join(folder, path), text)
  await chmod(join(folder, path), mode)
}

function resolver(
  env: Record<string, string>,
  more: { pipeline?: string; source?: string; warn?: (text: string) => void } = {},
) {
  return secretResolver({ env, cwd: folder, ...more })
}

function value(found: LookupResult<string | Secret>): string {
  if ('missing' in found) throw new Error(found.missing)
  return found.value instanceof Secret ? reveal(found.value) : found.value
}

describe('a field that auth leaves out', () => {
  const names = [
    'P__SOURCES__REST_API__S__CREDENTIALS__TOKEN',
    'P__SOURCES__REST_API__CREDENTIALS__TOKEN',
    'P__SOURCES__S__CREDENTIALS__TOKEN',
    'P__SOURCES__CREDENTIALS__TOKEN',
    'P__CREDENTIALS__TOKEN',
    'SOURCES__REST_API__S__CREDENTIALS__TOKEN',
    'SOURCES__REST_API__CREDENTIALS__TOKEN',
    'SOURCES__S__CREDENTIALS__TOKEN',
    'SOURCES__CREDENTIALS__TOKEN',
    'CREDENTIALS__TOKEN',
  ]

  test.each(names.map((name, rank) => [name, rank] as const))('%s counts before those below it', (name, rank) => {
    const env = Object.fromEntries(names.slice(rank).map(each => [each, each]))
    expect(value(resolver(env, { pipeline: 'p', source: 's' }).credential('token', true))).toBe(name)
  })

  test('the only secret of a block may be the block', () => {
    expect(value(resolver({ SOURCES__REST_API__CREDENTIALS: 't' }).credential('token', true))).toBe('t')
    expect('missing' in resolver({ SOURCES__REST_API__CREDENTIALS: 't' }).credential('password', false)).toBe(true)
  })

  test.each<[AuthConfig, Record<string, string>, object]>([
    [
      { type: 'oauth2_client_credentials' },
      { ACCESS_TOKEN_URL: 'https://a.example.com/t', CLIENT_ID: 'i', CLIENT_SECRET: 's' },
      { access_token_url: 'https://a.example.com/t' },
    ],
    [
      { type: 'api_key', location: 'header' },
      { API_KEY: 'k', NAME: 'X-Key' },
      { name: 'X-Key', location: 'header' },
    ],
    [
      { type: 'api_key', name: 'X-Own' },
      { API_KEY: 'k', NAME: 'X-Key', LOCATION: 'query' },
      { name: 'X-Own', location: 'query' },
    ],
    ['api_key', { API_KEY: 'k', NAME: 'X-Key' }, { name: 'X-Key', location: 'header' }],
  ])('every one is looked up, also those of an object: %j', (auth, variables, expected) => {
    const env = Object.fromEntries(
      Object.entries(variables).map(([name, text]) => [`SOURCES__REST_API__CREDENTIALS__${name}`, text]),
    )
    const document = { client: { base_url: 'https://a.example.com', auth }, resources: ['a'] }
    const [resource] = parseRestConfig(document, { lookup: resolver(env) }).resources
    expect(resource).toMatchObject({ endpoint: { auth: { config: expected } } })
  })

  test.each<AuthConfig>([
    { type: 'api_key' },
    { type: 'http_basic' },
    { type: 'oauth2_client_credentials' },
    { type: 'oauth2_jwt' },
    { type: 'login', path: 'login', json: { password: '${secrets.password}' }, token_path: 'token' },
    { type: 'bearer', token: '${env.TOKEN}' },
  ])('what is missing is an error where requests begin, and not before: %j', async auth => {
    const document = { client: { base_url: 'https://a.example.com', auth }, resources: ['a'] }
    const source = restApi(document, { env: {}, cwd: folder })
    const home = join(folder, '.sluice')
    const made = pipeline({ name: 'p', source, destination: duckdb(join(folder, 'p.duckdb')), home })
    expect(await made.dataset().tables()).toEqual([])
    const error = {
      name: 'ConfigError',
      code: 'secret_missing',
      message: expect.stringMatching(/ is missing|is not set/),
    }
    await expect(made.run()).rejects.toMatchObject(error)
    await expect(made.check()).rejects.toMatchObject(error)
    await expect(made.backfill('a')).rejects.toMatchObject(error)
    expect((await made.plan()).missing).toBe(await made.run().catch((reason: Error) => reason.message))
    expect(await readdir(folder)).toEqual([])
  })

  test('nothing is requested without them, whoever asks', async () => {
    const document = { client: { base_url: 'http://127.0.0.1:1', auth: { type: 'bearer' } as const }, resources: ['a'] }
    const [resource] = restApi(document, { env: {}, cwd: folder }).resources
    const pages = resource?.pages(context())
    await expect(pages?.next()).rejects.toMatchObject({ code: 'secret_missing' })
  })

  test('another mistake in the document is told at once, with what is missing', () => {
    const document = {
      client: { base_url: 'https://a.example.com', auth: { type: 'bearer' } as const },
      resources: ['a', 'a'],
    }
    expect(() => restApi(document, { env: {}, cwd: folder })).toThrow(/there is a resource `a` already/)
  })

  test('an unrelated variable is never sent', () => {
    expect('missing' in resolver({ TOKEN: 't' }).credential('token', true)).toBe(true)
  })

  test('dlt’s file', async () => {
    await write('.dlt/secrets.toml', '[sources.rest_api.credentials]\ntoken = "from file"\n')
    expect(value(resolver({}).credential('token', true))).toBe('from file')
    expect(value(resolver({ CREDENTIALS__TOKEN: 'from env' }).credential('token', true))).toBe('from env')
  })

  test('a missing one tells the variable and the file that a person would use', async () => {
    const missing = () => {
      const found = resolver({}, { pipeline: 'p' }).credential('api_key', true)
      return 'missing' in found ? found.missing : ''
    }
    expect(missing()).toMatch(
      /set the variable CREDENTIALS__API_KEY(?:, in .*)?, or write credentials\.api_key = "…" into .*\.sluice.secrets\.toml$/,
    )
    await write('.dlt/secrets.toml', '')
    expect(missing()).toMatch(/ into .*\.dlt.secrets\.toml$/)
  })
})

describe('a named secret', () => {
  test('environment, then .sluice, then .dlt', async () => {
    await write('.dlt/secrets.toml', 'api_key = "dlt"\nonly = "dlt"\n')
    await write('.sluice/secrets.toml', 'api_key = "sluice"\n')
    expect(value(resolver({ API_KEY: 'env' }).secret('api_key'))).toBe('env')
    expect(value(resolver({ API_KEY: '' }).secret('api_key'))).toBe('sluice')
    expect(value(resolver({}).secret('only'))).toBe('dlt')
  })

  test('dots are sections', async () => {
    await write('.sluice/secrets.toml', '[github]\ntoken = "t"\n')
    expect(value(resolver({}).secret('github.token'))).toBe('t')
    expect(value(resolver({ GITHUB__TOKEN: 'u' }).secret('github.token'))).toBe('u')
    expect(value(resolver({ GITHUB_TOKEN: 'v' }).secret('github.token'))).toBe('v')
    expect(value(resolver({ SOURCES__REST_API__GITHUB__TOKEN: 'w' }).secret('github.token'))).toBe('w')
  })

  test('SLUICE_HOME is the working folder', async () => {
    await write('elsewhere/secrets.toml', 'k = "v"\n')
    expect(value(resolver({ SLUICE_HOME: join(folder, 'elsewhere') }).secret('k'))).toBe('v')
  })

  test('the folder of the file counts before the current one', async () => {
    await write('.sluice/secrets.toml', 'k = "current"\n')
    await write('sub/.sluice/secrets.toml', 'k = "beside"\n')
    expect(value(secretResolver({ env: {}, cwd: folder, folder: join(folder, 'sub') }).secret('k'))).toBe('beside')
  })

  test('inside a text it makes the text a secret; a variable does not', () => {
    const found = resolver({ TOKEN: 't', HOST: '{h}' })
    const text = found.text('Bearer ${secrets.token}')
    expect('value' in text && text.value).toBeInstanceOf(Secret)
    expect(value(text)).toBe('Bearer t')
    expect(found.text('https://${env.HOST}/x', braces => braces.replace(/[{}]/g, '$&$&'))).toEqual({
      value: 'https://{{h}}/x',
    })
    expect(found.text('$${env.HOST}')).toEqual({ value: '${env.HOST}' })
    expect('missing' in found.text('${env.NOPE}')).toBe(true)
  })
})

describe('files of secrets', () => {
  test.skipIf(process.platform === 'win32')('one that others may read is reported', async () => {
    await write('.sluice/secrets.toml', 'k = "v"\n', 0o644)
    const warnings: string[] = []
    resolver({}, { warn: text => warnings.push(text) }).secret('k')
    expect(warnings).toEqual([expect.stringContaining('chmod 600')])
  })

  test('one that is broken is an error that does not quote it', async () => {
    await write('.sluice/secrets.toml', 'a = "b"\nkey = sk-live-1234 x\n')
    const read = () => resolver({}).secret('k')
    expect(read).toThrow(ConfigError)
    expect(read).toThrow(/secrets\.toml:2:\d+ is not valid TOML/)
    expect(read).not.toThrow(/sk-live/)
  })
})

describe('dlt’s runtime settings', () => {
  test('none: our policy', () => {
    expect(requestSettings({})).toMatchObject({
      timeoutMs: 60_000,
      retry: {
        attempts: 4,
        statuses: [429, 500, 502, 503, 504],
        jitter: 'full',
        baseMs: 1_000,
        factor: 2,
        maxDelayMs: 300_000,
      },
    })
  })

  test('any of them: dlt’s policy', () => {
    const { retry } = requestSettings({ RUNTIME__REQUEST_BACKOFF_FACTOR: '0.001' })
    expect(retry).toMatchObject({ attempts: 5, baseMs: 1, factor: 2, jitter: 'none' })
    expect(retry.statuses).toContain(599)
    expect(requestSettings({ RUNTIME__REQUEST_MAX_ATTEMPTS: '0' }).retry.attempts).toBe(1)
    expect(requestSettings({ RUNTIME__REQUEST_TIMEOUT: '1.5' })).toMatchObject({
      timeoutMs: 1_500,
      retry: { attempts: 4 },
    })
  })

  test('nonsense is an error', () => {
    expect(() => requestSettings({ RUNTIME__REQUEST_TIMEOUT: 'soon' })).toThrow(
      /RUNTIME__REQUEST_TIMEOUT: expected a number/,
    )
  })
})
