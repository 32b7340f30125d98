import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { duckdb } from '../../src/destinations/duckdb/duckdb.js'
import { pipeline, restApi } from '../../src/index.js'
import { sluiceProcess } from '../cli/process.js'
import { testApi, testFolder } from '../pipeline/api.js'

/** A run that is killed, and an API that changes before the next run goes on with the pages that were read. */

interface Item {
  readonly id: number
  readonly shop?: number
}

const paginator = { type: 'offset', limit: 2, total_path: null }
const counted = { type: 'offset', limit: 2, total_path: 'total' }
const itemsOf = (more: object) => ({
  name: 'items',
  primary_key: 'id',
  write_disposition: 'merge',
  max_delete_share: 1,
  endpoint: { path: 'items', data_selector: 'data', paginator },
  ...more,
})

/** The list of `items`, and those of shops, in pages of two. A process that asks for a path of `deadly` is killed at once. */
async function shop(resources: readonly object[]) {
  const folder = await testFolder()
  const isCounted = JSON.stringify(resources).includes('"total"')
  let items: readonly Item[] = []
  let deadly: string | undefined
  let kill = (): void => {}
  const api = await testApi(({ pathname, search, searchParams }) => {
    if (deadly !== undefined && `${pathname}${search}`.startsWith(deadly)) {
      kill()
      return new Promise(() => {})
    }
    const [, list, id] = pathname.split('/')
    const all =
      list === 'shops' && id === undefined
        ? [...new Set(items.map(item => item.shop))].sort().map(each => ({ id: each }))
        : items.filter(item => id === undefined || item.shop === Number(id))
    const offset = Number(searchParams.get('offset') ?? 0)
    return { json: { data: all.slice(offset, offset + 2), ...(isCounted && { total: all.length }) } }
  })
  const document = { client: { base_url: api.url }, resources }
  await writeFile(join(folder, 'test.json'), JSON.stringify({ name: 'test', ...document }))
  const path = join(folder, 'test.duckdb')
  const command = ['run', 'test.json', '--destination', `duckdb:${path}`, '--concurrency', '1']
  const started = (running: { kill(signal: NodeJS.Signals): void }): void => {
    kill = () => running.kill('SIGKILL')
  }
  const run = () => sluiceProcess(command, { cwd: folder, env: { SLUICE_HOME: join(folder, 'home') }, started })
  return {
    asked: api.asked,
    run,
    set(next: readonly Item[]): void {
      items = next
    },
    async killedAt(request: string): Promise<void> {
      deadly = request
      expect(await run()).toMatchObject({ signal: 'SIGKILL' })
      deadly = undefined
    },
    async ids(table = 'items'): Promise<number[]> {
      const made = pipeline({
        name: 'test',
        source: restApi(document as never, { env: {} }),
        destination: duckdb({ path }),
        home: join(folder, 'home'),
      })
      const rows = await made.dataset().table(table).rows()
      return rows.map(({ id }) => Number(id)).sort((a, b) => a - b)
    },
  }
}

const numbers = (...ids: readonly number[]): Item[] => ids.map(id => ({ id }))
const AFTER_FIRST = '/items?offset=2'
const said = (text: string): string => text.replace(/\s+/g, ' ')

test.each<[string, object]>([
  ['deletes: hard', { deletes: 'hard' }],
  [
    'deletes: hard, and a total',
    { deletes: 'hard', endpoint: { path: 'items', data_selector: 'data', paginator: counted } },
  ],
])('takes no record for deleted that moved to a page that was read before: %s', async (_, more) => {
  const api = await shop([itemsOf(more)])
  api.set(numbers(1, 2, 3, 4, 5))
  expect(await api.run()).toMatchObject({ exitCode: 0 })
  await api.killedAt(AFTER_FIRST)
  // 3 moves to the first page, which was read, and 6 takes its place in the count.
  api.set(numbers(2, 3, 4, 5, 6))
  const resumed = await api.run()
  expect(resumed).toMatchObject({ exitCode: 0 })
  expect(said(resumed.stderr)).toMatch(/nothing was deleted from table items: items was read in part by an earlier run/)
  expect(await api.ids()).toEqual([1, 2, 3, 4, 5, 6])
  expect(await api.run()).toMatchObject({ exitCode: 0 })
  expect(await api.ids()).toEqual([2, 3, 4, 5, 6])
})

