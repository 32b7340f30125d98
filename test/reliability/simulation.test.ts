import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
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
    const processes = Math.min(availableParallelism(), 8)
    const parts = await Promise.all(
      Array.from({ length: processes }, (_, part) => simulate(1 + part, schedules, processes)),
    )
    expect(parts.reduce((sum, { resumedPages }) => sum + resumedPages, 0)).toBeGreaterThan(schedules)
    const seen = parts.flatMap(({ endings }) => Object.keys(endings))
    expect(expectedEndings.filter(ending => !seen.includes(ending))).toEqual([])
  })

  it('a seed always tells the same story', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      expect((await runSchedule(seed)).story).toBe((await runSchedule(seed)).story)
    }
  })
})

interface Part {
  readonly resumedPages: number
  readonly endings: Readonly<Record<string, number>>
}

/** In processes of their own, where nothing stands between the modules, schedules take half the time. */
async function simulate(from: number, to: number, step: number): Promise<Part> {
  const main = fileURLToPath(new URL('./simulation/main.ts', import.meta.url))
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--import',
      'tsx',
      main,
      ...[from, to, step].map(String),
    ])
    return JSON.parse(stdout) as Part
  } catch (error) {
    throw new Error((error as { readonly stderr?: string }).stderr ?? String(error))
  }
}
