import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { RestApiConfig } from '../../src/index.js'
import { zipOf } from '../rest/archives.js'
import { type Parts, partsApi, peakOf, times } from './loadPeak.js'

/** Small bodies that become very much, wherever an API may send one. */

interface Bomb {
  readonly headers: Record<string, string>
  readonly parts: () => Parts
}

const MEBIBYTE = 2 ** 20

/** A gzip file, of members that are unpacked one after the other: `count` times `unit` between two texts. */
function gzipped(type: string, first: string, unit: string, count: number, last: string): Bomb {
  const perBlock = Math.floor(MEBIBYTE / unit.length)
  const block = gzipSync(unit.repeat(perBlock))
  const parts = (): Parts => [gzipSync(first), ...times(Math.ceil(count / perBlock), block), gzipSync(last)]
  return { headers: { 'content-type': type, 'content-encoding': 'gzip' }, parts }
}

function whole(type: string, body: Uint8Array | string, encoding?: string): Bomb {
  const headers = { 'content-type': type, ...(encoding !== undefined && { 'content-encoding': encoding }) }
  return { headers, parts: () => [body] }
}

const [JSON_TYPE, ROWS, CSV, XML, ZIP] = [
  'application/json',
  'application/x-ndjson',
  'text/csv',
  'application/xml',
  'application/zip',
] as const
const EXCEL = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'
const blanks = Buffer.alloc(300 * MEBIBYTE, 32)
const fast = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }

/** A workbook with one sheet of these rows and these shared texts. */
function workbook(rows: string, texts: string): Promise<Buffer> {
  return zipOf({
    'xl/workbook.xml': '<workbook xmlns:r="r"><sheets><sheet name="S" r:id="a"/></sheets></workbook>',
    'xl/_rels/workbook.xml.rels': '<Relationships><Relationship Id="a" Target="worksheets/s.xml"/></Relationships>',
    'xl/sharedStrings.xml': `<sst>${texts}</sst>`,
    'xl/worksheets/s.xml': `<worksheet><sheetData>${rows}</sheetData></worksheet>`,
  })
}

const NAME = '<row><c t="inlineStr"><is><t>a</t></is></c></row>'

const bombs = {
  gzipTwice: () => {
    const inner = gzipped(JSON_TYPE, '[', ' '.repeat(1024), 300 * 1024, ']')
    const body = gzipSync(Buffer.concat([...inner.parts()].map(part => Buffer.from(part))))
    return whole(JSON_TYPE, body, 'gzip, gzip')
  },
  brotli: () => whole(JSON_TYPE, brotliCompressSync(blanks, fast), 'br'),
  deflate: () => whole(JSON_TYPE, deflateSync(blanks, { level: 1 }), 'deflate'),
  zstd: () => whole(JSON_TYPE, Buffer.from('28b52ffd', 'hex'), 'zstd'),
  fiveCodings: () => whole(JSON_TYPE, 'x', 'gzip, gzip, gzip, gzip, gzip'),
  errorOfLists: () => gzipped(JSON_TYPE, '{"error":[', '[],', 10e6, '[]]}'),
  deepJson: () => gzipped(JSON_TYPE, '[{"a":', '[', 50e6, ''),
  endlessLine: () => gzipped(ROWS, '{"a":"', 'x', 300 * MEBIBYTE, '"}\n'),
  endlessCell: () => gzipped(CSV, 'a,b\n"', 'x', 300 * MEBIBYTE, '",1\n'),
  endlessRow: () => gzipped(CSV, 'a\n', ',', 30e6, '\n'),
  endlessHeader: () => gzipped(CSV, 'a', ',', 30e6, '\n'),
  endlessList: () => gzipped(JSON_TYPE, '[{"id":1,"a":[1', ',1', 100e6, ']}]'),
  endlessMembers: () => gzipped(ROWS, '{"id":1,"a":[{"b":1}', ',{"b":1}', 30e6, ']}\n'),
  emptyRecords: () => gzipped(JSON_TYPE, '[{}', ',{}', 60e6, ']'),
  plainValues: () => gzipped(JSON_TYPE, '[1', ',1', 100e6, ']'),
  longText: () => gzipped(JSON_TYPE, '[{"id":1,"a":"', 'x', 240e6, '"}]'),
  longCell: () => gzipped(CSV, 'a,b\n"', 'x', 230e6, '",1\n'),
  longPlainCell: () => gzipped(CSV, 'a,b\n', 'x', 230e6, ',1\n'),
  entities: () => whole(XML, '<!DOCTYPE r [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><r><i>&c;</i></r>'),
  deepXml: () => whole(XML, '<a>'.repeat(1e5)),
  endlessAttribute: () => gzipped(XML, '<r><i a="', 'x', 120e6, '"/></r>'),
  endlessName: () => gzipped(XML, '<r><', 'x', 120e6, '/></r>'),
  endlessComment: () => gzipped(XML, '<r><!--', 'x', 120e6, '--></r>'),
  zipInZip: async () => whole(ZIP, await zipOf({ 'a.zip': await zipOf({ 'a.json': '[]' }) })),
  longZip: async () => whole(ZIP, await zipOf({ 'a.json': blanks })),
  gzipInZip: async () => whole(ZIP, await zipOf({ 'a.json.gz': gzipSync(blanks, { level: 1 }) })),
  manyTexts: async () => whole(EXCEL, await workbook('<row/>', '<si><t/></si>'.repeat(4.3e6))),
  repeatedText: async () =>
    whole(
      EXCEL,
      await workbook(NAME + '<row><c t="s"><v>0</v></c></row>'.repeat(4000), `<si><t>${'x'.repeat(1e5)}</t></si>`),
    ),
} as const satisfies Readonly<Record<string, () => Bomb | Promise<Bomb>>>

