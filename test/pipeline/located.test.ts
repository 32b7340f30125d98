import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { duckdb, pipeline, type RestApiConfig, restApi } from '../../src/index.js'
import { testFolder } from './api.js'

/** Errors that are found when records are read say of which resource and which answer they are. */
async function failureOf(body: string, resource: object = {}): Promise<unknown> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const folder = await testFolder()
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const config = {
    client: { base_url: url, paginator: 'single_page', retry: { attempts: 1 } },
    resources: [{ name: 'items', endpoint: { path: 'items', params: { v: 1 } }, ...resource }],
  } as RestApiConfig
  const made = pipeline({
    name: 'test',
    source: restApi(config, { env: {} }),
    destination: duckdb(join(folder, 'test.duckdb')),
    home: join(folder, 'home'),
  })
  return await made.run().then(
    () => 'no failure',
    (error: unknown) => error,
  )
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

test('a cursor of many characters is shortened in the message about it', async () => {
  const body = JSON.stringify({ items: [{ id: 1 }], cursor: 'c'.repeat(1 << 13) })
  const paginator = { type: 'cursor', cursor_path: 'cursor', cursor_param: 'after' }
  const failure = await failureOf(body, { endpoint: { path: 'items', data_selector: 'items', paginator } })
  expect(failure).toMatchObject({ code: 'pagination_loop', message: expect.stringContaining('ccc…') })
  expect((failure as Error).message.length).toBeLessThan(2_500)
})
