import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { importPipeline } from '../../src/index.js'
import { command, type Data, emptyFolder, importAndRun, imported } from './importing.js'

const API = 'https://api.example.com'

interface Recorded {
  readonly url: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly posted?: object
  readonly type?: string
  readonly status?: number
  readonly body?: unknown
  readonly base64?: boolean
}

const pairs = (values: Readonly<Record<string, string>> = {}) =>
  Object.entries(values).map(([name, value]) => ({ name, value }))

/** A recording as browsers save it. */
function har(...recorded: readonly Recorded[]): string {
  const entries = recorded.map(
    ({ url, method = 'GET', headers, posted, type = 'application/json', status = 200, body, base64 }) => {
      const text = typeof body === 'string' ? body : JSON.stringify(body ?? [])
      return {
        request: { method, url, headers: pairs(headers), ...(posted !== undefined && { postData: posted }) },
        response: {
          status,
          headers: pairs({ 'Content-Type': type }),
          content: {
            mimeType: type,
            text: base64 === true ? Buffer.from(text).toString('base64') : text,
            ...(base64 === true && { encoding: 'base64' }),
          },
        },
      }
    },
  )
  return JSON.stringify({ log: { version: '1.2', entries } })
}

const orders = (from: number, count = 2) =>
  Array.from({ length: count }, (_, index) => ({ id: from + index, at: '2024-01-01T00:00:00Z' }))

const resources = (data: Data): readonly Data[] => data.source.resources

describe('a recording of a browser', () => {
  it('gives one resource for the pages of a list, with the records, the key and the paginator that it shows', async () => {
    const text = har(
      { url: `${API}/v1/orders?page=1&per_page=2`, body: { data: orders(1), total: 6 } },
      { url: `${API}/v1/orders?page=2&per_page=2`, body: { data: orders(3), total: 6 } },
    )
    const { data } = await imported({ kind: 'har', text })
    expect(data.source.client.base_url).toBe(`${API}/v1`)
    expect(resources(data)).toMatchObject([
      {
        name: 'orders',
        primary_key: 'id',
        endpoint: { path: 'orders', data_selector: 'data', paginator: { type: 'page_number' } },
      },
    ])
  })

  it('makes lists under ids children of the list whose records have them', async () => {
    const text = har(
      { url: `${API}/orders`, body: { data: [{ id: 4711 }, { id: 4712 }] } },
      { url: `${API}/orders/4711/lines`, body: { data: [{ id: 1, sku: 'a' }] } },
      { url: `${API}/orders/4712/lines`, body: { data: [{ id: 2, sku: 'b' }] } },
    )
    const { data } = await imported({ kind: 'har', text })
    expect(resources(data).map(({ endpoint }) => endpoint.path)).toEqual([
      'orders',
      'orders/{resources.orders.id}/lines',
    ])
  })

  it('keeps tokens as references, and no cookie at all', async () => {
    const headers = {
      Authorization: 'Bearer s3cret-t0ken',
      Cookie: 'session=s3cret-session',
      ':authority': 'api.example.com',
    }
    const { file, data } = await imported({
      kind: 'har',
      text: har({ url: `${API}/orders`, headers, body: orders(1) }),
    })
    expect(data.source.client.auth).toEqual({ type: 'bearer', token: '${secrets.token}' })
    expect(JSON.stringify(file)).not.toContain('s3cret')
  })

  it('gives a pipeline for each origin', async () => {
    const text = har({ url: `${API}/orders`, body: orders(1) }, { url: 'https://b.example.org/users', body: orders(1) })
    const { pipelines } = await importPipeline({ kind: 'har', text })
    expect(pipelines.map(({ name }) => name)).toHaveLength(2)
  })

  it('reads bodies in base64 and lists that are posted for', async () => {
    const posted = { mimeType: 'application/json', text: '{"filter":{"state":"open"}}' }
    const text = har({ url: `${API}/search`, method: 'POST', posted, base64: true, body: { results: orders(1) } })
    const { data } = await imported({ kind: 'har', text })
    expect(resources(data)[0].endpoint).toMatchObject({
      method: 'POST',
      json: { filter: { state: 'open' } },
      data_selector: 'results',
    })
  })

  it('counts what is no data, and says why other requests are left out', async () => {
    const text = har(
      { url: `${API}/logo.png`, type: 'image/png', body: 'PNG' },
      { url: `${API}/icon.png`, type: 'image/png', body: 'PNG' },
      { url: `${API}/app.js`, type: 'text/javascript', body: '[1]' },
      { url: `${API}/me`, body: { id: 1 } },
      { url: `${API}/gone`, status: 404, body: {} },
      { url: `${API}/orders/1`, method: 'DELETE', body: {} },
      { url: 'data:image/png;base64,AAAA' },
      { url: 'wss://api.example.com/live' },
    )
    const { pipelines, leftOut } = await importPipeline({ kind: 'har', text })
    expect(pipelines).toEqual([])
    const told = leftOut.map(({ what, why }) => `${what}: ${why}`)
    expect(told).toContain('2 requests: answered with image/png, not with JSON')
    expect(told).toContain('1 request: answered with text/javascript, not with JSON')
    expect(told.join('\n')).toMatch(/\/me: its answer has no list/)
    expect(told.join('\n')).toMatch(/\/gone: its answer has the status 404/)
  })

  it.each(['{}', '{"log":{}}', '{"log":{"entries":{}}}', 'no har', '[]'])('%s is refused', async text => {
    await expect(importPipeline({ kind: 'har', text })).rejects.toMatchObject({ name: 'ConfigError' })
  })

  it.each([
    ['entries of any kind', [null, 1, 'a', [], {}, { request: null }, { request: { method: 1, url: {} } }]],
    [
      'members named as those of objects',
      [
        JSON.parse(
          '{"__proto__":{"request":1},"request":{"method":"GET","url":"https://a.example.com/x","headers":[{"__proto__":1},null,{"name":"constructor","value":"y"}]},"response":{"content":{"text":"[]"}}}',
        ),
      ],
    ],
  ])('ends for %s', async (_, entries) => {
    const text = JSON.stringify({ log: { entries } })
    const { pipelines } = await importPipeline({ kind: 'har', text })
    expect(pipelines.length).toBeLessThan(2)
  })

  it('becomes a file that loads every page', async () => {
    const all = orders(1, 25)
    const server = createServer((request, response) => {
      const url = new URL(request.url ?? '/', 'http://api')
      const [page, size] = [Number(url.searchParams.get('page')), 10]
      if (request.headers.authorization !== 'Bearer t0ken-of-orders') response.writeHead(401).end()
      else {
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ data: all.slice((page - 1) * size, page * size), total: 25 }))
      }
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => new Promise(resolve => server.close(() => resolve())))
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const headers = { authorization: 'Bearer t0ken-of-orders' }
    const file = join(await emptyFolder(), 'shop.har')
    await writeFile(
      file,
      har(
        { url: `${origin}/orders?page=1`, headers, body: { data: all.slice(0, 10), total: 25 } },
        { url: `${origin}/orders?page=2`, headers, body: { data: all.slice(10, 20), total: 25 } },
      ),
    )
    const { rows, text } = await importAndRun(['har', file], 'orders', { TOKEN: 't0ken-of-orders' })
    expect(text).not.toContain('t0ken-of-orders')
    expect(rows).toHaveLength(25)
  })

  it('ends the command with 3 where nothing is a list', async () => {
    const file = join(await emptyFolder(), 'shop.har')
    await writeFile(file, har({ url: `${API}/me`, body: { id: 1 } }))
    expect((await command(['import', 'har', file])).exitCode).toBe(3)
  })
})
