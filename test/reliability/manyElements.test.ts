import { describe, expect, it, vi } from 'vitest'
import type { JsonObject, RestApiConfig } from '../../src/index.js'
import { zipOf } from '../rest/archives.js'
import { bytesApi, load, testApi } from '../rest/loading.js'

vi.setConfig({ testTimeout: 120_000 })

/** More than a function takes as its arguments. */
const MANY = 150_000
const ids = Array.from({ length: MANY }, (_, id) => ({ id }))
const body = JSON.stringify({ data: ids, nested: [{ tags: ids.map(({ id }) => id) }] })

const tagsOf = ({ tags }: JsonObject): JsonObject[] => (tags as readonly number[]).map(id => ({ id }))
const atOnce = async function* (): AsyncGenerator<readonly JsonObject[]> {
  yield ids
}

describe('150,000 elements', () => {
  it.each<[string, object, object, Record<string, number>]>([
    ['of a path', {}, { data_selector: 'data[*]' }, { things: MANY }],
    ['of a path through everything', {}, { data_selector: '$..id' }, { things: MANY }],
    ['of a list in a record', {}, { data_selector: 'nested' }, { things: 1, things__tags: MANY }],
    [
      'that a cursor goes through',
      {},
      { data_selector: 'nested', incremental: { cursor_path: 'tags[*]', initial_value: 0 } },
      { things: 1, things__tags: MANY },
    ],
    ['of one record', { processing_steps: [{ yield_map: tagsOf }] }, { data_selector: 'nested' }, { things: MANY }],
    ['of a function that yields them at once', { records: atOnce }, {}, { things: MANY }],
    ['of the document', { records: ids }, {}, { things: MANY }],
  ])('%s are rows', async (_what, resource, endpoint, rows) => {
    const api = await testApi(() => ({ text: body }))
    const { result } = await load({
      client: { base_url: api.origin },
      resources: [
        {
          name: 'things',
          ...resource,
          ...(!('records' in resource) && { endpoint: { paginator: 'single_page', ...endpoint } }),
        },
      ],
    } as RestApiConfig)
    expect(result.rows).toEqual(rows)
  })
})

it('100,000 columns are refused early, with the reason', async () => {
  const records = Array.from({ length: 1000 }, (_, record) =>
    Object.fromEntries(Array.from({ length: 100 }, (_, key) => [`k${record}_${key}`, 1])),
  )
  const api = await testApi(() => ({ json: records }))
  const loading = load({
    client: { base_url: api.origin },
    resources: [{ name: 'things', endpoint: { paginator: 'single_page' } }],
  })
  await expect(loading).rejects.toMatchObject({
    code: 'schema',
    message: expect.stringMatching(
      /things would have more than 10000 columns, such as k\d+_\d+, .*keys of its records/,
    ),
  })
})

it('150,000 rows of a sheet are rows', async () => {
  const rows = ids.map(({ id }) => `<row><c><v>${id}</v></c></row>`).join('')
  const workbook = await zipOf({
    'xl/workbook.xml': '<workbook xmlns:r="r"><sheets><sheet name="S" r:id="a"/></sheets></workbook>',
    'xl/_rels/workbook.xml.rels': '<Relationships><Relationship Id="a" Target="worksheets/s.xml"/></Relationships>',
    'xl/worksheets/s.xml': `<worksheet><sheetData><row><c t="str"><v>id</v></c></row>${rows}</sheetData></worksheet>`,
  })
  const origin = await bytesApi(() => ({ type: 'application/octet-stream', body: workbook }))
  const { result } = await load({
    client: { base_url: origin },
    resources: [{ name: 'things', endpoint: { paginator: 'single_page', format: 'excel' } }],
  })
  expect(result.rows).toEqual({ things: MANY })
})
