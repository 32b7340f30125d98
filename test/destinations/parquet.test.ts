import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { parquetReadObjects } from 'hyparquet'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ParquetColumn, parquetEncoder } from '../../src/destinations/parquet/encoder.js'
import type { ColumnBatch } from '../../src/model/batch.js'
import { columnBatch } from '../../src/testing/testBatch.js'
import fc from '../properties.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-parquet-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

function file(columns: readonly ParquetColumn[], batches: readonly ColumnBatch[]): Buffer {
  const encoder = parquetEncoder(columns)
  const pieces = [...encoder.begin()]
  for (const batch of batches) pieces.push(...encoder.rowGroup(batch))
  pieces.push(...encoder.end())
  return Buffer.concat(pieces)
}

async function readByHyparquet(bytes: Buffer): Promise<Record<string, unknown>[]> {
  const buffer = new Uint8Array(bytes).buffer
  return await parquetReadObjects({ file: buffer })
}

const everyType = {
  text: 'text',
  json: 'json',
  decimal: 'decimal',
  wei: 'wei',
  binary: 'binary',
  bigint: 'bigint',
  at: 'timestamp',
  local: 'timestamp',
  time: 'time',
  date: 'date',
  double: 'double',
  bool: 'bool',
} as const
const fileColumns: ParquetColumn[] = Object.entries(everyType).map(([name, dataType]) => ({
  name,
  dataType,
  timezone: name === 'local' ? false : undefined,
}))
const full = {
  text: 'zażółć 🦆',
  json: '{"a":[1.10]}',
  decimal: '-12345678901234567890.123456789',
  wei: '99999999999999999999999999999999999999',
  binary: Uint8Array.of(0, 255, 10),
  bigint: -(2n ** 63n),
  at: '2024-02-29T23:59:59.999999Z',
  local: '1969-12-31T23:59:59.000001Z',
  time: '23:59:59.999999',
  date: '1600-02-29',
  double: 5e-324,
  bool: true,
}

describe('Parquet files', () => {
  test('are read by DuckDB with the types meant', async () => {
    const path = join(folder, 'types.parquet')
    const batches = [
      columnBatch('t', everyType, [full, {}, { bool: false, text: '' }]),
      columnBatch('t', everyType, [{}, full]),
    ]
    await writeFile(path, file(fileColumns, batches))
    const connection = await (await DuckDBInstance.create()).connect()
    const described = await connection.runAndReadAll(`DESCRIBE FROM read_parquet('${path}')`)
    const reader = await connection.runAndReadAll(`SET TimeZone='UTC'; SELECT * FROM read_parquet('${path}')`)
    expect(Object.fromEntries(described.getRows().map(([name, type]) => [name, type]))).toEqual({
      text: 'VARCHAR',
      json: 'JSON',
      decimal: 'VARCHAR',
      wei: 'VARCHAR',
      binary: 'BLOB',
      bigint: 'BIGINT',
      at: 'TIMESTAMP WITH TIME ZONE',
      local: 'TIMESTAMP',
      time: 'TIME',
      date: 'DATE',
      double: 'DOUBLE',
      bool: 'BOOLEAN',
    })
    const rows = reader.getRowObjectsJson()
    const expected = {
      text: full.text,
      json: full.json,
      decimal: full.decimal,
      wei: full.wei,
      binary: '\\x00\\xFF\\x0A',
      bigint: '-9223372036854775808',
      at: '2024-02-29 23:59:59.999999+00',
      local: '1969-12-31 23:59:59.000001',
      time: '23:59:59.999999',
      date: '1600-02-29',
      double: 5e-324,
      bool: true,
    }
    const nothing = Object.fromEntries(Object.keys(everyType).map(name => [name, null]))
    expect(rows).toEqual([expected, nothing, { ...nothing, bool: false, text: '' }, nothing, expected])
    connection.closeSync()
  })

  test('are read by another reader', async () => {
    const rows = await readByHyparquet(file(fileColumns, [columnBatch('t', everyType, [full, {}])]))
    expect(rows).toHaveLength(2)
    expect(rows[0]).toMatchObject({ text: full.text, bigint: full.bigint, double: full.double, bool: true })
    expect(rows[0]!.at).toEqual(new Date('2024-02-29T23:59:59.999Z'))
    expect(Object.values(rows[1]!).every(value => value === null || value === undefined)).toBe(true)
  })

  test('a row group of a batch that lacks a column holds nulls, other columns of the batch are left out', async () => {
    const bytes = file(
      [
        { name: 'a', dataType: 'bigint' },
        { name: 'c7', source: 'b "x"', dataType: 'text' },
      ],
      [
        columnBatch('t', { a: 'bigint' }, [{ a: 1 }]),
        columnBatch('t', { 'b "x"': 'text', other: 'double' }, [{ 'b "x"': 'y', other: 1 }]),
      ],
    )
    const rows = await readByHyparquet(bytes)
    expect(rows.map(row => ({ a: row.a ?? null, c7: row.c7 ?? null }))).toEqual([
      { a: 1n, c7: null },
      { a: null, c7: 'y' },
    ])
  })

  test('any mixture of nulls and values comes back', async () => {
    const value = fc.option(
      fc.record({ n: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), t: fc.string({ unit: 'binary' }), b: fc.boolean() }),
    )
    const types = { n: 'bigint', t: 'text', b: 'bool' } as const
    const columns: ParquetColumn[] = Object.entries(types).map(([name, dataType]) => ({ name, dataType }))
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(value, { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 4 }),
        async groups => {
          const bytes = file(
            columns,
            groups.map(rows =>
              columnBatch(
                't',
                types,
                rows.map(row => row ?? {}),
              ),
            ),
          )
          const rows = await readByHyparquet(bytes)
          const wanted = groups.flat().map(row => row ?? { n: null, t: null, b: null })
          expect(rows.map(row => ({ n: row.n ?? null, t: row.t ?? null, b: row.b ?? null }))).toEqual(wanted)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('many columns and long names need more than a byte in the metadata', async () => {
    const types = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`c${index}_${'x'.repeat(200)}`, 'bigint' as const]),
    )
    const path = join(folder, 'wide.parquet')
    const columns = Object.keys(types).map(name => ({ name, dataType: 'bigint' as const }))
    await writeFile(
      path,
      file(columns, [
        columnBatch('t', types, [Object.fromEntries(Object.keys(types).map((name, index) => [name, index]))]),
      ]),
    )
    const rows = await readByHyparquet(await readFile(path))
    expect(Object.values(rows[0]!)).toEqual(columns.map((_, index) => BigInt(index)))
  })
})
