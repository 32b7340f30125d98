import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type Destination,
  duckdb,
  ducklake,
  files,
  type Pipeline,
  pipeline,
  postgres,
  type RunOptions,
  restApi,
} from '../../src/index.js'
import { extensions } from '../destinations/lakeExtensions.js'
import { type PostgresServer, startPostgres } from '../destinations/postgresServer.js'
import { type TestApi, testApi, testFolder } from './api.js'

/** Pipelines that load into one dataset at the same time, from sources of one name: they share a stored schema. */

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
}, 120_000)
afterAll(() => server?.stop())

const engines: readonly (readonly [string, (folder: string) => Promise<Destination>])[] = [
  ['DuckDB', async folder => duckdb(join(folder, 'shared.duckdb'))],
  ['Postgres', async () => postgres(server.url(await server.createDatabase()))],
  ['files', async folder => files(join(folder, 'lake'))],
  ...(extensions === undefined
    ? []
    : [
        [
          'a lake',
          async (folder: string) => ducklake({ catalog: join(folder, 'shared.ducklake'), extensions }),
        ] as const,
      ]),
]

/** An API whose lists answer when the test lets them: then at most one run can be behind another. */
async function heldApi(records: (list: string) => unknown) {
  const held = new Map<string, () => void>()
  const waiting = new Map<string, () => void>()
  let isOpen = false
  const api = await testApi(async url => {
    const list = url.pathname.slice(1)
    if (!isOpen) {
      await new Promise<void>(resolve => {
        held.set(list, resolve)
        waiting.get(list)?.()
      })
    }
    return { json: records(list) }
  })
  return {
    api,
    /** Resolves when the list was asked for. */
    asked: (list: string) => new Promise<void>(resolve => (held.has(list) ? resolve() : waiting.set(list, resolve))),
    answer: (list: string) => held.get(list)?.(),
    /** From now on every list answers at once. */
    open() {
      isOpen = true
      for (const answer of held.values()) answer()
    },
  }
}

const made = (api: TestApi, destination: Destination, folder: string, name: string, table = name): Pipeline =>
  pipeline({
    name,
    source: restApi({
      client: { base_url: api.url },
      resources: [{ name: table, write_disposition: 'append', endpoint: { path: name, paginator: 'single_page' } }],
    }),
    destination,
    dataset: 'shared',
    home: join(folder, 'home'),
  }) as Pipeline

async function tablesOf(of: Pipeline): Promise<readonly string[]> {
  const schema = await of.dataset().schema()
  return [...(schema?.tables.keys() ?? [])].filter(name => !name.startsWith('_')).sort()
}

