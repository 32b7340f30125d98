import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { pipeline, postgres, restApi } from '../../src/index.js'
import { testApi, testFolder } from '../pipeline/api.js'
import { pooler } from './pooler.js'
import { type PostgresServer, startPostgres } from './postgresServer.js'

/** What a pooler between Sluice and the server may do to sessions. */

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

/** Each load brings other values, and a record more. */
async function loads(url: string) {
  let round = 0
  const api = await testApi(() => ({ json: [1, 2, 3 + round].map(id => ({ id, round, tags: [{ round }] })) }))
  const under = pipeline({
    name: 'pooled',
    dataset: 'api_data',
    home: await testFolder(),
    destination: postgres(url),
    source: restApi(
      {
        client: { base_url: api.url },
        resources: [
          {
            name: 'items',
            primary_key: 'id',
            write_disposition: 'merge',
            endpoint: { path: 'items', paginator: 'single_page' },
          },
        ],
      },
      { env: {} },
    ),
  })
  return { under, advance: () => round++ }
}

const LEFT = `SELECT nspname FROM pg_namespace WHERE nspname IN ('api_data') OR nspname LIKE '\\_sluice%'
UNION ALL SELECT relname FROM pg_class WHERE relname LIKE '\\_sluice%'
UNION ALL SELECT 'lock' FROM pg_locks WHERE locktype = 'advisory'`

describe.each(['last used', 'longest idle'] as const)('with the %s session for the next', next => {
  test('a pooler that hands out sessions for one transaction is refused, and nothing is left in them', async () => {
    const database = await server.createDatabase()
    const url = await pooler(server, database, { mode: 'transaction', next })
    const { under } = await loads(url)
    for (const attempt of [() => under.run(), () => under.run(), () => under.dataset().tables()]) {
      await expect(attempt()).rejects.toMatchObject({
        code: 'destination',
        transient: false,
        message: expect.stringMatching(/transaction mode.*Connect to the pooler’s session mode/),
      })
    }
    expect(await server.sql(database, LEFT)).toEqual([])
  })

  test('a pooler that hands out sessions for a whole connection serves as the server does', async () => {
    const database = await server.createDatabase()
    const { under, advance } = await loads(await pooler(server, database, { mode: 'session', next }))
    for (const ids of [
      [1, 2, 3],
      [1, 2, 3, 4],
    ]) {
      await under.run()
      const rows = await server.sql(database, 'SELECT id::int FROM api_data.items ORDER BY id')
      expect(rows.map(({ id }) => id)).toEqual(ids)
      advance()
    }
    expect(await server.sql(database, `SELECT 1 FROM pg_locks WHERE locktype = 'advisory'`)).toEqual([])
  })
})

test('a pooler that refuses a setting of the connection is told what to ignore, and nobody is told to run again', async () => {
  const answer = Buffer.from('E\0\0\0\0SFATAL\0C08P01\0Munsupported startup parameter: client_encoding\0\0')
  answer.writeInt32BE(answer.length - 1, 1)
  const refusing = createServer(socket => {
    socket.on('error', () => socket.destroy())
    socket.once('data', () => socket.end(answer))
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void refusing.close())
  await once(refusing, 'listening')
  const { port } = refusing.address() as AddressInfo
  const { under } = await loads(`postgres://postgres:x@127.0.0.1:${port}/test?sslmode=disable`)
  await expect(under.run()).rejects.toMatchObject({
    code: 'destination',
    transient: false,
    message: expect.stringMatching(/refuses the setting client_encoding.*ignore_startup_parameters/),
  })
})
