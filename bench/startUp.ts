import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { median } from './measure.js'

/** Median milliseconds of `sluice --help` and of `node -e 0`, run in turns. */
export async function startUps(runs: number): Promise<{ readonly tool: number; readonly bare: number }> {
  const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
  const tool: number[] = []
  const bare: number[] = []
  for (let run = 0; run < runs; run++) {
    tool.push(timed([main, '--help']))
    bare.push(timed(['-e', '0']))
  }
  return { tool: median(tool), bare: median(bare) }
}

function timed(parameters: readonly string[]): number {
  const begun = performance.now()
  execFileSync(process.execPath, parameters, { stdio: 'ignore' })
  return performance.now() - begun
}
