import { describe, expect, it } from 'vitest'
import { runSchedule } from './simulation/schedule.js'

/**
 * The real pipeline over a simulated network, clock and destination. One number decides a schedule: what is loaded and
 * how, which requests fail and how, where runs are cut off, when the destination fails. `SLUICE_SCHEDULES` says how many
 * (100), `SLUICE_SEED` replays a single one.
 */
const replayed = process.env.SLUICE_SEED
const schedules = Number(process.env.SLUICE_SCHEDULES ?? 100)

describe('simulated weeks', () => {
  if (replayed !== undefined) {
    it(`seed ${replayed}`, async () => {
      await runSchedule(Number(replayed))
    })
    return
  }
  it(`${schedules} schedules lose no row, load none twice and keep cursors behind their rows`, {
    timeout: 60_000 + schedules * 200,
  }, async () => {
    const reasons = new Map<string, number>()
    let resumedPages = 0
    for (let seed = 1; seed <= schedules; seed++) {
      const passed = await runSchedule(seed).catch((error: Error) => {
        error.message = `SLUICE_SEED=${seed} replays this: ${error.message}`
        throw error
      })
      resumedPages += passed.resumedPages
      for (const reason of passed.failures) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    }
    // A simulation in which nothing happens proves nothing.
    expect(resumedPages).toBeGreaterThan(schedules)
    for (const reason of ['crash', 'connection', 'response_format', 'http_status', 'destination', 'incomplete']) {
      expect(reasons.get(reason) ?? 0, `runs that ended with ${reason}`).toBeGreaterThan(0)
    }
  })
})
