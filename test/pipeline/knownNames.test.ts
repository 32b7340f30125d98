import { join } from 'node:path'
import { expect, test } from 'vitest'
import { duckdb, pipeline, type RestApiConfig, restApi } from '../../src/index.js'
import { testFolder } from './api.js'

/** TypeScript completes and checks the names of a document's resources and tables. What it refuses fails when run, too. */

const client = { base_url: 'http://127.0.0.1' }

test('names in a document are known to runs and datasets', async () => {
  const folder = await testFolder()
  const source = restApi({
    client,
    resources: [
      { name: 'shops', records: [{ id: 1, tags: ['a', 'b'] }] },
      { name: 'buyers', table_name: 'customers', records: [{ id: 2 }] },
    ],
  })
  const shops = pipeline({
    name: 'shops',
    source,
    destination: duckdb(join(folder, 'shops.duckdb')),
    home: join(folder, 'home'),
  })
  await shops.run({ select: ['shops', 'buyers'] })
  const dataset = shops.dataset()
  expect(await dataset.table('shops').count()).toBe(1)
  expect(await dataset.table('shops__tags').count()).toBe(2)
  expect(await dataset.table('customers').count()).toBe(1)
  expect(await dataset.table('_dlt_loads').count()).toBe(1)
  // @ts-expect-error there is no such resource
  await expect(shops.run({ select: ['shop'] })).rejects.toThrow(/no resource "shop"/)
  // @ts-expect-error there is no such table
  await expect(dataset.table('shop').rows()).rejects.toThrow(/no table "shop"/)
  // @ts-expect-error there is no such resource
  await expect(shops.drop(['shop'])).rejects.toThrow(/"shop"/)
  await expect(shops.with({ dataset: 'other' }).dataset().table('shops').rows()).rejects.toThrow(/no table/)
})

test('a document whose names TypeScript does not know leaves every name open', async () => {
  const folder = await testFolder()
  const document: RestApiConfig = { client, resources: [{ name: 'shops', records: [{ id: 1 }] }] }
  const destination = duckdb(join(folder, 'open.duckdb'))
  const open = pipeline({ name: 'open', source: restApi(document), destination, home: join(folder, 'home') })
  await open.run({ select: ['shops'] })
  expect(await open.dataset().table('shops').count()).toBe(1)
  await expect(open.run({ select: ['shop'] })).rejects.toThrow(/no resource "shop"/)
})

test('a name that the destination spells otherwise leaves the tables open', async () => {
  const folder = await testFolder()
  const source = restApi({ client, resources: [{ name: 'OpenShops', records: [{ id: 1 }] }] })
  const destination = duckdb(join(folder, 'spelt.duckdb'))
  const spelt = pipeline({ name: 'spelt', source, destination, home: join(folder, 'home') })
  await spelt.run({ select: ['OpenShops'] })
  expect(await spelt.dataset().table('open_shops').count()).toBe(1)
})
