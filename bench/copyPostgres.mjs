import { once } from 'node:events'
import { Client } from 'pg'
import { from, to } from 'pg-copy-streams'
import { report } from './report.mjs'

/**
 * The rows of every table of a dataset by bare binary COPY in a process of its own: `copyPostgres.mjs <server> <dataset>`. They
 * are taken into memory first; the time begins with the transaction that makes new tables of the same columns and ends
 * with its commit. Prints what it cost, as JSON.
 */
const [url = '', dataset = ''] = process.argv.slice(2)
const BARE = 'bare'
/** Bytes of one write. */
const PART = 1 << 20

const client = new Client({ connectionString: url })
await client.connect()
const { rows } = await client.query(
  `SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tablename NOT LIKE '\\_%' ORDER BY 1`,
  [dataset],
)
const memory = new Map()
for (const { tablename } of rows) memory.set(tablename, await rowsOf(tablename))
await client.query(`DROP SCHEMA IF EXISTS ${BARE} CASCADE`)
await client.query(`CREATE SCHEMA ${BARE}`)
await client.query('CHECKPOINT')
await report(async () => {
  await client.query('BEGIN')
  for (const [table, parts] of memory) {
    await client.query(`CREATE TABLE ${BARE}.${table} (LIKE ${dataset}.${table})`)
    const stream = client.query(from(`COPY ${BARE}.${table} FROM STDIN (FORMAT binary)`))
    for (const part of parts) if (!stream.write(part)) await once(stream, 'drain')
    stream.end()
    await once(stream, 'finish')
  }
  await client.query('COMMIT')
  return {}
})
await client.end()

async function rowsOf(table) {
  const pieces = []
  for await (const piece of client.query(to(`COPY ${dataset}.${table} TO STDOUT (FORMAT binary)`))) pieces.push(piece)
  const whole = Buffer.concat(pieces)
  return Array.from({ length: Math.ceil(whole.length / PART) }, (_, part) =>
    whole.subarray(part * PART, (part + 1) * PART),
  )
}
