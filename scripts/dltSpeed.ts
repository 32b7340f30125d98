/**
 * Loads the same nested records from the same local API by dlt, with its default loader format and with Parquet, and by
 * Sluice, in turns, and compares rows a second.
 *
 *     npx tsx scripts/dltSpeed.ts PYTHON [records] [runs]
 *
 * PYTHON is an interpreter that can import dlt 1.26, pyarrow and duckdb, of which the version that Sluice has is a fair one:
 * with DuckDB 2.0 dlt needs a third more time for its default format. Not part of the tests.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Bench, loadBySluice, machine, median, withServer } from '../bench/measure.js'
import { feedbackRecord, idsUpTo, writeRecords } from '../bench/records.js'

const GOAL = 40

/** The time is that of `pipeline.run`, without the start of Python and the import of dlt. */
const DLT_LOAD = `
import os, sys, tempfile, time
import dlt
from dlt.sources.rest_api import rest_api_source
url, database, file_format = sys.argv[1:4]
source = rest_api_source({
    "client": {"base_url": url, "paginator": {"type": "page_number", "base_page": 1, "total_path": "total_pages"}},
    "resources": [{"name": "feedback", "primary_key": "id", "write_disposition": "merge",
                   "endpoint": {"path": "/", "data_selector": "data"}}],
})
with tempfile.TemporaryDirectory() as folder:
    pipeline = dlt.pipeline("speed", pipelines_dir=folder, destination=dlt.destinations.duckdb(database), dataset_name="speed")
    begun = time.perf_counter()
    cpu = time.process_time()
    pipeline.run(source, **({} if file_format == "default" else {"loader_file_format": file_format}))
    print(time.perf_counter() - begun, time.process_time() - cpu)
`

const [python, records = '100000', runs = '3'] = process.argv.slice(2)
if (python === undefined) throw new Error('usage: npx tsx scripts/dltSpeed.ts PYTHON [records] [runs]')

interface Taken {
  readonly wall: number
  readonly cpu: number
}

const folder = await mkdtemp(join(tmpdir(), 'sluice-dlt-speed-'))
try {
  const bench: Bench = {
    data: folder,
    work: join(folder, 'work'),
    runs: Number(runs),
    scale: 1,
    print: console.log,
    ratio() {},
  }
  const path = join(folder, 'feedback.ndjson')
  await writeRecords(path, idsUpTo(Number(records)), feedbackRecord)
  console.log(`${records} nested records; ${machine()}; ${await versions()}`)
  await withServer(path, {}, async url => {
    const taken: Record<'sluice' | 'default' | 'parquet', Taken[]> = { sluice: [], default: [], parquet: [] }
    for (let run = 0; run < bench.runs; run++) {
      const { wallMs, userMs, systemMs } = await loadBySluice(bench, url)
      taken.sluice.push({ wall: wallMs / 1000, cpu: (userMs + systemMs) / 1000 })
      for (const format of ['default', 'parquet'] as const) taken[format].push(await loadByDlt(url, format))
    }
    const ours = report('Sluice', taken.sluice)
    for (const format of ['default', 'parquet'] as const) {
      const theirs = report(`dlt, ${format} format`, taken[format])
      const times = theirs.wall / ours.wall
      const verdict = times >= GOAL ? 'met' : 'MISSED'
      console.log(
        `  ${times.toFixed(1)} times (goal ${GOAL}) ${verdict}; CPU ${(theirs.cpu / ours.cpu).toFixed(1)} times`,
      )
    }
  })
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function versions(): Promise<string> {
  const code = 'import dlt, duckdb; print(f"dlt {dlt.__version__} with DuckDB {duckdb.__version__}")'
  return (await promisify(execFile)(String(python), ['-c', code])).stdout.trim()
}

async function loadByDlt(url: string, format: string): Promise<Taken> {
  const work = join(folder, 'dlt')
  await rm(work, { recursive: true, force: true })
  await mkdir(work)
  const { stdout } = await promisify(execFile)(String(python), [
    '-c',
    DLT_LOAD,
    url,
    join(work, 'database.duckdb'),
    format,
  ])
  const [wall = Number.NaN, cpu = Number.NaN] = (stdout.trim().split('\n').at(-1) ?? '').split(' ').map(Number)
  return { wall, cpu }
}

function report(name: string, taken: readonly Taken[]): Taken {
  const wall = median(taken.map(one => one.wall))
  const cpu = median(taken.map(one => one.cpu))
  const each = taken.map(one => one.wall.toFixed(2)).join(' ')
  console.log(
    `${name}: ${Math.round(Number(records) / wall)} records/s, wall ${wall.toFixed(2)} s (${each}), CPU ${cpu.toFixed(2)} s`,
  )
  return { wall, cpu }
}
