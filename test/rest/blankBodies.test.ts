import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { zipOf } from './archives.js'
import { read, things } from './listServer.js'
import { bytesApi, preparedVersions, run, testApi } from './loading.js'

/** Bodies of answers 200 that show nothing: no record, no empty list, no names of columns. */

const utf16 = (text: string): Buffer => Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')])

const blank: readonly (readonly [string, Uint8Array | string])[] = [
  ['no byte', ''],
  ['an end of a line', '\r\n'],
  ['spaces', '  \n \n'],
  ['a byte order mark', '\ufeff'],
  ['a byte order mark and an end of a line', '\ufeff\n'],
  ['a byte order mark of UTF-16', utf16('')],
  ['UTF-16 of white space', utf16(' \n')],
  ['a gzip file of nothing', gzipSync('')],
  ['a gzip file of a byte order mark', gzipSync('\ufeff')],
]

const lists: readonly (readonly [string, object, string])[] = [
  ['lines of JSON', { format: 'jsonl' }, '{"id":"1"}\n{"id":"2"}\n'],
  ['CSV without names', { format: { type: 'csv', header: false } }, '1\n2\n'],
  ['CSV whose names are declared', { format: { type: 'csv', header: ['id'] } }, '1\n2\n'],
]

const keyed = { param: 'after', limit: 2 }
const paginators: readonly (readonly [string, object])[] = [
  ['offset', { type: 'offset', limit: 2, total_path: null }],
  ['page_number', { type: 'page_number', base_page: 1, total_path: null }],
  ['page_number from an unknown number', { type: 'page_number', total_path: null }],
  ['header_link', { type: 'header_link' }],
  ['header_cursor', { type: 'header_cursor', cursor_key: 'x-next' }],
]

describe('a body without content', () => {
  it.each(
    lists.flatMap(([format, endpoint, full]) => blank.map(([what, body]) => ({ format, endpoint, full, what, body }))),
  )('proves no empty list: $format of $what', async ({ endpoint, body }) => {
    const origin = await bytesApi(() => ({ body }))
    const { end, records } = await read(things(origin, { ...endpoint, paginator: 'single_page' }))
    expect(end).toMatchObject({ end: 'limited', code: 'empty_answer' })
    expect(records).toEqual([])
  })

  it.each(
    lists.flatMap(([format, endpoint, full]) =>
      paginators.map(([kind, paginator]) => ({ format, endpoint, full, kind, paginator })),
    ),
  )('proves no end of $format by $kind', async ({ endpoint, full, paginator }) => {
    const origin = await bytesApi((_request, number) => ({
      body: number === 1 ? full : '\ufeff',
      ...(number === 1 && { headers: { link: '</things?p=2>; rel="next"', 'x-next': 'b' } }),
    }))
    const { end, records } = await read(things(origin, { ...endpoint, paginator }))
    expect(end).toMatchObject({ end: 'limited', code: 'empty_answer' })
    expect(records).toHaveLength(2)
  })

  it('proves no end of a keyset', async () => {
    const origin = await bytesApi((_request, number) => ({ body: number === 1 ? '{"id":1}\n{"id":2}' : '' }))
    const paginator = { type: 'keyset', field: 'id', ...keyed }
    const { end } = await read(things(origin, { format: 'jsonl', paginator }))
    expect(end).toMatchObject({ end: 'limited', code: 'empty_answer' })
  })

  it.each<[string, Readonly<Record<string, string>>]>([
    ['a total of 0', { 'x-total-count': '0' }],
    ['a flag in a header', { 'x-has-more': 'false' }],
  ])('is an empty list by %s', async (_what, headers) => {
    const origin = await bytesApi(() => ({ body: '\ufeff', headers }))
    const { end } = await read(things(origin, { format: 'jsonl', paginator: 'single_page' }))
    expect(end).toMatchObject({ end: 'proven' })
  })

  it('is no doubt where as many records came as a header announced', async () => {
    const origin = await bytesApi((_request, number) => ({
      body: number === 1 ? '{"id":1}\n{"id":2}' : '',
      headers: { 'x-total-count': '2' },
    }))
    const paginator = { type: 'page_number', base_page: 1, total_path: null }
    expect((await read(things(origin, { format: 'jsonl', paginator }))).end).toMatchObject({ end: 'proven' })
  })

  it.each<[string, object, string | Uint8Array]>([
    ['CSV', { format: 'csv' }, '\ufeff'],
    ['CSV of white space', { format: 'csv' }, ' \n'],
    ['CSV whose names are all empty', { format: 'csv' }, ',,\n'],
    ['JSON', { format: 'json' }, ''],
    ['JSON of a byte order mark', { format: 'json' }, utf16('\n')],
    ['XML', { format: 'xml', data_selector: 'a.b' }, ' '],
    ['a workbook', { format: 'excel' }, ''],
  ])('is an error in %s', async (_what, endpoint, body) => {
    const origin = await bytesApi(() => ({ body }))
    await expect(read(things(origin, { ...endpoint, paginator: 'single_page' }))).rejects.toMatchObject({
      code: 'response_format',
    })
  })

  it('makes an archive doubtful that has other files', async () => {
    const body = await zipOf({ 'a.jsonl': '{"id":1}', 'b.jsonl': '' })
    const origin = await bytesApi(() => ({ body }))
    const { end, records } = await read(things(origin, { paginator: 'single_page' }))
    expect(records).toHaveLength(1)
    expect(end).toMatchObject({ end: 'limited', code: 'empty_answer' })
  })

  it.each(['replace', 'merge'] as const)(
    'empties no table that is loaded with %s, masked or not',
    async disposition => {
      for (const mask of [{}, { mask: { name: 'drop' } }]) {
        let body = '{"id":1,"name":"a"}\n{"id":2,"name":"b"}\n'
        const api = await testApi(() => ({ text: body, type: 'application/x-ndjson' }))
        const version = await preparedVersions()
        const resource = {
          name: 'things',
          primary_key: 'id',
          write_disposition: disposition,
          ...(disposition === 'merge' && { deletes: 'hard' as const, max_delete_share: 1 }),
          ...mask,
          endpoint: { path: 'things', paginator: 'single_page' as const },
        }
        const made = version({ client: { base_url: api.origin }, resources: [resource as never] })
        await run(made)
        body = '\ufeff'
        await run(made).catch(() => undefined)
        expect(await made.dataset().table('things').rows()).toHaveLength(2)
      }
    },
  )
})

describe('a body with the names of its columns, or an empty list,', () => {
  it.each<[string, object, string]>([
    ['CSV', { format: 'csv' }, 'id,name\n'],
    ['CSV with a byte order mark', { format: 'csv' }, '\ufeffid,name'],
    ['CSV whose line of names is skipped', { format: { type: 'csv', header: ['id'], skip_lines: 1 } }, 'Number\n'],
    ['JSON', { format: 'json' }, '[]'],
  ])('is an empty list: %s', async (_what, endpoint, body) => {
    const origin = await bytesApi(() => ({ body }))
    const { end } = await read(things(origin, { ...endpoint, paginator: 'single_page' }))
    expect(end).toMatchObject({ end: 'proven' })
  })
})
