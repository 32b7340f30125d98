import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import {
  type BackfillOptions,
  type Connection,
  DataError,
  type Destination,
  duckdb,
  ducklake,
  type Pipeline,
  pipeline,
  type ResourceConfig,
  restApi,
  type WindowOutcome,
} from '../../src/index.js'
import { extensions } from '../destinations/lakeExtensions.js'
import { between, hourlyVisits, jsonApi, type Visit } from './hourlyVisits.js'

vi.setConfig({ testTimeout: 600_000 })

const HOURS = 120
const RANGE = { to: '2024-01-06T00:00:00.000Z' } as const satisfies BackfillOptions

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-groups-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A window an hour, so that each has one visit. */
function visits(url: string, folder: string, destination: Destination, more: Partial<ResourceConfig> = {}): Pipeline {
  return pipeline({
    name: 'visits',
    source: restApi({
      client: { base_url: url, retry: { attempts: 1 }, paginator: 'single_page' },
      resources: [
        {
          name: 'visits',
          primary_key: 'id',
          write_disposition: 'append',
          ...more,
          endpoint: {
            incremental: {
              cursor_path: 'at',
              initial_value: '2024-01-01T00:00:00.000Z',
              start_param: 'since',
              end_param: 'until',
              window: { step: 'PT1H' },
            },
          },
        } as ResourceConfig,
      ],
    }),
    destination,
    home: join(folder, 'home'),
  }) as Pipeline
}

/** The destination, with other functions in its connections. */
function changed(under: Destination, change: (connection: Connection) => Partial<Connection>): Destination {
  return {
    ...under,
    async connect(dataset, signal) {
      const connection = await under.connect(dataset, signal)
      return { ...connection, ...change(connection) }
    },
  }
}

/** Statements of commits that were told, by the table that they insert into. */
function insertions() {
  const into = new Map<string, number>()
  const options: BackfillOptions = {
    ...RANGE,
    onEvent(event) {
      const table = event.type === 'statement' ? /^INSERT INTO \S*"(\w+)" /.exec(event.sql)?.[1] : undefined
      if (table !== undefined) into.set(table, (into.get(table) ?? 0) + 1)
    },
  }
  return { into, options }
}

const rows = async (of: Pipeline, sql: string) => [...(await of.dataset().query(sql))]

const engines = [
  ['DuckDB', (folder: string) => duckdb(join(folder, 'visits.duckdb'))],
  ...(extensions === undefined
    ? []
    : ([['a lake', (folder: string) => ducklake({ catalog: join(folder, 'v.ducklake'), extensions })]] as const)),
] as const

it.each([
  ...engines.map(([engine, open]) => [`append into ${engine}`, open, {}, 1] as const),
  ['merge into DuckDB', engines[0][1], { write_disposition: 'merge' }, 1],
  ['newest first, four at a time', engines[0][1], {}, 4],
] as const)('small windows share commits, and each is a load of its own: %s', async (_, open, more, parallel) => {
  const folder = await newFolder()
  const all = hourlyVisits(HOURS, hour => ({ tags: [`tag ${hour}`], ...(hour === 90 ? { late: hour } : {}) }))
  const url = await jsonApi(query => between(all, query))
  const loading = visits(url, folder, open(folder), more)
  const { into, options } = insertions()
  const left: number[] = []
  const { loads } = await loading.backfill('visits', {
    ...options,
    parallel,
    order: parallel === 1 ? 'oldest_first' : 'newest_first',
    onWindow: outcome => left.push(outcome.left),
  })
  expect(loads).toHaveLength(HOURS)
  expect(new Set(loads.map(({ loadId }) => loadId)).size).toBe(HOURS)
  expect(into.get('_dlt_loads')).toBeLessThan(HOURS / 2)
  expect(left.at(-1)).toBe(0)
  if (parallel === 1) expect(left).toEqual(left.toSorted((a, b) => b - a))

  // Every row names the load of its own window, and every load has its receipt, state, window and version.
  const own = await rows(
    loading,
    `SELECT count(*) AS n FROM visits AS v JOIN _sluice_windows AS w ON w.load_id = v._dlt_load_id
     WHERE v.at >= CAST(json_extract_string(w.window_start, '$') AS TIMESTAMPTZ)
     AND v.at < CAST(json_extract_string(w.window_end, '$') AS TIMESTAMPTZ)`,
  )
  expect(own).toEqual([{ n: BigInt(HOURS) }])
  const ofWindows = '(SELECT count(*) FROM _dlt_loads SEMI JOIN _sluice_windows USING (load_id)) AS loads'
  const counted = [
    ofWindows,
    ...['_sluice_receipts', '_sluice_windows', 'visits', 'visits__tags'].map(
      table => `(SELECT count(*) FROM ${table}) AS ${table}`,
    ),
  ]
  const [counts = {}] = await rows(loading, `SELECT ${counted.join(', ')}`)
  expect(Object.values(counts)).toEqual(counted.map(() => BigInt(HOURS)))
  const numbers = await rows(loading, 'SELECT DISTINCT commit_number FROM _sluice_windows')
  expect(numbers).toHaveLength(HOURS)
  const state = await loading.dataset().state()
  expect(state?.sources?.rest_api?.resources?.visits?.incremental?.at?.last_value).toBe(all.at(-1)?.at)
  expect(await loading.backfill('visits', RANGE)).toMatchObject({ before: HOURS, loads: [] })
})

