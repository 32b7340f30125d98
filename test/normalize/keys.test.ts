import { describe, expect, it } from 'vitest'
import fc from '../properties.js'
import { load } from './harness.js'

/** A key of several vectors. */
const LONG = 124

/** Keys of every length, many of which begin or end alike, two with escapes, one of another script. */
const KEYS = [
  ...Array.from({ length: 12 }, (_, index) => `column_${index}`),
  ...Array.from({ length: 12 }, (_, index) => `${index}_column`),
  ...Array.from({ length: LONG + 6 }, (_, length) => `k${'x'.repeat(length)}`),
  'a',
  'b',
  'ab',
  'abc',
  'abcd',
  'tab\t',
  'back\\slash',
  'größe',
]

const places = fc.subarray([...KEYS.keys()], { maxLength: 60 })

/** Records of some of the keys, in the order of the list, or each in an order of its own. */
const records = fc.oneof(
  fc.array(places, { minLength: 1, maxLength: 40 }),
  fc.array(
    places.chain(chosen => fc.shuffledSubarray(chosen, { minLength: chosen.length })),
    { minLength: 1, maxLength: 40 },
  ),
)

describe('keys of sparse records', () => {
  it('lead to their column, whichever are absent and in whatever order they come', () => {
    fc.assert(
      fc.property(records, fc.boolean(), (chosen, spaced) => {
        const objects = chosen.map((some, row) =>
          Object.fromEntries(some.map(place => [KEYS[place], row * 1000 + place])),
        )
        const text = JSON.stringify(objects, undefined, spaced ? 1 : undefined)
        const { tables } = load([text])
        const rows = tables.get('items') ?? []
        expect(rows.length).toBe(chosen.length)
        for (const [row, some] of chosen.entries()) {
          const values = Object.entries(rows[row] ?? {})
            .filter(([name, value]) => !name.startsWith('_dlt') && value !== null && value !== undefined)
            .map(([, value]) => Number(value))
          expect(values.sort((a, b) => a - b)).toEqual(some.map(place => row * 1000 + place).sort((a, b) => a - b))
        }
      }),
      { numRuns: 100 },
    )
  })

  it('are refused as malformed wherever the page is cut off', () => {
    const object = JSON.stringify(
      Object.fromEntries(['a', 'ab', 'abc', 'k'.repeat(LONG - 1), 'z'.repeat(150)].map(key => [key, 1])),
    )
    const whole = `[${object},${object}]`
    for (let length = 1 + object.length; length < whole.length; length++) {
      expect(() => load([whole.slice(0, length)])).toThrow(/JSON/)
    }
  })

  it('are tried without reading behind the memory of a page that fills it', () => {
    const object = JSON.stringify({ a: 1, ['k'.repeat(LONG - 1)]: 1 })
    const begun = `[${object},`
    // Pages have memory of this size, or of the next power of two.
    const memory = 65_536
    for (let length = memory - 2 * LONG; length <= memory; length++) {
      const page = `${begun}${' '.repeat(length - begun.length - 2)}{"`
      expect(() => load([page])).toThrow(/JSON/)
    }
  })
})
