import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { loadPipelineFile } from '../../src/config/pipelineFile.js'
import { type Drift, driftOf } from '../../src/recording/driftOf.js'
import { recordPipeline } from '../../src/recording/recordPipeline.js'
import { sluiceProcess } from '../cli/process.js'
import { serve } from '../rest/clientServer.js'
import { asked, pipelineFolder } from './recordedApi.js'

interface Api {
  orders: unknown
  shops: unknown
  status: number
  statusOfOrders: number
}

/** An API that can change its mind, recorded as it was first. */
async function recordedApi() {
  const api: Api = {
    orders: {
      data: [
        { id: 1, total: 9, note: 'x' },
        { id: 2, total: 3, note: 'y' },
      ],
      next: '/orders?page=2',
    },
    shops: [{ id: 1 }],
    status: 200,
    statusOfOrders: 200,
  }
  const { origin, seen, close } = await serve(({ url }, response) => {
    const isShops = url.startsWith('/shops')
    response.writeHead(isShops ? api.status : api.statusOfOrders, { 'content-type': 'application/json' })
    response.end(JSON.stringify(isShops ? api.shops : api.orders))
  })
  onTestFinished(() => close())
  const { file, folder } = await pipelineFolder(`client: { base_url: "${origin}", retry: { attempts: 1 } }
destination: duckdb:shop.duckdb
resources:
  - { name: orders, endpoint: { path: orders, data_selector: data, paginator: { type: json_link, next_url_path: next } } }
  - { name: shops, endpoint: { path: shops, paginator: single_page } }
`)
  await recordPipeline(file, { pages: 1 })
  seen.length = 0
  return { api, file, folder, seen }
}

const NOTHING = { drifts: [], errors: [] }

test('nothing drifts where the values alone are others, and one page of each list is asked for', async () => {
  const { api, file, seen } = await recordedApi()
  api.orders = { data: [{ id: 7, total: 1, note: 'z' }], next: '/orders?page=2' }
  expect(await driftOf(file)).toMatchObject([NOTHING])
  expect(asked(seen)).toEqual(['GET /orders', 'GET /shops'])
})

test.each<[string, Partial<Api>, readonly Partial<Drift>[]]>([
  [
    'a new column',
    { shops: [{ id: 1, city: 'Bern' }] },
    [{ severity: 'notice', what: 'new', place: 'shops.city', now: 'text' }],
  ],
  [
    'a column that is gone, and another type',
    { orders: { data: [{ id: 'a1', total: 9 }], next: '/orders?page=2' } },
    [
      { severity: 'breaking', what: 'type', place: 'orders.id', before: 'bigint', now: 'text' },
      { severity: 'breaking', what: 'gone', place: 'orders.note', before: 'text' },
    ],
  ],
  [
    'nulls',
    {
      orders: {
        data: [
          { id: 1, total: 9, note: 'x' },
          { id: 2, total: null, note: 'y' },
        ],
        next: '/orders?page=2',
      },
    },
    [{ severity: 'notice', what: 'nullability', place: 'orders.total', before: 'no nulls', now: 'nulls' }],
  ],
  [
    'another way to the next page',
    { orders: { data: [{ id: 1, total: 9, note: 'x' }], cursor: 'p2' } },
    [
      { severity: 'breaking', what: 'pagination', place: 'orders: next' },
      { severity: 'notice', what: 'pagination', place: 'orders: cursor' },
    ],
  ],
  ['a list without records', { shops: [] }, [{ severity: 'breaking', what: 'gone', place: 'shops' }]],
])('drift is told of %s', async (_what, change, drifts) => {
  const { api, file } = await recordedApi()
  Object.assign(api, change)
  expect(await driftOf(file)).toMatchObject([{ drifts, errors: [] }])
})

