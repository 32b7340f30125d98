import { chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { parquetReadObjects } from 'hyparquet'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { ApiFindings, PipelineList, TableList } from '../../src/studio/pageContract.js'
import { api } from '../rest/listServer.js'
import { settled } from './browser.js'
import { onlyPipeline, openStudio, runToEnd, SECRET, shopsApi, shopsDocument } from './studioApi.js'

describe('who is answered', () => {
  it.each([
    ['nobody without the token', {}, 401],
    ['nobody with another token', { authorization: 'Bearer 4711' }, 401],
    ['no name that leads to this machine', { host: 'evil.example:80', authorization: 'TOKEN' }, 403],
    ['no page of another origin', { origin: 'http://evil.example', authorization: 'TOKEN' }, 403],
    ['no frame of another site', { 'sec-fetch-site': 'cross-site', authorization: 'TOKEN' }, 403],
    ['no other port of this machine', { 'sec-fetch-site': 'same-site', authorization: 'TOKEN' }, 403],
    ['the page', { 'sec-fetch-site': 'same-origin', authorization: 'TOKEN' }, 200],
  ])('%s', async (_, headers: Record<string, string>, status) => {
    const studio = await openStudio({ 'shops.yaml': shopsDocument('http://127.0.0.1:1') })
    const given = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, value.replace('TOKEN', `Bearer ${studio.token}`)]),
    )
    expect(await statusOf(`${studio.origin}/api/pipelines`, given)).toBe(status)
  })

  it.each([
    '/assets/../package.json',
    '/assets/..%2fpackage.json',
    '/assets/%2e%2e/cli/main.js',
    '/assets/',
    '/etc/passwd',
  ])('no file but those of the page: %s', async path => {
    const studio = await openStudio({ 'shops.yaml': shopsDocument('http://127.0.0.1:1') })
    expect(await statusOf(`${studio.origin}${path}`, {}, path)).toBe(404)
  })

  it('the page holds no secret and no script but its own', async () => {
    const studio = await openStudio({ 'shops.yaml': shopsDocument('http://127.0.0.1:1') })
    const page = await fetch(studio.origin)
    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'; script-src 'self';")
    expect(policy).toContain("frame-ancestors 'none'")
    const text = await page.text()
    expect(text).not.toContain(studio.token)
    for (const [, path] of text.matchAll(/(?:src|href)="([^"]+)"/g)) {
      expect((await fetch(new URL(path ?? '', studio.origin))).status, path).toBe(200)
    }
  })
})