describe.each(engines)('pipelines that share a dataset in %s', (_, open) => {
  test.each([
    ['first', ['one', 'two']],
    ['last', ['two', 'one']],
  ])('keep all tables in the schema when the run that began first commits %s', async (_, order) => {
    const folder = await testFolder()
    const held = await heldApi(list => [{ id: 1, parts: [{ name: list }] }])
    const destination = await open(folder)
    const [one, two] = ['one', 'two'].map(name => made(held.api, destination, folder, name)) as [Pipeline, Pipeline]
    const runs = new Map<string, Promise<unknown>>([['one', one.run()]])
    await held.asked('one')
    runs.set('two', two.run())
    await held.asked('two')
    for (const name of order) {
      held.answer(name)
      await runs.get(name)
    }
    held.open()
    const all = ['one', 'one__parts', 'two', 'two__parts']
    expect(await tablesOf(one)).toEqual(all)
    // A refresh drops what the schema names: each pipeline has its rows once.
    for (const each of [one, two]) await each.run({ refresh: 'drop_resources' })
    expect(await tablesOf(two)).toEqual(all)
    for (const name of all) expect(await one.dataset().table(name).count(), name).toBe(1)
    expect((await one.drop(['one'])).tables).toEqual(['one', 'one__parts'])
    expect(await tablesOf(two)).toEqual(['two', 'two__parts'])
    expect((await two.drop(['two'])).tables).toEqual(['two', 'two__parts'])
  })

  test('keep one type for a column that both make, and ask for nothing twice', async () => {
    const folder = await testFolder()
    const held = await heldApi(list => [{ id: 1, [list]: 1, value: list === 'one' ? 7 : 'text' }])
    const destination = await open(folder)
    const [one, two] = ['one', 'two'].map(name => made(held.api, destination, folder, name, 'both')) as [
      Pipeline,
      Pipeline,
    ]
    const runs = [one.run(), two.run({ resume: false })]
    await Promise.all([held.asked('one'), held.asked('two')])
    held.answer('one')
    await runs[0]
    held.answer('two')
    await runs[1]
    const rows = await one.dataset().table('both').rows()
    expect(rows.map(({ one, two, value, value__v_text }) => [one, two, value, value__v_text])).toEqual(
      expect.arrayContaining([
        [1n, null, 7n, null],
        [null, 1n, null, 'text'],
      ]),
    )
    expect(held.api.asked.toSorted()).toEqual(['/one', '/two'])
  })

  test('do not bring back what was dropped while another one ran', async () => {
    const folder = await testFolder()
    const held = await heldApi(() => [{ id: 1 }])
    const destination = await open(folder)
    const [one, two] = ['one', 'two'].map(name => made(held.api, destination, folder, name)) as [Pipeline, Pipeline]
    const first = one.run()
    await held.asked('one')
    held.answer('one')
    await first
    const second = two.run()
    await held.asked('two')
    await one.drop(['one'])
    held.open()
    await second
    expect(await tablesOf(two)).toEqual(['two'])
    await one.run()
    expect(await tablesOf(two)).toEqual(['one', 'two'])
  })

  test('keep a table that came while another one was dropped or reset', async () => {
    const folder = await testFolder()
    const held = await heldApi(() => [{ id: 1 }])
    held.open()
    const destination = await open(folder)
    const names = ['one', 'two', 'three'] as const
    const [one, two, three] = names.map(name => made(held.api, destination, folder, name)) as [
      Pipeline,
      Pipeline,
      Pipeline,
    ]
    await one.run()
    await Promise.all([one.drop(['one']), two.run()])
    expect(await tablesOf(one)).toEqual(['two'])
    const refresh: RunOptions = { refresh: 'drop_sources' }
    await Promise.all([three.run(), two.run(refresh)])
    expect(await tablesOf(one)).toContain('two')
    expect(await two.dataset().table('two').count()).toBe(1)
  })
})

test.each([
  ['a refresh', (of: Pipeline) => of.run({ select: ['one'], refresh: 'drop_resources' })],
  ['a drop', (of: Pipeline) => of.drop(['one']).then(() => of.run({ select: ['one'] }))],
] as const)('a resource loses rows to %s of another one of its pipeline, and loads them again', async (_, clear) => {
  const folder = await testFolder()
  const api = await testApi(url => {
    const [id, since] = [url.pathname === '/one' ? 1 : 2, Number(url.searchParams.get('since') ?? 0)]
    return { json: since < id ? [{ id }] : [] }
  })
  const both = pipeline({
    name: 'both',
    source: restApi({
      client: { base_url: api.url, paginator: 'single_page' },
      resource_defaults: { write_disposition: 'append' },
      resources: ['one', 'two'].map(name => ({
        name,
        table_name: 'both',
        endpoint: { path: name, incremental: { cursor_path: 'id', start_param: 'since' } },
      })),
    }),
    destination: duckdb(join(folder, 'both.duckdb')),
    home: join(folder, 'home'),
  }) as Pipeline
  const ids = async () => (await both.dataset().table('both').rows()).map(({ id }) => Number(id)).sort()
  const { receipts } = await both.run()
  expect(receipts.map(({ rows }) => rows)).toEqual([{ both: 1 }, { both: 1 }])
  await clear(both)
  expect(await ids()).toEqual([1])
  await both.run()
  expect(await ids()).toEqual([1, 2])
})

