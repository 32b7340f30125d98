import { afterAll, describe, expect, test } from 'vitest'
import { duckdb, pipeline, restApi } from '../../src/index.js'
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
  ['doubles of many digits', undefined, [{ digits: '0.10000000000000001' }, { digits: '0.1' }]],
  ['doubles beyond 2^53', undefined, [{ digits: '12345678901234567.5' }, { digits: '12345678901234568.5' }]],
  ['texts for doubles', { data_type: 'double' }, ['9007199254740993', '9007199254740992']],
  [
    'doubles for integers',
    { data_type: 'bigint' },
    [{ digits: '12345678901234567.0' }, { digits: '12345678901234568.0' }],
  ],
  [
    'doubles for decimals',
    { data_type: 'decimal' },
    [{ digits: '1234567890123456.11' }, { digits: '1234567890123456.12' }],
  ],
  [
    'seconds below microseconds',
    { data_type: 'timestamp' },
    [{ digits: '1704067200.1234561' }, { digits: '1704067200.1234562' }],
  ],
  ['bits that Base64 does not need', { data_type: 'binary' }, ['YQ==', 'YR==']],
  ['numbers as texts', { data_type: 'bigint' }, ['1', '01']],
  ['truths', { data_type: 'bool' }, ['yes', 'true']],
]

/** JSON with numbers in their `digits`, and with halves of surrogate pairs as they are. */
function jsonOf(key: unknown): string {
  if (typeof key === 'object' && key !== null && 'digits' in key) return String(key.digits)
  return typeof key === 'bigint' ? String(key) : JSON.stringify(key)
}

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
    ['midnights of days', { data_type: 'date' }, ['2024-01-01T00:00:00Z', '2024-01-02T00:00:00.000+00:00']],
    ['seconds of days', { data_type: 'date' }, [1704067200, 1704153600]],
    ['seconds of times', { data_type: 'timestamp' }, [1704067200.123456, 1704067200.5]],
    ['doubles', undefined, [0.1, 1.7976931348623157e308]],
    ['doubles and integers', { data_type: 'double' }, [2 ** 53, 1.5]],
    ['bytes', { data_type: 'binary' }, ['YQ==', 'Yg==']],
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

  test('times of a lower precision than their values', async () => {
    const { destination } = await open()
    const api = await testApi(() => ({ json: [{ k: `${early}0001Z` }, { k: `${early}0002Z` }] }))
    const items = {
      name: 'items',
      primary_key: 'k',
      write_disposition: 'merge',
      columns: { k: { data_type: 'timestamp', timezone: false, precision: 3 } },
      endpoint: { path: 'items', paginator: 'single_page' },
    }
    const source = restApi({ client: { base_url: api.url }, resources: [items] } as never, { env: {} })
    const made = pipeline({ name: 'test', source, destination, home: await testFolder() })
    expect((await made.run()).receipts[0]).toMatchObject({ verdict: 'unproven' })
  })

  test('a merge_key', async () => {
    const { destination } = await open()
    let at = `${early}0000001Z`
    const api = await testApi(() => ({ json: [{ n: 1, at }] }))
    const items = {
      name: 'items',
      merge_key: 'at',
      write_disposition: 'merge',
      endpoint: { path: 'items', paginator: 'single_page' },
    }
    const source = restApi({ client: { base_url: api.url }, resources: [items] } as never, { env: {} })
    const made = pipeline({ name: 'test', source, destination, home: await testFolder() })
    await made.run()
    at = `${early}0000002Z`
    const second = await made.run()
    expect(await made.dataset().table('items').rows()).toHaveLength(1)
    const reasons = [expect.stringMatching(/items\.at were not stored as they came/)]
    expect(second.receipts[0]).toMatchObject({ verdict: 'unproven', reasons })
  })
})

describe('bytes that are no text', () => {
  const latin = (text: string): Buffer => Buffer.from(text, 'latin1')

  test.each<[string, Buffer, object]>([
    ['of JSON', latin('[{"k":"K\xf6ln"},{"k":"K\xe4ln"}]'), {}],
    ['of CSV', latin('k,n\nK\xf6ln,1\nK\xe4ln,2\n'), { endpoint: { path: 'items', format: 'csv' } }],
    ['of masked records', latin('[{"k":"K\xf6ln","n":1},{"k":"K\xe4ln","n":2}]'), { mask: { n: 'drop' } }],
    ['in a merge_key', latin('[{"k":"K\xf6ln"},{"k":"K\xe4ln"}]'), { primary_key: undefined, merge_key: 'k' }],
  ])('%s make a doubt where they are in a key', async (_what, body, more) => {
    const { receipts } = await ofBytes(body, more)
    const reasons = [expect.stringMatching(/U\+FFFD stands in the key k/)]
    expect(receipts[0]).toMatchObject({ records: 2, verdict: 'unproven', reasons })
  })

  test.each<[string, Buffer, object]>([
    ['beside the key', latin('[{"k":"a","n":"K\xf6ln"},{"k":"b","n":"K\xe4ln"}]'), {}],
    ['in what is appended', latin('[{"k":"K\xf6ln"}]'), { write_disposition: 'append' }],
    ['that the API itself replaced', Buffer.from('[{"k":"K\ufffdln"},{"k":"b"}]'), {}],
  ])('%s make none', async (_what, body, more) => {
    expect((await ofBytes(body, more)).receipts[0]).toMatchObject({ verdict: 'complete' })
  })

  async function ofBytes(body: Buffer, more: object) {
    const api = await testApi(() => ({ body }))
    const items = {
      name: 'items',
      primary_key: 'k',
      write_disposition: 'merge',
      ...more,
      endpoint: { path: 'items', paginator: 'single_page', ...('endpoint' in more ? (more.endpoint as object) : {}) },
    }
    const source = restApi({ client: { base_url: api.url }, resources: [items] } as never, { env: {} })
    return await pipeline({ name: 'test', source, destination: duckdb(':memory:'), home: await testFolder() }).run()
  }
})
