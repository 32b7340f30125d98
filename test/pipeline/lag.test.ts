import { describe, expect, it } from 'vitest'
import type { JsonValue } from '../../src/json/value.js'
import { lagUnit, shiftCursor } from '../../src/pipeline/run/incremental/lag.js'

/** What dlt gives for the same value, where dlt takes it at all. */
const moved: readonly (readonly [value: JsonValue, lag: number, back: JsonValue])[] = [
  [10, 3, 7],
  [10, 1.5, 8],
  [10.5, 1, 9.5],
  [9007199254740995n, 1, 9007199254740994n],
  ['2024-03-01', 1, '2024-02-29'],
  ['20240301', 1, '20240229'],
  ['2024-01-01T00:00:00Z', 60, '2023-12-31T23:59:00Z'],
  ['2024-01-05T00:00:00.500Z', 90.5, '2024-01-04T23:58:30.000000Z'],
  ['2024-01-05T00:00:00.5+02:00', 1, '2024-01-04T23:59:59.500000+02:00'],
  ['2024-01-05T00:00:00.123456789-0500', 1, '2024-01-04T23:59:59.123456-0500'],
  ['1969-12-31T23:59:59.250Z', 0.5, '1969-12-31T23:59:58.750000Z'],
  ['2024-01-05 00:30:00', 3600, '2024-01-04 23:30:00'],
]

/** What dlt does not take. */
const more: readonly (readonly [value: JsonValue, lag: number, back: JsonValue])[] = [
  ['1700000000', 60, '1699999940'],
  ['00100', 1, '00099'],
  ['5', 6, '-1'],
  ['1512085950.000216', 3600, '1512082350.000216'],
  ['0.5', 1, '-0.5'],
  ['1.5', 0.26, '1.2'],
  ['-1.05', 0.01, '-1.06'],
  ['Mon, 01 Jan 2024 00:00:30 GMT', 60, 'Sun, 31 Dec 2023 23:59:30 GMT'],
  ['Mon, 01 Jan 2024 00:00:30 +0000', 0.5, 'Mon, 01 Jan 2024 00:00:29 +0000'],
  ['2024-01-01t00:00:00,5z', 1, '2023-12-31t23:59:59,500000z'],
  ['2024-01-01 00:00:00 UTC', 1, '2023-12-31 23:59:59 UTC'],
]

/** What dlt 1.31 gives where the initial value declares another kind of time than the API sends. */
const declared: readonly (readonly [
  initial: string,
  lag: number,
  value: string,
  func: 'max' | 'min',
  moved: string,
])[] = [
  ['2024-01-01', 2, '2024-01-04T10:30:00Z', 'max', '2024-01-02T00:00:00Z'],
  ['2024-01-01', 1, '2024-01-04T01:30:00+05:00', 'max', '2024-01-02T05:00:00+05:00'],
  ['2024-01-20', 2, '2024-01-16T10:30:00Z', 'min', '2024-01-18T23:59:59Z'],
  ['2024-01-20', 2, '2024-01-16T10:30:00.5Z', 'min', '2024-01-18T23:59:59.999999Z'],
  ['20240101', 1, '2024-01-04 01:30:00', 'max', '2024-01-03 00:00:00'],
  ['2024-01-01', 1, '1969-12-31T10:30:00Z', 'max', '1969-12-30T00:00:00Z'],
  ['2024-01-01', 1, 'Wed, 03 Jan 2024 10:30:00 GMT', 'max', 'Tue, 02 Jan 2024 00:00:00 GMT'],
  ['2024-01-01T00:00:00Z', 86_400, '2024-01-04', 'max', '2024-01-03'],
  ['2024-01-01T00:00:00Z', 3600, '2024-01-04', 'max', '2024-01-03'],
  ['2024-01-01T00:00:00Z', 60, '2024-01-04T10:30:00Z', 'max', '2024-01-04T10:29:00Z'],
]

describe('lag', () => {
  it.each(declared)('declared by %s, moves by %s from %s (%s)', (initial, lag, value, func, expected) => {
    const direction = func === 'max' ? 'back' : 'forward'
    expect(shiftCursor(value, lag, direction, 'incremental', lagUnit(initial))).toBe(expected)
  })

  it.each([5, '5', 'abc', null, undefined])('has no unit by %s', initial => {
    expect(lagUnit(initial)).toBeUndefined()
  })

  it.each(more)('moves %s back by %s, beyond dlt', (value, lag, back) => {
    expect(shiftCursor(value, lag, 'back', 'incremental')).toEqual(back)
  })

  it('never moves a time into the window by its nanoseconds', () => {
    expect(shiftCursor('2024-01-01T00:00:00.123456789Z', 1, 'forward', 'i')).toBe('2024-01-01T00:00:01.123457Z')
    expect(shiftCursor('2024-01-01T00:00:00.123456789Z', 1, 'back', 'i')).toBe('2023-12-31T23:59:59.123456Z')
  })

  it.each(moved)('moves %s back by %s', (value, lag, back) => {
    expect(shiftCursor(value, lag, 'back', 'incremental')).toEqual(back)
  })

  it('moves forward for min', () => {
    expect(shiftCursor('2024-02-28', 1, 'forward', 'incremental')).toBe('2024-02-29')
  })

  it.each(['abc', true, null])('refuses %s and names the key', value => {
    expect(() => shiftCursor(value, 1, 'back', 'resources[0].endpoint.incremental')).toThrow(
      /^resources\[0\]\.endpoint\.incremental\.lag: .*neither a number nor an ISO date/,
    )
  })
})
