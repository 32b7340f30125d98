import { describe, expect, it } from 'vitest'
import { coerce } from '../../src/normalize/exact/coerce.js'
import golden from '../golden/iso_detection.json' with { type: 'json' }
import fc from '../properties.js'
import { openLoad } from './harness.js'

const { normalizer } = openLoad({ hints: { columns: [{ name: 'at', data_type: 'timestamp' }] } })
normalizer.write('items', Buffer.from('[{"at":"2024-01-01T00:00:00Z"}]'))
normalizer.take(true)

/** Microseconds of a text in a column of timestamps, from the bytes of a page; undefined where it is none. */
function microsOfPage(text: string): bigint | undefined {
  normalizer.write('items', Buffer.from(JSON.stringify([{ at: text }])))
  const column = normalizer.take(true)[0]?.columns.find(({ name }) => name === 'at')
  return column === undefined ? undefined : Buffer.from(column.values).readBigInt64LE()
}

function micros(text: string): unknown {
  return coerce({ kind: 'text', text }, 'timestamp')
}

describe('timestamps of pages', () => {
  const digits = (length: number) => fc.stringMatching(new RegExp(`^[0-9]{${length}}$`))
  const number = (max: number, width: number) => fc.nat(max).map(value => String(value).padStart(width, '0'))
  const usual = <T>(value: T, ...others: T[]) =>
    fc.oneof({ weight: 9, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: fc.constantFrom(...others) })
  const timestamp = fc
    .tuple(
      fc.oneof(digits(4), fc.constantFrom('0000', '0001', '1900', '2000', '2024', '9999')),
      usual('-', '', '/'),
      number(13, 2),
      number(32, 2),
      usual('T', ' ', 't', ''),
      number(25, 2),
      usual(':', '', '.'),
      number(61, 2),
      number(61, 2),
      fc.oneof(
        fc.constant(''),
        digits(3).map(text => `.${text}`),
        fc.stringMatching(/^[.,][0-9]{0,12}$/),
      ),
      fc.oneof(
        fc.constantFrom('', 'Z', 'z', '+', '+02', '-0330', '+05:30', '+5:30', '+23:59', '-23:59', '+24:00', '-25:00'),
        fc.string(),
      ),
    )
    .map(([year, dash, month, day, t, hour, colon, minute, second, fraction, zone]) =>
      [year, dash, month, dash, day, t, hour, colon, minute, colon, second, fraction, zone].join(''),
    )

  it('are those of the texts', () => {
    fc.assert(
      fc.property(fc.oneof(timestamp, fc.stringMatching(/^[0-9]{1,4}[-0-9T:Z.,+ |/W]{0,26}$/)), text => {
        expect(microsOfPage(text)).toBe(micros(text))
      }),
      { numRuns: 20_000 },
    )
  })

  it.each(golden.vectors.map(({ in: text }) => text))('%j', text => {
    expect(microsOfPage(text)).toBe(micros(text))
  })

  it.each([
    ['0001-01-01T00:00:00+00:01', undefined],
    ['0001-01-01T00:00:00-00:01', -62_135_596_740_000_000n],
    ['9999-12-31T23:59:59.999999-00:01', undefined],
    ['9999-12-31T23:59:59.999999+00:01', 253_402_300_739_999_999n],
    ['1969-12-31T23:59:59.9999999Z', -1n],
    [`2024-01-01T00:00:00.${'1'.repeat(300_000)}`, 1_704_067_200_111_111n],
    [`2024-01-01T00:00:00.${'1'.repeat(300_000)}x`, undefined],
  ])('%.40s', (text, expected) => {
    expect(microsOfPage(text)).toBe(expected)
  })

  it.each(['2024-01-01T00:00:00+24:00', '0001-01-01T00:00:00+00:01'])(
    '%s is a text where it is the first of its column',
    text => {
      const { normalizer: fresh, schema } = openLoad({ hints: { columns: [{ name: 'at', data_type: 'timestamp' }] } })
      fresh.write('items', Buffer.from(JSON.stringify([{ at: text, seen: text }])))
      const types = (fresh.take(true)[0]?.columns ?? []).map(({ name, dataType }) => [name, dataType])
      expect(types).toEqual(
        expect.arrayContaining([
          ['at__v_text', 'text'],
          ['seen', 'text'],
        ]),
      )
      expect(schema.tables.get('items')?.columns.get('at')?.data_type).toBe('timestamp')
    },
  )

  it('are those of Date', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }),
        date => {
          expect(microsOfPage(date.toISOString())).toBe(BigInt(date.getTime()) * 1000n)
        },
      ),
    )
  })
})