it('runs a pipeline and shows what it loaded', { timeout: 160_000 }, async () => {
  const shops = await shopsApi()
  const studio = await openStudio({
    'shops.yaml': shopsDocument(shops.origin),
    'broken.yaml': 'client: {}\nresources: 3\n',
  })
  const list = await studio.ask('/api/pipelines')
  expect(list.json).toMatchObject({
    files: 2,
    pipelines: [
      { file: 'broken.yaml', problem: expect.stringContaining('resources') },
      { file: 'shops.yaml', name: 'shops', resources: ['shops'] },
    ],
  })
  const { id } = await onlyPipeline(studio)
  const of = `/api/pipelines/${id}`
  expect((await studio.ask(`${of}/loads`)).json).toEqual({ loads: [] })
  expect((await studio.ask(`${of}/tables`)).json).toEqual({ tables: [] })
  expect((await studio.ask(`${of}/plan`)).json).toMatchObject({ resources: [{ resource: 'shops' }] })

  const news = await runToEnd(studio, id)
  expect(news.map(({ number }) => number)).toEqual(news.map((_, index) => index + 1))
  expect(news.at(-1)?.event).toMatchObject({ type: 'ended', facts: { state: 'committed' } })
  expect(news.filter(({ event }) => event.type === 'page')).toHaveLength(3)

  expect((await studio.ask(`${of}/loads`)).json).toMatchObject({
    loads: [{ verdict: 'complete', rows: 750, receipts: [{ resource: 'shops', records: 250 }] }],
  })
  const { tables } = (await studio.ask(`${of}/tables`)).json as { tables: { name: string }[] }
  expect(tables).toContainEqual(expect.objectContaining({ name: 'shops__visits', parent: 'shops' }))
  expect((await studio.ask(`${of}/count?table=shops`)).json).toEqual({ rows: 250 })
  expect((await studio.ask(`${of}/versions`)).json).toMatchObject({
    versions: [{ changes: expect.arrayContaining([expect.stringContaining('shops__visits')]) }],
  })

  const rows = (body: object) => studio.ask(`${of}/rows`, { body: { table: 'shops', ...body } })
  expect((await rows({ filters: [{ column: 'id', operator: '>', value: '248' }], orderBy: 'id' })).json).toMatchObject({
    rows: [[249], [250]].map(([key]) => expect.arrayContaining([key])),
    isCut: false,
  })
  const found = async (filter: object): Promise<number> =>
    ((await rows({ filters: [filter], limit: 1_000 })).json as { rows: unknown[] }).rows.length
  expect(await found({ column: 'city', operator: '=', value: 'Bonn' })).toBe(84)
  expect(await found({ column: 'city', operator: '!=', value: 'Bonn' })).toBe(166)
  expect(await found({ column: 'rating', operator: 'is null' })).toBe(25)
  expect(await found({ column: 'name', operator: 'contains', value: 'SHOP 25' })).toBe(2)
  expect(await found({ column: 'name', operator: 'contains', value: '%' })).toBe(0)
  expect(await found({ column: 'opened', operator: '<', value: '2024-01-03' })).toBe(2)
  expect(await found({ column: 'city', operator: '=', value: "' OR 1=1 --" })).toBe(0)
  expect(await rows({ filters: [{ column: 'nope', operator: '=', value: '' }] })).toMatchObject({ status: 400 })
  expect((await rows({ orderBy: 'id', offset: 200, limit: 100 })).json).toMatchObject({ isCut: false })
  expect((await rows({ orderBy: 'id', limit: 100 })).json).toMatchObject({ isCut: true })

  expect((await studio.ask(`${of}/distribution?table=shops&column=city`)).json).toMatchObject({
    rows: 250,
    isSample: false,
    distinct: 3,
    top: [{ value: 'Bonn', rows: 84 }, { rows: 83 }, { rows: 83 }],
    histogram: [],
  })
  const rating = (await studio.ask(`${of}/distribution?table=shops&column=rating`)).json as {
    histogram: { rows: number }[]
  }
  expect(rating).toMatchObject({ nulls: 25, least: 0.1, greatest: 24.9 })
  expect(rating.histogram.reduce((sum, bin) => sum + bin.rows, 0)).toBe(225)
  const opened = (await studio.ask(`${of}/distribution?table=shops&column=opened`)).json as {
    histogram: { from: string }[]
  }
  expect(opened.histogram[0]?.from).toBe('2024-01-01T00:00:00.000Z')

  expect((await studio.ask(`${of}/query`, { body: { sql: 'SELECT count(*) AS n FROM shops' } })).json).toMatchObject({
    columns: [{ name: 'n' }],
    rows: [[250]],
  })
  const trace = async (table: string) => {
    const sql = `SELECT _dlt_id FROM ${table} WHERE ${table === 'shops' ? 'id = 150' : 'guests = 249'} LIMIT 1`
    const { rows } = (await studio.ask(`${of}/query`, { body: { sql } })).json as { rows: [[string]] }
    return (await studio.ask(`${of}/trace`, { body: { table, id: rows[0][0] } })).json
  }
  expect(await trace('shops')).toMatchObject({ receipt: { verdict: 'complete' }, journal: { state: 'not_kept' } })
  await runToEnd(studio, id, { keepJournal: true })
  expect(await trace('shops')).toMatchObject({
    journal: { state: 'found', sources: [{ answer: 2, differing: [], record: { path: '$.items[49]' } }] },
  })
  expect(await trace('shops__visits')).toMatchObject({
    above: [{ table: 'shops' }],
    journal: { sources: [{ answer: 3, values: [{ column: 'guests', text: '249' }] }] },
  })
  expect(await studio.ask(`${of}/trace`, { body: { table: 'shops', id: 'nope' } })).toMatchObject({ status: 404 })

  for (const sql of [
    'DELETE FROM shops',
    'DROP TABLE shops',
    'SELECT 1; DELETE FROM shops',
    "COPY shops TO '/tmp/x.csv'",
  ]) {
    expect(await studio.ask(`${of}/query`, { body: { sql } }), sql).toMatchObject({ status: 400 })
  }
  expect((await studio.ask(`${of}/count?table=shops`)).json).toEqual({ rows: 250 })

  const { path } = (await studio.ask(`${of}/downloads`, { body: { sql: 'SELECT id, city FROM shops ORDER BY id' } }))
    .json as {
    path: string
  }
  const csv = await studio.ask(path)
  expect(csv.text.split('\r\n').slice(0, 2)).toEqual(['id,city', '1,Bonn'])
  expect(csv.text.trimEnd().split('\r\n')).toHaveLength(251)
  expect(await studio.ask(path)).toMatchObject({ status: 404 })
  // Where files lie until they are sent.
  vi.stubEnv('TMPDIR', studio.folder)
  onTestFinished(() => void vi.unstubAllEnvs())
  const saved = (
    await studio.ask(`${of}/downloads`, {
      body: { sql: 'SELECT id, city, opened FROM shops ORDER BY id -- all;', format: 'parquet' },
    })
  ).json as { path: string }
  const parquet = await fetch(new URL(saved.path, studio.origin))
  expect(parquet.headers.get('content-disposition')).toContain('rows.parquet')
  const file = await parquet.arrayBuffer()
  expect(Number(parquet.headers.get('content-length'))).toBe(file.byteLength)
  const rows250 = await parquetReadObjects({ file })
  expect(rows250).toHaveLength(250)
  expect(rows250[1]).toEqual({ id: 2n, city: 'Graz', opened: new Date('2024-01-02T00:00:00Z') })
  for (const sql of ["COPY shops TO '/tmp/x.parquet'", "SELECT 1) TO '/tmp/x.parquet'; --", 'EXPLAIN SELECT 1']) {
    const { json, status } = await studio.ask(`${of}/downloads`, { body: { sql, format: 'parquet' } })
    const path = (json as { path?: string }).path
    expect(path === undefined ? status : (await studio.ask(path)).status, sql).toBe(400)
  }
  // What fails at its first row is said before the browser saves a file.
  const atOnce = await studio.ask(`${of}/downloads`, { body: { sql: "SELECT error('at once') FROM shops" } })
  expect(atOnce).toMatchObject({ status: 400, json: { message: expect.stringContaining('at once') } })
  // Half a file is never taken for a whole one.
  const failing =
    "SELECT CASE WHEN i = 90000 THEN error('late') ELSE i END AS n, repeat('x', 50) FROM range(100000) AS t(i)"
  const late = (await studio.ask(`${of}/downloads`, { body: { sql: failing } })).json as { path: string }
  await expect(studio.ask(late.path)).rejects.toThrow()
  const lateParquet = (await studio.ask(`${of}/downloads`, { body: { sql: failing, format: 'parquet' } })).json as {
    path: string
  }
  expect(await studio.ask(lateParquet.path)).toMatchObject({ status: 400 })
  await settled(() => readdir(studio.folder)).not.toContainEqual(expect.stringContaining('sluice-download-'))

  expect(studio.answers.filter(text => text.includes(SECRET))).toEqual([])
})

