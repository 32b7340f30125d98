import { Client } from 'pg'
import { expect, it } from 'vitest'
import { testCrashes } from './crash.js'
import { places } from './places.js'
import { loaderProcess } from './process.js'

const matrix = testCrashes(places.postgres)

/** Sessions of loads that wait, for the table or for the lock of their pipeline. */
const WAITING = `SELECT l.pid FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE NOT l.granted AND a.datname = current_database() AND a.application_name LIKE 'sluice%'`

it('a load that is killed while the server is busy with its commit is finished by the next run, once', async () => {
  const { begin, finish } = matrix()
  const attempt = await begin('merge', 'second')
  const connectionString = attempt.job.destination
  const dashboard = new Client({ connectionString })
  const observer = new Client({ connectionString })
  try {
    await dashboard.connect()
    await observer.connect()
    const waiting = async (): Promise<number[]> => (await observer.query(WAITING)).rows.map(({ pid }) => Number(pid))
    await dashboard.query('BEGIN; LOCK TABLE shop_data.orders IN ACCESS EXCLUSIVE MODE')
    const killed = loaderProcess(attempt.job)
    let busy: number[] = []
    while (busy.length === 0) busy = await waiting()
    killed.kill()
    expect((await killed.ended).signal).toBe('SIGKILL')
    // Its session waits for the table and holds the lock of the pipeline, until the server notices that nobody is there.
    let isOver = false
    const finishing = finish(attempt, undefined).finally(() => {
      isOver = true
    })
    while (!isOver && (await waiting()).every(pid => busy.includes(pid)));
    await dashboard.query('ROLLBACK')
    await finishing
  } finally {
    await dashboard.end()
    await observer.end()
  }
})
