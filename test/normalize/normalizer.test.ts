import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { TableHints } from '../../src/model/source.js'
import { fitsDecimal } from '../../src/normalize/exact/cells.js'
import { Kernel } from '../../src/normalize/kernel/kernel.js'
import { allowColumnsOnce } from '../../src/schema/contracts.js'
import type { ContractMode, SchemaContract } from '../../src/schema/schemaTypes.js'
import { cloneSchema } from '../../src/schema/stored/document.js'
import { decodeBatches } from './decode.js'
import { columnNames, LOAD_ID, type LoadOptions, load, openLoad, withoutIds } from './harness.js'

function shake(text: string): string {
  return createHash('shake128', { outputLength: 10 }).update(text).digest('base64').replaceAll('=', '')
}

function failure(pages: readonly string[], options: LoadOptions = {}): unknown {
  try {
    load(pages, options)
  } catch (error) {
    return error
  }
  return undefined
}

const items = (pages: readonly string[], options: LoadOptions = {}) =>
  withoutIds(load(pages, options).tables.get('items'))

describe('order of columns', () => {
  it.each([
    ['[{"a":1,"n":{"x":1,"m":{"q":1},"y":1},"b":1,"k":{"z":1}}]', 'a b k__z n__x n__y n__m__q _dlt_load_id _dlt_id'],
    ['[{"a":1},{"c":1,"b":1}]', 'a _dlt_load_id _dlt_id c b'],
    ['[{},{"a":1}]', '_dlt_load_id _dlt_id a'],
    ['[{"a":null},{"b":1,"a":2}]', '_dlt_load_id _dlt_id b a'],
  ])('%s', (page, columns) => {
    expect(columnNames(load([page]).schema, 'items')).toEqual(columns.split(' '))
  })

  it('keeps declared types in front and moves untyped hints to where data completes them', () => {
    const hints: TableHints = {
      columns: [
        { name: 'z', nullable: false },
        { name: 'y', data_type: 'text' },
      ],
    }
    expect(columnNames(load(['[{"a":1,"z":2,"y":"t"}]'], { hints }).schema, 'items')).toEqual(
      'y a z _dlt_load_id _dlt_id'.split(' '),
    )
  })
})

describe('row ids', () => {
  it('hangs nested rows on their parents, over batches', () => {
    const page = '[{"id":1,"l":[{"m":[1,2]},{"m":[3]}]},{"id":2,"l":[]},{"id":3,"l":[{"m":[4]}]}]'
    const { tables, rows } = load([page, page, page], { batchRows: 2 })
    expect(Object.fromEntries(rows)).toEqual({ items: 9, items__l: 9, items__l__m: 12 })
    const parents = new Map((tables.get('items__l') ?? []).map(row => [row._dlt_id, row]))
    for (const row of tables.get('items__l__m') ?? []) {
      expect(parents.has(row._dlt_parent_id ?? '')).toBe(true)
      expect(row._dlt_id).toBe(shake(`${row._dlt_parent_id}_items__l__m_${row._dlt_list_idx}`))
    }
    expect(new Set((tables.get('items') ?? []).map(row => row._dlt_load_id))).toEqual(new Set([LOAD_ID]))
  })

  it.each(['upsert', 'insert-only'] as const)(
    'are made from the key for %s, and go down to all nested rows',
    strategy => {
      const hints: TableHints = { primaryKey: ['id', 'k'], writeDisposition: { disposition: 'merge', strategy } }
      const page = '[{"k":"é","id":1.0,"l":[{"m":[1]}]},{"id":7,"k":"x","l":[]},{"k":"2","l":[{"m":[1]}],"id":12}]'
      const { tables } = load([page], { hints })
      const ids = (tables.get('items') ?? []).map(row => row._dlt_id)
      expect(ids).toEqual([shake('{"id":1.0,"k":"é"}'), shake('{"id":7,"k":"x"}'), shake('{"id":12,"k":"2"}')])
      expect((tables.get('items__l__m') ?? []).map(row => row._dlt_root_id)).toEqual([ids[0], ids[2]])
    },
  )

  it('are made from the record for scd2, without its _dlt keys', () => {
    const hints: TableHints = { writeDisposition: { disposition: 'merge', strategy: 'scd2' } }
    const page = '[{"b":[2,{"z":1e0,"a":null}],"a":1},{"a":2,"b":[]},{"_dlt_x":5,"a":2,"b":[]}]'
    const ids = (load([page, page], { hints }).tables.get('items') ?? []).map(row => row._dlt_id)
    const expected = [shake('{"a":1,"b":[2,{"a":null,"z":1.0}]}'), shake('{"a":2,"b":[]}'), shake('{"a":2,"b":[]}')]
    expect(ids).toEqual([...expected, ...expected])
  })

  it('come with the data where it has them', () => {
    const page = '[{"_dlt_id":"mine","_dlt_load_id":"old","l":[1,{"_dlt_id":"inner","m":[5]}]},{"l":[2]}]'
    const { tables } = load([page], { batchRows: 1 })
    const [first, second] = tables.get('items') ?? []
    expect(first).toMatchObject({ _dlt_id: 'mine', _dlt_load_id: LOAD_ID })
    expect(tables.get('items__l')).toMatchObject([
      { _dlt_parent_id: 'mine', _dlt_id: shake('mine_items__l_0'), value: 1 },
      { _dlt_parent_id: 'mine', _dlt_id: 'inner', _dlt_list_idx: 1 },
      { _dlt_parent_id: second?._dlt_id, value: 2 },
    ])
    expect(tables.get('items__l__m')).toMatchObject([
      { _dlt_parent_id: 'inner', _dlt_id: shake('inner_items__l__m_0') },
    ])
  })
})

