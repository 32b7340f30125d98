import { once } from 'node:events'
import type { Client } from 'pg'
import { from } from 'pg-copy-streams'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { COPY_HEADER, COPY_TRAILER, RowEncoder } from '../../src/destinations/postgres/copy/rowEncoder.js'
import { postgres } from '../../src/destinations/postgres/postgres.js'
import { postgresDialect, takes } from '../../src/destinations/postgres/postgresDialect.js'
import type { ColumnBatch } from '../../src/model/batch.js'
import type { ColumnSchema, DataType } from '../../src/schema/schemaTypes.js'
import { columnBatch, microsecondsOf, type TestValue } from '../../src/testing/testBatch.js'
import { runLoad, testSchema, withConnection } from '../../src/testing/testDataset.js'
import fc from '../properties.js'
import { type PostgresServer, startPostgres } from './postgresServer.js'

let server: PostgresServer
let database: string
let client: Client
beforeAll(async () => {
  server = await startPostgres()
  database = await server.createDatabase()
  client = await server.client(database)
  await client.query("SET TimeZone = 'UTC'")
})
afterAll(async () => {
  await client.end()
  await server.stop()
})

const APPEND = [{ table: 'items', disposition: 'append' }] as const

function encoded(batch: ColumnBatch, types = new Map<string, string>(), firstOrdinal = 0): Buffer {
  const rows = new RowEncoder(batch, types, firstOrdinal)
  const pieces: Uint8Array[] = [COPY_HEADER]
  while (!rows.done) pieces.push(Buffer.from(rows.next()))
  return Buffer.concat([...pieces, COPY_TRAILER])
}

/** What the server understood, as its own text, in the order of the rows. */
async function understood(dataType: DataType, type: string, values: readonly TestValue[]): Promise<(string | null)[]> {
  const batch = columnBatch(
    't',
    { v: dataType },
    values.map(v => ({ v })),
  )
  await client.query(`CREATE TEMPORARY TABLE t (r bigint, v ${type})`)
  try {
    const stream = client.query(from(`COPY t (r${batch.columns.length === 0 ? '' : ', v'}) FROM STDIN (FORMAT binary)`))
    stream.end(encoded(batch, new Map([['v', type]]), 2 ** 33))
    await once(stream, 'finish')
    const { rows } = await client.query('SELECT r::text AS r, v::text AS v FROM t ORDER BY r')
    expect(rows.map(row => row.r)).toEqual(values.map((_, index) => String(2 ** 33 + index)))
    return rows.map(row => row.v as string | null)
  } finally {
    await client.query('DROP TABLE t')
  }
}