test.each([1, 2])(
  'a backfill with %i readers counts no window whose rows another pipeline took meanwhile',
  async readers => {
    const folder = await testFolder()
    const destination = duckdb(join(folder, 'both.duckdb'))
    const rows = Array.from({ length: 60 }, (_, id) => ({ id }))
    let interrupt: (() => Promise<unknown>) | undefined
    const api = await testApi(async url => {
      const [from, to] = ['from', 'to'].map(name => Number(url.searchParams.get(name) ?? 0)) as [number, number]
      if (from >= 30) {
        const once = interrupt
        interrupt = undefined
        await once?.()
      }
      return { json: url.pathname === '/one' ? [{ id: 1000 }] : rows.filter(({ id }) => id >= from && id < to) }
    })
    const of = (name: string, endpoint: object): Pipeline =>
      pipeline({
        name,
        source: restApi({
          client: { base_url: api.url, paginator: 'single_page' },
          resources: [{ name, table_name: 'both', write_disposition: 'append', endpoint: { path: name, ...endpoint } }],
        }),
        destination,
        dataset: 'shared',
        home: join(folder, 'home'),
      }) as Pipeline
    const one = of('one', {})
    const two = of('two', {
      incremental: {
        cursor_path: 'id',
        start_param: 'from',
        end_param: 'to',
        initial_value: 0,
        window: { step: 10 },
      },
    })
    await one.run()
    interrupt = () => one.run({ refresh: 'drop_resources' })
    const options = { to: 60, parallel: readers } as const
    const failed: unknown = await two.backfill('two', options).catch((error: unknown) => error)
    // Two readers may have committed nothing yet. Then no rows are taken, and nothing has to be read again.
    if (readers === 1 || failed instanceof Error)
      expect(failed).toMatchObject({ message: expect.stringContaining('were changed') })
    expect(interrupt).toBeUndefined()
    await two.backfill('two', { ...options, retryFailed: true })
    await two.backfill('two', options)
    const ids = (await two.dataset().table('both').rows()).map(({ id }) => Number(id)).sort((a, b) => a - b)
    expect(ids).toEqual([...rows.map(({ id }) => id), 1000])
  },
)

