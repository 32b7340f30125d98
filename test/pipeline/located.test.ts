import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { duckdb, type Pipeline, pipeline, type RestApiConfig, restApi } from '../../src/index.js'
import { testFolder } from './api.js'

/** Errors that are found when records are read say of which resource and which answer they are. */
async function failureOf(body: string, resource: object = {}): Promise<unknown> {
  const made = await itemsOf(
    () => body,
    [{ name: 'items', endpoint: { path: 'items', params: { v: 1 } }, ...resource }],
  )
  return await made.run().then(
    () => 'no failure',
    (error: unknown) => error,
  )
}

async function itemsOf(body: () => string, resources: readonly object[]): Promise<Pipeline> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(body())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const folder = await testFolder()
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const config = {
    client: { base_url: url, paginator: 'single_page', retry: { attempts: 1 } },
    resources,
  } as RestApiConfig
  return pipeline({
    name: 'test',
    source: restApi(config, { env: {} }),
    destination: duckdb(join(folder, 'test.duckdb')),
    home: join(folder, 'home'),
  })
}

test.each([
  ['NaN in a record', '[{"id": 1}, {"id": NaN}]', {}],
  ['a trailing comma in a record', '[{"id": 1,}]', {}],
  ['a bad escape in a record', '[{"id": "\\q"}]', {}],
  ['a null in a column that must not be null', '[{"id": null}]', { columns: { id: { nullable: false } } }],
  [
    'a decimal with more digits than its column',
    '[{"id": 1234567890.5}]',
    { columns: { id: { data_type: 'decimal', precision: 5, scale: 2 } } },
  ],
  [
    'a cursor that is missing',
    '[{"id": 1}]',
    { endpoint: { path: 'items', params: { v: 1 }, incremental: { cursor_path: 'at' } } },
  ],
  [
    'a step that fails',
    '[{"id": 1}]',
    {
      processing_steps: [
        {
          map: () => {
            throw new Error('no')
          },
        },
      ],
    },
  ],
])('%s is told with the resource and the address', async (_what, body, resource) => {
  const failure = await failureOf(body, resource)
  expect(failure).toMatchObject({ resource: 'items' })
  expect((failure as Error).message).toMatch(/^items: [\s\S]*\(GET http:\/\/127\.0\.0\.1:\d+\/items\?v=1\)/)
})

/** What looks into records before they are loaded, or without loading them. */
const readers: readonly (readonly [string, object])[] = [
  ['a filter', { processing_steps: [{ filter: () => true }] }],
  ['a map', { processing_steps: [{ map: (record: object) => record }] }],
  ['a cursor', { endpoint: { path: 'items', params: { v: 1 }, incremental: { cursor_path: 'id' } } }],
  ['a name of its table', { table_name: (record: { id?: unknown }) => `items_${record.id}` }],
]
const malformed: readonly (readonly [string, string])[] = [
  ['NaN', '[{"id": 1}, {"id": 1, "a": NaN}]'],
  ['a trailing comma', '[{"id": 1,}]'],
  ['a bad escape', '[{"id": 1, "a": "\\q"}]'],
  ['a control character', '[{"id": 1, "a": "\t"}]'],
  ['zeros before a number', '[{"id": 007}]'],
  ['two thousand levels', `[{"id": 1, "a": ${'['.repeat(2000)}${']'.repeat(2000)}}]`],
]

test.each(
  readers.flatMap(([reader, resource]) => malformed.map(([what, body]) => [reader, what, body, resource] as const)),
)(
  '%s that meets a record with %s says so in the same way, and the next run asks again',
  async (_reader, _what, body, resource) => {
    let answer = body
    const made = await itemsOf(
      () => answer,
      [{ name: 'items', endpoint: { path: 'items', params: { v: 1 } }, ...resource }],
    )
    await expect(made.run()).rejects.toMatchObject({
      code: 'response_format',
      resource: 'items',
      message: expect.stringMatching(/^items: .*(?:JSON|nested deeper).*\(GET http:\/\/127\.0\.0\.1:\d+\/items\?v=1\)/),
    })
    answer = '[{"id": 1}]'
    expect((await made.run()).receipts).toMatchObject([{ resource: 'items', records: 1 }])
  },
)

test('a record that cannot be read is told of a parent that is not loaded', async () => {
  const made = await itemsOf(
    () => '[{"id": 1,}]',
    [
      { name: 'items', selected: false, endpoint: { path: 'items' } },
      { name: 'parts', endpoint: { path: 'items/{resources.items.id}/parts' } },
    ],
  )
  const told = { code: 'response_format', resource: 'items' }
  await expect(made.run()).rejects.toMatchObject(told)
  await expect(made.check()).rejects.toMatchObject(told)
})

test('a cursor of many characters is shortened in the message about it', async () => {
  const body = JSON.stringify({ items: [{ id: 1 }], cursor: 'c'.repeat(1 << 13) })
  const paginator = { type: 'cursor', cursor_path: 'cursor', cursor_param: 'after' }
  const failure = await failureOf(body, { endpoint: { path: 'items', data_selector: 'items', paginator } })
  expect(failure).toMatchObject({ code: 'pagination_loop', message: expect.stringContaining('ccc…') })
  expect((failure as Error).message.length).toBeLessThan(2_500)
})
