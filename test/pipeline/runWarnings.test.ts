import { join } from 'node:path'
import { expect, test } from 'vitest'
import { duckdb, type Pipeline, pipeline, type RunEvent, restApi } from '../../src/index.js'
import { testApi, testFolder } from './api.js'

const PRICES = [
  { id: 1, price: 10 },
  { id: 2, price: 11.37 },
]

/** Pipelines that load one resource of that name each, into one dataset. */
async function shops(): Promise<(name: string, source?: string) => Pipeline> {
  const { url } = await testApi(() => ({ json: PRICES }))
  const folder = await testFolder()
  return (name, source) =>
    pipeline({
      name,
      source: restApi(
        { client: { base_url: url, paginator: 'single_page' }, resources: [name] },
        source === undefined ? {} : { name: source },
      ),
      destination: duckdb(join(folder, 'shop.duckdb')),
      dataset: 'shared',
      home: join(folder, 'home'),
    })
}

test('a result has the warnings of its run, with and without a listener', async () => {
  const made = (await shops())('prices')
  const first = await made.run()
  expect(first.warnings).toMatchObject([
    {
      type: 'warning',
      code: 'variant_column',
      resource: 'prices',
      message: expect.stringContaining('price__v_double'),
    },
  ])
  const heard: RunEvent[] = []
  const second = await made.run({ refresh: 'drop_resources', onEvent: event => void heard.push(event) })
  expect(second.warnings).toHaveLength(1)
  expect(second.warnings).toEqual(heard.filter(event => event.type === 'warning'))
})

test('drop_sources says whose tables it drops beside its own', async () => {
  const shop = await shops()
  await shop('alpha').run()
  await shop('beta').run()
  const { warnings } = await shop('alpha').run({ refresh: 'drop_sources' })
  expect(warnings).toContainEqual(
    expect.objectContaining({ code: 'other', message: expect.stringMatching(/tables of beta, .*`name` of its own/) }),
  )
})

test('drop_sources leaves the tables of sources with another name', async () => {
  const shop = await shops()
  await shop('alpha', 'first').run()
  await shop('beta', 'second').run()
  const { warnings } = await shop('alpha', 'first').run({ refresh: 'drop_sources' })
  expect(warnings.map(({ message }) => message).join()).not.toContain('beta')
  expect(await shop('beta', 'second').dataset().table('beta').count()).toBe(2)
})

test('an API that ignores the start of incremental loading is told of, and one that knows it is not', async () => {
  const day = (n: number): string => new Date(Date.UTC(2024, 0, n)).toISOString()
  const rows = Array.from({ length: 12 }, (_, index) => ({ id: index, updated_at: day(index + 1) }))
  const { url } = await testApi(({ pathname, searchParams }) => {
    const since = pathname.includes('deaf') ? null : searchParams.get('since')
    return { json: rows.filter(({ updated_at }) => since === null || updated_at >= since) }
  })
  const folder = await testFolder()
  const incremental = { cursor_path: 'updated_at', initial_value: day(1), start_param: 'since' }
  const made = pipeline({
    name: 'heard',
    source: restApi({
      client: { base_url: url, paginator: 'single_page' },
      resources: [
        ...['deaf', 'hearing'].map(name => ({ name, endpoint: { path: name, incremental } })),
        { name: 'deaf_in_order', endpoint: { path: 'deaf', incremental: { ...incremental, row_order: 'asc' } } },
        { name: 'hearing_in_order', endpoint: { path: 'hearing', incremental: { ...incremental, row_order: 'asc' } } },
        {
          name: 'deaf_by_number',
          endpoint: { path: 'deaf', incremental: { ...incremental, cursor_path: 'id', initial_value: 0 } },
        },
      ],
    }),
    destination: duckdb(join(folder, 'heard.duckdb')),
    home: join(folder, 'home'),
  })
  expect((await made.run()).warnings).toEqual([])
  const { warnings } = await made.run()
  const deaf = (resource: string, told: RegExp) => ({
    code: 'start_ignored',
    resource,
    message: expect.stringMatching(told),
  })
  expect(warnings).toHaveLength(3)
  expect(warnings).toEqual(
    expect.arrayContaining([
      expect.objectContaining(deaf('deaf', /^10 of 12 records lie more than a day before .* as `since`/)),
      expect.objectContaining(deaf('deaf_in_order', /^10 of 12 records lie more than a day before /)),
      expect.objectContaining(deaf('deaf_by_number', /^11 of 12 records lie before 11, which/)),
    ]),
  )
})
