import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { SchemaError } from '../../src/model/errors.js'
import { addColumn, newColumn } from '../../src/schema/columns.js'
import { naming } from '../../src/schema/naming.js'
import type { Schema } from '../../src/schema/schemaTypes.js'
import {
  bumpVersion,
  cloneSchema,
  compressedSchemaText,
  ensureStateTable,
  newSchema,
  readSchema,
  schemaText,
  versionHash,
} from '../../src/schema/stored/document.js'

const convention = naming('snake_case')
const golden = readFileSync(new URL('../golden/stored_schema_example.json', import.meta.url), 'utf8').trim()

describe('the golden document', () => {
  test('is written back byte for byte', () => {
    expect(schemaText(readSchema(golden))).toBe(golden)
  })

  test('has the hash that dlt stored with it', () => {
    const schema = readSchema(golden)
    expect(versionHash(schema)).toBe('ZiYHN4U0uvFioNaZBZMvLSIChmspqx8rkCioB3xNloA=')
    expect(bumpVersion(schema)).toBe(false)
    expect(schema.version).toBe(2)
  })

  test('is read from base64 of zlib too', () => {
    expect(schemaText(readSchema(compressedSchemaText(readSchema(golden))))).toBe(golden)
  })
})

describe('versionHash', () => {
  test('depends on the order of columns but not of tables or keys', () => {
    const schema = readSchema(golden)
    const hash = versionHash(schema)
    schema.tables = new Map([...schema.tables].reverse())
    expect(versionHash(schema)).toBe(hash)
    const table = schema.tables.get('my_table')
    if (table === undefined) throw new Error('the golden schema has my_table')
    table.columns = new Map([...table.columns].reverse())
    expect(versionHash(schema)).not.toBe(hash)
  })

  test('leaves out versions and previous hashes', () => {
    const schema = readSchema(golden)
    const changed: Schema = {
      ...schema,
      version: 9,
      version_hash: 'x',
      previous_hashes: [],
      imported_version_hash: 'y',
    }
    expect(versionHash(changed)).toBe(versionHash(schema))
  })

  test('sorts table names by code point, not by UTF-16 unit', () => {
    const schema = newSchema('s', { naming: convention })
    for (const name of ['\u{1F600}', '\uFF5E']) schema.tables.set(name, { name, columns: new Map() })
    const reversed = cloneSchema(schema)
    reversed.tables = new Map([...reversed.tables].reverse())
    expect(versionHash(reversed)).toBe(versionHash(schema))
  })
})

describe('names that JavaScript treats in its own way', () => {
  const names = ['10', 'b', '9', '__proto__', 'a', 'constructor', '1']

  test('keep their order through text', () => {
    const schema = newSchema('s', { naming: naming('direct') })
    const table = { name: '7', columns: new Map() }
    for (const name of names) addColumn(table, newColumn(schema, name, 'text'))
    schema.tables.set('7', table)
    schema.tables.set('__proto__', { name: '__proto__', columns: new Map() })
    schema.settings = { ...schema.settings, preferred_types: { '5': 'text', b: 'bigint' } }
    bumpVersion(schema)
    const read = readSchema(schemaText(schema))
    expect([...read.tables.keys()]).toEqual(['_dlt_version', '_dlt_loads', '7', '__proto__'])
    expect([...(read.tables.get('7')?.columns.keys() ?? [])]).toEqual(names)
    expect(read.settings).toEqual(schema.settings)
    expect(versionHash(read)).toBe(schema.version_hash)
    expect(schemaText(read)).toBe(schemaText(schema))
  })
})

describe('bumpVersion', () => {
  test('gives the first hash without a new version, later ones with it', () => {
    const schema = newSchema('s', { naming: convention })
    expect(bumpVersion(schema)).toBe(true)
    expect(schema.version).toBe(1)
    const first = schema.version_hash
    ensureStateTable(schema, convention)
    expect(bumpVersion(schema)).toBe(true)
    expect(schema).toMatchObject({ version: 2, previous_hashes: [first] })
    expect(bumpVersion(schema)).toBe(false)
  })

  test('keeps ten previous hashes, newest first', () => {
    const schema = newSchema('s', { naming: convention })
    const hashes: string[] = []
    for (let number = 0; number < 13; number++) {
      schema.description = `version ${number}`
      bumpVersion(schema)
      hashes.unshift(schema.version_hash)
    }
    expect(schema.previous_hashes).toEqual(hashes.slice(1, 11))
  })
})

