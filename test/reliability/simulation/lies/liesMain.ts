/**
 * A process of the simulation: lives through the worlds of the seeds `from`, `from + step` and so on up to `to`, given as
 * arguments, and writes what became of them as JSON. Ends at the first that breaks a law, with the least world that does.
 */
import { addTallies, live, noTally } from './lyingSchedule.js'
import { planOf } from './plan.js'
import { simplest } from './simpler.js'

const [from = 1, to = 1, step = 1] = process.argv.slice(2).map(Number)
let total = noTally
for (let seed = from; seed <= to; seed += step) {
  const { tally, breach } = await live(planOf(seed))
  total = addTallies(total, tally)
  if (breach === undefined) continue
  const least = await simplest(planOf(seed), async plan => (await live(plan)).breach?.law === breach.law)
  const { story } = await live(least)
  console.error(`SLUICE_SEED=${seed} breaks a law; this is the least world that does:\n${story.join('\n')}`)
  process.exit(1)
}
console.log(JSON.stringify(total))
