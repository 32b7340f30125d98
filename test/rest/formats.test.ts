import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { csvRows } from '../../src/rest/body/csvRows.js'
import { parseRestConfig } from '../../src/rest/document/parseDocument.js'
import { type Cells, workbookOf, zipOf } from './archives.js'
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

/** The header of a CSV text with so many columns. */
function many(columns: number): string {
  return Array.from({ length: columns }, (_, index) => `c${index}`).join(',')
}

test('a name that becomes too much text with each row is refused before it is written', async () => {
  const text = new TextEncoder().encode(`${'x'.repeat(1_000)}\n${'1\n'.repeat(100)}`)
  const format = { type: 'csv' } as const
  await expect(csvRows(text, format, 10_000)).rejects.toThrow('its records would be more than 10000 bytes of JSON')
  expect((await csvRows(text, format)).text.length).toBeGreaterThan(100_000)
})

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
    ['ends of lines of two kinds', { body: 'id\r\n1\n2\r\n' }, { format: 'csv' }, [{ id: '1' }, { id: '2' }]],
    ['ends of lines of old computers', { body: 'id\r1\r2' }, { format: 'csv' }, [{ id: '1' }, { id: '2' }]],
    [
      'ends of lines of old computers, and a line feed at the end',
      { body: 'id,name\r1,a\r2,b\r\n' },
      { format: 'csv' },
      two,
    ],
    [
      'ends of lines of old computers, and another one at the end',
      { body: 'id\r1\r2\r3\n' },
      { format: 'csv' },
      [{ id: '1' }, { id: '2' }, { id: '3' }],
    ],
    [
      'ends of lines of old computers, and line feeds in values',
      { body: '"id",name\r1,"x\ny"\r2,b\r' },
      { format: 'csv' },
      [{ id: '1', name: 'x\ny' }, two[1]],
    ],
    ['a name of two lines', { body: '"id","the\rname"\n1,a\r\n' }, { format: 'csv' }, [{ id: '1', 'the\rname': 'a' }]],
    [
      'ends of lines of old computers below a comment with a quotation mark',
      { body: '# 5"\rid,name\r1,a\r2,b\n' },
      { format: { type: 'csv', comment: '#' } },
      two,
    ],
    [
      'lines above the header, with ends of old computers',
      { body: 'Report\rof today\rid,name\r1,a\r2,b\r\n' },
      { format: { type: 'csv', skip_lines: 2 } },
      two,
    ],
    ['two carriage returns at each end', { body: 'id,name\r\r\n1,a\r\r\n2,b\r\r\n' }, { format: 'csv' }, two],
    ['a carriage return in a value', { body: 'id\n1\r2\n' }, { format: 'csv' }, [{ id: '1\r2' }]],
    ['digits', { body: 'id,zip\n1,00123\n' }, { format: 'csv' }, [{ id: '1', zip: '00123' }]],
  ])('%s', async (_what, body, endpoint, expected) => {
    expect(await recordsOf(body, endpoint)).toEqual(expected)
  })

  test('reads the names of very many columns', async () => {
    expect(await recordsOf({ body: `${many(20_000)}\n` }, { format: 'csv' })).toEqual([])
  })

  test.each<[string, Body, object, string]>([
    [
      'an error in JSON where CSV is declared',
      { body: '{"error":"busy"}' },
      { format: 'csv' },
      'is not CSV: it begins as JSON',
    ],
    [
      'a sentence',
      { body: 'Your report is being generated\n', type: 'text/csv' },
      {},
      'is not CSV: it is one line of words, "Your report is being generated", and no rows',
    ],
    ['a page of HTML', { body: '<!doctype html><p>busy', type: 'text/csv' }, {}, 'is not CSV'],
    ['nothing at all', { body: '' }, { format: 'csv' }, 'it is empty'],
    ['two columns of one name', { body: 'id,id\n1,2\n' }, { format: 'csv' }, 'two columns are called "id"'],
    ['too many columns', { body: many(30_000) }, { format: 'csv' }, 'it has 30000 columns, and 20000 are the most'],
    [
      'too many columns without names',
      { body: many(30_000) },
      { format: { type: 'csv', header: false } },
      'it has 30000 columns',
    ],
    [
      'a name that is too long',
      { body: `id,${'x'.repeat(2 ** 22)}\n1,a\n` },
      { format: 'csv' },
      'the name of column 2 has 4194304 characters, and 10000 are the most: "xxx',
    ],
    ['a carriage return in a name', { body: '\rid\n1\n' }, { format: 'csv' }, 'its first line has a carriage return'],
    ['a line that ends within', { body: 'id,na\rme\n1,a\n' }, { format: 'csv' }, 'is not CSV'],
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
      'text in utf-8: byte 8 is not part of such a text',
    ],
    [
      'UTF-8 after a mark',
      { body: Buffer.from('\xef\xbb\xbf[{"n":"a\xe9"}]', 'latin1') },
      {},
      'byte 11 is not part of such a text',
    ],
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
      'values that are not names',
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
    ['a list', { users: [{ id: 1 }] }, 'leads to something that is not an object'],
    ['another value at the key', { users: { a: { id: 'b' } } }, 'has a field "id" of its own'],
  ])('refuses %s', async (_what, body, expected) => {
    await expect(recordsOf({ body: JSON.stringify(body) }, selector)).rejects.toThrow(expected)
  })
})