describe('keys and columns', () => {
  it.each([
    ['[{"Foo":1,"foo":2}]', [{ foo: 2 }]],
    ['[{"Foo":1},{"foo":2},{"foo":3,"Foo":4}]', [{ foo: 1 }, { foo: 2 }, { foo: 4 }]],
    ['[{"Foo":1},{"foo":2},{"foo":3,"Foo":null}]', [{ foo: 1 }, { foo: 2 }, {}]],
    ['[{"a":{"b":1},"a__b":2}]', [{ a__b: 1 }]],
    ['[{"Foo":1},{"foo":"x"},{"Foo":1,"foo":"y"}]', [{ foo: 1 }, { foo__v_text: 'x' }, { foo__v_text: 'y' }]],
    ['[{"a":1,"a":2},{"a":3,"a":{"b":4}},{"a":5,"a":null},{"a":6,"\\u0061":7}]', [{ a: 2 }, { a__b: 4 }, {}, { a: 7 }]],
    ['[{"":1," ":2,"\\u00a0":{"":3}}]', [{ _empty: 2, _empty___empty: 3 }]],
    ['["x",{"value":"y"},3,null,true]', [{ value: 'x' }, { value: 'y' }, { value: '3' }, {}, { value: 'True' }]],
  ])('%s', (page, rows) => {
    expect(items([page])).toEqual(rows)
    expect(items([page, page])).toEqual([...rows, ...rows])
  })

  it('warns once of keys that share a column', () => {
    const { warnings } = load(['[{"Foo":1,"foo":2},{"Foo":1,"foo":2}]'])
    expect(warnings).toEqual([{ code: 'column_collision', message: expect.stringMatching(/"Foo".*"foo".*items.*foo/) }])
    // Of objects inside, the first one may count.
    expect(warnings[0]?.message).toContain('of a record that has both, one value was loaded')
  })

  it('warns of lists that share a table', () => {
    const both = load(['[{"a":{"b":[1,2]},"a__b":[3]}]'])
    expect(both.warnings).toMatchObject([{ code: 'table_collision' }])
    expect(withoutIds(both.tables.get('items__a__b'))).toEqual(
      [3, 1, 2].map((value, _dlt_list_idx) => ({ value, _dlt_list_idx })),
    )
    const last = load(['[{"L":[1,2],"l":[3]}]'])
    expect(last.warnings).toMatchObject([{ code: 'table_collision' }])
    expect(withoutIds(last.tables.get('items__l'))).toEqual([{ value: 3, _dlt_list_idx: 0 }])
  })

  it('warns of columns that were only null', () => {
    expect(load(['[{"a":null,"b":null},{"b":1}]']).warnings).toEqual([
      { code: 'null_only_column', message: expect.stringContaining('items.a ') },
    ])
  })

  it('shortens names to the limit of the destination', () => {
    const { schema } = load(['[{"aaaaaaaaaaaaaaaaaaaa":{"bbbbbbbbbbbbbbbb":1},"cccccccccccccccccccccc":[{"d":1}]}]'], {
      maxLength: 16,
    })
    for (const table of schema.tables.values()) {
      if (!table.name.startsWith('items')) continue
      for (const name of [table.name, ...table.columns.keys()]) expect(name.length).toBeLessThanOrEqual(16)
    }
  })
})