describe('the server understands', () => {
  test.each([
    ['text', 'character varying', (n: number) => 'ä'.repeat(n % 200), (text: string) => text],
    ['json', 'jsonb', (n: number) => `"${'j'.repeat(n % 50)}"`, (text: string) => text],
    ['bool', 'boolean', (n: number) => n % 5 < 2, (value: boolean) => String(value)],
    ['bigint', 'integer', (n: number) => BigInt(n) - 30_000n, String],
    ['decimal', 'numeric', (n: number) => `${n}.5`, (text: string) => text],
    ['double', 'double precision', (n: number) => n / 8, String],
  ] as const)('%s in more rows than are encoded at a time', async (dataType, type, valueAt, textOf) => {
    const values = Array.from({ length: 60_000 }, (_, n) => (n % 7 === 3 ? null : valueAt(n)))
    const got = await understood(dataType, type, values)
    expect(got.findIndex((text, n) => text !== (values[n] === null ? null : textOf(values[n] as never)))).toBe(-1)
  })

  test('any decimal', async () => {
    const digits = (most: number) =>
      fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: most })
    const decimal = fc
      .tuple(fc.constantFrom('', '-'), digits(45), fc.option(digits(40)))
      .map(([sign, whole, fraction]) => `${sign}${whole}${fraction === null ? '' : `.${fraction}`}`)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(decimal), { minLength: 1, maxLength: 600 }), async values => {
        const got = await understood('decimal', 'numeric', values)
        const { rows } = await client.query(
          'SELECT x::numeric::text AS x FROM unnest($1::text[]) WITH ORDINALITY AS u(x, n) ORDER BY n',
          [values],
        )
        expect(got).toEqual(rows.map(row => row.x))
      }),
      { numRuns: 40 },
    )
  })

  test('any 64-bit integer, and smaller ones where the column is', async () => {
    const integers = fc.sample(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), 500)
    const edges = [-(2n ** 63n), 2n ** 63n - 1n, -1n, 0n, 1n, 2n ** 32n, -(2n ** 32n), 2n ** 31n, -(2n ** 31n) - 1n]
    const all = [...edges, null, ...integers]
    expect(await understood('bigint', 'bigint', all)).toEqual(all.map(value => value?.toString() ?? null))
    const small = [-32768n, 32767n, null, 0n, -1n]
    expect(await understood('bigint', 'smallint', small)).toEqual(small.map(value => value?.toString() ?? null))
    const middle = [-(2n ** 31n), 2n ** 31n - 1n, null, 65_536n]
    expect(await understood('bigint', 'integer', middle)).toEqual(middle.map(value => value?.toString() ?? null))
  })

  test.each([
    ['smallint', 32_768n],
    ['smallint', -32_769n],
    ['smallint', 2n ** 32n],
    ['integer', 2n ** 31n],
    ['integer', -(2n ** 31n) - 1n],
    ['integer', 2n ** 40n],
  ])('an integer that does not fit into %s is refused: %s', (type, value) => {
    const batch = columnBatch('t', { v: 'bigint' }, [{ v: value }])
    expect(() => encoded(batch, new Map([['v', type]]))).toThrow(`t.v: ${value} does not fit`)
  })

  test('any double', async () => {
    const doubles = [0, -0, 5e-324, Number.MAX_VALUE, Number.NaN, Infinity, -Infinity, ...fc.sample(fc.double(), 500)]
    const texts = await understood('double', 'double precision', [...doubles, null])
    expect(texts.pop()).toBe(null)
    expect(texts.map(Number)).toEqual(doubles)
  })

  test('any moment, day and time of day', async () => {
    const moments = fc
      .sample(
        fc.bigInt({ min: microsecondsOf('0001-01-01T00:00:00Z'), max: microsecondsOf('9999-12-31T23:59:59.999999Z') }),
        300,
      )
      .concat(0n, -1n, 946_684_800_000_000n, 946_684_799_999_999n)
    const texts = await understood('timestamp', 'timestamp with time zone', moments)
    const { rows } = await client.query(
      `SELECT (timestamptz 'epoch' + (x / 1000000) * interval '1 second' + (x % 1000000) * interval '1 microsecond')::text AS x FROM unnest($1::bigint[]) WITH ORDINALITY AS u(x, n) ORDER BY n`,
      [moments.map(String)],
    )
    expect(texts).toEqual(rows.map(row => row.x))
    const days = ['0001-01-01', '1969-12-31', '1970-01-01', '2000-02-29', '9999-12-31', null]
    expect(await understood('date', 'date', days)).toEqual(days)
    const times = ['00:00:00', '23:59:59.999999', '12:30:00.5', null]
    expect(await understood('time', 'time without time zone', times)).toEqual(times)
    expect(await understood('timestamp', 'timestamp(3) without time zone', ['2024-01-01T00:00:00.123456Z'])).toEqual([
      '2024-01-01 00:00:00.123',
    ])
  })

  test('texts, JSON, bytes and truth', async () => {
    const texts = fc
      .sample(fc.string({ unit: 'binary', maxLength: 60 }), 300)
      .map(text => Buffer.from(text).toString().replaceAll('\0', ''))
    expect(await understood('text', 'character varying', [...texts, null, ''])).toEqual([...texts, null, ''])
    expect(await understood('json', 'jsonb', ['{"a":[1.10,12345678901234567890]}', 'null', null, '"ą"'])).toEqual([
      '{"a": [1.10, 12345678901234567890]}',
      'null',
      null,
      '"ą"',
    ])
    expect(await understood('binary', 'bytea', [new Uint8Array(0), Uint8Array.of(0, 255), null])).toEqual([
      '\\x',
      '\\x00ff',
      null,
    ])
    const truths = Array.from({ length: 1100 }, (_, index) => (index % 7 === 0 ? null : index % 3 === 0))
    expect(await understood('bool', 'boolean', truths)).toEqual(truths.map(truth => truth?.toString() ?? null))
  })

  test('rows without any value', async () => {
    expect(await understood('text', 'character varying', [null, null])).toEqual([null, null])
  })
})

