import { expect, test } from 'vitest'
import { duckdb } from '../../src/destinations/duckdb/duckdb.js'
import type { MergeStrategy } from '../../src/schema/schemaTypes.js'
import { rowsOf, runLoad, type TestRecord, testSchema, withConnection } from '../../src/testing/testDataset.js'
import fc from '../properties.js'

interface Order {
  readonly shop: string | null
  readonly id: number
  readonly rev: number
  readonly gone: boolean
  readonly lines: readonly (readonly number[])[]
}

const order: fc.Arbitrary<Order> = fc.record({
  shop: fc.constantFrom('a', 'b', null),
  id: fc.integer({ min: 0, max: 4 }),
  rev: fc.integer({ min: 0, max: 3 }),
  gone: fc.boolean().map(flag => flag),
  lines: fc.array(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 2 }), { maxLength: 2 }),
})

interface LoadOfOrders {
  readonly strategy: Exclude<MergeStrategy, 'scd2'>
  readonly orders: readonly Order[]
}

const loads: fc.Arbitrary<readonly LoadOfOrders[]> = fc.array(
  fc.record({
    strategy: fc.constantFrom('delete-insert' as const, 'upsert' as const, 'insert-only' as const),
    orders: fc.array(order, { maxLength: 12 }),
  }),
  { minLength: 1, maxLength: 4 },
)

const schema = testSchema({
  orders: {
    columns: {
      shop: { data_type: 'text', primary_key: true },
      id: { data_type: 'bigint', primary_key: true, nullable: false },
      rev: { data_type: 'bigint', dedup_sort: 'desc' },
      gone: { data_type: 'bool', hard_delete: true },
    },
    disposition: 'merge',
  },
  orders__lines: { columns: { n: 'bigint' }, parent: 'orders' },
  orders__lines__taxes: { columns: { rate: 'bigint' }, parent: 'orders__lines' },
})

/** What the table must hold: by key, the winner of the last load that wrote the key. */
function expected(history: readonly LoadOfOrders[]): Order[] {
  const table = new Map<string, Order>()
  for (const { strategy, orders } of history) {
    const winners = new Map<string, Order>()
    for (const candidate of orders) {
      const key = `${candidate.shop}/${candidate.id}`
      const winner = winners.get(key)
      if (winner === undefined || candidate.rev >= winner.rev) winners.set(key, candidate)
    }
    for (const [key, winner] of winners) {
      if (strategy === 'insert-only' && table.has(key)) continue
      if (winner.gone) table.delete(key)
      else table.set(key, winner)
    }
  }
  return [...table.values()]
}

function recordOf({ lines, ...row }: Order): TestRecord {
  return { ...row, lines: lines.map((taxes, n) => ({ n, taxes: taxes.map(rate => ({ rate })) })) }
}

const sorted = (values: readonly unknown[]): string[] => values.map(value => JSON.stringify(value)).sort()

test('whatever is merged in whatever order, the table holds the last winner of each key and what is nested under it', async () => {
  await fc.assert(
    fc.asyncProperty(loads, fc.boolean(), fc.integer({ min: 1, max: 5 }), async (history, byKey, batchRows) => {
      await withConnection(duckdb(':memory:'), async connection => {
        for (const [index, { strategy, orders }] of history.entries()) {
          await runLoad(connection, schema, {
            loadId: `1.${index}`,
            records: { orders: orders.map(recordOf) },
            tables: [{ table: 'orders', disposition: 'merge', strategy }],
            batchRows,
            // As the normaliser names rows: those of other strategies have random ids.
            ...(byKey && strategy !== 'delete-insert' && { rowId: row => `key ${row.shop}/${row.id}` }),
          })
        }
        if (!(await connection.inspect()).has('orders'))
          return expect(history.every(load => load.orders.length === 0)).toBe(true)
        const wanted = expected(history)
        const rows = await rowsOf(connection, 'orders', ['shop', 'id', 'rev'])
        expect(sorted(rows)).toEqual(
          sorted(wanted.map(row => ({ shop: row.shop, id: `${row.id}n`, rev: `${row.rev}n` }))),
        )
        const tables = await connection.inspect()
        const nested = async (table: string, column: string): Promise<unknown[]> =>
          tables.has(table) ? (await rowsOf(connection, table, [column])).map(row => row[column]) : []
        expect(sorted(await nested('orders__lines', 'n'))).toEqual(
          sorted(wanted.flatMap(row => row.lines.map((_, n) => `${n}n`))),
        )
        expect(sorted(await nested('orders__lines__taxes', 'rate'))).toEqual(
          sorted(wanted.flatMap(row => row.lines.flat().map(rate => `${rate}n`))),
        )
      })
    }),
    { numRuns: 30 },
  )
}, 120_000)

interface Note {
  readonly shop: string | null
  readonly id: number
  readonly text?: string | null
  readonly lines: readonly number[]
}

const note: fc.Arbitrary<Note> = fc.record(
  {
    shop: fc.constantFrom('a', null),
    id: fc.integer({ min: 0, max: 2 }),
    text: fc.constantFrom('x', 'y', null),
    lines: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 2 }),
  },
  { requiredKeys: ['shop', 'id', 'lines'] },
)

const notesLoads = fc.array(
  fc.record({
    disposition: fc.constantFrom('append' as const, 'merge' as const, 'merge' as const),
    notes: fc.array(note, { minLength: 1, maxLength: 4 }),
  }),
  { minLength: 2, maxLength: 5 },
)

const notesSchema = testSchema({
  notes: {
    columns: {
      shop: { data_type: 'text', primary_key: true },
      id: { data_type: 'bigint', primary_key: true, nullable: false },
      text: 'text',
    },
    disposition: 'merge',
  },
  notes__lines: { columns: { n: 'bigint' }, parent: 'notes' },
})

const keyOf = ({ shop, id }: Note): string => `${shop}/${id}`

/** Appended rows stay beside others of their key, until one is merged. */
function expectedNotes(
  history: readonly { readonly disposition: string; readonly notes: readonly Note[] }[],
): readonly Note[] {
  let rows: readonly Note[] = []
  for (const { disposition, notes } of history) {
    const winners = new Map(notes.map(one => [keyOf(one), one]))
    const others = rows.filter(row => !winners.has(keyOf(row)))
    rows = disposition === 'append' ? rows.concat(notes) : others.concat([...winners.values()])
  }
  return rows
}

test('a merge into few rows replaces every row with a key that arrived, also several with one key', async () => {
  await fc.assert(
    fc.asyncProperty(notesLoads, async history => {
      await withConnection(duckdb(':memory:'), async connection => {
        for (const [index, { disposition, notes }] of history.entries()) {
          await runLoad(connection, notesSchema, {
            loadId: `1.${index}`,
            records: { notes: notes.map(({ lines, ...row }) => ({ ...row, lines: lines.map(n => ({ n })) })) },
            tables: [{ table: 'notes', disposition }],
          })
        }
        const wanted = expectedNotes(history)
        expect(sorted(await rowsOf(connection, 'notes', ['shop', 'id', 'text']))).toEqual(
          sorted(wanted.map(({ shop, id, text = null }) => ({ shop, id: `${id}n`, text }))),
        )
        const tables = await connection.inspect()
        const lines = tables.has('notes__lines') ? await rowsOf(connection, 'notes__lines', ['n']) : []
        expect(sorted(lines.map(({ n }) => n))).toEqual(sorted(wanted.flatMap(row => row.lines.map(n => `${n}n`))))
      })
    }),
    { numRuns: 50 },
  )
}, 120_000)
