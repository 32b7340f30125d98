import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { expect, onTestFinished, test, vi } from 'vitest'
import { sluice } from '../../src/cli/program.js'
import { pipeline, postgres, restApi } from '../../src/index.js'
import { screen } from '../cli/screen.js'
import { testFolder } from '../pipeline/api.js'

/** A server that asks for the password in clear, and repeats it in its error: no door and no command shows it. */

const PASSWORD = 'p4ss+word/98"76ü'

async function talkativeServer(): Promise<string> {
  const server = createServer(socket => {
    let asked = false
    socket.on('error', () => {})
    socket.on('data', data => {
      if (data.length === 8 && data.readInt32BE(4) === SSL_REQUEST) return void socket.write('N')
      if (!asked) {
        asked = true
        return void socket.write(message('R', Buffer.from([0, 0, 0, 3])))
      }
      const said = data.subarray(5, data.length - 1).toString()
      socket.end(message('E', Buffer.from(`SFATAL\0VFATAL\0CXX000\0Mno pool for password=${said}\0Dsaw ${said}\0\0`)))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `postgres://someone:${encodeURIComponent(PASSWORD)}@127.0.0.1:${(server.address() as AddressInfo).port}/db`
}

const SSL_REQUEST = 80877103

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

const document = { client: { base_url: 'http://127.0.0.1:9' }, resources: ['items'] }

test('the errors of every door of the library hold no password that a server says again', async () => {
  const home = await testFolder()
  const made = pipeline({
    name: 'test',
    source: restApi(document, { env: {} }),
    destination: postgres({ connectionString: await talkativeServer() }),
    home,
  })
  const data = made.dataset()
  const items = data.table('items')
  const doors: Record<string, () => Promise<unknown>> = {
    run: () => made.run(),
    plan: () => made.plan(),
    drop: () => made.drop(['items']),
    'dry drop': () => made.drop(['items'], { dryRun: true }),
    resetState: () => made.resetState(['items']),
    schema: () => data.schema(),
    state: () => data.state(),
    tables: () => data.tables(),
    rows: () => items.rows(),
    first: () => items.first(),
    count: () => items.count(),
    batches: () => items.batches().next(),
    each: () => items[Symbol.asyncIterator]().next(),
    toParquet: () => items.toParquet(join(home, 'items.parquet')),
  }
  for (const [door, open] of Object.entries(doors)) {
    const error: unknown = await open().then(
      () => undefined,
      (failure: unknown) => failure,
    )
    expect(error, door).toMatchObject({ code: expect.any(String), message: expect.stringContaining('no pool for') })
    const shown = inspect(error, { depth: 10, showHidden: true })
    expect(shown, door).not.toContain(PASSWORD)
    expect(shown, door).not.toContain(JSON.stringify(PASSWORD).slice(1, -1))
  }
})

test.each([
  ['run'],
  ['show'],
  ['show', 'items'],
  ['schema'],
  ['types'],
  ['state'],
  ['state', '--reset', 'items'],
  ['drop', 'items', '--yes'],
  ['replay'],
  ['plan'],
])('the command %s shows no password that a server says again', async (command, ...rest) => {
  const folder = await testFolder()
  const file = join(folder, 'test.json')
  await writeFile(file, JSON.stringify(document))
  vi.stubEnv('SLUICE_HOME', join(folder, 'home'))
  onTestFinished(() => void vi.unstubAllEnvs())
  const [out, err] = [screen(), screen()]
  const destination = await talkativeServer()
  await sluice([command, file, ...rest, '--destination', destination, '--debug'], {
    terminal: { out, err },
    version: '0.0.0',
    signal: new AbortController().signal,
    now: () => 0,
  })
  const shown = out.text() + err.text()
  expect(shown).toContain('no pool for')
  expect(shown).not.toContain(PASSWORD)
  expect(shown).not.toContain(JSON.stringify(PASSWORD).slice(1, -1))
})
