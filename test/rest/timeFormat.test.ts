import { describe, expect, it } from 'vitest'
import { type RestApiConfig, restApi } from '../../src/index.js'
import type { JsonValue } from '../../src/json/value.js'
import { timeFormat } from '../../src/rest/request/timeFormat.js'
import { load, testApi } from './loading.js'

const moment = '2024-12-31T23:59:30.1234567Z'

describe('how a time is sent', () => {
  it.each<[format: string, value: JsonValue, lower: JsonValue, upper: JsonValue]>([
    ['epoch_seconds', moment, 1735689570, 1735689571],
    ['epoch_ms', moment, 1735689570123, 1735689570124],
    ['epoch_us', moment, 1735689570123456, 1735689570123457],
    ['iso8601', moment, '2024-12-31T23:59:30.123456Z', '2024-12-31T23:59:30.123457Z'],
    ['rfc1123', moment, 'Tue, 31 Dec 2024 23:59:30 GMT', 'Tue, 31 Dec 2024 23:59:31 GMT'],
    ['%Y-%m-%d', moment, '2024-12-31', '2025-01-01'],
    ['%Y-%m-%d %H:%M', moment, '2024-12-31 23:59', '2025-01-01 00:00'],
    ['%Y%m', moment, '202412', '202501'],
    ['%d/%b/%y %I:%M %p', moment, '31/Dec/24 11:59 PM', '01/Jan/25 12:00 AM'],
    ['%FT%T.%f%z', moment, '2024-12-31T23:59:30.123456+0000', '2024-12-31T23:59:30.123457+0000'],
    ['%A, %e %B, day %j, 100%%', '2024-03-01', 'Friday,  1 March, day 061, 100%', 'Friday,  1 March, day 061, 100%'],
    ['%j', '2023-12-31T00:00:00Z', '365', '365'],
    ['%s', moment, '1735689570', '1735689571'],
    ['%F', '2024-02-29', '2024-02-29', '2024-02-29'],
    ['iso8601', 1704067200, '2024-01-01T00:00:00Z', '2024-01-01T00:00:00Z'],
    ['iso8601', 1704067200000, '2024-01-01T00:00:00Z', '2024-01-01T00:00:00Z'],
    ['iso8601', '1704067200000000', '2024-01-01T00:00:00Z', '2024-01-01T00:00:00Z'],
    ['iso8601', 1704067200.5, '2024-01-01T00:00:00.500000Z', '2024-01-01T00:00:00.500000Z'],
    ['epoch_seconds', '1969-12-31T23:59:59.5Z', -1, 0],
    ['%F', '20240131', '2024-01-31', '2024-01-31'],
  ])('%s of %s', (format, value, lower, upper) => {
    const written = timeFormat(format, { path: 'p' })
    expect([written(value, 'lower'), written(value, 'upper')]).toEqual([lower, upper])
  })

  it.each([
    ['2024-07-01T00:00:30Z', 'Europe/Berlin', '2024-07-01 02:00', '2024-07-01 02:01'],
    ['2024-01-01T00:00:00Z', 'America/St_Johns', '2023-12-31 20:30', '2023-12-31 20:30'],
  ])('writes %s for the clock of %s', (value, timeZone, lower, upper) => {
    const written = timeFormat('%Y-%m-%d %H:%M', { path: 'p', timeZone })
    expect([written(value, 'lower'), written(value, 'upper')]).toEqual([lower, upper])
  })

  it.each(['abc', true, 1e300, Number.NaN, '02/01/2024'])('refuses %s, which is no time', value => {
    expect(() => timeFormat('epoch_ms', { path: 'incremental.param_format' })(value, 'lower')).toThrow(
      /^incremental\.param_format: the cursor value .* is not a time that can be written as `epoch_ms`/,
    )
  })
})

const things = (origin: string, incremental: object): RestApiConfig => ({
  client: { base_url: origin, paginator: 'single_page' },
  resources: [{ name: 'things', endpoint: { incremental: { cursor_path: 'at', ...incremental } } }],
})

describe('param_format', () => {
  it('is how the ends of a window are sent, wide enough for every record in it', async () => {
    const api = await testApi(() => ({ json: [] }))
    const window = { initial_value: '2024-01-01T10:30:59Z', end_value: '2024-01-02T10:30:01Z' }
    await load(things(api.origin, { ...window, start_param: 'from', end_param: 'to', param_format: '%Y-%m-%d %H:%M' }))
    const newest = { initial_value: '2024-01-02T10:30:01Z', end_value: '2024-01-01T10:30:59Z', last_value_func: 'min' }
    await load(things(api.origin, { ...newest, start_param: 'to', end_param: 'from', param_format: '%Y-%m-%d %H:%M' }))
    const sent = api.seen.map(({ url }) => Object.fromEntries(new URL(url, api.origin).searchParams))
    const wide = { from: '2024-01-01 10:30', to: '2024-01-02 10:31' }
    expect(sent).toEqual([wide, wide])
  })

  it.each([
    [{ param_format: 'epoch' }, /param_format: expected one of epoch_seconds.*or a pattern/],
    [{ param_format: '%Y-%q' }, /param_format: does not know "%q"; there are %Y/],
    [{ param_format: '%Y%' }, /param_format: ends with half a directive/],
    [{ param_format: '%F', param_time_zone: 'Mars' }, /param_time_zone: is not a time zone/],
    [{ param_format: 'epoch_ms', param_time_zone: 'UTC' }, /param_time_zone: needs a pattern/],
    [{ param_format: '%F', convert: (value: unknown) => value }, /param_format: cannot be combined with `convert`/],
  ])('%j is refused before any request', (incremental, message) => {
    expect(() => restApi(things('http://api.test', incremental), { env: {} })).toThrow(message)
  })
})
