import { duckdb, pipeline, restApi } from 'sluice'
import { reportRun } from './report.mjs'

/**
 * One load by Sluice in a process of its own: `load.mjs <document> <database> <home> [options of the run]`, documents and options as
 * JSON. Prints what it cost, as JSON; the time begins with the call and ends when the load is committed.
 */
const [document = '{}', database = '', home = '', options = '{}'] = process.argv.slice(2)
const load = pipeline({
  name: 'bench',
  source: restApi(JSON.parse(document)),
  destination: duckdb(database),
  dataset: 'bench',
  home,
})
await reportRun(load, JSON.parse(options))
