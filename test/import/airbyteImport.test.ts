import { mkdtemp, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { parse } from 'yaml'
import { importPipeline } from '../../src/import/importPipeline.js'
import { loadPipelineFile } from '../../src/index.js'

vi.setConfig({ testTimeout: 120_000 })

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function imported(manifest: string) {
  const { pipelines, leftOut } = await importPipeline({ kind: 'airbyte', text: manifest, file: 'manifest.yaml' })
  const [pipeline] = pipelines
  const document = (pipeline === undefined ? {} : parse(pipeline.text)) as {
    source: {
      client: Record<string, unknown>
      resources: (Record<string, unknown> & { endpoint: Record<string, unknown> })[]
    }
  }
  const stops = (pipeline?.notes ?? []).filter(({ stopsRun }) => stopsRun).map(({ text }) => text)
  return {
    ...document.source,
    text: pipeline?.text ?? '',
    notes: pipeline?.notes ?? [],
    secrets: pipeline?.secrets ?? [],
    leftOut,
    stops,
  }
}

/** A manifest of one stream, whose parts are given as JSON, which YAML includes. */
function manifest({ retriever = {}, requester = {}, stream = {}, spec = {} }: Record<string, object>): string {
  return JSON.stringify({
    version: '6.0.0',
    type: 'DeclarativeSource',
    check: { type: 'CheckStream', stream_names: ['orders'] },
    streams: [
      {
        type: 'DeclarativeStream',
        name: 'orders',
        retriever: {
          type: 'SimpleRetriever',
          requester: { type: 'HttpRequester', url_base: 'https://api.example.com/v1', path: 'orders', ...requester },
          record_selector: { type: 'RecordSelector', extractor: { type: 'DpathExtractor', field_path: ['data'] } },
          ...retriever,
        },
        ...stream,
      },
    ],
    spec: { type: 'Spec', connection_specification: { type: 'object', ...spec } },
  })
}

function cursor(
  cursor_value: string,
  more: object = {},
  inject: object = { type: 'RequestOption', inject_into: 'request_parameter', field_name: 'after' },
) {
  return {
    paginator: {
      type: 'DefaultPaginator',
      page_token_option: inject,
      pagination_strategy: { type: 'CursorPagination', cursor_value, ...more },
    },
  }
}

const link = { type: 'RequestPath' }

async function listening(answer: (url: URL) => unknown): Promise<string> {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(answer(new URL(request.url ?? '', 'http://x'))))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => new Promise(resolve => server.close(() => resolve())))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Runs what a manifest becomes, into a database of its own. */
async function ran(text: string) {
  const { pipelines: made, leftOut } = await importPipeline({ kind: 'airbyte', text, file: 'manifest.yaml' })
  expect(leftOut).toEqual([])
  const folder = await mkdtemp(join(tmpdir(), 'airbyte-'))
  const file = join(folder, 'made.yaml')
  await writeFile(file, made[0]?.text ?? '')
  const { pipelines } = await loadPipelineFile(file, { destination: `duckdb:${join(folder, 'x.duckdb')}` })
  const [pipeline] = pipelines
  await pipeline?.run()
  return pipeline
}

test.each<[what: string, retriever: object, paginator: unknown]>([
  ['nothing', {}, 'single_page'],
  [
    'pages',
    {
      paginator: {
        type: 'DefaultPaginator',
        page_token_option: { type: 'RequestOption', inject_into: 'request_parameter', field_name: 'page' },
        pagination_strategy: { type: 'PageIncrement', start_from_page: 1, page_size: 50 },
      },
    },
    { type: 'page_number', base_page: 1, page_param: 'page', total_path: null },
  ],
  [
    'offsets',
    {
      paginator: {
        type: 'DefaultPaginator',
        page_size_option: { type: 'RequestOption', inject_into: 'request_parameter', field_name: 'size' },
        page_token_option: { type: 'RequestOption', inject_into: 'request_parameter', field_name: 'skip' },
        pagination_strategy: { type: 'OffsetIncrement', page_size: 50 },
      },
    },
    { type: 'offset', limit: 50, offset_param: 'skip', limit_param: 'size', total_path: null },
  ],
  [
    'a cursor that may be missing',
    cursor("{{ response.get('next', {}).get('cursor', {}) }}", {
      stop_condition: "{{ not response.get('next', {}).get('cursor', {}) }}",
    }),
    { type: 'cursor', cursor_path: 'next.cursor', cursor_param: 'after', stop_when_missing: true },
  ],
  [
    'a flag',
    cursor('{{ response.cursor }}', { stop_condition: '{{ response.has_more is false }}' }),
    {
      type: 'cursor',
      cursor_path: 'cursor',
      cursor_param: 'after',
      stop_when_missing: true,
      has_more_path: 'has_more',
    },
  ],
  [
    'a flag of the end',
    cursor('{{ response.cursor }}', { stop_condition: '{{ response.last == true }}' }),
    { type: 'cursor', cursor_path: 'cursor', cursor_param: 'after', stop_when_missing: true, done_path: 'last' },
  ],
  [
    'a link',
    cursor('{{ response["@odata.nextLink"] }}', { stop_condition: "{{ '@odata.nextLink' not in response }}" }, link),
    { type: 'json_link', next_url_path: "['@odata.nextLink']", stop_when_missing: true },
  ],
  [
    'a link in a header',
    cursor("{{ headers['link']['next']['url'] }}", { stop_condition: "{{ 'next' not in headers['link'] }}" }, link),
    { type: 'header_link', stop_when_missing: true },
  ],
  [
    'the last record, with a flag',
    cursor("{{ last_record['id'] }}", { stop_condition: '{{ not response.has_more }}' }),
    { type: 'cursor', cursor_path: 'data[-1].id', cursor_param: 'after', has_more_path: 'has_more' },
  ],
  [
    'the last record',
    cursor("{{ last_record['id'] }}", { stop_condition: '{{ last_page_size == 0 }}' }),
    { type: 'keyset', field: 'id', param: 'after', limit: 0, stop_after_empty_page: true },
  ],
  [
    'the last record, with a header',
    cursor("{{ last_record['id'] }}", { stop_condition: '{{ not "next" in headers.get(\'Link\') }}' }),
    { type: 'keyset', field: 'id', param: 'after', limit: 0, stop_after_empty_page: true },
  ],
  [
    'an offset that the answer names with its size',
    cursor(
      "{{ response.get('startAt') + response['maxResults'] }}",
      { stop_condition: '{{ response.isLast or response.startAt + response.maxResults >= response.whole }}' },
      { type: 'RequestOption', inject_into: 'request_parameter', field_name: 'startAt' },
    ),
    { type: 'offset', limit: 0, offset_param: 'startAt', done_path: 'isLast', total_path: 'whole' },
  ],
  [
    'a cursor within an object in the body',
    cursor(
      `{{ '{"page": {"after": "' + response.page.end + '"}}' if response.page.end else "" }}`,
      { stop_condition: '{{ response.page.more is false }}' },
      { type: 'RequestOption', inject_into: 'body_json', field_name: 'variables' },
    ),
    {
      type: 'cursor',
      cursor_path: 'page.end',
      cursor_body_path: 'variables.page.after',
      stop_when_missing: true,
      has_more_path: 'page.more',
    },
  ],
])('an end of a list becomes the same end: %s', async (_what, retriever, paginator) => {
  const { resources, stops } = await imported(manifest({ retriever }))
  expect(stops).toEqual([])
  expect(resources[0]?.endpoint.paginator).toEqual(paginator)
})

