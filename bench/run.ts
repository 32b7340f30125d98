import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { benchmarks } from './benchmarks.js'
import { compared, type MeasuredRatio, storeRatios } from './guard.js'
import { besideGoal, machine } from './measure.js'

/**
 * `npm run bench [-- name …] [--runs 5] [--scale 1] [--data folder]`: the named benchmarks, or all of them. `--scale 0.1`
 * takes a tenth of the records. Records are written to `--data` and kept, or else to a temporary folder. `--guard` fails where
 * a ratio is worse than the one stored in `ratios.json`; `--store` stores what was measured.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string' },
    scale: { type: 'string' },
    data: { type: 'string' },
    guard: { type: 'boolean' },
    store: { type: 'boolean' },
  },
})
const names = positionals.length > 0 ? positionals : Object.keys(benchmarks)
const unknown = names.filter(name => !Object.hasOwn(benchmarks, name))
if (unknown.length > 0) {
  throw new Error(`no benchmark ${unknown.join(', ')}; there are ${Object.keys(benchmarks).join(', ')}`)
}
const ratios: MeasuredRatio[] = []
const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
try {
  console.log(machine())
  for (const name of names) {
    console.log(`\n${name}`)
    await benchmarks[name]?.({
      data: values.data ?? join(folder, 'data'),
      work: join(folder, 'work'),
      runs: Number(values.runs ?? 5),
      scale: Number(values.scale ?? 1),
      print: line => console.log(line),
      ratio(what, ratio, goal, isLess = true) {
        console.log(besideGoal(what, ratio, goal, isLess))
        ratios.push({ name: `${name}: ${what}`, ratio, isLess })
      },
    })
  }
  if (values.store === true) await storeRatios(ratios)
  if (values.guard === true) {
    const { lines, isWorse } = await compared(ratios)
    console.log(`\n${lines.join('\n')}`)
    if (isWorse) process.exitCode = 1
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
