import { join } from 'node:path'
import { expect, test } from 'vitest'
import { duckdb, pipeline, restApi } from '../../src/index.js'
import { testApi, testFolder } from './api.js'

/** A key that comes twice in one load: the last record wins wholly, with its lists. */

async function loaded(strategy: 'upsert' | 'insert-only' | 'delete-insert', records: readonly object[]) {
  const folder = await testFolder()
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
            write_disposition: { disposition: 'merge', strategy },
            endpoint: { path: 'items', paginator: 'single_page' },
          },
        ],
      },
      { env: {} },
    ),
    destination: duckdb({ path: join(folder, 'test.duckdb') }),
    home: join(folder, 'home'),
  })
  await under.run()
  const rows = await under.dataset().table('items__list').rows()
  return rows.map(({ value }) => Number(value)).sort()
}

test.each(['upsert', 'insert-only', 'delete-insert'] as const)(
  '%s keeps the lists of the last record',
  async strategy => {
    const records = [
      { id: 1, list: [1, 2, 3] },
      { id: 1, list: [9] },
      { id: 2, list: [5] },
    ]
    expect(await loaded(strategy, records)).toEqual([5, 9])
  },
)

test.each(['upsert', 'insert-only'] as const)(
  '%s refuses lists of which nothing tells whose they are',
  async strategy => {
    const records = [
      { id: 2, list: [5] },
      { id: 2, list: [] },
    ]
    await expect(loaded(strategy, records)).rejects.toMatchObject({
      code: 'primary_key',
      message: expect.stringContaining('delete-insert'),
    })
  },
)

test('delete-insert keeps the empty list of the last record', async () => {
  const records = [
    { id: 1, list: [4] },
    { id: 2, list: [5] },
    { id: 2, list: [] },
  ]
  expect(await loaded('delete-insert', records)).toEqual([4])
})
