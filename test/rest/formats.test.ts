import { describe, expect, test } from 'vitest'
import { parseRestConfig } from '../../src/rest/document/parseDocument.js'
import { read, things } from './listServer.js'
import { bytesApi, load, quickRetry } from './loading.js'

/** How bytes become records: formats, encodings, lists of values, maps. */

interface Body {
  readonly body: Uint8Array | string
  readonly type?: string
  readonly path?: string
}

/** The records of one body. */
async function recordsOf({ body, type, path = '/things' }: Body, endpoint: object): Promise<unknown[]> {
  const origin = await bytesApi(() => ({ ...(type === undefined ? {} : { type }), body }))
  const source = things(origin, { path, paginator: 'single_page', retry: quickRetry, ...endpoint })
  return (await read(source)).records
}

const two = [
  { id: '1', name: 'a' },
  { id: '2', name: 'b' },
]

describe('a declared format', () => {
  test.each<[string, Body, object, unknown[]]>([
    ['CSV that says it is JSON', { body: 'id,name\n1,a\n2,b\n', type: 'application/json' }, { format: 'csv' }, two],
    ['CSV that says it is HTML', { body: 'id,name\n1,a\n2,b\n', type: 'text/html' }, { format: { type: 'csv' } }, two],
    ['JSON that says it is CSV', { body: JSON.stringify(two), type: 'text/csv' }, { format: 'json' }, two],
    [
      'lines that say they are JSON',
      { body: '{"id":1}\n{"id":2}', type: 'application/json' },
      { format: 'jsonl' },
      [{ id: 1 }, { id: 2 }],
    ],
    ['tabs', { body: 'id\tname\n1\ta\n2\tb\n' }, { format: 'tsv' }, two],
    ['a name that says something else', { body: 'id,name\n1,a\n2,b\n', path: '/things.jsonl' }, { format: 'csv' }, two],
    ['another delimiter', { body: 'id;name\n1;a\n2;b\n' }, { format: { type: 'csv', delimiter: ';' } }, two],
    [
      'a delimiter of two characters',
      { body: 'id||name\n1||a\n2||b\n' },
      { format: { type: 'csv', delimiter: '||' } },
      two,
    ],
    [
      'another quotation mark',
      { body: "id,name\n1,'a,b'\n" },
      { format: { type: 'csv', quote: "'" } },
      [{ id: '1', name: 'a,b' }],
    ],
    [
      'no quotation marks',
      { body: 'id,name\n1,"a\n' },
      { format: { type: 'csv', quote: false } },
      [{ id: '1', name: '"a' }],
    ],
    [
      'escapes',
      { body: 'id,name\n1,"a\\"b"\n' },
      { format: { type: 'csv', escape: '\\' } },
      [{ id: '1', name: 'a"b' }],
    ],
    [
      'no header',
      { body: '1,a\n2,b\n' },
      { format: { type: 'csv', header: false } },
      [
        { column_1: '1', column_2: 'a' },
        { column_1: '2', column_2: 'b' },
      ],
    ],
    ['names for no header', { body: '1,a\n2,b\n' }, { format: { type: 'csv', header: ['id', 'name'] } }, two],
    [
      'other names',
      { body: 'x,x\n1,a\n2,b\n' },
      { format: { type: 'csv', header: ['id', 'name'], skip_lines: 1 } },
      two,
    ],
    [
      'lines above the header',
      { body: 'Report "of" today\r\n\r\nid,name\r\n1,a\r\n2,b\r\n' },
      { format: { type: 'csv', skip_lines: 2 } },
      two,
    ],
    [
      'comments',
      { body: '# made today\nid,name\n1,a\n# half\n2,b#c\n' },
      { format: { type: 'csv', comment: '#' } },
      [two[0], { id: '2', name: 'b#c' }],
    ],
    ['a column without a name', { body: 'id,\n1,a\n' }, { format: 'csv' }, [{ id: '1', column_2: 'a' }]],
    [
      'a column called __proto__',
      { body: 'id,__proto__\n1,a\n' },
      { format: 'csv' },
      [JSON.parse('{"id":"1","__proto__":"a"}')],
    ],
    ['digits', { body: 'id,zip\n1,00123\n' }, { format: 'csv' }, [{ id: '1', zip: '00123' }]],
  ])('%s', async (_what, body, endpoint, expected) => {
    expect(await recordsOf(body, endpoint)).toEqual(expected)
  })

  test.each<[string, Body, object, string]>([
    [
      'an error in JSON where CSV is declared',
      { body: '{"error":"busy"}' },
      { format: 'csv' },
      'is not CSV: it begins as JSON',
    ],
    ['a page of HTML', { body: '<!doctype html><p>busy', type: 'text/csv' }, {}, 'is not CSV'],
    ['nothing at all', { body: '' }, { format: 'csv' }, 'it is empty'],
    ['two columns of one name', { body: 'id,id\n1,2\n' }, { format: 'csv' }, 'two columns are called "id"'],
    ['a line that is too short', { body: 'id,name\n1\n' }, { format: 'csv' }, 'is not CSV'],
    [
      'fewer names than values',
      { body: '1,2\n' },
      { format: { type: 'csv', header: ['id'] } },
      '2 values, and there are 1 names',
    ],
    ['a quotation mark that stays open', { body: 'id,name\n1,"a\n' }, { format: 'csv' }, 'is not CSV'],
  ])('refuses %s', async (_what, body, endpoint, expected) => {
    await expect(recordsOf(body, endpoint)).rejects.toThrow(expected)
  })
})

