import { describe, expect, it } from 'vitest'
import type { JsonValue } from '../../src/json/value.js'
import { compareRanks, cursorRank, isDoubtfulOrder } from '../../src/model/cursors/cursorOrder.js'
import { parseInstant } from '../../src/model/cursors/instant.js'

const ofNewYear = { seconds: 1_704_067_200, fraction: '' }

describe('instants', () => {
  it.each([
    '2024-01-01',
    '2024-01',
    '2024/01/01 00:00',
    '2024-01-01T00:00',
    '2024-01-01 00:00:00',
    '2024-01-01T00:00:00.000Z',
    '2024-01-01t00:00:00,0z',
    '2024-01-01T00:00:00+00:00',
    '2024-01-01T02:00:00+0200',
    '2023-12-31T19:00:00-05',
    '2023-12-31T24:00:00Z',
    '2023-12-31T23:59:60Z',
    '20240101T000000Z',
    '2024-01-01 00:00:00 UTC',
    '2024-01-01 02:00:00 +0200 CEST',
    '2024-01-01T01:00:00+01:00[Europe/Berlin]',
    'Mon, 01 Jan 2024 00:00:00 GMT',
    'Mon, 1 Jan 2024 02:00:00 +0200',
    '1 January 2024 00:00 UT',
    'Sun, 31 Dec 2023 19:00:00 EST (New York)',
    'Monday, 01-Jan-24 00:00:00 GMT',
    'Mon Jan  1 00:00:00 2024',
    'Mon Jan 01 02:00:00 +0200 2024',
    'Mon Jan 01 2024 01:00:00 GMT+0100 (Central European Standard Time)',
    '/Date(1704067200000)/',
    '/Date(1704067200000+0100)/',
  ])('%s is one', text => {
    expect(parseInstant(text)).toEqual(ofNewYear)
  })

  it.each([
    ['2024-01-01T00:00:00.123456789Z', '123456789'],
    ['2024-01-01T00:00:00.1200', '12'],
    ['/Date(1704067200050)/', '05'],
  ])('%s keeps its fraction', (text, fraction) => {
    expect(parseInstant(text)).toEqual({ ...ofNewYear, fraction })
  })

  it.each(['-1 day', '0099-12-31', '1969-12-31T23:59:59.5Z', '/Date(-1)/'])('%s is before 1970 or none', text => {
    expect(parseInstant(text)?.seconds ?? -1).toBeLessThan(0)
  })

  it.each([
    '',
    '2024',
    '01/02/2024',
    '1.2.2024',
    '2024-02-30',
    '2024-13-01',
    '2024-01-01T25:00:00Z',
    '2024-01-01T00:61:00Z',
    '2024-01-01 00:00:00 CET',
    '5 janvier 2024',
    'Jan 5, 2024',
    'Mon, 01 Foo 2024 00:00:00 GMT',
    '10:00:00',
    'abc',
  ])('%j is none', text => {
    expect(parseInstant(text)).toBeUndefined()
  })
})