it('nested tables follow their parents, in the order of the resources', { timeout: 160_000 }, async () => {
  const document = `name: shop
destination: duckdb:shop.duckdb
source:
  client: { base_url: "http://127.0.0.1:9" }
  resources:
    - { name: customers, records: [{ id: 1, tags: [{ name: a, kinds: [{ k: 1 }] }] }] }
    - { name: orders, records: [{ id: 1, lines: [{ sku: a }] }] }
    - { name: notes, records: [{ id: 1 }] }
`
  const studio = await openStudio({ 'shop.yaml': document }, ['shop.yaml'])
  const { id } = await onlyPipeline(studio)
  await runToEnd(studio, id)
  const { tables } = (await studio.ask(`/api/pipelines/${id}/tables`)).json as TableList
  const own = tables.filter(({ isSystem }) => !isSystem).map(({ name }) => name)
  expect(own).toEqual(['customers', 'customers__tags', 'customers__tags__kinds', 'orders', 'orders__lines', 'notes'])
})

it('shows tables whatever they are called', { timeout: 300_000 }, async () => {
  const names = ['..', '.', '<img src=x onerror=alert(1)>', 'a/b?c#d%2e']
  const served = await api(async () => ({ json: [{ id: 1, n: 2 }] }))
  onTestFinished(() => served.close())
  const module = `import { duckdb, pipeline, restApi } from 'sluice'
const source = restApi({
  client: { base_url: '${served.origin}', paginator: 'single_page' },
  resources: ${JSON.stringify(names)}.map((table_name, index) => ({
    name: 'r' + index, table_name, endpoint: { path: 'odd', data_selector: '$' },
  })),
})
export default pipeline({ name: 'odd', source, destination: duckdb(new URL('odd.duckdb', import.meta.url).pathname), naming: 'direct' })`
  const studio = await openStudio({ 'odd.ts': module }, ['odd.ts'])
  const { id } = await onlyPipeline(studio)
  const of = `/api/pipelines/${id}`
  await runToEnd(studio, id)
  const { tables } = (await studio.ask(`${of}/tables`)).json as TableList
  expect(tables.map(({ name }) => name)).toEqual(expect.arrayContaining(names))
  for (const table of names) {
    const asked = new URLSearchParams({ table }).toString()
    expect((await studio.ask(`${of}/count?${asked}`)).json, table).toEqual({ rows: 1 })
    expect((await studio.ask(`${of}/rows`, { body: { table } })).json, table).toMatchObject({ rows: [{ length: 4 }] })
    expect((await studio.ask(`${of}/distribution?${asked}&column=n`)).json, table).toMatchObject({ rows: 1 })
  }
  expect(await studio.ask(`${of}/count`)).toMatchObject({ status: 400 })
})

