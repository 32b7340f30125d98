import { duckdb, pipeline, restApi } from 'sluice'
import { report } from './report.mjs'

/**
 * Several loads in one process, each into a file of its own: `together.mjs <document> <folder> <loads> <at once | in sequence>`. Prints
 * what all of them cost, as JSON.
 */
const [document = '{}', folder = '', loads = '1', order = 'in sequence'] = process.argv.slice(2)

/** @param {number} number */
async function load(number) {
  const source = restApi(JSON.parse(document))
  const destination = duckdb(`${folder}/${number}.duckdb`)
  await pipeline({ name: `bench${number}`, source, destination, dataset: 'bench', home: `${folder}/home` }).run()
}

await report(async () => {
  const numbers = Array.from({ length: Number(loads) }, (_, index) => index)
  if (order === 'at once') await Promise.all(numbers.map(load))
  else for (const number of numbers) await load(number)
  return {}
})
