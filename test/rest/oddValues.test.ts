import { describe, expect, it, onTestFinished } from 'vitest'
import { ConfigError, SluiceError } from '../../src/index.js'
import { serve } from './clientServer.js'
import { read, source } from './listServer.js'

/** Values of parents that no URL, header or text can hold as they are, in every place of a request. */

const ODD = {
  half: '\ud800',
  'half in text': 'a\udc00b',
  Japanese: '日本',
  German: 'grün',
  emoji: '😀',
  NUL: 'a\0b',
  control: 'a\u0007b',
  delete: 'a\u007fb',
  line: 'a\r\nX-Injected: 1',
  tab: 'a\tb',
  'bad escape': '100%',
  escape: 'a%2Fb',
  'cookie end': 'a; b=c',
  quotes: `"'<>&`,
} as const

const PLACES: Readonly<Record<string, object>> = {
  path: { path: 'lines/{resources.orders.odd}/all' },
  'an absolute path': { path: '{resources.orders.origin}/lines/{resources.orders.odd}' },
  params: { path: 'lines', params: { odd: '{resources.orders.odd}' } },
  'a name of params': { path: 'lines', params: { 'x{resources.orders.odd}': 'v' } },
  headers: { path: 'lines', headers: { 'X-Odd': '{resources.orders.odd}' } },
  'a name of headers': { path: 'lines', headers: { 'X-{resources.orders.odd}': 'v' } },
  cookie: { path: 'lines', headers: { Cookie: 'odd={resources.orders.odd}' } },
  json: { path: 'lines', method: 'POST', json: { odd: '{resources.orders.odd}', 'x{resources.orders.odd}': 1 } },
  form: { path: 'lines', method: 'POST', data: { odd: '{resources.orders.odd}' } },
  'a text': { path: 'lines', method: 'POST', data: 'odd={resources.orders.odd}' },
  graphql: {
    path: 'lines',
    graphql: {
      query: 'query A($odd: String) { lines(odd: $odd) { id } }',
      variables: { odd: '{resources.orders.odd}' },
    },
  },
  'OAuth 1.0a': {
    path: 'lines/{resources.orders.odd}',
    params: { odd: '{resources.orders.odd}' },
    auth: { type: 'oauth1', consumer_key: 'k', consumer_secret: 's', token: 't', token_secret: 'u' },
  },
  'signatures of AWS': {
    path: 'lines/{resources.orders.odd}',
    params: { odd: '{resources.orders.odd}' },
    auth: { type: 'aws_sigv4', access_key_id: 'k', secret_access_key: 's', region: 'eu', service: 'execute-api' },
  },
  'an export job': {
    path: 'order',
    method: 'POST',
    params: { odd: '{resources.orders.odd}' },
    job: {
      handle_path: 'handle',
      poll: { path: 'jobs/{handle}', params: { h: '{handle}' }, status_path: 'status', done: ['done'], every: 0.001 },
      download: { path: 'files/{handle}' },
      cleanup: { path: 'jobs/{handle}' },
    },
  },
  'a cursor': {
    path: 'cursors',
    params: { odd: '{resources.orders.odd}' },
    paginator: { type: 'cursor', cursor_path: 'next', cursor_param: 'after', stop_when_missing: true },
    data_selector: 'items',
  },
  'a link': {
    path: 'links',
    params: { odd: '{resources.orders.odd}' },
    paginator: { type: 'json_link', next_url_path: 'next' },
    data_selector: 'items',
  },
}

async function shop(odd: string) {
  const server = await serve((request, response) => {
    const url = new URL(request.url, server.origin)
    const isFirst = url.searchParams.get('after') === null
    const json = (value: unknown) => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(value))
    }
    if (url.pathname === '/order') return json({ handle: odd })
    if (url.pathname.startsWith('/jobs/')) return json({ status: 'done' })
    if (url.pathname === '/cursors') return json({ items: [{ id: isFirst ? 1 : 2 }], next: isFirst ? odd : null })
    if (url.pathname === '/links')
      return json({ items: [{ id: isFirst ? 1 : 2 }], next: isFirst ? `/links?after=${odd}` : null })
    if (request.method === 'POST' && request.body.includes('query A')) return json({ data: { lines: [{ id: 1 }] } })
    return json([{ id: 1 }])
  })
  onTestFinished(() => server.close())
  return server
}

describe.each(Object.entries(PLACES))('in %s', (_place, endpoint) => {
  it.each(Object.entries(ODD))('%s is sent, or refused in words', async (_name, odd) => {
    const server = await shop(odd)
    const document = {
      client: { base_url: server.origin, paginator: 'single_page', retry: { attempts: 1 } },
      resources: [
        { name: 'orders', primary_key: 'id' },
        { name: 'lines', endpoint },
      ],
    }
    const parent = { id: 1, odd, origin: server.origin }
    const outcome = await read(source(document), 'lines', { parent }).then(
      ({ records }) => records.length,
      (error: unknown) => error,
    )
    if (outcome instanceof Error) {
      expect(outcome, outcome.stack).toBeInstanceOf(SluiceError)
      expect(outcome).not.toBeInstanceOf(ConfigError)
      expect(outcome.message).not.toMatch(/URI malformed|ERR_|Invalid URL$|undefined/)
      expect(outcome.message).toMatch(/lines|resources\[1\]/)
    } else expect(outcome).toBeGreaterThan(0)
    for (const { headers } of server.seen) expect(headers).not.toHaveProperty('x-injected')
  })
})

it.each([
  ['/lines/{resources.orders.odd}', '/lines/%EF%BF%BD%F0%9F%98%80'],
  ['/lines?q={resources.orders.odd}', '/lines?q=%EF%BF%BD%F0%9F%98%80'],
])('half of a character is sent as U+FFFD: %s', async (path, asked) => {
  const server = await shop('')
  const endpoint = { path, paginator: 'single_page' }
  const document = { client: { base_url: server.origin }, resources: ['orders', { name: 'lines', endpoint }] }
  await read(source(document), 'lines', { parent: { odd: '\ud83d😀' } })
  expect(server.seen.map(({ url }) => url)).toEqual([asked])
})

it('a link with a user that is no text in percent-encoding is followed', async () => {
  const server = await serve((request, response) => {
    response.setHeader('content-type', 'application/json')
    const next = request.url === '/lines' ? `${server.origin.replace('//', '//100%zz:p%@')}/lines?page=2` : null
    response.end(JSON.stringify({ items: [{ id: request.url }], next }))
  })
  onTestFinished(() => server.close())
  const endpoint = { path: 'lines', data_selector: 'items', paginator: { type: 'json_link', next_url_path: 'next' } }
  const document = { client: { base_url: server.origin }, resources: [{ name: 'lines', endpoint }] }
  const { records } = await read(source(document), 'lines')
  expect(records).toHaveLength(2)
})
