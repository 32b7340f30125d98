import { describe, expect, test } from 'vitest'
import { distinctValues } from '../../src/destinations/duckdb/distinctValues.js'
import type { ReadonlyTable } from '../../src/schema/schemaTypes.js'
import { columnBatch, type TestRow } from '../../src/testing/testBatch.js'
import fc from '../properties.js'

const table: ReadonlyTable = {
  name: 'orders',
  columns: new Map([
    ['id', { name: 'id', data_type: 'bigint', primary_key: true }],
    ['code', { name: 'code', data_type: 'text', primary_key: true }],
    ['size', { name: 'size', data_type: 'bigint' }],
  ]),
}
const TYPES = { id: 'bigint', code: 'text', size: 'bigint' } as const

function namesAfter(batches: readonly (readonly TestRow[])[]): readonly string[] {
  const distinct = distinctValues(table)
  for (const rows of batches) distinct.add(columnBatch('orders', TYPES, rows))
  return [...distinct.names]
}
const ids = (...values: (bigint | null)[]): readonly TestRow[] => values.map(id => ({ id, code: 'x', size: 1n }))

describe('values that are certainly all different', () => {
  test.each<[string, readonly (readonly TestRow[])[], readonly string[]]>([
    ['rise', [ids(1n, 2n, 7n)], ['id']],
    ['fall', [ids(7n, 2n, -1n)], ['id']],
    ['rise over the end of a batch', [ids(1n, 2n), ids(3n)], ['id']],
    [
      'rise beyond 32 and 53 bits',
      [ids(-1n, 0n, 4294967295n, 4294967296n, 9007199254740993n, 9007199254740994n)],
      ['id'],
    ],
    ['rise from the least to the greatest', [ids(-(2n ** 63n), 2n ** 63n - 1n)], ['id']],
    ['one', [ids(5n)], ['id']],
    ['equal neighbours', [ids(1n, 1n)], []],
    ['equal at the end of a batch', [ids(1n, 2n), ids(2n)], []],
    ['another direction', [ids(1n, 2n, 1n)], []],
    ['another direction in the next batch', [ids(1n, 2n), ids(1n, 2n)], []],
    ['a null', [ids(1n, null, 2n)], []],
    ['a batch without the column', [ids(1n), ids(null)], []],
    ['no order again, after a batch of it', [ids(2n, 1n, 2n), ids(3n, 4n)], []],
  ])('%s', (_, batches, names) => {
    expect(namesAfter(batches)).toEqual(names)
  })

  test('of the same name but of another type are none', () => {
    const distinct = distinctValues(table)
    distinct.add(columnBatch('orders', TYPES, ids(1n)))
    distinct.add(columnBatch('orders', { ...TYPES, id: 'double' }, [{ id: 2 }]))
    expect([...distinct.names]).toEqual([])
  })

  test('are different, whatever the batches', () => {
    const near = fc.bigInt({ min: -3n, max: 3n })
    const far = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    const batch = fc.array(fc.oneof(near, far), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(fc.array(batch, { minLength: 1, maxLength: 3 }), fc.boolean(), (batches, isSorted) => {
        const all = batches.flat()
        const values = isSorted ? all.sort((a, b) => (a < b ? -1 : Number(a > b))) : all
        const names = namesAfter(isSorted ? [ids(...values)] : batches.map(one => ids(...one)))
        const areDifferent = new Set(values).size === values.length
        if (names.includes('id')) expect(areDifferent).toBe(true)
        if (isSorted) expect(names.includes('id')).toBe(areDifferent)
      }),
    )
  })
})
