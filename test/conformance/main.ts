/** `npm run conformance [-- DIR] [--only TEXT]`: runs every case of a folder and ends with `N passed, N failed`. */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { readCases, runCase } from './runner.js'

const { values, positionals } = parseArgs({ options: { only: { type: 'string' } }, allowPositionals: true })
const dir = positionals[0] ?? fileURLToPath(new URL('./cases', import.meta.url))
const cases = (await readCases(dir)).filter(one => one.name.includes(values.only ?? ''))
let failed = 0
for (const one of cases) {
  const { problems } = await runCase(one).catch(error => ({ problems: [`the runner failed: ${error.stack}`] }))
  if (problems.length === 0) continue
  failed += 1
  console.log(`FAIL ${one.name}: ${one.about}`)
  for (const problem of problems) console.log(`  ${problem.replaceAll('\n', '\n  ')}`)
}
console.log(`${cases.length - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
