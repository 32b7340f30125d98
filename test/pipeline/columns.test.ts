import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { duckdb, type Pipeline, pipeline, type RestApiConfig, type RunEvent, restApi } from '../../src/index.js'
import { testApi, testFolder } from './api.js'

type Warning = Extract<RunEvent, { readonly type: 'warning' }>

/** A pipeline that loads what `answer` holds into table `t`, with what it warned of. */
async function loading(resource: object = {}, client: object = {}) {
  const answer: { records: readonly unknown[] } = { records: [] }
  const api = await testApi(() => ({ json: answer.records }))
  const folder = await testFolder()
  const config = {
    client: { base_url: api.url, paginator: 'single_page', ...client },
    resources: [{ name: 't', ...resource }],
  } as RestApiConfig
  const made: Pipeline = pipeline({
    name: 'test',
    source: restApi(config, { env: {} }),
    destination: duckdb(join(folder, 'test.duckdb')),
    home: join(folder, 'home'),
  })
  return {
    made,
    async load(...records: readonly unknown[]) {
      answer.records = records
      const warnings: Warning[] = []
      const onEvent = (event: RunEvent): void => void (event.type === 'warning' && warnings.push(event))
      const result = await made.run({ onEvent })
      return { ...result, warnings: warnings.map(({ code, message }) => `${code}: ${message}`) }
    },
    rows: async (table = 't'): Promise<readonly Readonly<Record<string, unknown>>[]> =>
      await made.dataset().table(table).rows(),
  }
}

describe('values that do not fit their column', () => {
  test.each<[string, object, readonly unknown[], string, RegExp]>([
    [
      'of a declared type',
      { columns: { v: { data_type: 'bigint' } } },
      [{ v: 'a' }, { v: 1 }],
      't.v__v_text',
      /t\.v is bigint.*text.*v__v_text/,
    ],
    ['of a type that was found', {}, [{ v: 0 }, { v: 1000.5 }], 't.v__v_double', /t\.v is bigint.*double.*v__v_double/],
    ['in a nested table', {}, [{ l: [{ v: true }, { v: 'a' }] }], 't__l.v__v_text', /t__l\.v is bool/],
  ])(
    '%s are told of and stand in the receipt of the load that makes their column',
    async (_, hints, records, variant, message) => {
      const { made, load, rows } = await loading(hints)
      const first = await load(...records)
      expect(first.warnings).toEqual([expect.stringMatching(message)])
      expect(first.receipts[0]).toMatchObject({ variants: [variant] })
      const [stored] = await rows('_sluice_receipts')
      expect(stored).toMatchObject({ variants: JSON.stringify([variant]) })
      const second = await load(...records)
      expect(second.warnings).toEqual([])
      expect(second.receipts[0]?.variants).toBeUndefined()
      expect((await made.dataset().tables()).length).toBeGreaterThan(0)
    },
  )

  test.each<[string, unknown, RegExp]>([
    ['objects', { a: 1 }, /t\.v is bigint.*objects.*columns/],
    ['lists', [1], /t\.v is bigint.*lists.*table/],
  ])('because they are %s are told of once', async (_, value, message) => {
    const { load } = await loading({ columns: { v: { data_type: 'bigint' } } })
    expect((await load({ v: 1 }, { v: value }, { v: value })).warnings).toEqual([expect.stringMatching(message)])
    expect((await load({ v: value })).warnings).toEqual([])
  })
})

describe('"null in every record"', () => {
  test('is said once a table, and not of keys that have objects, lists or values too', async () => {
    const { load } = await loading({ columns: { license: { description: 'of the code' } } })
    const { warnings } = await load(
      { license: null, a: null, b: null, tags: null, empty: null, large: null, v: 1 },
      { license: { key: 'mit' }, a: null, tags: ['x'], empty: {}, large: Number.MAX_VALUE, v: null },
    )
    expect(warnings).toEqual([expect.stringMatching(/^null_only_column: Columns a, b of t were null in every record/)])
  })

  test('is not said of a key that had an object in an earlier load', async () => {
    const { load } = await loading()
    await load({ license: { key: 'mit' }, tags: [1] })
    expect((await load({ license: null, tags: null })).warnings).toEqual([])
  })

  test('is not said of values that the contract discards', async () => {
    const { load } = await loading({ schema_contract: { columns: 'discard_value' } })
    await load({ a: 1 })
    expect((await load({ a: 1, b: null }, { a: 1, b: 2 })).warnings).toEqual([])
  })
})

