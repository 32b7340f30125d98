import { expect, it } from 'vitest'
import { type ImportOptions, importPipeline } from '../../src/index.js'

/** Put together here, so that no scanner of this repository takes them for real ones. */
const TOKENS = {
  stripe: ['sk', 'live', '4eC39HqLyjWDarjtT1zdp7dc'].join('_'),
  github: ['ghp', '16C7e42F292c6912E7710c838347Ae178B4a'].join('_'),
  slack: ['xoxb', '123456789012', 'AbCdEfGhIjKlMnOpQrStUvWx'].join('-'),
  telegram: ['110201543', 'AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw'].join(':'),
  jwt: ['eyJhbGciOiJIUzI1NiJ9', 'eyJzdWIiOiJhIn0', 'dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U'].join('.'),
}

const openapi = (token: string): ImportOptions => {
  const lists = (extra: object) => ({
    get: {
      responses: {
        200: {
          content: { 'application/json': { schema: { type: 'array', items: { $ref: '#/components/schemas/Order' } } } },
        },
      },
      ...extra,
    },
  })
  const document = {
    openapi: '3.0.0',
    info: { title: `Orders ${token}`, version: '1' },
    servers: [{ url: 'https://orders.example.com' }],
    paths: {
      '/orders': lists({
        summary: `Lists orders, as with ${token}`,
        parameters: [
          { name: 'view', in: 'query', required: true, schema: { type: 'string', default: token } },
          { name: 'X-Session-Token', in: 'header', required: true, schema: { type: 'string', enum: [token] } },
        ],
      }),
      [`/invoices?api_key=${token}`]: lists({ summary: 'Lists invoices' }),
      [`/t/${token}/payments`]: lists({ summary: 'Lists payments' }),
    },
    components: { schemas: { Order: { type: 'object', properties: { id: { type: 'integer' } } } } },
  }
  return { kind: 'openapi', text: JSON.stringify(document) }
}

const har = (token: string): ImportOptions => {
  const body = JSON.stringify({ query: 'query($t: String) { orders(t: $t) { id } }', variables: { t: token } })
  const answer = JSON.stringify({ data: { orders: [{ id: 1 }, { id: 2 }] } })
  const entry = (url: string, method: string, postData?: object) => ({
    request: { method, url, headers: [], ...(postData !== undefined && { postData }) },
    response: { status: 200, headers: [], content: { mimeType: 'application/json', text: answer } },
  })
  const entries = [
    entry('https://shop.example.com/graphql', 'POST', { mimeType: 'application/json', text: body }),
    entry(`https://shop.example.com/t/${token}/orders?view=${encodeURIComponent(token)}`, 'GET'),
  ]
  return { kind: 'har', text: JSON.stringify({ log: { entries } }) }
}

const curl = (token: string): ImportOptions => ({
  kind: 'curl',
  text: `curl 'https://api.example.com/t/${token}/orders?view=${token}' -H 'X-View: ${token}' -H 'Accept: application/json'`,
})

it.each(
  Object.entries(TOKENS).flatMap(([name, token]) =>
    [openapi, har, curl].map(source => [name, source(token), token] as const),
  ),
)('a token of %s is nowhere in what becomes of %o', async (_name, source, token) => {
  const result = await importPipeline(source)
  expect(result.pipelines.length + result.leftOut.length).toBeGreaterThan(0)
  const secret = token.slice(-20).toLowerCase()
  expect(JSON.stringify(result).toLowerCase()).not.toContain(secret)
})

const asked = (request: object): ImportOptions => ({
  kind: 'har',
  text: JSON.stringify({
    log: {
      entries: [
        {
          request: { method: 'POST', url: 'https://shop.example.com/orders', headers: [], ...request },
          response: {
            status: 200,
            headers: [],
            content: { mimeType: 'application/json', text: '[{"id":1},{"id":2}]' },
          },
        },
      ],
    },
  }),
})