it('shows contracts, what they refused, what drifted from the lock, and when a run is due', {
  timeout: 300_000,
}, async () => {
  let version = 0
  const served = await api(async () => ({ json: [{ id: 1, n: 2, ...(version > 0 && { added: 'x', late: 1 }) }] }))
  onTestFinished(() => served.close())
  const studio = await openStudio({
    'odd.yaml': `client: { base_url: ${served.origin}, paginator: single_page }
resource_defaults: { endpoint: { path: odd, data_selector: $ } }
resources: [open, { name: strict, schema_contract: { columns: discard_value } }]
schedule: 0 6 * * *
destination: duckdb:odd.duckdb
`,
  })
  const { id, dueAt } = await onlyPipeline(studio)
  expect(dueAt).toMatch(/T06:00:00\.000Z$/)
  const of = `/api/pipelines/${id}`
  expect((await studio.ask(`${of}/drift`)).json).toEqual({ refused: [] })
  await runToEnd(studio, id)
  const { tables } = (await studio.ask(`${of}/tables`)).json as TableList
  const contractOf = (table: string) => tables.find(({ name }) => name === table)?.contract
  expect(contractOf('strict')).toEqual({ tables: 'evolve', columns: 'discard_value', data_type: 'evolve' })
  expect(contractOf('open')).toEqual({ tables: 'evolve', columns: 'evolve', data_type: 'evolve' })

  const lock = { strict: { id: 'bigint', gone: 'text' } }
  await writeFile(join(studio.folder, 'odd.schema.lock'), JSON.stringify({ version: 1, tables: lock }))
  version = 1
  await runToEnd(studio, id)
  expect((await studio.ask(`${of}/drift`)).json).toMatchObject({
    sinceLock: expect.arrayContaining([expect.stringContaining('gone strict.gone')]),
    refused: [{ resource: 'strict', values: 2 }],
  })
})