describe.each(engines)('pipelines that fill one table in %s', (engine, open) => {
  /** Each pipeline has a list of its own name, and a cursor over it. */
  async function both(hints: Readonly<Record<string, unknown>> = {}, own: Readonly<Record<string, object>> = {}) {
    const folder = await testFolder()
    const destination = await open(folder)
    const rows: Record<string, { id: number }[]> = { one: [{ id: 1 }, { id: 2 }], two: [{ id: 101 }, { id: 102 }] }
    let before: ((list: string) => Promise<void>) | undefined
    const api = await testApi(async url => {
      const list = url.pathname.slice(1)
      await before?.(list)
      const since = Number(url.searchParams.get('since') ?? 0)
      return { json: (rows[list] ?? []).filter(({ id }) => id > since) }
    })
    const pipelineOf = (name: string): Pipeline =>
      pipeline({
        name,
        source: restApi({
          client: { base_url: api.url },
          resources: [
            {
              name: `${name}_rows`,
              table_name: 'both',
              write_disposition: 'append',
              ...hints,
              endpoint: {
                path: name,
                paginator: 'single_page',
                incremental: { cursor_path: 'id', start_param: 'since', range_start: 'open' },
              },
              ...own[name],
            },
          ],
        }),
        destination,
        dataset: 'shared',
        home: join(folder, 'home'),
      }) as Pipeline
    return {
      rows,
      one: pipelineOf('one'),
      two: pipelineOf('two'),
      /** Called before each answer. */
      beforeAnswer(callback: typeof before) {
        before = callback
      },
    }
  }
  const idsIn = async (of: Pipeline): Promise<number[]> =>
    (await of.dataset().table('both').rows()).map(({ id }) => Number(id)).sort((a, b) => a - b)
  const warningsOf = async (of: Pipeline, options: RunOptions = {}) => {
    const warnings: string[] = []
    await of.run({
      ...options,
      onEvent: event => {
        if (event.type === 'warning' && event.code === 'shared_table') warnings.push(event.message)
      },
    })
    return warnings
  }

  test.each([{ refresh: 'drop_resources' }, { refresh: 'drop_sources' }, { refresh: 'drop_data' }, 'replace'] as const)(
    'lose rows to %o of another one, hear of it, and load them again',
    async how => {
      const { one, two, rows } = await both()
      await one.run()
      await two.run()
      expect(await idsIn(one)).toEqual([1, 2, 101, 102])
      const options: RunOptions = how === 'replace' ? { writeDisposition: 'replace' } : how
      // What replaces must be read from the beginning, too.
      if (how === 'replace') await one.resetState(['one_rows'])
      expect(await warningsOf(one, options)).toEqual([expect.stringMatching(/pipeline two .*both.* two_rows/)])
      expect(await idsIn(one)).toEqual([1, 2])
      rows.two?.push({ id: 103 })
      expect(await warningsOf(two)).toEqual([])
      expect(await idsIn(one)).toEqual([1, 2, 101, 102, 103])
    },
  )

  test('lose rows when another one drops the table', async () => {
    const { one, two } = await both()
    await one.run()
    await two.run()
    const losing = [{ pipeline: 'two', resources: ['two_rows'], resets: ['two_rows'], tables: ['both'] }]
    expect(await one.drop(['one_rows'], { dryRun: true })).toMatchObject({ tables: ['both'], losing })
    expect(await one.drop(['one_rows'])).toMatchObject({ tables: ['both'], losing })
    await one.run()
    await two.run()
    expect(await idsIn(one)).toEqual([1, 2, 101, 102])
  })

  test('commit nothing that was read from a cursor which another one has reset meanwhile', async () => {
    const { one, two, rows, beforeAnswer } = await both()
    await one.run()
    await two.run()
    rows.two?.push({ id: 103 })
    beforeAnswer(async list => {
      if (list !== 'two') return
      beforeAnswer(undefined)
      await one.run({ refresh: 'drop_resources' })
    })
    await expect(two.run()).rejects.toMatchObject({ code: 'destination_locked' })
    expect(await idsIn(one)).toEqual([1, 2])
    await two.run()
    expect(await idsIn(one)).toEqual([1, 2, 101, 102, 103])
  })

  test('hear that rows without a cursor need a run that reads all', async () => {
    const { one, two } = await both({}, { two: { endpoint: { path: 'two', paginator: 'single_page' } } })
    await one.run()
    await two.run()
    const [warning] = await warningsOf(one, { refresh: 'drop_data' })
    expect(warning).toMatch(/pipeline two .*For two_rows it has no cursor.* full refresh/)
    await two.run()
    expect(await idsIn(one)).toEqual([1, 2, 101, 102])
  })

  if (engine === 'files') return

  test('are no part of the share that `max_delete_share` allows', async () => {
    const whole = (name: string) => ({ deletes: 'hard', endpoint: { path: name, paginator: 'single_page' } })
    const hints = { primary_key: 'id', write_disposition: 'merge' }
    const { one, two, rows } = await both(hints, { one: whole('one'), two: whole('two') })
    rows.two = Array.from({ length: 30 }, (_, number) => ({ id: 100 + number }))
    await one.run()
    await two.run()
    rows.one?.shift()
    await expect(one.run()).rejects.toMatchObject({
      code: 'too_many_deletes',
      message: expect.stringContaining('1 of 2 rows (50 %)'),
    })
  })

  test.each([
    ['deletes', { primary_key: 'id', write_disposition: 'merge' }, { deletes: 'hard' }],
    ['marks as deleted', { primary_key: 'id', write_disposition: 'merge' }, { deletes: 'soft' }],
    ['cdc', { primary_key: 'id', write_disposition: { disposition: 'merge', strategy: 'cdc' } }, {}],
    ['retires', { primary_key: 'id', write_disposition: { disposition: 'merge', strategy: 'scd2' } }, {}],
  ])('keep their rows when another one %s what did not arrive', async (how, hints, more) => {
    const whole = (name: string) => ({ ...more, endpoint: { path: name, paginator: 'single_page' } })
    const { one, two, rows } = await both({ ...hints, max_delete_share: 1 }, { one: whole('one'), two: whole('two') })
    await one.run()
    await two.run()
    rows.one?.shift()
    expect(await warningsOf(one)).toEqual([expect.stringContaining('both: 2 rows did not arrive and stayed')])
    const live = (await one.dataset().table('both').rows()).filter(
      row => (row._dlt_valid_to ?? row._sluice_deleted_at ?? row.deleted_at ?? null) === null,
    )
    expect(
      live.map(({ id }) => Number(id)).sort((a, b) => a - b),
      how,
    ).toEqual([2, 101, 102])
  })
})

