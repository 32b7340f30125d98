import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type BackfillOptions,
  duckdb,
  files,
  type Pipeline,
  type PipelineOptions,
  pipeline,
  type ResourceConfig,
  restApi,
  type WindowOutcome,
} from '../../src/index.js'
import fc from '../properties.js'

vi.setConfig({ testTimeout: 120_000 })

interface Event {
  readonly id: number
  readonly at: string
}

/** One event an hour, in January 2024. */
const EVENTS: readonly Event[] = Array.from({ length: 31 * 24 }, (_, hour) => ({
  id: hour,
  at: new Date(Date.UTC(2024, 0, 1, hour)).toISOString().replace('.000', ''),
}))

let folder: string
let url: string
let asked: { readonly since: string; readonly until: string }[]
let answer: (request: { readonly since: string; readonly until: string }, response: ServerResponse) => void
let close: () => Promise<void>

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-backfill-'))
  asked = []
  answer = ({ since, until }, response) => sendEvents(response, within(since, until))
  const server = createServer((request: IncomingMessage, response) => {
    const query = new URL(request.url ?? '/', 'http://api').searchParams
    const range = { since: query.get('since') ?? '', until: query.get('until') ?? '9' }
    asked.push(range)
    answer(range, response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  close = () => new Promise(resolve => server.close(() => resolve()).closeAllConnections())
})
afterEach(async () => {
  await close()
  await rm(folder, { recursive: true, force: true })
})

const within = (since: string, until: string): readonly Event[] => EVENTS.filter(({ at }) => at >= since && at < until)

function sendEvents(response: ServerResponse, events: readonly Event[], total = events.length): void {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ total, data: events }))
}

const RESOURCE = {
  name: 'events',
  primary_key: 'id',
  write_disposition: 'append',
  endpoint: {
    path: '/events',
    data_selector: 'data',
    paginator: { type: 'single_page', total_path: 'total' },
    incremental: {
      cursor_path: 'at',
      initial_value: '2024-01-01T00:00:00Z',
      start_param: 'since',
      end_param: 'until',
      window: { step: 'P7D' },
    },
  },
} as const satisfies ResourceConfig

function events(
  resource: ResourceConfig = RESOURCE,
  options: Partial<Pick<PipelineOptions, 'destination'>> = {},
): Pipeline {
  return pipeline({
    name: 'events',
    source: restApi({
      client: { base_url: url, retry: { attempts: 1 } },
      resources: [resource],
    }),
    destination: options.destination ?? files(join(folder, 'lake')),
    home: join(folder, 'home'),
  }) as Pipeline
}

/** Ids at the destination, in order. */
async function ids(of: Pipeline): Promise<readonly number[]> {
  const rows = await of.dataset().table('events').orderBy('id').rows()
  return rows.map(({ id }) => Number(id))
}

const ALL = EVENTS.map(({ id }) => id)
const JANUARY = { to: '2024-02-01T00:00:00Z' } as const satisfies BackfillOptions

async function lastValue(of: Pipeline): Promise<unknown> {
  const state = await of.dataset().state()
  return state?.sources?.rest_api?.resources?.events?.incremental?.at?.last_value
}

