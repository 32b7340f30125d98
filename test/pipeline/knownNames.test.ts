import { join } from 'node:path'
import { expect, expectTypeOf, test } from 'vitest'
import { AbortError, duckdb, pipeline, type RestApiConfig, restApi } from '../../src/index.js'
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

test('rows, receipts and events carry the names of the source', async () => {
  const folder = await testFolder()
  const source = restApi({
    client,
    resources: [
      { name: 'shops', records: [{ id: 1, tags: ['a', 'b'] }] },
      { name: 'buyers', records: [] },
    ],
  })
  const destination = duckdb(join(folder, 'rows.duckdb'))
  const shops = pipeline({ name: 'shops', source, destination, home: join(folder, 'home') })
  const started: ('shops' | 'buyers')[] = []
  const { rows, receipts } = await shops.run({
    onEvent: event => {
      if (event.type === 'resource_started') started.push(event.resource)
    },
  })
  expect(rows).toEqual({ shops: 1, shops__tags: 2, buyers: 0 })
  expectTypeOf(rows.buyers).toEqualTypeOf<number>()
  expectTypeOf(rows.shops__tags).toEqualTypeOf<number | undefined>()
  // @ts-expect-error there is no such table
  expect(rows.shop).toBeUndefined()
  expectTypeOf(receipts[0]?.resource).toEqualTypeOf<'shops' | 'buyers' | undefined>()
  expect(started.sort()).toEqual(['buyers', 'shops'])
  const other = await shops.run({ select: ['buyers'] })
  expect(other.rows).toEqual({ shops: 0, buyers: 0 })
  expect((await shops.run({ select: ['shops'], refresh: 'drop_data' })).rows).toEqual(rows)
})

test('a table that its resource names is always counted, and other names stay open', async () => {
  const folder = await testFolder()
  const source = restApi({ client, resources: ['shops', { name: 'buyers', table_name: 'customers', records: [] }] })
  const destination = duckdb(join(folder, 'named.duckdb'))
  const named = pipeline({ name: 'named', source, destination, home: join(folder, 'home') })
  const { rows } = await named.run({ select: ['buyers'] })
  expect(rows).toEqual({ shops: 0, customers: 0 })
  expectTypeOf(rows.customers).toEqualTypeOf<number>()
  const { buyers } = rows
  expect(buyers).toBeUndefined()
})

test('what a signal stops is one error, whatever it was doing', async () => {
  const folder = await testFolder()
  const source = restApi({ client, resources: [{ name: 'shops', records: [{ id: 1 }] }] })
  const destination = duckdb(join(folder, 'stopped.duckdb'))
  const stopped = pipeline({ name: 'stopped', source, destination, home: join(folder, 'home') })
  const reason = new Error('enough')
  const signal = AbortSignal.abort(reason)
  await expect(stopped.run({ signal })).rejects.toThrow('the run was stopped (enough); nothing was committed')
  await stopped.run({ keepJournal: true })
  for (const work of [
    () => stopped.run({ signal }),
    () => stopped.replay(undefined, { signal }),
    () => stopped.check({ signal }),
    () => stopped.plan({ signal }),
    () => stopped.drop(['shops'], { signal }),
    () => stopped.resetState(['shops'], { signal }),
  ]) {
    const error = await work().then(
      () => undefined,
      (failure: unknown) => failure,
    )
    expect(error).toBeInstanceOf(AbortError)
    expect(error).toMatchObject({ name: 'AbortError', code: 'aborted', cause: reason })
  }
  expect(await stopped.dataset().table('shops').count()).toBe(1)
})
