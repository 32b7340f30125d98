import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { destinationFromUrl } from '../../src/config/places/destinations.js'
import { duckdb } from '../../src/destinations/duckdb/duckdb.js'
import type { Destination } from '../../src/model/destination.js'
import { runLoad, testSchema, testState, withConnection } from '../../src/testing/testDataset.js'
import { extensions } from './lakeExtensions.js'
import { newerFile } from './newerFile.js'
import { startPostgres } from './postgresServer.js'
import { ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, startS3Double } from './s3Server.js'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-lake-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const schema = testSchema({
  orders: {
    columns: { id: { data_type: 'bigint', primary_key: true, nullable: false }, v: 'text' },
    disposition: 'merge',
  },
})
const merged = [{ table: 'orders', disposition: 'merge', strategy: 'upsert' }] as const

async function load(destination: Destination, loadId: string, id: number, dataset = 'api_data'): Promise<void> {
  const records = { orders: [{ id, v: `of ${loadId}` }] }
  await withConnection(
    destination,
    connection => runLoad(connection, schema, { loadId, tables: merged, records }),
    dataset,
  )
}

async function numberOf(destination: Destination, sql: string, dataset = 'api_data'): Promise<unknown> {
  return await withConnection(
    destination,
    async connection => {
      const rows: unknown[] = []
      for await (const batch of connection.query?.({ sql }) ?? []) rows.push(...batch.rows.flat())
      return rows[0]
    },
    dataset,
  )
}

const lake = (settings = ''): Promise<Destination> =>
  destinationFromUrl(`ducklake:${join(folder, 'shop.ducklake')}${settings}`)

