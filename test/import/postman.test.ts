import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { importPipeline } from '../../src/index.js'
import { command, type Data, emptyFolder, importAndRun, imported } from './importing.js'

const SCHEMA = 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json'
const API = 'https://api.example.com'

/** A collection with these items. */
function collection(item: readonly object[], more: object = {}): string {
  return JSON.stringify({ info: { name: 'Shop', schema: SCHEMA }, item, ...more })
}

const example = (body: unknown) => ({ code: 200, header: [], body: JSON.stringify(body) })
const orders = (from: number, count = 2) => Array.from({ length: count }, (_, index) => ({ id: from + index }))
const resources = (data: Data): readonly Data[] => data.source.resources

describe('a Postman collection', () => {
  it('gives a resource for each list, with what its example answers show', async () => {
    const text = collection([
      {
        name: 'List orders',
        request: { method: 'GET', url: { raw: `${API}/v1/orders?page=1&limit=2` } },
        response: [example({ data: orders(1), total: 6 })],
      },
    ])
    const { data } = await imported({ kind: 'postman', text })
    expect(data.name).toBe('shop')
    expect(resources(data)).toMatchObject([
      { primary_key: 'id', endpoint: { path: 'orders', data_selector: 'data', paginator: { type: 'page_number' } } },
    ])
  })

  it('fills variables from the collection and from environments, and keeps secret ones as references', async () => {
    const text = collection(
      [
        {
          name: 'orders',
          request: { method: 'GET', header: [{ key: 'X-Api-Key', value: '{{apiKey}}' }], url: '{{baseUrl}}/orders' },
        },
      ],
      { variable: [{ key: 'baseUrl', value: 'https://old.example.com' }] },
    )
    const environment = JSON.stringify({
      values: [
        { key: 'host', value: 'api.example.com', enabled: true },
        { key: 'baseUrl', value: 'https://{{host}}/v2', enabled: true },
        { key: 'apiKey', value: 's3cret-key', type: 'secret', enabled: true },
      ],
    })
    const { file, data } = await imported({ kind: 'postman', text, more: [{ text: environment }] })
    expect(data.source.client.base_url).toBe(`${API}/v2`)
    expect(data.source.client.auth).toMatchObject({ type: 'api_key', name: 'X-Api-Key' })
    expect(JSON.stringify(file)).not.toContain('s3cret')
  })

  const auths: readonly (readonly [object, object])[] = [
    [
      { type: 'bearer', bearer: [{ key: 'token', value: 's3cret-token' }] },
      { type: 'bearer', token: '${secrets.token}' },
    ],
    [
      { type: 'basic', basic: { username: 'me', password: 's3cret-word' } },
      { type: 'http_basic', password: '${secrets.password}' },
    ],
    [
      {
        type: 'apikey',
        apikey: [
          { key: 'key', value: 'k' },
          { key: 'value', value: 's3cret-key' },
          { key: 'in', value: 'query' },
        ],
      },
      { type: 'api_key', name: 'k', location: 'query' },
    ],
    [
      { type: 'oauth2', oauth2: [{ key: 'accessToken', value: '{{token}}' }] },
      { type: 'bearer', token: '${secrets.token}' },
    ],
    [
      {
        type: 'oauth2',
        oauth2: [
          { key: 'grant_type', value: 'client_credentials' },
          { key: 'accessTokenUrl', value: 'https://id.example.com/token' },
          { key: 'clientId', value: 'shop' },
          { key: 'clientSecret', value: 's3cret-word' },
          { key: 'scope', value: 'read' },
          { key: 'client_authentication', value: 'header' },
        ],
      },
      {
        type: 'oauth2_client_credentials',
        access_token_url: 'https://id.example.com/token',
        client_id: '${secrets.client_id}',
        client_secret: '${secrets.client_secret}',
        scope: 'read',
        client_auth: 'basic',
      },
    ],
  ]
  it.each(auths)('takes the authentication of a folder: %j', async (auth, expected) => {
    const text = collection([{ name: 'folder', auth, item: [{ name: 'orders', request: { url: `${API}/orders` } }] }])
    const { file, data } = await imported({ kind: 'postman', text })
    expect(data.source.client.auth).toMatchObject(expected)
    expect(JSON.stringify(file)).not.toContain('s3cret')
  })

  it('takes addresses in parts, and headers as lines', async () => {
    const url = {
      protocol: 'http',
      host: 'shops.example.com',
      port: '8080',
      path: '/v1/orders',
      query: [{ key: 'a', value: 'b' }],
    }
    const parts = { host: ['{{sub}}', 'example', 'com'], path: ['v2', 'shops'] }
    const text = collection(
      [
        { name: 'orders', request: { url, header: 'X-Shop: main\r\nAuthorization: Bearer s3cret-token-1' } },
        { name: 'shops', request: { url: parts } },
      ],
      { variable: [{ key: 'sub', value: 'api' }] },
    )
    const { pipelines } = await importPipeline({ kind: 'postman', text })
    const sources = pipelines.map(({ document }) => document.source as Data)
    expect(sources[0]).toMatchObject({
      client: { base_url: 'http://shops.example.com:8080/v1', auth: { type: 'bearer', token: '${secrets.token}' } },
      resources: [{ endpoint: { path: 'orders', params: { a: 'b' }, headers: { 'X-Shop': 'main' } } }],
    })
    expect(sources[1]?.client.base_url).toBe(`${API}/v2`)
    expect(JSON.stringify(pipelines)).not.toContain('s3cret')
  })

  it('takes numbers and flags for values of variables', async () => {
    const raw = `${API}/v{{version}}/orders?size={{size}}&active={{active}}`
    const variable = [
      { key: 'version', value: 2 },
      { key: 'size', value: 5 },
      { key: 'active', value: true },
    ]
    const text = collection([{ name: 'orders', request: { url: { raw } } }], { variable })
    const { data } = await imported({ kind: 'postman', text })
    expect(data.source.client.base_url).toBe(`${API}/v2`)
    expect(resources(data)[0].endpoint).toMatchObject({ path: 'orders', params: { active: 'true' } })
  })

  it('takes variables of bodies as variables, and leaves out secret ones', async () => {
    const search = (raw: string) => ({ url: `${API}/search`, method: 'POST', body: { mode: 'raw', raw } })
    const text = collection([
      { name: 'json', request: search('{"q": "{{word}} {x}", "in": ["{{shop}}"]}') },
      {
        name: 'form',
        request: {
          ...search(''),
          url: `${API}/query`,
          body: { mode: 'urlencoded', urlencoded: [{ key: 'q', value: '{{word}}' }] },
        },
      },
      { name: 'secret', request: { ...search('{"x": "{{api_key}}"}'), url: `${API}/find` } },
    ])
    const { pipelines, leftOut } = await importPipeline({ kind: 'postman', text })
    const [source] = pipelines.map(({ document }) => document.source as Data)
    expect(source?.resources.map(({ endpoint }: Data) => endpoint.json ?? endpoint.data)).toEqual([
      { q: '${env.word} {{x}}', in: ['${env.shop}'] },
      { q: '${env.word}' },
    ])
    expect(leftOut.map(({ why }) => why)).toEqual(['its body holds a secret, the variable api_key'])
  })

  it('asks for path variables that have no value', async () => {
    const text = collection([
      { name: 'lines', request: { url: { raw: `${API}/orders/:order_id/lines`, variable: [] } } },
    ])
    const { data } = await imported({ kind: 'postman', text })
    expect(data.source.client.base_url + JSON.stringify(resources(data))).toContain('${env.order_id}')
  })

  it('says why other requests are left out', async () => {
    const text = collection([
      { name: 'one', request: { url: { raw: `${API}/orders/:id` } } },
      { name: 'make', request: { method: 'POST', url: `${API}/orders`, body: { mode: 'raw', raw: '{}' } } },
      { name: 'drop', request: { method: 'DELETE', url: `${API}/orders/1` } },
      { name: 'nothing', request: {} },
    ])
    const { pipelines, leftOut } = await importPipeline({ kind: 'postman', text })
    expect(pipelines).toEqual([])
    expect(leftOut.map(({ what, why }) => `${what}: ${why}`)).toEqual([
      'one: its path ends with the id of one record',
      'make: it has no example answer, and POST need not read',
      'drop: DELETE reads no list',
      'nothing: it has no address',
    ])
  })

  it('runs no scripts, and reads queries of GraphQL', async () => {
    const graphql = { query: '{ orders { nodes { id } } }', variables: '{"first":2}' }
    const event = [{ listen: 'prerequest', script: { exec: ['process.exit(9)'] } }]
    const text = collection(
      [{ name: 'q', event, request: { method: 'POST', url: `${API}/graphql`, body: { mode: 'graphql', graphql } } }],
      { event },
    )
    const { data } = await imported({ kind: 'postman', text })
    expect(resources(data)[0].endpoint).toMatchObject({ method: 'POST', json: { variables: { first: 2 } } })
  })

  it.each(['{}', '{"info":{}}', '[]', 'no json: ['])('%s is refused', async text => {
    await expect(importPipeline({ kind: 'postman', text })).rejects.toMatchObject({ name: 'ConfigError' })
  })

  it('ends for circles of variables, folders without end and members of any kind', async () => {
    const variable = [{ key: 'a', value: '{{b}}' }, { key: 'b', value: '{{a}}' }, null, { key: 1 }]
    let deep: object = { name: 'x', request: `${API}/orders` }
    for (let depth = 0; depth < 2_000; depth++) deep = { name: 'folder', item: [deep] }
    const text = collection(
      [deep, { name: 'a', request: '{{a}}/orders' }, { request: { url: 7, header: 'x', body: [], auth: [] } }],
      { variable },
    )
    const { leftOut } = await importPipeline({ kind: 'postman', text })
    expect(leftOut.length).toBeGreaterThan(0)
  })

  it('becomes a file that loads every page', async () => {
    const all = orders(1, 25)
    const server = createServer((request, response) => {
      const page = Number(new URL(request.url ?? '/', 'http://api').searchParams.get('page'))
      if (request.headers.authorization !== 'Bearer t0ken-of-orders') response.writeHead(401).end()
      else {
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ data: all.slice((page - 1) * 10, page * 10), total: 25 }))
      }
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => new Promise(resolve => server.close(() => resolve())))
    const folder = await emptyFolder()
    const [file, environment] = [join(folder, 'shop.json'), join(folder, 'local.json')]
    const auth = { type: 'bearer', bearer: [{ key: 'token', value: '{{token}}' }] }
    const request = { url: { raw: '{{baseUrl}}/orders?page=1' } }
    await writeFile(
      file,
      collection([{ name: 'orders', request, response: [example({ data: all.slice(0, 10), total: 25 })] }], { auth }),
    )
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    await writeFile(environment, JSON.stringify({ values: [{ key: 'baseUrl', value: baseUrl, enabled: true }] }))
    const { rows } = await importAndRun(['postman', file, environment], 'orders', { TOKEN: 't0ken-of-orders' })
    expect(rows).toHaveLength(25)
    expect((await command(['import', 'postman', environment])).exitCode).toBe(2)
  })
})
