import { deepEqual, equal, match, rejects } from 'node:assert/strict'
import type { Condition, Connection, DatasetRow, ReadQuery } from '../../model/destination.js'
import type { CaseTable } from '../testDataset.js'
import { rowsOf, runLoad, type TestRecord, testSchema, withConnection } from '../testDataset.js'

async function numbers(
  connection: Connection,
  query: Omit<ReadQuery, 'table' | 'columns'>,
): Promise<(number | null)[]> {
  const found: (number | null)[] = []
  for await (const batch of connection.read({ table: 'items', columns: ['id'], ...query })) {
    for (const row of batch) found.push(row.id === null ? null : Number(row.id))
  }
  return found
}

async function load(
  connection: Connection,
  columns: Parameters<typeof testSchema>[0][string]['columns'],
  items: TestRecord[],
) {
  const schema = testSchema({ items: { columns } })
  await runLoad(connection, schema, {
    loadId: '1.1',
    records: { items },
    tables: [{ table: 'items', disposition: 'append' }],
  })
}

export const readCases: CaseTable = {
  async 'every type comes back as it went in, extremes included'(destination) {
    await withConnection(destination, async connection => {
      const columns = {
        t: 'text',
        i: 'bigint',
        d: 'double',
        b: 'bool',
        ts: 'timestamp',
        day: 'date',
        at: 'time',
        bin: 'binary',
        j: 'json',
        dec: 'decimal',
        w: 'wei',
        small: { data_type: 'bigint', precision: 16 },
        money: { data_type: 'decimal', precision: 10, scale: 3 },
        local: { data_type: 'timestamp', timezone: false },
      } as const
      await load(connection, columns, [
        {
          t: '',
          i: -(2n ** 63n),
          d: -0,
          b: false,
          ts: '0001-01-01T00:00:00Z',
          day: '0001-01-01',
          at: '00:00:00',
          bin: new Uint8Array(0),
          j: 'null',
          dec: '0',
          w: '0',
          small: -32768,
          money: '-0.001',
          local: '2024-02-29T00:00:00Z',
        },
        {
          t: 'ą\u{1F986}\n\t"\'\\',
          i: 2n ** 63n - 1n,
          d: 1.7976931348623157e308,
          b: true,
          ts: '9999-12-31T23:59:59.999999Z',
          day: '9999-12-31',
          at: '23:59:59.999999',
          bin: Uint8Array.of(0, 1, 255),
          j: '{"a":[1.10,12345678901234567890]}',
          dec: '-12345678901234567890123456789.123456789',
          w: '99999999999999999999999999999999999999',
          small: 32767,
          money: '1234567.125',
          local: '1969-12-31T23:59:59.5Z',
        },
        {},
      ])
      const rows: DatasetRow[] = []
      for await (const batch of connection.read({
        table: 'items',
        orderBy: [{ column: 'i' }],
        where: [{ column: 'i', operator: 'is not null' }],
      }))
        rows.push(...batch)
      const [low, high] = rows as [DatasetRow, DatasetRow]
      deepEqual([low.t, low.i, low.b, low.small, low.d], ['', -(2n ** 63n), false, -32768n, -0])
      deepEqual([high.t, high.i, high.b, high.small], ['ą\u{1F986}\n\t"\'\\', 2n ** 63n - 1n, true, 32767n])
      equal(high.d, Number.MAX_VALUE)
      deepEqual([low.ts, high.ts], [new Date('0001-01-01T00:00:00Z'), new Date('9999-12-31T23:59:59.999Z')])
      deepEqual([low.local, high.local], [new Date('2024-02-29T00:00:00Z'), new Date('1969-12-31T23:59:59.500Z')])
      deepEqual([low.day, high.day], ['0001-01-01', '9999-12-31'])
      deepEqual([low.at, high.at], ['00:00:00', '23:59:59.999999'])
      deepEqual([[...(low.bin as Uint8Array)], [...(high.bin as Uint8Array)]], [[], [0, 1, 255]])
      deepEqual([low.j, high.j], ['null', '{"a":[1.10,12345678901234567890]}'])
      deepEqual([low.dec, high.dec], ['0.000000000', '-12345678901234567890123456789.123456789'])
      const weiScale = destination.capabilities.wei[1]
      const zeros = weiScale === 0 ? '' : `.${'0'.repeat(weiScale)}`
      deepEqual([low.w, high.w], [`0${zeros}`, `99999999999999999999999999999999999999${zeros}`])
      deepEqual([low.money, high.money], ['-0.001', '1234567.125'])
      const empty = (await rowsOf(connection, 'items', Object.keys(columns))).at(-1) ?? {}
      equal(
        (await rowsOf(connection, 'items', ['t'])).some(row => row.t === null),
        true,
      )
      equal(Object.keys(empty).length, Object.keys(columns).length)
    })
  },

  async 'numbers that are not numbers, and infinite ones, are kept'(destination) {
    await withConnection(destination, async connection => {
      await load(connection, { d: 'double' }, [
        { d: Number.NaN },
        { d: Number.POSITIVE_INFINITY },
        { d: Number.NEGATIVE_INFINITY },
        { d: 5e-324 },
      ])
      const values: unknown[] = []
      for await (const batch of connection.read({ table: 'items', columns: ['d'] }))
        values.push(...batch.map(row => String(row.d)))
      deepEqual(values.sort(), ['-Infinity', '5e-324', 'Infinity', 'NaN'])
    })
  },

  async 'rows are filtered, ordered, limited, and come in batches'(destination) {
    await withConnection(destination, async connection => {
      await load(
        connection,
        { id: 'bigint', name: 'text', at: 'timestamp', price: 'decimal', ok: 'bool' },
        Array.from({ length: 10 }, (_, id) => ({
          id,
          name: id % 2 === 0 ? 'even' : "o'dd",
          at: `2024-01-0${Math.max(1, id)}T00:00:00Z`,
          price: `${id}.5`,
          ok: id === 4 ? null : id > 5,
        })),
      )
      const cases: [Condition[], number[]][] = [
        [[{ column: 'id', operator: '>=', value: 8n }], [8, 9]],
        [[{ column: 'id', operator: '<', value: 2 }], [0, 1]],
        [
          [
            { column: 'NAME'.toLowerCase(), operator: '=', value: "o'dd" },
            { column: 'id', operator: '<=', value: 3 },
          ],
          [1, 3],
        ],
        [[{ column: 'id', operator: 'in', value: [1, 3n, 99] }], [1, 3]],
        [[{ column: 'id', operator: 'in', value: [] }], []],
        [[{ column: 'at', operator: '>', value: new Date('2024-01-08T00:00:00Z') }], [9]],
        [[{ column: 'price', operator: '=', value: '3.5' }], [3]],
        [[{ column: 'ok', operator: 'is null' }], [4]],
        [[{ column: 'ok', operator: '=', value: null }], [4]],
        [[{ column: 'ok', operator: '=', value: true }], [6, 7, 8, 9]],
        [
          [
            { column: 'ok', operator: 'is not null' },
            { column: 'name', operator: '!=', value: 'even' },
            { column: 'id', operator: '>', value: 6 },
          ],
          [7, 9],
        ],
      ]
      for (const [where, ids] of cases)
        deepEqual(await numbers(connection, { where, orderBy: [{ column: 'id' }] }), ids)
      deepEqual(
        await numbers(connection, { orderBy: [{ column: 'name' }, { column: 'id', descending: true }], limit: 3 }),
        [8, 6, 4],
      )
      deepEqual(await numbers(connection, { orderBy: [{ column: 'id' }], limit: 3, offset: 4 }), [4, 5, 6])
      deepEqual(await numbers(connection, { orderBy: [{ column: 'id' }], offset: 8 }), [8, 9])
      deepEqual(await numbers(connection, { orderBy: [{ column: 'id' }], offset: 10 }), [])
      const sizes: number[] = []
      for await (const batch of connection.read({ table: 'items', batchRows: 4 })) sizes.push(batch.length)
      deepEqual(sizes, [4, 4, 2])
      equal(await connection.count('items'), 10)
    })
  },

  async 'rows that are alike come once, where that is asked for'(destination) {
    await withConnection(destination, async connection => {
      await load(
        connection,
        { id: 'bigint', name: 'text' },
        Array.from({ length: 10 }, (_, id) => ({ id, name: id % 2 === 0 ? 'even' : 'odd' })),
      )
      const names: string[] = []
      const query = { table: 'items', columns: ['name'], distinct: true, orderBy: [{ column: 'name' }] }
      for await (const batch of connection.read(query)) names.push(...batch.map(row => String(row.name)))
      deepEqual(names, ['even', 'odd'])
    })
  },

  async 'what does not exist is named'(destination) {
    await withConnection(destination, async connection => {
      await load(connection, { id: 'bigint' }, [{ id: 1 }])
      await rejects(rowsOf(connection, 'items', ['idd']), error => {
        match((error as Error).message, /idd/)
        match((error as Error).message, /_dlt_load_id/)
        return true
      })
      await rejects(rowsOf(connection, 'nothing'), /nothing/)
      await rejects(connection.count('nothing'), /nothing/)
    })
  },
}