describe.skipIf(extensions === undefined)('a lake', () => {
  it('gets one snapshot from a load, with rows, schema and system tables', async () => {
    const destination = await lake()
    await load(destination, '1700000000.1', 1)
    const snapshots = `SELECT count(*) FROM ducklake_snapshots('lake')`
    const before = await numberOf(destination, snapshots)
    await load(destination, '1700000001.1', 2)
    expect(await numberOf(destination, snapshots)).toBe((before as bigint) + 1n)
    expect(await numberOf(destination, 'SELECT count(*) FROM orders')).toBe(2n)
    expect(await numberOf(destination, 'SELECT count(*) FROM _dlt_loads')).toBe(2n)
    expect((await readdir(folder)).sort()).toEqual(['shop.ducklake', 'shop.ducklake.files'])
  })

  it('keeps several datasets apart, and names with quotes', async () => {
    const destination = await lake()
    await load(destination, '1700000000.1', 1)
    await load(destination, '1700000001.1', 2, `it's "b"`)
    expect(await numberOf(destination, 'SELECT max(id) FROM orders')).toBe(1n)
    expect(await numberOf(destination, 'SELECT max(id) FROM orders', `it's "b"`)).toBe(2n)
  })

  it('is not made by a connection that commits nothing', async () => {
    const destination = await lake()
    expect(await destination.exists?.()).toBe(false)
    await withConnection(destination, connection => connection.inspect())
    expect(await readdir(folder)).toEqual([])
  })

  it('commits no cursors that another run has moved', async () => {
    const destination = await lake()
    const commit = (loadId: string, version: number) => ({ loadId, tables: [], state: testState(version, loadId) })
    await withConnection(destination, async connection => {
      await connection.committed('p', 'api')
      await withConnection(destination, other => runLoad(other, schema, commit('1700000000.1', 1)))
      await expect(runLoad(connection, schema, commit('1700000001.1', 1))).rejects.toMatchObject({
        code: 'destination_locked',
        message: expect.stringContaining('Another run of pipeline p committed'),
      })
    })
    expect(await numberOf(destination, 'SELECT count(*) FROM _dlt_loads')).toBe(1n)
  })

  it('that was moved is read where it is now', async () => {
    const destination = await lake(`?data_path=${join(folder, 'here')}`)
    // More rows than are kept in the catalog.
    const records = { orders: Array.from({ length: 50 }, (_, id) => ({ id, v: 'x' })) }
    await withConnection(destination, connection =>
      runLoad(connection, schema, { loadId: '1700000000.1', tables: merged, records }),
    )
    await rename(join(folder, 'here'), join(folder, 'there'))
    await expect(numberOf(destination, 'SELECT sum(id) FROM orders')).rejects.toThrow(
      /lists a file that is not there: .*override_data_path=true/,
    )
    const elsewhere = await lake(`?data_path=${join(folder, 'there')}`)
    await expect(numberOf(elsewhere, 'SELECT sum(id) FROM orders')).rejects.toThrow(/keeps its data elsewhere: .*here/)
    const moved = await lake(`?data_path=${join(folder, 'there')}&override_data_path=true`)
    expect(await numberOf(moved, 'SELECT count(v) FROM orders')).toBe(50n)
  })

  it('keeps its data in a bucket', async () => {
    const store = await startS3Double()
    try {
      const keys = `access_key_id=${ACCESS_KEY_ID}&secret_access_key=${encodeURIComponent(SECRET_ACCESS_KEY)}`
      const destination = await lake(`?data_path=s3://${BUCKET}/lake&endpoint=${store.url}&${keys}`)
      for (const [index, loadId] of ['1700000000.1', '1700000001.1'].entries()) {
        const records = { orders: Array.from({ length: 50 }, (_, id) => ({ id: id + index, v: loadId })) }
        await withConnection(destination, connection =>
          runLoad(connection, schema, { loadId, tables: merged, records }),
        )
      }
      expect(await numberOf(destination, 'SELECT sum(id) FROM orders')).toBe(1275n)
      expect([...store.objects.keys()].every(key => key.startsWith('lake/api_data/orders/'))).toBe(true)
      expect(destination.secrets).toHaveLength(1)
    } finally {
      await store.close()
    }
  })

  it('takes merges of three processes at once, and loses none', { timeout: 240_000 }, async () => {
    const server = await startPostgres()
    try {
      const url = server.url(await server.createDatabase()).replace('127.0.0.1', 'localhost')
      const address = `ducklake:${url}?data_path=${join(folder, 'data')}`
      const script = fileURLToPath(new URL('processes/mergeIntoLake.mjs', import.meta.url))
      const names = ['one', 'two', 'three']
      await Promise.all(
        names.map(name => promisify(execFile)(process.execPath, [script, address, name, '10', join(folder, name)])),
      )
      const destination = await destinationFromUrl(address)
      expect(await numberOf(destination, `SELECT count(*) FROM marks WHERE id = 'shared'`, 'marks')).toBe(1n)
      expect(await numberOf(destination, 'SELECT count(*) FROM marks', 'marks')).toBe(31n)
      expect(await numberOf(destination, 'SELECT count(DISTINCT load_id) FROM _dlt_loads', 'marks')).toBe(30n)
      expect(await numberOf(destination, 'SELECT count(*) FROM _sluice_receipts', 'marks')).toBe(30n)
      // The catalog's password is nowhere.
      const paths = `SELECT string_agg(concat(path, options), ' ') FROM duckdb_databases()`
      expect(String(await numberOf(destination, paths, 'marks'))).not.toMatch(/p(@|%40)ss/)
    } finally {
      await server.stop()
    }
  })
})

