import { stat } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { inDuckdb } from '../pipeline/sqlPlaces.js'
import { VISITS_A_PAGE, VISITS_PAGES } from './api.js'
import { journaled, testCrashes } from './crash.js'
import { places } from './places.js'
import { type Job, loaderProcess, shopPipeline } from './process.js'

const matrix = testCrashes(places.duckdb)

/** A file of DuckDB without rows is far smaller, as one is whose transaction has written none. */
const BYTES_OF_ROWS = 2 * 2 ** 20

it('a load that is killed while its rows are already going into their tables is finished by the next run, once', {
  timeout: 120_000,
}, async () => {
  const { api, folder, room } = matrix()
  const account = 'visitors'
  const destination = await room.make(account)
  const file = destination.replace('duckdb:', '')
  const job: Job = {
    url: api.url(account),
    home: `${folder}/homes/${account}`,
    destination,
    disposition: 'merge',
    list: 'visits',
  }
  const shop = await shopPipeline(job)
  const pages = Array.from({ length: VISITS_PAGES }, (_, index) => `/visits?page=${index + 1}`)
  const last = pages.at(-1)
  const gate = api.hold(account, path => path === last)
  const first = loaderProcess(job)
  // The last page is held back, so this is no commit.
  while (((await stat(file).catch(() => undefined))?.size ?? 0) < BYTES_OF_ROWS) await turn()
  first.kill()
  expect(await first.ended).toMatchObject({ signal: 'SIGKILL' })
  gate.release()
  const kept = (await journaled(job.home, account)) ?? []
  const missing = pages.filter(page => !kept.includes(page)).sort()
  expect(missing).toContain(last)
  {
    await using connection = await shop.destination.connect(shop.datasetName)
    expect(await connection.inspect()).toEqual(new Map())
  }

  const from = api.asked(account).length
  const second = loaderProcess({ ...job, moment: { event: 'committing', number: 1 } })
  expect((await second.ended).signal).toBe('SIGKILL')
  expect(api.asked(account).slice(from).sort()).toEqual(missing)

  const { receipts } = await shop.run()
  expect(api.asked(account).slice(from).sort()).toEqual(missing)
  expect(receipts).toMatchObject([{ verdict: 'complete', pages: VISITS_PAGES, pagesFromJournal: VISITS_PAGES }])
  const total = VISITS_PAGES * VISITS_A_PAGE
  expect(await inDuckdb(file, 'SELECT count(*), count(DISTINCT id), max(id) FROM shop_data.visits')).toEqual([
    [total, total, total - 1].map(BigInt),
  ])
  expect(await inDuckdb(file, 'SELECT count(*) FROM shop_data._dlt_loads')).toEqual([[1n]])
})

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
