import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { WARCParser } from 'warcio'
import { duckdb, pipeline, restApi } from '../../src/index.js'

const KEY = 'no-such-s3cret'
const pages = ['[{"id":1,"name":"Zażółć"}]', `[{"id":2,"name":"${'x'.repeat(100_000)}"}]`, '[]']

let home: string
let server: Server
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'sluice-warc-'))
  let failures = 0
  server = createServer((request, response) => {
    const page = Number(new URL(request.url ?? '', 'http://x').searchParams.get('page'))
    if (page === 2 && failures++ === 0) return void response.writeHead(503, { 'retry-after': '0' }).end()
    const body = Buffer.from(pages[page - 1] ?? '')
    response.setHeader('content-type', 'application/json; charset=utf-8')
    response.setHeader('x-odd', ['one', `two ${KEY}`])
    // The first comes compressed, the second in parts, the last with its length.
    if (page === 1) return void response.setHeader('content-encoding', 'gzip').end(gzipSync(body))
    if (page === 2) response.write(body.subarray(0, 7))
    response.end(page === 2 ? body.subarray(7) : body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
  await rm(home, { recursive: true, force: true })
})

test('the journal of a run is a WARC file to a reader of other authors', async () => {
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const auth = { type: 'api_key', name: 'key', api_key: KEY, location: 'query' } as const
  const paginator = { type: 'page_number', base_page: 1, total_path: null } as const
  const source = restApi(
    { client: { base_url: origin, auth }, resources: [{ name: 'things', endpoint: { path: 'things', paginator } }] },
    { name: 'api' },
  )
  const run = pipeline({ name: 'p', source, destination: duckdb(join(home, 'p.duckdb')), home })
  const { loadId } = await run.run({ keepJournal: true })

  const [journal = ''] = (await readdir(home, { recursive: true })).filter(name => name.endsWith('.warc'))
  const [info, ...answers] = await recordsIn(join(home, journal))
  expect(info).toMatchObject({ type: 'warcinfo', version: 'WARC/1.1' })
  expect(info?.text).toContain(`load-id: ${loadId}\r\n`)
  expect(answers.map(({ type, uri, status, mime }) => [type, uri, status, mime])).toEqual(
    [1, 2, 3].map(page => [
      'response',
      `${origin}/things?page=${page}`,
      'HTTP/1.1 200',
      'application/json; charset=utf-8',
    ]),
  )
  expect(answers.map(({ text }) => text)).toEqual(pages)
  expect(answers.map(({ odd }) => odd)).toEqual(pages.map(() => expect.stringMatching(/^one, two \*+$/)))
  // This reader does not mind; HTTP wants a space where no word follows the status.
  expect((await readFile(join(home, journal), 'latin1')).match(/^HTTP\/1\.1 200 \r\n/gm)).toHaveLength(3)
  expect(new Set([info, ...answers].map(record => record?.id)).size).toBe(4)
  expect(answers.every(({ date }) => !Number.isNaN(Date.parse(String(date))))).toBe(true)
})

async function recordsIn(path: string) {
  const records: Record<'type' | 'version' | 'uri' | 'status' | 'mime' | 'odd' | 'text' | 'id' | 'date', unknown>[] = []
  for await (const record of new WARCParser(createReadStream(path))) {
    records.push({
      type: record.warcType,
      version: record.warcHeaders.statusline,
      uri: record.warcTargetURI,
      status: record.httpHeaders?.statusline,
      mime: record.httpHeaders?.headers.get('content-type'),
      odd: record.httpHeaders?.headers.get('x-odd'),
      text: await record.contentText(),
      id: record.warcHeader('WARC-Record-ID'),
      date: record.warcDate,
    })
  }
  return records
}
