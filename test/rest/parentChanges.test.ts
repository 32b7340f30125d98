import { describe, expect, it } from 'vitest'
import { ConfigError, type RestApiConfig, restApi, Secret } from '../../src/index.js'
import { prepared, preparedVersions, run, testApi } from './loading.js'

/** Lists that are read only where the record of the parent changed, and cursors of each parent. */

type Orders = Record<number, { updated_at: string; lines: unknown[] }>

/** An API of orders with lines, whose orders a test may change between two runs. */
async function shop(orders: Orders, answers: { fails?: number; isPart?: number } = {}) {
  const api = await testApi(url => {
    const id = /^\/orders\/(\d+)\/lines/.exec(url.pathname)?.[1]
    if (id === undefined) {
      const listed = Object.entries(orders).map(([key, { updated_at }]) => ({ id: Number(key), updated_at }))
      return { json: { items: listed, total: listed.length } }
    }
    if (Number(id) === answers.fails) return { status: 403, json: { error: 'no' } }
    const since = url.searchParams.get('since') ?? ''
    const lines = (orders[Number(id)]?.lines ?? []) as { at?: string }[]
    const found = lines.filter(({ at }) => (at ?? 'z') >= since)
    return {
      ...(Number(id) === answers.isPart && { status: 206 }),
      json: { items: found, total: found.length },
    }
  })
  const asked = () => api.asked.splice(0).filter(line => line.includes('/lines'))
  return { api, asked }
}

const whole = { data_selector: 'items', paginator: { type: 'single_page', total_path: 'total' } } as const

function document(origin: string, endpoint: object = {}, child: object = {}, parent: object = {}): RestApiConfig {
  return {
    client: { base_url: origin },
    resource_defaults: { primary_key: 'id', write_disposition: 'merge', endpoint: whole },
    resources: [
      { name: 'orders', ...parent },
      {
        name: 'lines',
        include_from_parent: ['id'],
        ...child,
        endpoint: { path: 'orders/{resources.orders.id}/lines', read_when: 'parent_changed', ...endpoint },
      },
    ],
  } as unknown as RestApiConfig
}

const two = (): Orders => ({
  1: { updated_at: 'a', lines: [{ id: 11 }, { id: 12 }] },
  2: { updated_at: 'a', lines: [{ id: 21 }] },
})

