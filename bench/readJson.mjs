import { DuckDBInstance } from '@duckdb/node-api'
import { report } from './report.mjs'

/**
 * What Sluice is held against, in a process of its own: `readJson.mjs <feedback|wide|shape|merge> <file> <database> [shape as JSON]`.
 * DuckDB reads the records from the disk by `read_json` with explicit types and default settings, makes the same tables
 * with row ids, and merges them by key.
 */
const [kind = '', path = '', database = '', shape = ''] = process.argv.slice(2)
const instance = await DuckDBInstance.create(database)
const connection = await instance.connect()

const FEEDBACK = `{id: 'BIGINT', created_at: 'TIMESTAMPTZ', updated_at: 'TIMESTAMPTZ', status: 'VARCHAR', rating: 'BIGINT',
  score: 'DOUBLE', resolved: 'BOOLEAN', message: 'VARCHAR', customer: 'STRUCT(id BIGINT, "name" VARCHAR, plan VARCHAR)',
  device: 'STRUCT(os VARCHAR, "version" VARCHAR)',
  replies: 'STRUCT(author VARCHAR, "at" TIMESTAMPTZ, "text" VARCHAR, likes BIGINT)[]', tags: 'VARCHAR[]'}`

const TABLES = [
  `CREATE TABLE IF NOT EXISTS bench.feedback (id BIGINT NOT NULL, created_at TIMESTAMPTZ, updated_at TIMESTAMPTZ,
     status VARCHAR, rating BIGINT, score DOUBLE, resolved BOOLEAN, message VARCHAR, customer__id BIGINT,
     customer__name VARCHAR, customer__plan VARCHAR, device__os VARCHAR, device__version VARCHAR,
     _dlt_load_id VARCHAR NOT NULL, _dlt_id VARCHAR NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS bench.feedback__replies (author VARCHAR, "at" TIMESTAMPTZ, "text" VARCHAR, likes BIGINT,
     _dlt_root_id VARCHAR NOT NULL, _dlt_parent_id VARCHAR NOT NULL, _dlt_list_idx BIGINT NOT NULL,
     _dlt_id VARCHAR NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS bench.feedback__tags ("value" VARCHAR, _dlt_root_id VARCHAR NOT NULL,
     _dlt_parent_id VARCHAR NOT NULL, _dlt_list_idx BIGINT NOT NULL, _dlt_id VARCHAR NOT NULL)`,
]

/** The records, parsed once, with the shortest id that SQL can make at random and as long as dlt's. */
const STAGE = `CREATE TEMP TABLE stage AS SELECT *, left(md5(random()::VARCHAR || id), 14) AS _dlt_id FROM
  read_json('${path}', format = 'newline_delimited', columns = ${FEEDBACK})`

const DELETES = [
  'CREATE TEMP TABLE matched AS SELECT d._dlt_id FROM bench.feedback d JOIN stage s ON d.id = s.id',
  'DELETE FROM bench.feedback__replies WHERE _dlt_root_id IN (SELECT _dlt_id FROM matched)',
  'DELETE FROM bench.feedback__tags WHERE _dlt_root_id IN (SELECT _dlt_id FROM matched)',
  'DELETE FROM bench.feedback USING stage WHERE feedback.id = stage.id',
]

const INSERTS = [
  `INSERT INTO bench.feedback SELECT id, created_at, updated_at, status, rating, score, resolved, message, customer.id,
     customer.name, customer.plan, device.os, device.version, '1700000000.1', _dlt_id FROM stage`,
  `INSERT INTO bench.feedback__replies SELECT r.author, r.at, r.text, r.likes, _dlt_id, _dlt_id, i - 1,
     left(md5(_dlt_id || '_feedback__replies_' || i), 14) FROM (SELECT _dlt_id, unnest(replies) AS r,
     generate_subscripts(replies, 1) AS i FROM stage)`,
  `INSERT INTO bench.feedback__tags SELECT t, _dlt_id, _dlt_id, i - 1, left(md5(_dlt_id || '_feedback__tags_' || i), 14)
     FROM (SELECT _dlt_id, unnest(tags) AS t, generate_subscripts(tags, 1) AS i FROM stage)`,
]

async function feedback() {
  await connection.run('BEGIN')
  await connection.run('CREATE SCHEMA IF NOT EXISTS bench')
  for (const sql of TABLES) await connection.run(sql)
  await connection.run(STAGE)
  await refuseDuplicates('stage')
  const empty = (await connection.runAndReadAll('SELECT 1 FROM bench.feedback LIMIT 1')).currentRowCount === 0
  for (const sql of empty ? INSERTS : [...DELETES, ...INSERTS]) await connection.run(sql)
  await connection.run('COMMIT')
}

async function wide() {
  const types = ['BIGINT', 'VARCHAR', 'DOUBLE', 'BOOLEAN', 'TIMESTAMPTZ']
  const names = Array.from({ length: 200 }, (_, column) => `column_${column}: '${types[column % 5]}'`)
  await connection.run('BEGIN')
  await connection.run('CREATE SCHEMA bench')
  await connection.run(`CREATE TABLE bench.wide AS SELECT *, '1700000000.1' AS _dlt_load_id,
    left(md5(random()::VARCHAR || id), 14) AS _dlt_id FROM
    read_json('${path}', format = 'newline_delimited', columns = {id: 'BIGINT', ${names.join(', ')}})`)
  await refuseDuplicates('bench.wide')
  await connection.run('COMMIT')
}

/** Records of any shape into new tables: their columns as `read_json` takes them, and a query of the stage for each table. */
async function ofShape() {
  const { columns, tables, isMerge } = JSON.parse(shape)
  await connection.run('BEGIN')
  await connection.run('CREATE SCHEMA bench')
  await connection.run(`CREATE TEMP TABLE stage AS SELECT *, '1700000000.1' AS _dlt_load_id,
    left(md5(random()::VARCHAR || id), 14) AS _dlt_id FROM
    read_json('${path}', format = 'newline_delimited', maximum_object_size = 67108864, columns = ${columns})`)
  if (isMerge) await refuseDuplicates('stage')
  for (const [name, query] of Object.entries(tables)) await connection.run(`CREATE TABLE bench.${name} AS ${query}`)
  await connection.run('COMMIT')
}

/** @param {string} table */
async function refuseDuplicates(table) {
  const found = await connection.runAndReadAll(`SELECT 1 FROM ${table} GROUP BY id HAVING count(*) > 1 LIMIT 1`)
  if (found.currentRowCount > 0) throw new Error('the benchmark has no repeated keys')
}

/** The statements of a merge alone: the rows are parsed before the clock starts. */
async function merge() {
  await connection.run(STAGE)
  await report(async () => {
    await connection.run('BEGIN')
    await refuseDuplicates('stage')
    for (const sql of [...DELETES, ...INSERTS]) await connection.run(sql)
    await connection.run('COMMIT')
    return {}
  })
}

const kinds = { feedback, wide, shape: ofShape }
if (kind === 'merge') await merge()
else
  await report(async () => {
    await kinds[kind]()
    // A load by Sluice ends with the file closed, too.
    connection.closeSync()
    instance.closeSync()
    return {}
  })