const posted = (body: object): ImportOptions => ({
  kind: 'postman',
  text: JSON.stringify({
    info: { name: 'Shop', schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json' },
    item: [{ name: 'orders', request: { method: 'POST', url: 'https://shop.example.com/orders', body } }],
  }),
})

it.each<[place: string, source: ImportOptions]>([
  ['a cookie', asked({ method: 'GET', headers: [{ name: 'Cookie', value: 'sid=hidden-word' }] })],
  ['a header of a session', asked({ method: 'GET', headers: [{ name: 'X-Sid', value: 'hidden-word' }] })],
  ['the user of an address', asked({ method: 'GET', url: 'https://ann:hidden-word@shop.example.com/orders' })],
  ['a session behind `;`', asked({ method: 'GET', url: 'https://shop.example.com/orders;jsessionid=hidden-word' })],
  [
    'a form in parts',
    asked({
      postData: { mimeType: 'multipart/form-data; boundary=x', text: '--x\r\nname="password"\r\n\r\nhidden-word' },
    }),
  ],
  ['XML', asked({ postData: { mimeType: 'text/xml', text: '<login><password>hidden-word</password></login>' } })],
  [
    'JSON within a text of JSON',
    asked({ postData: { mimeType: 'application/json', text: '{"data":"{\\"token\\":\\"hidden-word\\"}"}' } }),
  ],
  [
    'a list deep in JSON',
    asked({ postData: { mimeType: 'application/json', text: '{"a":[{"b":{"accessToken":"hidden-word"}}]}' } }),
  ],
  [
    'a form',
    asked({ postData: { mimeType: 'application/x-www-form-urlencoded', text: 'user%5Bpassword%5D=hidden-word' } }),
  ],
  ['a form in parts of Postman', posted({ mode: 'formdata', formdata: [{ key: 'password', value: 'hidden-word' }] })],
  [
    'variables of GraphQL in Postman',
    posted({ mode: 'graphql', graphql: { query: '{ x { id } }', variables: '{"apiKey":"hidden-word"}' } }),
  ],
])('a secret in %s is nowhere in what becomes of it', async (_place, source) => {
  const result = await importPipeline(source)
  expect(result.pipelines.length + result.leftOut.length).toBeGreaterThan(0)
  expect(JSON.stringify(result)).not.toContain('hidden-word')
})

it('variables with names that every object has are variables to set', async () => {
  const { pipelines } = await importPipeline({
    kind: 'postman',
    text: JSON.stringify({
      info: { name: 'Shop', schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json' },
      item: [{ name: 'orders', request: 'https://shop.example.com/{{constructor}}/orders?page=1&a={{toString}}' }],
    }),
  })
  expect(pipelines[0]?.text).toContain('${env.constructor}')
})

it('a list with a token in its path is left out, because no path holds a secret', async () => {
  const { pipelines, leftOut } = await importPipeline(openapi(TOKENS.stripe))
  expect(pipelines[0]?.text).toContain('name: orders')
  expect(leftOut).toEqual([{ what: 'payments', why: expect.stringContaining('a secret may stand only in') }])
})

it('a credential in a key of `paths` becomes a secret, and the list stays', async () => {
  const { pipelines } = await importPipeline(openapi('a plain word'.replaceAll(' ', '-')))
  expect(pipelines[0]?.text).toContain('api_key: ${secrets.api_key}')
  expect(JSON.stringify(pipelines)).not.toContain('api_key=a-plain-word')
})

it('words that begin as tokens do stay as they are', async () => {
  const { pipelines } = await importPipeline({
    kind: 'curl',
    text: "curl 'https://api.example.com/orders?view=sq&sort=patient-first-and-then-others'",
  })
  expect(pipelines[0]?.text).toContain('patient-first-and-then-others')
  const words = await importPipeline(openapi('npm_start'))
  expect(words.pipelines[0]?.text).toContain('as with npm_start')
})
