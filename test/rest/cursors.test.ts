import { describe, expect, test } from 'vitest'
import type { RestApiConfig, RunEvent } from '../../src/index.js'
import { load, prepared, run, testApi } from './loading.js'

/** Which records a cursor lets pass, run after run, with the values that APIs really send. */

function events(origin: string, incremental: object, more: object = {}, endpoint: object = {}): RestApiConfig {
  return {
    client: { base_url: origin },
    resources: [
      {
        name: 'events',
        endpoint: { paginator: 'single_page', incremental: { cursor_path: 'u', ...incremental }, ...endpoint },
        ...more,
      },
    ],
  } as RestApiConfig
}

/** Runs once for each answer, with the same dataset; ids of all rows, and the warnings of each run. */
async function loaded(answers: readonly string[], incremental: object, more: object = {}) {
  let text = ''
  const api = await testApi(() => ({ text }))
  const made = await prepared(events(api.origin, incremental, more))
  const warnings: RunEvent[][] = []
  let ids: number[] = []
  for (text of answers) {
    const one = await run(made)
    warnings.push(one.events.filter(event => event.type === 'warning' && event.code === 'cursor_order'))
    ids = (await one.rows('events')).map(({ id }) => Number(id))
  }
  return { ids, warnings, made, api }
}

const records = (...values: readonly (string | number)[]): string =>
  `[${values.map((value, index) => `{"id":${index + 1},"u":${typeof value === 'number' ? value : JSON.stringify(value)}}`).join(',')}]`

/** Raw numbers, with digits that JavaScript would lose. */
const numbers = (...values: readonly string[]): string =>
  `[${values.map((value, index) => `{"id":${index + 1},"u":${value}}`).join(',')}]`

describe('a cursor', () => {
  test.each<[name: string, first: string, second: string, ids: readonly number[], incremental?: object]>([
    [
      'with fractions of seconds beside none',
      records('2024-01-01T00:00:00Z', '2024-01-01T00:00:00.500Z'),
      records('2024-01-01T00:00:00Z', '2024-01-01T00:00:00.500Z', '2024-01-01T00:00:00.700Z'),
      [1, 2, 3],
      { initial_value: '2023-01-01T00:00:00Z' },
    ],
    [
      'with local time when the clocks go back',
      records('2024-10-27T02:30:00+02:00'),
      records('2024-10-27T02:30:00+02:00', '2024-10-27T02:10:00+01:00'),
      [1, 2],
    ],
    [
      'with dates of mail, from the initial value on',
      records('Fri, 05 Jan 2024 00:00:00 GMT', 'Fri, 29 Dec 2023 00:00:00 GMT'),
      records('Fri, 05 Jan 2024 00:00:00 GMT', 'Fri, 29 Dec 2023 00:00:00 GMT', 'Mon, 08 Jan 2024 00:00:00 +0100'),
      [1, 3],
      { initial_value: 'Mon, 01 Jan 2024 00:00:00 GMT' },
    ],
    [
      'with nanoseconds',
      records('2024-01-01T00:00:00.123456788Z'),
      records('2024-01-01T00:00:00.123456787Z', '2024-01-01T00:00:00.123456789Z'),
      [1, 2],
    ],
    [
      // Without a key a record that is spelled otherwise is another one.
      'with Z beside +00:00, a blank beside T, a date beside a time',
      records('2024-01-01 00:00:00+00:00'),
      records('2024-01-01T00:00:00Z', '2024-01-01', '2023-12-31', '2024-01-01 00:00:01'),
      [1, 1, 2, 4],
    ],
    ['of numbers that are texts', records('9'), records('9', '10'), [1, 2]],
    ['of numbers, of which some are texts', records(9), records(9, '10', '8'), [1, 2]],
    [
      'of numbers beyond the digits of a double',
      numbers('1704067200.12345678901'),
      numbers('1704067200.12345678900', '1704067200.12345678902'),
      [1, 2],
    ],
    [
      'of whole numbers beyond the digits of a double',
      numbers('9007199254740993'),
      numbers('9007199254740992', '9007199254740994'),
      [1, 2],
    ],
    [
      'that counts down',
      records('2024-01-01T00:00:00.500Z'),
      records('2024-01-01T00:00:00.500Z', '2024-01-01T00:00:00Z', '2024-01-01T00:00:00.7Z'),
      [1, 2],
      { last_value_func: 'min' },
    ],
    [
      'that ends, where the end is spelled otherwise',
      records('2024-01-01T00:00:00.000Z', '2024-01-31T23:59:59.9Z', '2024-02-01T01:00:00+01:00'),
      records('2024-01-01T00:00:00.000Z', '2024-01-31T23:59:59.9Z', '2024-02-01T01:00:00+01:00'),
      [1, 1, 2, 2],
      { initial_value: '2024-01-01', end_value: '2024-02-01T00:00:00Z' },
    ],
    [
      'with a lag, where the clocks go back',
      records('2024-10-27T02:30:00+02:00'),
      records('2024-10-27T02:29:30+02:00', '2024-10-27T02:10:00+01:00'),
      [1, 1, 2],
      { lag: 60 },
    ],
  ])('%s', async (_name, first, second, ids, incremental = {}) => {
    const { ids: found, warnings } = await loaded([first, second], incremental)
    expect(found).toEqual(ids)
    expect(warnings).toEqual([[], []])
  })

  test('recognises a known record by its key, though its time is spelled otherwise, and takes a new one', async () => {
    const first = records('2024-01-01T00:00:00Z')
    const second = records('2024-01-01T00:00:00.000+00:00', '2024-01-01T01:00:00+01:00')
    expect((await loaded([first, second], {}, { primary_key: 'id' })).ids).toEqual([1, 2])
  })

  test('has its digits in the state and sends them', async () => {
    const text = numbers('1704067200.1234567890123', '7.0')
    const api = await testApi(() => ({ text }))
    const made = await prepared(events(api.origin, { start_param: 'since' }))
    await run(made)
    await run(made)
    expect(api.asked).toEqual(['GET /events', 'GET /events?since=1704067200.1234567890123'])
  })

  test.each([
    ['day first', records('02/01/2024'), records('02/01/2024', '01/02/2024')],
    ['a language', records('5 janvier 2024'), records('5 janvier 2024', '10 janvier 2024')],
    ['numbers in texts', records('v9'), records('v9', 'v10', 'v11')],
  ])('that has no order (%s) is a warning, once a run', async (_name, first, second) => {
    const { warnings } = await loaded([first, second], {})
    const values = (JSON.parse(second) as { u: string }[]).map(({ u }) => u)
    expect(warnings.map(found => found.length)).toEqual([0, 1])
    expect(warnings[1]?.[0]).toMatchObject({
      resource: 'events',
      message: expect.stringContaining(`\`u\` has the value "${values[1]}" beside "${values[0]}"`),
    })
  })
})

