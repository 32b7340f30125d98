/**
 * Gets a token anew, again and again, as one of several processes that share a refresh token: `renewer.mjs <job>`, a job
 * being JSON. It takes every token for one that has ended. Prints how many requests were answered.
 */
import { argv, stdout } from 'node:process'
import { duckdb, fetchTransport, pipeline, restApi } from '../../dist/index.js'

const { url, auth, home, rounds } = JSON.parse(argv[2] ?? '{}')

/** Says of every token that it has ended. */
const transport = fetchTransport(async (address, init) => {
  const answer = await fetch(address, init)
  if (!address.endsWith('/token') || !answer.ok) return answer
  return Response.json({ ...(await answer.json()), expires_in: 0 })
})
const source = restApi({ client: { base_url: url, auth, transport }, resources: ['things'] }, { env: {}, cwd: home })
const things = pipeline({ name: 'things', source, destination: duckdb(':memory:'), home })
let answered = 0
for (let round = 0; round < rounds; round++) {
  const { resources } = await things.check()
  answered += resources[0].records
}
stdout.write(`${answered}\n`)
