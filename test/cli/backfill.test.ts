import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { between, hourlyVisits, jsonApi } from '../pipeline/hourlyVisits.js'
import { sluiceProcess } from './process.js'

vi.setConfig({ testTimeout: 90_000 })

const VISITS = hourlyVisits(48)

/** An API of visits that refuses one window, once. */
async function visits(refused: string) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-backfill-'))
  let refusals = 1
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const origin = await jsonApi((query, response) => {
    if (query.get('since') !== refused || refusals-- <= 0) return between(VISITS, query)
    return void response.writeHead(403).end()
  })
  await writeFile(
    join(folder, 'visits.yaml'),
    `destination: duckdb:visits.duckdb
source:
  client: { base_url: "${origin}", paginator: single_page }
  resources:
    - name: visits
      endpoint:
        incremental:
          cursor_path: at
          initial_value: "2024-01-01T00:00:00.000Z"
          start_param: since
          end_param: until
          window: { step: PT12H }
`,
  )
  return (...args: readonly string[]) =>
    sluiceProcess(['backfill', 'visits.yaml', '--resource', 'visits', '--to', '2024-01-03T00:00:00.000Z', ...args], {
      cwd: folder,
    })
}

test('a backfill that failed goes on where it failed, and its status tells what is missing', async () => {
  const backfill = await visits('2024-01-02T00:00:00.000Z')
  const first = await backfill()
  expect(first.exitCode).toBe(1)
  expect(first.stdout).toContain('4 windows to load. It may be stopped at any time')
  expect(first.stdout.match(/ complete {2}12 records, 1 request, /g)).toHaveLength(3)
  expect(first.stdout).toMatch(/\(1 of 4, about 3 requests and .* left\)/)
  expect(first.stdout).toMatch(/2024-01-02T00:00:00\.000Z … 2024-01-02T12:00:00\.000Z {2}failed: .*403/s)
  expect(first.stderr).toContain('visits: 1 window failed, 3 committed.')
  expect(first.stderr).toContain('403')
  expect(first.stderr).toContain('code: windows_failed')

  const status = await backfill('--status')
  expect(status.exitCode).toBe(0)
  expect(status.stdout.match(/complete +12 +\d+\.\d+/g)).toHaveLength(3)
  expect(status.stdout).toMatch(/2024-01-02T00:00:00\.000Z +2024-01-02T12:00:00\.000Z +failed 1 time/)
  expect(status.stdout).toMatch(/12:00:00\.000Z failed at 20.*403/s)
  expect(JSON.parse((await backfill('--status', '--json')).stdout).failed).toMatchObject([{ tries: 1 }])

  const second = await backfill('--json', '--retry-failed')
  expect(second.exitCode).toBe(0)
  const lines = second.stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  expect(lines.map(({ outcome, load, left }) => [outcome, load.records, left])).toEqual([['loaded', 12, 0]])
  const told = JSON.parse((await backfill('--status', '--json')).stdout)
  expect(told.done).toHaveLength(4)
  expect(told.missing).toEqual([])
  expect((await backfill()).stdout).toContain('nothing is missing; 4 windows committed.')
})

test('windows that are read at the same time are counted as left until they are loaded', async () => {
  const backfill = await visits('')
  const { exitCode, stdout } = await backfill('--parallel', '3', '--step', 'PT8H')
  expect(exitCode).toBe(0)
  const counted = [...stdout.matchAll(/\((\d+) of (\d+)/g)].map(([, done, all]) => `${done} of ${all}`)
  expect(counted).toEqual([1, 2, 3, 4, 5, 6].map(done => `${done} of 6`))
})

test('a resource that is not there is named with what was probably meant', async () => {
  const backfill = await visits('')
  const { exitCode, stderr } = await backfill('--resource', 'visit')
  expect(exitCode).toBe(2)
  expect(stderr).toContain('there is no resource "visit" (did you mean visits?)')
})

test('partitions by values are told by their names', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-backfill-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  let isRefusing = true
  const origin = await jsonApi((query, response) => {
    if (query.get('shop') === 'Lyon' && isRefusing) return void response.writeHead(403).end()
    return [{ id: `${query.get('shop')} 1` }]
  })
  await writeFile(
    join(folder, 'sales.yaml'),
    `destination: duckdb:sales.duckdb
source:
  client: { base_url: "${origin}", paginator: single_page }
  resources:
    - { name: shops, selected: false, primary_key: name, records: [{ name: Berlin }, { name: Lyon }, { name: 7 }] }
    - { name: sales, endpoint: { params: { shop: "{resources.shops.name}" }, partition: { by: values } } }
`,
  )
  const backfill = (...args: readonly string[]) =>
    sluiceProcess(['backfill', 'sales.yaml', '--resource', 'sales', ...args], { cwd: folder })
  const plan = await sluiceProcess(['plan', 'sales.yaml'], { cwd: folder })
  expect(plan.stdout).toMatch(/partition each record of the parent/)
  const first = await backfill()
  expect(first.exitCode).toBe(1)
  expect(first.stdout).toContain('sales by values: 3 windows to load.')
  expect(first.stdout).toMatch(/^Berlin {2}complete {2}1 record, 1 request, /m)
  expect(first.stderr).toMatch(/1 window failed, 2 committed.*Lyon: .*403/s)
  const status = await backfill('--status')
  expect(status.stdout).toMatch(/^sales by values$/m)
  expect(status.stdout).toMatch(/Lyon +failed 1 time/)
  expect(status.stdout).toMatch(/^7 +complete +1 +\d+\.\d+/m)
  isRefusing = false
  expect((await backfill('--retry-failed')).exitCode).toBe(0)
  expect(JSON.parse((await backfill('--status', '--json')).stdout)).toMatchObject({
    partition: 'values',
    from: null,
    done: ['Berlin', 'Lyon', 7].map(shop => ({ start: shop, end: shop })),
    failed: [],
    missing: [],
  })
  expect((await backfill()).stdout).toContain('sales by values: nothing is missing; 3 windows committed.')
})
