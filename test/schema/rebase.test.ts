import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { naming } from '../../src/schema/naming.js'
import type { ColumnSchema, ReadonlySchema, Schema, TableSchema } from '../../src/schema/schemaTypes.js'
import { bumpVersion, cloneSchema, newSchema, versionHash } from '../../src/schema/stored/document.js'
import { rebaseSchema } from '../../src/schema/stored/rebase.js'

type Columns = Readonly<Record<string, Partial<ColumnSchema>>>
type Tables = Readonly<Record<string, Columns>>

function schemaOf(tables: Tables, hints: Readonly<Record<string, Partial<TableSchema>>> = {}): Schema {
  const schema = newSchema('api', { naming: naming('snake_case') })
  for (const [name, columns] of Object.entries(tables)) {
    schema.tables.set(name, {
      name,
      columns: new Map(Object.entries(columns).map(([column, hints]) => [column, { name: column, ...hints }])),
      write_disposition: 'append',
      ...hints[name],
    } as TableSchema)
  }
  bumpVersion(schema)
  return schema
}

/** The tables of the test, as `schemaOf` takes them. */
function tablesIn({ tables }: ReadonlySchema): Tables {
  const own = [...tables.values()].filter(({ name }) => !name.startsWith('_dlt'))
  return Object.fromEntries(
    own.map(({ name, columns }) => [
      name,
      Object.fromEntries([...columns].map(([column, { name: _, ...hints }]) => [column, hints])),
    ]),
  )
}

const int = { data_type: 'bigint', nullable: true } as const
const text = { data_type: 'text', nullable: true } as const
const typeless = { primary_key: true } as const

interface Case {
  readonly before?: Tables
  readonly after: Tables
  readonly committed: Tables
  /** Tables whose rows the load writes. Default: none. */
  readonly written?: readonly string[]
  readonly result: Tables | string
}

test.each<[string, Case]>([
  [
    'tables of both stay',
    { after: { a: { x: int } }, committed: { b: { y: text } }, result: { b: { y: text }, a: { x: int } } },
  ],
  [
    'columns of both stay',
    {
      before: { a: { x: int } },
      after: { a: { x: int, mine: int } },
      committed: { a: { x: int, theirs: text } },
      written: ['a'],
      result: { a: { x: int, theirs: text, mine: int } },
    },
  ],
  [
    'what others dropped stays away',
    {
      before: { a: { x: int }, b: { y: int } },
      after: { a: { x: int }, b: { y: int } },
      committed: { b: { y: int } },
      written: ['b'],
      result: { b: { y: int } },
    },
  ],
  [
    'unless rows of it are written',
    { before: { a: { x: int } }, after: { a: { x: int } }, committed: {}, written: ['a'], result: { a: { x: int } } },
  ],
  [
    'what the load dropped goes',
    {
      before: { a: { x: int } },
      after: {},
      committed: { a: { x: int, y: int }, b: { y: int } },
      result: { b: { y: int } },
    },
  ],
  [
    'a column that others dropped comes back with rows only',
    {
      before: { a: { x: int, y: int } },
      after: { a: { x: int, y: int } },
      committed: { a: { x: int } },
      result: { a: { x: int } },
    },
  ],
  [
    'a table made anew has its own columns',
    {
      before: { a: { x: int, old: int } },
      after: { a: { x: text } },
      committed: { a: { x: int, old: int } },
      written: ['a'],
      result: { a: { x: text } },
    },
  ],
  [
    'one column of two types does not fit',
    { after: { a: { x: int } }, committed: { a: { x: text } }, written: ['a'], result: 'a.x' },
  ],
  ['not even without rows', { after: { a: { x: int } }, committed: { a: { x: text } }, result: 'a.x' }],
  [
    'a type that others changed does not fit rows',
    {
      before: { a: { x: int } },
      after: { a: { x: int } },
      committed: { a: { x: text } },
      written: ['a'],
      result: 'a.x',
    },
  ],
  [
    'a type that others changed stays without rows',
    { before: { a: { x: int } }, after: { a: { x: int } }, committed: { a: { x: text } }, result: { a: { x: text } } },
  ],
  [
    'a column that takes no null does not fit one that does',
    { after: { a: { x: int } }, committed: { a: { x: { ...int, nullable: false } } }, written: ['a'], result: 'a.x' },
  ],
  [
    'a type joins hints',
    { after: { a: { x: typeless } }, committed: { a: { x: int } }, result: { a: { x: { ...int, ...typeless } } } },
  ],
  [
    'hints join a type',
    {
      after: { a: { x: int } },
      committed: { a: { x: typeless } },
      written: ['a'],
      result: { a: { x: { ...typeless, ...int } } },
    },
  ],
])('%s', (_, { before, after, committed, written = [], result }) => {
  const change = {
    before: before === undefined ? undefined : schemaOf(before),
    after: schemaOf(after),
    written: new Set(written),
  }
  const rebased = rebaseSchema(change, schemaOf(committed))
  expect('conflict' in rebased ? rebased.conflict : tablesIn(rebased.schema)).toEqual(result)
})

