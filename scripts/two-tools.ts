/**
 * Lets dlt and Sluice take turns on one dataset, in DuckDB, in Postgres and in files: ten loads, each by the other tool
 * with an empty working folder, against ten loads by dlt alone. Compares requests, tables, rows, schema, state and loads,
 * and lets dlt read what is there. With dlt 1.31 or newer, strategies and options of a merge that came with it take part.
 *
 *     npx tsx scripts/two-tools.ts PYTHON... [duckdb] [postgres] [files]
 *
 * Each PYTHON is an interpreter that can import dlt with its extras `duckdb`, `postgres` and `filesystem`, and with
 * `sqlglot<28`; the oldest and the newest version that Sluice takes turns with are 1.26 and 1.31. Not part of the tests,
 * which have files that dlt wrote instead (`test/golden/`).
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual, promisify } from 'node:util'
import {
  type Destination,
  duckdb,
  files,
  type Pipeline,
  pipeline,
  postgres,
  type RestApiConfig,
  restApi,
} from '../src/index.js'
import {
  type Dataset,
  type RawTable,
  readDataset,
  type StoredSchema,
  type StoredTable,
} from '../test/conformance/database.js'
import { startPostgres } from '../test/destinations/postgresServer.js'

const LOADS = 10
const DATASET = 'turns'
const PIPELINE = 'two_tools'

/**
 * Where the two differ on purpose, and what is compared instead.
 *
 * - Since 1.31 dlt describes the columns of its own tables and variant columns; Sluice keeps descriptions that are
 *   there and makes none. Schemas are compared without them, their hashes only where dlt writes none.
 * - Since 1.29 dlt keeps 12 characters of a boundary hash, Sluice begins sets of 20, which every version reads. Sets
 *   are compared by the first 12, hashes of the state only where dlt writes 20.
 * - Of several rows at a boundary dlt writes the hashes in the order of a Python set, which is another in every process:
 *   the hash of such a state says nothing.
 */
const SHORT_HASH = 12

const DLT_PIPELINE = `
import json, sys, tempfile
import dlt
from dlt.sources.rest_api import rest_api_source
given = json.loads(sys.argv[1])
destination = getattr(dlt.destinations, given["kind"])(given["place"])
def made(folder):
    return dlt.pipeline(given["pipeline"], pipelines_dir=folder, destination=destination, dataset_name=given["dataset"])
`

const DLT_LOAD = `${DLT_PIPELINE}
with tempfile.TemporaryDirectory() as folder:
    made(folder).run(rest_api_source(given["config"], name="rest_api"))
`

const DLT_READ = `${DLT_PIPELINE}
with tempfile.TemporaryDirectory() as folder:
    p = made(folder)
    p.sync_destination()
    dataset = p.dataset()
    tables = [table["name"] for table in p.default_schema.data_tables(seen_data_only=True)]
    print(json.dumps({name: len(dataset[name].fetchall()) for name in tables}))
`

type Tool = 'dlt' | 'sluice'
type Kind = 'duckdb' | 'postgres' | 'files'

/** A dataset that both tools load into. */
interface Place {
  readonly kind: Kind
  /** As dlt's factory of the destination takes it. */
  readonly place: string
  readonly destination: Destination
}

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
  if (path === '/marks') return ids.map(id => ({ id, at: Math.floor(id / 3) })).filter(row => row.at >= since)
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

/** A dataset to load into, and what the version of dlt knows of merges. */
interface Case {
  readonly kind: Kind
  readonly hasMergeOptions: boolean
}

/** Files cannot be merged into. */
function configFor({ kind, hasMergeOptions }: Case): RestApiConfig {
  const since = { params: { since: '{incremental.start_value}' }, incremental: { cursor_path: 'at', initial_value: 0 } }
  return {
    client: { base_url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, paginator: 'single_page' },
    resource_defaults: { endpoint: { data_selector: 'data' } },
    resources: [
      { name: 'orders', primary_key: 'id', write_disposition: kind === 'files' ? 'append' : 'merge' },
      { name: 'events', write_disposition: 'append' },
      { name: 'plans', write_disposition: 'replace' },
      { name: 'log', primary_key: 'id', write_disposition: 'append', endpoint: since },
      // Without a key rows are known by all they hold; several lie at the boundary.
      { name: 'marks', write_disposition: 'append', endpoint: since },
      ...(hasMergeOptions && kind !== 'files' ? OPTIONS_OF_MERGES : []),
    ],
  }
}

const merge = (strategy: 'delete-insert' | 'upsert' | 'cdc', options: object, more: object = {}) => ({
  primary_key: 'id',
  write_disposition: { disposition: 'merge', strategy, ...options } as const,
  ...more,
})

