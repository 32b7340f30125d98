/** A process that merges into a lake: `mergeIntoLake.mjs <address> <name> <loads>`. Each load has a key of all and one of its own. */
import { argv } from 'node:process'
import { destinationFromUrl, pipeline, restApi } from '../../../dist/index.js'

const [address = '', name = '', loads = '0'] = argv.slice(2)
const destination = await destinationFromUrl(address)
for (let load = 0; load < Number(loads); load++) {
  const records = [
    { id: 'shared', by: name, number: load },
    { id: `${name}-${load}`, by: name, number: load },
  ]
  const source = restApi({
    client: { base_url: 'https://api.example.com' },
    resources: [{ name: 'marks', records, primary_key: 'id', write_disposition: 'merge' }],
  })
  await pipeline({ name, source, destination, dataset: 'marks', home: argv[5] }).run()
}
