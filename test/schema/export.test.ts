import { readFileSync } from 'node:fs'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { SchemaError } from '../../src/model/errors.js'
import { addColumn, newColumn } from '../../src/schema/columns.js'
import { exportSchema, importSchemaYaml } from '../../src/schema/export/export.js'
import { naming } from '../../src/schema/naming.js'
import type { DataType, Schema } from '../../src/schema/schemaTypes.js'
import { newSchema, readSchema, schemaText, versionHash } from '../../src/schema/stored/document.js'

const golden = readFileSync(new URL('../golden/stored_schema_example.json', import.meta.url), 'utf8').trim()

const TYPES = {
  text: 'string',
  bigint: 'bigint',
  double: 'number',
  bool: 'boolean',
  timestamp: 'Date',
  date: 'string',
  time: 'string',
  decimal: 'string',
  wei: 'string',
  json: 'JsonValue',
  binary: 'Uint8Array',
} as const satisfies Record<DataType, string>

/** Names that trip writers: quotes, comment ends, YAML's booleans, dates and numbers, keys JavaScript moves. */
const AWKWARD = [
  '10',
  '2',
  'on',
  'y',
  'null',
  '2024-01-01',
  "it's",
  'a"b',
  '*/',
  '__proto__',
  'x y',
  '日本',
  '1e3',
  '~',
  '#',
]

function awkward(): Schema {
  const schema = newSchema('s', { naming: naming('direct') })
  const columns = new Map()
  for (const name of AWKWARD) addColumn({ name: 't', columns }, newColumn(schema, name, 'text'))
  for (const name of AWKWARD) {
    schema.tables.set(name, { name, columns: new Map(columns), write_disposition: 'append', resource: name })
  }
  schema.tables.set('waiting', {
    name: 'waiting',
    columns: new Map([['c', { name: 'c' }]]),
    write_disposition: 'append',
    resource: 'waiting',
  })
  schema.description = 'ends */ with\na comment: yes'
  return schema
}

describe('yaml', () => {
  test.each([
    ['the golden schema', () => readSchema(golden)],
    ['names that trip writers', awkward],
  ])('%s comes back with its hash', async (_, make) => {
    const schema = make()
    const read = await importSchemaYaml(await exportSchema(schema, 'yaml'))
    expect([...read.tables.keys()]).toEqual([...schema.tables.keys()])
    for (const table of read.tables.values()) {
      expect([...table.columns.keys()]).toEqual([...(schema.tables.get(table.name)?.columns.keys() ?? [])])
    }
    expect(versionHash(read)).toBe(versionHash(schema))
  })

  test('names tables and columns by their keys alone', async () => {
    const yaml = await exportSchema(readSchema(golden), 'yaml')
    expect(yaml).toContain(
      [
        '  my_table:',
        '    columns:',
        '      id:',
        '        data_type: bigint',
        '        nullable: true',
        '      name:',
      ].join('\n'),
    )
    expect(yaml).toContain('resource: My Table')
    expect(yaml).not.toMatch(/^ {4}name: /m)
  })

  test('reads a document as dlt writes it', async () => {
    const schema = await importSchemaYaml(
      [
        'version: 1',
        'version_hash: abc',
        'engine_version: 11',
        'name: s',
        'tables:',
        '  users:',
        '    columns:',
        '      id: {data_type: bigint, primary_key: true}',
        '      made: {data_type: timestamp, x-since: 2024-01-01T00:00:00Z}',
        '  users__tags:',
        '    columns: {}',
        '    parent: users',
      ].join('\n'),
    )
    expect(schema.tables.get('users')).toMatchObject({ write_disposition: 'append', resource: 'users' })
    expect(schema.tables.get('users')?.columns.get('id')?.name).toBe('id')
    expect(schema.tables.get('users')?.columns.get('made')?.['x-since']).toBe('2024-01-01T00:00:00.000Z')
    expect(schema.tables.get('users__tags')?.write_disposition).toBeUndefined()
  })

  test.each(['tables: [', 'name: s', '- a'])('%j is refused', async text => {
    await expect(importSchemaYaml(text)).rejects.toThrow(SchemaError)
  })
})