describe('a backfill', () => {
  it.each([
    ['DuckDB', () => duckdb(join(folder, 'events.duckdb'))],
    ['files', () => files(join(folder, 'lake'))],
  ])('loads each window of a range once, and moves the cursor to its newest record: %s', async (_, destination) => {
    const loading = events(RESOURCE, { destination: destination() })
    const outcomes: WindowOutcome[] = []
    const planned: (readonly number[])[] = []
    const { loads, from, to } = await loading.backfill('events', {
      ...JANUARY,
      onPlan: ({ done, missing }) => planned.push([done.length, missing.length, asked.length]),
      onWindow: one => outcomes.push(one),
    })
    expect(planned).toEqual([[0, 5, 0]])
    expect({ from, to }).toEqual({ from: '2024-01-01T00:00:00Z', to: '2024-02-01T00:00:00Z' })
    expect(loads.map(({ start, end, records, verdict }) => [start, end, records, verdict])).toEqual([
      ['2024-01-01T00:00:00Z', '2024-01-08T00:00:00Z', 168, 'complete'],
      ['2024-01-08T00:00:00Z', '2024-01-15T00:00:00Z', 168, 'complete'],
      ['2024-01-15T00:00:00Z', '2024-01-22T00:00:00Z', 168, 'complete'],
      ['2024-01-22T00:00:00Z', '2024-01-29T00:00:00Z', 168, 'complete'],
      ['2024-01-29T00:00:00Z', '2024-02-01T00:00:00Z', 72, 'complete'],
    ])
    expect(outcomes.map(({ outcome, left }) => [outcome, left])).toEqual([4, 3, 2, 1, 0].map(left => ['loaded', left]))
    expect(await ids(loading)).toEqual(ALL)
    expect(await lastValue(loading)).toBe('2024-01-31T23:00:00Z')

    expect(await loading.backfill('events', JANUARY)).toMatchObject({ before: 5, loads: [] })
    expect(asked).toHaveLength(5)
  })

  it.each([
    ['DuckDB', () => duckdb(join(folder, 'events.duckdb'))],
    ['files', () => files(join(folder, 'lake'))],
  ])('loads the other windows where one fails, remembers it and tries it again: %s', async (_, destination) => {
    const loading = events(RESOURCE, { destination: destination() })
    const third = '2024-01-15T00:00:00Z'
    answer = ({ since, until }, response) => {
      if (since === third) response.writeHead(500).end('out of order')
      else sendEvents(response, within(since, until))
    }
    for (const tries of [1, 2]) {
      await expect(loading.backfill('events', JANUARY)).rejects.toMatchObject({
        code: 'windows_failed',
        message: expect.stringMatching(
          /events: 1 window failed, [40] committed\.\n2024-01-15T00:00:00Z … 2024-01-22T.*out of/,
        ),
        cause: { status: 500 },
      })
      const { done, failed, missing } = await loading.backfillStatus('events', JANUARY)
      expect([done.length, missing]).toEqual([4, []])
      expect(failed).toEqual([
        {
          start: third,
          end: '2024-01-22T00:00:00Z',
          tries,
          atMs: expect.any(Number),
          reason: expect.stringContaining('500'),
        },
      ])
    }
    expect(await ids(loading)).toEqual(ALL.filter(id => id < 2 * 168 || id >= 3 * 168))
    expect(await lastValue(loading)).toBe('2024-01-14T23:00:00Z')

    answer = ({ since, until }, response) => sendEvents(response, within(since, until))
    const { before, loads } = await loading.backfill('events', { ...JANUARY, retryFailed: true })
    expect([before, loads.length]).toEqual([4, 1])
    expect(await ids(loading)).toEqual(ALL)
    expect(await lastValue(loading)).toBe('2024-01-31T23:00:00Z')
    expect((await loading.backfillStatus('events', JANUARY)).failed).toEqual([])
    expect(await loading.backfill('events', { ...JANUARY, retryFailed: true })).toMatchObject({ loads: [] })
  })

  it('tries nothing but failed windows when asked to, and those of another step in parts', async () => {
    const loading = events()
    answer = ({ since, until }, response) => {
      if (since === '2024-01-08T00:00:00Z') response.writeHead(500).end()
      else sendEvents(response, within(since, until))
    }
    await expect(loading.backfill('events', { to: '2024-01-22T00:00:00Z' })).rejects.toThrow()
    answer = ({ since, until }, response) => sendEvents(response, within(since, until))
    await loading.backfill('events', { ...JANUARY, from: '2024-01-12T00:00:00Z', step: 'P1D', retryFailed: true })
    expect((await loading.backfillStatus('events', JANUARY)).failed).toMatchObject([
      { start: '2024-01-08T00:00:00Z', end: '2024-01-12T00:00:00Z', tries: 1 },
    ])
    await loading.backfill('events', JANUARY)
    expect(await ids(loading)).toEqual(ALL)
  })

  it('ends after three windows that fail one after another, and at once where no window would fare better', async () => {
    const loading = events()
    answer = (_, response) => response.writeHead(500).end()
    await expect(loading.backfill('events', JANUARY)).rejects.toThrow(
      /3 windows failed, 0 committed\. 2 windows were not tried, because 3 failed one after another/,
    )
    expect(asked).toHaveLength(3)
    expect(await loading.backfillStatus('events', JANUARY)).toMatchObject({
      failed: [{}, {}, {}],
      missing: [{ start: '2024-01-22T00:00:00Z' }, { start: '2024-01-29T00:00:00Z' }],
    })

    answer = (_, response) => response.writeHead(401).end()
    await expect(loading.backfill('events', JANUARY)).rejects.toMatchObject({ status: 401 })
    expect(asked).toHaveLength(4)
    expect((await loading.backfillStatus('events', JANUARY)).failed).toHaveLength(3)
  })

  it('is refused while another one loads the same windows', async () => {
    const loading = events()
    let second: Promise<unknown> | undefined
    await loading.backfill('events', {
      ...JANUARY,
      onPlan: () => {
        second = loading.backfill('events', JANUARY).catch((error: unknown) => error)
      },
    })
    expect(await second).toMatchObject({ code: 'destination_locked' })
    expect(await ids(loading)).toEqual(ALL)
    expect(asked).toHaveLength(5)
  })

  it('tells what is left in requests and time', async () => {
    const estimates: unknown[] = []
    await events().backfill('events', {
      to: '2024-01-29T00:00:00Z',
      onWindow: one => estimates.push(one.outcome === 'loaded' && one.estimate),
    })
    expect(estimates).toEqual([3, 2, 1, 0].map(requests => ({ requests, durationMs: expect.any(Number) })))
  })

  it('moves no cursor over a gap: a run reads what the newest windows leave out', async () => {
    const loading = events()
    answer = ({ since, until }, response) => {
      if (asked.length === 3) response.writeHead(500).end()
      else sendEvents(response, within(since, until))
    }
    await expect(loading.backfill('events', { ...JANUARY, order: 'newest_first' })).rejects.toThrow()
    expect(asked.map(({ since }) => since)).toEqual([
      '2024-01-29T00:00:00Z',
      '2024-01-22T00:00:00Z',
      '2024-01-15T00:00:00Z',
      '2024-01-08T00:00:00Z',
      '2024-01-01T00:00:00Z',
    ])
    expect(await lastValue(loading)).toBe('2024-01-14T23:00:00Z')

    await loading.backfill('events', { ...JANUARY, order: 'newest_first' })
    expect(await lastValue(loading)).toBe('2024-01-31T23:00:00Z')
    expect(await ids(loading)).toEqual(ALL)
    asked = []
    await loading.run()
    expect(asked.map(({ since }) => since)).toEqual(['2024-01-31T23:00:00Z'])
    expect(await ids(loading)).toEqual(ALL)
  })

  it('refuses a run that would append what windows beyond a gap have loaded', async () => {
    const loading = events()
    await loading.backfill('events', { from: '2024-01-29T00:00:00Z', to: '2024-02-01T00:00:00Z' })
    await expect(loading.run()).rejects.toThrow(/endpoint\.incremental: .* windows beyond a gap/s)
    await loading.backfill('events', JANUARY)
    await loading.run()
    expect(await ids(loading)).toEqual(ALL)
  })

  it('does not append what runs have read', async () => {
    const loading = events()
    await loading.run()
    const { missing } = await loading.backfillStatus('events', { ...JANUARY, from: '2023-12-25T00:00:00Z' })
    expect(missing).toEqual([{ start: '2023-12-25T00:00:00Z', end: '2024-01-01T00:00:00Z' }])
    expect(await loading.backfill('events', JANUARY)).toMatchObject({ loads: [] })
  })

  it('is not bound to what whole runs must bring', async () => {
    const max_age = { path: 'at', duration: 'PT1H' }
    const loading = events({ ...RESOURCE, expect: { min_records: 500, max_age } })
    expect((await loading.backfill('events', JANUARY)).loads).toHaveLength(5)
  })

  it('leaves the cursor of a run where it is further', async () => {
    const loading = events()
    await loading.run()
    expect(await lastValue(loading)).toBe('2024-01-31T23:00:00Z')
    answer = (_, response) => sendEvents(response, [{ id: -1, at: '2023-12-31T00:00:00Z' }])
    await loading.backfill('events', { from: '2023-12-25T00:00:00Z', to: '2024-01-01T00:00:00Z' })
    expect(await lastValue(loading)).toBe('2024-01-31T23:00:00Z')
    expect(await ids(loading)).toEqual([-1, ...ALL])
  })

  it.each([
    ['status 504', (response: ServerResponse) => response.writeHead(504).end()],
    ['status 413', (response: ServerResponse) => response.writeHead(413).end()],
    ['a total beyond a cap', (response: ServerResponse) => sendEvents(response, EVENTS.slice(0, 100), 168)],
    [
      'an answer in part',
      (response: ServerResponse) => {
        response.statusCode = 206
        sendEvents(response, EVENTS.slice(0, 100))
      },
    ],
  ])('halves windows that are too much for the API: %s', async (_, tooMuch) => {
    const loading = events()
    answer = ({ since, until }, response) => {
      const found = within(since, until)
      if (found.length > 100) tooMuch(response)
      else sendEvents(response, found)
    }
    const outcomes: WindowOutcome[] = []
    const warned: string[] = []
    const { loads } = await loading.backfill('events', {
      ...JANUARY,
      onWindow: one => outcomes.push(one),
      onEvent: event => {
        if (event.type === 'warning') warned.push(event.message)
      },
    })
    // Only the first one is tried in vain: the others are halved before.
    expect(outcomes.filter(({ outcome }) => outcome === 'halved')).toHaveLength(1)
    expect(loads.map(({ records }) => records)).toEqual([84, 84, 84, 84, 84, 84, 84, 84, 72])
    expect(await ids(loading)).toEqual(ALL)
    expect(warned).toEqual([])
  })

  it('remembers the width that an API takes', async () => {
    const loading = events()
    answer = ({ since, until }, response) => {
      const found = within(since, until)
      if (found.length > 50) response.writeHead(504).end()
      else sendEvents(response, found)
    }
    await loading.backfill('events', { to: '2024-01-08T00:00:00Z' })
    const tried = asked.length
    const { loads } = await loading.backfill('events', JANUARY)
    expect(asked).toHaveLength(tried + loads.length)
    expect(await ids(loading)).toEqual(ALL)
  })

  it('a place that is too much for the smallest window fails alone, and the next windows are wider again', async () => {
    const loading = events()
    const dense = '2024-01-01T00:00:02Z'
    answer = ({ since, until }, response) => {
      if (since <= dense && dense < until) response.writeHead(504).end()
      else sendEvents(response, within(since, until))
    }
    const outcomes: string[] = []
    const onWindow = ({ outcome }: WindowOutcome) => outcomes.push(outcome)
    await expect(loading.backfill('events', { to: '2024-01-01T00:00:08Z', step: 'PT4S', onWindow })).rejects.toThrow(
      /1 window failed, 4 committed/,
    )
    expect(outcomes).toEqual(['halved', 'loaded', 'halved', 'failed', 'loaded', 'loaded', 'loaded'])
    const range = { from: '2024-01-01T00:00:02Z', to: '2024-01-01T00:00:03Z' }
    expect((await loading.backfillStatus('events', range)).failed).toHaveLength(1)
  })

  it('begins anew after a drop', async () => {
    const loading = events(RESOURCE, { destination: duckdb(join(folder, 'events.duckdb')) })
    await loading.backfill('events', JANUARY)
    await loading.drop(['events'])
    expect((await loading.backfillStatus('events', JANUARY)).missing).toHaveLength(5)
    await loading.backfill('events', JANUARY)
    expect(await ids(loading)).toEqual(ALL)
  })

  it('counts numbers in amounts', async () => {
    const { incremental, ...endpoint } = RESOURCE.endpoint
    const loading = events({
      ...RESOURCE,
      endpoint: {
        ...endpoint,
        incremental: { ...incremental, cursor_path: 'id', initial_value: 0, window: { step: 300 } },
      },
    })
    answer = ({ since, until }, response) =>
      sendEvents(
        response,
        EVENTS.filter(({ id }) => id >= Number(since) && id < Number(until)),
      )
    const { loads } = await loading.backfill('events', { to: 744 })
    expect(loads.map(({ start, end, records }) => [start, end, records])).toEqual([
      [0, 300, 300],
      [300, 600, 300],
      [600, 744, 144],
    ])
    expect(await ids(loading)).toEqual(ALL)
  })

  it('ends at the present: what is still to come cannot have been read', async () => {
    const { from, to, missing } = await events().backfillStatus('events', {
      from: '2024-01-01T00:00:00Z',
      to: '2999-01-01T00:00:00Z',
    })
    expect(from).toBe('2024-01-01T00:00:00Z')
    expect(Date.parse(String(to))).toBeLessThanOrEqual(Date.now())
    expect(missing.length).toBeGreaterThan(100)
  })

  const broken: readonly (readonly [string, object, BackfillOptions, RegExp])[] = [
    ['no end parameter', { end_param: null }, JANUARY, /end_param.*no request says where a window ends/s],
    ['a step without a number', { window: { step: 'often' } }, JANUARY, /window\.step.*expected an ISO 8601 duration/s],
    ['a number of steps for times', {}, { ...JANUARY, step: 7 }, /step: is 7, and the cursor is a time/],
    ['months', {}, { ...JANUARY, step: 'P1M' }, /step: is P1M.*without months and years/],
    ['too many windows', {}, { ...JANUARY, step: 'PT1S' }, /more than 100000 windows/],
    ['an end before the start', {}, { to: '2023-01-01T00:00:00Z' }, /to: 2023-01-01T00:00:00Z is before the start/],
    [
      'a start that is no time',
      {},
      { from: 'abc' },
      /from: "abc" is no time; give `--from` a time.*2024-01-01T00:00:00Z/,
    ],
    ['an end that is no time', {}, { to: 'abc' }, /to: "abc" is no time; give `--to` a time/],
    ['a start that is no date', {}, { from: '2024-13-45' }, /from: "2024-13-45" is no time/],
    ['a number for a time', {}, { from: 17 }, /from: "17" is no time/],
    [
      'a time for a number',
      { initial_value: 1, window: { step: 9 } },
      JANUARY,
      /is no number; give `--\w+` a number.*such as 1/,
    ],
    ['a start of no form', { initial_value: null }, { from: 'x', to: 'y' }, /"x" is neither a time nor a number/],
    ['an open border on both sides', { range_start: 'open' }, JANUARY, /would be in neither/],
    ['a closed border on both sides', { range_end: 'closed' }, JANUARY, /would be loaded twice/],
    ['a lookback without merge', { window: { step: 'P7D', lookback: 'P1D' } }, JANUARY, /load rows twice/],
    ['a cursor that falls', { last_value_func: 'min' }, JANUARY, /windows need a cursor that grows/],
  ]
  it.each(broken)('refuses %s before any request', async (_, changes, options, message) => {
    const incremental = { ...RESOURCE.endpoint.incremental, ...changes }
    const resource = { ...RESOURCE, endpoint: { ...RESOURCE.endpoint, incremental } }
    await expect((async () => events(resource as ResourceConfig).backfill('events', options))()).rejects.toThrow(
      message,
    )
    expect(asked).toEqual([])
  })

  it.each(['replace', { disposition: 'merge', strategy: 'scd2' }] as const)(
    'refuses %j, which takes away the rows of other windows',
    async write_disposition => {
      await expect(events({ ...RESOURCE, write_disposition }).backfill('events', JANUARY)).rejects.toThrow(
        /each window would take away the rows of the others/,
      )
    },
  )
})

