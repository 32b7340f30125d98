/**
 * A pipeline into Postgres against a bare binary COPY of the rows of the same tables from memory, on one server in one
 * run: `npx tsx bench/postgres.ts [records]`. The API is answered from memory too; everything else is as users have it.
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from 'pg'
import { from, to } from 'pg-copy-streams'
import { feedback, toJson } from '../demo/records.js'
import { pipeline, postgres, restApi, type TransportRequest, type TransportResponse } from '../src/index.js'
import { startPostgres } from '../test/destinations/postgresServer.js'

const PAGE = 1000
const DATASET = 'bench'
const records = Number(process.argv[2] ?? 150_000)

const pages = Array.from({ length: Math.ceil(records / PAGE) }, (_, page) =>
  Buffer.from(
    toJson({ data: Array.from({ length: PAGE }, (_, index) => feedback(page * PAGE + index, 1)), total: records }),
  ),
)
const server = await startPostgres(['-c', 'shared_buffers=256MB', '-c', 'max_wal_size=4GB'])
const home = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
try {
  const database = await server.createDatabase()
  const first = await load(database, 'append')
  const client = await server.client(database)
  const tables = (await tableNames(client)).filter(name => !name.startsWith('_'))
  const memory = new Map<string, readonly Buffer[]>()
  for (const table of tables) memory.set(table, await rowsOf(client, table))
  const bare = await copyAll(client, memory)
  await client.end()
  const merged = await load(database, 'merge')
  const rows = Object.values(first.rows).reduce((sum, count) => sum + count, 0)
  report('pipeline, first load', rows, first.seconds)
  report('pipeline, merge of everything', rows, merged.seconds)
  report('bare binary COPY', rows, bare)
  process.stdout.write(`first load: ${(bare / first.seconds).toFixed(2)} of the bare COPY (${tables.join(', ')})\n`)
} finally {
  await server.stop()
  await rm(home, { recursive: true, force: true })
}

async function load(database: string, disposition: 'append' | 'merge') {
  const one = pipeline({
    name: 'bench',
    source: restApi({
      client: { base_url: 'http://api.test/', transport: answer, paginator: { type: 'offset', limit: PAGE } },
      resources: [
        {
          name: 'feedback_data',
          primary_key: 'id',
          write_disposition: disposition,
          endpoint: { path: 'feedback', data_selector: 'data' },
        },
      ],
    }),
    destination: postgres(server.url(database)),
    dataset: DATASET,
    home,
  })
  const cpu = process.cpuUsage()
  const start = performance.now()
  let committing = 0
  const { rows } = await one.run({
    onEvent: event => {
      if (event.type === 'committing') committing = performance.now()
    },
  })
  const end = performance.now()
  const used = process.cpuUsage(cpu)
  process.stdout.write(
    `  ${disposition}: read and stage ${Math.round(committing - start)} ms, commit ${Math.round(end - committing)} ms; processor time of this process ${Math.round((used.user + used.system) / 1000)} ms\n`,
  )
  return { rows, seconds: (end - start) / 1000 }
}

async function answer(request: TransportRequest): Promise<TransportResponse> {
  const offset = Number(new URL(request.url).searchParams.get('offset') ?? 0)
  const body = pages[offset / PAGE] ?? Buffer.from('{"data":[],"total":0}')
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: (async function* () {
      yield body
    })(),
  }
}

async function tableNames(client: Client): Promise<string[]> {
  const { rows } = await client.query(`SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1`, [DATASET])
  return rows.map(row => String(row.tablename))
}

async function rowsOf(client: Client, table: string): Promise<readonly Buffer[]> {
  const pieces: Buffer[] = []
  for await (const piece of client.query(to(`COPY ${DATASET}.${table} TO STDOUT (FORMAT binary)`))) pieces.push(piece)
  const whole = Buffer.concat(pieces)
  const parts: Buffer[] = []
  for (let start = 0; start < whole.length; start += 1 << 20) parts.push(whole.subarray(start, start + (1 << 20)))
  return parts
}

/** Into new tables of the same columns, in one transaction; seconds. */
async function copyAll(client: Client, memory: ReadonlyMap<string, readonly Buffer[]>): Promise<number> {
  await client.query('CREATE SCHEMA bare')
  const start = performance.now()
  await client.query('BEGIN')
  for (const [table, parts] of memory) {
    await client.query(`CREATE TABLE bare.${table} (LIKE ${DATASET}.${table})`)
    const stream = client.query(from(`COPY bare.${table} FROM STDIN (FORMAT binary)`))
    for (const part of parts) if (!stream.write(part)) await once(stream, 'drain')
    stream.end()
    await once(stream, 'finish')
  }
  await client.query('COMMIT')
  return (performance.now() - start) / 1000
}

function report(what: string, rows: number, seconds: number): void {
  process.stdout.write(
    `${what.padEnd(32)} ${rows} rows in ${seconds.toFixed(2)} s, ${Math.round(rows / seconds)} rows/s\n`,
  )
}
