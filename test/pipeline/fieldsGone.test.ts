import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { duckdb, type JsonObject, pipeline, restApi } from '../../src/index.js'
import { type PostgresServer, startPostgres } from '../destinations/postgresServer.js'
import { testFolder } from './api.js'
import { jsonApi } from './hourlyVisits.js'
import { lastWarnings } from './sqlPlaces.js'

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
}, 120_000)
afterAll(async () => {
  await server.stop()
})

type Fields = (id: number) => JsonObject

const EMAIL: Fields = id => ({ email: `${id}@example.com` })
const MAIL: Fields = id => ({ mail: `${id}@example.com` })
const NONE: Fields = () => ({})

const people = (count: number, fields: Fields, from = 0): JsonObject[] =>
  Array.from({ length: count }, (_, place) => ({ id: from + place, at: from + place, ...fields(from + place) }))

const APPEND = { write_disposition: 'append' } as const
const MERGE = { write_disposition: 'merge' } as const
const REPLACE = { write_disposition: 'replace' } as const

describe.each(['duckdb', 'postgres'])('a field that an API stops sending, on %s', { timeout: 240_000 }, place => {
  const warned = (hints: object, loads: readonly JsonObject[][]) =>
    lastWarnings(server, place, 'fields_gone', { name: 'people', ...hints }, loads)

  const gone = [expect.stringMatching(/^people: 30 rows of people arrived, and none has a value of email \(in 100 %/)]
  const renamed = [expect.stringMatching(/email \(in 100 % of the last load\), and these are new: mail\./)]
  const rare: Fields = id => (id % 10 === 0 ? { ...EMAIL(id) } : {})

  it.each<[string, object, readonly JsonObject[][], readonly unknown[]]>([
    ['told of merged records', MERGE, [people(30, EMAIL), people(30, NONE)], gone],
    ['told of replaced ones', REPLACE, [people(30, EMAIL), people(30, NONE)], gone],
    ['told with its new name', MERGE, [people(30, EMAIL), people(30, MAIL)], renamed],
    ['told with its new name of rows that are added', APPEND, [people(30, EMAIL), people(30, MAIL, 30)], renamed],
    [
      'told of an object',
      MERGE,
      [people(30, id => ({ contact: EMAIL(id) })), people(30, NONE)],
      [expect.stringContaining('contact__email')],
    ],
    ['told once', MERGE, [people(30, EMAIL), people(30, NONE), people(30, NONE)], []],
    ['told once of rows that are added', APPEND, [people(30, EMAIL), people(30, MAIL, 30), people(30, MAIL, 60)], []],
    ['not told of a few records', MERGE, [people(9, EMAIL), people(9, NONE)], []],
    ['not told if one record has it', MERGE, [people(30, EMAIL), people(30, id => (id === 7 ? EMAIL(id) : {}))], []],
    ['not told of a rare field', MERGE, [people(30, rare), people(30, NONE)], []],
    [
      'told of a rare field of many records',
      MERGE,
      [people(300, rare), people(300, NONE)],
      [expect.stringMatching(/300 rows .* email \(in 10 %/)],
    ],
    ['not told of rows that are added, without a new column', APPEND, [people(30, EMAIL), people(30, NONE, 30)], []],
    [
      'not told where its values do not fit any longer',
      MERGE,
      [people(30, id => ({ size: id })), people(30, id => ({ size: `${id} m` }))],
      [],
    ],
  ])('is %s', async (_, hints, loads, expected) => {
    expect(await warned(hints, loads)).toEqual(expected)
  })
})

it('is told behind a cursor of many records only', { timeout: 120_000 }, async () => {
  const folder = await testFolder()
  let records = people(30, EMAIL)
  const url = await jsonApi(() => records)
  const loading = pipeline({
    name: 'shop',
    source: restApi(
      {
        client: { base_url: url, paginator: 'single_page' },
        resources: [{ name: 'people', ...APPEND, endpoint: { incremental: { cursor_path: 'at' } } }],
      },
      { env: {} },
    ),
    destination: duckdb(join(folder, 'shop.duckdb')),
    home: join(folder, 'home'),
  })
  const told = async (next: JsonObject[]): Promise<number> => {
    records = next
    const { warnings } = await loading.run()
    return warnings.filter(({ code }) => code === 'fields_gone').length
  }
  expect(await told(people(30, EMAIL))).toBe(0)
  expect(await told(people(60, MAIL, 100))).toBe(0)
  expect(await told(people(120, id => ({ post: id }), 200))).toBe(1)
})