/** All load what `/orders` answers. */
const OPTIONS_OF_MERGES: RestApiConfig['resources'] = [
  { name: 'copies', ...merge('cdc', { skip_unchanged_rows: true }), endpoint: 'orders' },
  {
    name: 'open',
    ...merge('cdc', { source_filter: "status <> 's1'", destination_scope: 'id < 15' }),
    endpoint: 'orders',
  },
  { name: 'groups', ...merge('cdc', {}, { merge_key: 'status' }), endpoint: 'orders' },
  {
    name: 'kept',
    ...merge('upsert', { source_filter: "status = 's2'", skip_unchanged_rows: true }),
    endpoint: 'orders',
  },
  {
    name: 'versions',
    ...merge('upsert', { skip_unchanged_rows: true, row_version_column_name: 'status' }),
    endpoint: 'orders',
  },
  {
    name: 'scoped',
    ...merge('delete-insert', { destination_scope: '{table}.status IN (SELECT status FROM {staging_table})' }),
    endpoint: 'orders',
  },
]

async function runDlt(python: string, script: string, { kind, place }: Place, config?: RestApiConfig): Promise<string> {
  const factory = kind === 'files' ? 'filesystem' : kind
  const given = JSON.stringify({ kind: factory, place, config, pipeline: PIPELINE, dataset: DATASET })
  const { stdout } = await promisify(execFile)(python, ['-c', script, given], {
    env: { ...process.env, RUNTIME__DLTHUB_TELEMETRY: 'false', RUNTIME__LOG_LEVEL: 'CRITICAL' },
  })
  return stdout
}

async function sluice({ destination }: Place, config: RestApiConfig, folder: string): Promise<Pipeline> {
  const home = await mkdtemp(join(folder, 'home-'))
  return pipeline({ name: PIPELINE, dataset: DATASET, home, source: restApi(config), destination })
}

async function load(tool: Tool, python: string, place: Place, config: RestApiConfig, folder: string): Promise<void> {
  if (tool === 'dlt') await runDlt(python, DLT_LOAD, place, config)
  else await (await sluice(place, config, folder)).run()
}

/** What is there: of DuckDB as the engine reads it, elsewhere as Sluice does. */
async function contents(place: Place): Promise<Dataset> {
  if (place.kind === 'duckdb') return await readDataset(place.place, DATASET)
  await using connection = await place.destination.connect(DATASET)
  const committed = await connection.committed(PIPELINE, 'rest_api')
  const rowsOf = async (table: string): Promise<Map<string, unknown>[]> => {
    const rows: Map<string, unknown>[] = []
    for await (const batch of connection.read({ table })) {
      for (const row of batch) rows.push(new Map(Object.entries(row).map(([name, value]) => [name, spelled(value)])))
    }
    return rows
  }
  const ids = (await rowsOf('_dlt_loads')).map(row => String(row.get('load_id'))).sort()
  const tables = new Map<string, RawTable>()
  for (const [name, columns] of await connection.inspect()) {
    if (/^_(dlt|sluice)_/.test(name)) continue
    tables.set(name, {
      columns: [...columns].map(([column, { type, nullable }]) => ({ name: column, type, nullable })),
      rows: (await rowsOf(name)).map(row => new Map([...row].filter(([, value]) => value !== null))),
    })
  }
  return {
    loads: new Map(ids.map((id, index) => [id, `load:${index + 1}`])),
    tables: new Map([...tables].sort(([a], [b]) => (a < b ? -1 : 1))),
    schema: committed?.schema === undefined ? undefined : (JSON.parse(committed.schema) as StoredSchema),
    state: committed?.state as Dataset['state'],
  }
}

