/**
 * A process of the simulation of windows: runs the schedules of the seeds `from`, `from + step` and so on up to `to`, given as
 * arguments, and writes what they went through as JSON. Ends at the first that fails, with its seed.
 */
import { runWindowSchedule } from './windowSchedule.js'

const [from = 1, to = 1, step = 1] = process.argv.slice(2).map(Number)
const endings: Record<string, number> = {}
const sums = { windows: 0, halved: 0, elsewhere: 0, resumedPages: 0 }
for (let seed = from; seed <= to; seed += step) {
  try {
    const passed = await runWindowSchedule(seed)
    for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += passed[name]
    for (const ending of passed.endings) endings[ending] = (endings[ending] ?? 0) + 1
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    console.error(`SLUICE_SEED=${seed} replays this: ${text}`)
    process.exit(1)
  }
}
console.log(JSON.stringify({ ...sums, endings }))
process.exit(0)
