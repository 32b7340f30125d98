import { expect, test } from 'vitest'
import type { RestApiConfig, RunOptions } from '../../src/index.js'
import { durationMs } from '../../src/model/expectations.js'
import { load, prepared, run, testApi } from '../rest/loading.js'

/** What a user expects of the records of a run: through the public door, before anything is committed. */

function things(origin: string, expect: object, more: object = {}): RestApiConfig {
  return {
    client: { base_url: origin, paginator: 'single_page' },
    resources: [{ name: 'things', endpoint: { data_selector: 'data' }, expect, ...more }],
  } as RestApiConfig
}

const soon = new Date(Date.now() + 86_400_000).toISOString()
const long_ago = '2001-02-03T04:05:06Z'

const cases: readonly [string, object, readonly object[], string | undefined][] = [
  ['enough records', { min_records: 2 }, [{ id: 1 }, { id: 2 }], undefined],
  ['too few records', { min_records: 2 }, [{ id: 1 }], '1 record arrived, fewer than the 2 of `expect.min_records`'],
  ['no record at all', { min_records: 1 }, [], '0 records arrived'],
  ['values everywhere', { not_null: ['id', 'who.mail'] }, [{ id: 0, who: { mail: '' } }], undefined],
  ['a null', { not_null: ['id'] }, [{ id: 1 }, { id: null }], '1 record without a value at "id"'],
  [
    'a field that is missing',
    { not_null: ['who.mail'] },
    [{ id: 1 }, { id: 2, who: {} }],
    '2 records without a value at "who.mail"',
  ],
  ['a path into a list', { not_null: ['$.lines[*].sku'] }, [{ lines: [{ sku: null }, { sku: 'a' }] }], undefined],
  ['different values', { unique: ['id'] }, [{ id: 1 }, { id: '1' }, { id: 2 }], undefined],
  [
    'a value that comes twice',
    { unique: ['id'] },
    [{ id: 1 }, { id: 2 }, { id: 1 }],
    '1 record with the "id" of an earlier one',
  ],
  ['digits that JavaScript loses', { unique: ['id'] }, [{ id: 1, n: 0 }], undefined],
  ['a field that no record has', { unique: ['idd'] }, [{ id: 1 }, { id: 1 }], 'no record has "idd" (`expect.unique`)'],
  ['nulls are no values', { unique: ['id'] }, [{ id: null }, { id: null }, {}], undefined],
  [
    'values together',
    { unique: [['a', 'b']] },
    [
      { a: 1, b: 1 },
      { a: 1, b: 2 },
    ],
    undefined,
  ],
  [
    'values that are together twice',
    { unique: [['a', 'b']] },
    [
      { a: 1, b: 1 },
      { a: 1, b: 1 },
    ],
    'the "a, b" of an earlier one',
  ],
  ['a new time', { max_age: { path: 'at', duration: 'PT1H' } }, [{ at: long_ago }, { at: soon }], undefined],
  [
    'a new time in seconds',
    { max_age: { path: 'at', duration: 'PT1H' } },
    [{ at: Date.parse(soon) / 1000 }],
    undefined,
  ],
  [
    'an old time',
    { max_age: { path: 'at', duration: 'P1D' } },
    [{ at: long_ago }],
    'the newest "at" is 2001-02-03T04:05:06.000Z, older than the P1D',
  ],
  [
    'no time',
    { max_age: { path: 'at', duration: 'P1D' } },
    [{ at: 'soon' }, { at: null }, { at: {} }, {}, { at: 1e300 }],
    'no record has a time at "at"',
  ],
  ['several', { min_records: 5, not_null: ['x'] }, [{ id: 1 }], '1 record without a value at "x"'],
]

test.each(cases)('%s', async (_name, expected, data, message) => {
  const api = await testApi(() => ({ json: { data } }))
  const made = await prepared(things(api.origin, expected))
  if (message === undefined) {
    expect((await run(made)).result.receipts[0]?.verdict).toBe('complete')
    return
  }
  await expect(run(made)).rejects.toMatchObject({
    code: 'incomplete',
    message: expect.stringMatching(/^things is incomplete: [\s\S]*Nothing was committed/),
  })
  await expect(run(made)).rejects.toThrow(message)
  expect(await made.dataset().history()).toEqual([])
  const { result } = await run(made, { allowIncomplete: true })
  expect(result.receipts[0]).toMatchObject({ verdict: 'incomplete', records: data.length })
})

test('long numbers differ in their last digit', async () => {
  const api = await testApi(() => ({ text: '{"data":[{"id":9007199254740993},{"id":9007199254740992}]}' }))
  const { result } = await load(things(api.origin, { unique: ['id'] }))
  expect(result.receipts[0]?.verdict).toBe('complete')
})

