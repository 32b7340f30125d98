import { describe, expect, it } from 'vitest'
import { inProcesses } from './simulation/processes.js'
import { runSchedule } from './simulation/schedule.js'

/**
 * The real pipeline over a simulated network, clock, disk and destination. One number decides a schedule: what is loaded
 * and how, which requests fail and how, where runs are stopped, killed or lose their power, when the destination is lost.
 * `SLUICE_SCHEDULES` says how many (400), `SLUICE_SEED` replays a single one.
 */
const replayed = process.env.SLUICE_SEED
const schedules = Number(process.env.SLUICE_SCHEDULES ?? 400)

/** A simulation in which nothing happens proves nothing: each of these ends runs in some of the schedules. */
const expectedEndings = [
  'stop',
  'kill',
  'power',
  'told',
  'connection',
  'timeout',
  'response_format',
  'http_status',
  'pagination_loop',
  'destination',
  'incomplete',
]

describe('simulated weeks', () => {
  if (replayed !== undefined) {
    it(`seed ${replayed}`, async () => {
      await runSchedule(Number(replayed))
    })
    return
  }
  it(`${schedules} schedules lose no row, load none twice and keep cursors behind their rows`, {
    timeout: 60_000 + schedules * 100,
  }, async () => {
    const parts = await inProcesses<Part>('main.ts', schedules)
    expect(parts.reduce((sum, { resumedPages }) => sum + resumedPages, 0)).toBeGreaterThan(schedules)
    const seen = parts.flatMap(({ endings }) => Object.keys(endings))
    expect(expectedEndings.filter(ending => !seen.includes(ending))).toEqual([])
  })

  it('a seed always tells the same story', async () => {
    // Modules are loaded with their first use, and the disk of this machine is no part of the story.
    for (let seed = 1; seed <= 10; seed++) await runSchedule(seed)
    for (let seed = 1; seed <= 10; seed++) {
      expect((await runSchedule(seed)).story).toBe((await runSchedule(seed)).story)
    }
  })
})

interface Part {
  readonly resumedPages: number
  readonly endings: Readonly<Record<string, number>>
}
