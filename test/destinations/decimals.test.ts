import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Destination, duckdb, files, pipeline, postgres, type RestApiConfig, restApi } from '../../src/index.js'
import { testApi, testFolder } from '../pipeline/api.js'
import { type PostgresServer, startPostgres } from './postgresServer.js'

/**
 * Doubles of JSON in decimal columns: their shortest decimal, rounded half away from zero. The first seven are what dlt
 * 1.31 loads.
 */
const CASES: readonly (readonly [literal: string, cents: string, whole: string])[] = [
  ['2.675', '2.68', '3'],
  ['0.615', '0.62', '1'],
  ['0.145', '0.15', '0'],
  ['1.005', '1.01', '1'],
  ['2.5', '2.50', '3'],
  ['0.5', '0.50', '1'],
  ['-0.5', '-0.50', '-1'],
  ['-2.675', '-2.68', '-3'],
  ['1.0', '1.00', '1'],
  ['1.004999', '1.00', '1'],
  ['-0.004', '0.00', '0'],
  ['1e3', '1000.00', '1000'],
  ['0.1', '0.10', '0'],
  ['12345678.125', '12345678.13', '12345678'],
]

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

const destinations: Readonly<Record<string, (folder: string) => Promise<Destination>>> = {
  duckdb: async folder => duckdb(join(folder, 'test.duckdb')),
  postgres: async () => postgres(server.url(await server.createDatabase())),
  parquet: async folder => files({ path: folder, format: 'parquet' }),
  jsonl: async folder => files({ path: folder, format: 'jsonl' }),
}

test.each(Object.keys(destinations))('doubles in decimal columns lose no cent: %s', async name => {
  const folder = await testFolder()
  const destination = await (destinations[name] as (typeof destinations)[string])(folder)
  // Twice the same shape and then another: rows that the walk knows, and rows that it does not.
  const rows = [...CASES, ...CASES].map(
    ([literal], id) =>
      `{"id":${id},"cents":${literal},"whole":${literal},"wei":${literal},"exact":${literal}${id % 5 === 4 ? `,"x${id}":1` : ''}}`,
  )
  const api = await testApi(() => ({ body: `[${rows.join(',')}]` }))
  const config: RestApiConfig = {
    client: { base_url: api.url, paginator: 'single_page' },
    resources: [
      {
        name: 'items',
        columns: [
          { name: 'cents', data_type: 'decimal', precision: 12, scale: 2 },
          { name: 'whole', data_type: 'decimal', precision: 20, scale: 0 },
          { name: 'wei', data_type: 'wei' },
          { name: 'exact', data_type: 'decimal', precision: 30, scale: 20 },
        ],
      },
    ],
  }
  const made = pipeline({ name: 'p', source: restApi(config, { env: {} }), destination, home: join(folder, 'home') })
  await made.run()
  const loaded = await made.dataset().table('items').orderBy('id').rows()
  expect(loaded.map(row => [String(row.cents), String(row.whole)])).toEqual(
    [...CASES, ...CASES].map(([, cents, whole]) => [cents, whole]),
  )
  // As with dlt, wei of Postgres have 78 digits behind the point.
  const wei = loaded.map(row => (name === 'postgres' ? Number(row.wei) : String(row.wei)))
  expect(wei).toEqual([...CASES, ...CASES].map(([literal, , whole]) => (name === 'postgres' ? Number(literal) : whole)))
  expect(String(loaded[12]?.exact)).toBe('0.10000000000000000000')
})
