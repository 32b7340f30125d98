import { describe, expect, it } from 'vitest'
import { inProcesses } from './simulation/processes.js'
import { runWindowSchedule } from './simulation/windows/windowSchedule.js'

/**
 * The real backfill over a simulated network, clock, disk and destination: ranges in windows, by one process or several at
 * once, in any order. One number decides a schedule. `SLUICE_SCHEDULES` says how many (100), `SLUICE_SEED` replays a single one.
 */
const replayed = process.env.SLUICE_SEED
const schedules = Number(process.env.SLUICE_SCHEDULES ?? 100)

/** A simulation in which nothing happens proves nothing: each of these ends attempts in some of the schedules. */
const expectedEndings = ['stop', 'dead', 'windows_failed', 'http_status', 'destination']

interface Part {
  readonly windows: number
  readonly halved: number
  readonly elsewhere: number
  readonly resumedPages: number
  readonly endings: Readonly<Record<string, number>>
}

describe('simulated backfills', () => {
  if (replayed !== undefined) {
    it(`seed ${replayed}`, async () => {
      await runWindowSchedule(Number(replayed))
    })
    return
  }
  it('an interrupted window that is older than what was committed since is read again, and its cursor stays', async () => {
    await runWindowSchedule(2541)
  })

  it(`${schedules} schedules load each window once, and keep cursors behind gaps`, {
    timeout: 300_000 + schedules * 1_000,
  }, async () => {
    const parts = await inProcesses<Part>('windows/windowsMain.ts', schedules)
    const sum = (count: (part: Part) => number): number => parts.reduce((all, part) => all + count(part), 0)
    expect(sum(({ windows }) => windows)).toBeGreaterThan(5 * schedules)
    expect(sum(({ halved }) => halved)).toBeGreaterThan(schedules / 2)
    expect(sum(({ elsewhere }) => elsewhere)).toBeGreaterThan(schedules / 2)
    expect(sum(({ resumedPages }) => resumedPages)).toBeGreaterThan(schedules / 2)
    const seen = parts.flatMap(({ endings }) => Object.keys(endings))
    expect(expectedEndings.filter(ending => !seen.includes(ending))).toEqual([])
  })
})