describe('a record without a fitting key says', () => {
  const KEYED = { primary_key: 'id', write_disposition: 'merge' }
  test.each<[string, object, unknown, unknown, RegExp]>([
    [
      'that the value has another type',
      KEYED,
      { id: 1 },
      { id: 'x1' },
      /type bigint, but record 1 of the page has the text "x1"/,
    ],
    ['that it is an object', KEYED, { id: 1 }, { id: { a: 1 } }, /has an object for it/],
    ['that it is a list', KEYED, { id: 1 }, { id: [1] }, /has a list for it/],
    [
      'that there is none',
      KEYED,
      { id: 1 },
      { x: 1 },
      /record 1 of the page has no value for it: \{"x":1\} \(GET \S+\)$/,
    ],
    [
      'how a key inside of an object is named',
      { primary_key: 'info.run_id', write_disposition: 'merge' },
      undefined,
      { info: { run_id: 1 } },
      /did you mean info__run_id\?/,
    ],
  ])('%s', async (_, resource, before, record, message) => {
    const { load } = await loading(resource)
    if (before !== undefined) await load(before)
    await expect(load(record)).rejects.toMatchObject({ code: 'primary_key', message: expect.stringMatching(message) })
  })
})

describe('keys that are values', () => {
  const keys = (count: number, value: unknown, from = 0): Record<string, unknown> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${from + index}`, value]))
  test.each<[string, readonly unknown[], RegExp]>([
    [
      'a hundred new ones a record',
      Array.from({ length: 1000 }, (_, index) => keys(100, 1, index * 100)),
      /more than 10000 columns/,
    ],
    ['all in one object', [{ by_user: keys(20_000, 1) }], /columns: \{by_user: \{data_type: json\}\}/],
    ['all null', [keys(50_000, null)], /more than 20000 different keys/],
    ['all lists', [keys(2000, [1])], /more than 1000 nested tables/],
  ])('are refused before they fill the memory: %s', async (_, records, message) => {
    const { load } = await loading()
    await expect(load(...records)).rejects.toMatchObject({ code: 'schema', message: expect.stringMatching(message) })
  })
})

describe('a record that has the name of a system column as a key is loaded,', () => {
  const names = ['_dlt_root_id', '_dlt_parent_id', '_dlt_list_idx', '_dlt_load_id', '_dlt_id']
  const merge = { primary_key: 'id', write_disposition: 'merge' }
  test.each(names.flatMap(name => [{}, merge].map(resource => [name, resource] as const)))(
    '%s with %j',
    async (name, resource) => {
      const { load, rows } = await loading(resource)
      for (const value of ['text', 7, null, { a: 1 }, [1]]) {
        const own = { [name]: value }
        const { rows: counts } = await load(
          { id: 1, ...own, o: own, l: [{ n: 1, ...own }, { n: 2 }] },
          { id: 2, l: [{ n: 3 }] },
        )
        expect(counts).toMatchObject({ t: 2, t__l: 3 })
      }
      const ids = new Set((await rows()).map(row => row._dlt_id))
      for (const line of await rows('t__l')) expect(ids).toContain(line._dlt_parent_id)
    },
  )

  test('with its values where the table has no such column of its own', async () => {
    const { load, rows } = await loading(merge)
    await load({ id: 1, _dlt_parent_id: 7, _dlt_root_id: 'r' }, { id: 2 })
    expect(await rows()).toMatchObject([
      { id: 1n, _dlt_parent_id: '7', _dlt_root_id: 'r' },
      { id: 2n, _dlt_parent_id: null, _dlt_root_id: null },
    ])
  })
})