function spelled(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  return value instanceof Date ? value.toISOString() : value
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

/** The tables of a schema without the descriptions that one of the tools alone writes. */
function undescribed(schema: StoredSchema | undefined): unknown {
  const table = ({ columns, ...hints }: StoredTable) => ({
    ...hints,
    columns: Object.entries(columns).map(([name, { description: _, ...column }]) => ({ name, ...column })),
  })
  return Object.entries(schema?.tables ?? {})
    .map(([name, stored]) => [name, table(stored)])
    .sort()
}

const isDescribed = (schema: StoredSchema | undefined): boolean =>
  Object.values(schema?.tables ?? {}).some(({ columns }) =>
    Object.values(columns).some(column => column.description !== undefined),
  )

type State = { readonly [key: string]: unknown } | undefined

/** The cursors of a state by resource, hashes in the length that all tools have. */
function cursors(state: State): unknown {
  const shortened = (key: string, value: unknown): unknown =>
    key === 'unique_hashes' && Array.isArray(value)
      ? value.map(hash => String(hash).slice(0, SHORT_HASH)).sort()
      : value
  return JSON.parse(JSON.stringify(state?.sources ?? {}), shortened)
}

/** Whether the hash of a state is the same in every process of dlt, and one that Sluice writes too. */
function hasComparableHash(state: State): boolean {
  const sets = [...JSON.stringify(state?.sources ?? {}).matchAll(/"unique_hashes":\[([^\]]*)\]/g)]
  return sets.every(([, hashes = '']) => !hashes.includes(',') && hashes.length - '""'.length !== SHORT_HASH)
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
  check('schema', undescribed(turns.schema), undescribed(alone.schema))
  if (!isDescribed(alone.schema)) {
    const version = ({ schema }: Dataset): unknown => [schema?.version, schema?.version_hash]
    check('schema version and hash', version(turns), version(alone))
  }
  check('cursors', cursors(turns.state), cursors(alone.state))
  check('state version', turns.state?._state_version, alone.state?._state_version)
  if (hasComparableHash(alone.state)) check('state hash', turns.state?._version_hash, alone.state?._version_hash)
  return problems
}

/** Ten loads in each order; the problems found. */
async function turns(
  python: string,
  hasMergeOptions: boolean,
  open: (name: string) => Promise<Place>,
  folder: string,
): Promise<string[]> {
  const problems: string[] = []
  const alone = await open('alone')
  const config = configFor({ kind: alone.kind, hasMergeOptions })
  const requests: string[][] = []
  for (const order of ['dlt alone', 'dlt first', 'sluice first'] as const) {
    const place = order === 'dlt alone' ? alone : await open(order.replace(' ', '_'))
    for (revision = 0; revision < LOADS; revision += 1) {
      const tool: Tool = order === 'dlt alone' || (revision % 2 === 0) === (order === 'dlt first') ? 'dlt' : 'sluice'
      asked.length = 0
      await load(tool, python, place, config, folder)
      const sent = [...asked].sort()
      if (order === 'dlt alone') requests.push(sent)
      else if (!isDeepStrictEqual(sent, requests[revision])) {
        const expected = requests[revision]?.join(' ')
        problems.push(`${order}, load ${revision} by ${tool}: asked ${sent.join(' ')}, dlt alone asked ${expected}`)
      }
    }
    if (order === 'dlt alone') continue
    const there = await contents(place)
    problems.push(...compare(there, await contents(alone)).map(problem => `${order}: ${problem}`))
    const read = JSON.parse(await runDlt(python, DLT_READ, place)) as Record<string, number>
    for (const [name, { rows }] of there.tables) {
      if (read[name] !== rows.length)
        problems.push(`${order}: dlt reads ${read[name]} of ${rows.length} rows of ${name}`)
    }
  }
  return problems
}

const kinds: readonly Kind[] = ['duckdb', 'postgres', 'files']
const isKind = (text: string): text is Kind => (kinds as readonly string[]).includes(text)
const given = process.argv.slice(2)
const chosen = given.filter(isKind)
const pythons = given.filter(text => !isKind(text))
const folder = await mkdtemp(join(tmpdir(), 'sluice-two-tools-'))
const engine = chosen.length === 0 || chosen.includes('postgres') ? await startPostgres() : undefined
let failed = 0
try {
  for (const python of pythons.length === 0 ? ['python3'] : pythons) {
    const asks = 'import dlt; print(dlt.__version__)'
    const version = (await promisify(execFile)(python, ['-c', asks])).stdout.trim()
    for (const kind of chosen.length === 0 ? kinds : chosen) {
      const open = async (name: string): Promise<Place> => {
        const path = join(folder, `${version}_${name}`)
        // A dataset that dlt began is gone on with in its format; one of our own is begun in the format that dlt goes on in.
        const format = name === 'sluice_first' ? 'jsonl' : undefined
        if (kind === 'files') return { kind, place: path, destination: files({ path, format }) }
        if (kind === 'duckdb') return { kind, place: `${path}.duckdb`, destination: duckdb(`${path}.duckdb`) }
        const url = engine?.url(await engine.createDatabase()) ?? ''
        return { kind, place: url, destination: postgres(url) }
      }
      const problems = await turns(python, Number(version.split('.')[1]) >= 31, open, folder)
      failed += problems.length
      const equal = `${LOADS} loads in turns, in both orders, equal ${LOADS} loads by dlt alone`
      console.log(`dlt ${version}, ${kind}: ${problems.length === 0 ? equal : problems.join('\n')}`)
    }
  }
} finally {
  server.close()
  await engine?.stop()
  await rm(folder, { recursive: true, force: true })
}
process.exitCode = failed === 0 ? 0 : 1