describe('a path with several matches', () => {
  const dates = (...lists: readonly (readonly (string | null)[])[]): string =>
    JSON.stringify(lists.map((list, index) => ({ id: index + 1, days: list.map(date => ({ date })) })))

  test.each([
    [
      'max',
      dates(['2024-05-12', '2024-05-13']),
      dates(['2024-05-12', '2024-05-13'], ['2024-05-11', null, '2024-05-14']),
    ],
    [
      'min',
      dates(['2024-05-13', '2024-05-12']),
      dates(['2024-05-13', '2024-05-12'], ['2024-05-14', null, '2024-05-11']),
    ],
  ])('takes the furthest (%s)', async (last_value_func, first, second) => {
    const cursor = { cursor_path: 'days[*].date', last_value_func }
    const { ids, made } = await loaded([first, second], cursor, { primary_key: 'id' })
    expect(ids).toEqual([1, 2])
    const state = await made.dataset().state()
    const stored = state?.sources?.rest_api?.resources?.events?.incremental?.['days[*].date']
    expect(stored?.last_value).toBe(last_value_func === 'max' ? '2024-05-14' : '2024-05-11')
  })
})

describe('an ordered list', () => {
  const pages = async (list: readonly (readonly object[])[], incremental: object, runs = 1) => {
    const api = await testApi(url => {
      const page = Number(url.searchParams.get('page') ?? 0)
      return { json: { data: list[page], next: page + 1 < list.length ? `?page=${page + 1}` : null } }
    })
    const endpoint = { data_selector: 'data', paginator: { type: 'json_link', next_url_path: 'next' } }
    const made = await prepared(events(api.origin, incremental, { primary_key: 'id' }, endpoint))
    let last = await run(made)
    for (let again = 1; again < runs; again++) last = await run(made)
    return { api, made, last }
  }
  const row = (id: string, u: string): object => ({ id, u })

  test.each([
    ['2024-01-05', '2024-01-05'],
    ['2024-01-05T00:00:00Z', '2024-01-05T01:00:00+01:00'],
  ])('that descends goes on behind a known record while values equal the boundary (%s, %s)', async (known, equal) => {
    const list = [[row('A', known), row('Z', '2024-01-01')]]
    const { made } = await pages(list, { row_order: 'desc' })
    list.splice(
      0,
      1,
      [row('C', '2024-01-06'), row('A', known)],
      [row('B', equal), row('Z', '2024-01-01')],
      [row('Y', '2023-12-31')],
    )
    const { rows } = await run(made)
    expect((await rows('events')).map(({ id }) => id)).toEqual(['A', 'B', 'C', 'Z'])
  })

  test('that descends ends at the first record before the boundary', async () => {
    const list = [[row('A', '2024-01-05')]]
    const { made, api } = await pages(list, { row_order: 'desc' })
    list.splice(
      0,
      1,
      [row('C', '2024-01-06'), row('A', '2024-01-05')],
      [row('Z', '2024-01-01')],
      [row('Y', '2023-12-31')],
    )
    await run(made)
    expect(api.asked).toEqual(['GET /events', 'GET /events', 'GET /events?page=1'])
  })

  test('that descends ends at an equal record where the range is open', async () => {
    const list = [[row('A', '2024-01-05')]]
    const { made, api } = await pages(list, { row_order: 'desc', range_start: 'open' })
    list.splice(0, 1, [row('C', '2024-01-06'), row('A', '2024-01-05')], [row('Z', '2024-01-01')])
    await run(made)
    expect(api.asked).toEqual(['GET /events', 'GET /events'])
  })

  test.each<[string, object, readonly string[]]>([
    ['a closed range', {}, ['A', 'B', 'C', 'D']],
    ['an open range', { range_start: 'open' }, ['A', 'B', 'C', 'D']],
  ])('that descends but for a record that stands first is read to its end: %s', async (_, range, ids) => {
    const list = [[row('A', '2024-01-05')]]
    const { made } = await pages(list, { row_order: 'desc', ...range })
    list.splice(
      0,
      1,
      [row('Z', '2024-01-01'), row('D', '2024-01-08')],
      [row('C', '2024-01-07')],
      [row('B', '2024-01-06'), row('A', '2024-01-05')],
    )
    const again = await run(made)
    const warnings = again.events.flatMap(event => (event.type === 'warning' ? [event.message] : []))
    expect(warnings.join()).toMatch(/row_order: the list does not come in the order `desc`/)
    expect((await again.rows('events')).map(({ id }) => id)).toEqual(ids)
  })

  test('that ascends but for its first record is read to its end', async () => {
    const list = [
      [row('Z', '2024-01-09'), row('A', '2024-01-02')],
      [row('B', '2024-01-03')],
      [row('C', '2024-01-04'), row('Y', '2024-01-08')],
      [row('D', '2024-01-04')],
    ]
    const range = { initial_value: '2024-01-01', end_value: '2024-01-05', row_order: 'asc' }
    const { last } = await pages(list, range)
    expect((await last.rows('events')).map(({ id }) => id)).toEqual(['A', 'B', 'C', 'D'])
  })

  test('that ascends goes on while values equal an end that belongs to the range', async () => {
    const list = [
      [row('A', '2024-01-04'), row('B', '2024-01-05T00:00:00Z')],
      [row('C', '2024-01-05'), row('D', '2024-01-05T00:00:00.001Z')],
      [row('E', '2024-01-06')],
    ]
    const range = { initial_value: '2024-01-01', end_value: '2024-01-05', range_end: 'closed', row_order: 'asc' }
    const { api, last } = await pages(list, range)
    expect((await last.rows('events')).map(({ id }) => id)).toEqual(['A', 'B', 'C'])
    expect(api.asked).toHaveLength(2)
  })
})

test('an end before the beginning is told by the instants', async () => {
  const window = { initial_value: '2024-10-27T02:30:00+02:00', end_value: '2024-10-27T02:10:00+01:00' }
  const api = await testApi(() => ({ text: records('2024-10-27T01:00:00Z') }))
  const { rows } = await load(events(api.origin, window))
  expect(await rows('events')).toHaveLength(1)
})
