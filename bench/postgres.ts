import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startPostgres } from '../test/destinations/postgresServer.js'
import { type Bench, type Cost, cost, described, inTurns, median, medianOf, seconds } from './measure.js'
import { feedbackRecord, idsUpTo, writeRecords } from './records.js'

const DATASET = 'bench'
/** The server's own defaults; the tests run without fsync. */
const DEFAULTS = ['-c', 'fsync=on']

/** Nested records into Postgres, beside a bare binary COPY of the rows of the same tables, both from memory and on one server. */
export async function postgres(bench: Bench): Promise<void> {
  const records = Math.round(500_000 * bench.scale)
  const path = join(bench.data, `feedback-${records}.ndjson`)
  await writeRecords(path, idsUpTo(records), feedbackRecord)
  const server = await startPostgres(DEFAULTS)
  try {
    const database = await server.createDatabase()
    const url = server.url(database)
    const home = join(bench.work, 'home')
    const load = (from: string): Promise<Cost> => cost('loadPostgres.mjs', from, url, DATASET, home)
    const first = async (): Promise<Cost> => {
      await rm(home, { recursive: true, force: true })
      await server.sql(database, `DROP SCHEMA IF EXISTS ${DATASET} CASCADE`)
      await server.sql(database, 'CHECKPOINT')
      return await load(path)
    }
    bench.print(`${records} nested records, 1,000 a page, fsync on`)
    const [ours, bare] = await inTurns(bench.runs, first, () => cost('copyPostgres.mjs', url, DATASET))
    bench.print(`${described('Sluice', ours)}, commit ${seconds(median(ours.map(({ commitMs }) => Number(commitMs))))}`)
    bench.print(described('bare COPY', bare))
    const [one, other] = [rate(ours[0], medianOf(ours, 'wallMs')), rate(ours[0], medianOf(bare, 'wallMs'))]
    bench.print(`  ${one} of ${other} rows/s`)
    bench.ratio('rows/s', one / other, 0.6, false)
  } finally {
    await server.stop()
  }
}

/** 100,000 changed records into two sizes of tables: the commit beside the best SQL by hand. */
export async function postgresMerge(bench: Bench): Promise<void> {
  const few = Math.round(500_000 * bench.scale)
  const commits: number[] = []
  for (const records of [few, few * 10]) {
    const { ours, byHand } = await changes(bench, records, records / Math.round(100_000 * bench.scale))
    commits.push(ours)
    bench.ratio(`commit into ${records}`, ours / byHand, 1.2)
  }
  const [small = 0, large = 0] = commits
  bench.print(`  ten times the rows: ${(large / small).toFixed(2)} times the commit`)
}

async function changes(
  bench: Bench,
  records: number,
  step: number,
): Promise<{ readonly ours: number; readonly byHand: number }> {
  const path = join(bench.data, `feedback-${records}.ndjson`)
  await writeRecords(path, idsUpTo(records), feedbackRecord)
  const changed = join(bench.data, `changed-${step}-of-${records}.ndjson`)
  await writeRecords(changed, everyNth(step, records), id => feedbackRecord(id, 1))
  const server = await startPostgres(DEFAULTS)
  try {
    const database = await server.createDatabase()
    const url = server.url(database)
    const home = join(bench.work, 'home')
    bench.print(`${Math.floor(records / step)} changed records into ${records}`)
    const costs: Cost[] = []
    const byHand: Cost[] = []
    for (let run = 0; run < bench.runs; run++) {
      await rm(home, { recursive: true, force: true })
      await server.sql(database, `DROP SCHEMA IF EXISTS ${DATASET} CASCADE`)
      await cost('loadPostgres.mjs', path, url, DATASET, home)
      await cost('mergePostgres.mjs', 'keep', url, DATASET)
      await server.sql(database, 'CHECKPOINT')
      costs.push(await cost('loadPostgres.mjs', changed, url, DATASET, home))
      byHand.push(await cost('mergePostgres.mjs', 'merge', url, DATASET))
    }
    const commit = median(costs.map(({ commitMs }) => Number(commitMs)))
    bench.print(`${described('Sluice', costs)}, commit ${seconds(commit)}`)
    bench.print(described('by hand', byHand))
    return { ours: commit, byHand: medianOf(byHand, 'wallMs') }
  } finally {
    await server.stop()
  }
}

/** Rows of a load in a second. */
function rate(cost: Cost | undefined, wallMs: number): number {
  const rows = Object.values((cost?.rows ?? {}) as Readonly<Record<string, number>>)
  return Math.round(rows.reduce((sum, count) => sum + count, 0) / (wallMs / 1000))
}

function* everyNth(step: number, records: number): Iterable<number> {
  for (let id = step; id <= records; id += step) yield id
}
