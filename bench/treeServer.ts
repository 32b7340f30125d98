import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * An API of many small lists, in a process of its own: `treeServer.ts <parents> <delay ms>`. `GET /parents?page=1` answers 1,000 parents
 * with their total, `GET /parents/7/children` three records of a parent, `GET /lists/7` a list of two records. Prints its address once it
 * listens.
 */
const PAGE = 1000
const [parents = 0, delayMs = 0] = process.argv.slice(2).map(Number)

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
  const body = Buffer.from(JSON.stringify(answer(pathname.split('/'), Number(searchParams.get('page') ?? 1))))
  const send = (): void => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    response.end(body)
  }
  if (delayMs === 0) send()
  else setTimeout(send, delayMs)
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))

function answer([, kind, id]: readonly string[], page: number): unknown {
  const number = Number(id)
  if (kind === 'lists') return { data: [1, 2].map(place => record(number * 2 + place)) }
  if (id !== undefined) return { data: [1, 2, 3].map(place => record(number * 3 + place)) }
  const first = (page - 1) * PAGE
  const ids = Array.from({ length: Math.max(Math.min(PAGE, parents - first), 0) }, (_, index) => first + index + 1)
  return { data: ids.map(record), total: parents }
}

function record(id: number): unknown {
  return { id, name: `record ${id}`, at: '2026-01-02T03:04:05Z', amount: id / 4, is_open: id % 2 === 0 }
}
