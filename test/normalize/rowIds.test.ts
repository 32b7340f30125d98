import { describe, expect, it } from 'vitest'
import type { Address } from '../../src/json/kernel/instantiate.js'
import { parseJson } from '../../src/json/parse.js'
import { canonicalJson } from '../../src/json/write.js'
import { Kernel } from '../../src/normalize/kernel/kernel.js'
import { BufferPool } from '../../src/normalize/tables/buffers.js'
import { IdColumn, nestedId, rowHash } from '../../src/normalize/tables/rowIds.js'
import golden from '../golden/row_hash.json' with { type: 'json' }
import fc from '../properties.js'

const kernel = new Kernel(() => {
  throw new Error('no page is walked')
})

function words(values: readonly number[]): Address {
  const block = kernel.exports.acquire(values.length * 4)
  kernel.words.set(values, block >> 2)
  return block
}

function columnOf(ids: readonly string[]): IdColumn {
  const column = new IdColumn(kernel)
  for (const [row, id] of ids.entries()) column.set(row, id)
  return column
}

/** Ids as the batch has them, in a text column. */
function idsOf(column: IdColumn, rows: number): string[] {
  const bytes = Buffer.from(column.values(rows, new BufferPool(), []))
  const ids: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at)
    ids.push(bytes.toString('utf8', at + 4, end))
    at = end
  }
  expect(ids).toHaveLength(rows)
  for (const [row, id] of ids.entries()) expect(column.at(row)).toBe(id)
  return ids
}

/** Made in two parts, as when rows are added to a batch. */
function batchOf(parents: readonly string[], table: string, indexes: readonly number[]): string[] {
  const made = new IdColumn(kernel)
  const listIndexes = words(indexes)
  const half = parents.length >> 1
  made.makeNested(columnOf(parents), table, listIndexes, 0, half)
  made.makeNested(columnOf(parents), table, listIndexes, half, parents.length)
  kernel.exports.release(listIndexes, indexes.length * 4)
  return idsOf(made, parents.length)
}

const generatedId = fc.stringMatching(/^[A-Za-z0-9+/]{14}$/)

describe('nested ids', () => {
  it.each(golden.nested_row_hash)('of $parent_id $table $idx', ({ parent_id, table, idx, hash }) => {
    expect(nestedId(parent_id, table, idx)).toBe(hash)
    expect(batchOf([parent_id], table, [idx])).toEqual([hash])
  })

  it('are the same in a batch and one by one', () => {
    const rows = fc.array(fc.tuple(generatedId, fc.oneof(fc.nat(9), fc.nat(1000), fc.nat())), { maxLength: 9 })
    const table = fc.oneof(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ unit: 'binary', maxLength: 150 }))
    fc.assert(
      fc.property(rows, table, (pairs, name) => {
        const [parents, indexes] = [pairs.map(([parent]) => parent), pairs.map(([, index]) => index)]
        expect(batchOf(parents, name, indexes)).toEqual(pairs.map(([parent, index]) => nestedId(parent, name, index)))
      }),
    )
  })

  it('know every length of a table name', () => {
    for (let length = 1; length <= 180; length++) {
      const table = 't'.repeat(length)
      const indexes = [2_147_483_647, 0, 10, 99, 100, 1_000_000_000]
      const parents = indexes.map(index => String(index).padStart(14, 'p'))
      expect(batchOf(parents, table, indexes)).toEqual(
        indexes.map((index, row) => nestedId(parents[row]!, table, index)),
      )
    }
  })

  it('take parents of any length', () => {
    const parents = ['', 'x', 'zażółć', 'a'.repeat(14), 'b'.repeat(300), 'c'.repeat(18)]
    expect(batchOf(parents, 't', [0, 1, 2, 3, 4, 5])).toEqual(parents.map((parent, row) => nestedId(parent, 't', row)))
  })

  it('are made for batches of any size', () => {
    for (const count of [0, 1, 2, 3, 1023, 1024, 1025, 3000]) {
      const parents = Array.from({ length: count }, (_, row) => String(row % 7).padEnd(14, '='))
      const indexes = parents.map((_, row) => row)
      expect(batchOf(parents, 't__list', indexes)).toEqual(
        parents.map((parent, row) => nestedId(parent, 't__list', row)),
      )
    }
  })
})

describe('ids of other rows', () => {
  const anyId = fc.oneof(generatedId, fc.string({ maxLength: 20 }))

  it('are gathered and copied, whatever their length', () => {
    const sources = fc.array(anyId, { minLength: 1, maxLength: 9 })
    fc.assert(
      fc.property(sources, fc.array(fc.nat(8), { maxLength: 20 }), (ids, places) => {
        const rows = places.map(place => place % ids.length)
        const sourceRows = words(rows)
        const column = new IdColumn(kernel)
        column.gather(columnOf(ids), sourceRows, 0, rows.length >> 1)
        column.gather(columnOf(ids), sourceRows, rows.length >> 1, rows.length)
        kernel.exports.release(sourceRows, rows.length * 4)
        const expected = rows.map(row => ids[row])
        expect(idsOf(column, rows.length)).toEqual(expected)
        const copy = new IdColumn(kernel)
        copy.copy(column, 0, rows.length)
        expect(idsOf(copy, rows.length)).toEqual(expected)
      }),
    )
  })
})

describe('random ids', () => {
  it('are ten bytes in base64, each another', () => {
    const column = columnOf(['before'])
    column.makeRandom(1, 3000)
    const ids = idsOf(column, 3000)
    expect(ids[0]).toBe('before')
    expect(new Set(ids).size).toBe(3000)
    for (const id of ids.slice(1)) expect(Buffer.from(id, 'base64').toString('base64')).toBe(`${id}==`)
  })

  it('use all of their bits', () => {
    const column = new IdColumn(kernel)
    column.makeRandom(0, 1000)
    const ones = new Array<number>(80).fill(0)
    for (const id of idsOf(column, 1000)) {
      Buffer.from(id, 'base64').forEach((byte, place) => {
        for (let bit = 0; bit < 8; bit++) ones[place * 8 + bit]! += (byte >> bit) & 1
      })
    }
    // Eight standard deviations around one half.
    for (const count of ones) expect(Math.abs(count - 500)).toBeLessThan(127)
  })
})

describe('row hashes', () => {
  it.each(golden.row_hash.filter(({ json }) => !json.includes('_dlt')))('of $canonical', ({ json, row_hash }) => {
    expect(rowHash(canonicalJson(parseJson(json)))).toBe(row_hash)
  })
})
