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
    dataset.query('SELEC 1')
    await expect(dataset.query('SELEC 1')).rejects.toThrow(QueryError)
    await expect(dataset.query('DELETE FROM shops')).rejects.toThrow(QueryError)
    await expect(dataset.query('SELECT $1 + 1').batches().next()).rejects.toThrow(QueryError)
    expect(await dataset.table('shops').count()).toBe(3)
  })
})

test('a query before the first load is refused and makes nothing', async () => {
  const folder = await testFolder()
  const dataset = shopsIn(duckdb(join(folder, 'shops.duckdb')), join(folder, 'home')).dataset()
  await expect(dataset.query('SELECT 1')).rejects.toThrow('there is no duckdb:shops.duckdb yet')
})
