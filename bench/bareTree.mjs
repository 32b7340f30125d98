import { Pool } from 'undici'
import { report } from './report.mjs'

/** The requests of a tree by a bare client that parses the answers: `bareTree.mjs <url> <parents> <in flight>`. */
const [url = '', parents = '0', inFlight = '16'] = process.argv.slice(2)
const pool = new Pool(url, { connections: Number(inFlight) })

/** @param {string} path */
async function listAt(path) {
  const { body } = await pool.request({ path, method: 'GET' })
  return JSON.parse(await body.text()).data
}

await report(async () => {
  const lists = []
  for (let page = 1; page <= Math.ceil(Number(parents) / 1000); page++) {
    const ids = (await listAt(`/parents?page=${page}`)).map(({ id }) => id)
    const readRest = async () => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) lists.push(await listAt(`/parents/${id}/children`))
    }
    await Promise.all(Array.from({ length: Number(inFlight) }, readRest))
  }
  return { lists: lists.length }
})
await pool.close()
