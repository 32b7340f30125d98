import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type PostgresServer, startPostgres } from '../test/destinations/postgresServer.js'
import { type Bench, type Cost, cost, described, inTurns, median, medianOf, seconds } from './measure.js'
import { feedbackRecord, idsUpTo, writeRecords } from './records.js'

const DATASET = 'bench'
/** The server's own defaults; the tests run without fsync. */
const DEFAULTS = ['-c', 'fsync=on']

/**
 * Nested records into Postgres, beside a bare binary COPY of the rows of the same tables, both from memory and on one
 * server; then every fifth record again with changes, merged into them.
 */
export async function postgres(bench: Bench): Promise<void> {
  const records = Math.round(500_000 * bench.scale)
  const path = join(bench.data, `feedback-${records}.ndjson`)
  await writeRecords(path, idsUpTo(records), feedbackRecord)
  const changed = join(bench.data, `fifth-${records}.ndjson`)
  await writeRecords(changed, everyFifth(records), id => feedbackRecord(id, 1))
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
    await changes(bench, server, database, records, first, () => load(changed))
  } finally {
    await server.stop()
  }
}

async function changes(
  bench: Bench,
  server: PostgresServer,
  database: string,
  records: number,
  first: () => Promise<Cost>,
  second: () => Promise<Cost>,
): Promise<void> {
  bench.print(`${Math.floor(records / 5)} changed records into ${records}`)
  const costs: Cost[] = []
  for (let run = 0; run < bench.runs; run++) {
    await first()
    await server.sql(database, 'CHECKPOINT')
    costs.push(await second())
  }
  bench.print(`${described('Sluice', costs)}, commit ${seconds(median(costs.map(({ commitMs }) => Number(commitMs))))}`)
  bench.print(`  ${rate(costs[0], medianOf(costs, 'wallMs'))} rows/s`)
}

/** Rows of a load in a second. */
function rate(cost: Cost | undefined, wallMs: number): number {
  const rows = Object.values((cost?.rows ?? {}) as Readonly<Record<string, number>>)
  return Math.round(rows.reduce((sum, count) => sum + count, 0) / (wallMs / 1000))
}

function* everyFifth(records: number): Iterable<number> {
  for (let id = 5; id <= records; id += 5) yield id
}