describe('elements of several lists', () => {
  const selector = { data_selector: "log[*]['added', 'gone'][*]", key_column: 'change' }

  test.each<[string, unknown, unknown[]]>([
    [
      'take the name of their list',
      { log: [{ gone: [{ id: 1 }], added: [{ id: 2 }, {}] }, { gone: [{ id: 3 }] }] },
      [{ change: 'added', id: 2 }, { change: 'added' }, { change: 'gone', id: 1 }, { change: 'gone', id: 3 }],
    ],
    ['also if there is one', { log: [{ gone: [{ id: 1 }] }] }, [{ change: 'gone', id: 1 }]],
    ['which may be no object', { log: [{ gone: [7] }] }, [{ change: 'gone', value: 7 }]],
    ['of which there may be none', { log: [{ gone: [], added: [] }] }, []],
  ])('%s', async (_what, body, expected) => {
    expect(await recordsOf({ body: JSON.stringify(body) }, selector)).toEqual(expected)
  })

  test.each<[string, unknown, string]>([
    ['another value in place of a list', { log: [{ gone: { id: 1 }, added: [{ id: 2 }] }] }, 'is not a list'],
    ['a name of its own at the key', { log: [{ gone: [{ id: 1, change: 'x' }] }] }, 'has a field "change" of its own'],
  ])('refuse %s', async (_what, body, expected) => {
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
    ['an unknown encoding', { encoding: 'klingon' }, 'is not a known encoding'],
    ['names twice', { columns_from: ['id', 'id'] }, 'is there already'],
    ['a path that is none', { columns_from: 'rows[' }, 'columns_from'],
    ['XML whose records are not named', { format: 'xml' }, 'XML needs `data_selector`'],
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

describe('XML', () => {
  const items = (...ids: readonly number[]): string =>
    `<?xml version="1.0"?><rss><channel><title>t</title>${ids.map(id => `<item id="${id}"><n>0${id}</n></item>`).join('')}</channel></rss>`
  const selector = { data_selector: 'rss.channel.item' }
  const found = [1, 2].map(id => ({ id: `${id}`, n: `0${id}` }))

  test.each<[string, Body, object, unknown[]]>([
    ['by its type', { body: items(1, 2), type: 'application/rss+xml; charset=utf-8' }, selector, found],
    ['by its name', { body: items(1, 2), path: '/things.xml' }, selector, found],
    ['declared', { body: items(1, 2), type: 'text/html' }, { ...selector, format: 'xml' }, found],
    ['one element', { body: items(1), type: 'text/xml' }, selector, found.slice(0, 1)],
    [
      'no element where a list is declared',
      { body: items(), type: 'text/xml' },
      { ...selector, format: { type: 'xml', list_elements: ['channel.item'] } },
      [],
    ],
    [
      'an encoding of its own',
      {
        body: Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><a><b>\xe9</b></a>', 'latin1'),
        type: 'text/xml',
      },
      { data_selector: 'a' },
      [{ b: 'é' }],
    ],
    [
      'entities and CDATA',
      { body: '<a><b>&lt;&#233;&#x41;<![CDATA[<&]]></b></a>', type: 'text/xml' },
      { data_selector: 'a' },
      [{ b: '<éA<&' }],
    ],
    [
      'nothing',
      { body: '<a xmlns="x" xmlns:xsi="y"><b/><c></c><d xsi:nil="true"/></a>', type: 'text/xml' },
      { data_selector: 'a' },
      [{ b: null, c: null, d: null }],
    ],
    [
      'text beside attributes',
      { body: '<a><b c="EUR">1.50</b></a>', type: 'text/xml' },
      { data_selector: 'a', format: { type: 'xml', attribute_prefix: '_', text_key: 'value' } },
      [{ b: { _c: 'EUR', value: '1.50' } }],
    ],
    [
      'a list of one',
      { body: '<a><r><l>1</l></r><r><l>2</l><l>3</l></r></a>', type: 'text/xml' },
      { data_selector: 'a.r', format: { type: 'xml', list_elements: ['l'] } },
      [{ l: ['1'] }, { l: ['2', '3'] }],
    ],
    [
      'a document type that defines nothing',
      { body: '<!DOCTYPE a SYSTEM "a.dtd"><a><b>1</b></a>', type: 'text/xml' },
      { data_selector: 'a' },
      [{ b: '1' }],
    ],
    ['JSON that says it is XML', { body: '[{"id":1}]', type: 'application/xml' }, {}, [{ id: 1 }]],
    [
      'names of JavaScript',
      { body: '<a><r __proto__="1"><constructor>2</constructor></r></a>', type: 'text/xml' },
      { data_selector: 'a.r' },
      [JSON.parse('{"__proto__":"1","constructor":"2"}')],
    ],
  ])('%s', async (_what, body, endpoint, expected) => {
    expect(await recordsOf(body, endpoint)).toEqual(expected)
  })

  const laughs = `<!DOCTYPE a [<!ENTITY l "ha">${[1, 2, 3].map(n => `<!ENTITY l${n} "${'&l;'.repeat(10)}">`).join('')}]><a>&l3;</a>`
  test.each<[string, string, object, string]>([
    ['what ends early', '<a><b>1</b>', { data_selector: 'a' }, 'is not XML: 1:11: unclosed tag: a'],
    ['entities that grow', laughs, { data_selector: 'a' }, 'defines entities, which are refused'],
    [
      'an entity from elsewhere',
      '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
      { data_selector: 'a' },
      'refused',
    ],
    ['an unknown entity', '<a>&x;</a>', { data_selector: 'a' }, 'undefined entity'],
    ['endless depth', '<a>'.repeat(100_000), { data_selector: 'a' }, 'more than 200 deep'],
    [
      'endless attributes',
      `<r ${Array.from({ length: 10_001 }, (_, index) => `a${index}=""`).join(' ')}/>`,
      { data_selector: 'r' },
      'more than 10000 attributes',
    ],
    [
      'an attribute and an element of one name',
      '<a b="1"><b>2</b></a>',
      { data_selector: 'a' },
      'set `attribute_prefix`',
    ],
    ['records whose place is not known', '<a><b>1</b></a>', {}, 'set `endpoint.data_selector`'],
    ['a missing list', '<a><b>1</b></a>', { data_selector: 'a.c' }, 'matches nothing'],
  ])('refuses %s', async (_what, body, endpoint, expected) => {
    await expect(recordsOf({ body, type: 'text/xml' }, endpoint)).rejects.toThrow(expected)
  })
})

describe('a zip archive', () => {
  const csv = (id: number): string => `id,name\n${id},${id === 1 ? 'a' : 'b'}\n`

  test.each<[string, Readonly<Record<string, string | Uint8Array>>, object, unknown[]]>([
    ['of one file', { 'x/things.csv': 'id,name\n1,a\n2,b\n' }, {}, two],
    ['of several files', { '1.csv': csv(1), '2.csv': csv(2), 'empty.csv': 'id,name\n' }, {}, two],
    ['of several formats', { '1.csv': csv(1), '2.json': JSON.stringify([two[1]]) }, {}, two],
    ['of gzip files', { '1.csv.gz': gzipSync(csv(1)), '2.jsonl': JSON.stringify(two[1]) }, {}, two],
    [
      'with files of other programs',
      { '1.csv': 'id,name\n1,a\n2,b\n', '__MACOSX/._1.csv': 'x', '.DS_Store': 'x' },
      {},
      two,
    ],
    [
      'of which some are wanted',
      { 'a/1.txt': csv(1), 'b/2.txt': csv(2), 'notes.txt': 'x' },
      { format: { type: 'csv', entries: ['*1.txt', 'b/*'] } },
      two,
    ],
    [
      'of which some with several parts of a name are wanted',
      { 'a_1_b.csv': csv(1), 'a_2_b.csv': csv(2), 'a_b.csv': 'x', '_b.csv': 'x', 'a_3_b.csv.txt': 'x' },
      { format: { type: 'csv', entries: 'a_*_*.csv' } },
      two,
    ],
  ])('%s', async (_what, files, endpoint, expected) => {
    expect(await recordsOf({ body: await zipOf(files), type: 'application/zip' }, endpoint)).toEqual(expected)
  })

  test.each<[string, () => Promise<Uint8Array>, object, string]>([
    [
      'that has not what is wanted',
      () => zipOf({ 'a.csv': 'x' }),
      { format: { type: 'csv', entries: 'b*' } },
      'no file is called b*: it has a.csv',
    ],
    ['that is empty', () => zipOf({}), {}, 'it is empty'],
    [
      'in an archive',
      async () => zipOf({ 'a.csv': await zipOf({ 'a.csv': 'x' }) }),
      {},
      'there is an archive in the archive',
    ],
    ['of several objects', () => zipOf({ 'a.json': '{}', 'b.json': '[]' }), {}, 'a.json is no list of records'],
    [
      'that is cut off',
      async () => (await zipOf({ 'a.csv': csv(1) })).subarray(0, 60),
      {},
      'zip archive that can be read',
    ],
    [
      'that is damaged',
      async () => damaged(await zipOf({ 'a.csv': csv(1).repeat(20) })),
      {},
      'zip archive that can be read',
    ],
    [
      'that leads out of its folder',
      async () => renamed(await zipOf({ 'aa/aaaaa.csv': csv(1) })),
      {},
      'zip archive that can be read',
    ],
    [
      'that is a bomb',
      () => zipOf({ 'a.csv': Buffer.alloc(2 ** 28 + 1) }),
      {},
      'its files have more than 268435456 bytes (256 MiB)',
    ],
    [
      'that is a bomb of gzip files',
      async () => {
        const file = gzipSync(Buffer.alloc(2 ** 27 + 1, ' '), { level: 1 })
        return zipOf({ 'a.json.gz': file, 'b.json.gz': file })
      },
      {},
      'its files have more than 268435456 bytes (256 MiB)',
    ],
    [
      'with a name that many patterns could take apart',
      () => zipOf({ ['_'.repeat(4000)]: '[]' }),
      { format: { type: 'csv', entries: '*_*_*_*_*.csv' } },
      'no file is called *_*_*_*_*.csv: it has ____',
    ],
    [
      'with a name that is too long',
      () => zipOf({ ['_'.repeat(5000)]: '[]' }),
      {},
      'the name of a file has more than 4096 characters: ____',
    ],
  ])('is refused %s', { timeout: 180_000 }, async (_what, archive, endpoint, expected) => {
    await expect(recordsOf({ body: await archive(), type: 'application/zip' }, endpoint)).rejects.toThrow(expected)
  })

  function damaged(archive: Buffer): Buffer {
    // The checksum in the central directory.
    const at = archive.indexOf(Buffer.from('PK\x01\x02', 'latin1')) + 16
    archive.writeUInt32LE(archive.readUInt32LE(at) ^ 1, at)
    return archive
  }

  function renamed(archive: Buffer): Buffer {
    return Buffer.from(archive.toString('latin1').replaceAll('aa/aaaaa', '../../aa'), 'latin1')
  }
})

test('a text of XML that is a bomb is refused', { timeout: 180_000 }, async () => {
  const body = await zipOf({ 'a.xml': `<r><a>${'x'.repeat(2 ** 26 + 1)}</a></r>` })
  await expect(recordsOf({ body, type: 'application/zip' }, { data_selector: 'r.a' })).rejects.toThrow(
    'one of its texts has more than 67108864 characters; ask for fewer records at once',
  )
})

describe('an Excel workbook', () => {
  const SHEET = '<workbook xmlns:r="r"><sheets><sheet name="S" r:id="a"/></sheets></workbook>'
  const PART = '<Relationships><Relationship Id="a" Target="worksheets/s.xml"/></Relationships>'
  const styles = (count: number): string => `<styleSheet><cellXfs>${'<xf/>'.repeat(count)}</cellXfs></styleSheet>`
  const day = new Date(Date.UTC(2026, 0, 31))
  const minute = new Date(Date.UTC(2026, 0, 31, 12, 30))
  const table: Cells = [
    ['id', 'name', 'at', 'ok', 'n'],
    [1, 'a', day, true, 0.1],
    [2, null, minute, false, -1.5e-7],
  ]
  const rows = [
    { id: 1, name: 'a', at: '2026-01-31T00:00:00', ok: true, n: 0.1 },
    { id: 2, name: null, at: '2026-01-31T12:30:00', ok: false, n: -1.5e-7 },
  ]

  test.each<[string, Readonly<Record<string, Cells>>, object, unknown[]]>([
    ['by its type', { One: table }, {}, rows],
    ['another sheet', { One: [['x']], Two: [['id'], [1]] }, { format: { type: 'excel', sheet: 'Two' } }, [{ id: 1 }]],
    ['the second sheet', { One: [['x']], Two: [['id'], [1]] }, { format: { type: 'excel', sheet: 2 } }, [{ id: 1 }]],
    [
      'rows above the header',
      { One: [['Report'], [null], ['id', 'b'], [1]] },
      { format: { type: 'excel', skip_rows: 2 } },
      [{ id: 1, b: null }],
    ],
    ['no header', { One: [[1, 'x']] }, { format: { type: 'excel', header: false } }, [{ column_1: 1, column_2: 'x' }]],
    ['values beyond the names', { One: [['id'], [1, 2]] }, {}, [{ id: 1, column_2: 2 }]],
    ['empty rows', { One: [['id'], [null], [1]] }, {}, [{ id: 1 }]],
  ])('%s', async (_what, sheets, endpoint, expected) => {
    const type = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'
    expect(await recordsOf({ body: await workbookOf(sheets), type }, endpoint)).toEqual(expected)
  })

  /** A workbook with one sheet of this XML, as other programs write it. */
  const written = (cells: string, styles = '', texts = ''): Promise<Buffer> =>
    zipOf({
      'xl/sharedStrings.xml': `<sst>${texts}</sst>`,
      'xl/workbook.xml':
        '<x:workbook xmlns:x="m" xmlns:r="r"><x:sheets><x:sheet name="S" r:id="a"/></x:sheets></x:workbook>',
      'xl/_rels/workbook.xml.rels':
        '<Relationships><Relationship Id="a" Target="/xl/worksheets/s.xml"/></Relationships>',
      'xl/styles.xml': `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="${styles}"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs></styleSheet>`,
      'xl/worksheets/s.xml': `<worksheet><sheetData>${cells}</sheetData></worksheet>`,
    })

  test.each<[string, string, unknown]>([
    ['d.m.yy', '46053', '2026-01-31'],
    ['d.m.yy', '46053.5', '2026-01-31T12:00:00'],
    ['[$-409]mmm yyyy', '46053', '2026-01-31'],
    ['hh:mm', '0.25', '06:00:00'],
    ['[h]:mm', '1.25', 1.25],
    ['0.00 &quot;days&quot;', '1.50', 1.5],
    ['yyyy', '1', '1900-01-01'],
    ['yyyy', '59', '1900-02-28'],
    ['yyyy', '61', '1900-03-01'],
    ['yyyy', '99999999', 99999999],
  ])('reads a number with the format %s: %s', async (format, value, expected) => {
    const body = await written(
      `<row><c t="inlineStr"><is><t>a</t></is></c></row><row><c s="1"><v>${value}</v></c></row>`,
      format,
    )
    expect(await recordsOf({ body }, { format: 'excel' })).toEqual([{ a: expected }])
  })

  test.each<[string, string, unknown]>([
    [
      'a text without how it is pronounced',
      '<c t="inlineStr"><is><r><t>A</t></r><r><t>B</t></r><rPh><t>zz</t></rPh></is></c>',
      'AB',
    ],
    ['a shared text', '<c t="s"><v>0</v></c>', 'first'],
    ['a shared text that is none', '<c t="s"><v></v></c>', null],
  ])('reads %s', async (_what, cell, expected) => {
    const body = await written(
      `<row><c><v>1</v></c><c><v>2</v></c></row><row><c><v>3</v></c>${cell}</row>`,
      '',
      '<si><t>first</t></si>',
    )
    expect(await recordsOf({ body }, { format: 'excel' })).toEqual([{ 1: 3, 2: expected }])
  })

  test.each<[string, () => Promise<Uint8Array>, object, string]>([
    ['another file', async () => Buffer.from('id\n1\n'), { format: 'excel' }, 'a workbook is a zip archive'],
    ['an old one', async () => Buffer.from('d0cf11e0', 'hex'), { format: 'excel' }, 'old .xls'],
    [
      'a sheet that is not there',
      () => workbookOf({ Orders: table }),
      { format: { type: 'excel', sheet: 'Order' } },
      'did you mean "Orders"?',
    ],
    [
      'a formula without its value',
      () => written('<row><c r="A1"><f>1+1</f></c></row>'),
      { format: 'excel' },
      'the formula of cell A1 was never computed',
    ],
    [
      'a day that never was',
      () => written('<row><c><v>1</v></c></row><row><c r="A2" s="1"><v>60</v></c></row>', 'yyyy'),
      { format: 'excel' },
      'cell A2 is 29 February 1900',
    ],
    [
      'a text by a number that is none',
      () => written('<row><c r="A1" t="s"><v>0x0</v></c></row>', '', '<si><t>x</t></si>'),
      { format: 'excel' },
      'the text of cell A1 is missing',
    ],
    [
      'one text in very many cells',
      () =>
        written(
          `<row><c><v>1</v></c></row>${'<row><c t="s"><v>0</v></c></row>'.repeat(250)}`,
          '',
          `<si><t>${'x'.repeat(2 ** 22)}</t></si>`,
        ),
      { format: 'excel' },
      'its records would be more than 268435456 bytes of JSON',
    ],
    [
      'very many sheets',
      () => zipOf({ 'xl/workbook.xml': `<workbook><sheets>${'<sheet/>'.repeat(10_001)}</sheets></workbook>` }),
      { format: 'excel' },
      'it has more than 10000 sheets',
    ],
    [
      'very many styles',
      async () =>
        zipOf({ 'xl/workbook.xml': SHEET, 'xl/_rels/workbook.xml.rels': PART, 'xl/styles.xml': styles(100_001) }),
      { format: 'excel' },
      'it has more than 100000 styles',
    ],
    [
      'very many parts',
      () =>
        zipOf({
          'xl/_rels/workbook.xml.rels': `<Relationships>${Array.from({ length: 10_001 }, (_, id) => `<Relationship Id="${id}"/>`).join('')}</Relationships>`,
        }),
      { format: 'excel' },
      'it has more than 10000 parts',
    ],
    ['cells far away', () => written('<row r="99999999"/>'), { format: 'excel' }, 'there is no row 99999999'],
    ['an archive of something else', () => zipOf({ 'a.csv': 'x' }), { format: 'excel' }, 'it has no sheets'],
  ])('refuses %s', async (_what, body, endpoint, expected) => {
    await expect(recordsOf({ body: await body() }, endpoint)).rejects.toThrow(expected)
  })
})
