import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import {
  type PipelineOptions,
  pipeline,
  postgres,
  restApi,
  SluiceError,
  type TransportResponse,
} from '../../src/index.js'
import { type PostgresServer, startPostgres } from './postgresServer.js'

/**
 * A server, or what lies between, that keeps its connections open and says nothing more. A run ends when it is stopped,
 * and says of a commit only what it knows. The next run loads every record once.
 */

let server: PostgresServer
let home: string
beforeAll(async () => {
  server = await startPostgres()
  home = await mkdtemp(join(tmpdir(), 'sluice-silence-'))
})
afterAll(async () => {
  await server.stop()
  await rm(home, { recursive: true, force: true })
})

/** What gets lost: the first message of the client that `isLost` accepts, or the answer to it, and all that follows. */
interface Silence {
  readonly lost: 'message' | 'answer'
  isLost(message: string): boolean
  onSilence?(): void
}

/** The server behind a port that goes silent. Resolves with its address. */
async function behind(database: string, { lost, isLost, onSilence }: Silence): Promise<string> {
  let isSilent = false
  const proxy = createServer(client => {
    const upstream = connect(server.port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      socket.on('error', () => {})
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
      })
    }
    client.on('data', data => {
      if (isSilent) return
      isSilent = isLost(data.toString('latin1'))
      if (!isSilent || lost === 'answer') upstream.write(data)
      if (isSilent) onSilence?.()
    })
    upstream.on('data', data => {
      if (!isSilent) client.write(data)
    })
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void proxy.close())
  const url = new URL(server.url(database))
  url.port = String((proxy.address() as AddressInfo).port)
  url.searchParams.set('sslmode', 'disable')
  return url.href
}

const transport = async (): Promise<TransportResponse> => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: (async function* () {
    yield Buffer.from('[{"id":1,"tags":["a"]},{"id":2,"tags":[]},{"id":3}]')
  })(),
})

function shops(destination: PipelineOptions['destination'], folder: string) {
  return pipeline({
    name: 'shops',
    source: restApi({
      client: { base_url: 'https://api.example.com', paginator: 'single_page', transport },
      resources: [{ name: 'shops', primary_key: 'id', write_disposition: 'merge', endpoint: 'shops' }],
    }),
    destination,
    dataset: 'crm',
    home: folder,
  })
}

const idsIn = async (database: string): Promise<unknown> =>
  (await server.sql(database, 'SELECT id::int FROM crm.shops ORDER BY id')).map(({ id }) => id)

describe('a server that goes silent', () => {
  test.each([
    ['while it takes the settings of a session', 'set_config', 'connecting'],
    ['while it takes the lock of the pipeline', 'pg_advisory_lock', 'taking the lock of the pipeline'],
  ])('%s is not waited for longer than a connection may take', async (_, text, doing) => {
    const database = await server.createDatabase()
    const connectionString = await behind(database, { lost: 'message', isLost: message => message.includes(text) })
    const destination = postgres({ connectionString, connectTimeoutMs: 300, lockTimeoutMs: 300 })
    await expect(shops(destination, await mkdtemp(join(home, 'p-'))).run()).rejects.toMatchObject({
      code: 'destination',
      transient: true,
      message: expect.stringContaining(`the server did not answer in time (while ${doing})`),
    })
  })

  test.each(['message', 'answer'] as const)(
    'at any %s ends the run that is stopped, whose commit is known or told as unknown',
    async lost => {
      const codes = new Set<string>()
      // The outcomes of a lost message are fewer.
      for (let silentAt = 1; ; silentAt += lost === 'answer' ? 1 : 3) {
        const [database, folder, controller] = [
          await server.createDatabase(),
          await mkdtemp(join(home, 'p-')),
          new AbortController(),
        ]
        let messages = 0
        const url = await behind(database, {
          lost,
          isLost: () => ++messages === silentAt,
          onSilence: () => controller.abort(new Error('stopped by the test')),
        })
        const result = await shops(postgres(url), folder)
          .run({ signal: controller.signal })
          .catch((error: unknown) => error)
        if (messages < silentAt) break
        const isThere = await server
          .sql(database, 'SELECT 1 FROM crm.shops')
          .then(rows => rows.length > 0)
          .catch(() => false)
        const code = result instanceof SluiceError ? result.code : result instanceof Error ? String(result) : 'loaded'
        codes.add(code)
        if (code === 'loaded') expect(isThere).toBe(true)
        else
          expect([code, isThere]).toEqual(code === 'commit_unknown' ? [code, expect.any(Boolean)] : ['aborted', false])

        await shops(postgres(server.url(database)), folder).run()
        expect(await idsIn(database)).toEqual([1, 2, 3])
      }
      expect([...codes]).toEqual(
        expect.arrayContaining(lost === 'answer' ? ['aborted', 'commit_unknown', 'loaded'] : ['aborted']),
      )
    },
    120_000,
  )
})
