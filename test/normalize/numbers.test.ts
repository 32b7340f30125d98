import { expect, it } from 'vitest'
import type { ColumnBatch } from '../../src/model/batch.js'
import fc from '../properties.js'
import { openLoad } from './harness.js'

const { normalizer } = openLoad({
  hints: {
    columns: [
      { name: 'double', data_type: 'double' },
      { name: 'integer', data_type: 'bigint' },
    ],
  },
})
normalizer.write('items', Buffer.from('[{"double":1.5,"integer":1}]'))
normalizer.take(true)

const digits = (max: number) => fc.stringMatching(new RegExp(`^[0-9]{0,${max}}$`))
const whole = fc.oneof(
  fc.constant('0'),
  fc.tuple(fc.integer({ min: 1, max: 9 }), fc.oneof(digits(9), digits(25))).map(([first, rest]) => `${first}${rest}`),
)
const fraction = fc.oneof(
  fc.constant(''),
  fc.tuple(fc.nat(9), fc.oneof(digits(8), digits(25))).map(([first, rest]) => `.${first}${rest}`),
)
const exponent = fc.oneof(
  fc.constant(''),
  fc
    .tuple(fc.constantFrom('e', 'E'), fc.constantFrom('', '+', '-'), fc.oneof(fc.nat(30), fc.nat(340)))
    .map(parts => parts.join('')),
)
const number = fc
  .tuple(fc.constantFrom('', '-'), whole, fraction, exponent)
  .map(parts => parts.join(''))
  .filter(literal => Number.isFinite(Number(literal)))

const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -(10n ** 6n), max: 10n ** 6n }),
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 10n ** 18n, -(10n ** 18n), 0n),
)

function valuesOf(batch: ColumnBatch | undefined, name: string): Buffer {
  return Buffer.from(batch?.columns.find(column => column.name === name)?.values ?? [])
}

it('numbers are the doubles and integers that JavaScript makes of their texts', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(number, int64), { minLength: 1, maxLength: 20 }), numbers => {
      const records = numbers.map(([double, integer]) => `{"double":${double},"integer":${integer}}`)
      normalizer.write('items', Buffer.from(`[${records.join(',')}]`))
      const [batch] = normalizer.take(true)
      const [doubles, integers] = [valuesOf(batch, 'double'), valuesOf(batch, 'integer')]
      for (const [row, [double, integer]] of numbers.entries()) {
        // An integer has no negative zero.
        const expected = /^-?0$/.test(double) ? 0 : Number(double)
        expect([doubles.readDoubleLE(row * 8), double]).toEqual([expected, double])
        expect(integers.readBigInt64LE(row * 8)).toBe(integer)
      }
    }),
    { numRuns: 2000 },
  )
})