describe('values', () => {
  it('keeps every digit of 64-bit integers and rounds doubles like JSON.parse', () => {
    const integers = [
      '1234567890123456',
      '-1234567890123456',
      '9007199254740993',
      '-9223372036854775808',
      '9223372036854775807',
      '4294967296',
      '-4294967297',
      '2147483648',
      '-2147483649',
    ]
    const found = load([`[${integers.map(one => `{"a":${one},"b":${one}.5}`).join()}]`]).tables.get('items') ?? []
    expect(found.map(({ a }) => String(a))).toEqual(integers)
    expect(found.map(({ b }) => b)).toEqual(integers.map(one => Number(`${one}.5`)))
  })

  it.each([
    ['[{"a":1},{"a":9223372036854775808}]', {}],
    ['[{"a":-9223372036854775809}]', {}],
    ['[{"l":[1,123456789012345678901234567890]}]', {}],
  ])('refuses integers beyond 64 bits: %s', (page, options) => {
    expect(failure([page], options)).toMatchObject({ code: 'integer_range', path: expect.stringMatching(/^items/) })
  })

  it.each([
    ['"-1000"', { precision: 5, scale: 2 }, 'decimal(5, 2)'],
    ['"999.995"', { precision: 5, scale: 2 }, 'decimal(5, 2)'],
    ['12345', { precision: 4, scale: 0 }, 'decimal(4, 0)'],
    ['1e30', {}, 'decimal(38, 9)'],
  ])('refuses a decimal with more digits before the point than its column has: %s', (value, digits, type) => {
    const hints: TableHints = { columns: [{ name: 'a', data_type: 'decimal', ...digits }] }
    expect(failure([`[{"a":1},{"a":${value}}]`], { hints })).toMatchObject({
      code: 'coercion',
      path: 'items.a',
      message: expect.stringContaining(type),
    })
  })

  it.each([
    ['0.00', 5, 2, true],
    ['0999.994', 5, 2, true],
    ['999.994999', 5, 2, true],
    ['-999.995', 5, 2, false],
    ['9.5', 1, 0, false],
    ['0.4', 2, 2, true],
    ['0.999', 2, 2, false],
    ['NaN', 5, 2, true],
  ])('%s fits into decimal(%i, %i): %s', (value, precision, scale, fits) => {
    expect(fitsDecimal(value, precision, scale)).toBe(fits)
  })

  it.each([
    ['decimal', '123456789012345678901234567890'],
    ['text', '123456789012345678901234567890'],
    ['double', 123456789012345680000000000000],
  ] as const)('takes wide integers into declared %s', (data_type, expected) => {
    const hints: TableHints = { columns: [{ name: 'a', data_type, ...(data_type === 'decimal' && { scale: 0 }) }] }
    const page = '[{"a":123456789012345678901234567890}]'
    expect(items([page, page], { hints })).toEqual([{ a: expected }, { a: expected }])
  })

  it('loads numbers that no double holds as null, with a warning', () => {
    const { tables, warnings } = load(['[{"a":1.5},{"a":1e400},{"b":-1e400}]'])
    expect(withoutIds(tables.get('items'))).toEqual([{ a: 1.5 }, {}, {}])
    expect(warnings.map(({ code }) => code)).toContain('number_out_of_range')
  })

  it('takes a number of more digits than any column holds for one of these', () => {
    const digits = '9'.repeat(30_000_000)
    const { tables, warnings } = load([`[{"a":1},{"a":${digits}},{"b":-${digits},"c":2}]`])
    expect(withoutIds(tables.get('items'))).toEqual([{ a: 1 }, {}, { c: 2 }])
    expect(warnings.map(({ code }) => code)).toEqual(['number_out_of_range', 'number_out_of_range'])
  })

  it.each([
    [true, 'a\0b', 'c\0', []],
    [false, 'ab', 'c', ['text_changed', 'text_changed']],
  ] as const)('keeps or removes U+0000: %s', (nulInText, plain, inside, codes) => {
    const hints: TableHints = { columns: [{ name: 'j', data_type: 'json' }] }
    const page = '[{"t":"x","j":1},{"t":"a\\u0000b","j":["c\\u0000"]}]'.replace('"j":1', '"j":[]')
    const { tables, warnings } = load([page, page], { nulInText, hints })
    expect(withoutIds(tables.get('items')).slice(2)).toEqual([
      { t: 'x', j: { json: [] } },
      { t: plain, j: { json: [inside] } },
    ])
    expect(warnings.map(({ code }) => code)).toEqual(codes)
  })

  it('replaces halves of surrogate pairs and bytes that are not UTF-8', () => {
    const page = '[{"t":"\\ud83d\\ude00"},{"t":"\\ud83dx"},{"t":"\\ude00"}]'
    const { tables, warnings } = load([page, page, Buffer.from('[{"t":"\xff"}]', 'latin1')])
    const expected = ['😀', '\ufffdx', '\ufffd']
    expect((tables.get('items') ?? []).map(({ t }) => t)).toEqual([...expected, ...expected, '\ufffd'])
    expect(warnings.map(({ code }) => code)).toEqual(['text_changed', 'text_changed'])
  })

  it('keeps objects and lists whole where the column is json or the nesting ends', () => {
    const page = '[{"o":{"k":[1, {"x" : null}],"k":2},"l":[[1],{"a":{"b":{}}}]}]'
    expect(items([page, page], { maxNesting: 0 })[1]).toEqual({
      o: { json: { k: 2 } },
      l: { json: [[1], { a: { b: {} } }] },
    })
    const one = load([page], { maxNesting: 1 }).tables
    expect(withoutIds(one.get('items__l'))).toEqual([
      { _dlt_list_idx: 0, list: { json: [1] } },
      { _dlt_list_idx: 1, a: { json: { b: {} } } },
    ])
  })

  it('takes preferred types and other detections from the settings of the schema', () => {
    const { schema } = openLoad()
    schema.settings = {
      ...schema.settings,
      detections: ['timestamp', 'iso_date', 'large_integer'],
      preferred_types: { 're:^n_': 'double', note: 'json' },
    }
    const page =
      '[{"n_a":1,"n_b":"x","note":{"k":1},"at":1700000100,"day":"2024-01-02","iso":"2024-01-02T00:00:00Z","big":9223372036854775808}]'
    const loaded = load([page], { schema })
    expect(withoutIds(loaded.tables.get('items'))).toEqual([
      {
        n_a: 1,
        n_b__v_text: 'x',
        note: { json: { k: 1 } },
        at: '2023-11-14T22:15:00.000000Z',
        day: '2024-01-02',
        iso: '2024-01-02T00:00:00Z',
        big: '9223372036854775808',
      },
    ])
    expect(loaded.schema.tables.get('items')?.columns.get('big')?.data_type).toBe('wei')
  })
})