test('a field of the last record that the schema does not have ends the list where it is missing, which is told', async () => {
  const schema = { type: 'object', properties: { id: { type: 'string' } } }
  const { resources, stops, notes } = await imported(
    manifest({
      retriever: cursor("{{ last_record['token'] }}"),
      stream: { schema_loader: { type: 'InlineSchemaLoader', schema } },
    }),
  )
  expect(stops).toEqual([])
  expect(resources[0]?.endpoint.paginator).toEqual({
    type: 'cursor',
    cursor_path: 'data[-1].token',
    cursor_param: 'after',
    stop_when_missing: true,
  })
  expect(notes).toContainEqual(expect.objectContaining({ kind: 'open', text: expect.stringContaining('has no token') }))
})

test('a condition that the document cannot say is open, and never guessed', async () => {
  const retriever = cursor("{{ last_record['id'] }}", { stop_condition: '{{ response.a * 2 > 7 }}' })
  const { stops } = await imported(manifest({ retriever }))
  expect(stops).toEqual([expect.stringContaining('response.a * 2 > 7')])
})

test.each<[what: string, value: string]>([
  ['a sum of other numbers', '{{ response.first + response.second }}'],
  ['an object that holds more than the cursor', `{{ '{"after": "' + response.next + '", "size": 5}' }}`],
])('a computed cursor that is none of the known ones is open: %s', async (_what, value) => {
  const inject = { type: 'RequestOption', inject_into: 'body_json', field_name: 'variables' }
  const { stops } = await imported(manifest({ retriever: cursor(value, {}, inject) }))
  expect(stops).toEqual([expect.stringContaining('the cursor of the next page')])
})

test('an offset that the answer names is followed where the API gives less than it is asked for', async () => {
  const asked: string[] = []
  const origin = await listening(url => {
    asked.push(url.search)
    const startAt = Number(url.searchParams.get('startAt') ?? 0)
    const ids = [1, 2, 3, 4, 5].slice(startAt, startAt + 2)
    return { startAt, maxResults: 2, total: 5, data: ids.map(id => ({ id })) }
  })
  const sum = 'response.startAt + response.maxResults'
  const inject = (field_name: string) => ({ type: 'RequestOption', inject_into: 'request_parameter', field_name })
  const { paginator } = cursor(`{{ ${sum} }}`, { stop_condition: `{{ ${sum} >= response.total }}`, page_size: 50 })
  const pipeline = await ran(
    manifest({
      requester: { url_base: origin },
      retriever: {
        paginator: {
          ...paginator,
          page_token_option: inject('startAt'),
          page_size_option: inject('maxResults'),
        },
      },
    }),
  )
  expect(asked).toEqual([0, 2, 4].map(at => `?startAt=${at}&maxResults=50`))
  expect(await pipeline?.dataset().query('select id from orders order by id')).toHaveLength(5)
})

test('an option that chooses a member of a map takes the first one, and the report names the others', async () => {
  const { client, notes, stops } = await imported(
    manifest({
      requester: {
        url_base: `{%- set HOSTS = {"NA": "https://na.example.com", "EU": "https://eu.example.com"} -%} {{ HOSTS[config["region"]] }}`,
      },
    }),
  )
  expect(stops).toEqual([])
  expect(client.base_url).toBe('https://na.example.com/')
  expect(notes).toContainEqual(
    expect.objectContaining({ kind: 'assumed', text: 'option `region`: "NA"; others are ["EU"]' }),
  )
})

test('a key that goes into the body is a secret of the body', async () => {
  const authenticator = {
    type: 'ApiKeyAuthenticator',
    api_token: "{{ config['api_key'] }}",
    inject_into: { type: 'RequestOption', inject_into: 'body_data', field_name: 'apiKey' },
  }
  const { client, resources, stops, secrets } = await imported(
    manifest({
      requester: { http_method: 'POST', authenticator, request_body_data: { kind: 'all' } },
      spec: { required: ['api_key'], properties: { api_key: { type: 'string', airbyte_secret: true } } },
    }),
  )
  expect(stops).toEqual([])
  expect(client.auth).toBeUndefined()
  expect(resources[0]?.endpoint.data).toEqual({ kind: 'all', apiKey: '${secrets.api_key}' })
  expect(secrets.map(({ name }) => name)).toEqual(['api_key'])
})

const OAUTH = {
  type: 'OAuthAuthenticator',
  token_refresh_endpoint: 'https://api.example.com/token',
  client_id: "{{ config['client_id'] }}",
  client_secret: "{{ config['client_secret'] }}",
  refresh_token: "{{ config['refresh_token'] }}",
}

test('a member `type` in the form of a token request is a text', async () => {
  const { client, stops } = await imported(
    manifest({
      requester: {
        authenticator: { ...OAUTH, refresh_request_body: { type: 'refresh' } },
        $parameters: { anything: 'passed down' },
      },
    }),
  )
  expect(stops).toEqual([])
  expect(client.auth).toMatchObject({ access_token_request_data: { type: 'refresh' } })
})

test.each<[what: string, condition: string, filter: unknown]>([
  ['decides alone', "{{ not config.get('shops') or record.shop in config['shops'] }}", undefined],
  ['decides from the right', '{{ record.shop in config.shops or not config.shops }}', undefined],
  [
    'is one of several parts',
    "{{ record.kind == 'sale' and (not config.get('shops') or record.shop in config['shops']) }}",
    '(record.?kind.orValue(null) == "sale")',
  ],
  ['is a variable', "{% set shops = config.get('shops', []) %}{{ not shops or record.shop in shops }}", undefined],
])('an option that need not be set counts as not set in a filter, where it %s', async (_what, condition, filter) => {
  const { resources, stops } = await imported(
    manifest({
      retriever: {
        record_selector: {
          type: 'RecordSelector',
          extractor: { type: 'DpathExtractor', field_path: ['data'] },
          record_filter: { type: 'RecordFilter', condition },
        },
      },
      spec: { properties: { shops: { type: 'array', items: { type: 'string' } } } },
    }),
  )
  expect(stops).toEqual([])
  expect(resources[0]?.filter).toBe(filter)
})

test('a field that Airbyte hashes is hashed, and a hash of several values stops before a run', async () => {
  const fields = (value: string) => [
    { type: 'AddFields', fields: [{ path: ['email'], value: "{{ record['email'] | hash('md5') }}" }] },
    { type: 'AddFields', fields: [{ path: ['phone_hash'], value }] },
  ]
  const of = (value: string) => imported(manifest({ stream: { transformations: fields(value) } }))
  const one = await of('{{ record.phone|hash }}')
  expect(one.stops).toEqual([])
  expect(one.resources[0]).toMatchObject({
    mask: { email: 'hash', phone: 'hash' },
    mask_salt: '${secrets.mask_salt}',
    add: { phone_hash: 'record.?phone.orValue(null)' },
  })
  expect(one.secrets.map(({ name }) => name)).toEqual(['mask_salt'])
  const several = await of("{{ (record.phone ~ record.email) | hash('md5') }}")
  expect(several.stops).toEqual([expect.stringContaining('in clear')])
})