test.each<[what: string, selector: string, before: unknown, now: unknown, drifts: readonly Partial<Drift>[]]>([
  [
    'a cursor within an object has another name',
    'data',
    { data: [{ id: 1 }], meta: { paging: { next: 'a' }, took: 1 } },
    { data: [{ id: 1 }], meta: { paging: { after: 'a' }, took: 2 } },
    [
      { severity: 'breaking', what: 'pagination', place: 'orders: meta.paging.next' },
      { severity: 'notice', what: 'pagination', place: 'orders: meta.paging.after' },
    ],
  ],
  [
    'an object about pages is gone',
    'data',
    { data: [{ id: 1 }], meta: { paging: { total: 1 } } },
    { data: [{ id: 1 }], meta: {} },
    [{ severity: 'breaking', what: 'pagination', place: 'orders: meta.paging.total' }],
  ],
  [
    'records by their ids are others',
    'data.*',
    { data: { a: { id: 1, total: 2 } } },
    { data: { b: { id: 2, total: 3 } } },
    [],
  ],
  [
    'a smaller page lacks what some records lacked',
    'data',
    { data: [{ id: 1, note: 'x', lines: [{ sku: 'a' }] }, { id: 2 }, { id: 3, at: null }], next: 'a', took: 1 },
    { data: [{ id: 4 }], took: 2 },
    [],
  ],
  [
    'a smaller page lacks what every record had',
    'data',
    {
      data: [
        { id: 1, note: 'x', lines: [{ sku: 'a' }] },
        { id: 2, note: 'y', lines: [{ sku: 'b' }] },
      ],
      took: 1,
    },
    { data: [{ id: 4 }] },
    [
      { severity: 'breaking', what: 'gone', place: 'orders.note' },
      { severity: 'breaking', what: 'gone', place: 'orders__lines' },
      { severity: 'breaking', what: 'pagination', place: 'orders: took' },
    ],
  ],
  [
    'a page of the same size lacks what some records lacked',
    'data',
    { data: [{ id: 1, note: 'x' }, { id: 2 }], next: 'a' },
    { data: [{ id: 1 }, { id: 2 }] },
    [
      { severity: 'breaking', what: 'gone', place: 'orders.note' },
      { severity: 'breaking', what: 'pagination', place: 'orders: next' },
    ],
  ],
  [
    'a smaller page has values where some records had none',
    'data',
    { data: [{ id: 1, note: 'x' }, { id: 2 }] },
    { data: [{ id: 1, note: 'z' }] },
    [],
  ],
])('drift of pages: %s', async (_, selector, before, now, drifts) => {
  let answer = before
  const { origin, close } = await serve((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer))
  })
  onTestFinished(() => close())
  const { file } = await pipelineFolder(`client: { base_url: "${origin}", retry: { attempts: 1 } }
destination: duckdb:shop.duckdb
resources: [{ name: orders, endpoint: { path: orders, data_selector: "${selector}", paginator: single_page } }]
`)
  await recordPipeline(file, { pages: 1 })
  answer = now
  expect(await driftOf(file)).toMatchObject([{ drifts, errors: [] }])
})

test('a list that answers with an error is told, and is no drift', async () => {
  const { api, file } = await recordedApi()
  Object.assign(api, {
    status: 500,
    orders: { data: [{ id: 1, total: 9, note: 'x', vat: 1 }], next: '/orders?page=2' },
  })
  const [found] = await driftOf(file)
  expect(found?.errors).toMatchObject([{ resource: 'shops', message: expect.stringContaining('500') }])
  expect(found?.drifts).toMatchObject([{ what: 'new', place: 'orders.vat' }])
})

test('values that do not fit a column of a declared type are breaking: they are no longer in it', async () => {
  const { api, file } = await recordedApi()
  const text = await readFile(file, 'utf8')
  await writeFile(file, text.replace('{ name: shops,', '{ name: shops, columns: [{ name: id, data_type: bigint }],'))
  api.shops = [{ id: 'one' }]
  expect(await driftOf(file)).toMatchObject([
    {
      drifts: [
        { severity: 'notice', what: 'nullability', place: 'shops.id' },
        { severity: 'breaking', what: 'new', place: 'shops.id__v_text', now: 'text' },
      ],
      errors: [],
    },
  ])
})

test('what was loaded counts too', async () => {
  const { api, file } = await recordedApi()
  const { pipelines } = await loadPipelineFile(file)
  api.shops = [{ id: 'one' }]
  await pipelines[0]?.run({ select: ['shops'] })
  const [found] = await driftOf(file)
  expect(found?.drifts).toMatchObject([{ what: 'type', against: 'recording', before: 'bigint', now: 'text' }])
  api.shops = [{ id: 1 }]
  const [back] = await driftOf(file)
  expect(back?.drifts).toMatchObject([{ what: 'type', against: 'committed', before: 'text', now: 'bigint' }])
})