describe('newSchema', () => {
  test('writes hints of the source where dlt has them', () => {
    const schema = newSchema('s', { naming: convention, maxNesting: 2, rootKey: true, schemaContract: 'freeze' })
    expect(schema.normalizers).toEqual({
      names: 'snake_case',
      json: {
        module: 'dlt.common.normalizers.json.relational',
        config: { max_nesting: 2, root_key_propagation: true },
      },
    })
    expect(schema.settings.schema_contract).toBe('freeze')
  })

  test('adds the state table once', () => {
    const schema = newSchema('s', { naming: convention })
    expect(ensureStateTable(schema, convention)).toBe(ensureStateTable(schema, convention))
  })
})

test('a clone shares nothing that can change', () => {
  const schema = readSchema(golden)
  const copy = cloneSchema(schema)
  copy.tables.get('my_table')?.columns.get('id')
  const column = copy.tables.get('my_table')?.columns.get('id')
  if (column !== undefined) column.data_type = 'text'
  copy.tables.delete('my_table__items')
  copy.previous_hashes.push('x')
  expect(schemaText(schema)).toBe(golden)
})

describe('reading what is no schema of ours', () => {
  const refused: readonly [about: string, text: string, message: RegExp][] = [
    ['no JSON', 'hello', /cannot be read/],
    ['a list', '[]', /not an object/],
    ['a newer engine', '{"engine_version":12,"name":"s"}', /newer tool \(engine 12/],
    ['no engine', '{"name":"s"}', /engine_version/],
    ['no name', '{"engine_version":11}', /no name/],
    ['a table that is text', '{"engine_version":11,"name":"s","tables":{"t":"x"}}', /Table t/],
    ['a column that is text', '{"engine_version":11,"name":"s","tables":{"t":{"columns":{"c":1}}}}', /Column t\.c/],
    ['base64 of something else', Buffer.from('not zlib at all').toString('base64'), /cannot be read/],
  ]
  test.each(refused)('%s', (_, text, message) => {
    expect(() => readSchema(text)).toThrow(SchemaError)
    expect(() => readSchema(text)).toThrow(message)
  })
})

describe('documents of older engines', () => {
  const old = (engine: number, table: object, rest: object = {}): string =>
    JSON.stringify({ version: 3, version_hash: 'h', engine_version: engine, name: 's', tables: { t: table }, ...rest })

  test('engine 8 learns which tables hold rows', () => {
    const schema = readSchema(old(8, { columns: { _dlt_id: { data_type: 'text' } } }))
    expect(schema.tables.get('t')?.['x-normalizer']).toEqual({ 'seen-data': true })
    expect(schema.engine_version).toBe(11)
  })

  test('engine 9 renames complex and foreign_key', () => {
    const columns = {
      a: { name: 'a', data_type: 'complex', nullable: true },
      _dlt_parent_id: { name: '_dlt_parent_id', data_type: 'text', foreign_key: true },
      _dlt_id: { name: '_dlt_id', data_type: 'text', unique: true },
    }
    const settings = { default_hints: { foreign_key: ['_dlt_parent_id'], unique: ['_dlt_id'] } }
    const schema = readSchema(old(9, { columns }, { settings }))
    const table = schema.tables.get('t')
    expect(table?.columns.get('a')?.data_type).toBe('json')
    expect(table?.columns.get('_dlt_parent_id')).toMatchObject({ parent_key: true })
    expect(table?.columns.get('_dlt_parent_id')?.foreign_key).toBeUndefined()
    expect(table?.columns.get('_dlt_id')).toMatchObject({ row_key: true })
    expect(schema.settings.default_hints).toEqual({
      unique: ['_dlt_id'],
      parent_key: ['_dlt_parent_id'],
      row_key: ['_dlt_id'],
    })
  })

  test('engine 10 goes on with names as identifiers', () => {
    const schema = readSchema(old(10, { columns: {} }, { normalizers: { names: 'snake_case' } }))
    expect(schema.normalizers).toEqual({ names: 'snake_case', use_break_path_on_normalize: false })
    expect(readSchema(golden).normalizers.use_break_path_on_normalize).toBeUndefined()
  })
})
