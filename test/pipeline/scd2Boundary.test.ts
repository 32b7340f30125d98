import { join } from 'node:path'
import { expect, test } from 'vitest'
import { duckdb, pipeline, type RestApiConfig, restApi } from '../../src/index.js'
import { testApi, testFolder } from './api.js'

test('a boundary of scd2 that was taken back is no longer that of new versions', async () => {
  const folder = await testFolder()
  let name = 'a'
  const api = await testApi(() => ({ json: [{ id: 1, name }] }))
  const run = async (boundary: object) => {
    const made = pipeline({
      name: 'p',
      source: restApi(
        {
          client: { base_url: api.url, paginator: 'single_page' },
          resources: [{ name: 'items', write_disposition: { disposition: 'merge', strategy: 'scd2', ...boundary } }],
        } as RestApiConfig,
        { env: {} },
      ),
      destination: duckdb(join(folder, 'p.duckdb')),
      home: join(folder, 'home'),
    })
    await made.run()
    const rows = await made.dataset().table('items').rows()
    const row = rows.find(one => one.name === name)
    return new Date(String(row?._dlt_valid_from)).getUTCFullYear()
  }
  expect(await run({ boundary_timestamp: '2024-01-01T00:00:00Z' })).toBe(2024)
  name = 'b'
  expect(await run({}), 'left out, the stored one counts').toBe(2024)
  name = 'c'
  expect(await run({ boundary_timestamp: null })).toBeGreaterThan(2024)
})
