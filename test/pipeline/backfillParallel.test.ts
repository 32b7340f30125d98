import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import {
  type Destination,
  duckdb,
  ducklake,
  files,
  type Pipeline,
  pipeline,
  postgres,
  restApi,
} from '../../src/index.js'
import { extensions } from '../destinations/lakeExtensions.js'
import { type PostgresServer, startPostgres } from '../destinations/postgresServer.js'
import { seeded } from '../reliability/chance.js'

const DAYS = 16
const READERS = 4

/** Four records a day. Each day has a column of its own, and types that the days before may not have. */
const EVENTS = Array.from({ length: DAYS * 4 }, (_, number) => {
  const day = Math.floor(number / 4)
  return {
    id: number,
    at: new Date(Date.UTC(2024, 0, 1 + day, number % 4)).toISOString(),
    value: day % 3 === 0 ? `n${number}` : day % 3 === 1 ? number : number + 0.5,
    [`day_${day}`]: number,
    tags: [{ name: `t${number}` }, { name: day % 2 === 0 ? number : true }],
  }
})

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
}, 120_000)
afterAll(() => server?.stop())

let folder: string
let url: string
let close: () => Promise<void>
/** Answers wait until so many requests are under way. */
let together: number
let refused: string | undefined
/** Called with each request. */
let heard: () => void
let chance: () => number
let most: number
let asked: number
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-parallel-'))
  together = READERS
  refused = undefined
  heard = () => {}
  chance = seeded(1)
  most = 0
  asked = 0
  const waiting: (() => void)[] = []
  const api = createServer((request, response) => {
    asked += 1
    heard()
    const query = new URL(request.url ?? '/', 'http://api').searchParams
    const [since = '', until = '9'] = ['since', 'until'].map(name => query.get(name) ?? undefined)
    waiting.push(() => answer(response, since, until))
    most = Math.max(most, waiting.length)
    if (waiting.length < together) return
    together = 1
    for (const respond of inAnyOrder(waiting.splice(0))) respond()
  })
  await new Promise<void>(resolve => api.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`
  close = () => new Promise(resolve => api.close(() => resolve()).closeAllConnections())
})
afterEach(async () => {
  await close()
  await rm(folder, { recursive: true, force: true })
})

function inAnyOrder<T>(things: readonly T[]): readonly T[] {
  return things
    .map(thing => ({ thing, at: chance() }))
    .sort((a, b) => a.at - b.at)
    .map(({ thing }) => thing)
}

function answer(response: ServerResponse, since: string, until: string): void {
  if (since === refused) {
    response.writeHead(500).end()
    return
  }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(EVENTS.filter(({ at }) => at >= since && at < until)))
}

function events(destination: Destination): Pipeline {
  return pipeline({
    name: 'events',
    source: restApi({
      client: { base_url: url, retry: { attempts: 1 }, paginator: 'single_page' },
      resources: [
        {
          name: 'events',
          primary_key: 'id',
          write_disposition: 'append',
          endpoint: {
            incremental: {
              cursor_path: 'at',
              initial_value: '2024-01-01T00:00:00.000Z',
              start_param: 'since',
              end_param: 'until',
              window: { step: 'P1D' },
            },
          },
        },
      ],
    }),
    destination,
    home: join(folder, 'home'),
  }) as Pipeline
}

const RANGE = { to: '2024-01-17T00:00:00.000Z', parallel: READERS } as const

async function rowsOf(of: Pipeline) {
  const dataset = of.dataset()
  const rows = await dataset.table('events').orderBy('id').rows()
  const tags = await dataset.table('events__tags').rows()
  const named = tags.map(tag => String(tag.name ?? tag.name__v_bool ?? tag.name__v_bigint ?? tag.name__v_text))
  return {
    values: rows.map(row => String(row.value ?? row.value__v_text ?? row.value__v_double ?? row.value__v_bigint)),
    days: rows.map(row => Number(row[`day_${Math.floor(Number(row.id) / 4)}`])),
    ids: rows.map(({ id }) => Number(id)),
    tags: tags.length,
    ownTags: EVENTS.filter(({ id }) => named.includes(`t${id}`)).length,
  }
}

const WHOLE = {
  values: EVENTS.map(({ value }) => expect.stringMatching(new RegExp(`^${value}(\\.0)?$`))),
  days: EVENTS.map(({ id }) => id),
  ids: EVENTS.map(({ id }) => id),
  tags: EVENTS.length * 2,
  ownTags: EVENTS.length,
}

const lakes = [
  ['a lake', async () => ducklake({ catalog: join(folder, 'events.ducklake'), extensions })],
  [
    'a lake with its catalog in Postgres',
    async () =>
      ducklake({
        catalog: server.url(await server.createDatabase()),
        dataPath: join(folder, 'data'),
        extensions,
      }),
  ],
] as const
const engines = [
  ['DuckDB', async () => duckdb(join(folder, 'events.duckdb'))],
  ['Postgres', async () => postgres(server.url(await server.createDatabase()))],
  ...(extensions === undefined ? [] : lakes),
] as const

it.each(engines)(
  'windows that are read at the same time lose nothing and mix nothing: %s',
  async (_, open) => {
    const loading = events(await open())
    const ledgerReads: string[] = []
    const { loads } = await loading.backfill('events', {
      ...RANGE,
      onEvent(event) {
        if (event.type === 'statement' && /^SELECT.*_sluice_windows/.test(event.sql)) ledgerReads.push(event.sql)
      },
    })
    expect(most).toBe(READERS)
    // A commit reads the windows that are new to this process, not all of them. It may hold several.
    expect(ledgerReads.length).toBeGreaterThan(1)
    expect(ledgerReads.filter(sql => !sql.includes('"commit_number" >'))).toHaveLength(1)
    const numbers = await loading.dataset().table('_sluice_windows').orderBy('commit_number').rows()
    expect(numbers.map(({ commit_number }) => Number(commit_number))).toEqual(loads.map((_, place) => place + 1))
    expect(loads).toHaveLength(DAYS)
    expect(await rowsOf(loading)).toEqual(WHOLE)
    // Windows whose types differ from what others committed are made again from their journals.
    expect(asked).toBe(DAYS)

    const { done, missing } = await loading.backfillStatus('events', { to: RANGE.to })
    expect([done.length, missing]).toEqual([DAYS, []])
    const state = await loading.dataset().state()
    const cursor = state?.sources?.rest_api?.resources?.events?.incremental?.at
    expect(cursor?.last_value).toBe(EVENTS.at(-1)?.at)
    await loading.run()
    expect(await rowsOf(loading)).toEqual(WHOLE)
  },
  300_000,
)

it.each(engines.slice(0, 2))(
  'one of several windows that fails stops no other, and is loaded later: %s',
  async (_, open) => {
    const loading = events(await open())
    refused = '2024-01-03T00:00:00.000Z'
    await expect(loading.backfill('events', RANGE)).rejects.toThrow(/1 window failed, 15 committed/)
    refused = undefined
    await loading.backfill('events', { ...RANGE, retryFailed: true })
    expect(await rowsOf(loading)).toEqual(WHOLE)
  },
  300_000,
)

it.each([
  ['DuckDB', 2],
  ['DuckDB', 3],
  ['Postgres', 4],
] as const)(
  'whatever fails, and wherever it is stopped, each window is loaded once: %s, schedule %s',
  async (engine, seed) => {
    const loading = events(await new Map(engines).get(engine)!()) // one of them
    const random = seeded(seed)
    chance = random
    for (let stops = 0; stops < 4; stops++) {
      together = 1 + Math.floor(random() * READERS)
      refused =
        random() < 0.5 ? `2024-01-${String(1 + Math.floor(random() * DAYS)).padStart(2, '0')}T00:00:00.000Z` : undefined
      const stopping = new AbortController()
      let left = 2 + Math.floor(random() * 6)
      heard = () => {
        if (--left === 0) stopping.abort()
      }
      const order = random() < 0.5 ? 'newest_first' : 'oldest_first'
      await loading.backfill('events', { ...RANGE, order, signal: stopping.signal }).catch(() => {})
    }
    heard = () => {}
    refused = undefined
    together = 1
    await loading.backfill('events', RANGE)
    expect(await rowsOf(loading)).toEqual(WHOLE)
    const { done, failed, missing } = await loading.backfillStatus('events', { to: RANGE.to })
    expect([done.length, failed, missing]).toEqual([DAYS, [], []])
    await loading.run()
    expect(await rowsOf(loading)).toEqual(WHOLE)
  },
  300_000,
)

it.each([
  ['more than 64', 65, (at: string) => duckdb(join(at, 'x.duckdb')), /parallel: is 65; at most 64/],
  ['files, which take one load at a time', 2, (at: string) => files(join(at, 'lake')), /takes one load of a pipeline/],
] as const)('refuses %s', async (_, parallel, open, message) => {
  await expect(events(open(folder)).backfill('events', { ...RANGE, parallel })).rejects.toThrow(message)
  expect(asked).toBe(0)
})
