import { readFileSync } from 'node:fs'
import { duckdb, files, pipeline, restApi } from '../../dist/index.js'

/**
 * One load in a process of its own: `peak.mjs <document as JSON> <home> [duckdb | files]`. Prints, as JSON, the rows or the code and message of the error, and
 * the most memory that the process had.
 */
const [document = '', home = '', kind = 'duckdb'] = process.argv.slice(2)
const made = pipeline({
  name: 'peak',
  source: restApi(JSON.parse(document), { env: {}, cwd: home }),
  destination: kind === 'files' ? files(`${home}/files`) : duckdb(`${home}/peak.duckdb`),
  home: `${home}/work`,
})
const end = await made.run({ concurrency: 48 }).then(
  ({ rows }) => ({ rows }),
  ({ code, message }) => ({ code, message }),
)
console.log(JSON.stringify({ ...end, peakMb: peakKb() / 1024 }))

/** Without the memory of the process that started this one, which Linux counts as that of its children. */
function peakKb() {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
}
