import { join } from 'node:path'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { type Authenticator, duckdb, pipeline, type RestApiConfig, restApi, Secret, secret } from '../../src/index.js'
import { testApi, testFolder } from '../pipeline/api.js'

const env = { API_KEY: 'key-of-the-api-4711' }

test('a secret named within a text is sent with it', async () => {
  const heard: (string | undefined)[] = []
  const api = await testApi((_url, { headers }) => {
    heard.push(headers.authorization)
    return { json: [{ id: 1 }] }
  })
  const folder = await testFolder()
  const client = { base_url: api.url, headers: { Authorization: `Token ${secret('api_key')}` } }
  const source = restApi({ client, resources: [{ name: 'items', endpoint: { paginator: 'single_page' } }] }, { env })
  const home = join(folder, 'home')
  await pipeline({ name: 'texts', source, destination: duckdb(join(folder, 'texts.duckdb')), home }).run()
  expect(heard).toEqual(['Token key-of-the-api-4711'])
})

const value = new Secret(env.API_KEY)
const shown: readonly (readonly [string, RestApiConfig])[] = [
  [
    'client.headers.Authorization',
    { client: { base_url: 'http://x', headers: { Authorization: `Bearer ${value}` } }, resources: ['a'] },
  ],
  [
    'client.auth.token',
    { client: { base_url: 'http://x', auth: { type: 'bearer', token: `${value}` } }, resources: ['a'] },
  ],
  ['client.base_url', { client: { base_url: `http://x/${value}` }, resources: ['a'] }],
  ...(['params', 'json', 'data', 'headers'] as const).map(
    key =>
      [
        `resources[0].endpoint.${key}.k`,
        {
          client: { base_url: 'http://x' },
          resources: [{ name: 'a', endpoint: { method: 'POST', [key]: { k: `${value}` } } }],
        },
      ] as const,
  ),
]

test.each(shown)('a value that hides itself within a text is an error at %s', (path, document) => {
  const written = () => restApi(document, { env })
  expect(written).toThrow(path)
  expect(written).toThrow(/holds `\*\*\*`, which is what a Secret shows in place of its value.*\$\{secrets\.api_key\}/)
})

test('an authenticator that signs with a hidden value is told', async () => {
  const api = await testApi(() => ({ json: [{ id: 1 }] }))
  const folder = await testFolder()
  const auth: Authenticator = {
    sign: request => ({ ...request, headers: { ...request.headers, 'X-Key': `${value}` } }),
  }
  const source = restApi({ client: { base_url: api.url, auth }, resources: ['items'] }, { env })
  const destination = duckdb(join(folder, 'signed.duckdb'))
  const signed = pipeline({ name: 'signed', source, destination, home: join(folder, 'home') })
  await expect(signed.run()).rejects.toThrow(/the header X-Key holds `\*\*\*`/)
  expect(api.asked).toEqual([])
})

test('a Secret and a reference print no value', () => {
  expect(`${value} ${JSON.stringify(value)} ${inspect(value)}`).toBe('*** "***" Secret(***)')
  expect(`${secret('api_key')} ${inspect(secret('api_key'))}`).toBe("${secrets.api_key} secret('api_key')")
})
