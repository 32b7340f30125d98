import { afterAll, describe, expect, test } from 'vitest'
import { type AnyTables, pipeline, restApi } from '../../src/index.js'
import { startPostgres } from '../destinations/postgresServer.js'
import { testApi, testFolder } from './api.js'
import { type SqlPlace, sqlPlaces } from './sqlPlaces.js'

/** A key that comes twice in one load: the last record wins wholly, with its lists. */

const server = await startPostgres()
afterAll(() => server.stop())

type Strategy = 'upsert' | 'insert-only' | 'delete-insert'
type Open = () => Promise<SqlPlace>
const STRATEGIES = ['upsert', 'insert-only', 'delete-insert'] as const

/** The values of the lists, after loads of these records. */
async function loaded(open: Open, strategy: Strategy, ...loads: readonly (readonly object[])[]) {
  const { destination } = await open()
  let records: readonly object[] = []
  const api = await testApi(() => ({ json: records }))
  const under = pipeline({
    name: 'test',
    source: restApi(
      {
        client: { base_url: api.url },
        resources: [
          {
            name: 'items',
            primary_key: 'id',
            columns: { gone: { data_type: 'bool', hard_delete: true } },
            write_disposition: { disposition: 'merge', strategy },
            endpoint: { path: 'items', paginator: 'single_page' },
          },
        ],
      },
      { env: {} },
    ),
    destination,
    home: await testFolder(),
  })
  for (records of loads) await under.run()
  const dataset = under.dataset<AnyTables>()
  const values: Record<string, readonly number[]> = {}
  for (const table of await dataset.tables()) {
    if (!table.startsWith('items__')) continue
    const rows = await dataset.table(table).rows()
    const numbers = rows.filter(row => typeof row.value === 'bigint').map(({ value }) => Number(value))
    if (numbers.length > 0) values[table.slice('items__'.length)] = numbers.sort((a, b) => a - b)
  }
  return values
}

/** The records of one load, and the values that stay, by table. */
const CASES: Readonly<Record<string, readonly [records: readonly object[], stays: Record<string, readonly number[]>]>> =
  {
    'lists with a record of another key between': [
      [
        { id: 1, list: [1, 2, 3] },
        { id: 2, list: [5] },
        { id: 1, list: [9] },
      ],
      { list: [5, 9] },
    ],
    'an empty list after a list': [
      [
        { id: 1, list: [4] },
        { id: 2, list: [5] },
        { id: 2, list: [] },
      ],
      { list: [4] },
    ],
    'no list after a list': [[{ id: 2, list: [5] }, { id: 2 }], {}],
    'a list after an empty list': [
      [
        { id: 2, list: [] },
        { id: 2, list: [5] },
      ],
      { list: [5] },
    ],
    'lists of some of many': [
      [
        { id: 2, list: [1, 2] },
        { id: 2, list: [] },
        { id: 3, list: [7] },
        { id: 2, list: [3, 4, 5] },
        { id: 3, list: [] },
        { id: 3, list: [8] },
        { id: 2 },
      ],
      { list: [8] },
    ],
    'a list that came with a deletion before': [
      [
        { id: 2, gone: true, list: [5] },
        { id: 2, list: [] },
      ],
      {},
    ],
    'a list that came with a deletion after': [
      [
        { id: 1, list: [1] },
        { id: 2, list: [5] },
        { id: 2, gone: true, list: [6, 7] },
      ],
      { list: [1] },
    ],
    'lists in lists, of which some are empty': [
      [
        { id: 1, rows: [{ deep: [1] }, { deep: [2, 3] }] },
        { id: 2, rows: [{ deep: [4] }] },
        { id: 1, rows: [{}, { deep: [5] }, { deep: [] }] },
        { id: 2, rows: [{ deep: [] }] },
      ],
      { rows__deep: [5] },
    ],
    'a table that lists of two levels share': [
      [
        { id: 1, a: [{ b: [1] }], a__b: [2] },
        { id: 2, a: [{ b: [3] }], a__b: [4] },
        { id: 1, a: [{ b: [] }, { b: [5] }] },
        { id: 2, a__b: [6] },
      ],
      { a__b: [5, 6] },
    ],
  }

describe.each(Object.entries(sqlPlaces(server)))('%s', (_, open) => {
  describe.each(STRATEGIES)('%s keeps what came with the last record', strategy => {
    test.each(Object.entries(CASES))('%s', async (_name, [records, stays]) => {
      expect(await loaded(open, strategy, records)).toEqual(stays)
    })
  })

  test.each(STRATEGIES)('%s into tables with rows, where the key is there or not', async strategy => {
    const before = [
      { id: 1, list: [10, 11] },
      { id: 2, list: [20] },
    ]
    const after = [
      { id: 1, list: [12] },
      { id: 3, list: [30, 31] },
      { id: 1, list: [] },
      { id: 2, list: [21] },
      { id: 3, list: [32] },
      { id: 2, list: [22, 23] },
    ]
    const stays = strategy === 'insert-only' ? [10, 11, 20, 32] : [22, 23, 32]
    expect(await loaded(open, strategy, before, after)).toEqual({ list: stays })
  })

  test.each(STRATEGIES)('%s where the records are batches apart', async strategy => {
    const apart = Array.from({ length: 130_000 }, (_, at) => ({ id: at % 65_000, list: at % 3 === 0 ? [at] : [] }))
    const stays = apart.slice(65_000).flatMap(({ list }) => list)
    const { list = [] } = await loaded(open, strategy, apart)
    expect(list.length).toBe(stays.length)
    expect(list).toEqual(stays)
  })
})
