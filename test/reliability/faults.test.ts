import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { restApi } from '../../src/config/restApi.js'
import { type Pipeline, pipeline } from '../../src/pipeline/pipeline.js'
import { life } from './simulation/life.js'
import { memoryDestination } from './simulation/memoryDestination.js'

/**
 * A list of three pages over real sockets, whose second page goes wrong: once, which asking again fixes, or
 * always, which ends the run with one clear error. Then nothing was committed, the first page is kept, and the run after
 * the API has recovered gives all records once without asking for that page again.
 */
type Talk = (socket: Socket, good: string) => void

const page = (number: number): string =>
  JSON.stringify({ records: [{ id: number * 2 }, { id: number * 2 + 1 }], pages: 3 })

function answer(body: string | Buffer, headers = '', status = '200 OK'): Buffer {
  const bytes = Buffer.from(body)
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${bytes.length}\r\n${headers}\r\n`
  return Buffer.concat([Buffer.from(head), bytes])
}

const packed = gzipSync(page(2))
const hourAgo = new Date(Date.now() - 3_600_000).toUTCString()

const faults: readonly (readonly [name: string, talk: Talk, code: string])[] = [
  ['a connection that is reset', socket => socket.resetAndDestroy(), 'connection'],
  ['a connection that is closed', socket => socket.end(), 'connection'],
  ...[10, 40, 60, 80, 100].map((at): readonly [string, Talk, string] => [
    `a reset at byte ${at}`,
    (socket, good) => socket.write(answer(good).subarray(0, at), () => socket.resetAndDestroy()),
    'connection',
  ]),
  ['no HTTP', socket => socket.end('SSH-2.0-OpenSSH_9.6\r\n\r\n'), 'connection'],
  ['a body shorter than its length', (socket, good) => socket.end(answer(good).subarray(0, -5)), 'connection'],
  [
    'a body longer than its length',
    (socket, good) =>
      socket.end(
        answer(good)
          .toString()
          .replace(/(content-length: )\d+/, '$15'),
      ),
    'response_format',
  ],
  [
    'chunks without an end',
    (socket, good) =>
      socket.end(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${good.length.toString(16)}\r\n${good}\r\n`),
    'connection',
  ],
  [
    'a chunk that lies about its length',
    (socket, good) => socket.end(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n${good}\r\n0\r\n\r\n`),
    'connection',
  ],
  [
    'a body that is not gzip',
    (socket, good) => socket.end(answer(good, 'content-encoding: gzip\r\n')),
    'response_format',
  ],
  [
    'half of a gzip body',
    socket => socket.end(answer(packed.subarray(0, packed.length - 9), 'content-encoding: gzip\r\n')),
    'connection',
  ],
  ['a head that does not come', () => {}, 'timeout'],
  ['a body that stops', (socket, good) => socket.write(answer(good).subarray(0, -5)), 'timeout'],
  ['status 429', socket => socket.end(answer('{}', 'retry-after: 0\r\n', '429 Too Many Requests')), 'http_status'],
  [
    'status 429 until a time that has passed by the clock of the server',
    socket => socket.end(answer('{}', `date: ${hourAgo}\r\nretry-after: ${hourAgo}\r\n`, '429 Too Many Requests')),
    'http_status',
  ],
  ['status 500', socket => socket.end(answer('sorry', '', '500 Oops')), 'http_status'],
]

/** Asking again does not help, or is not tried. */
const finalFaults: readonly (readonly [name: string, talk: Talk, code: string])[] = [
  ['JSON that is cut off', (socket, good) => socket.end(answer(good.slice(0, 20))), 'response_format'],
  ['a page of HTML', socket => socket.end(answer('<html>maintenance</html>')), 'response_format'],
  ['status 304', socket => socket.end('HTTP/1.1 304 Not Modified\r\n\r\n'), 'http_status'],
  ['status 403', socket => socket.end(answer('{}', '', '403 Forbidden')), 'http_status'],
  [
    'redirects in a circle',
    socket => socket.end('HTTP/1.1 302 Found\r\nlocation: /list?page=2\r\ncontent-length: 0\r\n\r\n'),
    'http_status',
  ],
  [
    'a redirect to a file',
    socket => socket.end('HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n'),
    'forbidden_url',
  ],
  ['no records although there are more', socket => socket.end(answer('{"records":[],"pages":3}')), 'incomplete'],
]

/** Odd, and right. */
const oddities: readonly (readonly [name: string, talk: Talk])[] = [
  ['1xx before the answer', (socket, good) => socket.end(`HTTP/1.1 103 Early Hints\r\n\r\n${answer(good)}`)],
  ['status 206', (socket, good) => socket.end(answer(good, '', '206 Partial Content'))],
  ['one byte at a time', (socket, good) => drip(socket, answer(good))],
  ['no length, ended by closing', (socket, good) => socket.end(`HTTP/1.1 200 OK\r\n\r\n${good}`)],
  ['gzip', socket => socket.end(answer(packed, 'content-encoding: gzip\r\n'))],
  [
    'a redirect to the same list',
    socket => socket.end('HTTP/1.1 307 Moved\r\nlocation: /elsewhere?page=2\r\ncontent-length: 0\r\n\r\n'),
  ],
]

function drip(socket: Socket, bytes: Buffer): void {
  let at = 0
  const next = (): void => {
    if (at === bytes.length) socket.end()
    else socket.write(bytes.subarray(at++, at), next)
  }
  next()
}

let home: string
let origin: string
let talk: Talk | undefined
let times: number
let asked: string[]
let close: () => Promise<void>

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'sluice-faults-'))
  asked = []
  const open = new Set<Socket>()
  const server = createServer(socket => {
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
    socket.on('data', data => {
      const path = data.toString().split(' ')[1] ?? ''
      asked.push(path)
      const number = Number(new URL(path, 'http://x').searchParams.get('page'))
      if (number === 2 && path.startsWith('/list') && talk !== undefined && times-- > 0) talk(socket, page(2))
      else socket.write(answer(page(number)))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  close = () =>
    new Promise(resolve => {
      server.close(() => resolve())
      for (const socket of open) socket.destroy()
    })
})

afterEach(async () => {
  await close()
  await rm(home, { recursive: true, force: true })
})

function listPipeline(destination: ReturnType<typeof memoryDestination>, baseUrl = origin): Pipeline {
  const source = restApi(
    {
      client: { base_url: baseUrl },
      resources: [
        {
          name: 'list',
          endpoint: {
            path: 'list',
            data_selector: 'records',
            paginator: { type: 'page_number', base_page: 1, total_path: 'pages' },
            retry: { attempts: 2, base: 0.001 },
            timeout: 0.4,
          },
        },
      ],
    },
    { env: {}, cwd: home },
  )
  return pipeline({ name: 'list', source, destination: destination.of(life()), home })
}

const ids = (destination: ReturnType<typeof memoryDestination>): readonly number[] =>
  (destination.stored.tables.get('list') ?? []).map(row => Number(row.id)).sort((a, b) => a - b)

async function failsThenRecovers(code: string, pagesAreKept: boolean): Promise<void> {
  const destination = memoryDestination()
  times = Number.POSITIVE_INFINITY
  await expect(listPipeline(destination).run({ concurrency: 1 })).rejects.toMatchObject({ code })
  expect(destination.stored.loads).toEqual([])
  talk = undefined
  const before = asked.length
  const { receipts } = await listPipeline(destination).run({ concurrency: 1 })
  expect(ids(destination)).toEqual([2, 3, 4, 5, 6, 7])
  expect(receipts[0]).toMatchObject({ verdict: 'complete', pages: 3, pagesFromJournal: pagesAreKept ? 1 : 0 })
  expect(asked.slice(before).includes('/list?page=1')).toBe(!pagesAreKept)
}

describe('one page goes wrong', () => {
  it.each(faults)('%s: asking again fixes it', async (_name, fault) => {
    talk = fault
    times = 1
    const destination = memoryDestination()
    // Where the length is too short, the answer arrives whole and is not JSON: that is final.
    const run = listPipeline(destination).run({ concurrency: 1 })
    if (_name.startsWith('a body longer')) {
      await expect(run).rejects.toMatchObject({ code: 'response_format' })
      expect(destination.stored.loads).toEqual([])
      return
    }
    await run
    expect(ids(destination)).toEqual([2, 3, 4, 5, 6, 7])
  })

  it.each(faults)('%s, always: one clear error, the pages are kept', async (name, fault, code) => {
    talk = fault
    await failsThenRecovers(code, !name.startsWith('a body longer'))
  })

  it.each(finalFaults)('%s: one clear error, and the next run recovers', async (_name, fault, code) => {
    talk = fault
    await failsThenRecovers(code, code === 'http_status' || code === 'forbidden_url')
  })

  it.each(oddities)('%s is read', async (_name, oddity) => {
    talk = oddity
    times = 1
    const destination = memoryDestination()
    await listPipeline(destination).run({ concurrency: 1 })
    expect(ids(destination)).toEqual([2, 3, 4, 5, 6, 7])
  })
})

describe('an API that cannot be reached', () => {
  it.each([
    ['nothing listens', (): string => 'http://127.0.0.1:1/', /nothing listens at 127\.0\.0\.1:1/],
    ['the name is not known', (): string => 'http://no-such-host.invalid/', /no-such-host\.invalid/],
    ['it does not speak TLS', (): string => origin.replace('http:', 'https:'), /does not answer with TLS/],
  ] as const)('%s: the error says so', async (_name, url, message) => {
    const destination = memoryDestination()
    await expect(listPipeline(destination, url()).run()).rejects.toMatchObject({
      code: 'connection',
      message: expect.stringMatching(message),
    })
    expect(destination.stored.loads).toEqual([])
    expect(await readdir(join(home, 'list', 'loads'))).toHaveLength(1)
  })
})