describe('children of a backfill', () => {
  /** Each event has one line. */
  const withLines = (lines: object, incremental: object = {}): Pipeline => {
    answer = ({ since, until }, response) => {
      if (since === '') sendEvents(response, [{ id: 1, at: '' }])
      else sendEvents(response, within(since, until))
    }
    const { endpoint } = RESOURCE
    return pipeline({
      name: 'events',
      source: restApi({
        client: { base_url: url, retry: { attempts: 1 } },
        resources: [
          {
            ...RESOURCE,
            write_disposition: 'merge',
            endpoint: { ...endpoint, incremental: { ...endpoint.incremental, ...incremental } },
          },
          {
            name: 'lines',
            ...lines,
            include_from_parent: ['id'],
            endpoint: { path: '/events/{resources.events.id}/lines', data_selector: 'data', paginator: 'single_page' },
          },
        ] as ResourceConfig[],
      }),
      destination: duckdb(join(folder, 'events.duckdb')),
      home: join(folder, 'home'),
    }) as Pipeline
  }
  const DAYS = { to: '2024-01-05T00:00:00Z', step: 'P2D' } as const
  const lines = async (loading: Pipeline): Promise<number> => (await loading.dataset().table('lines').rows()).length

  it.each(['replace', { disposition: 'merge', strategy: 'scd2' }] as const)(
    'are refused as %j, which takes away the rows of other windows',
    async write_disposition => {
      await expect(withLines({ write_disposition, primary_key: 'id' }).backfill('events', DAYS)).rejects.toThrow(
        /resources\[1\]\.write_disposition.*each window would take away the rows of the others.*lines/s,
      )
      expect(asked).toEqual([])
    },
  )

  it('that are appended to merged parents come once, whatever a run has read before', async () => {
    const loading = withLines({ write_disposition: 'append' })
    await loading.run()
    expect(await lines(loading)).toBe(EVENTS.length)
    await loading.backfill('events', DAYS)
    expect(await lines(loading)).toBe(EVENTS.length)
  })

  it('that are appended keep a run from reading over a gap', async () => {
    const loading = withLines({ write_disposition: 'append' })
    await loading.backfill('events', { ...DAYS, from: '2024-01-03T00:00:00Z' })
    await expect(loading.run()).rejects.toThrow(/beyond a gap/)
    expect(await lines(loading)).toBe(48)
  })

  it('that are appended refuse to look back', async () => {
    const loading = withLines({ write_disposition: 'append' }, { window: { step: 'P2D', lookback: 'P1D' } })
    await expect(loading.backfill('events', DAYS)).rejects.toThrow(/would load rows of lines, which is appended, twice/)
  })
})