describe('`read_when: parent_changed`', () => {
  it('reads again only the lists of records that changed or are new, and never calls that complete', async () => {
    const orders = two()
    const { api, asked } = await shop(orders)
    const made = await prepared(document(api.origin))
    const first = await run(made)
    expect(asked()).toEqual(['GET /orders/1/lines', 'GET /orders/2/lines'])
    expect(first.result.receipts.map(({ verdict }) => verdict)).toEqual(['complete', 'complete'])
    const second = await run(made)
    expect(asked()).toEqual([])
    expect(second.result.receipts[1]).toMatchObject({
      verdict: 'unproven',
      reasons: [expect.stringMatching(/^2 of 2 lists were not read again/)],
    })
    orders[1] = { updated_at: 'b', lines: [{ id: 11 }, { id: 12 }, { id: 13 }] }
    orders[3] = { updated_at: 'a', lines: [{ id: 31 }] }
    const third = await run(made)
    expect(asked()).toEqual(['GET /orders/1/lines', 'GET /orders/3/lines'])
    expect((await third.rows('lines')).map(({ id }) => id)).toEqual([11, 12, 13, 21, 31])
    expect(third.result.receipts.map(({ verdict }) => verdict)).toEqual(['complete', 'unproven'])
  })

  it('goes by the fields of `changed_by`, and by nothing else', async () => {
    const orders = two()
    const { api, asked } = await shop(orders)
    const made = await prepared(document(api.origin, { changed_by: 'updated_at' }))
    await run(made)
    asked()
    orders[2] = { updated_at: 'b', lines: [{ id: 22 }] }
    await run(made)
    expect(asked()).toEqual(['GET /orders/2/lines'])
    const otherwise = await prepared(document(api.origin, { changed_by: ['id'] }))
    await run(otherwise)
    asked()
    orders[1] = { updated_at: 'c', lines: [] }
    await run(otherwise)
    expect(asked()).toEqual([])
  })

  it('deletes no row of a list that was not read, and no row at all', async () => {
    const orders = two()
    const { api } = await shop(orders)
    const made = await prepared(document(api.origin, {}, { deletes: 'hard', max_delete_share: 1 }))
    await run(made)
    orders[1] = { updated_at: 'b', lines: [{ id: 11 }] }
    const second = await run(made)
    expect((await second.rows('lines')).map(({ id }) => id)).toEqual([11, 12, 21])
    expect(second.events).toContainEqual(expect.objectContaining({ code: 'deletes_skipped', resource: 'lines' }))
    orders[2] = { updated_at: 'b', lines: [{ id: 21 }] }
    const third = await run(made)
    expect((await third.rows('lines')).map(({ id }) => id)).toEqual([11, 12, 21])
  })

  const deleting = { deletes: 'with_parent', max_delete_share: 1 }
  const gone = { deletes: 'hard', max_delete_share: 1 }

  it('deletes rows with their parents, if their key names the parent', async () => {
    const orders = two()
    const { api } = await shop(orders)
    const keyed = { ...deleting, primary_key: ['id', '_orders_id'] }
    const made = await prepared(document(api.origin, {}, keyed, gone))
    await run(made)
    delete orders[1]
    const second = await run(made)
    expect((await second.rows('lines')).map(({ id }) => id)).toEqual([21])
  })

  it('deletes a row that several parents may have only after it has read all their lists', async () => {
    const orders = two()
    orders[1]?.lines.push({ id: 99 })
    orders[2]?.lines.push({ id: 99 })
    const { api, asked } = await shop(orders)
    const made = await prepared(document(api.origin, {}, deleting, gone))
    await run(made)
    delete orders[2]
    const second = await run(made)
    expect((await second.rows('lines')).map(({ id }) => id)).toEqual([11, 12, 21, 99])
    expect(second.events).toContainEqual(
      expect.objectContaining({ code: 'deletes_skipped', message: expect.stringContaining('`_orders_id`') }),
    )
    asked()
    const third = await run(made)
    expect(asked()).toEqual(['GET /orders/1/lines'])
    expect((await third.rows('lines')).map(({ id }) => id)).toEqual([11, 12, 99])
    expect(third.result.receipts[1]).toMatchObject({ deleted: 1 })
    await run(made)
    expect(asked()).toEqual([])
  })

  it('deletes no such row after a list that was cut', async () => {
    const orders = two()
    orders[1]?.lines.push({ id: 99 })
    orders[2]?.lines.push({ id: 99 })
    const answers: { isPart?: number } = {}
    const { api } = await shop(orders, answers)
    const made = await prepared(document(api.origin, {}, deleting, gone))
    await run(made)
    delete orders[2]
    await run(made)
    answers.isPart = 1
    orders[1]?.lines.pop()
    const third = await run(made)
    expect((await third.rows('lines')).map(({ id }) => id)).toEqual([11, 12, 21, 99])
  })

  it('asks again where the load failed, was not committed, or had only a part of the list', async () => {
    const orders = two()
    const answers: { fails?: number } = { fails: 2 }
    const { api, asked } = await shop(orders, answers)
    const made = await prepared(document(api.origin))
    await expect(run(made)).rejects.toThrow(/403/)
    delete answers.fails
    asked()
    await run(made, { resume: false })
    expect(asked()).toEqual(['GET /orders/1/lines', 'GET /orders/2/lines'])
    const capped = await prepared(document(api.origin, { max_records: 1 }))
    await run(capped)
    asked()
    await run(capped)
    expect(asked()).toEqual(['GET /orders/1/lines'])
  })

  it('asks again where an answer was only a part', async () => {
    const answers: { isPart?: number } = { isPart: 2 }
    const { api, asked } = await shop(two(), answers)
    const made = await prepared(document(api.origin))
    await run(made)
    delete answers.isPart
    asked()
    await run(made)
    expect(asked()).toEqual(['GET /orders/2/lines'])
    await run(made)
    expect(asked()).toEqual([])
  })

  it('goes on with an interrupted run, and remembers what both parts of it read', async () => {
    const orders = two()
    const answers: { fails?: number } = {}
    const { api, asked } = await shop(orders, answers)
    const made = await prepared(document(api.origin))
    await run(made)
    for (const id of [1, 2]) orders[id] = { updated_at: 'b', lines: [{ id: id * 10 + 5 }] }
    answers.fails = 2
    await expect(run(made)).rejects.toThrow(/403/)
    delete answers.fails
    asked()
    const resumed = await run(made)
    expect(asked()).toEqual(['GET /orders/2/lines'])
    expect((await resumed.rows('lines')).map(({ id }) => id)).toEqual([11, 12, 15, 21, 25])
    await run(made)
    expect(asked()).toEqual([])
  })

  it('asks again where a run left the rows out, and after a refresh', async () => {
    const { api, asked } = await shop(two())
    const made = await prepared(document(api.origin))
    await run(made, { select: ['orders'] })
    expect(asked()).toEqual([])
    await run(made)
    expect(asked()).toHaveLength(2)
    await run(made, { select: ['lines'], refresh: 'drop_data' })
    expect(asked()).toHaveLength(2)
    await run(made, { select: ['lines'], refresh: 'drop_resources' })
    expect(asked()).toHaveLength(2)
    await run(made)
    expect(asked()).toEqual([])
  })

  it('asks again for the sake of a resource below that was not read with it', async () => {
    const { api, asked } = await shop(two())
    const tags = {
      name: 'tags',
      endpoint: { path: 'tags', params: { line: '{resources.lines.id}' }, data_selector: 'items' },
    }
    const base = document(api.origin)
    const made = await prepared({ ...base, resources: [...base.resources, tags] } as RestApiConfig)
    const tagsAsked = () => api.asked.filter(line => line.startsWith('GET /tags')).length
    await run(made, { select: ['orders', 'lines'] })
    expect(asked()).toHaveLength(2)
    // The run left `tags` out, so that nothing was remembered.
    await run(made)
    expect(tagsAsked()).toBe(3)
    expect(asked()).toHaveLength(2)
    await run(made)
    expect(asked()).toEqual([])
    await run(made, { select: ['tags'], refresh: 'drop_data' })
    expect(asked()).toHaveLength(2)
  })

  it.each([
    ['params', {}, { params: { all: 'true' } }],
    ['the path', {}, { path: 'orders/{resources.orders.id}/lines/all' }],
    ['the selector', {}, { data_selector: 'items[*]' }],
    ['the filter', { filter: 'record.id != 12' }, {}],
    ['a rename', { rename: { at: 'since' } }, {}],
  ])('reads every list again where %s changed, and once only', async (_name, child, endpoint) => {
    const { api, asked } = await shop(two())
    const version = await preparedVersions()
    await run(version(document(api.origin)))
    await run(version(document(api.origin)))
    expect(asked()).toHaveLength(2)
    const changed = version(document(api.origin, endpoint, child))
    await run(changed)
    expect(asked()).toHaveLength(2)
    await run(changed)
    expect(asked()).toEqual([])
  })

  it('reads every list again where the address, or what becomes of the parent, changed', async () => {
    const { api, asked } = await shop(two())
    const version = await preparedVersions()
    const by = { changed_by: 'updated_at' }
    await run(version(document(api.origin, by)))
    await run(version(document(`${api.origin}/.`, by)))
    expect(asked()).toHaveLength(4)
    await run(version(document(`${api.origin}/.`, by, {}, { add: { shop: '1' } })))
    expect(asked()).toHaveLength(2)
  })

  it('reads every list again where a resource below it changed', async () => {
    const { api, asked } = await shop(two())
    const version = await preparedVersions()
    const base = document(api.origin)
    const withTags = (params: object): RestApiConfig =>
      ({
        ...base,
        resources: [...base.resources, { name: 'tags', endpoint: { path: 'tags', params, data_selector: 'items' } }],
      }) as unknown as RestApiConfig
    await run(version(withTags({ line: '{resources.lines.id}' })))
    await run(version(withTags({ line: '{resources.lines.id}' })))
    expect(asked()).toHaveLength(2)
    await run(version(withTags({ line: '{resources.lines.id}', all: 'true' })))
    expect(asked()).toHaveLength(2)
  })

  it('keeps what it knows where only the place in the document, or a limit of deletes, changed', async () => {
    const { api, asked } = await shop(two())
    const version = await preparedVersions()
    await run(version(document(api.origin)))
    const { resources, ...rest } = document(api.origin, {}, { max_delete_share: 0.5, expect: { min_records: 0 } })
    const other = { name: 'others', endpoint: { path: 'orders' } }
    asked()
    await run(version({ ...rest, resources: [other, ...resources] } as RestApiConfig))
    expect(asked()).toEqual([])
  })

  it('forgets records of the parent that are gone', async () => {
    const orders = two()
    const { api, asked } = await shop(orders)
    const made = await prepared(document(api.origin))
    await run(made)
    const gone = orders[1] as Orders[number]
    delete orders[1]
    await run(made)
    orders[1] = gone
    asked()
    await run(made)
    expect(asked()).toEqual(['GET /orders/1/lines'])
  })

  it('fills batches with the records that changed', async () => {
    const orders: Orders = Object.fromEntries([1, 2, 3, 4].map(id => [id, { updated_at: 'a', lines: [] }]))
    const api = await testApi(url =>
      url.pathname === '/orders'
        ? { json: { items: Object.entries(orders).map(([id, { updated_at }]) => ({ id, updated_at })), total: 4 } }
        : { json: { items: [{ id: url.searchParams.get('orders') }], total: 1 } },
    )
    const made = await prepared(
      document(
        api.origin,
        { path: 'lines', params: { orders: '{resources.orders.id}' }, batch_size: 2 },
        { include_from_parent: null },
      ),
    )
    await run(made)
    orders[1] = { updated_at: 'b', lines: [] }
    orders[4] = { updated_at: 'b', lines: [] }
    api.asked.length = 0
    await run(made)
    expect(api.asked).toEqual(['GET /orders', 'GET /lines?orders=1%2C4'])
  })

  it.each([
    ['replace', { write_disposition: 'replace' }, /cannot be `replace`/],
    ['scd2', { write_disposition: { disposition: 'merge', strategy: 'scd2' } }, /scd2 without a `merge_key`/],
    [
      'a scope',
      { write_disposition: { disposition: 'merge', strategy: 'delete-insert', destination_scope: 'id > 0' } },
      /destination_scope/,
    ],
  ])('is refused with %s', async (_name, child, problem) => {
    const { api } = await shop(two())
    await expect(run(await prepared(document(api.origin, {}, child)))).rejects.toThrow(problem)
  })

  it('is refused without a key of the parent', async () => {
    const { api } = await shop(two())
    const made = await prepared(document(api.origin, {}, {}, { primary_key: null, write_disposition: 'append' }))
    await expect(run(made)).rejects.toThrow(/needs to know the records of orders again; give orders a `primary_key`/)
  })

  it.each([
    [{ read_when: 'changed' }, /read_when/],
    [{ read_when: 'always', changed_by: 'id' }, /changed_by.*needs `read_when: parent_changed`/],
    [{ changed_by: 'a[' }, /changed_by.*not a JSONPath/],
    [{ path: 'lines' }, /read_when.*needs a parent/],
    [{ read_wen: 'parent_changed' }, /did you mean `read_when`/],
  ])('checks %j', (endpoint, problem) => {
    expect(() => restApi(document('https://api.example.com', endpoint, { include_from_parent: null }))).toThrow(problem)
    expect(() => restApi(document('https://api.example.com', endpoint, { include_from_parent: null }))).toThrow(
      ConfigError,
    )
  })

  it('is shown by the plan', async () => {
    const { api } = await shop(two())
    const made = await prepared(document(api.origin, { changed_by: ['updated_at', 'id'] }))
    const plan = await made.plan()
    expect(plan.resources[1]?.request?.parentChanged).toBe('updated_at, id')
  })
})

