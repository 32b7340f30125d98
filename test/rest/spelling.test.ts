import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { loadPipelineFile } from '../../src/config/pipelineFile.js'
import { type Pipeline, type RestApiConfig, restApi } from '../../src/index.js'
import { load, testApi } from './loading.js'

/** How the values of a document go over the wire. */

async function asked(
  file: string,
  text: string,
  answer: object = { json: [{ id: 1 }] },
  load: (made: Pipeline) => Promise<unknown> = made => made.run(),
) {
  const api = await testApi(() => answer)
  const folder = await mkdtemp(join(tmpdir(), 'sluice-spelling-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, file), text.replaceAll('BASE', api.origin))
  const { pipelines } = await loadPipelineFile(join(folder, file), {
    env: {},
    cwd: folder,
    destination: `duckdb:${join(folder, 'x.duckdb')}`,
  })
  for (const made of pipelines) await load(made)
  return api
}

const yaml = (endpoint: string): string => `
client: { base_url: BASE, paginator: single_page }
resource_defaults:
  endpoint: { params: { kept: 2.50 }, json: { kept: 2.50 } }
resources:
  - name: things
    endpoint: ${endpoint}
`

test('numbers of a YAML document keep their spelling in query, path and headers', async () => {
  const api = await asked(
    'a.yaml',
    yaml(`{ path: "v/{version}/{zip}", headers: { X-V: 1.0 },
      params: { version: 7.0, zip: 00123, x: 1e3, n: 12345678901234567890123, d: 0.12345678901234567890123, z: 00012345678901234567890, list: [1.0, 1], flag: true, plain: 5 } }`),
  )
  expect(api.seen[0]?.url).toBe(
    '/v/7.0/00123?kept=2.50&x=1e3&n=12345678901234567890123&d=0.12345678901234567890123&z=00012345678901234567890&list=1.0&list=1&flag=true&plain=5',
  )
  expect(api.seen[0]?.headers['x-v']).toBe('1.0')
})

test('and in a JSON body, where JSON can spell them, also beside what a paginator writes', async () => {
  const api = await asked(
    'a.yaml',
    yaml(`{ method: POST, json: { v: 7.0, x: 1e3, zip: 00123, half: .5, d: [0.12345678901234567890123], page: { size: 10.0 } },
      paginator: { type: page_number, page_body_path: page.number, total_path: null, maximum_page: 1 } }`),
  )
  expect(api.seen[0]?.body).toBe(
    '{"kept":2.50,"v":7.0,"x":1e3,"zip":123,"half":0.5,"d":[0.12345678901234567890123],"page":{"size":10.0,"number":0}}',
  )
})

test('and those of a JSON document, in a form too', async () => {
  const document = `{"client":{"base_url":"BASE","paginator":"single_page"},"resources":[{"name":"things","endpoint":{"method":"POST","params":{"v":7.0},"data":{"v":1.50,"list":[2.0],"text":"a b"}}}]}`
  const api = await asked('a.json', document)
  expect(api.asked).toEqual(['POST /things?v=7.0 v=1.50&list=2.0&text=a+b'])
})

test('and those of GraphQL variables, at any depth, by an anchor, on every page', async () => {
  const query = 'query ($x: Float) {{ items(x: $x) {{ id }} }}'
  const api = await asked(
    'a.yaml',
    yaml(`{ method: POST, json: { kept: null, query: "${query}", variables: { x: &x 7.0, list: [*x, { y: 1.50, z: -0 }], big: 1E5, first: 1 } },
      paginator: { type: page_number, page_body_path: variables.page, total_path: null, maximum_page: 2 } }`),
  )
  const sent = 'query ($x: Float) { items(x: $x) { id } }'
  expect(api.seen.map(({ body }) => body)).toEqual(
    [0, 1].map(
      page =>
        `{"kept":null,"query":"${sent}","variables":{"x":7.0,"list":[7.0,{"y":1.50,"z":-0}],"big":1E5,"first":1,"page":${page}}}`,
    ),
  )
})

test('and those of a JSON document in a JSON body', async () => {
  const document = `{"client":{"base_url":"BASE","paginator":"single_page"},"resources":[{"name":"things","endpoint":{"method":"POST","json":{"v":7.0,"list":[2.50,{"x":1e3}],"n":12345678901234567890}}}]}`
  const api = await asked('a.json', document)
  expect(api.seen[0]?.body).toBe('{"v":7.0,"list":[2.50,{"x":1e3}],"n":12345678901234567890}')
})

test('a cursor begins and ends with the numbers as they are written', async () => {
  const api = await asked(
    'a.yaml',
    yaml(
      '{ incremental: { cursor_path: id, initial_value: 1.0, end_value: 2.50, start_param: from, end_param: to }, params: { kept: null, again: "{incremental.start_value}" }, json: null }',
    ),
  )
  expect(api.asked).toEqual(['GET /things?again=1.0&from=1.0&to=2.50'])
})

test('a space of a parameter goes out as %20, as every server reads it', async () => {
  const api = await asked(
    'a.yaml',
    yaml('{ params: { kept: null, $filter: "at ge 2024-01-01", "a b": c+d }, json: null }'),
  )
  expect(api.asked).toEqual(['GET /things?%24filter=at%20ge%202024-01-01&a%20b=c%2Bd'])
})

test('a field of a parent keeps its digits in a JSON body', async () => {
  const api = await asked(
    'a.yaml',
    `
client: { base_url: BASE, paginator: single_page }
resources:
  - parents
  - { name: children, endpoint: { path: c, method: POST, json: { v: "{resources.parents.v}", l: ["{resources.parents.v}"] } } }
`,
    { text: '[{"v":0.12345678901234567890123}]' },
  )
  expect(api.asked).toEqual(['GET /parents', 'POST /c {"v":0.12345678901234567890123,"l":[0.12345678901234567890123]}'])
})

test('a placeholder of Jinja that is left in a path is a warning, once a run', async () => {
  const { origin, asked: requests } = await testApi(() => ({ json: [{ id: 1 }] }))
  const { events } = await load({
    client: { base_url: origin, paginator: 'single_page' },
    resources: ['lists', { name: 'forms', endpoint: 'lists/{resources.lists.id}/forms/{{ form_id }}.json' }],
  })
  expect(events.filter(event => event.type === 'warning')).toEqual([
    {
      type: 'warning',
      code: 'other',
      resource: 'forms',
      namesResource: true,
      message:
        'forms: resources[1].endpoint: `{{ form_id }}` is sent as the text `{ form_id }`, as a doubled brace stands for one; a placeholder has single braces: `{form_id}`',
    },
  ])
  expect(requests).toHaveLength(2)
})

test.each([
  ['JSON in a parameter', { params: { filter: '{"a": 1}' } }, 'endpoint.params.filter'],
  ['GraphQL', { method: 'POST', json: { query: '{ repository(owner: "a") { id } }' } }, 'endpoint.json.query'],
  ['an empty object', { params: { filter: '{}' } }, 'endpoint.params.filter'],
  ['fields', { method: 'POST', json: { query: 'query { items { id } }' } }, 'endpoint.json.query'],
])('a literal brace is explained: %s', (_name, endpoint, path) => {
  const document = { client: { base_url: 'https://api.example.com' }, resources: [{ name: 'things', endpoint }] }
  expect(() => restApi(document as RestApiConfig, { env: {} })).toThrow(
    expect.objectContaining({
      code: 'config',
      message: expect.stringMatching(new RegExp(`${path}: .*(?:(?:is|are) doubled,|write each twice:) .\\{\\{`)),
    }),
  )
})

test.each([
  ['1.0', '2.5', {}, ['1.0 2.0', '2.0 2.5']],
  ['1.0', '3', {}, ['1.0 2.0', '2.0 3']],
  ['0.10', '2.10', {}, ['0.10 1.10', '1.10 2.10']],
  ['00010', '00012', {}, ['00010 00011', '00011 00012']],
  ['1', '3', {}, ['1 2', '2 3']],
  ['"1.0"', '"3.0"', {}, ['1.0 2.0', '2.0 3.0']],
  ['7', '9', { from: '00010', to: '00012' }, ['00010 00011', '00011 00012']],
  ['7', '9', { from: '1.0', to: '2.0' }, ['1.0 2.0']],
  ['7', '9', { from: '1e3', to: '1.001e3' }, ['1e3 1.001e3']],
  ['1.0', '9', { from: 1, to: 3 }, ['1 2', '2 3']],
])(
  'windows from %s to %s, and asked for by %j, keep the spelling of their bounds',
  async (first, end, range, windows) => {
    const bounds = `initial_value: ${first}, end_value: ${end}, start_param: from, end_param: to, window: { step: 1 }`
    const text = yaml(`{ incremental: { cursor_path: id, ${bounds} } }`)
    const { asked: requests } = await asked(
      'range.yaml',
      text.replace(/resource_defaults.*\n.*\n/, ''),
      { json: [] },
      made => made.backfill('things', range),
    )
    expect(requests).toEqual(windows.map(window => `GET /things?${window.replace(/^(\S+) (\S+)$/, 'from=$1&to=$2')}`))
  },
)
