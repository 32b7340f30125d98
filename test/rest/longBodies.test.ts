import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ExtractContext, Source } from '../../src/model/source.js'
import { csvRowEnds } from '../../src/rest/body/csvRowEnds.js'
import { type CsvFormat, csvRows } from '../../src/rest/body/csvRows.js'
import { parseRestConfig } from '../../src/rest/document/parseDocument.js'
import { restSource } from '../../src/rest/restSource.js'
import fc from '../properties.js'
import { memoryJournal, type Seen, serve } from './clientServer.js'
import { read } from './listServer.js'

/** Bodies of rows that are longer than what is taken into memory at once. */

/** The longest row. Parts are a quarter of it. */
const MOST_BYTES = 40_000
const PART = MOST_BYTES / 4

interface Served {
  readonly body: Uint8Array | string
  readonly headers?: Readonly<Record<string, string>>
  readonly status?: number
  /** The connection breaks after so many bytes. */
  readonly breaksAt?: number
}

async function served(answer: (request: Seen, number: number) => Served): Promise<{ origin: string; seen: Seen[] }> {
  const server = await serve((request, response, number) => {
    const { body, headers, status = 200, breaksAt } = answer(request, number)
    const bytes = Buffer.from(body)
    response.writeHead(status, { 'content-type': 'application/x-ndjson', 'content-length': bytes.length, ...headers })
    if (breaksAt === undefined) response.end(bytes)
    else response.write(bytes.subarray(0, breaksAt), () => response.destroy())
  })
  onTestFinished(() => server.close())
  return server
}

function rows(origin: string, endpoint: object = {}, more: object = {}, maxBodyBytes = MOST_BYTES): Source {
  const things = { name: 'things', endpoint: { paginator: 'single_page', ...endpoint }, ...more }
  return restSource(parseRestConfig({ client: { base_url: origin }, resources: [things] }), { maxBodyBytes })
}

const quick = { attempts: 3, base: 0.001 }

const people = Array.from({ length: 2_000 }, (_, id) => ({ id, name: `name ${id}`, note: 'ü"\\\n'.repeat(id % 5) }))
const lines = people.map(one => `${JSON.stringify(one)}\n`).join('')
const cell = (value: unknown): string => `"${String(value).replaceAll('"', '""')}"`
const table = `id,name,note\n${people.map(({ id, name, note }) => `${id},${name},${cell(note)}\n`).join('')}`
const texts = people.map(({ id, name, note }) => ({ id: String(id), name, note }))