test('what is no decimal is refused', () => {
  const batch = columnBatch('t', { v: 'decimal' }, [{ v: '1e5' }])
  expect(() => encoded(batch)).toThrow('t.v: 1e5 is not a decimal number')
})

test('columns have the types that dlt gives', async () => {
  const columns: Record<string, Partial<ColumnSchema> & { data_type: DataType }> = {
    text: { data_type: 'text' },
    short: { data_type: 'text', precision: 10 },
    i16: { data_type: 'bigint', precision: 16 },
    i32: { data_type: 'bigint', precision: 32 },
    i64: { data_type: 'bigint' },
    double: { data_type: 'double' },
    bool: { data_type: 'bool' },
    at: { data_type: 'timestamp' },
    at_ms: { data_type: 'timestamp', precision: 3 },
    naive: { data_type: 'timestamp', timezone: false },
    naive_s: { data_type: 'timestamp', timezone: false, precision: 0 },
    date: { data_type: 'date' },
    time: { data_type: 'time' },
    binary: { data_type: 'binary' },
    json: { data_type: 'json' },
    decimal: { data_type: 'decimal' },
    small: { data_type: 'decimal', precision: 10, scale: 3 },
    wei: { data_type: 'wei' },
  }
  await withConnection(postgres(server.url(database)), async connection => {
    const schema = testSchema({ items: { columns } })
    await runLoad(connection, schema, { loadId: '1.1', records: { items: [{ text: 'x' }] }, tables: APPEND })
    const types = [...((await connection.inspect()).get('items') ?? [])].map(([name, { type }]) => [name, type])
    expect(Object.fromEntries(types)).toEqual({
      text: 'character varying',
      short: 'character varying(10)',
      i16: 'smallint',
      i32: 'integer',
      i64: 'bigint',
      double: 'double precision',
      bool: 'boolean',
      at: 'timestamp with time zone',
      at_ms: 'timestamp(3) with time zone',
      naive: 'timestamp without time zone',
      naive_s: 'timestamp(0) without time zone',
      date: 'date',
      time: 'time without time zone',
      binary: 'bytea',
      json: 'jsonb',
      decimal: 'numeric(38,9)',
      small: 'numeric(10,3)',
      wei: 'numeric(156,78)',
      _dlt_load_id: 'character varying',
      _dlt_id: 'character varying',
    })
    // The names of the dialect are the server's own, or columns would seem to have been changed.
    for (const [name, column] of Object.entries(columns)) {
      const own = postgresDialect.typeName(column.data_type, column.precision, column.scale, column.timezone)
      expect([name, own]).toEqual(types.find(([of]) => of === name))
    }
  })
})

test.each([
  ['character varying', 'character varying', true],
  ['text', 'character varying', true],
  ['character varying(3)', 'character varying', true],
  ['integer', 'character varying', false],
  ['character varying', 'bigint', false],
  ['numeric', 'bigint', true],
  ['integer', 'bigint', true],
  ['bigint', 'smallint', true],
  ['double precision', 'bigint', false],
  ['numeric(20,2)', 'numeric(38,9)', false],
  ['numeric(20,9)', 'numeric(38,9)', true],
  ['numeric', 'numeric(38,9)', true],
  ['numeric', 'double precision', false],
  ['real', 'double precision', false],
  ['timestamp(0) with time zone', 'timestamp with time zone', false],
  ['timestamp with time zone', 'timestamp(3) with time zone', true],
  ['timestamp without time zone', 'timestamp with time zone', false],
  ['json', 'jsonb', true],
])('a column of type %s takes %s without loss: %s', (to, type, expected) => {
  expect(takes(to, type)).toBe(expected)
})
