import { describe, expect, test } from 'vitest'
import { Secret } from '../../../src/model/secrets/secret.js'
import type { RestApiConfig } from '../../../src/rest/document/declaration/configTypes.js'
import type { EndpointResource } from '../../../src/rest/document/model.js'
import { parseRestConfig } from '../../../src/rest/document/parseDocument.js'
import type { Lookup } from '../../../src/rest/document/references.js'

const client = { base_url: 'https://api.example.com/v1' }

function parsed(document: RestApiConfig): EndpointResource[] {
  return parseRestConfig(document).resources.filter(resource => resource.kind === 'endpoint')
}

function first(document: RestApiConfig): EndpointResource {
  const [resource] = parsed(document)
  if (resource === undefined) throw new Error('no resource')
  return resource
}

function endpoint(
  keys: Exclude<
    NonNullable<Exclude<RestApiConfig['resources'][number], string>>,
    (...parts: never) => unknown
  >['endpoint'],
  ...others: string[]
) {
  const found = parsed({ client, resources: [...others, { name: 'a', endpoint: keys }] }).find(
    ({ name }) => name === 'a',
  )
  if (found === undefined) throw new Error('no resource')
  return found.endpoint
}

describe('forms', () => {
  test('a text resource is its own path; a text endpoint is a path', () => {
    const [a, b, c] = parsed({ client, resources: ['a/b', { name: 'b' }, { name: 'c', endpoint: '/x?y=1' }] })
    expect(a).toMatchObject({ name: 'a/b', selected: true, hints: {}, endpoint: { url: ['a/b'], method: 'GET' } })
    expect(b?.endpoint.url).toEqual(['b'])
    expect(c?.endpoint.url).toEqual(['/x?y=1'])
  })

  test('nulls are as good as nothing', () => {
    const nulls = {
      path: null,
      params: null,
      json: null,
      data: null,
      headers: null,
      paginator: null,
      incremental: null,
    }
    const resource = first({
      client,
      resources: [{ name: 'a', endpoint: nulls, processing_steps: null, selected: null }],
    })
    expect(resource.endpoint).toMatchObject({
      url: ['a'],
      params: [],
      headers: [],
      body: undefined,
      paginator: { kind: 'auto' },
    })
    expect(resource).toMatchObject({ selected: true, steps: [] })
  })

  test('parents come before children, the rest as written', () => {
    const names = parsed({ client, resources: [{ name: 'c', endpoint: 'x/{resources.p.id}/y' }, 'b', 'p'] }).map(
      r => r.name,
    )
    expect(names).toEqual(['p', 'c', 'b'])
  })

  test('the older resolve form is a placeholder', () => {
    const child = endpoint(
      { path: 'p/{pid}/x', params: { pid: { type: 'resolve', resource: 'p', field: 'a.id' }, v: 2 } },
      'p',
    )
    expect(child.url).toEqual(['p/', { expression: 'resources.p.a.id' }, '/x'])
    expect(child.params.map(param => param.name)).toEqual([['v']])
  })

  test.each([
    ['a/b', 'a/b'],
    ['group%2Fproject', 'group%2Fproject'],
    ['../x?y=1', '../x?y=1'],
    ['c# 100%', 'c%23 100%25'],
  ])('static path parameters are sent as they are written and leave the query: %s', (user, written) => {
    const found = endpoint({ path: 'u/{user}/x', params: { user, n: 1 } })
    expect(found.url.join('')).toBe(`u/${written}/x`)
    expect(found.params.map(param => param.name)).toEqual([['n']])
  })

  test('bodies: JSON, form, pairs, text, none', () => {
    expect(endpoint({ method: 'POST', json: {} }).body).toMatchObject({
      kind: 'json',
      value: { kind: 'object', entries: [] },
    })
    expect(endpoint({ data: { a: 1 } }).body).toMatchObject({
      kind: 'form',
      fields: [{ name: ['a'], value: { value: 1 } }],
    })
    expect(
      endpoint({
        data: [
          ['a', '1'],
          ['a', '2'],
        ],
      }).body,
    ).toMatchObject({ kind: 'form', fields: [{ name: ['a'] }, { name: ['a'] }] })
    expect(endpoint({ data: '<q/>' }).body).toMatchObject({ kind: 'text', text: ['<q/>'] })
    expect(endpoint({ data: {} }).body).toBeUndefined()
  })

  test('headers of the endpoint replace those of the client, whatever their case', () => {
    const { endpoint: found } = first({
      client: { ...client, headers: { 'X-A': '1', 'X-B': '{2}' } },
      resources: [{ name: 'a', endpoint: { headers: { 'x-a': null, 'X-C': 3 } } }],
    })
    expect(found.headers.map(({ name, value }) => [name, value])).toEqual([
      [['x-a'], null],
      [['X-B'], ['{2}']],
      [['X-C'], ['3']],
    ])
  })

  test('statuses of actions may be numbers, texts, classes and ranges', () => {
    const { responseActions } = endpoint({
      response_actions: [
        { status_code: 404, action: 'ignore' },
        { status_code: '404', content: 'x', action: 'skip_page' },
        { status_code: '5xx', action: 'retry' },
        { status_code: '500-503', action: 'fail' },
        () => 'stop',
      ],
    })
    expect(responseActions.map(action => action.statuses)).toEqual([
      [[404, 404]],
      [[404, 404]],
      [[500, 599]],
      [[500, 503]],
      undefined,
    ])
  })

  test('retry: the endpoint over the client over the default, key by key', () => {
    const { endpoint: found } = first({
      client: { ...client, retry: { attempts: 7, statuses: [429, '502'] } },
      resources: [{ name: 'a', endpoint: { retry: { base: 0.5, jitter: 'none' } } }],
    })
    expect(found.retry).toMatchObject({
      attempts: 7,
      statuses: [429, 502],
      baseMs: 500,
      factor: 2,
      jitter: 'none',
      maxDelayMs: 300_000,
    })
  })

  test('hosts become origins, with the scheme of the base URL', () => {
    const { client: found } = parseRestConfig({
      client: { ...client, allowed_hosts: ['f.example.com:81', 'http://x'] },
      resources: [],
    })
    expect(found.allowedOrigins).toEqual(['https://f.example.com:81', 'http://x'])
  })

  test('generators and other TypeScript values are taken as they are', async () => {
    async function* numbers() {
      yield { n: 1 }
    }
    const paginator = { next: () => undefined }
    const auth = { sign: (request: never) => request }
    const model = parseRestConfig({
      client: { ...client, auth },
      resources: [numbers, { name: 'b', endpoint: { paginator } }],
    } satisfies RestApiConfig)
    expect(model.resources[0]).toMatchObject({ kind: 'function', name: 'numbers', records: numbers })
    const [, b] = model.resources
    expect(b?.kind === 'endpoint' && b.endpoint.paginator.kind === 'custom' && b.endpoint.paginator.paginator).toBe(
      paginator,
    )
    expect(Object.isFrozen(paginator)).toBe(false)
  })
})

