import { describe, expect, test } from 'vitest'
import { SchemaError } from '../../src/model/errors.js'
import { addColumn, hasSeenData, markSeenData, newColumn, preferredType } from '../../src/schema/columns.js'
import {
  allowColumnsOnce,
  evolvesColumnsOnce,
  expandContract,
  resolveContract,
  setSchemaContract,
} from '../../src/schema/contracts.js'
import { naming } from '../../src/schema/naming.js'
import type { Schema, TableSchema } from '../../src/schema/schemaTypes.js'
import { newSchema } from '../../src/schema/stored/document.js'

const fresh = (): Schema => newSchema('s', { naming: naming('snake_case') })

describe('newColumn', () => {
  test.each([
    ['_dlt_id', { nullable: false, unique: true, row_key: true }],
    ['_dlt_parent_id', { nullable: false, parent_key: true }],
    ['_dlt_root_id', { nullable: false, root_key: true }],
    ['_dlt_load_id', { nullable: false }],
    ['_dlt_list_idx', { nullable: false }],
    ['my_dlt_id', { nullable: true }],
  ])('%s follows the default hints', (name, hints) => {
    expect(newColumn(fresh(), name, 'text')).toEqual({ name, data_type: 'text', ...hints })
  })

  test('a variant says so', () => {
    expect(newColumn(fresh(), 'a__v_text', 'text', { variant: true })).toMatchObject({ variant: true })
  })

  test('patterns of the schema are names or expressions', () => {
    const schema = fresh()
    schema.settings = { default_hints: { not_null: ['a.b', 're:^id_'], sort: ['re:(?P<end>_at)$'] } }
    expect(newColumn(schema, 'a.b', 'text').nullable).toBe(false)
    expect(newColumn(schema, 'a_b', 'text').nullable).toBe(true)
    expect(newColumn(schema, 'id_x', 'text').nullable).toBe(false)
    expect(newColumn(schema, 'made_at', 'text')).toMatchObject({ nullable: true, sort: true })
  })

  test('a pattern that is no expression is named', () => {
    const schema = fresh()
    schema.settings = { default_hints: { sort: ['re:('] } }
    expect(() => newColumn(schema, 'a', 'text')).toThrow(/re:\(/)
  })
})

test('preferredType takes the first pattern that matches', () => {
  const schema = fresh()
  expect(preferredType(schema, 'amount')).toBeUndefined()
  schema.settings = { preferred_types: { amount: 'decimal', 're:_at$': 'timestamp', 're:^a': 'text' } }
  expect(preferredType(schema, 'amount')).toBe('decimal')
  expect(preferredType(schema, 'added_at')).toBe('timestamp')
  expect(preferredType(schema, 'after')).toBe('text')
  expect(preferredType(schema, 'x')).toBeUndefined()
})

describe('addColumn', () => {
  const table = (): TableSchema => ({
    name: 't',
    columns: new Map([
      ['key', { name: 'key', nullable: false, primary_key: true }],
      ['known', { name: 'known', data_type: 'bigint', nullable: true }],
    ]),
  })

  test('completes a declared column, which moves to the end and keeps its hints', () => {
    const target = table()
    const completed = addColumn(target, { name: 'key', data_type: 'text', nullable: true })
    expect(completed).toEqual({ name: 'key', data_type: 'text', nullable: false, primary_key: true })
    expect([...target.columns.keys()]).toEqual(['known', 'key'])
  })

  test('leaves a column alone that is there already and refuses another type', () => {
    const target = table()
    expect(addColumn(target, { name: 'known', data_type: 'bigint' })).toBe(target.columns.get('known'))
    expect(() => addColumn(target, { name: 'known', data_type: 'text' })).toThrow(SchemaError)
  })
})

describe('contracts', () => {
  const withTables = (): Schema => {
    const schema = fresh()
    schema.tables.set('root', { name: 'root', columns: new Map(), schema_contract: { columns: 'freeze' } })
    schema.tables.set('root__a', { name: 'root__a', columns: new Map(), parent: 'root' })
    schema.tables.set('root__a__b', { name: 'root__a__b', columns: new Map(), parent: 'root__a' })
    schema.tables.set('other', { name: 'other', columns: new Map() })
    return schema
  }

  test('one word stands for all', () => {
    expect(expandContract('freeze')).toEqual({ tables: 'freeze', columns: 'freeze', data_type: 'freeze' })
  })

  test('a nested table is under the contract of its nearest parent that has one', () => {
    const schema = withTables()
    setSchemaContract(schema, { tables: 'discard_row', columns: 'discard_value' })
    const expected = { tables: 'evolve', columns: 'freeze', data_type: 'evolve' }
    for (const name of ['root', 'root__a', 'root__a__b']) expect(resolveContract(schema, name)).toEqual(expected)
    const settings = { tables: 'discard_row', columns: 'discard_value', data_type: 'evolve' }
    for (const name of ['other', 'unknown']) expect(resolveContract(schema, name)).toEqual(settings)
  })

  test('without any, everything evolves', () => {
    expect(resolveContract(fresh(), 'x')).toEqual({ tables: 'evolve', columns: 'evolve', data_type: 'evolve' })
  })

  test('columns that evolve once do so until the table has seen data', () => {
    const table: TableSchema = { name: 't', columns: new Map(), 'x-normalizer': { max_nesting: 1 } }
    allowColumnsOnce(table)
    expect(evolvesColumnsOnce(table)).toBe(true)
    markSeenData(table)
    expect(evolvesColumnsOnce(table)).toBe(false)
    expect(hasSeenData(table)).toBe(true)
    expect(table['x-normalizer']).toEqual({ max_nesting: 1, 'seen-data': true })
  })
})