const once = { retry: { attempts: 1 } }
const poll = { path: 'done', status_path: 'state', done: ['done'], every: 1, timeout: 60 }
const job = { handle_path: 'id', poll, download: { url_path: 'url' } }

const places = {
  'a page': () => ({ resources: [{ name: 'things', endpoint: { path: 'bomb', paginator: 'single_page' } }] }),
  'a page of XML': () => ({
    resources: [{ name: 'things', endpoint: { path: 'bomb', data_selector: 'r.i', paginator: 'single_page' } }],
  }),
  'a refusal': () => ({ resources: [{ name: 'things', endpoint: { path: 'refused', paginator: 'single_page' } }] }),
  'a login': () => ({
    client: { auth: { type: 'login', path: 'bomb', json: { user: 'a' }, token_path: 'data.token' } },
    resources: ['things'],
  }),
  'a token': base_url => ({
    client: {
      auth: {
        type: 'oauth2_client_credentials',
        access_token_url: `${base_url}/bomb`,
        client_id: 'a',
        client_secret: 'b',
      },
    },
    resources: ['things'],
  }),
  'the order of an export': () => ({
    resources: [{ name: 'things', endpoint: { path: 'bomb', method: 'POST', json: {}, job } }],
  }),
  'the status of an export': () => ({
    resources: [
      {
        name: 'things',
        endpoint: { path: 'order', method: 'POST', json: {}, job: { ...job, poll: { ...poll, path: 'bomb' } } },
      },
    ],
  }),
  'the file of an export': () => ({
    resources: [{ name: 'things', endpoint: { path: 'order', method: 'POST', json: {}, job } }],
  }),
} as const satisfies Readonly<Record<string, (base_url: string) => object>>

async function bombed(bomb: Bomb, place: keyof typeof places) {
  const json = (value: unknown) => ({ parts: [JSON.stringify(value)] })
  const base_url = await partsApi(({ url, headers }) => {
    const { pathname } = new URL(url, 'http://api')
    if (pathname === '/order') return json({ id: 1 })
    if (pathname === '/done') return json({ state: 'done', url: `http://${headers.host}/bomb` })
    if (pathname === '/things') return json([{ id: 1 }])
    return { status: pathname === '/refused' ? 500 : 200, headers: bomb.headers, parts: bomb.parts() }
  })
  const { client = {}, ...document } = places[place](base_url) as { client?: object }
  return await peakOf({ ...document, client: { base_url, ...once, ...client } } as RestApiConfig)
}

const TOO_LONG = /the body is longer than 268435456 bytes \(256 MiB\)/
const NO_TOKEN = /longer than 4194304 bytes \(4 MiB\).*check the address that gives the token/

type Row = readonly [kind: keyof typeof bombs, place: keyof typeof places, expected: RegExp, mostMb: number]