describe('a long body is read in pages', () => {
  test.each<[string, Served, object, unknown[]]>([
    ['NDJSON', { body: lines }, {}, people],
    ['NDJSON without an end of its last line', { body: lines.trimEnd() }, {}, people],
    ['NDJSON with empty lines at the end', { body: lines + '\n'.repeat(3 * PART) }, {}, people],
    [
      'values over several lines',
      { body: people.map(one => JSON.stringify(one, undefined, 1)).join('\n') },
      {},
      people,
    ],
    ['records with separators', { body: people.map(one => `\x1e${JSON.stringify(one)}\n`).join('') }, {}, people],
    [
      'values behind spaces',
      { body: people.map(one => `${JSON.stringify(one)}${one.id % 3 === 0 ? ' ' : '\n'}`).join('') },
      {},
      people,
    ],
    ['NDJSON with a content encoding', { body: gzipSync(lines), headers: { 'content-encoding': 'gzip' } }, {}, people],
    [
      'a gzip file',
      { body: gzipSync(lines), headers: { 'content-type': 'application/gzip' } },
      { path: 'things.ndjson.gz' },
      people,
    ],
    ['CSV', { body: table, headers: { 'content-type': 'text/csv' } }, {}, texts],
    ['CSV with a byte order mark', { body: `\ufeff${table}` }, { format: 'csv' }, texts],
    [
      'CSV with CR and LF',
      { body: table.replaceAll('\n', '\r\n') },
      { format: 'csv' },
      texts.map(one => ({ ...one, note: one.note.replaceAll('\n', '\r\n') })),
    ],
    ['CSV with a title', { body: `Title "x\n\n${table}` }, { format: { type: 'csv', skip_lines: 2 } }, texts],
    [
      'CSV with names of the document',
      { body: table },
      { format: { type: 'csv', skip_lines: 1, header: ['id', 'name', 'note'] } },
      texts,
    ],
    [
      'CSV in an old encoding',
      { body: Buffer.from(table, 'latin1') },
      { format: 'csv', encoding: 'windows-1252' },
      texts,
    ],
  ])('%s', async (_what, answer, endpoint, expected) => {
    const { origin } = await served(() => answer)
    const { records, pages, end } = await read(rows(origin, endpoint))
    expect(records).toEqual(expected)
    expect(end).toMatchObject({ end: 'proven' })
    expect(pages.length).toBeGreaterThan(2)
    for (const { bytes } of pages) expect(bytes).toBeLessThan(2 * PART)
  })

  test('behind links of headers, and every answer is one of several pages', async () => {
    const half = people.length / 2
    const body = (from: number): string =>
      lines
        .split('\n')
        .slice(from, from + half)
        .join('\n')
    const { origin } = await served(({ url }) =>
      url.includes('page=2') ? { body: body(half) } : { body: body(0), headers: { link: '<?page=2>; rel="next"' } },
    )
    for (const paginator of ['header_link', 'auto']) {
      const { records, end } = await read(rows(origin, { paginator }, { primary_key: 'id' }))
      expect(records).toEqual(people)
      expect(end, end.reason).toMatchObject({ end: 'proven' })
    }
  })

  test('with the total of a header', async () => {
    const { origin } = await served(() => ({ body: lines, headers: { 'x-total': '2001' } }))
    const { pages, end } = await read(rows(origin, { paginator: { type: 'single_page', total_header: 'X-Total' } }))
    expect(pages.at(-1)).toMatchObject({ announced: 2001 })
    expect(end).toMatchObject({ end: 'proven' })
  })

  test('but equal parts are no circle', async () => {
    const { origin } = await served(() => ({ body: '{"a":1}\n'.repeat(10_000) }))
    const { records, end } = await read(rows(origin))
    expect(records).toHaveLength(10_000)
    expect(end).toMatchObject({ end: 'proven' })
  })

  test('and masked before it is journaled', async () => {
    const { origin } = await served(() => ({ body: table, headers: { 'content-type': 'text/csv' } }))
    const journal = memoryJournal()
    const { records } = await read(rows(origin, {}, { mask: { name: 'redact' } }), 'things', { journal })
    expect(records).toEqual(texts.map(one => ({ ...one, name: '***' })))
    for (const { body } of journal.records.values()) expect(Buffer.from(body).toString()).not.toContain('name 1')
  })
})

describe('what is not read in pages', () => {
  test.each<[string, Served, object, string]>([
    [
      'one document of JSON',
      { body: JSON.stringify(people), headers: { 'content-type': 'application/json' } },
      {},
      'the body is longer than 40000 bytes (0 MiB), the most that is taken into memory at once; ask for smaller pages; only NDJSON and CSV are read in parts, between their rows',
    ],
    [
      'pages that are counted',
      { body: lines },
      { paginator: { type: 'offset', limit: 2_000, total_path: null } },
      'the body is longer than 40000 bytes',
    ],
    ['text in UTF-16', { body: Buffer.from(`\ufeff${lines}`, 'utf16le') }, {}, 'the body is longer than 40000 bytes'],
    [
      'a long line',
      { body: `${lines}"${'x'.repeat(MOST_BYTES)}"\n` },
      {},
      'a row, or a line, is longer than 40000 bytes',
    ],
    [
      'a long value of CSV',
      { body: `${table}1,2,"${'x\n'.repeat(MOST_BYTES)}"\n` },
      { format: 'csv' },
      'a row, or a line, is longer than 40000 bytes',
    ],
  ])('%s', async (_what, answer, endpoint, problem) => {
    const { origin } = await served(() => answer)
    await expect(read(rows(origin, { retry: quick, ...endpoint }))).rejects.toMatchObject({
      code: 'response_too_large',
      message: expect.stringContaining(problem),
    })
  })

  test('a damaged line is an error that shows it', async () => {
    const { origin } = await served(() => ({ body: `${lines}{"id":1]\n${lines}` }))
    await expect(read(rows(origin, { retry: quick }))).rejects.toMatchObject({
      code: 'response_format',
      message: expect.stringMatching(/the part of it behind byte \d+, where this is, begins /),
    })
  })
})

