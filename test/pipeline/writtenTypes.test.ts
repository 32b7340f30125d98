import { join } from 'node:path'
import { expect, expectTypeOf, test } from 'vitest'
import {
  type AnyTables,
  type DocumentPipelineConfig,
  defineConfig,
  duckdb,
  type Paginator,
  type Pipeline,
  pipeline,
  type RestApiConfig,
  restApi,
} from '../../src/index.js'
import { testApi, testFolder } from './api.js'

/** What a document in TypeScript may be, compiled and run: everything that runs compiles, as it is written. */

const client = { base_url: 'http://127.0.0.1' }

async function place(): Promise<{ readonly home: string; readonly destination: ReturnType<typeof duckdb> }> {
  const folder = await testFolder()
  return { home: join(folder, 'home'), destination: duckdb(join(folder, 'written.duckdb')) }
}

test('names are known where the source is written within the pipeline', async () => {
  const inline = pipeline({
    name: 'inline',
    source: restApi({ client, resources: ['shops', { name: 'buyers', table_name: 'customers' }] }),
    ...(await place()),
  })
  expectTypeOf(inline).toExtend<Pipeline<'shops' | 'buyers'>>()
  // @ts-expect-error there is no such resource
  await expect(inline.run({ select: ['nope'] })).rejects.toThrow(/no resource "nope"/)
  // @ts-expect-error there is no such table
  await expect(inline.dataset().table('nope').rows()).rejects.toThrow(/there is no duckdb:written\.duckdb yet/)
  const defined = pipeline({
    name: 'defined',
    source: restApi(defineConfig({ client, resources: ['shops'] })),
    ...(await place()),
  })
  // @ts-expect-error there is no such resource
  await expect(defined.run({ select: ['nope'] })).rejects.toThrow(/no resource "nope"/)
})

interface Order {
  readonly id: number
  readonly at: string
  readonly gone?: string | undefined
}

class Stamp {
  toJSON(): string {
    return new Date(0).toISOString()
  }
}

test('functions of a record say what they expect, and return what can be written', async () => {
  const api = await testApi(() => ({
    json: [
      { id: 1, at: '2024-01-01', gone: 'x' },
      { id: 2, at: '2024-01-02' },
    ],
  }))
  const seen = pipeline({
    name: 'seen',
    source: restApi(
      {
        client: { base_url: api.url },
        resources: [
          {
            name: 'items',
            primary_key: ['id', 'at'] as const,
            table_name: (order: Order) => (order.id > 0 ? 'items' : 'odd'),
            processing_steps: [
              { filter: (order: { id: number }) => order.id > 1 },
              { map: (order: Order) => order },
              { map: order => ({ ...order, seen: new Date(0), bytes: new Uint8Array([1]), gone: undefined }) },
              { map: order => ({ ...order, stamp: new Stamp(), code: order.at.length }) },
              {
                *yield_map(order: Order): Generator<Order> {
                  yield order
                },
              },
            ],
            endpoint: {
              path: 'items',
              paginator: 'single_page',
              incremental: { cursor_path: 'at', initial_value: '2020', convert: (at: string) => new Date(at) },
            },
          },
        ],
      },
      { env: {} },
    ),
    ...(await place()),
  })
  await seen.run()
  expect(await seen.dataset<AnyTables>().table('items').rows()).toMatchObject([
    { id: 2n, seen: new Date(0), bytes: 'AQ==', stamp: new Date(0), code: 10n },
  ])
})

test('generators yield interfaces, dates and undefined', async () => {
  const made = pipeline({
    name: 'made',
    source: restApi({
      client: { base_url: '' },
      resources: [
        {
          name: 'orders',
          async *records(): AsyncGenerator<Order> {
            yield { id: 1, at: 'now', gone: undefined }
          },
        },
        { name: 'dated', records: () => [[{ id: 1, at: new Date(0) }]] },
      ],
    }),
    ...(await place()),
  })
  await made.run()
  expect(await made.dataset().table('orders').rows()).toMatchObject([{ id: 1n, at: 'now' }])
  expect(await made.dataset().table('dated').rows()).toMatchObject([{ id: 1n, at: new Date(0) }])
})

test('what cannot be a record is a mistake', () => {
  const resource = { name: 'x', endpoint: 'x' }
  const steps: readonly RestApiConfig['resources'][number][] = [
    // @ts-expect-error a list
    { ...resource, processing_steps: [{ map: order => [order] }] },
    // @ts-expect-error a promise
    { ...resource, processing_steps: [{ map: async order => order }] },
    // @ts-expect-error nothing
    { ...resource, processing_steps: [{ map: () => {} }] },
    // @ts-expect-error no list of records
    { ...resource, processing_steps: [{ yield_map: order => order.id === 1 }, { yield_map: () => 1 }] },
    // @ts-expect-error no boolean
    { ...resource, processing_steps: [{ filter: () => 'yes' }] },
    // @ts-expect-error no record is a text
    { ...resource, processing_steps: [{ filter: (order: string) => order === '' }] },
  ]
  expect(steps).toHaveLength(6)
})

test('a document may be read-only to its last list', () => {
  const document = {
    client: { ...client, allowed_hosts: ['files.example.com'], retry: { statuses: [429], body_contains: ['busy'] } },
    resources: [
      {
        name: 'shops',
        primary_key: ['id', 'day'],
        merge_key: ['day'],
        columns: [{ name: 'id', data_type: 'bigint' }],
        write_disposition: { disposition: 'merge', strategy: 'scd2', validity_column_names: ['a', 'b'] },
        processing_steps: [{ filter: () => true }],
        endpoint: { params: { id: [1, 2] }, response_actions: [{ status_code: 404, action: 'ignore' }] },
      },
      { name: 'list', records: [{ id: 1 }], include_from_parent: [] },
    ],
  } as const satisfies DocumentPipelineConfig
  expect(restApi(document).resources.map(({ name }) => name)).toEqual(['shops', 'list'])
})

test('a paginator sends numbers and booleans, and leaves out what is undefined', async () => {
  const api = await testApi(() => ({ json: [{ id: api.asked.length }] }))
  const paginator: Paginator = {
    first: { params: { page: 1, deep: true } },
    next: ({ request }) =>
      api.asked.length < 3
        ? { params: { page: api.asked.length + 1, deep: undefined, after: request.url === '' ? 1 : null } }
        : undefined,
  }
  const source = restApi(
    { client: { base_url: api.url }, resources: [{ name: 'items', endpoint: { paginator } }] },
    { env: {} },
  )
  await pipeline({ name: 'numbers', source, ...(await place()) }).run()
  expect(api.asked).toEqual(['/items?page=1&deep=true', '/items?page=2&deep=true', '/items?page=3&deep=true'])
})