it.each(engines)(
  'rows that are too many to be held go through files, beside those that are held: %s',
  async (_, open) => {
    const folder = await newFolder()
    const lengthOf = (hour: number): number => (hour % 50 === 3 ? 1_500_000 : hour)
    const all = hourlyVisits(HOURS, hour => ({
      tags: ['x'.repeat(lengthOf(hour)), 'y'],
      text: 'z'.repeat(lengthOf(hour)),
    }))
    const url = await jsonApi(query => between(all, query))
    const loading = visits(url, folder, open(folder))
    await loading.backfill('visits', RANGE)
    const texts = await rows(loading, 'SELECT length(text) AS n FROM visits ORDER BY id')
    expect(texts.map(({ n }) => Number(n))).toEqual(all.map((_, hour) => lengthOf(hour)))
    const tags = await rows(
      loading,
      'SELECT max(length(t.value)) AS n FROM visits AS v JOIN visits__tags AS t ON t._dlt_parent_id = v._dlt_id GROUP BY v.id ORDER BY v.id',
    )
    expect(tags.map(({ n }) => Number(n))).toEqual(all.map((_, hour) => Math.max(1, lengthOf(hour))))
    // Nothing stays of what was staged, and of the journals.
    expect((await readdir(folder, { recursive: true })).filter(name => /\.staging|\.warc$/.test(name))).toEqual([])
  },
)

it('windows are counted on where one that is large follows windows that shared a commit', async () => {
  const folder = await newFolder()
  const few = hourlyVisits(12)
  // After so many rows the next window is loaded alone.
  const many = Array.from({ length: 20_001 }, (_, place) => ({ id: 1_000 + place, at: few[5]?.at ?? '' }))
  const url = await jsonApi(query => between([...few, ...many], query))
  const loading = visits(url, folder, duckdb(join(folder, 'visits.duckdb')))
  await loading.backfill('visits', { to: '2024-01-01T12:00:00.000Z' })
  const numbers = await rows(loading, 'SELECT commit_number AS n FROM _sluice_windows ORDER BY 1')
  expect(numbers).toEqual(few.map((_, place) => ({ n: BigInt(place + 1) })))
  const state = await loading.dataset().state()
  expect(state?.sources?.rest_api?.resources?.visits?.incremental?.at?.last_value).toBe(few.at(-1)?.at)
})

it('types are as if each window were committed before the next one is read', async () => {
  const value = (hour: number): unknown => {
    if (hour % 50 === 20) return `text ${hour}`
    return hour % 3 === 0 ? hour : hour + 0.5
  }
  const all = hourlyVisits(HOURS, hour => ({ value: value(hour), [`day_${Math.floor(hour / 24)}`]: hour }))
  const url = await jsonApi(query => between(all, query))
  const tables = async (destination: Destination, folder: string, step: string) => {
    const loading = visits(url, folder, destination)
    const { loads } = await loading.backfill('visits', { ...RANGE, step })
    const columns = (await rows(loading, 'DESCRIBE visits')).map(({ column_name: name, column_type: type }) => [
      name,
      type,
    ])
    const values = await rows(loading, 'SELECT * EXCLUDE (_dlt_id, _dlt_load_id) FROM visits ORDER BY id')
    return { loads: loads.length, columns, values }
  }
  const [one, other] = [await newFolder(), await newFolder()]
  const together = await tables(duckdb(join(one, 'x.duckdb')), one, 'PT1H')
  const whole = await tables(duckdb(join(other, 'x.duckdb')), other, 'P9D')
  expect([together.loads, whole.loads]).toEqual([HOURS, 1])
  expect(together.columns).toEqual(whole.columns)
  expect(together.values).toEqual(whole.values)
})