test('a field that is removed from the elements of a list is left out', async () => {
  const { resources, stops } = await imported(
    manifest({
      stream: { transformations: [{ type: 'RemoveFields', field_pointers: [['lines', '*', 'note'], ['raw']] }] },
    }),
  )
  expect(stops).toEqual([])
  expect(resources[0]?.drop).toEqual(['lines.note', 'raw'])
})

test('a filter that takes nothing while options are not set is open', async () => {
  const { stops } = await imported(
    manifest({
      retriever: {
        record_selector: {
          type: 'RecordSelector',
          extractor: { type: 'DpathExtractor', field_path: ['data'] },
          record_filter: {
            type: 'RecordFilter',
            condition: "{{ config.get('shops', []) and record.shop in config.shops }}",
          },
        },
      },
      spec: { properties: { shops: { type: 'array', items: { type: 'string' } } } },
    }),
  )
  expect(stops).toEqual([expect.stringContaining('never true')])
})

test.each<[text: string, value: unknown]>([
  ['10000', 10000],
  ['1.5', 1.5],
  ['True', true],
  ['true', 'true'],
  ['007', '007'],
  ['["a", "b",]', ['a', 'b']],
  ["['a', 'it is', 2, True, None]", ['a', 'it is', 2, true, null]],
  ["{'a': [1, 2,], 'b': {'c': 'True'}}", { a: [1, 2], b: { c: 'True' } }],
  ['{ boards { id } }', '{ boards { id } }'],
  ['[created_at]', '[created_at]'],
  ['{{ "[" ~ "1, 2]" }}', [1, 2]],
])('a text of a JSON body is what Python reads in it: %j', async (text, value) => {
  const { resources, stops } = await imported(
    manifest({ requester: { http_method: 'POST', request_body_json: { asked: text, page: { of: text } } } }),
  )
  expect(stops).toEqual([])
  expect(unescaped(resources[0]?.endpoint.json)).toEqual({ asked: value, page: { of: value } })
})

test.each(['["a\\x41"]', "('a', 'b')", '[1 2]'])(
  'a text that Python may read as a value stays open: %j',
  async text => {
    const { stops } = await imported(
      manifest({ requester: { http_method: 'POST', request_body_json: { asked: text } } }),
    )
    expect(stops).toEqual([expect.stringContaining('Python may read')])
  },
)

test('a parameter that Python reads as a list is sent once for each value', async () => {
  const { resources, stops } = await imported(
    manifest({
      requester: {
        request_parameters: { dimensions: '["ad_id", "day"]', other: `{{ '["ad_id"]' }}`, limit: '10', where: '[id]' },
      },
    }),
  )
  expect(stops).toEqual([])
  expect(resources[0]?.endpoint.params).toEqual({
    dimensions: ['ad_id', 'day'],
    other: ['ad_id'],
    limit: '10',
    where: '[id]',
  })
})

/** Braces of a document are doubled. */
function unescaped(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_key, one: unknown) =>
    typeof one === 'string' ? one.replaceAll('{{', '{').replaceAll('}}', '}') : one,
  )
}

test('options become references, secrets stay secrets, and defaults are said', async () => {
  const { client, resources, secrets, text } = await imported(
    manifest({
      requester: {
        url_base: "https://{{ config['domain'] }}.example.com",
        authenticator: { type: 'BearerAuthenticator', api_token: "{{ config['api_key'] }}" },
        request_parameters: {
          state: "{{ config.get('state', 'all') }}",
          size: '{{ config.size }}',
          none: "{{ config.get('nothing') }}",
        },
      },
      spec: {
        required: ['domain', 'api_key'],
        properties: {
          domain: { type: 'string' },
          api_key: { type: 'string', airbyte_secret: true },
          size: { type: 'integer', default: 20 },
          state: { type: 'string' },
        },
      },
    }),
  )
  expect(client).toEqual({
    base_url: 'https://${env.DOMAIN}.example.com/',
    auth: { type: 'bearer', token: '${secrets.api_key}' },
  })
  expect(resources[0]?.endpoint.params).toEqual({ state: 'all', size: '20' })
  expect(secrets.map(({ name }) => name)).toEqual(['api_key'])
  expect(text).toContain('name: orders')
})

test('a credential that no option sets is asked for, and never empty', async () => {
  const { client, notes } = await imported(
    manifest({
      requester: { authenticator: { type: 'BearerAuthenticator', api_token: "{{ config.get('token', '') }}" } },
    }),
  )
  expect(client.auth).toEqual({ type: 'bearer', token: '${secrets.token}' })
  expect(notes).toContainEqual(
    expect.objectContaining({ kind: 'assumed', text: expect.stringContaining('the token') as string }),
  )
})

test.each<[what: string, parts: Record<string, object>]>([
  ['a requester', { requester: { type: 'CustomRequester', class_name: 'source.components.Odd' } }],
  [
    'slices',
    { retriever: { partition_router: { type: 'CustomPartitionRouter', class_name: 'source.components.Odd' } } },
  ],
])('a class of Python is named, not guessed: %s', async (_what, parts) => {
  const { leftOut } = await imported(manifest(parts))
  expect(leftOut).toContainEqual(
    expect.objectContaining({
      what: 'stream orders',
      why: expect.stringContaining('source.components.Odd') as string,
    }),
  )
})

test.each([
  ['%s', 'START_DATE_SECONDS'],
  ['%ms', 'START_DATE_MS'],
  ['%Y-%m-%d', 'START_DATE'],
])('the variable for the start of a cursor written as %s names its unit', async (form, name) => {
  const { resources } = await imported(
    manifest({
      stream: {
        incremental_sync: {
          type: 'DatetimeBasedCursor',
          cursor_field: 'at',
          datetime_format: form,
          start_datetime: "{{ config['start_date'] }}",
        },
      },
      spec: { required: ['start_date'], properties: { start_date: { type: 'string' } } },
    }),
  )
  expect(resources[0]?.endpoint.incremental).toMatchObject({ initial_value: `\${env.${name}}` })
})

test('a parameter that is nothing but an option that may be left out is left out, and the report says so', async () => {
  const { resources, notes } = await imported(
    manifest({
      requester: {
        request_parameters: { team: "{{ config['team'] }}", kind: "{{ config['kind'] }}", odd: "{{ config['odd'] }}" },
      },
      spec: { required: ['kind'], properties: { team: { type: 'string' }, kind: { type: 'string' } } },
    }),
  )
  expect(resources[0]?.endpoint.params).toEqual({ kind: '${env.KIND}' })
  const said = notes.filter(({ kind }) => kind === 'assumed').map(({ text }) => text)
  expect(said).toEqual([expect.stringContaining('`team`'), expect.stringContaining('`odd`')])
})

test.each<[what: string, condition: string]>([
  ['a number', '{{ response.left == 0 }}'],
  ['a text', "{{ response.left == '' }}"],
])('%s in a condition that ends the list is not a boolean', async (_what, condition) => {
  const { resources, notes } = await imported(
    manifest({ retriever: cursor('{{ response.cursor }}', { stop_condition: condition }) }),
  )
  expect(resources[0]?.endpoint.paginator).not.toHaveProperty('has_more_path')
  expect(notes).toContainEqual(
    expect.objectContaining({ kind: 'open', text: expect.stringContaining('not a boolean') as string }),
  )
})