const rows: readonly Row[] = [
  ['gzipTwice', 'a page', TOO_LONG, 600],
  ['gzipTwice', 'a login', NO_TOKEN, 300],
  ['brotli', 'a token', NO_TOKEN, 300],
  ['zstd', 'a page', /the content encoding "zstd" is not known/, 300],
  ['fiveCodings', 'a token', /the body is encoded 5 times, more than 4/, 300],
  ['errorOfLists', 'a page', /an answer without records has "error"/, 600],
  ['errorOfLists', 'a refusal', /was answered 500/, 600],
  ['errorOfLists', 'a token', NO_TOKEN, 300],
  ['errorOfLists', 'the status of an export', /job\.poll\.status_path "state" leads to no text or number/, 600],
  ['endlessLine', 'the file of an export', /a row, or a line, is longer than 268435456 bytes/, 800],
  ['endlessCell', 'a page', /a row, or a line, is longer than 268435456 bytes/, 800],
  ['longCell', 'a page', /a row has more than 67108864 bytes/, 800],
  ['endlessList', 'a page', /^things: a record has more than 8388608 values.*\(GET http/, 800],
  ['emptyRecords', 'a page', /^things: GET .* with \d+ records, and 8388608 are the most/, 800],
  ['endlessRow', 'a page', /line 2 has more than 20000 values/, 600],
  ['endlessHeader', 'a page', /line 1 has more than 20000 values/, 600],
  ['entities', 'a page of XML', /its document type defines entities, which are refused/, 300],
  ['deepXml', 'a page of XML', /its elements are more than 200 deep/, 300],
  ['endlessAttribute', 'a page of XML', /texts, tags or comments has more than 67108864 bytes/, 900],
  ['zipInZip', 'a page', /there is an archive in the archive/, 300],
]

/** The other places of each kind, at night (`SLUICE_MATRIX=full`): each row is a process of its own. */
const more: readonly Row[] = [
  ['longZip', 'the file of an export', /its files have more than 268435456 bytes/, 800],
  ['manyTexts', 'a page', /it has more than 4194304 texts/, 800],
  ['gzipTwice', 'a refusal', TOO_LONG, 600],
  ['gzipTwice', 'a token', NO_TOKEN, 300],
  ['gzipTwice', 'the order of an export', TOO_LONG, 600],
  ['gzipTwice', 'the status of an export', TOO_LONG, 600],
  ['gzipTwice', 'the file of an export', TOO_LONG, 600],
  ['brotli', 'a page', TOO_LONG, 600],
  ['deflate', 'a page', TOO_LONG, 600],
  ['deflate', 'a login', NO_TOKEN, 300],
  ['errorOfLists', 'a login', NO_TOKEN, 300],
  ['errorOfLists', 'the order of an export', /job\.handle_path "id" leads to no text or number/, 600],
  ['deepJson', 'a page', /the document ends inside an array/, 600],
  ['deepJson', 'a login', NO_TOKEN, 300],
  ['deepJson', 'a refusal', /was answered 500/, 600],
  ['endlessLine', 'a page', /a row, or a line, is longer than 268435456 bytes/, 800],
  ['endlessList', 'the file of an export', /^things: a record has more than 8388608 values.*\(GET http/, 800],
  ['plainValues', 'a page', /with \d+ records, and 8388608 are the most/, 800],
  ['endlessMembers', 'a page', /^things: a record has more than 8388608 values/, 900],
  ['longText', 'a page', /^things: a record has a text of more than 67108864 bytes/, 800],
  ['longCell', 'the file of an export', /a row has more than 67108864 bytes/, 800],
  ['longPlainCell', 'a page', /a row has more than 67108864 bytes/, 800],
  ['endlessRow', 'the file of an export', /line 2 has more than 20000 values/, 600],
  ['endlessName', 'a page of XML', /texts, tags or comments has more than 67108864 bytes/, 900],
  ['endlessComment', 'a page of XML', /texts, tags or comments has more than 67108864 bytes/, 900],
  ['zipInZip', 'the file of an export', /there is an archive in the archive/, 300],
  ['longZip', 'a page', /its files have more than 268435456 bytes/, 800],
  ['manyTexts', 'the file of an export', /it has more than 4194304 texts/, 800],
  ['repeatedText', 'a page', /its records would be more than 268435456 bytes of JSON/, 900],
  ['gzipInZip', 'a page', /its files have more than 268435456 bytes/, 800],
]

describe('a body that is small and becomes very much is refused', () => {
  it.each(process.env.SLUICE_MATRIX === 'full' ? [...rows, ...more] : rows)(
    '%s, in %s',
    { timeout: 300_000 },
    async (kind, place, expected, mostMb) => {
      const { message, rows: loaded, peakMb } = await bombed(await bombs[kind](), place)
      expect(loaded).toBeUndefined()
      expect(message).toMatch(expected)
      expect(peakMb).toBeLessThan(mostMb)
    },
  )
})