it.each([
  ['cannot be made', () => Promise.reject(new Error('no such transaction'))],
  [
    'is made, but its answer is lost',
    async (commit: () => Promise<void>) => {
      await commit()
      throw new Error('no answer came')
    },
  ],
] as const)('each window is loaded once where the commit of several %s', async (_, around) => {
  const folder = await newFolder()
  const all = hourlyVisits(HOURS)
  const url = await jsonApi(query => between(all, query))
  let groups = 0
  const destination = changed(duckdb(join(folder, 'visits.duckdb')), connection => ({
    async commitTogether(loads) {
      groups += 1
      await around(async () => connection.commitTogether?.(loads))
    },
  }))
  const loading = visits(url, folder, destination)
  expect((await loading.backfill('visits', RANGE)).loads).toHaveLength(HOURS)
  expect(groups).toBeGreaterThan(0)
  const tables = ['visits', '_sluice_windows', '_sluice_receipts']
  const counted = tables.map(table => `(SELECT count(*) FROM ${table}) AS ${table}`)
  const [counts = {}] = await rows(loading, `SELECT ${counted.join(', ')}`)
  expect(Object.values(counts)).toEqual(tables.map(() => BigInt(HOURS)))
  expect(await loading.backfill('visits', RANGE)).toMatchObject({ before: HOURS, loads: [] })
})

it('a window counts on nothing of the one before it, if that one cannot be committed', async () => {
  const folder = await newFolder()
  const all = hourlyVisits(3)
  const [first, second, third] = all.map(({ at }) => at)
  let isCountedOn = (): void => {}
  const countedOn = new Promise<void>(resolve => {
    isCountedOn = resolve
  })
  let answerFirst = (): void => {}
  let isOut = true
  const url = await jsonApi((query, response) => {
    const found = between(all, query)
    if (query.get('since') === third) isCountedOn()
    if (!isOut || query.get('since') !== first) return found
    answerFirst = () => response.setHeader('content-type', 'application/json').end(JSON.stringify(found))
    return undefined
  })
  const destination = changed(duckdb(join(folder, 'visits.duckdb')), connection => ({
    async begin(plan, onStatement) {
      const load = await connection.begin(plan, onStatement)
      return {
        ...load,
        async commit(final, anew) {
          if (isOut && final.window?.start === second) {
            await countedOn
            throw new DataError('incomplete', 'not this one')
          }
          await load.commit(final, anew)
        },
      }
    },
    async commitTogether(loads) {
      if (isOut) throw new Error('none together')
      await connection.commitTogether?.(loads)
    },
  }))
  const loading = visits(url, folder, destination)
  const range = { to: '2024-01-01T03:00:00.000Z', parallel: 2 } as const
  // The first one began on an empty dataset, and finds what the third has left.
  const onWindow = ({ outcome }: WindowOutcome): void => (outcome === 'loaded' ? answerFirst() : undefined)
  await expect(loading.backfill('visits', { ...range, onWindow })).rejects.toThrow(/1 window failed, 2 committed/)
  isOut = false
  expect((await loading.backfill('visits', { ...range, retryFailed: true })).loads).toHaveLength(1)
  const ids = await rows(loading, 'SELECT id FROM visits ORDER BY id')
  expect(ids).toEqual(all.map(({ id }) => ({ id: BigInt(id) })))
})

it('a window whose rows do not fit stops none of the others', async () => {
  const folder = await newFolder()
  const broken = 78
  let isMended = false
  const all = (): readonly Visit[] =>
    hourlyVisits(HOURS, hour => ({ place: hour === broken && !isMended ? null : `p${hour}` }))
  const url = await jsonApi(query => between(all(), query))
  const loading = visits(url, folder, duckdb(join(folder, 'visits.duckdb')), {
    columns: { place: { data_type: 'text', nullable: false } },
  } as Partial<ResourceConfig>)
  const told: WindowOutcome[] = []
  const failure = await loading
    .backfill('visits', { ...RANGE, onWindow: outcome => told.push(outcome) })
    .catch((error: unknown) => error)
  expect(String(failure)).toMatch(/1 window failed, 119 committed/)
  expect(told.filter(({ outcome }) => outcome === 'failed')).toMatchObject([{ start: '2024-01-04T06:00:00.000Z' }])
  isMended = true
  const { loads } = await loading.backfill('visits', { ...RANGE, retryFailed: true })
  expect(loads).toHaveLength(1)
  expect(await rows(loading, 'SELECT count(*) AS n, count(DISTINCT id) AS ids FROM visits')).toEqual([
    { n: BigInt(HOURS), ids: BigInt(HOURS) },
  ])
})

it('what waits for its commit when the API fails is committed, and nothing is asked twice', async () => {
  const folder = await newFolder()
  const all = hourlyVisits(HOURS)
  let asked = 0
  let isOut = true
  const url = await jsonApi((query, response) => {
    if (isOut && ++asked > 40) return void response.writeHead(401).end()
    if (!isOut) asked += 1
    return between(all, query)
  })
  const loading = visits(url, folder, duckdb(join(folder, 'visits.duckdb')))
  await expect(loading.backfill('visits', RANGE)).rejects.toMatchObject({ status: 401 })
  expect((await loading.backfillStatus('visits', RANGE)).done).toHaveLength(40)
  isOut = false
  asked = 0
  expect((await loading.backfill('visits', RANGE)).loads).toHaveLength(HOURS - 40)
  expect(asked).toBe(HOURS - 40)
})
