import { fileURLToPath } from 'node:url'
import { timedInTurns } from './measure.js'

/** Median milliseconds of `sluice --help` and of `node -e 0`, run in turns. */
export function startUps(runs: number): { readonly tool: number; readonly bare: number } {
  const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
  const sides = [
    [main, '--help'],
    ['-e', '0'],
  ]
  const [tool = 0, bare = 0] = timedInTurns(runs, sides)
  return { tool, bare }
}