test('children of a field that the document does not compute stop before a run', async () => {
  const { stops } = await imported(`
definitions:
  shops:
    type: DeclarativeStream
    name: shops
    retriever:
      type: SimpleRetriever
      requester: { type: HttpRequester, url_base: "https://api.example.com", path: shops }
      record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [] } }
    transformations:
      - { type: AddFields, fields: [{ path: [short], value: "{{ record.uri | regex_search('[a-z]+$') }}" }] }
streams:
  - "#/definitions/shops"
  - type: DeclarativeStream
    name: orders
    retriever:
      type: SimpleRetriever
      requester: { type: HttpRequester, url_base: "https://api.example.com", path: "{{ stream_partition.shop }}/orders" }
      record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [] } }
      partition_router:
        type: SubstreamPartitionRouter
        parent_stream_configs:
          - { type: ParentStreamConfig, stream: "#/definitions/shops", parent_key: short, partition_field: shop }
`)
  expect(stops).toEqual([expect.stringContaining('the field short of shops')])
})

test('notes have the line where a stream or an option is written', async () => {
  const { notes } = await imported(`
definitions:
  streams:
    orders:
      type: DeclarativeStream
      name: orders
      retriever:
        type: SimpleRetriever
        requester: { type: HttpRequester, url_base: "https://api.example.com", path: orders }
        record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [] } }
        paginator: { type: CustomPaginator, class_name: source.components.Odd }
streams:
  - $ref: "#/definitions/streams/orders"
spec: { type: Spec, connection_specification: { type: object } }
`)
  expect(notes.map(({ kind, place }) => [kind, place])).toEqual([
    ['taken', { line: 5, path: 'streams[0]' }],
    ['open', { line: 5, path: 'streams[0]' }],
  ])
})

test.each([
  [
    'a reference that leads to itself',
    'definitions: { a: { $ref: "#/definitions/b" }, b: { $ref: "#/definitions/a" } }\nstreams: [{ $ref: "#/definitions/a" }]',
    /leads to itself/,
  ],
  ['a reference to another file', 'streams: [{ $ref: "other.yaml#/a" }]', /only places of the manifest/],
  ['a reference to nothing', 'streams: ["#/definitions/a"]', /is not there/],
  ['no manifest', 'name: x', /no manifest of Airbyte/],
  [
    'references that multiply',
    `definitions:\n${Array.from({ length: 30 }, (_, index) => `  a${index}: { x: "#/definitions/a${index + 1}", y: "#/definitions/a${index + 1}" }`).join('\n')}\n  a30: end\nstreams: [{ $ref: "#/definitions/a0" }]`,
    /multiply/,
  ],
])('refuses %s', async (_what, text, message) => {
  await expect(imported(text)).rejects.toThrow(message)
})

test('a manifest becomes a pipeline that loads parents, children and what is new', async () => {
  const asked: string[] = []
  const origin = await listening(url => {
    asked.push(`${url.pathname}${url.search}`)
    const page = Number(url.searchParams.get('page') ?? 1)
    const shops = [[{ id: 1 }, { id: 2 }], [{ id: 3 }], []]
    const child = /^\/shops\/(\d)\/orders$/.exec(url.pathname)?.[1]
    return child === undefined
      ? { data: shops[page - 1] }
      : { orders: [{ no: Number(child) * 10, at: '2024-05-01T00:00:00Z', raw: 1 }] }
  })
  const text = `
version: 6.0.0
type: DeclarativeSource
definitions:
  requester: { type: HttpRequester, url_base: "${origin}", http_method: GET }
  shops:
    type: DeclarativeStream
    name: shops
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester: { $ref: "#/definitions/requester", path: shops }
      record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [data] } }
      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: page }
        pagination_strategy: { type: PageIncrement, start_from_page: 1, page_size: 2 }
streams:
  - "#/definitions/shops"
  - type: DeclarativeStream
    name: orders
    primary_key: [no]
    retriever:
      type: SimpleRetriever
      requester: { $ref: "#/definitions/requester", path: "/shops/{{ stream_interval.shop }}/orders" }
      record_selector:
        type: RecordSelector
        extractor: { type: DpathExtractor, field_path: [orders] }
        record_filter: { type: RecordFilter, condition: "{{ record.no > 10 }}" }
      partition_router:
        type: SubstreamPartitionRouter
        parent_stream_configs:
          - { type: ParentStreamConfig, stream: "#/definitions/shops", parent_key: id, partition_field: shop }
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: at
      datetime_format: "%Y-%m-%dT%H:%M:%SZ"
      start_datetime: "2024-01-01T00:00:00Z"
      start_time_option: { type: RequestOption, inject_into: request_parameter, field_name: since }
    transformations:
      - { type: AddFields, fields: [{ path: [shop_id], value: "{{ stream_partition['shop'] }}" }] }
      - { type: AddFields, fields: [{ path: [shop], value: "{{ stream_interval.shop }}" }] }
      - { type: RemoveFields, field_pointers: [[raw]] }
`
  const pipeline = await ran(text)
  const lists = asked.filter(path => path.includes('orders')).sort()
  expect(lists).toEqual([1, 2, 3].map(id => `/shops/${id}/orders?since=2024-01-01T00%3A00%3A00Z`))
  const rows = await pipeline?.dataset().query('select no, shop_id, shop from orders order by no')
  expect(rows).toEqual([
    { no: 20n, shop_id: 2n, shop: 2n },
    { no: 30n, shop_id: 3n, shop: 3n },
  ])
})

test.each<[what: string, body: unknown]>([
  ['elements of a list', { items: [{ data: { id: 1 } }, { data: { id: 2 } }] }],
  ['members of an object', { items: { a: { data: { id: 1 } }, b: { data: { id: 2 } } } }],
])('`*` before a key finds records in %s', async (_what, body) => {
  const origin = await listening(() => body)
  const pipeline = await ran(
    manifest({
      requester: { url_base: origin },
      retriever: {
        record_selector: {
          type: 'RecordSelector',
          extractor: { type: 'DpathExtractor', field_path: ['items', '*', 'data'] },
        },
      },
    }),
  )
  expect(await pipeline?.dataset().query('select id from orders order by id')).toEqual([{ id: 1n }, { id: 2n }])
})

test.each([
  [
    'a key in a header',
    {
      type: 'ApiKeyAuthenticator',
      api_token: "{{ config['api_key'] }}",
      inject_into: { field_name: 'x-api-key', inject_into: 'header' },
    },
    { headers: { 'x-api-key': '${secrets.api_key}' } },
  ],
  [
    'a key in the query',
    {
      type: 'ApiKeyAuthenticator',
      api_token: "{{ config['api_key'] }}",
      inject_into: { field_name: 'key', inject_into: 'request_parameter' },
    },
    { params: { key: '${secrets.api_key}' } },
  ],
  [
    'a token',
    { type: 'BearerAuthenticator', api_token: "{{ config['api_key'] }}" },
    { headers: { Authorization: 'Bearer ${secrets.api_key}' } },
  ],
  [
    'user name and password',
    { type: 'BasicHttpAuthenticator', username: "{{ config['user'] }}", password: "{{ config['password'] }}" },
    { headers: { Authorization: 'Basic ${secrets.login_basic}' } },
  ],
])('a login that is signed by %s', async (_kind, authenticator, sent) => {
  const made = await imported(
    manifest({
      requester: {
        authenticator: {
          type: 'SessionTokenAuthenticator',
          login_requester: {
            type: 'HttpRequester',
            url_base: 'https://api.example.com',
            path: 'token',
            http_method: 'GET',
            authenticator,
          },
          session_token_path: ['access_token'],
          request_authentication: { type: 'Bearer' },
        },
      },
      spec: {
        properties: {
          api_key: { type: 'string', airbyte_secret: true },
          user: { type: 'string' },
          password: { type: 'string', airbyte_secret: true },
        },
      },
    }),
  )
  expect(made.stops).toEqual([])
  const auth = made.client.auth ?? made.resources[0]?.endpoint.auth
  expect(auth).toMatchObject({ type: 'login', method: 'GET', token_path: 'access_token', location: 'bearer', ...sent })
})