test('nor where the run that goes on is killed too, and the last one only loads', async () => {
  const api = await shop([
    itemsOf({ deletes: 'hard' }),
    itemsOf({ name: 'last', endpoint: { path: 'last', data_selector: 'data', paginator } }),
  ])
  api.set(numbers(1, 2, 3, 4, 5))
  expect(await api.run()).toMatchObject({ exitCode: 0 })
  await api.killedAt(AFTER_FIRST)
  api.set(numbers(2, 3, 4, 5, 6))
  await api.killedAt('/last?offset=0')
  const before = api.asked.length
  const resumed = await api.run()
  expect(resumed).toMatchObject({ exitCode: 0 })
  expect(api.asked.slice(before).filter(path => path.startsWith('/items'))).toEqual([])
  expect(said(resumed.stderr)).toMatch(/nothing was deleted from table items/)
  expect(await api.ids()).toEqual([1, 2, 3, 4, 5, 6])
})

test('nor below a parent that was read before', async () => {
  const api = await shop([
    {
      name: 'shops',
      primary_key: 'id',
      write_disposition: 'merge',
      endpoint: { path: 'shops', data_selector: 'data', paginator },
    },
    itemsOf({
      deletes: 'hard',
      endpoint: { path: 'shops/{resources.shops.id}/items', data_selector: 'data', paginator },
    }),
  ])
  api.set([
    { id: 1, shop: 1 },
    { id: 2, shop: 2 },
  ])
  expect(await api.run()).toMatchObject({ exitCode: 0 })
  await api.killedAt('/shops/1/items')
  // 2 moves to a shop that is new.
  api.set([
    { id: 1, shop: 1 },
    { id: 3, shop: 2 },
    { id: 2, shop: 3 },
  ])
  const resumed = await api.run()
  expect(said(resumed.stderr)).toMatch(/nothing was deleted from table items/)
  expect(await api.ids()).toEqual([1, 2, 3])
})

test('a total that is another one than before makes the list unproven', async () => {
  const api = await shop([
    itemsOf({ deletes: 'hard', endpoint: { path: 'items', data_selector: 'data', paginator: counted } }),
  ])
  api.set(numbers(1, 2, 3, 4, 5))
  await api.run()
  await api.killedAt(AFTER_FIRST)
  api.set(numbers(3, 4, 5))
  const resumed = await api.run()
  expect(said(resumed.stdout)).toMatch(/items unproven/)
  expect(await api.ids()).toEqual([1, 2, 3, 4, 5])
})

test('a replace that would lose more than it may is refused, and the next run reads all of it', async () => {
  const api = await shop([itemsOf({ write_disposition: 'replace', max_delete_share: 0.1 })])
  api.set(numbers(1, 2, 3, 4, 5, 6))
  await api.run()
  await api.killedAt(AFTER_FIRST)
  api.set(numbers(5, 6, 7))
  const resumed = await api.run()
  expect(resumed.exitCode).toBe(1)
  expect(said(resumed.stderr)).toMatch(/items was read in part by an earlier run.*too_many_deletes/)
  expect(await api.ids()).toEqual([1, 2, 3, 4, 5, 6])
  expect(await api.run()).toMatchObject({ exitCode: 0 })
  expect(await api.ids()).toEqual([5, 6, 7])
})

test('where the earlier run read all of it, what was gone then is deleted', async () => {
  const api = await shop([
    itemsOf({ deletes: 'hard' }),
    itemsOf({ name: 'last', endpoint: { path: 'last', data_selector: 'data', paginator } }),
  ])
  api.set(numbers(1, 2, 3))
  await api.run()
  api.set(numbers(2, 3))
  await api.killedAt('/last?offset=0')
  await api.run()
  expect(await api.ids()).toEqual([2, 3])
})
