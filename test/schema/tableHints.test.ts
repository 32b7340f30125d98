import { describe, expect, test } from 'vitest'
import { SchemaError } from '../../src/model/errors.js'
import { adoptConvention, storedConvention } from '../../src/schema/adoptConvention.js'
import { markSeenData } from '../../src/schema/columns.js'
import { evolvesColumnsOnce } from '../../src/schema/contracts.js'
import { naming } from '../../src/schema/naming.js'
import { propagatedColumns, rootOf, tableChain } from '../../src/schema/rootKey.js'
import type { Schema } from '../../src/schema/schemaTypes.js'
import {
  ensureStateTable,
  newSchema,
  normalizerConfig,
  schemaText,
  setSourceHints,
  versionHash,
} from '../../src/schema/stored/document.js'
import { applyTableHints, type HintsOfResource } from '../../src/schema/tableHints.js'

const convention = naming('snake_case')
const fresh = (): Schema => newSchema('s', { naming: convention })
const apply = (schema: Schema, given: Partial<HintsOfResource> = {}) =>
  applyTableHints(schema, { resource: 'Orders', table: 'orders', hints: {}, naming: convention, ...given })

describe('columns', () => {
  test('come as declared, then keys, versions and cursor', () => {
    const table = apply(fresh(), {
      hints: {
        columns: [{ name: 'Total Sum', data_type: 'decimal' }, { name: 'note' }],
        primaryKey: ['Id', 'note'],
        mergeKey: ['day'],
        writeDisposition: { disposition: 'merge', strategy: 'scd2' },
      },
      cursorPath: 'updatedAt',
    })
    expect([...table.columns.values()]).toEqual([
      { name: 'total_sum', data_type: 'decimal' },
      { name: 'note', nullable: false, primary_key: true },
      { name: 'id', nullable: false, primary_key: true },
      { name: 'day', nullable: false, merge_key: true },
      { name: '_dlt_valid_from', data_type: 'timestamp', nullable: true, 'x-valid-from': true },
      {
        name: '_dlt_valid_to',
        data_type: 'timestamp',
        nullable: true,
        'x-valid-to': true,
        'x-active-record-timestamp': null,
      },
      { name: '_dlt_id', nullable: false, 'x-row-version': true, unique: false, row_key: false },
      { name: 'updated_at', incremental: true },
    ])
  })

  test('a key that may be null stays so', () => {
    const hints = { columns: [{ name: 'id', nullable: true }], primaryKey: ['id'] }
    expect(apply(fresh(), { hints }).columns.get('id')).toEqual({ name: 'id', nullable: true, primary_key: true })
  })

  test('keys of the table replace those that columns claim', () => {
    const columns = [
      { name: 'a', primary_key: true },
      { name: 'b', merge_key: true },
    ]
    const table = apply(fresh(), { hints: { columns, primaryKey: ['b'], mergeKey: [] } })
    expect([...table.columns.values()]).toEqual([{ name: 'a' }, { name: 'b', nullable: false, primary_key: true }])
    expect(columns[0]).toEqual({ name: 'a', primary_key: true })
  })

  test('a new set of keys replaces the old one', () => {
    const schema = fresh()
    apply(schema, { hints: { primaryKey: ['a', 'b'], mergeKey: ['m'] } })
    const { columns } = apply(schema, { hints: { primaryKey: ['b', 'c'] } })
    const keys = [...columns.values()].filter(column => column.primary_key === true).map(column => column.name)
    expect(keys).toEqual(['b', 'c'])
    expect(columns.get('m')?.merge_key).toBe(true)
  })

  test('declaring the type of a waiting column moves it to the end', () => {
    const schema = fresh()
    apply(schema, { hints: { columns: [{ name: 'a' }, { name: 'b', data_type: 'text' }] } })
    const table = apply(schema, { hints: { columns: [{ name: 'a', data_type: 'bigint' }] } })
    expect([...table.columns.keys()]).toEqual(['b', 'a'])
  })

  test('declaring another type than the stored one is refused', () => {
    const schema = fresh()
    apply(schema, { hints: { columns: [{ name: 'a', data_type: 'text' }] } })
    expect(() => apply(schema, { hints: { columns: [{ name: 'a', data_type: 'bigint' }] } })).toThrow(
      'Column orders.a is text in the stored schema and cannot become bigint',
    )
  })

  test('names that become one are merged with a warning', () => {
    const warnings: string[] = []
    const table = apply(fresh(), {
      hints: {
        columns: [
          { name: 'fooBar', data_type: 'text' },
          { name: 'foo_bar', nullable: false },
        ],
      },
      warn: (code, message) => warnings.push(`${code}: ${message}`),
    })
    expect(table.columns.get('foo_bar')).toEqual({ name: 'foo_bar', data_type: 'text', nullable: false })
    expect(warnings).toEqual([expect.stringMatching(/^column_collision: .*fooBar and foo_bar/)])
  })

  test.each([
    ['at', 'at'],
    ["['created at']", 'created_at'],
    ['meta.at', undefined],
    ['$.at', undefined],
    ['items[0]', undefined],
  ])('cursor path %s marks %s', (cursorPath, name) => {
    const columns = [...apply(fresh(), { cursorPath }).columns.values()]
    expect(columns).toEqual(name === undefined ? [] : [{ name, incremental: true }])
  })

  test('a schema of engine 10 keeps reading names as identifiers', () => {
    const schema = fresh()
    schema.normalizers = { ...schema.normalizers, use_break_path_on_normalize: false }
    const columns = [{ name: 'a__b', data_type: 'text' } as const]
    expect([...apply(schema, { hints: { columns } }).columns.keys()]).toEqual(['a_b'])
    expect([...apply(fresh(), { hints: { columns } }).columns.keys()]).toEqual(['a__b'])
  })
})

