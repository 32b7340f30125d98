import { readFile } from 'node:fs/promises'
import { pipeline, postgres, restApi } from 'sluice'
import { reportRun } from './report.mjs'

/**
 * One load into Postgres in a process of its own: `loadPostgres.mjs <records> <server> <dataset> <home>`. The API answers
 * from memory, 1,000 records a page. Prints what the load cost, as JSON; the time begins with the call and ends when the
 * load is committed.
 */
const [path = '', url = '', dataset = '', home = ''] = process.argv.slice(2)
const pages = pagesOf(await readFile(path), 1000)
const load = pipeline({
  name: 'bench',
  source: restApi({
    client: {
      base_url: 'http://api.test/',
      transport: answer,
      paginator: { type: 'page_number', base_page: 1, total_path: 'total_pages' },
    },
    resources: [
      {
        name: 'feedback',
        primary_key: 'id',
        write_disposition: 'merge',
        endpoint: { path: '/', data_selector: 'data' },
      },
    ],
  }),
  destination: postgres(url),
  dataset,
  home,
})
await reportRun(load)

async function answer(request) {
  const page = Number(new URL(request.url).searchParams.get('page') ?? 1)
  const body = pages[page - 1] ?? Buffer.from('{"data":[]}')
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: (async function* () {
      yield body
    })(),
  }
}

/** Bodies of pages from one record a line. */
function pagesOf(lines, records) {
  const spans = []
  let start = 0
  let count = 0
  for (let at = lines.indexOf(0x0a); at >= 0; at = lines.indexOf(0x0a, at + 1)) {
    if (++count % records !== 0 && at + 1 < lines.length) {
      lines[at] = 0x2c
      continue
    }
    spans.push(lines.subarray(start, at))
    start = at + 1
  }
  const tail = Buffer.from(`],"total_pages":${spans.length}}`)
  return spans.map(span => Buffer.concat([Buffer.from('{"data":['), span, tail]))
}