test('json is the stored document, indented', async () => {
  for (const schema of [readSchema(golden), awkward()]) {
    const text = await exportSchema(schema, 'json')
    expect(schemaText(readSchema(text))).toBe(schemaText(schema))
    expect(text).toMatch(/^\{\n {2}"version": \d,\n/)
  }
})

describe('typescript', () => {
  test.each(Object.entries(TYPES) as [DataType, string][])('%s is %s', async (dataType, type) => {
    const schema = newSchema('s', { naming: naming('snake_case') })
    const columns = new Map([
      ['may', { name: 'may', data_type: dataType }],
      ['must', { name: 'must', data_type: dataType, nullable: false }],
    ])
    schema.tables.set('items', { name: 'items', columns })
    const text = await exportSchema(schema, 'typescript')
    expect(text).toContain(`  readonly may: ${type} | null\n`)
    expect(text).toContain(`  readonly must: ${type}\n`)
    expect(text).toContain('  readonly items: Items\n')
  })

  test('is valid for any names', async () => {
    const text = await exportSchema(awkward(), 'typescript')
    const { diagnostics } = ts.transpileModule(text, { reportDiagnostics: true })
    expect(diagnostics).toEqual([])
    const interfaces = [...text.matchAll(/export interface (\w+)/g)].map(match => match[1])
    expect(new Set(interfaces).size).toBe(interfaces.length)
    for (const name of AWKWARD)
      expect(text).toMatch(new RegExp(`readonly ("${name.replace(/[\W]/g, '.+')}"|${name.replace(/\W/g, '.')}): `))
    expect(text).not.toContain('Waiting')
  })
})

describe('diagrams', () => {
  const schema = readSchema(golden)

  test('dbml links nested tables to their parents', async () => {
    const text = await exportSchema(schema, 'dbml')
    expect(text).toContain('Table "my_table__items" {\n  "a" bigint\n  "_dlt_parent_id" text [not null]\n')
    expect(text).toContain('"_dlt_id" text [unique, not null]')
    expect(text).toContain('Ref: "my_table__items"."_dlt_parent_id" > "my_table"."_dlt_id"\n')
  })

  test('mermaid does too', async () => {
    const text = await exportSchema(schema, 'mermaid')
    expect(text.startsWith('erDiagram\n')).toBe(true)
    expect(text).toContain('    my_table__items {\n        bigint a\n        text _dlt_parent_id FK\n')
    expect(text).toContain('    my_table ||--o{ my_table__items : "_dlt_parent_id"\n')
  })

  test('references of hints are drawn where both tables are', async () => {
    const linked = readSchema(golden)
    const table = linked.tables.get('my_table')
    if (table === undefined) throw new Error('the golden schema has my_table')
    const reference = { columns: ['id'], referenced_columns: ['a'] }
    table.references = [
      { ...reference, referenced_table: 'my_table__items' },
      { ...reference, referenced_table: 'elsewhere' },
    ]
    const text = await exportSchema(linked, 'dbml')
    expect(text).toContain('Ref: "my_table"."id" > "my_table__items"."a"')
    expect(text).not.toContain('elsewhere')
  })
})

describe('modules of types', () => {
  const plain = newSchema('s', { naming: naming('snake_case') })
  for (const name of ['_dlt_loads', '_sluice_receipts', 'shops']) {
    const columns = new Map()
    addColumn({ name, columns }, newColumn(plain, 'load_id', 'text'))
    plain.tables.set(name, { name, columns, write_disposition: 'append', resource: name })
  }

  test.each(['typescript', 'zod', 'drizzle', 'kysely', 'json-schema'] as const)(
    '%s: has the tables of records alone, and nothing that they do not need',
    async format => {
      const text = await exportSchema(plain, format)
      expect(text).toMatch(/shops/i)
      expect(text).not.toMatch(/_dlt|_sluice|JsonValue|\bjson =|\bdouble =/)
    },
  )

  test('a project of dbt also asks when something was loaded', async () => {
    expect(await exportSchema(plain, 'dbt-sources')).toContain('name: _dlt_loads')
  })
})