test('a login that is signed by something else stops', async () => {
  const made = await imported(
    manifest({
      requester: {
        authenticator: {
          type: 'SessionTokenAuthenticator',
          login_requester: {
            type: 'HttpRequester',
            url_base: 'https://api.example.com',
            path: 'token',
            authenticator: { type: 'JwtAuthenticator', secret_key: 'x', algorithm: 'HS256' },
          },
          session_token_path: ['access_token'],
          request_authentication: { type: 'Bearer' },
        },
      },
    }),
  )
  expect(made.stops).toContain('the login is signed in a way that a document does not have')
})

test('the time of reading is no field and no key', async () => {
  const made = await imported(
    manifest({
      stream: {
        primary_key: ['uuid'],
        transformations: [
          { type: 'AddFields', fields: [{ type: 'AddedFieldDefinition', path: ['uuid'], value: '{{ now_utc() }}' }] },
        ],
      },
    }),
  )
  expect(made.stops).toEqual([])
  const [orders] = made.resources
  expect(orders).toMatchObject({ write_disposition: 'replace' })
  expect(orders).not.toHaveProperty('primary_key')
  expect(orders).not.toHaveProperty('add')
  expect(made.notes.map(({ text }) => text)).toContainEqual(expect.stringContaining('is the time of reading'))
})

test('a space between two values stays', async () => {
  const { resources, stops } = await imported(
    manifest({
      requester: { request_headers: { 'X-Auth': "{{ config['kind'] }} {{ config['code'] }}" } },
      spec: { properties: { kind: { type: 'string' }, code: { type: 'string' } }, required: ['kind', 'code'] },
    }),
  )
  expect(stops).toEqual([])
  expect(resources[0]?.endpoint.headers).toEqual({ 'X-Auth': '${env.KIND} ${env.CODE}' })
})

/** Streams where each has the parents that are named, by the field that they are known under. */
function streamsOf(
  origin: string,
  parents: Readonly<Record<string, Readonly<Record<string, readonly [parent: string, key: string]>>>>,
  paths: Readonly<Record<string, string>>,
): string {
  const router = (stream: string, field: string, [parent, parent_key]: readonly [string, string]): object => ({
    type: 'SubstreamPartitionRouter',
    parent_stream_configs: [
      { type: 'ParentStreamConfig', stream: { $ref: `#/definitions/${parent}` }, parent_key, partition_field: field },
    ],
    $parameters: { of: stream },
  })
  const definitions = Object.fromEntries(
    Object.entries(parents).map(([name, fields]) => [
      name,
      {
        type: 'DeclarativeStream',
        name,
        primary_key: ['id'],
        retriever: {
          type: 'SimpleRetriever',
          requester: { type: 'HttpRequester', url_base: origin, path: paths[name] },
          record_selector: { type: 'RecordSelector', extractor: { type: 'DpathExtractor', field_path: [] } },
          partition_router: Object.entries(fields).map(([field, parent]) => router(name, field, parent)),
        },
      },
    ]),
  )
  return JSON.stringify({
    version: '6.0.0',
    type: 'DeclarativeSource',
    check: { type: 'CheckStream', stream_names: Object.keys(parents) },
    definitions,
    streams: Object.keys(parents).map(name => ({ $ref: `#/definitions/${name}` })),
    spec: { type: 'Spec', connection_specification: { type: 'object' } },
  })
}

test('parents that lie in one line are asked for together, and pairs that do not belong together are not', async () => {
  const asked: string[] = []
  const origin = await listening(({ pathname }) => {
    asked.push(pathname)
    if (pathname === '/shops') return [{ id: 1 }, { id: 2 }]
    if (pathname.startsWith('/twice')) return [{ id: 1 }]
    const [, shop, order, line] = /^\/shops\/(\d)(?:\/orders\/?(\d+)?(?:\/lines\/?(\d+)?)?)?/.exec(pathname) ?? []
    if (order === undefined) return [{ id: Number(shop) * 10 }]
    return line === undefined ? [{ id: Number(order) * 10 }] : [{ id: Number(line) * 10 }]
  })
  const text = streamsOf(
    origin,
    {
      shops: {},
      orders: { shop: ['shops', 'id'] },
      lines: { shop: ['shops', 'id'], order: ['orders', 'id'] },
      notes: { order: ['orders', 'id'], line: ['lines', 'id'], shop: ['shops', 'id'] },
      twice: { id: ['orders', 'id'], same: ['orders', 'id'] },
    },
    {
      shops: 'shops',
      orders: 'shops/{{ stream_partition.shop }}/orders',
      lines: 'shops/{{ stream_partition.shop }}/orders/{{ stream_partition.order }}/lines',
      notes:
        'shops/{{ stream_partition.shop }}/orders/{{ stream_partition.order }}/lines/{{ stream_partition.line }}/notes',
      twice: 'twice/{{ stream_partition.id }}/{{ stream_partition.same }}',
    },
  )
  const { stops, notes } = await imported(text)
  expect(stops).toEqual([])
  expect(notes.map(note => note.text)).toContainEqual(expect.stringMatching(/pair of records of shops and orders;/))
  await ran(text)
  expect([...new Set(asked)].sort()).toEqual([
    '/shops',
    '/shops/1/orders',
    '/shops/1/orders/10/lines',
    '/shops/1/orders/10/lines/100/notes',
    '/shops/2/orders',
    '/shops/2/orders/20/lines',
    '/shops/2/orders/20/lines/200/notes',
    '/twice/10/10',
    '/twice/20/20',
  ])
})

test('parents that lie beside each other would be pairs, and stay open', async () => {
  const { leftOut } = await imported(
    streamsOf(
      'https://api.example.com',
      {
        shops: {},
        orders: { shop: ['shops', 'id'] },
        people: { shop: ['shops', 'id'] },
        both: { order: ['orders', 'id'], person: ['people', 'id'] },
      },
      {
        shops: 'shops',
        orders: 'shops/{{ stream_partition.shop }}/orders',
        people: 'shops/{{ stream_partition.shop }}/people',
        both: 'orders/{{ stream_partition.order }}/people/{{ stream_partition.person }}',
      },
    ),
  )
  expect(leftOut).toMatchObject([{ what: 'stream both', why: expect.stringContaining('each pair of records') }])
})

