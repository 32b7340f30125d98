import { readFileSync } from 'node:fs'
import { createServer as createHttpServer, type IncomingMessage, request as requestHttp, type Server } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { proxySettings } from '../../src/config/lookup/environment.js'
import { restApi } from '../../src/config/restApi.js'
import { ConfigError, duckdb, pipeline, type RunEvent } from '../../src/index.js'
import { proxyFor } from '../../src/rest/http/proxies.js'

const open: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
  delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
})

const PASSWORD = 'pr@xy/p4ss'
const pem = (name: string) => readFileSync(fileURLToPath(new URL(`../destinations/tls/${name}`, import.meta.url)))

function closed(server: Server): Promise<unknown> {
  server.closeAllConnections()
  return new Promise(resolve => server.close(resolve))
}

/** A proxy of ours: every name leads to this machine. Keeps what it is asked for. */
async function startProxy(port: number, refusal?: number) {
  const asked: string[] = []
  const keep = (request: IncomingMessage, what: string): boolean => {
    asked.push(`${what} ${request.headers['proxy-authorization'] ?? 'nobody'}`)
    return refusal === undefined
  }
  const proxy = createHttpServer((request, response) => {
    if (!keep(request, `${request.method} ${request.url}`)) return void response.writeHead(refusal ?? 500).end()
    const { pathname, search } = new URL(request.url ?? '')
    request.pipe(
      requestHttp({ host: '127.0.0.1', port, path: `${pathname}${search}`, method: request.method }, answer => {
        response.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(response)
      }),
    )
  })
  proxy.on('connect', (request, socket) => {
    if (!keep(request, `CONNECT ${request.url}`)) return void socket.end(`HTTP/1.1 ${refusal} No\r\n\r\n`)
    const through = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      through.pipe(socket)
      socket.pipe(through)
    })
    through.on('error', () => void socket.destroy())
    socket.on('error', () => void through.destroy())
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  open.push(() => closed(proxy))
  return { asked, port: (proxy.address() as AddressInfo).port }
}

async function startApi(secure: boolean, answer: (path: string) => { location?: string }) {
  const respond: Parameters<typeof createHttpServer>[1] = (request, response) => {
    const { location } = answer(request.url ?? '')
    response.writeHead(location === undefined ? 200 : 302, {
      'content-type': 'application/json',
      ...(location !== undefined && { location }),
    })
    response.end('[{"id":1},{"id":2}]')
  }
  const api = secure
    ? createServer({ key: pem('server.key'), cert: pem('server.pem') }, respond)
    : createHttpServer(respond)
  await new Promise<void>(resolve => api.listen(0, '127.0.0.1', resolve))
  open.push(() => closed(api))
  return (api.address() as AddressInfo).port
}

function shops(baseUrl: string, env: Record<string, string>) {
  const retry = { attempts: 1 }
  const source = restApi(
    {
      client: { base_url: baseUrl, retry },
      resources: [{ name: 'shops', endpoint: { path: 'shops', paginator: 'single_page' } }],
    },
    { env },
  )
  return pipeline({ name: 'shops', source, destination: duckdb(':memory:') })
}