describe('the table', () => {
  test('is appended to by default and knows its resource', () => {
    expect(apply(fresh())).toMatchObject({ name: 'orders', write_disposition: 'append', resource: 'Orders' })
  })

  test('the disposition of the run wins, and only for the run', () => {
    const schema = fresh()
    const hints = { writeDisposition: { disposition: 'append' } } as const
    expect(apply(schema, { hints, runDisposition: { disposition: 'replace' } }).write_disposition).toBe('replace')
    expect(apply(schema, { hints }).write_disposition).toBe('append')
  })

  test('takes every other hint', () => {
    const table = apply(fresh(), {
      hints: {
        writeDisposition: { disposition: 'merge', strategy: 'delete-insert', deduplicated: true },
        schemaContract: 'freeze',
        maxTableNesting: 1,
        tableFormat: 'delta',
        fileFormat: 'parquet',
        primaryKey: ['id'],
        references: [{ referenced_table: 'users' }],
      },
    })
    expect(table).toMatchObject({
      write_disposition: 'merge',
      'x-merge-strategy': 'delete-insert',
      'x-stage-data-deduplicated': true,
      schema_contract: 'freeze',
      table_format: 'delta',
      file_format: 'parquet',
      references: [{ referenced_table: 'users' }],
      'x-normalizer': { max_nesting: 1, 'evolve-columns-once': true },
    })
  })

  test('columns may evolve once only while the table is new', () => {
    const schema = fresh()
    const hints = { columns: [{ name: 'id', data_type: 'bigint' }], schemaContract: { columns: 'freeze' } } as const
    const table = apply(schema, { hints })
    expect(evolvesColumnsOnce(table)).toBe(true)
    markSeenData(table)
    expect(evolvesColumnsOnce(apply(schema, { hints }))).toBe(false)
  })

  test('a contract decides about columns that are declared later', () => {
    const schema = fresh()
    const first = { columns: [{ name: 'id', data_type: 'bigint' }] } as const
    const later = { columns: [{ name: 'id', data_type: 'bigint' }, { name: 'x' }, { name: '_dlt_x' }] } as const
    markSeenData(apply(schema, { hints: first }))
    const discarded = apply(schema, { hints: { ...later, schemaContract: { columns: 'discard_value' } } })
    expect([...discarded.columns.keys()]).toEqual(['id', '_dlt_x'])
    expect(() => apply(schema, { hints: { ...later, schemaContract: 'freeze' } })).toThrow(/orders\.x .*freezes/)
    expect(apply(schema, { hints: { ...later, schemaContract: 'evolve' } }).columns.has('x')).toBe(true)
  })

  test('scd2 takes names and times as configured', () => {
    const table = apply(fresh(), {
      hints: {
        writeDisposition: {
          disposition: 'merge',
          strategy: 'scd2',
          validityColumnNames: ['from', 'until'],
          activeRecordTimestamp: '9999-12-31',
          boundaryTimestamp: '2024-01-01',
          rowVersionColumnName: 'version',
        },
      },
    })
    expect(table).toMatchObject({ 'x-merge-strategy': 'scd2', 'x-boundary-timestamp': '2024-01-01' })
    expect([...table.columns.keys()]).toEqual(['from', 'until', 'version'])
    expect(table.columns.get('until')?.['x-active-record-timestamp']).toBe('9999-12-31')
  })

  test('the boundary of scd2 stays until null takes it back', () => {
    const schema = fresh()
    const boundaryAfter = (boundary: { boundaryTimestamp?: string | null }) =>
      apply(schema, { hints: { writeDisposition: { disposition: 'merge', strategy: 'scd2', ...boundary } } })[
        'x-boundary-timestamp'
      ]
    expect(boundaryAfter({ boundaryTimestamp: '2024-01-01' })).toBe('2024-01-01')
    expect(boundaryAfter({})).toBe('2024-01-01')
    expect(boundaryAfter({ boundaryTimestamp: null })).toBeNull()
    expect(boundaryAfter({})).toBeNull()
  })

  test('upsert without a primary key is refused', () => {
    const upsert = { writeDisposition: { disposition: 'merge', strategy: 'upsert' } } as const
    expect(() => apply(fresh(), { hints: upsert })).toThrow(/Orders: merge strategy upsert needs a primary_key/)
    expect(() => apply(fresh(), { hints: { ...upsert, primaryKey: ['id'] } })).not.toThrow()
    expect(() => apply(fresh(), { hints: { writeDisposition: { disposition: 'merge' } } })).not.toThrow()
  })

  test('a nested table cannot become a root table', () => {
    const schema = fresh()
    schema.tables.set('orders', { name: 'orders', columns: new Map(), parent: 'shops' })
    expect(() => apply(schema)).toThrow(/nested under shops .* cannot become a root table/)
  })
})