describe.skipIf(extensions === undefined)('one clear error', () => {
  const failure = async (address: string): Promise<string> => {
    const destination = await destinationFromUrl(address)
    const [error] = await Promise.allSettled([load(destination, '1700000000.1', 1)])
    return error?.status === 'rejected' ? `${error.reason.code}: ${error.reason.message}` : 'no error'
  }
  const at = (name: string): string => join(folder, name)

  it('for a missing extension, and a missing folder of them', async () => {
    expect(await failure(`ducklake:${at('a.ducklake')}?extensions=${folder}`)).toMatch(
      /^destination: There is no ducklake\.duckdb_extension in .*; put the one for DuckDB v1\./,
    )
    expect(await failure(`ducklake:${at('a.ducklake')}?extensions=${at('nowhere')}`)).toMatch(/nowhere does not exist/)
    await writeFile(at('ducklake.duckdb_extension'), 'no extension')
    expect(await failure(`ducklake:${at('a.ducklake')}?extensions=${folder}`)).toMatch(
      /cannot be loaded: .*Get the one/,
    )
  })

  it('for files that are no catalogs', async () => {
    await writeFile(at('text'), 'this is a text that is long enough')
    expect(await failure(`ducklake:${at('text')}`)).toMatch(/text exists but is not a DuckDB database/)
    await load(duckdb(at('plain.duckdb')), '1700000000.1', 1)
    expect(await failure(`ducklake:${at('plain.duckdb')}`)).toMatch(/plain\.duckdb is a database without a lake in it/)
    expect(await failure(`ducklake:${at('no/folder.ducklake')}`)).toMatch(/its folder does not exist; create/)
    await expect(destinationFromUrl('ducklake:mysql://host/database')).rejects.toThrow(/expected a DuckDB file/)
  })

  it('for a catalog that DuckDB 2 wrote', async () => {
    await newerFile(at('newer.ducklake'))
    expect(await failure(`ducklake:${at('newer.ducklake')}`)).toMatch(
      /newer\.ducklake was written by .* version number 69, that of DuckDB 2, and this one reads 64 to \d+\. Let .*COPY FROM DATABASE a TO b$/,
    )
  })

  it('for a catalog of another version of DuckLake', async () => {
    await load(await lake(), '1700000000.1', 1)
    await withCatalog(`UPDATE ducklake_metadata SET value = '9.0' WHERE key = 'version'`)
    expect(await failure(`ducklake:${at('shop.ducklake')}`)).toMatch(
      /has the format 9\.0 of DuckLake, and the extension here reads \S+\. Get a newer DuckDB/,
    )
    await withCatalog(`UPDATE ducklake_metadata SET value = '0.1' WHERE key = 'version'`)
    expect(await failure(`ducklake:${at('shop.ducklake')}`)).toMatch(/Bring it up to date once/)
  })

  it.skipIf(process.platform === 'win32' || process.getuid?.() === 0)('without the right to write', async () => {
    await mkdir(at('closed'))
    await chmod(at('closed'), 0o500)
    expect(await failure(`ducklake:${at('closed/a.ducklake')}`)).toMatch(/No right to write/)
  })

  it('for data that cannot be written', async () => {
    await writeFile(at('file'), '')
    expect(await failure(`ducklake:${at('a.ducklake')}?data_path=${at('file')}/data`)).toMatch(
      /^destination: Cannot create the folder .*file\/data\S* for data of the lake .*; name another data path$/,
    )
  })

  it('for settings that do not fit', async () => {
    await expect(destinationFromUrl('ducklake:a.ducklake?data=x')).rejects.toThrow(/no setting `data`/)
    await expect(destinationFromUrl('ducklake:a.ducklake?metadata_schema=x')).rejects.toThrow(
      /only a catalog in Postgres/,
    )
    await expect(destinationFromUrl('ducklake:a?data_path=gs://x/y')).rejects.toThrow(/expected a folder or `s3:/)
  })

  it('for a catalog in Postgres that is away, closed or without rights, and never with the password', async () => {
    const server = await startPostgres()
    try {
      const url = server.url(await server.createDatabase())
      const data = `data_path=${at('data')}`
      const away = await failure(`ducklake:${url.replace(`:${server.port}/`, ':1/')}?${data}`)
      expect(away).toMatch(/^destination: Cannot connect to the catalog postgres:127\.0\.0\.1:1\/test_1: .*refused/)
      const wrong = await failure(`ducklake:${url.replace('word%2F1', 'word')}?${data}`)
      expect(wrong).toMatch(/password authentication failed/)
      await server.sql('test_1', `CREATE ROLE reader LOGIN PASSWORD 'p'`)
      const closed = await failure(`ducklake:${server.url('test_1', 'reader', 'p')}?${data}`)
      expect(closed).toMatch(/No right to use the catalog .* permission denied for schema public; grant/)
      expect(away + wrong + closed).not.toMatch(/p(@|%40)ss/)
      expect(await failure(`ducklake:${url}`)).toMatch(/data_path/)
    } finally {
      await server.stop()
    }
  })

  async function withCatalog(sql: string): Promise<void> {
    const { createRequire } = await import('node:module')
    const { DuckDBInstance } = createRequire(import.meta.url)('@duckdb/node-api') as typeof import('@duckdb/node-api')
    const instance = await DuckDBInstance.create(at('shop.ducklake'))
    const connection = await instance.connect()
    await connection.run(sql)
    connection.closeSync()
    instance.closeSync()
  }
})