describe('not null', () => {
  const key: TableHints = { primaryKey: ['id'] }
  const declared: TableHints = { columns: [{ name: 'n', nullable: false }] }
  it.each([
    ['primary_key', key, '[{"id":1},{"id":null,"x":5}]', 'record 2 of the page has no value for it: {"id":null,"x":5}'],
    ['primary_key', key, '[{"x":1}]', '{"x":1}'],
    ['primary_key', { mergeKey: ['day'] }, '[{"day":"a"},{}]', 'merge key'],
    ['not_null', declared, '[{"n":1},{"n":2},{"m":3}]', 'items.n'],
    [
      'primary_key',
      { ...key, writeDisposition: { disposition: 'merge', strategy: 'upsert' } },
      '[{"id":1},{"x":2}]',
      'items.id',
    ],
    [
      'primary_key',
      { ...key, writeDisposition: { disposition: 'merge', strategy: 'upsert' } },
      '[{"x":2}]',
      'items.id',
    ],
  ] as [string, TableHints, string, string][])('%s %j %s', (code, hints, page, words) => {
    const error = failure([page], { hints })
    expect(error).toMatchObject({ code, path: expect.stringMatching(/^items\./) })
    expect(String(error)).toContain(words)
  })

  it('is checked before a batch leaves, too', () => {
    const page = `[${Array.from({ length: 9 }, (_, id) => (id === 2 ? '{"x":1}' : `{"id":${id}}`)).join()}]`
    expect(failure([page], { hints: key, batchRows: 2 })).toMatchObject({ code: 'primary_key' })
  })
})

