import { describe, expect, it } from 'vitest'
import {
  detectIso,
  epochMicros,
  formatDate,
  formatTime,
  formatTimestamp,
  instantMicros,
  isoDateDays,
  isoTimeMicros,
  isoTimestampMicros,
  parseIso,
  parseTimestamp,
} from '../../src/normalize/exact/isoText.js'
import golden from '../golden/iso_detection.json' with { type: 'json' }
import fc from '../properties.js'

describe('ISO detection', () => {
  it.each(golden.vectors)('$in', ({ in: text, iso_timestamp, iso_date, parsed }) => {
    const kind = detectIso(text)
    expect(kind === 'timestamp').toBe(iso_timestamp)
    expect(kind === 'date').toBe(iso_date)
    if (parsed.iso === undefined) {
      expect(isoTimestampMicros(text)).toBeUndefined()
      return
    }
    if (parsed.kind === 'Date') expect(formatDate(isoDateDays(text)!)).toBe(parsed.iso)
    if (parsed.kind === 'Time') expect(formatTime(isoTimeMicros(text)!)).toBe(parsed.iso)
    if (parsed.kind === 'DateTime') {
      const written = parsed.iso.replace(/[+-]\d\d:\d\d$/, '')
      const value = parseIso(text)
      if (value?.kind !== 'timestamp') throw new Error('not a timestamp')
      expect(formatTimestamp(instantMicros({ ...value, offsetSeconds: 0 })!, { timezone: false })).toBe(written)
      expect(value.offsetSeconds !== undefined).toBe(written !== parsed.iso)
    }
  })

  it.each([
    ['2024-W53-1', undefined],
    ['2020-W53-7', '2021-01-03'],
    ['2024-W00-1', undefined],
    ['2024-W01-0', undefined],
    ['2024-W01-8', undefined],
    ['9999-W52-7', undefined],
    ['2024-000', undefined],
    ['2023-365', '2023-12-31'],
    ['2024-02-29', '2024-02-29'],
    ['1900-02-29', undefined],
    ['2000-02-29', '2000-02-29'],
    ['0000-01-01', undefined],
    ['2024-1', undefined],
    ['2024-0101', undefined],
  ])('date %s', (text, date) => {
    const days = isoDateDays(text)
    expect(days === undefined ? undefined : formatDate(days)).toBe(date)
  })

  it.each([
    ['2024-01-01T00:00:00+02:00', '2023-12-31T22:00:00+00:00'],
    ['2024-01-01T00:00:00-0230', '2024-01-01T02:30:00+00:00'],
    ['2024-01-01T00:00:00+23:59', '2023-12-31T00:01:00+00:00'],
    ['2024-01-01T00:00:00+02:5', undefined],
    ['2024-01-01T00:00:00.Z', undefined],
    ['0001-01-01T00:00:00+00:01', undefined],
    ['9999-12-31T23:59:59.999999-00:01', undefined],
    ['0001-01-01T00:00:00-00:01', '0001-01-01T00:01:00+00:00'],
    ['1969-12-31T23:59:59.999999Z', '1969-12-31T23:59:59.999999+00:00'],
    ['2024-01-01T10:00:00 ', undefined],
    ['2024-01-01T10:00', '2024-01-01T10:00:00+00:00'],
    ['2024-01-01', undefined],
    ['2024 1:2', '2024-01-01T01:02:00+00:00'],
    ['2024:01:01 10:30:15|5', '2024-01-01T10:30:15.500000+00:00'],
    ['20240101T101112,25Z', '2024-01-01T10:11:12.250000+00:00'],
  ])('instant of %s', (text, iso) => {
    const micros = isoTimestampMicros(text)
    expect(micros === undefined ? undefined : formatTimestamp(micros)).toBe(iso)
  })
})

describe('parseTimestamp', () => {
  it.each([
    ['2024-01-02', 1_704_153_600_000_000n, false],
    ['2024-01-02T00:00:00', 1_704_153_600_000_000n, false],
    ['2024-01-02T01:00:00+01:00', 1_704_153_600_000_000n, true],
  ])('%s', (text, micros, aware) => {
    expect(parseTimestamp(text)).toEqual({ micros, aware })
  })

  it.each(['', '10:00', '2024-01-02T00:00:00-24:00', 'soon'])('refuses %j', text => {
    expect(parseTimestamp(text)).toBeUndefined()
  })
})

describe('formats', () => {
  it('reads back what it writes', () => {
    const micros = fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n })
    fc.assert(
      fc.property(micros, value => {
        expect(isoTimestampMicros(formatTimestamp(value))).toBe(value)
        expect(isoTimestampMicros(formatTimestamp(value, { timezone: false }))).toBe(value)
      }),
    )
  })

  it.each([
    [0, '1970-01-01T00:00:00+00:00'],
    [1704067200.25, '2024-01-01T00:00:00.250000+00:00'],
    [-1, '1969-12-31T23:59:59+00:00'],
    [-0.5, '1969-12-31T23:59:59.500000+00:00'],
    [1e-7, '1970-01-01T00:00:00+00:00'],
    [0.0000005, '1970-01-01T00:00:00+00:00'],
    [0.0000015, '1970-01-01T00:00:00.000002+00:00'],
    [253402300799, '9999-12-31T23:59:59+00:00'],
    [253402300800, undefined],
    [-62135596801, undefined],
    [Number.NaN, undefined],
  ])('epoch %d', (seconds, iso) => {
    const micros = epochMicros(seconds)
    expect(micros === undefined ? undefined : formatTimestamp(micros)).toBe(iso)
  })
})
