import { join } from 'node:path'
import { expect, test } from 'vitest'
import { AbortError, type Dataset, duckdb, pipeline, restApi } from '../../src/index.js'
import { testFolder } from './api.js'

interface Tables {
  readonly shops: {
    readonly id: bigint
    readonly city: string | null
    readonly at: Date | null
    readonly tags: readonly string[]
  }
}

async function loaded(): Promise<Dataset<Tables>> {
  const folder = await testFolder()
  const records = [1, 2, 3].map(id => ({ id, city: id === 1 ? null : `c${id}`, at: `2024-01-0${id}T00:00:00Z` }))
  const shops = pipeline({
    name: 'shops',
    source: restApi({ client: { base_url: '' }, resources: [{ name: 'shops', records }] }),
    destination: duckdb(join(folder, 'shops.duckdb')),
    home: join(folder, 'home'),
  })
  await shops.run()
  return shops.dataset<Tables>()
}

test('each operator takes what it can compare, and nothing else', async () => {
  const table = (await loaded()).table('shops')
  expect(await table.where('id', '>=', 2).count()).toBe(2)
  expect(await table.where('id', 'in', [1n, 3]).count()).toBe(2)
  expect(await table.where('at', '<', '2024-01-02T00:00:00Z').count()).toBe(1)
  expect(await table.where('city', '=', null).count()).toBe(1)
  expect(await table.where('city', 'is not null').count()).toBe(2)
  const missing = undefined
  const wrong: readonly (readonly [() => unknown, RegExp])[] = [
    // @ts-expect-error undefined is not null
    [() => table.where('city', '=', missing), /^where\('city', '='\): expected one value: .*, not nothing$/],
    // @ts-expect-error no value
    [() => table.where('city', '='), /not nothing$/],
    // @ts-expect-error a list
    [() => table.where('id', '>=', [1n]), /^where\('id', '>='\): expected one value: .*, not a list$/],
    [
      // @ts-expect-error no list
      () => table.where('city', 'in', 'c2'),
      /^where\('city', 'in'\): expected a list of values: .*, not the text "c2"$/,
    ],
    // @ts-expect-error a list with nothing in it
    [() => table.where('city', 'in', ['c2', missing]), /expected a list of values: .*, not one with nothing$/],
    // @ts-expect-error no value behind it
    [() => table.where('city', 'is null', 'c2'), /^where\('city', 'is null'\): takes no value$/],
    // @ts-expect-error the column is never null
    [() => table.where('id', '=', null).count, /^$/],
    // @ts-expect-error a list cannot be compared
    [() => table.where('tags', '=', ['x']), /not a list$/],
    [() => table.where('at', '>', new Date('never')), /expected one value/],
  ]
  for (const [call, message] of wrong) {
    if (message.source !== '^$') expect(call, String(call)).toThrow(message)
  }
})

test('rows are ordered by the short words too, and a statement has a first row', async () => {
  const dataset = await loaded()
  expect((await dataset.table('shops').orderBy('id', 'desc').first())?.id).toBe(3n)
  expect(await dataset.table('shops').limit(0).first()).toBeUndefined()
  const pages = dataset.table('shops').orderBy('id').limit(2)
  expect((await pages.offset(1).rows()).map(({ id }) => id)).toEqual([2n, 3n])
  expect((await pages.offset(2).first())?.id).toBe(3n)
  expect(await Promise.all([0, 2, 9].map(rows => pages.offset(rows).count()))).toEqual([2, 1, 0])
  expect(await dataset.table('shops').where('id', '>', 1).offset(1).count()).toBe(1)
  expect(() => pages.offset(-1)).toThrow(/offset: /)
  expect(await dataset.query<{ n: bigint }>('SELECT count(*) AS n FROM shops').first()).toEqual({ n: 3n })
  expect(await dataset.query('SELECT id FROM shops WHERE id > 9').first()).toBeUndefined()
  for await (const row of dataset.query<{ id: bigint }>('SELECT id FROM shops ORDER BY id')) {
    expect(row.id).toBe(1n)
    break
  }
  expect(await dataset.table('shops').count()).toBe(3)
})

test('every read stops when its signal is aborted', async () => {
  const dataset = await loaded()
  const reason = new Error('enough')
  const signal = AbortSignal.abort(reason)
  const table = dataset.table('shops')
  const stopped = { name: 'AbortError', code: 'aborted', message: 'stopped (enough)', cause: reason }
  const where = table.where('id', '>', 0)
  const reads = [table.rows, table.first, table.count, where.count].map(read => read({ signal }))
  for (const read of [...reads, table.batches(1, { signal }).next()]) await expect(read).rejects.toMatchObject(stopped)
  await expect(dataset.query('SELECT 1', [], { signal }).first()).rejects.toMatchObject(stopped)
  // @ts-expect-error no signal
  await expect(table.rows({ signal: 'now' })).rejects.toThrow(/signal: expected an AbortSignal/)
  const control = new AbortController()
  const read: unknown[] = []
  await expect(
    (async () => {
      for await (const batch of table.batches(1, { signal: control.signal })) {
        read.push(...batch)
        control.abort(reason)
      }
    })(),
  ).rejects.toMatchObject(stopped)
  expect(read).toHaveLength(1)
})

test('a statement that is stopped in the middle of its rows never looks finished', async () => {
  const dataset = await loaded()
  const reason = new Error('enough')
  const control = new AbortController()
  let batches = 0
  await expect(
    (async () => {
      const sql = 'SELECT a.range AS n FROM range(100000000000) AS a'
      for await (const _ of dataset.query(sql, [], { signal: control.signal }).batches(2048)) {
        batches += 1
        if (batches === 3) control.abort(reason)
      }
    })(),
  ).rejects.toBeInstanceOf(AbortError)
  expect(await dataset.table('shops').count()).toBe(3)
})

test.each([
  [
    'a value',
    "CAST(CASE WHEN range = 300000 THEN 'x' ELSE range::TEXT END AS INT)",
    /Could not convert string 'x' to INT32/,
  ],
  ['a function', "CASE WHEN range = 300000 THEN error('no ' || ?) ELSE range END", /no way/],
])('a statement that fails in the middle of its rows is an error: %s', async (_, expression, message) => {
  const dataset = await loaded()
  const sql = `SELECT ${expression} AS v FROM range(1000000)`
  const rows = async () => await dataset.query(sql, sql.includes('?') ? ['way'] : [])
  await expect(rows()).rejects.toThrow(message)
  await expect(rows()).rejects.not.toThrow('EXPLAIN')
})
