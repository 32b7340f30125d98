import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { duckdb, type Pipeline, pipeline, type RestApiConfig, type RunEvent, restApi } from '../../src/index.js'
import { type Answer, offsetPage, testApi, testFolder } from './api.js'

type Row = Readonly<Record<string, unknown>>

async function itemsPipeline(answer: (url: URL) => Answer, resource: object = {}, client: object = {}) {
  const api = await testApi(answer)
  const folder = await testFolder()
  const config = {
    client: { base_url: api.url, paginator: { type: 'offset', limit: 2 }, retry: { attempts: 1 }, ...client },
    resources: [{ name: 'items', primary_key: 'id', write_disposition: 'merge', ...resource }],
  } as RestApiConfig
  const make = (): Pipeline =>
    pipeline({
      name: 'test',
      source: restApi(config, { env: {} }),
      destination: duckdb(join(folder, 'test.duckdb')),
      home: join(folder, 'home'),
    })
  return { api, make, folder }
}

async function ids(made: Pipeline): Promise<unknown[]> {
  const rows = (await made.dataset().table('items').orderBy('id').rows()) as readonly Row[]
  return rows.map(row => Number(row.id))
}

test('loads every page, merges changes and proves that the list was complete', async () => {
  let rows = [1, 2, 3, 4, 5].map(id => ({ id, name: `n${id}`, tags: ['a', 'b'] }))
  const { api, make } = await itemsPipeline(url => offsetPage(rows, url))
  const first = await make().run()
  expect(first.rows).toEqual({ items: 5, items__tags: 10 })
  expect(first.receipts).toMatchObject([
    { resource: 'items', verdict: 'complete', pages: 3, records: 5, announced: 5, requests: 3, retries: 0 },
  ])
  expect(api.asked).toHaveLength(3)
  rows = rows.map(row => (row.id === 2 ? { ...row, name: 'changed', tags: [] } : row))
  await make().run()
  const loaded = (await make().dataset().table('items').orderBy('id').rows()) as readonly Row[]
  expect(loaded.map(row => row.name)).toEqual(['n1', 'changed', 'n3', 'n4', 'n5'])
  expect(await make().dataset().table('items__tags').count()).toBe(8)
})

test('commits nothing when a page fails, and asks only for the missing page in the next run', async () => {
  const rows = [1, 2, 3, 4, 5].map(id => ({ id }))
  let broken = true
  const { api, make } = await itemsPipeline(
    url =>
      broken && url.searchParams.get('offset') === '4' ? { status: 500, json: { error: 'x' } } : offsetPage(rows, url),
    {},
    { concurrency: 1 },
  )
  await expect(make().run()).rejects.toMatchObject({ code: 'http_status', status: 500 })
  expect(await make().dataset().tables()).toEqual([])
  broken = false
  const asked = api.asked.length
  const result = await make().run()
  expect(api.asked.slice(asked)).toEqual(['/items?offset=4&limit=2'])
  expect(result.receipts[0]).toMatchObject({ pages: 3, pagesFromJournal: 2, requests: 1, verdict: 'complete' })
  expect(await ids(make())).toEqual([1, 2, 3, 4, 5])
})

test('sets the journal of another document aside with a warning', async () => {
  const rows = [1, 2, 3].map(id => ({ id }))
  let broken = true
  const answer = (url: URL): Answer =>
    broken && url.searchParams.get('offset') === '2' ? { status: 500, json: {} } : offsetPage(rows, url)
  const { make, folder, api } = await itemsPipeline(answer)
  await expect(make().run()).rejects.toMatchObject({ code: 'http_status' })
  broken = false
  const other = restApi(
    {
      client: { base_url: api.url },
      resources: [{ name: 'items', endpoint: { params: { v: 2 }, paginator: 'single_page' } }],
    },
    { env: {} },
  )
  const events: RunEvent[] = []
  const asked = api.asked.length
  await pipeline({
    name: 'test',
    source: other,
    destination: duckdb(join(folder, 'test.duckdb')),
    home: join(folder, 'home'),
  }).run({
    onEvent: event => events.push(event),
  })
  expect(events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'journal_set_aside' }))
  expect(api.asked.slice(asked)).toEqual(['/items?v=2'])
})