describe('an encoding', () => {
  const json = (name: string): string => `[{"name":"${name}"}]`
  const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le')

  test.each<[string, Body, object, string]>([
    [
      'windows-1252, by its charset',
      { body: Buffer.from(json('\x80 \xe9'), 'latin1'), type: 'application/json; charset=windows-1252' },
      {},
      '€ é',
    ],
    ['windows-1252, declared', { body: Buffer.from(json('\x80 \xe9'), 'latin1') }, { encoding: 'windows-1252' }, '€ é'],
    [
      'latin1, declared against the charset',
      { body: Buffer.from(json('\xc3\xa9'), 'latin1'), type: 'application/json; charset=utf-8' },
      { encoding: 'latin1' },
      'Ã©',
    ],
    ['UTF-8 that says it is latin1', { body: json('é'), type: 'application/json; charset=iso-8859-1' }, {}, 'é'],
    ['UTF-16 without a mark', { body: utf16(json('é')), type: 'application/json; charset=utf-16le' }, {}, 'é'],
    ['UTF-16, declared', { body: utf16(json('a')) }, { encoding: 'utf-16le' }, 'a'],
    ['UTF-16 with a mark, whatever is declared', { body: utf16(`\ufeff${json('é')}`) }, { encoding: 'latin1' }, 'é'],
    [
      'Shift_JIS, declared',
      { body: Buffer.from([...Buffer.from('[{"name":"'), 0x82, 0xa0, 0xb1, ...Buffer.from('"}]')]) },
      { encoding: 'shift_jis' },
      'あｱ',
    ],
    [
      'Shift_JIS that could be UTF-8',
      {
        body: Buffer.from([...Buffer.from('[{"name":"'), 0xc2, 0xb1, ...Buffer.from('"}]')]),
        type: 'application/json; charset=shift_jis',
      },
      {},
      'ﾂｱ',
    ],
  ])('%s', async (_what, body, endpoint, expected) => {
    expect(await recordsOf(body, endpoint)).toEqual([{ name: expected }])
  })

  test.each<[string, Body, object, string]>([
    [
      'UTF-8, declared',
      { body: Buffer.from('[{"n":"a\xe9"}]', 'latin1') },
      { encoding: 'utf-8' },
      'text in utf-8: byte 8 is none',
    ],
    ['UTF-8 after a mark', { body: Buffer.from('\xef\xbb\xbf[{"n":"a\xe9"}]', 'latin1') }, {}, 'byte 11 is none'],
    ['Shift_JIS', { body: Buffer.from('[{"n":"\x82"}]', 'latin1') }, { encoding: 'shift_jis' }, 'byte'],
    [
      'half a character of UTF-16',
      { body: Buffer.concat([utf16('[]'), Buffer.of(0x20)]) },
      { encoding: 'utf-16le' },
      'byte 4',
    ],
  ])('refuses bytes that are no text: %s', async (_what, body, endpoint, expected) => {
    await expect(recordsOf(body, endpoint)).rejects.toThrow(expected)
  })
})

