import { type FileHandle, open } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * A paged API over a file of one record a line, in a process of its own: `server.ts <file> <records a page> <delay ms>`.
 * `GET /?page=1` answers `{"data":[…],"total_pages":n}`. Prints its address once it listens.
 */
const [path = '', pageSize = '1000', delayMs = '0'] = process.argv.slice(2)
const file = await open(path)
const pages = await pageSpans(file, Number(pageSize))
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
    const body = await pageBody(Number(searchParams.get('page') ?? 1))
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    response.end(body)
    inFlight--
  }
  if (delayMs === '0') void answer()
  else setTimeout(() => void answer(), Number(delayMs))
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))

async function pageBody(page: number): Promise<Buffer> {
  const span = pages[page - 1]
  const head = '{"data":['
  const tail = `],"total_pages":${pages.length}}`
  const length = span === undefined ? 0 : span.end - span.start
  const body = Buffer.allocUnsafe(head.length + length + tail.length)
  body.write(head)
  body.write(tail, head.length + length)
  if (span === undefined) return body
  const records = body.subarray(head.length, head.length + length)
  await file.read(records, 0, length, span.start)
  // Line ends become commas: inside of records JSON has none.
  for (let at = records.indexOf(0x0a); at >= 0; at = records.indexOf(0x0a, at + 1)) records[at] = 0x2c
  return body
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
