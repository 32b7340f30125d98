import { tmpdir } from 'node:os'
import { describe, expect, test } from 'vitest'
import { type RestApiConfig, restApi } from '../../src/index.js'
import { parseJson } from '../../src/json/parse.js'
import type { JsonObject, JsonValue } from '../../src/json/value.js'
import { stringifyJson } from '../../src/json/write.js'
import { compileExpression } from '../../src/rest/shape/expression.js'
import { reshaped } from '../../src/rest/shape/reshape.js'
import { bytesApi, load, prepared, run, testApi } from './loading.js'

type Resource = Exclude<RestApiConfig['resources'][number], string | ((...args: never[]) => unknown)>

function orders(origin: string, keys: Omit<Resource, 'name'>): RestApiConfig {
  return { client: { base_url: origin, paginator: 'single_page' }, resources: [{ name: 'orders', ...keys }] }
}

test('a record is filtered, gets new fields and names, and loses others', async () => {
  const body =
    '[{"ID":1,"state":"paid","amount":12.5,"customer":{"name":"Ann","mail":"a@x.org"},"lines":[{"sku":"a","note":"x"}],"raw":{}},{"ID":2,"state":"draft"}]'
  const origin = await bytesApi(() => ({ type: 'application/json', body }))
  const { result, rows } = await load(
    orders(origin, {
      filter: "record.state != 'draft'",
      add: {
        label: "record.customer.name + ' #' + string(record.ID)",
        exact: 'record.amount',
        city: 'record.customer.?city.orValue("?")',
      },
      rename: { ID: 'id' },
      drop: ['raw', 'customer.mail', 'lines.note'],
    }),
  )
  expect(await rows('orders')).toEqual([
    {
      id: 1,
      state: 'paid',
      amount: 12.5,
      exact: 12.5,
      customer__name: 'Ann',
      label: 'Ann #1',
      city: '?',
    },
  ])
  expect(await rows('orders__lines', 'sku')).toEqual([{ sku: 'a' }])
  expect(result.receipts[0]).toMatchObject({ records: 2, filtered: 1, verdict: 'complete' })
})

test('what is filtered counts as read: a total proves the list', async () => {
  const paginator = { type: 'offset', limit: 10, total_path: 'total' } as const
  const api = await testApi(() => ({ json: { total: 3, data: [{ id: 1 }, { id: 2 }, { id: 3 }] } }))
  const { result, rows } = await load(
    orders(api.origin, { endpoint: { data_selector: 'data', paginator }, filter: 'record.id > 1' }),
  )
  expect(result.receipts[0]).toMatchObject({ records: 3, announced: 3, filtered: 1, verdict: 'complete' })
  expect((await rows('orders')).map(({ id }) => id)).toEqual([2, 3])
})

test('children are read for kept records, with the names and fields they have', async () => {
  const api = await testApi(url => ({ json: url.pathname === '/orders' ? [{ ID: 1 }, { ID: 2 }] : [{ id: 7, x: 1 }] }))
  const { rows } = await load({
    client: { base_url: api.origin, paginator: 'single_page' },
    resources: [
      { name: 'orders', filter: 'record.ID == 2', rename: { ID: 'id' }, select: ['id'] },
      { name: 'lines', endpoint: 'orders/{resources.orders.id}/lines', include_from_parent: ['id'], select: ['id'] },
    ],
  })
  expect(api.asked).toEqual(['GET /orders', 'GET /orders/2/lines'])
  expect(await rows('lines')).toEqual([{ id: 7, _orders_id: 2 }])
})

test('a cursor may be a field that an expression makes of a date without an order', async () => {
  const all = ['31/12/2024', '01/01/2025']
  const api = await testApi(() => ({ json: all.map((date, id) => ({ id, date })) }))
  const made = await prepared(
    orders(api.origin, {
      primary_key: 'id',
      add: { day: "record.date.split('/')[2] + '-' + record.date.split('/')[1] + '-' + record.date.split('/')[0]" },
      endpoint: {
        incremental: { cursor_path: 'day', initial_value: '2024-12-31', start_param: 'from', param_format: '%d/%m/%Y' },
      },
    }),
  )
  await run(made)
  all.unshift('30/12/2024')
  const { result } = await run(made)
  expect(api.asked).toEqual(['GET /orders?from=31%2F12%2F2024', 'GET /orders?from=01%2F01%2F2025'])
  expect(result.rows).toEqual({ orders: 1 })
})

