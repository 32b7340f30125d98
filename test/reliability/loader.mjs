/**
 * Loads the shop's API, in this process or as one of its own that is going to be killed:
 * `loader.mjs <job>`, a job being JSON. It kills itself at the moment that the job names, the n-th event of a type or of
 * any; where the moment says `laterMs`, it prints `now` instead and whoever started it does the killing.
 */
import { argv, kill, pid, stdout } from 'node:process'
import { pathToFileURL } from 'node:url'
import { destinationFromUrl, pipeline, restApi } from '../../dist/index.js'

/** @param {import('./process.js').Job} job */
export async function shopPipeline({ url, home, destination, disposition, cursor, list = 'shop' }) {
  const document = {
    client: { base_url: url },
    resource_defaults: { primary_key: 'id', write_disposition: disposition },
    resources: list === 'visits' ? [visits] : [orders(cursor), shops, staff],
  }
  return pipeline({
    name: 'shop',
    source: restApi(document, { env: {}, cwd: home }),
    destination: await destinationFromUrl(destination),
    dataset: 'shop_data',
    home,
  })
}

const counted = { type: 'page_number', base_page: 1, total_path: 'pages' }
const orders = cursor => ({
  name: 'orders',
  endpoint: {
    path: 'orders',
    data_selector: 'orders',
    paginator: counted,
    ...(cursor && { incremental: { cursor_path: 'changed', start_param: 'since', initial_value: 0 } }),
  },
})
const shops = { name: 'shops', endpoint: { path: 'shops', data_selector: 'shops', paginator: 'single_page' } }
const staff = {
  name: 'staff',
  endpoint: { path: 'shops/{resources.shops.id}/staff', data_selector: 'staff', paginator: { type: 'cursor' } },
}
const visits = { name: 'visits', endpoint: { path: 'visits', data_selector: 'visits', paginator: counted } }

async function main(job) {
  const shop = await shopPipeline(job)
  const { moment } = job
  let seen = 0
  const result = await shop.run({
    concurrency: 4,
    onEvent(event) {
      if (moment === undefined || (moment.event !== undefined && moment.event !== event.type)) return
      if (++seen !== moment.number) return
      if (moment.laterMs === undefined) kill(pid, 'SIGKILL')
      else stdout.write('now\n')
    },
  })
  stdout.write(`${result.loadId}\n`)
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) await main(JSON.parse(argv[2] ?? '{}'))