describe('nested hints', () => {
  test('shape nested tables, which inherit, or become roots by a key of their own', () => {
    const schema = fresh()
    apply(schema, {
      hints: {
        writeDisposition: { disposition: 'merge' },
        primaryKey: ['id'],
        nestedHints: {
          'replies__Author Names': { columns: [{ name: 'n', data_type: 'text' }] },
          lines: { primaryKey: ['no'], writeDisposition: { disposition: 'append' } },
        },
      },
    })
    expect(schema.tables.get('orders__replies')).toEqual({
      name: 'orders__replies',
      columns: new Map(),
      parent: 'orders',
    })
    const names = schema.tables.get('orders__replies__author_names')
    expect(names?.parent).toBe('orders__replies')
    expect(names?.write_disposition).toBeUndefined()
    const lines = schema.tables.get('orders__lines')
    expect(lines).toMatchObject({ write_disposition: 'append', resource: 'Orders' })
    expect(lines?.parent).toBeUndefined()
  })
})

describe('root keys', () => {
  const merge = { writeDisposition: { disposition: 'merge' }, primaryKey: ['id'] } as const
  const scd2 = { writeDisposition: { disposition: 'merge', strategy: 'scd2' } } as const
  const rootId = { _dlt_id: '_dlt_root_id' }

  test.each([
    ['merge', merge, undefined, rootId],
    ['append', {}, undefined, {}],
    ['scd2', scd2, undefined, {}],
    ['append where the source asks', {}, true, rootId],
    ['merge where the source forbids', merge, false, {}],
  ] as const)('%s', (_, hints, rootKey, expected) => {
    const schema = fresh()
    setSourceHints(schema, { rootKey })
    apply(schema, { hints })
    expect(propagatedColumns(schema, 'orders')).toEqual(expected)
  })

  test('go on where a nested table has the column', () => {
    const schema = fresh()
    const column = { name: '_dlt_root_id', data_type: 'text', root_key: true } as const
    schema.tables.set('orders__a', { name: 'orders__a', columns: new Map(), parent: 'orders' })
    schema.tables.set('orders__a__b', { name: 'orders__a__b', columns: new Map([['x', column]]), parent: 'orders__a' })
    apply(schema)
    expect(propagatedColumns(schema, 'orders')).toEqual(rootId)
    expect(tableChain(schema, 'orders').map(table => table.name)).toEqual(['orders', 'orders__a', 'orders__a__b'])
    const nested = schema.tables.get('orders__a__b')
    expect(nested && rootOf(schema, nested)).toBe('orders')
  })
})

