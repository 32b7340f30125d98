import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { sluice } from '../../src/cli/program.js'
import { duckdb, files, type NamingName, pipeline, type RestApiConfig, restApi } from '../../src/index.js'
import { screen } from '../cli/screen.js'
import { startPostgres } from '../destinations/postgresServer.js'
import { testApi, testFolder } from './api.js'
import { inDuckdb, sqlPlaces } from './sqlPlaces.js'

/** `deletes: with_parent` where it is asked for in other ways, other places and under other names. */

const server = await startPostgres()
afterAll(() => server.stop())

const Shops = {
  name: 'Shops',
  primary_key: 'shopId',
  write_disposition: 'merge',
  deletes: 'hard',
  max_delete_share: 1,
  endpoint: { path: 'shops', paginator: 'single_page' },
} as const
const Orders = {
  name: 'shopOrders',
  primary_key: 'orderId',
  write_disposition: 'merge',
  deletes: 'with_parent',
  max_delete_share: 1,
  include_from_parent: ['shopId'],
  endpoint: { path: 'shops/{resources.Shops.shopId}/orders', data_selector: '$', paginator: 'single_page' },
} as const

/** Two shops, whose orders have lines of their own; `close` takes the first shop away. */
async function shopsApi() {
  let shops = [1, 2]
  const { url, asked } = await testApi(({ pathname }) => {
    const shop = Number(/\/shops\/(\d+)/.exec(pathname)?.[1])
    return {
      json: Number.isNaN(shop)
        ? shops.map(shopId => ({ shopId }))
        : [0, 1].map(n => ({ orderId: shop * 10 + n, lines: [{ n }] })),
    }
  })
  return {
    url,
    asked,
    close: () => {
      shops = [2]
    },
  }
}

function document(url: string, orders: object = Orders): RestApiConfig {
  return { client: { base_url: url }, resources: [Shops, orders] } as RestApiConfig
}

describe.each(Object.entries(sqlPlaces(server)))('%s', (_, open) => {
  test.each<[NamingName, string, string]>([
    ['snake_case', 'shop_orders', 'order_id'],
    ['direct', 'shopOrders', 'orderId'],
    ['duck_case', 'shopOrders', 'orderId'],
    ['sql_cs_v1', 'shopOrders', 'orderId'],
    ['sql_ci_v1', 'shoporders', 'orderid'],
  ])('rows go with their parents under the names of %s', async (naming, table, key) => {
    const { destination } = await open()
    const { url, close } = await shopsApi()
    const home = await testFolder()
    const made = pipeline({ name: 'test', source: restApi(document(url), { env: {} }), destination, naming, home })
    await made.run()
    close()
    const { receipts } = await made.run()
    expect(receipts.map(({ resource, deleted }) => [resource, deleted])).toEqual([
      ['Shops', 1],
      ['shopOrders', 2],
    ])
    const rows = await made.dataset().table(table).rows()
    expect(rows.map(row => Number(row[key])).sort()).toEqual([20, 21])
  })

  test('rows go that were loaded before anybody asked for it, by a tool that knows nothing of it', async () => {
    const { destination, sql } = await open()
    const { url, close } = await shopsApi()
    const home = await testFolder()
    const make = (resources: readonly object[]) =>
      pipeline({
        name: 'test',
        source: restApi({ client: { base_url: url }, resources } as RestApiConfig, { env: {} }),
        destination,
        home,
      })
    const { deletes: _shops, max_delete_share: _share, ...plainShops } = Shops
    const { deletes: _orders, max_delete_share: _most, ...plainOrders } = Orders
    await make([plainShops, plainOrders]).run()
    // What dlt would have left: no table of ours.
    await sql('DROP TABLE test_dataset._sluice_receipts')
    close()
    const made = make([Shops, Orders])
    const { receipts } = await made.run()
    expect(receipts.map(({ deleted }) => deleted)).toEqual([1, 2])
    const rows = await made.dataset().table('shop_orders').rows()
    expect(rows.map(row => Number(row.order_id)).sort()).toEqual([20, 21])
    expect(await made.dataset().table('shop_orders__lines').rows()).toHaveLength(2)
  })

  test('rows stay that do not say whose they are, from a time when they did not', async () => {
    const { destination } = await open()
    const { url, close } = await shopsApi()
    const home = await testFolder()
    const make = (orders: object) =>
      pipeline({ name: 'test', source: restApi(document(url, orders), { env: {} }), destination, home })
    const { deletes: _, include_from_parent: _without, ...before } = Orders
    await make(before).run()
    close()
    const made = make(Orders)
    const { receipts } = await made.run()
    expect(receipts[1]?.deleted).toBeUndefined()
    expect(await made.dataset().table('shop_orders').rows()).toHaveLength(4)
  })
})

test('the command takes rows with their parents, and says how many', async () => {
  const folder = await testFolder()
  const { url, close } = await shopsApi()
  const file = join(folder, 'test.json')
  const database = join(folder, 'test.duckdb')
  await writeFile(file, JSON.stringify(document(url)))
  const run = async (): Promise<string> => {
    const [out, err] = [screen(), screen()]
    const exitCode = await sluice(['run', file, '--destination', `duckdb:${database}`], {
      terminal: { out, err },
      version: '0.0.0',
      signal: new AbortController().signal,
      now: () => 0,
    })
    expect([exitCode, err.text()]).toEqual([0, expect.any(String)])
    return out.text()
  }
  vi.stubEnv('SLUICE_HOME', join(folder, 'home'))
  onTestFinished(() => void vi.unstubAllEnvs())
  expect(await run()).not.toContain('deleted')
  close()
  expect(await run()).toContain('shopOrders: 2 rows deleted')
  expect(await inDuckdb(database, 'SELECT order_id FROM test_dataset.shop_orders ORDER BY 1')).toEqual([[20n], [21n]])
})

test.each<[string, object, string]>([
  ['rows are only added', { write_disposition: 'append' }, 'which only adds rows'],
  ['all rows are replaced', { write_disposition: 'replace' }, 'which keeps no row that is gone'],
  ['versions are kept', { write_disposition: { disposition: 'merge', strategy: 'scd2' } }, 'strategy scd2'],
  ['rows have no key', { primary_key: undefined, merge_key: undefined }, 'primary_key'],
  ['rows are in files', {}, 'whose rows are never changed'],
])('with_parent is refused before the first request where %s', async (what, orders, why) => {
  const { url, asked } = await shopsApi()
  const folder = await testFolder()
  const { deletes: _, ...plainShops } = Shops
  const inFiles = what === 'rows are in files'
  const resources = [inFiles ? { ...plainShops, write_disposition: 'replace' } : Shops, { ...Orders, ...orders }]
  const run = async (): Promise<unknown> =>
    await pipeline({
      name: 'test',
      source: restApi({ client: { base_url: url }, resources } as RestApiConfig, { env: {} }),
      destination: inFiles ? files(join(folder, 'files')) : duckdb(join(folder, 'test.duckdb')),
      home: join(folder, 'home'),
    }).run()
  await expect(run()).rejects.toMatchObject({
    code: 'config',
    problems: [{ place: { path: 'resources[1].deletes' }, message: expect.stringContaining(why) }],
  })
  expect(asked).toEqual([])
})