test.each<[what: string, given: object, paginator: unknown]>([
  [
    'pages without a place in the request',
    { pagination_strategy: { type: 'PageIncrement', page_size: 50 } },
    'single_page',
  ],
  [
    'a link in the last record',
    {
      page_token_option: link,
      pagination_strategy: { type: 'CursorPagination', cursor_value: "{{ last_record['next'] }}" },
    },
    { type: 'json_link', next_url_path: 'data[-1].next', stop_when_missing: true },
  ],
  [
    'a parameter that a pattern finds in a link',
    {
      page_token_option: { type: 'RequestOption', inject_into: 'request_parameter', field_name: '$skiptoken' },
      pagination_strategy: {
        type: 'CursorPagination',
        cursor_value: String.raw`{{ response.get("@odata.nextLink") | regex_search('\$skiptoken=([^&]+)') }}`,
      },
    },
    { type: 'json_link', next_url_path: "['@odata.nextLink']", stop_when_missing: true },
  ],
  [
    'a link that counts while there are records',
    {
      page_token_option: link,
      pagination_strategy: {
        type: 'CursorPagination',
        cursor_value: "{{ response['paging']['next'] if response['data'] }}",
      },
    },
    { type: 'json_link', next_url_path: 'paging.next', stop_when_missing: true, stop_after_empty_page: true },
  ],
  [
    'the first link of a header',
    {
      page_token_option: link,
      pagination_strategy: {
        type: 'CursorPagination',
        cursor_value: '{{ headers.get("Link", {}).split(";")[0][1:-1] }}',
        stop_condition: `{{ not headers.get("Link", {}) or 'rel="next"' not in headers.get("Link", {}) }}`,
      },
    },
    { type: 'header_link', stop_when_missing: true },
  ],
  [
    'a cursor or nothing',
    {
      page_token_option: { type: 'RequestOption', inject_into: 'request_parameter', field_name: 'after' },
      pagination_strategy: { type: 'CursorPagination', cursor_value: '{{ response.more.cursor | default(None) }}' },
    },
    { type: 'cursor', cursor_path: 'more.cursor', cursor_param: 'after', stop_when_missing: true },
  ],
])('the next page is found by %s', async (_what, given, paginator) => {
  const made = await imported(manifest({ retriever: { paginator: { type: 'DefaultPaginator', ...given } } }))
  expect(made.stops).toEqual([])
  expect(made.resources[0]?.endpoint.paginator).toEqual(paginator)
})

const countedInText = {
  paginator: { type: 'DefaultPaginator', pagination_strategy: { type: 'OffsetIncrement', page_size: 2 } },
}

test('an offset within a text is asked for within that text', async () => {
  const asked: (string | null)[] = []
  const origin = await listening(url => {
    const limit = url.searchParams.get('limit')
    asked.push(limit)
    const start = Number(limit?.split(',')[0])
    return { data: [1, 2, 3].slice(start, start + 2).map(id => ({ id })) }
  })
  const pipeline = await ran(
    manifest({
      retriever: countedInText,
      requester: {
        url_base: origin,
        request_parameters: { limit: `'{{ next_page_token["next_page_token"] or '0' }},2'` },
      },
    }),
  )
  expect(asked).toEqual(['0,2', '2,2', '3,2'])
  expect(await pipeline?.dataset().table('orders').rows()).toHaveLength(3)
})

test('a place of the next page within another text is no single page', async () => {
  const made = await imported(
    manifest({
      retriever: countedInText,
      requester: { request_parameters: { limit: "{{ next_page_token['next_page_token'] or '5' }},50" } },
    }),
  )
  expect(made.stops).toContainEqual(expect.stringContaining('nothing says where the request carries'))
})

test.each<[what: string, url: string, base: string]>([
  ['quotes around a text', `"https://{{ 'a' if config.get('x') else 'b' }}.example.com/v1"`, 'https://b.example.com/'],
  ['quotes around an option', `'{{ config["base"] }}/v1'`, '${env.BASE}/'],
])('%s are no part of it, as in Python', async (_what, url_base, base) => {
  const spec = { required: ['base'], properties: { base: { type: 'string' } } }
  const made = await imported(manifest({ requester: { url_base }, spec }))
  expect([made.stops, made.client.base_url]).toEqual([[], base])
})

test('what a condition without `else` leaves out is nothing, where None is a word', async () => {
  const made = await imported(
    manifest({
      requester: {
        url_base:
          "https://api{{ '-' + config.region if config.region != 'eu' }}.{{ 'test.' if false }}{{ config.get('no') }}.example.com/",
        request_parameters: { region: "{{ 'us' if false }}", all: '1' },
      },
      spec: { properties: { region: { type: 'string', default: 'eu' } } },
    }),
  )
  expect([made.stops, made.client.base_url]).toEqual([[], 'https://api.None.example.com/'])
  expect(made.resources[0]?.endpoint.params).toEqual({ all: '1' })
})

test('members of a body without a value are not sent, but those of a list are', async () => {
  const { resources, stops } = await imported(
    manifest({
      requester: {
        http_method: 'POST',
        request_body_json: { limit: null, query: { a: null, b: 1, of: [null, { c: null }] }, none: '{{ None }}' },
      },
    }),
  )
  expect(stops).toEqual([])
  expect(resources[0]?.endpoint.json).toEqual({ query: { b: 1, of: [null, {}] } })
})

test.each(["''.__class__.__mro__", "{}['__proto__']"])(
  'what leads out of an expression is an open point: %s',
  async expression => {
    const made = await imported(manifest({ requester: { url_base: `https://a.example/{{ ${expression} }}` } }))
    expect(made.text).not.toContain('None')
    expect(made.leftOut.length + made.stops.length).toBeGreaterThan(0)
  },
)

test('an option that signs requests is set, also in a header', async () => {
  const made = await imported(
    manifest({
      requester: {
        request_headers: { 'Client-Id': "{{ config['client_id'] }}", Region: "{{ config['region'] }}" },
        authenticator: OAUTH,
      },
      spec: { properties: { client_id: { type: 'string' }, region: { type: 'string' } } },
    }),
  )
  expect(made.resources[0]?.endpoint.headers).toEqual({ 'Client-Id': '${env.CLIENT_ID}' })
  expect(made.client.auth).toMatchObject({ client_id: '${env.CLIENT_ID}' })
})

const basicAuth = {
  type: 'BasicHttpAuthenticator',
  username: "{{ config['credentials']['email'] }}/token",
  password: "{{ config['credentials']['api_token'] }}",
}
const bearer = { type: 'BearerAuthenticator', api_token: "{{ config['credentials']['access_token'] }}" }
const client = { client_id: "{{ config['client_id'] }}", client_secret: "{{ config['client_secret'] }}" }
const clientMade = { client_id: '${env.CLIENT_ID}', client_secret: '${secrets.client_secret}' }

