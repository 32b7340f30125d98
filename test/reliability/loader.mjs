/**
 * Loads the shop's API, in this process or as one of its own that is going to be killed:
 * `loader.mjs <job>`, a job being JSON. It prints `started` when the run begins, and kills itself at the moment that the
 * job names: the n-th event of a type, so many milliseconds after the start of the commit, or after the run.
 */
import { argv, kill, pid, stdout } from 'node:process'
import { pathToFileURL } from 'node:url'
import { destinationFromUrl, pipeline, restApi } from '../../dist/index.js'

/** @param {{ url: string, home: string, destination: string, disposition: string }} job */
export async function shopPipeline({ url, home, destination, disposition }) {
  const incremental = disposition === 'incremental'
  const document = {
    client: { base_url: url },
    resource_defaults: { primary_key: 'id', write_disposition: incremental ? 'merge' : disposition },
    resources: [
      {
        name: 'orders',
        endpoint: {
          path: 'orders',
          data_selector: 'orders',
          paginator: { type: 'page_number', base_page: 1, total_path: 'pages' },
          ...(incremental && { incremental: { cursor_path: 'changed', start_param: 'since', initial_value: 0 } }),
        },
      },
      { name: 'shops', endpoint: { path: 'shops', data_selector: 'shops', paginator: 'single_page' } },
      {
        name: 'staff',
        endpoint: { path: 'shops/{resources.shops.id}/staff', data_selector: 'staff', paginator: { type: 'cursor' } },
      },
    ],
  }
  return pipeline({
    name: 'shop',
    source: restApi(document, { env: {}, cwd: home }),
    destination: await destinationFromUrl(destination),
    dataset: 'shop_data',
    home,
  })
}

async function main(job) {
  const shop = await shopPipeline(job)
  const { moment } = job
  const die = () => kill(pid, 'SIGKILL')
  const seen = new Map()
  stdout.write('started\n')
  const result = await shop.run({
    concurrency: 4,
    onEvent(event) {
      const number = (seen.get(event.type) ?? 0) + 1
      seen.set(event.type, number)
      if (moment?.event === event.type && moment.number === number) die()
      if (moment?.commitMs !== undefined && event.type === 'committing') setTimeout(die, moment.commitMs)
    },
  })
  if (moment?.event === 'done') die()
  stdout.write(`${result.loadId}\n`)
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) await main(JSON.parse(argv[2] ?? '{}'))