it('stops a run, whose pages the next one does not ask for again', { timeout: 160_000 }, async () => {
  let answers = 0
  let letGo = (): void => {}
  const held = new Promise<void>(resolve => {
    letGo = resolve
  })
  const shops = await shopsApi(async () => {
    answers += 1
    if (answers >= 2) await held
  })
  const studio = await openStudio({ 'shops.yaml': shopsDocument(shops.origin) })
  const { id } = await onlyPipeline(studio)
  const started = (await studio.ask(`/api/pipelines/${id}/runs`, { body: {} })).json as { run: string }
  expect((await studio.ask(`/api/pipelines/${id}/runs`, { body: {} })).json).toMatchObject({ run: started.run })
  expect((await onlyPipeline(studio)).running).toBe(started.run)
  const events = studio.ask(`/api/runs/${started.run}/events`)
  while (answers < 2) await new Promise(resolve => setImmediate(resolve))
  await studio.ask(`/api/runs/${started.run}/stop`, { body: {} })
  expect((await events).text).toContain('"state":"stopped"')
  letGo()
  expect(await studio.ask('/api/runs/nope/stop', { body: {} })).toMatchObject({ status: 404 })
  const news = await runToEnd(studio, id)
  expect(news.find(({ event }) => event.type === 'run_started')?.event).toMatchObject({ resumedPages: 1 })
  expect(news.at(-1)?.event).toMatchObject({ facts: { state: 'committed' } })
})

it('shows the windows of a backfill, whose bounds may have more digits than a number', {
  timeout: 160_000,
}, async () => {
  const shops = await shopsApi()
  const incremental =
    '{ cursor_path: id, initial_value: 9007199254740990, end_value: 9007199254741010, start_param: from, end_param: to, window: { step: 10 } }'
  const windowed = shopsDocument(shops.origin).replace(
    'data_selector: items',
    `data_selector: items, incremental: ${incremental}`,
  )
  const studio = await openStudio({ 'shops.yaml': windowed })
  const { id } = await onlyPipeline(studio)
  const { text } = await studio.ask(`/api/pipelines/${id}/windows?resource=shops`)
  // The page reads whole numbers up to 2^53 - 1, and the others as texts.
  expect(text).toContain('"from":9007199254740990,"to":"9007199254741010"')
  expect((await studio.ask(`/api/pipelines/${id}/plan`)).text).toContain('"endValue":"9007199254741010"')
})