describe('HTTPS_PROXY and HTTP_PROXY', () => {
  it('tunnel https, and forward http, with the credentials of the address', async () => {
    const authorization = `Basic ${Buffer.from(`me:${PASSWORD}`).toString('base64')}`
    for (const scheme of ['http', 'https']) {
      process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
      const proxy = await startProxy(await startApi(scheme === 'https', () => ({})))
      const address = `http://me:${encodeURIComponent(PASSWORD)}@127.0.0.1:${proxy.port}`
      const events: RunEvent[] = []
      const made = shops(`${scheme}://api.example.com`, { [`${scheme}_proxy`]: address })
      const { rows } = await made.run({ onEvent: event => void events.push(event) })
      expect(rows).toEqual({ shops: 2 })
      const asked = scheme === 'https' ? 'CONNECT api.example.com:443' : 'GET http://api.example.com/shops'
      expect(proxy.asked).toEqual([`${asked} ${authorization}`])
      expect(JSON.stringify(events)).not.toContain(PASSWORD)
    }
  })

  it.each([
    ['http', 407, /the proxy 127\.0\.0\.1:\d+ does not lead to api\.example\.com: it answers 407/],
    ['https', 407, /the proxy 127\.0\.0\.1:\d+ does not lead to api\.example\.com: it answers 407; it wants a user/],
    ['https', 403, /does not lead to api\.example\.com: it answers 403;/],
  ])('%s that the proxy refuses with %i says so, and no password', async (scheme, status, message) => {
    const proxy = await startProxy(1, status)
    const address = `http://me:${encodeURIComponent(PASSWORD)}@127.0.0.1:${proxy.port}`
    const failed = await shops(`${scheme}://api.example.com`, { ALL_PROXY: address }).run().then(String, String)
    expect(failed).toMatch(message)
    expect(failed).not.toMatch(/pr@xy|pr%40xy|p4ss/)
    expect(proxy.asked.length).toBeGreaterThan(0)
  })

  it('a proxy that is not there is named', async () => {
    const failed = await shops('https://api.example.com', { HTTPS_PROXY: '127.0.0.1:9' }).run().then(String, String)
    expect(failed).toContain('nothing listens at api.example.com, or the proxy 127.0.0.1:9 on the way to it')
  })

  it('an API still leads nobody into this network', async () => {
    const leads = { '/shops': 'http://169.254.169.254/latest/' }
    const port = await startApi(false, path => ({ location: leads[path as '/shops'] }))
    const proxy = await startProxy(port)
    const env = { HTTP_PROXY: `http://127.0.0.1:${proxy.port}` }
    const failed = await shops('http://api.example.com', env).run().then(String, String)
    expect(failed).toContain('the API leads to an address inside this network')
    expect(proxy.asked).toEqual(['GET http://api.example.com/shops nobody'])
  })

  it.each(['socks5://proxy:1080', 'http://me:p#ss@proxy:3128', 'http://'])('%s is refused', address => {
    expect(() => proxySettings({ HTTPS_PROXY: address })).toThrow(ConfigError)
    expect(() => proxySettings({ HTTPS_PROXY: address })).not.toThrow(/p#ss/)
  })
})

describe('NO_PROXY', () => {
  const through = { url: 'http://proxy.example.com:3128' }
  it.each([
    ['https://api.example.com/x', '', true],
    ['https://api.example.com/x', 'other.com', true],
    ['https://api.example.com/x', 'ample.com', true],
    ['https://api.example.com/x', 'example.com', false],
    ['https://api.example.com/x', '.example.com', false],
    ['https://api.example.com/x', '*.example.com', false],
    ['https://API.example.com/x', 'a.org, Api.Example.Com', false],
    ['https://api.example.com/x', 'a.org api.example.com', false],
    ['https://api.example.com/x', 'api.example.com:443', false],
    ['https://api.example.com/x', 'api.example.com:8443', true],
    ['https://api.example.com/x', '*', false],
    ['http://10.1.2.3/x', '10.0.0.0/8', false],
    ['http://11.1.2.3/x', '10.0.0.0/8', true],
    ['http://[fd00::1]:8080/x', 'fd00::/8', false],
    ['http://[fd00::1]:8080/x', '[fd00::1]:8080', false],
    ['http://[fd00::1]:8080/x', 'fd00::1', false],
    ['http://localhost:8080/x', '', false],
    ['http://127.0.0.1:8080/x', '', false],
    ['http://[::1]:8080/x', '', false],
  ])('%s with %j', (url, except, isProxied) => {
    expect(proxyFor(url, { http: through, https: through, except }) !== undefined).toBe(isProxied)
  })
})