describe('hints of the source', () => {
  test('replace those of the run before, and what nested rows carry is decided anew', () => {
    const schema = fresh()
    setSourceHints(schema, { maxNesting: 2, rootKey: true, schemaContract: 'freeze' })
    apply(schema, { hints: { schemaContract: 'evolve' } })
    apply(schema, { table: 'merged', hints: { writeDisposition: { disposition: 'merge' }, primaryKey: ['id'] } })
    expect(normalizerConfig(schema)).toEqual({
      max_nesting: 2,
      root_key_propagation: true,
      propagation: { tables: { orders: { _dlt_id: '_dlt_root_id' }, merged: { _dlt_id: '_dlt_root_id' } } },
    })
    setSourceHints(schema, { maxNesting: 50 })
    expect(schema.settings.schema_contract).toBeUndefined()
    expect(normalizerConfig(schema)).toEqual({
      max_nesting: 50,
      propagation: { tables: { merged: { _dlt_id: '_dlt_root_id' } } },
    })
    setSourceHints(schema, { rootKey: false })
    expect(normalizerConfig(schema)).toEqual({ root_key_propagation: false })
  })

  test('leave no trace where there are none', () => {
    const schema = fresh()
    setSourceHints(schema, { maxNesting: 2, schemaContract: 'freeze' })
    setSourceHints(schema, {})
    expect(schemaText(schema)).toBe(schemaText(fresh()))
  })
})

describe('another naming convention', () => {
  const other = naming('sql_cs_v1')

  test('starts the schema anew while no table holds rows', () => {
    const schema = fresh()
    apply(schema, { hints: { writeDisposition: { disposition: 'merge' }, primaryKey: ['id'] } })
    ensureStateTable(schema, convention)
    adoptConvention(schema, other)
    expect(versionHash(schema)).toBe(versionHash(newSchema('s', { naming: other })))
  })

  test('is refused once a table holds rows, unless the schema allows it', () => {
    const schema = fresh()
    markSeenData(apply(schema))
    expect(() => adoptConvention(schema, convention)).not.toThrow()
    expect(() => adoptConvention(schema, other)).toThrow(SchemaError)
    expect(() => adoptConvention(schema, other)).toThrow(/snake_case.*sql_cs_v1.*orders/)
    schema.normalizers.allow_identifier_change_on_table_with_data = true
    adoptConvention(schema, other)
    expect([...schema.tables.keys()]).toEqual(['_dlt_version', '_dlt_loads'])
    expect(storedConvention(schema)).toBe('sql_cs_v1')
  })

  test('a module path is known by its last part', () => {
    const schema = fresh()
    schema.normalizers.names = 'dlt.common.normalizers.names.snake_case'
    expect(storedConvention(schema)).toBe('snake_case')
  })
})
