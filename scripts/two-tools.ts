/**
 * Lets dlt and Sluice take turns on one DuckDB dataset: ten loads, each by the other tool with an empty working folder,
 * against ten loads by dlt alone. Compares tables, rows, schema, state and loads.
 *
 *     npx tsx scripts/two-tools.ts PYTHON
 *
 * PYTHON is an interpreter that can import dlt 1.26 and duckdb. Not part of the tests.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual, promisify } from 'node:util'
import { duckdb, pipeline, type RestApiConfig, restApi } from '../src/index.js'
import { type Dataset, type RawTable, readDataset } from '../test/conformance/database.js'

const LOADS = 10
const DATASET = 'turns'
const PIPELINE = 'two_tools'

const DLT_LOAD = `
import json, sys, tempfile
import dlt
from dlt.sources.rest_api import rest_api_source
config, database, pipeline, dataset = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
with tempfile.TemporaryDirectory() as folder:
    p = dlt.pipeline(pipeline, pipelines_dir=folder, destination=dlt.destinations.duckdb(database), dataset_name=dataset)
    p.run(rest_api_source(config, name="rest_api"))
`

type Tool = 'dlt' | 'sluice'

/** What the API holds at the given revision: rows change, come and go, columns appear. */
function records(path: string, revision: number, since: number): readonly unknown[] {
  const ids = Array.from({ length: 20 + revision }, (_, index) => index + 1)
  if (path === '/orders')
    return ids
      .filter(id => id > revision * 2)
      .map(id => ({
        id,
        status: `s${(id + revision) % 4}`,
        at: `2024-05-01T00:00:${String(id % 60).padStart(2, '0')}Z`,
        buyer: { name: `n${id % 3}`, ...(revision > 3 ? { vip: id % 2 === 0 } : {}) },
        lines: Array.from({ length: (id + revision) % 4 }, (_, index) => ({
          sku: `a${index}`,
          qty: id + index,
          tags: ['x', 'y'].slice(0, index),
        })),
        ...(revision > 5 ? { note: revision % 2 === 0 ? 'late' : null } : {}),
      }))
  if (path === '/events')
    return ids.slice(0, 5).map(id => ({ id: id + revision * 100, value: id === 3 && revision > 2 ? 1.5 : id }))
  if (path === '/plans')
    return ids
      .slice(0, 3 + (revision % 3))
      .map(id => ({ id, name: `p${id}-${revision}`, limits: [{ kind: 'a', max: id }] }))
  return ids.map(id => ({ id, at: id * 10 })).filter(row => row.at >= since)
}

const asked: string[] = []
let revision = 0
const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1')
  asked.push(`${url.pathname}${url.search}`)
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ data: records(url.pathname, revision, Number(url.searchParams.get('since') ?? 0)) }))
})
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))

const config: RestApiConfig = {
  client: { base_url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, paginator: 'single_page' },
  resource_defaults: { endpoint: { data_selector: 'data' } },
  resources: [
    { name: 'orders', primary_key: 'id', write_disposition: 'merge' },
    { name: 'events', write_disposition: 'append' },
    { name: 'plans', write_disposition: 'replace' },
    {
      name: 'log',
      primary_key: 'id',
      write_disposition: 'append',
      endpoint: {
        params: { since: '{incremental.start_value}' },
        incremental: { cursor_path: 'at', initial_value: 0 },
      },
    },
  ],
}

async function load(tool: Tool, python: string, database: string, folder: string): Promise<void> {
  if (tool === 'dlt') {
    await promisify(execFile)(python, ['-c', DLT_LOAD, JSON.stringify(config), database, PIPELINE, DATASET], {
      env: { ...process.env, RUNTIME__DLTHUB_TELEMETRY: 'false' },
    })
    return
  }
  const home = await mkdtemp(join(folder, 'home-'))
  await pipeline({
    name: PIPELINE,
    dataset: DATASET,
    home,
    source: restApi(config),
    destination: duckdb(database),
  }).run()
}