test.each<[string, number, number, boolean]>([
  ['a fifth more', 12, 0.2, true],
  ['more than a fifth more', 13, 0.2, false],
  ['a fifth less', 8, 0.2, true],
  ['more than a fifth less', 7, 0.2, false],
  ['none any more', 0, 0.9, false],
  ['not one more', 11, 0, false],
])('the number of records may change: %s', async (_name, next, max_change, isGood) => {
  let records = 10
  const api = await testApi(() => ({ json: { data: Array.from({ length: records }, (_, id) => ({ id })) } }))
  const made = await prepared(things(api.origin, { max_change }))
  await run(made)
  records = next
  if (isGood) await run(made)
  else await expect(run(made)).rejects.toThrow(`${next} records arrived after 10 in the last load`)
  expect(await made.dataset().history()).toHaveLength(isGood ? 2 : 1)
})

test('a trial run is not held against numbers of records', async () => {
  const api = await testApi(() => ({ json: { data: [{ id: 1 }] } }))
  const { result } = await load(things(api.origin, { min_records: 100 }), { maxPages: 1 })
  expect(result.rows).toEqual({ things: 1 })
})

test('a run is not held against a trial run, also where no list is ever complete', async () => {
  const api = await testApi(url => {
    const page = Number(url.searchParams.get('page') ?? 1)
    return { json: { data: page > 5 ? [] : [{ id: page }], total: 6 } }
  })
  const made = await prepared(
    things(
      api.origin,
      { max_change: 0.1 },
      {
        endpoint: { data_selector: 'data', paginator: { type: 'page_number', base_page: 1, total_path: null } },
      },
    ),
  )
  const verdicts = async (options: RunOptions = {}) => (await run(made, options)).result.receipts[0]
  expect(await verdicts()).toMatchObject({ verdict: 'unproven', records: 5 })
  expect(await verdicts({ maxPages: 1 })).toMatchObject({ verdict: 'unproven', records: 1 })
  expect(await verdicts()).toMatchObject({ verdict: 'unproven', records: 5 })
})

test('the number of records is held against the last whole load, however many parts came since', async () => {
  let records = 10
  const api = await testApi(() => ({ json: { data: Array.from({ length: records }, (_, id) => ({ id })) } }))
  const made = await prepared(things(api.origin, { max_change: 0.1 }))
  await run(made)
  for (let part = 0; part < 21; part++) await run(made, { maxPages: 1 })
  records = 1
  await expect(run(made)).rejects.toThrow('1 record arrived after 10 in the last load')
}, 60_000)

test('records that steps make are what is expected', async () => {
  const api = await testApi(() => ({ json: { data: [{ id: 1 }] } }))
  const steps = { processing_steps: [{ map: (record: object) => ({ ...record, mail: 'a@b' }) }] }
  const { result } = await load(things(api.origin, { not_null: ['mail'] }, steps))
  expect(result.receipts[0]?.verdict).toBe('complete')
})

test('the children of a resource that breaks it are incomplete too, and rows stay', async () => {
  const api = await testApi(url => ({ json: { data: url.pathname === '/parents' ? [{ id: 1 }] : [{ n: 1 }] } }))
  const document = {
    client: { base_url: api.origin, paginator: 'single_page' },
    resources: [
      { name: 'parents', endpoint: { data_selector: 'data' }, expect: { min_records: 2 } },
      { name: 'children', endpoint: { path: 'parents/{resources.parents.id}/children', data_selector: 'data' } },
    ],
  } as RestApiConfig
  await expect(load(document)).rejects.toThrow(/parents is incomplete.*\nchildren is incomplete/)
})

test.each<[string, object, RegExp]>([
  [
    'a duration with months',
    { max_age: { path: 'at', duration: 'P1M' } },
    /expect\.max_age\.duration: expected an ISO 8601 duration/,
  ],
  ['no path', { max_age: { duration: 'P1D' } }, /expect\.max_age\.path: is missing/],
  ['no JSONPath', { not_null: ['a['] }, /expect\.not_null\[0\]: is not a JSONPath/],
  ['a share below zero', { max_change: -1 }, /expect\.max_change: must be at least 0/],
  ['a near miss', { min_record: 1 }, /min_record.*min_records/s],
])('%s is refused', async (_name, expected, message) => {
  await expect(prepared(things('http://127.0.0.1:9', expected))).rejects.toThrow(message)
})

test.each<[string, number | undefined]>([
  ['P1D', 86_400_000],
  ['P1W', 604_800_000],
  ['PT6H', 21_600_000],
  ['P1DT12H30M5.5S', 131_405_500],
  ['pt5m', 300_000],
  ['P', undefined],
  ['PT', undefined],
  ['P1', undefined],
  ['1D', undefined],
  ['P1Y', undefined],
  ['-P1D', undefined],
])('the duration %s', (text, ms) => expect(durationMs(text)).toBe(ms))

test('plan shows what is expected', async () => {
  const made = await prepared(things('http://127.0.0.1:9', { min_records: 3, unique: ['id'] }))
  const plan = await made.plan()
  expect(plan.resources[0]?.expect).toMatchObject({ minRecords: 3, unique: [['id']] })
})
