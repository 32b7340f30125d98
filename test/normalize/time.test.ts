import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  detectIso,
  epochMicros,
  formatDate,
  formatTime,
  formatTimestamp,
  instantMicros,
  isoDateDays,
  isoMicros,
  isoMicrosAt,
  isoTimeMicros,
  isoTimestampMicros,
  parseIso,
  parseTimestamp,
} from '../../src/normalize/time.js'
import golden from '../golden/iso_detection.json' with { type: 'json' }

const encoder = new TextEncoder()

/** Through the bytes of a longer buffer, as a value within a page is. */
function microsOfBytes(text: string): bigint | undefined {
  const bytes = encoder.encode(`x1${text}0Z`)
  if (!isoMicrosAt(bytes, 2, bytes.length - 2)) return undefined
  return (BigInt(isoMicros[1]!) << 32n) | BigInt(isoMicros[0]! >>> 0)
}

describe('ISO detection', () => {
  it.each(golden.vectors)('$in', ({ in: text, iso_timestamp, iso_date, parsed }) => {
    const kind = detectIso(text)
    expect(kind === 'timestamp').toBe(iso_timestamp)
    expect(kind === 'date').toBe(iso_date)
    if (parsed.iso === undefined) {
      expect(isoTimestampMicros(text)).toBeUndefined()
      expect(microsOfBytes(text)).toBeUndefined()
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
      expect(microsOfBytes(text)).toBe(isoTimestampMicros(text))
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
    for (const micros of [isoTimestampMicros(text), microsOfBytes(text)]) {
      expect(micros === undefined ? undefined : formatTimestamp(micros)).toBe(iso)
    }
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

describe('isoMicrosAt', () => {
  const digits = (length: number) => fc.stringMatching(new RegExp(`^[0-9]{${length}}$`))
  const number = (max: number, width: number) => fc.nat(max).map(value => String(value).padStart(width, '0'))
  const timestamp = fc
    .tuple(
      digits(4),
      fc.constantFrom('-', '-', '-', '', '/'),
      number(13, 2),
      number(32, 2),
      fc.constantFrom('T', 'T', ' ', 't', ''),
      number(25, 2),
      fc.constantFrom(':', ':', ':', ''),
      number(61, 2),
      number(61, 2),
      fc.oneof(
        fc.constant(''),
        digits(3).map(text => `.${text}`),
        fc.stringMatching(/^[.,][0-9]{0,12}$/),
      ),
      fc.oneof(fc.constantFrom('', 'Z', 'z', '+', '+02', '-0330', '+05:30', '+5:30', '+24:00', '-25:00'), fc.string()),
    )
    .map(([year, dash, month, day, t, hour, colon, minute, second, fraction, zone]) =>
      [year, dash, month, dash, day, t, hour, colon, minute, colon, second, fraction, zone].join(''),
    )

  it('reads bytes as isoTimestampMicros reads texts', () => {
    fc.assert(
      fc.property(fc.oneof(timestamp, fc.stringMatching(/^[0-9]{1,4}[-0-9T:Z.,+ |/W]{0,26}$/)), text => {
        expect(microsOfBytes(text)).toBe(isoTimestampMicros(text))
      }),
      { numRuns: 20_000 },
    )
  })

  it('reads what Date reads', () => {
    const first = Date.UTC(2000, 0, 1) - 1999 * 365.2425 * 86_400_000
    fc.assert(
      fc.property(
        fc.date({ min: new Date(first + 86_400_000 * 2), max: new Date('9999-12-31'), noInvalidDate: true }),
        date => {
          expect(microsOfBytes(date.toISOString())).toBe(BigInt(date.getTime()) * 1000n)
          expect(formatTimestamp(BigInt(date.getTime()) * 1000n).slice(0, 19)).toBe(date.toISOString().slice(0, 19))
        },
      ),
    )
  })

  it('needs time in proportion to the length of a text', () => {
    const bytes = encoder.encode(`2024-01-01T00:00:00.${'1'.repeat(300_000)}x`)
    expect(isoMicrosAt(bytes, 0, bytes.length)).toBe(false)
    expect(isoMicrosAt(bytes, 0, bytes.length - 1)).toBe(true)
  })
})

describe('formats', () => {
  it('reads back what it writes', () => {
    const micros = fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n })
    fc.assert(
      fc.property(micros, value => {
        expect(isoTimestampMicros(formatTimestamp(value))).toBe(value)
        expect(microsOfBytes(formatTimestamp(value, { timezone: false }))).toBe(value)
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
