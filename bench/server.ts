import { type FileHandle, open } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * A paged API over a file of one record a line, in a process of its own: `server.ts <file> <records a page> <delay ms>`.
 * `GET /?page=1` answers `{"data":[…],"total_pages":n,"next":2}`, and `GET /?since=1` the page
 * that begins with that record, as if it were the only one. Prints its address once it listens. It shares the machine with what is
 * measured, so that it has the pages ready in memory unless they are too large for that.
 */
const [path = '', pageSize = '1000', delayMs = '0'] = process.argv.slice(2)
const file = await open(path)
const MOST_IN_MEMORY = 1 << 30
const { size } = await file.stat()
const ready = size <= MOST_IN_MEMORY ? withCommas(await file.readFile()) : undefined
const pages = await pageSpans(file, Number(pageSize))
const head = '{"data":['
const tailOf = (page: number, total: number): string =>
  `],"total_pages":${total},"next":${page < total ? page + 1 : null}}`
let inFlight = 0
let mostInFlight = 0

const server = createServer((request, response) => {
  const { searchParams, pathname } = new URL(request.url ?? '/', 'http://localhost')
  if (pathname === '/most_in_flight') {
    response.end(String(mostInFlight))
    mostInFlight = 0
    return
  }
  mostInFlight = Math.max(mostInFlight, ++inFlight)
  const answer = async (): Promise<void> => {
    const since = searchParams.get('since')
    const page = Number(searchParams.get('page') ?? Math.ceil(Number(since ?? 1) / Number(pageSize)))
    const tail = since === null ? tailOf(page, pages.length) : tailOf(1, 1)
    const records = await pageRecords(page)
    const length = head.length + records.length + tail.length
    response.cork()
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': length })
    response.write(head, 'latin1')
    response.write(records)
    response.end(tail, 'latin1')
    response.uncork()
    inFlight--
  }
  if (delayMs === '0') void answer()
  else setTimeout(() => void answer(), Number(delayMs))
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))

async function pageRecords(page: number): Promise<Buffer> {
  const { start, end } = pages[page - 1] ?? { start: 0, end: 0 }
  if (ready !== undefined) return ready.subarray(start, end)
  const records = Buffer.allocUnsafe(end - start)
  await file.read(records, 0, records.length, start)
  return withCommas(records)
}

/** The same with commas for line ends: inside of records JSON has none. */
function withCommas(records: Buffer): Buffer {
  for (let at = records.indexOf(0x0a); at >= 0; at = records.indexOf(0x0a, at + 1)) records[at] = 0x2c
  return records
}

async function pageSpans(source: FileHandle, records: number): Promise<readonly { start: number; end: number }[]> {
  const spans: { start: number; end: number }[] = []
  const part = Buffer.allocUnsafe(8 << 20)
  let start = 0
  let lines = 0
  let position = 0
  for (;;) {
    const { bytesRead } = await source.read(part, 0, part.length, position)
    if (bytesRead === 0) break
    for (let at = part.indexOf(0x0a); at >= 0 && at < bytesRead; at = part.indexOf(0x0a, at + 1)) {
      if (++lines % records !== 0) continue
      spans.push({ start, end: position + at })
      start = position + at + 1
    }
    position += bytesRead
  }
  if (start < position) spans.push({ start, end: position - 1 })
  return spans
}
