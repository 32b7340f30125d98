import fc from 'fast-check'
import { expect, it } from 'vitest'
import { restApi } from '../../src/index.js'
import { CoveredRanges, type ReadRange } from '../../src/pipeline/backfill/coveredRanges.js'
import { cursorReached } from '../../src/pipeline/backfill/cursorReached.js'
import { doOverlap, missingRanges } from '../../src/pipeline/backfill/ranges.js'

const incremental = { cursor_path: 'id', initial_value: 0, start_param: 'from', end_param: 'to' }
const source = restApi({
  client: { base_url: 'https://api.example.com' },
  resources: [{ name: 'events', endpoint: { incremental } }],
})
const hint = source.resources[0]!.incremental! // as given above
const MOST = 30

const window = fc
  .record({ start: fc.nat(MOST), width: fc.integer({ min: 1, max: 6 }), hasRecords: fc.boolean() })
  .map(({ start, width, hasRecords }): ReadRange => {
    const end = start + width
    return { start, end, cursor: hasRecords ? { last_value: end - 1, initial_value: 0, unique_hashes: [] } : undefined }
  })
const range = fc
  .record({ start: fc.nat(MOST), width: fc.integer({ min: 1, max: MOST }) })
  .map(({ start, width }) => ({ start, end: start + width }))

it('windows as ranges without gaps cover the same, and move the cursor to the same place', () => {
  fc.assert(
    fc.property(fc.array(window, { minLength: 1, maxLength: 12 }), range, fc.nat(MOST), (windows, asked, last) => {
      const covered = new CoveredRanges(hint)
      for (const one of windows) covered.add(one)
      const { all } = covered
      for (const [place, { start }] of all.entries()) {
        const before = all[place - 1]
        expect(before === undefined || Number(before.end) < Number(start)).toBe(true)
      }
      expect(missingRanges(asked, all, hint)).toEqual(missingRanges(asked, windows, hint))
      expect(covered.within(asked)).toEqual(all.filter(one => doOverlap(one, asked, hint)))
      expect(covered.within(asked).length > 0).toBe(windows.some(one => doOverlap(one, asked, hint)))
      for (const stored of [undefined, { last_value: last, initial_value: 0, unique_hashes: [] }])
        expect(cursorReached(hint, all, stored)).toEqual(cursorReached(hint, windows, stored))
    }),
  )
})

it('windows that follow one another are one range, in whichever order they come', () => {
  const covered = new CoveredRanges(hint)
  for (let place = 0; place < 2_000; place++) {
    const start = ((place * 7) % 2_000) * 10
    covered.add({ start, end: start + 10, cursor: undefined })
  }
  expect(covered.all).toEqual([{ start: 0, end: 20_000, cursor: undefined }])
})

it('partitions by values are covered one by one, in whichever order they come', () => {
  const cut = { by: 'values', path: 'resources[1].endpoint.partition', cursorPath: '(values)' } as const
  const key = fc.oneof(fc.constantFrom('a', '7', '2024-01-01', '2024-01-01T00:00:00Z'), fc.nat(9), fc.tuple(fc.nat(3)))
  const point = key.map(value => ({ start: value, end: value }))
  fc.assert(
    fc.property(fc.array(point, { maxLength: 12 }), point, (done, asked) => {
      const covered = new CoveredRanges(cut)
      for (const one of done) covered.add({ ...one, cursor: undefined })
      const texts = new Set(done.map(({ start }) => JSON.stringify(start)))
      const isDone = texts.has(JSON.stringify(asked.start))
      expect(covered.all).toHaveLength(texts.size)
      expect(covered.within(asked)).toHaveLength(isDone ? 1 : 0)
      expect(missingRanges(asked, covered.all, cut)).toEqual(isDone ? [] : [asked])
    }),
  )
})
