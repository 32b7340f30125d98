import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, test } from 'vitest'
import { duckdb, pipeline, type RestApiConfig, type RunOptions, restApi } from '../../src/index.js'
import { testApi, testFolder } from './api.js'

type Json = Record<string, unknown>
type Change = (schema: { tables: Record<string, Json>; settings: Json; normalizers: Json } & Json) => void

/** A dataset with a merged table of one nested table, whose stored schema another tool changes before the next run. */
async function changedBetweenRuns(change: Change) {
  const folder = await testFolder()
  const path = join(folder, 'test.duckdb')
  let rows: readonly object[] = [1, 2, 3].map(id => ({ id, tags: ['a'] }))
  const api = await testApi(() => ({ json: rows }))
  const made = (resource: object) =>
    pipeline({
      name: 'test',
      dataset: 'd',
      source: restApi(
        {
          client: { base_url: api.url, paginator: 'single_page' },
          resources: [{ name: 'items', primary_key: 'id', ...resource }],
        } as RestApiConfig,
        { env: {} },
      ),
      destination: duckdb(path),
      home: join(folder, 'home'),
    })
  await made({ write_disposition: 'merge' }).run()
  await changeStoredSchema(path, change)
  rows = [1, 4].map(id => ({ id, tags: ['a'], fresh: true }))
  const asked = api.asked.length
  return {
    run: (resource: object = { write_disposition: 'merge' }, options: RunOptions = {}) => made(resource).run(options),
    /** Table `items` of the newest stored schema, as the last run left it. */
    storedTable: async () => {
      let table: unknown
      await changeStoredSchema(path, schema => {
        table = schema.tables.items
      })
      return table
    },
    requests: () => api.asked.length - asked,
    ids: async () => {
      const loaded = await made({}).dataset().table('items').orderBy('id').rows()
      return loaded.map(row => Number(row.id))
    },
  }
}

async function changeStoredSchema(path: string, change: Change): Promise<void> {
  const database = await DuckDBInstance.create(path)
  const connection = await database.connect()
  try {
    const stored = await connection.runAndReadAll('SELECT schema FROM d._dlt_version ORDER BY version DESC LIMIT 1')
    const schema = JSON.parse(String(stored.getRows()[0]?.[0]))
    change(schema)
    await connection.run('UPDATE d._dlt_version SET schema = $1', [JSON.stringify(schema)])
  } finally {
    connection.closeSync()
    database.closeSync()
  }
}

const onTable =
  (hints: Json, table = 'items'): Change =>
  schema => {
    Object.assign(schema.tables[table] as Json, hints)
  }

const onColumn =
  (hints: Json): Change =>
  schema => {
    const columns = schema.tables.items?.columns as Record<string, Json>
    Object.assign(columns.id as Json, hints)
  }