test('functions of a TypeScript document see the record in its new shape', async () => {
  const api = await testApi(() => ({ json: [{ ID: 1 }] }))
  const { rows } = await load(
    orders(api.origin, {
      rename: { ID: 'id' },
      processing_steps: [{ map: record => ({ ...record, seen: Object.keys(record).join() }) }],
    }),
  )
  expect(await rows('orders')).toEqual([{ id: 1, seen: 'id' }])
})

test.each<[string, Omit<Resource, 'name'>, RegExp]>([
  [
    'a field that is missing',
    { filter: 'record.state == "x"' },
    /^orders: resources\[0\]\.filter failed on a record with the keys id, amount: No such key: state, column 8; ask before with has\(record\.name\)/,
  ],
  ['null', { filter: 'record.amount > 1' }, /resources\[0\]\.filter failed .*; look for null before/],
  ['a value that is not true or false', { filter: 'record.id' }, /it is an int, expected true or false/],
  [
    'no number',
    { add: { share: '1.0 / 0.0' } },
    /resources\[0\]\.add\.share failed .*it is Infinity, which JSON cannot hold/,
  ],
  ['two members of one name', { rename: { id: 'amount' } }, /"id" and "amount" would both be "amount"/],
])('an expression that meets %s is a data error with its place', async (_, keys, message) => {
  const api = await testApi(() => ({ json: [{ id: 1, amount: null }] }))
  const error: unknown = await load(orders(api.origin, keys)).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ name: 'DataError', code: 'user_function', resource: 'orders' })
  expect((error as Error).message).toMatch(message)
})

describe('a shape that cannot work is refused before the first request', () => {
  const people = (keys: object, ...others: object[]): unknown => ({
    client: { base_url: 'https://api.example.com' },
    resources: [{ name: 'people', ...keys }, ...others],
  })
  const incremental = { cursor_path: 'at', initial_value: 0 }
  const child = { name: 'of', endpoint: 'of/{resources.people.id}' }
  test.each<[string, unknown, RegExp]>([
    [
      'an unknown name',
      people({ filter: 'state == "x"' }),
      /resources\[0\]\.filter: .*Unknown variable: state, column 1; fields are written as `record\.name`/,
    ],
    ['a text that is no expression', people({ add: { a: '1 +' } }), /resources\[0\]\.add\.a: .*column 4/],
    ['types that do not go together', people({ add: { a: '1 + "x"' } }), /resources\[0\]\.add\.a/],
    ['a filter that does not decide', people({ filter: '1 + 1' }), /gives a int, expected true or false/],
    ['a pattern', people({ filter: 'record.a.matches("(a+)+$")' }), /matches\(\) is not supported.*column/],
    [
      'lists in lists in lists',
      people({ add: { a: 'record.l.map(a, record.l.map(b, record.l.filter(c, c == a).map(d, d)))' } }),
      /(?:map|filter)\(\) stands inside 2 other calls that go through a list.*column/,
    ],
    ['two fields of one name', people({ rename: { a: 'x', b: 'x' } }), /`x` is the new name of `a` already/],
    ['an index', people({ select: ['lines[0]'] }), /select\[0\]: is not a path of names/],
    [
      'a cursor that is gone',
      people({ drop: ['at'], endpoint: { incremental } }),
      /`at` is the cursor, and `drop` leaves it out/,
    ],
    ['a cursor of another name', people({ rename: { at: 'b' }, endpoint: { incremental } }), /`rename` calls it `b`/],
    [
      'a key that is gone',
      people({ select: ['name'], primary_key: 'id' }),
      /`id` is part of a key, and `select` does not name it/,
    ],
    [
      'what a child asks with',
      people({ select: ['name'] }, child),
      /resources\[1\].*the records of the parent have no `id`/,
    ],
    ['a near miss', people({ fliter: 'true' }), /did you mean `filter`/],
  ])('%s', (_, document, message) => {
    expect(() => restApi(document as RestApiConfig, { env: {}, cwd: tmpdir() })).toThrow(message)
  })
})

test('a sync token need not be selected: it is not in the records', () => {
  const incremental = { token_path: 'next_token', token_param: 'token' }
  const document = orders('https://api.example.com', { select: ['id'], endpoint: { incremental } })
  expect(() => restApi(document, { env: {}, cwd: tmpdir() })).not.toThrow()
})

