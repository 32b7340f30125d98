import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../destinations/postgresServer.js'
import { testApi, testFolder } from '../pipeline/api.js'
import { sluiceProcess } from './process.js'

/** Ctrl-C while Postgres is busy with one long statement: the command ends, and so does the statement. */

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

/**
 * Ends only if it is cancelled: it tells the server to look for its client no more, and is deep in it once the server
 * has looked for the last time.
 */
const ENDLESS = `
  PERFORM set_config('client_connection_check_interval', '0', false);
  PERFORM pg_sleep(1.5);
  PERFORM set_config('application_name', 'deep', false);
  PERFORM pg_sleep(3600);`

/** Resolves when as many sessions as wanted are deep in the statement. */
async function deep(database: string, wanted: number): Promise<void> {
  const client = await server.client(database)
  try {
    for (let found = -1; found !== wanted; ) {
      const { rows } = await client.query(
        `SELECT count(*) AS found FROM pg_stat_activity WHERE application_name = 'deep' AND state = 'active'`,
      )
      found = Number(rows[0].found)
    }
  } finally {
    await client.end()
  }
}

async function pipelineFile(): Promise<{ database: string; folder: string; file: string }> {
  const [database, folder] = [await server.createDatabase(), await testFolder()]
  const { url } = await testApi(() => ({ json: [{ id: 1 }, { id: 2 }] }))
  const file = join(folder, 'things.json')
  const resources = [
    { name: 'things', primary_key: 'id', write_disposition: 'merge', endpoint: { paginator: 'single_page' } },
  ]
  await writeFile(file, JSON.stringify({ client: { base_url: url }, resources }))
  return { database, folder, file }
}

async function interrupted(args: readonly string[], database: string, folder: string) {
  return await sluiceProcess([...args, '--destination', server.url(database)], {
    cwd: folder,
    env: { SLUICE_HOME: join(folder, 'home') },
    started: running => void deep(database, 1).then(() => running.kill('SIGINT')),
  })
}

test('a query is cancelled at the server', { timeout: 60_000 }, async () => {
  const { database, folder, file } = await pipelineFile()
  await server.sql(
    database,
    `CREATE FUNCTION endless() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN ${ENDLESS} RETURN 1; END $$`,
  )
  const ended = await interrupted(['query', file, 'SELECT public.endless()'], database, folder)
  expect(ended).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringContaining('stopped by SIGINT') })
  await deep(database, 0)
})

test('a commit is cancelled at the server, nothing of it stays, and the next run loads everything once', {
  timeout: 60_000,
}, async () => {
  const { database, folder, file } = await pipelineFile()
  const run = ['run', file, '--destination', server.url(database)]
  const env = { SLUICE_HOME: join(folder, 'home') }
  expect(await sluiceProcess(run, { cwd: folder, env })).toMatchObject({ exitCode: 0 })
  await server.sql(
    database,
    `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${ENDLESS} RETURN NEW; END $$;
     CREATE TRIGGER slow BEFORE INSERT ON things_dataset.things FOR EACH ROW EXECUTE FUNCTION public.slow();
     TRUNCATE things_dataset.things`,
  )
  const ended = await interrupted(['run', file], database, folder)
  expect(ended).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('stopped by SIGINT') })
  await deep(database, 0)
  const counts = `SELECT (SELECT count(*) FROM things_dataset.things) AS things,
    (SELECT count(*) FROM things_dataset._dlt_loads) AS loads, (SELECT count(*) FROM things_dataset._sluice_receipts) AS receipts`
  expect(await server.sql(database, counts)).toEqual([{ things: '0', loads: '1', receipts: '1' }])

  await server.sql(database, 'DROP TRIGGER slow ON things_dataset.things')
  expect(await sluiceProcess(run, { cwd: folder, env })).toMatchObject({ exitCode: 0 })
  expect(await server.sql(database, counts)).toEqual([{ things: '2', loads: '2', receipts: '2' }])
})