describe('contracts', () => {
  /** Loads `first` freely, then `second` under the contract. */
  function contracted(contract: Partial<SchemaContract>, second: string): ReturnType<typeof load> {
    const { schema } = load(['[{"id":1,"name":"ann","kids":[{"n":"x"}]}]'])
    return load([second, second], { schema: cloneSchema(schema), schemaContract: contract })
  }
  const twice = <T>(rows: readonly T[]): T[] => [...rows, ...rows]

  it.each([
    [
      'columns',
      'discard_row',
      '[{"id":2,"extra":5,"kids":[{"n":"y"}]},{"id":3,"kids":[{"n":"z"},{"n":"w","age":4}]}]',
      [{ id: 3 }],
      2,
      0,
    ],
    ['columns', 'discard_value', '[{"id":2,"extra":5,"o":{"p":1}},{"id":3}]', [{ id: 2 }, { id: 3 }], 0, 2],
    [
      'tables',
      'discard_row',
      '[{"id":2,"more":[{"a":1},{"a":2}],"new":true},{"id":3,"more":[]}]',
      [{ id: 2, new: true }, { id: 3 }],
      2,
      0,
    ],
    ['tables', 'discard_value', '[{"id":2,"more":[{"a":1},{"a":2}]}]', [{ id: 2 }], 2, 0],
    ['data_type', 'discard_row', '[{"id":"x"},{"id":"3"}]', [{ id: 3 }], 1, 0],
    [
      'data_type',
      'discard_value',
      '[{"id":"x","name":"bob"},{"id":3,"name":7}]',
      [{ name: 'bob' }, { id: 3, name: '7' }],
      0,
      1,
    ],
  ] as [keyof SchemaContract, ContractMode, string, object[], number, number][])(
    '%s %s',
    (entity, mode, page, rows, discardedRows, discardedValues) => {
      const { tables, counts } = contracted({ [entity]: mode }, page)
      expect(withoutIds(tables.get('items'))).toEqual(twice(rows))
      for (const count of counts) expect(count).toMatchObject({ discardedRows, discardedValues })
    },
  )

  it('admits nested tables where only columns are restricted', () => {
    const { tables } = contracted({ columns: 'discard_value' }, '[{"id":2,"pets":[{"p":1}]}]')
    expect(withoutIds(tables.get('items__pets'))).toEqual(twice([{ p: 1, _dlt_list_idx: 0 }]))
  })

  it.each([
    ['tables', '[{"id":2,"more":[{"a":1}]}]', 'items__more'],
    ['columns', '[{"id":2,"extra":1}]', 'extra'],
    ['data_type', '[{"id":"x"}]', 'id'],
  ] as const)('%s freeze', (entity, page, word) => {
    let error: unknown
    try {
      contracted({ [entity]: 'freeze' }, page)
    } catch (caught) {
      error = caught
    }
    expect(error).toMatchObject({ code: 'contract' })
    expect(String(error)).toContain(word)
  })

  it('lets the columns of a new table evolve once', () => {
    const { schema, normalizer } = openLoad({ schemaContract: { columns: 'freeze' } })
    const table = schema.tables.get('items')
    if (table !== undefined) allowColumnsOnce(table)
    normalizer.write('items', Buffer.from('[{"a":1},{"b":2}]'))
    expect(withoutIds(decodeBatches(normalizer.take(true)).get('items'))).toEqual([{ a: 1 }, { b: 2 }])
    normalizer.finish()
    expect(table?.['x-normalizer']).toEqual({ 'seen-data': true })
  })
})