const HOURS = EVENTS.length
const at = (hour: number): string => new Date(Date.UTC(2024, 0, 1, hour)).toISOString().replace('.000', '')
const step = fc.record({
  isRun: fc.boolean(),
  from: fc.nat(HOURS - 1),
  hours: fc.integer({ min: 1, max: HOURS }),
  width: fc.constantFrom('P3D', 'P7D', 'PT100H'),
  order: fc.constantFrom('oldest_first', 'newest_first'),
  failure: fc.nat(6),
} as const)

it('whatever is loaded, stopped and run in between, each record arrives once, and no cursor passes a gap', async () => {
  let number = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 4 }), async steps => {
      const loading = events(RESOURCE, { destination: files(join(folder, `lake${++number}`)) })
      let isRead = false
      for (const { isRun, from, hours, width, order, failure } of [...steps, LAST]) {
        asked = []
        answer = ({ since, until }, response) => {
          if (asked.length === failure) response.writeHead(500).end()
          else sendEvents(response, within(since, until))
        }
        const range = { from: at(from), to: at(Math.min(HOURS, from + hours)), step: width, order }
        if (isRun) {
          const failed = await loading.run().then(
            () => false,
            () => true,
          )
          isRead ||= !failed
        } else await loading.backfill('events', range).catch(() => undefined)
        const loaded = await ids(loading)
        expect(new Set(loaded).size).toBe(loaded.length)
        const { done } = await loading.backfillStatus('events', JANUARY)
        const last = await lastValue(loading)
        const expected = EVENTS.filter(
          event => isRead || done.some(({ start, end }) => event.at >= String(start) && event.at < String(end)),
        )
        expect(loaded).toEqual(expected.map(({ id }) => id))
        const passed = EVENTS.filter(event => event.at <= String(last ?? ''))
        expect(loaded).toEqual(expect.arrayContaining(passed.map(({ id }) => id)))
      }
      expect(await ids(loading)).toEqual(ALL)
    }),
    { numRuns: 8 },
  )
})

/** Loads what is missing. */
const LAST = { isRun: false, from: 0, hours: HOURS, width: 'P7D', order: 'oldest_first', failure: 0 } as const

it('a window is a part of its resource: no later run is compared with it', async () => {
  const loading = events({ ...RESOURCE, expect: { max_change: 0.1 } })
  await loading.backfill('events', JANUARY)
  const history = await loading.dataset().history()
  expect(new Set(history.flatMap(({ receipts }) => receipts.map(({ extent }) => extent)))).toEqual(new Set(['window']))
  const { receipts } = await loading.run()
  expect(receipts[0]).toMatchObject({ extent: 'whole', records: 1 })
})
