import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Destination, duckdb, files, pipeline, QueryError, restApi } from '../../src/index.js'
import { testFolder } from './api.js'

function shopsIn(destination: Destination, home: string) {
  const records = [1, 2, 3].map(id => ({
    id,
    city: id < 3 ? 'Oslo' : 'Rome',
    opened: `2024-0${id}-01T00:00:00Z`,
    tags: ['a'],
  }))
  return pipeline({
    name: 'shops',
    source: restApi({ client: { base_url: 'https://api.example.com' }, resources: [{ name: 'shops', records }] }),
    destination,
    dataset: 'crm',
    home,
  })
}

describe.each(['duckdb', 'files'])('dataset().query() on %s', kind => {
  async function loaded() {
    const folder = await testFolder()
    const destination = kind === 'duckdb' ? duckdb(join(folder, 'shops.duckdb')) : files(join(folder, 'lake'))
    const shops = shopsIn(destination, join(folder, 'home'))
    await shops.run()
    return shops.dataset()
  }

  test('gives rows when they are awaited, or one after the other', async () => {
    const dataset = await loaded()
    const cities = dataset.query<{ city: string; n: bigint }>(
      'SELECT city, count(*) AS n FROM shops WHERE opened >= CAST($1 AS TIMESTAMPTZ) GROUP BY city ORDER BY city',
      [new Date('2024-02-01')],
    )
    expect(await cities).toEqual([
      { city: 'Oslo', n: 1n },
      { city: 'Rome', n: 1n },
    ])
    const seen: string[] = []
    for await (const { city, n } of cities) seen.push(`${city} ${n}`)
    expect(seen).toEqual(['Oslo 1', 'Rome 1'])
    const sizes: number[] = []
    for await (const batch of dataset.query('FROM shops').batches(2)) sizes.push(batch.length)
    expect(sizes).toEqual([2, 1])
    const joined =
      'SELECT s.id, t.value FROM shops AS s JOIN shops__tags AS t ON t._dlt_parent_id = s._dlt_id WHERE s.id = 2'
    expect(await dataset.query(joined)).toEqual([{ id: 2n, value: 'a' }])
    expect((await dataset.query('SHOW TABLES')).map(({ name }) => name)).toContain('shops__tags')
  })

  test('runs nothing before that, and refuses what is wrong or would write', async () => {
    const dataset = await loaded()
    const refused = await dataset.query('SELEC 1').catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(QueryError)
    let ended = 0
    const tables = await dataset.query('SHOW TABLES').finally(() => {
      ended += 1
    })
    expect([ended, tables.length > 0]).toEqual([1, true])
    dataset.query('SELEC 1')
    await expect(dataset.query('SELEC 1')).rejects.toThrow(QueryError)
    await expect(dataset.query('DELETE FROM shops')).rejects.toThrow(QueryError)
    await expect(dataset.query('SELECT $1 + 1').batches().next()).rejects.toThrow(QueryError)
    expect(await dataset.table('shops').count()).toBe(3)
    await expect(dataset.table('shop' as 'shops').rows()).rejects.toThrow(
      /there is no table "shop" in crm \(did you mean shops\?\); there are: shops, shops__tags$/,
    )
  })
})

describe('a query on DuckDB', () => {
  async function loaded() {
    const folder = await testFolder()
    const shops = shopsIn(duckdb(join(folder, 'shops.duckdb')), join(folder, 'home'))
    await shops.run()
    return { folder, dataset: shops.dataset() }
  }

  test('writes no file, reads none, and changes no setting, whatever it is', { timeout: 60_000 }, async () => {
    const { folder, dataset } = await loaded()
    const outside = join(folder, 'outside')
    const before = await readdir(folder)
    const setting = "FROM duckdb_settings() WHERE name IN ('enable_logging', 'threads')"
    const settings = await dataset.query(setting)
    for (const sql of [
      `EXPLAIN ANALYZE COPY shops TO '${outside}'`,
      `/* a */ explain /* b */ analyze COPY shops TO '${outside}'`,
      `EXPORT DATABASE '${outside}'`,
      `FROM enable_logging('QueryLog', storage = 'file', storage_path = '${outside}')`,
      `SELECT (SELECT count(*) FROM enable_logging())`,
      'FROM checkpoint()',
      `SELECT * FROM read_text('${join(folder, 'shops.duckdb')}')`,
      `FROM glob('${folder}/*')`,
      `FROM '${outside}.csv'`,
      'DESCRIBE outside.csv',
      `FROM query('FROM glob(''/*'')')`,
      "FROM read_csv('http://127.0.0.1:1/x.csv')",
      'EXPLAIN ANALYZE SET threads = 1',
      "PRAGMA enable_profiling = 'json'",
      'SELECT 1\0; DROP TABLE shops',
      '-- nothing',
    ]) {
      await expect(dataset.query(sql), sql).rejects.toThrow(QueryError)
    }
    expect(await readdir(folder)).toEqual(before)
    expect(await dataset.query(setting)).toEqual(settings)
  })

  test('reads in every form that SQL has for it', { timeout: 60_000 }, async () => {
    const { dataset } = await loaded()
    for (const [sql, rows] of [
      ['; TABLE crm.shops;;', 3],
      ['WITH a AS (FROM shops) FROM a, unnest([1, 2])', 6],
      ['SUMMARIZE shops', 5],
      ['FROM (DESCRIBE shops)', 5],
      ['PIVOT shops ON city IN (Oslo, Rome) USING count(*)', 3],
      ["FROM duckdb_columns() WHERE table_name = 'shops'", 5],
      ['SELECT count(*) FROM information_schema.tables', 1],
      ['EXPLAIN (FORMAT json) SELECT 1', 1],
      ['EXPLAIN ANALYZE (SELECT 1)', 1],
    ] as const) {
      expect(await dataset.query(sql), sql).toHaveLength(rows)
    }
  })

  test('gives each value as it is, or refuses it', async () => {
    const { dataset } = await loaded()
    const [row] =
      await dataset.query(`SELECT [TIMESTAMP '2024-01-01 00:00:00.123456'] AS times, {'n': 'nan'::DOUBLE} AS nan,
      'infinity'::DATE AS day, TIMESTAMP '1969-12-31 23:59:59.999999' AS at, MAP {'a': 1} AS map`)
    expect(row).toEqual({
      times: ['2024-01-01 00:00:00.123456'],
      nan: { n: 'NaN' },
      day: 'infinity',
      at: new Date('1969-12-31T23:59:59.999Z'),
      map: { a: 1 },
    })
    await expect(dataset.query('SELECT (city, id) AS pair FROM shops')).rejects.toThrow('members of column pair')
  })
})

test('a query that was stopped before it began does not begin', async () => {
  const folder = await testFolder()
  const destination = duckdb(join(folder, 'shops.duckdb'))
  await shopsIn(destination, join(folder, 'home')).run()
  const stop = new AbortController()
  await using connection = await destination.connect('crm', stop.signal)
  stop.abort()
  const batches = connection.query?.({ sql: 'SELECT count(*) FROM range(100000000000) AS a(i) WHERE hash(i) = 3' })
  await expect(batches?.next()).rejects.toMatchObject({ name: 'AbortError' })
})

test('a query before the first load is refused and makes nothing', async () => {
  const folder = await testFolder()
  const dataset = shopsIn(duckdb(join(folder, 'shops.duckdb')), join(folder, 'home')).dataset()
  await expect(dataset.query('SELECT 1')).rejects.toThrow('there is no duckdb:shops.duckdb yet')
})