it('asks the API about the file as it is on disk, and says at which line', { timeout: 160_000 }, async () => {
  const shops = await shopsApi()
  const right = shopsDocument(shops.origin)
  const studio = await openStudio({ 'shops.yaml': right })
  const { id } = await onlyPipeline(studio)
  const ask = (body: object) => studio.ask(`/api/pipelines/${id}/document/asked`, { body })
  const checked = await ask({ what: 'check' })
  expect(checked.json).toMatchObject({
    requests: 1,
    findings: [
      {
        key: 'resources[0]',
        line: 7,
        status: 'proven',
        message: 'shops: 100 records on the first page, 250 announced',
      },
    ],
  })
  expect(shops.asked).toHaveLength(1)

  // Nobody proves without saying how many requests it may cost.
  expect(await ask({ what: 'prove' })).toMatchObject({ status: 400 })
  expect(shops.asked).toHaveLength(1)
  // The total is elsewhere, so that the key is wrong.
  const text = right.replace('limit: 100', 'limit: 100, total_path: count')
  await writeFile(join(studio.folder, 'shops.yaml'), text)
  const proven = (await ask({ what: 'prove', budget: 8 })).json as ApiFindings
  expect(proven.requests).toBe(shops.asked.length - 1)
  expect(proven.requests).toBeLessThanOrEqual(8)
  const lineOf = (word: string): number => text.split('\n').findIndex(line => line.includes(word)) + 1
  expect(proven.findings).toContainEqual(
    expect.objectContaining({ key: 'client.paginator.total_path', status: 'wrong', line: lineOf('total_path') }),
  )
  expect(proven.findings).toContainEqual(
    expect.objectContaining({ key: 'resources[0].primary_key', status: 'proven', line: lineOf('primary_key') }),
  )
  expect(proven.kept).toBe('shops.yaml.proof.json')
  expect(await readFile(join(studio.folder, 'shops.yaml.proof.json'), 'utf8')).not.toContain(SECRET)

  // What the API refuses is said at the line of its resource.
  await writeFile(join(studio.folder, 'shops.yaml'), text.replace('path: shops', 'path: nowhere'))
  expect((await ask({ what: 'check' })).json).toMatchObject({
    findings: [{ line: 7, status: 'wrong', message: expect.stringContaining('404') }],
  })
  expect(studio.answers.filter(answer => answer.includes(SECRET))).toEqual([])
})

it('says what is there no more: a file, a run, the news of an ended run', { timeout: 160_000 }, async () => {
  const shops = await shopsApi()
  const text = shopsDocument(shops.origin)
  const studio = await openStudio({ 'shops.yaml': text, 'other.yaml': text.replace('limit', 'limits') })
  const { id } = await onlyPipeline(studio)
  const news = await runToEnd(studio, id)
  const [{ run }] = ((await studio.ask('/api/runs')).json as { runs: [{ run: string }] }).runs
  const again = await studio.ask(`/api/runs/${run}/events?from=${news.length + 5}`)
  expect(JSON.parse(again.text)).toEqual(news.at(-1))
  expect(await studio.ask('/api/runs/nope/events')).toMatchObject({ status: 404 })

  const read = (await studio.ask(`/api/pipelines/${id}/document`)).json as { version: string }
  await rm(join(studio.folder, 'shops.yaml'))
  const gone = { status: 400, json: { message: expect.stringMatching(/^shops\.yaml.* does not exist/) } }
  expect(await studio.ask(`/api/pipelines/${id}/document`)).toMatchObject(gone)
  const body = { text, version: read.version }
  expect(await studio.ask(`/api/pipelines/${id}/document`, { method: 'PUT', body })).toMatchObject(gone)
  expect(await studio.ask(`/api/pipelines/${id}/loads`)).toMatchObject({ ...gone, status: 409 })
  expect((await studio.ask('/api/pipelines')).json).toMatchObject({
    pipelines: [{ file: 'other.yaml', problem: expect.stringMatching(/^other\.yaml:5:/) }],
  })
})

it('says why a run failed, without a secret', { timeout: 160_000 }, async () => {
  const shops = await shopsApi()
  const studio = await openStudio({
    'shops.yaml': shopsDocument(`${shops.origin}/nowhere`).replace("'${secrets.api_key}'", SECRET + 1),
  })
  const { id } = await onlyPipeline(studio)
  const news = await runToEnd(studio, id)
  expect(news.at(-1)?.event).toMatchObject({ facts: { state: 'failed', problem: expect.stringContaining('401') } })
  const answers = studio.answers.filter(text => !text.includes('client:'))
  expect(answers.filter(text => text.includes(SECRET))).toEqual([])
})

