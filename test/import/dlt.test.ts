import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { importPipeline } from '../../src/index.js'
import { command, type Data, emptyFolder, importAndRun, imported } from './importing.js'

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
    ['"a/{}/{b}".format("x", b="y")', '', 'a/x/y'],
    ['"-".join(["a", "b"]).upper()', '', 'A-B'],
    ['BASE.rstrip("/")', 'BASE = "https://x/"', 'https://x'],
    ['Settings.KEY', 'class Settings:\n    KEY = "k"', 'k'],
    ['LIST[-1]', 'LIST = ["a", "b"]', 'b'],
    ['make("x")', 'def make(a, b="y"):\n    c = a + b\n    return c', 'xy'],
    ['"1" if MODE == "live" else "2"', 'MODE = "test"', '2'],
    ['MODE or "none"', 'MODE = None', 'none'],
    ['f"{ORG}/x"', 'from settings import ORG', '${env.ORG}/x'],
    ['make("x")', 'def make(a, *, b="y"):\n    return a + b', 'xy'],
    ['make("x", b="y")', 'def make(a, **more):\n    return a + more["b"]', 'xy'],
    ['make("x", "y", "z")', 'def make(a, *more):\n    return a + more[1]', 'xz'],
    ['make(None) or "x"', 'def make(a="y"):\n    return a', 'x'],
    ['sorted({"b": 1, "a": 2}.items())[0][0]', '', 'a'],
    ['f"{list(range(2023, 2026))[-1]:06d}"', '', '002025'],
    ['"%s/%d%%" % ("x", 3)', '', 'x/3%'],
    ['os.path.join("a/", "b", os.environ["SHOP"], "c")', 'import os', 'a/b/${env.SHOP}/c'],
    ['os.path.join("a", "/b", "c")', 'import os', '/b/c'],
  ]
  it.each(expressions)('reads %s', async (expression, before, expected) => {
    const config = `{"client": {"base_url": "https://a.example.com", "headers": {"X-Shop": ${expression}}}, "resources": ["orders"]}`
    const { data } = await imported({ kind: 'dlt', text: script(config, before) })
    expect(data.source.client.headers['X-Shop']).toBe(expected)
  })

  it.each(['f"v{1.0}"', '"%s" % ["x"]', 'f"{5:x}"', '"%5.2f" % 3'])('guesses no text of %s', async expression => {
    const config = `{"client": {"base_url": "https://a.example.com", "headers": {"X-Shop": ${expression}}}, "resources": ["orders"]}`
    const { data, file } = await imported({ kind: 'dlt', text: script(config) })
    expect(data.source.client.headers).toEqual({})
    expect(file.notes).toContainEqual(expect.objectContaining({ kind: 'open', stopsRun: true }))
  })

  it('says why there is no list', async () => {
    const text = script(
      '{"client": {"base_url": "https://a.example.com"}, "resources": found()}',
      'from x import found',
    )
    const { leftOut } = await importPipeline({ kind: 'dlt', text })
    expect(leftOut).toMatchObject([{ place: { line: expect.any(Number) }, why: expect.stringContaining('found(') }])
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

  const documents = async (text: string) => {
    const { pipelines } = await importPipeline({ kind: 'dlt', text })
    return pipelines.map(({ document, notes }) => ({
      source: document.source as Data,
      open: notes.filter(({ kind }) => kind === 'open').map(note => note.text),
      assumed: notes.filter(({ kind }) => kind === 'assumed').map(note => note.text),
    }))
  }

  it('follows what the script does to its lists and dictionaries before the call', async () => {
    const [found] = await documents(`
config = {"client": {"base_url": "https://a.example.com"}, "resources": []}
client = config["client"]
client["auth"] = {"type": "bearer", "token": dlt.secrets["t"]}
for name, path in {"orders": "v1/orders", "shops": "v1/shops"}.items():
    config["resources"].append({"name": name, "endpoint": {"path": path}})
config["resources"] += [{"name": f"part_{n}", "endpoint": p} for n, p in enumerate(["a", "b"]) if n > 0]
config.update({"resource_defaults": dict(primary_key="id")})
pipeline.run(rest_api_source(config))
config["resources"].clear()
`)
    expect(found?.source).toEqual({
      client: { base_url: 'https://a.example.com', auth: { type: 'bearer', token: '${secrets.t}' } },
      resources: [
        { name: 'orders', endpoint: { path: 'v1/orders' } },
        { name: 'shops', endpoint: { path: 'v1/shops' } },
        { name: 'part_1', endpoint: 'b' },
      ],
      resource_defaults: { primary_key: 'id' },
    })
  })

  it('takes the parameters of functions from their calls, their defaults and the configuration', async () => {
    const [found] = await documents(`
@dlt.source
def shop(org: str, token: str = dlt.secrets.value, base: str = dlt.config.value, size: int = 50, since=None):
    if not token:
        raise ValueError("no token")
    config: RESTAPIConfig = {
        "client": {"base_url": base, "auth": {"token": token} if token else None},
        "resources": [make(org, size)],
    }
    yield from rest_api_resources(config)

def make(org, size):
    return {"name": "orders", "endpoint": Endpoint(path=f"{org}/orders", params={"limit": size, "team": TEAM})}

if __name__ == "__main__":
    pipeline.run(shop("acme"))
`)
    expect(found?.source).toEqual({
      client: { base_url: '${env.BASE}', auth: { token: '${secrets.token}' } },
      resources: [{ name: 'orders', endpoint: { path: 'acme/orders', params: { limit: 50, team: '${env.TEAM}' } } }],
    })
    expect(found?.assumed.join()).toMatch(/secrets\.token\} is set/)
    expect(found?.open.join()).toMatch(/does not say what TEAM is/)
  })

  it.each([
    ['a condition that nobody knows', 'if today() > 3:\n    url = "https://b.example.com"'],
    ['a loop that nobody knows', 'for x in read():\n    url = x'],
    ['a loop without a known end', 'while more():\n    url = next_url()'],
  ])('says that a value is open that depends on %s', async (_what, statements) => {
    const [found] = await documents(`
url = "https://a.example.com"
${statements}
rest_api_source({"client": {"base_url": "https://x.example.com", "headers": {"X-Url": url}}, "resources": ["orders"]})
`)
    expect(found?.source.client.headers).toEqual({})
    expect(found?.open.join()).toMatch(/headers\.X-Url.*it depends on/)
  })

  it('says what is changed in a way that it does not follow', async () => {
    const [found] = await documents(`
resources = ["orders"]
resources.extend(more())
headers = {"a": "b"}
headers[key()] = "c"
for resource in rest_api_resources({"client": {"base_url": "https://x.example.com", "headers": headers}, "resources": resources}):
    resource.add_map(lambda row: row)
`)
    expect(found?.open).toHaveLength(3)
    expect(found?.open.join()).toMatch(/more.*add_map/s)
  })

  it('takes early returns for what they are', async () => {
    const [found] = await documents(`
def base(region):
    if region == "eu":
        return "https://eu.example.com"
    return "https://us.example.com"
def either(): 
    if unknown():
        return "https://eu.example.com"
    return "https://us.example.com"
rest_api_source({"client": {"base_url": base("eu"), "headers": {"X-Url": either()}}, "resources": ["orders"]})
`)
    expect(found?.source.client).toEqual({ base_url: 'https://eu.example.com', headers: {} })
  })

  it('writes the hint of a resource, parameters of paths and steps as a document has them', async () => {
    const [found] = await documents(`
rest_api_source({"client": {"base_url": "https://a.example.com", "headers": {"X-Key\\t": "v"}}, "resources": [
  {"name": "orders", "incremental": dlt.sources.incremental("updated_at"), "processing_steps": [{"map": lambda r: r}],
   "endpoint": {"path": "tokens/{token}", "params": {"token": "FILL_ME_IN"}, "response_actions": [{"status_code": 200, "action": clean}]}},
]})
`)
    expect(found?.source.client.headers).toEqual({ 'X-Key': 'v' })
    expect(found?.source.resources).toEqual([
      {
        name: 'orders',
        processing_steps: [],
        endpoint: {
          path: 'tokens/{token}',
          params: { token: 'FILL_ME_IN' },
          response_actions: [],
          incremental: { cursor_path: 'updated_at' },
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
    ['a function that calls itself', 'def f():\n    return f()\nrest_api_source(f())'],
    ['a list in itself', `a = []\na.append(a)\nrest_api_source({"client": {"base_url": "https://a"}, "resources": a})`],
    [
      'a loop within loops',
      `a = range(1000)\n${[0, 1, 2, 3].map(n => `${'  '.repeat(n)}for i${n} in a:`).join('\n')}\n        x = 1`,
    ],
    ['a list that doubles', `a = ["x"]\nfor i in range(1000):\n    a.extend(a)\nrest_api_source(a)`],
    ['a text that doubles', `a = "x"\nfor i in range(1000):\n    a += a\nrest_api_source(a)`],
    ['many conditions over many values', `a = [${'1, '.repeat(10_000)}]\n${'if x():\n    y = 1\n'.repeat(2000)}`],
    ['many dictionaries', `${'{"client": '.repeat(5000)}`],
  ]
  it.each(hostile)('%s is refused', async (_, text) => {
    await expect(importPipeline({ kind: 'dlt', text })).rejects.toMatchObject({ name: 'ConfigError' })
  })

  it('does not parse brackets that nest deeper than anybody writes', async () => {
    const text = `x = ${'['.repeat(50_000)}${']'.repeat(50_000)}\nrest_api_source(x)`
    await expect(importPipeline({ kind: 'dlt', text })).rejects.toThrow('nested too deeply')
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
