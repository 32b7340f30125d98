import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { defineConfig, duckdb, loadPipelineFile, pipeline, restApi } from '../../src/index.js'
import { typeErrors } from '../docs/compile.js'
import { testApi, testFolder } from '../pipeline/api.js'

const client = { base_url: 'https://api.example.com' }

test('a document keeps the names of its resources', async () => {
  const config = defineConfig({
    client,
    resources: ['lists', { name: 'shops', records: [{ id: 1 }], table_name: 'stores' }],
  })
  const folder = await testFolder()
  const destination = duckdb(join(folder, 'shops.duckdb'))
  const shops = pipeline({ name: 'shops', source: restApi(config), destination, home: join(folder, 'home') })
  await shops.run({ select: ['shops'] })
  expect(await shops.dataset().table('stores').count()).toBe(1)
  // @ts-expect-error there is no such resource
  await expect(shops.run({ select: ['pagse'] })).rejects.toThrow(/no resource "pagse"/)
})

test('keys around the document, and the document under `source`, are typed', () => {
  expect(defineConfig({ destination: 'duckdb:shops.duckdb', client, resources: ['shops'] }).destination).toBe(
    'duckdb:shops.duckdb',
  )
  expect(defineConfig({ name: 'shops', source: { name: 'crm', client, resources: ['shops'] } }).source.name).toBe('crm')
  // @ts-expect-error a key that there is not
  defineConfig({ destinatoin: 'duckdb:shops.duckdb', client, resources: ['shops'] })
})

test('a pipeline file exports it', async () => {
  const folder = await testFolder()
  const file = join(folder, 'shops.ts')
  await writeFile(
    file,
    "import { defineConfig } from 'sluice'\n" +
      "export default defineConfig({ name: 'crm', resources: [{ name: 'shops', records: [{ id: 1 }] }] })\n",
  )
  const { pipelines } = await loadPipelineFile(file, { destination: `duckdb:${join(folder, 'crm.duckdb')}` })
  expect(pipelines.map(({ name }) => name)).toEqual(['crm'])
  expect((await pipelines[0]?.run())?.rows).toEqual({ shops: 1 })
})

test('a document without `client` loads from absolute paths', async () => {
  const api = await testApi(({ pathname }) => ({ json: [{ id: 1, pathname }] }))
  const folder = await testFolder()
  const source = restApi({ resources: [{ name: 'shops', endpoint: `${api.url}/v2/shops` }] })
  const destination = duckdb(join(folder, 'shops.duckdb'))
  const shops = pipeline({ name: 'shops', source, destination, home: join(folder, 'home') })
  await shops.run()
  expect(await shops.dataset().table('shops').select('id', 'pathname').rows()).toEqual([
    { id: 1n, pathname: '/v2/shops' },
  ])
})

test('TypeScript names the key of a mistake, and a near miss', { timeout: 120_000 }, () => {
  const mistakes: readonly (readonly [config: string, error: string])[] = [
    ["{ client: { base_url: '' }, resorces: [] }", "Did you mean to write 'resources'?"],
    ["{ client: { base_url: '', auth: { type: 'bearer', tokn: 'x' } }, resources: ['a'] }", "'tokn' does not exist"],
    ["{ client: { paginator: { type: 'offset', limt: 5 } }, resources: ['a'] }", "Did you mean to write 'limit'?"],
    ["{ client: { paginator: { type: 'ofset' } }, resources: ['a'] }", `Did you mean '"offset"'?`],
    ["{ resources: [{ name: 'a', write_disposition: 'mrge' }] }", `Did you mean '"merge"'?`],
    ["{ resources: [{ name: 'a', endpoint: { parms: {} } }] }", "Did you mean to write 'params'?"],
    ["{ name: 'x', source: { client: { base_url: '' }, resouces: [] } }", "Did you mean to write 'resources'?"],
  ]
  const errors = typeErrors(
    mistakes.map(([config], index) => ({
      place: `mistake ${index}`,
      text: `import { defineConfig } from 'sluice'\nexport default defineConfig(${config})\n`,
    })),
  )
  // Newer versions of TypeScript show the last one alone.
  const last = errors.map(error => error.slice(error.indexOf('Overload 2 of 2')))
  expect(last).toEqual(mistakes.map(([, error]) => expect.stringContaining(error)))
})
