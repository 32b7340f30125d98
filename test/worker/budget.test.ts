import { describe, expect, it } from 'vitest'
import { nextTime } from '../../src/config/schedule.js'
import { ConfigError } from '../../src/model/errors.js'
import type { Clock } from '../../src/model/source.js'
import { systemClock } from '../../src/pipeline/clock.js'
import { leasedBudget, mostLateMs, nextLease, type Rate } from '../../src/worker/requestBudget.js'
import fc from '../properties.js'
import { seeded } from '../reliability/chance.js'

/** What happens at which time, for workers whose clocks differ. */
class Timeline {
  now = 0
  readonly #due: { readonly at: number; readonly go: () => void }[] = []

  at(at: number): Promise<void> {
    return new Promise(resolve => {
      this.#due.push({ at, go: resolve })
    })
  }

  /** The clock of one worker. Sleepers wake late by what `late` returns. */
  clock(aheadMs: number, late: () => number): Clock {
    return {
      now: () => this.now + aheadMs,
      sleep: ms => this.at(this.now + ms + late()),
      random: () => 0,
    }
  }

  async run(untilMs: number): Promise<void> {
    for (;;) {
      // All that was woken goes on until it waits again.
      await new Promise(resolve => setImmediate(resolve))
      this.#due.sort((one, other) => one.at - other.at)
      const next = this.#due.shift()
      if (next === undefined || next.at > untilMs) return
      this.now = Math.max(this.now, next.at)
      next.go()
    }
  }
}

interface Worker {
  /** Of its clock. */
  readonly aheadMs: number
  /** Most time that a call of the budget takes, and by which a sleeper wakes late. */
  readonly slowMs: number
  readonly lateMs: number
  readonly parallel: number
}

/** So many may start in each case, in so much time at least. Of a worker that often wakes too late, some are in time. */
const STARTS = 360
const SPAN_MS = 20_000

/** When requests started, if several workers ask for as many as they may for so long. */
async function startsOf(rate: Rate, workers: readonly Worker[], untilMs: number, chance: () => number) {
  const timeline = new Timeline()
  const starts: number[] = []
  const stopping: AbortController[] = []
  let free = 0
  for (const { aheadMs, slowMs, lateMs, parallel } of workers) {
    const budget = leasedBudget({
      async lease(_, asked) {
        await timeline.at(timeline.now + chance() * slowMs)
        const lease = nextLease(asked, free, timeline.now)
        free = timeline.now + lease.delayMs + lease.lengthMs
        await timeline.at(timeline.now + chance() * slowMs)
        return lease
      },
      pause: async () => {},
    })
    const gate = budget.gate('https://api.example.com', { ...rate, maxConcurrency: parallel })
    const clock = timeline.clock(aheadMs, () => chance() ** 3 * lateMs)
    const asking = async (): Promise<void> => {
      const asker = new AbortController()
      const { signal } = asker
      stopping.push(asker)
      while (timeline.now < untilMs) {
        const leave = await gate.enter({ clock, signal, concurrency: parallel, onWait() {}, onAllowed() {} })
        starts.push(timeline.now)
        leave(200, {})
        await timeline.at(timeline.now + chance() * 20)
      }
    }
    for (let one = 0; one < parallel; one++) void asking().catch(() => {})
  }
  await timeline.run(untilMs)
  for (const asker of stopping) asker.abort()
  return starts.sort((one, other) => one - other)
}

describe('leases of a rate limit', () => {
  it('never let more requests come in one period than the API allows, whatever is slow or late, and never stop', async () => {
    const rates = fc.record({ requests: fc.integer({ min: 1, max: 100 }), perMs: fc.constantFrom(100, 1_000, 60_000) })
    const worker = fc.record({
      aheadMs: fc.integer({ min: -5_000, max: 5_000 }),
      slowMs: fc.constantFrom(0, 5, 50, 400),
      lateMs: fc.constantFrom(0, 5, 50, 400),
      parallel: fc.integer({ min: 1, max: 8 }),
    })
    const workers = fc.array(worker, { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(rates, workers, fc.integer({ min: 1 }), async (rate, all, seed) => {
        const chance = seeded(seed)
        const untilMs = Math.max(SPAN_MS, rate.perMs * Math.ceil(STARTS / rate.requests))
        const starts = await startsOf(rate, all, untilMs, chance)
        // The way to the API takes a while too.
        const came = starts.map(at => at + chance() * mostLateMs(rate)).sort((one, other) => one - other)
        const spans = came.slice(rate.requests).map((at, index) => at - (came[index] ?? 0))
        for (const span of spans) expect(span).toBeGreaterThan(rate.perMs - 0.01)
        expect(starts.length).toBeGreaterThan(0)
      }),
      { numRuns: 30 },
    )
  })

  it('let at least 45 of 50 requests a second start for four workers', async () => {
    const busy = { slowMs: 5, lateMs: 5, parallel: 4 }
    const workers = [0, 700, -300, 40].map(aheadMs => ({ ...busy, aheadMs }))
    const starts = await startsOf({ requests: 50, perMs: 1_000 }, workers, 20_000, seeded(1))
    expect(starts.length / 20).toBeGreaterThanOrEqual(45)
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
