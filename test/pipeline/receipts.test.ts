import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { sluice } from '../../src/cli/program.js'
import { DataError, duckdb, pipeline, restApi } from '../../src/index.js'
import { screen } from '../cli/screen.js'
import { startPostgres } from '../destinations/postgresServer.js'
import { testApi, testFolder } from './api.js'
import { inDuckdb, sqlPlaces } from './sqlPlaces.js'

/** Receipts that are stored, also into a table that an older version made, and what the command says of deletions. */

const server = await startPostgres()
afterAll(() => server.stop())

const merged = {
  name: 'items',
  primary_key: 'id',
  write_disposition: 'merge',
  deletes: 'hard',
  max_delete_share: 1,
  endpoint: { path: 'items', paginator: 'single_page' },
} as const

describe.each(Object.entries(sqlPlaces(server)))('%s', (_, open) => {
  test('a table of receipts that an older version made gets the columns that it lacks', async () => {
    const { destination, sql } = await open()
    let ids = [1, 2, 3, 4]
    const { url } = await testApi(() => ({ json: ids.map(id => ({ id })) }))
    const made = pipeline({
      name: 'test',
      source: restApi({ client: { base_url: url }, resources: [merged] }, { env: {} }),
      destination,
      home: await testFolder(),
    })
    await made.run()
    await sql('ALTER TABLE test_dataset._sluice_receipts DROP COLUMN deleted')
    await sql('ALTER TABLE test_dataset._sluice_receipts DROP COLUMN variants')
    ids = [1]
    await made.run()
    const rows = await made.dataset().table('_sluice_receipts').orderBy('load_id').rows()
    expect(rows.map(({ deleted, variants }) => [deleted, variants])).toEqual([
      [null, null],
      [3n, null],
    ])
  })
})

test('receipts say how much a run was asked for; those of older versions say it in their reasons', async () => {
  const path = join(await testFolder(), 'test.duckdb')
  const { url } = await testApi(({ searchParams, pathname }) =>
    pathname === '/shops' ? { json: searchParams.get('page') === '1' ? [{ id: 1 }] : [] } : { json: [{ id: 2 }] },
  )
  const made = pipeline({
    name: 'test',
    source: restApi(
      {
        client: { base_url: url },
        resources: [
          { name: 'shops', endpoint: { paginator: { type: 'page_number', base_page: 1, total_path: null } } },
          { name: 'orders', endpoint: { path: 'shops/{resources.shops.id}', paginator: 'single_page' } },
        ],
      },
      { env: {} },
    ),
    destination: duckdb(path),
    home: await testFolder(),
  })
  const extents = async () =>
    (await made.dataset().history())
      .toReversed()
      .map(({ receipts }) => Object.fromEntries(receipts.map(({ resource, extent }) => [resource, extent])))
  await made.run({ maxPages: 1 })
  await made.run()
  const both = [
    { orders: 'pages', shops: 'pages' },
    { orders: 'whole', shops: 'whole' },
  ]
  expect(await extents()).toEqual(both)
  await inDuckdb(path, 'ALTER TABLE test_dataset._sluice_receipts DROP COLUMN extent')
  expect(await extents()).toEqual(both)
  await made.run()
  expect((await extents()).at(-1)).toEqual({ orders: 'whole', shops: 'whole' })
})

test('the command says how many rows were deleted', async () => {
  const folder = await testFolder()
  let ids = [1, 2, 3, 4]
  const { url } = await testApi(() => ({ json: ids.map(id => ({ id })) }))
  const file = join(folder, 'test.json')
  await writeFile(file, JSON.stringify({ client: { base_url: url }, resources: [merged] }))
  const run = async (): Promise<string> => {
    const [out, err] = [screen(), screen()]
    const exitCode = await sluice(['run', file, '--destination', `duckdb:${join(folder, 'test.duckdb')}`], {
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
  ids = [1, 2, 3]
  expect(await run()).toContain('items: 1 row deleted')
  ids = [1]
  expect(await run()).toContain('items: 2 rows deleted')
})

test('a run that fails as incomplete gives its receipts', async () => {
  const folder = await testFolder()
  const api = await testApi(url => ({
    json: { items: url.searchParams.get('offset') === '0' ? [{ id: 1 }] : [], total: 3 },
  }))
  const shops = pipeline({
    name: 'shops',
    source: restApi(
      {
        client: { base_url: api.url },
        resources: [{ name: 'items', endpoint: { paginator: { type: 'offset', limit: 1 } } }],
      },
      { env: {} },
    ),
    destination: duckdb(join(folder, 'shops.duckdb')),
    home: join(folder, 'home'),
  })
  const failure: unknown = await shops.run().catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(DataError)
  expect(failure).toMatchObject({
    code: 'incomplete',
    receipts: [{ resource: 'items', verdict: 'incomplete', records: 1, announced: 3 }],
  })
})