it('checks a document as it is written, and saves it on demand', async () => {
  const text = shopsDocument('http://127.0.0.1:1')
  const studio = await openStudio({ 'shops.yaml': text })
  const { id } = await onlyPipeline(studio)
  const of = `/api/pipelines/${id}/document`
  const read = (await studio.ask(of)).json as { version: string }
  expect(read).toMatchObject({ file: 'shops.yaml', text })
  const broken = text.replace('limit: 100', 'limits: 100')
  expect((await studio.ask(`${of}/check`, { body: { text: broken } })).json).toEqual({
    problems: expect.arrayContaining([expect.objectContaining({ line: 5, path: 'client.paginator.limits' })]),
  })
  const save = (body: object) => studio.ask(of, { method: 'PUT', body })
  expect(await save({ text: broken, version: read.version })).toMatchObject({ status: 400 })
  expect(await readFile(join(studio.folder, 'shops.yaml'), 'utf8')).toBe(text)
  await chmod(join(studio.folder, 'shops.yaml'), 0o600)
  const better = text.replace('100', '50')
  const saved = await save({ text: better, version: read.version })
  expect(saved).toMatchObject({ status: 200, json: { text: better } })
  expect(await readFile(join(studio.folder, 'shops.yaml'), 'utf8')).toBe(better)
  expect((await stat(join(studio.folder, 'shops.yaml'))).mode & 0o777).toBe(0o600)
  await writeFile(join(studio.folder, 'shops.yaml'), `${better}\n`)
  expect(await save({ text, version: (saved.json as { version: string }).version })).toMatchObject({
    status: 400,
    json: { message: expect.stringContaining('changed by somebody else') },
  })
})

it('loses neither of two texts that are saved at once', async () => {
  const text = shopsDocument('http://127.0.0.1:1')
  const studio = await openStudio({ 'shops.yaml': text })
  const { id } = await onlyPipeline(studio)
  const of = `/api/pipelines/${id}/document`
  const { version } = (await studio.ask(of)).json as { version: string }
  const texts = ['left', 'right'].map(side => `${text}# ${side}\n`)
  const saved = await Promise.all(texts.map(one => studio.ask(of, { method: 'PUT', body: { text: one, version } })))
  expect(saved.map(({ status }) => status).toSorted()).toEqual([200, 400])
  const kept = texts[saved.findIndex(({ status }) => status === 200)]
  expect(await readFile(join(studio.folder, 'shops.yaml'), 'utf8')).toBe(kept)
})

it('sees a secret that was missing, though the file is the same', async () => {
  const text = `${shopsDocument('http://127.0.0.1:1')}destination: \${secrets.database}\n`
  const studio = await openStudio({ 'shops.yaml': text })
  const list = async () => (await studio.ask('/api/pipelines')).json as PipelineList
  expect((await list()).pipelines).toEqual([expect.objectContaining({ problem: expect.stringContaining('DATABASE') })])
  await writeFile(join(studio.folder, '.env'), 'DATABASE=duckdb:shops.duckdb\n')
  expect((await list()).pipelines).toEqual([expect.objectContaining({ name: 'shops' })])
})

it('reads a thousand files only where they are looked at', { timeout: 160_000 }, async () => {
  const files = Object.fromEntries(
    Array.from({ length: 1_000 }, (_, index) => [
      `p${String(index).padStart(4, '0')}.yaml`,
      shopsDocument('http://127.0.0.1:1'),
    ]),
  )
  const studio = await openStudio(files)
  const page = (await studio.ask('/api/pipelines?limit=5&offset=990')).json
  expect(page).toMatchObject({
    files: 1_000,
    pipelines: Array.from({ length: 5 }, (_, index) => ({ name: `p099${index}` })),
  })
  expect((await studio.ask('/api/pipelines?search=p0007')).json).toMatchObject({ files: 1 })
})

/** Any header may be said, which `fetch` does not allow; and paths go as they are written. */
function statusOf(url: string, headers: Readonly<Record<string, string>>, path?: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { headers, ...(path !== undefined && { path }) }, response => {
      response.resume()
      resolve(response.statusCode)
    })
      .once('error', reject)
      .end()
  })
}
