import { describe, expect, test } from 'vitest'
import type { JsonObject, RestApiConfig } from '../../src/index.js'
import { load, testApi } from './loading.js'

/** Functions of the user's that fail, or return what they must not: as a document of JavaScript may have them. */

const records = [
  { id: 1, name: 'a', tags: ['x'] },
  { id: 2, name: 'b', tags: [] },
]

async function loaded(resource: object, endpoint: object = {}, answer: object = { json: records }) {
  const { origin } = await testApi(() => answer)
  const document = {
    client: { base_url: origin },
    resources: [{ name: 'things', ...resource, endpoint: { paginator: 'single_page', ...endpoint } }],
  }
  return load(document as RestApiConfig)
}

const steps = (...processing_steps: readonly object[]): object => ({ processing_steps })
const incremental = (convert: unknown): object => ({
  incremental: { cursor_path: 'id', initial_value: 0, start_param: 'since', convert },
})

describe('a function is refused, with resource and key path,', () => {
  const map = 'things: resources[0].processing_steps[0].map failed on a record with the keys id, name, tags: '
  const filter = map.replace('.map', '.filter')
  const multiply = map.replace('.map', '.yield_map')
  const table = map.replace('.processing_steps[0].map', '.table_name')
  const convert = 'things: resources[0].endpoint.incremental.convert failed: '
  const action = 'things: resources[0].endpoint.response_actions[0] failed: '
  const paginator = 'things: `next` of the paginator at resources[0].endpoint.paginator failed: '
  const generator = 'things: the function at resources[0] failed: '
  const returned = (value: unknown) => () => value
  const failing = () => {
    throw new Error('no luck')
  }
  const rejecting = async () => failing()

  test.each<[name: string, resource: object, endpoint: object, message: string]>([
    [
      'map: async',
      steps({ map: async (record: JsonObject) => record }),
      {},
      `${map}it returned a promise, expected the record as an object; it must not be async`,
    ],
    ['map: async and failing', steps({ map: rejecting }), {}, `${map}it returned a promise`],
    [
      'map: without return',
      steps({ map: () => {} }),
      {},
      `${map}it returned nothing, expected the record as an object; does it lack a \`return\`?`,
    ],
    ['map: a list', steps({ map: (record: JsonObject) => [record] }), {}, `${map}it returned a list`],
    ['map: a text', steps({ map: returned('x') }), {}, `${map}it returned the text "x"`],
    ['map: null', steps({ map: returned(null) }), {}, `${map}it returned null`],
    ['map: a date', steps({ map: returned(new Date(0)) }), {}, `${map}it returned an instance of Date`],
    ['map: a map', steps({ map: returned(new Map()) }), {}, `${map}it returned an instance of Map`],
    ['map: throws', steps({ map: failing }), {}, `${map}no luck`],
    [
      'map: a promise within',
      steps({ map: (record: JsonObject) => ({ ...record, more: { of: [rejecting()] } }) }),
      {},
      'resources[0].processing_steps[0].map failed on a record with the keys id, name, tags, more: more.of[0] is a promise, which JSON cannot hold',
    ],
    [
      'map: a set within',
      steps({ filter: () => true }, { map: () => ({ s: new Set() }) }),
      {},
      'resources[0].processing_steps[1].map failed on a record with the keys s: s is a Set',
    ],
    ['map: an error within', steps({ map: () => ({ e: new TypeError('x') }) }), {}, 'e is a TypeError'],
    ['map: a function within', steps({ map: () => ({ f: failing }) }), {}, 'f is a function'],
    [
      'filter: async',
      steps({ filter: async () => true }),
      {},
      `${filter}it returned a promise, expected true or false; it must not be async`,
    ],
    [
      'filter: without return',
      steps({ filter: () => {} }),
      {},
      `${filter}it returned nothing, expected true or false; does it lack a \`return\`?`,
    ],
    [
      'filter: a number',
      steps({ filter: (record: JsonObject) => (record.tags as string[]).length }),
      {},
      `${filter}it returned the number 1, expected true or false`,
    ],
    ['filter: a text', steps({ filter: (record: JsonObject) => record.name }), {}, `${filter}it returned the text "a"`],
    ['filter: throws', steps({ filter: failing }), {}, `${filter}no luck`],
    [
      'yield_map: async',
      steps({ yield_map: async () => [] }),
      {},
      `${multiply}it returned a promise, expected a list of records or a generator; it must not be async`,
    ],
    [
      'yield_map: an async generator',
      steps({ async *yield_map() {} }),
      {},
      `${multiply}it returned an async generator`,
    ],
    ['yield_map: without return', steps({ yield_map: () => {} }), {}, `${multiply}it returned nothing`],
    [
      'yield_map: a record',
      steps({ yield_map: (record: JsonObject) => record }),
      {},
      `${multiply}it returned an object`,
    ],
    ['yield_map: a text', steps({ yield_map: returned('ab') }), {}, `${multiply}it returned the text "ab"`],
    ['yield_map: promises', steps({ yield_map: () => [rejecting()] }), {}, `${multiply}it returned a promise`],
    [
      'yield_map: throws later',
      steps({
        *yield_map() {
          yield { a: 1 }
          failing()
        },
      }),
      {},
      `${multiply}no luck`,
    ],
    [
      'table_name: async',
      { table_name: async () => 't' },
      {},
      `${table}it returned a promise, expected the name of a table; it must not be async`,
    ],
    ['table_name: without return', { table_name: () => {} }, {}, `${table}it returned nothing`],
    ['table_name: blank', { table_name: () => ' ' }, {}, `${table}it returned the text " "`],
    ['table_name: throws', { table_name: failing }, {}, `${table}no luck`],
    ['convert: async', {}, incremental(rejecting), `${convert}it must not be async`],
    ['convert: without return', {}, incremental(() => {}), `${convert}it returned nothing`],
    ['convert: a map', {}, incremental(() => new Map()), `${convert}the value is a Map`],
    ['convert: an invalid date', {}, incremental(() => new Date('x')), `${convert}Invalid time value`],
    ['convert: throws', {}, incremental(failing), `${convert}no luck`],
    [
      'transform: throws',
      {},
      { params: { since: { type: 'incremental', cursor_path: 'id', initial_value: 0, transform: failing } } },
      'things: resources[0].endpoint.params.since.transform failed: no luck',
    ],
    [
      'response action: of another name',
      {},
      { response_actions: [() => 'skip'] },
      `${action}it returned the text "skip", expected one of 'ignore', 'skip_page'`,
    ],
    ['response action: true', {}, { response_actions: [async () => true] }, `${action}it returned true`],
    [
      'response action: an object without body',
      {},
      { response_actions: [() => ({ text: 'x' })] },
      `${action}it returned an object`,
    ],
    ['response action: rejects', {}, { response_actions: [rejecting] }, `${action}no luck`],
    ['paginator: async', {}, { paginator: { next: rejecting } }, `${paginator}it must not be async`],
    ['paginator: true', {}, { paginator: { next: returned(true) } }, `${paginator}it returned true`],
    [
      'paginator: another key',
      {},
      { paginator: { next: returned({ page: 2 }) } },
      `${paginator}it returned the key \`page\``,
    ],
    [
      'paginator: a list as params',
      {},
      { paginator: { next: returned({ params: ['page', 2] }) } },
      `${paginator}\`params\` is a list`,
    ],
    [
      'paginator: a promise as param',
      {},
      { paginator: { next: returned({ params: { page: {} } }) } },
      `${paginator}the parameter \`page\` is an object`,
    ],
    [
      'paginator: an end without reason',
      {},
      { paginator: { next: returned({ end: 'proven' }) } },
      `${paginator}it returned an object, expected { end:`,
    ],
    ['paginator: throws', {}, { paginator: { next: failing } }, `${paginator}no luck`],
  ])('%s', async (_name, resource, endpoint, message) => {
    await expect(loaded(resource, endpoint)).rejects.toMatchObject({
      code: 'user_function',
      resource: 'things',
      message: expect.stringContaining(message),
    })
  })

  test.each<[name: string, generator: unknown, message: string]>([
    ['async, with a list', async () => records, `${generator}it returned a promise; it must be a generator`],
    ['without return', () => {}, `${generator}it returned nothing`],
    ['that gives texts', () => ['a'], `${generator}it gave the text "a" where a record`],
    ['that gives lists of texts', () => [[{ id: 1 }, 'a']], `${generator}it gave the text "a" where a record`],
    [
      'that gives maps',
      function* () {
        yield { m: new Map() }
      },
      'm is a Map',
    ],
    [
      'that throws later',
      async function* () {
        yield { id: 1 }
        failing()
      },
      `${generator}no luck`,
    ],
  ])('records: a function %s', async (_name, records, message) => {
    const document = { client: { base_url: '' }, resources: [{ name: 'things', records }] }
    await expect(load(document as unknown as RestApiConfig)).rejects.toMatchObject({
      code: 'user_function',
      resource: 'things',
      message: expect.stringContaining(message),
    })
  })

  test.each<[name: string, auth: object, message: string]>([
    [
      'sign: without return',
      { sign: () => {} },
      '`sign` at resources[0].endpoint.auth: it returned nothing, expected the request with its credentials',
    ],
    [
      'sign: something else',
      { sign: async () => ({ token: 'x' }) },
      '`sign` at resources[0].endpoint.auth: it returned an object',
    ],
    ['sign: throws', { sign: failing }, '`sign` at resources[0].endpoint.auth: no luck'],
    ['sign: rejects', { sign: rejecting }, '`sign` at resources[0].endpoint.auth: no luck'],
    [
      'renew: without return',
      { sign: (request: object) => request, renew: async () => {} },
      '`renew` at resources[0].endpoint.auth: it returned nothing',
    ],
  ])('auth: %s', async (_name, auth, message) => {
    await expect(loaded({}, { auth }, { status: 401, json: {} })).rejects.toMatchObject({
      code: 'auth',
      message: expect.stringContaining(message),
    })
  })
})

