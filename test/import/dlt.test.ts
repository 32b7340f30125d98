import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { importPipeline } from '../../src/index.js'
import { command, emptyFolder, importAndRun, imported } from './importing.js'

const script = (config: string, before = '', after = '') => `
import dlt
from dlt.sources.rest_api import rest_api_source, RESTAPIConfig
${before}
def load() -> None:
    config: RESTAPIConfig = ${config}
    pipeline = dlt.pipeline(pipeline_name="shop", destination="duckdb", dataset_name="shop_data")
    pipeline.run(rest_api_source(config))
${after}
`

describe('a script of dlt', () => {
  it('becomes the document that it holds, with its names', async () => {
    const text = script(`{
        "client": {
            "base_url": "https://api.example.com/v1/",
            "auth": {"type": "bearer", "token": dlt.secrets["shop.token"]},  # the key
            "paginator": {"type": "page_number", "base_page": 1, "total_path": None},
        },
        "resource_defaults": {"primary_key": "id", "write_disposition": "merge"},
        "resources": [
            "orders",
            {"name": "lines", "endpoint": {"path": "orders/{resources.orders.id}/lines", "params": {"limit": 1_00}}},
        ],
    }`)
    const { file, data } = await imported({ kind: 'dlt', text })
    expect(data).toMatchObject({ name: 'shop', dataset: 'shop_data', destination: 'duckdb:shop.duckdb' })
    expect(data.source).toEqual({
      client: {
        base_url: 'https://api.example.com/v1/',
        auth: { type: 'bearer', token: '${secrets.shop.token}' },
        paginator: { type: 'page_number', base_page: 1, total_path: null },
      },
      resource_defaults: { primary_key: 'id', write_disposition: 'merge' },
      resources: [
        'orders',
        { name: 'lines', endpoint: { path: 'orders/{resources.orders.id}/lines', params: { limit: 100 } } },
      ],
    })
    expect(file.secrets.map(({ name }) => name)).toEqual(['shop.token'])
  })

  const expressions: readonly (readonly [string, string, unknown])[] = [
    ['"a" "b" \'c\'', '', 'abc'],
    ['"a" + NAME', 'NAME = "x"', 'ax'],
    ['f"{NAME}/v{2}"', 'NAME = "x"', 'x/v2'],
    ['f"{NAME}/{{resources.orders.id}}"', 'NAME = "x"', 'x/{resources.orders.id}'],
    ['r"\\d"', '', '\\d'],
    ['"\\x41\\u0042\\\'"', '', "AB'"],
    ['"""one"""', '', 'one'],
    ['COMMON["key"]', 'COMMON = {"key": "v"}', 'v'],
    ['os.environ["SHOP"]', '', '${env.SHOP}'],
    ['os.getenv("SHOP", "x")', '', '${env.SHOP}'],
    ['dlt.config["shop.name"]', '', '${env.SHOP__NAME}'],
    ['("in brackets")', '', 'in brackets'],
  ]
  it.each(expressions)('reads %s', async (expression, before, expected) => {
    const config = `{"client": {"base_url": "https://a.example.com", "headers": {"X-Shop": ${expression}}}, "resources": ["orders"]}`
    const { data } = await imported({ kind: 'dlt', text: script(config, before) })
    expect(data.source.client.headers['X-Shop']).toBe(expected)
  })

  it('reads classes of dlt, spreads and lists that are put together', async () => {
    const before = `
BASE = {"base_url": "https://a.example.com"}
MORE = ["b"]
`
    const config = `{
      "client": {**BASE, "auth": APIKeyAuth(name="key", api_key=dlt.secrets["k"], location="query"), "paginator": OffsetPaginator(limit=100, total_path=None)},
      "resources": ["a"] + MORE + [{"name": "c", "endpoint": {"params": {"since": dlt.sources.incremental("updated_at", initial_value="2024-01-01")}}}],
    }`
    const { data } = await imported({ kind: 'dlt', text: script(config, before) })
    expect(data.source.client).toEqual({
      base_url: 'https://a.example.com',
      auth: { type: 'api_key', name: 'key', api_key: '${secrets.k}', location: 'query' },
      paginator: { type: 'offset', limit: 100, total_path: null },
    })
    expect(data.source.resources).toEqual([
      'a',
      'b',
      {
        name: 'c',
        endpoint: {
          params: { since: { type: 'incremental', cursor_path: 'updated_at', initial_value: '2024-01-01' } },
        },
      },
    ])
  })

  it('leaves out what would have to be run, and says so with its line', async () => {
    const config = `{
      "client": {"base_url": "https://a.example.com", "headers": {"X-Time": str(datetime.now())}},
      "resources": [{"name": "a", "processing_steps": [{"filter": lambda r: r["x"] > 1}], "endpoint": {"path": make_path()}}],
    }`
    const { file } = await imported({ kind: 'dlt', text: script(config) })
    const open = file.notes.filter(({ kind }) => kind === 'open')
    expect(open.map(({ text }) => text).join('\n')).toMatch(
      /headers\.X-Time.*have to be run.*filter.*lambda.*path.*make_path/s,
    )
    expect(open.every(({ place }) => (place?.line ?? 0) > 5)).toBe(true)
    expect(open.filter(({ stopsRun }) => stopsRun === true)).toHaveLength(2)
  })

  it('writes no secret that the script holds in clear', async () => {
    const config = `{
      "client": {"base_url": "https://a.example.com", "auth": {"type": "bearer", "token": "s3cret-token"}, "headers": {"X-Api-Key": "s3cret-key"}},
      "resources": [{"name": "a", "endpoint": {"params": {"api_key": "s3cret-param"}}}],
    }`
    const { pipelines } = await importPipeline({ kind: 'dlt', text: script(config) })
    expect(JSON.stringify(pipelines)).not.toContain('s3cret')
    expect(pipelines[0]?.secrets.length).toBeGreaterThan(1)
  })

  it('takes every source of a script', async () => {
    const one = '{"client": {"base_url": "https://a.example.com"}, "resources": ["a"]}'
    const text = `source = rest_api_source(${one}, name="first")\nother = rest_api_source(${one}, name="second")\n`
    const { pipelines } = await importPipeline({ kind: 'dlt', text })
    expect(pipelines.map(({ name }) => name)).toEqual(['first', 'second'])
  })

  const hostile: readonly (readonly [string, string])[] = [
    ['no script', '{"a": 1}'],
    ['nothing', ''],
    ['a name that is itself', 'config = config\nrest_api_source(config)'],
    ['brackets without end', `rest_api_source(${'['.repeat(20_000)}`],
    ['a call that would end the process', 'import os\nos._exit(9)'],
  ]
  it.each(hostile)('%s is refused', async (_, text) => {
    await expect(importPipeline({ kind: 'dlt', text })).rejects.toMatchObject({ name: 'ConfigError' })
  })

  it('ends for lists that multiply', async () => {
    const names = 'abcdefghij'.split('')
    const before = [
      'a = ["x"]',
      ...names.slice(1).map((name, at) => `${name} = [${Array(20).fill(names[at]).join(', ')}]`),
    ].join('\n')
    const config = '{"client": {"base_url": "https://a.example.com"}, "resources": ["r"], "more": j}'
    await importPipeline({ kind: 'dlt', text: script(config, before) }).catch(() => undefined)
  })

  it('becomes a file that loads every page', async () => {
    const all = Array.from({ length: 25 }, (_, id) => ({ id }))
    const server = createServer((request, response) => {
      const page = Number(new URL(request.url ?? '/', 'http://api').searchParams.get('page'))
      if (request.headers.authorization !== 'Bearer t0ken-of-orders') response.writeHead(401).end()
      else {
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ data: all.slice((page - 1) * 10, page * 10) }))
      }
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => new Promise(resolve => server.close(() => resolve())))
    const file = join(await emptyFolder(), 'shop.py')
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    await writeFile(
      file,
      script(`{
        "client": {"base_url": "${base}", "auth": {"type": "bearer", "token": dlt.secrets["token"]},
          "paginator": {"type": "page_number", "base_page": 1, "total_path": None}},
        "resources": [{"name": "orders", "primary_key": "id", "write_disposition": "merge", "endpoint": {"data_selector": "data"}}],
      }`),
    )
    const { rows } = await importAndRun(['dlt', file], 'orders', { TOKEN: 't0ken-of-orders' })
    expect(rows).toHaveLength(25)
    expect((await command(['import', 'dlt', '/no/such.py'])).exitCode).toBe(2)
  })
})