/** Rows without random ids and load ids, nested rows with the form of their parent. */
function forms(dataset: Dataset, name: string): readonly string[] {
  const table = dataset.tables.get(name) as RawTable
  const form = (one: string, row: ReadonlyMap<string, unknown>): string => {
    const parent = dataset.schema?.tables[one]?.parent
    const above =
      parent &&
      dataset.tables.get(parent)?.rows.find(candidate => candidate.get('_dlt_id') === row.get('_dlt_parent_id'))
    const own = [...row]
      .filter(([column]) => !['_dlt_id', '_dlt_parent_id', '_dlt_root_id'].includes(column))
      .map(([column, value]) => [column, column === '_dlt_load_id' ? dataset.loads.get(String(value)) : value])
    return JSON.stringify([Object.fromEntries(own.sort()), parent && (above ? form(parent, above) : 'ORPHAN')])
  }
  return table.rows.map(row => form(name, row)).sort()
}

function compare(turns: Dataset, alone: Dataset): string[] {
  const problems: string[] = []
  const check = (what: string, a: unknown, b: unknown): void => {
    if (!isDeepStrictEqual(a, b))
      problems.push(
        `${what}:\n  turns ${JSON.stringify(a)?.slice(0, 600)}\n  dlt   ${JSON.stringify(b)?.slice(0, 600)}`,
      )
  }
  check('loads', turns.loads.size, alone.loads.size)
  check('tables', [...turns.tables.keys()], [...alone.tables.keys()])
  for (const name of alone.tables.keys()) {
    if (!turns.tables.has(name)) continue
    check(`columns of ${name}`, turns.tables.get(name)?.columns, alone.tables.get(name)?.columns)
    check(`rows of ${name}`, forms(turns, name), forms(alone, name))
  }
  check(
    'schema version and hash',
    [turns.schema?.version, turns.schema?.version_hash],
    [alone.schema?.version, alone.schema?.version_hash],
  )
  const cursors = (dataset: Dataset): unknown => (dataset.state as { sources?: unknown } | undefined)?.sources
  check('cursors', cursors(turns), cursors(alone))
  const version = (dataset: Dataset): unknown => [dataset.state?._state_version, dataset.state?._version_hash]
  check('state version and hash', version(turns), version(alone))
  return problems
}

const [python = 'python3'] = process.argv.slice(2)
const folder = await mkdtemp(join(tmpdir(), 'sluice-two-tools-'))
let failed = 0
try {
  const alone: string[][] = []
  for (const order of ['dlt alone', 'dlt first', 'sluice first'] as const) {
    const database = join(folder, `${order.replace(' ', '_')}.duckdb`)
    for (revision = 0; revision < LOADS; revision += 1) {
      const tool: Tool = order === 'dlt alone' || (revision % 2 === 0) === (order === 'dlt first') ? 'dlt' : 'sluice'
      asked.length = 0
      await load(tool, python, database, folder)
      const requests = [...asked].sort()
      if (order === 'dlt alone') alone.push(requests)
      else if (!isDeepStrictEqual(requests, alone[revision])) {
        failed += 1
        console.log(
          `${order}, load ${revision} by ${tool}: asked ${requests.join(' ')}, dlt alone asked ${alone[revision]?.join(' ')}`,
        )
      }
    }
    if (order === 'dlt alone') continue
    const problems = compare(
      await readDataset(database, DATASET),
      await readDataset(join(folder, 'dlt_alone.duckdb'), DATASET),
    )
    failed += problems.length
    console.log(
      `${order}: ${problems.length === 0 ? `${LOADS} loads in turns equal ${LOADS} loads by dlt alone` : problems.join('\n')}`,
    )
  }
} finally {
  server.close()
  await rm(folder, { recursive: true, force: true })
}
process.exitCode = failed === 0 ? 0 : 1
