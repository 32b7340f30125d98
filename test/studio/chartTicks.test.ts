import { describe, expect, it } from 'vitest'
import { amountTicks, timeTicks } from '../../src/studio/page/charts/chartTicks.js'

const NOON_S = Date.UTC(2024, 1, 3, 12) / 1_000

describe('what stands at the axes', () => {
  it.each([0.001, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 3_600, 86_400])(
    'tells ticks apart that lie %s seconds from each other',
    stepS => {
      const labels = timeTicks(
        Array.from({ length: 8 }, (_, index) => NOON_S + index * stepS),
        stepS,
      )
      expect(new Set(labels).size, labels.join(' | ')).toBe(labels.length)
    },
  )

  it('says the day where it changes', () => {
    const labels = timeTicks([NOON_S, NOON_S + 0.5, NOON_S + 1], 0.5)
    expect(labels.map(label => label.replace(/^\d\d:\d\d:/, ''))).toEqual(['00.0\n2024-02-03', '00.5', '01.0'])
  })

  it.each([
    [[0, 600, 1_200], { areWhole: true }, ['0', '600', '1,200']],
    // A load of one row: parts of a row are none.
    [[0, 0.5, 1], { areWhole: true }, ['0', '', '1']],
    [[0, 1_250_000, 2_500_000], { areWhole: true }, ['0', '1.25M', '2.5M']],
    [[0, 250_000_000_000], { areWhole: true }, ['0', '250B']],
    [[0, 0.25, 0.1 + 0.2], { unit: ' s' }, ['0 s', '0.25 s', '0.3 s']],
  ] as const)('writes amounts as everywhere: %j', (ticks, options, labels) => {
    expect(amountTicks(ticks, options)).toEqual(labels)
  })
})
