import { describe, expect, test } from 'vitest'
import { nextLoadId } from '../../src/model/loadId.js'
import fc from '../properties.js'

describe('nextLoadId', () => {
  test.each([
    [1_795_189_125_770, undefined, 0.9193, '1795189125.770919'],
    [1_795_189_125_770, undefined, 0, '1795189125.77'],
    [1_795_189_125_000, undefined, 0, '1795189125.0'],
    [1_795_189_125_000, '1795189125.7709193', 0, '1795189125.77092'],
    [1_795_189_125_000, '1795189125.999999', 0, '1795189126.0'],
    [1_795_189_126_000, '1795189125.999999', 0.5, '1795189126.0005'],
  ])('%d after %s with chance %d is %s', (now, last, chance, expected) => {
    expect(nextLoadId(now, last, chance)).toBe(expected)
  })

  const second = fc.integer({ min: 1_000_000_000, max: 2 ** 33 - 2 })
  // As Python prints a float: up to seven decimals, at least one.
  const previous = fc
    .tuple(second, fc.integer({ min: 0, max: 9_999_999 }))
    .map(([seconds, ticks]) => String(seconds + ticks / 1e7))
    .map(text => (text.includes('.') ? text : `${text}.0`))

  test('grows as text and as a number, whatever the clock does', () => {
    fc.assert(
      fc.property(second, previous, fc.double({ min: 0, max: 0.999, noNaN: true }), (seconds, last, chance) => {
        const next = nextLoadId(seconds * 1000 + 7, last, chance)
        expect(next > last).toBe(true)
        expect(Number(next)).toBeGreaterThan(Number(last))
        expect(next).toMatch(/^\d{10}\.(0|\d{0,5}[1-9])$/)
      }),
    )
  })
})
