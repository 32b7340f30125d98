import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../../src/model/errors.js'
import { secret } from '../../../src/model/secrets/secret.js'
import { parseRestConfig } from '../../../src/rest/document/parseDocument.js'

const client = { base_url: 'https://api.example.com/v1' }

function failureOf(document: unknown): ConfigError {
  try {
    parseRestConfig(document)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('was accepted')
}

/** A document with one resource `a`, which has these keys. */
function resource(keys: object, ...others: unknown[]): unknown {
  return { client, resources: [{ name: 'a', ...keys }, ...others] }
}

function endpoint(keys: object, ...others: unknown[]): unknown {
  return resource({ endpoint: { path: 'a', ...keys } }, ...others)
}

function paginator(value: unknown): unknown {
  return endpoint({ paginator: value })
}

const AT = 'resources[0].endpoint'

const invalid: readonly (readonly [what: string, document: unknown, path: string, message: string])[] = [
  ['no map', [], '', 'expected a map, not a list'],
  ['nothing', undefined, '', 'is missing; expected a map'],
  ['no client', { resources: ['a', 'b'] }, 'client', 'is missing: the path of resource a is relative'],
  ['no resources', { client }, 'resources', 'is missing; expected a list'],
  ['no base URL', { client: {}, resources: ['a'] }, 'client.base_url', 'is missing: the path of resource a'],
  ['null base URL', { client: { base_url: null }, resources: ['a'] }, 'client.base_url', 'is missing'],
  [
    'base URL without scheme',
    { client: { base_url: 'api.example.com' }, resources: [] },
    'client.base_url',
    'https://',
  ],
  [
    'base URL with password',
    { client: { base_url: 'https://u:p@x.org' }, resources: [] },
    'client.base_url',
    'http_basic',
  ],
  ['unknown key', { client, resource: [], resources: [] }, 'resource', 'did you mean `resources`?'],
  [
    'unknown client key',
    { client: { ...client, auht: 'bearer' }, resources: [] },
    'client.auht',
    'did you mean `auth`?',
  ],
  ['Python’s session', { client: { ...client, session: {} }, resources: [] }, 'client.session', '`transport`'],
  [
    'client header no text',
    { client: { ...client, headers: { 'X-A': 1 } }, resources: [] },
    'client.headers.X-A',
    'text',
  ],
  ['misspelt key', resource({ primaryKey: 'id' }), 'resources[0].primaryKey', 'did you mean `primary_key`?'],
  ['endpoint key on a resource', resource({ params: {} }), 'resources[0].params', '`endpoint.params`'],
  ['misspelt key beside a missing one', { client, resources: [{ nmae: 'a' }] }, 'resources[0].nmae', '`name`'],
  ['resource a number', { client, resources: [5] }, 'resources[0]', 'expected text, a map'],
  [
    'name in defaults',
    { client, resources: [], resource_defaults: { name: 'x' } },
    'resource_defaults.name',
    'unknown key',
  ],
  [
    'defaults endpoint a text',
    { client, resources: [], resource_defaults: { endpoint: 'x' } },
    'resource_defaults.endpoint',
    'expected a map, not text',
  ],
  ['duplicate text resource', { client, resources: ['a', 'a'] }, 'resources[1]', 'resources[0]'],
  ['write disposition', resource({ write_disposition: 'insert' }), 'resources[0].write_disposition', '`append`'],
  [
    'strategy without merge',
    resource({ write_disposition: { disposition: 'append', strategy: 'scd2' } }),
    'resources[0].write_disposition.strategy',
    'merge',
  ],
  [
    'disposition key',
    resource({ write_disposition: { disposition: 'merge', stragety: 'scd2' } }),
    'resources[0].write_disposition.stragety',
    '`strategy`',
  ],
  [
    'filter of insert-only',
    resource({ write_disposition: { disposition: 'merge', strategy: 'insert-only', source_filter: 'id < 3' } }),
    'resources[0].write_disposition.source_filter',
    'delete-insert',
  ],
  [
    'scope of upsert',
    resource({ write_disposition: { disposition: 'merge', strategy: 'upsert', destination_scope: 'id < 3' } }),
    'resources[0].write_disposition.destination_scope',
    'cdc',
  ],
  [
    'unchanged rows of delete-insert',
    resource({ write_disposition: { disposition: 'merge', strategy: 'delete-insert', skip_unchanged_rows: true } }),
    'resources[0].write_disposition.skip_unchanged_rows',
    'upsert',
  ],
  [
    'version of delete-insert',
    resource({
      write_disposition: { disposition: 'merge', strategy: 'delete-insert', row_version_column_name: 'rev' },
    }),
    'resources[0].write_disposition.row_version_column_name',
    'scd2',
  ],
  [
    'placeholder in a filter',
    resource({
      write_disposition: { disposition: 'merge', strategy: 'upsert', source_filter: 'id IN (SELECT id FROM {table})' },
    }),
    'resources[0].write_disposition.source_filter',
    'takes no placeholders, but has {table}',
  ],
  [
    'unknown placeholder in a scope',
    resource({ write_disposition: { disposition: 'merge', strategy: 'cdc', destination_scope: 'day = {day}' } }),
    'resources[0].write_disposition.destination_scope',
    '{table} and {staging_table}',
  ],
  [
    'single brace in a scope',
    resource({ write_disposition: { disposition: 'merge', strategy: 'cdc', destination_scope: "v = '}'" } }),
    'resources[0].write_disposition.destination_scope',
    'twice',
  ],
  [
    'filter of a nested table without keys',
    resource({
      nested_hints: {
        lines: { write_disposition: { disposition: 'merge', strategy: 'cdc', source_filter: 'id < 3' } },
      },
    }),
    'resources[0].nested_hints.lines.write_disposition.source_filter',
    'needs a `primary_key` or `merge_key`',
  ],
  [
    'filter without a strategy',
    resource({ write_disposition: { disposition: 'merge', source_filter: 'id < 3' } }),
    'resources[0].write_disposition.source_filter',
    'write `strategy: delete-insert`',
  ],
  [
    'filter without merge',
    resource({ write_disposition: { disposition: 'append', source_filter: 'id < 3' } }),
    'resources[0].write_disposition.source_filter',
    'needs `disposition: merge`',
  ],
  [
    'boundary timestamp',
    resource({ write_disposition: { disposition: 'merge', strategy: 'scd2', boundary_timestamp: 'soon' } }),
    'resources[0].write_disposition.boundary_timestamp',
    'timestamp',
  ],
  [
    'column type',
    resource({ columns: { n: { data_type: 'integer' } } }),
    'resources[0].columns.n.data_type',
    '`bigint`',
  ],
  ['column key', resource({ columns: { n: { nulable: true } } }), 'resources[0].columns.n.nulable', '`nullable`'],
  ['column without name', resource({ columns: [{ data_type: 'text' }] }), 'resources[0].columns[0].name', 'is missing'],
  [
    'column in defaults',
    { client, resources: ['a'], resource_defaults: { columns: { n: { x: 1 } } } },
    'resource_defaults.columns.n.x',
    'unknown',
  ],
  [
    'contract mode',
    resource({ schema_contract: { tables: 'evolv' } }),
    'resources[0].schema_contract.tables',
    'did you mean `evolve`?',
  ],
  ['nesting', resource({ max_table_nesting: -1 }), 'resources[0].max_table_nesting', 'at least 0'],
  [
    'nested hints',
    resource({ nested_hints: { b: { columns: { n: { y: 1 } } } } }),
    'resources[0].nested_hints.b.columns.n.y',
    'unknown',
  ],
  ['method', endpoint({ method: 'get' }), `${AT}.method`, 'did you mean `GET`?'],
  ['two letters in the wrong order', endpoint({ method: 'GTE' }), `${AT}.method`, 'did you mean `GET`?'],
  ['path a number', resource({ endpoint: { path: 5 } }), `${AT}.path`, 'expected text'],
  ['json a list', endpoint({ json: [1] }), `${AT}.json`, 'expected a map'],
  ['json and data', endpoint({ json: { a: 1 }, data: 'x' }), `${AT}.data`, 'one body'],
  ['data a number', endpoint({ data: 5 }), `${AT}.data`, 'a list of pairs'],
  ['form field a map', endpoint({ data: { a: { b: 1 } } }), `${AT}.data.a`, 'form field'],
  ['param a map', endpoint({ params: { filter: { x: 1 } } }), `${AT}.params.filter`, '`type: resolve`'],
  [
    'param of unknown type',
    endpoint({ params: { 'f[x]': { type: 'eq' } } }),
    `${AT}.params["f[x]"]`,
    '`type: resolve`',
  ],
  [
    'unused resolve',
    endpoint({ params: { p: { type: 'resolve', resource: 'b', field: 'id' } } }, 'b'),
    `${AT}.params.p`,
    'is not used',
  ],
  ['header name', endpoint({ headers: { 'X A': '1' } }), `${AT}.headers["X A"]`, 'not the name of a header'],
  ['header line break', endpoint({ headers: { A: 'b\nc' } }), `${AT}.headers.A`, 'line breaks'],
  ['selector syntax', endpoint({ data_selector: 'a[' }), `${AT}.data_selector`, 'not a JSONPath'],
  ['placeholder without param', resource({ endpoint: 'a/{id}/b' }), AT, '`params.id`'],
  ['placeholder in a text resource', { client, resources: ['a/{id}'] }, 'resources[0]', '`params.id`'],
  [
    'static param null',
    resource({ endpoint: { path: 'a/{id}', params: { id: null } } }),
    `${AT}.params.id`,
    'stands in the path',
  ],
  ['unknown context', endpoint({ params: { q: '{parent.id}' } }), `${AT}.params.q`, '`resources.`'],
  ['plain name in a param', endpoint({ params: { q: '{id}' } }), `${AT}.params.q`, 'doubled'],
  ['open brace', endpoint({ json: { q: 'a { b' } }), `${AT}.json.q`, 'not closed'],
  [
    'too few parts',
    endpoint({ headers: { A: '{resources.b}' } }, 'b'),
    `${AT}.headers.A`,
    'resources.<resource>.<field>',
  ],
  ['format specification', endpoint({ params: { q: '{resources.b.id:>5}' } }, 'b'), `${AT}.params.q`, 'format'],
  [
    'incremental placeholder alone',
    endpoint({ params: { q: '{incremental.start_value}' } }),
    `${AT}.params.q`,
    'needs `incremental`',
  ],
  [
    'unknown incremental attribute',
    endpoint({ params: { q: '{incremental.start}' }, incremental: { cursor_path: 'at' } }),
    `${AT}.params.q`,
    'start_value',
  ],
  [
    'unknown parent',
    endpoint({ params: { q: '{resources.usres.id}' } }, 'users'),
    `${AT}.params.q`,
    'did you mean `users`?',
  ],
  [
    'unknown legacy parent',
    resource({ endpoint: { path: '{p}', params: { p: { type: 'resolve', resource: 'b', field: 'id' } } } }),
    `${AT}.params.p.resource`,
    '`b`',
  ],
  [
    'two parents',
    endpoint({ params: { x: '{resources.b.id}', y: '{resources.c.id}' } }, 'b', 'c'),
    `${AT}.params.y`,
    '`b` and `c`',
  ],
  ['itself', resource({ endpoint: 'a/{resources.a.id}' }), AT, 'a → a'],
  [
    'a cycle',
    {
      client,
      resources: [
        { name: 'x', endpoint: '{resources.y.id}' },
        { name: 'y', endpoint: '{resources.z.id}' },
        { name: 'z', endpoint: '{resources.x.id}' },
      ],
    },
    AT,
    'x → y → z → x',
  ],
  [
    'include without parent',
    resource({ include_from_parent: ['id'] }),
    'resources[0].include_from_parent',
    'needs a parent',
  ],
  ['shorthand of offset', paginator('offset'), `${AT}.paginator`, 'limit'],
  ['offset without limit', paginator({ type: 'offset' }), `${AT}.paginator.limit`, 'is missing'],
  ['paginator text', paginator('pages'), `${AT}.paginator`, '`page_number`'],
  ['paginator type', paginator({ type: 'cursr' }), `${AT}.paginator.type`, 'did you mean `cursor`?'],
  ['paginator without type', paginator({ limit: 5 }), `${AT}.paginator.type`, 'is missing'],
  [
    'key of another paginator',
    paginator({ type: 'header_link', next_url_path: 'x' }),
    `${AT}.paginator.next_url_path`,
    'links_next_key',
  ],
  [
    'paginator path',
    paginator({ type: 'json_link', next_url_path: 'a..' }),
    `${AT}.paginator.next_url_path`,
    'JSONPath',
  ],
  [
    'no end',
    paginator({ type: 'offset', limit: 5, total_path: null, stop_after_empty_page: false }),
    `${AT}.paginator`,
    'nothing ends',
  ],
  [
    'client paginator',
    { client: { ...client, paginator: { type: 'offset' } }, resources: [] },
    'client.paginator.limit',
    'is missing',
  ],
  [
    'defaults paginator',
    { client, resources: ['a'], resource_defaults: { endpoint: { paginator: { type: 'offset', limit: '5' } } } },
    'resource_defaults.endpoint.paginator.limit',
    'expected a',
  ],
  ['no cursor', endpoint({ incremental: { initial_value: 1 } }), `${AT}.incremental.cursor_path`, 'is missing'],
  [
    'end without start',
    endpoint({ incremental: { cursor_path: 'at', end_value: 5 } }),
    `${AT}.incremental.end_value`,
    '`initial_value`',
  ],
  [
    'end before start',
    endpoint({ incremental: { cursor_path: 'at', initial_value: '2024-02', end_value: '2024-01' } }),
    `${AT}.incremental.end_value`,
    'below',
  ],
  [
    'end of another kind',
    endpoint({ incremental: { cursor_path: 'at', initial_value: 1, end_value: '9' } }),
    `${AT}.incremental.end_value`,
    'same kind',
  ],
  [
    'end after start for min',
    endpoint({ incremental: { cursor_path: 'at', initial_value: 1, end_value: 9, last_value_func: 'min' } }),
    `${AT}.incremental.end_value`,
    'above',
  ],
  [
    'end in a param',
    endpoint({ params: { s: { type: 'incremental', cursor_path: 'at', initial_value: 1, end_value: 2 } } }),
    `${AT}.params.s.end_value`,
    'unknown key',
  ],
  [
    'two incremental params',
    endpoint({
      params: { s: { type: 'incremental', cursor_path: 'at' }, t: { type: 'incremental', cursor_path: 'at' } },
    }),
    `${AT}.params.t`,
    'one incremental cursor',
  ],
  [
    'cursor syntax',
    endpoint({ incremental: { cursor_path: 'a[' } }),
    `${AT}.incremental.cursor_path`,
    'not a JSONPath',
  ],
  [
    'action',
    endpoint({ response_actions: [{ status_code: 404, action: 'ingore' }] }),
    `${AT}.response_actions[0].action`,
    'did you mean `ignore`?',
  ],
  [
    'action missing',
    endpoint({ response_actions: [{ status_code: 404 }] }),
    `${AT}.response_actions[0].action`,
    'is missing',
  ],
  [
    'action without condition',
    endpoint({ response_actions: [{ action: 'ignore' }] }),
    `${AT}.response_actions[0]`,
    '`status_code`, `content` or `json_path`',
  ],
  [
    'status range',
    endpoint({ response_actions: [{ status_code: '503-500', action: 'retry' }] }),
    `${AT}.response_actions[0].status_code`,
    'ends before',
  ],
  ['auth text', { client: { ...client, auth: 'basic' }, resources: [] }, 'client.auth', '`http_basic`'],
  [
    'auth type',
    { client: { ...client, auth: { type: 'api-key' } }, resources: [] },
    'client.auth.type',
    'did you mean `api_key`?',
  ],
  [
    'auth location',
    { client: { ...client, auth: { type: 'api_key', api_key: 'k', location: 'body' } }, resources: [] },
    'client.auth.location',
    '`header`',
  ],
  ['auth key', endpoint({ auth: { type: 'http_basic', user: 'u', password: 'p' } }), `${AT}.auth.user`, '`username`'],
  [
    'allowed host',
    { client: { ...client, allowed_hosts: ['a.org/x'] }, resources: [] },
    'client.allowed_hosts[0]',
    'expected a host',
  ],
  [
    'retry attempts',
    { client: { ...client, retry: { attempts: 0 } }, resources: [] },
    'client.retry.attempts',
    'at least 1',
  ],
  ['relative path without base', { client: { base_url: '' }, resources: ['a'] }, 'resources[0]', 'absolute URL'],
  ['secret in a path', { client, resources: [{ name: 'a', endpoint: { path: secret('x') } }] }, `${AT}.path`, ''],
  ['records and endpoint', resource({ endpoint: 'a', records: function* () {} }), 'resources[0].records', 'either'],
]

describe('mistakes are blamed on their key', () => {
  test.each(invalid)('%s', (_, document, path, message) => {
    const error = failureOf(document)
    expect({ path: error.path, message: error.message }).toEqual({ path, message: expect.stringContaining(message) })
  })

  test('every mistake is reported at once, in the order of the document', () => {
    const error = failureOf({
      client: { base_url: 5 },
      resources: [{ name: 'a', endpoint: { method: 'FETCH', paginator: { type: 'offset' } } }, { naem: 'b' }],
    })
    expect(error.problems.map(problem => problem.place.path)).toEqual([
      'client.base_url',
      'resources[0].endpoint.method',
      'resources[0].endpoint.paginator.limit',
      'resources[1].naem',
      'resources[1].name',
    ])
    expect(error.code).toBe('config')
  })

  const lost = { name: 'lines', endpoint: 'orders/{resources.oders.id}/lines' }
  const LOST = 'resources[1].endpoint'
  test.each<[what: string, client: object, order: object, line: object, paths: readonly string[]]>([
    ['an unknown key', { base_url: 'x' }, { writ: 1 }, {}, ['resources[0].writ', 'client.base_url', LOST]],
    ['an unknown key beside another mistake', client, {}, { writ: 1 }, ['resources[1].writ', LOST]],
    ['a misspelt key, and not what it stands for', { base_ur: 'x' }, {}, {}, ['client.base_ur', LOST]],
    ['a wrong value', { base_url: 'x' }, { selected: 'no' }, {}, ['resources[0].selected', 'client.base_url', LOST]],
    [
      'a wrong value, and not what follows from it',
      client,
      { write_disposition: 'mrege', deletes: 'soft' },
      {},
      ['resources[0].write_disposition', LOST],
    ],
    [
      'a missing key, which leaves the rest open',
      client,
      { endpoint: { paginator: { type: 'offset' } } },
      {},
      ['resources[0].endpoint.paginator.limit'],
    ],
  ])('what is told beside %s', (_, client, order, line, paths) => {
    const document = {
      client,
      resources: [
        { name: 'orders', ...order },
        { ...lost, ...line },
      ],
    }
    expect(failureOf(document).problems.map(({ place }) => place.path)).toEqual(paths)
  })

  test('values beside credentials are not shown', () => {
    const error = failureOf({
      client: { ...client, auth: 'sk-live-1234', headers: { 'X-Key': ['sk-live-1234'] } },
      resources: [{ name: 'a', endpoint: { auth: { type: 'sk-live-1234' }, headers: { A: ['sk-live-1234'] } } }],
    })
    expect(error.problems.length).toBe(4)
    expect(error.message).not.toContain('sk-live')
  })

  test('nor is the value of a header that cannot be sent', () => {
    const error = failureOf({ client: { ...client, headers: { 'X-Key': 'sk-live-\n1234' } }, resources: ['a'] })
    expect(error.path).toBe('client.headers.X-Key')
    expect(error.message).not.toContain('sk-live')
  })

  test('a document that contains itself is refused', () => {
    const document: Record<string, unknown> = { client, resources: [] }
    document.resource_defaults = document
    expect(failureOf(document).message).toContain('contains itself')
  })
})

describe('invalid conformance cases', () => {
  const folder = new URL('../../conformance/cases/', import.meta.url)
  const cases = readdirSync(folder).filter(file => file.startsWith('invalid-'))

  test.each(cases)('%s', file => {
    const one = JSON.parse(
      readFileSync(new URL(file, folder), 'utf8').replaceAll('{{BASE}}', 'http://127.0.0.1:1'),
    ) as {
      config: unknown
      runs: { expect: { error: { code: string; path: string; contains?: string[] } } }[]
    }
    const expected = one.runs[0]?.expect.error
    const error = failureOf(one.config)
    expect({ code: error.code, path: error.path }).toEqual({ code: expected?.code, path: expected?.path })
    for (const word of expected?.contains ?? []) expect(error.message).toContain(word)
  })
})