describe('the order of cursors', () => {
  const order = (a: JsonValue, b: JsonValue, literals: readonly [string?, string?] = []): number | undefined => {
    const result = compareRanks(cursorRank(a, literals[0]), cursorRank(b, literals[1]))
    return result === undefined ? undefined : Math.sign(result)
  }

  it.each<[JsonValue, JsonValue]>([
    ['2024-01-01T00:00:00Z', '2024-01-01T00:00:00.500Z'],
    ['2024-01-01T00:00:00.5Z', '2024-01-01T00:00:00.500000001Z'],
    ['2024-10-27T02:30:00+02:00', '2024-10-27T02:10:00+01:00'],
    ['Fri, 29 Dec 2023 00:00:00 GMT', 'Mon, 01 Jan 2024 00:00:00 GMT'],
    ['2024-01-01', '2024-01-01T00:00:01Z'],
    ['20240101', '2024-01-01T00:00:01Z'],
    ['2024-01-01 10:00:00', '2024-01-01T09:00:00-02:00'],
    ['9', '10'],
    [9, '10'],
    ['1700000000', 1_700_000_001],
    ['-10', '-9'],
    ['007', '8'],
    [2 ** 53 - 1, 2n ** 53n],
    [2n ** 64n, 2n ** 64n + 1n],
    ['18446744073709551616', 2n ** 64n + 1n],
    ['0.10000000000000000001', '0.10000000000000000002'],
    [false, true],
    ['a', 'b'],
    ['\uffff', '\u{10000}'],
  ])('%s is before %s', (a, b) => {
    expect([order(a, b), order(b, a)]).toEqual([-1, 1])
  })

  it.each<[JsonValue, JsonValue]>([
    ['2024-01-01T00:00:00Z', '2024-01-01T00:00:00.000+00:00'],
    ['2024-01-01', 'Mon, 01 Jan 2024 00:00:00 GMT'],
    ['10', 10],
    ['1.50', '1.5'],
    ['0010', '10'],
    ['-0', 0],
    [10, 10n],
  ])('%s is %s', (a, b) => {
    expect([order(a, b), order(b, a)]).toEqual([0, 0])
  })

  it('takes every digit that a number was written with', () => {
    const [a, b] = ['1704067200.12345678901', '1704067200.12345678902'] as const
    expect(Number(a)).toBe(Number(b))
    expect(order(Number(a), Number(b), [a, b])).toBe(-1)
    expect(order(1e300, 1e300, ['1e300', `1${'0'.repeat(299)}1`])).toBe(-1)
    expect(order(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, ['1e400', '1e999999999'])).toBe(-1)
    expect(order(-1e-7, -1e-7, ['-1e-7', '-0.00000010'])).toBe(0)
  })

  it.each<[JsonValue, JsonValue]>([
    [1, 'a'],
    [1, '2024-01-01'],
    [true, 1],
    [{}, 1],
  ])('%j and %j have none', (a, b) => {
    expect(order(a, b)).toBeUndefined()
  })
})

describe('an order of numbers', () => {
  it.each([
    [1_700_000_000, 1_700_000_000_500, true],
    ['1700000000', 1_700_000_000_500, true],
    [1_700_000_000_500, 1_700_000_000_500_000, true],
    [1_700_000_000, 1_700_000_001.5, false],
    [0, 1_700_000_000, false],
    [999, 1_700_000_000_500, false],
    [7, 12_345_678_901, false],
  ] as const)('%j beside %j: in doubt %j', (a, b, expected) => {
    expect(isDoubtfulOrder(cursorRank(a), cursorRank(b))).toBe(expected)
    expect(isDoubtfulOrder(cursorRank(b), cursorRank(a))).toBe(expected)
  })
})

describe('an order of texts', () => {
  const doubtful = (a: string, b: string): boolean => isDoubtfulOrder(cursorRank(a), cursorRank(b))

  it.each([
    ['02/01/2024', '01/02/2024'],
    ['25.12.2023', '1.1.2024'],
    ['5 janvier 2024', '6 février 2024'],
    ['Montag, 1. Januar 2024', '2. Januar 2024'],
    ['Jan 5, 2024', 'Feb 1, 2024'],
    ['2024-01-01 10:00:00 CET', '2024-01-01 11:00:00 CET'],
    ['10:05 PM', '11:05 PM'],
    ['2024年1月5日', '2024年10月5日'],
    ['٢٠٢٤-٠١-٠١', '٢٠٢٤-٠١-٠٢'],
    ['2024-01-01', 'yesterday'],
    ['1704067200', '2024-01-01T00:00:00Z'],
    ['v9', 'v10'],
  ])('%j beside %j is in doubt', (a, b) => {
    expect([doubtful(a, b), doubtful(b, a)]).toEqual([true, true])
  })

  it.each([
    ['2024-01-01', '2024-01-01T00:00:00Z'],
    ['20240101', '2024-01-02T00:00:00Z'],
    ['9', '10'],
    ['a', 'b'],
    ['01ARZ3NDEKTSV4RRFFQ69G5FAV', '01ARZ3NDEKTSV4RRFFQ69G5FB0'],
    ['0190a9f2-0000-7000-8000-000000000000', '0190a10b-0000-7000-8000-000000000000'],
    ['item-009', 'item-010'],
    ['02/01/2024', '02/01/2024'],
  ])('%j beside %j is not', (a, b) => {
    expect([doubtful(a, b), doubtful(b, a)]).toEqual([false, false])
  })
})
