import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { JsonObject } from '../../src/index.js'
import { type PostgresServer, startPostgres } from '../destinations/postgresServer.js'
import { lastWarnings } from './sqlPlaces.js'

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
}, 120_000)
afterAll(async () => {
  await server.stop()
})

type Lines = (id: number) => JsonObject

const LINES: Lines = id => ({ lines: [{ sku: `a${id}`, taxes: [{ rate: 7 }] }, { sku: 'b' }] })
const NONE: Lines = () => ({})

function orders(count: number, lines: Lines): JsonObject[] {
  return Array.from({ length: count }, (_, id) => ({ id, at: id, ...lines(id) }))
}

describe.each(['duckdb', 'postgres'])(
  'rows of nested tables that go and do not come again, on %s',
  {
    timeout: 120_000,
  },
  place => {
    const warned = (hints: object, loads: readonly JsonObject[][]) =>
      lastWarnings(server, place, 'nested_rows_gone', { name: 'orders', ...hints }, loads)

    const MERGE = { write_disposition: 'merge' }
    const UPSERT = { write_disposition: { disposition: 'merge', strategy: 'upsert' } }
    const told = [
      expect.stringMatching(
        /^orders: 30 rows of orders .*: orders__lines \(60 rows\), orders__lines__taxes \(30 rows\)\./,
      ),
    ]

    it.each<[string, object, readonly JsonObject[][], readonly unknown[]]>([
      ['a list that is gone, of merged records', MERGE, [orders(30, LINES), orders(30, NONE)], told],
      ['of upserted ones', UPSERT, [orders(30, LINES), orders(30, NONE)], told],
      ['of replaced ones', { write_disposition: 'replace' }, [orders(30, LINES), orders(30, NONE)], told],
      ['once', MERGE, [orders(30, LINES), orders(30, NONE), orders(30, NONE)], []],
      [
        'a list in a list',
        MERGE,
        [orders(30, LINES), orders(30, () => ({ lines: [{ sku: 'a' }] }))],
        [expect.stringMatching(/: orders__lines__taxes \(30 rows\)\./)],
      ],
      ['not of a few records', MERGE, [orders(9, LINES), orders(9, NONE)], []],
      ['not of a few rows', MERGE, [orders(30, id => (id < 2 ? LINES(id) : {})), orders(30, NONE)], []],
      ['not if one record has rows', MERGE, [orders(30, LINES), orders(30, id => (id === 0 ? LINES(id) : {}))], []],
      ['not of rows that are added', { write_disposition: 'append' }, [orders(30, LINES), orders(30, NONE)], []],
    ])('%s', async (_, hints, loads, expected) => {
      expect(await warned(hints, loads)).toEqual(expected)
    })

    it.each<[string, object, readonly JsonObject[][], readonly unknown[]]>([
      [
        'an empty list',
        { write_disposition: 'replace' },
        [orders(30, LINES), []],
        [expect.stringMatching(/^orders: no record arrived, so all 30 rows of orders are gone/)],
      ],
      ['not of a few rows', { write_disposition: 'replace' }, [orders(9, LINES), []], []],
      ['once', { write_disposition: 'replace' }, [orders(30, LINES), [], []], []],
      ['not of merged records', MERGE, [orders(30, LINES), []], []],
      ['not if a record came', { write_disposition: 'replace' }, [orders(30, NONE), orders(1, NONE)], []],
    ])('a table that is emptied: %s', async (_, hints, loads, expected) => {
      expect(await lastWarnings(server, place, 'table_emptied', { name: 'orders', ...hints }, loads)).toEqual(expected)
    })
  },
)
