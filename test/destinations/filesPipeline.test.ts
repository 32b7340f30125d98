import { mkdtemp, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DemoApi, startDemoApi } from '../../demo/server.js'
import { destinationFromUrl, files, pipeline, restApi } from '../../src/index.js'
import { testDestination } from '../../src/testing/testDestination.js'

let folder: string
let api: DemoApi
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-files-'))
  api = await startDemoApi({ apiKey: 'k', records: { feedback: 230, featureFlags: 120 } })
})
afterAll(async () => {
  await api.close()
  await rm(folder, { recursive: true, force: true })
})

const source = (disposition: string) =>
  restApi(
    {
      client: {
        base_url: `${api.url}/v1/`,
        auth: { type: 'api_key', name: 'api_key', api_key: 'k', location: 'query' },
      },
      resource_defaults: { write_disposition: disposition as 'append' },
      resources: [
        {
          name: 'feedback',
          endpoint: {
            path: 'feedback',
            paginator: { type: 'offset', limit: 100, total_path: 'total' },
          },
        },
      ],
    },
    { name: 'demo' },
  )

describe('a pipeline into files', () => {
  test('what a query cannot hold in memory goes into a folder of its own, which only this user can read', async () => {
    const loading = pipeline({
      name: 'demo',
      source: source('replace'),
      destination: files({ path: join(folder, 'spilling') }),
      home: join(folder, 'home-spilling'),
    })
    await loading.run()
    const asked = loading.dataset().query(`SELECT current_setting('temp_directory') AS folder FROM feedback`)
    let own = ''
    for await (const [row] of asked.batches(1)) {
      own = dirname(String(row?.folder))
      expect(dirname(own)).toBe(tmpdir())
      expect((await stat(own)).mode & 0o777).toBe(0o700)
    }
    await expect(stat(own)).rejects.toThrow('ENOENT')
  })

  test.each(['parquet', 'jsonl', 'csv'] as const)('loads and replaces what an API has, as %s', async format => {
    const loading = pipeline({
      name: 'demo',
      source: source('replace'),
      destination: files({ path: join(folder, format), format }),
      home: join(folder, `home-${format}`),
    })
    for (let run = 0; run < 2; run++) {
      const result = await loading.run()
      expect(result.receipts.map(receipt => receipt.verdict)).toEqual(['complete'])
    }
    const dataset = loading.dataset()
    expect(await dataset.table('feedback').count()).toBe(230)
    const rows = await dataset.table('feedback').rows()
    expect(new Set(rows.map(row => row.id)).size).toBe(230)
    expect(await dataset.table('_dlt_loads').count()).toBe(2)
    expect(await dataset.table('_sluice_receipts').count()).toBe(2)
  })

  test('refuses to merge before it asks the API for anything', async () => {
    const asked = api.requests.length
    const loading = pipeline({
      name: 'demo',
      source: source('merge'),
      destination: files(join(folder, 'merge')),
      home: join(folder, 'home-merge'),
    })
    await expect(loading.run()).rejects.toThrow(/"merge" is not possible here: files are written once/)
    expect(api.requests.length).toBe(asked)
  })
})

describe('a URL', () => {
  test.each([
    ['files:lake', 'files:lake'],
    ['files:///tmp/lake?format=jsonl&compression=none', 'files:lake'],
    ['s3://bucket/a/b?endpoint=http://127.0.0.1:9&region=eu-west-1&path_style=true', 's3://bucket/a/b'],
  ])('%s is a destination', async (text, name) => {
    const env = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' }
    expect((await destinationFromUrl(text, undefined, env)).name).toBe(name)
  })

  test.each([
    ['files:lake?formt=csv', /no setting `formt`; did you mean `format`/],
    ['files:lake?format=xml', /expected parquet, jsonl, csv, not "xml"/],
    ['files:lake?compression=snappy&format=csv', /expected gzip, zstd, none for csv/],
  ])('%s is refused', async (text, message) => {
    await expect(destinationFromUrl(text, undefined, {})).rejects.toThrow(message)
  })
})

/** A server of other authors; it checks no signatures and knows no conditions. */
describe('s3rver', async () => {
  const S3rver = createRequire(import.meta.url)('s3rver') as new (
    options: object,
  ) => { run(): Promise<{ port: number }>; close(): Promise<void> }
  const cases = await testDestination({
    name: 's3rver',
    async create() {
      const directory = await mkdtemp(join(tmpdir(), 'sluice-s3rver-'))
      const server = new S3rver({
        port: 0,
        address: '127.0.0.1',
        silent: true,
        directory,
        configureBuckets: [{ name: 'bucket' }],
      })
      const { port } = await server.run()
      const s3 = {
        endpoint: `http://127.0.0.1:${port}`,
        credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
      }
      return {
        destination: files({ path: 's3://bucket/lake', s3 }),
        async dispose() {
          await server.close()
          await rm(directory, { recursive: true, force: true })
        },
      }
    },
  })
  for (const { name, run } of cases) test(name, run)
})