describe('expressions', () => {
  const record = parseJson(
    Buffer.from(
      '{"n":5,"one":1.0,"big":9007199254740993,"text":"a","none":null,"at":"2024-01-01T00:00:00Z","tags":["x","y"],"o":{"p":1.50}}',
    ),
  ) as JsonObject
  const made = (text: string): string => {
    const target: Record<string, JsonValue> = {}
    compileExpression(text).assign(record, target, 'v')
    return stringifyJson(target)
  }
  test.each([
    ['record.n', '{"v":5}'],
    ['record.one', '{"v":1.0}'],
    ['record.o.p', '{"v":1.50}'],
    ['record.o', '{"v":{"p":1.50}}'],
    ['record.big + 1', '{"v":9007199254740994}'],
    ['record.n > 4.5 && record.one == 1', '{"v":true}'],
    ['double(record.n) * 2.0', '{"v":10.0}'],
    ['1e300 * 1e3', '{"v":1e+303}'],
    ['record.none == null', '{"v":true}'],
    ['has(record.nothing) || has(record.constructor)', '{"v":false}'],
    ['record.?nothing', '{}'],
    ['record.?nothing.orValue("-")', '{"v":"-"}'],
    ['timestamp(record.at) + duration("24h")', '{"v":"2024-01-02T00:00:00.000Z"}'],
    ['record.tags.map(t, t + "!")', '{"v":["x!","y!"]}'],
    ['{"a": record.n, "b": [1.0]}', '{"v":{"a":5,"b":[1.0]}}'],
    ['record.tags.exists(t, t == "y") ? "yes" : "no"', '{"v":"yes"}'],
    ['uint(record.n)', '{"v":5}'],
  ])('%s', (text, expected) => {
    expect(made(text)).toBe(expected)
  })
})

describe('reshaped', () => {
  const tree = (...paths: string[]) =>
    new Map(
      paths.map(path => {
        const [name = '', inner] = path.split('.')
        return [name, inner === undefined ? (true as const) : new Map([[inner, true as const]])] as const
      }),
    )
  test.each<[string, Partial<Parameters<typeof reshaped>[1]>, string]>([
    ['[{"a":1.0,"b":{"c":1,"d":2}}]', { select: tree('b.c') }, '[{"b":{"c":1}}]'],
    ['[{"a":1.0,"b":[{"c":1,"d":2},{"d":3}]}]', { drop: tree('b.d') }, '[{"a":1.0,"b":[{"c":1},{}]}]'],
    ['[{"a":1,"b":null}]', { select: tree('b.c') }, '[{}]'],
    ['[ { "a" : 1 } , {} ]', { rename: new Map([['a', 'äé"']]) }, '[{"äé\\"":1},{}]'],
    ['[{"a":1,"\\u0061":2}]', { rename: new Map([['a', 'b']]) }, '[{"b":1,"b":2}]'],
    ['[{"a":{"x":1},"y":{"a":2}}]', { rename: new Map([['a', 'b']]) }, '[{"b":{"x":1},"y":{"a":2}}]'],
    ['[1,"a",null,[{"a":1}]]', { drop: tree('a') }, '[1,"a",null,[{}]]'],
    ['[]', { select: tree('a') }, '[]'],
    [
      '[{"a":1,"b":2}]',
      {
        rename: new Map([
          ['a', 'b'],
          ['b', 'a'],
        ]),
        select: tree('a'),
      },
      '[{"a":2}]',
    ],
  ])('%s with %o', (text, reshaping, expected) => {
    const made = reshaped(Buffer.from(text), { rename: new Map(), select: undefined, drop: undefined, ...reshaping })
    expect(Buffer.from(made).toString()).toBe(expected)
  })
})

test('a plan shows what becomes of records, and what is hidden', async () => {
  const keys = {
    mask: { email: 'redact', 'cards[*].number': 'last4' },
    filter: "record.state != 'draft'",
    add: { total: 'record.a + record.b', twice: 'record.total * 2' },
    rename: { ID: 'id' },
    drop: ['note'],
  } as const
  const made = await prepared({
    client: { base_url: 'https://api.example.com', paginator: 'single_page' },
    resources: [{ name: 'orders', ...keys }, 'others'],
  } as unknown as RestApiConfig)
  const [orders, others] = (await made.plan()).resources
  expect(orders?.request).toMatchObject({
    mask: 'email: redact, cards[*].number: last4',
    shape:
      "filter: record.state != 'draft'; add: total = record.a + record.b, twice = record.total * 2; rename: ID to id; drop: note",
  })
  expect(others?.request?.shape).toBeUndefined()
  expect(others?.request?.mask).toBeUndefined()
})
