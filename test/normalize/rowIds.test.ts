import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson, parseJson } from '../../src/core/json.js'
import { nestedId, nestedIds, ROW_ID_LENGTH, ROW_ID_STRIDE, randomIds, rowHash } from '../../src/normalize/rowIds.js'
import golden from '../golden/row_hash.json' with { type: 'json' }

function textColumn(values: readonly string[]): Uint8Array {
  return Buffer.concat(
    values.map(value => {
      const bytes = Buffer.from(value)
      const length = Buffer.alloc(4)
      length.writeUInt32LE(bytes.length)
      return Buffer.concat([length, bytes])
    }),
  )
}

function idsOf(column: Uint8Array): string[] {
  const bytes = Buffer.from(column)
  const ids: string[] = []
  for (let at = 0; at < bytes.length; at += ROW_ID_STRIDE) {
    expect(bytes.readUInt32LE(at)).toBe(ROW_ID_LENGTH)
    ids.push(bytes.toString('latin1', at + 4, at + ROW_ID_STRIDE))
  }
  return ids
}

function batchOf(parents: readonly string[], table: string, indexes: readonly number[]): string[] {
  const out = new Uint8Array(parents.length * ROW_ID_STRIDE)
  nestedIds(textColumn(parents), table, Int32Array.from(indexes), parents.length, out)
  const long = new Uint8Array(out.length)
  nestedIds(textColumn(parents), table, BigInt64Array.from(indexes, BigInt), parents.length, long)
  expect(long).toEqual(out)
  return idsOf(out)
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

describe('random ids', () => {
  it('are ten bytes in base64, each another', () => {
    const out = new Uint8Array(5 + 3000 * ROW_ID_STRIDE)
    randomIds(3000, out, 5)
    expect(out.subarray(0, 5)).toEqual(new Uint8Array(5))
    const ids = idsOf(out.subarray(5))
    expect(new Set(ids).size).toBe(3000)
    for (const id of ids) expect(Buffer.from(id, 'base64').toString('base64')).toBe(`${id}==`)
  })

  it('use all of their bits', () => {
    const out = new Uint8Array(1000 * ROW_ID_STRIDE)
    randomIds(1000, out)
    const ones = new Array<number>(80).fill(0)
    for (const id of idsOf(out)) {
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

it('the committed kernel is the compiled source', async () => {
  await expect(promisify(execFile)('node', ['scripts/build-wasm.mjs', '--check'])).resolves.toBeDefined()
})
