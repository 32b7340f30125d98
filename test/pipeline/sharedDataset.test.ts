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