describe('a body that breaks off', () => {
  test.each<[string, Partial<Served>, object, unknown[]]>([
    ['NDJSON', { body: lines }, {}, people],
    [
      'with a content encoding',
      {
        body: gzipSync(lines),
        headers: { 'content-encoding': 'gzip' },
        breaksAt: Math.floor(gzipSync(lines).length / 2),
      },
      {},
      people,
    ],
    ['CSV', { body: table }, { format: 'csv' }, texts],
  ])('is asked for again, and no row comes twice: %s', async (_what, answer, endpoint, expected) => {
    const { breaksAt = 45_000, ...unbroken } = { body: '', ...answer }
    const { origin, seen } = await served((_request, number) =>
      number < 3 ? { ...unbroken, breaksAt: breaksAt + number } : unbroken,
    )
    const { records, end } = await read(rows(origin, { retry: quick, ...endpoint }))
    expect(records).toEqual(expected)
    expect(end).toMatchObject({ end: 'proven' })
    expect(seen).toHaveLength(3)
  })

  test('is an error after the last attempt', async () => {
    const { origin } = await served(() => ({ body: lines, breaksAt: 45_000 }))
    await expect(read(rows(origin, { retry: quick }))).rejects.toMatchObject({ code: 'connection' })
  })

  test('is in doubt where only the connection ends it', async () => {
    const { origin } = await served(() => ({ body: lines, headers: { connection: 'close' } }))
    const chunked = await serve((_request, response) => {
      response.socket?.end(`HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n${lines}`)
    })
    onTestFinished(() => chunked.close())
    expect((await read(rows(origin))).end).toMatchObject({ end: 'proven' })
    expect((await read(rows(chunked.origin))).end).toMatchObject({ end: 'limited', code: 'cut_answer' })
  })

  test.each([
    ['other rows', lines.replaceAll('name', 'Name'), 'begins with others'],
    ['fewer rows', lines.slice(0, lines.indexOf('\n', 2_000) + 1), /has only 2\d{3} bytes/],
  ])('and comes with %s is not mixed, and the next run reads it whole', async (_what, other, problem) => {
    const { origin } = await served((_request, number) =>
      number === 1 ? { body: lines, breaksAt: 45_000 } : { body: other },
    )
    const journal = memoryJournal()
    const source = (): Source => rows(origin, { retry: quick })
    await expect(read(source(), 'things', { journal })).rejects.toMatchObject({
      code: 'response_format',
      message: expect.stringMatching(problem),
    })
    const { records } = await read(source(), 'things', { journal })
    expect(records).toHaveLength(other.split('\n').length - 1)
    expect(records).toEqual(
      other
        .split('\n')
        .filter(line => line.endsWith('}'))
        .map(line => JSON.parse(line)),
    )
  })
})