describe('incremental', () => {
  test('every key', () => {
    const { incremental } = first({
      client,
      resources: [
        {
          name: 'a',
          endpoint: {
            params: { q: '{incremental.start_value}' },
            incremental: {
              cursor_path: 'at',
              initial_value: 1,
              end_value: 9,
              lag: 2,
              row_order: 'asc',
              range_start: 'open',
              primary_key: [],
              start_param: 's',
              end_param: 'e',
            },
          },
        },
      ],
    })
    expect(incremental).toMatchObject({
      startParam: 's',
      endParam: 'e',
      hint: {
        cursorPath: 'at',
        initialValue: 1,
        endValue: 9,
        lag: 2,
        rowOrder: 'asc',
        rangeStart: 'open',
        rangeEnd: 'open',
        primaryKey: [],
        lastValueFunc: 'max',
        path: 'resources[0].endpoint.incremental',
      },
    })
  })

  test('the form in params sends the value and counts alone', () => {
    const resource = first({
      client,
      resources: [
        {
          name: 'a',
          endpoint: {
            params: { since: { type: 'incremental', cursor_path: 'at' }, n: 1 },
            incremental: { cursor_path: 'other' },
          },
        },
      ],
    })
    expect(resource.incremental).toMatchObject({
      startParam: 'since',
      hint: { cursorPath: 'at', path: 'resources[0].endpoint.params.since' },
    })
    expect(resource.endpoint.params.map(param => param.name)).toEqual([['n']])
  })
})

