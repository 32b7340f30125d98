import { join } from 'node:path'
import { expect, test } from 'vitest'
import { duckdb, pipeline, type RestApiConfig, type RunOptions, restApi } from '../../src/index.js'
import { type Answer, testApi, testFolder } from './api.js'

/** scd2 ends the versions of records that are gone only if the list that does not have them was read whole. */

const numbered = { type: 'page_number', base_page: 1, total_path: null } as const

const versions = (name: string, more: object = {}) => ({
  name,
  table_name: 'items',
  primary_key: 'id',
  write_disposition: { disposition: 'merge', strategy: 'scd2' },
  endpoint: {
    path: name,
    data_selector: 'data',
    paginator: numbered,
    response_actions: [{ status_code: 404, action: 'ignore' }],
  },
  ...more,
})

async function loads(resources: readonly object[]) {
  const folder = await testFolder()
  const answers: Record<string, Answer> = {}
  const { url } = await testApi(
    ({ pathname, search }) => answers[pathname + search] ?? answers[pathname] ?? { status: 404, json: {} },
  )
  const made = pipeline({
    name: 'test',
    source: restApi({ client: { base_url: url }, resources } as RestApiConfig, { env: {} }),
    destination: duckdb(join(folder, 'test.duckdb')),
    home: join(folder, 'home'),
  })
  /** Two pages of records, and an empty one. */
  const list = (name: string, one: readonly object[], two: readonly object[] = [], more: object = {}): void => {
    for (const [at, data] of [one, two, []].entries())
      answers[`/${name}?page=${at + 1}`] = { json: { data, ...(data.length === 0 ? more : {}) } }
  }
  return {
    answers,
    list,
    /** What the run said of versions that stay. */
    async run(options: RunOptions = {}): Promise<string> {
      const said: string[] = []
      await made.run({
        ...options,
        onEvent: event =>
          void (event.type === 'warning' && event.code === 'deletes_skipped' && said.push(event.message)),
      })
      return said.join('\n')
    },
    /** The version of each row, with a cross behind those that have ended. */
    async rows(): Promise<string[]> {
      const rows = await made.dataset().table('items').rows()
      return rows.map(row => `${row.id}${row.name}${row._dlt_valid_to === null ? '' : ' x'}`).sort()
    },
  }
}

const a = [
  { id: 1, name: 'a' },
  { id: 2, name: 'a' },
]
const b = [{ id: 3, name: 'a' }]
const changed = [{ id: 1, name: 'b' }]
const KEPT = ['1a x', '1b', '2a', '3a']

test('scd2 ends no version that did not arrive after a list that was cut off, and says why', async () => {
  const made = await loads([versions('one')])
  made.list('one', a, b)
  expect(await made.run()).toBe('')
  made.list('one', changed, a)
  expect(await made.run({ maxPages: 1 })).toMatch(
    /records that did not arrive stay valid in table items: one is unproven/,
  )
  expect(await made.rows()).toEqual(KEPT)
  made.list('one', changed, [], { has_more: true })
  expect(await made.run()).toMatch(/one is unproven/)
  expect(await made.rows()).toEqual(KEPT)
  made.list('one', changed)
  expect(await made.run()).toBe('')
  expect(await made.rows()).toEqual(['1a x', '1b', '2a x', '3a x'])
})

test('scd2 ends what did not arrive if incomplete lists are allowed', async () => {
  const made = await loads([versions('one')])
  made.list('one', a, b)
  await made.run()
  await made.run({ maxPages: 1, allowIncomplete: true })
  expect(await made.rows()).toEqual(['1a', '2a', '3a x'])
})

test.each([
  ['is not selected', { select: ['one'] }],
  ['answers 404, which is ignored', {}],
])('scd2 keeps the versions of another resource of the table that %s', async (_, options) => {
  const made = await loads([versions('one'), versions('two')])
  made.list('one', a)
  made.list('two', b)
  await made.run()
  made.list('one', changed)
  made.answers['/two?page=1'] = { status: 404, json: {} }
  expect(await made.run(options)).toMatch(/stay valid in table items: (one|two) (is|took)/)
  expect(await made.rows()).toEqual(KEPT)
})

test('scd2 inside the window of a cursor ends only versions of records that changed', async () => {
  const incremental = { cursor_path: 'at', initial_value: 0, start_param: 'since' }
  const { endpoint } = versions('one')
  const made = await loads([versions('one', { endpoint: { ...endpoint, incremental } })])
  const at = (rows: readonly object[], time: number) => rows.map(row => ({ ...row, at: time }))
  made.list('one', at(a, 1), at(b, 2))
  for (const page of [1, 2, 3]) made.answers[`/one?since=0&page=${page}`] = made.answers[`/one?page=${page}`] as Answer
  await made.run()
  made.answers['/one'] = { json: { data: [] } }
  made.answers['/one?since=2&page=1'] = { json: { data: at(changed, 3) } }
  expect(await made.run()).toMatch(/one was read inside the window of its cursor only/)
  expect(await made.rows()).toEqual(KEPT)
})

test.each<[string, object, string[], RegExp]>([
  [
    'without a key ends nothing',
    { primary_key: undefined },
    ['1a', '1b', '2a', '3a'],
    /no version was ended in table items, because only a primary_key/,
  ],
  ['goes by a merge key that names one record each', { primary_key: undefined, merge_key: 'id' }, KEPT, /stay valid/],
  [
    'does not go by a merge key that names a group',
    { primary_key: undefined, merge_key: 'name' },
    ['1a', '1b', '2a', '3a'],
    /stay valid/,
  ],
])('after a list that was cut off, scd2 %s', async (_, more, rows, said) => {
  const made = await loads([versions('one', more)])
  made.list('one', a, b)
  await made.run()
  made.list('one', changed, a)
  expect(await made.run({ maxPages: 1 })).toMatch(said)
  expect(await made.rows()).toEqual(rows)
})
