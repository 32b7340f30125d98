import { duckdb, pipeline, restApi } from 'sluice'
import { reportRun } from './report.mjs'

/**
 * One load by Sluice in a process of its own: `load.mjs <url> <database> <home> <table> <concurrency>`. Prints what it
 * cost, as JSON; the time begins with the call and ends when the load is committed.
 */
const [url = '', database = '', home = '', table = 'feedback', concurrency = ''] = process.argv.slice(2)
const load = pipeline({
  name: 'bench',
  source: restApi({
    client: { base_url: url, paginator: { type: 'page_number', base_page: 1, total_path: 'total_pages' } },
    resources: [
      { name: table, primary_key: 'id', write_disposition: 'merge', endpoint: { path: '/', data_selector: 'data' } },
    ],
  }),
  destination: duckdb(database),
  dataset: 'bench',
  home,
})
await reportRun(load, concurrency === '' ? {} : { concurrency: Number(concurrency) })