describe('defaults', () => {
  test('columns merge hint by hint and do not leak; params and json merge key by key; the rest is replaced', () => {
    const [a, b] = parsed({
      client,
      resource_defaults: {
        write_disposition: 'merge',
        primary_key: 'id',
        columns: { amount: { data_type: 'decimal', precision: 10 }, x: { nullable: false } },
        endpoint: { params: { per: 100, lang: 'en' }, headers: { A: '1' }, json: { q: { a: 1 }, r: 1 }, path: 'never' },
      },
      resources: [
        {
          name: 'a',
          primary_key: null,
          columns: [{ name: 'amount', precision: 20 }, { name: 'x', data_type: 'text' }, { name: 'y' }],
          endpoint: { params: { per: 5 }, headers: { B: '2' }, json: { q: { b: 2 } } },
        },
        { name: 'b', write_disposition: { disposition: 'merge', strategy: 'upsert' } },
      ],
    })
    expect(a?.hints).toMatchObject({ writeDisposition: { disposition: 'merge' }, primaryKey: undefined })
    expect(a?.hints.columns).toEqual([
      { name: 'amount', data_type: 'decimal', precision: 20 },
      { name: 'x', nullable: false, data_type: 'text' },
      { name: 'y' },
    ])
    expect(a?.endpoint.params.map(({ name, value }) => [name[0], value])).toEqual([
      ['per', { kind: 'literal', value: 5 }],
      ['lang', { kind: 'text', template: ['en'] }],
    ])
    expect(a?.endpoint.headers.map(header => header.name)).toEqual([['B']])
    expect(a?.endpoint.body).toMatchObject({
      value: { entries: [{ key: ['q'], value: { entries: [{ key: ['b'] }] } }, { key: ['r'] }] },
    })
    expect(a?.endpoint.url).toEqual(['a'])
    expect(b?.hints).toMatchObject({
      writeDisposition: { disposition: 'merge', strategy: 'upsert' },
      primaryKey: ['id'],
    })
    expect(b?.hints.columns).toEqual([
      { name: 'amount', data_type: 'decimal', precision: 10 },
      { name: 'x', nullable: false },
    ])
  })

  test('a mistake in the defaults is blamed on the defaults', () => {
    const document = { client, resource_defaults: { endpoint: { data_selector: 'a[' } }, resources: ['a', 'b'] }
    expect(() => parseRestConfig(document)).toThrow(/^resource_defaults\.endpoint\.data_selector: is not a JSONPath.*$/)
  })

  const offset = { type: 'offset', limit: 1 } as const
  const single = { kind: 'declared', type: 'single_page' }
  test.each([
    ['endpoint', { own: 'page_number', defaults: offset, client: 'cursor', path: 'a' }, { type: 'page_number' }],
    ['defaults', { defaults: offset, client: 'cursor', path: 'a' }, { type: 'offset' }],
    ['null resets the defaults', { own: null, defaults: offset, client: 'cursor', path: 'a' }, { type: 'cursor' }],
    ['single entity over client', { client: 'cursor', path: 'a/{resources.p.id}' }, single],
    ['single entity with a suffix', { path: 'a/{resources.p.id}.json/' }, single],
    ['defaults over single entity', { defaults: offset, path: 'a/{resources.p.id}' }, { type: 'offset' }],
    ['auto is no single entity', { own: 'auto', client: 'cursor', path: 'a/{resources.p.id}' }, { type: 'cursor' }],
    ['a placeholder in the middle is a list', { client: 'cursor', path: 'a/{resources.p.id}/b' }, { type: 'cursor' }],
    ['escaped braces are no placeholder', { path: 'a/{{id}}' }, { kind: 'auto' }],
    ['detection', { path: 'a' }, { kind: 'auto' }],
    ['alias', { own: 'json_response', path: 'a' }, { type: 'json_link' }],
  ] as const)('paginator: %s', (_, { path, ...where }, expected) => {
    const written = where as { own?: 'auto' | null; defaults?: typeof offset; client?: 'cursor' }
    const document: RestApiConfig = {
      client: { ...client, paginator: written.client },
      resource_defaults: { endpoint: { paginator: written.defaults } },
      resources: ['p', { name: 'a', endpoint: { path, ...('own' in written && { paginator: written.own }) } }],
    }
    expect(parsed(document).find(({ name }) => name === 'a')?.endpoint.paginator).toMatchObject(expected)
  })

  test('auth: endpoint over client; null switches it off; shared where it is the same', () => {
    const [a, b, c] = parsed({
      client: { ...client, auth: { token: 't' } },
      resources: ['a', 'b', { name: 'c', endpoint: { auth: null } }],
    })
    expect(a?.endpoint.auth).toMatchObject({ kind: 'declared', type: 'bearer', path: 'client.auth' })
    expect(a?.endpoint.auth).toBe(b?.endpoint.auth)
    expect(c?.endpoint.auth).toBeUndefined()
  })
})

describe('secrets', () => {
  const lookup: Lookup = {
    secret: name => ({ value: new Secret(`value of ${name}`) }),
    text: text => ({ value: text.includes('secrets') ? new Secret(text) : text.replace(/\$\{env\.\w+\}/, 'v') }),
    credential: field => ({ value: new Secret(field) }),
    setting: field => ({ value: field }),
  }

  test('in headers and params they are kept apart from what is requested', () => {
    const model = parseRestConfig(
      {
        client: { base_url: 'https://${env.HOST}.org', headers: { 'X-Key': '${secrets.k}' } },
        resources: [{ name: 'a', endpoint: { params: { key: '${secrets.k}', n: 1 } } }],
      },
      { lookup },
    )
    const [a] = model.resources
    if (a?.kind !== 'endpoint') throw new Error('no endpoint')
    expect(model.client.baseUrl).toBe('https://v.org')
    expect(a.endpoint.headers).toEqual([])
    expect(a.endpoint.params).toHaveLength(1)
    expect(a.endpoint.credentials.headers['X-Key']).toBeInstanceOf(Secret)
    expect(a.endpoint.credentials.params.key).toBeInstanceOf(Secret)
    expect(JSON.stringify(model)).not.toContain('secrets.k')
  })

  test('a reference anywhere else is refused', () => {
    const document = {
      client,
      resources: [{ name: 'a', endpoint: { json: { k: '${secrets.k}' }, path: '${secrets.k}' } }],
    }
    expect(() => parseRestConfig(document, { lookup })).toThrow(/a secret may stand only in/)
  })

  test('fields that auth leaves out are looked up', () => {
    const basic = parseRestConfig({ client: { ...client, auth: 'http_basic' }, resources: ['a'] }, { lookup })
      .resources[0]
    expect(basic?.kind === 'endpoint' && basic.endpoint.auth).toMatchObject({ type: 'http_basic' })
  })
})