describe('a stored schema that asks for what is not known here', () => {
  test.each<[string, Change]>([
    ['table items: x-merge-strategy: "mirror"', onTable({ 'x-merge-strategy': 'mirror' })],
    ['table items: x-merge-source-filter: "id < {x}"', onTable({ 'x-merge-source-filter': 'id < {x}' })],
    ['table items: x-merge-source-filter: 3', onTable({ 'x-merge-source-filter': 3 })],
    ['table items: x-merge-destination-scope: "{rows}"', onTable({ 'x-merge-destination-scope': '{rows}' })],
    ['table items: x-merge-skip-unchanged-rows: "yes"', onTable({ 'x-merge-skip-unchanged-rows': 'yes' })],
    ['table items: x-merge-of-tomorrow: {"a":1}', onTable({ 'x-merge-of-tomorrow': { a: 1 } })],
    ['table items__tags: x-merge-source-filter: "true"', onTable({ 'x-merge-source-filter': 'true' }, 'items__tags')],
    ['table items: write_disposition: "mirror"', onTable({ write_disposition: 'mirror' })],
    ['table items: schema_contract: "warn"', onTable({ schema_contract: { columns: 'warn' } })],
    ['table items: schema_contract.rows: "freeze"', onTable({ schema_contract: { rows: 'freeze' } })],
    ['table items: rows are left out by filters.excludes', onTable({ filters: { excludes: ['re:^tags'] } })],
    ['column items.id: data_type: "geometry"', onColumn({ data_type: 'geometry' })],
    ['column items.id: dedup_sort: "newest"', onColumn({ dedup_sort: 'newest' })],
    ['its settings: rounding: "up"', ({ settings }) => Object.assign(settings, { rounding: 'up' })],
    ['its detections: "uuid"', ({ settings }) => Object.assign(settings, { detections: ['uuid'] })],
    [
      'its preferred types: re:^x: "uuid"',
      ({ settings }) => Object.assign(settings, { preferred_types: { 're:^x': 'uuid' } }),
    ],
    [
      'its normalizers: json.module: "mine"',
      ({ normalizers }) => Object.assign(normalizers.json as Json, { module: 'mine' }),
    ],
    [
      'its normalizers: depth_first: true',
      ({ normalizers }) => Object.assign(normalizers.json as Json, { config: { depth_first: true } }),
    ],
  ])('is refused before the first request: %s', async (says, change) => {
    const { run, requests, ids } = await changedBetweenRuns(change)
    await expect(run()).rejects.toMatchObject({
      code: 'schema',
      message: expect.stringContaining(`The stored schema rest_api says of ${says}`),
    })
    expect(requests()).toBe(0)
    expect(await ids()).toEqual([1, 2, 3])
  })

  test('is refused when it was written by a newer engine', async () => {
    const { run } = await changedBetweenRuns(schema => Object.assign(schema, { engine_version: 99 }))
    await expect(run()).rejects.toThrow(/written by a newer tool \(engine 99/)
  })

  test('is refused when its tables are nested in a circle', async () => {
    const { run } = await changedBetweenRuns(onTable({ parent: 'items__tags' }))
    await expect(run()).rejects.toThrow(/goes in a circle/)
  })

  test.each<[string, Change, object, number[]]>([
    ['a strategy in the document', onTable({ 'x-merge-strategy': 'mirror' }), merge('upsert'), [1, 2, 3, 4]],
    ['rows that are appended', onTable({ 'x-merge-strategy': 'mirror' }), append, [1, 1, 2, 3, 4]],
    ['options that are off', onTable({ 'x-merge-skip-unchanged-rows': false }), merge(), [1, 2, 3, 4]],
    [
      'hints that describe',
      onTable({ 'x-owner': 'me', description: 'd', 'x-loader': { a: 1 } }),
      merge(),
      [1, 2, 3, 4],
    ],
    ['columns with hints of others', onColumn({ 'x-pii': true, description: 'd' }), merge(), [1, 2, 3, 4]],
    ['other tables', onTable({ 'x-merge-strategy': 'mirror' }, '_dlt_loads'), merge(), [1, 2, 3, 4]],
  ])('is no matter for %s', async (_, change, resource, expected) => {
    const { run, ids } = await changedBetweenRuns(change)
    await run(resource)
    expect(await ids()).toEqual(expected)
  })

  test('keeps the hints that are no matter', async () => {
    const { run, storedTable } = await changedBetweenRuns(onTable({ 'x-owner': 'me' }))
    await run()
    expect(await storedTable()).toMatchObject({ 'x-owner': 'me', 'x-normalizer': { 'seen-data': true } })
  })

  test('is no matter once the tables are forgotten', async () => {
    const { run, ids } = await changedBetweenRuns(onTable({ 'x-merge-strategy': 'mirror' }))
    await run(undefined, { refresh: 'drop_resources' })
    expect(await ids()).toEqual([1, 4])
  })
})

const append = { write_disposition: 'append' }

function merge(strategy?: string): object {
  return { write_disposition: strategy === undefined ? 'merge' : { disposition: 'merge', strategy } }
}