test('the lock of the schema counts too', async () => {
  const { file } = await recordedApi()
  const lock = file.replace('.yaml', '.schema.lock')
  await writeFile(lock, 'version: 1\ntables: { shops: { id: text, city: text }, sales: { id: bigint } }\n')
  const [found] = await driftOf(file)
  // The page of today need not have every column, and no row says that a table is gone.
  expect(found?.drifts).toEqual([
    { severity: 'breaking', what: 'type', against: 'lock', place: 'shops.id', before: 'text', now: 'bigint' },
  ])
  await writeFile(lock, 'version: 1\ntables: { shops: { id: bigint } }\n')
  expect(await driftOf(file)).toMatchObject([NOTHING])
})

test('without a recording, today is compared with the lock, and with what was loaded', async () => {
  const { api, file, folder } = await recordedApi()
  await rm(file.replace('.yaml', '.recording.warc'))
  // Requests name a variable of the file beside the document.
  await writeFile(join(folder, '.env'), 'KIND=big\n')
  const text = await readFile(file, 'utf8')
  await writeFile(file, text.replace('{ path: shops,', '{ path: shops, params: { kind: "${env.KIND}" },'))
  const run = (...more: string[]) => sluiceProcess(['drift', file, ...more], { cwd: folder })
  const blind = await run()
  expect(blind).toMatchObject({ exitCode: 2, stdout: '' })
  expect(blind.stderr).toContain('does not exist, and there is neither a lock nor a load to compare with')

  const lock = file.replace('.yaml', '.schema.lock')
  await writeFile(lock, 'version: 1\ntables: { shops: { id: bigint, city: text } }\n')
  const same = await run()
  expect(same).toMatchObject({ exitCode: 0, stderr: '' })
  expect(same.stdout).toContain('shop: nothing drifted since the lock of the schema\n')
  expect(same.stdout).toContain('Without a recording, only tables and columns that come were compared')
  expect(await driftOf(file)).toMatchObject([{ recording: undefined, against: ['lock'], ...NOTHING }])

  api.shops = [{ id: 'one', street: 'A' }]
  const drifted = await run()
  expect(drifted.exitCode).toBe(3)
  expect(drifted.stdout).toContain('shop: 2 changes since the lock of the schema\n')
  expect(drifted.stdout).toContain('~ breaking: type shops.id: bigint → text, against the lock of the schema')
  expect(drifted.stdout).toContain('+ notice: new shops.street (text), against the lock of the schema')
  expect(drifted.stdout).toContain('schema accept accepts what differs from the lock')
  expect(drifted.stdout).not.toContain('record accepts it')

  await rm(lock)
  const { pipelines } = await loadPipelineFile(file)
  await pipelines[0]?.run({ select: ['shops'] })
  expect(await driftOf(file)).toMatchObject([{ against: ['committed'], ...NOTHING }])
  await expect(driftOf(file, { recording: join(folder, 'other.warc') })).rejects.toThrow('does not exist')
})

test('the command ends with 0, 3 where something drifted, and 1 where nobody can tell', async () => {
  const { api, file, folder } = await recordedApi()
  const run = (...more: string[]) => sluiceProcess(['drift', file, ...more], { cwd: folder })
  expect(await run()).toMatchObject({ exitCode: 0, stderr: '' })
  api.shops = [{ id: 'one' }]
  const drifted = await run()
  expect(drifted.exitCode).toBe(3)
  expect(drifted.stdout).toContain('~ breaking: type shops.id: bigint → text')
  const { stdout } = await run('--json')
  expect(JSON.parse(stdout)).toMatchObject({ pipeline: 'shop', drifts: [{ severity: 'breaking', what: 'type' }] })
  api.status = 500
  const failed = await run()
  expect(failed.exitCode).toBe(1)
  expect(failed.stdout).toMatch(/^shop: nothing drifted since \S+ in orders\n$/)
  expect(failed.stderr).toContain('not compared: shops: ')
  api.statusOfOrders = 401
  const blind = await run()
  expect(blind).toMatchObject({ exitCode: 1, stdout: '' })
  expect(blind.stderr).toContain('not compared: orders: ')
  expect(JSON.parse((await run('--json')).stdout)).toMatchObject({ compared: [], drifts: [] })
})
