import { afterAll, describe, expect, test } from 'vitest'
import { pipeline, restApi } from '../../src/index.js'
import { startPostgres } from '../destinations/postgresServer.js'
import { testApi, testFolder } from './api.js'
import { sqlPlaces } from './sqlPlaces.js'

/** Keys that differ only in what a column does not store: two records become one row, and nothing may call that complete. */

const server = await startPostgres()
afterAll(() => server.stop())

const early = '2024-01-01T00:00:00.'

/** The type of the key, and two keys of which the destination makes one. */
const CASES: readonly (readonly [string, object | undefined, readonly [unknown, unknown]])[] = [
  ['times below microseconds', undefined, [`${early}000000001Z`, `${early}000000002Z`]],
  ['times of another spelling', undefined, ['2024-01-01 00:00:00,0000001', '2024-01-01 00:00:00,0000002']],
  ['times of a day', { data_type: 'time' }, ['10:00:00.0000001', '10:00:00.0000002']],
  ['days', { data_type: 'date' }, ['2024-01-01T10:00:00Z', '2024-01-01T11:00:00Z']],
  ['texts with U+0000', undefined, ['a\u0000b', 'ab']],
  ['texts with halves of characters', undefined, ['\ud800', '\ud801']],
  ['decimals', { data_type: 'decimal', precision: 10, scale: 2 }, ['1.001', '1.002']],
  ['decimals of no scale', { data_type: 'decimal' }, ['1.0000000001', '1.0000000002']],
  ['doubles', { data_type: 'double' }, [9007199254740992, 9007199254740993n]],
  ['numbers as texts', { data_type: 'bigint' }, ['1', '01']],
  ['truths', { data_type: 'bool' }, ['yes', 'true']],
]

/** JSON with big integers and halves of surrogate pairs as they are. */
const jsonOf = (key: unknown): string => (typeof key === 'bigint' ? String(key) : JSON.stringify(key))

describe.each(Object.entries(sqlPlaces(server)))('%s', (_, open) => {
  test.each(CASES)('%s', async (_what, column, keys) => {
    const { destination } = await open()
    let text = '[]'
    const api = await testApi(() => ({ body: text }))
    const made = pipeline({
      name: 'test',
      source: restApi(
        {
          client: { base_url: api.url },
          resources: [
            {
              name: 'items',
              primary_key: 'k',
              write_disposition: 'merge',
              deletes: 'hard',
              max_delete_share: 1,
              ...(column && { columns: { k: column } }),
              endpoint: { path: 'items', paginator: 'single_page' },
            },
          ],
        } as never,
        { env: {} },
      ),
      destination,
      home: await testFolder(),
    })
    text = `[${keys.map(key => `{"k":${jsonOf(key)},"n":1}`).join(',')}]`
    const first = await made.run()
    expect(await made.dataset().table('items').rows()).toHaveLength(1)
    const reasons = [expect.stringMatching(/items\.k were not stored as they came/)]
    expect(first.receipts[0]).toMatchObject({ verdict: 'unproven', reasons })
    // The row stands for a record that is still there.
    text = `[{"k":${jsonOf(keys[1])},"n":2}]`
    await made.run()
    expect(await made.dataset().table('items').rows()).toHaveLength(1)
  })

  test.each<[string, object | undefined, readonly unknown[]]>([
    ['times', undefined, [`${early}000001Z`, `${early}000002000Z`]],
    ['days', { data_type: 'date' }, ['2024-01-01', '2024-01-02']],
    ['decimals', { data_type: 'decimal' }, ['1.5', '1.100000000000']],
    ['numbers', undefined, [1, 2]],
    ['texts of times', { data_type: 'text' }, [`${early}000000001Z`, `${early}000000002Z`]],
  ])('%s that stay what they are are complete', async (_what, column, keys) => {
    const { destination } = await open()
    const api = await testApi(() => ({ json: keys.map(k => ({ k, at: `${early}000000001Z`, note: 'a\u0000' })) }))
    const items = {
      name: 'items',
      primary_key: 'k',
      write_disposition: 'merge',
      ...(column && { columns: { k: column } }),
      endpoint: { path: 'items', paginator: 'single_page' },
    }
    const source = restApi({ client: { base_url: api.url }, resources: [items] } as never, { env: {} })
    const made = pipeline({ name: 'test', source, destination, home: await testFolder() })
    expect((await made.run()).receipts[0]).toMatchObject({ verdict: 'complete' })
    expect(await made.dataset().table('items').rows()).toHaveLength(2)
  })
})
