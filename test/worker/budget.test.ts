import { describe, expect, it } from 'vitest'
import { nextTime } from '../../src/config/schedule.js'
import { ConfigError } from '../../src/model/errors.js'
import { systemClock } from '../../src/pipeline/clock.js'
import { leasedBudget, nextLease } from '../../src/worker/requestBudget.js'
import fc from '../properties.js'

describe('leases of a rate limit', () => {
  it('never allow more starts in one period than the API allows, whoever asks and when', () => {
    const asks = fc.array(
      fc.record({ wanted: fc.integer({ min: 1, max: 200 }), afterMs: fc.integer({ min: 0, max: 3_000 }) }),
      {
        minLength: 1,
        maxLength: 60,
      },
    )
    const rates = fc.record({ requests: fc.integer({ min: 1, max: 100 }), perMs: fc.constantFrom(100, 1_000, 60_000) })
    fc.assert(
      fc.property(rates, asks, (rate, asked) => {
        const starts: number[] = []
        let [now, free] = [0, 0]
        for (const { wanted, afterMs } of asked) {
          now += afterMs
          const { delayMs, spacingMs, count } = nextLease({ wanted, ...rate }, free, now)
          for (let index = 0; index < count; index++) starts.push(now + delayMs + index * spacingMs)
          free = now + delayMs + count * spacingMs
        }
        for (const [index, start] of starts.entries()) {
          const behind = starts[index + rate.requests]
          if (behind !== undefined) expect(behind - start).toBeGreaterThanOrEqual(rate.perMs)
        }
      }),
    )
  })

  it('use more than nine tenths of the rate while somebody waits', () => {
    const rate = { requests: 50, perMs: 1_000 }
    let free = 0
    let starts = 0
    for (let now = 0; now < 60_000; now += 200) {
      while (free < now + 200) {
        const { delayMs, spacingMs, count } = nextLease({ wanted: 40, ...rate }, free, now)
        starts += count
        free = now + delayMs + count * spacingMs
      }
    }
    expect(starts / 60).toBeGreaterThan(45)
    expect(starts / 60).toBeLessThanOrEqual(50)
  })
})

describe('a shared rate limit', () => {
  it('that cannot be asked for fails a request as a lost connection does, which passes', async () => {
    const away = new ConfigError([{ place: { path: '--restate' }, message: 'no Restate server answers' }])
    const budget = leasedBudget({ lease: () => Promise.reject(away), pause: async () => {} })
    const { signal } = new AbortController()
    const entering = budget
      .gate('https://api.example.com', { requests: 10, perMs: 1_000 })
      .enter({ clock: systemClock, signal, concurrency: 1, onWait: () => {}, onAllowed: () => {} })
    await expect(entering).rejects.toMatchObject({
      code: 'connection',
      message: expect.stringMatching(/https:\/\/api\.example\.com.*no Restate server answers/s),
    })
  })
})

describe('a schedule', () => {
  const at = (text: string): number => Date.parse(text)
  it.each([
    ['0 * * * *', '2026-01-01T00:00:00Z', '2026-01-01T01:00:00Z'],
    ['15 3 * * *', '2026-01-01T03:15:00Z', '2026-01-02T03:15:00Z'],
    ['0 6 * * MON', '2026-01-01T00:00:00Z', '2026-01-05T06:00:00Z'],
    ['@daily', '2026-01-01T10:00:00Z', '2026-01-02T00:00:00Z'],
    ['CRON_TZ=Europe/Berlin 0 6 * * *', '2026-07-01T05:00:00Z', '2026-07-02T04:00:00Z'],
    // What falls into the hour that clocks repeat in autumn is due once, and each hour of them once.
    ['CRON_TZ=Europe/Berlin 30 2 * * *', '2026-10-25T00:30:00Z', '2026-10-26T01:30:00Z'],
    ['CRON_TZ=Europe/Berlin 30 * * * *', '2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z'],
    // What falls into the hour that clocks skip in spring is due right after it.
    ['CRON_TZ=Europe/Berlin 30 2 * * *', '2026-03-29T00:00:00Z', '2026-03-29T01:00:00Z'],
  ])('%s after %s is due at %s', (schedule, now, due) => {
    expect(nextTime(schedule, at(now))).toBe(at(due))
  })

  it.each(['* * * * * *', '0 0 6 * * * 2027', '2027-01-01T00:00:00', 'CRON_TZ=Mars/Base 0 6 * * *', '', '@reboot'])(
    '%j is refused: a schedule has five fields',
    schedule => {
      expect(() => nextTime(schedule, at('2026-01-01T00:00:00Z'))).toThrow()
    },
  )

  it('that is never due has no next time', () => {
    expect(nextTime('0 0 30 2 *', at('2026-01-01T00:00:00Z'))).toBeUndefined()
  })
})
