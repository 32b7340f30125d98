import { deepEqual, equal, match, rejects } from 'node:assert/strict'
import type { Connection, QueryBatch, SqlQuery } from '../../model/destination.js'
import type { CaseTable } from '../testDataset.js'
import { runLoad, testSchema, withConnection } from '../testDataset.js'

async function batchesOf(connection: Connection, statement: SqlQuery): Promise<QueryBatch[]> {
  const batches: QueryBatch[] = []
  for await (const batch of connection.query?.(statement) ?? []) batches.push(batch)
  return batches
}

async function ask(connection: Connection, sql: string, values?: SqlQuery['values']): Promise<QueryBatch['rows']> {
  const batches = await batchesOf(connection, { sql, values })
  return batches.flatMap(({ rows }) => rows)
}

const columns = {
  id: 'bigint',
  seen_at: 'timestamp',
  day: 'date',
  price: { data_type: 'decimal', precision: 10, scale: 2 },
  ratio: 'double',
  live: 'bool',
  doc: 'json',
  raw: 'binary',
} as const

async function load(connection: Connection, loadId: string, ids: readonly number[]): Promise<void> {
  await runLoad(connection, testSchema({ items: { columns }, shops: { columns: { id: 'bigint' } } }), {
    loadId,
    records: {
      items: ids.map(id => ({
        id,
        seen_at: '2024-02-29T12:00:00.123Z',
        day: '2024-02-29',
        price: '1.50',
        ratio: 0.5,
        live: true,
        doc: '{"a": [1, 12345678901234567890]}',
        raw: Uint8Array.of(1, 255),
      })),
      shops: [{ id: 7 }],
    },
    tables: [
      { table: 'items', disposition: 'append' },
      { table: 'shops', disposition: 'append' },
    ],
  })
}

/** For destinations with SQL. Others pass. */
export const queryCases: CaseTable = {
  async 'a statement is asked of the tables by their names, with values, and gives typed rows'(destination) {
    await withConnection(destination, async connection => {
      if (connection.query === undefined) return
      await load(connection, '1.1', [1, 2, 3])
      const [row = []] = await ask(
        connection,
        'SELECT raw, id, seen_at, day, price, ratio, live, doc, NULL AS nothing FROM items WHERE id = CAST($1 AS BIGINT)',
        [2n],
      )
      const bytes = 'SELECT count(*) FROM items WHERE raw = $1 AND seen_at > $2'
      deepEqual(await ask(connection, bytes, [Uint8Array.of(1, 255), new Date('2024-01-01')]), [[3n]])
      const [raw, ...others] = row
      deepEqual(others, [
        2n,
        new Date('2024-02-29T12:00:00.123Z'),
        '2024-02-29',
        '1.50',
        0.5,
        true,
        { a: [1, 12345678901234567890n] },
        null,
      ])
      deepEqual([...(raw as Uint8Array)], [1, 255])
      deepEqual(
        await ask(connection, 'SELECT i.id, o.id FROM items AS i CROSS JOIN shops AS o ORDER BY i.id DESC -- all\n;'),
        [
          [3n, 7n],
          [2n, 7n],
          [1n, 7n],
        ],
      )
    })
  },

  async 'rows of a statement come in batches, and its columns even without rows, each with a name of its own'(
    destination,
  ) {
    await withConnection(destination, async connection => {
      if (connection.query === undefined) return
      await load(connection, '1.1', [1, 2, 3, 4, 5])
      const batches = await batchesOf(connection, { sql: 'SELECT id FROM items', batchRows: 2 })
      deepEqual(
        batches.map(({ rows }) => rows.length),
        [2, 2, 1],
      )
      const [empty, ...more] = await batchesOf(connection, { sql: 'SELECT id, id, 1 AS id FROM items WHERE id < 0' })
      deepEqual(
        empty?.columns.map(({ name }) => name),
        ['id', 'id_2', 'id_3'],
      )
      deepEqual([empty?.rows, more], [[], []])
      match(String(empty?.columns[0]?.type), /^bigint$/i)
    })
  },

  async 'a statement that would write, a second one, and a wrong one are refused, and nothing changes'(destination) {
    await withConnection(destination, async connection => {
      if (connection.query === undefined) return
      await load(connection, '1.1', [1, 2])
      for (const sql of [
        'INSERT INTO items (id) VALUES (3)',
        'DELETE FROM items',
        'CREATE TABLE more (id INTEGER)',
        'DROP TABLE items',
        'SELECT 1; DELETE FROM items',
        'COMMIT; DELETE FROM items',
        'SELECT 1; COMMIT; DELETE FROM items',
        'EXPLAIN ANALYZE DELETE FROM items',
        "COPY items TO '/dev/null'",
        'SELECT missing FROM items',
        'SELECT id FROM nowhere',
        'SELEC 1',
        '',
      ]) {
        await rejects(ask(connection, sql), { code: 'query' }, sql)
      }
      equal(await connection.count('items'), 2)
      deepEqual(await ask(connection, 'SELECT count(*) FROM items'), [[2n]])
    })
  },

  async 'rows that nobody wants any more are not read, and a load goes on afterwards'(destination) {
    await withConnection(destination, async connection => {
      if (connection.query === undefined) return
      await load(
        connection,
        '1.1',
        Array.from({ length: 50 }, (_, id) => id),
      )
      for await (const _ of connection.query({ sql: 'SELECT id FROM items', batchRows: 1 })) break
      await load(connection, '1.2', [50])
      deepEqual(await ask(connection, 'SELECT count(*) FROM items'), [[51n]])
    })
  },
}
