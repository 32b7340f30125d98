import { duckdb, pipeline, restApi } from 'sluice'
import { report } from './report.mjs'

/**
 * Appends records in windows of their ids, or in one load, in a process of its own: `windows.mjs <url> <database> <home> <records>
 * <records a window, or nothing>`.
 */
const [url = '', database = '', home = '', records = '', step = ''] = process.argv.slice(2)
const isCut = step !== ''
const windows = {
  cursor_path: 'id',
  initial_value: 1,
  start_param: 'since',
  end_param: 'until',
  window: { step: Number(step) },
}
const load = pipeline({
  name: 'bench',
  source: restApi({
    client: {
      base_url: url,
      paginator: isCut ? 'single_page' : { type: 'page_number', base_page: 1, total_path: 'total_pages' },
    },
    resources: [
      {
        name: 'feedback',
        primary_key: 'id',
        write_disposition: 'append',
        endpoint: { path: '/', data_selector: 'data', ...(isCut ? { incremental: windows } : {}) },
      },
    ],
  }),
  destination: duckdb(database),
  dataset: 'bench',
  home,
})
await report(async () => {
  if (!isCut) return { rows: (await load.run()).rows }
  const { loads } = await load.backfill('feedback', { to: Number(records) + 1 })
  return { windows: loads.length }
})
