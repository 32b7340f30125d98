import { Client } from 'pg'
import { report } from './report.mjs'

/**
 * The merge of the newest load by the best SQL by hand: `mergePostgres.mjs keep <server> <dataset>` copies the tables as they are before
 * that load, `mergePostgres.mjs merge <server> <dataset>` takes the rows of the load into tables of their own, and then merges them into
 * the copies. Only the merge is timed, with its commit.
 */
const [step = '', url = '', dataset = ''] = process.argv.slice(2)
const CHILDREN = ['feedback__replies', 'feedback__tags']
const client = new Client({ connectionString: url })
await client.connect()

async function keep() {
  await client.query('DROP SCHEMA IF EXISTS hand CASCADE')
  await client.query('CREATE SCHEMA hand')
  for (const table of ['feedback', ...CHILDREN]) {
    await client.query(`CREATE TABLE hand.${table} AS SELECT * FROM ${dataset}.${table}`)
    await client.query(`ANALYZE hand.${table}`)
  }
}

async function stage() {
  await client.query('DROP SCHEMA IF EXISTS stage CASCADE')
  await client.query('CREATE SCHEMA stage')
  await client.query(`CREATE UNLOGGED TABLE stage.feedback AS SELECT * FROM ${dataset}.feedback
    WHERE _dlt_load_id = (SELECT max(load_id) FROM ${dataset}._dlt_loads)`)
  for (const table of CHILDREN) {
    await client.query(`CREATE UNLOGGED TABLE stage.${table} AS SELECT c.* FROM ${dataset}.${table} c
      JOIN stage.feedback s ON c._dlt_root_id = s._dlt_id`)
  }
  for (const table of ['feedback', ...CHILDREN]) await client.query(`ANALYZE stage.${table}`)
  await client.query('CHECKPOINT')
}

async function merge() {
  await client.query('BEGIN')
  await client.query(`CREATE TEMP TABLE matched ON COMMIT DROP AS SELECT d._dlt_id FROM hand.feedback d
    JOIN stage.feedback s USING (id)`)
  await client.query('ANALYZE matched')
  for (const table of CHILDREN) {
    await client.query(`DELETE FROM hand.${table} USING matched WHERE ${table}._dlt_root_id = matched._dlt_id`)
  }
  await client.query('DELETE FROM hand.feedback USING stage.feedback s WHERE feedback.id = s.id')
  for (const table of ['feedback', ...CHILDREN]) {
    await client.query(`INSERT INTO hand.${table} SELECT * FROM stage.${table}`)
  }
  await client.query('COMMIT')
  return {}
}

if (step === 'keep') await report(keep)
else {
  await stage()
  await report(merge)
}
await client.end()