const byParent = { cursor_path: 'at', start_param: 'since', per_parent: true }

describe('`incremental.per_parent`', () => {
  const perParent = (origin: string, incremental: object = {}, child: object = {}) =>
    document(origin, { read_when: 'always', incremental: { ...byParent, ...incremental } }, child)
  const orders = (): Orders => ({
    1: {
      updated_at: 'a',
      lines: [
        { id: 11, at: '2024-01-01' },
        { id: 12, at: '2024-03-01' },
      ],
    },
    2: { updated_at: 'a', lines: [{ id: 21, at: '2024-02-01' }] },
  })

  it('reads each list from its own last value, and a new one from the beginning', async () => {
    const changing = orders()
    const { api, asked } = await shop(changing)
    const made = await prepared(perParent(api.origin, {}, { write_disposition: 'append' }))
    await run(made)
    expect(asked()).toEqual(['GET /orders/1/lines', 'GET /orders/2/lines'])
    changing[2]?.lines.push({ id: 22, at: '2024-02-15' })
    changing[3] = { updated_at: 'a', lines: [{ id: 31, at: '2023-01-01' }] }
    const second = await run(made)
    expect(asked()).toEqual([
      'GET /orders/1/lines?since=2024-03-01',
      'GET /orders/2/lines?since=2024-02-01',
      'GET /orders/3/lines',
    ])
    // Records at the boundary are loaded once, and one that is older than another list’s newest is loaded too.
    expect((await second.rows('lines')).map(({ id }) => id)).toEqual([11, 12, 21, 22, 31])
    await run(made)
    expect(asked()).toEqual([
      'GET /orders/1/lines?since=2024-03-01',
      'GET /orders/2/lines?since=2024-02-15',
      'GET /orders/3/lines?since=2023-01-01',
    ])
    const plan = await made.plan()
    expect(plan.resources[1]?.cursor).toMatchObject({ cursorPath: 'at', parents: 3 })
  })

  it('stops each list at its first older record, where the order is known', async () => {
    const api = await testApi(url => {
      if (url.pathname === '/orders') return { json: { items: [{ id: 1 }], total: 1 } }
      const page = Number(url.searchParams.get('page') ?? 1)
      return { json: { items: [{ id: 10 - page, at: `2024-01-0${10 - page}` }], pages: 5 } }
    })
    const made = await prepared(
      document(api.origin, {
        read_when: 'always',
        incremental: { cursor_path: 'at', row_order: 'desc', per_parent: true },
        paginator: { type: 'page_number', base_page: 1, total_path: 'pages' },
      }),
    )
    await run(made)
    api.asked.length = 0
    await run(made)
    expect(api.asked.filter(line => line.includes('lines'))).toHaveLength(2)
  })

  it('keeps the cursor of a list that was not read to its end, and moves the others', async () => {
    const changing = orders()
    const { api, asked } = await shop(changing)
    const made = await prepared(
      document(
        api.origin,
        { read_when: 'always', max_records: 1, incremental: byParent },
        { write_disposition: 'append' },
      ),
    )
    await run(made)
    asked()
    await run(made)
    expect(asked()).toEqual(['GET /orders/1/lines', 'GET /orders/2/lines?since=2024-02-01'])
  })

  it('keeps the cursor of a list of which an answer was only a part', async () => {
    const { api, asked } = await shop(orders(), { isPart: 1 })
    const made = await prepared(perParent(api.origin))
    await run(made)
    asked()
    await run(made)
    expect(asked()).toEqual(['GET /orders/1/lines', 'GET /orders/2/lines?since=2024-02-01'])
  })

  it('has a sync token for each', async () => {
    const api = await testApi(url => {
      if (url.pathname === '/orders') return { json: { items: [{ id: 1 }, { id: 2 }], total: 2 } }
      const id = url.pathname.split('/')[2]
      const sync = url.searchParams.get('sync')
      return { json: { items: sync === null ? [{ id: `${id}1` }] : [], total: sync === null ? 1 : 0, sync: `s${id}` } }
    })
    const tokens = { token_path: 'sync', token_param: 'sync', per_parent: true }
    const made = await prepared(document(api.origin, { read_when: 'always', incremental: tokens }))
    await run(made)
    api.asked.length = 0
    await run(made)
    expect(api.asked).toEqual(['GET /orders', 'GET /orders/1/lines?sync=s1', 'GET /orders/2/lines?sync=s2'])
  })

  it('does not move back in a replay', async () => {
    const changing = orders()
    const { api, asked } = await shop(changing)
    const made = await prepared(perParent(api.origin))
    await run(made, { keepJournal: true })
    changing[2]?.lines.push({ id: 22, at: '2024-02-15' })
    await run(made)
    asked()
    await made.replay()
    expect(asked()).toEqual([])
    await run(made)
    expect(asked()).toContain('GET /orders/2/lines?since=2024-02-15')
  })

  it('needs the key in each record of the parent', async () => {
    const api = await testApi(() => ({ json: { items: [{ nr: 1 }], total: 1 } }))
    const made = await prepared(
      document(
        api.origin,
        { path: 'x/{resources.orders.nr}', read_when: 'always', incremental: byParent },
        { include_from_parent: null },
        { selected: false },
      ),
    )
    await expect(run(made)).rejects.toThrow(/per_parent: a record of orders has no value of its primary key id/)
  })

  it.each([
    [
      { incremental: { ...byParent, initial_value: 'a', end_value: 'b' } },
      /per_parent.*cannot be combined with `end_value`/,
    ],
    [{ incremental: { ...byParent, window: { step: 1 } } }, /per_parent.*cannot be combined with `window`/],
    [{ incremental: byParent, path: 'lines' }, /per_parent.*needs a parent/],
    [
      { incremental: byParent, path: 'l', params: { a: '{resources.orders.id}' }, batch_size: 2 },
      /cannot be combined with `batch_size`/,
    ],
    [{ incremental: { token_path: 'a' } }, /add `per_parent: true`/],
    [{ incremental: { ...byParent, per_parent: 'yes' } }, /per_parent/],
  ])('checks %j', (endpoint, problem) => {
    const child = { include_from_parent: null }
    expect(() => restApi(document('https://api.example.com', { read_when: 'always', ...endpoint }, child))).toThrow(
      problem,
    )
  })
})

