import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { journalBucket } from '../../src/config/places/journalBucket.js'
import { restApi } from '../../src/config/restApi.js'
import { duckdb } from '../../src/destinations/duckdb/duckdb.js'
import { Secret } from '../../src/model/secrets/secret.js'
import { systemClock } from '../../src/pipeline/clock.js'
import { type Pipeline, pipeline } from '../../src/pipeline/pipeline.js'
import { type Ended, sluiceProcess } from '../cli/process.js'
import { startPostgres } from '../destinations/postgresServer.js'
import { ACCESS_KEY_ID, BUCKET, type S3Double, SECRET_ACCESS_KEY, startS3Double } from '../destinations/s3Server.js'

const PAGES = 6
const KEY = 'key-of-the-api-4711'
/** The journal is told to be in this folder of the bucket. */
const PREFIX = 'journals'

let folder: string
let api: Server
let s3: S3Double
let asked: number[]
/** Called for each page before it is answered. The answer waits for it. */
let beforePage: (page: number) => Promise<void> | void

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-bucket-'))
  s3 = await startS3Double()
  asked = []
  beforePage = () => {}
  api = createServer(async (request, response) => {
    const page = Number(new URL(request.url ?? '', 'http://localhost').searchParams.get('page'))
    asked.push(page)
    await beforePage(page)
    response.setHeader('content-type', 'application/json')
    const orders = [{ id: page, mail: `buyer-${page}@example.com`, echo: request.headers.authorization }]
    response.end(JSON.stringify({ pages: PAGES, orders }))
  })
  await new Promise<void>(resolve => api.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  api.closeAllConnections()
  api.close()
  await s3.close()
  await rm(folder, { recursive: true, force: true })
})

const address = () => `http://127.0.0.1:${(api.address() as AddressInfo).port}`
const orders = () => ({
  name: 'orders',
  primary_key: 'id',
  write_disposition: 'append' as const,
  mask: { mail: 'redact' as const },
  endpoint: {
    path: 'orders',
    data_selector: 'orders',
    paginator: { type: 'page_number' as const, base_page: 1, total_path: 'pages' },
  },
})
const document = () => ({
  client: { base_url: address(), auth: { type: 'bearer' as const, token: KEY } },
  resources: [orders()],
})

/** The pipeline as a machine with a working folder of its own has it. */
function machine(home: string, clock = systemClock): Pipeline {
  const credentials = { accessKeyId: ACCESS_KEY_ID, secretAccessKey: new Secret(SECRET_ACCESS_KEY) }
  return pipeline({
    name: 'shop',
    source: restApi(document(), { env: {}, cwd: folder }),
    destination: duckdb(join(folder, 'shop.duckdb')),
    dataset: 'shop_data',
    home: join(folder, home),
    journal: journalBucket(`s3://${BUCKET}/${PREFIX}`, { env: {}, s3: { endpoint: s3.url, credentials } }),
    clock,
  })
}

async function inFile(journal: string): Promise<string> {
  const file = join(folder, 'shop.json')
  const destination = 'duckdb:shop.duckdb'
  await writeFile(file, JSON.stringify({ name: 'shop', destination, dataset: 'shop_data', journal, ...document() }))
  return file
}

/** The command on a machine with this working folder. */
function sluice(
  home: string,
  command: readonly string[],
  started?: (running: { kill(signal: NodeJS.Signals): void }) => void,
) {
  const env = {
    SLUICE_HOME: join(folder, home),
    AWS_ACCESS_KEY_ID: ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY,
    AWS_ENDPOINT_URL: s3.url,
  }
  return sluiceProcess(command, { cwd: folder, env, ...(started === undefined ? {} : { started }) })
}

/** A run whose process is killed when it asks for a page, once the bucket has the page before. */
async function killedAt(page: number, command: readonly string[]): Promise<Ended> {
  let kill = (): void => {}
  beforePage = async now => {
    if (now !== page) return
    await stored(now - 1)
    kill()
    await new Promise(() => {})
  }
  const ended = await sluice('first', command, running => {
    kill = () => running.kill('SIGKILL')
  })
  beforePage = () => {}
  return ended
}

/** Resolves when the bucket has the answer with a page. */
async function stored(page: number): Promise<void> {
  while (!journaled().includes(`"id":${page},`)) await new Promise(resolve => setImmediate(resolve))
}