describe('records that are lists', () => {
  const table = {
    columns: ['id', 'name'],
    rows: [
      [1, 'a'],
      [2, 'b'],
    ],
  }
  const rows = [
    { id: 1, name: 'a' },
    { id: 2, name: 'b' },
  ]
  const selector = { data_selector: 'rows' }

  test.each<[string, unknown, object, unknown[]]>([
    ['names in the body', table, { ...selector, columns_from: 'columns' }, rows],
    [
      'names in objects of the body',
      { meta: [{ n: 'id' }, { n: 'name' }], rows: table.rows },
      { ...selector, columns_from: 'meta[*].n' },
      rows,
    ],
    ['names in the document', table.rows, { columns_from: ['id', 'name'] }, rows],
    [
      'names in the first row',
      { rows: [table.columns, ...table.rows] },
      { ...selector, columns_from: 'rows[0]' },
      rows,
    ],
    [
      'rows that lack their last values',
      { rows: [[1], []] },
      { ...selector, columns_from: ['id', 'name'] },
      [{ id: 1 }, {}],
    ],
    [
      'objects among them',
      { rows: [[1, 'a'], { id: 2, name: 'b' }] },
      { ...selector, columns_from: ['id', 'name'] },
      rows,
    ],
    ['no rows', { rows: [] }, { ...selector, columns_from: 'columns' }, []],
    [
      'texts for null',
      [
        [1, ''],
        [2, 'N/A'],
      ],
      { columns_from: ['id', 'name'], null_values: ['', 'N/A'] },
      [
        { id: 1, name: null },
        { id: 2, name: null },
      ],
    ],
  ])('%s', async (_what, body, endpoint, expected) => {
    expect(await recordsOf({ body: JSON.stringify(body), type: 'application/json' }, endpoint)).toEqual(expected)
  })

  test.each<[string, unknown, object, string]>([
    ['no names', { rows: [[1]] }, { ...selector, columns_from: 'columns' }, 'not at "columns"'],
    [
      'too few names',
      { rows: [[1, 2]] },
      { ...selector, columns_from: ['id'] },
      'a row has 2 values, and there are 1 names; it begins [1,2]',
    ],
    [
      'one name twice',
      { columns: ['id', 'id'], rows: [[1, 2]] },
      { ...selector, columns_from: 'columns' },
      'two columns are called "id"',
    ],
    [
      'names that are none',
      { columns: [{}], rows: [[1]] },
      { ...selector, columns_from: 'columns' },
      'values that are no names',
    ],
  ])('refuses %s', async (_what, body, endpoint, expected) => {
    await expect(recordsOf({ body: JSON.stringify(body) }, endpoint)).rejects.toThrow(expected)
  })

  test('keep the digits of numbers, and merge by a key', async () => {
    const body = '{"columns":["id","amount"],"rows":[[7190000000000004098,12.50],[7190000000000004098,0.1]]}'
    const origin = await bytesApi(() => ({ type: 'application/json', body }))
    const endpoint = { path: 'things', paginator: 'single_page', data_selector: 'rows', columns_from: 'columns' }
    const resource = { name: 'things', primary_key: 'id', write_disposition: 'merge', endpoint }
    const { made, rows: read } = await load({ client: { base_url: origin }, resources: [resource] } as never)
    expect((await read('things')).map(({ amount }) => amount)).toEqual([0.1])
    expect(await made.dataset().table('things').select('id').rows()).toEqual([{ id: 7190000000000004098n }])
  })
})

describe('a map of records', () => {
  const selector = { data_selector: 'users', key_column: 'id' }

  test.each<[string, unknown, object, unknown[]]>([
    ['objects', { users: { a: { n: 1 }, 'b"': {} } }, selector, [{ id: 'a', n: 1 }, { id: 'b"' }]],
    ['the whole body', { a: { n: 1 } }, { data_selector: '$', key_column: 'id' }, [{ id: 'a', n: 1 }]],
    [
      'other values',
      { users: { a: 1, b: null, c: [2] } },
      selector,
      [
        { id: 'a', value: 1 },
        { id: 'b', value: null },
        { id: 'c', value: [2] },
      ],
    ],
    ['a key that the records have too', { users: { 7: { id: 7 } } }, selector, [{ id: 7 }]],
    ['an empty map', { users: {} }, selector, []],
    ['a list for an empty map', { users: [] }, selector, []],
    ['lists', { users: { a: [1, 2] } }, { ...selector, columns_from: ['x', 'y'] }, [{ id: 'a', value: [1, 2] }]],
  ])('%s', async (_what, body, endpoint, expected) => {
    expect(await recordsOf({ body: JSON.stringify(body) }, endpoint)).toEqual(expected)
  })

  test.each<[string, unknown, string]>([
    ['a list', { users: [{ id: 1 }] }, 'leads to something that is no object'],
    ['another value at the key', { users: { a: { id: 'b' } } }, 'has a field "id" of its own'],
  ])('refuses %s', async (_what, body, expected) => {
    await expect(recordsOf({ body: JSON.stringify(body) }, selector)).rejects.toThrow(expected)
  })
})

test('texts for null are whole values at any depth, and no names', async () => {
  const body = '[{"":"","a":"-","b":["\\u002d",{"c":"- "}],"d":"\\"-"}]'
  const records = await recordsOf({ body }, { null_values: ['', '-'] })
  expect(records).toEqual([{ '': null, a: null, b: [null, { c: '- ' }], d: '"-' }])
})

describe('the document', () => {
  test.each<[string, object, string]>([
    ['an unknown format', { format: 'cvs' }, 'did you mean `csv`?'],
    ['an option of another format', { format: { type: 'json', delimiter: ';' } }, 'unknown key'],
    ['an unknown encoding', { encoding: 'klingon' }, 'is no encoding that is known here'],
    ['names twice', { columns_from: ['id', 'id'] }, 'is there already'],
    ['a path that is none', { columns_from: 'rows[' }, 'columns_from'],
    ['a map that is not named', { key_column: 'id' }, 'needs `data_selector`'],
  ])('reports %s', (_what, endpoint, expected) => {
    const document = { client: { base_url: 'https://a.example' }, resources: [{ name: 'things', endpoint }] }
    expect(() => parseRestConfig(document)).toThrow(expected)
  })

  test('takes them as defaults of all resources, too', async () => {
    const origin = await bytesApi(() => ({ body: 'id;name\n1;a\n', type: 'text/html' }))
    const { rows, made } = await load({
      client: { base_url: origin },
      resource_defaults: { endpoint: { paginator: 'single_page', format: { type: 'csv', delimiter: ';' } } },
      resources: ['things'],
    })
    expect(await rows('things')).toEqual([{ id: '1', name: 'a' }])
    expect((await made.plan()).resources[0]?.request?.format).toBe('csv, delimiter: ;')
  })
})
