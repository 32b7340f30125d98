import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { onTestFinished } from 'vitest'
import { type Seen, serve } from '../rest/clientServer.js'

export const PASSWORD = 'correct-horse-battery'
export const SESSION = 'sess-7b1c0f6ee2a94d0c'
export const COOKIE = 'cook-51ae77d0912f4b77'

const ANN = 'ann@example.com'

/** A shop with a login, cursors, children, a search by POST and by GraphQL, a compressed list and an export. */
export async function shopApi() {
  let polls = 0
  const { seen, origin, close } = await serve((request, response) => {
    const { method, url } = request
    const at = new URL(url, 'http://shop.test')
    const isIn = request.headers.authorization === `Bearer ${SESSION}`
    const send = (value: unknown, status = 200, headers: Record<string, string> = {}): void => {
      response.writeHead(status, {
        'content-type': 'application/json',
        'x-request-id': `r${Math.random()}`,
        ...headers,
      })
      response.end(JSON.stringify(value))
    }
    if (url === '/login') {
      const ok = request.body.includes(PASSWORD)
      send(ok ? { token: SESSION, user: ANN, expires_in: 3600 } : {}, ok ? 200 : 401, {
        'set-cookie': `sid=${COOKIE}; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT`,
      })
    } else if (!isIn) send({ error: 'who are you' }, 401)
    else if (at.pathname === '/orders')
      send(orders(at.searchParams.get('cursor'), origin), 200, { 'set-cookie': COOKIE })
    else if (at.pathname.endsWith('/items')) send([{ item: `${at.pathname}#1`, price: 1.5 }])
    else if (at.pathname === '/search') send({ hits: [{ id: 1, asked: JSON.parse(request.body).q }] })
    else if (at.pathname === '/graphql') send({ data: { shops: [{ id: 1, name: 'Nord' }] } })
    else if (at.pathname === '/packed') {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
      response.end(gzipSync('[{"id":1,"big":7190000000000000003}]'))
    } else if (at.pathname === '/exports' && method === 'POST') send({ id: 7 })
    else if (at.pathname === '/exports/7')
      send(++polls % 2 === 1 ? { status: 'busy' } : { status: 'done', url: '/files/7' })
    else if (at.pathname === '/files/7') response.end('{"id":1}\n{"id":2}\n')
    else send({ error: 'not here' }, 404)
  })
  onTestFinished(() => close())
  return { origin, seen, close }
}

/** Three pages of two orders. */
function orders(cursor: string | null, origin: string): unknown {
  const page = Number(cursor ?? 0)
  const rows = [1, 2].map(number => ({
    id: page * 2 + number,
    buyer: { email: ANN, city: 'Bern' },
    at: '2026-01-02T03:04:05Z',
    tags: ['a', 'b'],
  }))
  return { orders: rows, next: page < 2 ? `${origin}/orders?cursor=${page + 1}&session=${SESSION}` : null }
}

export function shopDocument(origin: string): string {
  return `client:
  base_url: "${origin}"
  auth: { type: login, path: login, json: { password: "\${secrets.shop_password}" }, token_path: token, expires_in_path: expires_in }
resources:
  - name: orders
    primary_key: id
    write_disposition: merge
    endpoint: { path: orders, data_selector: orders, paginator: { type: json_link, next_url_path: next } }
    mask: { buyer.email: redact }
  - name: items
    endpoint: { path: "orders/{resources.orders.id}/items" }
    include_from_parent: [id]
  - name: found
    endpoint: { path: search, method: POST, json: { q: shoes, since: "2026-01-01" }, data_selector: hits }
  - name: shops
    endpoint: { path: graphql, method: POST, json: { query: "{{ shops {{ id name }} }}" }, data_selector: data.shops }
  - name: packed
    endpoint: { path: packed, paginator: single_page }
  - name: files
    endpoint:
      path: exports
      method: POST
      format: jsonl
      job: { handle_path: id, poll: { path: "exports/{handle}", status_path: status, done: [done], every: 0.01 }, download: { url_path: url } }
`
}

/** A folder with one pipeline file, that is gone after the test. */
export async function pipelineFolder(document: string, name = 'shop.yaml') {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-record-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, name)
  await writeFile(file, document)
  return { folder, file }
}

export function asked(seen: readonly Seen[]): readonly string[] {
  return seen.map(({ method, url }) => `${method} ${url}`)
}