test.each<[name: string, authenticator: object, auth: object]>([
  [
    'source_looker.components.LookerAuthenticator',
    {},
    {
      type: 'login',
      path: 'https://${env.DOMAIN}/api/4.0/login',
      method: 'POST',
      data: clientMade,
      token_path: 'access_token',
      location: 'header',
      name: 'Authorization',
      template: 'token {token}',
    },
  ],
  [
    'source_declarative_manifest.components.CustomYouniumAuthenticator',
    {
      username: 'ann',
      password: "{{ config['password'] }}",
      legal_entity: 'x',
      grant_type: 'password',
      client_id: 'c',
      scope: 's',
    },
    {
      type: 'login',
      path: 'https://younium-identity-server.azurewebsites.net/connect/token',
      method: 'POST',
      data: {
        username: 'ann',
        password: '${secrets.password}',
        legal_entity: 'x',
        grant_type: 'password',
        client_id: 'c',
        scope: 's',
      },
      token_path: 'access_token',
      location: 'bearer',
    },
  ],
  [
    'source_declarative_manifest.components.ServerToServerOauthAuthenticator',
    {
      ...client,
      account_id: 'a1',
      authorization_endpoint: 'https://api.example.com/token',
      grant_type: 'account_credentials',
    },
    {
      type: 'oauth2_client_credentials',
      access_token_url: 'https://api.example.com/token?grant_type=account_credentials&account_id=a1',
      ...clientMade,
      client_auth: 'basic',
      access_token_request_data: { grant_type: null },
    },
  ],
  [
    'source_pinterest.components.auth.PinterestOauthAuthenticator',
    {
      ...client,
      refresh_token: "{{ config['refresh_token'] }}",
      token_refresh_endpoint: 'https://api.example.com/token',
    },
    {
      type: 'oauth2_refresh_token',
      access_token_url: 'https://api.example.com/token',
      ...clientMade,
      client_auth: 'basic',
      refresh_token: '${secrets.refresh_token}',
    },
  ],
  [
    'source_paypal_transaction.components.PayPalOauth2Authenticator',
    { ...client, grant_type: 'client_credentials', token_refresh_endpoint: 'https://api.example.com/token' },
    {
      type: 'oauth2_client_credentials',
      access_token_url: 'https://api.example.com/token',
      ...clientMade,
      client_auth: 'basic',
    },
  ],
  [
    'source_commercetools.components.CommerceToolsOauth2Authenticator',
    {
      ...client,
      grant_type: 'client_credentials',
      token_refresh_endpoint: 'https://api.example.com/never-asked',
      refresh_request_body: { scope: 'never sent' },
    },
    {
      type: 'oauth2_client_credentials',
      access_token_url:
        'https://auth.${env.REGION}.${env.HOST}.commercetools.com/oauth/token?grant_type=client_credentials&scope=manage_project:${env.PROJECT_KEY}',
      ...clientMade,
      client_auth: 'basic',
      access_token_request_data: { grant_type: null },
    },
  ],
  [
    'source_okta.components.CustomBearerAuthenticator',
    {},
    { type: 'api_key', name: 'Authorization', api_key: 'SSWS ${secrets.api_token}', location: 'header' },
  ],
  [
    'source_declarative_manifest.components.AuthenticatorRetently',
    { api_auth: { type: 'ApiKeyAuthenticator', header: 'Key', api_token: "{{ config['key_token'] }}" }, oauth: bearer },
    { type: 'api_key', name: 'Key', api_key: '${secrets.key_token}', location: 'header' },
  ],
  [
    'source_declarative_manifest.components.ZendeskTalkAuthenticator',
    { legacy_basic_auth: basicAuth, basic_auth: basicAuth, oauth: bearer },
    { type: 'http_basic', username: '${env.EMAIL}/token', password: '${secrets.api_token}' },
  ],
  [
    'source_declarative_manifest.components.AuthenticatorZendeskSunshine',
    { basic_auth: basicAuth, oauth2: bearer },
    { type: 'http_basic', username: '${env.EMAIL}/token', password: '${secrets.api_token}' },
  ],
  [
    'source_declarative_manifest.components.AuthenticatorZendeskSunshine',
    { basic_auth: basicAuth, oauth2: bearer, oauth2_refresh: { type: 'OAuthAuthenticator' } },
    { type: 'http_basic', username: '${env.EMAIL}/token', password: '${secrets.api_token}' },
  ],
])('a class whose code is known is what it does: %s', async (class_name, authenticator, auth) => {
  const made = await imported(
    manifest({ requester: { authenticator: { type: 'CustomAuthenticator', class_name, ...authenticator } } }),
  )
  expect(made.stops).toEqual([])
  expect(made.client.auth).toEqual(auth)
  const [, name] = /(\w+)$/.exec(class_name) ?? []
  expect(made.notes).toContainEqual(
    expect.objectContaining({ kind: 'assumed', text: expect.stringContaining(`for the class ${name}: `) }),
  )
})

test.each<[what: string, class_name: string, more: object]>([
  ['of another connector', 'source_other.components.LookerAuthenticator', {}],
  ['without what it needs', 'source_declarative_manifest.components.ServerToServerOauthAuthenticator', client],
  ['that is named differently', 'source_looker.components.LookerAuthenticator2', {}],
  ['of a version that takes more', 'source_looker.components.LookerAuthenticator', { scope: 'all' }],
  ['whose name anybody may have given', 'source_declarative_manifest.components.CustomBearerAuthenticator', {}],
  [
    'without the grant that tells whose it is',
    'source_declarative_manifest.components.ServerToServerOauthAuthenticator',
    { ...client, account_id: 'a1', authorization_endpoint: 'https://api.example.com/token' },
  ],
])('a class %s stays open', async (_what, class_name, more) => {
  const made = await imported(
    manifest({ requester: { authenticator: { type: 'CustomAuthenticator', class_name, ...more } } }),
  )
  expect(made.stops).toEqual([`the authentication ${class_name} is none that a document has`])
})

test('of several ways to sign in, one that the document can have is taken', async () => {
  const made = await imported(
    manifest({
      requester: {
        authenticator: {
          type: 'SelectiveAuthenticator',
          authenticator_selection_path: ['credentials', 'kind'],
          authenticators: {
            jwt: { type: 'CustomAuthenticator', class_name: 'source_x.components.Jwt' },
            token: bearer,
          },
        },
      },
    }),
  )
  expect([made.stops, made.client.auth]).toEqual([[], { type: 'bearer', token: '${secrets.access_token}' }])
})

test('the members of an object are records, with their names in a field', async () => {
  const origin = await listening(() => ({ days: { monday: { hours: 2 }, friday: { hours: 3 } } }))
  const extractor = {
    type: 'CustomRecordExtractor',
    class_name: 'source_alpha_vantage.object_dpath_extractor.ObjectDpathExtractor',
    field_path: ['days'],
    inject_key_as_field: 'day',
  }
  const pipeline = await ran(
    manifest({
      retriever: { record_selector: { type: 'RecordSelector', extractor } },
      requester: { url_base: origin },
    }),
  )
  const rows = await pipeline?.dataset().table('orders').rows()
  expect(rows?.map(({ day, hours }) => [day, Number(hours)])).toEqual([
    ['monday', 2],
    ['friday', 3],
  ])
})

test('an object that is no map of records ends a run of a class that takes both', async () => {
  const origin = await listening(() => ({ days: [{ hours: 2 }] }))
  const extractor = {
    type: 'CustomRecordExtractor',
    class_name: 'source_alpha_vantage.object_dpath_extractor.ObjectDpathExtractor',
    field_path: ['days'],
    inject_key_as_field: 'day',
  }
  const running = ran(
    manifest({
      retriever: { record_selector: { type: 'RecordSelector', extractor } },
      requester: { url_base: origin },
    }),
  )
  await expect(running).rejects.toThrow('the answer is not a map of records')
})