describe('`read_when: parent_newer`', () => {
  const newer = { read_when: 'parent_newer', changed_by: 'updated_at' }
  const three = (): Orders => ({
    1: { updated_at: '2024-01-01', lines: [{ id: 11 }] },
    2: { updated_at: '2024-02-01', lines: [{ id: 21 }] },
    3: { updated_at: '2024-03-01', lines: [{ id: 31 }] },
  })
  const stateOf = async (made: Awaited<ReturnType<typeof prepared>>) => {
    const state = (await made.dataset().state())?.sources?.rest_api?.resources?.lines as
      | Record<string, unknown>
      | undefined
    return state?.sluice_parents_read as { newest?: unknown; versions: Record<string, string> } | undefined
  }

  it('reads again only the lists of records that are newer, and keeps one value and not every record', async () => {
    const orders = three()
    const { api, asked } = await shop(orders)
    const made = await prepared(document(api.origin, newer, { write_disposition: 'append' }))
    const first = await run(made)
    expect(asked()).toHaveLength(3)
    expect(first.result.receipts.map(({ verdict }) => verdict)).toEqual(['complete', 'complete'])
    expect(await stateOf(made)).toMatchObject({ newest: '2024-03-01' })
    expect(Object.keys((await stateOf(made))?.versions ?? {})).toHaveLength(1)
    const second = await run(made)
    expect(asked()).toEqual([])
    expect(second.result.receipts[1]).toMatchObject({
      verdict: 'unproven',
      reasons: [
        '3 of 3 lists were not read again, because the records of orders that they belong to are not newer than those whose lists were read before',
      ],
    })
    orders[1] = { updated_at: '2024-04-01', lines: [{ id: 12 }] }
    // Another one with the greatest value so far.
    orders[4] = { updated_at: '2024-03-01', lines: [{ id: 41 }] }
    const third = await run(made)
    expect(asked()).toEqual(['GET /orders/1/lines', 'GET /orders/4/lines'])
    expect((await third.rows('lines')).map(({ id }) => id)).toEqual([11, 12, 21, 31, 41])
    expect(await stateOf(made)).toMatchObject({ newest: '2024-04-01' })
    await run(made)
    expect(asked()).toEqual([])
  })

  it('compares times and numbers by what they mean, with every digit', async () => {
    const orders = { 1: { updated_at: '2024-01-01T10:00:00+02:00', lines: [] } } as Orders
    const { api, asked } = await shop(orders)
    const made = await prepared(document(api.origin, newer))
    await run(made)
    asked()
    orders[1] = { updated_at: '2024-01-01T09:00:00Z', lines: [] }
    await run(made)
    expect(asked()).toHaveLength(1)

    const versions = ['9007199254740993', '9007199254740992']
    const counted = await testApi(url =>
      url.pathname === '/orders'
        ? {
            text: `{"items":[{"id":1,"v":${versions[0]}},{"id":2,"v":${versions[1]}}],"total":2}`,
            type: 'application/json',
          }
        : { json: { items: [], total: 0 } },
    )
    const digits = await prepared(document(counted.origin, { ...newer, changed_by: 'v' }))
    await run(digits)
    counted.asked.length = 0
    versions[1] = '9007199254740994'
    await run(digits)
    expect(counted.asked).toEqual(['GET /orders', 'GET /orders/2/lines'])
  })

  it('reads a list where the record has no such value, or one whose order is in doubt', async () => {
    const orders = three()
    const { api, asked } = await shop(orders)
    const made = await prepared(document(api.origin, { ...newer, changed_by: 'upd' }))
    await run(made)
    asked()
    await run(made)
    expect(asked()).toHaveLength(3)
    orders[1] = { updated_at: 'v9', lines: [] }
    orders[2] = { updated_at: 'v10', lines: [] }
    delete orders[3]
    const texts = await prepared(document(api.origin, newer))
    await run(texts)
    orders[1].updated_at = 'v11'
    asked()
    await run(texts)
    expect(asked()).toEqual(['GET /orders/1/lines'])
  })

  it('reads a list again that was cut, and no list behind it a second time', async () => {
    const orders = three()
    const answers: { isPart?: number } = { isPart: 2 }
    const { api, asked } = await shop(orders, answers)
    const made = await prepared(document(api.origin, newer))
    await run(made)
    expect(await stateOf(made)).toMatchObject({ newest: '2024-02-01' })
    delete answers.isPart
    asked()
    await run(made)
    expect(asked()).toEqual(['GET /orders/2/lines'])
    expect(await stateOf(made)).toMatchObject({ newest: '2024-03-01' })
    await run(made)
    expect(asked()).toEqual([])
  })

  it('passes over no record that a run with a limit did not meet', async () => {
    const api = await testApi(url => {
      if (url.pathname !== '/orders') return { json: { items: [], total: 0 } }
      const page = Number(url.searchParams.get('page'))
      return { json: { items: [{ id: 4 - page, updated_at: `2024-01-0${4 - page}` }], pages: 3 } }
    })
    const parent = { endpoint: { ...whole, paginator: { type: 'page_number', base_page: 1, total_path: 'pages' } } }
    const made = await prepared(document(api.origin, newer, {}, parent))
    const lists = () => api.asked.splice(0).filter(line => line.includes('lines'))
    await run(made, { maxPages: 1 })
    expect(lists()).toEqual(['GET /orders/3/lines'])
    await run(made)
    expect(lists()).toEqual(['GET /orders/2/lines', 'GET /orders/1/lines'])
    await run(made)
    expect(lists()).toEqual([])
  })

  it('goes on with an interrupted run', async () => {
    const orders = three()
    const answers: { fails?: number } = { fails: 2 }
    const { api, asked } = await shop(orders, answers)
    const made = await prepared(document(api.origin, newer))
    await expect(run(made)).rejects.toThrow(/403/)
    delete answers.fails
    asked()
    const resumed = await run(made)
    expect(asked()).toEqual(['GET /orders/2/lines', 'GET /orders/3/lines'])
    expect((await resumed.rows('lines')).map(({ id }) => id)).toEqual([11, 21, 31])
    await run(made)
    expect(asked()).toEqual([])
  })

  it('reads every list of a window of the past', async () => {
    const api = await testApi(url => {
      const id = /^\/orders\/(\d+)\/lines/.exec(url.pathname)?.[1]
      if (id !== undefined) return { json: { items: [{ id: Number(id) * 10 }], total: 1 } }
      const [from, to] = [Number(url.searchParams.get('from') ?? 1), Number(url.searchParams.get('to') ?? 99)]
      const items = [1, 2, 3, 4].filter(id => id >= from && id < to).map(id => ({ id, updated_at: id }))
      return { json: { items, total: items.length } }
    })
    const cursor = { cursor_path: 'updated_at', initial_value: 1, start_param: 'from', end_param: 'to' }
    const parent = { endpoint: { ...whole, incremental: { ...cursor, window: { step: 1 } } } }
    const made = await prepared(document(api.origin, newer, {}, parent))
    await made.backfill('orders', { from: 3, to: 5, concurrency: 1 })
    await made.backfill('orders', { from: 1, to: 3, concurrency: 1 })
    const rows = (await made.dataset().table('lines').orderBy('id').rows()) as { id: unknown }[]
    expect(rows.map(({ id }) => Number(id))).toEqual([10, 20, 30, 40])
  })

  it('deletes no row of a list that was not read', async () => {
    const orders = three()
    const { api } = await shop(orders)
    const made = await prepared(document(api.origin, newer, { deletes: 'hard', max_delete_share: 1 }))
    await run(made)
    orders[3] = { updated_at: '2024-05-01', lines: [] }
    const second = await run(made)
    expect((await second.rows('lines')).map(({ id }) => id)).toEqual([11, 21, 31])
    expect(second.events).toContainEqual(expect.objectContaining({ code: 'deletes_skipped', resource: 'lines' }))
  })

  it('deletes rows with their parents only if their key names the parent', async () => {
    const orders = three()
    const { api } = await shop(orders)
    const gone = { deletes: 'hard', max_delete_share: 1 }
    const made = await prepared(
      document(
        api.origin,
        newer,
        { deletes: 'with_parent', max_delete_share: 1, primary_key: ['id', '_orders_id'] },
        gone,
      ),
    )
    await run(made)
    delete orders[2]
    const second = await run(made)
    expect((await second.rows('lines')).map(({ id }) => id)).toEqual([11, 31])
    const unnamed = await prepared(document(api.origin, newer, { deletes: 'with_parent' }, gone))
    await expect(run(unnamed)).rejects.toThrow(
      /cannot be with_parent.*`parent_newer`|cannot be with_parent.*parent_newer/s,
    )
  })

  it.each([
    [{ read_when: 'parent_newer' }, {}, /read_when.*needs one field in `changed_by`/],
    [{ read_when: 'parent_newer', changed_by: ['a', 'b'] }, {}, /read_when.*needs one field in `changed_by`/],
    [{ ...newer, path: 'lines' }, {}, /read_when.*needs a parent/],
    [newer, { mask: { updated_at: 'last4' } }, /changed_by.*is masked by.*hides changes/],
    [
      newer,
      { mask: { updated_at: 'hash' }, mask_salt: new Secret('0123456789abcdef0123') },
      /changed_by.*is masked by/,
    ],
    [
      { read_when: 'parent_changed', changed_by: 'updated_at' },
      { mask: { updated_at: 'redact' } },
      /changed_by.*is masked by/,
    ],
    [newer, { drop: ['updated_at'] }, /changed_by.*have no `updated_at`/],
  ])('checks %j with a parent of %j', (endpoint, parent, problem) => {
    expect(() => restApi(document('https://api.example.com', endpoint, { include_from_parent: null }, parent))).toThrow(
      problem,
    )
  })

  it('is shown by the plan', async () => {
    const { api } = await shop(two())
    const made = await prepared(document(api.origin, newer))
    const plan = await made.plan()
    expect(plan.resources[1]?.request).toMatchObject({ parentNewer: 'updated_at' })
  })
})

it('reads every list where no record has a field of `changed_by`', async () => {
  const { api, asked } = await shop(two())
  const made = await prepared(document(api.origin, { changed_by: ['updatedAt', 'version'] }))
  await run(made)
  asked()
  await run(made)
  expect(asked()).toHaveLength(2)
})