describe.each(engines)('resources of one pipeline that fill one table in %s', (_, open) => {
  const newOnly = { cursor_path: 'id', start_param: 'since', range_start: 'open' } as const
  async function made(
    hints: readonly (readonly [
      name: string,
      disposition: 'append' | 'replace',
      more?: typeof newOnly & { readonly end_param?: string },
    ])[],
  ) {
    const folder = await testFolder()
    const destination = await open(folder)
    const rows: Record<string, { id: number }[]> = { whole: [{ id: 1 }, { id: 2 }], fresh: [{ id: 101 }, { id: 102 }] }
    const api = await testApi(url => {
      const since = Number(url.searchParams.get('since') ?? 0)
      return { json: (rows[url.pathname.slice(1)] ?? []).filter(({ id }) => id > since) }
    })
    const loading = pipeline({
      name: 'one',
      source: restApi({
        client: { base_url: api.url },
        resources: hints.map(([name, disposition, incremental]) => ({
          name,
          table_name: 'both',
          write_disposition: disposition,
          max_delete_share: 1,
          endpoint: { path: name, paginator: 'single_page', ...(incremental && { incremental }) },
        })),
      }),
      destination,
      dataset: 'shared',
      home: join(folder, 'home'),
    }) as Pipeline
    const ids = async () =>
      (await loading.dataset().table('both').rows()).map(({ id }) => Number(id)).sort((a, b) => a - b)
    return { loading, rows, ids }
  }

  test('are read from the beginning where the first one replaces the table', async () => {
    const { loading, rows, ids } = await made([
      ['whole', 'replace'],
      ['fresh', 'append', newOnly],
    ])
    await loading.run()
    expect((await loading.plan()).resources.map(({ cursor }) => cursor?.because)).toEqual([undefined, 'nothing'])
    rows.whole?.shift()
    rows.fresh?.push({ id: 103 })
    const { receipts } = await loading.run()
    expect(receipts.map(({ verdict }) => verdict)).toEqual(['complete', 'complete'])
    expect(await ids()).toEqual([2, 101, 102, 103])
  })

  test('come again after a run that replaced the table without them', async () => {
    const { loading, rows, ids } = await made([
      ['whole', 'replace'],
      ['fresh', 'append', newOnly],
    ])
    await loading.run()
    await loading.run({ select: ['whole'] })
    expect(await ids()).toEqual([1, 2])
    rows.fresh?.push({ id: 103 })
    await loading.run({ select: ['fresh'] })
    expect(await ids()).toEqual([1, 2, 101, 102, 103])
  })

  test('are not backfilled where each run of another one would take the windows away', async () => {
    const { loading } = await made([
      ['whole', 'replace'],
      ['fresh', 'append', { ...newOnly, end_param: 'until' }],
    ])
    await expect(loading.backfill('fresh', { from: 0, to: 200, step: 100 })).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(/each run of whole would take away the windows of fresh/),
    })
  })

  test('are refused before the first request where a later one replaces what the first appends', async () => {
    const { loading } = await made([
      ['fresh', 'append', newOnly],
      ['whole', 'replace'],
    ])
    await expect(loading.run()).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(/fresh and whole fill one table, both.*`append`, not `replace`/),
    })
  })
})
