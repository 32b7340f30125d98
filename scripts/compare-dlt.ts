/**
 * Lets dlt and Sluice load the same scripts from the same simulated API, and compares their tables, row by row.
 *
 *     unshare --net sh -c 'ip link set lo up && npx tsx scripts/compare-dlt.ts PYTHON FOLDER [NAME...]'
 *
 * PYTHON can import dlt with its extra `duckdb`. FOLDER holds scripts that call dlt's `rest_api`, fetched by hand and
 * never committed; with names only those that contain one. dlt executes them: read them first, and leave them no
 * network, as above. Scripts that dlt itself cannot run here do not count. `compare-dlt.py` simulates the API.
 */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { importPipeline, loadPipelineFile } from '../src/index.js'
import { ended, firstLine } from './simulationProcess.js'

type Row = Readonly<Record<string, unknown>>

interface Read {
  readonly tables: Readonly<Record<string, readonly Row[]>>
  readonly error: string | null
}

type Outcome =
  | { readonly kind: 'same'; readonly tables: number; readonly rows: number }
  | { readonly kind: 'different'; readonly why: readonly string[] }
  /** dlt itself cannot run it here. */
  | { readonly kind: 'unread'; readonly why: string }

/** Longer than any script takes on a slow machine. */
const LONGEST_MS = 600_000
const MOST_SHOWN = 6

const [python, root, ...only] = process.argv.slice(2)
if (python === undefined || root === undefined) {
  console.error('usage: npx tsx scripts/compare-dlt.ts PYTHON FOLDER [NAME...]')
  process.exit(2)
}

const counts = { same: 0, different: 0, unread: 0 }
for (const name of readdirSync(root).sort()) {
  if (!name.endsWith('.py') || (only.length > 0 && !only.some(part => name.includes(part)))) continue
  const folder = await mkdtemp(join(tmpdir(), 'compare-dlt-'))
  const outcome = await outcomeOf(python, join(root, name), folder).catch(
    (error: Error): Outcome => ({ kind: 'different', why: [error.stack ?? error.message] }),
  )
  await rm(folder, { recursive: true, force: true })
  counts[outcome.kind] += 1
  if (outcome.kind === 'same') console.log(`${name}: same: ${outcome.tables} tables, ${outcome.rows} rows`)
  else if (outcome.kind === 'unread') console.log(`${name}: not counted, dlt cannot run it here: ${outcome.why}`)
  else {
    console.log(`${name}: DIFFERENT`)
    for (const line of outcome.why.slice(0, MOST_SHOWN)) console.log(`  ${line.slice(0, 500)}`)
  }
}
console.log(
  `\n${counts.same} of ${counts.same + counts.different} scripts load the same tables and rows ` +
    `(${counts.unread} could not be run by dlt)`,
)

async function outcomeOf(interpreter: string, script: string, folder: string): Promise<Outcome> {
  const child = spawn(interpreter, [join(import.meta.dirname, 'compare-dlt.py'), script, folder])
  const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST_MS)
  try {
    const said = await firstLine(child)
    if (said.line === undefined)
      return { kind: 'unread', why: said.errors.trim().split('\n').at(-1)?.slice(0, 300) || 'it takes too long' }
    const { environment, origin } = JSON.parse(said.line) as { environment: Record<string, string>; origin: string }
    const read = JSON.parse(readFileSync(join(folder, 'read.json'), 'utf8')) as Read
    if (read.error !== null) return { kind: 'unread', why: read.error.replace(/\s+/g, ' ').slice(-300) }
    const rows = Object.values(read.tables).reduce((sum, { length }) => sum + length, 0)
    if (rows === 0) return { kind: 'unread', why: 'it loads nothing' }
    const { ours, why } = await loaded(folder, environment, origin)
    const differences = [...why, ...differencesOf(read.tables, ours)]
    const odd = await ended(child, folder)
    if (differences.length > 0) return { kind: 'different', why: [...differences, ...odd] }
    return { kind: 'same', tables: Object.keys(read.tables).length, rows }
  } finally {
    clearTimeout(timer)
    child.kill('SIGKILL')
  }
}

/** What Sluice loads of the redirected script. */
async function loaded(
  folder: string,
  environment: Readonly<Record<string, string>>,
  origin: string,
): Promise<{ readonly ours: Read['tables']; readonly why: readonly string[] }> {
  const file = join(folder, 'script.py')
  const { pipelines, leftOut } = await importPipeline({ kind: 'dlt', text: readFileSync(file, 'utf8'), file })
  const why = leftOut.map(one => `left out: ${one.what}: ${one.why}`)
  const ours: Record<string, Row[]> = {}
  for (const [index, { text }] of pipelines.entries()) {
    const path = join(folder, `sluice${index}`)
    await writeFile(`${path}.yaml`, text.replace(/^destination: .*$/m, `destination: duckdb:${path}.duckdb`))
    try {
      const env = { ...valuesIn(text, origin), ...environment }
      const [pipeline] = (await loadPipelineFile(`${path}.yaml`, { env, cwd: folder })).pipelines
      if (pipeline === undefined) continue
      await pipeline.run()
      const dataset = pipeline.dataset()
      await dataset.query("SET TimeZone = 'UTC'").catch(() => undefined)
      for (const name of await dataset.tables()) {
        const rows = await dataset.query(`SELECT CAST(COLUMNS(*) AS VARCHAR) FROM "${name}"`)
        ours[name] = [...(ours[name] ?? []), ...rows]
      }
    } catch (error) {
      why.push(`Sluice: ${(error as Error).message}`)
    }
  }
  return { ours, why }
}

function differencesOf(theirs: Read['tables'], ours: Read['tables']): string[] {
  return [...new Set([...Object.keys(theirs), ...Object.keys(ours)])].flatMap(name => {
    if (name.startsWith('_')) return []
    const [left, right] = [textsOf(theirs[name] ?? []), textsOf(ours[name] ?? [])]
    const onlyDlt = without(left, right)
    const onlySluice = without(right, left)
    if (onlyDlt.length + onlySluice.length === 0) return []
    const shown = [onlyDlt[0] && `dlt ${onlyDlt[0]}`, onlySluice[0] && `Sluice ${onlySluice[0]}`].filter(Boolean)
    return [`${name}: ${onlyDlt.length} rows only dlt's, ${onlySluice.length} only Sluice's: ${shown.join(' | ')}`]
  })
}

/** Rows as texts, without what is another one in every load. */
function textsOf(rows: readonly Row[]): string[] {
  return rows.map(row =>
    JSON.stringify(
      Object.entries(row)
        .filter(([name, value]) => value !== null && (!name.startsWith('_dlt_') || name === '_dlt_list_idx'))
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
  )
}

function without(rows: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>()
  for (const text of others) left.set(text, (left.get(text) ?? 0) + 1)
  return rows.filter(text => {
    const count = left.get(text) ?? 0
    left.set(text, count - 1)
    return count <= 0
  })
}

/** Secrets and options are as the simulation has them. */
function valuesIn(text: string, origin: string): Record<string, string> {
  const names = [...text.matchAll(/\$\{(?:env|secrets)\.([\w.-]+)\}/g)].map(([, name = '']) => name)
  return Object.fromEntries(
    names.map(name => [
      name.toUpperCase().replace(/\W/g, '_'),
      /url|endpoint|host/i.test(name) ? `${origin}/h/${(name.split('__').at(-1) ?? name).toLowerCase()}` : 'value',
    ]),
  )
}