const journaled = () => [...s3.objects.values()].map(object => object.toString('latin1')).join('\n')
const numbered = () => [...s3.objects.keys()].filter(key => key.endsWith('.warc')).sort()
const count = async () => (await machine('reader').dataset().table('orders').rows()).length

describe('journals in a bucket', () => {
  it('let another machine go on with the page that a killed one had not read, and are gone after the commit', async () => {
    const file = await inFile(`s3://${BUCKET}/${PREFIX}`)
    const killed = await killedAt(4, ['run', file, '--concurrency', '1'])
    expect(killed.signal).toBe('SIGKILL')
    expect(asked).toEqual([1, 2, 3, 4])
    expect(numbered()[0]).toMatch(/^journals\/shop\/[\d.]+\/00000000\.warc$/)
    const ended = await sluice('second', ['run', file, '--concurrency', '1'])
    expect(ended).toMatchObject({ exitCode: 0 })
    expect(asked).toEqual([1, 2, 3, 4, 4, 5, 6])
    expect(await count()).toBe(PAGES)
    expect([...s3.objects.keys()]).toEqual([])
    // The first machine is back: what it has is of a load that is committed.
    expect(await sluice('first', ['run', file, '--concurrency', '1'])).toMatchObject({ exitCode: 0 })
    expect(asked.slice(7)).toEqual([1, 2, 3, 4, 5, 6])
    expect(await readdir(join(folder, 'first', 'shop', 'loads'))).toEqual([])
  })

  it('let another machine go on within the window of one that was killed', async () => {
    const server = await startPostgres()
    onTestFinished(() => server.stop())
    const file = join(folder, 'windows.json')
    const incremental = {
      cursor_path: 'id',
      initial_value: 0,
      start_param: 'since',
      end_param: 'until',
      window: { step: 100 },
    }
    const resource = { ...orders(), endpoint: { ...orders().endpoint, incremental } }
    const destination = server.url(await server.createDatabase())
    const journal = `s3://${BUCKET}/${PREFIX}`
    await writeFile(file, JSON.stringify({ name: 'shop', destination, journal, ...document(), resources: [resource] }))
    const command = ['backfill', file, '--resource', 'orders', '--to', '100', '--partition', '1/1']
    expect(await killedAt(4, command)).toMatchObject({ signal: 'SIGKILL' })
    const missing = asked.splice(0).filter(page => !journaled().includes(`"id":${page},`))
    expect(missing).toContain(4)
    expect(missing).not.toContain(3)
    expect(numbered()[0]).toMatch(/^journals\/shop\/windows\/[^/]+\/[\d.]+\/00000000\.warc$/)
    const ended = await sluice('second', [...command, '--claim-timeout', '5'])
    expect(ended).toMatchObject({ exitCode: 0 })
    expect(asked.sort()).toEqual(missing.sort())
    expect([...s3.objects.keys()]).toEqual([])
  }, 120_000)

  it('hold neither secrets nor what is masked', async () => {
    const file = await inFile(`s3://${BUCKET}/${PREFIX}`)
    await killedAt(4, ['run', file, '--concurrency', '1'])
    expect(journaled()).toContain('"id":3,')
    expect(journaled()).not.toContain(KEY)
    expect(journaled()).not.toContain('buyer-')
    expect(journaled()).not.toContain(SECRET_ACCESS_KEY)
  })

  it('are not taken from a run that is at work', async () => {
    let second: unknown
    beforePage = async page => {
      if (page === 3 && second === undefined)
        second = await machine('second')
          .run()
          .catch((error: unknown) => error)
    }
    await machine('first').run({ concurrency: 1 })
    expect(second).toMatchObject({ code: 'destination_locked', transient: true })
    expect(asked).toEqual([1, 2, 3, 4, 5, 6])
    expect(await count()).toBe(PAGES)
  })

  it('are of a machine elsewhere as long as its heartbeat goes on, and then of the next one', async () => {
    const stopping = new AbortController()
    beforePage = async page => {
      if (page !== 4) return
      await stored(3)
      stopping.abort()
    }
    // As if it had been killed: its heartbeat stays.
    s3.fault = request => (request.startsWith('DELETE') ? { status: 403, code: 'AccessDenied' } : undefined)
    await expect(machine('first').run({ concurrency: 1, signal: stopping.signal })).rejects.toMatchObject({
      code: 'aborted',
    })
    s3.fault = () => undefined
    beforePage = () => {}
    elsewhere()
    let isBeating = true
    const beat = [...s3.objects.keys()].find(key => key.endsWith('.beat')) ?? ''
    // A second of this clock is over at once.
    const clock = {
      ...systemClock,
      sleep: async () => {
        if (isBeating) s3.objects.set(beat, Buffer.from(new Date().toISOString()))
      },
    }
    await expect(machine('second', clock).run()).rejects.toMatchObject({ code: 'destination_locked' })
    isBeating = false
    const { warnings } = await machine('second', clock).run({ concurrency: 1 })
    expect(warnings.map(({ code }) => code)).toEqual(expect.arrayContaining(['lock_waited_for', 'lock_taken_over']))
    expect(asked).toEqual([1, 2, 3, 4, 4, 5, 6])
  })

  it.each([
    ['while it reads', 3],
    ['while it reads its last page', PAGES],
  ])('stop a run that lost its journal %s, before it commits', async (_, page) => {
    beforePage = now => {
      if (now !== page) return
      // What another machine that takes it up does first.
      for (let number = numbered().length; number < 20; number++) {
        const key = (numbered()[0] ?? '').replace('00000000', String(number).padStart(8, '0'))
        if (!s3.objects.has(key)) s3.objects.set(key, Buffer.from('another'))
      }
    }
    const failed = machine('first').run({ concurrency: 1 })
    await expect(failed).rejects.toMatchObject({
      code: 'destination_locked',
      message: expect.stringMatching(/another machine took over the journal of load [\d.]+/),
    })
    expect(
      await machine('reader')
        .dataset()
        .tables()
        .catch(() => []),
    ).toEqual([])
  })

  it('are whole although answers of the bucket were lost', async () => {
    const cut = new Set<string>()
    s3.fault = request => {
      if (!/^PUT .*\.warc/.test(request) || cut.has(request)) return undefined
      cut.add(request)
      return cut.size % 3 === 0 ? 'cut after doing it' : undefined
    }
    await machine('first').run({ concurrency: 1 })
    expect(cut.size).toBeGreaterThan(3)
    expect(await count()).toBe(PAGES)
    expect([...s3.objects.keys()]).toEqual([])
  })

  it('end a run when the bucket refuses a page, and the next one goes on', async () => {
    s3.fault = request =>
      /^PUT .*0000000[3-9]\.warc/.test(request) ? { status: 403, code: 'AccessDenied' } : undefined
    await expect(machine('first').run({ concurrency: 1 })).rejects.toMatchObject({
      message: expect.stringContaining(`s3://${BUCKET}/${PREFIX}/shop: PUT ${PREFIX}/shop/`),
    })
    s3.fault = () => undefined
    asked.length = 0
    await machine('second').run({ concurrency: 1 })
    expect(asked).toEqual([2, 3, 4, 5, 6])
    expect(await count()).toBe(PAGES)
  })

  it('are refused before anything is asked for if the bucket is not there', async () => {
    const file = await inFile(`s3://no-such-bucket/${PREFIX}`)
    const ended = await sluice('first', ['run', file])
    expect(ended.stderr).toContain('the bucket does not exist')
    expect(asked).toEqual([])
  })

  it.each([
    ['gs://loads/journals', /expected `s3:\/\/bucket\/prefix`; there are no journals at `gs:\/\/`/],
    ['shared/journals', /expected `s3:\/\/bucket\/prefix`; SLUICE_HOME names a folder that several machines share/],
    ['s3://loads/../x', /expected a plain prefix/],
    ['s3://loads?regoin=x', /there is no setting `regoin`; did you mean `region`/],
  ])('are not kept at %s', async (journal, message) => {
    const ended = await sluice('first', ['run', await inFile(journal)])
    expect(ended.exitCode).toBe(2)
    expect(ended.stderr).toMatch(message)
    expect(ended.stderr).toMatch(/shop\.json:1:\d+ journal/)
    expect(asked).toEqual([])
  })
})

/** Makes the claims in the bucket those of a process that cannot be seen from here. */
function elsewhere(): void {
  for (const [key, object] of s3.objects) {
    const [head = '', text = ''] = object.toString('latin1').split('\r\n\r\n')
    if (!head.includes('WARC-Type: metadata')) continue
    const block = text.replace(/"place":"./, '"place":"-').replace(/"host":"./, '"host":"-')
    const digest = crc32(block).toString(16).padStart(8, '0')
    const changed = [head.replace(/crc32:\w+/, `crc32:${digest}`), block, ''].join('\r\n\r\n')
    s3.objects.set(key, Buffer.from(changed, 'latin1'))
  }
}