describe('what a function returns', () => {
  test('is written as JSON: dates as their ISO text, bytes as base64, NaN as null, undefined not at all', async () => {
    const made = {
      id: 1,
      at: new Date(0),
      bytes: Buffer.from('ab'),
      nan: Number.NaN,
      none: undefined,
      big: 2n ** 60n,
      url: new URL('https://a.example/'),
    }
    const { rows } = await loaded(
      { ...steps({ map: () => made }), columns: { nan: { data_type: 'double' } } },
      {},
      { json: [{}] },
    )
    expect(await rows('things')).toMatchObject([
      { id: 1, at: new Date(0), bytes: 'YWI=', nan: null, big: 2 ** 60, url: 'https://a.example/' },
    ])
  })

  test('keeps the spelling of numbers that it copies: 1.0 stays a double', async () => {
    const { made } = await loaded(
      steps({ map: (record: JsonObject) => ({ ...record, n: 1 }) }),
      {},
      { text: '[{"id":1,"d":1.0}]' },
    )
    const columns = (await made.dataset().schema())?.tables.get('things')?.columns
    expect([columns?.get('d')?.data_type, columns?.get('n')?.data_type]).toEqual(['double', 'bigint'])
  })

  test('may be a date that a cursor is converted to, or null, which leaves the parameter out', async () => {
    const asked = async (convert: unknown): Promise<string | undefined> => {
      const api = await testApi(() => ({ json: [] }))
      const document = {
        client: { base_url: api.origin },
        resources: [{ name: 'things', endpoint: { paginator: 'single_page', ...incremental(convert) } }],
      }
      await load(document as RestApiConfig)
      return api.asked[0]
    }
    expect(await asked((value: number) => new Date(value))).toBe('GET /things?since=1970-01-01T00%3A00%3A00.000Z')
    expect(await asked(() => null)).toBe('GET /things')
  })

  test('may be numbers in the parameters of a paginator', async () => {
    const api = await testApi(url => ({ json: url.searchParams.get('page') === '2' ? [] : [{ id: 1 }] }))
    const paginator = {
      next: ({ records: count }: { records: number }) => (count === 0 ? null : { params: { page: 2 } }),
    }
    await load({
      client: { base_url: api.origin },
      resources: [{ name: 'things', endpoint: { paginator } }],
    } as unknown as RestApiConfig)
    expect(api.asked).toEqual(['GET /things', 'GET /things?page=2'])
  })
})