test('keeps the newest five of the journals that were set aside, and says which it removed', async () => {
  let rows: readonly unknown[] = [1, 'not a record']
  const { make, folder } = await itemsPipeline(url => offsetPage(rows, url))
  const aside = async (): Promise<string[]> =>
    (await readdir(join(folder, 'home/test/loads'))).filter(name => name.endsWith('.aside')).sort()
  const events: RunEvent[] = []
  const onEvent = (event: RunEvent): unknown => events.push(event)
  const names: string[][] = []
  for (let failure = 0; failure < 7; failure++) {
    await expect(make().run({ onEvent })).rejects.toMatchObject({ code: 'primary_key' })
    names.push(await aside())
  }
  expect(names.map(({ length }) => length)).toEqual([1, 2, 3, 4, 5, 6, 6])
  rows = [{ id: 1 }]
  await make().run({ onEvent })
  expect(await aside()).toEqual(names.at(-1)?.slice(1))
  const removed = names.at(-1)?.[0] ?? ''
  expect(events).toContainEqual(
    expect.objectContaining({ code: 'journal_set_aside', message: expect.stringContaining(removed) }),
  )
})

test('fails a list that announced more than it gave, unless that is allowed', async () => {
  const { make } = await itemsPipeline(
    url => ({ json: { items: url.searchParams.get('offset') === '0' ? [{ id: 1 }, { id: 2 }] : [], total: 5 } }),
    {},
    { paginator: { type: 'offset', limit: 2 } },
  )
  await expect(make().run()).rejects.toMatchObject({ code: 'incomplete' })
  expect(await make().dataset().tables()).toEqual([])
  const result = await make().run({ allowIncomplete: true })
  expect(result.receipts[0]).toMatchObject({ verdict: 'incomplete', records: 2, announced: 5 })
  expect(await ids(make())).toEqual([1, 2])
})

test('a limit on pages leaves the receipt unproven', async () => {
  const rows = [1, 2, 3, 4, 5].map(id => ({ id }))
  const { make, api } = await itemsPipeline(url => offsetPage(rows, url))
  const result = await make().run({ maxPages: 1 })
  expect(api.asked).toHaveLength(1)
  expect(result.receipts[0]).toMatchObject({ verdict: 'unproven', records: 2 })
})

test('deletes rows that a complete listing no longer has, and stops where too many are gone', async () => {
  let rows = [1, 2, 3, 4, 5].map(id => ({ id, tags: ['a'] }))
  const { make } = await itemsPipeline(url => offsetPage(rows, url), { deletes: 'hard', max_delete_share: 0.5 })
  await make().run()
  rows = rows.filter(row => row.id > 2)
  await make().run()
  expect(await ids(make())).toEqual([3, 4, 5])
  expect(await make().dataset().table('items__tags').count()).toBe(3)
  rows = rows.slice(0, 1)
  await expect(make().run()).rejects.toMatchObject({ code: 'too_many_deletes' })
  expect(await ids(make())).toEqual([3, 4, 5])
})

test('marks rows that are gone and clears the mark when they come back', async () => {
  let rows = [1, 2, 3].map(id => ({ id }))
  const { make } = await itemsPipeline(url => offsetPage(rows, url), { deletes: 'soft', max_delete_share: 0.5 })
  const marked = async (): Promise<unknown[]> => {
    const all = (await make().dataset().table('items').orderBy('id').rows()) as readonly Row[]
    return all.map(row => row._sluice_deleted_at !== null)
  }
  await make().run()
  expect(await marked()).toEqual([false, false, false])
  rows = rows.slice(1)
  await make().run()
  expect(await marked()).toEqual([true, false, false])
  rows = [{ id: 1 }, ...rows]
  await make().run()
  expect(await marked()).toEqual([false, false, false])
})

