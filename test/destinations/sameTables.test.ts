import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type Destination,
  duckdb,
  files,
  type Pipeline,
  pipeline,
  postgres,
  type RestApiConfig,
  type RunOptions,
  restApi,
} from '../../src/index.js'
import { testApi, testFolder } from '../pipeline/api.js'
import { type PostgresServer, startPostgres } from './postgresServer.js'

/** One sequence of loads into each destination: after each load the tables hold the same. */

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

type Thing = Readonly<Record<string, unknown>>

interface Step {
  readonly what: string
  readonly data: Readonly<Record<'log' | 'whole' | 'kept' | 'parts', readonly Thing[]>>
  readonly options?: RunOptions
  /** Instead of a run. */
  readonly drop?: string
}

const first = {
  log: [{ at: 1, text: 'a' }],
  whole: [
    { id: 1, tags: ['x', 'y'] },
    { id: 2, tags: [] },
  ],
  kept: [
    { id: 1, name: 'one', lines: [{ n: 1 }, { n: 2 }] },
    { id: 2, name: 'two', lines: [{ n: 3 }] },
    { id: 3, name: 'three', lines: [] },
  ],
  parts: [{ id: 10, size: 1 }],
}
const second = {
  log: [{ at: 2, text: 'b', extra: { deep: true } }],
  whole: [{ id: 3, tags: ['z'] }],
  kept: [
    { id: 1, name: 'ONE', lines: [{ n: 4, note: 'new' }] },
    { id: 3, name: 'three', lines: [{ n: 5 }] },
    { id: 4, name: 'four', price: 1.5, lines: [] },
  ],
  parts: [{ id: 11, size: '2024-01-01T00:00:00Z' }],
}

const steps: readonly Step[] = [
  { what: 'a first load', data: first },
  { what: 'the same once more', data: first },
  { what: 'rows that are gone, new columns and values of another type', data: second },
  { what: 'an empty list to replace with', data: { ...second, whole: [], log: [] } },
  { what: 'one resource alone', data: first, options: { select: ['kept'] } },
  { what: 'a refresh of data', data: second, options: { refresh: 'drop_data' } },
  { what: 'a refresh of one resource', data: first, options: { refresh: 'drop_resources', select: ['log', 'kept'] } },
  { what: 'a resource that is forgotten', data: first, drop: 'kept' },
  { what: 'a load behind it', data: second },
]

/** `merges`: rows are merged and deleted. Otherwise they are added, which is all that files can do with them. */
function documentFor(url: string, merges: boolean): RestApiConfig {
  const endpoint = (path: string) => ({ path, paginator: 'single_page' as const })
  const merged = (deletes: 'hard' | 'soft') =>
    merges
      ? { primary_key: 'id', write_disposition: 'merge' as const, deletes, max_delete_share: 1 }
      : { write_disposition: 'append' as const }
  return {
    client: { base_url: url },
    resources: [
      { name: 'log', write_disposition: 'append', endpoint: endpoint('log') },
      { name: 'whole', write_disposition: 'replace', endpoint: endpoint('whole') },
      { name: 'kept', ...merged('hard'), endpoint: endpoint('kept') },
      {
        name: 'parts',
        ...merged('soft'),
        include_from_parent: ['id'],
        endpoint: endpoint('kept/{resources.kept.id}/parts'),
      },
    ],
  }
}

/** Every table with its columns and rows, without what differs from load to load. Numbers have one form. */
async function contents(made: Pipeline): Promise<Record<string, unknown>> {
  const dataset = made.dataset()
  const found: Record<string, unknown> = {}
  for (const name of await dataset.tables()) {
    const rows = await dataset.table(name).rows()
    const plain = rows.map(row =>
      Object.fromEntries(
        Object.entries(row)
          .filter(([key]) => !/^_dlt_|^_sluice_deleted_at$/.test(key))
          .map(([key, value]) => [key, value instanceof Date ? value.toISOString() : String(value)])
          .concat(Object.hasOwn(row, '_sluice_deleted_at') ? [['gone', String(row._sluice_deleted_at !== null)]] : [])
          .sort(([one = ''], [other = '']) => (one < other ? -1 : 1)),
      ),
    )
    const columns = [...new Set(plain.flatMap(row => Object.keys(row)))].sort()
    found[name] = { columns, rows: plain.map(row => JSON.stringify(row)).sort() }
  }
  return found
}

async function loaded(destination: Destination, merges: boolean): Promise<Record<string, unknown>> {
  let data: Step['data'] = first
  const { url } = await testApi(({ pathname }) => {
    const [, name = '', id, isParts] = pathname.split('/')
    if (isParts !== undefined) return { json: data.parts.map(part => ({ ...part, id: `${id}-${part.id}` })) }
    return { json: data[name as keyof Step['data']] }
  })
  const made = pipeline({
    name: 'same',
    source: restApi(documentFor(url, merges), { env: {} }),
    destination,
    home: await testFolder(),
  })
  const after: Record<string, unknown> = {}
  for (const { what, data: now, options, drop } of steps) {
    data = now
    if (drop !== undefined) await made.drop([drop])
    else {
      const { receipts, deletes } = { deletes: undefined, ...(await made.run(options)) }
      after[`${what}: receipts`] = [deletes, receipts.map(one => [one.resource, one.verdict, one.rows, one.deleted])]
    }
    after[what] = await contents(made)
  }
  return after
}

test('a sequence of loads leaves the same tables at every destination', { timeout: 240_000 }, async () => {
  const folder = await testFolder()
  const inDuckdb = await loaded(duckdb(join(folder, 'same.duckdb')), false)
  expect(Object.keys(inDuckdb)).toHaveLength(2 * steps.length - 1)
  expect(await loaded(postgres(server.url(await server.createDatabase())), false)).toEqual(inDuckdb)
  expect(await loaded(files({ path: join(folder, 'files') }), false)).toEqual(inDuckdb)
})

test('so does a sequence with rows that are merged and deleted, where rows can change', {
  timeout: 240_000,
}, async () => {
  const inDuckdb = await loaded(duckdb(join(await testFolder(), 'same.duckdb')), true)
  expect(await loaded(postgres(server.url(await server.createDatabase())), true)).toEqual(inDuckdb)
  // What is compared is what was meant.
  const { kept, parts } = inDuckdb[steps[2]?.what ?? ''] as Record<string, { readonly rows: readonly string[] }>
  expect(kept?.rows.map(row => JSON.parse(row).name)).toEqual(['ONE', 'three', 'four'])
  expect(parts?.rows.map(row => JSON.parse(row).gone)).toContain('true')
})
