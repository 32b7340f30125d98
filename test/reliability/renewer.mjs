/**
 * Gets a token anew, again and again, as one of several processes that share a refresh token: `renewer.mjs <job>`, a job
 * being JSON. It takes every token for one that has ended. Prints how many requests were answered.
 *
 * `killedAt` kills the process: `answer` once the token server has answered, `rename` once the tokens are written and do not
 * have their name yet.
 */
import files from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { argv, kill, pid, stdout } from 'node:process'

const { url, auth, home, rounds, killedAt } = JSON.parse(argv[2] ?? '{}')

const { rename } = files
files.rename = async (from, to) => {
  if (killedAt === 'rename' && String(to).endsWith('tokens.json')) kill(pid, 'SIGKILL')
  await rename(from, to)
}
syncBuiltinESMExports()
const { duckdb, fetchTransport, pipeline, restApi } = await import('../../dist/index.js')

/** Says of every token that it has ended. */
const transport = fetchTransport(async (address, init) => {
  const answer = await fetch(address, init)
  if (!address.endsWith('/token') || !answer.ok) return answer
  const granted = await answer.json()
  if (killedAt === 'answer') kill(pid, 'SIGKILL')
  return Response.json({ ...granted, expires_in: 0 })
})
const source = restApi({ client: { base_url: url, auth, transport }, resources: ['things'] }, { env: {}, cwd: home })
const things = pipeline({ name: 'things', source, destination: duckdb(':memory:'), home })
let answered = 0
for (let round = 0; round < rounds; round++) {
  const { resources } = await things.check()
  answered += resources[0].records
}
stdout.write(`${answered}\n`)