test('a partial listing deletes nothing', async () => {
  const rows = [1, 2, 3, 4, 5].map(id => ({ id }))
  const { make } = await itemsPipeline(url => offsetPage(rows, url), { deletes: 'hard', max_delete_share: 1 })
  await make().run()
  await make().run({ maxPages: 1 })
  expect(await ids(make())).toEqual([1, 2, 3, 4, 5])
})

test('moves a cursor with its rows and continues from the destination with an empty working folder', async () => {
  let last = 3
  const api = await testApi(url => {
    const since = Number(url.searchParams.get('since'))
    const rows = Array.from({ length: last }, (_, index) => ({ id: index + 1, at: (index + 1) * 10 }))
    return { json: { data: rows.filter(row => row.at >= since) } }
  })
  const folder = await testFolder()
  const run = (home: string) =>
    pipeline({
      name: 'cursor',
      destination: duckdb(join(folder, 'cursor.duckdb')),
      home: join(folder, home),
      source: restApi(
        {
          client: { base_url: api.url },
          resources: [
            {
              name: 'events',
              primary_key: 'id',
              endpoint: {
                paginator: 'single_page',
                data_selector: 'data',
                params: { since: '{incremental.start_value}' },
                incremental: { cursor_path: 'at', initial_value: 0 },
              },
            },
          ],
        },
        { env: {} },
      ),
    }).run()
  await run('one')
  last = 4
  const second = await run('two')
  expect(api.asked).toEqual(['/events?since=0', '/events?since=30'])
  expect(second.rows).toEqual({ events: 1 })
  const third = await run('three')
  expect(third.loadId).toBeUndefined()
})

test('ends when the signal says so, commits nothing and keeps what was read', async () => {
  const rows = [1, 2, 3, 4, 5, 6].map(id => ({ id }))
  const { make, api } = await itemsPipeline(url => offsetPage(rows, url), {}, { concurrency: 1 })
  const stop = new AbortController()
  const run = make().run({
    signal: stop.signal,
    onEvent: event => {
      if (event.type === 'page') stop.abort(new Error('enough'))
    },
  })
  await expect(run).rejects.toThrow('enough')
  const asked = api.asked.length
  await make().run()
  expect(api.asked.slice(asked)).not.toContain('/items?offset=0&limit=2')
  expect(await ids(make())).toEqual([1, 2, 3, 4, 5, 6])
})

test('reads a parent that is not selected for its children only', async () => {
  const api = await testApi(url =>
    url.pathname === '/shops'
      ? { json: [{ id: 1 }, { id: 2 }] }
      : { json: [{ sale: `${url.pathname}#1` }, { sale: `${url.pathname}#2` }] },
  )
  const folder = await testFolder()
  const made = pipeline({
    name: 'shops',
    destination: duckdb(join(folder, 'shops.duckdb')),
    home: join(folder, 'home'),
    source: restApi(
      {
        client: { base_url: api.url, paginator: 'single_page' },
        resources: [
          { name: 'shops', selected: false },
          { name: 'sales', endpoint: 'shops/{resources.shops.id}/sales', include_from_parent: ['id'] },
        ],
      },
      { env: {} },
    ),
  })
  const result = await made.run()
  expect(result.rows).toEqual({ shops: 0, sales: 4 })
  const rows = await made.dataset().table('sales').select('_shops_id', 'sale').orderBy('sale').rows()
  expect(rows.map(row => [Number(row._shops_id), row.sale])).toEqual([
    [1, '/shops/1/sales#1'],
    [1, '/shops/1/sales#2'],
    [2, '/shops/2/sales#1'],
    [2, '/shops/2/sales#2'],
  ])
})

test('refuses a selection that names no resource before any request', async () => {
  const { make, api } = await itemsPipeline(url => offsetPage([], url))
  await expect(make().run({ select: ['itmes'] })).rejects.toMatchObject({ code: 'config' })
  expect(api.asked).toEqual([])
})