describe('pages', () => {
  it.each([
    '',
    '[',
    '[1',
    '[1,]',
    '[,1]',
    '{"a":1}',
    '[1]x',
    '[{"a":01}]',
    '[{"a":1}{"a":2}]',
    '["\t"]',
    '[nul]',
    '[{"a" 1}]',
    '[{"a":"\\x"}]',
    '[{"a":"\\u12"}]',
    '[NaN]',
    '[1.]',
    '[.5]',
    '[+1]',
    '[1e]',
    "[{'a':1}]",
  ])('refuses %j', page => {
    expect(failure([page])).toMatchObject({ code: 'response_format' })
    expect(failure(['[{"a":1},{"a":"x"},{"a":1.5}]', page])).toMatchObject({ code: 'response_format' })
  })

  it('refuses nesting without end and survives deep nesting', () => {
    expect(failure([`[${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}]`])).toMatchObject({ code: 'response_format' })
    expect(failure(['['.repeat(100_000)])).toMatchObject({ code: 'response_format' })
    const depth = 500
    const deep = `[${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}]`
    expect(items([deep, deep], { maxLength: 60 })).toHaveLength(2)
  })

  it('reads empty pages and white space', () => {
    const { counts, tables } = load(['[]', ' [ ] \n', ' [ {"a" : 1 } , { "a":2}\t]\r\n'])
    expect(counts.map(({ records }) => records)).toEqual([0, 0, 2])
    expect(withoutIds(tables.get('items'))).toEqual([{ a: 1 }, { a: 2 }])
  })

  it('cuts batches at records and uses their buffers again', () => {
    const { normalizer } = openLoad({ batchRows: 3 })
    normalizer.write('items', Buffer.from('[{"a":1},{"a":2},{"a":3},{"a":4},{"a":5},{"a":6},{"a":7}]'))
    expect(normalizer.take().map(({ rows }) => rows)).toEqual([3, 3])
    expect(normalizer.take().map(({ rows }) => rows)).toEqual([])
    expect(decodeBatches(normalizer.take(true)).get('items')).toMatchObject([{ a: 7 }])
  })

  it('cuts batches of long rows by their bytes', () => {
    const { normalizer } = openLoad()
    const page = Buffer.from(JSON.stringify([{ text: 'x'.repeat(1 << 20) }]))
    const cut: number[] = []
    for (let number = 0; number < 24; number++) {
      normalizer.write('items', page)
      cut.push(...normalizer.take().map(({ rows }) => rows))
    }
    // Of a text of 1 MiB and its length, 7 are more than 7 MiB.
    expect(cut).toEqual([7, 7, 7])
    expect(normalizer.take(true).map(({ rows }) => rows)).toEqual([3])
  })

  it('gives rows of one table to the rows that hold them, in whichever table those are', () => {
    const page = '[[["a"]],{"value":{"list":["b"]}},{"value":{"list":["c"]}}]'
    for (const batchRows of [1, 100]) {
      const { tables } = load([page, page], { batchRows })
      const roots = tables.get('items')?.map(row => row._dlt_id) ?? []
      const lists = tables.get('items__value')?.map(row => row._dlt_id) ?? []
      const parents = tables.get('items__value__list')?.map(row => row._dlt_parent_id)
      expect(parents).toEqual([lists[0], roots[1], roots[2], lists[1], roots[4], roots[5]])
      expect(new Set(tables.get('items__value__list')?.map(row => row._dlt_id)).size).toBe(6)
    }
  })

  it('takes the last of repeated keys, even where an earlier value would not fit', () => {
    const page = '[[false,{"value":"","value":"2024-01-02T03:04:05Z"}]]'
    const values = [{ value: false }, { value__v_text: '2024-01-02T03:04:05.000000Z' }]
    expect(withoutIds(load([page, page]).tables.get('items__value'))).toMatchObject([...values, ...values])
    expect(failure([page, '[[{"value":""}]]'])).toMatchObject({ code: 'coercion', path: 'items__value.value__v_text' })
  })

  it('keeps a value whole that is larger than what was there before', () => {
    const text = 'ü'.repeat(3 << 20)
    const { tables } = load([JSON.stringify([{ text: 'a' }, { text }, { text: 'b' }])])
    expect(withoutIds(tables.get('items'))).toEqual([{ text: 'a' }, { text }, { text: 'b' }])
  })

  it('says so where a record does not fit into memory', () => {
    const { exports } = new Kernel(() => {
      throw new Error('no page is walked')
    })
    const refusal = expect.objectContaining({ code: 'memory', message: expect.stringMatching(/no memory/) })
    expect(() => exports.acquire(2 ** 30 + 1)).toThrow(refusal)
    // Memory that nobody writes to costs nothing. Addresses never turn negative, however the end is come near to.
    exports.acquire(2 ** 30)
    expect(() => exports.acquire(2 ** 30)).toThrow(refusal)
    for (const size of [2 ** 26, 2 ** 23, 2 ** 16]) {
      expect(() => {
        for (;;) expect(exports.acquire(size)).toBeGreaterThan(0)
      }).toThrow(refusal)
    }
    expect(exports.memory.buffer.byteLength).toBeLessThan(2 ** 31)
  })
})