test('a requester that counts its requests asks as any other', async () => {
  const made = await imported(
    manifest({
      requester: {
        type: 'CustomRequester',
        class_name: 'source_freshdesk.components.FreshdeskRequester',
        url_base: "https://{{ config['domain'] }}/api/v2/",
        request_parameters: { order_by: 'id' },
      },
    }),
  )
  expect(made.stops).toEqual([])
  expect(made.client.base_url).toBe('https://${env.DOMAIN}/')
  expect(made.resources[0]?.endpoint).toMatchObject({ path: 'api/v2/orders', params: { order_by: 'id' } })
  expect(made.notes).toContainEqual(
    expect.objectContaining({ kind: 'assumed', text: expect.stringContaining('for the class FreshdeskRequester: ') }),
  )
})

test('a requester of the same connector that asks differently leaves its stream out', async () => {
  const class_name = 'source_freshdesk.components.FreshdeskTicketsIncrementalRequester'
  const made = await imported(manifest({ requester: { type: 'CustomRequester', class_name } }))
  expect(made.leftOut).toMatchObject([{ what: 'stream orders', why: expect.stringContaining(class_name) }])
})

const ADVERTISER = { path_in_config: [['credentials', 'advertiser_id']], partition_field: 'owner_id' }

test.each<[class_name: string, router: object, records: unknown]>([
  [
    'source_tiktok_marketing.components.advertiser_ids_partition_router.SingleAdvertiserIdPerPartition',
    { $parameters: ADVERTISER },
    ['a-1', 'b-1'],
  ],
  [
    'source_declarative_manifest.components.SingleAdvertiserIdPerPartition',
    { $parameters: ADVERTISER },
    ['a-1', 'b-1'],
  ],
  ['source_surveymonkey.components.SurveyIdPartitionRouter', { type: 'CustomPartitionRouter' }, ['a-1', 'b-1']],
  ['source_declarative_manifest.components.SingleAdvertiserIdPerPartition', {}, undefined],
  ['source_declarative_manifest.components.SurveyIdPartitionRouter', {}, undefined],
  ['source_surveymonkey.components.SurveyIdPartitionRouter', { chunk: 100 }, undefined],
])('a router whose code is known asks for each record of its parent: %s %j', async (class_name, router, records) => {
  const origin = await listening(({ pathname, searchParams }) =>
    pathname === '/owners'
      ? { data: [{ id: 'a' }, { id: 'b' }] }
      : { data: [{ id: `${searchParams.get('owner')}-1` }] },
  )
  const parent = {
    type: 'ParentStreamConfig',
    parent_key: 'id',
    partition_field: 'owner_id',
    stream: {
      type: 'DeclarativeStream',
      name: 'owners',
      primary_key: 'id',
      retriever: {
        type: 'SimpleRetriever',
        requester: { type: 'HttpRequester', url_base: origin, path: 'owners' },
        record_selector: { type: 'RecordSelector', extractor: { type: 'DpathExtractor', field_path: ['data'] } },
      },
    },
  }
  const text = manifest({
    retriever: { partition_router: { class_name, parent_stream_configs: [parent], ...router } },
    requester: { url_base: origin, request_parameters: { owner: '{{ stream_partition.owner_id }}' } },
  })
  const made = await imported(text)
  if (records === undefined) {
    expect(made.leftOut).toMatchObject([{ what: 'stream orders', why: expect.stringContaining(class_name) }])
    return
  }
  expect(made.stops).toEqual([])
  const pipeline = await ran(text)
  const rows = await pipeline?.dataset().table('orders').rows()
  expect(rows?.map(({ id }) => id).sort()).toEqual(records)
})

test.each<[what: string, form: object]>([
  ['is required', {}],
  ['is an empty form by default', { default: {} }],
])('members of an option that %s are asked for', async (_what, form) => {
  const made = await imported(
    manifest({
      requester: {
        request_parameters: {
          app: "{{ config.get('credentials', config.get('environment', {})).get('app', 0) }}",
          region: "{{ config.get('credentials', {}).get('region') }}",
        },
      },
      spec: {
        ...('default' in form ? {} : { required: ['credentials'] }),
        properties: {
          credentials: {
            type: 'object',
            ...form,
            oneOf: [
              {
                title: 'Token',
                required: ['app', 'region'],
                properties: { app: { type: 'string' }, region: { type: 'string' } },
              },
              { title: 'Other', properties: {} },
            ],
          },
          environment: { type: 'object', properties: { app: { type: 'string' } } },
        },
      },
    }),
  )
  expect(made.stops).toEqual([])
  expect(made.resources[0]?.endpoint.params).toEqual({ app: '${env.APP}', region: '${env.REGION}' })
})

test('a place of records that is an expression in a parameter stays open', async () => {
  const made = await imported(
    manifest({
      stream: { $parameters: { place: "days of {{ config['year'] }}" } },
      retriever: {
        record_selector: {
          type: 'RecordSelector',
          extractor: { type: 'DpathExtractor', field_path: ["{{ parameters['place'] }}"] },
        },
      },
    }),
  )
  expect(made.stops).toContainEqual(expect.stringContaining('an expression in a parameter'))
})

test.each<[what: string, value: string, sent: unknown]>([
  ['several values of a required option', "{{ ','.join(config['names']) }}", '${env.NAMES}'],
  ['several values of an option that need not be set', "{{ ','.join(config.get('tags', [])) }}", undefined],
  ['choices', "{{ config['kinds'] }}", ['a']],
  ['the day of the run', '{{ today_utc() }}', '${env.TODAY}'],
  ['the moment of the run as a number', "{{ now_utc().strftime('%s') }}", '${env.NOW_SECONDS}'],
  ['another day', "{{ day_delta(-1, format='%Y-%m-%d') }}", '${env.TODAY_MINUS_1}'],
  ['a start in milliseconds', "{{ timestamp(config['start']) * 1000 }}", '${env.START_MS}'],
  ['the state of a stream that keeps none', "{{ stream_state['changed'] }}", undefined],
])('a parameter that is %s', async (_what, value, sent) => {
  const made = await imported(
    manifest({
      requester: { request_parameters: { it: value } },
      spec: {
        required: ['names', 'kinds', 'start'],
        properties: {
          names: { type: 'array', items: { type: 'string' } },
          tags: { type: 'array', items: { type: 'string' } },
          kinds: { type: 'array', items: { type: 'string', enum: ['a', 'b'] } },
          start: { type: 'string' },
        },
      },
    }),
  )
  expect(made.stops).toEqual([])
  expect((made.resources[0]?.endpoint.params as Record<string, unknown> | undefined)?.it).toEqual(sent)
})

test('two forms of the moment of the run stay open', async () => {
  const request_parameters = {
    from: "{{ now_utc().strftime('%d.%m.%Y') }}",
    to: "{{ now_utc().strftime('%m/%d/%Y') }}",
  }
  const made = await imported(manifest({ requester: { request_parameters } }))
  expect(made.stops).toMatchObject([expect.stringContaining('the moment of the run, as %m/%d/%Y here')])
})

test('a list of values that need not be set counts as set', async () => {
  const made = await imported(
    manifest({
      retriever: {
        partition_router: { type: 'ListPartitionRouter', cursor_field: 'shop', values: "{{ config.get('shops') }}" },
      },
      requester: { path: 'shops/{{ stream_partition.shop }}' },
      spec: { properties: { shops: { type: 'array', items: { type: 'string' } } } },
    }),
  )
  expect(made.stops).toEqual([])
  expect(made.resources[0]).toMatchObject({ records: [{ shop: '${env.SHOPS}' }] })
})
