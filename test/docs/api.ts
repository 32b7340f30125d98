import { createHmac } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { gzipSync } from 'node:zlib'
import { workbookOf, zipOf } from '../rest/archives.js'
import { serve, type TestServer } from '../rest/clientServer.js'
import { authAnswers } from './authApi.js'

export const API_KEY = 'docs-key-4711'

interface Answered {
  readonly status?: number
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

type Made = Answered | undefined

const five = [1, 2, 3, 4, 5].map(id => ({ id }))

/** The API that the examples of the documents are written for. */
export async function docsApi(): Promise<TestServer> {
  let refusals = 0
  let looks = 0
  const ordersZip = await zipOf({ 'orders-1.csv': 'id\n1\n2\n', 'orders-2.csv': 'id\n3\n', 'read-me.txt': 'orders' })
  const stockWorkbook = await workbookOf({
    Read: [['me']],
    Stock: [['Stock of today'], ['sku', 'amount'], ['A', 1], ['B', 2]],
  })
  let queued = 0
  let expired = 0
  const answers: Readonly<Record<string, (url: URL, body: string, headers: IncomingHttpHeaders) => Made>> = {
    ...authAnswers(API_KEY),
    '/orders': url => {
      const after = Number(url.searchParams.get('after') ?? 0)
      return { body: five.filter(({ id }) => id > after).slice(0, 2) }
    },
    '/visits': url => {
      const [since, until] = ['since', 'until'].map(name => url.searchParams.get(name))
      const visits = [1, 2, 3, 4].map(day => ({ id: day, at: `2024-01-0${day}T12:00:00Z` }))
      return { body: visits.filter(({ at }) => at >= (since ?? '') && at < (until ?? '9')) }
    },
    '/items': url => {
      const offset = Number(url.searchParams.get('offset'))
      const items = Array.from({ length: 30 }, (_, place) => ({ id: place + 1 }))
      return { body: { total: items.length, data: items.slice(offset, offset + 10) } }
    },
    '/signed/orders': (_url, _body, headers) => {
      const expected = createHmac('sha256', API_KEY).update(`GET ${server.origin}/signed/orders`).digest('hex')
      return headers['x-signature'] === expected ? { body: five } : { status: 401, body: {} }
    },
    '/ranged': (_url, _body, { range }) => {
      const [, from = '', max] = /^id (\d*)\.\.; max=(\d+)$/.exec(range ?? '') ?? []
      if (max === undefined) return { status: 416, body: {} }
      const rest = five.filter(({ id }) => id >= Number(from))
      const [page, next] = [rest.slice(0, Number(max)), rest[Number(max)]]
      return { body: page, ...(next !== undefined && { headers: { 'next-range': `id ${next.id}..; max=${max}` } }) }
    },
    '/calm/orders': () => ({ body: five.map(order => ({ ...order, updated_at: new Date().toISOString() })) }),
    '/paid/orders': () => ({ body: [11, null, 13].map((invoice_id, id) => ({ id, invoice_id })) }),
    '/invoices/11/lines': () => ({ body: five.slice(0, 2) }),
    '/invoices/13/lines': () => ({ body: five.slice(2, 4) }),
    '/paged/orders': url => {
      const page = Number(url.searchParams.get('page') ?? 1)
      const next = page < 3 ? { 'next-page': `${server.origin}/paged/orders?page=${page + 1}` } : {}
      return { headers: { 'x-total-count': '5', ...next }, body: five.slice(2 * page - 2, 2 * page) }
    },
    '/guarded/orders': () => ({ body: `)]}',\n${JSON.stringify(five.slice(0, 2))}` }),
    '/moody/orders': url => {
      const page = Number(url.searchParams.get('page'))
      if (page === 1 && refusals++ < 2) return { body: { message: 'please try again' } }
      if (page === 2) return { status: 500, body: {} }
      if (page === 5) return { status: 404, body: {} }
      return { body: { data: [{ id: page }] } }
    },
    '/strict/orders': url => {
      const page = Number(url.searchParams.get('page'))
      if (page === 2 && queued++ < 1) return { body: { data: [], state: 'queued', retry_ms: 2 } }
      if (page === 3 && expired++ < 1) return { body: { error: { code: 'cursor_expired' } } }
      if (page === 4) return { body: { error: { code: 'past_the_end' } } }
      return { body: { data: [{ id: page }] } }
    },
    '/heavy/orders': url => {
      const [page, size] = [Number(url.searchParams.get('page')), Number(url.searchParams.get('per_page'))]
      if (size > 2) return { status: 413, body: { error: 'too large' } }
      return { body: { data: five.slice((page - 1) * size, page * size), pages: Math.ceil(five.length / size) } }
    },
    '/many/orders': url => {
      const offset = Number(url.searchParams.get('offset'))
      return { body: { data: [{ id: offset }, { id: offset + 1 }], total: 100 } }
    },
    '/synced/orders': () => ({ body: { items: five.slice(0, 3), nextSyncToken: 's1' } }),
    '/synced/token': () => ({ body: { startToken: 's0' } }),
    '/synced/changes': () => ({ body: { items: [], nextSyncToken: 's1' } }),
    '/keyset/orders': url => {
      const since = Number(url.searchParams.get('since_id') ?? 0)
      return { body: five.filter(({ id }) => id > since).slice(0, Number(url.searchParams.get('limit'))) }
    },
    '/soql/orders': url => {
      const start = Number(url.searchParams.get('from') ?? 0)
      const done = start >= 2
      const next = done ? {} : { nextRecordsUrl: `/soql/orders?from=${start + 2}` }
      return { body: { totalSize: 3, done, ...next, records: five.slice(start, Math.min(start + 2, 3)) } }
    },
    '/linked/teams': () => ({ body: five.slice(0, 2) }),
    '/events': url =>
      url.searchParams.get('since') !== '2023-11-14T22:13:20.000Z'
        ? { status: 400, body: {} }
        : {
            body: [
              { id: 1, type: 'order', at: 1700000001, customer_email: 'a@example.com' },
              { id: 2, type: 'order', at: 1700000002, test: true },
              { id: 3, type: 'refund', at: 1700000003, lines: [1, 2].map(line => ({ line, at: 1700000003 })) },
            ],
          },
    '/regions/eu/shops': () => ({ body: [{ name: 'Berlin' }, { name: 'Lyon' }] }),
    '/regions/us/shops': () => ({ body: [{ name: 'Austin' }] }),
    '/projects/web/issues': () => ({ body: five.slice(0, 3) }),
    '/projects/app/issues': () => ({ body: [{ id: 6 }, { id: 7 }, { id: 8 }] }),
    '/shops': () => ({ body: five.slice(0, 3) }),
    ...Object.fromEntries(
      five.map(({ id }) => [`/shops/${id}/orders`, () => ({ body: [{ id: id * 10 }, { id: id * 10 + 1 }] })]),
    ),
    '/code/repositories': () => ({ body: [{ full_name: 'acme/site' }] }),
    '/code/repositories/acme/site/issues': () => ({ body: five.slice(0, 2) }),
    '/people': () => ({
      body: [1, 2].map(id => ({
        email: `${id}@example.com`,
        notes: 'calls on Mondays',
        address: { street: 'Elm 1', city: 'Rome' },
        phones: [{ number: '+391234567890' }],
      })),
    }),
    '/tracker/issues': () => ({ body: [{ id: 1 }, { id: 2 }] }),
    '/tracker/pulls': () => ({ body: [{ id: 3 }] }),
    ...Object.fromEntries(
      ['issues/1', 'issues/2', 'pulls/3'].map((about, index) => [
        `/tracker/${about}/comments`,
        () => ({ body: [1, 2].map(number => ({ id: index * 10 + number, text: about })) }),
      ]),
    ),
    '/cut/orders': () => ({
      body: [
        { id: 1, lines_count: 5, lines: five.slice(0, 2) },
        { id: 2, lines_count: 1, lines: five.slice(0, 1) },
      ],
    }),
    '/cut/orders/1/lines': () => ({ body: five }),
    '/customers': () => ({ body: five }),
    '/addresses': url => {
      const ids = url.searchParams.get('customer_ids')?.split(',') ?? []
      return ids.length > 3 ? { status: 400, body: {} } : { body: ids.map(id => ({ customer_id: Number(id) })) }
    },
    '/tickets': url =>
      url.searchParams.get('updated_since') === '2024-01-01T00:00:00Z'
        ? { body: five.slice(0, 4).map(({ id }) => ({ id, updated_at: `2024-01-0${id}T00:00:00Z` })) }
        : { status: 400, body: {} },
    '/bookings': url =>
      url.searchParams.get('from') === '01/01/2024'
        ? { body: five.slice(0, 3).map(({ id }) => ({ id, date: `0${id}/12/2024` })) }
        : { status: 400, body: {} },
    '/exports/prices': () => ({
      type: 'text/html',
      body: Buffer.from('Prices in \x80\nsku;amount\n# new\nA-1;12.50\nA-2;N/A\n', 'latin1'),
    }),
    '/weather/readings': () => ({ body: { values: [['time', 'celsius'], ['2026-01-01', 3.5], ['2026-01-02']] } }),
    '/weather/stations': () => ({ body: { stations: { oslo: { height: 94 }, bergen: { height: 12 } } } }),
    '/jobs': (_url, body) => (body.includes('visits') ? { status: 202, body: { id: 7 } } : { status: 400, body: {} }),
    '/jobs/7': () => {
      looks++
      const files = ['a', 'b'].map(name => ({ url: `/files/${name}.csv` }))
      return { body: looks % 2 === 1 ? { status: 'running' } : { status: 'done', rows: 3, files } }
    },
    '/files/a.csv': () => ({ type: 'text/csv', body: 'id\n1\n2\n' }),
    '/files/b.csv': () => ({ type: 'text/csv', body: 'id\n3\n' }),
    '/files/news.xml': () => ({
      type: 'application/xml',
      body: '<rss><channel><item id="1"><tags>a</tags></item><item id="2"/></channel></rss>',
    }),
    '/files/orders.zip': () => ({ type: 'application/zip', body: ordersZip }),
    '/files/stock.xlsx': () => ({ type: 'application/octet-stream', body: stockWorkbook }),
    '/exports/latest.csv.gz': () => ({ type: 'application/gzip', body: gzipSync('id,name\n1,a\n2,b\n3,c\n') }),
    '/search': (_url, body) => {
      const { page } = JSON.parse(body) as { page: { size: number; after?: number } }
      const data = five.filter(({ id }) => id > (page.after ?? 0)).slice(0, page.size)
      return { body: { data, next: data.at(-1)?.id === 5 ? null : data.at(-1)?.id } }
    },
  }
  const server = await serve(({ url, body, headers }, response) => {
    const asked = new URL(url, server.origin)
    const made = answers[asked.pathname]?.(asked, body, headers) ?? { status: 404, body: {} }
    const isRaw = typeof made.body === 'string' || made.body instanceof Uint8Array
    response.writeHead(made.status ?? 200, { 'content-type': made.type ?? 'application/json', ...made.headers })
    response.end(isRaw ? made.body : JSON.stringify(made.body))
  })
  return server
}