describe('members of tables and of the schema', () => {
  const both: Tables = { a: { x: int }, b: { y: int } }
  const before = schemaOf(both)
  const hinted = (hints: Record<string, Partial<TableSchema>>): Schema => schemaOf(both, hints)
  const onto = (after: Schema, committed: Schema, written: readonly string[] = []) => {
    const rebased = rebaseSchema({ before, after, written: new Set(written) }, committed)
    if ('conflict' in rebased) throw new Error(rebased.conflict)
    return rebased.schema
  }

  test('change as the load changed them, and otherwise as others did', () => {
    const { tables } = onto(
      hinted({ a: { write_disposition: 'replace' } }),
      hinted({ a: { write_disposition: 'merge', description: 'theirs' }, b: { write_disposition: 'merge' } }),
    )
    expect(tables.get('a')).toMatchObject({ write_disposition: 'replace', description: 'theirs' })
    expect(tables.get('b')).toMatchObject({ write_disposition: 'merge' })
  })

  test('a table that has seen rows evolves no more for being new', () => {
    const { tables } = onto(
      hinted({ a: { 'x-normalizer': { 'evolve-columns-once': true } } }),
      hinted({ a: { 'x-normalizer': { 'seen-data': true } } }),
    )
    expect(tables.get('a')?.['x-normalizer']).toEqual({ 'seen-data': true })
  })

  test('a contract that is not met by what others changed is a conflict', () => {
    const after = hinted({ a: { schema_contract: 'freeze' } })
    const committed = schemaOf({ ...both, a: { x: int, z: int } })
    expect(rebaseSchema({ before, after, written: new Set(['a']) }, committed)).toEqual({ conflict: 'a' })
    expect(tablesIn(onto(after, committed, ['b'])).a).toEqual({ x: int, z: int })
  })

  test('the version counts on from the committed one', () => {
    const committed = cloneSchema(schemaOf({ ...both, c: { z: int } }))
    committed.version = 7
    const schema = onto(schemaOf({ ...both, d: { z: int } }), committed)
    expect([schema.version, schema.previous_hashes[0]]).toEqual([8, committed.version_hash])
    expect(onto(schemaOf(both), committed)).toMatchObject({ version: 7, version_hash: committed.version_hash })
  })

  test('root keys of both are propagated', () => {
    const merging = (name: string): Schema => {
      const schema = schemaOf({ ...both, [name]: { id: int } }, { [name]: { write_disposition: 'merge' } })
      schema.normalizers = {
        ...schema.normalizers,
        json: { config: { propagation: { tables: { [name]: { _dlt_id: '_dlt_root_id' } } } } },
      }
      return schema
    }
    const { json } = onto(merging('mine'), merging('theirs')).normalizers as { json: { config: object } }
    const ids = { _dlt_id: '_dlt_root_id' }
    expect(json.config).toEqual({ propagation: { tables: { theirs: ids, mine: ids } } })
  })
})

describe('laws', () => {
  const types = fc.constantFrom(int, text, { data_type: 'double', nullable: true } as const)
  const columns = fc.dictionary(fc.constantFrom('x', 'y', 'z'), types, { minKeys: 1 })
  const tables = fc.dictionary(fc.constantFrom('a', 'b', 'c'), columns)

  test('onto what it began from, a change is itself', () => {
    fc.assert(
      fc.property(tables, tables, (first, second) => {
        const before = schemaOf(first)
        const after = schemaOf(second)
        const rebased = rebaseSchema({ before, after, written: new Set(Object.keys(second)) }, before)
        expect('schema' in rebased && tablesIn(rebased.schema)).toEqual(second)
      }),
    )
  })

  test('rows always find the columns that they were made for', () => {
    fc.assert(
      fc.property(tables, tables, tables, (first, second, third) => {
        const change = { before: schemaOf(first), after: schemaOf(second), written: new Set(Object.keys(second)) }
        const rebased = rebaseSchema(change, schemaOf(third))
        if ('conflict' in rebased) return
        const result = tablesIn(rebased.schema)
        for (const [name, own] of Object.entries(second)) expect(result[name]).toMatchObject(own)
        expect(rebased.schema.version_hash).toBe(versionHash(rebased.schema))
      }),
    )
  })
})
