import { describe, expect, test } from 'vitest'
import type { InspectedColumn } from '../../src/model/destination.js'
import { markSeenData } from '../../src/schema/columns.js'
import { describeDifference, inspectDifferences } from '../../src/schema/export/differences.js'
import { naming } from '../../src/schema/naming.js'
import type { ColumnSchema } from '../../src/schema/schemaTypes.js'
import { newSchema } from '../../src/schema/stored/document.js'

const schema = newSchema('s', { naming: naming('snake_case') })
for (const name of ['users', 'orders', 'declared']) {
  const id = { name: 'id', data_type: 'bigint', nullable: false } as const
  const note = { name: 'note', data_type: 'text', nullable: true } as const
  const columns = new Map<string, ColumnSchema>([
    ['id', id],
    ['note', note],
    ['waiting', { name: 'waiting' }],
  ])
  const table = { name, columns }
  if (name !== 'declared') markSeenData(table)
  schema.tables.set(name, table)
}

const table = (columns: Record<string, boolean>): Map<string, InspectedColumn> =>
  new Map(Object.entries(columns).map(([name, nullable]) => [name, { type: 'TEXT', nullable }]))
const whole = table({ id: false, note: true, waiting: true })

describe('inspectDifferences', () => {
  test('finds nothing where nothing was touched, additions of the user included', () => {
    const inspected = new Map([
      ['users', whole],
      ['orders', table({ id: true, note: true, mine: true })],
      ['theirs', whole],
    ])
    expect(inspectDifferences(schema, inspected)).toEqual([])
  })

  test('names what is gone and what refuses nulls', () => {
    const inspected = new Map([['users', table({ note: false, mine: false })]])
    const differences = inspectDifferences(schema, inspected)
    expect(differences).toEqual([
      { kind: 'missing_column', table: 'users', column: 'id' },
      { kind: 'not_null', table: 'users', column: 'note' },
      { kind: 'foreign_column', table: 'users', column: 'mine' },
      { kind: 'missing_table', table: 'orders' },
    ])
    expect(differences.map(describeDifference)).toEqual([
      'Column users.id is gone from the destination',
      'Column users.note was made NOT NULL at the destination',
      'Column users.mine was added at the destination and is NOT NULL',
      'Table orders is gone from the destination',
    ])
  })

  test('compares names as the destination does', () => {
    const inspected = new Map([
      ['USERS', table({ ID: false, NOTE: true })],
      ['ORDERS', table({ ID: false, NOTE: true })],
    ])
    expect(inspectDifferences(schema, inspected, { caseSensitive: false })).toEqual([])
    expect(inspectDifferences(schema, inspected)).toHaveLength(2)
  })
})