test('a run that goes on takes what is journaled, and asks once for the rest', async () => {
  const { origin, seen } = await served(() => ({ body: table, headers: { 'content-type': 'text/csv' } }))
  const journal = memoryJournal()
  const stopped = new AbortController()
  let pages = 0
  const context: Partial<ExtractContext> = {
    journal,
    signal: stopped.signal,
    emit: event => {
      if (event.type === 'page' && ++pages === 3) stopped.abort(new Error('killed'))
    },
  }
  await expect(read(rows(origin), 'things', context)).rejects.toThrow()
  const kept = journal.records.size
  expect(kept).toBeGreaterThan(1)
  const { records, events, end } = await read(rows(origin), 'things', { journal })
  expect(records).toEqual(texts)
  expect(end).toMatchObject({ end: 'proven' })
  expect(seen).toHaveLength(2)
  expect(events.filter(event => event.type === 'page' && event.fromJournal)).toHaveLength(kept)
  const again = await read(rows(origin), 'things', { journal })
  expect(again.records).toEqual(texts)
  expect(seen).toHaveLength(2)
})

test.each([
  ['the last line', [lines, '{"error":"export failed"}\n']],
  ['a line between others', [lines, '{"error":"export failed"}\n', lines]],
  ['the first line', ['{"error":"export failed"}\n', lines]],
])('an error in %s stays in doubt', async (_, texts) => {
  const { origin } = await served(() => ({ body: texts.join('') }))
  const { end: whole } = await read(rows(origin, {}, {}, 2 ** 20))
  const { end, pages } = await read(rows(origin))
  expect(pages.length).toBeGreaterThan(2)
  expect(end).toMatchObject({ end: 'limited', code: 'partial_error' })
  expect(whole).toMatchObject({ end: end.end, code: 'partial_error' })
})

test.each([
  ['max_records', { max_records: 10 }, {}, 10],
  ['a trial of one page', {}, { maxPages: 1 }, undefined],
] as const)('%s ends the reading early', async (_what, endpoint, context, expected) => {
  let sent: (times: number) => void = () => undefined
  const times = new Promise<number>(resolve => {
    sent = resolve
  })
  const server = await serve((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    let time = 0
    const send = (): void => {
      while (time < 500) if (time++ >= 0 && !response.write(lines)) return
      response.end()
    }
    response.on('drain', send)
    response.on('close', () => sent(time))
    send()
  })
  onTestFinished(() => server.close())
  const { records, pages } = await read(rows(server.origin, endpoint), 'things', context)
  expect(pages).toHaveLength(1)
  if (expected !== undefined) expect(records).toHaveLength(expected)
  expect(await times).toBeLessThan(500)
})

describe('the ends of rows', () => {
  const piece = fc.constantFrom('a', 'ü', ' ', ',', ';', '"', '""', '\\', '#', '\n', '\r\n', '\r', '"a\nb"', '\0')
  const csv = fc.record(
    {
      delimiter: fc.constantFrom(',', ';', '||'),
      quote: fc.constantFrom<'"' | "'" | false>('"', "'", false),
      escape: fc.constantFrom('\\', '"'),
      comment: fc.constant('#'),
      header: fc.constantFrom(true, false),
    },
    { requiredKeys: [] },
  )

  async function cells(text: Uint8Array, format: CsvFormat): Promise<readonly unknown[] | undefined> {
    try {
      return JSON.parse(Buffer.from((await csvRows(text, format)).text).toString())
    } catch {
      return undefined
    }
  }

  test('cut a text that can be read into two that are read alike', async () => {
    await fc.assert(
      fc.asyncProperty(csv, fc.array(piece, { maxLength: 30 }), fc.nat(60), async (options, pieces, cutAt) => {
        const format: CsvFormat = { type: 'csv', ...options }
        const text = Buffer.from(pieces.join(''))
        const whole = await cells(text, format)
        const { head, last } = csvRowEnds(text.subarray(0, cutAt), format)
        if (whole === undefined || head === undefined || last === undefined) return
        const before = await cells(text.subarray(0, last), format)
        const after = await cells(Buffer.concat([text.subarray(0, head), text.subarray(last)]), format)
        expect([...(before ?? ['unread']), ...(after ?? ['unread'])]).toEqual(whole)
      }),
      { numRuns: 3_000 },
    )
  })
})
